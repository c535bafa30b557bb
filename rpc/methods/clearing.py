"""For gateways: what they have to pay one another, and the windows that said so."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import not_found
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
    enum,
    nullable,
    obj,
    page,
)
from rpc.schema import Hash32, ListParams, Name, NoParams, Params
from state.context import live_at
from state.tx.leaving import CLEARING
from state.tx.obligations import (
    ALL_OBLIGATIONS,
    LAPSED,
    OBLIGATION,
    OF_GATEWAY,
    SETTLED,
    TO_END,
    Obligation,
)
from state.tx.windows import WINDOW, WINDOWS, Window, next_window
from state.view import View


class _ObligationParams(Params):
    obligation: Hash32


class _ObligationsParams(ListParams):
    gateway: Name | None = None
    positions: ClassVar[tuple[str, ...]] = ("gateway", "cursor", "limit")


def _live(view: View, at_ms: int) -> int:
    return live_at(view.reader, CLEARING, at_ms)


def _json(view: View, oid: bytes, row: Obligation, hrp: str) -> dict[str, object]:
    return {
        "obligation": oid.hex(),
        "window": row.window,
        "debtor": row.debtor,
        "creditor": row.creditor,
        "amount": str(row.amount),
        "fiat": str(row.fiat),
        "status": row.status,
        "due_live_ms": _live(view, row.due_ms) if row.status in TO_END else None,
        "pay_by_live_ms": _live(view, row.pay_by_ms),
        "late": row.is_late,
        "made_ms": row.made_ms,
        "closed_ms": row.closed_ms or None,
        "reference": row.reference.hex() or None,
        "reason": row.reason,
        "rulings": [
            {"attestor": address_text(attestor, hrp), "creditor": side}
            for attestor, side in row.rulings
        ],
    }


async def _obligation(ctx: Context, params: _ObligationParams) -> object:
    with ctx.api.view() as view:
        row = view.reader.get(OBLIGATION, params.obligation)
        if row is None:
            raise not_found("obligation")
        return {"height": view.height, **_json(view, params.obligation, row, ctx.api.hrp)}


async def _obligations(ctx: Context, params: _ObligationsParams) -> object:
    def show(view: View, oid: bytes) -> dict[str, object]:
        row = view.reader.get(OBLIGATION, oid)
        assert row is not None, "what is listed is never removed"
        return _json(view, oid, row, ctx.api.hrp)

    if params.gateway is None:
        return await read_page(ctx.api, ALL_OBLIGATIONS, b"", params, show)
    return await read_page(ctx.api, OF_GATEWAY, params.gateway.encode(), params, show)


def _window_json(row: Window) -> dict[str, object]:
    return {
        "window": row.number,
        "made_height": row.height,
        "time_ms": row.time_ms,
        "cleared": str(row.cleared),
        "obligations": row.obligations,
    }


async def _windows(ctx: Context, params: ListParams) -> object:
    def show(view: View, wid: bytes) -> dict[str, object]:
        row = view.reader.get(WINDOW, wid)
        assert row is not None, "what is listed is never removed"
        return _window_json(row)

    return await read_page(ctx.api, WINDOWS, b"", params, show)


async def _next(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        row = next_window(view.reader)
        due_live_ms = _live(view, row.due_ms)
        return {"height": view.height, "window": row.number, "due_live_ms": due_live_ms}


_OBLIGATION: Final[dict[str, Any]] = {
    "obligation": HASH, "window": INT, "debtor": TEXT, "creditor": TEXT, "amount": AMOUNT,
    "fiat": AMOUNT, "status": enum(*TO_END, SETTLED, LAPSED), "due_live_ms": nullable(TIME_MS),
    "pay_by_live_ms": TIME_MS, "late": BOOL, "made_ms": TIME_MS, "closed_ms": nullable(TIME_MS),
    "reference": nullable(HEX), "reason": TEXT,
    "rulings": array(obj(attestor=ADDRESS, creditor=BOOL)),
}  # fmt: skip

METHODS: Final = (
    Method(
        name="obligation_get",
        summary="What one gateway has to pay another, by its id.",
        params=_ObligationParams,
        result=obj(height=HEIGHT, **_OBLIGATION),
        run=_obligation,
    ),
    Method(
        name="obligation_list",
        summary="All obligations, or those of a gateway on either side, oldest first.",
        params=_ObligationsParams,
        result=page(obj(**_OBLIGATION)),
        run=_obligations,
        cost=10,
    ),
    Method(
        name="window_list",
        summary="The windows in which something was cleared, oldest first.",
        params=ListParams,
        result=page(
            obj(window=INT, made_height=INT, time_ms=TIME_MS, cleared=AMOUNT, obligations=INT)
        ),
        run=_windows,
        cost=10,
    ),
    Method(
        name="window_next",
        summary="The clearing window to come, and when.",
        params=NoParams,
        result=obj(height=HEIGHT, window=INT, due_live_ms=TIME_MS),
        run=_next,
    ),
)
