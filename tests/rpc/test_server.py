"""The door: who may knock, how long, and with what (cases 59, 60, 63, 64)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiohttp
import pytest

from rpc.api import NodeStatus
from rpc.gate import Gate, Gates
from rpc.limits import BODY_BYTES_MAX, HALF_OPEN_S, RpcSettings
from rpc.meter import Meter
from rpc.server import RpcServer
from rpc.session import Conversation

STATUS = b'{"jsonrpc":"2.0","id":1,"method":"node_status"}'


def bare_node() -> SimpleNamespace:
    """Just enough of a node to say how it is."""
    zero = "0" * 64
    status = NodeStatus(
        zero, "t", 1, "0", "n<script>", "g", "validator", 1, zero, 1, zero, 0, 0, "g", False,
        0, 0, 0, 1,
    )  # fmt: skip
    return SimpleNamespace(
        hrp="tmgs", status=lambda: status, ready=lambda: None, metrics_text=lambda: "a 1\n",
        peers=list, health=list,
    )  # fmt: skip


async def serve(settings: RpcSettings) -> tuple[RpcServer, str]:
    server = RpcServer(bare_node(), settings)
    await server.start()
    return server, f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def door() -> AsyncIterator[str]:
    server, url = await serve(RpcSettings(hosts=("node.example",), cors_origins=("http://shop",)))
    yield url
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def raw_exchange(url: str, data: bytes, wait_s: float = 3) -> bytes:
    """What the server says to `data` until it closes or `wait_s` is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), wait_s)
    except TimeoutError:
        return b""
    finally:
        writer.close()


async def test_a_call_is_answered_and_a_notification_is_not(
    door: str, http: aiohttp.ClientSession
) -> None:
    response = await http.post(door, data=STATUS)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert (await response.json())["result"]["chain_id"] == "t"
    response = await http.post(door, data=b'{"jsonrpc":"2.0","method":"node_status"}')
    assert (response.status, await response.read()) == (204, b"")
    response = await http.post(door, data=b'[{"jsonrpc":"2.0","method":"node_status"}]')
    assert (response.status, await response.read()) == (204, b"")
    response = await http.post(door, data=b"")
    assert (await response.json())["error"]["code"] == -32700


async def test_batches_answer_in_order_and_skip_notifications(
    door: str, http: aiohttp.ClientSession
) -> None:
    call = {"jsonrpc": "2.0", "method": "node_health"}
    batch = [{**call, "id": "a"}, call, {**call, "id": None}, {**call, "id": 2**70}, 7]
    answers = json.loads(await (await http.post(door, data=json.dumps(batch))).read())
    assert [answer["id"] for answer in answers] == ["a", None, 2**70, None]
    assert "result" in answers[1]
    assert answers[3]["error"]["code"] == -32600


async def test_pages_for_machines_and_people(door: str, http: aiohttp.ClientSession) -> None:
    assert (await http.get(door + "/livez")).status == 200
    assert (await http.get(door + "/readyz")).status == 200
    assert "mgs_rpc_connections" in await (await http.get(door + "/metrics")).text()
    assert (await (await http.get(door + "/openrpc.json")).json())["openrpc"] == "1.3.2"
    page = await (await http.get(door + "/")).text()
    assert "<script>" not in page
    assert "<td>false</td>" in page and "False" not in page
    assert " UTC)</td>" in page and "color-scheme: light dark" in page
    assert (await http.get(door + "/nothing")).status == 404
    assert (await http.put(door + "/", data=b"x")).status == 405
    assert (await http.get(door + "/ws")).status == 426


async def test_a_node_that_is_not_ready_says_why(http: aiohttp.ClientSession) -> None:
    server, url = await serve(RpcSettings())
    server._api.ready = lambda: "syncing"  # type: ignore[method-assign]
    response = await http.get(url + "/readyz")
    assert (response.status, await response.text()) == (503, "syncing\n")
    await server.stop()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200), ("localhost", 200), ("[::1]:8545", 200), ("NODE.example:1", 200),
        ("evil.com", 403), ("127.0.0.1.evil.com", 403), ("", 403), ("[::1", 200), ("10.0.0.1", 403),
    ],
)  # fmt: skip
async def test_case_64_only_known_host_names_are_answered(
    door: str, http: aiohttp.ClientSession, host: str, status: int
) -> None:
    response = await http.post(door, data=STATUS, headers={"Host": host})
    assert response.status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://shop", 200), ("http://evil.com", 403), ("null", 403), ("", 403)],
)
async def test_case_64_pages_of_other_origins_are_refused(
    door: str, http: aiohttp.ClientSession, origin: str, status: int
) -> None:
    response = await http.post(door, data=STATUS, headers={"Origin": origin})
    assert response.status == status
    allowed = response.headers.get("Access-Control-Allow-Origin")
    assert allowed == (origin if status == 200 else None)
    response = await http.get(door + "/ws", headers={"Origin": origin})
    assert response.status == (403 if status == 403 else 426)


async def test_a_page_of_our_own_may_call(door: str, http: aiohttp.ClientSession) -> None:
    assert (await http.post(door, data=STATUS, headers={"Origin": door})).status == 200
    response = await http.options(door, headers={"Origin": "http://shop"})
    assert response.headers["Access-Control-Allow-Methods"] == "POST"


async def test_case_63_no_compression_and_no_multipart(
    door: str, http: aiohttp.ClientSession
) -> None:
    for headers in (
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "br"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ):
        assert (await http.post(door, data=STATUS, headers=headers)).status == 415
    response = await http.post(door, data=STATUS, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers
    socket = await http.ws_connect(door + "/ws", compress=15)
    assert socket.compress == 0
    await socket.close()


async def test_a_body_beyond_the_limit_is_refused_said_or_sent(
    door: str, http: aiohttp.ClientSession
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    said = await raw_exchange(door, head % (BODY_BYTES_MAX + 1))
    assert said.startswith(b"HTTP/1.1 413")
    assert b"-32005" in said

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    try:
        response = await http.post(door, data=chunks())
        assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # cut while still sending


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
)
async def test_malformed_http_is_a_400_and_the_server_goes_on(
    door: str, http: aiohttp.ClientSession, junk: bytes
) -> None:
    answer = await raw_exchange(door, junk)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b"Traceback" not in answer
    assert (await http.get(door + "/livez")).status == 200


async def test_a_thousand_pipelined_requests_are_answered_in_order(door: str) -> None:
    body = b'{"jsonrpc":"2.0","id":%d,"method":"nothing"}'
    parts = [body % number for number in range(1_000)]
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(door.rpartition(":")[2]))
    writer.write(b"".join(head % len(part) + part for part in parts))
    for number in range(1_000):
        found = await asyncio.wait_for(reader.readuntil(b'"id":%d,' % number), 5)
        assert found.count(b"HTTP/1.1 200") == 1
    writer.close()


async def test_case_59_connections_are_capped(http: aiohttp.ClientSession) -> None:
    server, url = await serve(RpcSettings(connections_max=50, connections_per_ip_max=10))
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10)]
    await asyncio.sleep(0.05)
    assert (await raw_exchange(url, b"")).startswith(b"HTTP/1.1 503")
    held.pop()[1].close()
    await asyncio.sleep(0.05)
    assert (await http.get(url + "/livez")).status == 200
    for _, writer in held:
        writer.close()
    await server.stop()


async def test_case_59_five_hundred_half_open_requests_are_closed_within_ten_seconds() -> None:
    server, _ = await serve(RpcSettings(connections_per_ip_max=600))
    whole = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    starts = [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nHost: loc",
        whole % 100 + b'{"jso',
        whole % len(STATUS) + STATUS,  # answered, then idle
        whole % len(STATUS) + STATUS + b"POST / HT",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: webs",
    ]
    links = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(500)]
    start = time.monotonic()
    for number, (_, writer) in enumerate(links):
        writer.write(starts[number % len(starts)])

    async def until_closed(number: int, reader: asyncio.StreamReader) -> float:
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass
        return time.monotonic() - start

    async def dribble() -> None:
        for _ in range(20):  # a byte now and then buys no time
            await asyncio.sleep(0.5)
            for _, writer in links[3::8]:
                writer.write(b" ")

    dribbling = asyncio.create_task(dribble())
    waits = (until_closed(number, reader) for number, (reader, _) in enumerate(links))
    ended = await asyncio.wait_for(asyncio.gather(*waits), 15)
    dribbling.cancel()
    assert max(ended) <= 10
    assert server._gates.open == 0
    for _, writer in links:
        writer.close()
    await server.stop()


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.9", 1)})
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


class _Inner(asyncio.Protocol):
    pass


def gate_at(now: list[float]) -> tuple[Gates, Gate, _Transport]:
    gates = Gates(10, 10, lambda: now[0])
    gate, transport = Gate(gates, _Inner()), _Transport()
    gate.connection_made(transport)
    return gates, gate, transport


def test_a_reader_that_stalls_is_cut_and_one_that_takes_its_answer_is_not() -> None:
    now = [0.0]
    _, gate, transport = gate_at(now)
    gate.begin()
    assert not gate.close_if_late(1e9)  # we are the slow ones
    gate.end(1_000_000)  # ten seconds' worth of bytes
    assert not gate.close_if_late(HALF_OPEN_S + 9.9)
    assert gate.close_if_late(HALF_OPEN_S + 10.1)
    assert transport.is_cut


def test_leaving_early_buys_no_more_work() -> None:
    gates, gate, _ = gate_at([0.0])
    gate.begin()
    gate.connection_lost(None)
    assert gates.open == 1  # its work is still running
    gate.end(0)
    assert (gates.open, gates.by_address) == (0, {})


async def test_case_60_the_rate_counts_items_not_requests(http: aiohttp.ClientSession) -> None:
    server, url = await serve(RpcSettings(items_per_s=1, items_burst=20))
    call = {"jsonrpc": "2.0", "method": "node_health", "id": 1}
    answers = json.loads(await (await http.post(url, data=json.dumps([call] * 30))).read())
    codes = [answer.get("error", {}).get("code", 0) for answer in answers]
    assert codes == [0] * 20 + [-32005] * 10
    data = answers[-1]["error"]["data"]
    assert data["reason"] == "RATE"
    assert 0 < data["retry_after_ms"] <= 1_000
    await server.stop()


async def test_a_websocket_answers_as_http_does(door: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(door + "/ws") as socket:
        await socket.send_str("nonsense")
        assert (await socket.receive_json())["error"]["code"] == -32700
        await socket.send_str(STATUS.decode())
        assert (await socket.receive_json())["result"]["role"] == "validator"
        await socket.send_bytes(b"\x00")
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        assert message.extra == "text messages only"


async def test_a_websocket_message_beyond_the_limit_closes(
    door: str, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(door + "/ws") as socket:
        try:
            await socket.send_str(" " * (BODY_BYTES_MAX + 1))
            message = await socket.receive()
        except ConnectionError:
            return  # cut while still sending
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)


async def test_stopping_closes_websockets_with_a_reason(http: aiohttp.ClientSession) -> None:
    server, url = await serve(RpcSettings())
    async with http.ws_connect(url + "/ws") as socket:
        stopping = asyncio.create_task(server.stop())
        message = await socket.receive()
        assert message.extra == "the node stops"
        await asyncio.wait_for(stopping, 5)


async def test_clients_that_do_not_take_the_goodbye_are_waited_for_together() -> None:
    """One after the other, each with its 2 s, they would hold the node's end up for minutes."""
    server, _ = await serve(RpcSettings())
    told, all_told = [], asyncio.Event()

    async def close(reason: str) -> None:
        told.append(reason)
        if len(told) == 3:
            all_told.set()
        await all_told.wait()

    async def send(_data: bytes) -> None:
        raise AssertionError("nothing is said")

    for _ in range(3):
        conversation = Conversation(server._dispatcher, Meter(1, 1, 0.0), send=send, close=close)
        server._conversations.add(conversation)
    await asyncio.wait_for(server.stop(), 5)
    assert told == ["the node stops"] * 3
