"""The laws of the token over random histories, and that each notices a figure that is one off."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from state.draft import Draft
from state.tx.mining import pay_reviewer, reserves_of
from state.tx.rewards import (
    DEBT,
    EARNED,
    MICRO,
    MINED,
    MINING,
    NO_MINING,
    NOTHING,
    Debt,
    Earned,
    bound_of,
    entitled,
    led_part_of,
    parts_of,
)
from state.tx.sales import FINAL, ORDER
from state.tx.sums import with_more
from state.tx.tokens import PURPOSE, TOKEN_TOTALS, UNBONDING
from state.tx.vesting import VESTING
from state.tx.voice import VOICE, VOICE_RESERVE, direct, grant_of
from tests.state.scenarios.base import ALICE, BOB, OP1, SELLER, set_bond
from tests.state.scenarios.token import PRICE, TOKEN, close_period, completed, final, let_vest
from tests.state.test_mining import CAROL, DAVE, Others, economy
from tests.state.world import DOLLAR, Person, World, in_block

STEPS = int(os.environ.get("MGS_LAW_STEPS", "30"))
EXAMPLES = int(os.environ.get("MGS_LAW_EXAMPLES", "15"))
BUYERS = st.sampled_from([ALICE, BOB, CAROL])
ANYONE = [ALICE, BOB, CAROL, DAVE, SELLER]
CRUMBS = st.sampled_from([1, 9, 999])  # fees of 1, 1 and 5 micro-dollars: parts round to nothing
PRICES = st.lists(st.one_of(CRUMBS, st.integers(1, 40 * DOLLAR)), min_size=1, max_size=3)


@given(st.lists(st.integers(0, 10**9), min_size=8, max_size=8), st.integers(1, 10**9))
def test_what_an_account_is_entitled_to_is_the_sum_of_its_parts(sums: list[int], led: int) -> None:
    """The parts are for readers, the sum for each sale: it looks at roles that are there alone."""
    rates = NO_MINING._replace(fees=10**9, led=led, offer=10**12, kappa=3 * 10**6)
    for earned in (
        Earned(*sums),
        *(NOTHING._replace(**{name: sums[0]}) for name in NOTHING._fields),
    ):
        assert entitled(rates, earned) == sum(parts_of(rates, earned).values())


class Rewards(RuleBasedStateMachine):
    """Sales, reviews, votes, refunds and claims in any order; the laws hold after every block."""

    w: World
    others: Others
    shop: bytes

    @initialize(
        beta=st.sampled_from([0, 1, 4_000, 5_000]),
        price=st.sampled_from([1_000, 99_991, 100_000, 10**12]),
        ppm=st.sampled_from([0, 1, 475, 2_000]),
        voice_ms=st.sampled_from([45_000, 900_000]),  # a ninth of it: less and more than a period
    )
    def begin(self, beta: int, price: int, ppm: int, voice_ms: int) -> None:
        self.w, self.others, self.shop = economy(
            mining_beta_bps=beta, mining_price_ref=price, mining_emission_ppm=ppm,
            voice_ms=voice_ms, mining_review_ms=60_000, mining_claim_ms=120_000, period_ms=20_000,
            order_fee_minimum=0,
        )  # fmt: skip
        self.orders: list[bytes] = []

    @rule(buyer=BUYERS, prices=PRICES, by=st.sampled_from([None, CAROL]))
    def buy(self, buyer: Person, prices: list[int], by: Person | None) -> None:
        named = by if by is not buyer else None
        self.orders.append(completed(self.w, self.shop, prices, buyer=buyer, by=named))

    @rule(leader=st.sampled_from([None, ALICE, DAVE, SELLER]), reviewed=st.booleans())
    def others_say(self, leader: Person | None, reviewed: bool) -> None:
        self.others.leader = leader
        self.others.reviewed = {0: 10_000} if reviewed else {}

    @rule(ms=st.sampled_from([1, 1_000, 5_000, 21_000]))
    def wait(self, ms: int) -> None:
        self.w.block(after_ms=ms)

    @rule(which=st.integers(0, 30), line=st.integers(0, 2))
    def refund(self, which: int, line: int) -> None:
        if self.orders:
            order_id = self.orders[which % len(self.orders)]
            self.w.do(SELLER, "order_refund", order_id, ((line, 1),), "")

    @rule(which=st.integers(0, 30), line=st.integers(0, 2), rep=st.sampled_from([2_500, 10_000]))
    def review(self, which: int, line: int, rep: int) -> None:
        if self.orders:
            order_id = self.orders[which % len(self.orders)]
            order = self.w.draft.get(ORDER, order_id)
            assert order is not None
            if order.status == FINAL and line < order.lines:
                with in_block(self.w) as ctx:
                    pay_reviewer(ctx, order_id, line, order.buyer, rep)

    @rule(giver=st.sampled_from(ANYONE), to=st.sampled_from(ANYONE))
    def vote(self, giver: Person, to: Person) -> None:
        with in_block(self.w) as ctx:
            direct(ctx, giver.address, to.address, b"v" * 32, seller=SELLER.address)

    @rule(who=st.sampled_from([ALICE, BOB, CAROL, SELLER]), back=st.integers(0, 6))
    def claim(self, who: Person, back: int) -> None:
        periods = [period for period, _ in self.w.draft.items(MINING)]
        if periods:
            self.w.do(who, "token_claim", periods[-1 - back % len(periods)])

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []


Rewards.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestRewards = Rewards.TestCase


FEES = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(0, 10_000), st.booleans(), st.integers(0, 10_000)),
    min_size=1,
    max_size=300,
)


@given(sales=FEES, offer=st.integers(0, 10**13), kappa=st.integers(0, 5 * 10**8))
@settings(max_examples=100, deadline=None)
def test_what_a_close_reserves_covers_everybody_whoever_they_are(
    sales: list[tuple[int, int, bool, int]], offer: int, kappa: int
) -> None:
    """Every sale has parties of its own: the worst case of rounding."""
    levels = [fee * level // 10_000 for fee, level, _, _ in sales]
    reviewed = [fee * share // 10_000 for fee, _, _, share in sales]
    rates = NO_MINING._replace(
        fees=sum(fee for fee, *_ in sales),
        distributed=sum(levels),
        reviewed=sum(reviewed),
        led=sum(fee for fee, _, is_led, _ in sales if is_led),
        offer=offer,
        kappa=kappa,
    )
    claims, reviews, voice = reserves_of(rates)
    assert claims + reviews + voice <= bound_of(rates, rates.fees)
    assert bound_of(rates, rates.fees) <= min(offer, rates.fees * kappa // MICRO)
    earned = directed = late = 0
    for (fee, _, is_led, _), level, part in zip(sales, levels, reviewed, strict=True):
        led = fee if is_led else 0
        buyer = NOTHING._replace(buyer=fee, reviewer=part, led_out=led)
        whole = buyer._replace(reviewer=fee)
        late += entitled(rates, whole) - entitled(rates, buyer)
        earned += entitled(rates, buyer)
        earned += entitled(rates, NOTHING._replace(shop=fee))
        earned += entitled(rates, NOTHING._replace(distributor=level))
        earned += led_part_of(rates, led)
        granted, used = grant_of(rates, buyer)
        directed += max(0, granted - used)
        assert entitled(rates, whole) + granted <= bound_of(rates, fee)
    assert earned <= claims
    assert earned + late <= claims + reviews
    assert directed <= voice


def test_a_thousand_sales_of_a_thousand_people_are_paid_and_leave_only_dust() -> None:
    w, _, shop = economy(order_fee_minimum=0, mining_price_ref=1_237)
    buyers = [Person(f"buyer{index}") for index in range(200)]
    for start in range(0, len(buyers), 100):
        fund_all(w, buyers[start : start + 100])
    for index, buyer in enumerate(buyers):
        completed(w, shop, (7 * DOLLAR + index * 104_729,), buyer=buyer)
    w.pass_ms(1_000)
    period = close_period(w)
    for buyer in [*buyers, SELLER]:
        assert w.do(buyer, "token_claim", period).code == 0
    row = w.draft.get(MINING, period)
    assert row is not None and row.claims < len(buyers)
    assert w.broken_laws() == []


def fund_all(w: World, people: list[Person]) -> None:
    outputs = tuple((person.address, 40 * DOLLAR, "") for person in people)
    assert w.do(ALICE, "dollar_transfer", outputs).code == 0


def history() -> World:
    """A world in which every row of the token stands."""
    w, others, shop = economy()
    others.leader, others.reviewed = DAVE, {0: 10_000}
    let_vest(w, begun_days=50, person=BOB)
    set_bond(w, "g1", 200_000 * TOKEN)
    assert w.do(OP1, "token_unbond", TOKEN).code == 0
    order_id = final(w, shop, (PRICE, PRICE), by=CAROL)
    period = close_period(w)
    assert w.do(ALICE, "token_claim", period).code == 0
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    final(w, shop, by=CAROL)
    with in_block(w) as ctx:
        direct(ctx, ALICE.address, BOB.address, b"v" * 32, seller=SELLER.address)
    assert w.broken_laws() == []
    return w


TAMPERINGS = [
    (TOKEN_TOTALS, "supply"), (TOKEN_TOTALS, "pool"), (TOKEN_TOTALS, "reserved"),
    (TOKEN_TOTALS, "unvested"), (TOKEN_TOTALS, "balances"), (TOKEN_TOTALS, "bonded"),
    (TOKEN_TOTALS, "unbonding"), (PURPOSE, "total"), (PURPOSE, "left"), (PURPOSE, "vesting"),
    (VESTING, "amount"), (VESTING, "released"), (MINING, "claims"), (MINING, "reviews"),
    (MINED, "fee"), (MINED, "period"), (EARNED, "buyer"), (EARNED, "shop"),
    (EARNED, "distributor"), (EARNED, "led"), (EARNED, "led_out"), (EARNED, "reviewer"),
    (VOICE_RESERVE, "left"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "field"), TAMPERINGS, ids=lambda x: str(getattr(x, "name", x)))
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, record = next(iter(w.draft.items(table)))
    w.draft.put(table, key, record._replace(**{field: getattr(record, field) + 1}))
    assert any(line.startswith("token/") for line in w.broken_laws())


@pytest.mark.parametrize("field", ["fees", "distributed", "reviewed", "led"])
def test_a_law_notices_a_running_period_that_is_one_off(field: str) -> None:
    w = history()
    period, row = list(w.draft.items(MINING))[-1]
    assert not row.is_closed
    w.draft.put(MINING, period, row._replace(**{field: getattr(row, field) + 1}))
    assert any(line.startswith("token/periods") for line in w.broken_laws())


@pytest.mark.parametrize(
    "table", [TOKEN_TOTALS, PURPOSE, UNBONDING, VESTING, MINING, MINED, EARNED, VOICE_RESERVE]
)
def test_a_law_notices_a_record_that_is_gone(table: Any) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, _ = next(iter(w.draft.items(table)))
    w.draft.delete(table, key)
    assert any(line.startswith("token/") for line in w.broken_laws())


def test_a_law_notices_voice_and_claims_that_nothing_covers() -> None:
    w = history()
    w.draft = Draft(w.draft)
    row = w.draft.get(VOICE, ALICE.address)
    assert row is not None
    until, granted, used = row.grants[0]
    w.draft.put(VOICE, ALICE.address, row._replace(grants=((until, granted + 10**6, used),)))
    assert any("can be directed" in line for line in w.broken_laws())
    w.draft.put(VOICE, ALICE.address, row._replace(grants=((until, granted, -1),)))
    assert any("a grant below nothing" in line for line in w.broken_laws())
    w = history()
    key, earned = next(item for item in w.draft.items(EARNED) if item[1].claimed)
    w.draft.put(EARNED, key, with_more(earned, claimed=1))
    assert any("token/periods" in line for line in w.broken_laws())
    w = history()
    w.draft.put(DEBT, ALICE.address, Debt(0))
    assert any("owes nothing" in line for line in w.broken_laws())
