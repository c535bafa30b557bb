"""Whole nodes in one event loop: only the wires between them and the JSON-RPC door are faked.

Each has its own home, ledger, journal and threads, as in production. The wires keep the peer
layer's promises: names are identities, one connection's frames keep their order, observers have
no consensus channel, and an exception out of a node's callback ends that node.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import mgsnode.node as module
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.config import Observer, load_settings
from mgsnode.devnet import (
    DevAccount,
    dev_address,
    dev_genesis,
    dev_key,
    dev_key_file,
    gateway_names,
)
from mgsnode.home import Home, create_home, create_keys, load_node_keys
from mgsnode.node import Node
from p2p.frames import Channel, encode_frame
from p2p.hello import MEMBER
from p2p.stats import PeerStats

WATCHER = "watcher"
Fate = Callable[[str, str, Channel, bytes], bool]


class Wires:
    """Between nodes; `keeps(source, to, channel, payload)` decides what arrives."""

    def __init__(self) -> None:
        self.ends: dict[str, FakeSwitch] = {}
        self.keeps: Fate = lambda *_: True
        self.penalties: list[tuple[str, str, str]] = []  # (by, whom, why)

    def knows(self, name: str, other: str) -> bool:
        """Whether each lists the other, and both are up."""
        one, two = self.ends.get(name), self.ends.get(other)
        return (
            one is not None and two is not None and one.up and two.up
            and other in one.known and name in two.known
        )  # fmt: skip


class FakeSwitch:
    """`p2p.switch.Switch` for one node of a `Wires`."""

    wires: Wires  # of the test that runs
    port = 0

    def __init__(
        self, identity: Any, _genesis_hash: bytes, _listen: object, members: Sequence[Any],
        on_message: Callable[[str, Channel, bytes], None], on_peer: Callable[[str, bool], None],
        *, on_failure: Callable[[BaseException], None], random: object,
    ) -> None:  # fmt: skip
        self.name, self.role = identity.name, identity.role
        self.known = {info.name: info.role for info in members}
        self.on_message, self.on_peer, self._on_failure = on_message, on_peer, on_failure
        self.up = False
        self.wires.ends[self.name] = self

    async def start(self) -> None:
        self.up = True
        for other in list(self.known):
            if self.wires.knows(self.name, other):
                self.on_peer(other, True)
                self.wires.ends[other].on_peer(self.name, True)

    async def stop(self) -> None:
        for other in list(self.known):
            if self.wires.knows(self.name, other):
                self.wires.ends[other].on_peer(self.name, False)
        self.up = False

    def set_members(self, members: Sequence[Any], role: Any = None) -> None:
        self.known = {info.name: info.role for info in members if info.name != self.name}
        self.role = role or self.role

    def send(self, name: str, channel: Channel, payload: bytes) -> bool:
        encode_frame(channel, payload)  # asserts the limit, as the real one does
        if not self.wires.knows(self.name, name):
            return False
        if channel is Channel.CONSENSUS and not self.role == self.known[name] == MEMBER:
            return False
        if self.wires.keeps(self.name, name, channel, payload):
            asyncio.get_running_loop().call_soon(
                self.wires.ends[name].arrive, self.name, channel, payload
            )
        return True

    def arrive(self, source: str, channel: Channel, payload: bytes) -> None:
        if not self.up:
            return
        try:
            self.on_message(source, channel, payload)
        except BaseException as failure:
            self._on_failure(failure)
            raise

    def broadcast(self, channel: Channel, payload: bytes) -> int:
        return sum(self.send(name, channel, payload) for name in self.known)

    def penalise(self, name: str, why: str) -> None:
        self.wires.penalties.append((self.name, name, why))

    def peers(self) -> list[PeerStats]:
        return [
            PeerStats(
                name, role, self.wires.knows(self.name, name), True, "127.0.0.1",
                0.0, None, 0, 0, 0, 0, 0, 0, {}, 0, 1, 0, 0.0,
            )
            for name, role in self.known.items()
        ]  # fmt: skip


class FakeRpc:
    """The door that nobody knocks on; tests call the api itself."""

    port = 0

    def __init__(self, api: Any, _settings: object) -> None:
        self.api = api

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None


class Mesh:
    """Nodes of one development network."""

    def __init__(self, root: Path, genesis: Genesis, flags: dict[str, str]) -> None:
        self.root, self.genesis = root, genesis
        self.flags = flags
        self.nodes: dict[str, Node] = {}
        self.wires = Wires()
        self.nonces: dict[str, int] = {}

    def make_home(self, name: str, *, vote: bool = True) -> Path:
        home = self.root / name
        create_keys(
            home,
            transport=dev_key_file(name, "transport"),
            vote=dev_key_file(name, "vote"),
            passphrase=None,
        )
        create_home(home, genesis=self.genesis, settings=load_settings(None, environ={}))
        if not vote:
            Home(home).gateway_key.unlink()
        return home

    def open(self, name: str, **flags: str) -> Node:
        """The node of a home, not started."""
        home = self.root / name
        settings = load_settings(home, flags={**self.flags, **flags}, environ={})
        observer = Observer(
            name=WATCHER, certificate=dev_key_file(WATCHER, "transport").certificate.hex()
        )
        settings = settings.model_copy(
            update={"p2p": settings.p2p.model_copy(update={"observers": (observer,)})}
        )
        FakeSwitch.wires = self.wires
        self.nodes[name] = node = Node(home, settings, load_node_keys(home, None))
        return node

    async def start(self, name: str, **flags: str) -> Node:
        node = self.open(name, **flags)
        await node.start()
        return node

    async def stop(self, name: str) -> None:
        await self.nodes.pop(name).stop()

    def pay(
        self, payer: str = "anna", *, nonce: int | None = None, amount: int = 1_000,
        valid_ms: int = 3_600_000, to: str = "bruno", count: int = 1,
    ) -> bytes:  # fmt: skip
        """A signed transfer with the next nonce."""
        if nonce is None:
            nonce = self.nonces.get(payer, 0)
            self.nonces[payer] = nonce + 1
        outputs = ((dev_address(to), amount, ""),) * count
        body = Body(
            self.genesis.hash, dev_address(payer), 0, nonce,
            time.time_ns() // 1_000_000 + valid_ms, 1_000_000, b"", "dollar_transfer", (outputs,),
        )  # fmt: skip
        return sign_transaction(body, [dev_key(payer)])

    def heights(self) -> list[int]:
        return [node.height for node in self.nodes.values()]

    async def until(self, is_so: Callable[[], bool], what: str, *, seconds: float = 15.0) -> None:
        """Waits; a node that failed ends it at once."""
        deadline = time.monotonic() + seconds
        while not is_so():
            for node in self.nodes.values():
                if node._failure.done():
                    await node._failure
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            await asyncio.sleep(0.01)

    def same(self) -> bool:
        """Whether all stand at one height with one hash."""
        return len({node.ledger.head.hash for node in self.nodes.values()}) == 1


@asynccontextmanager
async def mesh(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    gateways: int = 4,
    start: bool = True,
    flags: dict[str, str] | None = None,
    ago_ms: int = 0,
) -> AsyncIterator[Mesh]:
    """A network below `root`, its genesis `ago_ms` old; without `start` nobody runs."""
    monkeypatch.setattr(module, "Switch", FakeSwitch)
    monkeypatch.setattr(module, "RpcServer", FakeRpc)
    genesis = dev_genesis(
        gateways=gateways,
        time_ms=time.time_ns() // 1_000_000 - ago_ms,
        accounts=[DevAccount(WATCHER, dollar=0, token=1)],  # its bond, if it joins
    )
    made = Mesh(root, genesis, {"consensus.view_timeout_ms": "1000", **(flags or {})})
    for name in gateway_names(gateways):
        made.make_home(name)
        if start:
            await made.start(name)
    try:
        yield made
    finally:
        for name in list(made.nodes):
            with suppress(Exception):
                await made.stop(name)
