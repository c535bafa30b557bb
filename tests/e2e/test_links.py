"""Wires that are cut, in one direction or both: at most one side decides, and after the healing
all of them hold the same.

The tests share one network and one bank on purpose: what a fault leaves behind is the next
one's beginning. Their order is that of the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.checks import caught_up, check_books, check_no_evidence, next_block, view_of
from tests.e2e.links import Links
from tests.e2e.support import Bank, call, height, primary, transfer, until, wallet_accounts

pytestmark = pytest.mark.e2e
ALL = (0, 1, 2, 3)
GO_ON_S = 40.0
PARTED_S = 4


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    root = tmp_path_factory.mktemp("net")
    with Localnet.create(root, base_port=None, accounts=wallet_accounts()) as made:
        yield made


@pytest.fixture(scope="module")
def links(net: Localnet) -> Iterator[Links]:
    with Links(net) as made:
        net.start()
        yield made


@pytest.fixture(scope="module")
def bank(net: Localnet, links: Links) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        assert links.carried_bytes > 0, "the nodes talk past the proxies"
        yield made


def rest(place: int) -> list[int]:
    return [other for other in ALL if other != place]


def healed(net: Localnet, links: Links, bank: Bank) -> None:
    """All wires carry again: everyone catches up, and payments at every node become final."""
    links.heal()
    for node in net.nodes:
        until(
            f"{node.name} catches up",
            lambda node=node: caught_up(net, node.place, rest(node.place)),
            seconds=GO_ON_S,
        )
        until(
            f"{node.name} has its peers",
            lambda node=node: call(node.rpc, "node_status")["peers"] == 3,
            seconds=GO_ON_S,
        )
    bank.go_on(seconds=GO_ON_S)


def test_a_primary_that_nobody_hears_is_replaced(net: Localnet, links: Links, bank: Bank) -> None:
    place, view = primary(net), view_of(net, ALL)
    links.cut([place], rest(place))
    print(f"primary mute: {next_block(net, rest(place), view, seconds=GO_ON_S)}")
    bank.go_on(seconds=GO_ON_S)
    healed(net, links, bank)


def test_a_primary_that_hears_nobody_is_replaced(net: Localnet, links: Links, bank: Bank) -> None:
    place, view = primary(net), view_of(net, ALL)
    links.cut(rest(place), [place])
    print(f"primary deaf: {next_block(net, rest(place), view, seconds=GO_ON_S)}")
    bank.go_on(seconds=GO_ON_S)
    healed(net, links, bank)


def test_a_node_cut_off_from_the_primary_alone_follows_by_the_others(  # case 26
    net: Localnet, links: Links, bank: Bank
) -> None:
    first = primary(net)
    far = rest(first)[1]
    links.part([first], [far])
    goal = height(net, first) + 20
    until("the others go on", lambda: height(net, first) >= goal, seconds=GO_ON_S)
    until("it follows", lambda: height(net, far) >= goal, seconds=GO_ON_S)
    healed(net, links, bank)


def test_an_isolated_primary_decides_nothing_and_comes_back(  # case 26
    net: Localnet, links: Links, bank: Bank
) -> None:
    place, view = primary(net), view_of(net, ALL)
    links.part([place], rest(place))
    print(f"primary isolated: {next_block(net, rest(place), view, seconds=GO_ON_S)}")
    alone = height(net, place)
    bank.go_on(seconds=GO_ON_S)
    raw = transfer(net.genesis.hash, "anna", 0, "bruno").hex()
    asked = {"raw": raw, "wait": "committed", "timeout_ms": 2_000}
    assert call(net.nodes[place].rpc, "tx_submit", asked)["status"] == "pending"
    assert height(net, place) == alone
    healed(net, links, bank)
    done = call(net.nodes[place].rpc, "tx_submit", {**asked, "timeout_ms": 10_000})
    assert done["status"] == "committed"


def test_two_against_two_decide_nothing_and_go_on_together(  # case 12
    net: Localnet, links: Links, bank: Bank
) -> None:
    place = primary(net)
    other = rest(place)[0]
    side = [p for p in ALL if p not in (place, other)]
    links.part([place, other], side)
    time.sleep(1)  # what was under way is through
    before = [height(net, p) for p in ALL]
    time.sleep(PARTED_S)
    assert [height(net, p) for p in ALL] == before
    links.heal()
    goal = max(before)
    took_s = until("a block", lambda: min(height(net, p) for p in ALL) > goal, seconds=GO_ON_S)
    print(f"2|2 for {PARTED_S} s: a new block at all four {took_s:.1f} s after the healing")
    healed(net, links, bank)


def test_afterwards_the_books_are_in_order(net: Localnet, links: Links, bank: Bank) -> None:
    check_no_evidence(net)
    check_books(net, bank)
