"""Rows of a CSV file by the columns that are asked for; whatever is wrong is named by its line.

It knows CSV, not what a column means: who reads a row raises `BadCell` for that, and the path is
added here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mgsnode.base.errors import ConfigError

T = TypeVar("T")


class BadCell(Exception):
    """What is wrong and where, without the path."""


def bad(line: int, column: str, why: str) -> BadCell:
    """A fault of one cell."""
    return BadCell(f"line {line}: {column}: {why}")


def read_rows(path: Path, columns: Sequence[str], read: Callable[[int, list[str]], T]) -> list[T]:
    """What `read(line, cells)` makes of each row; the cells are those of `columns`, in their order.

    A row's line is where it ends. Raises `ConfigError` with path and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                return _read(reader, columns, read)
            except csv.Error as error:
                raise BadCell(f"line {reader.line_num}: not CSV ({error})") from None
    except BadCell as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (near byte {error.start})") from None


def _read(
    reader: Any,  # csv has no name for its reader
    columns: Sequence[str],
    read: Callable[[int, list[str]], T],
) -> list[T]:
    names = next(reader, None)
    places = _places(columns, names)
    width = len(names or ())
    rows: list[T] = []
    for cells in reader:
        if not cells:
            continue  # an empty line
        if len(cells) != width:
            raise BadCell(f"line {reader.line_num}: has {len(cells)} columns, not {width}")
        rows.append(read(reader.line_num, [cells[place] for place in places]))
    if not rows:
        raise BadCell("has no rows below its header")
    return rows


def _places(columns: Sequence[str], names: list[str] | None) -> list[int]:
    """Where each of `columns` stands."""
    if not names:
        raise BadCell("is empty; its first line names the columns " + ", ".join(columns))
    missing = [name for name in columns if name not in names]
    if missing:
        raise BadCell("line 1: column missing: " + ", ".join(missing))
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise BadCell("line 1: column named twice: " + ", ".join(twice))
    return [names.index(name) for name in columns]
