"""The guard: what was promised is never contradicted, whatever happens to the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.journal import (
    Body,
    Floor,
    Joined,
    Left,
    Made,
    Opened,
    Record,
    Voted,
    read_journal,
    recover,
)
from consensus.messages import (
    Entry,
    Signatures,
    ViewChange,
    entry_of,
    new_view_fields,
    pre_prepare_fields,
    view_change_fields,
)
from consensus.signed import Court
from mgsnode import guard as module
from mgsnode.base.block import PROTOCOL_VERSION, Header, hash_header, vote_fields
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import ConfigError, Corrupt, Locked
from mgsnode.base.hashing import ZERO_HASH, digest
from mgsnode.base.keys import Signed, SigningKey, is_signed_by, statement
from mgsnode.base.validators import Validator, ValidatorSet, bitmap_of
from mgsnode.guard import JOURNAL_FILE, Guard, NoJournal, Refused, create_journal

CHAIN = digest(b"mgs/test", b"guard")
KEYS = [SigningKey(digest(b"mgs/test", b"vote%d" % index)) for index in range(4)]
MEMBERS = ValidatorSet([Validator(f"g{i}", key.public_key) for i, key in enumerate(KEYS)])
ME = 1
NO_EXIT = Signatures(bytes(1), ())
COURT = Court(CHAIN, 0, MEMBERS, None, is_signed_by)


def header(height: int, word: str = "", *, era: int = 0) -> bytes:
    """Some proposal's header; another word is another block."""
    root = digest(b"mgs/test", word.encode())
    return encode(
        Header(
            PROTOCOL_VERSION, CHAIN, era, height, ZERO_HASH, 1_000 * height, root, root, root,
            MEMBERS.hash, MEMBERS.hash,
        )
    )  # fmt: skip


def hash_of(raw: bytes) -> bytes:
    from mgsnode.base.block import open_header

    return hash_header(open_header(raw))


def sign(index: int, kind: Signed, fields: bytes) -> bytes:
    return KEYS[index].sign(statement(kind, CHAIN, fields))


@cache
def entry(view: int, raw: bytes, height: int, voters: tuple[int, ...] | None = None) -> Entry:
    """A prepared certificate of `view`, by the primary and `voters`."""
    primary = MEMBERS.primary(view)
    block_hash = hash_of(raw)
    voters = tuple(i for i in range(4) if i != primary)[:2] if voters is None else voters
    return Entry(
        view,
        raw,
        sign(primary, Signed.PRE_PREPARE, pre_prepare_fields(0, view, height, block_hash)),
        Signatures(
            bitmap_of(voters, 4),
            tuple(
                sign(i, Signed.PREPARE, vote_fields(0, view, height, block_hash, i)) for i in voters
            ),
        ),
    )


def voted(kind: Signed, view: int, height: int, raw: bytes, proof: bytes = b"") -> Voted:
    return Voted(kind, 0, view, height, hash_of(raw), raw, proof)


def commit(view: int, height: int, raw: bytes) -> Voted:
    return voted(Signed.COMMIT, view, height, raw, encode(entry(view, raw, height)))


def left(view: int, height: int = 0, prepared: tuple[Entry, ...] = ()) -> Left:
    change = ViewChange(0, view, height, ZERO_HASH, None, NO_EXIT, prepared, ME)
    return Left(0, view, view_change_fields(change))


def fields_of(vote: Voted) -> bytes:
    if vote.kind == Signed.PRE_PREPARE:
        return pre_prepare_fields(vote.era, vote.view, vote.height, vote.hash)
    return vote_fields(vote.era, vote.view, vote.height, vote.hash, ME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_journal(tmp_path / "journal", CHAIN, KEYS[ME].public_key)
    return tmp_path / "journal"


class Opener:
    """Opens the one guard, closing the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard: Guard | None = None

    def __call__(self) -> Guard:
        self.close()
        self._guard = guard = Guard(self._folder, KEYS[ME], CHAIN)
        guard.court = COURT
        return guard

    def close(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()


@pytest.fixture
def opened(folder: Path) -> Iterator[Opener]:
    opener = Opener(folder)
    yield opener
    opener.close()


A, B = header(1, "a"), header(1, "b")
LIFE: tuple[tuple[Record, ...], ...] = (
    (Body(hash_of(A), b"body of a"), voted(Signed.PREPARE, 0, 1, A, b"signature")),
    (commit(0, 1, A),),
    (left(1, 0, (entry(0, A, 1),)),),
    (Made(0, 1, new_view_fields(0, 1, [], [A])), voted(Signed.PRE_PREPARE, 1, 1, A)),
    (Joined(0, 1, 0, (A,)),),
    (commit(1, 1, A),),
)


def say_all(guard: Guard) -> list[bytes]:
    """Every statement that the journal holds, signed again."""
    held = guard.recovered
    said = [
        guard.sign(Signed(vote.kind), fields_of(vote)) for _, vote in sorted(held.votes.items())
    ]
    if held.left is not None:
        said.append(guard.sign(Signed.VIEW_CHANGE, held.left.fields))
    if held.made is not None:
        said.append(guard.sign(Signed.NEW_VIEW, held.made.fields))
    return said


# What is remembered is said again, byte for byte


def test_a_restarted_guard_says_the_same_bytes(opened: Opener) -> None:  # case 3
    guard = opened()
    for records in LIFE:
        guard.remember(records)
    before = say_all(guard)
    again = opened()
    assert again.recovered == guard.recovered
    assert say_all(again) == before and len(before) == 6


def test_each_remembering_costs_one_sync(opened: Opener, folder: Path) -> None:
    guard = opened()
    for count, records in enumerate(LIFE, start=1):
        guard.remember(records)
        assert guard.syncs == count
    empty = len((folder / JOURNAL_FILE).read_bytes()) - guard.bytes_written
    assert 0 < empty < 200


def test_a_remembering_is_synced_before_it_returns(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened()
    order: list[str] = []
    write, sync = os.write, os.fdatasync
    monkeypatch.setattr(os, "write", lambda *a: (order.append("write"), write(*a))[1])
    monkeypatch.setattr(os, "fdatasync", lambda *a: (order.append("sync"), sync(*a))[1])
    guard.remember(LIFE[0])
    assert order == ["write", "sync"]


def test_case_40_cut_at_every_byte_it_recovers_to_a_prefix(
    opened: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened()
    path = folder / JOURNAL_FILE
    start = path.stat().st_size
    ends = [start]
    for records in LIFE[:3]:
        guard.remember(records)
        ends.append(path.stat().st_size)
    raw = path.read_bytes()
    whole = read_journal(raw).records
    said = set(say_all(guard))
    opened.close()
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the power holds in this test
    for cut in range(start, len(raw)):
        for tail in (b"", bytes(7))[
            : 1 + (cut % 7 == 0)
        ]:  # a file may have grown before its bytes came
            path.write_bytes(raw[:cut] + tail)
            kept = read_journal(path.read_bytes())
            assert kept.records == whole[: len(kept.records)]
            assert kept.good_bytes <= cut + len(tail)
            # Whatever was synced before the cut write is there.
            assert kept.good_bytes >= max(end for end in ends if end <= cut)
            if cut % 13 == 0:
                short = Guard(folder, KEYS[ME], CHAIN)
                assert short.recovered == recover(kept.records)
                assert kept.good_bytes == path.stat().st_size
                assert set(say_all(short)) <= said
                short.close()


def test_a_cut_journal_is_written_on_from_its_good_end(opened: Opener, folder: Path) -> None:
    guard = opened()
    guard.remember(LIFE[0])
    guard.remember(LIFE[1])
    path = folder / JOURNAL_FILE
    path.write_bytes(path.read_bytes()[:-3])
    guard = opened()
    assert (int(Signed.COMMIT), 0, 0, 1) not in guard.recovered.votes
    guard.remember(LIFE[1])
    assert opened().recovered == guard.recovered


def test_case_40_the_numbers_of_frames_cannot_be_guessed_and_go_on_in_a_new_segment(
    opened: Opener, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened()
    other = tmp_path / "other"
    create_journal(other, CHAIN, KEYS[ME].public_key)
    raws = [(place / JOURNAL_FILE).read_bytes() for place in (folder, other)]
    mine, theirs = (read_journal(raw).next_seq for raw in raws)
    assert abs(mine - theirs) > 2**32  # by chance once in a thousand million times
    monkeypatch.setattr(module, "_SEGMENT_BYTES_MAX", 1)
    guard.decided(1)
    for height in (2, 3):
        guard.remember([voted(Signed.PREPARE, 0, height, header(height))])
    assert mine < read_journal((folder / JOURNAL_FILE).read_bytes()).next_seq < mine + 100


def test_case_39_a_write_whose_beginning_the_disk_lost_is_dropped_as_a_whole(
    opened: Opener, folder: Path
) -> None:
    guard = opened()
    path = folder / JOURNAL_FILE
    before, kept = path.stat().st_size, guard.recovered_copy()
    assert len(LIFE[0]) > 1
    guard.remember(LIFE[0])
    raw = path.read_bytes()
    path.write_bytes(raw[:before] + bytes(40) + raw[before + 40 :])
    assert opened().recovered == kept


def test_case_40_a_flipped_byte_before_a_good_record_is_corruption(
    opened: Opener, folder: Path
) -> None:
    guard = opened()
    path = folder / JOURNAL_FILE
    guard.remember(LIFE[0])
    middle = path.stat().st_size
    guard.remember(LIFE[1])
    raw = path.read_bytes()
    opened.close()
    for place in range(0, middle, 3):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(Corrupt):
            Guard(folder, KEYS[ME], CHAIN)
        assert path.read_bytes() == flipped  # kept as it is for whoever looks into it
    path.write_bytes(raw)
    Guard(folder, KEYS[ME], CHAIN).close()  # a refused opening holds no lock
    opened()


def test_case_41_what_a_failed_sync_left_in_memory_is_written_again_by_the_next_life(
    opened: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system holds pages for written whose sync failed, so that a further sync would do
    # nothing for them; a loss of power then takes what the next life had read and built upon.
    guard = opened()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", _fails)
        with pytest.raises(OSError, match="EIO"):
            guard.remember(LIFE[0])
    with pytest.raises(Refused):
        say_all(guard)
    done: list[bytes] = []
    write, sync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda d, data: (done.append(bytes(data)), write(d, data))[1])
    monkeypatch.setattr(os, "fsync", lambda d: (done.append(b"sync"), sync(d))[1])
    again = opened()
    raw = (folder / JOURNAL_FILE).read_bytes()
    assert done == [raw, b"sync"]
    assert again.recovered == recover(read_journal(raw).records)
    assert again.recovered.votes


def _fails(_descriptor: int) -> None:
    raise OSError("EIO")


# Who may have it


def test_case_43_a_second_guard_is_locked_out(opened: Opener, folder: Path) -> None:
    opened()
    with pytest.raises(Locked):
        Guard(folder, KEYS[ME], CHAIN)


def test_case_42_without_its_own_journal_a_key_votes_for_nothing(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(NoJournal):
        Guard(tmp_path / "nowhere", KEYS[ME], CHAIN)
    for _ in range(2):  # the refused opening holds no lock
        with pytest.raises(NoJournal):
            Guard(folder, KEYS[0], CHAIN)
        with pytest.raises(NoJournal):
            Guard(folder, KEYS[ME], ZERO_HASH)
    with pytest.raises(ConfigError):
        create_journal(folder, CHAIN, KEYS[ME].public_key)


# What it refuses


def refused(guard: Guard, *records: Record) -> str:
    """Why `records` are refused; nothing of them is on the disk."""
    size = guard.bytes_written
    with pytest.raises(Refused) as caught:
        guard.remember(records)
    assert guard.bytes_written == size
    return str(caught.value)


def test_case_13_a_second_hash_for_a_place_is_refused(opened: Opener) -> None:
    for kind in (Signed.PRE_PREPARE, Signed.PREPARE):
        guard = opened()
        guard.remember([voted(kind, 0, 1, A)])
        guard.remember([voted(kind, 0, 1, A)])  # the same again is no contradiction
        assert "second" in refused(guard, voted(kind, 0, 1, B))
        assert "second" in refused(opened(), voted(kind, 0, 1, B))  # nor after a restart


def test_case_4_a_vote_below_a_view_that_was_left_is_refused(opened: Opener) -> None:
    for late in (
        voted(Signed.PREPARE, 0, 2, header(2)),
        voted(Signed.PRE_PREPARE, 1, 2, header(2)),
        commit(1, 1, A),
        left(1),
        left(2),
        Made(0, 1, new_view_fields(0, 1, [], [])),
        Joined(0, 1, 0, ()),
    ):
        guard = opened()
        if guard.recovered.left is None:
            guard.remember([left(2)])
        refused(guard, late)


def test_a_vote_in_a_view_that_was_not_entered_is_refused(opened: Opener) -> None:
    refused(opened(), voted(Signed.PREPARE, 3, 1, A))
    guard = opened()
    guard.remember([left(1)])
    assert "not begun" in refused(guard, voted(Signed.PREPARE, 1, 1, A))
    guard = opened()
    assert "not on the way" in refused(guard, Joined(0, 2, 0, ()))
    assert "not on the way" in refused(opened(), Made(0, 2, new_view_fields(0, 2, [], [])))
    guard = opened()
    guard.remember([Joined(0, 1, 0, ()), voted(Signed.PREPARE, 1, 1, A)])
    assert "not on the way" in refused(guard, Joined(0, 1, 0, ()))
    guard = opened()
    guard.sign(Signed.PREPARE, vote_fields(0, 1, 1, hash_of(A), ME))


def test_a_commit_needs_the_prepared_certificate_of_its_very_proposal(
    opened: Opener,
) -> None:
    good = entry(0, A, 1)
    wrong = [
        b"",
        b"\xff",
        encode(entry(0, A, 1, (2,))),  # below a quorum
        encode(good._replace(primary_signature=bytes(64))),
        encode(entry(0, A, 1, (0, 2))),  # the primary counted twice
        encode(entry(0, B, 1)),  # of another block
        encode(entry(1, A, 1)),  # of another view
        encode(entry(0, header(2, "a"), 2)),
    ]  # fmt: skip
    for proof in wrong:
        refused(opened(), voted(Signed.COMMIT, 0, 1, A, proof))
    opened().remember([voted(Signed.COMMIT, 0, 1, A, encode(good))])


def test_case_18_a_view_change_that_omits_what_was_prepared_is_refused(
    opened: Opener,
) -> None:
    for omitting in (left(1), left(1, 0, (entry(0, B, 1),)), left(1, 0, (entry(1, A, 1),))):
        guard = opened()
        if not guard.recovered.votes:
            guard.remember([commit(0, 1, A)])
        assert "omits" in refused(guard, omitting)
    assert "not durable" in refused(opened(), left(1, 1))  # nor by claiming that it is decided
    guard = opened()
    guard.decided(1)
    guard.remember([left(1, 1)])


def test_the_latest_prepared_view_is_the_one_to_be_carried(opened: Opener) -> None:
    def prepared_twice() -> Guard:
        guard = opened()
        if not guard.recovered.votes:
            for records in LIFE:
                guard.remember(records)
        return guard

    assert "omits" in refused(prepared_twice(), left(2, 0, (entry(0, A, 1),)))
    prepared_twice().remember([left(2, 0, (entry(1, A, 1),))])


def test_a_decided_height_and_another_era_are_not_voted_on(opened: Opener) -> None:
    guard = opened()
    guard.decided(1)
    assert "decided" in refused(guard, voted(Signed.PREPARE, 0, 1, A))
    guard = opened()
    guard.court = COURT._replace(era=1)
    assert "era" in refused(guard, voted(Signed.PREPARE, 0, 1, A))
    guard = opened()
    guard.court = COURT._replace(era=1)
    new = header(1, era=1)
    guard.remember([Voted(Signed.PREPARE, 1, 0, 1, hash_of(new), new, b"")])
    guard = opened()
    assert "left for ever" in refused(guard, voted(Signed.PREPARE, 0, 2, header(2)))


def test_case_42_below_what_it_has_forgotten_nothing_is_signed(opened: Opener) -> None:
    # The store came back from an old copy: the chain stands lower than the journal remembers.
    guard = opened()
    guard.remember([voted(Signed.PREPARE, 0, 7, header(7))])
    guard.decided(7)
    guard._rewrite()
    assert "forgotten" in refused(opened(), voted(Signed.PREPARE, 0, 7, header(7, "b")))
    guard = opened()
    guard.decided(3)
    assert "forgotten" in refused(guard, voted(Signed.PREPARE, 0, 4, header(4)))
    guard = opened()
    guard.decided(3)
    assert "forgotten" in refused(guard, left(1, 3))
    guard = opened()
    guard.decided(8)
    guard.remember([left(1, 8)])


def test_one_new_view_for_each_view(opened: Opener) -> None:
    guard = opened()
    guard.remember([left(1)])
    guard.remember([Made(0, 1, new_view_fields(0, 1, [], []))])
    assert "second NEW-VIEW" in refused(guard, Made(0, 1, new_view_fields(0, 1, [], [A])))
    assert "second NEW-VIEW" in refused(opened(), Made(0, 1, new_view_fields(0, 1, [], [A])))


def test_a_replica_writes_no_opening_and_no_floor(opened: Opener) -> None:
    refused(opened(), Opened(1, CHAIN, KEYS[ME].public_key))
    refused(opened(), Floor(0, 0, 0))


def test_only_what_was_remembered_is_signed(opened: Opener) -> None:
    guard = opened()
    for records in LIFE:
        guard.remember(records)
    other = hash_of(B)
    for kind, fields in (
        (Signed.PRE_PREPARE, pre_prepare_fields(0, 1, 1, other)),
        (Signed.PRE_PREPARE, vote_fields(0, 1, 1, hash_of(A), ME)),
        (Signed.PREPARE, vote_fields(0, 0, 1, other, ME)),
        (Signed.PREPARE, pre_prepare_fields(0, 0, 1, hash_of(A))),
        (Signed.PREPARE, encode((0, 0, 1, hash_of(A), "me"))),
        (Signed.PREPARE, encode(7)),
        (Signed.COMMIT, vote_fields(0, 0, 2, hash_of(A), ME)),
        (Signed.VIEW_CHANGE, left(2).fields),
        (Signed.NEW_VIEW, new_view_fields(0, 1, [], [])),
        (Signed.TX, b"anything"),
    ):
        with pytest.raises(Refused):
            guard.sign(kind, fields)
    for free in (Signed.COMPLAIN, Signed.STATUS, Signed.CHECKPOINT):  # they bind nothing
        assert is_signed_by(
            KEYS[ME].public_key, statement(free, CHAIN, b"x"), guard.sign(free, b"x")
        )


def test_a_new_view_is_said_again_after_its_heights_were_decided(
    opened: Opener,
) -> None:
    guard = opened()
    for records in LIFE[:-1]:
        guard.remember(records)
    guard.decided(1)
    assert not guard.recovered.votes
    guard.sign(Signed.PRE_PREPARE, pre_prepare_fields(0, 1, 1, hash_of(A)))
    with pytest.raises(Refused):
        guard.sign(Signed.PRE_PREPARE, pre_prepare_fields(0, 1, 1, hash_of(B)))


# A failed write


def test_case_41_after_a_failed_write_nothing_is_signed_or_written(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened()
    calls: list[int] = []

    def broken(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(OSError):
            guard.remember([voted(Signed.PREPARE, 0, 1, A)])
    assert len(calls) == 1
    with pytest.raises(Refused):
        guard.sign(Signed.PREPARE, vote_fields(0, 0, 1, hash_of(A), ME))
    with pytest.raises(Refused):
        guard.remember([voted(Signed.PREPARE, 0, 1, A)])


def test_a_refused_batch_leaves_none_of_its_statements_signed(
    opened: Opener,
) -> None:
    guard = opened()
    refused(guard, voted(Signed.PREPARE, 0, 1, A), voted(Signed.PREPARE, 0, 1, B))
    with pytest.raises(Refused):
        guard.sign(Signed.PREPARE, vote_fields(0, 0, 1, hash_of(A), ME))
    assert not opened().recovered.votes


# Rewriting

heights = st.integers(1, 4)
words = st.sampled_from("ab")


@st.composite
def probes(draw: st.DrawFn) -> Record:
    """Any record, good or not; the guard says which."""
    view, height, word = draw(st.integers(0, 2)), draw(heights), draw(words)
    raw = header(height, word)
    match draw(st.integers(0, 5)):
        case 0:
            return voted(Signed.PRE_PREPARE, view, height, raw)
        case 1:
            return voted(Signed.PREPARE, view, height, raw, b"p")
        case 2:
            return commit(view, height, raw)
        case 3:
            carried = tuple(
                entry(draw(st.integers(0, 3)), header(h, draw(words)), h)
                for h in draw(st.sets(heights, max_size=2))
            )
            return left(view, draw(st.integers(0, 2)), carried)
        case 4:
            return Made(0, view, new_view_fields(0, view, [], [raw] if draw(st.booleans()) else []))
        case _:
            return Joined(0, view, draw(st.integers(0, 3)), (raw,) if draw(st.booleans()) else ())


def verdict(guard: Guard, record: Record) -> bool:
    try:
        guard._check(record)
    except Refused:
        return False
    return True


def signs(guard: Guard, kind: Signed, fields: bytes) -> bool:
    return guard._is_remembered(kind, fields)


def enter(guard: Guard, *, joins: bool) -> None:
    """The next view, as an honest replica goes there: with all that it prepared."""
    held = guard.recovered
    latest = {
        vote.height: vote
        for _, vote in sorted(held.votes.items())
        if vote.kind == Signed.COMMIT and vote.height > guard._decided
    }
    carried = tuple(entry_of(decode(latest[h].proof, bytes_max=10_000)) for h in sorted(latest))
    view = held.view + 1
    guard.remember([left(view, guard._decided, carried)])
    if joins:
        guard.remember([Joined(0, view, guard._decided, ())])


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.one_of(probes(), st.integers(1, 4), st.booleans()), max_size=16),
    st.lists(probes(), min_size=12, max_size=12),
)
def test_a_rewritten_journal_keeps_every_promise(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Record | int | bool],
    asked: list[Record],
) -> None:
    folder = tmp_path_factory.mktemp("rewriting") / "journal"
    create_journal(folder, CHAIN, KEYS[ME].public_key)
    guard = Guard(folder, KEYS[ME], CHAIN)
    guard.court = COURT
    for item in history:
        if isinstance(item, bool):
            enter(guard, joins=item)
        elif isinstance(item, int):
            guard.decided(max(item, guard._decided))
        elif verdict(guard, item):
            guard.remember([Body(item.hash, b"body"), item] if isinstance(item, Voted) else [item])
    guard._rewrite()
    decided, held = guard._decided, guard.recovered
    guard.close()
    again = Guard(folder, KEYS[ME], CHAIN)
    again.court = COURT
    again.decided(decided)
    try:
        assert again.recovered.floor == held.floor
        assert (again.recovered.view, again.recovered.active) == (held.view, held.active)
        assert (again.recovered.base, again.recovered.choice) == (held.base, held.choice)
        assert again.recovered.bodies == held.bodies
        for record in asked:
            guard.recovered = held
            assert verdict(again, record) == verdict(guard, record), record
            if isinstance(record, Voted):
                kind, fields = Signed(record.kind), fields_of(record)
                assert signs(again, kind, fields) == signs(guard, kind, fields), record
    finally:
        again.close()


def test_a_long_life_is_rewritten_and_stays_small(
    opened: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES_MAX", 20_000)
    guard = opened()
    for height in range(1, 120):
        raw = header(height)
        guard.remember([Body(hash_of(raw), bytes(1_000)), voted(Signed.PREPARE, 0, height, raw)])
        guard.sign(Signed.PREPARE, vote_fields(0, 0, height, hash_of(raw), ME))
        if height > 1:
            guard.decided(height - 1)
        assert (folder / JOURNAL_FILE).stat().st_size <= 22_000
    again = opened()
    assert again.recovered.floor._replace(dropped=0) == Floor(0, 0, 119)
    guard_votes = {place[3] for place in again.recovered.votes}
    assert guard_votes >= {119}
    again.decided(118)
    assert "second" in refused(again, voted(Signed.PREPARE, 0, 119, header(119, "b")))


def test_an_interrupted_rewriting_changes_nothing(
    opened: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES_MAX", 1_000)
    guard = opened()
    guard.remember([voted(Signed.PREPARE, 0, 2, header(2))])
    guard.decided(1)
    raw = (folder / JOURNAL_FILE).read_bytes()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError):
            guard.remember([Body(ZERO_HASH, bytes(1_000)), commit(0, 2, header(2))])
    assert (folder / JOURNAL_FILE).read_bytes() == raw
    again = opened()  # a half-made segment beside it is no journal
    assert list(again.recovered.votes) == [(int(Signed.PREPARE), 0, 0, 2)]
    again.decided(1)
    again.remember([Body(ZERO_HASH, bytes(1_000)), commit(0, 2, header(2))])
    assert opened().recovered.votes.keys() == again.recovered.votes.keys()
