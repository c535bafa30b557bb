"""Demand and posts, to the micro-dollar; what backing for free would need is tried."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.limits import INT_MAX
from state.tx.backings import BPS, DEPOSIT_BP_LEAST, ESCROWED_MAX
from state.tx.community import PLACE, POST_FIGURES
from state.tx.demand import (
    BACKED,
    BACKING,
    DEMAND,
    OPEN,
    Backing,
    Demand,
    backer_of,
    open_of,
)
from state.tx.money import TOTALS, totals_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, SELLER, new_world
from tests.state.scenarios.community import founded, post, posted, wanted
from tests.state.scenarios.orders import open_shop
from tests.state.world import DAY_MS, DOLLAR, Person, World, make_genesis, people, reason

SHORT = {"ship": 5 * DAY_MS, "complete": 21 * DAY_MS, "window": 14 * DAY_MS}


def demand_row(w: World, demand: bytes) -> Demand:
    row = w.draft.get(DEMAND, demand)
    assert row is not None
    return row


def backing_row(w: World, demand: bytes, who: Person) -> Backing:
    backed = w.draft.get(BACKED, (demand, who.address))
    assert backed is not None
    row = w.draft.get(BACKING, backed.backing)
    assert row is not None
    return row


def pay(w: World, who: Person, shop: bytes, units: int, price: int, demand: bytes) -> bytes:
    lines = (("mug", units, price, ()),)
    receipt = w.do(who, "order_pay", shop, lines, (), (demand,), (), (), ())
    assert receipt.code == 0, reason(w, receipt)
    return receipt.txid


def complete(w: World, who: Person, order: bytes) -> None:
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(who, "order_complete", order).code == 0


def test_an_own_order_gives_the_deposit_back_when_it_is_completed() -> None:
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    assert backing_row(w, demand, ALICE).held == 2 * DOLLAR  # 5 % of 10 x 4 dollars
    order = pay(w, ALICE, shop, 4, 3 * DOLLAR, demand)
    row = demand_row(w, demand)
    assert (row.open, row.pledged, row.fulfilled) == (6, 4, 0)
    assert backing_row(w, demand, ALICE).held == 2 * DOLLAR
    w.do(SELLER, "order_ship", order, "")
    before = w.dollars(ALICE)
    receipt = w.do(ALICE, "order_complete", order)
    assert w.dollars(ALICE) == before - receipt.fee + 800_000  # 4 of 10 parts of 2 dollars
    row = demand_row(w, demand)
    assert (row.open, row.pledged, row.fulfilled) == (6, 0, 4)
    assert backer_of(w.draft, ALICE.address)[1:5] == (10, 4, 0, 0)
    assert w.broken_laws() == []


def test_nobody_backs_where_the_value_of_what_is_open_could_leave_64_bits() -> None:
    """Every dollar in escrow may be a deposit, and stands for a hundred of open value at most."""
    assert ESCROWED_MAX * BPS // DEPOSIT_BP_LEAST <= INT_MAX
    w = new_world()
    demand = posted(w)
    deposit = backing_row(w, demand, ALICE).deposit
    totals = totals_of(w.draft)
    for escrowed, why in ((ESCROWED_MAX, "DEPOSIT_BOUNDS"), (ESCROWED_MAX - deposit, "")):
        w.draft.put(TOTALS, b"", totals._replace(escrowed=escrowed))
        units = backing_row(w, demand, ALICE).quantity
        assert reason(w, w.do(BOB, "demand_back", demand, units)) == why


def test_a_cancelled_order_opens_again_what_it_had_pledged() -> None:
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    order = pay(w, ALICE, shop, 4, 3 * DOLLAR, demand)
    w.do(ALICE, "order_cancel", order)
    row = demand_row(w, demand)
    assert (row.open, row.pledged, row.fulfilled) == (10, 0, 0)
    assert w.broken_laws() == []


def test_withdrawn_early_a_tenth_of_the_deposit_goes_to_the_fee_pool() -> None:
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    pay(w, ALICE, shop, 4, 3 * DOLLAR, demand)  # pledged: cannot be withdrawn
    before, pool = w.dollars(ALICE), totals_of(w.draft).fee_pool
    receipt = w.do(ALICE, "demand_withdraw", demand)
    freed = 1_200_000
    assert w.dollars(ALICE) == before - receipt.fee + freed * 9 // 10
    assert totals_of(w.draft).fee_pool == pool + receipt.fee + freed // 10
    assert backing_row(w, demand, ALICE).held == 800_000
    assert w.broken_laws() == []


def test_an_expired_demand_gives_every_deposit_back_whole() -> None:
    w = new_world()
    demand = posted(w, lasts_ms=2 * DAY_MS)
    assert w.do(BOB, "demand_back", demand, 3).code == 0
    before = (w.dollars(ALICE), w.dollars(BOB))
    w.pass_ms(2 * DAY_MS)
    assert (w.dollars(ALICE), w.dollars(BOB)) == (before[0] + 2 * DOLLAR, before[1] + 600_000)
    assert open_of(w.draft, "kitchen")[1:] == (0, 0, 0)
    assert backer_of(w.draft, BOB.address).expired == 3
    assert w.broken_laws() == []


def test_an_order_completed_after_the_demand_expired_still_counts_as_kept() -> None:
    w = new_world()
    demand, shop = posted(w, lasts_ms=2 * DAY_MS), open_shop(w, **SHORT)
    order = pay(w, ALICE, shop, 4, 3 * DOLLAR, demand)
    w.pass_ms(2 * DAY_MS)
    complete(w, ALICE, order)
    assert backer_of(w.draft, ALICE.address)[1:5] == (10, 4, 0, 6)
    assert demand_row(w, demand).fulfilled == 4
    assert w.broken_laws() == []


def test_open_demand_counts_only_who_has_a_final_order() -> None:
    w = new_world()
    demand, shop = posted(w, lasts_ms=80 * DAY_MS), open_shop(w, **SHORT)
    assert open_of(w.draft, "kitchen", "camping") == (1, 10, 0, 0)
    complete(w, ALICE, pay(w, ALICE, shop, 1, 3 * DOLLAR, b"\1" * 32))
    w.pass_ms(SHORT["window"])
    assert open_of(w.draft, "kitchen", "camping") == (1, 10, 10, 40 * DOLLAR)
    assert open_of(w.draft, "kitchen") == (1, 10, 10, 40 * DOLLAR)
    assert w.do(BOB, "demand_back", demand, 5).code == 0
    assert open_of(w.draft, "kitchen") == (1, 15, 10, 40 * DOLLAR)
    assert w.broken_laws() == []


def test_abuse_demand_backed_for_free_by_an_order_of_crumbs() -> None:
    """A cent's order of ten units does not serve a demand for ten units at four dollars."""
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    pay(w, ALICE, shop, 10, 2 * DOLLAR - 1, demand)
    assert demand_row(w, demand).pledged == 0
    pay(w, ALICE, shop, 10, 2 * DOLLAR, demand)
    assert demand_row(w, demand).pledged == 10


def test_abuse_demand_backed_for_free_at_ones_own_shop() -> None:
    w = new_world()
    shop = open_shop(w)
    receipt = w.do(SELLER, "demand_post", *wanted())
    pay(w, SELLER, shop, 10, 4 * DOLLAR, receipt.txid)
    assert demand_row(w, receipt.txid).pledged == 0


def test_abuse_demand_backed_for_free_by_an_order_that_is_given_back() -> None:
    """Nine of ten units are refunded before the network's fee is due: one is served."""
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    order = pay(w, ALICE, shop, 10, 2 * DOLLAR, demand)
    w.do(SELLER, "order_ship", order, "")
    assert w.do(SELLER, "order_refund", order, ((0, 9),), "").code == 0
    assert demand_row(w, demand).pledged == 10
    before = w.dollars(ALICE)
    receipt = w.do(ALICE, "order_complete", order)
    row = demand_row(w, demand)
    assert (row.open, row.pledged, row.fulfilled) == (9, 0, 1)
    assert w.dollars(ALICE) == before - receipt.fee + 200_000  # a tenth of 2 dollars
    assert backer_of(w.draft, ALICE.address)[1:5] == (10, 1, 0, 0)
    assert w.broken_laws() == []


def test_abuse_demand_backed_for_free_by_a_ruling_for_the_buyer() -> None:
    """What the shop keeps of 20 dollars is one: no more than half a unit at 4 dollars."""
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    order = pay(w, ALICE, shop, 10, 2 * DOLLAR, demand)
    w.do(SELLER, "order_ship", order, "")
    w.do(ALICE, "order_dispute", order, "late")
    assert w.do(ARBITER, "order_rule", order, 9_500, payer=BOB).code == 0
    row = demand_row(w, demand)
    assert (row.open, row.pledged, row.fulfilled) == (10, 0, 0)
    assert w.broken_laws() == []


@pytest.mark.parametrize("units_back", [10, 7])
def test_abuse_a_pledge_that_comes_to_nothing_after_the_demand_counts_as_expired(
    units_back: int,
) -> None:
    """Otherwise who breaks every word shows a clean record: pay before the end, cancel after it."""
    w = new_world()
    demand, shop = posted(w, lasts_ms=2 * DAY_MS), open_shop(w, **SHORT)
    order = pay(w, ALICE, shop, 10, 2 * DOLLAR, demand)
    w.pass_ms(2 * DAY_MS)
    assert backer_of(w.draft, ALICE.address)[1:5] == (10, 0, 0, 0)
    assert w.do(SELLER, "order_refund", order, ((0, units_back),), "").code == 0
    if units_back < 10:
        complete(w, ALICE, order)
    assert backer_of(w.draft, ALICE.address)[1:5] == (10, 10 - units_back, 0, units_back)
    assert demand_row(w, demand).open == 0
    assert w.broken_laws() == []


def test_an_order_lowers_only_its_buyers_own_backing() -> None:
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    pay(w, BOB, shop, 5, 4 * DOLLAR, demand)
    assert demand_row(w, demand).open == 10
    assert w.do(BOB, "demand_back", demand, 3).code == 0
    pay(w, BOB, shop, 5, 4 * DOLLAR, demand)
    assert backing_row(w, demand, ALICE).open == 10
    assert backing_row(w, demand, BOB).open == 0


def test_a_post_counts_the_orders_that_name_it() -> None:
    w = new_world()
    shop = open_shop(w, **SHORT)
    written = w.do(BOB, "post_write", *post()).txid
    lines = (("mug", 1, 3 * DOLLAR, ()),)
    order = w.do(ALICE, "order_pay", shop, lines, (), (), (written,), (), ()).txid
    assert w.draft.get(POST_FIGURES, written) == (1, 0)
    complete(w, ALICE, order)
    w.pass_ms(SHORT["window"])
    assert w.draft.get(POST_FIGURES, written) == (1, 1)
    assert w.broken_laws() == []


def test_abuse_a_post_named_before_it_was_written_counts_nothing() -> None:
    """Its id is known before it is sent. Orders that name it then would become final for a post
    that no order had counted for, and break the law of posts.
    """
    w = new_world()
    shop = open_shop(w, **SHORT)
    lines = (("mug", 1, 3 * DOLLAR, ()),)
    coming = w.tx(BOB, "post_write", *post())
    early = w.do(ALICE, "order_pay", shop, lines, (), (), (coming.txid,), (), ()).txid
    together = w.tx(ALICE, "order_pay", shop, lines, (), (), (coming.txid,), (), ())
    assert [receipt.code for receipt in w.block(coming, together)] == [0, 0]
    assert w.draft.get(POST_FIGURES, coming.txid) is None
    late = w.do(ALICE, "order_pay", shop, lines, (), (), (coming.txid,), (), ()).txid
    assert w.draft.get(POST_FIGURES, coming.txid) == (1, 0)
    for order in (early, together.txid, late):
        complete(w, ALICE, order)
    w.pass_ms(SHORT["window"])
    assert w.draft.get(POST_FIGURES, coming.txid) == (1, 1)
    assert w.broken_laws() == []


class Market(RuleBasedStateMachine):
    """Backers and a shop in any order; the laws hold after every step, and no deposit is lost."""

    @initialize()
    def begin(self) -> None:
        self.people = people("alice", "bob", "carol")
        self.w = World(make_genesis(funded=[*self.people, SELLER], arbiters=[ARBITER]))
        self.shop = open_shop(self.w, **SHORT)
        self.demands: list[bytes] = []
        self.orders: list[tuple[Person, bytes]] = []

    who = st.integers(0, 2)

    @rule(who=who, price=st.integers(1, 50), quantity=st.integers(1, 9), days=st.integers(1, 4))
    def post_one(self, who: int, price: int, quantity: int, days: int) -> None:
        fields = ("kitchen", "home", b"\2" * 32, price, quantity, days * DAY_MS, quantity)
        receipt = self.w.do(self.people[who], "demand_post", *fields)
        assert receipt.code == 0
        self.demands.append(receipt.txid)

    @rule(who=who, which=st.integers(0, 9), quantity=st.integers(1, 9))
    def back(self, who: int, which: int, quantity: int) -> None:
        if self.demands:
            demand = self.demands[which % len(self.demands)]
            self.w.do(self.people[who], "demand_back", demand, quantity)

    @rule(who=who, which=st.integers(0, 9))
    def withdraw(self, who: int, which: int) -> None:
        if self.demands:
            demand = self.demands[which % len(self.demands)]
            self.w.do(self.people[who], "demand_withdraw", demand)

    @rule(who=who, which=st.integers(0, 9), units=st.integers(1, 9), price=st.integers(1, 60))
    def order(self, who: int, which: int, units: int, price: int) -> None:
        if self.demands:
            buyer = self.people[who]
            demand = self.demands[which % len(self.demands)]
            self.orders.append((buyer, pay(self.w, buyer, self.shop, units, price, demand)))

    @rule(which=st.integers(0, 9), end=st.sampled_from(["order_ship", "order_cancel", "refund"]))
    def serve(self, which: int, end: str) -> None:
        if not self.orders:
            return
        buyer, order = self.orders[which % len(self.orders)]
        if end == "order_cancel":
            self.w.do(buyer, "order_cancel", order)
        elif end == "refund":
            self.w.do(SELLER, "order_refund", order, ((0, 1),), "")
        else:
            self.w.do(SELLER, "order_ship", order, "")
            self.w.do(buyer, "order_complete", order)

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        for _ in range(days):
            self.w.pass_ms(30 * 60_000)
            self.w.block(after_ms=DAY_MS)

    @invariant()
    def laws_hold(self) -> None:
        assert self.w.broken_laws() == []


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("table", "field", "law"),
    [
        (BACKING, "open", "community/"),
        (BACKING, "deposit", "community/deposits"),
        (BACKING, "due_ms", "community/deposits"),
        (DEMAND, "counted", "community/open demand"),
        (DEMAND, "pledged", "community/open demand"),
        (OPEN, "value", "community/open demand"),
        (PLACE, "members", "community/communities"),
        (PLACE, "posts", "community/communities"),
        (POST_FIGURES, "led_final", "community/posts"),
    ],
)
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str, law: str) -> None:
    w = new_world()
    demand, shop = posted(w), open_shop(w)
    community = founded(w)
    text = w.do(ALICE, "post_write", *post(community=(community,))).txid
    lines = (("mug", 4, 3 * DOLLAR, ()),)
    w.do(ALICE, "order_pay", shop, lines, (), (demand,), (text,), (), ())
    assert w.broken_laws() == []
    key, record = next(iter(w.draft.items(table)))
    by = DOLLAR if field == "deposit" else 2
    w.draft.put(table, key, record._replace(**{field: getattr(record, field) + by}))
    assert any(line.startswith(law) for line in w.broken_laws()), w.broken_laws()
