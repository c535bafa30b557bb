"""Catching up: which blocks are missing, whom to ask, when to believe.

A peer's word about its height is a hint of whom to ask; what counts is a block with a
certificate that this node checked itself (case 53). Ranges come from several peers at once and
are applied in order, so the speed is that of our own checking. Who sends what does not hold is
blamed; who has not what it claimed is asked again only after its next word, and nobody is first
in the row twice, so a liar costs one round in as many as there are peers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

import structlog

from mgsnode.base.errors import Malformed
from mgsnode.exchange import Certified, Gone
from state.chain import header_of

RANGE_BLOCKS = 32  # of one question at most; fewer where the blocks are large
RANGES_AHEAD = 4  # questions under way at once
_OPENED_AHEAD = 2  # blocks whose signatures are checked while the ledger works on one
_RETRY_S = 0.25
_TRIES_MAX = 40  # ten seconds without one good block: stop and wait for the next hint
_TELL_S: Final = 3.0
_PATIENCE_S = 0.5  # for the next answer; beyond it consensus need not be patient either

_log = structlog.get_logger("mgsnode.sync")


class Asker(Protocol):
    """The part of `Exchange` that is needed."""

    async def blocks(self, peer: str, start: int, number: int) -> list[Certified]:
        """Certified blocks from a height on."""


class _Question(NamedTuple):
    """A range that was asked of a peer."""

    peer: str
    first: int
    wanted: int
    answer: asyncio.Future[list[Certified]]


class Sync:
    """Runs while somebody seems to be ahead.

    `apply(certified)` checks and makes one block durable if it is the next one; it raises
    `Malformed` where it does not hold. `on_fetching` hears that certified blocks are being
    fetched: said only after one was applied, and taken back with the first round without any, or
    an answer that is long in coming. More must not be believed: consensus is patient while it is
    true.
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
        prepare: Callable[[Certified], None] = lambda _certified: None,
    ) -> None:
        """`prepare` hears of blocks that `apply` will soon be given."""
        self._asker = asker
        self._prepare = prepare
        self._height = height
        self._apply = apply
        self._on_fetching = on_fetching
        self._on_liar = on_liar
        self._spawn = spawn
        self._hints: dict[str, int] = {}
        self._running = False
        self._turn = 0  # rounds
        self._number = 0  # questions of this round
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
        teller = asyncio.ensure_future(self._tell())
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
            teller.cancel()
            self._running = False
            self._set_fetching(False)

    async def _tell(self) -> None:
        """Says every few seconds how far it is, while it takes that long."""
        start = before = self._height()
        since = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_TELL_S)
            height = self._height()
            if height > before:
                taken_s = asyncio.get_running_loop().time() - since
                _log.info(
                    "catching up", height=height, of=self.target,
                    blocks_per_s=round((height - start) / taken_s),
                )  # fmt: skip
            before = height

    def _set_fetching(self, on: bool) -> None:
        if on != self.fetching:
            self.fetching = on
            self._on_fetching(on)

    async def _round(self) -> None:
        """Asks peers for consecutive ranges, a few ahead, and applies what comes, in order."""
        questions: deque[_Question] = deque()
        self._turn += 1  # nobody is first in the row twice
        self._number = 0
        following = self._height() + 1
        try:
            while True:
                following = self._ask_ahead(questions, following)
                if not questions:
                    return
                question = questions.popleft()
                blocks = await self._hear(question)
                if not blocks or not await self._apply_all(question, blocks):
                    return
                left = question.wanted - len(blocks)
                if left > 0:  # the blocks are large: the rest of the range, from the same peer
                    rest = self._ask(question.peer, question.first + len(blocks), left)
                    questions.appendleft(rest)
        finally:
            for question in questions:
                question.answer.cancel()

    async def _hear(self, question: _Question) -> list[Certified]:
        """Its answer. While none comes, nothing certified is being fetched: a liar that gave one
        good block and then keeps silent must not hold a primary's proposal back for as long.
        """
        try:
            done, _ = await asyncio.wait((question.answer,), timeout=_PATIENCE_S)
            if not done:
                self._set_fetching(False)
            return await question.answer
        finally:
            question.answer.cancel()  # where we are cancelled ourselves

    def _ask_ahead(self, questions: deque[_Question], first: int) -> int:
        """Keeps a few questions under way; the height after the last one asked for."""
        while len(questions) < RANGES_AHEAD:
            able = sorted(p for p, height in self._hints.items() if height >= first)
            if not able:
                break
            peer = able[(self._turn + self._number) % len(able)]
            self._number += 1
            wanted = min(self._size, self._hints[peer] - first + 1)
            questions.append(self._ask(peer, first, wanted))
            first += wanted
        return first

    def _ask(self, peer: str, first: int, wanted: int) -> _Question:
        answer = asyncio.ensure_future(self._fetch(peer, first, wanted))
        return _Question(peer, first, wanted, answer)

    async def _fetch(self, peer: str, first: int, wanted: int) -> list[Certified]:
        try:
            blocks = await self._asker.blocks(peer, first, wanted)
            heights = [header_of(certified.block).height for certified in blocks]
            if heights != list(range(first, first + len(blocks))):
                raise Malformed("other blocks than were asked for")
        except Gone:
            return []  # `forget` was told; what stands there now it has said after coming back
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

    async def _apply_all(self, question: _Question, blocks: list[Certified]) -> bool:
        """Applies what follows our head; False where that came to an end."""
        for place, certified in enumerate(blocks):
            height = question.first + place
            for later in blocks[place + 1 : place + 1 + _OPENED_AHEAD]:
                self._prepare(later)
            if height <= self._height():
                continue  # decided here meanwhile
            try:
                await self._apply(certified)
            except Malformed as error:
                self._blame(question.peer, error.why)
                return False
            if self._height() < height:
                return False
            self._set_fetching(True)  # now it is known: what we checked was certified
        return True

    def _blame(self, peer: str, why: str) -> None:
        self._hints.pop(peer, None)
        self._on_liar(peer, why)
