"""What the trie costs: microseconds of CPU for each changed key, over LevelDB, cache bounded.

The rows are accounts: a 34-byte state key, a value of 60 bytes. A block changes 10,000 of them,
picked evenly (the worst case: no two in one bucket), or among 1,000 busy ones.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from state.store import Store
from state.trie import NodeCache, prove, root_of, stored, update, write_nodes

_CHUNK = 50_000


def _key(i: int) -> bytes:
    return b"s\x01" + i.to_bytes(32, "little")


def _value(i: int, block: int) -> bytes:
    return b"%060d" % (i * 1_000 + block)


def _fill(store: Store, cache: NodeCache, rows: int) -> float:
    start = time.process_time()
    for low in range(0, rows, _CHUNK):
        changes = [(_key(i), _value(i, 0)) for i in range(low, min(low + _CHUNK, rows))]
        result = update(cache.read, changes)
        with store.batch() as batch:
            write_nodes(batch, result.nodes)
            for key, value in changes:
                batch.put(key, value)
        cache.absorb(result.nodes)
    return (time.process_time() - start) / rows * 1e6


def _blocks(
    store: Store, cache: NodeCache, *, among: int, keys: int, blocks: int, rng: random.Random
) -> dict[str, float]:
    spent = written = process = nodes = node_bytes = 0.0
    for block in range(1, blocks + 2):
        changes = sorted((_key(i), _value(i, block)) for i in rng.sample(range(among), keys))
        start, whole = time.thread_time(), time.process_time()
        result = update(cache.read, changes)
        middle = time.thread_time()
        with store.batch() as batch:
            write_nodes(batch, result.nodes)
        cache.absorb(result.nodes)
        if block == 1:
            continue  # the first one warms the cache
        spent += middle - start
        written += time.thread_time() - middle
        process += time.process_time() - whole
        nodes += len(result.nodes)
        node_bytes += sum(len(node) for node in result.nodes.values() if node)
    changed = blocks * keys
    return {
        "update_us_per_key": round(spent / changed * 1e6, 2),
        "write_us_per_key": round(written / changed * 1e6, 2),
        "with_compaction_us_per_key": round(process / changed * 1e6, 2),
        "nodes_per_key": round(nodes / changed, 2),
        "node_bytes_per_key": round(node_bytes / changed),
    }


def _reopen(path: Path) -> tuple[float, Store]:
    start = time.perf_counter()
    store = Store.open(path)
    root_of(stored(store))
    return round(time.perf_counter() - start, 3), store


def run(*, quick: bool = False) -> dict[str, object]:
    """CPU-microseconds for each changed key at several sizes, proofs, memory, reopening."""
    rng = random.Random(1)
    out: dict[str, object] = {}
    for rows in (20_000,) if quick else (200_000, 1_000_000):
        folder = Path(tempfile.mkdtemp(prefix="bench-trie-"))
        try:
            store = Store.create(folder)
            cache = NodeCache(store)
            fill = _fill(store, cache, rows)
            store.compact()
            store.close()
            reopen_s, store = _reopen(folder)
            cache = NodeCache(store)
            keys = min(10_000, rows // 10)
            even = _blocks(store, cache, among=rows, keys=keys, blocks=5, rng=rng)
            busy = _blocks(store, cache, among=1_000, keys=1_000, blocks=10, rng=rng)
            start = time.process_time()
            for i in rng.sample(range(rows), 1_000):
                prove(stored(store), _key(i))
            out[str(rows)] = {
                "fill_us_per_key": round(fill, 2),
                "evenly": {"keys_per_block": keys, **even},
                "busy": {"keys_per_block": 1_000, **busy},
                "prove_us": round((time.process_time() - start) * 1e3, 1),
                "reopen_s": reopen_s,
                "rss_mb": psutil.Process().memory_info().rss >> 20,
                "disk_mb": sum(file.stat().st_size for file in folder.iterdir()) >> 20,
            }
            store.close()
        finally:
            shutil.rmtree(folder)
    return out
