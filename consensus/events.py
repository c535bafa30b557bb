"""What can happen to a replica. Values only; `Now` is stamped by whoever delivers them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from mgsnode.base.block import Certificate, Header
from mgsnode.base.validators import ValidatorSet


class Now(NamedTuple):
    """Two clocks in ms: one that never jumps (for waiting), one for people (for timestamps)."""

    mono_ms: int
    wall_ms: int


class Start(NamedTuple):
    """The first event of a life."""


class Received(NamedTuple):
    """Bytes from the peer that the transport knows as `sender` (a gateway's name)."""

    sender: str
    raw: bytes


class PeerUp(NamedTuple):
    """The connection to a member stands."""

    name: str


class Work(NamedTuple):
    """Whether a transaction that could be executed now waits in the mempool."""

    waiting: bool


class BlockBuilt(NamedTuple):
    """The answer to `BuildBlock`; `header` is None where there was nothing to build."""

    view: int
    height: int
    hash: bytes
    header: bytes
    body: bytes  # the encoded block; opaque here
    tx_hashes: tuple[bytes, ...]


class NothingBuilt(NamedTuple):
    """The answer to `BuildBlock` where no transaction could be executed."""

    view: int
    height: int


class BlockChecked(NamedTuple):
    """The answer to `CheckBlock`: `why` is None where execution gave the header's roots."""

    hash: bytes
    why: str | None
    body: bytes


class BodyMissing(NamedTuple):
    """The answer to `CheckBlock` where nobody gave the body: no judgement, asked for again."""

    hash: bytes


class Advanced(NamedTuple):
    """A height is durable here, by our own decision or by a certified block that was fetched."""

    header: Header
    hash: bytes
    certificate: Certificate
    members: ValidatorSet  # who decides the next height


class TimerFired(NamedTuple):
    """A timer ran out; stale where a younger token of that name exists."""

    name: str
    token: int


class Fetching(NamedTuple):
    """Whether certified blocks above our height are being fetched."""

    on: bool


class Censored(NamedTuple):
    """An executable transaction waits although blocks with room for it went by."""


class Stalled(NamedTuple):
    """Whether this node must not vote for now (disk nearly full); it serves reads."""

    why: str


Event: TypeAlias = (
    Start
    | Received
    | PeerUp
    | Work
    | BlockBuilt
    | NothingBuilt
    | BlockChecked
    | BodyMissing
    | Advanced
    | TimerFired
    | Fetching
    | Censored
    | Stalled
)
