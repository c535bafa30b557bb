"""A wallet of many keys: it counts nonces, knows the fees and signs; it never asks a node.

Whoever signs for an account here is the only one who does, so the nonces count up from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mgsnode.base.address import address_text
from mgsnode.base.codec import encode
from mgsnode.base.hashing import address_of, txid_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import TX_LIFETIME_MS_MAX
from mgsnode.base.transaction import Body, seal, tx_statement
from state.registry import FEE_WEIGHT_UNIT, standard_registry

_NONCE_LARGE = 1 << 20  # its encoding is as long as any we shall count to
_SIGNATURE_BYTES = 104  # key, signature and their heads


class Fees(NamedTuple):
    """What a transaction costs today, as `tx_kinds` says it."""

    base: int  # micro-dollars
    byte: int
    weights: Mapping[str, int]

    @classmethod
    def of(cls, tx_kinds: Mapping[str, Any]) -> Fees:
        """From the answer of `tx_kinds`."""
        weights = {item["kind"]: int(item["fee_weight"]) for item in tx_kinds["items"]}
        return cls(int(tx_kinds["fee_base"]), int(tx_kinds["fee_byte"]), weights)

    def fee(self, kind: str, size: int) -> int:
        """The fee of a transaction of `size` signed bytes."""
        return -(-self.base * self.weights[kind] // FEE_WEIGHT_UNIT) + self.byte * size


class Signed(NamedTuple):
    """A signed transaction."""

    kind: str
    txid: bytes
    raw: bytes
    fee: int  # micro-dollars


class Wallet:
    """See the module's law."""

    def __init__(self, chain: bytes, hrp: str, fees: Fees, now_ms: int) -> None:
        self.hrp = hrp
        self.fees = fees
        self._chain = chain
        self._valid_until = now_ms + TX_LIFETIME_MS_MAX // 2
        self._nonces: dict[tuple[bytes, int], int] = {}
        self._kinds = standard_registry().kinds

    def address(self, key: SigningKey) -> str:
        """The account of a key, as text."""
        return address_text(address_of(key.public_key), self.hrp)

    def sign(
        self,
        key: SigningKey,
        kind: str,
        fields: Mapping[str, Any],
        *,
        cosigners: Sequence[SigningKey] = (),
        lane: int = 0,
    ) -> Signed:
        """The next transaction of the key's account; `fields` as in JSON."""
        sender = address_of(key.public_key)
        nonce = self._nonces.get((sender, lane), 0)
        self._nonces[sender, lane] = nonce + 1
        body = self._body(sender, lane, nonce, kind, fields)
        message = tx_statement(self._chain, body)
        signatures = [(each.public_key, each.sign(message)) for each in (key, *cosigners)]
        raw = seal(body, signatures)
        return Signed(kind, txid_of(body), raw, self.fees.fee(kind, len(raw)))

    def fee_bound(self, key: SigningKey, kind: str, fields: Mapping[str, Any]) -> int:
        """At least what such a transaction will cost, signed by its sender alone."""
        body = self._body(address_of(key.public_key), 0, _NONCE_LARGE, kind, fields)
        return self.fees.fee(kind, len(body) + _SIGNATURE_BYTES + 16)

    def _body(
        self, sender: bytes, lane: int, nonce: int, kind: str, fields: Mapping[str, Any]
    ) -> bytes:
        wire = self._kinds[kind].fields.from_json(fields, self.hrp)
        assert isinstance(wire, tuple)
        size = len(encode(wire)) + 512
        fee_max = 2 * self.fees.fee(kind, size)
        return encode(
            Body(self._chain, sender, lane, nonce, self._valid_until, fee_max, b"", kind, wire)
        )
