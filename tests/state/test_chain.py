"""What a block's batch writes is found again, and what does not open is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgsnode.base.block import (
    Block,
    Certificate,
    Event,
    Header,
    Receipt,
    encode_block,
    hash_header,
    open_block,
    txs_root,
)
from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.base.hashing import ZERO_HASH, signed_hash_of
from state import chain
from state.chain import Place
from state.store import Store

ALICE, BOB = b"a" * 32, b"b" * 32


def header(height: int, txs: tuple[bytes, ...], *, wide: bool = False) -> Header:
    return Header(
        version=1,
        genesis_hash=b"g" * 32,
        era=2**62 if wide else 0,
        height=height,
        parent_hash=ZERO_HASH,
        timestamp_ms=2**62 if wide else 5,
        txs_root=txs_root([signed_hash_of(tx) for tx in txs]),
        receipts_root=ZERO_HASH,
        state_root=ZERO_HASH,
        valset_hash=ZERO_HASH,
        next_valset_hash=ZERO_HASH,
    )


def block(height: int, txs: tuple[bytes, ...] = (b"one", b"two")) -> Block:
    return Block(header(height, txs), txs)


def write(store: Store, height: int) -> bytes:
    made = block(height)
    block_hash = hash_header(made.header)
    receipts = [
        Receipt(b"%030d1x" % height, 0, 10, (Event("paid", (b"k", 7)),)),
        Receipt(b"%030d2x" % height, 101, 10, ()),
        Receipt(b"due" + bytes(29), 0, 0, ()),
    ]
    with store.batch() as batch:
        chain.write_block(
            batch,
            made,
            block_hash,
            certificate=Certificate(0, 1, height, block_hash, b"\3", (b"s" * 64,) * 2)
            if height
            else None,
            receipts=[encode(receipt) for receipt in receipts],
            txids=[receipt.txid for receipt in receipts[:2]],
            history=[(ALICE, 0), (ALICE, 1), (BOB, 1), (BOB, 2)],
            listed=[],
        )
    return block_hash


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store")
    for height in range(3):
        write(store, height)
    return store


def test_a_block_is_found_by_height_hash_and_head(store: Store) -> None:
    made = block(2)
    block_hash = hash_header(made.header)
    assert chain.read_head(store) == (made.header, block_hash)
    assert chain.read_height_of(store, block_hash) == 2
    assert chain.read_block(store, 2) == made
    assert chain.read_header(store, 2) == made.header
    found = chain.read_stored(store, 2)
    assert found is not None
    assert found[:2] == (made.header, encode_block(made)) and open_block(found[1]) == made
    assert found[2] is not None and found[2].hash == block_hash
    for missing in (
        chain.read_block(store, 3), chain.read_header(store, 3), chain.read_stored(store, 3),
        chain.read_certificate(store, 0), chain.read_receipts(store, 3),
        chain.read_height_of(store, ZERO_HASH), chain.read_transaction(store, ZERO_HASH),
    ):  # fmt: skip
        assert missing is None


def test_a_transaction_is_found_with_its_receipt(store: Store) -> None:
    found = chain.read_transaction(store, b"%030d2x" % 1)
    assert found is not None
    assert (found.place, found.raw, found.receipt.code) == (Place(1, 1), b"two", 101)
    receipts = chain.read_receipts(store, 1)
    assert receipts is not None and len(receipts) == 3
    assert receipts[0].events == (Event("paid", (b"k", 7)),)
    assert chain.read_receipt(store, Place(1, 2)).txid[:3] == b"due"


def test_an_accounts_history_only_appends_and_goes_on_after_a_place(store: Store) -> None:
    whole = list(chain.read_history(store, ALICE))
    assert whole == [Place(h, i) for h in range(3) for i in range(2)]
    assert list(chain.read_history(store, ALICE, after=Place(1, 0))) == whole[3:]
    assert list(chain.read_history(store, ALICE, newest=True)) == whole[::-1]
    older = chain.read_history(store, ALICE, after=whole[3], newest=True)
    assert list(older) == whole[2::-1]
    assert list(chain.read_history(store, BOB))[:2] == [Place(0, 1), Place(0, 2)]
    write(store, 3)
    assert list(chain.read_history(store, ALICE))[: len(whole)] == whole


def test_a_snapshot_shows_the_chain_as_it_was(store: Store) -> None:
    with store.snapshot() as then:
        write(store, 3)
        assert chain.read_head(then)[0].height == 2
        assert chain.read_block(then, 3) is None
    assert chain.read_head(store)[0].height == 3


@pytest.mark.parametrize("wide", [False, True])
def test_a_header_is_read_without_opening_the_block(wide: bool) -> None:
    for txs in ((), (b"x",) * 20):
        head = header(1, txs, wide=wide)
        assert chain.header_of(encode_block(Block(head, txs))) == head


@pytest.mark.parametrize(
    "raw", [b"", b"\x92", b"\x92\xc4", b"\x92\xc5\x01", b"\x93abc", b"\x92\xc4\xffx"]
)
def test_bytes_that_are_no_block_have_no_header(raw: bytes) -> None:
    with pytest.raises(Malformed):
        chain.header_of(raw)


def put(store: Store, key: bytes, value: bytes) -> None:
    with store.batch() as batch:
        batch.put(key, value)


def test_damaged_rows_are_named(store: Store) -> None:
    put(store, chain.height_key(chain.BLOCK, 1), b"\x92\xc4\x01x\x90")
    put(store, chain.height_key(chain.CERTIFICATE, 1), b"\x91\x01")
    put(store, chain.height_key(chain.RECEIPTS, 1), encode((encode((1, 2)),)))
    put(store, chain.TX + ALICE, b"short")
    with pytest.raises(Corrupt, match="height 1: header"):
        chain.read_block(store, 1)
    with pytest.raises(Corrupt, match="height 1: certificate"):
        chain.read_certificate(store, 1)
    with pytest.raises(Corrupt, match="height 1: receipt 0"):
        chain.read_receipts(store, 1)
    with pytest.raises(Corrupt, match="height 1: receipt 5 is missing"):
        chain.read_receipt(store, Place(1, 5))
    with pytest.raises(Corrupt, match="index row"):
        chain.read_transaction(store, ALICE)


def test_a_head_that_is_missing_foreign_or_wrong_is_refused(store: Store) -> None:
    put(store, chain.HEAD, encode((chain.FORMAT, 1, hash_header(block(2).header))))
    with pytest.raises(Corrupt, match="height 1: the head block"):
        chain.read_head(store)
    put(store, chain.HEAD, encode((chain.FORMAT + 1, 2, ZERO_HASH)))
    with pytest.raises(ConfigError, match="format"):
        chain.read_head(store)
    with store.batch() as batch:
        batch.delete(chain.HEAD)
    with pytest.raises(Corrupt, match="no head"):
        chain.read_head(store)
