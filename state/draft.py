"""A draft: the records that a block has read and written, over a state that it never changes.

Drafts stack: the next block's draft may stand on one that is not committed yet. Each touched
row is decoded once and, at the end, encoded once. It knows neither blocks nor rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol, TypeVar

from mgsnode.base.codec import encode
from state.store import Rows, next_prefix
from state.table import Table

K = TypeVar("K")
R = TypeVar("R")
Changes = list[tuple[bytes, bytes | None]]  # (state key, value or None: gone), keys rising

_UNSEEN: Final[Any] = object()
_GONE: Final[Any] = None  # what stands in a draft for a row that it deleted
_CACHE_RECORDS_MAX: Final = 40_000  # 25 MB: the accounts of twenty full blocks
# Encoded; longer rows are read again each time. Decoded they can take twenty times as much: the
# lines of cheap orders alone would fill a gigabyte.
CACHED_BYTES_MAX: Final = 1_024
_WALK_KEPT_MAX: Final = 64  # rows of one walk: all gateways or a role, not a table of millions


class Reader(Protocol):
    """Records of the state at one point."""

    def get(self, table: Table[K, R], key: K) -> R | None:
        """The record under `key`, or None."""

    def items(
        self, table: Table[K, R], prefix: bytes = b"", *, start: bytes = b""
    ) -> Iterator[tuple[K, R]]:
        """(key, record) in the order of the encoded keys: those that begin with the encoded
        `prefix`, from the encoded key `start` on."""

    def load(self, table: Table[K, R], state_key: bytes) -> R | None:
        """The record of a row of `table`, or None; for drafts."""

    def scan(self, table: Table[K, R], low: bytes, high: bytes | None) -> Iterator[tuple[bytes, R]]:
        """(state key, record) from `low` to before `high`; for drafts."""


def _bounds(table: Table[Any, Any], prefix: bytes, start: bytes) -> tuple[bytes, bytes | None]:
    whole = table.prefix + prefix
    return max(whole, table.prefix + start), next_prefix(whole)


class StateReader:
    """Decoded records straight from the rows of a `Store` or `Snapshot`; keeps nothing."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, table: Table[K, R], key: K) -> R | None:
        """As `Reader.get`. Raises `Corrupt`."""
        return self.load(table, table.state_key(key))

    def items(
        self, table: Table[K, R], prefix: bytes = b"", *, start: bytes = b""
    ) -> Iterator[tuple[K, R]]:
        """As `Reader.items`."""
        for state_key, record in self.scan(table, *_bounds(table, prefix, start)):
            yield table.key_of(state_key), record

    def load(self, table: Table[K, R], state_key: bytes) -> R | None:
        """As `Reader.load`."""
        raw = self._rows.get(state_key)
        return None if raw is None else table.decode_record(raw)

    def scan(self, table: Table[K, R], low: bytes, high: bytes | None) -> Iterator[tuple[bytes, R]]:
        """As `Reader.scan`."""
        for state_key, raw in self._rows.iterate(start=low, stop=high):
            yield state_key, table.decode_record(raw)


class RecordCache(StateReader):
    """The committed records of a `Store`, the recently used ones decoded in memory.

    It is right as long as every committed draft is handed to `absorb`, right after its batch.
    Two generations: what is read moves to the young one; when that is full the old one goes.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, rows: Rows, *, records_max: int = _CACHE_RECORDS_MAX) -> None:
        super().__init__(rows)
        self._half = records_max // 2
        self._young: dict[bytes, Any] = {}
        self._old: dict[bytes, Any] = {}

    def load(self, table: Table[K, R], state_key: bytes) -> R | None:
        """As `Reader.load`."""
        record: R | None = self._young.get(state_key)
        if record is not None:
            return record
        record = self._old.get(state_key)
        if record is None:
            raw = self._rows.get(state_key)
            if raw is None:
                return None  # what is not there is not remembered: strangers could fill it
            record = table.decode_record(raw)
            if len(raw) > CACHED_BYTES_MAX:
                return record
        self._keep(state_key, record)
        return record

    def scan(self, table: Table[K, R], low: bytes, high: bytes | None) -> Iterator[tuple[bytes, R]]:
        """As `Reader.scan`; what is in memory is not decoded again. It ends before `absorb`."""
        for place, (state_key, raw) in enumerate(self._rows.iterate(start=low, stop=high)):
            record: R | None = self._young.get(state_key)
            if record is None:
                record = self._old.get(state_key)
                if record is None:
                    record = table.decode_record(raw)
                if place < _WALK_KEPT_MAX and len(raw) <= CACHED_BYTES_MAX:
                    self._keep(state_key, record)
            yield state_key, record

    def absorb(self, draft: Draft) -> None:
        """Take over what `draft` wrote; its changes have just been committed."""
        self.take(draft.news())

    def take(self, news: Iterable[tuple[bytes, Any]]) -> None:
        """As `absorb`, of what `Draft.news` gave."""
        for state_key, record in news:
            if record is None:
                self._young.pop(state_key, None)
                self._old.pop(state_key, None)
            else:
                self._keep(state_key, record)

    def _keep(self, state_key: bytes, record: Any) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[state_key] = record


class Draft:
    """Records over a parent `Reader`. What `put` was given must not be changed afterwards.

    `begin` marks a point; `rollback` undoes every write since the last `begin`, so that a
    refused transaction leaves nothing.
    """

    __slots__ = ("_long", "_parent", "_records", "_undo", "_written")

    def __init__(self, parent: Reader) -> None:
        self._parent = parent
        self._records: dict[bytes, Any] = {}  # state key -> record or None, read or written
        self._long: dict[bytes, None] = {}  # what of its `changes` no cache keeps
        self._written: defaultdict[Table[Any, Any], dict[bytes, None]] = defaultdict(dict)
        # (the table's writes, state key, record before, whether it was written before)
        self._undo: list[tuple[dict[bytes, None], bytes, Any, bool]] = []

    def get(self, table: Table[K, R], key: K) -> R | None:
        """The record under `key`, or None."""
        # `state_key` and `load` in one: most of an execution's reads end here.
        state_key = table.prefix + table.encode_key(key)
        record: R | None = self._records.get(state_key, _UNSEEN)
        if record is _UNSEEN:
            record = self._parent.load(table, state_key)
            if not table.is_long:
                self._records[state_key] = record
        return record

    def load(self, table: Table[K, R], state_key: bytes) -> R | None:
        """As `Reader.load`."""
        record: R | None = self._records.get(state_key, _UNSEEN)
        if record is _UNSEEN:
            record = self._parent.load(table, state_key)
            if not table.is_long:
                self._records[state_key] = record
        return record

    def put(self, table: Table[K, R], key: K, record: R) -> None:
        """Write `record` under `key`."""
        state_key = table.prefix + table.encode_key(key)
        records, written = self._records, self._written[table]
        before = records.get(state_key, _UNSEEN)
        self._undo.append((written, state_key, before, state_key in written))
        records[state_key] = record
        written[state_key] = None

    def delete(self, table: Table[K, R], key: K) -> None:
        """Remove the record under `key`; fine if there is none."""
        self.put(table, key, _GONE)

    def begin(self) -> None:
        """From here on `rollback` undoes."""
        self._undo.clear()

    @property
    def writes(self) -> int:
        """How many writes there were since `begin`."""
        return len(self._undo)

    def check_written(self) -> None:
        """Encode what was written since `begin`: what is raised, `changes` would raise."""
        for _, state_key, _, _ in self._undo:
            encode(self._records[state_key] or ())

    def rollback(self) -> None:
        """Undo every write since `begin`."""
        for written, state_key, before, was_written in reversed(self._undo):
            if before is _UNSEEN:
                del self._records[state_key]
            else:
                self._records[state_key] = before
            if not was_written:
                del written[state_key]
        self._undo.clear()

    def items(
        self, table: Table[K, R], prefix: bytes = b"", *, start: bytes = b""
    ) -> Iterator[tuple[K, R]]:
        """As `Reader.items`, with this draft's writes of the moment the walk begins.

        Costs a pass over the rows of `table` written so far.
        """
        for state_key, record in self.scan(table, *_bounds(table, prefix, start)):
            yield table.key_of(state_key), record

    def scan(self, table: Table[K, R], low: bytes, high: bytes | None) -> Iterator[tuple[bytes, R]]:
        """As `Reader.scan`: the parent's rows and ours merged, ours first where both have one."""
        if not self._written.get(table):
            yield from self._parent.scan(table, low, high)
            return
        mine: dict[bytes, R | None] = {
            state_key: self._records[state_key]
            for state_key in sorted(self._written[table])
            if low <= state_key and (high is None or state_key < high)
        }
        ours = iter(mine.items())
        key, record = next(ours, (None, None))
        for parent_key, parent_record in self._parent.scan(table, low, high):
            while key is not None and key < parent_key:
                if record is not None:
                    yield key, record
                key, record = next(ours, (None, None))
            if parent_key not in mine:
                yield parent_key, parent_record
        while key is not None:
            if record is not None:
                yield key, record
            key, record = next(ours, (None, None))

    def changes(self) -> Changes:
        """What was written: (state key, encoded value or None), keys rising, each key once."""
        records = self._records
        out: Changes = []
        for table, written in self._written.items():
            encode = table.encode_record
            for state_key in written:
                record = records[state_key]
                out.append((state_key, None if record is None else encode(record)))
        out.sort()
        self._long = {key: None for key, raw in out if raw and len(raw) > CACHED_BYTES_MAX}
        return out

    def news(self) -> Iterator[tuple[bytes, Any]]:
        """As `written`, for caches, once the changes were asked for: of long rows None."""
        if not self._long:
            return self.written()
        return ((key, None if key in self._long else record) for key, record in self.written())

    def written(self) -> Iterator[tuple[bytes, Any]]:
        """(state key, record or None) of every row written, in no order."""
        records = self._records
        for written in self._written.values():
            for state_key in written:
                yield state_key, records[state_key]

    def rebase(self, parent: Reader) -> None:
        """Stand on `parent` instead: an equal state, now that our old parent is committed."""
        self._parent = parent
