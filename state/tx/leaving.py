"""How a gateway leaves: at zero, with nothing open; and how its bond comes back.

A leaving gateway has left when its position, its open redemptions, its obligations on either side
and its waiting issues are zero. That is looked at whenever its sums change; it leaves as work that
falls due right after, so that whoever changed the sums does not find another gateway underneath.
Its bond is then on its way to the operator, still liable for what it did, for the parameter's
time. Its name stays taken; its owner can join again under another. Part of the clearing family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.hashing import digest
from state.context import Context
from state.draft import Reader
from state.table import Table, text_key
from state.tx.gateways import GATEWAY, LEAVING
from state.tx.positions import position_of
from state.tx.seats import finish_leaving
from state.tx.tokens import begin_unbonding

CLEARING: Final = 11  # the family


class OpenObligations(NamedTuple):
    """A gateway's obligations that have not ended; micro-dollars of positions, not of fiat."""

    owed: int  # by it
    owing: int  # to it
    late: int  # how many of those by it have been past due


OBLIGATIONS_OPEN: Final[Table[str, OpenObligations]] = Table(
    177, "clearing/open", OpenObligations, text_key()
)


def leaving_id(name: str) -> bytes:
    """The id under which a gateway's leaving falls due."""
    return digest(b"mgs/leaving", name.encode())


def is_wound_up(reader: Reader, name: str) -> bool:
    """Whether it stands for nothing and nothing of it is open."""
    sums = position_of(reader, name)
    duties = reader.get(OBLIGATIONS_OPEN, name)
    is_open = duties is not None and (duties.owed or duties.owing)
    return not (sums.position or sums.asks or sums.waiting or is_open)


def look_at_leaving(ctx: Context, name: str) -> None:
    """Hangs on whatever changes its sums: let it leave in the next due work if it can."""
    row = ctx.draft.get(GATEWAY, name)
    if row is not None and row.status == LEAVING and is_wound_up(ctx.draft, name):
        ctx.schedule(ctx.now(CLEARING) + 1, leaving_id(name), CLEARING)


def leaving_due(ctx: Context, object_id: bytes) -> None:
    """It leaves, if that still holds; its bond begins to unbond."""
    named = {leaving_id(name): (name, row) for name, row in ctx.draft.items(GATEWAY)}
    name, row = named[object_id]
    if row.status == LEAVING and is_wound_up(ctx.draft, name):
        finish_leaving(ctx, name, object_id)
        begin_unbonding(ctx, name, row.bond)
