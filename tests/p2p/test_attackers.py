"""What strangers and lying members can do: be disconnected, counted, banned; no more."""

from __future__ import annotations

import asyncio
import os
import ssl
import tracemalloc

import pytest

from p2p.frames import Channel, encode_frame
from p2p.hello import OBSERVER, Bye, Goodbye, Hello, Word, encode_beat
from p2p.limits import Limits, Rate
from p2p.owner import Stage
from p2p.tls import make_certificate, make_contexts
from tests.p2p.attack import connect, ends, hello_of, join, raw
from tests.p2p.conftest import FAST, GENESIS, Node, World, certificate_of, until


async def lone(world: World, *, limits: Limits = FAST) -> Node:
    """ada, whose peers bob and cyd are not running."""
    members = [world.member(name) for name in ("ada", "bob", "cyd")]
    members += [world.member("obs", OBSERVER)]
    return await world.start("ada", members, limits=limits)


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), os.urandom(5_000), b"\x16\x03\x01\xff\xff" * 9]
)
async def test_plain_tcp_garbage_is_closed_and_counted(world: World, junk: bytes) -> None:
    ada = await lone(world)
    reader, writer = await raw(ada, junk)
    assert await ends(reader)
    await until(lambda: ada.switch.counters["fault: handshake"] == 1)
    assert ada.switch.pending == 0
    writer.close()


async def test_strangers_and_namesakes_are_refused_before_a_frame_is_read(world: World) -> None:
    ada = await lone(world)
    for name in ("eve", "bob", "ada"):
        insider = await connect(ada, name, seed=b"evil" * 8)
        insider.say(Channel.CONTROL, hello_of(name))
        assert await insider.is_closed()
        assert insider.frames == []
        insider.close()
    await until(lambda: ada.switch.counters["fault: handshake"] == 3)
    assert ada.events == []


async def test_a_node_does_not_talk_to_itself(world: World) -> None:
    ada = await lone(world)
    insider = await connect(ada, "ada")  # the true key of ada
    assert await insider.is_closed()
    assert ada.events == []


@pytest.mark.parametrize("cut", [0, 1, 5, 50, 200])
async def test_case_55_a_handshake_that_stalls_at_any_byte_meets_its_deadline(
    world: World, cut: int
) -> None:
    ada = await lone(world)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
        incoming, outgoing, server_hostname="x"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    reader, writer = await raw(ada, outgoing.read()[:cut])
    assert await ends(reader, FAST.handshake_s + 1.0)
    await until(lambda: ada.switch.counters["fault: handshake"] == 1)
    writer.close()


async def test_a_member_that_never_says_hello_meets_the_same_deadline(world: World) -> None:
    ada = await lone(world)
    insider = await connect(ada, "bob")
    assert await insider.is_closed(FAST.handshake_s + 1.0)
    assert ada.events == []


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"version": 2}, Bye.WRONG_VERSION),
        ({"genesis_hash": b"\x22" * 32}, Bye.WRONG_CHAIN),
        ({"name": "cyd"}, Bye.WRONG_NAME),
    ],
)
async def test_a_hello_that_does_not_fit_is_refused_with_its_reason(
    world: World, lie: dict[str, object], why: Bye, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await lone(world)
    insider = await connect(ada, "bob")
    insider.say(Channel.CONTROL, hello_of("bob", **lie))
    assert await insider.is_closed()
    assert insider.controls()[-1] == Goodbye(why)
    assert ada.switch.counters[f"refused: {why.name.lower()}"] == 1
    assert f"peer bob refused: {why.name.lower()}" in caplog.text
    assert ada.events == []


async def test_an_observer_cannot_claim_a_member_s_place_nor_speak_of_consensus(
    world: World,
) -> None:
    ada = await lone(world)
    liar = await connect(ada, "obs")
    liar.say(Channel.CONTROL, hello_of("obs"))
    assert await liar.is_closed()
    assert liar.controls()[-1] == Goodbye(Bye.WRONG_ROLE)
    honest = await connect(ada, "obs")
    honest.say(Channel.CONTROL, hello_of("obs", role=OBSERVER))
    await until(lambda: ada.up() == {"obs"})
    assert not ada.switch.send("obs", Channel.CONSENSUS, b"vote")
    assert ada.switch.broadcast(Channel.CONSENSUS, b"vote") == 0
    assert ada.switch.send("obs", Channel.TX, b"tx")
    honest.say(Channel.TX, b"gossip")
    honest.say(Channel.CONSENSUS, b"vote")
    assert await honest.is_closed()
    assert ada.messages == [("obs", Channel.TX, b"gossip")]
    assert (Channel.TX, b"tx") in honest.frames
    assert ada.switch.counters["fault: channel"] == 1


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x00\x00\x00\x00", "frame length"),
        (b"\xff\xff\xff\xff", "frame length"),
        (b"\x00\x00\x00\x05\x09abcd", "channel"),
        (b"\x00\x00\x10\x00\x00", "frame length"),  # a control frame of 4 kB
        (encode_frame(Channel.CONTROL, b"\xc1"), "control"),
        (encode_frame(Channel.CONTROL, b"\x92\x63\x01"), "control"),  # an unknown word
        (encode_frame(Channel.CONTROL, hello_of("bob")), "second hello"),
    ],
)
async def test_case_48_nonsense_from_a_member_ends_the_connection_and_bans_it(
    world: World, data: bytes, fault: str
) -> None:
    ada = await lone(world)
    bob = await join(ada, "bob")
    bob.say(Channel.TX, b"before")
    bob.writer.write(data)
    bob.say(Channel.TX, b"after")
    assert await bob.is_closed()
    await until(lambda: ada.events == [("bob", True), ("bob", False)])
    assert ada.messages == [("bob", Channel.TX, b"before")], "in order, and nothing afterwards"
    assert ada.switch.counters[f"fault: {fault}"] == 1
    (stats,) = [s for s in ada.switch.peers() if s.name == "bob"]
    assert stats.offences == 1
    assert 0.0 < stats.banned_s <= 1.0
    again = await connect(ada, "bob")
    again.say(Channel.CONTROL, hello_of("bob"))
    assert await again.is_closed()
    assert again.controls()[-1] == Goodbye(Bye.BANNED)


async def test_frames_before_hello_are_refused(world: World) -> None:
    ada = await lone(world)
    bob = await connect(ada, "bob")
    bob.say(Channel.CONSENSUS, b"vote")
    assert await bob.is_closed()
    assert ada.messages == []
    assert ada.switch.counters["fault: no hello"] == 1


async def test_case_48_a_length_that_is_never_satisfied_costs_no_memory_and_ends(
    world: World,
) -> None:
    ada = await lone(world, limits=Limits(tick_s=0.02, frame_ticks=10))
    bob = await join(ada, "bob")
    tracemalloc.start()
    bob.writer.write((2 * 1024 * 1024).to_bytes(4, "big") + b"\x02" + b"x")
    deadline = asyncio.get_running_loop().time() + 3
    while ada.up() and asyncio.get_running_loop().time() < deadline:
        bob.writer.write(b"y")  # a dribble: never silent, never done
        await asyncio.sleep(0.01)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ada.up() == set()
    assert ada.switch.counters["fault: frame never completed"] == 1
    assert peak < 1_000_000
    bob.close()


async def test_case_56_stalled_handshakes_do_not_keep_members_out(world: World) -> None:
    limits = Limits(tick_s=0.05, handshake_s=5.0, pending_max=8, pending_per_address=8)
    ada = await lone(world, limits=limits)
    stalled = [await raw(ada) for _ in range(40)]
    await until(lambda: ada.switch.counters["evicted"] >= 32)
    assert ada.switch.pending <= 8
    bob = await join(ada, "bob")
    assert ada.up() == {"bob"}
    more = [await raw(ada) for _ in range(10)]
    await asyncio.sleep(0.05)
    assert ada.up() == {"bob"}, "an established member is out of their reach"
    bob.close()
    for _, writer in stalled + more:
        writer.close()


async def test_a_stranger_s_address_is_banned_for_longer_each_time(world: World) -> None:
    ada = await lone(world)
    for offences in (1, 2, 3):
        reader, writer = await raw(ada, b"junk" * 10, source="127.0.0.2")
        assert await ends(reader)
        writer.close()
        await until(lambda n=offences: ada.switch.counters["fault: handshake"] == n)
        reader, writer = await raw(ada, source="127.0.0.2")
        assert await ends(reader, 0.3), "turned away at once, before the handshake's deadline"
        writer.close()
        assert ada.switch.counters["turned away"] == offences
        assert ada.switch.pending == 0
        await asyncio.sleep(2.0 ** (offences - 1) if offences < 3 else 0)
    bob = await join(ada, "bob")
    bob.close()


async def test_two_connections_one_id_the_newer_call_replaces_the_older(world: World) -> None:
    ada = await lone(world)
    first, second = await join(ada, "bob"), await join(ada, "bob")
    assert await first.is_closed()
    assert first.controls()[-1] == Goodbye(Bye.DUPLICATE)
    second.say(Channel.TX, b"still here")
    await until(lambda: ada.messages == [("bob", Channel.TX, b"still here")])
    assert ada.events == [("bob", True), ("bob", False), ("bob", True)]
    assert sum(c.stage is Stage.OPEN for c in ada.switch._connections.values()) == 1
    second.close()


async def test_an_answering_host_with_a_strange_certificate_is_not_taken_for_the_member(
    world: World,
) -> None:
    members = [world.member("ada"), world.member("bob")]
    seed = b"m" * 32
    impostor = make_contexts(make_certificate("bob", seed), seed, [certificate_of("ada")])
    calls: list[object] = []
    server = await asyncio.start_server(
        lambda _r, w: calls.append(w), "127.0.0.1", members[1].port, ssl=impostor.server
    )
    ada = await world.start("ada", members)
    await until(lambda: ada.switch.counters["fault: handshake"] >= 2)
    assert ada.events == []
    assert ada.switch.peers()[0].offences == 0, "an impostor's deed is not bob's"
    server.close()
    await server.wait_closed()
    await world.start("bob", members)
    await until(lambda: ada.up() == {"bob"}, 8.0)


async def test_case_57_a_flooding_peer_is_slowed_and_the_others_are_not(world: World) -> None:
    rate = Rate(200, 4 * 1024 * 1024, burst_s=1.0)
    ada = await lone(world, limits=Limits(tick_s=0.05, rate_tx=rate))
    bob, cyd = await join(ada, "bob"), await join(ada, "cyd")
    loop = asyncio.get_running_loop()
    began = loop.time()
    sent = 0
    slowest = 0.0
    while loop.time() - began < 1.5:
        if bob.writer.transport.get_write_buffer_size() < 1_000_000:
            for _ in range(100):
                bob.say(Channel.TX, bytes(500))
            sent += 100
        asked = loop.time()
        before = len(ada.messages)
        cyd.say(Channel.CONSENSUS, b"vote")
        await until(lambda before=before: any(m[0] == "cyd" for m in ada.messages[before:]))
        slowest = max(slowest, loop.time() - asked)
        await asyncio.sleep(0.01)
    elapsed = loop.time() - began
    got = sum(1 for m in ada.messages if m[0] == "bob")
    record = 16_384 // 505 + 1
    assert got <= rate.messages_per_s * (rate.burst_s + elapsed) + record
    assert sent > 3 * got, "the rest waits at the sender's end"
    assert slowest < 0.25
    assert ada.up() == {"bob", "cyd"}, "slowed, not thrown out"
    assert next(s for s in ada.switch.peers() if s.name == "bob").throttled > 0
    bob.close()
    cyd.close()


async def test_a_flood_of_pings_is_slowed_too(world: World) -> None:
    ada = await lone(world)
    bob = await join(ada, "bob")
    for _ in range(3_000):
        bob.say(Channel.CONTROL, encode_beat(Word.PING, 1))
    await until(lambda: ada.switch.counters["throttled"] > 0)
    bob.close()


async def test_case_58_a_connection_cannot_be_replayed(world: World) -> None:
    """The bytes of bob's good connection, sent again, are not even a handshake."""
    ada = await lone(world)
    sent: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await raw(ada)

        async def pump() -> None:
            while data := await up_reader.read(65_536):
                writer.write(data)

        back = asyncio.create_task(pump())
        while data := await reader.read(65_536):
            sent.append(data)
            up_writer.write(data)
        up_writer.close()
        writer.close()
        await asyncio.gather(back, return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = type("At", (), {"name": "ada", "switch": type("S", (), {"port": port})})
    bob = await join(through, "bob")  # type: ignore[arg-type]
    bob.say(Channel.TX, b"once")
    await until(lambda: ada.messages == [("bob", Channel.TX, b"once")])
    bob.writer.close()
    await until(lambda: ada.up() == set())
    reader, writer = await raw(ada, b"".join(sent))
    assert await ends(reader)
    await until(lambda: ada.switch.counters["fault: handshake"] == 1)
    assert len(ada.messages) == 1
    writer.close()
    server.close()


async def test_penalise_disconnects_counts_and_bans_for_longer_each_time(world: World) -> None:
    ada = await lone(world)
    for expected in (1.0, 2.0):
        bob = await join(ada, "bob")
        ada.switch.penalise("bob", "bad vote")
        assert await bob.is_closed()
        assert bob.controls()[-1] == Goodbye(Bye.MISBEHAVED)
        await until(lambda: ada.up() == set())
        banned_s = next(s for s in ada.switch.peers() if s.name == "bob").banned_s
        assert expected - 0.5 < banned_s <= expected
        await asyncio.sleep(banned_s)
    assert ada.switch.counters["fault: bad vote"] == 2
    ada.switch.penalise("nobody", "x")


async def test_nothing_is_delivered_after_the_node_penalised_a_peer(world: World) -> None:
    ada = await lone(world)
    bob = await join(ada, "bob")
    ada.on_message = lambda peer, _channel, _payload: ada.switch.penalise(peer, "bad tx")
    for number in range(20):
        bob.say(Channel.TX, b"%d" % number)  # one write, one record
    assert await bob.is_closed()
    assert ada.messages == [("bob", Channel.TX, b"0")]
    assert ada.switch.counters["fault: bad tx"] == 1


async def test_a_thousand_kinds_of_junk_leave_the_node_serving(world: World) -> None:
    ada = await lone(world, limits=Limits(tick_s=0.05, handshake_s=0.5))
    writers = []
    for number in range(300):
        try:
            _, writer = await raw(ada, os.urandom(number % 97))
        except OSError:
            continue
        writers.append(writer)
    bob = None
    for _ in range(40):
        try:
            bob = await join(ada, "bob")
            break
        except (OSError, AssertionError):
            await asyncio.sleep(0.1)
    assert bob is not None
    assert ada.up() == {"bob"}
    for writer in writers:
        writer.close()
    bob.close()


def test_the_hello_in_these_tests_is_the_real_one() -> None:
    assert Hello._fields == (
        "version", "genesis_hash", "name", "role", "instance", "elsewhere",
    )  # fmt: skip
    assert GENESIS in hello_of("bob")
