"""Bonds: the way back, its time, and what it answers for meanwhile."""

from __future__ import annotations

import pytest

from state.context import Context
from state.registry import Registry, standard_registry
from state.tx.accounts import account_of
from state.tx.gateways import GATEWAY
from state.tx.tokens import (
    UNBONDING,
    UNBONDING_PARTS_MAX,
    begin_unbonding,
    liable_bond,
    slash_bond,
    token_totals_of,
    unbonding_id,
)
from tests.state.scenarios.base import OP1, new_world, set_bond
from tests.state.scenarios.token import TOKEN, set_status
from tests.state.world import DAY_MS, Person, World, in_block, make_genesis

BOND = 200_000 * TOKEN


def bonded() -> World:
    """g1 has a bond of 200,000; a bond takes two hours to come back."""
    w = World(make_genesis(params={"unbond_ms": 7_200_000}))
    set_bond(w, "g1", BOND)
    return w


def bond_of(w: World, name: str = "g1") -> int:
    row = w.draft.get(GATEWAY, name)
    assert row is not None
    return row.bond


def parts(w: World) -> list[int]:
    row = w.draft.get(UNBONDING, unbonding_id("g1"))
    return [amount for _, amount in row.parts] if row else []


def tokens(w: World, person: Person = OP1) -> int:
    return account_of(w.draft, person.address).token


def test_a_bond_comes_back_at_its_time_and_not_before() -> None:
    w = bonded()
    w.do(OP1, "token_unbond", 10 * TOKEN)
    w.pass_ms(3_600_000)
    w.do(OP1, "token_unbond", 5 * TOKEN)
    assert (bond_of(w), parts(w)) == (BOND - 15 * TOKEN, [10 * TOKEN, 5 * TOKEN])
    w.pass_ms(3_600_000 - 2)
    assert tokens(w) == 0
    w.pass_ms(1)
    assert (tokens(w), parts(w)) == (10 * TOKEN, [5 * TOKEN])
    assert w.broken_laws() == []
    w.pass_ms(3_600_000 + 1)
    assert (tokens(w), parts(w), token_totals_of(w.draft).unbonding) == (15 * TOKEN, [], 0)
    assert w.broken_laws() == []


def test_the_default_is_45_days() -> None:
    w = new_world()
    set_bond(w, "g1", BOND)
    w.do(OP1, "token_unbond", TOKEN)
    row = w.draft.get(UNBONDING, unbonding_id("g1"))
    assert row is not None and row.parts == ((w.now(9) + 45 * DAY_MS, TOKEN),)


def test_what_is_on_its_way_back_answers_after_the_bond() -> None:
    w = bonded()
    w.do(OP1, "token_unbond", 10 * TOKEN)
    w.pass_ms(60_000)
    w.do(OP1, "token_unbond", 5 * TOKEN)
    assert liable_bond(w.draft, "g1") == BOND
    pool = token_totals_of(w.draft).pool
    with in_block(w) as ctx:
        slash_bond(ctx, "g1", BOND - 3 * TOKEN, to=Person("alice").address, to_amount=7)
    assert (bond_of(w), parts(w)) == (0, [3 * TOKEN])
    assert token_totals_of(w.draft).pool == pool + BOND - 3 * TOKEN - 7
    assert tokens(w, Person("alice")) == 7
    assert w.broken_laws() == []
    with in_block(w) as ctx:
        slash_bond(ctx, "g1", 3 * TOKEN, to=b"", to_amount=0)
    assert (liable_bond(w.draft, "g1"), parts(w)) == (0, [])
    w.pass_ms(7_200_001)
    assert (tokens(w), w.broken_laws()) == (0, [])


def test_more_than_is_answered_for_is_never_taken() -> None:
    w = bonded()
    with in_block(w) as ctx, pytest.raises(AssertionError):
        slash_bond(ctx, "g1", BOND + 1, to=b"", to_amount=0)


def test_a_late_part_comes_with_the_next_block() -> None:
    """It was due, the block had no room for it, and it is cut before the next one."""
    w = bonded()
    w.do(OP1, "token_unbond", 10 * TOKEN)
    w.do(OP1, "token_unbond", 10 * TOKEN)
    row = w.draft.get(UNBONDING, unbonding_id("g1"))
    assert row is not None
    with in_block(w, due=False, after_ms=60_000, times=121) as ctx:
        assert ctx.now(9) > row.parts[1][0]
        slash_bond(ctx, "g1", BOND - 5 * TOKEN, to=b"", to_amount=0)
    assert parts(w) == [5 * TOKEN]
    w.block()
    assert (tokens(w), parts(w), w.broken_laws()) == (5 * TOKEN, [], [])


def test_a_row_of_parts_stays_short_and_none_comes_early() -> None:
    w = bonded()
    dues = []
    for _ in range(UNBONDING_PARTS_MAX + 3):
        w.pass_ms(10)
        w.do(OP1, "token_unbond", TOKEN)
        dues.append(w.now(9) + 7_200_000)
    row = w.draft.get(UNBONDING, unbonding_id("g1"))
    assert row is not None and len(row.parts) == UNBONDING_PARTS_MAX
    assert row.parts[-1] == (dues[-1], 4 * TOKEN)
    assert w.broken_laws() == []
    w.pass_ms(7_300_000)
    assert (tokens(w), w.broken_laws()) == ((UNBONDING_PARTS_MAX + 3) * TOKEN, [])


def test_a_gateway_that_has_left_gets_the_whole_bond_back() -> None:
    w = bonded()
    set_status(w, "g1", "left")
    with in_block(w) as ctx:
        begin_unbonding(ctx, "g1", bond_of(w))
    assert (bond_of(w), parts(w)) == (0, [BOND])
    w.pass_ms(7_200_001)
    assert tokens(w) == BOND


def test_a_part_that_is_cut_away_in_the_block_that_brings_it_back_stops_nobody() -> None:
    """What falls due before it takes all of it: the bond's own item is none any more."""

    def cut(ctx: Context, _object_id: bytes) -> None:
        slash_bond(ctx, "g1", liable_bond(ctx.draft, "g1"), to=b"", to_amount=0)

    families = tuple(
        family._replace(due=cut) if family.name == "orders" else family
        for family in standard_registry().families
    )
    w = World(make_genesis(params={"unbond_ms": 7_200_000}), Registry(families))
    set_bond(w, "g1", BOND)
    with in_block(w) as ctx:
        begin_unbonding(ctx, "g1", bond_of(w))
        ctx.schedule(ctx.now(2) + 7_200_000 - 1, unbonding_id("an order"), 2)
    with in_block(w, due=False, after_ms=60_000, times=120):
        pass
    w.block(after_ms=60_000)
    assert (tokens(w), parts(w), w.broken_laws()) == (0, [], [])
