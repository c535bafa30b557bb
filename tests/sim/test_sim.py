"""The simulator in CI: some hundred short seeds, and proof that its checkers can see.

The long run is `make sim`; its figures are in the docs.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.checks import Broken
from tests.sim.faults import Faults
from tests.sim.network import Network
from tests.sim.plan import draw_plan
from tests.sim.run import run_seed
from tests.sim.world import World

SEEDS = 100
HEIGHTS = 4


@pytest.mark.parametrize("start", range(0, SEEDS, 20))
def test_no_seed_is_broken_or_unknown(start: int) -> None:
    for seed in range(start, start + 20):
        outcome = run_seed(seed, heights=HEIGHTS)
        assert outcome.verdict == "held", f"seed {seed}: {outcome.verdict}: {outcome.why}"


def test_a_run_is_a_function_of_its_seed() -> None:
    assert run_seed(7, heights=3).trace == run_seed(7, heights=3).trace
    assert run_seed(7, heights=3).trace != run_seed(8, heights=3).trace


def test_two_twins_among_four_fork_and_are_seen() -> None:
    # One more than f: a checker that finds nothing here is blind.
    world = World(1)
    faults = Faults(world)
    network = Network(world, sets=["ABCD"], twins="CD", faults=faults)
    left, right = {0, 2, 3}, {1, 4, 5}  # A and one C and D; B and the others
    faults.cut = {(a, b) for a in left for b in right} | {(b, a) for a in left for b in right}
    with pytest.raises(Broken, match=r"agreement|displaced"):
        network.start()
        network.keep_busy(50)
        network.run(30_000)


def test_too_many_liars_are_seen_by_the_swarm_as_well() -> None:
    verdicts = []
    for seed in range(40):
        plan = draw_plan(seed, heights=HEIGHTS)
        worse = dataclasses.replace(
            plan,
            sets=("ABCD",),
            twins="CD",
            liars="",
            on=plan.on | {"twins", "partition"} - {"eras"},
            partition_every_ms=5_000,
        )
        verdicts.append(run_seed(seed, plan=worse).verdict)
        if verdicts[-1] == "broken":
            return
    raise AssertionError(verdicts)


def test_the_order_of_sets_changes_nothing() -> None:  # case 66
    program = "from tests.sim.run import run_seed; print(run_seed(11, heights=3).trace)"
    traces = set()
    for hash_seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        traces.add(done.stdout)
    assert len(traces) == 1
