"""One loop: event -> `replica.step` -> effects in order. It adds no judgement.

What blocks for the disk runs in a thread: the journal's sync (waited for before anything later
is said) and the ledger's work (its answers come back as events). It is the only reader of the
clock. A failed write or a broken assertion ends the node; it is never carried on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from consensus import effects as fx
from consensus import events as ev
from consensus.messages import encode_message
from consensus.replica import Replica
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
from mgsnode.base.codec import Value, encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed, Rejected
from mgsnode.base.keys import Signed
from mgsnode.base.limits import BLOCK_TXS_MAX
from mgsnode.base.transaction import BAD_NONCE, VALID_TOO_LONG, Transaction
from mgsnode.base.validators import ValidatorSet
from mgsnode.bodies import Bodies, Missing, OpenedBlock
from mgsnode.exchange import Certified
from mgsnode.guard import Guard
from mgsnode.mempool import Mempool
from state.candidate import Built
from state.chain import header_of
from state.context import Version
from state.ledger import Committed, Ledger

T = TypeVar("T")
_log = structlog.get_logger("mgsnode.driver")
_LATER = frozenset({BAD_NONCE[0], VALID_TOO_LONG[0]})  # a later block may hold it
_BLOCK_TXS_FIRST = 512  # our first block's size; then it follows what proves possible
_BLOCK_TXS_LEAST = 64
_BLOCK_TXS_STEP = 128
_INBOX_MESSAGES_MAX = 1_024  # waiting from one peer (case 57); STATUS brings again what is dropped
_INBOX_BYTES_MAX = 8 * 1024 * 1024
_AHEAD_MAX = 4  # fetched blocks that are opened before their turn
_OPENED_MAX = 8  # blocks whose opened transactions are kept until they are decided or given up


class Wire(Protocol):
    """Where messages go: members' names and bytes."""

    def send(self, name: str, payload: bytes) -> bool:
        """To one member, on the consensus channel."""

    def broadcast(self, payload: bytes) -> None:
        """To every member, on the consensus channel."""


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


def now() -> ev.Now:
    """Both clocks. The only place that reads them for consensus."""
    return ev.Now(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)


class Driver:
    """Runs one `Replica` in real life."""

    def __init__(
        self,
        replica: Replica,
        *,
        name: str,
        guard: Guard | None,
        ledger: Ledger,
        mempool: Mempool,
        bodies: Bodies,
        wire: Wire,
        on_behind: Callable[[str, int], None],
        push_block: Callable[[str, int], None],
        on_committed: Callable[[Committed, tuple[Transaction, ...]], None],
        on_evidence: Callable[[fx.Evidence], None],
        on_quarantine: Callable[[bytes], None],
        view_timeout_ms: int,
    ) -> None:
        """`name` is our gateway's; `guard` is None for a node that votes for nothing."""
        self.replica = replica
        self._name = name
        self._guard = guard
        self._ledger = ledger
        self._mempool = mempool
        self._bodies = bodies
        self._wire = wire
        self._on_behind = on_behind
        self._push_block = push_block
        self._on_committed = on_committed
        self._on_evidence = on_evidence
        self._on_quarantine = on_quarantine
        self._block_ms_max = view_timeout_ms // 2
        self._inbox: deque[ev.Event] = deque()
        self._inbox_messages: Counter[str] = Counter()  # of each peer
        self._inbox_bytes: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()  # set while there is room on the disk
        self._room.set()
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened: dict[bytes, OpenedBlock] = {}
        self._ahead: dict[bytes, asyncio.Task[OpenedBlock]] = {}  # by the block's bytes
        self._told_work = False
        self._work_came = False  # after we picked for the block that is being built
        self._checks: dict[bytes, fx.CheckBlock] = {}  # under way, the last of each hash
        self._block_txs = _BLOCK_TXS_FIRST
        self._asked_ms: int | None = None  # when our block under way was asked for
        self.ledger_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._journal_thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.views_entered = 0
        self.evidence_found = 0
        self._judge_by_era()
        if guard is not None:
            guard.decided(ledger.head.header.height)

    # In

    def post(self, event: ev.Event) -> None:
        """Puts an event into the inbox; a peer's message only if it has not too many there."""
        if isinstance(event, ev.Received) and not self._admit(event):
            return
        self._inbox.append(event)
        self._wake.set()

    def _admit(self, event: ev.Received) -> bool:
        sender, size = event.sender, len(event.raw)
        if sender != self._name and (
            self._inbox_messages[sender] >= _INBOX_MESSAGES_MAX
            or self._inbox_bytes[sender] + size > _INBOX_BYTES_MAX
        ):
            self.dropped["unread", "too many at once"] += 1
            return False
        self._inbox_messages[sender] += 1
        self._inbox_bytes[sender] += size
        return True

    def stall(self, why: str) -> None:
        """No vote and no block is made durable here until `why` is "" again (case 44)."""
        if why:
            self._room.clear()
        else:
            self._room.set()
        self.post(ev.Stalled(why))

    def tell_work(self) -> None:
        """A transaction that could be executed waits."""
        self._work_came = True
        if not self._told_work:
            self._told_work = True
            self.post(ev.Work(True))

    async def run(self) -> None:
        """Works until cancelled. Raises what broke us."""
        self.post(ev.Start())
        loop = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait((loop, self._failure), return_when=asyncio.FIRST_COMPLETED)
            for done in (self._failure, loop):
                if done.done():
                    await done
        finally:
            tasks = (loop, *self._tasks, *self._ahead.values())
            self._stopped = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._journal_thread.shutdown()
            self.ledger_thread.shutdown()

    async def _work(self) -> None:
        while True:
            if not self._inbox:
                self._wake.clear()
                await self._wake.wait()
            event = self._inbox.popleft()
            if isinstance(event, ev.Received):
                self._inbox_messages[event.sender] -= 1
                self._inbox_bytes[event.sender] -= len(event.raw)
            if isinstance(event, ev.Advanced) and self._guard is not None:
                self._guard.decided(event.header.height)
            era = self.replica.era
            wishes = self.replica.step(event, now())
            if self.replica.era != era:
                self._judge_by_era()
            for effect in wishes:
                await self._do(effect)

    def _judge_by_era(self) -> None:
        if self._guard is not None:
            self._guard.court = self.replica.court

    # Out

    async def _do(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Persist():
                assert self._guard is not None
                records = effect.records
                guard = self._guard
                await self._in_thread(self._journal_thread, lambda: guard.remember(records))
            case fx.Say():
                self._say(effect)
            case fx.BuildBlock():
                self._spawn(self._build(effect))
            case fx.CheckBlock():
                # Named now: a barrier may change the members before the task has its turn.
                sources = [self._member(index) for index in effect.sources]
                self._checks[effect.hash] = effect
                self._spawn(self._check(effect, sources))
            case fx.Decide():
                self._spawn(self._decide(effect))
            case fx.SetTimer():
                self._set_timer(effect)
            case fx.Behind():
                self._on_behind(self._member(effect.source), effect.height)
            case fx.SendBlock():
                self._push_block(self._member(effect.to), effect.height)
            case fx.Dropped():
                self.dropped[effect.message, effect.why] += 1
                _log.debug("dropped", sender=effect.sender, kind=effect.message, why=effect.why)
            case fx.Evidence():
                self.evidence_found += 1
                self._on_evidence(effect)
            case fx.Entered():
                self._told_entered(effect)
            case fx.Demote():
                _log.error("this key votes no more", why=effect.why)
            case fx.Halt():
                raise Halted(effect.why)

    def _member(self, index: int) -> str:
        return self.replica.members.members[index].gateway

    def _say(self, effect: fx.Say) -> None:
        assert self._guard is not None
        tail: Value = effect.tail
        if effect.kind is Signed.NEW_VIEW:
            tail = tuple(self._guard.sign(Signed.PRE_PREPARE, fields) for fields in effect.inner)
        signature = self._guard.sign(effect.kind, effect.fields)
        raw = encode_message(effect.kind, effect.fields, signature, tail)
        if effect.to is not None:
            self._wire.send(self._member(effect.to), raw)
            return
        self._wire.broadcast(raw)
        self.post(ev.Received(self._name, raw))

    def _set_timer(self, effect: fx.SetTimer) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(
            effect.after_ms / 1_000, self._on_timer, ev.TimerFired(effect.name, effect.token)
        )

    def _on_timer(self, event: ev.TimerFired) -> None:
        if self._stopped:
            return
        if event.name == "progress" and self._told_work and not self._is_work_waiting():
            # Nobody can propose it, so its lying here is no primary's fault (case 31).
            self._told_work = False
            self.post(ev.Work(False))
        self.post(event)

    def _is_work_waiting(self) -> bool:
        """Whether what waits can still be executed; what can not goes out of the waiting room."""
        wall_ms = now().wall_ms
        for tx in self._mempool.next_ones():
            try:
                self._ledger.check_admission(tx, wall_ms=wall_ms)
            except Rejected:
                self._mempool.discard(tx.txid)
                continue
            if tx.body.valid_until >= wall_ms:
                return True
        return False

    def _told_entered(self, effect: fx.Entered) -> None:
        self.views_entered += effect.active and effect.view > 0
        _log.info(
            "view", era=effect.era, view=effect.view, active=effect.active, why=effect.why,
            primary=self.replica.primary,
        )  # fmt: skip

    # The ledger's work

    async def _build(self, effect: fx.BuildBlock) -> None:
        self._asked_ms = now().mono_ms
        self._work_came = False
        txs = self._mempool.pick(txs_max=self._block_txs)
        if not txs and not effect.empty:
            self._nothing_built(effect)
            return
        wall_ms = now().wall_ms

        def work() -> tuple[Built, bytes, bytes] | None:
            head = self._ledger.head
            if head.hash != effect.parent:
                return None
            stamp = max(wall_ms, head.header.timestamp_ms + 1)
            built = self._ledger.build(effect.parent, txs, stamp)
            return built, encode(built.block.header), encode_block(built.block)

        made = await self._in_thread(self.ledger_thread, work)
        if made is None:
            self._nothing_built(effect)
            return
        built, header, body = made
        block_hash = hash_header(built.block.header)
        self._set_aside(built)
        if not built.included and not effect.empty:
            await self._in_thread(self.ledger_thread, lambda: self._ledger.discard(block_hash))
            self._nothing_built(effect)
            return
        self._keep_opened(block_hash, OpenedBlock(built.block, built.included))
        hashes = tuple(tx.signed_hash for tx in built.included)
        self.post(ev.BlockBuilt(effect.view, effect.height, block_hash, header, body, hashes))

    def _nothing_built(self, effect: fx.BuildBlock) -> None:
        self._asked_ms = None
        self._told_work = False
        self.post(ev.NothingBuilt(effect.view, effect.height))
        if self._work_came and self._mempool.has_work:
            self.tell_work()  # it came while we built, when we had told of other work

    def _set_aside(self, built: Built) -> None:
        """Takes out of the waiting room what no block can hold; a bug's cause goes aside."""
        for skipped in built.skipped:
            if skipped.refusal is None:
                self._on_quarantine(skipped.txid)
            if skipped.refusal is None or skipped.refusal.code not in _LATER:
                self._mempool.discard(skipped.txid)
        for text in built.bugs:
            _log.error("a transaction broke the ledger; it is set aside", traceback=text)

    async def _check(self, effect: fx.CheckBlock, sources: Sequence[str]) -> None:
        try:
            opened = await self._find(effect, sources)
        except Missing:
            if self._checks.get(effect.hash) is effect:  # else others are being asked meanwhile
                self.post(ev.BodyMissing(effect.hash))
            return
        except (Malformed, Rejected) as error:
            self.post(ev.BlockChecked(effect.hash, f"a bad transaction: {error}", b""))
            return
        finally:
            if self._checks.get(effect.hash) is effect:
                del self._checks[effect.hash]

        def work() -> tuple[str | None, bytes] | None:
            if opened.block.header.height <= self._ledger.head.header.height:
                return None  # a fetched block was quicker; nobody waits for this judgement
            return self._ledger.check(opened.block, opened.txs), encode_block(opened.block)

        judged = await self._in_thread(self.ledger_thread, work)
        if judged is None:
            return
        why, body = judged
        if why is None:
            self._keep_opened(effect.hash, opened)
        else:
            _log.warning("block refused", height=opened.block.header.height, why=why)
        self.post(ev.BlockChecked(effect.hash, why, body))

    async def _find(self, effect: fx.CheckBlock, sources: Sequence[str]) -> OpenedBlock:
        kept = self._opened.get(effect.hash)
        if kept is not None:
            return kept
        body = self.replica.body(effect.hash)
        if body is not None:
            return await self._bodies.open(open_block(body))
        return await self._bodies.find(effect.header, effect.tx_hashes, sources)

    def _keep_opened(self, block_hash: bytes, opened: OpenedBlock) -> None:
        self._opened.pop(block_hash, None)
        while len(self._opened) >= _OPENED_MAX:
            del self._opened[next(iter(self._opened))]
        self._opened[block_hash] = opened

    async def _decide(self, effect: fx.Decide) -> None:
        def work() -> _Done | None:
            if self._ledger.head.header.height >= effect.height:
                return None  # a fetched block was quicker
            committed = self._ledger.commit(effect.hash, effect.certificate)
            return _Done(committed, self._ledger.head.validators, self._ledger.next_version())

        await self._room.wait()
        done = await self._in_thread(self.ledger_thread, work)
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

        done = await self._in_thread(self.ledger_thread, work)
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

    def _fit_blocks(self) -> None:
        """Cuts the batch, not the round (case 37): our blocks shrink when one took too long.

        From asking for it to its decision a block may take half of the view timeout; so the
        size follows what all replicas and this machine can do now.
        """
        asked_ms, self._asked_ms = self._asked_ms, None
        if asked_ms is None:
            return
        took_ms = now().mono_ms - asked_ms
        if took_ms > self._block_ms_max:
            self._block_txs = max(_BLOCK_TXS_LEAST, self._block_txs * 2 // 3)
        elif took_ms < self._block_ms_max // 2:
            self._block_txs = min(BLOCK_TXS_MAX, self._block_txs + _BLOCK_TXS_STEP)

    def _advanced(
        self, done: _Done, txs: tuple[Transaction, ...], certificate: Certificate
    ) -> None:
        committed = done.committed
        self._mempool.forget(txs)
        if done.version.version > PROTOCOL_VERSION:
            raise Outdated(outdated(done.version))
        self._on_committed(committed, txs)
        header = committed.block.header
        self._fit_blocks()
        self.post(ev.Advanced(header, committed.hash, certificate, done.members))
        self._told_work = self._mempool.has_work
        self.post(ev.Work(self._told_work))

    # Tasks

    async def _in_thread(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Holds a task; what it raises ends the node (case 77)."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_exception(error)


def _look_at(task: asyncio.Task[OpenedBlock]) -> None:
    """Takes note of a failure: whoever applies the block meets it again."""
    if not task.cancelled():
        task.exception()
