"""What may happen to obligations between gateways, and to positions that go over."""

from __future__ import annotations

from mgsnode.base.transaction import Transaction
from state.context import CLOCK
from state.tx.gateways import GATEWAY
from state.tx.leaving import CLEARING
from state.tx.obligations import OBLIGATION, TO_END, Obligation
from state.tx.windows import next_window
from tests.state.scenarios.accounts import keys
from tests.state.scenarios.base import ALICE, OP0, OP1, OP2, OP3, scenario, set_bond
from tests.state.scenarios.governance import done, propose
from tests.state.world import DOLLAR, World, h, people

ATTESTORS = people("attestor0", "attestor1", "attestor2")


def jump(w: World, live_ms: int) -> None:
    """One block so much later on the live clock: as many blocks of a minute, without executing."""
    clock = w.draft.get(CLOCK, b"")
    assert clock is not None
    later = clock._replace(time_ms=clock.time_ms + live_ms - 1, live_ms=clock.live_ms + live_ms - 1)
    w.draft.put(CLOCK, b"", later)
    w.time_ms += live_ms - 1
    w.block()


def jump_to(w: World, at_ms: int) -> None:
    """To this time of clearing's own clock."""
    jump(w, at_ms - w.now(CLEARING))


def redeemed(w: World, cents: int = 100_000, *, what: str = "iban") -> None:
    """Alice's dollars, issued by g0, are redeemed at g1, which is paid back by nobody yet."""
    fields = ("g1", cents * 10_000, "USD", h(what), ())
    rid = w.do(ALICE, "dollar_redeem", *fields).txid
    assert w.do(OP1, "dollar_redeem_paid", rid, h(f"payout {rid.hex()}"), ()).code == 0
    assert w.do(ALICE, "dollar_redeem_confirm", rid).code == 0


def open_ones(w: World) -> list[bytes]:
    return [oid for oid, row in w.draft.items(OBLIGATION) if row.status in TO_END]


def owed(w: World) -> bytes:
    """g0 has to pay g1 1,000 dollars, by the window just held."""
    redeemed(w)
    jump_to(w, next_window(w.draft).due_ms)
    (oid,) = open_ones(w)
    return oid


def row_of(w: World, oid: bytes) -> Obligation:
    row = w.draft.get(OBLIGATION, oid)
    assert row is not None
    return row


def claimed(w: World) -> bytes:
    oid = owed(w)
    assert w.do(OP0, "obligation_paid", oid, h("wire")).code == 0
    return oid


def contested(w: World) -> bytes:
    oid = claimed(w)
    assert w.do(OP1, "obligation_contest", oid, "nothing came").code == 0
    return oid


def overdue(w: World) -> bytes:
    oid = owed(w)
    jump_to(w, row_of(w, oid).due_ms)
    return oid


def lapsed(w: World) -> bytes:
    oid = overdue(w)
    jump_to(w, row_of(w, oid).due_ms)
    return oid


@scenario("dollar")
def obligation_paid(w: World) -> Transaction:
    return w.tx(OP0, "obligation_paid", owed(w), h("wire"))


@scenario("dollar")
def obligation_paid_past_its_due_date(w: World) -> Transaction:
    return w.tx(OP0, "obligation_paid", overdue(w), h("wire"))


@scenario("dollar", "UNKNOWN_OBLIGATION")
def obligation_paid_that_is_none(w: World) -> Transaction:
    return w.tx(OP0, "obligation_paid", h("none"), h("wire"))


@scenario("dollar", "NOT_OPERATOR")
def obligation_paid_by_another_gateway(w: World) -> Transaction:
    return w.tx(OP2, "obligation_paid", owed(w), h("wire"))


@scenario("dollar", "OBLIGATION_STATUS")
def obligation_paid_a_second_time(w: World) -> Transaction:
    return w.tx(OP0, "obligation_paid", claimed(w), h("another wire"))


@scenario("dollar", "OBLIGATION_STATUS")
def obligation_paid_after_it_lapsed(w: World) -> Transaction:
    set_bond(w, "g0", 1_005)
    return w.tx(OP0, "obligation_paid", lapsed(w), h("wire"))


@scenario("dollar", "REFERENCE_USED")
def obligation_paid_on_the_reference_of_a_redemption(w: World) -> Transaction:
    oid = owed(w)
    rid = w.do(ALICE, "dollar_redeem", "g0", 20 * DOLLAR, "USD", h("iban"), ()).txid
    assert w.do(OP0, "dollar_redeem_paid", rid, h("wire"), ()).code == 0
    return w.tx(OP0, "obligation_paid", oid, h("wire"))


@scenario("dollar")
def obligation_confirm(w: World) -> Transaction:
    return w.tx(OP1, "obligation_confirm", claimed(w))


@scenario("dollar")
def obligation_confirm_after_contesting(w: World) -> Transaction:
    return w.tx(OP1, "obligation_confirm", contested(w))


@scenario("dollar", "NOT_OPERATOR")
def obligation_confirm_by_the_debtor(w: World) -> Transaction:
    return w.tx(OP0, "obligation_confirm", claimed(w))


@scenario("dollar", "OBLIGATION_STATUS")
def obligation_confirm_before_it_is_claimed(w: World) -> Transaction:
    return w.tx(OP1, "obligation_confirm", owed(w))


@scenario("dollar")
def obligation_contest(w: World) -> Transaction:
    return w.tx(OP1, "obligation_contest", claimed(w), "nothing came")


@scenario("dollar", "NOT_OPERATOR")
def obligation_contest_by_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "obligation_contest", claimed(w), "nothing came")


@scenario("dollar", "OBLIGATION_STATUS")
def obligation_contest_twice(w: World) -> Transaction:
    return w.tx(OP1, "obligation_contest", contested(w), "still nothing")


@scenario("dollar")
def obligation_rule_as_the_first(w: World) -> Transaction:
    return w.tx(ATTESTORS[0], "obligation_rule", contested_by_paid_attestors(w), True)


def contested_by_paid_attestors(w: World) -> bytes:
    """A contest, and attestors who can pay their fees."""
    for attestor in ATTESTORS:
        w.do(ALICE, "dollar_transfer", ((attestor.address, DOLLAR, ""),))
    return contested(w)


@scenario("dollar")
def obligation_rule_for_the_debtor(w: World) -> Transaction:
    oid = contested_by_paid_attestors(w)
    assert w.do(ATTESTORS[0], "obligation_rule", oid, False).code == 0
    return w.tx(ATTESTORS[1], "obligation_rule", oid, False)


@scenario("dollar")
def obligation_rule_for_the_creditor_before_the_due_date(w: World) -> Transaction:
    oid = contested_by_paid_attestors(w)
    assert w.do(ATTESTORS[0], "obligation_rule", oid, True).code == 0
    return w.tx(ATTESTORS[2], "obligation_rule", oid, True)


@scenario("dollar")
def obligation_rule_for_the_creditor_past_the_grace(w: World) -> Transaction:
    set_bond(w, "g0", 1_005)
    oid = contested_by_paid_attestors(w)
    assert w.do(ATTESTORS[0], "obligation_rule", oid, True).code == 0
    row = row_of(w, oid)
    jump_to(w, row.pay_by_ms + row.grace_ms)
    return w.tx(ATTESTORS[2], "obligation_rule", oid, True)


@scenario("dollar")
def obligation_rule_with_another_opinion_than_before(w: World) -> Transaction:
    oid = contested_by_paid_attestors(w)
    assert w.do(ATTESTORS[0], "obligation_rule", oid, True).code == 0
    return w.tx(ATTESTORS[0], "obligation_rule", oid, False)


@scenario("dollar", "NOT_ATTESTOR")
def obligation_rule_as_a_gateway(w: World) -> Transaction:
    return w.tx(OP2, "obligation_rule", contested(w), True)


@scenario("dollar", "ATTESTOR_LINKED")
def obligation_rule_as_who_shares_a_key_with_the_creditor(w: World) -> Transaction:
    oid = contested_by_paid_attestors(w)
    both = (OP1, ATTESTORS[0])
    assert w.do(OP1, "account_set_keys", keys(*both), 1, also=[ATTESTORS[0]]).code == 0
    return w.tx(ATTESTORS[0], "obligation_rule", oid, True)


@scenario("dollar", "ATTESTOR_LINKED")
def obligation_rule_as_who_shares_a_key_with_who_has_ruled(w: World) -> Transaction:
    oid = contested_by_paid_attestors(w)
    first, second, _ = ATTESTORS
    assert w.do(first, "account_set_keys", keys(first, second), 1, also=[second]).code == 0
    assert w.do(first, "obligation_rule", oid, True).code == 0
    return w.tx(second, "obligation_rule", oid, True)


@scenario("dollar", "OBLIGATION_STATUS")
def obligation_rule_on_what_nobody_contests(w: World) -> Transaction:
    for attestor in ATTESTORS:
        w.do(ALICE, "dollar_transfer", ((attestor.address, DOLLAR, ""),))
    return w.tx(ATTESTORS[0], "obligation_rule", claimed(w), True)


@scenario("dollar")
def position_assume(w: World) -> Transaction:
    return w.tx(OP2, "position_assume", "g0", 500 * DOLLAR, also=[OP0])


@scenario("dollar", "UNKNOWN_GATEWAY")
def position_assume_from_nobody(w: World) -> Transaction:
    return w.tx(OP2, "position_assume", "g9", 500 * DOLLAR)


@scenario("dollar", "ASSUME_FROM_ITSELF")
def position_assume_from_oneself(w: World) -> Transaction:
    return w.tx(OP0, "position_assume", "g0", 500 * DOLLAR)


@scenario("dollar", "ASSUME_TOO_MUCH")
def position_assume_what_is_being_paid_for(w: World) -> Transaction:
    owed(w)
    stands_for = 10_000 * DOLLAR * len(w.genesis.accounts)
    free = stands_for - 1_000 * DOLLAR
    return w.tx(OP2, "position_assume", "g0", free + 1, also=[OP0])


@scenario("dollar", "ASSUME_NO_ROOM")
def position_assume_beyond_the_room(w: World) -> Transaction:
    row = w.draft.get(GATEWAY, "g2")
    assert row is not None
    w.draft.put(GATEWAY, "g2", row._replace(cap=499 * DOLLAR))
    return w.tx(OP2, "position_assume", "g0", 500 * DOLLAR, also=[OP0])


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def position_assume_as_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g3",))
    return w.tx(OP3, "position_assume", "g0", 500 * DOLLAR, also=[OP0])


@scenario("dollar", "ISSUING_STOPPED")
def position_assume_while_overdue(w: World) -> Transaction:
    overdue(w)
    assert w.do(OP2, "position_assume", "g0", 500 * DOLLAR, also=[OP0]).code == 0
    return w.tx(OP0, "position_assume", "g2", 400 * DOLLAR, also=[OP2])


@scenario("dollar")
def propose_to_assume_from_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g0",))
    return propose(w, "assume", ("g2", "g0", 500 * DOLLAR), by=OP2)


@scenario("dollar", "GATEWAY_STATUS")
def propose_to_assume_from_an_active_gateway(w: World) -> Transaction:
    return propose(w, "assume", ("g2", "g0", 500 * DOLLAR), by=OP2)


@scenario("dollar", "NOT_OPERATOR")
def propose_that_another_gateway_assumes(w: World) -> Transaction:
    done(w, "suspend", ("g0",))
    return propose(w, "assume", ("g2", "g0", 500 * DOLLAR), by=OP1)
