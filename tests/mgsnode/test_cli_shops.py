"""`mgsnode shop, order, demand, community …`: what is typed becomes fields that the chain takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsnode.base.address import address_text
from mgsnode.cli import sending
from mgsnode.cli.main import make_app
from state.registry import standard_registry
from tests.mgsnode.fake_node import fake_node

ID = "ab" * 32
WHO = address_text(bytes(32), "tmgs")
DAY_MS = 86_400_000


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    seen: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def keep(kind: str, fields: dict[str, Any], **how: Any) -> None:
        seen.append((kind, fields, how))

    monkeypatch.setattr(sending, "_send", keep)
    return seen


TERMS = {
    "ship_within_ms": 2 * DAY_MS, "complete_after_ms": 21 * DAY_MS,
    "return_window_ms": 14 * DAY_MS, "holdback_bp": 500, "commission_bp": 0, "arbiter": WHO,
}  # fmt: skip
COMMANDS: list[tuple[str, str, dict[str, Any]]] = [
    (f"shop open Teas --gateway g1 --arbiter {WHO} --ship 2 --holdback-bp 500", "shop_open",
     {"name": "Teas", "gateway": "g1", **TERMS}),
    (f"shop terms {ID} --arbiter {WHO} --ship 2 --holdback-bp 500", "shop_terms",
     {"shop": ID, **TERMS}),
    (f"shop vouch {ID} 12.50", "shop_vouch", {"shop": ID, "sum": "12500000"}),
    (f"shop vouch {ID} 0", "shop_vouch", {"shop": ID, "sum": "0"}),
    (f"order pay {ID} --line mug:2:1.25 --line a:b:1:3:{ID} --country FR --led-by {ID}",
     "order_pay",
     {"shop": ID, "country": "FR", "led_by": ID,
      "lines": [{"sku": "mug", "quantity": 2, "unit_price": "1250000"},
                {"sku": "a:b", "quantity": 1, "unit_price": "3000000", "batch": ID}]}),
    (f"order pay {ID} --line a:b:c:2:3", "order_pay",
     {"shop": ID, "lines": [{"sku": "a:b:c", "quantity": 2, "unit_price": "3000000"}]}),
    (f"order ship {ID} --reference p7", "order_ship", {"order": ID, "reference": "p7"}),
    (f"order dispatch {ID} --carrier {WHO}", "order_dispatch",
     {"order": ID, "reference": "", "carrier": WHO}),
    (f"order deliver {ID}", "order_deliver", {"order": ID, "reference": ""}),
    (f"order extend {ID}", "order_extend", {"order": ID}),
    (f"order complete {ID}", "order_complete", {"order": ID}),
    (f"order cancel {ID}", "order_cancel", {"order": ID}),
    (f"order refund {ID} --line 0:2 --line 3:1 --reason late", "order_refund",
     {"order": ID, "lines": [{"line": 0, "quantity": 2}, {"line": 3, "quantity": 1}],
      "reason": "late"}),
    (f"order dispute {ID} --reason counterfeit", "order_dispute",
     {"order": ID, "reason": "counterfeit"}),
    (f"order withdraw {ID}", "order_withdraw", {"order": ID}),
    (f"demand post shawls --scene winter --description {ID} --price 30 --quantity 5 --own 2",
     "demand_post",
     {"category": "shawls", "scene": "winter", "description": ID, "price": "30000000",
      "quantity": 5, "own": 2, "lasts_ms": 30 * DAY_MS}),
    (f"demand back {ID} --quantity 3", "demand_back", {"demand": ID, "quantity": 3}),
    (f"demand withdraw {ID}", "demand_withdraw", {"demand": ID}),
    (f"demand offer {ID} --shop {ID} --price 29.5 --quantity 9 --terms {ID}", "demand_offer",
     {"demand": ID, "shop": ID, "price": "29500000", "quantity": 9, "terms": ID}),
    (f"community found Wool --about {ID}", "community_found", {"name": "Wool", "about": ID}),
    (f"community join {ID}", "community_join", {"community": ID}),
    (f"community leave {ID}", "community_leave", {"community": ID}),
    (f"community say warm --community {ID} --line {ID}:2 --scene home", "post_write",
     {"text": "warm", "disclosure": "none", "lines": [{"order": ID, "line": 2}], "batches": [],
      "community": ID, "scene": "home"}),
    (f"order rule {ID} --buyer-bp 4000", "order_rule", {"order": ID, "buyer_bp": 4_000}),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "kind", "fields"), COMMANDS, ids=lambda x: str(x)[:30])
def test_each_command_sends_its_kind(
    sent: list[Any], typed: str, kind: str, fields: dict[str, Any]
) -> None:
    done = CliRunner().invoke(make_app(), [*typed.split(), "--dev-key", "anna", "--json"])
    assert done.exit_code == 0, done.output
    [(was, given, how)] = sent
    assert (was, given) == (kind, fields)
    assert how["dev_key"] == "anna" and how["json"] is True
    standard_registry().kinds[kind].fields.from_json(given, "tmgs")


@pytest.mark.parametrize(
    "typed",
    [f"order pay {ID} --line mug:2", f"order pay {ID} --line mug:two:3", f"order pay {ID}",
     f"order refund {ID} --line 0", f"order refund {ID} --line x:1", "order ship", "order",
     "community say warm --line 3", f"demand back {ID}"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_usage_error(sent: list[Any], typed: str) -> None:
    done = CliRunner().invoke(make_app(), typed.split())
    assert done.exit_code == 2 and sent == []


def test_both_groups_are_in_the_help() -> None:
    answer = CliRunner().invoke(make_app(), ["--help"]).output
    assert "shop" in answer and "order" in answer


async def test_orders_are_listed_over_pages_that_are_short() -> None:
    asked: list[dict[str, Any]] = []

    def order_list(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params)
        place = int(params["cursor"] or 0)
        items = [] if place == 1 else [{**ORDER, "order": f"{place:064x}"}]
        return {"height": 9, "items": items, "next_cursor": str(place + 1) if place < 3 else None}

    async with fake_node({"order_list": order_list}) as url:
        command = ["order", "list", "--shop", ID, "--status", "paid", "--rpc", url]
        whole = await asyncio.to_thread(CliRunner().invoke, make_app(), [*command, "--json"])
        part = await asyncio.to_thread(CliRunner().invoke, make_app(), [*command, "--limit", "2"])
    said = json.loads(whole.output)
    assert [item["order"][-1] for item in said["items"]] == ["0", "2", "3"]
    assert said["more"] is False and said["items"][0]["total"] == "87000000"
    assert asked[0] == {"shop": ID, "status": "paid", "newest": False, "cursor": None, "limit": 50}
    assert [params["limit"] for params in asked[4:]] == [2, 1, 1]
    assert "87.00" in part.output and "2026-11-25" in part.output


ORDER = {
    "status": "paid", "total": "87000000", "refunded": "0", "buyer": WHO, "fee": "1",
    "paid_ms": 1_795_600_000_000, "due_live_ms": None,
}  # fmt: skip
