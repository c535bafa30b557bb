"""Goods: units that move once, ways back to the origin, and marks that stay where they belong."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.limits import ORDER_LINES_MAX
from state.draft import Draft
from state.tx.accounts import account_of, next_nonce
from state.tx.batches import BATCH, ORIGIN, Batch
from state.tx.orders import BATCHES_MAX, ORDER
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, OP1, SELLER
from tests.state.scenarios.goods import CERTIFICATE, other_shop, pay_units, register, sold
from tests.state.scenarios.orders import open_shop, shop_fields
from tests.state.world import DOLLAR, World, h, make_genesis, reason

SHORT = {"ship": 60_000, "complete": 60_000, "window": 60_000}


def world() -> World:
    funded = [ALICE, BOB, SELLER, ARBITER]
    return World(
        make_genesis(funded=funded, arbiters=[ARBITER], params={"order_ruling_ms": 60_000})
    )


def batch_of(w: World, batch_id: bytes) -> Batch:
    batch = w.draft.get(BATCH, batch_id)
    assert batch is not None
    return batch


def units(w: World, batch_id: bytes) -> tuple[int, int, int, int]:
    """(held, reserved, shipped, passed on)."""
    batch = batch_of(w, batch_id)
    return batch.held, batch.reserved, batch.shipped, batch.passed


def passed(w: World, batch: bytes, quantity: int, to: bytes) -> bytes:
    receipt = w.do(SELLER, "goods_pass", batch, quantity, to, also=[BOB])
    assert receipt.code == 0
    return receipt.txid


# Units --------------------------------------------------------------------------------------------


def test_units_are_reserved_shipped_and_freed_once() -> None:
    w = world()
    batch, order = sold(w, 4, **SHORT)
    assert units(w, batch) == (10, 4, 0, 0)
    w.do(SELLER, "order_refund", order, ((0, 1),), "")
    assert units(w, batch) == (10, 3, 0, 0)
    w.do(SELLER, "order_ship", order, "")
    assert units(w, batch) == (7, 0, 3, 0)
    w.do(SELLER, "order_refund", order, ((0, 1),), "broken")  # a used unit has no proof
    assert units(w, batch) == (7, 0, 3, 0)
    assert w.broken_laws() == []


@pytest.mark.parametrize("how", ["buyer", "shop", "clock", "refund"])
def test_what_was_not_shipped_is_free_again(how: str) -> None:
    w = world()
    batch, order = sold(w, 10, **SHORT)
    w.do(SELLER, "order_refund", order, ((0, 3),), "")
    if how == "clock":
        w.pass_ms(60_000)
    elif how == "refund":
        w.do(SELLER, "order_refund", order, ((0, 7),), "")
    else:
        w.do(ALICE if how == "buyer" else SELLER, "order_cancel", order)
    assert units(w, batch) == (10, 0, 0, 0)
    row = w.draft.get(ORDER, order)
    assert row is not None and row.status == ("refunded" if how == "refund" else "cancelled")
    assert w.broken_laws() == []


def test_one_unit_is_never_sold_twice_nor_sold_and_passed_on() -> None:
    w = world()
    batch, _ = sold(w, 6)
    shop, to = batch_of(w, batch).shop, other_shop(w)
    tx = pay_units(w, shop, (batch, 5))
    assert reason(w, w.block(tx)[0]) == "UNITS_EXCEEDED"
    w.block(pay_units(w, shop, (batch, 1), (batch, 1)))
    give = w.tx(SELLER, "goods_pass", batch, 3, to, also=[BOB])
    assert reason(w, w.block(give)[0]) == "UNITS_EXCEEDED"
    new = passed(w, batch, 2, to)
    assert (units(w, batch), units(w, new)) == ((8, 8, 0, 2), (2, 0, 0, 0))
    assert w.broken_laws() == []


def test_a_batch_that_was_passed_on_leads_back_to_its_origin() -> None:
    w = world()
    shop = open_shop(w)
    to = other_shop(w)
    first = register(w, shop)
    second = passed(w, first, 6, to)
    receipt = w.do(BOB, "goods_pass", second, 5, shop, also=[SELLER])
    third = batch_of(w, receipt.txid)
    assert (third.root, third.parent, third.depth, third.shop) == (first, (second,), 2, shop)
    assert w.draft.get(ORIGIN, third.root) is not None
    everywhere = [batch_of(w, one) for one in (first, second, receipt.txid)]
    assert sum(batch.held + batch.shipped for batch in everywhere) == 10


# Abuse --------------------------------------------------------------------------------------------


def disputed(w: World, order: bytes, why: str, buyer_bp: int) -> None:
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "order_dispute", order, why).code == 0
    assert w.do(ARBITER, "order_rule", order, buyer_bp).code == 0
    assert w.broken_laws() == []


@pytest.mark.parametrize(
    ("why", "buyer_bp", "marks"),
    [
        ("counterfeit", 10_000, 1), ("counterfeit: no seal", 5_001, 1),
        ("counterfeit", 5_000, 0), ("counterfeit", 0, 0), ("never came", 10_000, 0),
        ("not a counterfeit, but late", 10_000, 0),
    ],
)  # fmt: skip
def test_only_a_lost_dispute_over_a_counterfeit_marks(why: str, buyer_bp: int, marks: int) -> None:
    w = world()
    batch, order = sold(w)
    disputed(w, order, why, buyer_bp)
    assert batch_of(w, batch).marks == marks


@pytest.mark.parametrize("when", ["before shipping", "after shipping"])
def test_a_batch_of_which_nothing_was_shipped_is_not_called_a_counterfeit(when: str) -> None:
    """And one that was is, though its line was refunded since: a mark cannot be bought off."""
    w = world()
    shop = open_shop(w)
    sent, refunded = register(w, shop), register(w, shop)
    order = w.block(pay_units(w, shop, (sent, 2), (refunded, 2), (refunded, 1)))[0].txid
    if when == "after shipping":
        assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(SELLER, "order_refund", order, ((1, 2), (2, 1)), "").code == 0
    if when == "before shipping":
        assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "order_dispute", order, "counterfeit").code == 0
    assert w.do(ARBITER, "order_rule", order, 10_000).code == 0
    marks = (batch_of(w, sent).marks, batch_of(w, refunded).marks)
    assert marks == ((1, 0) if when == "before shipping" else (1, 1))
    assert w.broken_laws() == []


def test_abuse_orders_of_a_thousand_batches_are_called_off_for_a_cent() -> None:
    """Each batch is a row to write when they are: an order names so many that its fees pay for it.

    A hundred orders of a thousand took 1.3 s to call off, for 0.15 dollars.
    """
    w = world()
    shop = open_shop(w)
    first = next_nonce(account_of(w.draft, SELLER.address), 0)
    fields = (shop, "Sencha", "JP Uji", 1_000, CERTIFICATE)
    registered = w.block(
        *(w.tx(SELLER, "goods_register", *fields, nonce=first + i) for i in range(BATCHES_MAX + 1))
    )
    *named, too_many = [receipt.txid for receipt in registered]
    lines = [(named[i % BATCHES_MAX], 1) for i in range(ORDER_LINES_MAX)]
    pay = pay_units(w, shop, (too_many, 1), *lines[1:])
    assert reason(w, w.block(pay)[0]) == "TOO_MANY_BATCHES"
    paid = w.block(pay_units(w, shop, *lines))[0]
    plain = w.do(BOB, "dollar_transfer", ((ALICE.address, 1, ""),))
    back = tuple((line, 1) for line in range(BATCHES_MAX))
    for sender, kind, rest in (
        (ALICE, "order_cancel", ()), (SELLER, "order_ship", ("",)),
        (SELLER, "order_refund", (back, "")),
    ):  # fmt: skip
        w.draft, before = Draft(w.draft), w.draft
        receipt = w.do(sender, kind, paid.txid, *rest)
        assert receipt.code == 0
        # A transfer writes three rows, both accounts and the totals; the block its clock and root.
        assert len(w.draft.changes()) // 3 < (paid.fee + receipt.fee) // plain.fee
        w.draft = before
    assert w.broken_laws() == []


def test_abuse_a_rivals_batch_is_tainted() -> None:
    """A rival gets sealed units of a good batch and ships something else: it is marked."""
    w = world()
    maker = open_shop(w)
    rival = other_shop(w)
    batch = register(w, maker)
    theirs = passed(w, batch, 4, rival)
    order = w.block(pay_units(w, rival, (theirs, 2)))[0].txid
    assert w.do(BOB, "order_ship", order, "").code == 0
    w.do(ALICE, "order_dispute", order, "counterfeit")
    w.do(ARBITER, "order_rule", order, 10_000)
    assert (batch_of(w, batch).marks, batch_of(w, theirs).marks) == (0, 1)
    named = pay_units(w, rival, (batch, 1))  # nor can it name what it does not hold
    assert reason(w, w.block(named)[0]) == "NOT_HELD"


def test_abuse_a_rivals_batch_is_shipped_empty() -> None:
    """Nobody but its holder moves units, and reserving them costs a payment and frees by itself."""
    w = world()
    shop = open_shop(w, **SHORT)
    batch = register(w, shop)
    rival = other_shop(w)
    for kind, fields in (
        ("goods_pass", (batch, 10, rival)),
        ("goods_register", (shop, "Fake", "XX", 10, CERTIFICATE)),
    ):
        assert reason(w, w.do(BOB, kind, *fields)) == "NOT_SHOP"
    lines = (("tea", 10, DOLLAR, (batch,)),)
    order = w.do(BOB, "order_pay", shop, lines, *NOTHING).txid
    assert reason(w, w.do(BOB, "order_ship", order, "")) == "NOT_SHOP"
    assert units(w, batch) == (10, 10, 0, 0)
    w.do(SELLER, "order_cancel", order)  # the shop gets rid of it, or its deadline does
    assert units(w, batch) == (10, 0, 0, 0)


def test_abuse_units_out_of_nothing() -> None:
    w = world()
    shop, to = open_shop(w), other_shop(w)
    batch = register(w, shop)
    for quantity in (0, -1, 2**63, 2**64):
        with pytest.raises((Rejected, Malformed, OverflowError)):
            w.do(SELLER, "goods_pass", batch, quantity, to, also=[BOB])
        with pytest.raises((Rejected, Malformed, OverflowError)):
            w.do(SELLER, "goods_register", shop, "Sencha", "JP", quantity, CERTIFICATE)
    give = w.tx(SELLER, "goods_pass", batch, 11, to, also=[BOB])
    assert reason(w, w.block(give)[0]) == "UNITS_EXCEEDED"


def test_abuse_units_are_pressed_upon_a_shop_that_did_not_sign() -> None:
    w = world()
    batch, to = register(w, open_shop(w)), other_shop(w)
    with pytest.raises(Rejected, match="NOT_AUTHORISED"):
        w.do(SELLER, "goods_pass", batch, 1, to)


# Laws ---------------------------------------------------------------------------------------------


def history() -> tuple[World, bytes]:
    w = world()
    batch, _ = sold(w)
    passed(w, batch, 2, other_shop(w))
    return w, batch


@pytest.mark.parametrize(
    ("field", "law"),
    [
        ("quantity", "goods/batches"), ("held", "goods/batches"), ("shipped", "goods/batches"),
        ("passed", "goods/batches"), ("depth", "goods/batches"), ("reserved", "goods/reserved"),
    ],
)  # fmt: skip
def test_a_law_notices_units_that_are_one_off(field: str, law: str) -> None:
    w, batch = history()
    w.draft = Draft(w.draft)
    row = batch_of(w, batch)
    w.draft.put(BATCH, batch, row._replace(**{field: getattr(row, field) + 1}))
    assert any(line.startswith(law) for line in w.broken_laws())


def test_a_law_notices_a_batch_that_is_gone_and_one_without_origin() -> None:
    w, batch = history()
    for table in (BATCH, ORIGIN):
        kept = w.draft
        w.draft = Draft(w.draft)
        w.draft.delete(table, batch)  # type: ignore[arg-type]
        assert any(line.startswith("goods/") for line in w.broken_laws())
        w.draft = kept


def test_the_order_of_a_shop_under_another_gateway_names_its_own_batch() -> None:
    w = world()
    receipt = w.do(SELLER, "shop_open", *shop_fields(name="Other"), also=[OP1])
    one, other = open_shop(w), receipt.txid
    batch: Any = register(w, one)
    assert reason(w, w.block(pay_units(w, other, (batch, 1)))[0]) == "NOT_HELD"
    assert reason(w, w.block(pay_units(w, one, (h("x"), 1)))[0]) == "UNKNOWN_BATCH"
