"""The signed envelope around every transaction.

A transaction travels as `raw = encode((body_bytes, ((public_key, signature), ...)))` where
`body_bytes = encode(body)`. Two names follow, each hashed once and kept with the object:

* `txid`         hash of `body_bytes`: replay protection, status, receipts, ids of objects;
* `signed_hash`  hash of `raw`: what a proposal refers to and what `txs_root` covers.

What always holds of a `Transaction` (it is made by `open_transaction` only):
1. `raw` is canonical, at most `TX_BYTES_MAX`, and so are its body's bytes.
2. The body's integers are within their ranges; `chain` is this chain.
3. Signatures: 1 to `TX_SIGNATURES_MAX`, right lengths, strictly rising by public key.
It does not say that the signatures are good (`claims` is what to check) nor that the
signers may act for the sender (the state knows that).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mgsnode.base.codec import Value, decode, decode_shaped, encode
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.hashing import HASH_BYTES, signed_hash_of, txid_of
from mgsnode.base.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Signed, SigningKey, statement
from mgsnode.base.limits import INT_MAX, LANE_MAX, NAME_BYTES_MAX, TX_BYTES_MAX, TX_SIGNATURES_MAX

# Refusals of the envelope (1 to 99). A family's codes begin at 100 x its number.
WRONG_CHAIN: Final = (1, "WRONG_CHAIN")
BAD_SIGNATURE: Final = (2, "BAD_SIGNATURE")
NOT_AUTHORISED: Final = (3, "NOT_AUTHORISED")
BAD_NONCE: Final = (4, "BAD_NONCE")
EXPIRED: Final = (5, "EXPIRED")
VALID_TOO_LONG: Final = (6, "VALID_TOO_LONG")
FEE_TOO_HIGH: Final = (7, "FEE_TOO_HIGH")  # the fee of today exceeds fee_max
FEE_UNAFFORDABLE: Final = (8, "FEE_UNAFFORDABLE")
UNKNOWN_KIND: Final = (9, "UNKNOWN_KIND")
BAD_FIELD: Final = (10, "BAD_FIELD")
MALFORMED_TX: Final = (11, "MALFORMED")  # not a transaction at all; said at the door only
FAMILY_PAUSED: Final = (12, "FAMILY_PAUSED")  # in a block: governance stopped this family
ENVELOPE_REFUSALS: Final = (
    WRONG_CHAIN, BAD_SIGNATURE, NOT_AUTHORISED, BAD_NONCE, EXPIRED, VALID_TOO_LONG,
    FEE_TOO_HIGH, FEE_UNAFFORDABLE, UNKNOWN_KIND, BAD_FIELD, MALFORMED_TX, FAMILY_PAUSED,
)  # fmt: skip

_BODY_ARITY = 9


class Body(NamedTuple):
    """The unsigned body, in the order of its encoding."""

    chain: bytes  # genesis hash, 32
    sender: bytes  # address, 32
    lane: int  # 0 to 255; each lane counts its own nonces
    nonce: int
    valid_until: int  # block time in ms
    fee_max: int  # micro-dollars
    payer: bytes  # address of who pays the fee and signs too, or empty: the sender
    kind: str  # "family_verb"
    fields: tuple[Value, ...]  # positional, as the kind's schema says


class Claim(NamedTuple):
    """One signature to check: does `signature` by `public_key` fit `message`?"""

    public_key: bytes
    message: bytes
    signature: bytes


class Transaction(NamedTuple):
    """An opened transaction; see the module's law for what holds of it."""

    raw: bytes
    signed_hash: bytes
    body_bytes: bytes
    txid: bytes
    body: Body
    signatures: tuple[tuple[bytes, bytes], ...]

    def claims(self) -> list[Claim]:
        """The signatures to check, all over the same statement."""
        message = tx_statement(self.body.chain, self.body_bytes)
        return [Claim(key, message, signature) for key, signature in self.signatures]

    def signers(self) -> frozenset[bytes]:
        """The public keys that signed (good or not)."""
        return frozenset(key for key, _ in self.signatures)

    def fee_payer(self) -> bytes:
        """The address that pays the fee."""
        return self.body.payer or self.body.sender


def tx_statement(genesis_hash: bytes, body_bytes: bytes) -> bytes:
    """What a signer of a transaction signs (`tx_encode` answers it as `signing_bytes`)."""
    return statement(Signed.TX, genesis_hash, body_bytes)


def seal(body_bytes: bytes, signatures: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The raw bytes of a transaction from its body's bytes and (public_key, signature) pairs."""
    return encode((body_bytes, tuple(sorted(signatures))))


def sign_transaction(body: Body, keys: Sequence[SigningKey]) -> bytes:
    """The raw bytes of `body` signed with `keys`."""
    body_bytes = encode(body)
    message = tx_statement(body.chain, body_bytes)
    return seal(body_bytes, [(key.public_key, key.sign(message)) for key in keys])


def open_transaction(
    raw: bytes, genesis_hash: bytes, *, signed_hash: bytes | None = None
) -> Transaction:
    """From untrusted bytes to a `Transaction`; `signed_hash` is theirs, if it is known already.

    Raises `Malformed` where the bytes are not a transaction, `Rejected(WRONG_CHAIN)` where
    they are one of another chain.
    """
    outer = decode_shaped(raw, bytes_max=TX_BYTES_MAX)  # every part is looked at below
    if type(outer) is not tuple or len(outer) != 2:
        raise Malformed("a transaction is (body, signatures)")
    body_bytes, signatures = outer
    if type(body_bytes) is not bytes:
        raise Malformed("a transaction's body is bytes")
    body = open_body(body_bytes)
    pairs = _open_signatures(signatures)
    if body.chain != genesis_hash:
        raise Rejected(WRONG_CHAIN)
    return Transaction(
        raw=raw,
        signed_hash=signed_hash or signed_hash_of(raw),
        body_bytes=body_bytes,
        txid=txid_of(body_bytes),
        body=body,
        signatures=pairs,
    )


def open_body(body_bytes: bytes) -> Body:
    """From untrusted bytes to a `Body` of any chain, else `Malformed`."""
    value = decode(body_bytes, bytes_max=TX_BYTES_MAX)
    if type(value) is not tuple or len(value) != _BODY_ARITY:
        raise Malformed("a body has nine fields")
    chain, sender, lane, nonce, valid_until, fee_max, payer, kind, fields = value
    if type(chain) is not bytes or len(chain) != HASH_BYTES:
        raise Malformed("chain is 32 bytes")
    if type(sender) is not bytes or len(sender) != HASH_BYTES:
        raise Malformed("sender is 32 bytes")
    if type(lane) is not int or not 0 <= lane <= LANE_MAX:
        raise Malformed(f"lane is an integer from 0 to {LANE_MAX}")
    if type(nonce) is not int or not 0 <= nonce < INT_MAX:
        raise Malformed("nonce is an integer from 0")
    if type(valid_until) is not int or valid_until < 0:
        raise Malformed("valid_until is an integer from 0")
    if type(fee_max) is not int or fee_max < 0:
        raise Malformed("fee_max is an integer from 0")
    if type(payer) is not bytes or len(payer) not in (0, HASH_BYTES) or payer == sender:
        raise Malformed("payer is empty or another account's 32 bytes")
    if type(kind) is not str or not 0 < len(kind) <= NAME_BYTES_MAX:
        raise Malformed("kind is a name")
    if type(fields) is not tuple:
        raise Malformed("fields are a list")
    return Body._make(value)


def _open_signatures(signatures: Value) -> tuple[tuple[bytes, bytes], ...]:
    if type(signatures) is not tuple or not 1 <= len(signatures) <= TX_SIGNATURES_MAX:
        raise Malformed(f"a transaction has 1 to {TX_SIGNATURES_MAX} signatures")
    last = b""
    pairs: list[tuple[bytes, bytes]] = []
    for pair in signatures:
        if type(pair) is not tuple or len(pair) != 2:
            raise Malformed("a signature is (public key, signature)")
        key, signature = pair
        if type(key) is not bytes or len(key) != PUBLIC_KEY_BYTES:
            raise Malformed("a public key is 32 bytes")
        if type(signature) is not bytes or len(signature) != SIGNATURE_BYTES:
            raise Malformed("a signature is 64 bytes")
        if key <= last:
            raise Malformed("signatures rise strictly by public key")
        last = key
        pairs.append((key, signature))
    return tuple(pairs)
