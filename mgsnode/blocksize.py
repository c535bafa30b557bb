"""How many transactions a block of ours may have: the batch is cut, not the round (case 37).

From asking for a block to its decision half of the view timeout may pass. A block that took
longer is followed by a smaller one, a quick one by a larger, so the size follows what all
replicas and this machine can do now. No clock: times are given.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.limits import BLOCK_TXS_MAX

BLOCK_TXS_LEAST: Final = 64
_FIRST_TXS: Final = 512  # our first block's size; then it follows what proves possible
_STEP_TXS: Final = 128


class BlockSize:
    """See the module's law."""

    def __init__(self, view_timeout_ms: int) -> None:
        self.txs = _FIRST_TXS
        self.took_ms_max = view_timeout_ms // 2
        self._asked_ms: int | None = None  # when our block under way was asked for

    def asked(self, mono_ms: int) -> None:
        """A block of ours is being built."""
        self._asked_ms = mono_ms

    def given_up(self) -> None:
        """There was nothing to build it of."""
        self._asked_ms = None

    def decided(self, mono_ms: int) -> None:
        """A block was decided: ours, if one was asked for."""
        asked_ms, self._asked_ms = self._asked_ms, None
        if asked_ms is None:
            return
        took_ms = mono_ms - asked_ms
        if took_ms > self.took_ms_max:
            self.txs = max(BLOCK_TXS_LEAST, self.txs * 2 // 3)
        elif took_ms < self.took_ms_max // 2:
            self.txs = min(BLOCK_TXS_MAX, self.txs + _STEP_TXS)
