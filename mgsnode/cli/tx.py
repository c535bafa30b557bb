"""Transactions by hand: build, sign (offline), send, wait, decode, simulate.

Each step reads and writes the JSON object of `mgsnode/txfile.py`, so that the signing can
happen on a machine without a network.
"""

from __future__ import annotations

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
    print_json,
    read_text,
    show,
    signing_key,
)
from mgsnode.prose import told

_WAIT_MS = 10_000
TxFile = Annotated[Path, typer.Argument(help="A transaction file; - reads standard input.")]
Out = Annotated[Path | None, typer.Option(help="Write to this file, not to the screen.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    tx = typer.Typer(
        help="Transactions: build, sign, send, wait, decode, simulate.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (build, sign, send, wait, decode, simulate):
        tx.command()(command)
    app.add_typer(tx, name="tx")


def build(
    kind: Annotated[str, typer.Argument(help="A kind, such as dollar_transfer.")],
    fields: Annotated[str, typer.Argument(help="Its fields as a JSON object; @FILE reads one.")],
    sender: Annotated[str, typer.Option(help="The sender's address.")],
    lane: Annotated[int, typer.Option(help="The sender's lane, 0 to 255.")] = 0,
    nonce: Annotated[int | None, typer.Option(help="Next of the lane, if left out.")] = None,
    valid_until: Annotated[int | None, typer.Option(help="Block time in ms.")] = None,
    fee_max: Annotated[str, typer.Option(help="Micro-dollars.")] = "",
    payer: Annotated[str, typer.Option(help="Address of who pays the fee and signs too.")] = "",
    chain: Annotated[
        str, typer.Option(help="Genesis hash: build offline; needs nonce, validity and fee.")
    ] = "",
    rpc: RpcUrl = RPC_DEFAULT,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Build a transaction. A node fills in what is left out, unless --chain is given."""
    from mgsnode.txfile import make_unsigned, tx_document

    values = _fields(fields)
    if chain:
        if nonce is None or valid_until is None or not fee_max.isdecimal():
            raise typer.BadParameter("offline: give --nonce, --valid-until and --fee-max")
        from mgsnode.client import hrp_of

        unsigned = make_unsigned(
            chain=_hash(chain, "--chain"),
            kind=kind,
            fields=values,
            sender=sender,
            hrp=hrp_of(sender),
            nonce=nonce,
            valid_until=valid_until,
            fee_max=int(fee_max),
            lane=lane,
            payer=payer,
        )
    else:
        envelope: dict[str, Any] = {"lane": lane}
        for name, value in (
            ("nonce", nonce),
            ("valid_until", valid_until),
            ("fee_max", fee_max or None),
            ("payer", payer or None),
        ):
            if value is not None:
                envelope[name] = value
        unsigned = _build_online(rpc, kind, values, sender, envelope)
    _put(tx_document(unsigned), out, as_json=json)


def _build_online(
    rpc: str, kind: str, fields: dict[str, Any], sender: str, envelope: dict[str, Any]
) -> Any:
    import asyncio

    from mgsnode.client import Client

    async def ask() -> Any:
        async with Client(rpc) as client:
            return await client.build(kind, fields, sender, **envelope)

    return asyncio.run(ask())


def sign(
    file: TxFile,
    key: KeyName = "",
    dev_key: DevKey = "",
    seed_fd: SeedFd = None,
    passphrase_fd: PassphraseFd = None,
    keystore: KeystoreDir = None,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Add a signature. Needs no network; shows what the bytes say."""
    from mgsnode.txfile import add_signatures, open_document, tx_document

    unsigned, pairs = open_document(read_text(file))
    signer = signing_key(
        name=key, dev=dev_key, seed_fd=seed_fd, keystore=keystore, passphrase_fd=passphrase_fd
    )
    _put(tx_document(unsigned, add_signatures(unsigned, pairs, [signer])), out, as_json=json)


def send(
    file: TxFile,
    committed: Annotated[
        bool, typer.Option("--committed", help="Wait until a block holds it.")
    ] = False,
    timeout_ms: Annotated[int, typer.Option(help="How long to wait.")] = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Hand a signed transaction in. Exit code 1 where a rule refused it."""
    from mgsnode.base.errors import Malformed
    from mgsnode.client import call_once
    from mgsnode.txfile import open_document, tx_document

    unsigned, pairs = open_document(read_text(file))
    if not pairs:
        raise Malformed("nobody has signed this transaction yet (mgsnode tx sign)")
    params = {
        "raw": tx_document(unsigned, pairs)["raw"],
        "wait": "committed" if committed else "accepted",
        "timeout_ms": timeout_ms,
    }
    finish(call_once(rpc, "tx_submit", params), as_json=json)


def wait(
    txid: Annotated[str, typer.Argument(help="The transaction's id.")],
    timeout_ms: Annotated[int, typer.Option(help="How long to wait.")] = _WAIT_MS,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Wait until a transaction is decided. Exit code 1 where it is not committed."""
    import asyncio

    from mgsnode.client import Client

    async def ask() -> dict[str, Any]:
        async with Client(rpc) as client:
            return await client.wait(txid, timeout_ms=timeout_ms)

    answer = asyncio.run(ask())
    show(answer, as_json=json)
    if answer["status"] != "committed":
        raise typer.Exit(1)


def decode(
    raw: Annotated[str, typer.Argument(help="A raw transaction in hex, or @FILE of one.")],
    network: Annotated[str, typer.Option(help="main, test or dev: how addresses read.")] = "test",
    json: JsonFlag = False,
) -> None:
    """What the bytes of a transaction say."""
    from mgsnode.base.address import HRP_MAIN, HRP_TEST
    from mgsnode.txfile import open_document, open_raw, tx_document

    text = read_text(Path(raw[1:])) if raw.startswith("@") else raw
    if text.lstrip().startswith("{"):
        unsigned, pairs = open_document(text)
    else:
        unsigned, pairs = open_raw(text, HRP_MAIN if network == "main" else HRP_TEST)
    show(tx_document(unsigned, pairs), as_json=json)


def simulate(file: TxFile, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """What a transaction would do at the head of a node's chain."""
    from mgsnode.client import call_once
    from mgsnode.txfile import open_document, tx_document

    unsigned, _ = open_document(read_text(file))
    tx = tx_document(unsigned)["tx"]
    show(call_once(rpc, "tx_simulate", {"tx": tx}), as_json=json)


def finish(answer: dict[str, Any], *, as_json: bool) -> None:
    """Show what `tx_submit` answered; exit code 1 for a refusal."""
    facts = answer.get("facts")
    show({**answer, "facts": told(facts)} if facts and not as_json else answer, as_json=as_json)
    if answer.get("status") == "refused":
        raise typer.Exit(1)


def _fields(text: str) -> dict[str, Any]:
    from json import loads

    if text.startswith("@"):
        text = read_text(Path(text[1:]))
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise typer.BadParameter("fields are a JSON object")
    return value


def _hash(text: str, name: str) -> bytes:
    from mgsnode.base.hashing import HASH_BYTES

    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != HASH_BYTES:
        raise typer.BadParameter(f"{name} is 64 hex digits")
    return value


def _put(document: dict[str, Any], out: Path | None, *, as_json: bool) -> None:
    from json import dumps

    if out is not None:
        out.write_text(dumps(document, indent=2) + "\n", encoding="utf-8")
        show({"file": str(out), "txid": document["txid"]}, as_json=as_json)
    elif as_json:
        print_json(document)
    else:
        print(dumps(document, indent=2))
