"""Seven nodes bear two dead ones: primaries are killed one after the other, and it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.checks import (
    Failover,
    caught_up,
    check_books,
    check_no_evidence,
    next_block,
    signs,
    view_of,
)
from tests.e2e.support import Bank, call, primary, until, wallet_accounts

pytestmark = pytest.mark.e2e
GATEWAYS, FAULTS = 7, 2
BLOCK_S = 60.0  # never a stop; how long it took is printed, not judged by a clock


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Localnet]:
    made = Localnet.create(tmp_path, gateways=GATEWAYS, base_port=None, accounts=wallet_accounts())
    with made:
        made.start()
        yield made


@pytest.mark.parametrize("kills", [10, pytest.param(60, marks=pytest.mark.long)])
def test_primaries_killed_in_a_row_never_stop_the_chain(net: Localnet, kills: int) -> None:
    """Cases 3, 4 and 39. From the second kill on two are down between a kill and a return."""
    took: list[Failover] = []
    down: list[int] = []
    with Bank(net) as bank:
        bank.go_on()
        for _ in range(kills):
            alive = [node.place for node in net.nodes if node.place not in down]
            place, view = primary(net, alive), view_of(net, alive)
            assert place in alive, "a dead node is primary: the last kill has not been got over"
            net.kill(place)
            down.append(place)
            assert len(down) <= FAULTS
            alive.remove(place)
            took.append(next_block(net, alive, view, seconds=BLOCK_S))
            print(f"{net.nodes[place].name} killed, {len(down)} down: {took[-1]}")
            if len(down) == FAULTS:
                come_back(net, down.pop(0), alive)
        for place in down:
            come_back(net, place, [p for p in range(GATEWAYS) if p != place])
        bank.go_on(seconds=BLOCK_S)
        for node in net.nodes:
            assert call(node.rpc, "node_status")["role"] == "validator"
            until(f"{node.name} signs", lambda node=node: signs(net, node.name), seconds=BLOCK_S)
        check_no_evidence(net)
    worst = max(took, key=lambda one: one.seconds)
    mean_s = sum(one.seconds for one in took) / kills
    print(f"{kills} primaries killed: mean {Failover(mean_s, 1)}; worst {worst}")
    check_books(net, bank)


def come_back(net: Localnet, place: int, others: list[int]) -> None:
    """The node runs again and has caught up: it counts as up from then on."""
    net.restart(place)
    until("the node catches up", lambda: caught_up(net, place, others), seconds=BLOCK_S)
