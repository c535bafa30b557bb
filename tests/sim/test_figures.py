"""Slices of a run add up to the run."""

from __future__ import annotations

from pathlib import Path

from tests.sim.figures import Figures
from tests.sim.run import run_seed


def test_slices_add_up_to_the_whole(tmp_path: Path) -> None:
    whole, total = Figures(), Figures()
    for start in (0, 3):
        part = Figures()
        for seed in range(start, start + 3):
            outcome = run_seed(seed, heights=2)
            part.add(outcome)
            whole.add(outcome)
        path = tmp_path / f"{start}.json"
        part.write(path)
        total.read(path)
    assert total.tables() == whole.tables()
    assert sum(total.recovery.values()) == total.figures["seeds held"] == 6
    assert total.touched
