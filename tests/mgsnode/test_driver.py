"""The driver with the real replica, guard, ledger and threads, on wires in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from consensus import effects as fx
from consensus import events as ev
from mgsnode import executor
from mgsnode.base.block import PROTOCOL_VERSION, Header, hash_header
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.keys import Signed
from mgsnode.base.limits import FRAME_BYTES_MAX
from mgsnode.base.validators import ValidatorSet
from mgsnode.blocksize import BLOCK_TXS_LEAST
from mgsnode.bodies import Missing, OpenedBlock
from mgsnode.driver import now
from mgsnode.exchange import Certified
from mgsnode.executor import Halted
from mgsnode.inbox import INBOX_MESSAGES_MAX
from mgsnode.node import Node
from p2p.frames import Channel
from state.candidate import Built
from tests.mgsnode.mesh import Mesh, mesh


async def pay(net: Mesh, place: int = 0, **how: Any) -> bytes:
    """A payment handed in at one node; its txid."""
    node = list(net.nodes.values())[place]
    return (await node.api.submit(net.pay(**how))).txid


async def decided(net: Mesh, txid: bytes) -> None:
    for node in net.nodes.values():
        assert await node.api.wait_committed(txid, 10_000)


async def test_one_node_decides_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        for _ in range(3):
            await decided(net, await pay(net))
        (node,) = net.nodes.values()
        assert node.height == 3
        await net.until(lambda: len(node.mempool) == 0 and not node.mempool.has_work, "empty")


async def test_four_nodes_decide_the_same_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        for place in range(4):
            for _ in range(3):
                txid = await pay(net, place)
            await decided(net, txid)
        await net.until(net.same, "one head")
        assert not net.wires.penalties
        await net.until(lambda: not any(len(n.mempool) for n in net.nodes.values()), "empty")
        for node in net.nodes.values():
            assert not node.driver.evidence_found
            assert node.driver.views_entered == 0


async def test_a_restarted_node_takes_part_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        await decided(net, await pay(net))
        late = list(net.nodes)[2]
        await net.stop(late)
        for _ in range(3):
            await decided(net, await pay(net))
        await net.start(late)
        await net.until(net.same, "the late one has caught up")
        await net.until(lambda: net.nodes[late].driver.replica.may_bind, "it votes")
        await decided(net, await pay(net))


async def test_what_is_said_was_synced_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[object] = []
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        guard, wire = node._guard, node.driver._wire
        assert guard is not None
        append, broadcast = guard._append, wire.broadcast

        def slow_append(data: bytes) -> None:
            append(data)
            order.append("synced")

        def note(raw: bytes) -> None:
            kind = decode(raw, bytes_max=FRAME_BYTES_MAX)[0]  # type: ignore[index]
            order.append(Signed(kind))  # type: ignore[arg-type]
            broadcast(raw)

        monkeypatch.setattr(guard, "_append", slow_append)
        monkeypatch.setattr(node, "broadcast", note)
        await decided(net, await pay(net))
    assert order == ["synced", Signed.PRE_PREPARE, "synced", Signed.COMMIT]


async def test_case_41_a_failed_journal_write_ends_the_node_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        said: list[bytes] = []

        def broken(_data: bytes) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(node._guard, "_append", broken)
        monkeypatch.setattr(node, "broadcast", said.append)
        await node.api.submit(net.pay())
        with pytest.raises(OSError):
            await node.wait(asyncio.Event())
        assert not said and node.height == 0


@pytest.mark.parametrize("part", ["commit", "check", "build"])
async def test_case_77_a_failed_task_ends_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()

        def broken(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(node.ledger, part, broken)
        await node.api.submit(net.pay())
        with pytest.raises(OSError):
            await asyncio.wait_for(node.wait(asyncio.Event()), 10)


async def test_a_decision_does_without_its_opened_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        for node in net.nodes.values():
            monkeypatch.setattr(node.driver.executor, "_keep_opened", lambda *_: None)
        txid = await pay(net)
        await decided(net, txid)
        await net.until(lambda: not any(len(n.mempool) for n in net.nodes.values()), "empty")


async def test_opened_blocks_are_few_and_the_newest_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        desk: Any = node.driver.executor
        desk._keep_opened(b"first", None)
        for index in range(50):
            desk._keep_opened(bytes([index]), None)
            desk._keep_opened(b"first", None)  # used again and again
        assert len(desk._opened) <= executor._OPENED_MAX and b"first" in desk._opened


def certified(node: Node, height: int) -> Certified:
    found = node.answers.certified(height)
    assert found is not None
    return found


async def test_case_16_a_block_that_comes_by_both_ways_is_applied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        late = list(net.nodes.values())[3]
        told: list[int] = []
        desk = late.driver.executor
        advanced = desk._on_committed
        monkeypatch.setattr(
            desk,
            "_on_committed",
            lambda c, txs: (told.append(c.block.header.height), advanced(c, txs)),
        )
        decide = desk.decide

        async def both_ways(effect: fx.Decide) -> None:
            """While our own decision is under way, the same block is pushed to us twice."""
            source = next(n for n in net.nodes.values() if n is not late)
            await net.until(lambda: source.height >= effect.height, "somebody has it")
            block = certified(source, effect.height)
            await asyncio.gather(desk.apply(block), decide(effect), desk.apply(block))

        monkeypatch.setattr(desk, "decide", both_ways)
        for _ in range(3):
            await decided(net, await pay(net))
        await net.until(net.same, "one head")
        await net.until(lambda: told[-1] == late.height, "who decides has heard of the last")
        assert told == sorted(set(told))


async def test_what_is_not_the_next_block_or_not_certified_is_not_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        late = list(net.nodes)[3]
        await net.stop(late)
        for _ in range(2):
            await decided(net, await pay(net))
        source = next(iter(net.nodes.values()))
        first, second = certified(source, 1), certified(source, 2)
        net.wires.keeps = lambda *_: False
        node = await net.start(late)
        await node.driver.executor.apply(second)
        assert node.height == 0
        for bad in (
            Certified(first.block, second.certificate),
            Certified(first.block, b"\xc1"),
            Certified(first.block[:-1], first.certificate),
            Certified(b"", b""),
        ):
            with pytest.raises(Malformed):
                await node.driver.executor.apply(bad)
        assert node.height == 0
        await node.driver.executor.apply(first)
        await node.driver.executor.apply(second)
        assert node.height == 2


async def test_case_54_a_certified_block_that_our_ledger_refuses_ends_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        late = list(net.nodes)[3]
        await net.stop(late)
        await decided(net, await pay(net))
        block = certified(next(iter(net.nodes.values())), 1)
        net.wires.keeps = lambda *_: False
        node = await net.start(late)
        monkeypatch.setattr(node.ledger, "check", lambda *_: "its state_root is not ours")
        peer = next(name for name in net.nodes if name != late)
        node._on_block(peer, block)
        with pytest.raises(Halted):
            await asyncio.wait_for(node.wait(asyncio.Event()), 5)
        assert not net.wires.penalties  # the peer did nothing wrong


async def test_case_69_a_transaction_that_breaks_the_ledger_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        kind = node.ledger.registry.kinds["dollar_transfer"]
        apply = kind.apply

        def breaks(ctx: Any, fields: Any) -> None:
            if fields[0][0][1] == 666:
                raise ZeroDivisionError
            apply(ctx, fields)

        monkeypatch.setitem(
            node.ledger.registry.kinds, "dollar_transfer", kind._replace(apply=breaks)
        )
        bad = net.pay("bruno", amount=666)
        txid = (await node.api.submit(bad)).txid
        await net.until(lambda: txid not in node.mempool, "it is set aside")
        await decided(net, await pay(net))
        (again,) = await node.api.submit_many([bad])
        assert type(again).__name__ == "Busy"
        assert node.height == 1 and not node.mempool.has_work


async def test_case_31_what_nobody_can_execute_forces_no_view_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, flags={"consensus.view_timeout_ms": "300"}) as net:
        await decided(net, await pay(net))
        # On a quiet chain the head's time stands still, so the door admits what is past.
        for place in range(4):
            late = net.pay("chloe", nonce=place, valid_ms=-1, amount=place + 1)
            await list(net.nodes.values())[place].api.submit_many([late])
        await asyncio.sleep(1.5)
        assert [node.driver.replica.view for node in net.nodes.values()] == [0] * 4
        txid = await pay(net)
        await decided(net, txid)


async def test_case_44_without_room_nothing_is_voted_or_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        full = list(net.nodes.values())[3]
        full.driver.stall("2 MiB free on the disk")
        syncs = full._guard.syncs if full._guard else 0
        others = [node for node in net.nodes.values() if node is not full]
        txid = (await others[0].api.submit(net.pay())).txid
        for node in others:
            assert await node.api.wait_committed(txid, 10_000)
        await asyncio.sleep(0.2)
        assert full.height == 0
        assert full._guard is not None and full._guard.syncs == syncs
        full.driver.stall("")
        await net.until(net.same, "it goes on where it stood")
        await decided(net, await pay(net))


async def test_case_57_one_peers_messages_do_not_fill_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (node,) = net.nodes.values()
        driver = node.driver
        for _ in range(5_000):
            node._on_message("liar", Channel.CONSENSUS, b"junk")
        assert len(driver._inbox) <= INBOX_MESSAGES_MAX + 10
        for _ in range(100):
            node._on_message("bulky", Channel.CONSENSUS, bytes(1_000_000))
        events = driver._inbox._events
        assert sum(len(e.raw) for e in events if isinstance(e, ev.Received)) < 10**7
        await net.until(lambda: not driver._inbox, "all is read")
        assert not +driver._inbox._messages and not +driver._inbox._bytes
        assert driver.dropped["unread", "too many at once"] > 4_000
        await decided(net, await pay(net))


async def test_a_stopped_driver_touches_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        (name,) = net.nodes
        node = net.nodes[name]
        await node.api.submit(net.pay())
        await net.stop(name)

        def touched(*_: object, **__: object) -> None:
            raise AssertionError("a closed ledger was used")

        for part in ("check_admission", "check", "build", "commit"):
            monkeypatch.setattr(node.ledger, part, touched)
        node.driver._on_timer(ev.TimerFired("progress", 1))
        node.driver.post(ev.Work(True))
        await asyncio.sleep(0.1)
        await net.start(name)  # the store and the journal were let go of
        await net.until(lambda: net.nodes[name].height >= 0, "it runs")


async def test_case_37_slow_blocks_are_cut_and_quick_ones_grow_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that took more than half a view timeout to decide is followed by a smaller one."""
    async with mesh(tmp_path, monkeypatch, gateways=1) as net:
        size = next(iter(net.nodes.values())).driver.executor._size
        first, most_ms = size.txs, size.took_ms_max

        def took(ms: int) -> int:
            size.asked(now().mono_ms - ms)
            size.decided(now().mono_ms)
            return size.txs

        assert took(most_ms + 50) == first * 2 // 3
        assert took(most_ms * 3 // 4) == first * 2 // 3  # neither slow nor quick
        for _ in range(50):
            took(most_ms + 50)
        assert size.txs == BLOCK_TXS_LEAST
        assert took(0) > BLOCK_TXS_LEAST
        counted: list[int] = []
        monkeypatch.setattr(size, "decided", counted.append)
        for txid in [await pay(net, place=0) for _ in range(3)]:
            await decided(net, txid)
        assert len(counted) == next(iter(net.nodes.values())).height


async def test_work_that_comes_while_nothing_is_built_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was picked is refused; what came meanwhile was told of in its shadow."""
    async with mesh(tmp_path, monkeypatch, gateways=1, ago_ms=60_000) as net:
        (node,) = net.nodes.values()
        loop, build = asyncio.get_running_loop(), node.ledger.build
        began, go_on = asyncio.Event(), threading.Event()

        def held(*given: Any) -> Built:
            loop.call_soon_threadsafe(began.set)
            assert go_on.wait(10)
            return build(*given)

        monkeypatch.setattr(node.ledger, "build", held)
        late = net.pay(valid_ms=-1_000)  # the head would take it, a block of now does not
        assert (await node.api.submit(late)).status == "pending"
        await asyncio.wait_for(began.wait(), 10)
        txid = (await node.api.submit(net.pay("bruno", to="anna"))).txid
        go_on.set()
        assert await node.api.wait_committed(txid, 5_000)
        assert node.driver.views_entered == 0


def asked_by_hash(sources: tuple[int, ...]) -> fx.CheckBlock:
    header = Header(
        PROTOCOL_VERSION, ZERO_HASH, 0, 1, ZERO_HASH, 1, ZERO_HASH, ZERO_HASH, ZERO_HASH,
        ZERO_HASH, ZERO_HASH,
    )  # fmt: skip
    return fx.CheckBlock(hash_header(header), encode(header), None, sources)


async def test_a_body_is_asked_of_those_who_were_members_when_it_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A barrier that makes the set smaller may be decided before the asking begins."""
    async with mesh(tmp_path, monkeypatch) as net:
        names = list(net.nodes)
        driver = net.nodes[names[0]].driver
        asked: list[Sequence[str]] = []

        async def find(_header: bytes, _txs: object, sources: Sequence[str]) -> OpenedBlock:
            asked.append(sources)
            raise Missing

        monkeypatch.setattr(driver.executor._bodies, "find", find)
        core = driver.replica._core
        before = core.members
        await driver._do(asked_by_hash((1, 3)))
        monkeypatch.setattr(core, "members", ValidatorSet(before.members[:2]))
        await net.until(lambda: bool(asked), "it is asked for")
        monkeypatch.setattr(core, "members", before)
        assert asked == [[before.members[1].gateway, before.members[3].gateway]]
        assert not driver.executor._checks and not driver._failure.done()


async def test_a_search_that_another_has_replaced_says_nothing_of_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the newer one's block would be answered to a replica that waits no more."""
    async with mesh(tmp_path, monkeypatch) as net:
        driver = next(iter(net.nodes.values())).driver
        ends: dict[str, asyncio.Event] = {"danube": asyncio.Event(), "rhenus": asyncio.Event()}
        over: list[str] = []

        async def find(_header: bytes, _txs: object, sources: Sequence[str]) -> OpenedBlock:
            await ends[sources[0]].wait()
            over.append(sources[0])
            raise Missing

        said: list[ev.Event] = []
        post = driver.executor._post
        monkeypatch.setattr(driver.executor._bodies, "find", find)
        monkeypatch.setattr(
            driver.executor,
            "_post",
            lambda e: said.append(e) if isinstance(e, ev.BodyMissing) else post(e),
        )
        index = {m.gateway: i for i, m in enumerate(driver.replica.members.members)}
        for name in ends:
            await driver._do(asked_by_hash((index[name],)))
        for name, event in ends.items():
            event.set()
            await net.until(lambda name=name: name in over, "that search is over")
            assert len(said) == (name == "rhenus")
        assert not driver.executor._checks
