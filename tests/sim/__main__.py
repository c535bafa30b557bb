"""`python -m tests.sim`: many seeds, or one of them again.

    python -m tests.sim --seeds 0:500          a range, on as many processes as --jobs says
    python -m tests.sim --seed 127             one seed, told in full
    python -m tests.sim --seed 127 --shrink    which faults it needs
    python -m tests.sim --seed 127 --without loss,crash
    python -m tests.sim --real --seeds 0:50    the ledger that ships, instead of the toy
    python -m tests.sim --sum a.json b.json    what several runs with --json add up to

Exit code 1 if any seed is not `held`, or if a seed run twice differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import TypeAlias

from tests.sim.figures import Figures
from tests.sim.phases import KINDS, PHASES
from tests.sim.plan import FAULTS, LIES, draw_plan
from tests.sim.real import run_real_seed
from tests.sim.run import Outcome, run_seed
from tests.sim.shrink import shrink
from tests.sim.swarm import ON_MACHINES

Run: TypeAlias = partial[Outcome]
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
    parser.add_argument("--real", action="store_true", help="on the ledger that ships")
    parser.add_argument("--sum", type=Path, nargs="+", help="files that --json wrote")
    given = parser.parse_args()
    without = frozenset(filter(None, given.without.split(",")))
    if given.sum is not None:
        return _sum(given.sum)
    how = run_real_seed if given.real else run_seed
    run = partial(how, without=without, heights=given.heights)
    if given.seed is not None:
        return _one(given.seed, run, shrinking=given.shrink and not given.real)
    start, stop = map(int, given.seeds.split(":"))
    return _many(range(start, stop), run, given.jobs, given.json)


def _one(seed: int, run: Run, *, shrinking: bool) -> int:
    outcome = run(seed)
    print(draw_plan(seed, **run.keywords))
    if shrinking and outcome.verdict != "held":
        needed = shrink(seed, outcome.verdict, heights=run.keywords["heights"])
        print("needed:", ", ".join(needed) or "no fault")
    for name, count in sorted(outcome.counts.items()):
        print(f"{count:10,}  {name}")
    print(
        f"seed {seed}, n = {outcome.n}: {outcome.verdict}, {outcome.heights} heights, "
        f"{outcome.virtual_ms / 1000:.1f} s, trace {outcome.trace}\n{outcome.why}"
    )
    return int(outcome.verdict != "held")


def _outcomes(seeds: Iterable[int], run: Run, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(run, seeds)
        return
    with Pool(jobs) as pool:
        yield from pool.imap_unordered(run, seeds, chunksize=4)


def _many(seeds: range, run: Run, jobs: int, report: Path | None) -> int:
    started = time.monotonic()
    total = Figures()
    for outcome in _outcomes(seeds, run, jobs):
        total.add(outcome)
        if outcome.verdict != "held":
            print(
                f"seed {outcome.seed} n = {outcome.n}: {outcome.verdict}: {outcome.why}", flush=True
            )
        if outcome.seed % _AGAIN_EVERY == 0:
            total.figures["seeds run twice"] += 1
            if run(outcome.seed).trace != outcome.trace:
                total.figures["seeds that differ"] += 1
                print(f"seed {outcome.seed} gave another trace the second time")
    total.figures["wall seconds"] = round(time.monotonic() - started)
    _print(total)
    if report is not None:
        total.write(report)
    return _verdict(total)


def _sum(paths: list[Path]) -> int:
    total = Figures()
    for path in paths:
        total.read(path)
    _print(total)
    return _verdict(total)


def _print(total: Figures) -> None:
    lies = [f"lie: {lie}" for lie in LIES]
    total.print([*ON_MACHINES, *lies], PHASES, KINDS)


def _verdict(total: Figures) -> int:
    figures = total.figures
    bad = figures["seeds broken"] + figures["seeds unknown"] + figures["seeds that differ"]
    return int(bad > 0 or not figures["seeds held"])


if __name__ == "__main__":
    sys.exit(main())
