"""From a transaction in JSON to its body, so that a wallet needs only Ed25519.

It must not know any kind: names and types of fields are the registry's. What it makes is opened
again like a stranger's bytes, so it can never hand on something that is no transaction.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from mgsnode.base.codec import Value, encode
from mgsnode.base.errors import Rejected
from mgsnode.base.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from mgsnode.base.limits import INT_MAX, LANE_MAX, TX_LIFETIME_MS_MAX, TX_SIGNATURES_MAX
from mgsnode.base.transaction import UNKNOWN_KIND, Body, open_body, seal
from rpc import errors
from rpc.api import Api
from rpc.schema import MISSING, Address, Amount, Count, Name, Params, PublicKey, Signature
from state.registry import Kind
from state.view import View

FEE_MARGIN = 2  # a default fee_max bears a doubling of the fee


class SignatureParam(Params):
    """One signature of a transaction."""

    public_key: PublicKey
    signature: Signature


class TxParam(Params):
    """A transaction in JSON."""

    kind: Name
    sender: Address
    nonce: Count | None = None
    lane: Annotated[int, Field(ge=0, le=LANE_MAX)] = 0
    valid_until: Count | None = None
    fee_max: Amount | None = None
    payer: Address | None = None
    fields: Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
    signatures: Annotated[list[SignatureParam], Field(max_length=TX_SIGNATURES_MAX)] | None = None


def compile_signed(tx: TxParam, api: Api) -> bytes:
    """The raw bytes of a signed transaction; -32602 where something that was signed is missing."""
    for name in ("nonce", "valid_until", "fee_max", "signatures"):
        if getattr(tx, name) is None:
            raise errors.invalid_params(MISSING, field=f"tx.{name}")
    body = _body(tx, api, nonce=tx.nonce or 0, valid_until=tx.valid_until or 0)
    body_bytes = encode(body._replace(fee_max=tx.fee_max or 0))
    open_body(body_bytes)
    return seal(body_bytes, [(one.public_key, one.signature) for one in tx.signatures or ()])


def compile_draft(tx: TxParam, api: Api, view: View, *, nonce: int) -> Body:
    """The body of a transaction to be signed, with every default filled in.

    `nonce` is the one to take where none is given.
    """
    until = view.header.timestamp_ms + TX_LIFETIME_MS_MAX
    body = _body(
        tx,
        api,
        nonce=nonce if tx.nonce is None else tx.nonce,
        valid_until=until if tx.valid_until is None else tx.valid_until,
    )
    fee_max = tx.fee_max
    if fee_max is None:
        size = len(seal(encode(body._replace(fee_max=INT_MAX)), stand_ins(body, view)))
        fee_max = min(FEE_MARGIN * view.fee(body.kind, size), INT_MAX)
    body = body._replace(fee_max=fee_max)
    open_body(encode(body))
    return body


def _body(tx: TxParam, api: Api, *, nonce: int, valid_until: int) -> Body:
    kind = api.registry.kinds.get(tx.kind)
    if kind is None:
        raise Rejected(UNKNOWN_KIND)
    return Body(
        chain=api.genesis_hash,
        sender=tx.sender,
        lane=tx.lane,
        nonce=nonce,
        valid_until=valid_until,
        fee_max=0,
        payer=tx.payer or b"",
        kind=tx.kind,
        fields=_fields(kind, tx.fields, api.hrp),
    )


def _fields(kind: Kind, given: dict[str, Any], hrp: str) -> tuple[Value, ...]:
    """The wire values of a kind's fields; a refusal names the field, `fields` for all of them."""
    try:
        return tuple(kind.fields.from_json(given, hrp))  # type: ignore[arg-type]
    except Rejected as refusal:
        facts = {**refusal.facts, "field": refusal.facts.get("field") or "fields"}
        raise Rejected((refusal.code, refusal.name), **facts) from None


def stand_ins(body: Body, view: View) -> list[tuple[bytes, bytes]]:
    """As many distinct (key, signature) pairs as the transaction will have to carry."""
    kind = view.registry.kinds[body.kind]
    needed = [body.sender, *([body.payer] if body.payer else [])]
    if kind.cosigners is not None:
        needed += kind.cosigners(view.reader, body.fields)
    count = sum(view.account(address).threshold for address in dict.fromkeys(needed))
    if kind.cosigning_keys is not None:
        count += len(kind.cosigning_keys(view.reader, body.sender, body.fields))
    count = min(count, TX_SIGNATURES_MAX)
    return [(bytes([i]) * PUBLIC_KEY_BYTES, bytes(SIGNATURE_BYTES)) for i in range(count)]
