"""The everyday forms: pay, issue, redeem. Each builds, signs, submits and waits in one step.

Amounts are dollars as people write them ("12.50"); what goes on the chain is micro-dollars.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import hash_hex, micro
from mgsnode.cli.sending import sends

Dollars = Annotated[str, typer.Argument(help="Dollars, such as 12.50.")]
Payee = Annotated[str, typer.Argument(help="Who receives it: an address.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (pay, issue, redeem):
        app.command()(command)


@sends("dollar_transfer")
def pay(
    to: Payee,
    amount: Dollars,
    memo: Annotated[str, typer.Option(help="A note of up to 256 bytes, public.")] = "",
) -> dict[str, Any]:
    """Pay dollars to an account and wait until it is final."""
    return {"outputs": [{"to": to, "amount": micro(amount), "memo": memo}]}


@sends("dollar_issue")
def issue(
    to: Payee,
    amount: Dollars,
    reference: Annotated[
        str, typer.Option(help="The fiat receipt: its hash (64 hex), or text that is hashed.")
    ],
) -> dict[str, Any]:
    """Issue dollars as a gateway's operator."""
    return {"to": to, "amount": micro(amount), "reference": hash_hex(reference)}


@sends("dollar_redeem")
def redeem(
    gateway: Annotated[str, typer.Argument(help="The gateway that is to pay.")],
    amount: Dollars,
    currency: Annotated[str, typer.Option(help="The currency to be paid in, such as EUR.")],
    payout: Annotated[
        str, typer.Option(help="The payout details: their hash (64 hex), or text that is hashed.")
    ],
    quote: Annotated[str, typer.Option(help="A quote's id, for another currency.")] = "",
) -> dict[str, Any]:
    """Ask a gateway for fiat at par."""
    return {
        "gateway": gateway,
        "amount": micro(amount),
        "currency": currency,
        "payout_hash": hash_hex(payout),
        **({"quote": quote} if quote else {}),
    }
