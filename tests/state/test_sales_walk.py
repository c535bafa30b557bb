"""Shops, orders, disputes and goods in any order by anyone: the laws hold after every block.

The stateful test looks for a history that breaks a law; the seeded walk makes sure that every
outcome is reached, so that the first one cannot pass by never getting anywhere.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.errors import Rejected
from state.tx.batches import BATCH
from state.tx.disputes import DISPUTE
from state.tx.orders import ORDER
from state.tx.shops import VOUCH
from tests.state.scenarios.base import ALICE, ARBITER, BOB, OP1, OP2, SELLER
from tests.state.scenarios.orders import shop_fields
from tests.state.test_laws import EXAMPLES, STEPS
from tests.state.test_orders import referral, registry_with
from tests.state.world import DOLLAR, Person, World, h, make_genesis

CARRIER = Person("carrier0")
EVERYONE = [ALICE, BOB, SELLER, ARBITER, CARRIER]
KINDS_OF_BUYER = ["order_complete", "order_cancel", "order_extend", "order_withdraw"]
TERMS = {"ship": 50_000, "complete": 60_000, "window": 70_000}
PARAMS = {
    "order_ruling_ms": 80_000, "order_delivered_ms": 10_000, "order_extend_ms": 30_000,
    "shop_notice_ms": 20_000, "order_fee_minimum": 100,
}  # fmt: skip
WHICH = st.integers(0, 5)  # counted from the newest
PRICES = st.one_of(st.sampled_from([1, 3, 10_000]), st.integers(1, 3 * DOLLAR))
BASKETS = st.lists(st.tuples(st.integers(1, 4), PRICES, st.booleans()), min_size=1, max_size=4)
SHARES = st.sampled_from([0, 1, 3_333, 5_000, 5_001, 9_999, 10_000])
BACK = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=3)


class Market(RuleBasedStateMachine):
    """Two shops that pass goods to each other, their buyers, a carrier, an arbiter, a gateway."""

    @initialize(holdback=SHARES, commission=st.sampled_from([0, 1, 2_500, 5_000]))
    def begin(self, holdback: int, commission: int) -> None:
        genesis = make_genesis(
            funded=EVERYONE, arbiters=[ARBITER], params=PARAMS, dollars=600 * DOLLAR
        )
        self.w = World(genesis, registry_with(referral(commission)))
        self.owner: dict[bytes, Person] = {}
        for person, gateway, signs in ((SELLER, "g1", OP1), (BOB, "g2", OP2)):
            fields = shop_fields(**TERMS, holdback=holdback, gateway=gateway)
            self.owner[self.w.do(person, "shop_open", *fields, also=[signs]).txid] = person
        self.shops = list(self.owner)
        self.orders: list[bytes] = [h("none")]
        self.batches: list[bytes] = [h("none")]
        for shop in self.shops:
            self.register(shop, 12)

    def do(self, who: Person, kind: str, *fields: Any, also: Any = ()) -> bytes | None:
        try:
            receipt = self.w.do(who, kind, *fields, also=also)
        except Rejected as refusal:  # it may not enter a block: unaffordable, not signed
            assert refusal.code < 100
            return None
        return receipt.txid if receipt.code == 0 else None

    def order(self, index: int, *likely: str) -> bytes:
        """Counted from the newest, among those in a status where something can happen."""
        rows = [(one, self.w.draft.get(ORDER, one)) for one in self.orders]
        among = [one for one, row in rows if row and row.status in likely] or self.orders
        return among[-1 - index % len(among)]

    def batch(self, index: int) -> bytes:
        return self.batches[-1 - index % len(self.batches)]

    def seller(self, order_id: bytes) -> Person:
        row = self.w.draft.get(ORDER, order_id)
        return self.owner[row.shop] if row else SELLER

    def buyer(self, order_id: bytes) -> Person:
        row = self.w.draft.get(ORDER, order_id)
        return next((one for one in EVERYONE if row and one.address == row.buyer), ALICE)

    def register(self, shop: bytes, quantity: int) -> None:
        fields = (shop, "tea", "JP", quantity, h("certificate"))
        made = self.do(self.owner[shop], "goods_register", *fields)
        if made:
            self.batches.append(made)

    @rule(shop=st.integers(0, 1), quantity=st.integers(1, 9))
    def goods(self, shop: int, quantity: int) -> None:
        self.register(self.shops[shop], quantity)

    @rule(index=WHICH, quantity=st.integers(1, 9))
    def pass_on(self, index: int, quantity: int) -> None:
        row = self.w.draft.get(BATCH, self.batch(index))
        here = row.shop if row else self.shops[0]
        to = self.shops[1 - self.shops.index(here)]
        who, other = self.owner[here], self.owner[to]
        made = self.do(who, "goods_pass", self.batch(index), quantity, to, also=[other])
        if made:
            self.batches.append(made)

    @rule(who=st.sampled_from([ALICE, CARRIER, BOB]), shop=st.integers(0, 1), lines=BASKETS,
          index=WHICH, country=st.sampled_from([(), ("FR",), ("DE",)]))  # fmt: skip
    def pay(self, who: Person, shop: int, lines: Any, index: int, country: Any) -> None:
        row = self.w.draft.get(BATCH, self.batch(index))
        at = row.shop if row and shop else self.shops[shop]
        named = (self.batch(index),)
        wire = tuple(("sku", n, price, named if is_named else ()) for n, price, is_named in lines)
        paid = self.do(who, "order_pay", at, wire, (), (), (), country, ())
        if paid:
            self.orders.append(paid)

    @rule(index=WHICH, signs=st.booleans())
    def ship(self, index: int, signs: bool) -> None:
        order_id = self.order(index, "paid")
        if signs:
            fields = (order_id, "", CARRIER.address)
            self.do(self.seller(order_id), "order_dispatch", *fields, also=[CARRIER])
        else:
            self.do(self.seller(order_id), "order_ship", order_id, "")

    @rule(index=WHICH, kind=st.sampled_from(KINDS_OF_BUYER))
    def by_buyer(self, index: int, kind: str) -> None:
        order_id = self.order(index, "disputed" if kind == "order_withdraw" else "shipped")
        self.do(self.buyer(order_id), kind, order_id)

    @rule(index=WHICH)
    def deliver(self, index: int) -> None:
        self.do(CARRIER, "order_deliver", self.order(index, "shipped"), "")

    @rule(index=WHICH, why=st.sampled_from(["late", "counterfeit"]))
    def dispute(self, index: int, why: str) -> None:
        order_id = self.order(index, "shipped", "completed")
        self.do(self.buyer(order_id), "order_dispute", order_id, why)

    @rule(index=WHICH, buyer_bp=SHARES)
    def decide(self, index: int, buyer_bp: int) -> None:
        self.do(ARBITER, "order_rule", self.order(index, "disputed"), buyer_bp)

    @rule(index=WHICH, lines=BACK)
    def refund(self, index: int, lines: Any) -> None:
        order_id = self.order(index)
        self.do(self.seller(order_id), "order_refund", order_id, tuple(lines), "")

    @rule(index=WHICH)
    def refund_all(self, index: int) -> None:
        order_id = self.order(index)
        self.do(self.seller(order_id), "order_refund", order_id, ((0, 1),), "")

    @rule(shop=st.integers(0, 1), left=st.sampled_from([0, 1, DOLLAR, 5 * DOLLAR]))
    def vouch(self, shop: int, left: int) -> None:
        self.do((OP1, OP2)[shop], "shop_vouch", self.shops[shop], left)

    @rule(shop=st.integers(0, 1), bp=SHARES)
    def terms(self, shop: int, bp: int) -> None:
        fields = shop_fields(**TERMS, holdback=bp)[2:]
        self.do(self.owner[self.shops[shop]], "shop_terms", self.shops[shop], *fields)

    @rule(shop=st.integers(0, 1))
    def spend(self, shop: int) -> None:
        """A shop's dollars go elsewhere: its refunds are not covered then."""
        who = (SELLER, BOB)[shop]
        left = self.w.dollars(who) - DOLLAR // 2
        if left > 0:
            self.do(who, "dollar_transfer", ((ALICE.address, left, ""),))

    @rule(ms=st.sampled_from([1, 9_000, 25_000, 60_000]))
    def wait(self, ms: int) -> None:
        self.w.block(after_ms=ms)

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []


Market.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMarket = Market.TestCase


def _step(machine: Market, rng: random.Random) -> None:
    index = rng.randrange(3)
    basket = [(rng.randint(1, 3), rng.randint(1, DOLLAR), rng.random() < 0.3)]
    steps: list[tuple[Any, ...]] = [
        (machine.pay, rng.choice([ALICE, CARRIER]), rng.randrange(2), basket, index, ("FR",)),
        (machine.pay, ALICE, rng.randrange(2), basket, index, ()),
        (machine.ship, index, rng.random() < 0.3),
        (machine.ship, index, False),
        (machine.by_buyer, index, rng.choice(KINDS_OF_BUYER)),
        (machine.by_buyer, index, "order_complete"),
        (machine.deliver, index),
        (machine.dispute, index, rng.choice(["late", "counterfeit"])),
        (machine.decide, index, rng.choice([0, 3_333, 10_000])),
        (machine.decide, index, rng.choice([0, 3_333, 10_000])),
        (machine.refund, index, [(0, 1)]),
        (machine.pass_on, index, rng.randint(1, 3)),
        (machine.goods, rng.randrange(2), 9),
        (machine.vouch, rng.randrange(2), 5 * DOLLAR),
        (machine.terms, rng.randrange(2), rng.choice([0, 2_000, 10_000])),
        (machine.spend, rng.randrange(2)),
        (machine.wait, rng.choice([1, 5_000, 25_000])),
    ]
    act, *args = steps[rng.randrange(len(steps))]
    act(*args)
    machine.the_laws_hold()


@pytest.mark.parametrize("seed", range(2))
def test_a_long_day_on_the_market_reaches_every_outcome(seed: int) -> None:
    rng = random.Random(seed)
    machine = Market()
    machine.begin(holdback=2_000, commission=1_000)
    for _ in range(700):
        _step(machine, rng)
    draft = machine.w.draft
    orders = [order for _, order in draft.items(ORDER)]
    assert {order.status for order in orders} >= {"final", "cancelled", "refunded"}
    assert any(order.is_extended for order in orders)
    assert any(order.delivered_ms for order in orders)
    assert any(order.carrier for order in orders)
    assert any(0 < order.ruled < order.total for order in orders)
    outcomes = {dispute.outcome for _, dispute in draft.items(DISPUTE)}
    assert outcomes >= {"lost", "won", "split", "withdrawn"}
    batches = [batch for _, batch in draft.items(BATCH)]
    assert any(batch.shipped for batch in batches) and any(batch.depth > 1 for batch in batches)
    assert any(batch.marks for batch in batches)
    assert len(list(draft.items(VOUCH))) > 0
