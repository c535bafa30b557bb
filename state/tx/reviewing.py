"""Reviewing: when a line can be reviewed, how it is done, and what it earns. Of the reviews family.

Law: every review points to a line of its author's that was shipped or overdue, one for each line.

A review may be written once its line was shipped or its ship deadline has passed, whatever came
after, until the window closes. A follow-up changes the stars, not the weight; what was said stays.
The reviewer's part of the order's reward is paid for the line, the same for one star and for five.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key, pair_key
from state.tx.accounts import is_linked
from state.tx.bindings import has_joined
from state.tx.community import POST
from state.tx.demand import DEMAND
from state.tx.mining import lead, pay_reviewer
from state.tx.opinions import (
    AUTHOR,
    DAY_MS,
    ENTRY,
    REVIEW,
    REVIEWS,
    UNKNOWN_REVIEW,
    WORDS,
    Author,
    Entry,
    Review,
    Words,
    author_of,
)
from state.tx.orders import (
    CANCELLED,
    FAMILY_NUMBER,
    FINAL,
    ORDER,
    PAID,
    SHOP,
    UNKNOWN_ORDER,
    Order,
)
from state.tx.ratings import DOLLAR, PRAISE_FROM, SHOPS_MAX, counted_of, rate, rate_again, weight_of
from state.tx.sales import set_reviews

NOT_YOUR_ORDER: Final = (602, "NOT_YOUR_ORDER")
NOT_REVIEWABLE: Final = (603, "NOT_REVIEWABLE")
REVIEW_WINDOW: Final = (604, "REVIEW_WINDOW")
REVIEWED_ALREADY: Final = (605, "REVIEWED_ALREADY")
UNKNOWN_REVIEW_LINE: Final = (606, "UNKNOWN_REVIEW_LINE")
NOT_AUTHOR: Final = (607, "NOT_AUTHOR")
NOT_REVIEWED_SHOP: Final = (608, "NOT_REVIEWED_SHOP")
TOO_MANY_ENTRIES: Final = (609, "TOO_MANY_ENTRIES")

YEAR_MS: Final = 360 * DAY_MS
TEXT_BYTES_MAX: Final = 2_000
LINK_BYTES_MAX: Final = 512
ENTRIES_MAX: Final = 16  # follow-ups of one review, and as many answers: neither shuts the other up
SHOP_LEAST: Final = 5 * DOLLAR  # what a final order keeps at least to count as served
REWARD_SHARE: Final = (10_000, 5_000, 2_500, 0)  # rep_bps, by lines at this shop in 360 days before
LINES_KEPT: Final = 3  # times of the last reviews at a shop: the shares depend on no more
OF_SHOP, OF_AUTHOR, OF_ORDER = 96, 97, 98  # lists


class Written(NamedTuple):
    """When an author last reviewed lines of a shop: block times, newest last."""

    times_ms: tuple[int, ...]


# Key: (author, shop).
WRITTEN: Final[Table[tuple[bytes, bytes], Written]] = Table(
    101, "reviews/written", Written, pair_key(bytes_key(), bytes_key())
)


def _further(written: Written | None, now_ms: int) -> int:
    """How many lines of the shop the author has reviewed in the last 360 days, up to three."""
    times = written.times_ms if written else ()
    return sum(time > now_ms - YEAR_MS for time in times)


# When a line can be reviewed -------------------------------------------------------------------


def on_shipped(ctx: Context, order_id: bytes, order: Order) -> None:
    """From here on its lines can be reviewed."""
    set_reviews(ctx, order_id, order, until_ms=_until(ctx))


def _until(ctx: Context) -> int:
    return ctx.now(REVIEWS) + ctx.params["review_window_ms"]


def on_refunded(ctx: Context, order_id: bytes, order: Order, _amount: int) -> None:
    """Cancelled because it was not shipped in time: that can be reviewed too."""
    is_late = order.status == CANCELLED and ctx.sender == b""
    if is_late and not order.review_until_ms:
        set_reviews(ctx, order_id, order, until_ms=_until(ctx))


def _check_window(ctx: Context, order: Order) -> int:
    """Until when it can be reviewed, on the family's clock, else a refusal."""
    until_ms = order.review_until_ms
    if not until_ms:
        if order.status == PAID and ctx.now(FAMILY_NUMBER) >= order.due_ms:
            return _until(ctx)  # overdue, though the clock has not come to it yet
        raise Rejected(NOT_REVIEWABLE, status=order.status)
    if ctx.now(REVIEWS) >= until_ms:
        raise Rejected(REVIEW_WINDOW, until_ms=until_ms)
    return until_ms


# Writing ---------------------------------------------------------------------------------------


def apply_write(ctx: Context, fields: Fields) -> None:
    """Say of one's own line what it was like."""
    order_id, line, rating, text, disclosure, service, scene, content, link = fields
    order = ctx.require(ORDER, order_id, UNKNOWN_ORDER)
    if order.buyer != ctx.sender:
        raise Rejected(NOT_YOUR_ORDER)
    if line >= order.lines:
        raise Rejected(UNKNOWN_REVIEW_LINE, line=line)
    until_ms = _check_window(ctx, order)
    if order.has_review(line):
        raise Rejected(REVIEWED_ALREADY, line=line)
    # From here on nothing can fail.
    review_id = ctx.object_id
    shop = ctx.draft.get(SHOP, order.shop)
    assert shop is not None
    author = author_of(ctx.draft, ctx.sender)
    before = ctx.draft.get(WRITTEN, (ctx.sender, order.shop))
    further = _further(before, ctx.time_ms)
    lines_today = author.lines if author.day == ctx.time_ms // DAY_MS else 0
    is_own = is_linked(ctx.draft, ctx.sender, shop.owner)
    weight = 0 if is_own else weight_of(ctx, order_id, order, line, author, further)
    # By position, in the order of the record: with so many names this takes three times as long.
    review = Review(
        ctx.sender, order_id, line, order.shop, rating, service[0] if service else 0, disclosure,
        has_joined(ctx.draft, ctx.sender, order.shop), scene[0] if scene else "",
        weight, counted_of(ctx, order_id, order, line, rating, weight),
        REWARD_SHARE[further] if lines_today < ctx.params["review_paid_lines"] else 0,
        ctx.time_ms, 0, 0, 0, 0, 0,  # entries, answers, helpful, unhelpful, votes
    )  # fmt: skip
    ctx.draft.put(REVIEW, review_id, review)
    ctx.draft.put(WORDS, review_id, Words(text, content, link[0] if link else ""))
    times = (*(before.times_ms if before else ()), ctx.time_ms)[-LINES_KEPT:]
    ctx.draft.put(WRITTEN, (ctx.sender, order.shop), Written(times))
    _count_written(ctx, author, lines_today)
    rate(ctx, review, by=1)
    _close_line(ctx, order, until_ms, review_id, review)
    ctx.involve(shop.owner)
    ctx.list_under(OF_SHOP, order.shop, review_id)
    ctx.list_under(OF_AUTHOR, ctx.sender, review_id)
    ctx.list_under(OF_ORDER, order_id, review_id)
    ctx.emit("review_written", review_id, ctx.sender, order_id, line, rating)
    if order.status == FINAL:
        pay_reviewer(ctx, order_id, line, ctx.sender, review.reward_bp)


def _count_written(ctx: Context, author: Author, lines_today: int) -> None:
    reviews, votes, helpful, unhelpful, _, _, served_by = author
    day = ctx.time_ms // DAY_MS
    changed = Author(reviews + 1, votes, helpful, unhelpful, day, lines_today + 1, served_by)
    ctx.draft.put(AUTHOR, ctx.sender, changed)


def _close_line(
    ctx: Context, order: Order, until_ms: int, review_id: bytes, review: Review
) -> None:
    """The line has its review, which waits for the order's end where it earns something then."""
    place, bit = divmod(review.line, 8)
    bits = bytearray(order.reviewed.ljust(place + 1, b"\0"))
    bits[place] |= 1 << bit
    waiting = order.waiting
    if review.reward_bp and order.status != PAID and not order.closed_ms:
        waiting = (*waiting, (review.line, review_id, review.reward_bp))
    set_reviews(ctx, review.order, order, until_ms=until_ms, reviewed=bytes(bits), waiting=waiting)


def apply_follow(ctx: Context, fields: Fields) -> None:
    """The author comes back to it, with other stars or the same."""
    review_id, text, rating = fields
    review = ctx.require(REVIEW, review_id, UNKNOWN_REVIEW)
    if review.author != ctx.sender:
        raise Rejected(NOT_AUTHOR)
    _check_entries(review.entries - review.answers)
    order = ctx.draft.get(ORDER, review.order)
    assert order is not None, "an order is never removed"
    # From here on nothing can fail.
    new = rating[0] if rating else 0
    changed = _append(ctx, review_id, review, Entry(False, new, text, ctx.time_ms))
    rate_again(ctx, review_id, changed, order, new or review.rating)
    ctx.emit("review_followed", review_id, new)


def apply_answer(ctx: Context, fields: Fields) -> None:
    """The shop answers."""
    review_id, text = fields
    review = ctx.require(REVIEW, review_id, UNKNOWN_REVIEW)
    shop = ctx.draft.get(SHOP, review.shop)
    if shop is None or shop.owner != ctx.sender:
        raise Rejected(NOT_REVIEWED_SHOP)
    _check_entries(review.answers)
    # From here on nothing can fail.
    _append(ctx, review_id, review, Entry(True, 0, text, ctx.time_ms))
    ctx.involve(review.author)
    ctx.emit("review_answered", review_id)


def _check_entries(so_far: int) -> None:
    if so_far >= ENTRIES_MAX:
        raise Rejected(TOO_MANY_ENTRIES, highest=ENTRIES_MAX)


def _append(ctx: Context, review_id: bytes, review: Review, entry: Entry) -> Review:
    ctx.draft.put(ENTRY, (review_id, review.entries), entry)
    changed = review._replace(entries=review.entries + 1, answers=review.answers + entry.is_answer)
    ctx.draft.put(REVIEW, review_id, changed)
    return changed


def on_completed(ctx: Context, order_id: bytes, order: Order) -> None:
    """Praise of before counts from now on, by itself for the few lines that earn something; for
    others once their author comes back to them.
    """
    for _, review_id, _ in order.waiting:
        review = ctx.draft.get(REVIEW, review_id)
        assert review is not None, "what waits was written"
        if review.rating >= PRAISE_FROM:
            rate_again(ctx, review_id, review, order, review.rating)


def on_final(ctx: Context, order_id: bytes) -> None:
    """A shop has served its buyer, whose further reviews weigh more; lines reviewed before are
    paid, and whose text led to the order is given its part of the buyer's voice.
    """
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None, "the hook names one"
    for line, _, reward_bp in order.waiting:
        pay_reviewer(ctx, order_id, line, order.buyer, reward_bp)
    poster = poster_of(ctx.draft, order.led_by[0]) if order.led_by else None
    if poster is not None:
        lead(ctx, order_id, poster)
    buyer = author_of(ctx.draft, order.buyer)
    is_new = order.shop not in buyer.served_by and len(buyer.served_by) < SHOPS_MAX
    if is_new and order.total - order.refunded >= SHOP_LEAST:
        shop = ctx.draft.get(SHOP, order.shop)
        assert shop is not None
        if not is_linked(ctx.draft, order.buyer, shop.owner):
            served_by = tuple(sorted((*buyer.served_by, order.shop)))
            ctx.draft.put(AUTHOR, order.buyer, buyer._replace(served_by=served_by))


def poster_of(reader: Reader, text_id: bytes) -> bytes | None:
    """Whose review, post or demand this is; None where it is none."""
    review = reader.get(REVIEW, text_id)
    if review is not None:
        return review.author
    post = reader.get(POST, text_id)
    if post is not None:
        return post.author
    demand = reader.get(DEMAND, text_id)
    return None if demand is None else demand.poster
