"""Orders: a shop's sale from payment in escrow to final; what follows a sale hangs on its id.

Law, for each order: total = held + refunded from escrow + paid to shop + fee + commission, where
held is what its hold says; all refunds <= total; escrow = sum of open orders.

What the shop keeps, K, is total - refunds. Payout by outcome (fee F, commission C, hold-back H
are functions of K, see `shares`):

| outcome                  | buyer gets        | pool | held on  | shop gets              |
| ------------------------ | ----------------- | ---- | -------- | ---------------------- |
| cancelled, not shipped   | all that is held  | 0    | 0        | 0                      |
| refunded before complete | the lines' price  | 0    | the rest | 0                      |
| completed                | 0                 | F    | C + H    | K - F - C - H          |
| refunded after complete  | the lines' price  | 0    | C', H'   | pays what C and H lack |
| final                    | 0                 | 0    | 0        | H, and C if nobody's   |
| refunded after final     | the lines' price  | 0    | 0        | pays all of it         |

Disputes, vouching, carriers and distributors are not here yet.
Longer than a page because a family is one file.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, NAME_BYTES_MAX, ORDER_LINES_MAX
from state.context import Context, Fields, ParamSpec, is_scheduled, time_bounds
from state.draft import Reader
from state.fields import (
    Address,
    Amount,
    Code,
    Hash32,
    Int,
    ListOf,
    Optional,
    Struct,
    Text,
    gateway_name,
)
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key
from state.tx.accounts import account_of, check_free, is_linked
from state.tx.gateways import ARBITER, GATEWAY, UNKNOWN_GATEWAY, chain_of, check_active, is_listed
from state.tx.money import (
    HOLD,
    check_balance,
    held,
    hold,
    move_hold,
    release,
    release_to_pool,
    totals_of,
    transfer,
)

UNKNOWN_SHOP: Final = (201, "UNKNOWN_SHOP")
UNKNOWN_ORDER: Final = (202, "UNKNOWN_ORDER")
NOT_BUYER: Final = (203, "NOT_BUYER")
NOT_SHOP: Final = (204, "NOT_SHOP")
ORDER_STATUS: Final = (205, "ORDER_STATUS")
ORDER_DEADLINE: Final = (206, "ORDER_DEADLINE")
TERMS_OUT_OF_BOUNDS: Final = (207, "TERMS_OUT_OF_BOUNDS")
ARBITER_NOT_LISTED: Final = (208, "ARBITER_NOT_LISTED")
ARBITER_LINKED: Final = (209, "ARBITER_LINKED")
TOTAL_TOO_LARGE: Final = (210, "TOTAL_TOO_LARGE")
UNKNOWN_LINE: Final = (211, "UNKNOWN_LINE")
QUANTITY_EXCEEDED: Final = (212, "QUANTITY_EXCEEDED")
REFUND_NOT_COVERED: Final = (213, "REFUND_NOT_COVERED")
NOT_YET_ACTIVE: Final = (214, "NOT_YET_ACTIVE")  # a field whose family is still to come
DUPLICATE_LINE: Final = (215, "DUPLICATE_LINE")

FAMILY_NUMBER: Final = 2
ESCROW, HOLDBACK, COMMISSION = 1, 2, 3  # purposes of an order's hold
OF_BUYER, OF_SHOP, ALL_SHOPS, OF_OWNER = 16, 17, 18, 19  # lists
PAID, SHIPPED, COMPLETED = "paid", "shipped", "completed"
FINAL, CANCELLED, REFUNDED_WHOLE = "final", "cancelled", "refunded"
BPS: Final = 10_000
COMMISSION_BP_MAX: Final = 5_000
QUANTITY_MAX: Final = 1_000_000_000
_DAY_MS = 24 * 3_600_000


class Shop(NamedTuple):
    """A shop, under the txid that opened it; its terms, then its figures."""

    owner: bytes
    name: str
    gateway: str
    ship_within_ms: int
    complete_after_ms: int
    return_window_ms: int
    holdback_bp: int
    commission_bp: int
    arbiter: bytes
    opened_ms: int
    orders: int
    cancelled: int
    completed: int
    final: int
    # Cancelled orders count in neither: paying and cancelling for ever moves no figure.
    paid: int  # micro-dollars ever paid in
    refunded: int  # micro-dollars ever given back
    final_volume: int  # what the shop kept of orders at the time they became final


class Order(NamedTuple):
    """An order, under the txid that paid it. Terms are those of the time of payment."""

    shop: bytes
    buyer: bytes
    status: str
    total: int
    refunded: int  # all of it
    from_escrow: int  # of that, what came from what was held
    to_shop: int  # released from the hold to the shop
    fee: int  # to the pool, at completion
    commission: int  # paid out of the hold to others than the shop
    due_ms: int  # live time of what comes by itself; 0 where nothing does
    fee_bps: int
    fee_minimum: int
    complete_after_ms: int
    return_window_ms: int
    holdback_bp: int
    commission_bp: int  # 0 unless `set_commission` said otherwise
    lines: int
    paid_ms: int  # block times, 0 where it has not happened
    shipped_ms: int
    completed_ms: int
    closed_ms: int  # final, cancelled or refunded whole
    reference: str  # of the dispatch
    # As the buyer named them: () or one; an unknown id is never a refusal.
    distributor: tuple[bytes, ...]
    demand: tuple[bytes, ...]
    led_by: tuple[bytes, ...]
    country: tuple[str, ...]  # where it goes, as the buyer says; counted once it is final
    currency: tuple[str, ...]  # in which the buyer thought
    is_referred: bool  # a distributor has a claim on it


class OrderLine(NamedTuple):
    """One line as it was paid. On the wire and in `Lines` it is a plain tuple like this."""

    sku: str
    quantity: int
    unit_price: int
    batch: tuple[bytes, ...]  # () or one id


class Lines(NamedTuple):
    """An order's lines; never changed, so that a refund does not write them again."""

    lines: tuple[tuple[str, int, int, tuple[bytes, ...]], ...]


class Refunded(NamedTuple):
    """What was refunded of each line: (line, quantity), rising; lines without are left out."""

    quantities: tuple[tuple[int, int], ...]


SHOP: Final[Table[bytes, Shop]] = Table(32, "orders/shop", Shop, bytes_key())
ORDER: Final[Table[bytes, Order]] = Table(33, "orders/order", Order, bytes_key())
LINES: Final[Table[bytes, Lines]] = Table(34, "orders/lines", Lines, bytes_key())
REFUNDED: Final[Table[bytes, Refunded]] = Table(35, "orders/refunded", Refunded, bytes_key())


class Shares(NamedTuple):
    """How K is divided at completion; the shop has what is left."""

    fee: int
    commission: int
    holdback: int


def network_fee(order: Order, kept: int) -> int:
    """The fee on `kept`, rounded up, at least the minimum, at most all of it."""
    return min(kept, max(order.fee_minimum, -(-kept * order.fee_bps // BPS)))


def shares(order: Order, kept: int, fee: int) -> Shares:
    """The shares of `kept` once the fee is fixed. It rises with `kept` in each part, so what a
    refund gives back of a part is its share before less its share after.
    """
    after_fee = max(0, kept - fee)
    commission = min(kept * order.commission_bp // BPS, after_fee)
    holdback = min(kept * order.holdback_bp // BPS, after_fee - commission)
    return Shares(fee, commission, holdback)


# Shops ------------------------------------------------------------------------------------

# (term, lowest, highest); times in ms.
_TIME_TERMS: Final = (
    ("ship_within_ms", 3_600_000, 14 * _DAY_MS),
    ("complete_after_ms", 21 * _DAY_MS, 90 * _DAY_MS),
    ("return_window_ms", 14 * _DAY_MS, 90 * _DAY_MS),
)
_SHARE_TERMS: Final = (("holdback_bp", 0, BPS), ("commission_bp", 0, COMMISSION_BP_MAX))


def _check_terms(ctx: Context, times: tuple[int, ...], bps: tuple[int, ...]) -> None:
    network = chain_of(ctx.draft).network
    bounds = [(term, *time_bounds(network, low, high)) for term, low, high in _TIME_TERMS]
    for (term, lowest, highest), value in zip(
        [*bounds, *_SHARE_TERMS], [*times, *bps], strict=True
    ):
        if not lowest <= value <= highest:
            raise Rejected(TERMS_OUT_OF_BOUNDS, term=term, lowest=lowest, highest=highest)


def apply_shop_open(ctx: Context, fields: Fields) -> None:
    """A shop under a gateway, whose operator signs too."""
    name, gateway_, ship, complete, window, holdback_bp, commission_bp, arbiter = fields
    gateway = ctx.require(GATEWAY, gateway_, UNKNOWN_GATEWAY, gateway=gateway_)
    check_active(gateway_, gateway)
    _check_terms(ctx, (ship, complete, window), (holdback_bp, commission_bp))
    if not is_listed(ctx.draft, ARBITER, arbiter):
        raise Rejected(ARBITER_NOT_LISTED)
    for other in (ctx.sender, gateway.operator):
        if is_linked(ctx.draft, arbiter, other):
            raise Rejected(ARBITER_LINKED)
    # From here on nothing can fail.
    shop = Shop(
        owner=ctx.sender,
        name=name,
        gateway=gateway_,
        ship_within_ms=ship,
        complete_after_ms=complete,
        return_window_ms=window,
        holdback_bp=holdback_bp,
        commission_bp=commission_bp,
        arbiter=arbiter,
        opened_ms=ctx.time_ms,
        orders=0,
        cancelled=0,
        completed=0,
        final=0,
        paid=0,
        refunded=0,
        final_volume=0,
    )
    ctx.draft.put(SHOP, ctx.object_id, shop)
    ctx.list_under(ALL_SHOPS, b"", ctx.object_id)
    ctx.list_under(OF_OWNER, ctx.sender, ctx.object_id)
    ctx.involve(gateway.operator)
    ctx.emit("shop_opened", ctx.object_id, ctx.sender, name, gateway_)


def _shop_cosigners(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    gateway = reader.get(GATEWAY, fields[1])
    return () if gateway is None else (gateway.operator,)


# The way of an order ----------------------------------------------------------------------


def apply_pay(ctx: Context, fields: Fields) -> None:
    """The lines' total goes from the buyer into escrow."""
    shop_id, lines, distributor, demand, led_by, country, currency = fields
    check_free(ctx.draft, ctx.sender)
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    total = 0
    for _, quantity, unit_price, batch in lines:
        if batch:
            raise Rejected(NOT_YET_ACTIVE, field="batch")
        total += quantity * unit_price
    if shop.paid + total > INT_MAX:
        raise Rejected(TOTAL_TOO_LARGE)
    check_balance(ctx.draft, ctx.sender, total)
    # From here on nothing can fail.
    order_id = ctx.object_id
    due_ms = ctx.now(FAMILY_NUMBER) + shop.ship_within_ms
    order = Order(
        shop=shop_id,
        buyer=ctx.sender,
        status=PAID,
        total=total,
        refunded=0,
        from_escrow=0,
        to_shop=0,
        fee=0,
        commission=0,
        due_ms=due_ms,
        fee_bps=ctx.params["order_fee_bps"],
        fee_minimum=ctx.params["order_fee_minimum"],
        complete_after_ms=shop.complete_after_ms,
        return_window_ms=shop.return_window_ms,
        holdback_bp=shop.holdback_bp,
        commission_bp=0,
        lines=len(lines),
        paid_ms=ctx.time_ms,
        shipped_ms=0,
        completed_ms=0,
        closed_ms=0,
        reference="",
        distributor=distributor,
        demand=demand,
        led_by=led_by,
        country=country,
        currency=currency,
        is_referred=False,
    )
    ctx.draft.put(ORDER, order_id, order)
    ctx.draft.put(LINES, order_id, Lines(lines))
    ctx.draft.put(SHOP, shop_id, shop._replace(orders=shop.orders + 1, paid=shop.paid + total))
    hold(ctx, ctx.sender, FAMILY_NUMBER, order_id, ESCROW, total)
    ctx.schedule(due_ms, order_id, FAMILY_NUMBER)
    ctx.involve(shop.owner)
    ctx.list_under(OF_BUYER, ctx.sender, order_id)
    ctx.list_under(OF_SHOP, shop_id, order_id)
    ctx.emit("order_paid", order_id, shop_id, ctx.sender, total)
    ctx.fire("paid", order_id)


def set_commission(ctx: Context, order_id: bytes, bps: int) -> None:
    """A distributor has a claim on this sale; for families that hang on `paid`, in it alone.

    `bps` of what the shop keeps, as agreed before the sale; 0 makes the sale a referred one too.
    """
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None and order_id == ctx.object_id, "only while it is being paid"
    assert 0 <= bps <= COMMISSION_BP_MAX
    ctx.draft.put(ORDER, order_id, order._replace(commission_bp=bps, is_referred=True))


def pay_commission(ctx: Context, order_id: bytes, to: bytes, amount: int) -> None:
    """From what is held as commission; for families that hang on `final`, in it alone.

    They may take up to `held(ctx.draft, 2, order_id, COMMISSION)`; the rest is the shop's.
    """
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None and order.status == FINAL, "only while it becomes final"
    release(ctx, FAMILY_NUMBER, order_id, COMMISSION, to, amount)
    ctx.draft.put(ORDER, order_id, order._replace(commission=order.commission + amount))


def _order_and_shop(ctx: Context, order_id: bytes) -> tuple[Order, Shop]:
    order = ctx.require(ORDER, order_id, UNKNOWN_ORDER)
    shop = ctx.draft.get(SHOP, order.shop)
    assert shop is not None, "an order's shop is never removed"
    return order, shop


def _check_status(ctx: Context, order: Order, *statuses: str) -> None:
    """The order is in one of `statuses` and its deadline is ahead, else a refusal."""
    if order.status not in statuses:
        raise Rejected(ORDER_STATUS, status=order.status, needed=" or ".join(statuses))
    if ctx.now(FAMILY_NUMBER) >= order.due_ms:
        raise Rejected(ORDER_DEADLINE, due_ms=order.due_ms)


def _check_shop(ctx: Context, shop: Shop) -> None:
    if shop.owner != ctx.sender:
        raise Rejected(NOT_SHOP)


def apply_ship(ctx: Context, fields: Fields) -> None:
    """The shop dispatched the goods."""
    order_id, reference = fields
    order, shop = _order_and_shop(ctx, order_id)
    _check_shop(ctx, shop)
    _check_status(ctx, order, PAID)
    # From here on nothing can fail.
    due_ms = ctx.now(FAMILY_NUMBER) + order.complete_after_ms
    ctx.unschedule(order.due_ms, order_id, FAMILY_NUMBER)
    ctx.schedule(due_ms, order_id, FAMILY_NUMBER)
    shipped = order._replace(
        status=SHIPPED, due_ms=due_ms, shipped_ms=ctx.time_ms, reference=reference
    )
    ctx.draft.put(ORDER, order_id, shipped)
    ctx.involve(order.buyer)
    ctx.emit("order_shipped", order_id, reference)
    ctx.fire("shipped", order_id)


def apply_complete(ctx: Context, fields: Fields) -> None:
    """The buyer is content."""
    (order_id,) = fields
    order, shop = _order_and_shop(ctx, order_id)
    if order.buyer != ctx.sender:
        raise Rejected(NOT_BUYER)
    _check_status(ctx, order, SHIPPED)
    # From here on nothing can fail.
    ctx.unschedule(order.due_ms, order_id, FAMILY_NUMBER)
    _complete(ctx, order_id, order, shop)


def _complete(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    kept = order.total - order.refunded
    fee, commission, holdback = shares(order, kept, network_fee(order, kept))
    to_shop = kept - fee - commission - holdback
    release_to_pool(ctx, FAMILY_NUMBER, order_id, ESCROW, fee)
    move_hold(ctx, FAMILY_NUMBER, order_id, ESCROW, COMMISSION, commission)
    move_hold(ctx, FAMILY_NUMBER, order_id, ESCROW, HOLDBACK, holdback)
    release(ctx, FAMILY_NUMBER, order_id, ESCROW, shop.owner, to_shop)
    due_ms = ctx.now(FAMILY_NUMBER) + order.return_window_ms
    ctx.schedule(due_ms, order_id, FAMILY_NUMBER)
    completed = order._replace(
        status=COMPLETED, due_ms=due_ms, fee=fee, to_shop=to_shop, completed_ms=ctx.time_ms
    )
    ctx.draft.put(ORDER, order_id, completed)
    ctx.draft.put(SHOP, order.shop, shop._replace(completed=shop.completed + 1))
    ctx.involve(order.buyer)
    ctx.emit("order_completed", order_id, kept, fee, commission, holdback)
    ctx.fire("completed", order_id)


def apply_cancel(ctx: Context, fields: Fields) -> None:
    """Before shipping, buyer or shop may call it off."""
    (order_id,) = fields
    order, shop = _order_and_shop(ctx, order_id)
    if ctx.sender not in (order.buyer, shop.owner):
        raise Rejected(NOT_BUYER)
    _check_status(ctx, order, PAID)
    # From here on nothing can fail.
    ctx.unschedule(order.due_ms, order_id, FAMILY_NUMBER)
    _cancel(ctx, order_id, order, shop)


def _cancel(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    left = order.total - order.refunded
    release(ctx, FAMILY_NUMBER, order_id, ESCROW, order.buyer, left)
    cancelled = order._replace(
        status=CANCELLED,
        due_ms=0,
        refunded=order.total,
        from_escrow=order.total,
        closed_ms=ctx.time_ms,
    )
    ctx.draft.put(ORDER, order_id, cancelled)
    after = shop._replace(
        cancelled=shop.cancelled + 1,
        paid=shop.paid - order.total,
        refunded=shop.refunded - order.refunded,
    )
    ctx.draft.put(SHOP, order.shop, after)
    ctx.involve(shop.owner)
    ctx.emit("order_cancelled", order_id, left)
    ctx.fire("refunded", order_id, left)


# Refunds ----------------------------------------------------------------------------------


def _refund_of(
    ctx: Context, order_id: bytes, lines: tuple[tuple[int, int], ...]
) -> tuple[int, Refunded]:
    """(amount, quantities refunded after it), else a refusal."""
    stored = ctx.draft.get(LINES, order_id)
    assert stored is not None, "an order has lines"
    before = ctx.draft.get(REFUNDED, order_id)
    back = dict(before.quantities) if before else {}
    seen: dict[int, None] = {}
    amount = 0
    for line, quantity in lines:
        if line >= len(stored.lines):
            raise Rejected(UNKNOWN_LINE, line=line)
        if line in seen:
            raise Rejected(DUPLICATE_LINE, line=line)
        seen[line] = None
        _, bought, unit_price, _ = stored.lines[line]
        left = bought - back.get(line, 0)
        if quantity > left:
            raise Rejected(QUANTITY_EXCEEDED, line=line, left=left)
        back[line] = back.get(line, 0) + quantity
        amount += quantity * unit_price
    return amount, Refunded(tuple(sorted(back.items())))


def apply_refund(ctx: Context, fields: Fields) -> None:
    """The shop gives back lines, in whole or in part, at the price that was paid."""
    order_id, lines, reason = fields
    order, shop = _order_and_shop(ctx, order_id)
    _check_shop(ctx, shop)
    if order.status == FINAL:
        pass  # no deadline ends what a shop may give back
    else:
        _check_status(ctx, order, PAID, SHIPPED, COMPLETED)
    amount, quantities = _refund_of(ctx, order_id, lines)
    from_shop = _part_from_shop(order, amount)
    if account_of(ctx.draft, shop.owner).dollar < from_shop:
        raise Rejected(REFUND_NOT_COVERED, needed=str(from_shop))
    # From here on nothing can fail.
    ctx.draft.put(REFUNDED, order_id, quantities)
    ctx.draft.put(SHOP, order.shop, shop._replace(refunded=shop.refunded + amount))
    if order.status in (PAID, SHIPPED):
        _refund_escrow(ctx, order_id, order, amount)
    else:
        _refund_after(ctx, order_id, order, shop, amount, from_shop, reason)
    ctx.involve(order.buyer)
    ctx.emit("order_refunded", order_id, amount, reason)
    ctx.fire("refunded", order_id, amount)


def _held_shares(order: Order, kept: int) -> Shares:
    """Commission and hold-back that are still held for `kept`: nothing unless completed."""
    return shares(order, kept, order.fee) if order.status == COMPLETED else Shares(0, 0, 0)


def _part_from_shop(order: Order, amount: int) -> int:
    """What of a refund the shop's balance has to bear, 0 before completion.

    It can be -1: where both shares round up together, the unit goes to the shop.
    """
    if order.status in (PAID, SHIPPED):
        return 0
    kept = order.total - order.refunded
    before, after = _held_shares(order, kept), _held_shares(order, kept - amount)
    held_part = before.commission - after.commission + before.holdback - after.holdback
    return amount - held_part


def _refund_escrow(ctx: Context, order_id: bytes, order: Order, amount: int) -> None:
    release(ctx, FAMILY_NUMBER, order_id, ESCROW, order.buyer, amount)
    refunded = order.refunded + amount
    after = order._replace(refunded=refunded, from_escrow=order.from_escrow + amount)
    if refunded == order.total:
        ctx.unschedule(order.due_ms, order_id, FAMILY_NUMBER)
        after = after._replace(status=REFUNDED_WHOLE, due_ms=0, closed_ms=ctx.time_ms)
    ctx.draft.put(ORDER, order_id, after)


def _refund_after(
    ctx: Context,
    order_id: bytes,
    order: Order,
    shop: Shop,
    amount: int,
    from_shop: int,
    reason: str,
) -> None:
    """The same share of what is held first, the rest from the shop."""
    kept = order.total - order.refunded
    before, after = _held_shares(order, kept), _held_shares(order, kept - amount)
    commission = before.commission - after.commission
    holdback = before.holdback - after.holdback
    to_shop = order.to_shop
    if from_shop < 0:
        release(ctx, FAMILY_NUMBER, order_id, HOLDBACK, shop.owner, -from_shop)
        holdback += from_shop
        to_shop -= from_shop
    release(ctx, FAMILY_NUMBER, order_id, COMMISSION, order.buyer, commission)
    release(ctx, FAMILY_NUMBER, order_id, HOLDBACK, order.buyer, holdback)
    if from_shop > 0:
        transfer(ctx, shop.owner, [(order.buyer, from_shop, reason)])
    changed = order._replace(
        refunded=order.refunded + amount,
        from_escrow=order.from_escrow + commission + holdback,
        to_shop=to_shop,
    )
    ctx.draft.put(ORDER, order_id, changed)


# By the clock -----------------------------------------------------------------------------


def _do_due(ctx: Context, order_id: bytes) -> None:
    """Not shipped in time: cancelled. Shipped: completed. Completed: final."""
    order, shop = _order_and_shop(ctx, order_id)
    if order.status == PAID:
        _cancel(ctx, order_id, order, shop)
    elif order.status == SHIPPED:
        _complete(ctx, order_id, order, shop)
    else:
        assert order.status == COMPLETED
        _finalise(ctx, order_id, order, shop)


def _finalise(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """The return window is over: what is held goes where it belongs.

    Who earns a commission takes it in the hook; what nobody takes is the shop's.
    """
    kept = order.total - order.refunded
    _, commission, holdback = _held_shares(order, kept)
    release(ctx, FAMILY_NUMBER, order_id, HOLDBACK, shop.owner, holdback)
    final = order._replace(
        status=FINAL, due_ms=0, to_shop=order.to_shop + holdback, closed_ms=ctx.time_ms
    )
    ctx.draft.put(ORDER, order_id, final)
    after = shop._replace(final=shop.final + 1, final_volume=shop.final_volume + kept)
    ctx.draft.put(SHOP, order.shop, after)
    ctx.involve(order.buyer)
    ctx.involve(shop.owner)
    ctx.emit("order_final", order_id, kept)
    ctx.fire("final", order_id)
    if commission:
        _give_rest(ctx, order_id, shop.owner)


def _give_rest(ctx: Context, order_id: bytes, owner: bytes) -> None:
    """What nobody took of the commission is the shop's."""
    left = held(ctx.draft, FAMILY_NUMBER, order_id, COMMISSION)
    release(ctx, FAMILY_NUMBER, order_id, COMMISSION, owner, left)
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    ctx.draft.put(ORDER, order_id, order._replace(to_shop=order.to_shop + left))


# Laws -------------------------------------------------------------------------------------


def _held_by_rule(order: Order) -> list[tuple[int, int]]:
    """The parts that the order's hold must have."""
    kept = order.total - order.refunded
    if order.status in (PAID, SHIPPED):
        parts = [(ESCROW, kept)]
    else:
        _, commission, holdback = _held_shares(order, kept)
        parts = [(HOLDBACK, holdback), (COMMISSION, commission)]
    return [part for part in parts if part[1]]


def _check_lines(reader: Reader, order_id: bytes, order: Order) -> str | None:
    stored = reader.get(LINES, order_id)
    if stored is None or len(stored.lines) != order.lines:
        return "lines are missing"
    if sum(quantity * price for _, quantity, price, _ in stored.lines) != order.total:
        return "total is not the sum of its lines"
    row = reader.get(REFUNDED, order_id)
    back = dict(row.quantities) if row else {}
    for line, quantity in back.items():
        if not 0 < quantity <= stored.lines[line][1]:
            return f"line {line}: more was refunded than bought"
    given = sum(quantity * stored.lines[line][2] for line, quantity in back.items())
    if order.status != CANCELLED and given != order.refunded:
        return "refunded is not the sum of its lines"
    return None


def _check_order(reader: Reader, order_id: bytes, order: Order) -> str | None:
    """What is wrong with one order, or None."""
    row = reader.get(HOLD, (FAMILY_NUMBER, order_id))
    parts = list(row.parts) if row else []
    if parts != _held_by_rule(order):
        return "does not hold what its status says"
    in_hold = sum(amount for _, amount in parts)
    spent = order.from_escrow + order.to_shop + order.fee + order.commission
    if order.total != in_hold + spent:
        return f"paid in {order.total}, but held {in_hold} and spent {spent}"
    if not order.from_escrow <= order.refunded <= order.total:
        return "more was refunded than paid in"
    is_open = order.status in (PAID, SHIPPED, COMPLETED)
    if is_open != (order.due_ms > 0):
        return "has a deadline exactly while it is open"
    if is_open and not is_scheduled(reader, FAMILY_NUMBER, order.due_ms, order_id):
        return "is open and not in the due queue"
    return _check_lines(reader, order_id, order)


def _check_orders(reader: Reader) -> str | None:
    sums: dict[bytes, list[int]] = {}
    for order_id, order in reader.items(ORDER):
        why = _check_order(reader, order_id, order)
        if why is not None:
            return f"order {order_id.hex()} {why}"
        figures = sums.setdefault(order.shop, [0, 0, 0])
        figures[0] += 1
        if order.status != CANCELLED:
            figures[1] += order.total
            figures[2] += order.refunded
    for shop_id, shop in reader.items(SHOP):
        counted = sums.pop(shop_id, [0, 0, 0])
        if [shop.orders, shop.paid, shop.refunded] != counted:
            return f"shop {shop_id.hex()}: figures are not the sum of its orders"
    return f"order of unknown shop {sorted(sums)[0].hex()}" if sums else None


def _check_escrow(reader: Reader) -> str | None:
    in_holds = 0
    for (family, object_id), row in reader.items(HOLD):
        if family == FAMILY_NUMBER:
            if reader.get(ORDER, object_id) is None:
                return f"hold of {object_id.hex()} belongs to no order"
            in_holds += sum(amount for _, amount in row.parts)
    escrowed = totals_of(reader).escrowed
    # Other families may hold too; theirs is counted by the dollar's own law.
    return None if in_holds <= escrowed else f"orders hold {in_holds}, the total is {escrowed}"


_ID: Final = Hash32()
_SUM: Final = Int(0, INT_MAX)
_REASON: Final = Text(MEMO_BYTES_MAX)
_TIME: Final = Int(0, 366 * _DAY_MS)
_BP: Final = Int(0, BPS)
_LINE: Final = Struct(
    sku=Text(NAME_BYTES_MAX, lowest=1),
    quantity=Int(1, QUANTITY_MAX),
    unit_price=Amount(),
    batch=Optional(Hash32()),
)
_BACK: Final = Struct(line=Int(0, ORDER_LINES_MAX - 1), quantity=Int(1, QUANTITY_MAX))


def _kind(
    name: str, apply: Any, weight: int, doc: str, /, *, ends: bool = False, **fields: Any
) -> Kind:
    return Kind(name, Struct(**fields), apply, weight, doc, ends=ends)


KINDS: Final = (
    _kind(
        "shop_open", apply_shop_open, 1_000,
        "Open a shop under a gateway, whose operator signs too.",
        name=Text(NAME_BYTES_MAX, lowest=1), gateway=gateway_name(), ship_within_ms=_TIME,
        complete_after_ms=_TIME, return_window_ms=_TIME, holdback_bp=_BP, commission_bp=_BP,
        arbiter=Address(),
    )._replace(cosigners=_shop_cosigners),
    _kind(
        "order_pay", apply_pay, 200, "Pay lines to a shop, into escrow.",
        shop=_ID, lines=ListOf(_LINE, 1, ORDER_LINES_MAX), distributor=Optional(Address()),
        demand=Optional(_ID), led_by=Optional(_ID), country=Optional(Code(2)),
        currency=Optional(Code(3)),
    ),
    _kind("order_ship", apply_ship, 200, "The shop dispatched the goods.",
          order=_ID, reference=_REASON),
    _kind("order_complete", apply_complete, 200, "The buyer is content.", order=_ID,
          ends=True),
    _kind("order_cancel", apply_cancel, 200, "Buyer or shop calls it off before shipping.",
          order=_ID, ends=True),
    _kind("order_refund", apply_refund, 200, "The shop gives back lines at the price paid.",
          order=_ID, lines=ListOf(_BACK, 1, ORDER_LINES_MAX), reason=_REASON, ends=True),
)  # fmt: skip

EVENTS: Final = (
    EventSpec(
        "shop_opened",
        Struct(shop=_ID, owner=Address(), name=_REASON, gateway=gateway_name()),
        "A shop opened.",
    ),
    EventSpec(
        "order_paid",
        Struct(order=_ID, shop=_ID, buyer=Address(), total=Amount()),
        "Paid into escrow.",
    ),
    EventSpec("order_shipped", Struct(order=_ID, reference=_REASON), "Dispatched."),
    EventSpec(
        "order_completed",
        Struct(order=_ID, kept=_SUM, fee=_SUM, commission=_SUM, holdback=_SUM),
        "By the buyer or by the clock: the shop is paid, less what is held until final.",
    ),
    EventSpec("order_cancelled", Struct(order=_ID, refunded=_SUM), "Called off, or not shipped."),
    EventSpec(
        "order_refunded",
        Struct(order=_ID, amount=Amount(), reason=_REASON),
        "Lines were given back.",
    ),
    EventSpec("order_final", Struct(order=_ID, kept=_SUM), "The return window is over."),
)

FAMILY: Final = Family(
    number=FAMILY_NUMBER,
    name="orders",
    kinds=KINDS,
    tables=(SHOP, ORDER, LINES, REFUNDED),
    refusals=(
        UNKNOWN_SHOP, UNKNOWN_ORDER, NOT_BUYER, NOT_SHOP, ORDER_STATUS, ORDER_DEADLINE,
        TERMS_OUT_OF_BOUNDS, ARBITER_NOT_LISTED, ARBITER_LINKED, TOTAL_TOO_LARGE, UNKNOWN_LINE,
        QUANTITY_EXCEEDED, REFUND_NOT_COVERED, NOT_YET_ACTIVE, DUPLICATE_LINE,
    ),
    params=(
        ParamSpec("order_fee_bps", 50, 10, 200, "network fee on what the shop keeps"),
        ParamSpec("order_fee_minimum", 10_000, 0, 1_000_000, "least network fee, micro-dollars"),
    ),
    events=EVENTS,
    laws=(Law("orders", _check_orders), Law("escrow", _check_escrow)),
    due=_do_due,
    declares=("paid", "shipped", "completed", "final", "refunded", "disputed_lost"),
)  # fmt: skip
