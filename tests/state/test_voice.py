"""Voice: granted by what was bought, directed by tenths, back in the pool when its time is over."""

from __future__ import annotations

import pytest

from state.tx.accounts import account_of, note_keys, note_recruited
from state.tx.rewards import earned_of, mining_of
from state.tx.tokens import token_totals_of
from state.tx.voice import VOICE, VOICE_RESERVE, direct, granted_90, voice_left, voice_of
from tests.state.scenarios.base import ALICE, BOB, SELLER
from tests.state.scenarios.token import PRICE, close_period, final
from tests.state.test_mining import CAROL, DAVE, claim, economy
from tests.state.world import DAY_MS, Person, World, h, in_block

WHY = h("a review")
GRANT = 200_000  # of a sale of 100 dollars


def give(w: World, giver: Person, to: Person, seller: Person = SELLER) -> int:
    with in_block(w) as ctx:
        return direct(ctx, giver.address, to.address, WHY, seller=seller.address)


def left(w: World, person: Person = ALICE) -> tuple[int, int]:
    return granted_90(w.draft, person.address), voice_left(w.draft, person.address)


def reserves(w: World) -> list[int]:
    return [row.left for _, row in w.draft.items(VOICE_RESERVE)]


def test_voice_comes_with_the_close_and_goes_by_tenths() -> None:
    w, _, shop = economy()
    final(w, shop)
    assert (left(w), give(w, ALICE, CAROL)) == ((0, 0), 0)
    close_period(w)
    assert (left(w), voice_of(w.draft, ALICE.address, w.now(9)).weight) == (
        (GRANT, GRANT),
        GRANT // 10,
    )
    assert [give(w, ALICE, CAROL) for _ in range(9)] == [GRANT // 10] * 9
    assert give(w, ALICE, DAVE) == GRANT // 10
    assert (left(w), give(w, ALICE, DAVE), reserves(w)) == ((GRANT, 0), 0, [])
    running = 1
    assert earned_of(w.draft, CAROL.address, running).voice == GRANT * 9 // 10
    assert mining_of(w.draft, running).claims == GRANT
    assert w.broken_laws() == []
    assert claim(w, CAROL, running) == "PERIOD_NOT_CLOSED"
    close_period(w)
    assert claim(w, CAROL, running) == ""
    assert account_of(w.draft, CAROL.address).token == GRANT * 9 // 10
    assert w.broken_laws() == []


def test_voice_never_goes_to_oneself_to_the_linked_or_from_who_sells() -> None:
    w, _, shop = economy()
    final(w, shop)
    close_period(w)
    with in_block(w) as ctx:
        note_recruited(ctx, DAVE.address, ALICE.address)
        note_keys(ctx, BOB.address, [ALICE.key.public_key])
    assert give(w, ALICE, ALICE) == give(w, ALICE, DAVE) == give(w, ALICE, BOB) == 0
    assert give(w, ALICE, CAROL, seller=ALICE) == 0
    assert give(w, ALICE, CAROL, seller=DAVE) == 0  # linked to who sells
    assert left(w) == (GRANT, GRANT)
    assert give(w, BOB, CAROL) == 0  # nothing bought, nothing to say
    assert w.draft.get(VOICE, BOB.address) is None
    assert give(w, ALICE, CAROL) == GRANT // 10


def test_many_accounts_with_the_fees_of_one_weigh_as_much_as_the_one() -> None:
    w, _, shop = economy()
    final(w, shop, (3 * PRICE,))
    for person in (BOB, CAROL):
        final(w, shop, (3 * PRICE // 2,), buyer=person)
    close_period(w)
    alone = give(w, ALICE, DAVE)
    assert alone == give(w, BOB, DAVE) + give(w, CAROL, DAVE) == 60_000


def test_an_order_directs_a_tenth_of_its_own_voice_and_a_tenth_of_what_there_was() -> None:
    w, others, shop = economy()
    others.leader = CAROL
    final(w, shop)  # the first one: there was none
    assert earned_of(w.draft, CAROL.address, 0)[4:7] == (500_000, 0, 0)
    close_period(w)
    assert (left(w), mining_of(w.draft, 0).claims) == ((GRANT, GRANT * 9 // 10 - 1), 1_020_000)
    final(w, shop)
    assert left(w) == (GRANT, GRANT * 8 // 10 - 1)
    assert earned_of(w.draft, CAROL.address, 1).voice == GRANT // 10
    close_period(w)
    assert claim(w, CAROL, 0) == claim(w, CAROL, 1) == ""
    assert account_of(w.draft, CAROL.address).token == 3 * GRANT // 10
    assert w.broken_laws() == []


@pytest.mark.parametrize("leader", [ALICE, SELLER])
def test_an_order_is_not_led_to_by_its_own_parties(leader: Person) -> None:
    w, others, shop = economy()
    others.leader = leader
    final(w, shop)
    period = close_period(w)
    assert mining_of(w.draft, period).led == 0
    assert reserves(w) == [GRANT]


def test_voice_is_good_for_ninety_days_and_then_back_in_the_pool() -> None:
    """In a chain whose days are seconds."""
    w, _, shop = economy(voice_ms=90_000)
    final(w, shop)
    close_period(w)
    pool, now_ms = token_totals_of(w.draft).pool, w.now(9)
    ((until_ms, row),) = w.draft.items(VOICE_RESERVE)
    assert row.left == GRANT and now_ms + 90_000 <= until_ms < now_ms + 100_000
    assert until_ms % 10_000 == 0
    w.pass_ms(until_ms - now_ms - 2)
    assert (left(w), give(w, ALICE, CAROL)) == ((GRANT, GRANT), GRANT // 10)
    w.pass_ms(1)
    assert (left(w), give(w, ALICE, CAROL)) == ((0, 0), 0)
    assert (reserves(w), token_totals_of(w.draft).pool) == ([], pool + GRANT * 9 // 10)
    assert w.broken_laws() == []


def test_an_account_has_ten_grants_at_most_however_much_it_buys() -> None:
    w, _, shop = economy(voice_ms=90_000, period_ms=1_000)
    most = 0
    for turn in range(60):
        final(w, shop, (PRICE // (1 + turn % 7),))
        w.pass_ms(2_000)
        row = w.draft.get(VOICE, ALICE.address)
        assert row is not None
        most = max(most, len(row.grants))
        assert w.broken_laws() == []
    assert 9 <= most <= 10
    w.pass_ms(101_000)
    assert (left(w), reserves(w)) == ((0, 0), [])


def test_the_soonest_to_end_goes_first() -> None:
    w, _, shop = economy(voice_ms=90_000)
    final(w, shop)
    close_period(w)
    w.pass_ms(20_000)
    final(w, shop)
    close_period(w)
    assert [give(w, ALICE, CAROL) for _ in range(7)] == [2 * GRANT // 10] * 7
    assert (left(w), reserves(w)) == ((2 * GRANT, 6 * GRANT // 10), [6 * GRANT // 10])
    assert w.broken_laws() == []


def test_a_refund_takes_back_voice_but_not_what_was_directed() -> None:
    w, _, shop = economy()
    order_id = final(w, shop, (PRICE, PRICE))
    close_period(w)
    for _ in range(6):
        give(w, ALICE, CAROL)
    assert left(w) == (2 * GRANT, 8 * GRANT // 10)
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    assert left(w) == (GRANT, 0)
    assert give(w, ALICE, CAROL) == 0
    close_period(w)
    assert claim(w, CAROL, 1) == ""
    assert account_of(w.draft, CAROL.address).token == 12 * GRANT // 10
    assert w.broken_laws() == []


def test_a_refund_before_the_grant_was_taken_in_is_reckoned_once() -> None:
    """Two periods of one slice: the second one's grant waits while an order of it is undone."""
    w, _, shop = economy()
    final(w, shop)
    close_period(w)
    order_id = final(w, shop, (PRICE, PRICE))
    close_period(w)
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    ((_, row),) = w.draft.items(VOICE_RESERVE)
    assert row.left == 3 * GRANT
    assert left(w) == (2 * GRANT, 2 * GRANT)
    give(w, ALICE, CAROL)
    assert w.do(SELLER, "order_refund", order_id, ((1, 1),), "").code == 0
    assert left(w) == (GRANT, GRANT - 2 * GRANT // 10)
    assert w.broken_laws() == []


def test_the_defaults_are_ninety_days_in_slices_of_ten() -> None:
    w, _, shop = economy()
    final(w, shop)
    close_period(w)
    ((until_ms, _),) = w.draft.items(VOICE_RESERVE)
    assert until_ms % (10 * DAY_MS) == 0
    assert 90 * DAY_MS <= until_ms - w.now(9) < 100 * DAY_MS


def test_abuse_a_crumb_that_granted_nothing_takes_nothing_from_another_grant_when_undone() -> None:
    """An order of a micro-dollar gives no voice, but one micro-MGS of it counts as used by who led
    to it. It was left out when its period was taken in, and its refund took that micro-MGS off what
    was used of the next one's grant, whose end is the same: then more could be directed than is
    reserved, and an order that did so when it became final stopped the chain.
    """
    w, others, shop = economy()
    others.leader = DAVE
    crumb = final(w, shop, (1,))
    close_period(w)
    others.leader = None
    final(w, shop)
    close_period(w)
    final(w, shop)  # takes the second period's grant in
    assert left(w) == (GRANT, GRANT - 1)
    assert w.do(SELLER, "order_refund", crumb, ((0, 1),), "").code == 0
    assert left(w) == (GRANT, GRANT)
    row = w.draft.get(VOICE, ALICE.address)
    assert row is not None and [used for _, _, used in row.grants] == [0]
    assert [give(w, ALICE, CAROL) for _ in range(10)] == [GRANT // 10] * 10
    others.leader = CAROL
    final(w, shop)  # names who led to it, with nothing left to direct
    assert w.broken_laws() == []
