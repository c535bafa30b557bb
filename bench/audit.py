"""What an audit costs, alone and with processes that check hashes and signatures ahead.

One chain of transfers, made without a network, is audited in turn by this process alone and with
workers, `ROUNDS` times each: seconds from the first block to the last row, the start of the
workers included. `cpu_s` is of this process, which executes; the workers' is in `cpu_of_workers_s`.
`least` is what there would be to win: this process's time with somebody else's answers for nothing.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

from mgsnode.auditors import open_auditors
from mgsnode.base.block import hash_header, make_certificate, vote_fields
from mgsnode.base.keys import Signed, statement
from mgsnode.base.transaction import Body, Transaction, sign_transaction
from mgsnode.devnet import HOLDERS, dev_address, dev_genesis, dev_key
from state.ahead import Workers
from state.audit import audit_store
from state.ledger import Ledger
from state.looked import Looked, Work, look_at
from state.store import Store

ROUNDS = 3
_TXS = 200  # of a block
_BLOCK_MS = 1_000
_GENESIS = dev_genesis(gateways=4)


def run(*, count: int = 8_000, workers: int = 2) -> dict[str, object]:
    """Audit a chain of `count` transfers with 0 and `workers` workers in turn."""
    with tempfile.TemporaryDirectory(prefix="mgsnode-bench-") as folder:
        scratch = Path(folder)
        _make(scratch / "store", count)
        given: list[tuple[Work, list[Looked]]] = []
        _audit(scratch, lambda: Workers(lambda work: _learn(given, work), 4))
        runs = [
            {
                "alone": _audit(scratch, lambda: None),
                "ahead": _audit(scratch, lambda: workers),
                "least": _audit(scratch, lambda: Workers(_Known(given).ask, 4)),
            }
            for _ in range(ROUNDS)
        ]
    rows = []
    for name in ("alone", "ahead", "least"):
        of = [each[name] for each in runs]
        rows.append(
            {"audit": name, **{key: statistics.median(one[key] for one in of) for key in of[0]}}
        )
    ratios = [round(each["ahead"]["seconds"] / each["alone"]["seconds"], 3) for each in runs]
    return {
        "transactions": count,
        "txs_per_block": _TXS,
        "workers": workers,
        "rounds": ROUNDS,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "load": psutil.getloadavg()[0],
        "medians": rows,
    }


class _Known:
    """Answers of an earlier run, in order."""

    def __init__(self, given: list[tuple[Work, list[Looked]]]) -> None:
        self._left = iter(given)

    def ask(self, work: Work) -> Callable[[], list[Looked]]:
        known, looked = next(self._left)
        assert known.questions == work.questions
        return lambda: looked


def _learn(given: list[tuple[Work, list[Looked]]], work: Work) -> Callable[[], list[Looked]]:
    looked = look_at(work)
    given.append((work, looked))
    return lambda: looked


def _audit(scratch: Path, who: Callable[[], Workers | int | None]) -> dict[str, float]:
    replay = scratch / "replay"
    shutil.rmtree(replay, ignore_errors=True)
    with Store.open(scratch / "store") as store, ExitStack() as stack:
        before, children = time.process_time(), _children_s()
        began = time.perf_counter()
        workers = who()
        if isinstance(workers, int):
            workers = stack.enter_context(open_auditors(workers, None))
        result = audit_store(store, _GENESIS, replay, workers=workers)
        seconds, cpu = time.perf_counter() - began, time.process_time() - before
        assert result.ok, result.fault
        stack.close()
        return {
            "seconds": round(seconds, 2),
            "cpu_s": round(cpu, 2),
            "cpu_of_workers_s": round(_children_s() - children, 2),
        }


def _children_s() -> float:
    """CPU seconds of the processes that were waited for."""
    spent = psutil.Process().cpu_times()
    return float(spent.children_user + spent.children_system)


def _make(path: Path, count: int) -> None:
    ledger = Ledger.create(path, _GENESIS)
    senders = [(dev_key(name), dev_address(name)) for name in HOLDERS]
    nonces = [ledger.next_nonce(address, 0) for _, address in senders]
    for first in range(0, count, _TXS):
        until_ms = ledger.head.header.timestamp_ms + 60_000
        txs = []
        for number in range(first, min(first + _TXS, count)):
            at = number % len(senders)
            key, sender = senders[at]
            to = senders[(at + 1) % len(senders)][1]
            body = Body(
                _GENESIS.hash, sender, 0, nonces[at], until_ms, 1_000_000, b"",
                "dollar_transfer", (((to, 1, "bench"),),),
            )  # fmt: skip
            nonces[at] += 1
            txs.append(ledger.open_tx(sign_transaction(body, [key])))
        _add(ledger, txs)
    ledger.close()


def _add(ledger: Ledger, txs: list[Transaction]) -> None:
    head = ledger.head
    built = ledger.build(head.hash, txs, head.header.timestamp_ms + _BLOCK_MS)
    assert len(built.included) == len(txs), built.skipped
    header = built.block.header
    block_hash = hash_header(header)
    votes = {
        index: dev_key(_GENESIS.gateways[index].name, "vote").sign(
            statement(
                Signed.COMMIT,
                _GENESIS.hash,
                vote_fields(header.era, 0, header.height, block_hash, index),
            )
        )
        for index in range(head.validators.quorum)
    }
    certificate = make_certificate(
        era=header.era, view=0, height=header.height, block_hash=block_hash,
        votes=votes, n=head.validators.n,
    )  # fmt: skip
    ledger.commit(block_hash, certificate)
