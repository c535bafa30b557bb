"""Who gets what of an order, by outcome; the only code that moves an order's money after payment.

Law, for each order: total = held + refunded from escrow + paid to shop + fee + commission paid
out; all refunds <= total. What the shop keeps, K, is total - refunds. Fee F, commission C and
hold-back H are functions of K (`sales.shares`), F is fixed at completion. X is a refund, b what
the arbiter gives the buyer (10,000 where it is silent), E what is still in escrow.

| outcome                       | to the buyer | pool | stays held | to the shop                  |
| ----------------------------- | ------------ | ---- | ---------- | ---------------------------- |
| cancelled, not shipped        | K            | 0    | 0          | 0                            |
| refunded before completion    | X            | 0    | K - X      | 0                            |
| completed                     | 0            | F    | C + H      | K - F - C - H                |
| refunded after completion     | X            | 0    | C' + H'    | pays X - (C - C') - (H - H') |
| final                         | 0            | 0    | 0          | H, and of C what nobody takes|
| refunded after final          | X            | 0    | 0          | pays X                       |
| dispute before completion,    | E b          | F    | C, a block | the rest of E, less C for    |
|  E = K: won 0, split, lost    |              | of K'|            | who takes it once it is final|
| dispute after completion,     | E b          | 0    | C', a block| the rest of E, less C' for   |
|  E = C + H                    |              |      |            | who takes it once it is final|

Where a refund is paid by the shop and its balance lacks something, the gateway that vouches pays
that part (`shops.py`). C' and H' are the shares of K' = K - what the buyer got. Part of the
orders family.
"""

from __future__ import annotations

from typing import NamedTuple

from state.context import Context
from state.tx.batches import free_units
from state.tx.money import held, release, release_parts, split_hold, transfer
from state.tx.sales import (
    CANCELLED,
    COMMISSION,
    COMPLETED,
    ESCROW,
    FAMILY_NUMBER,
    FINAL,
    HOLDBACK,
    ORDER,
    REFUNDED_WHOLE,
    RULED,
    Order,
    held_shares,
    network_fee,
    set_due,
    shares,
    units_left,
)
from state.tx.shops import (
    BPS,
    COMMISSION_BP_MAX,
    FIGURES,
    Shop,
    ShopFigures,
    add_figures,
    count_served,
    figures_of,
    use_vouch,
)

# The movers of who earns a commission ------------------------------------------------------


def with_commission(order: Order, bps: int) -> Order:
    """The order with a distributor's claim on it; for families that hang on `paid`, to answer with.

    `bps` of what the shop keeps, as agreed before the sale; 0 makes the sale a referred one too.
    """
    assert 0 <= bps <= COMMISSION_BP_MAX
    return order.but(commission_bp=bps, is_referred=True)


def pay_commission(ctx: Context, order_id: bytes, to: bytes, amount: int) -> None:
    """From what is held as commission; for families that hang on `final`, in it alone.

    They may take up to `held(ctx.draft, 2, order_id, COMMISSION)`; the rest is the shop's.
    """
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None and order.status == FINAL, "only while it becomes final"
    release(ctx, FAMILY_NUMBER, order_id, COMMISSION, to, amount)
    ctx.draft.put(ORDER, order_id, order.but(commission=order.commission + amount))


# Outcomes; each writes the order's row before its hook. Who hangs on `refunded` or `completed` is
# given the order as it stands then: most have nothing to do and would read it to find that out. ---


def cancel(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """Called off, or not shipped in time: all that is held goes back."""
    left = order.kept
    set_due(ctx, order_id, order.due_ms, 0)
    release(ctx, FAMILY_NUMBER, order_id, ESCROW, order.buyer, left)
    cancelled = order.but(
        status=CANCELLED,
        due_ms=0,
        refunded=order.total,
        from_escrow=order.total,
        closed_ms=ctx.time_ms,
    )
    ctx.draft.put(ORDER, order_id, cancelled)
    if order.has_batches:
        free_units(ctx, units_left(ctx.draft, order_id))
    referred = order.is_referred
    add_figures(
        ctx,
        order.shop,
        cancelled=1,
        paid=-order.total,
        refunded=-order.refunded,
        referred_paid=-order.total if referred else 0,
        referred_refunded=-order.refunded if referred else 0,
    )
    ctx.involve(shop.owner)
    ctx.emit("order_cancelled", order_id, left)
    ctx.fire("refunded", order_id, cancelled, left)


def complete(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """The shop is paid, less what is held until final."""
    kept = order.kept
    fee, commission, holdback = shares(order, kept, network_fee(order, kept))
    to_shop = kept - fee - commission - holdback
    split_hold(
        ctx,
        FAMILY_NUMBER,
        order_id,
        ESCROW,
        paid=((shop.owner, to_shop),),
        pooled=fee,
        kept=((COMMISSION, commission), (HOLDBACK, holdback)),
    )
    due_ms = ctx.now(FAMILY_NUMBER) + order.return_window_ms
    set_due(ctx, order_id, order.due_ms, due_ms)
    completed = order.but(
        status=COMPLETED, due_ms=due_ms, fee=fee, to_shop=to_shop, completed_ms=ctx.time_ms
    )
    ctx.draft.put(ORDER, order_id, completed)
    orders, cancelled, before, *rest = figures_of(ctx.draft, order.shop)
    ctx.draft.put(FIGURES, order.shop, ShopFigures(orders, cancelled, before + 1, *rest))
    ctx.involve(order.buyer)
    ctx.involve(shop.owner)
    ctx.emit("order_completed", order_id, kept, fee, commission, holdback)
    ctx.fire("completed", order_id, completed)


def finalise(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """The return window is over, or it was ruled: what is held goes where it belongs.

    The queue has let go of the order. Who earns a commission takes it in the hook; what nobody
    takes is the shop's.
    """
    holdback = held_shares(order, order.kept).holdback
    commission = order.unspent - holdback
    release(ctx, FAMILY_NUMBER, order_id, HOLDBACK, shop.owner, holdback)
    final = order.but(
        status=FINAL, due_ms=0, to_shop=order.to_shop + holdback, closed_ms=ctx.time_ms
    )
    ctx.draft.put(ORDER, order_id, final)
    add_figures(ctx, order.shop, final=1, final_volume=order.kept)
    if order.has_full_fee:
        count_served(ctx, order.shop, (*order.country, *order.currency))
    ctx.involve(order.buyer)
    ctx.involve(shop.owner)
    ctx.emit("order_final", order_id, order.kept)
    ctx.fire("final", order_id)
    if commission:
        _give_rest(ctx, order_id, shop.owner)


def _give_rest(ctx: Context, order_id: bytes, owner: bytes) -> None:
    """What nobody took of the commission is the shop's."""
    left = held(ctx.draft, FAMILY_NUMBER, order_id, COMMISSION)
    if not left:
        return
    release(ctx, FAMILY_NUMBER, order_id, COMMISSION, owner, left)
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    ctx.draft.put(ORDER, order_id, order.but(to_shop=order.to_shop + left))


# Refunds: the caller fires `refunded` ---------------------------------------------------------


class Borne(NamedTuple):
    """Where a refund comes from; all of it together is the refund."""

    escrow: int  # before completion
    commission: int  # of what is held as such
    holdback: int
    shop: int  # can be -1: where both shares round up together, the unit goes to the shop


def borne_by(order: Order, amount: int) -> Borne:
    """Who bears a refund: the escrow before completion, the shop after final; in between the same
    share of what is held, and the shop the rest.
    """
    if order.status == FINAL:
        return Borne(0, 0, 0, amount)
    if not order.is_divided:
        return Borne(amount, 0, 0, 0)
    kept = order.kept
    before, after = shares(order, kept, order.fee), shares(order, kept - amount, order.fee)
    commission = before.commission - after.commission
    holdback = before.holdback - after.holdback
    return Borne(0, commission, holdback, amount - commission - holdback)


def refund_escrow(ctx: Context, order_id: bytes, order: Order, amount: int) -> Order:
    """Before completion it all comes out of the escrow; a whole refund closes the order."""
    release(ctx, FAMILY_NUMBER, order_id, ESCROW, order.buyer, amount)
    refunded = order.refunded + amount
    after = order.but(refunded=refunded, from_escrow=order.from_escrow + amount)
    if refunded == order.total:
        set_due(ctx, order_id, order.due_ms, 0)
        after = after.but(status=REFUNDED_WHOLE, due_ms=0, closed_ms=ctx.time_ms)
    ctx.draft.put(ORDER, order_id, after)
    _count_given(ctx, after, amount)
    return after


def refund_after(
    ctx: Context, order_id: bytes, order: Order, owner: bytes, borne: Borne, memo: str
) -> Order:
    """After completion: what is held of it first, the rest from the shop's balance."""
    _, commission, holdback, from_shop = borne
    to_shop = max(0, -from_shop)
    holdback -= to_shop
    amount = commission + holdback + max(0, from_shop)
    release_parts(
        ctx,
        FAMILY_NUMBER,
        order_id,
        (
            (HOLDBACK, owner, to_shop),
            (COMMISSION, order.buyer, commission),
            (HOLDBACK, order.buyer, holdback),
        ),
    )
    after = order.but(
        refunded=order.refunded + amount,
        from_escrow=order.from_escrow + commission + holdback,
        to_shop=order.to_shop + to_shop,
    )
    ctx.draft.put(ORDER, order_id, after)
    final_volume = -amount if order.status == FINAL else 0
    _count_given(ctx, order, amount, final_volume=final_volume)
    if from_shop > 0:
        transfer(ctx, owner, [(order.buyer, from_shop, memo)])
    return after


def pay_vouched(
    ctx: Context, shop_id: bytes, operator: bytes, owner: bytes, amount: int, memo: str
) -> None:
    """The gateway pays to the shop what it lacks for a refund; the next step is the refund."""
    transfer(ctx, operator, [(owner, amount, memo)])
    use_vouch(ctx, shop_id, amount)
    ctx.emit("shop_vouch_used", shop_id, ctx.object_id, amount)


def _count_given(
    ctx: Context,
    order: Order,
    given: int,
    *,
    completed: int = 0,
    final_volume: int = 0,
    disputes_lost: int = 0,
) -> None:
    """What a refund or a ruling gave back, in the shop's figures; the rest is what else it was."""
    (
        orders, cancelled, completed_ever, final, paid, refunded, referred_paid, referred_refunded,
        volume, disputes, lost,
    ) = figures_of(ctx.draft, order.shop)  # fmt: skip
    if order.is_referred:
        referred_refunded += given
    changed = ShopFigures(
        orders, cancelled, completed_ever + completed, final, paid, refunded + given,
        referred_paid, referred_refunded, volume + final_volume, disputes, lost + disputes_lost,
    )  # fmt: skip
    ctx.draft.put(FIGURES, order.shop, changed)


# Rulings -----------------------------------------------------------------------------------


def split(
    ctx: Context, order_id: bytes, order: Order, shop: Shop, buyer_bp: int, *, is_lost: bool
) -> int:
    """Buyer and shop get their parts of what is in escrow; returns the buyer's part.

    Whoever earns a commission waits for *final*, which comes
    in the next block; where the shop keeps nothing of an order that was not completed, it is
    refunded whole instead.
    """
    was_completed = order.completed_ms > 0
    divide = _divide_held if was_completed else _divide_escrow
    given, fee, to_shop = divide(ctx, order_id, order, shop, buyer_bp)
    kept = order.kept - given
    is_new = not was_completed and kept > 0
    is_sale = was_completed or is_new
    due_ms = ctx.now(FAMILY_NUMBER) + 1 if is_sale else 0
    set_due(ctx, order_id, order.due_ms, due_ms)
    after = order.but(
        status=RULED if is_sale else REFUNDED_WHOLE,
        due_ms=due_ms,
        refunded=order.refunded + given,
        from_escrow=order.from_escrow + given,
        ruled=given,
        fee=order.fee + fee,
        to_shop=order.to_shop + to_shop,
        completed_ms=ctx.time_ms if is_new else order.completed_ms,
        closed_ms=0 if is_sale else ctx.time_ms,
    )
    ctx.draft.put(ORDER, order_id, after)
    _count_given(ctx, after, given, completed=int(is_new), disputes_lost=int(is_lost))
    if given:
        ctx.fire("refunded", order_id, after, given)
    if is_new:
        ctx.emit("order_completed", order_id, kept, fee, after.unspent, 0)
        ctx.fire("completed", order_id, after)
    return given


def _divide_escrow(
    ctx: Context, order_id: bytes, order: Order, shop: Shop, buyer_bp: int
) -> tuple[int, int, int]:
    """Before completion all of K is in escrow: what the buyer does not get is a sale.

    Returns what went to (the buyer, the pool, the shop).
    """
    kept = order.kept
    given = kept * buyer_bp // BPS
    kept -= given
    fee, commission, _ = shares(order, kept, network_fee(order, kept))
    to_shop = kept - fee - commission
    split_hold(
        ctx,
        FAMILY_NUMBER,
        order_id,
        ESCROW,
        paid=((order.buyer, given), (shop.owner, to_shop)),
        pooled=fee,
        kept=((COMMISSION, commission),),
    )
    return given, fee, to_shop


def _divide_held(
    ctx: Context, order_id: bytes, order: Order, shop: Shop, buyer_bp: int
) -> tuple[int, int, int]:
    """After completion commission and hold-back are; the commission shrinks as by any refund.

    Returns as `_divide_escrow`.
    """
    held_now = held_shares(order, order.kept)
    given = (held_now.commission + held_now.holdback) * buyer_bp // BPS
    less = held_now.commission - held_shares(order, order.kept - given).commission
    from_holdback = min(held_now.holdback, given - less)
    left = held_now.holdback - from_holdback
    release_parts(
        ctx,
        FAMILY_NUMBER,
        order_id,
        (
            (COMMISSION, order.buyer, given - from_holdback),
            (HOLDBACK, order.buyer, from_holdback),
            (HOLDBACK, shop.owner, left),
        ),
    )
    return given, 0, left
