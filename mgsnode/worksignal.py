"""What the replica was told about work: whether a transaction that could be executed waits.

Its timer of progress runs while it believes so. Said once, taken back when nothing that waits
could be executed: what nobody can propose is no primary's fault (case 31). It judges by the
ledger's door and puts out of the waiting room what fails there. Called from the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from consensus import events as ev
from mgsnode.base.errors import Rejected
from mgsnode.mempool import Mempool
from state.ledger import Ledger


class WorkSignal:
    """See the module's law."""

    def __init__(
        self,
        ledger: Ledger,
        mempool: Mempool,
        *,
        now: Callable[[], ev.Now],
        post: Callable[[ev.Event], None],
    ) -> None:
        self._ledger = ledger
        self._mempool = mempool
        self._now = now
        self._post = post
        self._told = False
        self._came = False  # after we picked for the block that is being built

    def tell(self) -> None:
        """A transaction that could be executed waits."""
        self._came = True
        if not self._told:
            self._told = True
            self._post(ev.Work(True))

    def picking(self) -> None:
        """A block is being built of what waits now."""
        self._came = False

    def nothing_built(self) -> None:
        """What was picked could not be executed, and the replica has heard of it."""
        self._told = False
        if self._came and self._mempool.has_work:
            self.tell()  # it came while we built, when we had told of other work

    def decided(self) -> None:
        """A block was decided: told anew, of what is left."""
        self._told = self._mempool.has_work
        self._post(ev.Work(self._told))

    def look(self) -> None:
        """The timer of progress has fired: is it still so?"""
        if self._told and not self._is_waiting():
            # Nobody can propose it, so its lying here is no primary's fault (case 31).
            self._told = False
            self._post(ev.Work(False))

    def _is_waiting(self) -> bool:
        """Whether what waits can still be executed; what can not goes out of the waiting room."""
        wall_ms = self._now().wall_ms
        for tx in self._mempool.next_ones():
            try:
                self._ledger.check_admission(tx, wall_ms=wall_ms)
            except Rejected:
                self._mempool.discard(tx.txid)
                continue
            if tx.body.valid_until >= wall_ms:
                return True
        return False
