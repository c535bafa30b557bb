"""The ledger's front: what is true, block by block.

It keeps candidates under their block's hash, and makes one of them true in a single synced batch
when the block is final. Nothing is written before that. Methods are called from one thread; a
`View` may be read from others, and the door's methods are called by one other. There is no clock
in here: times are given. Signatures of transactions are the caller's business, certificates it
checks where it is handed a block to catch up with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mgsnode.base.block import (
    Block,
    Certificate,
    Header,
    Receipt,
    check_certificate,
    hash_header,
)
from mgsnode.base.errors import ConfigError, Corrupt, Malformed, MgsError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import BAD_NONCE, UNKNOWN_KIND, Transaction, open_transaction
from mgsnode.base.validators import ValidatorSet
from state import chain
from state.candidate import (
    Built,
    Candidate,
    Head,
    Parent,
    build_candidate,
    check_body,
    check_candidate,
    check_header,
    era_after,
)
from state.context import Version, version_of
from state.door import Door
from state.draft import RecordCache
from state.execute import check_envelope
from state.genesis import create_store
from state.layout import open_store
from state.registry import Registry, standard_registry
from state.restore import Read
from state.store import Store, StoreStats
from state.trie import NodeCache, NodeReader, check_top, over, stored
from state.tx.accounts import account_of, next_nonce
from state.tx.gateways import GATEWAY, Gateway, era_validators
from state.view import LawResult, View, check_laws


class Committed(NamedTuple):
    """What became final. `receipts[i]` belongs to transaction i; due work's stand after them."""

    block: Block
    receipts: tuple[Receipt, ...]
    hash: bytes


class Ledger:
    """The chain in a store, and what may come next. See the module's law."""

    def __init__(self, store: Store, genesis: Genesis, registry: Registry, header: Header) -> None:
        """For `create` and `open`; `header` is the head's."""
        self.genesis = genesis
        self.genesis_hash = genesis.hash
        self.hrp = genesis.hrp
        self.registry = registry
        self._store = store
        self._cache = NodeCache(store)
        self._reader = RecordCache(store)  # of the ledger's thread
        self._door = Door(store, registry)
        self._kept: dict[bytes, Candidate] = {}
        self._eras: dict[int, ValidatorSet] = {}
        self.head = Head(header, hash_header(header), self._next_validators(header))

    # Opening ------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        genesis: Genesis,
        registry: Registry | None = None,
        *,
        carried: Read | None = None,
    ) -> Ledger:
        """A new store in `path` that holds block 0. `ConfigError` if the genesis cannot be.

        `carried` gives the items of the snapshot whose state the genesis takes over, if it does;
        `Malformed` where one is not what it names. What was written until then is no store.
        """
        registry = registry or standard_registry()
        create_store(path, genesis, registry, carried=carried)
        return cls.open(path, genesis, registry)

    @classmethod
    def open(cls, path: Path, genesis: Genesis, registry: Registry | None = None) -> Ledger:
        """The ledger in `path`. Raises `ConfigError` (none, another chain, another layout of rows),
        `Locked`, `Corrupt`.
        """
        registry = registry or standard_registry()
        store = open_store(path, registry)
        try:
            header, _ = chain.read_head(store)
            if header.genesis_hash != genesis.hash:
                raise ConfigError(f"the store in {path} holds another chain than the genesis")
            if check_top(stored(store)) != header.state_root:
                raise Corrupt(f"height {header.height}: the state's root is not the header's")
            return cls(store, genesis, registry, header)
        except MgsError:
            store.close()
            raise

    def close(self) -> None:
        """Let go of the store, as soon as the last view is closed."""
        self._store.close()

    def wait_closed(self, timeout_s: float) -> bool:
        """After `close`: wait for the last view; whether the store was let go of."""
        return self._store.wait_closed(timeout_s)

    def _next_validators(self, header: Header) -> ValidatorSet:
        era = era_after(header)
        members = era_validators(self._reader, era)
        if members is None or members.hash != header.next_valset_hash:
            raise Corrupt(f"height {header.height}: the validators of era {era}")
        return members

    # Reading ------------------------------------------------------------------------------

    def view(self) -> View:
        """The ledger at its head, frozen; close it soon.

        The rows say which head: a block may be committed by the ledger's thread meanwhile.
        """
        rows = self._store.snapshot()
        header, block_hash, _ = self.head
        if not chain.is_head(rows, header.height, block_hash):
            header, block_hash = chain.read_head(rows)
        return View(rows, self.genesis, self.registry, header, block_hash)

    def validators(self, height: int) -> ValidatorSet:
        """Who certifies `height`, from 0 to the one above the head; `LookupError` above."""
        if height == self.head.header.height + 1:
            return self.head.validators
        header = chain.read_header(self._store, height)
        if header is None:
            raise LookupError(f"height {height} is not decided")
        members = self._eras.get(header.era) or era_validators(self._reader, header.era)
        if members is None or members.hash != header.valset_hash:
            raise Corrupt(f"height {height}: the validators of era {header.era}")
        self._eras[header.era] = members
        return members

    def members_before(self) -> ValidatorSet | None:
        """Who certified in the era before that of the next height; None in the first one."""
        era = era_after(self.head.header)
        return era_validators(self._reader, era - 1) if era else None

    def gateways(self) -> list[tuple[str, Gateway]]:
        """(name, gateway) of each at the head, in the order of their places."""
        rows = self._reader.items(GATEWAY)
        return sorted(rows, key=lambda item: item[1].place)

    def stored_block(self, height: int) -> tuple[Header, bytes, Certificate | None] | None:
        """(header, encoded block, certificate) of a decided height; no certificate at 0."""
        return chain.read_stored(self._store, height)

    def certificate_bytes(self, height: int) -> bytes | None:
        """The encoded certificate of a decided height; None at 0 and above the head."""
        return chain.read_certificate_bytes(self._store, height)

    @property
    def base(self) -> int:
        """The height of the snapshot that this store began with; 0: it holds the whole chain."""
        return chain.read_base(self._store)[0]

    @property
    def store_stats(self) -> StoreStats:
        """What the store has written since it was opened."""
        return self._store.stats

    def laws(self, view: View) -> list[LawResult]:
        """Every family's laws over the whole state of `view`; seconds for a million accounts."""
        return check_laws(view)

    # At the door --------------------------------------------------------------------------

    def open_tx(self, raw: bytes, *, signed_hash: bytes | None = None) -> Transaction:
        """A transaction of this chain whose kind is known and whose fields are well-formed.

        Raises `Malformed` or `Rejected`. Its signatures are not checked.
        """
        tx = open_transaction(raw, self.genesis_hash, signed_hash=signed_hash)
        kind = self.registry.kinds.get(tx.body.kind)
        if kind is None:
            raise Rejected(UNKNOWN_KIND)
        kind.fields.check(tx.body.fields)
        return tx

    def next_version(self) -> Version:
        """The version of the protocol that the next height speaks, and since when."""
        return version_of(self._reader)

    def check_admission(self, tx: Transaction, *, wall_ms: int = 0) -> None:
        """`Rejected` if no block after the head could hold it as things stand.

        A nonce above the next one is fine here: it waits. `wall_ms` is about what the next
        block's time will be: a wallet may have taken its `valid_until` from a node that has
        decided a block more.
        """
        door = self._door.open()
        soonest_ms = self.head.header.timestamp_ms + 1
        check_envelope(
            self.registry, door, self._door.params, tx,
            time_ms=soonest_ms, ahead_ms=max(0, wall_ms - soonest_ms),
        )  # fmt: skip
        body = tx.body
        expected = next_nonce(account_of(door, body.sender), body.lane)
        if body.nonce < expected:
            raise Rejected(BAD_NONCE, next=expected)

    def next_nonce(self, sender: bytes, lane: int) -> int:
        """The next nonce of a lane at the head."""
        return next_nonce(account_of(self._door.open(), sender), lane)

    # Executing ----------------------------------------------------------------------------

    def build(self, parent_hash: bytes, txs: Iterable[Transaction], timestamp_ms: int) -> Built:
        """A block on the head or a kept block, from as many of `txs` as fit, in order.

        Kept under its hash, to be committed or discarded. `LookupError` for an unknown parent,
        `ValueError` unless its time is later than the parent's.
        """
        candidate, built = build_candidate(
            self.registry, self._parent(parent_hash), txs, timestamp_ms
        )
        self._kept[candidate.hash] = candidate
        return built

    def check(self, block: Block, txs: Sequence[Transaction]) -> str | None:
        """Why `block` does not follow from its parent by the rules; None if it does.

        `txs` are its transactions, opened by `open_tx`. A good one is kept under its hash.
        """
        block_hash = hash_header(block.header)
        if block_hash in self._kept:
            return None
        try:
            parent = self._parent(block.header.parent_hash)
        except LookupError:
            return "its parent is not the head and not kept"
        made = check_candidate(self.registry, parent, block, txs)
        if isinstance(made, str):
            return made
        self._kept[block_hash] = made
        return None

    def _parent(self, parent_hash: bytes) -> Parent:
        """The block to build on, and its state."""
        if parent_hash == self.head.hash:
            return Parent(self.head, self._reader, self._cache.read)
        kept = self._kept.get(parent_hash)
        if kept is None:
            raise LookupError("the parent is not the head and not kept")
        head = Head(kept.block.header, kept.hash, kept.validators)
        return Parent(head, kept.draft, self._nodes(parent_hash))

    def _nodes(self, block_hash: bytes) -> NodeReader:
        """The trie as it is after the head or a kept block."""
        kept = self._kept.get(block_hash)
        if kept is None:
            return self._cache.read
        return over(kept.nodes, self._nodes(kept.block.header.parent_hash))

    # Making it true -----------------------------------------------------------------------

    def commit(self, block_hash: bytes, certificate: Certificate) -> Committed:
        """Write a kept block on the head with its certificate, which the caller has checked.

        One synced batch. Kept blocks that do not stand on it are gone. `LookupError` if it is
        not kept or not the next one. A write that fails raises OSError: stop.
        """
        kept = self._kept.get(block_hash)
        if kept is None or kept.block.header.parent_hash != self.head.hash:
            raise LookupError("not a kept block on the head")
        with self._store.batch() as batch:
            chain.write_block(
                batch,
                kept.block,
                block_hash,
                certificate=certificate,
                receipts=kept.outcome.encoded,
                txids=kept.txids,
                history=kept.outcome.history,
                listed=kept.outcome.listed,
            )
            chain.write_state(batch, kept.changes, kept.nodes)
        self._cache.absorb(kept.nodes)
        self._reader.absorb(kept.draft)
        self._door.learn(kept.draft)
        self.head = Head(kept.block.header, block_hash, kept.validators)
        del self._kept[block_hash]
        for other in list(self._kept.values()):
            parent_hash = other.block.header.parent_hash
            if parent_hash == block_hash:
                other.draft.rebase(self._reader)
            elif parent_hash not in self._kept:
                self.discard(other.hash)
        return Committed(kept.block, kept.outcome.receipts, block_hash)

    def apply_certified(
        self, block: Block, txs: Sequence[Transaction], certificate: Certificate
    ) -> Committed:
        """Catch up by one block. `Malformed` if it is not the next one or its certificate is bad
        (the peer's fault), `Corrupt` if its execution differs here (ours: stop).
        """
        header = block.header
        if header.parent_hash != self.head.hash:
            raise Malformed("not the block after the head")
        why = check_header(header, self.head) or check_body(block, txs)
        why = why or check_certificate(certificate, header, self.head.validators)
        if why is not None:
            raise Malformed(why)
        why = self.check(block, txs)
        if why is not None:
            raise Corrupt(f"height {header.height}: a certified block is refused here: {why}")
        return self.commit(hash_header(header), certificate)

    def discard(self, block_hash: bytes) -> None:
        """Forget a kept block and what stands on it; fine if there is none."""
        if self._kept.pop(block_hash, None) is None:
            return
        for other in list(self._kept.values()):
            if other.block.header.parent_hash == block_hash:
                self.discard(other.hash)
