"""Anything that a node's JSON-RPC answers, as a table."""

from __future__ import annotations

from json import dumps
from typing import Annotated, Any, Final

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, show


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(query)


def query(
    method: Annotated[str, typer.Argument(help="A method, such as account_get.")],
    params: Annotated[
        list[str] | None,
        typer.Argument(help="name=value (text, true, false, a number or an amount), name:=JSON."),
    ] = None,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Call a method and show its answer. Such as: mgsnode query chain_block height=3

    `mgsnode query gateways` shows the gateways' figures in dollars. What does not fit beside each
    other stands below each other.
    """
    from mgsnode.client import call_once

    table = _TABLES.get(method)
    values = _params(params or [])
    if not table and any(type(value) is int for value in values.values()):
        values = _as_declared(values, call_once(rpc, "rpc.discover"), method)
    answer = call_once(rpc, table[0] if table else method, values)
    if table and not json:
        answer["items"] = [
            {name: _column(row, name) for name in table[1]} for row in answer["items"]
        ]
    show(answer, as_json=json)


# Name of a table -> (method, its columns).
_TABLES: Final = {
    "gateways": (
        "gateway_list",
        ("gateway", "country", "status", "position", "room", "attested", "gone", "announced",
         "waiting", "issued", "burned", "strikes", "bond", "stops"),
    ),
}  # fmt: skip


def _column(row: dict[str, Any], name: str) -> Any:
    """A figure in whole units with two decimals, cut; a list of stops by their reasons."""
    value = row.get(name, "")
    if name == "stops":
        return ", ".join(stop["why"] for stop in value) or "none"
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        cents = abs(int(value)) // 10_000
        return f"{'-' if int(value) < 0 else ''}{cents // 100:,}.{cents % 100:02}"
    return value


def _as_declared(values: dict[str, Any], api: dict[str, Any], method: str) -> dict[str, Any]:
    """`values` with digits as text where the node's description wants text, such as an amount."""
    declared: list[dict[str, Any]] = next(
        (one["params"] for one in api["methods"] if one["name"] == method), []
    )
    texts = {one["name"] for one in declared if '"string"' in dumps(one["schema"])}
    return {
        name: str(value) if name in texts and type(value) is int else value
        for name, value in values.items()
    }


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
        elif text.isascii() and text.isdecimal() and len(text) < 19 and str(int(text)) == text:
            out[name] = int(text)
        else:
            out[name] = text
    return out
