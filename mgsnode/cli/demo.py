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
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """Replay a shop's real trade on a new network and audit it.

    Exit code 0: everything agrees with the files and the audit is OK. 3: a file or the rate is bad.
    5: the audit found a fault. 1: anything else.
    """
    _end_as_by_ctrl_c()
    from mgsnode.demo.run import Options, load_files, make_network, run
    from mgsnode.demo.screen import Screen
    from mgsnode.demo.summary import show

    options = Options(gateways, data, reviews, gbp_usd)
    trade, opinions = load_files(options)
    net: Localnet | None = None
    served = False
    with TemporaryDirectory(prefix="mgsnode-demo-") as folder:
        try:
            with Screen(sys.stderr if json else sys.stdout) as screen:
                net = make_network(Path(folder), trade, gateways)
                summary = run(net, trade, opinions, screen, keep=serve)
            if not json:
                show(summary, screen)
            if serve:
                for node in net.nodes:
                    line = f"{node.name:<12} {node.rpc}  home {node.home}"
                    print(line, file=sys.stderr if json else sys.stdout, flush=True)
            if json:
                print_json(summary.document())
            if serve:
                served = True
                _wait(net)
        except KeyboardInterrupt:
            if not served:
                warn("stopped")
                raise typer.Exit(1) from None
        finally:
            for number in _ENDING:  # ending takes its time, but it ends
                signal.signal(number, signal.SIG_IGN)
            if net is not None:
                net.stop()


def _end_as_by_ctrl_c() -> None:
    """Being told to end, and the terminal's end, are a Ctrl-C: nothing is left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.raise_signal(signal.SIGINT)  # whose handler is asyncio's while it runs

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's `&` has it ignored
    for number in _ENDING[1:]:
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores the terminal's end
            signal.signal(number, interrupt)


def _wait(net: Localnet) -> None:
    warn("the network stays up; Ctrl-C ends it")
    alive = {node.place for node in net.nodes}
    while alive:
        for place in sorted(alive):
            if not net.is_alive(place):
                alive.discard(place)
                warn(f"{net.nodes[place].name} ended")
        time.sleep(_WATCH_S)
