"""docs/abuse.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_abuse_names_a_test_that_exists() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "abuse.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| abuse", "| ---"))
    ]
    assert len(rows) > 40
    for row in rows:
        found = NAMED.search(row)
        assert found is not None, row
        source = (ROOT / found[1]).read_text(encoding="utf-8")
        assert f"def {found[2]}(" in source, row
