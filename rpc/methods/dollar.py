"""For holders and gateways: the supply, who issues, and redemptions."""

from __future__ import annotations

from typing import Any, ClassVar, Final

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
    HEX,
    INT,
    TEXT,
    TIME_MS,
    array,
    mapping,
    nullable,
    obj,
    page,
)
from rpc.schema import Address, Hash32, Name, NoParams, PageParams, Params
from state.tx.gateways import Gateway
from state.tx.leaving import OpenObligations
from state.tx.obligations import open_of
from state.tx.positions import Position
from state.tx.redemptions import BY_GATEWAY, BY_HOLDER, Redemption
from state.view import View


class _GatewayParams(Params):
    gateway: Name


class _RedemptionParams(Params):
    redemption: Hash32


class _RedemptionsParams(PageParams):
    holder: Address | None = None
    gateway: Name | None = None
    positions: ClassVar[tuple[str, ...]] = ("holder", "cursor", "limit")


async def _supply(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        supply = view.supply()
        return {
            "height": view.height,
            **{name: str(getattr(supply, name)) for name in supply._fields[:-1]},
            "positions": {name: str(amount) for name, amount in supply.positions.items()},
        }


def _gateway_json(
    name: str, row: Gateway, sums: Position, duties: OpenObligations, hrp: str
) -> dict[str, object]:
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
    }


async def _gateways(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        items = [
            _gateway_json(*row, open_of(view.reader, row[0]), ctx.api.hrp)
            for row in view.gateways()
        ]
        return {"height": view.height, "items": items, "next_cursor": None}


async def _gateway(ctx: Context, params: _GatewayParams) -> object:
    name = params.gateway
    with ctx.api.view() as view:
        row = view.gateway(name)
        if row is None:
            raise not_found("gateway")
        sums, duties = view.position(name), open_of(view.reader, name)
        return {"height": view.height, **_gateway_json(name, row, sums, duties, ctx.api.hrp)}


def _redemption_json(rid: bytes, row: Redemption, hrp: str) -> dict[str, object]:
    return {
        "redemption": rid.hex(),
        "holder": address_text(row.holder, hrp),
        "gateway": row.gateway,
        "amount": str(row.amount),
        "ask_fee": str(row.ask_fee),
        "currency": row.currency,
        "payout_hash": row.payout_hash.hex(),
        "fiat": str(row.fiat) if row.fiat else None,
        "status": row.status,
        "due_live_ms": row.due_ms if row.status in ("pending", "claimed") else None,
        "asked_ms": row.asked_ms,
        "closed_ms": row.closed_ms or None,
        "reference": row.reference.hex() or None,
        "reason": row.reason,
    }


async def _redemption(ctx: Context, params: _RedemptionParams) -> object:
    with ctx.api.view() as view:
        row = view.redemption(params.redemption)
        if row is None:
            raise not_found("redemption")
        return {"height": view.height, **_redemption_json(params.redemption, row, ctx.api.hrp)}


async def _redemptions(ctx: Context, params: _RedemptionsParams) -> object:
    if (params.holder is None) == (params.gateway is None):
        raise invalid_params("one of holder and gateway")
    number, owner = BY_HOLDER, params.holder or b""
    if params.gateway is not None:
        number, owner = BY_GATEWAY, params.gateway.encode()

    def show(view: View, rid: bytes) -> dict[str, object]:
        row = view.redemption(rid)
        assert row is not None, "what is listed is never removed"
        return _redemption_json(rid, row, ctx.api.hrp)

    return await read_page(ctx.api, number, owner, params, show)


_GATEWAY: Final[dict[str, Any]] = {
    "gateway": TEXT, "place": INT, "country": TEXT, "currencies": array(TEXT), "owner_hash": HASH,
    "operator": ADDRESS, "vote_key": HASH, "endpoint": TEXT, "bond": AMOUNT, "cap": AMOUNT,
    "status": TEXT, "seat": BOOL, "position": AMOUNT, "owed": AMOUNT, "issued": AMOUNT,
    "burned": AMOUNT, "asks": AMOUNT, "claimed": AMOUNT, "fiat_out": AMOUNT,
    "obligations_owed": AMOUNT, "obligations_owing": AMOUNT, "net": AMOUNT,
}  # fmt: skip
_REDEMPTION: Final[dict[str, Any]] = {
    "redemption": HASH, "holder": ADDRESS, "gateway": TEXT, "amount": AMOUNT, "ask_fee": AMOUNT,
    "currency": TEXT, "payout_hash": HASH, "fiat": nullable(AMOUNT), "status": TEXT,
    "due_live_ms": nullable(TIME_MS), "asked_ms": TIME_MS, "closed_ms": nullable(TIME_MS),
    "reference": nullable(HEX), "reason": TEXT,
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
        params=NoParams,
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
    Method(
        name="redemption_get",
        summary="A redemption by the txid that asked for it.",
        params=_RedemptionParams,
        result=obj(height=HEIGHT, **_REDEMPTION),
        run=_redemption,
    ),
    Method(
        name="redemption_list",
        summary="The redemptions of a holder or at a gateway, oldest first.",
        params=_RedemptionsParams,
        result=page(obj(**_REDEMPTION)),
        run=_redemptions,
        cost=10,
    ),
)  # fmt: skip
