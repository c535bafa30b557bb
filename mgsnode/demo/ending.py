"""After the trade: orders become final, the shop redeems, gateways clear, readers vote, all claim.

The shop redeems part of its takings at a gateway that did not issue (most of) them. That gateway
has then paid for dollars of others, and a clearing window turns this into obligations, which are
paid and confirmed. When the period of the sales has closed, buyers have a voice and give it to the
reviews that helped; when that period has closed too, everybody claims what was earned.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final, NamedTuple

from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey
from mgsnode.demo.courier import Failed
from mgsnode.demo.plan import (
    CENT,
    DISTRIBUTORS,
    DOLLAR,
    REDEEMED_SHARE,
    Place,
    customer_key,
    redeeming,
)
from mgsnode.demo.replay import Replay
from mgsnode.demo.stage import Stage
from mgsnode.devnet import dev_key

_PAGE: Final = 100  # accounts asked for at once, and leaders of a period
_PERIODS_MAX: Final = 500  # of an account's rewards, as many as one answer holds


class Leader(NamedTuple):
    """An author whom readers gave their voice in a period."""

    period: int
    customer: str
    author: str  # address
    voice: int  # micro-MGS
    voters: int


class Debt(NamedTuple):
    """An obligation of a clearing window."""

    debtor: str
    creditor: str
    amount: int  # micro-dollars
    fiat: int
    status: str


class Ending:
    """One ending; its public figures say what came out."""

    def __init__(self, stage: Stage, replay: Replay) -> None:
        self.redeemed = 0  # micro-dollars
        self.redeemed_at = ""
        self.debts: list[Debt] = []
        self.left_out: list[str] = []
        self.leaders: list[Leader] = []
        self.voice = 0  # micro-MGS that votes directed
        self.rewards = 0  # micro-MGS claimed
        self.rewards_by: Counter[str] = Counter()  # by role
        self.rewarded = 0  # accounts and periods with a reward
        self.claims = 0
        self.cut: list[int] = []  # periods whose offer was less than their fees could earn
        self._stage = stage
        self._replay = replay

    async def wait_final(self) -> None:
        """Until the shop counts every order as final: its return window is over."""
        stage, count = self._stage, len(self._stage.trade.orders)
        await stage.until(
            stage.home, "shop_get", {"shop": stage.shop},
            lambda shop: shop["final"] == count,
            f"the {count} orders did not all become final",
        )  # fmt: skip

    # Redemption and clearing

    async def redeem(self) -> None:
        """Part of the shop's takings become fiat, at another gateway."""
        stage = self._stage
        place = redeeming(dict(stage.issued_by), stage.places)
        if len(stage.places) == 1:
            self.left_out.append("one gateway: the shop redeems where its dollars were issued")
        amount = await self._redeemable(place)
        if not amount:
            self.left_out.append("the takings are below the least redemption: nothing is redeemed")
            return
        payout = digest(b"mgs/demo-payout", b"bank details of the shop").hex()
        redemption = await stage.by_shop(
            "dollar_redeem",
            {
                "gateway": place.name,
                "amount": str(amount),
                "currency": place.currency,
                "payout_hash": payout,
            },
        )
        reference = digest(b"mgs/demo-fiat", b"payout to the shop").hex()
        paid = {"redemption": redemption, "reference": reference}
        await stage.act(dev_key(place.name), "dollar_redeem_paid", paid, at=place)
        await stage.by_shop("dollar_redeem_confirm", {"redemption": redemption})
        self.redeemed, self.redeemed_at = amount, place.name

    async def _redeemable(self, place: Place) -> int:
        """What the shop redeems, in whole cents; 0 if that is less than the network takes."""
        stage = self._stage
        params = await stage.ask("params_get")
        account = await stage.ask("account_get", address=stage.address(stage.merchant))
        supply = await stage.ask("dollar_supply")
        room = int(supply["positions"][place.name]) + int(params["credit_floor"]["value"])
        takings = stage.trade.gross - stage.trade.refunded
        most = min(int(account["dollar"]) - DOLLAR, room)  # a dollar is left for fees
        amount = min(takings // REDEEMED_SHARE, most) // CENT * CENT
        return amount if amount >= int(params["redeem_minimum"]["value"]) else 0

    async def clear(self) -> None:
        """What the redemption left between gateways is made an obligation, paid and confirmed."""
        stage = self._stage
        if not self.redeemed or len(stage.places) == 1:
            return self.left_out.append("no gateway has paid for another's dollars: no clearing")
        gateway = await stage.ask("gateway_get", gateway=self.redeemed_at)
        least = int((await stage.ask("params_get"))["clearing_minimum"]["value"])
        if -int(gateway["net"]) < max(1, least):
            return self.left_out.append(f"{self.redeemed_at} is owed too little to be cleared")
        begun: set[str] = set()
        while True:  # another window may close, and this node may be behind those that settled
            listed = await stage.until(
                stage.home, "obligation_list", {"limit": _PAGE},
                lambda answer: bool(_fresh(answer, begun)) or _is_settled(answer),
                "no clearing window closed, or its obligations were not settled",
            )  # fmt: skip
            fresh = _fresh(listed, begun)
            if not fresh:
                break
            begun.update(item["obligation"] for item in fresh)
            await asyncio.gather(*(self._settle(item) for item in fresh))
        self.debts = [
            Debt(
                each["debtor"], each["creditor"], int(each["amount"]), int(each["fiat"]),
                each["status"],
            )
            for each in listed["items"]
        ]  # fmt: skip
        return None

    async def _settle(self, item: dict[str, Any]) -> None:
        stage, name = self._stage, item["obligation"]
        debtor, creditor = stage.place(item["debtor"]), stage.place(item["creditor"])
        reference = digest(b"mgs/demo-fiat", f"obligation {name}".encode()).hex()
        paid = {"obligation": name, "reference": reference}
        await stage.act(dev_key(debtor.name), "obligation_paid", paid, at=debtor)
        await stage.act(
            dev_key(creditor.name), "obligation_confirm", {"obligation": name}, at=creditor
        )

    # Voice, leaders, rewards

    async def close_period(self) -> int:
        """Until the period that runs now is over; its number."""
        stage = self._stage
        running = int((await stage.ask("period_get"))["period"])
        await stage.until(
            stage.home, "period_get", {}, lambda answer: answer["period"] > running,
            f"period {running} did not end",
        )  # fmt: skip
        return running

    async def vote(self) -> None:
        """Readers give their voice; when the period is over, who leads is read."""
        stage, customers = self._stage, self._stage.customers
        first = int((await stage.ask("period_get"))["period"])
        await asyncio.gather(
            *(
                stage.act(
                    customer_key(vote.voter),
                    "review_vote",
                    {"review": self._replay.review_ids[vote.said], "helpful": True},
                    at=customers[vote.voter],
                )
                for vote in stage.script.votes
            )
        )
        last = await self.close_period()
        names = {stage.address(customer_key(who)): who for who in customers}
        for period in range(first, last + 1):
            answer = await stage.ask("leader_list", period=period, limit=_PAGE)
            self.leaders += [
                Leader(
                    period, names[item["author"]], item["author"], int(item["voice"]),
                    item["voters"],
                )
                for item in answer["items"]
            ]  # fmt: skip
        self.leaders.sort(key=lambda leader: (-leader.voice, leader.customer, leader.period))

    async def claim(self) -> None:
        """Everybody claims what was earned in all periods that are over."""
        stage = self._stage
        earners: list[tuple[SigningKey, Place]] = [(stage.merchant, stage.home)]
        earners += [(dev_key(name), stage.home) for name in DISTRIBUTORS]
        earners += [(customer_key(who), at) for who, at in stage.customers.items()]
        claims: list[tuple[SigningKey, Place, int]] = []
        periods: set[int] = set()
        for start in range(0, len(earners), _PAGE):
            some = earners[start : start + _PAGE]
            answers = await stage.clients[stage.home.node].batch(
                [
                    ("reward_list", {"account": stage.address(key), "limit": _PERIODS_MAX})
                    for key, _ in some
                ]
            )
            for (key, at), answer in zip(some, answers, strict=True):
                if isinstance(answer, Exception):
                    raise answer
                for item in answer["items"]:
                    self.rewarded += 1
                    periods.add(item["period"])
                    self.rewards_by.update({k: int(v) for k, v in item["parts"].items()})
                    if int(item["claimable"]):
                        self.rewards += int(item["claimable"])
                        claims.append((key, at, item["period"]))
        await asyncio.gather(
            *(
                stage.act(key, "token_claim", {"period": period}, at=at)
                for key, at, period in claims
            )
        )
        self.claims = len(claims)
        if sum(self.rewards_by.values()) != self.rewards:
            raise Failed("what was claimed is not what was earned")
        await self._find_cut(sorted(periods))

    async def _find_cut(self, periods: list[int]) -> None:
        """The periods whose sales were more than what can be mined in one rewards in full."""
        for period in periods:
            mining = (await self._stage.ask("token_info", period=period))["mining"]
            worth = int(mining["fees"]) * int(mining["kappa"]) // DOLLAR
            if worth > int(mining["offer"]):
                self.cut.append(period)
                self.left_out.append(
                    f"period {period} could not reward all its sales in full: "
                    "rewards are checked to be no more than that"
                )


def _fresh(answer: dict[str, Any], begun: set[str]) -> list[dict[str, Any]]:
    """The obligations that nobody has begun to settle."""
    return [item for item in answer["items"] if item["obligation"] not in begun]


def _is_settled(answer: dict[str, Any]) -> bool:
    """Whether there are obligations and all are settled."""
    return bool(answer["items"]) and all(i["status"] == "settled" for i in answer["items"])
