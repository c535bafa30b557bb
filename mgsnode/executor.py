"""The ledger's work for one node: blocks built, checked and made durable, decided or fetched.

One thread of one worker does it all, so that the ledger has a single caller; what it finds goes
to the replica as events, and the replica is never entered from here. It does not judge: what is
proposed and decided is the replica's business, what holds the ledger's. A block that both of its
ways bring is applied once. What a quorum certified and this node cannot follow ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import structlog

from consensus import effects as fx
from consensus import events as ev
from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Certificate,
    check_certificate,
    encode_block,
    hash_header,
    open_block,
    open_certificate,
)
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed, Rejected
from mgsnode.base.transaction import BAD_NONCE, VALID_TOO_LONG, Transaction
from mgsnode.base.validators import ValidatorSet
from mgsnode.blocksize import BlockSize
from mgsnode.bodies import Bodies, Missing, OpenedBlock
from mgsnode.exchange import Certified
from mgsnode.mempool import Mempool
from mgsnode.worksignal import WorkSignal
from state.candidate import Built
from state.chain import header_of
from state.context import Version
from state.ledger import Committed, Ledger

T = TypeVar("T")
_log = structlog.get_logger("mgsnode.executor")
_LATER = frozenset({BAD_NONCE[0], VALID_TOO_LONG[0]})  # a later block may hold it
_AHEAD_MAX = 4  # fetched blocks that are opened before their turn
_OPENED_MAX = 8  # blocks whose opened transactions are kept until they are decided or given up


class _Done(NamedTuple):
    """What was made durable, who decides the height after it, and in which protocol."""

    committed: Committed
    members: ValidatorSet
    version: Version


class Outdated(ConfigError):
    """The chain speaks a version of the protocol that this program does not know (case 71)."""


def outdated(version: Version) -> str:
    """What the operator is told."""
    return (
        f"from height {version.first_height} on the chain speaks protocol {version.version}, this "
        f"program knows {PROTOCOL_VERSION}: install the new one and start again"
    )


class Halted(Corrupt):
    """More than f members lied, or our ledger differs from a quorum's: never choose, stop."""


class BlockExecutor:
    """See the module's law. Methods are called from the event loop."""

    def __init__(
        self,
        ledger: Ledger,
        mempool: Mempool,
        bodies: Bodies,
        *,
        signal: WorkSignal,
        size: BlockSize,
        now: Callable[[], ev.Now],
        post: Callable[[ev.Event], None],
        body_of: Callable[[bytes], bytes | None],
        on_committed: Callable[[Committed, tuple[Transaction, ...]], None],
        on_quarantine: Callable[[bytes], None],
    ) -> None:
        """`body_of(block_hash)` is the encoded block of a proposal that the replica holds."""
        self._ledger = ledger
        self._mempool = mempool
        self._bodies = bodies
        self._signal = signal
        self._size = size
        self._now = now
        self._post = post
        self._body_of = body_of
        self._on_committed = on_committed
        self._on_quarantine = on_quarantine
        self._room = asyncio.Event()  # set while there is room on the disk
        self._room.set()
        self._opened: dict[bytes, OpenedBlock] = {}
        self._ahead: dict[bytes, asyncio.Task[OpenedBlock]] = {}  # by the block's bytes
        self._checks: dict[bytes, fx.CheckBlock] = {}  # under way, the last of each hash
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def allow_writes(self, is_room: bool) -> None:
        """Whether there is room on the disk; while there is none no block is made durable."""
        if is_room:
            self._room.set()
        else:
            self._room.clear()

    def tasks(self) -> tuple[asyncio.Task[OpenedBlock], ...]:
        """What was begun ahead of its turn, to be cancelled when the node ends."""
        return tuple(self._ahead.values())

    def close(self) -> None:
        """Waits until the thread has done its last work."""
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # Building

    async def build(self, effect: fx.BuildBlock) -> None:
        """A block of what waits; answers `BlockBuilt` or `NothingBuilt`."""
        self._size.asked(self._now().mono_ms)
        self._signal.picking()
        txs = self._mempool.pick(txs_max=self._size.txs)
        if not txs and not effect.empty:
            self._nothing_built(effect)
            return
        wall_ms = self._now().wall_ms

        def work() -> tuple[Built, bytes, bytes] | None:
            head = self._ledger.head
            if head.hash != effect.parent:
                return None
            stamp = max(wall_ms, head.header.timestamp_ms + 1)
            built = self._ledger.build(effect.parent, txs, stamp)
            return built, encode(built.block.header), encode_block(built.block)

        made = await self._in_thread(work)
        if made is None:
            self._nothing_built(effect)
            return
        built, header, body = made
        block_hash = hash_header(built.block.header)
        self._set_aside(built)
        if not built.included and not effect.empty:
            await self._in_thread(lambda: self._ledger.discard(block_hash))
            self._nothing_built(effect)
            return
        self._keep_opened(block_hash, OpenedBlock(built.block, built.included))
        hashes = tuple(tx.signed_hash for tx in built.included)
        self._post(ev.BlockBuilt(effect.view, effect.height, block_hash, header, body, hashes))

    def _nothing_built(self, effect: fx.BuildBlock) -> None:
        self._size.given_up()
        self._post(ev.NothingBuilt(effect.view, effect.height))
        self._signal.nothing_built()

    def _set_aside(self, built: Built) -> None:
        """Takes out of the waiting room what no block can hold; a bug's cause goes aside."""
        for skipped in built.skipped:
            if skipped.refusal is None:
                self._on_quarantine(skipped.txid)
            if skipped.refusal is None or skipped.refusal.code not in _LATER:
                self._mempool.discard(skipped.txid)
        for text in built.bugs:
            _log.error("a transaction broke the ledger; it is set aside", traceback=text)

    # Checking

    def check(self, effect: fx.CheckBlock, sources: Sequence[str]) -> Coroutine[Any, Any, None]:
        """Looks for the body, asking `sources`; answers `BlockChecked` or `BodyMissing`.

        From this call on, before what it gives is awaited, it is the last check of its hash: an
        earlier one that finds nothing says nothing.
        """
        self._checks[effect.hash] = effect
        return self._check(effect, sources)

    async def _check(self, effect: fx.CheckBlock, sources: Sequence[str]) -> None:
        try:
            opened = await self._find(effect, sources)
        except Missing:
            if self._checks.get(effect.hash) is effect:  # else others are being asked meanwhile
                self._post(ev.BodyMissing(effect.hash))
            return
        except (Malformed, Rejected) as error:
            self._post(ev.BlockChecked(effect.hash, f"a bad transaction: {error}", b""))
            return
        finally:
            if self._checks.get(effect.hash) is effect:
                del self._checks[effect.hash]

        def work() -> tuple[str | None, bytes] | None:
            if opened.block.header.height <= self._ledger.head.header.height:
                return None  # a fetched block was quicker; nobody waits for this judgement
            return self._ledger.check(opened.block, opened.txs), encode_block(opened.block)

        judged = await self._in_thread(work)
        if judged is None:
            return
        why, body = judged
        if why is None:
            self._keep_opened(effect.hash, opened)
        else:
            _log.warning("block refused", height=opened.block.header.height, why=why)
        self._post(ev.BlockChecked(effect.hash, why, body))

    async def _find(self, effect: fx.CheckBlock, sources: Sequence[str]) -> OpenedBlock:
        kept = self._opened.get(effect.hash)
        if kept is not None:
            return kept
        body = self._body_of(effect.hash)
        if body is not None:
            return await self._bodies.open(open_block(body))
        return await self._bodies.find(effect.header, effect.tx_hashes, sources)

    def _keep_opened(self, block_hash: bytes, opened: OpenedBlock) -> None:
        self._opened.pop(block_hash, None)
        while len(self._opened) >= _OPENED_MAX:
            del self._opened[next(iter(self._opened))]
        self._opened[block_hash] = opened

    # Making durable

    async def decide(self, effect: fx.Decide) -> None:
        """Makes a decided block durable, unless it came by the other way; answers `Advanced`."""

        def work() -> _Done | None:
            if self._ledger.head.header.height >= effect.height:
                return None  # a fetched block was quicker
            committed = self._ledger.commit(effect.hash, effect.certificate)
            return _Done(committed, self._ledger.head.validators, self._ledger.next_version())

        await self._room.wait()
        done = await self._in_thread(work)
        opened = self._opened.pop(effect.hash, None)
        if done is None:
            return
        if opened is None:  # given up for others; its signatures were checked when it came
            txs = tuple(self._ledger.open_tx(raw) for raw in done.committed.block.txs)
        else:
            txs = opened.txs
        self._advanced(done, txs, effect.certificate)

    async def apply(self, certified: Certified) -> None:
        """Makes a fetched block durable if it is the next one. `Malformed`: it does not hold.

        What a quorum certified and this node cannot follow ends it: `Halted` (cases 23, 54, 69).
        """
        head = self._ledger.head
        height = header_of(certified.block).height
        if height != head.header.height + 1 or not self._room.is_set():
            return
        block = open_block(certified.block)
        certificate = open_certificate(certified.certificate)
        why = check_certificate(certificate, block.header, head.validators)
        if why is not None:
            raise Malformed(why)
        try:
            opened = await self._open(certified.block, block)
        except (Malformed, Rejected) as error:
            raise Halted(f"height {height} is certified with a bad transaction: {error}") from None

        def work() -> _Done | None:
            if self._ledger.head.header.height >= height:
                return None
            why = self._ledger.check(block, opened.txs)
            if why is not None:
                raise Halted(f"height {height} is certified but refused here: {why}")
            committed = self._ledger.commit(hash_header(block.header), certificate)
            return _Done(committed, self._ledger.head.validators, self._ledger.next_version())

        done = await self._in_thread(work)
        if done is not None:
            self._advanced(done, opened.txs, certificate)

    def prepare(self, certified: Certified) -> None:
        """Opens a block that `apply` will soon be given, while the ledger works on one before."""
        raw = certified.block
        if raw not in self._ahead and len(self._ahead) < _AHEAD_MAX:
            self._ahead[raw] = task = asyncio.ensure_future(self._open_bytes(raw))
            task.add_done_callback(_look_at)

    async def _open_bytes(self, raw: bytes) -> OpenedBlock:
        return await self._bodies.open(open_block(raw))

    async def _open(self, raw: bytes, block: Block) -> OpenedBlock:
        """The block with its signatures checked, ahead of its turn if `prepare` was told."""
        task = self._ahead.pop(raw, None)
        for stale in self._ahead_below(block.header.height):
            self._ahead.pop(stale).cancel()
        return await self._bodies.open(block) if task is None else await task

    def _ahead_below(self, height: int) -> list[bytes]:
        return [raw for raw in self._ahead if header_of(raw).height <= height]

    def _advanced(
        self, done: _Done, txs: tuple[Transaction, ...], certificate: Certificate
    ) -> None:
        committed = done.committed
        self._mempool.forget(txs)
        if done.version.version > PROTOCOL_VERSION:
            raise Outdated(outdated(done.version))
        self._on_committed(committed, txs)
        header = committed.block.header
        self._size.decided(self._now().mono_ms)
        self._post(ev.Advanced(header, committed.hash, certificate, done.members))
        self._signal.decided()


def _look_at(task: asyncio.Task[OpenedBlock]) -> None:
    """Takes note of a failure: whoever applies the block meets it again."""
    if not task.cancelled():
        task.exception()
