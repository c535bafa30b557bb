"""A fifth company joins four running nodes and votes; then a founder leaves; the chain goes on.

The tests share one network and one bank on purpose: each begins where the one before ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from mgsnode.base.address import address_text
from mgsnode.client import Client
from mgsnode.config import load_settings
from mgsnode.devnet import DevAccount, dev_address, dev_key, dev_key_file
from mgsnode.home import Home, create_home, create_keys
from mgsnode.localnet import VIEW_TIMEOUT_MS, Localnet, Node
from mgsnode.ports import free_base_port
from tests.e2e.checks import mgsnode, signs
from tests.e2e.support import Bank, call, check_one_chain, height, settle, until, wallet_accounts

pytestmark = pytest.mark.e2e
NEW = "hibernia"
FOUNDERS = ("albion", "danube", "lutetia", "rhenus")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    """Four nodes that admit the newcomer's node as an observer, and that node's home."""
    root = tmp_path_factory.mktemp("net")
    certificate = dev_key_file(NEW, "transport").certificate.hex()
    made = Localnet.create(
        root,
        base_port=None,
        accounts=[*wallet_accounts(), DevAccount(NEW, token=1_000_000)],
        settings={"p2p.observers": f'[{{name = "{NEW}", certificate = "{certificate}"}}]'},
    )
    with made:
        made.start()
        add_home(made)
        yield made


def add_home(net: Localnet) -> None:
    """The newcomer's node, made from the genesis alone."""
    port = free_base_port(2)
    home = net.root / NEW
    flags = {
        "p2p.port": str(port),
        "rpc.port": str(port + 1),
        "consensus.view_timeout_ms": str(VIEW_TIMEOUT_MS),
    }
    transport, vote = dev_key_file(NEW, "transport"), dev_key_file(NEW, "vote")
    create_keys(home, transport=transport, vote=vote, passphrase=None)
    create_home(home, genesis=net.genesis, settings=load_settings(None, flags=flags, environ={}))
    net.nodes.append(Node(4, NEW, NEW, home, "127.0.0.1", port, port + 1))


@pytest.fixture(scope="module")
def bank(net: Localnet) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        yield made


def send(net: Localnet, who: str, kind: str, fields: dict[str, Any]) -> str:
    """The txid of a transaction of a gateway's operator, final and not refused."""

    async def work() -> dict[str, Any]:
        async with Client(net.nodes[1].rpc) as client:
            return await client.send(kind, fields, [dev_key(who)], sender=text(who))

    answer = asyncio.run(work())
    assert answer["status"] == "committed", answer
    return str(answer["txid"])


def text(name: str) -> str:
    return address_text(dev_address(name), "tmgs")


def carry(net: Localnet, action: str, args: dict[str, Any], voters: tuple[str, ...]) -> int:
    """Propose and vote; the height at which it takes effect."""
    at = height(net, 1) + 120
    fields = {"action": action, "args": args, "effective_height": at}
    asked = send(net, voters[0], "gov_propose", fields)
    for voter in voters[1:]:
        send(net, voter, "gov_vote", {"proposal": asked, "yes": True})
    proposal = call(net.nodes[1].rpc, "proposal_get", [asked])
    assert proposal["status"] in ("passed", "done"), proposal
    return at


def validators(net: Localnet, at: int) -> list[str]:
    answer = call(net.nodes[1].rpc, "chain_validators", [at])
    return [item["gateway"] for item in answer["items"]]


def certificate(net: Localnet, at: int) -> Any:
    return call(net.nodes[1].rpc, "chain_certificate", [at])


def test_the_newcomers_node_follows_as_an_observer(net: Localnet, bank: Bank) -> None:
    net.start_node(4)
    net.wait_ready(4)
    until("the newcomer has caught up", lambda: height(net, 4) >= height(net, 1) - 2)
    assert call(net.nodes[4].rpc, "node_status")["role"] == "observer"
    bank.go_on()


def test_it_joins_and_signs_blocks(net: Localnet, bank: Bank) -> None:  # cases 73, 74
    node = net.nodes[4]
    args = {
        **mgsnode("gov", "consent", "--home", node.home),
        "country": "IE",
        "currencies": ["EUR"],
        "owner_hash": "ab" * 32,
        "operator": text(NEW),
        "endpoint": f"127.0.0.1:{node.p2p_port}",
        "bond": "1000000",
        "cap": "1000000000",
    }
    at = carry(net, "join", args, FOUNDERS[:3])
    until("its height", lambda: height(net, 1) > at + 1, seconds=60)
    assert validators(net, at) == list(FOUNDERS)
    assert validators(net, at + 1) == [*FOUNDERS, NEW]
    until("the newcomer votes", lambda: signs(net, NEW), seconds=30)
    status = call(node.rpc, "node_status")
    assert (status["role"], status["gateway"], status["era"]) == ("validator", NEW, 1)
    bank.go_on()


def test_one_of_five_may_die(net: Localnet, bank: Bank) -> None:
    net.kill(3)
    bank.go_on()
    until("the newcomer votes", lambda: signs(net, NEW))
    net.restart(3)
    until("the node catches up", lambda: height(net, 3) >= height(net, 1) - 2)


def test_a_founder_leaves_and_four_go_on(net: Localnet, bank: Bank) -> None:
    at = carry(net, "leave", {"gateway": "albion"}, ("danube", "lutetia", "rhenus", NEW))
    until("its height", lambda: height(net, 1) > at + 1, seconds=60)
    assert validators(net, at + 1) == [*FOUNDERS[1:], NEW]
    bank.go_on()
    status = call(net.nodes[0].rpc, "node_status")
    assert (status["role"], status["era"]) == ("observer", 2)
    until("the leaver follows", lambda: height(net, 0) > at + 3)
    gateway = call(net.nodes[1].rpc, "gateway_get", ["albion"])
    assert (gateway["status"], gateway["seat"]) == ("leaving", False)


def test_the_newcomers_vote_is_needed_when_a_founder_dies(net: Localnet, bank: Bank) -> None:
    net.kill(2)
    bank.go_on()
    until("the newcomer votes", lambda: signs(net, NEW))
    net.restart(2)
    until("the node catches up", lambda: height(net, 2) >= height(net, 1) - 2)
    bank.go_on()


def test_a_vote_key_is_replaced_while_the_chain_goes_on(net: Localnet, bank: Bank) -> None:
    node = net.nodes[1]
    args = mgsnode("gov", "rotate-key", "--home", node.home)
    again = mgsnode("gov", "rotate-key", "--home", node.home)
    assert again["vote_key"] == args["vote_key"]
    assert net.stop_node(1) == 0
    net.restart(1)
    at = carry(net, "rotate", again, ("danube", "lutetia", "rhenus"))
    until("its height", lambda: height(net, 1) > at + 1, seconds=60)
    until("the new key signs", lambda: signs(net, "danube"))
    last = certificate(net, height(net, 1))["signatures"]
    assert {item["public_key"] for item in last if item["gateway"] == "danube"} <= {
        args["vote_key"]
    }
    home = Home(node.home)
    assert not home.next_gateway_key.exists() and not home.next_journal.exists()
    assert len(list(node.home.glob("journal.*"))) == 1
    bank.go_on()


def test_all_killed_come_back_in_the_new_era(net: Localnet, bank: Bank) -> None:
    for node in net.nodes:
        net.kill(node.place)
    for node in net.nodes:
        net.start_node(node.place)
    for node in net.nodes:
        net.wait_ready(node.place)
    bank.go_on(seconds=40)
    roles = [call(node.rpc, "node_status")["role"] for node in net.nodes]
    assert roles == ["observer", *["validator"] * 4]


def test_the_money_adds_up_and_every_node_passes_its_audit(net: Localnet, bank: Bank) -> None:
    bank.stop()
    last = settle(net)
    check_one_chain(net, last)
    bank.check()
    for place in (0, 1, 4):
        assert net.stop_node(place) == 0
        assert mgsnode("audit", "--home", net.nodes[place].home)["height"] >= last
