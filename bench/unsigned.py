"""Transactions for a state machine measured alone: signatures of the right length, unchecked."""

from __future__ import annotations

from collections.abc import Iterable

from mgsnode.base.codec import encode
from mgsnode.base.hashing import signed_hash_of, txid_of
from mgsnode.base.transaction import Body, Transaction


def unsigned(body: Body, keys: Iterable[bytes]) -> Transaction:
    """As if the holders of these public keys (distinct, 32 bytes each) had signed `body`."""
    signatures = tuple((key, bytes(64)) for key in sorted(keys))
    body_bytes = encode(body)
    raw = encode((body_bytes, signatures))
    return Transaction(raw, signed_hash_of(raw), body_bytes, txid_of(body_bytes), body, signatures)
