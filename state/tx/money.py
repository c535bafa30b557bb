"""The movers: the only code that changes where a micro-dollar stands. Part of the dollar family.

Every micro-dollar stands in exactly one place: an account, the fee pool, or a hold (family,
object, purpose). The totals are moved with it, so that they are never counted, and written once
at the end of a block: every payment of a block would write the same row otherwise. Movers cannot
fail: whoever calls one has asked first (`check_balance`, `held`); that is asserted here. Other
families call them and write none of these tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import ACCOUNT, EMPTY, FROZEN, Account, account_of, check_free

DOLLAR_FAMILY: Final = 1
REDEMPTIONS: Final = 15  # the family whose holds count as locked
INSUFFICIENT_BALANCE: Final = (101, "INSUFFICIENT_BALANCE")


class Totals(NamedTuple):
    """The sums of the dollar, kept with every movement; micro-dollars."""

    issued: int
    burned: int
    balances: int
    fee_pool: int
    locked: int  # holds of redemptions
    escrowed: int  # all other holds

    @property
    def supply(self) -> int:
        """What is in circulation."""
        return self.issued - self.burned


class Hold(NamedTuple):
    """What is held for one object: (purpose, amount), rising by purpose, no amount 0."""

    parts: tuple[tuple[int, int], ...]


TOTALS: Final[Table[bytes, Totals]] = Table(18, "dollar/totals", Totals, bytes_key(0))
# Key: (family number, object id).
HOLD: Final[Table[tuple[int, bytes], Hold]] = Table(
    17, "dollar/hold", Hold, pair_key(int_key(1), bytes_key())
)
NO_TOTALS: Final = Totals(0, 0, 0, 0, 0, 0)


def totals_of(reader: Reader) -> Totals:
    """The totals between blocks."""
    return reader.get(TOTALS, b"") or NO_TOTALS


def totals_now(ctx: Context) -> Totals:
    """The totals within a block, at this point; the fees of the block are not in them yet."""
    return totals_of(ctx.draft) if ctx.totals is None else Totals._make(ctx.totals)


def write_totals(ctx: Context) -> None:
    """What the block has moved becomes the row; nothing happens where it moved nothing."""
    if ctx.totals is not None:
        ctx.draft.put(TOTALS, b"", totals_now(ctx))
        ctx.totals = None


def held(reader: Reader, family: int, object_id: bytes, purpose: int) -> int:
    """What is held for `purpose`, 0 if nothing."""
    hold = reader.get(HOLD, (family, object_id))
    return dict(hold.parts).get(purpose, 0) if hold else 0


def check_balance(reader: Reader, address: bytes, amount: int) -> None:
    """`Rejected(INSUFFICIENT_BALANCE)` unless the account has `amount`."""
    balance = account_of(reader, address).dollar
    if balance < amount:
        raise Rejected(INSUFFICIENT_BALANCE, balance=str(balance), needed=str(amount))


def check_spend(reader: Reader, address: bytes, amount: int) -> None:
    """What `check_free` and `check_balance` ask, with one look at the account."""
    account = account_of(reader, address)
    if account.flags & FROZEN:
        check_free(reader, address)
    if account.dollar < amount:
        raise Rejected(INSUFFICIENT_BALANCE, balance=str(account.dollar), needed=str(amount))


def _add(ctx: Context, address: bytes, amount: int) -> None:
    """Change a balance. A negative `amount` takes."""
    account = ctx.draft.get(ACCOUNT, address) or EMPTY
    dollar, token, nonces, keys, threshold, flags = account
    assert dollar + amount >= 0, "a balance was not asked for before it was taken from"
    changed = Account(dollar + amount, token, nonces, keys, threshold, flags)
    ctx.draft.put(ACCOUNT, address, changed)
    ctx.involved[address] = None


def _add_held(ctx: Context, family: int, object_id: bytes, purpose: int, amount: int) -> None:
    hold = ctx.draft.get(HOLD, (family, object_id))
    parts = dict(hold.parts) if hold else {}
    left = parts.pop(purpose, 0) + amount
    assert left >= 0, "a hold was not asked for before it was taken from"
    if left:
        parts[purpose] = left
    _put_held(ctx, family, object_id, parts)


def _put_held(ctx: Context, family: int, object_id: bytes, parts: dict[int, int]) -> None:
    """Write what is held for an object by purpose; no row where it is nothing."""
    if parts:
        ctx.draft.put(HOLD, (family, object_id), Hold(tuple(sorted(parts.items()))))
    else:
        ctx.draft.delete(HOLD, (family, object_id))


def _add_totals(
    ctx: Context,
    *,
    issued: int = 0,
    burned: int = 0,
    balances: int = 0,
    fee_pool: int = 0,
    holds: int = 0,
    family: int = 0,
) -> None:
    ever, gone, in_accounts, in_pool, locked, escrowed = ctx.totals or totals_of(ctx.draft)
    if family == REDEMPTIONS:
        locked += holds
    else:
        escrowed += holds
    ctx.totals = (
        ever + issued, gone + burned, in_accounts + balances, in_pool + fee_pool, locked, escrowed,
    )  # fmt: skip


def transfer(ctx: Context, sender: bytes, outputs: Sequence[tuple[bytes, int, str]]) -> None:
    """Account to accounts: (to, amount, memo) each; to oneself it moves nothing."""
    total = 0
    for _, amount, _ in outputs:
        total += amount
    _add(ctx, sender, -total)
    for to, amount, memo in outputs:
        _add(ctx, to, amount)
        ctx.emit("dollar_moved", sender, to, amount, memo)


def mint(ctx: Context, to: bytes, amount: int) -> None:
    """New dollars into an account; the dollar family alone calls it."""
    _add(ctx, to, amount)
    _add_totals(ctx, issued=amount, balances=amount)


def hold(
    ctx: Context, owner: bytes, family: int, object_id: bytes, purpose: int, amount: int
) -> None:
    """Account to hold."""
    if amount == 0:
        return
    _add(ctx, owner, -amount)
    _add_held(ctx, family, object_id, purpose, amount)
    _add_totals(ctx, balances=-amount, holds=amount, family=family)
    ctx.emit("dollar_held", owner, object_id, purpose, amount)


def hold_parts(
    ctx: Context,
    owner: bytes,
    family: int,
    object_id: bytes,
    parts: Sequence[tuple[int, int]],
) -> None:
    """Account to the hold of an object that is new and has none; (purpose, amount) each, rising.

    As several calls of `hold`, at the cost of one.
    """
    above = tuple([part for part in parts if part[1]])
    if not above:
        return
    total = 0
    for _, amount in above:
        total += amount
    _add(ctx, owner, -total)
    ctx.draft.put(HOLD, (family, object_id), Hold(above))
    _add_totals(ctx, balances=-total, holds=total, family=family)
    for purpose, amount in above:
        ctx.emit("dollar_held", owner, object_id, purpose, amount)


def release(
    ctx: Context, family: int, object_id: bytes, purpose: int, to: bytes, amount: int
) -> None:
    """Hold to account. Whatever the receiver has set, it arrives."""
    if amount:
        release_parts(ctx, family, object_id, ((purpose, to, amount),))


def release_all(ctx: Context, family: int, object_id: bytes, to: bytes) -> None:
    """Everything that is held for an object to one account."""
    hold = ctx.draft.get(HOLD, (family, object_id))
    if hold is None:
        return
    total = sum(amount for _, amount in hold.parts)
    ctx.draft.delete(HOLD, (family, object_id))
    _add(ctx, to, total)
    _add_totals(ctx, balances=total, holds=-total, family=family)
    for purpose, amount in hold.parts:
        ctx.emit("dollar_released", object_id, purpose, to, amount)


def release_parts(
    ctx: Context, family: int, object_id: bytes, parts: Sequence[tuple[int, bytes, int]]
) -> None:
    """Hold to accounts: (purpose, to, amount) each, with one write of the hold and each account."""
    above = [part for part in parts if part[2]]
    if not above:
        return
    row = ctx.draft.get(HOLD, (family, object_id))
    held_now = dict(row.parts) if row else {}
    received: dict[bytes, int] = {}
    for purpose, to, amount in above:
        left = held_now.pop(purpose, 0) - amount
        assert left >= 0, "a hold was not asked for before it was taken from"
        if left:
            held_now[purpose] = left
        received[to] = received.get(to, 0) + amount
        ctx.emit("dollar_released", object_id, purpose, to, amount)
    _put_held(ctx, family, object_id, held_now)
    total = 0
    for to, amount in received.items():
        _add(ctx, to, amount)
        total += amount
    _add_totals(ctx, balances=total, holds=-total, family=family)


def split_hold(
    ctx: Context,
    family: int,
    object_id: bytes,
    purpose: int,
    *,
    paid: Sequence[tuple[bytes, int]],
    pooled: int = 0,
    kept: Sequence[tuple[int, int]] = (),
) -> None:
    """Of what is held for `purpose`: each (to, amount) of `paid` to an account, `pooled` to the
    fee pool, and each (purpose, amount) of `kept` on to another purpose; with one write of the
    hold and the totals.
    """
    row = ctx.draft.get(HOLD, (family, object_id))
    parts = dict(row.parts) if row else {}
    total = 0
    for _, amount in paid:
        total += amount
    left = parts.pop(purpose, 0) - total - pooled
    for place, amount in kept:
        if amount:
            left -= amount
            parts[place] = parts.get(place, 0) + amount
    assert left >= 0, "a hold was not asked for before it was taken from"
    if left:
        parts[purpose] = left
    _put_held(ctx, family, object_id, parts)
    if pooled:
        ctx.emit("dollar_pooled", object_id, purpose, pooled)
    for to, amount in paid:
        if amount:
            _add(ctx, to, amount)
            ctx.emit("dollar_released", object_id, purpose, to, amount)
    if total or pooled:
        _add_totals(ctx, balances=total, fee_pool=pooled, holds=-total - pooled, family=family)


def release_to_pool(ctx: Context, family: int, object_id: bytes, purpose: int, amount: int) -> None:
    """Hold to fee pool."""
    if amount == 0:
        return
    _add_held(ctx, family, object_id, purpose, -amount)
    _add_totals(ctx, fee_pool=amount, holds=-amount, family=family)
    ctx.emit("dollar_pooled", object_id, purpose, amount)


def pay_from_pool(ctx: Context, to: bytes, amount: int) -> None:
    """Fee pool to account: the gateways' shares at the end of a period."""
    assert totals_now(ctx).fee_pool >= amount
    _add(ctx, to, amount)
    _add_totals(ctx, balances=amount, fee_pool=-amount)


def move_hold(
    ctx: Context, family: int, object_id: bytes, purpose: int, to_purpose: int, amount: int
) -> None:
    """From one purpose of a hold to another."""
    if amount == 0:
        return
    _add_held(ctx, family, object_id, purpose, -amount)
    _add_held(ctx, family, object_id, to_purpose, amount)


def burn_all(ctx: Context, family: int, object_id: bytes, purpose: int, to: bytes) -> None:
    """What is held for `purpose` ceases to be, the rest of the object's hold goes to one account;
    the dollar family alone calls it.
    """
    hold = ctx.draft.get(HOLD, (family, object_id))
    assert hold is not None, "a hold was not asked for before it was burned"
    others = dict(hold.parts)
    burned = others.pop(purpose)
    freed = sum(others.values())
    ctx.draft.delete(HOLD, (family, object_id))
    if freed:
        _add(ctx, to, freed)
    _add_totals(ctx, burned=burned, balances=freed, holds=-burned - freed, family=family)
    for other, amount in others.items():
        ctx.emit("dollar_released", object_id, other, to, amount)


def collect_fees(ctx: Context, fees: int) -> None:
    """The fees of a block, which its payers' balances have lost already, into the pool."""
    _add_totals(ctx, balances=-fees, fee_pool=fees)
