"""Runs a node with a sampler inside: `sampler.py OUT start --home DIR ...`.

Every `_EVERY_S` of CPU time that the process uses, a signal makes the main thread note what each
thread is at. A thread's stack gets the CPU time that this thread used since the last note, so
that sleeping threads weigh nothing; what is found waiting for work keeps its time for the next
note, since it did not use it by waiting. Threads without Python (LevelDB's own) show as the rest of
the process's CPU. Garbage collection is timed apart: it is contained in the stacks.

SIGUSR1 begins a measured window, SIGUSR2 ends it and writes what was seen to OUT.
"""

from __future__ import annotations

import concurrent.futures.thread
import gc
import json
import selectors
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

_EVERY_S = 0.002
_DEPTH = 60
_ROOT = str(Path(__file__).resolve().parent.parent)


class Sampler:
    """Stacks and the CPU time they stood for."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._clocks: dict[int, int] = {}  # thread -> the id of its CPU clock
        self._seen: dict[int, int] = {}  # thread -> CPU ns when last noted
        self._stacks: Counter[tuple[tuple[CodeType, int], ...]] = Counter()
        self._threads: Counter[str] = Counter()
        self._waits = _waiting_places()
        self._begun_ns = time.process_time_ns()
        self._samples = 0
        self._gc_ns = self._gc_began_ns = 0

    def start(self) -> None:
        """Be ready for SIGUSR1; a node that starts up is left alone."""
        gc.callbacks.append(self._on_gc)
        signal.signal(signal.SIGPROF, self._note)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._write)
        for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2):
            signal.siginterrupt(number, False)

    def _note(self, _number: int, own: FrameType | None) -> None:
        main = threading.get_ident()
        for thread, frame in sys._current_frames().items():
            stack = own if thread == main else frame
            if stack is None or (stack.f_code.co_filename, stack.f_code.co_name) in self._waits:
                continue
            used = self._used_ns(thread)
            if used:
                self._stacks[_stack_of(stack)] += used
                self._threads[_name_of(thread)] += used
        self._samples += 1

    def _used_ns(self, thread: int) -> int:
        """CPU time of a thread since it was last asked for, in ns."""
        try:
            clock = self._clocks.get(thread) or time.pthread_getcpuclockid(thread)
            now = time.clock_gettime_ns(clock)
        except OSError:  # it ended
            return 0
        self._clocks[thread] = clock
        before = self._seen.get(thread)
        self._seen[thread] = now
        return 0 if before is None else max(0, now - before)

    def _on_gc(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._gc_began_ns = time.thread_time_ns()
        else:
            self._gc_ns += time.thread_time_ns() - self._gc_began_ns

    def _begin(self, _number: int, _frame: FrameType | None) -> None:
        self._stacks.clear()
        self._threads.clear()
        self._samples = self._gc_ns = 0
        self._begun_ns = time.process_time_ns()
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def _write(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0, 0)
        total_ns = time.process_time_ns() - self._begun_ns
        seen, self._stacks = self._stacks, Counter()  # a note may still be due
        stacks = [
            [[f"{_short(code.co_filename)}:{code.co_qualname}" for code, _ in stack], ns]
            for stack, ns in seen.items()
        ]
        lines: Counter[str] = Counter()
        for stack, ns in seen.items():
            code, line = stack[0]
            lines[f"{_short(code.co_filename)}:{line} {code.co_qualname}"] += ns
        document = {
            "cpu_ns": total_ns,
            "gc_ns": self._gc_ns,
            "samples": self._samples,
            "threads": dict(self._threads),
            "stacks": stacks,
            "lines": dict(lines.most_common(200)),
        }
        fresh = self._out.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.replace(self._out)


def _waiting_places() -> frozenset[tuple[str, str]]:
    """Where threads wait for work: (file, function)."""
    return frozenset(
        [
            (selectors.__file__, "select"),
            (concurrent.futures.thread.__file__, "_worker"),
            (threading.__file__, "wait"),
        ]
    )


def _stack_of(frame: FrameType) -> tuple[tuple[CodeType, int], ...]:
    """Innermost first; the line is kept of the innermost frame only."""
    found = [(frame.f_code, frame.f_lineno)]
    outer = frame.f_back
    while outer is not None and len(found) < _DEPTH:
        found.append((outer.f_code, 0))
        outer = outer.f_back
    return tuple(found)


def _name_of(thread: int) -> str:
    known = threading._active.get(thread)  # type: ignore[attr-defined]
    name = known.name if known is not None else "other"
    return name.rstrip("0123456789_-")


def _short(path: str) -> str:
    """A file's name below the repository, or below the folder of packages."""
    for root in (_ROOT + "/", *(folder + "/" for folder in sys.path if folder)):
        if path.startswith(root) and "site-packages" not in path.removeprefix(root):
            return path.removeprefix(root)
    return path.rpartition("site-packages/")[2]


def main() -> None:
    """Start the sampler, then the node."""
    out = Path(sys.argv[1])
    sys.argv = ["mgsnode", *sys.argv[2:]]
    Sampler(out).start()
    from mgsnode.cli.main import main as run_node

    run_node()


if __name__ == "__main__":
    main()
