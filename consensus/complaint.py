"""Our own complaint about the view: one standing reason, revocable, never binding (R7)."""

from __future__ import annotations

from consensus.core import Core
from consensus.messages import REASON_CHARS_MAX, complain_fields
from mgsnode.base.keys import Signed


def complain(core: Core, reason: str) -> None:
    """Says that we want to leave this view, once; resent each second while it stands."""
    if core.me is None or core.demoted is not None or core.complaint is not None:
        return
    core.complaint = reason[:REASON_CHARS_MAX]
    say_complaint(core)


def say_complaint(core: Core) -> None:
    """Sends our standing complaint (again)."""
    assert core.me is not None and core.complaint is not None
    fields = complain_fields(core.era, core.view, core.me)
    core.say(Signed.COMPLAIN, fields, tail=core.complaint)
