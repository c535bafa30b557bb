"""Proposals: how gateways ask for a change, vote on it, and when what was passed takes effect.

Law: a proposal passes with more than two thirds of the gateways that are active when it is
decided, takes effect at the start of the block it names, or expires there. In one block at most
max(1, f) changes of seats are made, in the order in which they were asked for; the rest follow in
the next.

What an action does is not known here: it says itself why it cannot be done, and is asked when it
is proposed and again when it takes effect, since the world may have changed in between. Only the
consent of who holds a new vote key is asked for here, once, when it is proposed. A vote can change
until the decision; what was decided stays so. Part of the governance family.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from mgsnode.base.codec import Value
from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from mgsnode.base.validators import faults_of
from state.context import Context, Fault, Fields
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.gateways import check_active, operated_by
from state.tx.membership import check_possession
from state.tx.seats import (
    COUNTS,
    QUEUE,
    Queued,
    active_of,
    counts_of,
    enqueue,
    seats_of,
    vacate,
)

UNKNOWN_PROPOSAL: Final = (401, "UNKNOWN_PROPOSAL")
PROPOSAL_CLOSED: Final = (402, "PROPOSAL_CLOSED")
BAD_EFFECTIVE_HEIGHT: Final = (403, "BAD_EFFECTIVE_HEIGHT")
TOO_MANY_PROPOSALS: Final = (404, "TOO_MANY_PROPOSALS")

AHEAD_MAX: Final = 1_000_000  # heights between proposing and taking effect
OPEN_MAX: Final = 16  # proposals of one gateway that have not taken effect or expired
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


PROPOSAL: Final[Table[bytes, Proposal]] = Table(65, "governance/proposal", Proposal, bytes_key())


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
