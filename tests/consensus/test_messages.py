"""R2: from bytes to a message or `Malformed`, and nothing else; one spelling for each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import encode_message, open_message
from consensus.quorum import Tally
from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed
from mgsnode.base.validators import quorum_of

SIGNATURE = bytes(64)
HASH = bytes(32)

VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.text(max_size=5),
        st.binary(max_size=40),
        st.just(HASH),
        st.just(SIGNATURE),
    ),
    lambda inner: st.lists(inner, max_size=8).map(tuple),
    max_leaves=20,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    try:
        open_message(raw)
    except Malformed:
        pass


@given(st.sampled_from(Signed), VALUES, VALUES)
def test_any_value_in_a_message_s_place_is_judged(
    kind: Signed, fields: object, tail: object
) -> None:
    raw = encode_message(kind, encode(fields), SIGNATURE, tail)  # type: ignore[arg-type]
    try:
        message = open_message(raw)
    except Malformed:
        return
    assert encode_message(message.kind, message.fields, message.signature, tail) == raw  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "fields", "tail"),
    [
        (Signed.PREPARE, (0, 0, 1, HASH, -1), ()),  # a negative index
        (Signed.PREPARE, (0, 0, 1, HASH, True), ()),  # a bool for an int
        (Signed.PREPARE, (0, 0, 1, HASH), ()),  # one field less
        (Signed.PREPARE, (0, 0, 1, HASH, 0, 0), ()),  # one more
        (Signed.COMMIT, (0, 0, 1, bytes(31), 0), ()),  # a short hash
        (Signed.COMMIT, (0, 0, 1, HASH, 0), (1,)),  # a tail where none belongs
        (Signed.COMPLAIN, (0, 0, 0), "x" * 129),
        (Signed.NEW_VIEW, (0, 1, (), (b"header",)), ()),  # a header without its proposal
        (Signed.STATUS, (0, 0, True, 0, 0, 1, b"x", b"", b"", ()), ()),
        (Signed.STATUS, (0, 0, True, 0, 0, 1, b"", bytes(5), b"", ()), ()),  # a long bitmap
        (Signed.PRE_PREPARE, (0, 0, 1, HASH), (b"", (b"short",))),
        (Signed.TX, (), ()),
        (Signed.POSSESSION, (), ()),
    ],
)  # cases 49, 50
def test_the_wrong_shape_is_malformed(kind: Signed, fields: object, tail: object) -> None:
    with pytest.raises(Malformed):
        open_message(encode_message(kind, encode(fields), SIGNATURE, tail))  # type: ignore[arg-type]


def test_a_bitmap_has_one_bit_for_each_signature() -> None:  # case 50
    change = (0, 1, 0, HASH, (), (b"\x07", (SIGNATURE,)), (), 0)
    with pytest.raises(Malformed):
        open_message(encode_message(Signed.VIEW_CHANGE, encode(change), SIGNATURE, ()))


@given(st.integers(4, 31), st.lists(st.tuples(st.integers(0, 30), st.sampled_from([b"x", b"y"]))))
def test_a_tally_counts_each_member_once_and_its_first_vote(
    n: int, votes: list[tuple[int, bytes]]
) -> None:  # case 2
    tally = Tally()
    first: dict[int, bytes] = {}
    for index, vote in votes:
        earlier = tally.add(index % n, vote, SIGNATURE)
        assert (earlier is not None) == (first.setdefault(index % n, vote) != vote)
    for name in (b"x", b"y"):
        assert tally.count(name) == sum(vote == name for vote in first.values())
    decided = tally.quorum_hash(quorum_of(n))
    assert (decided is not None) == (max(tally.count(b"x"), tally.count(b"y")) >= quorum_of(n))
