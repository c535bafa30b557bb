"""The payout table of `state/tx/payout.py`, row by row and to the micro-dollar.

Three mugs at 3.333333 dollars: paid in 9,999,999. Fee 50 bps, commission 1,000 bp for Bob,
hold-back 2,000 bp. What the chain took for the transactions themselves is counted out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from state.registry import Family, Registry
from state.tx.money import HOLD
from state.tx.orders import FAMILY_NUMBER, ORDER, Order
from state.tx.shops import figures_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP1, SELLER
from tests.state.scenarios.orders import shop_fields
from tests.state.test_orders import referral, registry_with
from tests.state.world import Person, World, make_genesis

UNIT = 3_333_333
TOTAL = 3 * UNIT
SHORT = {"ship": 60_000, "complete": 60_000, "window": 60_000, "holdback": 2_000}


def stands(ctx: Any, order_id: bytes, order: Order, *_amount: int) -> None:
    """Who hangs on `refunded` and `completed` is given the order as it stands when they fire."""
    assert order == ctx.draft.get(ORDER, order_id)


WITNESS = Family(0, "witness", hooks={"refunded": stands, "completed": stands})


class Story:
    """One order on its way; each step costs its signer a fee that is not the order's."""

    def __init__(self) -> None:
        everyone = [ALICE, BOB, SELLER, ARBITER]
        genesis = make_genesis(
            funded=everyone, arbiters=[ARBITER], params={"order_ruling_ms": 60_000}
        )
        families = registry_with(referral(1_000)).families
        self.w = World(genesis, Registry((*families, WITNESS)))
        self.fees: dict[str, int] = {}
        self.shop = self.do(SELLER, "shop_open", *shop_fields(**SHORT), also=[OP1])
        self.before = {person.name: self.w.dollars(person) for person in everyone}
        self.fees.clear()
        lines = (("mug", 3, UNIT, ()),)
        self.order = self.do(ALICE, "order_pay", self.shop, lines, *NOTHING)

    def do(self, who: Person, kind: str, *fields: Any, **how: Any) -> bytes:
        receipt = self.w.do(who, kind, *fields, **how)
        assert receipt.code == 0, (kind, self.w.registry.refusal_name(receipt.code))
        self.fees[who.name] = self.fees.get(who.name, 0) + receipt.fee
        assert self.w.broken_laws() == []
        return receipt.txid

    def gained(self, person: Person) -> int:
        fees = self.fees.get(person.name, 0)
        return self.w.dollars(person) - self.before[person.name] + fees

    def held(self) -> int:
        row = self.w.draft.get(HOLD, (FAMILY_NUMBER, self.order))
        return sum(amount for _, amount in row.parts) if row else 0


def ship(s: Story) -> None:
    s.do(SELLER, "order_ship", s.order, "")


def complete(s: Story) -> None:
    ship(s)
    s.do(ALICE, "order_complete", s.order)


def final(s: Story) -> None:
    complete(s)
    s.w.pass_ms(60_000)


def refund(s: Story, quantity: int = 1) -> None:
    s.do(SELLER, "order_refund", s.order, ((0, quantity),), "")


def dispute(s: Story) -> None:
    s.do(ALICE, "order_dispute", s.order, "chipped")


def then(*steps: Any) -> Callable[[Story], None]:
    def walk(s: Story) -> None:
        for step in steps:
            step(s)

    return walk


def rule(buyer_bp: int) -> Callable[[Story], None]:
    """The next block makes the order final."""
    return lambda s: (only_rule(buyer_bp)(s), s.w.block(), None)[2]


def only_rule(buyer_bp: int) -> Callable[[Story], None]:
    return lambda s: (s.do(ARBITER, "order_rule", s.order, buyer_bp), None)[1]


def wait(s: Story) -> None:
    s.w.pass_ms(60_000)


class Row(NamedTuple):
    name: str
    story: Callable[[Story], None]
    status: str
    buyer: int  # what it is poorer by in the end
    shop: int
    distributor: int
    fee: int
    held: int = 0


TABLE = [
    Row("paid", then(), "paid", TOTAL, 0, 0, 0, TOTAL),
    Row("cancelled", lambda s: (s.do(ALICE, "order_cancel", s.order), None)[1], "cancelled",
        0, 0, 0, 0),
    Row("not shipped", wait, "cancelled", 0, 0, 0, 0),
    Row("refunded before it shipped", refund, "paid", 2 * UNIT, 0, 0, 0, 2 * UNIT),
    Row("refunded in part, then by the clock", then(ship, refund, wait, wait), "final",
        2 * UNIT, 5_966_666, 666_666, 33_334),
    Row("refunded whole before completion", then(ship, lambda s: refund(s, 3)), "refunded",
        0, 0, 0, 0),
    Row("completed", complete, "completed", TOTAL, 6_950_001, 0, 50_000, 2_999_998),
    Row("final", final, "final", TOTAL, 8_950_000, 999_999, 50_000),
    Row("refunded after completion", then(complete, refund), "completed",
        2 * UNIT, 4_616_667, 0, 50_000, 1_999_999),
    Row("refunded after completion, then final", then(complete, refund, wait), "final",
        2 * UNIT, 5_950_000, 666_666, 50_000),
    Row("refunded whole after completion", then(complete, lambda s: refund(s, 3), wait), "final",
        0, -50_000, 0, 50_000),
    Row("refunded after final", then(final, refund), "final",
        2 * UNIT, 5_616_667, 999_999, 50_000),
    Row("refunded whole after final", then(final, lambda s: refund(s, 3)), "final",
        0, -1_049_999, 999_999, 50_000),
    Row("disputed", then(ship, dispute), "disputed", TOTAL, 0, 0, 0, TOTAL),
    Row("dispute lost", then(ship, dispute, rule(10_000)), "refunded", 0, 0, 0, 0),
    Row("dispute not ruled", then(ship, dispute, wait), "refunded", 0, 0, 0, 0),
    Row("ruled", then(ship, dispute, only_rule(3_333)), "ruled",
        6_667_000, 5_966_965, 0, 33_335, 666_700),
    Row("ruled after completion", then(complete, dispute, only_rule(5_000)), "ruled",
        8_500_000, 7_600_000, 0, 50_000, 850_000),
    Row("dispute won", then(ship, dispute, rule(0)), "final", TOTAL, 8_950_000, 999_999, 50_000),
    Row("dispute split", then(ship, dispute, rule(3_333)), "final",
        6_667_000, 5_966_965, 666_700, 33_335),
    Row("dispute split after a refund", then(ship, refund, dispute, rule(5_000)), "final",
        3_333_333, 2_983_333, 333_333, 16_667),
    Row("dispute withdrawn",
        then(ship, dispute, lambda s: s.do(ALICE, "order_withdraw", s.order), wait, wait),
        "final", TOTAL, 8_950_000, 999_999, 50_000),
    Row("dispute after completion lost", then(complete, dispute, rule(10_000)), "final",
        7_000_001, 6_950_001, 0, 50_000),
    Row("dispute after completion not ruled", then(complete, dispute, wait, wait), "final",
        7_000_001, 6_950_001, 0, 50_000),
    Row("dispute after completion won", then(complete, dispute, rule(0)), "final",
        TOTAL, 8_950_000, 999_999, 50_000),
    Row("dispute after completion split", then(complete, dispute, rule(5_000)), "final",
        8_500_000, 7_600_000, 850_000, 50_000),
    Row("dispute after completion settled",
        then(complete, dispute, lambda s: refund(s, 3), wait), "final", 0, -50_000, 0, 50_000),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "_"))
def test_everybody_gets_what_the_table_says(row: Row) -> None:
    s = Story()
    row.story(s)
    assert s.w.broken_laws() == []
    order = s.w.draft.get(ORDER, s.order)
    assert order is not None and order.status == row.status
    assert (-s.gained(ALICE), s.gained(SELLER), s.gained(BOB)) == (
        row.buyer, row.shop, row.distributor,
    )  # fmt: skip
    assert (order.fee, s.held()) == (row.fee, row.held)
    assert row.buyer == row.shop + row.distributor + row.fee + row.held


def test_nothing_of_the_table_is_a_debt_of_the_arbiter() -> None:
    s = Story()
    then(ship, dispute, rule(4_000))(s)
    assert s.gained(ARBITER) == 0


def test_figures_tell_the_outcomes_apart() -> None:
    s = Story()
    then(ship, refund, dispute, rule(6_000))(s)
    figures = figures_of(s.w.draft, s.shop)
    assert (figures.orders, figures.completed, figures.final) == (1, 1, 1)
    assert (figures.disputes, figures.disputes_lost) == (1, 1)
    # 3,333,333 by the shop, 60 % of the other 6,666,666 by the arbiter.
    assert figures.refunded == figures.referred_refunded == UNIT + 3_999_999
    assert figures.final_volume == 2 * UNIT - 3_999_999
    assert (figures.paid, figures.referred_paid) == (TOTAL, TOTAL)
