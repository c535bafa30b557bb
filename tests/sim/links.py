"""Links of little bandwidth: bytes queue up behind each other, and a long queue is cut."""

from __future__ import annotations

from random import Random

from tests.sim.ledger import Stored
from tests.sim.plan import Plan
from tests.sim.world import World

_QUEUE_MS_MAX = 10_000  # longer queues are dropped: a peer's buffer is bounded too
_SLOW_SHARE = 0.3  # of all links, drawn once for each direction


class SlowLinks:
    """When a slow link is free again."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world, self._plan = world, plan
        self._slow: dict[tuple[int, int], bool] = {}
        self._free_ms: dict[tuple[int, int], int] = {}

    def is_slow(self, source: int, to: int) -> bool:
        """Whether this direction was drawn to be slow."""
        link = (source, to)
        if link not in self._slow:
            draw = Random(f"{self._plan.seed}/link/{link}").random()
            self._slow[link] = draw < _SLOW_SHARE
        return self._slow[link]

    def wait_ms(self, source: int, to: int, payload: object) -> int | None:
        """How long these bytes take behind those before them; None: there is no room."""
        now = self._world.now_ms
        free = max(now, self._free_ms.get((source, to), now))
        if free - now > _QUEUE_MS_MAX:
            return None
        free += 1_000 * _size(payload) // self._plan.link_bytes_s
        self._free_ms[source, to] = free
        return free - now


def _size(payload: object) -> int:
    if isinstance(payload, bytes):
        return len(payload)
    if isinstance(payload, list):
        return sum(_block_size(stored) for stored in payload)
    return 16  # a question


def _block_size(stored: Stored) -> int:
    certificate = stored.certificate
    return len(stored.body) + (0 if certificate is None else 64 * len(certificate.signatures))
