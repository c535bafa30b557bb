"""The token: a fixed supply, laid out by purpose at the genesis.

Law: supply = mining pool + reserved rewards + unvested by purpose + balances + bonded + unbonding.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis
from state.context import Context
from state.draft import Reader
from state.registry import Family, Law
from state.tx.accounts import ACCOUNT
from state.tx.bonds import (
    BOND_EVENTS,
    BOND_KINDS,
    BOND_LAWS,
    BOND_PARAMS,
    BOND_TOO_SMALL,
    do_unbonding,
)
from state.tx.gateways import GATEWAY
from state.tx.tokens import (
    INSUFFICIENT_TOKENS,
    PURPOSE,
    TOKEN_FAMILY,
    TOKEN_TOTALS,
    UNBONDING,
    Purpose,
    TokenTotals,
    token_totals_of,
)

MINING: Final = "mining"
SALE: Final = "sale"  # what accounts and bonds have at the genesis was sold to them


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    layout = dict(genesis.token)
    if tuple(layout) != TOKEN_PURPOSES:
        raise ConfigError("genesis: token names other purposes than " + ", ".join(TOKEN_PURPOSES))
    balances = sum(account.token for account in genesis.accounts)
    bonded = sum(gateway.bond for gateway in genesis.gateways)
    sold = balances + bonded
    if sold > layout[SALE]:
        raise ConfigError(f"genesis: accounts and bonds hold {sold}, token.sale is less")
    for name in TOKEN_PURPOSES:
        given = {MINING: layout[MINING], SALE: sold}.get(name, 0)
        ctx.draft.put(PURPOSE, name, Purpose(layout[name], layout[name] - given))
    totals = TokenTotals(
        supply=sum(layout.values()),
        pool=layout[MINING],
        reserved=0,
        unvested=sum(layout.values()) - layout[MINING] - sold,
        balances=balances,
        bonded=bonded,
        unbonding=0,
    )
    ctx.draft.put(TOKEN_TOTALS, b"", totals)


def _check_supply(reader: Reader) -> str | None:
    totals = token_totals_of(reader)
    counted = totals._replace(
        unvested=sum(row.left for _, row in reader.items(PURPOSE)),
        balances=sum(row.token for _, row in reader.items(ACCOUNT)),
        bonded=sum(row.bond for _, row in reader.items(GATEWAY)),
        unbonding=sum(row.amount for _, row in reader.items(UNBONDING)),
    )
    for name, kept, found in zip(TokenTotals._fields, totals, counted, strict=True):
        if kept != found:
            return f"token totals: {name} is {kept}, its records say {found}"
    if sum(totals[1:]) != totals.supply:
        return f"the token's places hold {sum(totals[1:])}, the supply is {totals.supply}"
    laid_out = sum(row.total for _, row in reader.items(PURPOSE))
    return None if laid_out == totals.supply else f"the purposes add up to {laid_out}"


def _do_due(ctx: Context, object_id: bytes) -> None:
    """A part of a bond has come back."""
    assert do_unbonding(ctx, object_id), "nothing else falls due"


FAMILY: Final = Family(
    number=TOKEN_FAMILY,
    name="token",
    kinds=BOND_KINDS,
    tables=(TOKEN_TOTALS, PURPOSE, UNBONDING),
    refusals=(INSUFFICIENT_TOKENS, BOND_TOO_SMALL),
    params=BOND_PARAMS,
    events=BOND_EVENTS,
    laws=(Law("supply", _check_supply), *BOND_LAWS),
    genesis=_apply_genesis,
    due=_do_due,
)
