"""Clearing windows: the instants at which the claims among gateways are shared over the debts.

Law: one window is to come, and it stands in the due queue; each clears what stands open at its
instant, and announces the next. Who is in default and still owes is passed by until cured. A
window that clears nothing leaves no record.

How claims are shared is arithmetic (`netting.py`), how an obligation ends is its own affair
(`obligations.py`): a window only makes them. It reads each gateway once, so its cost is bounded by
their number. Part of the clearing family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.hashing import digest
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.gateways import GATEWAY, LEAVING, LEFT
from state.tx.leaving import CLEARING
from state.tx.netting import clear
from state.tx.obligations import cure, is_defaulted, make_obligation, net_of

WINDOWS: Final = 178  # list: windows in which something was cleared


class Window(NamedTuple):
    """A window in which something was cleared, under its id."""

    number: int
    height: int
    time_ms: int
    cleared: int  # micro-dollars
    obligations: int


class Next(NamedTuple):
    """The one row that says which window is to come."""

    number: int
    due_ms: int  # on clearing's clock


WINDOW: Final[Table[bytes, Window]] = Table(178, "clearing/window", Window, bytes_key())
NEXT: Final[Table[bytes, Next]] = Table(179, "clearing/next", Next, bytes_key(0))


def window_id(number: int) -> bytes:
    """Under which a window falls due, and is kept."""
    return digest(b"mgs/clearing", number.to_bytes(8, "big"))


def next_window(reader: Reader) -> Next:
    """The window to come."""
    row = reader.get(NEXT, b"")
    assert row is not None, "the genesis announces the first"
    return row


def announce(ctx: Context, number: int) -> None:
    """This window is to come, one length from now."""
    due_ms = ctx.now(CLEARING) + ctx.params["clearing_window_ms"]
    ctx.draft.put(NEXT, b"", Next(number, due_ms))
    ctx.schedule(due_ms, window_id(number), CLEARING)


def hold_window(ctx: Context) -> None:
    """Clear what can be cleared; at most 31 gateways have positions, so 30 obligations."""
    number = next_window(ctx.draft).number
    nets: dict[str, int] = {}
    leaving: list[str] = []
    for name, row in list(ctx.draft.items(GATEWAY)):
        if row.status == LEFT:
            continue
        net = net_of(ctx.draft, name)
        if is_defaulted(ctx.draft, name):
            if net > 0:
                continue
            cure(ctx, name)  # nothing is left that it could owe
        nets[name] = net
        if row.status == LEAVING:
            leaving.append(name)
    parts = clear(nets, wait_below=ctx.params["clearing_minimum"], never_wait=leaving)
    for place, part in enumerate(parts):
        make_obligation(ctx, number, place, part)
    cleared = sum(part.amount for part in parts)
    if parts:
        row_of_it = Window(number, ctx.height, ctx.time_ms, cleared, len(parts))
        ctx.draft.put(WINDOW, window_id(number), row_of_it)
        ctx.list_under(WINDOWS, b"", window_id(number))
        ctx.emit("clearing_held", number, cleared, len(parts))
    announce(ctx, number + 1)
