"""Refunds: the shop gives back lines, in whole or in part, at the price that was paid.

There is no deadline: after *final* the shop pays all of it. Never more than the buyer paid in,
over all refunds and rulings together. Part of the orders family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.tx.accounts import account_of
from state.tx.batches import free_units
from state.tx.disputes import settle
from state.tx.payout import borne_by, pay_vouched, refund_after, refund_escrow
from state.tx.sales import (
    COMPLETED,
    DISPUTED,
    FINAL,
    PAID,
    REFUNDED,
    SHIPPED,
    Order,
    Refunded,
    check_status,
    lines_of,
    order_and_shop,
    refunded_of,
)
from state.tx.shops import Shop, check_owner, vouched_for

UNKNOWN_LINE: Final = (211, "UNKNOWN_LINE")
QUANTITY_EXCEEDED: Final = (212, "QUANTITY_EXCEEDED")
REFUND_NOT_COVERED: Final = (213, "REFUND_NOT_COVERED")
DUPLICATE_LINE: Final = (215, "DUPLICATE_LINE")
REFUND_EXCEEDED: Final = (217, "REFUND_EXCEEDED")


class _Back(NamedTuple):
    """What a refund asks for, once it is known to be possible."""

    amount: int
    quantities: Refunded  # of all lines, after it
    units: dict[bytes, int]  # of each batch that its lines name


def _derive_back(
    ctx: Context, order_id: bytes, order: Order, lines: tuple[tuple[int, int], ...]
) -> _Back:
    """What of which lines; a refusal where there is less left."""
    stored = lines_of(ctx, order_id).lines
    # A row that is not there is looked for in the store: before the first refund there is none.
    back = list(refunded_of(ctx.draft, order_id)) if order.refunded else []
    back += [0] * (max(line for line, _ in lines) + 1 - len(back))
    seen: dict[int, None] = {}
    units: dict[bytes, int] = {}
    amount = 0
    for line, quantity in lines:
        if line >= len(stored):
            raise Rejected(UNKNOWN_LINE, line=line)
        if line in seen:
            raise Rejected(DUPLICATE_LINE, line=line)
        seen[line] = None
        _, bought, unit_price, batch = stored[line]
        left = bought - back[line]
        if quantity > left:
            raise Rejected(QUANTITY_EXCEEDED, line=line, left=left)
        back[line] += quantity
        amount += quantity * unit_price
        if batch:
            units[batch[0]] = units.get(batch[0], 0) + quantity
    return _Back(amount, Refunded(tuple(back)), units)


def apply_refund(ctx: Context, fields: Fields) -> None:
    """The shop gives back lines; what it lacks its gateway pays if it vouches, else refused."""
    order_id, lines, reason = fields
    order, shop = order_and_shop(ctx, order_id)
    check_owner(ctx, shop)
    check_status(ctx, order, PAID, SHIPPED, COMPLETED, DISPUTED, FINAL)
    back = _derive_back(ctx, order_id, order, lines)
    if back.amount > order.kept:  # a ruling has given the buyer some of it already
        raise Rejected(REFUND_EXCEEDED, left=str(order.kept))
    borne = borne_by(order, back.amount)
    operator, missing = _check_covered(ctx, order, shop, borne.shop)
    # From here on nothing can fail.
    ctx.draft.put(REFUNDED, order_id, back.quantities)
    if missing:
        pay_vouched(ctx, order.shop, operator, shop.owner, missing, reason)
    if order.completed_ms:
        after = refund_after(ctx, order_id, order, shop.owner, borne, reason)
    else:
        after = refund_escrow(ctx, order_id, order, back.amount)
    if order.status == PAID:
        free_units(ctx, back.units)
    if order.status == DISPUTED and back.amount == order.kept:
        after = settle(ctx, order_id, after)
    ctx.involve(order.buyer)
    ctx.emit("order_refunded", order_id, back.amount, reason)
    ctx.fire("refunded", order_id, after, back.amount)


def _check_covered(ctx: Context, order: Order, shop: Shop, needed: int) -> tuple[bytes, int]:
    """(operator of the shop's gateway, what it has to pay) of what the shop bears, else
    `REFUND_NOT_COVERED`.
    """
    missing = needed - account_of(ctx.draft, shop.owner).dollar
    if missing <= 0:
        return b"", 0
    operator, covered = vouched_for(ctx.draft, order.shop, shop)
    if missing > covered:
        raise Rejected(REFUND_NOT_COVERED, needed=str(needed), missing=str(missing))
    return operator, missing
