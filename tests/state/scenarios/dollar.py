"""What may happen to each kind of the dollar family."""

from __future__ import annotations

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    scenario,
)
from tests.state.world import (
    DOLLAR,
    Person,
    World,
)


@scenario("dollar")
def transfer_to_two(w: World) -> Transaction:
    outputs = ((BOB.address, 5 * DOLLAR, "rent"), (Person("new").address, 1, ""))
    return w.tx(ALICE, "dollar_transfer", outputs)


@scenario("dollar")
def transfer_to_oneself(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((ALICE.address, 5 * DOLLAR, ""),))


@scenario("dollar")
def transfer_with_a_sponsored_fee(w: World) -> Transaction:
    new = Person("new")
    w.do(ALICE, "dollar_transfer", ((new.address, 5, ""),))
    return w.tx(new, "dollar_transfer", ((BOB.address, 5, ""),), payer=ALICE)


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_more_than_there_is(w: World) -> Transaction:
    half = 5_000 * DOLLAR  # two halves and the fee: more than 10,000
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, half, ""), (BOB.address, half, "")))


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_outputs_that_sum_beyond_64_bits(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, INT_MAX, ""),) * 3)
