"""The waiting room against a naive model, and its rules one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mgsnode import mempool as module
from mgsnode.base.errors import Busy, Rejected
from mgsnode.base.limits import BLOCK_BYTES_MAX, BLOCK_TXS_MAX
from mgsnode.base.transaction import BAD_NONCE, Transaction
from mgsnode.mempool import Mempool, count_parts
from tests.mgsnode.txs import sender_of, shape

SENDERS = ("a", "b", "c")
SENDER_TXS_MAX = 6
Lane = tuple[bytes, int]


def lane_of(tx: Transaction) -> Lane:
    return tx.body.sender, tx.body.lane


class Naive:
    """The same rules with a list and no indexes."""

    def __init__(self, txs_max: int, bytes_max: int) -> None:
        self.txs_max, self.bytes_max = txs_max, bytes_max
        self.waiting: list[Transaction] = []
        self.head: dict[Lane, int] = {}

    def next_of(self, lane: Lane) -> int:
        return self.head.get(lane, 0)

    def outcome(self, tx: Transaction) -> object:
        """True: taken; False: known; "busy"; or the refusal's facts."""
        if any(held.txid == tx.txid for held in self.waiting):
            return False
        size = sum(len(held.raw) for held in self.waiting)
        if len(self.waiting) >= self.txs_max or size + len(tx.raw) > self.bytes_max:
            return "busy"
        if sum(h.body.sender == tx.body.sender for h in self.waiting) >= SENDER_TXS_MAX:
            return "busy"
        if tx.body.nonce < self.next_of(lane_of(tx)):
            return {"next": self.next_of(lane_of(tx))}
        if any(lane_of(h) == lane_of(tx) and h.body.nonce == tx.body.nonce for h in self.waiting):
            return {"taken": tx.body.nonce}
        self.waiting.append(tx)
        return True

    def runs(self) -> dict[Lane, list[Transaction]]:
        """What could be executed now, by lane, in order."""
        found: dict[Lane, list[Transaction]] = {}
        for lane in {lane_of(tx) for tx in self.waiting}:
            nonce, run = self.next_of(lane), []
            by_nonce = {tx.body.nonce: tx for tx in self.waiting if lane_of(tx) == lane}
            while nonce in by_nonce:
                run.append(by_nonce[nonce])
                nonce += 1
            if run:
                found[lane] = run
        return found

    def forget(self, txs: list[Transaction]) -> None:
        for tx in txs:
            lane = lane_of(tx)
            self.head[lane] = max(self.next_of(lane), tx.body.nonce + 1)
        self.waiting = [tx for tx in self.waiting if tx.body.nonce >= self.next_of(lane_of(tx))]


class MempoolMachine(RuleBasedStateMachine):
    @initialize(txs_max=st.integers(4, 12), bytes_max=st.sampled_from([900, 2_000, 10**6]))
    def begin(self, txs_max: int, bytes_max: int) -> None:
        self.real = Mempool(txs_max=txs_max, bytes_max=bytes_max)
        self.naive = Naive(txs_max, bytes_max)
        self.clock = 0

    @rule(
        sender=st.sampled_from(SENDERS),
        lane=st.integers(0, 1),
        ahead=st.integers(-1, 4),
        size=st.sampled_from([0, 0, 100]),
        valid_until=st.integers(1, 5),
        signer=st.integers(0, 1),
    )
    def add(
        self, sender: str, lane: int, ahead: int, size: int, valid_until: int, signer: int
    ) -> None:
        head = self.naive.next_of((sender_of(sender), lane))
        tx = shape(
            sender, max(0, head + ahead), lane=lane, size=size, valid_until=valid_until,
            signer=signer,
        )  # fmt: skip
        wanted = self.naive.outcome(tx)
        self.clock += 1
        try:
            found: object = self.real.add(tx, next_nonce=head, now_ms=self.clock)
        except Busy:
            found = "busy"
        except Rejected as refusal:
            assert refusal.code == BAD_NONCE[0]
            found = refusal.facts
        assert found == wanted

    @rule(txs_max=st.integers(1, 12))
    def pick(self, txs_max: int) -> None:
        picked = self.real.pick(txs_max=txs_max)
        runs = self.naive.runs()
        assert len({tx.txid for tx in picked}) == len(picked)  # nothing twice
        by_lane: dict[Lane, list[Transaction]] = {}
        for tx in picked:
            by_lane.setdefault(lane_of(tx), []).append(tx)
        for lane, txs in by_lane.items():
            assert txs == runs[lane][: len(txs)]  # in order, without a gap
        assert len(picked) == min(txs_max, sum(map(len, runs.values())))
        assert self.real.pick(txs_max=txs_max) == picked  # takes nothing out

    @precondition(lambda self: self.naive.waiting)
    @rule(count=st.integers(1, 5))
    def block_of_ours(self, count: int) -> None:
        block = self.real.pick()[:count]
        self.real.forget(block)
        self.naive.forget(block)

    @rule(sender=st.sampled_from(SENDERS), lane=st.integers(0, 1), count=st.integers(1, 3))
    def block_of_others(self, sender: str, lane: int, count: int) -> None:
        """Its transactions never waited here; some take the nonces of those that do."""
        head = self.naive.next_of((sender_of(sender), lane))
        block = [shape(sender, head + i, lane=lane, size=7) for i in range(count)]
        self.real.forget(block)
        self.naive.forget(block)

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        known = [tx.txid for tx in self.naive.waiting]
        txid = data.draw(st.sampled_from([*known, b"unknown"]))
        self.real.discard(txid)
        self.naive.waiting = [tx for tx in self.naive.waiting if tx.txid != txid]

    @rule(time=st.integers(1, 6))
    def expire(self, time: int) -> None:
        gone = self.real.expire(time)
        late = [tx for tx in self.naive.waiting if tx.body.valid_until < time]
        assert gone == late
        self.naive.waiting = [tx for tx in self.naive.waiting if tx not in late]

    @rule(back=st.integers(0, 12), count=st.integers(0, 4))
    def look_for_old_ones(self, back: int, count: int) -> None:
        picked = self.real.pick(txs_max=count)
        old = self.real.ready_since(self.clock - back, count=count)
        assert [tx for tx in picked if tx in old] == old  # of the next ones, in their order
        assert self.real.ready_since(self.clock + 1, count=count) == picked
        assert self.real.ready_since(0, count=count) == []

    @invariant()
    def they_agree(self) -> None:
        real, naive = self.real, self.naive
        assert len(real) == len(naive.waiting)
        assert real.bytes == sum(len(tx.raw) for tx in naive.waiting)
        assert all(tx.txid in real for tx in naive.waiting)
        assert all(real.by_signed_hash(tx.signed_hash) is tx for tx in naive.waiting)
        runs = naive.runs()
        assert real.has_work == bool(runs)
        assert {tx.txid for tx in real.next_ones()} == {run[0].txid for run in runs.values()}
        for sender in SENDERS:
            for lane in (0, 1):
                key = (sender_of(sender), lane)
                head = naive.next_of(key)
                assert real.next_nonce(key, head) == head + len(runs.get(key, ()))

    @invariant()
    def nothing_is_kept_for_nobody(self) -> None:
        real = self.real
        lanes = {lane_of(tx) for tx in self.naive.waiting}
        assert set(real._lanes) == lanes and set(real._ready) <= lanes
        assert set(real._of_sender) == {sender for sender, _ in lanes}
        assert sum(real._of_sender.values()) == len(real)


class TestMempool(MempoolMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=120, stateful_step_count=40, deadline=None)

    def setUp(self) -> None:
        self._share: Any = module.MEMPOOL_SENDER_TXS_MAX
        module.MEMPOOL_SENDER_TXS_MAX = SENDER_TXS_MAX  # type: ignore[misc]

    def tearDown(self) -> None:
        module.MEMPOOL_SENDER_TXS_MAX = self._share  # type: ignore[misc]


def fill(pool: Mempool, sender: str, count: int, *, size: int = 0) -> None:
    for nonce in range(count):
        pool.add(shape(sender, nonce, size=size), next_nonce=0, now_ms=0)


def test_a_flood_of_one_sender_starves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMPOOL_SENDER_TXS_MAX", 2_000)
    pool = Mempool()
    fill(pool, "flood", 2_000)
    for index in range(30):
        fill(pool, f"quiet{index}", 2)
    picked = pool.pick(txs_max=100)
    quiet = {tx.body.sender for tx in picked} - {sender_of("flood")}
    assert len(quiet) == 30
    # Block after block, whoever had a turn goes to the end of the row.
    for _ in range(4):
        block = pool.pick(txs_max=20)
        pool.forget(block)
    assert not any(sender_of(f"quiet{index}") in pool._of_sender for index in range(30))


def test_every_lane_gets_its_turn_within_a_row_of_blocks() -> None:
    pool = Mempool()
    for index in range(40):
        fill(pool, f"s{index}", 3)
    seen: set[bytes] = set()
    for _ in range(40):
        block = pool.pick(txs_max=3)
        seen |= {tx.body.sender for tx in block}
        pool.forget(block)
    assert len(seen) == 40 and len(pool) == 0


def test_a_pick_fits_into_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMPOOL_SENDER_TXS_MAX", 10_000)
    pool = Mempool()
    fill(pool, "large", 40, size=100_000)
    picked = pool.pick()
    assert sum(len(tx.raw) for tx in picked) <= BLOCK_BYTES_MAX and len(picked) == 14
    pool = Mempool()
    fill(pool, "many", BLOCK_TXS_MAX + 100)
    assert len(pool.pick()) == BLOCK_TXS_MAX


def test_the_room_is_bounded_in_number_and_bytes() -> None:
    pool = Mempool(txs_max=2)
    fill(pool, "a", 2)
    with pytest.raises(Busy) as busy:
        pool.add(shape("b"), next_nonce=0, now_ms=0)
    assert busy.value.retry_after_ms > 0
    assert pool.add(shape("a", 1), next_nonce=0, now_ms=0) is False  # known is not busy
    small = Mempool(bytes_max=len(shape("a").raw))
    fill(small, "a", 1)
    with pytest.raises(Busy):
        small.add(shape("b"), next_nonce=0, now_ms=0)


def test_the_room_is_bounded_in_values_as_they_are_in_memory() -> None:
    """A thousand lines of an order have 7 kB on the wire, and 134 kB opened."""
    one, other = shape("a"), shape("b")
    assert count_parts(((b"x", (1, (2,)), ()), "y")) == 8
    pool = Mempool(parts_max=count_parts(one.body.fields))
    assert pool.add(one, next_nonce=0, now_ms=0)
    with pytest.raises(Busy):
        pool.add(other, next_nonce=0, now_ms=0)
    pool.discard(one.txid)
    assert pool.add(other, next_nonce=0, now_ms=0)


def test_a_refused_newcomer_leaves_no_lane_behind() -> None:
    pool = Mempool()
    with pytest.raises(Rejected) as refusal:
        pool.add(shape("a", 3), next_nonce=5, now_ms=0)
    assert refusal.value.facts == {"next": 5} and not pool._lanes


def test_a_twin_with_other_signatures_is_known() -> None:
    pool = Mempool()
    assert pool.add(shape("a"), next_nonce=0, now_ms=0)
    assert pool.add(shape("a", signer=1), next_nonce=0, now_ms=0) is False
    assert pool.by_signed_hash(shape("a", signer=1).signed_hash) is None
    pool.forget([shape("a", signer=1)])  # a block took the twin: ours is used up too
    assert len(pool) == 0 and pool.bytes == 0
