"""Whole small networks without liars: blocks, a dead primary, restarts, eras."""

from __future__ import annotations

from mgsnode.base.keys import Signed
from tests.sim.faults import Faults
from tests.sim.network import Network
from tests.sim.node import SimNode
from tests.sim.world import World


def busy(n: int = 4, *, seed: int = 1, faults: Faults | None = None, **more: object) -> Network:
    """A network of n with steady work."""
    world = World(seed)
    if faults is None:
        faults = Faults(world)
    network = Network(world, sets=["ABCDEFGHIJ"[:n]], faults=faults, **more)  # type: ignore[arg-type]
    network.start()
    network.keep_busy(50)
    return network


def test_four_replicas_decide_a_hundred_blocks_in_view_0() -> None:
    network = busy()
    assert network.run_until_height(100, within_ms=20_000)
    assert {node.replica.view for node in network.nodes} == {0}
    assert network.checks.seen["VIEW_CHANGE"] == 0
    assert {node.replica.stable for node in network.nodes} <= {0, 100}


def test_every_size_from_1_to_10_decides() -> None:
    for n in range(1, 11):
        assert busy(n).run_until_height(10, within_ms=10_000), n


def test_real_signatures_decide_the_same() -> None:
    network = busy(real_keys=True)
    assert network.run_until_height(10, within_ms=10_000)


def test_a_dead_primary_is_replaced_within_two_timeouts() -> None:
    network = busy()
    assert network.run_until_height(5, within_ms=10_000)
    network.nodes[0].crash()
    height, died = network.high(), network.world.now_ms
    assert network.run_until_height(height + 1, within_ms=2_000)
    assert network.world.now_ms - died <= 2 * network.view_timeout_ms
    assert {n.replica.view for n in network.nodes[1:]} == {1}


def test_f_dead_primaries_in_a_row_are_passed_over_at_n_7() -> None:
    network = busy(7)
    assert network.run_until_height(5, within_ms=10_000)
    network.nodes[0].crash()
    network.nodes[1].crash()
    assert network.run_until_height(network.high() + 5, within_ms=10_000)


def test_all_restart_together_and_go_on_without_a_sync_target() -> None:  # case 33
    network = busy()
    assert network.run_until_height(10, within_ms=10_000)
    for node in network.nodes:
        node.crash()
    for node in network.nodes:
        network.restart(node)
    assert network.run_until_height(network.high() + 10, within_ms=10_000)


def test_a_replica_that_was_away_catches_up_and_votes_again() -> None:
    network = busy()
    assert network.run_until_height(5, within_ms=10_000)
    away = network.nodes[3]
    away.crash()
    network.run(20_000)
    network.restart(away)
    assert network.run_until_height(network.high(), within_ms=3_000)
    votes = []
    network.checks.on_vote_said = votes.append  # type: ignore[attr-defined]
    network.run(2_000)
    assert away.ledger.height >= network.high() - 1
    assert away.replica.may_bind


def test_a_fast_chain_takes_a_replica_of_an_older_view_along() -> None:
    # Heights never match when a STATUS arrives, and yet the lagging replica must learn the view.
    network = busy()
    assert network.run_until_height(3, within_ms=10_000)
    late = network.nodes[3]
    network.faults.isolate(network.nodes, late.number)
    network.nodes[0].crash()
    network.run(1)
    network.restart(network.nodes[0])
    network.faults.isolate(network.nodes, 0)
    network.run(4_000)
    network.faults.cut.clear()
    network.faults.isolate(network.nodes, late.number)
    assert network.run_until_height(0, within_ms=1)
    network.run(5_000)
    network.faults.cut.clear()
    network.run(10_000)
    views = {node.replica.view for node in network.nodes}
    assert len(views) == 1 and views != {0}
    assert late.replica.active


class LosesCommits(Faults):
    """COMMITs of a view reach nobody."""

    views = (0,)

    def delays(
        self, source: SimNode, to: SimNode, channel: str, payload: object, kind: Signed | None
    ) -> list[int]:
        if kind is Signed.COMMIT and source.replica.view in self.views:
            return []
        return super().delays(source, to, channel, payload, kind)


def test_a_prepared_block_is_carried_into_the_next_view() -> None:  # case 7
    world = World(3)
    network = busy(faults=LosesCommits(world))
    network.world = network.world
    assert network.run_until_height(3, within_ms=20_000)
    assert network.checks.seen["new views joined with a carried proposal"] >= 3


def test_an_era_ends_with_its_barrier_and_the_next_set_decides() -> None:  # case 73
    world = World(4)
    network = Network(world, sets=["ABCD", "ABCDE", "BCDE", "BCDEFGH"])
    network.start()
    network.keep_busy(50)
    for era in (1, 2, 3):
        assert network.run_until_height(network.high() + 3, within_ms=20_000)
        network.submit(b"era:%d" % era)
        network.run(8_000, lambda era=era: all(n.ledger.era == era for n in network.nodes))
        assert {node.ledger.era for node in network.nodes} == {era}
    assert network.run_until_height(network.high() + 5, within_ms=20_000)
    assert network.checks.seen["eras"] == 3


def test_an_old_copy_of_everything_votes_no_more() -> None:  # cases 42, 43
    network = busy()
    assert network.run_until_height(3, within_ms=10_000)
    node = network.nodes[3]
    journal, blocks = node.disk.copy()
    assert network.run_until_height(30, within_ms=20_000)
    network.liars |= {"D"}  # from here on it cannot know what it signed
    node.crash()
    node.disk.journal, node.disk.blocks = journal, blocks
    network.restart(node)
    network.run(5_000)
    assert node.demoted is not None
    assert node.ledger.height >= 30
    assert network.checks.seen["evidence PREPARE"] == 0


def test_five_hundred_blocks_behind_are_fetched_while_the_network_goes_on() -> None:
    network = busy()
    away = network.nodes[3]
    away.crash()
    assert network.run_until_height(500, within_ms=120_000)
    height = network.high()
    network.restart(away)
    assert network.run_until_height(height, within_ms=10_000)
    assert network.high() > height
    assert network.checks.seen["view changes"] == 0


def test_a_view_is_left_after_256_blocks_and_ten_minutes() -> None:  # case 30
    network = busy()
    network.run(18_000)
    assert network.high() > 256
    assert {node.replica.view for node in network.nodes} == {0}  # ten minutes are not over
    slow = Network(World(2))
    slow.start()
    slow.keep_busy(2_200)
    slow.run(11 * 60_000)
    assert slow.high() > 256
    assert {node.replica.view for node in slow.nodes} == {1}
