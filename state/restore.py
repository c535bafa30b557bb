"""A snapshot made of a store's rows, and a store made of a snapshot.

Making reads one frozen look at a store and never stops its chain. The rows are put in the order
of the trie by a scratch store, so memory does not grow with the state. Restoring checks every
item again, writes rows and nodes chunk by chunk, and the head last, synced: before that the
folder is no store. The same state gives the same items, and the same items the same store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mgsnode.base.block import Block
from mgsnode.base.codec import Value, decode_stored, encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.transaction import open_transaction
from state import chain
from state.draft import StateReader
from state.layout import check_rows, new_store
from state.proof import BUCKET_ROWS_MAX, FANOUT, NODE_BYTES, half_byte, trie_key_of
from state.registry import Registry, standard_registry
from state.snapshot import (
    BLOCK,
    CHUNK_BYTES,
    CHUNK_ROWS,
    CHUNKS_MAX,
    HEAD,
    ITEM_BYTES_MAX,
    PREFIX_MAX,
    RECEIPTS,
    Item,
    Link,
    SnapshotHead,
    encode_chunk,
    encode_head,
    encode_receipts,
    open_base_block,
    open_base_receipts,
    open_carried_head,
    open_chunk,
    open_head,
)
from state.store import Rows, Store
from state.table import STATE_PREFIX
from state.trie import TRIE_PREFIX, Grown, join
from state.tx.gateways import ERA

_BATCH_ROWS: Final = 1_000  # of the scratch store; not synced
_HALVES: Final = tuple(bytes([half]) for half in range(FANOUT))
_WEIGHED: Final = 4  # half-bytes: 65,536 parts are weighed, larger ones cut by looking again
_ROW_BYTES: Final = 12  # headers of a key and a value in a chunk
Read = Callable[[Item], bytes]  # an item's bytes
Write = Callable[[Item, bytes], None]


# Making


def make_snapshot(
    rows: Rows,
    genesis: Genesis,
    scratch: Path,
    write: Write,
    *,
    pause: Callable[[], None] = lambda: None,
) -> SnapshotHead:
    """Write every item of the snapshot of the head of `rows`, the head's item last.

    `scratch` is a folder that does not exist yet; the caller throws it away. `pause` is called
    every thousand rows, some 10 ms apart. `ConfigError` at height 0, which has no certificate,
    at a height whose receipts do not fit an item, and beyond `CHUNKS_MAX` chunks.
    """
    header, _ = chain.read_head(rows)
    certificate = chain.read_certificate(rows, header.height)
    if certificate is None:
        raise ConfigError(f"height {header.height} has no certificate: there is nothing to vouch")
    block = chain.read_block_bytes(rows, header.height)
    receipts = chain.read_receipts_encoded(rows, header.height)
    if block is None or receipts is None:
        raise Corrupt(f"height {header.height}: block or receipts are missing")
    _put(write, BLOCK, block)
    _put(write, RECEIPTS, encode_receipts(receipts))
    with Store.create(scratch) as sorter:
        prefixes = _cut(_sort(rows, sorter, pause), sorter)
        if len(prefixes) > CHUNKS_MAX:
            raise ConfigError(f"the state needs {len(prefixes)} chunks, {CHUNKS_MAX} is the most")
        for prefix in prefixes:
            nodes = [_node(rows, prefix[:depth]) for depth in range(len(prefix))]
            _put(write, prefix, encode_chunk(prefix, nodes, list(_below(sorter, prefix))))
    raw = encode_head(header, certificate, links_of(rows), prefixes)
    _put(write, HEAD, raw)
    return open_head(raw, genesis)


def _put(write: Write, item: Item, raw: bytes) -> None:
    if len(raw) > ITEM_BYTES_MAX:
        raise ConfigError(f"a snapshot's item of {len(raw)} bytes does not fit into a frame")
    write(item, raw)


def links_of(rows: Rows) -> tuple[Value, ...]:
    """The links from the genesis set to that of the head of `rows`, oldest first."""
    header, _ = chain.read_head(rows)
    _, links = chain.read_base(rows)
    found = list(links)
    reader = StateReader(rows)
    for number in range(len(links) + 1, header.era + 1):
        era = reader.get(ERA, number)
        barrier = None if era is None else chain.read_header(rows, era.first_height - 1)
        if era is None or barrier is None:
            raise Corrupt(f"the barrier before era {number} is missing")
        seal = chain.read_certificate(rows, barrier.height)
        if seal is None:
            raise Corrupt(f"height {barrier.height}: certificate is missing")
        found.append(Link(encode(barrier), seal, era.members))
    return tuple(found)


def _sort(rows: Rows, sorter: Store, pause: Callable[[], None]) -> tuple[list[int], list[int]]:
    """Put every state row under its trie key; (bytes, rows) below each path of `_WEIGHED`."""
    sizes, counts = [0] * FANOUT**_WEIGHED, [0] * FANOUT**_WEIGHED
    state = rows.iterate(prefix=STATE_PREFIX)
    more = True
    while more:
        pause()
        more = False
        with sorter.batch(sync=False) as batch:
            for number, (key, value) in enumerate(state, start=1):
                trie_key = trie_key_of(key)
                place = int.from_bytes(trie_key[:2], "big") >> 4 * (4 - _WEIGHED)
                sizes[place] += len(key) + len(value) + _ROW_BYTES
                counts[place] += 1
                batch.put(trie_key, encode((key, value)))
                if number == _BATCH_ROWS:
                    more = True
                    break
    return sizes, counts


def _is_small(size: int, rows: int) -> bool:
    """Whether a part is one chunk; a bucket's rows are never cut apart."""
    return rows <= BUCKET_ROWS_MAX or (rows <= CHUNK_ROWS and size <= CHUNK_BYTES)


def _cut(weights: tuple[list[int], list[int]], sorter: Store) -> list[bytes]:
    """The fewest prefixes whose parts are small enough, or cannot be cut again."""
    sizes, counts = weights
    found: list[bytes] = []

    def cut(prefix: bytes, low: int, high: int) -> None:
        if _is_small(sum(sizes[low:high]), sum(counts[low:high])):
            found.append(prefix)
            return
        if len(prefix) == _WEIGHED:
            found.extend(_cut_rows(prefix, sorter))
            return
        step = (high - low) // FANOUT
        for place, half in enumerate(_HALVES):
            cut(prefix + half, low + place * step, low + (place + 1) * step)

    cut(b"", 0, len(sizes))
    return found


def _cut_rows(prefix: bytes, sorter: Store) -> list[bytes]:
    """As `_cut` of one part, by its rows: somebody has picked keys that meet in it."""
    found: list[bytes] = []

    def cut(prefix: bytes, rows: list[tuple[bytes, int]]) -> None:
        depth = len(prefix)
        if _is_small(sum(size for _, size in rows), len(rows)) or depth == PREFIX_MAX:
            found.append(prefix)
            return
        parts: list[list[tuple[bytes, int]]] = [[] for _ in _HALVES]
        for row in rows:
            parts[half_byte(row[0], depth)].append(row)
        for half, part in zip(_HALVES, parts, strict=True):
            cut(prefix + half, part)

    sizes = [
        (trie_key_of(key), len(key) + len(value) + _ROW_BYTES)
        for key, value in _below(sorter, prefix)
    ]
    cut(prefix, sizes)
    return found


def _below(sorter: Store, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows whose trie keys begin with these half-bytes, rising by trie key."""
    whole, odd = divmod(len(prefix), 2)
    start = bytes(a << 4 | b for a, b in zip(prefix[: 2 * whole : 2], prefix[1::2], strict=False))
    for trie_key, raw in sorter.iterate(
        prefix=start,
        start=start + bytes([prefix[-1] << 4]) if odd else None,
        stop=start + bytes([(prefix[-1] << 4) + 16]) if odd and prefix[-1] < 15 else None,
    ):
        assert len(trie_key) == HASH_BYTES
        match decode_stored(raw):
            case (bytes() as key, bytes() as value):
                yield key, value


def _node(rows: Rows, path: bytes) -> bytes:
    node = rows.get(TRIE_PREFIX + path)
    if node is None or len(node) != FANOUT + NODE_BYTES:
        raise Corrupt(f"trie node {path.hex() or 'at the root'} is missing")
    return node[FANOUT:]


# Restoring


def restore(
    path: Path, genesis: Genesis, read: Read, registry: Registry | None = None
) -> SnapshotHead:
    """Make the store `path` of a snapshot whose items `read` gives; open it with `Ledger.open`.

    `Malformed` where an item is not what the certified header says, `ConfigError` where a store
    is there already or the rows are laid out as another program does. What was written until then
    is no store: throw the folder away.
    """
    registry = registry or standard_registry()
    head = open_head(read(HEAD), genesis)
    block = open_base_block(read(BLOCK), head)
    receipts = open_base_receipts(read(RECEIPTS), head)
    with new_store(path, registry) as store:
        _write_chunks(store, head.prefixes, head.header.state_root, read, registry)
        with store.batch() as batch:
            chain.write_base(batch, head.header.height, head.links)
            chain.write_block(
                batch,
                block,
                head.hash,
                certificate=head.certificate,
                receipts=receipts,
                txids=_txids(block),
                history=(),
                listed=(),
            )
    return head


def carry_rows(store: Store, genesis: Genesis, read: Read, registry: Registry) -> None:
    """Put the state that `genesis` takes over into an empty store, as it was; no block yet.

    `read` gives the items of its snapshot. `Malformed` where one is not what the genesis names,
    `ConfigError` where another program's rows are in it.
    """
    (carried,) = genesis.carried
    prefixes = open_carried_head(read(HEAD), carried)
    _write_chunks(store, prefixes, carried.state_root, read, registry)


def _write_chunks(
    store: Store, prefixes: Sequence[bytes], root: bytes, read: Read, registry: Registry
) -> None:
    """The rows and nodes of a whole state with this root; what is written last is not synced."""
    parts: dict[bytes, Grown] = {}
    seen: dict[int, bool] = {}
    for prefix in prefixes:
        chunk = open_chunk(read(prefix), prefix, root)
        check_rows(chunk.rows, registry, seen)
        with store.batch(sync=False) as batch:
            chain.write_state(batch, chunk.rows, chunk.part.nodes)
        parts[prefix] = chunk.part._replace(nodes={})
    tops: dict[bytes, bytes] = {}
    if _join(b"", parts, tops).hash != root:
        raise Malformed("the chunks together are not the certified state")
    with store.batch(sync=False) as batch:
        for place, node in tops.items():
            batch.put(TRIE_PREFIX + place, node)


def _join(path: bytes, parts: dict[bytes, Grown], tops: dict[bytes, bytes]) -> Grown:
    """The part at `path` of the chunks below it; the nodes above them go into `tops`."""
    part = parts.get(path)
    if part is None:
        children = [_join(path + half, parts, tops) for half in _HALVES]
        tops[path], part = join(children)
    return part


def _txids(block: Block) -> list[bytes]:
    genesis_hash = block.header.genesis_hash
    return [open_transaction(raw, genesis_hash).txid for raw in block.txs]
