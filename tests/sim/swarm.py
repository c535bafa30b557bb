"""Faults as a plan draws them, until they are calmed: then the network must go on."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from consensus.events import Censored, Stalled
from mgsnode.base.keys import Signed
from tests.sim.checks import QUORUM
from tests.sim.disk import How
from tests.sim.faults import Faults
from tests.sim.links import SlowLinks
from tests.sim.phases import kind_of, phase_of
from tests.sim.plan import Plan
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.network import Network
    from tests.sim.node import SimNode

_MASKED = (
    Signed.PRE_PREPARE,
    Signed.PREPARE,
    Signed.COMMIT,
    Signed.VIEW_CHANGE,
    Signed.NEW_VIEW,
)
_WRITES_WEIGH = 4  # a write is cut so many times as often as what stands between two effects
_RARE = {"catching up": 20, "installing": 20}  # and so much more often in what is soon over
_PARTITIONS = ("none", "split", "one way", "primary", "primary deaf", "bridge", "flapping")
# The names under which faults of machines are counted; those of links name themselves.
ON_MACHINES = (
    "crash", "power loss", "kill", "sync error", "blackout", "bit rot", "old data", "pause",
    "clock jump", "full disk", "censorship",
    *(f"partition: {how}" for how in _PARTITIONS[1:]),
)  # fmt: skip


class Swarm(Faults):
    """The faults of one plan."""

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self.plan = plan
        self.calm = False
        self.counts: Counter[str] = Counter()
        self.touched: Counter[tuple[str, str]] = Counter()  # (fault, phase or kind of message)
        self._masks: dict[tuple[object, ...], frozenset[int] | None] = {}
        self._network = world.stream("network")
        self._disk = world.stream("disk")
        self._crash = world.stream("crash")
        self._slow = SlowLinks(world, plan)

    def note(self, fault: str, node: SimNode) -> None:
        """A fault met a machine."""
        self.counts[fault] += 1
        self.touched[fault, phase_of(node)] += 1

    def _note_link(self, fault: str, channel: str, kind: Signed | None) -> None:
        self.counts[fault] += 1
        self.touched[fault, kind_of(channel, kind)] += 1

    def begin(self, network: Network) -> None:
        """Starts what happens by itself: partitions, pauses, jumps of clocks, blackouts."""
        self.network = network
        plan = self.plan
        if plan.has("partition"):
            self._later(plan.partition_every_ms, self._partition)
        if plan.has("pause"):
            self._later(plan.pause_every_ms, self._pause)
        if plan.has("clock"):
            for node in network.nodes:
                node.skew_ms = self._crash.randint(-plan.skew_ms, plan.skew_ms)
                node.drift = self._crash.uniform(-0.01, 0.01)
            self._later(10_000, self._jump)
        if plan.has("full disk"):
            self._later(5_000, self._fill_disk)
        if plan.has("censorship"):
            self._later(3_000, self._censor)
        if plan.has("blackout"):
            self._later(plan.blackout_ms, self._blackout)

    def end(self) -> None:
        """From here on the network is good and every machine is up that is not left dead."""
        self.calm = True
        self.cut.clear()
        dead = self._left_dead() if self.plan.has("core") else []
        for node in dead:
            self.counts["left dead"] += 1
            node.halted = "left dead"
            node.crash()
        for node in self.network.nodes:
            node.skew_ms = 0
            node.frozen_until = 0
            node.put(Stalled(""))
            if not node.up:
                self.world.after(self._crash.randrange(1_000), self.network.restart, node)

    def _left_dead(self) -> list[SimNode]:
        """All but a core: a quorum of honest members in each era that may still come.

        Liars are among the dead, so the core has no member to spare. Who holds the highest
        block stays: what nobody holds any more no protocol brings back.
        """
        nodes = self.network.nodes
        heads = [node.disk.blocks[-1].header for node in nodes if node.honest and node.disk.blocks]
        era = min((header.era for header in heads), default=0)
        eras = [set(members) for members in self.plan.sets[era:]]
        alive = {node.name for node in nodes if node.honest and node.halted is None}
        tallest = max((n for n in nodes if n.honest), key=lambda n: len(n.disk.blocks)).name
        names = sorted(alive - {tallest})
        self._crash.shuffle(names)
        for name in names:
            if all(len((alive - {name}) & era) >= QUORUM[len(era)] for era in eras):
                alive.discard(name)
        return [node for node in nodes if node.name not in alive and node.halted is None]

    def _later(self, mean_ms: int, what: object) -> None:
        delay = 1 + int(self._crash.expovariate(1 / mean_ms))
        self.world.after(delay, lambda: None if self.calm else what())  # type: ignore[operator]

    # Links

    def delays(
        self, source: SimNode, to: SimNode, channel: str, payload: object, kind: Signed | None
    ) -> list[int]:
        """When the bytes arrive, if they do."""
        self.counts["sent"] += 1
        random, plan = self._network, self.plan
        if self.calm:
            return [random.randint(1, 20)]
        if (source.number, to.number) in self.cut:
            self._note_link("cut", channel, kind)
            return []
        if self._is_masked(source, to, channel, kind):
            self._note_link("masked", channel, kind)
            return []
        if plan.has("loss") and random.random() < plan.loss_rate:
            self._note_link("lost", channel, kind)
            return []
        times = 1
        if plan.has("duplicate") and random.random() < plan.duplicate_rate:
            self._note_link("duplicated", channel, kind)
            times = 2
        most = plan.delay_ms if plan.has("delay") else 20
        delays = [random.randint(1, most) for _ in range(times)]
        if plan.has("tail") and random.random() < plan.tail_rate:
            self._note_link("very late", channel, kind)
            delays[0] = random.randint(1_000, 10_000)
        if plan.has("slow link") and self._slow.is_slow(source.number, to.number):
            wait = self._slow.wait_ms(source.number, to.number, payload)
            self._note_link("queue overrun" if wait is None else "slowed", channel, kind)
            return [] if wait is None else [wait + delay for delay in delays]
        return delays

    def _is_masked(self, source: SimNode, to: SimNode, channel: str, kind: Signed | None) -> bool:
        """Whether this kind of message of this view and height does not reach this node."""
        if not self.plan.has("phase") or (kind not in _MASKED and channel != "blocks"):
            return False
        replica = source.replica
        key = (kind, replica.era, replica.view, replica.height)
        if key not in self._masks:
            self._masks[key] = self._draw_mask(key)
        allowed = self._masks[key]
        return allowed is not None and to.number not in allowed

    def _draw_mask(self, key: tuple[object, ...]) -> frozenset[int] | None:
        random = Random(f"{self.plan.seed}/phase/{key}")
        if random.random() >= self.plan.phase_rate:
            return None
        numbers = [node.number for node in self.network.nodes]
        count = random.choice((0, 1, 1, len(numbers) // 2, len(numbers) - 1))
        self.counts["masks"] += 1
        return frozenset(random.sample(numbers, count))

    def _partition(self) -> None:
        self.cut.clear()
        how = self._crash.choice(_PARTITIONS)
        cut = self.cut = self._draw_cut(how)
        if how == "flapping":
            self._flap(cut, 2 * self._crash.randrange(3, 15))
        touched = {number for link in cut for number in link}
        for node in self.network.nodes:
            if node.number in touched:
                self.touched[f"partition: {how}", phase_of(node)] += 1
        if cut:
            self.counts[f"partition: {how}"] += 1
        self._later(self.plan.partition_every_ms, self._partition)

    def _draw_cut(self, how: str) -> set[tuple[int, int]]:
        """The directed links that a partition of this kind cuts."""
        random = self._crash
        numbers = [node.number for node in self.network.nodes]
        side = set(random.sample(numbers, random.randint(1, len(numbers) - 1)))
        match how:
            case "split" | "flapping":
                return {(a, b) for a in numbers for b in numbers if (a in side) != (b in side)}
            case "one way":
                return {(a, b) for a in side for b in numbers if b not in side}
            case "primary" | "primary deaf":
                heads = {n.number for n in self.network.nodes if n.up and n.is_primary()}
                deaf = {(a, b) for a in numbers for b in heads if a != b}
                return deaf if how == "primary deaf" else deaf | {(b, a) for a, b in deaf}
            case "bridge":
                random.shuffle(numbers)
                half = len(numbers) // 2
                left, right = numbers[:half], numbers[half + 1 :]
                cut = {(a, b) for a in left for b in right}
                return cut | {(b, a) for a, b in cut}
        return set()

    def _flap(self, links: set[tuple[int, int]], times: int) -> None:
        """The same links come and go, faster than anybody's timer."""
        if times and not self.calm:
            self.cut = set() if self.cut else set(links)
            self.world.after(self._crash.randrange(20, 500), self._flap, links, times - 1)

    # Machines

    def disk_ms(self, node: SimNode) -> int:
        """How long a sync takes."""
        if self.calm or not self.plan.has("slow disk"):
            return 1
        return self._disk.randrange(self.plan.disk_ms)

    def execution_ms(self) -> int:
        """How long building or checking takes."""
        if self.calm or not self.plan.has("slow execution"):
            return 2
        return self._disk.randrange(self.plan.execution_ms)

    def crash_due(self, node: SimNode) -> bool:
        """Whether the process ends at this boundary."""
        if self.calm or not self.plan.has("crash"):
            return False
        rate = self.plan.crash_rate * _RARE.get(phase_of(node), 1)
        due = self._crash.random() < rate
        if due:
            self.note("crash", node)
        return due

    def write_crash_due(self, node: SimNode) -> bool:
        """Whether it ends within this write: there the most can go wrong."""
        return any(self.crash_due(node) for _ in range(_WRITES_WEIGH))

    def crash_how(self, node: SimNode, *, writing: bool) -> How:
        """By losing power, by being killed, or because a sync said no."""
        random = self._crash.random()
        if self.plan.has("sync error") and writing and random < 0.4:
            self.note("sync error", node)
            return "sync error"
        if self.plan.has("kill") and random < 0.7:
            self.note("kill", node)
            return "kill"
        self.note("power loss", node)
        return "power"

    def on_crash(self, node: SimNode) -> int | None:
        """When the machine comes back."""
        if self.calm:
            return 100
        return self._crash.randrange(2 * self.plan.away_ms)

    def before_restart(self, node: SimNode) -> None:
        """The chain may be restored from an older copy; the journal stays (case 42)."""
        blocks = node.disk.blocks
        if node.name in self.plan.rotten and not self.calm and self._disk.random() < 0.5:
            self.note("bit rot", node)
            node.disk.flip_a_bit()
        if self.calm or not self.plan.has("old data") or len(blocks) < 3:
            return
        others = (n for n in self.network.nodes if n is not node and n.honest)
        if all(len(other.disk.blocks) < len(blocks) for other in others):
            return  # what nobody else holds would be lost for ever: no protocol survives that
        if self._crash.random() < self.plan.old_data_rate:
            self.note("old data", node)
            node.disk.blocks = blocks[: self._crash.randrange(1, len(blocks))]

    def _pause(self) -> None:
        node = self._crash.choice(self.network.nodes)
        most = self._crash.choice((10_000, 10_000, 60_000))
        node.frozen_until = self.world.now_ms + self._crash.randrange(1_000, most)
        self.note("pause", node)
        self._later(self.plan.pause_every_ms, self._pause)

    def _jump(self) -> None:
        """One clock at a time jumps, and comes back."""
        node = self._crash.choice(self.network.nodes)
        before, node.skew_ms = node.skew_ms, self._crash.choice((-1, 1)) * self.plan.jump_ms
        self.note("clock jump", node)

        def back() -> None:
            node.skew_ms = 0 if self.calm else before
            self._later(10_000, self._jump)

        self.world.after(5_000, back)

    def _fill_disk(self) -> None:
        """One machine has no room for a while: it must not vote (case 44)."""
        node = self._crash.choice(self.network.nodes)
        node.put(Stalled("no room"))
        self.note("full disk", node)
        self.world.after(self._crash.randrange(8_000), node.put, Stalled(""))
        self._later(5_000, self._fill_disk)

    def _censor(self) -> None:
        """Somebody sees, or imagines, a censored transaction."""
        node = self._crash.choice(self.network.nodes)
        self.note("censorship", node)
        node.put(Censored())
        self._later(3_000, self._censor)

    def _blackout(self) -> None:
        """All machines lose power at once."""
        self.counts["blackouts"] += 1
        for node in self.network.nodes:
            node.disk.lose_power()
            if node.up:
                self.note("blackout", node)
                self.network.crash(node)
        self._later(self.plan.blackout_ms, self._blackout)
