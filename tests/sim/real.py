"""The ledger that ships, under the simulator: its store on a real disk, its membership, its laws.

It offers what `ToyLedger` and `Chain` offer. Keys are Ed25519 here, for the ledger judges
certificates by libsodium. The reference that blocks are executed against is a further ledger,
which no simulated machine owns; after each decided height every family's laws are asked of it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from consensus.effects import BuildBlock
from consensus.events import NothingBuilt, Work
from mgsnode.base.block import Block, Certificate, Header, hash_header, open_block
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import signed_hash_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Transaction
from mgsnode.base.validators import ValidatorSet
from state.ledger import Ledger
from tests.sim.checks import Broken
from tests.sim.faults import Faults
from tests.sim.ledger import Stored
from tests.sim.liars import Liar
from tests.sim.network import Network
from tests.sim.node import MEMPOOL_MAX, SimNode
from tests.sim.plan import NAMES, Plan, draw_plan
from tests.sim.run import T0_MS, Outcome, judge
from tests.sim.snapshots import begin_with_a_snapshot
from tests.sim.swarm import Swarm
from tests.sim.work import Council, Shops, make_real_genesis
from tests.sim.world import World
from tests.state.world import Person

JOINERS = 2  # machines of gateways that may join
# What a store on a real disk cannot do: go back in time. Members change by governance instead.
WITHOUT = frozenset({"old data", "old copy", "eras", "core"})


class RealChain:
    """What every node knows: the genesis; and the reference ledger."""

    def __init__(self, genesis: Genesis, folder: Path) -> None:
        self.genesis = genesis
        self.folder = folder
        self.sets: list[ValidatorSet] = [genesis.validators()]
        self.genesis_hash = genesis.hash
        self.reference = Ledger.create(folder / "reference", genesis)
        self.done: Counter[str] = Counter()  # decided transactions, by kind and fate
        self._block_0 = self.reference.head.header

    def block_0(self) -> Header:
        """The genesis block's header."""
        return self._block_0

    def execute(self, parent: Header, block: Block) -> Header:
        """The header that the reference ledger gives on top of its head."""
        ledger = self.reference
        if ledger.head.header != parent:
            raise Broken("the reference ledger stands elsewhere")
        opened = [ledger.open_tx(raw) for raw in block.txs]
        built = ledger.build(ledger.head.hash, opened, block.header.timestamp_ms)
        return built.block.header

    def commit(self, stored: Stored) -> None:
        """The reference goes on with a decided block; all laws must hold after it."""
        assert stored.certificate is not None
        ledger = self.reference
        committed = ledger.commit(stored.hash, stored.certificate)
        for raw, receipt in zip(committed.block.txs, committed.receipts, strict=False):
            fate = ledger.registry.refusal_name(receipt.code)
            kind = ledger.open_tx(raw).body.kind
            self.done[f"tx {kind}: {'refused' if fate else 'done'}"] += 1
        header = stored.header
        if header.next_valset_hash != header.valset_hash:
            self.sets.append(ledger.head.validators)
        broken = self.broken_laws()
        if broken:
            raise Broken(f"laws at height {header.height}: {broken}")

    def broken_laws(self) -> list[str]:
        """Every family's laws over the whole state."""
        with self.reference.view() as view:
            return [str(law) for law in self.reference.laws(view) if not law.ok]


class RealLedger:
    """One machine's ledger; `blocks` mirrors its store, for the questions of peers."""

    def __init__(self, chain: RealChain, blocks: list[Stored], path: Path) -> None:
        self.chain = chain
        self.blocks = blocks
        self._ledger = (
            Ledger.open(path, chain.genesis)
            if path.exists()
            else Ledger.create(path, chain.genesis)
        )
        if not blocks:
            head = self._ledger.head
            blocks.append(Stored(head.header, head.hash, b"", None))
        if self._ledger.head.hash != blocks[-1].hash:
            raise Broken("a store came back with another head than was durable")
        self._bodies: dict[bytes, bytes] = {}

    def close(self) -> None:
        """The machine is off."""
        self._ledger.close()

    @property
    def head(self) -> Stored:
        """The last decided height."""
        return self.blocks[-1]

    @property
    def height(self) -> int:
        """Its number."""
        return len(self.blocks) - 1

    @property
    def era(self) -> int:
        """The era of the next height."""
        header = self.head.header
        return header.era + (header.next_valset_hash != header.valset_hash)

    @property
    def members(self) -> ValidatorSet:
        """Who decides the next height."""
        return self._ledger.head.validators

    @property
    def before(self) -> ValidatorSet | None:
        """Who decided in the era before."""
        return self._ledger.members_before()

    def set_of(self, era: int) -> ValidatorSet:
        """The members of an era that this chain has reached."""
        if era == self.era:
            return self.members
        last = max(b.header.height for b in self.blocks if b.header.era == era)
        return self._ledger.validators(last)

    def body(self, block_hash: bytes) -> bytes | None:
        """A body that was checked here, decided or not."""
        known = self._bodies.get(block_hash)
        if known is not None:
            return known
        return next((b.body for b in self.blocks[-4:] if b.hash == block_hash and b.body), None)

    def _open(self, raw_txs: Sequence[bytes]) -> list[Transaction]:
        return [self._ledger.open_tx(raw) for raw in raw_txs]

    def is_due(self, raw: bytes) -> bool:
        """Whether the next block could hold this transaction."""
        try:
            tx = self._ledger.open_tx(raw)
            self._ledger.check_admission(tx)
        except (Malformed, Rejected):
            return False
        return tx.body.nonce == self._ledger.next_nonce(tx.body.sender, tx.body.lane)

    def build(self, txs: Sequence[bytes], wall_ms: int) -> tuple[bytes, Block]:
        """(hash, block) on top of the head."""
        head = self._ledger.head
        stamp = max(wall_ms, head.header.timestamp_ms + 1)
        opened = sorted(
            self._open(txs), key=lambda tx: (tx.body.sender, tx.body.lane, tx.body.nonce)
        )
        built = self._ledger.build(head.hash, opened, stamp)
        if built.bugs:
            raise Broken(f"a transaction broke the ledger: {built.bugs[0]}")
        return hash_header(built.block.header), built.block

    def check(self, body: bytes) -> str | None:
        """Why this body cannot follow the head; None keeps it for `commit`."""
        try:
            block = open_block(body)
            why = self._ledger.check(block, self._open(block.txs))
        except (Malformed, Rejected) as error:
            return str(error)
        if why is None:
            self._bodies[hash_header(block.header)] = body
        return why

    def commit(self, block_hash: bytes, certificate: Certificate) -> Stored:
        """Makes a checked block the head, in one synced batch."""
        committed = self._ledger.commit(block_hash, certificate)
        header = committed.block.header
        stored = Stored(header, block_hash, self._bodies[block_hash], certificate)
        self.blocks.append(stored)
        self._bodies.clear()
        return stored


class RealNode(SimNode):
    """A machine with the ledger that ships."""

    ledger: RealLedger  # type: ignore[assignment]  # the same shape

    def open_ledger(self) -> RealLedger:  # type: ignore[override]  # the same shape
        """Opens the store that an earlier life left."""
        chain = self.network.chain
        assert isinstance(chain, RealChain)
        return RealLedger(chain, self.disk.blocks, chain.folder / f"node{self.number}")

    def crash(self) -> None:
        """The store is let go of; what it had synced stays."""
        if self.up:
            self.ledger.close()
        super().crash()

    def set_of(self, era: int) -> ValidatorSet:
        """From its own store: a machine may be ahead of the checkers."""
        return self.ledger.set_of(era)

    def work(self, tx: bytes) -> None:
        """A wallet or a peer gives a transaction."""
        if not self.up or len(self.mempool) >= MEMPOOL_MAX or self.network.is_decided(self, tx):
            return
        self.mempool[signed_hash_of(tx)] = tx
        if self.ledger.is_due(tx):
            self.put(Work(True))

    def has_work(self) -> bool:
        """Whether something that waits could stand in the next block."""
        return any(self.ledger.is_due(raw) for raw in self.mempool.values())

    def _build(self, effect: BuildBlock) -> None:
        due = [raw for raw in self.mempool.values() if self.ledger.is_due(raw)]
        if (not due and not effect.empty) or effect.parent != self.ledger.head.hash:
            self.mempool.clear()  # what can never stand in a block is told again or forgotten
            self.after(1, NothingBuilt(effect.view, effect.height))
            return
        block_hash, block = self.ledger.build(list(self.mempool.values()), self.now().wall_ms)
        self.after(self.network.faults.execution_ms(), self.built(effect, block_hash, block))


class RealLiar(Liar, RealNode):
    """A liar with the ledger that ships."""

    def filler(self) -> list[bytes]:
        """Another time makes another block."""
        return []


def make_network(
    seed: int,
    n: int,
    folder: Path,
    *,
    faults: Callable[[World], Faults] = Faults,
    liars: Sequence[str] = (),
    twins: Sequence[str] = (),
    rotten: Sequence[str] = (),
) -> Network:
    """A network of n gateways and some that may join, with the real ledger."""
    genesis = make_real_genesis(n, n + JOINERS)
    names = tuple(f"g{index}" for index in range(n + JOINERS))
    keys: dict[str, SigningKey] = {name: Person(f"vote{name[1:]}").key for name in names}
    world = World(seed)
    return Network(
        world,
        names=names,
        keys=keys,
        chain=RealChain(genesis, folder),
        real_keys=True,
        view_timeout_ms=T0_MS,
        faults=faults(world),
        liars=liars,
        twins=twins,
        rotten=rotten,
        make_node=RealLiar,
        node=RealNode,
    )


def draw_real_plan(seed: int, *, without: frozenset[str], heights: int) -> Plan:
    """The toy's plan, with gateways' names."""
    plan = draw_plan(seed, without=without | WITHOUT, heights=heights)

    def named(letters: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"g{NAMES.index(letter)}" for letter in letters)

    return replace(
        plan, liars=named(plan.liars), twins=named(plan.twins), rotten=named(plan.rotten)
    )


def run_real_seed(
    seed: int, *, without: frozenset[str] = frozenset(), heights: int = 20
) -> Outcome:
    """Runs a seed's plan on the ledger that ships."""
    plan = draw_real_plan(seed, without=without, heights=heights)
    n = len(plan.sets[0])
    outcome = Outcome(seed, n, "held")
    with TemporaryDirectory() as folder:
        network = make_network(
            seed, n, Path(folder), faults=lambda world: Swarm(world, plan),
            liars=plan.liars, twins=plan.twins, rotten=plan.rotten,
        )  # fmt: skip
        swarm = network.faults
        assert isinstance(swarm, Swarm)
        shops = Shops(network, network.chain)
        council = Council(network, network.chain)

        def work() -> None:
            shops.tick(max(100, plan.work_every_ms))
            council.tick(400)

        judge(network, swarm, outcome, work)
        if outcome.verdict == "held":
            _let_one_begin(network, outcome, Path(folder))
        outcome.counts += network.chain.done + council.counts
        network.chain.reference.close()
        network.close()
    return outcome


def _let_one_begin(network: Network, outcome: Outcome, folder: Path) -> None:
    members = [member.gateway for member in network.chain.sets[-1].members]
    random = network.world.stream("byzantine")
    try:
        outcome.counts += begin_with_a_snapshot(network.chain, members, folder, random)
    except Exception:  # whatever it is, the newcomer has not begun
        outcome.verdict, outcome.why = "broken", traceback.format_exc(limit=-6)
