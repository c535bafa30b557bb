"""The laws over random histories, and that each law notices a record that was changed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.errors import Rejected
from state.draft import Draft
from state.tx.accounts import ACCOUNT
from state.tx.gateways import ERA, GATEWAY, OPERATOR
from state.tx.money import HOLD, TOTALS
from state.tx.orders import LINES, ORDER, REFUNDED, SHOP
from state.tx.payouts import REDEMPTION
from state.tx.positions import POSITION
from state.tx.shops import FIGURES, ShopFigures
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP0, OP1, SELLER, new_world
from tests.state.scenarios.orders import _completed, _shipped, shop_fields
from tests.state.scenarios.redemptions import _asked
from tests.state.world import DOLLAR, Person, World, h, make_genesis

STEPS = int(os.environ.get("MGS_LAW_STEPS", "40"))
EXAMPLES = int(os.environ.get("MGS_LAW_EXAMPLES", "25"))
HOLDERS = [ALICE, BOB, SELLER, Person("late")]
ANYONE = [*HOLDERS, OP0, OP1, ARBITER]
AMOUNTS = st.one_of(
    st.sampled_from([1, 9_999, 10_000, 10 * DOLLAR, 20 * DOLLAR, 10**15, 2**63 - 1]),
    st.integers(1, 30 * DOLLAR),
)
SHARES_BP = st.sampled_from([0, 1, 1_000, 3_333, 9_999, 10_000])
WHO = st.sampled_from(ANYONE)
BUYER = st.sampled_from(HOLDERS)
GATEWAYS = st.sampled_from(["g0", "g1"])
WHICH = st.integers(0, 3)  # counted from the newest
ODD_ONE = st.sampled_from([None, None, None, None, ALICE, BOB, OP1])  # None: who may
BY_ADDRESS = {person.address: person for person in ANYONE}
PAYMENTS = st.lists(AMOUNTS, min_size=1, max_size=3)
BASKETS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2 * DOLLAR)), min_size=1, max_size=4)
GIVEN_BACK = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=3)


class Economy(RuleBasedStateMachine):
    """Anyone does anything at any time; after every block all money adds up (case 70)."""

    @initialize(
        holdback=SHARES_BP,
        fee_bps=st.integers(10, 200),
        minimum=st.sampled_from([0, 10_000, 1_000_000]),
    )
    def begin(self, holdback: int, fee_bps: int, minimum: int) -> None:
        params = {
            "order_fee_bps": fee_bps,
            "order_fee_minimum": minimum,
            "redeem_deadline_ms": 90_000,
            "contest_ms": 60_000,
            "redeem_minimum": DOLLAR,
        }
        genesis = make_genesis(
            funded=HOLDERS[:3], arbiters=[ARBITER], params=params, dollars=100 * DOLLAR
        )
        self.w = World(genesis)
        self.orders: list[bytes] = [h("none")]
        self.asks: list[bytes] = [h("none")]
        short = {"ship": 50_000, "complete": 40_000, "window": 70_000}
        tx = self.w.tx(SELLER, "shop_open", *shop_fields(holdback=holdback, **short), also=[OP1])
        self.shop = self.w.block(tx)[0].txid

    def do(self, who: Person, kind: str, *fields: Any, also: Any = ()) -> None:
        try:
            receipt = self.w.do(who, kind, *fields, also=also)
        except Rejected as refusal:  # it may not enter a block: unaffordable
            assert refusal.code < 100
            return
        if receipt.code == 0 and kind in ("order_pay", "dollar_redeem"):
            (self.orders if kind == "order_pay" else self.asks).append(receipt.txid)

    def order(self, index: int) -> bytes:
        return self.orders[-1 - index % len(self.orders)]

    def ask(self, index: int) -> bytes:
        return self.asks[-1 - index % len(self.asks)]

    @rule(
        who=WHO,
        to=WHO,
        amounts=PAYMENTS,
    )
    def transfer(self, who: Person, to: Person, amounts: list[int]) -> None:
        self.do(who, "dollar_transfer", tuple((to.address, amount, "") for amount in amounts))

    @rule(
        who=WHO,
        to=WHO,
        amount=AMOUNTS,
        ref=st.integers(0, 9),
    )
    def issue(self, who: Person, to: Person, amount: int, ref: int) -> None:
        self.do(who, "dollar_issue", to.address, amount, h(f"ref{ref}"))

    @rule(
        who=WHO,
        cents=st.integers(90, 5_000),
        gateway=GATEWAYS,
    )
    def redeem(self, who: Person, cents: int, gateway: str) -> None:
        self.do(who, "dollar_redeem", gateway, cents * 10_000, "USD", h("iban"), ())

    @rule(who=ODD_ONE, index=WHICH, ref=st.integers(0, 30))
    def redeem_paid(self, who: Person | None, index: int, ref: int) -> None:
        rid = self.ask(index)
        self.do(who or self.operator(rid), "dollar_redeem_paid", rid, h(f"paid{ref}"), ())

    @rule(who=ODD_ONE, index=WHICH)
    def redeem_confirm(self, who: Person | None, index: int) -> None:
        rid = self.ask(index)
        self.do(who or self.holder(rid), "dollar_redeem_confirm", rid)

    @rule(who=ODD_ONE, index=WHICH, why=st.sampled_from(["details", "bank"]))
    def redeem_refuse(self, who: Person | None, index: int, why: str) -> None:
        rid = self.ask(index)
        self.do(who or self.operator(rid), "dollar_redeem_refuse", rid, why)

    @rule(who=BUYER, lines=BASKETS)
    def pay(self, who: Person, lines: list[tuple[int, int]]) -> None:
        wire = tuple(("sku", quantity, price, ()) for quantity, price in lines)
        self.do(who, "order_pay", self.shop, wire, *NOTHING)

    @rule(who=ODD_ONE, index=WHICH)
    def ship(self, who: Person | None, index: int) -> None:
        self.do(who or SELLER, "order_ship", self.order(index), "")

    @rule(who=ODD_ONE, index=WHICH)
    def complete(self, who: Person | None, index: int) -> None:
        order_id = self.order(index)
        self.do(who or self.buyer(order_id), "order_complete", order_id)

    @rule(who=ODD_ONE, index=WHICH)
    def cancel(self, who: Person | None, index: int) -> None:
        order_id = self.order(index)
        self.do(who or self.buyer(order_id), "order_cancel", order_id)

    @rule(index=WHICH, lines=GIVEN_BACK)
    def refund(self, index: int, lines: list[tuple[int, int]]) -> None:
        self.do(SELLER, "order_refund", self.order(index), tuple(lines), "")

    def operator(self, rid: bytes) -> Person:
        row = self.w.draft.get(REDEMPTION, rid)
        return OP1 if row is not None and row.gateway == "g1" else OP0

    def holder(self, rid: bytes) -> Person:
        row = self.w.draft.get(REDEMPTION, rid)
        return BY_ADDRESS[row.holder] if row else ALICE

    def buyer(self, order_id: bytes) -> Person:
        row = self.w.draft.get(ORDER, order_id)
        return BY_ADDRESS[row.buyer] if row else ALICE

    @rule(ms=st.sampled_from([1, 10_000, 45_000]))
    def wait(self, ms: int) -> None:
        self.w.block(after_ms=ms)

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []


Economy.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestEconomy = Economy.TestCase


def history() -> World:
    """A world with an order in each phase and an open redemption."""
    w = new_world()
    _completed(w)
    _shipped(w)
    w.do(SELLER, "order_refund", next(k for k, _ in w.draft.items(ORDER)), ((0, 1),), "")
    _asked(w)
    assert w.broken_laws() == []
    return w


TAMPERINGS = [
    (ACCOUNT, "dollar", "dollar/supply"),
    (TOTALS, "issued", "dollar/supply"),
    (TOTALS, "burned", "dollar/supply"),
    (TOTALS, "balances", "dollar/supply"),
    (TOTALS, "fee_pool", "dollar/supply"),
    (TOTALS, "locked", "dollar/supply"),
    (TOTALS, "escrowed", "dollar/supply"),
    (POSITION, "issued", "dollar/supply"),
    (POSITION, "burned", "dollar/supply"),
    (POSITION, "asks", "redemptions/redemptions"),
    (POSITION, "claimed", "redemptions/redemptions"),
    (POSITION, "settled_in", "dollar/supply"),
    (REDEMPTION, "amount", "redemptions/redemptions"),
    (REDEMPTION, "ask_fee", "redemptions/redemptions"),
    (REDEMPTION, "due_ms", "redemptions/redemptions"),
    (ORDER, "total", "orders/orders"),
    (ORDER, "refunded", "orders/orders"),
    (ORDER, "from_escrow", "orders/orders"),
    (ORDER, "to_shop", "orders/orders"),
    (ORDER, "fee", "orders/orders"),
    (ORDER, "commission", "orders/orders"),
    (ORDER, "due_ms", "orders/orders"),
    (ORDER, "lines", "orders/orders"),
    (ORDER, "ruled", "orders/orders"),
    (ORDER, "has_batches", "orders/orders"),
    *((FIGURES, field, "orders/shops") for field in ShopFigures._fields),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "field", "law"), TAMPERINGS, ids=lambda x: str(getattr(x, "name", x))
)
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str, law: str) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, record = next(iter(w.draft.items(table)))
    w.draft.put(table, key, record._replace(**{field: getattr(record, field) + 1}))
    said = w.broken_laws()
    assert any(line.startswith(law) for line in said), said


@pytest.mark.parametrize(
    "table", [HOLD, LINES, REFUNDED, ORDER, SHOP, ACCOUNT, POSITION, OPERATOR, GATEWAY]
)
def test_a_law_notices_a_record_that_is_gone(table: Any) -> None:
    w = history()
    w.draft = Draft(w.draft)
    key, _ = next(iter(w.draft.items(table)))
    w.draft.delete(table, key)
    assert w.broken_laws() != []


def test_a_law_notices_a_validator_set_that_nobody_chose() -> None:
    w = history()
    era = w.draft.get(ERA, 0)
    assert era is not None
    w.draft.put(ERA, 0, era._replace(members=era.members[::-1]))
    assert w.broken_laws() == ["gateways/validators: era 0 is not the set of gateways with a seat"]


def test_a_law_names_the_record() -> None:
    w = history()
    order_id = next(key for key, _ in w.draft.items(ORDER))
    order = w.draft.get(ORDER, order_id)
    assert order is not None
    w.draft.put(ORDER, order_id, order._replace(fee=order.fee + 1))
    (said,) = w.broken_laws()
    assert said.startswith(f"orders/orders: order {order_id.hex()} ")
