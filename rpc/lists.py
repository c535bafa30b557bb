"""One page of a list that the chain keeps for readers, with its opaque cursor."""

from __future__ import annotations

from collections.abc import Callable

from mgsnode.base.errors import Malformed
from rpc.errors import invalid_params
from rpc.schema import make_cursor, open_cursor
from state.view import View


def read_page(
    view: View,
    number: int,
    owner: bytes,
    cursor: str | None,
    limit: int,
    one: Callable[[bytes], object],
) -> dict[str, object]:
    """`height, items, next_cursor` of list `number` of `owner`; `one` shows an object by its id.

    A cursor belongs to its list: that of another list or owner is refused with -32602.
    """
    after = b""
    if cursor is not None:
        made_for, made_of, after = open_cursor("list", cursor, int, bytes, bytes)
        if (made_for, made_of) != (number, owner):
            raise invalid_params("must be a cursor that this list gave", field="cursor")
    try:
        ids, beyond = view.list_page(number, owner, after=after, limit=limit)
    except Malformed as malformed:  # a forged cursor
        raise invalid_params(malformed.why, field="cursor") from None
    following = make_cursor("list", number, owner, beyond) if beyond else None
    return {
        "height": view.height,
        "items": [one(object_id) for object_id in ids],
        "next_cursor": following,
    }
