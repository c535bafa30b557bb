"""Votes and leaders: readers' voice goes to those who helped them. Of the reviews family.

Law: a leader's figures are the sums of the voice directed to him in a period, and leaders stand in
their order.

A helpful vote directs a part of the voter's voice to the author (`voice.py` says how much); a vote
against costs the same and lowers only the rank. No voice, no weight. Never to oneself; by the
reviewed shop or a linked account it weighs nothing. A voter votes once on a review. Whoever had
voice directed to him in a period by at least `VOTERS_LEAST` voters, no two of them linked, is an
opinion leader of that period, ranked by how much; the ranking is kept with each movement.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import is_linked
from state.tx.opinions import AUTHOR, REVIEW, UNKNOWN_REVIEW, author_of
from state.tx.orders import SHOP
from state.tx.periods import period_of
from state.tx.voice import direct, spend

OWN_REVIEW: Final = (612, "OWN_REVIEW")
VOTED_ALREADY: Final = (613, "VOTED_ALREADY")
VOTERS_LEAST: Final = 10  # unlinked voters that make a leader


class Vote(NamedTuple):
    """A voter's word on a review, and the voice that it moved (micro-MGS)."""

    helpful: bool
    weight: int


class Heard(NamedTuple):
    """What an author was given in a period."""

    voice: int  # micro-MGS directed, by votes and by orders that named a text of the author's
    voters: int  # distinct, none linked to the author
    first: tuple[bytes, ...]  # the first few of them, none linked to another

    @property
    def leads(self) -> bool:
        """Whether enough have directed voice to the author."""
        return len(self.first) >= VOTERS_LEAST


class Voter(NamedTuple):
    """That an account directed voice to an author in a period."""

    given: int


class Leader(NamedTuple):
    """A place in the ranking of a period; all there is to say stands in the key."""


# Key: (review, voter).
VOTE: Final[Table[tuple[bytes, bytes], Vote]] = Table(
    105, "reviews/vote", Vote, pair_key(bytes_key(), bytes_key())
)
# Key: (period, author).
HEARD: Final[Table[tuple[int, bytes], Heard]] = Table(
    106, "reviews/heard", Heard, pair_key(int_key(), bytes_key())
)
# Key: ((period, author), voter).
VOTER: Final[Table[tuple[tuple[int, bytes], bytes], Voter]] = Table(
    107, "reviews/voter", Voter, pair_key(pair_key(int_key(), bytes_key()), bytes_key())
)
# Key: ((period, what is left of INT_MAX above the voice), author): most voice first.
LEADER: Final[Table[tuple[tuple[int, int], bytes], Leader]] = Table(
    108, "reviews/leader", Leader, pair_key(pair_key(int_key(), int_key()), bytes_key())
)
NOT_HEARD: Final = Heard(0, 0, ())


def heard_of(reader: Reader, period: int, author: bytes) -> Heard:
    """What the author was given in that period."""
    return reader.get(HEARD, (period, author)) or NOT_HEARD


def apply_vote(ctx: Context, fields: Fields) -> None:
    """Say whether a review helped."""
    review_id, helpful = fields
    review = ctx.require(REVIEW, review_id, UNKNOWN_REVIEW)
    if review.author == ctx.sender:
        raise Rejected(OWN_REVIEW)
    if ctx.draft.get(VOTE, (review_id, ctx.sender)) is not None:
        raise Rejected(VOTED_ALREADY)
    # From here on nothing can fail.
    shop = ctx.draft.get(SHOP, review.shop)
    assert shop is not None
    if helpful:
        weight = direct(ctx, ctx.sender, review.author, review_id, seller=shop.owner)
    else:
        weight = spend(ctx, ctx.sender, review.author, seller=shop.owner)
    ctx.draft.put(VOTE, (review_id, ctx.sender), Vote(helpful, weight))
    changed = review._replace(
        votes=review.votes + 1,
        helpful=review.helpful + (weight if helpful else 0),
        unhelpful=review.unhelpful + (0 if helpful else weight),
    )
    ctx.draft.put(REVIEW, review_id, changed)
    author = author_of(ctx.draft, review.author)
    figures = author._replace(
        votes=author.votes + 1,
        helpful=author.helpful + (weight if helpful else 0),
        unhelpful=author.unhelpful + (0 if helpful else weight),
    )
    ctx.draft.put(AUTHOR, review.author, figures)
    ctx.emit("review_voted", review_id, ctx.sender, helpful, weight)


def on_directed(ctx: Context, giver: bytes, author: bytes, _source: bytes, amount: int) -> None:
    """Voice went to an author, by a vote or by an order: keep the period's ranking."""
    if amount == 0:
        return
    period = period_of(ctx.draft).number
    before = heard_of(ctx.draft, period, author)
    voter_key = ((period, author), giver)
    known = ctx.draft.get(VOTER, voter_key)
    ctx.draft.put(VOTER, voter_key, Voter((known.given if known else 0) + amount))
    first = before.first
    is_open = known is None and not before.leads
    if is_open and not any(is_linked(ctx.draft, giver, other) for other in first):
        first = (*first, giver)
    after = Heard(before.voice + amount, before.voters + (known is None), first)
    ctx.draft.put(HEARD, (period, author), after)
    if before.leads:
        ctx.draft.delete(LEADER, _place(period, before, author))
    if after.leads:
        ctx.draft.put(LEADER, _place(period, after, author), Leader())


def _place(period: int, heard: Heard, author: bytes) -> tuple[tuple[int, int], bytes]:
    return (period, INT_MAX - heard.voice), author


def check_votes(reader: Reader) -> str | None:
    """A review's helpful and unhelpful voice are the sums of its votes."""
    sums: dict[bytes, list[int]] = {}
    for (review_id, voter), vote in reader.items(VOTE):
        review = reader.get(REVIEW, review_id)
        if review is None or review.author == voter:
            return f"a vote on {review_id.hex()} is of its author or on nothing"
        kept = sums.setdefault(review_id, [0, 0, 0])
        kept[0] += 1
        kept[1 if vote.helpful else 2] += vote.weight
    for review_id, review in reader.items(REVIEW):
        if [review.votes, review.helpful, review.unhelpful] != sums.get(review_id, [0, 0, 0]):
            return f"the votes of review {review_id.hex()} add up to something else"
    return None


def check_leaders(reader: Reader) -> str | None:
    """What an author was given is the sum of who gave it; leaders stand in their order, once."""
    given: dict[tuple[int, bytes], list[int]] = {}
    for (key, _), voter in reader.items(VOTER):
        sums = given.setdefault(key, [0, 0])
        sums[0] += voter.given
        sums[1] += 1
    places = dict(reader.items(LEADER))
    for (period, author), heard in reader.items(HEARD):
        if [heard.voice, heard.voters] != given.pop((period, author), [0, 0]):
            return f"{author.hex()} was given something else in period {period}"
        place = _place(period, heard, author)
        if any(reader.get(VOTER, ((period, author), who)) is None for who in heard.first):
            return f"{author.hex()} leads in period {period} by somebody who gave nothing"
        if (place in places) != heard.leads:
            return f"{author.hex()} leads in period {period} and should not, or the reverse"
        places.pop(place, None)
    if given or places:
        return "somebody leads who was given nothing"
    return None
