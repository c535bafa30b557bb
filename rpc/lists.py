"""One page of a list that the chain keeps for readers, with its opaque cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mgsnode.base.errors import Malformed
from rpc.api import Api
from rpc.errors import invalid_params
from rpc.schema import ListParams, PageParams, make_cursor, open_cursor
from state.view import View

_OLDEST: Final = "list"  # what a cursor says of the way it was walked
_NEWEST: Final = "newest"
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

    `beside` adds members that are read at the same height. A cursor belongs to its list and to the
    way it is walked: that of another list, owner or way is refused with -32602.
    """
    after, newest = b"", isinstance(params, ListParams) and params.newest
    kind = _NEWEST if newest else _OLDEST
    if params.cursor is not None:
        made_for, made_of, after = open_cursor(kind, params.cursor, int, bytes, bytes)
        if (made_for, made_of) != (number, owner):
            raise invalid_params("must be a cursor that this list gave", field="cursor")

    def read() -> dict[str, object]:
        with api.view() as view:
            try:
                ids, beyond = view.list_page(
                    number, owner, after=after, limit=params.limit, newest=newest
                )
            except Malformed as malformed:  # a forged cursor
                raise invalid_params(malformed.why, field="cursor") from None
            found = {
                "height": view.height,
                "items": [show(view, object_id) for object_id in ids],
                "next_cursor": make_cursor(kind, number, owner, beyond) if beyond else None,
            }
            return {**found, **beside(view)} if beside else found

    return await asyncio.to_thread(read)
