"""Referral over JSON-RPC: from joining to the export, on a real ledger."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from typer.testing import CliRunner

from mgsnode.cli.main import make_app
from rpc.limits import RpcSettings
from rpc.server import RpcServer
from tests.rpc.devnode import ALICE, ARBITER, BOB, CAROL, DOLLAR, OPERATOR
from tests.rpc.wallet import Wallet

TERMS = "cd" * 32


async def open_shop(wallet: Wallet, commission_bp: int = 1_000) -> str:
    sent = await wallet.send(
        ALICE, "shop_open", OPERATOR, name="Teas", gateway="north", ship_within_ms=3_600_000,
        complete_after_ms=60_000, return_window_ms=2_000, holdback_bp=500,
        commission_bp=commission_bp, arbiter=wallet.text(ARBITER),
    )  # fmt: skip
    assert sent["status"] == "committed", sent
    return str(sent["txid"])


async def ok(wallet: Wallet, key: Any, kind: str, *cosigners: Any, **fields: object) -> str:
    sent = await wallet.send(key, kind, *cosigners, **fields)
    assert sent["status"] == "committed", sent
    return str(sent["txid"])


async def fund(wallet: Wallet, key: Any) -> None:
    outputs = [{"to": wallet.text(key), "amount": str(50 * DOLLAR), "memo": ""}]
    await ok(wallet, OPERATOR, "dollar_transfer", outputs=outputs)


async def final_order(wallet: Wallet, shop: str, distributor: str) -> str:
    """Ten dollars, paid by Bob, that have become final."""
    lines = [{"sku": "tea", "quantity": 2, "unit_price": str(5 * DOLLAR)}]
    order = await ok(wallet, BOB, "order_pay", shop=shop, lines=lines, distributor=distributor)
    await ok(wallet, ALICE, "order_ship", order=order, reference="")
    await ok(wallet, BOB, "order_complete", order=order)
    for _ in range(3):
        wallet.node.mine()
    return order


async def test_who_earns_what_on_an_order_that_is_not_final_yet(wallet: Wallet) -> None:
    carol = wallet.text(CAROL)
    await fund(wallet, CAROL)
    shop = await open_shop(wallet)
    await ok(wallet, CAROL, "refer_join", shop=shop)
    lines = [{"sku": "tea", "quantity": 2, "unit_price": str(5 * DOLLAR)}]
    order = await ok(wallet, BOB, "order_pay", shop=shop, lines=lines, distributor=carol)
    (sale,) = (await wallet.call("referral_list", order=order))["items"]
    assert (sale["status"], sale["distributor"], sale["promised"]) == ("open", carol, "1000000")
    later = await wallet.refusal("reward_order", order)
    assert later["code"] == -32001
    assert later["data"]["why"] == "the order is paid: nobody earned on it so far"
    owns = await ok(wallet, ALICE, "order_pay", shop=shop, lines=lines)  # brought by nobody
    assert (await wallet.call("referral_list", order=owns))["items"] == []
    none = await wallet.refusal("referral_list", order="ab" * 32)
    assert (none["code"], none["data"]["what"]) == (-32001, "order")
    two = await wallet.refusal("referral_list", order=order, shop=shop)
    assert two["data"]["problem"] == "at most one of distributor, shop and order"


async def test_a_sale_from_the_first_look_to_the_export(wallet: Wallet) -> None:
    carol, bob = wallet.text(CAROL), wallet.text(BOB)
    await fund(wallet, CAROL)
    shop = await open_shop(wallet)
    assert (await wallet.refusal("distributor_get", carol))["code"] == -32001
    await ok(wallet, CAROL, "refer_join", shop=shop)
    split = await wallet.call("order_split", shop=shop, total=str(10 * DOLLAR), distributor=carol)
    assert (split["fee"], split["commission"], split["level_1"], split["level_2"]) == (
        "50000", "1000000", "1000000", "0",
    )  # fmt: skip
    assert (split["holdback"], split["to_shop"]) == ("500000", "8950000")
    nobody = await wallet.call("order_split", shop=shop, total=str(10 * DOLLAR))
    assert (nobody["distributor"], nobody["commission"]) == (None, "0")

    order = await final_order(wallet, shop, carol)
    assert (await wallet.call("order_split", shop=shop, total="1", buyer=bob))[
        "distributor"
    ] == carol, "the binding that the order made"
    binding = await wallet.call("binding_get", bob, shop)
    assert (binding["distributor"], binding["share_bp"], binding["expired"]) == (
        carol, 1_000, False,
    )  # fmt: skip
    row = await wallet.call("order_get", order)
    assert (row["commission"], row["referred"]) == ("1000000", True)
    page = await wallet.call("distributor_get", carol)
    assert (page["level"], page["level_bps"], page["next"]["orders"]) == (0, 4_000, 5)
    assert page["ever"] == {
        "orders": 1, "buyers": 1, "volume": "10000000", "refunded": "0",
    }  # fmt: skip
    assert page["times_keys_replaced"] == 0

    back = [{"line": 0, "quantity": 1}]
    await ok(wallet, ALICE, "order_refund", order=order, lines=back, reason="stale")
    rows = (await wallet.call("commission_list", distributor=carol))["items"]
    assert [(r["kind"], r["amount"], r["paid"], r["owed"]) for r in rows] == [
        ("accrued", "1000000", "1000000", "0"),
        ("reversed", "-500000", "0", "500000"),
    ]
    first = await wallet.call("commission_list", order=order, limit=1)
    second = await wallet.call("commission_list", order=order, cursor=first["next_cursor"])
    assert first["items"] + second["items"] == rows
    assert second["next_cursor"] is None
    assert (await wallet.call("commission_list", shop=shop))["items"] == rows
    (partner,) = (await wallet.call("partner_list", carol))["items"]
    assert (partner["accrued"], partner["reversed"], partner["paid"], partner["owed"]) == (
        "1000000", "500000", "1000000", "500000",
    )  # fmt: skip
    assert (await wallet.call("partner_list", shop=shop))["items"] == [partner]

    for author in (CAROL, BOB):  # what the chain knows of a post's author, whatever it says
        lines = [{"order": order, "line": 0}]
        fields = {"text": "Good.", "disclosure": "none", "lines": lines, "batches": []}
        await ok(wallet, author, "post_write", **fields)
        (said,) = (await wallet.call("post_list", author=wallet.text(author)))["items"]
        assert said["is_distributor"] == (author is CAROL)

    (sale,) = (await wallet.call("referral_list"))["items"]
    assert (sale["depth"], sale["status"], sale["commission"], sale["paid"], sale["kept"]) == (
        1, "earned", "1000000", "1000000", "5000000",
    )  # fmt: skip
    assert set(sale["linked"].values()) == {False}
    assert sale["final_ms"] is not None and sale["rows"] == rows
    assert (await wallet.call("referral_list", distributor=carol))["items"] == [sale]
    assert (await wallet.call("referral_list", shop=shop))["items"] == [sale]
    assert (await wallet.call("referral_list", order=order))["items"] == [sale]


async def test_terms_agreements_and_storefronts_can_be_read(wallet: Wallet) -> None:
    carol = wallet.text(CAROL)
    await fund(wallet, CAROL)
    shop = await open_shop(wallet)
    program = await wallet.call("program_get", shop)
    assert program["campaign"] == {
        "campaign": None, "binding_ms": 30 * 86_400_000, "campaign_cap": None,
        "person_cap": None, "shop_cap": None,
    }  # fmt: skip
    await ok(wallet, CAROL, "refer_join", shop=shop)
    campaign = await ok(wallet, ALICE, "refer_terms", shop=shop, binding_ms=60_000, person_cap="7")
    program = await wallet.call("program_get", shop)
    assert (program["coming"]["campaign"], program["coming"]["person_cap"]) == (campaign, "7")
    assert program["distributors"] == 1
    await ok(
        wallet, CAROL, "refer_agree", ALICE, shop=shop, terms=TERMS, share_bp=2_000,
        notice_ms=60_000,
    )  # fmt: skip
    await ok(wallet, ALICE, "refer_cut", shop=shop, distributor=carol, share_bp=100)
    (partner,) = (await wallet.call("partner_list", carol))["items"]
    assert (partner["share_bp"], partner["agreement"]["coming_share_bp"]) == (2_000, 100)
    items = [{"shop": shop, "sku": "tea"}]
    front = await ok(wallet, CAROL, "refer_storefront", name="Tea time", items=items)
    shown = await wallet.call("storefront_get", front)
    assert (shown["items"], shown["countries"], shown["version"]) == (items, ["GB"], 1)
    for page in (
        await wallet.call("storefront_list"),
        await wallet.call("storefront_list", owner=carol),
    ):
        assert [row["storefront"] for row in page["items"]] == [front]
    assert (await wallet.refusal("storefront_get", shop))["code"] == -32001


async def test_a_recruit_shows_for_both(wallet: Wallet) -> None:
    await fund(wallet, CAROL)
    shop = await open_shop(wallet)
    await ok(wallet, BOB, "refer_join", shop=shop)
    await ok(wallet, CAROL, "refer_join", BOB, shop=shop, recruiter=wallet.text(BOB))
    page = await wallet.call("distributor_get", wallet.text(CAROL))
    assert page["recruited_by"] == [wallet.text(BOB)]
    recruits = await wallet.call("recruit_list", wallet.text(BOB))
    assert recruits["items"] == [{"distributor": wallet.text(CAROL)}]


async def test_what_is_not_there_is_said(wallet: Wallet) -> None:
    carol, none = wallet.text(CAROL), "00" * 32
    for method, params in (
        ("order_split", {"shop": none, "total": "5"}),
        ("binding_get", {"buyer": carol, "shop": none}),
        ("program_get", {"shop": none}),
        ("commission_list", {"order": none}),
    ):
        assert (await wallet.refusal(method, **params))["code"] == -32001, method
    for method, params in (
        ("commission_list", {}),
        ("commission_list", {"order": none, "shop": none}),
        ("partner_list", {"distributor": carol, "shop": none}),
        ("referral_list", {"distributor": carol, "shop": none}),
    ):
        assert (await wallet.refusal(method, **params))["code"] == -32602, method
    shop = await open_shop(wallet)
    assert (await wallet.refusal("order_split", shop=shop, total="0"))["code"] == -32602


async def test_who_earns_what_is_one_command(wallet: Wallet) -> None:
    carol = wallet.text(CAROL)
    await fund(wallet, CAROL)
    shop = await open_shop(wallet)
    await ok(wallet, CAROL, "refer_join", shop=shop)
    server = RpcServer(wallet.node, RpcSettings())
    await server.start()

    async def run(*words: str) -> Any:
        line = ["order", *words, "--rpc", f"http://127.0.0.1:{server.port}", "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, make_app(), line)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    lines = [{"sku": "tea", "quantity": 2, "unit_price": str(5 * DOLLAR)}]
    order = await ok(wallet, BOB, "order_pay", shop=shop, lines=lines, distributor=carol)
    promised = {"role": "distributor", "account": carol, "tokens": "0"}
    assert (await run("earns", order))["items"] == [
        {**promised, "what": "promised", "dollars": "1000000"}
    ]
    final = await final_order(wallet, shop, carol)
    said = await run("earns", final)
    assert said["items"][0] == {**promised, "what": "accrued", "dollars": "1000000"}
    rewards = (await wallet.call("reward_order", final))["parts"]
    assert [(r["role"], r["account"], r["tokens"]) for r in said["items"][1:]] == [
        (part["role"], part["account"], part["amount"]) for part in rewards
    ]
    assert {r["what"] for r in said["items"][1:]} <= {"so far"}
    assert (said["status"], said["fee"]) == ("final", "50000")
    cost = await run("cost", shop, "100")
    assert (cost["total"], cost["network_fee"]) == ("100000000", "500000")
    await server.stop()
