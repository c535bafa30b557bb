"""The running node's snapshots: when one is made, beside the chain, and what peers are given.

One at a time, in a thread, from a frozen view; votes go first. At a multiple of `every` all
nodes make the same one, so that a newcomer can ask several for its chunks. Where a height's cannot
be made (the receipts of a full block of payments to many can be longer than an item, and filling
one block is cheap), one of the heights after it is tried.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from mgsnode.base.errors import ConfigError, Malformed, MgsError
from mgsnode.snapshots import Shelf
from state.snapshot import Item, SnapshotHead
from state.view import View

_log = structlog.get_logger("mgsnode.keeper")
_RETRIES: Final = 16  # heights after one whose snapshot could not be made
_PAUSE_S: Final = 0.01  # after every 10 ms of work: the interpreter is the node's own


class _Stopped(MgsError):
    """The node ends; the snapshot under way is thrown away."""


class Keeper:
    """See the module's law. Methods are called from the event loop."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        every: int,
        keep: int,
        base: int,
        view: Callable[[], View],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        """`every` 0: only when asked; `base` is the height that our store began with."""
        self._shelf = shelf
        self._every = every
        self._keep = keep
        self._base = base
        self._view = view
        self._spawn = spawn
        self._is_making = False
        self._stopped = False
        self._retries = 0  # left; while there are any, the last one could not be made
        shelf.sweep()
        self._heights = shelf.heights()

    def on_committed(self, height: int, *, is_busy: bool) -> None:
        """A height is durable: perhaps it is one of those that all make a snapshot of.

        Not of a node that is catching up or has no room on its disk (`is_busy`).
        """
        if not self._every or is_busy:
            return
        if height % self._every == 0:
            self._start()
        elif self._retries and not self._is_making:
            self._retries -= 1
            self._start()

    def look(self) -> None:
        """Now and then: has somebody asked for a snapshot?"""
        if not self._is_making and self._shelf.is_wanted():
            self._start()

    def stop(self) -> None:
        """Give up the one under way."""
        self._stopped = True

    def heights(self) -> Sequence[int]:
        """What is offered, rising."""
        return self._heights

    def item(self, height: int, item: Item) -> bytes | None:
        """An item as it stands on the disk, or None."""
        if height not in self._heights:
            return None
        try:
            return self._shelf.read(height, item)
        except Malformed:
            return None  # somebody touched our files; who asks will find it elsewhere

    def _start(self) -> None:
        if self._is_making:
            _log.warning("a snapshot is left out: the one before is not done")
            return
        self._is_making = True
        self._spawn(self._make(self._view()))

    async def _make(self, view: View) -> None:
        start_s = time.monotonic()
        try:
            head = await asyncio.to_thread(self._create, view)
        except _Stopped:
            return
        except (MgsError, OSError) as error:  # no room for it: what was written is gone
            _log.error("no snapshot could be made", why=str(error))
            if isinstance(error, ConfigError) and view.height % max(1, self._every) == 0:
                self._retries = _RETRIES
            return
        finally:
            view.close()
            self._is_making = False
            self._heights = self._shelf.heights()
        self._retries = 0
        _log.info(
            "snapshot", height=head.header.height, root=head.header.state_root.hex(),
            chunks=len(head.prefixes), seconds=round(time.monotonic() - start_s, 1),
        )  # fmt: skip

    def _create(self, view: View) -> SnapshotHead:
        head = self._shelf.create(view.rows, pause=self._pause)
        self._shelf.drop_old(self._keep, base=self._base)
        return head

    def _pause(self) -> None:
        if self._stopped:
            raise _Stopped("the node ends")
        time.sleep(_PAUSE_S)
