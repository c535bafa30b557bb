"""What came out, against what the file says and against each other node. Nothing is assumed.

The chain's own figures are asked over JSON-RPC; each sentence that comes back is a failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mgsnode.client import Client, RpcFailure
from mgsnode.demo.courier import Failed
from mgsnode.demo.replay import Replay
from mgsnode.trade import Trade

_SAME_S: Final = 60.0
_ASK_S: Final = 0.1
_BATCH: Final = 200  # blocks asked for at once


class Agreed(NamedTuple):
    """What all nodes said of the chain, by height from 0."""

    hashes: list[str]
    roots: list[str]

    @property
    def height(self) -> int:
        """The last height that was compared."""
        return len(self.hashes) - 1


async def compare_nodes(clients: Sequence[Client]) -> Agreed:
    """The block hash and state root at each height, the same on all nodes; else `Failed`."""
    deadline = time.monotonic() + _SAME_S
    while True:
        heads = await asyncio.gather(*(client.call("chain_head") for client in clients))
        if len({head["hash"] for head in heads}) == 1:
            break
        if time.monotonic() > deadline:
            heights = ", ".join(str(head["height"]) for head in heads)
            raise Failed(f"the nodes did not reach one height within a minute: {heights}")
        await asyncio.sleep(_ASK_S)
    height = int(heads[0]["height"])
    chains = await asyncio.gather(*(_chain_of(client, height) for client in clients))
    for at, named in enumerate(zip(*chains, strict=True)):
        if len(set(named)) != 1:
            raise Failed(f"height {at}: the nodes hold different blocks")
    return Agreed([name for name, _ in chains[0]], [root for _, root in chains[0]])


async def _chain_of(client: Client, height: int) -> list[tuple[str, str]]:
    """(block hash, state root) of each height."""
    found: list[tuple[str, str]] = []
    for start in range(0, height + 1, _BATCH):
        stop = min(start + _BATCH, height + 1)
        answers = await client.batch([("chain_block", {"height": h}) for h in range(start, stop)])
        for answer in answers:
            if isinstance(answer, RpcFailure):
                raise answer
            found.append((answer["hash"], answer["header"]["state_root"]))
    return found


def differences(
    trade: Trade, replay: Replay, shop: dict[str, Any], supply: dict[str, Any], genesis_dollars: int
) -> list[str]:
    """Where the chain's own figures are not those of the file; empty if all agree."""
    burned = replay.redeemed
    expected = [
        ("orders", shop["orders"], len(trade.orders)),
        ("orders completed", shop["completed"], len(trade.orders)),
        ("orders final", shop["final"], len(trade.orders)),
        ("orders cancelled", shop["cancelled"], 0),
        ("gross", int(shop["paid"]), trade.gross),
        ("refunded", int(shop["refunded"]), trade.refunded),
        ("issued", int(supply["issued"]), genesis_dollars + replay.issued),
        ("redeemed", int(supply["burned"]), burned),
        ("supply", int(supply["supply"]), genesis_dollars + replay.issued - burned),
        ("locked", int(supply["locked"]), 0),
        ("escrowed", int(supply["escrowed"]), 0),
        ("positions", sum(int(each) for each in supply["positions"].values()),
         int(supply["supply"])),
    ]  # fmt: skip
    return [
        f"{name}: the chain says {found}, the file {wanted}"
        for name, found, wanted in expected
        if found != wanted
    ]
