"""What may happen to each kind of the referral family."""

from __future__ import annotations

from typing import Any

from mgsnode.base.transaction import Transaction
from state.tx.accounts import note_keys, note_recruited
from state.tx.bindings import RECRUITERS_MAX
from state.tx.referral import STOREFRONT_SHOPS_MAX
from tests.state.scenarios.base import ALICE, BOB, LINES, OP2, SELLER, fund, scenario
from tests.state.scenarios.orders import open_shop, shop_fields
from tests.state.world import DAY_MS, DOLLAR, Person, World, h

DAN = Person("dan")
TERMS = h("terms")
NO_CAPS: tuple[Any, ...] = ((), (), ())


def shop_with(w: World, *distributors: Person, commission: int = 1_000, **over: Any) -> bytes:
    """A shop that gives a tenth, and who has joined it."""
    shop = open_shop(w, commission=commission, **over)
    for person in distributors:
        if person is DAN:
            fund(w, DAN, 100)
        join(w, person, shop)
    return shop


def join(w: World, who: Person, shop: bytes, by: Person | None = None) -> None:
    named = (by.address,) if by else ()
    receipt = w.do(who, "refer_join", shop, named, also=[by] if by else [])
    assert receipt.code == 0, receipt


def order_by(
    w: World, buyer: Person, shop: bytes, named: Person | None = None, lines: Any = LINES
) -> Transaction:
    """An order that may name a distributor."""
    return w.tx(buyer, "order_pay", shop, lines, (named.address,) if named else (), (), (), (), ())


def link(w: World, one: Person, other: Person) -> None:
    """One account takes the other's key, as an account can with both signatures."""
    from state.context import Context, Params

    ctx = Context(
        w.draft, height=w.height, time_ms=w.time_ms, live_ms=w.time_ms,
        params=Params(w.draft, w.registry.defaults), rules=w.registry.rules,
    )  # fmt: skip
    note_keys(ctx, one.address, [other.key.public_key])


def recruited(w: World, who: Person, by: list[bytes]) -> None:
    """Recruiters that somebody had before."""
    from state.context import Context, Params

    ctx = Context(
        w.draft, height=w.height, time_ms=w.time_ms, live_ms=w.time_ms,
        params=Params(w.draft, w.registry.defaults), rules=w.registry.rules,
    )  # fmt: skip
    for address in by:
        note_recruited(ctx, who.address, address)


# Joining ----------------------------------------------------------------------------------


@scenario("referral")
def refer_join(w: World) -> Transaction:
    return w.tx(BOB, "refer_join", shop_with(w), ())


@scenario("referral")
def refer_join_sponsored_by_the_shop(w: World) -> Transaction:
    return w.tx(DAN, "refer_join", shop_with(w), (), payer=SELLER)


@scenario("referral")
def refer_join_recruited(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    fund(w, DAN, 10)
    return w.tx(DAN, "refer_join", shop, (BOB.address,), also=[BOB])


@scenario("referral", "UNKNOWN_SHOP")
def refer_join_no_shop(w: World) -> Transaction:
    return w.tx(BOB, "refer_join", h("none"), ())


@scenario("referral", "ALREADY_JOINED")
def refer_join_twice(w: World) -> Transaction:
    return w.tx(BOB, "refer_join", shop_with(w, BOB), ())


@scenario("referral", "PARTIES_LINKED")
def refer_join_by_the_owner(w: World) -> Transaction:
    return w.tx(SELLER, "refer_join", shop_with(w), ())


@scenario("referral", "RECRUITER_NOT_JOINED")
def refer_join_recruited_by_somebody_who_never_joined(w: World) -> Transaction:
    return w.tx(BOB, "refer_join", shop_with(w), (ALICE.address,), also=[ALICE])


@scenario("referral", "RECRUITER_NOT_JOINED")
def refer_join_recruited_by_oneself(w: World) -> Transaction:
    return w.tx(BOB, "refer_join", shop_with(w), (BOB.address,))


@scenario("referral", "TOO_MANY_RECRUITERS")
def refer_join_with_too_many_recruiters(w: World) -> Transaction:
    shop = shop_with(w, DAN)
    recruited(w, BOB, [h(f"recruiter {n}") for n in range(RECRUITERS_MAX)])
    return w.tx(BOB, "refer_join", shop, (DAN.address,), also=[DAN])


# Terms ------------------------------------------------------------------------------------


@scenario("referral")
def refer_terms(w: World) -> Transaction:
    caps = ((100 * DOLLAR,), (10 * DOLLAR,), (500 * DOLLAR,))
    return w.tx(SELLER, "refer_terms", shop_with(w, BOB), 60 * DAY_MS, *caps)


@scenario("referral", "UNKNOWN_SHOP")
def refer_terms_of_no_shop(w: World) -> Transaction:
    return w.tx(SELLER, "refer_terms", h("none"), 60 * DAY_MS, *NO_CAPS)


@scenario("referral", "NOT_SHOP")
def refer_terms_by_the_distributor(w: World) -> Transaction:
    return w.tx(BOB, "refer_terms", shop_with(w, BOB), 60 * DAY_MS, *NO_CAPS)


@scenario("referral", "REFER_OUT_OF_BOUNDS")
def refer_terms_with_bindings_for_too_long(w: World) -> Transaction:
    return w.tx(SELLER, "refer_terms", shop_with(w), 90 * DAY_MS + 1, *NO_CAPS)


def agree(w: World, shop: bytes, share_bp: int = 2_000, notice_ms: int = 7 * DAY_MS) -> Transaction:
    return w.tx(BOB, "refer_agree", shop, TERMS, share_bp, notice_ms, also=[SELLER])


@scenario("referral")
def refer_agree(w: World) -> Transaction:
    return agree(w, shop_with(w, BOB))


@scenario("referral")
def refer_agree_on_less_than_before(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    assert w.block(agree(w, shop))[0].code == 0
    return agree(w, shop, 1_500)


@scenario("referral", "UNKNOWN_SHOP")
def refer_agree_with_no_shop(w: World) -> Transaction:
    return w.tx(BOB, "refer_agree", h("none"), TERMS, 2_000, 7 * DAY_MS)


@scenario("referral", "NOT_JOINED")
def refer_agree_without_having_joined(w: World) -> Transaction:
    return agree(w, shop_with(w))


@scenario("referral", "REFER_OUT_OF_BOUNDS")
def refer_agree_on_no_notice(w: World) -> Transaction:
    return agree(w, shop_with(w, BOB), notice_ms=1)


@scenario("referral")
def refer_cut(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    assert w.block(agree(w, shop))[0].code == 0
    return w.tx(SELLER, "refer_cut", shop, BOB.address, 500)


@scenario("referral", "NOT_SHOP")
def refer_cut_by_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "refer_cut", shop_with(w, BOB), BOB.address, 500)


@scenario("referral", "NO_AGREEMENT")
def refer_cut_without_an_agreement(w: World) -> Transaction:
    return w.tx(SELLER, "refer_cut", shop_with(w, BOB), BOB.address, 500)


@scenario("referral", "NOT_A_CUT")
def refer_cut_that_is_none(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    assert w.block(agree(w, shop))[0].code == 0
    return w.tx(SELLER, "refer_cut", shop, BOB.address, 2_000)


# Binding ----------------------------------------------------------------------------------


@scenario("referral")
def refer_bind(w: World) -> Transaction:
    return w.tx(ALICE, "refer_bind", BOB.address, shop_with(w, BOB))


@scenario("referral", "UNKNOWN_SHOP")
def refer_bind_at_no_shop(w: World) -> Transaction:
    return w.tx(ALICE, "refer_bind", BOB.address, h("none"))


@scenario("referral", "NOT_JOINED")
def refer_bind_to_somebody_who_never_joined(w: World) -> Transaction:
    return w.tx(ALICE, "refer_bind", BOB.address, shop_with(w))


@scenario("referral", "PARTIES_LINKED")
def refer_bind_to_oneself(w: World) -> Transaction:
    return w.tx(BOB, "refer_bind", BOB.address, shop_with(w, BOB))


@scenario("referral", "PARTIES_LINKED")
def refer_bind_by_the_owner(w: World) -> Transaction:
    return w.tx(SELLER, "refer_bind", BOB.address, shop_with(w, BOB))


@scenario("referral", "PARTIES_LINKED")
def refer_bind_to_a_second_account_with_a_shared_key(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    link(w, ALICE, BOB)
    return w.tx(ALICE, "refer_bind", BOB.address, shop)


@scenario("referral", "ALREADY_BOUND")
def refer_bind_while_bound(w: World) -> Transaction:
    shop = shop_with(w, BOB, DAN)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    return w.tx(ALICE, "refer_bind", DAN.address, shop)


@scenario("referral")
def order_pay_by_a_bound_buyer(w: World) -> Transaction:
    """Not her first order there: the shop has figures and has sold through somebody before."""
    shop = shop_with(w, BOB)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    assert w.block(order_by(w, ALICE, shop))[0].code == 0
    return order_by(w, ALICE, shop)


@scenario("referral")
def order_pay_naming_a_distributor_makes_a_binding(w: World) -> Transaction:
    return order_by(w, ALICE, shop_with(w, BOB), BOB)


@scenario("referral")
def order_pay_by_a_bound_buyer_at_depth_two(w: World) -> Transaction:
    set_param(w, "refer_depth", 2)
    shop = shop_with(w, BOB)
    fund(w, DAN, 10)
    join(w, DAN, shop, by=BOB)
    return order_by(w, ALICE, shop, DAN)


@scenario("referral")
def order_refund_before_final_promises_less(w: World) -> Transaction:
    order = w.block(order_by(w, ALICE, shop_with(w, BOB), BOB))[0].txid
    return w.tx(SELLER, "order_refund", order, ((0, 1),), "chipped")


def set_param(w: World, name: str, value: int) -> None:
    from state.context import PARAM, Param

    w.draft.put(PARAM, name, Param(value))


# Storefronts ------------------------------------------------------------------------------


def two_shops(w: World) -> tuple[bytes, bytes]:
    """Shops of two gateways that Bob has joined."""
    one = shop_with(w, BOB)
    receipt = w.do(
        SELLER, "shop_open", *shop_fields(name="Pots", gateway="g2", commission=500), also=[OP2]
    )
    assert receipt.code == 0
    join(w, BOB, receipt.txid)
    return one, receipt.txid


@scenario("referral")
def refer_storefront(w: World) -> Transaction:
    one, two = two_shops(w)
    return w.tx(BOB, "refer_storefront", "Tea time", ((one, "tea"), (two, "pot")), ())


@scenario("referral")
def refer_storefront_with_other_items(w: World) -> Transaction:
    one, two = two_shops(w)
    front = w.do(BOB, "refer_storefront", "Tea time", ((one, "tea"), (two, "pot")), ()).txid
    return w.tx(BOB, "refer_storefront", "Tea time", ((one, "mug"),), (front,))


@scenario("referral", "NOT_JOINED")
def refer_storefront_of_a_shop_not_joined(w: World) -> Transaction:
    return w.tx(ALICE, "refer_storefront", "Tea", ((shop_with(w, BOB), "tea"),), ())


@scenario("referral", "DUPLICATE_ITEM")
def refer_storefront_with_an_item_twice(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    return w.tx(BOB, "refer_storefront", "Tea", ((shop, "tea"), (shop, "tea")), ())


@scenario("referral", "TOO_MANY_SHOPS")
def refer_storefront_of_too_many_shops(w: World) -> Transaction:
    items = tuple((h(f"shop {n}"), "tea") for n in range(STOREFRONT_SHOPS_MAX + 1))
    return w.tx(BOB, "refer_storefront", "Tea", items, ())


@scenario("referral", "UNKNOWN_STOREFRONT")
def refer_storefront_that_is_none(w: World) -> Transaction:
    shop = shop_with(w, BOB)
    return w.tx(BOB, "refer_storefront", "Tea", ((shop, "tea"),), (h("none"),))


@scenario("referral", "NOT_STOREFRONT_OWNER")
def refer_storefront_of_somebody_else(w: World) -> Transaction:
    shop = shop_with(w, BOB, DAN)
    front = w.do(BOB, "refer_storefront", "Tea", ((shop, "tea"),), ()).txid
    return w.tx(DAN, "refer_storefront", "Mine", ((shop, "tea"),), (front,))


# After final ------------------------------------------------------------------------------


def final_sale(w: World, shop: bytes, buyer: Person = ALICE, named: Person | None = BOB) -> bytes:
    """An order that has become final, by the clock, in its dev network's shortest times."""
    order = w.block(order_by(w, buyer, shop, named))[0].txid
    finish(w, order, buyer)
    return order


def finish(w: World, order: bytes, buyer: Person) -> None:
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(buyer, "order_complete", order).code == 0
    w.pass_ms(30_000)


@scenario("referral")
def order_refund_after_final_is_owed_by_the_distributor(w: World) -> Transaction:
    order = final_sale(w, shop_with(w, BOB, window=10_000))
    return w.tx(SELLER, "order_refund", order, ((0, 1),), "stale")
