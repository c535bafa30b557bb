"""docs/failures.md says which test carries which case, and says it truly."""

from __future__ import annotations

from tests.cases import CASES, DOC, find, table


def test_the_table_is_what_the_tests_say() -> None:
    assert DOC.read_text(encoding="utf-8") == table(), "run: python -m tests.cases"


def test_most_cases_have_a_test() -> None:
    assert len(find()) > len(CASES) * 3 // 4
