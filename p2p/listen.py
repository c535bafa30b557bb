"""The listening socket and its loop: every connection passes the gate before any TLS work."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial

from mgsnode.base.errors import ConfigError

_PAUSE_S = 0.2  # when the process or the system is out of descriptors
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BACKLOG = 256  # a flood must fill it faster than the loop empties it


def listening_socket(host: str, port: int) -> socket.socket:
    """A non-blocking listening socket; port 0 takes a free one. Raises `ConfigError`."""
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError, OverflowError) as refused:
        why = getattr(refused, "strerror", None) or "no such address"
        raise ConfigError(f"cannot listen for peers on {host}:{port}: {why}") from refused
    listening.setblocking(False)
    return listening


async def accept_all(
    listening: socket.socket,
    admit: Callable[[str], asyncio.Protocol | None],
    on_exhausted: Callable[[], None],
) -> None:
    """Accept for ever. `admit` answers the protocol for a connection from an IP, or None.

    Running out of descriptors pauses accepting; any other error of the listening socket is ours
    and ends the loop.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            accepted, address = await loop.sock_accept(listening)
        except ConnectionAbortedError:
            continue
        except OSError as failed:
            if failed.errno not in _EXHAUSTED:
                raise
            on_exhausted()
            await asyncio.sleep(_PAUSE_S)
            continue
        protocol = admit(str(address[0]))
        if protocol is None:
            accepted.close()
        else:
            await loop.connect_accepted_socket(partial(_same, protocol), accepted)


def _same(protocol: asyncio.Protocol) -> asyncio.Protocol:
    return protocol
