"""For buyers and shops: shops with their terms and figures, orders with their lines."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, get_args

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.lists import read_page
from rpc.results import (
    ADDRESS,
    AMOUNT,
    BOOL,
    HASH,
    HEIGHT,
    INT,
    TEXT,
    TIME_MS,
    array,
    enum,
    mapping,
    nullable,
    obj,
    page,
)
from rpc.schema import Address, Hash32, ListParams, Params
from state.context import live_at
from state.tx.batches import ORDERS_OF_BATCH
from state.tx.disputes import DISPUTE, OF_ARBITER, Dispute
from state.tx.money import HOLD
from state.tx.opinions import REVIEWS
from state.tx.orders import (
    ALL_SHOPS,
    COMMISSION,
    ESCROW,
    FAMILY_NUMBER,
    HOLDBACK,
    OF_BUYER,
    OF_OWNER,
    OF_SHOP,
    Order,
    Shop,
)
from state.tx.ratings import rating_of
from state.tx.sales import STATUSES
from state.tx.shops import SERVED, VOUCH, ShopFigures, figures_of, terms_now
from state.view import View

_TERM_NAMES: Final = (
    "ship_within_ms", "complete_after_ms", "return_window_ms", "holdback_bp", "commission_bp",
    "arbiter",
)  # fmt: skip
_PURPOSES: Final = {ESCROW: "escrow", HOLDBACK: "holdback", COMMISSION: "commission"}


OrderStatus = Literal[
    "paid", "shipped", "completed", "disputed", "ruled", "final", "cancelled", "refunded"
]
assert get_args(OrderStatus) == STATUSES


class _ShopParams(Params):
    shop: Hash32


class _ShopsParams(ListParams):
    owner: Address | None = None
    positions: ClassVar[tuple[str, ...]] = ("cursor", "limit")


class _OrderParams(Params):
    order: Hash32


class _OrdersParams(ListParams):
    buyer: Address | None = None
    shop: Hash32 | None = None
    batch: Hash32 | None = None
    arbiter: Address | None = None
    status: OrderStatus | None = None
    positions: ClassVar[tuple[str, ...]] = ("buyer", "cursor", "limit")


def _shop_json(view: View, shop_id: bytes, row: Shop, hrp: str) -> dict[str, object]:
    """With the terms that hold for an order paid now, and those that were announced."""
    row = terms_now(view.reader, row)
    return {
        "shop": shop_id.hex(),
        "owner": address_text(row.owner, hrp),
        "name": row.name,
        "gateway": row.gateway,
        "ship_within_ms": row.ship_within_ms,
        "complete_after_ms": row.complete_after_ms,
        "return_window_ms": row.return_window_ms,
        "holdback_bp": row.holdback_bp,
        "commission_bp": row.commission_bp,
        "arbiter": address_text(row.arbiter, hrp),
        "opened_ms": row.opened_ms,
        "coming": _coming_json(row, hrp),
        **_figures_json(figures_of(view.reader, shop_id)),
    }


def _coming_json(row: Shop, hrp: str) -> dict[str, object] | None:
    """Terms that were announced and do not hold yet: from when, and what they will be."""
    if not row.coming:
        return None
    from_ms, terms = row.coming[0]
    named = dict(zip(_TERM_NAMES, terms, strict=True))
    return {"from_clock_ms": from_ms, **named, "arbiter": address_text(terms[5], hrp)}


def _figures_json(figures: ShopFigures) -> dict[str, object]:
    """Counts as numbers, money as text; refunds of referred and other sales side by side."""
    return {
        "orders": figures.orders,
        "cancelled": figures.cancelled,
        "completed": figures.completed,
        "final": figures.final,
        "paid": str(figures.paid),
        "refunded": str(figures.refunded),
        "final_volume": str(figures.final_volume),
        "referred": {
            "paid": str(figures.referred_paid),
            "refunded": str(figures.referred_refunded),
        },
        "unreferred": {
            "paid": str(figures.paid - figures.referred_paid),
            "refunded": str(figures.refunded - figures.referred_refunded),
        },
        "disputes": figures.disputes,
        "disputes_lost": figures.disputes_lost,
    }


async def _shop(ctx: Context, params: _ShopParams) -> object:
    with ctx.api.view() as view:
        row = view.shop(params.shop)
        if row is None:
            raise not_found("shop")
        served = [(code, seen) for (_, code), seen in view.reader.items(SERVED, params.shop)]
        return {
            "height": view.height,
            **_shop_json(view, params.shop, row, ctx.api.hrp),
            "rating_milli_stars": rating_of(view.reader, params.shop).milli_stars,
            "reviews": rating_of(view.reader, params.shop).reviews,
            "countries": {code: seen.orders for code, seen in served if len(code) == 2},
            "currencies": {code: seen.orders for code, seen in served if len(code) == 3},
            "vouched": str(vouch.left if (vouch := view.reader.get(VOUCH, params.shop)) else 0),
        }


async def _shops(ctx: Context, params: _ShopsParams) -> object:
    number, owner = (ALL_SHOPS, b"") if params.owner is None else (OF_OWNER, params.owner)

    def show(view: View, shop_id: bytes) -> dict[str, object]:
        row = view.shop(shop_id)
        assert row is not None, "a shop is never removed"
        return _shop_json(view, shop_id, row, ctx.api.hrp)

    return await read_page(ctx.api, number, owner, params, show)


def _live(view: View, at_ms: int) -> int | None:
    """A time on the orders' clock as live time, None for none."""
    return live_at(view.reader, FAMILY_NUMBER, at_ms) if at_ms else None


def _order_json(view: View, order_id: bytes, row: Order, hrp: str) -> dict[str, object]:
    return {
        "order": order_id.hex(),
        "shop": row.shop.hex(),
        "buyer": address_text(row.buyer, hrp),
        "status": row.status,
        "total": str(row.total),
        "refunded": str(row.refunded),
        "refunded_from_escrow": str(row.from_escrow),
        "to_shop": str(row.to_shop),
        "fee": str(row.fee),
        "commission": str(row.commission),
        "due_live_ms": _live(view, row.due_ms),
        "fee_bp": row.fee_bps,
        "fee_minimum": str(row.fee_minimum),
        "complete_after_ms": row.complete_after_ms,
        "return_window_ms": row.return_window_ms,
        "holdback_bp": row.holdback_bp,
        "commission_bp": row.commission_bp,
        "line_count": row.lines,
        "paid_ms": row.paid_ms,
        "shipped_ms": row.shipped_ms or None,
        "completed_ms": row.completed_ms or None,
        "closed_ms": row.closed_ms or None,
        "reference": row.reference,
        "distributor": _named(row.distributor, hrp),
        "demand": row.demand[0].hex() if row.demand else None,
        "led_by": row.led_by[0].hex() if row.led_by else None,
        "country": row.country[0] if row.country else None,
        "currency": row.currency[0] if row.currency else None,
        "referred": row.is_referred,
        "arbiter": address_text(row.arbiter, hrp),
        "ruled": str(row.ruled),
        "extended": row.is_extended,
        "delivered_ms": row.delivered_ms or None,
        "carrier": _named(row.carrier, hrp),
        "review_until_live_ms": (
            live_at(view.reader, REVIEWS, row.review_until_ms) if row.review_until_ms else None
        ),
    }


def _named(addresses: tuple[bytes, ...], hrp: str) -> str | None:
    return address_text(addresses[0], hrp) if addresses else None


def _dispute_json(row: Dispute | None) -> dict[str, object] | None:
    return row and {
        "reason": row.reason,
        "opened_ms": row.opened_ms,
        "outcome": row.outcome,
        "buyer_bp": row.buyer_bp,
        "silent": row.is_silent,
        "ended_ms": row.ended_ms or None,
    }


def _lines_json(view: View, order_id: bytes, order: Order) -> list[dict[str, object]]:
    return [
        {
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_price": str(line.unit_price),
            "batch": line.batch[0].hex() if line.batch else None,
            "refunded": refunded,
            "reviewed": order.has_review(number),
        }
        for number, (line, refunded) in enumerate(view.order_lines(order_id))
    ]


async def _order(ctx: Context, params: _OrderParams) -> object:
    with ctx.api.view() as view:
        row = view.order(params.order)
        if row is None:
            raise not_found("order")
        hold = view.reader.get(HOLD, (FAMILY_NUMBER, params.order))
        held = dict(hold.parts) if hold else {}
        return {
            "height": view.height,
            **_order_json(view, params.order, row, ctx.api.hrp),
            "held": {name: str(held.get(purpose, 0)) for purpose, name in _PURPOSES.items()},
            "lines": _lines_json(view, params.order, row),
            "dispute": _dispute_json(view.reader.get(DISPUTE, params.order)),
        }


async def _orders(ctx: Context, params: _OrdersParams) -> object:
    asked = [
        (number, owner)
        for number, owner in (
            (OF_BUYER, params.buyer),
            (OF_SHOP, params.shop),
            (ORDERS_OF_BATCH, params.batch),
            (OF_ARBITER, params.arbiter),
        )
        if owner is not None
    ]
    if len(asked) != 1:
        raise invalid_params("one of buyer, shop, batch and arbiter")
    ((number, owner),) = asked

    def show(view: View, order_id: bytes) -> dict[str, object] | None:
        row = view.order(order_id)
        assert row is not None, "an order is never removed"
        if params.status not in (None, row.status):
            return None
        return _order_json(view, order_id, row, ctx.api.hrp)

    return await read_page(ctx.api, number, owner, params, show)


_TERMS: Final[dict[str, Any]] = {
    "ship_within_ms": INT, "complete_after_ms": INT, "return_window_ms": INT, "holdback_bp": INT,
    "commission_bp": INT, "arbiter": ADDRESS,
}  # fmt: skip
_SIDE: Final = obj(paid=AMOUNT, refunded=AMOUNT)
_SHOP: Final[dict[str, Any]] = {
    "shop": HASH, "owner": ADDRESS, "name": TEXT, "gateway": TEXT, **_TERMS,
    "opened_ms": TIME_MS, "coming": nullable(obj(from_clock_ms=TIME_MS, **_TERMS)),
    "orders": INT, "cancelled": INT, "completed": INT, "final": INT, "paid": AMOUNT,
    "refunded": AMOUNT, "final_volume": AMOUNT, "referred": _SIDE, "unreferred": _SIDE,
    "disputes": INT, "disputes_lost": INT,
}  # fmt: skip
_ORDER: Final[dict[str, Any]] = {
    "order": HASH, "shop": HASH, "buyer": ADDRESS, "status": enum(*STATUSES), "total": AMOUNT,
    "refunded": AMOUNT, "refunded_from_escrow": AMOUNT, "to_shop": AMOUNT, "fee": AMOUNT,
    "commission": AMOUNT, "due_live_ms": nullable(TIME_MS), "fee_bp": INT, "fee_minimum": AMOUNT,
    "complete_after_ms": INT, "return_window_ms": INT, "holdback_bp": INT, "commission_bp": INT,
    "line_count": INT, "paid_ms": TIME_MS, "shipped_ms": nullable(TIME_MS),
    "completed_ms": nullable(TIME_MS), "closed_ms": nullable(TIME_MS), "reference": TEXT,
    "distributor": nullable(ADDRESS), "demand": nullable(HASH), "led_by": nullable(HASH),
    "country": nullable(TEXT), "currency": nullable(TEXT), "referred": BOOL,
    "arbiter": ADDRESS, "ruled": AMOUNT,
    "extended": BOOL, "delivered_ms": nullable(TIME_MS), "carrier": nullable(ADDRESS),
    "review_until_live_ms": nullable(TIME_MS),
}  # fmt: skip
_LINE: Final = obj(
    sku=TEXT, quantity=INT, unit_price=AMOUNT, batch=nullable(HASH), refunded=INT, reviewed=BOOL
)  # fmt: skip
_DISPUTE: Final = obj(
    reason=TEXT, opened_ms=TIME_MS, outcome=TEXT, buyer_bp=INT, silent=BOOL,
    ended_ms=nullable(TIME_MS),
)  # fmt: skip

METHODS: Final = (
    Method(
        name="shop_get",
        summary="A shop by the txid that opened it: its terms and its figures.",
        params=_ShopParams,
        result=obj(
            height=HEIGHT, **_SHOP, rating_milli_stars=INT, reviews=INT, countries=mapping(INT),
            currencies=mapping(INT), vouched=AMOUNT,
        ),
        run=_shop,
    ),
    Method(
        name="shop_list",
        summary="All shops, or those of an owner, in the order of opening.",
        params=_ShopsParams,
        result=page(obj(**_SHOP)),
        run=_shops,
        cost=10,
    ),
    Method(
        name="order_get",
        summary="An order by the txid that paid it, with its lines, dispute and what is held.",
        params=_OrderParams,
        result=obj(
            height=HEIGHT, **_ORDER, held=mapping(AMOUNT), lines=array(_LINE),
            dispute=nullable(_DISPUTE),
        ),
        run=_order,
        cost=2,
    ),
    Method(
        name="order_list",
        summary="Orders of a buyer, at a shop, of a batch or ever before an arbiter, oldest first; "
        "with `status` those in it, of the next 500: a page may be shorter than `limit` and go on.",
        params=_OrdersParams,
        result=page(obj(**_ORDER)),
        run=_orders,
        cost=10,
    ),
)  # fmt: skip
