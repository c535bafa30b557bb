"""Governance over many blocks: who sits in the set when, by whose word, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.codec import encode
from mgsnode.base.errors import Rejected
from mgsnode.base.keys import Signed
from mgsnode.base.validators import faults_of, quorum_of
from state.context import PARAM, Param, Params
from state.draft import Draft
from state.tx.gateways import ERA, GATEWAY, Gateway
from state.tx.membership import KEY_USE
from state.tx.proposals import PROPOSAL, Proposal, needed
from state.tx.seats import CHANGE, COUNTS, QUEUE
from state.tx.slashing import EVIDENCE
from tests.state.scenarios.base import ALICE, OP0, OP1, OP2, OP3, set_bond
from tests.state.scenarios.governance import (  # fmt: skip
    _contradiction,
    _proposed,
    consent,
    done,
    join_args,
    passed,
    propose,
    said,
    vote_key,
)
from tests.state.scenarios.reserves import attest, end_period, fund_attestors
from tests.state.world import DOLLAR, Person, World, make_genesis, reason


def world(gateways: int = 4, **genesis: Any) -> World:
    w = World(make_genesis(gateways=gateways, funded=[ALICE], **genesis))
    w.block()
    return w


def gateway(w: World, name: str) -> Gateway:
    row = w.draft.get(GATEWAY, name)
    assert row is not None
    return row


def proposal(w: World, proposal_id: bytes) -> Proposal:
    row = w.draft.get(PROPOSAL, proposal_id)
    assert row is not None
    return row


def members(w: World) -> str:
    return " ".join(member.gateway for member in w.validators.members)


def fund(w: World, *names: str) -> list[Person]:
    people = [Person(name) for name in names]
    for person in people:
        assert w.do(ALICE, "dollar_transfer", ((person.address, 50 * DOLLAR, ""),)).code == 0
    return people


def pass_by_all(w: World, action: str, args: tuple[Any, ...], height: int) -> bytes:
    """A proposal for `height` carried by every active gateway of the genesis, in one block."""
    active = [Person(f"op{i}") for i in range(len(w.genesis.gateways))]
    active = [p for i, p in enumerate(active) if gateway(w, f"g{i}").status == "active"]
    tx = w.tx(active[0], "gov_propose", action, args, height)
    assert w.block(tx)[0].code == 0
    w.block(*[w.tx(p, "gov_vote", tx.txid, True) for p in active[1:]])
    assert proposal(w, tx.txid).status == "passed"
    return tx.txid


@pytest.mark.parametrize("n", range(1, 32))
def test_more_than_two_thirds_of_the_active_pass_a_proposal(n: int) -> None:
    assert 3 * needed(n) > 2 * n >= 3 * (needed(n) - 1)
    if n in (6, 9, 12):
        assert needed(n) == quorum_of(n) + 1  # not the quorum of votes on blocks


def test_the_joiner_sits_from_the_block_after_its_barrier() -> None:  # case 73
    w = world()
    join = passed(w, "join", join_args(w), after=5)
    while w.height + 1 < proposal(w, join).effective_height:
        w.block()
        assert members(w) == "g0 g1 g2 g3"
    receipts = w.block()
    assert [event.name for event in receipts[-1].events] == [
        "gateway_seat", "gateway_status", "gov_closed",
    ]  # fmt: skip
    assert receipts[-1].txid == join
    assert members(w) == "g0 g1 g2 g3 nova"
    row = w.draft.get(ERA, 1)
    assert row is not None and row.first_height == w.height + 1
    assert gateway(w, "nova").place == 4
    assert w.broken_laws() == []


def test_case_1_quorums_follow_the_set_from_4_to_6() -> None:
    w = world()
    height = w.height + 10
    for name in ("nova", "vega"):
        pass_by_all(w, "join", join_args(w, name), height)
    while w.height < height:
        w.block()
    assert (w.validators.n, w.validators.quorum) == (5, 4)
    w.block()
    assert (w.validators.n, w.validators.quorum) == (6, 4)
    assert w.broken_laws() == []


def test_a_joiner_issues_and_votes_and_counts() -> None:
    w = world()
    done(w, "join", join_args(w))
    (operator,) = fund(w, "op-nova")
    issue = (ALICE.address, DOLLAR, bytes(32))
    assert reason(w, w.do(operator, "dollar_issue", *issue)) == "ROOM_EXCEEDED"
    fund_attestors(w)
    end_period(w)
    attest(w, DOLLAR, gateway="nova")
    assert w.do(operator, "dollar_issue", *issue).code == 0
    asked = _proposed(w, "set_param", ("fee_base", 2_000))
    assert w.do(operator, "gov_vote", asked, True).code == 0
    w.do(OP1, "gov_vote", asked, True)
    assert proposal(w, asked).status == "open"  # three of five are not more than two thirds
    w.do(OP2, "gov_vote", asked, True)
    assert proposal(w, asked).status == "passed"


def test_what_is_not_passed_in_time_expires_and_changes_nothing() -> None:
    w = world()
    asked = _proposed(w, "suspend", ("g3",), after=3)
    w.do(OP1, "gov_vote", asked, True)
    w.do(OP2, "gov_vote", asked, True)
    assert proposal(w, asked).status == "passed"
    lost = _proposed(w, "suspend", ("g2",), after=3)
    w.do(OP1, "gov_vote", lost, True)
    for _ in range(5):
        w.block()
    assert proposal(w, asked).status == "done"
    assert proposal(w, lost).status == "expired"
    assert members(w) == "g0 g1 g2"
    assert list(w.draft.items(QUEUE)) == []
    assert w.broken_laws() == []


def test_a_no_takes_back_a_yes_before_the_decision_and_not_after() -> None:
    w = world()
    asked = _proposed(w, "suspend", ("g3",), after=20)
    w.do(OP1, "gov_vote", asked, True)
    w.do(OP1, "gov_vote", asked, False)
    w.do(OP2, "gov_vote", asked, True)
    assert proposal(w, asked).status == "open"
    w.do(OP1, "gov_vote", asked, True)
    assert proposal(w, asked).status == "passed"
    assert w.do(OP2, "gov_vote", asked, False).code == 0
    assert proposal(w, asked).status == "passed"


def test_a_suspended_gateways_yes_does_not_count() -> None:
    w = world()
    asked = _proposed(w, "set_param", ("fee_base", 2_000), after=60)
    w.do(OP3, "gov_vote", asked, True)
    done(w, "suspend", ("g3",))
    w.do(OP1, "gov_vote", asked, True)
    assert proposal(w, asked).status == "open"  # g0 and g1 of three active
    w.do(OP2, "gov_vote", asked, True)
    assert proposal(w, asked).status == "passed"


def test_at_most_f_seats_change_in_a_block_in_the_order_of_asking() -> None:
    w = world(7)
    height = w.height + 20
    for name in ("g6", "g1", "g5", "g2"):
        pass_by_all(w, "suspend", (name,), height)
    pass_by_all(w, "set_param", ("fee_base", 2_000), height)
    while w.height + 1 < height:
        w.block()
    assert faults_of(7) == 2
    w.block()
    assert members(w) == "g0 g2 g3 g4 g5"
    assert w.registry.defaults["fee_base"] != 2_000
    param = w.do(ALICE, "dollar_transfer", ((OP0.address, 1, ""),))
    assert members(w) == "g0 g2 g3 g4"  # f of 5 is 1
    w.block()
    assert members(w) == "g0 g3 g4"
    eras = [row.first_height for _, row in w.draft.items(ERA)]
    assert eras == [0, height + 1, height + 2, height + 3]
    assert param.code == 0
    assert w.broken_laws() == []


def test_a_parameter_changes_for_the_very_block() -> None:
    w = world()
    before = w.do(ALICE, "dollar_transfer", ((OP0.address, 1, ""),)).fee
    passed(w, "set_param", ("fee_base", 3_000), after=4)
    base = w.registry.defaults["fee_base"]
    w.block()
    pays = [w.do(ALICE, "dollar_transfer", ((OP0.address, 1, ""),)).fee for _ in range(3)]
    assert before not in pays[1:]
    assert pays[-1] - before == 3_000 - base
    assert w.broken_laws() == []


def test_a_pause_begins_and_ends_with_the_very_block() -> None:
    w = world()
    paused: list[int] = []

    def ask_until(height: int) -> None:
        while w.height < height:
            receipt = w.do(ALICE, "dollar_redeem", "nobody", DOLLAR, "USD", bytes(32), ())
            reason = w.registry.refusal_name(receipt.code)
            assert reason in ("FAMILY_PAUSED", "UNKNOWN_GATEWAY")
            if reason == "FAMILY_PAUSED":
                paused.append(w.height)

    begins, ends = w.height + 5, w.height + 10
    pass_by_all(w, "pause", ("redemptions",), begins)
    ask_until(begins)
    assert paused == [begins]
    pass_by_all(w, "resume", ("redemptions",), ends)  # two blocks
    ask_until(ends)
    assert paused == [begins, *range(begins + 3, ends)]
    assert w.broken_laws() == []


def test_what_cannot_be_done_any_more_fails_and_says_why() -> None:
    w = world()
    height = w.height + 20
    first = pass_by_all(w, "join", join_args(w), height)
    second = pass_by_all(w, "join", join_args(w, owner_hash=bytes(32)), height)
    while w.height < height + 1:
        w.block()
    assert proposal(w, first).status == "done"
    assert (proposal(w, second).status, proposal(w, second).reason) == ("failed", "NAME_TAKEN")
    assert members(w) == "g0 g1 g2 g3 nova"
    assert w.broken_laws() == []


def test_a_rotation_replaces_the_key_in_place_and_the_old_one_never_returns() -> None:
    w = world()
    key = vote_key("vote1-new")
    done(w, "rotate", ("g1", (key.public_key,), (consent(w, "g1", key),), (b"x",), ("h:1",)))
    assert members(w) == "g0 g1 g2 g3"
    assert w.validators.members[1].public_key == key.public_key
    row = gateway(w, "g1")
    assert (row.transport_certificate, row.endpoint) == (b"x", "h:1")
    old = vote_key("vote1")
    for args in (
        join_args(w, "late", key=old),
        join_args(w, "late", transport_certificate=b"certificate"),
    ):
        assert reason(w, w.block(propose(w, "join", args))[0]) == "KEY_USED"
    assert w.broken_laws() == []


def test_an_address_alone_can_be_rotated_without_a_new_era() -> None:
    w = world()
    done(w, "rotate", ("g1", (), (), (), ("10.1.2.3:4",)))
    assert gateway(w, "g1").endpoint == "10.1.2.3:4"
    assert w.era == 0


def test_a_leaving_gateway_is_out_at_once_and_serves_what_is_open() -> None:
    w = world(5)
    ask = w.do(ALICE, "dollar_redeem", "g4", 20 * DOLLAR, "USD", bytes(32), ())
    assert ask.code == 0
    pass_by_all(w, "leave", ("g4",), w.height + 5)
    while w.era == 0:
        w.block()
    assert members(w) == "g0 g1 g2 g3"
    assert gateway(w, "g4").status == "leaving"
    op4 = Person("op4")
    assert reason(w, w.do(op4, "dollar_issue", ALICE.address, 1, bytes(32))) == "GATEWAY_NOT_ACTIVE"
    assert w.do(op4, "dollar_redeem_paid", ask.txid, bytes(32), ()).code == 0
    back = w.block(propose(w, "clear", ("g4",)))[0]
    assert reason(w, back) == "GATEWAY_STATUS"
    assert w.broken_laws() == []


def test_on_a_main_chain_of_four_a_suspended_gateway_keeps_its_seat_until_a_joiner_comes() -> None:
    w = world(network="main")
    done(w, "suspend", ("g1",))
    assert members(w) == "g0 g1 g2 g3"
    assert (gateway(w, "g1").status, gateway(w, "g1").seat) == ("suspended", True)
    assert reason(w, w.do(OP1, "gov_vote", bytes(32), True)) == "GATEWAY_NOT_ACTIVE"
    for name, why in (("g2", "TOO_FEW_GATEWAYS"), ("g1", "TOO_FEW_GATEWAYS")):
        assert reason(w, w.block(propose(w, "leave", (name,)))[0]) == why
    asked = w.block(propose(w, "join", join_args(w), after=5))[0].txid
    w.do(OP2, "gov_vote", asked, True)
    w.do(OP3, "gov_vote", asked, True)
    for _ in range(5):
        w.block()
    assert members(w) == "g0 g2 g3 nova"
    assert (gateway(w, "g1").status, gateway(w, "g1").seat) == ("suspended", False)
    assert w.broken_laws() == []


def test_a_cleared_gateway_comes_back_with_its_key_to_its_place() -> None:
    w = world()
    done(w, "suspend", ("g1",))
    assert members(w) == "g0 g2 g3"
    pass_by_all(w, "clear", ("g1",), w.height + 4)
    for _ in range(3):
        w.block()
    assert members(w) == "g0 g1 g2 g3"
    assert w.era == 2
    assert w.broken_laws() == []


def test_case_24_evidence_suspends_at_once_and_takes_the_seat_in_the_next_block() -> None:
    w = world()
    set_bond(w, "g1", 1_005)
    assert w.do(ALICE, "gov_evidence", *_contradiction(w)).code == 0
    row = gateway(w, "g1")
    assert (row.status, row.seat, row.bond) == ("suspended", True, 905)
    assert w.era == 0
    w.block()
    assert members(w) == "g0 g2 g3"
    assert w.broken_laws() == []
    assert w.do(ALICE, "gov_evidence", *_contradiction(w, height=9)).code == 0
    assert gateway(w, "g1").bond == 815
    w.block()
    assert w.era == 1
    assert w.broken_laws() == []


def test_case_24_evidence_of_an_earlier_era_is_judged_by_the_set_of_that_era() -> None:
    w = world()
    done(w, "suspend", ("g0",))
    assert members(w) == "g1 g2 g3"
    key = vote_key("vote1")  # was 1, is 0
    one, two = said(w, "a", key, member=1), said(w, "b", key, member=1)
    now = said(w, "a", key, era=1, member=1), said(w, "b", key, era=1, member=1)
    assert reason(w, w.do(ALICE, "gov_evidence", "prepare", *now)) == "NOT_EVIDENCE"
    assert w.do(ALICE, "gov_evidence", "prepare", one, two).code == 0
    assert gateway(w, "g1").status == "suspended"


def test_case_24_each_of_the_two_must_be_signed() -> None:
    w = world()
    kind, one, two = _contradiction(w)
    forged = two[0], one[1]
    for pair in ((one, forged), (forged, one)):
        assert reason(w, w.do(ALICE, "gov_evidence", kind, *pair)) == "NOT_EVIDENCE"
    assert gateway(w, "g1").status == "active"


def test_a_liar_on_a_main_chain_of_four_keeps_only_its_seat() -> None:
    w = world(network="main")
    assert w.do(ALICE, "gov_evidence", *_contradiction(w)).code == 0
    w.block()
    assert members(w) == "g0 g1 g2 g3"
    assert reason(w, w.do(OP1, "gov_vote", bytes(32), True)) == "GATEWAY_NOT_ACTIVE"
    asked = w.block(propose(w, "join", join_args(w), after=4))[0].txid
    w.block(w.tx(OP2, "gov_vote", asked, True), w.tx(OP3, "gov_vote", asked, True))
    for _ in range(4):
        w.block()
    assert members(w) == "g0 g2 g3 nova"
    assert w.broken_laws() == []


def test_a_parameter_that_was_read_is_read_again_after_its_change() -> None:
    w = world()
    params = Params(w.draft, w.registry.defaults)
    before = params["fee_base"]
    w.draft.put(PARAM, "fee_base", Param(before + 1))
    assert params["fee_base"] == before
    params.forget("fee_base")
    assert params["fee_base"] == before + 1


def test_case_24_swapped_evidence_is_the_same_evidence() -> None:
    w = world()
    kind, one, two = _contradiction(w)
    assert w.do(ALICE, "gov_evidence", kind, two, one).code == 0
    assert reason(w, w.do(ALICE, "gov_evidence", kind, one, two)) == "EVIDENCE_KNOWN"


@pytest.mark.parametrize(
    "fields",
    [
        b"\xc0",
        encode((0, 0, 7)),
        encode((True, 0, 7, bytes(32), 1)),
        encode((0, 0, -7, bytes(32), 1)),
        encode((0, 0, 7, bytes(31), 1)),
        encode((0, 0, 7, bytes(32), -1)),
        encode((0, 0, 7, bytes(32))),
        encode((0, 0, 7, "x" * 32, 1)),
        encode((0, 0, 7, bytes(32), 1, 1)),
    ],
)
def test_junk_is_no_evidence(fields: bytes) -> None:
    w = world()
    key = vote_key("vote1")
    from mgsnode.base.keys import statement

    junk = fields, key.sign(statement(Signed.PREPARE, w.genesis.hash, fields))
    good = said(w, "a", key)
    for pair in ((junk, good), (good, junk), (junk, junk)):
        assert reason(w, w.do(ALICE, "gov_evidence", "prepare", *pair)) == "NOT_EVIDENCE"


def test_a_liar_comes_back_only_with_a_new_key() -> None:
    w = world()
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    w.block()
    assert reason(w, w.block(propose(w, "clear", ("g1",)))[0]) == "KEY_CONDEMNED"
    key = vote_key("vote1-new")
    args = ("g1", (key.public_key,), (consent(w, "g1", key),), (), ())
    pass_by_all(w, "rotate", args, w.height + 3)
    w.block()
    assert members(w) == "g0 g2 g3"
    pass_by_all(w, "clear", ("g1",), w.height + 3)
    w.block()
    assert members(w) == "g0 g1 g2 g3"
    assert w.broken_laws() == []


def test_several_liars_lose_their_seats_one_block_after_the_other() -> None:
    w = world(4)
    txs = []
    for number in (1, 2):
        key = vote_key(f"vote{number}")
        pair = said(w, "a", key, member=number), said(w, "b", key, member=number)
        txs.append(w.tx(ALICE, "gov_evidence", "prepare", *pair, lane=number))
    assert [receipt.code for receipt in w.block(*txs)] == [0, 0]
    w.block()
    assert members(w) == "g0 g2 g3"
    w.block()
    assert members(w) == "g0 g3"
    assert w.broken_laws() == []


# The laws over anything that may happen ------------------------------------------------------


class Government(RuleBasedStateMachine):
    """Gateways propose, vote, join, go, lie; the laws hold after every block."""

    @initialize(n=st.sampled_from([1, 4, 5, 7]), network=st.sampled_from(["dev", "main"]))
    def begin(self, n: int, network: Any) -> None:
        self.w = world(n, network="dev" if n < 4 else network)
        self.names = [f"g{i}" for i in range(n)]
        self.keys = {f"g{i}": f"vote{i}" for i in range(n)}
        self.asked: list[bytes] = [bytes(32)]
        self.fresh = 0

    def operator(self, name: str) -> Person:
        return Person(f"op{name[1:]}" if name[0] == "g" else f"op-{name}")

    def submit(self, who: Person, kind: str, *fields: Any) -> None:
        try:
            receipt = self.w.do(who, kind, *fields)
        except Rejected as refusal:
            assert refusal.code < 100
            return
        if receipt.code == 0 and kind == "gov_propose":
            self.asked.append(receipt.txid)

    def propose(self, who: int, action: str, args: tuple[Any, ...], after: int) -> None:
        name = self.names[who % len(self.names)]
        height = self.w.height + 1 + after
        self.submit(self.operator(name), "gov_propose", action, args, height)

    @rule(who=st.integers(0, 9), after=st.integers(0, 6))
    def join(self, who: int, after: int) -> None:
        self.fresh += 1
        name = f"new{self.fresh}"
        fund(self.w, f"op-{name}")
        self.keys[name] = f"vote-{name}"
        self.propose(who, "join", join_args(self.w, name), after)
        self.names.append(name)

    @rule(
        who=st.integers(0, 9),
        about=st.integers(0, 9),
        action=st.sampled_from(["leave", "suspend", "clear", "suspend", "clear"]),
        after=st.integers(0, 6),
    )
    def standing(self, who: int, about: int, action: str, after: int) -> None:
        self.propose(who, action, (self.names[about % len(self.names)],), after)

    @rule(who=st.integers(0, 9), about=st.integers(0, 9), after=st.integers(0, 6))
    def rotate(self, who: int, about: int, after: int) -> None:
        self.fresh += 1
        name = self.names[about % len(self.names)]
        key = vote_key(f"{name}-{self.fresh}")
        args = (name, (key.public_key,), (consent(self.w, name, key),), (), ())
        self.propose(who, "rotate", args, after)

    @rule(which=st.integers(0, 3), voters=st.integers(0, 2**10 - 1), yes=st.booleans())
    def vote(self, which: int, voters: int, yes: bool) -> None:
        for number, name in enumerate(self.names):
            if voters >> number & 1:
                asked = self.asked[-1 - which % len(self.asked)]
                self.submit(self.operator(name), "gov_vote", asked, yes)

    @rule(which=st.integers(0, 3))
    def carry(self, which: int) -> None:
        self.vote(which, 2**10 - 1, True)

    @rule(about=st.integers(0, 9), height=st.integers(1, 3), era=st.integers(0, 2))
    def lie(self, about: int, height: int, era: int) -> None:
        row = self.w.draft.get(ERA, min(era, self.w.era))
        assert row is not None
        member = about % len(row.members)
        name, public_key = row.members[member]
        key = vote_key(self.keys[name])
        if key.public_key != public_key:
            return
        where = {"height": height, "era": min(era, self.w.era), "member": member}
        pair = said(self.w, "a", key, **where), said(self.w, "b", key, **where)
        self.submit(ALICE, "gov_evidence", "prepare", *pair)

    @rule(blocks=st.integers(1, 5))
    def wait(self, blocks: int) -> None:
        for _ in range(blocks):
            before = self.w.validators
            self.w.block()
            now = self.w.validators
            gone = [m for m in before.members if m not in now.members]
            assert len(gone) <= max(1, before.f)

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []
            if self.w.genesis.network == "main":
                assert self.w.validators.n >= 4


Government.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestGovernment = Government.TestCase


def history() -> World:
    """A world with a join, a rotation, a suspension by proposal and one by evidence."""
    w = world(5)
    key = vote_key("vote3-new")
    pass_by_all(w, "join", join_args(w), w.height + 20)
    pass_by_all(
        w, "rotate", ("g3", (key.public_key,), (consent(w, "g3", key),), (), ()), w.height + 20
    )
    pass_by_all(w, "suspend", ("g2",), w.height + 20)
    assert w.do(ALICE, "gov_evidence", *_contradiction(w)).code == 0
    for _ in range(25):
        w.block()
    _proposed(w, "set_param", ("fee_base", 2_000), after=50)
    assert members(w) == "g0 g3 g4 nova"
    assert w.broken_laws() == []
    return w


def _first(table: Any, w: World) -> tuple[Any, Any]:
    return next(iter(w.draft.items(table)))


def _drop(table: Any) -> Callable[[World], None]:
    return lambda w: w.draft.delete(table, _first(table, w)[0])


def _set(table: Any, **changes: Any) -> Callable[[World], None]:
    def tamper(w: World) -> None:
        key, row = _first(table, w)
        w.draft.put(table, key, row._replace(**changes))

    return tamper


@pytest.mark.parametrize(
    ("tamper", "law"),
    [
        (_drop(CHANGE), "changes"), (_set(CHANGE, height=1), "changes"),
        (_set(CHANGE, gateway="g3"), "changes"), (_set(CHANGE, vote_key=bytes(32)), "changes"),
        (_set(CHANGE, source=bytes(32)), "changes"), (_drop(EVIDENCE), "changes"),
        (_set(ERA, first_height=3), "changes"),
        (_drop(KEY_USE), "keys"), (_set(KEY_USE, gateway="x"), "keys"),
        (_drop(QUEUE), "queue"), (_set(COUNTS, queue_from=3), "queue"),
    ],
)  # fmt: skip
def test_a_law_notices_what_was_changed(tamper: Callable[[World], None], law: str) -> None:
    w = history()
    w.draft = Draft(w.draft)
    if law == "keys":
        for key, _ in list(w.draft.items(KEY_USE)):  # one that is a vote key of today
            if key != vote_key("vote0").public_key:
                w.draft.delete(KEY_USE, key)
    tamper(w)
    said_by = [line.split(":")[0] for line in w.broken_laws()]
    assert f"governance/{law}" in said_by or (law == "changes" and said_by), w.broken_laws()
