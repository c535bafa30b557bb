"""Addresses: the hash of a public key, written in bech32m.

32 bytes in the state, text such as `mgs1…` (main) or `tmgs1…` (test networks) at the edge.
Source: BIP-350 (bech32m), BIP-173 (bech32).
"""

from __future__ import annotations

from functools import reduce
from operator import xor

from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES

HRP_MAIN = "mgs"
HRP_TEST = "tmgs"
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE_OF = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What the five bits that leave the register at the top give back, all five at once.
_FEEDBACK = tuple(
    reduce(xor, (term for bit, term in enumerate(_GENERATOR) if top >> bit & 1), 0)
    for top in range(32)
)
_BECH32M = 0x2BC830A3
_CHECKSUM_CHARS = 6
_TEXT_MAX = 90  # BIP-173


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _FEEDBACK[check >> 25]
    return check


def _expand(hrp: str) -> list[int]:
    return [ord(char) >> 5 for char in hrp] + [0] + [ord(char) & 31 for char in hrp]


def _regroup(data: list[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    accumulator = bits = 0
    out: list[int] = []
    mask = (1 << to_bits) - 1
    for value in data:
        accumulator = accumulator << from_bits | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            out.append(accumulator >> bits & mask)
    if pad and bits:
        out.append(accumulator << (to_bits - bits) & mask)
    elif not pad and (bits >= from_bits or accumulator << (to_bits - bits) & mask):
        raise Malformed("address padding")
    return out


def bech32m_encode(hrp: str, data: bytes) -> str:
    """`data` as bech32m text under `hrp` (lower case)."""
    values = _regroup(list(data), 8, 5, pad=True)
    check = _polymod(_expand(hrp) + values + [0] * _CHECKSUM_CHARS) ^ _BECH32M
    checksum = [check >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_CHARS)]
    return hrp + "1" + "".join(_CHARSET[value] for value in values + checksum)


def bech32m_decode(text: str) -> tuple[str, bytes]:
    """(hrp, data) of bech32m `text`, else `Malformed`. Mixed case is refused, as BIP-173 says."""
    if len(text) > _TEXT_MAX or not text.isascii():
        raise Malformed("not an address")
    if text.lower() != text and text.upper() != text:
        raise Malformed("address in mixed case")
    text = text.lower()
    split = text.rfind("1")
    if split < 1 or split + 1 + _CHECKSUM_CHARS > len(text):
        raise Malformed("not an address")
    hrp = text[:split]
    if any(not 33 <= ord(char) <= 126 for char in hrp):
        raise Malformed("not an address")
    try:
        values = [_VALUE_OF[char] for char in text[split + 1 :]]
    except KeyError:
        raise Malformed("address has a foreign character") from None
    if _polymod(_expand(hrp) + values) != _BECH32M:
        raise Malformed("address checksum")
    return hrp, bytes(_regroup(values[:-_CHECKSUM_CHARS], 5, 8, pad=False))


def address_text(address: bytes, hrp: str) -> str:
    """The text of a 32-byte address on the network whose prefix is `hrp`."""
    assert len(address) == HASH_BYTES
    return bech32m_encode(hrp, address)


def parse_address(text: str, hrp: str) -> bytes:
    """The 32 bytes of an address of this network, else `Malformed`."""
    found, data = bech32m_decode(text)
    if found != hrp:
        raise Malformed(f"an address of another network (expected {hrp}1…)")
    if len(data) != HASH_BYTES:
        raise Malformed("an address has 32 bytes")
    return data
