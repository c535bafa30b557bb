"""Who earns what on a sale: before it is paid, while it is open, and from then on for ever.

`referral_list` without a filter is the regulator's export: every referred sale in the order of
payment with its parties, depth, rows, and whether they are linked by now.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

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
    TIME_MS,
    array,
    enum,
    nullable,
    obj,
    page,
)
from rpc.schema import (
    Address,
    Amount,
    Hash32,
    ListParams,
    PageParams,
    Params,
    make_cursor,
    open_cursor,
)
from state.context import Params as ChainParams
from state.tx.accounts import is_linked
from state.tx.bindings import PARTNER, family_now, foresee_for_order
from state.tx.commissions import (
    ALL_SALES,
    EARNED,
    OPEN,
    ROW,
    ROWS_AT,
    ROWS_OF,
    SALE,
    SALES_AT,
    SALES_OF,
    VOID,
    Row,
    promised,
    second_level,
    share_under_caps,
)
from state.tx.orders import BPS, ORDER, SHOP, Order, network_fee, shares, terms_now
from state.view import View

_ROWS_SHOWN: Final = 50  # of one sale in a list; `commission_list` with `order` pages through all


class _SplitParams(Params):
    shop: Hash32
    total: Amount
    buyer: Address | None = None
    distributor: Address | None = None


class _RowsParams(PageParams):
    distributor: Address | None = None
    shop: Hash32 | None = None
    order: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("distributor", "cursor", "limit")


class _SalesParams(ListParams):
    distributor: Address | None = None
    shop: Hash32 | None = None
    order: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("distributor", "cursor", "limit")


# Before ------------------------------------------------------------------------------------


async def _split(ctx: Context, params: _SplitParams) -> object:
    with ctx.api.view() as view:
        answer = _split_of(view, params, ctx.api.hrp)
    if answer is None:
        raise not_found("shop")
    return answer


def _split_of(view: View, params: _SplitParams, hrp: str) -> dict[str, object] | None:
    """As if the order were paid now and became final with nothing refunded."""
    reader, total = view.reader, params.total
    shop = reader.get(SHOP, params.shop)
    if shop is None:
        return None
    if total == 0:
        raise invalid_params("an amount from 1", field="total")
    chain = ChainParams(reader, view.registry.defaults)
    buyer = params.buyer or bytes(32)  # nobody: bound to no one and linked to no one
    named = (params.distributor,) if params.distributor else ()
    binding = foresee_for_order(reader, buyer, shop.owner, params.shop, named, family_now(reader))
    share_bp = share_under_caps(reader, binding, total) if binding else 0
    blank: Order = Order._make([0] * len(Order._fields))
    order = blank._replace(  # all that `shares` and `network_fee` read
        fee_bps=chain["order_fee_bps"],
        fee_minimum=chain["order_fee_minimum"],
        commission_bp=share_bp,
        holdback_bp=terms_now(reader, shop).holdback_bp,
    )
    parts = shares(order, total, network_fee(order, total))
    recruiter: tuple[bytes, ...] = ()
    second = 0
    if binding and chain["refer_depth"] > 1:
        partner = reader.get(PARTNER, (binding.distributor, params.shop))
        assert partner is not None, "a binding is to who has joined"
        recruiter, second_bps = second_level(
            reader, partner, buyer, shop.owner, chain["refer_second_bps"]
        )
        second = parts.commission * second_bps // BPS
    return {
        "height": view.height,
        "shop": params.shop.hex(),
        "total": str(total),
        "fee": str(parts.fee),
        "distributor": address_text(binding.distributor, hrp) if binding else None,
        "share_bp": share_bp,
        "commission": str(parts.commission),
        "level_1": str(parts.commission - second),
        "recruiter": address_text(recruiter[0], hrp) if recruiter else None,
        "level_2": str(second),
        "holdback": str(parts.holdback),
        "to_shop": str(total - parts.fee - parts.commission),
    }


# After -------------------------------------------------------------------------------------


def _row_json(order_id: bytes, number: int, row: Row, hrp: str) -> dict[str, object]:
    return {
        "order": order_id.hex(),
        "row": number,
        "kind": "accrued" if row.accrued > 0 else "reversed",
        "distributor": address_text(row.distributor, hrp),
        "depth": row.depth,
        "amount": str(row.accrued),
        "paid": str(row.paid),
        "owed": str(row.owed),
        "kept": str(row.kept),
        "at_ms": row.at_ms,
    }


async def _rows(ctx: Context, params: _RowsParams) -> object:
    given = [who for who in (params.distributor, params.shop, params.order) if who is not None]
    if len(given) != 1:
        raise invalid_params("one of distributor, shop and order")
    if params.order is not None:
        return await asyncio.to_thread(_rows_of_order, ctx, params.order, params)
    number = ROWS_OF if params.distributor is not None else ROWS_AT

    def show(view: View, row_id: bytes) -> dict[str, object]:
        order_id, place = row_id[:32], int.from_bytes(row_id[32:], "big")
        row = view.reader.get(ROW, (order_id, place))
        assert row is not None, "a row is never removed"
        return _row_json(order_id, place, row, ctx.api.hrp)

    return await read_page(ctx.api, number, given[0], params, show)


def _rows_of_order(ctx: Context, order_id: bytes, params: _RowsParams) -> object:
    first = 0
    if params.cursor is not None:
        made_for, first = open_cursor("rows", params.cursor, bytes, int)
        if made_for != order_id or first >= 2**32:
            raise invalid_params("must be a cursor that this list gave", field="cursor")
    with ctx.api.view() as view:
        sale = view.reader.get(SALE, order_id)
        if sale is None:
            raise not_found("order" if view.reader.get(ORDER, order_id) is None else "sale")
        beyond = min(sale.rows, first + params.limit)
        items = [
            _row_json(order_id, number, row, ctx.api.hrp)
            for number in range(first, beyond)
            if (row := view.reader.get(ROW, (order_id, number))) is not None
        ]
        following = make_cursor("rows", order_id, beyond) if beyond < sale.rows else None
        return {"height": view.height, "items": items, "next_cursor": following}


def _sale_json(view: View, order_id: bytes, hrp: str) -> dict[str, object]:
    reader = view.reader
    sale, order = reader.get(SALE, order_id), reader.get(ORDER, order_id)
    assert sale is not None and order is not None, "the list says so"
    shop = reader.get(SHOP, order.shop)
    assert shop is not None, "a shop is never removed"
    kept = order.total - order.refunded
    parties = {"buyer": order.buyer, "owner": shop.owner, "distributor": sale.distributor}
    rows = [(n, reader.get(ROW, (order_id, n))) for n in range(min(sale.rows, _ROWS_SHOWN))]
    return {
        "order": order_id.hex(),
        "shop": order.shop.hex(),
        **{name: address_text(who, hrp) for name, who in parties.items()},
        "recruiter": address_text(sale.recruiter[0], hrp) if sale.recruiter else None,
        "depth": sale.depth,
        "status": sale.status,
        "order_status": order.status,
        "share_bp": sale.share_bp,
        "second_bp": sale.second_bps,
        "total": str(order.total),
        "kept": str(kept),
        "promised": str(promised(sale.share_bp, kept) if sale.status == OPEN else 0),
        "commission": str(sale.commission),
        "paid": str(order.commission),
        "paid_ms": order.paid_ms,
        "final_ms": order.closed_ms if sale.status == EARNED else None,
        "linked": {
            "buyer_owner": is_linked(reader, order.buyer, shop.owner),
            "buyer_distributor": is_linked(reader, order.buyer, sale.distributor),
            "owner_distributor": is_linked(reader, shop.owner, sale.distributor),
            "recruiter": any(
                is_linked(reader, recruiter, party)
                for recruiter in sale.recruiter
                for party in (order.buyer, shop.owner)
            ),
        },
        "row_count": sale.rows,
        "rows": [_row_json(order_id, n, row, hrp) for n, row in rows if row is not None],
    }


async def _sales(ctx: Context, params: _SalesParams) -> object:
    given = [who for who in (params.distributor, params.shop, params.order) if who is not None]
    if len(given) > 1:
        raise invalid_params("at most one of distributor, shop and order")
    if params.order is not None:
        return await asyncio.to_thread(_sale_of_order, ctx, params.order, params)
    number, owner = ALL_SALES, b""
    if params.distributor is not None:
        number, owner = SALES_OF, params.distributor
    elif params.shop is not None:
        number, owner = SALES_AT, params.shop
    return await read_page(
        ctx.api, number, owner, params,
        lambda view, order_id: _sale_json(view, order_id, ctx.api.hrp),
    )  # fmt: skip


def _sale_of_order(ctx: Context, order_id: bytes, params: _SalesParams) -> object:
    """A list of the one sale of a referred order, of none where nobody brought the buyer."""
    if params.cursor is not None:
        raise invalid_params("an order is one sale: there is nothing after it", field="cursor")
    with ctx.api.view() as view:
        if view.reader.get(ORDER, order_id) is None:
            raise not_found("order")
        is_sale = view.reader.get(SALE, order_id) is not None
        items = [_sale_json(view, order_id, ctx.api.hrp)] if is_sale else []
        return {"height": view.height, "items": items, "next_cursor": None}


_ROW: Final = obj(
    order=HASH, row=INT, kind=enum("accrued", "reversed"), distributor=ADDRESS, depth=INT,
    amount=AMOUNT, paid=AMOUNT, owed=AMOUNT, kept=AMOUNT, at_ms=TIME_MS,
)  # fmt: skip
_SALE: Final = obj(
    order=HASH, shop=HASH, buyer=ADDRESS, owner=ADDRESS, distributor=ADDRESS,
    recruiter=nullable(ADDRESS), depth=INT, status=enum(OPEN, EARNED, VOID),
    order_status={"type": "string"}, share_bp=INT, second_bp=INT, total=AMOUNT, kept=AMOUNT,
    promised=AMOUNT, commission=AMOUNT, paid=AMOUNT, paid_ms=TIME_MS, final_ms=nullable(TIME_MS),
    linked=obj(
        buyer_owner=BOOL, buyer_distributor=BOOL, owner_distributor=BOOL, recruiter=BOOL
    ),
    row_count=INT, rows=array(_ROW),
)  # fmt: skip

METHODS: Final = (
    Method(
        name="order_split",
        summary="Who would earn what on an order of this total, if nothing of it were refunded.",
        params=_SplitParams,
        result=obj(
            height=HEIGHT, shop=HASH, total=AMOUNT, fee=AMOUNT, distributor=nullable(ADDRESS),
            share_bp=INT, commission=AMOUNT, level_1=AMOUNT, recruiter=nullable(ADDRESS),
            level_2=AMOUNT, holdback=AMOUNT, to_shop=AMOUNT,
        ),
        run=_split,
        cost=2,
    ),
    Method(
        name="commission_list",
        summary="The commission rows of a distributor, at a shop or of an order; never edited.",
        params=_RowsParams,
        result=page(_ROW),
        run=_rows,
        cost=10,
    ),
    Method(
        name="referral_list",
        summary="Referred sales from payment on, all or of a distributor, a shop or an order: "
        "parties, depth, promise, rows.",
        params=_SalesParams,
        result=page(_SALE),
        run=_sales,
        cost=40,
    ),
)  # fmt: skip
