"""For who wants to know where goods come from: batches, and the way of an item to its origin."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.lists import read_page
from rpc.present import certificate_json, header_json
from rpc.read import certificate_at
from rpc.results import (
    BOOL,
    CERTIFICATE,
    HASH,
    HEADER,
    HEIGHT,
    HEX,
    INT,
    TEXT,
    TIME_MS,
    array,
    nullable,
    obj,
    page,
)
from rpc.schema import Count, Hash32, ListParams, Params
from state.proof import proof_json
from state.table import Table
from state.tx.batches import BATCH, OF_SHOP, ORIGIN, PASSED_ON, Batch
from state.tx.orders import LINES, ORDER
from state.view import View


class _BatchParams(Params):
    batch: Hash32


class _BatchesParams(ListParams):
    shop: Hash32 | None = None
    parent: Hash32 | None = None
    positions: ClassVar[tuple[str, ...]] = ("shop", "cursor", "limit")


class _TraceParams(Params):
    order: Hash32 | None = None
    line: Count | None = None
    batch: Hash32 | None = None
    proof: bool = False


def _batch_json(view: View, batch_id: bytes) -> dict[str, object]:
    batch = _batch(view, batch_id)
    origin = view.reader.get(ORIGIN, batch.root)
    assert origin is not None, "what was registered has an origin"
    return {
        "batch": batch_id.hex(),
        "root": batch.root.hex(),
        "parent": batch.parent[0].hex() if batch.parent else None,
        "shop": batch.shop.hex(),
        "depth": batch.depth,
        "product": origin.product,
        "origin": origin.origin,
        "certificate": origin.certificate.hex(),
        "quantity": batch.quantity,
        "held": batch.held,
        "reserved": batch.reserved,
        "shipped": batch.shipped,
        "passed": batch.passed,
        "marks": batch.marks,
        "since_ms": batch.since_ms,
    }


def _batch(view: View, batch_id: bytes) -> Batch:
    batch = view.reader.get(BATCH, batch_id)
    if batch is None:
        raise not_found("batch")
    return batch


async def _get(ctx: Context, params: _BatchParams) -> object:
    with ctx.api.view() as view:
        return {"height": view.height, **_batch_json(view, params.batch)}


async def _list(ctx: Context, params: _BatchesParams) -> object:
    if (params.shop is None) == (params.parent is None):
        raise invalid_params("one of shop and parent")
    number, owner = (OF_SHOP, params.shop or b"")
    if params.parent is not None:
        number, owner = PASSED_ON, params.parent
    return await read_page(ctx.api, number, owner, params, _batch_json)


async def _trace(ctx: Context, params: _TraceParams) -> object:
    """From the line, or the batch, to the origin: at most `goods.DEPTH_MAX` steps."""
    with ctx.api.view() as view:
        batch_id, rows = _start(view, params)
        items = []
        is_marked = False
        above: tuple[bytes, ...] = (batch_id,)
        while above:
            batch_id = above[0]
            batch = _batch(view, batch_id)
            items.append(_batch_json(view, batch_id))
            rows.append((BATCH, batch_id))
            is_marked |= batch.marks > 0
            above = batch.parent
        rows.append((ORIGIN, batch_id))
        answer: dict[str, object] = {"height": view.height, "items": items, "marked": is_marked}
        if params.proof:
            answer["proof"] = _proof(view, rows)
        return answer


def _start(view: View, params: _TraceParams) -> tuple[bytes, list[tuple[Table[bytes, Any], bytes]]]:
    """(batch, rows that lead to it) of an order's line, or the batch that is asked for."""
    if params.batch is not None and params.order is None and params.line is None:
        return params.batch, []
    if params.batch is not None or params.order is None or params.line is None:
        raise invalid_params("either order and line, or batch")
    lines = view.order_lines(params.order)
    if params.line >= len(lines):
        raise not_found("line")
    batch = lines[params.line].line.batch
    if not batch:
        raise not_found("batch")
    return batch[0], [(ORDER, params.order), (LINES, params.order)]


def _proof(view: View, rows: list[tuple[Table[bytes, Any], bytes]]) -> dict[str, object]:
    """Each row with its path to one certified state root."""
    proven = []
    for table, key in rows:
        state_key, row, proof = view.prove(table, key)
        assert row is not None, "it has just been read"
        proven.append({"key": state_key.hex(), "value": row.hex(), **proof_json(proof)})
    certificate, members = certificate_at(view, view.height)
    return {
        "rows": proven,
        "header": header_json(view.header),
        "certificate": certificate_json(certificate, members),
    }


_BATCH: Final[dict[str, Any]] = {
    "batch": HASH, "root": HASH, "parent": nullable(HASH), "shop": HASH, "depth": INT,
    "product": TEXT, "origin": TEXT, "certificate": HASH, "quantity": INT, "held": INT,
    "reserved": INT, "shipped": INT, "passed": INT, "marks": INT, "since_ms": TIME_MS,
}  # fmt: skip
_TRACE_PROOF: Final = obj(
    rows=array(obj(key=HEX, value=HEX, nodes=array(HEX), bucket=HEX)),
    header=HEADER, certificate=nullable(CERTIFICATE),
)  # fmt: skip

METHODS: Final = (
    Method(
        name="batch_get",
        summary="A batch: where it is from, who holds it, what became of its units.",
        params=_BatchParams,
        result=obj(height=HEIGHT, **_BATCH),
        run=_get,
    ),
    Method(
        name="batch_list",
        summary="The batches of a shop, or what was passed on out of a batch, oldest first.",
        params=_BatchesParams,
        result=page(obj(**_BATCH)),
        run=_list,
        cost=10,
    ),
    Method(
        name="batch_trace",
        summary="From an order's line (or a batch) to the origin; with `proof`, row by row.",
        params=_TraceParams,
        result=obj(
            "proof", height=HEIGHT, items=array(obj(**_BATCH)), marked=BOOL, proof=_TRACE_PROOF
        ),
        run=_trace,
        cost=10,
    ),
)
