"""What making a block final costs: one synced batch of state, trie, block and indexes.

Blocks of 1,000 transfers between accounts, with everything but execution and consensus: encoded
records, trie update, rows, receipts, indexes, history, sync. Microseconds of CPU and bytes for
each transaction, and syncs for each block.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from pathlib import Path

from mgsnode.base.block import Block, Certificate, Event, Header, Receipt, hash_header
from mgsnode.base.codec import encode
from mgsnode.base.hashing import ZERO_HASH, digest
from state import chain
from state.draft import Draft, RecordCache, StateReader
from state.store import Store
from state.trie import NodeCache, update
from state.tx.accounts import ACCOUNT, EMPTY

_TX_BYTES = 290  # a signed transfer to one payee


def _address(i: int) -> bytes:
    return digest(b"bench", b"%d" % i)


def _header(height: int, root: bytes) -> Header:
    return Header(
        1, ZERO_HASH, 0, height, ZERO_HASH, height, ZERO_HASH, ZERO_HASH, root, ZERO_HASH, ZERO_HASH
    )


def _fill(store: Store, cache: NodeCache, accounts: int) -> None:
    for low in range(0, accounts, 50_000):
        draft = Draft(StateReader(store))
        for i in range(low, min(low + 50_000, accounts)):
            draft.put(ACCOUNT, _address(i), EMPTY._replace(dollar=10**9))
        changes = draft.changes()
        result = update(cache.read, changes)
        with store.batch() as batch:
            chain.write_state(batch, changes, result.nodes)
        cache.absorb(result.nodes)
    store.compact()


class _Costs:
    """Thread seconds by part, process seconds in all."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.thread_time()

    def start(self) -> None:
        self._last = time.thread_time()

    def lap(self, part: str) -> None:
        now = time.thread_time()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now


def _block(
    store: Store,
    records: RecordCache,
    cache: NodeCache,
    costs: _Costs,
    height: int,
    pairs: list[tuple[int, int]],
) -> None:
    raws = [b"%08d" % i + bytes(_TX_BYTES - 8) for i in range(len(pairs))]
    txids = [digest(b"bench/tx", b"%d %d" % (height, i)) for i in range(len(pairs))]
    receipts = [
        encode(Receipt(txid, 0, 10, (Event("transferred", (_address(a), _address(b), 1, "memo")),)))
        for txid, (a, b) in zip(txids, pairs, strict=True)
    ]
    history = [(_address(i), index) for index, pair in enumerate(pairs) for i in pair]
    draft = Draft(records)
    costs.start()
    for place, (address, _) in enumerate(history):
        account = draft.get(ACCOUNT, address) or EMPTY
        dollar = account.dollar + (1 if place % 2 else -1)
        draft.put(ACCOUNT, address, account._replace(dollar=dollar, nonces=((0, height),)))
    costs.lap("load_and_put")
    changes = draft.changes()
    costs.lap("encode_records")
    result = update(cache.read, changes)
    costs.lap("trie")
    header = _header(height, result.root)
    block_hash = hash_header(header)
    with store.batch() as batch:
        chain.write_block(
            batch,
            Block(header, tuple(raws)),
            block_hash,
            certificate=Certificate(0, 0, height, block_hash, b"\7", (bytes(64),) * 3),
            receipts=receipts,
            txids=txids,
            history=history,
            listed=(),
        )
        chain.write_state(batch, changes, result.nodes)
        costs.lap("fill_batch")
    costs.lap("write_batch")
    cache.absorb(result.nodes)
    records.absorb(draft)
    costs.lap("absorb")


def run(*, quick: bool = False) -> dict[str, object]:
    """Costs for each transaction with 1,000 accounts and (not quick) with a million."""
    out: dict[str, object] = {}
    txs, blocks = (200, 5) if quick else (1_000, 60)
    for accounts in (1_000,) if quick else (1_000, 1_000_000):
        rng = random.Random(1)
        folder = Path(tempfile.mkdtemp(prefix="bench-commit-"))
        try:
            with Store.create(folder) as store:
                cache = NodeCache(store)
                _fill(store, cache, accounts)
                records = RecordCache(store)
                _block(store, records, cache, _Costs(), 1, [(0, 1)])
                costs, before = _Costs(), store.stats.bytes_written
                syncs, whole, wall = store.stats.syncs, time.process_time(), time.perf_counter()
                for height in range(2, blocks + 2):
                    pairs = [(rng.randrange(accounts), rng.randrange(accounts)) for _ in range(txs)]
                    _block(store, records, cache, costs, height, pairs)
                done = blocks * txs
                parts = {part: round(s / done * 1e6, 2) for part, s in costs.seconds.items()}
                out[f"{accounts}_accounts"] = {
                    "txs_per_block": txs,
                    "us_per_tx": {**parts, "sum": round(sum(parts.values()), 2)},
                    "process_us_per_tx": round((time.process_time() - whole) / done * 1e6, 2),
                    "wall_ms_per_block": round((time.perf_counter() - wall) / blocks * 1e3, 2),
                    "bytes_per_tx": round((store.stats.bytes_written - before) / done),
                    "syncs_per_block": (store.stats.syncs - syncs) / blocks,
                }
        finally:
            shutil.rmtree(folder)
    return out
