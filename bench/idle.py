"""One transfer at a time on a quiet network: how long until another node has it as final."""

from __future__ import annotations

from bench.load import Load, Plan
from bench.network import network, spent_by_all
from bench.transfer import figures
from bench.wallets import Wallets

EVERY_S = 0.25  # far apart: nothing else is under way


def run(*, count: int = 100, accounts: int = 100) -> dict[str, object]:
    """Latency of `count` lone transfers, from the first byte sent to final on another node."""
    with network(accounts) as net:
        wallets = Wallets(net.genesis.hash, accounts, nodes=len(net.nodes))
        requests = tuple(wallets.requests(count, 1))
        urls = tuple(node.rpc for node in net.nodes)
        load = Load(Plan(urls, requests, every_s=EVERY_S, backlog=0, seconds=0.0))
        before = spent_by_all(net)
        load.run()
        after = spent_by_all(net)
        outcome = load.outcome()
    seen = figures(outcome, before, after)
    names = ("sent", "committed", "finality_ms_p50", "finality_ms_p99", "syncs_per_block")
    slowest = outcome.latencies_s[-1] if outcome.latencies_s else 0.0
    return {**{name: seen[name] for name in names}, "finality_ms_max": round(slowest * 1e3, 1)}
