"""What the demo shows while it runs: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from io import TextIOWrapper
from types import TracebackType
from typing import IO, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

_LINE_EVERY_S: Final = 2.0
_MICRO: Final = 1_000_000
_BAR: Final = 10  # with it a phase of 28 letters and a note of 22 fit into 80 columns
_NAME: Final = 24  # letters of a name that a file gives


class Screen:
    """Phases one after the other, each with what it counts. A context manager."""

    def __init__(self, file: IO[str]) -> None:
        if isinstance(file, TextIOWrapper):
            file.reconfigure(errors="replace")  # a terminal may know fewer letters than we do
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # Where there is no room for all of it the notes are wrapped and nothing is cut.
            TextColumn("{task.fields[note]}", table_column=Column()),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", visible=False, note="")
        self._name = ""
        self._total = 0
        self._done = 0
        self._note = ""
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def phase(self, name: str, total: int) -> None:
        """The next thing to do, of `total` steps."""
        self._name, self._total, self._done, self._note = name, total, 0, ""
        self._began = self._told = time.monotonic()
        self._task = self._bar.add_task(name, total=total, note="")
        if not self._live:
            self.say(f"{name} …")

    def step(self, done: int | None = None, *, note: str = "") -> None:
        """One step more, or `done` in all."""
        self._done = self._done + 1 if done is None else done
        self._note = note or self._note
        self._bar.update(self._task, completed=self._done, note=self._note)
        now = time.monotonic()
        is_last = self._done >= self._total
        if not self._live and (is_last or now - self._told > _LINE_EVERY_S):
            self._told = now
            rest = f"  {self._note}" if self._note else ""
            seconds = now - self._began
            self.say(f"{self._name}: {self._done} of {self._total}  {seconds:.1f} s{rest}")

    def say(self, sentence: str) -> None:
        """A line."""
        self._console.print(sentence, soft_wrap=True)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """The summary."""
        table = Table(title=title, show_header=False, title_justify="left", min_width=60)
        table.add_column()
        table.add_column(justify="right", overflow="fold")
        for name, value in rows:
            table.add_row(name, value)
        self._console.print(table)


def short(name: str) -> str:
    """A name from a file, fit for a terminal: nothing in it that does not print, and not long."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _NAME else plain[: _NAME - 1] + "…"


def dollars(micro: int) -> str:
    """An amount for people, exact: 183,478.9788; below zero too."""
    whole, rest = divmod(abs(micro), _MICRO)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro < 0 else ''}{whole:,}.{digits}"


def many(number: int, noun: str) -> str:
    """A number of things in words: 1 buyer, 2 buyers."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
