"""Real nodes on loopback: real sockets, real TLS, free ports."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from p2p.frames import Channel
from p2p.hello import MEMBER, Role
from p2p.limits import Limits
from p2p.owner import PeerInfo
from p2p.roster import Identity
from p2p.switch import Switch
from p2p.tls import make_certificate

GENESIS = b"\x11" * 32
FAST = Limits(tick_s=0.05, handshake_s=1.0, dial_first_s=0.02, dial_max_s=0.1, yield_s=0.05)


def seed_of(name: str) -> bytes:
    """A fixed seed for each name."""
    return name.encode().ljust(32, b"#")


def certificate_of(name: str) -> bytes:
    """The certificate of `name` with its fixed key."""
    return make_certificate(name, seed_of(name))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for `condition`, or fail."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.002)


class Node:
    """A switch that remembers what it was told."""

    def __init__(
        self, name: str, members: list[PeerInfo], limits: Limits, role: Role, genesis: bytes
    ) -> None:
        info = next(m for m in members if m.name == name)
        self.name = name
        self.members = members
        self.messages: list[tuple[str, Channel, bytes]] = []
        self.events: list[tuple[str, bool]] = []
        self.failures: list[BaseException] = []
        self.on_message: Callable[[str, Channel, bytes], None] | None = None
        self.switch = Switch(
            Identity(name, info.certificate_der, seed_of(name), role),
            genesis,
            (info.host or "127.0.0.1", info.port),
            members,
            self._message,
            lambda peer, up: self.events.append((peer, up)),
            on_failure=self.failures.append,
            random=random.random,
            limits=limits,
        )

    def _message(self, peer: str, channel: Channel, payload: bytes) -> None:
        self.messages.append((peer, channel, payload))
        if self.on_message is not None:
            self.on_message(peer, channel, payload)

    def up(self) -> set[str]:
        """Who is connected, by the events alone (they must alternate)."""
        now: dict[str, bool] = defaultdict(bool)
        for peer, is_up in self.events:
            assert now[peer] != is_up, f"{peer} went {is_up} twice"
            now[peer] = is_up
        return {peer for peer, is_up in now.items() if is_up}


class World:
    """Makes nodes and attackers, and stops them all."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.cleanup: list[Callable[[], Awaitable[object]]] = []

    def member(self, name: str, role: Role = MEMBER) -> PeerInfo:
        """A listed peer with a free port."""
        return PeerInfo(name, certificate_of(name), "127.0.0.1", free_port(), role)

    async def start(
        self,
        name: str,
        members: list[PeerInfo],
        *,
        limits: Limits = FAST,
        role: Role = MEMBER,
        genesis: bytes = GENESIS,
    ) -> Node:
        """A running node."""
        node = Node(name, members, limits, role, genesis)
        self.nodes.append(node)
        await node.switch.start()
        return node

    async def network(self, *names: str, limits: Limits = FAST) -> list[Node]:
        """Members of these names, all connected."""
        members = [self.member(name) for name in names]
        nodes = [await self.start(name, members, limits=limits) for name in names]
        for node in nodes:
            await until(lambda node=node: len(node.up()) == len(names) - 1)
        return nodes


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world that is stopped afterwards; no task or failure may be left over."""
    before = asyncio.all_tasks()
    world = World()
    yield world
    for undo in reversed(world.cleanup):
        with suppress(OSError):
            await undo()
    for node in world.nodes:
        await node.switch.stop()
        assert not node.failures, node.failures
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, "a task outlived its switch"
