"""Censorship is noticed, and a full block is none (case 29)."""

from __future__ import annotations

from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, Transaction, open_transaction, sign_transaction
from mgsnode.watch import OVERLOOKED_BLOCKS, OVERLOOKED_MS, ROOMY_TXS, Watch

CHAIN = bytes(32)
KEY = SigningKey(bytes(31) + b"\1")


def tx(nonce: int) -> Transaction:
    body = Body(CHAIN, b"\1" * 32, 0, nonce, 10**12, 1_000, b"", "dollar_transfer", ())
    return open_transaction(sign_transaction(body, [KEY]), CHAIN)


def blocks(watch: Watch, number: int, transactions: int = 1) -> None:
    for _ in range(number):
        watch.on_block(transactions)


def test_it_is_sent_again_after_20_s_and_16_blocks_and_complained_about_20_s_later() -> None:
    watch, one = Watch(), tx(0)
    assert watch.look([one], 0) == ((), False)
    blocks(watch, OVERLOOKED_BLOCKS)
    assert watch.look([one], OVERLOOKED_MS - 1) == ((), False)
    assert watch.look([one], OVERLOOKED_MS) == ((one,), False)
    assert watch.look([one], 2 * OVERLOOKED_MS - 1) == ((), False)
    assert watch.look([one], 2 * OVERLOOKED_MS) == ((), True)


def test_time_alone_or_full_blocks_are_no_censorship() -> None:
    watch, one = Watch(), tx(0)
    watch.look([one], 0)
    blocks(watch, OVERLOOKED_BLOCKS - 1)
    blocks(watch, 1_000, transactions=ROOMY_TXS)
    assert watch.look([one], 10 * OVERLOOKED_MS) == ((), False)


def test_what_was_taken_in_between_is_forgotten() -> None:
    watch, one = Watch(), tx(0)
    watch.look([one], 0)
    blocks(watch, OVERLOOKED_BLOCKS)
    watch.look([tx(1)], OVERLOOKED_MS)
    assert watch.look([one], OVERLOOKED_MS + 1) == ((), False)
