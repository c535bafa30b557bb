"""One simulated machine: the real `Replica`, the real guard, and a driver without judgement.

Events wait in one inbox. Each gives effects, done in order; a slow disk or a crash may come
between any two of them. What goes to all comes back to ourselves through the same door.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from consensus.core import Config, Head
from consensus.effects import (
    Behind,
    BuildBlock,
    CheckBlock,
    Decide,
    Demote,
    Dropped,
    Effect,
    Entered,
    Evidence,
    Halt,
    Persist,
    Say,
    SendBlock,
    SetTimer,
)
from consensus.events import (
    Advanced,
    BlockBuilt,
    Event,
    NothingBuilt,
    Now,
    Received,
    Start,
    TimerFired,
    Work,
)
from consensus.journal import recover
from consensus.messages import encode_message
from consensus.replica import Replica
from consensus.signed import Court
from mgsnode.base.block import Block, encode_block
from mgsnode.base.codec import encode
from mgsnode.base.errors import Corrupt
from mgsnode.base.hashing import signed_hash_of
from mgsnode.base.keys import Signed
from mgsnode.base.validators import ValidatorSet
from tests.sim.disk import Crashed, How, SimDisk, SimGuard
from tests.sim.fetch import Fetch
from tests.sim.ledger import GENESIS_MS, Chain, Stored, ToyLedger

if TYPE_CHECKING:
    from tests.sim.network import Network

TXS_MAX = 8  # of one block
MEMPOOL_MAX = 256
ROTTEN = "the journal is corrupt"  # why a process does not start


class SimNode:
    """A machine with a gateway's key. Twins are two of them with one name."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.network, self.world = network, network.world
        self.name, self.number = name, number
        self.key = network.keys[name]
        self.disk = SimDisk(self.world.stream("disk"))
        self.life = 0  # counts restarts; what was under way in an earlier life is lost
        self.up = False
        self.frozen_until = 0
        self.skew_ms = 0
        self.drift = 0.0  # of the monotonic clock, against true time
        self.written_ms = 0
        self.halted: str | None = None
        self.demoted: str | None = None
        self.mempool: dict[bytes, bytes] = {}
        self.counts: dict[str, int] = {}
        self.inbox: deque[Event] = deque()
        self.todo: deque[Effect] = deque()
        self.busy = False

    @property
    def honest(self) -> bool:
        """Whether the checkers hold it to the rules."""
        return self.name not in self.network.liars

    def is_primary(self) -> bool:
        """Whether it leads the view that it is in."""
        return self.name == self.replica.primary

    # A life

    def start(self) -> None:
        """Switches the machine on with what its disk holds."""
        self.life += 1
        self.inbox.clear()
        self.todo.clear()
        self.busy = False
        self.mempool.clear()
        network = self.network
        try:
            self.guard = SimGuard(self.disk, self.key, network.chain.genesis_hash, self._cut_write)
        except Crashed:
            network.crash(self)
            return
        except Corrupt:
            network.checks.on_corrupt(self)
            self.halted = ROTTEN
            self.crash()
            return
        self.up = True
        self.ledger = self.open_ledger()
        self.fetch = Fetch(self)
        head = self.ledger.head
        recovered = recover(self.guard.recorded)
        self.guard.decided(self.ledger.height)
        self.replica = Replica(
            Config(network.chain.genesis_hash, self.key.public_key, network.view_timeout_ms),
            head=Head(head.header, head.hash, head.certificate, self.now().mono_ms),
            era=self.ledger.era,
            members=self.ledger.members,
            before=self.ledger.before,
            recovered=recovered,
            verify=network.verify,
        )
        network.checks.on_start(self)
        self._judge()
        self.put(Start())
        self.fetch.poll()
        network.on_up(self)

    def open_ledger(self) -> ToyLedger:
        """The ledger as the disk holds it."""
        assert isinstance(self.network.chain, Chain)
        return ToyLedger(self.network.chain, self.disk.blocks)

    def crash(self) -> None:
        """Loses everything but the disk."""
        self.up = False
        self.life += 1
        self.world.note("crash", self.number)

    def _judge(self) -> None:
        """The guard judges prepared certificates by the era's members."""
        era, court = self.replica.era, self.guard.court
        if court is None or court.era != era:
            before = self.set_of(era - 1) if era else None
            genesis_hash = self.network.chain.genesis_hash
            self.guard.court = Court(
                genesis_hash, era, self.set_of(era), before, self.network.verify
            )

    def set_of(self, era: int) -> ValidatorSet:
        """The members of an era that this machine has reached."""
        members: ValidatorSet = self.network.chain.sets[era]
        return members

    def _cut_write(self) -> How | None:
        """How the write that is under way ends, if badly."""
        if not self.network.faults.write_crash_due(self):
            return None
        return self.network.faults.crash_how(self, writing=True)

    def _crash_due(self) -> bool:
        """Whether the process ends between two effects; if so, the disk has felt it."""
        if not self.network.crash_due(self):
            return False
        if self.network.faults.crash_how(self, writing=False) == "power":
            self.disk.lose_power()
        return True

    def now(self) -> Now:
        """Both clocks of this machine."""
        now = self.world.now_ms
        mono_ms = int(now * (1 + self.drift)) + 1_000 * self.number
        return Now(mono_ms, GENESIS_MS + now + self.skew_ms)

    def after(self, delay_ms: int, event: Event) -> None:
        """Puts `event` into the inbox later, in this life."""
        life = self.life
        self.world.after(delay_ms, lambda: self.life == life and self.put(event))

    # Events and effects

    def put(self, event: Event) -> None:
        """Something happened."""
        if self.up:
            self.inbox.append(event)
            self._pump()

    def _pump(self) -> None:
        while self.up and not self.busy and self.inbox:
            if self.world.now_ms < self.frozen_until:
                self._pause(self.frozen_until - self.world.now_ms)
                return
            event = self.inbox.popleft()
            if isinstance(event, Advanced):
                # Not earlier: what was to be said about this height may still be on its way out.
                self.guard.decided(event.header.height)
            before = (self.replica.era, self.replica.view)
            effects = self.replica.step(event, self.now())
            self.todo.extend(effects)
            self._judge()
            self.network.checks.on_step(self, event, before)
            self._perform()

    def _pause(self, delay_ms: int) -> None:
        self.busy, life = True, self.life
        self.world.after(delay_ms, lambda: self._go_on(life))

    def _go_on(self, life: int) -> None:
        if self.life == life:
            self.busy = False
            self._perform()
            self._pump()

    def _perform(self) -> None:
        while self.todo and self.up and not self.busy:
            effect = self.todo.popleft()
            try:
                if not isinstance(effect, Persist | Dropped | Entered) and self._crash_due():
                    raise Crashed
                self._do(effect)
            except Crashed:
                self.network.crash(self)
                return

    def _do(self, effect: Effect) -> None:
        match effect:
            case Persist():
                self.guard.remember(effect.records)
                self.network.checks.on_persist(self, effect.records)
                delay = self.network.faults.disk_ms(self)
                if delay:
                    self._pause(delay)
            case Say():
                self.say(effect)
            case BuildBlock():
                self._build(effect)
            case CheckBlock():
                self.fetch.check(effect)
            case Decide():
                self.commit(effect.hash, effect)
            case SetTimer():
                delay_ms = math.ceil(effect.after_ms / (1 + self.drift))
                self.after(delay_ms, TimerFired(effect.name, effect.token))
            case Behind():
                self.fetch.hint(self.member_name(effect.source), effect.height)
            case SendBlock():
                stored = self.ledger.blocks[effect.height]
                self.network.send(self, self.member_name(effect.to), "blocks", [stored])
            case Evidence():
                self.network.checks.on_evidence(self, effect)
            case Dropped() | Entered():
                self._count(effect)
            case Demote():
                self.demoted = effect.why
                self.network.checks.on_demote(self, effect.why)
            case Halt():
                self.halted = effect.why
                self.crash()
                self.network.checks.on_halt(self, effect.why)

    def _count(self, effect: Dropped | Entered) -> None:
        word = f"{type(effect).__name__} {effect.why}"
        self.counts[word] = self.counts.get(word, 0) + 1

    def member_name(self, index: int) -> str:
        """The gateway of a member of this era."""
        return self.replica.members.members[index].gateway

    # Speaking

    def say(self, effect: Say) -> None:
        """Signs and sends what the replica wants said."""
        self.network.checks.on_say(self, effect)
        signature = self.guard.sign(effect.kind, effect.fields)
        tail = effect.tail
        if effect.inner:
            tail = tuple(self.guard.sign(Signed.PRE_PREPARE, f) for f in effect.inner)
        raw = encode_message(effect.kind, effect.fields, signature, tail)
        self.spread(effect.kind, raw, effect.to)

    def spread(self, kind: Signed, raw: bytes, to: int | None) -> None:
        """Sends to one member, or to all and ourselves."""
        if to is not None:
            self.network.send(self, self.member_name(to), "consensus", raw, kind)
            return
        for member in self.replica.members.members:
            if member.gateway != self.name:
                self.network.send(self, member.gateway, "consensus", raw, kind)
        self.inbox.append(Received(self.name, raw))

    # The ledger

    def work(self, tx: bytes) -> None:
        """A wallet or a peer gives a transaction."""
        if self.up and len(self.mempool) < MEMPOOL_MAX:
            if not self.network.is_decided(self, tx):
                self.mempool[signed_hash_of(tx)] = tx
            self.put(Work(self.has_work()))

    def has_work(self) -> bool:
        """Whether something that waits could stand in the next block."""
        return bool(self.mempool)

    def _build(self, effect: BuildBlock) -> None:
        txs = list(self.mempool.values())[:TXS_MAX]
        if (not txs and not effect.empty) or effect.parent != self.ledger.head.hash:
            self.after(1, NothingBuilt(effect.view, effect.height))
            return
        block_hash, block = self.ledger.build(txs, self.now().wall_ms)
        self.after(self.network.faults.execution_ms(), self.built(effect, block_hash, block))

    def built(self, effect: BuildBlock, block_hash: bytes, block: Block) -> BlockBuilt:
        """The answer to `BuildBlock`."""
        return BlockBuilt(
            effect.view,
            effect.height,
            block_hash,
            encode(block.header),
            encode_block(block),
            tuple(signed_hash_of(tx) for tx in block.txs),
        )

    def commit(self, block_hash: bytes, decide: Decide) -> None:
        """Makes a decided block durable."""
        if decide.height == self.ledger.height + 1:
            self.advance(self.ledger.commit(block_hash, decide.certificate))

    def advance(self, stored: Stored) -> None:
        """A height is durable: tells the checkers, the guard and the replica."""
        self.network.checks.on_decided(self, stored)
        for tx in self.network.forget_decided(stored):
            self.mempool.pop(tx, None)
        assert stored.certificate is not None
        if self._crash_due():
            raise Crashed
        event = Advanced(stored.header, stored.hash, stored.certificate, self.ledger.members)
        # One disk: what was written later is durable later.
        now = self.world.now_ms
        self.written_ms = max(self.written_ms, now + self.network.faults.disk_ms(self))
        self.after(self.written_ms - now, event)
        self.after(self.written_ms - now, Work(self.has_work()))
