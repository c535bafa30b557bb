"""What the small parts cost: the codec and opening of a transaction, and a signature check."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.machine import MESSAGE_BYTES, check_us
from bench.wallets import Wallets
from mgsnode.base.codec import decode, encode
from mgsnode.base.hashing import digest, signed_hash_of, txid_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import TX_BYTES_MAX
from mgsnode.base.transaction import open_transaction

_CHAIN = digest(b"mgs/bench", b"chain")
_ROUNDS = 9


def _us(work: Callable[[], object], times: int) -> float:
    """CPU-microseconds of one call: the median of some rounds."""
    rounds: list[float] = []
    for _ in range(_ROUNDS):
        start = time.thread_time_ns()
        for _ in range(times):
            work()
        rounds.append((time.thread_time_ns() - start) / times / 1_000)
    return round(statistics.median(rounds), 2)


def codec(*, quick: bool = False) -> dict[str, object]:
    """A transfer: encoding, decoding (which checks that it is canonical), hashing, opening."""
    times = 200 if quick else 2_000
    raw, _ = Wallets(_CHAIN, 10, nodes=1).transfer(0)
    tx = open_transaction(raw, _CHAIN)
    outer = decode(raw, bytes_max=TX_BYTES_MAX)
    return {
        "transaction_bytes": len(raw),
        "encode_body_us": _us(lambda: encode(tx.body), times),
        "encode_raw_us": _us(lambda: encode(outer), times),
        "decode_body_us": _us(lambda: decode(tx.body_bytes, bytes_max=TX_BYTES_MAX), times),
        "decode_raw_us": _us(lambda: decode(raw, bytes_max=TX_BYTES_MAX), times),
        "two_hashes_us": _us(lambda: (txid_of(tx.body_bytes), signed_hash_of(raw)), times),
        "open_transaction_us": _us(lambda: open_transaction(raw, _CHAIN), times),
    }


def verify(*, quick: bool = False) -> dict[str, object]:
    """Signing and checking one message as long as a transfer's."""
    key = SigningKey(digest(b"mgs/bench", b"sign"))
    message = bytes(MESSAGE_BYTES)
    return {
        "message_bytes": MESSAGE_BYTES,
        "check_us": check_us(),
        "sign_us": _us(lambda: key.sign(message), 50 if quick else 500),
    }
