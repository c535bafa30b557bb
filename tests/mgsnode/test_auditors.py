"""Who looks ahead for an audit: the same words as without, whoever dies or lies."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mgsnode import auditors
from mgsnode.audit import audit_home
from mgsnode.auditors import open_auditors
from mgsnode.base.block import hash_header
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import MgsError
from mgsnode.home import Home
from state import ahead, chain
from state.ahead import Workers
from state.audit import AuditResult, _audit, audit_source
from state.ledger import Ledger
from state.looked import Looked, Work, look_at
from state.source import StoreSource
from state.store import Store
from tests.mgsnode.small_chain import GENESIS, HEIGHTS, make_chain
from tests.mgsnode.test_audit import ROWS, change, command, command_elsewhere
from tests.state import test_ledger as small
from tests.state.world import people


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("auditors") / "home"
    make_chain(home)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def at_once(work: Work) -> ahead.Answer:
    """Looks as soon as it is asked: the answer is there long before the block's turn."""
    return partial(list, look_at(work))


def change_tx(home: Path, height: int, index: int) -> None:
    """One byte of a transaction's signature."""
    with Store.open(Home(home).store) as store, store.batch() as batch:
        key = chain.height_key(chain.BLOCK, height)
        raw = store.get(key)
        assert raw is not None
        header, txs = decode(raw, bytes_max=10**6)  # type: ignore[misc]
        bad = bytearray(txs[index])  # type: ignore[index,arg-type]
        bad[-9] ^= 1
        batch.put(key, encode((header, (*txs[:index], bytes(bad), *txs[index + 1 :]))))  # type: ignore[index]


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each height is a piece of work of its own."""
    monkeypatch.setattr(ahead, "BATCH_HEIGHTS", 1)


# The same answer ----------------------------------------------------------------------------


@pytest.mark.parametrize("what", [*ROWS, "a signature", "nothing"])
def test_the_command_says_the_same_byte_for_byte(what: str, home: Path) -> None:
    if what == "a signature":
        change_tx(home, 3, 2)
    elif what != "nothing":
        key, at, _ = ROWS[what]
        change(home, key, at)
    alone = command("--home", home)
    assert alone.returncode == (0 if what == "nothing" else 5)
    assert command("--home", home, "--workers", 2) == alone
    assert command("--home", home, "--workers", 1, "--json") == command("--home", home, "--json")


def test_the_program_says_the_same_and_leaves_nobody_behind(home: Path) -> None:
    """In a process of its own: its workers begin from the program itself."""
    assert command_elsewhere("--home", home, "--workers", 2) == command("--home", home)


def test_the_first_of_two_faults_is_named_though_the_other_is_known_sooner(home: Path) -> None:
    change_tx(home, 4, 0)
    change_tx(home, 2, 3)
    change_tx(home, 2, 1)
    alone = audit_home(home)
    assert str(alone.fault).startswith("height 2: transaction 1: ")
    assert audit_home(home, workers=Workers(at_once, 8)) == alone


def test_workers_that_find_nothing_wrong_are_noticed_by_these_cases(home: Path) -> None:
    """Planted: it looks and says that all is good. The answers differ then, as tests here see."""

    def blind(work: Work) -> ahead.Answer:
        return partial(
            list, [each._replace(bad_voters=(), bad_claims=()) for each in look_at(work)]
        )

    change_tx(home, 3, 2)
    assert audit_home(home, workers=Workers(blind, 2)) != audit_home(home)
    key, at, _ = ROWS["a certificate"]
    change(home, key, at)
    assert audit_home(home, workers=Workers(blind, 2)) != audit_home(home)


@pytest.mark.parametrize("field", ["header_hash", "txs_root", "bad_claims", "bad_voters"])
def test_each_thing_that_a_worker_says_counts(field: str, home: Path) -> None:
    """A worker that calls a good thing bad is believed, so nothing of it is checked twice."""
    voters = tuple(gateway.vote_key for gateway in GENESIS.gateways)
    wrong: Any = {"bad_claims": (0,), "bad_voters": voters}.get(field, bytes(32))

    def lie(work: Work) -> ahead.Answer:
        return partial(list, [each._replace(**{field: wrong}) for each in look_at(work)])

    assert str(audit_home(home, workers=Workers(lie, 2)).fault).startswith("height 1: ")


def chain_with_a_change_of_members(path: Path, *, bad: int = 0) -> None:
    """Four certify heights 1 and 2, three of them heights 3 and 4; a vote of `bad` is wrong."""
    ledger = Ledger.create(path, small.GENESIS, small.broken_registry())
    wallets, (alice,) = small.Wallets(small.GENESIS), people("alice")
    for kinds in ((), ("test_end",), (), ()):
        built = small.build(ledger, *(wallets.tx(alice, kind) for kind in kinds))
        header = built.block.header
        seal = small.certify(header)
        if ledger.head.validators.n == 3:
            seal = seal._replace(bitmap=b"\x07")
        if header.height == bad:
            seal = seal._replace(signatures=(*seal.signatures[:2], bytes(64)))
        ledger.commit(hash_header(header), seal)
    assert ledger.head.validators.n == 3
    ledger.close()


@pytest.mark.parametrize("bad", [0, 1, 2, 3, 4])
def test_a_change_of_members_within_the_look_ahead_changes_nothing(
    bad: int, tmp_path: Path
) -> None:
    chain_with_a_change_of_members(tmp_path / "store", bad=bad)
    given: list[Work] = []

    def ask(work: Work) -> ahead.Answer:
        given.append(work)
        return at_once(work)

    def audited(workers: Workers | None) -> AuditResult:
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        ledger = Ledger.create(scratch, small.GENESIS, small.broken_registry())
        with Store.open(tmp_path / "store") as store:
            quiet: Any = lambda *_: None  # noqa: E731
            return _audit(ledger, StoreSource(store), None, quiet, workers, quiet)

    alone = audited(None)
    bad_vote = f"height {bad}: certificate: certificate signature of member 2 is bad"
    no_vote = "height 4: law governance/changes: 2 eras, 1 follow"  # the end of an era was made up
    assert alone.fault == (bad_vote if bad else no_vote)
    assert alone.certificates == (bad - 1 if bad else 4)
    assert audited(Workers(ask, 8)) == alone
    assert [work.members.n for work in given] == [4]  # all was given out before anybody changed


# Reading ahead ------------------------------------------------------------------------------


class Failing(StoreSource):
    """A source that fails at a height, and counts what was read."""

    def __init__(self, store: Store, at: int, what: str) -> None:
        super().__init__(store)
        self.at, self.what = at, what
        self.seen: list[int] = []

    def block(self, height: int) -> bytes | None:
        self.seen.append(height)
        if height == self.at and self.what == "block":
            raise MgsError(f"nobody answers for {height}")
        if height == self.at and self.what == "nothing":
            return None
        return super().block(height)

    def certificate(self, height: int) -> bytes | None:
        if height == self.at and self.what == "certificate":
            raise OSError(f"no disk for {height}")
        return super().certificate(height)


@pytest.mark.parametrize("what", ["block", "certificate", "nothing"])
@pytest.mark.parametrize("faulty", [True, False])
def test_what_fails_while_reading_ahead_fails_at_its_turn(
    what: str, faulty: bool, home: Path, tmp_path: Path
) -> None:
    if faulty:
        change_tx(home, 2, 1)

    def audited(workers: Workers | None) -> str:
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        with Store.open(Home(home).store) as store:
            source = Failing(store, 4, what)
            try:
                said = repr(audit_source(source, GENESIS, scratch, workers=workers))
            except (MgsError, OSError) as error:
                said = repr(error)
            assert max(source.seen) <= 4 or what == "certificate"
        return said

    alone = audited(None)
    assert ("height 2: " in alone) == faulty
    assert audited(Workers(at_once, 8)) == alone


def test_no_more_is_read_ahead_than_may_be_held(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    ahead_of: list[int] = []
    with Store.open(Home(home).store) as store:
        for batches, held in ((2, 10**9), (100, 1)):
            monkeypatch.setattr(ahead, "AHEAD_BYTES", held)
            source = Failing(store, -1, "")
            result = audit_source(
                source, GENESIS, tmp_path / str(batches), workers=Workers(at_once, batches),
                progress=lambda _what, done, _of: ahead_of.append(max(source.seen) - done),  # noqa: B023
            )  # fmt: skip
            assert result.ok and source.seen == list(range(HEIGHTS + 1))
            assert max(ahead_of) == (1 if batches == 2 else 0)
            ahead_of.clear()


# Who dies -----------------------------------------------------------------------------------


def die(_work: Work) -> list[Looked]:
    """What a worker runs that is killed in the middle."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def stumble(_work: Work) -> list[Looked]:
    """What a worker runs that is broken."""
    raise AssertionError("broken")


def say_less(work: Work) -> list[Looked]:
    """What a worker runs that forgets a height."""
    return look_at(work)[1:]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (die, "the audit is not finished: a worker died before it answered"),
        (stumble, "the audit is not finished: a worker failed: AssertionError: broken"),
        (say_less, "a worker's answer does not fit what it was asked"),
    ],
)
def test_a_worker_that_does_not_answer_is_an_error_and_never_ok(
    work: object, said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditors, "look_at", work)
    done = command("--home", home, "--workers", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mgsnode: {said}\n"


def test_a_worker_that_is_killed_between_two_blocks_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    others = set(multiprocessing.active_children())

    def kill(_what: str, done: int, _of: int) -> None:
        if done == 2:
            for child in set(multiprocessing.active_children()) - others:
                os.kill(child.pid or 0, signal.SIGKILL)
                child.join()

    with open_auditors(1, None) as workers:
        assert workers is not None
        with pytest.raises(MgsError, match="a worker died"):
            audit_home(home, progress=kill, workers=workers._replace(batches_max=1))


# A cluster ----------------------------------------------------------------------------------


def test_the_command_wants_one_who_checks(home: Path) -> None:
    assert command("--home", home, "--workers", 1, "--cluster", "tcp://127.0.0.1:9").returncode == 2
    assert command("--home", home, "--workers", -1).returncode == 2


def test_without_the_extra_it_says_how_to_install_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = command("--home", home, "--cluster", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "pip install --require-hashes -r requirements-cluster.lock" in done.stderr
    assert (Path(__file__).parents[2] / "requirements-cluster.lock").exists()


@contextmanager
def dask(workers: int, scratch: Path) -> Iterator[Any]:
    """A scheduler and its workers, each a process of its own, on the loopback."""
    import distributed

    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0",
        host="127.0.0.1", silence_logs=logging.CRITICAL, local_directory=str(scratch),
    ) as cluster:  # fmt: skip
        yield cluster


def test_a_cluster_says_the_same_until_its_workers_are_gone(home: Path, tmp_path: Path) -> None:
    with dask(2, tmp_path) as cluster:
        good = command("--home", home)
        assert command("--home", home, "--cluster", cluster.scheduler_address) == good
        change_tx(home, 3, 2)
        bad = command("--home", home)
        assert bad.returncode == 5
        assert command("--home", home, "--cluster", cluster.scheduler_address) == bad
        cluster.scale(0)
        while cluster.scheduler.workers:
            cluster.sync(cluster._correct_state)
        gone = command("--home", home, "--cluster", cluster.scheduler_address)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "has no workers" in gone.stderr


def test_a_cluster_whose_workers_die_is_an_error(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditors, "look_at", die)
    with dask(1, tmp_path) as cluster:
        done = command("--home", home, "--cluster", cluster.scheduler_address)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the audit is not finished" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_scheduler_that_is_not_there_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditors, "_CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        done = command("--home", home, "--cluster", address)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"no dask scheduler answers at {address}" in done.stderr
        assert len(done.stderr.splitlines()) == 1
