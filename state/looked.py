"""What an audit can look at without the state: the hashes and signatures of one height's bytes.

Who looks says what hash comes out and which signature is bad, never what follows from it: the
audit judges, in the order of the chain. `Here` looks when it is asked; `Told` hands on what
somebody else found beforehand in the same bytes (`look_at`, in a process of its own).

A certificate is judged by the set of its era, which only execution tells. So who looks ahead is
handed the set that holds when the work is given out; where the chain has another one by then
(the blocks of the look-ahead behind a change of members), its signatures are checked again, here.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple, Protocol

from mgsnode.base.block import (
    Header,
    Verify,
    check_certificate,
    hash_header,
    open_certificate,
    txs_root,
)
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Malformed, MgsError
from mgsnode.base.hashing import signed_hash_of
from mgsnode.base.keys import is_signed_by
from mgsnode.base.limits import FRAME_BYTES_MAX
from mgsnode.base.transaction import Claim, open_transaction
from mgsnode.base.validators import ValidatorSet
from state import chain


class Checks(Protocol):
    """Answers about one height that need no state."""

    def header_hash(self, header: Header) -> bytes:
        """The hash of the height's header."""

    def txs_root(self, txs: Sequence[bytes]) -> bytes:
        """The root over the height's transactions, in order."""

    def verify(self, members: ValidatorSet) -> Verify:
        """What `check_certificate` under `members` asks about the certificate's signatures."""

    def bad_claims(self, claims: Sequence[Claim]) -> Container[int]:
        """The places of the bad ones among the height's claims, all transactions' in order."""


class Here:
    """`Checks` that look when they are asked, in this process: 60 us for a signature."""

    def header_hash(self, header: Header) -> bytes:
        """As `Checks.header_hash`."""
        return hash_header(header)

    def txs_root(self, txs: Sequence[bytes]) -> bytes:
        """As `Checks.txs_root`."""
        return txs_root([signed_hash_of(tx) for tx in txs])

    def verify(self, _members: ValidatorSet) -> Verify:
        """As `Checks.verify`."""
        return is_signed_by

    def bad_claims(self, claims: Sequence[Claim]) -> Container[int]:
        """As `Checks.bad_claims`."""
        return _bad_places(claims)


class Question(NamedTuple):
    """The bytes of one height to look at; empty where the source has none."""

    block: bytes
    certificate: bytes


class Work(NamedTuple):
    """Heights to look at, for somebody who has nothing else."""

    genesis_hash: bytes
    members: ValidatorSet  # who certifies, as far as is known yet
    questions: tuple[Question, ...]


class Looked(NamedTuple):
    """What was found at one height. Where a part does not open, what hangs on it is empty: the
    audit finds that for itself before it asks.
    """

    header_hash: bytes
    txs_root: bytes
    bad_voters: tuple[bytes, ...]  # the vote keys whose signatures are bad, under `Work.members`
    bad_claims: tuple[int, ...]


_NOTHING = Looked(b"", b"", (), ())


class Told:
    """`Checks` by what was looked at beforehand, under `members`."""

    def __init__(self, looked: Looked, members: ValidatorSet) -> None:
        self._looked = looked
        self._members = members

    def header_hash(self, _header: Header) -> bytes:
        """As `Checks.header_hash`."""
        return self._looked.header_hash

    def txs_root(self, _txs: Sequence[bytes]) -> bytes:
        """As `Checks.txs_root`."""
        return self._looked.txs_root

    def verify(self, members: ValidatorSet) -> Verify:
        """As `Checks.verify`."""
        if members != self._members:
            return is_signed_by
        bad = self._looked.bad_voters
        return lambda public_key, _message, _signature: public_key not in bad

    def bad_claims(self, _claims: Sequence[Claim]) -> Container[int]:
        """As `Checks.bad_claims`."""
        return self._looked.bad_claims


def look_at(work: Work) -> list[Looked]:
    """What is found at each height of `work`, in order. Whatever the bytes are, it says so."""
    return [_look(question, work) for question in work.questions]


def open_parts(raw: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The header's bytes and the transactions' of a block, else `MgsError`."""
    match decode(raw, bytes_max=FRAME_BYTES_MAX):
        case (bytes() as header, tuple() as txs) if all(type(tx) is bytes for tx in txs):
            return header, txs
    raise Malformed("is not (header, transactions)")


def open_header_bytes(raw: bytes) -> Header:
    """The header of its bytes in a block, else `Malformed`."""
    return chain.header_of(encode((raw, ())))


def _look(question: Question, work: Work) -> Looked:
    try:
        header_bytes, txs = open_parts(question.block)
        header = open_header_bytes(header_bytes)
    except MgsError:
        return _NOTHING
    here = Here()
    return Looked(
        header_hash=here.header_hash(header),
        txs_root=here.txs_root(txs),
        bad_voters=_bad_voters(question.certificate, header, work.members),
        bad_claims=_bad_claims(txs, work.genesis_hash),
    )


def _bad_voters(raw: bytes, header: Header, members: ValidatorSet) -> tuple[bytes, ...]:
    """Empty where the certificate is refused for another reason: none of them is asked then."""
    bad: list[bytes] = []

    def note(public_key: bytes, message: bytes, signature: bytes) -> bool:
        if not is_signed_by(public_key, message, signature):
            bad.append(public_key)
        return True

    try:
        check_certificate(open_certificate(raw), header, members, verify=note)
    except MgsError:
        return ()
    return tuple(bad)


def _bad_claims(txs: Sequence[bytes], genesis_hash: bytes) -> tuple[int, ...]:
    """Empty where a transaction does not open: none of them is asked then."""
    try:
        opened = [open_transaction(tx, genesis_hash) for tx in txs]
    except MgsError:
        return ()
    return _bad_places([claim for tx in opened for claim in tx.claims()])


def _bad_places(claims: Sequence[Claim]) -> tuple[int, ...]:
    return tuple(place for place, claim in enumerate(claims) if not is_signed_by(*claim))
