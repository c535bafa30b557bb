"""The figures of many seeds: counted, printed, written, and read again to be added to others.

A long run is cut into slices over days or machines (`--seeds a:b --json FILE`); `--sum FILES`
gives one table of all of them. Percentiles do not add up, so the times are kept, rounded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.sim.run import Outcome

_ROUND_MS = 100
_HIGHEST = frozenset({"max view"})  # of which the highest is told, not the sum
_SHARES = (("p50", 0.5), ("p99", 0.99), ("most", 1.0))


class Figures:
    """Counts by name; `touched` counts (fault, phase), `recovery` times in ms, rounded up."""

    def __init__(self) -> None:
        self.figures: Counter[str] = Counter()
        self.exercised: Counter[str] = Counter()
        self.touched: Counter[tuple[str, str]] = Counter()
        self.recovery: Counter[int] = Counter()

    def add(self, outcome: Outcome) -> None:
        """One seed more."""
        self.figures[f"seeds {outcome.verdict}"] += 1
        self.figures[f"seeds with n = {outcome.n}"] += 1
        self.figures["heights"] += outcome.heights
        self.figures["events"] += outcome.events
        self.figures["virtual seconds"] += outcome.virtual_ms // 1_000
        self.recovery[-(-outcome.recovery_ms // _ROUND_MS) * _ROUND_MS] += 1
        _add(self.exercised, outcome.counts)
        self.touched += outcome.touched

    def read(self, path: Path) -> None:
        """Adds what another run wrote. One of before times were kept tells its highest only."""
        tables = json.loads(path.read_text())
        for name, count in tables["figures"].items():
            if not name.startswith("recovery"):
                self.figures[name] += count
            elif name == "recovery ms, most" and "recovery" not in tables:
                self.figures[name] = max(self.figures[name], count)
        _add(self.exercised, tables["exercised"])
        for fault, phases in tables.get("touched", {}).items():
            self.touched.update({(fault, phase): count for phase, count in phases.items()})
        self.recovery.update({int(ms): count for ms, count in tables.get("recovery", {}).items()})

    def percentiles(self) -> dict[str, int]:
        """Times from healing to progress, in ms."""
        times = sorted(self.recovery.elements())
        found = {
            f"recovery ms, {name}": times[min(len(times) - 1, int(len(times) * share))]
            for name, share in _SHARES
            if times
        }
        highest = "recovery ms, most"
        return {**found, highest: max(self.figures[highest], found.get(highest, 0))}

    def tables(self) -> dict[str, object]:
        """What is written as JSON."""
        touched: dict[str, dict[str, int]] = {}
        for (fault, phase), count in sorted(self.touched.items()):
            touched.setdefault(fault, {})[phase] = count
        return {
            "figures": {**dict(sorted(self.figures.items())), **self.percentiles()},
            "exercised": dict(sorted(self.exercised.items())),
            "touched": touched,
            "recovery": {str(ms): count for ms, count in sorted(self.recovery.items())},
        }

    def write(self, path: Path) -> None:
        """For `read`."""
        path.write_text(json.dumps(self.tables(), indent=1, ensure_ascii=False) + "\n")

    def print(self, rows: Sequence[str], phases: Sequence[str], kinds: Sequence[str]) -> None:
        """All tables; a fault or lie that met nobody is named in capitals."""
        tables = self.tables()
        for title in ("figures", "exercised"):
            table = tables[title]
            assert isinstance(table, dict)
            print(f"\n{title}")
            for name, count in table.items():
                print(f"{count:14,}  {name}")
        on_links = {fault for fault, phase in self.touched if phase in kinds}
        for title, faults, columns in (
            ("faults and lies, by what the machine was at", sorted({*rows} - on_links), phases),
            ("faults of links, by what was on its way", sorted(on_links), kinds),
        ):
            print(f"\n{title}")
            _print_matrix(self.touched, faults, columns)


def _add(total: Counter[str], more: dict[str, int]) -> None:
    for name, count in more.items():
        total[name] = max(total[name], count) if name in _HIGHEST else total[name] + count


def _print_matrix(
    counts: Counter[tuple[str, str]], rows: Iterable[str], columns: Sequence[str]
) -> None:
    print(" " * 20 + "".join(f"{column:>13}" for column in columns))
    for row in rows:
        cells = [counts[row, column] for column in columns]
        print(f"{row:20}" + "".join(f"{cell or '.':>13}" for cell in cells))
        if not any(cells):
            print(f"{row}: NEVER")
