"""Counting members, never messages: one vote for each member and place, the first one.

A second, different vote of a member for the same place is evidence and changes nothing.
Rules R1, R4 (cases 2, 13).
"""

from __future__ import annotations

from consensus.messages import Signatures
from mgsnode.base.validators import bitmap_of


class Tally:
    """The votes of one (era, view, height, kind)."""

    __slots__ = ("_votes",)

    def __init__(self) -> None:
        self._votes: dict[int, tuple[bytes, bytes]] = {}  # index -> (hash, signature)

    def add(self, index: int, block_hash: bytes, signature: bytes) -> tuple[bytes, bytes] | None:
        """Counts a member's first vote. Answers the first (hash, signature) where it differs."""
        first = self._votes.setdefault(index, (block_hash, signature))
        return first if first[0] != block_hash else None

    def forget(self, index: int) -> None:
        """Takes a member's vote out."""
        self._votes.pop(index, None)

    def __len__(self) -> int:
        return len(self._votes)

    def signatures(self, block_hash: bytes) -> dict[int, bytes]:
        """{index: signature} of those who voted for this hash."""
        return {i: sig for i, (voted, sig) in sorted(self._votes.items()) if voted == block_hash}

    def count(self, block_hash: bytes) -> int:
        """How many distinct members voted for this hash."""
        return sum(voted == block_hash for voted, _ in self._votes.values())

    def quorum_hash(self, quorum: int) -> bytes | None:
        """The hash that a quorum voted for, or None."""
        hashes = {voted for voted, _ in self._votes.values()}
        return next((h for h in sorted(hashes) if self.count(h) >= quorum), None)

    def bitmap(self, n: int) -> bytes:
        """Which members of n have voted."""
        return bitmap_of(self._votes, n)

    def __contains__(self, index: int) -> bool:
        return index in self._votes


def to_signatures(by_index: dict[int, bytes], n: int) -> Signatures:
    """A certificate's part from {index: signature}."""
    return Signatures(bitmap_of(by_index, n), tuple(by_index[i] for i in sorted(by_index)))
