"""STATUS: where everybody stands, each second; it drives all resending, without give-up (R11).

A member names to each other member the furthest binding statement it has seen that member
sign. Meeting an own vote beyond the journal means that an old copy or a twin of us is running:
then we vote no more (R6, cases 42 and 43).
"""

from __future__ import annotations

from consensus.complaint import say_complaint
from consensus.core import STATUS_MS, Core
from consensus.effects import Behind, Demote
from consensus.messages import (
    Message,
    NewView,
    PrePrepare,
    Status,
    ViewChange,
    Vote,
    encode_message,
    status_fields,
)
from consensus.messages import open_message as _open_message
from mgsnode.base.codec import Value
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import SIGNATURE_BYTES, Signed

_BINDING = (Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT, Signed.VIEW_CHANGE)


def tick(core: Core) -> None:
    """Once a second: our standing complaint to all, our status to each."""
    core.set_timer("status", STATUS_MS + (core.me or 0) * 7)
    if core.me is None or core.demoted is not None:
        return
    if core.complaint is not None:
        say_complaint(core)
    for member in range(core.members.n):
        if member != core.me:
            say_status(core, member)


def say_status(core: Core, to: int) -> None:
    """Our status to one member."""
    me = core.me
    if me is None or core.demoted is not None or to == me:
        return
    height = core.next_height
    proposal = core.proposals.get((core.view, height))
    prepares = core.tallies.get((Signed.PREPARE, core.view, height))
    commits = core.tallies.get((Signed.COMMIT, core.view, height))
    seen = core.furthest.get(to)
    status = Status(
        era=core.era,
        view=core.view,
        active=core.active,
        height=height - 1,
        member=me,
        to=to,
        held_hash=b"" if proposal is None else proposal.hash,
        prepares=b"" if prepares is None else prepares.bitmap(core.members.n),
        commits=b"" if commits is None else commits.bitmap(core.members.n),
        seen=() if seen is None else seen[1],
    )
    core.say(Signed.STATUS, status_fields(status), to=to)


def remember_furthest(core: Core, member: int, message: Message) -> None:
    """Keeps a member's furthest binding statement, to tell it if it should ever forget."""
    content = message.content
    if message.kind not in _BINDING:
        return
    assert not isinstance(content, Status | NewView)
    height = content.height if isinstance(content, PrePrepare | Vote) else 0
    view = content.view if isinstance(content, PrePrepare | Vote | ViewChange) else 0
    place = (content.era, view, height)
    held = core.furthest.get(member)
    if held is None or place > held[0]:
        seen: tuple[Value, ...] = (int(message.kind), message.fields, message.signature)
        core.furthest[member] = (place, seen)


def on_status(core: Core, message: Message) -> None:
    """A member's status: what it has seen of us, what it lacks of ours."""
    status = message.content
    assert isinstance(status, Status)
    if status.to != core.me or status.member == core.me:
        return  # a twin's word about us is not another's
    if status.seen:
        _judge_seen(core, status.seen)
    first = status.member not in core.heard
    core.heard.add(status.member)
    if first:
        say_status(core, status.member)  # it may be waiting for ours
    if status.height > core.head.header.height:
        core.out.append(Behind(status.height, status.member))
    # Views are told at any height: on a fast chain two heights seldom meet in a STATUS.
    if status.view < core.view or (status.view == core.view and not status.active):
        _resend_view(core, status)
    elif status.view == core.view and status.height == core.head.header.height:
        _resend(core, status)


def _judge_seen(core: Core, seen: tuple[Value, ...]) -> None:
    """An own vote beyond the journal, properly signed, ends our voting (case 43)."""
    number, fields, signature = seen
    if number not in _BINDING or type(fields) is not bytes or type(signature) is not bytes:
        return
    kind = Signed(number)
    assert core.me is not None
    if len(signature) != SIGNATURE_BYTES or not core.court.is_signed(
        kind, core.me, fields, signature
    ):
        return
    tail: Value = (b"", ()) if kind is Signed.PRE_PREPARE else ()
    try:
        content = _open_message(encode_message(kind, fields, signature, tail)).content
    except Malformed:
        return
    assert isinstance(content, PrePrepare | Vote | ViewChange)
    floor = core.recovered.floor
    beyond_view = (content.era, content.view) > (floor.era, floor.view)
    height = 0 if isinstance(content, ViewChange) else content.height
    if (beyond_view or height > floor.height) and core.demoted is None:
        core.demoted = f"our key signed {kind.name} at view {content.view} beyond this journal"
        core.out.append(Demote(core.demoted))


def _resend(core: Core, status: Status) -> None:
    """What of ours the sender lacks at the height and view that we both work on."""
    height, to = core.next_height, status.member
    proposal = core.proposals.get((core.view, height))
    if proposal is None or core.me is None or not core.active:
        return
    if core.is_primary and not status.held_hash:
        hashes = proposal.tx_hashes or ()
        fields = core.said_fields(Signed.PRE_PREPARE, core.view, height)
        if fields is not None:
            core.say(Signed.PRE_PREPARE, fields, tail=(proposal.header_bytes, hashes), to=to)
    for kind, held in ((Signed.PREPARE, status.prepares), (Signed.COMMIT, status.commits)):
        fields = core.said_fields(kind, core.view, height)
        if fields is not None and not _has_bit(held, core.me):
            core.say(kind, fields, to=to)


def _resend_view(core: Core, status: Status) -> None:
    if core.own_change is not None:
        core.say(Signed.VIEW_CHANGE, core.own_change, to=status.member)
    if core.own_new_view is not None:
        fields, inner = core.own_new_view
        core.say(Signed.NEW_VIEW, fields, inner=inner, to=status.member)


def _has_bit(bitmap: bytes, member: int) -> bool:
    return member // 8 < len(bitmap) and bool(bitmap[member // 8] >> member % 8 & 1)
