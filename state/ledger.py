"""The ledger's front: what is true, block by block.

It executes proposals on drafts that it keeps under their block's hash, and makes one of them
true in a single synced batch when the block is final. Nothing is written before that. Methods
are called from one thread; a `View` may be read from others. There is no clock in here: times
are given. Signatures of transactions are the caller's business, certificates it checks where it
is handed a block to catch up with.

A bug met while executing becomes an answer in `_guarded` and nowhere else (failures.md, 69).
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Certificate,
    Header,
    Receipt,
    check_certificate,
    hash_header,
    receipts_root,
    txs_root,
)
from mgsnode.base.errors import ConfigError, Corrupt, Malformed, MgsError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.limits import BLOCK_BYTES_MAX, BLOCK_TXS_MAX
from mgsnode.base.transaction import BAD_NONCE, UNKNOWN_KIND, Transaction, open_transaction
from mgsnode.base.validators import ValidatorSet
from state import chain
from state.context import Params, Version, version_of
from state.draft import Changes, Draft, Reader, RecordCache, StateReader
from state.execute import BlockRun, Outcome, apply_carried, apply_genesis, check_envelope
from state.registry import Registry, standard_registry
from state.restore import Read, carry_rows
from state.store import Store, StoreStats
from state.trie import NodeCache, NodeReader, Nodes, check_top, over, stored, update
from state.tx.accounts import account_of, next_nonce
from state.tx.gateways import GATEWAY, Gateway, close_era, era_validators
from state.view import LawResult, View, check_laws

T = TypeVar("T")
_NEWS_MAX: Final = 16  # blocks that the door has not heard of yet


class Head(NamedTuple):
    """The last final block."""

    header: Header
    hash: bytes
    validators: ValidatorSet  # who certify the next height


class Skipped(NamedTuple):
    """A transaction that `build` left out. No refusal: it broke the ledger; see `Built.bugs`."""

    txid: bytes
    refusal: Rejected | None


class Built(NamedTuple):
    """A block of ours, executed and kept."""

    block: Block
    included: tuple[Transaction, ...]
    skipped: tuple[Skipped, ...]
    bugs: tuple[str, ...]  # tracebacks, for the log


class Committed(NamedTuple):
    """What became final. `receipts[i]` belongs to transaction i; due work's stand after them."""

    block: Block
    receipts: tuple[Receipt, ...]
    hash: bytes


class _Kept(NamedTuple):
    """An executed block that is not final."""

    block: Block
    hash: bytes
    draft: Draft
    changes: Changes
    nodes: Nodes
    outcome: Outcome
    txids: tuple[bytes, ...]
    validators: ValidatorSet  # of the next height


class _Bug(NamedTuple):
    """An exception that no rule explains."""

    text: str


class _NoRows:
    """The store before there is one."""

    def get(self, _key: bytes) -> bytes | None:
        return None

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def _guarded(work: Callable[[], T]) -> T | _Bug:
    """`work()`, or the bug it met. What has a name, and what means a broken machine, goes on."""
    try:
        return work()
    except (MgsError, OSError, MemoryError, RecursionError):
        raise
    except Exception:  # the one place (case 69)
        return _Bug(traceback.format_exc())


class _Door:
    """Records at the head for judging at the door, beside the ledger's thread.

    `learn` is called by the thread that commits, `open` by the one that admits; between them
    stands a queue, so that each touches a cache of its own. What is read a moment too early or
    too late is advice gone stale: execution judges again.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._defaults = registry.defaults
        self._news: deque[list[tuple[bytes, Any]]] = deque()
        self._missed = False
        self._forget()

    def _forget(self) -> None:
        self._records = RecordCache(self._store)
        self.params = Params(self._records, self._defaults)

    def learn(self, draft: Draft) -> None:
        """A block's draft has just been committed."""
        if len(self._news) >= _NEWS_MAX:
            self._missed = True  # nobody stands at the door: it starts anew
            self._news.clear()
        self._news.append(list(draft.news()))  # not what it read: that can be much

    def open(self) -> Reader:
        """The records as far as they have been committed."""
        if self._missed:
            self._missed = False
            self._news.clear()
            self._forget()
        if self._news:
            for _ in range(_NEWS_MAX):
                try:
                    news = self._news.popleft()
                except IndexError:  # `learn` may clear the queue at any moment
                    break
                self._records.take(news)
            self.params = Params(self._records, self._defaults)
        return self._records


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
        self._door = _Door(store, registry)
        self._kept: dict[bytes, _Kept] = {}
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
        if genesis.carried:
            if carried is None:
                raise ConfigError("this genesis takes over a state: its snapshot is needed")
            with Store.create(path) as store:
                carry_rows(store, genesis, carried)
                draft = Draft(StateReader(store))
                apply_carried(registry, draft, genesis)
                _begin(store, genesis, draft.changes())
        else:
            draft = Draft(StateReader(_NoRows()))
            apply_genesis(registry, draft, genesis)
            with Store.create(path) as store:
                _begin(store, genesis, draft.changes())
        return cls.open(path, genesis, registry)

    @classmethod
    def open(cls, path: Path, genesis: Genesis, registry: Registry | None = None) -> Ledger:
        """The ledger in `path`. Raises `ConfigError` (none, another chain), `Locked`, `Corrupt`."""
        store = Store.open(path)
        try:
            header, _ = chain.read_head(store)
            if header.genesis_hash != genesis.hash:
                raise ConfigError(f"the store in {path} holds another chain than the genesis")
            if check_top(stored(store)) != header.state_root:
                raise Corrupt(f"height {header.height}: the state's root is not the header's")
            return cls(store, genesis, registry or standard_registry(), header)
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
        era = _era_after(header)
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
        era = _era_after(self.head.header)
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
        parent, reader = self._parent(parent_hash)
        if timestamp_ms <= parent.header.timestamp_ms:
            raise ValueError("a block is later than its parent")
        offered = list(txs)
        built = _guarded(lambda: self._build(parent, reader, offered, timestamp_ms))
        if isinstance(built, _Bug):  # in what they left together: asked of each, it has a culprit
            return self._build(parent, reader, offered, timestamp_ms, is_wary=True)
        return built

    def _build(
        self,
        parent: Head,
        reader: Reader,
        txs: Sequence[Transaction],
        timestamp_ms: int,
        *,
        is_wary: bool = False,
    ) -> Built:
        """`is_wary`: a transaction that leaves what cannot be written is left out as a bug is."""
        draft = Draft(reader)
        height = parent.header.height + 1
        run = BlockRun(
            self.registry,
            draft,
            height=height,
            time_ms=timestamp_ms,
            parent_root=parent.header.state_root,
            is_wary=is_wary,
        )
        included: list[Transaction] = []
        skipped: list[Skipped] = []
        bugs: list[str] = []
        size = _BLOCK_OVERHEAD
        for tx in txs:
            if len(included) == BLOCK_TXS_MAX:
                break
            if size + len(tx.raw) + _TX_OVERHEAD > BLOCK_BYTES_MAX:
                break
            try:
                receipt = _guarded(lambda tx=tx: run.apply(tx))  # type: ignore[misc]
            except Rejected as refusal:
                skipped.append(Skipped(tx.txid, refusal))
                continue
            if isinstance(receipt, _Bug):
                run.undo()
                skipped.append(Skipped(tx.txid, None))
                bugs.append(receipt.text)
                continue
            size += len(tx.raw) + _TX_OVERHEAD
            included.append(tx)
        body_root = txs_root([tx.signed_hash for tx in included])
        kept = self._close(parent, draft, run.finish(), included, timestamp_ms, body_root)
        self._kept[kept.hash] = kept
        return Built(kept.block, tuple(included), tuple(skipped), tuple(bugs))

    def check(self, block: Block, txs: Sequence[Transaction]) -> str | None:
        """Why `block` does not follow from its parent by the rules; None if it does.

        `txs` are its transactions, opened by `open_tx`. A good one is kept under its hash.
        """
        header = block.header
        block_hash = hash_header(header)
        if block_hash in self._kept:
            return None
        try:
            parent, reader = self._parent(header.parent_hash)
        except LookupError:
            return "its parent is not the head and not kept"
        why = self._check_header(header, parent) or _check_body(block, txs)
        if why is not None:
            return why
        made = _guarded(lambda: self._execute(header, parent, reader, txs))
        if isinstance(made, _Bug):
            return "it breaks the ledger: " + made.text
        if isinstance(made, str):
            return made
        for name, ours, theirs in zip(Header._fields, made.block.header, header, strict=True):
            if ours != theirs:
                return f"its {name} is not what execution gives"
        self._kept[block_hash] = made
        return None

    def _execute(
        self, header: Header, parent: Head, reader: Reader, txs: Sequence[Transaction]
    ) -> _Kept | str:
        draft = Draft(reader)
        run = BlockRun(
            self.registry,
            draft,
            height=header.height,
            time_ms=header.timestamp_ms,
            parent_root=parent.header.state_root,
        )
        for index, tx in enumerate(txs):
            try:
                run.apply(tx)
            except Rejected as refusal:
                return f"its transaction {index} may not enter a block: {refusal.name}"
        outcome = run.finish()
        # `_check_body` has compared the header's txs_root with the transactions.
        return self._close(parent, draft, outcome, txs, header.timestamp_ms, header.txs_root)

    def _check_header(self, header: Header, parent: Head) -> str | None:
        before = parent.header
        expected = (
            ("version", header.version, PROTOCOL_VERSION),
            ("genesis_hash", header.genesis_hash, self.genesis_hash),
            ("height", header.height, before.height + 1),
            ("era", header.era, _era_after(before)),
            ("valset_hash", header.valset_hash, parent.validators.hash),
        )
        for name, given, wanted in expected:
            if given != wanted:
                return f"its {name} does not follow from its parent"
        if header.timestamp_ms <= before.timestamp_ms:
            return "its timestamp_ms is not later than its parent's"
        return None

    def _parent(self, parent_hash: bytes) -> tuple[Head, Reader]:
        """The block to build on, and its state."""
        if parent_hash == self.head.hash:
            return self.head, self._reader
        kept = self._kept.get(parent_hash)
        if kept is None:
            raise LookupError("the parent is not the head and not kept")
        return Head(kept.block.header, kept.hash, kept.validators), kept.draft

    def _nodes(self, block_hash: bytes) -> NodeReader:
        """The trie as it is after the head or a kept block."""
        kept = self._kept.get(block_hash)
        if kept is None:
            return self._cache.read
        return over(kept.nodes, self._nodes(kept.block.header.parent_hash))

    def _close(
        self,
        parent: Head,
        draft: Draft,
        outcome: Outcome,
        txs: Sequence[Transaction],
        timestamp_ms: int,
        body_root: bytes,
    ) -> _Kept:
        """An executed block with its validators, roots and header; `body_root` is its txs_root."""
        before = parent.header
        era, height = _era_after(before), before.height + 1
        changes = draft.changes()
        validators = parent.validators
        if any(key.startswith(GATEWAY.prefix) for key, _ in changes):
            validators = close_era(draft, parent.validators, era=era, height=height)
            changes = draft.changes()
        root, nodes = update(self._nodes(parent.hash), changes)
        header = Header(
            version=PROTOCOL_VERSION,
            genesis_hash=self.genesis_hash,
            era=era,
            height=height,
            parent_hash=parent.hash,
            timestamp_ms=timestamp_ms,
            txs_root=body_root,
            receipts_root=receipts_root(outcome.encoded),
            state_root=root,
            valset_hash=parent.validators.hash,
            next_valset_hash=validators.hash,
        )
        block = Block(header, tuple(tx.raw for tx in txs))
        return _Kept(
            block=block,
            hash=hash_header(header),
            draft=draft,
            changes=changes,
            nodes=nodes,
            outcome=outcome,
            txids=tuple(tx.txid for tx in txs),
            validators=validators,
        )

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
        why = self._check_header(header, self.head) or _check_body(block, txs)
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


_TX_OVERHEAD: Final = 5  # msgpack's header of a transaction's bytes
_BLOCK_OVERHEAD: Final = 600  # a header and the headers around it


def _begin(store: Store, genesis: Genesis, changes: Changes) -> None:
    """Block 0, and what its state changes in that of the store."""
    root, nodes = update(stored(store), changes)
    members = genesis.validators().hash
    header = Header(
        version=PROTOCOL_VERSION,
        genesis_hash=genesis.hash,
        era=0,
        height=0,
        parent_hash=ZERO_HASH,
        timestamp_ms=genesis.time_ms,
        txs_root=txs_root([]),
        receipts_root=receipts_root([]),
        state_root=root,
        valset_hash=members,
        next_valset_hash=members,
    )
    with store.batch() as batch:
        chain.write_block(
            batch,
            Block(header, ()),
            hash_header(header),
            certificate=None,
            receipts=(),
            txids=(),
            history=(),
            listed=(),
        )
        chain.write_state(batch, changes, nodes)


def _era_after(header: Header) -> int:
    """The era of the next height: a barrier block ends its own."""
    return header.era + (header.valset_hash != header.next_valset_hash)


def _check_body(block: Block, txs: Sequence[Transaction]) -> str | None:
    if len(txs) > BLOCK_TXS_MAX:
        return "it has too many transactions"
    if sum(len(tx.raw) + _TX_OVERHEAD for tx in txs) + _BLOCK_OVERHEAD > BLOCK_BYTES_MAX:
        return "it has too many bytes"
    if txs_root([tx.signed_hash for tx in txs]) != block.header.txs_root:
        return "its transactions do not fit its txs_root"
    if tuple(tx.raw for tx in txs) != block.txs:
        return "its transactions are not those it was opened with"
    return None
