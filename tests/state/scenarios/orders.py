"""What may happen to each kind of the orders family."""

from __future__ import annotations

from typing import Any

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY, ROLE, ROLES
from state.tx.orders import ORDER
from state.tx.shops import FIGURES, NO_FIGURES
from tests.state.scenarios.base import (
    ALICE,
    ARBITER,
    BOB,
    LINES,
    NETWORK_TERMS,
    NOTHING,
    OP1,
    OP2,
    SELLER,
    fund,
    scenario,
)
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    h,
    had_keys,
)


def shop_fields(**over: Any) -> tuple[Any, ...]:
    ship, complete, window, holdback, commission = NETWORK_TERMS
    fields = {
        "name": "Teas", "gateway": "g1", "ship": ship, "complete": complete, "window": window,
        "holdback": holdback, "commission": commission, "arbiter": ARBITER.address,
    }  # fmt: skip
    return tuple({**fields, **over}.values())


def open_shop(w: World, **over: Any) -> bytes:
    receipt = w.do(SELLER, "shop_open", *shop_fields(**over), also=[OP1])
    assert receipt.code == 0, receipt
    return receipt.txid


def _pay(w: World, shop: bytes, lines: Any = LINES, **how: Any) -> Transaction:
    return w.tx(ALICE, "order_pay", shop, lines, *NOTHING, **how)


def _paid(w: World, **over: Any) -> bytes:
    return w.block(_pay(w, open_shop(w, **over)))[0].txid


def _shipped(w: World, **over: Any) -> bytes:
    order = _paid(w, **over)
    assert w.do(SELLER, "order_ship", order, "parcel 7").code == 0
    return order


def _completed(w: World, **over: Any) -> bytes:
    order = _shipped(w, **over)
    assert w.do(ALICE, "order_complete", order).code == 0
    return order


@scenario("orders")
def shop_open(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders", "UNKNOWN_GATEWAY")
def shop_open_under_an_unknown_gateway(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(gateway="g9"))


@scenario("orders", "GATEWAY_NOT_ACTIVE")
def shop_open_under_a_leaving_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="leaving"))
    return w.tx(SELLER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders", "TERMS_OUT_OF_BOUNDS")
def shop_open_with_a_long_ship_deadline(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(ship=14 * DAY_MS + 1), also=[OP1])


@scenario("orders", "TERMS_OUT_OF_BOUNDS")
def shop_open_with_too_much_commission(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(commission=5_001), also=[OP1])


@scenario("orders", "ARBITER_NOT_LISTED")
def shop_open_with_a_friend_as_arbiter(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(arbiter=BOB.address), also=[OP1])


@scenario("orders", "ARBITER_LINKED")
def shop_open_by_the_arbiter(w: World) -> Transaction:
    fund(w, ARBITER, 10)
    return w.tx(ARBITER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders")
def order_pay(w: World) -> Transaction:
    return _pay(w, open_shop(w))


@scenario("orders", "UNKNOWN_SHOP")
def order_pay_to_no_shop(w: World) -> Transaction:
    return _pay(w, h("none"))


@scenario("orders", "INSUFFICIENT_BALANCE")
def order_pay_more_than_there_is(w: World) -> Transaction:
    return _pay(w, open_shop(w), (("yacht", 1, 10_000 * DOLLAR, ()),))


@scenario("orders", "TOTAL_TOO_LARGE")
def order_pay_a_total_beyond_64_bits(w: World) -> Transaction:
    return _pay(w, open_shop(w), (("moon", 2, INT_MAX, ()),))


@scenario("orders", "TOTAL_TOO_LARGE")
def order_pay_beyond_what_a_shop_can_count(w: World) -> Transaction:
    shop = open_shop(w)
    w.draft.put(FIGURES, shop, NO_FIGURES._replace(paid=INT_MAX - DOLLAR))
    return _pay(w, shop, (("mug", 1, DOLLAR + 1, ()),))


@scenario("orders")
def order_cancel_after_a_refund_in_part(w: World) -> Transaction:
    order = _paid(w)
    w.do(SELLER, "order_refund", order, ((0, 1),), "")
    return w.tx(ALICE, "order_cancel", order)


@scenario("orders")
def order_pay_naming_who_led_to_it(w: World) -> Transaction:
    named = ((BOB.address,), (h("demand"),), (h("review"),), ("FR",), ("EUR",))
    return w.tx(ALICE, "order_pay", open_shop(w), LINES, *named)


@scenario("orders")
def order_ship(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", _paid(w), "parcel 7")


@scenario("orders", "UNKNOWN_ORDER")
def order_ship_nothing(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", h("none"), "parcel 7")


@scenario("orders", "NOT_SHOP")
def order_ship_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_ship", _paid(w), "parcel 7")


@scenario("orders", "ORDER_STATUS")
def order_ship_twice(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", _shipped(w), "parcel 8")


@scenario("orders")
def order_complete(w: World) -> Transaction:
    return w.tx(ALICE, "order_complete", _shipped(w))


@scenario("orders", "NOT_BUYER")
def order_complete_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_complete", _shipped(w))


@scenario("orders", "ORDER_STATUS")
def order_complete_before_it_is_shipped(w: World) -> Transaction:
    return w.tx(ALICE, "order_complete", _paid(w))


@scenario("orders")
def order_complete_of_cents_costs_all_of_it(w: World) -> Transaction:
    shop = open_shop(w)
    order = w.block(_pay(w, shop, (("pin", 1, 5_000, ()),)))[0].txid
    w.do(SELLER, "order_ship", order, "")
    return w.tx(ALICE, "order_complete", order)


@scenario("orders")
def order_cancel_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_cancel", _paid(w))


@scenario("orders")
def order_cancel_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_cancel", _paid(w))


@scenario("orders", "NOT_BUYER")
def order_cancel_by_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "order_cancel", _paid(w))


@scenario("orders", "ORDER_STATUS")
def order_cancel_after_shipping(w: World) -> Transaction:
    return w.tx(ALICE, "order_cancel", _shipped(w))


@scenario("orders")
def order_refund_before_completion(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((0, 2),), "chipped")


@scenario("orders")
def order_refund_of_everything_closes_it(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _paid(w), ((0, 3), (1, 1)), "sold out")


@scenario("orders")
def order_refund_after_completion(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _completed(w), ((1, 1),), "stale")


@scenario("orders", "NOT_SHOP")
def order_refund_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_refund", _shipped(w), ((0, 1),), "please")


@scenario("orders", "UNKNOWN_LINE")
def order_refund_of_an_unknown_line(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((2, 1),), "")


@scenario("orders", "DUPLICATE_LINE")
def order_refund_of_a_line_twice(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((0, 1), (0, 1)), "")


@scenario("orders", "QUANTITY_EXCEEDED")
def order_refund_of_more_than_is_left(w: World) -> Transaction:
    order = _shipped(w)
    w.do(SELLER, "order_refund", order, ((0, 2),), "")
    return w.tx(SELLER, "order_refund", order, ((0, 2),), "")


@scenario("orders", "REFUND_NOT_COVERED")
def order_refund_that_the_shop_cannot_pay(w: World) -> Transaction:
    order = _completed(w)
    left = w.dollars(SELLER) - 20_000
    w.do(SELLER, "dollar_transfer", ((BOB.address, left, ""),))
    return w.tx(SELLER, "order_refund", order, ((1, 1),), "")


@scenario("orders", "ORDER_STATUS")
def order_refund_of_a_cancelled_order(w: World) -> Transaction:
    order = _paid(w)
    w.do(ALICE, "order_cancel", order)
    return w.tx(SELLER, "order_refund", order, ((0, 1),), "")


# Terms, vouching --------------------------------------------------------------------------------


def terms_fields(shop: bytes, **over: Any) -> tuple[Any, ...]:
    return (shop, *shop_fields(**over)[2:])


@scenario("orders")
def shop_terms(w: World) -> Transaction:
    return w.tx(SELLER, "shop_terms", *terms_fields(open_shop(w), commission=2_000))


@scenario("orders")
def shop_terms_announced_again(w: World) -> Transaction:
    shop = open_shop(w)
    w.do(SELLER, "shop_terms", *terms_fields(shop, commission=2_000))
    return w.tx(SELLER, "shop_terms", *terms_fields(shop, commission=3_000))


@scenario("orders", "NOT_SHOP")
def shop_terms_by_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "shop_terms", *terms_fields(open_shop(w)))


@scenario("orders", "UNKNOWN_SHOP")
def shop_terms_of_no_shop(w: World) -> Transaction:
    return w.tx(SELLER, "shop_terms", *terms_fields(h("none")))


@scenario("orders", "TERMS_OUT_OF_BOUNDS")
def shop_terms_with_too_long_a_return_window(w: World) -> Transaction:
    return w.tx(SELLER, "shop_terms", *terms_fields(open_shop(w), window=90 * DAY_MS + 1))


@scenario("orders", "ARBITER_NOT_LISTED")
def shop_terms_with_a_friend_as_arbiter(w: World) -> Transaction:
    return w.tx(SELLER, "shop_terms", *terms_fields(open_shop(w), arbiter=BOB.address))


@scenario("orders")
def shop_vouch(w: World) -> Transaction:
    return w.tx(OP1, "shop_vouch", open_shop(w), 5 * DOLLAR)


@scenario("orders")
def shop_vouch_taken_back(w: World) -> Transaction:
    shop = open_shop(w)
    w.do(OP1, "shop_vouch", shop, 5 * DOLLAR)
    return w.tx(OP1, "shop_vouch", shop, 0)


@scenario("orders", "NOT_ITS_GATEWAY")
def shop_vouch_by_another_gateway(w: World) -> Transaction:
    return w.tx(OP2, "shop_vouch", open_shop(w), 5 * DOLLAR)


@scenario("orders", "UNKNOWN_SHOP")
def shop_vouch_for_no_shop(w: World) -> Transaction:
    return w.tx(OP1, "shop_vouch", h("none"), 5 * DOLLAR)


@scenario("orders", "ARBITER_LINKED")
def order_pay_by_the_arbiter(w: World) -> Transaction:
    fund(w, ARBITER, 20)
    return w.tx(ARBITER, "order_pay", open_shop(w), LINES, *NOTHING)


# Carriers, more time ----------------------------------------------------------------------------


def carrier(w: World) -> Person:
    person = Person("carrier0")
    fund(w, person, 20)
    return person


@scenario("orders")
def order_dispatch(w: World) -> Transaction:
    order, signs = _paid(w), carrier(w)
    return w.tx(SELLER, "order_dispatch", order, "parcel 7", signs.address, also=[signs])


@scenario("orders", "NOT_CARRIER")
def order_dispatch_with_a_friend(w: World) -> Transaction:
    return w.tx(SELLER, "order_dispatch", _paid(w), "parcel 7", BOB.address, also=[BOB])


@scenario("orders", "NOT_SHOP")
def order_dispatch_by_the_buyer(w: World) -> Transaction:
    order, signs = _paid(w), carrier(w)
    return w.tx(ALICE, "order_dispatch", order, "parcel 7", signs.address, also=[signs])


@scenario("orders", "ORDER_STATUS")
def order_dispatch_after_shipping(w: World) -> Transaction:
    order, signs = _shipped(w), carrier(w)
    return w.tx(SELLER, "order_dispatch", order, "parcel 7", signs.address, also=[signs])


@scenario("orders")
def order_deliver(w: World) -> Transaction:
    return w.tx(carrier(w), "order_deliver", _shipped(w), "door 3")


@scenario("orders", "NOT_CARRIER")
def order_deliver_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_deliver", _shipped(w), "door 3")


@scenario("orders", "CARRIER_LINKED")
def order_deliver_by_a_carrier_of_the_shops(w: World) -> Transaction:
    order, signs = _shipped(w), carrier(w)
    share_key(w, signs, SELLER)
    return w.tx(signs, "order_deliver", order, "door 3")


@scenario("orders", "ALREADY_DELIVERED")
def order_deliver_twice(w: World) -> Transaction:
    order, signs = _shipped(w), carrier(w)
    w.do(signs, "order_deliver", order, "door 3")
    return w.tx(signs, "order_deliver", order, "door 4")


@scenario("orders", "ORDER_STATUS")
def order_deliver_what_is_not_shipped(w: World) -> Transaction:
    return w.tx(carrier(w), "order_deliver", _paid(w), "door 3")


@scenario("orders")
def order_extend(w: World) -> Transaction:
    return w.tx(ALICE, "order_extend", _shipped(w))


@scenario("orders", "ALREADY_EXTENDED")
def order_extend_twice(w: World) -> Transaction:
    order = _shipped(w)
    w.do(ALICE, "order_extend", order)
    return w.tx(ALICE, "order_extend", order)


@scenario("orders", "NOT_BUYER")
def order_extend_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_extend", _shipped(w))


# Disputes ---------------------------------------------------------------------------------------


def disputed(w: World, order: bytes, why: str = "never came") -> bytes:
    fund(w, ARBITER, 20)
    receipt = w.do(ALICE, "order_dispute", order, why)
    assert receipt.code == 0, receipt
    return order


def share_key(w: World, one: Person, other: Person) -> None:
    """As if `one` had once had `other`'s key."""
    had_keys(w, one, other.address)


@scenario("orders")
def order_dispute(w: World) -> Transaction:
    return w.tx(ALICE, "order_dispute", _shipped(w), "never came")


@scenario("orders")
def order_dispute_after_completion(w: World) -> Transaction:
    return w.tx(ALICE, "order_dispute", _completed(w), "chipped")


@scenario("orders", "NOT_BUYER")
def order_dispute_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_dispute", _shipped(w), "never came")


@scenario("orders", "ORDER_STATUS")
def order_dispute_before_shipping(w: World) -> Transaction:
    return w.tx(ALICE, "order_dispute", _paid(w), "never came")


@scenario("orders", "DISPUTED_BEFORE")
def order_dispute_again(w: World) -> Transaction:
    order = disputed(w, _shipped(w))
    w.do(ALICE, "order_withdraw", order)
    return w.tx(ALICE, "order_dispute", order, "never came")


@scenario("orders")
def order_withdraw(w: World) -> Transaction:
    return w.tx(ALICE, "order_withdraw", disputed(w, _shipped(w)))


@scenario("orders", "NOT_BUYER")
def order_withdraw_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_withdraw", disputed(w, _shipped(w)))


@scenario("orders")
def order_rule_half_and_half(w: World) -> Transaction:
    return w.tx(ARBITER, "order_rule", disputed(w, _shipped(w)), 5_000)


@scenario("orders")
def order_rule_for_the_buyer(w: World) -> Transaction:
    return w.tx(ARBITER, "order_rule", disputed(w, _shipped(w)), 10_000)


@scenario("orders")
def order_rule_for_the_shop(w: World) -> Transaction:
    return w.tx(ARBITER, "order_rule", disputed(w, _shipped(w)), 0)


@scenario("orders")
def order_rule_after_completion(w: World) -> Transaction:
    return w.tx(ARBITER, "order_rule", disputed(w, _completed(w)), 10_000)


@scenario("orders", "NOT_ARBITER")
def order_rule_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_rule", disputed(w, _shipped(w)), 0)


@scenario("orders", "ORDER_STATUS")
def order_rule_without_a_dispute(w: World) -> Transaction:
    fund(w, ARBITER, 20)
    return w.tx(ARBITER, "order_rule", _shipped(w), 0)


@scenario("orders", "ARBITER_LINKED")
def order_rule_by_who_has_become_the_shops(w: World) -> Transaction:
    order = disputed(w, _shipped(w))
    share_key(w, ARBITER, SELLER)
    return w.tx(ARBITER, "order_rule", order, 0)


@scenario("orders", "ARBITER_LINKED")
def order_rule_by_who_has_become_the_buyers(w: World) -> Transaction:
    order = disputed(w, _shipped(w))
    share_key(w, ARBITER, ALICE)
    return w.tx(ARBITER, "order_rule", order, 10_000)


@scenario("orders", "ARBITER_NOT_LISTED")
def order_rule_by_who_is_listed_no_more(w: World) -> Transaction:
    order = disputed(w, _shipped(w))
    w.draft.delete(ROLE, (ROLES.index("arbiter"), ARBITER.address))
    return w.tx(ARBITER, "order_rule", order, 0)


@scenario("orders")
def order_refund_while_disputed(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", disputed(w, _shipped(w)), ((0, 1),), "sorry")


@scenario("orders")
def order_refund_of_everything_settles_a_dispute(w: World) -> Transaction:
    order = disputed(w, _completed(w))
    return w.tx(SELLER, "order_refund", order, ((0, 3), (1, 1)), "sorry")


@scenario("orders", "REFUND_EXCEEDED")
def order_refund_of_what_a_ruling_gave_already(w: World) -> Transaction:
    order = disputed(w, _shipped(w))
    w.do(ARBITER, "order_rule", order, 5_000)
    return w.tx(SELLER, "order_refund", order, ((0, 3),), "again")


@scenario("orders")
def order_refund_that_the_gateway_pays(w: World) -> Transaction:
    order = _completed(w)
    row = w.draft.get(ORDER, order)
    assert row is not None
    w.do(OP1, "shop_vouch", row.shop, 4 * DOLLAR)
    w.do(SELLER, "dollar_transfer", ((BOB.address, w.dollars(SELLER) - 20_000, ""),))
    return w.tx(SELLER, "order_refund", order, ((1, 1),), "stale")
