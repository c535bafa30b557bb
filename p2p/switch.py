"""Everyone we talk to: one connection for each known peer, and what goes to whom.

It knows names, roles and bytes, and nothing of what they mean. Each known peer has a place of
its own, so that neither strangers nor observers can take a member's (Marcus et al. 2018).
The owner's callbacks run in the event loop, one after the other; `on_peer(name, True)` comes
before the first message of a connection and `on_peer(name, False)` after the last.
An exception out of a callback or a task of ours reaches `on_failure`: the node must stop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from itertools import count

from p2p.dial import Dialler, Link, Random, prefers
from p2p.frames import Channel, encode_frame
from p2p.gate import Bans, Gate
from p2p.hello import MEMBER, OBSERVER, WIRE_VERSION, Bye, Hello, Role
from p2p.limits import Limits
from p2p.listen import accept_all, listening_socket
from p2p.owner import Fault, PeerInfo
from p2p.peer import Connection
from p2p.roster import Identity, Roster
from p2p.stats import PeerStats, stats_of

_log = logging.getLogger("mgsnode.p2p")
_STOP_S = 1.0  # to say goodbye in


class Switch:
    """See the module's law. Made, used and stopped in one event loop."""

    def __init__(
        self,
        identity: Identity,
        genesis_hash: bytes,
        listen: tuple[str, int],
        members: Sequence[PeerInfo],
        on_message: Callable[[str, Channel, bytes], None],
        on_peer: Callable[[str, bool], None],
        *,
        on_failure: Callable[[BaseException], None],
        random: Random,
        limits: Limits | None = None,
    ) -> None:
        """`members` holds the members and the configured observers (by `role`), us or not.

        `random` is uniform in [0, 1). `on_failure` is called once. Raises `ConfigError`.
        """
        self.limits = limits or Limits()
        self.counters: Counter[str] = Counter()  # what happened, by a short name
        self._role = identity.role
        self._name = identity.name
        self._genesis_hash = genesis_hash
        self._listen = listen
        self._on_message = on_message
        self._on_peer = on_peer
        self._on_failure: Callable[[BaseException], None] | None = on_failure
        self._instance = int(random() * 2**53)
        self._gate = Gate(self.limits)
        self._bans = Bans(self.limits)
        self._roster = Roster(identity, genesis_hash)
        self._numbers = count()
        self._connections: dict[int, Connection] = {}
        self._dirty: dict[Connection, None] = {}  # a set that keeps its order
        self._resumed: list[Connection] = []
        self._closed: list[Connection] = []
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._running = False
        self._dialler = Dialler(
            own_name=identity.name,
            limits=self.limits,
            random=random,
            make=self._dial,
            unmake=self.on_closed,
            ban_left_s=lambda name: self._bans.left_s(name, self.now()),
            on_resolved=self._reserve,
        )
        self.set_members(members)

    # What the node calls.

    async def start(self) -> None:
        """Listen, and call everyone. Raises `ConfigError` if the address cannot be had."""
        self._socket = listening_socket(*self._listen)
        self._running = True
        self._spawn(self._work())
        self._spawn(self._tick())
        self._spawn(accept_all(self._socket, self._admit, self._on_exhausted))
        for link in self._roster.links.values():
            self._start_calling(link)

    async def stop(self) -> None:
        """Say goodbye, close every connection, end every task. Safe to call twice."""
        self._running = False
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        for connection in tuple(self._connections.values()):
            connection.end(Bye.STOPPING)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_S
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(0.002)
            self._settle_closed()
        for connection in tuple(self._connections.values()):
            connection.drop()
        await asyncio.sleep(0)  # asyncio reports the dropped ones in its next turn
        self._settle_closed()

    @property
    def port(self) -> int:
        """The port listened on (of use after asking for port 0)."""
        assert self._socket is not None, "not started"
        return int(self._socket.getsockname()[1])

    @property
    def role(self) -> Role:
        """What we are, as far as we know."""
        return self._role

    @property
    def pending(self) -> int:
        """Inbound connections that have not said hello."""
        return self._gate.pending

    def send(self, name: str, channel: Channel, payload: bytes) -> bool:
        """Queue `payload` for `name`; never waits.

        False: not connected, not allowed there, or its queue had to give something up for it.
        """
        link = self._roster.links.get(name)
        if link is None or link.connection is None or not self._may_say(channel):
            return False
        return link.connection.send(channel, encode_frame(channel, payload))

    def broadcast(self, channel: Channel, payload: bytes) -> int:
        """Queue `payload` for every connected peer that may have it; how many that is."""
        if not self._may_say(channel):
            return 0
        frame = encode_frame(channel, payload)
        taken = 0
        for link in self._roster.links.values():
            if link.connection is not None:
                taken += link.connection.send(channel, frame)
        return taken

    def penalise(self, name: str, why: str) -> None:
        """`name` sent what no honest peer sends: disconnect, count, ban for a growing time.

        `why` is a short fixed phrase (it becomes a counter's name).
        """
        link = self._roster.links.get(name)
        if link is not None:
            self._offend(link, Fault(why))
            if link.connection is not None:
                link.connection.end(Bye.MISBEHAVED)

    def set_members(self, members: Sequence[PeerInfo], role: Role | None = None) -> None:
        """Who may connect from now on, and our own `role` where it changed. Raises `ConfigError`.

        A connection to someone who is gone, or has another certificate or role now, is closed;
        if our own role changed, all are, and made again.
        """
        change = self._roster.replace(members)
        for link in change.gone:
            if link.dialler is not None:
                link.dialler.cancel()
            self._down(link, Bye.REMOVED)
        if role is not None and role != self._role:
            self._role = role
            for link in self._roster.links.values():
                if link.connection is not None:
                    link.connection.end(Bye.ROLE_CHANGED)
        for link in change.new:
            self._start_calling(link)
        self._reserve()

    def peers(self) -> list[PeerStats]:
        """Everyone known, connected or not, by name."""
        now = self.now()
        return [
            stats_of(link, now=now, ban_s=self._bans.left_s(name, now))
            for name, link in sorted(self._roster.links.items())
        ]

    # What a connection calls (see `owner.Owner`).

    def now(self) -> float:
        """The event loop's clock."""
        return asyncio.get_running_loop().time()

    def identify(self, connection: Connection, certificate: bytes) -> PeerInfo | None:
        """Whose certificate this is, if they may be here and are whom we called."""
        return self._roster.identify(certificate, connection.dialled)

    def hello_for(self, name: str) -> Hello:
        """Our hello to `name`."""
        link = self._roster.links.get(name)
        elsewhere = link is not None and link.open_connection() is not None
        role = OBSERVER if link is not None and link.humble else self._role
        return Hello(WIRE_VERSION, self._genesis_hash, self._name, role, self._instance, elsewhere)

    def on_hello(self, connection: Connection, hello: Hello) -> Bye | None:
        """Take the connection in, or say why not."""
        info, now = connection.info, self.now()
        assert info is not None
        refusal = self._roster.check_hello(info, hello)
        if refusal is None and self._bans.left_s(info.name, now):
            refusal = Bye.BANNED
        if refusal is not None:
            self.counters[f"refused: {refusal.name.lower()}"] += 1
            _log.warning("peer %s refused: %s", info.name, refusal.name.lower())
            return refusal
        if connection.claimed != self.hello_for(info.name).role:
            return Bye.ROLE_CHANGED  # ours has, since we said it
        link = self._roster.links[info.name]
        settle_s = self.limits.handshake_s
        if (old := link.open_connection()) is not None:
            if not prefers(connection, old, own_name=self._name, now=now, settle_s=settle_s):
                return Bye.DUPLICATE
            self.counters["replaced"] += 1
        self._down(link, Bye.DUPLICATE)
        self._gate.leave(connection.number)
        link.connection = connection
        link.connects += 1
        link.absent.clear()
        _log.info("peer %s connected", info.name)
        self._on_peer(info.name, True)
        return None

    def deliver(self, name: str, channel: Channel, payload: bytes) -> None:
        """A frame has come."""
        self._on_message(name, channel, payload)

    def want_flush(self, connection: Connection) -> None:
        """It has something to send: `_work` flushes everyone who has, once."""
        self._dirty[connection] = None
        self._wake.set()

    def want_read(self, connection: Connection, delay_s: float) -> None:
        """It is to be read on after a while."""
        self.counters["throttled"] += 1
        asyncio.get_running_loop().call_later(delay_s, self._resume, connection)

    def on_closed(self, connection: Connection) -> None:
        """Its socket is gone; `_work` sees to what follows."""
        self._closed.append(connection)
        self._wake.set()

    # Inside.

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._settle_closed()
            resumed, self._resumed = self._resumed, []
            for connection in resumed:
                connection.read_on()
            dirty, self._dirty = self._dirty, {}
            for connection in dirty:
                connection.flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.limits.tick_s)
            for connection in tuple(self._connections.values()):
                connection.tick()
            self._claim_anew()

    def _claim_anew(self) -> None:
        """End connections on which we have claimed less than we are for a while.

        Whoever refused us may know by now that we are a member, and nothing else would tell us:
        with f members dead the votes on this connection would be missing for ever.
        """
        since = self.now() - self.limits.humble_s
        for link in self._roster.links.values():
            connection = link.open_connection()
            if connection and connection.claimed != self._role and connection.opened_s <= since:
                connection.end(Bye.ROLE_CHANGED)

    def _settle_closed(self) -> None:
        closed, self._closed = self._closed, []
        for connection in closed:
            self._connections.pop(connection.number, None)
            self._gate.leave(connection.number)
            link = self._roster.links.get(connection.info.name) if connection.info else None
            if link is not None:
                # Who left, and was too far behind to see it, must be able to learn it.
                link.humble = connection.why is Bye.WRONG_ROLE and link.info.role == MEMBER
            if connection.fault is not None:
                self._on_fault(connection, connection.fault, link)
            if link is not None and link.connection is connection:
                self._down(link, None)
            if connection.failure is not None:
                self._fail(connection.failure)

    def _on_fault(self, connection: Connection, fault: Fault, link: Link | None) -> None:
        if link is not None:
            self._offend(link, fault)
            return
        self.counters[f"fault: {fault.name}"] += 1
        whom = connection.dialled.name if connection.dialled else connection.address
        _log.warning("%s ended: %s (%s)", whom, fault.name, fault.detail)
        if connection.dialled is None:
            self._gate.offend(connection.address, self.now())

    def _offend(self, link: Link, fault: Fault) -> None:
        self.counters[f"fault: {fault.name}"] += 1
        link.offences += 1
        ban_s = self._bans.offend(link.info.name, self.now())
        _log.warning(
            "peer %s banned for %.0f s: %s (%s)", link.info.name, ban_s, fault.name, fault.detail
        )

    def _down(self, link: Link, why: Bye | None) -> None:
        """Part from the link's connection, if it has one, and tell the node."""
        connection, link.connection = link.connection, None
        link.absent.set()
        if connection is not None:
            connection.end(why)
            said = connection.why.name.lower() if connection.why else "lost"
            _log.info("peer %s disconnected: %s", link.info.name, said)
            self._on_peer(link.info.name, False)

    def _admit(self, address: str) -> Connection | None:
        """The protocol for a new inbound connection, if the gate lets it in."""
        number = next(self._numbers)
        admitted, evicted = self._gate.admit(number, address, self.now())
        if evicted is not None:
            self.counters["evicted"] += 1
            self._connections[evicted].drop()
        if not admitted:
            self.counters["turned away"] += 1
            return None
        connection = Connection(self, self._roster.contexts.server, number=number, dialled=None)
        self._connections[number] = connection
        return connection

    def _dial(self, info: PeerInfo) -> Connection:
        """The protocol for a connection that we are about to make."""
        number = next(self._numbers)
        connection = Connection(self, self._roster.contexts.client, number=number, dialled=info)
        self._connections[number] = connection
        return connection

    def _start_calling(self, link: Link) -> None:
        """Call the peer whenever it is absent, if it is a member that can be called."""
        if self._running and link.info.role == MEMBER and link.info.host and link.info.port:
            link.dialler = self._spawn(self._dialler.keep_calling(link))

    def _reserve(self) -> None:
        links = self._roster.links.values()
        self._gate.reserve(a for link in links if link.info.role == MEMBER for a in link.addresses)

    def _may_say(self, channel: Channel) -> bool:
        return channel is not Channel.CONSENSUS or self._role == MEMBER

    def _resume(self, connection: Connection) -> None:
        self._resumed.append(connection)
        self._wake.set()

    def _on_exhausted(self) -> None:
        self.counters["out of descriptors"] += 1
        _log.error("out of file descriptors: no new peer can be accepted")

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._fail(failure)

    def _fail(self, failure: BaseException) -> None:
        """Say it once; the node stops."""
        on_failure, self._on_failure = self._on_failure, None
        if on_failure is not None:
            on_failure(failure)
