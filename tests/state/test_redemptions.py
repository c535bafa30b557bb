"""Redemptions against a shadow bank: what is stolen in fiat leaves every sum on the chain right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state import execute
from state.context import DUE
from state.draft import Draft
from state.registry import standard_registry
from state.tx.accounts import account_of, note_recruited
from state.tx.contests import CONTEST
from state.tx.diligence import CREDIT, STRIKES, TALLY, strikes_of
from state.tx.gateways import GATEWAY, standing_of
from state.tx.money import REDEMPTIONS
from state.tx.payouts import OPEN, REDEMPTION, SWEEP, SWEEP_STEP, Redemption
from state.tx.periods import period_of
from state.tx.positions import ASKED_MAX, POSITION, position_of
from state.tx.quotes import CURRENT, QUOTE
from state.tx.tokens import liable_bond, token_totals_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, OP0, OP1, SELLER, fund, set_bond
from tests.state.scenarios.compliance import CASE, OFFICER, freeze
from tests.state.scenarios.governance import done
from tests.state.scenarios.redemptions import ATTESTORS, ask_pounds, set_quote
from tests.state.shadow_bank import ShadowBank
from tests.state.world import DAY_MS, DOLLAR, Person, World, h, make_genesis, people, reason

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
BOND = 1_000_000 * DOLLAR  # micro-MGS
FEE, LOST = 100_000, 10_000  # the ask fee; more than all transaction fees of one person here
# A day's rules in minutes, so that a test does not take 20,000 blocks.
SHORT = {
    "redeem_deadline_ms": 10 * MINUTE_MS, "contest_ms": 10 * MINUTE_MS,
    "ruling_ms": 20 * MINUTE_MS, "freeze_ms": 60 * MINUTE_MS,
    "issue_threshold": 10_000_000 * DOLLAR,
}  # fmt: skip


def make_world(**params: int) -> World:
    genesis = make_genesis(
        funded=[ALICE, BOB, SELLER], arbiters=[ARBITER], cap=INT_MAX, params={**SHORT, **params}
    )
    w = World(genesis)
    set_bond(w, "g1", BOND)
    for attestor in ATTESTORS:
        fund(w, attestor, 10)
    return w


def ask(w: World, who: Person = ALICE, dollars: int = 100, gateway: str = "g1") -> bytes:
    receipt = w.do(who, "dollar_redeem", gateway, dollars * DOLLAR, "USD", h("iban"), ())
    assert receipt.code == 0, reason(w, receipt)
    return receipt.txid


def paid(w: World, rid: bytes, reference: str = "", *case: bytes) -> str:
    named = h(reference or rid.hex())
    return reason(w, w.do(OP1, "dollar_redeem_paid", rid, named, tuple(case)))


def row_of(w: World, rid: bytes) -> Redemption:
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None
    return row


def status(w: World, rid: bytes) -> str:
    return row_of(w, rid).status


def bond(w: World) -> int:
    row = w.draft.get(GATEWAY, "g1")
    assert row is not None
    return row.bond


def tokens(w: World, person: Person) -> int:
    return account_of(w.draft, person.address).token


def next_period(w: World) -> None:
    w.block(after_ms=period_of(w.draft).end_ms - w.time_ms)


def stops(w: World) -> list[str]:
    return [why for why, _ in standing_of(w.draft, "g1").stops]


def rule_by_the_bank(bank: ShadowBank, rid: bytes) -> None:
    """Honest attestors ask both banks whether the whole amount arrived."""
    is_owed = bank.paid[rid] < row_of(bank.w, rid).amount
    for attestor in ATTESTORS[:2]:
        assert bank.w.do(attestor, "dollar_redeem_rule", rid, is_owed).code == 0


# The abuse list --------------------------------------------------------------------------------


def test_paid_without_paying_costs_the_gateway_and_not_the_holder() -> None:
    w = make_world()
    bank = ShadowBank(w)
    before, pool = bank.has(ALICE), token_totals_of(w.draft).pool
    rid = ask(w, dollars=50_000 // 10)
    assert paid(w, rid) == ""  # a lie
    assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
    rule_by_the_bank(bank, rid)
    assert status(w, rid) == "returned"
    assert before - LOST < bank.has(ALICE) <= before
    cut = BOND * 5 // 100 // 10  # a tenth of what costs a whole period's share
    assert (BOND - bond(w), tokens(w, ALICE)) == (cut, cut // 2)
    assert token_totals_of(w.draft).pool == pool + cut - cut // 2
    assert strikes_of(w.draft, "g1").number == 1
    assert position_of(w.draft, "g1")[2:4] == (0, 0)
    assert w.broken_laws() == []


def test_a_contest_against_the_truth_costs_the_holder_its_deposit_and_ask_fee() -> None:
    w = make_world()
    bank = ShadowBank(w)
    before, operator = bank.has(ALICE), w.dollars(OP1)
    rid = ask(w)
    bank.pay("g1", ALICE, 100 * DOLLAR, rid)
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
    assert dict(row_of(w, rid)._asdict())["deposit"] == DOLLAR
    rule_by_the_bank(bank, rid)
    assert status(w, rid) == "paid"
    assert before - LOST < bank.has(ALICE) + FEE + DOLLAR <= before
    assert operator - LOST < w.dollars(OP1) - FEE - DOLLAR <= operator
    assert (bond(w), stops(w)) == (BOND, [])
    assert w.broken_laws() == []


def test_attestors_who_are_silent_leave_it_with_the_holder() -> None:
    w = make_world()
    rid = ask(w)
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
    before = w.dollars(ALICE)
    w.pass_ms(20 * MINUTE_MS - 2)
    assert w.do(ATTESTORS[0], "dollar_redeem_rule", rid, False).code == 0
    assert status(w, rid) == "contested"
    w.pass_ms(1)
    assert status(w, rid) == "returned"
    assert w.dollars(ALICE) == before + 101 * DOLLAR + FEE
    assert bond(w) < BOND
    assert w.broken_laws() == []


def test_a_contest_needs_as_many_votes_as_when_its_redemption_was_asked_for() -> None:
    w = make_world()
    rid = ask(w)
    done(w, "set_param", ("ruling_votes", 15))
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
    for attestor in ATTESTORS[:2]:
        assert w.do(attestor, "dollar_redeem_rule", rid, False).code == 0
    assert status(w, rid) == "paid"


def test_a_vote_of_who_is_listed_no_more_does_not_count() -> None:
    w = make_world()
    rid = ask(w)
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
    assert w.do(ATTESTORS[0], "dollar_redeem_rule", rid, True).code == 0
    done(w, "name_role", ("attestor", ATTESTORS[0].address, False))
    assert w.do(ATTESTORS[1], "dollar_redeem_rule", rid, True).code == 0
    assert status(w, rid) == "contested"
    assert w.do(ATTESTORS[2], "dollar_redeem_rule", rid, True).code == 0
    assert status(w, rid) == "returned"


def test_a_claim_laid_three_times_counts_once() -> None:
    w = make_world()
    rids = [ask(w) for _ in range(3)]
    assert paid(w, rids[0], "one transfer") == ""
    assert paid(w, rids[0], "another") == "REDEMPTION_STATUS"
    assert [paid(w, rid, "one transfer") for rid in rids[1:]] == ["REFERENCE_USED"] * 2
    assert w.do(ALICE, "dollar_redeem_confirm", rids[0]).code == 0
    assert paid(w, rids[0], "a third") == "REDEMPTION_STATUS"
    position = position_of(w.draft, "g1")
    assert (position.burned, position.fiat_out) == (100 * DOLLAR, 100 * DOLLAR)
    assert w.broken_laws() == []


def test_a_gateway_that_claims_falsely_in_three_periods_may_not_issue() -> None:
    w = make_world()
    bank = ShadowBank(w)
    for number in range(1, 4):
        rid = ask(w)
        assert paid(w, rid) == ""
        assert w.do(ALICE, "dollar_redeem_contest", rid, "").code == 0
        rule_by_the_bank(bank, rid)
        assert strikes_of(w.draft, "g1").number == number
        assert stops(w) == (["strikes"] if number == 3 else [])
        next_period(w)
    receipt = w.do(OP1, "dollar_issue", ALICE.address, DOLLAR, h("x"))
    assert reason(w, receipt) == "ISSUING_STOPPED"


def test_dollars_are_redeemed_once() -> None:
    w = make_world()
    most = w.dollars(ALICE) // DOLLAR - 1
    ask(w, dollars=most)
    receipt = w.do(ALICE, "dollar_redeem", "g0", most * DOLLAR, "USD", h("iban"), ())
    assert reason(w, receipt) == "INSUFFICIENT_BALANCE"
    twin = w.tx(BOB, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())
    assert w.block(twin)[0].code == 0
    with pytest.raises(Rejected, match="BAD_NONCE"):
        w.block(twin)


def test_of_two_redemptions_of_equal_amount_each_ends_for_itself() -> None:
    w = make_world()
    bank = ShadowBank(w)
    before = bank.has(ALICE)
    first, second = ask(w), ask(w)
    bank.pay("g1", ALICE, 100 * DOLLAR, second)
    assert paid(w, second) == ""
    assert w.do(ALICE, "dollar_redeem_confirm", second).code == 0
    w.pass_ms(10 * MINUTE_MS)
    assert (status(w, first), status(w, second)) == ("expired", "paid")
    assert before - LOST < bank.has(ALICE) <= before
    assert bank.fiat["g1"] == -100 * DOLLAR == position_of(w.draft, "g1").position
    assert w.broken_laws() == []


def crowd(w: World, count: int, dollars: int = 1_000) -> list[Person]:
    some = people(*(f"holder {number}" for number in range(count)))
    for person in some:
        fund(w, person, dollars)
    return some


def refuse(w: World, rid: bytes, why: str = "bank") -> None:
    assert w.do(OP1, "dollar_redeem_refuse", rid, why).code == 0


def test_a_gateway_that_refuses_everyone_is_stopped_for_the_next_period() -> None:
    w = make_world()
    some = crowd(w, 5)
    before = [w.dollars(person) for person in some]
    for person in some:
        refuse(w, ask(w, person))
    assert stops(w) == []
    assert all(b - LOST < w.dollars(p) for b, p in zip(before, some, strict=True))
    next_period(w)
    assert standing_of(w.draft, "g1").stops == (("refusals", 2),)
    receipt = w.do(OP1, "dollar_issue", ALICE.address, DOLLAR, h("x"))
    assert reason(w, receipt) == "ISSUING_STOPPED"
    shared = w.shared["g1"]
    next_period(w)  # without a share of the fees of the period in which it was stopped
    assert (stops(w), w.shared["g1"]) == ([], shared)
    assert w.broken_laws() == []


@pytest.mark.parametrize(("paid_for", "stopped"), [(4_500, False), (4_499, True)])
def test_a_tenth_of_the_value_may_be_refused(paid_for: int, stopped: bool) -> None:
    """Five refusals of 100 dollars: 500 of 5,000 is a tenth, 500 of 4,999 is more."""
    w = make_world()
    ask(w, dollars=paid_for)
    for person in crowd(w, 5):
        refuse(w, ask(w, person))
    next_period(w)
    assert stops(w) == (["refusals"] if stopped else [])
    assert w.broken_laws() == []


def test_fewer_than_five_holders_stop_nobody_and_linked_ones_are_one() -> None:
    w = make_world()
    some = crowd(w, 5)
    link(w, some[0], some[4])
    for person in some * 2:
        refuse(w, ask(w, person))
    next_period(w)
    assert stops(w) == []
    tally = w.draft.get(TALLY, (0, "g1"))
    assert tally is not None and (tally.refused, len(tally.holders)) == (1_000 * DOLLAR, 4)


def link(w: World, one: Person, other: Person) -> None:
    """One recruited the other: they are linked for ever."""

    class Ctx:
        draft = w.draft

    note_recruited(Ctx(), one.address, other.address)  # type: ignore[arg-type]


def test_a_refusal_counts_for_the_period_in_which_was_asked_and_is_judged_when_it_comes() -> None:
    w = make_world(redeem_deadline_ms=5 * DAY_MS)
    some = crowd(w, 5)
    rids = [ask(w, person) for person in some]
    next_period(w)
    assert stops(w) == []
    for rid in rids[:4]:
        refuse(w, rid)
    assert stops(w) == []
    refuse(w, rids[4])
    assert standing_of(w.draft, "g1").stops == (("refusals", 2),)
    next_period(w)
    assert stops(w) == []
    assert w.broken_laws() == []


def test_a_gateway_that_ignores_everyone_loses_a_bounded_part_and_is_stopped_in_the_end() -> None:
    w = make_world()
    some = crowd(w, 4, 25_000)
    before = sum(map(w.dollars, some))
    for number in range(1, 4):
        start = bond(w)
        for person in some:  # 72,000 dollars ignored: more than a period takes
            ask(w, person, 12_000)
        w.pass_ms(10 * MINUTE_MS)
        assert start - bond(w) == start * 5 // 100 * 48_000 // 50_000
        for person in some[:2]:
            ask(w, person, 12_000)
        w.pass_ms(10 * MINUTE_MS)
        assert start - bond(w) == start * 5 // 100
        assert strikes_of(w.draft, "g1").number == number
        next_period(w)
    assert stops(w) == ["strikes"]
    assert before - 20 * LOST < sum(map(w.dollars, some)) <= before
    lost = BOND - bond(w)
    got = sum(tokens(w, person) for person in some)
    assert lost // 2 - 12 <= got <= lost // 2  # each half floors for itself
    assert w.broken_laws() == []


def test_abuse_a_gateway_unbonds_before_it_ignores_everyone() -> None:
    """What is on its way back answers like the bond, for failures as for evidence and defaults."""
    w = make_world(bond_minimum=0)
    some = crowd(w, 4, 25_000)
    for person in some:
        ask(w, person, 12_500)
    assert w.do(OP1, "token_unbond", BOND - 1).code == 0
    w.pass_ms(10 * MINUTE_MS)
    assert liable_bond(w.draft, "g1") == BOND - BOND * 5 // 100
    assert bond(w) == 0
    assert sum(tokens(w, person) for person in some) == BOND * 5 // 100 // 2
    assert w.broken_laws() == []


def test_who_is_cleared_of_its_strikes_begins_again() -> None:
    w = make_world(strike_limit=1)
    ask(w)
    w.pass_ms(10 * MINUTE_MS)
    assert stops(w) == ["strikes"]
    done(w, "clear_stop", ("g1", "strikes"))
    assert strikes_of(w.draft, "g1").number == 0
    next_period(w)
    ask(w)
    w.pass_ms(10 * MINUTE_MS)
    row = w.draft.get(STRIKES, "g1")
    assert row is not None and row.number == 1 and stops(w) == ["strikes"]


def test_a_holder_that_never_confirms_is_taken_as_paid() -> None:
    w = make_world()
    bank = ShadowBank(w)
    before, operator = bank.has(ALICE), w.dollars(OP1)
    rid = ask(w)
    bank.pay("g1", ALICE, 100 * DOLLAR, rid)
    assert paid(w, rid) == ""
    w.pass_ms(10 * MINUTE_MS)
    assert status(w, rid) == "paid"
    assert before - LOST < bank.has(ALICE) + FEE <= before  # the ask fee is the gateway's
    assert operator - LOST < w.dollars(OP1) - FEE <= operator
    assert bank.fiat["g1"] == position_of(w.draft, "g1").position
    assert w.broken_laws() == []


def test_a_frozen_thief_asks_and_waits_and_is_seized_to_the_last_dollar() -> None:
    w = make_world()
    stolen = w.dollars(ALICE)
    many = [ask(w, dollars=10) for _ in range(2 * SWEEP_STEP + 5)]
    claimed = ask(w, dollars=10)
    freeze(w, ALICE)
    assert paid(w, claimed) == "UNKNOWN_CASE"
    assert paid(w, claimed, "", h("other")) == "UNKNOWN_CASE"
    assert paid(w, claimed, "", CASE) == ""
    late = ask(w, dollars=10)  # it may ask
    w.pass_ms(40 * MINUTE_MS)
    assert {status(w, rid) for rid in many} == {"pending"}
    assert status(w, claimed) == "claimed"
    assert strikes_of(w.draft, "g1").number == 0
    court = Person("court")
    done(w, "seize", (ALICE.address, court.address, CASE))
    assert w.dollars(ALICE) == 0
    assert paid(w, many[0], "", CASE) == "REDEMPTION_STATUS"
    ended = Counter(status(w, rid) for rid in many)
    while ended["seized"] < len(many):
        w.block()
        step = Counter(status(w, rid) for rid in many)
        assert 1 <= step["seized"] - ended["seized"] <= SWEEP_STEP
        ended = step
    w.block()
    assert status(w, late) == "seized"
    assert w.broken_laws() == []
    done(w, "extend_freeze", (ALICE.address, CASE, DAY_MS))
    done(w, "lift_freeze", (ALICE.address, CASE))
    w.pass_ms(11 * MINUTE_MS)  # the claim ends first, in its own time: by silence
    assert status(w, claimed) == "paid"
    assert stolen - 10 * DOLLAR - FEE - 40 * LOST < w.dollars(court) < stolen
    assert list(w.draft.items(OPEN)) == [] == list(w.draft.items(SWEEP))
    assert w.broken_laws() == []


def test_a_walk_and_a_deadline_in_one_block_seize_once() -> None:
    """The walk ends what stands later in the same block's queue: found by the day in the life."""
    w = make_world()
    court = Person("court")
    rids = [ask(w), ask(w)]
    w.pass_ms(9 * MINUTE_MS + 30_000)
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, court.address, CASE))
    before = w.dollars(court)
    receipts = w.block(after_ms=60_000)
    assert {status(w, rid) for rid in rids} == {"seized"}
    assert w.dollars(court) - before == 2 * (100 * DOLLAR + FEE)
    assert [r.txid for r in receipts if r.txid in rids] == [], "nothing of its own fell due"
    assert position_of(w.draft, "g1").asks == 0
    assert w.broken_laws() == []


def test_what_comes_back_of_a_contest_after_a_seizure_goes_to_the_named_account() -> None:
    w = make_world()
    rid = ask(w)
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "").code == 0
    freeze(w, ALICE)
    court = Person("court")
    done(w, "seize", (ALICE.address, court.address, CASE))
    before = w.dollars(court)
    assert status(w, rid) == "contested"
    for attestor in ATTESTORS[:2]:
        assert w.do(attestor, "dollar_redeem_rule", rid, True).code == 0
    assert status(w, rid) == "returned"
    assert (w.dollars(court) - before, w.dollars(ALICE)) == (101 * DOLLAR + FEE, 0)
    assert tokens(w, court) > 0 == tokens(w, ALICE)
    assert w.broken_laws() == []


def test_what_an_account_asks_for_after_its_seizure_is_its_own() -> None:
    w = make_world()
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, BOB.address, CASE))
    w.do(OP0, "dollar_issue", ALICE.address, 200 * DOLLAR, h("due to her"))
    rid = ask(w)
    refuse(w, rid)
    assert status(w, rid) == "refused" and w.dollars(ALICE) > 199 * DOLLAR


def test_a_freeze_puts_each_deadline_off_by_its_length_and_parks_what_falls_due() -> None:
    w = make_world()
    rid = ask(w)
    w.pass_ms(4 * MINUTE_MS)
    freeze(w, ALICE)
    start = w.now(REDEMPTIONS)
    w.pass_ms(30 * MINUTE_MS)
    assert row_of(w, rid).parked and w.broken_laws() == []
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    stood = w.now(REDEMPTIONS) - start
    w.block()
    assert row_of(w, rid).due_ms == row_of(w, rid).asked_ms + 10 * MINUTE_MS + stood
    w.pass_ms(row_of(w, rid).due_ms - w.now(REDEMPTIONS) - 1)
    assert status(w, rid) == "pending"
    w.pass_ms(1)
    assert status(w, rid) == "expired"
    assert w.broken_laws() == []


def test_a_freeze_that_is_over_before_the_deadline_puts_it_off_too() -> None:
    w = make_world()
    rid = ask(w)
    freeze(w, ALICE)
    start = w.now(REDEMPTIONS)
    w.pass_ms(3 * MINUTE_MS)
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    stood = w.now(REDEMPTIONS) - start
    due_ms = row_of(w, rid).asked_ms + 10 * MINUTE_MS + stood
    w.pass_ms(due_ms - w.now(REDEMPTIONS) - 2)
    assert paid(w, rid) == ""


def test_a_freeze_and_a_pause_at_once_take_the_time_once() -> None:
    w = make_world()
    rid = ask(w)
    freeze(w, ALICE)
    done(w, "pause", ("redemptions",))
    w.pass_ms(20 * MINUTE_MS)
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    done(w, "resume", ("redemptions",))
    w.block()
    row = row_of(w, rid)
    assert 0 <= row.due_ms - row.asked_ms - 10 * MINUTE_MS < 1_000
    assert w.broken_laws() == []


def test_a_freeze_does_not_save_a_gateway_whose_time_was_over_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = make_world()
    rid = ask(w)
    fund(w, OFFICER, 10)
    monkeypatch.setattr(execute, "DUE_ITEMS_MAX", 0)
    w.pass_ms(10 * MINUTE_MS)
    assert w.do(OFFICER, "compliance_freeze", ALICE.address, CASE).code == 0
    assert paid(w, rid, "", CASE) == "REDEMPTION_DEADLINE"
    monkeypatch.undo()
    w.block()
    assert status(w, rid) == "expired"


def test_a_frozen_operator_of_a_gateway_still_pays_and_refuses_and_is_struck() -> None:
    w = make_world()
    freeze(w, OP1)
    first, second, third = ask(w), ask(w), ask(w)
    assert paid(w, first) == ""
    refuse(w, second, "details")
    w.pass_ms(10 * MINUTE_MS)
    assert [status(w, rid) for rid in (first, second, third)] == ["paid", "refused", "expired"]
    assert strikes_of(w.draft, "g1").number == 1
    assert w.broken_laws() == []


def test_an_outage_of_48_hours_makes_no_strike() -> None:
    w = make_world()
    first, second = ask(w), ask(w)
    assert paid(w, second) == ""
    w.block(after_ms=2 * DAY_MS)
    assert (status(w, first), status(w, second)) == ("pending", "claimed")
    assert paid(w, first) == ""
    assert w.do(ALICE, "dollar_redeem_contest", second, "").code == 0
    assert (bond(w), stops(w)) == (BOND, [])


def test_crumbs_make_no_strike_before_they_are_more_than_crumbs() -> None:
    w = make_world()
    for _ in range(9):
        ask(w, dollars=10)
    w.pass_ms(10 * MINUTE_MS)
    assert strikes_of(w.draft, "g1").number == 0
    crumb = BOND * 5 // 100 * 10 // 50_000
    assert BOND - bond(w) == 9 * crumb  # a hundred-thousandth of the bond each
    ask(w, dollars=10)
    w.pass_ms(10 * MINUTE_MS)
    assert strikes_of(w.draft, "g1").number == 1
    for _ in range(40):
        ask(w, dollars=10)
    w.pass_ms(10 * MINUTE_MS)
    assert strikes_of(w.draft, "g1").number == 1  # one a period
    assert w.broken_laws() == []


def test_an_accomplice_of_the_operator_gets_nothing_of_its_bond_and_makes_no_strike() -> None:
    w = make_world()
    link(w, ALICE, OP1)
    rid = ask(w, dollars=9_000)
    w.pass_ms(10 * MINUTE_MS)
    assert status(w, rid) == "expired"
    assert tokens(w, ALICE) == 0 < BOND - bond(w)
    assert strikes_of(w.draft, "g1").number == 0
    assert w.broken_laws() == []


def test_a_gateway_without_a_bond_is_struck_all_the_same() -> None:
    w = make_world()
    ask(w, gateway="g0")
    w.pass_ms(10 * MINUTE_MS)
    assert strikes_of(w.draft, "g0").number == 1
    assert w.broken_laws() == []


# Quotes to the smallest unit -------------------------------------------------------------------


def test_a_quote_fixes_the_fiat_amount_rounded_down_and_keeps_it() -> None:
    w = make_world()
    quote = set_quote(w, bid=79_123_457, ask=80_000_000, fee=37)
    rid = w.block(ask_pounds(w, quote, 123))[0].txid
    # 123 x 79.123457 x 0.9963 = 9,696.17... pence
    assert row_of(w, rid).fiat == 123 * 79_123_457 * 9_963 // (10**6 * 10_000) == 9_696
    set_quote(w, bid=1_000_000)
    assert paid(w, rid) == ""
    assert row_of(w, rid).fiat == 9_696
    row = w.draft.get(QUOTE, quote)
    assert row is not None and row.size - row.left == 123 * DOLLAR
    assert w.broken_laws() == []


def test_size_does_not_come_back_with_a_refusal() -> None:
    w = make_world()
    quote = set_quote(w, size=30 * DOLLAR)
    refuse(w, w.block(ask_pounds(w, quote))[0].txid, "details")
    assert reason(w, w.block(ask_pounds(w, quote))[0]) == "QUOTE_SIZE"


# Ten thousand ----------------------------------------------------------------------------------


def test_ten_thousand_redemptions_that_expire_in_one_block_end_in_order_once_each() -> None:
    w = make_world(strike_limit=10)
    count, each = 10_000, 1_000
    fund(w, BOB, 150_000)
    start = w.time_ms
    for nonce in range(0, count, each):
        asks = [
            w.tx(BOB, "dollar_redeem", "g0", 10 * DOLLAR, "USD", h("p"), (), nonce=nonce + i)
            for i in range(each)
        ]
        assert all(receipt.code == 0 for receipt in w.block(*asks))
    queue = [key[1] for key, _ in w.draft.items(DUE, bytes([REDEMPTIONS]))]
    assert len(queue) == count
    before = w.dollars(BOB)
    w.pass_ms(start + 10 * MINUTE_MS - w.time_ms)
    done_in = [[r.txid for r in w.block(after_ms=after)] for after in (1_000, *[1] * 25)]
    sizes = [len(ids) for ids in done_in]
    assert sizes == [execute.DUE_ITEMS_MAX] * 19 + [count - 19 * execute.DUE_ITEMS_MAX] + [0] * 6
    assert [rid for ids in done_in for rid in ids] == queue
    assert {status(w, rid) for rid in queue} == {"expired"}
    assert w.dollars(BOB) == before + count * (10 * DOLLAR + FEE)
    assert strikes_of(w.draft, "g0").number == 1
    assert w.broken_laws() == []


# The laws notice -------------------------------------------------------------------------------

TAMPERINGS = [
    (POSITION, "asked"), (REDEMPTION, "amount"), (REDEMPTION, "deposit"), (REDEMPTION, "parked"),
    (REDEMPTION, "period"), (REDEMPTION, "fiat"), (QUOTE, "left"), (TALLY, "refused"),
    (TALLY, "asked_ever"), (STRIKES, "cut"),
]  # fmt: skip


def history() -> World:
    """Redemptions contested, refused and failed, on a quote, over two periods."""
    w = make_world()
    rid = ask(w)
    assert paid(w, rid) == ""
    assert w.do(ALICE, "dollar_redeem_contest", rid, "").code == 0
    refuse(w, w.block(ask_pounds(w, set_quote(w)))[0].txid)
    next_period(w)
    assert w.broken_laws() == []
    return w


@pytest.mark.parametrize(("table", "field"), TAMPERINGS, ids=str)
def test_a_law_notices_a_figure_that_is_off(table: Any, field: str) -> None:
    w = history()
    w.draft.put(STRIKES, "g1", strikes_of(w.draft, "g1")._replace(period=0))
    w.draft = Draft(w.draft)
    rows = list(w.draft.items(table))
    chosen = {REDEMPTION: lambda key, row: row.status == "contested"}
    key, record = next(pair for pair in rows if chosen.get(table, lambda *_: True)(*pair))
    w.draft.put(table, key, record._replace(**{field: getattr(record, field) + 1}))
    assert any(said.startswith("redemptions/") for said in w.broken_laws())


@pytest.mark.parametrize("table", [OPEN, CONTEST, QUOTE, CURRENT, TALLY])
def test_a_law_notices_a_row_that_is_gone(table: Any) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, _ = next(iter(w.draft.items(table)))
    if table is TALLY:
        key = (0, "g1")
    w.draft.delete(table, key)
    assert any(said.startswith("redemptions/") for said in w.broken_laws())


def test_what_was_ever_asked_of_a_gateway_stays_countable() -> None:
    """Asked and refused in a circle, the same dollars would end a 64-bit sum, and the chain."""
    w = make_world()
    sums = position_of(w.draft, "g1")
    w.draft.put(POSITION, "g1", sums._replace(asked=ASKED_MAX - 100 * DOLLAR))
    assert w.do(OP1, "dollar_redeem_refuse", ask(w), "bank").code == 0
    again = w.do(ALICE, "dollar_redeem", "g1", 10 * DOLLAR, "USD", h("iban"), ())
    assert reason(w, again) == "SUPPLY_LIMIT"
    rows = w.rows()  # every row encodes
    assert rows


def test_a_strike_limit_that_moves_forgives_nothing_and_cleared_is_cleared() -> None:
    w = make_world()
    for strike in range(3):
        rid = ask(w)
        assert paid(w, rid, f"lie {strike}") == ""
        assert w.do(ALICE, "dollar_redeem_contest", rid, "nothing").code == 0
        for attestor in ATTESTORS[:2]:
            assert w.do(attestor, "dollar_redeem_rule", rid, True).code == 0
        next_period(w)
        if strike == 0:
            done(w, "set_param", ("strike_limit", 1))
            assert strikes_of(w.draft, "g1").number == 1, "a lower limit forgave it"
            done(w, "set_param", ("strike_limit", 3))
    assert stops(w) == ["strikes"]
    done(w, "set_param", ("strike_limit", 5))
    done(w, "clear_stop", ("g1", "strikes"))
    assert strikes_of(w.draft, "g1").number == 0
    assert w.broken_laws() == []


def test_the_ask_fee_of_a_frozen_holder_never_reaches_the_gateway() -> None:
    """Refused for its details over and over, a thief could carry its dollars to a friend's bank."""
    w = make_world()
    rid = ask(w)
    freeze(w, ALICE)
    before, operator = w.dollars(ALICE), w.dollars(OP1)
    assert w.do(OP1, "dollar_redeem_refuse", rid, "details").code == 0
    assert w.dollars(ALICE) == before + 100 * DOLLAR + FEE
    assert w.dollars(OP1) < operator
    assert w.broken_laws() == []


def test_credit_is_the_floor_or_more() -> None:
    w = make_world()
    assert w.do(OP1, "gateway_credit", 70_000 * DOLLAR).code == 0
    row = w.draft.get(CREDIT, "g1")
    assert row is not None and row.amount == 70_000 * DOLLAR
    fund(w, ALICE, 70_000)
    ask(w, dollars=70_000)
    receipt = w.do(BOB, "dollar_redeem", "g1", 10 * DOLLAR, "USD", h("iban"), ())
    assert reason(w, receipt) == "CREDIT_EXHAUSTED"


def test_the_defaults_are_those_of_the_design() -> None:
    defaults = standard_registry().defaults
    hours = {"redeem_deadline_ms": 24, "contest_ms": 72, "ruling_ms": 14 * 24}
    assert {name: defaults[name] // HOUR_MS for name in hours} == hours
    assert (defaults["contest_deposit_bps"], defaults["contest_deposit"]) == (100, 100 * DOLLAR)
    assert (defaults["strike_bond_bps"], defaults["strike_limit"]) == (500, 3)
