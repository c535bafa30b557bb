"""One connection's gatekeeper, between the socket and the HTTP library.

It must not know HTTP. It counts connections (all, and of one address) and closes the one that
takes its time: a request half sent, a connection kept open idle, an answer not taken. The HTTP
library has no such deadline for a request's body, and none for a reader that stalls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from rpc.limits import DRAIN_BYTES_PER_S, HALF_OPEN_S, SWEEP_S

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class _Inner(Protocol):
    """The protocol that a gate stands before (asyncio.Protocol with flow control)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Gate(asyncio.Protocol):
    """One connection. `deadline_s` None: it is being answered, or is a WebSocket."""

    def __init__(self, gates: Gates, inner: _Inner) -> None:
        self._gates = gates
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self.address = ""
        self._counted = self._working = False
        self._deadline_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if not self._gates.admit(self):
            transport.write(_FULL)
            transport.close()
            return
        self._counted = True
        self._transport = transport
        self._gates.by_transport[transport] = self
        self._deadline_s = self._gates.clock_s() + HALF_OPEN_S
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._counted:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._counted else None

    def pause_writing(self) -> None:
        if self._counted:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._counted:
            self._inner.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self._counted:
            return
        assert self._transport is not None
        del self._gates.by_transport[self._transport]
        self._transport = None
        self._inner.connection_lost(exc)
        if not self._working:
            self._gates.release(self)

    def begin(self) -> None:
        """The request has arrived whole; from here on we are the slow ones."""
        self._working = True
        self._deadline_s = None

    def end(self, answer_bytes: int) -> None:
        """The answer is made; the caller now has to take it, and to ask again or leave."""
        was_working, self._working = self._working, False
        if self._transport is None:
            if was_working:
                self._gates.release(self)
            return
        seconds = HALF_OPEN_S + answer_bytes / DRAIN_BYTES_PER_S
        self._deadline_s = self._gates.clock_s() + seconds

    def hurry(self) -> None:
        """A conversation was closed by us: what is still to be taken must be taken soon."""
        self._deadline_s = self._gates.clock_s() + HALF_OPEN_S

    def close_if_late(self, now_s: float) -> bool:
        """Cut the connection where its time is over; whether it was."""
        if self._transport is None or self._deadline_s is None or now_s < self._deadline_s:
            return False
        self._transport.abort()
        return True


class Gates:
    """All connections of a server. A connection counts until its work is done, even if the
    caller has left: leaving early must not buy more work.
    """

    def __init__(self, highest: int, highest_per_ip: int, clock_s: Callable[[], float]) -> None:
        assert highest_per_ip > 0
        self._highest = highest
        self._highest_per_ip = highest_per_ip
        self.clock_s = clock_s
        self.open = 0
        self.by_address: Counter[str] = Counter()
        self.by_transport: dict[asyncio.BaseTransport, Gate] = {}
        self.refused = 0
        self.cut = 0

    def admit(self, gate: Gate) -> bool:
        """Count one more connection, if there is room."""
        full = self.open >= self._highest or self.by_address[gate.address] >= self._highest_per_ip
        if full:
            self.refused += 1
            return False
        self.open += 1
        self.by_address[gate.address] += 1
        return True

    def release(self, gate: Gate) -> None:
        """Count one less."""
        self.open -= 1
        self.by_address[gate.address] -= 1
        if not self.by_address[gate.address]:
            del self.by_address[gate.address]

    async def sweep(self) -> None:
        """Cut who is late, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = self.clock_s()
            for gate in list(self.by_transport.values()):
                self.cut += gate.close_if_late(now_s)
