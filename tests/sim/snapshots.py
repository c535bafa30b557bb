"""A newcomer begins with a snapshot that its peers offer, f of whom lie about it.

The real state sync, shelf and restoring, on the state that a run of the real ledger ended with.
What a liar sends must be refused and told of, nobody else may be blamed, and the store that comes
of it must be the chain's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from structlog.testing import capture_logs

from mgsnode.base.genesis import Genesis
from mgsnode.base.validators import faults_of
from mgsnode.snapshots import Shelf, restore_store
from mgsnode.statesync import StateSync
from state import restore
from state.ledger import Ledger
from state.snapshot import HEAD, Item, items_of
from tests.sim.checks import Broken

if TYPE_CHECKING:
    from tests.sim.real import RealChain

LIES = ("flipped", "cut", "grown", "another's", "forged head", "another height", "silent", "none")
_TOLD = frozenset(LIES) - {"silent", "none"}  # lies that are to be told of when they are met
_CHUNK_BYTES = 2_000  # so that a small state has many
_WITHIN_S = 60


class _Peers:
    """Who offers what: all hold the true snapshot, some bend it on its way out."""

    def __init__(self, shelf: Shelf, lies: dict[str, str], random: Random) -> None:
        self.shelf, self.lies, self.random = shelf, lies, random
        self.height = shelf.heights()[-1]
        self.met: set[str] = set()  # liars whose lie was sent
        self.blamed: list[str] = []

    async def offers(self, peer: str) -> list[int]:
        """A liar may offer what nobody has."""
        if self.lies.get(peer) == "another height":
            return [self.height, self.height + 1]
        return [self.height]

    async def snapshot_item(self, peer: str, height: int, item: Item) -> bytes | None:
        """The item, as this peer sends it."""
        await asyncio.sleep(0)
        raw = self.shelf.read(self.height, item)
        lie = self.lies.get(peer, "")
        bent = raw if raw is None else self._bend(lie, item, raw)
        false_height = height != self.height  # the true head, under a false height
        if bent is not None and (bent != raw or false_height):
            self.met.add(peer)
        return bent

    def _bend(self, lie: str, item: Item, raw: bytes) -> bytes | None:
        place = self.random.randrange(len(raw))
        match lie:
            case "forged head" if item == HEAD:
                return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
            case "flipped" if item != HEAD:
                return raw[:place] + bytes([raw[place] ^ 1 << place % 8]) + raw[place + 1 :]
            case "cut" if item != HEAD:
                return raw[:place]
            case "grown" if item != HEAD:
                return raw + bytes(1 + place % 7)
            case "another's" if item != HEAD:
                items = items_of(self.shelf.load(self.height))
                return self.shelf.read(self.height, self.random.choice(items))
            case "silent" if item != HEAD:
                raise TimeoutError
            case "none" if item != HEAD:
                return None
        return raw


def begin_with_a_snapshot(
    chain: RealChain, members: Sequence[str], folder: Path, random: Random
) -> Counter[str]:
    """Raises `Broken` where the newcomer believes a lie, blames the honest, or does not begin."""
    liars = random.sample(sorted(members), faults_of(len(members)))
    lies = {name: random.choice(LIES) for name in liars}
    with patch.object(restore, "CHUNK_BYTES", _CHUNK_BYTES):
        shelf = Shelf(folder / "theirs", chain.genesis)
        shelf.create(chain.reference._store)
    peers = _Peers(shelf, lies, random)
    ours = Shelf(folder / "ours", chain.genesis)
    try:
        with capture_logs():
            asyncio.run(_fetch(peers, ours, chain.genesis, members))
    except TimeoutError:
        raise Broken(f"no snapshot within {_WITHIN_S} s: {lies}") from None
    wrongly = set(peers.blamed) - set(liars)
    if wrongly:
        raise Broken(f"blamed for an honest snapshot: {wrongly}, lies {lies}")
    untold = {name for name in peers.met & set(liars) if lies[name] in _TOLD} - set(peers.blamed)
    if untold:
        raise Broken(f"lies that were not told of: {untold}, lies {lies}")
    restore_store(ours.folder(peers.height), chain.genesis, folder / "store")
    ledger = Ledger.open(folder / "store", chain.genesis)
    head = ledger.head
    ledger.close()
    if head != chain.reference.head:
        raise Broken("a store from a snapshot has another head")
    counts = Counter({"snapshots begun with": 1, "snapshot liars told of": len(peers.blamed)})
    counts.update(f"snapshot lie: {lie}" for lie in lies.values())
    return counts


async def _fetch(peers: _Peers, ours: Shelf, genesis: Genesis, members: Sequence[str]) -> None:
    sync = StateSync(
        peers,
        genesis=genesis,
        shelf=ours,
        peers=lambda: list(members),
        on_liar=lambda peer, _why: peers.blamed.append(peer),
    )
    await asyncio.wait_for(sync.run(), _WITHIN_S)
