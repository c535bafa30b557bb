"""What may happen to each kind of the compliance family, and what a frozen account cannot do."""

from __future__ import annotations

from mgsnode.base.transaction import Transaction
from tests.state.scenarios.base import ALICE, BOB, fund, scenario
from tests.state.scenarios.governance import done, propose
from tests.state.world import DAY_MS, DOLLAR, Person, World, h

OFFICER = Person("officer0")
OTHER_OFFICER = Person("officer1")
CASE = h("theft")


def freeze(w: World, person: Person, case: bytes = CASE) -> None:
    """An officer with the dollars for a fee freezes the account."""
    fund(w, OFFICER, 10)
    assert w.do(OFFICER, "compliance_freeze", person.address, case).code == 0


@scenario("dollar")
def freeze_an_account(w: World) -> Transaction:
    fund(w, OFFICER, 10)
    return w.tx(OFFICER, "compliance_freeze", ALICE.address, CASE)


@scenario("dollar", "NOT_OFFICER")
def freeze_as_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "compliance_freeze", ALICE.address, CASE)


@scenario("dollar", "ALREADY_FROZEN")
def freeze_twice(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(OFFICER, "compliance_freeze", ALICE.address, h("fraud"))


@scenario("dollar", "CASE_USED")
def freeze_again_for_the_same_case(w: World) -> Transaction:
    freeze(w, ALICE)
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    return w.tx(OFFICER, "compliance_freeze", ALICE.address, CASE)


@scenario("dollar")
def freeze_again_for_another_case(w: World) -> Transaction:
    freeze(w, ALICE)
    assert w.do(OFFICER, "compliance_thaw", ALICE.address, CASE).code == 0
    return w.tx(OFFICER, "compliance_freeze", ALICE.address, h("fraud"))


@scenario("dollar")
def thaw_by_another_officer(w: World) -> Transaction:
    freeze(w, ALICE)
    fund(w, OTHER_OFFICER, 10)
    return w.tx(OTHER_OFFICER, "compliance_thaw", ALICE.address, CASE)


@scenario("dollar", "NOT_OFFICER")
def thaw_oneself(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(ALICE, "compliance_thaw", ALICE.address, CASE)


@scenario("dollar", "NOT_FROZEN")
def thaw_who_is_free(w: World) -> Transaction:
    fund(w, OFFICER, 10)
    return w.tx(OFFICER, "compliance_thaw", ALICE.address, CASE)


@scenario("dollar", "WRONG_CASE")
def thaw_for_another_case(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(OFFICER, "compliance_thaw", ALICE.address, h("fraud"))


@scenario("dollar", "FREEZE_EXTENDED")
def thaw_alone_what_a_proposal_extended(w: World) -> Transaction:
    freeze(w, ALICE)
    done(w, "extend_freeze", (ALICE.address, CASE, DAY_MS))
    return w.tx(OFFICER, "compliance_thaw", ALICE.address, CASE)


@scenario("dollar", "ACCOUNT_FROZEN")
def transfer_from_a_frozen_account(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, DOLLAR, ""),))


@scenario("dollar")
def transfer_to_a_frozen_account(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(BOB, "dollar_transfer", ((ALICE.address, DOLLAR, ""),))


@scenario("dollar", "NOT_FROZEN")
def propose_to_seize_from_who_is_free(w: World) -> Transaction:
    return propose(w, "seize", (ALICE.address, BOB.address, CASE))


@scenario("dollar", "SAME_ACCOUNT")
def propose_to_seize_for_the_account_itself(w: World) -> Transaction:
    freeze(w, ALICE)
    return propose(w, "seize", (ALICE.address, ALICE.address, CASE))


@scenario("dollar", "WRONG_CASE")
def propose_to_extend_another_freeze(w: World) -> Transaction:
    freeze(w, ALICE)
    return propose(w, "extend_freeze", (ALICE.address, h("fraud"), DAY_MS))


@scenario("dollar")
def propose_to_seize(w: World) -> Transaction:
    freeze(w, ALICE)
    return propose(w, "seize", (ALICE.address, BOB.address, CASE))


@scenario("dollar")
def pay_on_what_was_seized(w: World) -> Transaction:
    """The balance has moved with the block before; Bob can spend it."""
    freeze(w, ALICE)
    done(w, "seize", (ALICE.address, BOB.address, CASE))
    return w.tx(BOB, "dollar_transfer", ((ALICE.address, DOLLAR, ""),))
