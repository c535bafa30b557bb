"""Far behind: fetched while the network goes on, at the speed of one's own checking, voteless."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from consensus.messages import open_message
from mgsnode import sync
from mgsnode.base.errors import MgsError
from mgsnode.base.keys import Signed
from mgsnode.devnet import dev_address, gateway_names
from mgsnode.home import Home
from p2p.frames import Channel
from tests.mgsnode.far import BLOCK_MS, copy_chain, extend
from tests.mgsnode.mesh import Mesh, mesh

BINDING = {Signed.PREPARE, Signed.COMMIT, Signed.COMPLAIN, Signed.VIEW_CHANGE, Signed.NEW_VIEW}


def give_chain(net: Mesh, names: list[str], blocks: int, *, txs: int) -> None:
    """The first three get the chain, the last stays at its genesis."""
    first = Home(net.root / names[0]).store
    extend(first, net.genesis, blocks, txs=txs)
    for name in names[1:-1]:
        copy_chain(first, net.root / name, blocks)


@pytest.mark.parametrize(
    "blocks", [pytest.param(2_000), pytest.param(10_000, marks=pytest.mark.long)]
)
async def test_a_node_far_behind_catches_up_while_the_network_goes_on(
    blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_TELL_S", 0.5)
    names = gateway_names(4)
    ago_ms = blocks * BLOCK_MS + 3_000
    async with mesh(tmp_path, monkeypatch, start=False, ago_ms=ago_ms) as net:
        give_chain(net, names, blocks, txs=2)
        late = names[-1]
        said: list[Signed] = []

        def listens(source: str, _to: str, channel: Channel, payload: bytes) -> bool:
            if source == late and channel is Channel.CONSENSUS and net.nodes[late].height < blocks:
                try:
                    said.append(open_message(payload).kind)
                except MgsError:
                    pass
            return True

        net.wires.keeps = listens
        for name in names[:-1]:
            await net.start(name)
        nonce = net.nodes[names[0]].api.next_nonce
        net.nonces = {"chloe": nonce(dev_address("chloe"), 0)}
        await net.nodes[names[0]].api.submit(net.pay("chloe"))
        await net.until(lambda: net.nodes[names[1]].height > blocks, "it goes on", seconds=60)
        with capture_logs() as logs:
            start = time.monotonic()
            node = await net.start(late)
            seen = set()
            while node.height < blocks:
                status = node.api.status()
                assert status.height <= status.target and status.since == 0
                seen.add((status.syncing, (node.api.ready() or "")[:11]))
                assert time.monotonic() - start < blocks / 10, f"height {node.height}"
                await net.nodes[names[0]].api.submit(net.pay("chloe"))
                await asyncio.sleep(0.05)
            took_s = time.monotonic() - start
        assert (True, "catching up") in seen
        assert not set(said) & BINDING  # case 17: who is behind votes for nothing
        told = [log for log in logs if log["event"] == "catching up"]
        assert told and all(log["height"] <= log["of"] for log in told)
        await net.until(net.same, "all at one height", seconds=60)
        await net.until(lambda: not node.api.status().syncing and node.api.ready() is None, "ready")
        before = node.height
        assert before > blocks
        await node.api.submit(net.pay("chloe"))
        await net.until(lambda: node.height > before, "it takes part")
        assert all(other.driver.views_entered == 0 for other in net.nodes.values())
        print(f"{blocks / took_s:.0f} blocks/s, {blocks * 2 / took_s:.0f} tx/s beside 3 nodes")
