"""The envelope: every field's bounds, names by hash, signatures in one order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.hashing import address_of, signed_hash_of, txid_of
from mgsnode.base.keys import SigningKey, is_signed_by
from mgsnode.base.limits import TX_BYTES_MAX, TX_SIGNATURES_MAX
from mgsnode.base.transaction import (
    ENVELOPE_REFUSALS,
    Body,
    open_body,
    open_transaction,
    seal,
    sign_transaction,
    tx_statement,
)

CHAIN = bytes(range(32))
KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 4)]
BODY = Body(CHAIN, address_of(KEYS[0].public_key), 0, 7, 10**12, 5_000, b"", "dollar_transfer", ())


def test_a_signed_transaction_opens_to_what_was_signed() -> None:
    raw = sign_transaction(BODY, KEYS[:2])
    tx = open_transaction(raw, CHAIN)
    assert tx.body == BODY and tx.raw == raw
    assert tx.txid == txid_of(encode(BODY)) and tx.signed_hash == signed_hash_of(raw)
    assert all(is_signed_by(*claim) for claim in tx.claims()) and len(tx.claims()) == 2
    assert tx.signers() == {key.public_key for key in KEYS[:2]}
    assert tx.fee_payer() == BODY.sender
    assert open_transaction(
        sign_transaction(BODY._replace(payer=bytes(32)), KEYS[:1]), CHAIN
    ).fee_payer() == bytes(32)


def test_the_txid_does_not_depend_on_who_signed_and_the_signed_hash_does() -> None:
    one, two = (open_transaction(sign_transaction(BODY, k), CHAIN) for k in (KEYS[:1], KEYS[:2]))
    assert one.txid == two.txid and one.signed_hash != two.signed_hash


def test_another_chain_is_refused_by_name() -> None:
    with pytest.raises(Rejected) as caught:
        open_transaction(sign_transaction(BODY, KEYS[:1]), bytes(32))
    assert (caught.value.code, caught.value.name) == (1, "WRONG_CHAIN")


BAD_FIELDS = [
    ("chain", b"short"), ("chain", "text"), ("sender", bytes(31)), ("sender", 5),
    ("lane", -1), ("lane", 256), ("lane", True), ("nonce", -1), ("nonce", 2**63 - 1),
    ("nonce", "1"), ("valid_until", -1), ("fee_max", -1), ("fee_max", False),
    ("payer", bytes(31)), ("payer", BODY.sender), ("kind", ""), ("kind", b"x"), ("kind", "x" * 65),
    ("fields", b""), ("fields", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_a_field_out_of_bounds_is_malformed(name: str, value: object) -> None:
    with pytest.raises(Malformed):
        open_body(encode(BODY._replace(**{name: value})))  # type: ignore[arg-type]


@pytest.mark.parametrize("arity", [0, 8, 10])
def test_another_number_of_fields_is_malformed(arity: int) -> None:
    with pytest.raises(Malformed):
        open_body(encode((*BODY, 1)[:arity]))


def test_signatures_stand_in_one_order_once_each_and_have_their_lengths() -> None:
    body_bytes = encode(BODY)
    message = tx_statement(CHAIN, body_bytes)
    pairs = sorted((key.public_key, key.sign(message)) for key in KEYS)
    open_transaction(seal(body_bytes, pairs), CHAIN)
    bad: list[object] = [
        (),
        tuple(reversed(pairs)),
        (pairs[0], pairs[0]),
        ((pairs[0][0], pairs[0][1][:-1]),),
        ((pairs[0][0] + b"x", pairs[0][1]),),
        ((*pairs[0], b""),),
        (pairs[0][0],),
        tuple((n.to_bytes(32, "big"), bytes(64)) for n in range(1, TX_SIGNATURES_MAX + 2)),
        "text",
    ]
    for signatures in bad:
        with pytest.raises(Malformed):
            open_transaction(encode((body_bytes, signatures)), CHAIN)  # type: ignore[arg-type]


@pytest.mark.parametrize("outer", [(), (b"x",), (1, ()), (b"x", (), ()), 5, b"x"])
def test_what_is_no_transaction_is_malformed(outer: object) -> None:
    with pytest.raises(Malformed):
        open_transaction(encode(outer), CHAIN)  # type: ignore[arg-type]


def test_a_transaction_beyond_the_limit_is_malformed() -> None:
    raw = sign_transaction(BODY._replace(fields=(bytes(TX_BYTES_MAX),)), KEYS[:1])
    with pytest.raises(Malformed, match="longer than"):
        open_transaction(raw, CHAIN)


@given(st.data())
def test_a_flipped_bit_is_another_transaction_or_refused(data: st.DataObject) -> None:
    raw = bytearray(sign_transaction(BODY, KEYS[:1]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        tx = open_transaction(bytes(raw), CHAIN)
    except (Malformed, Rejected):
        return
    assert not all(is_signed_by(*claim) for claim in tx.claims())


def test_refusals_have_distinct_stable_codes() -> None:
    assert len(dict(ENVELOPE_REFUSALS)) == len(ENVELOPE_REFUSALS) == 12
    assert dict(ENVELOPE_REFUSALS)[4] == "BAD_NONCE"
