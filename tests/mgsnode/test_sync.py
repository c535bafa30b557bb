"""Catching up: hints are not believed, liars cost a round, blocks are applied in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from mgsnode import sync as module
from mgsnode.base.block import PROTOCOL_VERSION, Block, Header, encode_block
from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.exchange import Certified, Gone
from mgsnode.sync import RANGE_BLOCKS, RANGES_AHEAD, Sync


def certified(height: int, certificate: bytes = b"good") -> Certified:
    """A block of this height; the fake ledger judges it by its "certificate"."""
    header = Header(
        PROTOCOL_VERSION, ZERO_HASH, 0, height, ZERO_HASH, height, ZERO_HASH, ZERO_HASH,
        ZERO_HASH, ZERO_HASH, ZERO_HASH,
    )  # fmt: skip
    return Certified(encode_block(Block(header, ())), certificate)


class Peer:
    """Answers from a chain of `height` blocks, at most `most` at once."""

    def __init__(self, height: int, *, most: int = 64) -> None:
        self.height, self.most = height, most
        self.asked: list[tuple[int, int]] = []

    async def blocks(self, start: int, number: int) -> list[Certified]:
        self.asked.append((start, number))
        await asyncio.sleep(0)
        last = min(self.height, start + min(number, self.most) - 1)
        return [certified(height) for height in range(start, last + 1)]


class Silent(Peer):
    async def blocks(self, start: int, number: int) -> list[Certified]:
        self.asked.append((start, number))
        raise TimeoutError


class Empty(Peer):
    async def blocks(self, start: int, number: int) -> list[Certified]:
        self.asked.append((start, number))
        return []


class World:
    """A ledger's height, a few peers, and the sync between them."""

    def __init__(self, peers: dict[str, Peer]) -> None:
        self.peers = peers
        self.height = 0
        self.applied: list[int] = []
        self.fetching: list[bool] = []
        self.liars: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Future[None]] = []
        self.full = False
        self.sync = Sync(
            self,
            height=lambda: self.height,
            apply=self.apply,
            on_fetching=self.fetching.append,
            on_liar=lambda peer, why: self.liars.append((peer, why)),
            spawn=self.spawn,
        )

    def spawn(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    async def blocks(self, peer: str, start: int, number: int) -> list[Certified]:
        return await self.peers[peer].blocks(start, number)

    async def apply(self, block: Certified) -> None:
        from state.chain import header_of

        await asyncio.sleep(0)
        height = header_of(block.block).height
        if height != self.height + 1 or self.full:
            return  # as the driver: only the next one, without judging others
        if block.certificate != b"good":
            raise Malformed("bad certificate")
        self.height = height
        self.applied.append(height)

    async def rest(self) -> None:
        for task in self.tasks:
            await asyncio.wait_for(task, 10)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.001)


async def test_ranges_from_several_peers_are_applied_in_order() -> None:
    world = World({name: Peer(500) for name in "abc"})
    for name in "abc":
        world.sync.hint(name, 500)
    await world.rest()
    assert world.applied == list(range(1, 501))
    assert all(len(peer.asked) > 2 for peer in world.peers.values())
    assert world.fetching == [True, False]
    assert not world.liars and len(world.tasks) == 1


async def test_a_single_new_block_is_fetched_by_a_question_for_one() -> None:
    world = World({"a": Peer(1)})
    world.sync.hint("a", 1)
    await world.rest()
    assert world.applied == [1] and world.peers["a"].asked == [(1, 1)]


async def test_a_hint_at_or_below_our_height_asks_nobody() -> None:
    world = World({"a": Peer(5)})
    world.height = 5
    world.sync.hint("a", 5)
    world.sync.hint("a", 0)
    assert not world.tasks


@pytest.mark.parametrize("liar", [Empty(0), Silent(0)])
async def test_case_53_a_claim_beyond_all_bounds_ends_without_belief(liar: Peer) -> None:
    world = World({"a": liar})
    world.sync.hint("a", 2**60)
    assert world.sync.target == 2**60
    await world.rest()
    assert world.sync.target == 0  # dropped until its next word
    assert world.fetching == [] and world.height == 0
    assert len(liar.asked) <= RANGES_AHEAD


async def test_case_53_a_peer_that_takes_back_its_height_is_not_waited_for() -> None:
    world = World({"a": Peer(1_000), "b": Peer(1_200)})
    world.sync.hint("a", 2_000)
    world.sync.hint("a", 1_000)
    world.sync.hint("b", 1_200)
    await world.rest()
    assert world.height == 1_200 and world.sync.target in (1_000, 1_200)


@pytest.mark.parametrize("make", [Empty, Silent])
async def test_a_liar_first_in_the_alphabet_that_never_stops_claiming_starves_nobody(
    make: type[Peer],
) -> None:
    world = World({"a": make(0), "b": Peer(300)})
    world.sync.hint("b", 300)

    async def claim() -> None:
        while world.height < 300:
            world.sync.hint("a", 2**60)
            await asyncio.sleep(0)

    claiming = asyncio.ensure_future(claim())
    async with asyncio.timeout(5):
        while world.height < 300:
            world.sync.hint("b", 300)
            await asyncio.sleep(0.001)
    await claiming
    for task in world.tasks:
        task.cancel()
    assert world.applied == list(range(1, 301))


class Old(Peer):
    """Gives blocks that everybody has."""

    async def blocks(self, start: int, number: int) -> list[Certified]:
        self.asked.append((start, number))
        return [certified(1 + height % 5) for height in range(number)]


class Gaps(Peer):
    async def blocks(self, start: int, number: int) -> list[Certified]:
        return [certified(height) for height in range(start, start + 2 * number, 2)][:number]


class Forger(Peer):
    async def blocks(self, start: int, number: int) -> list[Certified]:
        return [certified(height, b"forged") for height in range(start, start + number)]


class Garbage(Peer):
    async def blocks(self, start: int, number: int) -> list[Certified]:
        return [Certified(b"\xc1", b"")]


@pytest.mark.parametrize("liar", [Old(9), Gaps(9), Forger(9), Garbage(9)])
async def test_what_does_not_hold_is_blamed_and_never_makes_consensus_patient(liar: Peer) -> None:
    # `fetching` stops the complaints about a primary: whoever could switch it on with blocks
    # that everybody has could silence a whole network.
    world = World({"a": liar})
    world.height = 5
    world.sync.hint("a", 100)
    await world.rest()
    assert world.liars and {peer for peer, _ in world.liars} == {"a"}
    assert world.fetching == [] and world.height == 5


async def test_honest_blocks_come_through_beside_a_forger() -> None:
    world = World({"a": Forger(200), "b": Peer(200), "c": Peer(200)})
    for name in "abc":
        world.sync.hint(name, 200)
    await world.rest()
    assert world.applied == list(range(1, 201))
    assert {peer for peer, _ in world.liars} == {"a"}


async def test_fetching_ends_with_the_first_round_without_a_block() -> None:
    class Dies(Peer):
        async def blocks(self, start: int, number: int) -> list[Certified]:
            return await super().blocks(start, number) if start <= 128 else []

    world = World({"a": Dies(2_000)})
    world.sync.hint("a", 2_000)
    await world.rest()
    assert world.height == 128
    assert world.fetching == [True, False]


async def test_who_gives_one_block_and_keeps_silent_does_not_make_consensus_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A primary proposes nothing while it fetches: 5 s for each block would stop the chain."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    world = World({"a": Peer(1)})
    answer, silence = world.peers["a"].blocks, asyncio.Event()

    async def blocks(start: int, number: int) -> list[Certified]:
        if start > 1:
            await silence.wait()
            raise TimeoutError
        return await answer(start, number)

    world.peers["a"].blocks = blocks  # type: ignore[method-assign]
    over = asyncio.Event()

    def on_fetching(on: bool) -> None:
        world.fetching.append(on)
        if not on:
            over.set()

    world.sync._on_fetching = on_fetching
    world.sync.hint("a", 10**6)
    await asyncio.wait_for(over.wait(), 5)
    assert world.fetching == [True, False] and world.applied == [1]
    assert not world.tasks[0].done()
    silence.set()
    await world.rest()
    assert world.fetching == [True, False]


async def test_no_question_outlives_its_sync() -> None:
    world = World({"a": Peer(1)})
    asked: list[asyncio.Task[None] | None] = []

    async def blocks(_start: int, _number: int) -> list[Certified]:
        asked.append(asyncio.current_task())
        await asyncio.Event().wait()
        return []

    world.peers["a"].blocks = blocks  # type: ignore[method-assign]
    world.sync.hint("a", 10 * RANGE_BLOCKS)
    await asyncio.sleep(0.01)
    assert len(asked) == RANGES_AHEAD
    world.tasks[0].cancel()
    await asyncio.gather(world.tasks[0], return_exceptions=True)
    await asyncio.wait({task for task in asked if task is not None}, timeout=1)
    assert all(task is not None and task.cancelled() for task in asked)


async def test_a_peer_that_vanishes_is_done_without() -> None:
    world = World({"a": Silent(500), "b": Peer(500)})
    world.sync.hint("a", 500)
    world.sync.hint("b", 500)
    world.sync.forget("a")
    await world.rest()
    assert world.height == 500 and not world.peers["a"].asked
    world.sync.forget("nobody")


async def test_what_a_peer_says_on_coming_back_outlives_its_unanswered_question() -> None:
    """It says its height once, on connecting; the question to the connection before ends later."""
    world = World({"a": Peer(3)})
    answer = world.peers["a"].blocks
    gone = asyncio.get_running_loop().create_future()

    async def blocks(start: int, number: int) -> list[Certified]:
        if not gone.done():
            await gone
        return await answer(start, number)

    world.peers["a"].blocks = blocks  # type: ignore[method-assign]
    world.sync.hint("a", 3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is asked
    world.sync.forget("a")
    gone.set_exception(Gone())
    world.sync.hint("a", 3)
    await world.rest()
    assert world.applied == [1, 2, 3]


async def test_large_blocks_are_asked_for_a_few_at_a_time() -> None:
    world = World({"a": Peer(60, most=1), "b": Peer(60, most=1)})
    for name in "ab":
        world.sync.hint(name, 60)
    await world.rest()
    assert world.applied == list(range(1, 61))
    asked = [question for peer in world.peers.values() for question in peer.asked]
    assert len(asked) <= 2 * 60  # with ranges of 32 it would be four for each block
    assert max(number for _, number in asked) == RANGE_BLOCKS


async def test_blocks_decided_here_meanwhile_are_passed_over() -> None:
    world = World({"a": Peer(40)})

    class Ahead(Peer):
        async def blocks(self, start: int, number: int) -> list[Certified]:
            found = await super().blocks(start, number)
            world.height = max(world.height, 10)
            return found

    world.peers["a"] = Ahead(40)
    world.sync.hint("a", 40)
    await world.rest()
    assert world.applied == list(range(11, 41)) and not world.liars


async def test_a_full_disk_stops_it_without_blame() -> None:  # case 44
    world = World({"a": Peer(40)})
    world.full = True
    world.sync.hint("a", 40)
    await world.rest()
    assert world.height == 0 and not world.liars and world.fetching == []


async def test_it_runs_again_with_the_next_word() -> None:
    world = World({"a": Empty(0)})
    world.sync.hint("a", 10)
    await world.rest()
    world.peers["a"] = Peer(10)
    world.sync.hint("a", 10)
    await world.rest()
    assert world.height == 10 and len(world.tasks) == 2


async def test_our_own_corruption_is_not_the_peers_fault() -> None:
    world = World({"a": Peer(10)})

    async def broken(_block: Certified) -> None:
        raise Corrupt("height 1: a certified block is refused here")

    world.sync._apply = broken
    world.sync.hint("a", 10)
    with pytest.raises(Corrupt):
        await world.rest()
    assert not world.liars and not world.sync._running


async def test_the_next_blocks_of_a_range_are_told_ahead_of_their_turn() -> None:
    from state.chain import header_of

    world = World({"a": Peer(40)})
    ahead: list[tuple[int, int]] = []
    world.sync._prepare = lambda block: ahead.append((world.height, header_of(block.block).height))
    world.sync.hint("a", 40)
    await world.rest()
    assert world.applied == list(range(1, 41))
    assert (0, 2) in ahead and (0, 3) in ahead
    assert all(0 < height - at <= 1 + module._OPENED_AHEAD for at, height in ahead)


async def test_the_rest_of_a_range_that_did_not_fit_is_asked_of_the_same_peer_at_once() -> None:
    world = World({"a": Peer(64, most=5)})
    world.sync.hint("a", 64)
    await world.rest()
    assert world.applied == list(range(1, 65))
    asked = world.peers["a"].asked
    assert len(asked) == len(set(asked)) and len(asked) < 24  # nothing was asked for twice
