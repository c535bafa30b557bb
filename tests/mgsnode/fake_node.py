"""A JSON-RPC server with answers from a table, for tests of what asks it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Method = Callable[[dict[str, Any]], Any]


class Fault(Exception):
    """Makes the fake answer a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": data}


@asynccontextmanager
async def fake_node(methods: dict[str, Method], raw: bytes | None = None) -> AsyncIterator[str]:
    """Serve `methods`; yields the URL. `raw`: answer these bytes to everything."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return {**head, "result": methods[request["method"]](request["params"])}
        except Fault as fault:
            return {**head, "error": fault.error}
        except KeyError:
            return {**head, "error": {"code": -32601, "message": "Method not found"}}

    async def handle(request: web.Request) -> web.Response:
        if raw is not None:
            return web.Response(body=raw)
        message = json.loads(await request.read())
        if isinstance(message, list):
            return web.json_response([answer(item) for item in reversed(message)])
        return web.json_response(answer(message))

    app = web.Application()
    app.router.add_post("/", handle)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()
