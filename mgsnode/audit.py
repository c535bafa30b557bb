"""Whom to audit: a stopped node's home, or a node that answers JSON-RPC. The judging is `state`'s.

The chain is executed again from its genesis in a folder that is thrown away afterwards. What the
node says is not believed: of a node that is asked over JSON-RPC even the genesis counts only by
its hash, which whoever audits compares with what is known elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from consensus.journal import read_journal, recover
from mgsnode.archive import Archive
from mgsnode.base.block import Block, Certificate, Header, encode_block
from mgsnode.base.codec import decode_stored, encode
from mgsnode.base.errors import ConfigError, Corrupt, Locked, Malformed
from mgsnode.base.genesis import (
    Carried,
    Genesis,
    GenesisAccount,
    GenesisGateway,
    GenesisVesting,
)
from mgsnode.base.limits import WINDOW
from mgsnode.base.validators import bitmap_of
from mgsnode.client import Client, RpcFailure, Unreachable
from mgsnode.genesis import genesis_text, parse_genesis
from mgsnode.guard import JOURNAL_FILE
from mgsnode.home import Home, carried_reader, load_home_genesis
from mgsnode.snapshots import Shelf, verify_folder
from state.ahead import Workers
from state.audit import AuditResult, Inspect, audit_source, audit_store
from state.chain import read_base
from state.layout import open_store
from state.registry import standard_registry
from state.restore import Read
from state.snapshot import Item
from state.source import Source, StoreSource
from state.store import Store
from state.view import View

Progress = Callable[[str, int, int], None]
_SCRATCH: Final = "mgsnode-audit-"
_HASHES: Final = (
    "genesis_hash", "parent_hash", "txs_root", "receipts_root", "state_root", "valset_hash",
    "next_valset_hash",
)  # fmt: skip


def _quiet(_what: str, _done: int, _of: int) -> None:
    return None


def _nothing(_view: View) -> None:
    return None


def audit_home(
    home: Path,
    *,
    progress: Progress = _quiet,
    workers: Workers | None = None,
    inspect: Inspect = _nothing,
) -> AuditResult:
    """Replay the chain of the stopped node at `home` and compare its whole store.

    `ConfigError` where there is no such home, `Locked` while a node runs on it, `Corrupt` where
    the store cannot be opened; what is found wrong inside stands in the result's `fault`. `workers`
    look ahead (`mgsnode/auditors.py`); `MgsError` where one of them does not answer.
    """
    paths = Home(home)
    genesis = load_home_genesis(home)
    carried = carried_reader(paths.carried) if genesis.carried else None
    with _at_rest(paths) as store, TemporaryDirectory(prefix=_SCRATCH) as scratch:
        base = _base_of(store, Shelf(paths.snapshots, genesis))
        replay = Path(scratch) / "replay"
        try:
            result = audit_store(
                store,
                genesis,
                replay,
                progress=progress,
                workers=workers,
                base=base,
                carried=carried,
                inspect=inspect,
            )
        except Malformed as error:
            raise Corrupt(f"{paths.carried}: {error.why}") from None
    voted = voted_height(paths.journal / JOURNAL_FILE)
    if result.ok and result.height < voted - WINDOW:
        fault = f"the store ends at height {result.height}, but this node voted at height {voted}"
        return result._replace(ok=False, fault=fault)
    return result


def _at_rest(paths: Home) -> Store:
    """The store of a stopped node; `Locked` says what to do about one that runs."""
    try:
        return open_store(paths.store, standard_registry())
    except Locked as locked:
        raise Locked(f"{locked}: stop the node, or name it with --rpc") from None


def _base_of(store: Store, shelf: Shelf) -> Read | None:
    """The items of the snapshot that a store began with; None if it has the whole chain."""
    height, _ = read_base(store)
    if height == 0:
        return None
    try:
        verify_folder(shelf.folder(height), shelf.genesis)
    except (ConfigError, Malformed) as error:
        raise ConfigError(
            f"the store begins with height {height}, whose snapshot has to be in {shelf.root}: "
            f"{error}"
        ) from None

    def read(item: Item) -> bytes:
        raw = shelf.read(height, item)
        if raw is None:
            raise Corrupt(f"snapshot of height {height}: {item!r} is missing")
        return raw

    return read


def voted_height(journal: Path) -> int:
    """The highest height that the node's votes speak of: a store cut short does not know it.

    A node votes within `WINDOW` of what it holds for good. 0 without a journal.
    """
    if not journal.exists():
        return 0
    return recover(read_journal(journal.read_bytes()).records).floor.height


def audit_rpc(
    url: str,
    genesis: Genesis,
    *,
    progress: Progress = _quiet,
    workers: Workers | None = None,
    inspect: Inspect = _nothing,
) -> AuditResult:
    """Replay the chain of `genesis` that the node at `url` shows, up to the head it has now.

    Call it outside of an event loop. Raises `Unreachable`, `RpcFailure`, `Corrupt` for answers
    that are none, and `ConfigError` for a node that began with a snapshot.
    """
    if genesis.carried:
        raise ConfigError("this chain took over a state that JSON-RPC does not show: audit a home")
    with _asking(url) as node, TemporaryDirectory(prefix=_SCRATCH) as scratch:
        since = node.since()
        if since > 0:
            raise ConfigError(
                f"the node at {url} has the chain from height {since} on: audit its home, or a "
                "node with all of it"
            )
        replay = Path(scratch) / "replay"
        return audit_source(
            node, genesis, replay, progress=progress, workers=workers, inspect=inspect
        )


def audit_archive(
    archive: Archive,
    genesis: Genesis,
    *,
    progress: Progress = _quiet,
    workers: Workers | None = None,
    inspect: Inspect = _nothing,
) -> AuditResult:
    """Replay the chain of `genesis` that an archive holds. `ConfigError` for a chain that took over
    another's state, which no archive has.
    """
    if genesis.carried:
        raise ConfigError("this chain took over a state that no archive holds: audit a home")
    with TemporaryDirectory(prefix=_SCRATCH) as scratch:
        replay = Path(scratch) / "replay"
        return audit_source(
            archive, genesis, replay, progress=progress, workers=workers, inspect=inspect
        )


@contextmanager
def chain_of(home: Path) -> Iterator[tuple[Genesis, Source]]:
    """The whole chain of a stopped node, to be copied. `ConfigError` where a part is missing."""
    with _at_rest(Home(home)) as store:
        if (height := read_base(store)[0]) > 0:
            raise ConfigError(f"{home} has the chain from height {height} on, not the whole of it")
        yield load_home_genesis(home), StoreSource(store)


@contextmanager
def chain_at(url: str) -> Iterator[tuple[Genesis, Source]]:
    """The whole chain that a node shows, to be copied. `ConfigError` where a part is missing."""
    with _asking(url) as node:
        if (height := node.since()) > 0:
            raise ConfigError(f"the node has the chain from height {height} on, not all of it")
        yield node.genesis(), node


def genesis_of(url: str) -> Genesis:
    """The genesis that the node at `url` names: as good as whoever compares its hash."""
    with _asking(url) as node:
        return node.genesis()


@contextmanager
def _asking(url: str) -> Iterator[_Node]:
    with asyncio.Runner() as runner:
        node = _Node(url, runner)
        try:
            yield node
        finally:
            node.close()


def line_of(result: AuditResult) -> str:
    """The last line of an audit: `since` where it vouches from a snapshot on, not the genesis."""
    if not result.ok:
        return f"FAULT {result.fault}"
    return (
        f"OK height {result.height} root {result.root.hex()} "
        f"certificates {result.certificates} transactions {result.transactions}"
        + (f" since {result.since}" if result.since else "")
    )


def open_genesis(raw: bytes) -> Genesis:
    """The genesis of its encoding, held to all the rules of a document; else `Corrupt`."""
    try:
        plain = Genesis._make(decode_stored(raw))  # type: ignore[arg-type]  # checked below
        genesis = plain._replace(
            gateways=tuple(GenesisGateway._make(row) for row in plain.gateways),
            accounts=tuple(GenesisAccount._make(row) for row in plain.accounts),
            carried=tuple(Carried._make(row) for row in plain.carried),
            vesting=tuple(GenesisVesting._make(row) for row in plain.vesting),
        )
        if parse_genesis(genesis_text(genesis).encode()) == genesis:
            return genesis
        why = "is not in its one form"
    except (Malformed, ConfigError) as error:
        why = str(error)
    except (AttributeError, TypeError, ValueError):
        why = "is not a genesis"
    raise Corrupt(f"the node's genesis: {why}")


class _Node:
    """A chain as a node shows it: a `state.source.Source`. Its JSON becomes the bytes again."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._client = Client(url)
        runner.run(self._client.__aenter__())
        self._block: tuple[int, dict[str, Any] | None] = (-1, None)  # the last one asked for

    def close(self) -> None:
        self._runner.run(self._client.close())

    def genesis(self) -> Genesis:
        """The genesis that the node names, as it hashes."""
        return open_genesis(_hex(self._ask("chain_genesis"), "encoded"))

    def since(self) -> int:
        """The first height that the node has; 0 for a node that does not say."""
        status = self._ask("node_status")
        return _int(status, "since") if "since" in status else 0

    def head(self) -> int:
        return _int(self._ask("chain_head"), "height")

    def block(self, height: int) -> bytes | None:
        shown = self._shown(height)
        if shown is None:
            return None
        header = _object(shown, "header")
        values = {
            name: _hex(header, name) if name in _HASHES else _int(header, name)
            for name in Header._fields
        }
        txs = shown.get("txs")
        if not isinstance(txs, list):
            raise Corrupt(f"height {height}: the node shows no transactions")
        return encode_block(Block(Header(**values), tuple(_hex(tx, "raw") for tx in txs)))  # type: ignore[arg-type]

    def certificate(self, height: int) -> bytes | None:
        shown = self._shown(height)
        if shown is None or shown.get("certificate") is None:
            return None
        certificate = _object(shown, "certificate")
        signatures = certificate.get("signatures")
        if not isinstance(signatures, list):
            raise Corrupt(f"height {height}: certificate: holds no signatures")
        by_index = {_int(each, "index"): _hex(each, "signature") for each in signatures}
        size = len(self._members(height))
        if not all(0 <= index < size for index in by_index):
            raise Corrupt(f"height {height}: certificate: signed by no member")
        return encode(
            Certificate(
                era=_int(certificate, "era"),
                view=_int(certificate, "view"),
                height=_int(certificate, "height"),
                hash=_hex(certificate, "hash"),
                bitmap=bitmap_of(sorted(by_index), size),
                signatures=tuple(by_index[index] for index in sorted(by_index)),
            )
        )

    def receipts(self, _height: int) -> tuple[bytes, ...] | None:
        return None  # the replay's own are held against receipts_root

    def _members(self, height: int) -> list[Any]:
        items = self._ask("chain_validators", height=height).get("items")
        return items if isinstance(items, list) else []

    def _shown(self, height: int) -> dict[str, Any] | None:
        if self._block[0] != height:
            try:
                shown = self._ask("chain_block", height=height, full=True)
            except RpcFailure as failure:
                if failure.code != -32001:
                    raise
                shown = None
            self._block = (height, shown)
        return self._block[1]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        answer = self._runner.run(self._client.call(method, params))
        if not isinstance(answer, dict):
            raise Unreachable(f"{self._client.url} answered {method} with no object")
        return answer


def _object(source: Any, name: str) -> dict[str, Any]:
    value = source.get(name) if isinstance(source, dict) else None
    if not isinstance(value, dict):
        raise Corrupt(f"the node's answer: {name} is not an object")
    return value


def _int(source: Any, name: str) -> int:
    value = source.get(name) if isinstance(source, dict) else None
    if type(value) is not int or not 0 <= value < 2**63:
        raise Corrupt(f"the node's answer: {name} is not a number")
    return value


def _hex(source: Any, name: str) -> bytes:
    value = source.get(name) if isinstance(source, dict) else None
    try:
        return bytes.fromhex(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Corrupt(f"the node's answer: {name} is not hex") from None
