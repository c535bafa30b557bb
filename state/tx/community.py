"""Community: posts, the places where people meet, and what they say they would buy.

Law: a community's figures are the sums of its memberships and posts; demand has laws of its own
(`demand.py`, `demand_laws.py`). A post is text, or the hash of something with a link; it says what
its author got for it, which lines, batches and scene it speaks of, and the chain adds whether the
author has ever joined one of those shops as a distributor. Nothing is paid for membership. Anyone
may found a community; joining and leaving are free beyond the transaction's fee; posting in one
needs membership. Nothing is ever deleted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, NAME_BYTES_MAX
from state.context import Context, Fields, ParamSpec
from state.draft import Reader
from state.fields import (
    Address,
    Amount,
    Choice,
    Hash32,
    Int,
    ListOf,
    Optional,
    Slug,
    Struct,
    Text,
)
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key, pair_key
from state.tx import backings, demand, demand_laws, offers, pledges
from state.tx.backings import BPS
from state.tx.demand import COMMUNITY, DAY_MS, QUANTITY_MAX
from state.tx.orders import LINES, ORDER, Order, Shop

UNKNOWN_COMMUNITY: Final = (711, "UNKNOWN_COMMUNITY")
MEMBER_ALREADY: Final = (712, "MEMBER_ALREADY")
NOT_MEMBER: Final = (713, "NOT_MEMBER")
EMPTY_POST: Final = (714, "EMPTY_POST")
UNKNOWN_POST_LINE: Final = (715, "UNKNOWN_POST_LINE")

POST_BYTES_MAX: Final = 2_000
LINK_BYTES_MAX: Final = 512
POST_LINES_MAX: Final = 16
POST_BATCHES_MAX: Final = 16
ALL_POSTS, POSTS_OF, POSTS_IN, ALL_COMMUNITIES, COMMUNITIES_OF = 117, 118, 119, 120, 121  # lists
DISCLOSURES: Final = ("none", "gift", "commission", "employee")


class Post(NamedTuple):
    """A post, under its txid."""

    author: bytes
    community: tuple[bytes, ...]  # () or the one it stands in
    text: str
    content: tuple[bytes, ...]  # () or the hash of what the link leads to
    link: str
    disclosure: str
    lines: tuple[tuple[bytes, int], ...]  # (order, line) that it speaks of
    batches: tuple[bytes, ...]
    scene: str
    posted_ms: int


class PostFigures(NamedTuple):
    """What came of a post; absent until something did."""

    led: int  # orders that named it
    led_final: int  # of these, final ones


class Community(NamedTuple):
    """A place to meet, under the txid that founded it."""

    founder: bytes
    name: str
    about: bytes  # hash of its description
    founded_ms: int
    members: int
    joined: int  # ever
    posts: int


class Membership(NamedTuple):
    """Since when; kept when it ends, so that coming and going shows."""

    since_ms: int
    until_ms: int  # 0 while it lasts


POST: Final[Table[bytes, Post]] = Table(119, "community/post", Post, bytes_key())
POST_FIGURES: Final[Table[bytes, PostFigures]] = Table(
    120, "community/post-figures", PostFigures, bytes_key()
)
PLACE: Final[Table[bytes, Community]] = Table(121, "community/community", Community, bytes_key())
# Key: (community, account).
MEMBER: Final[Table[tuple[bytes, bytes], Membership]] = Table(
    122, "community/member", Membership, pair_key(bytes_key(), bytes_key())
)
NO_FIGURES: Final = PostFigures(0, 0)


def is_member(reader: Reader, community: bytes, address: bytes) -> bool:
    """Whether the account is a member now."""
    row = reader.get(MEMBER, (community, address))
    return row is not None and row.until_ms == 0


# Communities --------------------------------------------------------------------------------


def apply_found(ctx: Context, fields: Fields) -> None:
    """Found a community; the founder is its first member."""
    name, about = fields
    # From here on nothing can fail.
    row = Community(ctx.sender, name, about, ctx.time_ms, members=1, joined=1, posts=0)
    ctx.draft.put(PLACE, ctx.object_id, row)
    ctx.draft.put(MEMBER, (ctx.object_id, ctx.sender), Membership(ctx.time_ms, 0))
    ctx.list_under(ALL_COMMUNITIES, b"", ctx.object_id)
    ctx.list_under(COMMUNITIES_OF, ctx.sender, ctx.object_id)
    ctx.emit("community_founded", ctx.object_id, ctx.sender, name)


def apply_join(ctx: Context, fields: Fields) -> None:
    """Become a member."""
    (community,) = fields
    row = ctx.require(PLACE, community, UNKNOWN_COMMUNITY)
    if is_member(ctx.draft, community, ctx.sender):
        raise Rejected(MEMBER_ALREADY)
    # From here on nothing can fail.
    known = ctx.draft.get(MEMBER, (community, ctx.sender))
    ctx.draft.put(MEMBER, (community, ctx.sender), Membership(ctx.time_ms, 0))
    ctx.draft.put(PLACE, community, row._replace(members=row.members + 1, joined=row.joined + 1))
    if known is None:
        ctx.list_under(COMMUNITIES_OF, ctx.sender, community)
    ctx.emit("community_joined", community, ctx.sender)


def apply_leave(ctx: Context, fields: Fields) -> None:
    """Be a member no more; what one has posted stays."""
    (community,) = fields
    row = ctx.require(PLACE, community, UNKNOWN_COMMUNITY)
    member = ctx.draft.get(MEMBER, (community, ctx.sender))
    if member is None or member.until_ms:
        raise Rejected(NOT_MEMBER)
    # From here on nothing can fail.
    ctx.draft.put(MEMBER, (community, ctx.sender), member._replace(until_ms=ctx.time_ms))
    ctx.draft.put(PLACE, community, row._replace(members=row.members - 1))
    ctx.emit("community_left", community, ctx.sender)


# Posts --------------------------------------------------------------------------------------


def apply_post(ctx: Context, fields: Fields) -> None:
    """Say something in public."""
    text, disclosure, content, link, lines, batches, scene, community = fields
    if not text and not content:
        raise Rejected(EMPTY_POST)
    for order_id, line in lines:
        order = ctx.draft.get(ORDER, order_id)
        if order is None or line >= order.lines:
            raise Rejected(UNKNOWN_POST_LINE, line=line)
    place = None
    if community:
        place = ctx.require(PLACE, community[0], UNKNOWN_COMMUNITY)
        if not is_member(ctx.draft, community[0], ctx.sender):
            raise Rejected(NOT_MEMBER)
    # From here on nothing can fail.
    post = Post(
        author=ctx.sender, community=community, text=text, content=content,
        link=link[0] if link else "", disclosure=disclosure, lines=lines, batches=batches,
        scene=scene[0] if scene else "", posted_ms=ctx.time_ms,
    )  # fmt: skip
    ctx.draft.put(POST, ctx.object_id, post)
    ctx.list_under(ALL_POSTS, b"", ctx.object_id)
    ctx.list_under(POSTS_OF, ctx.sender, ctx.object_id)
    if place is not None:
        ctx.draft.put(PLACE, community[0], place._replace(posts=place.posts + 1))
        ctx.list_under(POSTS_IN, community[0], ctx.object_id)
    ctx.emit("post_written", ctx.object_id, ctx.sender, disclosure)


def _stood_before(ctx: Context, text_id: bytes, order: Order) -> bool:
    """Whether it is a post of an earlier block than the order's: an id is known before it is sent,
    and what counts when an order is paid has to be what counts when it is final.
    """
    row = ctx.draft.get(POST, text_id)
    return row is not None and row.posted_ms < order.paid_ms


def _on_paid(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    if order.led_by and _stood_before(ctx, order.led_by[0], order):
        figures = ctx.draft.get(POST_FIGURES, order.led_by[0]) or NO_FIGURES
        changed = figures._replace(led=figures.led + 1)
        ctx.draft.put(POST_FIGURES, order.led_by[0], changed)
    if order.demand:
        pledges.on_paid(ctx, order_id, order, shop)


def _on_final(ctx: Context, order_id: bytes) -> None:
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    figures = ctx.draft.get(POST_FIGURES, order.led_by[0]) if order.led_by else None
    if figures is not None and _stood_before(ctx, order.led_by[0], order):
        changed = figures._replace(led_final=figures.led_final + 1)
        ctx.draft.put(POST_FIGURES, order.led_by[0], changed)
    demand.on_final(ctx, order_id)


# Laws ---------------------------------------------------------------------------------------


def _check_communities(reader: Reader) -> str | None:
    members: dict[bytes, int] = {}
    for (community, _), row in reader.items(MEMBER):
        members[community] = members.get(community, 0) + (row.until_ms == 0)
    posts: dict[bytes, int] = {}
    for _, post in reader.items(POST):
        for community in post.community:
            posts[community] = posts.get(community, 0) + 1
    for community, place in reader.items(PLACE):
        if place.members != members.pop(community, 0):
            return f"community {community.hex()} counts other members than it has"
        if place.posts != posts.pop(community, 0):
            return f"community {community.hex()} counts other posts than it has"
        if place.joined < place.members:
            return f"community {community.hex()} has more members than ever joined"
    if members or posts:
        return "somebody is a member of, or posted in, no community"
    return None


def _check_posts(reader: Reader) -> str | None:
    for post_id, figures in reader.items(POST_FIGURES):
        if reader.get(POST, post_id) is None or figures.led_final > figures.led:
            return f"figures of post {post_id.hex()} belong to nothing"
    for post_id, post in reader.items(POST):
        for order_id, line in post.lines:
            stored = reader.get(LINES, order_id)
            if stored is None or line >= len(stored.lines):
                return f"post {post_id.hex()} speaks of a line that is none"
    return None


# The family ---------------------------------------------------------------------------------

_ID: Final = Hash32()
_COUNT: Final = Int(0, INT_MAX)
_SUM: Final = Amount(lowest=0)
_QUANTITY: Final = Int(1, QUANTITY_MAX)
_NAME: Final = Text(NAME_BYTES_MAX, lowest=1)

KINDS: Final = (
    Kind(
        "community_found", Struct(name=_NAME, about=Hash32()), apply_found, 200,
        "Found a community; `about` is the hash of its description.",
    ),
    Kind("community_join", Struct(community=_ID), apply_join, 100, "Become a member; free."),
    Kind(
        "community_leave", Struct(community=_ID), apply_leave, 100, "Be a member no more.",
        ends=True,
    ),
    Kind(
        "post_write",
        Struct(
            text=Text(POST_BYTES_MAX), disclosure=Choice(*DISCLOSURES),
            content=Optional(Hash32()), link=Optional(Text(LINK_BYTES_MAX, lowest=1)),
            lines=ListOf(Struct(order=_ID, line=Int(0, 1_023)), 0, POST_LINES_MAX),
            batches=ListOf(_ID, 0, POST_BATCHES_MAX), scene=Optional(Slug()),
            community=Optional(_ID),
        ),
        apply_post, 100,
        "Say something in public: a text, or a hash with a link; what it speaks of.",
    ),
    Kind(
        "demand_post",
        Struct(
            category=Slug(), scene=Slug(), description=Hash32(), price=Amount(),
            quantity=_QUANTITY, lasts_ms=_COUNT, own=_QUANTITY,
        ),
        backings.apply_demand_post, 200,
        "Say what you would buy at which price; `own` of the quantity you back yourself.",
    ),
    Kind(
        "demand_back", Struct(demand=_ID, quantity=_QUANTITY), backings.apply_demand_back, 200,
        "Back a demand with a deposit; it comes back when your order fulfils it, or it expires.",
    ),
    Kind(
        "demand_withdraw", Struct(demand=_ID), backings.apply_demand_withdraw, 200,
        "Take back what nobody has served; a tenth of its deposit goes to the fee pool.",
        ends=True,
    ),
    Kind(
        "demand_offer",
        Struct(demand=_ID, shop=_ID, price=Amount(), quantity=_QUANTITY, terms=Hash32()),
        offers.apply_demand_offer, 100,
        "A shop says at which price and terms it would serve a demand.",
    ),
)  # fmt: skip

EVENTS: Final = (
    EventSpec(
        "community_founded", Struct(community=_ID, founder=Address(), name=_NAME),
        "A community was founded.",
    ),
    EventSpec(
        "community_joined", Struct(community=_ID, account=Address()), "Somebody became a member."
    ),
    EventSpec(
        "community_left", Struct(community=_ID, account=Address()), "Somebody is no member more."
    ),
    EventSpec(
        "post_written", Struct(post=_ID, author=Address(), disclosure=Text(MEMO_BYTES_MAX)),
        "Somebody posted.",
    ),
    EventSpec(
        "demand_posted",
        Struct(
            demand=_ID, poster=Address(), category=Slug(), scene=Slug(), price=Amount(),
            quantity=_QUANTITY,
        ),
        "Something is wanted.",
    ),
    EventSpec(
        "demand_backed",
        Struct(demand=_ID, backing=_ID, backer=Address(), quantity=_QUANTITY, deposit=Amount()),
        "Somebody backed a demand.",
    ),
    EventSpec(
        "demand_withdrawn", Struct(demand=_ID, backing=_ID, quantity=_QUANTITY, lost=_SUM),
        "A backer took back what nobody had served; what that cost.",
    ),
    EventSpec(
        "demand_offered",
        Struct(demand=_ID, offer=_ID, shop=_ID, price=Amount(), quantity=_QUANTITY),
        "A shop answered a demand.",
    ),
    EventSpec(
        "demand_expired", Struct(demand=_ID, backing=_ID, quantity=_COUNT),
        "A demand is over; the deposit of this backing went back.",
    ),
    EventSpec(
        "demand_pledged", Struct(demand=_ID, backing=_ID, quantity=_QUANTITY),
        "An order serves this much of its buyer's own backing.",
    ),
    EventSpec(
        "demand_fulfilled", Struct(demand=_ID, backing=_ID, quantity=_QUANTITY),
        "The order was completed; that part of the deposit went back.",
    ),
    EventSpec(
        "demand_reopened", Struct(demand=_ID, backing=_ID, quantity=_QUANTITY),
        "The order came to nothing; the backing is open again.",
    ),
)  # fmt: skip

FAMILY: Final = Family(
    number=COMMUNITY,
    name="community",
    kinds=KINDS,
    tables=(
        demand.DEMAND, demand.BACKING, demand.BACKED, demand.BACKER, pledges.PLEDGE, demand.OPEN,
        offers.OFFER, POST, POST_FIGURES, PLACE, MEMBER,
    ),
    refusals=(
        demand.UNKNOWN_DEMAND, demand.DEMAND_EXPIRED, backings.BACKED_ALREADY, backings.NOT_BACKED,
        backings.TOO_MANY_BACKINGS, backings.DEMAND_BOUNDS, backings.DEPOSIT_BOUNDS,
        offers.NOT_SHOP_OWNER, UNKNOWN_COMMUNITY, MEMBER_ALREADY, NOT_MEMBER, EMPTY_POST,
        UNKNOWN_POST_LINE,
    ),
    params=(
        ParamSpec(
            "demand_deposit_bp", 500, backings.DEPOSIT_BP_LEAST, BPS // 2,
            "deposit of a backing, of price x quantity",
        ),
        ParamSpec(
            "demand_least_ms", DAY_MS, 3_600_000, 7 * DAY_MS, "shortest life of a demand",
            is_time=True,
        ),
        ParamSpec(
            "demand_most_ms", 90 * DAY_MS, 7 * DAY_MS, 360 * DAY_MS, "longest life of a demand",
            is_time=True,
        ),
    ),
    events=EVENTS,
    laws=(
        Law("communities", _check_communities),
        Law("posts", _check_posts),
        Law("deposits", demand_laws.check_deposits),
        Law("open demand", demand_laws.check_open),
    ),
    due=backings.do_due,
    hooks={
        "paid": _on_paid,
        "completed": pledges.on_completed,
        "refunded": pledges.on_refunded,
        "final": _on_final,
    },
)  # fmt: skip
