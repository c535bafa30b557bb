"""The chain of a measured network, executed again: what each kind costs the state machine alone.

Every block is executed once on a draft that is thrown away, with the clock on, and then checked
and committed as a node does that catches up: each root must be the network's. Signatures are not
checked again (the network did). A block counts for a kind if it holds no other and at least
`_LEAST` of it; a kind's figure is the median over such blocks, its ratio is to the transfers of
the same chain. Then the clock goes on, a minute a block, until every order is final, and the
blocks full of due work are measured in the same way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.execute import _collector_of_a_node
from bench.expire import _certificate
from mgsnode.base.block import (
    hash_header,
    open_block,
    open_certificate,
)
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import Transaction
from mgsnode.home import Home
from state.draft import Draft
from state.execute import DUE_ITEMS_MAX, LIVE_STEP_MS_MAX, BlockRun, Outcome
from state.ledger import Ledger
from state.source import StoreSource
from state.store import Store
from state.tx.orders import FINAL, ORDER

_LEAST = 100  # transactions of a block that counts


def _timed(ledger: Ledger, time_ms: int, txs: Sequence[Transaction]) -> tuple[float, Outcome]:
    """Microseconds of CPU to execute a block on the head, and what came of it."""
    parent = ledger._parent(ledger.head.hash)
    before = parent.head.header
    draft = Draft(parent.reader)
    start = time.thread_time()
    run = BlockRun(
        ledger.registry, draft, height=before.height + 1, time_ms=time_ms,
        parent_root=before.state_root,
    )  # fmt: skip
    for tx in txs:
        run.apply(tx)
    outcome = run.finish()
    return (time.thread_time() - start) * 1e6, outcome


def _until_final(ledger: Ledger) -> list[float]:
    """Empty blocks until every order is final: microseconds an item of the full ones."""
    costs: list[float] = []
    with ledger.view() as view:
        left = sum(row.status != FINAL for _, row in view.reader.items(ORDER))
    while left:
        at_ms = ledger.head.header.timestamp_ms + LIVE_STEP_MS_MAX
        spent, outcome = _timed(ledger, at_ms, ())
        due = Counter(event.name for receipt in outcome.receipts for event in receipt.events)
        left -= due["order_final"]
        if due["order_final"] == len(outcome.receipts) == DUE_ITEMS_MAX:
            costs.append(spent / DUE_ITEMS_MAX)
        built = ledger.build(ledger.head.hash, (), at_ms)
        name = hash_header(built.block.header)
        ledger.commit(name, _certificate(built.block.header.height, name))
    return costs


def replay(home: Path, genesis: Genesis, newcomers: str) -> dict[str, object]:
    """Execution by kind of the chain in a stopped home. `RuntimeError` where a root differs.

    Transfers after the orders are shown as `newcomers`.
    """
    spent: dict[str, list[float]] = {}
    with (
        _collector_of_a_node(),
        Store.open(Home(home).store) as store,
        TemporaryDirectory(prefix="mgs-bench-") as scratch,
    ):
        source = StoreSource(store)
        ledger = Ledger.create(Path(scratch) / "replay", genesis)
        for height in range(1, source.head() + 1):
            raw, certificate = source.block(height), source.certificate(height)
            assert raw is not None and certificate is not None, "a whole chain"
            block = open_block(raw)
            txs = [ledger.open_tx(tx) for tx in block.txs]
            us, _ = _timed(ledger, block.header.timestamp_ms, txs)
            kinds = {tx.body.kind for tx in txs}
            if len(kinds) == 1 and len(txs) >= _LEAST:
                kind = kinds.pop()
                if kind == "dollar_transfer" and "order_pay" in spent:
                    kind = newcomers
                spent.setdefault(kind, []).append(us / len(txs))
            why = ledger.check(block, txs)
            if why is not None:
                raise RuntimeError(f"height {height}: {why}")
            ledger.commit(hash_header(block.header), open_certificate(certificate))
        blocks = ledger.head.header.height
        finals = _until_final(ledger)
        ledger.close()
    transfer = median(spent["dollar_transfer"])
    rows = [*spent.items(), ("due: order_final", finals)]
    return {
        "blocks": blocks,
        "execution": [
            {
                "kind": kind,
                "us_per_tx": round(median(each), 1),
                "ratio": round(median(each) / transfer, 2),
                "blocks": len(each),
            }
            for kind, each in rows
            if each
        ],
    }
