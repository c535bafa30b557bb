"""Reads of the community family over a real ledger."""

from __future__ import annotations

from tests.rpc.devnode import ALICE, BOB, DOLLAR, OPERATOR
from tests.rpc.wallet import Wallet

DAY_MS = 86_400_000
ZERO = "00" * 32


async def test_a_demand_its_backers_and_what_is_open(wallet: Wallet) -> None:
    fields = {
        "category": "kitchen", "scene": "camping", "description": ZERO, "price": str(4 * DOLLAR),
        "quantity": 100, "lasts_ms": 30 * DAY_MS, "own": 10,
    }  # fmt: skip
    posted = await wallet.send(ALICE, "demand_post", **fields)
    demand = posted["txid"]
    await wallet.send(BOB, "demand_back", demand=demand, quantity=5)
    row = await wallet.call("demand_get", demand)
    assert (row["open"], row["counted"], row["backers"]) == (15, 0, 2)
    assert (await wallet.call("demand_open", "kitchen"))["open"] == 15
    assert (await wallet.call("demand_open", "kitchen", "office"))["open"] == 0
    assert [d["demand"] for d in (await wallet.call("demand_list"))["items"]] == [demand]
    assert (await wallet.call("demand_list", "garden"))["items"] == []
    await wallet.send(BOB, "demand_withdraw", demand=demand)
    backer = await wallet.call("backer_get", wallet.text(BOB))
    assert (backer["withdrawn"], backer["kept_bp"]) == (5, 0)
    assert backer["items"][0]["held"] == "0"
    assert (await wallet.call("offer_list", demand))["items"] == []
    still = (await wallet.send(BOB, "demand_post", **{**fields, "own": 1}))["txid"]
    await wallet.send(ALICE, "demand_withdraw", demand=demand)  # nobody asks for it any more
    for asked, found in (({}, [demand, still]), ({"open": True}, [still])):
        items = (await wallet.call("demand_list", category="kitchen", **asked))["items"]
        assert [d["demand"] for d in items] == found


async def test_a_community_and_its_posts(wallet: Wallet) -> None:
    founded = await wallet.send(ALICE, "community_found", name="campers", about=ZERO)
    community = founded["txid"]
    await wallet.send(BOB, "community_join", community=community)
    said = await wallet.send(
        BOB, "post_write", text="Warm.", disclosure="gift", lines=[], batches=[],
        community=community, scene="camping",
    )  # fmt: skip
    row = await wallet.call("community_get", community, wallet.text(BOB))
    assert (row["members"], row["posts"], row["member"]) == (2, 1, True)
    for filters in ({}, {"author": wallet.text(BOB)}, {"community": community}):
        (post,) = (await wallet.call("post_list", **filters))["items"]
        assert (post["post"], post["disclosure"], post["scene"]) == (
            said["txid"],
            "gift",
            "camping",
        )
    assert (await wallet.call("post_list", author=wallet.text(ALICE)))["items"] == []
    theirs = await wallet.send(
        ALICE, "post_write", text="12 High Street", disclosure="none", lines=[], batches=[],
        link="https://where",
    )  # fmt: skip
    for moderator in (BOB, OPERATOR):
        await wallet.send(moderator, "text_moderate", text=theirs["txid"], reason="private")
    (post,) = (await wallet.call("post_list", author=wallet.text(ALICE)))["items"]
    assert (post["text"], post["link"], post["hidden"]) == ("", "", "private")
    names = [c["name"] for c in (await wallet.call("community_list"))["items"]]
    assert names == ["campers"]
    wrong = await wallet.answer("demand_get", [ZERO])
    assert wrong["error"]["code"] == -32001
