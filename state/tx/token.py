"""The token: a fixed supply, laid out by purpose at the genesis; what each part of it may do.

Law: supply = mining pool + reserved rewards + unvested by purpose + balances + bonded + unbonding.

Here stand the layout, the transfer, and the family put together: `bonds.py`, `vesting.py`,
`mining.py` (with the records and formulas in `rewards.py`), `claims.py` and `voice.py` are its
parts; `tokens.py` moves tokens.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis
from state.context import Context, Fields
from state.draft import Reader
from state.fields import MICRO_MGS, Address, Amount, Struct
from state.registry import EventSpec, Family, Kind, Law
from state.tx.accounts import ACCOUNT, check_free
from state.tx.bonds import (
    BOND_EVENTS,
    BOND_KINDS,
    BOND_LAWS,
    BOND_PARAMS,
    BOND_TOO_SMALL,
    do_unbonding,
)
from state.tx.claims import (
    CLAIM_EVENTS,
    CLAIM_EXPIRED,
    CLAIM_KINDS,
    CLAIM_LAWS,
    NOTHING_TO_CLAIM,
    PERIOD_NOT_CLOSED,
)
from state.tx.gateways import GATEWAY
from state.tx.mining import do_claims, do_reviews, on_final, on_period_closed, on_refunded
from state.tx.orders import FINAL, Order
from state.tx.rewards import DEBT, EARNED, MINED, MINING, MINING_PARAMS
from state.tx.tokens import (
    INSUFFICIENT_TOKENS,
    PURPOSE,
    TOKEN_FAMILY,
    TOKEN_TOTALS,
    UNBONDING,
    Purpose,
    TokenTotals,
    add_tokens,
    check_tokens,
    token_totals_of,
)
from state.tx.vesting import (
    NOTHING_VESTED,
    PURPOSE_SPENT,
    UNKNOWN_VESTING,
    VESTING,
    VESTING_ACTIONS,
    VESTING_EVENTS,
    VESTING_KINDS,
    VESTING_LAWS,
    plan_vesting,
)
from state.tx.voice import VOICE, VOICE_RESERVE, do_voice, numbered_id

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
    vesting = plan_vesting(ctx, genesis)
    for name in TOKEN_PURPOSES:
        left = layout[name] - {"mining": layout["mining"], SALE: sold}.get(name, 0)
        if vesting[name] > left:
            raise ConfigError(f"genesis: more of token.{name} vests than there is")
        ctx.draft.put(PURPOSE, name, Purpose(layout[name], left, vesting[name]))
    totals = TokenTotals(
        supply=sum(layout.values()),
        pool=layout["mining"],
        reserved=0,
        unvested=sum(layout.values()) - layout["mining"] - sold,
        balances=balances,
        bonded=bonded,
        unbonding=0,
    )
    ctx.draft.put(TOKEN_TOTALS, b"", totals)


def apply_transfer(ctx: Context, fields: Fields) -> None:
    """Tokens to another account; to oneself it moves nothing."""
    to, amount = fields
    check_free(ctx.draft, ctx.sender)
    check_tokens(ctx.draft, ctx.sender, amount)
    # From here on nothing can fail.
    add_tokens(ctx, ctx.sender, -amount)
    add_tokens(ctx, to, amount)
    ctx.emit("token_moved", ctx.sender, to, amount)


_BY_NUMBER: Final = {
    numbered_id(b"voice", 0)[:24]: do_voice,
    numbered_id(b"reviews", 0)[:24]: do_reviews,
    numbered_id(b"claims", 0)[:24]: do_claims,
}


def _do_due(ctx: Context, object_id: bytes) -> None:
    """A reserve of a period or of voice is over, or a part of a bond has come back."""
    by_number = _BY_NUMBER.get(object_id[:24])
    if by_number is not None:
        by_number(ctx, int.from_bytes(object_id[24:], "big"))
    else:
        do_unbonding(ctx, object_id)


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


def _on_refunded(ctx: Context, order_id: bytes, order: Order, _amount: int) -> None:
    """Nothing has been counted of an order that is not final: mining need not look."""
    if order.status == FINAL:
        on_refunded(ctx, order_id, order)


FAMILY: Final = Family(
    number=TOKEN_FAMILY,
    name="token",
    kinds=(
        Kind(
            "token_transfer", Struct(to=Address(), amount=Amount(MICRO_MGS)), apply_transfer, 100,
            "Tokens to another account.",
        ),
        *BOND_KINDS, *CLAIM_KINDS, *VESTING_KINDS,
    ),
    tables=(
        TOKEN_TOTALS, PURPOSE, UNBONDING, MINING, MINED, EARNED, DEBT, VOICE, VOICE_RESERVE,
        VESTING,
    ),
    refusals=(
        INSUFFICIENT_TOKENS, BOND_TOO_SMALL, PERIOD_NOT_CLOSED, NOTHING_TO_CLAIM, CLAIM_EXPIRED,
        UNKNOWN_VESTING, NOTHING_VESTED, PURPOSE_SPENT,
    ),
    params=(*BOND_PARAMS, *MINING_PARAMS),
    events=(
        EventSpec(
            "token_moved",
            Struct(sender=Address(), to=Address(), amount=Amount(MICRO_MGS)),
            "Tokens went from one account to another.",
        ),
        *BOND_EVENTS, *CLAIM_EVENTS, *VESTING_EVENTS,
    ),
    laws=(Law("supply", _check_supply), *BOND_LAWS, *VESTING_LAWS, *CLAIM_LAWS),
    genesis=_apply_genesis,
    due=_do_due,
    actions=VESTING_ACTIONS,
    declares=("voice_directed",),
    hooks={
        "final": on_final, "refunded": _on_refunded, "period_closed": on_period_closed,
    },
)  # fmt: skip
