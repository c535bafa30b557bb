"""Check a chain without trusting its node: `mgsnode audit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsnode.cli.common import JsonFlag, print_json, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from mgsnode.base.genesis import Genesis
    from state.ahead import Workers
    from state.audit import AuditResult
    from state.view import View


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
    archive: Annotated[
        Path | None, typer.Option(help="A file that `mgsnode export` wrote, instead.")
    ] = None,
    genesis: Annotated[
        Path | None,
        typer.Option(help="Not of a home: the chain's genesis, so that no other is taken."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Processes that check hashes and signatures ahead.")
    ] = 0,
    cluster: Annotated[
        str | None, typer.Option(help="The same on the workers of a dask scheduler: its address.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write the trial balance over time: a page here, CSV beside it."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Replay a chain from its genesis and believe nobody. Looks at hashes, certificates,
    signatures, execution, roots, laws.

    Of a stopped node every stored row is compared too. Ends in one line, OK or what is wrong
    first; the exit code is 5 then.
    """
    if sum(one is not None for one in (home, rpc, archive)) != 1:
        raise typer.BadParameter("say what to audit: --home DIR, --rpc URL or --archive FILE")
    if genesis is not None and home is not None:
        raise typer.BadParameter("--genesis goes with --rpc or --archive; a home has its own")
    if cluster is not None and workers:
        raise typer.BadParameter("say who checks ahead: --workers N or --cluster ADDRESS")
    if report is not None and report.suffix in ("", ".csv"):
        raise typer.BadParameter("--report names a page, such as report.html; the CSV is beside it")
    from mgsnode.audit import line_of
    from mgsnode.auditors import open_auditors
    from mgsnode.base.errors import Corrupt

    with open_auditors(workers, cluster) as auditors:
        result = _audit(home, rpc, archive, genesis, report, auditors)
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


def _audit(
    home: Path | None,
    rpc: str | None,
    archive: Path | None,
    genesis: Path | None,
    report: Path | None,
    workers: Workers | None,
) -> AuditResult:
    from mgsnode.archive import Archive
    from mgsnode.audit import audit_archive, audit_home, audit_rpc, genesis_of, open_genesis
    from mgsnode.genesis import load_genesis

    def write(view: View) -> None:
        if report is not None:
            _write_report(view, report)

    def told(theirs: Callable[[], Genesis]) -> Genesis:
        """The genesis that was named, else theirs, with a word of caution."""
        if genesis is not None:
            return load_genesis(genesis)
        known = theirs()
        warn(f"the genesis is the {whose} own; compare its hash: {known.hash.hex()}")
        return known

    with _Progress() as progress:
        if home is not None:
            return audit_home(home, progress=progress.on, workers=workers, inspect=write)
        if archive is not None:
            whose = "archive's"
            with Archive(archive) as chain:
                known = told(lambda: open_genesis(chain.genesis_bytes()))
                return audit_archive(
                    chain, known, progress=progress.on, workers=workers, inspect=write
                )
        assert rpc is not None
        whose = "node's"
        known = told(lambda: genesis_of(rpc))
        return audit_rpc(rpc, known, progress=progress.on, workers=workers, inspect=write)


def _write_report(view: View, page: Path) -> None:
    """The page, and the CSV under the same name with its own ending."""
    from mgsnode.base.errors import MgsError
    from mgsnode.report import read_report, report_csv, report_html

    table = page.with_suffix(".csv")
    found = read_report(view)
    try:
        page.write_text(report_html(found), encoding="utf-8")
        table.write_text(report_csv(found), encoding="utf-8")
    except OSError as error:
        raise MgsError(f"{page}: cannot be written: {error.strerror}") from None


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
