"""The process of one node: until a signal ends it, on one home, with one event loop.

First it fetches a snapshot, if that was asked for; then it runs a node, and another one after it
where the chain has come to name our next vote key. What ends a node otherwise ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

from mgsnode.begin import begin_from_snapshot
from mgsnode.config import Settings
from mgsnode.home import NodeKeys
from mgsnode.node import Node


async def run(home: Path, settings: Settings, keys: NodeKeys) -> None:
    """Runs the node of `home` until SIGTERM or SIGINT. Raises what ended it otherwise.

    `MgsError`s are for the operator (their exit codes are the command line's business); anything
    else is a bug or a broken machine.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.store.from_snapshot and not await begin_from_snapshot(home, settings, keys, stop):
        return
    while not stop.is_set():  # again where the chain has come to name our next vote key
        node = Node(home, settings, keys)
        try:
            await node.start()
            calm_collector()
            await node.wait(stop)
        finally:
            await node.stop()


def calm_collector() -> None:
    """What lives as long as the node is not looked at again, and young garbage less often.

    Records and blocks have no cycles; the collector's walks over them cost 20 us a transaction.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 10, 20)
