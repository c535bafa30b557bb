"""What was measured on: commit and machine, without names of hosts or folders; and the yardstick.

The yardstick is one signature check on a message as long as a transfer's, in this process, by
the function that nodes use.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey, is_signed_by

HISTORY = Path(__file__).with_name("history.jsonl")
MESSAGE_BYTES = 250
_ROUNDS, _CHECKS = 15, 200


def check_us() -> float:
    """CPU-microseconds of one signature check: the median of 15 rounds of 200."""
    return round(statistics.median(checks_us(_CHECKS) for _ in range(_ROUNDS)), 1)


def checks_us(count: int) -> float:
    """CPU-microseconds of one of `count` signature checks."""
    key = SigningKey(digest(b"mgs/bench", b"check"))
    message = bytes(range(256))[:MESSAGE_BYTES]
    signature = key.sign(message)
    start = time.thread_time_ns()
    for _ in range(count):
        assert is_signed_by(key.public_key, message, signature)
    return (time.thread_time_ns() - start) / count / 1_000


def machine() -> dict[str, object]:
    """The processor, how many of it, and the Python."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _cpu_model() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """The short commit, with `+` where files differ from it; empty outside a repository."""
    folder = Path(__file__).parent.parent
    try:
        name = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "*.py")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


def remember(name: str, result: Any) -> None:
    """Appends one line to `history.jsonl`."""
    line = {
        "bench": name,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "result": result,
    }
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
