"""Attesting reserves and announcing withdrawals: what room is counted on. See `room.py`.

An attestation says what a gateway held at the end of a period, an instant that is the same for all.
It is fiat in the bank, less what the chain held as marked paid by that instant and had not left
the bank yet: otherwise a gateway that marks without paying would have its debt and its fiat both
counted in its favour. An attestor corrects itself only downwards, and is never one with a gateway,
nor with another attestor of the same instant.

The chain expects what it counted on a moment before: the amount that counted last, less what was
marked paid since and less the withdrawals announced since. Fiat that issuing brings in is not
expected: it may have been in the bank when the instant came, and room never relied on it. If what
counts now is more than 1 % below, issuing stops until governance clears it. Part of the reserves
family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import address_of
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.table import Table, bytes_key
from state.tx.accounts import is_linked
from state.tx.gateways import (
    ATTESTOR,
    ATTESTOR_LINKED,
    GATEWAY,
    NOT_ATTESTOR,
    NOT_OPERATOR,
    UNKNOWN_GATEWAY,
    Gateway,
    is_listed,
    operated_by,
    stop_issuing,
)
from state.tx.positions import position_of
from state.tx.room import (
    ATTESTED,
    INSTANTS_KEPT,
    RESERVE,
    Attested,
    Entry,
    Reserve,
    announced_after,
    derive_counted,
    reserve_of,
    room_of,
)
from state.tx.trials import trial_at

UNKNOWN_INSTANT: Final = (1_304, "UNKNOWN_INSTANT")
BAD_EXPIRY: Final = (1_305, "BAD_EXPIRY")
NOT_DOWNWARDS: Final = (1_306, "NOT_DOWNWARDS")
BAD_WITHDRAWAL_TIME: Final = (1_307, "BAD_WITHDRAWAL_TIME")
TOO_MANY_WITHDRAWALS: Final = (1_308, "TOO_MANY_WITHDRAWALS")
ROOM_EXCEEDED: Final = (1_301, "ROOM_EXCEEDED")

ATTESTATIONS: Final = 208  # list of attestations by gateway
SHORTFALL: Final = "shortfall"  # why a gateway may not issue
WITHDRAWALS_MAX: Final = 64  # different times at once; more at one time are one
WITHDRAWAL_AHEAD_MS: Final = 31 * 86_400_000  # later than that, an attestation comes first
_TOLERATED: Final = 100  # one part in so many may be missing


class Attestation(NamedTuple):
    """What an attestor said, under the txid; a correction is a record of its own."""

    attestor: bytes
    gateway: str
    instant_ms: int
    amount: int
    expires_ms: int
    evidence: bytes  # hash
    given_ms: int  # block time


ATTESTATION: Final[Table[bytes, Attestation]] = Table(
    208, "reserves/attestation", Attestation, bytes_key()
)


def apply_attest(ctx: Context, fields: Fields) -> None:
    """An attestor says what a gateway held at the end of a period."""
    name, instant_ms, amount, expires_ms, evidence = fields
    if not is_listed(ctx.draft, ATTESTOR, ctx.sender):
        raise Rejected(NOT_ATTESTOR)
    ctx.require(GATEWAY, name, UNKNOWN_GATEWAY, gateway=name)
    reserve = reserve_of(ctx.draft, name)
    before = _known(ctx, name, instant_ms, reserve)
    _check_unlinked(ctx, before)
    highest = instant_ms + ctx.params["attestation_ms"]
    if not ctx.time_ms < expires_ms <= highest:
        raise Rejected(BAD_EXPIRY, lowest=ctx.time_ms + 1, highest=highest)
    entries = {entry.attestor: entry for entry in before.entries}
    said = entries.get(ctx.sender)
    if said is not None and not (
        amount <= said.amount
        and expires_ms <= said.expires_ms
        and (amount, expires_ms) != (said.amount, said.expires_ms)
    ):
        raise Rejected(NOT_DOWNWARDS, amount=str(said.amount), expires_ms=said.expires_ms)
    # From here on nothing can fail.
    record = Attestation(ctx.sender, name, instant_ms, amount, expires_ms, evidence, ctx.time_ms)
    ctx.draft.put(ATTESTATION, ctx.object_id, record)
    entries[ctx.sender] = Entry(ctx.sender, amount, expires_ms, ctx.object_id)
    row = Attested(before.fiat_out, _in_order(entries))
    kept = _keep(ctx, name, reserve, instant_ms, row)
    ctx.list_under(ATTESTATIONS, name.encode(), ctx.object_id)
    ctx.emit("reserve_attested", name, ctx.sender, instant_ms, amount, expires_ms)
    counted = _take_up(ctx, name, kept)
    if counted is not reserve:
        ctx.draft.put(RESERVE, name, counted)


def _in_order(entries: dict[bytes, Entry]) -> tuple[Entry, ...]:
    return tuple([entries[attestor] for attestor in sorted(entries)])


def _known(ctx: Context, name: str, instant_ms: int, reserve: Reserve) -> Attested:
    """What was said for that instant; nothing yet if it is one that may be attested."""
    known = ctx.draft.get(ATTESTED, (instant_ms, name))
    if known is not None and known.entries[0].attestor != b"":  # nobody adds to the genesis
        return known
    trial = trial_at(ctx.draft, name, instant_ms)
    if trial is None or _dropped(reserve, instant_ms) == instant_ms:
        raise Rejected(UNKNOWN_INSTANT, instant_ms=instant_ms)
    return Attested(trial.sums.fiat_out, ())


def _dropped(reserve: Reserve, instant_ms: int) -> int | None:
    """Which instant makes room for another one: the oldest, but never the one that counts.

    Otherwise one attestor alone could take it away by speaking of many newer instants.
    """
    if len(reserve.instants) < INSTANTS_KEPT:
        return None
    return min(at for at in (*reserve.instants, instant_ms) if at != reserve.last_instant_ms)


def _check_unlinked(ctx: Context, known: Attested) -> None:
    """`ATTESTOR_LINKED` if the sender shares a key with a gateway, or with whoever attested."""
    others = [entry.attestor for entry in known.entries if entry.attestor != ctx.sender]
    for _, row in ctx.draft.items(GATEWAY):
        others += _accounts_of(row)
    # Asked once for all of them: hardly ever is anybody linked, and the sender is read once so.
    if is_linked(ctx.draft, ctx.sender, *others):
        for name, row in ctx.draft.items(GATEWAY):
            if is_linked(ctx.draft, ctx.sender, *_accounts_of(row)):
                raise Rejected(ATTESTOR_LINKED, gateway=name)
        raise Rejected(ATTESTOR_LINKED)


def _accounts_of(gateway: Gateway) -> tuple[bytes, bytes]:
    """Who acts for it, and the account that its vote key would have."""
    return gateway.operator, address_of(gateway.vote_key)


def _keep(ctx: Context, name: str, reserve: Reserve, instant_ms: int, row: Attested) -> Reserve:
    """Write what was said; one of the instants that are kept may make room. Returns the reserve."""
    ctx.draft.put(ATTESTED, (instant_ms, name), row)
    if instant_ms in reserve.instants:
        return reserve
    kept = sorted([*reserve.instants, instant_ms], reverse=True)
    dropped = _dropped(reserve, instant_ms)
    if dropped is not None:
        ctx.draft.delete(ATTESTED, (dropped, name))
        kept.remove(dropped)
    needed_ms = min(kept[-1], reserve.last_instant_ms)
    withdrawals = tuple([pair for pair in reserve.withdrawals if pair[0] > needed_ms])
    _, last_ms, last_amount, last_out, _ = reserve
    return Reserve(tuple(kept), last_ms, last_amount, last_out, withdrawals)


def _take_up(ctx: Context, name: str, reserve: Reserve) -> Reserve:
    """Count anew; if another amount counts, hold it against what was expected. Returns the reserve
    with what counts now.
    """
    needed = ctx.params["attestors_needed"]
    counted = derive_counted(ctx.draft, reserve, name, needed=needed, time_ms=0)
    is_known = (counted.instant_ms, counted.amount) == (
        reserve.last_instant_ms, reserve.last_amount,
    )  # fmt: skip
    if is_known or counted.instant_ms < reserve.last_instant_ms:
        return reserve
    expected = expected_of(reserve, position_of(ctx.draft, name).fiat_out)
    ctx.emit("reserve_counted", name, counted.instant_ms, counted.amount, expected)
    if counted.amount * _TOLERATED < expected * (_TOLERATED - 1):
        stop_issuing(ctx, name, SHORTFALL)
    instant_ms, amount, _, fiat_out = counted
    return Reserve(reserve.instants, instant_ms, amount, fiat_out, reserve.withdrawals)


def expected_of(reserve: Reserve, fiat_out: int) -> int:
    """The least that the chain expects to be attested: what it counts on at this moment.

    `fiat_out` is O now. Payments that left before the instant and were marked after it are
    allowed for; whether what counted last has expired makes no difference.
    """
    gone = fiat_out - reserve.last_fiat_out
    return max(0, reserve.last_amount - gone - announced_after(reserve, reserve.last_instant_ms))


def apply_withdraw(ctx: Context, fields: Fields) -> None:
    """A gateway announces that it will take fiat out of its reserve; that cannot be taken back."""
    named, amount, by_ms = fields
    name, _ = operated_by(ctx, ctx.sender)
    if named and named[0] != name:
        raise Rejected(NOT_OPERATOR, gateway=named[0])
    highest = ctx.time_ms + WITHDRAWAL_AHEAD_MS
    if not ctx.time_ms < by_ms <= highest:
        raise Rejected(BAD_WITHDRAWAL_TIME, lowest=ctx.time_ms + 1, highest=highest)
    reserve = reserve_of(ctx.draft, name)
    withdrawals = dict(reserve.withdrawals)
    withdrawals[by_ms] = withdrawals.get(by_ms, 0) + amount
    if len(withdrawals) > WITHDRAWALS_MAX:
        raise Rejected(TOO_MANY_WITHDRAWALS, highest=WITHDRAWALS_MAX)
    room = room_of(ctx.draft, ctx.params, name, ctx.time_ms)
    after = room._replace(announced=room.announced + amount)
    if after.room < 0 or sum(withdrawals.values()) > INT_MAX:
        raise Rejected(ROOM_EXCEEDED, gateway=name, room=str(room.room), needed=str(amount))
    # From here on nothing can fail.
    changed = reserve._replace(withdrawals=tuple(sorted(withdrawals.items())))
    ctx.draft.put(RESERVE, name, changed)
    ctx.emit("reserve_withdrawn", name, amount, by_ms)
