"""Transfers signed beforehand: what a thousand wallets would send, as finished request bodies.

Signing and building JSON cost more than sending; they happen before any clock runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.network import account_names
from mgsnode.base.codec import encode
from mgsnode.base.hashing import address_of, txid_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, seal, tx_statement
from mgsnode.devnet import dev_key

_LIFETIME_MS = 3_600_000
_FEE_MAX = 1_000_000
_AMOUNT_MAX = 1_000  # micro-dollars: nobody runs dry


class Request(NamedTuple):
    """One `tx_submit_batch`, ready to be posted."""

    node: int
    body: bytes
    txids: tuple[str, ...]


class Wallets:
    """`count` accounts and their next nonces. Account i always sends through node i mod `nodes`:
    the nonces of one account must arrive in order."""

    def __init__(self, chain: bytes, count: int, *, nodes: int, seed: int = 1) -> None:
        self._chain = chain
        self._nodes = nodes
        self._keys: list[SigningKey] = [dev_key(name) for name in account_names(count)]
        self._addresses = [address_of(key.public_key) for key in self._keys]
        self._nonces = [0] * count
        self._turn = list(range(nodes))  # next account of each node
        self._rng = random.Random(seed)
        self.transaction_bytes = 0

    def set_nonce(self, who: int, nonce: int) -> None:
        """The next nonce of an account that has paid before."""
        self._nonces[who] = nonce

    def transfer(self, who: int) -> tuple[bytes, str]:
        """The next transfer of one account to another: (raw, txid)."""
        to = self._rng.randrange(len(self._keys) - 1)
        to += to >= who
        amount = self._rng.randint(1, _AMOUNT_MAX)
        body = Body(
            chain=self._chain,
            sender=self._addresses[who],
            lane=0,
            nonce=self._nonces[who],
            valid_until=time.time_ns() // 1_000_000 + _LIFETIME_MS,
            fee_max=_FEE_MAX,
            payer=b"",
            kind="dollar_transfer",
            fields=(((self._addresses[to], amount, "invoice 1"),),),
        )
        self._nonces[who] += 1
        key = self._keys[who]
        body_bytes = encode(body)
        signature = key.sign(tx_statement(self._chain, body_bytes))
        raw = seal(body_bytes, [(key.public_key, signature)])
        self.transaction_bytes = len(raw)
        return raw, txid_of(body_bytes).hex()

    def request(self, node: int, size: int) -> Request:
        """The next `size` transfers through `node`, each of another account while there are."""
        made: list[tuple[bytes, str]] = []
        for _ in range(size):
            who = self._turn[node]
            self._turn[node] = who + self._nodes
            if self._turn[node] >= len(self._keys):
                self._turn[node] = node
            made.append(self.transfer(who))
        return Request(node, batch_body([raw for raw, _ in made]), tuple(t for _, t in made))

    def requests(self, total: int, size: int) -> Iterator[Request]:
        """About `total` transfers in requests of `size`, node after node."""
        for index in range(-(-total // size)):
            yield self.request(index % self._nodes, size)


def batch_body(raws: Sequence[bytes]) -> bytes:
    """The JSON of one `tx_submit_batch`."""
    quoted = ",".join(f'"{raw.hex()}"' for raw in raws)
    text = f'{{"jsonrpc":"2.0","id":1,"method":"tx_submit_batch","params":{{"raw":[{quoted}]}}}}'
    return text.encode()
