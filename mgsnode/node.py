"""One node: builds every part, starts them, ties them together, stops them.

The one place that knows all packages. It holds no rule of its own: who votes is the guard's and
the replica's business, what is true the ledger's, whom to believe the certificate's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Sequence
from importlib.metadata import version
from pathlib import Path

import structlog

from consensus import effects as fx
from consensus import events as ev
from consensus.core import Config, Head
from consensus.journal import FORMAT, Opened, Recovered
from consensus.replica import Replica
from mgsnode.api import NodeApi, as_api
from mgsnode.base.block import PROTOCOL_VERSION
from mgsnode.base.codec import decode
from mgsnode.base.errors import Malformed
from mgsnode.base.genesis import Genesis
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import FRAME_BYTES_MAX
from mgsnode.base.transaction import Transaction
from mgsnode.begin import begin_from_snapshot
from mgsnode.bodies import Bodies
from mgsnode.config import Settings
from mgsnode.driver import Driver
from mgsnode.exchange import Certified, Exchange
from mgsnode.executor import Outdated, outdated
from mgsnode.guard import Guard, NoJournal
from mgsnode.home import Home, NodeKeys, adopt_next_vote, load_home_genesis
from mgsnode.intake import Intake
from mgsnode.keeper import Keeper
from mgsnode.membership import Roster, derive_roster, name_of
from mgsnode.mempool import Mempool
from mgsnode.metrics import Metrics, cpu_seconds
from mgsnode.snapshots import Shelf
from mgsnode.sync import Sync
from mgsnode.verifier import Verifier
from mgsnode.watch import Watch
from p2p.frames import Channel
from p2p.hello import OBSERVER
from p2p.roster import Identity
from p2p.switch import Switch
from rpc.api import HealthCheck, NodeStatus, PeerStatus
from rpc.server import RpcServer
from state.chain import header_of, read_height_of
from state.ledger import Committed, Ledger
from state.snapshot import Item

_log = structlog.get_logger("mgsnode.node")
_HOUSEKEEPING_S = 1.0
_EXPIRE_EVERY = 5  # seconds between looks for expired transactions
_TELL_HEAD_EVERY = 5  # seconds; whoever is in another era, or no member, has it from no STATUS
_GOSSIP_AGAIN_MS = 2_000  # what waits longer may have been missed by somebody
_GOSSIP_AGAIN_TXS = 512  # a second; whoever holds them already knows them by their hash
_READERS_S = 10.0  # the longest read, of all laws over a million rows, takes seconds
_WATCHED_TXS = 128  # lanes looked at each second for censorship


async def run(home: Path, settings: Settings, keys: NodeKeys) -> None:
    """Runs the node of `home` until SIGTERM or SIGINT. Raises what ended it otherwise.

    `MgsError`s are for the operator (their exit codes are the command line's business); anything
    else is a bug or a broken machine.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.store.from_snapshot and not await begin_from_snapshot(home, settings, keys, stop):
        return
    while not stop.is_set():  # again where the chain has come to name our next vote key
        node = Node(home, settings, keys)
        try:
            await node.start()
            calm_collector()
            await node.wait(stop)
        finally:
            await node.stop()


class Node:
    """See the module's law."""

    def __init__(self, home: Path, settings: Settings, keys: NodeKeys) -> None:
        """Opens the journal and the store. Raises `ConfigError`, `Locked` or `Corrupt`."""
        paths = Home(home)
        self._settings = settings
        self._paths = paths
        self._since = time.monotonic()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Future[None]] = set()
        self._heights: dict[str, int] = {}
        self._evidenced: dict[str, int] = {}  # gateway -> the latest height with evidence of it
        self._is_taking = False  # a block that was pushed to us
        self._stalled = ""
        self._demoted = ""
        genesis = load_home_genesis(home)
        self.ledger = Ledger.open(paths.store, genesis)
        version = self.ledger.next_version()
        if version.version > PROTOCOL_VERSION:
            self.ledger.close()
            raise Outdated(outdated(version))
        self._base = self.ledger.base
        self._certificate = keys.transport.certificate
        self.name = name_of(self.ledger.gateways(), self._certificate) or keys.transport.name
        self._roster = self._read_roster()
        self._next_key = b"" if keys.next_vote is None else keys.next_vote.public_key
        if self._is_rekeyed():
            adopt_next_vote(home)
            keys = NodeKeys(keys.transport, keys.next_vote)
            self._next_key = b""
        self._guard = self._open_guard(paths, keys, genesis)
        self.mempool = Mempool()
        self._watch = Watch()
        self._verifier = Verifier(settings.verify.workers)
        self._metrics = Metrics(self)
        self._switch = self._make_switch(keys)
        self.exchange = Exchange(
            self, self._send_sync, on_head=self._on_head, on_block=self._on_block
        )
        self.bodies = Bodies(self.mempool, self._verifier, self.exchange, self.ledger.open_tx)
        self.driver = self._make_driver(keys)
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
            base=self._base,
            view=self.ledger.view,
            spawn=self._spawn,
        )
        self.api = NodeApi(
            ledger=self.ledger,
            mempool=self.mempool,
            intake=self.intake,
            probe=self,
            metrics_text=self._metrics.text,
        )
        self._rpc = RpcServer(as_api(self.api), settings.rpc_settings())

    def _open_guard(self, paths: Home, keys: NodeKeys, genesis: Genesis) -> Guard | None:
        """The guard, or None with the reason: then we follow and vote for nothing (case 42)."""
        if keys.vote is None:
            self._demoted = "there is no vote key here"
            return None
        try:
            return Guard(paths.journal, SigningKey(keys.vote.seed), genesis.hash)
        except NoJournal as error:
            self._demoted = str(error)
            _log.error("this node follows and votes for nothing", why=self._demoted)
            return None

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
        head = self.ledger.head
        stored = self.ledger.stored_block(head.header.height)
        assert stored is not None
        public_key = keys.vote.public_key if keys.vote is not None else bytes(32)
        opened = Opened(FORMAT, self.ledger.genesis_hash, public_key)
        barrier = head.header.next_valset_hash != head.header.valset_hash
        era = head.header.era + barrier
        replica = Replica(
            Config(self.ledger.genesis_hash, public_key, self._settings.consensus.view_timeout_ms),
            head=Head(head.header, head.hash, stored[2], _mono_ms()),
            era=era,
            members=head.validators,
            before=self.ledger.members_before(),
            recovered=Recovered(opened) if self._guard is None else self._guard.recovered_copy(),
            demoted=self._demoted or None,
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
        self._watch_disk()
        self._spawn(self.driver.run())
        self._spawn(self.intake.run())
        self._spawn(self._metrics.watch_lag())
        self._spawn(self._keep_house())
        await self._switch.start()
        await self._rpc.start()
        _log.info(
            "started", name=self.name, height=self.height, p2p=self._switch.port,
            rpc=self._rpc.port, role=self.status().role, why=self._demoted,
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
        self._heights[peer] = height
        self._on_ahead(peer, height)

    def _on_ahead(self, peer: str, height: int) -> None:
        """A peer seems to be ahead of us; without room on the disk we do not follow."""
        if height > self.height and not self._stalled:
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

    # What peers are answered from

    def certified(self, height: int) -> Certified | None:
        """A decided block and its certificate."""
        stored = self.ledger.stored_block(height)
        certificate = self.ledger.certificate_bytes(height)
        if stored is None or certificate is None:
            return None
        return Certified(stored[1], certificate)

    def body(self, block_hash: bytes) -> bytes | None:
        """The encoded block with this hash, being voted on or decided."""
        held = self.driver.replica.body(block_hash)
        if held is not None:
            return held
        with self.ledger.view() as view:
            height = read_height_of(view.rows, block_hash)
        stored = None if height is None else self.ledger.stored_block(height)
        return None if stored is None else stored[1]

    def raw_transaction(self, signed_hash: bytes) -> bytes | None:
        """A waiting transaction."""
        tx = self.mempool.by_signed_hash(signed_hash)
        return None if tx is None else tx.raw

    def snapshot_heights(self) -> Sequence[int]:
        """The heights of whole snapshots here."""
        return self.keeper.heights()

    def snapshot_item(self, height: int, item: Item) -> bytes | None:
        """An item of one of them."""
        return self.keeper.item(height, item)

    # What happens

    def _on_committed(self, committed: Committed, txs: tuple[Transaction, ...]) -> None:
        self._metrics.transactions.inc(len(txs))
        self._watch.on_block(len(txs))
        self.api.on_committed(committed, txs)
        height = committed.block.header.height
        self.keeper.on_committed(height, is_busy=self.sync.fetching or bool(self._stalled))
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
        """Kept for ever: who said two things in one place (case 13), once for each height.

        A liar could contradict itself at line rate and fill our disk.
        """
        member = self.driver.replica.members.members[evidence.member].gateway
        place = decode(evidence.first[0], bytes_max=FRAME_BYTES_MAX)
        assert isinstance(place, tuple) and isinstance(place[2], int)
        if place[2] <= self._evidenced.get(member, -1):
            return
        self._evidenced[member] = place[2]
        record = {
            "gateway": member,
            "kind": evidence.kind.name,
            "first": [part.hex() for part in evidence.first],
            "second": [part.hex() for part in evidence.second],
        }
        _log.error("a gateway contradicted itself", gateway=member, kind=evidence.kind.name)
        path = self._paths.root / "data" / "evidence.jsonl"
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    async def _keep_house(self) -> None:
        """Every second: room on the disk, expired transactions, what somebody may have missed."""
        rounds = 0
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            rounds += 1
            self._watch_disk()
            self.keeper.look()
            self._watch_primary()
            late_ms = _mono_ms() - _GOSSIP_AGAIN_MS
            self.intake.tell_again(self.mempool.ready_since(late_ms, count=_GOSSIP_AGAIN_TXS))
            if rounds % _EXPIRE_EVERY == 0:
                expired = self.mempool.expire(self.ledger.head.header.timestamp_ms)
                self.api.on_expired(expired)
            if rounds % _TELL_HEAD_EVERY == 0:
                for peer in self._roster.peers:
                    self.exchange.tell_head(peer.name, self.height)

    def _watch_primary(self) -> None:
        """Is something overlooked that could be executed (case 29)?"""
        heads = [tx for tx in self.mempool.heads(_WATCHED_TXS) if self.intake.is_admitted(tx)]
        verdict = self._watch.look(heads, _mono_ms())
        self.intake.tell_again(verdict.again)
        if verdict.censored:
            self.driver.post(ev.Censored())

    def _watch_disk(self) -> None:
        """Below the floor of free space this node votes for nothing and serves reads (case 44)."""
        free = shutil.disk_usage(self._paths.store).free
        floor = self._settings.store.free_bytes_min
        why = f"{free // 2**20} MiB free on the disk, the floor is {floor // 2**20}"
        why = why if free < floor else ""
        if bool(why) != bool(self._stalled):
            _log.warning("disk", why=why or "room again")
            self.driver.stall(why)
        self._stalled = why

    # How it is

    @property
    def height(self) -> int:
        """The last durable height."""
        return self.ledger.head.header.height

    def status(self) -> NodeStatus:
        """For `node_status`."""
        head = self.ledger.head
        replica = self.driver.replica
        votes = replica.me is not None and replica.demoted is None and self._guard is not None
        return NodeStatus(
            chain=self.ledger.genesis_hash.hex(),
            chain_id=self.ledger.genesis.chain_id,
            protocol=PROTOCOL_VERSION,
            version=version("mgsnode"),
            node_id=self.name,
            gateway=self.name if replica.me is not None else "",
            role="validator" if votes else "observer",
            height=head.header.height,
            block_hash=head.hash.hex(),
            block_time_ms=head.header.timestamp_ms,
            state_root=head.header.state_root.hex(),
            era=replica.era,
            view=replica.view,
            primary=replica.primary,
            syncing=self.sync.fetching,
            peers=sum(peer.connected for peer in self._switch.peers()),
            mempool_txs=len(self.mempool),
            mempool_bytes=self.mempool.bytes,
            uptime_s=int(time.monotonic() - self._since),
            target=max(self.sync.target, head.header.height),
            since=self._base,
        )

    def peers(self) -> Sequence[PeerStatus]:
        """For `node_peers`."""
        return [
            PeerStatus(
                name=peer.name,
                role=peer.role,
                address=peer.address,
                connected=peer.connected,
                inbound=peer.connected and not peer.dialled,
                height=self._heights.get(peer.name, 0),
                round_trip_ms=round(peer.rtt_ms or 0),
                sent_bytes=peer.bytes_out,
                received_bytes=peer.bytes_in,
            )
            for peer in self._switch.peers()
        ]

    @property
    def _peers_needed(self) -> int:
        """A member needs a quorum; who follows, somebody to follow."""
        replica = self.driver.replica
        return 1 if replica.me is None else replica.members.quorum - 1

    def health(self) -> Sequence[HealthCheck]:
        """For `node_health`."""
        replica = self.driver.replica
        connected = sum(peer.connected for peer in self._switch.peers())
        needed = self._peers_needed
        why = self._demoted or replica.demoted or ""
        return [
            HealthCheck("disk", not self._stalled, self._stalled),
            HealthCheck("peers", connected >= needed, f"{connected} connected, {needed} needed"),
            HealthCheck("vote", not why and replica.may_bind, why),
            HealthCheck("sync", not self.sync.fetching, f"target {self.sync.target}"),
            HealthCheck("evidence", not self.driver.evidence_found, "see data/evidence.jsonl"),
        ]

    def ready(self) -> str | None:
        """For `/readyz`."""
        if self._stalled:
            return self._stalled
        if self.sync.fetching:
            return f"catching up: height {self.height} of {self.sync.target}"
        connected = sum(peer.connected for peer in self._switch.peers())
        needed = self._peers_needed
        if connected < needed:
            return f"{connected} peers connected, {needed} needed"
        return None

    def gauges(self) -> dict[str, float]:
        """For `/metrics`."""
        replica = self.driver.replica
        return {
            "height": self.height,
            "view": replica.view,
            "view_active": replica.active,
            "era": replica.era,
            "mempool_transactions": len(self.mempool),
            "mempool_bytes": self.mempool.bytes,
            "peers_connected": sum(peer.connected for peer in self._switch.peers()),
            "stable_height": replica.stable,
            "sync_target_height": self.sync.target,
            "resident_bytes": _resident_bytes(),
            **{f"consensus_{name}": size for name, size in replica.sizes().items()},
        }

    def counts(self) -> dict[str, float]:
        """For `/metrics`."""
        stats = self.ledger.store_stats
        guard = self._guard
        return {
            "cpu_seconds": cpu_seconds(),
            "signature_checks": self._verifier.checks,
            "store_syncs": stats.syncs,
            "store_bytes_written": stats.bytes_written,
            "journal_syncs": guard.syncs if guard else 0,
            "journal_bytes_written": guard.bytes_written if guard else 0,
            "views_entered": self.driver.views_entered,
            "evidence_found": self.driver.evidence_found,
            "messages_dropped": sum(self.driver.dropped.values()),
            "transactions_refused_at_door": self.intake.refused,
        }


def calm_collector() -> None:
    """What lives as long as the node is not looked at again, and young garbage less often.

    Records and blocks have no cycles; the collector's walks over them cost 20 us a transaction.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 10, 20)


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _resident_bytes() -> int:
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _ignore(_value: object) -> None:
    return None
