"""A local network: what it writes, who dies with whom, and who is never brought back.

The children here answer like nodes and are none; real ones run in tests/e2e.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError, MgsError
from mgsnode.base.keys import SigningKey
from mgsnode.config import load_settings, settings_toml
from mgsnode.devnet import dev_genesis, dev_key_file
from mgsnode.genesis import genesis_text
from mgsnode.home import Home, create_keys, load_node_keys
from mgsnode.localnet import LOCALNET_FILE, Localnet, Node
from mgsnode.ports import busy_ports, free_base_port


class FakeNet(Localnet):
    """A `Localnet` whose children are fakes."""

    def command(self, node: Node, life_fd: int) -> list[str]:
        return [sys.executable, "-m", "tests.mgsnode.fake_child", str(node.home), str(life_fd)]


def make_homes(root: Path, gateways: int = 2) -> Path:
    """Homes without stores, as far as fakes need them."""
    base = free_base_port(2 * gateways)
    genesis = dev_genesis(gateways=gateways, base_port=base)
    for place, gateway in enumerate(genesis.gateways):
        home = Home(root / gateway.name)
        create_keys(
            home.root,
            transport=dev_key_file(gateway.name, "transport"),
            vote=dev_key_file(gateway.name, "vote"),
            passphrase=None,
        )
        ports = {"p2p.port": str(base + 2 * place), "rpc.port": str(base + 2 * place + 1)}
        settings = load_settings(None, flags=ports, environ={})
        (home.config / "config.toml").write_text(settings_toml(settings))
        home.genesis.write_text(genesis_text(genesis))
        home.store.mkdir(parents=True)
    return root


@pytest.fixture
def net(tmp_path: Path) -> Iterator[FakeNet]:
    made = FakeNet.open(make_homes(tmp_path))
    yield made
    made.stop()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_file_lists_nodes_and_accounts_once_all_answer(net: FakeNet) -> None:
    assert not (net.root / LOCALNET_FILE).exists()
    net.start()
    document = json.loads((net.root / LOCALNET_FILE).read_text())
    base = net.nodes[0].p2p_port
    for place, node in enumerate(document["nodes"]):
        assert set(node) == {"name", "gateway", "home", "rpc", "ws", "p2p", "pid"}
        assert node["rpc"] == f"http://127.0.0.1:{base + 2 * place + 1}"
        assert node["ws"] == f"ws://127.0.0.1:{base + 2 * place + 1}/ws"
        assert node["p2p"] == f"127.0.0.1:{base + 2 * place}"
        assert is_running(node["pid"])
    accounts = {account["name"]: account for account in document["accounts"]}
    assert {"albion", "danube", "arbiter"} < set(accounts)
    assert next(iter(accounts)) == "anna"
    for account in document["accounts"]:
        key = SigningKey(bytes.fromhex(account["seed"]))
        genesis = {a.name: a.address for a in net.genesis.accounts}
        from mgsnode.base.hashing import address_of

        assert genesis[account["name"]] == address_of(key.public_key)


def test_a_killed_node_stays_dead_until_it_is_restarted(net: FakeNet) -> None:
    net.start()
    before = net.pid(0)
    net.kill(0)
    time.sleep(0.2)
    assert not net.is_alive(0)
    assert not net.answers(0)
    assert net.answers(1)
    net.restart(0)
    assert net.answers(0)
    document = json.loads((net.root / LOCALNET_FILE).read_text())
    assert document["nodes"][0]["pid"] == net.pid(0) != before


def test_stop_ends_every_node(net: FakeNet) -> None:
    net.start()
    pids = [net.pid(node.place) for node in net.nodes]
    net.stop()
    assert not any(is_running(pid) for pid in pids if pid is not None)


def test_a_node_that_ends_before_it_answers_ends_the_start(net: FakeNet) -> None:
    (net.nodes[1].home / "broken").touch()
    with pytest.raises(MgsError, match="danube ended with 5 before it answered: the store is on"):
        net.start()
    assert not net.is_alive(0)
    assert not (net.root / LOCALNET_FILE).exists()


def test_a_port_in_use_is_said_by_name(net: FakeNet) -> None:
    net.start()
    other = FakeNet(net.root, net.genesis, net.nodes)
    with pytest.raises(MgsError, match=r"port \d+ is in use; albion needs it"):
        other.start()
    assert net.answers(0)


def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    make_homes(tmp_path)
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from tests.mgsnode.test_localnet import FakeNet\n"
        "net = FakeNet.open(Path(sys.argv[1]))\nnet.start()\nprint('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    document = json.loads((tmp_path / LOCALNET_FILE).read_text())
    pids = [node["pid"] for node in document["nodes"]]
    assert all(is_running(pid) for pid in pids)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not any(is_running(pid) for pid in pids))


def test_a_folder_without_a_network_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no local network"):
        Localnet.open(tmp_path)
    make_homes(tmp_path)
    Home(tmp_path / "danube").store.rmdir()
    with pytest.raises(ConfigError, match="danube is missing or half made"):
        Localnet.open(tmp_path)


def test_free_ports_are_free_and_neighbours() -> None:
    base = free_base_port(8)
    assert busy_ports(base, 8) == []


def test_a_home_gives_its_two_keys_and_refuses_the_wrong_one(tmp_path: Path) -> None:
    make_homes(tmp_path)
    home = Home(tmp_path / "albion")
    keys = load_node_keys(home.root, None)
    assert keys.transport.certificate == dev_genesis().gateways[0].transport_certificate
    assert keys.vote is not None
    assert keys.vote.public_key == dev_genesis().gateways[0].vote_key
    home.gateway_key.unlink()
    assert load_node_keys(home.root, None).vote is None
    home.node_key.rename(home.gateway_key)
    with pytest.raises(ConfigError, match=r"node_key\.json does not exist"):
        load_node_keys(home.root, None)
    home.node_key.write_bytes(home.gateway_key.read_bytes())
    home.node_key.chmod(0o600)
    with pytest.raises(ConfigError, match="a key for transport, not for vote"):
        load_node_keys(home.root, None)
