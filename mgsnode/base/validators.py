"""Who certifies a height, and how many of them make a quorum.

`f = (n-1)//3`, `quorum = (n+f)//2 + 1`, `weak = f+1`: for every n any two quorums share an
honest member (2Q-n >= f+1) and the honest alone make one (n-f >= Q). Not 2f+1: at n = 6 two
disjoint sets of three would both be "quorums". Source: docs/consensus; SmartBFT computeQuorum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from mgsnode.base.codec import encode
from mgsnode.base.hashing import valset_hash_of
from mgsnode.base.limits import VALIDATORS_MAX


def faults_of(n: int) -> int:
    """f, the most members of n that may lie without harm."""
    return (n - 1) // 3


def quorum_of(n: int) -> int:
    """Q, the members that decide."""
    return (n + faults_of(n)) // 2 + 1


def weak_of(n: int) -> int:
    """f + 1: at least one of them is honest."""
    return faults_of(n) + 1


for _n in range(4, VALIDATORS_MAX + 1):
    assert 2 * quorum_of(_n) - _n >= faults_of(_n) + 1
    assert _n - faults_of(_n) >= quorum_of(_n)


def bitmap_of(indices: Iterable[int], n: int) -> bytes:
    """Members as bits: member i of n is bit i%8 (value 1 << i%8) of byte i//8."""
    bitmap = bytearray((n + 7) // 8)
    for index in indices:
        bitmap[index // 8] |= 1 << index % 8
    return bytes(bitmap)


def indices_of(bitmap: bytes) -> list[int]:
    """The members whose bits are set, rising."""
    return [
        byte * 8 + bit for byte, value in enumerate(bitmap) for bit in range(8) if value >> bit & 1
    ]


def is_bitmap(bitmap: bytes, n: int) -> bool:
    """Whether `bitmap` has the length for n members and names none beyond them."""
    return len(bitmap) == (n + 7) // 8 and int.from_bytes(bitmap, "little") >> n == 0


class Validator(NamedTuple):
    """A member: the gateway's name and its vote key (32 bytes)."""

    gateway: str
    public_key: bytes


class ValidatorSet:
    """The members of one era, in order; a member's index is its place.

    Always: 1 to `VALIDATORS_MAX` members, names and keys distinct.
    """

    def __init__(self, members: Sequence[Validator]) -> None:
        if not 1 <= len(members) <= VALIDATORS_MAX:
            raise ValueError(f"a validator set has 1 to {VALIDATORS_MAX} members")
        if len({m.gateway for m in members}) != len(members):
            raise ValueError("a gateway stands twice in a validator set")
        if len({m.public_key for m in members}) != len(members):
            raise ValueError("a vote key stands twice in a validator set")
        self.members = tuple(members)
        self.n = len(members)
        self.f = faults_of(self.n)
        self.quorum = quorum_of(self.n)
        self.weak = weak_of(self.n)

    @cached_property
    def hash(self) -> bytes:
        """What `valset_hash` in a header names."""
        return valset_hash_of(encode(self.members))

    def primary(self, view: int) -> int:
        """The index of the member that proposes in `view`."""
        return view % self.n

    @cached_property
    def _index_of(self) -> dict[bytes, int]:
        return {member.public_key: index for index, member in enumerate(self.members)}

    def index_of(self, public_key: bytes) -> int | None:
        """The member's index with this vote key, or None."""
        return self._index_of.get(public_key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValidatorSet) and self.members == other.members

    def __hash__(self) -> int:
        return hash(self.hash)
