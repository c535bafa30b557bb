"""What people read of an answer: units and dates; what a program reads stays as the node said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsnode import client
from mgsnode.cli.main import make_app
from mgsnode.cli.readable import moment, readable, units

ORDER: dict[str, Any] = {
    "height": 9, "order": "ab" * 32, "total": "100000000", "paid_ms": 1_735_689_600_000,
    "complete_after_ms": 1_814_400_000, "shipped_ms": None, "held": {"escrow": "1500000"},
    "lines": [
        {"sku": "1000000", "quantity": 2, "unit_price": "50000000", "batch": None, "refunded": 0}
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        ("0", "0.00"), ("1", "0.000001"), ("12500000", "12.50"), ("-500000", "-0.50"),
        ("1234567891000", "1,234,567.891"), ("9223372036854775807", "9,223,372,036,854.775807"),
    ],
)  # fmt: skip
def test_micro_units_read_as_units(micro: str, text: str) -> None:
    assert units(micro) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1_735_689_600_000, "2025-01-01 00:00:00 UTC"), (1_814_400_000, "21 days"),
        (129_600_000, "1.5 days"), (3_600_000, "3600 s"), (8_640, "8.64 s"), (0, "0 s"),
    ],
)  # fmt: skip
def test_times_read_as_dates_and_spans(ms: int, text: str) -> None:
    assert moment(ms) == text


def test_only_named_sums_are_touched() -> None:
    said = {"sku": "1000000", "total": "1000000", "count": 1_000_000, "held": {"escrow": "5"}}
    assert readable(said, {"total", "held"}) == {
        "sku": "1000000", "total": "1.00", "count": 1_000_000, "held": {"escrow": "0.000005"},
    }  # fmt: skip


def test_an_order_is_shown_in_dollars_with_its_lines_as_a_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "call_once", lambda *_: json.loads(json.dumps(ORDER)))
    shown = CliRunner().invoke(make_app(), ["order", "show", "ab" * 32]).output
    rows = [line.split() for line in shown.splitlines()]
    assert ["0", "1000000", "2", "50.00", "null", "0"] in rows
    assert ["total", "100.00"] in rows and ["complete_after_ms", "21", "days"] in rows
    assert ["shipped_ms", "null"] not in rows  # what is not there yet is not shown
    raw = CliRunner().invoke(make_app(), ["order", "show", "ab" * 32, "--json"]).output
    assert json.loads(raw) == ORDER
