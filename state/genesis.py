"""Block 0: the store that a genesis begins with.

The state is what the families make of the genesis, or that of an earlier chain which it takes
over; the block has no transactions, no receipts and no certificate, and every node makes the same
one. It is written in one synced batch with the head: what was written until then is no store.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mgsnode.base.block import (
    PROTOCOL_VERSION,
    Block,
    Header,
    hash_header,
    receipts_root,
    txs_root,
)
from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import ZERO_HASH
from state import chain
from state.draft import Changes, Draft, StateReader
from state.execute import apply_carried, apply_genesis
from state.layout import new_store
from state.registry import Registry
from state.restore import Read, carry_rows
from state.store import Store
from state.trie import stored, update


class _NoRows:
    """The store before there is one."""

    def get(self, _key: bytes) -> bytes | None:
        return None

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def create_store(
    path: Path, genesis: Genesis, registry: Registry, *, carried: Read | None = None
) -> None:
    """A new store in `path` that holds block 0, closed again. `ConfigError` if it cannot be.

    `carried` gives the items of the snapshot whose state the genesis takes over, if it does;
    `Malformed` where one is not what it names.
    """
    if genesis.carried:
        if carried is None:
            raise ConfigError("this genesis takes over a state: its snapshot is needed")
        with new_store(path, registry) as store:
            carry_rows(store, genesis, carried, registry)
            draft = Draft(StateReader(store))
            apply_carried(registry, draft, genesis)
            _begin(store, genesis, draft.changes())
    else:
        draft = Draft(StateReader(_NoRows()))
        apply_genesis(registry, draft, genesis)
        with new_store(path, registry) as store:
            _begin(store, genesis, draft.changes())


def _begin(store: Store, genesis: Genesis, changes: Changes) -> None:
    """Block 0, and what its state changes in that of the store."""
    root, nodes = update(stored(store), changes)
    members = genesis.validators().hash
    header = Header(
        version=PROTOCOL_VERSION,
        genesis_hash=genesis.hash,
        era=0,
        height=0,
        parent_hash=ZERO_HASH,
        timestamp_ms=genesis.time_ms,
        txs_root=txs_root([]),
        receipts_root=receipts_root([]),
        state_root=root,
        valset_hash=members,
        next_valset_hash=members,
    )
    with store.batch() as batch:
        chain.write_block(
            batch,
            Block(header, ()),
            hash_header(header),
            certificate=None,
            receipts=(),
            txids=(),
            history=(),
            listed=(),
        )
        chain.write_state(batch, changes, nodes)
