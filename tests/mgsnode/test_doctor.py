"""What `doctor`, `top` and `debug bundle` find: each trouble is named, no secret leaves."""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsnode.base.errors import MgsError
from mgsnode.cli.main import make_app
from mgsnode.config import Settings
from mgsnode.devnet import dev_genesis, dev_key_file
from mgsnode.doctor import examine
from mgsnode.home import Home, create_home, create_keys
from mgsnode.ports import free_base_port
from state.store import LAYOUT_FILE
from tests.mgsnode.fake_node import fake_node

STATUS = {"height": 7, "role": "validator", "peers": 3, "gateway": "albion", "uptime_s": 5}
HEALTH = {"ready": True, "why": None, "checks": [{"name": "disk", "ok": True, "detail": ""}]}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "home"
    keys = {use: dev_key_file("albion", use) for use in ("transport", "vote")}
    create_keys(made, transport=keys["transport"], vote=keys["vote"], passphrase=None)
    create_home(made, genesis=dev_genesis(), settings=Settings())
    free = free_base_port(2)
    monkeypatch.setenv("MGSNODE_P2P__PORT", str(free))
    monkeypatch.setenv("MGSNODE_RPC__PORT", str(free + 1))
    monkeypatch.setenv("MGSNODE_STORE__FREE_BYTES_MIN", "0")
    return made


def wrong(home: Path) -> dict[str, str]:
    return {check.name: check.detail for check in examine(home) if not check.ok}


def test_a_home_that_could_start_has_nothing_wrong(home: Path) -> None:
    found = {check.name: check.detail for check in examine(home)}
    assert wrong(home) == {}
    assert found["vote key"] == "albion, in the clear; albion in the genesis"
    assert found["running"].startswith("nothing answers at http://127.0.0.1:")


def test_each_trouble_is_named_and_does_not_hide_the_next(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Home(home).node_key.chmod(0o644)
    shutil.rmtree(Home(home).journal)
    shutil.rmtree(Home(home).store)
    monkeypatch.setenv("MGSNODE_STORE__FREE_BYTES_MIN", str(2**62))
    found = wrong(home)
    assert found.keys() == {"transport key", "journal", "store", "disk"}
    assert "0600" in found["transport key"] and "votes no more" in found["journal"]
    assert found["disk"].endswith("the node votes for nothing")
    Home(home).config.joinpath("config.toml").write_text("[rpc]\nprot = 1\n")
    assert "did you mean rpc.port?" in wrong(home)["settings"]
    Home(home).genesis.unlink()
    found = wrong(home)  # a home that was never finished lacks nothing else
    assert found.keys() == {"settings", "genesis", "transport key"}
    assert "does not exist" in found["genesis"]


def test_a_store_of_another_program_is_seen_without_opening_it(home: Path) -> None:
    store = Home(home).store
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert "store" not in wrong(home)
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before
    (store / LAYOUT_FILE).unlink()
    assert "another layout of rows (its mark: none" in wrong(home)["store"]


def test_a_journal_of_another_key_is_seen(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    keys = {use: dev_key_file("danube", use) for use in ("transport", "vote")}
    create_keys(other, transport=keys["transport"], vote=keys["vote"], passphrase=None)
    create_home(other, genesis=dev_genesis(), settings=Settings())
    shutil.rmtree(Home(home).journal)
    shutil.copytree(Home(other).journal, Home(home).journal)
    assert wrong(home)["journal"].endswith("belongs to another key or chain")


async def seen(home: Path, monkeypatch: pytest.MonkeyPatch, **methods: Any) -> dict[str, str]:
    async with fake_node({name: lambda _, it=it: it for name, it in methods.items()}) as url:
        monkeypatch.setenv("MGSNODE_RPC__PORT", url.rstrip("/").rsplit(":", 1)[1])
        return await asyncio.to_thread(wrong, home)


async def test_what_a_running_node_says_of_itself_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {**STATUS, "chain": dev_genesis().hash.hex()}
    assert await seen(home, monkeypatch, node_status=mine, node_health=HEALTH) == {}
    ill = {
        "ready": False,
        "why": "2 peers are needed",
        "checks": [{"name": "peers", "ok": False, "detail": "0 connected"}],
    }
    assert await seen(home, monkeypatch, node_status=mine, node_health=ill) == {
        "running": "2 peers are needed",
        "health: peers": "0 connected",
    }
    other = {**mine, "chain": "ab" * 32}
    found = await seen(home, monkeypatch, node_status=other, node_health=HEALTH)
    assert "is a node of another chain" in found["running"]


def test_the_doctor_exits_with_1_where_something_is_wrong(home: Path) -> None:
    assert CliRunner().invoke(make_app(), ["doctor", "--home", str(home)]).exit_code == 0
    shutil.rmtree(Home(home).journal)
    done = CliRunner().invoke(make_app(), ["doctor", "--home", str(home), "--json"])
    said = json.loads(done.output)
    assert (done.exit_code, said["ok"]) == (1, False)
    assert [one["name"] for one in said["items"] if not one["ok"]] == ["journal"]


def test_a_bundle_holds_no_secret(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    command = ["debug", "bundle", "--home", str(home), "--out", str(out)]
    assert CliRunner().invoke(make_app(), command).exit_code == 0
    with tarfile.open(out) as archive:
        parts = {
            Path(member.name).name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }
    assert parts.keys() >= {"doctor.json", "config.toml", "node_status.json", "files.json"}
    assert "no node answers" in json.loads(parts["node_status.json"])["error"]
    whole = b"".join(parts.values())
    for key in (Home(home).node_key, Home(home).gateway_key):
        seed = json.loads(key.read_text())["secret"]["seed"]
        assert seed.encode() not in whole
    again = CliRunner().invoke(make_app(), command)
    assert isinstance(again.exception, FileExistsError)  # it overwrites nothing


async def test_top_shows_who_answers_and_who_does_not(tmp_path: Path) -> None:
    async with fake_node({"node_status": lambda _: STATUS}) as url:
        network = {"nodes": [{"rpc": url}, {"rpc": "http://127.0.0.1:9"}]}
        (tmp_path / "localnet.json").write_text(json.dumps(network))
        command = ["top", "--net", str(tmp_path), "--once", "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, make_app(), command)
    up, down = json.loads(done.output)["items"]
    assert (up["gateway"], up["height"], up["blocks/s"]) == ("albion", 7, "0.0")
    assert down["role"] == "does not answer"


def test_top_says_what_is_no_local_network(tmp_path: Path) -> None:
    (tmp_path / "localnet.json").write_text("[]")
    done = CliRunner().invoke(make_app(), ["top", "--net", str(tmp_path), "--once"])
    assert isinstance(done.exception, MgsError) and "not a local network" in str(done.exception)
