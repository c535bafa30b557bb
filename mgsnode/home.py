"""A node's folder: what stands where, and how it is made.

    config/config.toml  genesis.json  node_key.json  gateway_key.json
    journal/            the vote journal, made here only and never backed up
    config/gateway_key.next.json  journal.next/    the next vote key, until the chain names it
    carried/            the state that the genesis took over from an earlier chain, if it did
    data/store          one LevelDB;  data/snapshots

It is made once. What exists is never overwritten: a second `create_home` adds what is missing
(a genesis to a home that had only keys) and refuses what contradicts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.base.genesis import Genesis
from mgsnode.config import Settings, config_path, settings_toml
from mgsnode.genesis import genesis_text, load_genesis
from mgsnode.genesis_check import check_params
from mgsnode.keystore import (
    FOLDER_MODE,
    KeyFile,
    KeyInfo,
    read_key_file,
    read_key_info,
    write_key_file,
)
from state.snapshot import Item, item_name

NODE_KEY = "node_key.json"
GATEWAY_KEY = "gateway_key.json"
NEXT_GATEWAY_KEY = "gateway_key.next.json"  # waits until the chain names it


class Home(NamedTuple):
    """The paths of one node."""

    root: Path

    @property
    def config(self) -> Path:
        """The folder of settings, genesis and keys."""
        return self.root / "config"

    @property
    def genesis(self) -> Path:
        """The genesis document."""
        return self.config / "genesis.json"

    @property
    def node_key(self) -> Path:
        """The transport key."""
        return self.config / NODE_KEY

    @property
    def gateway_key(self) -> Path:
        """The vote key."""
        return self.config / GATEWAY_KEY

    @property
    def next_gateway_key(self) -> Path:
        """The vote key that is to take the place of the present one."""
        return self.config / NEXT_GATEWAY_KEY

    @property
    def journal(self) -> Path:
        """The vote journal's folder."""
        return self.root / "journal"

    @property
    def next_journal(self) -> Path:
        """The next vote key's journal."""
        return self.root / "journal.next"

    @property
    def carried(self) -> Path:
        """The snapshot whose state the genesis takes over; an audit begins with it."""
        return self.root / "carried"

    @property
    def store(self) -> Path:
        """The LevelDB."""
        return self.root / "data" / "store"

    @property
    def snapshots(self) -> Path:
        """Where snapshots go."""
        return self.root / "data" / "snapshots"


class NodeKeys(NamedTuple):
    """The two keys that a running node holds; the operator's is not one of them."""

    transport: KeyFile
    vote: KeyFile | None  # None: an observer without a vote key
    next_vote: KeyFile | None = None  # what the chain is to name instead


def load_node_keys(home: Path, passphrase: bytes | None) -> NodeKeys:
    """The keys of the node at `home`. `ConfigError` or `Locked`, naming the file."""
    paths = Home(home)
    transport = read_key_file(paths.node_key, passphrase)
    _check_use(paths.node_key, transport.use, "transport")
    if not transport.certificate:
        raise ConfigError(f"{paths.node_key}: a transport key has a certificate")
    vote, next_vote = (
        _read_vote_key(path, passphrase) for path in (paths.gateway_key, paths.next_gateway_key)
    )
    return NodeKeys(transport, vote, next_vote)


def _read_vote_key(path: Path, passphrase: bytes | None) -> KeyFile | None:
    if not path.exists():
        return None
    vote = read_key_file(path, passphrase)
    _check_use(path, vote.use, "vote")
    return vote


def _check_use(path: Path, use: str, expected: str) -> None:
    if use != expected:
        raise ConfigError(f"{path}: holds a key for {use}, not for {expected}")


def load_home_genesis(home: Path) -> Genesis:
    """The genesis of the node at `home`, else `ConfigError`."""
    path = Home(home).genesis
    if not path.exists():
        raise ConfigError(f"{path} does not exist; make the home with: mgsnode init --home {home}")
    return load_genesis(path)


def create_keys(
    home: Path, *, transport: KeyFile, vote: KeyFile, passphrase: bytes | None
) -> tuple[KeyInfo, KeyInfo]:
    """Write the node's keys where it has none; the public parts of those it has then."""
    paths = Home(home)
    paths.config.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    for path, key in ((paths.node_key, transport), (paths.gateway_key, vote)):
        if not path.exists():
            write_key_file(path, key, passphrase)
    return read_key_info(paths.node_key), read_key_info(paths.gateway_key)


def create_next_vote(home: Path, vote: KeyFile, passphrase: bytes | None) -> None:
    """Make the next vote key and its journal. `ConfigError` where one waits already."""
    from mgsnode.guard import create_journal

    paths = Home(home)
    genesis = load_home_genesis(home)
    write_key_file(paths.next_gateway_key, vote, passphrase)
    create_journal(paths.next_journal, genesis.hash, vote.public_key)


def adopt_next_vote(home: Path) -> None:
    """The chain names the next vote key: it and its journal take the place of the old ones.

    The old journal is kept aside. May be broken off anywhere and done again.
    """
    paths = Home(home)
    if paths.next_journal.exists():
        if paths.journal.exists():
            old = read_key_info(paths.gateway_key).public_key
            paths.journal.rename(paths.root / f"journal.{old.hex()[:16]}")
        paths.next_journal.rename(paths.journal)
    if paths.next_gateway_key.exists():
        paths.next_gateway_key.replace(paths.gateway_key)


def carried_reader(folder: Path) -> Callable[[Item], bytes]:
    """The items of the snapshot in `folder`, as `Ledger.create` asks for them."""
    from mgsnode.snapshots import read_item

    def read(item: Item) -> bytes:
        raw = read_item(folder, item)
        if raw is None:
            raise Malformed(f"{folder}: {item_name(item)} is missing")
        return raw

    return read


def create_home(
    home: Path, *, genesis: Genesis, settings: Settings, carried: Path | None = None
) -> None:
    """Complete a home that has its keys: settings, genesis, journal, store.

    `carried` is the folder of the snapshot whose state the genesis takes over. `ConfigError`
    where another genesis or chain is there already, `Corrupt` for another snapshot.
    """
    from mgsnode.guard import create_journal
    from state.ledger import Ledger

    paths = Home(home)
    check_params(genesis)
    vote = read_key_info(paths.gateway_key)
    if paths.genesis.exists() and load_genesis(paths.genesis).hash != genesis.hash:
        raise ConfigError(f"{paths.genesis} is of another chain; choose an empty home")
    if paths.store.exists():
        raise ConfigError(f"{paths.store} exists already; this home is made")
    if bool(genesis.carried) != (carried is not None):
        raise ConfigError("the state that a genesis takes over comes with it: name both or none")
    if not config_path(home).exists():
        config_path(home).write_text(settings_toml(settings), encoding="utf-8")
    if not paths.genesis.exists():
        paths.genesis.write_text(genesis_text(genesis), encoding="utf-8")
    if not paths.journal.exists():
        create_journal(paths.journal, genesis.hash, vote.public_key)
    paths.snapshots.mkdir(parents=True, exist_ok=True)
    if carried is not None and carried.resolve() != paths.carried.resolve():
        shutil.copytree(carried, paths.carried, dirs_exist_ok=True)
    making = paths.store.with_name("store.making")  # what an interrupted run left is no store
    shutil.rmtree(making, ignore_errors=True)
    read = None if carried is None else carried_reader(paths.carried)
    try:
        Ledger.create(making, genesis, carried=read).close()
    except Malformed as error:
        raise Corrupt(f"{paths.carried}: {error.why}") from None
    making.rename(paths.store)  # last: its presence says that all is made
