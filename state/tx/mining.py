"""Mining: what final sales between strangers earn, period by period (F4). Of the token family.

Each period offers a share of the pool. All rewards that hang on a sale together are at most beta x
its fee at the reference price, so that who trades with himself in every role at once loses while
the market is below reference x (1 - his share of the fees) / beta. What that bound cuts, and what
nobody earns, is never taken out of the pool.

A period closes in O(1): its rates are fixed, and as much is reserved as its fees can claim. What
each account earned is reckoned when it is claimed (`rewards.py`). The reviewer's part waits until
`mining_review_ms` after the period, voice until its end; claims until `mining_claim_ms`. What is
left of a reserve then goes back to the pool in one piece.

Who brought the sale is asked of referral. Others hang on `final` too and come before this family;
what they know of an order they say here: `lead`, `pay_reviewer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mgsnode.base.limits import INT_MAX
from state.context import Context
from state.draft import Reader
from state.tx.accounts import is_linked
from state.tx.commissions import distributor_of
from state.tx.growth import share_ppm
from state.tx.rewards import (
    BPS,
    BUYER_BPS,
    DISTRIBUTOR_BPS,
    MICRO,
    MINED,
    MINING,
    REVIEWER_BPS,
    SHOP_BPS,
    VOICE_BPS,
    Earned,
    Mined,
    Mining,
    bound_of,
    change_earned,
    entitled,
    kappa_of,
    led_part_of,
    mining_of,
    part_of,
    rates_of,
    running,
    token_now,
)
from state.tx.sales import FINAL, LINES, ORDER, Order, network_fee
from state.tx.shops import SHOP
from state.tx.sums import with_more
from state.tx.tokens import TOKEN_FAMILY, add_token_totals, token_totals_of
from state.tx.voice import direct, may_direct, note_purchase, numbered_id, regrant, reserve_voice

REWARDED: Final = 144  # list: the orders that count for an account in a period


def rewarded_by(account: bytes, period: int) -> bytes:
    """The owner of the list of those orders."""
    return account + period.to_bytes(8, "big")


def fee_for_mining(order: Order) -> int:
    """What of the fee that was paid rests on what the shop still keeps."""
    return min(order.fee, network_fee(order, order.total - order.refunded))


# A sale becomes final -------------------------------------------------------------------------


def mine(ctx: Context, order_id: bytes) -> Mined | None:
    """The order's record; made when the order becomes final, by whoever hangs on that first.

    None where it does not count: no fee, or buyer and shop are linked.
    """
    row = ctx.draft.get(MINED, order_id)
    order = ctx.draft.get(ORDER, order_id)
    if row is not None or order is None:
        return row
    if order.status != FINAL or order.closed_ms != ctx.time_ms:
        return None
    shop, fee, period = _owner_of(ctx.draft, order), fee_for_mining(order), running(ctx)
    mining = mining_of(ctx.draft, period)
    if fee == 0 or mining.fees + fee > INT_MAX or is_linked(ctx.draft, order.buyer, shop):
        return None
    mined = Mined(period, fee, 0, (), 0, ())
    ctx.draft.put(MINED, order_id, mined)
    ctx.draft.put(MINING, period, mining._replace(fees=mining.fees + fee))
    change_earned(ctx, order.buyer, period, buyer=fee)
    change_earned(ctx, shop, period, shop=fee)
    note_purchase(ctx, order.buyer, period)
    for account in (order.buyer, shop):
        ctx.list_under(REWARDED, rewarded_by(account, period), order_id)
    ctx.emit("order_counted", order_id, period, fee)
    return mined


def _owner_of(reader: Reader, order: Order) -> bytes:
    shop = reader.get(SHOP, order.shop)
    assert shop is not None, "an order's shop is never removed"
    return shop.owner


def _add_to_period(ctx: Context, period: int, **more: int) -> None:
    ctx.draft.put(MINING, period, with_more(mining_of(ctx.draft, period), **more))


def lead(ctx: Context, order_id: bytes, author: bytes) -> int:
    """The order names the review, post or demand of `author` that led to it; in `final`, once.

    It directs a tenth of its own voice, when its period closes, and like a vote a tenth of what
    its buyer was granted before: that is answered, in micro-MGS.
    """
    mined = mine(ctx, order_id)
    order = ctx.draft.get(ORDER, order_id)
    if mined is None or mined.leader or order is None:
        return 0
    shop = _owner_of(ctx.draft, order)
    if not may_direct(ctx.draft, order.buyer, author, shop) or is_linked(ctx.draft, author, shop):
        return 0
    ctx.draft.put(MINED, order_id, mined._replace(leader=(author,)))
    _add_to_period(ctx, mined.period, led=mined.fee)
    change_earned(ctx, author, mined.period, led=mined.fee)
    change_earned(ctx, order.buyer, mined.period, led_out=mined.fee)
    ctx.list_under(REWARDED, rewarded_by(author, mined.period), order_id)
    return direct(ctx, order.buyer, author, order_id, seller=shop)


def on_final(ctx: Context, order_id: bytes) -> None:
    """The order counts, and for who brought it at the share of now (referral came before)."""
    mined, order = mine(ctx, order_id), ctx.draft.get(ORDER, order_id)
    to = None if mined is None else distributor_of(ctx.draft, order_id)
    if mined is None or order is None or to is None:
        return
    share = share_ppm(ctx.draft, to, order.buyer, order.total - order.refunded)
    changed = mined._replace(distributor=(to,), share_ppm=share)
    fees = _distributed(changed)
    ctx.draft.put(MINED, order_id, changed)
    _add_to_period(ctx, mined.period, distributed=fees)
    change_earned(ctx, to, mined.period, distributor=fees)
    ctx.list_under(REWARDED, rewarded_by(to, mined.period), order_id)


# The reviewer's part --------------------------------------------------------------------------


def _review_open(reader: Reader, mined: Mined, now_ms: int) -> bool:
    mining = mining_of(reader, mined.period)
    return not mining.is_closed or now_ms < mining.review_until_ms


def _line_value(reader: Reader, order_id: bytes, line: int) -> int:
    lines = reader.get(LINES, order_id)
    assert lines is not None and 0 <= line < len(lines.lines), "an order has its lines"
    _, quantity, unit_price, _ = lines.lines[line]
    return quantity * unit_price


def reviewer_share(reader: Reader, order_id: bytes, line: int) -> int:
    """What the first review of this line earns, in micro-MGS; 0 if it is too late or never was.

    While the order's period runs it is what it would be if the period ended now.
    """
    mined, order = reader.get(MINED, order_id), reader.get(ORDER, order_id)
    if mined is None or order is None or not _review_open(reader, mined, token_now(reader)):
        return 0
    rates = rates_of(reader, mined.period)
    return (
        part_of(rates, mined.fee, REVIEWER_BPS)
        * _line_value(reader, order_id, line)
        // (order.total)
    )


def pay_reviewer(ctx: Context, order_id: bytes, line: int, to: bytes, rep_bps: int) -> int:
    """The buyer has reviewed a line: its part is the buyer's. What it is by now, in micro-MGS.

    To be called once for a line: when it is reviewed, or in the hook `final` where it was reviewed
    before. 0 before the order is final, after the review window, for orders that do not count, for
    anyone but the buyer, and beyond the order's own total.
    """
    mined, order = mine(ctx, order_id), ctx.draft.get(ORDER, order_id)
    if mined is None or order is None or to != order.buyer:
        return 0
    reviewed = mined.reviewed + _line_value(ctx.draft, order_id, line) * rep_bps
    if reviewed > order.total * BPS or reviewed > INT_MAX:
        return 0
    if not _review_open(ctx.draft, mined, ctx.now(TOKEN_FAMILY)):
        return 0
    changed = mined._replace(reviewed=reviewed)
    ctx.draft.put(MINED, order_id, changed)
    fees = _reviewed_fee(changed, order.total) - _reviewed_fee(mined, order.total)
    before, after = change_earned(ctx, to, mined.period, reviewer=fees)
    rates = rates_of(ctx.draft, mined.period)
    amount = entitled(rates, after) - entitled(rates, before)
    if rates.is_closed:
        moved = min(amount, rates.reviews)
        # Refunds in between gave back by the account's sum, which rounds at other places: a unit
        # can be lacking. Below zero a reserve would take others' with it when it is returned.
        more = min(amount - moved, token_totals_of(ctx.draft).pool)
        if more:
            add_token_totals(ctx, pool=-more, reserved=more)
        _add_to_period(ctx, mined.period, reviews=-moved, claims=moved + more)
    else:
        _add_to_period(ctx, mined.period, reviewed=fees)
    return amount


def _distributed(mined: Mined) -> int:
    """The fee times the distributor's share, 0 where nobody brought the sale."""
    return mined.fee * mined.share_ppm // MICRO


def _reviewed_fee(mined: Mined, total: int) -> int:
    return mined.fee * mined.reviewed // (total * BPS)


def parts_of_order(
    reader: Reader, order_id: bytes, mined: Mined, rates: Mining
) -> Iterator[tuple[str, bytes, int]]:
    """(role, account, micro-MGS) of who earns on this order, for readers.

    Each part by itself, so that over many orders it can be less than the accounts' own sums by a
    micro-MGS an order.
    """
    order = reader.get(ORDER, order_id)
    assert order is not None, "what counts is an order"
    yield "buyer", order.buyer, part_of(rates, mined.fee, BUYER_BPS)
    yield "shop", _owner_of(reader, order), part_of(rates, mined.fee, SHOP_BPS)
    for distributor in mined.distributor:
        yield "distributor", distributor, part_of(rates, _distributed(mined), DISTRIBUTOR_BPS)
    if mined.reviewed:
        reviewed = _reviewed_fee(mined, order.total)
        yield "reviewer", order.buyer, part_of(rates, reviewed, REVIEWER_BPS)
    for leader in mined.leader:
        yield "leader", leader, led_part_of(rates, mined.fee)


# A sale is undone -----------------------------------------------------------------------------


def on_refunded(ctx: Context, order_id: bytes, order: Order) -> None:
    """After final, everybody gives back share(before) - share(after)."""
    mined = ctx.draft.get(MINED, order_id)
    if mined is None:
        return
    fee = min(0, fee_for_mining(order) - mined.fee)  # by so much it changes
    if not fee:
        return
    period = mined.period
    changed = mined._replace(fee=mined.fee + fee)
    ctx.draft.put(MINED, order_id, changed)
    distributed = _distributed(changed) - _distributed(mined)
    reviewed = _reviewed_fee(changed, order.total) - _reviewed_fee(mined, order.total)
    led = fee if mined.leader else 0
    is_closed = mining_of(ctx.draft, period).is_closed
    if not is_closed:
        _add_to_period(ctx, period, fees=fee, distributed=distributed, reviewed=reviewed, led=led)
    before, after = change_earned(
        ctx, order.buyer, period, buyer=fee, reviewer=reviewed, led_out=led
    )
    if is_closed:
        regrant(ctx, order.buyer, period, before, after)
    change_earned(ctx, _owner_of(ctx.draft, order), period, shop=fee)
    for distributor in mined.distributor:
        change_earned(ctx, distributor, period, distributor=distributed)
    for leader in mined.leader:
        change_earned(ctx, leader, period, led=led)


# A period closes ------------------------------------------------------------------------------


def on_period_closed(ctx: Context, index: int, _closed: object) -> None:
    """Fix the period's rates and reserve what its fees can claim."""
    before = ctx.draft.get(MINING, index)
    if before is None:
        return
    now_ms, params = ctx.now(TOKEN_FAMILY), ctx.params
    rates = before._replace(
        offer=token_totals_of(ctx.draft).pool * params["mining_emission_ppm"] // MICRO,
        kappa=kappa_of(params["mining_beta_bps"], params["mining_price_ref"]),
    )
    claims, reviews, voice = reserves_of(rates)
    reserved = claims + reviews + voice
    assert reserved <= bound_of(rates, rates.fees) <= rates.offer, "a period pays what it offers"
    add_token_totals(ctx, pool=-reserved, reserved=reserved)
    closed = rates._replace(
        claims=before.claims + claims,
        reviews=reviews,
        voice_until_ms=reserve_voice(ctx, voice),
        review_until_ms=now_ms + min(params["mining_review_ms"], params["mining_claim_ms"]),
        claim_until_ms=now_ms + params["mining_claim_ms"],
    )
    ctx.draft.put(MINING, index, closed)
    if reviews:
        ctx.schedule(closed.review_until_ms, numbered_id(b"reviews", index), TOKEN_FAMILY)
    if closed.claims or reviews:
        ctx.schedule(closed.claim_until_ms, numbered_id(b"claims", index), TOKEN_FAMILY)
    ctx.emit("rewards_fixed", index, rates.offer, rates.fees, rates.kappa, reserved)


def reserves_of(rates: Mining) -> tuple[int, int, int]:
    """(claims, reviews, voice): what is set aside for a period's fees, in micro-MGS."""
    whole = Earned(
        buyer=rates.fees, shop=rates.fees, distributor=rates.distributed,
        reviewer=rates.reviewed, led=rates.led, led_out=0, voice=0, claimed=0,
    )  # fmt: skip
    reviews = part_of(rates, rates.fees, REVIEWER_BPS) - part_of(
        rates, rates.reviewed, REVIEWER_BPS
    )
    voice = part_of(rates, rates.fees, VOICE_BPS) - led_part_of(rates, rates.led)
    return entitled(rates, whole), reviews, voice


def do_reviews(ctx: Context, period: int) -> None:
    """Lines that nobody reviewed in time: back to the pool."""
    mining = mining_of(ctx.draft, period)
    ctx.draft.put(MINING, period, mining._replace(reviews=0))
    _return(ctx, "reviews", period, mining.reviews)


def do_claims(ctx: Context, period: int) -> None:
    """What nobody claimed in time: back to the pool."""
    mining = mining_of(ctx.draft, period)
    ctx.draft.put(MINING, period, mining._replace(claims=0))
    _return(ctx, "claims", period, mining.claims)


def _return(ctx: Context, what: str, period: int, amount: int) -> None:
    add_token_totals(ctx, reserved=-amount, pool=amount)
    if amount:
        ctx.emit("rewards_returned", what, period, amount)
