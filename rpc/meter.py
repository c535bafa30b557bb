"""How much one caller may ask for: a token bucket, in items. No clock of its own."""

from __future__ import annotations


class Meter:
    """A bucket of `burst` items that fills at `per_s`. One large request may put it in debt."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, per_s: int, burst: int, now_s: float) -> None:
        assert per_s > 0
        assert burst > 0
        self._per_s = per_s
        self._burst = burst
        self._left = float(burst)
        self._at_s = now_s

    def _fill(self, now_s: float) -> None:
        gained = max(0.0, now_s - self._at_s) * self._per_s
        self._left = min(float(self._burst), self._left + gained)
        self._at_s = now_s

    def take(self, items: int, now_s: float) -> int:
        """0 if `items` were taken, else the milliseconds until it is worth asking again."""
        self._fill(now_s)
        if self._left >= 1:
            self._left -= items
            return 0
        return max(1, round((1 - self._left) * 1000 / self._per_s))

    def is_full(self, now_s: float) -> bool:
        """Whether forgetting this meter would change nothing."""
        self._fill(now_s)
        return self._left >= self._burst
