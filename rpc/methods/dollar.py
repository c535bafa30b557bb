"""For holders and gateways: the supply, and who issues."""

from __future__ import annotations

from typing import Any, Final

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import not_found
from rpc.methods.reserves import RESERVE_FIELDS, reserve_json
from rpc.results import (
    ADDRESS,
    AMOUNT,
    BOOL,
    HASH,
    HEIGHT,
    INT,
    TEXT,
    TOKENS,
    array,
    mapping,
    obj,
    page,
)
from rpc.schema import Name, NoParams, PageParams, Params, make_cursor, open_cursor
from state.context import Params as ChainParams
from state.tx.diligence import credit_of, strikes_of
from state.tx.gateways import Gateway
from state.tx.obligations import open_of
from state.view import View


class _GatewayParams(Params):
    gateway: Name


async def _supply(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        supply = view.supply()
        return {
            "height": view.height,
            **{name: str(getattr(supply, name)) for name in supply._fields[:-1]},
            "positions": {name: str(amount) for name, amount in supply.positions.items()},
        }


def _gateway_json(view: View, name: str, row: Gateway, hrp: str) -> dict[str, object]:
    sums = view.position(name)
    params = ChainParams(view.reader, view.registry.defaults)
    strikes = strikes_of(view.reader, name)
    duties = open_of(view.reader, name)
    return {
        "gateway": name,
        "place": row.place,
        "country": row.country,
        "currencies": list(row.currencies),
        "owner_hash": row.owner_hash.hex(),
        "operator": address_text(row.operator, hrp),
        "vote_key": row.vote_key.hex(),
        "endpoint": row.endpoint,
        "bond": str(row.bond),
        "cap": str(row.cap),
        "status": row.status,
        "seat": row.seat,
        "position": str(sums.position),
        "owed": str(sums.owed),
        "issued": str(sums.issued),
        "burned": str(sums.burned),
        "asks": str(sums.asks),
        "claimed": str(sums.claimed),
        "fiat_out": str(sums.fiat_out),
        "obligations_owed": str(duties.owed),
        "obligations_owing": str(duties.owing),
        "net": str(sums.position - duties.owed + duties.owing),
        "credit": str(credit_of(view.reader, params, name)),
        "strikes": strikes.number,
        **reserve_json(view, name),
    }


async def _gateways(ctx: Context, params: PageParams) -> object:
    after = -1
    if params.cursor is not None:
        (after,) = open_cursor("gateways", params.cursor, int)
    with ctx.api.view() as view:
        left = [(name, row) for name, row, _ in view.gateways() if row.place > after]
        page_of = left[: params.limit]
        items = [_gateway_json(view, name, row, ctx.api.hrp) for name, row in page_of]
        is_end = len(page_of) == len(left)
        next_cursor = None if is_end else make_cursor("gateways", page_of[-1][1].place)
        return {"height": view.height, "items": items, "next_cursor": next_cursor}


async def _gateway(ctx: Context, params: _GatewayParams) -> object:
    name = params.gateway
    with ctx.api.view() as view:
        row = view.gateway(name)
        if row is None:
            raise not_found("gateway")
        return {
            "height": view.height, **_gateway_json(view, name, row, ctx.api.hrp)
        }  # fmt: skip


_GATEWAY: Final[dict[str, Any]] = {
    "gateway": TEXT, "place": INT, "country": TEXT, "currencies": array(TEXT), "owner_hash": HASH,
    "operator": ADDRESS, "vote_key": HASH, "endpoint": TEXT, "bond": TOKENS, "cap": AMOUNT,
    "status": TEXT, "seat": BOOL, "position": AMOUNT, "owed": AMOUNT, "issued": AMOUNT,
    "burned": AMOUNT, "asks": AMOUNT, "claimed": AMOUNT, "fiat_out": AMOUNT, "credit": AMOUNT,
    "strikes": INT, "obligations_owed": AMOUNT, "obligations_owing": AMOUNT, "net": AMOUNT,
    **RESERVE_FIELDS,
}  # fmt: skip

METHODS: Final = (
    Method(
        name="dollar_supply",
        summary="Where every dollar stands.",
        params=NoParams,
        result=obj(
            height=HEIGHT, supply=AMOUNT, issued=AMOUNT, burned=AMOUNT, balances=AMOUNT,
            fee_pool=AMOUNT, locked=AMOUNT, escrowed=AMOUNT, positions=mapping(AMOUNT),
        ),
        run=_supply,
    ),
    Method(
        name="gateway_list",
        summary="Every gateway with its sums, in the order of their places.",
        params=PageParams,
        result=page(obj(**_GATEWAY)),
        run=_gateways,
        cost=5,
    ),
    Method(
        name="gateway_get",
        summary="A gateway by name.",
        params=_GatewayParams,
        result=obj(height=HEIGHT, **_GATEWAY),
        run=_gateway,
    ),
)  # fmt: skip
