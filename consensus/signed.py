"""Whether what was said was really said: signatures and the proofs made of them.

Every function here is pure: it depends on its arguments only. `check_…` answers why not, or
None. A proof is judged by the validator set of its era and height, never by "the current" one.
Rules R2, R8, R9.
"""

from __future__ import annotations

from typing import NamedTuple

from consensus.messages import (
    Entry,
    Message,
    NewView,
    PrePrepare,
    Signatures,
    ViewChange,
    complain_fields,
    pre_prepare_fields,
)
from mgsnode.base.block import (
    Certificate,
    Header,
    Verify,
    hash_header,
    open_header,
    vote_fields,
)
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import WINDOW
from mgsnode.base.validators import ValidatorSet, indices_of, is_bitmap


class Court(NamedTuple):
    """Who judges by what: the chain, the era's members, and the signature check."""

    genesis_hash: bytes
    era: int
    members: ValidatorSet
    before: ValidatorSet | None  # the era before, for the certificate of the block that ended it
    verify: Verify

    def is_signed(self, kind: Signed, index: int, fields: bytes, signature: bytes) -> bool:
        """Whether member `index` signed `fields` as `kind`."""
        key = self.members.members[index].public_key
        return self.verify(key, statement(kind, self.genesis_hash, fields), signature)


def signer_of(message: Message, members: ValidatorSet) -> int:
    """The index of the member that ought to have signed; may lie outside the set."""
    content = message.content
    if isinstance(content, PrePrepare | NewView):
        return members.primary(content.view)
    return content.member


def check_message(message: Message, court: Court) -> str | None:
    """Why `message` is not what a member of this era said; None if it is."""
    if message.content.era != court.era:
        return "another era"
    index = signer_of(message, court.members)
    if not 0 <= index < court.members.n:
        return "no such member"
    if not court.is_signed(message.kind, index, message.fields, message.signature):
        return "bad signature"
    return None


def check_exit(proof: Signatures, view: int, court: Court) -> str | None:
    """Why `proof` does not show that a quorum complained about `view`."""
    if not is_bitmap(proof.bitmap, court.members.n):
        return "exit certificate names a member that does not exist"
    indices = indices_of(proof.bitmap)
    if len(indices) < court.members.quorum:
        return "exit certificate is below a quorum"
    for index, signature in zip(indices, proof.signatures, strict=True):
        fields = complain_fields(court.era, view, index)
        if not court.is_signed(Signed.COMPLAIN, index, fields, signature):
            return "exit certificate has a bad signature"
    return None


def open_entry(entry: Entry, court: Court) -> tuple[Header, bytes]:
    """(header, hash) of a prepared entry whose proof holds, else `Malformed`.

    The hash is computed from the header as received, never taken from beside it (case 51).
    """
    header = open_header(entry.header)
    block_hash = hash_header(header)
    if header.era != court.era or header.genesis_hash != court.genesis_hash:
        raise Malformed("prepared entry of another era or chain")
    primary = court.members.primary(entry.view)
    if not is_bitmap(entry.prepares.bitmap, court.members.n):
        raise Malformed("prepared entry names a member that does not exist")
    indices = indices_of(entry.prepares.bitmap)
    if primary in indices:
        raise Malformed("prepared entry counts the primary twice")
    if len(indices) + 1 < court.members.quorum:
        raise Malformed("prepared entry is below a quorum")
    proposal = pre_prepare_fields(court.era, entry.view, header.height, block_hash)
    if not court.is_signed(Signed.PRE_PREPARE, primary, proposal, entry.primary_signature):
        raise Malformed("prepared entry has a bad proposal signature")
    for index, signature in zip(indices, entry.prepares.signatures, strict=True):
        fields = vote_fields(court.era, entry.view, header.height, block_hash, index)
        if not court.is_signed(Signed.PREPARE, index, fields, signature):
            raise Malformed("prepared entry has a bad PREPARE")
    return header, block_hash


def check_decided(change: ViewChange, court: Court) -> str | None:
    """Why a view change does not prove the height it claims to have decided."""
    certificate = change.certificate
    if certificate is None:
        # Height 0 is the genesis; who holds another genesis signs nothing that we accept.
        return None if change.height == 0 else "view change without a certificate"
    if (certificate.height, certificate.hash) != (change.height, change.hash):
        return "view change with a certificate of another block"
    members = court.members if certificate.era == court.era else court.before
    if members is None or certificate.era not in (court.era, court.era - 1):
        return "view change with a certificate of a far era"
    return check_commits(certificate, members, court)


def check_commits(certificate: Certificate, members: ValidatorSet, court: Court) -> str | None:
    """Why a certificate's signatures are not a quorum of COMMITs (its header is not at hand)."""
    if not is_bitmap(certificate.bitmap, members.n):
        return "certificate names a member that does not exist"
    indices = certificate.indices()
    if len(indices) < members.quorum:
        return "certificate is below a quorum"
    for index, signature in zip(indices, certificate.signatures, strict=True):
        fields = vote_fields(
            certificate.era, certificate.view, certificate.height, certificate.hash, index
        )
        message = statement(Signed.COMMIT, court.genesis_hash, fields)
        if not court.verify(members.members[index].public_key, message, signature):
            return "certificate has a bad signature"
    return None


class Prepared(NamedTuple):
    """A prepared entry that was verified, with what its header says."""

    entry: Entry
    header: Header
    hash: bytes


class OpenedChange(NamedTuple):
    """A view change whose every proof holds."""

    change: ViewChange
    fields: bytes
    signature: bytes
    prepared: tuple[Prepared, ...]  # rising by height


def open_change(change: ViewChange, fields: bytes, signature: bytes, court: Court) -> OpenedChange:
    """A view change with all its proofs checked, else `Malformed`. Its own signature too."""
    if change.era != court.era or change.view < 1 or not 0 <= change.member < court.members.n:
        raise Malformed("view change of another era or of nobody")
    if not court.is_signed(Signed.VIEW_CHANGE, change.member, fields, signature):
        raise Malformed("view change with a bad signature")
    why = check_exit(change.exit, change.view - 1, court) or check_decided(change, court)
    if why is not None:
        raise Malformed(why)
    opened: list[Prepared] = []
    last = change.height
    for entry in change.prepared:
        if entry.view >= change.view:
            raise Malformed("prepared entry of a view that is not lower")
        header, block_hash = open_entry(entry, court)
        if not last < header.height <= change.height + WINDOW:
            raise Malformed("prepared entry outside the window or out of order")
        last = header.height
        opened.append(Prepared(entry, header, block_hash))
    return OpenedChange(change, fields, signature, tuple(opened))


class Choice(NamedTuple):
    """What follows from Q view changes: the decided base, and what is proposed again."""

    base: int
    prepared: tuple[Prepared, ...]  # base + 1, base + 2, … each on top of the one before


class Contradiction(Exception):
    """Two prepared entries of one view and height with different hashes: more than f lie."""


def derive_choice(changes: list[OpenedChange]) -> Choice:
    """The choice that Q view changes prove (R9): highest view for each height, chained.

    A missing or mismatching parent proves the height undecided, so the list ends there
    (docs: "why the cut is safe"). Depends on the set of changes only, not on their order.
    The genesis has no certificate, so the hash that a view change names at height 0 proves
    nothing; an entry's own Q signers have judged its parent there.
    """
    top = max(changes, key=lambda opened: opened.change.height).change
    tops = {opened.change.hash for opened in changes if opened.change.height == top.height}
    if top.height and len(tops) > 1:
        raise Contradiction(f"two certified blocks at height {top.height}")
    tip = top.hash if top.height else None
    chosen: list[Prepared] = []
    height = top.height + 1
    while True:
        best: Prepared | None = None
        for opened in changes:
            for candidate in opened.prepared:
                if candidate.header.height != height:
                    continue
                if best is None or candidate.entry.view > best.entry.view:
                    best = candidate
                elif candidate.entry.view == best.entry.view and candidate.hash != best.hash:
                    raise Contradiction(f"two prepared blocks at height {height}")
        if best is None or (tip is not None and best.header.parent_hash != tip):
            return Choice(top.height, tuple(chosen))
        chosen.append(best)
        tip = best.hash
        height += 1
