"""What may happen to redemptions."""

from __future__ import annotations

from typing import Any

from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY
from state.tx.positions import ASKED_MAX, POSITION, position_of
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    OP0,
    OP1,
    fund,
    scenario,
    set_bond,
)
from tests.state.scenarios.compliance import CASE, freeze
from tests.state.scenarios.governance import done
from tests.state.world import DAY_MS, DOLLAR, World, h, people


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


@scenario("dollar", "SUPPLY_LIMIT")
def redeem_more_than_can_ever_be_asked_of_a_gateway(w: World) -> Transaction:
    sums = position_of(w.draft, "g1")
    w.draft.put(POSITION, "g1", sums._replace(asked=ASKED_MAX - 20 * DOLLAR + 1))
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())


def _asked(w: World, dollars: int = 20) -> bytes:
    return w.do(ALICE, "dollar_redeem", "g1", dollars * DOLLAR, "USD", h("iban"), ()).txid


def _claimed(w: World, dollars: int = 20) -> bytes:
    rid = _asked(w, dollars)
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


# Quotes --------------------------------------------------------------------------------------

POUND = ("GBP", 79_000_000, 81_000_000, 50)  # 79 and 81 pence for a dollar, half a per cent


def quote_fields(w: World, size: int = 1_000 * DOLLAR, **over: Any) -> tuple[Any, ...]:
    fields = dict(zip(("currency", "bid", "ask", "fee"), POUND, strict=True))
    fields |= {"size": size, "expires_ms": w.time_ms + DAY_MS, **over}
    return tuple(fields.values())


def set_quote(w: World, **over: Any) -> bytes:
    receipt = w.do(OP1, "quote_set", *quote_fields(w, **over))
    assert receipt.code == 0
    return receipt.txid


def ask_pounds(w: World, quote: bytes, dollars: int = 20, gateway: str = "g1") -> Transaction:
    return w.tx(ALICE, "dollar_redeem", gateway, dollars * DOLLAR, "GBP", h("iban"), (quote,))


@scenario("dollar")
def quote(w: World) -> Transaction:
    return w.tx(OP1, "quote_set", *quote_fields(w))


@scenario("dollar")
def quote_anew(w: World) -> Transaction:
    set_quote(w)
    return w.tx(OP1, "quote_set", *quote_fields(w, bid=78_000_000))


@scenario("dollar", "NOT_OPERATOR")
def quote_as_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "quote_set", *quote_fields(w))


@scenario("dollar", "CURRENCY_NOT_SERVED")
def quote_for_dollars(w: World) -> Transaction:
    return w.tx(OP1, "quote_set", *quote_fields(w, currency="USD"))


@scenario("dollar", "QUOTE_CROSSED")
def quote_a_bid_above_the_ask(w: World) -> Transaction:
    return w.tx(OP1, "quote_set", *quote_fields(w, bid=81_000_001))


@scenario("dollar", "QUOTE_TIMES")
def quote_for_longer_than_a_price_can_hold(w: World) -> Transaction:
    return w.tx(OP1, "quote_set", *quote_fields(w, expires_ms=w.time_ms + 32 * DAY_MS))


@scenario("dollar", "QUOTE_TIMES")
def quote_what_has_expired(w: World) -> Transaction:
    return w.tx(OP1, "quote_set", *quote_fields(w, expires_ms=w.time_ms))


@scenario("dollar")
def redeem_in_pounds(w: World) -> Transaction:
    return ask_pounds(w, set_quote(w))


@scenario("dollar", "QUOTE_NEEDED")
def redeem_in_pounds_without_a_quote(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "GBP", h("iban"), ())


@scenario("dollar", "QUOTE_MISMATCH")
def redeem_on_another_gateways_quote(w: World) -> Transaction:
    return ask_pounds(w, set_quote(w), gateway="g2")


@scenario("dollar", "QUOTE_MISMATCH")
def redeem_dollars_on_a_quote_for_pounds(w: World) -> Transaction:
    quote_id = set_quote(w)
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), (quote_id,))


@scenario("dollar", "QUOTE_EXPIRED")
def redeem_on_a_quote_that_has_expired(w: World) -> Transaction:
    quote_id = set_quote(w, expires_ms=w.time_ms + 10)
    w.block(after_ms=8)
    return ask_pounds(w, quote_id)


@scenario("dollar", "QUOTE_EXPIRED")
def redeem_on_a_quote_that_was_replaced(w: World) -> Transaction:
    quote_id = set_quote(w)
    set_quote(w, bid=78_000_000)
    return ask_pounds(w, quote_id)


@scenario("dollar", "QUOTE_SIZE")
def redeem_more_than_is_left_of_a_quote(w: World) -> Transaction:
    quote_id = set_quote(w, size=39 * DOLLAR)
    assert w.block(ask_pounds(w, quote_id))[0].code == 0
    return ask_pounds(w, quote_id)


@scenario("dollar", "FIAT_OUT_OF_RANGE")
def redeem_for_less_than_a_penny(w: World) -> Transaction:
    return ask_pounds(w, set_quote(w, bid=1))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def quote_at_a_gateway_that_has_left(w: World) -> Transaction:
    leave(w, "g1")
    return w.tx(OP1, "quote_set", *quote_fields(w))


# Where -----------------------------------------------------------------------------------------


def leave(w: World, name: str) -> None:
    """The gateway has left: nobody reaches this state by itself here."""
    row = w.draft.get(GATEWAY, name)
    assert row is not None
    w.draft.put(GATEWAY, name, row._replace(status="left", seat=False))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def redeem_at_a_gateway_that_has_left(w: World) -> Transaction:
    leave(w, "g1")
    return redeem(w)


@scenario("dollar")
def redeem_at_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g1",))
    return redeem(w)


@scenario("dollar")
def redeem_at_a_leaving_gateway(w: World) -> Transaction:
    done(w, "leave", ("g0",))  # it stands for all dollars of this world
    return w.tx(ALICE, "dollar_redeem", "g0", 20 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar")
def grant_credit(w: World) -> Transaction:
    return w.tx(OP1, "gateway_credit", 60_000 * DOLLAR)


@scenario("dollar", "NOT_OPERATOR")
def grant_credit_to_another(w: World) -> Transaction:
    return w.tx(BOB, "gateway_credit", 60_000 * DOLLAR)


@scenario("dollar")
def redeem_on_a_gateways_own_credit(w: World) -> Transaction:
    fund(w, ALICE, 60_000)
    assert w.do(OP1, "gateway_credit", 60_000 * DOLLAR).code == 0
    return w.tx(ALICE, "dollar_redeem", "g1", 60_000 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "CREDIT_EXHAUSTED")
def redeem_beyond_the_floor_of_who_grants_less(w: World) -> Transaction:
    fund(w, ALICE, 60_000)
    assert w.do(OP1, "gateway_credit", 1).code == 0
    return w.tx(ALICE, "dollar_redeem", "g1", 50_000 * DOLLAR + 10_000, "USD", h("iban"), ())


# Contests --------------------------------------------------------------------------------------

ATTESTORS = people("attestor0", "attestor1", "attestor2")


def _contested(w: World, dollars: int = 20) -> bytes:
    """Alice says that nothing came; the attestors have the dollars for their fees."""
    rid = _claimed(w, dollars)
    for attestor in ATTESTORS:
        fund(w, attestor, 10)
    assert w.do(ALICE, "dollar_redeem_contest", rid, "no money came").code == 0
    return rid


def _ruled_once(w: World, dollars: int = 20, *, for_holder: bool) -> bytes:
    rid = _contested(w, dollars)
    assert w.do(ATTESTORS[0], "dollar_redeem_rule", rid, for_holder).code == 0
    return rid


@scenario("dollar")
def redeem_contest(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_contest", _claimed(w), "no money came")


@scenario("dollar", "NOT_HOLDER")
def redeem_contest_by_another(w: World) -> Transaction:
    return w.tx(BOB, "dollar_redeem_contest", _claimed(w), "")


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_contest_before_it_is_claimed(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_contest", _asked(w), "")


@scenario("dollar", "INSUFFICIENT_BALANCE")
def redeem_contest_without_the_deposit(w: World) -> Transaction:
    everything = w.dollars(ALICE) - 110_000
    tx = w.do(ALICE, "dollar_redeem", "g1", everything // 10_000 * 10_000, "USD", h("iban"), ())
    assert w.do(OP1, "dollar_redeem_paid", tx.txid, h("payout"), ()).code == 0
    return w.tx(ALICE, "dollar_redeem_contest", tx.txid, "")


@scenario("dollar", "UNKNOWN_REDEMPTION")
def redeem_contest_of_nothing(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_contest", h("none"), "")


@scenario("dollar")
def redeem_rule_a_first_vote(w: World) -> Transaction:
    return w.tx(ATTESTORS[0], "dollar_redeem_rule", _contested(w), True)


@scenario("dollar")
def redeem_rule_for_the_gateway(w: World) -> Transaction:
    return w.tx(ATTESTORS[1], "dollar_redeem_rule", _ruled_once(w, for_holder=False), False)


@scenario("dollar")
def redeem_rule_for_the_holder(w: World) -> Transaction:
    set_bond(w, "g1", 1_000 * DOLLAR)
    return w.tx(ATTESTORS[1], "dollar_redeem_rule", _ruled_once(w, for_holder=True), True)


@scenario("dollar")
def redeem_rule_for_the_holder_of_enough_for_a_strike(w: World) -> Transaction:
    set_bond(w, "g1", 1_000 * DOLLAR)
    return w.tx(ATTESTORS[1], "dollar_redeem_rule", _ruled_once(w, 100, for_holder=True), True)


@scenario("dollar")
def redeem_rule_one_each(w: World) -> Transaction:
    return w.tx(ATTESTORS[1], "dollar_redeem_rule", _ruled_once(w, for_holder=True), False)


@scenario("dollar", "ALREADY_RULED")
def redeem_rule_twice(w: World) -> Transaction:
    return w.tx(ATTESTORS[0], "dollar_redeem_rule", _ruled_once(w, for_holder=True), False)


@scenario("dollar", "RULER_NOT_LISTED")
def redeem_rule_as_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "dollar_redeem_rule", _contested(w), True)


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_rule_what_nobody_contests(w: World) -> Transaction:
    fund(w, ATTESTORS[0], 10)
    return w.tx(ATTESTORS[0], "dollar_redeem_rule", _claimed(w), True)


@scenario("dollar", "RULER_LINKED")
def redeem_rule_for_oneself(w: World) -> Transaction:
    fund(w, ATTESTORS[0], 100)
    ask = w.do(ATTESTORS[0], "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())
    assert w.do(OP1, "dollar_redeem_paid", ask.txid, h("payout"), ()).code == 0
    assert w.do(ATTESTORS[0], "dollar_redeem_contest", ask.txid, "").code == 0
    return w.tx(ATTESTORS[0], "dollar_redeem_rule", ask.txid, True)


# Frozen and seized -----------------------------------------------------------------------------


@scenario("dollar")
def redeem_while_frozen(w: World) -> Transaction:
    freeze(w, ALICE)
    return redeem(w)


@scenario("dollar", "UNKNOWN_CASE")
def redeem_paid_to_a_frozen_holder_without_the_case(w: World) -> Transaction:
    rid = _asked(w)
    freeze(w, ALICE)
    return w.tx(OP1, "dollar_redeem_paid", rid, h("payout"), ())


@scenario("dollar")
def redeem_paid_to_a_frozen_holder(w: World) -> Transaction:
    rid = _asked(w)
    freeze(w, ALICE)
    return w.tx(OP1, "dollar_redeem_paid", rid, h("payout"), (CASE,))


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_paid_to_a_holder_who_was_seized(w: World) -> Transaction:
    rid = _asked(w)
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, BOB.address, CASE))
    return w.tx(OP1, "dollar_redeem_paid", rid, h("payout"), (CASE,))


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_confirm_what_was_seized(w: World) -> Transaction:
    """The block before has moved it."""
    rid = _asked(w)
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, BOB.address, CASE))
    w.block()
    return w.tx(ALICE, "dollar_redeem_confirm", rid, payer=BOB)
