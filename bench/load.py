"""The load: a process of its own that posts finished requests and notes when blocks are final.

It does as little as it can while the clock runs: post bytes, count refusals, note the time of
each block that two of the nodes announce over WebSocket, and a few times a second what a
signature check costs at this moment. Which transactions a block holds it asks afterwards, or at
once where the load follows what is final. A transaction's finality is the time from its turn to
be sent (so that a late generator counts against the network) to the announcement by a node it
was not sent to.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import aiohttp
import orjson

from bench.machine import checks_us
from bench.wallets import Request

OBSERVERS = (2, 3)  # the nodes whose announcements count; not the first primary
_POLL_S = 0.05
_SETTLE_S = 60.0  # after the last request everything is final within this, or is reported
_CHECKS, _CHECK_EVERY_S = 16, 0.3  # well below 1 % of a core
_KEEP_S = 4.0  # an idle connection is given up before the node cuts it
_HEADERS = {"Content-Type": "application/json"}
_STATUS = b'{"jsonrpc":"2.0","id":1,"method":"node_status","params":{}}'


class Plan(NamedTuple):
    """What to send where. `every_s` 0: as fast as the waiting rooms take it (closed loop)."""

    urls: tuple[str, ...]
    requests: tuple[Request, ...]
    every_s: float  # between two requests of an open loop
    backlog: int  # of a closed loop: no more while so many transactions are sent and not final
    seconds: float  # of a closed loop: no new request after this


class Outcome(NamedTuple):
    """What came of it. Times in seconds."""

    sent: int  # transactions
    refused: int  # answered with an error
    committed: int
    wall_s: float  # from the first request to the block with the last transaction
    busy_s: float  # from the first request to the last one's answer
    latencies_s: tuple[float, ...]
    blocks: int  # that hold transactions of ours
    late_s: float  # how late the generator was at worst
    check_us: float  # CPU of a signature check meanwhile, the median


class Load:
    """A load process: `ready` is done when it exists; then `run`, then `outcome`."""

    def __init__(self, plan: Plan) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs,), daemon=True)
        self._process.start()
        self._pipe.send(plan)
        self._expect("ready")

    def _expect(self, word: str) -> Any:
        said, value = self._pipe.recv()
        if said != word:
            raise RuntimeError(f"the load generator failed: {value}")
        return value

    def run(self) -> None:
        """Send everything and wait until it is final everywhere."""
        self._pipe.send("go")
        self._expect("done")

    def outcome(self) -> Outcome:
        """Ask for the blocks and work out the times; ends the process."""
        self._pipe.send("count")
        value: Outcome = self._expect("outcome")
        self._process.join()
        return value


def _main(pipe: Connection) -> None:
    plan: Plan = pipe.recv()
    try:
        asyncio.run(_Generator(plan, pipe).main())
    except (aiohttp.ClientError, OSError, RuntimeError, TimeoutError) as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"))


class _Generator:
    def __init__(self, plan: Plan, pipe: Connection) -> None:
        self._plan = plan
        self._pipe = pipe
        self._sent: list[tuple[float, Request]] = []
        self._final: dict[int, dict[int, float]] = {node: {} for node in OBSERVERS}
        self._refused = 0
        self._answered_at = 0.0
        self._late_s = 0.0
        self._open = 0  # transactions sent and, as far as we know, neither final nor refused
        self._room = asyncio.Event()
        self._height_of: dict[str, int] = {}
        self._blocks = 0
        self._checks_us: list[float] = []
        self._counted = 0  # the last height whose transactions we know
        self._posts: set[asyncio.Task[None]] = set()

    async def main(self) -> None:
        timeout = aiohttp.ClientTimeout(total=120)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            self._session = session
            self._counted = max([status["height"] for status in await self._all_status()])
            watchers = [asyncio.create_task(self._watch(node)) for node in OBSERVERS]
            await asyncio.sleep(0.2)  # until they are subscribed
            await self._say("ready", None)
            await self._hear()
            yardstick = asyncio.create_task(self._measure_checks())
            await (self._open_loop() if self._plan.every_s else self._closed_loop())
            yardstick.cancel()
            await asyncio.gather(*self._posts)
            await self._settle()
            await self._say("done", None)
            await self._hear()
            for watcher in watchers:
                watcher.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*watchers)
            await self._say("outcome", await self._count())

    async def _say(self, word: str, value: object) -> None:
        await asyncio.to_thread(self._pipe.send, (word, value))

    async def _hear(self) -> None:
        await asyncio.to_thread(self._pipe.recv)

    # Sending

    async def _open_loop(self) -> None:
        begin = time.monotonic() + 0.1
        for index, request in enumerate(self._plan.requests):
            due = begin + index * self._plan.every_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._late_s = max(self._late_s, time.monotonic() - due)
            self._sent.append((due, request))
            task = asyncio.create_task(self._post(request))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def _closed_loop(self) -> None:
        stop = time.monotonic() + self._plan.seconds
        await asyncio.gather(*(self._feed(node, stop) for node in range(len(self._plan.urls))))

    async def _feed(self, node: int, stop: float) -> None:
        for request in self._plan.requests:
            if request.node != node:
                continue
            while self._open >= self._plan.backlog:
                self._room.clear()
                await self._room.wait()
            if time.monotonic() >= stop:
                return
            self._open += len(request.txids)
            self._sent.append((time.monotonic(), request))
            await self._post(request)

    async def _post(self, request: Request) -> None:
        answer = await self._ask(request.node, request.body)
        refused = answer.count(b'"error"')
        self._refused += refused
        self._done(refused)
        self._answered_at = time.monotonic()

    def _done(self, count: int) -> None:
        self._open -= count
        self._room.set()

    async def _ask(self, node: int, body: bytes) -> bytes:
        async with self._session.post(
            self._plan.urls[node], data=body, headers=_HEADERS
        ) as response:
            return await response.read()

    async def _measure_checks(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            self._checks_us.append(checks_us(_CHECKS))

    # Watching

    async def _watch(self, node: int) -> None:
        final = self._final[node]
        call = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"topic": "blocks"}}
        async with self._session.ws_connect(self._plan.urls[node] + "/ws", compress=0) as socket:
            await socket.send_str(orjson.dumps(call).decode())
            async for message in socket:
                at = time.monotonic()
                told = orjson.loads(message.data)
                if "params" in told:
                    height = told["params"]["result"]["height"]
                    final[height] = at
                    if node == OBSERVERS[0] and not self._plan.every_s:
                        await self._learn(height)  # how much room there is again

    async def _status(self, node: int) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(await self._ask(node, _STATUS))["result"]
        return answer

    async def _all_status(self) -> list[dict[str, Any]]:
        nodes = range(len(self._plan.urls))
        return list(await asyncio.gather(*(self._status(node) for node in nodes)))

    async def _settle(self) -> None:
        """Until nothing waits anywhere and all stand at one height, or the time is over."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            told = await self._all_status()
            if not any(s["mempool_txs"] for s in told) and len({s["height"] for s in told}) == 1:
                return
            await asyncio.sleep(_POLL_S)

    # Counting

    async def _learn(self, last: int) -> None:
        """Which transactions the blocks up to `last` hold."""
        for height in range(self._counted + 1, last + 1):
            call = {"jsonrpc": "2.0", "id": 1, "method": "chain_block", "params": [height]}
            answer = orjson.loads(await self._ask(OBSERVERS[0], orjson.dumps(call)))
            txids: Sequence[str] = answer["result"]["txs"]
            self._blocks += bool(txids)
            self._height_of.update((txid, height) for txid in txids)
            self._counted = height
            self._done(len(txids))

    async def _count(self) -> Outcome:
        await self._learn((await self._status(OBSERVERS[0]))["height"])
        begin = self._sent[0][0]
        end, latencies = begin, []
        for at, request in self._sent:
            node = OBSERVERS[0] if request.node != OBSERVERS[0] else OBSERVERS[1]
            for txid in request.txids:
                final = self._final[node].get(self._height_of.get(txid, -1))
                if final is not None:
                    latencies.append(final - at)
                    end = max(end, final)
        return Outcome(
            sent=sum(len(request.txids) for _, request in self._sent),
            refused=self._refused,
            committed=len(latencies),
            wall_s=end - begin,
            busy_s=self._answered_at - begin,
            latencies_s=tuple(sorted(latencies)),
            blocks=self._blocks,
            late_s=self._late_s,
            check_us=statistics.median(self._checks_us) if self._checks_us else 0.0,
        )
