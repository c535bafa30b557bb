"""What a transfer costs on four real nodes: rate, finality, CPU, memory, writes and syncs.

From quiet to quiet: all CPU that the four validators use from just before the first request
until everything is final on all of them is divided by the committed transfers. The load
generator's own CPU is not counted, though it shares the cores.

`cpu_ratio` divides by four signature checks as they cost on the quiet machine before and after,
`cpu_ratio_meanwhile` by what they cost while the load ran: on shared or hyper-threaded cores all
work, checks included, takes more CPU time when both are busy.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

from bench.load import Load, Outcome, Plan
from bench.machine import check_us
from bench.network import Spent, network, spent_by_all
from bench.wallets import Request, Wallets
from mgsnode.localnet import Localnet

TICK_S = 0.02  # between the requests of an open loop, where a request is to hold at least one
SATURATION_BATCH = 256
SATURATION_TX_PER_S = 3_000  # so many are signed beforehand; unsent ones do not count
BACKLOG_TXS = 2_048  # a full block: the next one never waits for the wallets
DEFAULT_RATES = (50, 200, 500)


def run(
    *,
    rates: Sequence[int] = DEFAULT_RATES,
    seconds: float = 10.0,
    accounts: int = 1_000,
    saturation: bool = True,
    workers: int = 0,
) -> dict[str, object]:
    """Every rate in turn on one network, then as much as it takes."""
    before_us = check_us()
    runs: list[dict[str, object]] = []
    with network(accounts, settings={"verify.workers": str(workers)}) as net:
        wallets = Wallets(net.genesis.hash, accounts, nodes=len(net.nodes))
        for rate in rates:
            plan = open_loop(net, wallets, rate, seconds)
            runs.append({"rate": rate, **measure(net, plan)})
        if saturation:
            runs.append({"rate": "saturation", **measure(net, closed_loop(net, wallets, seconds))})
    after_us = check_us()
    yardstick = (before_us + after_us) / 2
    for result in runs:
        cpu_us = result["cpu_us_per_tx"]
        assert isinstance(cpu_us, float)
        result["cpu_ratio"] = round(cpu_us / (4 * yardstick), 2)
        meanwhile = result["check_us_meanwhile"]
        assert isinstance(meanwhile, float)
        result["cpu_ratio_meanwhile"] = round(cpu_us / (4 * meanwhile), 2) if meanwhile else 0.0
    return {
        "accounts": accounts,
        "transaction_bytes": wallets.transaction_bytes,
        "check_us_before": before_us,
        "check_us_after": after_us,
        "runs": runs,
    }


def open_loop(net: Localnet, wallets: Wallets, rate: int, seconds: float) -> Plan:
    """`rate` transfers a second for so many seconds, whatever the network says."""
    size = max(1, round(rate * TICK_S))
    total = max(len(net.nodes), round(rate * seconds))
    requests = tuple(wallets.requests(total, size))
    return _plan(net, requests, every_s=size / rate, seconds=seconds)


def closed_loop(net: Localnet, wallets: Wallets, seconds: float, total: int = 0) -> Plan:
    """As many as the network takes: the waiting rooms are kept full and never run over."""
    total = total or round(SATURATION_TX_PER_S * seconds)
    requests = tuple(wallets.requests(total, SATURATION_BATCH))
    return _plan(net, requests, every_s=0.0, seconds=seconds)


def _plan(net: Localnet, requests: tuple[Request, ...], *, every_s: float, seconds: float) -> Plan:
    urls = tuple(node.rpc for node in net.nodes)
    return Plan(urls, requests, every_s=every_s, backlog=BACKLOG_TXS, seconds=seconds)


def measure(net: Localnet, plan: Plan) -> dict[str, object]:
    """One load from quiet to quiet."""
    load = Load(plan)
    before, idle, start = spent_by_all(net), idle_s(), time.monotonic()
    load.run()
    wall_s, idle = time.monotonic() - start, idle_s() - idle
    after = spent_by_all(net)
    used_s = sum(b.cpu_s - a.cpu_s for a, b in zip(before, after, strict=True))
    return {
        **figures(load.outcome(), before, after),
        "cores_used_by_nodes": round(used_s / wall_s, 2),
        "cores_idle": round(idle / wall_s, 2),
    }


def idle_s() -> float:
    """Seconds that the machine's cores have been idle, summed; the rest was somebody's."""
    times = psutil.cpu_times()
    return float(times.idle + times.iowait)


def figures(outcome: Outcome, before: list[Spent], after: list[Spent]) -> dict[str, object]:
    """The figures of one load; costs of writing are for each block and node."""
    cpu_s = [b.cpu_s - a.cpu_s for a, b in zip(before, after, strict=True)]
    done = max(1, outcome.committed)
    blocks = max(1, _grown(before, after, "height") / len(before))

    def each_block(name: str) -> float:
        return round(_grown(before, after, name) / len(before) / blocks, 1)

    return {
        "sent": outcome.sent,
        "refused": outcome.refused,
        "committed": outcome.committed,
        "tx_per_s": round(outcome.committed / max(outcome.wall_s, 1e-9), 1),
        "finality_ms_p50": percentile_ms(outcome.latencies_s, 50),
        "finality_ms_p99": percentile_ms(outcome.latencies_s, 99),
        "cpu_us_per_tx": round(sum(cpu_s) / done * 1e6, 1),
        "cpu_us_per_tx_of_each_node": [round(s / done * 1e6, 1) for s in cpu_s],
        "cpu_ms_per_block_and_node": round(sum(cpu_s) / len(cpu_s) / blocks * 1e3, 2),
        "check_us_meanwhile": round(outcome.check_us, 1),
        "signature_checks_per_tx": round(_grown(before, after, "signature_checks") / done, 3),
        "blocks": round(blocks),
        "txs_per_block": round(outcome.committed / max(1, outcome.blocks), 1),
        "resident_mb_of_each_node": [round(s.resident_bytes / 2**20) for s in after],
        "store_bytes_per_block": each_block("store_bytes_written"),
        "journal_bytes_per_block": each_block("journal_bytes_written"),
        "disk_bytes_per_block": round(
            sum(b.disk_bytes - a.disk_bytes for a, b in zip(before, after, strict=True))
            / len(before)
            / blocks
        ),
        "syncs_per_block": round(each_block("store_syncs") + each_block("journal_syncs"), 2),
        "views_entered": round(_grown(before, after, "views_entered")),
        "generator_late_ms": round(outcome.late_s * 1e3, 1),
    }


def _grown(before: list[Spent], after: list[Spent], name: str) -> float:
    return sum(b.reading(name) - a.reading(name) for a, b in zip(before, after, strict=True))


def percentile_ms(ordered_s: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of rising times, in ms; 0 of none."""
    if not ordered_s:
        return 0.0
    rank = -(-len(ordered_s) * percent // 100)
    return round(ordered_s[max(0, rank - 1)] * 1e3, 1)
