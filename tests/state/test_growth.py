"""Growth and levels (F6): thresholds to the unit, the window against a count from nothing, and
that a level never pays for the faking of it."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.limits import INT_MAX
from state.registry import standard_registry
from state.tx import growth as growth_module
from state.tx.bindings import PARTNER
from state.tx.commissions import SALE
from state.tx.growth import (
    BUYER_FROM,
    BUYER_VOLUME_MAX,
    GROWTH,
    LEVELS,
    NO_GROWTH,
    REGULAR,
    Growth,
    Regular,
    growth_of,
    level_of,
    share_at,
    share_ppm,
)
from state.tx.orders import ORDER
from tests.state.scenarios.base import ALICE, BOB, OP0, OP1, SELLER, fund, new_world
from tests.state.scenarios.orders import shop_fields
from tests.state.scenarios.referral import (
    DAN,
    TERMS,
    final_sale,
    finish,
    join,
    link,
    order_by,
    set_param,
    shop_with,
)
from tests.state.world import DAY_MS, DOLLAR, Person, h

REFERRAL = 5
WINDOW = 10_000
STEPS = int(os.environ.get("MGS_LAW_STEPS", "40"))
EXAMPLES = int(os.environ.get("MGS_LAW_EXAMPLES", "25"))


# Levels -----------------------------------------------------------------------------------


def just(number: int) -> tuple[Growth, int]:
    """(figures, time) that meet a level's conditions exactly."""
    level = LEVELS[number]
    gross = 100 * DOLLAR
    figures = NO_GROWTH._replace(
        first_final_ms=1,
        orders=level.orders,
        buyers=level.buyers,
        volume=level.volume,
        gross=gross,
        refunded=gross * level.refunds_pct // 100,
    )
    return figures, 1 + level.since_first_ms


@pytest.mark.parametrize("number", range(5))
def test_a_level_is_reached_exactly_at_its_thresholds(number: int) -> None:
    figures, now_ms = just(number)
    assert level_of(figures, now_ms) == number
    if number == 0:
        return
    for name, by in (("orders", -1), ("buyers", -1), ("volume", -1), ("refunded", 1)):
        missed = figures._replace(**{name: getattr(figures, name) + by})
        assert level_of(missed, now_ms) < number, name
    if number > 1:
        assert level_of(figures, now_ms - 1) == number - 1


def test_the_levels_are_those_that_are_published() -> None:
    day, dollar = DAY_MS, DOLLAR
    assert [tuple(level) for level in LEVELS] == [
        (0, 0, 0, 100, 0, 4_000),
        (5, 3, 200 * dollar, 20, 0, 5_000),
        (50, 25, 2_500 * dollar, 15, 30 * day, 6_500),
        (500, 200, 25_000 * dollar, 10, 90 * day, 8_000),
        (5_000, 1_500, 250_000 * dollar, 8, 180 * day, 10_000),
    ]


def test_who_has_never_sold_has_the_lowest_level() -> None:
    w = new_world()
    assert share_at(growth_of(w.draft, BOB.address).volume) == 400_000
    assert level_of(NO_GROWTH, 10**15) == 0


def washers_gain(beta: Fraction, s: Fraction, delta: Fraction) -> Fraction:
    """What a faked dollar of fee loses less what the higher level gains on a real one: above 0
    faking costs more than it can earn even if all one's sales are fakes."""
    return (1 - beta - s) - delta * Fraction(1, 4) * beta


def beta_bounds() -> list[Fraction]:
    """Lowest, default and highest beta; those of F4 where the mining family is not there."""
    spec = standard_registry().params.get("mining_beta_bps")
    values = (spec.lowest, spec.default, spec.highest) if spec else (0, 4_000, 5_000)
    return [Fraction(value, 10_000) for value in values]


DELTA = Fraction(LEVELS[-1].level_bps - LEVELS[0].level_bps, 10_000)


def test_the_condition_of_f6_holds_at_every_bound_that_governance_can_set() -> None:
    """The fee pool is shared among three at least (`fee_sharers_min`)."""
    assert Fraction(6, 10) == DELTA
    for beta in beta_bounds():
        assert beta <= Fraction(1, 2), "governance cannot set it higher"
        for sharing in (standard_registry().params["fee_sharers_min"].lowest, 4, 31):
            assert washers_gain(beta, Fraction(1, sharing), DELTA) > 0, (beta, sharing)


def test_where_the_condition_of_f6_ends() -> None:
    """With two gateways sharing the pool: 10/23; at the highest beta: a share of 0.425."""
    assert washers_gain(Fraction(10, 23), Fraction(1, 2), DELTA) == 0
    assert washers_gain(Fraction(4, 10), Fraction(1, 2), DELTA) > 0
    assert washers_gain(Fraction(1, 2), Fraction(1, 2), DELTA) < 0
    assert washers_gain(Fraction(1, 2), Fraction(425, 1000), DELTA) == 0
    # With one gateway alone no level is to blame: nothing is left of 1 - s.
    assert washers_gain(Fraction(1, 1000), Fraction(1), Fraction(0)) < 0


@pytest.mark.parametrize(("number", "factor"), [(1, 60), (2, 24), (3, 15), (4, 10)])
def test_the_break_even_of_each_level_is_as_published(number: int, factor: int) -> None:
    """Real volume for one faked, for a washer without a gateway: (1 - beta) / (delta beta / 4)."""
    beta = Fraction(4, 10)
    delta = Fraction(LEVELS[number].level_bps - LEVELS[0].level_bps, 10_000)
    assert (1 - beta) / (delta * beta / 4) == factor


# The window -------------------------------------------------------------------------------


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(growth_module, "WINDOW_MS", 200_000)
    return 200_000


def test_a_sale_falls_out_of_the_window_and_stays_for_ever(short_window: int) -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    order = w.block(order_by(w, ALICE, shop, BOB, (("tea", 1, 30 * DOLLAR, ()),)))[0].txid
    finish(w, order, ALICE)
    inside = growth_of(w.draft, BOB.address)
    assert (inside.orders, inside.buyers, inside.volume) == (1, 1, 30 * DOLLAR)
    sale = w.draft.get(SALE, order)
    assert sale is not None
    w.pass_ms(sale.due_ms - w.now(REFERRAL) - 1)
    assert growth_of(w.draft, BOB.address) == inside
    w.block(after_ms=1)
    outside = growth_of(w.draft, BOB.address)
    assert outside == inside._replace(orders=0, buyers=0, volume=0, gross=0, refunded=0)
    assert w.broken_laws() == []
    # A refund after that is owed like any other, and touches only the figures for ever.
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    last = growth_of(w.draft, BOB.address)
    assert (last.volume_ever, last.refunded_ever, last.refunded) == (0, 30 * DOLLAR, 0)
    assert w.broken_laws() == []


def test_one_buyer_adds_a_thousand_dollars_at_most_and_counts_from_twenty() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)

    def buy(amount: int) -> Growth:
        order = w.block(order_by(w, ALICE, shop, BOB, (("a", 1, amount, ()),)))[0].txid
        finish(w, order, ALICE)
        return growth_of(w.draft, BOB.address)

    assert buy(BUYER_FROM - 1).buyers == 0
    assert buy(1).buyers == 1
    assert buy(BUYER_VOLUME_MAX).volume == BUYER_VOLUME_MAX
    last = buy(500 * DOLLAR)
    assert (last.volume, last.volume_ever) == (BUYER_VOLUME_MAX, 1_520 * DOLLAR)
    assert (last.orders, last.buyers, last.buyers_ever) == (4, 1, 1)
    assert w.broken_laws() == []


@pytest.mark.parametrize(
    ("before", "kept", "share"),
    [
        (0, 1_000, 500_000),
        (0, 2_000, 450_000),
        (900, 200, 450_000),
        (1_000, 9_000, 400_000),
        (0, 1, 500_000),
    ],
)
def test_abuse_a_level_bought_for_large_sales_to_few_buyers_earns_nothing_on_them(
    before: int, kept: int, share: int
) -> None:
    """The figures are dollars: what the buyer had bought in the window, and the sale counted now.

    Without this, a distributor with two customers won by faking level 1 (docs/economics.md).
    """
    w = new_world()
    figures, _ = just(1)
    w.draft.put(GROWTH, BOB.address, figures)
    w.draft.put(REGULAR, (BOB.address, ALICE.address), Regular((before + kept) * DOLLAR))
    assert share_at(figures.volume) == 500_000
    assert share_ppm(w.draft, BOB.address, ALICE.address, kept * DOLLAR) == share


def test_a_sale_that_the_window_could_not_take_earns_the_lowest_share() -> None:
    w = new_world()
    w.draft.put(GROWTH, BOB.address, just(1)[0])
    assert share_ppm(w.draft, BOB.address, ALICE.address, DOLLAR) == LEVELS[0].level_bps * 100


# The share of tokens ----------------------------------------------------------------------


@pytest.mark.parametrize("number", range(5))
def test_the_share_is_a_levels_at_its_volume_and_lies_on_a_line_between_two(number: int) -> None:
    level = LEVELS[number]
    assert share_at(level.volume) == level.level_bps * 100
    if number:
        below = LEVELS[number - 1]
        half = (below.volume + level.volume) // 2
        assert share_at(half) == (below.level_bps + level.level_bps) * 50
        assert share_at(level.volume - 1) < level.level_bps * 100
    assert share_at(10**18) == 1_000_000


def test_abuse_a_level_topped_up_with_the_cheapest_buyers_orders_or_time_brings_nothing() -> None:
    """Orders of a cent, buyers of 20 dollars, an old first sale, gross that dilutes refunds: each
    is cheaper than volume, so none of them moves the share."""
    figures, now_ms = just(3)
    short = figures._replace(orders=499, buyers=199, refunded=figures.gross, first_final_ms=now_ms)
    assert (level_of(short, now_ms), level_of(figures, now_ms)) == (0, 3)
    assert share_at(short.volume) == share_at(figures.volume)


def test_the_line_of_the_share_never_gets_steeper() -> None:
    """On which the proof rests (docs/economics.md), and that it never steps."""
    slopes = [
        Fraction(above.level_bps - below.level_bps, above.volume - below.volume)
        for below, above in pairwise(LEVELS)
    ]
    assert slopes == sorted(slopes, reverse=True) and min(slopes) > 0


@given(
    sales=st.lists(st.integers(1, 300_000 * DOLLAR), max_size=30),
    faked=st.integers(1, 1_000 * DOLLAR),
)
def test_a_faked_dollar_moves_all_later_sales_together_by_less_than_the_whole_rise(
    sales: list[int], faked: int
) -> None:
    """What faked volume adds to the shares of any sales in the window after it is less than
    itself times the rise from 0.4 to 1: F6's condition is what it costs over what it brings."""
    volume = added = 0
    for sale in sales:
        volume += sale
        added += sale * (share_at(volume + faked) - share_at(volume))
    rounding = sum(sales)  # a millionth of each sale
    assert added <= faked * DELTA * 1_000_000 + rounding


def test_sales_at_all_shops_add_up() -> None:
    w = new_world()
    one = shop_with(w, BOB, window=WINDOW)
    two = w.do(SELLER, "shop_open", *shop_fields(name="Pots", window=WINDOW), also=[OP1]).txid
    join(w, BOB, two)
    for shop in (one, two):
        final_sale(w, shop)
    assert growth_of(w.draft, BOB.address).orders == 2, "also where the share is zero"


def test_figures_that_would_pass_64_bits_are_not_counted() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    final_sale(w, shop)
    before = growth_of(w.draft, BOB.address)
    full = before._replace(volume_ever=INT_MAX - 5 * DOLLAR)
    w.draft.put(GROWTH, BOB.address, full)
    seen = w.dollars(BOB)
    order = final_sale(w, shop)
    assert w.dollars(BOB) == seen + DOLLAR, "the commission is paid"
    assert growth_of(w.draft, BOB.address) == full
    sale = w.draft.get(SALE, order)
    assert sale is not None and not sale.counted
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    assert growth_of(w.draft, BOB.address) == full


# Everything at once -----------------------------------------------------------------------

PEOPLE = [ALICE, BOB, DAN, Person("eve"), OP0]
WHO = st.sampled_from(PEOPLE)
WHICH = st.integers(0, 4)
SHOP = st.integers(0, 1)
SHARE = st.sampled_from([0, 1, 333, 1_000, 5_000])
LINES = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([1, 333, 999_999, 20 * DOLLAR, 300 * DOLLAR])),
    min_size=1, max_size=3,
)  # fmt: skip
CAP = st.sampled_from([(), (), (1,), (DOLLAR,), (50 * DOLLAR,)])
MACHINE_WINDOW = 300_000


class Referrals(RuleBasedStateMachine):
    """Anyone does anything; the laws hold, and the window is what a count from nothing says."""

    @initialize(depth=st.integers(1, 2), second=st.sampled_from([0, 1, 1_000, 5_000]))
    def begin(self, depth: int, second: int) -> None:
        self.real_window = growth_module.WINDOW_MS
        growth_module.WINDOW_MS = MACHINE_WINDOW  # type: ignore[misc]
        self.w = new_world()
        for person in (DAN, PEOPLE[3]):
            fund(self.w, person, 9_000)
        set_param(self.w, "refer_depth", depth)
        set_param(self.w, "refer_second_bps", second)
        set_param(self.w, "refer_notice_ms", 50_000)
        short = {"ship": 60_000, "complete": 30_000, "window": 40_000}
        self.shops = [
            self.w.do(
                SELLER, "shop_open", *shop_fields(name=name, commission=bp, **short), also=[OP1]
            ).txid
            for name, bp in (("Teas", 1_000), ("Pots", 3_333))
        ]
        self.orders: list[bytes] = [h("none")]
        self.closed: dict[bytes, int] = {}  # order -> when it became final, family's clock
        for shop in self.shops:
            join(self.w, DAN, shop)

    def teardown(self) -> None:
        if hasattr(self, "w"):
            growth_module.WINDOW_MS = self.real_window  # type: ignore[misc]

    def note(self) -> None:
        assert self.w.outcome is not None
        for receipt in self.w.outcome.receipts:
            for event in receipt.events:
                if event.name == "order_final":
                    self.closed[event.values[0]] = self.w.now(REFERRAL)

    def do(self, who: Person, kind: str, *fields: Any, also: Any = ()) -> None:
        receipt = self.w.do(who, kind, *fields, also=also)
        self.note()
        if receipt.code == 0 and kind == "order_pay":
            self.orders.append(receipt.txid)

    def order(self, index: int) -> bytes:
        return self.orders[-1 - index % len(self.orders)]

    @rule(who=WHO, shop=SHOP, by=st.one_of(st.none(), WHO))
    def join(self, who: Person, shop: int, by: Person | None) -> None:
        named = (by.address,) if by else ()
        self.do(who, "refer_join", self.shops[shop], named, also=[by] if by and by != who else [])

    @rule(who=WHO, to=WHO, shop=SHOP)
    def bind(self, who: Person, to: Person, shop: int) -> None:
        self.do(who, "refer_bind", to.address, self.shops[shop])

    @rule(who=WHO, shop=SHOP, share=SHARE, notice=st.sampled_from([1_000, 60_000]))
    def agree(self, who: Person, shop: int, share: int, notice: int) -> None:
        self.do(who, "refer_agree", self.shops[shop], TERMS, share, notice, also=[SELLER])

    @rule(who=WHO, shop=SHOP, share=SHARE)
    def cut(self, who: Person, shop: int, share: int) -> None:
        self.do(SELLER, "refer_cut", self.shops[shop], who.address, share)

    @rule(shop=SHOP, term=st.sampled_from([1_000, 90_000, DAY_MS]), caps=st.tuples(CAP, CAP, CAP))
    def campaign(self, shop: int, term: int, caps: Any) -> None:
        self.do(SELLER, "refer_terms", self.shops[shop], term, *caps)

    @rule(who=WHO, shop=SHOP, basket=LINES, named=st.one_of(st.none(), WHO))
    def pay(self, who: Person, shop: int, basket: Any, named: Person | None) -> None:
        wire = tuple(("sku", quantity, price, ()) for quantity, price in basket)
        to = (named.address,) if named else ()
        self.do(who, "order_pay", self.shops[shop], wire, to, (), (), (), ())

    @rule(index=WHICH)
    def ship(self, index: int) -> None:
        self.do(SELLER, "order_ship", self.order(index), "")

    @rule(index=WHICH)
    def complete(self, index: int) -> None:
        row = self.w.draft.get(ORDER, self.order(index))
        buyer = next((who for who in PEOPLE if row and who.address == row.buyer), ALICE)
        self.do(buyer, "order_complete", self.order(index))

    @rule(index=WHICH, lines=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=1))
    def refund(self, index: int, lines: Any) -> None:
        self.do(SELLER, "order_refund", self.order(index), tuple(lines[:3]), "")

    @rule(index=WHICH)
    def cancel(self, index: int) -> None:
        self.do(SELLER, "order_cancel", self.order(index))

    @rule(one=WHO, other=WHO, lucky=st.integers(0, 9))
    def share_a_key(self, one: Person, other: Person, lucky: int) -> None:
        if lucky == 0:
            link(self.w, one, other)

    @rule(depth=st.integers(1, 2))
    def set_depth(self, depth: int) -> None:
        set_param(self.w, "refer_depth", depth)

    @rule(ms=st.sampled_from([1, 10_000, 45_000, 60_000]))
    def wait(self, ms: int) -> None:
        self.w.block(after_ms=ms)
        self.note()

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []

    @invariant()
    def the_window_is_what_a_count_from_nothing_says(self) -> None:
        if not hasattr(self, "w"):
            return
        now_ms, volumes, orders = self.w.now(REFERRAL), {}, {}
        for order_id, at_ms in self.closed.items():
            sale, row = self.w.draft.get(SALE, order_id), self.w.draft.get(ORDER, order_id)
            assert row is not None
            kept = row.total - row.refunded
            inside = now_ms < at_ms + MACHINE_WINDOW
            if sale is not None and sale.status == "earned" and inside and kept:
                key = (sale.distributor, row.buyer)
                volumes[key] = volumes.get(key, 0) + kept
                orders[sale.distributor] = orders.get(sale.distributor, 0) + 1
        for person in PEOPLE:
            mine = [volume for key, volume in volumes.items() if key[0] == person.address]
            growth = growth_of(self.w.draft, person.address)
            assert growth.orders == orders.get(person.address, 0)
            assert growth.buyers == sum(volume >= 20 * DOLLAR for volume in mine)
            assert growth.volume == sum(min(volume, 1_000 * DOLLAR) for volume in mine)


Referrals.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestReferrals = Referrals.TestCase


def test_a_distributor_with_many_sales_costs_no_more_for_each() -> None:
    """Rows touched by one final sale, with one sale before it and with fifty."""

    def touched(sales: int) -> int:
        w = new_world()
        shop = shop_with(w, BOB, window=WINDOW)
        for _ in range(sales):
            final_sale(w, shop)
        before = w.rows()
        final_sale(w, shop)
        after = w.rows()
        return sum(before.get(key) != value for key, value in after.items())

    assert touched(1) == touched(50)


def test_no_record_of_a_distributor_grows_with_its_sales() -> None:
    w = new_world()
    shop = shop_with(w, BOB, window=WINDOW)
    for _ in range(20):
        final_sale(w, shop)
    assert len(list(w.draft.items(REGULAR))) == len(list(w.draft.items(PARTNER))) == 1
