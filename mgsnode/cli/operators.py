"""For who runs nodes: `doctor`, `top`, `debug bundle`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, HomeDir, JsonFlag, print_json, show

_PERIOD_S = 2.0  # between two looks of `top`
_ASK_S = 1.5
_COLUMNS = (
    "gateway", "role", "height", "blocks/s", "era", "view", "primary", "peers", "mempool_txs",
    "syncing", "uptime_s",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(doctor)
    app.command()(top)
    debug = typer.Typer(
        help="To ask others for help: bundle.", no_args_is_help=True, rich_markup_mode=None
    )
    debug.callback()(lambda: None)  # or a group of one command would be that command
    debug.command()(bundle)
    app.add_typer(debug, name="debug")


def doctor(home: HomeDir, json: JsonFlag = False) -> None:
    """Look at a home and its node, and say what is wrong. Exit code 1 then.

    It changes nothing, and the node may run meanwhile.
    """
    from mgsnode.doctor import examine

    checks = examine(home)
    is_well = all(check.ok for check in checks)
    if json:
        print_json({"ok": is_well, "items": [check._asdict() for check in checks]})
    else:
        show(
            [{**one._asdict(), "ok": "ok" if one.ok else "WRONG"} for one in checks], as_json=False
        )
    if not is_well:
        raise typer.Exit(1)


def top(
    rpc: Annotated[list[str] | None, typer.Option("--rpc", help="A node; once for each.")] = None,
    net: Annotated[
        Path | None, typer.Option(help="The folder of a local network: all its nodes.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One look, then end.")] = False,
    json: JsonFlag = False,
) -> None:
    """Watch nodes until Ctrl-C. Height, view, peers and what waits, every two seconds."""
    urls = list(rpc or [])
    if net is not None:
        urls += _urls_of(net)
    urls = urls or [RPC_DEFAULT]
    before: dict[str, tuple[float, int]] = {}
    try:
        while True:
            rows = _look(urls, before)
            if json:
                print_json({"items": rows})
            else:
                if not once:
                    print("\x1b[2J\x1b[H", end="")
                show(rows, as_json=False)
            if once:
                return
            time.sleep(_PERIOD_S)
    except KeyboardInterrupt:
        return


def _urls_of(net: Path) -> list[str]:
    from json import JSONDecodeError, loads

    from mgsnode.base.errors import MgsError
    from mgsnode.cli.common import read_text

    path = net / "localnet.json"
    try:
        return [str(node["rpc"]) for node in loads(read_text(path))["nodes"]]
    except (JSONDecodeError, KeyError, TypeError):
        raise MgsError(f"{path}: not a local network's description") from None


def _look(urls: list[str], before: dict[str, tuple[float, int]]) -> list[dict[str, Any]]:
    """A row for each node; `before` keeps (when, height) of the last look."""
    from mgsnode.client import RpcFailure, Unreachable, call_once

    rows: list[dict[str, Any]] = []
    for url in urls:
        try:
            status = call_once(url, "node_status", timeout_s=_ASK_S)
        except (Unreachable, RpcFailure):
            rows.append({"node": url, **dict.fromkeys(_COLUMNS, ""), "role": "does not answer"})
            continue
        now = time.monotonic()
        at, height = before.get(url, (now, status["height"]))
        before[url] = (now, status["height"])
        rate = (status["height"] - height) / (now - at) if now > at else 0.0
        row = {"node": url, **{name: status.get(name) for name in _COLUMNS}}
        rows.append({**row, "blocks/s": f"{rate:.1f}"})
    return rows


def bundle(
    home: HomeDir,
    out: Annotated[Path, typer.Option(help="The .tar.gz to write.")],
    json: JsonFlag = False,
) -> None:
    """Pack what somebody needs who is to help. No key, no journal, no logs.

    Settings, what the node says of itself, the doctor's findings, versions, names and sizes of
    files. Add the log: the node writes it to standard error.
    """
    import platform
    import sys
    from importlib.metadata import version as version_of

    from mgsnode.doctor import bundle as gather
    from mgsnode.doctor import examine

    parts = {
        "doctor.json": [check._asdict() for check in examine(home)],
        "versions.json": {
            "mgsnode": version_of("mgsnode"),
            "python": sys.version,
            "system": platform.platform(),
        },
        **gather(home),
    }
    _pack(parts, out)
    show({"file": str(out), "parts": len(parts), "bytes": out.stat().st_size}, as_json=json)


def _pack(parts: dict[str, Any], out: Path) -> None:
    import io
    import tarfile
    from json import dumps

    with tarfile.open(out, "x:gz") as archive:
        for name, part in parts.items():
            text = part if isinstance(part, str) else dumps(part, indent=2, ensure_ascii=False)
            entry = tarfile.TarInfo(f"mgsnode-debug/{name}")
            entry.size, entry.mtime = len(text.encode()), int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
