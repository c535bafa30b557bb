"""How the chain's records look in JSON: hashes in hex, addresses in bech32m, money as strings.

Pure functions of the record; nothing here reads the state or refuses anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from mgsnode.base.address import address_text
from mgsnode.base.block import Certificate, Event, Header, Receipt
from mgsnode.base.transaction import Body, Transaction
from mgsnode.base.validators import ValidatorSet
from state.registry import Registry


def header_json(header: Header) -> dict[str, object]:
    """A header, its names as in `interface.md`."""
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in header._asdict().items()
    }


def members_json(members: ValidatorSet) -> list[dict[str, object]]:
    """The members in their order."""
    return [
        {"gateway": member.gateway, "index": index, "public_key": member.public_key.hex()}
        for index, member in enumerate(members.members)
    ]


def certificate_json(
    certificate: Certificate | None, members: ValidatorSet
) -> dict[str, object] | None:
    """A certificate under the set that made it; None for the genesis block."""
    if certificate is None:
        return None
    known = members_json(members)
    signatures = zip(certificate.indices(), certificate.signatures, strict=True)
    return {
        "era": certificate.era,
        "view": certificate.view,
        "height": certificate.height,
        "hash": certificate.hash.hex(),
        "signatures": [{**known[i], "signature": signature.hex()} for i, signature in signatures],
    }


def event_json(event: Event, registry: Registry, hrp: str) -> dict[str, object]:
    """An event with its values by name."""
    values = registry.events[event.name].values.to_json(event.values, hrp)
    return {"name": event.name, "values": values}


def receipt_json(receipt: Receipt, registry: Registry, hrp: str) -> dict[str, object]:
    """A transaction's fate."""
    return {
        "txid": receipt.txid.hex(),
        "code": receipt.code,
        "reason": registry.refusal_name(receipt.code),
        "fee": str(receipt.fee),
        "events": [event_json(event, registry, hrp) for event in receipt.events],
    }


def body_json(body: Body, registry: Registry, hrp: str) -> dict[str, object]:
    """A body of a known kind whose fields were checked; what `tx_encode` takes."""
    return {
        "kind": body.kind,
        "sender": address_text(body.sender, hrp),
        "nonce": body.nonce,
        "lane": body.lane,
        "valid_until": body.valid_until,
        "fee_max": str(body.fee_max),
        "payer": address_text(body.payer, hrp) if body.payer else None,
        "fields": registry.kinds[body.kind].fields.to_json(body.fields, hrp),
    }


def tx_json(tx: Transaction, registry: Registry, hrp: str) -> dict[str, object]:
    """A transaction of a known kind whose fields were checked; what `tx_submit` takes."""
    signatures = [
        {"public_key": key.hex(), "signature": signature.hex()} for key, signature in tx.signatures
    ]
    return {**body_json(tx.body, registry, hrp), "signatures": signatures}


def path_json(path: Sequence[tuple[bool, bytes]]) -> list[dict[str, object]]:
    """A Merkle path from the leaf up: on which side each sibling stands."""
    return [
        {"side": "left" if is_left else "right", "hash": sibling.hex()} for is_left, sibling in path
    ]
