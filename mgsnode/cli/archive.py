"""A chain in one file: `mgsnode export` and `mgsnode import`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgsnode.cli.common import HomeDir, JsonFlag, show

if TYPE_CHECKING:
    from mgsnode.archive import Progress


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("export")(export_)
    app.command("import")(import_)


def export_(
    out: Annotated[Path, typer.Option(help="The archive to write.")],
    home: Annotated[
        Path | None, typer.Option("--home", help="The folder of a stopped node.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option("--rpc", help="A node's JSON-RPC address, instead.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write the whole chain into one file. Its blocks and certificates, to audit or to import.

    It holds no state and no key. A node that began with a snapshot has no whole chain.
    """
    if (home is None) == (rpc is None):
        raise typer.BadParameter("say whose chain: --home DIR or --rpc URL")
    from mgsnode.archive import write_archive
    from mgsnode.audit import chain_at, chain_of

    with (
        _bar("blocks written") as progress,
        chain_of(home) if home is not None else chain_at(rpc or "") as (genesis, source),
    ):
        height = write_archive(out, genesis, source, progress=progress)
    answer = {"file": str(out), "chain": genesis.hash.hex(), "height": height}
    show({**answer, "bytes": out.stat().st_size}, as_json=json)


def import_(
    archive: Annotated[Path, typer.Argument(help="The archive.")],
    home: HomeDir,
    json: JsonFlag = False,
) -> None:
    """Bring a stopped node up to the end of an archive. Each block is checked and executed.

    The home is of the same genesis (`mgsnode init --genesis`); what it has already is kept. Exit
    code 5 names the first block that is wrong.
    """
    from mgsnode.archive import Archive, import_archive

    with _bar("blocks executed") as progress, Archive(archive) as opened:
        before, after = import_archive(home, opened, progress=progress)
    show({"home": str(home), "before": before, "height": after}, as_json=json)


@contextmanager
def _bar(text: str) -> Iterator[Progress]:
    """A bar on a terminal's standard error; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)
