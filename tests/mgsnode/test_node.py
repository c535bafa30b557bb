"""Whole nodes on wires in memory: observers, a full disk, evidence, and whatever peers may send."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from consensus.messages import (
    complain_fields,
    encode_message,
    open_message,
    pre_prepare_fields,
)
from mgsnode import diskfloor, housekeeping
from mgsnode.base.block import vote_fields
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import FRAME_BYTES_MAX
from mgsnode.devnet import dev_key
from mgsnode.home import Home
from p2p.frames import Channel
from tests.mgsnode.mesh import WATCHER, Mesh, mesh

GIB = 2**30


async def settle(net: Mesh, count: int = 1) -> None:
    """Some payments, decided everywhere."""
    for place in range(count):
        nodes = [node for node in net.nodes.values() if node.driver.replica.me is not None]
        txid = (await nodes[place % len(nodes)].api.submit(net.pay())).txid
        for node in net.nodes.values():
            assert await node.api.wait_committed(txid, 10_000)
    await net.until(net.same, "one head")


# Observers


@pytest.mark.parametrize("vote", [True, False])
async def test_an_observer_follows_and_serves_without_a_vote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vote: bool
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        await settle(net, 2)
        net.make_home(WATCHER, vote=vote)
        watcher = await net.start(WATCHER)
        await net.until(net.same, "it has caught up")
        await settle(net, 3)
        status = watcher.api.status()
        assert (status.role, status.gateway, status.height) == ("observer", "", 5)
        assert watcher.api.ready() is None and status.peers == 4
        with watcher.api.view() as view:
            assert view.height == 5
        # What a wallet brings to it reaches the members, and it hears of the block.
        txid = (await watcher.api.submit(net.pay())).txid
        assert await watcher.api.wait_committed(txid, 10_000)
        assert watcher._guard is None or watcher._guard.syncs == 0
        assert not net.wires.penalties


async def test_an_observer_that_knows_nobody_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1, start=False) as net:
        net.make_home(WATCHER)
        watcher = await net.start(WATCHER)
        assert "peers connected" in (watcher.api.ready() or "")


async def test_an_observer_catches_up_with_a_long_chain_and_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        await settle(net, 80)
        net.make_home(WATCHER, vote=False)
        watcher = await net.start(WATCHER)
        await net.until(net.same, "it has caught up")
        assert not watcher.sync.fetching
        await net.stop(WATCHER)
        await settle(net, 2)
        await net.start(WATCHER)
        await net.until(net.same, "it has caught up again")


async def test_case_42_a_member_without_its_journal_follows_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        name = list(net.nodes)[3]
        await settle(net)
        await net.stop(name)
        for file in (tmp_path / name / "journal").iterdir():
            file.unlink()
        node = await net.start(name)
        await net.until(net.same, "it has caught up")
        await settle(net, 2)
        vote = {check.name: check for check in node.api.health()}["vote"]
        assert not vote.ok and "journal" in vote.detail
        assert node.api.status().role == "observer"


# The disk


async def test_case_44_a_nearly_full_disk_stops_votes_and_says_so_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: dict[str, int] = {}
    monkeypatch.setattr(
        diskfloor.shutil, "disk_usage", lambda path: SimpleNamespace(free=free.get(str(path), GIB))
    )
    monkeypatch.setattr(housekeeping, "_ROUND_S", 0.05)
    async with mesh(tmp_path, monkeypatch) as net:
        await settle(net)
        full = list(net.nodes.values())[3]
        free[str(Home(tmp_path / full.name).store)] = 2**20
        await net.until(lambda: full.api.ready() is not None, "/readyz says so")
        assert "1 MiB free" in (full.api.ready() or "")
        await net.until(lambda: not full.driver.replica.may_bind, "it votes no more")
        stood = full.height
        others = [node for node in net.nodes.values() if node is not full]
        for _ in range(3):
            txid = (await others[0].api.submit(net.pay())).txid
            for node in others:
                assert await node.api.wait_committed(txid, 10_000)
        await asyncio.sleep(0.3)
        assert full.height == stood
        with full.api.view() as view:  # reads are served
            assert view.height == stood
        free.clear()
        await net.until(lambda: full.api.ready() is None, "ready again")
        await net.until(net.same, "it goes on")
        await net.until(lambda: full.driver.replica.may_bind, "and votes")
        await settle(net)


async def test_a_node_that_starts_on_a_full_disk_never_votes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diskfloor.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        await node.api.submit(net.pay())
        await asyncio.sleep(0.3)
        assert node.height == 0 and node._guard is not None and node._guard.syncs == 0


# Whatever peers may send


def said_by(net: Mesh, name: str, kind: Signed, fields: bytes, tail: Value = ()) -> bytes:
    """A message that this gateway really signed."""
    signature = dev_key(name, "vote").sign(statement(kind, net.genesis.hash, fields))
    return encode_message(kind, fields, signature, tail)


def evidence_of(home: Path) -> list[dict[str, Any]]:
    path = home / "data" / "evidence.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_case_13_evidence_is_kept_once_for_each_height(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        await settle(net)
        liar, node = list(net.nodes)[2], next(iter(net.nodes.values()))
        height = node.height + 1
        for index in range(200):
            fields = vote_fields(0, 0, height, bytes([index]) * 32, 2)
            node._on_message(liar, Channel.CONSENSUS, said_by(net, liar, Signed.COMMIT, fields))
        await net.until(lambda: node.driver.evidence_found >= 199, "all was read")
        (found,) = evidence_of(tmp_path / node.name)
        assert (found["gateway"], found["kind"]) == (liar, "COMMIT")
        first, second = found["first"], found["second"]
        assert first != second
        for fields_hex, signature_hex in (first, second):  # anyone can check it
            message = statement(Signed.COMMIT, net.genesis.hash, bytes.fromhex(fields_hex))
            assert dev_key(liar, "vote").sign(message) == bytes.fromhex(signature_hex)
        checks = {check.name: check.ok for check in node.api.health()}
        assert checks["evidence"] is False
        await settle(net, 2)  # and the network goes on


class Recorder:
    """Keeps a few of each kind of real message that went over the wires."""

    def __init__(self) -> None:
        self.kept: dict[tuple[Channel, int], list[bytes]] = {}

    def __call__(self, _source: str, _to: str, channel: Channel, payload: bytes) -> bool:
        try:
            value = decode(payload, bytes_max=FRAME_BYTES_MAX)
        except Malformed:
            return True
        first = value[0] if isinstance(value, tuple) and value else 0
        kept = self.kept.setdefault((channel, first if isinstance(first, int) else 0), [])
        if len(kept) < 8:
            kept.append(payload)
        return True


ODD: tuple[Value, ...] = (
    0, -1, 1, 2**31, 2**63 - 1, -(2**63), True, False, b"", "", (), ZERO_HASH, bytes(64), b"\xff",
    bytes(5_000), ((),), (0,) * 40, "\x00" * 300,
)  # fmt: skip


def mutated(value: Value, random: Random) -> Value:
    """The value with something in it changed; bytes that hold a value are opened sometimes."""
    if isinstance(value, tuple) and value and random.random() < 0.85:
        items = list(value)
        place = random.randrange(len(items))
        move = random.random()
        if move < 0.75:
            items[place] = mutated(items[place], random)
        elif move < 0.85:
            del items[place]
        elif move < 0.95:
            items.insert(place, random.choice(items))
        else:
            random.shuffle(items)
        return tuple(items)
    if isinstance(value, bytes) and value and random.random() < 0.8:
        try:
            inner = decode(value, bytes_max=FRAME_BYTES_MAX)
        except Malformed:
            inner = None
        if isinstance(inner, tuple):
            return encode(mutated(inner, random))
        flipped = bytearray(value)
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
        return bytes(flipped)
    if type(value) is int and random.random() < 0.6:
        return max(-(2**63), min(2**63 - 1, value + random.choice((-2, -1, 1, 2, 100, 2**40))))
    return random.choice(ODD)


def mutated_bytes(payload: bytes, random: Random) -> bytes:
    if random.random() < 0.2:
        cut = bytearray(payload[: random.randrange(len(payload) + 1)])
        if cut:
            cut[random.randrange(len(cut))] = random.randrange(256)
        return bytes(cut)
    value = decode(payload, bytes_max=FRAME_BYTES_MAX)
    for _ in range(random.randrange(1, 4)):
        value = mutated(value, random)
    return encode(value)


def in_the_name_of(index: int, n: int, kind: Signed, fields: bytes) -> bytes:
    """The fields of a message with this member as the one who says it."""
    try:
        items = decode(fields, bytes_max=FRAME_BYTES_MAX)
    except Malformed:
        return fields
    if not isinstance(items, tuple) or len(items) < 3 or type(items[1]) is not int:
        return fields
    said = list(items)
    if kind in (Signed.PRE_PREPARE, Signed.NEW_VIEW):
        said[1] = min(2**60, items[1]) // n * n + index  # a view of which it is the primary
    elif kind is Signed.STATUS and len(said) > 5:
        said[4] = index
    else:
        said[-1] = index
    return encode(tuple(said))


def signed_again(net: Mesh, name: str, payload: bytes) -> bytes:
    """A consensus message with its fields nearly as they are, really signed by `name`."""
    index = [gateway.name for gateway in net.genesis.gateways].index(name)
    try:
        value = decode(payload, bytes_max=FRAME_BYTES_MAX)
    except Malformed:
        return payload
    match value:
        case (int() as kind, bytes() as fields, _, tail) if kind in set(Signed):
            fields = in_the_name_of(index, len(net.genesis.gateways), Signed(kind), fields)
            return said_by(net, name, Signed(kind), fields, tail)
    return payload


async def provoke(net: Mesh) -> None:
    """Makes the network say all it can say: proposals, votes, a view change, catching up."""
    await settle(net, 3)
    first = next(iter(net.nodes))
    await net.stop(first)
    txid = (await list(net.nodes.values())[1].api.submit(net.pay())).txid
    for node in net.nodes.values():
        assert await node.api.wait_committed(txid, 15_000)
    await net.start(first)
    await settle(net, 2)


async def test_no_message_of_a_peer_ends_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(20_261_122)
    async with mesh(tmp_path, monkeypatch) as net:
        net.wires.keeps = recorder = Recorder()
        await provoke(net)
        kinds = {kind for channel, kind in recorder.kept if channel is Channel.CONSENSUS}
        assert kinds >= {
            Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT, Signed.VIEW_CHANGE,
            Signed.NEW_VIEW, Signed.COMPLAIN, Signed.STATUS,
        }  # fmt: skip
        liar = list(net.nodes)[3]
        targets = [net.nodes[name] for name in list(net.nodes)[:3]]
        for turn in range(3_000):
            channel, _ = key = random.choice(list(recorder.kept))
            payload = mutated_bytes(random.choice(recorder.kept[key]), random)
            if channel is Channel.CONSENSUS and random.random() < 0.7:
                payload = signed_again(net, liar, payload)
            random.choice(targets)._on_message(liar, channel, payload)
            if turn % 50 == 0:
                raw = random.randbytes(random.randrange(200))
                for every in (Channel.CONSENSUS, Channel.SYNC, Channel.TX):
                    targets[0]._on_message(liar, every, raw)
                await asyncio.sleep(0.001)
        await net.until(lambda: not any(n.driver._inbox for n in targets), "all was read")
        net.wires.keeps = lambda *_: True
        for node in net.nodes.values():
            assert not node._failure.done()
        await settle(net, 3)
        with targets[0].api.view() as view:
            assert all(law.ok for law in targets[0].ledger.laws(view))


async def test_extreme_statements_that_a_member_really_signed_are_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        await settle(net)
        liar, node = list(net.nodes)[1], next(iter(net.nodes.values()))
        top = 2**63 - 1
        for number in (0, 1, 2, 2**40, top - 1, top):
            for fields, kind, tail in (
                (vote_fields(0, number, number, ZERO_HASH, 1), Signed.PREPARE, ()),
                (vote_fields(number, 0, 2, ZERO_HASH, 1), Signed.COMMIT, ()),
                (vote_fields(0, number, 2, ZERO_HASH, 1), Signed.COMMIT, ()),
                (complain_fields(0, number, 1), Signed.COMPLAIN, "why"),
                (pre_prepare_fields(0, 1, number, ZERO_HASH), Signed.PRE_PREPARE, (b"", ())),
                (encode((0, number, ZERO_HASH, ZERO_HASH, 1)), Signed.CHECKPOINT, ()),
                (
                    encode((0, number, True, number, 1, 0, b"", b"", b"", ())),
                    Signed.STATUS,
                    (),
                ),
            ):
                raw = said_by(net, liar, kind, fields, tail)
                open_message(raw)  # right in shape
                node._on_message(liar, Channel.CONSENSUS, raw)
        await net.until(lambda: not node.driver._inbox, "all was read")
        await asyncio.sleep(0.1)
        assert not node._failure.done()
        await settle(net, 2)
        assert not any(each.sync.fetching for each in net.nodes.values())


async def test_our_own_broken_store_is_not_taken_for_a_peers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mgsnode.base.errors import Corrupt

    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        await settle(net)
        (node,) = net.nodes.values()

        def broken(_height: int) -> None:
            raise Corrupt("height 1: header")

        monkeypatch.setattr(node.ledger, "stored_block", broken)
        with pytest.raises(Corrupt):
            node._on_message("peer", Channel.SYNC, encode((1, 1, (1, 1))))
        assert not net.wires.penalties


async def test_pushed_blocks_are_looked_at_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        late = list(net.nodes)[3]
        await net.stop(late)
        await settle(net, 2)
        source = next(iter(net.nodes.values()))
        first, second = source.answers.certified(1), source.answers.certified(2)
        assert first is not None and second is not None
        net.wires.keeps = lambda *_: False
        node = await net.start(late)
        before = len(node._tasks)
        for _ in range(50):
            node._on_block("danube", second)  # not the next one: not even opened
            node._on_block("danube", first)
        assert len(node._tasks) == before + 1
        await net.until(lambda: node.height == 1, "it is applied")
        await net.until(lambda: not node._is_taking, "its turn is over")
        node._on_block("danube", second._replace(certificate=first.certificate))
        await net.until(lambda: bool(net.wires.penalties), "a bad one is blamed")
        assert net.wires.penalties == [(late, "danube", "pushed a bad block")]
        with pytest.raises(Malformed):
            node._on_block("danube", second._replace(block=b""))


async def test_stopping_under_load_leaves_nothing_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        name = list(net.nodes)[1]
        node = net.nodes[name]

        async def wallet() -> None:
            while True:
                await node.api.submit_many([net.pay() for _ in range(20)])
                await asyncio.sleep(0)

        for pause in (0.05, 0.2, 0.4):
            paying = asyncio.ensure_future(wallet())
            await asyncio.sleep(pause)
            paying.cancel()  # the door closes first
            await asyncio.gather(paying, return_exceptions=True)
            await net.stop(name)
            assert not node._failure.done()
            node = await net.start(name)
        await net.until(net.same, "one head", seconds=30)


async def test_case_47_a_node_has_ended_when_its_store_can_be_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a new vote key it goes on in this process at once: `Locked` would end it."""
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (name,) = net.nodes
        view = net.nodes[name].ledger.view()  # a thread that still reads
        ledger = net.nodes[name].ledger
        stopping = asyncio.ensure_future(net.stop(name))
        await net.until(lambda: ledger._store._closed, "all but the reader have let go")
        for _ in range(3):
            await asyncio.sleep(0)
        assert not stopping.done() and not ledger.wait_closed(0)
        view.close()
        await asyncio.wait_for(stopping, 5)
        assert (await net.start(name)).height == 0


async def test_who_waits_for_a_peers_answer_hears_that_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        first, second = list(net.nodes)[:2]
        net.wires.keeps = lambda *_: False
        asking = asyncio.ensure_future(net.nodes[first].exchange.blocks(second, 1, 1))
        await asyncio.sleep(0)
        await net.stop(second)
        await asyncio.wait({asking}, timeout=2)
        assert asking.done() and isinstance(asking.exception(), TimeoutError)
