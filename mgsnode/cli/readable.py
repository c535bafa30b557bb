"""Answers of the everyday commands as people read them: whole units and dates, not micro and ms.

Only what is shown to people; `--json` and `mgsnode query` give what the node said.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_INSTANTS_FROM_MS: Final = 10**12  # the year 2001; no span of time is as long
_MICRO: Final = 1_000_000


def readable(value: Any, sums: Collection[str]) -> Any:
    """`value` with the amounts under the names `sums` in units, and every `…_ms` as a time."""
    if isinstance(value, list):
        return [readable(item, sums) for item in value]
    if isinstance(value, dict):
        return {name: _reads(name, item, sums) for name, item in value.items()}
    return value


def units(micro: str) -> str:
    """Micro-units in units, with two to six decimals: 12500000 is 12.50."""
    whole, rest = divmod(abs(int(micro)), _MICRO)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro.startswith('-') else ''}{whole:,}.{decimals}"


def moment(ms: int) -> str:
    """An instant as a date in UTC, a span of time as days or seconds."""
    if ms >= _INSTANTS_FROM_MS:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if ms >= _DAY_MS and ms % _HOUR_MS == 0:
        return f"{ms / _DAY_MS:g} days"
    return f"{ms / 1_000:g} s"


def _reads(name: str, value: Any, sums: Collection[str]) -> Any:
    if name in sums and isinstance(value, str):
        return units(value)
    if name in sums and isinstance(value, dict):
        return readable(value, value.keys())
    if name.endswith("_ms") and type(value) is int:
        return moment(value)
    return readable(value, sums)
