"""Members find each other, speak, part and meet again."""

from __future__ import annotations

import asyncio

from p2p.frames import Channel
from tests.p2p.conftest import World, until


async def test_four_members_connect_once_each_and_speak_in_order(world: World) -> None:
    nodes = await world.network("ada", "bob", "cyd", "dee")
    await asyncio.sleep(0.3)
    for node in nodes:
        assert len(node.switch._connections) == 3, "one connection for each pair"
        assert node.switch.broadcast(Channel.CONSENSUS, b"vote " + node.name.encode()) == 3
        for number in range(50):
            assert node.switch.send(
                "ada" if node.name != "ada" else "dee", Channel.TX, b"%d" % number
            )
    for node in nodes:
        await until(lambda node=node: len([m for m in node.messages if m[1] == 1]) == 3)
    await until(lambda: len([m for m in nodes[0].messages if m[0] == "bob" and m[1] == 3]) == 50)
    from_bob = [m[2] for m in nodes[0].messages if m[0] == "bob" and m[1] is Channel.TX]
    assert from_bob == [b"%d" % number for number in range(50)]
