"""What may happen to reserves and issuing."""

from __future__ import annotations

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.tx.accounts import note_keys
from state.tx.gateways import GATEWAY, STANDING, Standing
from state.tx.issuing import BARRED, Barred
from state.tx.periods import period_of
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    OP0,
    OP1,
    OP2,
    scenario,
)
from tests.state.scenarios.compliance import freeze
from tests.state.scenarios.governance import propose
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    h,
    people,
)

ATTESTORS = people("attestor0", "attestor1", "attestor2")
BEYOND = 100_001 * DOLLAR  # the threshold


def end_period(w: World) -> int:
    """Let the running period end; its instant."""
    end_ms = period_of(w.draft).end_ms
    w.block(after_ms=end_ms - w.time_ms)
    return end_ms


def attestation(
    w: World, amount: int, *, by: Person = ATTESTORS[0], instant: int = 0, days: int = 31,
    gateway: str = "g1",
) -> Transaction:  # fmt: skip
    """What an attestor says of a gateway, for the last instant unless another is given."""
    instant = instant or period_of(w.draft).start_ms
    return w.tx(by, "reserve_attest", gateway, instant, amount, instant + days * DAY_MS, h("proof"))


def attest(w: World, amount: int, *, gateway: str = "g1", days: int = 31) -> None:
    """Two attestors agree."""
    for by in ATTESTORS[:2]:
        receipt = w.block(attestation(w, amount, by=by, gateway=gateway, days=days))[0]
        assert receipt.code == 0, w.registry.refusal_name(receipt.code)


def waiting(w: World, amount: int = BEYOND) -> bytes:
    """An issue of g1 that has to wait."""
    receipt = w.do(OP1, "dollar_issue", ALICE.address, amount, h("wire 1"))
    assert [event.name for event in receipt.events] == ["issue_waiting"]
    return receipt.txid


def vetoed(w: World) -> bytes:
    """An issue of g1 that g2 has vetoed."""
    issue = waiting(w)
    assert w.do(OP2, "dollar_issue_veto", issue, "no wire came").code == 0
    return issue


def fund_attestors(w: World) -> None:
    """Attestors of this world pay their fees out of what Alice gives them."""
    w.do(ALICE, "dollar_transfer", tuple((each.address, DOLLAR, "") for each in ATTESTORS))


@scenario("dollar")
def issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "NOT_OPERATOR")
def issue_by_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def issue_by_a_suspended_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="suspended"))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "REFERENCE_USED")
def issue_twice_on_one_reference(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_on_the_reference_of_another_gateway(w: World) -> Transaction:
    w.do(OP0, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_up_to_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR, h("wire 1"))


@scenario("dollar", "ROOM_EXCEEDED")
def issue_beyond_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR + 1, h("wire 1"))


def _cap(w: World, cap: int) -> None:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(cap=cap))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_more_than_can_be_counted(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX, h("wire 1"))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_beyond_what_one_gateway_may_ever_issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX // 64 + 1, h("wire 1"))


@scenario("dollar", "ISSUING_STOPPED")
def issue_while_stopped(w: World) -> Transaction:
    w.draft.put(STANDING, "g1", Standing(w.time_ms, (("strikes", 0),)))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "ACCOUNT_FROZEN")
def issue_by_a_frozen_operator(w: World) -> Transaction:
    freeze(w, OP1)
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "ROOM_EXCEEDED")
def issue_beyond_what_is_attested(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    attest(w, 70 * DOLLAR)
    w.draft.put(STANDING, "g1", Standing(w.time_ms, ()))
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR + 1, h("wire 1"))


@scenario("dollar")
def issue_all_that_is_attested(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    attest(w, 70 * DOLLAR)
    w.draft.put(STANDING, "g1", Standing(w.time_ms, ()))
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR, h("wire 1"))


@scenario("dollar", "ISSUING_STOPPED")
def issue_after_a_shortfall(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    attest(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, DOLLAR, h("wire 1"))


@scenario("dollar", "ROOM_EXCEEDED")
def issue_on_an_expired_attestation(w: World) -> Transaction:
    w.block(after_ms=31 * DAY_MS)
    return w.tx(OP1, "dollar_issue", ALICE.address, 1, h("wire 1"))


@scenario("dollar")
def issue_the_whole_threshold(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, 100_000 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_beyond_the_threshold_waits(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 99_999 * DOLLAR, h("wire 0"))
    return w.tx(OP1, "dollar_issue", ALICE.address, DOLLAR + 1, h("wire 1"))


@scenario("dollar", "ROOM_EXCEEDED")
def issue_into_the_room_of_one_that_waits(w: World) -> Transaction:
    _cap(w, BEYOND + DOLLAR)
    waiting(w)
    return w.tx(OP1, "dollar_issue", ALICE.address, DOLLAR + 1, h("wire 2"))


@scenario("dollar", "REFERENCE_USED")
def issue_again_on_the_reference_of_a_cancelled_one(w: World) -> Transaction:
    assert w.do(OP1, "dollar_issue_cancel", waiting(w)).code == 0
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_veto(w: World) -> Transaction:
    return w.tx(OP2, "dollar_issue_veto", waiting(w), "no wire came")


@scenario("dollar", "UNKNOWN_ISSUE")
def issue_veto_of_nothing(w: World) -> Transaction:
    return w.tx(OP2, "dollar_issue_veto", h("none"), "no wire came")


@scenario("dollar", "OWN_ISSUE")
def issue_veto_by_the_issuer(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue_veto", waiting(w), "oh")


@scenario("dollar", "NOT_OPERATOR")
def issue_veto_by_a_holder(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_issue_veto", waiting(w), "oh")


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def issue_veto_by_a_suspended_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g2")
    assert gateway is not None
    w.draft.put(GATEWAY, "g2", gateway._replace(status="suspended"))
    return w.tx(OP2, "dollar_issue_veto", waiting(w), "oh")


@scenario("dollar", "ISSUE_STATUS")
def issue_veto_of_one_that_was_done_at_once(w: World) -> Transaction:
    issue = w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1")).txid
    return w.tx(OP2, "dollar_issue_veto", issue, "too late")


@scenario("dollar", "VETO_BARRED")
def issue_veto_by_one_who_was_overridden(w: World) -> Transaction:
    w.draft.put(BARRED, (2, "g1"), Barred(w.now(13) + DAY_MS))
    return w.tx(OP2, "dollar_issue_veto", waiting(w), "again")


@scenario("dollar")
def issue_veto_of_another_issuer_while_barred(w: World) -> Transaction:
    w.draft.put(BARRED, (2, "g0"), Barred(w.now(13) + DAY_MS))
    return w.tx(OP2, "dollar_issue_veto", waiting(w), "no wire came")


@scenario("dollar")
def issue_cancel(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue_cancel", waiting(w))


@scenario("dollar", "NOT_OPERATOR")
def issue_cancel_by_another_gateway(w: World) -> Transaction:
    return w.tx(OP2, "dollar_issue_cancel", waiting(w))


@scenario("dollar", "ISSUE_STATUS")
def issue_cancel_of_a_vetoed_one(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue_cancel", vetoed(w))


@scenario("dollar")
def attest_first(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    return attestation(w, 70 * DOLLAR)


@scenario("dollar")
def attest_second(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, INT_MAX - 1))
    return attestation(w, INT_MAX, by=ATTESTORS[1])


@scenario("dollar")
def attest_a_shortfall(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, INT_MAX))
    return attestation(w, INT_MAX - INT_MAX // 100 - 1, by=ATTESTORS[1])


@scenario("dollar")
def attest_that_nothing_is_there(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    return attestation(w, 0)


@scenario("dollar")
def attest_a_correction_downwards(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, 70 * DOLLAR))
    return attestation(w, 60 * DOLLAR)


@scenario("dollar", "NOT_DOWNWARDS")
def attest_a_correction_upwards(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, 70 * DOLLAR))
    return attestation(w, 70 * DOLLAR + 1)


@scenario("dollar", "NOT_DOWNWARDS")
def attest_the_same_for_longer(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, 70 * DOLLAR, days=10))
    return attestation(w, 70 * DOLLAR, days=11)


@scenario("dollar", "NOT_ATTESTOR")
def attest_as_a_stranger(w: World) -> Transaction:
    end_period(w)
    return attestation(w, 70 * DOLLAR, by=ALICE)


@scenario("dollar", "ATTESTOR_LINKED")
def attest_with_the_key_of_a_gateway(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    _share_key(w, ATTESTORS[0], OP2)
    return attestation(w, 70 * DOLLAR)


@scenario("dollar", "ATTESTOR_LINKED")
def attest_with_the_key_of_another_attestor(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    w.block(attestation(w, 70 * DOLLAR, by=ATTESTORS[1]))
    _share_key(w, ATTESTORS[0], ATTESTORS[1])
    return attestation(w, 70 * DOLLAR)


def _share_key(w: World, one: Person, other: Person) -> None:
    class _Context:
        draft = w.draft

    note_keys(_Context(), one.address, [other.key.public_key])  # type: ignore[arg-type]


@scenario("dollar", "UNKNOWN_GATEWAY")
def attest_for_nobody(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    return attestation(w, 70 * DOLLAR, gateway="g9")


@scenario("dollar", "UNKNOWN_INSTANT")
def attest_for_an_instant_that_ended_no_period(w: World) -> Transaction:
    fund_attestors(w)
    return attestation(w, 70 * DOLLAR, instant=end_period(w) + 1)


@scenario("dollar", "UNKNOWN_INSTANT")
def attest_for_the_instant_of_the_genesis(w: World) -> Transaction:
    fund_attestors(w)
    return attestation(w, 70 * DOLLAR, instant=w.genesis.time_ms)


@scenario("dollar", "BAD_EXPIRY")
def attest_for_too_long(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    return attestation(w, 70 * DOLLAR, days=32)


@scenario("dollar", "BAD_EXPIRY")
def attest_what_has_expired(w: World) -> Transaction:
    fund_attestors(w)
    end_period(w)
    return attestation(w, 70 * DOLLAR, days=0)


@scenario("dollar")
def withdraw(w: World) -> Transaction:
    return w.tx(OP1, "reserve_withdraw", (), 50 * DOLLAR, w.time_ms + DAY_MS)


@scenario("dollar")
def withdraw_all_that_is_not_owed(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "reserve_withdraw", ("g1",), INT_MAX - 50 * DOLLAR, w.time_ms + DAY_MS)


@scenario("dollar", "ROOM_EXCEEDED")
def withdraw_more_than_is_not_owed(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "reserve_withdraw", (), INT_MAX - 50 * DOLLAR + 1, w.time_ms + DAY_MS)


@scenario("dollar", "ROOM_EXCEEDED")
def withdraw_what_a_waiting_issue_needs(w: World) -> Transaction:
    waiting(w)
    return w.tx(OP1, "reserve_withdraw", (), INT_MAX - BEYOND + 1, w.time_ms + DAY_MS)


@scenario("dollar", "NOT_OPERATOR")
def withdraw_from_another_gateway(w: World) -> Transaction:
    return w.tx(OP0, "reserve_withdraw", ("g1",), 50 * DOLLAR, w.time_ms + DAY_MS)


@scenario("dollar", "BAD_WITHDRAWAL_TIME")
def withdraw_in_the_past(w: World) -> Transaction:
    return w.tx(OP1, "reserve_withdraw", (), 50 * DOLLAR, w.time_ms)


@scenario("dollar", "BAD_WITHDRAWAL_TIME")
def withdraw_in_a_distant_future(w: World) -> Transaction:
    return w.tx(OP1, "reserve_withdraw", (), 50 * DOLLAR, w.time_ms + 31 * DAY_MS + 2)


@scenario("dollar", "TOO_MANY_WITHDRAWALS")
def withdraw_at_too_many_times(w: World) -> Transaction:
    at = w.time_ms + DAY_MS
    w.block(*(w.tx(OP1, "reserve_withdraw", (), 1, at + place, nonce=place) for place in range(64)))
    return w.tx(OP1, "reserve_withdraw", (), 1, at + 64)


@scenario("dollar")
def propose_to_carry_an_issue(w: World) -> Transaction:
    return propose(w, "carry_issue", (vetoed(w),))


@scenario("dollar", "UNKNOWN_ISSUE")
def propose_to_carry_nothing(w: World) -> Transaction:
    return propose(w, "carry_issue", (h("none"),))


@scenario("dollar", "ISSUE_STATUS")
def propose_to_carry_an_issue_that_waits(w: World) -> Transaction:
    return propose(w, "carry_issue", (waiting(w),))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def propose_to_carry_an_issue_of_a_suspended_gateway(w: World) -> Transaction:
    issue = vetoed(w)
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="suspended"))
    return propose(w, "carry_issue", (issue,))


@scenario("dollar", "ISSUING_STOPPED")
def propose_to_carry_an_issue_while_stopped(w: World) -> Transaction:
    issue = vetoed(w)
    w.draft.put(STANDING, "g1", Standing(w.time_ms, (("strikes", 0),)))
    return propose(w, "carry_issue", (issue,))


@scenario("dollar", "ROOM_EXCEEDED")
def propose_to_carry_an_issue_without_room(w: World) -> Transaction:
    issue = vetoed(w)
    _cap(w, BEYOND - 1)
    return propose(w, "carry_issue", (issue,))


@scenario("dollar")
def propose_to_clear_a_stop(w: World) -> Transaction:
    w.draft.put(STANDING, "g1", Standing(w.time_ms, (("shortfall", 0),)))
    return propose(w, "clear_stop", ("g1", "shortfall"))


@scenario("dollar", "NOT_STOPPED")
def propose_to_clear_a_stop_that_is_none(w: World) -> Transaction:
    return propose(w, "clear_stop", ("g1", "shortfall"))


@scenario("dollar", "UNKNOWN_GATEWAY")
def propose_to_clear_a_stop_of_nobody(w: World) -> Transaction:
    return propose(w, "clear_stop", ("g9", "shortfall"))


@scenario("dollar")
def propose_another_cap(w: World) -> Transaction:
    return propose(w, "set_cap", ("g1", 0))


@scenario("dollar", "UNKNOWN_GATEWAY")
def propose_a_cap_for_nobody(w: World) -> Transaction:
    return propose(w, "set_cap", ("g9", DOLLAR))
