"""One home is one voter: a second process is refused, and a node without its journal only reads."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from mgsnode.home import Home
from mgsnode.localnet import Localnet
from tests.e2e.support import Bank, Refusal, call, check_one_chain, height, settle, until

pytestmark = pytest.mark.e2e
START = [sys.executable, "-m", "mgsnode.cli.main", "start", "--home"]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no test leaves a node behind


def test_a_second_process_on_one_home_ends_with_4_and_the_first_goes_on(  # case 43
    net: Localnet,
) -> None:
    node = net.nodes[1]
    done = subprocess.run([*START, str(node.home)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    with Bank(net) as bank:
        bank.go_on(seconds=20)
    assert net.is_alive(1)
    settle(net)
    bank.check()


def test_a_killed_node_comes_back_with_mgsnode_start(net: Localnet) -> None:
    place = 2
    net.kill(place)
    process = subprocess.Popen(
        [*START, str(net.nodes[place].home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )
    try:
        until("the node answers", lambda: height(net, place) >= 0)
        last = settle(net)
        check_one_chain(net, last)
        assert call(net.nodes[place].rpc, "node_status")["role"] == "validator"
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
    net.restart(place)


def test_a_node_with_a_deleted_journal_follows_and_does_not_vote(net: Localnet) -> None:  # 42
    place = 0
    node = net.nodes[place]
    assert net.stop_node(place) == 0
    shutil.rmtree(Home(node.home).journal)
    net.restart(place)
    first = height(net, place) + 1
    assert call(node.rpc, "node_status")["role"] == "observer"
    checks = {c["name"]: c for c in call(node.rpc, "node_health")["checks"]}
    assert not checks["vote"]["ok"]
    assert "journal" in checks["vote"]["detail"]
    with Bank(net) as bank:
        bank.go_on(more=24, seconds=40)
    last = settle(net)
    check_one_chain(net, last)
    bank.check()
    assert last > first
    for at in range(first, last + 1):
        certificate = call(net.nodes[1].rpc, "chain_certificate", [at])
        signers = {signature["gateway"] for signature in certificate["signatures"]}
        assert node.gateway not in signers
        assert len(signers) >= 3
    with urllib.request.urlopen(node.rpc + "/livez", timeout=5) as answer:
        assert answer.status == 200
    with pytest.raises(Refusal):
        call(node.rpc, "chain_block", [last + 1_000])
