"""What waits for the replica, in the order in which it came, with a bound on each peer's share.

A peer that floods loses its own messages and nobody else's (case 57); STATUS brings again what
was dropped. What we say or find out ourselves is never dropped. One task takes; the event loop's
thread alone puts. It knows no meaning of an event but who sent it and how long it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from consensus import events as ev

INBOX_MESSAGES_MAX: Final = 1_024  # waiting from one peer
INBOX_BYTES_MAX: Final = 8 * 1024 * 1024


class Inbox:
    """See the module's law."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name
        self._events: deque[ev.Event] = deque()
        self._messages: Counter[str] = Counter()  # of each peer
        self._bytes: Counter[str] = Counter()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: ev.Event) -> bool:
        """Appends it; False for a message whose sender has too many here."""
        if isinstance(event, ev.Received) and not self._admit(event):
            return False
        self._events.append(event)
        self._wake.set()
        return True

    def _admit(self, event: ev.Received) -> bool:
        sender, size = event.sender, len(event.raw)
        if sender != self._own_name and (
            self._messages[sender] >= INBOX_MESSAGES_MAX
            or self._bytes[sender] + size > INBOX_BYTES_MAX
        ):
            return False
        self._messages[sender] += 1
        self._bytes[sender] += size
        return True

    async def take(self) -> ev.Event:
        """The oldest; waits while there is none."""
        if not self._events:
            self._wake.clear()
            await self._wake.wait()
        event = self._events.popleft()
        if isinstance(event, ev.Received):
            self._messages[event.sender] -= 1
            self._bytes[event.sender] -= len(event.raw)
        return event
