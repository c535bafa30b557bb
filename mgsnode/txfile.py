"""A transaction on its way from who builds it to who signs it to who sends it: one JSON object.

`{hrp, txid, body, tx, signatures [{public_key, signature}]}`. `body` (canonical bytes in hex) is
what counts; `txid` and `tx` are for people and are made from it again at each step, so that
whoever signs sees what the bytes say and not what the file says about them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mgsnode.base.address import HRP_MAIN, HRP_TEST, address_text, parse_address
from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import INT_MAX, LANE_MAX
from mgsnode.base.transaction import (
    UNKNOWN_KIND,
    Body,
    open_body,
    open_transaction,
    seal,
    tx_statement,
)
from mgsnode.client import Unsigned, open_unsigned
from state.registry import standard_registry

Pair = tuple[bytes, bytes]


def make_unsigned(
    *,
    chain: bytes,
    kind: str,
    fields: Mapping[str, Any],
    sender: str,
    hrp: str,
    nonce: int,
    valid_until: int,
    fee_max: int,
    lane: int = 0,
    payer: str = "",
) -> Unsigned:
    """A transaction from its parts, without any node. `Malformed` or `Rejected(BAD_FIELD)`."""
    known = standard_registry().kinds.get(kind)
    if known is None:
        raise Rejected(UNKNOWN_KIND, kind=kind)
    for name, value, highest in (
        ("nonce", nonce, INT_MAX - 1),
        ("valid_until", valid_until, INT_MAX),
        ("fee_max", fee_max, INT_MAX),
        ("lane", lane, LANE_MAX),
    ):
        if not 0 <= value <= highest:
            raise Malformed(f"{name} is from 0 to {highest}")
    values = known.fields.from_json(dict(fields), hrp)
    assert isinstance(values, tuple)  # a Struct's wire form
    body = Body(
        chain=chain,
        sender=parse_address(sender, hrp),
        lane=lane,
        nonce=nonce,
        valid_until=valid_until,
        fee_max=fee_max,
        payer=parse_address(payer, hrp) if payer else b"",
        kind=kind,
        fields=values,
    )
    return open_unsigned(encode(body), hrp)


def body_json(body: Body, hrp: str) -> dict[str, Any]:
    """What a body says, as `tx_encode` takes it; `Rejected` where its kind is not known."""
    known = standard_registry().kinds.get(body.kind)
    if known is None:
        raise Rejected(UNKNOWN_KIND, kind=body.kind)
    known.fields.check(body.fields)
    tx = {
        "kind": body.kind,
        "sender": address_text(body.sender, hrp),
        "lane": body.lane,
        "nonce": body.nonce,
        "valid_until": body.valid_until,
        "fee_max": str(body.fee_max),
    }
    if body.payer:
        tx["payer"] = address_text(body.payer, hrp)
    return {**tx, "fields": known.fields.to_json(body.fields, hrp)}


def tx_document(unsigned: Unsigned, signatures: Sequence[Pair] = ()) -> dict[str, Any]:
    """The JSON object of a transaction with the signatures it has so far."""
    document = {
        "hrp": unsigned.hrp,
        "txid": unsigned.txid.hex(),
        "chain": unsigned.body.chain.hex(),
        "tx": body_json(unsigned.body, unsigned.hrp),
        "body": unsigned.body_bytes.hex(),
        "signatures": [
            {"public_key": key.hex(), "signature": signature.hex()}
            for key, signature in sorted(signatures)
        ],
    }
    if signatures:
        document["raw"] = seal(unsigned.body_bytes, signatures).hex()
    return document


def open_document(text: str) -> tuple[Unsigned, list[Pair]]:
    """A transaction file, else `Malformed`. Only `hrp`, `body` and `signatures` are believed."""
    try:
        document = json.loads(text)
        hrp = document["hrp"]
        body_bytes = bytes.fromhex(document["body"])
        pairs = [
            (bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
            for item in document["signatures"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("not a transaction file (made by: mgsnode tx build)") from None
    if hrp not in (HRP_MAIN, HRP_TEST):
        raise Malformed("a transaction file's hrp is mgs or tmgs")
    return open_unsigned(body_bytes, hrp), pairs


def add_signatures(
    unsigned: Unsigned, pairs: Sequence[Pair], keys: Sequence[SigningKey]
) -> list[Pair]:
    """The signatures so far and those of `keys`; a key that signed before does not sign twice."""
    message = tx_statement(unsigned.body.chain, unsigned.body_bytes)
    merged = dict(pairs)
    merged.update((key.public_key, key.sign(message)) for key in keys)
    return sorted(merged.items())


def open_raw(text: str, hrp: str) -> tuple[Unsigned, list[Pair]]:
    """A sealed transaction in hex, of any chain, else `Malformed`."""
    try:
        raw = bytes.fromhex(text.strip())
    except ValueError:
        raise Malformed("a raw transaction is hex") from None
    from mgsnode.base.codec import decode
    from mgsnode.base.limits import TX_BYTES_MAX

    outer = decode(raw, bytes_max=TX_BYTES_MAX)
    match outer:
        case (bytes() as body_bytes, tuple()):
            chain = open_body(body_bytes).chain
        case _:
            raise Malformed("a transaction is (body, signatures)")
    tx = open_transaction(raw, chain)
    return Unsigned(tx.body, tx.body_bytes, hrp), list(tx.signatures)
