"""What always holds of clearing, read over the whole state: obligations, positions, the due queue.

Each gateway's sums of settled and assumed are those of the records; what it owes and is owed are
the sums of its open obligations, none with itself; what is to end stands in the due queue. Nothing
here is called while a block is executed. Part of the clearing family.
"""

from __future__ import annotations

from typing import Final

from state.context import DUE, is_scheduled
from state.draft import Reader
from state.registry import Law
from state.tx.assuming import ASSUMED
from state.tx.gateways import GATEWAY, LEAVING, LEFT, standing_of
from state.tx.leaving import CLEARING, OBLIGATIONS_OPEN, OpenObligations, is_wound_up, leaving_id
from state.tx.obligations import OBLIGATION, OPEN, OVERDUE, PAST_DUE, SETTLED, TO_END
from state.tx.positions import CENT, POSITION
from state.tx.windows import WINDOW, next_window, window_id


def check_obligations(reader: Reader) -> str | None:
    """Sums by gateway and window, and the due queue, from the obligations alone."""
    sums: dict[str, OpenObligations] = {}
    windows: dict[int, list[int]] = {}
    for oid, row in reader.items(OBLIGATION):
        who = f"obligation {oid.hex()}"
        if row.debtor == row.creditor or row.amount <= 0:
            return f"{who} is with itself or of nothing"
        if row.fiat < row.amount or row.fiat % CENT:
            return f"{who}: the fiat is less than the amount, or no whole cents"
        windows.setdefault(row.window, []).append(row.amount)
        if row.status not in TO_END:
            if row.is_late or not row.closed_ms:
                return f"{who} has ended and is late, or not closed"
            continue
        if not is_scheduled(reader, CLEARING, row.due_ms, oid):
            return f"{who} is {row.status} and not in the due queue"
        if row.status in (OPEN, OVERDUE) and row.is_late != (row.status == OVERDUE):
            return f"{who} is {row.status} and late: {row.is_late}"
        for name, owed, owing in ((row.debtor, row.amount, 0), (row.creditor, 0, row.amount)):
            had = sums.get(name, OpenObligations(0, 0, 0))
            late = had.late + (row.is_late and owed > 0)
            sums[name] = OpenObligations(had.owed + owed, had.owing + owing, late)
    for name, kept in reader.items(OBLIGATIONS_OPEN):
        if kept != sums.pop(name, OpenObligations(0, 0, 0)):
            return f"what {name} owes and is owed is not the sum of its obligations"
        if PAST_DUE in dict(standing_of(reader, name).stops) and not kept.late:
            return f"{name} is stopped for being overdue, and nothing of it is"
    for wid, window in reader.items(WINDOW):
        amounts = windows.pop(window.number, [])
        if wid != window_id(window.number):
            return f"window {window.number} stands under another's id"
        if (window.cleared, window.obligations) != (sum(amounts), len(amounts)):
            return f"window {window.number} is not the sum of its obligations"
    if sums or windows:
        return f"obligations without a sum: {sorted(sums)}, without a window: {sorted(windows)}"
    return None


def check_positions(reader: Reader) -> str | None:
    """What was settled and assumed, by gateway, from the records alone."""
    sums: dict[tuple[str, str], int] = {}
    for _, row in reader.items(OBLIGATION):
        if row.status == SETTLED:
            for key in ((row.debtor, "settled_out"), (row.creditor, "settled_in")):
                sums[key] = sums.get(key, 0) + row.amount
    for _, assumed in reader.items(ASSUMED):
        for key in ((assumed.gateway, "assumed"), (assumed.giver, "assumed_away")):
            sums[key] = sums.get(key, 0) + assumed.amount
    for name, position in reader.items(POSITION):
        for field in ("settled_out", "settled_in", "assumed", "assumed_away"):
            if getattr(position, field) != sums.pop((name, field), 0):
                return f"position of {name}: {field} is not the sum of its records"
    return f"no position for {sorted(sums)[0]}" if sums else None


def check_queue(reader: Reader) -> str | None:
    """The window to come and whoever can leave stand in the due queue."""
    following = next_window(reader)
    if not is_scheduled(reader, CLEARING, following.due_ms, window_id(following.number)):
        return f"window {following.number} is not in the due queue"
    queued = [object_id for (_, object_id), _ in reader.items(DUE, bytes([CLEARING]))]
    for name, gateway in reader.items(GATEWAY):
        is_done = gateway.status == LEAVING and is_wound_up(reader, name)
        if is_done and leaving_id(name) not in queued:
            return f"gateway {name} can leave and does not"
        if gateway.status == LEFT and not (is_wound_up(reader, name) and gateway.bond == 0):
            return f"gateway {name} has left and something of it is open"
    return None


LAWS: Final = (
    Law("obligations", check_obligations),
    Law("positions", check_positions),
    Law("queue", check_queue),
)
