"""The token's movers: the only code that changes where a micro-MGS stands. Of the token family.

Every micro-MGS stands in exactly one place: the mining pool, what is reserved of it, a purpose of
the genesis that has not been given out, an account, a gateway's bond, or on its way out of one.
The totals are moved with it, so that they are never counted. Movers cannot fail: whoever calls one
has asked first (`check_tokens`); that is asserted here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, text_key
from state.tx.accounts import account_of, put_account
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


TOKEN_TOTALS: Final[Table[bytes, TokenTotals]] = Table(
    144, "token/totals", TokenTotals, bytes_key(0)
)
PURPOSE: Final[Table[str, Purpose]] = Table(145, "token/purpose", Purpose, text_key())
NO_TOKENS: Final = TokenTotals(0, 0, 0, 0, 0, 0, 0)


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
    totals = token_totals_of(ctx.draft)
    changed = totals._replace(**{name: getattr(totals, name) + by for name, by in moved.items()})
    assert min(changed) >= 0, "tokens were not asked for before they were taken"
    assert sum(changed[1:]) == changed.supply, "a micro-MGS stands in exactly one place"
    ctx.draft.put(TOKEN_TOTALS, b"", changed)


def add_tokens(ctx: Context, address: bytes, amount: int) -> None:
    """Change an account's tokens; the caller moves the totals. A negative `amount` takes."""
    account = account_of(ctx.draft, address)
    assert account.token + amount >= 0, "tokens were not asked for before they were taken"
    put_account(ctx, address, account._replace(token=account.token + amount))


def bond_tokens(ctx: Context, operator: bytes, amount: int) -> None:
    """From an account into a bond; the caller writes the gateway's row with the new bond."""
    add_tokens(ctx, operator, -amount)
    add_token_totals(ctx, balances=-amount, bonded=amount)


def slash_bond(ctx: Context, name: str, amount: int, to: bytes, to_amount: int) -> None:
    """Take `amount` of a gateway's bond: `to_amount` of it to an account, the rest to the pool.

    `amount` is at most the bond (and `to_amount` at most `amount`); b"" for `to` if nobody gets
    a part.
    """
    if amount == 0:
        return
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None and 0 <= to_amount <= amount <= row.bond
    ctx.draft.put(GATEWAY, name, row._replace(bond=row.bond - amount))
    if to_amount:
        add_tokens(ctx, to, to_amount)
    add_token_totals(ctx, bonded=-amount, balances=to_amount, pool=amount - to_amount)
    ctx.emit("bond_cut", name, amount)
