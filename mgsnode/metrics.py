"""What an operator watches, in Prometheus' words. Gauges are read when they are asked for."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_LAG_EVERY_S = 0.25
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


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
            yield GaugeMetricFamily(f"mgs_{name}", name.replace("_", " "), value=value)
        for name, value in sorted(self._readings.counts().items()):
            yield CounterMetricFamily(f"mgs_{name}", name.replace("_", " "), value=value)


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
