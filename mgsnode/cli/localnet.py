"""A network of real node processes on this machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsnode.cli.common import JsonFlag, print_json, warn

if TYPE_CHECKING:
    from mgsnode.localnet import Localnet

_WATCH_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(localnet)


def localnet(
    home: Annotated[Path, typer.Option("--home", help="The network's folder.")],
    gateways: Annotated[
        int | None, typer.Option(help="How many nodes, when it is made (4).", min=1, max=31)
    ] = None,
    base_port: Annotated[
        int | None,
        typer.Option(help="Node i uses this + 2i for peers and the next for JSON-RPC (26600)."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make (the first time) and run a local network. It restarts no node that dies."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it the same way
    net: Localnet | None = None
    try:
        net = _network(home, gateways, base_port)
        net.start()
        if json:
            print_json(net.document())
        else:
            for node in net.nodes:
                print(f"{node.name:<12} {node.rpc}  pid {net.pid(node.place)}", flush=True)
        _watch(net)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes its time, but it ends
        if net is not None:
            net.stop()


def _network(home: Path, gateways: int | None, base_port: int | None) -> Localnet:
    from mgsnode.base.errors import ConfigError
    from mgsnode.config import BASE_PORT
    from mgsnode.localnet import Localnet

    if not Localnet.exists(home):
        return Localnet.create(home, gateways=gateways or 4, base_port=base_port or BASE_PORT)
    net = Localnet.open(home)
    if gateways is not None and gateways != len(net.nodes):
        raise ConfigError(f"{home} holds a network of {len(net.nodes)} gateways")
    if base_port is not None and base_port != net.nodes[0].p2p_port:
        raise ConfigError(f"{home} holds a network at base port {net.nodes[0].p2p_port}")
    return net


def _watch(net: Localnet) -> None:
    """Say who dies; carry on with the others until a signal comes."""
    alive = {node.place for node in net.nodes}
    while True:
        for place in sorted(alive):
            if not net.is_alive(place):
                alive.discard(place)
                node = net.nodes[place]
                warn(f"{node.name} ended; bring it back with: mgsnode start --home {node.home}")
        time.sleep(_WATCH_S)
