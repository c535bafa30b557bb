"""One node: make its home, run it, ask how it is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsnode.cli.common import (
    RPC_DEFAULT,
    HomeDir,
    JsonFlag,
    PassphraseFd,
    new_passphrase,
    read_passphrase,
    show,
    warn,
)
from mgsnode.cli.readable import readable

if TYPE_CHECKING:
    from mgsnode.config import Settings

_LAST_WORDS_S = 10.0  # a node whose network is gone closes its store within this


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(init)
    app.command()(start)
    app.command()(status)
    app.command()(version)


def init(
    home: HomeDir,
    genesis: Annotated[
        Path | None,
        typer.Option(help="The chain's genesis; without it, the local development network."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the node's certificate calls it.")] = "",
    keys_only: Annotated[
        bool, typer.Option("--keys-only", help="Make the keys; the genesis does not exist yet.")
    ] = False,
    carried: Annotated[
        Path | None, typer.Option(help="The state that the genesis takes over: its folder.")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Leave the key files in the clear (mode 0600).")
    ] = False,
    passphrase_fd: PassphraseFd = None,
    json: JsonFlag = False,
) -> None:
    """Make a node's home: keys, settings, genesis, journal and store."""
    from mgsnode.config import Settings
    from mgsnode.devnet import dev_genesis
    from mgsnode.genesis import load_genesis
    from mgsnode.home import create_home, create_keys
    from mgsnode.keystore import KeyFile, forbid_core_dumps, new_seed
    from p2p.tls import make_certificate

    forbid_core_dumps()
    value = None
    if not keys_only:
        value = load_genesis(genesis) if genesis is not None else dev_genesis()
    passphrase = None if clear else new_passphrase(passphrase_fd, "Passphrase (empty: none)")
    if passphrase is None and not clear and passphrase_fd is None:
        warn("the key files stand in the clear, readable by this user alone (--passphrase-fd)")
    seed = new_seed()
    transport = KeyFile(name or "node", "transport", seed)
    if not name:
        transport = transport._replace(name=f"node-{transport.public_key.hex()[:8]}")
    transport = transport._replace(certificate=make_certificate(transport.name, seed))
    vote = KeyFile(transport.name, "vote", new_seed())
    node_info, vote_info = create_keys(home, transport=transport, vote=vote, passphrase=passphrase)
    if value is not None:
        create_home(home, genesis=value, settings=Settings(), carried=carried)
    answer: dict[str, Any] = {
        "home": str(home),
        "name": node_info.name,
        "chain": value.hash.hex() if value is not None else None,
        "vote_key": vote_info.public_key.hex(),
        "transport_certificate": node_info.certificate.hex(),
    }
    show(answer, as_json=json)


def start(
    home: HomeDir,
    p2p_port: Annotated[int | None, typer.Option(help="Port for peers.")] = None,
    rpc_port: Annotated[int | None, typer.Option(help="Port of the JSON-RPC.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "",
    from_snapshot: Annotated[
        bool, typer.Option("--from-snapshot", help="An empty home begins with one of its peers'.")
    ] = False,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting: section.key=value.")
    ] = None,
    passphrase_fd: PassphraseFd = None,
    life_fd: Annotated[int | None, typer.Option("--life-fd", hidden=True)] = None,
    json: JsonFlag = False,
) -> None:
    """Run the node until SIGTERM or Ctrl-C. With --json its log is JSON."""
    import asyncio

    from mgsnode.base.errors import ConfigError
    from mgsnode.config import load_settings
    from mgsnode.home import load_home_genesis, load_node_keys
    from mgsnode.keystore import forbid_core_dumps
    from mgsnode.log import configure_log

    if sys.flags.optimize:
        raise ConfigError("python -O takes out the assertions that this node relies on")
    if life_fd is not None:
        _end_with(life_fd)
    forbid_core_dumps()
    flags = _flags(p2p_port=p2p_port, rpc_port=rpc_port, log_level=log_level, pairs=setting or [])
    if from_snapshot:
        flags["store.from_snapshot"] = "true"
    settings = load_settings(home, flags=flags)
    load_home_genesis(home)  # its sentence, before anything is opened
    configure_log(settings.log.level, "json" if json else settings.log.format)
    keys = load_node_keys(home, passphrase_of(home, passphrase_fd))
    from mgsnode.process import run

    asyncio.run(run(home, settings, keys))


def passphrase_of(home: Path, passphrase_fd: int | None) -> bytes | None:
    """The passphrase of the node's key files, asked for only where one is sealed."""
    from mgsnode.home import Home
    from mgsnode.keystore import read_key_info

    paths = Home(home)
    files = (paths.node_key, paths.gateway_key, paths.next_gateway_key)
    if any(read_key_info(path).is_sealed for path in files if path.exists()):
        return read_passphrase(passphrase_fd)
    return None


def _flags(
    *, p2p_port: int | None, rpc_port: int | None, log_level: str, pairs: list[str]
) -> dict[str, str]:
    flags: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter("--set reads section.key=value")
        flags[key] = value
    if p2p_port is not None:
        flags["p2p.port"] = str(p2p_port)
    if rpc_port is not None:
        flags["rpc.port"] = str(rpc_port)
    if log_level:
        flags["log.level"] = log_level
    return flags


def _end_with(descriptor: int) -> None:
    """End this process when the other end of a pipe is gone: its network's parent died."""

    def watch() -> None:
        os.read(descriptor, 1)  # nobody ever writes; it returns when the last writer is gone
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_WORDS_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="life", daemon=True).start()


def status(
    rpc: Annotated[str, typer.Option("--rpc", help="A node's JSON-RPC address.")] = "",
    home: Annotated[Path | None, typer.Option(help="Ask the node with this home.")] = None,
    json: JsonFlag = False,
) -> None:
    """What a running node says about itself."""
    from mgsnode.client import call_once

    url = rpc or (_url_of(home) if home is not None else RPC_DEFAULT)
    answer = call_once(url, "node_status")
    show(answer if json else readable(answer, ()), as_json=json)


def _url_of(home: Path) -> str:
    from mgsnode.config import load_settings

    settings: Settings = load_settings(home)
    return f"http://{settings.rpc.host}:{settings.rpc.port}"


def version(json: JsonFlag = False) -> None:
    """The versions of this program and of the protocol it speaks."""
    from importlib.metadata import version as version_of

    from mgsnode.base.block import PROTOCOL_VERSION

    answer = {"version": version_of("mgsnode"), "protocol": PROTOCOL_VERSION}
    if json:
        show(answer, as_json=True)
    else:
        print(f"mgsnode {answer['version']} (protocol {answer['protocol']})")
