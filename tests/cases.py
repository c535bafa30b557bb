"""Which test covers which case of the list of failures. `python -m tests.cases` writes the table.

A test names its case as `case_40` in its name or `case 40`, `cases 42 and 43` in a comment, a
docstring or a transcript.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "docs" / "failures.md"
CASES = {
    1: "quorums for every n",
    2: "distinct signers of one statement",
    3: "say the same again after a crash",
    4: "never below a promised view",
    5: "a NEW-VIEW is checked whole",
    6: "nothing at or below the base",
    7: "proposed again: same hash, no clock",
    8: "stale timers",
    9: "a damaged store is loud",
    10: "one spelling",
    11: "one strict signature rule",
    12: "a lost quorum comes back quickly",
    13: "two proposals",
    14: "order of commits in a window (W > 1: later)",
    15: "a view change of one who is ahead",
    16: "applied once, in order",
    17: "no vote while behind",
    18: "what is prepared is carried",
    19: "no deadlock of prepared values",
    20: "the primary counts once",
    21: "one chain, era and type a signature",
    22: "every signature of a certificate",
    23: "more than f: stop",
    24: "evidence is a pure function",
    25: "reads with a certificate",
    26: "alone in timing out",
    27: "huge views",
    28: "a missing body",
    29: "censorship",
    30: "rotation",
    31: "a flooding client moves no view",
    32: "after idleness at once",
    33: "all restart together",
    34: "early messages are bounded",
    35: "decision and departure together",
    36: "the proposer checks itself",
    37: "slow building cuts the batch",
    38: "an old primary builds on the head",
    39: "power loss anywhere",
    40: "torn and bad records",
    41: "a failed sync ends the process",
    42: "old or deleted data",
    43: "two processes, one key",
    44: "a full disk",
    45: "pruning keeps what binds",
    46: "snapshots are bounded and checked",
    47: "closing after the last reader",
    48: "length bombs",
    49: "type tags",
    50: "indices out of range",
    51: "hashes computed, never believed",
    52: "proofs of another place",
    53: "a lying height",
    54: "a certified block that we refuse",
    55: "handshakes",
    56: "places for members",
    57: "useless floods",
    58: "replays",
    59: "half-open requests",
    60: "large batches",
    61: "strange ids",
    62: "amounts have one spelling",
    63: "HTTP's dark corners",
    64: "DNS rebinding",
    65: "submitting twice",
    66: "hash seeds",
    67: "no floats, clocks or chance in execution",
    68: "amounts near 2^64",
    69: "a bug while executing",
    70: "money adds up",
    71: "rules change at a height",
    72: "a block's time",
    73: "the set of that height",
    74: "a joiner is ready",
    75: "re-genesis",
    76: "a blocked loop shows",
    77: "no task is lost",
    78: "a stolen keystore",
}
_NAMED = re.compile(r"[Cc]ases? ((?:\d+)(?:(?:, | and | to )\d+)*)")


def find() -> dict[int, list[str]]:
    """{case: files that name it}, both rising."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("*")):
        if path.suffix not in (".py", ".txt") or path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8")
        numbers = set(re.findall(r"case_(\d+)", text))
        for match in _NAMED.finditer(text):
            numbers |= set(re.findall(r"\d+", match[1]))
        for number in numbers:
            if int(number) in CASES:
                found[int(number)].add(str(path.relative_to(ROOT / "tests")))
    return {number: sorted(found[number]) for number in sorted(found)}


def table() -> str:
    """The page."""
    found = find()
    rows = []
    for number, title in CASES.items():
        places = ", ".join(f"`{name}`" for name in found.get(number, ())) or "–"
        rows.append(f"| {number} | {title} | {places} |")
    return "\n".join(
        [
            "# Failures and the tests that carry their numbers",
            "",
            "Each case is a failure that happened to somebody or was proved possible.",
            "`python -m tests.cases` writes this table; a dash: no test names the case yet.",
            "",
            "| case | about | tests |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    DOC.write_text(table(), encoding="utf-8")
