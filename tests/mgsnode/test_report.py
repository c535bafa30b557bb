"""The trial balance over time as a page and as CSV."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mgsnode.report import COLUMNS, Report, _mark, _marks, read_report, report_csv, report_html
from tests.rpc import devnode
from tests.rpc.devnode import DOLLAR, DevNode
from tests.rpc.test_reserves import with_attestors


class Page(HTMLParser):
    """Whether tags close in order, and what is in them."""

    VOID = ("meta",)

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Three closed periods of a chain of two gateways."""
    monkeypatch.setattr(devnode, "dev_genesis", with_attestors)
    node = DevNode(tmp_path / "store")
    for _ in range(31):
        node.mine()
    with node.view() as view:
        found = read_report(view)
    node.ledger.close()
    return found


def test_the_csv_has_a_row_for_each_gateway_and_period_and_one_for_now(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    assert [(row["gateway"], row["period"]) for row in rows] == [
        (name, period) for name in ("north", "south") for period in ("0", "1", "2", "")
    ]
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        figures = {name: int(row[name]) for name in COLUMNS[3:]}
        position = figures["issued"] + figures["settled_in"] + figures["assumed"]
        position -= figures["burned"] + figures["settled_out"] + figures["assumed_away"]
        assert figures["position"] == position
        counted = figures["attested"] - figures["gone"] - figures["announced"]
        assert figures["room"] == counted - figures["owed"] - figures["waiting"]
    assert {row["issued"] for row in rows if row["gateway"] == "north"} == {str(6_000 * DOLLAR)}


def test_the_page_stands_by_itself(report: Report) -> None:
    page = report_html(report)
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.links == [] and "script" not in parsed.seen
    assert parsed.seen.count("svg") == 4  # supply, positions, two gateways
    assert "6,000.00" in page and report.root in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    numbers = [float(n) for n in re.findall(r'points="([^"]*)"', page)[0].replace(",", " ").split()]
    assert len(numbers) == 2 * 4 and all(0 <= n <= 860 for n in numbers)


def test_what_a_stranger_named_is_text_on_the_page(report: Report) -> None:
    evil = "<script>x</script>"
    page = report_html(report._replace(chain_id=evil, balances={evil: report.balances["north"]}))
    assert "<script" not in page


def test_a_chain_without_a_closed_period_has_a_page_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = DevNode(tmp_path / "store")
    with node.view() as view:
        found = read_report(view)
    node.ledger.close()
    assert Page(report_html(found)).open == []
    assert len(report_csv(found).splitlines()) == 2


def test_no_value_beside_an_axis_stands_upon_another() -> None:
    def y(value: int) -> float:
        return 220 * (180_000 - value) / 180_019

    assert _marks(-19, 180_000, y) == [0, 180_000, 89_990], "the lowest is where zero is"
    assert _marks(0, 0, lambda _: 12.0) == [0]
    amounts = (0, -640_000, 12_000_000, -19_000_000, 2_500_000_000_000)
    assert [_mark(micro) for micro in amounts] == ["0", "−0.64", "12", "−19", "2.5 M"]
