"""What one peer may send: a token bucket for each channel. No IO; the caller brings the time.

A peer that exceeds it is not read from until it is out of debt: its own TCP window fills and
its own queue overflows, while everyone else is read as before (Aardvark's resource isolation).
"""

from __future__ import annotations

from p2p.limits import Limits


class Budget:
    """Tokens by channel. What was received is charged first and waited for afterwards."""

    __slots__ = ("_bursts", "_bytes", "_messages", "_rates", "_refilled")

    def __init__(self, limits: Limits, now: float) -> None:
        self._rates = tuple(
            (float(rate.messages_per_s), float(rate.bytes_per_s))
            for rate in (
                limits.rate_control,
                limits.rate_consensus,
                limits.rate_sync,
                limits.rate_tx,
            )
        )
        bursts = (
            limits.rate_control.burst_s,
            limits.rate_consensus.burst_s,
            limits.rate_sync.burst_s,
            limits.rate_tx.burst_s,
        )
        self._bursts = tuple(
            (messages * burst, size * burst)
            for (messages, size), burst in zip(self._rates, bursts, strict=True)
        )
        self._messages = [burst[0] for burst in self._bursts]
        self._bytes = [burst[1] for burst in self._bursts]
        self._refilled = now

    def charge(self, channel: int, size: int) -> None:
        """One message of `size` bytes has come on `channel`."""
        self._messages[channel] -= 1.0
        self._bytes[channel] -= size

    def debt_s(self, now: float) -> float:
        """Seconds until no channel is in debt; 0.0 if none is now."""
        if min(self._messages) >= 0.0 and min(self._bytes) >= 0.0:
            return 0.0  # refilled only when it matters: this runs for each TLS record
        passed = now - self._refilled
        self._refilled = now
        wait = 0.0
        for channel, (messages_per_s, bytes_per_s) in enumerate(self._rates):
            burst = self._bursts[channel]
            messages = min(burst[0], self._messages[channel] + passed * messages_per_s)
            size = min(burst[1], self._bytes[channel] + passed * bytes_per_s)
            self._messages[channel], self._bytes[channel] = messages, size
            wait = max(wait, -messages / messages_per_s, -size / bytes_per_s)
        return wait
