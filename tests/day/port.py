"""What agents see of a chain and how they act on it: the same for one in memory and a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from mgsnode.base.keys import SigningKey
from tests.day.verdict import Issued, Owed, Told


class Someone(Protocol):
    """Somebody with a key."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> SigningKey: ...
    @property
    def address(self) -> bytes: ...


class Done(NamedTuple):
    """What became of an act."""

    txid: bytes
    reason: str  # the refusal's name, "" if it went well
    fee: int


class Act(NamedTuple):
    """A transaction that somebody wants, and what it does about the outcome."""

    who: Someone
    kind: str
    fields: tuple[Any, ...]
    also: tuple[Someone, ...] = ()
    then: Callable[[Done], None] = lambda _done: None


class Ask(NamedTuple):
    """How a redemption stands."""

    holder: bytes
    status: str
    left_ms: int  # live time until its deadline


class Bonded(NamedTuple):
    """How a gateway stands."""

    status: str
    position: int
    owed: int  # obligations that it is to pay
    room: int
    stops: tuple[str, ...]


class Port(Protocol):
    """A chain as its users reach it."""

    def act(self, acts: Sequence[Act]) -> None:
        """Carry all of them out, in the order of each sender, and tell each its outcome."""

    def now_ms(self) -> int: ...
    def dollars(self, who: Someone) -> int: ...
    def asks(self, rids: Iterable[bytes]) -> dict[bytes, Ask]: ...
    def issues(self, ids: Iterable[bytes]) -> dict[bytes, Issued]: ...
    def obligations(self) -> dict[bytes, Owed]: ...
    def gateway(self, name: str) -> Bonded: ...
    def instant_ms(self) -> int:
        """The end of the last period."""
        ...

    def effective_height(self) -> int:
        """A height that a proposal made now may name."""
        ...

    def told(self) -> Told: ...
