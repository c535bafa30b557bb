"""The record of a redemption, its deadlines and the ways in which it ends.

A deadline is a time on the family's clock and stands still while the holder is frozen: it is put
off by what the holder was frozen since it was set, looked at when it comes (`deadline_of`). So a
freeze costs the same however much is open. What falls due during a freeze is parked; at its end
the holder's open redemptions are walked, a few a block, and go on. Seizing walks them too.
Every ending takes the record out of the due queue and the holder's list of what is open.
Part of the redemptions family.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import digest
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, pair_key
from state.tx.accounts import freeze_of, frozen_ms
from state.tx.compliance import Seizure, seizure_after
from state.tx.gateways import GATEWAY
from state.tx.money import REDEMPTIONS, burn_all, release, release_all
from state.tx.positions import change_position

UNKNOWN_REDEMPTION: Final = (1501, "UNKNOWN_REDEMPTION")
REDEMPTION_STATUS: Final = (1502, "REDEMPTION_STATUS")
NOT_HOLDER: Final = (1503, "NOT_HOLDER")
REDEMPTION_DEADLINE: Final = (1504, "REDEMPTION_DEADLINE")

REDEEMED, ASK_FEE, DEPOSIT = 1, 2, 3  # purposes of a redemption's hold
PENDING, CLAIMED, CONTESTED = OPEN_STATUSES = ("pending", "claimed", "contested")
PAID, RETURNED, REFUSED = "paid", "returned", "refused"
EXPIRED, SEIZED = "expired", "seized"
STATUSES: Final = (*OPEN_STATUSES, PAID, RETURNED, REFUSED, EXPIRED, SEIZED)
SWEEP_STEP: Final = 64  # of a holder's open redemptions, woken or seized in one item of due work


class Redemption(NamedTuple):
    """An ask, under the txid that made it, with the terms of that time. While it is open it stands
    in the due queue at `due_ms`, or is parked.
    """

    holder: bytes
    gateway: str
    amount: int
    ask_fee: int
    deposit: int  # what a contest takes
    currency: str
    payout_hash: bytes
    quote: bytes  # its id; empty for US dollars
    fiat: int  # to be paid, in the currency's smallest unit
    status: str
    due_ms: int  # on the family's clock, as far as the holder had been frozen for `stood_ms`
    stood_ms: int
    parked: bool  # fell due while the holder was frozen; not in the due queue
    contest_ms: int
    ruling_ms: int
    ruling_votes: int  # equal ones that decide a contest
    period: int  # in which it was asked
    asked_ms: int  # block time
    closed_ms: int = 0  # block time, 0 while open
    reference: bytes = b""  # of the payment, empty before it
    reason: str = ""  # of a refusal


class Open(NamedTuple):
    """A holder's open redemption; all there is to say of it stands in the key."""


class Sweep(NamedTuple):
    """A walk over a holder's open redemptions, in the due queue until it is through."""

    holder: bytes
    after: bytes  # the last id that was looked at


REDEMPTION: Final[Table[bytes, Redemption]] = Table(
    240, "redemptions/redemption", Redemption, bytes_key()
)
# Key: (holder, redemption).
OPEN: Final[Table[tuple[bytes, bytes], Open]] = Table(
    241, "redemptions/open", Open, pair_key(bytes_key(), bytes_key())
)
SWEEP: Final[Table[bytes, Sweep]] = Table(242, "redemptions/sweep", Sweep, bytes_key())


# What holds for it now -----------------------------------------------------------------------


def _seizure_of(reader: Reader, row: Redemption) -> Seizure | None:
    return seizure_after(reader, row.holder, row.asked_ms)


def status_of(reader: Reader, row: Redemption) -> str:
    """Its status: one that was pending when its holder was seized is seized from then on, though
    the work that moves its dollars may still wait.
    """
    if row.status == PENDING and _seizure_of(reader, row) is not None:
        return SEIZED
    return row.status


def deadline_of(reader: Reader, row: Redemption, now_ms: int) -> int:
    """When it is due on the family's clock, as things stand at `now_ms`."""
    return row.due_ms + frozen_ms(reader, row.holder, now_ms) - row.stood_ms


def owner_of(reader: Reader, row: Redemption) -> bytes:
    """Who gets the dollars if they come back: the holder, or for whom they were seized."""
    seizure = _seizure_of(reader, row)
    return row.holder if seizure is None else seizure.to


def open_redemption(ctx: Context, rid: bytes, status: str) -> Redemption:
    """The redemption, in that status and before its deadline, else a refusal."""
    row = ctx.require(REDEMPTION, rid, UNKNOWN_REDEMPTION)
    found = status_of(ctx.draft, row)
    if found != status:
        raise Rejected(REDEMPTION_STATUS, status=found, needed=status)
    now_ms = ctx.now(REDEMPTIONS)
    due_ms = deadline_of(ctx.draft, row, now_ms)
    if now_ms >= due_ms:
        raise Rejected(REDEMPTION_DEADLINE, due_ms=due_ms)
    return row


def operator_of(reader: Reader, row: Redemption) -> bytes:
    """The account that acts for its gateway."""
    gateway = reader.get(GATEWAY, row.gateway)
    assert gateway is not None, "a gateway is never removed"
    return gateway.operator


# Going on ------------------------------------------------------------------------------------


def go_on(ctx: Context, rid: bytes, row: Redemption, length_ms: int) -> Redemption:
    """Its next phase begins and lasts `length_ms`; returns the row as it was written."""
    _unqueue(ctx, rid, row)
    now_ms = ctx.now(REDEMPTIONS)
    due_ms = now_ms + length_ms
    ctx.schedule(due_ms, rid, REDEMPTIONS)
    stood_ms = frozen_ms(ctx.draft, row.holder, now_ms)
    row = row._replace(due_ms=due_ms, stood_ms=stood_ms, parked=False)
    ctx.draft.put(REDEMPTION, rid, row)
    return row


def put_off(ctx: Context, rid: bytes, row: Redemption) -> bool:
    """Whether what fell due has time left: it waits for it, or is parked during a freeze."""
    now_ms = ctx.now(REDEMPTIONS)
    due_ms = deadline_of(ctx.draft, row, now_ms)
    if due_ms <= now_ms:
        return False
    freeze = freeze_of(ctx.draft, row.holder)
    if freeze is not None and freeze.is_on:
        ctx.draft.put(REDEMPTION, rid, row._replace(parked=True))
    else:
        _requeue(ctx, rid, row, due_ms)
    return True


def _requeue(ctx: Context, rid: bytes, row: Redemption, due_ms: int) -> None:
    now_ms = ctx.now(REDEMPTIONS)
    due_ms = max(due_ms, now_ms + 1)
    ctx.schedule(due_ms, rid, REDEMPTIONS)
    stood_ms = frozen_ms(ctx.draft, row.holder, now_ms)
    row = row._replace(due_ms=due_ms, stood_ms=stood_ms, parked=False)
    ctx.draft.put(REDEMPTION, rid, row)


def _unqueue(ctx: Context, rid: bytes, row: Redemption) -> None:
    if not row.parked:
        ctx.unschedule(row.due_ms, rid, REDEMPTIONS)


# Endings -------------------------------------------------------------------------------------


def _close(ctx: Context, rid: bytes, row: Redemption, status: str, reason: str = "") -> None:
    _unqueue(ctx, rid, row)
    ctx.draft.delete(OPEN, (row.holder, rid))
    closed = row._replace(status=status, parked=False, closed_ms=ctx.time_ms, reason=reason)
    ctx.draft.put(REDEMPTION, rid, closed)
    ctx.involve(row.holder)


def settle(ctx: Context, rid: bytes, row: Redemption, *, ask_fee_to: bytes) -> None:
    """Paid in fiat: burn, and the position falls. A contest's deposit goes with the ask fee."""
    amount, name = row.amount, row.gateway
    burn_all(ctx, REDEMPTIONS, rid, REDEEMED, ask_fee_to)
    _close(ctx, rid, row, PAID)
    change_position(ctx, name, asks=-amount, claimed=-amount, burned=amount)
    ctx.emit("redemption_paid", rid, row.holder, name, amount)


def give_back(
    ctx: Context, rid: bytes, row: Redemption, *, status: str, fee_to: bytes = b"", reason: str = ""
) -> None:
    """Not paid: the dollars go back with the deposit; the ask fee too, unless `fee_to` gets it."""
    amount, name = row.amount, row.gateway
    if fee_to:
        release(ctx, REDEMPTIONS, rid, ASK_FEE, fee_to, row.ask_fee)
    release_all(ctx, REDEMPTIONS, rid, owner_of(ctx.draft, row))
    _close(ctx, rid, row, status, reason)
    claimed = 0 if row.status == PENDING else amount
    change_position(ctx, name, asks=-amount, claimed=-claimed)
    ctx.emit("redemption_returned", rid, row.holder, name, amount, status)


def seize(ctx: Context, rid: bytes, row: Redemption) -> None:
    """Dollars and ask fee of a pending one go to the account that the proposal named."""
    to = owner_of(ctx.draft, row)
    release_all(ctx, REDEMPTIONS, rid, to)
    _close(ctx, rid, row, SEIZED)
    change_position(ctx, row.gateway, asks=-row.amount)
    ctx.emit("redemption_seized", rid, row.holder, to, row.gateway, row.amount)


# After a freeze or a seizure -------------------------------------------------------------------


def sweep_id(holder: bytes) -> bytes:
    """The id under which the walk over a holder's open redemptions falls due."""
    return digest(b"mgs/sweep", holder)


def begin_sweep(ctx: Context, holder: bytes) -> None:
    """Walk over the holder's open redemptions from the next block on; O(1) here and now."""
    walk = sweep_id(holder)
    if ctx.draft.get(SWEEP, walk) is None:
        if next(iter(ctx.draft.items(OPEN, holder)), None) is None:
            return
        ctx.schedule(ctx.now(REDEMPTIONS) + 1, walk, REDEMPTIONS)
    ctx.draft.put(SWEEP, walk, Sweep(holder, b""))  # one that is on its way begins again


def sweep(ctx: Context, walk: bytes) -> None:
    """The next few of a holder's open redemptions: seized ones end, parked ones go on."""
    row = ctx.draft.get(SWEEP, walk)
    assert row is not None, "what falls due is a redemption or a walk"
    holder = row.holder
    start = holder + row.after + b"\0" if row.after else holder
    found = islice(ctx.draft.items(OPEN, holder, start=start), SWEEP_STEP)
    rids = [rid for (_, rid), _ in found]
    for rid in rids:
        _wake(ctx, rid)
    if len(rids) < SWEEP_STEP:
        ctx.draft.delete(SWEEP, walk)
        return
    ctx.draft.put(SWEEP, walk, Sweep(holder, rids[-1]))
    ctx.schedule(ctx.now(REDEMPTIONS) + 1, walk, REDEMPTIONS)


def _wake(ctx: Context, rid: bytes) -> None:
    row = ctx.draft.get(REDEMPTION, rid)
    assert row is not None
    freeze = freeze_of(ctx.draft, row.holder)
    if status_of(ctx.draft, row) == SEIZED:
        seize(ctx, rid, row)
    elif row.parked and not (freeze is not None and freeze.is_on):
        _requeue(ctx, rid, row, deadline_of(ctx.draft, row, ctx.now(REDEMPTIONS)))
