"""Addresses in bech32m. Vectors: BIP-350, "Test vectors for Bech32m"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.address import address_text, bech32m_decode, bech32m_encode, parse_address
from mgsnode.base.errors import Malformed

VALID = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]
INVALID = [
    "\x201xj0phk",
    "\x7f1g6xzxy",
    "\x801vctc34",
    "qyrz8wqd2c9m",
    "1qyrz8wqd2c9m",
    "y1b0jsk6g",
    "lt1igcx5c0",
    "in1muywd",
    "mm1crxm3i",
    "au1s5cgom",
    "M1VUXWEZ",
    "16plkw9",
    "1p2gdwpf",
]


@pytest.mark.parametrize("text", VALID)
def test_bip_350_valid_strings_decode_and_encode_back(text: str) -> None:
    try:
        hrp, data = bech32m_decode(text)
    except Malformed as error:
        assert "padding" in error.why  # some vectors are not whole bytes
        return
    assert bech32m_encode(hrp, data) == text.lower()


@pytest.mark.parametrize("text", INVALID)
def test_bip_350_invalid_strings_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        bech32m_decode(text)


@given(st.binary(min_size=32, max_size=32))
def test_an_address_has_one_text(address: bytes) -> None:
    text = address_text(address, "tmgs")
    assert text.startswith("tmgs1") and parse_address(text, "tmgs") == address
    assert parse_address(text.upper(), "tmgs") == address


@given(st.binary(min_size=32, max_size=32), st.data())
def test_a_changed_letter_is_noticed(address: bytes, data: st.DataObject) -> None:
    text = address_text(address, "mgs")
    place = data.draw(st.integers(4, len(text) - 1))
    letter = data.draw(st.sampled_from(list("qpzry9x8gf2tvdw0s3jn54khce6mua7l")))
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(Malformed):
            parse_address(changed, "mgs")


def test_another_network_mixed_case_and_other_lengths_are_refused() -> None:
    text = address_text(bytes(32), "mgs")
    for bad in (
        text.replace("mgs1", "MGS1"),
        "",
        text[:-1],
        text + "q",
        bech32m_encode("mgs", b"x"),
    ):
        with pytest.raises(Malformed):
            parse_address(bad, "mgs")
    with pytest.raises(Malformed, match="another network"):
        parse_address(text, "tmgs")


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_address(text, "mgs")
