"""The house's walls: who may import whom, and which room opens which door to the world."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mgsnode", "consensus", "state", "p2p", "rpc")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# package -> our packages that it may import; `mgsnode.base` is the foundation of all.
MAY_IMPORT = {
    "mgsnode.base": {"mgsnode.base"},
    "consensus": {"consensus", "mgsnode.base"},
    "state": {"state", "mgsnode.base"},
    "p2p": {"p2p", "mgsnode.base"},
    "rpc": {"rpc", "state", "mgsnode.base"},
}
# a door to the world -> the only rooms that open it
DOORS = {
    "plyvel": {"state/store.py"},
    "aiohttp": {"rpc/server.py", "rpc/gate.py", "mgsnode/client.py"},
    "msgpack": {"mgsnode/base/codec.py"},
    "nacl": {"mgsnode/base/keys.py"},
    "ssl": {"p2p"},
    "socket": {"p2p", "mgsnode/ports.py"},
    "argon2": {"mgsnode/keystore.py"},
    "mnemonic": {"mgsnode/hdkeys.py"},
    "distributed": {"mgsnode/auditors.py"},
    "prometheus_client": {"mgsnode/metrics.py"},
}
# What a pure package must not import at all.
PURE = {
    "consensus": {
        "asyncio", "time", "random", "secrets", "socket", "os", "io", "pathlib", "threading",
        "uuid", "datetime", "logging", "structlog", "subprocess", "tempfile",
    },
    "state": {"asyncio", "time", "random", "secrets", "socket", "uuid", "datetime"},
    "mgsnode.base": {"asyncio", "time", "random", "socket", "os", "pathlib", "logging"},
}  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> str:
    name = name_of(path)
    return "mgsnode.base" if name.startswith("mgsnode/base/") else name.split("/")[0]


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_something_to_judge() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_package_imports_only_what_stands_below_it(path: Path) -> None:
    package = package_of(path)
    allowed = MAY_IMPORT.get(package)
    if allowed is None:
        return  # the roof may import all
    for module in imports_of(path):
        if module.split(".")[0] not in PACKAGES or module == "mgsnode":
            continue
        home = "mgsnode.base" if module.startswith("mgsnode.base") else module.split(".")[0]
        assert home in allowed, f"{name_of(path)}: {package} must not import {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_door_to_the_world_is_opened_in_one_room(path: Path) -> None:
    name = name_of(path)
    for module in imports_of(path):
        rooms = DOORS.get(module.split(".")[0])
        if rooms is not None:
            inside = any(name == room or name.startswith(room + "/") for room in rooms)
            assert inside, f"{name} imports {module}; only {sorted(rooms)} may"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_pure_package_knows_no_clock_and_no_dice(path: Path) -> None:
    forbidden = PURE.get(package_of(path), set())
    exceptions = {("mgsnode/base/keys.py", "secrets"), ("state/store.py", "pathlib")}
    for module in imports_of(path):
        top = module.split(".")[0]
        if (name_of(path), top) not in exceptions:
            assert top not in forbidden, f"{name_of(path)} must not import {module}"


def test_except_exception_occurs_once_where_candidates_are_executed() -> None:
    """Case 69: a bug becomes an answer in one named place."""
    places = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
        )
    ]
    assert len(places) == 1 and places[0].startswith("state/candidate.py"), places


def test_every_file_opens_with_its_law() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{name_of(path)} has no law"
