"""For anyone who doubts: the rules in force, and whether the state keeps its laws."""

from __future__ import annotations

import asyncio
from typing import Final

from rpc.dispatch import Context, Method
from rpc.errors import limit
from rpc.results import BOOL, HEIGHT, INT, TEXT, array, obj
from rpc.schema import NoParams
from state.view import check_laws


async def _params(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        params = {name: param._asdict() for name, param in view.params().items()}
        return {"height": view.height, **params}


async def _laws(ctx: Context, _params: NoParams) -> object:
    if ctx.heavy.locked():
        raise limit("BUSY", why="another audit is running", retry_after_ms=1_000)
    async with ctx.heavy:
        return await asyncio.to_thread(_check, ctx)


def _check(ctx: Context) -> object:
    with ctx.api.view() as view:
        items = [result._asdict() for result in check_laws(view)]
        return {
            "height": view.height,
            "ok": all(item["ok"] for item in items),
            "items": items,
        }


METHODS: Final = (
    Method(
        name="params_get",
        summary="Every parameter by name, with the bounds that the code gives it.",
        params=NoParams,
        result={
            "type": "object",
            "properties": {"height": HEIGHT},
            "required": ["height"],
            "additionalProperties": obj(value=INT, lowest=INT, highest=INT),
        },
        run=_params,
        cost=5,
    ),
    Method(
        name="audit_laws",
        summary="Each law of each family over the whole state; one such walk at a time.",
        params=NoParams,
        result=obj(
            height=HEIGHT, ok=BOOL, items=array(obj(family=TEXT, name=TEXT, ok=BOOL, detail=TEXT))
        ),
        run=_laws,
        cost=1_000,
    ),
)
