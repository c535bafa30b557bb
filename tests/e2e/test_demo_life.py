"""The demo as a process: two at once, kept up, asked, interrupted; it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mgsnode.demo.plan import brought_by
from mgsnode.reviews import COLUMNS
from tests.e2e.support import call, until
from tests.mgsnode.test_demo import check_against_file, commissions_of
from tests.mgsnode.test_trade import row, write

pytestmark = pytest.mark.e2e

END_S = 30.0  # a node is given 15 s to end
_NODE = re.compile(r"^(\w+) +(http://\S+)  home (\S+)$", re.MULTILINE)
_CUSTOMERS = [str(n) for n in range(100)]
BROUGHT = next(who for who in _CUSTOMERS if brought_by(who))
OTHER = next(who for who in _CUSTOMERS if not brought_by(who))


def _hear_hangups() -> None:
    """As at a terminal, though whoever runs the tests may be deaf to it (`nohup`)."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Demo:
    """A demo that runs in a folder for temporary files of its own."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        self.folder.mkdir()
        self._out, self._err = folder.with_suffix(".out"), folder.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mgsnode.cli.main", "demo", "--json", *map(str, arguments)],
                stdout=out, stderr=err, env={**os.environ, "TMPDIR": str(folder)},
                preexec_fn=_hear_hangups,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """What it wrote for people."""
        return self._err.read_text(encoding="utf-8")

    def has_said(self, words: str, *, seconds: float) -> None:
        """Wait for words."""
        until(
            f"{words!r}; it said {self.said[-500:]!r}",
            lambda: words in self.said or self.process.poll() is not None,
            seconds=seconds,
        )
        assert words in self.said, self.said[-500:]

    def answer(self) -> dict[str, Any]:
        """Its one object, and nothing else on standard output."""
        found = json.loads(self._out.read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def processes(self) -> list[str]:
        """The command lines of all processes that speak of its folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if str(self.folder) in words:
                found.append(words)
        return found

    def check_nothing_is_left(self) -> None:
        """No process and no file."""
        assert self.processes() == []
        assert list(self.folder.iterdir()) == []


@contextmanager
def running(folder: Path, *arguments: object) -> Iterator[Demo]:
    demo = Demo(folder, *arguments)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def test_two_demos_at_once_each_with_its_own_files_and_one_is_kept_up_until_ctrl_c(
    tmp_path: Path,
) -> None:
    trade = write(
        tmp_path,
        row("1", "A", 2, "20", BROUGHT),
        row("2", "A", 1, "20", OTHER),
        row("C3", "A", -1, "20", BROUGHT),
    )
    reviews = tmp_path / "reviews.csv"
    reviews.write_text(f"{','.join(COLUMNS)}\n2,Thin,,1\n5,,Good,0\n9?,", encoding="utf-8")
    bad = subprocess.run(
        [sys.executable, "-m", "mgsnode.cli.main", "demo", "--reviews", str(reviews)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (bad.returncode, bad.stdout) == (3, "")
    assert bad.stderr == f"mgsnode: {reviews}: line 4: has 2 columns, not 4\n"
    reviews.write_text(f"{','.join(COLUMNS)}\n2,Thin,,1\n5,,Good,0\n", encoding="utf-8")

    files = ("--data", trade, "--reviews", reviews)
    with (
        running(tmp_path / "kept", "--gateways", 2, "--serve", *files) as kept,
        running(tmp_path / "short", "--gateways", 1, *files) as short,
    ):
        assert short.process.wait(timeout=120) == 0, short.said
        short.check_nothing_is_left()
        kept.has_said("Ctrl-C ends it", seconds=120)
        for demo in (short, kept):
            answer = demo.answer()
            check_against_file(answer, trade)
            assert (answer["reviews"], answer["votes"]) == (2, 1)
            assert answer["commissions"] == str(commissions_of(trade)) != "0"
            assert [each["buyers"] for each in answer["distributors"]].count(1) == 1
        assert short.answer()["state_root"] != kept.answer()["state_root"]

        nodes = _NODE.findall(kept.said)
        assert [name for name, _, _ in nodes] == ["albion", "danube"]
        for _, url, home in nodes:
            assert call(url, "node_status")["height"] >= kept.answer()["height"]
            assert Path(home).is_dir()
        assert len(kept.processes()) == 2
        kept.process.send_signal(signal.SIGINT)
        assert kept.process.wait(timeout=END_S) == 0, kept.said
        kept.check_nothing_is_left()
        assert "stopped" not in kept.said and "Traceback" not in kept.said


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "orders, reviews, refunds …"),
        (signal.SIGTERM, "reserves, shops, a demand …"),
        (signal.SIGHUP, "nodes start …"),
    ],
)
def test_a_demo_that_is_interrupted_leaves_no_process_and_no_file(
    number: signal.Signals, words: str, tmp_path: Path
) -> None:
    with running(tmp_path / "demo", "--gateways", 1, "--serve") as demo:
        demo.has_said(words, seconds=60)
        demo.process.send_signal(number)
        assert demo.process.wait(timeout=END_S) == 1, demo.said
        demo.check_nothing_is_left()
        assert demo.said.endswith("stopped\n") and "Traceback" not in demo.said
        assert demo._out.read_text() == ""
