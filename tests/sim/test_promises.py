"""The promises in numbers, in virtual time: how long a lost quorum costs, and dead primaries.

T0 is the base timeout, spread by 10 % over the members. A link takes at most 20 ms.
"""

from __future__ import annotations

import pytest

from consensus.effects import Say
from mgsnode.base.codec import decode
from mgsnode.base.keys import Signed
from mgsnode.base.limits import FRAME_BYTES_MAX
from tests.sim.faults import Faults
from tests.sim.network import Network
from tests.sim.node import SimNode
from tests.sim.world import World

T0_MS = 1_000
SPREAD = 1.1
LINK_MS = 20
# Answers to a STATUS, then the three phases of a block with its syncs; a view change has two more.
ROUNDS_MS = 10 * LINK_MS
OUTAGE_MS = 600_000
LONG = pytest.mark.long
SEEDS = [0, pytest.param(1, marks=LONG), pytest.param(2, marks=LONG)]


def busy(n: int, seed: int = 1, *, every_ms: int = 500) -> Network:
    """A network of n with steady work and some blocks."""
    world = World(seed)
    network = Network(
        world, sets=["ABCDEFGHIJ"[:n]], view_timeout_ms=T0_MS,
        faults=Faults(world, delay_ms=(1, LINK_MS)),
    )  # fmt: skip
    network.start()
    network.keep_busy(every_ms)
    assert network.run_until_height(5, within_ms=10_000)
    return network


def until_progress_ms(network: Network) -> int:
    """How long until every machine that is up has one block more than there was."""
    began, height = network.world.now_ms, network.high() + 1
    assert network.run_until_height(height, within_ms=120_000)
    return network.world.now_ms - began


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("n", "down", "back", "dead"),
    [
        (4, (1, 2), (1, 2), 0),  # the primary was up all the time
        (4, (0, 2), (2,), 0),  # it stays away, the next one was up
        (4, (0, 1), (0,), 1),  # the next one stays away: its view passes
        pytest.param(4, (0, 2), (0, 2), 0, marks=LONG),
        pytest.param(4, (0, 1), (1,), 0, marks=LONG),
        pytest.param(6, (0, 1, 2), (1,), 0, marks=LONG),
        (7, (0, 1, 2), (2,), 1),  # the next one is dead too
        pytest.param(7, (0, 1, 2, 3), (2, 3), 1, marks=LONG),
        pytest.param(10, (0, 1, 2, 3), (3,), 2, marks=LONG),  # and the one after it
        (10, (0, 1, 2, 3, 4, 5), (3, 4, 5), 2),
    ],
)  # fmt: skip
def test_a_quorum_lost_for_ten_minutes_costs_a_timeout_and_one_for_each_dead_primary(
    n: int, down: tuple[int, ...], back: tuple[int, ...], dead: int, seed: int
) -> None:  # case 12
    network = busy(n, seed)
    for number in down:
        network.nodes[number].crash()
    network.run(OUTAGE_MS)
    for number in back:
        network.restart(network.nodes[number])
    # The base timeout is that of the view which is left; each dead primary's view doubles it.
    timeouts_ms = sum(T0_MS * 2**k for k in range(dead + 1)) * SPREAD
    assert until_progress_ms(network) <= timeouts_ms + ROUNDS_MS


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [4, 7, *(pytest.param(n, marks=LONG) for n in (5, 6, 8, 9, 10))])
def test_halves_that_were_apart_for_ten_minutes_go_on_within_a_base_timeout(
    n: int, seed: int
) -> None:
    network = busy(n, seed)
    half = range(n // 2)
    network.faults.cut = {(a, b) for a in range(n) for b in range(n) if (a in half) != (b in half)}
    network.run(OUTAGE_MS)
    assert len({node.ledger.height for node in network.nodes}) <= 2
    network.faults.cut.clear()
    for node in network.nodes:
        network.on_up(node)  # the wires are made anew
    assert until_progress_ms(network) <= T0_MS * SPREAD + ROUNDS_MS


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_primaries_in_a_row_are_killed_at_n_7_and_f_2(seed: int) -> None:
    network = busy(7, seed)
    down: list[SimNode] = []
    slowest_ms = 0
    for _ in range(10):
        up = [node for node in network.nodes if node.up]
        primary = next(node for node in up if node.is_primary() and node.replica.active)
        if len(down) == 2:
            network.restart(down.pop(0))
        primary.crash()
        down.append(primary)
        assert sum(not node.up for node in network.nodes) <= 2
        slowest_ms = max(slowest_ms, until_progress_ms(network))
        network.run(2_000)  # who came back catches up
    assert slowest_ms <= 2 * T0_MS
    assert network.checks.seen["view changes"] >= 10


@pytest.mark.parametrize("n", [4, 7])
def test_with_at_most_f_down_and_nothing_else_a_commit_takes_less_than_three_timeouts(
    n: int,
) -> None:
    network = busy(n, every_ms=50)
    for number in range((n - 1) // 3):
        network.nodes[number].crash()
    taken = [until_progress_ms(network) for _ in range(200)]
    assert sorted(taken)[len(taken) * 99 // 100] < 3 * T0_MS


class Listens(SimNode):
    """Keeps every vote that it was ever about to sign."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        super().__init__(network, name, number)
        self.said: list[tuple[int, ...]] = []  # (life, kind, era, view, height, hash)

    def say(self, effect: Say) -> None:
        """As before, but noted."""
        if effect.kind in (Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT):
            value = decode(effect.fields, bytes_max=FRAME_BYTES_MAX)
            assert type(value) is tuple
            self.said.append((self.life, int(effect.kind), *value[:4]))  # type: ignore[arg-type]
        super().say(effect)


def aged(heights: int) -> tuple[Network, Listens, tuple[bytes, list[object]]]:
    """A network whose node D has a copy of its disk from `heights` blocks ago."""
    network = Network(World(1), sets=["ABCD"], node=Listens)
    network.start()
    network.keep_busy(20)
    assert network.run_until_height(5, within_ms=10_000)
    node = network.nodes[3]
    assert isinstance(node, Listens)
    copy = node.disk.copy()
    assert network.run_until_height(5 + heights, within_ms=60_000 + 400 * heights)
    node.crash()
    return network, node, copy  # type: ignore[return-value]


def places(node: Listens) -> dict[tuple[int, ...], set[object]]:
    """What it said at each place of the protocol, in all its lives."""
    found: dict[tuple[int, ...], set[object]] = {}
    for _, *place, block_hash in node.said:
        found.setdefault(tuple(place), set()).add(block_hash)
    return found


# A block each 30 s makes 86,400 in a month; a copy's age changes only how much is fetched.
AGES = [300, pytest.param(5_000, marks=LONG)]


@pytest.mark.parametrize("heights", AGES)
def test_a_month_old_data_folder_signs_nothing_until_it_has_passed_its_past(heights: int) -> None:
    network, node, (_, blocks) = aged(heights)  # case 42
    past = max(height for _, _, _, _, height, _ in node.said)
    life = node.life
    node.disk.blocks = list(blocks)  # type: ignore[arg-type]  # the journal lies elsewhere
    network.restart(node)
    high = network.high()
    assert network.run_until_height(high + 20, within_ms=60_000)
    after = [height for lived, _, _, _, height, _ in node.said if lived > life]
    assert after and min(after) >= past
    assert all(len(hashes) == 1 for hashes in places(node).values())
    assert node.demoted is None


@pytest.mark.parametrize("heights", AGES)
def test_a_month_old_copy_of_everything_contradicts_nothing_and_votes_no_more(heights: int) -> None:
    network, node, (journal, blocks) = aged(heights)  # cases 42, 43
    life = node.life
    network.liars |= {"D"}  # from here on it cannot know what it signed
    node.disk.journal, node.disk.blocks = journal, list(blocks)  # type: ignore[arg-type]
    network.restart(node)
    high = network.high()
    network.run(20_000)
    assert node.demoted is not None
    assert node.ledger.height >= high
    assert [said for said in node.said if said[0] > life] == []
    assert all(len(hashes) == 1 for hashes in places(node).values())
