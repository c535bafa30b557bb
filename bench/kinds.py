"""Every kind of transaction and every kind of due work in one table, beside a plain transfer.

Driven by the registry and by the vectors (`tests/vectors`): each vector that succeeds is a state
and a transaction on it, so a new kind is measured as soon as it has its vector. The rows stand in
a LevelDB; records that are there come decoded from the reader's cache as in a node, those that are
not (most people have neither recruiter nor second key) are asked of the store each time. The
parameters are read once before, as they are once for a block. The transfer is measured in turn
with each vector, so that whatever else the machine does makes both dearer.

What a vector cannot show is that rows are shared within a block: `execute.py` runs full blocks.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mgsnode.base.transaction import Transaction, open_transaction
from state.context import CLOCK, DUE, Clock
from state.draft import Changes, Draft, RecordCache
from state.execute import BlockRun
from state.registry import standard_registry
from state.store import Store
from state.table import STATE_PREFIX

VECTORS = Path(__file__).parent.parent / "tests" / "vectors"
_PLAIN = "accounts/pay_with_the_memo_that_is_asked_for"  # one payee, one signature
LIMITS: Mapping[str, int] = {"dollar_issue": 2, "dollar_redeem": 2}  # in transfers
LIMIT = 3  # of every other kind
_DUE, _CLOCK = STATE_PREFIX + bytes([DUE.number]), CLOCK.state_key(b"")


class Case(NamedTuple):
    """A vector that succeeds."""

    name: str  # family/file
    kind: str
    rows: dict[bytes, bytes]  # the state before
    after: dict[bytes, bytes]
    height: int
    time_ms: int
    tx: Transaction


class Due(NamedTuple):
    """One thing that falls due, in the state after some vector."""

    name: str
    rows: dict[bytes, bytes]
    clock: Clock  # of the block before
    height: int


class Cost(NamedTuple):
    """The cheapest third's median, so that another process's turn counts for nothing."""

    us: float  # CPU of execution and of encoding what was written
    ratio: float  # to the transfer, measured in turn
    rows: int  # written
    state_bytes: int  # keys and values that the state holds more (or less) afterwards


def _patched(rows: dict[bytes, bytes], changes: Mapping[str, str | None]) -> dict[bytes, bytes]:
    after = dict(rows)
    for key, value in changes.items():
        after.pop(bytes.fromhex(key), None)
        if value is not None:
            after[bytes.fromhex(key)] = bytes.fromhex(value)
    return after


def cases() -> list[Case]:
    """All vectors that succeed."""
    base = json.loads((VECTORS / "base.json").read_text())
    chain, common = bytes.fromhex(base["genesis_hash"]), _patched({}, base["rows"])
    found: list[Case] = []
    for path in sorted(VECTORS.glob("*/*.json")):
        vector: dict[str, Any] = json.loads(path.read_text())
        if vector["code"]:
            continue
        before = _patched(common, vector["before"])
        tx = open_transaction(bytes.fromhex(vector["raw"]), chain)
        name, after = f"{path.parent.name}/{path.stem}", _patched(before, vector["after"])
        found.append(
            Case(name, tx.body.kind, before, after, vector["height"], vector["time_ms"], tx)
        )
    return found


def missing(found: list[Case]) -> list[str]:
    """Kinds of the registry that no vector shows."""
    return sorted(set(standard_registry().kinds) - {case.kind for case in found})


class _Place:
    """A store with some rows, on which blocks of one item are tried and thrown away."""

    def __init__(self, store: Store, rows: Mapping[bytes, bytes]) -> None:
        self._reader = RecordCache(store)
        self._registry = standard_registry()
        self._params: dict[str, int] = {}
        self._rows = rows

    def apply(self, case: Case) -> tuple[int, Changes]:
        """(CPU nanoseconds, what it wrote) of the case's transaction."""
        draft = Draft(self._reader)
        block = BlockRun(self._registry, draft, height=case.height, time_ms=case.time_ms, due=False)
        block._params.update(self._params)
        draft.begin()
        start = time.thread_time_ns()
        receipt = block.apply(case.tx)
        changes = draft.changes()
        spent = time.thread_time_ns() - start
        assert receipt.code == 0, (case.name, receipt)
        self._params.update(block._params)
        return spent, changes

    def begin_block(self, due: Due) -> tuple[int, Changes, list[str]]:
        """(CPU nanoseconds, what it wrote, the events) of a block without transactions."""
        draft = Draft(self._reader)
        start = time.thread_time_ns()
        block = BlockRun(self._registry, draft, height=due.height, time_ms=due.clock.time_ms + 1)
        changes = draft.changes()
        spent = time.thread_time_ns() - start
        receipts = block.finish().receipts
        return spent, changes, [event.name for receipt in receipts for event in receipt.events]

    def grown(self, changes: Changes) -> int:
        """By how many bytes of keys and values the state is larger."""
        total = 0
        for key, value in changes:
            before = self._rows.get(key)
            total -= len(key) + len(before) if before is not None else 0
            total += len(key) + len(value) if value is not None else 0
        return total


@contextmanager
def _place(rows: Mapping[bytes, bytes]) -> Iterator[_Place]:
    with tempfile.TemporaryDirectory(prefix="mgs-bench-") as folder:
        store = Store.create(Path(folder) / "store")
        with store.batch() as batch:
            for key, value in rows.items():
                batch.put(key, value)
        try:
            yield _Place(store, rows)
        finally:
            store.close()


def _typical(times_ns: list[int]) -> float:
    """Microseconds: the median of the cheapest third."""
    return statistics.median(sorted(times_ns)[: max(1, len(times_ns) // 3)]) / 1_000


def measure(case: Case, transfer: tuple[_Place, Case], rounds: int) -> Cost:
    """The case's transaction and the transfer in turn."""
    with _place(case.rows) as place:
        place.apply(case)
        ours: list[int] = []
        theirs: list[int] = []
        for _ in range(rounds):
            ours.append(place.apply(case)[0])
            theirs.append(transfer[0].apply(transfer[1])[0])
        changes = place.apply(case)[1]
        us = _typical(ours)
        rows = len(changes) - 1  # the clock's is the block's
        return Cost(round(us, 1), round(us / _typical(theirs), 2), rows, place.grown(changes))


def dues(found: list[Case]) -> list[Due]:
    """Each thing that stands in the queue after some vector, and what its coming schedules."""
    seen: set[bytes] = set()
    fresh = [
        due for case in found for due in _queued(case.name, case.after, case.height, seen)
    ]  # fmt: skip
    return fresh + [then for due in fresh for then in _then(due, seen)]


def _queued(name: str, rows: Mapping[bytes, bytes], height: int, seen: set[bytes]) -> Iterator[Due]:
    """What stands in the queue, each alone in it and due at the next block."""
    clock = CLOCK.decode_record(rows[_CLOCK])
    for key in [key for key in rows if key.startswith(_DUE) and key not in seen]:
        seen.add(key)
        (_, at_ms), _ = DUE.key_of(key)
        alone = {k: v for k, v in rows.items() if k == key or not k.startswith(_DUE)}
        stand = Clock(clock.time_ms, at_ms - 1, at_ms)
        alone[_CLOCK] = CLOCK.encode_record(stand)
        yield Due(name, alone, stand, height + 1)


def _then(due: Due, seen: set[bytes]) -> list[Due]:
    """What is scheduled when it has come."""
    with _place(due.rows) as place:
        _, changes, _ = place.begin_block(due)
    after = _patched(
        due.rows, {key.hex(): None if value is None else value.hex() for key, value in changes}
    )
    return list(_queued(due.name, after, due.height, seen))


def measure_due(due: Due, transfer: tuple[_Place, Case], rounds: int) -> tuple[str, Cost]:
    """(family: what it told, cost) of one item: a block with it less the same block without."""
    key = next(key for key in due.rows if key.startswith(_DUE))
    (family, _), _ = DUE.key_of(key)
    idle_rows = {k: v for k, v in due.rows.items() if k != key}
    with _place(due.rows) as place, _place(idle_rows) as idle:
        place.begin_block(due)
        idle.begin_block(due)
        ours: list[int] = []
        without: list[int] = []
        theirs: list[int] = []
        for _ in range(rounds):
            ours.append(place.begin_block(due)[0])
            without.append(idle.begin_block(due)[0])
            theirs.append(transfer[0].apply(transfer[1])[0])
        _, changes, events = place.begin_block(due)
        _, otherwise, _ = idle.begin_block(due)
        us = _typical(ours) - _typical(without)
        grown = place.grown(changes) - idle.grown(otherwise)
        written = len(changes) - len(otherwise)
        cost = Cost(round(us, 1), round(us / _typical(theirs), 2), written, grown)
        return f"{standard_registry().family[family].name}: {_main_event(family, events)}", cost


def _main_event(family: int, events: list[str]) -> str:
    """The last event of the family itself, else the last one."""
    own = {spec.name for spec in standard_registry().family[family].events}
    return next((name for name in reversed(events) if name in own), (events or ["no event"])[-1])


def _row(name: str, case: str, cost: Cost, limit: int) -> dict[str, object]:
    over = f"over {limit}x" if cost.ratio > limit else ""
    return {"name": name, **cost._asdict(), "over": over, "vector": case}


def _table(
    found: list[Case], transfer: tuple[_Place, Case], rounds: int
) -> list[dict[str, object]]:
    """The vector in the middle of each kind, and how dear the dearest is."""
    rows: list[dict[str, object]] = []
    for kind in sorted({case.kind for case in found}):
        costs = sorted(
            (measure(case, transfer, rounds), case.name) for case in found if case.kind == kind
        )
        (cost, name), (highest, dearest) = costs[(len(costs) - 1) // 2], costs[-1]
        row = _row(kind, name, cost, LIMITS.get(kind, LIMIT))
        rows.append({**row, "dearest": highest.ratio, "dearest_vector": dearest})
    return rows


def run(*, quick: bool = False) -> dict[str, object]:
    """All kinds and all kinds of due work; of the latter the dearest that was found of each."""
    found, rounds = cases(), 12 if quick else 60
    plain = next(case for case in found if case.name == _PLAIN)
    with _place(plain.rows) as place:
        transfer = (place, plain)
        kinds = _table(found, transfer, rounds)
        seen: dict[str, tuple[Cost, str]] = {}
        for due in dues(found):
            name, cost = measure_due(due, transfer, rounds)
            seen[name] = max((cost, due.name), seen.get(name, (cost, due.name)))
        us = _typical([place.apply(plain)[0] for _ in range(rounds)])
    return {
        "transfer_us": round(us, 1),
        "missing": missing(found),
        "over_the_limit": [row["name"] for row in kinds if row["over"]],
        "kinds": kinds,
        "due_work": [_row(name, at, cost, LIMIT) for name, (cost, at) in sorted(seen.items())],
    }
