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
    """Cases 3, 4 and 39. Each comes back while the next is killed: up to two are down at once."""
    took: list[Failover] = []
    coming: list[int] = []  # started again, not yet where the others are: counted as down
    with Bank(net) as bank:
        bank.go_on()
        for _ in range(kills):
            alive = [node.place for node in net.nodes if node.place not in coming]
            place, view = primary(net, alive), view_of(net, alive)
            assert place in alive, "a dead node is primary: the last kill has not been got over"
            net.kill(place)
            alive.remove(place)
            down = GATEWAYS - len(alive)
            assert down <= FAULTS
            took.append(next_block(net, alive, view, seconds=BLOCK_S))
            print(f"{net.nodes[place].name} killed, {down} down: {took[-1]}")
            for back in coming:
                is_back(net, back, alive)
            net.start_node(place)
            coming = [place]
        is_back(net, coming[0], [place for place in range(GATEWAYS) if place not in coming])
        bank.go_on(seconds=BLOCK_S)
        for node in net.nodes:
            assert call(node.rpc, "node_status")["role"] == "validator"
            until(f"{node.name} signs", lambda node=node: signs(net, node.name), seconds=BLOCK_S)
        check_no_evidence(net)
    worst = max(took, key=lambda one: one.seconds)
    mean_s = sum(one.seconds for one in took) / kills
    print(f"{kills} primaries killed: mean {Failover(mean_s, 1)}; worst {worst}")
    check_books(net, bank)


def is_back(net: Localnet, place: int, others: list[int]) -> None:
    """The started node answers and has caught up: it counts as up from then on."""
    net.wait_ready(place)
    until("the node catches up", lambda: caught_up(net, place, others), seconds=BLOCK_S)
