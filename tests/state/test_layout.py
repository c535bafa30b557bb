"""The mark of a store: who changes a row sees it here, and no program opens another's store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mgsnode.base.codec import encode
from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from state import layout
from state.layout import check_layout, check_rows, layout_of, open_store
from state.ledger import Ledger
from state.registry import Family, Registry, standard_registry
from state.store import LAYOUT_FILE
from state.table import Table, bytes_key
from state.tx.orders import ORDER
from tests.state.scenarios.base import ALICE
from tests.state.world import make_genesis

GENESIS: Genesis = make_genesis(funded=[ALICE])
TODAY = "1-4e284d8664e75bf4"


def test_the_layout_of_rows_is_the_one_that_stores_out_there_have() -> None:
    found = layout_of(standard_registry())
    assert found == TODAY, (
        "a table or a record changed: no store that exists can be opened after this, and each "
        f"node has to sync again. If that is what you want, write TODAY = {found!r} here and say "
        "so in CHANGELOG.md."
    )


def changed(table: Table[Any, Any], record: type) -> Registry:
    """The families, where one table has other records."""
    other: Table[Any, Any] = Table(table.number, table.name, record, bytes_key())

    def with_it(family: Family) -> Family:
        mine = tuple(other if one is table else one for one in family.tables)
        return family._replace(tables=mine)

    return Registry(tuple(map(with_it, standard_registry().families)))


def order_with(*more: tuple[str, Any]) -> type:
    """The record of an order with fields more."""
    fields = [*ORDER.record.__annotations__.items(), *more]
    made = NamedTuple("Order", fields)  # type: ignore[misc]
    made.__module__ = ORDER.record.__module__
    made.__annotations__ = dict(fields)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    Ledger.create(tmp_path / "store", GENESIS).close()
    return tmp_path / "store"


def test_a_store_is_opened_by_who_writes_the_same_rows(store: Path) -> None:
    assert (store / LAYOUT_FILE).read_text() == TODAY + "\n"
    same = changed(ORDER, order_with())
    assert layout_of(same) == TODAY
    Ledger.open(store, GENESIS, same).close()


def test_a_store_whose_rows_have_fewer_fields_is_refused_in_a_sentence(store: Path) -> None:
    later = changed(ORDER, order_with(("a", "int"), ("b", "int"), ("c", "bytes")))
    with pytest.raises(ConfigError) as refused:
        Ledger.open(store, GENESIS, later)
    said = str(refused.value)
    assert str(store) in said and TODAY in said and layout_of(later) in said
    assert "run that program" in said and "mgsnode init" in said and "import an archive" in said
    with pytest.raises(ConfigError, match="another layout of rows"):
        open_store(store, later)
    Ledger.open(store, GENESIS).close()  # and nothing was changed by asking


def test_a_field_of_another_name_or_type_is_another_layout() -> None:
    fields = dict(ORDER.record.__annotations__)
    for name, spelled in (("total", "bytes"), ("whole", "int")):
        other = {k if k != "total" else name: v for k, v in fields.items()}
        other[name] = spelled
        record = NamedTuple("Order", list(other.items()))  # type: ignore[misc]
        record.__module__, record.__annotations__ = ORDER.record.__module__, other
        assert layout_of(changed(ORDER, record)) != TODAY


def test_a_table_more_or_another_format_is_another_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mark(NamedTuple):
        at: int

    families = standard_registry().families
    more = Table(families[-1].number * 16 + 15, "new/mark", Mark, bytes_key())
    last = families[-1]._replace(tables=(*families[-1].tables, more))
    assert layout_of(Registry((*families[:-1], last))) != TODAY
    monkeypatch.setattr(layout, "FORMAT", 2)
    assert layout_of(standard_registry()) == TODAY.replace("1-", "2-", 1)


class _Inner(NamedTuple):
    one: int


class _Wider(NamedTuple):
    one: int
    two: int


class _Outer(NamedTuple):
    parts: tuple[_Inner, ...]


def test_a_record_inside_a_record_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout_of(changed(ORDER, _Outer))
    monkeypatch.setitem(globals(), "_Inner", _Wider)
    assert layout_of(changed(ORDER, _Outer)) != before


@pytest.mark.parametrize("mark", [None, "", "0-0000000000000000\n", "\xff" * 100])
def test_a_store_without_a_mark_or_with_another_is_refused(store: Path, mark: str | None) -> None:
    (store / LAYOUT_FILE).unlink()
    if mark is not None:
        (store / LAYOUT_FILE).write_text(mark, encoding="latin-1")
    with pytest.raises(ConfigError, match="another layout of rows"):
        Ledger.open(store, GENESIS)


def test_where_there_is_no_store_nothing_is_said_of_its_layout(tmp_path: Path) -> None:
    check_layout(tmp_path / "none", standard_registry())
    with pytest.raises(ConfigError, match="there is no store"):
        Ledger.open(tmp_path / "none", GENESIS)


def test_rows_without_a_mark_are_looked_at_once_for_each_table() -> None:
    registry = standard_registry()
    width = len(ORDER.record._fields)
    good, short = encode((0,) * width), encode((0,) * (width - 3))
    seen: dict[int, bool] = {}
    check_rows([(ORDER.state_key(b"a" * 32), good)], registry, seen)
    check_rows([(ORDER.state_key(b"b" * 32), short)], registry, seen)  # one chain has one layout
    with pytest.raises(ConfigError, match="orders/order"):
        check_rows([(ORDER.state_key(b"b" * 32), short)], registry, {})
    with pytest.raises(ConfigError, match="table 255"):
        check_rows([(b"s\xff", good)], registry, {})
