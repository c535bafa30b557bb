"""What may happen to each kind of the governance family."""

from __future__ import annotations

from typing import Any

from mgsnode.base.block import vote_fields
from mgsnode.base.codec import encode
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.transaction import Transaction
from state.tx.accounts import account_of
from state.tx.gateways import GATEWAY
from state.tx.membership import Join, possession_fields
from state.tx.proposals import PROPOSAL
from tests.state.scenarios.base import (
    ALICE,
    BOB,
    OP0,
    OP1,
    OP2,
    grant,
    scenario,
    set_bond,
)
from tests.state.world import (
    DOLLAR,
    Person,
    World,
    h,
    reason,
    root_of,
)


def vote_key(name: str) -> SigningKey:
    """The vote key of a gateway of this world (`vote0` is that of g0)."""
    return Person(name).key


def consent(w: World, name: str, key: SigningKey, at: int | None = None) -> tuple[Any, ...]:
    """The proof of possession of `key` for gateway `name`, with a root that the state knows."""
    height = w.height - 1 if at is None else at
    fields = possession_fields(name, key.public_key, height, root_of(height))
    signed = statement(Signed.POSSESSION, w.genesis.hash, fields)
    return height, root_of(height), key.sign(signed)


def join_args(w: World, name: str = "nova", *, funded: bool = True, **over: Any) -> tuple[Any, ...]:
    """The arguments of a join by a newcomer with fresh keys."""
    key = over.pop("key", vote_key(f"vote-{name}"))
    join = Join(
        name=name,
        country="IE",
        currencies=("EUR",),
        owner_hash=h(f"owner {name}"),
        operator=Person(f"op-{name}").address,
        vote_key=key.public_key,
        possession=consent(w, name, key),
        transport_certificate=b"certificate of " + name.encode(),
        endpoint="nova.example:26600",
        bond=1_000 * DOLLAR,
        cap=5_000 * DOLLAR,
    )
    join = join._replace(**over)
    missing = join.bond - account_of(w.draft, join.operator).token
    if missing > 0 and funded:
        grant(w, Person(f"op-{name}"), missing)
    return tuple(join)


def propose(
    w: World, action: str, args: tuple[Any, ...], *, after: int = 5, by: Person = OP0
) -> Transaction:
    return w.tx(by, "gov_propose", action, args, w.height + 1 + after)


def _proposed(w: World, action: str, args: tuple[Any, ...], **how: Any) -> bytes:
    receipt = w.block(propose(w, action, args, **how))[0]
    assert receipt.code == 0, reason(w, receipt)
    return receipt.txid


def passed(w: World, action: str, args: tuple[Any, ...], **how: Any) -> bytes:
    """A proposal of g0 that g1 and g2 have carried."""
    proposal = _proposed(w, action, args, **how)
    for operator in (OP1, OP2):
        assert w.do(operator, "gov_vote", proposal, True).code == 0
    return proposal


def done(w: World, action: str, args: tuple[Any, ...]) -> bytes:
    """A proposal that has taken effect."""
    proposal = passed(w, action, args, after=3)
    while w.height < w.draft.get(PROPOSAL, proposal).effective_height:  # type: ignore[union-attr]
        w.block()
    row = w.draft.get(PROPOSAL, proposal)
    assert row is not None and row.status == "done", row
    return proposal


@scenario("governance")
def propose_a_join(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w))


@scenario("governance", "NOT_OPERATOR")
def propose_as_a_stranger(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), by=ALICE)


@scenario("governance", "GATEWAY_NOT_ACTIVE")
def propose_as_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g0",))
    return propose(w, "clear", ("g0",))


@scenario("governance", "BAD_EFFECTIVE_HEIGHT")
def propose_for_the_block_it_stands_in(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), after=0)


@scenario("governance", "BAD_EFFECTIVE_HEIGHT")
def propose_for_a_far_future(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), after=1_000_001)


@scenario("governance", "TOO_MANY_PROPOSALS")
def propose_a_seventeenth_time(w: World) -> Transaction:
    for fee in range(16):
        _proposed(w, "set_param", ("fee_base", 1_000 + fee), after=50)
    return propose(w, "set_param", ("fee_base", 2_000))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_under_a_bad_name(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, "Nova!"))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_at_no_endpoint(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, endpoint="nova.example:0"))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_with_a_currency_twice(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, currencies=("EUR", "EUR")))


@scenario("governance", "INSUFFICIENT_TOKENS")
def propose_a_join_without_the_bond(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, funded=False))


@scenario("governance", "NAME_TAKEN")
def propose_a_join_under_a_known_name(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, "g1"))


@scenario("governance", "OWNER_TAKEN")
def propose_a_join_of_an_owner_who_has_a_gateway(w: World) -> Transaction:
    w.block()
    owner = w.genesis.gateways[1].owner_hash
    return propose(w, "join", join_args(w, owner_hash=owner))


@scenario("governance", "OPERATOR_TAKEN")
def propose_a_join_by_an_operator_of_another(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, operator=OP1.address))


@scenario("governance", "KEY_USED")
def propose_a_join_with_a_members_key(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, key=vote_key("vote1")))


@scenario("governance", "KEY_USED")
def propose_a_join_with_a_members_certificate(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, transport_certificate=b"certificate"))


@scenario("governance", "KEY_USED")
def propose_a_rotation_back_to_an_old_key(w: World) -> Transaction:
    w.block()
    key = vote_key("vote1-new")
    done(w, "rotate", ("g1", (key.public_key,), (consent(w, "g1", key),), (), ()))
    old = vote_key("vote1")
    return propose(w, "rotate", ("g1", (old.public_key,), (consent(w, "g1", old),), (), ()))


@scenario("governance", "NOT_POSSESSED")
def propose_a_join_with_a_key_of_somebody_else(w: World) -> Transaction:
    w.block()
    args = join_args(w, vote_key=vote_key("somebody").public_key)
    return propose(w, "join", args)


@scenario("governance", "NOT_POSSESSED")
def propose_a_join_with_a_consent_to_another_name(w: World) -> Transaction:
    w.block()
    key = vote_key("vote-nova")
    return propose(w, "join", join_args(w, possession=consent(w, "other", key)))


@scenario("governance", "NOT_RECENT")
def propose_a_join_on_a_root_that_is_none(w: World) -> Transaction:
    w.block()
    height, _, signature = consent(w, "nova", vote_key("vote-nova"))
    return propose(w, "join", join_args(w, possession=(height, h("root"), signature)))


@scenario("governance", "NOT_RECENT")
def propose_a_join_on_a_height_to_come(w: World) -> Transaction:
    w.block()
    proof = consent(w, "nova", vote_key("vote-nova"), at=w.height + 1)
    return propose(w, "join", join_args(w, possession=proof))


@scenario("governance")
def propose_a_rotation_of_everything(w: World) -> Transaction:
    w.block()
    key = vote_key("vote1-new")
    args = ("g1", (key.public_key,), (consent(w, "g1", key),), (b"new",), ("10.0.0.1:9",))
    return propose(w, "rotate", args, by=OP1)


@scenario("governance", "BAD_ARGUMENT")
def propose_a_rotation_of_nothing(w: World) -> Transaction:
    return propose(w, "rotate", ("g1", (), (), (), ()))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_rotation_without_consent(w: World) -> Transaction:
    return propose(w, "rotate", ("g1", (vote_key("new").public_key,), (), (), ()))


@scenario("governance", "UNKNOWN_GATEWAY")
def propose_to_suspend_nobody(w: World) -> Transaction:
    return propose(w, "suspend", ("g9",))


@scenario("governance", "GATEWAY_STATUS")
def propose_to_clear_an_active_gateway(w: World) -> Transaction:
    return propose(w, "clear", ("g1",))


@scenario("governance")
def propose_to_leave(w: World) -> Transaction:
    return propose(w, "leave", ("g1",), by=OP1)


@scenario("governance", "TOO_FEW_GATEWAYS")
def propose_to_suspend_the_last_active_gateway(w: World) -> Transaction:
    for name in ("g1", "g2", "g3"):
        row = w.draft.get(GATEWAY, name)
        assert row is not None
        w.draft.put(GATEWAY, name, row._replace(status="suspended"))
    return propose(w, "suspend", ("g0",))


@scenario("governance", "TOO_MANY_GATEWAYS")
def propose_a_join_to_a_full_table(w: World) -> Transaction:
    w.block()
    some = w.draft.get(GATEWAY, "g3")
    assert some is not None
    for number in range(27):
        more = some._replace(place=4 + number, owner_hash=h("x"), vote_key=h(f"x{number}"))
        w.draft.put(GATEWAY, f"x{number}", more)
    return propose(w, "join", join_args(w))


@scenario("governance")
def propose_a_parameter(w: World) -> Transaction:
    return propose(w, "set_param", ("fee_base", 2_000))


@scenario("governance", "UNKNOWN_PARAMETER")
def propose_an_unknown_parameter(w: World) -> Transaction:
    return propose(w, "set_param", ("fee_bass", 2_000))


@scenario("governance", "PARAMETER_BOUNDS")
def propose_a_parameter_beyond_its_bounds(w: World) -> Transaction:
    return propose(w, "set_param", ("evidence_bond_bp", 10_001))


@scenario("governance")
def vote_yes(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance")
def vote_yes_and_pass(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",))
    w.do(OP1, "gov_vote", proposal, True)
    return w.tx(OP2, "gov_vote", proposal, True)


@scenario("governance")
def vote_otherwise_the_second_time(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",))
    w.do(OP1, "gov_vote", proposal, True)
    return w.tx(OP1, "gov_vote", proposal, False)


@scenario("governance", "NOT_OPERATOR")
def vote_as_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance", "GATEWAY_NOT_ACTIVE")
def vote_as_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g1",))
    return w.tx(OP1, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance", "UNKNOWN_PROPOSAL")
def vote_on_nothing(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", h("none"), True)


@scenario("governance", "PROPOSAL_CLOSED")
def vote_on_what_was_done(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", done(w, "set_param", ("fee_base", 2_000)), True)


@scenario("governance", "PROPOSAL_CLOSED")
def vote_on_what_has_expired(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",), after=1)
    w.block()
    return w.tx(OP1, "gov_vote", proposal, True)


def said(
    w: World,
    what: str,
    key: SigningKey,
    *,
    view: int = 0,
    height: int = 7,
    era: int = 0,
    member: int = 1,
    kind: Signed = Signed.PREPARE,
) -> tuple[bytes, bytes]:
    """A statement as a replica signs it: (fields, signature)."""
    if kind is Signed.PRE_PREPARE:
        fields = encode((era, view, height, h(what)))
    else:
        fields = vote_fields(era, view, height, h(what), member)
    return fields, key.sign(statement(kind, w.genesis.hash, fields))


def _contradiction(w: World, **where: Any) -> tuple[Any, ...]:
    key = vote_key("vote1")
    return "prepare", said(w, "one", key, **where), said(w, "two", key, **where)


@scenario("governance")
def evidence_of_two_votes(w: World) -> Transaction:
    set_bond(w, "g1", 1_005)
    return w.tx(ALICE, "gov_evidence", *_contradiction(w))


@scenario("governance")
def evidence_of_two_proposals(w: World) -> Transaction:
    where = {"view": 5, "kind": Signed.PRE_PREPARE}  # view 5 of 4 members: the primary is g1
    key = vote_key("vote1")
    one, two = said(w, "one", key, **where), said(w, "two", key, **where)
    return w.tx(ALICE, "gov_evidence", "pre_prepare", one, two)


@scenario("governance")
def evidence_of_another_height(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, height=8))


@scenario("governance", "EVIDENCE_KNOWN")
def evidence_of_the_same_height_again(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, view=3))


@scenario("governance", "NOT_EVIDENCE")
def evidence_that_says_the_same_twice(w: World) -> Transaction:
    one = said(w, "one", vote_key("vote1"))
    return w.tx(ALICE, "gov_evidence", "prepare", one, one)


@scenario("governance", "NOT_EVIDENCE")
def evidence_from_two_views(w: World) -> Transaction:
    key = vote_key("vote1")
    return w.tx(ALICE, "gov_evidence", "prepare", said(w, "a", key), said(w, "b", key, view=1))


@scenario("governance", "NOT_EVIDENCE")
def evidence_of_an_era_to_come(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, era=1))


@scenario("governance", "NOT_EVIDENCE")
def evidence_that_somebody_else_signed(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, member=2))


@scenario("governance", "NOT_EVIDENCE")
def evidence_of_no_member(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, member=4))


@scenario("governance", "NOT_EVIDENCE")
def evidence_under_another_type(w: World) -> Transaction:
    _, one, two = _contradiction(w)
    return w.tx(ALICE, "gov_evidence", "commit", one, two)


@scenario("governance", "EVIDENCE_TOO_OLD")
def evidence_of_long_ago(w: World) -> Transaction:
    w.height = 200_000
    return w.tx(ALICE, "gov_evidence", *_contradiction(w))


@scenario("governance", "KEY_CONDEMNED")
def propose_to_clear_a_liar_with_its_old_key(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return propose(w, "clear", ("g1",))


# Control -----------------------------------------------------------------------------------


@scenario("governance")
def propose_a_pause(w: World) -> Transaction:
    return propose(w, "pause", ("dollar",))


@scenario("governance", "ALREADY_SO")
def propose_to_resume_what_runs(w: World) -> Transaction:
    return propose(w, "resume", ("dollar",))


@scenario("governance", "UNKNOWN_FAMILY")
def propose_to_pause_governance(w: World) -> Transaction:
    return propose(w, "pause", ("governance",))


@scenario("governance")
def propose_a_carrier(w: World) -> Transaction:
    return propose(w, "name_role", ("carrier", BOB.address, True))


@scenario("governance", "ROLE_LINKED")
def propose_an_operator_as_attestor(w: World) -> Transaction:
    return propose(w, "name_role", ("attestor", OP2.address, True))


@scenario("governance", "ROLE_LINKED")
def propose_a_join_of_who_is_an_attestor(w: World) -> Transaction:
    w.block()
    attestor = Person("attestor0")
    grant(w, attestor, 10_000 * DOLLAR)
    return propose(w, "join", join_args(w, operator=attestor.address))


@scenario("governance", "FAMILY_PAUSED")
def transfer_while_the_dollar_is_paused(w: World) -> Transaction:
    done(w, "pause", ("dollar",))
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, 1, ""),))


@scenario("governance")
def propose_the_next_version(w: World) -> Transaction:
    return propose(w, "schedule_version", (2,))


@scenario("governance", "NOT_NEXT_VERSION")
def propose_a_version_too_far(w: World) -> Transaction:
    return propose(w, "schedule_version", (3,))
