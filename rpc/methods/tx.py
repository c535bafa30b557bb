"""For wallets: make, send and follow a transaction."""

from __future__ import annotations

import asyncio
from typing import Final

from mgsnode.base.codec import encode
from mgsnode.base.hashing import list_path, signed_hash_of, txid_of
from mgsnode.base.transaction import open_transaction, seal, tx_statement
from rpc.compile import TxParam, compile_draft, stand_ins
from rpc.dispatch import Context, Method
from rpc.errors import not_found
from rpc.present import (
    body_json,
    certificate_json,
    header_json,
    path_json,
    receipt_json,
    tx_json,
)
from rpc.read import certificate_at, executed_at
from rpc.results import (
    AMOUNT,
    ANY,
    CERTIFICATE,
    EVENT,
    HASH,
    HEADER,
    HEIGHT,
    HEX,
    INT,
    PATH,
    RECEIPT,
    TEXT,
    TX,
    TX_BODY,
    array,
    enum,
    nullable,
    obj,
)
from rpc.schema import Hash32, NoParams, Params
from state import chain
from state.tx.accounts import next_nonce
from state.view import View


class _TxParams(Params):
    tx: TxParam


class _TxidParams(Params):
    txid: Hash32


class _GetParams(Params):
    txid: Hash32
    proof: bool = False


async def _kinds(ctx: Context, _params: NoParams) -> object:
    registry = ctx.api.registry
    with ctx.api.view() as view:
        params = view.params()
        return {
            "height": view.height,
            "fee_base": str(params["fee_base"].value),
            "fee_byte": str(params["fee_byte"].value),
            "items": [
                {
                    "kind": kind.name,
                    "family": family.name,
                    "doc": kind.doc,
                    "fields": kind.fields.json_schema(),
                    "fee_weight": params[registry.weight_param[kind.name]].value,
                }
                for family in registry.families
                for kind in family.kinds
            ],
            "events": [
                {"name": event.name, "doc": event.doc, "values": event.values.json_schema()}
                for event in registry.events.values()
            ],
            "refusals": [
                {"code": code, "reason": name} for code, name in sorted(registry.refusals.items())
            ],
        }


async def _encode(ctx: Context, params: _TxParams) -> object:
    api, tx = ctx.api, params.tx
    with api.view() as view:
        body = compile_draft(tx, api, view, nonce=api.next_nonce(tx.sender, tx.lane))
        body_bytes = encode(body)
        return {
            "height": view.height,
            "txid": txid_of(body_bytes).hex(),
            "signing_bytes": tx_statement(body.chain, body_bytes).hex(),
            "tx": body_json(body, api.registry, api.hrp),
        }


async def _status(ctx: Context, params: _TxidParams) -> object:
    with ctx.api.view() as view:
        place = chain.read_place(view.rows, params.txid)
        known = {"txid": params.txid.hex(), "head": view.height}
        if place is None:
            return {**known, "status": ctx.api.pending(params.txid)}
        receipt = receipt_json(chain.read_receipt(view.rows, place), ctx.api.registry, ctx.api.hrp)
    status = "refused" if receipt["code"] else "committed"
    return {**known, "status": status, "height": place.height, "index": place.number, **receipt}


async def _get(ctx: Context, params: _GetParams) -> object:
    return await asyncio.to_thread(_read_tx, ctx, params)


def _read_tx(ctx: Context, params: _GetParams) -> object:
    registry, hrp = ctx.api.registry, ctx.api.hrp
    with ctx.api.view() as view:
        found = chain.read_transaction(view.rows, params.txid)
        if found is None:
            raise not_found("transaction")
        place, raw, receipt = found
        answer: dict[str, object] = {
            "txid": params.txid.hex(),
            "head": view.height,
            "height": place.height,
            "index": place.number,
            "tx": tx_json(open_transaction(raw, ctx.api.genesis_hash), registry, hrp),
            "raw": raw.hex(),
            "receipt": receipt_json(receipt, registry, hrp),
        }
        if params.proof:
            answer["proof"] = _inclusion(view, place)
        return answer


def _inclusion(view: View, place: chain.Place) -> dict[str, object]:
    """Paths from the transaction and its receipt to the roots of a certified header."""
    height, index = place
    executed = executed_at(view, height)
    encoded = chain.read_receipts_encoded(view.rows, height)
    assert encoded is not None
    certificate, members = certificate_at(view, height)
    hashes = [signed_hash_of(raw) for raw in executed.block.txs]
    return {
        "signed_hash": hashes[index].hex(),
        "tx_path": path_json(list_path(hashes, index, tag=b"txs")),
        "receipt": encoded[index].hex(),
        "receipt_path": path_json(list_path(encoded, index, tag=b"receipts")),
        "header": header_json(executed.block.header),
        "certificate": certificate_json(certificate, members),
    }


async def _simulate(ctx: Context, params: _TxParams) -> object:
    api, tx = ctx.api, params.tx
    with api.view() as view:
        nonce = next_nonce(view.account(tx.sender), tx.lane)
        body = compile_draft(tx, api, view, nonce=nonce)
        raw = seal(encode(body), stand_ins(body, view))
        simulated = view.simulate(open_transaction(raw, api.genesis_hash), is_signed=False)
        refusal = simulated.refusal
        return {
            "height": view.height,
            "status": "refused" if simulated.receipt.code else "committed",
            **receipt_json(simulated.receipt, api.registry, api.hrp),
            "facts": refusal.facts if refusal else {},
        }


METHODS: Final = (
    Method(
        name="tx_kinds",
        summary="Every kind with its JSON schema and cost, every event, every refusal.",
        params=NoParams,
        result=obj(
            height=HEIGHT, fee_base=AMOUNT, fee_byte=AMOUNT,
            items=array(obj(kind=TEXT, family=TEXT, doc=TEXT, fields=ANY, fee_weight=INT)),
            events=array(obj(name=TEXT, doc=TEXT, values=ANY)),
            refusals=array(obj(code=INT, reason=TEXT)),
        ),
        run=_kinds,
        cost=20,
    ),
    Method(
        name="tx_encode",
        summary="What to sign for a transaction, with every default filled in.",
        params=_TxParams,
        result=obj(height=HEIGHT, txid=HASH, signing_bytes=HEX, tx=TX_BODY),
        run=_encode,
    ),
    Method(
        name="tx_status",
        summary="What became of a transaction, as far as this node knows.",
        params=_TxidParams,
        result=obj(
            "height index code reason fee events",
            txid=HASH, head=HEIGHT,
            status=enum("unknown", "pending", "committed", "refused", "expired"),
            height=INT, index=INT, code=INT, reason=TEXT, fee=AMOUNT, events=array(EVENT),
        ),
        run=_status,
    ),
    Method(
        name="tx_get",
        summary="A final transaction; with `proof`, paths to the roots of its certified header.",
        params=_GetParams,
        result=obj(
            "proof",
            txid=HASH, head=HEIGHT, height=INT, index=INT, tx=TX, raw=HEX, receipt=RECEIPT,
            proof=obj(
                signed_hash=HASH, tx_path=PATH, receipt=HEX, receipt_path=PATH, header=HEADER,
                certificate=nullable(CERTIFICATE),
            ),
        ),
        run=_get,
        cost=5,
    ),
    Method(
        name="tx_simulate",
        summary="What a transaction would do in the next block, as if it were signed.",
        params=_TxParams,
        result=obj(
            height=HEIGHT, status=enum("committed", "refused"), txid=HASH, code=INT, reason=TEXT,
            fee=AMOUNT, events=array(EVENT), facts=ANY,
        ),
        run=_simulate,
        cost=5,
    ),
)  # fmt: skip
