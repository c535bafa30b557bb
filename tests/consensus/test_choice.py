"""R9: the choice of a NEW-VIEW, also for windows wider than the one that is switched on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import Entry, Signatures, ViewChange
from consensus.signed import Contradiction, OpenedChange, Prepared, derive_choice
from mgsnode.base.block import Certificate, Header, hash_header
from mgsnode.base.codec import encode
from tests.consensus.transcript import Transcript

NOBODY = Signatures(b"\0", ())


def book() -> dict[str, Header]:
    """X1 - X2 - X3 on the genesis, and Y1 - Y2 beside them."""
    transcript = Transcript()
    transcript.run(
        "members ABCD, we are B\n"
        "block X1 on genesis\nblock X2 on X1\nblock X3 on X2\n"
        "block Y1 on genesis\nblock Y2 on Y1"
    )
    return {name: stored.header for name, stored in transcript.book.blocks.items()}


BLOCKS = book()


def change(member: int, base: str, *prepared: tuple[str, int]) -> OpenedChange:
    """A view change that was checked: `base` decided, (block, view) prepared."""
    header = BLOCKS[base]
    block_hash = hash_header(header)
    certificate = Certificate(0, 0, header.height, block_hash, b"\x07", ())
    entries = tuple(
        Prepared(
            Entry(view, encode(BLOCKS[name]), bytes(64), NOBODY),
            BLOCKS[name],
            hash_header(BLOCKS[name]),
        )
        for name, view in prepared
    )
    said = ViewChange(
        0, 9, header.height, block_hash, certificate if header.height else None,
        NOBODY, tuple(entry.entry for entry in entries), member,
    )  # fmt: skip
    return OpenedChange(said, b"", bytes(64), entries)


def chosen(*changes: OpenedChange) -> tuple[int, list[str]]:
    """The choice in names."""
    choice = derive_choice(list(changes))
    names = {hash_header(header): name for name, header in BLOCKS.items()}
    return choice.base, [names[entry.hash] for entry in choice.prepared]


def test_the_highest_view_wins_at_each_height() -> None:
    got = chosen(
        change(0, "genesis", ("X1", 0)), change(1, "genesis", ("Y1", 2)), change(2, "genesis")
    )
    assert got == (0, ["Y1"])


def test_a_gap_ends_the_list() -> None:  # case 14
    assert chosen(change(0, "genesis", ("X1", 0), ("X3", 0)), change(1, "genesis")) == (0, ["X1"])


def test_a_parent_that_does_not_fit_ends_the_list() -> None:  # case 14
    got = chosen(change(0, "genesis", ("X1", 0), ("X2", 0)), change(1, "genesis", ("Y1", 1)))
    assert got == (0, ["Y1"])
    assert chosen(change(0, "X1", ("Y2", 3)), change(1, "genesis")) == (1, [])


def test_who_has_decided_higher_proves_nothing_about_what_it_dropped() -> None:  # case 15
    got = chosen(change(0, "X2"), change(1, "genesis", ("X1", 0)), change(2, "X1", ("X2", 0)))
    assert got == (2, [])


def test_a_whole_window_is_carried() -> None:
    entries = (("X1", 0), ("X2", 1), ("X3", 1))
    assert chosen(change(0, "genesis", *entries), change(1, "genesis")) == (0, ["X1", "X2", "X3"])


def test_two_certified_blocks_of_one_height_halt() -> None:  # case 23
    with pytest.raises(Contradiction):
        chosen(change(0, "X1"), change(1, "Y1"), change(2, "genesis"))


@given(st.permutations(range(4)))
def test_the_order_of_view_changes_does_not_matter(order: list[int]) -> None:
    changes = [
        change(0, "genesis", ("X1", 1), ("X2", 0)),
        change(1, "X1", ("X2", 2)),
        change(2, "genesis", ("Y1", 0)),
        change(3, "X1"),
    ]
    assert chosen(*(changes[i] for i in order)) == chosen(*changes) == (1, ["X2"])
