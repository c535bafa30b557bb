"""The chain of a measured network, executed again: what each kind costs the state machine alone.

Every block is executed once on a draft that is thrown away, with the clock on, and then checked
and committed as a node does that catches up: each root must be the network's. Signatures are not
checked again (the network did). A block counts for a kind if it holds no other and at least
`_LEAST` of it; a kind's figure is the median over such blocks. Beside each such block, before it
or after it by turns, as many transfers between the people of the first stage are executed on a
draft of their own over the same state. `ratio` is the median of the quotients, so neither other
work on the machine nor the size of the state counts as the kind's. It is as a node finds it: the
few accounts that pay each other are all in memory, most orders are not. `ratio_from_disk` is the
same again with nothing in memory, neither for the kind nor for the transfers; `ratio_to_first` is
to the transfers that the chain begins with. Then the clock goes on, a minute a block, until every
order is final, and the blocks full of due work are measured in the same way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from bench.execute import _collector_of_a_node
from bench.expire import _certificate
from bench.unsigned import unsigned
from mgsnode.base.block import (
    hash_header,
    open_block,
    open_certificate,
)
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import Body, Transaction
from mgsnode.home import Home
from state.draft import Draft, StateReader
from state.execute import DUE_ITEMS_MAX, LIVE_STEP_MS_MAX, BlockRun, Outcome
from state.ledger import Ledger
from state.source import StoreSource
from state.store import Store
from state.tx.accounts import next_nonce
from state.tx.orders import FINAL, ORDER

_LEAST: Final = 100  # transactions of a block that counts
_LIFETIME_MS: Final = 3_600_000
_FEE_MAX: Final = 1_000_000


class _Cost(NamedTuple):
    """Microseconds of CPU for a transaction (or an item of due work) of one block."""

    us: float
    transfer_us: float  # of a transfer beside it
    disk_us: float  # the same two with nothing in memory
    disk_transfer_us: float


class _People:
    """Who sent the first transfers, by address with a key: they pay each other beside."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}
        self._next = 0

    def meet(self, txs: Sequence[Transaction]) -> None:
        """They sent these."""
        self._keys.update((tx.body.sender, tx.signatures[0][0]) for tx in txs)

    def transfers(self, ledger: Ledger, count: int, time_ms: int) -> list[Transaction]:
        """So many that could stand in the next block, from as many accounts to as many others."""
        everybody = list(self._keys.items())
        nonces: dict[bytes, int] = {}
        chain = ledger.genesis.hash  # reckoned each time it is asked for
        made: list[Transaction] = []
        with ledger.view() as view:
            for index in range(self._next, self._next + count):
                sender, key = everybody[index % len(everybody)]
                to, _ = everybody[(index + len(everybody) // 2) % len(everybody)]
                nonce = nonces.get(sender, next_nonce(view.account(sender), 0))
                nonces[sender] = nonce + 1
                body = Body(
                    chain, sender, 0, nonce, time_ms + _LIFETIME_MS, _FEE_MAX, b"",
                    "dollar_transfer", (((to, 1, "invoice 1"),),),
                )  # fmt: skip
                made.append(unsigned(body, (key,)))
        self._next += count
        return made


def _timed(
    ledger: Ledger,
    time_ms: int,
    txs: Sequence[Transaction],
    *,
    due: bool,
    from_disk: bool = False,
) -> tuple[float, Outcome]:
    """Microseconds of CPU to execute a block on the head, and what came of it."""
    parent = ledger._parent(ledger.head.hash)
    before = parent.head.header
    draft = Draft(StateReader(ledger._store) if from_disk else parent.reader)
    start = time.thread_time()
    run = BlockRun(
        ledger.registry, draft, height=before.height + 1, time_ms=time_ms,
        parent_root=before.state_root, due=due,
    )  # fmt: skip
    for tx in txs:
        run.apply(tx)
    outcome = run.finish()
    return (time.thread_time() - start) * 1e6, outcome


def _transfers(
    ledger: Ledger, people: _People, time_ms: int, count: int, *, from_disk: bool = False
) -> float:
    """Microseconds of CPU for each of so many transfers, without due work."""
    txs = people.transfers(ledger, count, time_ms)
    spent, outcome = _timed(ledger, time_ms, txs, due=False, from_disk=from_disk)
    if any(receipt.code for receipt in outcome.receipts):
        raise RuntimeError("a transfer beside was refused")
    return spent / count


def _cost(
    ledger: Ledger, people: _People, time_ms: int, txs: Sequence[Transaction], count: int
) -> tuple[_Cost, Outcome]:
    """Of a block (without `txs`: of `count` things that fall due) and of transfers beside it, which
    go first at every second height; and what the block came to.
    """
    first = bool(txs) and ledger.head.header.height % 2 == 1
    beside = _transfers(ledger, people, time_ms, count) if first else 0.0
    spent, outcome = _timed(ledger, time_ms, txs, due=True)
    beside = beside or _transfers(ledger, people, time_ms, count)
    disk, _ = _timed(ledger, time_ms, txs, due=True, from_disk=True)
    disk_beside = _transfers(ledger, people, time_ms, count, from_disk=True)
    return _Cost(spent / count, beside, disk / count, disk_beside), outcome


def _until_final(ledger: Ledger, people: _People) -> list[_Cost]:
    """Empty blocks until every order is final: what an item of the full ones costs."""
    costs: list[_Cost] = []
    with ledger.view() as view:
        left = sum(row.status != FINAL for _, row in view.reader.items(ORDER))
    while left:
        at_ms = ledger.head.header.timestamp_ms + LIVE_STEP_MS_MAX
        cost, outcome = _cost(ledger, people, at_ms, (), DUE_ITEMS_MAX)
        built = ledger.build(ledger.head.hash, (), at_ms)
        name = hash_header(built.block.header)
        ledger.commit(name, _certificate(built.block.header.height, name))
        due = Counter(event.name for receipt in outcome.receipts for event in receipt.events)
        left -= due["order_final"]
        if due["order_final"] == len(outcome.receipts) == DUE_ITEMS_MAX:
            costs.append(cost)
    return costs


def replay(home: Path, genesis: Genesis, newcomers: str) -> dict[str, object]:
    """Execution by kind of the chain in a stopped home. `RuntimeError` where a root differs.

    Transfers after the orders are shown as `newcomers`.
    """
    costs: dict[str, list[_Cost]] = {}
    people = _People()
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
            kinds = {tx.body.kind for tx in txs}
            if len(kinds) == 1 and len(txs) >= _LEAST:
                kind = kinds.pop()
                if kind == "dollar_transfer" and "order_pay" in costs:
                    kind = newcomers
                elif kind == "dollar_transfer":
                    people.meet(txs)
                cost, _ = _cost(ledger, people, block.header.timestamp_ms, txs, len(txs))
                costs.setdefault(kind, []).append(cost)
            why = ledger.check(block, txs)
            if why is not None:
                raise RuntimeError(f"height {height}: {why}")
            ledger.commit(hash_header(block.header), open_certificate(certificate))
        blocks = ledger.head.header.height
        finals = _until_final(ledger, people)
        ledger.close()
    first = median(cost.us for cost in costs["dollar_transfer"])
    rows = [*costs.items(), ("due: order_final", finals)]
    return {
        "blocks": blocks,
        "execution": [
            {
                "kind": kind,
                "us_per_tx": round(median(cost.us for cost in each), 1),
                "ratio": round(median(cost.us / cost.transfer_us for cost in each), 2),
                "ratio_from_disk": round(
                    median(cost.disk_us / cost.disk_transfer_us for cost in each), 2
                ),
                "ratio_to_first": round(median(cost.us for cost in each) / first, 2),
                "blocks": len(each),
            }
            for kind, each in rows
            if each
        ],
    }
