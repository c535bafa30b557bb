"""Referral: promise, payment and debt to the micro-dollar; each abuse of the list by its name."""

from __future__ import annotations

from typing import Any

import pytest

from state.draft import Draft
from state.tx.accounts import ACCOUNT, HAS_JOINED, account_of, is_linked
from state.tx.bindings import (
    AGREEMENT,
    BINDING,
    CAMPAIGN,
    PARTNER,
    PROGRAM,
    Partner,
    binding_of,
    foresee,
)
from state.tx.commissions import ROW, SALE, USED, Row, distributor_of, promised
from state.tx.growth import GROWTH, REGULAR
from state.tx.money import totals_of
from state.tx.orders import ORDER, SHOP
from tests.state.scenarios.base import ALICE, ARBITER, BOB, OP0, SELLER, fund, new_world
from tests.state.scenarios.referral import (
    DAN,
    NO_CAPS,
    agree,
    final_sale,
    finish,
    join,
    link,
    order_by,
    set_param,
    shop_with,
    two_shops,
)
from tests.state.world import DAY_MS, DOLLAR, Person, World, reason

REFERRAL = 5
WINDOW = 10_000


def partner(w: World, who: Person, shop: bytes) -> Partner:
    row = w.draft.get(PARTNER, (who.address, shop))
    assert row is not None
    return row


def rows_of(w: World, order: bytes) -> list[Row]:
    return [row for _, row in w.draft.items(ROW, order)]


def paid_to(w: World, who: Person, act: Any) -> int:
    before = w.dollars(who)
    act()
    return w.dollars(who) - before


def lines(*amounts: int) -> Any:
    return tuple(("a", 1, amount, ()) for amount in amounts)


# What a sale earns ------------------------------------------------------------------------


def test_a_final_sale_pays_its_distributor_and_nothing_before() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    assert (partner(w, BOB, shop).promised, partner(w, BOB, shop).paid) == (DOLLAR, 0)
    assert paid_to(w, BOB, lambda: finish(w, order, ALICE)) == DOLLAR
    assert rows_of(w, order) == [Row(BOB.address, 1, DOLLAR, DOLLAR, 0, 10 * DOLLAR, w.time_ms)]
    after = partner(w, BOB, shop)
    assert (after.promised, after.accrued, after.paid, after.owed) == (0, DOLLAR, DOLLAR, 0)
    assert distributor_of(w.draft, order) == BOB.address
    assert w.broken_laws() == []


def test_nothing_is_paid_for_an_order_that_never_becomes_final() -> None:
    w = new_world()
    shop = shop_with(w, BOB)
    cancelled = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    assert w.do(ALICE, "order_cancel", cancelled).code == 0
    returned = w.block(order_by(w, ALICE, shop))[0].txid
    assert w.do(SELLER, "order_refund", returned, ((0, 3), (1, 1)), "").code == 0
    assert partner(w, BOB, shop) == Partner(partner(w, BOB, shop).joined_ms, (), *[0] * 6)
    assert distributor_of(w.draft, cancelled) is None
    growth = w.draft.get(GROWTH, BOB.address)
    assert growth is not None
    assert (growth.orders, growth.gross, growth.refunded) == (0, 10 * DOLLAR, 10 * DOLLAR)
    assert w.broken_laws() == []


def test_a_full_refund_of_a_final_sale_leaves_every_figure_where_the_rules_say() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    order = final_sale(w, shop)
    seller, buyer, bob = w.dollars(SELLER), w.dollars(ALICE), w.dollars(BOB)
    receipt = w.do(SELLER, "order_refund", order, ((0, 3), (1, 1)), "wrong")
    assert w.dollars(SELLER) == seller - 10 * DOLLAR - receipt.fee
    assert (w.dollars(ALICE), w.dollars(BOB)) == (buyer + 10 * DOLLAR, bob)
    after = partner(w, BOB, shop)
    assert (after.accrued, after.reversed, after.paid, after.owed) == (DOLLAR,) * 4
    growth = w.draft.get(GROWTH, BOB.address)
    assert growth is not None
    assert (growth.orders, growth.buyers, growth.volume) == (0, 0, 0)
    assert (growth.orders_ever, growth.volume_ever, growth.refunded_ever) == (1, 0, 10 * DOLLAR)
    assert w.broken_laws() == []
    # What it owes is netted at this shop only, and the shop keeps it.
    second = w.block(order_by(w, ALICE, shop))[0].txid
    seller = w.dollars(SELLER)
    assert paid_to(w, BOB, lambda: finish(w, second, ALICE)) == 0
    shipped = 1_000  # fees of a transaction, far below a cent each
    assert w.dollars(SELLER) - seller >= 10 * DOLLAR - 50_000 - shipped * 10
    assert partner(w, BOB, shop).owed == 0
    assert rows_of(w, second)[0][2:5] == (DOLLAR, 0, 0)
    third = w.block(order_by(w, ALICE, shop))[0].txid
    assert paid_to(w, BOB, lambda: finish(w, third, ALICE)) == DOLLAR
    assert w.broken_laws() == []


def test_debt_at_one_shop_is_not_netted_at_another() -> None:
    w = new_world()
    one, two = two_shops(w)
    for shop in (one, two):
        row = w.draft.get(SHOP, shop)
        assert row is not None
        w.draft.put(SHOP, shop, row._replace(return_window_ms=WINDOW))
    order = final_sale(w, one)
    assert w.do(SELLER, "order_refund", order, ((0, 3), (1, 1)), "").code == 0
    other = w.block(order_by(w, ALICE, two, BOB))[0].txid
    assert paid_to(w, BOB, lambda: finish(w, other, ALICE)) == 500_000
    assert partner(w, BOB, one).owed == DOLLAR


@pytest.mark.parametrize("depth", [1, 2])
def test_refunds_in_dust_take_back_what_one_refund_takes(depth: int) -> None:
    """Fifty refunds of odd prices after the commission was paid, then the rest."""
    w = new_world()
    set_param(w, "refer_depth", depth)
    shop = shop_with(w, DAN, commission=3_333, window=WINDOW)
    join(w, BOB, shop, by=DAN)
    order = w.block(order_by(w, ALICE, shop, BOB, (("dust", 50, 33, ()), ("a", 1, 999_999, ()))))[
        0
    ].txid
    finish(w, order, ALICE)
    first = sum(row.accrued for row in rows_of(w, order))
    row = w.draft.get(ORDER, order)
    assert row is not None
    assert first == row.commission == min(1_001_649 * 3_333 // 10_000, 1_001_649 - row.fee)
    for _ in range(50):
        assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    standing = sum(row.accrued for row in rows_of(w, order))
    assert standing == 999_999 * 3_333 // 10_000
    assert w.broken_laws() == []
    assert w.do(SELLER, "order_refund", order, ((1, 1),), "").code == 0
    assert sum(row.accrued for row in rows_of(w, order)) == 0
    for who in (BOB, DAN):
        row_ = partner(w, who, shop)
        assert row_.owed == row_.reversed == row_.accrued
    assert partner(w, BOB, shop).owed + partner(w, DAN, shop).owed == first
    assert w.broken_laws() == []


def test_a_commission_never_exceeds_what_is_left_after_the_fee() -> None:
    w = new_world()
    shop = shop_with(w, BOB, commission=5_000, window=WINDOW)
    order = w.block(order_by(w, ALICE, shop, BOB, lines(12_000)))[0].txid
    assert paid_to(w, BOB, lambda: finish(w, order, ALICE)) == 2_000  # 10,000 are the fee
    assert w.broken_laws() == []


# Depth ------------------------------------------------------------------------------------


def test_the_second_level_is_paid_out_of_the_first() -> None:
    """The shop's cost is the same at both depths; the recruiter gets a tenth of it."""
    costs = []
    for depth in (1, 2):
        w = new_world()
        set_param(w, "refer_depth", depth)
        shop = shop_with(w, DAN, window=WINDOW)
        join(w, BOB, shop, by=DAN)
        before = (w.dollars(BOB), w.dollars(DAN))
        order = final_sale(w, shop)
        got = (w.dollars(BOB) - before[0], w.dollars(DAN) - before[1])
        assert got == ((DOLLAR, 0) if depth == 1 else (900_000, 100_000))
        row = w.draft.get(ORDER, order)
        assert row is not None
        costs.append((row.commission, row.to_shop))
        assert w.draft.get(GROWTH, DAN.address) is None, "depth 2 earns no growth"
        assert w.broken_laws() == []
    assert costs[0] == costs[1]


def test_a_sale_keeps_the_depth_it_was_made_under() -> None:
    w = new_world()
    set_param(w, "refer_depth", 2)
    shop = shop_with(w, DAN, window=WINDOW)
    join(w, BOB, shop, by=DAN)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    set_param(w, "refer_depth", 1)
    assert paid_to(w, DAN, lambda: finish(w, order, ALICE)) == 100_000
    assert w.broken_laws() == []
    later = w.block(order_by(w, ALICE, shop))[0].txid
    assert paid_to(w, DAN, lambda: finish(w, later, ALICE)) == 0


def test_the_depth_stays_two_at_most() -> None:
    w = new_world()
    spec = w.registry.params["refer_depth"]
    assert (spec.default, spec.lowest, spec.highest) == (1, 1, 2)
    set_param(w, "refer_depth", 2)
    shop = shop_with(w, DAN, window=WINDOW)
    join(w, BOB, shop, by=DAN)
    eve = Person("eve")
    fund(w, eve, 10)
    join(w, eve, shop, by=BOB)
    before = w.dollars(DAN)
    order = final_sale(w, shop, named=eve)
    assert [row.distributor for row in rows_of(w, order)] == [eve.address, BOB.address]
    assert w.dollars(DAN) == before, "the recruiter's recruiter earns nothing"


def test_recruiters_cannot_be_a_cycle() -> None:
    """Whoever recruits had joined before, and everybody joins once."""
    w = new_world()
    shop = shop_with(w, DAN)
    join(w, BOB, shop, by=DAN)
    again = w.do(DAN, "refer_join", shop, (BOB.address,), also=[BOB])
    assert reason(w, again) == "ALREADY_JOINED"
    itself = w.do(ALICE, "refer_join", shop, (ALICE.address,))
    assert reason(w, itself) == "RECRUITER_NOT_JOINED"


# Linked parties ---------------------------------------------------------------------------


def test_referring_oneself_through_a_second_account_with_a_shared_key_earns_nothing() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    link(w, ALICE, BOB)
    assert reason(w, w.do(ALICE, "refer_bind", BOB.address, shop)) == "PARTIES_LINKED"
    assert paid_to(w, BOB, lambda: final_sale(w, shop)) == 0
    assert w.draft.get(BINDING, (ALICE.address, shop)) is None
    assert w.draft.get(GROWTH, BOB.address) is None
    assert w.broken_laws() == []


def test_referring_oneself_through_a_recruit_earns_nothing() -> None:
    """A buyer recruited at any shop is linked to its recruiter for ever, at every shop."""
    w = new_world()
    one, two = two_shops(w)
    join(w, ALICE, one, by=BOB)
    assert reason(w, w.do(ALICE, "refer_bind", BOB.address, two)) == "PARTIES_LINKED"
    order = w.block(order_by(w, ALICE, two, BOB))[0].txid
    assert w.draft.get(SALE, order) is None


def test_a_key_shared_after_the_sale_takes_the_commission() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    link(w, BOB, ALICE)
    seller = w.dollars(SELLER)
    assert paid_to(w, BOB, lambda: finish(w, order, ALICE)) == 0
    assert w.dollars(SELLER) > seller + 9 * DOLLAR, "it is the shop's"
    assert "commission_void" in [
        event.name
        for receipt in w.outcome.receipts
        for event in receipt.events  # type: ignore[union-attr]
    ]
    assert distributor_of(w.draft, order) is None
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    assert partner(w, BOB, shop).owed == 0
    assert w.broken_laws() == []


def test_a_shop_cannot_be_its_own_distributor_through_a_shared_key() -> None:
    w = new_world()
    shop = shop_with(w)
    link(w, BOB, SELLER)
    assert reason(w, w.do(BOB, "refer_join", shop, ())) == "PARTIES_LINKED"


def test_a_sponsor_is_no_link() -> None:
    """The shop pays the distributor's fee, the distributor the buyer's: the sale still counts."""
    w = new_world()
    shop = shop_with(w, window=WINDOW)
    assert w.do(BOB, "refer_join", shop, (), payer=SELLER).code == 0
    assert w.do(ALICE, "refer_bind", BOB.address, shop, payer=BOB).code == 0
    assert not is_linked(w.draft, ALICE.address, BOB.address)
    assert paid_to(w, BOB, lambda: final_sale(w, shop)) == DOLLAR


def test_a_sponsored_second_account_with_a_shared_key_is_still_the_same_person() -> None:
    w = new_world()
    shop = shop_with(w, BOB)
    second = Person("second")
    link(w, second, BOB)
    refused = w.do(second, "refer_bind", BOB.address, shop, payer=BOB)
    assert reason(w, refused) == "PARTIES_LINKED"


def test_a_recruiter_linked_to_the_buyer_leaves_its_part_to_level_one() -> None:
    w = new_world()
    set_param(w, "refer_depth", 2)
    shop = shop_with(w, DAN, window=WINDOW)
    join(w, BOB, shop, by=DAN)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    link(w, ALICE, DAN)
    before = w.dollars(DAN)
    assert paid_to(w, BOB, lambda: finish(w, order, ALICE)) == DOLLAR
    assert w.dollars(DAN) == before
    assert w.broken_laws() == []


# Bindings ---------------------------------------------------------------------------------


def test_the_first_binding_wins_whatever_the_order_names() -> None:
    w = new_world()
    shop = shop_with(w, BOB, DAN, window=WINDOW)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    order = w.block(order_by(w, ALICE, shop, DAN))[0].txid
    assert distributor_of(w.draft, order) == BOB.address
    unnamed = w.block(order_by(w, ALICE, shop))[0].txid
    assert distributor_of(w.draft, unnamed) == BOB.address


def test_a_binding_ends_with_its_term_to_the_millisecond() -> None:
    w = new_world()
    shop = shop_with(w)
    assert w.do(SELLER, "refer_terms", shop, 60_000, *NO_CAPS).code == 0
    join(w, BOB, shop)
    w.do(BOB, "refer_join", shop, ())
    fund(w, DAN, 10)
    join(w, DAN, shop)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    w.block(after_ms=59_998)
    assert binding_of(w.draft, ALICE.address, shop, w.now(REFERRAL)) is not None
    tx = order_by(w, ALICE, shop)
    order = w.block(tx, after_ms=1)[0].txid  # the last millisecond
    assert distributor_of(w.draft, order) == BOB.address
    late = w.block(order_by(w, ALICE, shop), after_ms=1)[0].txid
    assert distributor_of(w.draft, late) is None
    assert w.do(ALICE, "refer_bind", DAN.address, shop).code == 0


def test_an_order_that_names_nobody_known_goes_on_without() -> None:
    w = new_world()
    shop = shop_with(w)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    assert distributor_of(w.draft, order) is None
    assert w.draft.get(BINDING, (ALICE.address, shop)) is None


def test_a_paused_family_takes_nobodys_binding() -> None:
    from state.context import PAUSE, Pause

    w = new_world()
    shop = shop_with(w, BOB)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    w.draft.put(PAUSE, REFERRAL, Pause(True, w.now(REFERRAL), 0))
    w.pass_ms(31 * 60_000)
    order = w.block(order_by(w, ALICE, shop))[0].txid
    assert distributor_of(w.draft, order) == BOB.address, "hooks go on"


# Terms ------------------------------------------------------------------------------------


def test_cutting_a_share_after_the_work_does_not_touch_bindings() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    assert w.block(agree(w, shop, 2_000, notice_ms=50_000))[0].code == 0
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    assert w.do(SELLER, "refer_cut", shop, BOB.address, 0).code == 0
    # Before the notice is over, a new binding still has the agreed share.
    assert w.do(OP0, "refer_bind", BOB.address, shop).code == 0
    w.block(after_ms=50_000)
    fund(w, DAN, 100)
    assert w.do(DAN, "refer_bind", BOB.address, shop).code == 0
    shares = [
        w.draft.get(BINDING, (buyer.address, shop)).share_bp  # type: ignore[union-attr]
        for buyer in (ALICE, OP0, DAN)
    ]
    assert shares == [2_000, 2_000, 0]
    assert paid_to(w, BOB, lambda: final_sale(w, shop, named=None)) == 2 * DOLLAR
    assert w.broken_laws() == []


def test_a_shop_that_lowers_its_terms_after_the_work_pays_what_was_bound() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    row = w.draft.get(SHOP, shop)
    assert row is not None
    w.draft.put(SHOP, shop, row._replace(commission_bp=0))
    assert paid_to(w, BOB, lambda: final_sale(w, shop)) == DOLLAR


def test_a_lower_share_signed_by_both_waits_for_the_notice_and_a_higher_one_does_not() -> None:
    w = new_world()
    shop = shop_with(w, BOB)
    w.block(agree(w, shop, 2_000, notice_ms=50_000))
    assert w.block(agree(w, shop, 1_000, notice_ms=1_000))[0].code == 0
    row = w.draft.get(AGREEMENT, (BOB.address, shop))
    assert row is not None
    now_ms = w.now(REFERRAL)
    assert [row.share_at(now_ms + 49_999), row.share_at(now_ms + 50_000)] == [2_000, 1_000]
    assert w.block(agree(w, shop, 3_000, notice_ms=1_000))[0].code == 0
    row = w.draft.get(AGREEMENT, (BOB.address, shop))
    assert row is not None
    assert row.share_at(w.now(REFERRAL)) == 3_000


def test_new_campaign_terms_wait_for_the_notice_once_somebody_has_joined() -> None:
    w = new_world()
    shop = shop_with(w, BOB)
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    assert w.do(SELLER, "refer_terms", shop, DAY_MS, (1,), (), ()).code == 0
    program = w.draft.get(PROGRAM, shop)
    assert program is not None
    from_ms = w.now(REFERRAL) + 7 * DAY_MS
    assert program.campaign_at(from_ms - 1) == b""
    campaign = w.draft.get(CAMPAIGN, program.campaign_at(from_ms))
    assert campaign is not None and campaign.campaign_cap == 1
    binding = w.draft.get(BINDING, (ALICE.address, shop))
    assert binding is not None and binding.campaign == b""


def test_abuse_a_cap_cuts_an_agreed_share_before_its_notice() -> None:
    """A campaign that caps at a micro-dollar waits a week, the agreed notice is three months. It
    holds for who has signed nothing, and for the agreed once both have signed again.
    """
    w = new_world()
    shop = shop_with(w, BOB, DAN)
    assert w.block(agree(w, shop, 2_000, notice_ms=90 * DAY_MS))[0].code == 0
    assert w.do(SELLER, "refer_terms", shop, DAY_MS, (1,), (), ()).code == 0
    program = w.draft.get(PROGRAM, shop)
    assert program is not None
    now_ms = program.next_from_ms
    foreseen = [foresee(w.draft, who.address, shop, now_ms) for who in (BOB, DAN)]
    assert [(each.share_bp, each.campaign) for each in foreseen] == [
        (2_000, b""), (1_000, program.next_campaign),
    ]  # fmt: skip
    w.draft.put(PROGRAM, shop, program._replace(next_from_ms=w.now(REFERRAL)))
    assert w.do(ALICE, "refer_bind", BOB.address, shop).code == 0
    order = w.block(order_by(w, ALICE, shop))[0].txid
    sale = w.draft.get(SALE, order)
    assert sale is not None and sale.share_bp == 2_000
    assert w.block(agree(w, shop, 2_000, notice_ms=DAY_MS * 7))[0].code == 0
    assert foresee(w.draft, BOB.address, shop, w.now(REFERRAL)).campaign == program.next_campaign
    assert w.broken_laws() == []


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_cap_bounds_what_is_promised_and_paid(which: int) -> None:
    """Ten dollars' orders at a tenth, a cap of 2.5 dollars: two in full, one in part, none."""
    w = new_world()
    shop = shop_with(w, window=WINDOW)
    caps: list[tuple[int, ...]] = [(), (), ()]
    caps[which] = (2_500_000,)
    assert w.do(SELLER, "refer_terms", shop, 30 * DAY_MS, *caps).code == 0
    join(w, BOB, shop)
    orders = [w.block(order_by(w, ALICE, shop, BOB))[0].txid for _ in range(4)]
    shares = [w.draft.get(SALE, order).share_bp for order in orders]  # type: ignore[union-attr]
    assert shares == [1_000, 1_000, 500, 0]
    assert w.broken_laws() == []
    # What is called off or comes back makes room again.
    assert w.do(ALICE, "order_cancel", orders[0]).code == 0
    again = w.block(order_by(w, ALICE, shop))[0].txid
    assert w.draft.get(SALE, again).share_bp == 1_000  # type: ignore[union-attr]
    for order in (*orders[1:], again):
        finish(w, order, ALICE)
    assert partner(w, BOB, shop).paid == 2_500_000
    assert [row.amount for _, row in w.draft.items(USED)] == [2_500_000]
    assert w.broken_laws() == []


def test_a_person_cap_is_each_distributors_own() -> None:
    w = new_world()
    shop = shop_with(w, window=WINDOW)
    assert w.do(SELLER, "refer_terms", shop, 30 * DAY_MS, (), (DOLLAR,), ()).code == 0
    fund(w, DAN, 100)
    join(w, BOB, shop)
    join(w, DAN, shop)
    orders = [
        w.block(order_by(w, buyer, shop, who))[0].txid
        for buyer, who in ((ALICE, BOB), (ALICE, BOB), (OP0, DAN))
    ]
    shares = [w.draft.get(SALE, order).share_bp for order in orders]  # type: ignore[union-attr]
    assert shares == [1_000, 0, 1_000]


# Rulings ----------------------------------------------------------------------------------


def test_a_ruling_after_completion_pays_what_is_left_of_the_commission() -> None:
    """The buyer gets 95 % of what is held; a later refund takes back no more than that."""
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    fund(w, ARBITER, 10)
    order = w.block(order_by(w, ALICE, shop, BOB, (("a", 100, 100_000, ()),)))[0].txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "order_complete", order).code == 0
    assert w.do(ALICE, "order_dispute", order, "quality").code == 0
    got = paid_to(w, BOB, lambda: (w.do(ARBITER, "order_rule", order, 9_500), w.block()))
    row = w.draft.get(ORDER, order)
    assert row is not None and row.status == "final"
    assert row.ruled == 2 * DOLLAR * 95 // 100
    assert got == row.commission == 100_000
    assert w.broken_laws() == []
    owed = []
    for quantity in (70, 10, 1):  # 8.1 dollars were the shop's after the ruling
        assert w.do(SELLER, "order_refund", order, ((0, quantity),), "").code == 0
        owed.append(partner(w, BOB, shop).owed)
        assert w.broken_laws() == []
    assert owed == [0, 90_000, 100_000]


@pytest.mark.parametrize(
    ("buyer_bp", "status"), [(0, "earned"), (4_000, "earned"), (10_000, "void")]
)
def test_a_ruling_before_completion_leaves_the_commission_of_what_the_shop_keeps(
    buyer_bp: int, status: str
) -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    fund(w, ARBITER, 10)
    order = w.block(order_by(w, ALICE, shop, BOB))[0].txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "order_dispute", order, "quality").code == 0
    got = paid_to(w, BOB, lambda: (w.do(ARBITER, "order_rule", order, buyer_bp), w.block()))
    assert got == DOLLAR * (10_000 - buyer_bp) // 10_000
    sale = w.draft.get(SALE, order)
    assert sale is not None and sale.status == status
    assert partner(w, BOB, shop).promised == 0
    assert w.broken_laws() == []


# Records ----------------------------------------------------------------------------------


def test_commission_rows_are_never_edited() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    order = final_sale(w, shop)
    first = rows_of(w, order)
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    after = rows_of(w, order)
    assert after[:1] == first
    assert after[1][2:5] == (-200_000, 0, 200_000)


def test_dollars_stay_where_the_totals_say_through_it_all() -> None:
    w = new_world()
    shop = shop_with(w, BOB, DAN, window=WINDOW)
    supply = totals_of(w.draft).supply
    for named in (BOB, DAN):
        order = final_sale(w, shop, named=named)
        w.do(SELLER, "order_refund", order, ((0, 2),), "")
    assert totals_of(w.draft).supply == supply
    assert account_of(w.draft, BOB.address).dollar > 0
    assert w.broken_laws() == []


TAMPERINGS = [
    (PARTNER, "promised", "referral/book"),
    (PARTNER, "accrued", "referral/book"),
    (PARTNER, "reversed", "referral/book"),
    (PARTNER, "paid", "referral/book"),
    (PARTNER, "owed", "referral/book"),
    (PROGRAM, "distributors", "referral/partners"),
    (BINDING, "until_ms", "referral/bindings"),
    (ROW, "accrued", "referral/sales"),
    (ROW, "paid", "referral/sales"),
    (ROW, "depth", "referral/sales"),
    (SALE, "share_bp", "referral/sales"),
    (SALE, "rows", "referral/sales"),
    (SALE, "commission", "referral/sales"),
    (SALE, "due_ms", "referral/sales"),
    (USED, "amount", "referral/book"),
    (GROWTH, "orders_ever", "referral/growth"),
    (GROWTH, "buyers_ever", "referral/growth"),
    (GROWTH, "volume_ever", "referral/growth"),
    (GROWTH, "refunded_ever", "referral/growth"),
    (GROWTH, "orders", "referral/growth"),
    (GROWTH, "buyers", "referral/growth"),
    (GROWTH, "volume", "referral/growth"),
    (GROWTH, "gross", "referral/growth"),
    (GROWTH, "refunded", "referral/growth"),
    (REGULAR, "volume", "referral/growth"),
]  # fmt: skip
TABLES = [PARTNER, PROGRAM, CAMPAIGN, ROW, SALE, USED, GROWTH, REGULAR]


def history() -> World:
    """A world with two depths, caps, an open sale, a final one and a refund after final."""
    w = new_world()
    set_param(w, "refer_depth", 2)
    shop = shop_with(w, window=WINDOW)
    assert w.do(SELLER, "refer_terms", shop, 30 * DAY_MS, (100 * DOLLAR,), (), ()).code == 0
    fund(w, DAN, 100)
    join(w, DAN, shop)
    join(w, BOB, shop, by=DAN)
    order = final_sale(w, shop)
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    w.block(order_by(w, ALICE, shop))
    assert w.broken_laws() == []
    return w


@pytest.mark.parametrize(
    ("table", "field", "law"), TAMPERINGS, ids=lambda x: str(getattr(x, "name", x))
)
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str, law: str) -> None:
    w = history()
    w.draft = Draft(w.draft)
    for key, record in list(w.draft.items(table)):
        w.draft.put(table, key, record._replace(**{field: getattr(record, field) + 1}))
    said = w.broken_laws()
    assert any(line.startswith(law) for line in said), said


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_a_law_notices_a_record_that_is_gone(table: Any) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, _ = next(iter(w.draft.items(table)))
    w.draft.delete(table, key)
    assert w.broken_laws() != []


def test_a_law_notices_a_depth_that_the_parameter_never_was() -> None:
    from state.tx.commissions import DEPTHS, Depths

    w = history()
    w.draft.put(DEPTHS, b"", Depths(((0, 1),)))
    assert any("deeper than the parameter" in line for line in w.broken_laws())


def test_a_law_notices_a_commission_on_an_order_that_is_not_final() -> None:
    w = history()
    open_id = next(key for key, sale in w.draft.items(SALE) if sale.status == "open")
    w.draft.put(ROW, (open_id, 0), Row(BOB.address, 1, 5, 5, 0, 1, 1))
    assert any(line.startswith("referral/sales") for line in w.broken_laws())


def test_a_law_notices_a_flag_of_joining_that_is_wrong() -> None:
    """Who joined is flagged, so that of all others nothing but the account is read."""
    for who in (BOB, SELLER):
        w = history()
        account = account_of(w.draft, who.address)
        w.draft.put(ACCOUNT, who.address, account._replace(flags=account.flags ^ HAS_JOINED))
        assert any("flagged as one that has joined" in line for line in w.broken_laws())


def test_promises_round_down() -> None:
    assert [promised(3_333, kept) for kept in (0, 3, 4, 10_000)] == [0, 0, 1, 3_333]
