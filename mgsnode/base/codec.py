"""The one spelling of a value: canonical MessagePack with positional arrays.

A value is an int (signed 64 bit), a bool, a str (valid UTF-8, not normalised), bytes, or a
tuple of values. There are no maps, floats, nil or extensions, and every value has exactly
one encoding: `decode(raw)` either returns a value whose encoding is `raw`, or raises
`Malformed` and nothing else, in time and memory linear in the input. This is the only file
that imports msgpack (a test holds it to that).

Source of the format: the MessagePack specification, https://msgpack.org (smallest headers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeAlias

import msgpack

from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.limits import CODEC_DEPTH_MAX, CODEC_ITEMS_MAX, INT_MAX, INT_MIN

# A NamedTuple is a tuple, so records encode as they are.
Value: TypeAlias = "int | bool | str | bytes | Sequence[Value]"


# `encode(value)`: the canonical bytes of a value. What is encoded is made by us and not checked
# here, on the hottest path: an integer beyond 64 bits raises OverflowError, a stray float or None
# only when `decode` refuses it. One packer for all, called as it is: `pack` never lets go of the
# interpreter lock, so calls cannot mix.
encode: Callable[[Value], bytes] = msgpack.Packer().pack


def _no_map(_pairs: object) -> NoReturn:
    raise Malformed("a map is not a value")


def _no_ext(_code: int, _data: bytes) -> NoReturn:
    raise Malformed("an extension is not a value")


def decode(raw: bytes, *, bytes_max: int) -> Value:
    """The value whose canonical encoding is `raw`, else `Malformed`.

    `bytes_max` is the caller's limit on the length of `raw`, checked before anything is built.
    Arrays come back as tuples.
    """
    value = decode_shaped(raw, bytes_max=bytes_max)
    _check_types(value, 1)
    return value


def decode_shaped(raw: bytes, *, bytes_max: int) -> Value:
    """As `decode`, for a caller who then looks at the type of every single part himself.

    What is not one of our types (a float, nil, an integer beyond 64 bits) may still be in it.
    """
    if len(raw) > bytes_max:
        raise Malformed(f"longer than {bytes_max} bytes")
    try:
        value = msgpack.unpackb(
            raw,
            use_list=False,
            raw=False,
            object_pairs_hook=_no_map,
            ext_hook=_no_ext,
            max_str_len=bytes_max,
            max_bin_len=bytes_max,
            max_array_len=min(CODEC_ITEMS_MAX, bytes_max),
            max_map_len=0,
            max_ext_len=0,
        )
    except Malformed:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError):
        # msgpack's StackError, FormatError, ExtraData and UnicodeDecodeError are ValueErrors.
        raise Malformed("not canonical MessagePack") from None
    if encode(value) != raw:
        raise Malformed("not the canonical spelling")
    return value  # type: ignore[no-any-return]  # msgpack returns Any; the caller looks


def decode_stored(raw: bytes) -> Value:
    """The value of bytes that we encoded and a checksummed store gave back, else `Corrupt`.

    A third of the time of `decode`: it does not ask whether the spelling is canonical.
    """
    try:
        value = msgpack.unpackb(raw, use_list=False, raw=False, strict_map_key=False)
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise Corrupt("a stored value is not MessagePack") from None
    return value  # type: ignore[no-any-return]  # msgpack returns Any


def _check_types(value: object, depth: int) -> None:
    """`Malformed` unless `value` is ours. One call for each array: this is a hot path."""
    if type(value) is not tuple:
        value = (value,)
        depth -= 1
    elif depth > CODEC_DEPTH_MAX:
        raise Malformed("nested too deeply")
    for item in value:
        kind = type(item)
        if kind is bytes or kind is str or kind is bool:
            continue
        if kind is int:
            if not INT_MIN <= item <= INT_MAX:
                raise Malformed("an integer beyond 64 bits")
        elif kind is tuple:
            _check_types(item, depth + 1)
        else:
            raise Malformed("a float, nil or timestamp is not a value")
