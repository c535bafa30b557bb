"""The standing wish to be connected to one known peer: when to call, how long to wait.

Both ends call. A peer that restarts calls everyone at once, so it is back at the speed of its
own start; a peer that cannot be called is reached by its own calls. The lower name calls first
and the higher waits a moment, so that two connections at once are rare; `prefers` says which of
the two stays, and both ends say the same.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from enum import Enum

from p2p.limits import Limits
from p2p.owner import PeerInfo, Stage
from p2p.peer import Connection

_PORT_MAX = 65_535
Random = Callable[[], float]  # uniform in [0, 1), like `random.Random.random`


class Outcome(Enum):
    """How a call ended."""

    OPENED = "opened"  # and is over again, when the dialler hears of it
    REFUSED = "refused"  # somebody answered
    SILENT = "silent"  # nobody did


class Link:
    """A known peer, connected or not. What is counted here outlives its connections."""

    def __init__(self, info: PeerInfo) -> None:
        self.info = info
        self.connection: Connection | None = None
        self.absent = asyncio.Event()  # no connection is established
        self.absent.set()
        self.dialler: asyncio.Task[None] | None = None
        # What the host resolved to; a literal needs no asking.
        self.addresses: tuple[str, ...] = (info.host,) if is_ip(info.host) else ()
        self.offences = self.connects = 0
        # They said that we are no member: on the next connection we claim to be none.
        self.humble = False

    def open_connection(self) -> Connection | None:
        """The established connection, if it is one still."""
        connection = self.connection
        return connection if connection is not None and connection.stage is Stage.OPEN else None


def prefers(
    new: Connection, old: Connection, *, own_name: str, now: float, settle_s: float
) -> bool:
    """Whether `new` replaces the established `old` of the same peer.

    1. Another process on the far end, or the same direction again: the newer, since the dialler
       knows of no other.
    2. Opposite directions: that which the lower name dialled. Only if `old` is older than any
       handshake, and the far end says it holds none, `old` is dead at the far end: the newer.
    """
    assert new.hello is not None and old.hello is not None and new.info is not None
    if new.hello.instance != old.hello.instance:
        return True
    if (new.dialled is None) == (old.dialled is None):
        return True
    if not new.hello.elsewhere and now - old.opened_s > settle_s:
        return True
    return (new.dialled is not None) == (own_name < new.info.name)


def backoff_s(failures: int, outcome: Outcome, limits: Limits, draw: float) -> float:
    """Seconds until the next call: doubling, bounded, and between half and all of it by `draw`."""
    longest = limits.dial_max_s if outcome is Outcome.SILENT else limits.refused_max_s
    return min(limits.dial_first_s * 2.0 ** min(failures, 30), longest) * (0.5 + 0.5 * draw)


class Dialler:
    """Calls absent peers; see the module's law."""

    def __init__(
        self,
        *,
        own_name: str,
        limits: Limits,
        random: Random,
        make: Callable[[PeerInfo], Connection],
        unmake: Callable[[Connection], None],
        ban_left_s: Callable[[str], float],
        on_resolved: Callable[[], None],
    ) -> None:
        """`make` gives the protocol for a call, `unmake` takes back one that asyncio never met."""
        self._own_name = own_name
        self._limits = limits
        self._random = random
        self._make = make
        self._unmake = unmake
        self._ban_left_s = ban_left_s
        self._on_resolved = on_resolved

    async def keep_calling(self, link: Link) -> None:
        """Call `link` whenever it is absent, for ever."""
        loop, limits = asyncio.get_running_loop(), self._limits
        failures = 0
        while True:
            await link.absent.wait()
            if self._own_name > link.info.name:
                await asyncio.sleep(limits.yield_s)
            if ban_s := self._ban_left_s(link.info.name):
                await asyncio.sleep(ban_s)
            if not link.absent.is_set():
                continue
            began = loop.time()
            outcome = await self._call(link)
            if outcome is Outcome.OPENED:
                await link.absent.wait()
                if loop.time() - began >= limits.lived_s:
                    failures = 0
            await asyncio.sleep(backoff_s(failures, outcome, limits, self._random()))
            failures += 1

    async def _call(self, link: Link) -> Outcome:
        """Call once, until it is open or over."""
        connection = self._make(link.info)
        outcome = Outcome.SILENT
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await self._resolve(link)
                await _connect(connection, link.addresses, link.info.port)
                outcome = Outcome.REFUSED
                if await connection.settled:
                    outcome = Outcome.OPENED
        except (OSError, TimeoutError):
            pass  # the outcome says it; a peer that is down is no event
        finally:
            if outcome is Outcome.SILENT:
                self._unmake(connection)
            if outcome is not Outcome.OPENED:
                connection.drop()
        return outcome

    async def _resolve(self, link: Link) -> None:
        """The addresses behind the peer's host; a name is asked for again at each call."""
        host, port = link.info.host, link.info.port
        addresses: tuple[str, ...] = (host,)
        if not is_ip(host):
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except UnicodeError as bad:  # the chain lists it, so it must not stop us
                raise OSError(f"{host!r} cannot be a host's name") from bad
            addresses = tuple(str(entry[4][0]) for entry in found)
        if addresses != link.addresses:
            link.addresses = addresses
            self._on_resolved()


async def _connect(connection: Connection, addresses: tuple[str, ...], port: int) -> None:
    """TCP to the first address that answers. Raises OSError."""
    if not 0 < port <= _PORT_MAX:
        raise OSError(f"{port} is no port")
    loop = asyncio.get_running_loop()
    for address in addresses[:-1]:
        try:
            await loop.create_connection(lambda: connection, address, port)
        except OSError:
            continue
        return
    await loop.create_connection(lambda: connection, addresses[-1], port)


def is_ip(host: str) -> bool:
    """Whether `host` is an address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
