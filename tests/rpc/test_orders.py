"""Reads of orders and shops over a real ledger: terms, figures, disputes, lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpc.methods.orders import _shop_json
from state.tx.shops import SHOP
from tests.rpc.devnode import ALICE, ARBITER, BOB, CAROL, OPERATOR
from tests.rpc.wallet import Wallet
from tests.state.scenarios.base import SELLER
from tests.state.scenarios.orders import terms_fields
from tests.state.test_sales import PARAMS, SHORT, opened, world

DAY_MS = 86_400_000
LINES = [{"sku": "L1", "quantity": 2, "unit_price": "3000000"}]


def terms(wallet: Wallet, **over: Any) -> dict[str, Any]:
    given = {
        "ship_within_ms": DAY_MS, "complete_after_ms": 30 * DAY_MS, "return_window_ms": 30 * DAY_MS,
        "holdback_bp": 500, "commission_bp": 0, "arbiter": wallet.text(ARBITER),
    }  # fmt: skip
    return {**given, **over}


async def open_shop(wallet: Wallet) -> str:
    fields = {"name": "Lamps", "gateway": "north", **terms(wallet)}
    sent = await wallet.send(BOB, "shop_open", OPERATOR, **fields)
    assert sent["status"] == "committed"
    return str(sent["txid"])


async def done(wallet: Wallet, key: Any, kind: str, **fields: Any) -> str:
    sent = await wallet.send(key, kind, **fields)
    assert sent["status"] == "committed", sent
    return str(sent["txid"])


async def test_a_dispute_is_followed_from_its_order_and_by_its_arbiter(wallet: Wallet) -> None:
    shop = await open_shop(wallet)
    fields = {"country": "FR", "currency": "EUR"}
    order = await done(wallet, ALICE, "order_pay", shop=shop, lines=LINES, **fields)
    await done(wallet, BOB, "order_ship", order=order, reference="p7")
    row = await wallet.call("order_get", order)
    assert (row["dispute"], row["country"], row["referred"]) == (None, "FR", False)
    await done(wallet, ALICE, "order_dispute", order=order, reason="late")
    outputs = [{"to": wallet.text(ARBITER), "amount": "1000000", "memo": ""}]
    await done(wallet, ALICE, "dollar_transfer", outputs=outputs)
    [asked] = (await wallet.call("order_list", arbiter=wallet.text(ARBITER)))["items"]
    assert (asked["order"], asked["status"]) == (order, "disputed")
    await done(wallet, ARBITER, "order_rule", order=order, buyer_bp=5_000)
    row = await wallet.call("order_get", order)
    assert (row["status"], row["ruled"], row["to_shop"]) == ("ruled", "3000000", "2985000")
    await done(wallet, ALICE, "dollar_transfer", outputs=outputs)  # a block more
    row = await wallet.call("order_get", order)
    assert (row["status"], row["ruled"], row["to_shop"]) == ("final", "3000000", "2985000")
    assert row["dispute"]["outcome"] == "split" and row["dispute"]["buyer_bp"] == 5_000
    shown = await wallet.call("shop_get", shop)
    assert (shown["disputes"], shown["disputes_lost"]) == (1, 0)
    assert (shown["countries"], shown["currencies"]) == ({"FR": 1}, {"EUR": 1})
    assert shown["unreferred"] == {"paid": "6000000", "refunded": "3000000"}
    assert shown["referred"] == {"paid": "0", "refunded": "0"}
    assert shown["final_volume"] == "3000000"


async def test_announced_terms_and_what_is_vouched_for_are_shown(wallet: Wallet) -> None:
    shop = await open_shop(wallet)
    assert (await wallet.call("shop_get", shop))["coming"] is None
    await done(wallet, BOB, "shop_terms", shop=shop, **terms(wallet, holdback_bp=900))
    await done(wallet, OPERATOR, "shop_vouch", shop=shop, sum="7000000")
    shown = await wallet.call("shop_get", shop)
    assert (shown["holdback_bp"], shown["coming"]["holdback_bp"]) == (500, 900)
    assert shown["vouched"] == "7000000"
    [listed] = (await wallet.call("shop_list"))["items"]
    assert listed["coming"]["arbiter"] == wallet.text(ARBITER)


def test_terms_are_shown_as_they_hold_from_the_end_of_their_notice() -> None:
    """By the clock, though the row is written only with the next announcement."""
    w = world()
    shop = opened(w)
    fields = terms_fields(shop, **{**SHORT, "holdback": 900})
    assert w.do(SELLER, "shop_terms", *fields).code == 0
    row = w.draft.get(SHOP, shop)
    assert row is not None
    shown = [_shop_json(SimpleNamespace(reader=w.draft), shop, row, "tmgs")]  # type: ignore[arg-type]
    w.pass_ms(PARAMS["shop_notice_ms"])
    shown += [_shop_json(SimpleNamespace(reader=w.draft), shop, row, "tmgs")]  # type: ignore[arg-type]
    assert [each["holdback_bp"] for each in shown] == [2_000, 900]
    assert [each["coming"] is None for each in shown] == [False, True]


@pytest.mark.parametrize("given", [{}, {"buyer": 1, "shop": 1}, {"arbiter": 1, "batch": 1}])
async def test_orders_are_listed_by_one_thing(wallet: Wallet, given: dict[str, Any]) -> None:
    values = {"buyer": wallet.text(CAROL), "arbiter": wallet.text(CAROL)}
    asked = {name: values.get(name, "00" * 32) for name in given}
    assert (await wallet.refusal("order_list", **asked))["code"] == -32602


async def pages(wallet: Wallet, **asked: Any) -> list[list[str]]:
    """The orders of each page, to the end."""
    found: list[list[str]] = []
    cursor = None
    while True:
        page = await wallet.call("order_list", **asked, cursor=cursor)
        found.append([item["order"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_a_shop_a_buyer_and_an_arbiter_see_what_waits_for_them(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(wallet)
    orders = [await done(wallet, ALICE, "order_pay", shop=shop, lines=LINES) for _ in range(7)]
    for place in (0, 1, 2, 3, 5):
        await done(wallet, BOB, "order_ship", order=orders[place], reference="")
    for place in (1, 3):
        await done(wallet, ALICE, "order_dispute", order=orders[place], reason="late")
    outputs = [{"to": wallet.text(ARBITER), "amount": "1000000", "memo": ""}]
    await done(wallet, ALICE, "dollar_transfer", outputs=outputs)
    await done(wallet, ARBITER, "order_rule", order=orders[1], buyer_bp=0)
    to_ship, to_confirm = [orders[4], orders[6]], [orders[0], orders[2], orders[5]]
    mine, judge = wallet.text(ALICE), wallet.text(ARBITER)
    assert await pages(wallet, shop=shop, status="paid") == [to_ship]
    assert await pages(wallet, shop=shop, status="paid", newest=True) == [to_ship[::-1]]
    assert await pages(wallet, buyer=mine, status="shipped", limit=2) == [
        to_confirm[:2],
        to_confirm[2:],
    ]
    assert await pages(wallet, arbiter=judge, status="disputed") == [[orders[3]]]
    assert await pages(wallet, arbiter=judge) == [[orders[1], orders[3]]]
    assert await pages(wallet, shop=shop, status="cancelled") == [[]]
    # A page looks at so many and goes on, even where it found none; null is the end alone.
    monkeypatch.setattr("rpc.lists.LIST_SCAN_MAX", 2)
    assert await pages(wallet, shop=shop, status="paid") == [[], [], to_ship[:1], to_ship[1:]]
    assert await pages(wallet, shop=shop, status="paid", newest=True, limit=1) == [
        to_ship[:0:-1], to_ship[:1], [], [],
    ]  # fmt: skip
    assert await pages(wallet, shop=shop) == [orders[:2], orders[2:4], orders[4:6], orders[6:]]
    refused = await wallet.refusal("order_list", shop=shop, status="open")
    assert (refused["code"], refused["data"]["field"]) == (-32602, "status")
    assert "'paid', 'shipped'" in str(refused)
