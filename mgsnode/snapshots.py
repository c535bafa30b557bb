"""The shelf of a home's snapshots: `data/snapshots/HEIGHT/`, one file for each item.

A folder with a height's name is a whole snapshot: it is written under another name and renamed
when every file is on the disk. What stands in the files is believed by nobody; who reads them
checks them. The vote journal is never in one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.base.genesis import Genesis
from state.restore import make_snapshot, restore
from state.snapshot import (
    HEAD,
    ITEM_BYTES_MAX,
    Item,
    SnapshotHead,
    check_item,
    item_name,
    items_of,
    open_head,
)
from state.store import Rows

WANTED: Final = "wanted"  # a file with this name asks the running node for a snapshot
_MAKING: Final = ".making"
_SORTING: Final = ".sorting"


class Shelf:
    """The snapshots of one home. Methods may be called from any thread, makers one at a time."""

    def __init__(self, root: Path, genesis: Genesis) -> None:
        self.root = root
        self.genesis = genesis

    def heights(self) -> list[int]:
        """The heights of whole snapshots, rising."""
        if not self.root.is_dir():
            return []
        return sorted(
            int(path.name)
            for path in self.root.iterdir()
            if path.name.isdecimal() and (path / item_name(HEAD)).is_file()
        )

    def folder(self, height: int) -> Path:
        """Where the snapshot of a height stands."""
        return self.root / str(height)

    def read(self, height: int, item: Item) -> bytes | None:
        """An item's bytes as they stand there, or None. `Malformed` if it is too long."""
        return read_item(self.folder(height), item)

    def load(self, height: int) -> SnapshotHead:
        """The head of a snapshot, checked. `ConfigError` if there is none, `Malformed`."""
        return load_head(self.folder(height), self.genesis)

    def making(self, height: int) -> Path:
        """The folder in which a height's snapshot is put together."""
        path = self.root / f"{height}{_MAKING}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, height: int) -> None:
        """All files are there: make them durable, then the snapshot whole."""
        making = self.making(height)
        _sync(making)
        shutil.rmtree(self.folder(height), ignore_errors=True)
        making.rename(self.folder(height))
        _sync(self.root)

    def create(self, rows: Rows, *, pause: Callable[[], None] = lambda: None) -> SnapshotHead:
        """Make the snapshot of the head of `rows`; an existing one of that height is replaced."""
        from state.chain import read_head

        height = read_head(rows)[0].height
        making = self.making(height)
        scratch = self.root / f"{height}{_SORTING}"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(making)
        making.mkdir()

        def write(item: Item, raw: bytes) -> None:
            write_item(making, item, raw)
            pause()

        with ExitStack() as on_failure:
            on_failure.callback(shutil.rmtree, making, ignore_errors=True)
            try:
                head = make_snapshot(rows, self.genesis, scratch, write, pause=pause)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            on_failure.pop_all()
        self.finish(height)
        return head

    def take(self, folder: Path) -> Path:
        """Copy the snapshot in `folder`, already checked, onto this shelf."""
        height = load_head(folder, self.genesis).header.height
        if folder.resolve() != self.folder(height).resolve():
            shutil.rmtree(self.making(height))
            shutil.copytree(folder, self.root / f"{height}{_MAKING}")
            self.finish(height)
        return self.folder(height)

    def drop_old(self, keep: int, *, base: int) -> None:
        """Throw away all but the newest `keep`; the one our store began with (`base`) stays."""
        old = [height for height in self.heights() if height != base]
        for height in old[: max(0, len(old) - keep)]:
            shutil.rmtree(self.folder(height), ignore_errors=True)

    def sweep(self) -> None:
        """Throw away what interrupted work left; nobody may be making one."""
        for path in self.root.glob("*.*") if self.root.is_dir() else ():
            if path.suffix in (_MAKING, _SORTING):
                shutil.rmtree(path, ignore_errors=True)

    def is_wanted(self) -> bool:
        """Whether somebody asked for a snapshot since the last call."""
        try:
            (self.root / WANTED).unlink()
        except FileNotFoundError:
            return False
        return True

    def want(self) -> None:
        """Ask the node that runs on this home for a snapshot."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / WANTED).touch()


def write_item(folder: Path, item: Item, raw: bytes) -> None:
    """Put an item's file, on the disk when this returns."""
    with (folder / item_name(item)).open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def read_item(folder: Path, item: Item) -> bytes | None:
    """An item's file, or None. Its length is asked before it is read (case 46)."""
    path = folder / item_name(item)
    try:
        if path.stat().st_size > ITEM_BYTES_MAX:
            raise Malformed(f"{path.name} is longer than {ITEM_BYTES_MAX} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def load_head(folder: Path, genesis: Genesis) -> SnapshotHead:
    """The head of the snapshot in `folder`, checked; `ConfigError` if there is none."""
    raw = read_item(folder, HEAD)
    if raw is None:
        raise ConfigError(f"there is no snapshot in {folder}")
    return open_head(raw, genesis)


def verify_folder(
    folder: Path,
    genesis: Genesis,
    *,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> SnapshotHead:
    """Check every item of a snapshot. `Corrupt` names the first that is missing or wrong."""
    head = load_head(folder, genesis)
    items = items_of(head)
    for done, item in enumerate(items):
        raw = read_item(folder, item)
        try:
            if raw is None:
                raise Malformed("it is missing")
            check_item(head, item, raw)
        except Malformed as error:
            raise Corrupt(f"snapshot {folder}: {item_name(item)}: {error.why}") from None
        progress(done + 1, len(items))
    return head


def restore_store(folder: Path, genesis: Genesis, store: Path) -> SnapshotHead:
    """Make the store of the snapshot in `folder` and put it in the place of `store`.

    The caller has seen that what is in `store` may go. `Corrupt` where an item does not hold;
    then `store` is as before.
    """
    making = store.with_name("store.making")
    shutil.rmtree(making, ignore_errors=True)

    def read(item: Item) -> bytes:
        raw = read_item(folder, item)
        if raw is None:
            raise Malformed(f"{item_name(item)} is missing")
        return raw

    try:
        head = restore(making, genesis, read)
    except Malformed as error:
        shutil.rmtree(making, ignore_errors=True)
        raise Corrupt(f"snapshot {folder}: {error.why}") from None
    old = store.with_name("store.old")
    shutil.rmtree(old, ignore_errors=True)
    if store.exists():
        store.rename(old)
    making.rename(store)
    _sync(store.parent)
    shutil.rmtree(old, ignore_errors=True)
    return head


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
