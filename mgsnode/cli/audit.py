"""Check a chain without trusting its node: `mgsnode audit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsnode.cli.common import JsonFlag, print_json, warn

if TYPE_CHECKING:
    from state.audit import AuditResult


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(audit)


def audit(
    home: Annotated[
        Path | None, typer.Option("--home", help="The folder of a stopped node.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option("--rpc", help="A node's JSON-RPC address, instead.")
    ] = None,
    genesis: Annotated[
        Path | None,
        typer.Option(help="With --rpc: the chain's genesis, so that the node's is not taken."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Replay a chain from its genesis: hashes, certificates, signatures, execution, roots, laws.

    Of a stopped node every stored row is compared too. Ends in one line, OK or what is wrong
    first; the exit code is 5 then.
    """
    if (home is None) == (rpc is None):
        raise typer.BadParameter("say what to audit: --home DIR or --rpc URL")
    if genesis is not None and rpc is None:
        raise typer.BadParameter("--genesis goes with --rpc; a home has its own")
    from mgsnode.audit import line_of
    from mgsnode.base.errors import Corrupt

    result = _audit(home, rpc, genesis)
    if json:
        print_json(
            {
                "ok": result.ok,
                "height": result.height,
                "root": result.root.hex(),
                "certificates": result.certificates,
                "transactions": result.transactions,
                "since": result.since,
                "fault": result.fault,
            }
        )
    elif result.ok:
        print(line_of(result), flush=True)
    if not result.ok:
        raise Corrupt(f"audit: {result.fault}")


def _audit(home: Path | None, rpc: str | None, genesis: Path | None) -> AuditResult:
    from mgsnode.audit import audit_home, audit_rpc, genesis_of
    from mgsnode.genesis import load_genesis

    with _Progress() as progress:
        if home is not None:
            return audit_home(home, progress=progress.on)
        assert rpc is not None
        if genesis is not None:
            return audit_rpc(rpc, load_genesis(genesis), progress=progress.on)
        known = genesis_of(rpc)
        warn(f"the genesis is the node's own; compare its hash: {known.hash.hex()}")
        return audit_rpc(rpc, known, progress=progress.on)


class _Progress:
    """A bar on a terminal's standard error; elsewhere nothing."""

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._tasks = {
            what: self._bar.add_task(text, total=None, visible=False)
            for what, text in (("replay", "blocks replayed"), ("rows", "rows compared"))
        }
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on(self, what: str, done: int, of: int) -> None:
        """As `state.audit.Progress`."""
        self._bar.update(self._tasks[what], completed=done, total=of or None, visible=True)
