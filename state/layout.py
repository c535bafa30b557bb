"""The mark of a store: which rows the program that made it writes. Another program's is not opened.

A record that got a field reads no row written without it, and would say so only when it meets one.
So a store is marked when it is made, and whoever opens it compares first. The mark is a file
beside LevelDB's own: it can be read while a node runs, changes nothing, and is no row, so that it
is in no root, no snapshot and no comparison of stores.

1. The mark is on the disk before the store has a head: a store without one is older than marks.
2. It follows from the tables alone: their numbers and names, their records' fields in order with
   the types as they are written, those of records inside them, and `chain.FORMAT`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mgsnode.base.codec import decode_stored
from mgsnode.base.errors import ConfigError
from state.chain import FORMAT
from state.registry import Registry
from state.store import Store, read_mark, write_mark
from state.table import Table

_DIGEST_CHARS: Final = 16  # 64 bits: nobody is to be fooled, only warned
_WORD: Final = re.compile("[A-Za-z_][A-Za-z_0-9]*")


def layout_of(registry: Registry) -> str:
    """The mark of the stores that these families write: `format-digest`."""
    lines = [line for _, table in sorted(registry.tables.items()) for line in _table_lines(table)]
    digest = sha256("\n".join(lines).encode()).hexdigest()
    return f"{FORMAT}-{digest[:_DIGEST_CHARS]}"


def _table_lines(table: Table[Any, Any]) -> Iterator[str]:
    yield f"{table.number} {table.name}"
    yield from _record_lines(table.record)


def _record_lines(record: type) -> Iterator[str]:
    """`name: type` of each field, as its file spells it; after each, the records that it names."""
    module = sys.modules[record.__module__]
    for name, spelled in record.__annotations__.items():
        yield f"{name}: {spelled}"
        for word in _WORD.findall(str(spelled)):
            inner = getattr(module, word, None)
            if isinstance(inner, type) and issubclass(inner, tuple) and hasattr(inner, "_fields"):
                yield from _record_lines(inner)


def new_store(path: Path, registry: Registry) -> Store:
    """As `Store.create`, marked."""
    store = Store.create(path)
    try:
        write_mark(path, layout_of(registry))
    except OSError:
        store.close()
        raise
    return store


def open_store(path: Path, registry: Registry) -> Store:
    """As `Store.open`; `ConfigError` too where `check_layout` says so."""
    check_layout(path, registry)
    return Store.open(path)


def check_layout(path: Path, registry: Registry) -> None:
    """`ConfigError` unless the store in `path` was made by a program that writes the same rows.

    Says nothing where there is no store. Reads one small file, and opens no database.
    """
    mark = read_mark(path)
    if mark is None:
        return
    ours = layout_of(registry)
    if mark != ours:
        raise ConfigError(
            f"the store in {path} was made by a program with another layout of rows (its mark: "
            f"{mark or 'none'}, this program's: {ours}): run that program, or move the folder away,"
            " make it anew with `mgsnode init --genesis` of the same genesis (keys and journal"
            " stay), and sync again or import an archive"
        )


def check_rows(
    rows: Iterable[tuple[bytes, bytes]], registry: Registry, seen: dict[int, bool]
) -> None:
    """`ConfigError` where the first row of a table has other fields than its record.

    For rows that come without a mark, in a snapshot; `seen` are the tables looked at already.
    """
    for key, value in rows:
        number = key[1] if len(key) > 1 else 0
        if number in seen:
            continue
        seen[number] = True
        table, row = registry.tables.get(number), decode_stored(value)
        if table is None or type(row) is not tuple or len(row) != len(table.record._fields):
            raise ConfigError(
                "the snapshot was made by a program with another layout of rows "
                f"({table.name if table else f'table {number}'}): run that program, or take a "
                "snapshot that this one makes"
            )
