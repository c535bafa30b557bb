"""Small wrong changes to `consensus/`, each of which somebody must notice.

A mutation is a name, a file and pairs of (text that stands there once, text instead). A pair
whose text is not found is an error, so the list cannot go stale unseen.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One planted bug."""

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]


def _one(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, file, ((old, new),))


MUTATIONS = (
    # R1
    _one("prepared with one vote less", "normal.py",
         "if len(prepares) + 1 < core.members.quorum:",
         "if len(prepares) + 2 < core.members.quorum:"),
    _one("decided with one vote less", "normal.py",
         "block_hash = tally.quorum_hash(core.members.quorum)",
         "block_hash = tally.quorum_hash(core.members.quorum - 1)"),
    _one("quorum of 2f+1", "normal.py",
         "block_hash = tally.quorum_hash(core.members.quorum)",
         "block_hash = tally.quorum_hash(2 * core.members.f + 1)"),
    _one("mixed views counted", "normal.py",
         "tally = core.tally(kind, vote.view, vote.height)",
         "tally = core.tally(kind, vote.view if kind is Signed.PREPARE else 0, vote.height)"),
    _one("a second vote replaces the first", "quorum.py",
         "first = self._votes.setdefault(index, (block_hash, signature))",
         "first = self._votes.get(index, (block_hash, signature))\n"
         "        self._votes[index] = (block_hash, signature)"),
    _one("votes for any hash counted", "quorum.py",
         "return sum(voted == block_hash for voted, _ in self._votes.values())",
         "return len(self._votes)"),
    _one("the primary's PREPARE counted", "normal.py",
         "if kind is Signed.PREPARE and vote.member == core.members.primary(vote.view):",
         "if kind is Signed.TX:"),
    # R2
    _one("the sender may be another", "replica.py",
         "core.members.members[member].gateway != sender:",
         "False:"),
    _one("a bad signature remembered as good", "memo.py",
         "            return False\n", "            pass\n"),
    # R3
    _one("a second proposal accepted", "normal.py",
         "    if first is not None:\n        if first.hash",
         "    if False:\n        if first.hash"),
    _one("the header's parent not compared", "normal.py",
         "if header.height == core.next_height and header.parent_hash != core.head.hash:",
         "if False:"),
    _one("the header's hash not computed", "normal.py",
         "if hash_header(header) != content.hash:", "if False:"),
    _one("a proposal against the choice accepted", "normal.py",
         "if chosen is not None and chosen != content.hash:", "if False:"),
    _one("the clock judges what was proposed again", "view_change.py",
         "            fresh=False,", "            fresh=True,"),
    _one("no clock at all", "normal.py", "    if proposal.fresh:", "    if False:"),
    _one("a restarted primary proposes anew", "normal.py",
         "        or (Signed.PRE_PREPARE, core.view, height) in core.said\n", ""),
    # R4
    _one("what is refused is waited for", "normal.py",
         "elif block_hash in core.refused:", "elif False:"),
    _one("COMMIT in every round", "normal.py",
         "if place in core.said or not core.may_bind():", "if not core.may_bind():"),
    _one("early messages dropped", "normal.py",
         "        core.keep_early(sender, raw)\n        return False",
         "        return False"),
    _one("early messages without bound", "core.py",
         "deque(maxlen=EARLY_MESSAGES_MAX)", "deque()"),
    # R5 and R6
    _one("PREPARE not remembered", "normal.py",
         "        _journal_vote(core, Signed.PREPARE, proposal, proposal.signature)",
         "        pass"),
    _one("COMMIT not remembered", "normal.py",
         "    _journal_vote(core, Signed.COMMIT, proposal, encode(entry))", "    pass"),
    _one("VIEW-CHANGE not remembered", "view_change.py",
         "    core.persist(Left(core.era, view, fields))\n", ""),
    _one("NEW-VIEW not remembered", "view_change.py",
         "    core.persist(Made(core.era, core.view, fields), *votes)\n", ""),
    _one("VIEW-CHANGE said before it is remembered", "view_change.py",
         "    core.persist(Left(core.era, view, fields))\n",
         "    core.say(Signed.VIEW_CHANGE, fields)\n"
         "    core.persist(Left(core.era, view, fields))\n"),
    _one("a restart begins in view 0", "replica.py",
         "core.view, core.active, core.base = recovered.view, recovered.active, recovered.base",
         "core.active = True"),
    _one("a restart is active", "replica.py",
         "core.view, core.active, core.base = recovered.view, recovered.active, recovered.base",
         "core.view, core.active, core.base = recovered.view, True, recovered.base"),
    _one("a restart forgets what was prepared", "replica.py",
         "            if kind is Signed.COMMIT:", "            if kind is Signed.TX:"),
    _one("a restart forgets its NEW-VIEW", "replica.py",
         "if made is not None and made.view == core.view:", "if False:"),
    _one("votes before others were heard", "core.py",
         "            and len(self.heard) >= self.members.quorum - 1\n", ""),
    _one("votes below the journal's floor", "core.py",
         "            and self.next_height >= self.recovered.floor.height\n", ""),
    _one("votes on heights whose votes were dropped", "core.py",
         "            and self.next_height > self.recovered.floor.dropped\n", ""),
    _one("an own vote beyond the journal ignored", "status.py",
         "    if (beyond_view or height > floor.height) and core.demoted is None:",
         "    if False:"),
    _one("a torn record is kept", "journal.py",
         "    if crc32(raw[offset + 8 : end]) != crc:\n        return None\n", ""),
    _one("the floor is forgotten with its votes", "journal.py",
         "records: list[Record] = [state.opened, floor]",
         "records: list[Record] = [state.opened]"),
    # R7
    _one("stale timers fire", "replica.py",
         "if core.tokens.get(event.name) != event.token:", "if False:"),
    _one("backing off never ends", "replica.py", "        core.backoff = 0\n", ""),
    _one("no joining of f+1 complaints", "view_change.py",
         "if content.view == core.view and len(about) >= core.members.weak:", "if False:"),
    _one("leaving on f+1 complaints", "view_change.py",
         "    if len(about) >= core.members.quorum:", "    if len(about) >= core.members.weak:"),
    _one("complaints never grow old", "view_change.py",
         "return now.mono_ms - complaint.mono_ms > COMPLAINT_MS", "return False"),
    _one("complaints said once", "status.py",
         "    if core.complaint is not None:\n        say_complaint(core)\n", ""),
    _one("a lone timeout leaves the view", "view_change.py",
         "    if len(about) >= core.members.quorum:", "    if len(about) >= 1:"),
    # R8
    _one("VIEW-CHANGE omits what is prepared", "view_change.py",
         "        if last < height <= last + WINDOW\n", "        if False\n"),
    _one("exit certificates not checked", "signed.py",
         "why = check_exit(change.exit, change.view - 1, court) or check_decided(change, court)",
         "why = check_decided(change, court)"),
    _one("decided heights not proved", "signed.py",
         "why = check_exit(change.exit, change.view - 1, court) or check_decided(change, court)",
         "why = check_exit(change.exit, change.view - 1, court)"),
    _one("back to the old view with a new block", "replica.py",
         "        core.backoff = 0\n", "        core.backoff = 0\n        core.active = True\n"),
    _one("nobody follows a lone VIEW-CHANGE", "view_change.py",
         '        leave(core, change.view, change.exit, why="followed a view change", now=now)',
         "        return"),
    # R9
    _one("the lowest view wins", "signed.py",
         "candidate.entry.view > best.entry.view", "candidate.entry.view < best.entry.view"),
    _one("two prepared blocks: the first is chosen", "signed.py",
         "elif candidate.entry.view == best.entry.view and candidate.hash != best.hash:",
         "elif False:"),
    _one("the base is the lowest height", "signed.py",
         "top = max(changes, key=lambda", "top = min(changes, key=lambda"),
    _one("a lagging primary starts the view", "view_change.py",
         "if core.head.header.height < choice.base:", "if False:"),
    _one("prepared certificates of f+1", "signed.py",
         "if len(indices) + 1 < court.members.quorum:",
         "if len(indices) + 1 < court.members.weak:"),
    # R10
    _one("the choice is believed", "view_change.py",
         "if tuple(p.entry.header for p in choice.prepared) != content.headers:", "if False:"),
    _one("a view is entered without its base", "view_change.py",
         "if core.head.header.height < install.choice.base:", "if False:"),
    _one("fewer view changes than a quorum", "view_change.py",
         "    if len(opened) < core.members.quorum:", "    if len(opened) < core.members.weak:"),
    _one("bodies asked of the old primary", "core.py",
         "        self.checking.clear()", "        # self.checking.clear()"),
    # R11
    _one("view changes not said again", "status.py",
         "        core.say(Signed.VIEW_CHANGE, core.own_change, to=status.member)", "        pass"),
    _one("votes not said again", "status.py",
         "            core.say(kind, fields, to=to)", "            pass"),
    _one("greater heights ignored", "status.py",
         "        core.out.append(Behind(status.height, status.member))", "        pass"),
    # R12
    _one("a new era keeps the view", "replica.py",
         "        core.view, core.active = 0, True\n", ""),
    _one("a new era keeps the members", "replica.py",
         "core.before, core.members = core.members, event.members",
         "core.before = core.members"),
    _one("a new era keeps who was heard", "replica.py", "        core.heard.clear()\n", ""),
)  # fmt: skip
