"""Wall clocks that are hours off: the chain goes on, and its time is that of the others.

The tests share one network and one bank on purpose: what a fault leaves behind is the next
one's beginning. Their order is that of the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgsnode.localnet import Localnet, Node
from tests.e2e import skewed
from tests.e2e.checks import (
    caught_up,
    check_books,
    check_no_evidence,
    next_block,
    signs,
    view_of,
)
from tests.e2e.skewed import write_offset
from tests.e2e.support import (
    VALID_MS,
    Bank,
    call,
    call_each,
    height,
    primary,
    until,
    wallet_accounts,
)

pytestmark = pytest.mark.e2e
ALL = (0, 1, 2, 3)
HOURS_MS = 2 * 3_600_000
assert HOURS_MS < VALID_MS, "or a primary in the future could propose no payment anyway"
AHEAD_MS_MAX = 2_000 + 1_000  # case 72, and a second for what lies between looking and looking
BEHIND_MS_MAX = 30_000  # ten seconds by case 72, then a change of view on a busy machine
GO_ON_S = 60.0


class SkewedNet(Localnet):
    """Nodes whose clocks a test moves. The nodes' program is the same."""

    def command(self, node: Node, life_fd: int) -> list[str]:
        python, *_, start, home_flag, home, life_flag, life = super().command(node, life_fd)
        run = [python, "-m", skewed.__name__, str(clock_of(node))]
        return [*run, start, home_flag, home, life_flag, life]


def clock_of(node: Node) -> Path:
    """The file that says how far its clock is off."""
    return node.home / "clock-offset"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SkewedNet]:
    root = tmp_path_factory.mktemp("net")
    with SkewedNet.create(root, base_port=None, accounts=wallet_accounts()) as made:
        for node in made.nodes:
            write_offset(clock_of(node), 0)
        made.start()
        yield made


@pytest.fixture(scope="module")
def bank(net: SkewedNet) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        yield made


def rest(place: int) -> list[int]:
    return [other for other in ALL if other != place]


def check_times(net: SkewedNet, first: int) -> None:
    """The chain's time rises and is near the true one; blocks are looked at as they come."""
    at = height(net, 1)
    until("a new block", lambda: height(net, 1) > at, seconds=GO_ON_S)
    now_ms = time.time_ns() // 1_000_000
    last = height(net, 1)
    shown = call_each(net.nodes[1].rpc, "chain_block", [[h] for h in range(first, last + 1)])
    times = [block["header"]["timestamp_ms"] for block in shown]
    assert times == sorted(set(times))
    assert now_ms - BEHIND_MS_MAX <= times[-1] <= now_ms + AHEAD_MS_MAX, now_ms - times[-1]


def set_right(net: SkewedNet, place: int) -> None:
    """With a wrong clock it follows, since certified blocks are not judged by it; then it votes."""
    until("it follows", lambda: caught_up(net, place, rest(place)), seconds=GO_ON_S)
    write_offset(clock_of(net.nodes[place]), 0)
    until("it votes", lambda: signs(net, net.nodes[place].name), seconds=GO_ON_S)


def test_a_primary_that_lives_in_the_future_is_replaced(net: SkewedNet, bank: Bank) -> None:
    place, view, first = primary(net), view_of(net, ALL), height(net, 1)
    write_offset(clock_of(net.nodes[place]), HOURS_MS)
    print(f"primary two hours ahead: {next_block(net, rest(place), view, seconds=GO_ON_S)}")
    bank.go_on(seconds=GO_ON_S)
    check_times(net, first)
    set_right(net, place)


@pytest.mark.long
def test_a_primary_that_lives_in_the_past_is_replaced(net: SkewedNet, bank: Bank) -> None:
    """Case 72: it adds a millisecond a block, until the others see that the chain's time stands."""
    place, view, first = primary(net), view_of(net, ALL), height(net, 1)
    write_offset(clock_of(net.nodes[place]), -HOURS_MS)
    print(f"primary two hours back: {next_block(net, rest(place), view, seconds=GO_ON_S)}")
    bank.go_on(seconds=GO_ON_S)
    check_times(net, first)
    set_right(net, place)


@pytest.mark.long
def test_clocks_that_jump_while_primaries_change_harm_nothing(net: SkewedNet, bank: Bank) -> None:
    first = height(net, 1)
    jumping = rest(primary(net))[0]
    for offset_ms in (HOURS_MS, -HOURS_MS, 0):
        write_offset(clock_of(net.nodes[jumping]), offset_ms)
        place = primary(net)
        net.kill(place)
        net.restart(place)
        until("it follows", lambda place=place: caught_up(net, place, rest(place)))
        bank.go_on(seconds=GO_ON_S)
    check_times(net, first)


def test_afterwards_the_books_are_in_order(net: SkewedNet, bank: Bank) -> None:
    for node in net.nodes:
        assert call(node.rpc, "node_status")["role"] == "validator"
    check_no_evidence(net)
    check_books(net, bank)
