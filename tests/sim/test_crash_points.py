"""The power goes at each boundary between two effects, and within each write, one run for each.

The scene has everything that is ever remembered: blocks, a view change that carries a prepared
block, a new view made and entered, and blocks after it. Cases 3, 39, 40.
"""

from __future__ import annotations

import pytest

from mgsnode.base.keys import Signed
from tests.sim.faults import Faults
from tests.sim.network import Network
from tests.sim.node import SimNode
from tests.sim.world import World

AWAY_MS = 300


class CrashAt(Faults):
    """One node loses power at its nth boundary; COMMITs of one height in view 0 reach nobody."""

    def __init__(self, world: World, number: int, boundary: int) -> None:
        super().__init__(world)
        self._number, self._boundary = number, boundary
        self.passed = 0

    def delays(
        self, source: SimNode, to: SimNode, channel: str, payload: object, kind: Signed | None
    ) -> list[int]:
        replica = source.replica
        if kind is Signed.COMMIT and (replica.view, replica.height) == (0, 2):
            return []
        return super().delays(source, to, channel, payload, kind)

    def crash_due(self, node: SimNode) -> bool:
        if node.number != self._number:
            return False
        self.passed += 1
        return self.passed == self._boundary

    def on_crash(self, node: SimNode) -> int | None:
        return AWAY_MS


def live(number: int, boundary: int) -> tuple[Network, CrashAt]:
    """The scene with one crash; the checkers watch all of it."""
    world = World(5)
    faults = CrashAt(world, number, boundary)
    network = Network(world, sets=["ABCD"], faults=faults)
    network.start()
    network.keep_busy(60)

    def there() -> bool:
        return all(node.up and node.ledger.height >= 6 for node in network.nodes)

    network.run(30_000, there)
    assert there(), (number, boundary)
    return network, faults


def boundaries(number: int) -> int:
    """How many there are without a crash."""
    network, faults = live(number, 0)
    assert network.checks.seen["new views joined with a carried proposal"] >= 3
    return faults.passed


@pytest.mark.parametrize("number", [0, 1, 2])  # the old primary, the new one, a backup
def test_a_crash_at_every_seventh_boundary(number: int) -> None:
    for boundary in range(1 + number, boundaries(number), 7):
        live(number, boundary)


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_crash_at_every_boundary(number: int) -> None:
    for boundary in range(1, boundaries(number)):
        live(number, boundary)
