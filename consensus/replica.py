"""One member of the chain: `step(event, now) -> effects`, a pure function of state and event.

It knows no clock, socket, disk, key or randomness; equal state and equal event give equal
effects. What it says that binds it first remembers: a `Persist` stands in front. Its own
messages return through the same door as everyone's. README.md holds the rules R1 to R12.
"""

from __future__ import annotations

from consensus import checkpoint, normal, status, view_change
from consensus.complaint import complain
from consensus.core import Config, Core, Head, Proposal
from consensus.effects import Effect, Entered
from consensus.events import (
    Advanced,
    BlockBuilt,
    BlockChecked,
    BodyMissing,
    Censored,
    Event,
    Fetching,
    NothingBuilt,
    Now,
    PeerUp,
    Received,
    Stalled,
    Start,
    TimerFired,
    Work,
)
from consensus.journal import Recovered, Voted
from consensus.memo import Memo
from consensus.messages import Message, entry_of, new_view_proposals, open_message
from consensus.signed import Court, Prepared, check_message, signer_of
from mgsnode.base.block import Verify, hash_header, open_header
from mgsnode.base.codec import decode
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed, is_signed_by
from mgsnode.base.limits import FRAME_BYTES_MAX, IDLE_BLOCK_MS
from mgsnode.base.validators import ValidatorSet

ROTATE_BLOCKS = 256  # leader change is exercised daily (case 30)
ROTATE_MS = 10 * 60_000


class Replica:
    """A member (or, without an index in the era, a follower) of the chain."""

    def __init__(
        self,
        config: Config,
        *,
        head: Head,
        era: int,
        members: ValidatorSet,
        before: ValidatorSet | None,
        recovered: Recovered,
        demoted: str | None = None,
        verify: Verify = is_signed_by,
    ) -> None:
        """`members` decide the height after `head`; `before` are those of the era before.

        `recovered` is what the journal says; `demoted` why this key must not vote, if so.
        """
        self._core = Core(
            config=config,
            verify=Memo(verify),
            head=head,
            era=era,
            members=members,
            before=before,
            recovered=recovered,
            demoted=demoted,
        )
        self._restore()

    # What others may ask; all of it is read only.

    @property
    def era(self) -> int:
        """The era of the next height."""
        return self._core.era

    @property
    def view(self) -> int:
        """The view we are in or on the way to."""
        return self._core.view

    @property
    def active(self) -> bool:
        """Whether the view has started here."""
        return self._core.active

    @property
    def height(self) -> int:
        """The last durable height."""
        return self._core.head.header.height

    @property
    def members(self) -> ValidatorSet:
        """Who decides the next height."""
        return self._core.members

    @property
    def me(self) -> int | None:
        """Our index among them, or None."""
        return self._core.me

    @property
    def primary(self) -> str:
        """The gateway that proposes in this view."""
        core = self._core
        return core.members.members[core.members.primary(core.view)].gateway

    @property
    def court(self) -> Court:
        """By what this era's proofs are judged."""
        return self._core.court

    @property
    def demoted(self) -> str | None:
        """Why this key must not vote, or None."""
        return self._core.demoted

    @property
    def stable(self) -> int:
        """The highest height that a quorum says is durable."""
        return self._core.stable

    @property
    def may_bind(self) -> bool:
        """Whether we vote now."""
        return self._core.may_bind()

    def body(self, block_hash: bytes) -> bytes | None:
        """The encoded block of a proposal that is being voted on."""
        return self._core.bodies.get(block_hash)

    def sizes(self) -> dict[str, int]:
        """How much is kept, for metrics and the bounded-memory check."""
        core = self._core
        return {
            "proposals": len(core.proposals),
            "tallies": len(core.tallies),
            "bodies": len(core.bodies),
            "early": sum(len(kept) for kept in core.early.values()),
            "complaints": len(core.complaints),
            "checkpoints": len(core.checkpoints),
        }

    def step(self, event: Event, now: Now) -> list[Effect]:
        """What follows from `event` at `now`; the effects are to be done in this order."""
        core = self._core
        core.out = []
        era, view, active = core.era, core.view, core.active
        self._dispatch(event, now)
        if core.may_bind() and not core.bound:
            core.bound = True
            self._resume(now)
        core.bound = core.may_bind()
        if core.active and core.era == era and (core.view != view or not active):
            self._entered(now)
        if not isinstance(event, TimerFired) or event.name != "status":
            normal.propose_if_due(core, now)
        self._arm_progress(now)
        out, core.out = core.out, []
        return out

    def _dispatch(self, event: Event, now: Now) -> None:
        core = self._core
        match event:
            case Received():
                self._on_received(event.sender, event.raw, now)
            case TimerFired():
                self._on_timer(event, now)
            case BlockChecked():
                normal.on_checked(core, event, now)
            case BodyMissing():
                normal.on_body_missing(core, event)
            case BlockBuilt() | NothingBuilt():
                normal.on_built(core, event, now)
            case Advanced():
                self._on_advanced(event, now)
            case Work():
                core.work = event.waiting
            case PeerUp():
                for member, validator in enumerate(core.members.members):
                    if validator.gateway == event.name:
                        status.say_status(core, member)
            case Fetching():
                core.fetching = event.on
            case Censored():
                complain(core, "a transaction is censored")
            case Stalled():
                core.stalled = event.why != ""
            case Start():
                self._on_start(now)

    # Messages

    def _on_received(self, sender: str, raw: bytes, now: Now) -> None:
        core = self._core
        try:
            message = open_message(raw)
        except Malformed as error:
            core.drop(sender, "unreadable", error.why)
            return
        if message.content.era != core.era:
            self._on_other_era(sender, raw, message, now)
            return
        member = signer_of(message, core.members)
        if not 0 <= member < core.members.n or core.members.members[member].gateway != sender:
            core.drop(sender, message.kind.name, "not its sender's own")
            return
        why = check_message(message, core.court)
        if why is not None:
            core.drop(sender, message.kind.name, why)
            return
        if member != core.me:
            status.remember_furthest(core, member, message)
        self._on_message(sender, raw, message, now)

    def _on_other_era(self, sender: str, raw: bytes, message: Message, now: Now) -> None:
        """A later era's message is kept; an older one's sender needs the block that ended it."""
        core = self._core
        if message.content.era > core.era:
            core.keep_early(sender, raw)
            return
        core.drop(sender, message.kind.name, "an era that has ended")
        for member, validator in enumerate(core.members.members):
            if validator.gateway == sender:
                normal.send_block(core, core.head.header.height, member, now)

    def _on_message(self, sender: str, raw: bytes, message: Message, now: Now) -> None:
        core = self._core
        match message.kind:
            case Signed.PRE_PREPARE:
                if normal.belongs(core, sender, raw, message, now):
                    normal.on_pre_prepare(core, sender, message, now)
            case Signed.PREPARE | Signed.COMMIT:
                if normal.belongs(core, sender, raw, message, now):
                    normal.on_vote(core, sender, message, now)
            case Signed.COMPLAIN:
                view_change.on_complain(core, sender, message, now)
            case Signed.VIEW_CHANGE:
                view_change.on_view_change(core, sender, message, now)
            case Signed.NEW_VIEW:
                view_change.on_new_view(core, sender, message, now)
            case Signed.STATUS:
                status.on_status(core, message)
            case Signed.CHECKPOINT:
                checkpoint.on_checkpoint(core, sender, message)
            case _:
                core.drop(sender, message.kind.name, "not a message between replicas")

    def _entered(self, now: Now) -> None:
        core = self._core
        core.out.append(Entered(core.era, core.view, True, "installed a new view"))
        view_change.restart_progress(core)
        self._replay_early(now)

    def _replay_early(self, now: Now) -> None:
        """Looks again at what came too early; what still is early is kept again."""
        core = self._core
        early, core.early = core.early, {}
        for sender in sorted(early):
            for raw in early[sender]:
                self._on_received(sender, raw, now)

    # A life

    def _restore(self) -> None:
        """Takes up what the journal says was promised in the era of the next height (R6)."""
        core = self._core
        recovered = core.recovered
        if recovered.era != core.era:
            return
        core.view, core.active, core.base = recovered.view, recovered.active, recovered.base
        core.own_change = recovered.left.fields if recovered.left is not None else None
        made = recovered.made
        if made is not None and made.view == core.view:
            core.own_new_view = (made.fields, new_view_proposals(made.fields))
        for raw in recovered.choice:
            header = open_header(raw)
            core.choice[header.height] = hash_header(header)
        last = core.head.header.height
        for vote in recovered.votes.values():
            if vote.era != core.era or vote.height <= last:
                continue
            kind = Signed(vote.kind)
            core.said[kind, vote.view, vote.height] = vote
            if kind is Signed.COMMIT:
                self._restore_prepared(vote)
        core.bodies.update(recovered.bodies)
        core.journaled.update(recovered.bodies)

    def _restore_prepared(self, vote: Voted) -> None:
        core = self._core
        entry = entry_of(decode(vote.proof, bytes_max=FRAME_BYTES_MAX))
        held = core.prepared.get(vote.height)
        if held is None or held.entry.view < entry.view:
            core.prepared[vote.height] = Prepared(entry, open_header(vote.header), vote.hash)

    def _on_start(self, now: Now) -> None:
        core = self._core
        core.view_since_ms = now.mono_ms
        core.out.append(Entered(core.era, core.view, core.active, "started"))
        core.set_timer("idle", IDLE_BLOCK_MS)
        status.tick(core)

    def _resume(self, now: Now) -> None:
        """We may bind from here on: say again what was promised, vote for what waits (R6)."""
        core = self._core
        if not core.active and core.own_change is not None:
            core.say(Signed.VIEW_CHANGE, core.own_change)
        if not core.active and core.own_new_view is not None:
            fields, inner = core.own_new_view
            core.say(Signed.NEW_VIEW, fields, inner=inner)
        for (kind, view, height), vote in sorted(core.said.items()):
            if not core.active or view != core.view:
                continue
            statement = core.said_fields(kind, view, height)
            assert statement is not None
            tail = (vote.header, ()) if kind is Signed.PRE_PREPARE else ()
            core.say(kind, statement, tail=tail)
        for proposal in [p for p in core.proposals.values() if p.stage == "good"]:
            normal.vote_prepare(core, proposal)
        normal.settle(core, now)
        view_change.try_new_view(core)
        view_change.try_install(core, now)

    def _on_advanced(self, event: Advanced, now: Now) -> None:
        """A height is durable: the window moves, complaints about slowness are taken back."""
        core = self._core
        header = event.header
        if header.height <= core.head.header.height:
            return
        assert header.height == core.head.header.height + 1
        assert header.parent_hash == core.head.hash
        core.head = Head(header, event.hash, event.certificate, now.mono_ms)
        core.deciding = None
        core.building = None
        core.backoff = 0
        core.idle_due = False
        core.set_timer("idle", IDLE_BLOCK_MS)
        core.complaint = None
        core.view_blocks += 1
        core.forget_below(header.height)
        if header.next_valset_hash != header.valset_hash:
            self._enter_era(event, now)
        if core.active:
            view_change.restart_progress(core)
        checkpoint.say_checkpoint(core)
        self._rotate_if_due(now)
        if core.may_bind():
            view_change.try_new_view(core)
            view_change.try_install(core, now)
        proposal = core.proposals.get((core.view, core.next_height))
        if proposal is not None:
            normal.consider(core, proposal, now)
        self._replay_early(now)
        normal.settle(core, now)

    def _enter_era(self, event: Advanced, now: Now) -> None:
        """A decided barrier ends its era here at once: nothing of it is signed any more (R12)."""
        core = self._core
        core.before, core.members = core.members, event.members
        core.era += 1
        core.view, core.active = 0, True
        core.own_change = None
        core.tallies.clear()
        core.said.clear()
        core.prepared.clear()
        core.complaints.clear()
        core.heard.clear()
        core.furthest.clear()
        core.checkpoints.clear()
        core.bound = False
        core.clear_view(why="a new era", now=now)
        self._restore()
        status.tick(core)

    def _rotate_if_due(self, now: Now) -> None:
        core = self._core
        lasted = now.mono_ms - core.view_since_ms
        if core.active and core.view_blocks >= ROTATE_BLOCKS and lasted >= ROTATE_MS:
            complain(core, "rotation is due")

    # Timers

    def _on_timer(self, event: TimerFired, now: Now) -> None:
        core = self._core
        if core.tokens.get(event.name) != event.token:
            return  # stale (case 8)
        match event.name:
            case "progress":
                core.progress_armed = False
                complain(core, "no progress")
            case "status":
                status.tick(core)
            case "idle":
                core.idle_due = True
            case "clock":
                waiting: Proposal | None = core.proposals.get((core.view, core.next_height))
                if waiting is not None:
                    normal.consider(core, waiting, now)

    def _arm_progress(self, now: Now) -> None:
        """The progress timer runs while something ought to happen and we are not behind (R7)."""
        core = self._core
        wanted = (
            core.me is not None
            and core.demoted is None
            and not core.fetching
            and core.deciding is None
            and (
                core.work
                or core.idle_due
                or not core.active
                or (core.view, core.next_height) in core.proposals
            )
        )
        if wanted and not core.progress_armed:
            view_change.restart_progress(core)
        elif not wanted and core.progress_armed:
            core.progress_armed = False
            core.stale("progress")
