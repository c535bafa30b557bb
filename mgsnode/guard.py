"""The vote key and its one memory: refuses to contradict what was ever signed.

The journal lives in `HOME/journal/`, outside `data/`, is made by `init` only and is skipped by
every backup. A binding statement is signed only if the very same statement stands in the
journal, synced; a record that contradicts an older one is never written. A write that fails
ends the process: what the disk holds is then unknown (case 41).
It knows no network and no ledger. Rules R5 and R6 of consensus/README.md.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from consensus.journal import (
    FORMAT,
    Floor,
    Joined,
    Left,
    Made,
    Opened,
    Record,
    Recovered,
    Voted,
    encode_record,
    encode_records,
    forget,
    live_records,
    note,
    read_journal,
    recover,
)
from consensus.messages import (
    entry_of,
    new_view_proposals,
    open_view_change,
    pre_prepare_fields,
)
from consensus.signed import Court, open_entry
from mgsnode.base.block import vote_fields
from mgsnode.base.codec import decode
from mgsnode.base.errors import ConfigError, Locked, Malformed, MgsError
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.limits import FRAME_BYTES_MAX

JOURNAL_FILE = "votes.journal"
_LOCK_FILE = "lock"
_SEGMENT_BYTES_MAX = 8 * 1024 * 1024  # rewritten beyond this; a node reads it in well under 1 s
_FREE_SIGNED = frozenset({Signed.COMPLAIN, Signed.STATUS, Signed.CHECKPOINT})  # bind nothing


class Refused(MgsError):
    """The guard was asked to contradict itself: a bug or a foreign hand. The node stops."""


class NoJournal(MgsError):
    """There is no journal, or it is another key's: the node follows and votes for nothing."""


def create_journal(folder: Path, genesis_hash: bytes, public_key: bytes) -> None:
    """Makes the journal of a new key, synced. Raises `ConfigError` where one exists."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / JOURNAL_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists: a journal is never made anew for a key") from None
    with os.fdopen(descriptor, "wb") as file:
        # From here on frames are numbered: blocks carry foreign bytes, but not these numbers.
        first_seq = secrets.randbits(62)
        file.write(encode_record(first_seq, Opened(FORMAT, genesis_hash, public_key)))
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(folder)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Guard:
    """The only holder of the vote key. One process at a time (the lock file says who).

    After a refusal or a failed write it signs and writes nothing any more: what it has noted
    may not be what the disk holds.
    """

    _spent = False

    def __init__(self, folder: Path, key: SigningKey, genesis_hash: bytes) -> None:
        """Opens the journal. Raises `NoJournal`, `Locked`, or `Corrupt` (case 40)."""
        path = folder / JOURNAL_FILE
        if not path.exists():
            raise NoJournal("there is no vote journal here: this key votes only after a re-key")
        self._folder = folder
        self._key = key
        self._genesis_hash = genesis_hash
        self._decided = 0
        self.court: Court | None = None  # by what prepared certificates are judged; set each era
        self.syncs = 0
        self.bytes_written = 0
        self._lock = _lock(folder)
        with ExitStack() as on_failure:
            on_failure.callback(os.close, self._lock)
            self._open(path)
            on_failure.pop_all()

    def _open(self, path: Path) -> None:
        raw = path.read_bytes()
        reading = read_journal(raw)
        self.recovered: Recovered = recover(reading.records)
        opened = self.recovered.opened
        if (opened.genesis_hash, opened.public_key) != (self._genesis_hash, self._key.public_key):
            raise NoJournal("the vote journal belongs to another key or chain")
        self._seq = reading.next_seq
        self._bytes = reading.good_bytes
        self._file = os.open(path, os.O_WRONLY)
        # An earlier life's last words may stand in the system's memory only: it was killed before
        # its sync, or the sync failed, after which their pages count as written. Here they are
        # written once more in their places, before anything is said on the strength of them.
        _write(self._file, raw[: reading.good_bytes])
        os.ftruncate(self._file, reading.good_bytes)  # a torn write was never spoken of
        os.fsync(self._file)

    def recovered_copy(self) -> Recovered:
        """What the journal says, for the replica to begin with; ours goes on by itself."""
        return replace(
            self.recovered, votes=dict(self.recovered.votes), bodies=dict(self.recovered.bodies)
        )

    @property
    def public_key(self) -> bytes:
        """The vote key's public half."""
        return self._key.public_key

    def remember(self, records: Sequence[Record]) -> None:
        """Checks, appends and syncs. Blocks for the disk. Raises `Refused`; OSError is fatal."""
        self._refuse_if_spent()
        self._spent = True
        for record in records:
            self._check(record)
            note(self.recovered, record)
        frame = encode_records(self._seq, records)
        self._seq += 1
        self._append(frame)
        self._spent = False

    def _refuse_if_spent(self) -> None:
        if self._spent:
            raise Refused("an earlier statement was refused or not written: nothing is signed now")

    def _append(self, data: bytes) -> None:
        if self._decided and self._bytes + len(data) > _SEGMENT_BYTES_MAX:
            self._rewrite()
            return  # the new segment holds what was just noted
        _write(self._file, data)
        os.fdatasync(self._file)
        self.syncs += 1
        self._bytes += len(data)
        self.bytes_written += len(data)

    def _rewrite(self) -> None:
        """A new segment with what still binds; the old one is replaced when it is on disk."""
        records = live_records(self.recovered, decided=self._decided)
        numbered = enumerate(records, self._seq)
        data = b"".join(encode_record(seq, record) for seq, record in numbered)
        fresh = self._folder / (JOURNAL_FILE + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        _write(descriptor, data)
        os.fsync(descriptor)
        fresh.replace(self._folder / JOURNAL_FILE)
        _sync_folder(self._folder)
        os.close(self._file)
        self._file, self._bytes = descriptor, len(data)
        self._seq += len(records)
        self.syncs += 2
        self.bytes_written += len(data)

    def decided(self, height: int) -> None:
        """Height is durable in the chain: its votes may be dropped at the next rewriting.

        Said at the start of a life too.
        """
        self._decided = height
        forget(self.recovered, decided=height)

    def sign(self, kind: Signed, fields: bytes) -> bytes:
        """The signature of a statement that binds nothing, or that was remembered."""
        self._refuse_if_spent()
        if kind not in _FREE_SIGNED and not self._is_remembered(kind, fields):
            raise Refused(f"{kind.name} was not remembered before it was to be said")
        return self._key.sign(statement(kind, self._genesis_hash, fields))

    def _is_remembered(self, kind: Signed, fields: bytes) -> bool:
        recovered = self.recovered
        if kind is Signed.VIEW_CHANGE:
            return recovered.left is not None and recovered.left.fields == fields
        if kind is Signed.NEW_VIEW:
            return recovered.made is not None and recovered.made.fields == fields
        if kind not in (Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT):
            return False
        place = decode(fields, bytes_max=FRAME_BYTES_MAX)
        if type(place) is not tuple or len(place) != (4 if kind is Signed.PRE_PREPARE else 5):
            return False
        era, view, height = place[:3]
        vote = recovered.votes.get((int(kind), era, view, height))
        if vote is None:
            # A NEW-VIEW is said again to the late, after its heights were decided and dropped.
            made = recovered.made
            if kind is not Signed.PRE_PREPARE or made is None:
                return False
            return fields in new_view_proposals(made.fields)
        if kind is Signed.PRE_PREPARE:
            return fields == pre_prepare_fields(vote.era, vote.view, vote.height, vote.hash)
        member = place[4]
        if type(member) is not int:
            return False
        return fields == vote_fields(vote.era, vote.view, vote.height, vote.hash, member)

    def _check(self, record: Record) -> None:
        """Refuses what contradicts the journal (consensus.md §5, the guard's (i) to (v))."""
        match record:
            case Voted():
                self._check_vote(record)
            case Left():
                self._check_left(record)
            case Made():
                self._check_made(record)
            case Joined():
                self._check_on_the_way(record)
            case Opened() | Floor():
                raise Refused(f"a {type(record).__name__} record is not written by a replica")

    def _check_view(self, era: int, view: int) -> None:
        recovered = self.recovered
        if (era, view) < (recovered.era, recovered.view) or era < recovered.floor.era:
            raise Refused(f"view {view} of era {era} was left for ever")
        if self.court is not None and era != self.court.era:
            raise Refused(f"era {era} is not the one of the next height")

    def _check_on_the_way(self, record: Made | Joined) -> None:
        """Only the view that our last VIEW-CHANGE named can begin."""
        self._check_view(record.era, record.view)
        left = self.recovered.left
        if self.recovered.active or left is None or (left.era, left.view) != record[:2]:
            raise Refused(f"view {record.view} begins, to which we were not on the way")

    def _check_made(self, record: Made) -> None:
        self._check_on_the_way(record)
        made = self.recovered.made
        if made is not None and (made.era, made.view) == (record.era, record.view):
            raise Refused(f"a second NEW-VIEW for view {record.view}")

    def _check_vote(self, vote: Voted) -> None:
        self._check_view(vote.era, vote.view)
        recovered = self.recovered
        if vote.view != (recovered.view if vote.era == recovered.era else 0):
            raise Refused(f"a vote in view {vote.view}, which was not entered")
        if vote.kind != Signed.PRE_PREPARE and vote.era == recovered.era and not recovered.active:
            raise Refused(f"a vote in view {vote.view}, which has not begun here")
        if vote.height <= recovered.floor.dropped:
            raise Refused(f"height {vote.height} is decided, and its votes are forgotten")
        place = (vote.kind, vote.era, vote.view, vote.height)
        earlier = recovered.votes.get(place)
        if earlier is not None and earlier.hash != vote.hash:
            raise Refused(f"a second {Signed(vote.kind).name} at height {vote.height}")
        if vote.kind == Signed.COMMIT:
            self._check_commit(vote)

    def _check_commit(self, vote: Voted) -> None:
        assert self.court is not None
        try:
            entry = entry_of(decode(vote.proof, bytes_max=FRAME_BYTES_MAX))
            _, block_hash = open_entry(entry, self.court)
        except Malformed as error:
            raise Refused(f"a COMMIT without a prepared certificate: {error.why}") from None
        if (entry.view, block_hash) != (vote.view, vote.hash):
            raise Refused("a COMMIT with the certificate of another proposal")

    def _check_left(self, record: Left) -> None:
        recovered = self.recovered
        if record.era == recovered.era and record.view <= recovered.view:
            raise Refused(f"a second departure to view {record.view}")
        self._check_view(record.era, record.view)
        change = open_view_change(record.fields)
        if (change.era, change.view) != (record.era, record.view):
            raise Refused("a VIEW-CHANGE for another view than its record's")
        if change.height > self._decided:
            raise Refused(f"a VIEW-CHANGE from height {change.height}, which is not durable here")
        if change.height < recovered.floor.dropped:
            raise Refused(
                f"a VIEW-CHANGE from height {change.height}, above which votes are forgotten"
            )
        carried = set()
        for entry in change.prepared:
            carried.add((entry.view, entry.header))
        for vote in recovered.votes.values():
            if vote.kind != Signed.COMMIT or vote.era != record.era or vote.height <= change.height:
                continue
            latest = max(
                v.view
                for v in recovered.votes.values()
                if (v.kind, v.era, v.height) == (vote.kind, vote.era, vote.height)
            )
            if vote.view == latest and (vote.view, vote.header) not in carried:
                raise Refused(f"a VIEW-CHANGE that omits height {vote.height}, prepared here")

    def close(self) -> None:
        """Gives up the file and the lock."""
        os.close(self._file)
        os.close(self._lock)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Locked(f"{folder} is in use by another process") from None
    return descriptor
