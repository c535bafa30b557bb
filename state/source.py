"""Where an audited chain comes from: a stopped node's store, another node, an archive.

Bytes only, as they were kept; nothing is checked here.
"""

from __future__ import annotations

from typing import Protocol

from mgsnode.base.errors import Corrupt
from state import chain
from state.store import Rows


class Source(Protocol):
    """Where the audited chain comes from: a store, another node, an archive."""

    def head(self) -> int:
        """The height of the last block."""

    def block(self, height: int) -> bytes | None:
        """`encode_block` bytes."""

    def certificate(self, height: int) -> bytes | None:
        """The encoded certificate; None at height 0."""

    def receipts(self, height: int) -> tuple[bytes, ...] | None:
        """The encoded receipts, or None if the source has none to show."""


class StoreSource:
    """The chain in the rows of a store."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def head(self) -> int:
        """As `Source.head`."""
        return chain.read_head(self.rows)[0].height

    def block(self, height: int) -> bytes | None:
        """As `Source.block`."""
        return chain.read_block_bytes(self.rows, height)

    def certificate(self, height: int) -> bytes | None:
        """As `Source.certificate`."""
        return chain.read_certificate_bytes(self.rows, height)

    def receipts(self, height: int) -> tuple[bytes, ...] | None:
        """As `Source.receipts`."""
        encoded = chain.read_receipts_encoded(self.rows, height)
        if encoded is None:
            raise Corrupt(f"height {height}: receipts are missing")
        return encoded
