"""Plots as SVG, written by hand: the same figures always give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bench.economy import Figure, Wash
    from bench.scenes import Cast

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 40, 50
_DRAWN = ("wash in all roles", "many accounts", "refunds in dust", "fake reviews", "level 3 bought")
_COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#8e6c8a", "#b08900")


class Series(NamedTuple):
    """Points of one colour: a line, or dots where `is_dots`."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    is_dots: bool = False


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{safe}</text>'


def _page(title: str, parts: Sequence[str], *, height: int = _HEIGHT) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" fill="#222">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, ground, _text(16, 22, title, size=15), *parts, "</svg>"]) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, about five."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * by for by in (1, 2, 5, 10) if (high - low) / (step * by) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 9) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def lines(title: str, x_name: str, y_name: str, series: Sequence[Series], *,
          level: float | None = None) -> str:  # fmt: skip
    """A plot of lines and dots; `level` draws a grey line across."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points] + ([] if level is None else [level])
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(ys), max(ys)
    pad = (high_y - low_y or 1) * 0.05
    low_y, high_y = low_y - pad, high_y + pad

    def at(x: float, y: float) -> tuple[float, float]:
        wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return (
            _LEFT + (x - low_x) / (high_x - low_x) * wide,
            _TOP + (high_y - y) / (high_y - low_y) * tall,
        )

    parts = []
    for tick in _ticks(low_y, high_y):
        _, y = at(low_x, tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#e5e5e5"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:g}", anchor="end", size=11))
    for tick in _ticks(low_x, high_x):
        x, _ = at(tick, low_y)
        parts.append(_text(x, _HEIGHT - _BOTTOM + 16, f"{tick:g}", anchor="middle", size=11))
    if level is not None:
        _, y = at(low_x, level)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#888"/>')
    for place, one in enumerate(series):
        colour = _COLOURS[one.colour % len(_COLOURS)]
        spots = [at(x, y) for x, y in one.points]
        if one.is_dots:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in spots
            ]
        else:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = _TOP + 14 + 18 * place
        mark = _WIDTH - _RIGHT + 12
        parts.append(f'<rect x="{mark}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(mark + 16, y, one.name, size=11))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_name, anchor="middle"))
    parts.append(_text(16, _TOP - 4, y_name, size=11))
    return _page(title, parts)


def bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """A bar to the left or right of zero for each row."""
    height = 60 + 26 * len(rows)
    reach = max(abs(value) for _, value in rows) or 1
    zero, wide = 470, 190
    parts = []
    for place, (name, value) in enumerate(rows):
        y = 44 + 26 * place
        size = abs(value) / reach * wide
        colour = _COLOURS[1] if value > 0 else _COLOURS[0]
        left = zero if value > 0 else zero - size
        parts.append(_text(16, y + 13, name))
        parts.append(
            f'<rect x="{left:.1f}" y="{y}" width="{size:.1f}" height="18" fill="{colour}"/>'
        )
        spot, anchor = (zero + size + 6, "start") if value > 0 else (zero + 6, "start")
        parts.append(_text(spot, y + 13, f"{value:+.2f}", anchor=anchor, size=11))
    parts.append(f'<path d="M{zero} 38V{height - 12}" stroke="#888"/>')
    return _page(title, parts, height=height)


def draw(
    folder: Path,
    cast: Cast,
    figures: Sequence[Figure],
    points: Sequence[Wash],
    market: Sequence[float],
    market_ref: float,
) -> None:
    """The plots of docs/economics.md."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(f.name, f.extra / f.fake_fees) for f in figures if f.fake_fees]
    (folder / "strategies.svg").write_text(
        bars("Won beside the honest twin, for each dollar of fee on fake sales", rows)
    )
    shares = sorted({point.share for point in points})
    series = []
    for colour, share in enumerate(shares):
        some = [p for p in points if p.share == share and p.fee_bps == 50 and p.beta > 0.1]
        name = f"s = {share:.2f}"
        series.append(Series(name, [(p.beta, p.formula) for p in some], colour))
        found = [(p.beta, p.break_even) for p in some if math.isfinite(p.break_even)]
        if found:
            series.append(Series(f"{name}, measured", found, colour, is_dots=True))
    (folder / "break-even.svg").write_text(
        lines("Where washing breaks even", "beta", "market / reference", series, level=1.0)
    )
    paths: list[Series] = []
    for pair in cast.pairs:
        if pair.name in _DRAWN:
            both = zip(pair.cheat.party.series, pair.twin.party.series, strict=True)
            won = [(day + 1.0, cheat - twin) for day, (cheat, twin) in enumerate(both)]
            paths.append(Series(pair.name, won, len(paths)))
    (folder / "periods.svg").write_text(
        lines("Dollars won beyond the honest twin, by period", "period", "dollars", paths, level=0)
    )
    ratio = [(float(day), price / market_ref) for day, price in enumerate(market)]
    (folder / "market.svg").write_text(
        lines("The token's price path", "period", "market / reference",
              [Series("market", ratio, 4)], level=1.0)
    )  # fmt: skip
