"""The everyday forms: pay, issue, redeem. Each builds, signs, submits and waits in one step.

Amounts are dollars as people write them ("12.50"); what goes on the chain is micro-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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
    hash_hex,
    micro,
    signing_key,
)
from mgsnode.cli.tx import finish

_WAIT_MS = 10_000
Dollars = Annotated[str, typer.Argument(help="Dollars, such as 12.50.")]
Payee = Annotated[str, typer.Argument(help="Who receives it: an address.")]
Sender = Annotated[str, typer.Option(help="The account that acts, where it is not the key's own.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (pay, issue, redeem):
        app.command()(command)


def pay(
    to: Payee,
    amount: Dollars,
    memo: Annotated[str, typer.Option(help="A note of up to 256 bytes, public.")] = "",
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Annotated[int, typer.Option(help="How long to wait.")] = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Pay dollars to an account and wait until it is final."""
    fields = {"outputs": [{"to": to, "amount": micro(amount), "memo": memo}]}
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("dollar_transfer", fields, signer, sender, rpc, timeout_ms, as_json=json)


def issue(
    to: Payee,
    amount: Dollars,
    reference: Annotated[
        str, typer.Option(help="The fiat receipt: its hash (64 hex), or text that is hashed.")
    ],
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Annotated[int, typer.Option(help="How long to wait.")] = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Issue dollars as a gateway's operator."""
    fields = {"to": to, "amount": micro(amount), "reference": hash_hex(reference)}
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("dollar_issue", fields, signer, sender, rpc, timeout_ms, as_json=json)


def redeem(
    gateway: Annotated[str, typer.Argument(help="The gateway that is to pay.")],
    amount: Dollars,
    currency: Annotated[str, typer.Option(help="The currency to be paid in, such as EUR.")],
    payout: Annotated[
        str, typer.Option(help="The payout details: their hash (64 hex), or text that is hashed.")
    ],
    quote: Annotated[str, typer.Option(help="A quote's id, for another currency.")] = "",
    sender: Sender = "",
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    timeout_ms: Annotated[int, typer.Option(help="How long to wait.")] = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Ask a gateway for fiat at par."""
    fields = {
        "gateway": gateway,
        "amount": micro(amount),
        "currency": currency,
        "payout_hash": hash_hex(payout),
        **({"quote": quote} if quote else {}),
    }
    signer = (key, dev_key, seed_fd, passphrase_fd, keystore)
    send_one("dollar_redeem", fields, signer, sender, rpc, timeout_ms, as_json=json)


def send_one(
    kind: str,
    fields: Mapping[str, Any],
    signer: tuple[str, str, int | None, int | None, Path | None],
    sender: str,
    rpc: str,
    timeout_ms: int,
    *,
    as_json: bool,
    also_dev: str = "",
) -> None:
    """Build, sign, submit and wait; `also_dev` names a development key that signs too."""
    import asyncio

    from mgsnode.client import Client, own_address

    name, dev, seed_fd, passphrase_fd, keystore = signer
    key = signing_key(
        name=name, dev=dev, seed_fd=seed_fd, keystore=keystore, passphrase_fd=passphrase_fd
    )

    signers = [key]
    if also_dev:
        from mgsnode.devnet import dev_key

        signers.append(dev_key(also_dev))

    async def send() -> dict[str, Any]:
        async with Client(rpc) as client:
            account = sender or await own_address(client, key.public_key)
            return await client.send(kind, fields, signers, sender=account, timeout_ms=timeout_ms)

    finish(asyncio.run(send()), as_json=as_json)
