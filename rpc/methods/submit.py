"""For wallets: handing in signed transactions, one or many. Many is the hot path of the door."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from pydantic import Field, WithJsonSchema

from mgsnode.base.errors import MgsError
from mgsnode.base.limits import TX_BYTES_MAX
from rpc.api import Submission
from rpc.compile import TxParam, compile_signed
from rpc.dispatch import Context, Method
from rpc.errors import RpcError, from_mgs, invalid_params, limit
from rpc.limits import BATCH_RAW_MAX, WAIT_MS_MAX
from rpc.results import ANY, HASH, INT, TEXT, array, enum, obj
from rpc.schema import Params, RawTx, open_hex
from state import chain


class _SubmitParams(Params):
    tx: TxParam | None = None
    wait: Literal["accepted", "committed"] = "accepted"
    timeout_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    raw: RawTx | None = None
    positions: ClassVar[tuple[str, ...]] = ("tx", "wait", "timeout_ms")


class _BatchParams(Params):
    # Each is judged alone: a bad one is an item's error, not the call's.
    raw: Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"type": "string"}})]


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
        f'{{"txid":"{answer.txid.hex()}","status":"pending"}}'
        if type(answer) is Submission and answer.status == "pending"
        else _item(answer)
        for answer in answers
    ]
    for index in bad:  # rising, so each lands at its own place
        items.insert(index, _item(invalid_params("must be lower-case hex digits", field="raw")))
    return f'{{"items":[{",".join(items)}]}}'.encode()


def _item(answer: Submission | MgsError | RpcError) -> str:
    if isinstance(answer, Submission):
        return orjson.dumps(_submission_json(answer)).decode()
    error = answer if isinstance(answer, RpcError) else from_mgs(answer)
    return orjson.dumps({"error": error.as_json()}).decode()


_SUBMITTED: Final = obj(
    "height code reason",
    txid=HASH, status=enum("pending", "committed", "refused"), height=INT, code=INT, reason=TEXT,
)  # fmt: skip
_ERROR: Final = obj(error=obj(code={"type": "integer"}, message=TEXT, data=ANY))

METHODS: Final = (
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
)  # fmt: skip
