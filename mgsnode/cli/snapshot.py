"""Snapshots of a home: make, list, check, begin again with one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsnode.cli.common import HomeDir, JsonFlag, show

if TYPE_CHECKING:
    from mgsnode.snapshots import Shelf
    from state.snapshot import SnapshotHead

_POLL_S = 0.2
Height = Annotated[int, typer.Option("--height", help="Which; without it, the newest.")]
Folder = Annotated[
    Path | None, typer.Option("--from", help="A snapshot's folder that is not in the home.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command()(create)
    group.command("list")(list_)
    group.command()(verify)
    group.command()(restore)
    app.add_typer(group, name="snapshot", help="Snapshots: make, list, check, restore.")


def create(
    home: HomeDir,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds, for a running node.")] = 600.0,
    json: JsonFlag = False,
) -> None:
    """Make a snapshot of the head. A node that runs on this home makes it and goes on."""
    from mgsnode.base.errors import Locked, MgsError
    from mgsnode.home import Home
    from state.layout import open_store
    from state.registry import standard_registry

    shelf = _shelf(home)
    try:
        with open_store(Home(home).store, standard_registry()) as store:
            head = shelf.create(store)
    except Locked:
        before = shelf.heights()
        shelf.want()
        deadline = time.monotonic() + wait_s
        while not (new := sorted(set(shelf.heights()) - set(before))):
            if time.monotonic() > deadline:
                raise MgsError("the running node has made no new snapshot in time") from None
            time.sleep(_POLL_S)
        head = shelf.load(new[-1])
    show(_row(head, shelf.folder(head.header.height)), as_json=json)


def list_(home: HomeDir, json: JsonFlag = False) -> None:
    """The whole snapshots of this home. Their items are not checked: see `verify`."""
    shelf = _shelf(home)
    rows = [_row(shelf.load(height), shelf.folder(height)) for height in shelf.heights()]
    show(rows, as_json=json)


def verify(
    home: HomeDir, height: Height = 0, folder: Folder = None, json: JsonFlag = False
) -> None:
    """Check every item against the certified header. Exit code 5 names the first that is wrong."""
    from mgsnode.home import load_home_genesis
    from mgsnode.snapshots import verify_folder

    chosen = folder or _chosen(_shelf(home), height)
    show(_row(verify_folder(chosen, load_home_genesis(home)), chosen), as_json=json)


def restore(
    home: HomeDir,
    height: Height = 0,
    folder: Folder = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the store has blocks; they are lost.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Make the store of a stopped node from a snapshot. The vote journal stays as it is."""
    from mgsnode.base.errors import ConfigError
    from mgsnode.home import Home, load_home_genesis
    from mgsnode.snapshots import restore_store, verify_folder
    from state.ledger import Ledger

    genesis = load_home_genesis(home)
    store = Home(home).store
    if store.exists():
        ledger = Ledger.open(store, genesis)  # `Locked` while a node runs on it
        has_blocks = ledger.head.header.height > 0
        ledger.close()
        if has_blocks and not force:
            raise ConfigError(f"{store} has blocks; --force gives them up")
    shelf = _shelf(home)
    chosen = folder or _chosen(shelf, height)
    if folder is not None:
        verify_folder(folder, genesis)
        chosen = shelf.take(folder)  # the audit begins with it
    show(_row(restore_store(chosen, genesis, store), chosen), as_json=json)


def _shelf(home: Path) -> Shelf:
    from mgsnode.home import Home, load_home_genesis
    from mgsnode.snapshots import Shelf

    return Shelf(Home(home).snapshots, load_home_genesis(home))


def _chosen(shelf: Shelf, height: int) -> Path:
    from mgsnode.base.errors import ConfigError

    heights = shelf.heights()
    if not heights or (height and height not in heights):
        raise ConfigError(f"no snapshot{f' of height {height}' if height else ''} in {shelf.root}")
    return shelf.folder(height or heights[-1])


def _row(head: SnapshotHead, folder: Path) -> dict[str, Any]:
    return {
        "height": head.header.height,
        "hash": head.hash.hex(),
        "root": head.header.state_root.hex(),
        "era": head.header.era,
        "chunks": len(head.prefixes),
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "folder": str(folder),
    }
