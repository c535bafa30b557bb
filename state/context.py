"""What a family's code is given: the draft, the clocks, the parameters and the few ways to act.

A context lives for one block and is opened for each transaction or due item in it. Families
read and write records through `draft`, speak through `emit`, and meet others through `fire`.
It decides nothing. Here also stand the tables of the core: clock, due queue, parameters, and
the roots of the last heights (a joiner shows by one of them that it follows the chain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from mgsnode.base.block import Event
from mgsnode.base.codec import Value
from mgsnode.base.errors import Fact, Rejected
from state.draft import Draft, Reader
from state.table import Table, bytes_key, int_key, pair_key, text_key

K = TypeVar("K")
R = TypeVar("R")
Refusal: TypeAlias = tuple[int, str]
Hook: TypeAlias = Callable[..., None]
DEV_TIME_LOWEST_MS = 1_000  # a development genesis lowers the lowest bound of times to this


class Clock(NamedTuple):
    """The one row of time."""

    time_ms: int  # of the last block
    live_ms: int  # the live clock: like time_ms, less what outages took
    due_from_ms: int  # no row of the due queue stands before this


class Due(NamedTuple):
    """One thing that falls due: which family's handler does it."""

    family: int


class Param(NamedTuple):
    """A parameter as it stands."""

    value: int


CLOCK: Table[bytes, Clock] = Table(1, "core/clock", Clock, bytes_key(0))
# Key: (due live time in ms, object id): the order in which the work is done.
DUE: Table[tuple[int, bytes], Due] = Table(2, "core/due", Due, pair_key(int_key(), bytes_key()))
PARAM: Table[str, Param] = Table(3, "core/param", Param, text_key())


class Root(NamedTuple):
    """The state root after a height."""

    height: int
    root: bytes


# Key: height modulo ROOTS_KEPT. A height's root is known to the heights above it.
ROOT: Table[int, Root] = Table(4, "core/root", Root, int_key(2))
ROOTS_KEPT = 4_096  # an hour at a block a second


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


class Params:
    """The parameters of one block, each read once."""

    __slots__ = ("_defaults", "_reader", "_seen")

    def __init__(self, reader: Reader, defaults: Mapping[str, int]) -> None:
        self._reader = reader
        self._defaults = defaults
        self._seen: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        value = self._seen.get(name)
        if value is None:
            row = self._reader.get(PARAM, name)
            value = self._defaults[name] if row is None else row.value
            self._seen[name] = value
        return value

    def forget(self, name: str) -> None:
        """It has just been changed."""
        self._seen.pop(name, None)


class Context:
    """One block's execution, opened for one transaction or due item at a time.

    1. `live_ms` and `time_ms` are the clocks of this block; they do not move within it.
    2. `object_id` is the txid of the transaction, or the id of what fell due.
    3. What was emitted, involved and listed counts only if the transaction succeeds.
    """

    __slots__ = (
        "_hooks", "draft", "events", "height", "involved", "listed", "live_ms", "object_id",
        "params", "sender", "specs", "time_ms",
    )  # fmt: skip

    def __init__(
        self,
        draft: Draft,
        *,
        height: int,
        time_ms: int,
        live_ms: int,
        params: Params,
        hooks: Mapping[str, tuple[Hook, ...]],
        specs: Mapping[str, ParamSpec],
    ) -> None:
        """`specs` are the parameters that there are, by name."""
        self.specs = specs
        self.draft = draft
        self.height = height
        self.time_ms = time_ms
        self.live_ms = live_ms
        self.params = params
        self._hooks = hooks
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

    def schedule(self, at_ms: int, object_id: bytes, family: int) -> None:
        """Let the family's due handler have `object_id` at live time `at_ms`."""
        assert at_ms > self.live_ms, "work falls due in a later block"
        self.draft.put(DUE, (at_ms, object_id), Due(family))

    def unschedule(self, at_ms: int, object_id: bytes) -> None:
        """Take back what was scheduled."""
        self.draft.delete(DUE, (at_ms, object_id))

    def fire(self, hook: str, *args: Any) -> None:
        """Call every family that hangs on `hook`, in the order of their numbers."""
        for call in self._hooks[hook]:
            call(self, *args)
