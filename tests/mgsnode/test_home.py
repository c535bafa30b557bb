"""A node's home: what is made, and what is never made twice."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError, Corrupt
from mgsnode.config import Settings
from mgsnode.devnet import dev_genesis, dev_key_file
from mgsnode.genesis import load_genesis
from mgsnode.home import Home, create_home, create_keys, load_home_genesis
from state.ledger import Ledger


def keys(home: Path, name: str = "albion") -> Path:
    create_keys(
        home,
        transport=dev_key_file(name, "transport"),
        vote=dev_key_file(name, "vote"),
        passphrase=None,
    )
    return home


def test_a_home_holds_what_the_interface_names(tmp_path: Path) -> None:
    genesis = dev_genesis()
    create_home(keys(tmp_path), genesis=genesis, settings=Settings())
    for name in ("config.toml", "genesis.json", "node_key.json", "gateway_key.json"):
        assert (tmp_path / "config" / name).is_file()
    for name in ("node_key.json", "gateway_key.json"):
        mode = (tmp_path / "config" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert any((tmp_path / "journal").iterdir())
    assert (tmp_path / "data" / "snapshots").is_dir()
    ledger = Ledger.open(Home(tmp_path).store, load_home_genesis(tmp_path))
    assert (ledger.head.header.height, ledger.genesis_hash) == (0, genesis.hash)
    ledger.close()


def test_a_home_is_made_once(tmp_path: Path) -> None:
    create_home(keys(tmp_path), genesis=dev_genesis(), settings=Settings())
    before = Home(tmp_path).gateway_key.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        create_home(keys(tmp_path, "danube"), genesis=dev_genesis(), settings=Settings())
    assert Home(tmp_path).gateway_key.read_bytes() == before
    with pytest.raises(ConfigError, match="of another chain"):
        create_home(tmp_path, genesis=dev_genesis(chain_id="other"), settings=Settings())


def test_a_store_of_another_chain_is_not_opened(tmp_path: Path) -> None:
    create_home(keys(tmp_path / "a"), genesis=dev_genesis(), settings=Settings())
    create_home(keys(tmp_path / "b"), genesis=dev_genesis(chain_id="b"), settings=Settings())
    shutil.rmtree(Home(tmp_path / "a").store)
    shutil.copytree(Home(tmp_path / "b").store, Home(tmp_path / "a").store)
    with pytest.raises((ConfigError, Corrupt)):
        Ledger.open(Home(tmp_path / "a").store, load_home_genesis(tmp_path / "a"))


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"redeem_minimun": 1}, "did you mean redeem_minimum?"),
        ({"redeem_minimum": 0}, "params.redeem_minimum: 0 is not from"),
    ],
)
def test_parameters_beyond_their_bounds_make_no_home(
    tmp_path: Path, params: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        create_home(keys(tmp_path), genesis=dev_genesis(params=params), settings=Settings())
    assert sentence in str(caught.value)
    assert not Home(tmp_path).store.exists()
    assert not Home(tmp_path).genesis.exists()


def test_a_home_with_keys_only_takes_its_genesis_later(tmp_path: Path) -> None:
    keys(tmp_path)
    with pytest.raises(ConfigError, match="mgsnode init"):
        load_home_genesis(tmp_path)
    create_home(tmp_path, genesis=dev_genesis(), settings=Settings())
    assert load_genesis(Home(tmp_path).genesis) == dev_genesis()
