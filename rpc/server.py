"""The JSON-RPC's door: HTTP and WebSocket. The only file that imports aiohttp (with the client).

It must not know any method. It is safe to leave open on a machine where people browse: it
listens on loopback unless told, answers only to host names it knows (a page that rebinds its
own name to this machine is refused), and to pages of other origins only if they are listed. It
takes no compression and no multipart, and bounds the body, the connections, their time and what
one address may ask for. Case numbers 59 to 64.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from rpc import errors, jsonrpc
from rpc.api import Api
from rpc.dispatch import Dispatcher
from rpc.gate import Gate, Gates
from rpc.limits import BODY_BYTES_MAX, PING_S, SEND_S, RpcSettings
from rpc.meter import Meter
from rpc.methods import all_methods
from rpc.openrpc import openrpc_bytes
from rpc.page import STATUS_PAGE_HEADERS, status_page
from rpc.session import Conversation

_log = logging.getLogger("rpc")
_METERS_MAX: Final = 4_096  # addresses remembered; full buckets are forgotten first
_CLOSE_S: Final = 2.0  # a client that is told goodbye gets this long to say so too
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_JSON: Final = {**_HEADERS, "Content-Type": "application/json"}
_TEXT: Final = {**_HEADERS, "Content-Type": "text/plain; charset=utf-8"}
_METRICS: Final = {**_HEADERS, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


class RpcServer:
    """The server of one node. `start`, then `port` is known; `stop` lets what runs end."""

    def __init__(self, api: Api, settings: RpcSettings, *, send_s: float = SEND_S) -> None:
        self._send_s = send_s
        self._api = api
        self._settings = settings
        self._hosts = _LOOPBACK | {host.lower() for host in settings.hosts}
        if not _is_wildcard(settings.host):
            self._hosts |= {settings.host.lower()}
        self._meters: dict[str, Meter] = {}
        self._conversations: set[Conversation] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        loop = asyncio.get_running_loop()
        self._clock_s = loop.time
        settings = self._settings
        self._gates = Gates(settings.connections_max, settings.connections_per_ip_max, loop.time)
        methods = all_methods()
        self._dispatcher = Dispatcher(self._api, methods, loop.time)
        self._openrpc = openrpc_bytes(methods)
        self._server = web.Server(
            self._handle, access_log=None, auto_decompress=False, lingering_time=0
        )
        self._listener = await loop.create_server(
            lambda: Gate(self._gates, self._server()), settings.host, settings.port, backlog=512
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._sweeper = asyncio.create_task(self._gates.sweep(), name="rpc sweeper")

    async def stop(self) -> None:
        """Close the listener, then the connections; requests in hand get 2 s to end."""
        if self._listener is None:
            return
        self._listener.close()
        closing = [conversation.close("the node stops") for conversation in self._conversations]
        await asyncio.gather(*closing)  # at once: each may take `_CLOSE_S`
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=2)
        assert self._sweeper is not None
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        self._listener = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        gate = self._gates.by_transport.get(request.transport) if request.transport else None
        if gate is None:  # the caller has left already
            return web.Response(status=400)
        response: web.StreamResponse | None = None
        try:
            refusal = self._refuse(request)
            response = refusal or await self._route(request, gate)
            return response
        except (ConnectionError, web.RequestPayloadError):
            return _plain(400, "the request did not arrive whole")
        finally:
            body = response.body if isinstance(response, web.Response) else None
            gate.end(len(body) if isinstance(body, bytes) else 0)

    def _refuse(self, request: web.BaseRequest) -> web.Response | None:
        """Case 64: a host name that is not ours, or a page of another origin."""
        host = request.headers.get("Host", "")
        if _host_name(host) not in self._hosts:
            return _plain(403, "this host name is not listed (rpc.allowed_hosts)")
        origin = request.headers.get("Origin")
        if origin is None or origin in self._settings.cors_origins:
            return None
        if origin.lower() == f"http://{host}".lower():
            return None  # a page of our own
        return _plain(403, "this origin is not listed (rpc.cors_origins)")

    async def _route(self, request: web.BaseRequest, gate: Gate) -> web.StreamResponse:
        path, verb = request.path, request.method
        if path == "/" and verb == "POST":
            return await self._post(request, gate)
        if path == "/" and verb == "OPTIONS":
            return web.Response(status=204, headers=self._cors(request))
        if verb not in ("GET", "HEAD"):
            return _plain(405, "POST / or GET")
        page = self._pages.get(path)
        if page is None:
            return _plain(404, "not found")
        gate.begin()
        return await page(self, request, gate)

    async def _post(self, request: web.BaseRequest, gate: Gate) -> web.Response:
        headers = request.headers
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            return _plain(415, "no compression")
        if headers.get("Content-Type", "").lower().startswith("multipart/"):
            return _plain(415, "application/json")
        raw = await _read_body(request)
        gate.begin()
        if raw is None:
            error = errors.limit("BODY_TOO_LARGE", highest=BODY_BYTES_MAX)
            response = web.Response(
                status=413, body=jsonrpc.encode_error(None, error), headers=_JSON
            )
            response.force_close()
            return response
        answer = await self._dispatcher.answer(raw, self._meter(gate.address))
        cors = self._cors(request)
        if not answer:
            return web.Response(status=204, headers={**_HEADERS, **cors})
        return web.Response(body=answer, headers={**_JSON, **cors} if cors else _JSON)

    def _cors(self, request: web.BaseRequest) -> dict[str, str]:
        origin = request.headers.get("Origin")
        if origin is None or origin not in self._settings.cors_origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Vary": "Origin",
        }

    def _meter(self, address: str) -> Meter:
        meter = self._meters.get(address)
        if meter is None:
            now_s = self._clock_s()
            if len(self._meters) >= _METERS_MAX:
                self._meters = {a: m for a, m in self._meters.items() if not m.is_full(now_s)}
            settings = self._settings
            meter = Meter(settings.items_per_s, settings.items_burst, now_s)
            self._meters[address] = meter
        return meter

    async def _websocket(self, request: web.BaseRequest, gate: Gate) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _plain(426, "a WebSocket")
        socket = web.WebSocketResponse(
            heartbeat=PING_S, max_msg_size=BODY_BYTES_MAX, compress=False, timeout=_CLOSE_S
        )
        await socket.prepare(request)

        async def send(data: bytes) -> None:
            await socket.send_str(data.decode())

        async def close(reason: str) -> None:
            gate.hurry()  # who does not read will not read this either
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason.encode())

        meter = self._meter(gate.address)
        conversation = Conversation(
            self._dispatcher, meter, send=send, close=close, send_s=self._send_s
        )
        self._conversations.add(conversation)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    await conversation.close("text messages only")
                    break
                await conversation.receive(message.data.encode())
        finally:
            self._conversations.discard(conversation)
            await conversation.end()
        return socket

    async def _live(self, _request: web.BaseRequest, _gate: Gate) -> web.StreamResponse:
        return _plain(200, "ok")

    async def _ready(self, _request: web.BaseRequest, _gate: Gate) -> web.StreamResponse:
        why = self._api.ready()
        return _plain(200, "ready") if why is None else _plain(503, why)

    async def _metrics(self, _request: web.BaseRequest, _gate: Gate) -> web.StreamResponse:
        text = self._api.metrics_text() + self._own_metrics()
        return web.Response(body=text.encode(), headers=_METRICS)

    async def _openrpc_json(self, _request: web.BaseRequest, _gate: Gate) -> web.StreamResponse:
        return web.Response(body=self._openrpc, headers=_JSON)

    async def _page(self, _request: web.BaseRequest, _gate: Gate) -> web.StreamResponse:
        page = status_page(self._api.status(), self._api.ready())
        return web.Response(body=page, headers=STATUS_PAGE_HEADERS)

    _pages: Final[
        dict[
            str,
            Callable[[RpcServer, web.BaseRequest, Gate], Awaitable[web.StreamResponse]],
        ]
    ] = {
        "/": _page,
        "/ws": _websocket,
        "/livez": _live,
        "/readyz": _ready,
        "/metrics": _metrics,
        "/openrpc.json": _openrpc_json,
    }

    def _own_metrics(self) -> str:
        lines = [
            "# TYPE mgs_rpc_connections gauge",
            f"mgs_rpc_connections {self._gates.open}",
            "# TYPE mgs_rpc_connections_refused_total counter",
            f"mgs_rpc_connections_refused_total {self._gates.refused}",
            "# TYPE mgs_rpc_connections_cut_total counter",
            f"mgs_rpc_connections_cut_total {self._gates.cut}",
            "# TYPE mgs_rpc_requests_total counter",
        ]
        lines += [
            f'mgs_rpc_requests_total{{method="{method}",code="{code}"}} {count}'
            for (method, code), count in sorted(self._dispatcher.answered.items())
        ]
        return "\n".join(lines) + "\n"


def _plain(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text + "\n", headers=_HEADERS)
    if status in (403, 415):
        response.force_close()
    return response


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """The body, or None where it is longer than `BODY_BYTES_MAX` (said or sent)."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        return None
    chunks: list[bytes] = []
    size = 0
    while chunk := await request.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            return None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _host_name(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
