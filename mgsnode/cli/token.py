"""Tokens: where they are, what one earned, and the everyday forms of the token's kinds.

Amounts are tokens as people write them ("12.5"); what goes on the chain is micro-MGS.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import (
    RPC_DEFAULT,
    JsonFlag,
    RpcUrl,
    micro,
    show,
)
from mgsnode.cli.everyday import Payee
from mgsnode.cli.readable import readable
from mgsnode.cli.sending import sends

Tokens = Annotated[str, typer.Argument(help="Tokens, such as 12.5.")]
_SUMS = frozenset(
    (
        "supply", "pool", "reserved", "unvested", "balances", "bonded", "unbonding", "total",
        "left", "vesting", "fees", "offer", "claims", "reviews", "claimed", "parts", "earned",
        "claimable", "debt", "voice", "fee", "amount",
    )
)  # fmt: skip
Account = Annotated[str, typer.Argument(help="Whose: an address.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    token = typer.Typer(
        help="Tokens: info, rewards, transfer, claim, release, bond, unbond.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (info, rewards, transfer, claim, release, bond, unbond):
        token.command()(command)
    app.add_typer(token, name="token")


def info(rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """Where the tokens are, and what the running period offers."""
    _ask("token_info", rpc, as_json=json)


def rewards(
    account: Account,
    period: Annotated[int | None, typer.Option(help="Of this period; default: all.")] = None,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """What an account earned in each period. Or in one of them, by role and order."""
    if period is None:
        _ask("reward_list", rpc, as_json=json, account=account)
    else:
        _ask("reward_get", rpc, as_json=json, account=account, period=period)


@sends("token_transfer")
def transfer(to: Payee, amount: Tokens) -> dict[str, Any]:
    """Send tokens to an account and wait until it is final."""
    return {"to": to, "amount": micro(amount)}


@sends("token_claim")
def claim(
    period: Annotated[int, typer.Argument(help="The period, which is over.")],
) -> dict[str, Any]:
    """Claim what was earned in a period."""
    return {"period": period}


@sends("token_release")
def release(
    purpose: Annotated[str, typer.Argument(help="team, foundation, promotion or sale.")],
) -> dict[str, Any]:
    """Take what has vested."""
    return {"purpose": purpose}


@sends("token_bond")
def bond(amount: Tokens) -> dict[str, Any]:
    """Add to a gateway's bond, as its operator."""
    return {"amount": micro(amount)}


@sends("token_unbond")
def unbond(amount: Tokens) -> dict[str, Any]:
    """Let a part of a gateway's bond begin its way back. As its operator."""
    return {"amount": micro(amount)}


def _ask(method: str, rpc: str, /, *, as_json: bool, **params: Any) -> None:
    from mgsnode.client import call_once

    answer = call_once(rpc, method, params)
    show(answer if as_json else readable(answer, _SUMS), as_json=as_json)
