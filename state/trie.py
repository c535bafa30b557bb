"""The Merkle trie over the state rows: from sorted changes to the new root in one pass.

`state/proof.py` says what a root commits to. Here is how it is kept: a node is stored under its
path (the half-bytes of the trie keys below it, one to a byte), so nodes that are written again
and again overwrite each other and nothing has to be collected. A stored bucket is its entries;
a stored node is 16 bytes saying what each child is (0 nothing, 1 to 16 a bucket of so many
rows, 255 a node) and the 16 hashes; only the hashes are hashed. 528 is no multiple of 64, so
the length tells which it is.

Updates read through a function and return what they would write, so they stack on uncommitted
parents (`over`). It knows nothing of records, blocks or commits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from mgsnode.base.errors import Corrupt
from mgsnode.base.hashing import HASH_BYTES
from state.proof import (
    BUCKET_ROWS_MAX,
    DEPTH_MAX,
    EMPTY_ROOT,
    ENTRY_BYTES,
    FANOUT,
    NODE_BYTES,
    Proof,
    bucket_hash_of,
    half_byte,
    leaf_hash_of,
    node_hash_of,
    trie_key_of,
)
from state.store import Batch, Rows

TRIE_PREFIX = b"t"
NodeReader: TypeAlias = Callable[[bytes], bytes | None]  # path -> stored node
Nodes: TypeAlias = dict[bytes, bytes | None]  # path -> stored node, None: gone

_NODE: Final = 255  # the kind of a child that is a node
_STORED_BYTES: Final = FANOUT + NODE_BYTES
_STEPS: Final = tuple(bytes([half]) for half in range(FANOUT))
_SLOTS: Final = tuple(FANOUT + half * HASH_BYTES for half in range(FANOUT))
_CACHE_NODES_MAX: Final = 80_000  # 60 MB: most nodes of a million rows but the last ones


class TrieUpdate(NamedTuple):
    """The root after some changes, and the nodes that differ from before."""

    root: bytes
    nodes: Nodes


class NodeCache:
    """Committed nodes, the recently used ones in memory.

    Two generations: what is read moves to the young one; when that is full the old one goes.
    """

    def __init__(self, rows: Rows, *, nodes_max: int = _CACHE_NODES_MAX) -> None:
        self._rows = rows
        self._half = nodes_max // 2
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def read(self, path: bytes) -> bytes | None:
        """The stored node at `path`, or None."""
        node = self._young.get(path)
        if node is not None:
            return node
        node = self._old.get(path) or self._rows.get(TRIE_PREFIX + path)
        if node is not None:
            self._keep(path, node)
        return node

    def absorb(self, nodes: Nodes) -> None:
        """Take over what was just committed."""
        for path, node in nodes.items():
            if node is None:
                self._young.pop(path, None)
                self._old.pop(path, None)
            else:
                self._keep(path, node)

    def _keep(self, path: bytes, node: bytes) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[path] = node


def stored(rows: Rows) -> NodeReader:
    """The nodes of a `Store` or `Snapshot`."""
    return lambda path: rows.get(TRIE_PREFIX + path)


def over(nodes: Mapping[bytes, bytes | None], below: NodeReader) -> NodeReader:
    """`below` as it will be when `nodes` are committed."""

    def read(path: bytes) -> bytes | None:
        return nodes[path] if path in nodes else below(path)

    return read


def write_nodes(batch: Batch, nodes: Nodes) -> None:
    """Put an update's nodes into the block's batch."""
    for path, node in nodes.items():
        if node is None:
            batch.delete(TRIE_PREFIX + path)
        else:
            batch.put(TRIE_PREFIX + path, node)


def root_of(read: NodeReader) -> bytes:
    """The root of the stored trie, from its topmost node."""
    node = read(b"")
    return EMPTY_ROOT if node is None else _hash_of(node)


def _hash_of(node: bytes) -> bytes:
    return node_hash_of(node[FANOUT:]) if len(node) == _STORED_BYTES else bucket_hash_of(node)


def check_top(read: NodeReader) -> bytes:
    """The root, once the topmost node and those right below it agree; else `Corrupt`."""
    top = read(b"")
    if top is not None and len(top) == _STORED_BYTES:
        for half, slot in enumerate(_SLOTS):
            node = read(_STEPS[half]) if top[half] else None
            if (EMPTY_ROOT if node is None else _hash_of(node)) != top[slot : slot + HASH_BYTES]:
                raise _contradiction(_STEPS[half])
    return root_of(read)


def update(read: NodeReader, changes: Iterable[tuple[bytes, bytes | None]]) -> TrieUpdate:
    """The trie after `changes`: (state key, value or None: gone), each key once, any order.

    Raises `Corrupt` where stored nodes contradict each other.
    """
    leaves = {
        trie_key_of(key): None if value is None else leaf_hash_of(value) for key, value in changes
    }
    before = root_of(read)
    if not leaves:
        return TrieUpdate(before, {})
    top = read(b"")
    kind = 0 if top is None else _NODE if len(top) == _STORED_BYTES else len(top) // ENTRY_BYTES
    walk = _Walk(read, leaves)
    _, root = walk.change(b"", kind, before, 0, len(leaves))
    return TrieUpdate(root, walk.out)


class Grown(NamedTuple):
    """A part of a trie built from its rows alone."""

    kind: int  # what the node above it notes: 0 nothing, 1 to 16 a bucket's rows, 255 a node
    hash: bytes
    nodes: Nodes


def grow(path: bytes, entries: bytes) -> Grown:
    """The part of the trie at `path` that holds `entries`: (trie key, leaf hash) pairs, rising."""
    if not entries:
        return Grown(0, EMPTY_ROOT, {})
    walk = _Walk(lambda _path: None, {})
    kind, part_hash = walk._grow(path, entries)
    return Grown(kind, part_hash, walk.out)


def join(children: Sequence[Grown]) -> tuple[bytes, Grown]:
    """(the stored node above 16 parts, the part that it is the top of, without nodes)."""
    hashes = b"".join(child.hash for child in children)
    node = bytes(child.kind for child in children) + hashes
    return node, Grown(_NODE, node_hash_of(hashes), {})


class _Walk:
    """One pass over sorted keys. `leaves` has the new leaf hash of each, None: gone."""

    __slots__ = ("keys", "leaves", "out", "read")

    def __init__(self, read: NodeReader, leaves: dict[bytes, bytes | None]) -> None:
        self.read = read
        self.keys = sorted(leaves)
        self.leaves = leaves
        self.out: Nodes = {}

    def change(
        self, path: bytes, kind: int, before: bytes, low: int, high: int
    ) -> tuple[int, bytes]:
        """Apply the changes low..high, all below `path`: the part's new (kind, hash).

        `kind` and `before` are what it was.
        """
        if kind == _NODE:
            return self._change_node(path, before, low, high)
        bucket = self._load(path, kind * ENTRY_BYTES) if kind else b""
        if high - low == 1:
            key = self.keys[low]
            changed = _with(bucket, key, self.leaves[key])
        else:
            changed = self._merge(bucket, low, high)
        if changed == bucket:
            return kind, before
        if len(changed) <= BUCKET_ROWS_MAX * ENTRY_BYTES:
            if not changed:
                self.out[path] = None
                return 0, EMPTY_ROOT
            self.out[path] = changed
            return len(changed) // ENTRY_BYTES, bucket_hash_of(changed)
        return self._grow(path, changed)

    def _change_node(self, path: bytes, before: bytes, low: int, high: int) -> tuple[int, bytes]:
        node = self._load(path, _STORED_BYTES)
        changed = bytearray(node)
        read, keys, leaves = self.read, self.keys, self.leaves
        depth = len(path)
        byte, shift = depth >> 1, 0 if depth & 1 else 4
        while low < high:
            half = keys[low][byte] >> shift & 15
            end = low + 1
            while end < high and keys[end][byte] >> shift & 15 == half:
                end += 1
            child, kind, slot = path + _STEPS[half], node[half], _SLOTS[half]
            if end - low == 1 and 0 < kind <= BUCKET_ROWS_MAX:
                # Most often one row of a bucket gets a new value: spare the calls.
                key = keys[low]
                leaf, bucket = leaves[key], read(child)
                if leaf is not None and bucket is not None and len(bucket) == kind * ENTRY_BYTES:
                    at = bucket.find(key)
                    if at >= 0 and at % ENTRY_BYTES == 0:
                        new = bucket[: at + HASH_BYTES] + leaf + bucket[at + ENTRY_BYTES :]
                        if new != bucket:
                            self.out[child] = new
                            changed[slot : slot + HASH_BYTES] = bucket_hash_of(new)
                        low = end
                        continue
            changed[half], changed[slot : slot + HASH_BYTES] = self.change(
                child, kind, node[slot : slot + HASH_BYTES], low, end
            )
            low = end
        if changed == node:
            return _NODE, before
        if changed.find(_NODE, 0, FANOUT) < 0 and sum(changed[:FANOUT]) <= BUCKET_ROWS_MAX:
            return self._collapse(path, changed)
        self.out[path] = new = bytes(changed)
        return _NODE, node_hash_of(new[FANOUT:])

    def _collapse(self, path: bytes, node: bytearray) -> tuple[int, bytes]:
        """Few rows are left below: they become one bucket, as if it had never been more."""
        parts: list[bytes] = []
        for half in range(FANOUT):
            child = path + _STEPS[half]
            if node[half]:
                part = self.out.get(child)
                parts.append(self._load(child, node[half] * ENTRY_BYTES) if part is None else part)
                self.out[child] = None
        bucket = b"".join(parts)
        self.out[path] = bucket or None
        rows = len(bucket) // ENTRY_BYTES
        return rows, bucket_hash_of(bucket) if rows else EMPTY_ROOT

    def _grow(self, path: bytes, entries: bytes) -> tuple[int, bytes]:
        """Build the part at `path` from its sorted entries."""
        if len(entries) <= BUCKET_ROWS_MAX * ENTRY_BYTES:
            self.out[path] = entries
            return len(entries) // ENTRY_BYTES, bucket_hash_of(entries)
        depth = len(path)
        assert depth < DEPTH_MAX, "two rows share a trie key"
        node = bytearray(_STORED_BYTES)
        low = 0
        while low < len(entries):
            half = _half_at(entries, low, depth)
            end = low + ENTRY_BYTES
            while end < len(entries) and _half_at(entries, end, depth) == half:
                end += ENTRY_BYTES
            slot = _SLOTS[half]
            node[half], node[slot : slot + HASH_BYTES] = self._grow(
                path + _STEPS[half], entries[low:end]
            )
            low = end
        self.out[path] = new = bytes(node)
        return _NODE, node_hash_of(new[FANOUT:])

    def _merge(self, bucket: bytes, low: int, high: int) -> bytes:
        """The entries of `bucket` after the changes low..high, sorted."""
        leaves: dict[bytes, bytes | None] = {
            bucket[at : at + HASH_BYTES]: bucket[at + HASH_BYTES : at + ENTRY_BYTES]
            for at in range(0, len(bucket), ENTRY_BYTES)
        }
        for i in range(low, high):
            leaves[self.keys[i]] = self.leaves[self.keys[i]]
        return b"".join(key + leaf for key, leaf in sorted(leaves.items()) if leaf is not None)

    def _load(self, path: bytes, size: int) -> bytes:
        node = self.read(path)
        if node is None or len(node) != size:
            raise _contradiction(path)
        return node


def _half_at(entries: bytes, at: int, depth: int) -> int:
    byte = entries[at + (depth >> 1)]
    return byte & 15 if depth & 1 else byte >> 4


def _with(bucket: bytes, key: bytes, leaf: bytes | None) -> bytes:
    """`bucket` with one entry set, or removed where `leaf` is None."""
    at = bucket.find(key)
    while at > 0 and at % ENTRY_BYTES:
        at = bucket.find(key, at + 1)
    if at >= 0:
        if leaf is None:
            return bucket[:at] + bucket[at + ENTRY_BYTES :]
        return bucket[: at + HASH_BYTES] + leaf + bucket[at + ENTRY_BYTES :]
    if leaf is None:
        return bucket
    places = range(0, len(bucket), ENTRY_BYTES)
    index = bisect_left(places, key, key=lambda place: bucket[place : place + HASH_BYTES])
    at = index * ENTRY_BYTES
    return bucket[:at] + key + leaf + bucket[at:]


def _contradiction(path: bytes) -> Corrupt:
    place = "".join(f"{half:x}" for half in path) or "at the root"
    return Corrupt(f"trie node {place} is missing or not what the node above it says")


def prove(read: NodeReader, state_key: bytes) -> Proof:
    """The proof of the row under `state_key`, or of its absence, in the trie behind `read`.

    `check_proof` with the row's value (None if absent) accepts it. Raises `Corrupt`.
    """
    key = trie_key_of(state_key)
    nodes: list[bytes] = []
    path = b""
    node = read(path)
    if node is None:
        return Proof((), b"")
    while len(node) == _STORED_BYTES:
        nodes.append(node[FANOUT:])
        half = half_byte(key, len(path))
        kind = node[half]
        if kind == 0:
            return Proof(tuple(nodes), b"")
        path += _STEPS[half]
        node = read(path)
        if node is None or len(node) != (_STORED_BYTES if kind == _NODE else kind * ENTRY_BYTES):
            raise _contradiction(path)
    return Proof(tuple(nodes), node)
