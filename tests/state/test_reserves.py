"""Room to the micro-dollar, attestations over time, issues that wait, and each law's eye."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.errors import ConfigError
from state.context import DUE, PARAM, Due, Param, Params
from state.draft import Draft
from state.tx.attestations import ATTESTATION
from state.tx.gateways import ATTESTOR, ROLE, ROLES, STANDING, Standing, standing_of
from state.tx.issuing import BARRED, ISSUE, ISSUED_MAX, Issue, genesis_issue_id
from state.tx.money import totals_of
from state.tx.periods import period_of
from state.tx.positions import POSITION, REFERENCE, position_of
from state.tx.room import ATTESTED, RESERVE, Room, reserve_of, room_of
from state.tx.trials import CHAIN_TRIAL, INSTANT, TRIAL, trial_at
from tests.state.scenarios.base import ALICE, BOB, OP0, OP1, OP2, fund
from tests.state.scenarios.compliance import freeze
from tests.state.scenarios.governance import done, passed
from tests.state.scenarios.reserves import (
    ATTESTORS,
    BEYOND,
    attest,
    attestation,
    end_period,
    fund_attestors,
    vetoed,
    waiting,
)
from tests.state.world import DAY_MS, DOLLAR, START_MS, World, h, make_genesis, reason

CAP = 10_000_000 * DOLLAR


def world(attested: int = CAP, **given: Any) -> World:
    """Alice, Bob and the operators have 10,000 dollars each, all of g0; `attested` is g1's."""
    genesis = make_genesis(funded=[ALICE, BOB], **given)
    g0, g1, *others = genesis.gateways
    if given.get("cap") is None:
        g1 = g1._replace(attested=attested)
    w = World(genesis._replace(gateways=(g0, g1, *others)))
    fund_attestors(w)
    return w


def room(w: World, name: str = "g1") -> Room:
    return room_of(w.draft, Params(w.draft, w.registry.defaults), name, w.time_ms)


def stops(w: World, name: str = "g1") -> tuple[tuple[str, int], ...]:
    return standing_of(w.draft, name).stops


def issue_of(w: World, issue_id: bytes) -> Issue:
    row = w.draft.get(ISSUE, issue_id)
    assert row is not None
    return row


def paid_out(w: World, amount: int, *, ref: str = "payout") -> bytes:
    """Alice redeems at g1, which marks it paid."""
    rid = w.do(ALICE, "dollar_redeem", "g1", amount, "USD", h("iban"), ()).txid
    assert w.do(OP1, "dollar_redeem_paid", rid, h(ref), ()).code == 0
    return rid


def set_param(w: World, name: str, value: int) -> None:
    w.draft.put(PARAM, name, Param(value))


# Room ----------------------------------------------------------------------------------------


def test_the_genesis_is_attested_and_its_dollars_are_issues() -> None:
    w = World(make_genesis(funded=[ALICE, BOB], attested=8_000_000 * DOLLAR))
    found = room(w, "g0")
    assert (found.attested, found.instant_ms) == (8_000_000 * DOLLAR, START_MS)
    assert found.until_ms == START_MS + 31 * DAY_MS
    assert found.owed == 60_000 * DOLLAR
    assert found.room == 7_940_000 * DOLLAR
    first = issue_of(w, genesis_issue_id("g0"))
    assert (first.amount, first.to, first.status) == (60_000 * DOLLAR, b"", "issued")
    assert first.room_before - first.amount == first.room_after == found.room
    assert w.broken_laws() == []


def test_genesis_dollars_beyond_what_is_attested_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gateways\[0\].attested: the dollars of g0"):
        World(make_genesis(funded=[ALICE, BOB], attested=60_000 * DOLLAR - 1))
    w = World(make_genesis(funded=[ALICE, BOB], attested=60_000 * DOLLAR))
    assert (room(w, "g0").room, w.broken_laws()) == (0, [])


def test_the_parts_of_room_to_the_micro_dollar() -> None:
    """A 1,000,000; paid out 250.01, of which 100 is burned; withdrawn 1,000; ratio 95 %."""
    w = world()
    end_period(w)
    attest(w, 1_000_000 * DOLLAR)
    w.draft.put(STANDING, "g1", Standing(w.time_ms, ()))  # the shortfall is not the matter here
    set_param(w, "reserve_ratio_bps", 9_500)
    w.do(OP1, "dollar_issue", ALICE.address, 5_000 * DOLLAR, h("wire"))
    first = paid_out(w, 100 * DOLLAR, ref="a")
    w.do(ALICE, "dollar_redeem_confirm", first)
    paid_out(w, 150 * DOLLAR + 10_000, ref="b")
    by_ms = w.time_ms + 3 * DAY_MS
    assert w.do(OP1, "reserve_withdraw", (), 1_000 * DOLLAR, by_ms).code == 0
    found = room(w)
    assert (found.gone, found.announced) == (250_010_000, 1_000 * DOLLAR)
    assert found.owed == 5_000 * DOLLAR - 250_010_000
    backing = 1_000_000 * DOLLAR - 250_010_000 - 1_000 * DOLLAR
    assert found.backing == backing
    assert found.room == 9_500 * backing // 10_000 - found.owed
    assert w.broken_laws() == []


def test_redeeming_gives_no_room_back_before_the_next_attestation() -> None:
    w = world()
    w.do(OP1, "dollar_issue", ALICE.address, 5_000 * DOLLAR, h("wire"))
    before = room(w).room
    rid = paid_out(w, 1_000 * DOLLAR)
    assert room(w).room == before  # 1,000 less is owed, 1,000 is gone
    w.do(ALICE, "dollar_redeem_confirm", rid)
    assert room(w).room == before
    end_period(w)
    attest(w, CAP - 1_000 * DOLLAR)
    assert (room(w).gone, room(w).room) == (0, before)


def test_a_position_below_zero_is_no_room() -> None:
    w = world(attested=1_000 * DOLLAR)
    rid = paid_out(w, 300 * DOLLAR)
    w.do(ALICE, "dollar_redeem_confirm", rid)
    assert position_of(w.draft, "g1").position == -300 * DOLLAR
    assert room(w).room == 700 * DOLLAR


def test_a_withdrawal_counts_until_an_attestation_of_its_time_or_later() -> None:
    w = world()
    first = end_period(w)
    attest(w, CAP)
    assert w.do(OP1, "reserve_withdraw", (), 100 * DOLLAR, first + DAY_MS).code == 0
    assert w.do(OP1, "reserve_withdraw", (), 10 * DOLLAR, first + DAY_MS + 1).code == 0
    assert w.do(OP1, "reserve_withdraw", (), 10 * DOLLAR, first + DAY_MS + 1).code == 0
    assert room(w).announced == 120 * DOLLAR
    end_period(w)
    attest(w, CAP - 100 * DOLLAR)
    assert room(w).announced == 20 * DOLLAR
    end_period(w)
    attest(w, CAP - 120 * DOLLAR)
    assert (room(w).announced, stops(w)) == (0, ())
    assert w.broken_laws() == []


# Attestations --------------------------------------------------------------------------------


def test_the_second_largest_of_three_counts_and_one_alone_does_not() -> None:
    w = world(attested=100 * DOLLAR)
    end_period(w)
    w.block(attestation(w, 500 * DOLLAR))
    assert room(w).instant_ms == START_MS
    w.block(attestation(w, 100 * DOLLAR, by=ATTESTORS[1]))
    assert room(w).attested == 100 * DOLLAR
    w.block(attestation(w, 300 * DOLLAR, by=ATTESTORS[2]))
    assert (room(w).attested, room(w).instant_ms) == (300 * DOLLAR, period_of(w.draft).start_ms)
    w.block(attestation(w, 200 * DOLLAR))  # corrected: of 200, 100, 300 the second
    assert room(w).attested == 200 * DOLLAR
    assert w.broken_laws() == []


def test_what_counts_falls_as_attestations_expire_and_never_rises() -> None:
    w = world(attested=100 * DOLLAR)
    instant = end_period(w)
    for by, amount, days in zip(ATTESTORS, (300, 200, 100), (3, 2, 4), strict=True):
        w.block(attestation(w, amount * DOLLAR, by=by, days=days))
    assert (room(w).attested, room(w).until_ms) == (200 * DOLLAR, instant + 3 * DAY_MS)
    w.block(after_ms=instant + 2 * DAY_MS - 1 - w.time_ms)
    assert room(w).attested == 200 * DOLLAR
    w.block()
    assert room(w).attested == 100 * DOLLAR  # 300 and 100 are left
    w.block(after_ms=DAY_MS)
    assert (room(w).attested, room(w).until_ms, room(w).instant_ms) == (0, 0, instant)
    assert w.broken_laws() == []


def test_an_expired_attestation_lets_no_older_one_back() -> None:
    w = world()
    end_period(w)
    attest(w, CAP)  # for 31 days
    end_period(w)
    attest(w, CAP, days=2)
    w.block(after_ms=2 * DAY_MS)
    assert room(w).attested == 0


def test_an_attestor_who_is_no_longer_named_does_not_count() -> None:
    w = world(attested=100 * DOLLAR)
    first = end_period(w)
    for by in ATTESTORS:
        w.block(attestation(w, 200 * DOLLAR, by=by))
    second = end_period(w)
    attest(w, 300 * DOLLAR)
    assert room(w).instant_ms == second
    done(w, "name_role", ("attestor", ATTESTORS[0].address, False))
    assert (room(w).instant_ms, room(w).attested) == (first, 200 * DOLLAR)
    done(w, "name_role", ("attestor", ATTESTORS[1].address, False))
    assert (room(w).instant_ms, room(w).attested) == (START_MS, 100 * DOLLAR)
    assert w.broken_laws() == []


def test_more_attestors_may_be_needed_by_parameter() -> None:
    w = world(attested=100 * DOLLAR)
    end_period(w)
    attest(w, 200 * DOLLAR)
    set_param(w, "attestors_needed", 3)
    assert room(w).attested == 100 * DOLLAR
    w.block(attestation(w, 150 * DOLLAR, by=ATTESTORS[2]))
    assert room(w).attested == 150 * DOLLAR


def test_the_fiat_out_of_an_instant_is_that_of_the_end_of_its_period() -> None:
    w = world()
    paid_out(w, 300 * DOLLAR, ref="a")
    first = end_period(w)
    paid_out(w, 200 * DOLLAR, ref="b")
    end_period(w)
    attest_for = [w.block(attestation(w, CAP, by=by, instant=first))[0] for by in ATTESTORS[:2]]
    assert [r.code for r in attest_for] == [0, 0]
    assert room(w).gone == 200 * DOLLAR
    trial = trial_at(w.draft, "g1", first)
    assert trial is not None and trial.sums.fiat_out == 300 * DOLLAR


def test_32_instants_are_kept_the_newest_and_the_one_that_counts() -> None:
    w = world(params={"period_ms": 3_600_000})
    instants = []
    for _ in range(35):
        instants.append(end_period(w))
        assert w.block(attestation(w, CAP))[0].code == 0  # one alone counts for nothing
    kept = reserve_of(w.draft, "g1").instants
    assert kept == (*reversed(instants[-31:]), START_MS)
    assert len(list(w.draft.items(ATTESTED))) == 32 + 3  # and the genesis of the others
    assert room(w).attested == CAP, "one attestor alone took away what counts"
    late = w.block(attestation(w, CAP, by=ATTESTORS[1], instant=instants[3]))[0]
    assert reason(w, late) == "UNKNOWN_INSTANT"
    assert w.broken_laws() == []
    assert w.block(attestation(w, CAP, by=ATTESTORS[1], instant=instants[4]))[0].code == 0
    end_period(w)
    assert w.block(attestation(w, CAP))[0].code == 0
    kept = reserve_of(w.draft, "g1").instants
    assert (len(kept), kept[-1]) == (32, instants[4]), "the genesis counts no more and makes room"
    assert w.broken_laws() == []


# What the chain expects ----------------------------------------------------------------------


def test_one_per_cent_less_than_expected_is_borne_and_a_micro_dollar_more_is_not() -> None:
    """Expected: 10,000,000 attested - 1,000 paid out - 2,000 announced."""
    for missing, stopped in ((0, False), (1, True)):
        w = world()
        paid_out(w, 1_000 * DOLLAR)
        w.do(OP1, "reserve_withdraw", (), 2_000 * DOLLAR, w.time_ms + 20 * DAY_MS)
        expected = CAP - 3_000 * DOLLAR
        end_period(w)
        attest(w, expected * 99 // 100 - missing)
        assert stops(w) == ((("shortfall", 0),) if stopped else ())
        assert w.broken_laws() == []


def test_a_payment_that_left_before_the_instant_and_was_marked_after_it_is_no_shortfall() -> None:
    w = world(attested=1_000 * DOLLAR)
    end_period(w)
    paid_out(w, 500 * DOLLAR)
    attest(w, 500 * DOLLAR)
    assert stops(w) == ()


def test_an_attestation_that_has_expired_is_still_expected() -> None:
    w = world()
    w.block(after_ms=32 * DAY_MS)
    attest(w, CAP // 2)
    assert stops(w) == (("shortfall", 0),)


def test_a_shortfall_is_seen_when_attestors_were_exchanged_meanwhile() -> None:
    w = world()
    end_period(w)
    attest(w, CAP)
    for old in ATTESTORS[:2]:
        w.draft.delete(ROLE, (ROLES.index(ATTESTOR), old.address))
    end_period(w)
    w.draft.put(ROLE, (ROLES.index(ATTESTOR), OP2.address), _role())
    refused = w.block(attestation(w, CAP // 2, by=OP2))[0]
    assert reason(w, refused) == "ATTESTOR_LINKED"  # a gateway's operator is nobody's attestor
    w.draft.put(ROLE, (ROLES.index(ATTESTOR), BOB.address), _role())
    for by in (ATTESTORS[2], BOB):
        assert w.block(attestation(w, CAP // 2, by=by))[0].code == 0
    assert stops(w) == (("shortfall", 0),)


def _role() -> Any:
    from state.tx.gateways import Role

    return Role(0)


def test_a_correction_by_more_than_one_per_cent_is_a_shortfall() -> None:
    w = world(attested=100 * DOLLAR)
    end_period(w)
    attest(w, 200 * DOLLAR)
    assert stops(w) == ()
    w.block(attestation(w, 150 * DOLLAR))
    assert stops(w) == (("shortfall", 0),)


def test_governance_clears_a_shortfall_and_nothing_else_does() -> None:
    w = world(attested=100 * DOLLAR)
    end_period(w)
    attest(w, 50 * DOLLAR)
    end_period(w)
    attest(w, 100 * DOLLAR)
    issue = (ALICE.address, DOLLAR, h("wire"))
    assert reason(w, w.do(OP1, "dollar_issue", *issue)) == "ISSUING_STOPPED"
    done(w, "clear_stop", ("g1", "shortfall"))
    assert reason(w, w.do(OP1, "dollar_issue", *issue)) == ""


def test_a_newcomer_of_whom_nothing_is_known_has_no_shortfall() -> None:
    w = world(attested=0)
    end_period(w)
    for by in ATTESTORS[:2]:
        w.block(attestation(w, 0, by=by))
    assert stops(w) == ()


# Issues that wait ----------------------------------------------------------------------------


def test_an_issue_waits_24_hours_of_live_time_with_its_room_taken() -> None:
    w = world()
    before = room(w).room
    issue_id = waiting(w)
    due_ms = issue_of(w, issue_id).due_ms
    assert due_ms == w.now(13) + DAY_MS
    assert room(w).room == before - BEYOND
    assert issue_of(w, issue_id).room_before == before
    w.pass_ms(DAY_MS - 1)
    assert issue_of(w, issue_id).status == "waiting"
    had = w.dollars(ALICE)
    w.pass_ms(1)
    row = issue_of(w, issue_id)
    assert (row.status, row.room_before, row.room_after) == ("issued", before, before - BEYOND)
    assert w.dollars(ALICE) == had + BEYOND
    assert position_of(w.draft, "g1").waiting == 0
    assert w.broken_laws() == []


def test_pieces_under_the_threshold_add_up_and_begin_anew_with_the_period() -> None:
    w = world()
    for piece in range(10):
        w.do(OP1, "dollar_issue", ALICE.address, 10_000 * DOLLAR, h(f"piece {piece}"))
    crumb = w.do(OP1, "dollar_issue", ALICE.address, 1, h("crumb"))
    assert [event.name for event in crumb.events] == ["issue_waiting"]
    other = w.do(OP2, "dollar_issue", ALICE.address, 1, h("crumb"))
    assert "dollar_issued" in [event.name for event in other.events]
    end_period(w)
    crumb = w.do(OP1, "dollar_issue", ALICE.address, 1, h("crumb 2"))
    assert "dollar_issued" in [event.name for event in crumb.events]
    assert w.broken_laws() == []


def test_an_issue_whose_room_is_gone_at_its_end_lapses() -> None:
    w = world()
    issue_id = waiting(w, 150_000 * DOLLAR)
    end_period(w)
    attest(w, 149_999 * DOLLAR)
    w.draft.put(STANDING, "g1", Standing(w.time_ms, ()))
    supply = totals_of(w.draft).supply
    w.pass_ms(issue_of(w, issue_id).due_ms - w.now(13))
    row = issue_of(w, issue_id)
    assert (row.status, row.reason) == ("lapsed", "ROOM_EXCEEDED")
    assert (totals_of(w.draft).supply, room(w).waiting) == (supply, 0)
    assert w.broken_laws() == []


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("suspend", "GATEWAY_NOT_ACTIVE"),
        ("stop", "ISSUING_STOPPED"),
        ("freeze", "ACCOUNT_FROZEN"),
    ],
)
def test_an_issuer_that_may_no_longer_issue_loses_what_waits(what: str, why: str) -> None:
    w = world()
    issue_id = waiting(w)
    if what == "suspend":
        done(w, "suspend", ("g1",))
    elif what == "freeze":  # whoever stole its key has asked before the officer could act
        freeze(w, OP1)
    else:
        w.draft.put(STANDING, "g1", Standing(w.time_ms, (("strikes", 0),)))
    w.pass_ms(DAY_MS)
    assert (issue_of(w, issue_id).status, issue_of(w, issue_id).reason) == ("lapsed", why)
    assert w.broken_laws() == []


def test_what_could_never_be_counted_is_not_promised() -> None:
    w = world(cap=2**63 - 1)
    waiting(w)
    receipt = w.do(OP1, "dollar_issue", ALICE.address, ISSUED_MAX - BEYOND + 1, h("all"))
    assert reason(w, receipt) == "SUPPLY_LIMIT"
    receipt = w.do(OP1, "dollar_issue", ALICE.address, ISSUED_MAX - BEYOND, h("all"))
    assert reason(w, receipt) == ""


def test_a_veto_kills_and_gives_the_room_back_and_a_proposal_carries() -> None:
    w = world()
    before = room(w).room
    issue_id = vetoed(w)
    row = issue_of(w, issue_id)
    assert (row.status, row.vetoed_by, row.reason) == ("vetoed", "g2", "no wire came")
    assert (room(w).room, room(w).waiting) == (before, 0)
    w.pass_ms(DAY_MS)
    assert issue_of(w, issue_id).status == "vetoed"
    had = w.dollars(ALICE)
    done(w, "carry_issue", (issue_id,))
    row = issue_of(w, issue_id)
    assert (row.status, row.vetoed_by, row.room_after) == ("issued", "g2", room(w).room)
    assert w.dollars(ALICE) == had + BEYOND
    assert w.broken_laws() == []


def test_who_was_overridden_may_not_veto_that_issuer_for_30_days() -> None:
    w = world()
    done(w, "carry_issue", (vetoed(w),))
    until_ms = w.now(13) + 30 * DAY_MS
    assert [row.until_ms for _, row in w.draft.items(BARRED)] == [until_ms]
    again = w.do(OP1, "dollar_issue", ALICE.address, BEYOND, h("wire 2")).txid
    assert reason(w, w.do(OP2, "dollar_issue_veto", again, "again")) == "VETO_BARRED"
    assert reason(w, w.do(OP0, "dollar_issue_veto", again, "me too")) == ""
    w.draft.put(BARRED, (2, "g1"), next(iter(w.draft.items(BARRED)))[1]._replace(
        until_ms=w.now(13) + 1
    ))  # fmt: skip
    again = w.do(OP1, "dollar_issue", ALICE.address, BEYOND, h("wire 3")).txid
    assert reason(w, w.do(OP2, "dollar_issue_veto", again, "now I may")) == ""


def test_a_vetoed_issue_is_not_carried_where_its_room_has_gone() -> None:
    w = world()
    issue_id = vetoed(w)
    proposal = passed(w, "carry_issue", (issue_id,), after=10)
    done(w, "set_cap", ("g1", BEYOND - 1))
    while w.height < 40:
        w.block()
    from state.tx.proposals import PROPOSAL

    row = w.draft.get(PROPOSAL, proposal)
    assert row is not None and (row.status, row.reason) == ("failed", "ROOM_EXCEEDED")
    assert issue_of(w, issue_id).status == "vetoed"
    assert w.broken_laws() == []


def test_a_pause_stops_new_issues_and_lets_vetoes_and_the_clock_rest() -> None:
    w = world()
    issue_id = waiting(w)
    done(w, "pause", ("reserves",))
    receipt = w.do(OP1, "dollar_issue", ALICE.address, DOLLAR, h("wire 2"))
    assert reason(w, receipt) == "FAMILY_PAUSED"
    w.pass_ms(2 * DAY_MS)
    assert issue_of(w, issue_id).status == "waiting"
    assert reason(w, w.do(OP2, "dollar_issue_veto", issue_id, "no")) == ""


def test_past_its_time_an_issue_is_over_though_the_record_says_that_it_waits() -> None:
    """513 fall due at once; the last one is still written as waiting in the block that does 512."""
    w = world()
    fund(w, BOB, 1)
    set_param(w, "issue_threshold", 0)
    asks = [
        w.tx(OP1, "dollar_issue", BOB.address, DOLLAR, h(f"wire {at}"), nonce=at)
        for at in range(513)
    ]
    w.block(*asks)
    w.pass_ms(DAY_MS - 1)
    last = max(tx.txid for tx in asks)
    veto = w.tx(OP2, "dollar_issue_veto", last, "too late")
    assert reason(w, w.block(veto)[0]) == "ISSUE_DEADLINE"
    assert issue_of(w, last).status == "waiting"
    w.block()
    assert issue_of(w, last).status == "issued"
    assert w.broken_laws() == []


# The trial balance ---------------------------------------------------------------------------


def test_each_period_leaves_a_row_for_each_gateway_and_one_for_the_chain() -> None:
    w = world()
    w.do(OP1, "dollar_issue", ALICE.address, 700 * DOLLAR, h("wire"))
    rid = paid_out(w, 50 * DOLLAR)
    instant = end_period(w)
    w.do(ALICE, "dollar_redeem_confirm", rid)
    end_period(w)
    first, second = (w.draft.get(TRIAL, (number, "g1")) for number in (0, 1))
    assert first is not None and second is not None
    assert first.end_ms == instant
    assert (first.sums.issued, first.sums.burned, first.sums.position) == (
        700 * DOLLAR, 0, 700 * DOLLAR,
    )  # fmt: skip
    assert (second.sums.burned, second.sums.position) == (50 * DOLLAR, 650 * DOLLAR)
    assert first.room.room == second.room.room == CAP - 700 * DOLLAR
    whole = w.draft.get(CHAIN_TRIAL, 0)
    assert whole is not None
    assert whole.totals.supply == sum(
        row.sums.position for (number, _), row in w.draft.items(TRIAL) if number == 0
    )
    assert w.broken_laws() == []


# Laws ----------------------------------------------------------------------------------------


def history() -> World:
    """Something in every table of the family."""
    w = world()
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 0"))
    paid_out(w, 30 * DOLLAR)
    end_period(w)
    attest(w, CAP - 30 * DOLLAR)
    w.do(OP1, "reserve_withdraw", (), 5 * DOLLAR, w.time_ms + DAY_MS)
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 2"))
    waiting(w)
    w.do(OP2, "dollar_issue", ALICE.address, BEYOND, h("wire 3"))
    assert w.broken_laws() == []
    return w


def of_g1(w: World, table: Any) -> tuple[Any, Any]:
    """The last row of a table that speaks of g1; of issues the one that waits."""
    for key, row in reversed(list(w.draft.items(table))):
        if table is ISSUE and row.status != "waiting":
            continue
        if "g1" in (key if isinstance(key, tuple) else (key, getattr(row, "gateway", ""))):
            return key, row
    raise AssertionError(table.name)


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (POSITION, "waiting"), (POSITION, "issued"), (ISSUE, "amount"), (ISSUE, "due_ms"),
        (ISSUE, "room_after"), (POSITION, "at_once"), (RESERVE, "last_fiat_out"),
        (RESERVE, "last_amount"), (ATTESTED, "fiat_out"), (ATTESTATION, "amount"),
        (ATTESTATION, "expires_ms"), (TRIAL, "end_ms"), (CHAIN_TRIAL, "end_ms"),
        (INSTANT, "period"),
    ],
)  # fmt: skip
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, row = next(iter(w.draft.items(table))) if table in (CHAIN_TRIAL, INSTANT) else of_g1(
        w, table
    )  # fmt: skip
    w.draft.put(table, key, row._replace(**{field: getattr(row, field) + 1}))
    said = w.broken_laws()
    assert any(line.startswith("reserves/") for line in said), said


def broken(change: Any) -> list[str]:
    w = history()
    w.draft = Draft(w.draft)
    change(w)
    return w.broken_laws()


def test_laws_notice_what_is_gone_or_added() -> None:
    def attested(w: World) -> None:
        w.draft.delete(ATTESTED, (reserve_of(w.draft, "g1").instants[0], "g1"))

    def entry(w: World) -> None:
        key, row = of_g1(w, ATTESTED)
        w.draft.put(ATTESTED, key, row._replace(entries=row.entries[::-1]))

    def stray(w: World) -> None:
        key, row = of_g1(w, ATTESTED)
        w.draft.put(ATTESTED, (key[0] + 5, "g1"), row)

    def withdrawal(w: World) -> None:
        row = reserve_of(w.draft, "g1")
        w.draft.put(RESERVE, "g1", row._replace(withdrawals=((5, 0),)))

    def disorder(w: World) -> None:
        row = reserve_of(w.draft, "g1")
        w.draft.put(RESERVE, "g1", row._replace(withdrawals=((5, 1), (5, 1))))

    def instants(w: World) -> None:
        row = reserve_of(w.draft, "g1")
        w.draft.put(RESERVE, "g1", row._replace(instants=row.instants[::-1]))

    def reference(w: World) -> None:
        w.draft.delete(REFERENCE, ((1, h("wire 1")), "g1"))

    def due(w: World) -> None:
        w.draft.delete(DUE, next(key for key, _ in w.draft.items(DUE) if key[0][0] == 13))

    def scheduled(w: World) -> None:
        key = next(key for key, row in w.draft.items(ISSUE) if row.status == "issued")
        w.draft.put(DUE, ((13, 0), key), Due())

    def trial(w: World) -> None:
        w.draft.delete(TRIAL, (0, "g1"))

    def chain(w: World) -> None:
        w.draft.delete(CHAIN_TRIAL, 0)

    def sums(w: World) -> None:
        key, row = of_g1(w, TRIAL)
        w.draft.put(TRIAL, key, row._replace(sums=row.sums._replace(burned=1)))

    def fallen(w: World) -> None:
        key, row = of_g1(w, TRIAL)
        w.draft.put(TRIAL, key, row._replace(sums=row.sums._replace(fiat_out=10**15)))

    def room_taken(w: World) -> None:
        key, row = of_g1(w, ISSUE)
        w.draft.put(ISSUE, key, row._replace(room_before=row.amount - 1, room_after=-1))

    for change, said in (
        (attested, "nothing was attested"), (entry, "not in order"), (stray, "not kept"),
        (withdrawal, "of nothing"), (disorder, "withdrawals are not in order"),
        (instants, "instants are not in order"), (reference, "does not have its reference"),
        (due, "due queue says otherwise"), (scheduled, "due queue says otherwise"),
        (trial, "are missing"), (chain, "not those of the periods"), (sums, "do not add up"),
        (fallen, "fiat_out fell"), (room_taken, "more than the room"),
    ):  # fmt: skip
        found = broken(change)
        # Where the sums of period 0 are looked at first, a row that is gone shows there.
        assert any(said in line or "do not add up" in line for line in found), (change, found)
