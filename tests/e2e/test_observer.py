"""A node outside the validator set, as a process of its own: it follows, reads and passes on."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mgsnode.config import load_settings
from mgsnode.devnet import dev_key_file
from mgsnode.home import create_home, create_keys
from mgsnode.localnet import Localnet
from mgsnode.ports import free_base_port
from tests.e2e.support import call, height, transfer, until

pytestmark = pytest.mark.e2e


def test_an_observer_follows_the_chain_and_takes_payments(tmp_path: Path) -> None:
    certificate = dev_key_file("watcher", "transport").certificate.hex()
    listed = f'[{{ name = "watcher", certificate = "{certificate}" }}]'
    net = Localnet.create(tmp_path / "net", base_port=None, settings={"p2p.observers": listed})
    home, port = tmp_path / "watcher", free_base_port(2)
    create_keys(
        home,
        transport=dev_key_file("watcher", "transport"),
        vote=dev_key_file("watcher", "vote"),
        passphrase=None,
    )
    flags = {"p2p.port": str(port), "rpc.port": str(port + 1)}
    create_home(home, genesis=net.genesis, settings=load_settings(None, flags=flags, environ={}))
    url = f"http://127.0.0.1:{port + 1}"

    nonces = iter(range(10))

    def pay(at: str) -> int:
        """A payment handed in there; the height where it is final."""
        raw = transfer(net.genesis.hash, "anna", next(nonces), "bruno")
        done = call(at, "tx_submit", {"raw": raw.hex(), "wait": "committed", "timeout_ms": 10_000})
        assert done["status"] == "committed"
        return int(done["height"])

    with net:
        net.start()
        pay(net.nodes[0].rpc)
        program = [sys.executable, "-m", "mgsnode.cli.main", "start", "--home", str(home)]
        with (tmp_path / "watcher.log").open("wb") as log:
            watcher = subprocess.Popen(program, stdout=log, stderr=log)
        try:
            until("it is ready", lambda: _ready(url), seconds=30)
            until("it has caught up", lambda: _height(url) >= height(net, 0))
            status = call(url, "node_status")
            assert (status["role"], status["gateway"]) == ("observer", "")
            paid = pay(url)  # in at the observer, final at the members
            until("a member has it", lambda: height(net, 2) >= paid)
            before = call(net.nodes[1].rpc, "chain_block", {"height": paid})
            assert call(url, "chain_block", {"height": paid})["hash"] == before["hash"]
        finally:
            watcher.terminate()
            assert watcher.wait(timeout=15) == 0


def _ready(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)


def _height(url: str) -> int:
    return int(call(url, "node_status")["height"])
