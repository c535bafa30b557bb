"""How transactions come in: once checked, told once, and who is blamed for what."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode import intake as module
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Busy, Malformed, MgsError, Rejected
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import FRAME_BYTES_MAX, MEMPOOL_TXS_MAX, TX_BYTES_MAX
from mgsnode.base.transaction import (
    BAD_NONCE,
    BAD_SIGNATURE,
    Body,
    Transaction,
    open_transaction,
    sign_transaction,
)
from mgsnode.intake import GOSSIP_BYTES, Intake, batches
from mgsnode.mempool import Mempool
from mgsnode.verifier import Verifier
from tests.mgsnode.txs import sender_of

KEY = SigningKey(bytes(32))


def signed(sender: str = "a", nonce: int = 0, *, size: int = 0) -> bytes:
    body = Body(
        ZERO_HASH, sender_of(sender), 0, nonce, 2**60, 1, b"", "dollar_transfer", (bytes(size),)
    )
    return sign_transaction(body, [KEY])


def forged(raw: bytes) -> bytes:
    """The same body with a signature that does not fit: a twin of the same txid."""
    body, ((key, _),) = decode(raw, bytes_max=TX_BYTES_MAX)  # type: ignore[misc]
    return encode((body, ((key, bytes(64)),)))


class OpenDoor:
    """A ledger that admits what `used` does not know."""

    def __init__(self) -> None:
        self.head: dict[bytes, int] = {}
        self.opened = 0

    def open_tx(self, raw: bytes, *, signed_hash: bytes | None = None) -> Transaction:
        self.opened += 1
        return open_transaction(raw, ZERO_HASH)

    def check_admission(self, tx: Transaction, *, wall_ms: int = 0) -> None:
        if tx.body.nonce < self.next_nonce(tx.body.sender, 0):
            raise Rejected(BAD_NONCE, next=self.next_nonce(tx.body.sender, 0))

    def next_nonce(self, sender: bytes, _lane: int) -> int:
        return self.head.get(sender, 0)


class World:
    def __init__(self, mempool: Mempool | None = None) -> None:
        self.door = OpenDoor()
        self.mempool = Mempool() if mempool is None else mempool
        self.verifier = Verifier(0)
        self.told: list[bytes] = []
        self.liars: list[tuple[str, str]] = []
        self.works = 0
        self.intake = Intake(
            self.door,
            self.mempool,
            self.verifier,
            now_ms=lambda: 0,
            wall_ms=lambda: 0,
            gossip=self.told.append,
            on_liar=lambda peer, why: self.liars.append((peer, why)),
            on_work=self.work,
        )

    def work(self) -> None:
        self.works += 1

    async def submit(self, *raws: bytes) -> list[Transaction | MgsError]:
        answers = await self.intake.submit(raws)
        await asyncio.sleep(0)  # the peers are told in the next turn of the loop
        return answers

    def gossiped(self) -> list[bytes]:
        return [raw for frame in self.told for raw in decode(frame, bytes_max=FRAME_BYTES_MAX)]  # type: ignore[union-attr,misc]

    async def hear(self, *frames: tuple[str, bytes]) -> None:
        """Lets peers pass frames on, and waits until all were looked at."""
        running = asyncio.ensure_future(self.intake.run())
        for peer, frame in frames:
            self.intake.on_gossip(peer, frame)
        while self.intake._heard or self.intake._turn.locked():  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def codes(answers: list[Transaction | MgsError]) -> list[object]:
    return [
        "waits" if isinstance(a, Transaction) else a.code if isinstance(a, Rejected) else type(a)
        for a in answers
    ]


async def test_what_a_wallet_brings_waits_and_is_told_once() -> None:
    world = World()
    raws = [signed("a", nonce) for nonce in range(100)]
    assert codes(await world.submit(*raws)) == ["waits"] * 100
    assert world.gossiped() == raws and world.verifier.checks == 100
    assert world.works >= 1
    # Again: idempotent, not checked again, not told again (case 58).
    assert codes(await world.submit(*raws)) == ["waits"] * 100
    assert len(world.gossiped()) == 100 and world.verifier.checks == 100
    assert len(world.mempool) == 100


async def test_a_transaction_twice_in_one_batch_is_checked_once() -> None:
    world = World()
    raw = signed()
    assert codes(await world.submit(raw, raw, raw)) == ["waits"] * 3
    assert world.verifier.checks == 1 and world.gossiped() == [raw]
    bad = forged(signed("b"))
    assert codes(await world.submit(bad, bad)) == [BAD_SIGNATURE[0]] * 2
    assert world.verifier.checks == 2 and len(world.gossiped()) == 1


async def test_callers_at_the_same_time_check_a_transaction_once() -> None:
    world = World()
    raw = signed()
    answers = await asyncio.gather(*(world.intake.submit([raw]) for _ in range(10)))
    assert [codes(a) for a in answers] == [["waits"]] * 10
    assert world.verifier.checks == 1


async def test_a_bad_twin_of_what_waits_is_never_passed_on() -> None:
    # A peer that has not the good one would take us for a liar.
    world = World()
    raw = signed()
    await world.submit(raw)
    assert codes(await world.submit(forged(raw))) == ["waits"]
    assert world.gossiped() == [raw]
    assert world.mempool.by_signed_hash(world.door.open_tx(raw).signed_hash) is not None


async def test_each_of_a_batch_has_its_own_answer() -> None:
    world = World()
    world.door.head[sender_of("old")] = 5
    answers = await world.submit(
        b"\xc1", signed("old", 4), signed(), forged(signed("b")), signed("old", 5)
    )
    assert codes(answers) == [Malformed, BAD_NONCE[0], "waits", BAD_SIGNATURE[0], "waits"]
    assert world.intake.refused == 3 and len(world.gossiped()) == 2


async def test_a_nonce_that_is_taken_is_refused() -> None:
    world = World()
    await world.submit(signed("a", 0))
    assert codes(await world.submit(signed("a", 0, size=1))) == [BAD_NONCE[0]]


async def test_what_broke_the_ledger_is_taken_in_no_more(  # case 69
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    raw = signed()
    txid = world.door.open_tx(raw).txid
    world.intake.set_aside(txid)
    assert codes(await world.submit(raw)) == [Busy]
    await world.hear(("peer", encode((raw,))))
    assert len(world.mempool) == 0 and not world.liars
    monkeypatch.setattr(module, "_ASIDE_MAX", 3)
    for index in range(10):
        world.intake.set_aside(bytes([index]))
    assert len(world.intake._aside) <= 4


async def test_a_full_room_is_busy_before_anything_is_checked() -> None:
    world = World(Mempool(txs_max=2))
    await world.submit(signed("a"), signed("b"))
    checks = world.verifier.checks
    assert codes(await world.submit(signed("c"))) == [Busy]
    assert world.verifier.checks == checks
    # Two that race for the last place: one gets it.
    room = World(Mempool(txs_max=1))
    assert codes(await room.submit(signed("a"), signed("b"))) == ["waits", Busy]
    assert len(room.gossiped()) == 1


async def test_more_than_can_be_checked_is_busy() -> None:
    world = World()
    world.intake._taking = MEMPOOL_TXS_MAX
    assert codes(await world.submit(signed())) == [Busy]
    assert world.intake._taking == MEMPOOL_TXS_MAX


async def test_a_caller_that_leaves_holds_nothing_up() -> None:
    world = World()
    leaving = asyncio.ensure_future(world.intake.submit([signed("a", n) for n in range(500)]))
    await asyncio.sleep(0.001)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert world.intake._taking == 0
    assert codes(await world.submit(signed("b"))) == ["waits"]


async def test_a_long_batch_leaves_the_event_loop_to_others() -> None:  # case 76
    world = World()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count())
    await world.submit(*(signed("a", nonce) for nonce in range(640)))
    counting.cancel()
    assert turns >= 20


# From peers


async def test_good_gossip_waits_and_is_not_told_again() -> None:  # case 58
    world = World()
    frame = encode(tuple(signed("a", nonce) for nonce in range(50)))
    await world.hear(("x", frame), ("y", frame), ("x", frame))
    assert len(world.mempool) == 50 and world.verifier.checks == 50
    assert not world.told and not world.liars


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "malformed gossip"),
        (b"\xc1", "malformed gossip"),
        (encode(7), "malformed gossip"),
        (encode((b"", 7)), "malformed gossip"),
        (encode((bytes(GOSSIP_BYTES),) * 3), "malformed gossip"),
        (encode((b"\xc1",) * 500), "gossip of no transaction"),
        (encode((signed(), b"")), "gossip of no transaction"),
        (encode((forged(signed()),) * 3), "gossip of a bad signature"),
        (encode((forged(signed("b")), forged(signed("c")))), "gossip of a bad signature"),
    ],
)
async def test_a_peer_that_passes_on_nonsense_is_blamed_once_a_frame(
    frame: bytes, why: str
) -> None:
    world = World()
    await world.hear(("x", frame))
    assert world.liars == [("x", why)]


async def test_gossip_that_came_too_late_is_nobodys_fault() -> None:
    world = World()
    world.door.head[sender_of("a")] = 9
    other_chain = sign_transaction(
        Body(bytes([1]) * 32, sender_of("b"), 0, 0, 1, 1, b"", "x", ()), [KEY]
    )
    await world.hear(("x", encode((signed("a", 3), other_chain))))
    assert not world.liars and len(world.mempool) == 0


@given(st.binary(max_size=300))
def test_any_gossip_is_survived(frame: bytes) -> None:
    async def hear() -> None:
        world = World()
        await world.hear(("x", frame), ("x", encode((frame,))), ("y", encode((signed(),))))
        assert len(world.mempool) == 1

    asyncio.run(hear())


async def test_case_57_one_peers_flood_pushes_out_only_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_HEARD_FRAMES_MAX", 10)
    world = World()
    honest = encode((signed("honest"),))
    world.intake.on_gossip("honest", honest)
    flood = [encode((signed("flood", nonce),)) for nonce in range(40)]
    for frame in flood:
        world.intake.on_gossip("flood", frame)
    assert len(world.intake._heard["flood"].frames) == 10
    order: list[str] = []
    hear = world.intake._hear

    async def note(peer: str, payload: bytes) -> None:
        order.append(peer)
        await hear(peer, payload)

    monkeypatch.setattr(world.intake, "_hear", note)
    world.intake.on_gossip("honest", encode((signed("honest", 1),)))
    await world.hear()
    assert order[:4] == ["honest", "flood", "honest", "flood"]
    assert len(world.mempool) == 2 + 10
    assert not world.intake._heard


async def test_what_waits_unread_is_bounded_in_bytes() -> None:
    world = World()
    frame = bytes(GOSSIP_BYTES)
    for _ in range(100):
        world.intake.on_gossip("x", frame)
    heard = world.intake._heard["x"]
    assert sum(map(len, heard.frames)) == heard._bytes <= module._HEARD_BYTES_MAX


# Batches


@given(st.lists(st.integers(0, 20_000), max_size=60))
def test_batches_keep_the_order_and_a_frames_size(sizes: list[int]) -> None:
    raws = [bytes(size) for size in sizes]
    cut = batches(raws)
    assert [raw for batch in cut for raw in batch] == raws
    for batch in cut:
        assert len(encode(tuple(batch))) <= GOSSIP_BYTES + 16 and batch


def test_the_largest_transaction_fits_into_a_frame_that_peers_take() -> None:
    raws = [bytes(TX_BYTES_MAX)] * 3
    value: Value = tuple(batches(raws)[0])
    assert len(encode(value)) <= module._FRAME_BYTES_MAX


async def test_what_waits_for_long_is_told_again() -> None:
    world = World()
    await world.submit(signed("a", 0), signed("a", 1))
    world.told.clear()
    world.intake.tell_again(world.mempool.ready_since(1, count=5))
    await asyncio.sleep(0)
    assert world.gossiped() == [signed("a", 0), signed("a", 1)]
