"""Snapshots: checked item by item against a certified header, and the same store again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsnode.base.block import Header, hash_header, make_certificate, vote_fields
from mgsnode.base.codec import CODEC_ITEMS_MAX, decode, encode
from mgsnode.base.errors import ConfigError, Corrupt, Malformed
from mgsnode.base.hashing import ZERO_HASH, digest
from mgsnode.base.keys import Signed, statement
from mgsnode.base.validators import Validator, ValidatorSet
from state import chain, restore, snapshot
from state.ledger import Ledger
from state.restore import make_snapshot
from state.snapshot import (
    BLOCK,
    HEAD,
    ITEM_BYTES_MAX,
    RECEIPTS,
    Item,
    check_cut,
    check_item,
    derive_members,
    items_of,
    open_chunk,
    open_head,
)
from state.store import LAYOUT_FILE, Store
from state.trie import grow, join, update
from state.tx.accounts import ACCOUNT
from tests.state.world import DOLLAR, Person, make_genesis, people

HOLDERS = people(*[f"holder{i}" for i in range(400)])
GENESIS = make_genesis(funded=HOLDERS)
Items = dict[Item, bytes]


def add_block(ledger: Ledger, *, payers: int = 20) -> None:
    from mgsnode.base.transaction import Body, sign_transaction

    head = ledger.head
    txs = []
    for number in range(payers):
        sender = HOLDERS[number]
        to = digest(b"mgs/test", b"%d/%d" % (head.header.height, number))
        body = Body(
            GENESIS.hash, sender.address, 0, ledger.next_nonce(sender.address, 0),
            head.header.timestamp_ms + 60_000, DOLLAR, b"", "dollar_transfer",
            (((to, 1_000, ""),),),
        )  # fmt: skip
        txs.append(ledger.open_tx(sign_transaction(body, [sender.key])))
    made = ledger.build(head.hash, txs, head.header.timestamp_ms + 1_000)
    assert len(made.included) == payers
    block_hash = hash_header(made.block.header)
    ledger.commit(block_hash, certify_block(ledger, made.block, block_hash))


def certify_block(ledger: Ledger, block: object, block_hash: bytes) -> object:
    header = block.header  # type: ignore[attr-defined]
    votes = {
        index: Person(f"vote{index}").key.sign(
            statement(
                Signed.COMMIT,
                GENESIS.hash,
                vote_fields(header.era, 0, header.height, block_hash, index),
            )
        )
        for index in range(3)
    }
    return make_certificate(
        era=header.era, view=0, height=header.height, block_hash=block_hash, votes=votes, n=4
    )


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshot") / "store"
    ledger = Ledger.create(path, GENESIS)
    for _ in range(3):
        add_block(ledger)
    ledger.close()
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "CHUNK_BYTES", 1_500)


@pytest.fixture
def items(store_path: Path, tmp_path: Path) -> Items:
    found: Items = {}
    with Store.open(store_path) as store:
        make_snapshot(store, GENESIS, tmp_path / "sorter", found.__setitem__)
    return found


def rows_of(path: Path) -> dict[bytes, bytes]:
    with Store.open(path) as store:
        return dict(store.iterate())


def test_a_restored_store_has_the_state_the_trie_and_the_head_of_the_first(
    items: Items, store_path: Path, tmp_path: Path
) -> None:
    head = restore.restore(tmp_path / "store", GENESIS, items.__getitem__)
    assert len(head.prefixes) > 16
    ours, theirs = rows_of(tmp_path / "store"), rows_of(store_path)
    marks = [(path / LAYOUT_FILE).read_text() for path in (tmp_path / "store", store_path)]
    assert marks[0] == marks[1]
    for first in (b"s", b"t"):
        assert {k: v for k, v in ours.items() if k[:1] == first} == {
            k: v for k, v in theirs.items() if k[:1] == first
        }
    for key in (b"b", b"c", b"r"):
        at = chain.height_key(key, 3)
        assert ours[at] == theirs[at]
    with Store.open(tmp_path / "store") as store:
        assert chain.read_base(store) == (3, ())
    ledger, other = Ledger.open(tmp_path / "store", GENESIS), Ledger.open(store_path, GENESIS)
    try:
        assert ledger.head == other.head
        add_block(ledger)  # and it goes on
        assert ledger.head.header.height == 4
        with ledger.view() as view:
            assert all(law.ok for law in ledger.laws(view))
    finally:
        ledger.close()
        other.close()


def test_the_snapshot_of_a_restored_store_is_the_same_again(items: Items, tmp_path: Path) -> None:
    restore.restore(tmp_path / "store", GENESIS, items.__getitem__)
    again: Items = {}
    with Store.open(tmp_path / "store") as store:
        make_snapshot(store, GENESIS, tmp_path / "sorter2", again.__setitem__)
    assert again == items


def test_a_part_whose_keys_were_picked_to_meet_is_cut_further(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise twenty large orders with ids that begin alike end all snapshots for ever."""
    monkeypatch.setattr(restore, "_WEIGHED", 1)  # as if all rows below a half-byte had been picked
    found: Items = {}
    with Store.open(store_path) as store:
        make_snapshot(store, GENESIS, tmp_path / "sorter", found.__setitem__)
        assert max(len(item) for item in found if isinstance(item, bytes)) > 1
    head = restore.restore(tmp_path / "store", GENESIS, found.__getitem__)
    ours, theirs = rows_of(tmp_path / "store"), rows_of(store_path)
    assert {k: v for k, v in ours.items() if k[:1] == b"s"} == {
        k: v for k, v in theirs.items() if k[:1] == b"s"
    }
    for prefix in head.prefixes:
        chunk = open_chunk(found[prefix], prefix, head.header.state_root)
        rows = sum(len(key) + len(value) for key, value in chunk.rows)
        assert len(chunk.rows) <= 16 or rows <= 1_500


def test_a_snapshot_of_other_rows_makes_no_store(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wider = NamedTuple("Account", [(name, int) for name in (*ACCOUNT.record._fields, "more")])
    monkeypatch.setattr(ACCOUNT, "record", wider)
    with pytest.raises(ConfigError, match=r"another layout of rows \(dollar/account\)"):
        restore.restore(tmp_path / "store", GENESIS, items.__getitem__)
    with pytest.raises(Corrupt, match="no head"):
        Ledger.open(tmp_path / "store", GENESIS)


def test_height_0_has_no_certificate_and_no_snapshot(tmp_path: Path) -> None:
    Ledger.create(tmp_path / "store", GENESIS).close()
    with (
        Store.open(tmp_path / "store") as store,
        pytest.raises(ConfigError, match="no certificate"),
    ):
        make_snapshot(store, GENESIS, tmp_path / "sorter", {}.__setitem__)


def test_case_46_any_changed_byte_of_any_item_is_refused(items: Items) -> None:
    head = open_head(items[HEAD], GENESIS)
    chance = random.Random(46)
    for item in (HEAD, *items_of(head)):
        raw = items[item]
        for _ in range(12):
            at = chance.randrange(len(raw))
            bad = raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]
            with pytest.raises(Malformed):
                if item == HEAD:
                    opened = open_head(bad, GENESIS)
                    # A certificate's view is not in the header; nothing else may pass.
                    assert opened == head
                    raise Malformed("the same")
                check_item(head, item, bad)


def test_case_46_a_chunk_of_another_place_height_or_size_is_refused(
    items: Items, store_path: Path, tmp_path: Path
) -> None:
    head = open_head(items[HEAD], GENESIS)
    first, second = head.prefixes[:2]
    with pytest.raises(Malformed, match="another chunk"):
        check_item(head, first, items[second])
    with pytest.raises(Malformed, match="longer than"):
        check_item(head, first, bytes(ITEM_BYTES_MAX + 1))
    with pytest.raises(Malformed, match="longer than"):
        open_head(bytes(ITEM_BYTES_MAX + 1), GENESIS)
    first = max(head.prefixes, key=lambda prefix: len(items[prefix]))
    prefix, nodes, keys, values = decode(items[first], bytes_max=ITEM_BYTES_MAX)  # type: ignore[misc]
    for changed in (
        (prefix, nodes, keys[:-1], values[:-1]),
        (prefix, nodes, keys[::-1], values[::-1]),
        (prefix, nodes, (*keys, keys[-1]), (*values, values[-1])),
        (prefix, nodes[:-1], keys, values),
        (prefix, nodes, keys, values[:-1]),
        (prefix, nodes, (), ()),
    ):
        with pytest.raises(Malformed):
            check_item(head, first, encode(changed))


def test_case_46_an_untrue_count_of_chunks_is_refused_before_anything_is_fetched() -> None:
    assert check_cut([b""]) == (b"",)
    assert len(check_cut([bytes([half]) for half in range(16)])) == 16
    for cut in (
        [], [b"\0"], [b"\1", b"\0"], [b"", b""], [b"\x10"], [b"\0" * 5], [b"\0" * 17], ["", 3], [3],
        [bytes([half]) for half in range(15)],
        [bytes([half]) for half in range(16)] + [b"\x0f"],
        [b""] * (CODEC_ITEMS_MAX + 1),
    ):  # fmt: skip
        with pytest.raises(Malformed):
            check_cut(cut)  # type: ignore[arg-type]


@given(st.data())
def test_every_cut_that_splits_parts_further_covers_the_state_once(data: st.DataObject) -> None:
    def cut(prefix: bytes) -> list[bytes]:
        if len(prefix) == 3 or not data.draw(st.integers(0, 9)) < 3:
            return [prefix]
        return [part for half in range(16) for part in cut(prefix + bytes([half]))]

    prefixes = cut(b"")
    assert check_cut(prefixes) == tuple(prefixes)
    if len(prefixes) > 1:
        gone = data.draw(st.integers(0, len(prefixes) - 1))
        with pytest.raises(Malformed):
            check_cut(prefixes[:gone] + prefixes[gone + 1 :])


@given(st.sets(st.binary(min_size=1, max_size=6), min_size=1, max_size=400))
def test_parts_joined_are_the_trie_that_updates_give(keys: set[bytes]) -> None:
    from state.proof import leaf_hash_of, trie_key_of

    rows = {key: key[::-1] for key in keys}
    whole = update(lambda _path: None, list(rows.items()))
    entries = sorted((trie_key_of(key), leaf_hash_of(value)) for key, value in rows.items())
    grown = grow(b"", b"".join(key + leaf for key, leaf in entries))
    assert (grown.hash, grown.nodes) == (whole.root, whole.nodes)
    if grown.kind == 255:
        parts = [
            grow(bytes([half]), b"".join(k + v for k, v in entries if k[0] >> 4 == half))
            for half in range(16)
        ]
        node, top = join(parts)
        assert (top.hash, node) == (whole.root, whole.nodes[b""])


def test_an_interrupted_restore_leaves_no_store(items: Items, tmp_path: Path) -> None:
    last = open_head(items[HEAD], GENESIS).prefixes[-1]
    spoiled = dict(items)
    spoiled[last] = items[last][:-1] + bytes([items[last][-1] ^ 1])
    with pytest.raises(Malformed):
        restore.restore(tmp_path / "store", GENESIS, spoiled.__getitem__)
    from mgsnode.base.errors import Corrupt

    with pytest.raises(Corrupt, match="no head"):
        Ledger.open(tmp_path / "store", GENESIS)


# Eras


def members_of(*names: str) -> ValidatorSet:
    return ValidatorSet([Validator(name, Person(name).key.public_key) for name in names])


SETS = [members_of(*"abcd"), members_of(*"abcde"), members_of(*"bcde")]


def barrier(era: int, height: int, **over: object) -> Header:
    header = Header(
        1, GENESIS.hash, era, height, ZERO_HASH, height, ZERO_HASH, ZERO_HASH, ZERO_HASH,
        SETS[era].hash, SETS[min(era + 1, 2)].hash,
    )  # fmt: skip
    return header._replace(**over)  # type: ignore[arg-type]


def sealed(header: Header, members: ValidatorSet, signers: int | None = None) -> object:
    block_hash = hash_header(header)
    votes = {
        index: Person(members.members[index].gateway).key.sign(
            statement(
                Signed.COMMIT,
                GENESIS.hash,
                vote_fields(header.era, 0, header.height, block_hash, index),
            )
        )
        for index in range(members.quorum if signers is None else signers)
    }
    return make_certificate(
        era=header.era,
        view=0,
        height=header.height,
        block_hash=block_hash,
        votes=votes,
        n=members.n,
    )


def link(
    header: Header, by: ValidatorSet, then: ValidatorSet, signers: int | None = None
) -> object:
    return snapshot.Link(
        encode(header),
        sealed(header, by, signers),  # type: ignore[arg-type]
        tuple((m.gateway, m.public_key) for m in then.members),
    )


GOOD = [link(barrier(0, 10), SETS[0], SETS[1]), link(barrier(1, 20), SETS[1], SETS[2])]
LAST = barrier(2, 30)


def test_the_members_of_an_era_follow_from_the_genesis_over_its_barriers() -> None:
    assert derive_members(SETS[0], GOOD, GENESIS.hash, LAST) == SETS[2]  # type: ignore[arg-type]
    assert derive_members(SETS[0], [], GENESIS.hash, barrier(0, 5)) == SETS[0]


def broken_links() -> Iterator[tuple[str, list[object]]]:
    yield "one is missing", GOOD[:1]
    yield "the first is missing", GOOD[1:]
    yield "twice", [GOOD[0], GOOD[0]]
    yield "swapped", GOOD[::-1]
    yield "too few signed", [GOOD[0], link(barrier(1, 20), SETS[1], SETS[2], 3)]
    yield "the new set signed itself", [GOOD[0], link(barrier(1, 20), SETS[2], SETS[2])]
    yield "other members", [GOOD[0], link(barrier(1, 20), SETS[1], SETS[0])]
    yield "it goes back", [GOOD[0], link(barrier(1, 10), SETS[1], SETS[2])]
    yield "no barrier", [link(barrier(0, 10, next_valset_hash=SETS[0].hash), SETS[0], SETS[0])]
    yield "one too many", [*GOOD, GOOD[1]]
    yield "no link", [GOOD[0], b""]
    twice = ((("a", bytes(32)),) * 2,)
    yield "a member twice", [(encode(barrier(0, 10)), sealed(barrier(0, 10), SETS[0]), *twice)]


@pytest.mark.parametrize(("_why", "links"), list(broken_links()))
def test_members_are_taken_from_a_whole_chain_of_barriers_only(
    _why: str, links: list[object]
) -> None:
    with pytest.raises(Malformed):
        derive_members(SETS[0], links, GENESIS.hash, LAST)  # type: ignore[arg-type]


def test_the_items_have_names_of_their_own(items: Items) -> None:
    names = [snapshot.item_name(item) for item in items]
    assert len(set(names)) == len(items)
    assert {HEAD, BLOCK, RECEIPTS} < set(names)


def test_a_snapshot_after_a_barrier_leads_to_its_members_also_from_a_restored_store(
    tmp_path: Path,
) -> None:
    from tests.state import test_ledger as small

    def commit(ledger: Ledger, *txs: object) -> None:
        built = small.build(ledger, *txs)  # type: ignore[arg-type]
        header = built.block.header
        seal = small.certify(header)
        if ledger.head.validators.n == 3:
            seal = seal._replace(bitmap=b"\x07")
        ledger.commit(hash_header(header), seal)

    def shot(path: Path, scratch: str) -> Items:
        found: Items = {}
        with Store.open(path) as store:
            make_snapshot(store, small.GENESIS, tmp_path / scratch, found.__setitem__)
        return found

    registry, wallets = small.broken_registry(), small.Wallets(small.GENESIS)
    path = tmp_path / "store"
    ledger = Ledger.create(path, small.GENESIS, registry)
    commit(ledger, wallets.tx(small.ALICE, "test_end"))
    ledger.close()
    at_barrier = shot(path, "s1")
    assert open_head(at_barrier[HEAD], small.GENESIS).links == ()  # the old members sign it
    restore.restore(tmp_path / "early", small.GENESIS, at_barrier.__getitem__)
    for place in (path, tmp_path / "early"):
        ledger = Ledger.open(place, small.GENESIS, registry)
        assert ledger.head.validators.n == 3
        before = ledger.members_before()
        assert before is not None and before.n == 4
        for _ in range(2):
            commit(ledger)
        ledger.close()
    later = shot(path, "s2")
    head = open_head(later[HEAD], small.GENESIS)
    assert (head.header.era, len(head.links)) == (1, 1)
    # A store that began at the barrier still has its block; one that began later, the link.
    assert shot(tmp_path / "early", "s3") == later
    restore.restore(tmp_path / "late", small.GENESIS, later.__getitem__)
    assert shot(tmp_path / "late", "s4") == later
    other = small.GENESIS._replace(gateways=small.GENESIS.gateways[:3])
    with pytest.raises(Malformed, match="another chain"):
        open_head(later[HEAD], other)
