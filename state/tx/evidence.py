"""Two signed statements that contradict each other: a pure function of the two (case 24).

A member says one thing for one place (type, era, view, height). Two statements of one place with
different hashes, both with good signatures of one member of that era, prove that its key spoke
twice. No clock, no height of today: every node and every auditor judges alike. Statements are
the bytes that were signed, as `consensus` made them and `mgsnode.base.block` spells them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.codec import decode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.keys import Signed, is_signed_by, statement
from mgsnode.base.validators import ValidatorSet

FIELDS_BYTES_MAX: Final = 96  # four integers and a hash have at most 71
KINDS: Final = {
    "pre_prepare": Signed.PRE_PREPARE,
    "prepare": Signed.PREPARE,
    "commit": Signed.COMMIT,
}


class Place(NamedTuple):
    """Where a statement was made: of one member there is at most one."""

    era: int
    view: int
    height: int
    member: int  # its index, -1: the view's primary


class Statement(NamedTuple):
    """What was signed, opened."""

    place: Place
    hash: bytes


def open_statement(kind: Signed, fields: bytes) -> Statement | None:
    """The statement in the bytes that were signed; None if they are none of this type."""
    try:
        value = decode(fields, bytes_max=FIELDS_BYTES_MAX)
    except Malformed:
        return None
    match value:
        case (int() as era, int() as view, int() as height, bytes() as block_hash):
            index = -1
            is_right = kind is Signed.PRE_PREPARE
        case (int() as era, int() as view, int() as height, bytes() as block_hash, int() as index):
            is_right = kind is not Signed.PRE_PREPARE and index >= 0
        case _:
            return None
    numbers = (era, view, height, index)
    if not is_right or len(block_hash) != HASH_BYTES or any(type(n) is bool for n in numbers):
        return None
    if min(era, view, height) < 0:
        return None
    return Statement(Place(era, view, height, index), block_hash)


def check_contradiction(
    kind: Signed,
    first: tuple[bytes, bytes],
    second: tuple[bytes, bytes],
    *,
    members: ValidatorSet,
    genesis_hash: bytes,
) -> str | None:
    """Why two (fields, signature) do not prove that a member of `members` spoke twice.

    None if they do; `offender` then says which. `members` is the set of the statements' era.
    """
    one, other = open_statement(kind, first[0]), open_statement(kind, second[0])
    if one is None or other is None:
        return "a part is no statement of this type"
    if one.place != other.place:
        return "the two are for different places"
    if one.hash == other.hash:
        return "the two say the same"
    index = offender(one.place, members)
    if index >= members.n:
        return "no such member"
    key = members.members[index].public_key
    for fields, signature in (first, second):
        if not is_signed_by(key, statement(kind, genesis_hash, fields), signature):
            return "a signature is not the member's"
    return None


def offender(place: Place, members: ValidatorSet) -> int:
    """The index of the member whose statement stands at `place`; may lie beyond the set."""
    return members.primary(place.view) if place.member < 0 else place.member
