"""What a replica knows, and the few moves that every rule makes with it.

Mutable, owned by one `Replica`, changed only inside `Replica.step`. No clock, socket, disk,
key or randomness: time comes in as `Now`, wishes go out as effects. Every table here is
bounded: by the members, by the window of heights, by `EARLY_MESSAGES_MAX` for each sender.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from consensus.effects import Dropped, Effect, Entered, Persist, Say, SetTimer
from consensus.events import Now
from consensus.journal import Record, Recovered, Voted, forget, note
from consensus.messages import pre_prepare_fields
from consensus.quorum import Tally
from consensus.signed import Choice, Court, OpenedChange, Prepared
from mgsnode.base.block import Certificate, Header, Verify, vote_fields
from mgsnode.base.codec import Value
from mgsnode.base.keys import Signed
from mgsnode.base.limits import EARLY_MESSAGES_MAX
from mgsnode.base.validators import ValidatorSet

VIEW_TIMEOUT_MS_MAX = 60_000  # a lost quorum must be taken up again within a minute (case 12)
STATUS_MS = 1_000  # resending, without give-up
COMPLAINT_MS = 10_000  # a complaint not renewed for so long is taken back
EARLY_MESSAGE_BYTES_MAX = 131_072  # a full proposal has 70 kB; bounds what a liar makes us keep
COMMIT_VIEWS_MAX = 64  # views whose COMMITs are kept for one height and member


class Config(NamedTuple):
    """What a replica is told once."""

    genesis_hash: bytes
    public_key: bytes  # our vote key
    view_timeout_ms: int  # T0


class Head(NamedTuple):
    """The last durable height."""

    header: Header
    hash: bytes
    certificate: Certificate | None  # None for the genesis
    mono_ms: int  # when it became so here


@dataclass(slots=True)
class Proposal:
    """A proposal accepted for its (view, height): the first one, and the only one."""

    view: int
    hash: bytes
    header: Header
    header_bytes: bytes
    tx_hashes: tuple[bytes, ...] | None  # None: proposed again, the body is asked for by hash
    signature: bytes  # the primary's
    fresh: bool  # whether the clock may judge it
    stage: Literal["waiting", "checking", "good", "bad"] = "waiting"


class Complaint(NamedTuple):
    """A member's latest complaint."""

    view: int
    signature: bytes
    mono_ms: int


class Install(NamedTuple):
    """A NEW-VIEW whose base we have not reached yet."""

    view: int
    choice: Choice
    signatures: tuple[bytes, ...]


@dataclass(slots=True)
class Core:
    """A replica's memory."""

    config: Config
    verify: Verify
    head: Head
    era: int
    members: ValidatorSet
    before: ValidatorSet | None
    recovered: Recovered
    # the view
    view: int = 0
    active: bool = True
    base: int = 0
    choice: dict[int, bytes] = field(default_factory=dict)  # height -> hash
    backoff: int = 0  # k: views entered since the last decision
    view_since_ms: int = 0
    view_blocks: int = 0
    # the window
    proposals: dict[tuple[int, int], Proposal] = field(default_factory=dict)
    tallies: dict[tuple[Signed, int, int], Tally] = field(default_factory=dict)
    prepared: dict[int, Prepared] = field(default_factory=dict)
    said: dict[tuple[Signed, int, int], Voted] = field(default_factory=dict)
    checked: set[bytes] = field(default_factory=set)
    checking: set[bytes] = field(default_factory=set)
    refused: dict[bytes, str] = field(default_factory=dict)
    bodies: dict[bytes, bytes] = field(default_factory=dict)
    journaled: set[bytes] = field(default_factory=set)  # bodies in the journal
    building: tuple[int, int] | None = None
    deciding: int | None = None
    # leaving views
    complaints: dict[int, Complaint] = field(default_factory=dict)
    complaint: str | None = None  # our own standing reason, for `view`
    view_changes: dict[int, OpenedChange] = field(default_factory=dict)  # for `view`
    own_change: bytes | None = None  # fields of our VIEW-CHANGE for `view`
    own_new_view: tuple[bytes, tuple[bytes, ...]] | None = None  # fields, inner
    install: Install | None = None
    # checkpoints
    checkpoints: dict[int, Tally] = field(default_factory=dict)
    stable: int = 0
    # others
    early: dict[str, deque[bytes]] = field(default_factory=dict)
    heard: set[int] = field(default_factory=set)
    furthest: dict[int, tuple[tuple[int, int, int], tuple[Value, ...]]] = field(
        default_factory=dict
    )
    sent_block_ms: dict[tuple[int, int], int] = field(default_factory=dict)
    # ourselves
    demoted: str | None = None
    stalled: bool = False
    bound: bool = False  # whether we might bind at the end of the last step
    work: bool = False
    idle_due: bool = False
    fetching: bool = False
    tokens: dict[str, int] = field(default_factory=dict)
    progress_armed: bool = False
    out: list[Effect] = field(default_factory=list)

    @property
    def me(self) -> int | None:
        """Our index in this era, or None: then we follow."""
        return self.members.index_of(self.config.public_key)

    @property
    def next_height(self) -> int:
        """The height that is voted on now (W = 1)."""
        return self.head.header.height + 1

    @property
    def court(self) -> Court:
        """By what this era's messages are judged."""
        return Court(self.config.genesis_hash, self.era, self.members, self.before, self.verify)

    @property
    def is_primary(self) -> bool:
        """Whether we propose in this view."""
        return self.me is not None and self.members.primary(self.view) == self.me

    def may_bind(self) -> bool:
        """Whether we may sign anything binding (R6).

        A member, not demoted or stalled, having heard where Q-1 others stand, and with a chain
        that has reached what the journal says we voted on.
        """
        return (
            self.me is not None
            and self.demoted is None
            and not self.stalled
            and len(self.heard) >= self.members.quorum - 1
            and self.next_height >= self.recovered.floor.height
            and self.next_height > self.recovered.floor.dropped
            and self.era >= self.recovered.floor.era
        )

    def timeout_ms(self) -> int:
        """T_k, spread by up to 10 % over the members so that they do not fire as one."""
        base = min(self.config.view_timeout_ms << min(self.backoff, 16), VIEW_TIMEOUT_MS_MAX)
        spread = 0 if self.me is None else self.me * 20 // max(1, self.members.n - 1) - 10
        return base + base * spread // 100

    def tally(self, kind: Signed, view: int, height: int) -> Tally:
        """The votes for a place; made when first asked for."""
        return self.tallies.setdefault((kind, view, height), Tally())

    def persist(self, *records: Record) -> None:
        """Puts one `Persist` in front of what is said next."""
        for record in records:
            note(self.recovered, record)
            if isinstance(record, Voted):
                self.said[Signed(record.kind), record.view, record.height] = record
        self.out.append(Persist(records))

    def say(
        self,
        kind: Signed,
        fields: bytes,
        *,
        tail: Value = (),
        inner: tuple[bytes, ...] = (),
        to: int | None = None,
    ) -> None:
        """Signs and sends; binding kinds only after `persist` of the same statement."""
        self.out.append(Say(kind, fields, tail, inner, to))

    def said_fields(self, kind: Signed, view: int, height: int) -> bytes | None:
        """The very fields of a statement that was remembered, or None."""
        vote = self.said.get((kind, view, height))
        if vote is None or self.me is None:
            return None
        if kind is Signed.PRE_PREPARE:
            return pre_prepare_fields(vote.era, view, height, vote.hash)
        return vote_fields(vote.era, view, height, vote.hash, self.me)

    def drop(self, sender: str, message: str, why: str) -> None:
        """Refuses a message, visibly."""
        self.out.append(Dropped(sender, message, why))

    def set_timer(self, name: str, after_ms: int) -> None:
        """Starts a timer anew; an earlier one of that name is stale from here on."""
        self.tokens[name] = self.tokens.get(name, 0) + 1
        self.out.append(SetTimer(name, self.tokens[name], after_ms))

    def stale(self, name: str) -> None:
        """Makes a running timer of that name stale."""
        self.tokens[name] = self.tokens.get(name, 0) + 1

    def keep_early(self, sender: str, raw: bytes) -> None:
        """Keeps a message for later; the newest of each sender win (case 34)."""
        if len(raw) > EARLY_MESSAGE_BYTES_MAX:
            return  # a NEW-VIEW; STATUS brings it again
        kept = self.early.get(sender)
        if kept is None:
            if len(self.early) > 2 * self.members.n:
                return  # only members and a joiner or two can reach this
            kept = self.early[sender] = deque(maxlen=EARLY_MESSAGES_MAX)
        kept.append(raw)

    def clear_view(self, *, why: str, now: Now) -> None:
        """Forgets what belongs to the view that was; prepared entries stay."""
        self.proposals.clear()
        self.choice.clear()
        self.base = 0
        self.building = None
        self.checking.clear()  # whom to ask for a body differs in the next view (case 28)
        self.view_changes.clear()
        self.tallies = {k: t for k, t in self.tallies.items() if k[0] is Signed.COMMIT}
        self.install = None
        self.complaint = None
        self.own_new_view = None
        self.view_since_ms, self.view_blocks = now.mono_ms, 0
        self.out.append(Entered(self.era, self.view, self.active, why))

    def forget_below(self, height: int) -> None:
        """Drops votes and proposals at and below a durable height."""
        forget(self.recovered, decided=height)
        self.proposals = {k: p for k, p in self.proposals.items() if k[1] > height}
        self.tallies = {k: t for k, t in self.tallies.items() if k[2] > height}
        self.said = {k: v for k, v in self.said.items() if k[2] > height}
        self.prepared = {h: p for h, p in self.prepared.items() if h > height}
        live = {p.hash for p in self.proposals.values()}
        live |= {p.hash for p in self.prepared.values()}
        live |= {v.hash for v in self.said.values()}
        self.checked &= live
        self.checking &= live
        self.journaled &= live
        self.bodies = {h: b for h, b in self.bodies.items() if h in live}
        self.refused = {h: why for h, why in self.refused.items() if h in live}
