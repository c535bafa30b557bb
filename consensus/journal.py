"""The vote journal's records and how a life is recovered from them. Pure: bytes in, values out.

A frame is `length(4) ‖ crc32(4) ‖ seq(8) ‖ payload`, big-endian; the checksum covers seq and
payload, seq rises by one from a number that nobody can guess: else whoever may put bytes into a
block could put a frame there, and a torn body would count as corruption. The payload is a
record, or all records of one write: a disk may keep the end of a write that was cut and not its
beginning. A frame that ends beyond the file, or is bad with nothing good behind it, is such a
write: it was never spoken of, so it is dropped. A bad frame *before* a good one is corruption:
stop (case 40). The file itself, its syncing and the vote key belong to `mgsnode/guard.py`. Rules
R5 and R6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from zlib import crc32

from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Corrupt, Malformed
from mgsnode.base.limits import FRAME_BYTES_MAX

FORMAT = 1
_HEAD = struct.Struct(">IIQ")
_FRAMES_MAX = 2**32  # of one segment, which holds some ten thousand at most


class Opened(NamedTuple):
    """The first record: whose journal this is."""

    format: int
    genesis_hash: bytes
    public_key: bytes


class Floor(NamedTuple):
    """What older records promised, kept when they are dropped.

    A chain whose next height is not above `dropped` is older than this journal remembers: an
    old copy, for which nothing may be signed until it has passed.
    """

    era: int
    view: int
    height: int  # the highest voted on
    dropped: int = 0  # the highest whose votes are not in the journal any more


class Body(NamedTuple):
    """The encoded block that votes name by hash."""

    hash: bytes
    body: bytes


class Voted(NamedTuple):
    """A proposal, PREPARE or COMMIT about to be signed.

    `proof` is the primary's PRE-PREPARE signature for a PREPARE, the encoded prepared entry
    for a COMMIT, empty for one's own proposal.
    """

    kind: int  # Signed.PRE_PREPARE, PREPARE or COMMIT
    era: int
    view: int
    height: int
    hash: bytes
    header: bytes
    proof: bytes


class Left(NamedTuple):
    """A VIEW-CHANGE about to be signed: closes every lower view for ever."""

    era: int
    view: int
    fields: bytes


class Made(NamedTuple):
    """A NEW-VIEW about to be signed."""

    era: int
    view: int
    fields: bytes


class Joined(NamedTuple):
    """A NEW-VIEW accepted: the view is active here."""

    era: int
    view: int
    base: int
    headers: tuple[bytes, ...]


Record: TypeAlias = Opened | Floor | Body | Voted | Left | Made | Joined
_KINDS: tuple[type[Record], ...] = (Opened, Floor, Body, Voted, Left, Made, Joined)
_NUMBER_OF = {kind: number for number, kind in enumerate(_KINDS, start=1)}
_SHAPES: dict[type[Record], tuple[type, ...]] = {
    Opened: (int, bytes, bytes),
    Floor: (int, int, int, int),
    Body: (bytes, bytes),
    Voted: (int, int, int, int, bytes, bytes, bytes),
    Left: (int, int, bytes),
    Made: (int, int, bytes),
    Joined: (int, int, int, tuple),
}


def encode_record(seq: int, record: Record) -> bytes:
    """The frame of one record."""
    return _seal(seq, encode((_NUMBER_OF[type(record)], record)))


def encode_records(seq: int, records: Sequence[Record]) -> bytes:
    """The one frame of what is written at once: all of it is there, or none."""
    return _seal(seq, encode(tuple((_NUMBER_OF[type(record)], record) for record in records)))


def _seal(seq: int, payload: bytes) -> bytes:
    sealed = seq.to_bytes(8, "big") + payload
    return _HEAD.pack(len(payload), crc32(sealed), seq) + payload


class Reading(NamedTuple):
    """What a journal file holds: its records, and how many of its bytes they are."""

    records: tuple[Record, ...]
    good_bytes: int
    next_seq: int


def read_journal(raw: bytes) -> Reading:
    """All records of a journal file. Raises `Corrupt` where a bad frame precedes a good one."""
    records: list[Record] = []
    offset, seq = 0, 0
    while (frame := _frame_at(raw, offset)) is not None and (not records or frame[0] == seq):
        seq, payload = frame
        records.extend(_open_records(payload))
        offset += _HEAD.size + len(payload)
        seq += 1
    if _good_frame_after(raw, offset, seq if records else None):
        raise Corrupt(f"vote journal: a bad record at byte {offset} stands before a good one")
    return Reading(tuple(records), offset, seq)


def _frame_at(raw: bytes, offset: int) -> tuple[int, bytes] | None:
    """(seq, payload) of a whole and sound frame at `offset`, else None."""
    if offset + _HEAD.size > len(raw):
        return None
    length, crc, seq = _HEAD.unpack_from(raw, offset)
    end = offset + _HEAD.size + length
    if not 0 < length <= 2 * FRAME_BYTES_MAX or end > len(raw):
        return None
    if crc32(raw[offset + 8 : end]) != crc:
        return None
    return seq, raw[offset + _HEAD.size : end]


def _good_frame_after(raw: bytes, offset: int, seq: int | None) -> bool:
    """Whether a sound frame of this journal, later than `seq` (None: any), stands behind."""
    if not raw[offset:].strip(b"\0"):
        return False
    for at in range(offset, len(raw) - _HEAD.size):
        frame = _frame_at(raw, at)
        if frame is not None and (seq is None or 0 <= frame[0] - seq < _FRAMES_MAX):
            return True
    return False


def _open_records(payload: bytes) -> list[Record]:
    try:
        value = decode(payload, bytes_max=2 * FRAME_BYTES_MAX)
    except Malformed as error:
        raise Corrupt(f"vote journal: a sound record that is no value: {error}") from None
    if type(value) is tuple and value and type(value[0]) is tuple:
        return [_record_of(item) for item in value]
    return [_record_of(value)]


def _record_of(value: Value) -> Record:
    match value:
        case (int() as number, tuple() as items) if 0 < number <= len(_KINDS):
            kind = _KINDS[number - 1]
            shape = _SHAPES[kind]
            if len(items) == len(shape) and all(
                type(item) is wanted for item, wanted in zip(items, shape, strict=True)
            ):
                return kind._make(items)
    raise Corrupt("vote journal: a record of an unknown kind")


Place: TypeAlias = tuple[int, int, int, int]  # (kind, era, view, height)


@dataclass(slots=True)
class Recovered:
    """What a journal says that this key ever promised.

    `view` and `active` are of the highest era seen; a fresh journal says view 0, active.
    """

    opened: Opened
    floor: Floor = field(default=Floor(0, 0, 0))  # a value, never changed
    era: int = 0
    view: int = 0
    active: bool = True
    base: int = 0
    choice: tuple[bytes, ...] = ()
    left: Left | None = None
    made: Made | None = None
    votes: dict[Place, Voted] = field(default_factory=dict)
    bodies: dict[bytes, bytes] = field(default_factory=dict)


def recover(records: Iterable[Record]) -> Recovered:
    """The promises of a journal's records, in order. Raises `Corrupt` if it has no opening."""
    stream: Iterator[Record] = iter(records)
    opened = next(stream, None)
    if not isinstance(opened, Opened):
        raise Corrupt("vote journal: its first record does not say whose it is")
    if opened.format != FORMAT:
        raise Corrupt(f"vote journal: format {opened.format}, this program reads {FORMAT}")
    state = Recovered(opened)
    for record in stream:
        note(state, record)
    return state


def note(state: Recovered, record: Record) -> None:
    """Adds one record to what is known: the same step while reading and while writing."""
    match record:
        case Floor():
            _to_era(state, record.era)
            state.view = max(state.view, record.view)
            _raise_floor(state, record.era, record.view, record.height)
            _drop_to(state, record.dropped)
        case Body():
            state.bodies[record.hash] = record.body
        case Voted():
            _to_era(state, record.era)
            state.votes[record.kind, record.era, record.view, record.height] = record
            _raise_floor(state, record.era, record.view, record.height)
        case Left():
            _to_era(state, record.era)
            state.view, state.active, state.left = record.view, False, record
            state.base, state.choice = 0, ()
            _raise_floor(state, record.era, record.view)
        case Made():
            _to_era(state, record.era)
            state.made = record
            _raise_floor(state, record.era, record.view)
        case Joined():
            _to_era(state, record.era)
            state.view, state.active = record.view, True
            state.base, state.choice = record.base, record.headers
            _raise_floor(state, record.era, record.view)
        case Opened():
            raise Corrupt("vote journal: a second opening record")


def _raise_floor(state: Recovered, era: int, view: int, height: int = 0) -> None:
    promised = max((state.floor.era, state.floor.view), (era, view))
    state.floor = Floor(*promised, max(state.floor.height, height), state.floor.dropped)


def _drop_to(state: Recovered, height: int) -> None:
    state.floor = state.floor._replace(dropped=max(state.floor.dropped, height))


def _to_era(state: Recovered, era: int) -> None:
    """A record of a later era starts it at view 0, active, with nothing promised."""
    if era > state.era:
        state.era, state.view, state.active = era, 0, True
        state.base, state.choice, state.left, state.made = 0, (), None, None


def live_records(state: Recovered, *, decided: int) -> tuple[Record, ...]:
    """What a new journal segment begins with once height `decided` is durable in the chain.

    The opening, the floor, where the view stands, and every vote and body above `decided`.
    """
    floor = state.floor._replace(dropped=max(state.floor.dropped, decided))
    records: list[Record] = [state.opened, floor]
    if state.left is not None:
        records.append(state.left)
    if state.made is not None:
        records.append(state.made)
    if state.active and state.view > 0:
        records.append(Joined(state.era, state.view, state.base, state.choice))
    votes = [v for _, v in sorted(state.votes.items()) if v.height > decided]
    for block_hash in dict.fromkeys(vote.hash for vote in votes):
        if block_hash in state.bodies:
            records.append(Body(block_hash, state.bodies[block_hash]))
    records.extend(votes)
    return tuple(records)


def forget(state: Recovered, *, decided: int) -> None:
    """Drops votes at or below `decided` and bodies that no vote names; the floor stays."""
    _drop_to(state, decided)
    state.votes = {p: v for p, v in state.votes.items() if v.height > decided}
    named = {vote.hash for vote in state.votes.values()}
    state.bodies = {h: body for h, body in state.bodies.items() if h in named}
