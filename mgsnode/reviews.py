"""Reviews as a file tells them: stars, words, and how many readers found each helpful.

Title and text become one text, cut at a character where it is longer than the chain takes.
Whatever is wrong with a file is a `ConfigError` with line and column. This module knows the file,
not who wrote a review: the file is of another shop, and a replay pairs it up with its own lines.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from mgsnode.csvfile import bad, read_rows

COLUMNS: Final = ("rating", "title", "text", "helpful_votes")
TEXT_BYTES_MAX: Final = 2_000  # as `review_write` takes it
_RATING: Final = re.compile(r"[1-5]", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Opinion(NamedTuple):
    """One row of the file, checked."""

    row: int  # the line of the file, where the row ends
    rating: int  # 1 to 5
    text: str  # title and text, at most `TEXT_BYTES_MAX` bytes; may be empty
    helpful: int  # readers whom it helped


def read_reviews(path: Path) -> tuple[Opinion, ...]:
    """The reviews in the CSV file at `path`, as they stand there."""
    return tuple(read_rows(path, COLUMNS, _opinion))


def _opinion(line: int, cells: list[str]) -> Opinion:
    rating, title, text, helpful = cells
    if not _RATING.fullmatch(rating):
        raise bad(line, "rating", f"is not a whole number from 1 to 5: {rating[:32]!r}")
    if not _COUNT.fullmatch(helpful):
        raise bad(line, "helpful_votes", f"is not a whole number from 0: {helpful[:32]!r}")
    words = "\n".join(part for part in (title.strip(), text.strip()) if part)
    return Opinion(line, int(rating), cut(words, TEXT_BYTES_MAX), int(helpful))


def cut(text: str, bytes_max: int) -> str:
    """As much of `text` from its beginning as fits into `bytes_max` bytes of UTF-8."""
    return text.encode()[:bytes_max].decode(errors="ignore")
