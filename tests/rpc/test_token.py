"""Tokens over JSON-RPC: where they are, who earned what on which order, bonds and vesting."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgsnode.base.genesis import Genesis, GenesisVesting
from mgsnode.cli.main import make_app
from rpc.limits import RpcSettings
from rpc.methods.token import _sums
from rpc.schema import make_cursor
from rpc.server import RpcServer
from tests.rpc import devnode
from tests.rpc.devnode import (
    ALICE,
    ARBITER,
    BOB,
    CAROL,
    DOLLAR,
    OPERATOR,
    DevNode,
    address,
    dev_genesis,
)
from tests.rpc.wallet import Wallet
from tests.state.scenarios.base import ALICE as BUYER
from tests.state.scenarios.token import close_period, final
from tests.state.test_mining import economy

TOKEN = 1_000_000
SEED = {OPERATOR: 2, ALICE: 3, BOB: 4}  # as `key_of` numbers them


def token_genesis() -> Genesis:
    """North has a bond, 1,000 tokens vest for Alice in a day; periods and windows are seconds."""
    genesis = dev_genesis()
    return genesis._replace(
        gateways=(genesis.gateways[0]._replace(bond=1_000 * TOKEN),),
        vesting=(GenesisVesting("team", address(ALICE), 1_000 * TOKEN, 0, 86_400_000),),
        params=(("bond_minimum", 900 * TOKEN), ("period_ms", 30_000)),
    )


async def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setattr(devnode, "dev_genesis", token_genesis)
    return Wallet(DevNode(tmp_path / "store"))


async def sold(wallet: Wallet, price: int) -> str:
    """An order of Bob's at Alice's shop that is final; its id."""
    shop = await wallet.send(
        ALICE, "shop_open", OPERATOR, name="Teas", gateway="north", ship_within_ms=3_600_000,
        complete_after_ms=3_600_000, return_window_ms=1_000, holdback_bp=0, commission_bp=0,
        arbiter=wallet.text(ARBITER),
    )  # fmt: skip
    line = {"sku": "tea", "quantity": 1, "unit_price": str(price)}
    order = (await wallet.send(BOB, "order_pay", shop=shop["txid"], lines=[line]))["txid"]
    await wallet.send(ALICE, "order_ship", order=order, reference="")
    await wallet.send(BOB, "order_complete", order=order)
    for _ in range(3):
        wallet.node.mine()
    return str(order)


async def until_closed(wallet: Wallet, period: int) -> None:
    while (await wallet.call("token_info"))["mining"]["period"] <= period:
        wallet.node.mine()


async def test_who_earned_what_on_which_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await made(tmp_path, monkeypatch)
    order = await sold(wallet, 100 * DOLLAR)
    seen = await wallet.call("reward_order", order)
    assert (seen["fee"], seen["closed"]) == ("500000", False)
    buyer = {"role": "buyer", "account": wallet.text(BOB), "amount": "600000"}
    shop = {"role": "shop", "account": wallet.text(ALICE), "amount": "400000"}
    assert seen["parts"] == [buyer, shop]
    period = seen["period"]
    running = await wallet.call("reward_get", wallet.text(BOB), period)
    assert (running["earned"], running["claimable"], running["closed"]) == ("600000", "0", False)
    for method in ("reward_get", "token_info"):  # it has not begun
        account = {"account": wallet.text(BOB)} if method == "reward_get" else {}
        refused = await wallet.refusal(method, period=period + 1, **account)
        assert (refused["code"], refused["data"]["what"]) == (-32001, "period")
    await until_closed(wallet, period)
    reward = await wallet.call("reward_get", account=wallet.text(BOB), period=period)
    assert (reward["claimable"], reward["parts"]["buyer"]) == ("600000", "600000")
    assert reward["items"] == [{**_order(order, period), "parts": [buyer]}]
    assert reward["voice"] == {"granted": "200000", "left": "200000"}
    await wallet.send(BOB, "token_claim", period=period)
    reward = await wallet.call("reward_get", account=wallet.text(BOB), period=period)
    assert (reward["claimable"], reward["claimed"], reward["debt"]) == ("0", "600000", "0")
    assert (await wallet.call("account_get", wallet.text(BOB)))["token"] == "600000"
    line = {"line": 0, "quantity": 1}
    await wallet.send(ALICE, "order_refund", order=order, lines=[line], reason="")
    assert (await wallet.call("reward_get", wallet.text(BOB)))["debt"] == "600000"
    info = await wallet.call("token_info", period=period)
    assert (info["mining"]["fees"], info["mining"]["claimed"]) == ("500000", "0")
    assert info["mining"]["closed"] is True
    wallet.node.ledger.close()


def _order(order: str, period: int) -> dict[str, Any]:
    return {"order": order, "period": period, "fee": "500000"}


async def test_the_periods_of_an_account_come_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await made(tmp_path, monkeypatch)
    assert (await wallet.call("reward_list", wallet.text(ALICE)))["items"] == []
    periods = []
    for _ in range(3):
        order = await sold(wallet, 100 * DOLLAR)
        periods.append((await wallet.call("reward_order", order))["period"])
        await until_closed(wallet, periods[-1])
    seen: list[int] = []
    cursor = None
    while True:
        answer = await wallet.call("reward_list", wallet.text(ALICE), cursor, 2)
        seen += [item["period"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == periods and len(set(seen)) == 3
    wallet.node.ledger.close()


async def test_where_the_tokens_are_what_vests_and_what_is_bonded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await made(tmp_path, monkeypatch)
    info = await wallet.call("token_info")
    places = ("pool", "reserved", "unvested", "balances", "bonded", "unbonding")
    assert sum(int(info[name]) for name in places) == int(info["supply"])
    assert info["purposes"]["team"]["vesting"] == str(1_000 * TOKEN)
    (row,) = (await wallet.call("vesting_get", wallet.text(ALICE)))["items"]
    assert (row["purpose"], row["released"]) == ("team", "0")
    await wallet.send(ALICE, "token_release", purpose="team")
    (row,) = (await wallet.call("vesting_get", wallet.text(ALICE)))["items"]
    released = int(row["released"])
    assert released > 0
    await wallet.send(ALICE, "token_transfer", to=wallet.text(CAROL), amount=str(released))
    assert (await wallet.call("account_get", wallet.text(CAROL)))["token"] == str(released)
    await wallet.send(OPERATOR, "token_unbond", amount=str(100 * TOKEN))
    bond = await wallet.call("bond_get", "north")
    assert (bond["bond"], bond["liable"]) == (str(900 * TOKEN), str(1_000 * TOKEN))
    assert [part["amount"] for part in bond["unbonding"]] == [str(100 * TOKEN)]
    wallet.node.ledger.close()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("reward_order", {"order": "ab" * 32}),
        ("bond_get", {"gateway": "nowhere"}),
        ("token_info", {"period": 2**40}),
    ],
)
async def test_what_is_not_there_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, params: dict[str, Any]
) -> None:
    wallet = await made(tmp_path, monkeypatch)
    assert (await wallet.refusal(method, **params))["code"] == -32001
    wallet.node.ledger.close()


async def test_the_everyday_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = await made(tmp_path, monkeypatch)
    server = RpcServer(wallet.node, RpcSettings())
    await server.start()
    url = f"http://127.0.0.1:{server.port}"

    async def run(*arguments: str, key: Any = None) -> Any:
        signer: list[str] = []
        if key is not None:
            reading, writing = os.pipe()
            os.write(writing, SEED[key].to_bytes(32, "big").hex().encode())
            os.close(writing)
            signer = ["--seed-fd", str(reading)]
        line = ["token", *arguments, *signer, "--rpc", url, "--json"]
        done = await asyncio.to_thread(CliRunner().invoke, make_app(), line)
        assert done.exit_code == int("refused" in done.stdout), done.output
        return json.loads(done.stdout)

    dear = await run("transfer", wallet.text(CAROL), "0.25", key=BOB)
    assert (dear["reason"], dear["facts"]) == (
        "INSUFFICIENT_TOKENS", {"balance": "0", "needed": "250000"},
    )  # fmt: skip
    order = await sold(wallet, 100 * DOLLAR)
    period = (await wallet.call("reward_order", order))["period"]
    await until_closed(wallet, period)
    assert (await run("claim", str(period), key=BOB))["status"] == "committed"
    assert (await run("transfer", wallet.text(CAROL), "0.25", key=BOB))["status"] == "committed"
    assert (await wallet.call("account_get", wallet.text(BOB)))["token"] == "350000"
    assert (await run("release", "team", key=ALICE))["status"] == "committed"
    assert (await run("unbond", "100", key=OPERATOR))["status"] == "committed"
    await wallet.send(ALICE, "token_transfer", to=wallet.text(OPERATOR), amount="1000")
    assert (await run("bond", "0.001", key=OPERATOR))["status"] == "committed"
    assert (await wallet.call("bond_get", "north"))["bond"] == str(900 * TOKEN + 1_000)
    assert (await run("info"))["unbonding"] == str(100 * TOKEN)
    (row,) = (await run("rewards", wallet.text(BOB)))["items"]
    assert (row["period"], row["claimed"]) == (period, "600000")
    seen = await run("rewards", wallet.text(BOB), "--period", str(period))
    assert seen["items"][0]["order"] == order
    await server.stop()
    wallet.node.ledger.close()


def test_what_can_be_claimed_ends_with_its_time() -> None:
    """Also before the due work that takes it back has been done."""
    w, _, shop = economy(mining_claim_ms=60_000, mining_review_ms=60_000)
    final(w, shop)
    period = close_period(w)
    assert _sums(w.draft, BUYER.address, period)["claimable"] == "600000"
    w.pass_ms(60_000)
    sums = _sums(w.draft, BUYER.address, period)
    assert (sums["claimable"], sums["earned"]) == ("0", "600000")


async def test_a_cursor_of_anothers_rewards_is_refused(wallet: Wallet) -> None:
    cursor = make_cursor("rewards", address(BOB), 0)
    account = wallet.text(ALICE)
    assert (await wallet.refusal("reward_list", account=account, cursor=cursor))["code"] == -32602
