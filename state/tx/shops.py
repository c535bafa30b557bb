"""Shops: permanent public records with terms, figures and what their gateway vouches for.

Law: a shop's figures are the sums over its orders. Terms stand within the bounds of the code;
new ones hold from `shop_notice_ms` later, so that nobody buys under terms that changed overnight,
and an order keeps those of its payment. The arbiter is listed by governance and unlinked to shop
and gateway; it is asked again at each ruling, since links can come later. Part of the orders
family.

A shop never owes: what its balance does not cover of a refund is paid by its gateway, up to the
sum that the gateway vouches for, out of the operator's account, or the refund is refused whole.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import CLOCK, Context, Fields, family_ms, pause_of, time_bounds
from state.draft import Reader
from state.table import Table, bytes_key, pair_key, text_key
from state.tx.accounts import FROZEN, account_of, check_free, is_frozen, is_linked
from state.tx.gateways import (
    ARBITER,
    GATEWAY,
    UNKNOWN_GATEWAY,
    chain_of,
    check_active,
    is_listed,
)
from state.tx.sums import with_more

UNKNOWN_SHOP: Final = (201, "UNKNOWN_SHOP")
NOT_SHOP: Final = (204, "NOT_SHOP")
TERMS_OUT_OF_BOUNDS: Final = (207, "TERMS_OUT_OF_BOUNDS")
ARBITER_NOT_LISTED: Final = (208, "ARBITER_NOT_LISTED")
ARBITER_LINKED: Final = (209, "ARBITER_LINKED")
NOT_ITS_GATEWAY: Final = (216, "NOT_ITS_GATEWAY")

ALL_SHOPS, OF_OWNER = 18, 19  # lists
BPS: Final = 10_000
COMMISSION_BP_MAX: Final = 5_000
_FAMILY: Final = 2
_DAY_MS = 24 * 3_600_000
# (term, lowest, highest); times in ms.
_TIME_TERMS: Final = (
    ("ship_within_ms", 3_600_000, 14 * _DAY_MS),
    ("complete_after_ms", 21 * _DAY_MS, 90 * _DAY_MS),
    ("return_window_ms", 14 * _DAY_MS, 90 * _DAY_MS),
)
_SHARE_TERMS: Final = (("holdback_bp", 0, BPS), ("commission_bp", 0, COMMISSION_BP_MAX))


class Shop(NamedTuple):
    """A shop, under the txid that opened it. Read its terms through `terms_now`."""

    owner: bytes
    name: str
    gateway: str
    opened_ms: int
    ship_within_ms: int
    complete_after_ms: int
    return_window_ms: int
    holdback_bp: int
    commission_bp: int
    arbiter: bytes
    # () or (from when on the family's clock, the six terms in the order above): announced.
    coming: tuple[tuple[int, tuple[int, int, int, int, int, bytes]], ...]


class ShopFigures(NamedTuple):
    """What a shop did so far. Cancelled orders count in no sum of money: paying and cancelling
    for ever moves no figure but its own.
    """

    orders: int
    cancelled: int
    completed: int
    final: int
    paid: int  # micro-dollars ever paid in
    refunded: int  # micro-dollars ever given back
    referred_paid: int  # of these two, the sales on which a distributor had a claim
    referred_refunded: int
    final_volume: int  # what the shop keeps of its final orders
    disputes: int
    disputes_lost: int


class Vouch(NamedTuple):
    """What the shop's gateway still pays of its refunds, micro-dollars."""

    left: int


class Served(NamedTuple):
    """Final orders that went to a country or were thought in a currency, and paid a whole fee."""

    orders: int


SHOP: Final[Table[bytes, Shop]] = Table(32, "orders/shop", Shop, bytes_key())
FIGURES: Final[Table[bytes, ShopFigures]] = Table(36, "orders/figures", ShopFigures, bytes_key())
VOUCH: Final[Table[bytes, Vouch]] = Table(37, "orders/vouch", Vouch, bytes_key())
# Key: (shop, code of two letters for a country, of three for a currency).
SERVED: Final[Table[tuple[bytes, str], Served]] = Table(
    38, "orders/served", Served, pair_key(bytes_key(), text_key())
)
NO_FIGURES: Final = ShopFigures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def figures_of(reader: Reader, shop_id: bytes) -> ShopFigures:
    """The shop's figures; zeros before its first order."""
    return reader.get(FIGURES, shop_id) or NO_FIGURES


def add_figures(ctx: Context, shop_id: bytes, **more: int) -> None:
    """More of some of a shop's figures, or less."""
    ctx.draft.put(FIGURES, shop_id, with_more(figures_of(ctx.draft, shop_id), **more))


def terms_now(reader: Reader, shop: Shop) -> Shop:
    """The shop with the terms that hold in this block, what was announced taken in if it is due."""
    if not shop.coming:
        return shop
    ((from_ms, terms),) = shop.coming
    clock = reader.get(CLOCK, b"")
    assert clock is not None, "the genesis sets the clock"
    if family_ms(pause_of(reader, _FAMILY), clock.live_ms) < from_ms:
        return shop
    ship, complete, window, holdback_bp, commission_bp, arbiter = terms
    return shop._replace(
        ship_within_ms=ship,
        complete_after_ms=complete,
        return_window_ms=window,
        holdback_bp=holdback_bp,
        commission_bp=commission_bp,
        arbiter=arbiter,
        coming=(),
    )


def check_owner(ctx: Context, shop: Shop) -> None:
    """`NOT_SHOP` unless the sender is its owner."""
    if shop.owner != ctx.sender:
        raise Rejected(NOT_SHOP)


def check_arbiter(reader: Reader, arbiter: bytes, gateway: str, *parties: bytes) -> None:
    """`ARBITER_NOT_LISTED`, or `ARBITER_LINKED` to a party or to who operates the gateway."""
    if not is_listed(reader, ARBITER, arbiter):
        raise Rejected(ARBITER_NOT_LISTED)
    row = reader.get(GATEWAY, gateway)
    assert row is not None, "a gateway is never removed"
    if is_linked(reader, arbiter, row.operator, *parties):
        raise Rejected(ARBITER_LINKED)


def _check_terms(ctx: Context, times: tuple[int, ...], bps: tuple[int, ...]) -> None:
    network = chain_of(ctx.draft).network
    bounds = [(term, *time_bounds(network, low, high)) for term, low, high in _TIME_TERMS]
    for (term, lowest, highest), value in zip(
        [*bounds, *_SHARE_TERMS], [*times, *bps], strict=True
    ):
        if not lowest <= value <= highest:
            raise Rejected(TERMS_OUT_OF_BOUNDS, term=term, lowest=lowest, highest=highest)


def apply_shop_open(ctx: Context, fields: Fields) -> None:
    """A shop under a gateway, whose operator signs too."""
    name, gateway_, ship, complete, window, holdback_bp, commission_bp, arbiter = fields
    gateway = ctx.require(GATEWAY, gateway_, UNKNOWN_GATEWAY, gateway=gateway_)
    check_active(gateway_, gateway)
    _check_terms(ctx, (ship, complete, window), (holdback_bp, commission_bp))
    check_arbiter(ctx.draft, arbiter, gateway_, ctx.sender)
    # From here on nothing can fail.
    shop = Shop(
        owner=ctx.sender,
        name=name,
        gateway=gateway_,
        opened_ms=ctx.time_ms,
        ship_within_ms=ship,
        complete_after_ms=complete,
        return_window_ms=window,
        holdback_bp=holdback_bp,
        commission_bp=commission_bp,
        arbiter=arbiter,
        coming=(),
    )
    ctx.draft.put(SHOP, ctx.object_id, shop)
    ctx.list_under(ALL_SHOPS, b"", ctx.object_id)
    ctx.list_under(OF_OWNER, ctx.sender, ctx.object_id)
    ctx.involve(gateway.operator)
    ctx.emit("shop_opened", ctx.object_id, ctx.sender, name, gateway_)


def shop_open_cosigners(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    """The operator of the gateway under which the shop opens."""
    gateway = reader.get(GATEWAY, fields[1])
    return () if gateway is None else (gateway.operator,)


def apply_shop_terms(ctx: Context, fields: Fields) -> None:
    """New terms for orders to come, from `shop_notice_ms` on; they replace what was announced."""
    shop_id, ship, complete, window, holdback_bp, commission_bp, arbiter = fields
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    check_owner(ctx, shop)
    _check_terms(ctx, (ship, complete, window), (holdback_bp, commission_bp))
    check_arbiter(ctx.draft, arbiter, shop.gateway, shop.owner)
    # From here on nothing can fail.
    from_ms = ctx.now(_FAMILY) + ctx.params["shop_notice_ms"]
    coming = ((from_ms, fields[1:]),)
    ctx.draft.put(SHOP, shop_id, terms_now(ctx.draft, shop)._replace(coming=coming))
    ctx.emit("shop_terms_announced", shop_id, from_ms)


def apply_shop_vouch(ctx: Context, fields: Fields) -> None:
    """The shop's gateway pays what its balance lacks in refunds, up to a sum; 0 ends it."""
    shop_id, left = fields
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    gateway = ctx.draft.get(GATEWAY, shop.gateway)
    assert gateway is not None, "a gateway is never removed"
    if gateway.operator != ctx.sender:
        raise Rejected(NOT_ITS_GATEWAY, gateway=shop.gateway)
    if left:
        check_free(ctx.draft, ctx.sender)
    # From here on nothing can fail.
    if left:
        ctx.draft.put(VOUCH, shop_id, Vouch(left))
    else:
        ctx.draft.delete(VOUCH, shop_id)
    ctx.involve(shop.owner)
    ctx.emit("shop_vouched", shop_id, left)


def vouched_for(reader: Reader, shop_id: bytes, shop: Shop) -> tuple[bytes, int]:
    """(operator, what it would pay of a refund now): at most what it vouches for and what it has.

    Nothing where the shop is its own gateway: there is one balance only; and nothing while the
    operator is frozen, or a thief's dollars would leave by the refunds of a friend's shop.
    """
    gateway = reader.get(GATEWAY, shop.gateway)
    assert gateway is not None, "a gateway is never removed"
    operator, vouch = gateway.operator, reader.get(VOUCH, shop_id)
    if vouch is None or operator == shop.owner:
        return operator, 0
    account = account_of(reader, operator)
    if account.flags & FROZEN and is_frozen(reader, operator):
        return operator, 0
    return operator, min(vouch.left, account.dollar)


def use_vouch(ctx: Context, shop_id: bytes, amount: int) -> None:
    """So much of it has been paid."""
    vouch = ctx.draft.get(VOUCH, shop_id)
    assert vouch is not None and vouch.left >= amount, "it was asked for before"
    if vouch.left == amount:
        ctx.draft.delete(VOUCH, shop_id)
    else:
        ctx.draft.put(VOUCH, shop_id, Vouch(vouch.left - amount))


def count_served(ctx: Context, shop_id: bytes, codes: tuple[str, ...]) -> None:
    """One more final order for a country and a currency."""
    for code in codes:
        before = ctx.draft.get(SERVED, (shop_id, code))
        ctx.draft.put(SERVED, (shop_id, code), Served(before.orders + 1 if before else 1))
