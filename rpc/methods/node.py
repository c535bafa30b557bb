"""For operators: this node, its peers, its health, and what it can be asked."""

from __future__ import annotations

from typing import Final

from rpc.dispatch import Context, Method
from rpc.openrpc import openrpc_bytes
from rpc.results import ANY, BOOL, HASH, HEIGHT, INT, TEXT, TIME_MS, array, enum, nullable, obj
from rpc.schema import NoParams


async def _status(ctx: Context, _params: NoParams) -> object:
    return ctx.api.status()._asdict()


async def _peers(ctx: Context, _params: NoParams) -> object:
    items = [peer._asdict() for peer in ctx.api.peers()]
    return {"height": ctx.api.status().height, "items": items}


async def _health(ctx: Context, _params: NoParams) -> object:
    checks = [check._asdict() for check in ctx.api.health()]
    why = ctx.api.ready()
    return {
        "height": ctx.api.status().height,
        "ok": why is None and all(check["ok"] for check in checks),
        "ready": why is None,
        "why": why,
        "checks": checks,
    }


async def _discover(ctx: Context, _params: NoParams) -> object:
    return openrpc_bytes(tuple(ctx.methods.values()))


METHODS: Final = (
    Method(
        name="node_status",
        summary="What this node is and where it stands.",
        params=NoParams,
        result=obj(
            chain=HASH, chain_id=TEXT, protocol=INT, version=TEXT, node_id=TEXT, gateway=TEXT,
            role=enum("validator", "observer"), height=HEIGHT, block_hash=HASH,
            block_time_ms=TIME_MS, state_root=HASH, era=INT, view=INT, primary=TEXT,
            syncing=BOOL, peers=INT, mempool_txs=INT, mempool_bytes=INT, uptime_s=INT,
            target=INT, since=INT,
        ),
        run=_status,
    ),
    Method(
        name="node_peers",
        summary="The members and observers this node knows, connected or not.",
        params=NoParams,
        result=obj(
            height=HEIGHT,
            items=array(
                obj(
                    name=TEXT, role=TEXT, address=TEXT, connected=BOOL, inbound=BOOL,
                    height=INT, round_trip_ms=INT, sent_bytes=INT, received_bytes=INT,
                )
            ),
        ),
        run=_peers,
    ),
    Method(
        name="node_health",
        summary="Whether this node is well, and what it watches about itself.",
        params=NoParams,
        result=obj(
            height=HEIGHT, ok=BOOL, ready=BOOL, why=nullable(TEXT),
            checks=array(obj(name=TEXT, ok=BOOL, detail=TEXT)),
        ),
        run=_health,
    ),
    Method(
        name="rpc.discover",
        summary="This document (OpenRPC).",
        params=NoParams,
        result=ANY,
        run=_discover,
        cost=20,
    ),
)  # fmt: skip
