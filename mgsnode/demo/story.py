"""The story from the first attestation to the last claim, in its order, with what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mgsnode.base.genesis import Genesis
from mgsnode.demo.cheats import Cheats
from mgsnode.demo.ending import Ending
from mgsnode.demo.opening import Opening
from mgsnode.demo.plan import DISTRIBUTORS
from mgsnode.demo.replay import Replay
from mgsnode.demo.screen import Screen
from mgsnode.demo.stage import Stage
from mgsnode.devnet import dev_key
from mgsnode.trade import Order, Refund


class Story:
    """All parts of it on one stage; what happened stands in each part's figures."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.replay = Replay(stage)
        self.opening = Opening(stage, self.replay)
        self.cheats = Cheats(stage, self.replay)
        self.ending = Ending(stage, self.replay)

    @property
    def distributors(self) -> dict[str, str]:
        """Name -> address."""
        return {name: self.stage.address(dev_key(name)) for name in DISTRIBUTORS}

    @property
    def traced(self) -> dict[str, Any]:
        """The order's line whose goods are traced, as `batch_trace` takes it."""
        lot = self.stage.script.lot
        return {"order": self.replay.order_ids[lot.order], "line": lot.line}

    async def tell(self, screen: Screen, genesis: Genesis) -> None:
        """Everything; raises `Failed` where the network does not do what is asked."""
        stage, opening, ending = self.stage, self.opening, self.ending
        screen.phase("reserves, shops, a demand", 3)
        held = dict.fromkeys((place.name for place in stage.places), 0)
        for account in genesis.accounts:
            if account.dollar:
                held[account.issuer] += account.dollar
        await opening.attest(held)
        screen.step(note=f"{opening.attestations} attestations")
        await opening.open_shops()
        screen.step()
        await opening.want()
        screen.step(note=f"{len(stage.script.wanted.backings)} ask for one thing")

        trade = stage.trade
        screen.phase("orders, reviews, refunds", len(trade.orders) + len(trade.refunds))
        await self.replay.tell(_teller(screen))

        screen.phase("cheats refused, orders final", 2)
        await self.cheats.try_all()
        screen.step(note=f"{len(self.cheats.refused)} cheats refused")
        await ending.wait_final()
        screen.step()

        screen.phase("redeem, clear, vote, claim", 5)
        await asyncio.gather(self._settle(screen), self._vote(screen))
        await ending.claim()
        screen.step(note=f"{ending.claims} claims")

    async def _settle(self, screen: Screen) -> None:
        await self.ending.redeem()
        screen.step(note="redeemed")
        await self.ending.clear()
        screen.step(note="cleared")

    async def _vote(self, screen: Screen) -> None:
        period = await self.ending.close_period()
        screen.step(note=f"period {period} is over")
        await self.ending.vote()
        screen.step(note=f"{len(self.stage.script.votes)} votes")


def _teller(screen: Screen) -> Callable[[Order | Refund], None]:
    latest = ""

    def told(step: Order | Refund) -> None:
        nonlocal latest
        latest = max(latest, f"{step.time:%Y-%m-%d %H:%M}")
        screen.step(note=latest)

    return told
