"""A disk that loses what was not synced, and the real guard on top of it.

A crash in the middle of an append leaves any prefix of it, perhaps with zeros behind; what was
synced stays. The guard is the one that ships: only its file is replaced, so that its rules are
under test as well.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from consensus.journal import (
    FORMAT,
    Opened,
    Record,
    encode_record,
    live_records,
    read_journal,
    recover,
)
from mgsnode.guard import Guard
from tests.sim.ledger import Stored

_SEGMENT_BYTES_MAX = 24_000  # small, so that segments are rewritten within a run


class Crashed(Exception):
    """The power went."""


class SimDisk:
    """What one machine keeps: the journal's bytes and the chain's blocks."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.journal = b""
        self.blocks: list[Stored] = []
        self.torn = self.syncs = self.rewrites = 0

    def append(self, data: bytes, *, crash: bool) -> None:
        """Appends and syncs; a crash leaves some of it."""
        if crash:
            kept = data[: self._random.randrange(len(data) + 1)]
            if self._random.random() < 0.3:
                kept += bytes(self._random.randrange(64))
            self.journal += kept
            self.torn += kept != data
            raise Crashed
        self.journal += data
        self.syncs += 1

    def replace(self, data: bytes, *, crash: bool) -> None:
        """Writes a new file, syncs and renames it; a crash leaves the old or the new one."""
        if crash:
            if self._random.random() < 0.5:
                self.journal = data
            raise Crashed
        self.journal = data
        self.syncs += 2
        self.rewrites += 1

    def copy(self) -> tuple[bytes, list[Stored]]:
        """A backup."""
        return self.journal, list(self.blocks)


class SimGuard(Guard):
    """The guard with a simulated file and key. `crash_due` says whether a write is cut."""

    def __init__(
        self,
        disk: SimDisk,
        key: object,
        public_key: bytes,
        genesis_hash: bytes,
        crash_due: Callable[[], bool],
    ) -> None:
        if not disk.journal:
            disk.journal = encode_record(0, Opened(FORMAT, genesis_hash, public_key))
        reading = read_journal(disk.journal)
        disk.journal = disk.journal[: reading.good_bytes]
        self.recovered = recover(reading.records)
        self.recorded: list[Record] = list(reading.records)
        self._disk = disk
        self._key = key  # type: ignore[assignment]  # anything that signs
        self._genesis_hash = genesis_hash
        self._seq = reading.next_seq
        self._bytes = reading.good_bytes
        self._decided = 0
        self._crash_due = crash_due
        self.court = None
        self.syncs = self.bytes_written = 0

    def _append(self, data: bytes) -> None:
        if self._decided and self._bytes + len(data) > _SEGMENT_BYTES_MAX:
            self._rewrite()
            return
        self._disk.append(data, crash=self._crash_due())
        self._bytes += len(data)

    def _rewrite(self) -> None:
        records = live_records(self.recovered, decided=self._decided)
        data = b"".join(encode_record(seq, record) for seq, record in enumerate(records))
        self._disk.replace(data, crash=self._crash_due())
        self._seq, self._bytes = len(records), len(data)
