"""What may happen to each kind of the reviews family."""

from __future__ import annotations

from typing import Any

from mgsnode.base.transaction import Transaction
from state.tx.accounts import note_recruited
from state.tx.opinions import REVIEW
from state.tx.reviewing import ENTRIES_MAX
from tests.state.scenarios.base import ALICE, BOB, SELLER, scenario
from tests.state.scenarios.community import post
from tests.state.scenarios.governance import done
from tests.state.scenarios.orders import _paid, _shipped
from tests.state.world import DAY_MS, World, h, in_block, people

MODERATORS = people("moderator0", "moderator1", "moderator2")


def opinion(order: bytes, **over: Any) -> tuple[Any, ...]:
    """The fields of a review of the first line: four stars."""
    fields = {
        "order": order, "line": 0, "rating": 4, "text": "A good mug.", "disclosure": "none",
        "service": (), "scene": (), "content": (), "link": (), **over,
    }  # fmt: skip
    return tuple(fields.values())


def reviewed(w: World, **over: Any) -> bytes:
    """Alice's review of a shipped order."""
    receipt = w.do(ALICE, "review_write", *opinion(_shipped(w), **over))
    assert receipt.code == 0
    return receipt.txid


@scenario("reviews")
def write_a_review(w: World) -> Transaction:
    return w.tx(ALICE, "review_write", *opinion(_shipped(w), service=(5,), scene=("camping",)))


@scenario("reviews")
def review_what_was_not_shipped_in_time(w: World) -> Transaction:
    order = _paid(w, ship=DAY_MS)
    w.pass_ms(DAY_MS)
    return w.tx(ALICE, "review_write", *opinion(order, rating=1))


@scenario("reviews", "NOT_REVIEWABLE")
def review_what_was_not_shipped_yet(w: World) -> Transaction:
    return w.tx(ALICE, "review_write", *opinion(_paid(w)))


@scenario("reviews", "NOT_REVIEWABLE")
def review_what_one_has_cancelled_oneself(w: World) -> Transaction:
    order = _paid(w)
    w.do(ALICE, "order_cancel", order)
    return w.tx(ALICE, "review_write", *opinion(order))


@scenario("reviews", "REVIEW_WINDOW")
def review_after_the_window(w: World) -> Transaction:
    done(w, "set_param", ("review_window_ms", DAY_MS))
    order = _shipped(w)
    w.pass_ms(DAY_MS)
    return w.tx(ALICE, "review_write", *opinion(order))


@scenario("reviews", "UNKNOWN_ORDER")
def review_no_order(w: World) -> Transaction:
    return w.tx(ALICE, "review_write", *opinion(h("nothing")))


@scenario("reviews", "NOT_YOUR_ORDER")
def review_the_order_of_another(w: World) -> Transaction:
    return w.tx(BOB, "review_write", *opinion(_shipped(w)))


@scenario("reviews", "UNKNOWN_REVIEW_LINE")
def review_a_line_that_is_none(w: World) -> Transaction:
    return w.tx(ALICE, "review_write", *opinion(_shipped(w), line=2))


@scenario("reviews", "REVIEWED_ALREADY")
def review_a_line_twice(w: World) -> Transaction:
    order = _shipped(w)
    w.do(ALICE, "review_write", *opinion(order))
    return w.tx(ALICE, "review_write", *opinion(order, rating=5))


@scenario("reviews")
def follow_a_review_up(w: World) -> Transaction:
    return w.tx(ALICE, "review_follow", reviewed(w), "The handle broke.", (2,))


@scenario("reviews", "NOT_AUTHOR")
def follow_up_the_review_of_another(w: World) -> Transaction:
    return w.tx(BOB, "review_follow", reviewed(w), "Bad.", (1,))


@scenario("reviews", "UNKNOWN_REVIEW")
def follow_up_nothing(w: World) -> Transaction:
    return w.tx(BOB, "review_follow", h("nothing"), "Bad.", ())


@scenario("reviews", "TOO_MANY_ENTRIES")
def follow_a_review_up_for_ever(w: World) -> Transaction:
    review = reviewed(w)
    row = w.draft.get(REVIEW, review)
    assert row is not None
    w.draft.put(REVIEW, review, row._replace(entries=ENTRIES_MAX))
    return w.tx(ALICE, "review_follow", review, "And again.", ())


@scenario("reviews")
def answer_a_review(w: World) -> Transaction:
    return w.tx(SELLER, "review_answer", reviewed(w), "Thank you.")


@scenario("reviews", "NOT_REVIEWED_SHOP")
def answer_in_the_name_of_the_shop(w: World) -> Transaction:
    return w.tx(BOB, "review_answer", reviewed(w), "Thank you.")


@scenario("reviews")
def vote_helpful_without_a_voice(w: World) -> Transaction:
    return w.tx(BOB, "review_vote", reviewed(w), True)


@scenario("reviews")
def vote_not_helpful(w: World) -> Transaction:
    return w.tx(BOB, "review_vote", reviewed(w), False)


@scenario("reviews", "OWN_REVIEW")
def vote_for_oneself(w: World) -> Transaction:
    return w.tx(ALICE, "review_vote", reviewed(w), True)


@scenario("reviews", "VOTED_ALREADY")
def vote_a_second_time(w: World) -> Transaction:
    review = reviewed(w)
    w.do(BOB, "review_vote", review, True)
    return w.tx(BOB, "review_vote", review, False)


@scenario("reviews")
def report_a_text(w: World) -> Transaction:
    return w.tx(BOB, "text_report", reviewed(w), "spam")


@scenario("reviews", "UNKNOWN_REVIEW")
def report_nothing(w: World) -> Transaction:
    return w.tx(BOB, "text_report", h("nothing"), "spam")


@scenario("reviews")
def one_moderator_hides_nothing(w: World) -> Transaction:
    return w.tx(MODERATORS[0], "text_moderate", reviewed(w), ("private",), payer=BOB)


@scenario("reviews")
def two_moderators_hide_a_post(w: World) -> Transaction:
    text = w.do(ALICE, "post_write", *post()).txid
    w.do(MODERATORS[0], "text_moderate", text, ("private",), payer=BOB)
    return w.tx(MODERATORS[1], "text_moderate", text, ("law",), payer=BOB)


@scenario("reviews", "NOT_MODERATOR")
def hide_a_text_as_a_stranger(w: World) -> Transaction:
    return w.tx(SELLER, "text_moderate", reviewed(w), ("spam",))


@scenario("reviews", "MODERATOR_LINKED")
def hide_a_text_about_oneself(w: World) -> Transaction:
    review = reviewed(w, rating=1)
    with in_block(w) as ctx:
        note_recruited(ctx, MODERATORS[0].address, SELLER.address)
    return w.tx(MODERATORS[0], "text_moderate", review, ("spam",), payer=BOB)


@scenario("reviews", "SAID_ALREADY")
def hide_a_text_twice(w: World) -> Transaction:
    review = reviewed(w)
    w.do(MODERATORS[0], "text_moderate", review, ("spam",), payer=BOB)
    return w.tx(MODERATORS[0], "text_moderate", review, ("spam",), payer=BOB)
