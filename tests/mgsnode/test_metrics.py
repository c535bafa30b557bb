"""Metrics: read when asked for, no globals, and the event loop's lag is seen."""

from __future__ import annotations

import asyncio
import time

import pytest

from mgsnode import metrics as module
from mgsnode.metrics import Metrics, cpu_seconds


class Readings:
    def __init__(self) -> None:
        self.height = 0

    def gauges(self) -> dict[str, float]:
        return {"height": self.height}

    def counts(self) -> dict[str, float]:
        return {"signature_checks": 7}


def value(metrics: Metrics, name: str) -> float:
    lines = [line for line in metrics.text().splitlines() if line.startswith(name + " ")]
    assert len(lines) == 1, lines
    return float(lines[0].split()[1])


def test_gauges_are_read_when_they_are_asked_for_and_two_nodes_share_nothing() -> None:
    readings = Readings()
    one, other = Metrics(readings), Metrics(Readings())
    readings.height = 9
    one.transactions.inc(3)
    assert value(one, "mgs_height") == 9 and value(other, "mgs_height") == 0
    assert value(one, "mgs_transactions_total") == 3
    assert value(other, "mgs_transactions_total") == 0
    assert value(one, "mgs_signature_checks_total") == 7


def test_each_reading_says_what_it_means() -> None:
    lines = Metrics(Readings()).text().splitlines()
    assert "# HELP mgs_height The newest block that is final here" in lines
    assert "# HELP mgs_signature_checks_total Signatures of transactions checked" in lines


async def test_case_76_a_blocked_event_loop_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAG_EVERY_S", 0.01)
    metrics = Metrics(Readings())
    watching = asyncio.ensure_future(metrics.watch_lag())
    await asyncio.sleep(0.03)
    time.sleep(0.15)  # noqa: ASYNC251  # that is the fault
    await asyncio.sleep(0.03)
    watching.cancel()
    late = value(metrics, "mgs_event_loop_lag_seconds_count") - value(
        metrics, 'mgs_event_loop_lag_seconds_bucket{le="0.1"}'
    )
    assert late >= 1


def test_cpu_time_only_grows() -> None:
    before = cpu_seconds()
    sum(range(200_000))
    assert cpu_seconds() >= before > 0
