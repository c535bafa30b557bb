"""What peers are answered from: decided blocks, bodies, waiting transactions, snapshots.

Bytes as they stand here, or nothing. Who asks is not known and believes none of it; what may be
asked how often is the exchange's business. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgsnode.exchange import Certified
from mgsnode.keeper import Keeper
from mgsnode.mempool import Mempool
from state.chain import read_height_of
from state.ledger import Ledger
from state.snapshot import Item


class Answers:
    """Implements `mgsnode.exchange.Source`."""

    def __init__(
        self,
        ledger: Ledger,
        mempool: Mempool,
        *,
        body_of: Callable[[bytes], bytes | None],
        keeper: Callable[[], Keeper],
    ) -> None:
        """`body_of` gives what is being voted on; both are asked only when a peer asks."""
        self._ledger = ledger
        self._mempool = mempool
        self._body_of = body_of
        self._keeper = keeper

    def certified(self, height: int) -> Certified | None:
        """A decided block and its certificate."""
        stored = self._ledger.stored_block(height)
        certificate = self._ledger.certificate_bytes(height)
        if stored is None or certificate is None:
            return None
        return Certified(stored[1], certificate)

    def body(self, block_hash: bytes) -> bytes | None:
        """The encoded block with this hash, being voted on or decided."""
        held = self._body_of(block_hash)
        if held is not None:
            return held
        with self._ledger.view() as view:
            height = read_height_of(view.rows, block_hash)
        stored = None if height is None else self._ledger.stored_block(height)
        return None if stored is None else stored[1]

    def raw_transaction(self, signed_hash: bytes) -> bytes | None:
        """A waiting transaction."""
        tx = self._mempool.by_signed_hash(signed_hash)
        return None if tx is None else tx.raw

    def snapshot_heights(self) -> Sequence[int]:
        """The heights of whole snapshots here."""
        return self._keeper().heights()

    def snapshot_item(self, height: int, item: Item) -> bytes | None:
        """An item of one of them."""
        return self._keeper().item(height, item)
