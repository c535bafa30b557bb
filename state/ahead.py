"""An audited chain read ahead: others look at its hashes and signatures while it is executed.

A `Source` that keeps the bytes which it gave out, so what is judged is what was looked at. What
fails while it reads ahead fails when the audit comes to that height, as if it was read then. At
most `AHEAD_BYTES` and one batch are held, however long the chain is. It starts no process and
knows no clock: `Workers` come from the roof, and how long an answer may take is theirs to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from mgsnode.base.errors import MgsError
from mgsnode.base.validators import ValidatorSet
from state.looked import Checks, Looked, Question, Told, Work
from state.source import Source

BATCH_BYTES: Final = 64 * 1024  # about 200 transfers: 15 ms of work, the trip costs 0.3 ms
BATCH_HEIGHTS: Final = 32  # of an idle chain: 6 ms for the signatures of its certificates
AHEAD_BYTES: Final = 32 * 1024 * 1024  # blocks that wait: 20 of the largest, 500 batches of others
assert BATCH_BYTES < AHEAD_BYTES

Answer = Callable[[], Sequence[Looked]]  # waits for it; `MgsError` where there will be none


class Workers(NamedTuple):
    """Who looks ahead. `ask` takes work and returns at once."""

    ask: Callable[[Work], Answer]
    batches_max: int  # how many pieces of work may be under way


class _Kept(NamedTuple):
    """The bytes of one height, or why they could not be read."""

    block: bytes | MgsError | OSError | None
    certificate: bytes | MgsError | OSError | None

    def size(self) -> int:
        return sum(len(part) for part in self if isinstance(part, bytes))


class _Batch:
    """Some heights in a row that were given out as one piece of work."""

    def __init__(self, first: int, kept: list[_Kept], members: ValidatorSet) -> None:
        self.first = first
        self.kept = kept
        self.members = members
        self.size = sum(each.size() for each in kept)
        self.answer: Answer = list
        self._found: Sequence[Looked] | None = None

    @property
    def end(self) -> int:
        return self.first + len(self.kept)

    def questions(self) -> tuple[Question, ...]:
        return tuple(Question(*map(_bytes_or_none, each)) for each in self.kept)

    def found(self, height: int) -> Looked:
        if self._found is None:
            self._found = self.answer()
            if len(self._found) != len(self.kept):
                raise MgsError("a worker's answer does not fit what it was asked")
        return self._found[height - self.first]


class Ahead:
    """A `Source` of the heights of `heights`, each asked for in order, with `Checks` of each."""

    def __init__(
        self,
        source: Source,
        workers: Workers,
        *,
        heights: range,
        genesis_hash: bytes,
        members: Callable[[], ValidatorSet],  # who certifies what follows, as known now
    ) -> None:
        self._source = source
        self._workers = workers
        self._next, self._end = heights.start, heights.stop
        self._genesis_hash = genesis_hash
        self._members = members
        self._batches: deque[_Batch] = deque()

    def head(self) -> int:
        """As `Source.head`."""
        return self._source.head()

    def block(self, height: int) -> bytes | None:
        """As `Source.block`."""
        return _as_read(self._kept(height).block)

    def certificate(self, height: int) -> bytes | None:
        """As `Source.certificate`."""
        return _as_read(self._kept(height).certificate)

    def receipts(self, height: int) -> tuple[bytes, ...] | None:
        """As `Source.receipts`; they are not read ahead."""
        return self._source.receipts(height)

    def checks(self, height: int) -> Checks:
        """What was found at `height`; waits for it."""
        batch = self._batch(height)
        return Told(batch.found(height), batch.members)

    def _kept(self, height: int) -> _Kept:
        batch = self._batch(height)
        return batch.kept[height - batch.first]

    def _batch(self, height: int) -> _Batch:
        while self._batches and self._batches[0].end <= height:
            self._batches.popleft()
        self._fill()
        batch = self._batches[0]
        assert batch.first <= height < batch.end, "heights are asked for in order"
        return batch

    def _fill(self) -> None:
        held = sum(batch.size for batch in self._batches)
        while (
            self._next < self._end
            and held < AHEAD_BYTES
            and len(self._batches) < self._workers.batches_max
        ):
            batch = self._read_batch()
            batch.answer = self._workers.ask(
                Work(self._genesis_hash, batch.members, batch.questions())
            )
            self._batches.append(batch)
            held += batch.size

    def _read_batch(self) -> _Batch:
        first, kept, size = self._next, list[_Kept](), 0
        while self._next < self._end and len(kept) < BATCH_HEIGHTS and size < BATCH_BYTES:
            each = self._read(self._next)
            kept.append(each)
            size += each.size()
            self._next += 1
            if not isinstance(each.block, bytes):
                self._end = self._next  # the audit ends there too
        return _Batch(first, kept, self._members())

    def _read(self, height: int) -> _Kept:
        block = _read(self._source.block, height)
        certificate = _read(self._source.certificate, height) if isinstance(block, bytes) else None
        return _Kept(block, certificate)


def _read(read: Callable[[int], bytes | None], height: int) -> bytes | MgsError | OSError | None:
    try:
        return read(height)
    except (MgsError, OSError) as error:
        return error


def _as_read(part: bytes | MgsError | OSError | None) -> bytes | None:
    if isinstance(part, (MgsError, OSError)):
        raise part
    return part


def _bytes_or_none(part: bytes | MgsError | OSError | None) -> bytes:
    return part if isinstance(part, bytes) else b""
