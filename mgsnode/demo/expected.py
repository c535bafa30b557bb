"""What should come out, by the rules of the design and the files alone. Pure; asks no chain.

A second computation: it knows no transaction, period or order of events, so where the chain rounds
within each account and period it can only say what comes out to a micro-unit for each of these.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from mgsnode.demo.plan import TERMS
from mgsnode.demo.script import Script, kept_of
from mgsnode.trade import Trade

_BPS: Final = 10_000
_FEE_BPS: Final = 50  # of what the shop keeps
_FEE_LEAST: Final = 10_000  # micro-dollars
_FURTHER: Final = (10_000, 5_000, 2_500)  # of a line's reward, by lines reviewed before
_BUYER_PERCENT: Final = 30  # of what an order's fee can earn
_SHOP_PERCENT: Final = 20
_REVIEWER_PERCENT: Final = 15
_DISTRIBUTOR_PERCENT: Final = (10, 13)  # 25, by level: 0.4 of it at first, 0.5 before a month
_MICRO_TOKENS: Final = 4  # for a micro-dollar of fee: 0.4 of its worth, at 0.10 dollars a token


class Expected(NamedTuple):
    """The figures that the chain is held to."""

    commissions: dict[str, int]  # micro-dollars, by distributor
    rewards: dict[str, tuple[int, int]]  # micro-MGS: least and most, by role
    stars: tuple[int, ...]  # reviews with 1 to 5 stars


def fee_on(kept: int) -> int:
    """The network fee on what the shop keeps, in micro-dollars."""
    return min(kept, max(_FEE_LEAST, -(-kept * _FEE_BPS // _BPS)))


def commission_on(total: int, kept: int) -> int:
    """A distributor's part of an order of `total` of which `kept` stands in the end."""
    share = kept * int(TERMS["commission_bp"]) // _BPS
    return min(share, max(0, kept - fee_on(total)))


def expect(trade: Trade, script: Script) -> Expected:
    """All of it."""
    kept = kept_of(trade)
    fees = [fee_on(amount) for amount in kept]
    commissions: Counter[str] = Counter()
    brought = 0
    for order in trade.orders:
        distributor = script.brought.get(order.customer)
        if distributor is not None:
            commissions[distributor] += commission_on(order.total, kept[order.number])
            brought += fees[order.number]
    stars = [said.opinion.rating for said in script.said]
    whole = _MICRO_TOKENS * sum(fees)
    reviewed = _MICRO_TOKENS * _reviewed(trade, script, fees)
    low, high = (_MICRO_TOKENS * brought * percent // 100 for percent in _DISTRIBUTOR_PERCENT)
    rewards = {
        "buyer": (whole * _BUYER_PERCENT // 100,) * 2,
        "shop": (whole * _SHOP_PERCENT // 100,) * 2,
        "reviewer": (reviewed * _REVIEWER_PERCENT // 100,) * 2,
        "distributor": (low, high),
    }
    return Expected(dict(commissions), rewards, tuple(stars.count(n) for n in range(1, 6)))


def _reviewed(trade: Trade, script: Script, fees: list[int]) -> int:
    """The part of all fees that rests on lines which were reviewed, by their value and share."""
    before: Counter[str] = Counter()
    shares: Counter[int] = Counter()
    for said in script.said:
        order = trade.orders[said.order]
        line = order.lines[said.line]
        place = before[order.customer]
        before[order.customer] += 1
        if place < len(_FURTHER):
            shares[said.order] += line.quantity * line.unit_price * _FURTHER[place]
    return sum(
        fees[number] * share // (trade.orders[number].total * _BPS)
        for number, share in shares.items()
    )
