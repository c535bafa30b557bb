"""Facts of a failure as people read them. It knows no failure, only names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# These say what is wrong and are not named again: `outputs[0].amount: is missing`.
_SPEAKING: Final = ("field", "what", "problem", "why")


def told(facts: Mapping[str, object]) -> str:
    """The facts in one line: where and what is wrong, then the others with their names."""
    spoken = ": ".join(str(facts[name]) for name in _SPEAKING if facts.get(name))
    named = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in _SPEAKING)
    return f"{spoken} ({named})" if spoken and named else spoken or named
