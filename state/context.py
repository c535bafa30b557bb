"""What a family's code is given: the draft, the clocks, the parameters and the few ways to act.

A context lives for one block and is opened for each transaction or due item in it. Families
read and write records through `draft`, speak through `emit`, and meet others through `fire`.
It decides nothing. Here also stand the tables of the core: clock, due queue, pauses, parameters,
and the roots of the last heights (a joiner shows by one of them that it follows the chain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from mgsnode.base.block import Event
from mgsnode.base.codec import Value
from mgsnode.base.errors import Fact, Rejected
from state.draft import Draft, Reader
from state.fields import Struct
from state.table import Table, bytes_key, int_key, pair_key, text_key

K = TypeVar("K")
R = TypeVar("R")
Refusal: TypeAlias = tuple[int, str]
Fault: TypeAlias = tuple[Refusal, dict[str, Fact]]
Fields: TypeAlias = tuple[Any, ...]  # checked by the kind's or action's Struct, by position
Hook: TypeAlias = Callable[..., Any]
DEV_TIME_LOWEST_MS = 1_000  # a development genesis lowers the lowest bound of times to this


class Clock(NamedTuple):
    """The one row of time."""

    time_ms: int  # of the last block
    live_ms: int  # the live clock: like time_ms, less what outages took
    due_from_ms: int  # live time; no row of the due queue stands before this on its clock


class Version(NamedTuple):
    """Which version of the protocol the chain speaks, by a passed proposal."""

    version: int
    first_height: int  # the first height of that version


class Due(NamedTuple):
    """One thing that falls due; all there is to say of it stands in the key."""


class Pause(NamedTuple):
    """How long a family's deadlines have stood still, and whether they do now."""

    is_paused: bool
    since_ms: int  # live time at which it was paused; 0 while it is not
    stood_ms: int  # in pauses that are over


class Param(NamedTuple):
    """A parameter as it stands."""

    value: int


CLOCK: Table[bytes, Clock] = Table(1, "core/clock", Clock, bytes_key(0))
# Key: ((family, due time in ms on the family's own clock), object id).
DUE: Table[tuple[tuple[int, int], bytes], Due] = Table(
    2, "core/due", Due, pair_key(pair_key(int_key(1), int_key()), bytes_key())
)
PARAM: Table[str, Param] = Table(3, "core/param", Param, text_key())


class Root(NamedTuple):
    """The state root after a height."""

    height: int
    root: bytes


# Key: height modulo ROOTS_KEPT. A height's root is known to the heights above it.
ROOT: Table[int, Root] = Table(4, "core/root", Root, int_key(2))
ROOTS_KEPT = 4_096  # an hour at a block a second
# A family that was never paused has no row.
PAUSE: Table[int, Pause] = Table(5, "core/pause", Pause, int_key(1))
# Absent: version 1 from the genesis on.
VERSION: Table[bytes, Version] = Table(6, "core/version", Version, bytes_key(0))
FIRST_VERSION = Version(1, 0)
_QUEUED = Due()
NEVER_PAUSED = Pause(False, 0, 0)


class ParamSpec(NamedTuple):
    """A parameter: its default and the bounds that no proposal can leave."""

    name: str
    default: int
    lowest: int
    highest: int
    doc: str
    is_time: bool = False  # in ms; its lowest bound falls to 1 s in a development genesis

    def bounds(self, network: str) -> tuple[int, int]:
        """(lowest, highest) on this network."""
        return time_bounds(network, self.lowest, self.highest) if self.is_time else self[2:4]


def time_bounds(network: str, lowest_ms: int, highest_ms: int) -> tuple[int, int]:
    """The bounds of a time on this network (ledger.md, ground rule 8)."""
    if network == "dev":
        return min(lowest_ms, DEV_TIME_LOWEST_MS), highest_ms
    return lowest_ms, highest_ms


class Action(NamedTuple):
    """One thing that a proposal can ask for.

    `why_not(ctx, args)` says why it cannot be done as things stand, or None; `make(ctx, args,
    proposal id)` does it and cannot fail right after that. Proposing asks `why_not` once, taking
    effect asks again. `concerns_seats`: it may change the validator set.
    """

    args: Struct
    why_not: Callable[[Context, Fields], Fault | None]
    make: Callable[[Context, Fields, bytes], None]
    concerns_seats: bool = False


class Params(dict[str, int]):
    """The parameters of one block by name, each read once, when it is first asked for."""

    __slots__ = ("_defaults", "_reader")

    def __init__(self, reader: Reader, defaults: Mapping[str, int]) -> None:
        super().__init__()
        self._reader = reader
        self._defaults = defaults

    def __missing__(self, name: str) -> int:
        row = self._reader.get(PARAM, name)
        value = self[name] = self._defaults[name] if row is None else row.value
        return value

    def forget(self, name: str) -> None:
        """It has just been changed."""
        self.pop(name, None)


def version_of(reader: Reader) -> Version:
    """The version that the next height speaks, and since when."""
    return reader.get(VERSION, b"") or FIRST_VERSION


def pause_of(reader: Reader, family: int) -> Pause:
    """Whether and how long the family's deadlines stood still."""
    return reader.get(PAUSE, family) or NEVER_PAUSED


def family_ms(pause: Pause, live_ms: int) -> int:
    """What a family's own clock shows at live time `live_ms`: pauses take nobody's time."""
    return (pause.since_ms if pause.is_paused else live_ms) - pause.stood_ms


def live_at(reader: Reader, family: int, at_ms: int) -> int:
    """The live time at which the family's own clock shows `at_ms`, for readers: if it stands still
    now, as if it went on from here.
    """
    clock = reader.get(CLOCK, b"")
    assert clock is not None, "the genesis sets the clock"
    return clock.live_ms + at_ms - family_ms(pause_of(reader, family), clock.live_ms)


def is_scheduled(reader: Reader, family: int, at_ms: int, object_id: bytes) -> bool:
    """Whether `object_id` stands in the due queue at that time of the family's clock."""
    return reader.get(DUE, ((family, at_ms), object_id)) is not None


class Rules(NamedTuple):
    """What the families together say; the same for every block."""

    hooks: Mapping[str, tuple[Hook, ...]]
    specs: Mapping[str, ParamSpec]
    actions: Mapping[str, Action]
    families: Mapping[str, int]  # name -> number


class Context:
    """One block's execution, opened for one transaction or due item at a time.

    1. `time_ms` is the block's time, `live_ms` the live clock; neither moves within a block.
       Deadlines of a family run on its own clock, `now(family)`: the live clock less its pauses.
    2. `object_id` is the txid of the transaction, or the id of what fell due.
    3. What was emitted, involved and listed counts only if the transaction succeeds.
    4. `totals` are the dollar's as far as the block has come, None before it has moved any: they
       change with every movement and become a row once, at the block's end. `tx/money.py` alone
       knows what they mean; what a refused transaction changed is taken back with its writes.
    """

    __slots__ = (
        "_now", "_pauses", "draft", "events", "height", "involved", "listed", "live_ms",
        "object_id", "params", "rules", "sender", "time_ms", "totals",
    )  # fmt: skip

    def __init__(
        self,
        draft: Draft,
        *,
        height: int,
        time_ms: int,
        live_ms: int,
        params: Params,
        rules: Rules,
    ) -> None:
        self.rules = rules
        self.draft = draft
        self.height = height
        self.time_ms = time_ms
        self.live_ms = live_ms
        self.params = params
        self.totals: tuple[int, ...] | None = None
        self._pauses: dict[int, Pause] = {}  # each read once, as the parameters are
        self._now: dict[int, int] = {}
        self.open(b"", b"")

    def open(self, object_id: bytes, sender: bytes) -> None:
        """Begin the next transaction (or due item, with no sender)."""
        self.object_id = object_id
        self.sender = sender
        self.events: list[Event] = []
        self.involved: dict[bytes, None] = {}  # addresses whose history shows this
        self.listed: list[tuple[int, bytes, bytes]] = []  # (list number, owner, object id)

    def require(self, table: Table[K, R], key: K, refusal: Refusal, /, **facts: Fact) -> R:
        """The record under `key`, else `Rejected(refusal)`."""
        record = self.draft.get(table, key)
        if record is None:
            raise Rejected(refusal, **facts)
        return record

    def emit(self, name: str, *values: Value) -> None:
        """Tell what happened; `values` as the family's `EventSpec` says."""
        self.events.append(Event(name, values))

    def involve(self, address: bytes) -> None:
        """Show this transaction in the account's history too (movers do it by themselves)."""
        self.involved[address] = None

    def list_under(self, number: int, owner: bytes, object_id: bytes) -> None:
        """Append `object_id` to a list for readers (see `state/README.md`, lists)."""
        self.listed.append((number, owner, object_id))

    def pause(self, family: int) -> Pause:
        """Whether and how long the family's deadlines stood still."""
        pause = self._pauses.get(family)
        if pause is None:
            pause = self._pauses[family] = pause_of(self.draft, family)
        return pause

    def set_pause(self, family: int, pause: Pause) -> None:
        """From here on; governance alone calls it."""
        self.draft.put(PAUSE, family, pause)
        self._pauses.pop(family, None)
        self._now.pop(family, None)

    def now(self, family: int) -> int:
        """The family's own clock in ms: every deadline of the family is a time on it."""
        now = self._now.get(family)
        if now is None:
            now = self._now[family] = family_ms(self.pause(family), self.live_ms)
        return now

    def schedule(self, at_ms: int, object_id: bytes, family: int) -> None:
        """Let the family's due handler have `object_id` when its clock shows `at_ms`."""
        assert at_ms > self.now(family), "work falls due in a later block"
        self.draft.put(DUE, ((family, at_ms), object_id), _QUEUED)

    def unschedule(self, at_ms: int, object_id: bytes, family: int) -> None:
        """Take back what was scheduled."""
        self.draft.delete(DUE, ((family, at_ms), object_id))

    def fold(self, hook: str, object_id: bytes, record: R, *args: Any) -> R:
        """As `fire`, for a record that is not written yet: what a call answers is the record from
        there on, None leaves it as it is.
        """
        for call in self.rules.hooks[hook]:
            record = call(self, object_id, record, *args) or record
        return record

    def fire(self, hook: str, *args: Any) -> None:
        """Call every family that hangs on `hook`, in the order of their numbers."""
        for call in self.rules.hooks[hook]:
            call(self, *args)
