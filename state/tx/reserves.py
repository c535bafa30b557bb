"""Reserves and issuing: new dollars come into being against fiat that a gateway received.

Reserves are not attested here yet: until then a gateway's cap alone bounds its issuing.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.fields import Address, Amount, Hash32, Struct, gateway_name
from state.registry import EventSpec, Family, Kind
from state.tx.gateways import check_may_issue, operated_by
from state.tx.money import mint, totals_of
from state.tx.positions import (
    ISSUED_ON,
    SUPPLY_LIMIT,
    change_position,
    check_reference,
    position_of,
    use_reference,
)

CAP_EXCEEDED: Final = (1_301, "CAP_EXCEEDED")
ISSUED_MAX: Final = INT_MAX // 64  # of one gateway, ever: alone it cannot use up the counters


def apply_issue(ctx: Context, fields: Fields) -> None:
    """New dollars to a holder, against fiat that the gateway received."""
    to, amount, reference = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_may_issue(ctx.draft, name, gateway)
    check_reference(ctx, ISSUED_ON, name, reference)
    position = position_of(ctx.draft, name)
    if position.issued + amount > ISSUED_MAX or totals_of(ctx.draft).issued + amount > INT_MAX:
        raise Rejected(SUPPLY_LIMIT)
    room = gateway.cap - position.owed
    if amount > room:
        raise Rejected(CAP_EXCEEDED, gateway=name, room=str(room), needed=str(amount))
    # From here on nothing can fail.
    use_reference(ctx, ISSUED_ON, name, reference)
    change_position(ctx, name, issued=amount)
    mint(ctx, to, amount)
    ctx.emit("dollar_issued", name, to, amount, reference)


KINDS: Final = (
    Kind(
        "dollar_issue",
        Struct(to=Address(), amount=Amount(), reference=Hash32()),
        apply_issue,
        200,
        "A gateway's operator issues dollars against fiat; each reference counts once.",
    ),
)

EVENTS: Final = (
    EventSpec(
        "dollar_issued",
        Struct(gateway=gateway_name(), to=Address(), amount=Amount(), reference=Hash32()),
        "New dollars.",
    ),
)

FAMILY: Final = Family(
    number=13,
    name="reserves",
    kinds=KINDS,
    refusals=(CAP_EXCEEDED,),
    events=EVENTS,
)
