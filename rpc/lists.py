"""One page of a list that the chain keeps for readers, with its opaque cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mgsnode.base.errors import Malformed
from rpc.api import Api
from rpc.errors import invalid_params
from rpc.limits import LIST_SCAN_MAX
from rpc.schema import ListParams, PageParams, make_cursor, open_cursor
from state.lists import walk_list
from state.view import View

_OLDEST: Final = "list"  # what a cursor says of the way it was walked
_NEWEST: Final = "newest"
# Makes an item of an id; None: not one that was asked for.
Show = Callable[[View, bytes], dict[str, object] | None]


async def read_page(
    api: Api,
    number: int,
    owner: bytes,
    params: PageParams,
    show: Show,
    beside: Callable[[View], dict[str, object]] | None = None,
) -> dict[str, object]:
    """`height, items, next_cursor` of list `number` of `owner`; `show` makes an item of an id.

    At most `LIST_SCAN_MAX` ids are looked at: where `show` leaves some out, a page may hold fewer
    items than its limit, even none, and go on; `next_cursor` is null at the end alone.
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
                items, beyond = _look(view, number, owner, after, newest, params.limit, show)
            except Malformed as malformed:  # a forged cursor
                raise invalid_params(malformed.why, field="cursor") from None
            found = {
                "height": view.height,
                "items": items,
                "next_cursor": make_cursor(kind, number, owner, beyond) if beyond else None,
            }
            return {**found, **beside(view)} if beside else found

    return await asyncio.to_thread(read)


def _look(
    view: View, number: int, owner: bytes, after: bytes, newest: bool, limit: int, show: Show
) -> tuple[list[dict[str, object]], bytes]:
    """(items, where the next page begins; empty at the end of the list)."""
    items: list[dict[str, object]] = []
    last, looked = after, 0
    for place, object_id in walk_list(view.rows, number, owner, after=after, newest=newest):
        if len(items) == limit or looked == LIST_SCAN_MAX:
            return items, last
        item = show(view, object_id)
        if item is not None:
            items.append(item)
        last, looked = place, looked + 1
    return items, b""
