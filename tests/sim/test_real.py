"""The ledger that ships under faults and liars: every law at each height, whatever goes wrong."""

from __future__ import annotations

import pytest

from mgsnode.base.transaction import open_transaction
from state.registry import standard_registry
from tests.sim.real import run_real_seed
from tests.sim.work import governing, make_real_genesis, playable, record

HEIGHTS = 6
# Small networks: two liars whom evidence removes; joins and departures; faults alone.
SEEDS = (4, 5, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_laws_hold_at_each_height_whatever_goes_wrong(seed: int) -> None:
    outcome = run_real_seed(seed, heights=HEIGHTS)
    assert outcome.verdict == "held", f"seed {seed}: {outcome.verdict}: {outcome.why}"
    done = sum(count for name, count in outcome.counts.items() if name.endswith(": done"))
    assert done > 10
    assert outcome.counts["snapshots begun with"] == 1
    if seed == SEEDS[0]:
        assert outcome.counts["tx gov_evidence: done"] > 0
        assert outcome.counts["eras"] > 0


def test_a_run_is_a_function_of_its_seed() -> None:
    assert run_real_seed(5, heights=2).trace == run_real_seed(5, heights=2).trace


def test_the_workload_has_every_kind_of_every_family() -> None:
    genesis = make_real_genesis(4, 6)
    kinds = {
        open_transaction(raw, genesis.hash).body.kind
        for scenario in playable()
        for raw in record(genesis, scenario, 0)
    }
    assert kinds | governing() == set(standard_registry().kinds)
