"""Beginning with a snapshot: which one, from whom, and every piece checked by itself.

A peer's offer is a hint. Its head counts once the certificate holds under the validator set that
follows from our genesis; an item counts once it fits that head. Who sends what does not is blamed
and asked no more; what it sent is asked of others. Items come from all peers that show the same
head and cut at once. What was fetched stays on the disk, so an interrupted start goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from mgsnode.base.errors import Malformed
from mgsnode.base.genesis import Genesis
from mgsnode.snapshots import Shelf, read_item, write_item
from state.snapshot import HEAD, Item, SnapshotHead, check_item, items_of, open_head

_log = structlog.get_logger("mgsnode.statesync")
_ASK_AGAIN_S: Final = 1.0
_PATIENCE_S: Final = 3.0  # for more peers with the same snapshot, once one has a good one
_AT_ONCE: Final = 2  # questions to one peer under way: one is checked while one travels
_EMPTY_MAX: Final = 10  # answers without an item in a row: it has not what it offered
_PAUSE_S: Final = 0.2
_TELL_S: Final = 3.0


class Asker(Protocol):
    """The part of `Exchange` that is needed."""

    async def offers(self, peer: str) -> list[int]:
        """Heights of the peer's snapshots."""

    async def snapshot_item(self, peer: str, height: int, item: Item) -> bytes | None:
        """An item, unchecked."""


class Choice(NamedTuple):
    """A snapshot that may be fetched: its head as bytes and opened, and who offers it."""

    raw: bytes
    head: SnapshotHead
    peers: tuple[str, ...]


class StateSync:
    """Fetches one snapshot onto a shelf."""

    def __init__(
        self,
        asker: Asker,
        *,
        genesis: Genesis,
        shelf: Shelf,
        peers: Callable[[], Sequence[str]],
        on_liar: Callable[[str, str], None],
    ) -> None:
        """`peers` are those connected now; `on_liar(peer, why)` hears of a lie."""
        self._asker = asker
        self._genesis = genesis
        self._shelf = shelf
        self._peers = peers
        self._on_liar = on_liar
        self._liars: set[str] = set()
        self._useless: set[tuple[bytes, tuple[bytes, ...]]] = set()
        self.done = 0  # items of the snapshot under way
        self.of = 0

    async def run(self) -> SnapshotHead:
        """The head of a snapshot that now stands on the shelf, every item checked."""
        loop = asyncio.get_running_loop()
        since_s: float | None = None
        told_s = loop.time()
        while True:
            choices = await self._choices()
            if choices:
                since_s = loop.time() if since_s is None else since_s
                enough = len(choices[0].peers) >= self._genesis.validators().weak
                if enough or loop.time() - since_s >= _PATIENCE_S:
                    if await self._fetch(choices[0]):
                        return choices[0].head
                    self._useless.add((choices[0].head.hash, choices[0].head.prefixes))
                    continue
            else:
                self._useless.clear()  # who had nothing may have it now
            if loop.time() - told_s >= _TELL_S:
                told_s = loop.time()
                _log.info("no snapshot offered yet", peers=len(self._peers()))
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _choices(self) -> list[Choice]:
        """What is offered and holds, best first: by how many peers, then by height."""
        peers = [peer for peer in self._peers() if peer not in self._liars]
        found: dict[tuple[bytes, tuple[bytes, ...]], Choice] = {}
        offers = await asyncio.gather(*(self._offer(peer) for peer in peers))
        for peer, offer in zip(peers, offers, strict=True):
            for raw, head in offer:
                key = (head.hash, head.prefixes)
                known = found.get(key)
                names = (*known.peers, peer) if known is not None else (peer,)
                found[key] = Choice(known.raw if known is not None else raw, head, names)
        good = [choice for key, choice in found.items() if key not in self._useless]
        return sorted(good, key=lambda c: (len(c.peers), c.head.header.height), reverse=True)

    async def _offer(self, peer: str) -> list[tuple[bytes, SnapshotHead]]:
        """The heads of a peer's two newest snapshots."""
        found: list[tuple[bytes, SnapshotHead]] = []
        try:
            for height in sorted(await self._asker.offers(peer))[-2:]:
                raw = await self._asker.snapshot_item(peer, height, HEAD)
                if raw is None:
                    continue
                head = await asyncio.to_thread(open_head, raw, self._genesis)
                if head.header.height != height:
                    raise Malformed("a snapshot of another height than offered")
                found.append((raw, head))
        except TimeoutError:
            return found
        except Malformed as error:
            self._blame(peer, error.why)
            return []
        return found

    def _blame(self, peer: str, why: str) -> None:
        if peer not in self._liars:
            self._liars.add(peer)
            _log.warning("a peer's snapshot does not hold", peer=peer, why=why)
            self._on_liar(peer, why)

    async def _fetch(self, choice: Choice) -> bool:
        """Get every item; False where the peers that offered it did not give them all."""
        height = choice.head.header.height
        folder = self._shelf.making(height)
        missing: deque[Item] = deque()
        items = items_of(choice.head)
        for item in items:
            raw = read_item(folder, item)
            if raw is None or not await asyncio.to_thread(_fits, choice.head, item, raw):
                missing.append(item)
        self.of, self.done = len(items), len(items) - len(missing)
        _log.info(
            "fetching a snapshot", height=height, items=self.of, here=self.done,
            peers=list(choice.peers),
        )  # fmt: skip
        teller = asyncio.ensure_future(self._tell(height))
        workers = [
            asyncio.ensure_future(self._work(choice, peer, missing))
            for peer in choice.peers
            for _ in range(_AT_ONCE)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in (teller, *workers):
                task.cancel()
        if self.done < self.of:
            return False
        await asyncio.to_thread(write_item, folder, HEAD, choice.raw)
        await asyncio.to_thread(self._shelf.finish, height)
        return True

    async def _work(self, choice: Choice, peer: str, missing: deque[Item]) -> None:
        """One question after the other to one peer, until all is here or it is of no use."""
        height = choice.head.header.height
        folder = self._shelf.making(height)
        empty = 0
        while self.done < self.of and empty < _EMPTY_MAX and peer not in self._liars:
            if not missing:
                await asyncio.sleep(_PAUSE_S)  # another may come back without its item
                continue
            item = missing.popleft()
            raw = None
            try:
                raw = await self._asker.snapshot_item(peer, height, item)
                if raw is not None:
                    await asyncio.to_thread(check_item, choice.head, item, raw)
            except TimeoutError:
                raw = None
            except Malformed as error:
                missing.appendleft(item)
                self._blame(peer, error.why)
                return
            if raw is None:
                empty += 1
                missing.append(item)
                await asyncio.sleep(_PAUSE_S)
                continue
            await asyncio.to_thread(write_item, folder, item, raw)
            self.done += 1
            empty = 0

    async def _tell(self, height: int) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            _log.info("fetching a snapshot", height=height, done=self.done, of=self.of)


def _fits(head: SnapshotHead, item: Item, raw: bytes) -> bool:
    """Whether what an earlier start left is that item."""
    try:
        check_item(head, item, raw)
    except Malformed:
        return False
    return True
