"""Batches: goods with an origin, and who holds how many units of them. Part of the goods family.

A batch is registered by a shop, or comes out of another one when units are passed on: then it is
a batch of its own, held by the receiver, whose parent it names. So each unit has one way back to
its origin, and what a shop does with its units touches its own row alone.

Law, for each batch: quantity = held + shipped + passed on; passed on = what its children have;
so registered = held by all + shipped. What unshipped orders have reserved is part of held.
Orders call `check_units` and the movers here; a mover asserts and cannot refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key

UNKNOWN_BATCH: Final = (801, "UNKNOWN_BATCH")
NOT_HELD: Final = (802, "NOT_HELD")
UNITS_EXCEEDED: Final = (803, "UNITS_EXCEEDED")

ORDERS_OF_BATCH, OF_SHOP, PASSED_ON = 128, 129, 130  # lists


class Batch(NamedTuple):
    """Units of one origin at one shop, under the txid that registered or passed them."""

    root: bytes  # the batch that was registered: itself, or the first of its line
    parent: tuple[bytes, ...]  # the batch it came out of, () where it was registered
    shop: bytes
    depth: int  # how often it was passed on: 0 where it was registered
    quantity: int
    held: int
    reserved: int  # of those held, by orders that are paid and not shipped
    shipped: int
    passed: int
    marks: int  # disputes over counterfeits that this shop lost with units of this batch
    since_ms: int  # block time


class Unshipped(NamedTuple):
    """Batches of an order's lines, all of whose units were refunded before it was shipped."""

    batches: tuple[bytes, ...]


class Origin(NamedTuple):
    """What was said when the batch was registered; under the root, never changed."""

    product: str
    origin: str
    certificate: bytes  # hash of the document


BATCH: Final[Table[bytes, Batch]] = Table(128, "goods/batch", Batch, bytes_key())
ORIGIN: Final[Table[bytes, Origin]] = Table(129, "goods/origin", Origin, bytes_key())
UNSHIPPED: Final[Table[bytes, Unshipped]] = Table(130, "goods/unshipped", Unshipped, bytes_key())


def check_held(reader: Reader, batch_id: bytes, shop_id: bytes, quantity: int) -> Batch:
    """The batch, which the shop holds with `quantity` units free, else a refusal."""
    batch = reader.get(BATCH, batch_id)
    if batch is None:
        raise Rejected(UNKNOWN_BATCH, batch=batch_id.hex())
    if batch.shop != shop_id:
        raise Rejected(NOT_HELD, batch=batch_id.hex())
    free = batch.held - batch.reserved
    if quantity > free:
        raise Rejected(UNITS_EXCEEDED, batch=batch_id.hex(), left=free)
    return batch


def check_units(reader: Reader, shop_id: bytes, wanted: Mapping[bytes, int]) -> None:
    """Whether the shop can sell so many units of each batch: no other order has reserved them."""
    for batch_id, quantity in wanted.items():
        check_held(reader, batch_id, shop_id, quantity)


def _batch(ctx: Context, batch_id: bytes) -> Batch:
    batch = ctx.draft.get(BATCH, batch_id)
    assert batch is not None, "a batch is never removed"
    return batch


def reserve_units(ctx: Context, wanted: Mapping[bytes, int]) -> None:
    """Keep units ready for an order that was paid."""
    for batch_id, quantity in wanted.items():
        batch = _batch(ctx, batch_id)
        assert batch.reserved + quantity <= batch.held
        ctx.draft.put(BATCH, batch_id, batch._replace(reserved=batch.reserved + quantity))


def free_units(ctx: Context, units: Mapping[bytes, int]) -> None:
    """An order does not need them any more: it was called off, or refunded before shipping."""
    for batch_id, quantity in units.items():
        batch = _batch(ctx, batch_id)
        assert quantity <= batch.reserved
        ctx.draft.put(BATCH, batch_id, batch._replace(reserved=batch.reserved - quantity))


def ship_units(
    ctx: Context, order_id: bytes, units: Mapping[bytes, int], named: Iterable[bytes]
) -> None:
    """What was reserved for an order leaves the shop; of the batches that its lines name, those
    of which no unit is left to ship are remembered: nothing of them can be called a counterfeit.
    """
    unshipped = tuple(dict.fromkeys(batch_id for batch_id in named if batch_id not in units))
    if unshipped:
        ctx.draft.put(UNSHIPPED, order_id, Unshipped(unshipped))
    for batch_id, quantity in units.items():
        batch = _batch(ctx, batch_id)
        assert quantity <= batch.reserved
        shipped = batch._replace(
            held=batch.held - quantity,
            reserved=batch.reserved - quantity,
            shipped=batch.shipped + quantity,
        )
        ctx.draft.put(BATCH, batch_id, shipped)
        ctx.list_under(ORDERS_OF_BATCH, batch_id, order_id)
        ctx.emit("goods_shipped", batch_id, order_id, quantity)


def mark(ctx: Context, batch_id: bytes, order_id: bytes) -> None:
    """A dispute over a counterfeit was lost by the shop that shipped these units."""
    batch = _batch(ctx, batch_id)
    ctx.draft.put(BATCH, batch_id, batch._replace(marks=batch.marks + 1))
    ctx.emit("goods_marked", batch_id, order_id)
