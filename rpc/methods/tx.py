"""For wallets: make, send and follow a transaction."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from pydantic import Field, WithJsonSchema

from mgsnode.base.codec import encode
from mgsnode.base.errors import MgsError
from mgsnode.base.hashing import list_path, signed_hash_of, txid_of
from mgsnode.base.limits import TX_BYTES_MAX
from mgsnode.base.transaction import open_transaction, seal, tx_statement
from rpc.api import Submission
from rpc.compile import TxParam, compile_draft, compile_signed, stand_ins
from rpc.dispatch import Context, Method
from rpc.errors import RpcError, from_mgs, invalid_params, limit, not_found
from rpc.limits import BATCH_RAW_MAX, WAIT_MS_MAX
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
from rpc.schema import Hash32, NoParams, Params, RawTx, open_hex
from state import chain
from state.tx.accounts import next_nonce
from state.view import View


class _TxParams(Params):
    tx: TxParam


class _SubmitParams(Params):
    tx: TxParam | None = None
    wait: Literal["accepted", "committed"] = "accepted"
    timeout_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    raw: RawTx | None = None
    positions: ClassVar[tuple[str, ...]] = ("tx", "wait", "timeout_ms")


class _BatchParams(Params):
    # Each is judged alone: a bad one is an item's error, not the call's.
    raw: Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"type": "string"}})]


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


async def _submit(ctx: Context, params: _SubmitParams) -> object:
    if (params.tx is None) == (params.raw is None):
        raise invalid_params("one of tx and raw")
    raw = params.raw
    if raw is None:
        assert params.tx is not None
        raw = compile_signed(params.tx, ctx.api)
    submission = await ctx.api.submit(raw)
    if params.wait == "committed" and submission.status == "pending":
        wait_ms = min(params.timeout_ms, WAIT_MS_MAX, ctx.left_ms())
        if await ctx.api.wait_committed(submission.txid, wait_ms):
            submission = _fate(ctx, submission)
    return _submission_json(submission)


def _fate(ctx: Context, submission: Submission) -> Submission:
    """What a block made of it."""
    with ctx.api.view() as view:
        place = chain.read_place(view.rows, submission.txid)
        if place is None:
            return submission
        code = chain.read_receipt(view.rows, place).code
    name = ctx.api.registry.refusal_name(code)
    status: Literal["refused", "committed"] = "refused" if code else "committed"
    return Submission(submission.txid, status, place.height, code, name)


def _submission_json(submission: Submission) -> dict[str, object]:
    txid, status, height, code, reason = submission
    if status == "pending":
        return {"txid": txid.hex(), "status": status}
    if status == "committed":
        return {"txid": txid.hex(), "status": status, "height": height}
    return {
        "txid": txid.hex(), "status": status, "height": height, "code": code, "reason": reason,
    }  # fmt: skip


async def _submit_batch(ctx: Context, params: _BatchParams) -> object:
    """The hot path of the whole door: per transaction one hex decoding and one short item."""
    if len(params.raw) > BATCH_RAW_MAX:
        raise limit("BATCH_TOO_LONG", highest=BATCH_RAW_MAX)
    raws: list[bytes] = []
    bad: list[int] = []
    for index, text in enumerate(params.raw):
        try:
            raws.append(open_hex(text, lowest=1, highest=TX_BYTES_MAX))
        except ValueError:
            bad.append(index)
    answers = await ctx.api.submit_many(raws)
    items = [
        b'{"txid":"%b","status":"pending"}' % answer.txid.hex().encode()
        if type(answer) is Submission and answer.status == "pending"
        else _item(answer)
        for answer in answers
    ]
    for index in bad:  # rising, so each lands at its own place
        items.insert(index, _item(invalid_params("must be lower-case hex digits", field="raw")))
    return b'{"items":[%b]}' % b",".join(items)


def _item(answer: Submission | MgsError | RpcError) -> bytes:
    if isinstance(answer, Submission):
        return orjson.dumps(_submission_json(answer))
    error = answer if isinstance(answer, RpcError) else from_mgs(answer)
    return orjson.dumps({"error": error.as_json()})


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


_SUBMITTED: Final = obj(
    "height code reason",
    txid=HASH, status=enum("pending", "committed", "refused"), height=INT, code=INT, reason=TEXT,
)  # fmt: skip
_ERROR: Final = obj(error=obj(code={"type": "integer"}, message=TEXT, data=ANY))

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
        name="tx_submit",
        summary="Hand in a signed transaction; the same one again is no error.",
        params=_SubmitParams,
        result=_SUBMITTED,
        run=_submit,
    ),
    Method(
        name="tx_submit_batch",
        summary="Hand in many signed transactions; each is answered alone, in order.",
        params=_BatchParams,
        result=obj(items=array({"anyOf": [_SUBMITTED, _ERROR]})),
        run=_submit_batch,
        cost=lambda params: max(1, len(params.raw)),
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
