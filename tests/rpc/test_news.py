"""News over WebSocket: complete, in order, resumable; a slow client is closed with the reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from mgsnode.base.address import address_text
from rpc.dispatch import Dispatcher
from rpc.limits import RpcSettings
from rpc.meter import Meter
from rpc.methods import all_methods
from rpc.server import RpcServer
from rpc.session import TOO_SLOW, Conversation
from tests.rpc.devnode import ALICE, BOB, CAROL, DevNode, address


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[DevNode]:
    node = DevNode(tmp_path / "store")
    yield node
    await asyncio.sleep(0.05)
    node.ledger.close()


@pytest.fixture
async def url(node: DevNode) -> AsyncIterator[str]:
    server = RpcServer(node, RpcSettings())
    await server.start()
    yield f"ws://127.0.0.1:{server.port}/ws"
    await server.stop()


async def call(socket: Any, method: str, **params: object) -> Any:
    await socket.send_str(
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    )
    while True:
        answer = await socket.receive_json(timeout=3)
        if "id" in answer:
            return answer.get("result", answer.get("error"))


async def news(socket: Any, count: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(count):
        message = await socket.receive_json(timeout=3)
        assert (message["jsonrpc"], message["method"]) == ("2.0", "subscription")
        assert message["params"].keys() == {"subscription", "cursor", "result"}
        found.append(message["params"])
    return found


async def pay(node: DevNode, *amounts: int, to: Any = BOB) -> None:
    with node.hold():
        for amount in amounts:
            await node.submit(node.pay(ALICE, address(to), amount))


async def test_blocks_events_and_transactions_are_told_as_they_become_final(
    node: DevNode, url: str
) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await pay(node, 1)
        names = {}
        for topic in ("blocks", "events", "tx"):
            names[(await call(socket, "subscribe", topic=topic))["subscription"]] = topic
        assert len(names) == 3
        await pay(node, 5, 6)
        told = await news(socket, 5)
        by_topic: dict[str, list[Any]] = {}
        for one in told:
            by_topic.setdefault(names[one["subscription"]], []).append(one["result"])
        assert [block["height"] for block in by_topic["blocks"]] == [2]
        assert [event["values"]["amount"] for event in by_topic["events"]] == ["5", "6"]
        assert [(tx["index"], tx["status"]) for tx in by_topic["tx"]] == [
            (0, "committed"), (1, "committed"),
        ]  # fmt: skip
        for name in names:
            answer = await call(socket, "unsubscribe", subscription=name)
            assert answer["unsubscribed"]
        assert not (await call(socket, "unsubscribe", subscription="s1"))["unsubscribed"]
        await pay(node, 7)
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.1)


async def test_a_cursor_resumes_where_it_was_without_gap_or_repeat(node: DevNode, url: str) -> None:
    async with aiohttp.ClientSession() as http:
        for topic in ("blocks", "events", "tx"):
            async with http.ws_connect(url) as socket:
                await pay(node, 1, 2, 3)
                after = None
                if topic == "events":
                    after = (await call(socket, "events_get", limit=500))["next_cursor"]
                    await pay(node, 1, 2, 3)
                await call(socket, "subscribe", topic=topic, after=after)
                await pay(node, 4, 5, 6)
                first = await news(socket, 1)
            await pay(node, 7)
            async with http.ws_connect(url) as socket:
                await call(socket, "subscribe", topic=topic, after=first[0]["cursor"])
                second = await news(socket, 1)
            a, b = first[0]["result"], second[0]["result"]
            place = (a["height"], a.get("index", 0)), (b["height"], b.get("index", 0))
            if topic == "blocks":
                assert place[1][0] == place[0][0] + 1
            else:
                assert place[1] == (place[0][0], place[0][1] + 1)


async def test_filters_choose_and_foolish_ones_are_refused(node: DevNode, url: str) -> None:
    carol = address_text(address(CAROL), node.hrp)
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        await call(socket, "subscribe", topic="tx", filter={"address": carol})
        await call(socket, "subscribe", topic="events", filter={"address": carol})
        await pay(node, 1)
        await pay(node, 2, to=CAROL)
        told = await news(socket, 2)
        assert {one["result"]["height"] for one in told} == {2}
        for params in (
            {"topic": "blocks", "filter": {"address": carol}},
            {"topic": "tx", "filter": {"name": "x"}},
            {"topic": "nonsense"},
            {"topic": "tx", "after": "00"},
            {"topic": "tx", "after": told[0]["cursor"] + "00"},
        ):
            assert (await call(socket, "subscribe", **params))["code"] == -32602


async def test_subscriptions_of_one_connection_are_capped(node: DevNode, url: str) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        for _ in range(16):
            assert "subscription" in await call(socket, "subscribe", topic="blocks")
        refused = await call(socket, "subscribe", topic="blocks")
        assert (refused["code"], refused["data"]["reason"]) == (-32005, "SUBSCRIPTIONS")
        await call(socket, "unsubscribe", subscription="s3")
        await asyncio.sleep(0.01)
        assert "subscription" in await call(socket, "subscribe", topic="blocks")


def conversation(node: Any, send: Any, closed: list[str], send_s: float = 0.05) -> Conversation:
    clock = asyncio.get_running_loop().time
    dispatcher = Dispatcher(node, all_methods(), clock)

    async def close(reason: str) -> None:
        closed.append(reason)

    meter = Meter(10_000, 10_000, clock())
    return Conversation(dispatcher, meter, send=send, close=close, send_s=send_s)


async def test_a_client_that_does_not_read_is_closed_with_the_reason(node: DevNode) -> None:
    closed: list[str] = []
    sent: list[bytes] = []

    async def send(data: bytes) -> None:
        sent.append(data)
        if len(sent) > 1:
            await asyncio.sleep(60)  # its socket is full

    one = conversation(node, send, closed)
    await one.receive(b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":["blocks"]}')
    await asyncio.sleep(0.01)
    node.mine()
    node.mine()
    await asyncio.sleep(0.15)
    assert closed == [TOO_SLOW]
    await asyncio.wait_for(one.end(), 1)


async def test_a_stalled_socket_gets_the_reason_as_its_last_frame(node: DevNode) -> None:
    server = RpcServer(node, RpcSettings(), send_s=0.3)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 12)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    call = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}'
    frame = b"\x81" + bytes([0x80 | len(call)]) + bytes(4) + call
    writer.write(frame * 400)  # 20 MB of answers, unread
    await asyncio.sleep(1)
    last = b""
    while chunk := await asyncio.wait_for(reader.read(1 << 20), 5):
        last = (last + chunk)[-200:]
    assert last.endswith(TOO_SLOW.encode())
    writer.close()
    await server.stop()


async def test_a_subscription_that_breaks_closes_instead_of_going_silent(node: DevNode) -> None:
    closed: list[str] = []

    async def send(_data: bytes) -> None:
        pass

    broken = SimpleNamespace(
        hrp=node.hrp, registry=node.registry, view=node.view,
        wait_height=lambda _above, _ms: _raise(ValueError("a bug")),
    )  # fmt: skip
    one = conversation(broken, send, closed)
    await one.receive(b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":["blocks"]}')
    await asyncio.sleep(0.05)
    assert closed == ["the subscription failed"]


async def _raise(error: Exception) -> int:
    raise error


async def test_too_many_requests_at_once_stop_the_reading(node: DevNode) -> None:
    async def send(_data: bytes) -> None:
        pass

    one = conversation(node, send, [])
    wait = b'{"jsonrpc":"2.0","id":1,"method":"events_get","params":{"wait_ms":400}}'
    for _ in range(32):
        await asyncio.wait_for(one.receive(wait), 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one.receive(wait), 0.05)
    await one.end()
