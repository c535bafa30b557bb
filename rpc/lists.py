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
    api: Api,
    number: int,
    owner: bytes,
    params: PageParams,
    show: Show,
    beside: Callable[[View], dict[str, object]] | None = None,
) -> dict[str, object]:
    """`height, items, next_cursor` of list `number` of `owner`; `show` makes an item of an id.

    `beside` adds members that are read at the same height. A cursor belongs to its list: that of
    another list or owner is refused with -32602.
    """
    after = b""
    if params.cursor is not None:
        made_for, made_of, after = open_cursor("list", params.cursor, int, bytes, bytes)
        if (made_for, made_of) != (number, owner):
            raise invalid_params("must be a cursor that this list gave", field="cursor")

    def read() -> dict[str, object]:
        with api.view() as view:
            found = _read(view, number, owner, after, params.limit, show)
            return {**found, **beside(view)} if beside else found

    return await asyncio.to_thread(read)


def _read(
    view: View, number: int, owner: bytes, after: bytes, limit: int, show: Show
) -> dict[str, object]:
    try:
        ids, beyond = view.list_page(number, owner, after=after, limit=limit)
    except Malformed as malformed:  # a forged cursor
        raise invalid_params(malformed.why, field="cursor") from None
    return {
        "height": view.height,
        "items": [show(view, object_id) for object_id in ids],
        "next_cursor": make_cursor("list", number, owner, beyond) if beyond else None,
    }
