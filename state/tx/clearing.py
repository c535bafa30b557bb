"""Clearing: once a window, what gateways stand for is brought back to where the fiat is.

Dollars are redeemed at any gateway. Who issued more than was redeemed at it (N above zero) holds
fiat of others; who redeemed more than it issued (N below zero) has paid for them. A window shares
the claims over the debts (`netting.py`, F3 of the design) as obligations with a due date
(`obligations.py`); gateways in default are passed by until cured. A gateway can take over a part of
another's position (`position_assume`). How one leaves stands in `leaving.py`.

Laws: each gateway's sums of settled and assumed are those of the records; what it owes and is owed
are the sums of its open obligations, none with itself; what is to end stands in the due queue.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import digest
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import DUE, Action, Context, Fault, Fields, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import Address, Amount, Bool, Hash32, Int, Struct, Text, gateway_name
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key
from state.tx.accounts import check_free
from state.tx.gateways import (
    ACTIVE,
    GATEWAY,
    GATEWAY_NOT_ACTIVE,
    ISSUING_STOPPED,
    LEAVING,
    LEFT,
    NOT_OPERATOR,
    OPERATOR,
    SUSPENDED,
    UNKNOWN_GATEWAY,
    operated_by,
    standing_of,
)
from state.tx.leaving import (
    CLEARING,
    OBLIGATIONS_OPEN,
    OpenObligations,
    is_wound_up,
    leaving_due,
    leaving_id,
    look_at_leaving,
)
from state.tx.membership import GATEWAY_STATUS
from state.tx.netting import clear
from state.tx.obligations import (
    OBLIGATION,
    OBLIGATION_DEADLINE,
    OBLIGATION_STATUS,
    OPEN,
    OVERDUE,
    PAST_DUE,
    SETTLED,
    TO_END,
    UNKNOWN_OBLIGATION,
    apply_confirm,
    apply_contest,
    apply_paid,
    apply_rule,
    cure,
    is_defaulted,
    make_obligation,
    net_of,
    obligation_due,
    open_of,
)
from state.tx.positions import (
    CENT,
    DOLLAR,
    POSITION,
    SUPPLY_LIMIT,
    change_position,
    position_of,
)
from state.tx.room import room_of

ASSUME_FROM_ITSELF: Final = (1_106, "ASSUME_FROM_ITSELF")
ASSUME_TOO_MUCH: Final = (1_107, "ASSUME_TOO_MUCH")
ASSUME_NO_ROOM: Final = (1_108, "ASSUME_NO_ROOM")

WINDOWS: Final = 178  # list: windows in which something was cleared
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


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


class Assumed(NamedTuple):
    """A part of a position that went over, under the transaction or proposal that did it."""

    gateway: str  # that stands for it from there on
    giver: str
    amount: int


WINDOW: Final[Table[bytes, Window]] = Table(178, "clearing/window", Window, bytes_key())
NEXT: Final[Table[bytes, Next]] = Table(179, "clearing/next", Next, bytes_key(0))
ASSUMED: Final[Table[bytes, Assumed]] = Table(180, "clearing/assumed", Assumed, bytes_key())


# Windows -----------------------------------------------------------------------------------


def window_id(number: int) -> bytes:
    """Under which a window falls due, and is kept."""
    return digest(b"mgs/clearing", number.to_bytes(8, "big"))


def next_window(reader: Reader) -> Next:
    """The window to come."""
    row = reader.get(NEXT, b"")
    assert row is not None, "the genesis announces the first"
    return row


def _announce(ctx: Context, number: int) -> None:
    due_ms = ctx.now(CLEARING) + ctx.params["clearing_window_ms"]
    ctx.draft.put(NEXT, b"", Next(number, due_ms))
    ctx.schedule(due_ms, window_id(number), CLEARING)


def _hold_window(ctx: Context) -> None:
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
    _announce(ctx, number + 1)


def _do_due(ctx: Context, object_id: bytes) -> None:
    """A window, an obligation's deadline, or a gateway that can leave."""
    obligation = ctx.draft.get(OBLIGATION, object_id)
    if object_id == window_id(next_window(ctx.draft).number):
        _hold_window(ctx)
    elif obligation is not None:
        obligation_due(ctx, object_id, obligation)
    else:
        leaving_due(ctx, object_id)


def _apply_genesis(ctx: Context, _genesis: Genesis) -> None:
    _announce(ctx, 0)


# Assuming ----------------------------------------------------------------------------------


def _why_not_assume(ctx: Context, name: str, giver: str, amount: int) -> Fault | None:
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
    fault = _why_not_assume(ctx, name, giver, amount)
    if fault is not None:
        raise Rejected(fault[0], **fault[1])
    check_free(ctx.draft, ctx.sender)
    # From here on nothing can fail.
    _assume(ctx, name, giver, amount, ctx.object_id)


def _giver(reader: Reader, fields: Fields) -> tuple[bytes, ...]:
    row = reader.get(GATEWAY, fields[0])
    return (row.operator,) if row else ()


def _why_not_make_assume(ctx: Context, args: Fields) -> Fault | None:
    """Only a gateway itself proposes that it assumes; the giver cannot sign, or does not."""
    name, giver, amount = args
    if ctx.sender:
        acting = ctx.draft.get(OPERATOR, ctx.sender)
        if acting is None or acting.gateway != name:
            return NOT_OPERATOR, {"gateway": name}
    row = ctx.draft.get(GATEWAY, giver)
    if row is not None and row.status not in (SUSPENDED, LEAVING):
        return GATEWAY_STATUS, {"gateway": giver, "status": row.status}
    return _why_not_assume(ctx, name, giver, amount)


def _make_assume(ctx: Context, args: Fields, source: bytes) -> None:
    name, giver, amount = args
    _assume(ctx, name, giver, amount, source)


# Laws --------------------------------------------------------------------------------------


def _check_obligations(reader: Reader) -> str | None:
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


def _check_positions(reader: Reader) -> str | None:
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


def _check_queue(reader: Reader) -> str | None:
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


# The family --------------------------------------------------------------------------------

_ID: Final = Hash32()
_NAME: Final = gateway_name()
_TIME: Final = Int(0, INT_MAX)
_REASON: Final = Text(MEMO_BYTES_MAX)
_PAIR: Final = {"debtor": _NAME, "creditor": _NAME}

KINDS: Final = (
    Kind(
        "obligation_paid",
        Struct(obligation=_ID, reference=Hash32()),
        apply_paid,
        200,
        "The debtor's operator says that the fiat was paid.",
        ends=True,
    ),
    Kind(
        "obligation_confirm",
        Struct(obligation=_ID),
        apply_confirm,
        200,
        "The creditor's operator confirms that the fiat arrived.",
        ends=True,
    ),
    Kind(
        "obligation_contest",
        Struct(obligation=_ID, reason=_REASON),
        apply_contest,
        200,
        "The creditor's operator says that no fiat came; attestors rule.",
        ends=True,
    ),
    Kind(
        "obligation_rule",
        Struct(obligation=_ID, creditor=Bool()),
        apply_rule,
        200,
        "An attestor says who is right: the creditor, or the debtor.",
        ends=True,
    ),
    Kind(
        "position_assume",
        Struct(**{"from": _NAME}, amount=Amount()),
        apply_assume,
        300,
        "A gateway takes over a part of another's position, whose operator signs too.",
        cosigners=_giver,
    ),
)

EVENTS: Final = (
    EventSpec(
        "clearing_held",
        Struct(window=_TIME, cleared=Amount(), obligations=Int(1, INT_MAX)),
        "A window cleared something.",
    ),
    EventSpec(
        "obligation_made",
        Struct(obligation=_ID, **_PAIR, amount=Amount(), fiat=Amount(), due_ms=_TIME),
        "One gateway has to pay another; the fiat with its margin, in micro-dollars.",
    ),
    EventSpec(
        "obligation_claimed",
        Struct(obligation=_ID, gateway=_NAME, reference=Hash32(), due_ms=_TIME),
        "The debtor says that it has paid; silence until then confirms.",
    ),
    EventSpec(
        "obligation_contested",
        Struct(obligation=_ID, gateway=_NAME, reason=_REASON, due_ms=_TIME),
        "The creditor says that no fiat came; attestors have until then.",
    ),
    EventSpec(
        "obligation_ruled",
        Struct(obligation=_ID, attestor=Address(), creditor=Bool()),
        "An attestor said who is right.",
    ),
    EventSpec(
        "obligation_settled",
        Struct(obligation=_ID, **_PAIR, amount=Amount()),
        "Paid: both positions moved.",
    ),
    EventSpec(
        "obligation_overdue",
        Struct(obligation=_ID, **_PAIR, lapse_ms=_TIME),
        "Past its due date: the debtor may not issue.",
    ),
    EventSpec(
        "obligation_lapsed",
        Struct(obligation=_ID, **_PAIR, amount=Amount(), cut=_TIME),
        "Never paid: the claim is back, the debtor in default; what its bond lost, in micro-MGS.",
    ),
    EventSpec("gateway_cured", Struct(gateway=_NAME), "Windows count it again."),
    EventSpec(
        "position_assumed",
        Struct(gateway=_NAME, giver=_NAME, amount=Amount()),
        "A gateway stands for a part of another's position from here on.",
    ),
)

FAMILY: Final = Family(
    number=CLEARING,
    name="clearing",
    kinds=KINDS,
    tables=(OBLIGATION, OBLIGATIONS_OPEN, WINDOW, NEXT, ASSUMED),
    refusals=(
        UNKNOWN_OBLIGATION, OBLIGATION_STATUS, OBLIGATION_DEADLINE, ASSUME_FROM_ITSELF,
        ASSUME_TOO_MUCH, ASSUME_NO_ROOM,
    ),
    params=(
        ParamSpec(
            "clearing_window_ms", _DAY_MS, _HOUR_MS, 7 * _DAY_MS,
            "live time from one window to the next", is_time=True,
        ),
        ParamSpec(
            "clearing_minimum", 100 * DOLLAR, 0, 10_000 * DOLLAR,
            "a smaller claim waits for the next window",
        ),
        ParamSpec("clearing_margin_bps", 5, 0, 100, "what the debtor pays beyond the amount"),
        ParamSpec(
            "obligation_due_ms", 3 * _DAY_MS, _DAY_MS, 14 * _DAY_MS,
            "live time in which an obligation is to be paid", is_time=True,
        ),
        ParamSpec(
            "obligation_grace_ms", 7 * _DAY_MS, _DAY_MS, 30 * _DAY_MS,
            "live time after which what is past due lapses", is_time=True,
        ),
        ParamSpec(
            "obligation_contest_ms", 3 * _DAY_MS, _DAY_MS, 14 * _DAY_MS,
            "live time after which a creditor's silence confirms", is_time=True,
        ),
        ParamSpec(
            "obligation_rule_ms", 14 * _DAY_MS, _DAY_MS, 30 * _DAY_MS,
            "live time that attestors have to rule on a contest", is_time=True,
        ),
        ParamSpec(
            "default_bond_bp", 1_000, 0, 10_000,
            "share of its bond that a debtor loses to the creditor for each lapsed obligation",
        ),
    ),
    events=EVENTS,
    laws=(
        Law("obligations", _check_obligations),
        Law("positions", _check_positions),
        Law("queue", _check_queue),
    ),
    genesis=_apply_genesis,
    due=_do_due,
    hooks={
        "position_changed": look_at_leaving,
        "gateway_leaving": look_at_leaving,
        "gateway_cleared": cure,
    },
    actions={
        "assume": Action(
            Struct(gateway=_NAME, **{"from": _NAME}, amount=Amount()),
            _why_not_make_assume,
            _make_assume,
        ),
    },
)  # fmt: skip
