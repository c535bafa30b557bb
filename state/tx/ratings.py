"""Ratings: what the reviews of a shop come to (F5 of the design). Of the reviews family.

Law: a shop's rating is the sums over its reviews.

A review's weight is fixed when it is written: the line's value up to `VALUE_MAX`, times how many
shops have served the author, times a share that falls with each further line at this shop in 360
days; nothing where author and shop are linked. A complaint counts with all its weight at once,
whatever is refunded. Praise counts with what of the line stands once the order is completed: before
that a shop can refund without the network's fee, so its friends could praise it for the fees of
transactions alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.opinions import REVIEW, Author, Review
from state.tx.orders import BPS, Order
from state.tx.sales import line_standing, line_total

DOLLAR: Final = 1_000_000
PRAISE_FROM: Final = 4  # stars; fewer lie below the prior and are a complaint
VALUE_MAX: Final = 50 * DOLLAR  # V of F5: one big line does not decide
PRIOR_MILLI_STARS: Final = 3_500  # m: below the real mean, so that a new shop is no escape
PRIOR_WEIGHT: Final = 500 * DOLLAR  # W0
SHOPS_MAX: Final = 4  # a further shop adds a quarter to a review's weight, up to four
WEIGHT_SHARE: Final = (10_000, 5_000, 2_500, 1_000)  # r, by lines at this shop in 360 days before


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


RATING: Final[Table[bytes, Rating]] = Table(100, "reviews/rating", Rating, bytes_key())
NO_RATING: Final = Rating(0, 0, 0, (0, 0, 0, 0, 0), 0, 0)


def rating_of(reader: Reader, shop: bytes) -> Rating:
    """The shop's sums."""
    return reader.get(RATING, shop) or NO_RATING


def weight_of(
    ctx: Context, order_id: bytes, order: Order, line: int, author: Author, further: int
) -> int:
    """The weight of a review that an unlinked author writes now, micro-dollars; `further`: how many
    lines at this shop the author has reviewed in the 360 days before, up to three.
    """
    shops = len(author.served_by)
    if not shops:
        return 0
    value = min(line_total(ctx, order_id, order, line), VALUE_MAX)
    return value * (BPS // SHOPS_MAX * shops) // BPS * WEIGHT_SHARE[further] // BPS


def counted_of(
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


def rate(ctx: Context, review: Review, *, by: int) -> None:
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


def rate_again(ctx: Context, review_id: bytes, review: Review, order: Order, rating: int) -> None:
    """The review has these stars from here on, and counts as things stand now."""
    counted = counted_of(ctx, review.order, order, review.line, rating, review.weight)
    if (rating, counted) == (review.rating, review.counted):
        return
    rate(ctx, review, by=-1)
    changed = review._replace(rating=rating, counted=counted)
    ctx.draft.put(REVIEW, review_id, changed)
    rate(ctx, changed, by=1)
