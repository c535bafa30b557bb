"""Each method on a real ledger, each answer held to the schema that `rpc.discover` shows."""

import asyncio
import json
import re
from typing import Any

import pytest

from mgsnode.base.block import Header, check_certificate, make_certificate
from mgsnode.base.hashing import list_path_root, signed_hash_of
from mgsnode.base.transaction import open_transaction, sign_transaction
from state.proof import check_proof, proof_from_json
from state.registry import standard_registry
from tests.rpc.devnode import ALICE, ARBITER, BOB, CAROL, DOLLAR, OPERATOR, address, key_of
from tests.rpc.wallet import METHODS, Wallet


def payment(wallet: Wallet, to: Any, amount: str) -> dict[str, object]:
    return {"outputs": [{"to": wallet.text(to), "amount": amount, "memo": "rent"}]}


async def test_a_wallet_that_knows_only_ed25519_can_pay(wallet: Wallet) -> None:
    sent = await wallet.send(ALICE, "dollar_transfer", **payment(wallet, CAROL, "2500000"))
    assert (sent["status"], sent["height"]) == ("committed", 1)
    assert (await wallet.call("account_get", wallet.text(CAROL)))["dollar"] == "2500000"
    status = await wallet.call("tx_status", sent["txid"])
    assert (status["status"], status["code"], status["height"], status["index"]) == (
        "committed", 0, 1, 0,
    )  # fmt: skip
    assert status["events"][0]["values"] == {
        "sender": wallet.text(ALICE), "to": wallet.text(CAROL), "amount": "2500000", "memo": "rent",
    }  # fmt: skip
    account = await wallet.call("account_get", wallet.text(ALICE))
    assert account["nonces"] == {"0": 1}
    assert int(account["dollar"]) == 1_000 * DOLLAR - 2_500_000 - int(status["fee"])


async def test_an_overspent_transfer_is_a_refused_result_and_costs_its_fee(wallet: Wallet) -> None:
    sent = await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "2000000000"))
    assert sent == {
        "txid": sent["txid"], "status": "refused", "height": 1, "code": 101,
        "reason": "INSUFFICIENT_BALANCE",
    }  # fmt: skip
    assert (await wallet.call("tx_status", sent["txid"]))["status"] == "refused"


async def test_tx_encode_fills_every_default(wallet: Wallet) -> None:
    node = wallet.node
    tx = {"kind": "dollar_transfer", "sender": wallet.text(ALICE)}
    tx["fields"] = payment(wallet, BOB, "1")
    encoded = await wallet.call("tx_encode", tx=tx)
    filled = encoded["tx"]
    assert (filled["nonce"], filled["lane"], filled["payer"]) == (0, 0, None)
    assert filled["valid_until"] == node.ledger.head.header.timestamp_ms + 24 * 3_600_000
    with node.hold():
        await node.submit(node.pay(ALICE, address(BOB), 1))
        assert (await wallet.call("tx_encode", tx=tx))["tx"]["nonce"] == 1  # after what waits
    raw = node.pay(ALICE, address(BOB), 1)
    with node.view() as view:
        assert int(filled["fee_max"]) // 2 == pytest.approx(
            view.fee("dollar_transfer", len(raw)), abs=20
        )
    again = await wallet.call("tx_encode", tx=filled)
    assert again["txid"] == encoded["txid"]


async def test_case_65_the_same_transaction_again_is_no_error(wallet: Wallet) -> None:
    raw = wallet.node.pay(ALICE, address(BOB), 5)
    with wallet.node.hold():
        first = await wallet.call("tx_submit", raw=raw.hex())
        assert first["status"] == "pending"
        assert await wallet.call("tx_submit", raw=raw.hex()) == first
        assert (await wallet.call("tx_status", first["txid"]))["status"] == "pending"
        late = await wallet.call("tx_submit", raw=raw.hex(), wait="committed", timeout_ms=30)
        assert late["status"] == "pending"
    again = await wallet.call("tx_submit", raw=raw.hex(), wait="committed")
    assert (again["status"], again["height"]) == ("committed", 1)


async def test_what_never_enters_a_block_is_an_error(wallet: Wallet) -> None:
    node = wallet.node
    good = node.pay(ALICE, address(BOB), 1)
    other_chain = node.pay(ALICE, address(BOB), 1, chain=bytes(32))
    body = open_transaction(good, node.genesis_hash).body
    stranger = sign_transaction(body, [BOB])
    forged = good[:-1] + bytes([good[-1] ^ 1])
    cases = [
        (good[:-1], 11, "MALFORMED"),
        (b"\x00", 11, "MALFORMED"),
        (other_chain, 1, "WRONG_CHAIN"),
        (forged, 2, "BAD_SIGNATURE"),
        (stranger, 3, "NOT_AUTHORISED"),
        (node.pay(ALICE, address(BOB), 1, valid_until=1), 5, "EXPIRED"),
        (node.pay(ALICE, address(BOB), 1, valid_until=2**62), 6, "VALID_TOO_LONG"),
        (node.pay(ALICE, address(BOB), 1, fee_max=1), 7, "FEE_TOO_HIGH"),
        (node.pay(CAROL, address(BOB), 1), 8, "FEE_UNAFFORDABLE"),
        (node.pay(ALICE, address(BOB), 1, kind="no_kind"), 9, "UNKNOWN_KIND"),
        (node.pay(ALICE, address(BOB), 0), 10, "BAD_FIELD"),
    ]
    for raw, code, reason in cases:
        error = await wallet.refusal("tx_submit", raw=raw.hex())
        found = (error["code"], error["data"]["code"], error["data"]["reason"])
        assert found == (-32003, code, reason)
    await wallet.call("tx_submit", raw=good.hex(), wait="committed")
    used = await wallet.refusal("tx_submit", raw=node.pay(ALICE, address(BOB), 2, nonce=0).hex())
    assert (used["code"], used["data"]["reason"], used["data"]["next"]) == (-32003, "BAD_NONCE", 1)


@pytest.mark.parametrize(
    "amount",
    [
        1,
        1.0,
        True,
        "1.0",
        "01",
        "+1",
        "1e3",
        " 1",
        "",
        "0",
        "-1",
        "١",
        str(2**63),
        "9" * 5_000,
        None,
    ],
)
async def test_case_62_an_amount_has_one_spelling(wallet: Wallet, amount: object) -> None:
    tx = {"kind": "dollar_transfer", "sender": wallet.text(ALICE)}
    tx["fields"] = {"outputs": [{"to": wallet.text(BOB), "amount": amount, "memo": ""}]}
    error = await wallet.refusal("tx_encode", tx=tx)
    assert (error["code"], error["data"]["reason"]) == (-32003, "BAD_FIELD")
    assert error["data"]["field"] == "fields.outputs[0].amount" or (
        error["data"]["field"] == "outputs[0].amount"
    )
    tx["fields"] = payment(wallet, BOB, "1")
    if amount != "0":
        error = await wallet.refusal("tx_encode", tx={**tx, "fee_max": amount or 0})
        assert (error["code"], error["data"]["field"]) == (-32602, "tx.fee_max")


async def test_a_busy_node_says_when_to_ask_again(wallet: Wallet) -> None:
    wallet.node.is_busy = True
    error = await wallet.refusal("tx_submit", raw=wallet.node.pay(ALICE, address(BOB), 1).hex())
    assert (error["code"], error["data"]["retry_after_ms"]) == (-32005, 250)


async def test_a_batch_judges_each_transaction_alone_and_in_order(wallet: Wallet) -> None:
    node = wallet.node
    with node.hold():
        good = [node.pay(ALICE, address(BOB), 1, lane=lane, nonce=0).hex() for lane in range(3)]
        raws = [good[0], "zz", good[1], 7, "AB", good[0][:-2], good[2], "", good[0]]
        items = (await wallet.call("tx_submit_batch", raws))["items"]
        kinds = [item.get("status") or item["error"]["code"] for item in items]
        assert kinds == [
            "pending", -32602, "pending", -32602, -32602, -32003, "pending", -32602, "pending",
        ]  # fmt: skip
    assert items[0]["txid"] == items[8]["txid"]
    too_many = await wallet.refusal("tx_submit_batch", raw=["00"] * 2_049)
    assert too_many["code"] == -32005


async def test_blocks_by_height_and_hash_whole_and_in_short(wallet: Wallet) -> None:
    node = wallet.node
    sent = await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "7"))
    genesis = await wallet.call("chain_block", 0)
    assert (genesis["certificate"], genesis["header"]["parent_hash"]) == (None, "0" * 64)
    assert genesis["header"]["genesis_hash"] == node.genesis_hash.hex()
    short = await wallet.call("chain_block", height=1)
    assert short["txs"] == [sent["txid"]]
    full = await wallet.call("chain_block", hash=short["hash"], full=True)
    assert full["header"] == short["header"]
    [tx] = full["txs"]
    assert (tx["txid"], tx["receipt"]["code"]) == (sent["txid"], 0)
    assert tx["tx"]["fields"] == payment(wallet, BOB, "7")
    head = await wallet.call("chain_head")
    assert (head["hash"], head["height"]) == (short["hash"], 1)
    assert (await wallet.refusal("chain_block", 2))["code"] == -32001
    assert (await wallet.refusal("chain_block", hash="0" * 64))["code"] == -32001
    assert (await wallet.refusal("chain_block"))["code"] == -32602
    assert (await wallet.refusal("chain_block", height=1, hash=short["hash"]))["code"] == -32602
    assert (await wallet.refusal("chain_block", 2**63))["code"] == -32602


def opened(header: dict[str, Any]) -> Header:
    return Header(**{k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in header.items()})


async def test_a_certificate_can_be_checked_from_what_is_answered(wallet: Wallet) -> None:
    await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "7"))
    block = await wallet.call("chain_block", 1)
    said = await wallet.call("chain_certificate", 1)
    assert said == block["certificate"]
    votes = {one["index"]: bytes.fromhex(one["signature"]) for one in said["signatures"]}
    certificate = make_certificate(
        era=said["era"], view=said["view"], height=said["height"],
        block_hash=bytes.fromhex(said["hash"]), votes=votes, n=1,
    )  # fmt: skip
    validators = wallet.node.ledger.validators(1)
    assert check_certificate(certificate, opened(block["header"]), validators) is None
    assert (await wallet.refusal("chain_certificate", 0))["code"] == -32001
    for height in (0, 1, 2):
        members = await wallet.call("chain_validators", height)
        assert (members["quorum"], members["items"][0]["gateway"]) == (1, "north")
    assert (await wallet.refusal("chain_validators", 3))["code"] == -32001


async def test_a_transaction_proves_that_it_and_its_receipt_are_in_the_block(
    wallet: Wallet,
) -> None:
    node = wallet.node
    with node.hold():
        for lane in range(5):
            await node.submit(node.pay(ALICE, address(BOB), 1 + lane, lane=lane, nonce=0))
        txids = [tx.txid.hex() for tx in node.waiting]
    for txid in txids:
        got = await wallet.call("tx_get", txid, True)
        proof = got["proof"]
        header = proof["header"]
        for item, path, tag, root in (
            (proof["signed_hash"], proof["tx_path"], b"txs", header["txs_root"]),
            (proof["receipt"], proof["receipt_path"], b"receipts", header["receipts_root"]),
        ):
            steps = [(step["side"] == "left", bytes.fromhex(step["hash"])) for step in path]
            assert list_path_root(bytes.fromhex(item), steps, tag=tag).hex() == root
        assert signed_hash_of(bytes.fromhex(got["raw"])).hex() == proof["signed_hash"]
    assert "proof" not in await wallet.call("tx_get", txid=txids[0])
    assert (await wallet.refusal("tx_get", "0" * 64))["data"]["what"] == "transaction"
    assert (await wallet.call("tx_status", "0" * 64))["status"] == "unknown"
    node.expired.add(bytes(32))
    assert (await wallet.call("tx_status", "0" * 64))["status"] == "expired"


@pytest.mark.parametrize("key", [ALICE, key_of(99)])
async def test_case_25_an_account_or_its_absence_is_proved_under_a_certified_root(
    wallet: Wallet, key: Any
) -> None:
    await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "7"))
    account = await wallet.call("account_get", wallet.text(key), True)
    proof = account.pop("proof")
    value = None if proof["value"] is None else bytes.fromhex(proof["value"])
    assert (value is None) == (key is not ALICE)
    root = bytes.fromhex(proof["header"]["state_root"])
    found = proof_from_json({"nodes": proof["nodes"], "bucket": proof["bucket"]})
    assert check_proof(root, bytes.fromhex(proof["key"]), value, found) is None
    assert proof["certificate"]["hash"] == (await wallet.call("chain_head"))["hash"]
    if key is not ALICE:
        assert (account["dollar"], account["nonces"], account["frozen"]) == ("0", {}, False)


async def test_history_pages_meet_without_gap_or_overlap(wallet: Wallet) -> None:
    for number in range(1, 8):
        await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, str(number)))
    whole = await wallet.call("account_history", wallet.text(BOB), None, 500)
    assert [item["height"] for item in whole["items"]] == list(range(1, 8))
    assert whole["next_cursor"] is None
    seen: list[object] = []
    cursor = None
    while True:
        page = await wallet.call("account_history", wallet.text(BOB), cursor, 3)
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == whole["items"]
    assert (await wallet.call("account_history", wallet.text(CAROL)))["items"] == []


async def test_a_shop_an_order_and_a_redemption_can_be_read(wallet: Wallet) -> None:
    day = 86_400_000
    shop = await wallet.send(
        BOB, "shop_open", OPERATOR, name="Lamps", gateway="north", ship_within_ms=day,
        complete_after_ms=30 * day, return_window_ms=30 * day, holdback_bp=500,
        commission_bp=1_000, arbiter=wallet.text(ARBITER),
    )  # fmt: skip
    assert shop["status"] == "committed"
    lines = [
        {"sku": "L1", "quantity": 2, "unit_price": "3000000"},
        {"sku": "L2", "quantity": 1, "unit_price": "1000000"},
    ]
    order = await wallet.send(ALICE, "order_pay", shop=shop["txid"], lines=lines)
    assert order["status"] == "committed"
    got = await wallet.call("order_get", order["txid"])
    assert (got["status"], got["total"], got["held"]["escrow"]) == ("paid", "7000000", "7000000")
    assert [line["unit_price"] for line in got["lines"]] == ["3000000", "1000000"]
    shown = await wallet.call("shop_get", shop["txid"])
    assert (shown["name"], shown["orders"], shown["paid"]) == ("Lamps", 1, "7000000")
    for params in ({}, {"owner": wallet.text(BOB)}):
        [item] = (await wallet.call("shop_list", **params))["items"]
        assert item["shop"] == shop["txid"]
    for params in ({"buyer": wallet.text(ALICE)}, {"shop": shop["txid"]}):
        [item] = (await wallet.call("order_list", **params))["items"]
        assert item["order"] == order["txid"]
    redeem = await wallet.send(
        ALICE, "dollar_redeem", gateway="north", amount="20000000", currency="USD",
        payout_hash="ab" * 32,
    )  # fmt: skip
    assert redeem["status"] == "committed"
    assert (await wallet.call("redemption_get", redeem["txid"]))["status"] == "pending"
    for params in ({"holder": wallet.text(ALICE)}, {"gateway": "north"}):
        page = await wallet.call("redemption_list", **params)
        assert [item["redemption"] for item in page["items"]] == [redeem["txid"]]
        for status, found in (("pending", 1), ("paid", 0)):
            page = await wallet.call("redemption_list", **params, status=status)
            assert (len(page["items"]), page["next_cursor"]) == (found, None)
    supply = await wallet.call("dollar_supply")
    parts = sum(int(supply[name]) for name in ("balances", "fee_pool", "locked", "escrowed"))
    assert parts == int(supply["supply"]) == 3_000 * DOLLAR
    assert supply["positions"] == {"north": str(3_000 * DOLLAR)}
    [gateway] = (await wallet.call("gateway_list"))["items"]
    assert (await wallet.call("gateway_get", "north"))["asks"] == gateway["asks"] == "20000000"


async def test_a_proposal_can_be_followed(wallet: Wallet) -> None:
    height = (await wallet.call("node_status"))["height"]
    for number in (1, 2):
        sent = await wallet.send(
            OPERATOR, "gov_propose", action="set_param", args={"name": "fee_base", "value": 2_000},
            effective_height=height + number + 2,
        )  # fmt: skip
        assert sent["status"] == "committed"
    page = await wallet.call("proposal_list")
    assert [item["status"] for item in page["items"]] == ["passed", "passed"]  # the only gateway
    last = await wallet.call("proposal_get", sent["txid"])
    assert last["args"] == {"name": "fee_base", "value": 2_000}
    assert last["votes"] == [{"gateway": "north", "yes": True}]
    assert (last["needed"], last["closed_height"]) == (1, None)
    for _ in range(2):
        await wallet.send(OPERATOR, "gov_vote", proposal=page["items"][0]["proposal"], yes=True)
    done = await wallet.call("proposal_get", sent["txid"])
    assert (done["status"], done["closed_height"]) == ("done", done["effective_height"])
    assert (await wallet.call("params_get"))["fee_base"]["value"] == 2_000
    bad = {"action": "leave", "args": {"name": "fee_base", "value": 1}, "effective_height": 99}
    tx = {"kind": "gov_propose", "sender": wallet.text(OPERATOR), "fields": bad}
    assert (await wallet.refusal("tx_encode", tx=tx))["data"]["reason"] == "BAD_FIELD"


async def test_lists_page_by_cursor_and_refuse_forged_ones(wallet: Wallet) -> None:
    for number in range(5):
        sent = await wallet.send(
            ALICE, "dollar_redeem", gateway="north", amount="10000000", currency="USD",
            payout_hash=f"{number:064x}",
        )  # fmt: skip
        assert sent["status"] == "committed"
    first = await wallet.call("redemption_list", gateway="north", limit=2)
    second = await wallet.call(
        "redemption_list", gateway="north", limit=3, cursor=first["next_cursor"]
    )
    hashes = [item["payout_hash"] for item in first["items"] + second["items"]]
    assert hashes == [f"{number:064x}" for number in range(5)]
    assert second["next_cursor"] is None
    cursor = first["next_cursor"]
    for forged in ("x", "00", cursor[:-2], cursor + "00", "c0", "ff" * 200, "é"):
        error = await wallet.refusal("redemption_list", gateway="north", cursor=forged)
        assert error["code"] == -32602
        assert (await wallet.refusal("events_get", after=forged))["code"] == -32602
        params = {"address": wallet.text(ALICE), "cursor": forged}
        assert (await wallet.refusal("account_history", **params))["code"] == -32602
    # a cursor of another list
    params = {"holder": wallet.text(ALICE), "cursor": cursor}
    assert (await wallet.refusal("redemption_list", **params))["code"] == -32602
    for bad in ({}, {"gateway": "north", "holder": wallet.text(ALICE)}):
        assert (await wallet.refusal("redemption_list", **bad))["code"] == -32602


@pytest.mark.parametrize("method", ["gateway_get", "redemption_get", "order_get", "shop_get"])
async def test_what_is_not_there_is_not_found(wallet: Wallet, method: str) -> None:
    assert (await wallet.refusal(method, "0" * 64))["code"] == -32001


async def test_simulating_tells_what_would_happen_and_changes_nothing(wallet: Wallet) -> None:
    before = await wallet.call("account_get", wallet.text(ALICE))
    tx: dict[str, object] = {"kind": "dollar_transfer", "sender": wallet.text(ALICE)}
    tx["fields"] = payment(wallet, BOB, "5")
    told = await wallet.call("tx_simulate", tx=tx)
    assert (told["status"], told["code"], len(told["events"])) == ("committed", 0, 1)
    tx["fields"] = payment(wallet, BOB, "5000000000")
    told = await wallet.call("tx_simulate", tx=tx)
    assert (told["status"], told["code"]) == ("refused", 101)
    assert told["facts"]["needed"] == "5000000000"
    error = await wallet.refusal("tx_simulate", tx={**tx, "nonce": 9})
    assert error["data"]["reason"] == "BAD_NONCE"
    assert await wallet.call("account_get", wallet.text(ALICE)) == before


async def test_the_rules_the_laws_and_the_document(wallet: Wallet) -> None:
    params = await wallet.call("params_get")
    assert params["fee_base"]["lowest"] <= params["fee_base"]["value"]
    laws = await wallet.call("audit_laws")
    assert laws["ok"]
    families = {item["family"] for item in laws["items"]}
    lawful = {family.name for family in standard_registry().families if family.laws}
    assert families == {"core", *lawful}
    kinds = await wallet.call("tx_kinds")
    assert {"dollar_transfer", "order_pay"} <= {item["kind"] for item in kinds["items"]}
    document = await wallet.call("rpc.discover")
    assert {method["name"] for method in document["methods"]} == set(METHODS)
    assert (await wallet.call("node_status"))["height"] == 0
    assert (await wallet.call("node_peers"))["items"][0]["name"] == "south"
    assert (await wallet.call("node_health"))["ok"]
    text = await wallet.call("account_address", ALICE.public_key.hex())
    assert text["address"] == wallet.text(ALICE)


async def test_one_audit_at_a_time(wallet: Wallet) -> None:
    both = await asyncio.gather(wallet.answer("audit_laws", []), wallet.answer("audit_laws", []))
    assert sorted("result" in answer for answer in both) == [False, True]


async def test_events_come_once_in_order_and_wait_for_the_next(wallet: Wallet) -> None:
    for number in range(1, 5):
        await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, str(number)))
    seen: list[Any] = []
    after = None
    for _ in range(6):
        page = await wallet.call("events_get", after=after, limit=1)
        seen += page["items"]
        after = page["next_cursor"]
    assert [event["values"]["amount"] for event in seen] == ["1", "2", "3", "4"]
    resumed = await wallet.call("events_get", after=seen[1]["cursor"])
    assert resumed["items"] == seen[2:]
    waiting = asyncio.create_task(wallet.call("events_get", after, 10, 5_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    wallet.node.mine()  # an empty block is no news
    await wallet.send(ALICE, "dollar_transfer", **payment(wallet, BOB, "5"))
    told = await asyncio.wait_for(waiting, 2)
    assert [event["values"]["amount"] for event in told["items"]] == ["5"]
    quiet = await wallet.call("events_get", told["next_cursor"], 10, 50)
    assert quiet["items"] == []


async def test_parameters_by_name_or_position_and_nothing_unknown(wallet: Wallet) -> None:
    alice = wallet.text(ALICE)
    assert await wallet.call("account_get", alice) == await wallet.call(
        "account_get", address=alice
    )
    for params in (
        {}, {"address": alice, "x": 1}, {"address": 1}, {"address": alice[:-1]},
        {"address": alice, "proof": 1}, {"address": alice, "proof": "true"}, {"address": None},
        {"address": alice.replace("tmgs", "mgs")}, [alice, False, 1], [[alice]],
    ):  # fmt: skip
        answer = await wallet.answer("account_get", params)
        assert answer["error"]["code"] == -32602


async def test_parameters_are_never_echoed(wallet: Wallet) -> None:
    secret = "correct-horse-battery"
    tx = {"kind": secret, "sender": wallet.text(ALICE), "fields": {secret: secret}}
    calls: list[tuple[str, object]] = [
        (secret, {}),
        ("account_get", {"address": secret}),
        ("account_get", {secret: 1}),
        ("tx_status", [secret]),
        ("tx_encode", {"tx": tx}),
        ("tx_encode", {"tx": {**tx, "kind": "dollar_transfer"}}),
        ("tx_encode", {"tx": {**tx, secret: 1}}),
        ("tx_submit", {"raw": secret}),
        ("tx_submit", {"wait": secret}),
        ("tx_submit_batch", {"raw": [secret]}),
        ("gateway_get", [secret]),
        ("events_get", [secret]),
        ("chain_block", {"height": secret}),
    ]
    for method, params in calls:
        assert secret not in json.dumps(await wallet.answer(method, params))


async def test_subscribing_needs_a_websocket(wallet: Wallet) -> None:
    error = await wallet.refusal("subscribe", "blocks")
    assert (error["code"], error["data"]["reason"]) == (-32002, "WEBSOCKET_ONLY")


@pytest.mark.parametrize(
    ("method", "params", "field", "problem"),
    [
        ("order_get", {}, "order", "is missing"),
        ("chain_head", {"heigth": 1}, "", "has an unknown name; known are "),
        ("order_list", {"limit": 0}, "limit", "must be greater than or equal to 1"),
        ("order_list", {"limit": "5"}, "limit", "must be a valid integer"),
        ("demand_open", {"category": "Tea"}, "category", "must match pattern "),
        ("tx_encode", {"tx": {"to": "x"}}, "tx.kind", "is missing"),
        ("events_get", {"after": "00"}, "after", "must be a cursor that this list gave"),
        ("tx_submit", {"raw": 7}, "raw", "must be 2 to "),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named_with_what_it_must_be(
    wallet: Wallet, method: str, params: dict[str, Any], field: str, problem: str
) -> None:
    data = (await wallet.refusal(method, **params))["data"]
    assert data.get("field", "") == field
    assert data["problem"].startswith(problem)


async def test_an_unknown_name_is_answered_with_those_that_are_known(wallet: Wallet) -> None:
    data = (await wallet.refusal("order_get", order="ab" * 32, ordre=""))["data"]
    assert data["problem"] == "has an unknown name; known are order"
    tx = {"kind": "token_claim", "sender": wallet.text(ALICE), "fields": {"period": 0}, "tip": 1}
    data = (await wallet.refusal("tx_encode", tx=tx))["data"]
    assert data["field"] == "tx"
    assert data["problem"].endswith(
        "kind, sender, nonce, lane, valid_until, fee_max, payer, fields, signatures"
    )
    signed = {**tx, "tip": None, "signatures": [{"key": ""}]}
    del signed["tip"]
    data = (await wallet.refusal("tx_submit", tx=signed))["data"]
    assert (data["field"], data["problem"]) == ("tx.signatures.0.public_key", "is missing")
    wrong = {**tx, "fields": {"period": 0, "tip": 1}}
    del wrong["tip"]
    data = (await wallet.refusal("tx_encode", tx=wrong))["data"]
    assert (data["field"], data["why"]) == ("fields", "has an unknown name; known are period")


async def walked(wallet: Wallet, method: str, **params: Any) -> list[Any]:
    """All items of a list, two at a time."""
    items: list[Any] = []
    cursor = None
    while True:
        page = await wallet.call(method, **params, limit=2, cursor=cursor)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items
        assert len(page["items"]) == 2


async def test_lists_can_be_walked_from_the_newest(wallet: Wallet) -> None:
    founded = [
        (await wallet.send(ALICE, "community_found", name=f"c{n}", about="ab" * 32))["txid"]
        for n in range(5)
    ]
    oldest = await walked(wallet, "community_list")
    assert [item["community"] for item in oldest] == founded
    assert await walked(wallet, "community_list", newest=True) == oldest[::-1]
    history = await walked(wallet, "account_history", address=wallet.text(ALICE))
    assert len(history) >= 5
    newest = await walked(wallet, "account_history", address=wallet.text(ALICE), newest=True)
    assert newest == history[::-1]
    for method, params in (
        ("community_list", {}),
        ("account_history", {"address": wallet.text(ALICE)}),
    ):
        page = await wallet.call(method, **params, limit=2, newest=True)
        other = await wallet.refusal(method, **params, cursor=page["next_cursor"])
        assert other["data"]["field"] == "cursor"  # a cursor belongs to the way it was walked
        await wallet.send(ALICE, "community_found", name="later", about="ab" * 32)
        again = await wallet.call(method, **params, cursor=page["next_cursor"], newest=True)
        assert all(item not in page["items"] for item in again["items"])


async def test_a_list_that_takes_newest_is_one_that_knows_it(wallet: Wallet) -> None:
    page = await wallet.refusal("quote_list", newest=True)
    assert page["data"]["problem"].startswith("has an unknown name")


# Every integer in what transactions and events say: whoever adds one has to see that it is none.
_NO_AMOUNTS = re.compile(
    r"(_ms|_bp|bps|height|period|era|line|depth|quantity|rating|number|index|threshold|version|"
    r"window|obligations|code|purpose|reports|number|lane|count|own|step|expires|place)$"
)


async def test_amounts_are_text_in_transactions_and_in_events(wallet: Wallet) -> None:
    kinds = await wallet.call("tx_kinds")
    said = [(event["name"], event["values"]) for event in kinds["events"]]
    said += [(kind["kind"], kind["fields"]) for kind in kinds["items"]]
    numbers = {
        f"{name}.{member}"
        for name, schema in said
        for member, of in schema["properties"].items()
        if of.get("type") == "integer" and not _NO_AMOUNTS.search(member)
    }
    assert numbers <= {"quote_set.fee"}  # basis points
