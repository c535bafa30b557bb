"""The node as the JSON-RPC sees it (`rpc.api.Api`): submitting, waiting, status. No sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from mgsnode.base.errors import MgsError
from mgsnode.base.transaction import Transaction
from mgsnode.intake import Intake
from mgsnode.mempool import Mempool
from rpc.api import HealthCheck, NodeStatus, PeerStatus, Submission
from state.chain import read_place, read_receipt
from state.ledger import Committed, Ledger
from state.registry import Registry
from state.view import View

if TYPE_CHECKING:
    from rpc.api import Api

_EXPIRED_MAX = 20_000  # txids remembered as expired here, for wallets that ask


class Probe(Protocol):
    """What the node tells about itself."""

    def status(self) -> NodeStatus:
        """See `rpc.api.Api.status`."""

    def peers(self) -> Sequence[PeerStatus]:
        """See `rpc.api.Api.peers`."""

    def health(self) -> Sequence[HealthCheck]:
        """See `rpc.api.Api.health`."""

    def ready(self) -> str | None:
        """See `rpc.api.Api.ready`."""


class NodeApi:
    """Implements `rpc.api.Api`. Used from the event loop only."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        mempool: Mempool,
        intake: Intake,
        probe: Probe,
        metrics_text: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._mempool = mempool
        self._intake = intake
        self._probe = probe
        self.metrics_text = metrics_text
        self._waiting: dict[bytes, list[asyncio.Future[None]]] = {}
        self._height_waiting: list[asyncio.Future[None]] = []
        self._expired: dict[bytes, None] = {}

    @property
    def genesis_hash(self) -> bytes:
        """The chain's name."""
        return self._ledger.genesis_hash

    @property
    def hrp(self) -> str:
        """The prefix of addresses."""
        return self._ledger.hrp

    @property
    def registry(self) -> Registry:
        """The families and their kinds."""
        return self._ledger.registry

    def view(self) -> View:
        """The ledger at its head."""
        return self._ledger.view()

    # Handing in

    async def submit(self, raw: bytes) -> Submission:
        """See `rpc.api.Api.submit`."""
        (answer,) = await self.submit_many([raw])
        if isinstance(answer, Submission):
            return answer
        raise answer

    async def submit_many(self, raws: Sequence[bytes]) -> list[Submission | MgsError]:
        """See `rpc.api.Api.submit_many`. Idempotent: a known transaction answers its fate."""
        taken = await self._intake.submit(raws)
        answers: list[Submission | MgsError] = []
        for raw, answer in zip(raws, taken, strict=True):
            if isinstance(answer, Transaction):
                answers.append(Submission(answer.txid, "pending"))
            else:
                answers.append(self._fate(raw) or answer)
        return answers

    def _fate(self, raw: bytes) -> Submission | None:
        """What became of a transaction that cannot be taken in: perhaps a block holds it."""
        try:
            txid = self._ledger.open_tx(raw).txid
        except MgsError:
            return None
        with self.view() as view:
            place = read_place(view.rows, txid)
            if place is None:
                return None
            receipt = read_receipt(view.rows, place)
        if receipt.code == 0:
            return Submission(txid, "committed", place.height)
        reason = self.registry.refusal_name(receipt.code)
        return Submission(txid, "refused", place.height, receipt.code, reason)

    def pending(self, txid: bytes) -> Literal["pending", "expired", "unknown"]:
        """See `rpc.api.Api.pending`."""
        if txid in self._mempool:
            return "pending"
        return "expired" if txid in self._expired else "unknown"

    def next_nonce(self, sender: bytes, lane: int) -> int:
        """See `rpc.api.Api.next_nonce`."""
        return self._mempool.next_nonce((sender, lane), self._ledger.next_nonce(sender, lane))

    # Waiting

    async def wait_committed(self, txid: bytes, timeout_ms: int) -> bool:
        """See `rpc.api.Api.wait_committed`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(txid, [])
        waiting.append(future)
        try:
            with self.view() as view:  # after we stand in the row: it may have come just now
                if read_place(view.rows, txid) is not None:
                    return True
            async with asyncio.timeout(timeout_ms / 1_000):
                await future
        except TimeoutError:
            return False
        finally:
            waiting.remove(future)
            if not waiting and self._waiting.get(txid) is waiting:
                del self._waiting[txid]
        return True

    async def wait_height(self, above: int, timeout_ms: int) -> int:
        """See `rpc.api.Api.wait_height`."""
        if self._ledger.head.header.height <= above:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._height_waiting.append(future)
            try:
                async with asyncio.timeout(timeout_ms / 1_000):
                    await future
            except TimeoutError:
                pass
            finally:
                if future in self._height_waiting:
                    self._height_waiting.remove(future)
        return self._ledger.head.header.height

    def on_committed(self, committed: Committed, txs: Sequence[Transaction]) -> None:
        """A block is durable: who waits is answered."""
        if self._waiting:
            for tx in txs:
                for future in self._waiting.get(tx.txid, ()):
                    if not future.done():
                        future.set_result(None)
        waiting, self._height_waiting = self._height_waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def on_expired(self, txs: Sequence[Transaction]) -> None:
        """These can enter no block any more."""
        for tx in txs:
            self._expired[tx.txid] = None
        while len(self._expired) > _EXPIRED_MAX:
            del self._expired[next(iter(self._expired))]

    # About itself

    def status(self) -> NodeStatus:
        """See `rpc.api.Api.status`."""
        return self._probe.status()

    def peers(self) -> Sequence[PeerStatus]:
        """See `rpc.api.Api.peers`."""
        return self._probe.peers()

    def health(self) -> Sequence[HealthCheck]:
        """See `rpc.api.Api.health`."""
        return self._probe.health()

    def ready(self) -> str | None:
        """See `rpc.api.Api.ready`."""
        return self._probe.ready()


def as_api(api: NodeApi) -> Api:
    """The type checker's word that `NodeApi` is an `Api`."""
    return api
