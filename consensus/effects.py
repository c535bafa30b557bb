"""What a replica wants done, in this order. Values only; the driver adds no judgement."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from consensus.journal import Record
from mgsnode.base.block import Certificate
from mgsnode.base.codec import Value
from mgsnode.base.keys import Signed


class Persist(NamedTuple):
    """Append these to the journal and sync it before any later effect."""

    records: tuple[Record, ...]


class Say(NamedTuple):
    """Sign `fields` as `kind` and send it to `to` (a member's index; None: to all).

    `inner` are PRE-PREPARE fields to sign as well; their signatures become the tail of a
    NEW-VIEW. What goes to all comes back to ourselves through the same door.
    """

    kind: Signed
    fields: bytes
    tail: Value = ()
    inner: tuple[bytes, ...] = ()
    to: int | None = None


class BuildBlock(NamedTuple):
    """Build a block on `parent`; answer `BlockBuilt` or `NothingBuilt`."""

    view: int
    height: int
    parent: bytes
    empty: bool  # whether an empty one will do


class CheckBlock(NamedTuple):
    """Get the body, execute it, compare every root; answer `BlockChecked`.

    `tx_hashes` is None for a block proposed again: then the body is asked for by `hash`.
    `sources` are members who ought to have it. A second `CheckBlock` of one hash replaces the
    first: the view has changed, and others are to be asked.
    """

    hash: bytes
    header: bytes
    tx_hashes: tuple[bytes, ...] | None
    sources: tuple[int, ...]


class Decide(NamedTuple):
    """Make the checked block durable with its certificate; answer `Advanced`."""

    height: int
    hash: bytes
    certificate: Certificate


class SetTimer(NamedTuple):
    """Deliver `TimerFired(name, token)` after so many ms."""

    name: str
    token: int
    after_ms: int


class Behind(NamedTuple):
    """A member seems to have this height: ask it for certified blocks from ours on."""

    height: int
    source: int


class SendBlock(NamedTuple):
    """A member lacks a height we have decided: send it the certified block."""

    height: int
    to: int


class Evidence(NamedTuple):
    """Two different signed statements of one member for one place: (fields, signature) each."""

    kind: Signed
    member: int
    first: tuple[bytes, bytes]
    second: tuple[bytes, bytes]


class Dropped(NamedTuple):
    """A refused message: counted and logged."""

    sender: str
    message: str
    why: str


class Entered(NamedTuple):
    """For logs and metrics: the view (and era) that is now, and whether it is active."""

    era: int
    view: int
    active: bool
    why: str


class Demote(NamedTuple):
    """We may not vote any more with this key (an old copy or a twin is running)."""

    why: str


class Halt(NamedTuple):
    """More than f faults became visible: stop the process, keep everything."""

    why: str


Effect: TypeAlias = (
    Persist
    | Say
    | BuildBlock
    | CheckBlock
    | Decide
    | SetTimer
    | Behind
    | SendBlock
    | Evidence
    | Dropped
    | Entered
    | Demote
    | Halt
)
