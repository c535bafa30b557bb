"""Commissions: what a distributor earns on a sale, from promise to payment, and owes back.

Law: no commission is paid without a final order between unlinked parties; the rows of one
distributor at one shop satisfy accrued - reversed = paid - owed; a row is never edited; what an
order pays at all depths together is the commission that its own terms say, so depth costs the shop
nothing. A share is taken of what is left, and what a refund takes back is share(before) less
share(after), so that refunds in dust take back exactly what one refund would.

| the order            | level 1                       | level 2 (depth 2 and a recruiter)      |
| -------------------- | ----------------------------- | -------------------------------------- |
| paid                 | promised                      | -                                      |
| final                | C - second, less what it owes | second = share of C, less what it owes |
| refunded after final | owes its part of C - C'       | owes second(C) - second(C')            |

Caps lower the share of a new order so that promised and paid stay below them. Part of the referral
family; `orders.py` moves the money.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import is_linked
from state.tx.bindings import (
    PARTNER,
    Binding,
    Campaign,
    Partner,
    are_unlinked,
    binding_for_order,
    campaign_of,
)
from state.tx.growth import count_refund, count_sale, drop_sale
from state.tx.money import held
from state.tx.orders import (
    BPS,
    CANCELLED,
    COMMISSION,
    FINAL,
    ORDER,
    SHOP,
    Order,
    Shop,
    pay_commission,
    shares,
    with_commission,
)
from state.tx.orders import FAMILY_NUMBER as ORDERS

# A void sale earns nothing: the order never became final, or its parties were linked by then.
OPEN, EARNED, VOID = "open", "earned", "void"
# Lists: sales by distributor (at either depth), by shop, all; rows by distributor, by shop.
SALES_OF, SALES_AT, ALL_SALES, ROWS_OF, ROWS_AT = 80, 81, 82, 83, 84
EVERYBODY: Final = bytes(32)


class Sale(NamedTuple):
    """A sale that a distributor brought, under the order's id, with the terms of its binding."""

    distributor: bytes
    recruiter: tuple[bytes, ...]  # of level 2: () where it earns nothing
    share_bp: int  # of what the shop keeps; never more than the binding's
    second_bps: int  # of the commission, for the recruiter
    campaign: bytes
    status: str
    due_ms: int  # when it leaves the window of growth, on the family's clock; 0: not in it
    counted: bool  # in the distributor's growth
    commission: int  # micro-dollars: what it came to when it became final, at both depths
    rows: int  # how many commission rows it has

    @property
    def depth(self) -> int:
        """1, or 2 where a recruiter earns too."""
        return 2 if self.recruiter else 1


class Row(NamedTuple):
    """One entry of the commission book, under (order, number); never written again."""

    distributor: bytes
    depth: int
    accrued: int  # micro-dollars; below zero: taken back by a refund after final
    paid: int  # of that, into the account
    owed: int  # by the distributor at this shop, after it
    kept: int  # what of the sale stood then
    at_ms: int  # block time


class Used(NamedTuple):
    """What counts against a cap, under (campaign or shop, distributor or everybody)."""

    amount: int


class Depths(NamedTuple):
    """The parameter `refer_depth` as sales found it: (block time, value), rising."""

    seen: tuple[tuple[int, int], ...]


SALE: Final[Table[bytes, Sale]] = Table(87, "referral/sale", Sale, bytes_key())
ROW: Final[Table[tuple[bytes, int], Row]] = Table(
    88, "referral/row", Row, pair_key(bytes_key(), int_key(4))
)
USED: Final[Table[tuple[bytes, bytes], Used]] = Table(
    89, "referral/used", Used, pair_key(bytes_key(), bytes_key())
)
DEPTHS: Final[Table[bytes, Depths]] = Table(90, "referral/depths", Depths, bytes_key(0))


def promised(share_bp: int, kept: int) -> int:
    """The most that an open sale can come to."""
    return kept * share_bp // BPS


def standing(order: Order, sale: Sale, kept: int) -> int:
    """The commission of a final sale of which `kept` stands; a ruling can have left less of it."""
    return min(sale.commission, shares(order, kept, order.fee).commission)


def second_of(sale: Sale, commission: int) -> int:
    """Level 2's part of it."""
    return commission * sale.second_bps // BPS if sale.recruiter else 0


def _order(ctx: Context, order_id: bytes) -> Order:
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None, "the hook names one"
    return order


def _order_and_shop(ctx: Context, order_id: bytes) -> tuple[Order, Shop]:
    order = _order(ctx, order_id)
    shop = ctx.draft.get(SHOP, order.shop)
    assert shop is not None
    return order, shop


def partner_of(reader: Reader, distributor: bytes, shop_id: bytes) -> Partner:
    """Somebody who has joined."""
    partner = reader.get(PARTNER, (distributor, shop_id))
    assert partner is not None, "it joined before it was bound to"
    return partner


# Caps -------------------------------------------------------------------------------------


def caps_of(
    campaign: Campaign, campaign_id: bytes, distributor: bytes
) -> list[tuple[tuple[bytes, bytes], int]]:
    """(key in USED, cap) of each cap that a binding under this campaign stands under."""
    if not (campaign.campaign_cap or campaign.person_cap or campaign.shop_cap):
        return []
    caps = [
        ((campaign_id, EVERYBODY), campaign.campaign_cap),
        ((campaign_id, distributor), campaign.person_cap),
        ((campaign.shop, EVERYBODY), campaign.shop_cap),
    ]
    return [(key, cap) for key, cap in caps if cap]


def share_under_caps(reader: Reader, binding: Binding, total: int) -> int:
    """The binding's share, lowered so far that an order of `total` passes no cap."""
    share_bp = binding.share_bp
    if not binding.campaign:
        return share_bp  # a shop that has set none has no caps
    campaign = campaign_of(reader, binding.campaign)
    for key, cap in caps_of(campaign, binding.campaign, binding.distributor):
        used = reader.get(USED, key)
        left = max(0, cap - (used.amount if used else 0))
        share_bp = min(share_bp, left * BPS // total)
    return share_bp


def _use(ctx: Context, sale: Sale, by: int) -> None:
    """What counts against the sale's caps changed."""
    if by == 0 or not sale.campaign:
        return
    campaign = campaign_of(ctx.draft, sale.campaign)
    for key, _ in caps_of(campaign, sale.campaign, sale.distributor):
        used = ctx.draft.get(USED, key)
        ctx.draft.put(USED, key, Used((used.amount if used else 0) + by))


# The way of a sale ------------------------------------------------------------------------


def on_paid(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> Order | None:
    """Whoever brought the buyer has a claim on this sale; the order as it is then."""
    applying = binding_for_order(ctx, order.buyer, shop.owner, order.shop, order.distributor)
    if applying is None:
        return None
    binding, partner = applying
    share_bp = share_under_caps(ctx.draft, binding, order.total)
    recruiter, second_bps = _second(ctx, order, shop, partner)
    sale = Sale(
        binding.distributor, recruiter, share_bp, second_bps, binding.campaign, OPEN,
        0, False, 0, 0,  # due_ms, counted, commission, rows
    )  # fmt: skip
    ctx.draft.put(SALE, order_id, sale)
    _promise_more(ctx, order, sale, promised(share_bp, order.total), partner)
    ctx.involve(binding.distributor)
    ctx.list_under(SALES_OF, binding.distributor, order_id)
    ctx.list_under(SALES_AT, order.shop, order_id)
    ctx.list_under(ALL_SALES, b"", order_id)
    for owner in recruiter:
        ctx.list_under(SALES_OF, owner, order_id)
    ctx.emit("sale_referred", order_id, binding.distributor, share_bp)
    return with_commission(order, share_bp)


def _second(
    ctx: Context, order: Order, shop: Shop, partner: Partner
) -> tuple[tuple[bytes, ...], int]:
    """(recruiter, share of the commission) of level 2, as the parameters say now."""
    depth = ctx.params["refer_depth"]
    before = ctx.draft.get(DEPTHS, b"") or Depths(())
    if not before.seen or before.seen[-1][1] != depth:
        ctx.draft.put(DEPTHS, b"", Depths((*before.seen, (ctx.time_ms, depth))))
    if depth < 2:
        return (), 0
    return second_level(ctx.draft, partner, order.buyer, shop.owner, ctx.params["refer_second_bps"])


def second_level(
    reader: Reader, partner: Partner, buyer: bytes, owner: bytes, second_bps: int
) -> tuple[tuple[bytes, ...], int]:
    """(recruiter, share of the commission): nobody where it is linked to buyer or owner."""
    if not partner.recruiter or not is_far(reader, partner.recruiter[0], buyer, owner):
        return (), 0
    return partner.recruiter, second_bps


def is_far(reader: Reader, recruiter: bytes, buyer: bytes, owner: bytes) -> bool:
    """Whether the recruiter is linked to neither buyer nor owner."""
    return not is_linked(reader, recruiter, buyer, owner)


def on_refunded(ctx: Context, order_id: bytes, order: Order, amount: int) -> None:
    """Before final less is promised; after it what was earned on the amount is owed back."""
    sale = ctx.draft.get(SALE, order_id) if order.is_referred else None
    if sale is None or sale.status == VOID:
        return
    if sale.status == EARNED:
        _reverse(ctx, order_id, order, sale, amount)
        return
    kept = order.total - order.refunded
    less = promised(sale.share_bp, kept + amount) - promised(sale.share_bp, kept)
    _promise_more(ctx, order, sale, -less)
    if order.closed_ms and order.status != FINAL:
        due_ms = 0
        if order.status != CANCELLED:  # it was a sale, and it came back
            due_ms = _count(ctx, order_id, order, sale, 0)
        ctx.draft.put(SALE, order_id, sale._replace(status=VOID, due_ms=due_ms, counted=due_ms > 0))


def _promise_more(
    ctx: Context, order: Order, sale: Sale, by: int, partner: Partner | None = None
) -> None:
    """More is promised, or less where `by` is negative; `partner` where it was just read."""
    if by == 0:
        return
    partner = partner or partner_of(ctx.draft, sale.distributor, order.shop)
    joined_ms, recruiter, agreed, before, *book = partner
    after = Partner(joined_ms, recruiter, agreed, before + by, *book)
    ctx.draft.put(PARTNER, (sale.distributor, order.shop), after)
    _use(ctx, sale, by)


def on_final(ctx: Context, order_id: bytes) -> None:
    """The sale stands: its commission is paid, less what is owed at this shop."""
    order, shop = _order_and_shop(ctx, order_id)
    sale = ctx.draft.get(SALE, order_id) if order.is_referred else None
    if sale is None:
        return
    kept = order.total - order.refunded
    _promise_more(ctx, order, sale, -promised(sale.share_bp, kept))
    if not are_unlinked(ctx.draft, order.buyer, shop.owner, sale.distributor):
        ctx.draft.put(SALE, order_id, sale._replace(status=VOID))
        ctx.emit("commission_void", order_id, sale.distributor)
        return
    if sale.recruiter and not is_far(ctx.draft, sale.recruiter[0], order.buyer, shop.owner):
        sale = sale._replace(recruiter=(), second_bps=0)
    commission = held(ctx.draft, ORDERS, order_id, COMMISSION)
    _use(ctx, sale, commission)
    second = second_of(sale, commission)
    rows = _accrue(ctx, order_id, order, sale.distributor, depth=1, amount=commission - second)
    if sale.recruiter:
        rows += _accrue(
            ctx, order_id, order, sale.recruiter[0], depth=2, amount=second, number=rows
        )
    due_ms = _count(ctx, order_id, order, sale, kept)
    ctx.draft.put(
        SALE,
        order_id,
        sale._replace(
            status=EARNED, due_ms=due_ms, counted=due_ms > 0, commission=commission, rows=rows
        ),
    )


def _count(ctx: Context, order_id: bytes, order: Order, sale: Sale, kept: int) -> int:
    return count_sale(
        ctx,
        sale.distributor,
        order.buyer,
        order_id,
        gross=order.total,
        kept=kept,
        is_final=order.status == FINAL,
    )


def _accrue(
    ctx: Context,
    order_id: bytes,
    order: Order,
    distributor: bytes,
    *,
    depth: int,
    amount: int,
    number: int = 0,
) -> int:
    """Pay a commission, less what is owed here; how many rows it made."""
    if amount == 0:
        return 0
    partner = partner_of(ctx.draft, distributor, order.shop)
    paid = amount - min(amount, partner.owed)
    owed = partner.owed - (amount - paid)
    after = partner._replace(accrued=partner.accrued + amount, paid=partner.paid + paid, owed=owed)
    ctx.draft.put(PARTNER, (distributor, order.shop), after)
    if paid:
        pay_commission(ctx, order_id, distributor, paid)
    kept = order.total - order.refunded
    row = Row(distributor, depth, amount, paid, owed, kept, ctx.time_ms)
    _write_row(ctx, order_id, order.shop, number, row)
    ctx.emit("commission_accrued", order_id, distributor, depth, amount, paid)
    return 1


def _write_row(ctx: Context, order_id: bytes, shop_id: bytes, number: int, row: Row) -> None:
    ctx.draft.put(ROW, (order_id, number), row)
    ctx.involve(row.distributor)
    row_id = order_id + number.to_bytes(4, "big")
    ctx.list_under(ROWS_OF, row.distributor, row_id)
    ctx.list_under(ROWS_AT, shop_id, row_id)


def _reverse(ctx: Context, order_id: bytes, order: Order, sale: Sale, amount: int) -> None:
    """A refund after final: the shop bore it, so the distributors owe their parts to it."""
    kept = order.total - order.refunded
    before, after = standing(order, sale, kept + amount), standing(order, sale, kept)
    second = second_of(sale, before) - second_of(sale, after)
    parts = [(sale.distributor, 1, before - after - second)]
    parts += [(recruiter, 2, second) for recruiter in sale.recruiter]
    rows = sale.rows
    for distributor, depth, back in parts:
        if back:
            partner = partner_of(ctx.draft, distributor, order.shop)
            joined_ms, recruiter, agreed, promise, accrued, taken_back, paid, owed = partner
            owed += back
            changed = Partner(
                joined_ms, recruiter, agreed, promise, accrued, taken_back + back, paid, owed
            )
            ctx.draft.put(PARTNER, (distributor, order.shop), changed)
            row = Row(distributor, depth, -back, 0, owed, kept, ctx.time_ms)
            _write_row(ctx, order_id, order.shop, rows, row)
            ctx.emit("commission_reversed", order_id, distributor, depth, back, owed)
            rows += 1
    _use(ctx, sale, after - before)
    if rows != sale.rows:
        ctx.draft.put(SALE, order_id, Sale(*sale[:-1], rows))
    if sale.counted:
        in_window = sale.due_ms > 0
        count_refund(ctx, sale.distributor, order.buyer, amount, kept, in_window=in_window)


def do_due(ctx: Context, order_id: bytes) -> None:
    """A sale leaves the window of growth."""
    sale = ctx.draft.get(SALE, order_id)
    assert sale is not None and sale.due_ms, "only sales in the window are scheduled"
    order = _order(ctx, order_id)
    kept = order.total - order.refunded if sale.status == EARNED else 0
    drop_sale(ctx, sale.distributor, order.buyer, order.total, kept)
    ctx.draft.put(SALE, order_id, sale._replace(due_ms=0))


def distributor_of(reader: Reader, order_id: bytes) -> bytes | None:
    """Who brought this sale at level 1, bound and unlinked; None if nobody has a claim."""
    order = reader.get(ORDER, order_id)
    sale = reader.get(SALE, order_id) if order is not None and order.is_referred else None
    return None if sale is None or sale.status == VOID else sale.distributor
