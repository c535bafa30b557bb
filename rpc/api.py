"""The port to the node: what the JSON-RPC needs of it, declared by its user.

It knows no sockets and no consensus. All methods are called from the node's event loop. A view
is the ledger at its head, read-only and consistent with itself; it may be used in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from mgsnode.base.errors import MgsError
from state.registry import Registry
from state.view import View

Status: TypeAlias = Literal["pending", "committed", "refused"]


class Unavailable(MgsError):
    """This node cannot answer that now (syncing), or never (pruned): -32002.

    `reason` is a stable name, such as "SYNCING".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Submission(NamedTuple):
    """What became of a transaction handed in. Not pending: it is in block `height`."""

    txid: bytes
    status: Status
    height: int = 0
    code: int = 0  # 0 where it is committed
    reason: str = ""  # the name of `code`


class NodeStatus(NamedTuple):
    """What `node_status` answers, ready for JSON: hashes in hex."""

    chain: str  # genesis hash
    chain_id: str
    protocol: int
    version: str
    node_id: str
    gateway: str  # "" for an observer that is none
    role: Literal["validator", "observer"]
    height: int
    block_hash: str
    block_time_ms: int
    state_root: str
    era: int
    view: int
    primary: str  # gateway
    syncing: bool
    peers: int  # connected
    mempool_txs: int
    mempool_bytes: int
    uptime_s: int
    target: int = 0  # the highest height that a peer claims, a hint; not below `height`
    since: int = 0  # the first height whose block is here: 0, or that of the snapshot it began with


class PeerStatus(NamedTuple):
    """One peer, ready for JSON. Fields that a direction does not have are 0 or ""."""

    name: str
    role: str
    address: str  # host:port
    connected: bool
    inbound: bool
    height: int  # as it last said
    round_trip_ms: int
    sent_bytes: int
    received_bytes: int


class HealthCheck(NamedTuple):
    """One thing the node watches about itself."""

    name: str  # "disk", "peers", "clock", …
    ok: bool
    detail: str


class Api(Protocol):
    """The node, as the JSON-RPC sees it."""

    @property
    def genesis_hash(self) -> bytes:
        """The chain's name, 32 bytes."""

    @property
    def hrp(self) -> str:
        """The prefix of this network's addresses."""

    @property
    def registry(self) -> Registry:
        """The families and their kinds."""

    def view(self) -> View:
        """The ledger at its head; a context manager, to be closed soon."""

    async def submit(self, raw: bytes) -> Submission:
        """Hand in one signed transaction. One that is known already answers what became of it.

        Raises `Malformed` or `Rejected` where it can never enter a block, `Busy` where this node
        has no room now, `Unavailable` where it takes none. Cancelling it must be harmless.
        """

    async def submit_many(self, raws: Sequence[bytes]) -> list[Submission | MgsError]:
        """`submit` for each of `raws`, in order; what it would raise stands in the list."""

    def pending(self, txid: bytes) -> Literal["pending", "expired", "unknown"]:
        """Where a transaction is that no block holds: waiting here, expired here, or not known."""

    def next_nonce(self, sender: bytes, lane: int) -> int:
        """The nonce after those of the head and of what waits in the mempool."""

    async def wait_committed(self, txid: bytes, timeout_ms: int) -> bool:
        """Whether a block that holds `txid` was committed within the time."""

    async def wait_height(self, above: int, timeout_ms: int) -> int:
        """The head's height, as soon as it is more than `above` or when the time is over."""

    def status(self) -> NodeStatus:
        """What `node_status` answers."""

    def peers(self) -> Sequence[PeerStatus]:
        """The members and observers this node knows, connected or not."""

    def health(self) -> Sequence[HealthCheck]:
        """What this node watches about itself."""

    def ready(self) -> str | None:
        """Why this node should get no traffic now; None if it should (`/readyz`)."""

    def metrics_text(self) -> str:
        """The node's metrics in Prometheus' text format."""
