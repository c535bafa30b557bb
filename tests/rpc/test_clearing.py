"""Obligations and windows over JSON-RPC, on a chain of two gateways with windows of a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgsnode.base.genesis import Genesis
from tests.rpc import devnode
from tests.rpc.devnode import ALICE, DOLLAR, OPERATOR, DevNode, address, dev_genesis, key_of
from tests.rpc.wallet import Wallet

SOUTH = key_of(201)
HASH = "ab" * 32


def two_gateways() -> Genesis:
    genesis = dev_genesis()
    north = genesis.gateways[0]
    south = north._replace(
        name="south", owner_hash=bytes([1]) * 32, operator=address(SOUTH),
        vote_key=key_of(202).public_key, transport_certificate=b"s", endpoint="127.0.0.1:2",
    )  # fmt: skip
    funded = genesis.accounts[0]._replace(name="south", address=address(SOUTH))
    return genesis._replace(
        gateways=(north, south),
        accounts=(*genesis.accounts, funded),
        params=(("clearing_window_ms", 5_000),),
    )


async def test_an_obligation_from_its_window_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devnode, "dev_genesis", two_gateways)
    node = DevNode(tmp_path / "store")
    wallet = Wallet(node)
    asked = await wallet.send(
        ALICE, "dollar_redeem", gateway="south", amount=str(200 * DOLLAR), currency="USD",
        payout_hash=HASH,
    )  # fmt: skip
    rid = asked["txid"]
    await wallet.send(SOUTH, "dollar_redeem_paid", redemption=rid, reference=HASH)
    await wallet.send(ALICE, "dollar_redeem_confirm", redemption=rid)
    assert (await wallet.call("window_list"))["items"] == []
    for _ in range(6):
        node.mine()
    (window,) = (await wallet.call("window_list"))["items"]
    assert (window["cleared"], window["obligations"]) == (str(200 * DOLLAR), 1)
    assert (await wallet.call("window_next"))["window"] > window["window"]
    (row,) = (await wallet.call("obligation_list"))["items"]
    assert (row["debtor"], row["creditor"], row["status"]) == ("north", "south", "open")
    assert row["fiat"] == str(200 * DOLLAR + 100_000)
    south = await wallet.call("gateway_get", "south")
    assert (south["position"], south["net"]) == (str(-200 * DOLLAR), "0")
    assert south["obligations_owing"] == str(200 * DOLLAR)
    oid = row["obligation"]
    await wallet.send(OPERATOR, "obligation_paid", obligation=oid, reference=HASH)
    assert (await wallet.call("obligation_get", oid))["reference"] == HASH
    await wallet.send(SOUTH, "obligation_contest", obligation=oid, reason="not yet")
    await wallet.send(SOUTH, "obligation_confirm", obligation=oid)
    (row,) = (await wallet.call("obligation_list", "south"))["items"]
    assert (row["status"], row["due_live_ms"], row["reason"]) == ("settled", None, "not yet")
    assert (await wallet.call("obligation_list", "west"))["items"] == []
    assert (await wallet.call("gateway_get", "south"))["position"] == "0"
    assert (await wallet.refusal("obligation_get", "00" * 32))["code"] == -32001
    node.ledger.close()
