"""Goods: a batch from its origin through the hands of shops to the lines of orders.

Law: registered = held by all + shipped, for each batch and its children as `batches.py` says;
what is reserved is what paid, unshipped orders need. A shop registers a batch, and passes units
on when the receiving shop signs too. An order's line can name a batch only while its shop holds
that quantity and no other order has reserved it; shipping moves it, cancelling or refunding
before that frees it. What comes back after shipping is not held again: a used unit has no proof.

A lost counterfeit dispute marks the batches of the order's lines that were shipped, whatever was
refunded since, at the shop that shipped: not where they came from, since who passed sealed goods
on cannot answer for what the next one put into the box, and anybody could taint a rival by buying
from it otherwise. What that shop passed on from the same batch shows the mark on its way to the
origin.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX
from state.context import Context, Fields
from state.draft import Reader
from state.fields import Hash32, Int, Struct, Text
from state.registry import EventSpec, Family, Kind, Law
from state.tx.batches import (
    BATCH,
    NOT_HELD,
    OF_SHOP,
    ORIGIN,
    PASSED_ON,
    UNITS_EXCEEDED,
    UNKNOWN_BATCH,
    UNSHIPPED,
    Batch,
    Origin,
    Unshipped,
    check_held,
    mark,
)
from state.tx.orders import LINES, ORDER, PAID, SHOP, UNKNOWN_SHOP
from state.tx.sales import units_left
from state.tx.shops import check_owner

PASSED_TO_ITSELF: Final = (804, "PASSED_TO_ITSELF")
PASSED_TOO_OFTEN: Final = (805, "PASSED_TOO_OFTEN")

FAMILY_NUMBER: Final = 8
UNITS_MAX: Final = 10**12
DEPTH_MAX: Final = 64  # hands between an origin and a buyer: what a trace reads and proves
COUNTERFEIT: Final = "counterfeit"  # how a dispute's reason begins that is about one


def apply_register(ctx: Context, fields: Fields) -> None:
    """A shop says what it has, where it is from, and the hash of what certifies it."""
    shop_id, product, origin, quantity, certificate = fields
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    check_owner(ctx, shop)
    # From here on nothing can fail.
    batch_id = ctx.object_id
    batch = Batch(
        root=batch_id,
        parent=(),
        shop=shop_id,
        depth=0,
        quantity=quantity,
        held=quantity,
        reserved=0,
        shipped=0,
        passed=0,
        marks=0,
        since_ms=ctx.time_ms,
    )
    ctx.draft.put(BATCH, batch_id, batch)
    ctx.draft.put(ORIGIN, batch_id, Origin(product, origin, certificate))
    ctx.list_under(OF_SHOP, shop_id, batch_id)
    ctx.emit("goods_registered", batch_id, shop_id, product, quantity)


def apply_pass(ctx: Context, fields: Fields) -> None:
    """Units go from one shop to another, whose owner signs too; they become a batch there."""
    batch_id, quantity, to = fields
    batch = ctx.require(BATCH, batch_id, UNKNOWN_BATCH, batch=batch_id.hex())
    giver = ctx.require(SHOP, batch.shop, UNKNOWN_SHOP)
    check_owner(ctx, giver)
    receiver = ctx.require(SHOP, to, UNKNOWN_SHOP)
    if to == batch.shop:
        raise Rejected(PASSED_TO_ITSELF)
    if batch.depth == DEPTH_MAX:
        raise Rejected(PASSED_TOO_OFTEN, highest=DEPTH_MAX)
    check_held(ctx.draft, batch_id, batch.shop, quantity)
    # From here on nothing can fail.
    left = batch._replace(held=batch.held - quantity, passed=batch.passed + quantity)
    ctx.draft.put(BATCH, batch_id, left)
    child = Batch(
        root=batch.root,
        parent=(batch_id,),
        shop=to,
        depth=batch.depth + 1,
        quantity=quantity,
        held=quantity,
        reserved=0,
        shipped=0,
        passed=0,
        marks=0,
        since_ms=ctx.time_ms,
    )
    ctx.draft.put(BATCH, ctx.object_id, child)
    ctx.list_under(OF_SHOP, to, ctx.object_id)
    ctx.list_under(PASSED_ON, batch_id, ctx.object_id)
    ctx.involve(receiver.owner)
    ctx.emit("goods_passed", batch_id, ctx.object_id, batch.shop, to, quantity)


def _pass_cosigners(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    shop = reader.get(SHOP, fields[2])
    return () if shop is None else (shop.owner,)


def _on_disputed_lost(ctx: Context, order_id: bytes, reason: str) -> None:
    """A counterfeit: mark the batches of the lines, at the shop that shipped them."""
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    if not order.has_batches or not reason.startswith(COUNTERFEIT):
        return
    lines = ctx.draft.get(LINES, order_id)
    assert lines is not None, "an order has lines"
    unshipped = ctx.draft.get(UNSHIPPED, order_id) or Unshipped(())
    for batch_id in dict.fromkeys(batch[0] for _, _, _, batch in lines.lines if batch):
        if batch_id not in unshipped.batches:
            mark(ctx, batch_id, order_id)


def _check_batches(reader: Reader) -> str | None:
    """Each batch's units add up, its parent is above it, and its origin is known."""
    passed: dict[bytes, int] = {}
    for batch_id, batch in reader.items(BATCH):
        name = f"batch {batch_id.hex()}"
        if batch.quantity != batch.held + batch.shipped + batch.passed:
            return f"{name}: {batch.quantity} units are not those held, shipped and passed on"
        if not 0 <= batch.reserved <= batch.held:
            return f"{name} has reserved more than it holds"
        if batch.parent:
            parent = reader.get(BATCH, batch.parent[0])
            if parent is None or (parent.root, parent.depth) != (batch.root, batch.depth - 1):
                return f"{name} does not come out of its parent"
            passed[batch.parent[0]] = passed.get(batch.parent[0], 0) + batch.quantity
        elif batch.root != batch_id or batch.depth or reader.get(ORIGIN, batch_id) is None:
            return f"{name} has neither parent nor origin"
    for order_id, row in reader.items(UNSHIPPED):
        order, lines = reader.get(ORDER, order_id), reader.get(LINES, order_id)
        named = [batch for line in (lines.lines if lines else ()) for batch in line[3]]
        if order is None or not order.shipped_ms or not row.batches:
            return f"order {order_id.hex()} was shipped without batches, and is not shipped"
        if any(batch_id not in named for batch_id in row.batches):
            return f"order {order_id.hex()} was shipped without a batch that it does not name"
    for batch_id, batch in reader.items(BATCH):
        if batch.passed != passed.get(batch_id, 0):
            return f"batch {batch_id.hex()}: what it passed on is not what others received"
    return None


def _check_reserved(reader: Reader) -> str | None:
    """What is reserved is what paid orders that are not shipped need."""
    reserved: dict[bytes, int] = {}
    for order_id, order in reader.items(ORDER):
        if not order.has_batches or order.status != PAID:
            continue
        for batch_id, needed in units_left(reader, order_id).items():
            reserved[batch_id] = reserved.get(batch_id, 0) + needed
    for batch_id, held in reader.items(BATCH):
        if held.reserved != reserved.get(batch_id, 0):
            return f"batch {batch_id.hex()}: reserved is not what paid orders need"
    return None


_ID: Final = Hash32()
_UNITS: Final = Int(1, UNITS_MAX)
_NAME: Final = Text(NAME_BYTES_MAX, lowest=1)
_COUNT: Final = Int(0, INT_MAX)

FAMILY: Final = Family(
    number=FAMILY_NUMBER,
    name="goods",
    kinds=(
        Kind(
            "goods_register",
            Struct(shop=_ID, product=_NAME, origin=_NAME, quantity=_UNITS, certificate=_ID),
            apply_register,
            200,
            "A shop registers a batch of goods with its origin.",
        ),
        Kind(
            "goods_pass",
            Struct(batch=_ID, quantity=_UNITS, to=_ID),
            apply_pass,
            200,
            "Units go from one shop to another, whose owner signs too.",
            cosigners=_pass_cosigners,
        ),
    ),
    tables=(BATCH, ORIGIN, UNSHIPPED),
    refusals=(UNKNOWN_BATCH, NOT_HELD, UNITS_EXCEEDED, PASSED_TO_ITSELF, PASSED_TOO_OFTEN),
    events=(
        EventSpec(
            "goods_registered",
            Struct(batch=_ID, shop=_ID, product=_NAME, quantity=_UNITS),
            "A batch was registered.",
        ),
        EventSpec(
            "goods_passed",
            Struct(batch=_ID, new_batch=_ID, shop=_ID, to=_ID, quantity=_UNITS),
            "Units went to another shop, as a batch of their own.",
        ),
        EventSpec(
            "goods_shipped",
            Struct(batch=_ID, order=_ID, quantity=_COUNT),
            "Units of a batch were dispatched for an order.",
        ),
        EventSpec(
            "goods_marked",
            Struct(batch=_ID, order=_ID),
            "Its shop lost a dispute over a counterfeit.",
        ),
    ),
    laws=(Law("batches", _check_batches), Law("reserved", _check_reserved)),
    hooks={"disputed_lost": _on_disputed_lost},
)
