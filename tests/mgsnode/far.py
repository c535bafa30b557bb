"""A long chain of small blocks, made without a network: what somebody far behind has to fetch."""

from __future__ import annotations

import shutil
from pathlib import Path

from consensus.journal import Floor, encode_record, read_journal
from mgsnode.base.block import hash_header, make_certificate, vote_fields
from mgsnode.base.genesis import Genesis
from mgsnode.base.keys import Signed, statement
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.devnet import HOLDERS, dev_address, dev_key
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home
from state.ledger import Ledger

BLOCK_MS = 100  # between two blocks: a genesis so long ago lets the chain end now


def extend(store: Path, genesis: Genesis, blocks: int, *, txs: int) -> None:
    """Add certified blocks of `txs` transfers each to a store; its disk is not waited for."""
    ledger = Ledger.open(store, genesis)
    keys = [(dev_key(name), dev_address(name)) for name in HOLDERS]
    votes = [dev_key(row.name, "vote") for row in genesis.gateways]
    to = dev_address("bruno")
    sync, ledger._store.batch = ledger._store.batch, None  # type: ignore[method-assign,assignment]
    ledger._store.batch = lambda: sync(sync=False)  # type: ignore[method-assign,assignment]
    nonces = {address: ledger.next_nonce(address, 0) for _, address in keys}
    quorum = ledger.head.validators.quorum
    for _ in range(blocks):
        head = ledger.head
        time_ms = head.header.timestamp_ms + BLOCK_MS
        opened = []
        for number in range(txs):
            key, sender = keys[number % len(keys)]
            body = Body(
                genesis.hash, sender, 0, nonces[sender], time_ms + 60_000, 1_000_000, b"",
                "dollar_transfer", (((to, 1, ""),),),
            )  # fmt: skip
            nonces[sender] += 1
            opened.append(ledger.open_tx(sign_transaction(body, [key])))
        built = ledger.build(head.hash, opened, time_ms)
        assert len(built.included) == txs
        header = built.block.header
        block_hash = hash_header(header)
        signed = {
            index: votes[index].sign(
                statement(
                    Signed.COMMIT,
                    genesis.hash,
                    vote_fields(header.era, 0, header.height, block_hash, index),
                )
            )
            for index in range(quorum)
        }
        ledger.commit(
            block_hash,
            make_certificate(
                era=header.era,
                view=0,
                height=header.height,
                block_hash=block_hash,
                votes=signed,
                n=len(votes),
            ),
        )
    ledger.close()


def copy_chain(source: Path, home: Path, height: int) -> None:
    """Give a stopped home the chain of a store, and the journal of one that voted for it."""
    paths = Home(home)
    shutil.rmtree(paths.store)
    shutil.copytree(source, paths.store, ignore=shutil.ignore_patterns("LOCK"))
    journal = paths.journal / JOURNAL_FILE
    seq = read_journal(journal.read_bytes()).next_seq
    with journal.open("ab") as file:
        file.write(encode_record(seq, Floor(0, 0, height)))
