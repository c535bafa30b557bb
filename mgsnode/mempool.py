"""The waiting room: opened and checked transactions until a block takes them. No IO.

Bounded in number, bytes, values in the fields and for each sender: a value of one byte takes
thirty once it is opened. A lane is the queue of one (sender, lane) by nonce; it is ready when its
first nonce is the next one. Picking goes round the ready lanes, a few from each, so that nobody's
flood starves another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from mgsnode.base.codec import Value
from mgsnode.base.errors import Busy, Rejected
from mgsnode.base.limits import (
    BLOCK_BYTES_MAX,
    BLOCK_TXS_MAX,
    MEMPOOL_BYTES_MAX,
    MEMPOOL_PARTS_MAX,
    MEMPOOL_SENDER_TXS_MAX,
    MEMPOOL_TXS_MAX,
)
from mgsnode.base.transaction import BAD_NONCE, Transaction

LaneKey: TypeAlias = tuple[bytes, int]
_ROUND_TXS = 16  # from one lane in one round
_RETRY_MS: Final = 500  # a block or two


def count_parts(fields: Sequence[Value]) -> int:
    """How many values there are in `fields`, lists and what is in them."""
    count = len(fields)
    for value in fields:
        if type(value) is tuple:
            count += count_parts(value)
    return count


class Waiting(NamedTuple):
    """A transaction and since when it waits here, in ms of the steady clock."""

    tx: Transaction
    since_ms: int
    parts: int  # of its fields, see `count_parts`


@dataclass(slots=True)
class _Lane:
    """One (sender, lane): what waits by nonce, and the next nonce of the head."""

    next_nonce: int
    waiting: dict[int, Waiting] = field(default_factory=dict)
    queued: bool = False  # stands among the ready ones

    def is_ready(self) -> bool:
        return self.next_nonce in self.waiting


class Mempool:
    """See the module's law. Transactions must be admitted and their signatures checked before."""

    def __init__(
        self,
        *,
        txs_max: int = MEMPOOL_TXS_MAX,
        bytes_max: int = MEMPOOL_BYTES_MAX,
        parts_max: int = MEMPOOL_PARTS_MAX,
    ) -> None:
        self._txs_max = txs_max
        self._bytes_max = bytes_max
        self._parts_max = parts_max
        self._parts = 0
        self._lanes: dict[LaneKey, _Lane] = {}
        self._ready: dict[LaneKey, None] = {}  # in the order of their turns
        self._by_signed: dict[bytes, Waiting] = {}
        self._by_txid: dict[bytes, Transaction] = {}
        self._of_sender: dict[bytes, int] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_signed)

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._by_txid

    def by_signed_hash(self, signed_hash: bytes) -> Transaction | None:
        """The transaction that a proposal refers to by this hash, if it waits here."""
        held = self._by_signed.get(signed_hash)
        return None if held is None else held.tx

    def has_room_for(self, tx: Transaction) -> None:
        """Raises `Busy` where it cannot be taken now."""
        self._check_room(tx, count_parts(tx.body.fields))

    def _check_room(self, tx: Transaction, parts: int) -> None:
        if (
            len(self._by_signed) >= self._txs_max
            or self.bytes + len(tx.raw) > self._bytes_max
            or self._parts + parts > self._parts_max
        ):
            raise Busy("the waiting room is full", _RETRY_MS)
        if self._of_sender.get(tx.body.sender, 0) >= MEMPOOL_SENDER_TXS_MAX:
            raise Busy("this sender has too much waiting", _RETRY_MS)

    def add(self, tx: Transaction, *, next_nonce: int, now_ms: int) -> bool:
        """Takes a transaction in; False if it (or its twin) waits already.

        `next_nonce` is the head's for its lane. Raises `Busy`, or `Rejected(BAD_NONCE)` where
        another transaction holds its nonce.
        """
        if tx.txid in self._by_txid:
            return False
        body = tx.body
        parts = count_parts(body.fields)
        self._check_room(tx, parts)
        key = (body.sender, body.lane)
        lane = self._lanes.get(key)
        if lane is None:
            lane = _Lane(next_nonce)
        if body.nonce < lane.next_nonce:
            raise Rejected(BAD_NONCE, next=lane.next_nonce)
        if body.nonce in lane.waiting:
            raise Rejected(BAD_NONCE, taken=body.nonce)
        self._lanes[key] = lane
        waiting = Waiting(tx, now_ms, parts)
        lane.waiting[body.nonce] = waiting
        self._by_signed[tx.signed_hash] = waiting
        self._by_txid[tx.txid] = tx
        self._of_sender[body.sender] = self._of_sender.get(body.sender, 0) + 1
        self.bytes += len(tx.raw)
        self._parts += parts
        self._queue(key, lane)
        return True

    def _queue(self, key: LaneKey, lane: _Lane) -> None:
        if not lane.queued and lane.is_ready():
            lane.queued = True
            self._ready[key] = None

    @property
    def has_work(self) -> bool:
        """Whether some lane's next transaction is here."""
        return bool(self._ready)

    def next_ones(self) -> list[Transaction]:
        """The first transaction of each ready lane, in the order of their turns."""
        lanes = self._lanes
        return [lanes[key].waiting[lanes[key].next_nonce].tx for key in self._ready]

    def next_nonce(self, key: LaneKey, head_nonce: int) -> int:
        """The nonce after those of the head and of what waits without a gap."""
        lane = self._lanes.get(key)
        nonce = head_nonce if lane is None else max(head_nonce, lane.next_nonce)
        while lane is not None and nonce in lane.waiting:
            nonce += 1
        return nonce

    def pick(self, *, txs_max: int = BLOCK_TXS_MAX) -> list[Transaction]:
        """What the next block may hold, lanes in turn, nonces in order. Takes nothing out."""
        picked: list[Transaction] = []
        room = BLOCK_BYTES_MAX
        first = islice(self._ready, txs_max)
        turns = deque((key, self._lanes[key].next_nonce) for key in first)
        while turns and len(picked) < txs_max:
            key, nonce = turns.popleft()
            waiting = self._lanes[key].waiting
            for _ in range(_ROUND_TXS):
                held = waiting.get(nonce)
                if held is None or len(picked) >= txs_max:
                    break
                room -= len(held.tx.raw)
                if room < 0:
                    return picked
                picked.append(held.tx)
                nonce += 1
            else:
                turns.append((key, nonce))
        return picked

    def forget(self, txs: Iterable[Transaction]) -> None:
        """A block took these: their nonces are used, and so is whatever held the same ones."""
        for tx in txs:
            key = (tx.body.sender, tx.body.lane)
            lane = self._lanes.get(key)
            if lane is None:
                continue
            lane.next_nonce = max(lane.next_nonce, tx.body.nonce + 1)
            held = lane.waiting.pop(tx.body.nonce, None)
            if held is not None:
                self._drop(held.tx)
            self._settle(key, lane)

    def discard(self, txid: bytes) -> None:
        """Takes one out that can never enter a block."""
        tx = self._by_txid.get(txid)
        if tx is None:
            return
        key = (tx.body.sender, tx.body.lane)
        lane = self._lanes[key]
        del lane.waiting[tx.body.nonce]
        self._drop(tx)
        self._settle(key, lane)

    def _drop(self, tx: Transaction) -> None:
        self._parts -= self._by_signed.pop(tx.signed_hash).parts
        del self._by_txid[tx.txid]
        self.bytes -= len(tx.raw)
        left = self._of_sender[tx.body.sender] - 1
        if left:
            self._of_sender[tx.body.sender] = left
        else:
            del self._of_sender[tx.body.sender]

    def _settle(self, key: LaneKey, lane: _Lane) -> None:
        if not lane.waiting:
            del self._lanes[key]
        if lane.queued:  # whoever had a turn goes to the end of the row
            lane.queued = False
            del self._ready[key]
        if lane.waiting:
            self._queue(key, lane)

    def expire(self, block_time_ms: int) -> list[Transaction]:
        """Takes out what no later block can hold; answers what it was."""
        late = [w.tx for w in self._by_signed.values() if w.tx.body.valid_until < block_time_ms]
        for tx in late:
            self.discard(tx.txid)
        return late

    def heads(self, count: int) -> list[Transaction]:
        """The first transactions of up to `count` ready lanes: each could be executed now."""
        keys = islice(self._ready, count)
        return [(lane := self._lanes[key]).waiting[lane.next_nonce].tx for key in keys]

    def ready_since(self, since_ms: int, *, count: int) -> list[Transaction]:
        """Up to `count` of what the next blocks could hold and has waited since before then."""
        return [
            tx
            for tx in self.pick(txs_max=count)
            if self._by_signed[tx.signed_hash].since_ms < since_ms
        ]
