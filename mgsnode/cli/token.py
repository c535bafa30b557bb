"""Tokens: where they are, what one earned, and the everyday forms of the token's kinds.

Amounts are tokens as people write them ("12.5"); what goes on the chain is micro-MGS.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import (
    RPC_DEFAULT,
    DevKey,
    JsonFlag,
    KeyName,
    KeystoreDir,
    PassphraseFd,
    RpcUrl,
    SeedFd,
    micro,
    show,
)
from mgsnode.cli.everyday import Payee, Sender, send_one

_WAIT_MS = 10_000
Tokens = Annotated[str, typer.Argument(help="Tokens, such as 12.5.")]
Account = Annotated[str, typer.Argument(help="Whose: an address.")]
Wait = Annotated[int, typer.Option(help="How long to wait, in ms.")]


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
    """What an account earned: by period, or of one period by role and order."""
    if period is None:
        _ask("reward_list", rpc, as_json=json, account=account)
    else:
        _ask("reward_get", rpc, as_json=json, account=account, period=period)


def transfer(
    to: Payee,
    amount: Tokens,
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Wait = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Send tokens to an account and wait until it is final."""
    fields = {"to": to, "amount": micro(amount)}
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("token_transfer", fields, signer, sender, rpc, timeout_ms, as_json=json)


def claim(
    period: Annotated[int, typer.Argument(help="The period, which is over.")],
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Wait = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Claim what was earned in a period."""
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("token_claim", {"period": period}, signer, sender, rpc, timeout_ms, as_json=json)


def release(
    purpose: Annotated[str, typer.Argument(help="team, foundation, promotion or sale.")],
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Wait = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Take what has vested."""
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("token_release", {"purpose": purpose}, signer, sender, rpc, timeout_ms, as_json=json)


def bond(
    amount: Tokens,
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Wait = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Add to a gateway's bond, as its operator."""
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    fields = {"amount": micro(amount)}
    send_one("token_bond", fields, signer, sender, rpc, timeout_ms, as_json=json)


def unbond(
    amount: Tokens,
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Wait = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Let a part of a gateway's bond begin its way back, as its operator."""
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    fields = {"amount": micro(amount)}
    send_one("token_unbond", fields, signer, sender, rpc, timeout_ms, as_json=json)


def _ask(method: str, rpc: str, /, *, as_json: bool, **params: Any) -> None:
    from mgsnode.client import call_once

    show(call_once(rpc, method, params), as_json=as_json)
