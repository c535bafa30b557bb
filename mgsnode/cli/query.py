"""Anything that a node's JSON-RPC answers, as a table."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, show


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(query)


def query(
    method: Annotated[str, typer.Argument(help="A method, such as account_get.")],
    params: Annotated[
        list[str] | None,
        typer.Argument(help="name=value (text, true, false or a number), name:=JSON."),
    ] = None,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Call a method and show its answer: mgsnode query chain_block height=3."""
    from mgsnode.client import call_once

    show(call_once(rpc, method, _params(params or [])), as_json=json)


def _params(pairs: list[str]) -> dict[str, Any]:
    from json import JSONDecodeError, loads

    out: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair[:40]!r} does not read name=value")
        if name.endswith(":"):
            try:
                out[name[:-1]] = loads(text)
            except JSONDecodeError:
                raise typer.BadParameter(f"{name[:-1]}: not JSON") from None
        elif text in ("true", "false"):
            out[name] = text == "true"
        elif text.isascii() and text.isdecimal() and len(text) < 19:
            out[name] = int(text)
        else:
            out[name] = text
    return out
