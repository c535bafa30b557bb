"""One loop: event -> `replica.step` -> effects in order. It adds no judgement.

What blocks for the disk runs in a thread: the journal's sync, waited for before anything later
is said, and the ledger's work, whose answers come back as events. It is the only reader of the
clock for consensus. A failed write or a broken assertion ends the node; it is never carried on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog

from consensus import effects as fx
from consensus import events as ev
from consensus.messages import encode_message
from consensus.replica import Replica
from mgsnode.base.codec import Value
from mgsnode.base.keys import Signed
from mgsnode.base.transaction import Transaction
from mgsnode.blocksize import BlockSize
from mgsnode.bodies import Bodies
from mgsnode.executor import BlockExecutor, Halted
from mgsnode.guard import Guard
from mgsnode.inbox import Inbox
from mgsnode.mempool import Mempool
from mgsnode.worksignal import WorkSignal
from state.ledger import Committed, Ledger

_log = structlog.get_logger("mgsnode.driver")


class Wire(Protocol):
    """Where messages go: members' names and bytes."""

    def send(self, name: str, payload: bytes) -> bool:
        """To one member, on the consensus channel."""

    def broadcast(self, payload: bytes) -> None:
        """To every member, on the consensus channel."""


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
        self._wire = wire
        self._on_behind = on_behind
        self._push_block = push_block
        self._on_evidence = on_evidence
        self._inbox = Inbox(name)
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._signal = WorkSignal(ledger, mempool, now=now, post=self.post)
        self.executor = BlockExecutor(
            ledger,
            mempool,
            bodies,
            signal=self._signal,
            size=BlockSize(view_timeout_ms),
            now=now,
            post=self.post,
            body_of=replica.body,
            on_committed=on_committed,
            on_quarantine=on_quarantine,
        )
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
        if not self._inbox.put(event):
            self.dropped["unread", "too many at once"] += 1

    def stall(self, why: str) -> None:
        """No vote and no block is made durable here until `why` is "" again (case 44)."""
        self.executor.allow_writes(not why)
        self.post(ev.Stalled(why))

    def tell_work(self) -> None:
        """A transaction that could be executed waits."""
        self._signal.tell()

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
            tasks = (loop, *self._tasks, *self.executor.tasks())
            self._stopped = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._journal_thread.shutdown()
            self.executor.close()

    async def _work(self) -> None:
        while True:
            event = await self._inbox.take()
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
                await asyncio.get_running_loop().run_in_executor(
                    self._journal_thread, lambda: guard.remember(records)
                )
            case fx.Say():
                self._say(effect)
            case fx.BuildBlock():
                self._spawn(self.executor.build(effect))
            case fx.CheckBlock():
                # Named now: a barrier may change the members before the task has its turn.
                sources = [self._member(index) for index in effect.sources]
                self._spawn(self.executor.check(effect, sources))
            case fx.Decide():
                self._spawn(self.executor.decide(effect))
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
        if event.name == "progress":
            self._signal.look()
        self.post(event)

    def _told_entered(self, effect: fx.Entered) -> None:
        self.views_entered += effect.active and effect.view > 0
        _log.info(
            "view", era=effect.era, view=effect.view, active=effect.active, why=effect.why,
            primary=self.replica.primary,
        )  # fmt: skip

    # Tasks

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
