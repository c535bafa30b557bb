"""Naming what is wrong: which record, which field. For the audit's messages only.

Where one byte of a hashed value was changed, its hash, known from elsewhere (a certificate, a
receipt), tells which: trying every byte costs 0.1 s, and the message names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mgsnode.base.address import address_text
from mgsnode.base.block import Header
from mgsnode.base.codec import Value, decode, decode_stored
from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.hashing import HASH_BYTES, header_hash_of, txid_of
from mgsnode.base.transaction import Body
from state.fields import ListOf, Optional, Struct
from state.registry import Registry
from state.table import STATE_PREFIX, Table

_REPAIR_BYTES_MAX = 2_048  # 0.5 million hashes
_ADDRESS_TABLES = ("dollar/account", "gateways/operator", "gateways/arbiter")


def repair(raw: bytes, name: bytes, hash_of: Callable[[bytes], bytes]) -> bytes | None:
    """The bytes with hash `name` that differ from `raw` in one byte, if that is what happened."""
    if len(raw) > _REPAIR_BYTES_MAX or hash_of(raw) == name:
        return None
    tried = bytearray(raw)
    for place, before in enumerate(raw):
        for value in range(256):
            tried[place] = value
            if hash_of(bytes(tried)) == name:
                return bytes(tried)
        tried[place] = before
    return None


def header_field(header_bytes: bytes, block_hash: bytes) -> str | None:
    """The field of a changed header whose true hash is `block_hash`; None if not found."""
    return _field(header_bytes, block_hash, header_hash_of, Header._fields)


def body_field(body_bytes: bytes, txid: bytes, registry: Registry) -> str | None:
    """The field of a changed transaction body whose true hash is `txid`; None if not found."""
    was = repair(body_bytes, txid, txid_of)
    if was is None:
        return None
    true, found = _decoded(was), _decoded(body_bytes)
    if true is None or found is None:
        return "body"
    kind = registry.kinds.get(str(true[-2]))
    path = first_difference(found, true, Body._fields)
    if path != "fields" or kind is None:
        return path
    return "fields." + _inside(kind.fields, found[-1], true[-1])


def _field(
    raw: bytes, name: bytes, hash_of: Callable[[bytes], bytes], names: Sequence[str]
) -> str | None:
    was = repair(raw, name, hash_of)
    if was is None:
        return None
    true, found = _decoded(was), _decoded(raw)
    return "bytes" if true is None or found is None else first_difference(found, true, names)


def _decoded(raw: bytes) -> tuple[Any, ...] | None:
    try:
        value = decode(raw, bytes_max=len(raw))
    except Malformed:
        return None
    return value if type(value) is tuple else None


def first_difference(found: Sequence[Value], true: Sequence[Value], names: Sequence[str]) -> str:
    """The name of the first position where two tuples differ."""
    absent = object()
    pairs = zip_longest(found, true, fillvalue=absent)
    at = next((i for i, (one, other) in enumerate(pairs) if one != other), len(names))
    return names[at] if at < len(names) else f"position {at}"


def _inside(shape: object, found: Any, true: Any) -> str:
    """The path to the first difference, along a kind's schema."""
    if isinstance(shape, Optional):
        shape, found, true = shape.item, found[0] if found else (), true[0] if true else ()
    if type(found) is not tuple or type(true) is not tuple:
        return ""
    if isinstance(shape, Struct):
        names = tuple(shape.fields)
        name = first_difference(found, true, names)
        if name not in shape.fields:
            return name
        at = names.index(name)
        if at >= min(len(found), len(true)):
            return name
        deeper = _inside(shape.fields[name], found[at], true[at])
        return f"{name}.{deeper}" if deeper else name
    if isinstance(shape, ListOf) and len(found) == len(true):
        at = next(i for i, (one, other) in enumerate(zip(found, true, strict=True)) if one != other)
        deeper = _inside(shape.item, found[at], true[at])
        return f"{at}.{deeper}" if deeper else str(at)
    return ""


def state_row(state_key: bytes, tables: Mapping[int, Table[Any, Any]], hrp: str) -> str:
    """The name of a state row: `state row dollar/account tmgs1…`."""
    table = tables.get(state_key[1]) if len(state_key) > 1 else None
    if table is None or not state_key.startswith(STATE_PREFIX):
        return f"state row {state_key.hex()}"
    raw = state_key[2:]
    if table.name in _ADDRESS_TABLES and len(raw) == HASH_BYTES:
        return f"state row {table.name} {address_text(raw, hrp)}"
    try:
        key = table.key_of(state_key)
    except (ValueError, IndexError):
        key = raw
    return f"state row {table.name} {_key_text(key)}".rstrip()


def _key_text(key: Any) -> str:
    if type(key) is bytes:
        return key.hex()
    if type(key) is tuple:
        return "/".join(_key_text(part) for part in key)
    return str(key)


def record_field(found: bytes, true: bytes, names: Sequence[str]) -> str:
    """The field in which two encoded records differ: ` field dollar`; empty if not to be told."""
    try:
        one, other = decode_stored(found), decode_stored(true)
    except Corrupt:
        return ""
    if type(one) is not tuple or type(other) is not tuple or one == other:
        return ""
    return ": field " + first_difference(one, other, names)
