"""Signature checks remembered: a NEW-VIEW repeats most of what was already checked.

Pure to the outside: the answers are those of the check it wraps.
"""

from __future__ import annotations

from hashlib import blake2b

from mgsnode.base.block import Verify

_ENTRIES_MAX = 8_192  # a NEW-VIEW of 31 members names some 2,700 signatures


class Memo:
    """`verify` that remembers its good answers; bad ones are not worth the room."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._good: dict[bytes, None] = {}

    def __call__(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature is good."""
        name = blake2b(public_key + signature + message, digest_size=32).digest()
        if name in self._good:
            return True
        if not self._verify(public_key, message, signature):
            return False
        if len(self._good) >= _ENTRIES_MAX:
            for oldest in list(self._good)[: _ENTRIES_MAX // 4]:
                del self._good[oldest]
        self._good[name] = None
        return True
