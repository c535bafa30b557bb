"""Orders to the micro-dollar: shares, refunds in parts, commission held and taken by a hook."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.registry import Family, Registry, standard_registry
from state.tx.accounts import account_of
from state.tx.money import held
from state.tx.orders import (
    COMMISSION,
    FAMILY_NUMBER,
    ORDER,
    SHOP,
    Order,
    network_fee,
    pay_commission,
    shares,
    with_commission,
)
from state.tx.payouts import REDEMPTION
from state.tx.shops import figures_of
from tests.state import test_laws
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP1, SELLER, new_world
from tests.state.scenarios.orders import shop_fields
from tests.state.world import DOLLAR, World

BP = st.integers(0, 10_000)
BLANK = Order(
    shop=b"", buyer=b"", status="completed", total=0, refunded=0, from_escrow=0, to_shop=0, fee=0,
    commission=0, due_ms=1, fee_bps=50, fee_minimum=10_000, complete_after_ms=1,
    return_window_ms=1, holdback_bp=0, commission_bp=0, lines=1, paid_ms=1, shipped_ms=1,
    completed_ms=1, closed_ms=0, reference="", distributor=(), demand=(), led_by=(), country=(),
    currency=(), is_referred=False, arbiter=b"", ruled=0, has_batches=False, is_extended=False,
    delivered_ms=0, carrier=(), review_until_ms=0, reviewed=b"", waiting=(),
)  # fmt: skip


def referral(bp: int) -> Family:
    """A family as it will come: it sets the commission at payment and takes it when final."""

    def paid(_ctx: Any, _order_id: bytes, order: Order, _shop: Any) -> Order:
        return with_commission(order, bp)

    def final(ctx: Any, order_id: bytes) -> None:
        amount = held(ctx.draft, FAMILY_NUMBER, order_id, COMMISSION)
        pay_commission(ctx, order_id, BOB.address, amount)

    return Family(90, "test", hooks={"paid": paid, "final": final})


def registry_with(family: Family) -> Registry:
    """The families with `family` in the place of referral."""
    others = [one for one in standard_registry().families if one.name != "referral"]
    return Registry((*others, family))


def world_with_commission(commission_bp: int, holdback_bp: int) -> tuple[World, bytes]:
    w = World(new_world().genesis, registry_with(referral(commission_bp)))
    terms = {"ship": 60_000, "complete": 60_000, "window": 60_000, "holdback": holdback_bp}
    return w, w.do(SELLER, "shop_open", *shop_fields(**terms), also=[OP1]).txid


def completed(w: World, shop: bytes, quantity: int, price: int) -> bytes:
    lines = (("a", quantity, price, ()),)
    order_id = w.do(ALICE, "order_pay", shop, lines, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order_id, "").code == 0
    assert w.do(ALICE, "order_complete", order_id).code == 0
    return order_id


@given(kept=st.integers(0, 10**12), fee_bps=st.integers(10, 200), minimum=st.integers(0, 10**6))
def test_the_network_fee_rounds_up_has_a_minimum_and_is_at_most_all(
    kept: int, fee_bps: int, minimum: int
) -> None:
    fee = network_fee(BLANK._replace(fee_bps=fee_bps, fee_minimum=minimum), kept)
    assert 0 <= fee <= kept
    assert fee == kept or (fee >= minimum and fee * 10_000 >= kept * fee_bps)
    assert fee <= max(minimum, kept * fee_bps // 10_000 + 1)


@given(
    kept=st.integers(0, 10**6), less=st.integers(0, 10**6), fee=st.integers(0, 10**4),
    holdback=BP, commission=st.integers(0, 5_000),
)  # fmt: skip
def test_each_share_rises_with_what_is_kept_and_they_never_exceed_it(
    kept: int, less: int, fee: int, holdback: int, commission: int
) -> None:
    order = BLANK._replace(holdback_bp=holdback, commission_bp=commission)
    high, low = shares(order, kept, fee), shares(order, max(0, kept - less), fee)
    assert high.commission >= low.commission and high.holdback >= low.holdback
    assert high.commission + high.holdback <= max(0, kept - fee)


@settings(max_examples=40, deadline=None)
@given(
    price=st.sampled_from([1, 2, 3, 7, 333, 10_001, 1_000_000]), quantity=st.integers(2, 12),
    parts=st.lists(st.integers(1, 4), min_size=1, max_size=6), holdback=BP,
    commission=st.integers(0, 5_000), is_final=st.booleans(),
)  # fmt: skip
def test_refunds_in_dust_end_where_one_refund_ends(
    price: int, quantity: int, parts: list[int], holdback: int, commission: int, is_final: bool
) -> None:
    steps = []
    left = quantity
    for part in parts:
        if part <= left:
            steps.append(part)
            left -= part
    if not steps:
        return
    ends = []
    for refunds in (steps, [sum(steps)]):
        w, shop = world_with_commission(commission, holdback)
        order_id = completed(w, shop, quantity, price)
        if is_final:
            w.pass_ms(60_000)
        fees = 0
        for part in refunds:
            receipt = w.do(SELLER, "order_refund", order_id, ((0, part),), "")
            assert receipt.code == 0
            fees += receipt.fee
            assert w.broken_laws() == []
        w.pass_ms(60_000)
        assert w.broken_laws() == []
        order = w.draft.get(ORDER, order_id)
        assert order is not None and order.status == "final"
        money = (w.dollars(ALICE), w.dollars(SELLER) + fees, w.dollars(BOB))
        ends.append((money, order._replace(closed_ms=0, due_ms=0, paid_ms=0, shipped_ms=0)))
    (one_money, one), (other_money, other) = ends
    assert one_money == other_money
    assert one._replace(completed_ms=0) == other._replace(completed_ms=0)


def test_a_commission_is_held_shrinks_with_a_refund_and_is_taken_when_final() -> None:
    w, shop = world_with_commission(1_000, 2_000)
    before = w.dollars(BOB)
    order_id = completed(w, shop, 10, DOLLAR)  # fee 5 cents, commission 1, hold-back 2 dollars
    assert held(w.draft, FAMILY_NUMBER, order_id, COMMISSION) == DOLLAR
    w.do(SELLER, "order_refund", order_id, ((0, 5),), "")
    assert held(w.draft, FAMILY_NUMBER, order_id, COMMISSION) == DOLLAR // 2
    w.pass_ms(60_000)
    assert w.dollars(BOB) == before + DOLLAR // 2
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.commission == DOLLAR // 2
    assert figures_of(w.draft, shop).final_volume == 5 * DOLLAR
    assert w.broken_laws() == []


def test_what_nobody_takes_of_a_commission_is_the_shops() -> None:
    keeper = referral(1_000)._replace(hooks={"paid": referral(1_000).hooks["paid"]})
    w = World(new_world().genesis, registry_with(keeper))
    terms = {"ship": 60_000, "complete": 60_000, "window": 60_000, "holdback": 0}
    shop = w.do(SELLER, "shop_open", *shop_fields(**terms), also=[OP1]).txid
    before = w.dollars(SELLER)
    completed(w, shop, 10, DOLLAR)
    fees = before + 10 * DOLLAR - 50_000 - DOLLAR - w.dollars(SELLER)
    w.pass_ms(60_000)
    assert w.dollars(SELLER) == before + 10 * DOLLAR - 50_000 - fees
    assert w.broken_laws() == []


def test_an_order_of_1024_lines_goes_all_the_way() -> None:
    w, shop = world_with_commission(0, 0)
    lines = tuple((f"sku-{i:058d}"[:64], 2, 1_000, ()) for i in range(1_024))
    order_id = w.do(ALICE, "order_pay", shop, lines, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order_id, "").code == 0
    back = tuple((i, 1) for i in range(1_024))
    assert w.do(SELLER, "order_refund", order_id, back, "").code == 0
    assert w.do(ALICE, "order_complete", order_id).code == 0
    assert w.do(SELLER, "order_refund", order_id, back, "").code == 0
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.refunded == order.total == 2 * 1_024 * 1_000
    assert w.broken_laws() == []


def test_terms_stay_as_they_were_when_the_order_was_paid() -> None:
    w, shop = world_with_commission(0, 1_000)
    order_id = w.do(ALICE, "order_pay", shop, (("a", 1, DOLLAR, ()),), *NOTHING).txid
    row = w.draft.get(SHOP, shop)
    assert row is not None
    w.draft.put(SHOP, shop, row._replace(holdback_bp=9_000, complete_after_ms=1))
    w.do(SELLER, "order_ship", order_id, "")
    w.do(ALICE, "order_complete", order_id)
    assert w.broken_laws() == []
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.holdback_bp == 1_000
    assert order.to_shop == DOLLAR - 10_000 - 100_000


@pytest.mark.parametrize("seed", range(3))
def test_the_laws_hold_in_a_long_day_and_everything_is_reached(seed: int) -> None:
    """A seeded walk with the same steps as the stateful test, but always all of them."""
    rng = random.Random(seed)
    machine = test_laws.Economy()
    machine.begin(holdback=rng.choice([0, 1_000, 10_000]), fee_bps=50, minimum=10_000)
    everyone = test_laws.ANYONE
    who_may = [None, None, None, ALICE]
    for _ in range(500):
        index = rng.randrange(4)
        lines = [(rng.randint(1, 3), rng.randint(1, DOLLAR)) for _ in range(rng.randint(1, 3))]
        back = [(rng.randrange(len(lines)), rng.randint(1, 2))]
        amounts = [rng.choice([1, DOLLAR, 10 * DOLLAR])]
        who = rng.choice(who_may)
        steps: list[tuple[Any, ...]] = [
            (machine.pay, rng.choice(test_laws.HOLDERS), lines),
            (machine.pay, rng.choice(test_laws.HOLDERS), lines),
            (machine.ship, who, index),
            (machine.ship, who, index),
            (machine.complete, who, index),
            (machine.cancel, rng.choice([ALICE, BOB]), index),
            (machine.refund, index, back),
            (machine.redeem, rng.choice(everyone), rng.randint(90, 900), "g1"),
            (machine.redeem_paid, who, index, rng.randrange(10_000)),
            (machine.redeem_confirm, who, index),
            (machine.transfer, rng.choice(everyone), rng.choice(everyone), amounts),
            (machine.wait, rng.choice([1, 5_000, 20_000])),
        ]
        act, *args = steps[rng.randrange(len(steps))]
        act(*args)
        machine.the_laws_hold()
    draft = machine.w.draft
    seen = {order.status for _, order in draft.items(ORDER)}
    assert seen >= {"final", "cancelled", "completed"}
    assert any(o.refunded and o.status in ("completed", "final") for _, o in draft.items(ORDER))
    assert {row.status for _, row in draft.items(REDEMPTION)} >= {"paid", "expired"}
    assert account_of(draft, ARBITER.address).dollar >= 0
