"""The trie against a plain dict: a root is a function of the contents and of nothing else."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Corrupt, Malformed
from state.proof import (
    BUCKET_ROWS_MAX,
    EMPTY_ROOT,
    ENTRY_BYTES,
    Proof,
    check_proof,
    leaf_hash_of,
    open_proof,
    proof_from_json,
    proof_json,
    trie_key_of,
)
from state.store import Store
from state.trie import (
    TRIE_PREFIX,
    NodeCache,
    Nodes,
    TrieUpdate,
    check_top,
    over,
    prove,
    root_of,
    stored,
    update,
    write_nodes,
)

Rows = dict[bytes, bytes]
# Few keys with short names, so that hypothesis deletes what it inserted.
KEYS = st.integers(0, 400).map(lambda i: b"s\x01%d" % i)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=3), max_size=80)


def h(tag: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=32, person=tag).digest()


def root_by_definition(rows: Rows) -> bytes:
    """The words at the top of state/proof.py, word for word."""
    leaves = {h(b"mgs/trie-key", k): h(b"mgs/trie-leaf", v) for k, v in rows.items()}

    def part(keys: list[bytes], depth: int) -> bytes:
        if not keys:
            return bytes(32)
        if len(keys) <= 16:
            return h(b"mgs/trie-bucket", b"".join(key + leaves[key] for key in keys))
        return h(
            b"mgs/trie-node",
            b"".join(
                part([key for key in keys if key.hex()[depth] == digit], depth + 1)
                for digit in "0123456789abcdef"
            ),
        )

    return part(sorted(leaves), 0)


class Model:
    """A dict of rows beside a dict of trie nodes."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.nodes: dict[bytes, bytes] = {}

    def apply(self, changes: dict[bytes, bytes | None]) -> TrieUpdate:
        result = update(self.nodes.get, sorted(changes.items()))
        for path, node in result.nodes.items():
            assert self.nodes.get(path) != node or node is None, "an unchanged node was written"
            if node is None:
                self.nodes.pop(path, None)
            else:
                self.nodes[path] = node
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        return result


def rows(n: int, value: bytes = b"v") -> dict[bytes, bytes | None]:
    return {b"s\x01%d" % i: value + b"%d" % i for i in range(n)}


@given(st.lists(CHANGES, max_size=6))
def test_the_root_is_what_its_definition_says_after_any_updates(
    blocks: list[dict[bytes, bytes | None]],
) -> None:
    model = Model()
    for changes in blocks:
        root = model.apply(changes).root
        assert root == root_by_definition(model.rows) == root_of(model.nodes.get)
    fresh = Model()
    fresh.apply(dict(model.rows))
    assert fresh.nodes == model.nodes, "the nodes depend on the way to the contents"


@given(CHANGES, st.randoms())
def test_the_order_of_changes_and_their_grouping_do_not_matter(
    changes: dict[bytes, bytes | None], random: object
) -> None:
    shuffled = list(changes.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    at_once, one_by_one = Model(), Model()
    assert update({}.get, shuffled) == at_once.apply(changes)
    for key, value in shuffled:
        one_by_one.apply({key: value})
    assert one_by_one.nodes == at_once.nodes


@pytest.mark.parametrize("left", [0, 1, 15, 16, 17, 255, 300])
def test_deleting_collapses_to_what_was_never_grown(left: int) -> None:
    model, never = Model(), Model()
    model.apply(rows(2_000))
    never.apply(rows(left))
    gone = model.apply(dict.fromkeys(list(model.rows)[left:]))
    assert model.nodes == never.nodes
    assert gone.root == root_of(never.nodes.get)
    if left == 0:
        assert gone.root == EMPTY_ROOT and not model.nodes


def test_deleting_one_by_one_stays_canonical() -> None:
    model = Model()
    model.apply(rows(60))
    for key in sorted(model.rows):
        assert model.apply({key: None}).root == root_by_definition(model.rows)
    assert not model.nodes


def test_writing_what_is_there_and_deleting_what_is_not_change_nothing() -> None:
    model = Model()
    before = model.apply(rows(500))
    again = model.apply({**rows(500), b"absent": None, b"absent too": None})
    assert again == TrieUpdate(before.root, {})
    assert model.apply({}) == TrieUpdate(before.root, {})


@given(CHANGES, CHANGES, CHANGES)
def test_updates_stack_on_uncommitted_parents(
    first: dict[bytes, bytes | None],
    second: dict[bytes, bytes | None],
    third: dict[bytes, bytes | None],
) -> None:
    base = Model()
    base.apply(rows(100))
    committed = dict(base.nodes)
    one = update(committed.get, first.items())
    read_one = over(one.nodes, committed.get)
    two = update(read_one, second.items())
    three = update(over(two.nodes, read_one), third.items())
    sibling = update(read_one, third.items())
    assert committed == base.nodes, "an update wrote to its parent"
    assert [one.root, two.root, three.root] == [
        base.apply(changes).root for changes in (first, second, third)
    ]
    other = Model()
    other.apply(rows(100))
    other.apply(first)
    assert sibling.root == other.apply(third).root


def test_a_child_sees_that_its_uncommitted_parent_emptied_the_state() -> None:
    model = Model()
    model.apply(rows(40))
    emptied = update(model.nodes.get, dict.fromkeys(rows(40)).items())
    child = update(over(emptied.nodes, model.nodes.get), [(b"s\1one", b"1")])
    assert emptied.root == EMPTY_ROOT
    assert child.root == root_by_definition({b"s\1one": b"1"})


def test_a_cache_forgets_what_a_commit_removed() -> None:
    with_rows = update({}.get, rows(40).items())
    cache = NodeCache(_NoRows(), nodes_max=8)  # small: both generations are in use
    cache.absorb(with_rows.nodes)
    kept = [path for path in with_rows.nodes if cache.read(path) is not None]
    assert len(kept) > 4
    cache.absorb(dict.fromkeys(with_rows.nodes))
    assert all(cache.read(path) is None for path in kept)


class _NoRows:
    def get(self, _key: bytes) -> None:
        return None

    def iterate(self, **_how: object) -> Any:
        return iter(())


@settings(max_examples=30)
@given(st.lists(CHANGES, max_size=8), st.integers(4, 40))
def test_a_bounded_cache_answers_as_the_store(
    blocks: list[dict[bytes, bytes | None]], nodes_max: int
) -> None:
    plain: Nodes = {}

    class Slow:
        def get(self, key: bytes) -> bytes | None:
            return plain.get(key[len(TRIE_PREFIX) :])

    cache = NodeCache(Slow(), nodes_max=nodes_max)  # type: ignore[arg-type]
    model = Model()
    for changes in [rows(300), *blocks]:
        result = update(cache.read, changes.items())
        assert result == model.apply(changes)
        plain.update(result.nodes)
        cache.absorb(result.nodes)
        assert len(cache._young) + len(cache._old) <= nodes_max
    for path in plain:
        assert cache.read(path) == plain[path]


def test_the_trie_lives_in_a_store(tmp_path: object) -> None:
    with Store.create(tmp_path / "store") as store:  # type: ignore[operator]
        cache = NodeCache(store)
        for changes in (rows(3_000), rows(1_000, b"w"), dict.fromkeys(rows(2_990))):
            result = update(cache.read, changes.items())
            with store.batch() as batch:
                write_nodes(batch, result.nodes)
            cache.absorb(result.nodes)
        assert root_of(stored(store)) == result.root
        assert len(list(store.iterate(prefix=TRIE_PREFIX))) == 1


def test_nodes_that_contradict_each_other_are_corrupt() -> None:
    model = Model()
    model.apply(rows(600))
    victim = max(model.nodes)
    for damaged in (None, model.nodes[victim][:-ENTRY_BYTES]):
        nodes = {**model.nodes, victim: damaged}
        reader = nodes.get
        hit = next(k for k in model.rows if list(trie_key_of(k).hex()) == [
            *(f"{x:x}" for x in victim), *trie_key_of(k).hex()[len(victim) :]])  # fmt: skip
        with pytest.raises(Corrupt, match="trie node"):
            update(reader, [(hit, b"new")])
        with pytest.raises(Corrupt, match="trie node"):
            prove(reader, hit)


def test_the_top_is_checked_against_the_nodes_below_it() -> None:
    for n in (0, 5, 17, 3_000):
        model = Model()
        root = model.apply(rows(n)).root
        assert check_top(model.nodes.get) == root
    for path in (b"\7", b"\x0f"):
        node = bytearray(model.nodes[path])
        node[100] ^= 1
        for damaged in (bytes(node), None):
            nodes: Nodes = {**model.nodes, path: damaged}
            with pytest.raises(Corrupt, match=f"trie node {path[0]:x}"):
                check_top(nodes.get)


# Proofs


@settings(max_examples=50)
@given(st.sampled_from([0, 1, 16, 17, 200, 1_000]), st.integers(0, 1_200))
def test_every_row_and_every_absence_has_a_proof(n: int, i: int) -> None:
    model = Model()
    root = model.apply(rows(n)).root
    key = b"s\x01%d" % i
    proof = prove(model.nodes.get, key)
    value = model.rows.get(key)
    assert check_proof(root, key, value, proof) is None
    assert check_proof(root, key, b"other", proof) is not None
    assert check_proof(bytes(31) + b"\1", key, value, proof) is not None
    if value is not None:
        assert check_proof(root, key, None, proof) == "the state has such a row"
    assert open_proof(decode(encode(proof), bytes_max=100_000)) == proof
    assert proof_from_json(proof_json(proof)) == proof


def grown(n: int) -> tuple[bytes, bytes, bytes, Proof]:
    model = Model()
    root = model.apply(rows(n)).root
    key, value = next(iter(model.rows.items()))
    return root, key, value, prove(model.nodes.get, key)


@given(st.data())
def test_case_52_a_proof_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    root, key, value, proof = grown(700)
    parts = [*proof.nodes, proof.bucket]
    part = data.draw(st.integers(0, len(parts) - 1))
    place = data.draw(st.integers(0, len(parts[part]) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(parts[part])
    changed[place] ^= 1 << bit
    parts[part] = bytes(changed)
    bad = Proof(tuple(parts[:-1]), parts[-1])
    assert check_proof(root, key, value, bad) is not None
    assert check_proof(root, key, None, bad) is not None


def test_case_52_a_proof_of_another_key_proves_nothing_of_this_one() -> None:
    model = Model()
    root = model.apply(rows(700)).root
    keys = list(model.rows)[:40]
    for key in keys:
        proof = prove(model.nodes.get, key)
        for other in keys:
            if proof.bucket != prove(model.nodes.get, other).bucket:
                assert check_proof(root, other, model.rows[other], proof) is not None
                assert check_proof(root, other, None, proof) is not None


def test_case_52_malformed_proofs_are_refused_without_an_exception() -> None:
    root, key, value, proof = grown(700)
    nodes, bucket = proof
    entries = [bucket[i : i + ENTRY_BYTES] for i in range(0, len(bucket), ENTRY_BYTES)]
    for bad in (
        Proof((), b""),
        Proof(nodes, b""),
        Proof(nodes[:-1], bucket),
        Proof(nodes[:-1], b""),
        Proof((*nodes, nodes[-1]), bucket),
        Proof((*nodes, bytes(512)), b""),
        Proof(nodes * 100, bucket),
        Proof(nodes[::-1], bucket),
        Proof((nodes[0] + b"\0", *nodes[1:]), bucket),
        Proof((b"", *nodes[1:]), bucket),
        Proof(nodes, bucket[:-1]),
        Proof(nodes, bucket + bucket),
        Proof(nodes, b"".join(reversed(entries)) + b"\0"),
        Proof((), bucket),
    ):
        assert check_proof(root, key, value, bad) is not None
        assert check_proof(root, key, None, bad) is not None
    for wrong_root in (b"", bytes(32), root[:-1], root + b"\0"):
        assert check_proof(wrong_root, key, value, proof) is not None


def test_case_52_a_bucket_that_hashes_right_must_still_be_one() -> None:
    """Whoever could choose a root's preimage still cannot lie about the shape."""
    key = b"s\x01key"
    entry = trie_key_of(key) + leaf_hash_of(b"v")
    many = b"".join(sorted(trie_key_of(b"%d" % i) + bytes(32) for i in range(BUCKET_ROWS_MAX + 1)))
    for bucket in (entry + entry, many, entry[:-1], entry + b"\0" * ENTRY_BYTES, b"\0" * 32):
        root = h(b"mgs/trie-bucket", bucket)
        assert check_proof(root, key, b"v", Proof((), bucket)) is not None
        assert check_proof(root, key, None, Proof((), bucket)) is not None
    assert check_proof(h(b"mgs/trie-bucket", entry), key, b"v", Proof((), entry)) is None
    foreign = next(
        trie_key_of(b"%d" % i) + bytes(32)
        for i in range(100)
        if trie_key_of(b"%d" % i)[0] >> 4 != trie_key_of(key)[0] >> 4
    )
    half = trie_key_of(key)[0] >> 4
    node = bytes(32 * half) + h(b"mgs/trie-bucket", foreign) + bytes(32 * (15 - half))
    elsewhere = Proof((node,), foreign)
    why = check_proof(h(b"mgs/trie-node", node), key, None, elsewhere)
    assert why == "an entry of the proof's bucket belongs elsewhere"


@pytest.mark.parametrize(
    "value",
    [None, 1, (), (b"",), ((), b"", b""), ((1,), b""), (b"", b""), ((), ""), [[], b""]],
)
def test_what_is_no_proof_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        open_proof(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"nodes": []},
        {"nodes": [], "bucket": 1},
        {"nodes": [1], "bucket": ""},
        {"nodes": ["0"], "bucket": ""},
        {"nodes": ["AA"], "bucket": ""},
        {"nodes": ["a a"], "bucket": ""},
        {"nodes": [], "bucket": "", "more": 1},
        {"nodes": "", "bucket": ""},
        {"nodes": ["00"] * 65, "bucket": ""},
    ],
)
def test_json_that_is_no_proof_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        proof_from_json(value)
