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
    2. `held` (bytes kept of an unfinished frame) is at most the largest allowed frame plus
       what one `feed` brought.
    """

    __slots__ = ("_held", "_limits", "_longest", "_need", "fault")

    def __init__(self, limits: Mapping[int, int]) -> None:
        """`limits` maps each allowed channel to the longest payload on it, in bytes."""
        self._limits = limits
        self._longest = max(limits.values())
        self._held = bytearray()
        self._need = HEADER_BYTES  # bytes to hold before looking again
        self.fault: str | None = None

    @property
    def held(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._held)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The (channel, payload) frames that `data` completes. Look at `fault` afterwards."""
        if self.fault is not None:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                self._judge(self._held, 0)
                return []
            data = bytes(self._held)
            self._held.clear()
        frames: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        limits, unpack = self._limits, _HEADER.unpack_from
        while end - at >= HEADER_BYTES:
            length, channel = unpack(data, at)
            if not 1 < length <= limits.get(channel, 0) + 1:
                break  # a fault, and `_judge` says which
            stop = at + 4 + length
            if stop > end:
                self._need = stop - at
                break
            frames.append((channel, data[at + HEADER_BYTES : stop]))
            at = stop
        else:
            self._need = HEADER_BYTES
        if at < end:
            self._judge(data, at)
            self._held += data[at:]
        if self.fault is not None:
            self._held.clear()
        return frames

    def _judge(self, data: bytes | bytearray, at: int) -> None:
        """Set `fault` if what is there of a header at `at` is already wrong."""
        have = len(data) - at
        if have < 4:
            return
        (length,) = _LENGTH.unpack_from(data, at)
        if not 1 < length <= self._longest + 1:
            self.fault = "frame length"
        elif have >= HEADER_BYTES:
            channel = data[at + 4]
            if channel not in self._limits:
                self.fault = "channel"
            elif length > self._limits[channel] + 1:
                self.fault = "frame length"
