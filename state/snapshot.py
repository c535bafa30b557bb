"""A snapshot: the whole state at one certified height, in items that are checked one by one.

Items, each at most `ITEM_BYTES_MAX` long, which is asked before anything is built:

- `head`: the height's header and certificate, the links that lead to its validator set from the
  genesis set, and the *cut*: trie prefixes below which all of the state lies, each row once;
- `block` and `receipts` of the height: judged by the header's roots;
- one chunk for each prefix: every state row below it, and the nodes from the root down to it.

Nothing is signed but the header, and nobody's word counts: a chunk whose rows do not hash to the
certified root is a lie of whoever sent it. So chunks may come from anyone, in any order. A link
is a barrier: header, its certificate by the old set, the new members. It is as good as the old
keys are safe; compare a height's hash with one known elsewhere where they may have been stolen.

This file does no IO; `state/restore.py` makes and writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mgsnode.base.block import (
    Block,
    Certificate,
    Header,
    certificate_of,
    check_certificate,
    hash_header,
    open_block,
    open_header,
    receipts_root,
)
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.genesis import Carried, Genesis
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.limits import CODEC_ITEMS_MAX, FRAME_BYTES_MAX
from mgsnode.base.validators import Validator, ValidatorSet
from state.proof import FANOUT, NODE_BYTES, leaf_hash_of, node_hash_of, trie_key_of
from state.table import STATE_PREFIX
from state.trie import Grown, grow

FORMAT: Final = 1  # of the items
ITEM_BYTES_MAX: Final = FRAME_BYTES_MAX - 4_096  # an item travels in one frame
CHUNK_BYTES: Final = 1024 * 1024  # a larger part is cut into 16: 5 to 70 ms of checking each
CHUNK_ROWS: Final = CODEC_ITEMS_MAX
# Half-bytes. Who picks keys that share more than that, to make a part too large for an item, has to
# try 2^64 of them for each row.
PREFIX_MAX: Final = 16
CHUNKS_MAX: Final = CODEC_ITEMS_MAX  # at least 1 GiB of state: a part just too large is cut into 16
HEAD, BLOCK, RECEIPTS = "head", "block", "receipts"
Item = str | bytes  # one of the three names, or a chunk's prefix

# A bucket's rows are never cut apart: sixteen of the longest (1,024 order lines) fit an item too.
assert CHUNK_BYTES < ITEM_BYTES_MAX * 3 // 4


class Link(NamedTuple):
    """How one era follows from the one before: its barrier, and the members it brings."""

    header: bytes
    certificate: Value
    members: tuple[tuple[str, bytes], ...]


class SnapshotHead(NamedTuple):
    """A head that holds: its header is certified by a set that follows from the genesis."""

    header: Header
    hash: bytes
    certificate: Certificate
    links: tuple[Value, ...]
    prefixes: tuple[bytes, ...]  # rising; a complete cut


class Chunk(NamedTuple):
    """All rows below one prefix, as the root says. `rows` rise by trie key."""

    prefix: bytes
    rows: tuple[tuple[bytes, bytes], ...]
    part: Grown  # its part of the trie


def encode_head(
    header: Header, certificate: Certificate, links: Sequence[Value], prefixes: Sequence[bytes]
) -> bytes:
    """The head's item."""
    return encode((FORMAT, encode(header), certificate, tuple(links), tuple(prefixes)))


def open_head(raw: bytes, genesis: Genesis) -> SnapshotHead:
    """A head from untrusted bytes, every signature checked; else `Malformed`."""
    match decode(raw, bytes_max=ITEM_BYTES_MAX):
        case (int() as written, bytes() as header_bytes, seal, tuple() as links, tuple() as cut):
            if written != FORMAT:
                raise Malformed(f"a snapshot of format {written}, this program reads {FORMAT}")
        case _:
            raise Malformed("a snapshot's head has five parts")
    header = open_header(header_bytes)
    if header.genesis_hash != genesis.hash or header.height < 1:
        raise Malformed("a snapshot of another chain")
    members = derive_members(genesis.validators(), links, genesis.hash, header)
    certificate = certificate_of(seal)
    why = check_certificate(certificate, header, members)
    if why is not None:
        raise Malformed(f"a snapshot's {why}")
    return SnapshotHead(header, hash_header(header), certificate, links, check_cut(cut))


def open_carried_head(raw: bytes, carried: Carried) -> tuple[bytes, ...]:
    """The chunks' prefixes of the snapshot that a genesis takes over, else `Malformed`.

    The genesis names the block by its hash, so nobody's signature is needed to believe it.
    """
    match decode(raw, bytes_max=ITEM_BYTES_MAX):
        case (int() as written, bytes() as header_bytes, _, _, tuple() as cut):
            header = open_header(header_bytes)
        case _:
            raise Malformed("a snapshot's head has five parts")
    found = (header.genesis_hash, header.height, hash_header(header), header.state_root)
    if written != FORMAT or found != carried:
        raise Malformed("not the snapshot whose state the genesis takes over")
    return check_cut(cut)


def derive_members(
    members: ValidatorSet, links: Sequence[Value], genesis_hash: bytes, last: Header
) -> ValidatorSet:
    """Who certifies `last`: from the genesis set over every barrier. `Malformed` if it breaks."""
    height = 0
    for era, link in enumerate(links):
        match link:
            case (bytes() as header_bytes, seal, tuple() as rows):
                header, certificate = open_header(header_bytes), certificate_of(seal)
            case _:
                raise Malformed("an era link is (header, certificate, members)")
        if (header.genesis_hash, header.era) != (genesis_hash, era) or header.height <= height:
            raise Malformed(f"the link of era {era} does not follow from the one before")
        why = check_certificate(certificate, header, members)
        if why is not None:
            raise Malformed(f"the link of era {era}: {why}")
        height, members = header.height, _open_members(rows)
        if header.next_valset_hash != members.hash or header.valset_hash == members.hash:
            raise Malformed(f"the link of era {era} brings other members than its header names")
    if last.era != len(links) or last.height <= height:
        raise Malformed("the links do not lead to the snapshot's era")
    return members


def _open_members(rows: tuple[Value, ...]) -> ValidatorSet:
    found: list[Validator] = []
    for row in rows:
        match row:
            case (str() as name, bytes() as key) if len(key) == HASH_BYTES:
                found.append(Validator(name, key))
            case _:
                raise Malformed("a member is (name, key)")
    try:
        return ValidatorSet(found)
    except ValueError:
        raise Malformed("members that cannot be a validator set") from None


def check_cut(prefixes: Sequence[Value]) -> tuple[bytes, ...]:
    """The prefixes, if they are short, rise, and cover every path once; else `Malformed`."""
    if not 1 <= len(prefixes) <= CHUNKS_MAX:
        raise Malformed(f"a snapshot has 1 to {CHUNKS_MAX} chunks")
    found: list[bytes] = []
    covered = 0  # of FANOUT ** PREFIX_MAX places
    for prefix in prefixes:
        if type(prefix) is not bytes or not is_item(prefix):
            raise Malformed(f"a chunk's prefix is up to {PREFIX_MAX} half-bytes")
        at = int.from_bytes(prefix.ljust(PREFIX_MAX, b"\0"), "big")
        start = sum((at >> 8 * i & 15) << 4 * i for i in range(PREFIX_MAX))
        if start != covered:
            raise Malformed("the chunks do not cover the state once")
        covered += int(FANOUT ** (PREFIX_MAX - len(prefix)))
        found.append(prefix)
    if covered != FANOUT**PREFIX_MAX:
        raise Malformed("the chunks do not cover the state once")
    return tuple(found)


def encode_chunk(
    prefix: bytes, nodes: Sequence[bytes], rows: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """A chunk's item; `rows` rise by trie key."""
    keys, values = tuple(key for key, _ in rows), tuple(value for _, value in rows)
    return encode((prefix, tuple(nodes), keys, values))


def open_chunk(raw: bytes, prefix: bytes, root: bytes) -> Chunk:
    """The chunk of `prefix` from untrusted bytes, if it is what `root` says; else `Malformed`."""
    match decode(raw, bytes_max=ITEM_BYTES_MAX):
        case (bytes() as named, tuple() as nodes, tuple() as keys, tuple() as values):
            if named != prefix or len(nodes) != len(prefix) or len(keys) != len(values):
                raise Malformed("another chunk than was asked for")
        case _:
            raise Malformed("a chunk has four parts")
    expected = _follow(nodes, prefix, root)
    entries: list[bytes] = []
    last = b""
    for key, value in zip(keys, values, strict=True):
        if type(key) is not bytes or type(value) is not bytes or key[:1] != STATE_PREFIX:
            raise Malformed("a chunk's rows are state rows")
        trie_key = trie_key_of(key)
        if trie_key <= last:
            raise Malformed("a chunk's rows do not rise")
        last = trie_key
        entries += (trie_key, leaf_hash_of(value))
    part = grow(prefix, b"".join(entries))
    if part.hash != expected:
        raise Malformed("a chunk's rows are not those of the certified state")
    return Chunk(prefix, tuple(zip(keys, values, strict=True)), part)


def _follow(nodes: Sequence[Value], prefix: bytes, root: bytes) -> bytes:
    """The hash that the nodes on the way from `root` give for the part at `prefix`."""
    expected = root
    for node, half in zip(nodes, prefix, strict=True):
        if type(node) is not bytes or len(node) != NODE_BYTES or node_hash_of(node) != expected:
            raise Malformed("a chunk's path does not fit the certified state")
        expected = node[half * HASH_BYTES : (half + 1) * HASH_BYTES]
    return expected


def open_base_block(raw: bytes, head: SnapshotHead) -> Block:
    """The block of the snapshot's height, else `Malformed`."""
    if len(raw) > ITEM_BYTES_MAX:
        raise Malformed("a block is longer than a frame")
    block = open_block(raw)
    if hash_header(block.header) != head.hash:
        raise Malformed("another block than the snapshot's")
    return block


def encode_receipts(receipts: Sequence[bytes]) -> bytes:
    """The receipts' item."""
    return encode(tuple(receipts))


def open_base_receipts(raw: bytes, head: SnapshotHead) -> tuple[bytes, ...]:
    """The encoded receipts of the snapshot's height, else `Malformed`."""
    value = decode(raw, bytes_max=ITEM_BYTES_MAX)
    if type(value) is not tuple or any(type(receipt) is not bytes for receipt in value):
        raise Malformed("receipts are a list of bytes")
    if receipts_root(value) != head.header.receipts_root:
        raise Malformed("other receipts than the header's")
    return value


def item_name(item: Item) -> str:
    """What an item's file is called."""
    return item if isinstance(item, str) else "chunk-" + "".join(f"{half:x}" for half in item)


def is_item(item: Item) -> bool:
    """Whether a snapshot may have an item of this name or prefix."""
    if isinstance(item, str):
        return item in (HEAD, BLOCK, RECEIPTS)
    return len(item) <= PREFIX_MAX and max(item, default=0) < FANOUT


def items_of(head: SnapshotHead) -> tuple[Item, ...]:
    """Every item but the head itself."""
    return (BLOCK, RECEIPTS, *head.prefixes)


def check_item(head: SnapshotHead, item: Item, raw: bytes) -> None:
    """`Malformed` unless `raw` is that item of the snapshot."""
    if item == BLOCK:
        open_base_block(raw, head)
    elif item == RECEIPTS:
        open_base_receipts(raw, head)
    else:
        assert isinstance(item, bytes)
        open_chunk(raw, item, head.header.state_root)
