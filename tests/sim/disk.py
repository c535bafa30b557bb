"""A disk that loses what was not synced, and the real guard on top of it.

A loss of power in the middle of an append leaves any prefix of it, perhaps with zeros behind,
or any set of its sectors; what was synced stays. A process that is killed leaves in the
system's memory what it had written, where the next life reads it, and a later loss of power
takes it. After a sync that failed the same holds, but a further sync does nothing for those
bytes: the system holds them for written (Linux does so, and says EIO only once).

The guard is the one that ships: only its file is replaced, so that its rules are under test.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple, TypeAlias

from consensus.journal import FORMAT, Opened, encode_record, live_records, read_journal, recover
from mgsnode.guard import Guard
from tests.sim.ledger import Stored

_SEGMENT_BYTES_MAX = 24_000  # small, so that segments are rewritten within a run
_SECTOR = 512

How: TypeAlias = Literal["power", "kill", "sync error"]


class Crashed(Exception):
    """The process ended."""


class _Unsynced(NamedTuple):
    """Bytes of the file that the disk has not got."""

    start: int
    end: int
    dirty: bool  # whether a sync writes them


class SimDisk:
    """What one machine keeps: the journal's bytes as they are read, and the chain's blocks."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.journal = b""
        self.first_seq = random.getrandbits(62)
        self.blocks: list[Stored] = []
        self.torn = self.syncs = self.rewrites = 0
        self._unsynced: list[_Unsynced] = []

    def append(self, data: bytes, how: How | None) -> None:
        """Appends and syncs, or ends the process in one of three ways."""
        start = len(self.journal)
        if how == "kill":
            data = data[: self._random.randrange(len(data) + 1)]
        self.journal += data
        if how is None:
            self.syncs += 1
            self._unsynced = [part for part in self._unsynced if not part.dirty]
            return
        self._unsynced.append(_Unsynced(start, len(self.journal), how != "sync error"))
        if how == "power":
            self.lose_power()
        raise Crashed

    def lose_power(self) -> None:
        """What was not synced is gone, or some of it."""
        whole = self.journal
        for part in sorted(self._unsynced):
            self._lose(part)
        self._unsynced.clear()
        self.torn += self.journal != whole

    def _lose(self, part: _Unsynced) -> None:
        random = self._random
        start, end = part.start, min(part.end, len(self.journal))
        if end == len(self.journal) and random.random() < 0.7:
            self.journal = self.journal[: random.randrange(start, end + 1)]
            if random.random() < 0.3:
                self.journal += bytes(random.randrange(64))
            return
        while start < end:
            stop = min(end, start - start % _SECTOR + _SECTOR)
            if random.random() < 0.5:
                self.journal = self.journal[:start] + bytes(stop - start) + self.journal[stop:]
            start = stop

    def write_again(self, length: int, how: How | None) -> None:
        """Writes the first `length` bytes once more in their places, cuts the rest, syncs."""
        if how is None:
            self.journal = self.journal[:length]
            self._unsynced.clear()
            self.syncs += 1
            return
        if how == "power":
            self.lose_power()
        raise Crashed

    def replace(self, data: bytes, how: How | None) -> None:
        """Writes a new file, syncs and renames it; a crash leaves the old or the new one."""
        if how is None or (how != "sync error" and self._random.random() < 0.5):
            self.journal = data
            self._unsynced.clear()
        if how == "power":
            self.lose_power()
        if how is not None:
            raise Crashed
        self.syncs += 2
        self.rewrites += 1

    def flip_a_bit(self) -> None:
        """One bit is read back wrong from here on."""
        place = self._random.randrange(len(self.journal))
        bent = bytearray(self.journal)
        bent[place] ^= 1 << self._random.randrange(8)
        self.journal = bytes(bent)

    def copy(self) -> tuple[bytes, list[Stored]]:
        """A backup."""
        return self.journal, list(self.blocks)


class SimGuard(Guard):
    """The guard with a simulated file and key. `cut` says how a write ends, if badly."""

    def __init__(
        self, disk: SimDisk, key: object, genesis_hash: bytes, cut: Callable[[], How | None]
    ) -> None:
        self._key = key  # type: ignore[assignment]  # anything that signs
        if not disk.journal:
            opened = Opened(FORMAT, genesis_hash, self.public_key)
            disk.journal = encode_record(disk.first_seq, opened)
        reading = read_journal(disk.journal)
        disk.write_again(reading.good_bytes, cut())
        self.recovered = recover(reading.records)
        self.recorded = list(reading.records)
        self._disk = disk
        self._genesis_hash = genesis_hash
        self._seq = reading.next_seq
        self._bytes = reading.good_bytes
        self._decided = 0
        self._cut = cut
        self.court = None
        self.syncs = self.bytes_written = 0

    def _append(self, data: bytes) -> None:
        if self._decided and self._bytes + len(data) > _SEGMENT_BYTES_MAX:
            self._rewrite()
            return
        self._disk.append(data, self._cut())
        self._bytes += len(data)

    def _rewrite(self) -> None:
        records = live_records(self.recovered, decided=self._decided)
        numbered = enumerate(records, self._seq)
        data = b"".join(encode_record(seq, record) for seq, record in numbered)
        self._disk.replace(data, self._cut())
        self._bytes = len(data)
        self._seq += len(records)
