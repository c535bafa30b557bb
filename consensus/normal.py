"""Proposals, PREPARE, COMMIT, decision: the way of a block while the primary is good (R3, R4).

It decides by counting members; it never reads the clock for a block that was proposed again
or certified, and it votes only for what its own ledger executed to the same roots.
"""

from __future__ import annotations

from consensus.complaint import complain
from consensus.core import COMMIT_VIEWS_MAX, Core, Proposal
from consensus.effects import Behind, BuildBlock, CheckBlock, Decide, Evidence, Halt, SendBlock
from consensus.events import BlockBuilt, BlockChecked, BodyMissing, NothingBuilt, Now
from consensus.journal import Body, Voted
from consensus.messages import Entry, Message, PrePrepare, Vote, pre_prepare_fields
from consensus.quorum import to_signatures
from consensus.signed import Prepared
from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Header,
    hash_header,
    make_certificate,
    open_header,
    vote_fields,
)
from mgsnode.base.codec import encode
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed
from mgsnode.base.limits import (
    BLOCK_CLOCK_AHEAD_MS_MAX,
    BLOCK_CLOCK_BEHIND_MS_MAX,
    EARLY_HEIGHTS,
    WINDOW,
)

BODY_RETRY_MS = 1_000


def belongs(core: Core, sender: str, raw: bytes, message: Message, now: Now) -> bool:
    """Whether a proposal or vote is for the window and view of now; else it is put in its place.

    Decided heights are answered with the block where the sender seems not to know, higher
    ones and those of the next views are kept for later, old views' PREPAREs are dropped (R4).
    """
    content = message.content
    assert isinstance(content, PrePrepare | Vote)
    last = core.head.header.height
    if content.height <= last:
        _answer_late(core, sender, content, now)
        return False
    if content.height > last + EARLY_HEIGHTS:
        core.drop(sender, message.kind.name, "too far ahead")
        return False
    is_commit = message.kind is Signed.COMMIT
    if content.view < core.view and not is_commit:
        core.drop(sender, message.kind.name, "old view")
        return False
    ahead = content.view > core.view or (content.view == core.view and not core.active)
    if (ahead and not is_commit) or content.height > last + WINDOW:
        core.keep_early(sender, raw)
        return False
    return True


def _answer_late(core: Core, sender: str, content: PrePrepare | Vote, now: Now) -> None:
    """A vote for a decided height in a later view: its sender has not learnt of it."""
    certificate = core.head.certificate
    if certificate is None or content.height != certificate.height:
        return
    member = (
        core.members.primary(content.view) if isinstance(content, PrePrepare) else content.member
    )
    if content.view > certificate.view:
        send_block(core, content.height, member, now)


def send_block(core: Core, height: int, to: int, now: Now) -> None:
    """Sends a decided block, at most once a second for each height and member."""
    last = core.sent_block_ms.get((height, to))
    if to == core.me or (last is not None and now.mono_ms - last < 1_000):
        return
    if len(core.sent_block_ms) > 4 * core.members.n:
        core.sent_block_ms.clear()
    core.sent_block_ms[height, to] = now.mono_ms
    core.out.append(SendBlock(height, to))


def on_pre_prepare(core: Core, sender: str, message: Message, now: Now) -> None:
    """A proposal for this view and window from its primary (R3)."""
    content = message.content
    assert isinstance(content, PrePrepare)
    place = (content.view, content.height)
    first = core.proposals.get(place)
    if first is not None:
        if first.hash != content.hash:
            earlier = pre_prepare_fields(core.era, first.view, content.height, first.hash)
            core.out.append(
                Evidence(
                    Signed.PRE_PREPARE,
                    core.members.primary(content.view),
                    (earlier, first.signature),
                    (message.fields, message.signature),
                )
            )
            complain(core, "two proposals")
        return
    if content.height <= core.base:
        core.drop(sender, "PRE_PREPARE", "at or below the base of this view")
        return
    chosen = core.choice.get(content.height)
    if chosen is not None and chosen != content.hash:
        core.drop(sender, "PRE_PREPARE", "not what the new view chose")
        complain(core, "departs from the new view's choice")
        return
    try:
        header = open_header(content.header)
    except Malformed as error:
        complain(core, f"malformed header: {error.why}")
        return
    why = _header_fault(core, header, content)
    if why is not None:
        core.drop(sender, "PRE_PREPARE", why)
        complain(core, why)
        return
    own = Signed.PRE_PREPARE if core.is_primary else Signed.PREPARE
    again = chosen is not None or (own, *place) in core.said
    core.proposals[place] = proposal = Proposal(
        view=content.view,
        hash=content.hash,
        header=header,
        header_bytes=content.header,
        tx_hashes=content.tx_hashes if chosen is None else None,
        signature=message.signature,
        fresh=not again,
    )
    consider(core, proposal, now)


def _header_fault(core: Core, header: Header, content: PrePrepare) -> str | None:
    """Why a proposal's header cannot stand here; the ledger judges the rest."""
    if hash_header(header) != content.hash:
        return "header has another hash"
    if header.version != PROTOCOL_VERSION or header.genesis_hash != core.config.genesis_hash:
        return "header of another chain or version"
    if (header.era, header.height) != (core.era, content.height):
        return "header of another place"
    if header.valset_hash != core.members.hash:
        return "header names another validator set"
    if header.height == core.next_height and header.parent_hash != core.head.hash:
        return "header has another parent"
    return None


def consider(core: Core, proposal: Proposal, now: Now) -> None:
    """Looks at an accepted proposal: the clock (if fresh), then the ledger."""
    if proposal.stage != "waiting" or proposal.header.height != core.next_height:
        return
    if proposal.fresh:
        stamp = proposal.header.timestamp_ms
        behind_max = max(BLOCK_CLOCK_BEHIND_MS_MAX, core.timeout_ms())
        if stamp <= core.head.header.timestamp_ms or stamp < now.wall_ms - behind_max:
            proposal.stage = "bad"
            complain(core, "timestamp behind the clock")
            return
        early_by = stamp - (now.wall_ms + BLOCK_CLOCK_AHEAD_MS_MAX)
        if early_by > 0:
            core.set_timer("clock", early_by)
            return
    if proposal.hash in core.checked:
        proposal.stage = "good"
        vote_prepare(core, proposal)
        settle(core, now)
        return
    proposal.stage = "checking"
    sources: tuple[int, ...] = (core.members.primary(proposal.view),)
    if proposal.tx_hashes is None:
        sources = tuple(i for i in range(core.members.n) if i != core.me)
    _check(core, proposal.hash, proposal.header_bytes, proposal.tx_hashes, sources)


def _check(
    core: Core,
    block_hash: bytes,
    header: bytes,
    tx_hashes: tuple[bytes, ...] | None,
    sources: tuple[int, ...],
) -> None:
    if block_hash in core.checking:
        return
    core.checking.add(block_hash)
    core.out.append(CheckBlock(block_hash, header, tx_hashes, sources))


def on_checked(core: Core, event: BlockChecked, now: Now) -> None:
    """The ledger's answer about a block."""
    if event.hash not in core.checking:
        return  # of a view or height that is over
    core.checking.discard(event.hash)
    if event.why is None:
        core.checked.add(event.hash)
        core.bodies[event.hash] = event.body
    else:
        core.refused[event.hash] = event.why
    for proposal in core.proposals.values():
        if proposal.hash != event.hash or proposal.stage != "checking":
            continue
        if event.why is not None:
            proposal.stage = "bad"
            complain(core, event.why)
        else:
            proposal.stage = "good"
            vote_prepare(core, proposal)
    settle(core, now)


def on_body_missing(core: Core, event: BodyMissing) -> None:
    """Nobody gave the body in time: complain, and ask again while the view lasts (case 28)."""
    core.checking.discard(event.hash)
    for proposal in core.proposals.values():
        if proposal.hash == event.hash and proposal.stage == "checking":
            proposal.stage = "waiting"
            core.set_timer("clock", BODY_RETRY_MS)
            complain(core, "a block's body is missing")


def vote_prepare(core: Core, proposal: Proposal) -> None:
    """PREPARE for a good proposal, remembered first. The primary's proposal is its vote."""
    place = (Signed.PREPARE, proposal.view, proposal.header.height)
    if not (core.may_bind() and core.active) or proposal.view != core.view or core.is_primary:
        return
    me = core.me
    assert me is not None
    said = core.said.get(place)
    if said is not None and said.hash != proposal.hash:
        return  # a restarted replica met a second proposal: its first vote stands
    height = proposal.header.height
    if said is None:
        _journal_vote(core, Signed.PREPARE, proposal, proposal.signature)
    fields = vote_fields(core.era, proposal.view, height, proposal.hash, me)
    core.say(Signed.PREPARE, fields)


def _journal_vote(core: Core, kind: Signed, proposal: Proposal, proof: bytes) -> None:
    """One `Persist` with the vote, and the body where the journal does not hold it yet."""
    vote = Voted(
        kind, core.era, proposal.view, proposal.header.height,
        proposal.hash, proposal.header_bytes, proof,
    )  # fmt: skip
    if proposal.hash in core.journaled:
        core.persist(vote)
    else:
        core.journaled.add(proposal.hash)
        core.persist(Body(proposal.hash, core.bodies[proposal.hash]), vote)


def on_vote(core: Core, sender: str, message: Message, now: Now) -> None:
    """A PREPARE or COMMIT in the window (R4)."""
    vote = message.content
    assert isinstance(vote, Vote)
    kind = message.kind
    if kind is Signed.PREPARE and vote.member == core.members.primary(vote.view):
        core.drop(sender, "PREPARE", "from the primary, whose proposal is its vote")
        return
    if kind is Signed.COMMIT:
        _make_room(core, vote)
    tally = core.tally(kind, vote.view, vote.height)
    first = tally.add(vote.member, vote.hash, message.signature)
    if first is not None:
        earlier = vote_fields(vote.era, vote.view, vote.height, first[0], vote.member)
        core.out.append(
            Evidence(kind, vote.member, (earlier, first[1]), (message.fields, message.signature))
        )
        return
    settle(core, now)


def _make_room(core: Core, vote: Vote) -> None:
    """A member's COMMITs of its latest views are kept: neither a liar's nor a long night's all."""
    views = [
        view
        for (kind, view, height), tally in core.tallies.items()
        if kind is Signed.COMMIT and height == vote.height and vote.member in tally
    ]
    if vote.view in views or len(views) < COMMIT_VIEWS_MAX:
        return
    oldest = (Signed.COMMIT, min(views), vote.height)
    core.tallies[oldest].forget(vote.member)
    if not core.tallies[oldest]:
        del core.tallies[oldest]


def settle(core: Core, now: Now) -> None:
    """Sees what the votes for the next height complete: COMMIT, decision."""
    height = core.next_height
    proposal = core.proposals.get((core.view, height))
    if proposal is not None and proposal.stage == "good" and core.active:
        _prepare_done(core, proposal)
    _decide(core, height, now)


def _prepare_done(core: Core, proposal: Proposal) -> None:
    """Prepared: the proposal and Q-1 PREPAREs of one view and hash. Then COMMIT, once."""
    height = proposal.header.height
    place = (Signed.COMMIT, proposal.view, height)
    if place in core.said or not core.may_bind():
        return
    prepares = core.tally(Signed.PREPARE, proposal.view, height).signatures(proposal.hash)
    if len(prepares) + 1 < core.members.quorum:
        return
    entry = Entry(
        proposal.view,
        proposal.header_bytes,
        proposal.signature,
        to_signatures(prepares, core.members.n),
    )
    core.prepared[height] = Prepared(entry, proposal.header, proposal.hash)
    _journal_vote(core, Signed.COMMIT, proposal, encode(entry))
    assert core.me is not None
    fields = vote_fields(core.era, proposal.view, height, proposal.hash, core.me)
    core.say(Signed.COMMIT, fields)


def _decide(core: Core, height: int, now: Now) -> None:
    """Decided: Q COMMITs equal in (era, view, height, hash), of whatever view."""
    if core.deciding is not None:
        return
    for kind, view, place in sorted(core.tallies):
        if kind is not Signed.COMMIT or place != height:
            continue
        tally = core.tallies[kind, view, place]
        block_hash = tally.quorum_hash(core.members.quorum)
        if block_hash is None:
            continue
        votes = tally.signatures(block_hash)
        if block_hash in core.checked:
            core.deciding = height
            certificate = make_certificate(
                era=core.era, view=view, height=height, block_hash=block_hash,
                votes=votes, n=core.members.n,
            )  # fmt: skip
            core.out.append(Decide(height, block_hash, certificate))
        elif block_hash in core.refused:
            # A quorum certified what our ledger refuses: never choose (case 54).
            core.out.append(
                Halt(f"height {height} is certified but refused: {core.refused[block_hash]}")
            )
        elif block_hash not in core.checking:
            _fetch_decided(core, block_hash, height, sorted(votes), now)
        return


def _fetch_decided(core: Core, block_hash: bytes, height: int, voters: list[int], now: Now) -> None:
    """A quorum decided what we never checked: from our own journal, or from those who did."""
    for prepared in core.prepared.values():
        if prepared.hash == block_hash:
            sources = tuple(i for i in voters if i != core.me)
            _check(core, block_hash, prepared.entry.header, None, sources)
            return
    source = next((i for i in voters if i != core.me), None)
    if source is not None:
        core.out.append(Behind(height, source))


def propose_if_due(core: Core, now: Now) -> None:
    """The active primary asks for a block as soon as its parent is durable and work waits (R3)."""
    height = core.next_height
    if (
        not (core.is_primary and core.active and core.may_bind())
        or core.building is not None
        or core.deciding is not None
        or core.fetching
        or height <= core.base
        or height in core.choice
        or (core.view, height) in core.proposals
        or (Signed.PRE_PREPARE, core.view, height) in core.said
        or not (core.work or core.idle_due)
    ):
        return
    core.building = (core.view, height)
    core.out.append(BuildBlock(core.view, height, core.head.hash, core.idle_due))


def on_built(core: Core, event: BlockBuilt | NothingBuilt, now: Now) -> None:
    """Our block is built: remember it, then propose it. It comes back and is judged like any."""
    if core.building != (event.view, event.height):
        return
    core.building = None
    if isinstance(event, NothingBuilt):
        core.work = False
        return
    if not (core.active and core.may_bind()):
        return
    core.bodies[event.hash] = event.body
    core.journaled.add(event.hash)
    vote = Voted(
        Signed.PRE_PREPARE, core.era, event.view, event.height, event.hash, event.header, b""
    )
    core.persist(Body(event.hash, event.body), vote)
    fields = pre_prepare_fields(core.era, event.view, event.height, event.hash)
    core.say(Signed.PRE_PREPARE, fields, tail=(event.header, event.tx_hashes))
