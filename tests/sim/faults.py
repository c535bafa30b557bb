"""What goes wrong. This one: nothing but a little delay; `tests.sim.swarm` draws the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgsnode.base.keys import Signed
from tests.sim.disk import How
from tests.sim.world import World

if TYPE_CHECKING:
    from tests.sim.node import SimNode


class Faults:
    """A good network, good disks, no crashes. Links may be cut by hand."""

    def __init__(self, world: World, *, delay_ms: tuple[int, int] = (1, 20)) -> None:
        self.world = world
        self.delay_ms = delay_ms
        self.cut: set[tuple[int, int]] = set()  # (from number, to number)

    def delays(
        self,
        source: SimNode,
        to: SimNode,
        channel: str,
        payload: object,
        kind: Signed | None,
    ) -> list[int]:
        """When the bytes arrive: not at all, once, or more often."""
        if (source.number, to.number) in self.cut:
            return []
        return [self.world.stream("network").randint(*self.delay_ms)]

    def disk_ms(self, node: SimNode) -> int:
        """How long a sync takes."""
        return 1

    def execution_ms(self) -> int:
        """How long building or checking a block takes."""
        return 2

    def crash_due(self, node: SimNode) -> bool:
        """Whether the power goes now."""
        return False

    def write_crash_due(self, node: SimNode) -> bool:
        """Whether the process ends within this write."""
        return self.crash_due(node)

    def crash_how(self, node: SimNode, *, writing: bool) -> How:
        """What the disk keeps of a crash that is due."""
        return "power"

    def on_crash(self, node: SimNode) -> int | None:
        """When the machine comes back."""
        return None

    def before_restart(self, node: SimNode) -> None:
        """A chance to change what the disk holds."""

    def isolate(self, nodes: list[SimNode], number: int) -> None:
        """Cuts one node from all others, both ways."""
        for node in nodes:
            if node.number != number:
                self.cut |= {(node.number, number), (number, node.number)}
