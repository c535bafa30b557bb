"""Every hash on the chain: BLAKE2b-256 with a tag for each use.

The tag goes into BLAKE2b's personalisation field (RFC 7693 §2.5 leaves it to the
application), so a hash made for one use can never be taken for another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

HASH_BYTES = 32
ZERO_HASH = bytes(HASH_BYTES)


def digest(tag: bytes, data: bytes) -> bytes:
    """32 bytes: BLAKE2b-256 of `data` with `tag` (at most 16 bytes) as its person."""
    return blake2b(data, digest_size=HASH_BYTES, person=tag).digest()


def hasher(tag: bytes) -> Callable[[bytes], bytes]:
    """`digest` with `tag` set once, for hot paths: a copied state saves a third on 64 bytes."""
    fresh = blake2b(digest_size=HASH_BYTES, person=tag).copy

    def hash_of(data: bytes) -> bytes:
        state = fresh()
        state.update(data)
        return state.digest()

    return hash_of


txid_of = hasher(b"mgs/tx")  # of the unsigned body
signed_hash_of = hasher(b"mgs/signed-tx")  # of the signed bytes
header_hash_of = hasher(b"mgs/header")
valset_hash_of = hasher(b"mgs/valset")
genesis_hash_of = hasher(b"mgs/genesis")
address_of = hasher(b"mgs/address")  # of a public key
_leaf_of = hasher(b"mgs/list-leaf")
_node_of = hasher(b"mgs/list-node")


def list_root(items: Sequence[bytes], *, tag: bytes) -> bytes:
    """Root of the binary Merkle tree over `items`, shaped as in RFC 6962 §2.1.

    Leaf = H(tag ‖ item), node = H(left ‖ right) under tags of their own; the empty list has
    the hash of the tag alone. `tag` says what the list is (b"txs", b"receipts").
    """
    if not items:
        return digest(b"mgs/list-empty", tag)
    level = [_leaf_of(tag + item) for item in items]
    while len(level) > 1:
        # An odd last node moves up unchanged: the same tree as RFC 6962's recursive split.
        paired = [_node_of(a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def list_path(items: Sequence[bytes], index: int, *, tag: bytes) -> tuple[tuple[bool, bytes], ...]:
    """The audit path of `items[index]`, from the leaf up: (sibling stands left?, its hash)."""
    if not 0 <= index < len(items):
        raise IndexError(index)
    level = [_leaf_of(tag + item) for item in items]
    path: list[tuple[bool, bytes]] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append((sibling < index, level[sibling]))
        paired = [_node_of(a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            paired.append(level[-1])
        level, index = paired, index // 2
    return tuple(path)


def list_path_root(item: bytes, path: Sequence[tuple[bool, bytes]], *, tag: bytes) -> bytes:
    """The root that `path` leads to from `item`; equal to the list's root iff it belongs."""
    node = _leaf_of(tag + item)
    for sibling_is_left, sibling in path:
        node = _node_of(sibling + node if sibling_is_left else node + sibling)
    return node
