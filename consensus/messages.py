"""What replicas say to each other: shapes and their one spelling, no judgement.

On the wire a message is `encode((kind, fields, signature, tail))`: `fields` are the canonical
bytes that the signature covers (see `mgsnode.base.keys.statement`), `tail` is what travels
beside them and is bound by a hash in the fields or is free advice. Bytes are never encoded
again after they were received: a `Message` keeps them. Consensus rules: README.md R2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from mgsnode.base.block import Certificate, certificate_of, hash_header, open_header
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.keys import SIGNATURE_BYTES, Signed
from mgsnode.base.limits import BLOCK_TXS_MAX, FRAME_BYTES_MAX, VALIDATORS_MAX, WINDOW

REASON_CHARS_MAX = 128  # a complaint's reason is for a log line
_ENTRIES_MAX = 8  # the widest window that the rules hold for
assert WINDOW <= _ENTRIES_MAX
_BITMAP_BYTES_MAX = (VALIDATORS_MAX + 7) // 8


class PrePrepare(NamedTuple):
    """The primary's proposal and its vote for it. Signed: the first four."""

    era: int
    view: int
    height: int
    hash: bytes
    header: bytes  # canonical header; `hash` names it
    tx_hashes: tuple[bytes, ...]  # signed hashes in order; the header's txs_root binds them


class Vote(NamedTuple):
    """PREPARE or COMMIT."""

    era: int
    view: int
    height: int
    hash: bytes
    member: int


class Complain(NamedTuple):
    """ "I want to leave this view": not binding."""

    era: int
    view: int
    member: int
    reason: str  # unsigned, for people


class Signatures(NamedTuple):
    """Several members' signatures of statements that differ in the index alone."""

    bitmap: bytes
    signatures: tuple[bytes, ...]


class Entry(NamedTuple):
    """A prepared proposal with its proof: the primary's signature and Q-1 PREPAREs."""

    view: int
    header: bytes
    primary_signature: bytes
    prepares: Signatures


class ViewChange(NamedTuple):
    """The binding promise never to vote below `view` again. All of it is signed."""

    era: int
    view: int
    height: int  # last decided here
    hash: bytes
    certificate: Certificate | None  # of that height; None for the genesis
    exit: Signatures  # Q COMPLAINs about view - 1
    prepared: tuple[Entry, ...]
    member: int


class NewView(NamedTuple):
    """The new primary's start: Q view changes and what follows from them."""

    era: int
    view: int
    view_changes: tuple[tuple[bytes, bytes], ...]  # (fields, signature) as received
    headers: tuple[bytes, ...]  # the choice: headers proposed again, rising by height
    proposals: tuple[bytes, ...]  # unsigned here: the PRE-PREPARE signature of each header


class Checkpoint(NamedTuple):
    """ "This height is durable here"; Q of them make it stable."""

    era: int
    height: int
    hash: bytes
    state_root: bytes
    member: int


class Status(NamedTuple):
    """Where its sender stands, to one addressee; drives all resending."""

    era: int
    view: int
    active: bool
    height: int
    member: int
    to: int
    held_hash: bytes  # proposal held for height + 1 in this view, or empty
    prepares: bytes  # bitmap of PREPAREs held for it
    commits: bytes
    seen: tuple[Value, ...]  # (kind, fields, signature): the addressee's furthest vote, or ()


Content: TypeAlias = PrePrepare | Vote | Complain | ViewChange | NewView | Checkpoint | Status


class Message(NamedTuple):
    """A message as received: its bytes' parts and what they say. The signature is unchecked."""

    kind: Signed
    fields: bytes
    signature: bytes
    content: Content


def encode_message(kind: Signed, fields: bytes, signature: bytes, tail: Value) -> bytes:
    """The wire bytes of a message."""
    return encode((int(kind), fields, signature, tail))


def open_message(raw: bytes) -> Message:
    """From untrusted bytes to a `Message` of the right shape, else `Malformed`.

    Nothing is verified but the shape; `consensus.signed` judges.
    """
    match decode(raw, bytes_max=FRAME_BYTES_MAX):
        case (int() as number, bytes() as fields, bytes() as signature, tail):
            if len(signature) != SIGNATURE_BYTES:
                raise Malformed("a signature is 64 bytes")
            content = _OPENERS.get(number, _open_unknown)(fields, tail)
            return Message(Signed(number), fields, signature, content)
    raise Malformed("a message is (kind, fields, signature, tail)")


def _open_unknown(_fields: bytes, _tail: Value) -> Content:
    raise Malformed("a message of an unknown kind")


def _items(fields: bytes, shape: str) -> tuple[Value, ...]:
    """The decoded fields, each of the type that its letter in `shape` names.

    i: integer from 0; h: 32 bytes; b: bytes; t: tuple; f: bool.
    """
    value = decode(fields, bytes_max=FRAME_BYTES_MAX)
    return items_of(value, shape)


def items_of(value: Value, shape: str) -> tuple[Value, ...]:
    """`value` as a tuple whose items have the types of `shape` (see `_items`), else `Malformed`."""
    if type(value) is not tuple or len(value) != len(shape):
        raise Malformed("a message's fields have another number")
    for letter, item in zip(shape, value, strict=True):
        kind = type(item)
        good = (
            (letter == "i" and kind is int and item >= 0)
            or (letter == "h" and kind is bytes and len(item) == HASH_BYTES)
            or (letter == "b" and kind is bytes)
            or (letter == "t" and kind is tuple)
            or (letter == "f" and kind is bool)
        )
        if not good:
            raise Malformed("a message's field has another type")
    return value


def _no_tail(tail: Value) -> None:
    if tail != ():
        raise Malformed("a tail where none belongs")


def pre_prepare_fields(era: int, view: int, height: int, block_hash: bytes) -> bytes:
    """What a PRE-PREPARE's signature covers."""
    return encode((era, view, height, block_hash))


def _open_pre_prepare(fields: bytes, tail: Value) -> PrePrepare:
    era, view, height, block_hash = _items(fields, "iiih")
    header, tx_hashes = items_of(tail, "bt")
    if len(tx_hashes) > BLOCK_TXS_MAX or any(  # type: ignore[arg-type]  # items_of: a tuple
        type(h) is not bytes or len(h) != HASH_BYTES
        for h in tx_hashes  # type: ignore[union-attr]
    ):
        raise Malformed("a proposal's transactions are hashes")
    return PrePrepare(era, view, height, block_hash, header, tx_hashes)  # type: ignore[arg-type]


def _open_vote(fields: bytes, tail: Value) -> Vote:
    _no_tail(tail)
    return Vote._make(_items(fields, "iiihi"))


def complain_fields(era: int, view: int, member: int) -> bytes:
    """What a COMPLAIN's signature covers."""
    return encode((era, view, member))


def _open_complain(fields: bytes, tail: Value) -> Complain:
    if type(tail) is not str or len(tail) > REASON_CHARS_MAX:
        raise Malformed("a complaint's reason is a short text")
    era, view, member = _items(fields, "iii")
    return Complain(era, view, member, tail)  # type: ignore[arg-type]


def signatures_of(value: Value) -> Signatures:
    """A `Signatures` from a decoded value, one signature for each bit, else `Malformed`."""
    bitmap, signatures = items_of(value, "bt")
    assert type(bitmap) is bytes and type(signatures) is tuple
    if len(bitmap) > _BITMAP_BYTES_MAX:
        raise Malformed("a bitmap is too long")
    if any(type(s) is not bytes or len(s) != SIGNATURE_BYTES for s in signatures):
        raise Malformed("a signature is 64 bytes")
    if sum(byte.bit_count() for byte in bitmap) != len(signatures):
        raise Malformed("one signature for each bit")
    return Signatures(bitmap, signatures)


def entry_of(value: Value) -> Entry:
    """A prepared entry from a decoded value, else `Malformed`."""
    view, header, signature, prepares = items_of(value, "ibbt")
    if len(signature) != SIGNATURE_BYTES:  # type: ignore[arg-type]
        raise Malformed("a signature is 64 bytes")
    return Entry(view, header, signature, signatures_of(prepares))  # type: ignore[arg-type]


def view_change_fields(change: ViewChange) -> bytes:
    """What a VIEW-CHANGE's signature covers: all of it."""
    certificate = () if change.certificate is None else (change.certificate,)
    return encode(change._replace(certificate=certificate))  # type: ignore[arg-type]


def open_view_change(fields: bytes, tail: Value = ()) -> ViewChange:
    """A VIEW-CHANGE from the bytes its signature covers, else `Malformed`."""
    _no_tail(tail)
    items = _items(fields, "iiihttti")
    era, view, height, block_hash, certificate, leave, prepared, member = items
    assert type(certificate) is tuple and type(prepared) is tuple
    if len(certificate) > 1 or len(prepared) > _ENTRIES_MAX:
        raise Malformed("a view change carries one certificate and a window of entries")
    return ViewChange(
        era,  # type: ignore[arg-type]
        view,  # type: ignore[arg-type]
        height,  # type: ignore[arg-type]
        block_hash,  # type: ignore[arg-type]
        certificate_of(certificate[0]) if certificate else None,
        signatures_of(leave),
        tuple(entry_of(entry) for entry in prepared),
        member,  # type: ignore[arg-type]
    )


def new_view_fields(
    era: int, view: int, view_changes: Sequence[tuple[bytes, bytes]], headers: Sequence[bytes]
) -> bytes:
    """What a NEW-VIEW's signature covers."""
    return encode((era, view, tuple(view_changes), tuple(headers)))


def _open_new_view(fields: bytes, tail: Value) -> NewView:
    era, view, changes, headers = _items(fields, "iitt")
    assert type(changes) is tuple and type(headers) is tuple
    if type(tail) is not tuple or len(tail) != len(headers):
        raise Malformed("a new view has one proposal signature for each header")
    if len(changes) > VALIDATORS_MAX or len(headers) > _ENTRIES_MAX:
        raise Malformed("a new view carries too much")
    pairs = tuple(items_of(change, "bb") for change in changes)
    if any(type(item) is not bytes for item in (*headers, *tail)):
        raise Malformed("a new view's headers are bytes")
    return NewView(era, view, pairs, headers, tail)  # type: ignore[arg-type]


def new_view_proposals(fields: bytes) -> tuple[bytes, ...]:
    """The PRE-PREPARE fields that one's own NEW-VIEW proposes again, from its fields."""
    era, view, _, headers = _items(fields, "iitt")
    assert type(era) is int and type(view) is int and type(headers) is tuple
    proposals = []
    for raw in headers:
        assert type(raw) is bytes
        header = open_header(raw)
        proposals.append(pre_prepare_fields(era, view, header.height, hash_header(header)))
    return tuple(proposals)


def _open_checkpoint(fields: bytes, tail: Value) -> Checkpoint:
    _no_tail(tail)
    return Checkpoint._make(_items(fields, "iihhi"))


def status_fields(status: Status) -> bytes:
    """What a STATUS' signature covers: all of it."""
    return encode(status)


def _open_status(fields: bytes, tail: Value) -> Status:
    _no_tail(tail)
    status = Status._make(_items(fields, "iifiiibbbt"))
    if len(status.held_hash) not in (0, HASH_BYTES):
        raise Malformed("a status holds a hash or nothing")
    if max(len(status.prepares), len(status.commits)) > _BITMAP_BYTES_MAX:
        raise Malformed("a bitmap is too long")
    if status.seen:
        items_of(status.seen, "ibb")
    return status


_OPENERS: dict[int, Callable[[bytes, Value], Content]] = {
    Signed.PRE_PREPARE: _open_pre_prepare,
    Signed.PREPARE: _open_vote,
    Signed.COMMIT: _open_vote,
    Signed.COMPLAIN: _open_complain,
    Signed.VIEW_CHANGE: open_view_change,
    Signed.NEW_VIEW: _open_new_view,
    Signed.CHECKPOINT: _open_checkpoint,
    Signed.STATUS: _open_status,
}
