"""From hashes to a block: out of the waiting room, from peers, and never believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from mgsnode import bodies as module
from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Header,
    encode_block,
    hash_header,
    txs_root,
)
from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.hashing import ZERO_HASH, signed_hash_of
from mgsnode.base.transaction import open_transaction
from mgsnode.bodies import Bodies, Missing
from mgsnode.mempool import Mempool
from mgsnode.verifier import Verifier
from tests.mgsnode.test_intake import forged, signed


def block_of(raws: Sequence[bytes]) -> Block:
    root = txs_root([signed_hash_of(raw) for raw in raws])
    header = Header(
        PROTOCOL_VERSION, ZERO_HASH, 0, 1, ZERO_HASH, 1, root, ZERO_HASH, ZERO_HASH, ZERO_HASH,
        ZERO_HASH,
    )  # fmt: skip
    return Block(header, tuple(raws))


class Peers:
    """What each peer answers; a peer that is not listed keeps silent."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes | None] = {}
        self.txs: dict[str, list[bytes]] = {}
        self.asked: list[tuple[str, object]] = []
        self.silence_s = 0.0

    async def body(self, peer: str, block_hash: bytes) -> bytes | None:
        self.asked.append((peer, block_hash))
        if peer not in self.bodies:
            await asyncio.sleep(self.silence_s)
            raise TimeoutError
        return self.bodies[peer]

    async def transactions(self, peer: str, signed_hashes: Sequence[bytes]) -> list[bytes]:
        self.asked.append((peer, tuple(signed_hashes)))
        if peer not in self.txs:
            raise TimeoutError
        return self.txs[peer]


class World:
    def __init__(self) -> None:
        self.mempool = Mempool()
        self.verifier = Verifier(0)
        self.peers = Peers()
        self.bodies = Bodies(
            self.mempool, self.verifier, self.peers, lambda raw: open_transaction(raw, ZERO_HASH)
        )

    def hold(self, *raws: bytes) -> None:
        for raw in raws:
            self.mempool.add(open_transaction(raw, ZERO_HASH), next_nonce=0, now_ms=0)

    async def find(self, block: Block, *sources: str, by_hash: bool = False) -> tuple[bytes, ...]:
        hashes = None if by_hash else tuple(signed_hash_of(raw) for raw in block.txs)
        opened = await self.bodies.find(encode(block.header), hashes, sources)
        assert opened.block == block
        return tuple(tx.raw for tx in opened.txs)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GOSSIP_WAIT_S", 0.001)


RAWS = [signed("a", nonce) for nonce in range(5)]
BLOCK = block_of(RAWS)


async def test_what_waits_here_is_neither_fetched_nor_checked_again() -> None:
    world = World()
    world.hold(*RAWS)
    assert await world.find(BLOCK, "p") == BLOCK.txs
    assert not world.peers.asked and world.verifier.checks == 0


async def test_only_what_is_missing_is_fetched_and_checked() -> None:
    world = World()
    world.hold(*RAWS[:3])
    world.peers.txs["p"] = [signed("x"), RAWS[4], b"junk", RAWS[3]]  # in any order, with more
    assert await world.find(BLOCK, "p") == BLOCK.txs
    assert world.peers.asked == [("p", tuple(map(signed_hash_of, RAWS[3:])))]
    assert world.verifier.checks == 2


async def test_gossip_that_comes_a_moment_later_saves_the_question() -> None:
    world = World()
    finding = asyncio.ensure_future(world.find(BLOCK, "p"))
    await asyncio.sleep(0)
    world.hold(*RAWS)
    assert await finding == BLOCK.txs and not world.peers.asked


async def test_a_twin_with_other_signatures_is_not_the_primarys_transaction() -> None:
    world = World()
    world.hold(forged(RAWS[0]), *RAWS[1:])
    world.peers.txs["p"] = [RAWS[0]]
    assert await world.find(BLOCK, "p") == BLOCK.txs


async def test_what_nobody_has_is_missing() -> None:
    world = World()
    with pytest.raises(Missing):
        await world.find(BLOCK, "silent", "mute")
    world.peers.txs["p"] = RAWS[:4]
    with pytest.raises(Missing):
        await world.find(BLOCK, "p")
    world.peers.bodies["none"] = None
    with pytest.raises(Missing):
        await world.find(BLOCK, "none", "silent", by_hash=True)
    with pytest.raises(Missing):
        await world.find(BLOCK)


async def test_case_28_a_block_proposed_again_is_fetched_by_its_hash() -> None:
    world = World()
    world.peers.bodies = {"none": None, "has": encode_block(BLOCK)}
    assert await world.find(BLOCK, "silent", "none", "has", by_hash=True) == BLOCK.txs
    assert world.verifier.checks == 5
    assert {what for _, what in world.peers.asked} == {hash_header(BLOCK.header)}


async def test_a_wrong_body_is_the_peers_fault_never_the_hashs() -> None:
    other = block_of(RAWS[:2])
    cut = encode((encode(BLOCK.header), BLOCK.txs[:-1]))
    for wrong in (encode_block(other), cut, b"", b"\xc1", encode_block(BLOCK)[:-1]):
        world = World()
        world.peers.bodies = {"liar": wrong, "has": encode_block(BLOCK)}
        assert await world.find(BLOCK, "liar", "has", by_hash=True) == BLOCK.txs
        alone = World()
        alone.peers.bodies = {"liar": wrong}
        with pytest.raises(Missing):
            await alone.find(BLOCK, "liar", by_hash=True)


async def test_hashes_that_do_not_fit_the_header_send_us_for_the_body() -> None:
    world = World()
    world.hold(*RAWS)
    world.peers.bodies["p"] = encode_block(BLOCK)
    opened = await world.bodies.find(encode(BLOCK.header), (ZERO_HASH,), ["p"])
    assert opened.block == BLOCK and world.peers.asked


async def test_a_wrongly_signed_transaction_makes_the_block_bad() -> None:
    bad = block_of([*RAWS, forged(signed("b"))])
    world = World()
    world.hold(*RAWS)
    world.peers.txs["p"] = [bad.txs[-1]]
    with pytest.raises(Malformed):
        await world.find(bad, "p")
    world.peers.bodies["p"] = encode_block(bad)
    with pytest.raises(Malformed):
        await world.find(bad, "p", by_hash=True)


async def test_what_is_no_transaction_of_this_chain_makes_the_block_bad() -> None:
    world = World()
    junk = block_of([b"junk"])
    world.peers.txs["p"] = [b"junk"]
    with pytest.raises((Malformed, Rejected)):
        await world.find(junk, "p")


async def test_a_malformed_header_is_malformed() -> None:
    with pytest.raises(Malformed):
        await World().bodies.find(b"\xc1", (), ["p"])


async def test_silent_members_do_not_keep_us_from_those_who_have_it() -> None:  # case 28
    # Ten of 31 may lie; one after the other they would cost ten deadlines of a question each.
    world = World()
    world.peers.silence_s = 5.0
    world.peers.bodies["zz"] = encode_block(BLOCK)
    start = time.monotonic()
    silent = [f"m{index}" for index in range(10)]
    assert await world.find(BLOCK, *silent, "zz", by_hash=True) == BLOCK.txs
    assert time.monotonic() - start < 3.0
