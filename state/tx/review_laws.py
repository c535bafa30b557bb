"""What always holds of reviews and ratings, read over the whole state; part of the reviews family.

Nothing here is called while a block is executed.
"""

from __future__ import annotations

from state.draft import Reader
from state.tx.opinions import AUTHOR, ENTRY, NO_AUTHOR, REVIEW, WORDS
from state.tx.orders import CANCELLED, ORDER, PAID
from state.tx.ratings import PRAISE_FROM, RATING


def check_reviews(reader: Reader) -> str | None:
    """Every review points to a line of its author's that could be reviewed, one for each line."""
    left = {
        order_id: int.from_bytes(order.reviewed, "little")
        for order_id, order in reader.items(ORDER)
        if order.reviewed
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
    """What waits for an order's end is a review of it, and an order keeps no more than it needs."""
    for order_id, order in reader.items(ORDER):
        waiting = dict.fromkeys(line for line, _, _ in order.waiting)
        if order.reviewed.endswith(b"\0") or len(waiting) < len(order.waiting):
            return f"order {order_id.hex()} keeps more of its reviews than it needs to"
        if not order.review_until_ms and (order.reviewed or order.shipped_ms):
            return f"order {order_id.hex()} does not say until when it can be reviewed"
        for line, review_id, reward_bp in order.waiting:
            review = reader.get(REVIEW, review_id)
            if review is None or (review.order, review.line, review.reward_bp) != (
                order_id, line, reward_bp,
            ):  # fmt: skip
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
