"""What an order is: its records, how what the shop keeps is divided, and who may act on it when.

Part of the orders family: `payout.py` moves the money, `orders.py` is the way of an order,
`refunds.py` and `disputes.py` what may cross it, `sales_laws.py` the audit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any, Final, NamedTuple, TypeVar

from mgsnode.base.errors import Rejected
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.shops import BPS, SHOP, Shop

L = TypeVar("L")

UNKNOWN_ORDER: Final = (202, "UNKNOWN_ORDER")
NOT_BUYER: Final = (203, "NOT_BUYER")
ORDER_STATUS: Final = (205, "ORDER_STATUS")
ORDER_DEADLINE: Final = (206, "ORDER_DEADLINE")

FAMILY_NUMBER: Final = 2
ESCROW, HOLDBACK, COMMISSION = 1, 2, 3  # purposes of an order's hold
PAID, SHIPPED, COMPLETED, DISPUTED = "paid", "shipped", "completed", "disputed"
RULED: Final = "ruled"  # divided by the arbiter; final in the next block, by the clock
FINAL, CANCELLED, REFUNDED_WHOLE = "final", "cancelled", "refunded"
OPEN: Final = (PAID, SHIPPED, COMPLETED, DISPUTED, RULED)
STATUSES: Final = (*OPEN, FINAL, CANCELLED, REFUNDED_WHOLE)


class Order(NamedTuple):
    """An order, under the txid that paid it. Terms are those of the time of payment."""

    shop: bytes
    buyer: bytes
    status: str
    total: int
    refunded: int  # all of it
    from_escrow: int  # of that, what came from what was held
    to_shop: int  # released from the hold to the shop
    fee: int  # to the pool, at completion
    commission: int  # paid out of the hold to others than the shop
    due_ms: int  # on the family's clock: what comes by itself; 0 where nothing does
    fee_bps: int
    fee_minimum: int
    complete_after_ms: int
    return_window_ms: int
    holdback_bp: int
    commission_bp: int  # 0 unless `with_commission` said otherwise
    lines: int
    paid_ms: int  # block times, 0 where it has not happened
    shipped_ms: int
    completed_ms: int
    closed_ms: int  # final, cancelled or refunded whole
    reference: str  # of the dispatch
    # As the buyer named them: () or one; an unknown id is never a refusal.
    distributor: tuple[bytes, ...]
    demand: tuple[bytes, ...]
    led_by: tuple[bytes, ...]
    country: tuple[str, ...]  # where it goes, as the buyer says; counted once it is final
    currency: tuple[str, ...]  # in which the buyer thought
    is_referred: bool  # a distributor has a claim on it
    arbiter: bytes
    ruled: int  # of `refunded`, what a ruling gave the buyer
    has_batches: bool  # some line names one
    is_extended: bool  # the buyer has asked for more time, which it can once
    delivered_ms: int  # a carrier signed it
    carrier: tuple[bytes, ...]  # who signed the dispatch: () or one
    # Of the reviews family, which alone sets them (`set_reviews`): a review reads no further row.
    review_until_ms: int  # on that family's clock; 0: no line can be reviewed, or not yet
    reviewed: bytes  # bit n % 8 of byte n // 8: line n was; no zero byte at the end
    waiting: tuple[tuple[int, bytes, int], ...]  # (line, review, share of the line's reward in bp)

    def but(self, **changed: Any) -> Order:
        """The order with these fields changed: `_replace` takes twice as long on so many."""
        values = list(self)
        for name, value in changed.items():
            values[_PLACE[name]] = value
        return Order._make(values)

    def has_review(self, line: int) -> bool:
        """Whether this line was reviewed."""
        return line // 8 < len(self.reviewed) and self.reviewed[line // 8] >> line % 8 & 1 == 1

    @property
    def kept(self) -> int:
        """K: what the shop keeps, its fee and shares included."""
        return self.total - self.refunded

    @property
    def unspent(self) -> int:
        """What of the total has gone nowhere yet: it is held, or was a commission."""
        return self.total - self.from_escrow - self.to_shop - self.fee

    @property
    def has_full_fee(self) -> bool:
        """Whether it paid the least network fee: one of crumbs pays no more than its crumbs."""
        return self.fee >= self.fee_minimum

    @property
    def is_divided(self) -> bool:
        """Whether it was completed and commission and hold-back are held by K."""
        return self.status in (COMPLETED, DISPUTED) and self.completed_ms > 0


_PLACE: Final = {name: place for place, name in enumerate(Order._fields)}


class OrderLine(NamedTuple):
    """One line as it was paid. On the wire and in `Lines` it is a plain tuple like this."""

    sku: str
    quantity: int
    unit_price: int
    batch: tuple[bytes, ...]  # () or one id


class Lines(NamedTuple):
    """An order's lines; never changed, so that a refund does not write them again."""

    lines: tuple[tuple[str, int, int, tuple[bytes, ...]], ...]


class Refunded(NamedTuple):
    """What was refunded of each line, by its number, up to the last of which something was."""

    quantities: tuple[int, ...]


ORDER: Final[Table[bytes, Order]] = Table(33, "orders/order", Order, bytes_key())
LINES: Final[Table[bytes, Lines]] = Table(34, "orders/lines", Lines, bytes_key(), is_long=True)
REFUNDED: Final[Table[bytes, Refunded]] = Table(35, "orders/refunded", Refunded, bytes_key())


class Shares(NamedTuple):
    """How K is divided at completion; the shop has what is left."""

    fee: int
    commission: int
    holdback: int


def network_fee(order: Order, kept: int) -> int:
    """The fee on `kept`, rounded up, at least the minimum, at most all of it."""
    return min(kept, max(order.fee_minimum, -(-kept * order.fee_bps // BPS)))


def shares(order: Order, kept: int, fee: int) -> Shares:
    """The shares of `kept` once the fee is fixed. It rises with `kept` in each part, so what a
    refund gives back of a part is its share before less its share after.
    """
    after_fee = max(0, kept - fee)
    commission = min(kept * order.commission_bp // BPS, after_fee)
    holdback = min(kept * order.holdback_bp // BPS, after_fee - commission)
    return Shares(fee, commission, holdback)


def held_shares(order: Order, kept: int) -> Shares:
    """Commission and hold-back that are held for `kept`: nothing before completion and after."""
    return shares(order, kept, order.fee) if order.is_divided else Shares(0, 0, 0)


def order_and_shop(ctx: Context, order_id: bytes) -> tuple[Order, Shop]:
    """The order and its shop, else `UNKNOWN_ORDER`."""
    order = ctx.require(ORDER, order_id, UNKNOWN_ORDER)
    shop = ctx.draft.get(SHOP, order.shop)
    assert shop is not None, "an order's shop is never removed"
    return order, shop


def lines_of(ctx: Context, order_id: bytes) -> Lines:
    """The lines of an order that there is."""
    lines = ctx.draft.get(LINES, order_id)
    assert lines is not None, "an order has lines"
    return lines


def line_total(ctx: Context, order_id: bytes, order: Order, line: int) -> int:
    """What was paid for a line; of most orders it is the only one, and nothing more is read."""
    if order.lines == 1:
        return order.total
    _, quantity, unit_price, _ = lines_of(ctx, order_id).lines[line]
    return quantity * unit_price


def line_standing(ctx: Context, order_id: bytes, order: Order, line: int) -> int:
    """What of a line was not refunded, and at most what the shop keeps: a ruling takes from no
    line.
    """
    if order.lines == 1:
        return order.kept
    _, quantity, unit_price, _ = lines_of(ctx, order_id).lines[line]
    gone = refunded_of(ctx.draft, order_id)
    back = gone[line] if line < len(gone) else 0
    return min((quantity - back) * unit_price, order.kept)


def set_reviews(
    ctx: Context,
    order_id: bytes,
    order: Order,
    *,
    until_ms: int,
    reviewed: bytes = b"",
    waiting: tuple[tuple[int, bytes, int], ...] = (),
) -> None:
    """Until when its lines can be reviewed, which were, and which reviews wait for its end; for the
    reviews family alone. `order` is the record as it stands.
    """
    changed = order.but(review_until_ms=until_ms, reviewed=reviewed, waiting=waiting)
    ctx.draft.put(ORDER, order_id, changed)


def refunded_of(reader: Reader, order_id: bytes) -> tuple[int, ...]:
    """What was refunded of the order's lines, as `Refunded` has it; nothing so far: ()."""
    row = reader.get(REFUNDED, order_id)
    return row.quantities if row else ()


def with_refunded(lines: Iterable[L], gone: tuple[int, ...]) -> Iterator[tuple[L, int]]:
    """Each of an order's lines with what was refunded of it, `gone` being `refunded_of` it."""
    return zip(lines, chain(gone, repeat(0)), strict=False)


def units_left(reader: Reader, order_id: bytes) -> dict[bytes, int]:
    """Units of each batch in what of an order's lines was not refunded."""
    stored = reader.get(LINES, order_id)
    assert stored is not None, "an order has lines"
    units: dict[bytes, int] = {}
    gone = refunded_of(reader, order_id)
    for (_, quantity, _, batch), back in with_refunded(stored.lines, gone):
        if batch and quantity > back:
            units[batch[0]] = units.get(batch[0], 0) + quantity - back
    return units


def check_buyer(ctx: Context, order: Order) -> None:
    """`NOT_BUYER` unless the sender is."""
    if order.buyer != ctx.sender:
        raise Rejected(NOT_BUYER)


def check_status(ctx: Context, order: Order, *statuses: str) -> None:
    """The order is in one of `statuses` and its deadline is ahead, else a refusal."""
    if order.status not in statuses:
        raise Rejected(ORDER_STATUS, status=order.status, needed=" or ".join(statuses))
    if order.due_ms and ctx.now(FAMILY_NUMBER) >= order.due_ms:
        raise Rejected(ORDER_DEADLINE, due_ms=order.due_ms)


def set_due(ctx: Context, order_id: bytes, before_ms: int, due_ms: int) -> None:
    """Move the order's one deadline in the queue; 0 is none."""
    if before_ms:
        ctx.unschedule(before_ms, order_id, FAMILY_NUMBER)
    if due_ms:
        ctx.schedule(due_ms, order_id, FAMILY_NUMBER)
