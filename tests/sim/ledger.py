"""A small ledger for simulations: real headers, real bodies, a state root that is a hash chain.

It keeps the promises of the real one: execution is a function of the parent and the body, a
block is refused with a reason, nothing is committed but what was checked. A transaction is any
bytes; `b"era:k"` changes the validator set from the k-1st to the kth of the chain's list.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Certificate,
    Header,
    encode_block,
    hash_header,
    open_block,
    txs_root,
)
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import ZERO_HASH, genesis_hash_of, signed_hash_of
from mgsnode.base.validators import ValidatorSet

ERA_TX = b"era:"
GENESIS_MS = 1_700_000_000_000  # wall time at virtual time 0


class Chain(NamedTuple):
    """What every node of a chain knows from the start."""

    sets: tuple[ValidatorSet, ...]  # of era 0, 1, 2, …

    @property
    def genesis_hash(self) -> bytes:
        """Names the chain."""
        return genesis_hash_of(self.sets[0].hash)

    def block_0(self) -> Header:
        """The genesis block's header."""
        members = self.sets[0].hash
        return Header(
            PROTOCOL_VERSION, self.genesis_hash, 0, 0, ZERO_HASH, GENESIS_MS,
            ZERO_HASH, ZERO_HASH, ZERO_HASH, members, members,
        )  # fmt: skip

    def execute(self, parent: Header, block: Block) -> Header:
        """The header that a body gives on top of `parent`."""
        return execute(self, parent, block.txs, block.header.timestamp_ms)

    def commit(self, stored: Stored) -> None:
        """A height is decided; nothing is kept here."""

    def broken_laws(self) -> list[str]:
        """A chain of opaque bytes has none."""
        return []


class Stored(NamedTuple):
    """A decided height."""

    header: Header
    hash: bytes
    body: bytes  # encode_block
    certificate: Certificate | None


def execute(chain: Chain, parent: Header, txs: Sequence[bytes], timestamp_ms: int) -> Header:
    """The header that these transactions give on top of `parent`."""
    era = parent.era + (parent.next_valset_hash != parent.valset_hash)
    changes = ERA_TX + b"%d" % (era + 1) in txs and era + 1 < len(chain.sets)
    state = blake2b(parent.state_root, digest_size=32)
    for tx in txs:
        state.update(b"%d," % len(tx) + tx)
    hashes = [signed_hash_of(tx) for tx in txs]
    return Header(
        version=PROTOCOL_VERSION,
        genesis_hash=chain.genesis_hash,
        era=era,
        height=parent.height + 1,
        parent_hash=hash_header(parent),
        timestamp_ms=timestamp_ms,
        txs_root=txs_root(hashes),
        receipts_root=blake2b(b"".join(hashes), digest_size=32).digest(),
        state_root=state.digest(),
        valset_hash=chain.sets[era].hash,
        next_valset_hash=chain.sets[era + 1].hash if changes else chain.sets[era].hash,
    )


class ToyLedger:
    """One node's chain, with the blocks that were executed on top of its head."""

    def __init__(self, chain: Chain, blocks: list[Stored] | None = None) -> None:
        """`blocks` is what the disk holds; it is shared, so appending to it is durable."""
        header = chain.block_0()
        self.chain = chain
        self.blocks = blocks if blocks is not None else []
        if not self.blocks:
            self.blocks.append(Stored(header, hash_header(header), b"", None))
        self._drafts: dict[bytes, Stored] = {}

    @property
    def head(self) -> Stored:
        """The last decided height."""
        return self.blocks[-1]

    @property
    def height(self) -> int:
        """Its number."""
        return len(self.blocks) - 1

    @property
    def era(self) -> int:
        """The era of the next height."""
        header = self.head.header
        return header.era + (header.next_valset_hash != header.valset_hash)

    @property
    def members(self) -> ValidatorSet:
        """Who decides the next height."""
        return self.chain.sets[self.era]

    @property
    def before(self) -> ValidatorSet | None:
        """Who decided in the era before."""
        return self.chain.sets[self.era - 1] if self.era else None

    def body(self, block_hash: bytes) -> bytes | None:
        """A body that was checked here, decided or not."""
        draft = self._drafts.get(block_hash)
        if draft is not None:
            return draft.body
        return next((b.body for b in self.blocks[-4:] if b.hash == block_hash and b.body), None)

    def build(self, txs: Sequence[bytes], wall_ms: int) -> tuple[bytes, Block]:
        """(hash, block) on top of the head."""
        parent = self.head.header
        header = execute(self.chain, parent, txs, max(wall_ms, parent.timestamp_ms + 1))
        return hash_header(header), Block(header, tuple(txs))

    def check(self, body: bytes) -> str | None:
        """Why this body cannot follow the head; None keeps it for `commit`."""
        try:
            block = open_block(body)
        except Malformed as error:
            return error.why
        header = block.header
        if header.parent_hash != self.head.hash:
            return "another parent"
        if header != execute(self.chain, self.head.header, block.txs, header.timestamp_ms):
            return "execution gives another header"
        block_hash = hash_header(header)
        self._drafts[block_hash] = Stored(header, block_hash, body, None)
        return None

    def commit(self, block_hash: bytes, certificate: Certificate) -> Stored:
        """Makes a checked block the head."""
        stored = self._drafts[block_hash]._replace(certificate=certificate)
        self.blocks.append(stored)
        self._drafts.clear()
        return stored


def body_of(block: Block) -> bytes:
    """The encoded block."""
    return encode_block(block)
