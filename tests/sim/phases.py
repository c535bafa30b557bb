"""What a machine was at, or what was on its way, when something went wrong.

The simulator counts each fault and lie under one of these, so that a rule that was never
attacked in the middle is seen to be so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgsnode.base.keys import Signed

if TYPE_CHECKING:
    from tests.sim.node import SimNode

PHASES = (
    "off", "following", "catching up", "leaving", "installing", "complaining", "idle",
    "proposed", "prepared", "deciding",
)  # fmt: skip
KINDS = (
    "PRE_PREPARE", "PREPARE", "COMMIT", "COMPLAIN", "VIEW_CHANGE", "NEW_VIEW", "STATUS",
    "CHECKPOINT", "body", "blocks",
)  # fmt: skip


def phase_of(node: SimNode) -> str:
    """Where a machine stands in the protocol."""
    if not node.up:
        return "off"
    core = node.replica._core
    if core.fetching:
        return "catching up"
    if not core.may_bind():
        return "following"  # no member, or it has not heard enough others since its start
    if core.install is not None:
        return "installing"
    if not core.active:
        return "leaving"
    if core.deciding is not None:
        return "deciding"
    if core.complaint is not None:
        return "complaining"
    place = (core.view, core.next_height)
    if (Signed.COMMIT, *place) in core.said:
        return "prepared"
    voted = (Signed.PREPARE, *place) in core.said or (Signed.PRE_PREPARE, *place) in core.said
    return "proposed" if voted or place in core.proposals else "idle"


def kind_of(channel: str, kind: Signed | None) -> str:
    """What is on its way, by a name of `KINDS`; questions go with their answers."""
    return kind.name if kind is not None else channel.rstrip("?")
