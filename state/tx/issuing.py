"""Issuing: at once, or after a time in which others can object. Part of the reserves family.

Up to a threshold for each gateway and period an issue happens at once. Beyond it waits, with its
room taken, while any other active gateway can veto it; at its end it is asked again and lapses
where it may not be. What was vetoed is dead unless a proposal carries it; whoever vetoed that may
not veto the same issuer for 30 days. A fiat reference names one issue for ever, whatever became of
it. A record shows the room before and after.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import digest
from mgsnode.base.limits import INT_MAX
from state.context import Action, Context, Fault, Fields
from state.fields import Amount, Hash32, Struct, Text, gateway_name
from state.table import Table, bytes_key, int_key, pair_key, text_key
from state.tx.accounts import ACCOUNT_FROZEN, check_free, is_frozen
from state.tx.attestations import ROOM_EXCEEDED
from state.tx.gateways import (
    ACTIVE,
    GATEWAY,
    GATEWAY_NOT_ACTIVE,
    ISSUING_STOPPED,
    NOT_OPERATOR,
    UNKNOWN_GATEWAY,
    allow_issuing,
    check_active,
    check_may_issue,
    operated_by,
    standing_of,
)
from state.tx.money import mint, totals_now
from state.tx.positions import (
    ISSUED_ON,
    SUPPLY_LIMIT,
    Position,
    change_position,
    check_reference,
    position_of,
    use_reference,
)
from state.tx.room import Room, derive_room, room_of

RESERVES: Final = 13
UNKNOWN_ISSUE: Final = (1_309, "UNKNOWN_ISSUE")
ISSUE_STATUS: Final = (1_310, "ISSUE_STATUS")
ISSUE_DEADLINE: Final = (1_311, "ISSUE_DEADLINE")
OWN_ISSUE: Final = (1_312, "OWN_ISSUE")
VETO_BARRED: Final = (1_313, "VETO_BARRED")
NOT_STOPPED: Final = (1_314, "NOT_STOPPED")

ISSUED_MAX: Final = INT_MAX // 64  # of one gateway, ever: alone it cannot use up the counters
WAITING, ISSUED, VETOED, CANCELLED, LAPSED = "waiting", "issued", "vetoed", "cancelled", "lapsed"
ISSUES: Final = 209  # list of issues by gateway
WAITED: Final = 210  # list of those that had to wait, of all gateways
VETO_BAR_MS: Final = 30 * 86_400_000  # after an override, on the family's clock


class Issue(NamedTuple):
    """An issue under the txid that asked for it. While waiting it stands in the due queue."""

    gateway: str
    to: bytes  # empty: the accounts of the genesis
    amount: int
    reference: bytes
    status: str
    asked_ms: int  # block time
    due_ms: int  # on the family's clock; 0 if it did not have to wait
    closed_ms: int  # block time, 0 while waiting
    room_before: int  # when the dollars came into being; until then, when it was asked
    room_after: int
    vetoed_by: str = ""  # a gateway; stays if a proposal has carried it
    reason: str = ""  # of the veto, or why it lapsed


class Barred(NamedTuple):
    """A gateway may not veto another's issues before this time on the family's clock."""

    until_ms: int


ISSUE: Final[Table[bytes, Issue]] = Table(214, "reserves/issue", Issue, bytes_key())
# Key: (place of who vetoed, issuer).
BARRED: Final[Table[tuple[int, str], Barred]] = Table(
    215, "reserves/barred", Barred, pair_key(int_key(4), text_key())
)


def genesis_issue_id(name: str) -> bytes:
    """The id of the issue that stands for a gateway's dollars of the genesis."""
    return digest(b"mgs/first-issue", name.encode())


# Issuing -------------------------------------------------------------------------------------


def apply_issue(ctx: Context, fields: Fields) -> None:
    """New dollars to a holder, against fiat that the gateway received; at once, or to wait."""
    to, amount, reference = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_free(ctx.draft, ctx.sender)
    check_may_issue(ctx.draft, name, gateway)
    check_reference(ctx, ISSUED_ON, name, reference)
    position = position_of(ctx.draft, name)
    if not _can_be_counted(ctx, position, amount):
        raise Rejected(SUPPLY_LIMIT)
    found = derive_room(ctx.draft, ctx.params, name, gateway, position, ctx.time_ms)
    room = found.room
    if amount > room:
        raise Rejected(ROOM_EXCEEDED, gateway=name, room=str(room), needed=str(amount))
    waits = position.at_once + amount > ctx.params["issue_threshold"]
    # From here on nothing can fail.
    use_reference(ctx, ISSUED_ON, name, reference)
    if waits:
        after = change_position(ctx, name, waiting=amount)
    else:
        after = change_position(ctx, name, issued=amount, at_once=amount)
    status, closed_ms = (WAITING, 0) if waits else (ISSUED, ctx.time_ms)
    due_ms = ctx.now(RESERVES) + ctx.params["issue_delay_ms"] if waits else 0
    room_after = room + found.owed + found.waiting - after.owed - after.waiting
    issue = Issue(
        name, to, amount, reference, status, ctx.time_ms, due_ms, closed_ms, room, room_after
    )
    ctx.draft.put(ISSUE, ctx.object_id, issue)
    ctx.list_under(ISSUES, name.encode(), ctx.object_id)
    if waits:
        _let_wait(ctx, ctx.object_id, issue)
    else:
        _hand_out(ctx, issue)


def _can_be_counted(ctx: Context, position: Position, amount: int) -> bool:
    return (
        position.issued + position.waiting + amount <= ISSUED_MAX
        and totals_now(ctx).issued + amount <= INT_MAX
    )


def _create(ctx: Context, issue_id: bytes, issue: Issue, room: Room) -> None:
    """What waited comes into being. `room` is what was asked and found to be enough."""
    after = change_position(ctx, issue.gateway, issued=issue.amount)
    room_after = room.limit - after.owed - after.waiting
    done = issue._replace(
        status=ISSUED, closed_ms=ctx.time_ms, room_before=room.room, room_after=room_after
    )
    ctx.draft.put(ISSUE, issue_id, done)
    _hand_out(ctx, done)


def _hand_out(ctx: Context, issue: Issue) -> None:
    mint(ctx, issue.to, issue.amount)
    ctx.emit("dollar_issued", issue.gateway, issue.to, issue.amount, issue.reference)


def _let_wait(ctx: Context, issue_id: bytes, issue: Issue) -> None:
    ctx.schedule(issue.due_ms, issue_id, RESERVES)
    ctx.list_under(WAITED, b"", issue_id)
    ctx.involve(issue.to)
    ctx.emit("issue_waiting", issue_id, issue.gateway, issue.to, issue.amount, issue.due_ms)


def do_due(ctx: Context, issue_id: bytes) -> None:
    """The time of a waiting issue is over: it is asked once more."""
    issue = ctx.draft.get(ISSUE, issue_id)
    assert issue is not None and issue.status == WAITING
    change_position(ctx, issue.gateway, waiting=-issue.amount)
    fault = _why_not_now(ctx, issue)
    if fault is None:
        _create(ctx, issue_id, issue, _room_now(ctx, issue))
    else:
        _end(ctx, issue_id, issue, LAPSED, reason=fault[0][1])


def _why_not_now(ctx: Context, issue: Issue) -> Fault | None:
    """Why the dollars of an issue that takes up no room cannot come into being now."""
    name = issue.gateway
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None
    if gateway.status != ACTIVE:
        return GATEWAY_NOT_ACTIVE, {"gateway": name, "status": gateway.status}
    stops = standing_of(ctx.draft, name).stops
    if stops:
        return ISSUING_STOPPED, {"gateway": name, "why": ", ".join(why for why, _ in stops)}
    if is_frozen(ctx.draft, gateway.operator):  # minting is of its own will, to the end
        return ACCOUNT_FROZEN, {}
    if not _can_be_counted(ctx, position_of(ctx.draft, name), issue.amount):
        return SUPPLY_LIMIT, {}
    room = _room_now(ctx, issue).room
    if issue.amount > room:
        return ROOM_EXCEEDED, {"gateway": name, "room": str(room), "needed": str(issue.amount)}
    return None


def _room_now(ctx: Context, issue: Issue) -> Room:
    return room_of(ctx.draft, ctx.params, issue.gateway, ctx.time_ms)


def _end(ctx: Context, issue_id: bytes, issue: Issue, status: str, *, reason: str) -> None:
    """No dollars come of it; the caller has given its room back."""
    ended = issue._replace(status=status, closed_ms=ctx.time_ms, reason=reason)
    ctx.draft.put(ISSUE, issue_id, ended)
    ctx.involve(issue.to)
    ctx.emit("issue_ended", issue_id, issue.gateway, issue.amount, status, reason)


# Veto, cancel, carry -------------------------------------------------------------------------


def _waiting_issue(ctx: Context, issue_id: bytes) -> Issue:
    issue = ctx.require(ISSUE, issue_id, UNKNOWN_ISSUE)
    if issue.status != WAITING:
        raise Rejected(ISSUE_STATUS, status=issue.status, needed=WAITING)
    if ctx.now(RESERVES) >= issue.due_ms:
        raise Rejected(ISSUE_DEADLINE, due_ms=issue.due_ms)
    return issue


def _stop_waiting(ctx: Context, issue_id: bytes, issue: Issue) -> None:
    ctx.unschedule(issue.due_ms, issue_id, RESERVES)
    change_position(ctx, issue.gateway, waiting=-issue.amount)


def apply_veto(ctx: Context, fields: Fields) -> None:
    """Another active gateway says no, with a reason: the issue is dead unless it is carried."""
    issue_id, reason = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_active(name, gateway)
    issue = _waiting_issue(ctx, issue_id)
    if issue.gateway == name:
        raise Rejected(OWN_ISSUE)
    barred = ctx.draft.get(BARRED, (gateway.place, issue.gateway))
    if barred is not None and ctx.now(RESERVES) < barred.until_ms:
        raise Rejected(VETO_BARRED, gateway=issue.gateway, until_ms=barred.until_ms)
    # From here on nothing can fail.
    _stop_waiting(ctx, issue_id, issue)
    issuer = ctx.draft.get(GATEWAY, issue.gateway)
    assert issuer is not None
    ctx.involve(issuer.operator)
    _end(ctx, issue_id, issue._replace(vetoed_by=name), VETOED, reason=reason)


def apply_cancel(ctx: Context, fields: Fields) -> None:
    """The issuer takes a waiting issue back."""
    (issue_id,) = fields
    name, _ = operated_by(ctx, ctx.sender)
    issue = _waiting_issue(ctx, issue_id)
    if issue.gateway != name:
        raise Rejected(NOT_OPERATOR, gateway=issue.gateway)
    # From here on nothing can fail.
    _stop_waiting(ctx, issue_id, issue)
    _end(ctx, issue_id, issue, CANCELLED, reason="")


def _why_not_carry(ctx: Context, args: Fields) -> Fault | None:
    issue = ctx.draft.get(ISSUE, args[0])
    if issue is None:
        return UNKNOWN_ISSUE, {}
    if issue.status != VETOED:
        return ISSUE_STATUS, {"status": issue.status, "needed": VETOED}
    return _why_not_now(ctx, issue)


def _make_carry(ctx: Context, args: Fields, _source: bytes) -> None:
    """A vetoed issue happens after all, and whoever vetoed it has to wait with the next one."""
    (issue_id,) = args
    issue = ctx.draft.get(ISSUE, issue_id)
    assert issue is not None
    vetoer = ctx.draft.get(GATEWAY, issue.vetoed_by)
    assert vetoer is not None
    until_ms = ctx.now(RESERVES) + VETO_BAR_MS
    ctx.draft.put(BARRED, (vetoer.place, issue.gateway), Barred(until_ms))
    _create(ctx, issue_id, issue, _room_now(ctx, issue))
    ctx.emit("issue_carried", issue_id, issue.gateway, issue.vetoed_by, until_ms)


# Stops and caps ------------------------------------------------------------------------------


def _why_not_clear_stop(ctx: Context, args: Fields) -> Fault | None:
    name, why = args
    if ctx.draft.get(GATEWAY, name) is None:
        return UNKNOWN_GATEWAY, {"gateway": name}
    if why not in dict(standing_of(ctx.draft, name).stops):
        return NOT_STOPPED, {"gateway": name, "why": why}
    return None


def _make_clear_stop(ctx: Context, args: Fields, _source: bytes) -> None:
    name, why = args
    allow_issuing(ctx, name, why)
    ctx.fire("stop_cleared", name, why)


def _why_not_set_cap(ctx: Context, args: Fields) -> Fault | None:
    (name, _) = args
    if ctx.draft.get(GATEWAY, name) is None:
        return UNKNOWN_GATEWAY, {"gateway": name}
    return None


def _make_set_cap(ctx: Context, args: Fields, _source: bytes) -> None:
    name, cap = args
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None
    ctx.draft.put(GATEWAY, name, gateway._replace(cap=cap))
    ctx.emit("gateway_cap", name, cap)


ACTIONS: Final = {
    "carry_issue": Action(Struct(issue=Hash32()), _why_not_carry, _make_carry),
    "clear_stop": Action(
        Struct(gateway=gateway_name(), why=Text(64, lowest=1)),
        _why_not_clear_stop,
        _make_clear_stop,
    ),
    "set_cap": Action(
        Struct(gateway=gateway_name(), cap=Amount(lowest=0)), _why_not_set_cap, _make_set_cap
    ),
}
