"""Who tries to cheat, and by which name the chain refuses it.

Each attempt is a transaction like any other: it is ordered, certified, charged its fee and refused
in a block, with one reason on all nodes. Any other outcome ends the demo.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey
from mgsnode.demo.plan import CHEAT, CHEAT_AGAIN, DOLLAR, Place, customer_key, serving
from mgsnode.demo.replay import Replay
from mgsnode.demo.stage import Stage
from mgsnode.devnet import dev_key

_HALF: Final = 60 * DOLLAR  # more than half of what the cheat has


class Refused(NamedTuple):
    """An attempt that was refused."""

    who: str
    tried: str
    refused: str


class Cheats:
    """All attempts, one after the other; `refused` says what came of them."""

    def __init__(self, stage: Stage, replay: Replay) -> None:
        self.refused: list[Refused] = []
        self._stage = stage
        self._replay = replay
        self._key = dev_key(CHEAT)
        self._at = stage.home

    async def try_all(self) -> None:
        """Everything, by name."""
        await self._refer_oneself()
        await self._review_what_others_bought()
        await self._praise_oneself()
        await self._redeem_twice()
        await self._sell_what_is_not_there()
        await self._issue_without_fiat()
        await self._attest()

    async def _try(
        self,
        tried: str,
        refusal: str,
        kind: str,
        fields: dict[str, Any],
        *,
        who: str = CHEAT,
        key: SigningKey | None = None,
        at: Place | None = None,
    ) -> None:
        key, at = key or self._key, at or self._at
        await self._stage.act(key, kind, fields, at=at, refusal=refusal)
        self.refused.append(Refused(who, tried, refusal))

    async def _refer_oneself(self) -> None:
        """A distributor brings his own second account: one key acts for both."""
        stage, again = self._stage, dev_key(CHEAT_AGAIN)
        await stage.act(self._key, "refer_join", {"shop": stage.shop}, at=self._at)
        keys = [key.public_key.hex() for key in (again, self._key)]
        await stage.act(
            again, "account_set_keys", {"keys": keys, "threshold": 1},
            at=self._at, cosigners=[self._key],
        )  # fmt: skip
        bind = {"distributor": stage.address(self._key), "shop": stage.shop}
        await self._try(
            "earn a commission on his own purchases, through a second account",
            "PARTIES_LINKED", "refer_bind", bind, who=CHEAT_AGAIN, key=again,
        )  # fmt: skip

    async def _review_what_others_bought(self) -> None:
        fields = {
            "order": self._replay.order_ids[0],
            "line": 0,
            "rating": 1,
            "text": "I never had it.",
            "disclosure": "none",
        }
        await self._try(
            "review what somebody else bought", "NOT_YOUR_ORDER", "review_write", fields
        )

    async def _praise_oneself(self) -> None:
        stage = self._stage
        if not stage.script.said:
            return
        said = stage.script.said[0]
        order = stage.trade.orders[said.order]
        vote = {"review": self._replay.review_ids[said.number], "helpful": True}
        await self._try(
            "find his own review helpful", "OWN_REVIEW", "review_vote", vote,
            who=f"customer {order.customer}", key=customer_key(order.customer),
            at=serving(order.country, stage.places),
        )  # fmt: skip

    async def _redeem_twice(self) -> None:
        """The same dollars at two gateways (or twice at the only one); the first says no."""
        stage, payout = self._stage, digest(b"mgs/demo-payout", CHEAT.encode()).hex()
        first, second = stage.places[0], stage.places[-1]
        asks = [
            {
                "gateway": place.name,
                "amount": str(_HALF),
                "currency": place.currency,
                "payout_hash": payout,
            }
            for place in (first, second)
        ]
        asked = await stage.act(self._key, "dollar_redeem", asks[0], at=self._at)
        await self._try(
            "redeem the same dollars twice", "INSUFFICIENT_BALANCE", "dollar_redeem", asks[1]
        )
        no = {"redemption": asked, "reason": "details"}  # a hash of no bank details
        await stage.act(dev_key(first.name), "dollar_redeem_refuse", no, at=first)

    async def _sell_what_is_not_there(self) -> None:
        stage, lot = self._stage, self._stage.script.lot
        line = {"sku": lot.sku, "quantity": 1, "unit_price": "1", "batch": stage.batch}
        await self._try(
            "have one unit more of a batch than was made", "UNITS_EXCEEDED", "order_pay",
            {"shop": stage.shop, "lines": [line]},
        )  # fmt: skip

    async def _issue_without_fiat(self) -> None:
        home = self._stage.home
        room = int((await self._stage.ask("gateway_get", gateway=home.name))["room"])
        fields = {
            "to": self._stage.address(self._key),
            "amount": str(max(0, room) + DOLLAR),
            "reference": digest(b"mgs/demo-fiat", b"nothing").hex(),
        }
        await self._try(
            "issue a dollar more than attested fiat covers", "ROOM_EXCEEDED", "dollar_issue",
            fields, who=home.name, key=dev_key(home.name), at=home,
        )  # fmt: skip

    async def _attest(self) -> None:
        period = await self._stage.ask("period_get")
        fields = {
            "gateway": self._stage.home.name,
            "instant_ms": period["start_ms"],
            "amount": str(DOLLAR),
            "expires_ms": period["end_ms"],
            "evidence": digest(b"mgs/demo-paper", b"nothing").hex(),
        }
        await self._try(
            "attest a reserve without being an attestor", "NOT_ATTESTOR", "reserve_attest", fields
        )
