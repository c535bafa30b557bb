"""The store: all or nothing, one owner, and damage is never silent."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError, Corrupt, Locked
from state.store import Store, next_prefix


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def filled(path: Path, rows: int = 2_000) -> None:
    """A store whose rows stand partly in a table file, partly in the log."""
    with Store.create(path) as store:
        for part in range(2):
            with store.batch() as batch:
                for i in range(part, rows, 2):
                    batch.put(b"s%06d" % i, b"value %d " % i * 10)
            if part == 0:
                store.compact()


def test_what_is_written_is_read_back_after_reopening(path: Path) -> None:
    filled(path)
    with Store.open(path) as store:
        assert store.get(b"s000007") == b"value 7 " * 10
        assert store.get(b"absent") is None
        assert len(list(store.iterate(prefix=b"s"))) == 2_000


def test_a_batch_whose_body_raises_writes_nothing(path: Path) -> None:
    with Store.create(path) as store:
        with pytest.raises(ZeroDivisionError), store.batch() as batch:
            batch.put(b"a", b"1")
            _ = 1 // 0
        assert store.get(b"a") is None
        assert store.stats.syncs == 0


def test_syncs_and_bytes_are_counted(path: Path) -> None:
    with Store.create(path) as store:
        with store.batch() as batch:
            batch.put(b"key", b"x" * 1_000)
        with store.batch(sync=False) as batch:
            batch.delete(b"key")
        assert (store.stats.batches, store.stats.syncs) == (2, 1)
        assert 1_003 <= store.stats.bytes_written <= 1_100


def test_iterate_honours_prefix_start_stop_and_direction(path: Path) -> None:
    with Store.create(path) as store:
        with store.batch() as batch:
            for key in (b"a1", b"a2", b"a\xff", b"b0", b"\xff\xff"):
                batch.put(key, b"")

        def keys(**how: object) -> list[bytes]:
            return [key for key, _ in store.iterate(**how)]  # type: ignore[arg-type]

        assert keys(prefix=b"a") == [b"a1", b"a2", b"a\xff"]
        assert keys(prefix=b"a", start=b"a2") == [b"a2", b"a\xff"]
        assert keys(prefix=b"a", stop=b"a2") == [b"a1"]
        assert keys(prefix=b"a", reverse=True) == [b"a\xff", b"a2", b"a1"]
        assert keys(prefix=b"\xff") == [b"\xff\xff"]
        assert keys(start=b"b", stop=b"c") == [b"b0"]
        assert keys(prefix=b"a\xff", start=b"a") == [b"a\xff"]
        assert len(keys()) == 5


def test_next_prefix_carries_over_ff() -> None:
    assert next_prefix(b"a\xff") == b"b"
    assert next_prefix(b"\xff") is None
    assert next_prefix(b"") is None


def test_a_snapshot_keeps_its_moment_while_the_store_moves_on(path: Path) -> None:
    with Store.create(path) as store:
        with store.batch() as batch:
            batch.put(b"a", b"old")
        with store.snapshot() as then:
            with store.batch() as batch:
                batch.put(b"a", b"new")
            assert then.get(b"a") == b"old"
            assert list(then.iterate(prefix=b"a")) == [(b"a", b"old")]
            assert store.get(b"a") == b"new"


def test_case_47_closing_waits_for_readers_in_other_threads(path: Path) -> None:
    filled(path)
    store = Store.open(path)
    snapshot, walk = store.snapshot(), store.iterate()
    next(walk)
    seen: list[int] = []

    def read() -> None:
        for i in range(2_000):
            assert snapshot.get(b"s%06d" % i) is not None
        seen.append(len(list(snapshot.iterate())))
        snapshot.close()

    reader = threading.Thread(target=read)
    reader.start()
    store.close()
    reader.join()
    assert seen == [2_000]
    with pytest.raises(Locked):  # the iterator still holds it
        Store.open(path)
    walk.close()  # type: ignore[attr-defined]
    Store.open(path).close()


def test_a_second_opener_is_told_that_it_is_locked(path: Path) -> None:
    with Store.create(path), pytest.raises(Locked, match="in use"):
        Store.open(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import sys; from pathlib import Path; from state.store import "
         f"Store; s = Store.open(Path({str(path)!r})); print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(Locked, match="in use"):
            Store.open(path)
    finally:
        holder.communicate(b"")


def test_create_refuses_an_existing_store_and_open_an_absent_one(path: Path) -> None:
    with pytest.raises(ConfigError):
        Store.open(path)
    Store.create(path).close()
    with pytest.raises(ConfigError):
        Store.create(path)


def test_case_9_a_lost_current_is_corruption_not_an_empty_store(path: Path) -> None:
    filled(path)
    (path / "CURRENT").unlink()
    with pytest.raises(Corrupt, match="CURRENT"):
        Store.open(path)
    with pytest.raises(Corrupt, match="CURRENT"):
        Store.create(path)


def read_all(path: Path, how: str = "iterate") -> int:
    """How many rows are right."""
    with Store.open(path) as store, store.snapshot() as snapshot:
        if how == "iterate":
            rows = dict(store.iterate())
            return sum(rows.get(b"s%06d" % i) == b"value %d " % i * 10 for i in range(2_000))
        get = store.get if how == "get" else snapshot.get
        return sum(get(b"s%06d" % i) == b"value %d " % i * 10 for i in range(2_000))


@pytest.mark.parametrize("suffix", [".log", ".ldb"])
@pytest.mark.parametrize("how", ["get", "snapshot", "iterate"])
def test_case_9_a_flipped_byte_anywhere_is_corrupt_and_never_silent(
    path: Path, suffix: str, how: str
) -> None:
    filled(path)
    name = max(path.glob("*" + suffix), key=lambda file: file.stat().st_size).name
    whole = (path / name).read_bytes()
    assert len(whole) > 10_000
    refused = 0
    for place in range(0, len(whole), len(whole) // 40):
        copy = path.with_name(f"flip{place}")
        shutil.copytree(path, copy)
        (copy / name).write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = read_all(copy, how)
        except Corrupt:
            refused += 1
        else:  # a bit that nothing reads (a filter's, padding)
            assert found == 2_000, f"{name} byte {place}"
    assert refused >= 38


@pytest.mark.parametrize("suffix", [".ldb", "MANIFEST"])
@pytest.mark.parametrize("how", ["empty", "half", "missing"])
def test_case_9_a_torn_or_missing_file_is_corrupt(path: Path, suffix: str, how: str) -> None:
    filled(path)
    victim = next(f for f in path.iterdir() if f.name.endswith(suffix) or suffix in f.name)
    if how == "missing":
        victim.unlink()
    else:
        victim.write_bytes(b"" if how == "empty" else victim.read_bytes()[: -200 or None])
    with pytest.raises(Corrupt):
        read_all(path)
