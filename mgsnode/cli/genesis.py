"""The genesis document: make one, carry a state over into one, check one, name its chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsnode.cli.common import JsonFlag, show, warn

if TYPE_CHECKING:
    from mgsnode.base.genesis import Genesis

GenesisArgument = Annotated[Path | None, typer.Argument(help="The document (genesis.json here).")]
GenesisOption = Annotated[Path | None, typer.Option("--genesis", help="The document.")]
GenesisHome = Annotated[Path | None, typer.Option("--home", help="The document of this node.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    genesis = typer.Typer(
        help="The genesis document: new, carry, check, hash.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    genesis.command()(new)
    genesis.command()(carry)
    genesis.command()(check)
    genesis.command("hash")(hash_)
    app.add_typer(genesis, name="genesis")


def new(
    out: Annotated[Path | None, typer.Option(help="Write to this file, not to the screen.")] = None,
    gateways: Annotated[int, typer.Option(help="How many gateways.")] = 4,
    chain_id: Annotated[str, typer.Option(help="The chain's name for people.")] = "mgs-dev",
    base_port: Annotated[int, typer.Option(help="Gateway i listens at this + 2i.")] = 26_600,
    now: Annotated[bool, typer.Option("--now", help="Begin now, not at the fixed time.")] = False,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter that departs: name=value.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """A development genesis with public keys for everyone. A draft to edit for a real one."""
    import time

    from mgsnode.base.errors import ConfigError
    from mgsnode.devnet import DEV_TIME_MS, dev_genesis
    from mgsnode.genesis import genesis_text, parse_genesis

    value = dev_genesis(
        gateways=gateways,
        base_port=base_port,
        chain_id=chain_id,
        time_ms=time.time_ns() // 1_000_000 if now else DEV_TIME_MS,
        params=_params(param or []),
    )
    text = genesis_text(value)
    _check(parse_genesis(text.encode()))
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise ConfigError(f"{out} exists already")
    out.write_text(text, encoding="utf-8")
    show({"file": str(out), "hash": value.hash.hex()}, as_json=json)


def _params(pairs: list[str]) -> dict[str, int]:
    params: dict[str, int] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if not text.isascii() or not text.isdecimal():
            raise typer.BadParameter("--param reads name=value, the value a whole number")
        params[name] = int(text)
    return params


def carry(
    home: Annotated[Path, typer.Option(help="A stopped node of the earlier chain.")],
    members: Annotated[Path, typer.Option(help="JSON list: who votes from now on.")],
    out: Annotated[Path, typer.Option(help="A new folder for genesis.json and carried/.")],
    chain_id: Annotated[str, typer.Option(help="The name for people, if another.")] = "",
    json: JsonFlag = False,
) -> None:
    """A genesis that goes on with a state whose quorum is lost. The state of the last height."""
    import time

    from mgsnode.succession import carry as make
    from mgsnode.succession import voted_beyond

    time_ms = time.time_ns() // 1_000_000
    value = make(home, members, out, chain_id=chain_id, time_ms=time_ms)
    _warn_of(voted_beyond(home, value.carried[0].height))
    answer = {
        "folder": str(out),
        "hash": value.hash.hex(),
        "height": value.carried[0].height,
        "block": value.carried[0].block_hash.hex(),
        "root": value.carried[0].state_root.hex(),
        "gateways": [gateway.name for gateway in value.gateways],
    }
    show(answer, as_json=json)


def _warn_of(voted: int | None) -> None:
    if voted is not None:
        warn(
            f"this node voted at height {voted}, which it does not hold: a lost node may have "
            "told somebody that a payment in it is final"
        )


def check(
    file: GenesisArgument = None,
    genesis: GenesisOption = None,
    home: GenesisHome = None,
    earlier: Annotated[
        Path | None,
        typer.Option(help="A stopped node of the chain whose state it takes over."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Check a genesis; exit code 3 and the field where it is wrong."""
    value = _load(file, genesis, home)
    if earlier is not None:
        from mgsnode.succession import check_earlier, voted_beyond

        last = check_earlier(value, earlier)
        _warn_of(voted_beyond(earlier, last))
    answer: dict[str, Any] = {
        "hash": value.hash.hex(),
        "chain_id": value.chain_id,
        "network": value.network,
        "gateways": len(value.gateways),
        "quorum": value.validators().quorum,
        "accounts": len(value.accounts),
        "dollars": str(sum(account.dollar for account in value.accounts)),
    }
    if value.carried:
        answer["carried_height"] = value.carried[0].height
    show(answer, as_json=json)


def hash_(
    file: GenesisArgument = None,
    genesis: GenesisOption = None,
    home: GenesisHome = None,
    json: JsonFlag = False,
) -> None:
    """The chain's name: the hash that every signature on it covers."""
    value = _load(file, genesis, home)
    if json:
        show({"hash": value.hash.hex()}, as_json=True)
    else:
        print(value.hash.hex())


def _load(file: Path | None, genesis: Path | None, home: Path | None) -> Genesis:
    from mgsnode.genesis import load_genesis

    given = [path for path in (file, genesis) if path is not None]
    if home is not None:
        given.append(home / "config" / "genesis.json")
    if len(given) > 1:
        raise typer.BadParameter("name the document once")
    value = load_genesis(given[0] if given else Path("genesis.json"))
    _check(value)
    return value


def _check(value: Genesis) -> None:
    from mgsnode.genesis_check import check_params

    check_params(value)
