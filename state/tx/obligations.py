"""Obligations: what one gateway has to pay another in fiat, and how that ends.

A clearing window makes them. Until its due date an obligation is *open*; past it *overdue*, and
the debtor may not issue; a grace later it has *lapsed*. The debtor marks it paid with the hash of
its reference: *claimed*. The creditor confirms, or contests within its time (*contested*, attestors
rule); silence confirms. *Settled*, both positions move. Part of the clearing family.

Marking what was not paid buys nothing: once ruled for the creditor, the dates are those from
before the claim, and what lies beyond them happens at once. Where the attestors said nothing in
their time, who says that he paid has not shown it, but nobody loses a bond because others slept:
the obligation is to be paid again, with a grace of its own from there.

| from | by | to |
| --- | --- | --- |
| open, overdue | debtor: paid | claimed |
| open | due date | overdue |
| overdue | grace over | lapsed |
| claimed | creditor: confirm; contest time over | settled |
| claimed | creditor: contest | contested |
| contested | creditor: confirm; k attestors for the debtor | settled |
| contested | k attestors for the creditor; ruling time over | open, overdue or lapsed |
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import digest
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.draft import Reader
from state.table import Table, bytes_key
from state.tx.accounts import is_linked
from state.tx.gateways import (
    ACTIVE,
    ATTESTOR,
    ATTESTOR_LINKED,
    GATEWAY,
    NOT_ATTESTOR,
    NOT_OPERATOR,
    Gateway,
    allow_issuing,
    is_listed,
    operated_by,
    standing_of,
    stop_issuing,
)
from state.tx.leaving import CLEARING, OBLIGATIONS_OPEN, OpenObligations, look_at_leaving
from state.tx.netting import Part
from state.tx.positions import (
    ASKED_MAX,
    CENT,
    PAID_ON,
    SUPPLY_LIMIT,
    change_position,
    check_reference,
    position_of,
    use_reference,
)
from state.tx.seats import others_active, suspend_now
from state.tx.tokens import liable_bond, slash_bond

UNKNOWN_OBLIGATION: Final = (1_101, "UNKNOWN_OBLIGATION")
OBLIGATION_STATUS: Final = (1_102, "OBLIGATION_STATUS")
OBLIGATION_DEADLINE: Final = (1_103, "OBLIGATION_DEADLINE")

OPEN, OVERDUE, CLAIMED, CONTESTED = "open", "overdue", "claimed", "contested"
SETTLED, LAPSED = "settled", "lapsed"
TO_END: Final = (OPEN, OVERDUE, CLAIMED, CONTESTED)
# Why a gateway may not issue: something is past due; something has lapsed and it is not cured.
PAST_DUE, DEFAULTED = "overdue", "defaulted"
OF_GATEWAY, ALL_OBLIGATIONS = 176, 177  # lists: of each side; all


class Obligation(NamedTuple):
    """What a window made, under its own id. While it is to end it stands in the due queue."""

    window: int
    debtor: str
    creditor: str
    amount: int  # micro-dollars: by so much both positions move
    fiat: int  # micro-dollars, whole cents: what the debtor pays, margin included
    status: str
    due_ms: int  # on clearing's clock: pay, then lapse, confirm or contest, rule
    pay_by_ms: int  # its due date, whatever happened since
    grace_ms: int  # these five as they were when it was made
    contest_ms: int
    rule_ms: int
    needed: int  # attestors who have to agree
    bond_bp: int  # of what the debtor answers with, should it lapse
    is_late: bool  # it has been past due, and has not ended
    made_ms: int  # block time
    closed_ms: int  # block time, 0 until it has ended
    reference: bytes  # of the payment last claimed, empty before
    reason: str  # of the contest
    rulings: tuple[tuple[bytes, bool], ...]  # (attestor, for the creditor?), rising


OBLIGATION: Final[Table[bytes, Obligation]] = Table(
    176, "clearing/obligation", Obligation, bytes_key()
)


def fiat_of(amount: int, margin_bps: int) -> int:
    """What is paid for `amount`: whole cents, rounded up, and the margin, rounded up too."""
    cents = -(-amount // CENT)
    margin = -(-cents * margin_bps // 10_000)
    return min((cents + margin) * CENT, INT_MAX // CENT * CENT)


def open_of(reader: Reader, name: str) -> OpenObligations:
    """What a gateway has to pay, and has to receive."""
    return reader.get(OBLIGATIONS_OPEN, name) or OpenObligations(0, 0, 0)


def net_of(reader: Reader, name: str) -> int:
    """N of F3: position less what is to be paid for it, plus what is to come."""
    sums = open_of(reader, name)
    return position_of(reader, name).position - sums.owed + sums.owing


def is_defaulted(reader: Reader, name: str) -> bool:
    """Whether windows pass it by."""
    return DEFAULTED in dict(standing_of(reader, name).stops)


# Movers ------------------------------------------------------------------------------------


def _add_open(ctx: Context, name: str, *, owed: int = 0, owing: int = 0, late: int = 0) -> None:
    before = open_of(ctx.draft, name)
    after = OpenObligations(before.owed + owed, before.owing + owing, before.late + late)
    assert min(after) >= 0
    ctx.draft.put(OBLIGATIONS_OPEN, name, after)
    if late > 0:  # again, where governance has taken the stop back in between
        stop_issuing(ctx, name, PAST_DUE)
    elif late < 0 and after.late == 0:
        allow_issuing(ctx, name, PAST_DUE)


def make_obligation(ctx: Context, window: int, place: int, part: Part) -> None:
    """One part of a window's clearing, to be paid within the parameter's time."""
    oid = digest(b"mgs/obligation", window.to_bytes(8, "big") + place.to_bytes(2, "big"))
    params = ctx.params
    due_ms = ctx.now(CLEARING) + params["obligation_due_ms"]
    row = Obligation(
        window=window,
        debtor=part.debtor,
        creditor=part.creditor,
        amount=part.amount,
        fiat=fiat_of(part.amount, params["clearing_margin_bps"]),
        status=OPEN,
        due_ms=due_ms,
        pay_by_ms=due_ms,
        grace_ms=params["obligation_grace_ms"],
        contest_ms=params["obligation_contest_ms"],
        rule_ms=params["obligation_rule_ms"],
        needed=params["attestors_needed"],
        bond_bp=params["default_bond_bp"],
        is_late=False,
        made_ms=ctx.time_ms,
        closed_ms=0,
        reference=b"",
        reason="",
        rulings=(),
    )
    ctx.draft.put(OBLIGATION, oid, row)
    ctx.schedule(due_ms, oid, CLEARING)
    _add_open(ctx, part.debtor, owed=part.amount)
    _add_open(ctx, part.creditor, owing=part.amount)
    for name in part[:2]:
        ctx.list_under(OF_GATEWAY, name.encode(), oid)
    ctx.list_under(ALL_OBLIGATIONS, b"", oid)
    _involve_both(ctx, row)
    ctx.emit("obligation_made", oid, row.debtor, row.creditor, row.amount, row.fiat, due_ms)


def _move_on(ctx: Context, oid: bytes, row: Obligation, status: str, due_ms: int) -> Obligation:
    """Give it its next status and deadline; the last one has gone from the queue."""
    row = row._replace(status=status, due_ms=due_ms)
    ctx.draft.put(OBLIGATION, oid, row)
    ctx.schedule(due_ms, oid, CLEARING)
    _involve_both(ctx, row)
    return row


def _close(ctx: Context, oid: bytes, row: Obligation, status: str) -> None:
    closed = row._replace(status=status, closed_ms=ctx.time_ms, is_late=False)
    ctx.draft.put(OBLIGATION, oid, closed)
    _add_open(ctx, row.debtor, owed=-row.amount, late=-int(row.is_late))
    _add_open(ctx, row.creditor, owing=-row.amount)
    _involve_both(ctx, row)


def _settle(ctx: Context, oid: bytes, row: Obligation) -> None:
    """Paid: the debtor stands for less, the creditor for more."""
    _close(ctx, oid, row, SETTLED)
    change_position(ctx, row.debtor, settled_out=row.amount)
    change_position(ctx, row.creditor, settled_in=row.amount)
    ctx.emit("obligation_settled", oid, row.debtor, row.creditor, row.amount)


def _is_overdue(ctx: Context, oid: bytes, row: Obligation, lapse_ms: int) -> None:
    """Past its due date: the debtor may not issue until it has paid."""
    if not row.is_late:
        _add_open(ctx, row.debtor, late=1)
        ctx.emit("obligation_overdue", oid, row.debtor, row.creditor, lapse_ms)
    _move_on(ctx, oid, row._replace(is_late=True), OVERDUE, lapse_ms)


def _back_to_debtor(ctx: Context, oid: bytes, row: Obligation, *, grace_from_ms: int) -> None:
    """Not paid after all: where it would stand had nobody claimed otherwise."""
    now_ms = ctx.now(CLEARING)
    lapse_ms = grace_from_ms + row.grace_ms
    if now_ms < row.pay_by_ms:
        _move_on(ctx, oid, row, OPEN, row.pay_by_ms)
    elif now_ms < lapse_ms:
        _is_overdue(ctx, oid, row, lapse_ms)
    else:
        _lapse(ctx, oid, row)


def _lapse(ctx: Context, oid: bytes, row: Obligation) -> None:
    """Never paid: the claim is the creditor's again, and the debtor in default."""
    name = row.debtor
    _close(ctx, oid, row, LAPSED)
    cut = liable_bond(ctx.draft, name) * row.bond_bp // 10_000
    slash_bond(ctx, name, cut, to=_gateway(ctx, row.creditor).operator, to_amount=cut)
    ctx.emit("obligation_lapsed", oid, name, row.creditor, row.amount, cut)
    stop_issuing(ctx, name, DEFAULTED)
    gateway = _gateway(ctx, name)
    if gateway.status == ACTIVE and others_active(ctx.draft, name):  # somebody has to govern
        suspend_now(ctx, name, gateway, oid)
    for side in (name, row.creditor):
        look_at_leaving(ctx, side)


def cure(ctx: Context, name: str) -> None:
    """Windows count it again. Nothing happens where it is not in default."""
    if is_defaulted(ctx.draft, name):
        allow_issuing(ctx, name, DEFAULTED)
        ctx.emit("gateway_cured", name)


def obligation_due(ctx: Context, oid: bytes, row: Obligation) -> None:
    """What its deadline brings."""
    match row.status:
        case "open":
            lapse_ms = max(row.pay_by_ms + row.grace_ms, ctx.now(CLEARING) + 1)
            _is_overdue(ctx, oid, row, lapse_ms)
        case "overdue":
            _lapse(ctx, oid, row)
        case "claimed":
            _settle(ctx, oid, row)
        case _:
            assert row.status == CONTESTED
            _back_to_debtor(ctx, oid, row, grace_from_ms=ctx.now(CLEARING))


def _gateway(ctx: Context, name: str) -> Gateway:
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None, "a gateway stays on record for ever"
    return gateway


def _involve_both(ctx: Context, row: Obligation) -> None:
    for name in (row.debtor, row.creditor):
        ctx.involve(_gateway(ctx, name).operator)


# Kinds -------------------------------------------------------------------------------------


def _obligation(ctx: Context, oid: bytes, *statuses: str) -> Obligation:
    """The obligation, in one of these statuses and before its deadline, else a refusal."""
    row = ctx.require(OBLIGATION, oid, UNKNOWN_OBLIGATION)
    if row.status not in statuses:
        raise Rejected(OBLIGATION_STATUS, status=row.status, needed=" or ".join(statuses))
    if ctx.now(CLEARING) >= row.due_ms:
        raise Rejected(OBLIGATION_DEADLINE, due_ms=row.due_ms)
    return row


def _check_side(ctx: Context, name: str) -> None:
    """`NOT_OPERATOR` unless the sender acts for this gateway, whatever its status."""
    acting, _ = operated_by(ctx, ctx.sender)
    if acting != name:
        raise Rejected(NOT_OPERATOR, gateway=name)


def apply_paid(ctx: Context, fields: Fields) -> None:
    """The debtor says that it has paid the fiat; the creditor has its time to answer."""
    oid, reference = fields
    row = _obligation(ctx, oid, OPEN, OVERDUE)
    name = row.debtor
    _check_side(ctx, name)
    check_reference(ctx, PAID_ON, name, reference)
    if position_of(ctx.draft, name).fiat_out + row.fiat > INT_MAX - ASKED_MAX:
        raise Rejected(SUPPLY_LIMIT)
    # From here on nothing can fail.
    use_reference(ctx, PAID_ON, name, reference)
    ctx.unschedule(row.due_ms, oid, CLEARING)
    due_ms = ctx.now(CLEARING) + row.contest_ms
    _move_on(ctx, oid, row._replace(reference=reference), CLAIMED, due_ms)
    change_position(ctx, name, fiat_out=row.fiat)
    ctx.emit("obligation_claimed", oid, name, reference, due_ms)


def apply_confirm(ctx: Context, fields: Fields) -> None:
    """The creditor has the fiat; it may find so after contesting too."""
    (oid,) = fields
    row = _obligation(ctx, oid, CLAIMED, CONTESTED)
    _check_side(ctx, row.creditor)
    # From here on nothing can fail.
    ctx.unschedule(row.due_ms, oid, CLEARING)
    _settle(ctx, oid, row)


def apply_contest(ctx: Context, fields: Fields) -> None:
    """The creditor says that no fiat came: attestors look at both banks' records."""
    oid, reason = fields
    row = _obligation(ctx, oid, CLAIMED)
    _check_side(ctx, row.creditor)
    # From here on nothing can fail.
    ctx.unschedule(row.due_ms, oid, CLEARING)
    due_ms = ctx.now(CLEARING) + row.rule_ms
    _move_on(ctx, oid, row._replace(reason=reason, rulings=()), CONTESTED, due_ms)
    ctx.emit("obligation_contested", oid, row.creditor, reason, due_ms)


def apply_rule(ctx: Context, fields: Fields) -> None:
    """An attestor says who is right; k of those named today who agree decide."""
    oid, for_creditor = fields
    if not is_listed(ctx.draft, ATTESTOR, ctx.sender):
        raise Rejected(NOT_ATTESTOR)
    row = _obligation(ctx, oid, CONTESTED)
    sides = {name: _gateway(ctx, name).operator for name in (row.debtor, row.creditor)}
    others = [other for other, _ in row.rulings if other != ctx.sender]
    # Asked once for all of them: hardly ever is anybody linked, and the sender is read once so.
    if is_linked(ctx.draft, ctx.sender, *sides.values(), *others):
        for name, operator in sides.items():
            if is_linked(ctx.draft, ctx.sender, operator):
                raise Rejected(ATTESTOR_LINKED, gateway=name)
        raise Rejected(ATTESTOR_LINKED)
    # From here on nothing can fail.
    rulings = {**dict(row.rulings), ctx.sender: for_creditor}
    row = row._replace(rulings=tuple(sorted(rulings.items())))
    ctx.emit("obligation_ruled", oid, ctx.sender, for_creditor)
    agreeing = sum(
        side == for_creditor and is_listed(ctx.draft, ATTESTOR, attestor)
        for attestor, side in row.rulings
    )
    if agreeing < row.needed:
        ctx.draft.put(OBLIGATION, oid, row)
        _involve_both(ctx, row)
        return
    ctx.unschedule(row.due_ms, oid, CLEARING)
    if for_creditor:
        _back_to_debtor(ctx, oid, row, grace_from_ms=row.pay_by_ms)
    else:
        _settle(ctx, oid, row)
