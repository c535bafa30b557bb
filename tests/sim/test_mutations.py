"""The list of planted bugs fits the sources; `make mutate` plants them."""

from __future__ import annotations

import pytest

from tests.sim.mutate import ROOT, apply_changes
from tests.sim.mutations import MUTATIONS, Mutation


def test_there_are_at_least_25() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_text_stands_there_once(mutation: Mutation) -> None:
    source = (ROOT / mutation.path).read_text()
    compile(apply_changes(mutation, source), mutation.file, "exec")
