"""Words and paths: BIP-39 sentences to Ed25519 seeds by SLIP-0010.

Ed25519 has hardened children only, so a child's key tells nothing about its siblings.
Sources: BIP-39, SLIP-0010 (its test vectors stand in the tests), BIP-44 for the path's shape.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from mnemonic import Mnemonic

from mgsnode.base.errors import Malformed

COIN_TYPE = 0x4D4753  # "MGS" in ASCII; not registered in SLIP-0044
WORDS = 24
_HARDENED = 2**31
_DEPTH_MAX = 10
_STRENGTH_BITS = 256
_PATH = re.compile(r"m(/[0-9]{1,10}')*")


def default_path(index: int = 0) -> str:
    """The path of a person's `index`-th account."""
    return f"m/44'/{COIN_TYPE}'/{index}'"


def new_words() -> str:
    """24 fresh English BIP-39 words (256 bits from the system's randomness)."""
    return str(Mnemonic("english").to_mnemonic(secrets.token_bytes(_STRENGTH_BITS // 8)))


def seed_of_words(words: str, *, passphrase: str = "") -> bytes:
    """The 64-byte BIP-39 seed of an English sentence, else `Malformed` (spelling, checksum)."""
    sentence = " ".join(words.lower().split())
    if not Mnemonic("english").check(sentence):
        raise Malformed("these are not BIP-39 words, or one of them is wrong")
    return bytes(Mnemonic.to_seed(sentence, passphrase))


def derive_seed(master: bytes, path: str) -> bytes:
    """The 32-byte Ed25519 seed at `path` ("m/44'/…'"), else `Malformed`."""
    node = hmac.digest(b"ed25519 seed", master, hashlib.sha512)
    for index in _indices(path):
        data = b"\x00" + node[:32] + (index + _HARDENED).to_bytes(4, "big")
        node = hmac.digest(node[32:], data, hashlib.sha512)
    return node[:32]


def _indices(path: str) -> list[int]:
    if not _PATH.fullmatch(path):
        raise Malformed("a path reads m/44'/0'/…, every step hardened")
    indices = [int(step[:-1]) for step in path.split("/")[1:]]
    if len(indices) > _DEPTH_MAX or any(index >= _HARDENED for index in indices):
        raise Malformed("a path's step is below 2^31, and it has at most ten")
    return indices
