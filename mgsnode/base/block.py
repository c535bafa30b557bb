"""Header, block, receipt, certificate: what is final, in the order of its encoding.

A header names one body byte for byte (`txs_root` covers the signed bytes in order) and the
state after it. It holds no view, proposer or signatures, so the same block proposed again in
a later view keeps its hash. Different honest nodes may hold different good certificates of one
block: compare header hashes, never certificates' bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.hashing import HASH_BYTES, header_hash_of, list_root, signed_hash_of
from mgsnode.base.keys import SIGNATURE_BYTES, Signed, is_signed_by, statement
from mgsnode.base.limits import BLOCK_TXS_MAX, FRAME_BYTES_MAX, INT_MAX, VALIDATORS_MAX
from mgsnode.base.validators import ValidatorSet, bitmap_of, indices_of, is_bitmap

PROTOCOL_VERSION = 1
_HEADER_BYTES_MAX = 512
_CERTIFICATE_BYTES_MAX = 4_096  # 31 signatures and the rest
Verify = Callable[[bytes, bytes, bytes], bool]  # (public_key, message, signature) -> good?


class Header(NamedTuple):
    """What a block is named by. Hashes are 32 bytes."""

    version: int
    genesis_hash: bytes
    era: int
    height: int
    parent_hash: bytes
    timestamp_ms: int
    txs_root: bytes
    receipts_root: bytes
    state_root: bytes  # after executing this block
    valset_hash: bytes  # the members who certify this height
    next_valset_hash: bytes  # differs at a barrier: the block that ends its era


def hash_header(header: Header) -> bytes:
    """`bh`, the name of the block."""
    return header_hash_of(encode(header))


def open_header(raw: bytes) -> Header:
    """From untrusted bytes to a `Header` of the right shape, else `Malformed`."""
    value = decode(raw, bytes_max=_HEADER_BYTES_MAX)
    if type(value) is not tuple or len(value) != len(Header._fields):
        raise Malformed("a header has eleven fields")
    header = Header._make(value)
    for name in ("version", "era", "height", "timestamp_ms"):
        item = getattr(header, name)
        if type(item) is not int or not 0 <= item <= INT_MAX:
            raise Malformed(f"header {name} is an integer from 0")
    for name in (
        "genesis_hash", "parent_hash", "txs_root", "receipts_root", "state_root",
        "valset_hash", "next_valset_hash",
    ):  # fmt: skip
        item = getattr(header, name)
        if type(item) is not bytes or len(item) != HASH_BYTES:
            raise Malformed(f"header {name} is 32 bytes")
    return header


class Block(NamedTuple):
    """A header and the signed bytes of its transactions, in order."""

    header: Header
    txs: tuple[bytes, ...]


def encode_block(block: Block) -> bytes:
    """Canonical bytes of a block: (header bytes, (raw transaction, …))."""
    return encode((encode(block.header), block.txs))


def open_block(raw: bytes) -> Block:
    """From untrusted bytes to a `Block` whose body fits its `txs_root`, else `Malformed`."""
    value = decode(raw, bytes_max=FRAME_BYTES_MAX)
    if type(value) is not tuple or len(value) != 2:
        raise Malformed("a block is (header, transactions)")
    header_bytes, txs = value
    if type(header_bytes) is not bytes or type(txs) is not tuple or len(txs) > BLOCK_TXS_MAX:
        raise Malformed("a block is (header, transactions)")
    if any(type(tx) is not bytes for tx in txs):
        raise Malformed("a block's transactions are bytes")
    header = open_header(header_bytes)
    if txs_root([signed_hash_of(tx) for tx in txs]) != header.txs_root:
        raise Malformed("a block's transactions do not fit its txs_root")
    return Block(header, txs)


def txs_root(signed_hashes: Sequence[bytes]) -> bytes:
    """Root over the hashes of the signed transactions, in order."""
    return list_root(signed_hashes, tag=b"txs")


class Event(NamedTuple):
    """Something that happened to somebody: a name and positional values (see `tx_kinds`)."""

    name: str
    values: tuple[Value, ...]


class Receipt(NamedTuple):
    """A transaction's fate. `code` 0 is success; the fee is charged either way."""

    txid: bytes
    code: int
    fee: int  # micro-dollars
    events: tuple[Event, ...]


def receipts_root(encoded: Sequence[bytes]) -> bytes:
    """Root over the encoded receipts, in order."""
    return list_root(encoded, tag=b"receipts")


def open_receipt(value: Value) -> Receipt:
    """A receipt from its decoded value (our own store or a proof), else `Malformed`."""
    match value:
        case (bytes() as txid, int() as code, int() as fee, tuple() as events):
            opened: list[Event] = []
            for event in events:
                match event:
                    case (str() as name, tuple() as values):
                        opened.append(Event(name, values))
                    case _:
                        raise Malformed("an event is (name, values)")
            return Receipt(txid, code, fee, tuple(opened))
    raise Malformed("a receipt is (txid, code, fee, events)")


class Certificate(NamedTuple):
    """A quorum's COMMIT signatures for one block.

    `bitmap` has bit i (byte i//8, value 1 << i%8) set for each signing member i;
    `signatures` stand in the order of the members' indices.
    """

    era: int
    view: int
    height: int
    hash: bytes
    bitmap: bytes
    signatures: tuple[bytes, ...]

    def indices(self) -> list[int]:
        """The signing members' indices, rising."""
        return indices_of(self.bitmap)


def make_certificate(
    *, era: int, view: int, height: int, block_hash: bytes, votes: dict[int, bytes], n: int
) -> Certificate:
    """A certificate from {member index: COMMIT signature} of a set of n."""
    signatures = tuple(votes[index] for index in sorted(votes))
    return Certificate(era, view, height, block_hash, bitmap_of(votes, n), signatures)


def open_certificate(raw: bytes) -> Certificate:
    """From untrusted bytes to a `Certificate` of the right shape, else `Malformed`."""
    return certificate_of(decode(raw, bytes_max=_CERTIFICATE_BYTES_MAX))


def certificate_of(value: Value) -> Certificate:
    """A certificate from a decoded value, else `Malformed`. Signatures are not checked."""
    match value:
        case (
            int() as era, int() as view, int() as height,
            bytes() as block_hash, bytes() as bitmap, tuple() as signatures,
        ):  # fmt: skip
            if min(era, view, height) < 0 or True in map(_is_bool, (era, view, height)):
                raise Malformed("a certificate's numbers are integers from 0")
            if len(block_hash) != HASH_BYTES or len(bitmap) > (VALIDATORS_MAX + 7) // 8:
                raise Malformed("a certificate's hash is 32 bytes, its bitmap at most 4")
            if any(type(s) is not bytes or len(s) != SIGNATURE_BYTES for s in signatures):
                raise Malformed("a signature is 64 bytes")
            if sum(byte.bit_count() for byte in bitmap) != len(signatures):
                raise Malformed("a certificate has one signature for each bit")
            return Certificate(era, view, height, block_hash, bitmap, signatures)
    raise Malformed("a certificate has six fields")


def _is_bool(value: int) -> bool:
    return type(value) is bool


def vote_fields(era: int, view: int, height: int, block_hash: bytes, index: int) -> bytes:
    """Canonical (era, view, height, hash, index): what PREPARE and COMMIT sign."""
    return encode((era, view, height, block_hash, index))


def check_certificate(
    certificate: Certificate,
    header: Header,
    members: ValidatorSet,
    *,
    verify: Verify = is_signed_by,
) -> str | None:
    """Why `certificate` does not prove `header` final under `members`; None if it does.

    Every signature present is checked, not just enough of them: a bad one is a bad certificate.
    """
    if header.valset_hash != members.hash:
        return "certificate is judged by a validator set that the header does not name"
    if (certificate.era, certificate.height) != (header.era, header.height):
        return "certificate is for another height or era"
    if certificate.hash != hash_header(header):
        return "certificate is for another block hash"
    indices = certificate.indices()
    if not is_bitmap(certificate.bitmap, members.n):
        return "certificate names a member that does not exist"
    if len(indices) < members.quorum:
        return f"certificate has {len(indices)} signatures, a quorum is {members.quorum}"
    for index, signature in zip(indices, certificate.signatures, strict=True):
        message = statement(
            Signed.COMMIT,
            header.genesis_hash,
            vote_fields(
                certificate.era, certificate.view, certificate.height, certificate.hash, index
            ),
        )
        if not verify(members.members[index].public_key, message, signature):
            return f"certificate signature of member {index} is bad"
    return None


def require_certificate(certificate: Certificate, header: Header, members: ValidatorSet) -> None:
    """`check_certificate` for what we stored ourselves: raises `Corrupt`."""
    why = check_certificate(certificate, header, members)
    if why is not None:
        raise Corrupt(f"height {header.height}: {why}")
