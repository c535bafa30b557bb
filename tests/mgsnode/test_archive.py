"""A chain in one file: what was exported is audited and imported; what is wrong in it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mgsnode.archive import MAGIC, Archive, import_archive, write_archive
from mgsnode.audit import chain_at, chain_of, open_genesis
from mgsnode.base.errors import ConfigError, Corrupt, Locked, MgsError
from mgsnode.cli.main import make_app
from mgsnode.devnet import dev_genesis
from mgsnode.genesis import genesis_text
from mgsnode.home import Home
from mgsnode.snapshots import Shelf, restore_store
from state.ledger import Ledger
from tests.mgsnode.both import audit_archive, audit_home
from tests.mgsnode.small_chain import GENESIS, HEIGHTS, TXS, add_block, make_chain
from tests.mgsnode.test_audit import served


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("archive") / "home"
    make_chain(home)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    made = tmp_path / "empty"
    make_chain(made, 0)
    return made


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    out = tmp_path / "chain.mgs"
    with chain_of(home) as (genesis, source):
        assert write_archive(out, genesis, source) == HEIGHTS
    return out


def changed(file: Path, change: Callable[[bytearray], None]) -> Path:
    raw = bytearray(file.read_bytes())
    change(raw)
    file.write_bytes(bytes(raw))
    return file


def head_of(home: Path) -> tuple[int, bytes]:
    ledger = Ledger.open(Home(home).store, GENESIS)
    try:
        return ledger.head.header.height, ledger.head.hash
    finally:
        ledger.close()


def test_what_was_exported_is_audited_and_imported(home: Path, empty: Path, file: Path) -> None:
    with Archive(file) as archive:
        assert open_genesis(archive.genesis_bytes()) == GENESIS
        result = audit_archive(archive, GENESIS)
        assert (result.ok, result.height, result.transactions) == (True, HEIGHTS, HEIGHTS * TXS)
        assert import_archive(empty, archive) == (0, HEIGHTS)
        assert import_archive(empty, archive) == (HEIGHTS, HEIGHTS)  # a second time is fine
    assert head_of(empty) == head_of(home)
    assert audit_home(empty).ok


def test_an_import_goes_on_from_what_the_home_has(home: Path, empty: Path, file: Path) -> None:
    with Archive(file) as archive:
        import_archive(empty, archive)
    ledger = Ledger.open(Home(home).store, GENESIS)
    add_block(ledger)
    ledger.close()
    longer = file.with_name("longer.mgs")
    with chain_of(home) as (genesis, source):
        write_archive(longer, genesis, source)
    with Archive(longer) as archive:
        assert import_archive(empty, archive) == (HEIGHTS, HEIGHTS + 1)
    with Archive(file) as archive:  # a shorter one takes nothing away
        assert import_archive(empty, archive) == (HEIGHTS + 1, HEIGHTS + 1)


def test_a_block_that_was_changed_is_named_and_what_came_before_it_stays(
    empty: Path, file: Path
) -> None:
    with Archive(file) as archive:
        place, length = archive._places[1 + 2 * 3]  # the block of height 3

    def flip(raw: bytearray) -> None:
        raw[place + length - 20] ^= 1

    with Archive(changed(file, flip)) as archive:
        result = audit_archive(archive, GENESIS)
        assert not result.ok and str(result.fault).startswith("height 3: ")
        with pytest.raises(Corrupt, match="height 3: "):
            import_archive(empty, archive)
    assert head_of(empty)[0] == 2


def test_a_certificate_of_nobody_is_refused(empty: Path, file: Path) -> None:
    with Archive(file) as archive:
        place, length = archive._places[2 + 2 * 4]

    def flip(raw: bytearray) -> None:
        raw[place + length - 1] ^= 1

    with Archive(changed(file, flip)) as archive:
        assert str(audit_archive(archive, GENESIS).fault).startswith("height 4: certificate")
        with pytest.raises(Corrupt, match="height 4: "):
            import_archive(empty, archive)


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (slice(0, 5), "not an archive"),
        (slice(0, len(MAGIC)), "ends before"),
        (slice(0, -1), "ends in the middle"),
        (slice(0, -400), "ends in the middle"),
    ],
)
def test_a_file_that_is_no_archive_is_refused(file: Path, keep: slice, why: str) -> None:
    file.write_bytes(file.read_bytes()[keep])
    with pytest.raises(Corrupt, match=why):
        Archive(file)


def test_an_archive_of_another_chain_is_not_imported(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config").mkdir()
    Home(other).genesis.write_text(genesis_text(dev_genesis(chain_id="other")))
    with Archive(file) as archive, pytest.raises(ConfigError, match="another chain"):
        import_archive(other, archive)


def test_a_running_node_is_left_alone(home: Path, file: Path) -> None:
    ledger = Ledger.open(Home(home).store, GENESIS)
    try:
        with Archive(file) as archive, pytest.raises(Locked):
            import_archive(home, archive)
        with pytest.raises(Locked, match="stop the node, or name it with --rpc"), chain_of(home):
            pass
    finally:
        ledger.close()


def test_a_home_that_began_with_a_snapshot_has_no_whole_chain(home: Path) -> None:
    ledger = Ledger.open(Home(home).store, GENESIS)
    shelf = Shelf(Home(home).snapshots, GENESIS)
    with ledger.view() as view:
        shelf.create(view.rows)
    ledger.close()
    restore_store(shelf.folder(HEIGHTS), GENESIS, Home(home).store)
    with pytest.raises(ConfigError, match=f"from height {HEIGHTS} on"), chain_of(home):
        pass


def test_a_node_that_runs_is_exported_over_json_rpc(home: Path, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "shown.mgs"
    with served(home) as url, chain_at(url) as (genesis, source):
        assert write_archive(out, genesis, source) == HEIGHTS
    assert out.read_bytes() == file.read_bytes()


def test_the_commands(home: Path, empty: Path, tmp_path: Path) -> None:
    def run(*words: object) -> object:
        done = CliRunner().invoke(make_app(), [*map(str, words), "--json"])
        assert done.exception is None, done.exception
        return json.loads(done.stdout)

    out = tmp_path / "out.mgs"
    said = run("export", "--home", home, "--out", out)
    assert said == {
        "file": str(out), "chain": GENESIS.hash.hex(), "height": HEIGHTS,
        "bytes": out.stat().st_size,
    }  # fmt: skip
    again = CliRunner().invoke(make_app(), ["export", "--home", str(home), "--out", str(out)])
    assert isinstance(again.exception, MgsError) and "exists already" in str(again.exception)
    assert run("import", out, "--home", empty) == {
        "home": str(empty), "before": 0, "height": HEIGHTS,
    }  # fmt: skip
    audited = run("audit", "--archive", out, "--genesis", Home(home).genesis)
    assert isinstance(audited, dict) and audited["ok"] and audited["height"] == HEIGHTS
    assert CliRunner().invoke(make_app(), ["export", "--out", str(out)]).exit_code == 2
    both = ["audit", "--archive", str(out), "--home", str(home)]
    assert CliRunner().invoke(make_app(), both).exit_code == 2
