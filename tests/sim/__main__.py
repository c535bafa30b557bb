"""`python -m tests.sim`: many seeds, or one of them again.

    python -m tests.sim --seeds 0:500          a range, on as many processes as --jobs says
    python -m tests.sim --seed 127             one seed, told in full
    python -m tests.sim --seed 127 --shrink    which faults it needs
    python -m tests.sim --seed 127 --without loss,crash

Exit code 1 if any seed is not `held`, or if a seed run twice differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from tests.sim.plan import FAULTS, LIES, draw_plan
from tests.sim.run import Outcome, run_seed
from tests.sim.shrink import shrink

_AGAIN_EVERY = 50  # seeds run twice, to see that a run is a function of its seed


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", default="0:300", help="from:to")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--heights", type=int, default=20, help="before the network is healed")
    parser.add_argument("--without", default="", help=f"of {', '.join((*FAULTS, *LIES))}")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    without = frozenset(filter(None, given.without.split(",")))
    if given.seed is not None:
        return _one(given.seed, without, given.heights, shrinking=given.shrink)
    start, stop = map(int, given.seeds.split(":"))
    return _many(range(start, stop), without, given.heights, given.jobs, given.json)


def _one(seed: int, without: frozenset[str], heights: int, *, shrinking: bool) -> int:
    outcome = run_seed(seed, without=without, heights=heights)
    print(draw_plan(seed, without=without, heights=heights))
    if shrinking and outcome.verdict != "held":
        print("needed:", ", ".join(shrink(seed, outcome.verdict, heights=heights)) or "no fault")
    for name, count in sorted(outcome.counts.items()):
        print(f"{count:10,}  {name}")
    print(
        f"seed {seed}, n = {outcome.n}: {outcome.verdict}, {outcome.heights} heights, "
        f"{outcome.virtual_ms / 1000:.1f} s, trace {outcome.trace}\n{outcome.why}"
    )
    return int(outcome.verdict != "held")


def _outcomes(seeds: Iterable[int], run: partial[Outcome], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(run, seeds)
        return
    with Pool(jobs) as pool:
        yield from pool.imap_unordered(run, seeds, chunksize=4)


def _many(
    seeds: range, without: frozenset[str], heights: int, jobs: int, report: Path | None
) -> int:
    started = time.monotonic()
    run = partial(run_seed, without=without, heights=heights)
    total: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    recovery: list[int] = []
    for outcome in _outcomes(seeds, run, jobs):
        figures[f"seeds {outcome.verdict}"] += 1
        figures[f"seeds with n = {outcome.n}"] += 1
        figures["heights"] += outcome.heights
        figures["events"] += outcome.events
        figures["virtual seconds"] += outcome.virtual_ms // 1_000
        recovery.append(outcome.recovery_ms)
        most = max(total["max view"], outcome.counts.pop("max view", 0))
        total += outcome.counts
        total["max view"] = most
        if outcome.verdict != "held":
            print(
                f"seed {outcome.seed} n = {outcome.n}: {outcome.verdict}: {outcome.why}", flush=True
            )
        if outcome.seed % _AGAIN_EVERY == 0:
            figures["seeds run twice"] += 1
            if run(outcome.seed).trace != outcome.trace:
                figures["seeds that differ"] += 1
                print(f"seed {outcome.seed} gave another trace the second time")
    recovery.sort()
    for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0)):
        place = min(len(recovery) - 1, int(len(recovery) * share))
        figures[f"recovery ms, {name}"] = recovery[place]
    figures["wall seconds"] = round(time.monotonic() - started)
    _print({"figures": dict(figures), "exercised": dict(sorted(total.items()))}, report)
    good = figures["seeds held"] == len(seeds) and not figures["seeds that differ"]
    return int(not good)


def _print(tables: dict[str, dict[str, int]], report: Path | None) -> None:
    for title, table in tables.items():
        print(f"\n{title}")
        for name, count in table.items():
            print(f"{count:14,}  {name}")
    if report is not None:
        report.write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
