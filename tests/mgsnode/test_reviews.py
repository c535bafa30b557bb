"""The reviews file: what it says against a plain reading, and bad files by line and column."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from mgsnode.base.errors import ConfigError
from mgsnode.reviews import COLUMNS, TEXT_BYTES_MAX, cut, read_reviews

HEADER = ",".join(COLUMNS)
SHIPPED = Path(str(files("mgsnode").joinpath("data", "reviews.csv")))


def write(folder: Path, text: str) -> Path:
    path = folder / "reviews.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_that_travels_with_the_package_is_read_whole() -> None:
    opinions = read_reviews(SHIPPED)
    with SHIPPED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(opinions) == len(rows) == 700
    assert sum(each.helpful for each in opinions) == 1_750
    for opinion, row in zip(opinions, rows, strict=True):
        assert (opinion.rating, opinion.helpful) == (int(row["rating"]), int(row["helpful_votes"]))
        assert opinion.text.startswith(row["title"].strip())
        assert opinion.text.endswith(row["text"].strip())


def test_a_long_text_is_cut_at_a_character(tmp_path: Path) -> None:
    text = "é" * 1_500
    (opinion,) = read_reviews(write(tmp_path, f"{HEADER}\n4,T,{text},0\n"))
    assert opinion.text == "T\n" + "é" * 999
    assert len(opinion.text.encode()) == TEXT_BYTES_MAX
    assert cut("aé", 2) == "a" and cut("a😀", 4) == "a" and cut("a😀", 5) == "a😀"


def test_words_may_be_missing_and_columns_stand_anywhere(tmp_path: Path) -> None:
    path = write(tmp_path, "x,helpful_votes,text,title,rating\n1,7,,,2\n1,0,b,a,5\n")
    assert [each[1:] for each in read_reviews(path)] == [(2, "", 7), (5, "a\nb", 0)]


BAD = {
    "": "is empty",
    HEADER: "has no rows",
    "rating,title,text": "column missing: helpful_votes",
    f"{HEADER}\n6,a,b,0": "line 2: rating: is not a whole number from 1 to 5",
    f"{HEADER}\n4.0,a,b,0": "line 2: rating",
    f"{HEADER}\n4,a,b,-1": "line 2: helpful_votes: is not a whole number",
    f"{HEADER}\n4,a,b,0\n4,a,b": "line 3: has 3 columns, not 4",
    f'{HEADER}\n4,"a,b,0': "not CSV",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_is_named_by_line_and_column(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=BAD[text]):
        read_reviews(write(tmp_path, text))
