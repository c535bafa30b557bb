"""The frame decoder: the same frames from any split, limits before memory."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.limits import FRAME_BYTES_MAX
from p2p.frames import (
    MEMBER_CHANNELS,
    OBSERVER_CHANNELS,
    Channel,
    FrameDecoder,
    encode_frame,
)

frames = st.lists(
    st.tuples(st.sampled_from(list(Channel)), st.binary(min_size=1, max_size=300)), max_size=8
)
cuts = st.lists(st.integers(0, 3_000), max_size=12)


def decode_in_pieces(data: bytes, cuts: list[int]) -> tuple[list[tuple[int, bytes]], str | None]:
    """What a decoder says of `data` that arrives cut at `cuts`."""
    decoder = FrameDecoder(MEMBER_CHANNELS)
    marks = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    out = [f for a, b in itertools.pairwise(marks) for f in decoder.feed(data[a:b])]
    return out, decoder.fault


@given(frames, cuts)
def test_any_split_gives_the_frames_that_were_sent(
    sent: list[tuple[Channel, bytes]], cuts: list[int]
) -> None:
    data = b"".join(encode_frame(channel, payload) for channel, payload in sent)
    assert decode_in_pieces(data, cuts) == (sent, None)


@given(frames, st.binary(max_size=400), cuts)
def test_any_split_of_junk_gives_the_same_frames_and_the_same_fault(
    sent: list[tuple[Channel, bytes]], junk: bytes, cuts: list[int]
) -> None:
    data = b"".join(encode_frame(channel, payload) for channel, payload in sent) + junk
    assert decode_in_pieces(data, cuts) == decode_in_pieces(data, [])


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_what_is_held_never_exceeds_what_arrived(chunks: list[bytes]) -> None:
    decoder = FrameDecoder(MEMBER_CHANNELS)
    arrived = 0
    for chunk in chunks:
        decoder.feed(chunk)
        arrived += len(chunk)
        assert decoder.held <= arrived


@pytest.mark.parametrize("length", [0, 1, FRAME_BYTES_MAX + 2, 2**31, 2**32 - 1])
def test_case_48_a_bad_length_is_a_fault_at_its_fourth_byte(length: int) -> None:
    decoder = FrameDecoder(MEMBER_CHANNELS)
    assert decoder.feed(length.to_bytes(4, "big")) == []
    assert decoder.fault == "frame length"
    assert decoder.held == 0


def test_case_48_a_channel_has_its_own_limit_judged_at_the_fifth_byte() -> None:
    decoder = FrameDecoder(MEMBER_CHANNELS)
    decoder.feed((514).to_bytes(4, "big"))
    assert decoder.fault is None
    decoder.feed(b"\x00")
    assert decoder.fault == "frame length"


@pytest.mark.parametrize("channel", [4, 9, 255])
def test_an_unknown_channel_is_a_fault(channel: int) -> None:
    decoder = FrameDecoder(MEMBER_CHANNELS)
    assert decoder.feed(b"\x00\x00\x00\x02" + bytes([channel])) == []
    assert decoder.fault == "channel"


def test_an_observer_may_not_use_the_consensus_channel() -> None:
    decoder = FrameDecoder(OBSERVER_CHANNELS)
    assert decoder.feed(encode_frame(Channel.TX, b"x")) == [(Channel.TX, b"x")]
    decoder.feed(encode_frame(Channel.CONSENSUS, b"x"))
    assert decoder.fault == "channel"


def test_the_largest_frame_dribbled_byte_by_byte_is_whole_and_costs_no_more_than_itself() -> None:
    payload = bytes(range(256)) * 1_024
    decoder = FrameDecoder(MEMBER_CHANNELS)
    got: list[tuple[int, bytes]] = []
    for byte in encode_frame(Channel.SYNC, payload):
        got += decoder.feed(bytes([byte]))
        if decoder.held % 997 == 0:
            held = sum(map(sys.getsizeof, decoder._parts))
            assert held < decoder.held + 64 * 1_024
    assert got == [(Channel.SYNC, payload)]
