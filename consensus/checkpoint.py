"""CHECKPOINT: Q members say that a height is durable with them; then it is stable.

A stable height controls pruning and which roots snapshots are offered for. It is not the low
mark of voting: that is the last decided height, which its certificate proves (R11).
"""

from __future__ import annotations

from consensus.core import Core
from consensus.messages import Checkpoint, Message
from consensus.quorum import Tally
from mgsnode.base.codec import encode
from mgsnode.base.keys import Signed
from mgsnode.base.limits import CHECKPOINT_HEIGHTS

_HEIGHTS_MAX = 4  # checkpoints counted at once; older ones are superseded


def say_checkpoint(core: Core) -> None:
    """Says that a multiple of K is durable here."""
    header = core.head.header
    if header.height % CHECKPOINT_HEIGHTS or core.me is None or not core.may_bind():
        return
    content = Checkpoint(core.era, header.height, core.head.hash, header.state_root, core.me)
    core.say(Signed.CHECKPOINT, encode(content))


def on_checkpoint(core: Core, sender: str, message: Message) -> None:
    """Counts a member's word for a height; Q equal ones make it stable."""
    content = message.content
    assert isinstance(content, Checkpoint)
    near = core.head.header.height + CHECKPOINT_HEIGHTS
    if content.height % CHECKPOINT_HEIGHTS or not core.stable < content.height <= near:
        core.drop(sender, "CHECKPOINT", "not a checkpoint that is awaited")
        return
    tally = core.checkpoints.setdefault(content.height, Tally())
    tally.add(content.member, content.hash, message.signature)
    if tally.quorum_hash(core.members.quorum) is not None:
        core.stable = content.height
    for height in sorted(core.checkpoints):
        if height <= core.stable or len(core.checkpoints) > _HEIGHTS_MAX:
            del core.checkpoints[height]
