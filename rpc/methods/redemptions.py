"""For holders and gateways: redemptions with their contests, and the prices they name."""

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
    HEX,
    INT,
    TEXT,
    TIME_MS,
    amount,
    array,
    enum,
    nullable,
    obj,
    page,
)
from rpc.schema import (
    Address,
    Hash32,
    ListParams,
    Name,
    PageParams,
    Params,
    make_cursor,
    open_cursor,
)
from state.context import family_ms, live_at, pause_of
from state.tx.accounts import freeze_of
from state.tx.contests import CONTEST
from state.tx.money import REDEMPTIONS
from state.tx.payouts import OPEN_STATUSES, STATUSES, Redemption, deadline_of, status_of
from state.tx.quotes import CURRENT, FIAT_IN, PRICE_IN, QUOTE, QUOTES_OF, Quote, current_quote
from state.tx.redeeming import BY_GATEWAY, BY_HOLDER
from state.view import View

RedemptionStatus = Literal[
    "pending", "claimed", "contested", "paid", "returned", "refused", "expired", "seized"
]
assert get_args(RedemptionStatus) == STATUSES


class _RedemptionParams(Params):
    redemption: Hash32


class _RedemptionsParams(ListParams):
    holder: Address | None = None
    gateway: Name | None = None
    status: RedemptionStatus | None = None
    positions: ClassVar[tuple[str, ...]] = ("holder", "cursor", "limit")


class _QuotesParams(PageParams):
    gateway: Name | None = None
    positions: ClassVar[tuple[str, ...]] = ("gateway", "cursor", "limit")


def _deadline(view: View, row: Redemption) -> tuple[int | None, bool]:
    """(live time at which it is due, whether it stands still because its holder is frozen)."""
    if status_of(view.reader, row) not in OPEN_STATUSES:
        return None, False
    freeze = freeze_of(view.reader, row.holder)
    if freeze is not None and freeze.is_on:
        return None, True
    now_ms = family_ms(pause_of(view.reader, REDEMPTIONS), view.clock().live_ms)
    due_ms = deadline_of(view.reader, row, now_ms)
    return live_at(view.reader, REDEMPTIONS, due_ms), False


def _redemption_json(view: View, rid: bytes, row: Redemption, hrp: str) -> dict[str, object]:
    due_live_ms, stands_still = _deadline(view, row)
    return {
        "redemption": rid.hex(),
        "holder": address_text(row.holder, hrp),
        "gateway": row.gateway,
        "amount": str(row.amount),
        "ask_fee": str(row.ask_fee),
        "deposit": str(row.deposit),
        "currency": row.currency,
        "payout_hash": row.payout_hash.hex(),
        "quote": row.quote.hex() or None,
        "fiat": str(row.fiat),
        "status": status_of(view.reader, row),
        "due_live_ms": due_live_ms,
        "stands_still": stands_still,
        "asked_ms": row.asked_ms,
        "closed_ms": row.closed_ms or None,
        "reference": row.reference.hex() or None,
        "reason": row.reason,
    }


def _contest_json(view: View, rid: bytes, hrp: str) -> dict[str, object] | None:
    contest = view.reader.get(CONTEST, rid)
    if contest is None:
        return None
    return {
        "reason": contest.reason,
        "needed": contest.needed,
        "votes": [
            {"attestor": address_text(voter, hrp), "holder": for_holder}
            for voter, for_holder in contest.votes
        ],
    }


async def _redemption(ctx: Context, params: _RedemptionParams) -> object:
    rid, hrp = params.redemption, ctx.api.hrp
    with ctx.api.view() as view:
        row = view.redemption(rid)
        if row is None:
            raise not_found("redemption")
        shown = _redemption_json(view, rid, row, hrp)
        return {"height": view.height, **shown, "contest": _contest_json(view, rid, hrp)}


async def _redemptions(ctx: Context, params: _RedemptionsParams) -> object:
    if (params.holder is None) == (params.gateway is None):
        raise invalid_params("one of holder and gateway")
    number, owner = BY_HOLDER, params.holder or b""
    if params.gateway is not None:
        number, owner = BY_GATEWAY, params.gateway.encode()

    def show(view: View, rid: bytes) -> dict[str, object] | None:
        row = view.redemption(rid)
        assert row is not None, "what is listed is never removed"
        if params.status not in (None, status_of(view.reader, row)):
            return None
        return _redemption_json(view, rid, row, ctx.api.hrp)

    return await read_page(ctx.api, number, owner, params, show)


def _quote_json(view: View, quote_id: bytes) -> dict[str, object]:
    row = view.reader.get(QUOTE, quote_id)
    assert row is not None, "a quote is never removed"
    return {
        "quote": quote_id.hex(),
        "gateway": row.gateway,
        "currency": row.currency,
        "bid": str(row.bid),
        "ask": str(row.ask),
        "fee": row.fee_bps,
        "size": str(row.size),
        "left": str(row.left),
        "set_ms": row.set_ms,
        "expires_ms": row.expires_ms,
        "live": _is_live(view, quote_id, row),
    }


def _is_live(view: View, quote_id: bytes, row: Quote) -> bool:
    """Whether a redemption can name it now."""
    counts = current_quote(view.reader, row.gateway, row.currency) == quote_id
    return counts and view.clock().time_ms < row.expires_ms and row.left > 0


async def _quotes(ctx: Context, params: _QuotesParams) -> object:
    if params.gateway is not None:
        return await read_page(ctx.api, QUOTES_OF, params.gateway.encode(), params, _quote_json)
    start = b""
    if params.cursor is not None:
        currency, gateway = open_cursor("quotes", params.cursor, str, str)
        start = currency.encode() + gateway.encode() + b"\0"
    items: list[object] = []
    last = ("", "")
    with ctx.api.view() as view:
        for (currency, gateway), row in view.reader.items(CURRENT, start=start):
            shown = _quote_json(view, row.quote)
            if not shown["live"]:
                continue
            if len(items) == params.limit:
                next_cursor = make_cursor("quotes", *last)
                return {"height": view.height, "items": items, "next_cursor": next_cursor}
            items.append(shown)
            last = (currency.decode(), gateway)
        return {"height": view.height, "items": items, "next_cursor": None}


_FIAT: Final = amount(FIAT_IN)
_PRICE: Final = amount(PRICE_IN)
_REDEMPTION: Final[dict[str, Any]] = {
    "redemption": HASH, "holder": ADDRESS, "gateway": TEXT, "amount": AMOUNT, "ask_fee": AMOUNT,
    "deposit": AMOUNT, "currency": TEXT, "payout_hash": HASH, "quote": nullable(HASH),
    "fiat": _FIAT, "status": enum(*STATUSES), "due_live_ms": nullable(TIME_MS),
    "stands_still": BOOL, "asked_ms": TIME_MS, "closed_ms": nullable(TIME_MS),
    "reference": nullable(HEX), "reason": TEXT,
}  # fmt: skip
_CONTEST: Final = obj(
    reason=TEXT, needed=INT, votes=array(obj(attestor=ADDRESS, holder=BOOL))
)  # fmt: skip
_QUOTE: Final = obj(
    quote=HASH, gateway=TEXT, currency=TEXT, bid=_PRICE, ask=_PRICE, fee=INT, size=AMOUNT,
    left=AMOUNT, set_ms=TIME_MS, expires_ms=TIME_MS, live=BOOL,
)  # fmt: skip

METHODS: Final = (
    Method(
        name="redemption_get",
        summary="A redemption by the txid that asked for it, with its contest.",
        params=_RedemptionParams,
        result=obj(height=HEIGHT, **_REDEMPTION, contest=nullable(_CONTEST)),
        run=_redemption,
    ),
    Method(
        name="redemption_list",
        summary="The redemptions of a holder or at a gateway, oldest first; with `status` those in "
        "it, of the next 500: a page may be shorter than `limit` and go on.",
        params=_RedemptionsParams,
        result=page(obj(**_REDEMPTION)),
        run=_redemptions,
        cost=10,
    ),
    Method(
        name="quote_list",
        summary="The quotes that can be named now; of one gateway all it ever set, oldest first.",
        params=_QuotesParams,
        result=page(_QUOTE),
        run=_quotes,
        cost=10,
    ),
)
