"""For buyers, authors and shops: posts, communities, and what people say they would buy."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.lists import read_page
from rpc.results import (
    ADDRESS,
    AMOUNT,
    BOOL,
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
from state.tx.backings import ALL_DEMANDS, BACKINGS_OF, OF_CATEGORY, OF_POSTER
from state.tx.batches import BATCH
from state.tx.bindings import PARTNER
from state.tx.community import (
    ALL_COMMUNITIES,
    ALL_POSTS,
    COMMUNITIES_OF,
    NO_FIGURES,
    PLACE,
    POST,
    POST_FIGURES,
    POSTS_IN,
    POSTS_OF,
    Community,
    Post,
    is_member,
)
from state.tx.demand import BACKING, COMMUNITY, DEMAND, backer_of, open_of
from state.tx.moderation import moderation_of
from state.tx.offers import OFFER, OFFERS_FOR
from state.tx.orders import ORDER
from state.view import View

_Slug = Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=32)]


class _PostsParams(ListParams):
    author: Address | None = None
    community: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("author", "cursor", "limit")


class _CommunityParams(Params):
    community: Hash32
    account: Address | None = None


class _CommunitiesParams(ListParams):
    account: Address | None = None
    positions: ClassVar[tuple[str, ...]] = ("cursor", "limit")


class _DemandParams(Params):
    demand: Hash32


class _DemandsParams(ListParams):
    category: _Slug | None = None
    poster: Address | None = None
    open: bool = False
    positions: ClassVar[tuple[str, ...]] = ("category", "cursor", "limit")


class _OpenParams(Params):
    category: _Slug
    scene: _Slug | None = None


class _OffersParams(ListParams):
    demand: Hash32
    positions: ClassVar[tuple[str, ...]] = ("demand", "cursor", "limit")


class _BackerParams(ListParams):
    account: Address
    positions: ClassVar[tuple[str, ...]] = ("account", "cursor", "limit")


def _is_distributor(reader: Reader, row: Post) -> bool:
    """Whether the author has ever joined a shop whose lines or batches the post speaks of."""
    orders = [reader.get(ORDER, order_id) for order_id, _ in row.lines]
    batches = [reader.get(BATCH, batch_id) for batch_id in row.batches]
    shops = dict.fromkeys(found.shop for found in (*orders, *batches) if found is not None)
    return any(reader.get(PARTNER, (row.author, shop)) is not None for shop in shops)


def _post_json(view: View, post_id: bytes, hrp: str) -> dict[str, object]:
    row = view.reader.get(POST, post_id)
    assert row is not None, "what is listed is never removed"
    figures = view.reader.get(POST_FIGURES, post_id) or NO_FIGURES
    moderation = moderation_of(view.reader, post_id)
    return {
        "post": post_id.hex(),
        "author": address_text(row.author, hrp),
        "community": row.community[0].hex() if row.community else None,
        "text": "" if moderation.hidden else row.text,
        "content": row.content[0].hex() if row.content else None,
        "link": "" if moderation.hidden else row.link,
        "hidden": moderation.hidden or None,
        "reports": moderation.reports,
        "disclosure": row.disclosure,
        "is_distributor": _is_distributor(view.reader, row),
        "lines": [{"order": order.hex(), "line": line} for order, line in row.lines],
        "batches": [batch.hex() for batch in row.batches],
        "scene": row.scene,
        "posted_ms": row.posted_ms,
        "led": figures.led,
        "led_final": figures.led_final,
    }


async def _posts(ctx: Context, params: _PostsParams) -> object:
    if params.author is not None and params.community is not None:
        raise invalid_params("goes with community only by itself", field="author")
    number, owner = ALL_POSTS, b""
    if params.author is not None:
        number, owner = POSTS_OF, params.author
    elif params.community is not None:
        number, owner = POSTS_IN, params.community
    hrp = ctx.api.hrp
    return await read_page(
        ctx.api, number, owner, params, lambda view, post: _post_json(view, post, hrp)
    )


def _community_json(community: bytes, row: Community, hrp: str) -> dict[str, object]:
    return {
        "community": community.hex(),
        "founder": address_text(row.founder, hrp),
        "name": row.name,
        "about": row.about.hex(),
        "founded_ms": row.founded_ms,
        "members": row.members,
        "joined": row.joined,
        "posts": row.posts,
    }


async def _community(ctx: Context, params: _CommunityParams) -> object:
    with ctx.api.view() as view:
        row = view.reader.get(PLACE, params.community)
        if row is None:
            raise not_found("community")
        who = params.account
        return {
            "height": view.height,
            **_community_json(params.community, row, ctx.api.hrp),
            "member": None if who is None else is_member(view.reader, params.community, who),
        }


async def _communities(ctx: Context, params: _CommunitiesParams) -> object:
    def show(view: View, community: bytes) -> dict[str, object]:
        row = view.reader.get(PLACE, community)
        assert row is not None, "what is listed is never removed"
        return _community_json(community, row, ctx.api.hrp)

    number = ALL_COMMUNITIES if params.account is None else COMMUNITIES_OF
    return await read_page(ctx.api, number, params.account or b"", params, show)


def _demand_json(view: View, demand_id: bytes, hrp: str) -> dict[str, object]:
    row = view.reader.get(DEMAND, demand_id)
    assert row is not None, "what is listed is never removed"
    return {
        "demand": demand_id.hex(),
        "poster": address_text(row.poster, hrp),
        "category": row.category,
        "scene": row.scene,
        "description": row.description.hex(),
        "price": str(row.price),
        "deposit_bp": row.deposit_bp,
        "due_live_ms": live_at(view.reader, COMMUNITY, row.due_ms),
        "posted_ms": row.posted_ms,
        "open": row.open,
        "counted": row.counted,
        "pledged": row.pledged,
        "fulfilled": row.fulfilled,
        "backers": row.backers,
        "offers": row.offers,
    }


async def _demand(ctx: Context, params: _DemandParams) -> object:
    with ctx.api.view() as view:
        if view.reader.get(DEMAND, params.demand) is None:
            raise not_found("demand")
        return {"height": view.height, **_demand_json(view, params.demand, ctx.api.hrp)}


async def _demands(ctx: Context, params: _DemandsParams) -> object:
    if params.category is not None and params.poster is not None:
        raise invalid_params("goes with poster only by itself", field="category")
    number, owner = ALL_DEMANDS, b""
    if params.category is not None:
        number, owner = OF_CATEGORY, params.category.encode()
    elif params.poster is not None:
        number, owner = OF_POSTER, params.poster
    hrp = ctx.api.hrp

    def show(view: View, demand: bytes) -> dict[str, object] | None:
        shown = _demand_json(view, demand, hrp)
        return None if params.open and not shown["open"] else shown

    return await read_page(ctx.api, number, owner, params, show)


async def _open(ctx: Context, params: _OpenParams) -> object:
    with ctx.api.view() as view:
        row = open_of(view.reader, params.category, params.scene or "")
        return {
            "height": view.height,
            "category": params.category,
            "scene": params.scene,
            "demands": row.demands,
            "open": row.open,
            "counted": row.counted,
            "value": str(row.value),
        }


async def _offers(ctx: Context, params: _OffersParams) -> object:
    def show(view: View, offer_id: bytes) -> dict[str, object]:
        row = view.reader.get(OFFER, offer_id)
        assert row is not None, "what is listed is never removed"
        return {
            "offer": offer_id.hex(),
            "demand": row.demand.hex(),
            "shop": row.shop.hex(),
            "price": str(row.price),
            "quantity": row.quantity,
            "terms": row.terms.hex(),
            "made_ms": row.made_ms,
        }

    return await read_page(ctx.api, OFFERS_FOR, params.demand, params, show)


async def _backer(ctx: Context, params: _BackerParams) -> object:
    def show(view: View, backing_id: bytes) -> dict[str, object]:
        row = view.reader.get(BACKING, backing_id)
        assert row is not None, "what is listed is never removed"
        return {
            "backing": backing_id.hex(),
            "demand": row.demand.hex(),
            "quantity": row.quantity,
            "open": row.open,
            "pledged": row.pledged,
            "held": str(row.held),
            "counted": row.counted,
        }

    listed = await read_page(ctx.api, BACKINGS_OF, params.account, params, show)
    with ctx.api.view() as view:
        row = backer_of(view.reader, params.account)
    over = row.fulfilled + row.withdrawn + row.expired
    return {
        **listed,
        "backed": row.backed,
        "fulfilled": row.fulfilled,
        "withdrawn": row.withdrawn,
        "expired": row.expired,
        "kept_bp": 10_000 * row.fulfilled // over if over else None,
    }


_POST: Final[dict[str, Any]] = {
    "post": HASH, "author": ADDRESS, "community": nullable(HASH), "text": TEXT,
    "content": nullable(HASH), "link": TEXT, "hidden": nullable(TEXT), "reports": INT,
    "disclosure": TEXT, "is_distributor": BOOL,
    "lines": array(obj(order=HASH, line=INT)), "batches": array(HASH), "scene": TEXT,
    "posted_ms": TIME_MS, "led": INT, "led_final": INT,
}  # fmt: skip
_COMMUNITY: Final[dict[str, Any]] = {
    "community": HASH, "founder": ADDRESS, "name": TEXT, "about": HASH, "founded_ms": TIME_MS,
    "members": INT, "joined": INT, "posts": INT,
}  # fmt: skip
_DEMAND: Final[dict[str, Any]] = {
    "demand": HASH, "poster": ADDRESS, "category": TEXT, "scene": TEXT, "description": HASH,
    "price": AMOUNT, "deposit_bp": INT, "due_live_ms": TIME_MS, "posted_ms": TIME_MS, "open": INT,
    "counted": INT, "pledged": INT, "fulfilled": INT, "backers": INT, "offers": INT,
}  # fmt: skip

METHODS: Final = (
    Method(
        name="post_list",
        summary="All posts, those of an author or those in a community, oldest first.",
        params=_PostsParams,
        result=page(obj(**_POST)),
        run=_posts,
        cost=20,
    ),
    Method(
        name="community_get",
        summary="A community with its figures; with `account`, whether that is a member.",
        params=_CommunityParams,
        result=obj(height=HEIGHT, **_COMMUNITY, member=nullable(BOOL)),
        run=_community,
    ),
    Method(
        name="community_list",
        summary="All communities, or those an account has ever joined, oldest first.",
        params=_CommunitiesParams,
        result=page(obj(**_COMMUNITY)),
        run=_communities,
        cost=10,
    ),
    Method(
        name="demand_get",
        summary="A demand by the txid that posted it.",
        params=_DemandParams,
        result=obj(height=HEIGHT, **_DEMAND),
        run=_demand,
    ),
    Method(
        name="demand_list",
        summary="All demands, those of a category or of a poster, oldest first; with `open` those "
        "of which units are open, of the next 500: a page may be shorter than `limit` and go on.",
        params=_DemandsParams,
        result=page(obj(**_DEMAND)),
        run=_demands,
        cost=10,
    ),
    Method(
        name="demand_open",
        summary="Open demand of a category, or of one scene in it, to plan from: units backed, "
        "units backed by accounts with a final order, and what these would pay.",
        params=_OpenParams,
        result=obj(
            height=HEIGHT, category=TEXT, scene=nullable(TEXT), demands=INT, open=INT,
            counted=INT, value=AMOUNT,
        ),
        run=_open,
    ),
    Method(
        name="offer_list",
        summary="What shops offer for a demand, oldest first.",
        params=_OffersParams,
        result=page(
            obj(
                offer=HASH, demand=HASH, shop=HASH, price=AMOUNT, quantity=INT, terms=HASH,
                made_ms=TIME_MS,
            )
        ),
        run=_offers,
        cost=10,
    ),
    Method(
        name="backer_get",
        summary="What an account has backed, and how much of it it has kept (of 10,000).",
        params=_BackerParams,
        result=page(
            obj(
                backing=HASH, demand=HASH, quantity=INT, open=INT, pledged=INT, held=AMOUNT,
                counted=BOOL,
            ),
            backed=INT, fulfilled=INT, withdrawn=INT, expired=INT,
            kept_bp=nullable(INT),
        ),
        run=_backer,
        cost=10,
    ),
)  # fmt: skip
