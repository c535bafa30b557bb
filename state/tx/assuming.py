"""Assuming: a gateway takes over a part of what another stands for (a novation).

Law: what one side assumes the other gives away, in one movement, and the record says both. The
giver's operator signs; where it is suspended or leaving, a passed proposal of the gateway that
assumes takes the place of its signature.

What is paid for it in fiat is between the two and not known here. Nobody is hurt by it: who
assumes needs room for it as for an issue, and no more goes over than is left to the giver after
what it has to pay already, so that no settlement takes it below zero. Part of the clearing family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fault, Fields
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.accounts import check_free
from state.tx.gateways import (
    ACTIVE,
    GATEWAY,
    GATEWAY_NOT_ACTIVE,
    ISSUING_STOPPED,
    LEAVING,
    NOT_OPERATOR,
    OPERATOR,
    SUSPENDED,
    UNKNOWN_GATEWAY,
    operated_by,
    standing_of,
)
from state.tx.membership import GATEWAY_STATUS
from state.tx.obligations import open_of
from state.tx.positions import SUPPLY_LIMIT, change_position, position_of
from state.tx.room import room_of

ASSUME_FROM_ITSELF: Final = (1_106, "ASSUME_FROM_ITSELF")
ASSUME_TOO_MUCH: Final = (1_107, "ASSUME_TOO_MUCH")
ASSUME_NO_ROOM: Final = (1_108, "ASSUME_NO_ROOM")


class Assumed(NamedTuple):
    """A part of a position that went over, under the transaction or proposal that did it."""

    gateway: str  # that stands for it from there on
    giver: str
    amount: int


ASSUMED: Final[Table[bytes, Assumed]] = Table(180, "clearing/assumed", Assumed, bytes_key())


def _why_not(ctx: Context, name: str, giver: str, amount: int) -> Fault | None:
    gateway = ctx.draft.get(GATEWAY, name)
    if gateway is None or ctx.draft.get(GATEWAY, giver) is None:
        return UNKNOWN_GATEWAY, {"gateway": giver if gateway else name}
    if name == giver:
        return ASSUME_FROM_ITSELF, {}
    if gateway.status != ACTIVE:
        return GATEWAY_NOT_ACTIVE, {"gateway": name, "status": gateway.status}
    stops = standing_of(ctx.draft, name).stops
    if stops:
        return ISSUING_STOPPED, {"gateway": name, "why": ", ".join(why for why, _ in stops)}
    # What is to be paid for already goes by that payment.
    free = position_of(ctx.draft, giver).position - open_of(ctx.draft, giver).owed
    if amount > free:
        return ASSUME_TOO_MUCH, {"gateway": giver, "free": str(free), "needed": str(amount)}
    room = room_of(ctx.draft, ctx.params, name, ctx.time_ms).room
    if amount > room:
        return ASSUME_NO_ROOM, {"gateway": name, "room": str(room), "needed": str(amount)}
    ever = position_of(ctx.draft, name).assumed, position_of(ctx.draft, giver).assumed_away
    return (SUPPLY_LIMIT, {}) if max(ever) + amount > INT_MAX // 64 else None


def _assume(ctx: Context, name: str, giver: str, amount: int, source: bytes) -> None:
    ctx.draft.put(ASSUMED, source, Assumed(name, giver, amount))
    change_position(ctx, giver, assumed_away=amount)
    change_position(ctx, name, assumed=amount)
    for side in (name, giver):
        gateway = ctx.draft.get(GATEWAY, side)
        assert gateway is not None
        ctx.involve(gateway.operator)
    ctx.emit("position_assumed", name, giver, amount)


def apply_assume(ctx: Context, fields: Fields) -> None:
    """Take over a part of another's position; what is paid for it is between the two."""
    giver, amount = fields
    name, _ = operated_by(ctx, ctx.sender)
    fault = _why_not(ctx, name, giver, amount)
    if fault is not None:
        raise Rejected(fault[0], **fault[1])
    check_free(ctx.draft, ctx.sender)
    # From here on nothing can fail.
    _assume(ctx, name, giver, amount, ctx.object_id)


def giver_operator(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    """Who signs beside the sender: the operator of who gives."""
    row = reader.get(GATEWAY, fields[0])
    return (row.operator,) if row else ()


def why_not_assume(ctx: Context, args: Fields) -> Fault | None:
    """Only a gateway itself proposes that it assumes; the giver cannot sign, or does not."""
    name, giver, amount = args
    if ctx.sender:
        acting = ctx.draft.get(OPERATOR, ctx.sender)
        if acting is None or acting.gateway != name:
            return NOT_OPERATOR, {"gateway": name}
    row = ctx.draft.get(GATEWAY, giver)
    if row is not None and row.status not in (SUSPENDED, LEAVING):
        return GATEWAY_STATUS, {"gateway": giver, "status": row.status}
    return _why_not(ctx, name, giver, amount)


def make_assume(ctx: Context, args: Fields, source: bytes) -> None:
    """What was passed, right after `why_not_assume` has said nothing."""
    name, giver, amount = args
    _assume(ctx, name, giver, amount, source)
