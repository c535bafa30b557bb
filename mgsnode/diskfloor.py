"""Whether there is room on the disk: below a floor this node votes for nothing (case 44).

It looks when it is told to and says so only when the answer changes. What follows from it (no
votes, nothing made durable, reads served) is for those who hear of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

_log = structlog.get_logger("mgsnode.diskfloor")


class DiskFloor:
    """See the module's law."""

    def __init__(
        self, path: Path, *, free_bytes_min: int, on_change: Callable[[str], None]
    ) -> None:
        """`path` is on the disk in question; `on_change` hears why there is no room, or ""."""
        self._path = path
        self._free_bytes_min = free_bytes_min
        self._on_change = on_change
        self.why = ""  # there is no room; "" if there is

    def look(self) -> None:
        """Asks the system. `OSError` ends the node."""
        free, floor = shutil.disk_usage(self._path).free, self._free_bytes_min
        why = f"{free // 2**20} MiB free on the disk, the floor is {floor // 2**20}"
        why = why if free < floor else ""
        if bool(why) != bool(self.why):
            _log.warning("disk", why=why or "room again")
            self._on_change(why)
        self.why = why
