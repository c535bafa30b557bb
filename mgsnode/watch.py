"""Whether the primary overlooks a transaction on purpose (case 29). No clock, no IO.

A transaction that could be executed for 20 s while 16 blocks with room for it went by is sent
to everybody again; if 20 s later it still waits, it is complained about. A full block is no
censorship, and one complaint alone moves nothing: f+1 must have seen the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mgsnode.base.transaction import Transaction

OVERLOOKED_MS = 20_000
OVERLOOKED_BLOCKS = 16
ROOMY_TXS = 64  # the least size that an honest primary cuts its blocks to: below it is room


class Verdict(NamedTuple):
    """What to do about what waits."""

    again: tuple[Transaction, ...]  # to be sent to everybody once more
    censored: bool  # to be complained about


class _Seen(NamedTuple):
    since_ms: int
    roomy: int  # blocks with room before it was seen
    told_ms: int | None  # when it was sent again


class Watch:
    """Looks each second at the first transactions of the ready lanes."""

    def __init__(self) -> None:
        self._seen: dict[bytes, _Seen] = {}
        self._roomy = 0

    def on_block(self, transactions: int) -> None:
        """A block with so many transactions was decided."""
        self._roomy += transactions < ROOMY_TXS

    def look(self, heads: Sequence[Transaction], now_ms: int) -> Verdict:
        """`heads` could all be executed now. Who is not among them any more is forgotten."""
        seen: dict[bytes, _Seen] = {}
        again: list[Transaction] = []
        censored = False
        for tx in heads:
            known = self._seen.get(tx.txid, _Seen(now_ms, self._roomy, None))
            waited = now_ms - (known.since_ms if known.told_ms is None else known.told_ms)
            if waited >= OVERLOOKED_MS and self._roomy - known.roomy >= OVERLOOKED_BLOCKS:
                if known.told_ms is None:
                    again.append(tx)
                    known = known._replace(told_ms=now_ms)
                else:
                    censored = True
            seen[tx.txid] = known
        self._seen = seen
        return Verdict(tuple(again), censored)
