"""Opinions: what buyers say of what they really bought, and what it does to a shop's rating.

Of the reviews family.

Law: every review points to a line of its author's that was shipped or overdue, one for each line,
and a shop's rating is the sums over its reviews.

A review may be written once its line was shipped or its ship deadline has passed, whatever came
after, until the window closes. Its weight is fixed when it is written (F5 of the design): the
line's value up to `VALUE_MAX`, times how many shops have served the author, times a share that
falls with each further line at this shop in 360 days; nothing where author and shop are linked. A
follow-up changes the stars, not the weight; what was said stays. A complaint counts with all its
weight at once, whatever is refunded. Praise counts with what of the line stands once the order is
completed: before that a shop can refund without the network's fee, so its friends could praise it
for the fees of transactions alone. The reviewer's part of the order's reward is paid for the line,
the same for one star and for five. Votes (`votes.py`) move voice and rank, never the rating;
moderators (`moderation.py`) hide a text, never its stars.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import is_linked
from state.tx.bindings import has_joined
from state.tx.community import POST
from state.tx.demand import DEMAND
from state.tx.mining import lead, pay_reviewer
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
from state.tx.sales import line_standing, line_total, note_early_review

REVIEWS: Final = 6  # the family's number
UNKNOWN_REVIEW: Final = (601, "UNKNOWN_REVIEW")
NOT_YOUR_ORDER: Final = (602, "NOT_YOUR_ORDER")
NOT_REVIEWABLE: Final = (603, "NOT_REVIEWABLE")
REVIEW_WINDOW: Final = (604, "REVIEW_WINDOW")
REVIEWED_ALREADY: Final = (605, "REVIEWED_ALREADY")
UNKNOWN_REVIEW_LINE: Final = (606, "UNKNOWN_REVIEW_LINE")
NOT_AUTHOR: Final = (607, "NOT_AUTHOR")
NOT_REVIEWED_SHOP: Final = (608, "NOT_REVIEWED_SHOP")
TOO_MANY_ENTRIES: Final = (609, "TOO_MANY_ENTRIES")

BPS: Final = 10_000
DOLLAR: Final = 1_000_000
DAY_MS: Final = 24 * 3_600_000
YEAR_MS: Final = 360 * DAY_MS
TEXT_BYTES_MAX: Final = 2_000
LINK_BYTES_MAX: Final = 512
ENTRIES_MAX: Final = 16  # follow-ups of one review, and as many answers: neither shuts the other up
PRAISE_FROM: Final = 4  # stars; fewer lie below the prior and are a complaint
VALUE_MAX: Final = 50 * DOLLAR  # V of F5: one big line does not decide
PRIOR_MILLI_STARS: Final = 3_500  # m: below the real mean, so that a new shop is no escape
PRIOR_WEIGHT: Final = 500 * DOLLAR  # W0
SHOPS_MAX: Final = 4  # a further shop adds a quarter to a review's weight, up to four
SHOP_LEAST: Final = 5 * DOLLAR  # what a final order keeps at least to count as served
WEIGHT_SHARE: Final = (10_000, 5_000, 2_500, 1_000)  # r, by lines at this shop in 360 days before
REWARD_SHARE: Final = (10_000, 5_000, 2_500, 0)  # rep_bps, likewise
LINES_KEPT: Final = 3  # times of the last reviews at a shop: the shares depend on no more
OF_SHOP, OF_AUTHOR, OF_ORDER = 96, 97, 98  # lists


class Review(NamedTuple):
    """A review's figures, under its txid; its words stand in `Words`."""

    author: bytes
    order: bytes
    line: int
    shop: bytes
    rating: int  # 1 to 5, as last said
    service: int  # 1 to 5, 0 if not said
    disclosure: str
    is_distributor: bool  # had joined the shop as distributor when it was written
    scene: str
    weight: int  # micro-dollars, as fixed when it was written
    counted: int  # of that, what its stars count with in the rating
    reward_bp: int  # of the line's part of the reward, likewise
    written_ms: int
    entries: int  # follow-ups and answers
    answers: int  # of these
    helpful: int  # voice directed by votes, micro-MGS
    unhelpful: int  # voice spent against it
    votes: int


class Words(NamedTuple):
    """What was said; never changed."""

    text: str
    content: tuple[bytes, ...]  # () or the hash of what the link leads to
    link: str


class Entry(NamedTuple):
    """A follow-up of the author's or an answer of the shop's; never changed."""

    is_answer: bool
    rating: int  # the new one; 0 where it stays, and in an answer
    text: str
    written_ms: int


class Rating(NamedTuple):
    """A shop's sums over its reviews (F5)."""

    weight: int  # micro-dollars
    weighted: int  # of weight x stars
    reviews: int
    stars: tuple[int, int, int, int, int]  # reviews with 1 to 5 stars
    service_sum: int
    service_count: int

    @property
    def milli_stars(self) -> int:
        """R of F5: a Bayesian mean, 1,000 to 5,000."""
        total = 1_000 * self.weighted + PRIOR_MILLI_STARS * PRIOR_WEIGHT
        return total // (self.weight + PRIOR_WEIGHT)


class Written(NamedTuple):
    """When an author last reviewed lines of a shop: block times, newest last."""

    times_ms: tuple[int, ...]


class Author(NamedTuple):
    """What an account's reviews came to, ever, and what its next one is judged by: one row, since a
    review needs and changes all of it.
    """

    reviews: int
    votes: int
    helpful: int  # voice directed by votes on them, micro-MGS
    unhelpful: int  # voice spent against them
    day: int  # the last one with a review (Unix time, whole days)
    lines: int  # reviewed on it
    served_by: tuple[bytes, ...]  # shops that have served the account, rising; `SHOPS_MAX` at most


class Waiting(NamedTuple):
    """A review of before the order was final that earns something once it is."""

    line: int
    review: bytes
    reward_bp: int  # its share of the line's part of the reward


class Window(NamedTuple):
    """Until when, on the family's clock, an order's lines may be reviewed, and which ones were.

    No more than `LINES_KEPT` of one buyer's at one shop earn anything, so few wait.
    """

    until_ms: int
    reviewed: bytes  # bit n % 8 of byte n // 8: line n was; no zero byte at the end
    waiting: tuple[Waiting, ...]  # in the order in which they were written; never shorter

    def has(self, line: int) -> bool:
        """Whether this line was reviewed."""
        return line // 8 < len(self.reviewed) and self.reviewed[line // 8] >> line % 8 & 1 == 1


def _window(fields: tuple[Any, ...]) -> Window:
    until_ms, reviewed, waiting = fields
    return Window(until_ms, reviewed, tuple(map(Waiting._make, waiting)))


REVIEW: Final[Table[bytes, Review]] = Table(96, "reviews/review", Review, bytes_key())
WORDS: Final[Table[bytes, Words]] = Table(97, "reviews/words", Words, bytes_key())
# Key: (review, number from 0).
ENTRY: Final[Table[tuple[bytes, int], Entry]] = Table(
    98, "reviews/entry", Entry, pair_key(bytes_key(), int_key(2))
)
RATING: Final[Table[bytes, Rating]] = Table(100, "reviews/rating", Rating, bytes_key())
# Key: (author, shop).
WRITTEN: Final[Table[tuple[bytes, bytes], Written]] = Table(
    101, "reviews/written", Written, pair_key(bytes_key(), bytes_key())
)
WINDOW: Final[Table[bytes, Window]] = Table(103, "reviews/window", Window, bytes_key(), _window)
AUTHOR: Final[Table[bytes, Author]] = Table(110, "reviews/author", Author, bytes_key())
NO_AUTHOR: Final = Author(0, 0, 0, 0, 0, 0, ())
NO_RATING: Final = Rating(0, 0, 0, (0, 0, 0, 0, 0), 0, 0)


def rating_of(reader: Reader, shop: bytes) -> Rating:
    """The shop's sums."""
    return reader.get(RATING, shop) or NO_RATING


def author_of(reader: Reader, address: bytes) -> Author:
    """What the account's reviews came to, and what its next one is judged by."""
    return reader.get(AUTHOR, address) or NO_AUTHOR


def _further(written: Written | None, now_ms: int) -> int:
    """How many lines of the shop the author has reviewed in the last 360 days, up to three."""
    times = written.times_ms if written else ()
    return sum(time > now_ms - YEAR_MS for time in times)


# When a line can be reviewed -------------------------------------------------------------------


def on_shipped(ctx: Context, order_id: bytes) -> None:
    """From here on its lines can be reviewed."""
    ctx.draft.put(WINDOW, order_id, _opened(ctx))


def _opened(ctx: Context) -> Window:
    return Window(ctx.now(REVIEWS) + ctx.params["review_window_ms"], b"", ())


def on_refunded(ctx: Context, order_id: bytes, order: Order, _amount: int) -> None:
    """Cancelled because it was not shipped in time: that can be reviewed too."""
    is_late = order.status == CANCELLED and ctx.sender == b""
    if is_late and ctx.draft.get(WINDOW, order_id) is None:
        on_shipped(ctx, order_id)


def _check_window(ctx: Context, order_id: bytes, order: Order) -> Window:
    window = ctx.draft.get(WINDOW, order_id)
    if window is None:
        if order.status == PAID and ctx.now(FAMILY_NUMBER) >= order.due_ms:
            return _opened(ctx)  # overdue, though the clock has not come to it yet
        raise Rejected(NOT_REVIEWABLE, status=order.status)
    if ctx.now(REVIEWS) >= window.until_ms:
        raise Rejected(REVIEW_WINDOW, until_ms=window.until_ms)
    return window


# Writing ---------------------------------------------------------------------------------------


def apply_write(ctx: Context, fields: Fields) -> None:
    """Say of one's own line what it was like."""
    order_id, line, rating, text, disclosure, service, scene, content, link = fields
    order = ctx.require(ORDER, order_id, UNKNOWN_ORDER)
    if order.buyer != ctx.sender:
        raise Rejected(NOT_YOUR_ORDER)
    if line >= order.lines:
        raise Rejected(UNKNOWN_REVIEW_LINE, line=line)
    window = _check_window(ctx, order_id, order)
    if window.has(line):
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
    weight = 0 if is_own else _weight(ctx, order_id, order, line, author, further)
    # By position, in the order of the record: with so many names this takes three times as long.
    review = Review(
        ctx.sender, order_id, line, order.shop, rating, service[0] if service else 0, disclosure,
        has_joined(ctx.draft, ctx.sender, order.shop), scene[0] if scene else "",
        weight, _counted(ctx, order_id, order, line, rating, weight),
        REWARD_SHARE[further] if lines_today < ctx.params["review_paid_lines"] else 0,
        ctx.time_ms, 0, 0, 0, 0, 0,  # entries, answers, helpful, unhelpful, votes
    )  # fmt: skip
    ctx.draft.put(REVIEW, review_id, review)
    ctx.draft.put(WORDS, review_id, Words(text, content, link[0] if link else ""))
    times = (*(before.times_ms if before else ()), ctx.time_ms)[-LINES_KEPT:]
    ctx.draft.put(WRITTEN, (ctx.sender, order.shop), Written(times))
    _count_written(ctx, author, lines_today)
    _rate(ctx, review, by=1)
    _close_line(ctx, order_id, order, window, review_id, review)
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
    ctx: Context,
    order_id: bytes,
    order: Order,
    window: Window,
    review_id: bytes,
    review: Review,
) -> None:
    """The line has its review, which waits for the order's end where it earns something then."""
    until_ms, reviewed, waiting = window
    bits = bytearray(reviewed.ljust(review.line // 8 + 1, b"\0"))
    bits[review.line // 8] |= 1 << review.line % 8
    if review.reward_bp and order.status != PAID and not order.closed_ms:
        waiting = (*waiting, Waiting(review.line, review_id, review.reward_bp))
        if review.weight and not order.completed_ms:
            note_early_review(ctx, order_id, order)
    ctx.draft.put(WINDOW, order_id, Window(until_ms, bytes(bits), waiting))


def _weight(
    ctx: Context, order_id: bytes, order: Order, line: int, author: Author, further: int
) -> int:
    shops = len(author.served_by)
    if not shops:
        return 0
    value = min(line_total(ctx, order_id, order, line), VALUE_MAX)
    return value * (BPS // SHOPS_MAX * shops) // BPS * WEIGHT_SHARE[further] // BPS


def _counted(
    ctx: Context, order_id: bytes, order: Order, line: int, rating: int, weight: int
) -> int:
    """What of its weight a review counts with: praise for what stands of a completed line, on
    which the network's fee was paid; a complaint for all of it, or a refund would silence it.
    """
    if rating < PRAISE_FROM or not weight:
        return weight
    if not order.completed_ms:
        return 0
    if not order.refunded:
        return weight
    stands = line_standing(ctx, order_id, order, line)
    total = line_total(ctx, order_id, order, line)
    return weight * min(stands, VALUE_MAX) // min(total, VALUE_MAX)


def _rate(ctx: Context, review: Review, *, by: int) -> None:
    """Add a review to its shop's sums, or take it out."""
    rating = rating_of(ctx.draft, review.shop)
    stars = list(rating.stars)
    stars[review.rating - 1] += by
    one, two, three, four, five = stars
    changed = Rating(
        weight=rating.weight + by * review.counted,
        weighted=rating.weighted + by * review.counted * review.rating,
        reviews=rating.reviews + by,
        stars=(one, two, three, four, five),
        service_sum=rating.service_sum + by * review.service,
        service_count=rating.service_count + by * (review.service > 0),
    )
    ctx.draft.put(RATING, review.shop, changed)


def _rate_again(ctx: Context, review_id: bytes, review: Review, order: Order, rating: int) -> None:
    """The review has these stars from here on, and counts as things stand now."""
    counted = _counted(ctx, review.order, order, review.line, rating, review.weight)
    if (rating, counted) == (review.rating, review.counted):
        return
    _rate(ctx, review, by=-1)
    changed = review._replace(rating=rating, counted=counted)
    ctx.draft.put(REVIEW, review_id, changed)
    _rate(ctx, changed, by=1)


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
    _rate_again(ctx, review_id, changed, order, new or review.rating)
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
    window = ctx.draft.get(WINDOW, order_id) if order.has_early_review else None
    for _, review_id, _ in window.waiting if window else ():
        review = ctx.draft.get(REVIEW, review_id)
        assert review is not None, "what waits was written"
        if review.rating >= PRAISE_FROM:
            _rate_again(ctx, review_id, review, order, review.rating)


def on_final(ctx: Context, order_id: bytes) -> None:
    """A shop has served its buyer, whose further reviews weigh more; lines reviewed before are
    paid, and whose text led to the order is given its part of the buyer's voice.
    """
    order = ctx.draft.get(ORDER, order_id)
    window = ctx.draft.get(WINDOW, order_id)
    assert order is not None and window is not None, "what becomes final was shipped"
    for line, _, reward_bp in window.waiting:
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


# Laws ------------------------------------------------------------------------------------------


def check_reviews(reader: Reader) -> str | None:
    """Every review points to a line of its author's that could be reviewed, one for each line."""
    left = {
        order_id: int.from_bytes(row.reviewed, "little") for order_id, row in reader.items(WINDOW)
    }
    for review_id, review in reader.items(REVIEW):
        if not left.get(review.order, 0) >> review.line & 1:
            return f"review {review_id.hex()} is of a line that its order knows no further one of"
        left[review.order] ^= 1 << review.line
        order = reader.get(ORDER, review.order)
        if order is None or order.buyer != review.author or review.line >= order.lines:
            return f"review {review_id.hex()} is not of a line of its author's"
        if order.shop != review.shop:
            return f"review {review_id.hex()} speaks of another shop"
        if order.shipped_ms == 0 and order.status != CANCELLED and order.status != PAID:
            return f"review {review_id.hex()} is of a line that was neither shipped nor overdue"
        said = [entry.is_answer for _, entry in reader.items(ENTRY, review_id)]
        if (len(said), sum(said)) != (review.entries, review.answers):
            return f"review {review_id.hex()} has lost words"
        if reader.get(WORDS, review_id) is None:
            return f"review {review_id.hex()} has lost words"
        is_praise = review.rating >= PRAISE_FROM
        if not (0 if is_praise else review.weight) <= review.counted <= review.weight:
            return f"review {review_id.hex()} counts for something else than it weighs"
        if review.counted and is_praise and not order.completed_ms:
            return f"review {review_id.hex()} praises what was never completed, and counts"
    for order_id, lines in left.items():
        if lines:
            return f"a line of {order_id.hex()} was reviewed, and there is no review of it"
    return _check_waiting(reader)


def _check_waiting(reader: Reader) -> str | None:
    """What waits for an order's end is a review of it; one that can count by then is noted."""
    for order_id, window in reader.items(WINDOW):
        if window.reviewed.endswith(b"\0") or len(window.waiting) > LINES_KEPT:
            return f"the window of {order_id.hex()} is longer than it needs to be"
        order = reader.get(ORDER, order_id)
        if order is None:
            return f"there is no order {order_id.hex()} for the window of it"
        for line, review_id, reward_bp in window.waiting:
            review = reader.get(REVIEW, review_id)
            if review is None or (review.order, review.line, review.reward_bp) != (
                order_id, line, reward_bp,
            ):  # fmt: skip
                return f"line {line} of {order_id.hex()} waits for another share than its review's"
            is_early = not order.completed_ms or review.written_ms < order.completed_ms
            if is_early and review.weight and not order.has_early_review:
                return f"the order of review {review_id.hex()} does not know of it"
    return None


def check_ratings(reader: Reader) -> str | None:
    """Each shop's rating is the sums over its reviews."""
    counted: dict[bytes, list[int]] = {}
    for _, review in reader.items(REVIEW):
        sums = counted.setdefault(review.shop, [0] * 10)
        sums[0] += review.counted
        sums[1] += review.counted * review.rating
        sums[2] += 1
        sums[2 + review.rating] += 1
        sums[8] += review.service
        sums[9] += review.service > 0
    authors = dict(reader.items(AUTHOR))
    for address, figures in _sums_of_authors(reader).items():
        if authors.pop(address, NO_AUTHOR)[:4] != figures:
            return f"the figures of author {address.hex()} are not the sums over the reviews"
    for address, row in authors.items():
        if any(row[:6]):
            return f"author {address.hex()} has figures and no reviews"
    for shop, rating in reader.items(RATING):
        kept = [rating.weight, rating.weighted, rating.reviews, *rating.stars]
        kept += [rating.service_sum, rating.service_count]
        if kept != counted.pop(shop, [0] * 10):
            return f"the rating of {shop.hex()} is not the sums over its reviews"
    return f"{next(iter(counted)).hex()} has reviews and no rating" if counted else None


def _sums_of_authors(reader: Reader) -> dict[bytes, tuple[int, int, int, int]]:
    sums: dict[bytes, tuple[int, int, int, int]] = {}
    for _, review in reader.items(REVIEW):
        reviews, votes, helpful, unhelpful = sums.get(review.author, (0, 0, 0, 0))
        sums[review.author] = (
            reviews + 1, votes + review.votes, helpful + review.helpful,
            unhelpful + review.unhelpful,
        )  # fmt: skip
    return sums
