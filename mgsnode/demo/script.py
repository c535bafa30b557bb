"""What customers say, vote and ask for in the demo, and where goods come from. Pure.

It follows from the trade and the reviews alone, so that it is the same on every run. The two files
know nothing of each other: the reviews are spread evenly over the order lines, as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from mgsnode.demo.plan import brought_by
from mgsnode.reviews import Opinion
from mgsnode.trade import Trade
from state.tx.backings import BPS, DEPOSIT_MAX
from state.tx.demand import QUANTITY_MAX

VOTES_EACH: Final = 10  # a vote directs a tenth of one's voice
DEPOSIT_BP: Final = 500  # of a demand's price, as the chain asks


class Said(NamedTuple):
    """A review of the file, said of a line of an order."""

    number: int  # its place among all that is said, from 0
    order: int  # `Order.number`
    line: int
    opinion: Opinion


class Vote(NamedTuple):
    """A customer finds a review helpful."""

    said: int  # `Said.number`
    voter: str  # a customer


class Wanted(NamedTuple):
    """What most customers buy, asked for by them before: the first of them posts the demand."""

    sku: str
    price: int  # micro-dollars a unit, the lowest that is paid for it, or less
    backings: tuple[tuple[int, int], ...]  # (order, units): of each customer's first order of it

    @property
    def units(self) -> int:
        """What they want together."""
        return sum(units for _, units in self.backings)


class Lot(NamedTuple):
    """The stock code of which most units are sold: they come from a maker, with their origin."""

    sku: str
    units: int
    order: int  # where it is sold first: the line that is traced
    line: int


class Script(NamedTuple):
    """All of it."""

    brought: dict[str, str]  # customer -> distributor
    said: tuple[Said, ...]
    votes: tuple[Vote, ...]
    wanted: Wanted
    lot: Lot


def write_script(trade: Trade, opinions: Sequence[Opinion]) -> Script:
    """The script of a trade and the reviews of another file."""
    customers = list(dict.fromkeys(order.customer for order in trade.orders))
    said = _say(trade, opinions)
    return Script(
        brought={who: by for who in customers if (by := brought_by(who)) is not None},
        said=said,
        votes=_vote(trade, said, customers),
        wanted=_want(trade),
        lot=_lot(trade),
    )


def kept_of(trade: Trade) -> list[int]:
    """What the shop keeps of each order in the end, in micro-dollars."""
    kept = [order.total for order in trade.orders]
    for refund in trade.refunds:
        for part in refund.parts:
            kept[part.order] -= part.amount
    return kept


def _say(trade: Trade, opinions: Sequence[Opinion]) -> tuple[Said, ...]:
    lines = [(order.number, line) for order in trade.orders for line in range(len(order.lines))]
    count = min(len(lines), len(opinions))
    return tuple(
        Said(number, *lines[number * len(lines) // count], opinions[number])
        for number in range(count)
    )


def _vote(trade: Trade, said: Sequence[Said], customers: Sequence[str]) -> tuple[Vote, ...]:
    """As many votes as the file says, of whoever has voice left and is not the author.

    Who kept nothing of what he bought has no voice. Voters take turns.
    """
    kept: Counter[str] = Counter()
    for order, amount in zip(trade.orders, kept_of(trade), strict=True):
        kept[order.customer] += amount
    left = {who: VOTES_EACH for who in customers if kept[who]}
    turns = list(left)
    votes: list[Vote] = []
    for review in said:
        author = trade.orders[review.order].customer
        able = [who for who in turns if left[who] and who != author]
        chosen = able[: review.opinion.helpful]
        votes += [Vote(review.number, who) for who in chosen]
        for who in chosen:
            left[who] -= 1
        voted = frozenset(chosen)
        turns = [who for who in turns if who not in voted] + chosen
    return tuple(votes)


def _want(trade: Trade) -> Wanted:
    buyers: dict[str, dict[str, tuple[int, int, int]]] = {}
    for order in trade.orders:
        for line in order.lines:
            of_sku = buyers.setdefault(line.sku, {})
            of_sku.setdefault(order.customer, (order.number, line.quantity, line.unit_price))
    sku = min(buyers, key=lambda sku: (-len(buyers[sku]), sku))
    chosen = list(buyers[sku].values())
    # Of very dear or very many things they ask for as much as the chain takes.
    dearest = DEPOSIT_MAX * BPS // DEPOSIT_BP  # what one backing may be worth
    price = min(dearest, *(price for _, _, price in chosen))
    most = min(dearest // price, QUANTITY_MAX // len(chosen))
    return Wanted(sku, price, tuple((order, min(units, most)) for order, units, _ in chosen))


def _lot(trade: Trade) -> Lot:
    units: Counter[str] = Counter()
    first: dict[str, tuple[int, int]] = {}
    for order in trade.orders:
        for place, line in enumerate(order.lines):
            units[line.sku] += line.quantity
            first.setdefault(line.sku, (order.number, place))
    sku = min(units, key=lambda sku: (-units[sku], sku))
    return Lot(sku, units[sku], *first[sku])
