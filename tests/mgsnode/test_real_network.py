"""Four real processes: paid on one, final on another, killed, brought back, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.errors import MgsError
from mgsnode.client import call_once
from mgsnode.localnet import LOCALNET_FILE, Localnet
from mgsnode.ports import free_base_port

pytestmark = pytest.mark.e2e
PROGRAM = (sys.executable, "-m", "mgsnode.cli.main")


def mgsnode(*arguments: object, code: int = 0) -> Any:
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments), "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    made = Localnet.create(tmp_path_factory.mktemp("net"), base_port=None)
    with made:
        made.start()
        yield made


def address(net: Localnet, name: str) -> str:
    return next(a["address"] for a in net.accounts() if a["name"] == name)


def dollars(net: Localnet, place: int, name: str) -> int:
    answer = call_once(net.nodes[place].rpc, "account_get", {"address": address(net, name)})
    return int(answer["dollar"])


def eventually(what: Any, wanted: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := what()) != wanted:
        assert time.monotonic() < deadline, f"{found} is not {wanted}"
        time.sleep(0.1)


def test_a_payment_made_at_one_node_is_final_at_another(net: Localnet) -> None:
    before = dollars(net, 2, "bruno")
    paid = mgsnode(
        "pay", address(net, "bruno"), "12.50", "--memo", "for tea", "--dev-key", "anna",
        "--rpc", net.nodes[0].rpc,
    )  # fmt: skip
    assert paid["status"] == "committed"
    eventually(lambda: dollars(net, 2, "bruno"), before + 12_500_000)
    status = mgsnode("tx", "wait", paid["txid"], "--rpc", net.nodes[2].rpc)
    assert (status["status"], status["height"]) == ("committed", paid["height"])


def test_an_overspent_payment_is_refused_with_its_code(net: Localnet) -> None:
    refused = mgsnode(
        "pay", address(net, "bruno"), "900000000", "--dev-key", "anna", "--rpc", net.nodes[1].rpc,
        code=1,
    )  # fmt: skip
    assert (refused["status"], refused["code"]) == ("refused", 101)


def test_signing_offline_in_three_steps(net: Localnet, tmp_path: Path) -> None:
    before = dollars(net, 0, "chloe")
    fields = {"outputs": [{"to": address(net, "chloe"), "amount": "7", "memo": ""}]}
    file, signed = tmp_path / "t.json", tmp_path / "s.json"
    mgsnode(
        "tx", "build", "dollar_transfer", json.dumps(fields), "--sender", address(net, "anna"),
        "--rpc", net.nodes[0].rpc, "--out", file,
    )  # fmt: skip
    mgsnode("tx", "sign", file, "--dev-key", "bruno", "--out", signed)
    stranger = mgsnode("tx", "send", signed, "--rpc", net.nodes[0].rpc, code=1)
    assert "NOT_AUTHORISED" in stranger
    mgsnode("tx", "sign", file, "--dev-key", "anna", "--out", signed)
    for _ in range(2):  # the same transaction again is not an error
        sent = mgsnode("tx", "send", signed, "--committed", "--rpc", net.nodes[0].rpc)
        assert sent["status"] == "committed"
    eventually(lambda: dollars(net, 0, "chloe"), before + 7)


def test_the_killed_primary_is_done_without_and_comes_back(net: Localnet) -> None:
    primary = mgsnode("status", "--rpc", net.nodes[1].rpc)["primary"]
    place = next(node.place for node in net.nodes if node.gateway == primary)
    other = net.nodes[(place + 1) % len(net.nodes)]
    net.kill(place)
    paid = mgsnode("pay", address(net, "bruno"), "1", "--dev-key", "anna", "--rpc", other.rpc)
    assert paid["status"] == "committed"
    with pytest.raises(MgsError):
        call_once(net.nodes[place].rpc, "node_status")
    net.restart(place)
    eventually(lambda: call_once(net.nodes[place].rpc, "node_status")["height"], paid["height"])
    hashes = {
        call_once(node.rpc, "chain_block", {"height": paid["height"]})["hash"] for node in net.nodes
    }
    assert len(hashes) == 1


def test_case_43_a_second_process_with_the_same_home_is_locked_out(net: Localnet) -> None:
    said = mgsnode("start", "--home", net.nodes[3].home, code=4)
    assert "in use by another process" in said


def test_sigterm_ends_the_network_but_not_a_node_started_by_hand(tmp_path: Path) -> None:
    base = free_base_port(8)
    home = tmp_path / "net"
    network = subprocess.Popen(
        [*PROGRAM, "localnet", "--home", str(home), "--base-port", str(base)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert network.stdout is not None
    lines = [network.stdout.readline() for _ in range(4)]
    assert [line.split()[1] for line in lines] == [
        f"http://127.0.0.1:{base + 2 * place + 1}" for place in range(4)
    ]
    document = json.loads((home / LOCALNET_FILE).read_text())
    node = document["nodes"][2]
    os.kill(node["pid"], signal.SIGKILL)
    eventually(lambda: Path(f"/proc/{node['pid']}/cmdline").exists(), False)
    by_hand = subprocess.Popen([*PROGRAM, "start", "--home", node["home"]], stderr=-3)
    try:

        def answers() -> bool:
            try:
                return bool(call_once(node["rpc"], "node_status")["chain"] == document["chain"])
            except MgsError:
                return False

        eventually(answers, True)
        network.send_signal(signal.SIGTERM)
        assert network.wait(timeout=30) == 0
        for other in document["nodes"]:
            assert not Path(f"/proc/{other['pid']}/cmdline").exists()
        assert answers()
    finally:
        by_hand.terminate()
        assert by_hand.wait(timeout=30) == 0
        network.stdout.close()
