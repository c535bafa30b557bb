"""Transactions for tests of what only passes them on: right in shape, signed on demand."""

from __future__ import annotations

from mgsnode.base.codec import encode
from mgsnode.base.hashing import ZERO_HASH, digest, signed_hash_of, txid_of
from mgsnode.base.transaction import Body, Transaction


def sender_of(name: str) -> bytes:
    """An address for a name."""
    return digest(b"mgs/test", name.encode())


def shape(
    sender: str = "a",
    nonce: int = 0,
    *,
    lane: int = 0,
    size: int = 0,
    valid_until: int = 2**60,
    signer: int = 0,
) -> Transaction:
    """A transaction that nobody signed; `size` bytes longer, another `signer` makes its twin."""
    body = Body(
        ZERO_HASH, sender_of(sender), lane, nonce, valid_until, 1, b"", "dollar_transfer",
        (bytes(size),),
    )  # fmt: skip
    body_bytes = encode(body)
    signatures = ((bytes([signer]) * 32, bytes(64)),)
    raw = encode((body_bytes, signatures))
    return Transaction(raw, signed_hash_of(raw), body_bytes, txid_of(body_bytes), body, signatures)
