"""A table: how one kind of record is keyed and spelled in the state.

A row's key is its *state key*: `b"s"`, the table's number, the record's key. It is the key in
the store and what the trie commits to. Numbers and spellings are part of the chain for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, cast

from mgsnode.base.codec import decode_stored, encode
from mgsnode.base.errors import Corrupt

STATE_PREFIX = b"s"

K = TypeVar("K")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")


class KeyCodec(NamedTuple, Generic[K]):
    """How a key becomes bytes whose order is the key's order, and back.

    `size` is the width in bytes, or None where it varies (then only last in a pair).
    """

    encode: Callable[[K], bytes]
    decode: Callable[[bytes], K]
    size: int | None


def bytes_key(size: int | None = 32) -> KeyCodec[bytes]:
    """Raw bytes: an address, a txid."""
    return KeyCodec(bytes, bytes, size)


def text_key() -> KeyCodec[str]:
    """A name, as UTF-8."""
    return KeyCodec(str.encode, bytes.decode, None)


def int_key(size: int = 8) -> KeyCodec[int]:
    """An integer from 0, big-endian in 1, 2, 4 or 8 bytes: a time, a height, an index."""
    pack = struct.Struct({1: ">B", 2: ">H", 4: ">I", 8: ">Q"}[size]).pack  # half of `to_bytes`
    return KeyCodec(pack, lambda raw: int.from_bytes(raw, "big"), size)


def pair_key(first: KeyCodec[A], second: KeyCodec[B]) -> KeyCodec[tuple[A, B]]:
    """Two keys in a row; the first has a fixed width. Pairs nest for more."""
    split = first.size
    assert split is not None, "the first of a pair has a fixed width"
    encode_first, encode_second = first.encode, second.encode
    size = None if second.size is None else split + second.size
    if encode_first is bytes and encode_second is bytes:
        both = cast(Callable[[tuple[A, B]], bytes], b"".join)  # as below, without three calls
        return KeyCodec(both, lambda raw: (raw[:split], raw[split:]), size)  # type: ignore[arg-type, return-value]
    if encode_second is bytes:  # an id at the end, as most keys have: a call less

        def whole(key: tuple[A, B]) -> bytes:
            return encode_first(key[0]) + key[1]  # type: ignore[operator]
    else:

        def whole(key: tuple[A, B]) -> bytes:
            return encode_first(key[0]) + encode_second(key[1])

    return KeyCodec(
        whole, lambda raw: (first.decode(raw[:split]), second.decode(raw[split:])), size
    )


class Table(Generic[K, R]):
    """Records of the NamedTuple type `record` under keys of type K.

    `build` makes a record from its decoded fields where some of them are records themselves;
    by default the fields are taken as they are. `is_long`: strangers can make its rows long, so a
    draft that only reads one does not keep it: those that a block reads would add up.
    """

    __slots__ = (
        "_decode_key", "build", "encode_key", "encode_record", "is_long", "name", "number",
        "prefix", "record",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        name: str,
        record: type[R],
        key: KeyCodec[K],
        build: Callable[[tuple[Any, ...]], R] | None = None,
        *,
        is_long: bool = False,
    ) -> None:
        assert 0 < number < 256
        self.number = number
        self.name = name  # "family/table", for people
        self.record = record
        self.is_long = is_long
        self.prefix = STATE_PREFIX + bytes([number])
        self.build: Callable[[tuple[Any, ...]], R] = build or cast(Any, record)._make
        self.encode_record: Callable[[R], bytes] = cast(Any, encode)  # the row's value
        self.encode_key = key.encode
        self._decode_key = key.decode

    def state_key(self, key: K) -> bytes:
        """The key of the row in store and trie."""
        return self.prefix + self.encode_key(key)

    def key_of(self, state_key: bytes) -> K:
        """The record's key from a `state_key` of this table."""
        return self._decode_key(state_key[2:])

    def decode_record(self, raw: bytes) -> R:
        """The record of a row's value that we wrote, else `Corrupt`."""
        try:
            return self.build(cast("tuple[Any, ...]", decode_stored(raw)))
        except (TypeError, ValueError):
            raise Corrupt(f"state row of {self.name} is not its record") from None

    def __repr__(self) -> str:
        return f"Table({self.number}, {self.name!r})"
