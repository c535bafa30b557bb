"""One page of a list that the chain keeps for readers, with its opaque cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mgsnode.base.errors import Malformed
from rpc.api import Api
from rpc.errors import invalid_params
from rpc.schema import PageParams, make_cursor, open_cursor
from state.view import View

Show = Callable[[View, bytes], dict[str, object]]


async def read_page(
    api: Api, number: int, owner: bytes, params: PageParams, show: Show
) -> dict[str, object]:
    """`height, items, next_cursor` of list `number` of `owner`; `show` makes an item of an id.

    A cursor belongs to its list: that of another list or owner is refused with -32602.
    """
    after = b""
    if params.cursor is not None:
        made_for, made_of, after = open_cursor("list", params.cursor, int, bytes, bytes)
        if (made_for, made_of) != (number, owner):
            raise invalid_params("must be a cursor that this list gave", field="cursor")
    return await asyncio.to_thread(_read, api, number, owner, after, params.limit, show)


def _read(
    api: Api, number: int, owner: bytes, after: bytes, limit: int, show: Show
) -> dict[str, object]:
    with api.view() as view:
        try:
            ids, beyond = view.list_page(number, owner, after=after, limit=limit)
        except Malformed as malformed:  # a forged cursor
            raise invalid_params(malformed.why, field="cursor") from None
        following = make_cursor("list", number, owner, beyond) if beyond else None
        return {
            "height": view.height,
            "items": [show(view, object_id) for object_id in ids],
            "next_cursor": following,
        }
