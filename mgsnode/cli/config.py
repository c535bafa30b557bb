"""A node's settings: what holds after flags, environment, file and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mgsnode.cli.common import JsonFlag, print_json, show

OptionalHome = Annotated[Path | None, typer.Option("--home", help="The node's folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    config = typer.Typer(
        help="A node's settings: show, check.", no_args_is_help=True, rich_markup_mode=None
    )
    config.command("show")(show_)
    config.command()(check)
    app.add_typer(config, name="config")


def show_(home: OptionalHome = None, json: JsonFlag = False) -> None:
    """The settings that hold, as a config.toml."""
    from mgsnode.config import load_settings, settings_toml

    settings = load_settings(home)
    if json:
        print_json(settings.model_dump(mode="json"))
    else:
        print(settings_toml(settings), end="")


def check(
    home: Annotated[Path, typer.Option("--home", help="The node's folder.")],
    json: JsonFlag = False,
) -> None:
    """Check settings, genesis and key files. Exit code 3 names what is wrong."""
    from mgsnode.config import load_settings
    from mgsnode.genesis_check import check_params
    from mgsnode.home import Home, load_home_genesis
    from mgsnode.keystore import read_key_info

    load_settings(home)
    genesis = load_home_genesis(home)
    check_params(genesis)
    paths = Home(home)
    node_key = read_key_info(paths.node_key)
    gateway = next(
        (
            member.gateway
            for member in genesis.validators().members
            if paths.gateway_key.exists()
            and member.public_key == read_key_info(paths.gateway_key).public_key
        ),
        "",
    )
    answer = {
        "home": str(home),
        "chain": genesis.hash.hex(),
        "name": node_key.name,
        "gateway": gateway,
        "made": paths.store.exists(),
    }
    show(answer, as_json=json)
