"""What an operator watches, in Prometheus' words. Gauges are read when they are asked for."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_LAG_EVERY_S = 0.25
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# Name -> what it means to an operator. A name without a meaning here is shown by its name.
_MEANINGS: Final = {
    "block_timestamp_seconds": "Time of the newest block; one is made at least every 30 s",
    "cpu_seconds": "User and system time of this process and its ended children",
    "era": "Which validator set decides, counted from 0",
    "evidence_found": "Contradicting statements met; they are in data/evidence.jsonl",
    "height": "The newest block that is final here",
    "journal_bytes_written": "Bytes of the vote journal",
    "journal_syncs": "Times the vote journal was synced to disk",
    "mempool_bytes": "Bytes of transactions that wait for a block",
    "mempool_transactions": "Transactions that wait for a block",
    "messages_dropped": "Messages of peers that had no place, no use or no right",
    "peers_connected": "Peers connected now",
    "ready": "1 if this node should get traffic, as /readyz says",
    "resident_bytes": "Memory of this process in RAM",
    "signature_checks": "Signatures of transactions checked",
    "stable_height": "The newest checkpoint that a quorum signed",
    "store_bytes_written": "Bytes handed to the store, before its own work",
    "store_syncs": "Times the store was synced to disk",
    "sync_target_height": "The highest height that a peer claims: a hint",
    "transactions_refused_at_door": "Transactions refused before any block",
    "view": "The view of the era: it grows with each primary that was replaced",
    "view_active": "1 in a view, 0 while it changes",
    "views_entered": "Views entered since the start",
}


class Readings(Protocol):
    """What the node answers when it is asked how it is."""

    def gauges(self) -> dict[str, float]:
        """Name -> value, as they are now."""

    def counts(self) -> dict[str, float]:
        """Name -> value that only grows."""


class _OnDemand(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for name, value in sorted(self._readings.gauges().items()):
            yield GaugeMetricFamily(f"mgs_{name}", _meaning(name), value=value)
        for name, value in sorted(self._readings.counts().items()):
            yield CounterMetricFamily(f"mgs_{name}", _meaning(name), value=value)


def _meaning(name: str) -> str:
    return _MEANINGS.get(name, name.replace("_", " "))


class Metrics:
    """The node's own registry; nothing is global."""

    def __init__(self, readings: Readings) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_OnDemand(readings))
        self.transactions = Counter(
            "mgs_transactions", "Transactions in decided blocks", registry=self._registry
        )
        self.lag = Histogram(
            "mgs_event_loop_lag_seconds",
            "How late the event loop woke up",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def text(self) -> str:
        """Prometheus' text format."""
        return generate_latest(self._registry).decode()

    async def watch_lag(self) -> None:
        """Measures how long the loop was blocked, for ever (case 76)."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self.lag.observe(max(0.0, loop.time() - due))


def cpu_seconds() -> float:
    """User and system time of this process and its ended children, from its own accounting."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def resident_bytes() -> int:
    """The memory that this process has in RAM."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
