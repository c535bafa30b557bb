"""From a proposal's hashes to its block: out of the waiting room, the journal, or the peers.

A body is believed because it fits the header's `txs_root`, never because of who sent it; each
of its transactions is opened and its signatures checked, unless the waiting room did so already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from mgsnode.base.block import Block, Header, hash_header, open_block, open_header, txs_root
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import signed_hash_of
from mgsnode.base.transaction import Transaction
from mgsnode.mempool import Mempool
from mgsnode.verifier import Verifier

_GOSSIP_WAIT_S = 0.015  # gossip runs beside the proposal and is a little slower
_SILENCE_S = 0.2  # a full block over 100 Mbit/s needs 0.12 s
_ROUNDS = 3
_SLICE_TXS = 64


class Missing(Exception):
    """Nobody gave it."""


class OpenedBlock(NamedTuple):
    """A block with its transactions opened and their signatures checked."""

    block: Block
    txs: tuple[Transaction, ...]


class Asker(Protocol):
    """The part of `Exchange` that is needed."""

    async def body(self, peer: str, block_hash: bytes) -> bytes | None:
        """The encoded block with this hash."""

    async def transactions(self, peer: str, signed_hashes: Sequence[bytes]) -> list[bytes]:
        """Those that the peer has."""


class Bodies:
    """Finds bodies."""

    def __init__(
        self,
        mempool: Mempool,
        verifier: Verifier,
        asker: Asker,
        open_tx: Callable[[bytes], Transaction],
    ) -> None:
        self._mempool = mempool
        self._verifier = verifier
        self._asker = asker
        self._open_tx = open_tx

    async def open(self, block: Block) -> OpenedBlock:
        """A block whose body is here. `Malformed` or `Rejected` where a transaction is bad."""
        txs: list[Transaction] = []
        fresh: list[Transaction] = []
        for raw in block.txs:
            tx = self._mempool.by_signed_hash(signed_hash_of(raw))
            if tx is None:
                if len(fresh) % _SLICE_TXS == _SLICE_TXS - 1:
                    await asyncio.sleep(0)  # a large block is opened in slices of 2 ms
                tx = self._open_tx(raw)
                fresh.append(tx)
            txs.append(tx)
        if fresh and not all(await self._verifier.check(fresh)):
            raise Malformed("a transaction of the block is wrongly signed")
        return OpenedBlock(block, tuple(txs))

    async def find(
        self, header_bytes: bytes, tx_hashes: tuple[bytes, ...] | None, sources: Sequence[str]
    ) -> OpenedBlock:
        """The block of a proposal. Raises `Missing`, `Malformed` or `Rejected`."""
        header = open_header(header_bytes)
        if tx_hashes is not None and txs_root(tx_hashes) == header.txs_root:
            # A list that does not fit is its sender's fault, never the block's: ask by hash then.
            return await self._gather(header, tx_hashes, sources)
        block_hash = hash_header(header)
        for _ in range(_ROUNDS):
            block = await self._ask_for_body(sources, block_hash)
            if block is not None:
                return await self.open(block)
            await asyncio.sleep(_GOSSIP_WAIT_S)
        raise Missing

    async def _ask_for_body(self, sources: Sequence[str], block_hash: bytes) -> Block | None:
        """The first good answer; whoever keeps silent for a moment is not waited for (case 28)."""
        waiting = deque(sources)
        asking: set[asyncio.Task[Block | None]] = set()
        try:
            while waiting or asking:
                if waiting:
                    question = self._ask_body(waiting.popleft(), block_hash)
                    asking.add(asyncio.ensure_future(question))
                done, asking = await asyncio.wait(
                    asking,
                    timeout=_SILENCE_S if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    block = task.result()
                    if block is not None:
                        return block
            return None
        finally:
            for task in asking:
                task.cancel()

    async def _ask_body(self, peer: str, block_hash: bytes) -> Block | None:
        try:
            raw = await self._asker.body(peer, block_hash)
        except (TimeoutError, Malformed):
            return None
        if raw is None:
            return None
        try:
            block = open_block(raw)
        except Malformed:
            return None  # the fault of the peer that sent it, never of the hash
        return block if hash_header(block.header) == block_hash else None

    async def _gather(
        self, header: Header, tx_hashes: tuple[bytes, ...], sources: Sequence[str]
    ) -> OpenedBlock:
        held = self._mempool.by_signed_hash
        fetched: dict[bytes, bytes] = {}
        for attempt in range(_ROUNDS + 1):
            txs = [held(signed_hash) for signed_hash in tx_hashes]
            known = [tx for tx in txs if tx is not None]
            if len(known) == len(txs):
                return OpenedBlock(Block(header, tuple(tx.raw for tx in known)), tuple(known))
            missing = [
                signed_hash
                for signed_hash, tx in zip(tx_hashes, txs, strict=True)
                if tx is None and signed_hash not in fetched
            ]
            if not missing:
                raws = [
                    tx.raw if tx is not None else fetched[signed_hash]
                    for signed_hash, tx in zip(tx_hashes, txs, strict=True)
                ]
                return await self.open(Block(header, tuple(raws)))
            if attempt:
                for peer in sources:
                    fetched.update(await self._ask_transactions(peer, missing))
            else:
                await asyncio.sleep(_GOSSIP_WAIT_S)
        raise Missing

    async def _ask_transactions(self, peer: str, missing: list[bytes]) -> dict[bytes, bytes]:
        try:
            raws = await self._asker.transactions(peer, missing)
        except (TimeoutError, Malformed):
            return {}
        wanted = set(missing)
        return {h: raw for raw in raws if (h := signed_hash_of(raw)) in wanted}
