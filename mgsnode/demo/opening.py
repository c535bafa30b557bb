"""Before the first order: reserves are attested, shops open, goods come, a demand is posted.

Nothing can be issued before attestors have said what fiat each gateway holds at the end of a
period. What they say is what the story puts there: the dollars of the genesis, and the fiat of the
customers and the shop that has arrived for the dollars they will ask for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from mgsnode.base.hashing import digest
from mgsnode.demo.plan import (
    DISTRIBUTORS,
    DOLLAR,
    MAKER,
    MAKER_NAME,
    SHOP_NAME,
    TERMS,
    Place,
    customer_key,
    serving,
    whole_cents,
)
from mgsnode.demo.replay import Replay
from mgsnode.demo.stage import NO_ID, Stage
from mgsnode.devnet import ARBITER, ATTESTORS, dev_key

CATEGORY: Final = "retail"
SCENE: Final = "gift"
_DEMAND_MS: Final = 30 * 86_400_000
_FEES_OF_SHOP: Final = 12 * DOLLAR  # what opening, redeeming and rounding may cost beside orders


class Opening:
    """One opening; `attested` (micro-dollars, by gateway) and `attestations` say what was said."""

    def __init__(self, stage: Stage, replay: Replay) -> None:
        self.attested: Counter[str] = Counter()
        self.attestations = 0
        self.backed = 0  # units
        self._stage = stage
        self._replay = replay
        self._capital = self._capital_of_shop()

    async def attest(self, genesis_dollars: dict[str, int]) -> None:
        """Each attestor speaks of each gateway, for the end of the last period."""
        stage = self._stage
        period = await stage.until(
            stage.home, "period_get", {}, lambda answer: answer["period"] > 0,
            "no period ended",
        )  # fmt: skip
        instant_ms = period["start_ms"]
        lasts_ms = int((await stage.ask("params_get"))["attestation_ms"]["value"])
        self.attested.update(genesis_dollars)
        for (_, gateway), amount in self._replay.needs.items():
            self.attested[gateway] += whole_cents(amount)
        self.attested[stage.home.name] += self._capital
        said = [
            self._attest(name, place, instant_ms, instant_ms + lasts_ms)
            for place in stage.places
            for name in ATTESTORS
        ]
        await asyncio.gather(*said)
        self.attestations = len(said)

    async def _attest(self, name: str, of: Place, instant_ms: int, expires_ms: int) -> None:
        stage = self._stage
        statement = f"bank statements of {of.name} at {instant_ms}"
        fields = {
            "gateway": of.name,
            "instant_ms": instant_ms,
            "amount": str(self.attested[of.name]),
            "expires_ms": expires_ms,
            "evidence": digest(b"mgs/demo-paper", statement.encode()).hex(),
        }
        at = stage.places[ATTESTORS.index(name) % len(stage.places)]  # the same for all it says
        await stage.act(dev_key(name), "reserve_attest", fields, at=at)

    # Shops, goods, distributors

    def _capital_of_shop(self) -> int:
        """What the shop needs before it has earned anything: fees, and what it gives back."""
        wallet, merchant, trade = self._stage.wallet, self._stage.merchant, self._stage.trade
        ship = {"order": NO_ID, "reference": "i" * 100}
        fees = len(trade.orders) * wallet.fee_bound(merchant, "order_ship", ship)
        for refund in trade.refunds:
            for fields in self._replay.refund_fields(refund, lambda _order: NO_ID):
                fees += wallet.fee_bound(merchant, "order_refund", fields)
        return whole_cents(fees + trade.refunded + _FEES_OF_SHOP)

    async def open_shops(self) -> None:
        """The shop and the maker open; the maker's goods change hands; distributors join."""
        stage = self._stage
        await stage.issue(stage.home, stage.merchant, self._capital, "working capital of the shop")
        maker, at = dev_key(MAKER), stage.places[-1]
        stage.shop, workshop = await asyncio.gather(
            self._open(stage.merchant, SHOP_NAME, stage.home), self._open(maker, MAKER_NAME, at)
        )
        lot = stage.script.lot
        certificate = digest(b"mgs/demo-paper", f"certificate of {lot.sku}".encode()).hex()
        registered = await stage.act(
            maker,
            "goods_register",
            {
                "shop": workshop,
                "product": lot.sku,
                "origin": f"{MAKER_NAME}, {at.country}",
                "quantity": lot.units,
                "certificate": certificate,
            },
            at=at,
        )
        passing = {"batch": registered, "quantity": lot.units, "to": stage.shop}
        stage.batch, *_ = await asyncio.gather(
            stage.act(maker, "goods_pass", passing, at=at, cosigners=[stage.merchant]),
            *(
                stage.act(dev_key(name), "refer_join", {"shop": stage.shop}, at=stage.home)
                for name in DISTRIBUTORS
            ),
        )

    async def _open(self, owner: Any, name: str, place: Place) -> str:
        fields = {
            "name": name,
            "gateway": place.name,
            "arbiter": self._stage.address(dev_key(ARBITER)),
            **TERMS,
        }
        operator = dev_key(place.name)
        return await self._stage.act(owner, "shop_open", fields, at=place, cosigners=[operator])

    # Demand

    async def want(self) -> None:
        """The first customer posts what it wants, the others back it, the shop answers."""
        stage, wanted = self._stage, self._stage.script.wanted
        (first, own), *others = wanted.backings
        description = digest(b"mgs/demo-paper", f"wanted: {wanted.sku}".encode()).hex()
        fields = {
            "category": CATEGORY,
            "scene": SCENE,
            "description": description,
            "price": str(wanted.price),
            "quantity": wanted.units,
            "lasts_ms": _DEMAND_MS,
            "own": own,
        }
        stage.demand = await self._by_customer(first, "demand_post", fields)
        offer = {
            "demand": stage.demand,
            "shop": stage.shop,
            "price": str(wanted.price),
            "quantity": wanted.units,
            "terms": digest(b"mgs/demo-paper", b"terms of the offer").hex(),
        }
        await asyncio.gather(
            stage.by_shop("demand_offer", offer),
            *(
                self._by_customer(order, "demand_back", {"demand": stage.demand, "quantity": units})
                for order, units in others
            ),
        )
        self.backed = wanted.units

    async def _by_customer(self, number: int, kind: str, fields: dict[str, Any]) -> str:
        order = self._stage.trade.orders[number]
        at = serving(order.country, self._stage.places)
        await self._replay.fund(order.customer, at)
        return await self._stage.act(customer_key(order.customer), kind, fields, at=at)
