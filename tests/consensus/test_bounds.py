"""What one liar may make a replica keep is bounded (cases 34, 57, 58)."""

from __future__ import annotations

from consensus.effects import SetTimer
from consensus.events import Received
from consensus.replica import Replica
from mgsnode.base.limits import EARLY_MESSAGES_MAX
from tests.consensus.transcript import Transcript

SCENE = """
members ABCD then ABCDE, we are B
AC says STATUS 0 0
block X on genesis
block Y on X
"""


def scene() -> Transcript:
    """B, four members, two blocks."""
    transcript = Transcript()
    transcript.run(SCENE)
    return transcript


def flood(transcript: Transcript, name: str, words: str, values: range) -> Replica:
    """`name` says the same in many views."""
    for value in values:
        raw = transcript.speech.utter(name, words.format(value).split())
        transcript.replica.step(Received(name, raw), transcript._now())
    return transcript.replica


def test_early_messages_are_bounded_for_each_sender() -> None:
    transcript = scene()
    replica = flood(transcript, "C", "PREPARE {} X", range(1, 500))
    assert replica.sizes()["early"] == EARLY_MESSAGES_MAX
    replica = flood(transcript, "D", "COMPLAIN {} era 1", range(500))
    assert replica.sizes()["early"] == 2 * EARLY_MESSAGES_MAX


def test_early_messages_give_way_to_the_newest() -> None:
    transcript = scene()
    flood(transcript, "A", "PRE-PREPARE {} Y", range(4, 400, 4))
    flood(transcript, "A", "PRE-PREPARE {} Y", range(1))
    transcript.run("advanced X\n-> check Y from A")


def test_commits_of_many_views_are_bounded() -> None:
    replica = flood(scene(), "C", "COMMIT {} X", range(500))
    assert replica.sizes()["tallies"] <= 65


def test_commits_of_the_latest_views_are_those_that_count() -> None:
    transcript = scene()
    flood(transcript, "A", "COMMIT {} X", range(100))
    flood(transcript, "C", "COMMIT {} X", range(100))
    replica = flood(transcript, "D", "COMMIT {} X", range(99, 100))
    assert replica.sizes()["tallies"] <= 65
    raw = transcript.speech.utter("D", ["COMMIT", "99", "X"])
    assert replica.step(Received("D", raw), transcript._now()) != []  # decided: it is asked for


def test_complaints_about_many_views_are_one_for_each_member() -> None:
    replica = flood(scene(), "C", "COMPLAIN {}", range(500))
    assert replica.sizes()["complaints"] == 1
    assert replica.view == 0


def test_a_huge_early_message_is_not_kept() -> None:
    transcript = scene()
    raw = transcript.speech.utter("C", ["COMPLAIN", "0", "era", "1"])
    before = transcript.replica.sizes()["early"]
    transcript.replica.step(Received("C", raw), transcript._now())
    assert transcript.replica.sizes()["early"] == before + 1
    transcript.replica._core.keep_early("C", bytes(200_000))
    assert transcript.replica.sizes()["early"] == before + 1


def test_the_same_message_again_changes_nothing() -> None:  # case 58
    transcript = scene()
    raw = transcript.speech.utter("C", ["PREPARE", "0", "X"])
    transcript.replica.step(Received("C", raw), transcript._now())
    sizes = transcript.replica.sizes()
    for _ in range(10):
        assert transcript.replica.step(Received("C", raw), transcript._now()) == []
    assert transcript.replica.sizes() == sizes


def test_the_timer_starts_anew_when_a_quorum_has_left_and_only_then() -> None:  # R7
    transcript = scene()
    transcript.run(
        "let a2 = VIEW-CHANGE 2 by A at genesis\nlet c2 = VIEW-CHANGE 2 by C at genesis\n"
        "let d2 = VIEW-CHANGE 2 by D at genesis\n"
        "C says c2\n-> remember VIEW-CHANGE 2 at genesis\n-> say VIEW-CHANGE 2 at genesis"
    )
    started = []
    for name in "AD":  # with C's and ours a quorum of three, then one more
        raw = transcript.speech.utter(name, [f"{name.lower()}2"])
        effects = transcript.replica.step(Received(name, raw), transcript._now())
        started.append([e.name for e in effects if isinstance(e, SetTimer)].count("progress"))
    assert started == [1, 0]
