"""Whole nodes through eras, with the real ledger: who joins, goes, lies or changes keys.

Wires in memory, everything else as in production. The watcher is the one that joins.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.block import vote_fields
from mgsnode.base.hashing import digest
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.devnet import dev_address, dev_key, dev_key_file
from mgsnode.executor import Outdated
from mgsnode.home import Home, adopt_next_vote, create_next_vote, load_node_keys
from mgsnode.keystore import KeyFile
from mgsnode.node import Node
from state.tx.membership import Join, possession_fields
from state.tx.proposals import PROPOSAL
from tests.mgsnode.mesh import WATCHER, Mesh, mesh

FOUNDERS = ["albion", "danube", "lutetia", "rhenus"]
AFTER = 12  # heights between proposing and taking effect


def voting(net: Mesh) -> Node:
    """A node that is in the set."""
    return next(n for n in net.nodes.values() if n.driver.replica.me is not None)


async def do(net: Mesh, who: str, kind: str, *fields: Any) -> bytes:
    """The txid of a transaction, final and not refused."""
    nonce = net.nonces.get(who, 0)
    net.nonces[who] = nonce + 1
    until_ms = time.time_ns() // 1_000_000 + 600_000
    address = dev_address(who)
    body = Body(net.genesis.hash, address, 0, nonce, until_ms, 1_000_000, b"", kind, fields)
    node = voting(net)
    txid = (await node.api.submit(sign_transaction(body, [dev_key(who)]))).txid
    assert await node.api.wait_committed(txid, 20_000)
    answer = await node.api.submit(sign_transaction(body, [dev_key(who)]))
    assert answer.status == "committed", answer
    return txid


async def advance(net: Mesh, height: int) -> None:
    """Payments until every node has passed `height`."""
    while min(net.heights()) < height:
        node = voting(net)
        txid = (await node.api.submit(net.pay())).txid
        assert await node.api.wait_committed(txid, 20_000)
        await net.until(lambda at=node.height: min(net.heights()) >= at, "all follow", seconds=20)


async def carry(net: Mesh, action: str, args: tuple[Any, ...], voters: list[str]) -> int:
    """A proposal that has passed; the height at which it takes effect."""
    height = voting(net).height + AFTER
    asked = await do(net, voters[0], "gov_propose", action, args, height)
    for voter in voters[1:]:
        await do(net, voter, "gov_vote", asked, True)
    with voting(net).ledger.view() as view:
        row = view.reader.get(PROPOSAL, asked)
    assert row is not None and row.status == "passed", row
    return height


async def enact(net: Mesh, action: str, args: tuple[Any, ...], voters: list[str]) -> int:
    """The same, taken effect everywhere and one block further."""
    height = await carry(net, action, args, voters)
    await advance(net, height + 1)
    return height


def members(net: Mesh) -> list[str]:
    return [member.gateway for member in voting(net).driver.replica.members.members]


def proof(net: Mesh, name: str, key: SigningKey) -> tuple[int, bytes, bytes]:
    """The possession of a new key over the head."""
    header = voting(net).ledger.head.header
    fields = possession_fields(name, key.public_key, header.height, header.state_root)
    signature = key.sign(statement(Signed.POSSESSION, net.genesis.hash, fields))
    return header.height, header.state_root, signature


def join_of(net: Mesh) -> Join:
    key = dev_key(WATCHER, "vote")
    return Join(
        name=WATCHER,
        country="IE",
        currencies=("EUR",),
        owner_hash=digest(b"mgs/dev-owner", WATCHER.encode()),
        operator=dev_address(WATCHER),
        vote_key=key.public_key,
        possession=proof(net, WATCHER, key),
        transport_certificate=dev_key_file(WATCHER, "transport").certificate,
        endpoint="127.0.0.1:1",
        bond=1,
        cap=1_000_000,
    )


async def signed_by(net: Mesh, name: str, *, seconds: float = 20.0) -> None:
    """Wait for a block that carries the signature of `name`."""
    deadline = time.monotonic() + seconds
    while True:
        node = voting(net)
        height = node.height
        stored = node.ledger.stored_block(height)
        assert stored is not None
        if stored[2] is not None:
            names = [m.gateway for m in node.ledger.validators(height).members]
            if name in [names[index] for index in stored[2].indices()]:
                return
        assert time.monotonic() < deadline, f"{name} signs nothing"
        await advance(net, height + 1)


def laws_hold(net: Mesh) -> bool:
    node = voting(net)
    with node.ledger.view() as view:
        return all(law.ok for law in node.ledger.laws(view))


async def test_case_73_a_fifth_joins_votes_and_a_founder_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        net.make_home(WATCHER)
        watcher = await net.start(WATCHER)
        await advance(net, 3)
        assert watcher.api.status().role == "observer"
        height = await enact(net, "join", tuple(join_of(net)), FOUNDERS[:3])
        assert members(net) == [*FOUNDERS, WATCHER]
        assert watcher.ledger.validators(height).n == 4
        assert watcher.ledger.validators(height + 1).n == 5
        await signed_by(net, WATCHER)
        status = watcher.api.status()
        assert (status.role, status.gateway, status.era) == ("validator", WATCHER, 1)
        await enact(net, "leave", ("albion",), FOUNDERS)
        assert members(net) == [*FOUNDERS[1:], WATCHER]
        assert net.nodes["albion"].api.status().role == "observer"
        await net.stop("danube")  # three of four: the newcomer is needed
        height = voting(net).height
        await advance(net, height + 3)
        await signed_by(net, WATCHER)
        await net.start("danube")
        await net.until(net.same, "it has caught up")
        assert laws_hold(net)


async def test_who_slept_through_eras_comes_back_and_votes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        net.make_home(WATCHER)
        await net.start(WATCHER)
        await advance(net, 2)
        await net.stop("rhenus")
        await enact(net, "join", tuple(join_of(net)), FOUNDERS[:3])
        rhenus = await net.start("rhenus")
        await net.until(net.same, "it has caught up", seconds=30)
        await enact(net, "suspend", ("albion",), FOUNDERS)
        await signed_by(net, "rhenus")
        assert rhenus.api.status().era == 2
        for name in list(net.nodes):  # everyone restarts in the middle of an era
            await net.stop(name)
        for name in (*FOUNDERS, WATCHER):
            await net.start(name)
        before = net.nodes["rhenus"].driver.replica.court.before
        assert before is not None and before.n == 5
        await advance(net, net.nodes["rhenus"].height + 3)
        assert members(net) == [*FOUNDERS[1:], WATCHER]
        assert laws_hold(net)


async def test_who_heard_nothing_over_a_barrier_learns_of_it_without_a_new_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk was full, or its answers came too late: no STATUS of another era tells a height."""
    async with mesh(tmp_path, monkeypatch) as net:
        net.make_home(WATCHER)
        await net.start(WATCHER)
        await advance(net, 2)
        net.wires.keeps = lambda _source, to, *_: to != "rhenus"
        deaf = net.nodes.pop("rhenus")
        height = await enact(net, "join", tuple(join_of(net)), FOUNDERS[:3])
        net.nodes["rhenus"] = deaf
        assert deaf.height < height - 1
        net.wires.keeps = lambda *_: True
        await net.until(net.same, "it has caught up", seconds=12)
        await signed_by(net, "rhenus")


async def test_the_primary_is_suspended_and_comes_back_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=5) as net:
        await advance(net, 2)
        primary = voting(net).api.status().primary
        others = [name for name in net.nodes if name != primary]
        await enact(net, "suspend", (primary,), others)
        assert members(net) == others
        assert net.nodes[primary].api.status().role == "observer"
        await enact(net, "clear", (primary,), others)
        assert sorted(members(net)) == sorted([*others, primary])
        await signed_by(net, primary)
        assert laws_hold(net)


async def test_a_primary_that_dies_at_the_barrier_does_not_stop_the_new_era(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=5) as net:
        await advance(net, 2)
        height = await carry(net, "leave", ("hibernia",), FOUNDERS)
        await advance(net, height - 1)
        await net.stop(voting(net).api.status().primary)
        await advance(net, height + 3)
        assert members(net) == FOUNDERS
        assert laws_hold(net)


async def test_case_24_a_proven_liar_loses_its_seat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch, gateways=5) as net:
        await advance(net, 2)
        key = dev_key("rhenus", "vote")
        pair = []
        for what in (b"one", b"two"):
            fields = vote_fields(0, 0, 1, digest(b"mgs/test", what), 3)
            pair.append((fields, key.sign(statement(Signed.PREPARE, net.genesis.hash, fields))))
        await do(net, "anna", "gov_evidence", "prepare", *pair)
        await advance(net, voting(net).height + 2)
        assert "rhenus" not in members(net)
        assert net.nodes["rhenus"].api.status().role == "observer"
        with voting(net).ledger.view() as view:
            row = view.gateway("rhenus")
        assert row is not None
        assert (row.status, row.bond) == ("suspended", net.genesis.gateways[3].bond * 9 // 10)
        assert laws_hold(net)


async def test_a_vote_key_is_replaced_and_the_old_one_votes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mesh(tmp_path, monkeypatch) as net:
        await advance(net, 2)
        fresh = KeyFile("danube", "vote", bytes(range(32)))
        await net.stop("danube")
        create_next_vote(tmp_path / "danube", fresh, None)
        await net.start("danube")
        await advance(net, voting(net).height + 1)
        args = ("danube", (fresh.public_key,), (proof(net, "danube", fresh.key),), (), ())
        await enact(net, "rotate", args, FOUNDERS[:3])
        assert net.nodes["danube"].api.status().role == "observer"  # with the old key
        assert net.nodes["danube"]._failure.done()  # and about to start again
        await net.stop("danube")
        danube = await net.start("danube")
        assert danube.api.status().role == "validator"
        await signed_by(net, "danube")
        assert load_node_keys(tmp_path / "danube", None).vote == fresh
        assert laws_hold(net)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_the_change_of_keys_can_be_broken_off_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    from mgsnode.base.genesis import Genesis
    from mgsnode.devnet import dev_genesis

    genesis: Genesis = dev_genesis(gateways=1)
    net = Mesh(tmp_path, genesis, {})
    home = net.make_home("albion")
    paths = Home(home)
    fresh = KeyFile("albion", "vote", bytes(range(32)))
    create_next_vote(home, fresh, None)
    with pytest.raises(Exception, match="exists"):
        create_next_vote(home, fresh, None)
    left = steps

    class Broken(Exception):
        pass

    def limited(real: Any) -> Any:
        def move(self: Path, target: Path) -> Any:
            nonlocal left
            if not left:
                raise Broken
            left -= 1
            return real(self, target)

        return move

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", limited(Path.rename))
        patch.setattr(Path, "replace", limited(Path.replace))
        try:
            adopt_next_vote(home)
        except Broken:
            assert steps < 3
    adopt_next_vote(home)
    adopt_next_vote(home)
    keys = load_node_keys(home, None)
    assert (keys.vote, keys.next_vote) == (fresh, None)
    assert paths.journal.exists() and not paths.next_journal.exists()
    assert len(list(home.glob("journal.*"))) == 1
    from mgsnode.guard import Guard

    Guard(paths.journal, fresh.key, genesis.hash).close()


async def test_case_71_a_program_that_does_not_know_the_next_version_stops_at_its_height(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every node has the last block of the old version, says what to do, and starts no more."""
    async with mesh(tmp_path, monkeypatch) as net:
        height = await carry(net, "schedule_version", (2,), FOUNDERS)
        nodes = list(net.nodes.values())
        while not any(node._failure.done() for node in nodes):
            await voting(net).api.submit(net.pay())
            await asyncio.sleep(0.05)
        for node in nodes:
            with pytest.raises(Outdated, match="speaks protocol 2"):
                await asyncio.wait_for(asyncio.shield(node._failure), 10)
        assert set(net.heights()) == {height}
        await net.stop("albion")
        with pytest.raises(Outdated, match=f"from height {height + 1} on"):
            await net.start("albion")
