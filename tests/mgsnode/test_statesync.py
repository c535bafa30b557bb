"""Beginning with a snapshot: several peers at once, liars told and done without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mgsnode import snapshots, statesync
from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.snapshots import Shelf, restore_store, verify_folder
from mgsnode.statesync import StateSync
from state import restore
from state.ledger import Ledger
from state.snapshot import HEAD, Item
from state.store import Store
from tests.state.test_snapshot import GENESIS, add_block


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "store"
    ledger = Ledger.create(path, GENESIS)
    for _ in range(2):
        add_block(ledger)
    ledger.close()
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "CHUNK_BYTES", 2_000)
    for name in ("_ASK_AGAIN_S", "_PAUSE_S"):
        monkeypatch.setattr(statesync, name, 0.005)
    monkeypatch.setattr(statesync, "_PATIENCE_S", 0.1)


@pytest.fixture
def shelf(chain: Path, tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path / "theirs", GENESIS)
    with Store.open(chain) as store:
        made.create(store)
    return made


class Peer:
    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.given: list[Item] = []

    def heights(self) -> list[int]:
        return self.shelf.heights()

    async def item(self, height: int, item: Item) -> bytes | None:
        await asyncio.sleep(0)
        self.given.append(item)
        return self.shelf.read(height, item)


class Liar(Peer):
    """Its head is true, its chunks are not."""

    async def item(self, height: int, item: Item) -> bytes | None:
        raw = await super().item(height, item)
        if raw is None or item == HEAD:
            return raw
        return raw[:-1] + bytes([raw[-1] ^ 1])


class Forger(Peer):
    """Its head is of no chain."""

    async def item(self, height: int, item: Item) -> bytes | None:
        raw = await super().item(height, item)
        return raw and raw[:-1] + bytes([raw[-1] ^ 1])


class Silent(Peer):
    async def item(self, height: int, item: Item) -> bytes | None:
        if item == HEAD:
            return await super().item(height, item)
        raise TimeoutError


class Empty(Peer):
    def heights(self) -> list[int]:
        return []


class Braggart(Peer):
    """Offers heights that it does not have."""

    def heights(self) -> list[int]:
        return [10**9, 10**10]


class World:
    def __init__(self, root: Path, **peers: Peer) -> None:
        self.peers = peers
        self.liars: list[str] = []
        self.shelf = Shelf(root / "ours", GENESIS)
        self.sync = StateSync(
            self,
            genesis=GENESIS,
            shelf=self.shelf,
            peers=lambda: list(self.peers),
            on_liar=lambda peer, why: self.liars.append(peer),
        )

    async def offers(self, peer: str) -> list[int]:
        return self.peers[peer].heights()

    async def snapshot_item(self, peer: str, height: int, item: Item) -> bytes | None:
        return await self.peers[peer].item(height, item)

    async def run(self) -> None:
        head = await asyncio.wait_for(self.sync.run(), 20)
        assert head == verify_folder(self.shelf.folder(2), GENESIS)
        assert self.shelf.heights() == [2]


async def test_chunks_come_from_several_peers_and_make_a_store(
    shelf: Shelf, tmp_path: Path
) -> None:
    world = World(tmp_path, a=Peer(shelf), b=Peer(shelf), c=Peer(shelf))
    await world.run()
    assert all(len(peer.given) > 3 for peer in world.peers.values())
    assert not world.liars
    restore_store(world.shelf.folder(2), GENESIS, tmp_path / "data" / "store")
    ledger = Ledger.open(tmp_path / "data" / "store", GENESIS)
    assert ledger.head.header.height == 2
    add_block(ledger)
    ledger.close()


async def test_case_46_a_liars_chunks_are_refused_it_is_told_on_and_done_without(
    shelf: Shelf, tmp_path: Path
) -> None:
    world = World(tmp_path, a=Liar(shelf), b=Forger(shelf), c=Peer(shelf), d=Liar(shelf))
    await world.run()
    assert sorted(world.liars) == ["a", "b", "d"]
    assert len(world.peers["a"].given) <= 1 + 2 * statesync._AT_ONCE


async def test_case_53_heights_that_nobody_has_and_silence_cost_only_time(
    shelf: Shelf, tmp_path: Path
) -> None:
    world = World(tmp_path, a=Braggart(shelf), b=Silent(shelf), c=Empty(shelf), d=Peer(shelf))
    await world.run()
    assert not world.liars


async def test_liars_alone_bring_nothing_and_an_honest_newcomer_brings_all(
    shelf: Shelf, tmp_path: Path
) -> None:
    world = World(tmp_path, a=Liar(shelf), b=Liar(shelf))
    running = asyncio.ensure_future(world.run())
    await asyncio.sleep(0.3)
    assert sorted(world.liars) == ["a", "b"]
    assert world.shelf.heights() == []
    world.peers["c"] = Peer(shelf)
    await running


async def test_a_cut_that_only_a_silent_peer_shows_is_given_up_for_the_others(
    shelf: Shelf, chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "CHUNK_BYTES", 10_000)
    other = Shelf(tmp_path / "other", GENESIS)
    with Store.open(chain) as store:
        head = other.create(store)
    assert head.prefixes != shelf.load(2).prefixes
    world = World(tmp_path, a=Silent(other), b=Peer(shelf))
    await world.run()


async def test_an_interrupted_fetch_goes_on_where_it_was(shelf: Shelf, tmp_path: Path) -> None:
    world = World(tmp_path, a=Peer(shelf))
    running = asyncio.ensure_future(world.run())
    while world.sync.done < 20:  # noqa: ASYNC110  # it has no event for a test
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    files = sorted(world.shelf.making(2).iterdir())
    assert files
    files[0].write_bytes(b"torn")
    again = World(tmp_path, a=Peer(shelf))
    await again.run()
    asked = [item for item in again.peers["a"].given if item != HEAD]
    assert len(asked) <= 2 + len(shelf.load(2).prefixes) - 19


def test_a_spoiled_snapshot_is_named_and_restores_nothing(shelf: Shelf, tmp_path: Path) -> None:
    folder = shelf.folder(2)
    store = tmp_path / "data" / "store"
    Ledger.create(store, GENESIS).close()
    victim = max(folder.glob("chunk-*"), key=lambda path: path.stat().st_size)
    raw = victim.read_bytes()
    victim.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(Corrupt, match=victim.name):
        verify_folder(folder, GENESIS)
    with pytest.raises(Corrupt):
        restore_store(folder, GENESIS, store)
    victim.unlink()
    with pytest.raises(Corrupt, match="is missing"):
        restore_store(folder, GENESIS, store)
    ledger = Ledger.open(store, GENESIS)  # what was there is there
    assert ledger.head.header.height == 0
    ledger.close()
    assert sorted(path.name for path in store.parent.iterdir()) == ["store"]
    with pytest.raises(ConfigError):
        verify_folder(folder / "nothing", GENESIS)


def test_case_46_a_file_that_is_too_long_is_not_read(shelf: Shelf) -> None:
    with (shelf.folder(2) / HEAD).open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(Malformed, match="longer than"):
        shelf.read(2, HEAD)


def test_old_snapshots_go_but_the_one_the_store_began_with(shelf: Shelf, chain: Path) -> None:
    import shutil

    for height in (3, 4, 5):
        shutil.copytree(shelf.folder(2), shelf.folder(height))
    (shelf.root / f"9{snapshots._MAKING}").mkdir()
    shelf.drop_old(2, base=2)
    assert shelf.heights() == [2, 4, 5]
    shelf.drop_old(0, base=0)
    assert shelf.heights() == []
    assert not shelf.is_wanted()
    shelf.want()
    assert shelf.is_wanted() and not shelf.is_wanted()
