"""How an answer is described: small makers of JSON Schema, used by every method.

What a method declares with these is what `rpc.discover` shows; the tests hold each real answer
to it. Names are only ever added.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from state.fields import MICRO_DOLLARS, MICRO_MGS

Schema: TypeAlias = dict[str, Any]


def obj(_optional: str = "", /, **properties: Schema) -> Schema:
    """An object with these members and no others; `_optional` names those that may be absent."""
    absent = set(_optional.split())
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in absent],
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    """A list of `items`."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """`schema` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def mapping(values: Schema) -> Schema:
    """An object whose names are data (a gateway, a lane)."""
    return {"type": "object", "additionalProperties": values}


def enum(*values: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def page(items: Schema, **more: Schema) -> Schema:
    """A page of a list."""
    return obj(height=HEIGHT, items=array(items), next_cursor=nullable(TEXT), **more)


def amount(unit: str) -> Schema:
    """A whole number of `unit`, as text."""
    return {"type": "string", "pattern": "^-?[0-9]+$", "description": unit}


TEXT: Final[Schema] = {"type": "string"}
BOOL: Final[Schema] = {"type": "boolean"}
INT: Final[Schema] = {"type": "integer", "minimum": 0}
HEIGHT: Final[Schema] = {"type": "integer", "minimum": 0, "description": "answered at this height"}
TIME_MS: Final[Schema] = {"type": "integer", "minimum": 0, "description": "ms since 1970"}
AMOUNT: Final[Schema] = amount(MICRO_DOLLARS)
TOKENS: Final[Schema] = amount(MICRO_MGS)
HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
HEX: Final[Schema] = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
ADDRESS: Final[Schema] = {"type": "string", "pattern": "^t?mgs1[02-9ac-hj-np-z]{58}$"}
ANY: Final[Schema] = {"type": "object"}
EVENT: Final[Schema] = obj(name=TEXT, values=ANY)

HEADER: Final[Schema] = obj(
    version=INT, genesis_hash=HASH, era=INT, height=INT, parent_hash=HASH, timestamp_ms=TIME_MS,
    txs_root=HASH, receipts_root=HASH, state_root=HASH, valset_hash=HASH, next_valset_hash=HASH,
)  # fmt: skip
CERTIFICATE: Final[Schema] = obj(
    era=INT, view=INT, height=INT, hash=HASH,
    signatures=array(obj(gateway=TEXT, index=INT, public_key=HASH, signature=HEX)),
)  # fmt: skip
PATH: Final[Schema] = array(obj(side=enum("left", "right"), hash=HASH))
STATE_PROOF: Final[Schema] = obj(
    key=HEX, value=nullable(HEX), nodes=array(HEX), bucket=HEX,
    header=HEADER, certificate=nullable(CERTIFICATE),
)  # fmt: skip
RECEIPT: Final[Schema] = obj(txid=HASH, code=INT, reason=TEXT, fee=AMOUNT, events=array(EVENT))
TX_BODY: Final[Schema] = obj(
    kind=TEXT, sender=ADDRESS, nonce=INT, lane=INT, valid_until=TIME_MS, fee_max=AMOUNT,
    payer=nullable(ADDRESS), fields=ANY,
)  # fmt: skip
TX: Final[Schema] = obj(
    **TX_BODY["properties"], signatures=array(obj(public_key=HASH, signature=HEX))
)
