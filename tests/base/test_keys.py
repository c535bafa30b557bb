"""Signatures: libsodium's strict rule, frozen here so that an upgrade cannot change the chain.

Sources: RFC 8032 §7.1; "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko), table 6b and
the conditions of its test cases.
"""

from __future__ import annotations

import pickle

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.keys import Signed, SigningKey, is_signed_by, statement
from tests.base import edwards

RFC8032 = [  # seed, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
        "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
# All fourteen spellings of the eight points of small order, canonical or not.
SMALL_ORDER = [
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "00" * 31 + "80",
    "00" * 32,
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "01" + "00" * 30 + "80",
    "ec" + "ff" * 31,
    "ee" + "ff" * 30 + "7f",
    "ee" + "ff" * 31,
    "ed" + "ff" * 31,
    "ed" + "ff" * 30 + "7f",
]
KEY = SigningKey(bytes(range(32)))
MESSAGE = b"a payment"
ORDER_8 = edwards.decode(bytes.fromhex(SMALL_ORDER[4]))


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC8032)
def test_rfc_8032_vectors_sign_and_check(
    seed: str, public: str, message: str, signature: str
) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public_key.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert is_signed_by(key.public_key, bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_case_11_a_small_order_key_signs_nothing(point: str) -> None:
    key = bytes.fromhex(point)
    for r in SMALL_ORDER:
        assert not is_signed_by(key, MESSAGE, bytes.fromhex(r) + bytes(32))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_case_11_a_small_order_r_is_refused(point: str) -> None:
    r = bytes.fromhex(point)
    a = 12345
    public = edwards.encode(edwards.times(a, edwards.BASE))
    s = edwards.challenge(r, public, MESSAGE) * a % edwards.L
    assert not is_signed_by(public, MESSAGE, r + s.to_bytes(32, "little"))


def test_case_11_openssl_would_take_what_libsodium_refuses() -> None:
    """Why one backend is the chain's rule: the identity as key signs for anyone in OpenSSL."""
    identity = bytes.fromhex(SMALL_ORDER[0])
    signature = identity + bytes(32)
    try:
        Ed25519PublicKey.from_public_bytes(identity).verify(signature, MESSAGE)
        openssl_takes_it = True
    except (InvalidSignature, ValueError):
        openssl_takes_it = False
    assert not is_signed_by(identity, MESSAGE, signature)
    assert openssl_takes_it, "OpenSSL has changed: say so in base/keys.py"


def test_case_11_s_plus_l_is_refused() -> None:
    signature = KEY.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + edwards.L
    assert is_signed_by(KEY.public_key, MESSAGE, signature)
    assert not is_signed_by(KEY.public_key, MESSAGE, signature[:32] + s.to_bytes(32, "little"))


def test_case_11_the_equation_has_no_cofactor() -> None:
    """A small-order part in R alone fits only the cofactored equation: refused."""
    public, signature = edwards.forge(7, 11, MESSAGE, torsion_a=edwards.IDENTITY, torsion_r=ORDER_8)
    assert not is_signed_by(public, MESSAGE, signature)


def test_case_11_a_key_of_mixed_order_is_judged_by_the_equation_alone() -> None:
    """A = aB + T: the cofactorless equation holds where h is a multiple of 8, and only there."""
    seen = set()
    for number in range(64):
        message = number.to_bytes(2, "big")
        public, signature = edwards.forge(
            7, 11, message, torsion_a=ORDER_8, torsion_r=edwards.IDENTITY
        )
        fits = edwards.challenge(signature[:32], public, message) % 8 == 0
        assert is_signed_by(public, message, signature) is fits
        seen.add(fits)
    assert seen == {True, False}


@given(st.binary(max_size=80), st.binary(max_size=40), st.binary(max_size=80))
def test_any_bytes_are_judged_and_never_raise(key: bytes, message: bytes, signature: bytes) -> None:
    assert not is_signed_by(key, message, signature)


def test_a_signature_fits_one_use_one_chain_one_message() -> None:
    """Case 21."""
    chains = (bytes(32), bytes([1]) + bytes(31))
    statements = {statement(kind, chain, b"x") for kind in Signed for chain in chains}
    assert len(statements) == len(Signed) * len(chains)
    signed = statement(Signed.COMMIT, chains[0], b"x")
    signature = KEY.sign(signed)
    for other in statements - {signed}:
        assert not is_signed_by(KEY.public_key, other, signature)


def test_a_private_key_is_not_shown_or_pickled() -> None:
    assert bytes(range(32)).hex() not in repr(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(b"short")
