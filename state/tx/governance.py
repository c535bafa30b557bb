"""Governance: proposals and votes of the gateways, and proofs that one of them lied.

Law: the validator set at each height is what genesis, passed proposals, proven evidence and
lapsed debts say, and a key once used is never accepted again. A proposal passes with more than
two thirds of the gateways that are active when it is decided, takes effect at the start of the
block it names, or expires there. In one block at most max(1, f) changes of seats are made, in the
order in which they were asked for; the rest follow in the next. Such a block is the last of its
era.

What a proposal can ask for stands in `membership.py`, what proves a lie in `evidence.py`, how seats
change in `seats.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from mgsnode.base.codec import Value
from mgsnode.base.errors import Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX
from mgsnode.base.validators import faults_of
from state.context import Action, Context, Fault, Fields, ParamSpec
from state.draft import Reader
from state.fields import (
    Address,
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
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key, int_key, pair_key, text_key
from state.tx.control import (
    ALREADY_SO,
    CONTROL_ACTIONS,
    NOT_NEXT_VERSION,
    ROLE_LINKED,
    UNKNOWN_FAMILY,
    VERSION_MAX,
)
from state.tx.evidence import FIELDS_BYTES_MAX, KINDS, check_contradiction, offender, open_statement
from state.tx.gateways import (
    ERA,
    GATEWAY,
    ROLES,
    Era,
    chain_of,
    check_active,
    era_validators,
    operated_by,
)
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
    check_possession,
    condemn,
)  # fmt: skip
from state.tx.obligations import LAPSED, OBLIGATION
from state.tx.seats import (
    CHANGE,
    COUNTS,
    QUEUE,
    Counts,
    Queued,
    active_of,
    counts_of,
    enqueue,
    seats_of,
    suspend_now,
    vacate,
)
from state.tx.succession import seat_carried
from state.tx.tokens import liable_bond, slash_bond

UNKNOWN_PROPOSAL: Final = (401, "UNKNOWN_PROPOSAL")
PROPOSAL_CLOSED: Final = (402, "PROPOSAL_CLOSED")
BAD_EFFECTIVE_HEIGHT: Final = (403, "BAD_EFFECTIVE_HEIGHT")
TOO_MANY_PROPOSALS: Final = (404, "TOO_MANY_PROPOSALS")
NOT_EVIDENCE: Final = (417, "NOT_EVIDENCE")
EVIDENCE_KNOWN: Final = (418, "EVIDENCE_KNOWN")
EVIDENCE_TOO_OLD: Final = (419, "EVIDENCE_TOO_OLD")

AHEAD_MAX: Final = 1_000_000  # heights between proposing and taking effect
OPEN_MAX: Final = 16  # proposals of one gateway that have not taken effect or expired
EVIDENCE_HEIGHTS: Final = 100_000  # older statements prove nothing: an old key may be stolen
OPEN, PASSED, DONE, FAILED, EXPIRED = "open", "passed", "done", "failed", "expired"
PROPOSALS: Final = 64  # list of all proposals


class Proposal(NamedTuple):
    """What is asked for, under the txid that asked. `votes`: (gateway, yes), rising by name."""

    gateway: str  # who proposed it
    action: str
    args: tuple[Value, ...]  # as the action's struct says
    effective_height: int
    proposed_height: int
    status: str
    votes: tuple[tuple[str, bool], ...]
    closed_height: int  # when it was done, failed or expired; 0 before
    reason: str  # why it failed


class Evidence(NamedTuple):
    """A proven contradiction of a gateway at a height."""

    txid: bytes
    era: int
    view: int
    kind: str
    vote_key: bytes
    cut: int  # of the bond, micro-MGS


PROPOSAL: Final[Table[bytes, Proposal]] = Table(65, "governance/proposal", Proposal, bytes_key())
# Key: (height, gateway): each is punished once for one height.
EVIDENCE: Final[Table[tuple[int, str], Evidence]] = Table(
    69, "governance/evidence", Evidence, pair_key(int_key(), text_key())
)


def needed(active: int) -> int:
    """Yes votes that pass a proposal: more than two thirds of the active gateways."""
    return 2 * active // 3 + 1


def proposal_of(reader: Reader, proposal_id: bytes) -> Proposal | None:
    """The proposal of that id."""
    return reader.get(PROPOSAL, proposal_id)


# Proposing and voting ------------------------------------------------------------------------


def apply_propose(ctx: Context, fields: Fields) -> None:
    """Ask for something; it counts as the proposer's yes."""
    action, args, height = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_active(name, gateway)
    if not ctx.height < height <= ctx.height + AHEAD_MAX:
        raise Rejected(BAD_EFFECTIVE_HEIGHT, lowest=ctx.height + 1, highest=ctx.height + AHEAD_MAX)
    queue = ctx.draft.items(QUEUE)
    if sum(q.gateway == name and not q.vacates for _, q in queue) >= OPEN_MAX:
        raise Rejected(TOO_MANY_PROPOSALS, highest=OPEN_MAX)
    fault = ctx.rules.actions[action].why_not(ctx, args) or _possession_fault(ctx, action, args)
    if fault is not None:
        raise Rejected(fault[0], **fault[1])
    # From here on nothing can fail.
    enqueue(ctx, height, Queued(ctx.object_id, name, vacates=False))
    proposal = Proposal(
        gateway=name,
        action=action,
        args=args,
        effective_height=height,
        proposed_height=ctx.height,
        status=OPEN,
        votes=(),
        closed_height=0,
        reason="",
    )
    ctx.list_under(PROPOSALS, b"", ctx.object_id)
    ctx.emit("gov_proposed", ctx.object_id, name, action, height)
    _vote(ctx, ctx.object_id, proposal, name, yes=True)


def _possession_fault(ctx: Context, action: str, args: Fields) -> Fault | None:
    """Whether new vote keys are consented to by who holds them."""
    match action:
        case "join":
            return check_possession(ctx, args[0], args[5], args[6])
        case "rotate":
            name, keys, proofs = args[:3]
            for vote_key, proof in zip(keys, proofs, strict=True):
                return check_possession(ctx, name, vote_key, proof)
    return None


def apply_vote(ctx: Context, fields: Fields) -> None:
    """Say yes or no, or change one's mind, until the proposal takes effect or expires."""
    proposal_id, yes = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_active(name, gateway)
    proposal = ctx.require(PROPOSAL, proposal_id, UNKNOWN_PROPOSAL)
    if proposal.status not in (OPEN, PASSED) or ctx.height >= proposal.effective_height:
        raise Rejected(PROPOSAL_CLOSED, status=proposal.status)
    # From here on nothing can fail.
    ctx.emit("gov_voted", proposal_id, name, yes)
    _vote(ctx, proposal_id, proposal, name, yes=yes)


def _vote(ctx: Context, proposal_id: bytes, proposal: Proposal, name: str, *, yes: bool) -> None:
    """Note a vote and decide; what was decided stays so, later votes are for the record."""
    votes = {**dict(proposal.votes), name: yes}
    active = active_of(ctx.draft)
    status = proposal.status
    if status == OPEN and sum(votes.get(name, False) for name in active) >= needed(len(active)):
        status = PASSED
        ctx.emit("gov_passed", proposal_id, proposal.effective_height)
    changed = proposal._replace(votes=tuple(sorted(votes.items())), status=status)
    ctx.draft.put(PROPOSAL, proposal_id, changed)


# Taking effect -------------------------------------------------------------------------------


def take_effect(ctx: Context) -> Iterator[bytes]:
    """What is due at this height, in the order of asking; see `Family.at_height`."""
    counts = counts_of(ctx.draft)
    if ctx.height < counts.queue_from:
        return
    seats_before = seats_of(ctx.draft)
    room = max(1, faults_of(len(seats_before)))
    for key, queued in _due(ctx):
        if room == 0 and _concerns_seats(ctx, queued):
            _postpone(ctx, key, queued)
            continue
        changes = counts_of(ctx.draft).changes
        yield queued.source
        ctx.draft.delete(QUEUE, key)
        if queued.vacates:
            vacate(ctx, queued.gateway, queued.source)
        else:
            _conclude(ctx, queued.source)
        if counts_of(ctx.draft).changes > changes:
            room -= 1
    first = next(iter(ctx.draft.items(QUEUE)), None)
    counts = counts_of(ctx.draft)
    ctx.draft.put(COUNTS, b"", counts._replace(queue_from=first[0][0] if first else INT_MAX))


def _due(ctx: Context) -> list[tuple[tuple[int, int], Queued]]:
    """Rows of the queue for this height, in the order of asking: none is older."""
    due: list[tuple[tuple[int, int], Queued]] = []
    for key, queued in ctx.draft.items(QUEUE):
        if key[0] > ctx.height:
            break
        due.append((key, queued))
    return due


def _concerns_seats(ctx: Context, queued: Queued) -> bool:
    if queued.vacates:
        return True
    proposal = ctx.draft.get(PROPOSAL, queued.source)
    assert proposal is not None
    return proposal.status == PASSED and ctx.rules.actions[proposal.action].concerns_seats


def _postpone(ctx: Context, key: tuple[int, int], queued: Queued) -> None:
    ctx.draft.delete(QUEUE, key)
    ctx.draft.put(QUEUE, (ctx.height + 1, key[1]), queued)


def _conclude(ctx: Context, proposal_id: bytes) -> None:
    """Do what was passed, if it can still be done; what was not passed expires."""
    proposal = ctx.draft.get(PROPOSAL, proposal_id)
    assert proposal is not None
    status, reason = EXPIRED, ""
    if proposal.status == PASSED:
        action = ctx.rules.actions[proposal.action]
        fault = action.why_not(ctx, proposal.args)
        if fault is None:
            action.make(ctx, proposal.args, proposal_id)
            status = DONE
        else:
            status, reason = FAILED, fault[0][1]
    closed = proposal._replace(status=status, closed_height=ctx.height, reason=reason)
    ctx.draft.put(PROPOSAL, proposal_id, closed)
    ctx.emit("gov_closed", proposal_id, status, reason)


# Evidence ------------------------------------------------------------------------------------


def apply_evidence(ctx: Context, fields: Fields) -> None:
    """Anyone shows that a member's key spoke twice: suspended at once, its seat in the next block.

    A share of what is left of the bond is taken, once for each height.
    """
    kind_name, first, second = fields
    kind = KINDS[kind_name]
    said = open_statement(kind, first[0])
    members = None if said is None else era_validators(ctx.draft, said.place.era)
    if said is None or members is None:
        raise Rejected(NOT_EVIDENCE, why="no statement of a committed era")
    place = said.place
    if place.height + EVIDENCE_HEIGHTS < ctx.height:
        raise Rejected(EVIDENCE_TOO_OLD, height=place.height)
    genesis_hash = chain_of(ctx.draft).genesis_hash
    why = check_contradiction(kind, first, second, members=members, genesis_hash=genesis_hash)
    if why is not None:
        raise Rejected(NOT_EVIDENCE, why=why)
    name, vote_key = members.members[offender(place, members)]
    if ctx.draft.get(EVIDENCE, (place.height, name)) is not None:
        raise Rejected(EVIDENCE_KNOWN, gateway=name, height=place.height)
    # From here on nothing can fail.
    cut = liable_bond(ctx.draft, name) * ctx.params["evidence_bond_bp"] // 10_000
    slash_bond(ctx, name, cut, to=b"", to_amount=0)
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None, "a member of an era is a gateway for ever"
    record = Evidence(ctx.object_id, place.era, place.view, kind_name, vote_key, cut)
    ctx.draft.put(EVIDENCE, (place.height, name), record)
    condemn(ctx, vote_key)
    ctx.emit("gov_evidence", name, place.era, place.height, kind_name, cut)
    suspend_now(ctx, name, gateway, ctx.object_id)


# Laws ----------------------------------------------------------------------------------------


def _check_changes(reader: Reader) -> str | None:
    """Each era's set follows from the first one by the changes, and each change from a source."""
    eras = [row for _, row in reader.items(ERA)]
    seats = dict(eras[0].members)
    places = {name: row.place for name, row in reader.items(GATEWAY)}
    proofs = [(row.txid, key[1]) for key, row in reader.items(EVIDENCE)]
    expected = [(0, eras[0].members)]
    changes = [row for _, row in reader.items(CHANGE)]
    if len(changes) != counts_of(reader).changes:
        return "changes are missing"
    for at, change in enumerate(changes):
        if at and change.height < changes[at - 1].height:
            return f"change {at} stands before an earlier one"
        proposal = reader.get(PROPOSAL, change.source)
        is_passed = proposal is not None and (proposal.status, proposal.closed_height) == (
            DONE, change.height,
        )  # fmt: skip
        debt = reader.get(OBLIGATION, change.source)
        is_owed = debt is not None and (debt.status, debt.debtor) == (LAPSED, change.gateway)
        is_lost = not change.vote_key and (is_owed or (change.source, change.gateway) in proofs)
        if not is_passed and not is_lost:
            return f"change {at}: {change.gateway}: no proposal, evidence or debt says so"
        if change.vote_key:
            seats[change.gateway] = change.vote_key
        else:
            seats.pop(change.gateway, None)
        if at + 1 == len(changes) or changes[at + 1].height != change.height:
            members = tuple(sorted(seats.items(), key=lambda seat: places[seat[0]]))
            if members != expected[-1][1]:
                expected.append((change.height + 1, members))
    found = [(row.first_height, row.members) for row in eras]
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"era {number} is not what genesis, proposals, evidence and debts say"
    return None if len(found) == len(expected) else f"{len(found)} eras, {len(expected)} follow"


def _check_keys(reader: Reader) -> str | None:
    """Every vote key that was ever used is listed for its one gateway."""
    used = {name: row.vote_key for name, row in reader.items(GATEWAY)}
    named = [pair for _, era in reader.items(ERA) for pair in era.members]
    for name, vote_key in [*named, *sorted(used.items())]:
        use = reader.get(KEY_USE, vote_key)
        if use is None or use.gateway != name:
            return f"vote key {vote_key.hex()} of {name} is not listed as its own"
    return None


def _check_queue(reader: Reader) -> str | None:
    """What is open stands in the queue, once, and nothing below where it begins."""
    waiting: dict[bytes, int] = {}
    first = INT_MAX
    for (height, _), queued in reader.items(QUEUE):
        first = min(first, height)
        if queued.source in waiting:
            return f"{queued.source.hex()} stands twice in the queue"
        waiting[queued.source] = height
        if queued.vacates:
            continue
        proposal = reader.get(PROPOSAL, queued.source)
        if proposal is None or proposal.status not in (OPEN, PASSED):
            return f"{queued.source.hex()} waits and is no open proposal"
        if height < proposal.effective_height:
            return f"proposal {queued.source.hex()} waits for {height}"
    if counts_of(reader).queue_from != first:
        return f"the queue begins at {first}, not at {counts_of(reader).queue_from}"
    for proposal_id, proposal in reader.items(PROPOSAL):
        if proposal.status in (OPEN, PASSED) and proposal_id not in waiting:
            return f"proposal {proposal_id.hex()} is {proposal.status} and waits for nothing"
    return None


# The family ----------------------------------------------------------------------------------


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
        Struct(gateway=_NAME, era=_HEIGHT, height=_HEIGHT, kind=Text(64), cut=_HEIGHT),
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
    laws=(
        Law("changes", _check_changes),
        Law("keys", _check_keys),
        Law("queue", _check_queue),
    ),
    genesis=_apply_genesis,
    carry=_carry,
    at_height=take_effect,
    actions={**ACTIONS, **CONTROL_ACTIONS},
    proposing=_proposing,
    declares=("gateway_leaving", "gateway_cleared"),
)  # fmt: skip
