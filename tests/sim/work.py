"""What people do to the real ledger while the network is under attack.

`Shops` play the scenarios by which each family of transactions is specified, whatever families
there are: each in a nonce lane of its own, its transactions in their order, many at a time.
`Council` changes who is a gateway and what the parameters are, and hands in the evidence that
honest replicas found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from consensus.effects import Evidence
from mgsnode.base.codec import decode
from mgsnode.base.errors import MgsError
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import digest
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import FRAME_BYTES_MAX, INT_MAX
from mgsnode.base.transaction import Transaction
from mgsnode.base.validators import faults_of
from state.registry import standard_registry
from state.tx.membership import Join, possession_fields
from tests.state.scenarios.base import SCENARIOS, Scenario, new_world
from tests.state.world import Person, World, make_genesis

if TYPE_CHECKING:
    from tests.sim.network import Network
    from tests.sim.real import RealChain

_BOND = 1_000_000  # of a joiner, micro-MGS
_HOUR_MS = 3_600_000
_LANES = 250  # histories of one run; the council's lane stands above
_COUNCIL_LANE = 255
_OPEN_MAX = 20  # histories under way
_PATIENCE = 60  # times that a history is told before it is given up
_AHEAD = 6  # heights between asking for a change and its taking effect


def make_real_genesis(n: int, operators: int) -> Genesis:
    """The scenarios' genesis with n gateways; dollars and a bond for so many operators."""
    wider = make_genesis(gateways=operators, cap=INT_MAX)
    genesis = new_world().genesis
    known = {account.address for account in genesis.accounts}
    more = tuple(
        account._replace(token=_BOND) for account in wider.accounts if account.address not in known
    )
    return genesis._replace(gateways=wider.gateways[:n], accounts=genesis.accounts + more)


class _Recorder(World):
    """A scenario's world that keeps what it is told to sign, in one lane."""

    def __init__(self, genesis: Genesis, lane: int) -> None:
        super().__init__(genesis)
        self.lane = lane
        self.signed: list[bytes] = []

    def tx(self, sender: Person, kind: str, /, *fields: Any, **how: Any) -> Transaction:
        """Signed for the hour after the genesis, or for days that a run does not live to see."""
        until_ms = max(self.genesis.time_ms + _HOUR_MS, self.time_ms + 1_000)
        given = {"valid_until": until_ms, **how, "lane": self.lane}
        tx = super().tx(sender, kind, *fields, **given)
        self.signed.append(tx.raw)
        return tx


def record(genesis: Genesis, scenario: Scenario, lane: int) -> list[bytes]:
    """The transactions of a scenario in their order; none if it needs what this genesis lacks."""
    world = _Recorder(genesis, lane)
    try:
        scenario.prepare(world)
    except (MgsError, AssertionError):
        return []
    return world.signed


@cache
def governing() -> frozenset[str]:
    """The kinds by which gateways govern: theirs is the council's business."""
    return frozenset(name for name in standard_registry().kinds if name.startswith("gov_"))


def playable() -> list[Scenario]:
    """The scenarios of all families but governance."""
    return [scenario for scenario in SCENARIOS if scenario.family != "governance"]


class Shops:
    """Histories under way, each told to all nodes until it is decided or given up."""

    def __init__(self, network: Network, chain: RealChain) -> None:
        self._network, self._chain = network, chain
        self._random: Random = network.world.stream("workload")
        self._open: list[tuple[list[bytes], int]] = []  # what is left, how often it was told
        self._lane = 0

    def tick(self, every_ms: int) -> None:
        """One history more, and all that is open once more."""
        if len(self._open) < _OPEN_MAX and self._lane < _LANES:
            raws = record(self._chain.genesis, self._random.choice(playable()), self._lane)
            kinds = {self._chain.reference.open_tx(raw).body.kind for raw in raws}
            if raws and not kinds & governing():
                self._lane += 1
                self._open.append((raws, 0))
        still = []
        for raws, told in self._open:
            left = [raw for raw in raws if raw not in self._network.decided_txs]
            if left and told < _PATIENCE:
                # One at a time, mostly: senders' nonces say nothing about each other's order.
                for raw in left[: 1 + (self._random.random() < 0.1)]:
                    self._network.submit(raw)
                if self._random.random() < 0.05:
                    self._network.submit(raws[0])  # perhaps decided long ago
                still.append((left, told + 1))
        self._open = still
        self._network.world.after(every_ms, self.tick, every_ms)


def operator_of(name: str) -> Person:
    """Who governs for a gateway."""
    return Person(f"op{name[1:]}")


class Council:
    """One change after the other: asked for, voted on, and in effect some heights later."""

    def __init__(self, network: Network, chain: RealChain) -> None:
        self._network, self._chain = network, chain
        self._random: Random = network.world.stream("workload")
        self._signing = World(chain.genesis)
        self._pending: list[bytes] = []
        self._asked: bytes | None = None  # the proposal that waits for votes
        self._told = 0
        self._named: set[str] = set()  # who has joined, left or was proven a liar
        self.counts: Counter[str] = Counter()

    def tick(self, every_ms: int) -> None:
        """Tells what is open once more, or takes the next step."""
        self._pending = [raw for raw in self._pending if raw not in self._network.decided_txs]
        self._told += 1
        if not self._pending or self._told > _PATIENCE:
            self._told = 0
            self._step()
        for raw in self._pending:
            self._network.submit(raw)
        self._network.world.after(every_ms, self.tick, every_ms)

    def _step(self) -> None:
        asked, self._asked = self._asked, None
        members = [member.gateway for member in self._chain.sets[-1].members]
        if asked is not None:
            self._pending = [
                self._sign(operator_of(name), "gov_vote", asked, True) for name in members
            ]
            return
        proof = self._proof(members)
        if proof is not None:
            self._pending = [self._sign(operator_of(members[0]), "gov_evidence", *proof)]
            return
        action, args = self._draw(members)
        self.counts[f"asked: {action}"] += 1
        height = self._chain.reference.head.header.height + _AHEAD
        by = operator_of(self._random.choice(members))
        raw = self._sign(by, "gov_propose", action, args, height)
        self._pending, self._asked = [raw], self._chain.reference.open_tx(raw).txid

    def _sign(self, sender: Person, kind: str, *fields: Any) -> bytes:
        nonce = self._chain.reference.next_nonce(sender.address, _COUNCIL_LANE)
        tx = self._signing.tx(sender, kind, *fields, lane=_COUNCIL_LANE, nonce=nonce)
        return tx.raw

    def _proof(self, members: Sequence[str]) -> tuple[Any, ...] | None:
        """Evidence against a member that was not handed in yet."""
        chain = self._chain
        for evidence in self._network.checks.evidence:
            era = chain.sets[evidence_era(evidence)]
            name = era.members[evidence.member].gateway
            if name in members and name not in self._named:
                self._named.add(name)
                self.counts["evidence handed in"] += 1
                return evidence.kind.name.lower(), evidence.first, evidence.second
        return None

    def _draw(self, members: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
        """An action that leaves at most f liars in the set."""
        outside = [
            name for name in self._network.names if name not in members and name not in self._named
        ]
        liars = self._network.liars & set(members)
        leaving = [name for name in members if name not in liars and name not in self._named]
        match self._random.choice(("join", "leave", "set_param")):
            case "join" if outside:
                self._named.add(outside[0])
                return "join", self._join(outside[0])
            case "leave" if leaving and len(members) > 4:
                if len(liars) <= faults_of(len(members) - 1):
                    name = self._random.choice(leaving)
                    self._named.add(name)
                    return "leave", (name,)
        params = standard_registry().params
        spec = params[self._random.choice(sorted(params))]
        low, high = max(spec.lowest, spec.default // 2), min(spec.highest, 2 * spec.default)
        return "set_param", (spec.name, self._random.randint(low, high))

    def _join(self, name: str) -> tuple[Any, ...]:
        head, key = self._chain.reference.head.header, self._network.keys[name]
        fields = possession_fields(name, key.public_key, head.height, head.state_root)
        signed = key.sign(statement(Signed.POSSESSION, self._chain.genesis_hash, fields))
        return tuple(
            Join(
                name=name,
                country="IE",
                currencies=("EUR",),
                owner_hash=digest(b"mgs/test", b"owner of " + name.encode()),
                operator=operator_of(name).address,
                vote_key=key.public_key,
                possession=(head.height, head.state_root, signed),
                transport_certificate=b"certificate of " + name.encode(),
                endpoint="nova.example:26600",
                bond=_BOND,
                cap=INT_MAX // 128,
            )
        )


def evidence_era(evidence: Evidence) -> int:
    """The era in which the two statements were made."""
    value = decode(evidence.first[0], bytes_max=FRAME_BYTES_MAX)
    assert type(value) is tuple and type(value[0]) is int
    return value[0]
