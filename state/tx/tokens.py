"""The token's movers: the only code that changes where a micro-MGS stands. Of the token family.

Every micro-MGS stands in exactly one place: the mining pool, what is reserved of it, a purpose of
the genesis that has not been given out, an account, a gateway's bond, or on its way out of one.
The totals are moved with it, so that they are never counted. Movers cannot fail: whoever calls one
has asked first (`check_tokens`); that is asserted here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import digest
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, text_key
from state.tx.accounts import Account, account_of, put_account
from state.tx.gateways import GATEWAY

INSUFFICIENT_TOKENS: Final = (901, "INSUFFICIENT_TOKENS")


class TokenTotals(NamedTuple):
    """The sums of the token in micro-MGS, kept with every movement."""

    supply: int  # fixed by the genesis
    pool: int  # of mining, not reserved for anybody
    reserved: int  # of mining, earned and not yet claimed
    unvested: int  # of all purposes, not yet given out
    balances: int
    bonded: int  # the sum of the gateways' bonds
    unbonding: int  # bonds on their way back, still liable


class Purpose(NamedTuple):
    """What the genesis laid out for one purpose."""

    total: int
    left: int  # not yet given out
    vesting: int  # of that, what comes free for holders named in the genesis


class Unbonding(NamedTuple):
    """What of a gateway's bond is on its way back, under `unbonding_id`; never without a part.

    The row stands in the token's due queue at the time of its first part.
    """

    gateway: str
    parts: tuple[tuple[int, int], ...]  # (due time on the token's clock, micro-MGS), rising

    @property
    def amount(self) -> int:
        """All of it."""
        return sum(amount for _, amount in self.parts)


TOKEN_FAMILY: Final = 9
TOKEN_TOTALS: Final[Table[bytes, TokenTotals]] = Table(
    144, "token/totals", TokenTotals, bytes_key(0)
)
PURPOSE: Final[Table[str, Purpose]] = Table(145, "token/purpose", Purpose, text_key())
UNBONDING: Final[Table[bytes, Unbonding]] = Table(146, "token/unbonding", Unbonding, bytes_key())
# A row stays short; a part beyond these waits together with the one before it, for its own time.
UNBONDING_PARTS_MAX: Final = 8
NO_TOKENS: Final = TokenTotals(0, 0, 0, 0, 0, 0, 0)
_PLACE: Final = {name: place for place, name in enumerate(TokenTotals._fields)}


def token_totals_of(reader: Reader) -> TokenTotals:
    """The totals at this point."""
    return reader.get(TOKEN_TOTALS, b"") or NO_TOKENS


def check_tokens(reader: Reader, address: bytes, amount: int) -> None:
    """`Rejected(INSUFFICIENT_TOKENS)` unless the account has `amount`."""
    balance = account_of(reader, address).token
    if balance < amount:
        raise Rejected(INSUFFICIENT_TOKENS, balance=str(balance), needed=str(amount))


def add_token_totals(ctx: Context, **moved: int) -> None:
    """Change totals by name. The sum of all places stays the supply; that is asserted."""
    values = list(token_totals_of(ctx.draft))
    for name, by in moved.items():
        values[_PLACE[name]] += by
    changed = TokenTotals._make(values)
    assert min(changed) >= 0, "tokens were not asked for before they were taken"
    assert sum(changed[1:]) == changed.supply, "a micro-MGS stands in exactly one place"
    ctx.draft.put(TOKEN_TOTALS, b"", changed)


def add_tokens(ctx: Context, address: bytes, amount: int) -> None:
    """Change an account's tokens; the caller moves the totals. A negative `amount` takes."""
    dollar, token, nonces, keys, threshold, flags = account_of(ctx.draft, address)
    assert token + amount >= 0, "tokens were not asked for before they were taken"
    changed = Account(dollar, token + amount, nonces, keys, threshold, flags)
    put_account(ctx, address, changed)


def bond_tokens(ctx: Context, operator: bytes, amount: int) -> None:
    """From an account into a bond; the caller writes the gateway's row with the new bond."""
    add_tokens(ctx, operator, -amount)
    add_token_totals(ctx, balances=-amount, bonded=amount)


def unbonding_id(name: str) -> bytes:
    """Under which a gateway's bond on its way back stands and falls due."""
    return digest(b"mgs/unbonding", name.encode())


def liable_bond(reader: Reader, name: str) -> int:
    """What a gateway answers with: its bond, and what of it is still on its way back."""
    row = reader.get(GATEWAY, name)
    unbonding = reader.get(UNBONDING, unbonding_id(name))
    return (row.bond if row else 0) + (unbonding.amount if unbonding else 0)


def begin_unbonding(ctx: Context, name: str, amount: int) -> None:
    """From the bond on its way back to the operator, where it arrives after `unbond_ms`.

    `amount` is at most the bond. Until it arrives it is liable like the bond itself.
    """
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None and 0 <= amount <= row.bond, "at most the bond"
    if amount == 0:
        return
    key, due_ms = unbonding_id(name), ctx.now(TOKEN_FAMILY) + ctx.params["unbond_ms"]
    before = ctx.draft.get(UNBONDING, key)
    parts = dict(before.parts) if before else {}
    if len(parts) == UNBONDING_PARTS_MAX and due_ms not in parts:
        last_ms = max(parts)
        due_ms = max(due_ms, last_ms)
        parts[due_ms] = parts.pop(last_ms)
    parts[due_ms] = parts.get(due_ms, 0) + amount
    ctx.draft.put(GATEWAY, name, row._replace(bond=row.bond - amount))
    put_unbonding(ctx, name, parts)
    add_token_totals(ctx, bonded=-amount, unbonding=amount)
    ctx.emit("token_unbonding", name, amount, due_ms)


def put_unbonding(ctx: Context, name: str, parts: dict[int, int]) -> None:
    """Write what is on its way back, by due time; the row waits for the first of them.

    What is late (more fell due than a block does) comes with the next block.
    """
    key, next_ms = unbonding_id(name), ctx.now(TOKEN_FAMILY) + 1
    before = ctx.draft.get(UNBONDING, key)
    if before is not None:
        ctx.unschedule(before.parts[0][0], key, TOKEN_FAMILY)
    if not parts:
        ctx.draft.delete(UNBONDING, key)
        return
    timely: dict[int, int] = {}
    for due_ms, amount in sorted(parts.items()):
        due_ms = max(due_ms, next_ms)
        timely[due_ms] = timely.get(due_ms, 0) + amount
    ctx.draft.put(UNBONDING, key, Unbonding(name, tuple(timely.items())))
    ctx.schedule(min(timely), key, TOKEN_FAMILY)


def slash_bond(ctx: Context, name: str, amount: int, to: bytes, to_amount: int) -> None:
    """Take `amount` of what a gateway answers with: `to_amount` of it to an account, the rest to
    the pool. The bond goes first, then what is on its way back, the soonest first.

    `amount` is at most `liable_bond` (and `to_amount` at most `amount`); b"" for `to` if nobody
    gets a part.
    """
    if amount == 0:
        return
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None and 0 <= to_amount <= amount
    of_bond = min(amount, row.bond)
    ctx.draft.put(GATEWAY, name, row._replace(bond=row.bond - of_bond))
    if amount > of_bond:
        _slash_unbonding(ctx, name, amount - of_bond)
    if to_amount:
        add_tokens(ctx, to, to_amount)
    add_token_totals(
        ctx,
        bonded=-of_bond,
        unbonding=of_bond - amount,
        balances=to_amount,
        pool=amount - to_amount,
    )
    ctx.emit("bond_cut", name, amount)


def _slash_unbonding(ctx: Context, name: str, amount: int) -> None:
    before = ctx.draft.get(UNBONDING, unbonding_id(name))
    assert before is not None and amount <= before.amount, "at most what it answers with"
    parts: dict[int, int] = {}
    for due_ms, part in before.parts:
        cut = min(amount, part)
        amount -= cut
        if part > cut:
            parts[due_ms] = part - cut
    put_unbonding(ctx, name, parts)
