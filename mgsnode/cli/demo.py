"""The demo: real trade on a network of real node processes, in a folder that is thrown away."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from mgsnode.cli.common import JsonFlag, print_json, warn

if TYPE_CHECKING:
    from mgsnode.localnet import Localnet

_WATCH_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(demo)


def demo(
    gateways: Annotated[int, typer.Option(help="How many gateways.", min=1, max=31)] = 4,
    data: Annotated[
        Path | None, typer.Option(help="Another trade file of the same format (CSV).")
    ] = None,
    reviews: Annotated[
        Path | None, typer.Option(help="Another file of reviews of the same format (CSV).")
    ] = None,
    gbp_usd: Annotated[str, typer.Option(help="Dollars for a pound.")] = "1.56",
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the network up at the end, until Ctrl-C.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Replay a shop's real trade on a new network, compare all nodes, audit the chain.

    Exit code 0: everything agrees with the file and the audit is OK. 5: the audit found a fault.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it the same way
    from mgsnode.demo.run import Options, load_files, make_network, run
    from mgsnode.demo.screen import Screen
    from mgsnode.demo.summary import show

    options = Options(gateways, data, reviews, gbp_usd)
    trade, opinions = load_files(options)
    net: Localnet | None = None
    with TemporaryDirectory(prefix="mgsnode-demo-") as folder:
        try:
            with Screen(sys.stderr if json else sys.stdout) as screen:
                net = make_network(Path(folder), trade, gateways)
                summary = run(net, trade, opinions, screen, keep=serve)
            if not json:
                show(summary, screen)
            if serve:
                for node in net.nodes:
                    print(f"{node.name:<12} {node.rpc}  home {node.home}", flush=True)
            if json:
                print_json(summary.document())
            if serve:
                _wait(net)
        except KeyboardInterrupt:
            if not serve:
                warn("stopped")
                raise typer.Exit(1) from None
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes its time, but it ends
            if net is not None:
                net.stop()


def _wait(net: Localnet) -> None:
    warn("the network stays up; Ctrl-C ends it")
    alive = {node.place for node in net.nodes}
    while alive:
        for place in sorted(alive):
            if not net.is_alive(place):
                alive.discard(place)
                warn(f"{net.nodes[place].name} ended")
        time.sleep(_WATCH_S)
