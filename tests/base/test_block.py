"""Headers, bodies, certificates, validator sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base import block as b
from mgsnode.base.codec import encode
from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.hashing import ZERO_HASH, signed_hash_of
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.validators import (
    Validator,
    ValidatorSet,
    bitmap_of,
    faults_of,
    indices_of,
    is_bitmap,
    quorum_of,
    weak_of,
)

KEYS = [SigningKey(bytes([n + 1]) * 32) for n in range(4)]
MEMBERS = ValidatorSet([Validator(f"g{n}", key.public_key) for n, key in enumerate(KEYS)])
TXS = (b"one", b"two", b"three")
HEADER = b.Header(
    1, bytes(range(32)), 0, 5, b"\1" * 32, 1_000, b.txs_root([signed_hash_of(t) for t in TXS]),
    b"\3" * 32, b"\4" * 32, MEMBERS.hash, MEMBERS.hash,
)  # fmt: skip
BH = b.hash_header(HEADER)


def votes(view: int = 2, members: range = range(3), block_hash: bytes = BH) -> dict[int, bytes]:
    return {
        n: KEYS[n].sign(
            statement(Signed.COMMIT, HEADER.genesis_hash, b.vote_fields(0, view, 5, block_hash, n))
        )
        for n in members
    }


def certificate(**changes: object) -> b.Certificate:
    made = b.make_certificate(era=0, view=2, height=5, block_hash=BH, votes=votes(), n=4)
    return made._replace(**changes)  # type: ignore[arg-type]


def test_case_1_quorums_for_every_n() -> None:
    expected = {
        4: 3, 5: 4, 6: 4, 7: 5, 8: 6, 9: 6, 10: 7, 13: 9, 16: 11, 19: 13, 22: 15, 25: 17,
        28: 19, 31: 21,
    }  # fmt: skip
    assert {n: quorum_of(n) for n in expected} == expected
    for n in range(1, 32):
        f, q = faults_of(n), quorum_of(n)
        assert 2 * q - n >= f + 1 and n - f >= q and weak_of(n) == f + 1


def test_a_block_opens_to_itself_and_only_with_its_own_body() -> None:
    raw = b.encode_block(b.Block(HEADER, TXS))
    assert b.open_block(raw) == b.Block(HEADER, TXS)
    for body in (TXS[:2], (*TXS, b"x"), TXS[::-1], (TXS[0], *TXS), ()):
        with pytest.raises(Malformed, match="txs_root"):
            b.open_block(b.encode_block(b.Block(HEADER, body)))


@pytest.mark.parametrize("field", b.Header._fields)
def test_each_field_of_a_header_is_in_its_hash_and_has_its_shape(field: str) -> None:
    value = getattr(HEADER, field)
    other = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    assert b.hash_header(HEADER._replace(**{field: other})) != BH
    for bad in (-1, True, "x", value[:31] if isinstance(value, bytes) else b"", ()):
        with pytest.raises(Malformed):
            b.open_header(encode(HEADER._replace(**{field: bad})))  # type: ignore[arg-type]


def test_a_good_certificate_proves_its_header() -> None:
    assert b.check_certificate(certificate(), HEADER, MEMBERS) is None
    assert b.open_certificate(encode(certificate())) == certificate()
    b.require_certificate(certificate(), HEADER, MEMBERS)


def test_case_22_every_signature_present_is_checked() -> None:
    four = b.make_certificate(
        era=0, view=2, height=5, block_hash=BH, votes=votes(members=range(4)), n=4
    )
    assert b.check_certificate(four, HEADER, MEMBERS) is None
    spoilt = four._replace(signatures=(*four.signatures[:3], bytes(64)))
    assert "member 3 is bad" in str(b.check_certificate(spoilt, HEADER, MEMBERS))


BAD = {
    "another era": certificate(era=1),
    "another view": certificate(view=3),
    "another height": certificate(height=6),
    "another hash": certificate(hash=ZERO_HASH),
    "below a quorum": b.make_certificate(
        era=0, view=2, height=5, block_hash=BH, votes=votes(members=range(2)), n=4
    ),
    "another member's bits": certificate(bitmap=b"\x0e"),
    "bits beyond the members": certificate(bitmap=b"\x13"),
    "a longer bitmap": certificate(bitmap=b"\x07\x00"),
    "no bitmap": certificate(bitmap=b"", signatures=()),
    "permuted signatures": certificate(signatures=certificate().signatures[::-1]),
    "a signature twice": certificate(signatures=(certificate().signatures[0],) * 3),
    "votes of another view": b.make_certificate(
        era=0, view=2, height=5, block_hash=BH, votes=votes(view=1), n=4
    ),
    "mixed views": b.make_certificate(
        era=0, view=2, height=5, block_hash=BH, votes=votes() | votes(1, range(1)), n=4
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_does_not_prove_the_header_is_refused(bad: b.Certificate) -> None:
    assert b.check_certificate(bad, HEADER, MEMBERS) is not None
    with pytest.raises(Corrupt, match="height 5"):
        b.require_certificate(bad, HEADER, MEMBERS)


def test_a_certificate_of_another_set_is_refused() -> None:
    others = ValidatorSet([*MEMBERS.members, Validator("g4", b"\7" * 32)])
    assert b.check_certificate(certificate(), HEADER, others) is not None


@pytest.mark.parametrize(
    "shape",
    [
        (), (0, 2, 5, BH, b"\x07"), (0, 2, 5, BH, b"\x07", ()), (True, 2, 5, BH, b"", ()),
        (-1, 2, 5, BH, b"", ()), (0, 2, 5, BH[:31], b"", ()), (0, 2, 5, BH, b"\1", (b"x",)),
        (0, 2, 5, BH, bytes(5), ()), ("0", 2, 5, BH, b"", ()),
    ],
)  # fmt: skip
def test_case_50_a_certificate_of_another_shape_is_malformed(shape: tuple[object, ...]) -> None:
    with pytest.raises(Malformed):
        b.open_certificate(encode(shape))  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 30)), st.integers(31, 31))
def test_bitmaps_name_members(indices: set[int], n: int) -> None:
    bitmap = bitmap_of(indices, n)
    assert indices_of(bitmap) == sorted(indices) and is_bitmap(bitmap, n)
    assert not is_bitmap(bitmap + b"\0", n)
    assert is_bitmap(bitmap, 4) is False


def test_a_validator_set_has_distinct_members_within_bounds() -> None:
    member = MEMBERS.members[0]
    for bad in ([], [member, member], [member, Validator("g0", b"x")], [member] * 32):
        with pytest.raises(ValueError, match=r"."):
            ValidatorSet(bad)
    assert MEMBERS.index_of(KEYS[2].public_key) == 2 and MEMBERS.index_of(b"") is None
    assert [MEMBERS.primary(view) for view in (0, 1, 4, 7)] == [0, 1, 0, 3]
    assert ValidatorSet(MEMBERS.members) == MEMBERS and hash(MEMBERS) == hash(
        ValidatorSet(MEMBERS.members)
    )


def test_receipts_read_back_or_are_malformed() -> None:
    receipt = b.Receipt(b"\5" * 32, 101, 1_000, (b.Event("dollar_moved", (b"a", 5)),))
    from mgsnode.base.codec import decode

    assert b.open_receipt(decode(encode(receipt), bytes_max=1_000)) == receipt
    for bad in ((), (b"x", 1, 2), (b"x", 1, 2, (1,)), (b"x", 1, 2, ((1, ()),))):
        with pytest.raises(Malformed):
            b.open_receipt(bad)
