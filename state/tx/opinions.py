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

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import is_linked
from state.tx.bindings import PARTNER
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
from state.tx.sales import lines_of, refunded_of

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


class Reviewed(NamedTuple):
    """Which review a line has."""

    review: bytes


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


class Served(NamedTuple):
    """The shops that have served an account, rising; the first `SHOPS_MAX` of them."""

    shops: tuple[bytes, ...]


class Author(NamedTuple):
    """What an author's reviews came to, ever."""

    reviews: int
    votes: int
    helpful: int  # voice directed by votes on them, micro-MGS
    unhelpful: int  # voice spent against them


class Today(NamedTuple):
    """How many lines an account has reviewed on a day (Unix time, whole days)."""

    day: int
    lines: int


class Window(NamedTuple):
    """Until when, on the family's clock, an order's lines may be reviewed.

    `waiting`: (line, share of the line's part of the reward in bp) of lines that were reviewed
    before the order was final, and earn something once it is. Never shorter.
    """

    until_ms: int
    waiting: tuple[tuple[int, int], ...]


REVIEW: Final[Table[bytes, Review]] = Table(96, "reviews/review", Review, bytes_key())
WORDS: Final[Table[bytes, Words]] = Table(97, "reviews/words", Words, bytes_key())
# Key: (review, number from 0).
ENTRY: Final[Table[tuple[bytes, int], Entry]] = Table(
    98, "reviews/entry", Entry, pair_key(bytes_key(), int_key(2))
)
# Key: (order, line).
REVIEWED: Final[Table[tuple[bytes, int], Reviewed]] = Table(
    99, "reviews/reviewed", Reviewed, pair_key(bytes_key(), int_key(2))
)
RATING: Final[Table[bytes, Rating]] = Table(100, "reviews/rating", Rating, bytes_key())
# Key: (author, shop).
WRITTEN: Final[Table[tuple[bytes, bytes], Written]] = Table(
    101, "reviews/written", Written, pair_key(bytes_key(), bytes_key())
)
SERVED: Final[Table[bytes, Served]] = Table(102, "reviews/served", Served, bytes_key())
WINDOW: Final[Table[bytes, Window]] = Table(103, "reviews/window", Window, bytes_key())
TODAY: Final[Table[bytes, Today]] = Table(109, "reviews/today", Today, bytes_key())
AUTHOR: Final[Table[bytes, Author]] = Table(110, "reviews/author", Author, bytes_key())
NO_AUTHOR: Final = Author(0, 0, 0, 0)
NO_RATING: Final = Rating(0, 0, 0, (0, 0, 0, 0, 0), 0, 0)


def rating_of(reader: Reader, shop: bytes) -> Rating:
    """The shop's sums."""
    return reader.get(RATING, shop) or NO_RATING


def figures_of(reader: Reader, author: bytes) -> Author:
    """What the author's reviews came to."""
    return reader.get(AUTHOR, author) or NO_AUTHOR


def add_figures(ctx: Context, author: bytes, **by: int) -> None:
    """Add to an author's figures, by name."""
    before = figures_of(ctx.draft, author)
    after = {name: getattr(before, name) + more for name, more in by.items()}
    ctx.draft.put(AUTHOR, author, before._replace(**after))


def _further(written: Written | None, now_ms: int) -> int:
    """How many lines of the shop the author has reviewed in the last 360 days, up to three."""
    times = written.times_ms if written else ()
    return sum(time > now_ms - YEAR_MS for time in times)


# When a line can be reviewed -------------------------------------------------------------------


def on_shipped(ctx: Context, order_id: bytes) -> None:
    """From here on its lines can be reviewed."""
    until_ms = ctx.now(REVIEWS) + ctx.params["review_window_ms"]
    ctx.draft.put(WINDOW, order_id, Window(until_ms, ()))


def on_refunded(ctx: Context, order_id: bytes, _amount: int) -> None:
    """Cancelled because it was not shipped in time: that can be reviewed too."""
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    if order.status == CANCELLED and ctx.sender == b"":
        on_shipped(ctx, order_id)


def _check_window(ctx: Context, order_id: bytes, order: Order) -> Window | None:
    window = ctx.draft.get(WINDOW, order_id)
    if window is None:
        if order.status == PAID and ctx.now(FAMILY_NUMBER) >= order.due_ms:
            return None  # overdue, though the clock has not come to it yet
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
    if ctx.draft.get(REVIEWED, (order_id, line)) is not None:
        raise Rejected(REVIEWED_ALREADY, line=line)
    # From here on nothing can fail.
    review_id = ctx.object_id
    shop = ctx.draft.get(SHOP, order.shop)
    assert shop is not None
    before = ctx.draft.get(WRITTEN, (ctx.sender, order.shop))
    further = _further(before, ctx.time_ms)
    is_own = is_linked(ctx.draft, ctx.sender, shop.owner)
    weight = 0 if is_own else _weight(ctx, order_id, line, further)
    review = Review(
        author=ctx.sender, order=order_id, line=line, shop=order.shop, rating=rating,
        service=service[0] if service else 0, disclosure=disclosure,
        is_distributor=ctx.draft.get(PARTNER, (ctx.sender, order.shop)) is not None,
        scene=scene[0] if scene else "", weight=weight,
        counted=_counted(ctx, order_id, order, line, rating, weight),
        reward_bp=REWARD_SHARE[further] if _may_earn(ctx) else 0,
        written_ms=ctx.time_ms, entries=0, answers=0, helpful=0, unhelpful=0, votes=0,
    )  # fmt: skip
    ctx.draft.put(REVIEW, review_id, review)
    ctx.draft.put(WORDS, review_id, Words(text, content, link[0] if link else ""))
    ctx.draft.put(REVIEWED, (order_id, line), Reviewed(review_id))
    times = (*(before.times_ms if before else ()), ctx.time_ms)[-LINES_KEPT:]
    ctx.draft.put(WRITTEN, (ctx.sender, order.shop), Written(times))
    _rate(ctx, review, by=1)
    add_figures(ctx, ctx.sender, reviews=1)
    ctx.involve(shop.owner)
    ctx.list_under(OF_SHOP, order.shop, review_id)
    ctx.list_under(OF_AUTHOR, ctx.sender, review_id)
    ctx.list_under(OF_ORDER, order_id, review_id)
    ctx.emit("review_written", review_id, ctx.sender, order_id, line, rating)
    if order.status == FINAL:
        pay_reviewer(ctx, order_id, line, ctx.sender, review.reward_bp)
    elif window is not None and review.reward_bp:
        waiting = (*window.waiting, (line, review.reward_bp))
        ctx.draft.put(WINDOW, order_id, window._replace(waiting=waiting))


def _may_earn(ctx: Context) -> bool:
    """Whether a further line of today is paid; counts it."""
    day = ctx.time_ms // DAY_MS
    before = ctx.draft.get(TODAY, ctx.sender)
    lines = before.lines if before and before.day == day else 0
    ctx.draft.put(TODAY, ctx.sender, Today(day, lines + 1))
    return lines < ctx.params["review_paid_lines"]


def _weight(ctx: Context, order_id: bytes, line: int, further: int) -> int:
    _, quantity, unit_price, _ = lines_of(ctx, order_id).lines[line]
    served = ctx.draft.get(SERVED, ctx.sender)
    shops = len(served.shops) if served else 0
    value = min(quantity * unit_price, VALUE_MAX)
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
    _, quantity, unit_price, _ = lines_of(ctx, order_id).lines[line]
    gone = refunded_of(ctx.draft, order_id)
    back = gone[line] if line < len(gone) else 0
    stands = min((quantity - back) * unit_price, order.kept)  # a ruling takes from no line
    return weight * min(stands, VALUE_MAX) // min(quantity * unit_price, VALUE_MAX)


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


def on_completed(ctx: Context, order_id: bytes) -> None:
    """Praise of before counts from now on, by itself for the few lines that earn something; for
    others once their author comes back to them.
    """
    window, order = ctx.draft.get(WINDOW, order_id), ctx.draft.get(ORDER, order_id)
    if window is None or order is None:
        return
    for line, _ in window.waiting:
        reviewed = ctx.draft.get(REVIEWED, (order_id, line))
        review = ctx.draft.get(REVIEW, reviewed.review) if reviewed else None
        if reviewed is not None and review is not None and review.rating >= PRAISE_FROM:
            _rate_again(ctx, reviewed.review, review, order, review.rating)


def on_final(ctx: Context, order_id: bytes) -> None:
    """A shop has served its buyer, whose further reviews weigh more; lines reviewed before are
    paid, and whose text led to the order is given its part of the buyer's voice.
    """
    order = ctx.draft.get(ORDER, order_id)
    window = ctx.draft.get(WINDOW, order_id)
    assert order is not None and window is not None, "what becomes final was shipped"
    for line, reward_bp in window.waiting:
        pay_reviewer(ctx, order_id, line, order.buyer, reward_bp)
    author = author_of(ctx.draft, order.led_by[0]) if order.led_by else None
    if author is not None:
        lead(ctx, order_id, author)
    served = ctx.draft.get(SERVED, order.buyer) or Served(())
    is_new = order.shop not in served.shops and len(served.shops) < SHOPS_MAX
    if is_new and order.total - order.refunded >= SHOP_LEAST:
        shop = ctx.draft.get(SHOP, order.shop)
        assert shop is not None
        if not is_linked(ctx.draft, order.buyer, shop.owner):
            ctx.draft.put(SERVED, order.buyer, Served(tuple(sorted((*served.shops, order.shop)))))


def author_of(reader: Reader, text_id: bytes) -> bytes | None:
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
    found = 0
    for (order_id, line), row in reader.items(REVIEWED):
        found += 1
        review = reader.get(REVIEW, row.review)
        if review is None or (review.order, review.line) != (order_id, line):
            return f"line {line} of {order_id.hex()} names a review of another line"
    for review_id, review in reader.items(REVIEW):
        found -= 1
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
    if found:
        return "a line has more than one review"
    for order_id, window in reader.items(WINDOW):
        for line, reward_bp in window.waiting:
            reviewed = reader.get(REVIEWED, (order_id, line))
            review = reader.get(REVIEW, reviewed.review) if reviewed else None
            if review is None or review.reward_bp != reward_bp:
                return f"line {line} of {order_id.hex()} waits for another share than its review's"
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
        if authors.pop(address, NO_AUTHOR) != figures:
            return f"the figures of author {address.hex()} are not the sums over the reviews"
    if authors:
        return f"author {next(iter(authors)).hex()} has figures and no reviews"
    for shop, rating in reader.items(RATING):
        kept = [rating.weight, rating.weighted, rating.reviews, *rating.stars]
        kept += [rating.service_sum, rating.service_count]
        if kept != counted.pop(shop, [0] * 10):
            return f"the rating of {shop.hex()} is not the sums over its reviews"
    return f"{next(iter(counted)).hex()} has reviews and no rating" if counted else None


def _sums_of_authors(reader: Reader) -> dict[bytes, Author]:
    sums: dict[bytes, Author] = {}
    for _, review in reader.items(REVIEW):
        before = sums.get(review.author, NO_AUTHOR)
        sums[review.author] = Author(
            before.reviews + 1, before.votes + review.votes, before.helpful + review.helpful,
            before.unhelpful + review.unhelpful,
        )  # fmt: skip
    return sums
