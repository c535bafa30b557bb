"""Where a validator's CPU goes, per transaction: every node runs with a sampler inside.

A stack belongs to the innermost frame that a rule below knows. Sampling costs the nodes a few
per cent themselves; the shares are what to read, the totals come from `bench transfer`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.load import Load
from bench.network import network, spent_by_all
from bench.transfer import closed_loop, figures, open_loop
from bench.wallets import Wallets
from mgsnode.localnet import Localnet

# (what a frame "file:function" begins with, where it belongs); the first that fits.
_RULES = (
    ("bench/sampler.py:Sampler._on_gc", "garbage collection"),
    ("bench/sampler.py", "the sampler"),
    ("mgsnode/base/keys.py:is_signed_by", "signature checks"),
    ("mgsnode/base/keys.py:SigningKey", "own signatures"),
    ("mgsnode/base/", "codec, hashing, opening"),
    ("mgsnode/verifier.py", "signature checks"),
    ("nacl/", "signature checks"),
    ("mgsnode/mempool.py", "mempool"),
    ("mgsnode/intake.py", "intake"),
    ("mgsnode/bodies.py", "bodies"),
    ("mgsnode/guard.py", "journal"),
    ("mgsnode/driver.py", "driver"),
    ("mgsnode/inbox.py", "driver"),
    ("mgsnode/executor.py", "driver"),
    ("mgsnode/worksignal.py", "driver"),
    ("mgsnode/blocksize.py", "driver"),
    ("mgsnode/metrics.py", "metrics"),
    ("mgsnode/api.py", "rpc"),
    ("mgsnode/", "node"),
    ("consensus/journal.py", "journal"),
    ("consensus/", "consensus"),
    ("state/trie.py", "trie"),
    ("state/store.py", "leveldb"),
    ("state/chain.py", "blocks and indexes"),
    ("state/ledger.py", "ledger"),
    ("state/candidate.py", "ledger"),
    ("state/door.py", "ledger"),
    ("state/", "execution"),
    ("p2p/", "p2p"),
    ("asyncio/sslproto.py", "tls"),
    ("ssl.py", "tls"),
    ("rpc/", "rpc"),
    ("aiohttp/", "rpc"),
    ("concurrent/futures/", "threads"),
    ("threading.py", "threads"),
    ("structlog/", "log"),
    ("asyncio/", "event loop"),
    ("selectors.py", "event loop"),
)
_WRITE_S = 20.0


def run(*, rate: int = 0, seconds: float = 10.0, top: int = 25) -> dict[str, object]:
    """The table for one load: `rate` transfers a second, or 0 for as much as the network takes."""
    with network(1_000, sampled=True) as net:
        wallets = Wallets(net.genesis.hash, 1_000, nodes=len(net.nodes))
        plan = (
            open_loop(net, wallets, rate, seconds) if rate else closed_loop(net, wallets, seconds)
        )
        load = Load(plan)
        before = spent_by_all(net)
        _signal_all(net, signal.SIGUSR1)
        load.run()
        after = spent_by_all(net)
        profiles = _collect(net)
        seen = figures(load.outcome(), before, after)
    committed, blocks = seen["committed"], seen["blocks"]
    assert isinstance(committed, int)
    assert isinstance(blocks, int)
    return {
        "load": {name: seen[name] for name in ("committed", "tx_per_s", "blocks", "cpu_us_per_tx")},
        "us_per_tx_and_validator": shares(profiles, max(1, committed), max(1, blocks)),
        "garbage_collection_us_per_tx": _each(profiles, "gc_ns", committed),
        "threads_us_per_tx": _threads(profiles, committed),
        "functions_us_per_tx": functions(profiles, committed, top),
        "lines_us_per_tx": lines(profiles, committed, top),
    }


def _signal_all(net: Localnet, number: signal.Signals) -> None:
    for node in net.nodes:
        pid = net.pid(node.place)
        assert pid is not None
        os.kill(pid, number)


def _collect(net: Localnet) -> list[dict[str, Any]]:
    """Every node's notes, asked for and waited for."""
    _signal_all(net, signal.SIGUSR2)
    deadline = time.monotonic() + _WRITE_S
    paths = [node.home / "profile.json" for node in net.nodes]
    while not all(path.exists() for path in paths):
        if time.monotonic() > deadline:
            tails = "; ".join(net.log_tail(node.place) for node in net.nodes)
            raise RuntimeError(f"a node wrote no profile: {tails}")
        time.sleep(0.1)
    return [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]


def place_of(stack: list[str]) -> str:
    """Where a stack (innermost frame first) belongs."""
    for frame in stack:
        for begin, name in _RULES:
            if frame.startswith(begin):
                return name
    return "other"


def shares(profiles: list[dict[str, Any]], txs: int, blocks: int) -> dict[str, list[float]]:
    """Microseconds for each transaction by part: [the first primary's, the others' mean, %,
    microseconds for each block (mean of all)]."""
    columns: list[Counter[str]] = []
    for profile in profiles:
        column: Counter[str] = Counter()
        for stack, ns in profile["stacks"]:
            column[place_of(stack)] += ns
        column["outside Python (compaction)"] = max(0, profile["cpu_ns"] - sum(column.values()))
        columns.append(column)
    total = sum(columns, Counter())
    all_ns = sum(total.values())
    others = columns[1:]
    return {
        name: [
            round(columns[0][name] / txs / 1e3, 1),
            round(sum(column[name] for column in others) / len(others) / txs / 1e3, 1),
            round(100 * ns / all_ns, 1),
            round(ns / len(profiles) / blocks / 1e3, 1),
        ]
        for name, ns in total.most_common()
    }


def functions(profiles: list[dict[str, Any]], txs: int, top: int) -> dict[str, list[float]]:
    """The functions that take most: [in themselves, with what they call], mean of all nodes."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for profile in profiles:
        for stack, ns in profile["stacks"]:
            own[stack[0]] += ns
            for name in set(stack):
                whole[name] += ns
    scale = 1e3 * max(1, txs) * len(profiles)
    return {
        name: [round(ns / scale, 1), round(whole[name] / scale, 1)]
        for name, ns in own.most_common(top)
    }


def lines(profiles: list[dict[str, Any]], txs: int, top: int) -> dict[str, float]:
    """The lines that take most in themselves, mean of all nodes."""
    total: Counter[str] = Counter()
    for profile in profiles:
        total.update(profile["lines"])
    scale = 1e3 * max(1, txs) * len(profiles)
    return {name: round(ns / scale, 1) for name, ns in total.most_common(top)}


def _each(profiles: list[dict[str, Any]], name: str, txs: object) -> list[float]:
    assert isinstance(txs, int)
    return [round(profile[name] / max(1, txs) / 1e3, 1) for profile in profiles]


def _threads(profiles: list[dict[str, Any]], txs: object) -> dict[str, float]:
    assert isinstance(txs, int)
    total: Counter[str] = Counter()
    for profile in profiles:
        total.update(profile["threads"])
    scale = 1e3 * max(1, txs) * len(profiles)
    return {name: round(ns / scale, 1) for name, ns in total.most_common()}
