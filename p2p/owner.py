"""What a connection and its holder know of each other: the words between them, no behaviour."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from p2p.frames import Channel
from p2p.hello import MEMBER, Bye, Hello, Role
from p2p.limits import Limits

if TYPE_CHECKING:
    from p2p.peer import Connection


class PeerInfo(NamedTuple):
    """Someone who may talk to us. An empty `host` or port 0: they dial us."""

    name: str
    certificate_der: bytes
    host: str
    port: int
    role: Role = MEMBER


class Stage(Enum):
    """How far a connection has come."""

    SHAKING = "shaking"  # TLS handshake
    KNOWN = "known"  # certificate matched; hello awaited
    OPEN = "open"  # frames flow
    ENDED = "ended"


class Fault(NamedTuple):
    """The far end's offence: a short name for the counter, detail for the log."""

    name: str
    detail: str = ""


class Owner(Protocol):
    """What a connection asks of whoever holds it."""

    limits: Limits

    def now(self) -> float:
        """The event loop's clock, seconds."""

    def identify(self, connection: Connection, certificate: bytes) -> PeerInfo | None:
        """Whose certificate this is; None: nobody's that may be here."""

    def hello_for(self, name: str) -> Hello:
        """What we say first to `name`."""

    def on_hello(self, connection: Connection, hello: Hello) -> Bye | None:
        """Take the connection in (None), or say why not."""

    def deliver(self, name: str, channel: Channel, payload: bytes) -> None:
        """A frame has come from `name`. Synchronous and fast."""

    def want_flush(self, connection: Connection) -> None:
        """Call `flush` at the end of this turn of the loop."""

    def want_read(self, connection: Connection, delay_s: float) -> None:
        """Call `read_on` after `delay_s`."""

    def on_closed(self, connection: Connection) -> None:
        """It is over; `why`, `fault` and `failure` tell."""
