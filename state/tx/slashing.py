"""Slashing: what it costs a member that its key is proven to have spoken twice.

Law: each is punished once for one height. A share of what its bond answers with is cut, the key is
condemned for ever, the gateway suspended at once; its seat goes in the next block. Anyone may show
the proof, and gains nothing by it.

What is a proof is not judged here: that is a pure function of two statements and the set of their
era (`evidence.py`), so every node and auditor comes to the same answer. Here it is only asked
whether the era is ours, the proof fresh and the height not punished yet. Part of the governance
family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.table import Table, int_key, pair_key, text_key
from state.tx.evidence import KINDS, check_contradiction, offender, open_statement
from state.tx.gateways import GATEWAY, chain_of, era_validators
from state.tx.membership import condemn
from state.tx.seats import suspend_now
from state.tx.tokens import liable_bond, slash_bond

NOT_EVIDENCE: Final = (417, "NOT_EVIDENCE")
EVIDENCE_KNOWN: Final = (418, "EVIDENCE_KNOWN")
EVIDENCE_TOO_OLD: Final = (419, "EVIDENCE_TOO_OLD")

EVIDENCE_HEIGHTS: Final = 100_000  # older statements prove nothing: an old key may be stolen


class Evidence(NamedTuple):
    """A proven contradiction of a gateway at a height."""

    txid: bytes
    era: int
    view: int
    kind: str
    vote_key: bytes
    cut: int  # of the bond, micro-MGS


# Key: (height, gateway): each is punished once for one height.
EVIDENCE: Final[Table[tuple[int, str], Evidence]] = Table(
    69, "governance/evidence", Evidence, pair_key(int_key(), text_key())
)


def apply_evidence(ctx: Context, fields: Fields) -> None:
    """Anyone shows that a member's key spoke twice: suspended at once, its seat in the next block.

    A share of what is left of the bond is taken, once for each height.
    """
    kind_name, first, second = fields
    kind = KINDS[kind_name]
    said = open_statement(kind, first[0])
    members = None if said is None else era_validators(ctx.draft, said.place.era)
    if said is None or members is None:
        raise Rejected(NOT_EVIDENCE, why="no statement of a committed era")
    place = said.place
    if place.height + EVIDENCE_HEIGHTS < ctx.height:
        raise Rejected(EVIDENCE_TOO_OLD, height=place.height)
    genesis_hash = chain_of(ctx.draft).genesis_hash
    why = check_contradiction(kind, first, second, members=members, genesis_hash=genesis_hash)
    if why is not None:
        raise Rejected(NOT_EVIDENCE, why=why)
    name, vote_key = members.members[offender(place, members)]
    if ctx.draft.get(EVIDENCE, (place.height, name)) is not None:
        raise Rejected(EVIDENCE_KNOWN, gateway=name, height=place.height)
    # From here on nothing can fail.
    cut = liable_bond(ctx.draft, name) * ctx.params["evidence_bond_bp"] // 10_000
    slash_bond(ctx, name, cut, to=b"", to_amount=0)
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None, "a member of an era is a gateway for ever"
    record = Evidence(ctx.object_id, place.era, place.view, kind_name, vote_key, cut)
    ctx.draft.put(EVIDENCE, (place.height, name), record)
    condemn(ctx, vote_key)
    ctx.emit("gov_evidence", name, place.era, place.height, kind_name, cut)
    suspend_now(ctx, name, gateway, ctx.object_id)
