"""Old copies of nodes' disks: nobody contradicts itself, and nothing final is decided anew.

The tests share one network and one bank on purpose: what a fault leaves behind is the next
one's beginning. Their order is that of the file. Case 42.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgsnode.audit import audit_home
from mgsnode.localnet import Localnet, Node
from tests.e2e.checks import (
    caught_up,
    check_books,
    check_no_contradiction,
    check_no_evidence,
    signers,
    signs,
    votes_of,
)
from tests.e2e.support import (
    Bank,
    call,
    call_each,
    height,
    settle,
    transfer,
    until,
    wallet_accounts,
)

pytestmark = pytest.mark.e2e
ALL = (0, 1, 2, 3)
GO_ON_S = 40.0
SILENCE_S = 4  # several view timeouts, in which something would have been decided
BLOCKS = 12  # that a copy is old


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    root = tmp_path_factory.mktemp("net")
    with Localnet.create(root, base_port=None, accounts=wallet_accounts()) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def bank(net: Localnet) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        yield made


def copy_of(node: Node, folder: Path, what: str) -> Path:
    """A copy of a part of a stopped node's home, as `cp -a` makes it."""
    target = folder / f"{node.name}-{what}"
    shutil.copytree(node.home / what, target, symlinks=True)
    return target


def put_back(node: Node, copy: Path, what: str) -> None:
    """The old copy takes the place of what the stopped node has now."""
    shutil.rmtree(node.home / what)
    shutil.copytree(copy, node.home / what)


def test_a_node_with_an_old_data_folder_follows_and_then_votes(
    net: Localnet, bank: Bank, tmp_path: Path
) -> None:
    node, others = net.nodes[3], (0, 1, 2)
    assert net.stop_node(3) == 0
    old = copy_of(node, tmp_path, "data")
    net.restart(3)
    goal = height(net, 1) + BLOCKS
    until("the chain goes on", lambda: height(net, 3) >= goal, seconds=GO_ON_S)
    assert net.stop_node(3) == 0
    floor = max(vote.height for vote in votes_of(node.home))
    put_back(node, old, "data")
    assert audit_home(node.home).fault is not None  # it voted far beyond what it holds
    net.restart(3)
    until("it catches up", lambda: caught_up(net, 3, others), seconds=GO_ON_S)
    until("it votes", lambda: signs(net, node.name), seconds=GO_ON_S)
    assert height(net, 3) > floor
    bank.go_on(seconds=GO_ON_S)
    check_no_evidence(net)


def test_three_of_four_set_back_decide_nothing_until_one_brings_the_true_past(
    net: Localnet, bank: Bank, tmp_path: Path
) -> None:
    """More than f old disks at once: the chain stands rather than being written anew."""
    for place in ALL:
        assert net.stop_node(place) == 0
    copies = [copy_of(net.nodes[place], tmp_path, "data") for place in (0, 1, 2)]
    for place in ALL:
        net.start_node(place)
    for place in ALL:
        net.wait_ready(place)
    old = max(height(net, place) for place in ALL)
    until("the chain goes on", lambda: height(net, 3) >= old + BLOCKS, seconds=GO_ON_S)
    bank.stop()
    last = settle(net)
    truth = [block["hash"] for block in blocks(net, 3, last)]
    for place in ALL:
        assert net.stop_node(place) == 0
    for place, copy in zip((0, 1, 2), copies, strict=True):
        put_back(net.nodes[place], copy, "data")
        net.start_node(place)
    for place in (0, 1, 2):
        net.wait_ready(place)
    stands = [height(net, place) for place in (0, 1, 2)]
    assert max(stands) <= last - BLOCKS // 2
    # A payment that their old state takes: three are a quorum, and nothing but what they
    # remember keeps them from paying it in a block of their own.
    raw = transfer(net.genesis.hash, "anna", 0, "bruno").hex()
    answer = call(net.nodes[0].rpc, "tx_submit", {"raw": raw, "wait": "accepted"})
    assert answer["status"] == "pending"
    time.sleep(SILENCE_S)
    for place in (0, 1, 2):
        assert net.is_alive(place), f"its guard had to stop it: {net.log_tail(place)}"
    now = [height(net, place) for place in (0, 1, 2)]
    assert max(now) <= max(stands), "a block was decided that the true past knows otherwise"
    net.restart(3)
    until("all have it", lambda: min(height(net, p) for p in ALL) >= last, seconds=GO_ON_S)
    for place in ALL:
        assert [block["hash"] for block in blocks(net, place, last)] == truth
    done = call(
        net.nodes[3].rpc, "tx_submit", {"raw": raw, "wait": "committed", "timeout_ms": 15_000}
    )
    assert done["status"] == "committed" and done["height"] > last
    for node in net.nodes:
        until(f"{node.name} votes", lambda node=node: votes(net, node.name), seconds=GO_ON_S)
    check_no_evidence(net)


def blocks(net: Localnet, place: int, last: int) -> list[dict[str, str]]:
    return call_each(net.nodes[place].rpc, "chain_block", [[at] for at in range(last + 1)])


_NONCES = iter(range(1, 1_000))


def votes(net: Localnet, name: str) -> bool:
    """Whether one more block is signed by `name`; the load has ended."""
    raw = transfer(net.genesis.hash, "anna", next(_NONCES), "bruno").hex()
    asked = {"raw": raw, "wait": "committed", "timeout_ms": 10_000}
    return name in signers(net, call(net.nodes[1].rpc, "tx_submit", asked)["height"])


def test_afterwards_the_books_are_in_order(net: Localnet, bank: Bank) -> None:
    check_books(net, bank)
    for node in net.nodes:
        check_no_contradiction(node.home)
