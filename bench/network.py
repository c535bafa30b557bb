"""A local network to be measured: its accounts, and what its processes have spent so far.

All figures of cost come from the processes' own accounting: CPU time from the kernel (children
included), counters from `/metrics`. Nothing here runs while the clock of a measurement runs.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from mgsnode.devnet import MICRO, DevAccount
from mgsnode.localnet import Localnet, Node

_SAMPLER = Path(__file__).with_name("sampler.py")
_ACCOUNT_DOLLARS = 1_000 * MICRO
_SAMPLE = re.compile(r"^(mgs_[a-z_]+) ([0-9.e+-]+)$", re.MULTILINE)
_ENV_LIFE = "--life-fd"


class Spent(NamedTuple):
    """What one node has used since it started."""

    cpu_s: float  # user and system, children included
    resident_bytes: int
    disk_bytes: int  # handed to the disk, compaction included
    counters: Mapping[str, float]  # of /metrics

    def reading(self, name: str) -> float:
        """A counter or gauge of `/metrics` by its name without `mgs_`, 0 where there is none."""
        return self.counters.get(f"mgs_{name}", self.counters.get(f"mgs_{name}_total", 0.0))


class SampledNet(Localnet):
    """A network whose nodes note every few milliseconds what they are at (`bench profile`)."""

    def command(self, node: Node, life_fd: int) -> list[str]:
        """The node's command, under the sampler; it writes `profile.json` into the home."""
        out = str(node.home / "profile.json")
        start = ["start", "--home", str(node.home), _ENV_LIFE, str(life_fd)]
        return [sys.executable, "-P", str(_SAMPLER), out, *start]


def account_names(count: int) -> list[str]:
    """The names of the accounts that pay each other."""
    return [f"bench-{index}" for index in range(count)]


@contextmanager
def network(
    accounts: int, *, sampled: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[Localnet]:
    """A running four-node network with `accounts` funded accounts, in a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="mgs-bench-"))
    funded = [DevAccount(name, dollar=_ACCOUNT_DOLLARS) for name in account_names(accounts)]
    make = SampledNet if sampled else Localnet
    try:
        net = make.create(root, base_port=None, settings=settings, accounts=funded)
        with net:
            net.start()
            yield net
    finally:
        shutil.rmtree(root, ignore_errors=True)


def processes(pid: int) -> list[psutil.Process]:
    """A node's process and its helpers."""
    own = psutil.Process(pid)
    return [own, *own.children(recursive=True)]


def spent(node: Node, pid: int) -> Spent:
    """What this node has used so far."""
    with urllib.request.urlopen(node.rpc + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    family = processes(pid)
    times = [process.cpu_times() for process in family]
    return Spent(
        cpu_s=sum(t.user + t.system for t in times)
        + times[0].children_user
        + times[0].children_system,
        resident_bytes=sum(process.memory_info().rss for process in family),
        disk_bytes=sum(process.io_counters().write_bytes for process in family),
        counters={name: float(value) for name, value in _SAMPLE.findall(text)},
    )


def spent_by_all(net: Localnet) -> list[Spent]:
    """What each node has used so far, in the nodes' order."""
    found: list[Spent] = []
    for node in net.nodes:
        pid = net.pid(node.place)
        assert pid is not None
        found.append(spent(node, pid))
    return found
