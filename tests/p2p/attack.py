"""Attackers with real sockets: plain TCP, strangers with TLS, and members who misbehave."""

from __future__ import annotations

import asyncio
import ssl

from p2p.frames import MEMBER_CHANNELS, Channel, FrameDecoder, encode_frame
from p2p.hello import MEMBER, WIRE_VERSION, Control, Hello, encode_hello, open_control
from p2p.tls import make_certificate, make_contexts
from tests.p2p.conftest import GENESIS, Node, certificate_of, seed_of


class Insider:
    """The far end of a node's connection, under the attacker's full control."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = FrameDecoder(MEMBER_CHANNELS)
        self.frames: list[tuple[int, bytes]] = []

    def say(self, channel: int, payload: bytes) -> None:
        """One frame."""
        self.writer.write(encode_frame(channel, payload))

    async def hear(self) -> bool:
        """Read once; False at the end of the connection."""
        try:
            data = await self.reader.read(65_536)
        except OSError:
            return False
        self.frames += self._decoder.feed(data)
        return bool(data)

    async def is_closed(self, seconds: float = 3.0) -> bool:
        """Whether the node ends the connection in time."""
        try:
            async with asyncio.timeout(seconds):
                while await self.hear():
                    pass
        except TimeoutError:
            return False
        return True

    def controls(self) -> list[Control]:
        """The control words heard so far."""
        return [open_control(p) for channel, p in self.frames if channel == Channel.CONTROL]

    def close(self) -> None:
        """Cut the line."""
        self.writer.transport.abort()


async def connect(node: Node, name: str, *, seed: bytes | None = None) -> Insider:
    """TLS to `node` as `name`, with `name`'s own key unless `seed` is another's; no hello yet."""
    key = seed_of(name) if seed is None else seed
    certificate = make_certificate(name, key)
    context = make_contexts(certificate, key, [certificate_of(node.name)]).client
    return Insider(
        *await asyncio.open_connection(
            "127.0.0.1", node.switch.port, ssl=context, server_hostname=""
        )
    )


def hello_of(whom: str, /, **changes: object) -> bytes:
    """A good hello of `whom`, or one with a lie in it."""
    hello = Hello(WIRE_VERSION, GENESIS, whom, MEMBER, 1, False)
    return encode_hello(hello._replace(**changes))  # type: ignore[arg-type]


async def join(node: Node, name: str) -> Insider:
    """A full member's connection, hello said and heard."""
    insider = await connect(node, name)
    insider.say(Channel.CONTROL, hello_of(name))
    while not insider.frames:
        assert await insider.hear(), "the node refused us"
    return insider


async def raw(
    node: Node, data: bytes = b"", *, source: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Plain TCP to `node` from a loopback address, with `data` sent."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", node.switch.port, local_addr=(source, 0)
    )
    writer.write(data)
    return reader, writer


async def ends(reader: asyncio.StreamReader, seconds: float = 3.0) -> bool:
    """Whether the other end closes in time."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(65_536):
                pass
    except TimeoutError:
        return False
    except (OSError, ssl.SSLError):
        pass
    return True
