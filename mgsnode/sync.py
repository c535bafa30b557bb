"""Catching up: which blocks are missing, whom to ask, when to believe.

A peer's word about its height is a hint of whom to ask; what counts is a block with a
certificate that this node checked itself (case 53). Ranges come from several peers at once and
are applied in order, so the speed is that of our own checking. Who sends what does not hold is
blamed; who has not what it claimed is asked again only after its next word, and nobody is first
in the row twice, so a liar costs one round in as many as there are peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from mgsnode.base.errors import Malformed
from mgsnode.exchange import Certified
from state.chain import header_of

RANGE_BLOCKS = 32  # of one question at most; fewer where the blocks are large
RANGES_AHEAD = 4  # questions under way at once
_RETRY_S = 0.25
_TRIES_MAX = 40  # ten seconds without one good block: stop and wait for the next hint


class Asker(Protocol):
    """The part of `Exchange` that is needed."""

    async def blocks(self, peer: str, start: int, number: int) -> list[Certified]:
        """Certified blocks from a height on."""


class Sync:
    """Runs while somebody seems to be ahead.

    `apply(certified)` checks and makes one block durable if it is the next one; it raises
    `Malformed` where it does not hold. `on_fetching` hears that certified blocks are being
    fetched: said only after one was applied, and taken back with the first round without any.
    More must not be believed: consensus is patient while it is true.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        height: Callable[[], int],
        apply: Callable[[Certified], Awaitable[None]],
        on_fetching: Callable[[bool], None],
        on_liar: Callable[[str, str], None],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._asker = asker
        self._height = height
        self._apply = apply
        self._on_fetching = on_fetching
        self._on_liar = on_liar
        self._spawn = spawn
        self._hints: dict[str, int] = {}
        self._running = False
        self._turn = 0
        self._size = RANGE_BLOCKS
        self.fetching = False

    @property
    def target(self) -> int:
        """The highest height that somebody claims (a hint, not a fact)."""
        return max(self._hints.values(), default=0)

    def hint(self, peer: str, height: int) -> None:
        """A peer seems to have decided `height`."""
        self._hints[peer] = height
        if height > self._height() and not self._running:
            self._running = True
            self._spawn(self._run())

    def forget(self, peer: str) -> None:
        """A peer is gone."""
        self._hints.pop(peer, None)

    async def _run(self) -> None:
        tries = 0
        try:
            while self.target > self._height() and tries < _TRIES_MAX:
                before = self._height()
                await self._round()
                if self._height() > before:
                    tries = 0
                else:
                    self._set_fetching(False)
                    tries += 1
                    await asyncio.sleep(_RETRY_S)
        finally:
            self._running = False
            self._set_fetching(False)

    def _set_fetching(self, on: bool) -> None:
        if on != self.fetching:
            self.fetching = on
            self._on_fetching(on)

    async def _round(self) -> None:
        """Asks several peers for consecutive ranges and applies what came, in order."""
        start = self._height() + 1
        peers = sorted(p for p, height in self._hints.items() if height >= start)
        if not peers:
            return
        size = self._size
        self._turn += 1
        questions = []
        for number in range(RANGES_AHEAD):
            first = start + number * size
            able = [p for p in peers if self._hints[p] >= first]
            if not able:
                break
            peer = able[(self._turn + number) % len(able)]
            wanted = min(size, self._hints[peer] - first + 1)
            question = asyncio.ensure_future(self._fetch(peer, first, wanted))
            questions.append((peer, first, wanted, question))
        try:
            for peer, first, wanted, question in questions:
                blocks = await question
                if not await self._apply_all(peer, first, blocks) or len(blocks) < wanted:
                    return
        finally:
            for *_, question in questions:
                question.cancel()

    async def _fetch(self, peer: str, first: int, wanted: int) -> list[Certified]:
        try:
            blocks = await self._asker.blocks(peer, first, wanted)
            heights = [header_of(certified.block).height for certified in blocks]
            if heights != list(range(first, first + len(blocks))):
                raise Malformed("other blocks than were asked for")
        except TimeoutError:
            self._hints.pop(peer, None)  # its next word brings it back
            return []
        except Malformed as error:
            self._blame(peer, error.why)
            return []
        if not blocks:
            self._hints.pop(peer, None)
        elif len(blocks) < wanted:
            self._size = len(blocks)  # as many as fit into a frame
        elif wanted == self._size:
            self._size = min(RANGE_BLOCKS, 2 * self._size)
        return blocks

    async def _apply_all(self, peer: str, first: int, blocks: list[Certified]) -> bool:
        """Applies what follows our head; False where that came to an end."""
        for height, certified in enumerate(blocks, start=first):
            if height <= self._height():
                continue  # decided here meanwhile
            try:
                await self._apply(certified)
            except Malformed as error:
                self._blame(peer, error.why)
                return False
            if self._height() < height:
                return False
            self._set_fetching(True)  # now it is known: what we checked was certified
        return True

    def _blame(self, peer: str, why: str) -> None:
        self._hints.pop(peer, None)
        self._on_liar(peer, why)
