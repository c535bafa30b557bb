"""A wallet that knows only Ed25519 and JSON-RPC. It imports nothing of the product but its test
network: what it needs to know stands in `docs/` and in the node's answers.
"""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mgsnode.localnet import Localnet

pytestmark = pytest.mark.e2e


def ask(url: str, method: str, **params: Any) -> Any:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    request = urllib.request.Request(
        url, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        said = json.loads(answer.read())
    assert said["id"] == 7
    assert "error" not in said, said
    return said["result"]


def test_a_wallet_with_ed25519_and_json_rpc_pays_and_another_node_has_it_final(
    net: Localnet,
) -> None:
    here, there = net.nodes[1].rpc, net.nodes[3].rpc
    anna = json.loads((net.root / "localnet.json").read_text())["accounts"][0]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(anna["seed"]))
    public_key = key.public_key().public_bytes_raw().hex()
    sender = ask(here, "account_address", public_key=public_key)["address"]
    assert sender == anna["address"]
    friend = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    to = ask(here, "account_address", public_key=friend)["address"]
    assert ask(there, "account_get", address=to)["dollar"] == "0"
    before = int(ask(here, "account_get", address=sender)["dollar"])

    wish = {
        "kind": "dollar_transfer",
        "sender": sender,
        "fields": {"outputs": [{"to": to, "amount": "12500000", "memo": "rent, März"}]},
    }
    encoded = ask(here, "tx_encode", tx=wish)
    signature = key.sign(bytes.fromhex(encoded["signing_bytes"])).hex()
    signed = {
        **encoded["tx"],
        "signatures": [{"public_key": public_key, "signature": signature}],
    }
    answer = ask(here, "tx_submit", tx=signed, wait="committed", timeout_ms=10_000)
    assert answer["status"] == "committed"
    assert answer["txid"] == encoded["txid"]

    deadline = time.monotonic() + 5
    while (status := ask(there, "tx_status", txid=encoded["txid"]))["status"] != "committed":
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    assert status["height"] == answer["height"]
    assert ask(there, "account_get", address=to)["dollar"] == "12500000"
    after = int(ask(there, "account_get", address=sender)["dollar"])
    assert after == before - 12_500_000 - int(status["fee"])


def test_the_same_payment_handed_in_everywhere_is_paid_once(net: Localnet) -> None:  # case 65
    bruno = json.loads((net.root / "localnet.json").read_text())["accounts"][1]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(bruno["seed"]))
    public_key = key.public_key().public_bytes_raw().hex()
    friend = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    to = ask(net.nodes[0].rpc, "account_address", public_key=friend)["address"]
    outputs = [{"to": to, "amount": "5", "memo": ""}]
    wish = {
        "kind": "dollar_transfer",
        "sender": bruno["address"],
        "fields": {"outputs": outputs},
    }
    encoded = ask(net.nodes[0].rpc, "tx_encode", tx=wish)
    signature = key.sign(bytes.fromhex(encoded["signing_bytes"])).hex()
    signed = {**encoded["tx"], "signatures": [{"public_key": public_key, "signature": signature}]}
    for _ in range(2):  # before it is final, and after
        for node in net.nodes:
            told = ask(node.rpc, "tx_submit", tx=signed)
            assert (told["txid"], told["status"] in ("pending", "committed")) == (
                encoded["txid"],
                True,
            )
        ask(net.nodes[0].rpc, "tx_submit", tx=signed, wait="committed", timeout_ms=10_000)
    deadline = time.monotonic() + 5
    while ask(net.nodes[2].rpc, "account_get", address=to)["dollar"] == "0":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ask(net.nodes[2].rpc, "account_get", address=to)["dollar"] == "5"
