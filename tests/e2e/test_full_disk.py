"""A disk that fills up: the node steps aside while it can, and dies of a write that fails.

One node's `data/` is a small file system of its own, which takes the right to mount one. Case 44.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.checks import (
    caught_up,
    check_books,
    check_no_evidence,
    check_of,
    configure,
    next_block,
    not_ready,
    signers,
    signs,
    view_of,
)
from tests.e2e.support import Bank, address, call, height, primary, until, wallet_accounts

pytestmark = pytest.mark.e2e
MIB = 1024 * 1024
DISK_BYTES, FLOOR_BYTES = 96 * MIB, 32 * MIB
FULL = 0  # whose disk it is: the first primary, the hardest one to lose
OTHERS = (1, 2, 3)
GO_ON_S = 40.0


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    root = tmp_path_factory.mktemp("net")
    settings = {"store.free_bytes_min": str(FLOOR_BYTES)}
    made = Localnet.create(root, base_port=None, accounts=wallet_accounts(), settings=settings)
    disk = made.nodes[FULL].home / "data"
    aside = disk.with_name("data.aside")
    disk.rename(aside)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (root may)")
    try:
        shutil.copytree(aside, disk, dirs_exist_ok=True)
        with made:
            made.start()
            yield made
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture(scope="module")
def bank(net: Localnet) -> Iterator[Bank]:
    """Wallets that pay all the time."""
    with Bank(net) as made:
        made.go_on()
        yield made


def fill(net: Localnet, *, leave_bytes: int) -> Path:
    """Something else takes the room on that disk but for so much, while the node writes on."""
    path = net.nodes[FULL].home / "data" / "somebody-elses.file"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(path.parent).free > leave_bytes:
            file.write(bytes(64 * 1024))
    return path


def test_below_the_floor_it_votes_for_nothing_says_so_and_serves_reads(
    net: Localnet, bank: Bank
) -> None:
    node = net.nodes[FULL]
    assert primary(net) == FULL
    view = view_of(net, range(4))
    other = fill(net, leave_bytes=FLOOR_BYTES // 2)
    print(f"primary's disk full: {next_block(net, OTHERS, view, seconds=GO_ON_S)}")
    until("it says so", lambda: "MiB free on the disk" in not_ready(node))
    ok, detail = check_of(node, "disk")
    assert not ok and "MiB free on the disk" in detail
    stands = height(net, FULL)
    first = max(height(net, place) for place in OTHERS) + 1
    bank.go_on(more=24, seconds=GO_ON_S)
    last = height(net, 1)
    assert last > first
    for at in range(first, last + 1):
        assert node.name not in signers(net, at), f"it voted at height {at}"
    assert height(net, FULL) == stands
    assert call(node.rpc, "chain_block", [stands])["header"]["height"] == stands
    assert int(call(node.rpc, "account_get", [address("wallet-0")])["dollar"]) > 0
    other.unlink()
    until("it is ready again", lambda: not_ready(node) == "", seconds=GO_ON_S)
    until("it catches up", lambda: caught_up(net, FULL, OTHERS), seconds=GO_ON_S)
    until("it votes again", lambda: signs(net, node.name), seconds=GO_ON_S)
    bank.go_on(seconds=GO_ON_S)


def test_a_write_that_fails_ends_it_and_with_room_it_comes_back(net: Localnet, bank: Bank) -> None:
    """Without a floor; cases 39 and 41 too: what the disk holds then is what it begins with."""
    node = net.nodes[FULL]
    assert net.stop_node(FULL) == 0
    configure(node, f"free_bytes_min = {FLOOR_BYTES}", "free_bytes_min = 0")
    net.restart(FULL)
    until("it votes", lambda: signs(net, node.name), seconds=GO_ON_S)
    other = fill(net, leave_bytes=0)
    until("it has ended", lambda: not net.is_alive(FULL), seconds=GO_ON_S)
    print(f"ended: {net.log_tail(FULL)[-300:]}")
    bank.go_on(more=24, seconds=GO_ON_S)
    other.unlink()
    net.restart(FULL)
    until("it catches up", lambda: caught_up(net, FULL, OTHERS), seconds=GO_ON_S)
    until("it votes again", lambda: signs(net, node.name), seconds=GO_ON_S)
    bank.go_on(seconds=GO_ON_S)


def test_afterwards_the_books_are_in_order(net: Localnet, bank: Bank) -> None:
    check_no_evidence(net)
    check_books(net, bank)
