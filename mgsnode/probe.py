"""How the node is, for who asks: status, peers, health, readiness and the figures to watch.

Every answer is read off the parts at the moment of the question. Nothing is changed and nothing
decided here, and no part knows that it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from mgsnode.base.block import PROTOCOL_VERSION
from mgsnode.diskfloor import DiskFloor
from mgsnode.driver import Driver
from mgsnode.guard import Guard
from mgsnode.intake import Intake
from mgsnode.mempool import Mempool
from mgsnode.metrics import cpu_seconds, resident_bytes
from mgsnode.sync import Sync
from mgsnode.verifier import Verifier
from p2p.switch import Switch
from rpc.api import HealthCheck, NodeStatus, PeerStatus
from state.ledger import Ledger


class NodeProbe:
    """Implements `mgsnode.api.Probe` and `mgsnode.metrics.Readings`."""

    def __init__(
        self,
        *,
        name: str,
        uptime_s: Callable[[], int],
        base: int,
        demoted: str,
        ledger: Ledger,
        mempool: Mempool,
        intake: Intake,
        verifier: Verifier,
        driver: Driver,
        guard: Guard | None,
        switch: Switch,
        sync: Sync,
        disk: DiskFloor,
    ) -> None:
        """`base`: the height that the store began with; `demoted`: why there is no guard, or ""."""
        self._name = name
        self._uptime_s = uptime_s
        self._demoted = demoted
        self._ledger = ledger
        self._mempool = mempool
        self._intake = intake
        self._verifier = verifier
        self._driver = driver
        self._guard = guard
        self._switch = switch
        self._sync = sync
        self._disk = disk
        self._base = base
        self._heights: dict[str, int] = {}

    def heard(self, peer: str, height: int) -> None:
        """What a peer says its height is; shown as its word, believed by nobody."""
        self._heights[peer] = height

    @property
    def _height(self) -> int:
        return self._ledger.head.header.height

    def status(self) -> NodeStatus:
        """For `node_status`."""
        head = self._ledger.head
        replica = self._driver.replica
        votes = replica.me is not None and replica.demoted is None and self._guard is not None
        return NodeStatus(
            chain=self._ledger.genesis_hash.hex(),
            chain_id=self._ledger.genesis.chain_id,
            protocol=PROTOCOL_VERSION,
            version=version("mgsnode"),
            node_id=self._name,
            gateway=self._name if replica.me is not None else "",
            role="validator" if votes else "observer",
            height=head.header.height,
            block_hash=head.hash.hex(),
            block_time_ms=head.header.timestamp_ms,
            state_root=head.header.state_root.hex(),
            era=replica.era,
            view=replica.view,
            primary=replica.primary,
            syncing=self._sync.fetching,
            peers=self._connected,
            mempool_txs=len(self._mempool),
            mempool_bytes=self._mempool.bytes,
            uptime_s=self._uptime_s(),
            target=max(self._sync.target, head.header.height),
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
    def _connected(self) -> int:
        return sum(peer.connected for peer in self._switch.peers())

    @property
    def _peers_needed(self) -> int:
        """A member needs a quorum; who follows, somebody to follow."""
        replica = self._driver.replica
        return 1 if replica.me is None else replica.members.quorum - 1

    def health(self) -> Sequence[HealthCheck]:
        """For `node_health`."""
        replica = self._driver.replica
        connected = self._connected
        needed = self._peers_needed
        why = self._demoted or replica.demoted or ""
        return [
            HealthCheck("disk", not self._disk.why, self._disk.why),
            HealthCheck("peers", connected >= needed, f"{connected} connected, {needed} needed"),
            HealthCheck("vote", not why and replica.may_bind, why),
            HealthCheck("sync", not self._sync.fetching, f"target {self._sync.target}"),
            HealthCheck(
                "evidence",
                not self._driver.evidence_found,
                "see data/evidence.jsonl" if self._driver.evidence_found else "",
            ),
        ]

    def ready(self) -> str | None:
        """For `/readyz`."""
        if self._disk.why:
            return self._disk.why
        if self._sync.fetching:
            return f"catching up: height {self._height} of {self._sync.target}"
        connected = self._connected
        needed = self._peers_needed
        if connected < needed:
            return f"{connected} peers connected, {needed} needed"
        return None

    def gauges(self) -> dict[str, float]:
        """For `/metrics`."""
        replica = self._driver.replica
        return {
            "height": self._height,
            "block_timestamp_seconds": self._ledger.head.header.timestamp_ms / 1_000,
            "ready": self.ready() is None,
            "view": replica.view,
            "view_active": replica.active,
            "era": replica.era,
            "mempool_transactions": len(self._mempool),
            "mempool_bytes": self._mempool.bytes,
            "peers_connected": self._connected,
            "stable_height": replica.stable,
            "sync_target_height": self._sync.target,
            "resident_bytes": resident_bytes(),
            **{f"consensus_{name}": size for name, size in replica.sizes().items()},
        }

    def counts(self) -> dict[str, float]:
        """For `/metrics`."""
        stats = self._ledger.store_stats
        guard = self._guard
        return {
            "cpu_seconds": cpu_seconds(),
            "signature_checks": self._verifier.checks,
            "store_syncs": stats.syncs,
            "store_bytes_written": stats.bytes_written,
            "journal_syncs": guard.syncs if guard else 0,
            "journal_bytes_written": guard.bytes_written if guard else 0,
            "views_entered": self._driver.views_entered,
            "evidence_found": self._driver.evidence_found,
            "messages_dropped": sum(self._driver.dropped.values()),
            "transactions_refused_at_door": self._intake.refused,
        }
