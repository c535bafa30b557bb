"""What waits to be sent to one peer: bounded, consensus first, and never in anyone's way.

No IO. A full queue gives up the oldest frame of that peer's lowest class, transactions first:
gossip is repeated by others, blocks are asked for again, votes are resent by STATUS.
"""

from __future__ import annotations

from collections import deque

from p2p.frames import CHANNELS, Channel
from p2p.limits import Bound, Limits


class SendQueue:
    """Frames by channel.

    1. No channel and not all together hold more than their bounds, after any call.
    2. Frames of one channel leave in the order they came.
    """

    __slots__ = ("_bounds", "_frames", "_sizes", "_total", "bytes", "dropped", "messages")

    def __init__(self, limits: Limits) -> None:
        self._bounds = (
            Bound(64, 32_768),  # control: pings and a goodbye
            limits.queue_consensus,
            limits.queue_sync,
            limits.queue_tx,
        )
        self._total = limits.queue_all
        self._frames: tuple[deque[bytes], ...] = tuple(deque() for _ in CHANNELS)
        self._sizes = [0] * len(CHANNELS)
        self.messages = 0
        self.bytes = 0
        self.dropped = [0] * len(CHANNELS)  # frames given up, by channel

    def put(self, channel: int, frame: bytes) -> bool:
        """Take `frame` in. False if something of this channel had to go for it."""
        size = len(frame)
        queue = self._frames[channel]
        queue.append(frame)
        self._sizes[channel] += size
        self.messages += 1
        self.bytes += size
        bound, kept = self._bounds[channel], True
        while len(queue) > bound.messages or self._sizes[channel] > bound.bytes:
            self._drop_oldest(channel)
            kept = False
        while self.messages > self._total.messages or self.bytes > self._total.bytes:
            lowest = max(c for c in CHANNELS if self._frames[c])
            self._drop_oldest(lowest)
            kept = kept and lowest != channel
        return kept

    def take(self, bytes_wanted: int) -> list[bytes]:
        """Whole frames in the order of sending: at least one if any waits, then up to the size."""
        taken: list[bytes] = []
        size = 0
        for channel in CHANNELS:
            queue = self._frames[channel]
            while queue:
                length = len(queue[0])
                if taken and size + length > bytes_wanted:
                    break
                taken.append(queue.popleft())
                self._sizes[channel] -= length
                size += length
            if queue:
                break
        self.messages -= len(taken)
        self.bytes -= size
        return taken

    def clear(self) -> None:
        """Forget everything that waits."""
        for channel in CHANNELS:
            self._frames[channel].clear()
            self._sizes[channel] = 0
        self.messages = self.bytes = 0

    def waiting(self, channel: Channel) -> int:
        """Frames waiting on `channel`."""
        return len(self._frames[channel])

    def _drop_oldest(self, channel: int) -> None:
        size = len(self._frames[channel].popleft())
        self._sizes[channel] -= size
        self.messages -= 1
        self.bytes -= size
        self.dropped[channel] += 1
