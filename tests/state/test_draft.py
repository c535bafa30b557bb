"""Drafts against plain dicts: stacking, undoing, walking; and what a table spells."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mgsnode.base.codec import encode
from mgsnode.base.errors import Corrupt
from state.draft import _WALK_KEPT_MAX, CACHED_BYTES_MAX, Draft, RecordCache, StateReader
from state.store import Rows, Store, next_prefix
from state.table import Table, bytes_key, int_key, pair_key, text_key


class Line(NamedTuple):
    sku: str
    quantity: int


class Order(NamedTuple):
    buyer: bytes
    lines: tuple[Line, ...]


class Count(NamedTuple):
    number: int


class Words(NamedTuple):
    words: tuple[str, ...]


def build_order(fields: tuple[Any, ...]) -> Order:
    return Order(fields[0], tuple(Line._make(line) for line in fields[1]))


COUNTS: Table[bytes, Count] = Table(1, "test/counts", Count, bytes_key(None))
WORDS: Table[bytes, Words] = Table(5, "test/words", Words, bytes_key(None))
LONG: Table[bytes, Words] = Table(6, "test/long", Words, bytes_key(None), is_long=True)
NAMES: Table[str, Count] = Table(2, "test/names", Count, text_key())
DUE: Table[tuple[int, bytes], Count] = Table(3, "test/due", Count, pair_key(int_key(), bytes_key()))
ORDERS: Table[bytes, Order] = Table(4, "test/orders", Order, bytes_key(), build_order)


class DictRows:
    """Rows in a dict; counts the reads."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.rows.get(key)

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Any:
        low, high = max(prefix, start or b""), next_prefix(prefix)
        keys = sorted(
            key
            for key in self.rows
            if key >= low and (high is None or key < high) and (stop is None or key < stop)
        )
        for key in reversed(keys) if reverse else keys:
            yield key, self.rows[key]

    def commit(self, draft: Draft) -> None:
        for key, value in draft.changes():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


def fresh() -> tuple[DictRows, Draft]:
    rows: Rows = DictRows()
    assert isinstance(rows, DictRows)
    return rows, Draft(StateReader(rows))


def test_a_record_survives_its_spelling_and_nested_records_are_records_again() -> None:
    order = Order(b"b" * 32, (Line("sku", 3), Line("other", 1)))
    again = ORDERS.decode_record(ORDERS.encode_record(order))
    assert again == order and again.lines[0].quantity == 3


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", encode(1), encode((1, 2)), encode(()), b"\x91\x01\x01"]
)
def test_a_row_that_is_not_its_record_is_corrupt(raw: bytes) -> None:
    with pytest.raises(Corrupt):
        COUNTS.decode_record(raw)


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))))
def test_encoded_keys_stand_in_the_order_of_the_keys(keys: list[tuple[int, bytes]]) -> None:
    encoded = sorted(DUE.state_key(key) for key in keys)
    assert [DUE.key_of(key) for key in encoded] == sorted(keys)
    assert all(key.startswith(b"s\x03") for key in encoded)


def test_a_row_is_read_once_and_written_once() -> None:
    rows, draft = fresh()
    rows.rows[COUNTS.state_key(b"a")] = COUNTS.encode_record(Count(1))
    for number in range(5):
        assert draft.get(COUNTS, b"a") is not None
        assert draft.get(COUNTS, b"absent") is None
        draft.put(COUNTS, b"a", Count(number))
    assert rows.reads == 2
    assert draft.changes() == [(COUNTS.state_key(b"a"), COUNTS.encode_record(Count(4)))]


def test_changes_rise_by_key_over_all_tables_and_name_each_once() -> None:
    _, draft = fresh()
    draft.put(NAMES, "z", Count(1))
    draft.put(COUNTS, b"z", Count(1))
    draft.put(COUNTS, b"a", Count(1))
    draft.delete(COUNTS, b"z")
    draft.put(DUE, (1, b"x" * 32), Count(1))
    keys = [key for key, _ in draft.changes()]
    assert keys == sorted(set(keys)) and len(keys) == 4
    assert (COUNTS.state_key(b"z"), None) in draft.changes()


def test_rolling_back_leaves_nothing_and_keeps_what_was_before() -> None:
    rows, draft = fresh()
    rows.rows[COUNTS.state_key(b"old")] = COUNTS.encode_record(Count(1))
    draft.put(COUNTS, b"kept", Count(2))
    before = draft.changes()
    draft.begin()
    draft.put(COUNTS, b"kept", Count(3))
    draft.put(COUNTS, b"kept", Count(4))
    draft.put(COUNTS, b"new", Count(5))
    draft.delete(COUNTS, b"old")
    draft.rollback()
    assert draft.changes() == before
    assert draft.get(COUNTS, b"old") == Count(1)
    assert draft.get(COUNTS, b"new") is None
    assert [key for key, _ in draft.items(COUNTS)] == [b"kept", b"old"]
    draft.rollback()  # nothing more to undo
    assert draft.changes() == before


def test_a_draft_stands_on_another_and_goes_on_when_that_is_committed() -> None:
    rows, parent = fresh()
    parent.put(COUNTS, b"a", Count(1))
    parent.put(COUNTS, b"gone", Count(1))
    child, sibling = Draft(parent), Draft(parent)
    child.delete(COUNTS, b"gone")
    child.put(COUNTS, b"b", Count(2))
    assert [key for key, _ in child.items(COUNTS)] == [b"a", b"b"]
    assert [key for key, _ in sibling.items(COUNTS)] == [b"a", b"gone"]
    rows.commit(parent)
    child.rebase(StateReader(rows))
    assert [key for key, _ in child.items(COUNTS)] == [b"a", b"b"]
    assert child.get(COUNTS, b"a") == Count(1)
    rows.commit(child)
    assert sorted(rows.rows) == [COUNTS.state_key(b"a"), COUNTS.state_key(b"b")]


def test_a_walk_sees_its_table_prefix_and_start_only() -> None:
    rows, draft = fresh()
    for name in ("a1", "a2", "b1"):
        draft.put(NAMES, name, Count(1))
    draft.put(COUNTS, b"a3", Count(1))
    rows.commit(draft)
    draft.put(NAMES, "a15", Count(2))
    assert [key for key, _ in draft.items(NAMES, b"a")] == ["a1", "a15", "a2"]
    assert [key for key, _ in draft.items(NAMES, b"a", start=b"a15")] == ["a15", "a2"]
    assert [key for key, _ in draft.items(NAMES, start=b"a2")] == ["a2", "b1"]


def test_rows_may_be_written_and_deleted_during_a_walk() -> None:
    rows, draft = fresh()
    for i in range(20):
        draft.put(DUE, (i, bytes(32)), Count(i))
    rows.commit(draft)
    walked = []
    for key, _ in draft.items(DUE):
        draft.delete(DUE, key)
        draft.put(DUE, (key[0] + 100, bytes(32)), Count(0))
        walked.append(key[0])
    assert walked == list(range(20))
    assert [key[0] for key, _ in draft.items(DUE)] == [i + 100 for i in range(20)]


@given(
    st.lists(
        st.dictionaries(st.integers(0, 30), st.none() | st.integers(0, 5), max_size=12), max_size=8
    ),
    st.integers(2, 10),
)
def test_cached_records_are_those_of_the_rows_after_each_commit(
    blocks: list[dict[int, int | None]], records_max: int
) -> None:
    rows = DictRows()
    cache = RecordCache(rows, records_max=records_max)
    plain: dict[bytes, int] = {}
    for block in blocks:
        draft = Draft(cache)
        for key, number in block.items():
            if number is None:
                draft.delete(COUNTS, b"%d" % key)
                plain.pop(b"%d" % key, None)
            else:
                draft.put(COUNTS, b"%d" % key, Count(number))
                plain[b"%d" % key] = number
        rows.commit(draft)
        cache.absorb(draft)
        for key in range(31):
            found = cache.get(COUNTS, b"%d" % key)
            assert (found and found.number) == plain.get(b"%d" % key)
        assert {key: record.number for key, record in cache.items(COUNTS)} == plain
        assert len(cache._young) + len(cache._old) <= records_max


def test_long_rows_are_read_again_each_time() -> None:
    """A cache counts records: long ones, twenty times as long in memory, would be without end."""
    rows = DictRows()
    cache = RecordCache(rows)
    long, short = Words(("x",) * CACHED_BYTES_MAX), Words(("y",))
    for one, other in ((long, short), (short, long), (long, long)):
        draft = Draft(cache)
        draft.put(WORDS, b"one", one)
        draft.put(WORDS, b"other", other)
        rows.commit(draft)
        cache.absorb(draft)
        for _ in range(2):
            assert (cache.get(WORDS, b"one"), cache.get(WORDS, b"other")) == (one, other)
        kept = [*cache._young.values(), *cache._old.values()]
        assert kept == [words for words in (one, other) if words == short]


def test_a_walk_keeps_its_first_rows_decoded_and_no_more() -> None:
    """Neither a long row nor a table of millions takes the place of what is used."""
    rows = DictRows()
    cache = RecordCache(rows)
    draft = Draft(cache)
    draft.put(WORDS, b"", Words(("x",) * CACHED_BYTES_MAX))
    for number in range(_WALK_KEPT_MAX + 5):
        draft.put(COUNTS, b"%03d" % number, Count(number))
    rows.commit(draft)
    numbers = [record.number for _, record in cache.items(COUNTS)]
    assert numbers == list(range(_WALK_KEPT_MAX + 5))
    assert len(list(cache.items(WORDS))) == 1
    assert [count.number for count in cache._young.values()] == numbers[:_WALK_KEPT_MAX]
    once, again = (next(iter(cache.items(COUNTS)))[1] for _ in range(2))
    assert once is again


def test_a_draft_keeps_no_long_row_that_it_only_reads() -> None:
    rows = DictRows()
    bottom = Draft(StateReader(rows))
    bottom.put(LONG, b"one", Words(("x",)))
    bottom.put(LONG, b"other", Words(("y",)))
    assert bottom.get(LONG, b"one") == Words(("x",))  # what it wrote it keeps
    rows.commit(bottom)
    draft = Draft(Draft(StateReader(rows)))
    assert draft.get(LONG, b"one") == Words(("x",)) and not draft._records
    draft.put(LONG, b"other", Words(("z",)))
    draft.begin()
    draft.delete(LONG, b"one")
    assert draft.get(LONG, b"one") is None
    draft.rollback()
    assert draft.get(LONG, b"one") == Words(("x",))
    assert dict(draft.items(LONG)) == {b"one": Words(("x",)), b"other": Words(("z",))}


KEYS = st.sampled_from([b"", b"a", b"ab", b"b", b"\xff", b"\xff\xff"])


class Stacked(RuleBasedStateMachine):
    """Three drafts on one another, the top one begun and rolled back, against dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, bottom = fresh()
        self.drafts = [bottom]
        self.models: list[dict[bytes, int]] = [{}]
        self.mark: dict[bytes, int] = {}

    @rule(key=KEYS, number=st.integers(0, 3))
    def put(self, key: bytes, number: int) -> None:
        self.drafts[-1].put(COUNTS, key, Count(number))
        self.models[-1][key] = number

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.drafts[-1].delete(COUNTS, key)
        self.models[-1].pop(key, None)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        found = self.drafts[-1].get(COUNTS, key)
        assert (found and found.number) == self.models[-1].get(key)

    @rule()
    def begin(self) -> None:
        self.drafts[-1].begin()
        self.mark = dict(self.models[-1])

    @rule()
    def rollback(self) -> None:
        self.drafts[-1].rollback()
        self.models[-1] = dict(self.mark)
        self.drafts[-1].begin()

    @rule()
    def stack(self) -> None:
        self.drafts.append(Draft(self.drafts[-1]))
        self.models.append(dict(self.models[-1]))
        self.mark = dict(self.models[-1])

    @rule()
    def commit_bottom(self) -> None:
        if len(self.drafts) > 1:
            self.rows.commit(self.drafts.pop(0))
            self.models.pop(0)
            self.drafts[0].rebase(StateReader(self.rows))

    @invariant()
    def walks_agree(self) -> None:
        for draft, model in zip(self.drafts, self.models, strict=True):
            found = {key: record.number for key, record in draft.items(COUNTS)}
            assert found == model and list(found) == sorted(found)


TestStacked = Stacked.TestCase


def test_a_store_and_a_snapshot_read_alike(tmp_path: Path) -> None:
    with Store.create(tmp_path / "store") as store:
        draft = Draft(StateReader(store))
        for i in range(100):
            draft.put(COUNTS, b"%03d" % i, Count(i))
        with store.batch() as batch:
            for key, value in draft.changes():
                assert value is not None
                batch.put(key, value)
        with store.snapshot() as snapshot:
            with store.batch() as batch:
                batch.delete(COUNTS.state_key(b"050"))
            assert len(list(StateReader(store).items(COUNTS))) == 99
            assert len(list(StateReader(snapshot).items(COUNTS))) == 100
            assert StateReader(snapshot).get(COUNTS, b"050") == Count(50)
