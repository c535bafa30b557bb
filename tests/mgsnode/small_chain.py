"""A node's home with a few blocks in it, made without a network: the same keys, rules and files."""

from __future__ import annotations

from pathlib import Path

from consensus.journal import Floor, encode_record, read_journal
from mgsnode.base.block import hash_header, make_certificate, vote_fields
from mgsnode.base.keys import Signed, statement
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.config import load_settings
from mgsnode.devnet import HOLDERS, dev_address, dev_genesis, dev_key, dev_key_file
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home, create_home, create_keys
from state.ledger import Ledger

HEIGHTS = 5
TXS = 4  # of each block
GENESIS = dev_genesis(gateways=4)


def make_chain(home: Path, heights: int = HEIGHTS) -> None:
    """Make the home of the first gateway, with `heights` blocks of transfers, and stop."""
    name = GENESIS.gateways[0].name
    create_keys(
        home,
        transport=dev_key_file(name, "transport"),
        vote=dev_key_file(name, "vote"),
        passphrase=None,
    )
    create_home(home, genesis=GENESIS, settings=load_settings(None, flags={}, environ={}))
    ledger = Ledger.open(Home(home).store, GENESIS)
    for _ in range(heights):
        add_block(ledger)
    ledger.close()
    _tell_journal(Home(home).journal / JOURNAL_FILE, heights)


def add_block(ledger: Ledger) -> None:
    head = ledger.head
    time_ms = head.header.timestamp_ms + 1_000
    txs = []
    for name in HOLDERS[:TXS]:
        sender = dev_address(name)
        outputs = ((dev_address("bruno"), 1_000 + head.header.height, f"from {name}"),)
        body = Body(
            GENESIS.hash, sender, 0, ledger.next_nonce(sender, 0), time_ms + 60_000, 1_000_000,
            b"", "dollar_transfer", (outputs,),
        )  # fmt: skip
        txs.append(ledger.open_tx(sign_transaction(body, [dev_key(name)])))
    built = ledger.build(head.hash, txs, time_ms)
    assert len(built.included) == TXS
    assert not built.bugs
    header = built.block.header
    block_hash = hash_header(header)
    votes = {}
    for index in range(3):
        fields = vote_fields(header.era, 0, header.height, block_hash, index)
        key = dev_key(GENESIS.gateways[index].name, "vote")
        votes[index] = key.sign(statement(Signed.COMMIT, GENESIS.hash, fields))
    certificate = make_certificate(
        era=header.era, view=0, height=header.height, block_hash=block_hash, votes=votes, n=4
    )
    ledger.commit(block_hash, certificate)


def _tell_journal(path: Path, height: int) -> None:
    """What the guard leaves behind once it has voted at `height`."""
    seq = read_journal(path.read_bytes()).next_seq
    with path.open("ab") as file:
        file.write(encode_record(seq, Floor(0, 0, height)))
