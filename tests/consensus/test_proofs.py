"""R9, R10: a proof that is bent in any one place proves nothing (cases 5, 22)."""

from __future__ import annotations

import pytest

from consensus.effects import Dropped, Say
from consensus.events import Received
from consensus.messages import Signatures, encode_message, open_message
from consensus.signed import check_commits, open_entry
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed
from mgsnode.base.validators import bitmap_of, indices_of
from tests.consensus.transcript import Transcript

SCENE = """
members ABCDEFG, we are B
block X on genesis
ACDEF says STATUS 0 0
"""
N, F = 7, 2


def scene() -> Transcript:
    """Seven members, one block."""
    transcript = Transcript()
    transcript.run(SCENE)
    return transcript


def test_a_prepared_entry_holds_only_whole() -> None:
    transcript = scene()
    court = transcript.replica.court
    entry = transcript.speech.entry("X@0")
    assert open_entry(entry, court)[1] == transcript.book.blocks["X"].hash
    good = entry.prepares
    with pytest.raises(Malformed, match="bad proposal signature"):
        open_entry(entry._replace(primary_signature=bytes(64)), court)
    for place in range(len(good.signatures)):
        bent = (*good.signatures[:place], bytes(64), *good.signatures[place + 1 :])
        with pytest.raises(Malformed, match="bad PREPARE"):
            open_entry(entry._replace(prepares=good._replace(signatures=bent)), court)
    twice = Signatures(
        bitmap_of([0, *indices_of(good.bitmap)], N), (entry.primary_signature, *good.signatures)
    )
    with pytest.raises(Malformed, match="counts the primary twice"):
        open_entry(entry._replace(prepares=twice), court)


def test_a_certificate_holds_only_with_a_quorum_of_good_signatures() -> None:
    transcript = scene()
    court = transcript.replica.court
    good = transcript.speech.certificate("X", 0)
    assert good is not None and check_commits(good, court.members, court) is None
    for count in range(court.members.quorum):
        few = good._replace(
            bitmap=bitmap_of(list(good.indices())[:count], N), signatures=good.signatures[:count]
        )
        assert check_commits(few, court.members, court) == "certificate is below a quorum"
    bent = good._replace(signatures=(*good.signatures[:-1], bytes(64)))
    assert check_commits(bent, court.members, court) == "certificate has a bad signature"


def new_view(transcript: Transcript) -> bytes:
    """C's NEW-VIEW for view 2, which proposes X again."""
    lets = [f"let v{name} = VIEW-CHANGE 2 by {name} at genesis with X@0" for name in "ACDEF"]
    transcript.run("\n".join(lets))
    words = ["NEW-VIEW", "2", "of", "vA", "vC", "vD", "vE", "vF", "choosing", "X"]
    return transcript.speech.utter("C", words)


def test_a_new_views_proposals_are_the_primarys_own() -> None:
    transcript = scene()
    right = new_view(transcript)
    effects = transcript.replica.step(Received("C", right), transcript._now())
    assert not [e for e in effects if isinstance(e, Dropped)] and effects
    transcript = scene()
    message = open_message(new_view(transcript))
    bent = encode_message(Signed.NEW_VIEW, message.fields, message.signature, (bytes(64),))
    effects = transcript.replica.step(Received("C", bent), transcript._now())
    assert [e.why for e in effects if isinstance(e, Dropped)] == ["a proposal with a bad signature"]
    assert not [e for e in effects if isinstance(e, Say)]
