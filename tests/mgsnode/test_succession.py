"""A genesis that takes over a state (case 75): what it is made of, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mgsnode.audit import audit_home, audit_rpc, open_genesis
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Corrupt
from mgsnode.base.genesis import Genesis
from mgsnode.config import Settings
from mgsnode.devnet import DEV_TIME_MS, dev_genesis, dev_key, dev_key_file
from mgsnode.genesis import genesis_document, genesis_text, load_genesis, parse_genesis
from mgsnode.guard import Guard, NoJournal
from mgsnode.home import Home, create_home, create_keys
from mgsnode.succession import carry, check_earlier, voted_beyond
from state.ledger import Ledger
from tests.mgsnode.small_chain import GENESIS, HEIGHTS, add_block, make_chain

NAMES = [gateway.name for gateway in GENESIS.gateways]
LATER_MS = DEV_TIME_MS + 10**9
Members = list[dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("succession") / "home"
    make_chain(home)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def make(home: Path, members: object, *, time_ms: int = LATER_MS) -> tuple[Genesis, Path]:
    """The genesis of these members, and its folder."""
    listed = home.parent / "members.json"
    listed.write_text(json.dumps(members), encoding="utf-8")
    out = home.parent / "out"
    return carry(home, listed, out, chain_id="", time_ms=time_ms), out


def as_they_were() -> Members:
    return [{"name": name} for name in NAMES]


def settle_in(genesis: Genesis, out: Path, home: Path) -> Path:
    """A home of the new chain, with the key that the first gateway had."""
    keys = {use: dev_key_file(NAMES[0], use) for use in ("transport", "vote")}  # type: ignore[arg-type]
    create_keys(home, **keys, passphrase=None)
    create_home(home, genesis=genesis, settings=Settings(), carried=out / "carried")
    return home


def test_the_document_names_the_last_block_and_reads_back_as_itself(home: Path) -> None:
    genesis, out = make(home, as_they_were())
    assert (genesis.carried[0].genesis_hash, genesis.carried[0].height) == (GENESIS.hash, HEIGHTS)
    assert genesis.validators() == GENESIS.validators()
    assert genesis.hash != GENESIS.hash
    assert load_genesis(out / "genesis.json") == genesis
    assert parse_genesis(genesis_text(genesis).encode()) == genesis
    assert open_genesis(encode(genesis)) == genesis
    assert check_earlier(genesis, home) == HEIGHTS
    assert voted_beyond(home, HEIGHTS) is None and voted_beyond(home, HEIGHTS - 1) == HEIGHTS


def test_a_home_of_it_passes_its_audit_and_a_spoiled_state_does_not(home: Path) -> None:
    genesis, out = make(home, as_they_were())
    fresh = settle_in(genesis, out, home.parent / "fresh")
    result = audit_home(fresh)
    assert result.ok and result.height == 0
    chunk = next(iter(Home(fresh).carried.glob("chunk-*")))
    raw = chunk.read_bytes()
    chunk.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(Corrupt, match="rows"):
        audit_home(fresh)
    chunk.unlink()
    with pytest.raises(Corrupt, match=chunk.name):
        audit_home(fresh)
    with pytest.raises(ConfigError, match="audit a home"):
        audit_rpc("http://127.0.0.1:1", genesis)


def test_a_home_needs_the_state_and_only_where_the_genesis_takes_one_over(home: Path) -> None:
    genesis, out = make(home, as_they_were())
    keys = {use: dev_key_file(NAMES[0], use) for use in ("transport", "vote")}  # type: ignore[arg-type]
    create_keys(home.parent / "a", **keys, passphrase=None)
    with pytest.raises(ConfigError, match="name both"):
        create_home(home.parent / "a", genesis=genesis, settings=Settings())
    with pytest.raises(ConfigError, match="name both"):
        create_home(
            home.parent / "a", genesis=GENESIS, settings=Settings(), carried=out / "carried"
        )
    (out / "carried" / "head").unlink()
    with pytest.raises(Corrupt, match="head is missing"):
        create_home(
            home.parent / "a", genesis=genesis, settings=Settings(), carried=out / "carried"
        )


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "not a JSON list"),
        (["albion"], "not a JSON list"),
        ([], "gateways"),
        ([*as_they_were()[:3], {"name": NAMES[3], "bond": "1"}], "bond is that of the earlier"),
        ([*as_they_were()[:3], {"name": "hibernia"}], r"gateways\[3\]"),
        ([{"name": NAMES[0], "vote_key": "00" * 32}, *as_they_were()[1:]], "weak key"),
        (as_they_were()[::-1], "the validators would be"),
        ([*as_they_were(), as_they_were()[0]], "the same name"),
    ],
)
def test_members_that_cannot_be_are_refused_and_nothing_is_left(
    home: Path, members: object, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        make(home, members)
    assert not (home.parent / "out").exists()
    assert not (home.parent / "out.making").exists()


def test_a_time_before_the_last_block_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="time_ms"):
        make(home, as_they_were(), time_ms=DEV_TIME_MS)


def _with_a_block_more(home: Path) -> None:
    ledger = Ledger.open(Home(home).store, GENESIS)
    add_block(ledger)
    ledger.close()


def _without_its_chain(home: Path) -> None:
    shutil.rmtree(Home(home).store)
    Ledger.create(Home(home).store, GENESIS).close()


def _of_another_chain(home: Path) -> None:
    Home(home).genesis.write_text(genesis_text(dev_genesis(chain_id="other")), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_with_a_block_more, f"up to {HEIGHTS + 1}: carry over from there"),
        (_without_its_chain, "ends at height 0"),
        (_of_another_chain, "another chain"),
    ],
)
def test_whoever_holds_another_past_says_so(
    home: Path, change: Callable[[Path], None], why: str
) -> None:
    genesis, _ = make(home, as_they_were())
    change(home)
    with pytest.raises(ConfigError, match=why):
        check_earlier(genesis, home)


def test_another_block_at_that_height_is_noticed(home: Path) -> None:
    genesis, _ = make(home, as_they_were())
    lied = genesis.carried[0]._replace(block_hash=bytes(32))
    with pytest.raises(ConfigError, match="another block"):
        check_earlier(genesis._replace(carried=(lied,)), home)
    with pytest.raises(ConfigError, match="takes over no state"):
        check_earlier(GENESIS, home)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accounts", genesis_document(GENESIS)["accounts"]),
        ("arbiters", genesis_document(GENESIS)["arbiters"]),
        ("params", {"order_fee_bps": "77"}),
        ("token", genesis_document(GENESIS)["token"]),
    ],
)
def test_what_the_state_says_is_not_said_twice(home: Path, field: str, value: object) -> None:
    genesis, _ = make(home, as_they_were())
    document = {**genesis_document(genesis), field: value}
    with pytest.raises(ConfigError, match=field):
        parse_genesis(json.dumps(document).encode())


def test_an_old_journal_does_not_serve_the_new_chain(home: Path) -> None:
    """The same key votes on both; what it said on one says nothing on the other."""
    genesis, out = make(home, as_they_were())
    fresh = settle_in(genesis, out, home.parent / "fresh")
    key = dev_key(NAMES[0], "vote")
    Guard(Home(fresh).journal, key, genesis.hash).close()
    shutil.rmtree(Home(fresh).journal)
    shutil.copytree(Home(home).journal, Home(fresh).journal)
    with pytest.raises(NoJournal, match="another key or chain"):
        Guard(Home(fresh).journal, key, genesis.hash)
