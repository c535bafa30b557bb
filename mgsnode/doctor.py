"""What an operator would look at first: a home on disk, and the node that runs on it, if one does.

It only reads. It opens neither store nor journal for writing, so it may look at a running node's
home, and it never needs a passphrase.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from consensus.journal import read_journal, recover
from mgsnode.base.errors import ConfigError, MgsError
from mgsnode.base.genesis import Genesis
from mgsnode.client import RpcFailure, Unreachable, call_once
from mgsnode.config import Settings, load_settings, settings_toml
from mgsnode.genesis_check import check_params
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home, load_home_genesis
from mgsnode.keystore import read_key_info
from mgsnode.ports import busy_ports
from state.layout import check_layout
from state.registry import standard_registry

_ASK_S: Final = 5.0
_MIB: Final = 2**20
_ASKED: Final = ("node_status", "node_health")


class Check(NamedTuple):
    """One thing that was looked at. `detail` says what is wrong, or what was found."""

    name: str
    ok: bool
    detail: str


def url_of(settings: Settings) -> str:
    """Where the node with these settings answers."""
    return f"http://{settings.rpc.host}:{settings.rpc.port}"


def examine(home: Path) -> list[Check]:
    """Everything that can be looked at, in the order in which a start needs it."""
    checks: list[Check] = []

    def look(name: str, at: Callable[[], str]) -> None:
        try:
            checks.append(Check(name, True, at()))
        except (MgsError, OSError) as error:
            checks.append(Check(name, False, str(error)))

    paths = Home(home)
    look("settings", lambda: _settings_of(home))
    look("genesis", lambda: _genesis_of(home))
    look("transport key", lambda: _key(paths.node_key))
    if not checks[1].ok:  # what the genesis makes, or is held against
        return checks
    look("vote key", lambda: _vote_key(paths, home))
    look("journal", lambda: _journal(paths, home))
    look("store", lambda: _store(paths))
    if not checks[0].ok:
        return checks
    settings = load_settings(home)
    look("disk", lambda: _disk(home, settings.store.free_bytes_min))
    checks += _running(settings, home)
    return checks


def _settings_of(home: Path) -> str:
    load_settings(home)
    return str(Home(home).root / "config" / "config.toml")


def _genesis_of(home: Path) -> str:
    genesis = load_home_genesis(home)
    check_params(genesis)
    return f"{genesis.chain_id} {genesis.hash.hex()}"


def _key(path: Path) -> str:
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    info = read_key_info(path)
    return f"{info.name}, {'sealed' if info.is_sealed else 'in the clear'}"


def _vote_key(paths: Home, home: Path) -> str:
    if not paths.gateway_key.exists():
        return "none: this node observes"
    public_key = read_key_info(paths.gateway_key).public_key
    members = load_home_genesis(home).validators().members
    mine = [one.gateway for one in members if one.public_key == public_key]
    place = f"{mine[0]} in the genesis" if mine else "not in the genesis: votes if it joined since"
    return f"{_key(paths.gateway_key)}; {place}"


def _journal(paths: Home, home: Path) -> str:
    if not paths.gateway_key.exists():
        return "none is needed"
    path = paths.journal / JOURNAL_FILE
    if not path.exists():
        raise ConfigError(f"{path} is missing: the key votes no more, see `gov rotate-key`")
    opened = recover(read_journal(path.read_bytes()).records).opened
    genesis: Genesis = load_home_genesis(home)
    expected = (genesis.hash, read_key_info(paths.gateway_key).public_key)
    if (opened.genesis_hash, opened.public_key) != expected:
        raise ConfigError(f"{path} belongs to another key or chain")
    return f"{path.stat().st_size} bytes"


def _store(paths: Home) -> str:
    if not paths.store.exists():
        raise ConfigError(f"{paths.store} does not exist; make it with: mgsnode init")
    check_layout(paths.store, standard_registry())
    size = sum(file.stat().st_size for file in paths.store.iterdir() if file.is_file())
    return f"{size // _MIB} MiB; `mgsnode audit --home` looks at what is in it"


def _disk(home: Path, floor: int) -> str:
    free = shutil.disk_usage(home).free
    said = f"{free // _MIB} MiB free, the floor is {floor // _MIB}"
    if free < floor:
        raise MgsError(f"{said}: the node votes for nothing")
    return said


def _running(settings: Settings, home: Path) -> list[Check]:
    """What the node says of itself; where none answers, whether one could be started."""
    url = url_of(settings)
    try:
        status, health = (call_once(url, method, timeout_s=_ASK_S) for method in _ASKED)
    except (Unreachable, RpcFailure):
        taken = [
            port for port in (settings.p2p.port, settings.rpc.port) if port and busy_ports(port, 1)
        ]
        detail = f"nothing answers at {url}"
        if taken:
            detail += f"; another program has port {' and '.join(map(str, taken))}"
        return [Check("running", not taken, detail)]
    chain = load_home_genesis(home).hash.hex()
    if status["chain"] != chain:
        return [Check("running", False, f"{url} is a node of another chain: {status['chain']}")]
    said = f"height {status['height']}, {status['role']}, {status['peers']} peers connected"
    checks = [Check("running", bool(health["ready"]), health["why"] or said)]
    checks += [
        Check(f"health: {one['name']}", one["ok"], one["detail"]) for one in health["checks"]
    ]
    return checks


def bundle(home: Path) -> dict[str, Any]:
    """Name -> what a stranger needs to help: no key, no journal, nothing of the store but sizes."""
    settings = load_settings(home)
    parts: dict[str, Any] = {"config.toml": settings_toml(settings)}
    for method in (*_ASKED, "node_peers", "chain_head", "params_get"):
        try:
            parts[f"{method}.json"] = call_once(url_of(settings), method, timeout_s=_ASK_S)
        except (Unreachable, RpcFailure) as failure:
            parts[f"{method}.json"] = {"error": str(failure)}
    parts["files.json"] = list(_files(home))
    return parts


def _files(home: Path) -> Iterator[dict[str, object]]:
    for path in sorted(home.rglob("*")):
        try:
            if path.is_file():
                yield {"path": str(path.relative_to(home)), "bytes": path.stat().st_size}
        except FileNotFoundError:  # the store of a running node replaces its files
            continue
