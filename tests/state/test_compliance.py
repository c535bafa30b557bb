"""Compliance: a freeze stops dollars and never duties, ends by the clock, and seizes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.errors import Rejected
from state import execute
from state.draft import Draft
from state.registry import standard_registry
from state.tx.accounts import ACCOUNT, EVER_FROZEN, FREEZE, FROZEN, account_of
from state.tx.compliance import CASE as CASES
from state.tx.compliance import SEIZURE
from state.tx.gateways import OFFICER as OFFICER_ROLE
from state.tx.orders import ORDER
from state.tx.proposals import PROPOSAL
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP0, SELLER, grant, new_world
from tests.state.scenarios.compliance import CASE, OFFICER, freeze
from tests.state.scenarios.governance import done, join_args, passed, propose
from tests.state.scenarios.orders import _completed, _paid
from tests.state.world import DAY_MS, DOLLAR, Person, World, h, make_genesis, reason

MINUTE_MS = 60_000
NAMED = Person("court")


def short_world() -> World:
    """As for the scenarios, with freezes of thirty minutes instead of thirty days."""
    params = {"freeze_ms": 30 * MINUTE_MS}
    return World(make_genesis(funded=[ALICE, BOB, SELLER], arbiters=[ARBITER], params=params))


def pays(w: World, person: Person) -> str:
    return reason(w, w.do(person, "dollar_transfer", ((BOB.address, DOLLAR, ""),)))


def test_a_freeze_ends_after_its_live_time() -> None:
    w = short_world()
    freeze(w, ALICE)
    row = w.draft.get(FREEZE, ALICE.address)
    assert row is not None and row.until_ms == w.now(12) + 30 * MINUTE_MS
    w.pass_ms(30 * MINUTE_MS - 2)
    assert pays(w, ALICE) == "ACCOUNT_FROZEN"
    assert pays(w, ALICE) == ""
    assert w.broken_laws() == []


def test_thirty_days_are_the_default() -> None:
    assert standard_registry().defaults["freeze_ms"] == 30 * DAY_MS


def test_an_outage_does_not_thaw() -> None:
    w = short_world()
    freeze(w, ALICE)
    w.block(after_ms=40 * DAY_MS)
    assert pays(w, ALICE) == "ACCOUNT_FROZEN"


def test_past_its_end_the_account_is_free_though_the_work_still_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = short_world()
    freeze(w, ALICE)
    row = w.draft.get(FREEZE, ALICE.address)
    assert row is not None
    w.pass_ms(row.until_ms - w.now(12) - 1)
    monkeypatch.setattr(execute, "DUE_ITEMS_MAX", 0)
    assert pays(w, ALICE) == ""
    assert account_of(w.draft, ALICE.address).flags & FROZEN
    assert reason(w, w.do(OFFICER, "compliance_freeze", ALICE.address, h("fraud"))) == ""
    assert pays(w, ALICE) == "ACCOUNT_FROZEN"
    assert w.broken_laws() == []
    monkeypatch.undo()
    w.pass_ms(30 * MINUTE_MS)
    assert pays(w, ALICE) == ""


def test_one_case_freezes_an_account_once_and_a_proposal_can_extend_it() -> None:
    w = short_world()
    freeze(w, ALICE)
    done(w, "extend_freeze", (ALICE.address, CASE, 10 * MINUTE_MS))
    w.pass_ms(39 * MINUTE_MS)
    assert pays(w, ALICE) == "ACCOUNT_FROZEN"
    w.pass_ms(MINUTE_MS)
    assert pays(w, ALICE) == ""
    assert reason(w, w.do(OFFICER, "compliance_freeze", ALICE.address, CASE)) == "CASE_USED"
    assert w.broken_laws() == []


def test_who_extended_a_freeze_can_lift_it() -> None:
    w = short_world()
    freeze(w, ALICE)
    done(w, "extend_freeze", (ALICE.address, CASE, 10 * MINUTE_MS))
    assert reason(w, w.do(OFFICER, "compliance_thaw", ALICE.address, CASE)) == "FREEZE_EXTENDED"
    done(w, "lift_freeze", (ALICE.address, CASE))
    assert pays(w, ALICE) == ""
    assert w.broken_laws() == []


def test_an_officer_who_is_listed_no_more_freezes_and_thaws_nobody() -> None:
    w = short_world()
    freeze(w, ALICE)
    done(w, "name_role", (OFFICER_ROLE, OFFICER.address, False))
    assert reason(w, w.do(OFFICER, "compliance_thaw", ALICE.address, CASE)) == "NOT_OFFICER"


def test_the_pause_of_compliance_freezes_nobody_new_and_thaws_who_is_frozen() -> None:
    w = short_world()
    freeze(w, ALICE)
    done(w, "pause", ("compliance",))
    receipt = w.do(OFFICER, "compliance_freeze", BOB.address, h("fraud"))
    assert reason(w, receipt) == "FAMILY_PAUSED"
    w.pass_ms(31 * MINUTE_MS)  # and its end stands still
    assert pays(w, ALICE) == "ACCOUNT_FROZEN"
    assert reason(w, w.do(OFFICER, "compliance_thaw", ALICE.address, CASE)) == ""
    assert pays(w, ALICE) == ""


def test_a_frozen_buyer_buys_nothing_and_gets_its_refunds() -> None:
    w = short_world()
    order_id = _paid(w)
    shop = w.draft.get(ORDER, order_id).shop  # type: ignore[union-attr]
    freeze(w, ALICE)
    receipt = w.do(ALICE, "order_pay", shop, (("a", 1, DOLLAR, ()),), *NOTHING)
    assert reason(w, receipt) == "ACCOUNT_FROZEN"
    before = w.dollars(ALICE)
    assert reason(w, w.do(SELLER, "order_refund", order_id, ((0, 1),), "")) == ""
    assert w.dollars(ALICE) == before + 2 * DOLLAR
    assert w.broken_laws() == []


def test_a_frozen_shop_still_refunds_its_buyers_out_of_its_balance() -> None:
    w = short_world()
    order_id = _completed(w)
    freeze(w, SELLER)
    assert pays(w, SELLER) == "ACCOUNT_FROZEN"
    before = w.dollars(ALICE)
    assert reason(w, w.do(SELLER, "order_refund", order_id, ((0, 3),), "")) == ""
    assert w.dollars(ALICE) == before + 6 * DOLLAR


def test_a_frozen_operator_still_votes() -> None:
    w = short_world()
    freeze(w, OP0)
    assert pays(w, OP0) == "ACCOUNT_FROZEN"
    passed(w, "suspend", ("g3",))
    assert w.broken_laws() == []


def test_a_frozen_thief_loses_its_balance_by_proposal_only_and_never_an_escrow() -> None:
    w = short_world()
    order_id = _paid(w)
    freeze(w, ALICE)
    stolen = w.dollars(ALICE)
    done(w, "seize", (ALICE.address, NAMED.address, CASE))
    assert (w.dollars(ALICE), w.dollars(NAMED)) == (0, stolen)
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.status == "paid"
    assert [(key[0], row.to) for key, row in w.draft.items(SEIZURE)] == [
        (ALICE.address, NAMED.address)
    ]
    assert w.broken_laws() == []


def test_a_seizure_of_who_was_thawed_meanwhile_fails() -> None:
    w = short_world()
    freeze(w, ALICE)
    proposal = passed(w, "seize", (ALICE.address, NAMED.address, CASE), after=6)
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    while w.height < w.draft.get(PROPOSAL, proposal).effective_height:  # type: ignore[union-attr]
        w.block()
    row = w.draft.get(PROPOSAL, proposal)
    assert row is not None and (row.status, row.reason) == ("failed", "NOT_FROZEN")
    assert w.dollars(NAMED) == 0


@pytest.mark.parametrize("broken", ["flag", "ever", "case", "due", "account", "seizure"])
def test_the_law_notices_what_does_not_belong_together(broken: str) -> None:
    w = short_world()
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, NAMED.address, CASE))
    w.draft = Draft(w.draft)
    account, row = w.draft.get(ACCOUNT, ALICE.address), w.draft.get(FREEZE, ALICE.address)
    assert account is not None and row is not None
    edits: dict[str, Any] = {
        "flag": lambda: put(w, account._replace(flags=EVER_FROZEN)),
        "ever": lambda: put(w, account._replace(flags=FROZEN)),
        "account": lambda: w.draft.delete(ACCOUNT, ALICE.address),
        "case": lambda: w.draft.delete(CASES, (ALICE.address, CASE)),
        "due": lambda: w.draft.put(FREEZE, ALICE.address, row._replace(until_ms=row.until_ms + 1)),
        "seizure": lambda: w.draft.delete(FREEZE, ALICE.address),
    }
    edits[broken]()
    assert any(said.startswith("compliance/freezes") for said in w.broken_laws())


def put(w: World, account: Any) -> None:
    w.draft.put(ACCOUNT, ALICE.address, account)


def test_a_frozen_account_pays_its_own_fees_and_nobody_elses() -> None:
    w = new_world()
    freeze(w, ALICE)
    memo = ("account_set_memo", True)
    with pytest.raises(Rejected, match="ACCOUNT_FROZEN"):
        w.do(BOB, *memo, also=[ALICE], payer=ALICE)
    before = w.dollars(ALICE)
    assert w.do(ALICE, *memo).code == 0
    assert w.dollars(ALICE) < before
    thaw = ("compliance_thaw", ALICE.address, CASE)
    assert w.do(OFFICER, *thaw).code == 0
    assert w.do(BOB, *memo, also=[ALICE], payer=ALICE).code == 0


def test_no_proposal_bonds_the_tokens_of_a_frozen_account() -> None:
    w = new_world()
    w.block()
    args = join_args(w)
    grant(w, Person("op-nova"), 10**12)
    freeze(w, Person("op-nova"))
    assert reason(w, w.block(propose(w, "join", args))[0]) == "ACCOUNT_FROZEN"
    assert w.do(OFFICER, "compliance_thaw", Person("op-nova").address, CASE).code == 0
    assert w.block(propose(w, "join", args))[0].code == 0
