"""What may happen to reserves and issuing."""

from __future__ import annotations

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY, STANDING, Standing
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    OP0,
    OP1,
    scenario,
)
from tests.state.world import (
    DOLLAR,
    World,
    h,
)


@scenario("dollar")
def issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "NOT_OPERATOR")
def issue_by_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def issue_by_a_suspended_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="suspended"))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "REFERENCE_USED")
def issue_twice_on_one_reference(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_on_the_reference_of_another_gateway(w: World) -> Transaction:
    w.do(OP0, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_up_to_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR, h("wire 1"))


@scenario("dollar", "CAP_EXCEEDED")
def issue_beyond_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR + 1, h("wire 1"))


def _cap(w: World, cap: int) -> None:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(cap=cap))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_more_than_can_be_counted(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX, h("wire 1"))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_beyond_what_one_gateway_may_ever_issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX // 64 + 1, h("wire 1"))


@scenario("dollar", "ISSUING_STOPPED")
def issue_while_stopped(w: World) -> Transaction:
    w.draft.put(STANDING, "g1", Standing(w.time_ms, (("strikes", 0),)))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
