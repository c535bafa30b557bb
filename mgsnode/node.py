"""One node: builds every part, starts them, ties them together, stops them.

The one place that knows all packages. It holds no rule of its own: who votes is the guard's and
the replica's business, what is true the ledger's, whom to believe the certificate's. It is longer
than other files because every part is named here once, and every word between two parts.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from pathlib import Path

import structlog

from consensus import effects as fx
from consensus import events as ev
from mgsnode.answers import Answers
from mgsnode.api import NodeApi, as_api
from mgsnode.base.block import PROTOCOL_VERSION
from mgsnode.base.errors import Malformed
from mgsnode.base.transaction import Transaction
from mgsnode.bodies import Bodies
from mgsnode.config import Settings
from mgsnode.diskfloor import DiskFloor
from mgsnode.driver import Driver
from mgsnode.evidence import EvidenceFile
from mgsnode.exchange import Certified, Exchange
from mgsnode.executor import Outdated, outdated
from mgsnode.home import Home, NodeKeys, adopt_next_vote, load_home_genesis
from mgsnode.housekeeping import Housekeeping
from mgsnode.intake import Intake
from mgsnode.keeper import Keeper
from mgsnode.membership import Roster, derive_roster, name_of
from mgsnode.mempool import Mempool
from mgsnode.metrics import Metrics
from mgsnode.probe import NodeProbe
from mgsnode.recovery import open_guard, recover_replica
from mgsnode.snapshots import Shelf
from mgsnode.sync import Sync
from mgsnode.verifier import Verifier
from mgsnode.watch import Watch
from p2p.frames import Channel
from p2p.hello import OBSERVER
from p2p.roster import Identity
from p2p.switch import Switch
from rpc.server import RpcServer
from state.chain import header_of
from state.ledger import Committed, Ledger

_log = structlog.get_logger("mgsnode.node")
_READERS_S = 10.0  # the longest read, of all laws over a million rows, takes seconds


class Node:
    """See the module's law."""

    def __init__(self, home: Path, settings: Settings, keys: NodeKeys) -> None:
        """Opens the journal and the store. Raises `ConfigError`, `Locked` or `Corrupt`."""
        paths = Home(home)
        self._settings = settings
        since_s = time.monotonic()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Future[None]] = set()
        self._is_taking = False  # a block that was pushed to us
        genesis = load_home_genesis(home)
        self.ledger = Ledger.open(paths.store, genesis)
        version = self.ledger.next_version()
        if version.version > PROTOCOL_VERSION:
            self.ledger.close()
            raise Outdated(outdated(version))
        base = self.ledger.base
        self._certificate = keys.transport.certificate
        self.name = name_of(self.ledger.gateways(), self._certificate) or keys.transport.name
        self._roster = self._read_roster()
        self._next_key = b"" if keys.next_vote is None else keys.next_vote.public_key
        if self._is_rekeyed():
            adopt_next_vote(home)
            keys = NodeKeys(keys.transport, keys.next_vote)
            self._next_key = b""
        self._guard, self._demoted = open_guard(paths.journal, keys, genesis.hash)
        self.mempool = Mempool()
        self._watch = Watch()
        self._verifier = Verifier(settings.verify.workers)
        self._evidence = EvidenceFile(paths.root / "data" / "evidence.jsonl")
        self._switch = self._make_switch(keys)
        self.answers = Answers(
            self.ledger,
            self.mempool,
            body_of=lambda block_hash: self.driver.replica.body(block_hash),
            keeper=lambda: self.keeper,
        )
        self.exchange = Exchange(
            self.answers, self._send_sync, on_head=self._on_head, on_block=self._on_block
        )
        self.bodies = Bodies(self.mempool, self._verifier, self.exchange, self.ledger.open_tx)
        self.driver = self._make_driver(keys)
        self._disk = DiskFloor(
            paths.store,
            free_bytes_min=settings.store.free_bytes_min,
            on_change=self.driver.stall,
        )
        self.intake = Intake(
            self.ledger,
            self.mempool,
            self._verifier,
            now_ms=_mono_ms,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            gossip=lambda payload: _ignore(self._switch.broadcast(Channel.TX, payload)),
            on_liar=self._switch.penalise,
            on_work=self.driver.tell_work,
        )
        self.sync = Sync(
            self.exchange,
            height=lambda: self.height,
            apply=self.driver.executor.apply,
            on_fetching=lambda on: self.driver.post(ev.Fetching(on)),
            on_liar=self._switch.penalise,
            spawn=self._spawn,
            prepare=self.driver.executor.prepare,
        )
        self.keeper = Keeper(
            Shelf(paths.snapshots, genesis),
            every=settings.store.snapshot_every,
            keep=settings.store.snapshots_kept,
            base=base,
            view=self.ledger.view,
            spawn=self._spawn,
        )
        self._probe = NodeProbe(
            name=self.name,
            uptime_s=lambda: int(time.monotonic() - since_s),
            base=base,
            demoted=self._demoted,
            ledger=self.ledger,
            mempool=self.mempool,
            intake=self.intake,
            verifier=self._verifier,
            driver=self.driver,
            guard=self._guard,
            switch=self._switch,
            sync=self.sync,
            disk=self._disk,
        )
        self._metrics = Metrics(self._probe)
        self.api = NodeApi(
            ledger=self.ledger,
            mempool=self.mempool,
            intake=self.intake,
            probe=self._probe,
            metrics_text=self._metrics.text,
        )
        self._housekeeping = Housekeeping(
            ledger=self.ledger,
            mempool=self.mempool,
            intake=self.intake,
            exchange=self.exchange,
            keeper=self.keeper,
            disk=self._disk,
            watch=self._watch,
            peers=lambda: self._roster.peers,
            now_ms=_mono_ms,
            on_expired=self.api.on_expired,
            on_censored=lambda: self.driver.post(ev.Censored()),
        )
        self._rpc = RpcServer(as_api(self.api), settings.rpc_settings())

    def _make_switch(self, keys: NodeKeys) -> Switch:
        identity = Identity(
            self.name, keys.transport.certificate, keys.transport.seed, self._roster.role
        )
        p2p = self._settings.p2p
        return Switch(
            identity,
            self.ledger.genesis_hash,
            (p2p.host, p2p.port),
            self._roster.peers,
            self._on_message,
            self._on_peer,
            on_failure=self._fail,
            random=random.SystemRandom().random,
        )

    def _read_roster(self) -> Roster:
        """Whom the state at the head, and our settings, let us talk to."""
        return derive_roster(
            self.ledger.gateways(),
            self._settings.p2p,
            name=self.name,
            certificate=self._certificate,
        )

    def _is_rekeyed(self) -> bool:
        """Whether the chain has come to name the vote key that waits here."""
        return any(
            name == self.name and row.vote_key == self._next_key
            for name, row in self.ledger.gateways()
        )

    def _make_driver(self, keys: NodeKeys) -> Driver:
        replica = recover_replica(
            self.ledger,
            self._guard,
            keys,
            view_timeout_ms=self._settings.consensus.view_timeout_ms,
            demoted=self._demoted,
            mono_ms=_mono_ms(),
        )
        return Driver(
            replica,
            name=self.name,
            guard=self._guard,
            ledger=self.ledger,
            mempool=self.mempool,
            bodies=self.bodies,
            wire=self,
            on_behind=self._on_ahead,
            push_block=self.exchange.push_block,
            on_committed=self._on_committed,
            on_evidence=self._on_evidence,
            on_quarantine=lambda txid: self.intake.set_aside(txid),
            view_timeout_ms=self._settings.consensus.view_timeout_ms,
        )

    # Life

    async def start(self) -> None:
        """Opens the doors. Returns when peers and wallets can be answered."""
        self._disk.look()
        self._spawn(self.driver.run())
        self._spawn(self.intake.run())
        self._spawn(self._metrics.watch_lag())
        self._spawn(self._housekeeping.run())
        await self._switch.start()
        await self._rpc.start()
        _log.info(
            "started", name=self.name, height=self.height, p2p=self._switch.port,
            rpc=self._rpc.port, role=self._probe.status().role, why=self._demoted,
        )  # fmt: skip

    async def wait(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, or we are to start again. Raises what broke us."""
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((stopping, self._failure), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._failure.done():
            await self._failure

    async def stop(self) -> None:
        """Closes the doors, ends the tasks, then the store: nobody reads it any more (case 47)."""
        self.keeper.stop()
        await self._rpc.stop()
        await self._switch.stop()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._verifier.close()
        self.ledger.close()
        if self._guard is not None:
            self._guard.close()
        # A thread may still read for a wallet, or for a snapshot that was given up. Until it has
        # ended nobody could open the store again, as we do in this process with a new vote key.
        await asyncio.to_thread(self.ledger.wait_closed, _READERS_S)

    def _spawn(self, work: Awaitable[None]) -> None:
        """Holds a task; its failure ends the node (case 77)."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    # Peers

    def send(self, name: str, payload: bytes) -> bool:
        """A consensus message to one member."""
        return self._switch.send(name, Channel.CONSENSUS, payload)

    def broadcast(self, payload: bytes) -> None:
        """A consensus message to every member."""
        self._switch.broadcast(Channel.CONSENSUS, payload)

    def _send_sync(self, name: str, payload: bytes) -> bool:
        return self._switch.send(name, Channel.SYNC, payload)

    def _on_message(self, peer: str, channel: Channel, payload: bytes) -> None:
        if channel is Channel.CONSENSUS:
            self.driver.post(ev.Received(peer, payload))
        elif channel is Channel.TX:
            self.intake.on_gossip(peer, payload)
        else:
            try:
                self.exchange.on_message(peer, payload)
            except Malformed:
                self._switch.penalise(peer, "malformed sync message")

    def _on_peer(self, name: str, up: bool) -> None:
        if up:
            self.driver.post(ev.PeerUp(name))
            self.exchange.tell_head(name, self.height)
        else:
            self.sync.forget(name)
            self.exchange.forget(name)

    def _on_head(self, peer: str, height: int) -> None:
        self._probe.heard(peer, height)
        self._on_ahead(peer, height)

    def _on_ahead(self, peer: str, height: int) -> None:
        """A peer seems to be ahead of us; without room on the disk we do not follow."""
        if height > self.height and not self._disk.why:
            self.sync.hint(peer, height)

    def _on_block(self, peer: str, certified: Certified) -> None:
        """A block that somebody thinks we lack: looked at if it is the next, one at a time."""
        if header_of(certified.block).height == self.height + 1 and not self._is_taking:
            self._is_taking = True
            self._spawn(self._take_pushed(peer, certified))

    async def _take_pushed(self, peer: str, certified: Certified) -> None:
        try:
            await self.driver.executor.apply(certified)
        except Malformed:
            self._switch.penalise(peer, "pushed a bad block")
        finally:
            self._is_taking = False

    # What happens

    def _on_committed(self, committed: Committed, txs: tuple[Transaction, ...]) -> None:
        self._metrics.transactions.inc(len(txs))
        self._watch.on_block(len(txs))
        self.api.on_committed(committed, txs)
        height = committed.block.header.height
        self.keeper.on_committed(height, is_busy=self.sync.fetching or bool(self._disk.why))
        for peer in self._roster.peers:
            if peer.role == OBSERVER:
                self.exchange.tell_head(peer.name, committed.block.header.height)
        if any(
            event.name in ("gov_closed", "gateway_seat")
            for receipt in committed.receipts[len(txs) :]
            for event in receipt.events
        ):
            self._follow_members()

    def _follow_members(self) -> None:
        """A proposal has taken effect: perhaps other people are to be talked to."""
        if self._is_rekeyed() and not self._failure.done():
            _log.info("the chain names our new vote key: starting again with it")
            self._failure.set_result(None)
        roster = self._read_roster()
        if roster != self._roster:
            _log.info("members", role=roster.role, peers=[peer.name for peer in roster.peers])
            self._roster = roster
            self._switch.set_members(roster.peers, roster.role)

    def _on_evidence(self, evidence: fx.Evidence) -> None:
        gateway = self.driver.replica.members.members[evidence.member].gateway
        self._evidence.add(gateway, evidence)

    @property
    def height(self) -> int:
        """The last durable height."""
        return self.ledger.head.header.height


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _ignore(_value: object) -> None:
    return None
