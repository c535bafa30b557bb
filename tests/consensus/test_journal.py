"""R5: at whatever byte the power goes, the journal gives back what was synced, or says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.journal import (
    FORMAT,
    Body,
    Floor,
    Joined,
    Left,
    Made,
    Opened,
    Reading,
    Record,
    Recovered,
    Voted,
    encode_record,
    encode_records,
    forget,
    live_records,
    read_journal,
    recover,
)
from mgsnode.base.errors import Corrupt
from mgsnode.base.keys import Signed

OPENED = Opened(FORMAT, b"g" * 32, b"k" * 32)
_KINDS = (Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT)


def frames(records: list[Record]) -> list[bytes]:
    """The file, frame by frame."""
    return [encode_record(seq, record) for seq, record in enumerate(records)]


@st.composite
def lives(draw: st.DrawFn) -> list[Record]:
    """Records as a replica writes them: eras, views and heights rise."""
    records: list[Record] = [OPENED]
    era = view = 0
    height = 1
    for what in draw(st.lists(st.sampled_from(["vote", "leave", "join", "made", "up", "era"]))):
        name = draw(st.binary(min_size=32, max_size=32))
        match what:
            case "vote":
                kind = draw(st.sampled_from(_KINDS))
                records.append(Body(name, b"body of " + name))
                records.append(Voted(int(kind), era, view, height, name, b"header", b"proof"))
            case "leave":
                view += draw(st.integers(1, 3))
                records.append(Left(era, view, b"change " + name))
            case "made":
                records.append(Made(era, view, b"new view " + name))
            case "join" if view:
                records.append(Joined(era, view, height - 1, (name,)))
            case "up":
                height += 1
            case "era":
                era, view = era + 1, 0
                records.append(Voted(int(Signed.PREPARE), era, 0, height, name, b"h", b"p"))
    return records


def essence(state: Recovered) -> tuple[object, ...]:
    """What of a recovered life binds."""
    return (
        state.floor, state.era, state.view, state.active, state.base, state.choice,
        state.left, state.made, state.votes, state.bodies,
    )  # fmt: skip


@given(lives(), st.data())
def test_every_cut_gives_back_the_whole_frames_before_it(  # cases 39, 40
    records: list[Record], data: st.DataObject
) -> None:
    parts = frames(records)
    raw = b"".join(parts)
    cut = data.draw(st.integers(0, len(raw)))
    zeros = data.draw(st.integers(0, 40))
    reading = read_journal(raw[:cut] + bytes(zeros))
    whole, length = 0, 0
    while whole < len(parts) and length + len(parts[whole]) <= cut:
        length += len(parts[whole])
        whole += 1
    # Zeros may complete a frame that ended in zeros; never less than what was whole.
    assert list(reading.records)[:whole] == records[:whole]
    assert len(reading.records) - whole in (0, 1)


@given(st.integers(0, 3_000), st.sets(st.integers(0, 9)))
def test_whatever_sectors_of_the_last_write_are_lost_it_is_dropped_as_a_whole(  # cases 39, 40
    body_bytes: int, lost: set[int]
) -> None:
    vote = Voted(int(Signed.PREPARE), 0, 0, 1, b"n" * 32, b"header", b"proof")
    synced = encode_record(0, OPENED)
    raw = synced + encode_records(1, (Body(b"n" * 32, b"x" * body_bytes), vote))
    torn = bytearray(raw)
    for sector in lost:
        start, end = max(len(synced), 512 * sector), min(len(raw), 512 * sector + 512)
        torn[start:end] = bytes(max(0, end - start))
    records = read_journal(bytes(torn)).records
    assert len(records) == (3 if torn == raw else 1)


@pytest.mark.parametrize("seq", [0, 1, 2, 10**6, 2**63])
def test_a_frame_that_somebody_put_into_a_block_is_none_of_the_journals(
    seq: int,
) -> None:  # case 40
    first = 0x2F3A_9C11_7E55_0D42  # as `init` draws it
    foreign = encode_record(seq, OPENED)
    synced = encode_record(first, OPENED)
    torn = synced + encode_records(first + 1, (Body(b"n" * 32, b"x" * 600 + foreign + b"x"),))[:-1]
    assert read_journal(torn) == Reading((OPENED,), len(synced), first + 1)
    with pytest.raises(Corrupt):
        read_journal(torn + encode_record(first + 2, OPENED))


@given(lives(), st.data())
def test_a_flipped_bit_before_a_good_record_stops(
    records: list[Record], data: st.DataObject
) -> None:
    raw = bytearray(b"".join(frames([*records, OPENED])))  # case 40
    last = len(encode_record(len(records), OPENED))
    place = data.draw(st.integers(0, len(raw) - last - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corrupt):
        read_journal(bytes(raw))


@given(lives())
def test_a_new_segment_says_what_the_old_one_said(records: list[Record]) -> None:  # case 45
    state = recover(records)
    decided = max((vote.height for vote in state.votes.values()), default=0) - 1
    forget(state, decided=decided)
    again = recover(live_records(state, decided=decided))
    assert essence(again) == essence(state)


@given(lives())
def test_the_floor_never_falls_and_outlives_what_was_decided(records: list[Record]) -> None:
    floor = Floor(0, 0, 0)  # case 42
    for end in range(1, len(records) + 1):
        state = recover(records[:end])
        assert (state.floor.era, state.floor.view) >= (floor.era, floor.view)
        assert state.floor.height >= floor.height
        floor = state.floor
    forget(state, decided=1_000)
    assert not state.votes and not state.bodies
    assert recover(live_records(state, decided=1_000)).floor == floor._replace(dropped=1_000)


@pytest.mark.parametrize("records", [[], [Floor(0, 0, 0)], [OPENED._replace(format=2)]])
def test_a_journal_that_does_not_say_whose_it_is_stops(records: list[Record]) -> None:
    with pytest.raises(Corrupt):
        recover(records)


def test_a_second_opening_stops() -> None:
    with pytest.raises(Corrupt):
        recover([OPENED, OPENED])


def test_a_missing_record_is_seen_by_its_number() -> None:
    parts = frames([OPENED, Floor(0, 1, 1), Floor(0, 2, 2)])
    with pytest.raises(Corrupt):
        read_journal(parts[0] + parts[2])
