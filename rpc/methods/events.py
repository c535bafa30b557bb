"""For programs that follow the chain: the ordered log of events, and news over WebSocket.

Everything is pulled from the chain by place, so nothing is queued, skipped or told twice: a
cursor says what was seen, and stays good for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from mgsnode.base.block import hash_header
from rpc.dispatch import Context, Method, Piece
from rpc.errors import invalid_params
from rpc.limits import EVENTS_BLOCKS_MAX, LIST_LIMIT, WAIT_MS_MAX
from rpc.present import event_json, header_json, receipt_json
from rpc.read import executed_at, header_at
from rpc.results import (
    ANY,
    BOOL,
    HASH,
    HEIGHT,
    INT,
    TEXT,
    array,
    obj,
)
from rpc.schema import (
    Address,
    Cursor,
    Hash32,
    Limit,
    Name,
    Params,
    make_cursor,
    open_cursor,
)
from state import chain
from state.view import View

_NEWS_WAIT_MS: Final = 30_000


class _EventsParams(Params):
    after: Cursor | None = None
    limit: Limit = LIST_LIMIT
    wait_ms: Annotated[int, Field(ge=0, le=600_000)] = 0


class _Filter(Params):
    name: Name | None = None
    address: Address | None = None
    txid: Hash32 | None = None


class _SubscribeParams(Params):
    topic: Literal["blocks", "events", "tx"]
    filter: _Filter | None = None
    after: Cursor | None = None


class _UnsubscribeParams(Params):
    subscription: Annotated[str, Field(max_length=32)]


_ALLOWED: Final = {"blocks": set(), "events": {"name", "address"}, "tx": {"address", "txid"}}


def _event_pieces(
    ctx: Context, view: View, height: int, start: int, chosen: _Filter | None = None
) -> list[Piece]:
    """The events of one block from the `start`th on, each with the place after it."""
    found: list[Piece] = []
    index = 0
    for tx_index, receipt in enumerate(chain.read_receipts(view.rows, height) or ()):
        for event in receipt.events:
            index += 1
            if index <= start or not _is_chosen(event, chosen):
                continue
            shown = event_json(event, ctx.api.registry, ctx.api.hrp)
            cursor = make_cursor("events", height, index)
            place = {"height": height, "index": index - 1, "tx_index": tx_index}
            result = {**place, "txid": receipt.txid.hex(), **shown}
            found.append(Piece(cursor, result))
    return found


def _is_chosen(event: Any, chosen: _Filter | None) -> bool:
    if chosen is None:
        return True
    if chosen.name is not None and event.name != chosen.name:
        return False
    return chosen.address is None or chosen.address in event.values


async def _events(ctx: Context, params: _EventsParams) -> object:
    after = (0, 0)
    if params.after is not None:
        after = open_cursor("events", params.after, int, int, field="after")
    wait_ms = min(params.wait_ms, WAIT_MS_MAX, ctx.left_ms())
    while True:
        answer, after, is_end = await asyncio.to_thread(_read_events, ctx, after, params.limit)
        if answer["items"] or not is_end or wait_ms <= 0:
            return answer
        before = ctx.left_ms()
        await ctx.api.wait_height(int(answer["height"]), wait_ms)
        wait_ms -= max(1, before - ctx.left_ms())


def _read_events(
    ctx: Context, after: tuple[int, int], limit: int
) -> tuple[dict[str, Any], tuple[int, int], bool]:
    """(answer, the place after it, whether that is the end of the log)."""
    with ctx.api.view() as view:
        height, start = after
        items: list[dict[str, Any]] = []
        last = min(view.height, height + EVENTS_BLOCKS_MAX - 1)
        while height <= last and len(items) < limit:
            pieces = _event_pieces(ctx, view, height, start)
            room = limit - len(items)
            items += [{**piece.result, "cursor": piece.cursor} for piece in pieces[:room]]
            if len(pieces) > room:
                start = items[-1]["index"] + 1
                break
            height, start = height + 1, 0
        answer = {
            "height": view.height,
            "items": items,
            "next_cursor": make_cursor("events", height, start),
        }
        return answer, (height, start), height > view.height


async def _subscribe(ctx: Context, params: _SubscribeParams) -> object:
    assert ctx.session is not None
    chosen = params.filter
    given = {name for name, value in chosen or () if value is not None}
    if not given <= _ALLOWED[params.topic]:
        names = " and ".join(sorted(_ALLOWED[params.topic])) or "nothing"
        raise invalid_params(f"{params.topic} can be filtered by {names}", field="filter")
    with ctx.api.view() as view:
        height = view.height
    start = (height + 1, 0)
    if params.after is not None:
        start = open_cursor(params.topic, params.after, int, int, field="after")
    source = _news(ctx, params.topic, chosen, start)
    return {"height": height, "subscription": ctx.session.subscribe(source)}


async def _news(
    ctx: Context, topic: str, chosen: _Filter | None, start: tuple[int, int]
) -> AsyncIterator[Piece]:
    """What happens from `start` on, block by block, for ever."""
    read = _READERS[topic]
    height, index = start
    while True:
        head = await ctx.api.wait_height(height - 1, _NEWS_WAIT_MS)
        while height <= head:
            for piece in await asyncio.to_thread(_read_one, read, ctx, height, index, chosen):
                yield piece
            height, index = height + 1, 0


_Read = Callable[[Context, View, int, int, "_Filter | None"], list[Piece]]


def _read_one(
    read: _Read, ctx: Context, height: int, start: int, chosen: _Filter | None
) -> list[Piece]:
    with ctx.api.view() as view:  # closed before the news is told: a slow client holds nothing
        return read(ctx, view, height, start, chosen)


def _block_pieces(
    _ctx: Context, view: View, height: int, start: int, _chosen: _Filter | None
) -> list[Piece]:
    if start:
        return []
    header = header_at(view, height)
    shown = header_json(header)
    result = {"height": height, "hash": hash_header(header).hex(), "header": shown}
    return [Piece(make_cursor("blocks", height + 1, 0), result)]


def _tx_pieces(
    ctx: Context, view: View, height: int, start: int, chosen: _Filter | None
) -> list[Piece]:
    executed = executed_at(view, height)
    found: list[Piece] = []
    for index in range(start, len(executed.block.txs)):
        receipt = executed.receipts[index]
        if chosen is not None:
            if chosen.txid is not None and receipt.txid != chosen.txid:
                continue
            if chosen.address is not None and not _touched(view, chosen.address, height, index):
                continue
        status = "refused" if receipt.code else "committed"
        shown = receipt_json(receipt, ctx.api.registry, ctx.api.hrp)
        result = {"height": height, "index": index, "status": status, **shown}
        found.append(Piece(make_cursor("tx", height, index + 1), result))
    return found


def _touched(view: View, address: bytes, height: int, index: int) -> bool:
    """Whether the transaction stands in the account's history."""
    before = chain.Place(height, index - 1)
    first = next(chain.read_history(view.rows, address, after=before), None)
    return first == (height, index)


_READERS: Final[dict[str, _Read]] = {
    "blocks": _block_pieces,
    "events": _event_pieces,
    "tx": _tx_pieces,
}


async def _unsubscribe(ctx: Context, params: _UnsubscribeParams) -> object:
    assert ctx.session is not None
    return {
        "height": ctx.api.status().height,
        "unsubscribed": ctx.session.unsubscribe(params.subscription),
    }


METHODS: Final = (
    Method(
        name="events_get",
        summary="The ordered log of events after a cursor; `wait_ms` waits for the next one.",
        params=_EventsParams,
        result=obj(
            height=HEIGHT,
            items=array(
                obj(
                    height=INT, index=INT, tx_index=INT, txid=HASH, name=TEXT, values=ANY,
                    cursor=TEXT,
                )
            ),
            next_cursor=TEXT,
        ),
        run=_events,
        cost=20,
    ),
    Method(
        name="subscribe",
        summary="News of blocks, events or transactions over this WebSocket, from a cursor on.",
        params=_SubscribeParams,
        result=obj(height=HEIGHT, subscription=TEXT),
        run=_subscribe,
        cost=20,
        needs_session=True,
    ),
    Method(
        name="unsubscribe",
        summary="Stop a subscription of this WebSocket.",
        params=_UnsubscribeParams,
        result=obj(height=HEIGHT, unsubscribed=BOOL),
        run=_unsubscribe,
        needs_session=True,
    ),
)  # fmt: skip
