"""A wallet for tests: calls methods as a stranger does, and holds each answer to its schema."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jsonschema import Draft7Validator

from mgsnode.base.address import address_text
from rpc.dispatch import Dispatcher
from rpc.meter import Meter
from rpc.methods import all_methods
from tests.rpc.devnode import DevNode, address

METHODS = {method.name: method for method in all_methods()}


class Wallet:
    """Calls methods as a stranger does, and checks every answer's form."""

    def __init__(self, node: DevNode) -> None:
        self.node = node
        self._dispatcher = Dispatcher(node, all_methods(), asyncio.get_running_loop().time)
        self._meter = Meter(1_000_000, 1_000_000, 0)

    def text(self, key: Any) -> str:
        return address_text(address(key), self.node.hrp)

    async def answer(self, method: str, params: object) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        raw = await self._dispatcher.answer(json.dumps(message).encode(), self._meter)
        answer = json.loads(raw)
        assert isinstance(answer, dict)
        return answer

    async def call(self, method: str, *by_position: object, **by_name: object) -> Any:
        answer = await self.answer(method, list(by_position) or by_name)
        assert "error" not in answer, answer
        Draft7Validator(dict(METHODS[method].result)).validate(answer["result"])
        return answer["result"]

    async def refusal(self, method: str, *by_position: object, **by_name: object) -> Any:
        answer = await self.answer(method, list(by_position) or by_name)
        assert "result" not in answer, answer
        assert answer["error"]["data"].keys() >= {"reason", "code"}
        return answer["error"]

    async def send(self, key: Any, kind: str, *cosigners: Any, **fields: object) -> dict[str, Any]:
        """With nothing but Ed25519 and JSON-RPC: encode, sign, submit, wait."""
        tx = {"kind": kind, "sender": self.text(key), "fields": fields}
        encoded = await self.call("tx_encode", tx=tx)
        message = bytes.fromhex(encoded["signing_bytes"])
        signatures = [
            {"public_key": one.public_key.hex(), "signature": one.sign(message).hex()}
            for one in (key, *cosigners)
        ]
        signed = {**encoded["tx"], "signatures": signatures}
        sent = await self.call("tx_submit", tx=signed, wait="committed")
        assert sent["txid"] == encoded["txid"]
        return sent
