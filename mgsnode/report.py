"""The trial balance over time, as a page that stands by itself and as CSV.

Read from a state that an audit has replayed, so that nobody's word is in it: one row for each
gateway and closed period, and the state at the end. The page holds its charts as SVG and its style;
it asks no network and runs no script. Amounts in the CSV are micro-units, on the page dollars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final, NamedTuple

from state.context import Params
from state.tx.money import Totals, totals_of
from state.tx.positions import Position
from state.tx.room import Room, room_of
from state.tx.trials import CHAIN_TRIAL, TRIAL
from state.view import View

COLUMNS: Final = (
    "gateway", "period", "end_ms", "issued", "settled_in", "assumed", "burned", "settled_out",
    "assumed_away", "position", "asks", "claimed", "fiat_out", "waiting", "attested", "gone",
    "announced", "owed", "cap", "room", "bond",
)  # fmt: skip
_COLOURS: Final = (
    "#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f",
)  # fmt: skip
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 860, 260, 96, 28, 12
_MARK_HEIGHT: Final = 14  # of a value beside an axis
_POINTS_MAX: Final = 1_000  # of a line: more than a screen has pixels for
_ROWS_MAX: Final = 31  # of a table; all of them stand in the CSV


class Balance(NamedTuple):
    """A gateway at the end of a period; `period` is None for the head of the chain."""

    gateway: str
    period: int | None
    end_ms: int
    sums: Position
    room: Room
    bond: int

    def figure(self, column: str) -> int | str:
        """What stands in a column of the CSV."""
        if column == "period":
            return "" if self.period is None else self.period
        for part in (self.room, self.sums, self):
            found: int | str | None = getattr(part, column, None)
            if found is not None:
                return found
        raise KeyError(column)


class Report(NamedTuple):
    """All that the page shows. Balances by gateway in the order of their places, oldest first."""

    chain_id: str
    height: int
    root: str
    balances: dict[str, list[Balance]]
    supply: list[tuple[int, Totals]]  # (instant, where all dollars stood)


def read_report(view: View) -> Report:
    """The report of a state."""
    now_ms = view.header.timestamp_ms
    params = Params(view.reader, view.registry.defaults)
    balances: dict[str, list[Balance]] = {name: [] for name, _, _ in view.gateways()}
    for (period, name), row in view.reader.items(TRIAL):
        balances[name].append(Balance(name, period, row.end_ms, row.sums, row.room, row.bond))
    for name, gateway, sums in view.gateways():
        room = room_of(view.reader, params, name, now_ms)
        balances[name].append(Balance(name, None, now_ms, sums, room, gateway.bond))
    supply = [(row.end_ms, row.totals) for _, row in view.reader.items(CHAIN_TRIAL)]
    supply.append((now_ms, totals_of(view.reader)))
    root = view.header.state_root.hex()
    return Report(view.genesis.chain_id, view.height, root, balances, supply)


def report_csv(report: Report) -> str:
    """One line for each balance, `COLUMNS` first; the head of the chain has no period."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rows in report.balances.values():
        writer.writerows([row.figure(column) for column in COLUMNS] for row in rows)
    return out.getvalue()


def report_html(report: Report) -> str:
    """The page."""
    names = list(report.balances)
    places = [name for name in Totals._fields if name not in ("issued", "burned")]
    parts = [
        "<h2>Supply</h2>",
        _chart(
            [("supply", [(at, totals.supply) for at, totals in report.supply])]
            + [(name, [(at, getattr(t, name)) for at, t in report.supply]) for name in places]
        ),
        "<h2>Positions</h2>",
        _chart([(name, _line(report.balances[name], "position")) for name in names]),
    ]
    for name, rows in report.balances.items():
        lines = [(what, _line(rows, what)) for what in ("position", "attested", "room", "fiat_out")]
        parts += [f"<h2>{escape(name)}</h2>", _chart(lines), _table(rows)]
    return _PAGE.format(
        title=escape(f"Trial balance of {report.chain_id}"),
        height=report.height,
        root=escape(report.root),
        at=_time(report.supply[-1][0]),
        body="\n".join(parts),
    )


def _line(rows: Sequence[Balance], column: str) -> list[tuple[int, int]]:
    return [(row.end_ms, int(row.figure(column))) for row in rows]


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _dollars(micro: int) -> str:
    cents = abs(micro) // 10_000
    return f"{'−' if micro < 0 else ''}{cents // 100:,}.{cents % 100:02}"


def _mark(micro: int) -> str:
    """An amount beside an axis: cents below ten dollars, whole dollars, or millions of them."""
    dollars = abs(micro) // 1_000_000
    if micro and dollars < 10:
        return _dollars(micro)
    short = f"{dollars / 1_000_000:,.1f} M" if dollars >= 1_000_000 else f"{dollars:,}"
    return f"{'−' if micro < 0 else ''}{short}"


def _marks(low: int, high: int, y: Callable[[int], float]) -> list[int]:
    """The values that are named beside an axis: zero first, and none upon another."""
    chosen: list[int] = []
    for value in (0, high, low, (low + high) // 2):
        if all(abs(y(value) - y(other)) >= _MARK_HEIGHT for other in chosen):
            chosen.append(value)
    return chosen


def _chart(series: Sequence[tuple[str, list[tuple[int, int]]]]) -> str:
    """Lines over time, from the lowest to the highest value and always with zero."""
    thinned = [(label, points[:: len(points) // _POINTS_MAX + 1]) for label, points in series]
    times = [at for _, points in series for at, _ in points]
    values = [0, *(value for _, points in series for _, value in points)]
    first, last, low, high = min(times), max(times), min(values), max(values)

    def x(at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 12) * (at - first) / max(1, last - first)

    def y(value: int) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / max(1, high - low)

    marks = []
    for value in _marks(low, high, y):
        marks.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - 12}"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}">{_mark(value)}</text>')
    ends = [(_LEFT, "start", first), (_WIDTH - 12, "end", last)]
    for at, anchor, ms in ends:
        style = f'style="text-anchor:{anchor}"'
        marks.append(f'<text x="{at}" y="{_HEIGHT - 8}" {style}>{_time(ms)}</text>')
    legend = []
    for place, (label, points) in enumerate(thinned):
        colour = _COLOURS[place % len(_COLOURS)]
        dash = ' stroke-dasharray="6 4"' * (place >= len(_COLOURS))
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        marks.append(f'<polyline points="{path}" stroke="{colour}"{dash}/>')
        for at, value in points if len(points) <= _ROWS_MAX else ():
            marks.append(
                f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}">'
                f"<title>{escape(label)} {_dollars(value)}, {_time(at)}</title></circle>"
            )
        legend.append(
            f'<li><i style="background:{colour}"></i>{escape(label.replace("_", " "))}</li>'
        )
    return (
        f'<div><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(marks)}</svg></div>'
        f"<ul>{''.join(legend)}</ul>"
    )


def _table(rows: Sequence[Balance]) -> str:
    shown = [column for column in COLUMNS if column not in ("gateway", "end_ms")]
    head = "".join(f"<th>{column.replace('_', ' ')}</th>" for column in shown)
    body = ""
    for row in reversed(rows[-_ROWS_MAX:]):
        cells = [f"<td>{'now' if row.period is None else row.period}</td>"]
        cells += [f"<td>{_dollars(int(row.figure(column)))}</td>" for column in shown[1:]]
        body += f'<tr title="{_time(row.end_ms)}">{"".join(cells)}</tr>'
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem }}
h2 {{ margin: 2.2rem 0 .4rem; font-size: 1.15rem }}
code {{ overflow-wrap: anywhere }}
svg {{ width: 100%; height: auto; min-width: 40rem }}
svg text {{ font-size: 11px; text-anchor: end; fill: currentColor; opacity: .75 }}
.grid {{ stroke: currentColor; opacity: .15; fill: none }}
polyline {{ fill: none; stroke-width: 2; stroke-linejoin: round }}
ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0 }}
i {{ display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem }}
div {{ overflow-x: auto; margin-top: .8rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .8rem }}
th, td {{ padding: .2rem .6rem; text-align: right; white-space: nowrap }}
th {{ font-weight: 600; color: GrayText }}
th:first-child, td:first-child {{ position: sticky; left: 0; background: Canvas }}
tbody tr {{ border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent) }}
</style></head><body>
<h1>{title}</h1>
<p>Replayed from the genesis to height {height} ({at}); state root <code>{root}</code>.
Dollars, cut to cents; bonds in MGS. A row is a closed period, the newest first; all of them, in
micro-units, stand in the CSV beside this page.</p>
{body}
</body></html>
"""
