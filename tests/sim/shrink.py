"""A failing seed made smaller: each kind of fault is switched off that the failure can do without.

The plan draws all its numbers whatever is on, so the rest of the seed stays as it was.
"""

from __future__ import annotations

from tests.sim.plan import draw_plan
from tests.sim.run import run_seed


def shrink(seed: int, verdict: str, *, heights: int) -> list[str]:
    """The faults and lies without which the seed no longer ends in `verdict`."""
    plan = draw_plan(seed, heights=heights)
    without: frozenset[str] = frozenset()
    needed: list[str] = []
    lies = plan.lies if plan.liars else frozenset()
    for fault in sorted(plan.on | lies):
        fewer = without | {fault}
        if run_seed(seed, without=fewer, heights=heights).verdict == verdict:
            without = fewer
        else:
            needed.append(fault)
    return needed
