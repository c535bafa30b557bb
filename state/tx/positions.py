"""Positions: what each gateway stands for, and the fiat references that were used.

The records that reserves, redemptions and clearing have in common. Names are those of F1 and F2
of the design. A position is changed by `change_position`, which tells whoever hangs on the hook
`position_changed`, and by the end of a period. Part of the dollar family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key, text_key

REFERENCE_USED: Final = (102, "REFERENCE_USED")
SUPPLY_LIMIT: Final = (104, "SUPPLY_LIMIT")
CENT: Final = 10_000  # micro-dollars
DOLLAR: Final = 1_000_000
ISSUED_ON, PAID_ON = 1, 2  # what a reference was used for
# What can ever be asked of one gateway in redemptions: the same dollars, asked and refused in a
# circle, must not run over. As much again is left for what it pays in fiat by clearing.
ASKED_MAX: Final = INT_MAX // 2


class Position(NamedTuple):
    """A gateway's sums in micro-dollars. `asks`, `claimed` and `waiting` rise and fall, `at_once`
    begins anew with each period; the others only grow.
    """

    issued: int
    burned: int  # by redeeming
    asks: int  # open redemptions, claimed ones included
    claimed: int  # marked paid, not yet burned
    fiat_out: int  # O of F1: what was marked paid, for ever
    settled_out: int  # clearing: as debtor, and as creditor
    settled_in: int
    assumed_away: int  # to others, from others
    assumed: int
    waiting: int  # Q of F1: issues that wait for their time
    asked: int  # what was ever asked of it in redemptions
    at_once: int  # issued without waiting in the running period

    @property
    def position(self) -> int:
        """P: what the gateway stands for."""
        return (
            self.issued - self.burned - self.settled_out + self.settled_in
            - self.assumed_away + self.assumed
        )  # fmt: skip

    @property
    def owed(self) -> int:
        """L: position less what was marked paid already, never below zero."""
        return max(0, self.position - self.claimed)


class Reference(NamedTuple):
    """A fiat reference that was used, and by which transaction."""

    txid: bytes


POSITION: Final[Table[str, Position]] = Table(19, "dollar/position", Position, text_key())
# Key: ((what for, reference), gateway): a reference is used once for each purpose and gateway.
REFERENCE: Final[Table[tuple[tuple[int, bytes], str], Reference]] = Table(
    20,
    "dollar/reference",
    Reference,
    pair_key(pair_key(int_key(1), bytes_key()), text_key()),
)
_PLACE: Final = {field: place for place, field in enumerate(Position._fields)}
NO_POSITION: Final = Position(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def position_of(reader: Reader, gateway: str) -> Position:
    """The gateway's sums."""
    return reader.get(POSITION, gateway) or NO_POSITION


def change_position(ctx: Context, name: str, **by: int) -> Position:
    """Add to a gateway's sums, by name; returns them as they are then."""
    sums = list(position_of(ctx.draft, name))
    for field, more in by.items():
        place = _PLACE[field]
        sums[place] += more
        assert sums[place] >= 0, "no sum of a position falls below zero"
    after = Position._make(sums)
    ctx.draft.put(POSITION, name, after)
    ctx.fire("position_changed", name)
    return after


def begin_period(ctx: Context, name: str) -> None:
    """Nothing was issued at once in the new period."""
    sums = position_of(ctx.draft, name)
    if sums.at_once:
        ctx.draft.put(POSITION, name, sums._replace(at_once=0))


def use_reference(ctx: Context, purpose: int, gateway: str, reference: bytes) -> None:
    ctx.draft.put(REFERENCE, ((purpose, reference), gateway), Reference(ctx.object_id))


def check_reference(ctx: Context, purpose: int, gateway: str, reference: bytes) -> None:
    if ctx.draft.get(REFERENCE, ((purpose, reference), gateway)) is not None:
        raise Rejected(REFERENCE_USED, gateway=gateway)
