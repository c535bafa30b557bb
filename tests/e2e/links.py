"""The wires between the nodes of a network, to be cut: a TCP proxy on the way of every call.

Node A calls node B through a proxy of its own, so every byte between two nodes passes here,
whoever called. A cut direction holds its bytes back as a network does that loses every packet:
connections stay, nothing arrives, and after the healing what was held goes on its way unless an
end has given up. New calls over a cut wire are answered by nobody.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self

from mgsnode.localnet import Localnet
from mgsnode.ports import HOST
from tests.e2e.checks import configure

_READ_BYTES = 64 * 1024


class Links:
    """All wires of a network. Make it before the nodes start; use it as a context manager."""

    def __init__(self, net: Localnet) -> None:
        self._places = [node.place for node in net.nodes]
        self._open: dict[tuple[int, int], asyncio.Event] = {}  # (from, to): bytes may pass
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self.carried_bytes = 0
        asyncio.run_coroutine_threadsafe(self._lay(net), self._loop).result(10)

    async def _lay(self, net: Localnet) -> None:
        pairs = [(a, b) for a in self._places for b in self._places if a != b]
        for pair in pairs:
            self._open[pair] = asyncio.Event()
            self._open[pair].set()
        ends: dict[int, dict[str, str]] = {place: {} for place in self._places}
        for caller, called in pairs:
            node = net.nodes[called]
            server = await asyncio.start_server(self._taker(caller, called, node.p2p_port), HOST)
            port = server.sockets[0].getsockname()[1]
            ends[caller][node.name] = f'{node.name} = "{HOST}:{port}"'
        for node in net.nodes:
            table = ", ".join(ends[node.place].values())
            configure(node, "endpoints = {}", f"endpoints = {{ {table} }}")

    def _taker(
        self, caller: int, called: int, port: int
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                onward = await asyncio.open_connection(HOST, port)
            except OSError:  # the node is down: the caller sees it hang up
                writer.close()
                return
            for source, sink, way in (
                (reader, onward[1], (caller, called)),
                (onward[0], writer, (called, caller)),
            ):
                task = asyncio.ensure_future(self._carry(source, sink, self._open[way]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        return take

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(_READ_BYTES):
                await is_open.wait()
                self.carried_bytes += len(data)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            await is_open.wait()  # a hang-up does not pass a cut wire either
            sink.close()

    def cut(self, sources: Iterable[int], sinks: Iterable[int]) -> None:
        """Nothing that a source says reaches a sink any more; the other way stays."""
        sinks = tuple(sinks)
        self._set([(a, b) for a in sources for b in sinks if a != b], passes=False)

    def part(self, *groups: Iterable[int]) -> None:
        """Nothing passes between these groups, in either direction."""
        sides = [tuple(group) for group in groups]
        for side in sides:
            for other in sides:
                if side != other:
                    self.cut(side, other)

    def heal(self) -> None:
        """All wires carry again."""
        self._set(list(self._open), passes=True)

    def _set(self, ways: list[tuple[int, int]], *, passes: bool) -> None:
        def work() -> None:
            for way in ways:
                if passes:
                    self._open[way].set()
                else:
                    self._open[way].clear()

        self._loop.call_soon_threadsafe(work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            for way in self._open.values():
                way.set()
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
