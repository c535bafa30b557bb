"""For buyers, authors and shops: reviews with their history, ratings, and who leads."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mgsnode.base.address import address_text
from mgsnode.base.limits import INT_MAX
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
    TOKENS,
    array,
    nullable,
    obj,
    page,
)
from rpc.schema import Address, Hash32, ListParams, Params
from state.tx.bindings import PARTNER
from state.tx.moderation import moderation_of
from state.tx.opinions import ENTRY, REVIEW, WORDS, Review, author_of
from state.tx.periods import period_of
from state.tx.ratings import rating_of
from state.tx.reviewing import OF_AUTHOR, OF_ORDER, OF_SHOP
from state.tx.voice import voice_left
from state.tx.votes import LEADER, heard_of
from state.view import View

_LEADERS_MAX: Final = 100
_PERIODS_SHOWN: Final = 30  # of an author's page: the running one and those before it


class _ReviewParams(Params):
    review: Hash32


class _ReviewsParams(ListParams):
    shop: Hash32 | None = None
    author: Address | None = None
    order: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("shop", "cursor", "limit")


class _ShopParams(Params):
    shop: Hash32


class _AuthorParams(Params):
    author: Address


class _LeadersParams(Params):
    period: Annotated[int, Field(ge=0, le=INT_MAX, strict=True)] | None = None
    limit: Annotated[int, Field(ge=1, le=_LEADERS_MAX, strict=True)] = 20


def _json(view: View, review_id: bytes, row: Review, hrp: str) -> dict[str, object]:
    words = view.reader.get(WORDS, review_id)
    assert words is not None, "what was said stays"
    moderation = moderation_of(view.reader, review_id)
    joined = view.reader.get(PARTNER, (row.author, row.shop)) is not None
    return {
        "review": review_id.hex(),
        "author": address_text(row.author, hrp),
        "order": row.order.hex(),
        "line": row.line,
        "shop": row.shop.hex(),
        "rating": row.rating,
        "service_rating": row.service or None,
        "text": "" if moderation.hidden else words.text,
        "content": words.content[0].hex() if words.content else None,
        "link": "" if moderation.hidden else words.link,
        "hidden": moderation.hidden or None,
        "reports": moderation.reports,
        "disclosure": row.disclosure,
        "is_distributor": row.is_distributor or joined,
        "scene": row.scene,
        "weight": str(row.weight),
        "counted": str(row.counted),
        "written_ms": row.written_ms,
        "entries": row.entries,
        "helpful": str(row.helpful),
        "unhelpful": str(row.unhelpful),
        "votes": row.votes,
    }


async def _review(ctx: Context, params: _ReviewParams) -> object:
    with ctx.api.view() as view:
        row = view.reader.get(REVIEW, params.review)
        if row is None:
            raise not_found("review")
        is_hidden = bool(moderation_of(view.reader, params.review).hidden)
        history = [
            {
                "by": "shop" if entry.is_answer else "author",
                "rating": entry.rating or None,
                "text": "" if is_hidden and not entry.is_answer else entry.text,
                "written_ms": entry.written_ms,
            }
            for _, entry in view.reader.items(ENTRY, params.review)
        ]
        shown = _json(view, params.review, row, ctx.api.hrp)
        return {"height": view.height, **shown, "history": history}


async def _reviews(ctx: Context, params: _ReviewsParams) -> object:
    filters = [
        (number, owner)
        for number, owner in (
            (OF_SHOP, params.shop), (OF_AUTHOR, params.author), (OF_ORDER, params.order),
        )
        if owner is not None
    ]  # fmt: skip
    if len(filters) != 1:
        raise invalid_params("one of shop, author and order is needed", field="shop")
    number, owner = filters[0]
    hrp = ctx.api.hrp

    def show(view: View, review_id: bytes) -> dict[str, object]:
        row = view.reader.get(REVIEW, review_id)
        assert row is not None, "what is listed is never removed"
        return _json(view, review_id, row, hrp)

    return await read_page(ctx.api, number, owner, params, show)


async def _rating(ctx: Context, params: _ShopParams) -> object:
    with ctx.api.view() as view:
        if view.shop(params.shop) is None:
            raise not_found("shop")
        rating = rating_of(view.reader, params.shop)
        count = rating.service_count
        return {
            "height": view.height,
            "shop": params.shop.hex(),
            "milli_stars": rating.milli_stars,
            "weight": str(rating.weight),
            "reviews": rating.reviews,
            "stars": list(rating.stars),
            "service_milli_stars": 1_000 * rating.service_sum // count if count else None,
        }


async def _author(ctx: Context, params: _AuthorParams) -> object:
    with ctx.api.view() as view:
        period = period_of(view.reader).number
        figures = author_of(view.reader, params.author)
        heard = [
            {"period": number, "voice": str(row.voice), "voters": row.voters}
            for number in range(max(0, period - _PERIODS_SHOWN + 1), period + 1)
            if (row := heard_of(view.reader, number, params.author)).voters
        ]
        return {
            "height": view.height,
            "author": address_text(params.author, ctx.api.hrp),
            "reviews": figures.reviews,
            "votes": figures.votes,
            "helpful": str(figures.helpful),
            "unhelpful": str(figures.unhelpful),
            "voice_left": str(voice_left(view.reader, params.author)),
            "heard": heard,
        }


async def _leaders(ctx: Context, params: _LeadersParams) -> object:
    return await asyncio.to_thread(_read_leaders, ctx, params)


def _read_leaders(ctx: Context, params: _LeadersParams) -> dict[str, object]:
    with ctx.api.view() as view:
        running = period_of(view.reader).number
        period = running if params.period is None else params.period
        items: list[dict[str, object]] = []
        for (_, author), _ in view.reader.items(LEADER, period.to_bytes(8, "big")):
            heard = heard_of(view.reader, period, author)
            items.append(
                {
                    "author": address_text(author, ctx.api.hrp),
                    "voice": str(heard.voice),
                    "voters": heard.voters,
                }
            )
            if len(items) == params.limit:
                break
        return {"height": view.height, "period": period, "running": running, "items": items}


_REVIEW: Final[dict[str, Any]] = {
    "review": HASH, "author": ADDRESS, "order": HASH, "line": INT, "shop": HASH, "rating": INT,
    "service_rating": nullable(INT), "text": TEXT, "content": nullable(HASH), "link": TEXT,
    "hidden": nullable(TEXT), "reports": INT, "disclosure": TEXT, "is_distributor": BOOL,
    "scene": TEXT, "weight": AMOUNT, "counted": AMOUNT, "written_ms": TIME_MS, "entries": INT,
    "helpful": TOKENS, "unhelpful": TOKENS, "votes": INT,
}  # fmt: skip
_ENTRY: Final = obj(by=TEXT, rating=nullable(INT), text=TEXT, written_ms=TIME_MS)

METHODS: Final = (
    Method(
        name="review_get",
        summary="A review by its txid, with its follow-ups and the shop's answers.",
        params=_ReviewParams,
        result=obj(height=HEIGHT, **_REVIEW, history=array(_ENTRY)),
        run=_review,
        cost=2,
    ),
    Method(
        name="review_list",
        summary="The reviews of a shop, by an author or of an order, oldest first.",
        params=_ReviewsParams,
        result=page(obj(**_REVIEW)),
        run=_reviews,
        cost=10,
    ),
    Method(
        name="rating_get",
        summary="A shop's rating: a Bayesian mean in thousandths of a star, and its sums.",
        params=_ShopParams,
        result=obj(
            height=HEIGHT, shop=HASH, milli_stars=INT, weight=AMOUNT, reviews=INT,
            stars=array(INT), service_milli_stars=nullable(INT),
        ),
        run=_rating,
    ),
    Method(
        name="author_get",
        summary="An author: what the reviews came to, the voice given in the last 30 periods, and "
        "the voice that is left to give.",
        params=_AuthorParams,
        result=obj(
            height=HEIGHT, author=ADDRESS, reviews=INT, votes=INT, helpful=TOKENS,
            unhelpful=TOKENS, voice_left=TOKENS,
            heard=array(obj(period=INT, voice=TOKENS, voters=INT)),
        ),
        run=_author,
        cost=3,
    ),
    Method(
        name="leader_list",
        summary="The opinion leaders of a period (the running one), most voice first: authors to "
        "whom at least ten unlinked voters directed some of theirs.",
        params=_LeadersParams,
        result=obj(
            height=HEIGHT, period=INT, running=INT,
            items=array(obj(author=ADDRESS, voice=TOKENS, voters=INT)),
        ),
        run=_leaders,
        cost=5,
    ),
)  # fmt: skip
