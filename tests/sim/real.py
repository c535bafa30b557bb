"""The ledger that ships, under the simulator: its store on a real disk, transfers as work.

It offers what `ToyLedger` and `Chain` offer. Keys are Ed25519 here, for the ledger judges
certificates by libsodium. The reference that blocks are executed against is a further ledger,
which no simulated machine owns; at the end every family's laws are asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mgsnode.base.block import Block, Certificate, Header, hash_header, open_block
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Transaction
from mgsnode.base.validators import ValidatorSet
from state.ledger import Ledger
from tests.sim.checks import Broken
from tests.sim.faults import Faults
from tests.sim.ledger import Stored
from tests.sim.network import Network
from tests.sim.node import SimNode
from tests.sim.world import World
from tests.state.world import DOLLAR, Person, make_genesis, people
from tests.state.world import World as Wallets


class RealChain:
    """What every node knows: the genesis; and the reference ledger."""

    def __init__(self, genesis: Genesis, folder: Path) -> None:
        self.genesis = genesis
        self.folder = folder
        self.sets: tuple[ValidatorSet, ...] = (genesis.validators(),)
        self.genesis_hash = genesis.hash
        self.reference = Ledger.create(folder / "reference", genesis)
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
        """The reference goes on with a decided block."""
        assert stored.certificate is not None
        self.reference.commit(stored.hash, stored.certificate)

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
        self.era = 0
        self.members = self._ledger.head.validators
        self.before = None

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

    def body(self, block_hash: bytes) -> bytes | None:
        """A body that was checked here, decided or not."""
        known = self._bodies.get(block_hash)
        if known is not None:
            return known
        return next((b.body for b in self.blocks[-4:] if b.hash == block_hash and b.body), None)

    def _open(self, raw_txs: Sequence[bytes]) -> list[Transaction]:
        return [self._ledger.open_tx(raw) for raw in raw_txs]

    def build(self, txs: Sequence[bytes], wall_ms: int) -> tuple[bytes, Block]:
        """(hash, block) on top of the head."""
        head = self._ledger.head
        stamp = max(wall_ms, head.header.timestamp_ms + 1)
        built = self._ledger.build(head.hash, self._open(txs), stamp)
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

    def open_ledger(self) -> RealLedger:  # type: ignore[override]  # the same shape
        """Opens the store that an earlier life left."""
        chain = self.network.chain
        assert isinstance(chain, RealChain)
        return RealLedger(chain, self.disk.blocks, chain.folder / f"node{self.number}")

    def crash(self) -> None:
        """The store is let go of; what it had synced stays."""
        if self.up:
            self.ledger.close()  # type: ignore[attr-defined]
        super().crash()


class Bank:
    """Wallets that pay each other, one transfer after the other, told again until decided."""

    def __init__(self, network: Network, genesis: Genesis, persons: list[Person]) -> None:
        self.network = network
        self._wallets = Wallets(genesis)
        self._persons = persons
        self._nonces = dict.fromkeys((person.name for person in persons), 0)
        self._open: list[bytes] = []
        self.paid = 0
        self._random = network.world.stream("workload")

    def pay(self, every_ms: int) -> None:
        """One more payment, and the undecided ones once more."""
        payer, payee = self._random.sample(self._persons, 2)
        amount = self._random.choice((1, DOLLAR, 5 * DOLLAR, 10**18))
        tx = self._wallets.tx(
            payer, "dollar_transfer", ((payee.address, amount, ""),),
            nonce=self._nonces[payer.name],
        )  # fmt: skip
        self._nonces[payer.name] += 1
        self._open.append(tx.raw)
        self.paid += 1
        self._open = [raw for raw in self._open if raw not in self.network.decided_txs]
        for raw in self._open[:32]:
            self.network.submit(raw)
        self.network.world.after(every_ms, self.pay, every_ms)


def make_network(
    seed: int, n: int, folder: Path, *, faults: Callable[[World], Faults] = Faults, liars: str = ""
) -> tuple[Network, Bank]:
    """A network of n with the real ledger, and its bank."""
    persons = people("ann", "bob", "cho")
    genesis = make_genesis(gateways=n, funded=persons)
    names = tuple(gateway.name for gateway in genesis.gateways)
    keys: dict[str, SigningKey] = {name: Person(f"vote{i}").key for i, name in enumerate(names)}
    world = World(seed)
    network = Network(
        world,
        names=names,
        keys=keys,
        chain=RealChain(genesis, folder),
        real_keys=True,
        faults=faults(world),
        liars=liars,
        node=RealNode,
    )
    return network, Bank(network, genesis, persons)
