"""Runs `mgsnode` with a wall clock that is off by what a file says; a test moves it as it runs.

The product knows nothing of it: it reads `time.time_ns`, and here that is another function. The
file holds eight bytes, the offset in milliseconds, signed; it is mapped into memory.
"""

from __future__ import annotations

import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path

OFFSET_BYTES = 8
_MS_NS = 1_000_000


def write_offset(path: Path, offset_ms: int) -> None:
    """Move the clock of whoever runs with this file."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(offset_ms.to_bytes(OFFSET_BYTES, "little", signed=True))


def move_clock(path: Path) -> None:
    """From now on this process's wall clock is off by what `path` says at the moment."""
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), OFFSET_BYTES, prot=mmap.PROT_READ)
    true_ns: Callable[[], int] = time.time_ns

    def time_ns() -> int:
        return true_ns() + int.from_bytes(offset[:OFFSET_BYTES], "little", signed=True) * _MS_NS

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if __name__ == "__main__":
    move_clock(Path(sys.argv.pop(1)))
    from mgsnode.cli.main import main

    main()
