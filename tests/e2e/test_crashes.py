"""Nodes that die or freeze under load: payments go on, nobody forks, no payment is lost.

The tests share one network and one bank on purpose: what a fault leaves behind is the next
one's beginning. Their order is that of the file.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.checks import check_books, check_no_evidence, next_block, view_of
from tests.e2e.support import Bank, call, height, primary, until

pytestmark = pytest.mark.e2e
GO_ON_S = 25.0  # on a busy machine; a view timeout is one second here
BACK_S = 30.0
FROZEN_S = 5


@pytest.fixture(scope="module")
def bank(net: Localnet) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        yield made


def caught_up(net: Localnet, place: int) -> bool:
    others = [height(net, other.place) for other in net.nodes if other.place != place]
    return height(net, place) >= min(others)


def test_each_node_killed_in_turn_under_load_comes_back_to_the_same_chain(  # cases 3, 39
    net: Localnet, bank: Bank
) -> None:
    first = primary(net)
    order = [first, *(node.place for node in net.nodes if node.place != first)]
    for place in order:
        net.kill(place)
        took_s = bank.go_on(seconds=GO_ON_S)
        print(f"{net.nodes[place].name} killed: 12 payments more after {took_s:.1f} s")
        net.restart(place)
        until("the node catches up", lambda place=place: caught_up(net, place), seconds=BACK_S)
        bank.go_on(seconds=GO_ON_S)


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.long)])
def test_every_primary_killed_one_after_the_other(net: Localnet, bank: Bank, kills: int) -> None:
    for _ in range(kills):
        place, view = primary(net), view_of(net, range(4))
        net.kill(place)
        alive = [node.place for node in net.nodes if node.place != place]
        print(f"primary killed: {next_block(net, alive, view, seconds=GO_ON_S)}")
        bank.go_on(seconds=GO_ON_S)
        net.restart(place)
        until("the node catches up", lambda place=place: caught_up(net, place), seconds=BACK_S)


def test_a_frozen_primary_is_left_behind_and_follows_when_it_wakes(
    net: Localnet, bank: Bank
) -> None:  # cases 4, 26
    place = primary(net)
    pid = net.pid(place)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        bank.go_on(seconds=GO_ON_S)
        time.sleep(3)
        bank.go_on(seconds=GO_ON_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    until("the node catches up", lambda: caught_up(net, place), seconds=BACK_S)
    bank.go_on(seconds=GO_ON_S)


def test_two_of_four_frozen_stop_the_chain_and_it_goes_on_when_they_wake(
    net: Localnet, bank: Bank
) -> None:  # case 12
    frozen = [net.pid(place) for place in (1, 2)]
    try:
        for pid in frozen:
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1)  # what was under way is through
        before = [height(net, place) for place in (0, 3)]
        time.sleep(FROZEN_S)
        assert [height(net, place) for place in (0, 3)] == before
    finally:
        for pid in frozen:
            if pid is not None:
                os.kill(pid, signal.SIGCONT)
    took_s = until("a block", lambda: height(net, 0) > max(before), seconds=GO_ON_S)
    print(f"a quorum frozen for {FROZEN_S} s: next block {took_s:.1f} s after it woke")
    bank.go_on(seconds=GO_ON_S)


def test_all_four_killed_at_once_go_on_together(net: Localnet, bank: Bank) -> None:  # 12, 33
    for node in net.nodes:
        pid = net.pid(node.place)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for node in net.nodes:
        net.kill(node.place)  # already gone: reaps it
    for node in net.nodes:
        net.start_node(node.place)
    for node in net.nodes:
        net.wait_ready(node.place)
    took_s = bank.go_on(seconds=40.0)
    print(f"all four killed: 12 payments more after {took_s:.1f} s")


def test_afterwards_every_payment_stands_once_and_the_money_adds_up(
    net: Localnet, bank: Bank
) -> None:
    roles = {call(node.rpc, "node_status")["role"] for node in net.nodes}
    assert roles == {"validator"}
    check_no_evidence(net)
    check_books(net, bank)
    assert bank.count() > 100
