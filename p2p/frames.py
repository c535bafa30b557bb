"""Frames: how bytes on a stream become messages. No IO, no clock, no meaning.

A frame is `length (4 bytes, big-endian) ‖ channel (1 byte) ‖ payload`; `length` counts the
channel and the payload, so the smallest is 2. A frame is judged by its first five bytes,
before anything of it is kept, and memory grows with what arrived, never with what was announced.
Any split of the bytes gives the same frames and the same fault at the same place.
There is no compression, hence no bomb.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct

from mgsnode.base.limits import FRAME_BYTES_MAX
from p2p.limits import CONTROL_BYTES_MAX

HEADER_BYTES = 5
_PARTS_MAX = 1_024  # the longest frame has 128 full TLS records
_LENGTH = Struct(">I")
_HEADER = Struct(">IB")


class Channel(IntEnum):
    """What a frame is about; the lower number goes first. Numbers never change."""

    CONTROL = 0  # hello, ping, pong, bye: the peer layer's own
    CONSENSUS = 1
    SYNC = 2
    TX = 3


CHANNELS = tuple(Channel)
MEMBER_CHANNELS: Mapping[int, int] = {
    Channel.CONTROL: CONTROL_BYTES_MAX,
    Channel.CONSENSUS: FRAME_BYTES_MAX,
    Channel.SYNC: FRAME_BYTES_MAX,
    Channel.TX: FRAME_BYTES_MAX,
}
OBSERVER_CHANNELS: Mapping[int, int] = {
    channel: limit for channel, limit in MEMBER_CHANNELS.items() if channel != Channel.CONSENSUS
}


def encode_frame(channel: int, payload: bytes) -> bytes:
    """The bytes of one frame. A payload that no receiver would take is a bug: AssertionError."""
    assert 0 < len(payload) <= MEMBER_CHANNELS[channel], "a payload beyond its channel's limit"
    return _HEADER.pack(len(payload) + 1, channel) + payload


class FrameDecoder:
    """Bytes in, frames out, until the first fault.

    1. `fault` is None or says why the stream is not ours; then nothing is decoded any more.
    2. `held`, the bytes kept of an unfinished frame, never exceeds the longest allowed frame.
    """

    __slots__ = ("_channel", "_head", "_limits", "_longest", "_missing", "_parts", "fault", "held")

    def __init__(self, limits: Mapping[int, int]) -> None:
        """`limits` maps each allowed channel to the longest payload on it, in bytes."""
        self._limits = limits
        self._longest = max(limits.values())
        self._head = b""  # of the next header, less than all of it
        self._channel = 0
        self._missing = 0  # payload bytes still to come, once the header is known
        self._parts: list[bytes] = []  # payload so far: joined once, since copies cost most here
        self.held = 0
        self.fault: str | None = None

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The (channel, payload) frames that `data` completes. Look at `fault` afterwards."""
        frames: list[tuple[int, bytes]] = []
        at = 0
        if self.fault is not None:
            return frames
        if self._missing:
            at = self._missing
            if len(data) < at:
                self._keep(data)
                return frames
            self._parts.append(data[:at])
            frames.append((self._channel, b"".join(self._parts)))
            self._parts = []
            self._missing = 0
        elif self._head:
            data = self._head + data
        self._head = b""
        self.held = 0
        end = len(data)
        limits, unpack = self._limits, _HEADER.unpack_from
        while end - at >= HEADER_BYTES:
            length, channel = unpack(data, at)
            if not 1 < length <= limits.get(channel, 0) + 1:
                break  # a fault, and `_judge` says which
            stop = at + 4 + length
            if stop > end:
                self._channel = channel
                self._missing = length - 1
                self._keep(data[at + HEADER_BYTES :])
                return frames
            frames.append((channel, data[at + HEADER_BYTES : stop]))
            at = stop
        if at < end:
            self.fault = self._judge(data, at)
            if self.fault is None:
                self._head = data[at:]
                self.held = end - at
        return frames

    def _keep(self, part: bytes) -> None:
        """Hold a piece of an unfinished payload; tiny pieces must not cost more than they are."""
        self._missing -= len(part)
        self.held += len(part)
        self._parts.append(part)
        if len(self._parts) >= _PARTS_MAX:
            self._parts = [b"".join(self._parts)]

    def _judge(self, data: bytes, at: int) -> str | None:
        """What is wrong with as much of a header as stands at `at`; None if nothing is yet."""
        if len(data) - at < 4:
            return None
        (length,) = _LENGTH.unpack_from(data, at)
        if not 1 < length <= self._longest + 1:
            return "frame length"
        if len(data) - at < HEADER_BYTES:
            return None
        if data[at + 4] not in self._limits:
            return "channel"
        return "frame length" if length > self._limits[data[at + 4]] + 1 else None
