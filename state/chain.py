"""Where final things are kept: blocks, certificates, receipts, indexes and the head.

Rows by first byte: `b` block, `c` certificate, `r` receipts (each + height), `x` + txid, `y` +
block hash, `h` + address + height + index (history), `m` + name; `s` state rows (state/table.py),
`t` trie nodes (state/trie.py), `i` lists (state/lists.py). Numbers are big-endian, so a walk is
in order. Writing happens within one batch of the caller's; reading works on a `Store` or a
`Snapshot` alike. What was stored and does not open is `Corrupt`, naming the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mgsnode.base.block import (
    Block,
    Certificate,
    Header,
    Receipt,
    encode_block,
    hash_header,
    open_certificate,
    open_header,
    open_receipt,
)
from mgsnode.base.codec import Value, decode_stored, encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from state.lists import write_lists
from state.store import Batch, Rows
from state.trie import Nodes, write_nodes

FORMAT = 1  # of everything in the store; another number is another store
BLOCK, CERTIFICATE, RECEIPTS = b"b", b"c", b"r"
TX, HASH, HISTORY, META = b"x", b"y", b"h", b"m"
HEAD = META + b"head"
BASE = META + b"base"  # (height, era links) of the snapshot that a store began with
_HEIGHT_BYTES = 8
_INDEX_BYTES = 4


class Place(NamedTuple):
    """Where a transaction stands, or work that fell due (its number is beyond the block's)."""

    height: int
    number: int  # among the block's receipts, from 0


class StoredTransaction(NamedTuple):
    """A transaction that is final, with its receipt."""

    place: Place
    raw: bytes
    receipt: Receipt


def height_key(prefix: bytes, height: int) -> bytes:
    """The key of a block, certificate or receipts row."""
    return prefix + height.to_bytes(_HEIGHT_BYTES, "big")


def _place_bytes(height: int, index: int) -> bytes:
    return height.to_bytes(_HEIGHT_BYTES, "big") + index.to_bytes(_INDEX_BYTES, "big")


def _place_of(raw: bytes) -> Place:
    if len(raw) != _HEIGHT_BYTES + _INDEX_BYTES:
        raise Corrupt("an index row has not 12 bytes")
    return Place(
        int.from_bytes(raw[:_HEIGHT_BYTES], "big"), int.from_bytes(raw[_HEIGHT_BYTES:], "big")
    )


# Writing


def write_block(
    batch: Batch,
    block: Block,
    block_hash: bytes,
    *,
    certificate: Certificate | None,
    receipts: Sequence[bytes],
    txids: Sequence[bytes],
    history: Iterable[tuple[bytes, int]],
    listed: Sequence[tuple[int, bytes, bytes]],
) -> None:
    """Put a final block and its indexes, and make it the head.

    `receipts` are encoded: the transactions', then those of due work; `txids` stand in the
    block's order; `history` are (address, index of the receipt); `listed` as in
    `state/lists.py`. The genesis block has no certificate.
    """
    height = block.header.height
    put = batch.put
    at = height.to_bytes(_HEIGHT_BYTES, "big")
    put(BLOCK + at, encode_block(block))
    if certificate is not None:
        put(CERTIFICATE + at, encode(certificate))
    put(RECEIPTS + at, encode(receipts))
    put(HASH + block_hash, at)
    for index, txid in enumerate(txids):
        put(TX + txid, at + index.to_bytes(_INDEX_BYTES, "big"))
    for address, index in history:
        put(HISTORY + address + at + index.to_bytes(_INDEX_BYTES, "big"), b"")
    if listed:
        write_lists(batch, height, listed)
    put(HEAD, encode((FORMAT, height, block_hash)))


def write_base(batch: Batch, height: int, links: Sequence[Value]) -> None:
    """Put that the chain begins with a snapshot of `height`; `links` as in `state/snapshot.py`."""
    batch.put(BASE, encode((height, links)))


def write_state(batch: Batch, changes: Iterable[tuple[bytes, bytes | None]], nodes: Nodes) -> None:
    """Put what a block changed in the state, and the trie nodes above it."""
    put, delete = batch.put, batch.delete
    for key, value in changes:
        if value is None:
            delete(key)
        else:
            put(key, value)
    write_nodes(batch, nodes)


# Reading


def read_head(rows: Rows) -> tuple[Header, bytes]:
    """The header and hash of the last committed block.

    Raises `Corrupt` if it is missing or not the one that was committed, `ConfigError` if the
    store was written in another format.
    """
    raw = rows.get(HEAD)
    if raw is None:
        raise Corrupt("the store has no head")
    match decode_stored(raw):
        case (int() as written, int() as height, bytes() as block_hash):
            if written != FORMAT:
                raise ConfigError(f"the store has format {written}, this program reads {FORMAT}")
            header = read_header(rows, height)
            if header is None or header.height != height or hash_header(header) != block_hash:
                raise Corrupt(f"height {height}: the head block is not the one committed")
            return header, block_hash
    raise Corrupt("the head row is not (format, height, hash)")


def read_base(rows: Rows) -> tuple[int, tuple[Value, ...]]:
    """(height, era links) that the store began with: (0, ()) where it holds the whole chain."""
    raw = rows.get(BASE)
    if raw is None:
        return 0, ()
    match decode_stored(raw):
        case (int() as height, tuple() as links):
            return height, links
    raise Corrupt("the base row is not (height, links)")


def is_head(rows: Rows, height: int, block_hash: bytes) -> bool:
    """Whether this is the last committed block; costs one row."""
    return rows.get(HEAD) == encode((FORMAT, height, block_hash))


def header_of(block_bytes: bytes) -> Header:
    """The header of `encode_block` bytes, without opening the transactions; else `Malformed`."""
    if block_bytes[:2] == b"\x92\xc4":  # an array of two, then bytes with an 8-bit length
        start, size = 3, int.from_bytes(block_bytes[2:3], "big")
    elif block_bytes[:2] == b"\x92\xc5":  # with a 16-bit length
        start, size = 4, int.from_bytes(block_bytes[2:4], "big")
    else:
        raise Malformed("a block is (header, transactions)")
    return open_header(block_bytes[start : start + size])


def read_stored(rows: Rows, height: int) -> tuple[Header, bytes, Certificate | None] | None:
    """(header, `encode_block` bytes, certificate) of `height`, or None if it is not decided."""
    raw = read_block_bytes(rows, height)
    return None if raw is None else (_header(raw, height), raw, read_certificate(rows, height))


def read_block_bytes(rows: Rows, height: int) -> bytes | None:
    """`encode_block` of the block at `height`, or None."""
    return rows.get(height_key(BLOCK, height))


def read_header(rows: Rows, height: int) -> Header | None:
    """The header at `height`, or None."""
    raw = read_block_bytes(rows, height)
    return None if raw is None else _header(raw, height)


def _header(block_bytes: bytes, height: int) -> Header:
    try:
        return header_of(block_bytes)
    except Malformed as error:
        raise Corrupt(f"height {height}: header: {error.why}") from None


def read_block(rows: Rows, height: int) -> Block | None:
    """The block at `height`, or None. Its transactions are not checked against its header."""
    raw = read_block_bytes(rows, height)
    if raw is None:
        return None
    match decode_stored(raw):
        case (bytes(), tuple() as txs) if all(type(tx) is bytes for tx in txs):
            return Block(_header(raw, height), txs)
    raise Corrupt(f"height {height}: a block is (header, transactions)")


def read_certificate_bytes(rows: Rows, height: int) -> bytes | None:
    """The encoded certificate of `height`, or None (the genesis block has none)."""
    return rows.get(height_key(CERTIFICATE, height))


def read_certificate(rows: Rows, height: int) -> Certificate | None:
    """The certificate of `height`, or None."""
    raw = read_certificate_bytes(rows, height)
    try:
        return None if raw is None else open_certificate(raw)
    except Malformed as error:
        raise Corrupt(f"height {height}: certificate: {error.why}") from None


def read_receipts_encoded(rows: Rows, height: int) -> tuple[bytes, ...] | None:
    """The encoded receipts of the block at `height`, in order, or None."""
    raw = rows.get(height_key(RECEIPTS, height))
    if raw is None:
        return None
    value = decode_stored(raw)
    if type(value) is not tuple or any(type(item) is not bytes for item in value):
        raise Corrupt(f"height {height}: the receipts row is not a list of receipts")
    return value


def open_stored_receipt(encoded: bytes) -> Receipt:
    """A receipt from its encoded bytes. Raises `Malformed` or `Corrupt`."""
    return open_receipt(decode_stored(encoded))


def _receipt(raw: bytes, height: int, index: int) -> Receipt:
    try:
        return open_stored_receipt(raw)
    except Malformed as error:
        raise Corrupt(f"height {height}: receipt {index}: {error.why}") from None


def read_receipts(rows: Rows, height: int) -> tuple[Receipt, ...] | None:
    """The receipts of the block at `height`, in order, or None."""
    encoded = read_receipts_encoded(rows, height)
    if encoded is None:
        return None
    return tuple(_receipt(raw, height, index) for index, raw in enumerate(encoded))


def read_place(rows: Rows, txid: bytes) -> Place | None:
    """Where the transaction is, or None if it is in no block."""
    raw = rows.get(TX + txid)
    return None if raw is None else _place_of(raw)


def read_height_of(rows: Rows, block_hash: bytes) -> int | None:
    """The height of the block with this hash, or None."""
    raw = rows.get(HASH + block_hash)
    return None if raw is None else int.from_bytes(raw, "big")


def read_receipt(rows: Rows, place: Place) -> Receipt:
    """The receipt of the transaction at `place`; only that one is opened."""
    encoded = read_receipts_encoded(rows, place.height)
    if encoded is None or place.number >= len(encoded):
        raise Corrupt(f"height {place.height}: receipt {place.number} is missing")
    return _receipt(encoded[place.number], place.height, place.number)


def read_transaction(rows: Rows, txid: bytes) -> StoredTransaction | None:
    """The transaction with its place and receipt, or None if it is in no block."""
    place = read_place(rows, txid)
    if place is None:
        return None
    block = read_block(rows, place.height)
    if block is None or place.number >= len(block.txs):
        raise Corrupt(f"height {place.height}: transaction {place.number} is missing")
    return StoredTransaction(place, block.txs[place.number], read_receipt(rows, place))


def read_history(
    rows: Rows, address: bytes, *, after: Place | None = None, newest: bool = False
) -> Iterator[Place]:
    """The places of the transactions that touched `address`, oldest first, beyond `after`.

    `newest` walks from the newest to the oldest.
    """
    prefix = HISTORY + address
    start = stop = None
    if after is not None and newest:
        stop = prefix + _place_bytes(*after)
    elif after is not None:
        start = prefix + _place_bytes(after.height, after.number + 1)
    for key, _ in rows.iterate(prefix=prefix, start=start, stop=stop, reverse=newest):
        yield _place_of(key[len(prefix) :])
