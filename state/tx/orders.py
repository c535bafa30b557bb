"""Orders: a shop's sale from payment in escrow to final; what follows a sale hangs on its id.

Law: escrow = sum of open orders; each order's own law and the table of payouts by outcome stand
in `payout.py`. What comes by itself, on the family's clock: not shipped by the ship deadline, an
order is cancelled; shipped, it is completed after the shop's term, or `order_delivered_ms` after
a listed carrier signed delivery if that is sooner, and the buyer may put it off once; completed,
it is final when the return window closes; disputed, it is ruled for the buyer.

The family's records stand in `sales.py`, shops in `shops.py`, money in `payout.py`, what may
cross an order in `refunds.py` and `disputes.py`, the audit in `sales_laws.py`. Other families
find here what they need: the tables, the statuses, and the two movers of a commission.
"""

from __future__ import annotations

from typing import Any, Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, NAME_BYTES_MAX, ORDER_LINES_MAX
from state.context import Context, Fields, ParamSpec
from state.draft import Reader
from state.fields import (
    Address,
    Amount,
    Bool,
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
from state.tx.accounts import is_linked
from state.tx.batches import check_units, reserve_units, ship_units
from state.tx.disputes import (
    DISPUTE,
    DISPUTED_BEFORE,
    NOT_ARBITER,
    apply_dispute,
    apply_rule,
    apply_withdraw,
    rule,
)
from state.tx.gateways import CARRIER, is_listed
from state.tx.money import check_spend, hold_parts
from state.tx.payout import cancel, complete, finalise, pay_commission, with_commission
from state.tx.refunds import (
    DUPLICATE_LINE,
    QUANTITY_EXCEEDED,
    REFUND_EXCEEDED,
    REFUND_NOT_COVERED,
    UNKNOWN_LINE,
    apply_refund,
)
from state.tx.sales import (
    CANCELLED,
    COMMISSION,
    COMPLETED,
    DISPUTED,
    ESCROW,
    FAMILY_NUMBER,
    FINAL,
    HOLDBACK,
    LINES,
    NOT_BUYER,
    ORDER,
    ORDER_DEADLINE,
    ORDER_STATUS,
    PAID,
    REFUNDED,
    REFUNDED_WHOLE,
    RULED,
    SHIPPED,
    UNKNOWN_ORDER,
    Lines,
    Order,
    OrderLine,
    check_buyer,
    check_status,
    lines_of,
    network_fee,
    order_and_shop,
    set_due,
    shares,
    units_left,
)
from state.tx.sales_laws import check_escrow, check_orders, check_shops
from state.tx.shops import (
    ALL_SHOPS,
    ARBITER_LINKED,
    ARBITER_NOT_LISTED,
    BPS,
    COMMISSION_BP_MAX,
    FIGURES,
    NOT_ITS_GATEWAY,
    NOT_SHOP,
    OF_OWNER,
    SERVED,
    SHOP,
    TERMS_OUT_OF_BOUNDS,
    UNKNOWN_SHOP,
    VOUCH,
    Shop,
    ShopFigures,
    apply_shop_open,
    apply_shop_terms,
    apply_shop_vouch,
    check_owner,
    figures_of,
    shop_open_cosigners,
    terms_now,
)

# What other families, readers and tests use of this one.
__all__ = [
    "ALL_SHOPS",
    "BATCHES_MAX",
    "BPS",
    "CANCELLED",
    "COMMISSION",
    "COMMISSION_BP_MAX",
    "COMPLETED",
    "DISPUTED",
    "ESCROW",
    "FAMILY",
    "FAMILY_NUMBER",
    "FINAL",
    "HOLDBACK",
    "LINES",
    "NOT_SHOP",
    "OF_BUYER",
    "OF_OWNER",
    "OF_SHOP",
    "ORDER",
    "PAID",
    "REFUNDED",
    "REFUNDED_WHOLE",
    "RULED",
    "SHIPPED",
    "SHOP",
    "UNKNOWN_ORDER",
    "UNKNOWN_SHOP",
    "Order",
    "OrderLine",
    "Shop",
    "network_fee",
    "pay_commission",
    "shares",
    "terms_now",
    "with_commission",
]  # fmt: skip

TOTAL_TOO_LARGE: Final = (210, "TOTAL_TOO_LARGE")
NOT_CARRIER: Final = (220, "NOT_CARRIER")
CARRIER_LINKED: Final = (221, "CARRIER_LINKED")
ALREADY_DELIVERED: Final = (222, "ALREADY_DELIVERED")
ALREADY_EXTENDED: Final = (223, "ALREADY_EXTENDED")
TOO_MANY_BATCHES: Final = (224, "TOO_MANY_BATCHES")

OF_BUYER, OF_SHOP = 16, 17  # lists
QUANTITY_MAX: Final = 1_000_000_000
BATCHES_MAX: Final = 64  # that an order's lines name: a row each to ship, cancel, mark by one kind
_DAY_MS = 24 * 3_600_000


def _wanted(lines: Any) -> tuple[int, dict[bytes, int]]:
    """(total, units of each batch that some line names)."""
    total = 0
    wanted: dict[bytes, int] = {}
    for _, quantity, unit_price, batch in lines:
        total += quantity * unit_price
        if batch:
            wanted[batch[0]] = wanted.get(batch[0], 0) + quantity
    return total, wanted


def apply_pay(ctx: Context, fields: Fields) -> None:
    """The lines' total goes from the buyer into escrow, units of named batches are reserved."""
    shop_id, lines, distributor, demand, led_by, country, currency = fields
    total, wanted = _wanted(lines)
    if len(wanted) > BATCHES_MAX:
        raise Rejected(TOO_MANY_BATCHES, highest=BATCHES_MAX)
    shop = terms_now(ctx.draft, ctx.require(SHOP, shop_id, UNKNOWN_SHOP))
    if is_linked(ctx.draft, shop.arbiter, ctx.sender):
        raise Rejected(ARBITER_LINKED)
    figures = figures_of(ctx.draft, shop_id)
    if figures.paid + total > INT_MAX:
        raise Rejected(TOTAL_TOO_LARGE)
    if wanted:
        check_units(ctx.draft, shop_id, wanted)
    check_spend(ctx.draft, ctx.sender, total)
    # From here on nothing can fail.
    order_id = ctx.object_id
    due_ms = ctx.now(FAMILY_NUMBER) + shop.ship_within_ms
    params = ctx.params
    # By position, in the order of the record: with so many names this takes three times as long.
    order = Order(
        shop_id, ctx.sender, PAID, total,
        0, 0, 0, 0, 0,  # refunded, from_escrow, to_shop, fee, commission
        due_ms, params["order_fee_bps"], params["order_fee_minimum"],
        shop.complete_after_ms, shop.return_window_ms, shop.holdback_bp,
        0,  # commission_bp
        len(lines), ctx.time_ms,
        0, 0, 0, "",  # shipped_ms, completed_ms, closed_ms, reference
        distributor, demand, led_by, country, currency,
        False, shop.arbiter, 0, bool(wanted),  # is_referred, arbiter, ruled, has_batches
        False, 0, (),  # is_extended, delivered_ms, carrier
        0, b"", (),  # review_until_ms, reviewed, waiting
    )  # fmt: skip
    ctx.draft.put(LINES, order_id, Lines(lines))
    hold_parts(ctx, ctx.sender, FAMILY_NUMBER, order_id, ((ESCROW, total),))
    reserve_units(ctx, wanted)
    ctx.schedule(due_ms, order_id, FAMILY_NUMBER)
    ctx.involve(shop.owner)
    ctx.list_under(OF_BUYER, ctx.sender, order_id)
    ctx.list_under(OF_SHOP, shop_id, order_id)
    ctx.emit("order_paid", order_id, shop_id, ctx.sender, total)
    order = ctx.fold("paid", order_id, order, shop)  # who hangs on may have a claim on it
    ctx.draft.put(ORDER, order_id, order)
    _count_paid(ctx, order, figures)


def _count_paid(ctx: Context, order: Order, figures: ShopFigures) -> None:
    """The order in its shop's figures, which have not moved since it was checked."""
    referred = order.total if order.is_referred else 0
    orders, cancelled, completed, final, paid, refunded, referred_paid, *rest = figures
    counted = ShopFigures(
        orders + 1, cancelled, completed, final, paid + order.total, refunded,
        referred_paid + referred, *rest,
    )  # fmt: skip
    ctx.draft.put(FIGURES, order.shop, counted)


def apply_ship(ctx: Context, fields: Fields) -> None:
    """The shop dispatched the goods."""
    order_id, reference = fields
    order, shop = order_and_shop(ctx, order_id)
    check_owner(ctx, shop)
    check_status(ctx, order, PAID)
    # From here on nothing can fail.
    _ship(ctx, order_id, order, reference, ())


def apply_dispatch(ctx: Context, fields: Fields) -> None:
    """The shop dispatched the goods, and the carrier that took them signs too."""
    order_id, reference, carrier = fields
    order, shop = order_and_shop(ctx, order_id)
    check_owner(ctx, shop)
    _check_carrier(ctx, carrier, shop)
    check_status(ctx, order, PAID)
    # From here on nothing can fail.
    _ship(ctx, order_id, order, reference, (carrier,))


def _dispatch_cosigners(_reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    return (fields[2],)


def _check_carrier(ctx: Context, carrier: bytes, shop: Shop) -> None:
    """Listed, and not the shop's own: its word ends the buyer's time."""
    if not is_listed(ctx.draft, CARRIER, carrier):
        raise Rejected(NOT_CARRIER)
    if is_linked(ctx.draft, carrier, shop.owner):
        raise Rejected(CARRIER_LINKED)


def _ship(
    ctx: Context, order_id: bytes, order: Order, reference: str, carrier: tuple[bytes, ...]
) -> None:
    due_ms = ctx.now(FAMILY_NUMBER) + order.complete_after_ms
    set_due(ctx, order_id, order.due_ms, due_ms)
    shipped = order.but(
        status=SHIPPED,
        due_ms=due_ms,
        shipped_ms=ctx.time_ms,
        reference=reference,
        carrier=carrier,
    )
    ctx.draft.put(ORDER, order_id, shipped)
    if order.has_batches:
        named = (batch[0] for _, _, _, batch in lines_of(ctx, order_id).lines if batch)
        ship_units(ctx, order_id, units_left(ctx.draft, order_id), named if order.refunded else ())
    ctx.involve(order.buyer)
    if carrier:
        ctx.involve(carrier[0])
    ctx.emit("order_shipped", order_id, reference)
    ctx.fire("shipped", order_id, shipped)


def apply_deliver(ctx: Context, fields: Fields) -> None:
    """A listed carrier signs that it arrived: the buyer has `order_delivered_ms` left."""
    order_id, reference = fields
    order, shop = order_and_shop(ctx, order_id)
    _check_carrier(ctx, ctx.sender, shop)
    check_status(ctx, order, SHIPPED)
    if order.delivered_ms:
        raise Rejected(ALREADY_DELIVERED)
    # From here on nothing can fail.
    sooner_ms = ctx.now(FAMILY_NUMBER) + ctx.params["order_delivered_ms"]
    due_ms = min(order.due_ms, sooner_ms)
    set_due(ctx, order_id, order.due_ms, due_ms)
    ctx.draft.put(ORDER, order_id, order.but(due_ms=due_ms, delivered_ms=ctx.time_ms))
    ctx.involve(order.buyer)
    ctx.involve(shop.owner)
    ctx.emit("order_delivered", order_id, ctx.sender, reference)


def apply_extend(ctx: Context, fields: Fields) -> None:
    """The buyer puts completion off, once."""
    (order_id,) = fields
    order, shop = order_and_shop(ctx, order_id)
    check_buyer(ctx, order)
    check_status(ctx, order, SHIPPED)
    if order.is_extended:
        raise Rejected(ALREADY_EXTENDED)
    # From here on nothing can fail.
    due_ms = order.due_ms + ctx.params["order_extend_ms"]
    set_due(ctx, order_id, order.due_ms, due_ms)
    ctx.draft.put(ORDER, order_id, order.but(due_ms=due_ms, is_extended=True))
    ctx.involve(shop.owner)
    ctx.emit("order_extended", order_id, due_ms)


def apply_complete(ctx: Context, fields: Fields) -> None:
    """The buyer is content. Nobody else can say so: a shop waits for the clock."""
    (order_id,) = fields
    order, shop = order_and_shop(ctx, order_id)
    check_buyer(ctx, order)
    check_status(ctx, order, SHIPPED)
    # From here on nothing can fail.
    complete(ctx, order_id, order, shop)


def apply_cancel(ctx: Context, fields: Fields) -> None:
    """Before shipping, buyer or shop may call it off."""
    (order_id,) = fields
    order, shop = order_and_shop(ctx, order_id)
    if ctx.sender not in (order.buyer, shop.owner):
        raise Rejected(NOT_BUYER)
    check_status(ctx, order, PAID)
    # From here on nothing can fail.
    cancel(ctx, order_id, order, shop)


def _do_due(ctx: Context, order_id: bytes) -> None:
    """Not shipped: cancelled. Shipped: completed. Completed or ruled: final. Disputed: for the
    buyer.
    """
    order, shop = order_and_shop(ctx, order_id)
    order = order.but(due_ms=0)  # the queue has let go of it
    if order.status == PAID:
        cancel(ctx, order_id, order, shop)
    elif order.status == SHIPPED:
        complete(ctx, order_id, order, shop)
    elif order.status in (COMPLETED, RULED):
        finalise(ctx, order_id, order, shop)
    else:
        assert order.status == DISPUTED
        rule(ctx, order_id, order, shop, BPS, is_silent=True)


_ID: Final = Hash32()
_SUM: Final = Amount(lowest=0)
_COUNT: Final = Int(0, INT_MAX)
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
_TERMS: Final[dict[str, Any]] = {
    "ship_within_ms": _TIME, "complete_after_ms": _TIME, "return_window_ms": _TIME,
    "holdback_bp": _BP, "commission_bp": _BP, "arbiter": Address(),
}  # fmt: skip


def _kind(
    name: str, apply: Any, weight: int, doc: str, /, *, ends: bool = False, **fields: Any
) -> Kind:
    return Kind(name, Struct(**fields), apply, weight, doc, ends=ends)


KINDS: Final = (
    _kind(
        "shop_open", apply_shop_open, 1_000,
        "Open a shop under a gateway, whose operator signs too.",
        name=Text(NAME_BYTES_MAX, lowest=1), gateway=gateway_name(), **_TERMS,
    )._replace(cosigners=shop_open_cosigners),
    _kind("shop_terms", apply_shop_terms, 200, "New terms for orders to come, after the notice.",
          shop=_ID, **_TERMS),
    _kind("shop_vouch", apply_shop_vouch, 200,
          "The shop's gateway pays what it lacks for refunds, up to a sum.",
          shop=_ID, sum=Amount(lowest=0)),
    _kind(
        "order_pay", apply_pay, 200, "Pay lines to a shop, into escrow.",
        shop=_ID, lines=ListOf(_LINE, 1, ORDER_LINES_MAX), distributor=Optional(Address()),
        demand=Optional(_ID), led_by=Optional(_ID), country=Optional(Code(2)),
        currency=Optional(Code(3)),
    ),
    _kind("order_ship", apply_ship, 200, "The shop dispatched the goods.",
          order=_ID, reference=_REASON),
    _kind("order_dispatch", apply_dispatch, 200,
          "The shop dispatched the goods with a listed carrier, which signs too.",
          order=_ID, reference=_REASON, carrier=Address(),
          )._replace(cosigners=_dispatch_cosigners),
    _kind("order_deliver", apply_deliver, 200, "A listed carrier delivered the goods.",
          order=_ID, reference=_REASON),
    _kind("order_extend", apply_extend, 200, "The buyer puts completion off, once.", order=_ID),
    _kind("order_complete", apply_complete, 200, "The buyer is content.", order=_ID,
          ends=True),
    _kind("order_cancel", apply_cancel, 200, "Buyer or shop calls it off before shipping.",
          order=_ID, ends=True),
    _kind("order_refund", apply_refund, 200, "The shop gives back lines at the price paid.",
          order=_ID, lines=ListOf(_BACK, 1, ORDER_LINES_MAX), reason=_REASON, ends=True),
    _kind("order_dispute", apply_dispute, 200,
          "The buyer asks the arbiter; a reason that begins with `counterfeit` says that.",
          order=_ID, reason=_REASON),
    _kind("order_withdraw", apply_withdraw, 200, "The buyer takes its dispute back.", order=_ID,
          ends=True),
    _kind("order_rule", apply_rule, 200, "The arbiter splits what is still in escrow.",
          order=_ID, buyer_bp=_BP, ends=True),
)  # fmt: skip

EVENTS: Final = (
    EventSpec(
        "shop_opened",
        Struct(shop=_ID, owner=Address(), name=_REASON, gateway=gateway_name()),
        "A shop opened.",
    ),
    EventSpec(
        "shop_terms_announced",
        Struct(shop=_ID, from_clock_ms=_COUNT),
        "New terms hold for orders from this time of the family's clock on.",
    ),
    EventSpec("shop_vouched", Struct(shop=_ID, sum=_SUM), "What its gateway will pay of refunds."),
    EventSpec(
        "shop_vouch_used",
        Struct(shop=_ID, txid=_ID, amount=Amount()),
        "The gateway paid this part of a refund.",
    ),
    EventSpec(
        "order_paid",
        Struct(order=_ID, shop=_ID, buyer=Address(), total=Amount()),
        "Paid into escrow.",
    ),
    EventSpec("order_shipped", Struct(order=_ID, reference=_REASON), "Dispatched."),
    EventSpec(
        "order_delivered",
        Struct(order=_ID, carrier=Address(), reference=_REASON),
        "A carrier signed delivery.",
    ),
    EventSpec(
        "order_extended",
        Struct(order=_ID, due_clock_ms=_COUNT),
        "The buyer has until then, on the family's clock.",
    ),
    EventSpec(
        "order_completed",
        Struct(order=_ID, kept=_SUM, fee=_SUM, commission=_SUM, holdback=_SUM),
        "By the buyer, the clock or a ruling: the shop is paid, less what is held until final.",
    ),
    EventSpec("order_cancelled", Struct(order=_ID, refunded=_SUM), "Called off, or not shipped."),
    EventSpec(
        "order_refunded",
        Struct(order=_ID, amount=Amount(), reason=_REASON),
        "Lines were given back.",
    ),
    EventSpec("order_disputed", Struct(order=_ID, reason=_REASON), "The arbiter is asked."),
    EventSpec("order_withdrawn", Struct(order=_ID), "The buyer took the dispute back."),
    EventSpec(
        "order_ruled",
        Struct(order=_ID, buyer_bp=_BP, amount=_SUM, silent=Bool()),
        "The arbiter, or its silence, gave the buyer this amount out of the escrow.",
    ),
    EventSpec(
        "order_final", Struct(order=_ID, kept=_SUM), "The return window is over, or it was ruled."
    ),
)

PARAMS: Final = (
    ParamSpec("order_fee_bps", 50, 10, 200, "network fee on what the shop keeps"),
    ParamSpec("order_fee_minimum", 10_000, 0, 1_000_000, "least network fee, micro-dollars"),
    ParamSpec("order_delivered_ms", 7 * _DAY_MS, 7 * _DAY_MS, 21 * _DAY_MS,
              "from a carrier's word to completion", is_time=True),
    ParamSpec("order_extend_ms", 14 * _DAY_MS, 7 * _DAY_MS, 30 * _DAY_MS,
              "what a buyer can add once", is_time=True),
    ParamSpec("order_ruling_ms", 30 * _DAY_MS, 7 * _DAY_MS, 30 * _DAY_MS,
              "an arbiter's time to rule", is_time=True),
    ParamSpec("shop_notice_ms", 7 * _DAY_MS, 7 * _DAY_MS, 30 * _DAY_MS,
              "from announcing new terms to their holding", is_time=True),
)  # fmt: skip

FAMILY: Final = Family(
    number=FAMILY_NUMBER,
    name="orders",
    kinds=KINDS,
    tables=(SHOP, ORDER, LINES, REFUNDED, FIGURES, VOUCH, SERVED, DISPUTE),
    refusals=(
        UNKNOWN_SHOP, UNKNOWN_ORDER, NOT_BUYER, NOT_SHOP, ORDER_STATUS, ORDER_DEADLINE,
        TERMS_OUT_OF_BOUNDS, ARBITER_NOT_LISTED, ARBITER_LINKED, TOTAL_TOO_LARGE, UNKNOWN_LINE,
        QUANTITY_EXCEEDED, REFUND_NOT_COVERED, DUPLICATE_LINE, NOT_ITS_GATEWAY,
        REFUND_EXCEEDED, NOT_ARBITER, DISPUTED_BEFORE, NOT_CARRIER, CARRIER_LINKED,
        ALREADY_DELIVERED, ALREADY_EXTENDED, TOO_MANY_BATCHES,
    ),
    params=PARAMS,
    events=EVENTS,
    laws=(Law("orders", check_orders), Law("shops", check_shops), Law("escrow", check_escrow)),
    due=_do_due,
    declares=("paid", "shipped", "completed", "final", "refunded", "disputed_lost"),
)  # fmt: skip
