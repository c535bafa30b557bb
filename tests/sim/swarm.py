"""Faults as a plan draws them, until they are calmed: then the network must go on."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from consensus.events import Censored, Stalled
from mgsnode.base.keys import Signed
from tests.sim.faults import Faults
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


class Swarm(Faults):
    """The faults of one plan."""

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__(world)
        self.plan = plan
        self.calm = False
        self.counts: Counter[str] = Counter()
        self._masks: dict[tuple[object, ...], frozenset[int] | None] = {}
        self._network = world.stream("network")
        self._disk = world.stream("disk")
        self._crash = world.stream("crash")

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
            self._later(10_000, self._jump)
        if plan.has("full disk"):
            self._later(5_000, self._fill_disk)
        if plan.has("censorship"):
            self._later(3_000, self._censor)
        if plan.has("blackout"):
            self._later(plan.blackout_ms, self._blackout)

    def end(self) -> None:
        """From here on the network is good and every machine is up."""
        self.calm = True
        self.cut.clear()
        for node in self.network.nodes:
            node.skew_ms = 0
            node.frozen_until = 0
            node.put(Stalled(""))
            if not node.up:
                self.world.after(self._crash.randrange(1_000), self.network.restart, node)

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
        if (source.number, to.number) in self.cut or self._is_masked(source, to, channel, kind):
            self.counts["cut"] += 1
            return []
        if plan.has("loss") and random.random() < plan.loss_rate:
            self.counts["lost"] += 1
            return []
        times = 1
        if plan.has("duplicate") and random.random() < plan.duplicate_rate:
            self.counts["duplicated"] += 1
            times = 2
        most = plan.delay_ms if plan.has("delay") else 20
        delays = [random.randint(1, most) for _ in range(times)]
        if plan.has("tail") and random.random() < plan.tail_rate:
            self.counts["very late"] += 1
            delays[0] = random.randint(1_000, 10_000)
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
        random, nodes = self._crash, self.network.nodes
        self.cut.clear()
        numbers = [node.number for node in nodes]
        match random.choice(("none", "split", "one way", "primary", "bridge")):
            case "split":
                side = set(random.sample(numbers, random.randint(1, len(numbers) - 1)))
                self.cut = {(a, b) for a in numbers for b in numbers if (a in side) != (b in side)}
            case "one way":
                side = set(random.sample(numbers, random.randint(1, len(numbers) - 1)))
                self.cut = {(a, b) for a in side for b in numbers if b not in side}
            case "primary":
                for node in nodes:
                    if node.up and node.name == node.replica.primary:
                        self.isolate(nodes, node.number)
            case "bridge":
                random.shuffle(numbers)
                half = len(numbers) // 2
                left, right = numbers[:half], numbers[half + 1 :]
                self.cut = {(a, b) for a in left for b in right}
                self.cut |= {(b, a) for a, b in self.cut}
        self.counts["partitions"] += bool(self.cut)
        self._later(self.plan.partition_every_ms, self._partition)

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
        """Whether the power goes at this boundary."""
        due = (
            self.plan.has("crash") and not self.calm and self._crash.random() < self.plan.crash_rate
        )
        self.counts["crashes"] += due
        return due

    def on_crash(self, node: SimNode) -> int | None:
        """When the machine comes back."""
        if self.calm:
            return 100
        return self._crash.randrange(2 * self.plan.away_ms)

    def before_restart(self, node: SimNode) -> None:
        """The chain may be restored from an older copy; the journal stays (case 42)."""
        blocks = node.disk.blocks
        if self.calm or not self.plan.has("old data") or len(blocks) < 3:
            return
        others = (n for n in self.network.nodes if n is not node and n.honest)
        if all(len(other.disk.blocks) < len(blocks) for other in others):
            return  # what nobody else holds would be lost for ever: no protocol survives that
        if self._crash.random() < self.plan.old_data_rate:
            self.counts["old data"] += 1
            node.disk.blocks = blocks[: self._crash.randrange(1, len(blocks))]

    def _pause(self) -> None:
        node = self._crash.choice(self.network.nodes)
        node.frozen_until = self.world.now_ms + self._crash.randrange(1_000, 10_000)
        self.counts["pauses"] += 1
        self._later(self.plan.pause_every_ms, self._pause)

    def _jump(self) -> None:
        """One clock at a time jumps, and comes back."""
        node = self._crash.choice(self.network.nodes)
        before, node.skew_ms = node.skew_ms, self._crash.choice((-1, 1)) * self.plan.jump_ms
        self.counts["clock jumps"] += 1

        def back() -> None:
            node.skew_ms = 0 if self.calm else before
            self._later(10_000, self._jump)

        self.world.after(5_000, back)

    def _fill_disk(self) -> None:
        """One machine has no room for a while: it must not vote (case 44)."""
        node = self._crash.choice(self.network.nodes)
        node.put(Stalled("no room"))
        self.counts["full disks"] += 1
        self.world.after(self._crash.randrange(8_000), node.put, Stalled(""))
        self._later(5_000, self._fill_disk)

    def _censor(self) -> None:
        """Somebody sees, or imagines, a censored transaction."""
        self._crash.choice(self.network.nodes).put(Censored())
        self.counts["censorship seen"] += 1
        self._later(3_000, self._censor)

    def _blackout(self) -> None:
        """All machines lose power at once."""
        self.counts["blackouts"] += 1
        for node in self.network.nodes:
            if node.up:
                self.network.crash(node)
        self._later(self.plan.blackout_ms, self._blackout)
