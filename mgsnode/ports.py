"""Which TCP ports of this machine are free, for networks that live on one machine."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from mgsnode.base.errors import ConfigError

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 10_000, 32_000  # below what systems give to outgoing connections


def free_base_port(count: int) -> int:
    """The first of `count` neighbouring free TCP ports of this machine.

    Where the search begins follows from the process id, so that neighbours do not collide.
    """
    span = _HIGHEST - _LOWEST - count
    start = os.getpid() * 131 % span
    for step in range(0, span, count):
        base = _LOWEST + (start + step) % span
        if not busy_ports(base, count):
            return base
    raise ConfigError(f"no {count} neighbouring ports are free")


def busy_ports(base: int, count: int) -> list[int]:
    """Those of the `count` ports from `base` that something else listens on."""

    async def probe() -> list[int]:
        busy: list[int] = []
        servers: list[asyncio.Server] = []
        for port in range(base, base + count):
            try:
                servers.append(await asyncio.start_server(_nobody, HOST, port))
            except OSError:
                busy.append(port)
        for server in servers:
            server.close()
        return busy

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, probe()).result()


async def _nobody(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
