"""Redemptions, their contests and quotes, as a wallet sees them."""

from __future__ import annotations

from typing import Any

from tests.rpc.devnode import ALICE, OPERATOR
from tests.rpc.wallet import Wallet


async def ask(wallet: Wallet, **over: Any) -> str:
    fields = {"gateway": "north", "amount": "20000000", "currency": "USD", "payout_hash": "07" * 32}
    sent = await wallet.send(ALICE, "dollar_redeem", **{**fields, **over})
    assert sent["status"] == "committed", sent
    return str(sent["txid"])


async def set_quote(wallet: Wallet, **over: Any) -> str:
    now_ms = wallet.node.ledger.head.header.timestamp_ms
    fields = {
        "currency": "GBP", "bid": "79000000", "ask": "81000000", "fee": 50, "size": "30000000",
        "expires_ms": now_ms + 3_600_000,
    }  # fmt: skip
    return str((await wallet.send(OPERATOR, "quote_set", **{**fields, **over}))["txid"])


async def test_a_contested_redemption_shows_what_was_said(wallet: Wallet) -> None:
    rid = await ask(wallet)
    shown = await wallet.call("redemption_get", rid)
    assert (shown["status"], shown["fiat"], shown["deposit"]) == ("pending", "2000", "200000")
    assert shown["contest"] is None and shown["quote"] is None
    await wallet.send(OPERATOR, "dollar_redeem_paid", redemption=rid, reference="01" * 32)
    await wallet.send(ALICE, "dollar_redeem_contest", redemption=rid, reason="nothing came")
    shown = await wallet.call("redemption_get", rid)
    assert shown["status"] == "contested"
    assert shown["contest"] == {"reason": "nothing came", "needed": 2, "votes": []}


async def test_the_deadline_of_a_frozen_holder_stands_still(wallet: Wallet) -> None:
    rid = await ask(wallet)
    before = await wallet.call("redemption_get", rid)
    assert before["due_live_ms"] and not before["stands_still"]
    alice = wallet.text(ALICE)
    await wallet.send(OPERATOR, "compliance_freeze", account=alice, case="0a" * 32)
    shown = await wallet.call("redemption_get", rid)
    assert (shown["due_live_ms"], shown["stands_still"]) == (None, True)
    await wallet.send(OPERATOR, "compliance_thaw", account=alice, case="0a" * 32)
    shown = await wallet.call("redemption_get", rid)
    assert shown["due_live_ms"] > before["due_live_ms"] and not shown["stands_still"]


async def test_quotes_that_count_are_listed_and_all_of_a_gateway(wallet: Wallet) -> None:
    first = await set_quote(wallet)
    second = await set_quote(wallet, bid="78000000")
    page = await wallet.call("quote_list")
    assert [(item["quote"], item["live"]) for item in page["items"]] == [(second, True)]
    page = await wallet.call("quote_list", gateway="north")
    assert [(item["quote"], item["live"]) for item in page["items"]] == [
        (first, False),
        (second, True),
    ]
    rid = await ask(wallet, currency="GBP", quote=second)
    shown = await wallet.call("redemption_get", rid)
    # 20 dollars at 78 pence less half a per cent: 15.522 pounds, rounded down to the penny
    assert (shown["quote"], shown["fiat"]) == (second, "1552")
    (item,) = (await wallet.call("quote_list"))["items"]
    assert (item["size"], item["left"]) == ("30000000", "10000000")
    assert (await wallet.call("quote_list", limit=1))["next_cursor"] is None


async def test_a_gateway_shows_its_credit_and_its_strikes(wallet: Wallet) -> None:
    shown = await wallet.call("gateway_get", "north")
    assert (shown["credit"], shown["strikes"]) == ("50000000000", 0)
    await wallet.send(OPERATOR, "gateway_credit", credit="60000000000")
    assert (await wallet.call("gateway_get", "north"))["credit"] == "60000000000"
