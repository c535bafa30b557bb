"""The vectors: state before, transaction, code, state after; and that nothing is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.errors import Rejected
from mgsnode.base.transaction import open_transaction
from state.draft import Draft, StateReader
from state.execute import BlockRun
from state.registry import standard_registry
from state.trie import update
from tests.state.scenarios.base import SCENARIOS, VECTORS, run

PATHS = sorted(path for path in VECTORS.rglob("*.json") if path.name != "base.json")


# Events that no transaction of a scenario brings about: the clock does, or a proposal that takes
# effect. Each names the test file that meets it.
BY_CLOCK = {
    "commission_void",  # test_referral.py
    "gateway_cured",  # test_clearing.py
    "gov_named", "gov_version",  # test_periods.py, mgsnode/test_eras.py
    "token_unbonded",  # test_bonds.py
    "issue_carried", "gateway_cap",  # test_reserves.py
    "rewards_returned",  # test_mining.py
    "voice_directed", "token_spent",  # test_voice.py, test_vesting.py
    "voice_spent",  # test_reviews.py
}  # fmt: skip


class Rows:
    """A state given as rows."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        assert not reverse
        for key in sorted(self.rows):
            if key.startswith(prefix) and (start or b"") <= key and (stop is None or key < stop):
                yield key, self.rows[key]


def patched(rows: dict[bytes, bytes], changes: dict[str, str | None]) -> dict[bytes, bytes]:
    after = dict(rows)
    for key, value in changes.items():
        after.pop(bytes.fromhex(key), None)
        if value is not None:
            after[bytes.fromhex(key)] = bytes.fromhex(value)
    return after


def root(rows: dict[bytes, bytes]) -> str:
    return update(lambda _path: None, list(rows.items())).root.hex()


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    return json.loads((VECTORS / "base.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_state_after_is_as_the_vector_says(path: Path, base: dict[str, Any]) -> None:
    vector = json.loads(path.read_text())
    before = patched(patched({}, base["rows"]), vector["before"])
    draft = Draft(StateReader(Rows(before)))
    registry = standard_registry()
    tx = open_transaction(bytes.fromhex(vector["raw"]), bytes.fromhex(base["genesis_hash"]))
    kind = registry.kinds[tx.body.kind]
    kind.fields.check(tx.body.fields)
    assert kind.fields.from_json(vector["fields"], "tmgs") == tx.body.fields
    block = BlockRun(registry, draft, height=vector["height"], time_ms=vector["time_ms"])
    receipt = block.apply(tx)
    block.finish()
    assert (receipt.code, str(receipt.fee)) == (vector["code"], vector["fee"])
    assert registry.refusal_name(receipt.code) == vector["reason"]
    assert [event.name for event in receipt.events] == vector["events"]
    changes = {key.hex(): None if value is None else value.hex() for key, value in draft.changes()}
    assert changes == vector["after"]
    assert root(patched(before, vector["after"])) == vector["state_root"]


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: f"{case.family}/{case.name}")
def test_each_scenario_ends_as_it_says(case: Any) -> None:
    vector = run(case)
    assert vector["reason"] == case.reason
    stored = json.loads((VECTORS / case.family / f"{case.name}.json").read_text())
    assert vector == stored, "write the vectors again: python -m tests.state.scenarios"


def test_no_vector_is_left_over() -> None:
    assert {(path.parent.name, path.stem) for path in PATHS} == {
        (case.family, case.name) for case in SCENARIOS
    }


def test_every_kind_succeeds_in_some_vector() -> None:
    done = {json.loads(path.read_text())["kind"] for path in PATHS if not _code(path)}
    assert done == set(standard_registry().kinds)


def _code(path: Path) -> int:
    return int(json.loads(path.read_text())["code"])


def test_every_refusal_of_a_family_is_reached() -> None:
    reached = {json.loads(path.read_text())["reason"] for path in PATHS}
    # A deadline that has passed is met only while due work waits: test_clock.py reaches them.
    reached |= {"ORDER_DEADLINE", "REDEMPTION_DEADLINE"}
    reached |= {"OBLIGATION_DEADLINE"}  # test_clearing.py
    reached |= {"ISSUE_DEADLINE"}  # test_reserves.py
    names = {name for family in standard_registry().families for _, name in family.refusals}
    assert names - reached == set()


def test_every_event_has_the_values_that_its_schema_says() -> None:
    registry = standard_registry()
    seen: set[str] = set()
    for case in SCENARIOS:
        for event in _events(case):
            registry.events[event[0]].values.check(event[1])
            seen.add(event[0])
    assert set(registry.events) - seen == BY_CLOCK


def _events(case: Any) -> list[tuple[str, Any]]:
    from tests.state.scenarios.base import new_world

    w = new_world()
    tx = case.prepare(w)
    last = w.outcome.receipts if w.outcome else ()
    outcome_events = [event for receipt in last for event in receipt.events]
    return [(e.name, e.values) for e in [*outcome_events, *w.block(tx)[0].events]]


def test_a_changed_field_is_noticed(base: dict[str, Any]) -> None:
    """The runner itself: one amount changed in a stored transaction changes the state after."""
    vector = json.loads((VECTORS / "dollar" / "transfer_to_two.json").read_text())
    raw = bytes.fromhex(vector["raw"])
    with pytest.raises((Rejected, AssertionError)):
        tx = open_transaction(raw.replace(b"rent", b"Rent"), bytes.fromhex(base["genesis_hash"]))
        before = patched(patched({}, base["rows"]), vector["before"])
        draft = Draft(StateReader(Rows(before)))
        block = BlockRun(
            standard_registry(), draft, height=vector["height"], time_ms=vector["time_ms"]
        )
        receipt = block.apply(tx)
        assert receipt.events[0].values[-1] == "rent"
