"""Snapshots beside a running node: at their heights, one at a time, given up when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from mgsnode import keeper as module
from mgsnode import snapshots
from mgsnode.keeper import Keeper
from mgsnode.snapshots import Shelf, verify_folder
from state import restore
from state.ledger import Ledger
from state.snapshot import HEAD, Item
from tests.state.test_snapshot import GENESIS, add_block


class World:
    def __init__(self, root: Path, *, every: int, keep: int = 2) -> None:
        self.ledger = Ledger.create(root / "store", GENESIS)
        self.shelf = Shelf(root / "snapshots", GENESIS)
        self.tasks: list[asyncio.Future[None]] = []
        self.keeper = Keeper(
            self.shelf, every=every, keep=keep, base=0, view=self.ledger.view, spawn=self.spawn
        )

    def spawn(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    async def block(self, *, is_busy: bool = False, rest: bool = True) -> None:
        add_block(self.ledger, payers=2)
        self.keeper.on_committed(self.ledger.head.header.height, is_busy=is_busy)
        if rest:
            await self.rest()

    async def rest(self) -> None:
        for task in self.tasks:
            await asyncio.wait_for(task, 20)


async def test_every_second_height_gives_one_and_the_newest_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path, every=2)
    for _ in range(7):
        await world.block()
    assert world.keeper.heights() == [4, 6] == world.shelf.heights()
    assert verify_folder(world.shelf.folder(6), GENESIS).header.height == 6
    assert world.keeper.item(6, "head") == world.shelf.read(6, "head")
    assert world.keeper.item(2, "head") is None and world.keeper.item(6, b"\x01\x02") is None
    world.ledger.close()


async def test_the_chain_goes_on_while_one_is_made_of_the_height_before(tmp_path: Path) -> None:
    world = World(tmp_path, every=2)
    await world.block()
    await world.block(rest=False)
    for _ in range(2):  # the next one due is left out: one at a time
        await world.block(rest=False)
    await world.rest()
    assert world.keeper.heights() == [2]
    head = verify_folder(world.shelf.folder(2), GENESIS)
    assert head.header.height == 2 and world.ledger.head.header.height == 4
    world.ledger.close()


async def test_where_a_heights_receipts_are_too_long_the_next_one_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, every=3)
    for _ in range(2):
        await world.block()
    monkeypatch.setattr(restore, "ITEM_BYTES_MAX", 10)
    for _ in range(2):  # 3, and the first try after it
        await world.block()
    assert world.keeper.heights() == []
    monkeypatch.undo()
    for _ in range(4):
        await world.block()
    assert world.keeper.heights() == [5, 6]  # 7 and 8 are nobody's turn
    world.ledger.close()


async def test_none_is_made_while_busy_or_without_being_asked(tmp_path: Path) -> None:
    world = World(tmp_path, every=1)
    await world.block(is_busy=True)
    assert world.keeper.heights() == []
    quiet = World(tmp_path / "quiet", every=0)
    await quiet.block()
    quiet.keeper.look()
    assert quiet.keeper.heights() == []
    quiet.shelf.want()
    quiet.keeper.look()
    await quiet.rest()
    assert quiet.keeper.heights() == [1]
    for each in (world, quiet):
        each.ledger.close()


async def test_case_47_one_under_way_is_given_up_when_the_node_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.2)
    world = World(tmp_path, every=1)
    await world.block(rest=False)
    await asyncio.sleep(0.05)
    world.keeper.stop()
    await world.rest()
    world.ledger.close()
    assert world.shelf.heights() == []
    assert list(world.shelf.root.iterdir()) == []
    Ledger.open(tmp_path / "store", GENESIS).close()  # no view was left open


async def test_a_disk_without_room_for_a_snapshot_does_not_end_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are thrown away; whether the journal has room is seen to elsewhere."""
    world = World(tmp_path, every=1)
    write, full = snapshots.write_item, True

    def without_room(folder: Path, item: Item, raw: bytes) -> None:
        if full and item != HEAD:
            raise OSError(28, "No space left on device")
        write(folder, item, raw)

    monkeypatch.setattr(snapshots, "write_item", without_room)
    await world.block()
    assert world.keeper.heights() == [] and list(world.shelf.root.iterdir()) == []
    full = False
    await world.block()
    assert world.keeper.heights() == [2]
    world.ledger.close()


def test_what_a_killed_node_left_half_made_is_swept_away(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, GENESIS)
    shelf.making(7).joinpath("block").write_bytes(b"half")
    (tmp_path / "7.sorting").mkdir()
    (tmp_path / "5").mkdir()
    shelf.sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["5"]
