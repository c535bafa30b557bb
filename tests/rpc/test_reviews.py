"""Reads of the reviews family over a real ledger."""

from __future__ import annotations

from typing import Any

from tests.rpc.devnode import ALICE, ARBITER, BOB, DOLLAR, OPERATOR
from tests.rpc.wallet import Wallet

MINUTE_MS = 60_000


async def shipped(wallet: Wallet) -> tuple[str, str]:
    """(shop, order): Bob's shop has shipped a mug to Alice."""
    opened = await wallet.send(
        BOB, "shop_open", OPERATOR, name="Teas", gateway="north", ship_within_ms=MINUTE_MS,
        complete_after_ms=MINUTE_MS, return_window_ms=MINUTE_MS, holdback_bp=0, commission_bp=0,
        arbiter=wallet.text(ARBITER),
    )  # fmt: skip
    line = {"sku": "mug", "quantity": 1, "unit_price": str(3 * DOLLAR)}
    paid = await wallet.send(ALICE, "order_pay", shop=opened["txid"], lines=[line])
    await wallet.send(BOB, "order_ship", order=paid["txid"], reference="parcel")
    return opened["txid"], paid["txid"]


async def test_a_review_its_history_and_the_shops_rating(wallet: Wallet) -> None:
    shop, order = await shipped(wallet)
    before = await wallet.call("order_get", order)
    assert before["review_until_live_ms"] - before["shipped_ms"] == 60 * 24 * 3_600_000
    assert [line["reviewed"] for line in before["lines"]] == [False]
    written = await wallet.send(
        ALICE, "review_write", order=order, line=0, rating=4, text="A good mug.",
        disclosure="gift", service_rating=5,
    )  # fmt: skip
    review = written["txid"]
    after = await wallet.call("order_get", order)
    assert [line["reviewed"] for line in after["lines"]] == [True]
    await wallet.send(BOB, "review_answer", review=review, text="Thank you.")
    await wallet.send(ALICE, "review_follow", review=review, text="It broke.", rating=2)
    await wallet.send(BOB, "review_vote", review=review, helpful=False)
    shown = await wallet.call("review_get", review)
    assert (shown["rating"], shown["service_rating"], shown["disclosure"]) == (2, 5, "gift")
    assert (shown["votes"], shown["unhelpful"], shown["hidden"]) == (1, "0", None)
    assert [(e["by"], e["rating"]) for e in shown["history"]] == [("shop", None), ("author", 2)]
    for filters in ({"shop": shop}, {"author": wallet.text(ALICE)}, {"order": order}):
        (one,) = (await wallet.call("review_list", **filters))["items"]
        assert one["review"] == review
    author = await wallet.call("author_get", wallet.text(ALICE))
    assert (author["reviews"], author["votes"], author["heard"]) == (1, 1, [])
    rating = await wallet.call("rating_get", shop)
    assert (rating["milli_stars"], rating["reviews"]) == (3_500, 1)  # nobody has served Alice yet
    assert (rating["stars"], rating["service_milli_stars"]) == ([0, 1, 0, 0, 0], 5_000)


async def test_what_cannot_be_read_is_said(wallet: Wallet) -> None:
    shop, _ = await shipped(wallet)
    leaders = await wallet.call("leader_list")
    assert (leaders["period"], leaders["items"]) == (leaders["running"], [])
    missing: list[tuple[str, Any, int]] = [
        ("review_get", {"review": shop}, -32001),
        ("rating_get", {"shop": "00" * 32}, -32001),
        ("review_list", {}, -32602),
        ("review_list", {"shop": shop, "author": wallet.text(ALICE)}, -32602),
    ]
    for method, params, code in missing:
        assert (await wallet.refusal(method, **params))["code"] == code


async def test_what_an_order_costs_in_all(wallet: Wallet) -> None:
    shop, _ = await shipped(wallet)
    cost = await wallet.call("order_cost", shop=shop, total=str(100 * DOLLAR))
    assert (cost["network_fee"], cost["exchange"], cost["commission"]) == ("500000", "0", "0")
    fees = int(cost["transaction_fees"])
    assert cost["cost"] == str(500_000 + fees)
    assert 50 <= cost["cost_bp"] < 60  # a card takes some three hundred
    fields = {
        "currency": "GBP", "bid": "78000000", "ask": "80000000", "fee": 10,
        "size": str(1_000 * DOLLAR), "expires_ms": (await wallet.call("node_status"))[
            "block_time_ms"] + 3_600_000,
    }  # fmt: skip
    unquoted = {"shop": shop, "total": str(100 * DOLLAR), "gateway": "north", "currency": "GBP"}
    assert (await wallet.call("order_cost", **unquoted))["exchange"] is None
    nowhere = {**unquoted, "gateway": "nowhere"}
    assert (await wallet.refusal("order_cost", **nowhere))["data"]["what"] == "gateway"
    by_nobody = {**unquoted, "gateway": None}  # not free: nobody said what it costs
    assert (await wallet.call("order_cost", **by_nobody))["exchange"] is None
    await wallet.send(OPERATOR, "quote_set", **fields)
    quoted = await wallet.call("order_cost", **unquoted)
    # half the spread is 1 of 79, and ten basis points of fee
    assert (quoted["exchange_bp"], quoted["exchange"]) == (126 + 10, "1360000")
    beyond = {**unquoted, "total": str(1_001 * DOLLAR)}
    assert (await wallet.call("order_cost", **beyond))["exchange"] is None  # the quote's size
    assert (await wallet.refusal("order_cost", shop=shop, total="0"))["code"] == -32602
    small = await wallet.call("order_cost", shop=shop, total="5000")
    assert small["network_fee"] == "5000"  # the minimum, at most all of it
