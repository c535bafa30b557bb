"""Auditing a stopped home and a node over JSON-RPC: what is good is OK, what is wrong is named."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from mgsnode.audit import genesis_of, line_of, open_genesis
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Corrupt
from mgsnode.cli.main import main, make_app
from mgsnode.client import Unreachable
from mgsnode.devnet import dev_genesis
from mgsnode.genesis import genesis_text
from mgsnode.home import Home
from mgsnode.snapshots import Shelf, restore_store
from rpc.limits import RpcSettings
from rpc.server import RpcServer
from state import chain
from state.ledger import Ledger
from state.store import LAYOUT_FILE, Store
from tests.mgsnode.both import audit_home, audit_rpc
from tests.mgsnode.small_chain import GENESIS, HEIGHTS, TXS, add_block, make_chain
from tests.rpc.devnode import DevNode

PROGRAM = (sys.executable, "-m", "mgsnode.cli.main")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("audit") / "home"
    make_chain(home)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object) -> Done:
    """`mgsnode audit` in this process: its exit code and what it said."""
    argv, hook = sys.argv, sys.excepthook
    sys.argv = ["mgsnode", "audit", *map(str, arguments)]
    code: object = 0
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv, sys.excepthook = argv, hook
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def command_elsewhere(*arguments: object) -> Done:
    """The same in a process of its own."""
    done = subprocess.run(
        [*PROGRAM, "audit", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


# A stopped home -----------------------------------------------------------------------------


def test_a_good_home_ends_in_one_line(home: Path) -> None:
    done = command_elsewhere("--home", home)
    assert done.returncode == 0, done.stderr
    result = audit_home(home)
    expected = (
        f"OK height {HEIGHTS} root {result.root.hex()} "
        f"certificates {HEIGHTS} transactions {HEIGHTS * TXS}"
    )
    assert line_of(result) == expected
    assert done.stdout == expected + "\n"


def test_the_audit_tells_how_far_it_is(home: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    audit_home(home, progress=lambda *step: seen.append(step))
    assert [done for what, done, _ in seen if what == "replay"] == list(range(HEIGHTS + 1))


def test_the_report_is_a_page_and_a_csv_beside_it(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = command("--home", home, "--report", page)
    assert done.returncode == 0, done.stderr
    assert page.read_text().startswith("<!doctype html>")
    assert (tmp_path / "report.csv").read_text().startswith("gateway,period,end_ms,issued")
    assert command("--home", home, "--report", tmp_path / "table.csv").returncode == 2
    nowhere = command("--home", home, "--report", tmp_path / "none" / "report.html")
    assert nowhere.returncode == 1 and "cannot be written" in nowhere.stderr


def change(home: Path, key: bytes, at: int) -> None:
    """One byte of a stored row."""
    with Store.open(Home(home).store) as store:
        value = store.get(key)
        assert value is not None
        changed = bytearray(value)
        changed[at] ^= 1
        with store.batch() as batch:
            batch.put(key, bytes(changed))


ROWS = {
    "a block": (chain.BLOCK + (3).to_bytes(8, "big"), 60, "height 3"),
    "a certificate": (chain.CERTIFICATE + (2).to_bytes(8, "big"), -5, "height 2: certificate"),
    "a receipt": (chain.RECEIPTS + (4).to_bytes(8, "big"), -5, "height 4"),
}


@pytest.mark.parametrize("what", ROWS)
def test_one_changed_byte_is_named_and_exits_5(what: str, home: Path) -> None:
    key, at, named = ROWS[what]
    change(home, key, at)
    done = command("--home", home)
    assert done.returncode == 5
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    shown = command("--home", home, "--json")
    assert shown.returncode == 5
    assert json.loads(shown.stdout)["fault"] in done.stderr


def test_a_changed_balance_is_named(home: Path) -> None:
    with Store.open(Home(home).store) as store:
        rows = [key for key, _ in store.iterate(prefix=b"s\x10")]
    change(home, rows[0], -1)
    assert "account" in str(audit_home(home).fault)


def test_a_flipped_byte_in_a_table_file_is_corruption(home: Path) -> None:
    with Store.open(Home(home).store) as store:
        store.compact()
    table = max(Home(home).store.glob("*.ldb"), key=lambda path: path.stat().st_size)
    raw = bytearray(table.read_bytes())
    raw[len(raw) // 3] ^= 1
    table.write_bytes(bytes(raw))
    assert command("--home", home).returncode == 5


@pytest.mark.parametrize("pattern", ["*.ldb", "MANIFEST-*", "CURRENT", "*.log"])
def test_a_file_cut_short_is_a_sentence_and_exits_5(pattern: str, home: Path) -> None:
    if pattern == "*.ldb":
        with Store.open(Home(home).store) as store:
            store.compact()
    file = max(Home(home).store.glob(pattern), key=lambda path: path.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = command("--home", home)
    assert done.returncode == 5, done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_store_that_lost_its_last_blocks_is_found_by_the_votes(
    home: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    make_chain(older, HEIGHTS - 2)
    shutil.rmtree(Home(home).store)
    shutil.copytree(Home(older).store, Home(home).store)
    fault = audit_home(home).fault
    assert fault == f"the store ends at height {HEIGHTS - 2}, but this node voted at height 5"


def test_a_store_of_another_program_exits_3_and_the_way_back_keeps_keys_and_journal(
    home: Path,
) -> None:
    paths = Home(home)
    (paths.store / LAYOUT_FILE).write_text("0-00\n")
    done = command("--home", home)
    assert done.returncode == 3 and "another layout of rows (its mark: 0-00" in done.stderr
    kept = [paths.gateway_key.read_bytes(), *map(Path.read_bytes, paths.journal.iterdir())]
    paths.store.rename(paths.store.with_name("store.other"))
    init = ["init", "--home", str(home), "--genesis", str(paths.genesis), "--clear"]
    assert CliRunner().invoke(make_app(), init).exit_code == 0
    Ledger.open(paths.store, GENESIS).close()
    assert kept == [paths.gateway_key.read_bytes(), *map(Path.read_bytes, paths.journal.iterdir())]


def test_a_locked_store_exits_4(home: Path) -> None:
    # From another process only: POSIX forgets a lock when its own process opens the file again.
    ledger = Ledger.open(Home(home).store, GENESIS)
    try:
        done = command_elsewhere("--home", home)
        assert done.returncode == 4
        assert "in use by another process" in done.stderr
    finally:
        ledger.close()


def test_no_home_and_a_home_of_another_genesis_are_told_apart(home: Path, tmp_path: Path) -> None:
    assert command("--home", tmp_path / "absent").returncode == 3
    with pytest.raises(ConfigError):
        audit_home(tmp_path / "absent")
    other = dev_genesis(gateways=4, time_ms=1)
    Home(home).genesis.write_text(genesis_text(other), encoding="utf-8")
    result = audit_home(home)
    assert not result.ok
    assert "height 0" in str(result.fault)


def test_the_command_wants_one_thing_to_audit(tmp_path: Path) -> None:
    assert command().returncode == 2
    assert command("--home", tmp_path, "--rpc", "http://127.0.0.1:1").returncode == 2
    assert command("--home", tmp_path, "--genesis", tmp_path).returncode == 2


# Over JSON-RPC ------------------------------------------------------------------------------


class Shown(DevNode):
    """A node that shows the chain of a home and makes no blocks."""

    def __init__(self, home: Path) -> None:
        self.ledger = Ledger.open(Home(home).store, GENESIS)
        self.genesis_hash = self.ledger.genesis_hash
        self.hrp = self.ledger.hrp
        self._grown = asyncio.Event()
        self.waiting = []


@contextmanager
def served(home: Path, lie: Callable[[Shown], None] = lambda _node: None) -> Iterator[str]:
    """The address of a node, on a thread of its own, that shows the chain of `home`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[Shown, RpcServer]:
        node = Shown(home)
        lie(node)
        server = RpcServer(node, RpcSettings())
        await server.start()
        return node, server

    node, server = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        node.ledger.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_chain_is_replayed_from_what_a_node_shows(home: Path, tmp_path: Path) -> None:
    ours = tmp_path / "genesis.json"
    ours.write_text(genesis_text(GENESIS), encoding="utf-8")
    with served(home) as url:
        assert genesis_of(url) == GENESIS
        result = audit_rpc(url, GENESIS)
        done = command("--rpc", url)
        pinned = command("--rpc", url, "--genesis", ours)
    assert line_of(result) == line_of(audit_home(home))
    assert done.returncode == 0, done.stderr
    assert done.stdout == pinned.stdout == line_of(result) + "\n"
    assert GENESIS.hash.hex() in done.stderr
    assert pinned.stderr == ""


def test_a_node_of_another_chain_is_found_out_at_height_0(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(genesis_text(dev_genesis(gateways=4, time_ms=7)), encoding="utf-8")
    with served(home) as url:
        done = command("--rpc", url, "--genesis", other)
    assert done.returncode == 5
    assert "height 0" in done.stderr


def test_a_node_that_shows_a_changed_block_is_found_out(home: Path) -> None:
    change(home, chain.CERTIFICATE + (3).to_bytes(8, "big"), -5)
    with served(home) as url:
        result = audit_rpc(url, GENESIS)
    assert not result.ok
    assert str(result.fault).startswith("height 3: certificate")
    assert (result.height, result.certificates) == (2, 2)


def test_nobody_there_is_an_ordinary_error() -> None:
    done = command("--rpc", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no node answers" in done.stderr
    with pytest.raises(Unreachable):
        genesis_of("http://127.0.0.1:9")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        encode(()),
        encode(tuple(GENESIS)[:-1]),
        encode(GENESIS._replace(network="moon")),  # type: ignore[arg-type]
        encode(GENESIS._replace(gateways=())),
        encode(GENESIS._replace(gateways=(1,))),  # type: ignore[arg-type]
        encode(GENESIS._replace(gateways=GENESIS.gateways[:1] * 2)),
        encode(GENESIS._replace(params=(("no-such", "x"),))),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_genesis_is_corruption_and_nothing_worse(raw: bytes) -> None:
    with pytest.raises(Corrupt):
        open_genesis(raw)
    assert open_genesis(encode(GENESIS)) == GENESIS


def make_base(home: Path) -> None:
    """A home that began with the snapshot of height 3 and went on to height 5."""
    make_chain(home, heights=3)
    paths = Home(home)
    shelf = Shelf(paths.snapshots, GENESIS)
    with Store.open(paths.store) as store:
        shelf.create(store)
    restore_store(shelf.folder(3), GENESIS, paths.store)
    ledger = Ledger.open(paths.store, GENESIS)
    for _ in range(2):
        add_block(ledger)
    ledger.close()


def test_a_store_that_began_with_a_snapshot_vouches_from_there_and_says_so(tmp_path: Path) -> None:
    make_base(tmp_path)
    result = audit_home(tmp_path)
    assert (result.ok, result.height, result.since, result.certificates) == (True, 5, 3, 2)
    assert line_of(result).endswith(" since 3")


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (chain.height_key(b"b", 3), "height 3: "),
        (chain.height_key(b"c", 3), "height 3: certificate"),
        (chain.height_key(b"r", 3), "height 3: receipts"),
        (chain.height_key(b"c", 4), "height 4: certificate"),
        (b"mbase", "base row"),
    ],
)
def test_what_is_changed_in_such_a_store_is_named(tmp_path: Path, key: bytes, named: str) -> None:
    make_base(tmp_path)
    with Store.open(Home(tmp_path).store) as store:
        raw = store.get(key)
        assert raw is not None
        with store.batch() as batch:
            batch.put(
                key, encode((3, (b"",))) if key == b"mbase" else raw[:-1] + bytes([raw[-1] ^ 1])
            )
    try:
        fault = audit_home(tmp_path).fault
    except Corrupt as error:
        fault = str(error)
    assert fault is not None and named in fault


def test_such_a_store_cannot_be_audited_without_its_snapshot(tmp_path: Path) -> None:
    make_base(tmp_path)
    folder = Home(tmp_path).snapshots / "3"
    folder.rename(folder.with_name("x3"))
    with pytest.raises(ConfigError, match="height 3"):
        audit_home(tmp_path)
