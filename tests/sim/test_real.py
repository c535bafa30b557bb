"""The ledger that ships under faults: every payment once, all money adds up, at each height."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgsnode.base.block import open_block
from tests.sim.plan import draw_plan
from tests.sim.real import make_network
from tests.sim.swarm import Swarm


@pytest.mark.parametrize("seed", range(4))
def test_money_adds_up_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    # The toy ledger's swarm, but for what a store on a real disk cannot do: go back in time.
    plan = draw_plan(seed, without=frozenset({"old data", "eras", "liars", "twins"}), heights=8)
    network, bank = make_network(seed, 4 + seed, tmp_path, faults=lambda world: Swarm(world, plan))
    swarm = network.faults
    assert isinstance(swarm, Swarm)
    network.start()
    swarm.begin(network)
    bank.pay(200)
    network.run(30_000, lambda: network.high() >= 8)
    swarm.end()
    goal = network.high() + 3
    network.run(260_000, lambda: all(n.up and n.ledger.height >= goal for n in network.nodes))
    assert all(node.up and node.ledger.height >= goal for node in network.nodes)
    assert network.chain.broken_laws() == []
    decided = [tx for stored in network.checks.blocks for tx in open_block(stored.body).txs]
    assert len(decided) == len(set(decided)) > 0
    network.close()
