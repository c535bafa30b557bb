"""What always holds of governance, read over the whole state: changes, keys and the queue.

The log of changes is replayed against the eras, so that no seat comes or goes without a passed
proposal, proven evidence or a lapsed debt. Nothing here is called while a block is executed. Part
of the governance family.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.limits import INT_MAX
from state.draft import Reader
from state.registry import Law
from state.tx.gateways import ERA, GATEWAY
from state.tx.membership import KEY_USE
from state.tx.obligations import LAPSED, OBLIGATION
from state.tx.proposals import DONE, OPEN, PASSED, PROPOSAL
from state.tx.seats import CHANGE, QUEUE, counts_of
from state.tx.slashing import EVIDENCE


def check_changes(reader: Reader) -> str | None:
    """Each era's set follows from the first one by the changes, and each change from a source."""
    eras = [row for _, row in reader.items(ERA)]
    seats = dict(eras[0].members)
    places = {name: row.place for name, row in reader.items(GATEWAY)}
    proofs = [(row.txid, key[1]) for key, row in reader.items(EVIDENCE)]
    expected = [(0, eras[0].members)]
    changes = [row for _, row in reader.items(CHANGE)]
    if len(changes) != counts_of(reader).changes:
        return "changes are missing"
    for at, change in enumerate(changes):
        if at and change.height < changes[at - 1].height:
            return f"change {at} stands before an earlier one"
        proposal = reader.get(PROPOSAL, change.source)
        is_passed = proposal is not None and (proposal.status, proposal.closed_height) == (
            DONE, change.height,
        )  # fmt: skip
        debt = reader.get(OBLIGATION, change.source)
        is_owed = debt is not None and (debt.status, debt.debtor) == (LAPSED, change.gateway)
        is_lost = not change.vote_key and (is_owed or (change.source, change.gateway) in proofs)
        if not is_passed and not is_lost:
            return f"change {at}: {change.gateway}: no proposal, evidence or debt says so"
        if change.vote_key:
            seats[change.gateway] = change.vote_key
        else:
            seats.pop(change.gateway, None)
        if at + 1 == len(changes) or changes[at + 1].height != change.height:
            members = tuple(sorted(seats.items(), key=lambda seat: places[seat[0]]))
            if members != expected[-1][1]:
                expected.append((change.height + 1, members))
    found = [(row.first_height, row.members) for row in eras]
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"era {number} is not what genesis, proposals, evidence and debts say"
    return None if len(found) == len(expected) else f"{len(found)} eras, {len(expected)} follow"


def check_keys(reader: Reader) -> str | None:
    """Every vote key that was ever used is listed for its one gateway."""
    used = {name: row.vote_key for name, row in reader.items(GATEWAY)}
    named = [pair for _, era in reader.items(ERA) for pair in era.members]
    for name, vote_key in [*named, *sorted(used.items())]:
        use = reader.get(KEY_USE, vote_key)
        if use is None or use.gateway != name:
            return f"vote key {vote_key.hex()} of {name} is not listed as its own"
    return None


def check_queue(reader: Reader) -> str | None:
    """What is open stands in the queue, once, and nothing below where it begins."""
    waiting: dict[bytes, int] = {}
    first = INT_MAX
    for (height, _), queued in reader.items(QUEUE):
        first = min(first, height)
        if queued.source in waiting:
            return f"{queued.source.hex()} stands twice in the queue"
        waiting[queued.source] = height
        if queued.vacates:
            continue
        proposal = reader.get(PROPOSAL, queued.source)
        if proposal is None or proposal.status not in (OPEN, PASSED):
            return f"{queued.source.hex()} waits and is no open proposal"
        if height < proposal.effective_height:
            return f"proposal {queued.source.hex()} waits for {height}"
    if counts_of(reader).queue_from != first:
        return f"the queue begins at {first}, not at {counts_of(reader).queue_from}"
    for proposal_id, proposal in reader.items(PROPOSAL):
        if proposal.status in (OPEN, PASSED) and proposal_id not in waiting:
            return f"proposal {proposal_id.hex()} is {proposal.status} and waits for nothing"
    return None


LAWS: Final = (
    Law("changes", check_changes),
    Law("keys", check_keys),
    Law("queue", check_queue),
)
