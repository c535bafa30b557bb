"""The node as the JSON-RPC sees it: idempotent submitting, waiting, what became of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mgsnode import api as module
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.node import Node
from rpc.api import Submission
from tests.mgsnode.mesh import Mesh, mesh
from tests.mgsnode.txs import shape


def only(net: Mesh) -> Node:
    (node,) = net.nodes.values()
    return node


async def test_case_65_a_retried_submission_answers_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        api = only(net).api
        good, poor = net.pay(), net.pay(amount=10**15)
        first, second = [
            s for s in await api.submit_many([good, poor]) if isinstance(s, Submission)
        ]
        assert (first.status, second.status) == ("pending", "pending")
        for submission in (first, second):
            assert await api.wait_committed(submission.txid, 10_000)
        again = await api.submit(good)
        assert (again.status, again.height, again.code) == ("committed", 1, 0)
        refused = await api.submit(poor)
        assert (refused.status, refused.code) == ("refused", 101) and refused.reason
        assert api.pending(first.txid) == "unknown"  # no more: a block holds it


async def test_what_is_refused_at_the_door_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        api = only(net).api
        with pytest.raises(Malformed):
            await api.submit(b"junk")
        with pytest.raises(Rejected):
            await api.submit(shape().raw)  # of another chain
        late = net.pay(nonce=5)
        assert (await api.submit(late)).status == "pending"  # it waits for those before it
        assert api.next_nonce(b"x" * 32, 0) == 0


async def test_waiting_for_what_does_not_come_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        api = only(net).api
        assert await api.wait_committed(bytes(32), 20) is False
        assert await api.wait_height(0, 20) == 0
        cancelled = asyncio.ensure_future(api.wait_committed(bytes(32), 10_000))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert not api._waiting and not api._height_waiting


async def test_all_who_wait_are_answered_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        api = only(net).api
        raws = [net.pay() for _ in range(30)]
        opened = [api._ledger.open_tx(raw).txid for raw in raws]
        waiting = [api.wait_committed(txid, 10_000) for txid in opened for _ in range(3)]
        heights = [api.wait_height(0, 10_000) for _ in range(5)]
        answers = asyncio.gather(*waiting, *heights)
        await asyncio.sleep(0)
        await api.submit_many(raws)
        assert all(await answers)
        assert not api._waiting and not api._height_waiting
        assert await api.wait_committed(opened[0], 1)  # at once: it is there


async def test_expired_transactions_are_remembered_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXPIRED_MAX", 10)
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        api = only(net).api
        txs = [shape("a", nonce) for nonce in range(30)]
        api.on_expired(txs)
        assert api.pending(txs[-1].txid) == "expired"
        assert api.pending(txs[0].txid) == "unknown" and len(api._expired) == 10
