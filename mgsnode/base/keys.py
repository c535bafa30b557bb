"""Ed25519: signing with OpenSSL (`cryptography`), checking with libsodium (`PyNaCl`).

libsodium's strict rule is the chain's rule on every node: canonical A and R, no small-order
A or R, S < L, cofactorless equation. OpenSSL accepts small-order keys, so it never judges.
Sources: RFC 8032; "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020).
"""

from __future__ import annotations

import secrets
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import BadSignatureError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
SEED_BYTES = 32
_DOMAIN = b"MGS/1"


class Signed(IntEnum):
    """What a signature is for: one byte in front of what is signed. Numbers never change."""

    TX = 1
    PRE_PREPARE = 2
    PREPARE = 3
    COMMIT = 4
    COMPLAIN = 5
    VIEW_CHANGE = 6
    NEW_VIEW = 7
    CHECKPOINT = 8
    STATUS = 9
    POSSESSION = 10  # a key's own consent to be named (a joiner's vote key, an added account key)


def statement(kind: Signed, genesis_hash: bytes, fields: bytes) -> bytes:
    """The bytes that are signed: `"MGS/1" ‖ type ‖ genesis_hash ‖ fields` (canonical bytes)."""
    return b"%b%c%b%b" % (_DOMAIN, kind, genesis_hash, fields)


class SigningKey:
    """A private key. It is never printed, compared or pickled."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's randomness."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; the same message gives the same bytes (RFC 8032)."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled")


def is_signed_by(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether libsodium accepts `signature` on `message`. Any lengths; never raises."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def is_strong_key(public_key: bytes) -> bool:
    """Whether libsodium takes this as a key: canonical, on the curve, in the prime-order group."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    return bool(crypto_core_ed25519_is_valid_point(public_key))
