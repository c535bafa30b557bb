"""Two stores, row by row: what the audited one holds against what a replay gave.

Nothing is believed about either but that its rows come in order. Memory does not grow with the
stores. The first difference is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from mgsnode.base.address import address_text
from mgsnode.base.block import Receipt
from mgsnode.base.codec import decode_stored
from mgsnode.base.errors import Corrupt
from mgsnode.base.hashing import HASH_BYTES
from state import chain
from state.blame import record_field, state_row
from state.lists import LIST_PREFIX
from state.registry import Registry
from state.store import Rows
from state.table import STATE_PREFIX
from state.trie import TRIE_PREFIX

_TELL_EVERY: Final = 50_000  # rows between two calls of `progress`
_HEIGHT_ROWS: Final = {
    chain.BLOCK: "block", chain.CERTIFICATE: "certificate", chain.RECEIPTS: "receipts",
}  # fmt: skip
Row = tuple[bytes, bytes]


def compare_rows(
    found: Rows,
    true: Rows,
    registry: Registry,
    hrp: str,
    *,
    progress: Callable[[int], None] = lambda _rows: None,
) -> str | None:
    """The first row of `found` that is missing, too many or different; None if all are the same.

    `progress` gets the number of rows compared. Raises `Corrupt` where `found` cannot be read.
    """
    ours, theirs = true.iterate(), found.iterate()
    rows = 0
    while True:
        want, have = next(ours, None), next(theirs, None)
        if want != have:
            return _explain(have, want, registry, hrp)
        if want is None:
            return None
        rows += 1
        if rows % _TELL_EVERY == 0:
            progress(rows)


def _explain(have: Row | None, want: Row | None, registry: Registry, hrp: str) -> str:
    if want is None or (have is not None and have[0] < want[0]):
        assert have is not None
        return f"{row_name(have[0], registry, hrp)}: should not be there"
    if have is None or want[0] < have[0]:
        return f"{row_name(want[0], registry, hrp)}: is missing"
    key = have[0]
    where = _inside(key, have[1], want[1], registry)
    return f"{row_name(key, registry, hrp)}{where}: is not what the replay gives"


def _inside(key: bytes, have: bytes, want: bytes, registry: Registry) -> str:
    if key[:1] == STATE_PREFIX and len(key) > 1:
        table = registry.tables.get(key[1])
        return record_field(have, want, table.record._fields) if table else ""
    if key[:1] == chain.RECEIPTS:
        return receipt_difference(have, want)
    return ""


def receipt_difference(have: bytes, want: bytes) -> str:
    """Where two receipts rows differ: `: receipt 3: field fee`."""
    try:
        one, other = decode_stored(have), decode_stored(want)
    except Corrupt:
        return ""
    if type(one) is not tuple or type(other) is not tuple or len(one) != len(other):
        return ""
    for number, (found, true) in enumerate(_pairs(one, other)):
        if found != true and type(found) is bytes:
            return f": receipt {number}{record_field(found, true, Receipt._fields)}"
    return ""


def _pairs(one: tuple[object, ...], other: tuple[object, ...]) -> Iterator[tuple[object, bytes]]:
    for found, true in zip(one, other, strict=True):
        assert type(true) is bytes, "we wrote it"
        yield found, true


def row_name(key: bytes, registry: Registry, hrp: str) -> str:
    """What a row is, for people: `height 12: certificate`, `state row dollar/account tmgs1…`."""
    first, rest = key[:1], key[1:]
    if first in _HEIGHT_ROWS and len(rest) == 8:
        return f"height {int.from_bytes(rest, 'big')}: {_HEIGHT_ROWS[first]}"
    if first == STATE_PREFIX:
        return state_row(key, registry.tables, hrp)
    if first == TRIE_PREFIX:
        path = "".join(f"{half:x}" for half in rest)
        return f"trie node {path or 'at the root'}"
    if first == chain.TX:
        return f"index row of transaction {rest.hex()}"
    if first == chain.HASH:
        return f"index row of block {rest.hex()}"
    if first == chain.HISTORY and len(rest) == HASH_BYTES + 12:
        height = int.from_bytes(rest[HASH_BYTES : HASH_BYTES + 8], "big")
        return f"history row of {address_text(rest[:HASH_BYTES], hrp)} at height {height}"
    if first == LIST_PREFIX:
        return f"list row {rest.hex()}"
    if key == chain.HEAD:
        return "head row"
    if key == chain.BASE:
        return "base row"
    return f"row {key.hex()}"
