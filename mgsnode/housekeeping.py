"""What a node does every second whether or not anything happens.

Room on the disk, snapshots that were asked for, transactions that are overlooked or that somebody
may have missed, those that have expired, and our height for whoever hears of it from no STATUS.
It decides nothing: each part says what there is to do. A failure ends the node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from mgsnode.base.transaction import Transaction
from mgsnode.diskfloor import DiskFloor
from mgsnode.exchange import Exchange
from mgsnode.intake import Intake
from mgsnode.keeper import Keeper
from mgsnode.mempool import Mempool
from mgsnode.watch import Watch
from p2p.owner import PeerInfo
from state.ledger import Ledger

_ROUND_S: Final = 1.0
_EXPIRE_EVERY: Final = 5  # rounds between looks for expired transactions
_TELL_HEAD_EVERY: Final = 5  # rounds; whoever is in another era, or no member, has no STATUS
_GOSSIP_AGAIN_MS: Final = 2_000  # what waits longer may have been missed by somebody
_GOSSIP_AGAIN_TXS: Final = 512  # a round; whoever holds them already knows them by their hash
_WATCHED_TXS: Final = 128  # lanes looked at each round for censorship


class Housekeeping:
    """See the module's law."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        mempool: Mempool,
        intake: Intake,
        exchange: Exchange,
        keeper: Keeper,
        disk: DiskFloor,
        watch: Watch,
        peers: Callable[[], Sequence[PeerInfo]],
        now_ms: Callable[[], int],
        on_expired: Callable[[Sequence[Transaction]], None],
        on_censored: Callable[[], None],
    ) -> None:
        """`peers` are those of the present roster; `now_ms` is a monotonic clock."""
        self._ledger = ledger
        self._mempool = mempool
        self._intake = intake
        self._exchange = exchange
        self._keeper = keeper
        self._disk = disk
        self._watch = watch
        self._peers = peers
        self._now_ms = now_ms
        self._on_expired = on_expired
        self._on_censored = on_censored

    async def run(self) -> None:
        """Rounds, until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(_ROUND_S)
            rounds += 1
            self._disk.look()
            self._keeper.look()
            self._watch_primary()
            late_ms = self._now_ms() - _GOSSIP_AGAIN_MS
            self._intake.tell_again(self._mempool.ready_since(late_ms, count=_GOSSIP_AGAIN_TXS))
            if rounds % _EXPIRE_EVERY == 0:
                expired = self._mempool.expire(self._ledger.head.header.timestamp_ms)
                self._on_expired(expired)
            if rounds % _TELL_HEAD_EVERY == 0:
                for peer in self._peers():
                    self._exchange.tell_head(peer.name, self._ledger.head.header.height)

    def _watch_primary(self) -> None:
        """Is something overlooked that could be executed (case 29)?"""
        heads = [tx for tx in self._mempool.heads(_WATCHED_TXS) if self._intake.is_admitted(tx)]
        verdict = self._watch.look(heads, self._now_ms())
        self._intake.tell_again(verdict.again)
        if verdict.censored:
            self._on_censored()
