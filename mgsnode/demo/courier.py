"""Brings transactions to nodes in batches, and sees them become final on others.

Each transaction is handed to one node and is *done* once that node and another one have both
committed it. Finality is the wall clock from handing it in until the other node told of it. A
refusal, a node that ends or a minute without news ends everything with a sentence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mgsnode.base.errors import MgsError
from mgsnode.client import Client
from mgsnode.demo.wallet import Signed

T = TypeVar("T")
BATCH_TXS: Final = 512
_BATCH_BYTES: Final = 1_500_000  # in hex below what a node takes in one message
_STALLED_S: Final = 60.0
_BUSY_CODE: Final = -32005
_ASKING: Final = 0.002  # s; how long a batch gathers


class Failed(MgsError):
    """The network did not do what the demo asked of it."""


@dataclass(slots=True)
class _Waiting:
    tx: Signed
    other: int  # the node whose news is the measure
    unseen: set[int]
    done: asyncio.Future[int]  # the height
    refusal: str = ""  # the reason with which it is to be refused, empty: it is not
    handed_in: float = 0.0


@dataclass(slots=True)
class Figures:
    """What was measured."""

    transactions: int = 0
    fees: int = 0  # micro-dollars
    finality_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The finality that `share` of the transactions did not exceed (nearest rank), in ms."""
        if not self.finality_ms:
            return 0.0
        ranked = sorted(self.finality_ms)
        return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


class Courier:
    """See the module's law. `clients` in the order of the nodes."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._queues: list[asyncio.Queue[_Waiting]] = [asyncio.Queue() for _ in clients]
        self._waiting: dict[str, _Waiting] = {}
        self._last_news = time.monotonic()
        self._listening = asyncio.Semaphore(0)
        self.figures = Figures()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """`work`, with the nodes' news coming in. Raises what went wrong, `MgsError` for short."""
        try:
            async with asyncio.TaskGroup() as group:
                nodes = range(len(self._clients))
                tasks = [group.create_task(self._listen(node)) for node in nodes]
                tasks += [group.create_task(self._hand_in(node)) for node in nodes]
                tasks.append(group.create_task(self._watch()))
                result = await group.create_task(self._when_heard(work))
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as failures:
            named, others = failures.split(MgsError)
            if named is None or others is not None:
                raise
            raise _first(named) from None
        return result

    async def _when_heard(self, work: Coroutine[Any, Any, T]) -> T:
        for _ in self._clients:
            await self._listening.acquire()
        return await work

    @property
    def quiet_s(self) -> float:
        """For how long no node has told of a transaction."""
        return time.monotonic() - self._last_news

    async def send(self, tx: Signed, *, node: int, refusal: str = "") -> int:
        """Hand in a transaction and wait until it is done; its height.

        Where a `refusal` is named, done means refused with exactly that reason.
        """
        other = (node + 1) % len(self._clients)
        done = asyncio.get_running_loop().create_future()
        waiting = _Waiting(tx, other, {node, other}, done, refusal)
        self._waiting[tx.txid.hex()] = waiting
        self._queues[node].put_nowait(waiting)
        height: int = await done
        return height

    async def _hand_in(self, node: int) -> None:
        queue = self._queues[node]
        while True:
            batch = [await queue.get()]
            await asyncio.sleep(_ASKING)
            room = _BATCH_BYTES - len(batch[0].tx.raw)
            while not queue.empty() and len(batch) < BATCH_TXS and room > 0:
                batch.append(queue.get_nowait())
                room -= len(batch[-1].tx.raw)
            await self._hand_in_batch(node, batch)

    async def _hand_in_batch(self, node: int, batch: list[_Waiting]) -> None:
        started = time.monotonic()
        for waiting in batch:
            waiting.handed_in = waiting.handed_in or started
        answers = await self._clients[node].submit_batch([waiting.tx.raw for waiting in batch])
        busy: list[_Waiting] = []
        for waiting, answer in zip(batch, answers, strict=True):
            error = answer.get("error")
            if error is None:
                continue
            if error["code"] != _BUSY_CODE:
                facts = (error.get("data") or {}).get("reason", error.get("message"))
                raise Failed(f"{waiting.tx.kind} {waiting.tx.txid.hex()} was not taken: {facts}")
            busy.append(waiting)
        if busy:
            await asyncio.sleep(0.5)
            for waiting in busy:
                self._queues[node].put_nowait(waiting)

    async def _listen(self, node: int) -> None:
        async with self._clients[node].subscribe("tx") as all_news:
            self._listening.release()
            async for news in all_news:
                self._on_news(node, news.result)

    def _on_news(self, node: int, told: dict[str, Any]) -> None:
        now = time.monotonic()
        self._last_news = now
        waiting = self._waiting.get(told["txid"])
        if waiting is None:
            return
        if told["code"] and told["reason"] != waiting.refusal:
            why = f"{told['reason']} ({told['code']}) at height {told['height']}"
            raise Failed(f"{waiting.tx.kind} {told['txid']} was refused: {why}")
        if waiting.refusal and not told["code"]:
            raise Failed(f"{waiting.tx.kind} was to be refused with {waiting.refusal}, and was not")
        if node == waiting.other:
            self.figures.finality_ms.append((now - waiting.handed_in) * 1_000)
        waiting.unseen.discard(node)
        if not waiting.unseen:
            del self._waiting[told["txid"]]
            self.figures.transactions += 1
            self.figures.fees += int(told["fee"])
            if not waiting.done.done():  # whoever waited may have gone
                waiting.done.set_result(told["height"])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._waiting and time.monotonic() - self._last_news > _STALLED_S:
                count = len(self._waiting)
                raise Failed(f"{count} transactions wait and nothing was final for a minute")


def _first(group: BaseException) -> BaseException:
    """The first failure inside nested groups."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
