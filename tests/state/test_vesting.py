"""Vesting and spending: what the genesis laid out comes into hands by rule."""

from __future__ import annotations

import pytest

from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import GenesisVesting
from state.tx.accounts import account_of
from state.tx.tokens import PURPOSE, Purpose, token_totals_of
from state.tx.vesting import VESTING, Vesting
from tests.state.scenarios.base import ALICE, BOB, OP0
from tests.state.scenarios.governance import done, propose
from tests.state.scenarios.token import TOKEN
from tests.state.world import Person, World, make_genesis, reason

ALL = 100_000_000 * TOKEN  # of each purpose in this world's genesis
HOUR_MS = 3_600_000


def world(*entries: GenesisVesting) -> World:
    return World(make_genesis(funded=[ALICE, BOB])._replace(vesting=entries))


def entry(
    amount: int = 1_000 * TOKEN, purpose: str = "team", holder: Person = ALICE
) -> GenesisVesting:
    """The first tenth is free after one hour, all after ten."""
    return GenesisVesting(purpose, holder.address, amount, HOUR_MS, 10 * HOUR_MS)


def purpose_of(w: World, name: str) -> Purpose:
    row = w.draft.get(PURPOSE, name)
    assert row is not None
    return row


def tokens(w: World, person: Person = ALICE) -> int:
    return account_of(w.draft, person.address).token


def release(w: World) -> str:
    return reason(w, w.do(ALICE, "token_release", "team"))


def test_nothing_before_the_cliff_then_evenly_and_all_at_the_end() -> None:
    w = world(entry())
    w.pass_ms(HOUR_MS - 2)
    assert (release(w), tokens(w)) == ("NOTHING_VESTED", 0)
    assert (release(w), tokens(w)) == ("", 100 * TOKEN)
    w.pass_ms(HOUR_MS // 2 - 1)
    assert (release(w), tokens(w)) == ("", 150 * TOKEN)
    w.pass_ms(12 * HOUR_MS)
    assert (release(w), tokens(w)) == ("", 1_000 * TOKEN)
    assert (release(w), tokens(w)) == ("NOTHING_VESTED", 1_000 * TOKEN)
    assert purpose_of(w, "team") == (ALL, ALL - 1_000 * TOKEN, 0)
    assert w.broken_laws() == []


@pytest.mark.parametrize("now_ms", [0, 99, 100, 101, 550, 999, 1_000, 5_000])
def test_what_is_free_is_the_share_of_the_time(now_ms: int) -> None:
    row = Vesting(7, 0, 0, 100, 1_000)
    assert row.free_at(now_ms) == (0 if now_ms < 100 else min(7, 7 * now_ms // 1_000))


def test_releasing_often_gives_what_releasing_once_does() -> None:
    w = world(entry(amount=10**6 + 3))
    for _ in range(30):
        w.pass_ms(17 * 60_000)
        release(w)
        row = w.draft.get(VESTING, (ALICE.address, "team"))
        assert row is not None and tokens(w) == row.released == row.free_at(w.now(9))
        assert w.broken_laws() == []


def test_a_proposal_spends_what_does_not_vest_and_says_what_for() -> None:
    w = world(entry(amount=ALL - 5, purpose="foundation"))
    too_much = propose(w, "spend", ("foundation", BOB.address, 6, "audit"))
    assert reason(w, w.block(too_much)[0]) == "PURPOSE_SPENT"
    done(w, "spend", ("foundation", BOB.address, 5, "audit"))
    assert w.outcome is not None
    (event,) = [e for r in w.outcome.receipts for e in r.events if e.name == "token_spent"]
    w.registry.events["token_spent"].values.check(event.values)
    assert event.values == ("foundation", BOB.address, 5, "audit")
    assert (tokens(w, BOB), purpose_of(w, "foundation").left) == (5, ALL - 5)
    assert w.broken_laws() == []


def test_two_proposals_for_the_same_tokens_pay_once() -> None:
    w = world()
    for _ in range(2):
        tx = propose(w, "spend", ("promotion", BOB.address, ALL, "all of it"), after=9)
        proposal = w.block(tx)[0]
        for person in (Person("op1"), Person("op2")):
            assert w.do(person, "gov_vote", proposal.txid, True).code == 0
    w.pass_ms(60_000 * 12)
    assert (tokens(w, BOB), purpose_of(w, "promotion").left) == (ALL, 0)
    assert w.broken_laws() == []


def test_what_vests_or_is_mined_is_nobodys_to_spend() -> None:
    w = world()
    for purpose in ("team", "mining"):
        with pytest.raises(Rejected, match="BAD_FIELD"):
            propose_checked(w, purpose)
    for purpose in ("foundation", "promotion", "sale"):
        propose_checked(w, purpose)


def propose_checked(w: World, purpose: str) -> None:
    tx = propose(w, "spend", (purpose, BOB.address, 1, "x"), by=OP0)
    w.registry.kinds["gov_propose"].fields.check(tx.body.fields)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ((entry(purpose="mining"),), "purpose: is one of"),
        ((entry(), entry(amount=1)), "has an entry for team already"),
        ((entry(amount=ALL), entry(amount=1, holder=BOB)), "more of token.team vests"),
    ],
)
def test_a_genesis_whose_vesting_does_not_add_up_is_refused(
    entries: tuple[GenesisVesting, ...], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        world(*entries)


def test_the_supply_is_fixed() -> None:
    w = world(entry())
    totals = token_totals_of(w.draft)
    assert totals.supply == 5 * ALL == totals.pool + totals.unvested
