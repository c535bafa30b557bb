"""What may happen to each kind of the goods family."""

from __future__ import annotations

from mgsnode.base.transaction import Transaction
from state.tx.batches import BATCH
from state.tx.goods import DEPTH_MAX
from state.tx.orders import BATCHES_MAX
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP1, SELLER, scenario
from tests.state.scenarios.orders import disputed, open_shop, shop_fields
from tests.state.world import DOLLAR, World, h

CERTIFICATE = h("certificate")


def register(w: World, shop: bytes, quantity: int = 10) -> bytes:
    fields = (shop, "Sencha", "JP Uji", quantity, CERTIFICATE)
    receipt = w.do(SELLER, "goods_register", *fields)
    assert receipt.code == 0, receipt
    return receipt.txid


def other_shop(w: World) -> bytes:
    """Bob's."""
    receipt = w.do(BOB, "shop_open", *shop_fields(name="Bob's"), also=[OP1])
    assert receipt.code == 0, receipt
    return receipt.txid


def pay_units(w: World, shop: bytes, *units: tuple[bytes, int]) -> Transaction:
    lines = tuple(("tea", quantity, DOLLAR, (batch,)) for batch, quantity in units)
    return w.tx(ALICE, "order_pay", shop, lines, *NOTHING)


def sold(w: World, quantity: int = 4, **over: int) -> tuple[bytes, bytes]:
    """(batch of ten, paid order of some of them)."""
    shop = open_shop(w, **over)
    batch = register(w, shop)
    receipt = w.block(pay_units(w, shop, (batch, quantity)))[0]
    assert receipt.code == 0, receipt
    return batch, receipt.txid


@scenario("goods")
def goods_register(w: World) -> Transaction:
    return w.tx(SELLER, "goods_register", open_shop(w), "Sencha", "JP Uji", 10, CERTIFICATE)


@scenario("goods", "NOT_SHOP")
def goods_register_at_anothers_shop(w: World) -> Transaction:
    return w.tx(BOB, "goods_register", open_shop(w), "Sencha", "JP Uji", 10, CERTIFICATE)


@scenario("goods", "UNKNOWN_SHOP")
def goods_register_at_no_shop(w: World) -> Transaction:
    return w.tx(SELLER, "goods_register", h("none"), "Sencha", "JP Uji", 10, CERTIFICATE)


@scenario("goods")
def goods_pass(w: World) -> Transaction:
    batch, to = register(w, open_shop(w)), other_shop(w)
    return w.tx(SELLER, "goods_pass", batch, 6, to, also=[BOB])


@scenario("goods")
def goods_pass_on_what_came_from_another(w: World) -> Transaction:
    shop = open_shop(w)
    to = other_shop(w)
    first = w.do(SELLER, "goods_pass", register(w, shop), 6, to, also=[BOB]).txid
    return w.tx(BOB, "goods_pass", first, 6, shop, also=[SELLER])


@scenario("goods", "NOT_SHOP")
def goods_pass_by_who_does_not_hold_them(w: World) -> Transaction:
    batch, to = register(w, open_shop(w)), other_shop(w)
    return w.tx(BOB, "goods_pass", batch, 6, to)


@scenario("goods", "UNKNOWN_SHOP")
def goods_pass_to_no_shop(w: World) -> Transaction:
    return w.tx(SELLER, "goods_pass", register(w, open_shop(w)), 6, h("none"))


@scenario("goods", "UNKNOWN_BATCH")
def goods_pass_of_no_batch(w: World) -> Transaction:
    return w.tx(SELLER, "goods_pass", h("none"), 6, other_shop(w), also=[BOB])


@scenario("goods", "UNITS_EXCEEDED")
def goods_pass_of_what_an_order_has_reserved(w: World) -> Transaction:
    batch, _ = sold(w)
    return w.tx(SELLER, "goods_pass", batch, 7, other_shop(w), also=[BOB])


@scenario("goods", "PASSED_TO_ITSELF")
def goods_pass_to_the_same_shop(w: World) -> Transaction:
    shop = open_shop(w)
    return w.tx(SELLER, "goods_pass", register(w, shop), 6, shop)


@scenario("goods", "PASSED_TOO_OFTEN")
def goods_pass_through_too_many_hands(w: World) -> Transaction:
    batch, to = register(w, open_shop(w)), other_shop(w)
    row = w.draft.get(BATCH, batch)
    assert row is not None
    w.draft.put(BATCH, batch, row._replace(depth=DEPTH_MAX))
    return w.tx(SELLER, "goods_pass", batch, 6, to, also=[BOB])


@scenario("goods")
def order_pay_names_a_batch(w: World) -> Transaction:
    shop = open_shop(w)
    return pay_units(w, shop, (register(w, shop), 10))


@scenario("goods", "UNKNOWN_BATCH")
def order_pay_names_no_batch(w: World) -> Transaction:
    return pay_units(w, open_shop(w), (h("none"), 1))


@scenario("goods", "NOT_HELD")
def order_pay_names_a_rivals_batch(w: World) -> Transaction:
    return pay_units(w, other_shop(w), (register(w, open_shop(w)), 1))


@scenario("goods", "TOO_MANY_BATCHES")
def order_pay_names_more_batches_than_an_order_may(w: World) -> Transaction:
    named = [(h(f"batch {number}"), 1) for number in range(BATCHES_MAX + 1)]
    return pay_units(w, open_shop(w), *named)


@scenario("goods", "UNITS_EXCEEDED")
def order_pay_for_more_than_there_is_in_two_lines(w: World) -> Transaction:
    shop = open_shop(w)
    batch = register(w, shop)
    return pay_units(w, shop, (batch, 6), (batch, 5))


@scenario("goods", "UNITS_EXCEEDED")
def order_pay_for_what_another_order_has_reserved(w: World) -> Transaction:
    batch, _ = sold(w)
    row = w.draft.get(BATCH, batch)
    assert row is not None
    return pay_units(w, row.shop, (batch, 7))


@scenario("goods")
def order_ship_moves_units(w: World) -> Transaction:
    _, order = sold(w)
    w.do(SELLER, "order_refund", order, ((0, 1),), "")
    return w.tx(SELLER, "order_ship", order, "parcel 7")


@scenario("goods")
def order_ship_without_a_batch_that_was_refunded(w: World) -> Transaction:
    shop = open_shop(w)
    lines = ((register(w, shop), 2), (register(w, shop), 3))
    order = w.block(pay_units(w, shop, *lines))[0].txid
    w.do(SELLER, "order_refund", order, ((1, 3),), "")
    return w.tx(SELLER, "order_ship", order, "parcel 7")


@scenario("goods")
def order_cancel_frees_units(w: World) -> Transaction:
    _, order = sold(w)
    return w.tx(ALICE, "order_cancel", order)


@scenario("goods")
def order_refund_frees_units(w: World) -> Transaction:
    _, order = sold(w)
    return w.tx(SELLER, "order_refund", order, ((0, 1),), "")


@scenario("goods")
def order_rule_on_a_counterfeit_marks_the_batch(w: World) -> Transaction:
    _, order = sold(w)
    w.do(SELLER, "order_ship", order, "")
    return w.tx(ARBITER, "order_rule", disputed(w, order, "counterfeit: no seal"), 10_000)
