"""More than f validators are lost for good: the procedure of docs/operating.md, step by step.

Case 75. Of four gateways two are gone with their disks: one company puts up a new machine with
new keys, the other is replaced by a newcomer. The chain's state goes on under a new name.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgsnode.home import Home
from mgsnode.localnet import VIEW_TIMEOUT_MS, Localnet, Node
from mgsnode.ports import free_base_port
from tests.e2e.checks import check_books, check_no_evidence, configure, mgsnode
from tests.e2e.support import (
    WALLETS,
    Bank,
    Refusal,
    address,
    call,
    height,
    transfer,
    until,
    wallet_accounts,
)

pytestmark = pytest.mark.e2e
RENEWED, GONE, NEW = "albion", "rhenus", "hibernia"
LEFT = ("danube", "lutetia")
STANDS_S = 3  # several view timeouts without a block
BOND = 5_000_000


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Localnet]:
    made = Localnet.create(tmp_path / "net", base_port=None, accounts=wallet_accounts())
    with made:
        made.start()
        yield made


def accounts(net: Localnet, place: int) -> dict[str, Any]:
    """What everybody has, as a node shows it."""
    names = [f"wallet-{number}" for number in range(WALLETS)]
    names += [RENEWED, *LEFT, GONE, "anna", "bruno"]
    found = {name: call(net.nodes[place].rpc, "account_get", [address(name)]) for name in names}
    return {
        name: {key: row[key] for key in ("dollar", "token", "nonces")}
        for name, row in found.items()
    }


def lose_two(net: Localnet, bank: Bank) -> None:
    """Two nodes and their disks are gone, under load. The other two stand at one height."""
    for name in (RENEWED, GONE):
        node = next(node for node in net.nodes if node.name == name)
        net.kill(node.place)
        shutil.rmtree(node.home)
    bank.abandon()
    until("the two that are left stand at one height", lambda: height(net, 1) == height(net, 2))
    before = height(net, 1)
    time.sleep(STANDS_S)
    assert [height(net, 1), height(net, 2)] == [before, before]


def members(root: Path, port: int) -> list[dict[str, Any]]:
    """Who votes from now on; the two new machines make their keys first."""
    made = {
        name: mgsnode("init", "--home", root / name, "--keys-only", "--clear", "--name", name)
        for name in (RENEWED, NEW)
    }
    keys = {
        name: {field: told[field] for field in ("vote_key", "transport_certificate")}
        for name, told in made.items()
    }
    newcomer = {
        "name": NEW,
        **keys[NEW],
        "endpoint": f"127.0.0.1:{port + 2}",
        "country": "IE",
        "currencies": ["EUR"],
        "owner_hash": "ab" * 32,
        "operator": address("anna"),
        "bond": str(BOND),
        "cap": "1000000",
    }
    renewed = {"name": RENEWED, **keys[RENEWED], "endpoint": f"127.0.0.1:{port}"}
    return [renewed, *({"name": name} for name in LEFT), newcomer]


def make_homes(net: Localnet, root: Path, out: Path, port: int) -> Localnet:
    """A new home for everyone; those that are left bring their keys and nothing else."""
    old = {node.name: node for node in net.nodes}
    ports = {RENEWED: port, NEW: port + 2, **{name: old[name].p2p_port for name in LEFT}}
    for name in LEFT:
        config = Home(root / name).config
        config.mkdir(parents=True)
        for key in Home(old[name].home).config.glob("*_key.json"):
            shutil.copy2(key, config)
    for name, p2p in ports.items():
        init = ("init", "--home", root / name, "--clear", "--genesis", out / "genesis.json")
        mgsnode(*init, "--carried", out / "carried")
        node = Node(0, name, name, root / name, "127.0.0.1", p2p, p2p + 1)
        configure(node, "port = 26600", f"port = {p2p}")
        configure(node, "port = 26601", f"port = {p2p + 1}")
        configure(node, "view_timeout_ms = 4000", f"view_timeout_ms = {VIEW_TIMEOUT_MS}")
    mgsnode("config", "check", "--home", root / RENEWED)
    return Localnet.open(root)


def test_a_chain_that_lost_its_quorum_goes_on_from_its_last_certified_height(
    net: Localnet, tmp_path: Path
) -> None:
    with Bank(net) as bank:
        bank.go_on(more=24)
        lose_two(net, bank)
    before, last = accounts(net, 1), height(net, 1)
    position = call(net.nodes[1].rpc, "gateway_get", [GONE])
    known = [
        (txid, at, by)
        for payer in bank.payers
        for (txid, at), by in zip(payer.paid, payer.told_by, strict=True)
    ]
    for txid, at, by in known:
        if at <= last:
            assert call(net.nodes[2].rpc, "tx_status", [txid])["height"] == at
        else:  # only who is gone can have told so
            assert by in (RENEWED, GONE)
    for place in (1, 2):
        assert net.stop_node(place) == 0

    root, out, port = tmp_path / "next", tmp_path / "carried", free_base_port(4)
    listed = tmp_path / "members.json"
    listed.write_text(json.dumps(members(root, port)), encoding="utf-8")
    made = mgsnode(
        "genesis", "carry", "--home", net.nodes[1].home, "--members", listed, "--out", out
    )
    assert made["height"] == last
    checked = mgsnode("genesis", "check", out / "genesis.json", "--earlier", net.nodes[2].home)
    assert (checked["hash"], checked["quorum"]) == (made["hash"], 3)

    following = make_homes(net, root, out, port)
    with following:
        following.start()
        after = accounts(following, 0)
        before["anna"]["token"] = str(int(before["anna"]["token"]) - BOND)  # the newcomer's bond
        assert after == before
        stranded = transfer(net.genesis.hash, "bruno", 0, "anna").hex()
        with pytest.raises(Refusal) as refused:
            call(following.nodes[0].rpc, "tx_submit", {"raw": stranded})
        assert refused.value.data["reason"] == "WRONG_CHAIN"
        gone = call(following.nodes[0].rpc, "gateway_get", [GONE])
        assert (gone["status"], gone["seat"]) == ("suspended", False)
        kept = ("bond", "cap", "owed", "operator", "owner_hash")
        assert [gone.get(key) for key in kept] == [position.get(key) for key in kept]
        with Bank(following) as bank:
            bank.go_on(more=24)
            following.kill(3)  # a fault is borne again
            bank.go_on(seconds=40)
            following.restart(3)
            bank.go_on()
        check_no_evidence(following)
        check_books(following, bank)
