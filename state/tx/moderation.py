"""Moderation: anyone reports a text, k of the listed moderators hide it. Of the reviews family.

What is hidden is the text of a review or a post, for a listed reason (law, private data, spam); its
stars, votes and orders go on counting, and nothing is deleted: a text that k moderators want back
is shown again. A moderator's latest word counts, and only while governance lists the moderator and
it is linked to neither the author nor the reviewed shop: nobody judges in a matter of its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.accounts import is_linked
from state.tx.community import POST
from state.tx.gateways import MODERATOR, is_listed
from state.tx.opinions import REVIEW, UNKNOWN_REVIEW
from state.tx.orders import SHOP

NOT_MODERATOR: Final = (610, "NOT_MODERATOR")
SAID_ALREADY: Final = (611, "SAID_ALREADY")
MODERATOR_LINKED: Final = (614, "MODERATOR_LINKED")
REASONS: Final = ("law", "private", "spam")
SHOWN: Final = ""  # what a moderator says who wants a text to be seen
REPORTED: Final = 99  # list


class Moderation(NamedTuple):
    """What became of a text, under its review's or post's id."""

    reports: int
    hidden: str  # the reason, or `SHOWN`
    said: tuple[tuple[bytes, str], ...]  # (moderator, reason or `SHOWN`), rising by moderator


MODERATION: Final[Table[bytes, Moderation]] = Table(
    104, "reviews/moderation", Moderation, bytes_key()
)
UNTOUCHED: Final = Moderation(0, SHOWN, ())


def moderation_of(reader: Reader, text_id: bytes) -> Moderation:
    """What became of the text of a review or post."""
    return reader.get(MODERATION, text_id) or UNTOUCHED


def _parties_of(reader: Reader, text_id: bytes) -> tuple[bytes, ...]:
    """Author of a review or post, and the owner of the reviewed shop; () where it is no text."""
    review = reader.get(REVIEW, text_id)
    if review is not None:
        shop = reader.get(SHOP, review.shop)
        assert shop is not None, "a shop is never removed"
        return review.author, shop.owner
    post = reader.get(POST, text_id)
    return (post.author,) if post is not None else ()


def _check_text(ctx: Context, text_id: bytes) -> tuple[bytes, ...]:
    parties = _parties_of(ctx.draft, text_id)
    if not parties:
        raise Rejected(UNKNOWN_REVIEW)
    return parties


def _may_judge(reader: Reader, moderator: bytes, parties: tuple[bytes, ...]) -> bool:
    return is_listed(reader, MODERATOR, moderator) and not any(
        is_linked(reader, moderator, party) for party in parties
    )


def apply_report(ctx: Context, fields: Fields) -> None:
    """Point moderators to a text; it changes nothing by itself."""
    text_id, reason = fields
    _check_text(ctx, text_id)
    # From here on nothing can fail.
    row = moderation_of(ctx.draft, text_id)
    ctx.draft.put(MODERATION, text_id, row._replace(reports=row.reports + 1))
    if row.reports == 0:
        ctx.list_under(REPORTED, b"", text_id)
    ctx.emit("text_reported", text_id, ctx.sender, reason)


def apply_moderate(ctx: Context, fields: Fields) -> None:
    """A moderator's word: hide for a reason, or (no reason) show. k equal sides decide."""
    text_id, reason = fields
    parties = _check_text(ctx, text_id)
    if not is_listed(ctx.draft, MODERATOR, ctx.sender):
        raise Rejected(NOT_MODERATOR)
    if not _may_judge(ctx.draft, ctx.sender, parties):
        raise Rejected(MODERATOR_LINKED)
    row = moderation_of(ctx.draft, text_id)
    word = reason[0] if reason else SHOWN
    if dict(row.said).get(ctx.sender) == word:
        raise Rejected(SAID_ALREADY)
    # From here on nothing can fail.
    said = tuple(sorted({**dict(row.said), ctx.sender: word}.items()))
    words = [what for who, what in said if _may_judge(ctx.draft, who, parties)]
    needed, hidden = ctx.params["moderators_needed"], row.hidden
    if word == SHOWN and words.count(SHOWN) >= needed:
        hidden = SHOWN
    elif word != SHOWN and len(words) - words.count(SHOWN) >= needed:
        hidden = hidden or word
    ctx.draft.put(MODERATION, text_id, row._replace(said=said, hidden=hidden))
    if hidden != row.hidden:
        ctx.emit("text_moderated", text_id, hidden)


def check_moderation(reader: Reader) -> str | None:
    """Only reviews and posts are moderated, and nothing is hidden that nobody wanted hidden."""
    for text_id, row in reader.items(MODERATION):
        if reader.get(REVIEW, text_id) is None and reader.get(POST, text_id) is None:
            return f"moderation of {text_id.hex()} belongs to no text"
        if row.hidden and all(word == SHOWN for _, word in row.said):
            return f"text {text_id.hex()} is hidden and nobody said so"
    return None
