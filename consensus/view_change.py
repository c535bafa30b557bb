"""Leaving a view in two steps: a quorum of revocable COMPLAINs, then the binding VIEW-CHANGE
that carries it; and the NEW-VIEW that starts the next (R7 to R10).

A lone node that timed out keeps serving its view (case 26), and a view number can only be
reached through Q complaints about the one below it (case 27).
"""

from __future__ import annotations

from consensus import normal
from consensus.complaint import complain
from consensus.core import COMPLAINT_MS, Complaint, Core, Install, Proposal
from consensus.effects import Behind, Halt
from consensus.events import Now
from consensus.journal import Joined, Left, Made, Voted
from consensus.messages import (
    Complain,
    Message,
    NewView,
    Signatures,
    ViewChange,
    new_view_fields,
    open_view_change,
    pre_prepare_fields,
    view_change_fields,
)
from consensus.quorum import to_signatures
from consensus.signed import Choice, Contradiction, OpenedChange, derive_choice, open_change
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed
from mgsnode.base.limits import WINDOW


def on_complain(core: Core, sender: str, message: Message, now: Now) -> None:
    """Counts a member's complaint: f+1 about our view make us join, Q make us leave (R7)."""
    content = message.content
    assert isinstance(content, Complain)
    if content.view < core.view:
        core.drop(sender, "COMPLAIN", "old view")
        return
    held = core.complaints.get(content.member)
    if held is None or content.view >= held.view or _is_stale(held, now):
        core.complaints[content.member] = Complaint(content.view, message.signature, now.mono_ms)
    about = {
        member: complaint.signature
        for member, complaint in sorted(core.complaints.items())
        if complaint.view == content.view and not _is_stale(complaint, now)
    }
    if content.view == core.view and len(about) >= core.members.weak:
        complain(core, "joined f+1 others")
    if len(about) >= core.members.quorum:
        proof = to_signatures(about, core.members.n)
        leave(core, content.view + 1, proof, why="a quorum complained", now=now)


def _is_stale(complaint: Complaint, now: Now) -> bool:
    return now.mono_ms - complaint.mono_ms > COMPLAINT_MS


def leave(core: Core, view: int, proof: Signatures, *, why: str, now: Now) -> None:
    """Leaves for `view`: remembers it for ever, then says VIEW-CHANGE (R8)."""
    assert view > core.view
    if not core.may_bind():
        return  # resending by STATUS brings it again
    assert core.me is not None
    last = core.head.header.height
    prepared = tuple(
        core.prepared[height].entry
        for height in sorted(core.prepared)
        if last < height <= last + WINDOW
    )
    change = ViewChange(
        core.era, view, last, core.head.hash, core.head.certificate, proof, prepared, core.me
    )
    fields = view_change_fields(change)
    core.persist(Left(core.era, view, fields))
    core.view, core.active, core.own_change = view, False, fields
    core.backoff += 1
    core.clear_view(why=why, now=now)
    restart_progress(core)
    core.say(Signed.VIEW_CHANGE, fields)


def restart_progress(core: Core) -> None:
    """Starts the progress timer anew with today's timeout."""
    core.progress_armed = True
    core.set_timer("progress", core.timeout_ms())


def on_view_change(core: Core, sender: str, message: Message, now: Now) -> None:
    """A member's VIEW-CHANGE; a valid one for a higher view takes us along (R8)."""
    change = message.content
    assert isinstance(change, ViewChange)
    if change.view < core.view or (change.view == core.view and core.active):
        core.drop(sender, "VIEW_CHANGE", "old view")
        return
    if change.view == core.view and change.member in core.view_changes:
        return
    try:
        opened = open_change(change, message.fields, message.signature, core.court)
    except Malformed as error:
        core.drop(sender, "VIEW_CHANGE", error.why)
        return
    if change.view > core.view:
        leave(core, change.view, change.exit, why="followed a view change", now=now)
    if change.view != core.view:
        return  # we may not bind yet
    core.view_changes[change.member] = opened
    if change.height > core.head.header.height:
        core.out.append(Behind(change.height, change.member))
    if len(core.view_changes) == core.members.quorum:
        restart_progress(core)
    try_new_view(core)


def try_new_view(core: Core) -> None:
    """The new primary with Q view changes chooses, remembers, says NEW-VIEW; once (R9)."""
    if (
        core.active
        or not core.is_primary
        or core.own_new_view is not None
        or len(core.view_changes) < core.members.quorum
        or not core.may_bind()
    ):
        return
    changes = [core.view_changes[member] for member in sorted(core.view_changes)]
    choice = _choice_or_halt(core, changes)
    if choice is None:
        return
    if core.head.header.height < choice.base:
        return  # its blocks first (case 6); tried again when they are here
    headers = tuple(prepared.entry.header for prepared in choice.prepared)
    pairs = [(opened.fields, opened.signature) for opened in changes]
    fields = new_view_fields(core.era, core.view, pairs, headers)
    inner = tuple(
        pre_prepare_fields(core.era, core.view, p.header.height, p.hash) for p in choice.prepared
    )
    # What was decided here meanwhile is proposed again to the late; `Made` remembers it.
    votes = [
        Voted(
            Signed.PRE_PREPARE, core.era, core.view, p.header.height,
            p.hash, p.entry.header, b"",
        )
        for p in choice.prepared
        if p.header.height > core.head.header.height
    ]  # fmt: skip
    core.persist(Made(core.era, core.view, fields), *votes)
    core.own_new_view = (fields, inner)
    core.say(Signed.NEW_VIEW, fields, inner=inner)


def _choice_or_halt(core: Core, changes: list[OpenedChange]) -> Choice | None:
    try:
        return derive_choice(changes)
    except Contradiction as error:
        core.out.append(Halt(str(error)))
        return None


def on_new_view(core: Core, sender: str, message: Message, now: Now) -> None:
    """A NEW-VIEW: everything in it is checked again, the choice is computed anew (R10)."""
    content = message.content
    assert isinstance(content, NewView)
    if content.view < core.view or (content.view == core.view and core.active):
        core.drop(sender, "NEW_VIEW", "old view")
        return
    try:
        changes = _open_changes(core, content)
    except Malformed as error:
        core.drop(sender, "NEW_VIEW", error.why)
        return
    choice = _choice_or_halt(core, changes)
    if choice is None:
        return
    if tuple(p.entry.header for p in choice.prepared) != content.headers:
        core.drop(sender, "NEW_VIEW", "another choice than its view changes give")
        return
    primary = core.members.primary(content.view)
    for prepared, signature in zip(choice.prepared, content.proposals, strict=True):
        fields = pre_prepare_fields(core.era, content.view, prepared.header.height, prepared.hash)
        if not core.court.is_signed(Signed.PRE_PREPARE, primary, fields, signature):
            core.drop(sender, "NEW_VIEW", "a proposal with a bad signature")
            return
    if content.view > core.view:
        leave(core, content.view, changes[0].change.exit, why="followed a new view", now=now)
    if content.view == core.view:
        core.install = Install(content.view, choice, content.proposals)
        try_install(core, now)


def _open_changes(core: Core, content: NewView) -> list[OpenedChange]:
    """The Q or more view changes of a NEW-VIEW, each verified, else `Malformed` (case 5)."""
    opened: dict[int, OpenedChange] = {}
    for fields, signature in content.view_changes:
        change = open_view_change(fields)
        if change.view != content.view:
            raise Malformed("a view change for another view")
        if change.member in opened:
            raise Malformed("a member's view change stands twice")
        opened[change.member] = open_change(change, fields, signature, core.court)
    if len(opened) < core.members.quorum:
        raise Malformed("fewer view changes than a quorum")
    return [opened[member] for member in sorted(opened)]


def try_install(core: Core, now: Now) -> None:
    """Enters the view once its base is durable here, and takes its proposals (R10)."""
    install = core.install
    if install is None or install.view != core.view or core.active:
        return
    if core.head.header.height < install.choice.base:
        core.out.append(Behind(install.choice.base, core.members.primary(core.view)))
        return
    if not core.may_bind():
        return
    core.install = None
    chosen = install.choice.prepared
    core.persist(
        Joined(core.era, core.view, install.choice.base, tuple(p.entry.header for p in chosen))
    )
    core.active = True
    core.base = install.choice.base
    core.choice = {p.header.height: p.hash for p in chosen}
    core.view_since_ms, core.view_blocks = now.mono_ms, 0
    core.complaint = None
    for prepared, signature in zip(chosen, install.signatures, strict=True):
        if prepared.header.height <= core.head.header.height:
            continue
        core.proposals[core.view, prepared.header.height] = Proposal(
            view=core.view,
            hash=prepared.hash,
            header=prepared.header,
            header_bytes=prepared.entry.header,
            tx_hashes=None,
            signature=signature,
            fresh=False,
        )
    proposal = core.proposals.get((core.view, core.next_height))
    if proposal is not None:
        normal.consider(core, proposal, now)
