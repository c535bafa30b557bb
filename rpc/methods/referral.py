"""For distributors and those who join them: figures, partners, bindings, terms, storefronts."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.lists import read_page
from rpc.results import (
    ADDRESS,
    AMOUNT,
    HASH,
    HEIGHT,
    INT,
    TEXT,
    TIME_MS,
    array,
    nullable,
    obj,
    page,
)
from rpc.schema import Address, Hash32, ListParams, Params
from state.context import live_at
from state.draft import Reader
from state.tx.accounts import RECRUITED
from state.tx.bindings import (
    AGREEMENT,
    BINDING,
    FAMILY_NUMBER,
    PARTNER,
    Campaign,
    campaign_of,
    family_now,
    program_of,
    share_of,
)
from state.tx.gateways import GATEWAY
from state.tx.growth import LEVELS, Growth, growth_of, level_of, share_at
from state.tx.keys import keys_set
from state.tx.orders import SHOP
from state.tx.referral import ALL_FRONTS, FRONTS_OF, JOINED_AT, JOINED_BY, RECRUITS_OF, STOREFRONT
from state.view import View


class _DistributorParams(Params):
    distributor: Address


class _PartnersParams(ListParams):
    distributor: Address | None = None
    shop: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("distributor", "cursor", "limit")


class _RecruitsParams(ListParams):
    recruiter: Address
    positions: ClassVar[tuple[str, ...]] = ("recruiter", "cursor", "limit")


class _BindingParams(Params):
    buyer: Address
    shop: Hash32


class _ShopParams(Params):
    shop: Hash32


class _FrontParams(Params):
    storefront: Hash32


class _FrontsParams(ListParams):
    owner: Address | None = None
    positions: ClassVar[tuple[str, ...]] = ("cursor", "limit")


def _growth_json(growth: Growth) -> dict[str, object]:
    return {
        "ever": {
            "orders": growth.orders_ever,
            "buyers": growth.buyers_ever,
            "volume": str(growth.volume_ever),
            "refunded": str(growth.refunded_ever),
        },
        "last_360_days": {
            "orders": growth.orders,
            "buyers": growth.buyers,
            "volume": str(growth.volume),
            "gross": str(growth.gross),
            "refunded": str(growth.refunded),
        },
    }


def _level_json(number: int) -> dict[str, object]:
    level = LEVELS[number]
    return {
        "level": number,
        "orders": level.orders,
        "buyers": level.buyers,
        "volume": str(level.volume),
        "refunds_pct": level.refunds_pct,
        "since_first_ms": level.since_first_ms,
        "level_bps": level.level_bps,
    }


async def _distributor(ctx: Context, params: _DistributorParams) -> object:
    who = params.distributor
    with ctx.api.view() as view:
        joined, _ = view.list_page(JOINED_BY, who, limit=1)
        if not joined:
            raise not_found("distributor")
        growth = growth_of(view.reader, who)
        number = level_of(growth, family_now(view.reader))
        keys = keys_set(view.reader, who)
        recruited = view.reader.get(RECRUITED, who)
        return {
            "height": view.height,
            "distributor": address_text(who, ctx.api.hrp),
            "level": number,
            "level_bps": LEVELS[number].level_bps,
            "share_ppm": share_at(growth.volume),
            "next": _level_json(number + 1) if number + 1 < len(LEVELS) else None,
            "first_final_live_ms": growth.first_final_ms or None,
            **_growth_json(growth),
            "keys_since": keys.since_ms or None,
            "times_keys_replaced": keys.times,
            "recruited_by": [
                address_text(by, ctx.api.hrp) for by in (recruited.by if recruited else ())
            ],
        }


def _live(reader: Reader, at_ms: int) -> int:
    """A time to come on the family's clock as live time."""
    return live_at(reader, FAMILY_NUMBER, at_ms)


def _agreement_json(reader: Reader, who: bytes, shop_id: bytes) -> dict[str, object] | None:
    row = reader.get(AGREEMENT, (who, shop_id))
    if row is None:
        return None
    coming = family_now(reader) < row.next_from_ms
    return {
        "terms": row.terms.hex(),
        "notice_ms": row.notice_ms,
        "campaign": row.campaign.hex() or None,
        "coming_share_bp": row.next_share_bp if coming else None,
        "coming_from_live_ms": _live(reader, row.next_from_ms) if coming else None,
    }


def _partner_json(view: View, who: bytes, shop_id: bytes, hrp: str) -> dict[str, object]:
    partner = view.reader.get(PARTNER, (who, shop_id))
    assert partner is not None, "the list says so"
    return {
        "distributor": address_text(who, hrp),
        "shop": shop_id.hex(),
        "joined_ms": partner.joined_ms,
        "recruiter": address_text(partner.recruiter[0], hrp) if partner.recruiter else None,
        "share_bp": share_of(view.reader, who, shop_id, family_now(view.reader)),
        "agreement": _agreement_json(view.reader, who, shop_id),
        "promised": str(partner.promised),
        "accrued": str(partner.accrued),
        "reversed": str(partner.reversed),
        "paid": str(partner.paid),
        "owed": str(partner.owed),
    }


async def _partners(ctx: Context, params: _PartnersParams) -> object:
    who, shop = params.distributor, params.shop
    if who is not None and shop is None:
        return await read_page(
            ctx.api, JOINED_BY, who, params,
            lambda view, shop_id: _partner_json(view, who, shop_id, ctx.api.hrp),
        )  # fmt: skip
    if shop is not None and who is None:
        return await read_page(
            ctx.api, JOINED_AT, shop, params,
            lambda view, address: _partner_json(view, address, shop, ctx.api.hrp),
        )  # fmt: skip
    raise invalid_params("one of distributor and shop")


async def _recruits(ctx: Context, params: _RecruitsParams) -> object:
    return await read_page(
        ctx.api, RECRUITS_OF, params.recruiter, params,
        lambda _view, address: {"distributor": address_text(address, ctx.api.hrp)},
    )  # fmt: skip


async def _binding(ctx: Context, params: _BindingParams) -> object:
    with ctx.api.view() as view:
        row = view.reader.get(BINDING, (params.buyer, params.shop))
        if row is None:
            raise not_found("binding")
        return {
            "height": view.height,
            "buyer": address_text(params.buyer, ctx.api.hrp),
            "shop": params.shop.hex(),
            "distributor": address_text(row.distributor, ctx.api.hrp),
            "share_bp": row.share_bp,
            "campaign": row.campaign.hex() or None,
            "made_live_ms": row.made_ms,
            "until_live_ms": _live(view.reader, row.until_ms),
            "expired": family_now(view.reader) >= row.until_ms,
        }


def _campaign_json(reader: Reader, campaign_id: bytes) -> dict[str, object]:
    row: Campaign = campaign_of(reader, campaign_id)
    return {
        "campaign": campaign_id.hex() or None,
        "binding_ms": row.binding_ms,
        "campaign_cap": str(row.campaign_cap) if row.campaign_cap else None,
        "person_cap": str(row.person_cap) if row.person_cap else None,
        "shop_cap": str(row.shop_cap) if row.shop_cap else None,
    }


async def _program(ctx: Context, params: _ShopParams) -> object:
    with ctx.api.view() as view:
        if view.reader.get(SHOP, params.shop) is None:
            raise not_found("shop")
        program = program_of(view.reader, params.shop)
        now_ms = family_now(view.reader)
        coming = program.next_campaign if now_ms < program.next_from_ms else b""
        return {
            "height": view.height,
            "shop": params.shop.hex(),
            "distributors": program.distributors,
            "campaign": _campaign_json(view.reader, program.campaign_at(now_ms)),
            "coming": _campaign_json(view.reader, coming) if coming else None,
            "coming_from_live_ms": _live(view.reader, program.next_from_ms) if coming else None,
        }


def _front_json(view: View, front_id: bytes, hrp: str) -> dict[str, object]:
    row = view.reader.get(STOREFRONT, front_id)
    if row is None:
        raise not_found("storefront")
    countries: dict[str, None] = {}
    for shop_id in dict.fromkeys(shop_id for shop_id, _ in row.items):
        shop = view.reader.get(SHOP, shop_id)
        gateway = view.reader.get(GATEWAY, shop.gateway) if shop else None
        if gateway is not None:
            countries[gateway.country] = None
    return {
        "storefront": front_id.hex(),
        "owner": address_text(row.owner, hrp),
        "name": row.name,
        "opened_ms": row.opened_ms,
        "version": row.version,
        "countries": sorted(countries),
        "items": [{"shop": shop_id.hex(), "sku": sku} for shop_id, sku in row.items],
    }


async def _front(ctx: Context, params: _FrontParams) -> object:
    with ctx.api.view() as view:
        return {"height": view.height, **_front_json(view, params.storefront, ctx.api.hrp)}


async def _fronts(ctx: Context, params: _FrontsParams) -> object:
    number, owner = (ALL_FRONTS, b"") if params.owner is None else (FRONTS_OF, params.owner)
    return await read_page(
        ctx.api, number, owner, params,
        lambda view, front_id: _front_json(view, front_id, ctx.api.hrp),
    )  # fmt: skip


_LEVEL: Final = obj(
    level=INT, orders=INT, buyers=INT, volume=AMOUNT, refunds_pct=INT, since_first_ms=INT,
    level_bps=INT,
)  # fmt: skip
_PARTNER: Final = obj(
    distributor=ADDRESS, shop=HASH, joined_ms=TIME_MS, recruiter=nullable(ADDRESS), share_bp=INT,
    agreement=nullable(
        obj(terms=HASH, notice_ms=INT, campaign=nullable(HASH), coming_share_bp=nullable(INT),
            coming_from_live_ms=nullable(TIME_MS))
    ),
    promised=AMOUNT, accrued=AMOUNT, reversed=AMOUNT, paid=AMOUNT, owed=AMOUNT,
)  # fmt: skip
_CAMPAIGN: Final = obj(
    campaign=nullable(HASH), binding_ms=INT, campaign_cap=nullable(AMOUNT),
    person_cap=nullable(AMOUNT), shop_cap=nullable(AMOUNT),
)  # fmt: skip
_FRONT: Final[dict[str, Any]] = {
    "storefront": HASH, "owner": ADDRESS, "name": TEXT, "opened_ms": TIME_MS, "version": INT,
    "countries": array(TEXT), "items": array(obj(shop=HASH, sku=TEXT)),
}  # fmt: skip

METHODS: Final = (
    Method(
        name="distributor_get",
        summary="A distributor's figures for ever and of the last 360 days, its level, and the"
        " share of the distributor's part of rewards at its volume (ppm).",
        params=_DistributorParams,
        result=obj(
            height=HEIGHT, distributor=ADDRESS, level=INT, level_bps=INT,
            share_ppm=INT, next=nullable(_LEVEL),
            first_final_live_ms=nullable(TIME_MS),
            ever=obj(orders=INT, buyers=INT, volume=AMOUNT, refunded=AMOUNT),
            last_360_days=obj(
                orders=INT, buyers=INT, volume=AMOUNT, gross=AMOUNT, refunded=AMOUNT
            ),
            keys_since=nullable(TIME_MS), times_keys_replaced=INT, recruited_by=array(ADDRESS),
        ),
        run=_distributor,
        cost=2,
    ),
    Method(
        name="partner_list",
        summary="Where a distributor works, or who works for a shop: share, commissions, debt.",
        params=_PartnersParams,
        result=page(_PARTNER),
        run=_partners,
        cost=10,
    ),
    Method(
        name="recruit_list",
        summary="Whom somebody recruited, oldest first; once for each shop.",
        params=_RecruitsParams,
        result=page(obj(distributor=ADDRESS)),
        run=_recruits,
        cost=10,
    ),
    Method(
        name="binding_get",
        summary="Who brought a buyer to a shop, at which share, until when.",
        params=_BindingParams,
        result=obj(
            height=HEIGHT, buyer=ADDRESS, shop=HASH, distributor=ADDRESS, share_bp=INT,
            campaign=nullable(HASH), made_live_ms=TIME_MS, until_live_ms=TIME_MS,
            expired={"type": "boolean"},
        ),
        run=_binding,
    ),
    Method(
        name="program_get",
        summary="What a shop offers distributors: the campaign in force and the coming one.",
        params=_ShopParams,
        result=obj(
            height=HEIGHT, shop=HASH, distributors=INT, campaign=_CAMPAIGN,
            coming=nullable(_CAMPAIGN), coming_from_live_ms=nullable(TIME_MS),
        ),
        run=_program,
    ),
    Method(
        name="storefront_get",
        summary="A storefront: lines of several shops, and the countries they are in.",
        params=_FrontParams,
        result=obj(height=HEIGHT, **_FRONT),
        run=_front,
        cost=5,
    ),
    Method(
        name="storefront_list",
        summary="All storefronts, or those of an owner, oldest first.",
        params=_FrontsParams,
        result=page(obj(**_FRONT)),
        run=_fronts,
        cost=20,
    ),
)  # fmt: skip
