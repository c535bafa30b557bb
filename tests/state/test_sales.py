"""Around an order: terms that come with notice, carriers, more time, disputes, who vouches."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.errors import Malformed, Rejected
from state.tx.disputes import DISPUTE
from state.tx.gateways import ROLE, ROLES, Role
from state.tx.orders import ORDER, Order
from state.tx.shops import FIGURES, SERVED, SHOP, VOUCH, Shop, figures_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, LINES, NOTHING, OP1, SELLER
from tests.state.scenarios.compliance import CASE, OFFICER, freeze
from tests.state.scenarios.orders import shop_fields, terms_fields
from tests.state.test_orders import completed as with_commission
from tests.state.test_orders import world_with_commission
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    had_keys,
    in_block,
    make_genesis,
    reason,
)

CARRIER, FRIEND = Person("carrier0"), Person("friend")
SHORT = {"ship": 60_000, "complete": 300_000, "window": 60_000, "holdback": 2_000}
PARAMS = {
    "order_ruling_ms": 120_000, "order_delivered_ms": 30_000, "order_extend_ms": 100_000,
    "shop_notice_ms": 50_000,
}  # fmt: skip


def world(**params: int) -> World:
    funded = [ALICE, BOB, SELLER, ARBITER, CARRIER, FRIEND]
    return World(make_genesis(funded=funded, arbiters=[ARBITER], params={**PARAMS, **params}))


def opened(w: World, **over: Any) -> bytes:
    receipt = w.do(SELLER, "shop_open", *shop_fields(**{**SHORT, **over}), also=[OP1])
    assert receipt.code == 0
    return receipt.txid


def paid(w: World, shop: bytes, lines: Any = LINES) -> bytes:
    receipt = w.do(ALICE, "order_pay", shop, lines, *NOTHING)
    assert receipt.code == 0
    return receipt.txid


def shipped(w: World, shop: bytes) -> bytes:
    order_id = paid(w, shop)
    assert w.do(SELLER, "order_ship", order_id, "").code == 0
    return order_id


def completed(w: World, shop: bytes) -> bytes:
    order_id = shipped(w, shop)
    assert w.do(ALICE, "order_complete", order_id).code == 0
    return order_id


def order_of(w: World, order_id: bytes) -> Order:
    order = w.draft.get(ORDER, order_id)
    assert order is not None
    return order


def shop_of(w: World, shop_id: bytes) -> Shop:
    shop = w.draft.get(SHOP, shop_id)
    assert shop is not None
    return shop


def refused(w: World, who: Person, kind: str, *fields: Any, **how: Any) -> str:
    before = w.draft.get(FIGURES, fields[0])
    name = reason(w, w.do(who, kind, *fields, **how))
    assert w.draft.get(FIGURES, fields[0]) == before and w.broken_laws() == []
    return name


# Terms ------------------------------------------------------------------------------------------


def test_new_terms_hold_from_the_end_of_their_notice_for_orders_to_come() -> None:
    w = world()
    shop = opened(w)
    early = paid(w, shop)
    assert w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "holdback": 5_000})).code == 0
    announced = w.now(2)
    w.block(after_ms=50_000 - 2 - (w.now(2) - announced))
    before = paid(w, shop)
    at = paid(w, shop)
    assert w.now(2) == announced + 50_000
    bps = [order_of(w, one).holdback_bp for one in (early, before, at)]
    assert bps == [2_000, 2_000, 5_000]


def test_terms_announced_again_start_their_notice_again() -> None:
    w = world()
    shop = opened(w)
    w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "holdback": 5_000}))
    w.block(after_ms=49_000)
    w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "holdback": 6_000}))
    w.block(after_ms=49_000)
    assert order_of(w, paid(w, shop)).holdback_bp == 2_000
    w.block(after_ms=1_000)
    assert order_of(w, paid(w, shop)).holdback_bp == 6_000


def test_terms_that_hold_already_are_not_lost_when_new_ones_are_announced() -> None:
    w = world()
    shop = opened(w)
    w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "holdback": 5_000}))
    w.block(after_ms=50_000)
    w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "holdback": 6_000}))
    assert shop_of(w, shop).holdback_bp == 5_000
    assert order_of(w, paid(w, shop)).holdback_bp == 5_000


# Carriers and time ------------------------------------------------------------------------------


def test_a_carriers_word_brings_completion_nearer_never_further() -> None:
    w = world()
    shop = opened(w)
    order_id = shipped(w, shop)
    assert order_of(w, order_id).due_ms == w.now(2) + 300_000
    w.do(CARRIER, "order_deliver", order_id, "door")
    assert order_of(w, order_id).due_ms == w.now(2) + 30_000
    late = shipped(w, shop)
    for _ in range(5):
        w.block(after_ms=55_000)
    due_ms = order_of(w, late).due_ms
    assert 0 < due_ms - w.now(2) < 30_000
    w.do(CARRIER, "order_deliver", late, "door")
    assert order_of(w, late).due_ms == due_ms
    assert order_of(w, order_id).status == "completed" or order_of(w, order_id).status == "final"


def test_a_buyer_has_more_time_once_also_after_a_carriers_word() -> None:
    w = world()
    order_id = shipped(w, opened(w))
    w.do(CARRIER, "order_deliver", order_id, "door")
    due_ms = order_of(w, order_id).due_ms
    assert w.do(ALICE, "order_extend", order_id).code == 0
    assert order_of(w, order_id).due_ms == due_ms + 100_000
    assert refused(w, ALICE, "order_extend", order_id) == "ALREADY_EXTENDED"


def test_the_dispatch_of_a_carrier_is_signed_by_it_and_kept() -> None:
    w = world()
    order_id = paid(w, opened(w))
    w.do(SELLER, "order_dispatch", order_id, "AWB 1", CARRIER.address, also=[CARRIER])
    order = order_of(w, order_id)
    assert (order.status, order.carrier) == ("shipped", (CARRIER.address,))


def test_countries_and_currencies_are_counted_once_orders_are_final() -> None:
    w = world()
    shop = opened(w)
    ids = []
    for country, currency in (("FR", ("EUR",)), ("FR", ()), ("DE", ("EUR",))):
        named = ((), (), (), (country,), currency)
        ids.append(w.do(ALICE, "order_pay", shop, LINES, *named).txid)
    w.do(SELLER, "order_ship", ids[0], "")
    w.do(SELLER, "order_ship", ids[1], "")
    assert dict(w.draft.items(SERVED, shop)) == {}
    w.pass_ms(400_000)
    served = {code: row.orders for (_, code), row in w.draft.items(SERVED, shop)}
    assert served == {"FR": 2, "EUR": 1}
    assert w.broken_laws() == []


# Disputes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [shipped, completed])
def test_the_clock_of_an_order_stands_while_it_is_disputed(begin: Any) -> None:
    w = world()
    order_id = begin(w, opened(w))
    left_ms = order_of(w, order_id).due_ms - w.now(2)
    w.do(ALICE, "order_dispute", order_id, "late")
    w.block(after_ms=59_999)
    w.block(after_ms=59_000)
    assert w.do(ALICE, "order_withdraw", order_id).code == 0
    assert order_of(w, order_id).due_ms == w.now(2) + left_ms - 1  # one ms went to the dispute
    assert w.broken_laws() == []


def test_an_arbiter_that_is_silent_to_the_last_ms_loses_its_say() -> None:
    w = world()
    order_id = shipped(w, opened(w))
    w.do(ALICE, "order_dispute", order_id, "late")
    due_ms = order_of(w, order_id).due_ms
    w.block(after_ms=60_000)
    ruling = w.tx(ARBITER, "order_rule", order_id, 0)
    receipt = w.block(ruling, after_ms=due_ms - w.now(2))[0]
    assert reason(w, receipt) == "ORDER_STATUS"
    dispute = w.draft.get(DISPUTE, order_id)
    assert dispute is not None
    assert (dispute.outcome, dispute.buyer_bp, dispute.is_silent) == ("lost", 10_000, True)


@pytest.mark.parametrize(
    ("buyer_bp", "outcome"),
    [(0, "won"), (1, "split"), (5_000, "split"), (5_001, "lost"), (10_000, "lost")],
)
def test_a_dispute_is_lost_where_the_buyer_got_more_than_half(buyer_bp: int, outcome: str) -> None:
    w = world()
    shop = opened(w)
    order_id = shipped(w, shop)
    w.do(ALICE, "order_dispute", order_id, "chipped")
    w.do(ARBITER, "order_rule", order_id, buyer_bp)
    dispute = w.draft.get(DISPUTE, order_id)
    assert dispute is not None and dispute.outcome == outcome
    assert figures_of(w.draft, shop).disputes_lost == (outcome == "lost")


def test_who_was_ruled_upon_can_only_wait_for_the_next_block() -> None:
    """In one block with the ruling nobody takes it back, refunds beside it or asks again."""
    w = world()
    order_id = shipped(w, opened(w))
    w.do(ALICE, "order_dispute", order_id, "chipped")
    after = [
        w.tx(ARBITER, "order_rule", order_id, 4_000),
        w.tx(ALICE, "order_withdraw", order_id),
        w.tx(SELLER, "order_refund", order_id, ((0, 1),), ""),
        w.tx(ALICE, "order_complete", order_id, lane=1),
        w.tx(ALICE, "order_dispute", order_id, "again", lane=2),
        w.tx(ALICE, "order_extend", order_id, lane=3),
        w.tx(ARBITER, "order_rule", order_id, 0, lane=1),
    ]
    said = [reason(w, receipt) for receipt in w.block(*after)]
    assert said == ["", *(["ORDER_STATUS"] * 6)]
    assert order_of(w, order_id).status == "ruled" and w.broken_laws() == []
    (made,) = w.block()
    assert made.txid == order_id and order_of(w, order_id).status == "final"
    assert w.broken_laws() == []


def test_what_was_ruled_while_the_family_is_paused_is_divided_then_and_final_afterwards() -> None:
    w = world()
    order_id = shipped(w, opened(w))
    w.do(ALICE, "order_dispute", order_id, "chipped")
    before = w.dollars(ALICE)
    with in_block(w) as ctx:
        w.registry.actions["pause"].make(ctx, ("orders",), b"")
    assert w.do(ARBITER, "order_rule", order_id, 10_000 // 2).code == 0
    assert w.dollars(ALICE) == before + 5 * DOLLAR
    assert w.pass_ms(120_000) == [] and order_of(w, order_id).status == "ruled"
    with in_block(w) as ctx:
        w.registry.actions["resume"].make(ctx, ("orders",), b"")
    assert [receipt.txid for receipt in w.block()] == [order_id]
    assert order_of(w, order_id).status == "final" and w.broken_laws() == []


def test_a_dispute_pauses_with_its_family_and_can_be_ruled_meanwhile() -> None:
    registry = world().registry
    assert registry.kinds["order_rule"].ends and registry.kinds["order_withdraw"].ends
    assert not registry.kinds["order_dispute"].ends


# Who vouches --------------------------------------------------------------------------------------


def spend(w: World, leave: int) -> None:
    """The seller's dollars go elsewhere, up to the fee of that."""
    left = w.dollars(SELLER) - leave
    assert w.do(SELLER, "dollar_transfer", ((BOB.address, left - 5_000, ""),)).code == 0


def test_a_gateway_pays_what_the_shop_lacks_up_to_the_sum_it_vouches_for() -> None:
    w = world()
    shop = opened(w, holdback=0)
    order_id = completed(w, shop)
    spend(w, DOLLAR)
    w.do(OP1, "shop_vouch", shop, 4 * DOLLAR)
    fee = w.tx(SELLER, "order_refund", order_id, ((1, 1),), "")
    gateway, seller = w.dollars(OP1), w.dollars(SELLER)
    buyer = w.dollars(ALICE)
    receipt = w.block(fee)[0]
    assert receipt.code == 0
    assert w.dollars(ALICE) == buyer + 4 * DOLLAR
    missing = 4 * DOLLAR - (seller - receipt.fee)
    assert (w.dollars(SELLER), w.dollars(OP1)) == (0, gateway - missing)
    vouch = w.draft.get(VOUCH, shop)
    assert vouch is not None and vouch.left == 4 * DOLLAR - missing
    assert w.broken_laws() == []


def test_a_refund_beyond_what_is_vouched_for_is_refused_whole() -> None:
    w = world()
    shop = opened(w, holdback=0)
    order_id = completed(w, shop)
    spend(w, DOLLAR)
    w.do(OP1, "shop_vouch", shop, 2 * DOLLAR)
    gateway, buyer = w.dollars(OP1), w.dollars(ALICE)
    assert refused(w, SELLER, "order_refund", order_id, ((1, 1),), "") == "REFUND_NOT_COVERED"
    assert (w.dollars(OP1), w.dollars(ALICE)) == (gateway, buyer)


def test_a_gateway_that_has_not_the_money_vouches_in_vain() -> None:
    w = world()
    shop = opened(w, holdback=0)
    order_id = completed(w, shop)
    spend(w, DOLLAR)
    w.do(OP1, "shop_vouch", shop, 100 * DOLLAR)
    w.do(OP1, "dollar_transfer", ((BOB.address, w.dollars(OP1) - 10_000, ""),))
    assert refused(w, SELLER, "order_refund", order_id, ((1, 1),), "") == "REFUND_NOT_COVERED"


def test_a_shop_that_is_its_own_gateway_cannot_vouch_twice_with_one_balance() -> None:
    w = world()
    shop = w.do(OP1, "shop_open", *shop_fields(**{**SHORT, "holdback": 0}), also=[]).txid
    order_id = paid(w, shop)
    w.do(OP1, "order_ship", order_id, "")
    w.do(ALICE, "order_complete", order_id)
    w.do(OP1, "shop_vouch", shop, 100 * DOLLAR)
    w.do(OP1, "dollar_transfer", ((BOB.address, w.dollars(OP1) - 3 * DOLLAR, ""),))
    assert refused(w, OP1, "order_refund", order_id, ((1, 1),), "") == "REFUND_NOT_COVERED"


def test_abuse_a_shop_that_serves_every_country_with_orders_of_crumbs() -> None:
    """Each costs the network's least fee, or it is none."""
    w = world()
    shop = opened(w)
    for price, country in ((9_999, "FR"), (10_000, "DE")):
        lines = (("mug", 1, price, ()),)
        order_id = w.do(ALICE, "order_pay", shop, lines, (), (), (), (country,), ("EUR",)).txid
        w.do(SELLER, "order_ship", order_id, "")
        w.do(ALICE, "order_complete", order_id)
    w.pass_ms(SHORT["window"])
    assert figures_of(w.draft, shop).final == 2
    assert [code for (_, code), _ in w.draft.items(SERVED, shop)] == ["DE", "EUR"]
    assert w.broken_laws() == []


# Abuse --------------------------------------------------------------------------------------------


def test_abuse_a_shop_picks_a_friendly_arbiter() -> None:
    """Not listed; listed and linked, at opening, by new terms, and by a link made later."""
    w = world()
    friend = shop_fields(**SHORT, arbiter=FRIEND.address)
    assert reason(w, w.do(SELLER, "shop_open", *friend, also=[OP1])) == "ARBITER_NOT_LISTED"
    shop = opened(w)
    terms = terms_fields(shop, **SHORT, arbiter=FRIEND.address)
    assert refused(w, SELLER, "shop_terms", *terms) == "ARBITER_NOT_LISTED"
    w.draft.put(ROLE, (ROLES.index("arbiter"), FRIEND.address), Role(0))
    had_keys(w, FRIEND, OP1.address)
    assert reason(w, w.do(SELLER, "shop_open", *friend, also=[OP1])) == "ARBITER_LINKED"
    assert refused(w, SELLER, "shop_terms", *terms) == "ARBITER_LINKED"
    order_id = shipped(w, shop)
    w.do(ALICE, "order_dispute", order_id, "empty box")
    had_keys(w, ARBITER, SELLER.address)
    buyer = w.dollars(ALICE)
    assert refused(w, ARBITER, "order_rule", order_id, 0) == "ARBITER_LINKED"
    w.pass_ms(120_000)  # nobody may rule any more: it is the buyer's
    assert w.dollars(ALICE) == buyer + 10 * DOLLAR
    assert figures_of(w.draft, shop).disputes_lost == 1


def test_abuse_a_shop_completes_at_once() -> None:
    """By itself, by its own carrier, by terms below the bounds, by terms changed overnight."""
    w = world()
    shop = opened(w)
    order_id = shipped(w, shop)
    assert refused(w, SELLER, "order_complete", order_id) == "NOT_BUYER"
    had_keys(w, CARRIER, SELLER.address)
    assert refused(w, CARRIER, "order_deliver", order_id, "") == "CARRIER_LINKED"
    assert refused(w, SELLER, "order_deliver", order_id, "") == "NOT_CARRIER"
    due_ms = order_of(w, order_id).due_ms
    w.do(SELLER, "shop_terms", *terms_fields(shop, **{**SHORT, "complete": 1_000}))
    w.block(after_ms=50_000)
    assert order_of(w, order_id).due_ms == due_ms
    main = World(make_genesis(funded=[SELLER], arbiters=[ARBITER], network="main"))
    quick = shop_fields(complete=21 * DAY_MS - 1)
    assert reason(main, main.do(SELLER, "shop_open", *quick, also=[OP1])) == "TERMS_OUT_OF_BOUNDS"
    assert main.do(SELLER, "shop_open", *shop_fields(complete=21 * DAY_MS), also=[OP1]).code == 0


def test_abuse_more_is_refunded_than_was_paid_by_ruling_and_refund_together() -> None:
    w = world()
    order_id = shipped(w, opened(w))
    w.do(ALICE, "order_dispute", order_id, "chipped")
    w.do(ARBITER, "order_rule", order_id, 7_000)
    assert refused(w, SELLER, "order_refund", order_id, ((0, 2),), "") == "REFUND_EXCEEDED"
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    assert refused(w, SELLER, "order_refund", order_id, ((0, 1),), "") == "REFUND_EXCEEDED"
    assert order_of(w, order_id).refunded == 9 * DOLLAR


def test_abuse_a_dispute_for_ever() -> None:
    """Asking again and again would keep a shop from its money; once is all there is."""
    w = world()
    order_id = completed(w, opened(w))
    w.do(ALICE, "order_dispute", order_id, "late")
    w.do(ALICE, "order_withdraw", order_id)
    assert refused(w, ALICE, "order_dispute", order_id, "late") == "DISPUTED_BEFORE"
    w.pass_ms(60_000)
    assert order_of(w, order_id).status == "final"
    assert refused(w, ALICE, "order_dispute", order_id, "late") == "ORDER_STATUS"


def test_abuse_the_arbiters_friend_buys_and_is_always_right() -> None:
    """An arbiter linked to the buyer cannot rule, and silence is the buyer's: so it cannot buy."""
    w = world()
    shop = opened(w)
    had_keys(w, FRIEND, ARBITER.address)
    tx = w.tx(FRIEND, "order_pay", shop, LINES, *NOTHING)
    assert reason(w, w.block(tx)[0]) == "ARBITER_LINKED"


def test_abuse_a_payment_and_its_cancelling_for_ever_move_no_figure_of_money() -> None:
    w = world()
    shop = opened(w)
    for _ in range(3):
        w.do(ALICE, "order_cancel", paid(w, shop))
    figures = figures_of(w.draft, shop)
    assert (figures.orders, figures.cancelled) == (3, 3)
    assert (figures.paid, figures.refunded, figures.final_volume) == (0, 0, 0)


def test_a_frozen_shop_still_refunds_and_is_refused_nothing_that_ends_an_order() -> None:
    w = world()
    order_id = completed(w, opened(w))
    freeze(w, SELLER)
    assert w.do(SELLER, "order_refund", order_id, ((1, 1),), "").code == 0


@pytest.mark.parametrize("amount", [0, -1, 2**63, 2**64])
def test_abuse_amounts_that_are_none(amount: int) -> None:
    """Nothing like them is carried by a transaction, in no field of this family."""
    w = world()
    shop = opened(w)
    order_id = shipped(w, shop)
    cases: list[tuple[Person, str, tuple[Any, ...]]] = [
        (ALICE, "order_pay", (shop, (("mug", 1, amount, ()),), *NOTHING)),
        (ALICE, "order_pay", (shop, (("mug", amount, 1, ()),), *NOTHING)),
        (SELLER, "order_refund", (order_id, ((0, amount),), "")),
    ]
    if amount:
        cases += [
            (OP1, "shop_vouch", (shop, amount)),
            (ARBITER, "order_rule", (order_id, amount)),
            (SELLER, "order_refund", (order_id, ((amount, 1),), "")),
        ]
    before = (w.dollars(ALICE), w.dollars(SELLER), order_of(w, order_id))
    for who, kind, fields in cases:
        with pytest.raises((Rejected, Malformed, OverflowError)):
            w.do(who, kind, *fields)
    assert (w.dollars(ALICE), w.dollars(SELLER), order_of(w, order_id)) == before


def test_abuse_a_frozen_thief_spends_in_a_shop_and_vouches() -> None:
    w = world()
    shop = opened(w)
    for person in (ALICE, OP1):
        freeze(w, person)
    assert refused(w, ALICE, "order_pay", shop, LINES, *NOTHING) == "ACCOUNT_FROZEN"
    assert refused(w, OP1, "shop_vouch", shop, DOLLAR) == "ACCOUNT_FROZEN"
    assert w.do(OP1, "shop_vouch", shop, 0).code == 0  # it may always promise less


def test_abuse_a_frozen_gateways_dollars_leave_by_the_refunds_of_a_friends_shop() -> None:
    """It vouched before it was frozen; the promise waits for the end of the freeze."""
    w = world()
    shop = opened(w, holdback=0)
    order_id = completed(w, shop)
    spend(w, DOLLAR)
    w.do(OP1, "shop_vouch", shop, 4 * DOLLAR)
    freeze(w, OP1)
    gateway = w.dollars(OP1)
    assert refused(w, SELLER, "order_refund", order_id, ((1, 1),), "") == "REFUND_NOT_COVERED"
    assert w.dollars(OP1) == gateway
    assert w.do(OFFICER, "compliance_thaw", OP1.address, CASE).code == 0
    assert w.do(SELLER, "order_refund", order_id, ((1, 1),), "").code == 0
    assert w.dollars(OP1) < gateway and w.broken_laws() == []


def test_abuse_refunds_in_dust_after_the_commission_was_paid() -> None:
    """A micro-dollar at a time takes back neither more nor less than one refund, and the fee
    of each is the shop's loss; the commission that was paid stays paid here (referral owes it).
    """
    ends = []
    for parts in ([1] * 20, [20]):
        w, shop = world_with_commission(1_000, 2_000)
        order_id = with_commission(w, shop, 20, 3)
        w.pass_ms(60_000)
        bob, fees, seller = w.dollars(BOB), 0, w.dollars(SELLER)
        for part in parts:
            receipt = w.do(SELLER, "order_refund", order_id, ((0, part),), "")
            assert receipt.code == 0
            fees += receipt.fee
        assert w.dollars(BOB) == bob
        kept = order_of(w, order_id).kept
        ends.append((w.dollars(SELLER) - seller + fees, w.dollars(ALICE), kept))
        assert w.broken_laws() == []
    assert ends[0] == ends[1] and ends[0][0] == -60 and ends[0][2] == 0
