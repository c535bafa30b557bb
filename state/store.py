"""One LevelDB: rows of bytes, written all or nothing, read back as written or not at all.

The only file that imports plyvel. It knows no key of ours. Why it is safe:

1. `paranoid_checks` and checksums on every read: with LevelDB's defaults one flipped bit in the
   log silently lost 147 batches; here it is `Corrupt`.
2. A store is made by `create` only: with `create_if_missing` a lost CURRENT opens as empty.
3. A batch is one synced write, and nothing when its body raises (plyvel writes the first half
   unless told `transaction=True`).
4. The database closes when the last snapshot and iterator are done: closing under a reader can
   crash the process (plyvel's documentation).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol

import plyvel

from mgsnode.base.errors import ConfigError, Corrupt, Locked

LAYOUT_FILE: Final = "LAYOUT"  # no name of LevelDB's, which leaves it alone
_MARK_BYTES_MAX: Final = 64
_MIB = 1024 * 1024
# LevelDB maps table files into memory: files open x file size bounds what that adds to the RSS.
# Measured on 400,000 rows, checksums on: a row costs 4 us so, and 8 to 12 us with snappy, which
# saves little of what we keep (hashes, signatures).
_OPTIONS: Final[dict[str, Any]] = {
    "paranoid_checks": True,
    "compression": None,
    "block_size": 2_048,  # what a read checks and searches; 4 us a row against 6 at 4,096
    "write_buffer_size": 16 * _MIB,  # two of them at most; fewer, larger compactions
    "lru_cache_size": 8 * _MIB,  # mapped blocks are not cached twice
    "max_open_files": 110,  # 10 of them are not tables
    "max_file_size": 2 * _MIB,
    "bloom_filter_bits": 10,  # 1.25 MB for a million rows; an absent row costs no read
}


class Rows(Protocol):
    """Whatever rows can be read from: a `Store` or a `Snapshot`."""

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) in the order of the keys; `start` is included, `stop` is not."""


@dataclass(slots=True)
class StoreStats:
    """What a store has written since it was opened; `bench/` and the metrics read it."""

    batches: int = 0
    syncs: int = 0
    bytes_written: int = 0  # keys and values as handed over, before LevelDB's own work


class Batch:
    """Writes that happen together; made by `Store.batch` only."""

    __slots__ = ("_size", "delete", "put")

    def __init__(self, write_batch: Any) -> None:
        # Bound straight to plyvel's methods: a block puts thousands of rows.
        self.put: Callable[[bytes, bytes], None] = write_batch.put
        self.delete: Callable[[bytes], None] = write_batch.delete
        self._size: Callable[[], int] = write_batch.approximate_size

    @property
    def size(self) -> int:
        """Bytes in the batch so far."""
        return self._size()


def _raise(error: Exception, path: Path) -> NoReturn:
    """Our error for plyvel's. What is no lock and no corruption is an OSError: stop."""
    text = str(error.args[0].decode(errors="replace") if error.args else error)
    if text.startswith("IO error: lock "):
        raise Locked(f"store {path} is in use by another process") from None
    if "does not exist (create_if_missing is false)" in text:
        raise Corrupt(f"store {path}: its CURRENT file is missing") from None
    raise Corrupt(f"store {path}: {text}") from None


class Snapshot:
    """The rows as they were at one moment; safe to read from other threads.

    Close it (or leave its `with`): the store waits for it with closing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()  # no reading while closing
        store._enter()
        self._snapshot: Any = store._db.snapshot()

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None. Raises `Corrupt`."""
        with self._lock:
            assert self._snapshot is not None, "a closed snapshot was read"
            try:
                value: bytes | None = self._snapshot.get(key, verify_checksums=True)
            except plyvel.Error as error:
                _raise(error, self._store.path)
        return value

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `Rows.iterate`; goes on after the snapshot was closed. Raises `Corrupt`."""
        with self._lock:
            assert self._snapshot is not None, "a closed snapshot was read"
            return self._store._walk(self._snapshot, prefix, start, stop, reverse)

    def close(self) -> None:
        """Let go of the moment; a second time is fine."""
        with self._lock:
            if self._snapshot is None:
                return
            self._snapshot.close()
            self._snapshot = None
        self._store._leave()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Store:
    """An open LevelDB. One process at a time; written by one thread, snapshots for the others."""

    def __init__(self, path: Path, db: Any) -> None:
        self.path = path
        self.stats = StoreStats()
        self._db = db
        self._lock = Lock()
        self._users = 1  # this store itself, its snapshots and running iterators
        self._closed = False
        self._let_go = Event()

    @classmethod
    def create(cls, path: Path) -> Store:
        """A new, empty store in the folder `path`; `ConfigError` if one is there already."""
        path.mkdir(parents=True, exist_ok=True)
        if (path / "CURRENT").exists():
            raise ConfigError(f"there is a store in {path} already")
        if any(name.suffix in (".ldb", ".log", ".sst") for name in path.iterdir()):
            raise Corrupt(f"store {path}: its CURRENT file is missing")
        return cls._open(path, create_if_missing=True, error_if_exists=True)

    @classmethod
    def open(cls, path: Path) -> Store:
        """The store in `path`. Raises `ConfigError` (none there), `Locked`, `Corrupt`."""
        if not path.is_dir() or not any(path.iterdir()):
            raise ConfigError(f"there is no store in {path}")
        return cls._open(path)

    @classmethod
    def _open(cls, path: Path, **more: bool) -> Store:
        try:
            return cls(path, plyvel.DB(str(path), **_OPTIONS, **more))
        except plyvel.Error as error:
            _raise(error, path)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None. Raises `Corrupt`."""
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as error:
            _raise(error, self.path)
        return value

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `Rows.iterate`, over the rows of the moment of the call. Raises `Corrupt`."""
        return self._walk(self._db, prefix, start, stop, reverse)

    def _walk(
        self, source: Any, prefix: bytes, start: bytes | None, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        low = prefix if start is None else max(start, prefix)
        high = next_prefix(prefix)
        if stop is not None:
            high = stop if high is None else min(stop, high)
        try:
            rows = source.iterator(
                start=low, stop=high, include_stop=False, reverse=reverse, verify_checksums=True
            )
        except plyvel.Error as error:
            _raise(error, self.path)
        return self._drain(rows)

    def _drain(self, rows: Any) -> Iterator[tuple[bytes, bytes]]:
        self._enter()
        try:
            yield from rows
        except plyvel.Error as error:
            _raise(error, self.path)
        finally:
            rows.close()
            self._leave()

    @contextmanager
    def batch(self, *, sync: bool = True) -> Iterator[Batch]:
        """Collect writes, then write them at once, synced; nothing if the body raises.

        A write that fails raises OSError (or `Corrupt`): the process has to stop.
        """
        write_batch = self._db.write_batch(transaction=True, sync=sync)
        batch = Batch(write_batch)
        yield batch
        size = batch.size
        try:
            write_batch.write()
        except plyvel.CorruptionError as error:
            _raise(error, self.path)
        except plyvel.Error as error:
            raise OSError(f"store {self.path}: {error}") from error
        self.stats.batches += 1
        self.stats.syncs += sync
        self.stats.bytes_written += size

    def compact(self) -> None:
        """Rewrite the tables in order and drop what was overwritten; slow on a large store."""
        try:
            self._db.compact_range()
        except plyvel.Error as error:
            _raise(error, self.path)

    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return Snapshot(self)

    def close(self) -> None:
        """Close now, or as soon as the last snapshot and iterator are done."""
        if not self._closed:
            self._closed = True
            self._leave()

    def wait_closed(self, timeout_s: float) -> bool:
        """After `close`: wait for the last reader; whether the database may be opened again."""
        return self._let_go.wait(timeout_s)

    def _enter(self) -> None:
        with self._lock:
            assert self._users, "a closed store was read"
            self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._db.close()
                self._let_go.set()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_mark(path: Path, mark: str) -> None:
    """Put a line of ASCII beside the store in `path`, on the disk when this returns."""
    with (path / LAYOUT_FILE).open("w", encoding="ascii") as file:
        file.write(mark + "\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_mark(path: Path) -> str | None:
    """What `write_mark` put there, without opening the store: "" for nothing, None for no store."""
    if not path.is_dir() or not any(path.iterdir()):
        return None
    try:
        with (path / LAYOUT_FILE).open("rb") as file:
            return file.read(_MARK_BYTES_MAX).decode("ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


def next_prefix(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
