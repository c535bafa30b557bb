"""JSON-RPC 2.0 without sockets: from bytes to requests, from results to bytes.

It must not know any method. What always holds: `open_message` takes any bytes and either
returns requests or raises `RpcError`, in time and memory linear in the input; numbers that no
method of ours takes (floats, integers of more than 78 digits) become `UNFIT`, which no
parameter model and no id accepts, so 1e400 and 1.5 are refused where they stand and distinct
ids never collapse. Refused as not JSON of ours: duplicate keys, NaN and Infinity, lone
surrogates, a byte order mark, UTF-16, nesting beyond `DEPTH_MAX`.

Source: https://www.jsonrpc.org/specification (2013-01-04); RFC 8259.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
from re import compile as regex
from typing import Final, NamedTuple, TypeAlias

import orjson

from rpc import errors
from rpc.errors import RpcError
from rpc.limits import BATCH_ITEMS_MAX, DEPTH_MAX, ID_CHARS_MAX, INT_DIGITS_MAX

Id: TypeAlias = str | int | None
Params: TypeAlias = "list[object] | dict[str, object] | None"


class Unfit:
    """A JSON number that no parameter of ours can be."""

    def __repr__(self) -> str:
        return "UNFIT"


UNFIT: Final = Unfit()


class Request(NamedTuple):
    """One call. A notification has no id at all; an id of null is a request."""

    id: Id
    method: str
    params: Params
    is_notification: bool


class Invalid(NamedTuple):
    """One element that is no call, with the answer it gets."""

    id: Id
    error: RpcError


class Message(NamedTuple):
    """What arrived: one element, or a batch of 1 to `BATCH_ITEMS_MAX`."""

    is_batch: bool
    items: tuple[Request | Invalid, ...]


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _int(digits: str) -> int | Unfit:
    return int(digits) if len(digits) <= INT_DIGITS_MAX else UNFIT


def _float(_digits: str) -> Unfit:
    return UNFIT


def _constant(_name: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_int, parse_float=_float, parse_constant=_constant
)
_STRINGS: Final = regex(rb'"[^"\\]*(?:\\.[^"\\]*)*"?')
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _is_shallow(raw: bytes) -> bool:
    """Whether there are too few opening brackets to nest deeply: the common case, at the speed
    of memchr, which `count` does not have.
    """
    left = DEPTH_MAX
    for opening in (b"[", b"{"):
        place = raw.find(opening)
        while place >= 0:
            left -= 1
            if left < 0:
                return False
            place = raw.find(opening, place + 1)
    return True


def _check_depth(raw: bytes) -> None:
    if _is_shallow(raw):
        return
    brackets = _STRINGS.sub(b"", raw).translate(None, _OTHERS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEPTH_MAX:
        raise RpcError(errors.PARSE_ERROR, "TOO_DEEP", highest=DEPTH_MAX)


def _check_text(value: object) -> None:
    """Refuse lone surrogates, which only an escape can have made."""
    try:
        json.dumps(value, ensure_ascii=False, default=repr).encode()
    except UnicodeEncodeError:
        raise RpcError(errors.PARSE_ERROR, "LONE_SURROGATE") from None


def open_json(raw: bytes) -> object:
    """The value of a JSON text in UTF-8, else `RpcError` -32700."""
    _check_depth(raw)
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
    except _DuplicateKeyError:
        raise RpcError(errors.PARSE_ERROR, "DUPLICATE_KEY") from None
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise RpcError(errors.PARSE_ERROR, "NOT_JSON") from None
    if b"\\" in raw:  # a surrogate can only have come as an escape
        _check_text(value)
    return value


def open_message(raw: bytes) -> Message:
    """From a stranger's bytes to a `Message`, else `RpcError` (-32700, -32600 or -32005)."""
    value = open_json(raw)
    if not isinstance(value, list):
        return Message(False, (_open_element(value),))
    if not value:
        raise RpcError(errors.INVALID_REQUEST, "EMPTY_BATCH")
    if len(value) > BATCH_ITEMS_MAX:
        raise errors.limit("BATCH_TOO_LONG", highest=BATCH_ITEMS_MAX)
    return Message(True, tuple(map(_open_element, value)))


def _open_element(value: object) -> Request | Invalid:
    if type(value) is not dict:
        return _invalid(None, "NOT_AN_OBJECT")
    found = value.get("id")
    if not (found is None or type(found) is str or type(found) is int):
        return _invalid(None, "BAD_ID")
    if type(found) is str and len(found) > ID_CHARS_MAX:
        return _invalid(None, "ID_TOO_LONG")
    if value.get("jsonrpc") != "2.0":
        return _invalid(found, "BAD_VERSION")
    method = value.get("method")
    if type(method) is not str:
        return _invalid(found, "BAD_METHOD")
    params = value.get("params")
    if type(params) is not dict and type(params) is not list and "params" in value:
        return _invalid(found, "BAD_PARAMS")
    return Request(found, method, params, "id" not in value)


def _invalid(found: Id, reason: str) -> Invalid:
    return Invalid(found, RpcError(errors.INVALID_REQUEST, reason))


def _id_bytes(found: Id) -> bytes:
    return json.dumps(found).encode()  # an integer beyond 64 bits is echoed digit by digit


def encode_result(found: Id, result: bytes) -> bytes:
    """The answer to a request; `result` is JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_id_bytes(found), result)


def encode_error(found: Id, error: RpcError) -> bytes:
    """The answer to a request that failed."""
    body = orjson.dumps(error.as_json())
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (_id_bytes(found), body)


def encode_notification(method: str, params: dict[str, object]) -> bytes:
    """A message of ours that nobody answers (a subscription's news)."""
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})


def join_answers(answers: Sequence[bytes]) -> bytes:
    """The answer to a batch: an array in the order of its requests."""
    return b"[%b]" % b",".join(answers)
