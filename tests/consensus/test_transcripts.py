"""Every file in `transcripts/` is a scene from the protocol that can be read aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.consensus.transcript import Transcript

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    Transcript().run(path.read_text(encoding="utf-8"))


def test_every_rule_has_a_transcript() -> None:
    rules = {path.name[:3] for path in FILES}
    assert rules >= {f"R{number:02}" for number in range(1, 13)} - {"R05"}  # R05: test_journal
