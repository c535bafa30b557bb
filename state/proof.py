"""What the state root commits to, and how to check it with nothing but hashes.

The state is a set of rows (state key, value). A row's place is its *trie key* H(state key), its
leaf hash is H(value); each use has its own tag (`base/hashing.py`). For the rows whose trie keys
share a prefix:

* none: 32 zero bytes;
* 1 to 16 rows, a *bucket*: H of their `trie key ‖ leaf hash`, rising;
* more, a *node*: H of the 16 hashes of the parts by the next half-byte of the trie key.

The root is that of the empty prefix: a function of the contents alone, however they came about.

A proof is the nodes from the root towards the key, 512 bytes each, and the bucket where they end,
empty if they end in nothing. It has one spelling. Whoever knows BLAKE2b can follow it.
"""

from __future__ import annotations

from typing import NamedTuple

from mgsnode.base.codec import Value
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES, ZERO_HASH, hasher

trie_key_of = hasher(b"mgs/trie-key")  # of a state key
leaf_hash_of = hasher(b"mgs/trie-leaf")  # of a row's value
bucket_hash_of = hasher(b"mgs/trie-bucket")
node_hash_of = hasher(b"mgs/trie-node")

EMPTY_ROOT = ZERO_HASH  # no one knows bytes with this hash
FANOUT = 16
BUCKET_ROWS_MAX = 16  # the rows of a bucket share one node of the store: few reads, few hashes
ENTRY_BYTES = 2 * HASH_BYTES
NODE_BYTES = FANOUT * HASH_BYTES
DEPTH_MAX = 2 * HASH_BYTES  # half-bytes of a trie key


class Proof(NamedTuple):
    """Why a row is in the state, or why it is not."""

    nodes: tuple[bytes, ...]  # from the root down
    bucket: bytes  # entries, or empty


def half_byte(trie_key: bytes, depth: int) -> int:
    """The half-byte of `trie_key` that decides at `depth` (0 is the root)."""
    byte = trie_key[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


def check_proof(root: bytes, state_key: bytes, value: bytes | None, proof: Proof) -> str | None:
    """Why `proof` does not show that the state with `root` has `value` under `state_key`.

    None if it does. `value` None claims that there is no such row. Any bytes; never raises.
    """
    key = trie_key_of(state_key)
    expected = root
    if len(proof.nodes) > DEPTH_MAX:
        return "the proof is deeper than a key"
    for depth, node in enumerate(proof.nodes):
        if len(node) != NODE_BYTES:
            return f"node {depth} of the proof has not 512 bytes"
        if node_hash_of(node) != expected:
            return f"node {depth} of the proof does not fit the root"
        start = half_byte(key, depth) * HASH_BYTES
        expected = node[start : start + HASH_BYTES]
    if not proof.bucket:
        if expected != EMPTY_ROOT:
            return "the proof ends before the key's place"
        return None if value is None else "the state has no such row"
    if bucket_hash_of(proof.bucket) != expected:
        return "the proof's bucket does not fit its nodes"
    return _check_bucket(proof.bucket, key, len(proof.nodes), value)


def _check_bucket(bucket: bytes, key: bytes, depth: int, value: bytes | None) -> str | None:
    if len(bucket) % ENTRY_BYTES or len(bucket) > BUCKET_ROWS_MAX * ENTRY_BYTES:
        return "the proof's bucket has not 1 to 16 entries"
    last, leaf = b"", None
    for start in range(0, len(bucket), ENTRY_BYTES):
        entry = bucket[start : start + HASH_BYTES]
        if entry <= last:
            return "the entries of the proof's bucket do not rise"
        if any(half_byte(entry, level) != half_byte(key, level) for level in range(depth)):
            return "an entry of the proof's bucket belongs elsewhere"
        last = entry
        if entry == key:
            leaf = bucket[start + HASH_BYTES : start + ENTRY_BYTES]
    if value is None:
        return None if leaf is None else "the state has such a row"
    if leaf is None:
        return "the state has no such row"
    return None if leaf == leaf_hash_of(value) else "the row has another value"


def open_proof(value: Value) -> Proof:
    """A proof from its decoded value, else `Malformed`."""
    match value:
        case (tuple() as nodes, bytes() as bucket):
            if len(nodes) <= DEPTH_MAX and all(type(node) is bytes for node in nodes):
                return Proof(nodes, bucket)
    raise Malformed("a proof is (nodes, bucket)")


def proof_json(proof: Proof) -> dict[str, object]:
    """The proof for JSON, bytes as lower-case hex."""
    return {"nodes": [node.hex() for node in proof.nodes], "bucket": proof.bucket.hex()}


def proof_from_json(value: object) -> Proof:
    """The proof that `proof_json` wrote, else `Malformed`."""
    match value:
        case {"nodes": [*nodes], "bucket": str() as bucket, **rest} if not rest:
            if len(nodes) <= DEPTH_MAX:
                return Proof(tuple(_from_hex(node) for node in nodes), _from_hex(bucket))
    raise Malformed("a proof is {nodes, bucket}")


def _from_hex(text: object) -> bytes:
    try:
        raw = bytes.fromhex(text) if type(text) is str else None
    except ValueError:
        raw = None
    if raw is None or raw.hex() != text:
        raise Malformed("a proof's bytes are lower-case hex")
    return raw
