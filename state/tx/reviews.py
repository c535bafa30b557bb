"""Reviews: one for each bought line, the voice of those whom they helped, and who hides a text.

The family's table of kinds; the laws stand with what they are about: `reviewing.py`, `ratings.py`,
`votes.py` (votes and leaders), `moderation.py`. The records that they share are in `opinions.py`,
the audit of reviews and ratings in `review_laws.py`.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, ORDER_LINES_MAX
from state.context import ParamSpec
from state.fields import (
    MICRO_MGS,
    Address,
    Amount,
    Bool,
    Choice,
    Hash32,
    Int,
    Optional,
    Slug,
    Struct,
    Text,
)
from state.registry import EventSpec, Family, Kind, Law
from state.tx import moderation, opinions, ratings, review_laws, reviewing, votes
from state.tx.community import DISCLOSURES
from state.tx.opinions import DAY_MS, REVIEWS
from state.tx.reviewing import TEXT_BYTES_MAX

_ID: Final = Hash32()
_COUNT: Final = Int(0, INT_MAX)
_SUM: Final = Amount(MICRO_MGS, lowest=0)
_STARS: Final = Int(1, 5)
_TEXT: Final = Text(TEXT_BYTES_MAX)

KINDS: Final = (
    Kind(
        "review_write",
        Struct(
            order=_ID, line=Int(0, ORDER_LINES_MAX - 1), rating=_STARS, text=_TEXT,
            disclosure=Choice(*DISCLOSURES), service_rating=Optional(_STARS),
            scene=Optional(Slug()), content=Optional(Hash32()),
            link=Optional(Text(reviewing.LINK_BYTES_MAX, lowest=1)),
        ),
        reviewing.apply_write, 150,
        "Say of a line of your own order what it was like; once for each line.",
        ends=True,
    ),
    Kind(
        "review_follow", Struct(review=_ID, text=_TEXT, rating=Optional(_STARS)),
        reviewing.apply_follow, 100,
        "Come back to your review, with other stars or the same; what was said stays.",
    ),
    Kind(
        "review_answer", Struct(review=_ID, text=_TEXT), reviewing.apply_answer, 100,
        "The shop answers a review.",
    ),
    Kind(
        "review_vote", Struct(review=_ID, helpful=Bool()), votes.apply_vote, 150,
        "Say whether a review helped; a part of your voice goes to its author, or is spent.",
    ),
    Kind(
        "text_report", Struct(text=_ID, reason=Choice(*moderation.REASONS)),
        moderation.apply_report, 100,
        "Point moderators to the text of a review or a post.",
    ),
    Kind(
        "text_moderate", Struct(text=_ID, reason=Optional(Choice(*moderation.REASONS))),
        moderation.apply_moderate, 100,
        "A moderator wants a text hidden for a reason, or (without one) shown.",
    ),
)  # fmt: skip

EVENTS: Final = (
    EventSpec(
        "review_written",
        Struct(review=_ID, author=Address(), order=_ID, line=_COUNT, rating=_STARS),
        "A line was reviewed.",
    ),
    EventSpec(
        "review_followed", Struct(review=_ID, rating=Int(0, 5)),
        "The author came back to a review; 0: the stars stay.",
    ),
    EventSpec("review_answered", Struct(review=_ID), "The shop answered."),
    EventSpec(
        "review_voted", Struct(review=_ID, voter=Address(), helpful=Bool(), weight=_SUM),
        "A reader voted; the voice that it moved, in micro-MGS.",
    ),
    EventSpec(
        "text_reported", Struct(text=_ID, by=Address(), reason=Text(MEMO_BYTES_MAX)),
        "Somebody pointed moderators to a text.",
    ),
    EventSpec(
        "text_moderated", Struct(text=_ID, hidden=Text(MEMO_BYTES_MAX)),
        "A text is hidden for this reason, or shown again (empty).",
    ),
)  # fmt: skip

FAMILY: Final = Family(
    number=REVIEWS,
    name="reviews",
    kinds=KINDS,
    tables=(
        opinions.REVIEW, opinions.WORDS, opinions.ENTRY, ratings.RATING, reviewing.WRITTEN,
        opinions.AUTHOR, moderation.MODERATION, votes.VOTE, votes.HEARD,
        votes.VOTER, votes.LEADER,
    ),
    refusals=(
        opinions.UNKNOWN_REVIEW, reviewing.NOT_YOUR_ORDER, reviewing.NOT_REVIEWABLE,
        reviewing.REVIEW_WINDOW, reviewing.REVIEWED_ALREADY, reviewing.UNKNOWN_REVIEW_LINE,
        reviewing.NOT_AUTHOR, reviewing.NOT_REVIEWED_SHOP, reviewing.TOO_MANY_ENTRIES,
        moderation.NOT_MODERATOR, moderation.SAID_ALREADY, votes.OWN_REVIEW, votes.VOTED_ALREADY,
        moderation.MODERATOR_LINKED,
    ),
    params=(
        ParamSpec(
            "review_window_ms", 60 * DAY_MS, 14 * DAY_MS, 180 * DAY_MS,
            "live time after shipping in which a line can be reviewed", is_time=True,
        ),
        ParamSpec(
            "review_paid_lines", 10, 1, 1_000, "lines that an account is paid for on one day"
        ),
        ParamSpec("moderators_needed", 2, 2, 16, "moderators who hide or show a text"),
    ),
    events=EVENTS,
    laws=(
        Law("reviews", review_laws.check_reviews),
        Law("ratings", review_laws.check_ratings),
        Law("votes", votes.check_votes),
        Law("leaders", votes.check_leaders),
        Law("moderation", moderation.check_moderation),
    ),
    hooks={
        "shipped": reviewing.on_shipped,
        "refunded": reviewing.on_refunded,
        "completed": reviewing.on_completed,
        "final": reviewing.on_final,
        "voice_directed": votes.on_directed,
    },
)  # fmt: skip
