"""The SDK: what it asks, what it believes, and what it says when a node misbehaves."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.address import HRP_TEST, address_text
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import address_of
from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import open_transaction, tx_statement
from mgsnode.client import Client, RpcFailure, Unreachable, call_once
from mgsnode.devnet import dev_address, dev_key
from mgsnode.txfile import make_unsigned
from tests.mgsnode.fake_node import Fault, fake_node

CHAIN = bytes(range(32))
ANNA = address_text(dev_address("anna"), HRP_TEST)
BRUNO = address_text(dev_address("bruno"), HRP_TEST)
FIELDS = {"outputs": [{"to": BRUNO, "amount": "5", "memo": ""}]}


def encoder(chain: bytes = CHAIN, **changed: Any) -> Any:
    """A `tx_encode` that lies where `changed` says so."""

    def encode(params: dict[str, Any]) -> dict[str, Any]:
        tx = {"nonce": 7, "valid_until": 9, "fee_max": "3", **params["tx"], **changed}
        unsigned = make_unsigned(
            chain=chain,
            kind=tx["kind"],
            fields=tx["fields"],
            sender=tx["sender"],
            hrp=HRP_TEST,
            nonce=tx["nonce"],
            valid_until=tx["valid_until"],
            fee_max=int(tx["fee_max"]),
            lane=tx.get("lane", 0),
            payer=tx.get("payer", ""),
        )
        return {"signing_bytes": tx_statement(chain, unsigned.body_bytes).hex()}

    return encode


def node(**methods: Any) -> dict[str, Any]:
    return {"node_status": lambda _: {"chain": CHAIN.hex()}, "tx_encode": encoder(), **methods}


async def test_a_batch_answers_in_the_order_of_its_calls() -> None:
    def broken(_: Any) -> Any:
        raise Fault(-32001, "Not found", {"reason": "NO_BLOCK", "height": 9})

    async with fake_node({"a": lambda p: p["x"], "b": broken}) as url, Client(url) as client:
        first, second, third = await client.batch([("a", {"x": 1}), ("b", {}), ("a", {"x": 2})])
        assert await client.batch([]) == []
    assert (first, third) == (1, 2)
    assert isinstance(second, RpcFailure)
    assert (second.code, second.data["height"]) == (-32001, 9)
    assert str(second) == "Not found (NO_BLOCK): height 9"


@pytest.mark.parametrize(
    ("message", "data", "sentence"),
    [
        ("Not found", {"what": "order", "reason": "NOT_FOUND", "code": -32001}, "Not found: order"),
        (
            "Invalid params",
            {"field": "total", "problem": "is missing", "reason": "INVALID_PARAMS", "code": -32602},
            "Invalid params: total: is missing",
        ),
        (
            "Refused",
            {"field": "outputs[0].to", "why": "not an address", "reason": "BAD_FIELD", "code": 10},
            "Refused (BAD_FIELD): outputs[0].to: not an address",
        ),
        ("Refused", {"next": 9, "reason": "BAD_NONCE", "code": 4}, "Refused (BAD_NONCE): next 9"),
        (
            "Limit exceeded",
            {"why": "it is full", "retry_after_ms": 1000, "reason": "BUSY", "code": -32005},
            "Limit exceeded (BUSY): it is full (retry_after_ms 1000)",
        ),
        ("Internal error", None, "Internal error"),
    ],
)
def test_an_error_reads_as_what_is_wrong_and_where(message: str, data: Any, sentence: str) -> None:
    assert str(RpcFailure(-32000, message, data)) == sentence


async def test_a_payment_is_built_checked_signed_and_sent() -> None:
    seen: list[str] = []

    def submit(params: dict[str, Any]) -> dict[str, Any]:
        seen.append(params["raw"])
        return {"status": "committed", "wait": params["wait"], "timeout_ms": params["timeout_ms"]}

    async with fake_node(node(tx_submit=submit)) as url, Client(url) as client:
        answer = await client.send("dollar_transfer", FIELDS, [dev_key("anna")], lane=2)
    assert (answer["status"], answer["wait"]) == ("committed", "committed")
    tx = open_transaction(bytes.fromhex(seen[0]), CHAIN)
    assert tx.body.sender == address_of(dev_key("anna").public_key)
    assert (tx.body.lane, tx.body.nonce, tx.body.fee_max) == (2, 7, 3)


async def test_an_account_with_several_keys_is_signed_for_by_all_that_are_given() -> None:
    seen: list[str] = []

    def submit(params: dict[str, Any]) -> dict[str, Any]:
        seen.append(params["raw"])
        return {"status": "committed"}

    keys = [dev_key("bruno"), dev_key("carla")]
    async with fake_node(node(tx_submit=submit)) as url, Client(url) as client:
        await client.send("dollar_transfer", FIELDS, keys, sender=ANNA)
    tx = open_transaction(bytes.fromhex(seen[0]), CHAIN)
    assert tx.body.sender == dev_address("anna")
    assert tx.signers() == {key.public_key for key in keys}
    assert all(is_signed_by(*claim) for claim in tx.claims())


@pytest.mark.parametrize(
    "lie",
    [
        {"fields": {"outputs": [{"to": ANNA, "amount": "5", "memo": ""}]}},
        {"fields": {"outputs": [{"to": BRUNO, "amount": "6", "memo": ""}]}},
        {"sender": BRUNO},
        {"lane": 3},
        {"payer": BRUNO},
        {"nonce": 8},
        {"fee_max": "4"},
        {"chain": bytes(32)},
    ],
)
async def test_a_node_cannot_have_another_transaction_signed(lie: dict[str, Any]) -> None:
    methods = node(tx_encode=encoder(**lie))
    asked = {"lane": 0, "nonce": 7, "fee_max": "3"}
    async with fake_node(methods) as url, Client(url) as client:
        with pytest.raises(Malformed):
            await client.build("dollar_transfer", FIELDS, ANNA, **asked)


async def test_waiting_ends_when_the_transaction_is_decided() -> None:
    states = iter(["unknown", "pending", "committed", "pending"])
    methods = {"tx_status": lambda _: {"status": next(states)}}
    async with fake_node(methods) as url, Client(url) as client:
        assert (await client.wait("00"))["status"] == "committed"
        assert (await client.wait("00", timeout_ms=0))["status"] == "pending"


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\xff", b"{"])
async def test_what_is_no_json_is_no_node(raw: bytes) -> None:
    async with fake_node({}, raw=raw) as url, Client(url) as client:
        with pytest.raises(Unreachable):
            await client.call("node_status")


@pytest.mark.parametrize("raw", [b"[]", b"1", b"{}", b'{"error": 1}', b'{"error": {}}'])
async def test_json_that_is_no_answer_is_a_failure(raw: bytes) -> None:
    async with fake_node({}, raw=raw) as url, Client(url) as client:
        with pytest.raises(RpcFailure):
            await client.call("node_status")


async def test_a_call_from_inside_a_loop_works_too() -> None:
    async with fake_node({"x": lambda _: 1}) as url:
        import asyncio

        assert await asyncio.to_thread(call_once, url, "x") == 1


def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(Unreachable, match=r"no node answers at http://127.0.0.1:1/ \("):
        call_once("http://127.0.0.1:1", "node_status")
