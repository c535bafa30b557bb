"""Disputes: from shipping until final the buyer may ask the arbiter, once for each order.

While an order is disputed its clock stands. The arbiter splits what is still in escrow, within
`order_ruling_ms`; if it is silent, or cannot rule any more because governance has taken it off
the list or it has become linked to shop, gateway or buyer, all of it is the buyer's: the shop
chose the arbiter. A ruling divides all of it between buyer and shop at once, but for the
commission; nothing more can be asked of the order then, and the next block makes it final. The
buyer may withdraw; then the clock goes on where it stood. The shop may refund until it is ruled,
and again once the order is final.

A dispute is lost where the buyer got more than half. Law: who is disputed has an open dispute,
and only who is. Part of the orders family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.payout import split
from state.tx.sales import (
    COMPLETED,
    DISPUTED,
    FAMILY_NUMBER,
    ORDER,
    SHIPPED,
    Order,
    check_buyer,
    check_status,
    order_and_shop,
    set_due,
)
from state.tx.shops import BPS, Shop, add_figures, check_arbiter

NOT_ARBITER: Final = (218, "NOT_ARBITER")
DISPUTED_BEFORE: Final = (219, "DISPUTED_BEFORE")

OF_ARBITER: Final = 32  # list: what an arbiter was asked to rule
ASKED, WITHDRAWN, SETTLED = "open", "withdrawn", "settled"
LOST, WON, SPLIT = "lost", "won", "split"  # as the shop sees it


class Dispute(NamedTuple):
    """The one dispute of an order, under the order's id."""

    reason: str
    opened_ms: int  # block time
    left_ms: int  # what the order's clock had left when it stopped
    outcome: str
    buyer_bp: int  # as ruled; 10,000 where the arbiter was silent
    is_silent: bool
    ended_ms: int  # block time, 0 while open


DISPUTE: Final[Table[bytes, Dispute]] = Table(39, "orders/dispute", Dispute, bytes_key())


def apply_dispute(ctx: Context, fields: Fields) -> None:
    """The buyer asks the arbiter; until it is answered the order's clock stands."""
    order_id, reason = fields
    order, shop = order_and_shop(ctx, order_id)
    check_buyer(ctx, order)
    check_status(ctx, order, SHIPPED, COMPLETED)
    if ctx.draft.get(DISPUTE, order_id) is not None:
        raise Rejected(DISPUTED_BEFORE)
    # From here on nothing can fail.
    now_ms = ctx.now(FAMILY_NUMBER)
    due_ms = now_ms + ctx.params["order_ruling_ms"]
    set_due(ctx, order_id, order.due_ms, due_ms)
    left_ms = order.due_ms - now_ms
    dispute = Dispute(reason, ctx.time_ms, left_ms, ASKED, 0, is_silent=False, ended_ms=0)
    ctx.draft.put(DISPUTE, order_id, dispute)
    ctx.draft.put(ORDER, order_id, order.but(status=DISPUTED, due_ms=due_ms))
    add_figures(ctx, order.shop, disputes=1)
    ctx.list_under(OF_ARBITER, order.arbiter, order_id)
    ctx.involve(shop.owner)
    ctx.involve(order.arbiter)
    ctx.emit("order_disputed", order_id, reason)


def _open_dispute(ctx: Context, order_id: bytes) -> Dispute:
    dispute = ctx.draft.get(DISPUTE, order_id)
    assert dispute is not None, "who is disputed has a dispute"
    return dispute


def apply_withdraw(ctx: Context, fields: Fields) -> None:
    """The buyer takes its dispute back; there is no second one."""
    (order_id,) = fields
    order, shop = order_and_shop(ctx, order_id)
    check_buyer(ctx, order)
    check_status(ctx, order, DISPUTED)
    # From here on nothing can fail.
    dispute = _open_dispute(ctx, order_id)
    _resume(ctx, order_id, order, dispute)
    ended = dispute._replace(outcome=WITHDRAWN, ended_ms=ctx.time_ms)
    ctx.draft.put(DISPUTE, order_id, ended)
    ctx.involve(shop.owner)
    ctx.emit("order_withdrawn", order_id)


def apply_rule(ctx: Context, fields: Fields) -> None:
    """The arbiter splits what is in escrow; unlinked now, whatever it was at opening."""
    order_id, buyer_bp = fields
    order, shop = order_and_shop(ctx, order_id)
    if order.arbiter != ctx.sender:
        raise Rejected(NOT_ARBITER)
    check_status(ctx, order, DISPUTED)
    check_arbiter(ctx.draft, order.arbiter, shop.gateway, shop.owner, order.buyer)
    # From here on nothing can fail.
    rule(ctx, order_id, order, shop, buyer_bp, is_silent=False)


def rule(
    ctx: Context, order_id: bytes, order: Order, shop: Shop, buyer_bp: int, *, is_silent: bool
) -> None:
    """Split, and say how it went; the hook last, when everything else stands."""
    dispute = _open_dispute(ctx, order_id)
    is_lost = buyer_bp > BPS // 2
    outcome = LOST if is_lost else WON if buyer_bp == 0 else SPLIT
    reason, opened_ms, left_ms, *_ = dispute
    ruled = Dispute(reason, opened_ms, left_ms, outcome, buyer_bp, is_silent, ctx.time_ms)
    ctx.draft.put(DISPUTE, order_id, ruled)
    given = split(ctx, order_id, order, shop, buyer_bp, is_lost=is_lost)
    ctx.involve(order.buyer)
    ctx.involve(shop.owner)
    ctx.emit("order_ruled", order_id, buyer_bp, given, is_silent)
    if is_lost:
        ctx.fire("disputed_lost", order_id, reason)


def settle(ctx: Context, order_id: bytes, order: Order) -> Order:
    """The shop has given everything back while the dispute was open: there is none any more.
    Returns the order as it stands then.
    """
    dispute = _open_dispute(ctx, order_id)
    ended = dispute._replace(outcome=SETTLED, ended_ms=ctx.time_ms)
    ctx.draft.put(DISPUTE, order_id, ended)
    if order.status != DISPUTED:
        return order  # refunded whole before completion: it is closed
    return _resume(ctx, order_id, order, dispute)  # its return window goes on


def _resume(ctx: Context, order_id: bytes, order: Order, dispute: Dispute) -> Order:
    """The clock goes on where it stood."""
    due_ms = ctx.now(FAMILY_NUMBER) + dispute.left_ms
    set_due(ctx, order_id, order.due_ms, due_ms)
    resumed = order.but(status=COMPLETED if order.completed_ms else SHIPPED, due_ms=due_ms)
    ctx.draft.put(ORDER, order_id, resumed)
    return resumed


def check_dispute(reader: Reader, order_id: bytes, order: Order) -> str | None:
    """What is wrong between an order and its dispute, or None."""
    dispute = reader.get(DISPUTE, order_id)
    if (order.status == DISPUTED) != (dispute is not None and dispute.outcome == ASKED):
        return "is disputed exactly while its dispute is open"
    if dispute is not None and (dispute.ended_ms > 0) == (dispute.outcome == ASKED):
        return "has a dispute that ended and did not"
    if order.ruled and (dispute is None or not dispute.buyer_bp):
        return "was ruled upon without a ruling"
    return None
