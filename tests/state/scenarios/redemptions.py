"""What may happen to redemptions."""

from __future__ import annotations

from mgsnode.base.transaction import Transaction
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
    World,
    h,
)


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
