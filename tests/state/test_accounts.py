"""Keys of accounts: whose signature a change needs, what it leaves behind, and who tries what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.errors import Rejected
from mgsnode.base.keys import is_strong_key
from mgsnode.base.transaction import NOT_AUTHORISED, Transaction, open_transaction, seal
from state.ledger import Ledger
from state.tx.accounts import (
    ACCOUNT,
    KEYS_EVER,
    RECRUITED,
    KeysEver,
    Recruited,
    account_of,
    is_linked,
)
from state.tx.keys import KEYS_MAX, KEYS_SET, keys_set
from tests.state.scenarios.accounts import FOUR, ONE, THREE, TWO, MixedKey, at, give_keys, keys
from tests.state.scenarios.base import ALICE, BOB, SELLER, new_world
from tests.state.world import DOLLAR, Person, World, make_genesis, people, reason

TO_BOB = ((BOB.address, DOLLAR, ""),)


def refused(w: World, tx: Transaction) -> str:
    with pytest.raises(Rejected) as caught:
        w.block(tx)
    w.draft.rollback()
    assert caught.value.code == NOT_AUTHORISED[0], caught.value
    return str(caught.value.facts["who"])


def test_the_new_key_acts_and_the_old_one_does_not_and_the_address_stays() -> None:
    w = new_world()
    assert keys_set(w.draft, ALICE.address) == (0, 0, 0)
    give_keys(w, ONE)
    assert keys_set(w.draft, ALICE.address) == (w.time_ms, w.height, 1)
    assert refused(w, w.tx(ALICE, "dollar_transfer", TO_BOB)) == "sender"
    assert w.do(at(ALICE, ONE), "dollar_transfer", TO_BOB).code == 0
    assert w.dollars(BOB) == 10_001 * DOLLAR
    assert w.broken_laws() == []


def test_a_victims_key_is_not_added_without_its_signature() -> None:
    w = new_world()
    assert refused(w, w.tx(ALICE, "account_set_keys", keys(BOB), 1)) == "key"
    assert refused(w, w.tx(ALICE, "account_set_keys", keys(ALICE, BOB), 1)) == "key"
    assert refused(w, w.tx(ALICE, "account_set_keys", keys(ONE, BOB), 1, also=[ONE])) == "key"
    assert not is_linked(w.draft, ALICE.address, BOB.address)


def test_a_victims_signature_under_something_else_is_none() -> None:
    """Whatever the victim has signed before, its signature covers those bytes and no others."""
    w = new_world()
    given = w.tx(BOB, "dollar_transfer", ((ALICE.address, 1, ""),))
    tx = w.tx(ALICE, "account_set_keys", keys(BOB), 1)
    lifted = seal(tx.body_bytes, [*tx.signatures, *given.signatures])
    forged = open_transaction(lifted, w.genesis.hash)
    from mgsnode.base.keys import is_signed_by

    good = {claim.public_key: is_signed_by(*claim) for claim in forged.claims()}
    assert good == {ALICE.key.public_key: True, BOB.key.public_key: False}


def test_new_keys_alone_do_not_take_an_account_over() -> None:
    w = new_world()
    tx = w.tx(at(ALICE, ONE), "account_set_keys", keys(ONE), 1)
    assert refused(w, tx) == "sender"
    give_keys(w, ONE, TWO, THREE, threshold=2)
    tx = w.tx(at(ALICE, ONE), "account_set_keys", keys(ONE, FOUR), 1, also=[FOUR])
    assert refused(w, tx) == "sender"  # a newcomer does not count for the threshold of today


def test_a_strangers_signature_and_that_of_a_key_on_its_way_out_that_was_not_needed() -> None:
    w = new_world()
    tx = w.tx(ALICE, "account_set_keys", keys(ONE), 1, also=[ONE, TWO])
    assert refused(w, tx) == "stranger"
    give_keys(w, ONE, TWO)
    tx = w.tx(at(ALICE, ONE), "account_set_keys", keys(ONE), 1, also=[TWO])
    assert w.block(tx)[0].code == 0
    assert refused(w, w.tx(at(ALICE, TWO), "dollar_transfer", TO_BOB)) == "sender"


def test_a_key_that_was_removed_signs_again_to_come_back() -> None:
    w = new_world()
    give_keys(w, ONE, TWO)
    assert w.do(at(ALICE, ONE), "account_set_keys", keys(ONE), 1).code == 0
    assert refused(w, w.tx(at(ALICE, ONE), "account_set_keys", keys(ONE, TWO), 1)) == "key"


def test_every_key_that_an_account_ever_had_links_it() -> None:
    w = new_world()
    give_keys(w, BOB)
    assert w.do(at(ALICE, BOB), "account_set_keys", keys(ONE), 1, also=[ONE]).code == 0
    assert is_linked(w.draft, ALICE.address, BOB.address)
    assert is_linked(w.draft, BOB.address, ALICE.address)
    assert not is_linked(w.draft, ALICE.address, SELLER.address)
    tx = w.tx(SELLER, "account_set_keys", keys(SELLER, ONE), 1, also=[ONE])
    assert w.block(tx)[0].code == 0
    assert is_linked(w.draft, ALICE.address, SELLER.address)
    assert not is_linked(w.draft, BOB.address, SELLER.address)


def test_a_sponsor_with_several_keys_signs_with_its_threshold() -> None:
    w = new_world()
    give_keys(w, ONE, TWO, THREE, threshold=2)
    payer = at(ALICE, ONE)
    assert refused(w, w.tx(BOB, "dollar_transfer", TO_BOB, payer=payer)) == "payer"
    old = w.tx(BOB, "dollar_transfer", TO_BOB, payer=payer)
    tx = w.tx(BOB, "dollar_transfer", TO_BOB, payer=payer, also=[THREE])
    assert refused(w, w.tx(BOB, "dollar_transfer", TO_BOB, payer=ALICE)) == "payer"
    before = w.dollars(ALICE)
    receipt = w.block(tx)[0]
    assert (receipt.code, w.dollars(ALICE)) == (0, before - receipt.fee)
    assert old.body == tx.body  # the same transaction: only the signatures differ


def test_a_payer_whose_key_is_being_added_signs_once_for_both() -> None:
    w = new_world()
    tx = w.tx(ALICE, "account_set_keys", keys(BOB), 1, payer=BOB)
    assert w.block(tx)[0].code == 0
    assert is_linked(w.draft, ALICE.address, BOB.address)


def test_the_same_change_counts_once_and_on_one_lane() -> None:
    w = new_world()
    tx = w.tx(ALICE, "account_set_keys", keys(ALICE, ONE), 1, also=[ONE])
    other = w.tx(ALICE, "account_set_keys", keys(ALICE, ONE), 1, also=[ONE], lane=1)
    assert [receipt.code for receipt in w.block(tx, other)] == [0, 0]
    with pytest.raises(Rejected) as caught:
        w.block(tx)
    assert caught.value.name == "BAD_NONCE"
    w.draft.rollback()
    assert tx.txid != other.txid
    assert keys_set(w.draft, ALICE.address).times == 2


def test_what_waits_on_another_lane_is_void_once_its_key_is_gone() -> None:
    """Mempool and execution agree: what the old key signed is left out, and not admitted after."""
    w = new_world()
    change = w.tx(ALICE, "account_set_keys", keys(ONE), 1, also=[ONE])
    waiting = w.tx(ALICE, "dollar_transfer", TO_BOB, lane=7)
    with pytest.raises(Rejected) as caught:
        w.block(change, waiting)
    assert caught.value.code == NOT_AUTHORISED[0]


def test_the_door_the_builder_and_execution_agree_on_who_may_sign(tmp_path: Path) -> None:
    genesis = make_genesis(funded=[ALICE, BOB])
    ledger = Ledger.create(tmp_path / "store", genesis)
    w = World(genesis)  # signs only; the ledger judges
    change = w.tx(ALICE, "account_set_keys", keys(ONE, TWO), 2, also=[ONE, TWO])
    missing = w.tx(ALICE, "account_set_keys", keys(ONE, TWO), 2, also=[ONE])
    old = w.tx(ALICE, "dollar_transfer", TO_BOB, lane=7)
    new = w.tx(at(ALICE, ONE), "dollar_transfer", TO_BOB, also=[TWO], lane=7)
    for tx in (change, old):
        ledger.check_admission(ledger.open_tx(tx.raw))
    for tx in (missing, new):
        with pytest.raises(Rejected) as caught:
            ledger.check_admission(ledger.open_tx(tx.raw))
        assert caught.value.code == NOT_AUTHORISED[0]
    head = ledger.head
    built = ledger.build(head.hash, [change, old, new], head.header.timestamp_ms + 1)
    assert built.included == (change, new)
    assert [(s.txid, s.refusal.code) for s in built.skipped if s.refusal] == [
        (old.txid, NOT_AUTHORISED[0])
    ]
    ledger.close()


def test_keys_that_libsodium_does_not_take_as_keys_are_refused_though_they_can_sign() -> None:
    """A point with a part of small order: its holder can make signatures that are good."""
    assert not is_strong_key(MixedKey().public_key)
    assert not is_strong_key(bytes(32))
    assert not is_strong_key(bytes([1]) + bytes(31))


def test_seven_keys_replace_seven_with_a_sponsor_in_one_transaction() -> None:
    w = new_world()
    first, second = (people(*(f"{side} {i}" for i in range(KEYS_MAX))) for side in ("old", "new"))
    give_keys(w, *first, threshold=KEYS_MAX)
    tx = w.tx(
        at(ALICE, first[0]), "account_set_keys", keys(*second), KEYS_MAX,
        also=[*first[1:], *second], payer=BOB,
    )  # fmt: skip
    assert w.block(tx)[0].code == 0
    assert account_of(w.draft, ALICE.address).keys == tuple(sorted(keys(*second)))
    assert w.broken_laws() == []


def test_a_memo_is_asked_of_holders_and_not_of_the_chain() -> None:
    w = new_world()
    w.do(ALICE, "account_set_memo", True)
    assert reason(w, w.do(BOB, "dollar_transfer", ((ALICE.address, 1, ""),))) == "MEMO_MISSING"
    rid = w.do(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", b"\1" * 32, ()).txid
    assert w.do(Person("op1"), "dollar_redeem_refuse", rid, "bank").code == 0
    assert w.broken_laws() == []


TAMPERINGS: list[tuple[str, Any, Any, str]] = [
    ("flags", ACCOUNT, lambda row: row._replace(flags=row.flags | 32), "keys"),
    ("links", ACCOUNT, lambda row: row._replace(flags=0), "keys"),
    ("threshold", ACCOUNT, lambda row: row._replace(threshold=3), "keys"),
    ("order", ACCOUNT, lambda row: row._replace(keys=row.keys[::-1]), "keys"),
    ("key", ACCOUNT, lambda row: row._replace(keys=keys(FOUR)), "keys"),
    ("since", KEYS_SET, lambda row: None, "keys"),
    ("ever", KEYS_EVER, lambda row: None, "keys"),
    ("ever", KEYS_EVER, lambda row: KeysEver(row.hashes[::-1]), "links"),
    ("own", KEYS_EVER, lambda row: KeysEver((ALICE.address,)), "links"),
    ("by", RECRUITED, lambda row: Recruited((b"b", b"a")), "links"),
]


@pytest.mark.parametrize(("what", "table", "change", "law"), TAMPERINGS)
def test_a_law_notices(what: str, table: Any, change: Any, law: str) -> None:
    w = new_world()
    give_keys(w, ONE, TWO, threshold=2)
    assert w.broken_laws() == []
    row = change(w.draft.get(table, ALICE.address))
    if row is None:
        w.draft.delete(table, ALICE.address)
    else:
        w.draft.put(table, ALICE.address, row)
    assert any(broken.startswith(f"accounts/{law}") for broken in w.broken_laws()), what


RING = [ALICE, *people("r1", "r2", "r3", "r4")]
SOME = st.lists(st.sampled_from(RING), min_size=1, max_size=4, unique=True)


class Keyring(RuleBasedStateMachine):
    """Anyone signs any change; only enough of today's keys and every newcomer make one."""

    @initialize()
    def begin(self) -> None:
        self.w = World(make_genesis(funded=[ALICE], dollars=1_000 * DOLLAR))
        self.keys = {ALICE}
        self.threshold = 1
        self.ever = {ALICE}

    @rule(signers=SOME, to=SOME, threshold=st.integers(1, 4))
    def change(self, signers: list[Person], to: list[Person], threshold: int) -> None:
        acting = [at(ALICE, person) for person in signers]
        tx = self.w.tx(acting[0], "account_set_keys", keys(*to), threshold, also=acting[1:])
        enough = len(self.keys & set(signers)) >= self.threshold
        newcomers = set(to) - self.keys
        may = enough and newcomers <= set(signers) and set(signers) <= self.keys | newcomers
        try:
            receipt = self.w.block(tx)[0]
        except Rejected as refusal:
            self.w.draft.rollback()
            assert not may and refusal.code == NOT_AUTHORISED[0]
            return
        assert may
        assert (receipt.code == 0) == (threshold <= len(to))
        if receipt.code == 0:
            self.keys, self.threshold = set(to), threshold
            self.ever |= set(to)

    @invariant()
    def the_account_is_as_the_model_says(self) -> None:
        if not hasattr(self, "w"):
            return
        for person in RING[1:]:
            linked = is_linked(self.w.draft, ALICE.address, person.address)
            assert linked == (person in self.ever)
        assert self.w.broken_laws() == []


Keyring.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestKeyring = Keyring.TestCase
