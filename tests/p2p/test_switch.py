"""Members find each other, speak, part and meet again."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from mgsnode.base.errors import ConfigError
from p2p.frames import Channel
from p2p.hello import MEMBER, OBSERVER, Bye, Hello
from p2p.limits import Limits
from p2p.peer import Connection
from p2p.roster import Identity
from p2p.switch import Switch
from p2p.tls import make_certificate
from tests.p2p.attack import join
from tests.p2p.conftest import FAST, World, until


async def test_four_members_connect_once_each_and_speak_in_order(world: World) -> None:
    nodes = await world.network("ada", "bob", "cyd", "dee")
    await asyncio.sleep(0.3)
    for node in nodes:
        assert len(node.switch._connections) == 3, "one connection for each pair"
        assert node.switch.broadcast(Channel.CONSENSUS, b"vote " + node.name.encode()) == 3
        for number in range(50):
            assert node.switch.send(
                "ada" if node.name != "ada" else "dee", Channel.TX, b"%d" % number
            )
    for node in nodes:
        await until(lambda node=node: len([m for m in node.messages if m[1] == 1]) == 3)
    await until(lambda: len([m for m in nodes[0].messages if m[0] == "bob" and m[1] == 3]) == 50)
    from_bob = [m[2] for m in nodes[0].messages if m[0] == "bob" and m[1] is Channel.TX]
    assert from_bob == [b"%d" % number for number in range(50)]


async def test_a_restarted_member_is_reachable_within_a_second(world: World) -> None:
    limits = Limits()  # as shipped
    nodes = await world.network("ada", "bob", "cyd", limits=limits)
    for gone in (nodes[0], nodes[2]):
        others = [node for node in nodes if node is not gone]
        members = gone.members
        await gone.switch.stop()
        for node in others:
            await until(lambda node=node, gone=gone: gone.name not in node.up())
        await asyncio.sleep(3.0)  # the others' backoff has grown to its bound
        began = asyncio.get_running_loop().time()
        fresh = await world.start(gone.name, members, limits=limits)
        for node in others:
            await until(lambda node=node, gone=gone: gone.name in node.up())
        assert asyncio.get_running_loop().time() - began < 1.0
        nodes[nodes.index(gone)] = fresh


async def test_a_member_that_only_others_can_call_is_reached(world: World) -> None:
    ada, bob = world.member("ada"), world.member("bob")
    one = await world.start("ada", [ada, bob._replace(host="", port=0)])
    two = await world.start("bob", [ada, bob])
    await until(lambda: one.up() == {"bob"} and two.up() == {"ada"})


async def test_a_silent_peer_is_noticed_by_keepalive_and_its_queue_stays_bounded(
    world: World,
) -> None:
    members = [world.member("ada"), world.member("bob")]
    ada = await world.start("ada", members, limits=Limits(tick_s=0.1))
    frozen = await join(ada, "bob")
    frozen.writer.transport.pause_reading()  # as SIGSTOP does: no reading, no speaking
    for _ in range(3_000):
        ada.switch.send("bob", Channel.TX, bytes(10_000))
        ada.switch.send("bob", Channel.CONSENSUS, b"vote")
        if _ % 100 == 0:
            await asyncio.sleep(0)
    (stats,) = ada.switch.peers()
    assert stats.waiting_bytes <= ada.switch.limits.queue_all.bytes
    assert stats.waiting_messages <= ada.switch.limits.queue_all.messages
    assert stats.dropped["tx"] > 1_000
    assert stats.dropped["consensus"] == 0
    await until(lambda: ada.up() == set(), 2.0)
    frozen.close()


async def test_idle_peers_ping_and_stay(world: World) -> None:
    ada, bob = await world.network("ada", "bob", limits=Limits(tick_s=0.02))
    await asyncio.sleep(0.6)  # 30 ticks, 8 of silence would end it
    assert ada.events == [("bob", True)]
    assert bob.events == [("ada", True)]
    rtt = ada.switch.peers()[0].rtt_ms
    assert rtt is not None
    assert rtt < 100


async def test_a_large_frame_passes_while_votes_overtake_what_waits(world: World) -> None:
    ada, bob = await world.network("ada", "bob")
    body = bytes(range(256)) * 8_000  # 2 MB
    for number in range(3):
        assert ada.switch.send("bob", Channel.SYNC, body + bytes([number]))
    assert ada.switch.send("bob", Channel.CONSENSUS, b"vote")
    await until(lambda: len(bob.messages) == 4)
    assert bob.messages[0] == ("ada", Channel.CONSENSUS, b"vote")
    assert [m[2] for m in bob.messages[1:]] == [body + bytes([number]) for number in range(3)]


async def test_the_member_list_changes_while_running(world: World) -> None:
    ada, bob, cyd = (world.member(name) for name in ("ada", "bob", "cyd"))
    one = await world.start("ada", [ada, bob])
    two = await world.start("bob", [ada, bob])
    three = await world.start("cyd", [ada, bob, cyd])
    await until(lambda: one.up() == {"bob"} and two.up() == {"ada"})
    await asyncio.sleep(0.2)
    assert three.up() == set(), "not yet known to the others"
    one.switch.set_members([ada, bob, cyd])
    await until(lambda: one.up() == {"bob", "cyd"})
    two.switch.set_members([ada, cyd, bob])
    await until(lambda: three.up() == {"ada", "bob"})
    assert one.events[0] == ("bob", True)
    assert one.events.count(("bob", False)) == 0, "who stays is not disturbed"
    for node in (one, two):
        node.switch.set_members([ada, bob])
    await until(lambda: three.up() == set() and one.up() == {"bob"})
    one.switch.set_members([ada, bob._replace(certificate_der=make_certificate("bob", b"n" * 32))])
    await until(lambda: one.up() == set() and two.up() == set())


async def test_a_joiner_starts_as_an_observer_and_becomes_a_member(world: World) -> None:
    ada, bob = world.member("ada"), world.member("bob")
    one = await world.start("ada", [ada, bob])
    two = await world.start("bob", [ada, bob], role=OBSERVER)
    await until(lambda: one.up() == {"bob"})
    assert one.switch.peers()[0].role == OBSERVER
    assert not two.switch.send("ada", Channel.CONSENSUS, b"vote")
    two.switch.set_members([ada, bob], role=MEMBER)
    await until(lambda: one.switch.send("bob", Channel.CONSENSUS, b"vote"))
    await until(lambda: two.switch.send("ada", Channel.CONSENSUS, b"vote"))


async def test_a_role_that_changes_between_the_two_hellos_is_told_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the peer would hold an observer for ever, and with f dead its votes would be missing."""
    ada, bob = world.member("ada"), world.member("bob")
    one = await world.start("ada", [ada, bob])
    two = await world.start("bob", [ada, bob], role=OBSERVER)
    on_hello, changed = two.switch.on_hello, []

    def late(connection: Connection, hello: Hello) -> Bye | None:
        if not changed:  # ours is said, theirs not heard yet
            changed.append(connection.claimed)
            two.switch.set_members([ada, bob], role=MEMBER)
        return on_hello(connection, hello)

    monkeypatch.setattr(two.switch, "on_hello", late)
    await until(lambda: one.switch.send("bob", Channel.CONSENSUS, b"vote"))
    await until(lambda: two.switch.send("ada", Channel.CONSENSUS, b"vote"))
    assert changed == [OBSERVER]


async def test_who_left_unawares_is_heard_as_an_observer_until_it_knows(world: World) -> None:
    ada, bob = world.member("ada"), world.member("bob")
    one = await world.start("ada", [ada, bob])
    two = await world.start("bob", [ada, bob])
    # Both sides have it open: one may still be greeting while the other speaks already.
    await until(lambda: ("bob", True) in one.events and ("ada", True) in two.events)
    await until(lambda: two.switch.send("ada", Channel.CONSENSUS, b"vote"))
    one.switch.set_members([ada, bob._replace(role=OBSERVER)])
    await until(lambda: ("bob", False) in one.events)
    await until(lambda: one.up() == {"bob"} and two.up() == {"ada"}, 10)
    assert not two.switch.send("ada", Channel.CONSENSUS, b"vote"), "it would be a fault"
    assert two.switch.send("ada", Channel.SYNC, b"what have I missed?")
    await until(lambda: one.messages[-1:] == [("bob", Channel.SYNC, b"what have I missed?")])
    assert one.switch.counters["refused: wrong_role"] >= 1
    one.switch.set_members([ada, bob])  # and back: it claims its due again
    await until(lambda: two.switch.send("ada", Channel.CONSENSUS, b"vote"), 10)
    assert not [name for name in one.switch.counters if name.startswith("fault")]


async def test_who_is_refused_a_moment_before_it_is_a_member_is_one_soon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It calls again as an observer; nobody's role changes any more that would end that."""
    ada, bob = world.member("ada"), world.member("bob", OBSERVER)._replace(host="", port=0)
    one = await world.start("ada", [ada, bob])
    on_hello, refused = one.switch.on_hello, []

    def then_catch_up(connection: Connection, hello: Hello) -> Bye | None:
        why = on_hello(connection, hello)
        if why is Bye.WRONG_ROLE and not refused:
            refused.append(why)
            one.switch.set_members([ada, bob._replace(role=MEMBER)])
        return why

    monkeypatch.setattr(one.switch, "on_hello", then_catch_up)
    limits = replace(FAST, humble_s=0.2)
    two = await world.start("bob", [ada, bob], limits=limits)
    await until(lambda: one.up() == {"bob"})
    assert one.switch.peers()[0].role == OBSERVER and refused, "the race was driven"
    await until(lambda: one.switch.send("bob", Channel.CONSENSUS, b"vote"))
    await until(lambda: two.switch.send("ada", Channel.CONSENSUS, b"vote"))


async def test_a_peer_whose_host_is_no_name_stops_nobody(world: World) -> None:
    """The chain lists what a gateway gave as its endpoint: any printable text and a port."""
    ada, bob = world.member("ada"), world.member("bob")
    odd = [
        world.member(f"odd{number}")._replace(host=host, port=port)
        for number, (host, port) in enumerate(
            [("a..b", 80), (".", 80), ("x" * 64, 80), ("127.0.0.1", 99_999), ("::%", 1)]
        )
    ]
    one = await world.start("ada", [ada, bob])
    one.switch.set_members([ada, bob, *odd])  # one joins while we run
    two = await world.start("bob", [ada, bob, *odd])  # and is there when we start
    await until(lambda: one.up() == {"bob"} and two.up() == {"ada"})
    await asyncio.sleep(0.2)  # every one of them was called
    assert not one.failures and not two.failures
    with pytest.raises(ConfigError, match="cannot listen"):
        await world.start("cyd", [world.member("cyd")._replace(host="a..b")])
    world.nodes.pop()


async def test_case_77_an_exception_in_a_callback_reaches_on_failure(world: World) -> None:
    ada, bob = await world.network("ada", "bob")

    def broken(_peer: str, _channel: Channel, _payload: bytes) -> None:
        raise OSError("disk full")  # of a kind that sockets raise too

    bob.on_message = broken
    ada.switch.send("bob", Channel.TX, b"x")
    await until(lambda: bob.failures)
    assert [str(failure) for failure in bob.failures] == ["disk full"]
    bob.failures.clear()


async def test_case_77_an_exception_in_a_task_reaches_on_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _ = await world.network("ada", "bob")

    def broken(_connection: Connection) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(Connection, "tick", broken)
    await until(lambda: ada.failures)
    for node in world.nodes:
        await node.switch.stop()
        node.failures.clear()


async def test_stop_says_goodbye_and_can_be_called_twice(world: World) -> None:
    ada, bob = await world.network("ada", "bob")
    await ada.switch.stop()
    assert ada.up() == set()
    await ada.switch.stop()
    await until(lambda: bob.up() == set())
    assert not ada.switch.send("bob", Channel.TX, b"x")
    with pytest.raises(ConfigError):
        Switch(
            Identity("x", b"junk", b"s" * 32), b"g" * 32, ("127.0.0.1", 0), [],
            lambda *_: None, lambda *_: None, on_failure=lambda _: None, random=random.random,
        )  # fmt: skip


async def test_an_address_in_use_is_a_configuration_error(world: World) -> None:
    ada, _ = await world.network("ada", "bob")
    with pytest.raises(ConfigError, match="cannot listen"):
        await world.start("ada", ada.members)
    world.nodes.pop()


async def test_messages_stand_between_up_and_down(world: World) -> None:
    """Connections are cut at random while both speak; the order of events holds throughout."""
    ada, bob = await world.network("ada", "bob")
    trace: list[str] = []
    bob.on_message = lambda peer, _c, _p: trace.append(
        "ok" if peer in bob.up() else "message of an absent peer"
    )
    for turn in range(30):
        ada.switch.broadcast(Channel.CONSENSUS, b"a")
        bob.switch.broadcast(Channel.TX, b"b")
        if turn % 3 == 2:
            victim = (ada, bob)[turn % 2]
            for connection in tuple(victim.switch._connections.values()):
                connection.drop()
        await asyncio.sleep(0.02)
    await until(lambda: ada.up() == {"bob"} and bob.up() == {"ada"})
    assert trace
    assert set(trace) == {"ok"}
