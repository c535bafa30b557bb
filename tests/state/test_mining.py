"""Mining: what sales earn, to the micro-MGS; who tries to farm it, loses."""

from __future__ import annotations

from typing import Any

import pytest

from state.registry import Family, Registry, standard_registry
from state.tx.accounts import ACCOUNT, EMPTY, account_of, note_recruited
from state.tx.mining import (
    REWARDED,
    lead,
    pay_reviewer,
    reviewer_share,
    rewarded_by,
)
from state.tx.periods import period_of
from state.tx.rewards import (
    EARNED,
    MINED,
    MINING,
    Mining,
    claimable,
    debt_of,
    earned_of,
    kappa_of,
    mining_of,
)
from state.tx.sales import ORDER
from state.tx.tokens import token_totals_of
from state.tx.voice import VOICE_RESERVE, direct, granted_90, voice_left
from tests.state.scenarios.base import ALICE, ARBITER, BOB, SELLER
from tests.state.scenarios.orders import open_shop
from tests.state.scenarios.referral import join
from tests.state.scenarios.token import PRICE, SHORT, TOKEN, close_period, completed, final
from tests.state.world import DOLLAR, Person, World, in_block, make_genesis, reason

CAROL, DAVE = Person("carol"), Person("dave")
FEE = DOLLAR // 2  # of a sale of 100 dollars
BOUND = 2 * TOKEN  # 0.4 x 0.50 dollars at 0.10 dollars a token


def token(w: World, person: Person) -> int:
    return account_of(w.draft, person.address).token


def mining(w: World, period: int = 0) -> Mining:
    row = w.draft.get(MINING, period)
    assert row is not None
    return row


class Others:
    """Stands for the families that know who led to an order and who reviewed what."""

    def __init__(self) -> None:
        self.leader: Person | None = None
        self.reviewed: dict[int, int] = {}  # line -> rep_bps, before the order was final

    def on_final(self, ctx: Any, order_id: bytes) -> None:
        if self.leader:
            lead(ctx, order_id, self.leader.address)
        order = ctx.draft.get(ORDER, order_id)
        for line, rep_bps in self.reviewed.items():
            pay_reviewer(ctx, order_id, line, order.buyer, rep_bps)


def economy(**params: int) -> tuple[World, Others, bytes]:
    """A world with a family that speaks for others, and a shop that Carol has joined."""
    others = Others()
    family = Family(0, "others", hooks={"final": others.on_final})  # before the token's own hook
    genesis = make_genesis(funded=[ALICE, BOB, SELLER, CAROL], arbiters=[ARBITER], params=params)
    w = World(genesis, Registry((*standard_registry().families, family)))
    shop = open_shop(w, **SHORT)
    join(w, CAROL, shop)
    return w, others, shop


def claim(w: World, person: Person, period: int) -> str:
    return reason(w, w.do(person, "token_claim", period))


def test_a_sale_earns_its_parts_and_no_more_than_its_bound() -> None:
    w, _, shop = economy()
    final(w, shop, by=CAROL)
    pool = token_totals_of(w.draft).pool
    period = close_period(w)
    row = mining(w)
    assert (row.fees, row.offer, row.kappa) == (FEE, pool * 475 // 1_000_000, 4 * TOKEN)
    parts = {ALICE: 600_000, SELLER: 400_000, CAROL: 500_000 * 45 // 100}
    assert (row.claims, row.reviews) == (sum(parts.values()), 300_000)
    assert [r.left for _, r in w.draft.items(VOICE_RESERVE)] == [200_000]
    assert token_totals_of(w.draft).reserved == sum(parts.values()) + 500_000 < BOUND
    for person, part in parts.items():
        assert claim(w, person, period) == ""
        assert token(w, person) == part
        assert claim(w, person, period) == "NOTHING_TO_CLAIM"
    assert (mining(w).claims, mining(w).claimed) == (0, sum(parts.values()))
    assert w.broken_laws() == []


def test_a_period_of_many_fees_shares_its_offer() -> None:
    """At a thousandth of the reference price the offer is less than the bound of all orders."""
    w, _, shop = economy(mining_price_ref=1_000, mining_emission_ppm=1)
    final(w, shop)
    final(w, shop, (3 * PRICE,), buyer=BOB)
    pool = token_totals_of(w.draft).pool
    period = close_period(w)
    row = mining(w)
    assert (row.offer, row.fees) == (pool // 1_000_000, 4 * FEE)
    assert row.offer < row.fees * row.kappa // 1_000_000
    assert claim(w, ALICE, period) == claim(w, BOB, period) == claim(w, SELLER, period) == ""
    assert token(w, ALICE) == row.offer * FEE // (4 * FEE) * 3 // 10
    assert token(w, BOB) == row.offer * 3 // 4 * 3 // 10
    assert token(w, SELLER) == row.offer * 2 // 10
    assert w.broken_laws() == []


@pytest.mark.parametrize("how", ["recruited", "fee"])
def test_a_sale_between_linked_accounts_or_without_a_fee_earns_nothing(how: str) -> None:
    w, _, shop = economy()
    if how == "recruited":
        with in_block(w) as ctx:
            note_recruited(ctx, ALICE.address, SELLER.address)
        final(w, shop)
    else:
        order_id = completed_and_refunded(w, shop)
        assert w.draft.get(MINED, order_id) is None
    assert w.draft.get(MINING, 0) is None
    close_period(w)
    assert w.draft.get(MINING, 0) is None
    assert (token_totals_of(w.draft).reserved, w.broken_laws()) == (0, [])


def completed_and_refunded(w: World, shop: bytes) -> bytes:
    order_id = completed(w, shop)
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    w.pass_ms(1_000)
    return order_id


def test_a_refund_before_final_lowers_what_counts_as_one_after_does() -> None:
    w, _, shop = economy()
    order_id = completed(w, shop, (PRICE, 3 * PRICE))
    assert w.do(SELLER, "order_refund", order_id, ((1, 1),), "").code == 0
    w.pass_ms(1_000)
    order, mined = w.draft.get(ORDER, order_id), w.draft.get(MINED, order_id)
    assert order is not None and order.fee == 4 * FEE  # the fee itself is never given back
    assert mined is not None and mined.fee == FEE
    other = final(w, shop, (PRICE, 3 * PRICE), buyer=BOB)
    assert w.do(SELLER, "order_refund", other, ((1, 1),), "").code == 0
    mined = w.draft.get(MINED, other)
    assert mined is not None and mined.fee == FEE
    assert (mining(w).fees, w.broken_laws()) == (2 * FEE, [])


def test_a_full_refund_leaves_every_account_where_the_rules_say() -> None:
    """Distributor, review, leader and voice; some had claimed and some had not."""
    w, others, shop = economy()
    others.leader, others.reviewed = DAVE, {0: 10_000}
    before = token_totals_of(w.draft)
    order_id = final(w, shop, by=CAROL)
    period = close_period(w)
    totals = token_totals_of(w.draft)
    assert before.pool - totals.pool == totals.reserved == BOUND - 500_000 * 55 // 100
    assert claim(w, ALICE, period) == claim(w, SELLER, period) == ""
    assert (token(w, ALICE), token(w, SELLER)) == (600_000 + 300_000, 400_000)
    assert granted_90(w.draft, ALICE.address) == 200_000
    assert voice_left(w.draft, ALICE.address) == 200_000 - 20_000 - 1
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    assert (debt_of(w.draft, ALICE.address), debt_of(w.draft, SELLER.address)) == (900_000, 400_000)
    for person in (ALICE, SELLER, CAROL, DAVE):
        earned = earned_of(w.draft, person.address, period)
        assert claimable(mining(w), earned) == 0
        assert sum(earned) == 0
    assert (mining(w).claims, mining(w).reviews) == (0, 0)
    assert granted_90(w.draft, ALICE.address) == voice_left(w.draft, ALICE.address) == 0
    assert claim(w, CAROL, period) == "NOTHING_TO_CLAIM"
    totals = token_totals_of(w.draft)
    assert totals.reserved == 180_000  # voice that nobody can direct, until its 90 days are over
    assert before.pool - totals.pool == 180_000 + 900_000 + 400_000
    assert w.broken_laws() == []
    others.leader, others.reviewed = None, {}
    final(w, shop, (2 * PRICE,))
    second = close_period(w)
    assert claim(w, ALICE, second) == claim(w, SELLER, second) == ""
    assert token(w, ALICE) == 900_000 + (1_200_000 - 900_000)
    assert token(w, SELLER) == 400_000 + (800_000 - 400_000)
    assert debt_of(w.draft, ALICE.address) == debt_of(w.draft, SELLER.address) == 0
    assert w.broken_laws() == []


def test_a_refund_in_parts_gives_back_what_one_of_all_does() -> None:
    w, _, shop = economy(mining_price_ref=1_237)
    prices = (7 * DOLLAR + 13, 11 * DOLLAR + 1, 3 * DOLLAR + 7)
    order_id = final(w, shop, prices)
    period = close_period(w)
    assert claim(w, ALICE, period) == ""
    paid = token(w, ALICE)
    for line in (1, 0, 2):
        assert w.do(SELLER, "order_refund", order_id, ((line, 1),), "").code == 0
        left = claimable(mining(w), earned_of(w.draft, ALICE.address, period))
        assert left == 0
        assert w.broken_laws() == []
    assert debt_of(w.draft, ALICE.address) == paid


# Reviews ------------------------------------------------------------------------------------


def test_a_reviewed_line_earns_its_part_by_value_and_the_rest_waits() -> None:
    w, _, shop = economy()
    order_id = final(w, shop, (PRICE, 3 * PRICE))
    assert reviewer_share(w.draft, order_id, 0) == 300_000  # as if the period ended now
    period = close_period(w)
    assert mining(w).reviews == 1_200_000
    assert reviewer_share(w.draft, order_id, 0) == 300_000
    with in_block(w) as ctx:
        assert pay_reviewer(ctx, order_id, 0, ALICE.address, 10_000) == 300_000
        assert pay_reviewer(ctx, order_id, 1, BOB.address, 10_000) == 0
        assert pay_reviewer(ctx, order_id, 1, ALICE.address, 5_000) == 450_000
        assert pay_reviewer(ctx, order_id, 1, ALICE.address, 10_000) == 0  # beyond the total
    assert (mining(w).reviews, w.broken_laws()) == (450_000, [])
    assert claim(w, ALICE, period) == ""
    assert token(w, ALICE) == 2_400_000 + 750_000
    w.pass_ms(1)
    with in_block(w) as ctx:  # after the claim there is something to claim again
        assert pay_reviewer(ctx, order_id, 1, ALICE.address, 2_500) == 225_000
    assert claim(w, ALICE, period) == ""
    assert (token(w, ALICE), w.broken_laws()) == (2_400_000 + 975_000, [])


def test_a_refund_takes_what_waits_to_be_claimed_and_what_was_claimed() -> None:
    w, _, shop = economy()
    order_id = final(w, shop)
    period = close_period(w)
    assert claim(w, ALICE, period) == ""
    with in_block(w) as ctx:
        assert pay_reviewer(ctx, order_id, 0, ALICE.address, 10_000) == 300_000
    before = mining(w)
    assert (before.claims, before.claimed) == (400_000 + 300_000, 600_000)
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    assert (mining(w).claims, mining(w).claimed) == (0, 0)
    assert debt_of(w.draft, ALICE.address) == 600_000
    assert w.broken_laws() == []


def test_a_refund_between_reviews_leaves_enough_reserved_to_the_last_micro() -> None:
    """Three parts end in .4, .6 and .4: what the first gives back is a whole unit more than it had,
    so that the reserve of what was not reviewed lacks one for the third.
    """
    w, _, shop = economy()
    fees = 100_004, 100_001, 100_004  # six tenths of each are its reviewer's part
    first, second, third = [final(w, shop, (200 * fee,)) for fee in fees]
    period = close_period(w)
    assert mining(w).fees == sum(fees)
    with in_block(w) as ctx:
        pay_reviewer(ctx, first, 0, ALICE.address, 10_000)
        pay_reviewer(ctx, second, 0, ALICE.address, 10_000)
    assert w.do(SELLER, "order_refund", first, ((0, 1),), "").code == 0
    with in_block(w) as ctx:
        pay_reviewer(ctx, third, 0, ALICE.address, 10_000)
    assert mining(w).reviews == 0
    assert w.broken_laws() == []
    assert claim(w, ALICE, period) == claim(w, SELLER, period) == ""
    assert mining(w).claims == 0
    assert w.broken_laws() == []


def test_lines_reviewed_before_final_and_before_the_close_earn_the_same() -> None:
    w, others, shop = economy()
    others.reviewed = {0: 10_000}
    order_id = final(w, shop, (PRICE, 3 * PRICE))
    with in_block(w) as ctx:
        assert pay_reviewer(ctx, order_id, 1, ALICE.address, 10_000) == 900_000
    period = close_period(w)
    assert mining(w).reviews == 0
    assert claim(w, ALICE, period) == ""
    assert (token(w, ALICE), w.broken_laws()) == (2_400_000 + 1_200_000, [])


def test_nobody_is_paid_for_a_review_before_final_or_after_the_window() -> None:
    w, _, shop = economy(mining_review_ms=50_000)
    order_id = completed(w, shop)
    with in_block(w) as ctx:
        assert pay_reviewer(ctx, order_id, 0, ALICE.address, 10_000) == 0
    w.pass_ms(1_000)
    assert w.draft.get(MINED, order_id) is not None
    close_period(w)
    pool = token_totals_of(w.draft).pool
    w.pass_ms(49_999)
    assert reviewer_share(w.draft, order_id, 0) == mining(w).reviews == 300_000
    w.pass_ms(1)
    assert mining(w).reviews == 0
    assert token_totals_of(w.draft).pool == pool + 300_000
    assert reviewer_share(w.draft, order_id, 0) == 0
    with in_block(w) as ctx:
        assert pay_reviewer(ctx, order_id, 0, ALICE.address, 10_000) == 0
    assert w.broken_laws() == []


# The clock ------------------------------------------------------------------------------------


def test_what_nobody_claims_goes_back_to_the_pool() -> None:
    w, _, shop = economy(mining_claim_ms=50_000, voice_ms=90_000, mining_review_ms=60_000)
    pool = token_totals_of(w.draft).pool
    order_id = final(w, shop, by=CAROL)
    period = close_period(w)
    assert claim(w, ALICE, period) == ""
    assert (token_totals_of(w.draft).reserved, mining(w).claims) == (1_125_000, 625_000)
    w.pass_ms(50_000 - 2)
    assert token_totals_of(w.draft).reserved == 1_125_000
    assert claim(w, SELLER, period) == "CLAIM_EXPIRED"  # in the block of that very time
    assert token_totals_of(w.draft).reserved == 200_000  # voice; reviews end with the claims
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    assert debt_of(w.draft, ALICE.address) == 600_000
    assert debt_of(w.draft, SELLER.address) == 0
    assert w.broken_laws() == []
    w.pass_ms(50_000)
    assert token_totals_of(w.draft).reserved == 0
    assert token_totals_of(w.draft).pool == pool - 600_000
    assert w.broken_laws() == []


def test_a_period_without_sales_costs_nothing() -> None:
    w, _, _ = economy()
    for _ in range(3):
        close_period(w)
    assert mining_of(w.draft, 1) == (0,) * 12
    for table in (MINING, EARNED, VOICE_RESERVE):
        assert list(w.draft.items(table)) == []
    assert w.broken_laws() == []


def test_an_outage_over_several_ends_is_one_period_of_mining() -> None:
    w, _, shop = economy()
    final(w, shop)
    end_ms = period_of(w.draft).end_ms
    pool = token_totals_of(w.draft).pool
    w.block(after_ms=end_ms + 5 * 86_400_000 - w.time_ms)
    assert mining(w).offer == pool * 475 // 1_000_000
    assert w.broken_laws() == []


def test_an_account_finds_the_orders_that_count_for_it() -> None:
    w, _, shop = economy()
    order_id = completed(w, shop, by=CAROL)
    w.block(after_ms=1_000)
    assert w.outcome is not None
    seen = [row for row in w.outcome.listed if row[0] == REWARDED]
    assert seen == [
        (REWARDED, rewarded_by(person.address, 0), order_id) for person in (ALICE, SELLER, CAROL)
    ]


# Who trades with himself --------------------------------------------------------------------


def net_of_wash(*, beta_bps: int, market: float, share: float, fee: int = FEE) -> float:
    """Dollars won on one wash order by a party in every role that has `share` of the fees."""
    tokens = kappa_of(beta_bps, 100_000) * fee // 1_000_000
    return tokens * market / TOKEN - (1 - share) * fee / DOLLAR


def test_washing_loses_below_the_market_price_that_the_design_names() -> None:
    at_reference = net_of_wash(beta_bps=4_000, market=0.10, share=1 / 3)
    assert at_reference * DOLLAR / FEE == pytest.approx(-0.267, abs=0.001)
    assert net_of_wash(beta_bps=4_000, market=0.166, share=1 / 3) < 0
    assert net_of_wash(beta_bps=4_000, market=0.167, share=1 / 3) > 0
    assert net_of_wash(beta_bps=5_000, market=0.133, share=1 / 3) < 0
    assert net_of_wash(beta_bps=5_000, market=0.134, share=1 / 3) > 0


def test_a_party_in_every_role_gets_no_more_than_beta_times_the_fee() -> None:
    """On the chain itself, with five unlinked accounts of one person."""
    w, others, shop = economy()
    others.leader, others.reviewed = DAVE, {0: 10_000}
    final(w, shop, by=CAROL)
    first = close_period(w)
    with in_block(w) as ctx:
        while direct(ctx, ALICE.address, DAVE.address, b"v" * 32):
            pass
    close_period(w)
    with in_block(w) as ctx:
        ctx.draft.put(*_funded(w, DAVE))
    for person in (ALICE, SELLER, CAROL, DAVE):
        for period in (first, first + 1):
            claim(w, person, period)
    won = sum(token(w, person) for person in (ALICE, SELLER, CAROL, DAVE))
    carol = 500_000 * 55 // 100  # her share at 100 dollars is 0.45
    assert BOUND - carol - 10 <= won <= BOUND - carol
    assert w.broken_laws() == []


def _funded(w: World, person: Person) -> Any:
    giver = account_of(w.draft, BOB.address)
    w.draft.put(ACCOUNT, BOB.address, giver._replace(dollar=giver.dollar - DOLLAR))
    return ACCOUNT, person.address, EMPTY._replace(dollar=DOLLAR)


def test_the_figure_of_the_demos_file() -> None:
    """docs/families/token.md: 183,479 dollars gross at the defaults and a reference of 0.10."""
    fee = 183_479 * DOLLAR * 50 // 10_000
    assert fee == 917_395_000
    offer = 400_000_000 * TOKEN * 475 // 1_000_000
    emitted = min(offer, fee * kappa_of(4_000, 100_000) // 1_000_000)
    assert (emitted, offer) == (3_669_580_000, 190_000 * TOKEN)
