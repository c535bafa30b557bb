"""How a node comes back: the guard that remembers its votes, and the replica as it stood.

Two memories make it up: the chain says what is decided and who votes next, the journal what was
ever signed with our key. Without the journal nobody knows that, so the node follows and votes for
nothing (case 42). Nothing is signed or sent here, and no peer is believed.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from consensus.core import Config, Head
from consensus.journal import FORMAT, Opened, Recovered
from consensus.replica import Replica
from mgsnode.base.keys import SigningKey
from mgsnode.guard import Guard, NoJournal
from mgsnode.home import NodeKeys
from state.ledger import Ledger

_log = structlog.get_logger("mgsnode.recovery")


def open_guard(journal: Path, keys: NodeKeys, genesis_hash: bytes) -> tuple[Guard | None, str]:
    """The guard of our vote key and "", or None and why there is none.

    Raises what `Guard` raises otherwise.
    """
    if keys.vote is None:
        return None, "there is no vote key here"
    try:
        return Guard(journal, SigningKey(keys.vote.seed), genesis_hash), ""
    except NoJournal as error:
        _log.error("this node follows and votes for nothing", why=str(error))
        return None, str(error)


def recover_replica(
    ledger: Ledger,
    guard: Guard | None,
    keys: NodeKeys,
    *,
    view_timeout_ms: int,
    demoted: str,
    mono_ms: int,
) -> Replica:
    """The replica on the ledger's head with what the journal holds.

    `demoted` is why this node votes for nothing, or "".
    """
    head = ledger.head
    stored = ledger.stored_block(head.header.height)
    assert stored is not None
    public_key = keys.vote.public_key if keys.vote is not None else bytes(32)
    opened = Opened(FORMAT, ledger.genesis_hash, public_key)
    barrier = head.header.next_valset_hash != head.header.valset_hash
    era = head.header.era + barrier
    return Replica(
        Config(ledger.genesis_hash, public_key, view_timeout_ms),
        head=Head(head.header, head.hash, stored[2], mono_ms),
        era=era,
        members=head.validators,
        before=ledger.members_before(),
        recovered=Recovered(opened) if guard is None else guard.recovered_copy(),
        demoted=demoted or None,
    )
