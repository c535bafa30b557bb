"""What may happen to each kind of the community family: posts, communities, demand."""

from __future__ import annotations

from typing import Any

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.tx.backings import BACKINGS_MAX
from state.tx.demand import BACKER, NO_BACKER
from tests.state.scenarios.base import ALICE, BOB, NOTHING, SELLER, scenario
from tests.state.scenarios.orders import open_shop
from tests.state.world import DAY_MS, DOLLAR, World, h

POST = ("Warm, and the sleeves fit.", "none", (), (), (), (), (), ())


def post(**over: Any) -> tuple[Any, ...]:
    """The fields of a post."""
    fields = {
        "text": POST[0], "disclosure": "none", "content": (), "link": (), "lines": (),
        "batches": (), "scene": (), "community": (), **over,
    }  # fmt: skip
    return tuple(fields.values())


def wanted(**over: Any) -> tuple[Any, ...]:
    """The fields of a demand: 100 mugs at 4 dollars, 10 of them one's own."""
    fields = {
        "category": "kitchen", "scene": "camping", "description": h("a light mug"),
        "price": 4 * DOLLAR, "quantity": 100, "lasts_ms": 30 * DAY_MS, "own": 10, **over,
    }  # fmt: skip
    return tuple(fields.values())


def founded(w: World) -> bytes:
    """A community of Alice's."""
    receipt = w.do(ALICE, "community_found", "campers", h("about"))
    assert receipt.code == 0
    return receipt.txid


def posted(w: World, **over: Any) -> bytes:
    """A demand of Alice's, with a deposit of 2 dollars."""
    receipt = w.do(ALICE, "demand_post", *wanted(**over))
    assert receipt.code == 0
    return receipt.txid


@scenario("community")
def found_a_community(w: World) -> Transaction:
    return w.tx(ALICE, "community_found", "campers", h("about"))


@scenario("community")
def join_a_community(w: World) -> Transaction:
    return w.tx(BOB, "community_join", founded(w))


@scenario("community", "UNKNOWN_COMMUNITY")
def join_nothing(w: World) -> Transaction:
    return w.tx(BOB, "community_join", h("nothing"))


@scenario("community", "MEMBER_ALREADY")
def join_a_community_twice(w: World) -> Transaction:
    return w.tx(ALICE, "community_join", founded(w))


@scenario("community")
def leave_a_community(w: World) -> Transaction:
    return w.tx(ALICE, "community_leave", founded(w))


@scenario("community", "NOT_MEMBER")
def leave_a_community_one_is_not_in(w: World) -> Transaction:
    return w.tx(BOB, "community_leave", founded(w))


@scenario("community")
def join_again_after_leaving(w: World) -> Transaction:
    community = founded(w)
    w.do(ALICE, "community_leave", community)
    return w.tx(ALICE, "community_join", community)


@scenario("community")
def write_a_post(w: World) -> Transaction:
    return w.tx(ALICE, "post_write", *post(scene=("camping",)))


@scenario("community")
def write_a_post_about_a_line_in_a_community(w: World) -> Transaction:
    community = founded(w)
    order = w.do(ALICE, "order_pay", open_shop(w), (("mug", 1, DOLLAR, ()),), *NOTHING).txid
    over = {"lines": ((order, 0),), "community": (community,), "batches": (h("batch"),)}
    return w.tx(ALICE, "post_write", *post(**over))


@scenario("community")
def write_a_post_that_is_a_link(w: World) -> Transaction:
    over = {"text": "", "content": (h("video"),), "link": ("https://example.org/v",)}
    return w.tx(ALICE, "post_write", *post(**over))


@scenario("community", "EMPTY_POST")
def write_a_post_of_nothing(w: World) -> Transaction:
    return w.tx(ALICE, "post_write", *post(text="", link=("https://example.org/v",)))


@scenario("community", "UNKNOWN_POST_LINE")
def write_a_post_about_a_line_that_is_none(w: World) -> Transaction:
    return w.tx(ALICE, "post_write", *post(lines=((h("no order"), 0),)))


@scenario("community", "NOT_MEMBER")
def write_a_post_in_a_community_of_others(w: World) -> Transaction:
    return w.tx(BOB, "post_write", *post(community=(founded(w),)))


@scenario("community")
def post_a_demand(w: World) -> Transaction:
    return w.tx(ALICE, "demand_post", *wanted())


@scenario("community", "DEMAND_BOUNDS")
def post_a_demand_for_ever(w: World) -> Transaction:
    return w.tx(ALICE, "demand_post", *wanted(lasts_ms=INT_MAX))


@scenario("community", "DEMAND_BOUNDS")
def post_a_demand_and_back_more_than_it(w: World) -> Transaction:
    return w.tx(ALICE, "demand_post", *wanted(own=101))


@scenario("community", "DEPOSIT_BOUNDS")
def post_a_demand_beyond_what_can_be_counted(w: World) -> Transaction:
    return w.tx(ALICE, "demand_post", *wanted(price=INT_MAX))


@scenario("community", "INSUFFICIENT_BALANCE")
def post_a_demand_without_the_deposit(w: World) -> Transaction:
    return w.tx(ALICE, "demand_post", *wanted(price=1_000_000 * DOLLAR))


@scenario("community")
def back_a_demand(w: World) -> Transaction:
    return w.tx(BOB, "demand_back", posted(w), 7)


@scenario("community", "UNKNOWN_DEMAND")
def back_nothing(w: World) -> Transaction:
    return w.tx(BOB, "demand_back", h("nothing"), 7)


@scenario("community", "BACKED_ALREADY")
def back_a_demand_twice(w: World) -> Transaction:
    return w.tx(ALICE, "demand_back", posted(w), 7)


@scenario("community", "TOO_MANY_BACKINGS")
def back_a_sixty_fifth_demand(w: World) -> Transaction:
    demand = posted(w)
    ids = tuple(h(f"backing {number}") for number in range(BACKINGS_MAX))
    w.draft.put(BACKER, BOB.address, NO_BACKER._replace(open=ids))
    return w.tx(BOB, "demand_back", demand, 7)


@scenario("community", "DEMAND_EXPIRED")
def back_a_demand_that_has_expired(w: World) -> Transaction:
    demand = posted(w, lasts_ms=DAY_MS)
    w.pass_ms(DAY_MS)
    return w.tx(BOB, "demand_back", demand, 7)


@scenario("community")
def withdraw_a_backing(w: World) -> Transaction:
    return w.tx(ALICE, "demand_withdraw", posted(w))


@scenario("community", "NOT_BACKED")
def withdraw_what_one_has_not_backed(w: World) -> Transaction:
    return w.tx(BOB, "demand_withdraw", posted(w))


@scenario("community", "NOT_BACKED")
def withdraw_a_second_time(w: World) -> Transaction:
    demand = posted(w)
    w.do(ALICE, "demand_withdraw", demand)
    return w.tx(ALICE, "demand_withdraw", demand)


@scenario("community")
def offer_what_is_wanted(w: World) -> Transaction:
    demand, shop = posted(w), open_shop(w)
    return w.tx(SELLER, "demand_offer", demand, shop, 3 * DOLLAR, 50, h("terms"))


@scenario("community", "NOT_SHOP_OWNER")
def offer_in_the_name_of_a_shop(w: World) -> Transaction:
    demand, shop = posted(w), open_shop(w)
    return w.tx(BOB, "demand_offer", demand, shop, 3 * DOLLAR, 50, h("terms"))


@scenario("community", "UNKNOWN_SHOP")
def offer_from_no_shop(w: World) -> Transaction:
    return w.tx(SELLER, "demand_offer", posted(w), h("no shop"), 3 * DOLLAR, 50, h("terms"))


@scenario("community")
def order_what_one_wanted(w: World) -> Transaction:
    demand, shop = posted(w), open_shop(w)
    return w.tx(ALICE, "order_pay", shop, (("mug", 4, 3 * DOLLAR, ()),), (), (demand,), (), (), ())


@scenario("community")
def complete_an_order_that_serves_a_demand(w: World) -> Transaction:
    return w.tx(ALICE, "order_complete", _served(w, ship=True))


@scenario("community")
def complete_an_order_that_serves_a_demand_less_what_was_refunded(w: World) -> Transaction:
    order = _served(w, ship=True)
    w.do(SELLER, "order_refund", order, ((0, 3),), "")
    return w.tx(ALICE, "order_complete", order)


@scenario("community")
def cancel_an_order_that_serves_a_demand(w: World) -> Transaction:
    return w.tx(ALICE, "order_cancel", _served(w, ship=False))


def _served(w: World, *, ship: bool) -> bytes:
    demand, shop = posted(w), open_shop(w)
    fields = (shop, (("mug", 4, 3 * DOLLAR, ()),), (), (demand,), (), (), ())
    order = w.do(ALICE, "order_pay", *fields).txid
    if ship:
        assert w.do(SELLER, "order_ship", order, "").code == 0
    return order
