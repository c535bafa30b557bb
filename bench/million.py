"""A node with a million accounts: its memory, and how long it takes to come back.

The accounts come into being as they would in life, by transfers in certified blocks built with
the ledger's own code; only the voting is left out (the four development keys sign at once).
Then real processes start on it. The memory is looked at after blocks and reads all over the
state; the restart is timed from the process's start to `/readyz`, after a kill -9.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.load import Load
from bench.network import account_names, spent
from bench.transfer import closed_loop
from bench.wallets import Wallets
from mgsnode.base.address import address_text
from mgsnode.base.block import hash_header, make_certificate, vote_fields
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import address_of, digest
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import OUTPUTS_MAX
from mgsnode.base.transaction import Body, Transaction, sign_transaction
from mgsnode.client import call_once
from mgsnode.devnet import MICRO, DevAccount, dev_key
from mgsnode.home import Home
from mgsnode.localnet import Localnet
from state.ledger import Ledger

_PAYERS = 100
_BLOCK_TXS = 100  # of 256 payees each: 1.1 MB
_READS = 2_000
_READY_S = 60.0


def run(*, count: int = 1_000_000) -> dict[str, object]:
    """Build the store, copy it to four homes, start them, read, pay, kill one and restart it."""
    root = Path(tempfile.mkdtemp(prefix="mgs-bench-"))
    try:
        funded = [DevAccount(name, dollar=10_000 * MICRO) for name in account_names(_PAYERS)]
        net = Localnet.create(root, base_port=None, accounts=funded)
        start = time.monotonic()
        fill(net.nodes[0].home, net.genesis, count)
        filled_s = time.monotonic() - start
        store = Home(net.nodes[0].home).store
        for node in net.nodes[1:]:
            shutil.rmtree(Home(node.home).store)
            shutil.copytree(store, Home(node.home).store)
        with net:
            return {
                "accounts": count,
                "fill_s": round(filled_s, 1),
                "store_mb": sum(f.stat().st_size for f in store.iterdir()) >> 20,
                **_measure(net, count),
            }
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _measure(net: Localnet, count: int) -> dict[str, object]:
    start = time.monotonic()
    net.start()
    four_s = time.monotonic() - start
    fresh = _resident_mb(net)
    _read(net, count)
    read = _resident_mb(net)
    wallets = Wallets(net.genesis.hash, _PAYERS, nodes=len(net.nodes))
    for place in range(_PAYERS):
        wallets.set_nonce(place, _nonce(net, place))
    load = Load(closed_loop(net, wallets, 5.0, total=5_000))
    load.run()
    outcome = load.outcome()
    paid = _resident_mb(net)
    net.kill(1)
    start = time.monotonic()
    net.start_node(1)
    net.wait_ready(1)
    answers_s = time.monotonic() - start
    _wait_readyz(net.nodes[1].rpc)
    return {
        "four_nodes_answer_s": round(four_s, 2),
        "resident_mb_fresh": fresh,
        "resident_mb_after_reads": read,
        "resident_mb_after_payments": paid,
        "payments": outcome.committed,
        "restart_to_answer_s": round(answers_s, 2),
        "restart_to_ready_s": round(time.monotonic() - start, 2),
    }


def _resident_mb(net: Localnet) -> list[int]:
    found: list[int] = []
    for node in net.nodes:
        pid = net.pid(node.place)
        assert pid is not None
        found.append(round(spent(node, pid).resident_bytes / 2**20))
    return found


def _read(net: Localnet, count: int) -> None:
    """Accounts all over the state, with their proofs, from every node."""
    rng = random.Random(3)
    for node in net.nodes:
        for _ in range(_READS // 20):
            calls = [address_text(payee(rng.randrange(count)), "tmgs") for _ in range(20)]
            for text in calls:
                call_once(node.rpc, "account_get", {"address": text, "proof": True})


def _nonce(net: Localnet, place: int) -> int:
    key = dev_key(account_names(_PAYERS)[place])
    text = address_text(address_of(key.public_key), "tmgs")
    return int(call_once(net.nodes[0].rpc, "account_get", [text])["nonces"].get("0", 0))


def _wait_readyz(url: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def payee(index: int) -> bytes:
    """The address of the `index`th account; nobody has its key."""
    return digest(b"mgs/bench/payee", index.to_bytes(8, "big"))


def fill(home: Path, genesis: Genesis, count: int) -> None:
    """Pays `count` new accounts in certified blocks, straight into the home's ledger."""
    ledger = Ledger.open(Home(home).store, genesis)
    votes = [dev_key(gateway.name, "vote") for gateway in genesis.gateways]
    pays = payments(ledger, genesis, count)
    while txs := list(islice(pays, _BLOCK_TXS)):
        head = ledger.head
        built = ledger.build(head.hash, txs, head.header.timestamp_ms + 1_000)
        assert len(built.included) == len(txs), built.skipped
        height, name = built.block.header.height, hash_header(built.block.header)
        certificate = make_certificate(
            era=0,
            view=0,
            height=height,
            block_hash=name,
            votes={
                index: key.sign(
                    statement(Signed.COMMIT, genesis.hash, vote_fields(0, 0, height, name, index))
                )
                for index, key in enumerate(votes)
            },
            n=len(votes),
        )
        ledger.commit(name, certificate)
    ledger.close()


def payments(ledger: Ledger, genesis: Genesis, count: int) -> Iterator[Transaction]:
    """Transfers to 256 new accounts each, from the payers in turn."""
    keys = [dev_key(name) for name in account_names(_PAYERS)]
    for index, low in enumerate(range(0, count, OUTPUTS_MAX)):
        key = keys[index % _PAYERS]
        body = Body(
            chain=genesis.hash,
            sender=address_of(key.public_key),
            lane=0,
            nonce=index // _PAYERS,
            valid_until=genesis.time_ms + 3_600_000,
            fee_max=10 * MICRO,
            payer=b"",
            kind="dollar_transfer",
            fields=(
                tuple((payee(i), 1_000, "") for i in range(low, min(low + OUTPUTS_MAX, count))),
            ),
        )
        yield ledger.open_tx(sign_transaction(body, [key]))
