"""Virtual time, and one source of chance for each purpose: all that a run depends on.

A run is a function of (source, plan, seed). Nothing here reads a clock. Each purpose draws from
a stream of its own, so that switching one kind of fault off does not shift the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from random import Random

from mgsnode.base.keys import SigningKey, is_signed_by

STREAMS = ("scheduler", "network", "disk", "crash", "byzantine", "workload", "plan")


class World:
    """One heap of (time, seq, what); equal times run in the order of their making."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_ms = 0
        self.events = 0
        self._seq = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._streams = {name: Random(f"{seed}/{name}") for name in STREAMS}
        self._trace = blake2b(digest_size=16)

    def stream(self, name: str) -> Random:
        """The random numbers for one purpose."""
        return self._streams[name]

    def after(self, delay_ms: int, what: Callable[..., None], *args: object) -> None:
        """Calls `what(*args)` in so many ms."""
        self._seq += 1
        heapq.heappush(self._heap, (self.now_ms + max(0, delay_ms), self._seq, what, args))

    def run(self, until_ms: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Lets time pass until `until_ms`, or until `stop()` says so after an event."""
        while self._heap and self._heap[0][0] <= until_ms:
            self.now_ms, _, what, args = heapq.heappop(self._heap)
            self.events += 1
            what(*args)
            if stop():
                return
        self.now_ms = max(self.now_ms, until_ms)

    def note(self, *words: object) -> None:
        """Adds to the trace by which two runs of one seed are compared."""
        self._trace.update(repr((self.now_ms, *words)).encode())

    @property
    def trace(self) -> str:
        """The hash of everything noted so far."""
        return self._trace.hexdigest()


class ToyKey:
    """Signs by keyed hash: a thousand times cheaper, and nobody here knows another's secret."""

    def __init__(self, name: str) -> None:
        self._secret = blake2b(name.encode(), digest_size=32, person=b"sim secret").digest()
        self.public_key = blake2b(self._secret, digest_size=32, person=b"sim public").digest()
        _SECRETS[self.public_key] = self._secret

    def sign(self, message: bytes) -> bytes:
        """64 bytes that only the holder of the key can make."""
        return blake2b(message, key=self._secret, digest_size=64).digest()


_SECRETS: dict[bytes, bytes] = {}  # public key -> secret; a function of names, so never stale


def verify_toy(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the key's holder made this signature."""
    secret = _SECRETS.get(public_key)
    return secret is not None and _toy_signature(secret, message) == signature


@lru_cache(maxsize=65_536)
def _toy_signature(secret: bytes, message: bytes) -> bytes:
    return blake2b(message, key=secret, digest_size=64).digest()


def make_key(name: str, *, real: bool) -> ToyKey | SigningKey:
    """A gateway's vote key; `real` is Ed25519."""
    if real:
        return SigningKey(blake2b(name.encode(), digest_size=32, person=b"sim seed").digest())
    return ToyKey(name)


def verifier(*, real: bool) -> Callable[[bytes, bytes, bytes], bool]:
    """The check that goes with `make_key`."""
    return is_signed_by if real else verify_toy
