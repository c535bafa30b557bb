"""Governance: how the gateways change what they once agreed on.

Law: the validator set at each height is what genesis, passed proposals, proven evidence and
lapsed debts say, and a key once used is never accepted again. A block that changes the set is the
last of its era.

The family declares itself here: its kinds, its first rows, what a chain that takes over its state
keeps of it. How gateways ask and vote stands in `proposals.py`, what they can ask for in
`membership.py` and `control.py`, what proves a lie in `evidence.py`, what that costs in
`slashing.py`, how seats change in `seats.py`; `governance_laws.py` audits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX
from state.context import Action, Context, ParamSpec
from state.fields import (
    MICRO_MGS,
    Address,
    Amount,
    Bool,
    Bytes,
    Cases,
    Choice,
    Hash32,
    Int,
    Struct,
    Text,
    gateway_name,
)
from state.registry import EventSpec, Family, Kind
from state.tx.control import (
    ALREADY_SO,
    CONTROL_ACTIONS,
    NOT_NEXT_VERSION,
    ROLE_LINKED,
    UNKNOWN_FAMILY,
    VERSION_MAX,
)
from state.tx.evidence import FIELDS_BYTES_MAX, KINDS
from state.tx.gateways import ERA, ROLES, Era
from state.tx.governance_laws import LAWS
from state.tx.membership import (
    ACTIONS,
    BAD_ARGUMENT,
    GATEWAY_STATUS,
    KEY_CONDEMNED,
    KEY_USE,
    KEY_USED,
    NAME_TAKEN,
    NOT_POSSESSED,
    NOT_RECENT,
    OPERATOR_TAKEN,
    OWNER_TAKEN,
    PARAMETER_BOUNDS,
    TOO_FEW_GATEWAYS,
    TOO_MANY_GATEWAYS,
    UNKNOWN_PARAMETER,
    KeyUse,
    certificate_use,
)
from state.tx.proposals import (
    BAD_EFFECTIVE_HEIGHT,
    DONE,
    EXPIRED,
    FAILED,
    OPEN,
    PASSED,
    PROPOSAL,
    PROPOSAL_CLOSED,
    TOO_MANY_PROPOSALS,
    UNKNOWN_PROPOSAL,
    apply_propose,
    apply_vote,
    take_effect,
)
from state.tx.seats import CHANGE, COUNTS, QUEUE, Counts, counts_of
from state.tx.slashing import (
    EVIDENCE,
    EVIDENCE_KNOWN,
    EVIDENCE_TOO_OLD,
    NOT_EVIDENCE,
    apply_evidence,
)
from state.tx.succession import seat_carried


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    ctx.draft.put(COUNTS, b"", Counts(proposals=0, changes=0, queue_from=INT_MAX))
    for gateway in genesis.gateways:
        for key in (gateway.vote_key, certificate_use(gateway.transport_certificate)):
            ctx.draft.put(KEY_USE, key, KeyUse(gateway.name, 0, condemned=False))


def _carry(ctx: Context, genesis: Genesis) -> None:
    """Another chain goes on with this state: the genesis, not a vote, says who sits in the set.

    What was proposed and proven spoke of the heights and members of the earlier chain: open
    proposals expire, and the eras begin with the genesis' set. Keys once used stay used.
    """
    draft = ctx.draft
    for proposal_id, proposal in list(draft.items(PROPOSAL)):
        if proposal.status in (OPEN, PASSED):
            height = genesis.carried[0].height
            draft.put(
                PROPOSAL, proposal_id, proposal._replace(status=EXPIRED, closed_height=height)
            )
    for known, _ in list(draft.items(EVIDENCE)):
        draft.delete(EVIDENCE, known)
    seat_carried(ctx, genesis)
    for place, _ in list(draft.items(QUEUE)):
        draft.delete(QUEUE, place)
    for number, _ in list(draft.items(CHANGE)):
        draft.delete(CHANGE, number)
    counts = counts_of(draft)
    draft.put(COUNTS, b"", counts._replace(changes=0, queue_from=INT_MAX))
    for number, _ in list(draft.items(ERA)):
        draft.delete(ERA, number)
    members = genesis.validators().members
    draft.put(ERA, 0, Era(0, tuple((member.gateway, member.public_key) for member in members)))


_ID: Final = Hash32()
_HEIGHT: Final = Int(0, INT_MAX)
_NAME: Final = gateway_name()
_SAID: Final = Struct(fields=Bytes(1, FIELDS_BYTES_MAX), signature=Bytes(64, 64))


def _proposing(actions: Mapping[str, Action]) -> tuple[Kind, ...]:
    """The kind that can ask for any family's actions."""
    fields = Struct(
        action=Choice(*actions),
        args=Cases("action", {name: action.args for name, action in actions.items()}),
        effective_height=_HEIGHT,
    )
    doc = "An active gateway's operator asks for a change; it counts as its yes."
    return (Kind("gov_propose", fields, apply_propose, 1_000, doc),)


KIND_LIST: Final = (
    Kind(
        "gov_vote",
        Struct(proposal=_ID, yes=Bool()),
        apply_vote,
        100,
        "An active gateway's operator votes on a proposal, or changes its vote.",
    ),
    Kind(
        "gov_evidence",
        Struct(kind=Choice(*KINDS), first=_SAID, second=_SAID),
        apply_evidence,
        500,
        "Two statements that one member signed for one place: it is suspended and pays.",
    ),
)

EVENTS: Final = (
    EventSpec(
        "gov_proposed",
        Struct(proposal=_ID, gateway=_NAME, action=Text(64), effective_height=_HEIGHT),
        "A proposal was made.",
    ),
    EventSpec("gov_voted", Struct(proposal=_ID, gateway=_NAME, yes=Bool()), "A vote was given."),
    EventSpec(
        "gov_passed",
        Struct(proposal=_ID, effective_height=_HEIGHT),
        "More than two thirds said yes.",
    ),
    EventSpec(
        "gov_closed",
        Struct(proposal=_ID, status=Choice(DONE, FAILED, EXPIRED), reason=Text(64)),
        "A proposal took effect, could not, or expired.",
    ),
    EventSpec(
        "gov_evidence",
        Struct(
            gateway=_NAME,
            era=_HEIGHT,
            height=_HEIGHT,
            kind=Text(64),
            cut=Amount(MICRO_MGS, lowest=0),
        ),
        "A gateway was proven to have contradicted itself; what its bond lost, in micro-MGS.",
    ),
    EventSpec(
        "gov_named",
        Struct(role=Choice(*ROLES), account=Address(), named=Bool()),
        "An account has a role from here on, or no more.",
    ),
    EventSpec(
        "gov_version",
        Struct(version=Int(2, VERSION_MAX), first_height=_HEIGHT),
        "From this height on the chain speaks another version of the protocol.",
    ),
    EventSpec(
        "gateway_status",
        Struct(gateway=_NAME, status=Text(64)),
        "A gateway is active, suspended or leaving from here on.",
    ),
    EventSpec(
        "gateway_seat",
        Struct(gateway=_NAME, seat=Bool()),
        "A gateway's seat in the validator set, or the key on it, changed with this block.",
    ),
)

FAMILY: Final = Family(
    number=4,
    name="governance",
    kinds=KIND_LIST,
    tables=(COUNTS, PROPOSAL, QUEUE, KEY_USE, CHANGE, EVIDENCE),
    refusals=(
        UNKNOWN_PROPOSAL, PROPOSAL_CLOSED, BAD_EFFECTIVE_HEIGHT, TOO_MANY_PROPOSALS, BAD_ARGUMENT,
        NAME_TAKEN, OWNER_TAKEN, OPERATOR_TAKEN, KEY_USED, NOT_POSSESSED, NOT_RECENT,
        GATEWAY_STATUS, TOO_FEW_GATEWAYS, TOO_MANY_GATEWAYS, UNKNOWN_PARAMETER, PARAMETER_BOUNDS,
        NOT_EVIDENCE, EVIDENCE_KNOWN, EVIDENCE_TOO_OLD, KEY_CONDEMNED, ALREADY_SO,
        UNKNOWN_FAMILY, ROLE_LINKED, NOT_NEXT_VERSION,
    ),
    params=(
        ParamSpec(
            "evidence_bond_bp", 1_000, 100, 10_000,
            "share of its bond that a gateway loses for a proven contradiction",
        ),
    ),
    events=EVENTS,
    laws=LAWS,
    genesis=_apply_genesis,
    carry=_carry,
    at_height=take_effect,
    actions={**ACTIONS, **CONTROL_ACTIONS},
    proposing=_proposing,
    declares=("gateway_leaving", "gateway_cleared"),
)  # fmt: skip
