"""A frozen account as a wallet sees it."""

from __future__ import annotations

from tests.rpc.devnode import ALICE, BOB, OPERATOR
from tests.rpc.test_methods import payment
from tests.rpc.wallet import Wallet

CASE = "ab" * 32


async def test_a_freeze_shows_its_case_and_its_end_and_is_gone_when_lifted(wallet: Wallet) -> None:
    alice = wallet.text(ALICE)
    before = await wallet.call("account_get", alice)
    assert (before["frozen"], before["freeze"]) == (False, None)
    await wallet.send(OPERATOR, "compliance_freeze", account=alice, case=CASE)
    frozen = await wallet.call("account_get", alice)
    assert frozen["frozen"] is True
    assert (frozen["freeze"]["case"], frozen["freeze"]["extended"]) == (CASE, False)
    assert frozen["freeze"]["until_live_ms"] > wallet.node.ledger.head.header.timestamp_ms
    sent = await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "1"))
    assert (sent["status"], sent["reason"]) == ("refused", "ACCOUNT_FROZEN")
    await wallet.send(OPERATOR, "compliance_thaw", account=alice, case=CASE)
    assert (await wallet.call("account_get", alice))["freeze"] is None
