"""Opinions: what buyers say of what they really bought; the records, and what an author comes to.

Of the reviews family: `reviewing.py` is when and how they are written, `ratings.py` what they do to
a shop's rating, `votes.py` what readers make of them, `moderation.py` who hides a text,
`review_laws.py` the audit. Nothing is ever removed here, and nothing that was said is changed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key

REVIEWS: Final = 6  # the family's number
UNKNOWN_REVIEW: Final = (601, "UNKNOWN_REVIEW")
DAY_MS: Final = 24 * 3_600_000


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


REVIEW: Final[Table[bytes, Review]] = Table(96, "reviews/review", Review, bytes_key())
WORDS: Final[Table[bytes, Words]] = Table(97, "reviews/words", Words, bytes_key())
# Key: (review, number from 0).
ENTRY: Final[Table[tuple[bytes, int], Entry]] = Table(
    98, "reviews/entry", Entry, pair_key(bytes_key(), int_key(2))
)
AUTHOR: Final[Table[bytes, Author]] = Table(110, "reviews/author", Author, bytes_key())
NO_AUTHOR: Final = Author(0, 0, 0, 0, 0, 0, ())


def author_of(reader: Reader, address: bytes) -> Author:
    """What the account's reviews came to, and what its next one is judged by."""
    return reader.get(AUTHOR, address) or NO_AUTHOR
