"""A whole network in one thread: nodes, links between them, and what happens to both.

`Network` is the harness: it makes nodes, carries bytes, gives work. What goes wrong is decided
by a `Faults`; what must hold is asked by a `Checks`. Both have quiet defaults, so that a test
can write `Network(World(1)).run(…)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from consensus.events import PeerUp, Received
from mgsnode.base.keys import Signed, SigningKey
from mgsnode.base.validators import Validator, ValidatorSet
from tests.sim.checks import Checks
from tests.sim.faults import Faults
from tests.sim.ledger import Chain, Stored
from tests.sim.node import SimNode
from tests.sim.world import World, make_key, verifier

NAMES = tuple("ABCDEFGHIJ")
_GOSSIP_MS = 20
_TX_BYTES = 120  # so that a body spans sectors of the disk, as a real one does


class Network:
    """Nodes by number; names may stand twice (twins)."""

    def __init__(
        self,
        world: World,
        *,
        sets: Sequence[str] = ("ABCD",),
        names: Sequence[str] | None = None,
        twins: Sequence[str] = "",
        liars: Sequence[str] = "",
        rotten: Sequence[str] = "",
        real_keys: bool = False,
        view_timeout_ms: int = 1_000,
        faults: Faults | None = None,
        make_node: Callable[[Network, str, int], SimNode] = SimNode,
        node: Callable[[Network, str, int], SimNode] = SimNode,
        keys: dict[str, SigningKey] | None = None,
        chain: Any = None,
    ) -> None:
        """`sets` are the members of each era; `names` all gateways; `twins` those that run
        twice; `liars` (twins are some too) are not held to the rules and made by `make_node`.
        Nor are the `rotten`, whose disks forget.
        `chain`, `keys` and `node` take another ledger than the toy (see `tests.sim.real`)."""
        self.world = world
        self.names = tuple(names or sorted(set("".join(sets))))
        self.keys = keys or {name: make_key(name, real=real_keys) for name in self.names}
        self.verify = verifier(real=real_keys)
        self.liars = frozenset((*liars, *twins, *rotten))
        self.view_timeout_ms = view_timeout_ms
        self.chain = chain or Chain(
            tuple(
                ValidatorSet([Validator(name, self.keys[name].public_key) for name in members])
                for members in sets
            )
        )
        self.faults = faults or Faults(world)
        self.checks = Checks(self)
        self.decided_txs: dict[bytes, int] = {}
        self.nodes: list[SimNode] = []
        for number, name in enumerate((*self.names, *twins)):
            make = make_node if name in liars else node
            self.nodes.append(make(self, name, number))
        self._txs = 0

    def start(self) -> None:
        """Switches all machines on."""
        for node in self.nodes:
            node.start()

    def run(self, for_ms: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Lets virtual time pass."""
        self.world.run(self.world.now_ms + for_ms, stop)

    def run_until_height(self, height: int, *, within_ms: int) -> bool:
        """Whether every honest node that is up reaches `height` in time."""
        self.run(within_ms, lambda: self.low() >= height)
        return self.low() >= height

    def low(self) -> int:
        """The lowest height of the honest nodes that are up."""
        return min((len(n.disk.blocks) - 1 for n in self.nodes if n.up and n.honest), default=0)

    def high(self) -> int:
        """The highest height of an honest node."""
        return max(len(n.disk.blocks) - 1 for n in self.nodes if n.honest)

    # Crashes

    def crash_due(self, node: SimNode) -> bool:
        """Asked at every boundary between two effects and within every write."""
        return self.faults.crash_due(node)

    def crash(self, node: SimNode) -> None:
        """The process ends; it comes back when the faults say so."""
        node.crash()
        delay = self.faults.on_crash(node)
        if delay is not None:
            self.world.after(delay, self.restart, node)

    def restart(self, node: SimNode) -> None:
        """Power on, unless it is on or has halted for good."""
        if not node.up and node.halted is None:
            self.faults.before_restart(node)
            node.start()

    # Links

    def on_up(self, node: SimNode) -> None:
        """Connections to a machine that came up are made."""
        for other in self.nodes:
            if other is not node and other.up:
                self.world.after(10, other.put, PeerUp(node.name))
                self.world.after(10, node.put, PeerUp(other.name))

    def send(
        self, source: SimNode, to: str, channel: str, payload: object, kind: Signed | None = None
    ) -> None:
        """Gives bytes to the network; both twins of a name hear them."""
        for node in self.nodes:
            if node.name == to and node is not source:
                for delay in self.faults.delays(source, node, channel, payload, kind):
                    self.world.after(delay, self._arrive, source, node, node.life, channel, payload)

    def _arrive(
        self, source: SimNode, node: SimNode, life: int, channel: str, payload: object
    ) -> None:
        if not node.up or node.life != life:
            return
        self.world.note(source.number, node.number, channel)
        match channel:
            case "consensus":
                assert isinstance(payload, bytes)
                node.put(Received(source.name, payload))
            case "body?":
                assert isinstance(payload, bytes)
                body = node.replica.body(payload) or node.ledger.body(payload)
                if body is not None:
                    self.send(node, source.name, "body", body)
            case "body":
                assert isinstance(payload, bytes)
                node.fetch.on_body(payload)
            case "height?":
                self.send(node, source.name, "height", node.ledger.height)
            case "height":
                assert isinstance(payload, int)
                node.fetch.hint(source.name, payload)
            case "blocks?":
                assert isinstance(payload, int)
                blocks = node.ledger.blocks[payload : payload + 16]
                self.send(node, source.name, "blocks", node_blocks(node, blocks))
            case "blocks":
                assert isinstance(payload, list)
                node.fetch.on_blocks(source.name, payload)
            case "tx":
                assert isinstance(payload, bytes)
                node.work(payload)

    # Work

    def close(self) -> None:
        """Switches everything off for good."""
        for node in self.nodes:
            node.crash()

    def submit(self, tx: bytes | None = None) -> bytes:
        """A wallet gives a transaction to every node (gossip is not under test)."""
        if tx is None:
            self._txs += 1
            tx = (b"tx %d" % self._txs).ljust(_TX_BYTES, b".")
        for node in self.nodes:
            self.world.after(node.number % 3 * _GOSSIP_MS, node.work, tx)
        return tx

    def keep_busy(self, every_ms: int) -> None:
        """A steady stream of transactions."""
        self.submit()
        self.world.after(every_ms, self.keep_busy, every_ms)

    def is_decided(self, node: SimNode, tx: bytes) -> bool:
        """Whether this node's chain holds the transaction."""
        height = self.decided_txs.get(tx)
        return height is not None and height <= node.ledger.height

    def forget_decided(self, stored: Stored) -> list[bytes]:
        """The signed hashes of a decided block's transactions."""
        return self.checks.tx_hashes(stored)


def node_blocks(node: SimNode, blocks: list[Stored]) -> list[Stored]:
    """What a node answers to a question for blocks: an honest one what it holds."""
    lie = getattr(node, "lie_about_blocks", None)
    return blocks if lie is None else lie(blocks)
