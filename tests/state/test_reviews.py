"""Reviews, ratings, votes and leaders, to the micro-unit; and what a cheat would try."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from state.draft import Draft
from state.tx.accounts import account_of, next_nonce, note_keys, note_recruited
from state.tx.moderation import moderation_of
from state.tx.opinions import AUTHOR, REVIEW, Review, author_of
from state.tx.orders import CANCELLED, ORDER, PAID, Order
from state.tx.periods import period_of
from state.tx.ratings import PRIOR_WEIGHT, RATING, Rating, rating_of
from state.tx.reviewing import ENTRIES_MAX
from state.tx.rewards import earned_of
from state.tx.sales import line_standing, line_total
from state.tx.tokens import token_totals_of
from state.tx.voice import granted_90, voice_left
from state.tx.votes import HEARD, LEADER, VOTE, VOTER, VOTERS_LEAST, Heard, heard_of, on_directed
from tests.state.scenarios.base import ALICE, ARBITER, BOB, NOTHING, SELLER, new_world
from tests.state.scenarios.community import post
from tests.state.scenarios.orders import open_shop
from tests.state.scenarios.reviews import MODERATORS, opinion, reviewed
from tests.state.scenarios.token import PRICE, close_period, final
from tests.state.scenarios.token import SHORT as SHORT_TERMS
from tests.state.test_mining import claim, economy
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    h,
    in_block,
    make_genesis,
    people,
    reason,
)

SHORT = {"ship": 5 * DAY_MS, "complete": 21 * DAY_MS, "window": 14 * DAY_MS}


def row(w: World, review: bytes) -> Review:
    found = w.draft.get(REVIEW, review)
    assert found is not None
    return found


def order_row(w: World, order_id: bytes) -> Order:
    found = w.draft.get(ORDER, order_id)
    assert found is not None
    return found


def buy(w: World, who: Person, shop: bytes, price: int, lines: int = 1) -> bytes:
    fields = tuple((f"sku{n}", 1, price, ()) for n in range(lines))
    order = w.do(who, "order_pay", shop, fields, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    return order


def bought(w: World, who: Person, shop: bytes, price: int, lines: int = 1) -> bytes:
    """An order that its buyer has completed: the network's fee is paid, and praise counts."""
    order = buy(w, who, shop, price, lines)
    assert w.do(who, "order_complete", order).code == 0
    return order


def served(w: World, who: Person, shops: int) -> None:
    """As if so many shops had served the buyer."""
    before = author_of(w.draft, who.address)
    served_by = tuple(sorted(h(f"shop{n}") for n in range(shops)))
    w.draft.put(AUTHOR, who.address, before._replace(served_by=served_by))


@pytest.mark.parametrize(("lines", "milli"), [(0, 3_500), (1, 3_636), (10, 4_250), (100, 4_863)])
def test_perfect_lines_show_what_the_design_says(lines: int, milli: int) -> None:
    """F5: one perfect line of 50 dollars shows 3.64, ten 4.25, a hundred 4.86."""
    weight = lines * 50 * DOLLAR
    assert Rating(weight, 5 * weight, lines, (0, 0, 0, 0, lines), 0, 0).milli_stars == milli
    assert PRIOR_WEIGHT == 500 * DOLLAR


def test_a_reviews_weight_grows_with_shops_and_falls_with_further_lines() -> None:
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 2)
    order = bought(w, ALICE, shop, 80 * DOLLAR, lines=5)
    weights = []
    for line in range(5):
        review = w.do(ALICE, "review_write", *opinion(order, line=line, rating=5)).txid
        weights.append(row(w, review).weight)
    # 50 of 80 dollars count, half of it for two shops, then 1, 1/2, 1/4, 1/10, 1/10
    assert weights == [25 * DOLLAR, 12_500_000, 6_250_000, 2_500_000, 2_500_000]
    rating = rating_of(w.draft, shop)
    assert (rating.weight, rating.weighted) == (sum(weights), 5 * sum(weights))
    assert rating.stars == (0, 0, 0, 0, 5)
    assert w.broken_laws() == []


def test_who_was_never_served_is_heard_and_does_not_move_the_rating() -> None:
    w = new_world()
    review = reviewed(w, rating=1)
    assert row(w, review).weight == 0
    rating = rating_of(w.draft, row(w, review).shop)
    assert (rating.weight, rating.milli_stars, rating.stars[0]) == (0, 3_500, 1)


def test_a_follow_up_changes_the_stars_and_not_the_weight() -> None:
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 4)
    order = bought(w, ALICE, shop, 50 * DOLLAR)
    review = w.do(ALICE, "review_write", *opinion(order, rating=5, service=(3,))).txid
    assert rating_of(w.draft, shop).weighted == 250 * DOLLAR
    assert w.do(ALICE, "review_follow", review, "It broke.", (2,)).code == 0
    rating = rating_of(w.draft, shop)
    assert (rating.weight, rating.weighted) == (50 * DOLLAR, 100 * DOLLAR)
    assert (rating.stars, rating.service_sum) == ((0, 1, 0, 0, 0), 3)
    assert w.broken_laws() == []


def test_a_refund_does_not_change_what_a_review_weighs() -> None:
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 4)
    order = buy(w, ALICE, shop, 50 * DOLLAR)
    w.do(SELLER, "order_refund", order, ((0, 1),), "")
    review = w.do(ALICE, "review_write", *opinion(order, rating=1)).txid
    assert row(w, review).weight == 50 * DOLLAR
    assert w.broken_laws() == []


def test_abuse_a_shops_friends_praise_what_is_refunded_before_the_fee_is_due() -> None:
    """Paid, shipped, praised, refunded: a thousand lines of 50 dollars cost 1.5 dollars of fees of
    transactions and brought 5,000 dollars of weight, where the network's fee on them is 250.
    """
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 4)
    order = buy(w, ALICE, shop, 50 * DOLLAR, lines=5)
    early = [
        w.do(ALICE, "review_write", *opinion(order, line=line, rating=5)).txid for line in range(4)
    ]
    assert rating_of(w.draft, shop).weight == 0
    back = ((1, 1), (2, 1), (3, 1), (4, 1))
    assert w.do(SELLER, "order_refund", order, back, "").code == 0
    assert w.do(ALICE, "order_complete", order).code == 0
    late = w.do(ALICE, "review_write", *opinion(order, line=4, rating=5)).txid
    assert w.do(ALICE, "review_follow", early[3], "Still fine.", (4,)).code == 0
    weights = [(row(w, review).weight, row(w, review).counted) for review in (*early, late)]
    assert [counted for _, counted in weights] == [50 * DOLLAR, 0, 0, 0, 0]
    assert [weight for weight, _ in weights][1:] == [25 * DOLLAR, 12_500_000, *[5 * DOLLAR] * 2]
    rating = rating_of(w.draft, shop)
    assert (rating.weight, rating.weighted, rating.reviews) == (50 * DOLLAR, 250 * DOLLAR, 5)
    assert w.broken_laws() == []


def test_praise_counts_with_what_of_its_line_stands_and_a_complaint_with_all() -> None:
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 4)
    lines = (("a", 5, 8 * DOLLAR, ()),)  # 40 dollars
    order = w.do(ALICE, "order_pay", shop, lines, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    review = w.do(ALICE, "review_write", *opinion(order, rating=1)).txid
    assert row(w, review).counted == 40 * DOLLAR
    assert w.do(SELLER, "order_refund", order, ((0, 3),), "").code == 0
    assert w.do(ALICE, "review_follow", review, "They made up for it.", (5,)).code == 0
    assert (row(w, review).weight, row(w, review).counted) == (40 * DOLLAR, 0)
    assert w.do(ALICE, "order_complete", order).code == 0  # of itself: its line was to be paid
    assert row(w, review).counted == 16 * DOLLAR
    assert rating_of(w.draft, shop)[:2] == (16 * DOLLAR, 80 * DOLLAR)
    assert w.do(SELLER, "order_refund", order, ((0, 1),), "").code == 0
    assert row(w, review).counted == 16 * DOLLAR  # the fee on it was paid
    assert w.do(ALICE, "review_follow", review, "It broke.", (2,)).code == 0
    assert rating_of(w.draft, shop)[:2] == (40 * DOLLAR, 80 * DOLLAR)
    assert w.broken_laws() == []


def test_abuse_a_ruling_gives_back_what_a_friend_paid_and_praised() -> None:
    w = new_world()
    shop = open_shop(w)
    served(w, ALICE, 4)
    order = buy(w, ALICE, shop, 50 * DOLLAR)
    review = w.do(ALICE, "review_write", *opinion(order, rating=5)).txid
    w.do(ALICE, "order_dispute", order, "")
    assert w.do(ARBITER, "order_rule", order, 9_900, payer=BOB).code == 0
    assert row(w, review).counted == DOLLAR // 2
    assert w.broken_laws() == []


def test_abuse_a_shop_praises_itself_or_through_who_is_linked_to_it() -> None:
    w = new_world()
    shop, other = open_shop(w, **SHORT), open_shop(w, name="other", **SHORT)
    with in_block(w) as ctx:
        note_recruited(ctx, ALICE.address, SELLER.address)
    for buyer in (ALICE, SELLER):
        served(w, buyer, 3)
        order = bought(w, buyer, shop, 50 * DOLLAR)
        for rating, line in ((5, 0),):
            review = w.do(buyer, "review_write", *opinion(order, line=line, rating=rating)).txid
            assert (row(w, review).weight, row(w, review).counted) == (0, 0)
        bought(w, buyer, other, 50 * DOLLAR)
    w.pass_ms(SHORT["window"])
    for buyer in (ALICE, SELLER):
        assert len(author_of(w.draft, buyer.address).served_by) == 3
    assert rating_of(w.draft, shop)[:3] == (0, 0, 2)
    assert w.broken_laws() == []


def test_abuse_answers_without_end_do_not_shut_the_author_up() -> None:
    """Nor do follow-ups keep the shop from answering: each side has its own sixteen."""
    w = new_world()
    review = reviewed(w, rating=5)
    for n in range(ENTRIES_MAX):
        assert w.do(SELLER, "review_answer", review, f"Thanks {n}").code == 0
    assert reason(w, w.do(SELLER, "review_answer", review, "Thanks")) == "TOO_MANY_ENTRIES"
    assert w.do(ALICE, "review_follow", review, "It broke.", (1,)).code == 0
    assert (row(w, review).rating, row(w, review).entries, row(w, review).answers) == (1, 17, 16)
    for _ in range(ENTRIES_MAX - 1):
        assert w.do(ALICE, "review_follow", review, "And again.", ()).code == 0
    assert reason(w, w.do(ALICE, "review_follow", review, "More.", ())) == "TOO_MANY_ENTRIES"
    assert w.broken_laws() == []


def test_an_overdue_order_can_be_reviewed_before_the_clock_has_come_to_it() -> None:
    """Judged by the clock: 600 orders fall due at once, some wait for the next block."""
    w = new_world()
    shop = open_shop(w, **SHORT)
    orders = [
        w.tx(
            ALICE,
            "order_pay",
            shop,
            (("a", 1, DOLLAR, ()),),
            *NOTHING,
            lane=n % 200,
            nonce=n // 200,
        )
        for n in range(600)
    ]
    w.block(*orders)
    w.pass_ms(SHORT["ship"] - 1)
    waiting = sorted(tx.txid for tx in orders)[-1]
    receipt = w.block(w.tx(ALICE, "review_write", *opinion(waiting, rating=1), lane=250))[0]
    assert reason(w, receipt) == ""
    before = order_row(w, waiting)
    assert (before.status, before.waiting) == (PAID, ())  # it will be called off and pay nobody
    w.block()  # the clock comes to it, and what is known of its reviews stays as it is
    after = order_row(w, waiting)
    assert after.status == CANCELLED and after[-3:] == before[-3:]
    again = w.do(ALICE, "review_write", *opinion(waiting, rating=1))
    assert reason(w, again) == "REVIEWED_ALREADY"
    assert w.broken_laws() == []


@given(
    lines=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 90)), min_size=1, max_size=3),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_line_alone_is_worth_what_it_is_worth_among_others(
    lines: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Of an order of one line nothing but the order is read; both ways say the same."""
    w = new_world()
    shop = open_shop(w)
    paid = tuple(
        (f"sku{n}", units, dollars * DOLLAR, ()) for n, (units, dollars) in enumerate(lines)
    )
    order_id = w.do(ALICE, "order_pay", shop, paid, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order_id, "").code == 0
    left = data.draw(st.integers(0, paid[0][1]))
    if left < paid[0][1]:
        assert w.do(SELLER, "order_refund", order_id, ((0, paid[0][1] - left),), "").code == 0
    if data.draw(st.booleans()) and w.do(ALICE, "order_dispute", order_id, "").code == 0:
        w.do(ARBITER, "order_rule", order_id, data.draw(st.integers(0, 10_000)), payer=BOB)
    order = w.draft.get(ORDER, order_id)
    assert order is not None
    with in_block(w) as ctx:
        for line, (_, units, price, _) in enumerate(paid):
            back = paid[0][1] - left if line == 0 else 0
            assert line_total(ctx, order_id, order, line) == units * price
            expected = min((units - back) * price, order.total - order.refunded)
            assert line_standing(ctx, order_id, order, line) == expected


def test_moderators_hide_and_show_again_and_the_stars_still_count() -> None:
    w = new_world()
    review = reviewed(w)
    for moderator in MODERATORS[:2]:
        w.do(moderator, "text_moderate", review, ("private",), payer=BOB)
    assert moderation_of(w.draft, review).hidden == "private"
    assert rating_of(w.draft, row(w, review).shop).reviews == 1
    for moderator in MODERATORS[1:]:
        w.do(moderator, "text_moderate", review, (), payer=BOB)
    assert moderation_of(w.draft, review).hidden == ""
    assert w.broken_laws() == []


def test_abuse_moderators_judge_in_matters_of_their_own() -> None:
    """Linked to the author or to the reviewed shop they have no say, nor had they before."""
    w = new_world()
    review = reviewed(w, rating=1)
    first, second, third = MODERATORS
    assert w.do(first, "text_moderate", review, ("law",), payer=BOB).code == 0
    with in_block(w) as ctx:
        note_recruited(ctx, first.address, SELLER.address)
        note_recruited(ctx, third.address, ALICE.address)
    for linked, reason_ in ((first, ("spam",)), (third, ("law",)), (third, ())):
        receipt = w.do(linked, "text_moderate", review, reason_, payer=BOB)
        assert reason(w, receipt) == "MODERATOR_LINKED"
    assert w.do(second, "text_moderate", review, ("law",), payer=BOB).code == 0
    assert moderation_of(w.draft, review).hidden == ""  # two have said so, one counts
    said = w.do(ALICE, "post_write", *post()).txid
    assert reason(w, w.do(third, "text_moderate", said, ("law",), payer=BOB)) == "MODERATOR_LINKED"
    for moderator in (first, second):  # the shop is no party of a post
        assert w.do(moderator, "text_moderate", said, ("law",), payer=BOB).code == 0
    assert moderation_of(w.draft, said).hidden == "law"
    assert w.broken_laws() == []


def test_abuse_a_review_without_a_purchase_or_twice_for_one_line() -> None:
    w = new_world()
    order = buy(w, ALICE, open_shop(w), DOLLAR)
    stranger = w.do(BOB, "review_write", *opinion(order))
    assert reason(w, stranger) == "NOT_YOUR_ORDER"
    assert reason(w, w.do(ALICE, "review_write", *opinion(order))) == ""
    assert reason(w, w.do(ALICE, "review_write", *opinion(order))) == "REVIEWED_ALREADY"


def test_only_ten_lines_a_day_are_paid_and_a_fourth_at_one_shop_is_not() -> None:
    w = new_world()
    shops = [open_shop(w, name=f"shop {n}") for n in range(11)]
    shares = []
    for shop in shops:
        review = w.do(ALICE, "review_write", *opinion(buy(w, ALICE, shop, DOLLAR))).txid
        shares.append(row(w, review).reward_bp)
    assert shares == [10_000] * 10 + [0]
    w.block(after_ms=DAY_MS)
    order = buy(w, ALICE, shops[0], DOLLAR, lines=3)
    for line, share in enumerate((5_000, 2_500, 0)):
        review = w.do(ALICE, "review_write", *opinion(order, line=line)).txid
        assert row(w, review).reward_bp == share


class Given:
    """A context that is enough for `on_directed`."""

    def __init__(self, w: World) -> None:
        self.draft = w.draft


def test_leaders_stand_in_the_order_of_voice_and_need_ten_voters() -> None:
    w = new_world()
    ctx = Given(w)
    voters = [h(f"voter{n}") for n in range(VOTERS_LEAST)]
    for voter in voters[:-1]:
        on_directed(ctx, voter, ALICE.address, b"", 5)  # type: ignore[arg-type]
    assert list(w.draft.items(LEADER)) == []
    on_directed(ctx, voters[0], ALICE.address, b"", 5)  # type: ignore[arg-type]
    assert heard_of(w.draft, 0, ALICE.address) == Heard(50, 9, tuple(voters[:-1]))
    for author, amount in ((ALICE, 1), (BOB, 7)):
        for voter in voters:
            on_directed(ctx, voter, author.address, b"", amount)  # type: ignore[arg-type]
    leaders = [author for (_, author), _ in w.draft.items(LEADER)]
    assert leaders == [BOB.address, ALICE.address]  # 70 and 60
    assert [law for law in w.broken_laws() if "leaders" in law] == []


def test_abuse_ten_accounts_of_one_key_make_no_leader() -> None:
    w = new_world()
    ctx = Given(w)
    voters = [h(f"voter{n}") for n in range(VOTERS_LEAST + 8)]
    with in_block(w) as linking:
        for voter in voters[:9]:
            note_keys(linking, voter, [BOB.key.public_key])
    for voter in voters[:-1]:
        on_directed(ctx, voter, ALICE.address, b"", 5)  # type: ignore[arg-type]
    assert heard_of(w.draft, 0, ALICE.address)[:2] == (85, 17)  # one of nine, and eight others
    assert list(w.draft.items(LEADER)) == []
    on_directed(ctx, voters[-1], ALICE.address, b"", 5)  # type: ignore[arg-type]
    assert [author for (_, author), _ in w.draft.items(LEADER)] == [ALICE.address]
    assert [law for law in w.broken_laws() if "leaders" in law] == []


def test_a_helpful_vote_directs_a_tenth_of_the_voters_voice_and_one_against_spends_it() -> None:
    w, _, shop = economy()
    final(w, shop)
    period = close_period(w) + 1
    tenth = granted_90(w.draft, ALICE.address) // 10
    assert tenth > 0
    order = buy(w, BOB, shop, DOLLAR, lines=2)
    good, bad = (w.do(BOB, "review_write", *opinion(order, line=line)).txid for line in range(2))
    assert w.do(ALICE, "review_vote", good, True).code == 0
    assert (row(w, good).helpful, heard_of(w.draft, period, BOB.address)[:2]) == (tenth, (tenth, 1))
    pool = token_totals_of(w.draft).pool
    receipt = w.do(ALICE, "review_vote", bad, False)
    assert [event.name for event in receipt.events] == ["voice_spent", "review_voted"]
    assert (row(w, bad).unhelpful, row(w, bad).helpful) == (tenth, 0)
    assert token_totals_of(w.draft).pool == pool + tenth
    assert voice_left(w.draft, ALICE.address) == 8 * tenth
    assert heard_of(w.draft, period, BOB.address)[:2] == (tenth, 1)
    assert w.broken_laws() == []
    close_period(w)
    assert claim(w, BOB, period) == ""
    assert account_of(w.draft, BOB.address).token >= tenth


def test_the_shop_and_linked_accounts_vote_without_weight() -> None:
    w, _, shop = economy()
    final(w, shop)
    close_period(w)
    review = w.do(BOB, "review_write", *opinion(buy(w, BOB, shop, DOLLAR))).txid
    with in_block(w) as ctx:
        note_recruited(ctx, ALICE.address, BOB.address)
    for voter in (ALICE, SELLER):
        assert w.do(voter, "review_vote", review, True).code == 0
    assert (row(w, review).helpful, row(w, review).votes) == (0, 2)


def test_lines_reviewed_before_the_order_is_final_are_paid_then_and_others_at_once() -> None:
    w, _, shop = economy()
    lines = (("a", 1, PRICE, ()), ("b", 1, 3 * PRICE, ()))
    order = w.do(ALICE, "order_pay", shop, lines, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "review_write", *opinion(order, line=0, rating=1)).code == 0
    assert earned_of(w.draft, ALICE.address, 0).reviewer == 0
    assert w.do(ALICE, "order_complete", order).code == 0
    w.pass_ms(SHORT_TERMS["window"])
    fee = 2 * DOLLAR  # 50 bps of 400 dollars
    period = period_of(w.draft).number
    assert earned_of(w.draft, ALICE.address, period).reviewer == fee // 4
    assert w.do(ALICE, "review_write", *opinion(order, line=1, rating=5)).code == 0
    # a second line at this shop earns half of its part
    assert earned_of(w.draft, ALICE.address, period).reviewer == fee // 4 + fee * 3 // 4 // 2
    assert w.broken_laws() == []


def test_abuse_an_order_of_a_hundred_reviewed_lines_is_as_cheap_to_end_as_one_of_three() -> None:
    """Only lines that earn are looked at again: with 1,024 of them a ruling took 25 ms."""
    w, _, shop = economy()
    lines = tuple((f"sku {line}", 1, DOLLAR, ()) for line in range(100))
    order = w.do(ALICE, "order_pay", shop, lines, *NOTHING).txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    first = next_nonce(account_of(w.draft, ALICE.address), 0)
    written = [
        w.tx(ALICE, "review_write", *opinion(order, line=line), nonce=first + line)
        for line in range(100)
    ]
    assert {receipt.code for receipt in w.block(*written)} == {0}
    known = order_row(w, order)
    assert [known.has_review(line) for line in (0, 99, 100, 1_023)] == [True, True, False, False]
    assert known.reviewed == b"\xff" * 12 + b"\x0f"
    assert [(line, share) for line, _, share in known.waiting] == [
        (0, 10_000), (1, 5_000), (2, 2_500),
    ]  # fmt: skip
    (_, first, _), (_, second, _), _ = known.waiting
    for wrong, why in (
        ({"waiting": ((0, first, 5_000),)}, "waits for another share"),
        ({"waiting": ((0, second, 10_000),)}, "waits for another share"),
        ({"waiting": (*known.waiting, known.waiting[0])}, "more of its reviews than it needs"),
        ({"reviewed": b"\xfe" + known.reviewed[1:]}, "knows no further one of"),
        ({"reviewed": known.reviewed[:-1] + b"\xff"}, "there is no review of it"),
        ({"reviewed": known.reviewed + b"\0"}, "more of its reviews than it needs"),
        ({"review_until_ms": 0}, "does not say until when"),
    ):
        w.draft, before = Draft(w.draft), w.draft
        w.draft.put(ORDER, order, known.but(**wrong))
        assert any(why in line for line in w.broken_laws()), (wrong, w.broken_laws())
        w.draft = before
    assert w.do(ALICE, "order_complete", order).code == 0
    w.pass_ms(SHORT_TERMS["window"])
    fee, period = DOLLAR // 2, period_of(w.draft).number  # 50 bps of 100 dollars
    assert earned_of(w.draft, ALICE.address, period).reviewer == fee * 175 // 100 // 100
    assert w.broken_laws() == []


def test_an_order_that_names_a_review_gives_its_author_a_part_of_its_voice() -> None:
    w, _, shop = economy()
    review = w.do(BOB, "review_write", *opinion(buy(w, BOB, shop, DOLLAR))).txid
    lines = (("a", 1, PRICE, ()),)
    order = w.do(ALICE, "order_pay", shop, lines, (), (), (review,), (), ()).txid
    assert w.do(SELLER, "order_ship", order, "").code == 0
    assert w.do(ALICE, "order_complete", order).code == 0
    w.pass_ms(SHORT_TERMS["window"])
    assert earned_of(w.draft, BOB.address, period_of(w.draft).number).led == DOLLAR // 2
    assert w.broken_laws() == []


class Readers(RuleBasedStateMachine):
    """Buyers review, readers vote, shops refund, moderators hide, in any order."""

    @initialize()
    def begin(self) -> None:
        self.people = people("alice", "bob", "carol")
        self.w = World(make_genesis(funded=[*self.people, SELLER], arbiters=[ARBITER]))
        self.shop = open_shop(self.w, **SHORT)
        self.orders: list[tuple[Person, bytes]] = []
        self.reviews: list[bytes] = []

    who = st.integers(0, 2)
    which = st.integers(0, 9)

    @rule(who=who, dollars=st.integers(1, 90), lines=st.integers(1, 3))
    def order(self, who: int, dollars: int, lines: int) -> None:
        buyer = self.people[who]
        self.orders.append((buyer, buy(self.w, buyer, self.shop, dollars * DOLLAR, lines)))

    @rule(which=which, line=st.integers(0, 2), stars=st.integers(1, 5))
    def review(self, which: int, line: int, stars: int) -> None:
        if self.orders:
            buyer, order = self.orders[which % len(self.orders)]
            fields = opinion(order, line=line, rating=stars)
            receipt = self.w.do(buyer, "review_write", *fields)
            if receipt.code == 0:
                self.reviews.append(receipt.txid)

    @rule(who=who, which=which, act=st.sampled_from(["helpful", "not", "follow", "hide"]))
    def act(self, who: int, which: int, act: str) -> None:
        if not self.reviews:
            return
        person, review = self.people[who], self.reviews[which % len(self.reviews)]
        if act == "follow":
            self.w.do(person, "review_follow", review, "again", (who + 1,))
        elif act == "hide":
            self.w.do(MODERATORS[who], "text_moderate", review, ("spam",), payer=person)
        else:
            self.w.do(person, "review_vote", review, act == "helpful")

    @rule(which=which, end=st.sampled_from(["complete", "refund"]))
    def end(self, which: int, end: str) -> None:
        if self.orders:
            buyer, order = self.orders[which % len(self.orders)]
            if end == "complete":
                self.w.do(buyer, "order_complete", order)
            else:
                self.w.do(SELLER, "order_refund", order, ((0, 1),), "")

    @rule(days=st.integers(1, 9))
    def wait(self, days: int) -> None:
        for _ in range(days):
            self.w.pass_ms(30 * 60_000)
            self.w.block(after_ms=DAY_MS)

    @invariant()
    def laws_hold(self) -> None:
        assert self.w.broken_laws() == []


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("table", "field", "law"),
    [
        (REVIEW, "line", "reviews/reviews"),
        (REVIEW, "entries", "reviews/reviews"),
        (REVIEW, "answers", "reviews/reviews"),
        (REVIEW, "counted", "reviews/reviews"),
        (REVIEW, "helpful", "reviews/votes"),
        (RATING, "weighted", "reviews/ratings"),
        (AUTHOR, "helpful", "reviews/ratings"),
        (RATING, "service_sum", "reviews/ratings"),
        (VOTE, "weight", "reviews/votes"),
        (HEARD, "voice", "reviews/leaders"),
        (VOTER, "given", "reviews/leaders"),
    ],
)
def test_a_law_notices_a_figure_that_is_one_off(table: Any, field: str, law: str) -> None:
    w, _, shop = economy()
    final(w, shop)
    close_period(w)
    review = w.do(BOB, "review_write", *opinion(buy(w, BOB, shop, DOLLAR))).txid
    w.do(ALICE, "review_vote", review, True)
    assert w.broken_laws() == []
    key, record = next(iter(w.draft.items(table)))
    w.draft.put(table, key, record._replace(**{field: getattr(record, field) + 1}))
    assert any(line.startswith(law) for line in w.broken_laws()), w.broken_laws()
