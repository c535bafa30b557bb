"""One value has one spelling (case 10)."""

from __future__ import annotations

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.limits import CODEC_DEPTH_MAX

MAX = 1_000_000
values = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5).map(tuple),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, tuple) else 0


@given(values)
def test_what_is_encoded_decodes_to_itself(value: object) -> None:
    raw = encode(value)  # type: ignore[arg-type]
    if depth_of(value) > CODEC_DEPTH_MAX:
        with pytest.raises(Malformed):
            decode(raw, bytes_max=MAX)
    else:
        back = decode(raw, bytes_max=MAX)
        assert back == value and encode(back) == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_with_these_bytes_or_malformed(raw: bytes) -> None:
    try:
        value = decode(raw, bytes_max=MAX)
    except Malformed:
        return
    assert encode(value) == raw


@given(values, st.data())
def test_a_changed_byte_is_another_value_or_malformed(value: object, data: st.DataObject) -> None:
    raw = bytearray(encode(value))  # type: ignore[arg-type]
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(raw), bytes_max=MAX)
    except Malformed:
        return
    assert encode(other) == bytes(raw)


REFUSED = {
    "a long int": b"\xcc\x05",
    "a longer int": b"\xcd\x00\x05",
    "an int of 32 bits for 5": b"\xce\x00\x00\x00\x05",
    "an int of 64 bits for 5": b"\xcf" + (5).to_bytes(8, "big"),
    "a signed spelling of 5": b"\xd0\x05",
    "a long negative": b"\xd1\xff\xff",
    "2^63": b"\xcf" + (2**63).to_bytes(8, "big"),
    "2^64 - 1": b"\xcf" + b"\xff" * 8,
    "a long str": b"\xd9\x01a",
    "a longer str": b"\xda\x00\x01a",
    "a long bin": b"\xc5\x00\x01a",
    "a long array": b"\xdc\x00\x01\x05",
    "a longer array": b"\xdd\x00\x00\x00\x01\x05",
    "a map": b"\x80",
    "a map with a pair": b"\x81\x01\x02",
    "nil": b"\xc0",
    "nil inside": b"\x91\xc0",
    "the unused byte": b"\xc1",
    "a float": msgpack.packb(1.0),
    "a short float": msgpack.packb(1.0, use_single_float=True),
    "NaN": msgpack.packb(float("nan")),
    "minus zero": msgpack.packb(-0.0),
    "an extension": b"\xd4\x01\x00",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "trailing bytes": b"\x05\x05",
    "nothing": b"",
    "invalid UTF-8": b"\xa1\xff",
    "a surrogate": b"\xa3\xed\xa0\x80",
    "an overlong letter": b"\xa2\xc0\x80",
    "an array that claims 2^32 - 1": b"\xdd\xff\xff\xff\xff",
    "a bin that claims 2^32 - 1": b"\xc6\xff\xff\xff\xff",
    "nine arrays deep": b"\x91" * 9 + b"\x05",
    "a hundred arrays deep": b"\x91" * 100 + b"\x05",
    "a hundred thousand arrays deep": b"\x91" * 100_000 + b"\x05",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_every_other_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(raw, bytes_max=MAX)


def test_truncation_at_each_byte_is_refused() -> None:
    raw = encode((b"abc", 70_000, "text", (True, (-5, b"x" * 300))))
    for cut in range(len(raw)):
        with pytest.raises(Malformed):
            decode(raw[:cut], bytes_max=MAX)


def test_a_bool_is_no_integer_and_an_integer_no_bool() -> None:
    assert decode(encode(True), bytes_max=1) is True
    assert decode(encode(1), bytes_max=1) == 1
    assert encode(True) != encode(1)


def test_letters_are_not_normalised() -> None:
    """NFC and NFD spellings are different values; NUL and direction marks are letters."""
    texts = ("\u00e9", "e\u0301", "\0", "\u202eabc")
    assert len({encode(text) for text in texts}) == len(texts)
    assert all(decode(encode(text), bytes_max=20) == text for text in texts)


def test_longer_than_allowed_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="longer than 10"):
        decode(bytes(11), bytes_max=10)


@pytest.mark.parametrize("byte", [b"\x80", b"\x90", b"\xa0", b"\x00"])
def test_memory_is_linear_in_the_input(byte: bytes) -> None:
    """A megabyte of empty maps would be 74 MB of heap."""
    raw = b"\xdd" + (1_000_000).to_bytes(4, "big") + byte * 1_000_000
    tracemalloc.start()
    with pytest.raises(Malformed):
        decode(raw, bytes_max=2_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(raw)


@pytest.mark.parametrize("value", [2**64, (object(),)])
def test_what_cannot_be_packed_is_a_bug_of_ours(value: object) -> None:
    with pytest.raises((TypeError, OverflowError)):
        encode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.5, None, {"a": 1}, 2**63])
def test_what_should_not_have_been_encoded_is_never_read_back(value: object) -> None:
    with pytest.raises(Malformed):
        decode(encode(value), bytes_max=100)  # type: ignore[arg-type]
