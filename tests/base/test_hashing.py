"""Hashes have tags; lists have roots and paths as in RFC 6962."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base import hashing


def test_a_hash_is_blake2b_256_with_its_tag_as_person() -> None:
    expected = blake2b(b"x", digest_size=32, person=b"mgs/tx").digest()
    assert hashing.txid_of(b"x") == expected


def test_equal_bytes_have_other_hashes_for_other_uses() -> None:
    uses = (
        hashing.txid_of, hashing.signed_hash_of, hashing.header_hash_of, hashing.valset_hash_of,
        hashing.genesis_hash_of, hashing.address_of,
    )  # fmt: skip
    assert len({use(b"x") for use in uses}) == len(uses)


def recursive_root(items: list[bytes], tag: bytes) -> bytes:
    """RFC 6962 §2.1 as it is written there, to compare with."""
    if len(items) == 1:
        return hashing.digest(b"mgs/list-leaf", tag + items[0])
    k = 1
    while k * 2 < len(items):
        k *= 2
    left, right = recursive_root(items[:k], tag), recursive_root(items[k:], tag)
    return hashing.digest(b"mgs/list-node", left + right)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40))
def test_a_root_is_that_of_the_rfc(items: list[bytes]) -> None:
    assert hashing.list_root(items, tag=b"txs") == recursive_root(items, b"txs")


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40, unique=True), st.data())
def test_a_path_leads_from_its_item_to_the_root_and_from_no_other(
    items: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(items) - 1))
    path = hashing.list_path(items, index, tag=b"txs")
    root = hashing.list_root(items, tag=b"txs")
    for other, item in enumerate(items):
        assert (hashing.list_path_root(item, path, tag=b"txs") == root) is (other == index)


@given(st.lists(st.binary(max_size=3), max_size=6), st.lists(st.binary(max_size=3), max_size=6))
def test_different_lists_have_different_roots(one: list[bytes], two: list[bytes]) -> None:
    roots = [hashing.list_root(items, tag=b"txs") for items in (one, two)]
    assert (roots[0] == roots[1]) is (one == two)


def test_lists_of_different_things_have_different_roots() -> None:
    for items in ([], [b"a"], [b"a", b"b"]):
        assert hashing.list_root(items, tag=b"txs") != hashing.list_root(items, tag=b"receipts")


def test_a_path_to_nowhere_is_a_bug() -> None:
    with pytest.raises(IndexError):
        hashing.list_path([b"a"], 1, tag=b"txs")
