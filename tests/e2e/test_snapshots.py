"""Real nodes: a snapshot under load, a home that begins with it, and what its audit says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgsnode.home import Home
from mgsnode.localnet import Localnet
from tests.e2e.support import Bank, call, height, settle, until, wallet_accounts

pytestmark = pytest.mark.e2e


def mgsnode(*arguments: object, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "mgsnode.cli.main", *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    made = Localnet.create(
        tmp_path_factory.mktemp("net"), base_port=None, accounts=wallet_accounts()
    )
    for node in made.nodes:
        config = Home(node.home).config / "config.toml"
        text = config.read_text()
        assert "snapshot_every = 0" in text
        text = text.replace("snapshot_every = 0", "snapshot_every = 20")
        config.write_text(text.replace("snapshots_kept = 2", "snapshots_kept = 50"))
    with made:
        made.start()
        yield made


def snapshots(net: Localnet, place: int) -> list[int]:
    rows = json.loads(mgsnode("snapshot", "list", "--home", net.nodes[place].home, "--json"))
    return [row["height"] for row in rows]


def test_an_empty_home_begins_with_a_snapshot_of_its_peers_and_votes_again(net: Localnet) -> None:
    with Bank(net) as bank:
        until("a snapshot on three nodes", lambda: all(snapshots(net, i) for i in range(3)))
        bank.go_on()  # the chain did not stop for it
        home = Home(net.nodes[3].home)
        net.stop_node(3)
        bank.go_on(20)
        for folder in (home.store, home.snapshots):
            shutil.rmtree(folder)
        _empty_store(net, home)
        config = home.config / "config.toml"
        text = config.read_text().replace("from_snapshot = false", "from_snapshot = true")
        config.write_text(text)
        net.restart(3, ready_s=60)
        goal = height(net, 0)
        until("the fourth node has caught up", lambda: height(net, 3) >= goal, seconds=60)
        bank.go_on()
    settle(net)
    base = min(snapshots(net, 3))
    assert base >= 20
    assert call(net.nodes[3].rpc, "node_status")["since"] == base
    assert "from height" in mgsnode("audit", "--rpc", net.nodes[3].rpc, code=3)
    for at in (base, base + 1, height(net, 3)):
        blocks = [call(node.rpc, "chain_block", [at])["hash"] for node in net.nodes]
        assert len(set(blocks)) == 1
    net.stop_node(3)
    said = mgsnode("audit", "--home", home.root).strip()
    assert said.startswith("OK height ") and said.endswith(f" since {base}")
    net.stop_node(2)
    assert "since" not in mgsnode("audit", "--home", net.nodes[2].home)
    net.restart(2)
    net.restart(3)
    settle(net)


def _empty_store(net: Localnet, home: Home) -> None:
    """What `mgsnode init` gives: block 0. The vote journal stays: it knows what was said."""
    from state.ledger import Ledger

    Ledger.create(home.store, net.genesis).close()


def test_a_running_node_makes_a_snapshot_on_command(net: Localnet) -> None:
    with Bank(net) as bank:
        bank.go_on(3)
        node = net.nodes[1]
        made = json.loads(mgsnode("snapshot", "create", "--home", node.home, "--json"))
        bank.go_on(3)
    assert made["height"] in snapshots(net, 1)
    which = ("--height", made["height"], "--json")
    checked = json.loads(mgsnode("snapshot", "verify", "--home", node.home, *which))
    assert checked["root"] == made["root"]
    settle(net)


def test_a_stopped_home_is_restored_and_a_spoiled_snapshot_is_named(
    net: Localnet, tmp_path: Path
) -> None:
    node = net.nodes[1]
    net.stop_node(1)
    newest = snapshots(net, 1)[-1]
    assert "--force" in mgsnode("snapshot", "restore", "--home", node.home, code=3)
    mgsnode("snapshot", "restore", "--home", node.home, "--force")
    net.restart(1)
    goal = height(net, 0)
    until("it has caught up", lambda: height(net, 1) >= goal)
    folder = Home(node.home).snapshots / str(newest)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    chunk = next(iter(copy.glob("chunk-*")))
    raw = chunk.read_bytes()
    chunk.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    said = mgsnode("snapshot", "verify", "--home", node.home, "--from", copy, code=5)
    assert chunk.name in said
