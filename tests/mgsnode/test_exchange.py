"""Questions and answers: shapes, limits, deadlines, and what one peer may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode import exchange as module
from mgsnode.base.block import Certificate
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import ZERO_HASH, digest
from mgsnode.base.limits import (
    BLOCK_BYTES_MAX,
    BLOCK_TXS_MAX,
    FRAME_BYTES_MAX,
    INT_MAX,
    TX_BYTES_MAX,
    VALIDATORS_MAX,
)
from mgsnode.exchange import BLOCKS_MAX, Certified, Exchange, Kind
from p2p.frames import Channel, encode_frame
from state.snapshot import PREFIX_MAX

BIG_CERTIFICATE = encode(
    Certificate(2**40, 2**40, 2**40, ZERO_HASH, b"\xff\xff\xff\x7f", (bytes(64),) * VALIDATORS_MAX)
)


class Books:
    """A source: blocks by height, bodies and transactions by hash."""

    def __init__(self) -> None:
        self.blocks: dict[int, Certified] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.txs: dict[bytes, bytes] = {}
        self.items: dict[tuple[int, str | bytes], bytes] = {}
        self.looked = 0

    def certified(self, height: int) -> Certified | None:
        self.looked += 1
        return self.blocks.get(height)

    def body(self, block_hash: bytes) -> bytes | None:
        return self.bodies.get(block_hash)

    def raw_transaction(self, signed_hash: bytes) -> bytes | None:
        return self.txs.get(signed_hash)

    def snapshot_heights(self) -> list[int]:
        return sorted({height for height, _ in self.items})

    def snapshot_item(self, height: int, item: str | bytes) -> bytes | None:
        return self.items.get((height, item))


class End:
    """One node's exchange; what it says goes to `wire`."""

    def __init__(self, wire: Callable[[str, bytes], bool]) -> None:
        self.books = Books()
        self.heads: list[tuple[str, int]] = []
        self.pushed: list[tuple[str, Certified]] = []
        self.exchange = Exchange(
            self.books,
            wire,
            on_head=lambda peer, height: self.heads.append((peer, height)),
            on_block=lambda peer, block: self.pushed.append((peer, block)),
        )


class Pair:
    """Two ends; frames go through the peer layer's own encoding, so its limit holds."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.a = End(lambda peer, raw: self.carry(self.b, "a", raw))
        self.b = End(lambda peer, raw: self.carry(self.a, "b", raw))

    def carry(self, to: End, source: str, raw: bytes) -> bool:
        self.sizes.append(len(encode_frame(Channel.SYNC, raw)))
        asyncio.get_running_loop().call_soon(to.exchange.on_message, source, raw)
        return True


class Ear:
    """Hears what one exchange says, and answers nothing by itself."""

    def __init__(self, *, reachable: bool = True) -> None:
        self.said: list[Value] = []
        self.reachable = reachable
        self.end = End(self.hear)

    def hear(self, _peer: str, raw: bytes) -> bool:
        self.said.append(decode(raw, bytes_max=FRAME_BYTES_MAX))
        return self.reachable

    def tell(self, peer: str, *message: Value) -> None:
        self.end.exchange.on_message(peer, encode(message))


async def test_blocks_bodies_and_transactions_are_asked_for_and_given() -> None:
    pair = Pair()
    books = pair.b.books
    books.blocks = {h: Certified(b"block %d" % h, b"c") for h in range(1, 8)}
    books.bodies = {ZERO_HASH: b"body"}
    books.txs = {digest(b"t", bytes([i])): b"tx%d" % i for i in range(5)}
    ask = pair.a.exchange
    assert await ask.blocks("b", 3, 3) == [books.blocks[h] for h in (3, 4, 5)]
    assert await ask.blocks("b", 6, 64) == [books.blocks[h] for h in (6, 7)]
    assert await ask.blocks("b", 8, 1) == []
    assert await ask.body("b", ZERO_HASH) == b"body"
    assert await ask.body("b", digest(b"t", b"none")) is None
    wanted = [digest(b"t", bytes([i])) for i in (4, 9, 0)]
    assert await ask.transactions("b", wanted) == [b"tx4", b"tx0"]
    pair.b.exchange.tell_head("a", 7)
    pair.b.exchange.push_block("a", 7)
    pair.b.exchange.push_block("a", 99)  # not there: nothing is said
    await asyncio.sleep(0.01)
    assert pair.a.heads == [("b", 7)]
    assert pair.a.pushed == [("b", books.blocks[7])]
    assert not ask._asked


async def test_snapshots_are_offered_and_given_item_by_item() -> None:
    pair = Pair()
    pair.b.books.items = {(h, "head"): b"h%d" % h for h in range(1, 12)}
    pair.b.books.items[11, b"\x0f"] = b"chunk"
    ask = pair.a.exchange
    assert await ask.offers("b") == list(range(4, 12))
    assert await ask.snapshot_item("b", 11, "head") == b"h11"
    assert await ask.snapshot_item("b", 11, b"\x0f") == b"chunk"
    assert await ask.snapshot_item("b", 11, b"\x0e") is None
    assert await ask.snapshot_item("b", 99, "head") is None


async def test_frames_stay_within_the_limit_with_the_largest_blocks() -> None:
    pair = Pair()
    block = bytes(BLOCK_BYTES_MAX)
    pair.b.books.blocks = {h: Certified(block, BIG_CERTIFICATE) for h in range(1, 5)}
    pair.b.books.bodies = {ZERO_HASH: block}
    assert len(await pair.a.exchange.blocks("b", 1, BLOCKS_MAX)) == 1
    assert await pair.a.exchange.body("b", ZERO_HASH) == block
    small = Certified(bytes(120_000), BIG_CERTIFICATE)
    pair.b.books.blocks = dict.fromkeys(range(1, 100), small)
    assert 10 < len(await pair.a.exchange.blocks("b", 1, BLOCKS_MAX)) < 20
    for size in (TX_BYTES_MAX, 300, 1):
        txs = {digest(b"t", b"%d" % i): bytes(size) for i in range(BLOCK_TXS_MAX)}
        pair.b.books.txs = txs
        given_back = await pair.a.exchange.transactions("b", list(txs))
        assert len(given_back) == min(BLOCK_TXS_MAX, (FRAME_BYTES_MAX - 4_096) // (size + 8))
    assert max(pair.sizes) <= FRAME_BYTES_MAX + 5


@pytest.mark.parametrize(
    "message",
    [
        (),
        (1, 1),
        (99, 1, ()),
        (0, 1, ()),
        ("1", 1, ()),
        (Kind.GET_BLOCKS, 1, ()),
        (Kind.GET_BLOCKS, 1, (0, 1)),
        (Kind.GET_BLOCKS, 1, (-5, 1)),
        (Kind.GET_BLOCKS, 1, (1, 0)),
        (Kind.GET_BLOCKS, 1, (1, BLOCKS_MAX + 1)),
        (Kind.GET_BLOCKS, 1, (1, -1)),
        (Kind.GET_BLOCKS, 1, (b"1", 1)),
        (Kind.GET_BODY, 1, b"short"),
        (Kind.GET_BODY, 1, 7),
        (Kind.GET_TXS, 1, 7),
        (Kind.GET_TXS, 1, (7,)),
        (Kind.GET_TXS, 1, (ZERO_HASH,) * (BLOCK_TXS_MAX + 1)),
        (Kind.GET_ITEM, 1, (0, "head")),
        (Kind.GET_ITEM, 1, (5, "../../config/gateway_key.json")),
        (Kind.GET_ITEM, 1, (5, b"\x10")),
        (Kind.GET_ITEM, 1, (5, bytes(PREFIX_MAX + 1))),
        (Kind.GET_ITEM, 1, 5),
        (Kind.HEAD, 0, -1),
        (Kind.HEAD, 0, True),
        (Kind.HEAD, 0, b""),
        (Kind.BLOCK, 0, b""),
        (Kind.BLOCK, 0, (b"", b"", b"")),
        (Kind.BLOCK, 0, (b"", 1)),
    ],
)
async def test_a_malformed_question_is_refused_and_not_answered(message: Value) -> None:
    ear = Ear()
    with pytest.raises(Malformed):
        ear.end.exchange.on_message("x", encode(message))
    assert not ear.said and not ear.end.heads and not ear.end.pushed


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_malformed(raw: bytes) -> None:
    async def hear() -> None:
        try:
            Ear().end.exchange.on_message("x", raw)
        except Malformed:
            pass

    asyncio.run(hear())


async def test_questions_at_the_edges_of_the_integers_find_nothing() -> None:
    ear = Ear()
    for start in (INT_MAX, INT_MAX - 63, 2**60):
        ear.tell("x", int(Kind.GET_BLOCKS), -(2**63), (start, BLOCKS_MAX))
    assert [answer[2] for answer in ear.said] == [(), (), ()]  # type: ignore[index]
    ear.tell("x", int(Kind.HEAD), 0, INT_MAX)
    assert ear.end.heads == [("x", INT_MAX)]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Kind.BLOCKS, 7),
        (Kind.BLOCKS, (7,)),
        (Kind.BLOCKS, ((b"", b""),) * 3),  # more than were asked for
        (Kind.BLOCKS, ((b"", b"", b""),)),
    ],
)
async def test_a_malformed_answer_is_the_askers_to_judge(kind: Kind, content: Value) -> None:
    ear = Ear()
    asking = asyncio.ensure_future(ear.end.exchange.blocks("x", 1, 2))
    await asyncio.sleep(0)
    ear.tell("x", int(kind), 1, content)
    with pytest.raises(Malformed):
        await asking


async def test_bodies_and_transactions_of_another_type_are_malformed() -> None:
    ear = Ear()
    body = asyncio.ensure_future(ear.end.exchange.body("x", ZERO_HASH))
    txs = asyncio.ensure_future(ear.end.exchange.transactions("x", [ZERO_HASH]))
    await asyncio.sleep(0)
    ear.tell("x", int(Kind.BODY), 1, ())
    ear.tell("x", int(Kind.TXS), 2, (b"raw", 7))
    for asking in (body, txs):
        with pytest.raises(Malformed):
            await asking


async def test_an_answer_nobody_asked_for_is_dropped() -> None:
    ear = Ear()
    asking = asyncio.ensure_future(ear.end.exchange.body("x", ZERO_HASH))
    await asyncio.sleep(0)
    ear.tell("y", int(Kind.BODY), 1, b"from another peer")
    ear.tell("x", int(Kind.BODY), 2, b"to another question")
    assert not asking.done()
    ear.tell("x", int(Kind.BODY), 1, b"the first answer")
    ear.tell("x", int(Kind.BODY), 1, b"the second answer")
    assert await asking == b"the first answer"
    ear.tell("x", int(Kind.BODY), 1, b"too late")
    assert not ear.end.exchange._asked


async def test_silence_and_absence_end_as_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    ear = Ear()
    with pytest.raises(TimeoutError):
        await ear.end.exchange.blocks("x", 1, 1)
    away = Ear(reachable=False)
    with pytest.raises(TimeoutError):
        await away.end.exchange.body("x", ZERO_HASH)
    cancelled = asyncio.ensure_future(ear.end.exchange.body("x", ZERO_HASH))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert not ear.end.exchange._asked and not away.end.exchange._asked


async def test_case_57_one_peer_cannot_make_us_answer_without_end() -> None:
    ear = Ear()
    ear.end.books.blocks = {1: Certified(bytes(1_000_000), b"c")}
    for _ in range(200):
        ear.tell("greedy", int(Kind.GET_BLOCKS), 1, (1, 1))
    given_out = sum(bool(answer[2]) for answer in ear.said)  # type: ignore[index]
    assert 30 < given_out < 40
    looked = ear.end.books.looked
    for _ in range(100):  # what it asks beyond is not even looked up
        ear.tell("greedy", int(Kind.GET_BLOCKS), 1, (1, 1))
    assert ear.end.books.looked - looked < 10
    ear.tell("modest", int(Kind.GET_BLOCKS), 1, (1, 1))
    assert ear.said[-1][2]  # type: ignore[index]
    await asyncio.sleep(0.2)
    ear.tell("greedy", int(Kind.GET_BLOCKS), 1, (1, 1))
    assert ear.said[-1][2]  # type: ignore[index]


async def test_a_question_to_a_peer_that_is_gone_ends_at_once() -> None:
    """Else whoever catches up waits 5 s for it, patient and without a proposal of its own."""
    end = End(lambda _peer, _raw: True)
    gone = [asyncio.ensure_future(end.exchange.blocks("b", 1, 1)) for _ in range(2)]
    other = asyncio.ensure_future(end.exchange.blocks("c", 1, 1))
    await asyncio.sleep(0)
    end.exchange.forget("b")
    end.exchange.forget("b")  # before whoever waited has heard of it
    for question in gone:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(question, 1)
    end.exchange.on_message("b", encode((Kind.BLOCKS, 1, ())))  # too late: nobody's
    assert not other.done() and len(end.exchange._asked) == 1
    other.cancel()
