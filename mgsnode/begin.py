"""Before the first start of an empty home, if asked: fetch a snapshot, make the store of it.

A small node that only asks: it has peers and an exchange, no consensus, no doors for wallets. When
the store stands, the ordinary node starts on it and goes on by blocks. A home that has blocks is
left alone: it catches up by blocks, however many.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from mgsnode.base.errors import Malformed
from mgsnode.base.genesis import Genesis
from mgsnode.config import Settings
from mgsnode.exchange import Certified, Exchange
from mgsnode.home import Home, NodeKeys, load_home_genesis
from mgsnode.membership import derive_roster, name_of
from mgsnode.snapshots import Shelf, restore_store
from mgsnode.statesync import StateSync
from p2p.frames import Channel
from p2p.roster import Identity
from p2p.switch import Switch
from state.ledger import Ledger
from state.snapshot import Item
from state.tx.gateways import Gateway

_log = structlog.get_logger("mgsnode.begin")


class _Nothing:
    """What a node without a chain answers from."""

    def certified(self, _height: int) -> Certified | None:
        return None

    def body(self, _block_hash: bytes) -> bytes | None:
        return None

    def raw_transaction(self, _signed_hash: bytes) -> bytes | None:
        return None

    def snapshot_heights(self) -> Sequence[int]:
        return ()

    def snapshot_item(self, _height: int, _item: Item) -> bytes | None:
        return None


async def begin_from_snapshot(
    home: Path, settings: Settings, keys: NodeKeys, stop: asyncio.Event
) -> bool:
    """Whether the node may start now; False if `stop` was set while it waited for peers.

    Raises what `Ledger.open` raises, and `Corrupt` where a snapshot on our disk was spoiled.
    """
    paths = Home(home)
    genesis = load_home_genesis(home)
    _bring_back(paths.store)
    ledger = Ledger.open(paths.store, genesis)
    height, gateways = ledger.head.header.height, ledger.gateways()
    ledger.close()
    if height > 0:
        _log.info("no snapshot is needed: this home has a chain", height=height)
        return True
    shelf = Shelf(paths.snapshots, genesis)
    if not shelf.heights() and not await _Beginner(genesis, settings, keys, gateways, shelf).run(
        stop
    ):
        return False
    folder = shelf.folder(max(shelf.heights()))
    head = await asyncio.to_thread(restore_store, folder, genesis, paths.store)
    _log.info(
        "the store begins with a snapshot", height=head.header.height,
        root=head.header.state_root.hex(),
    )  # fmt: skip
    return True


def _bring_back(store: Path) -> None:
    """Put the store back that an interrupted restore had moved aside."""
    old = store.with_name("store.old")
    if old.exists() and not store.exists():
        old.rename(store)
    shutil.rmtree(old, ignore_errors=True)


class _Beginner:
    """Peers, an exchange and a `StateSync`, as long as it takes."""

    def __init__(
        self,
        genesis: Genesis,
        settings: Settings,
        keys: NodeKeys,
        gateways: Sequence[tuple[str, Gateway]],
        shelf: Shelf,
    ) -> None:
        certificate = keys.transport.certificate
        name = name_of(gateways, certificate) or keys.transport.name
        roster = derive_roster(gateways, settings.p2p, name=name, certificate=certificate)
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._switch = Switch(
            Identity(name, certificate, keys.transport.seed, roster.role),
            genesis.hash,
            (settings.p2p.host, settings.p2p.port),
            roster.peers,
            self._on_message,
            self._on_peer,
            on_failure=self._fail,
            random=random.SystemRandom().random,
        )
        self._exchange = Exchange(
            _Nothing(),
            lambda peer, payload: self._switch.send(peer, Channel.SYNC, payload),
            on_head=lambda _peer, _height: None,
            on_block=lambda _peer, _block: None,
        )
        self._sync = StateSync(
            self._exchange,
            genesis=genesis,
            shelf=shelf,
            peers=lambda: [peer.name for peer in self._switch.peers() if peer.connected],
            on_liar=self._switch.penalise,
        )

    async def run(self, stop: asyncio.Event) -> bool:
        """Fetch one; False if `stop` was set before."""
        await self._switch.start()
        fetching = asyncio.ensure_future(self._sync.run())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait(
                (fetching, stopping, self._failure), return_when=asyncio.FIRST_COMPLETED
            )
            if self._failure.done():
                await self._failure
            if fetching.done():
                await fetching
            return fetching.done()
        finally:
            for task in (fetching, stopping):
                task.cancel()
            await asyncio.gather(fetching, stopping, return_exceptions=True)
            await self._switch.stop()

    def _on_peer(self, name: str, up: bool) -> None:
        if not up:
            self._exchange.forget(name)

    def _on_message(self, peer: str, channel: Channel, payload: bytes) -> None:
        if channel is Channel.SYNC:
            try:
                self._exchange.on_message(peer, payload)
            except Malformed:
                self._switch.penalise(peer, "malformed sync message")

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
