"""Lists for readers: which objects belong to whom, in the order in which they came.

They stand beside the state, not in it: execution never reads them, nobody needs a proof of
them, and each row would cost a path in the trie. They follow from the blocks alone, so replay
gives the same rows. A list only grows, so a page's cursor stays good for ever.

Key: `b"i"`, list number, owner's length, owner, height (8), place within the block (4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mgsnode.base.errors import Malformed
from state.store import Batch, Rows

LIST_PREFIX: Final = b"i"
CURSOR_BYTES: Final = 12
PAGE_MAX: Final = 1_000  # ids of one page


def _prefix(number: int, owner: bytes) -> bytes:
    return b"%b%c%c%b" % (LIST_PREFIX, number, len(owner), owner)


def write_lists(batch: Batch, height: int, listed: Sequence[tuple[int, bytes, bytes]]) -> None:
    """Put a block's (list number, owner, object id) rows into its batch."""
    for place, (number, owner, object_id) in enumerate(listed):
        at = height.to_bytes(8, "big") + place.to_bytes(4, "big")
        batch.put(_prefix(number, owner) + at, object_id)


def walk_list(
    rows: Rows, number: int, owner: bytes, *, after: bytes = b"", newest: bool = False
) -> Iterator[tuple[bytes, bytes]]:
    """(cursor, object id) of what stands beyond the cursor `after`, oldest first.

    `newest` walks from the newest to the oldest. `Malformed` for a cursor that is none.
    """
    if after and len(after) != CURSOR_BYTES:
        raise Malformed("not a cursor of this list")
    prefix = _prefix(number, owner)
    start = stop = None
    if after and newest:
        stop = prefix + after
    elif after:
        start = prefix + after + b"\0"
    for key, object_id in rows.iterate(prefix=prefix, start=start, stop=stop, reverse=newest):
        yield key[-CURSOR_BYTES:], object_id


def read_list(
    rows: Rows, number: int, owner: bytes, *, after: bytes = b"", limit: int, newest: bool = False
) -> tuple[list[bytes], bytes]:
    """(object ids, cursor): up to `limit` ids as `walk_list` gives them.

    The cursor returned is empty at the end.
    """
    ids: list[bytes] = []
    last = b""
    for cursor, object_id in walk_list(rows, number, owner, after=after, newest=newest):
        if len(ids) == min(limit, PAGE_MAX):
            return ids, last
        ids.append(object_id)
        last = cursor
    return ids, b""
