"""What may happen to each kind of the dollar family."""

from __future__ import annotations

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY, STANDING, Standing
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    OP0,
    OP1,
    fund,
    scenario,
)
from tests.state.world import (
    DOLLAR,
    Person,
    World,
    h,
)


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


@scenario("dollar", "CAP_EXCEEDED")
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


@scenario("dollar")
def transfer_to_two(w: World) -> Transaction:
    outputs = ((BOB.address, 5 * DOLLAR, "rent"), (Person("new").address, 1, ""))
    return w.tx(ALICE, "dollar_transfer", outputs)


@scenario("dollar")
def transfer_to_oneself(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((ALICE.address, 5 * DOLLAR, ""),))


@scenario("dollar")
def transfer_with_a_sponsored_fee(w: World) -> Transaction:
    new = Person("new")
    w.do(ALICE, "dollar_transfer", ((new.address, 5, ""),))
    return w.tx(new, "dollar_transfer", ((BOB.address, 5, ""),), payer=ALICE)


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_more_than_there_is(w: World) -> Transaction:
    half = 5_000 * DOLLAR  # two halves and the fee: more than 10,000
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, half, ""), (BOB.address, half, "")))


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_outputs_that_sum_beyond_64_bits(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, INT_MAX, ""),) * 3)


@scenario("dollar")
def redeem(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "UNKNOWN_GATEWAY")
def redeem_at_an_unknown_gateway(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g9", 20 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "UNKNOWN_QUOTE")
def redeem_on_a_quote(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), (h("quote"),))


@scenario("dollar", "CURRENCY_NOT_SERVED")
def redeem_in_a_foreign_currency(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "JPY", h("iban"), ())


@scenario("dollar", "BELOW_MINIMUM")
def redeem_too_little(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 10 * DOLLAR - 10_000, "USD", h("iban"), ())


@scenario("dollar", "NOT_WHOLE_CENTS")
def redeem_a_fraction_of_a_cent(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR + 1, "USD", h("iban"), ())


@scenario("dollar", "INSUFFICIENT_BALANCE")
def redeem_without_the_ask_fee(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 9_999_990_000, "USD", h("iban"), ())


@scenario("dollar", "CREDIT_EXHAUSTED")
def redeem_more_than_the_gateway_must_take(w: World) -> Transaction:
    fund(w, ALICE, 60_000)
    return w.tx(ALICE, "dollar_redeem", "g1", 50_000 * DOLLAR + 10_000, "USD", h("iban"), ())


@scenario("dollar")
def redeem_all_that_the_gateway_must_take(w: World) -> Transaction:
    fund(w, ALICE, 60_000)
    return w.tx(ALICE, "dollar_redeem", "g1", 50_000 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "CREDIT_EXHAUSTED")
def redeem_a_second_time_beyond_the_credit(w: World) -> Transaction:
    fund(w, ALICE, 60_000)
    ask = w.do(ALICE, "dollar_redeem", "g1", 30_000 * DOLLAR, "USD", h("iban"), ())
    assert ask.code == 0
    return w.tx(ALICE, "dollar_redeem", "g1", 20_000 * DOLLAR + 10_000, "USD", h("iban"), ())


def _asked(w: World) -> bytes:
    return w.do(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ()).txid


def _claimed(w: World) -> bytes:
    rid = _asked(w)
    assert w.do(OP1, "dollar_redeem_paid", rid, h("payout"), ()).code == 0
    return rid


@scenario("dollar")
def redeem_paid(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "UNKNOWN_REDEMPTION")
def redeem_paid_for_nothing(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", h("none"), h("payout"), ())


@scenario("dollar", "NOT_OPERATOR")
def redeem_paid_by_another_gateway(w: World) -> Transaction:
    return w.tx(OP0, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_paid_twice(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _claimed(w), h("payout 2"), ())


@scenario("dollar", "REFERENCE_USED")
def redeem_paid_on_a_used_reference(w: World) -> Transaction:
    _claimed(w)
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "UNKNOWN_CASE")
def redeem_paid_with_a_case(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), (h("case"),))


@scenario("dollar")
def redeem_confirm(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_confirm", _claimed(w))


@scenario("dollar", "NOT_HOLDER")
def redeem_confirm_by_another(w: World) -> Transaction:
    return w.tx(BOB, "dollar_redeem_confirm", _claimed(w))


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_confirm_before_it_is_claimed(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_confirm", _asked(w))


@scenario("dollar")
def redeem_refuse_for_the_details(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_refuse", _asked(w), "details")


@scenario("dollar")
def redeem_refuse_for_the_bank(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_refuse", _asked(w), "bank")


@scenario("dollar", "ISSUING_STOPPED")
def issue_while_stopped(w: World) -> Transaction:
    w.draft.put(STANDING, "g1", Standing(w.time_ms, (("strikes", 0),)))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
