"""Two processes, one key, two homes: one of them stands aside and the chain does not notice.

Case 43. The lock of a home cannot see the other home; what others have seen this key sign can.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mgsnode.audit import audit_home
from mgsnode.home import Home
from mgsnode.localnet import Localnet, Node
from mgsnode.ports import free_base_port
from state.ledger import Ledger
from tests.e2e.checks import (
    caught_up,
    check_books,
    check_no_contradiction,
    check_of,
    configure,
)
from tests.e2e.support import Bank, call, until

pytestmark = pytest.mark.e2e
GO_ON_S = 40.0


@pytest.mark.long
def test_a_twin_with_the_same_key_in_another_home_makes_no_second_history(
    net: Localnet, tmp_path: Path
) -> None:
    node, others = net.nodes[2], (0, 1, 3)
    with Bank(net) as bank:
        bank.go_on(seconds=GO_ON_S)
        assert net.stop_node(2) == 0
        home = tmp_path / "twin"
        shutil.copytree(node.home, home)
        port = free_base_port(2)
        twin = Node(len(net.nodes), node.name, node.gateway, home, node.host, port, port + 1)
        configure(twin, f"port = {node.p2p_port}", f"port = {port}")
        configure(twin, f"port = {node.rpc_port}", f"port = {port + 1}")
        net.restart(2)
        bank.go_on(seconds=GO_ON_S)
        net.nodes.append(twin)
        try:
            net.start_node(twin.place)
            net.wait_ready(twin.place)
            bank.go_on(more=60, seconds=GO_ON_S)
            pair = (node, twin)
            until("one of the two stands aside", lambda: any(why_not(n) for n in pair))
            print(f"the first: {why_not(node)!r}; its twin: {why_not(twin)!r}")
            bank.go_on(seconds=GO_ON_S)
        finally:
            net.stop_node(twin.place)
            net.nodes.remove(twin)
        until("it catches up", lambda: caught_up(net, 2, others), seconds=GO_ON_S)
        bank.go_on(seconds=GO_ON_S)
    for place in others:  # it may have voted before it heard of its twin: then that is proved
        assert call(net.nodes[place].rpc, "node_status")["role"] == "validator"
    last = check_books(net, bank)
    for each in (*(n.home for n in net.nodes), home):
        check_no_contradiction(each)
    assert 0 < twins_history(home, net) <= last


def why_not(node: Node) -> str:
    """Why it votes for nothing; "" if it votes."""
    ok, why = check_of(node, "vote")
    return "" if ok else why


def twins_history(home: Path, net: Localnet) -> int:
    """The twin's chain is the beginning of everybody's; how long it is."""
    mine = Ledger.open(Home(home).store, net.genesis)
    theirs = Ledger.open(Home(net.nodes[0].home).store, net.genesis)
    try:
        at = mine.head.header.height
        stored = theirs.stored_block(at)
        assert stored is not None and stored[0] == mine.head.header
    finally:
        mine.close()
        theirs.close()
    assert audit_home(home).ok
    return at
