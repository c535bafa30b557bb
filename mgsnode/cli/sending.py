"""Commands that send one transaction: what they have in common.

`sends(kind)` makes a command out of a function that turns its own arguments into the kind's
fields: the command takes these and the usual options for the key, signs, submits and waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

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
    signing_key,
)
from mgsnode.cli.tx import finish

if TYPE_CHECKING:
    from mgsnode.client import Client

FieldsOf = Callable[..., Mapping[str, Any]]
_WAIT_MS = 10_000
_Sender = Annotated[str, typer.Option(help="The account that acts, where it is not the key's own.")]
_With = Annotated[
    str,
    typer.Option(
        "--with-dev-key",
        help="Who has to sign too, on a development network; else `tx build`, `sign`, `send`.",
    ),
]
_USUAL: tuple[tuple[str, Any, Any], ...] = (
    ("sender", _Sender, ""),
    ("key", KeyName, ""),
    ("dev_key", DevKey, ""),
    ("with_dev_key", _With, ""),
    ("seed_fd", SeedFd, None),
    ("passphrase_fd", PassphraseFd, None),
    ("keystore", KeystoreDir, None),
    ("timeout_ms", Annotated[int, typer.Option(help="How long to wait.")], _WAIT_MS),
    ("rpc", RpcUrl, RPC_DEFAULT),
    ("json", JsonFlag, False),
)


def sends(kind: str) -> Callable[[FieldsOf], Callable[..., None]]:
    """The command that sends `kind` with the fields that the function gives."""

    def command_of(fields_of: FieldsOf) -> Callable[..., None]:
        own = inspect.signature(fields_of).parameters
        hints = get_type_hints(fields_of, include_extras=True)

        def command(**given: Any) -> None:
            fields = fields_of(**{name: given.pop(name) for name in own})
            _send(kind, fields, **given)

        usual = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, _, default in _USUAL
        ]
        mine = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own.values()]
        annotations = {**{name: hints[name] for name in own}, **{n: kind for n, kind, _ in _USUAL}}
        signature = inspect.Signature(
            [one.replace(annotation=annotations[one.name]) for one in [*mine, *usual]]
        )
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = annotations
        command.__name__ = fields_of.__name__
        command.__doc__ = fields_of.__doc__
        return command

    return command_of


async def _facts_of(client: Client, tx: Mapping[str, Any], code: Any) -> dict[str, Any]:
    """Why a rule refused `tx`, if it still does: a block keeps the code only."""
    from mgsnode.client import RpcFailure

    try:
        again = await client.call("tx_simulate", {"tx": tx})
    except RpcFailure:
        return {}
    return {"facts": again["facts"]} if again["code"] == code and again["facts"] else {}


def _send(
    kind: str,
    fields: Mapping[str, Any],
    *,
    sender: str,
    key: str,
    dev_key: str,
    with_dev_key: str,
    seed_fd: int | None,
    passphrase_fd: int | None,
    keystore: Any,
    timeout_ms: int,
    rpc: str,
    json: bool,
) -> None:
    import asyncio

    from mgsnode.client import Client, own_address
    from mgsnode.devnet import dev_key as dev_key_of

    mine = signing_key(
        name=key, dev=dev_key, seed_fd=seed_fd, keystore=keystore, passphrase_fd=passphrase_fd
    )
    keys = [mine, *([dev_key_of(with_dev_key)] if with_dev_key else [])]

    async def send() -> dict[str, Any]:
        async with Client(rpc) as client:
            account = sender or await own_address(client, mine.public_key)
            answer = await client.send(kind, fields, keys, sender=account, timeout_ms=timeout_ms)
            if answer.get("status") == "refused":
                tx = {"kind": kind, "sender": account, "fields": dict(fields)}
                answer |= await _facts_of(client, tx, answer.get("code"))
            return answer

    finish(asyncio.run(send()), as_json=json)
