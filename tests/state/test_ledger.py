"""The ledger on a real store: build, check, commit, catch up, discard, and the way after a bug."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.block import (
    Block,
    Certificate,
    Header,
    hash_header,
    make_certificate,
    open_block,
    vote_fields,
)
from mgsnode.base.errors import ConfigError, Corrupt, Locked, Malformed, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import ZERO_HASH
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import BLOCK_BYTES_MAX, TX_LIFETIME_MS_MAX
from mgsnode.base.transaction import Transaction
from state.candidate import Built
from state.chain import read_head, read_receipts, read_transaction
from state.fields import Struct
from state.ledger import Committed, Ledger
from state.proof import check_proof
from state.registry import Family, Kind, Registry, standard_registry
from state.tx.accounts import ACCOUNT, EMPTY
from state.tx.gateways import GATEWAY
from state.tx.money import mint
from state.tx.orders import ALL_SHOPS, OF_BUYER, OF_SHOP
from state.tx.redeeming import BY_HOLDER
from tests.state.scenarios.base import ALICE, ARBITER, BOB, LINES, NOTHING, OP1, SELLER
from tests.state.scenarios.orders import shop_fields
from tests.state.world import DOLLAR, START_MS, Person, World, h, make_genesis

GENESIS = make_genesis(funded=[ALICE, BOB, SELLER], arbiters=[ARBITER])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger.create(tmp_path / "store", GENESIS)
    yield made
    made.close()


class Wallets:
    """Signs transactions without looking at a chain; counts nonces itself."""

    def __init__(self, genesis: Genesis = GENESIS) -> None:
        self.world = World(genesis)
        self.nonces: dict[str, int] = {}

    def tx(self, sender: Person, kind: str, /, *fields: Any, **how: Any) -> Transaction:
        nonce = how.pop("nonce", self.nonces.get(sender.name, 0))
        self.nonces[sender.name] = nonce + 1
        return self.world.tx(sender, kind, *fields, nonce=nonce, **how)

    def pay(self, sender: Person, to: Person, amount: int = DOLLAR, **how: Any) -> Transaction:
        return self.tx(sender, "dollar_transfer", ((to.address, amount, ""),), **how)


def certify(header: Header, signers: Sequence[int] = (0, 1, 2)) -> Certificate:
    """What three of the four members would sign."""
    block_hash = hash_header(header)
    votes = {
        i: Person(f"vote{i}").key.sign(
            statement(
                Signed.COMMIT,
                header.genesis_hash,
                vote_fields(header.era, 0, header.height, block_hash, i),
            )
        )
        for i in signers
    }
    return make_certificate(
        era=header.era, view=0, height=header.height, block_hash=block_hash, votes=votes, n=4
    )


def build(ledger: Ledger, *txs: Transaction, after_ms: int = 100) -> Built:
    head = ledger.head
    return ledger.build(head.hash, txs, head.header.timestamp_ms + after_ms)


def commit(ledger: Ledger, *txs: Transaction, after_ms: int = 100) -> Committed:
    built = build(ledger, *txs, after_ms=after_ms)
    assert len(built.included) == len(txs), built.skipped
    header = built.block.header
    return ledger.commit(hash_header(header), certify(header))


def test_the_genesis_block_is_height_0_without_a_certificate(ledger: Ledger) -> None:
    header = ledger.head.header
    assert (header.height, header.era, header.parent_hash) == (0, 0, ZERO_HASH)
    assert header.timestamp_ms == START_MS
    stored = ledger.stored_block(0)
    assert stored is not None and stored[2] is None
    assert open_block(stored[1]).header == header
    assert ledger.validators(0) == ledger.validators(1) == GENESIS.validators()
    assert ledger.stored_block(1) is None
    with pytest.raises(LookupError):
        ledger.validators(2)


def test_a_block_that_is_built_checks_on_another_ledger_and_gives_the_same_root(
    ledger: Ledger, tmp_path: Path
) -> None:
    other = Ledger.create(tmp_path / "other", GENESIS)
    wallets = Wallets()
    for _ in range(3):
        built = build(ledger, wallets.pay(ALICE, BOB), wallets.pay(BOB, SELLER))
        txs = [other.open_tx(raw) for raw in built.block.txs]
        assert other.check(built.block, txs) is None
        block_hash = hash_header(built.block.header)
        certificate = certify(built.block.header)
        one, two = ledger.commit(block_hash, certificate), other.commit(block_hash, certificate)
        assert one == two and [receipt.code for receipt in one.receipts] == [0, 0]
    assert ledger.head == other.head and ledger.head.header.height == 3
    other.close()


def test_what_was_committed_is_there_after_opening_again(ledger: Ledger, tmp_path: Path) -> None:
    tx = Wallets().pay(ALICE, BOB)
    done = commit(ledger, tx)
    with pytest.raises(Locked):
        Ledger.open(tmp_path / "store", GENESIS)
    ledger.close()
    again = Ledger.open(tmp_path / "store", GENESIS)
    assert (again.head.hash, again.head.header) == (done.hash, done.block.header)
    assert again.next_nonce(ALICE.address, 0) == 1
    with again.view() as view:
        stored = read_transaction(view.rows, tx.txid)
        assert stored is not None and stored.raw == tx.raw and stored.receipt.code == 0
        assert read_receipts(view.rows, 1) == done.receipts
    again.close()
    with pytest.raises(ConfigError, match="another chain"):
        Ledger.open(tmp_path / "store", GENESIS._replace(chain_id="other"))
    with pytest.raises(ConfigError):
        Ledger.create(tmp_path / "store", GENESIS)


def test_a_transaction_that_may_not_enter_is_skipped_and_named(ledger: Ledger) -> None:
    wallets = Wallets()
    good, early = wallets.pay(ALICE, BOB), wallets.pay(BOB, ALICE, nonce=5)
    built = build(ledger, early, good)
    assert built.included == (good,)
    (skipped,) = built.skipped
    assert skipped.txid == early.txid
    assert skipped.refusal is not None and skipped.refusal.name == "BAD_NONCE"


def test_a_block_is_built_on_a_block_that_is_not_final_yet(ledger: Ledger) -> None:
    wallets = Wallets()
    first = build(ledger, wallets.pay(ALICE, BOB))
    first_hash = hash_header(first.block.header)
    second = ledger.build(first_hash, [wallets.pay(ALICE, BOB)], START_MS + 200)
    third_hash = hash_header(second.block.header)
    third = ledger.build(third_hash, [wallets.pay(ALICE, BOB)], START_MS + 300)
    with pytest.raises(LookupError):
        ledger.commit(third_hash, certify(second.block.header))
    for built in (first, second, third):
        header = built.block.header
        ledger.commit(hash_header(header), certify(header))
        for kept in ledger._kept.values():  # a committed parent is let go: memory stays bounded
            is_next = kept.block.header.parent_hash == ledger.head.hash
            assert (kept.draft._parent is ledger._reader) == is_next
    assert ledger.head.header.height == 3
    with ledger.view() as view:
        assert view.account(ALICE.address).nonces == ((0, 3),)
        assert all(result.ok for result in ledger.laws(view))


def test_siblings_of_a_committed_block_are_gone(ledger: Ledger) -> None:
    one = build(ledger, Wallets().pay(ALICE, BOB))
    other = build(ledger, Wallets().pay(BOB, ALICE))
    other_hash = hash_header(other.block.header)
    child = ledger.build(other_hash, [], START_MS + 500)
    ledger.commit(hash_header(one.block.header), certify(one.block.header))
    for built in (other, child):
        with pytest.raises(LookupError):
            ledger.commit(hash_header(built.block.header), certify(built.block.header))
    assert ledger._kept == {}


def test_a_discarded_block_takes_its_children_with_it(ledger: Ledger) -> None:
    one = build(ledger, Wallets().pay(ALICE, BOB))
    one_hash = hash_header(one.block.header)
    ledger.build(one_hash, [], START_MS + 500)
    ledger.discard(one_hash)
    ledger.discard(one_hash)
    assert ledger._kept == {}
    assert ledger.check(one.block, one.included) is None  # looked at again, it is as good


@pytest.mark.parametrize("name", Header._fields)
def test_a_header_with_one_field_changed_is_refused(ledger: Ledger, name: str) -> None:
    built = build(ledger, Wallets().pay(ALICE, BOB))
    header = built.block.header
    kept = set(ledger._kept)
    given = getattr(header, name)
    wrong = given - 1_000 if type(given) is int else bytes([given[0] ^ 1]) + given[1:]
    changed = header._replace(**{name: wrong})
    why = ledger.check(built.block._replace(header=changed), built.included)
    assert why is not None and ("parent" in why if name == "parent_hash" else name in why)
    assert set(ledger._kept) == kept  # the good one, which the bad one resembles, stays


def test_a_body_that_is_not_the_headers_is_refused(ledger: Ledger) -> None:
    wallets = Wallets()
    one, two = wallets.pay(ALICE, BOB), wallets.pay(BOB, ALICE)
    built = build(ledger, one, two)
    header = built.block.header
    ledger.discard(hash_header(header))
    for txs in ([two, one], [one], [one, one, two], []):
        block = Block(header, tuple(tx.raw for tx in txs))
        assert "txs_root" in str(ledger.check(block, txs))
    assert "not those" in str(ledger.check(Block(header, ()), [one, two]))


def test_a_block_with_a_transaction_that_may_not_enter_is_refused(ledger: Ledger) -> None:
    wallets = Wallets()
    built = build(ledger, wallets.pay(ALICE, BOB))
    twice = [built.included[0]] * 2
    from mgsnode.base.block import txs_root

    header = built.block.header._replace(txs_root=txs_root([tx.signed_hash for tx in twice]))
    why = ledger.check(Block(header, tuple(tx.raw for tx in twice)), twice)
    assert why == "its transaction 1 may not enter a block: BAD_NONCE"


def test_a_block_stops_at_its_limit_of_bytes(ledger: Ledger) -> None:
    wallets = Wallets()
    outputs = tuple((h(f"p{i}"), 1, "m" * 256) for i in range(256))
    txs = [wallets.tx(ALICE, "dollar_transfer", outputs) for _ in range(25)]
    built = build(ledger, *txs)
    assert 15 < len(built.included) < 25 and built.skipped == ()
    from mgsnode.base.block import encode_block

    assert len(encode_block(built.block)) <= BLOCK_BYTES_MAX
    assert ledger.check(built.block, built.included) is None


def test_a_block_is_not_earlier_than_its_parent(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="later"):
        ledger.build(ledger.head.hash, [], START_MS)
    with pytest.raises(LookupError):
        ledger.build(bytes(32), [], START_MS + 1)


def test_catching_up_takes_certified_blocks_in_order(ledger: Ledger, tmp_path: Path) -> None:
    wallets = Wallets()
    for _ in range(3):
        commit(ledger, wallets.pay(ALICE, BOB))
    other = Ledger.create(tmp_path / "other", GENESIS)
    for height in (1, 2, 3):
        stored = ledger.stored_block(height)
        assert stored is not None
        header, raw, certificate = stored
        assert certificate is not None
        block = open_block(raw)
        txs = [other.open_tx(tx) for tx in block.txs]
        if height == 2:
            with pytest.raises(Malformed, match="quorum"):
                other.apply_certified(block, txs, certify(header, (0, 1)))
            third = ledger.stored_block(3)
            assert third is not None and third[2] is not None
            late = open_block(third[1])
            with pytest.raises(Malformed, match="not the block after the head"):
                other.apply_certified(late, [other.open_tx(tx) for tx in late.txs], third[2])
        other.apply_certified(block, txs, certificate)
    assert other.head == ledger.head
    other.close()


def test_a_certified_block_that_executes_differently_here_stops_the_node(ledger: Ledger) -> None:
    built = build(ledger, Wallets().pay(ALICE, BOB))
    lie = built.block.header._replace(state_root=bytes(32))
    with pytest.raises(Corrupt, match=r"height 1: .*state_root"):
        ledger.apply_certified(built.block._replace(header=lie), built.included, certify(lie))


def test_admission_says_what_can_never_enter(ledger: Ledger) -> None:
    wallets = Wallets()
    tx = wallets.pay(ALICE, BOB)
    ledger.check_admission(tx)
    ledger.check_admission(wallets.pay(ALICE, BOB, nonce=9))  # waits for the others
    commit(ledger, tx)
    with pytest.raises(Rejected) as caught:
        ledger.check_admission(tx)
    assert (caught.value.name, caught.value.facts) == ("BAD_NONCE", {"next": 1})
    with pytest.raises(Rejected, match="EXPIRED"):
        head_ms = ledger.head.header.timestamp_ms
        ledger.check_admission(wallets.pay(ALICE, BOB, valid_until=head_ms))
    farthest = head_ms + 60_000 + TX_LIFETIME_MS_MAX  # of a node that is a minute ahead of ours
    far = wallets.pay(ALICE, BOB, valid_until=farthest)
    ledger.check_admission(far, wall_ms=head_ms + 60_000)
    for wall_ms in (0, head_ms + 59_999):
        with pytest.raises(Rejected, match="VALID_TOO_LONG"):
            ledger.check_admission(far, wall_ms=wall_ms)
    with pytest.raises(Rejected, match="FEE_UNAFFORDABLE"):
        ledger.check_admission(wallets.pay(Person("poor"), BOB))


def test_the_door_refuses_what_is_no_transaction_of_this_chain(ledger: Ledger) -> None:
    wallets = Wallets()
    with pytest.raises(Rejected, match="UNKNOWN_KIND"):
        ledger.open_tx(wallets.tx(ALICE, "dollar_print", 1).raw)
    with pytest.raises(Rejected, match="BAD_FIELD"):
        ledger.open_tx(wallets.tx(ALICE, "dollar_transfer", ()).raw)
    with pytest.raises(Rejected, match="WRONG_CHAIN"):
        ledger.open_tx(wallets.tx(ALICE, "dollar_transfer", (), chain=bytes(32)).raw)
    with pytest.raises(Malformed):
        ledger.open_tx(b"junk")


def test_a_view_stays_at_its_height_while_the_chain_goes_on(ledger: Ledger) -> None:
    wallets = Wallets()
    with ledger.view() as view:
        before = view.supply()
        commit(ledger, wallets.pay(ALICE, BOB))
        assert (view.height, view.supply()) == (0, before)
    with ledger.view() as view:
        assert view.height == 1 and view.supply().fee_pool > 0
        assert view.hash == ledger.head.hash


def test_a_view_answers_lists_proofs_and_records(ledger: Ledger) -> None:
    wallets = Wallets()
    shop = wallets.tx(SELLER, "shop_open", *shop_fields(), also=[OP1])
    orders = [wallets.tx(ALICE, "order_pay", shop.txid, LINES, *NOTHING) for _ in range(5)]
    refund = wallets.tx(SELLER, "order_refund", orders[0].txid, ((0, 2),), "")
    ask = wallets.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())
    commit(ledger, shop, *orders[:3])
    commit(ledger, *orders[3:], refund, ask)
    ids = [tx.txid for tx in orders]
    with ledger.view() as view:
        page, cursor = view.list_page(OF_SHOP, shop.txid, limit=2)
        rest, end = view.list_page(OF_SHOP, shop.txid, after=cursor, limit=3)
        assert ([*page, *rest], end) == (ids, b"")
        newest, cursor = view.list_page(OF_BUYER, ALICE.address, limit=4, newest=True)
        older, end = view.list_page(OF_BUYER, ALICE.address, after=cursor, limit=4, newest=True)
        assert ([*newest, *older], end) == (ids[::-1], b"")
        assert view.list_page(ALL_SHOPS, b"", limit=9) == ([shop.txid], b"")
        assert view.list_page(BY_HOLDER, ALICE.address, limit=9) == ([ask.txid], b"")
        assert view.list_page(OF_BUYER, BOB.address, limit=9) == ([], b"")
        with pytest.raises(Malformed):
            view.list_page(OF_BUYER, BOB.address, after=b"forged", limit=9)
        order = view.order(ids[0])
        assert order is not None and order.refunded == 4 * DOLLAR
        assert [line.refunded for line in view.order_lines(ids[0])] == [2, 0]
        assert view.params()["order_fee_bps"] == (50, 10, 200)
        assert [name for name, _, _ in view.gateways()] == ["g0", "g1", "g2", "g3"]
        supply = view.supply()
        held = supply.locked + supply.escrowed
        assert supply.supply == supply.balances + supply.fee_pool + held == 70_000 * DOLLAR
        for address in (ALICE.address, h("nobody")):
            key, row, proof = view.prove(ACCOUNT, address)
            assert check_proof(view.header.state_root, key, row, proof) is None
            assert (row is None) == (address != ALICE.address)
        assert all(result.ok for result in ledger.laws(view))


def test_a_simulation_says_what_would_happen_and_changes_nothing(ledger: Ledger) -> None:
    wallets = Wallets()
    with ledger.view() as view:
        fine = view.simulate(wallets.pay(ALICE, BOB))
        assert fine.receipt.code == 0 and fine.refusal is None
        unsigned = wallets.pay(ALICE, BOB, nonce=0)._replace(signatures=())
        assert view.simulate(unsigned, is_signed=False).receipt.code == 0
        with pytest.raises(Rejected, match="NOT_AUTHORISED"):
            view.simulate(wallets.pay(BOB, BOB, nonce=0)._replace(signatures=()))
        dear = view.simulate(wallets.pay(BOB, ALICE, 10**15, nonce=0))
        assert dear.receipt.code == 101
        assert dear.refusal is not None and dear.refusal.facts["needed"] == str(10**15)
        assert view.fee("dollar_transfer", 250) == 1_000
    assert ledger.head.header.height == 0


def broken_registry() -> Registry:
    """With a kind that has a bug: it writes, then divides by zero; one that writes what has no
    encoding; and one that ends an era.
    """

    def bug(ctx: Any, _fields: Any) -> None:
        ctx.draft.put(ACCOUNT, BOB.address, ctx.draft.get(ACCOUNT, ALICE.address))
        mint(ctx, ALICE.address, 1)
        raise ZeroDivisionError

    def suspend(ctx: Any, _fields: Any) -> None:
        gateway = ctx.draft.get(GATEWAY, "g3")
        ctx.draft.put(GATEWAY, "g3", gateway._replace(status="suspended", seat=False))

    def overflow(ctx: Any, _fields: Any) -> None:
        ctx.draft.put(ACCOUNT, BOB.address, EMPTY._replace(dollar=2**64))

    kinds = (
        Kind("test_bug", Struct(), bug, 100, ""),
        Kind("test_overflow", Struct(), overflow, 100, ""),
        Kind("test_end", Struct(), suspend, 100, ""),
    )
    return Registry((*standard_registry().families, Family(90, "test", kinds=kinds)))


def test_case_69_a_bug_while_building_leaves_the_transaction_out(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "store", GENESIS, broken_registry())
    wallets = Wallets(GENESIS)
    bad = wallets.tx(ALICE, "test_bug")
    before, after = wallets.pay(BOB, ALICE), wallets.pay(BOB, ALICE)
    built = build(ledger, before, bad, after)
    assert built.included == (before, after)
    assert built.skipped == ((bad.txid, None),)
    assert "ZeroDivisionError" in built.bugs[0]
    ledger.commit(hash_header(built.block.header), certify(built.block.header))
    with ledger.view() as view:
        assert view.account(ALICE.address).nonces == ()
        assert all(result.ok for result in ledger.laws(view))
    ledger.close()


def test_case_69_a_row_that_cannot_be_written_leaves_its_transaction_out(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "store", GENESIS, broken_registry())
    wallets = Wallets(GENESIS)
    before, bad = wallets.pay(BOB, ALICE), wallets.tx(SELLER, "test_overflow")
    after = wallets.pay(BOB, ALICE)
    built = build(ledger, before, bad, after)
    assert built.included == (before, after)
    assert built.skipped == ((bad.txid, None),)
    assert "OverflowError" in built.bugs[0]
    other = Ledger.create(tmp_path / "other", GENESIS, broken_registry())
    assert other.check(built.block, [before, after]) is None
    other.close()
    ledger.commit(hash_header(built.block.header), certify(built.block.header))
    with ledger.view() as view:
        assert view.account(SELLER.address).nonces == ()
        assert all(result.ok for result in ledger.laws(view))
    ledger.close()


def test_case_69_a_bug_while_checking_refuses_the_block_and_stops_catching_up(
    tmp_path: Path,
) -> None:
    ledger = Ledger.create(tmp_path / "store", GENESIS, broken_registry())
    bad = Wallets(GENESIS).tx(ALICE, "test_bug")
    empty = build(ledger).block.header
    from mgsnode.base.block import txs_root

    header = empty._replace(txs_root=txs_root([bad.signed_hash]))
    block = Block(header, (bad.raw,))
    why = ledger.check(block, [bad])
    assert why is not None and why.startswith("it breaks the ledger")
    with pytest.raises(Corrupt, match="ZeroDivisionError"):
        ledger.apply_certified(block, [bad], certify(header))
    ledger.close()


@pytest.mark.parametrize("fatal", [MemoryError, RecursionError, KeyboardInterrupt])
def test_case_69_what_means_a_broken_machine_is_never_caught(
    tmp_path: Path, fatal: type[BaseException]
) -> None:
    def die(_ctx: Any, _fields: Any) -> None:
        raise fatal

    family = Family(90, "test", kinds=(Kind("test_die", Struct(), die, 100, ""),))
    registry = Registry((*standard_registry().families, family))
    ledger = Ledger.create(tmp_path / "store", GENESIS, registry)
    with pytest.raises(fatal):
        build(ledger, Wallets(GENESIS).tx(ALICE, "test_die"))
    ledger.close()


def test_a_change_of_the_gateways_seats_ends_the_era(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "store", GENESIS, broken_registry())
    wallets = Wallets(GENESIS)
    barrier = commit(ledger, wallets.tx(ALICE, "test_end")).block.header
    assert barrier.era == 0 and barrier.valset_hash != barrier.next_valset_hash
    assert [m.gateway for m in ledger.head.validators.members] == ["g0", "g1", "g2"]
    next_header = build(ledger, wallets.pay(BOB, ALICE)).block.header
    assert (next_header.era, next_header.valset_hash) == (1, barrier.next_valset_hash)
    assert next_header.next_valset_hash == next_header.valset_hash
    assert ledger.validators(1).n == 4 and ledger.validators(2).n == 3
    with ledger.view() as view:
        broken = [result.name for result in ledger.laws(view) if not result.ok]
        assert broken == ["changes"]  # no proposal and no evidence says so
    ledger.close()
    again = Ledger.open(tmp_path / "store", GENESIS, broken_registry())
    assert again.head.validators.n == 3
    again.close()


def test_a_view_taken_while_a_block_becomes_final_is_consistent_with_itself(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Views are taken by another thread than the one that commits: the rows are there a moment
    # before `head` says so.
    seen: list[int] = []
    absorb = ledger._cache.absorb

    def look(nodes: Any) -> None:
        with ledger.view() as view:
            stored, block_hash = read_head(view.rows)
            assert (view.header, view.hash) == (stored, block_hash)
            assert ledger.head.header.height == view.height - 1
            seen.append(view.height)
        absorb(nodes)

    monkeypatch.setattr(ledger._cache, "absorb", look)
    commit(ledger)
    assert seen == [1]


def test_the_door_outlives_a_queue_that_is_cleared_under_its_hands(ledger: Ledger) -> None:
    # The ledger's thread clears the news between our look at the queue and our reading it.
    door = ledger._door

    class Clears(deque[Any]):
        def popleft(self) -> Any:
            self.clear()
            return super().popleft()

    commit(ledger)
    door._news = Clears(door._news)
    door.open()
    commit(ledger)
    assert ledger.next_nonce(ALICE.address, 0) == 0
