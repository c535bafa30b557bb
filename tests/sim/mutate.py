"""`python -m tests.sim.mutate` (`make mutate`): plants each bug of `mutations.py`; who cries?

Each is patched into a copy of the sources. The tests of `tests/consensus` run first, then, where
they are silent or `--both` is given, the simulator, seed by seed. Exit code 1 if one is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Timer
from typing import NamedTuple

from tests.sim.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
_COPIED = (
    "consensus", "mgsnode", "state", "tests/consensus", "tests/sim", "tests/state",
    "tests/__init__.py", "tests/mgsnode/__init__.py", "tests/mgsnode/test_guard.py",
)  # fmt: skip
_TESTS = tuple(
    f"tests/consensus/{name}"
    for name in ("test_transcripts.py", "test_proofs.py", "test_bounds.py", "test_journal.py", "")
)
_GUARD_TESTS = ("tests/mgsnode/test_guard.py",)
_TESTS_S, _SEED_S = 240, 120
# One process for many seeds: it says each verdict as it comes and ends at the first bad one.
_RUN = """
import sys
from tests.sim.run import run_seed
for seed in range(int(sys.argv[1])):
    verdict = run_seed(seed, heights=6).verdict
    print(verdict, flush=True)
    if verdict != "held":
        break
"""


class Caught(NamedTuple):
    """Who noticed a planted bug."""

    mutation: Mutation
    test: str | None
    seeds: int | None  # how many until the first that did not hold

    @property
    def missed(self) -> bool:
        """Nobody did."""
        return self.test is None and self.seeds is None


def plant(mutation: Mutation, folder: Path) -> None:
    """A copy of the sources with the bug in it."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "test_sim.py", "test_mutations.py")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    path = folder / mutation.path
    path.write_text(apply_changes(mutation, path.read_text()))


def apply_changes(mutation: Mutation, text: str) -> str:
    """The mutated source. Raises ValueError where a text is not there once."""
    for old, new in mutation.changes:
        if text.count(old) != 1:
            raise ValueError(f"{mutation.name}: its text stands {text.count(old)} times")
        text = text.replace(old, new)
    return text


def _python(folder: Path, *words: str, seconds: int) -> subprocess.CompletedProcess[str] | None:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            [sys.executable, *words],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None


def _failing_test(folder: Path, paths: tuple[str, ...]) -> str | None:
    """The first test that fails, by name."""
    for path in paths:
        words = ("-m", "pytest", "-xq", "-p", "no:cacheprovider", path)
        done = _python(folder, *words, seconds=_TESTS_S)
        if done is None:
            return "tests do not end"
        if done.returncode:
            failed = [li for li in done.stdout.splitlines() if li.startswith(("FAILED", "ERROR"))]
            name = failed[0].split(" - ")[0].split("::")[-1] if failed else "tests do not start"
            return name.removeprefix("test_transcript[").removesuffix("]")
    return None


def _seeds_until(folder: Path, seeds: int) -> int | None:
    """How many seeds until one does not hold, or does not end in its time."""
    words = [sys.executable, "-c", _RUN, str(seeds)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert run.stdout is not None
    with run:
        for number in range(seeds):
            slow = Timer(_SEED_S, run.kill)
            slow.start()
            verdict = run.stdout.readline().strip()
            slow.cancel()
            if verdict != b"held":
                run.kill()
                return number + 1
    return None


def judge(mutation: Mutation, *, seeds: int, both: bool) -> Caught:
    """Plants one bug and sees who notices."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant(mutation, folder)
        test = _failing_test(folder, _TESTS if "/" not in mutation.file else _GUARD_TESTS)
        until = _seeds_until(folder, seeds) if test is None or both else None
        return Caught(mutation, test, until)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="for each bug, in the simulator")
    parser.add_argument("--both", action="store_true", help="simulate also what a test has caught")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if given.only in mutation.name]
    missed = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for caught in pool.map(partial(judge, seeds=given.seeds, both=given.both), chosen):
            test = caught.test or "-"
            seeds = "-" if caught.seeds is None else f"{caught.seeds} seeds"
            mark = "MISSED" if caught.missed else "caught"
            missed += caught.missed
            print(f"{mark}  {caught.mutation.name:45}  {test:55}  {seeds}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted bugs caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
