"""The SDK follows a node's news: nothing skipped, taken up again by cursor, an end is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mgsnode.client import Client, RpcFailure, Unreachable
from rpc.limits import RpcSettings
from rpc.server import RpcServer
from tests.rpc.devnode import ALICE, BOB, DOLLAR, DevNode, address


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[DevNode, RpcServer, Client]]:
    node = DevNode(tmp_path / "store")
    server = RpcServer(node, RpcSettings())
    await server.start()
    async with Client(f"http://127.0.0.1:{server.port}") as client:
        yield node, server, client
    await server.stop()
    node.ledger.close()


Door = tuple[DevNode, RpcServer, Client]


async def test_a_subscriber_hears_each_transaction_and_goes_on_from_its_cursor(door: Door) -> None:
    node, _, client = door
    txids = []
    async with client.subscribe("tx") as news:
        for _ in range(3):
            txids.append((await client.submit(node.pay(ALICE, address(BOB), DOLLAR)))["txid"])
            node.mine()
        heard = [await anext(news) for _ in txids]
    assert [each.result["txid"] for each in heard] == txids
    assert all(each.result["code"] == 0 for each in heard)
    async with client.subscribe("tx", {"after": heard[0].cursor}) as news:
        assert [(await anext(news)).result["txid"] for _ in txids[1:]] == txids[1:]


async def test_what_a_node_refuses_to_tell_is_an_error_with_its_code(door: Door) -> None:
    _, _, client = door
    with pytest.raises(RpcFailure) as refused:
        async with client.subscribe("blocks", {"after": "nonsense"}):
            pass
    assert refused.value.code == -32602


async def test_a_node_that_stops_ends_the_news_with_a_sentence(door: Door) -> None:
    _, server, client = door
    async with client.subscribe("blocks") as news:
        await server.stop()
        with pytest.raises(Unreachable, match="ended the subscription"):
            await anext(news)
    with pytest.raises(Unreachable, match="no news"):
        async with client.subscribe("blocks"):
            pass
