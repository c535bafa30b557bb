"""Times are live time in every answer, though a family that was paused has another clock."""

from __future__ import annotations

from typing import Any

from tests.rpc.devnode import ALICE, OPERATOR
from tests.rpc.wallet import Wallet

CASE = "ab" * 32


async def turn(wallet: Wallet, action: str, family: str) -> None:
    """The only gateway pauses a family, or lets it go on, with the next block."""
    height = wallet.node.ledger.head.header.height + 2
    args = {"family": family}
    proposed = await wallet.send(
        OPERATOR, "gov_propose", action=action, args=args, effective_height=height
    )
    assert proposed["status"] == "committed", proposed
    wallet.node.mine()


def live_ms(wallet: Wallet) -> int:
    with wallet.node.view() as view:
        return view.clock().live_ms


async def freeze_ends(wallet: Wallet) -> Any:
    freeze = (await wallet.call("account_get", wallet.text(ALICE)))["freeze"]
    return freeze and freeze["until_live_ms"]


async def test_a_freeze_ends_at_the_live_time_that_is_shown_after_a_pause(wallet: Wallet) -> None:
    await wallet.send(OPERATOR, "compliance_freeze", account=wallet.text(ALICE), case=CASE)
    at_first = await freeze_ends(wallet)
    await turn(wallet, "pause", "compliance")
    for _ in range(5):
        wallet.node.mine(60_000)
    await turn(wallet, "resume", "compliance")
    ends = await freeze_ends(wallet)
    assert ends >= at_first + 5 * 60_000
    wallet.node.mine()
    assert await freeze_ends(wallet) == ends, "it stands, now that the clock runs"


async def test_the_next_window_is_held_at_the_live_time_that_is_shown(wallet: Wallet) -> None:
    await turn(wallet, "pause", "clearing")
    for _ in range(5):
        wallet.node.mine(60_000)
    await turn(wallet, "resume", "clearing")
    coming = await wallet.call("window_next")
    while live_ms(wallet) + 60_000 < coming["due_live_ms"]:
        wallet.node.mine(60_000)
        assert (await wallet.call("window_next")) == {
            **coming, "height": wallet.node.ledger.head.header.height,
        }  # fmt: skip
    wallet.node.mine(coming["due_live_ms"] - live_ms(wallet) - 1)
    assert (await wallet.call("window_next"))["window"] == coming["window"]
    wallet.node.mine(1)
    assert (await wallet.call("window_next"))["window"] == coming["window"] + 1
