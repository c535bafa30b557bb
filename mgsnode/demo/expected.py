"""What should come out, by the rules of the design and the files alone. Pure; asks no chain.

A second computation: it knows no transaction, period or order of events, so where the chain rounds
within each account and period it can only say what comes out to a micro-unit for each of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
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
_DISTRIBUTOR_PERCENT: Final = 25  # times its share, by the volume that levels count
_SHARES: Final = ((0, 0.4), (200, 0.5), (2_500, 0.65), (25_000, 0.8), (250_000, 1.0))  # dollars
_DOLLAR: Final = 1_000_000
_BUYER_VOLUME_MOST: Final = 1_000 * _DOLLAR  # what one buyer adds to it
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


def share_area(volume: float) -> float:
    """What the higher shares come to, over level 0's, while the counted volume grows from 0 to
    `volume` micro-dollars: the area between the straight lines and the lowest share."""
    area, lowest = 0.0, _SHARES[0][1]
    for (start, low), (end, high) in pairwise(_SHARES):
        width = (end - start) * _DOLLAR
        part = min(max(0.0, volume - start * _DOLLAR), width)
        area += part * (low - lowest) + (high - low) * part * part / (2 * width)
    return area + max(0.0, volume - _SHARES[-1][0] * _DOLLAR) * (_SHARES[-1][1] - lowest)


def distributor_fees(sales: Sequence[tuple[str, int]]) -> tuple[float, float]:
    """Least and most fees that count for a distributor, of (buyer, kept) of all its sales.

    Each sale has the share at the volume with it, and which one comes when is not known here. So it
    is the area at least; and at most, as each sale lies above it by less than its size times what
    the share rises with it, by the largest sale times the whole rise. Where a fee is more than its
    rate (rounded up, or the least) the highest share may hold for that.
    """
    by_buyer: Counter[str] = Counter()
    for buyer, kept in sales:
        by_buyer[buyer] += kept
    counted = sum(min(volume, _BUYER_VOLUME_MOST) for volume in by_buyer.values())
    fees, rate = sum(fee_on(kept) for _, kept in sales), _FEE_BPS / _BPS
    lowest = _SHARES[0][1]
    low = lowest * fees + rate * share_area(counted)
    largest = min(_BUYER_VOLUME_MOST, max(kept for _, kept in sales))
    top = (1 - lowest) * (fees - rate * sum(by_buyer.values()))
    return low, low + top + rate * largest * (1 - lowest)


def expect(trade: Trade, script: Script) -> Expected:
    """All of it."""
    kept = kept_of(trade)
    fees = [fee_on(amount) for amount in kept]
    commissions: Counter[str] = Counter()
    brought: dict[str, list[tuple[str, int]]] = {}
    for order in trade.orders:
        distributor = script.brought.get(order.customer)
        if distributor is not None:
            commissions[distributor] += commission_on(order.total, kept[order.number])
            brought.setdefault(distributor, []).append((order.customer, kept[order.number]))
    stars = [said.opinion.rating for said in script.said]
    whole = _MICRO_TOKENS * sum(fees)
    reviewed = _MICRO_TOKENS * _reviewed(trade, script, fees)
    ranges = [distributor_fees(sales) for sales in brought.values()]
    low, high = (
        int(_MICRO_TOKENS * _DISTRIBUTOR_PERCENT * sum(one[end] for one in ranges) / 100)
        for end in (0, 1)
    )
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
