"""What may happen to each kind of the token family."""

from __future__ import annotations

from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY
from tests.state.scenarios.base import ALICE, OP1, grant, scenario, set_bond
from tests.state.scenarios.compliance import freeze
from tests.state.world import DOLLAR, World

TOKEN = DOLLAR  # as many micro-MGS as a dollar has micro-dollars


def set_status(w: World, name: str, status: str) -> None:
    row = w.draft.get(GATEWAY, name)
    assert row is not None
    w.draft.put(GATEWAY, name, row._replace(status=status, seat=status == "active"))


@scenario("token")
def bond_more(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "NOT_OPERATOR")
def bond_as_a_holder(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    return w.tx(ALICE, "token_bond", 3 * TOKEN)


@scenario("token", "ACCOUNT_FROZEN")
def bond_out_of_a_frozen_account(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    freeze(w, OP1)
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "GATEWAY_NOT_ACTIVE")
def bond_for_a_gateway_that_has_left(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    set_status(w, "g1", "left")
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "INSUFFICIENT_TOKENS")
def bond_more_than_one_has(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    return w.tx(OP1, "token_bond", 5 * TOKEN + 1)


@scenario("token")
def unbond_down_to_the_minimum(w: World) -> Transaction:
    set_bond(w, "g1", 100_005 * TOKEN)
    return w.tx(OP1, "token_unbond", 5 * TOKEN)


@scenario("token", "BOND_TOO_SMALL")
def unbond_below_the_minimum(w: World) -> Transaction:
    set_bond(w, "g1", 100_005 * TOKEN)
    return w.tx(OP1, "token_unbond", 5 * TOKEN + 1)


@scenario("token", "GATEWAY_NOT_ACTIVE")
def unbond_while_suspended(w: World) -> Transaction:
    set_bond(w, "g1", 200_000 * TOKEN)
    set_status(w, "g1", "suspended")
    return w.tx(OP1, "token_unbond", TOKEN)


@scenario("token", "NOT_OPERATOR")
def unbond_as_a_holder(w: World) -> Transaction:
    return w.tx(ALICE, "token_unbond", TOKEN)
