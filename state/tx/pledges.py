"""Pledges: what an order serves of its buyer's own backing. Of the community family.

Law: an order that names a demand pledges units of its buyer's backing when it is paid, and ends the
pledge once. Completed, what it still buys is fulfilled and its deposit comes back; cancelled or
refunded whole, all is open again, and so are, at completion, the units that were refunded before,
which cost no fee. Where the demand is over by then, what is not served counts as expired.

An order lowers its buyer's own backing only, by the units it bought of at least half the price
asked, from a shop that is not the buyer's own: a backing could else be served by an order of
crumbs. It knows orders by their hooks and refuses none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.context import Context
from state.table import Table, bytes_key
from state.tx.accounts import is_linked
from state.tx.demand import (
    BACKED,
    BACKING,
    COMMUNITY,
    DEMAND,
    DEPOSIT,
    backer_of,
    move_backing,
)
from state.tx.money import release
from state.tx.orders import CANCELLED, LINES, REFUNDED_WHOLE, Order, Shop
from state.tx.sales import Lines, lines_of, refunded_of, with_refunded


class Pledge(NamedTuple):
    """What an order that names a demand serves, under the order's id."""

    backing: bytes
    quantity: int


PLEDGE: Final[Table[bytes, Pledge]] = Table(116, "community/pledge", Pledge, bytes_key())


def on_paid(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """An order that names a demand pledges units of its buyer's own backing."""
    backed = ctx.draft.get(BACKED, (order.demand[0], order.buyer))
    backing = ctx.draft.get(BACKING, backed.backing) if backed else None
    demand = ctx.draft.get(DEMAND, order.demand[0])
    if backed is None or backing is None or demand is None:
        return
    if is_linked(ctx.draft, order.buyer, shop.owner):
        return
    stored = ctx.draft.get(LINES, order_id)
    assert stored is not None
    units = min(backing.open, _fitting(stored, (), demand.price))
    if units == 0:
        return
    move_backing(ctx, backed.backing, backing, by_open=-units, by_pledged=units)
    ctx.draft.put(PLEDGE, order_id, Pledge(backed.backing, units))
    ctx.emit("demand_pledged", order.demand[0], backed.backing, units)


def _fitting(lines: Lines, gone: tuple[int, ...], price: int) -> int:
    """Units bought at half the price asked or more, less those of them that were refunded."""
    return sum(
        bought - back
        for (_, bought, unit_price, _), back in with_refunded(lines.lines, gone)
        if 2 * unit_price >= price
    )


def _served(ctx: Context, order_id: bytes, order: Order, pledge: Pledge, price: int) -> int:
    """Units of a pledge that a completed order still buys: what was refunded before cost no fee."""
    if not order.refunded:
        return pledge.quantity
    left = _fitting(lines_of(ctx, order_id), refunded_of(ctx.draft, order_id), price)
    return min(pledge.quantity, left, 2 * order.kept // price)  # a ruling takes from no line


def on_completed(ctx: Context, order_id: bytes, order: Order) -> None:
    """The order fulfils what it pledged and still buys: that part of the deposit goes back."""
    if order.demand:
        _end_pledge(ctx, order_id, order, is_completed=True)


def on_refunded(ctx: Context, order_id: bytes, order: Order, _amount: int) -> None:
    """An order that came to nothing opens again what it pledged, unless the demand is over."""
    if order.demand and order.status in (CANCELLED, REFUNDED_WHOLE):
        _end_pledge(ctx, order_id, order, is_completed=False)


def _end_pledge(ctx: Context, order_id: bytes, order: Order, *, is_completed: bool) -> None:
    """What is not served is open again, or expired where the demand has."""
    pledge = ctx.draft.get(PLEDGE, order_id)
    if pledge is None:
        return
    ctx.draft.delete(PLEDGE, order_id)
    backing, demand = ctx.draft.get(BACKING, pledge.backing), ctx.draft.get(DEMAND, order.demand[0])
    assert backing is not None and demand is not None
    served = _served(ctx, order_id, order, pledge, demand.price) if is_completed else 0
    units = min(backing.pledged, pledge.quantity)  # none is left where the demand has expired
    opened = max(0, units - served)
    backer = None
    if opened < pledge.quantity:
        before = backer_of(ctx.draft, backing.backer)
        backer = before._replace(
            fulfilled=before.fulfilled + served,
            expired=before.expired + pledge.quantity - served - opened,
        )
    after = move_backing(
        ctx,
        pledge.backing,
        backing,
        by_open=opened,
        by_pledged=-units,
        by_fulfilled=served,
        backer=backer,
    )
    release(ctx, COMMUNITY, pledge.backing, DEPOSIT, backing.backer, backing.held - after.held)
    if served:
        ctx.emit("demand_fulfilled", backing.demand, pledge.backing, served)
    if opened:
        ctx.emit("demand_reopened", backing.demand, pledge.backing, opened)
