"""For account holders: what an account has, did and may do."""

from __future__ import annotations

import asyncio
from typing import Final

from mgsnode.base.address import address_text
from mgsnode.base.hashing import address_of
from rpc.dispatch import Context, Method
from rpc.limits import LIST_LIMIT
from rpc.present import receipt_json
from rpc.prove import proof_of
from rpc.read import Executed, executed_at
from rpc.results import (
    ADDRESS,
    AMOUNT,
    BOOL,
    EVENT,
    HASH,
    HEIGHT,
    INT,
    STATE_PROOF,
    TEXT,
    TIME_MS,
    TOKENS,
    array,
    mapping,
    nullable,
    obj,
    page,
)
from rpc.schema import Address, Cursor, Limit, Params, PublicKey, make_cursor, open_cursor
from state import chain
from state.context import live_at
from state.tx.accounts import ACCOUNT, COMPLIANCE, MEMO_REQUIRED, freeze_of, is_frozen
from state.tx.keys import keys_set
from state.view import View


class _GetParams(Params):
    address: Address
    proof: bool = False


class _HistoryParams(Params):
    address: Address
    cursor: Cursor | None = None
    limit: Limit = LIST_LIMIT
    newest: bool = False


class _KeyParams(Params):
    public_key: PublicKey


async def _get(ctx: Context, params: _GetParams) -> object:
    with ctx.api.view() as view:
        account = view.account(params.address)
        since = keys_set(view.reader, params.address)
        answer: dict[str, object] = {
            "height": view.height,
            "address": address_text(params.address, ctx.api.hrp),
            "dollar": str(account.dollar),
            "token": str(account.token),
            "nonces": {str(lane): nonce for lane, nonce in account.nonces},
            "keys": [key.hex() for key in account.keys],
            "threshold": account.threshold,
            "since": since.since_ms or None,
            "times_replaced": since.times,
            "memo_required": bool(account.flags & MEMO_REQUIRED),
            "frozen": is_frozen(view.reader, params.address),
            "freeze": _freeze(view, params.address),
        }
        if params.proof:
            answer["proof"] = proof_of(view, ACCOUNT, params.address)
        return answer


def _freeze(view: View, address: bytes) -> dict[str, object] | None:
    """The freeze that holds, None where there is none."""
    freeze = freeze_of(view.reader, address)
    if freeze is None or not is_frozen(view.reader, address):
        return None
    return {
        "case": freeze.case.hex(),
        "until_live_ms": live_at(view.reader, COMPLIANCE, freeze.until_ms),
        "extended": freeze.extended,
    }


async def _history(ctx: Context, params: _HistoryParams) -> object:
    after = None
    if params.cursor is not None:
        after = chain.Place(*open_cursor(_history_kind(params), params.cursor, int, int))
    return await asyncio.to_thread(_read_history, ctx, params, after)


def _history_kind(params: _HistoryParams) -> str:
    """What a cursor says of the way that the history is walked."""
    return "history newest" if params.newest else "history"


def _read_history(ctx: Context, params: _HistoryParams, after: chain.Place | None) -> object:
    with ctx.api.view() as view:
        items: list[object] = []
        cursor = None
        last: tuple[int, int] = (0, 0)
        executed: Executed | None = None
        places = chain.read_history(view.rows, params.address, after=after, newest=params.newest)
        for place in places:
            if len(items) == params.limit:
                cursor = make_cursor(_history_kind(params), *last)
                break
            if executed is None or executed.block.header.height != place.height:
                executed = executed_at(view, place.height)
            items.append(_entry(ctx, executed, place))
            last = place
        return {"height": view.height, "items": items, "next_cursor": cursor}


def _entry(ctx: Context, executed: Executed, place: chain.Place) -> dict[str, object]:
    """One transaction that touched the account, or work that fell due (kind null)."""
    height, index = place
    tx = executed.transaction(index)
    receipt = receipt_json(executed.receipts[index], ctx.api.registry, ctx.api.hrp)
    return {
        "height": height,
        "index": index,
        "time_ms": executed.block.header.timestamp_ms,
        "kind": None if tx is None else tx.body.kind,
        "sender": None if tx is None else address_text(tx.body.sender, ctx.api.hrp),
        **receipt,
    }


async def _address(ctx: Context, params: _KeyParams) -> object:
    height = ctx.api.status().height
    text = address_text(address_of(params.public_key), ctx.api.hrp)
    return {"height": height, "address": text}


METHODS: Final = (
    Method(
        name="account_get",
        summary="An account, zeros if never seen; with `proof`, a path to a certified root.",
        params=_GetParams,
        result=obj(
            "proof",
            height=HEIGHT, address=ADDRESS, dollar=AMOUNT, token=TOKENS, nonces=mapping(INT),
            keys=array(HASH), threshold=INT, since=nullable(TIME_MS), times_replaced=INT,
            memo_required=BOOL, frozen=BOOL,
            freeze=nullable(obj(case=HASH, until_live_ms=TIME_MS, extended=BOOL)),
            proof=STATE_PROOF,
        ),
        run=_get,
    ),
    Method(
        name="account_history",
        summary="What touched an account, oldest first (or `newest`); it only ever grows.",
        params=_HistoryParams,
        result=page(
            obj(
                height=INT, index=INT, time_ms=TIME_MS, txid=HASH, kind=nullable(TEXT),
                sender=nullable(ADDRESS), code=INT, reason=TEXT, fee=AMOUNT, events=array(EVENT),
            )
        ),
        run=_history,
        cost=20,
    ),
    Method(
        name="account_address",
        summary="The address of a public key.",
        params=_KeyParams,
        result=obj(height=HEIGHT, address=ADDRESS),
        run=_address,
    ),
)  # fmt: skip
