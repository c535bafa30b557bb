"""Ten thousand redemptions that expire at one instant: how long each following block takes.

The holders ask in full blocks; then the clock passes all the deadlines at once and empty blocks
follow until nothing is left. Each block is built as a primary builds it (due work, trie, roots)
and committed with one synced write; the votes are left out, a certificate is handed in unsigned.
Checked at the end: none was lost and the supply stands as before.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench.execute import _BLOCK, _DOLLAR, _START_MS, _Bench
from mgsnode.base.block import Certificate, make_certificate
from mgsnode.base.hashing import digest
from mgsnode.base.transaction import Transaction
from state.execute import DUE_ITEMS_MAX
from state.ledger import Ledger
from state.tx.money import totals_of
from state.tx.payouts import OPEN

_STEP_MS = 1_000


def _certificate(height: int, block_hash: bytes) -> Certificate:
    votes = {index: bytes(64) for index in range(4)}
    return make_certificate(
        era=0, view=0, height=height, block_hash=block_hash, votes=votes, n=len(votes)
    )


def _step(ledger: Ledger, txs: list[Transaction], time_ms: int) -> dict[str, object]:
    """Build and commit the next block; milliseconds of CPU and of wall."""
    cpu, wall = time.thread_time(), time.perf_counter()
    built = ledger.build(ledger.head.hash, txs, time_ms)
    built_cpu, built_wall = time.thread_time(), time.perf_counter()
    assert len(built.included) == len(txs), built.skipped
    (name,) = ledger._kept
    receipts = ledger.commit(name, _certificate(built.block.header.height, name)).receipts
    assert all(receipt.code == 0 for receipt in receipts)
    return {
        "due": len(receipts) - len(txs),
        "build_cpu_ms": round((built_cpu - cpu) * 1e3, 1),
        "build_ms": round((built_wall - wall) * 1e3, 1),
        "commit_ms": round((time.perf_counter() - built_wall) * 1e3, 1),
    }


def _left(ledger: Ledger) -> int:
    with ledger.view() as view:
        return sum(1 for _ in view.reader.items(OPEN))


def run(*, count: int = 10_000) -> dict[str, object]:
    """`count` redemptions by as many holders at four gateways; then they expire."""
    folder = Path(tempfile.mkdtemp(prefix="mgs-bench-"))
    try:
        bench = _Bench(folder / "store", count + 10)
        ledger, payout = bench.ledger, digest(b"mgs/bench", b"payout")
        asks = [
            bench.tx(10 + i, 0, "dollar_redeem", f"g{i % 4}", 20 * _DOLLAR, "USD", payout, ())
            for i in range(count)
        ]
        at_ms = _START_MS + 1
        asking: list[dict[str, object]] = []
        for low in range(0, count, _BLOCK):
            asking.append(_step(ledger, asks[low : low + _BLOCK], at_ms))
            at_ms += 1
        with ledger.view() as view:
            supply = totals_of(view.reader).supply
        assert _left(ledger) == count
        at_ms += 59_000  # past every deadline: of 30 s, on a live clock that takes 60 s at most
        blocks: list[dict[str, object]] = []
        while not blocks or blocks[-1]["due"]:
            blocks.append(_step(ledger, [], at_ms))
            at_ms += _STEP_MS
        with ledger.view() as view:
            assert totals_of(view.reader).supply == supply
        assert _left(ledger) == 0
        ledger.close()
        full = [block for block in blocks if block["due"] == DUE_ITEMS_MAX]
        return {
            "redemptions": count,
            "asking_build_ms_of_1000": _middle(asking, "build_ms"),
            "blocks_to_work_off": len(blocks) - 1,
            "build_ms_median": _middle(full, "build_ms"),
            "build_ms_most": max(block["build_ms"] for block in blocks),  # type: ignore[type-var]
            "build_cpu_ms_median": _middle(full, "build_cpu_ms"),
            "commit_ms_median": _middle(full, "commit_ms"),
            "blocks": blocks,
        }
    finally:
        shutil.rmtree(folder)


def _middle(blocks: list[dict[str, object]], name: str) -> float:
    return round(statistics.median(float(str(block[name])) for block in blocks), 1)
