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
from mgsnode.demo.expected import expect
from mgsnode.demo.story import Story

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


async def read_said(client: Client, story: Story) -> dict[str, Any]:
    """What the chain itself says of the shop, its money, distributors, reviews and goods."""
    stage = story.stage
    calls = {
        "shop": ("shop_get", {"shop": stage.shop}),
        "supply": ("dollar_supply", {}),
        "partners": ("partner_list", {"shop": stage.shop}),
        "rating": ("rating_get", {"shop": stage.shop}),
        "demand": ("demand_get", {"demand": stage.demand}),
        "batch": ("batch_get", {"batch": stage.batch}),
        "trace": ("batch_trace", story.traced),
    }
    answers = await client.batch(list(calls.values()))
    for answer in answers:
        if isinstance(answer, RpcFailure):
            raise answer
    return dict(zip(calls, answers, strict=True))


def differences(story: Story, said: dict[str, Any], genesis_dollars: int) -> list[str]:
    """Where the chain's own figures are not those of the files; empty if all agree."""
    rows = [*_of_money(story, said, genesis_dollars), *_of_others(story, said)]
    return [
        f"{name}: the chain says {found}, the files {wanted}"
        for name, found, wanted in rows
        if found != wanted
    ]


_Row = tuple[str, Any, Any]


def _of_money(story: Story, said: dict[str, Any], genesis_dollars: int) -> list[_Row]:
    trade, shop, supply = story.stage.trade, said["shop"], said["supply"]
    issued, burned = genesis_dollars + story.stage.issued, story.ending.redeemed
    positions = sum(int(each) for each in supply["positions"].values())
    return [
        ("orders", shop["orders"], len(trade.orders)),
        ("orders completed", shop["completed"], len(trade.orders)),
        ("orders final", shop["final"], len(trade.orders)),
        ("orders cancelled", shop["cancelled"], 0),
        ("gross", int(shop["paid"]), trade.gross),
        ("refunded", int(shop["refunded"]), trade.refunded),
        ("issued", int(supply["issued"]), issued),
        ("redeemed", int(supply["burned"]), burned),
        ("supply", int(supply["supply"]), issued - burned),
        ("locked", int(supply["locked"]), 0),
        ("escrowed", int(supply["escrowed"]), 0),
        ("positions", positions, int(supply["supply"])),
        (
            "obligations settled",
            [d.status for d in story.ending.debts if d.status != "settled"],
            [],
        ),
    ]


def _of_others(story: Story, said: dict[str, Any]) -> list[_Row]:
    stage, ending = story.stage, story.ending
    expected = expect(stage.trade, stage.script)
    commissions = {
        each["distributor"]: int(each["accrued"]) - int(each["reversed"])
        for each in said["partners"]["items"]
    }
    rows: list[_Row] = [
        (f"commission of {name}", commissions[address], expected.commissions.get(name, 0))
        for name, address in story.distributors.items()
    ]
    wanted, lot, batch = stage.script.wanted, stage.script.lot, said["batch"]
    rows += [
        ("reviews", tuple(said["rating"]["stars"]), expected.stars),
        ("demand fulfilled", said["demand"]["fulfilled"], wanted.units),
        ("demand open", said["demand"]["open"] + said["demand"]["pledged"], 0),
        ("units of the lot shipped", (batch["shipped"], batch["held"]), (lot.units, 0)),
        ("origin of the lot", [each["product"] for each in said["trace"]["items"]], [lot.sku] * 2),
    ]
    slack = ending.rewarded  # each is rounded once
    for role, (least, most) in expected.rewards.items():
        found = ending.rewards_by[role]
        least = 0 if ending.cut else least
        if not least - slack <= found <= most + slack:
            rows.append((f"reward as {role}", found, f"{least} to {most}"))
    return rows
