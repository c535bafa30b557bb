"""What may happen to accounts: their keys, and the memo they ask for."""

from __future__ import annotations

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_hash_sha512,
    crypto_scalarmult_ed25519_base_noclamp,
)

from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import Transaction, open_transaction, seal, tx_statement
from state.tx.keys import KEYS_EVER_MAX, KEYS_MAX
from tests.state.scenarios.base import ALICE, BOB, scenario
from tests.state.scenarios.compliance import freeze
from tests.state.world import DOLLAR, Person, World, h, had_keys, people

ONE, TWO, THREE, FOUR = people("key one", "key two", "key three", "key four")
_ORDER_2 = bytes([0xEC] + [0xFF] * 30 + [0x7F])  # the point (0, -1)


def keys(*of: Person) -> tuple[bytes, ...]:
    return tuple(person.key.public_key for person in of)


def at(owner: Person, holder: Person) -> Person:
    """`holder`'s key acting for `owner`'s account."""
    acting = Person(holder.name)
    acting.address = owner.address
    return acting


def give_keys(w: World, *of: Person, threshold: int = 1) -> None:
    """Alice's account gets these keys, while it has its first one."""
    tx = w.tx(ALICE, "account_set_keys", keys(*of), threshold, also=[p for p in of if p != ALICE])
    assert w.block(tx)[0].code == 0


@scenario("accounts")
def replace_the_first_key(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ONE), 1, also=[ONE])


@scenario("accounts")
def set_two_of_three_keys(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ONE, TWO, THREE), 2, also=[ONE, TWO, THREE])


@scenario("accounts")
def add_a_key_beside_the_first(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ALICE, ONE), 1, also=[ONE])


@scenario("accounts")
def replace_one_of_three_keys_with_two_signatures_and_its_own(w: World) -> Transaction:
    give_keys(w, ONE, TWO, THREE, threshold=2)
    signers = [THREE, FOUR]
    return w.tx(at(ALICE, ONE), "account_set_keys", keys(ONE, THREE, FOUR), 2, also=signers)


@scenario("accounts")
def return_to_the_first_key(w: World) -> Transaction:
    give_keys(w, ONE)
    return w.tx(at(ALICE, ONE), "account_set_keys", keys(ALICE), 1, also=[ALICE])


@scenario("accounts")
def replace_a_key_while_another_pays_the_fee(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ONE), 1, also=[ONE], payer=BOB)


@scenario("accounts")
def pay_with_two_of_three_keys(w: World) -> Transaction:
    give_keys(w, ONE, TWO, THREE, threshold=2)
    outputs = ((BOB.address, DOLLAR, ""),)
    return w.tx(at(ALICE, THREE), "dollar_transfer", outputs, also=[ONE])


@scenario("accounts", "KEY_TWICE")
def set_a_key_twice(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ONE, ONE), 2, also=[ONE])


@scenario("accounts", "THRESHOLD_BEYOND_KEYS")
def lock_oneself_out_by_the_threshold(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_keys", keys(ONE, TWO), 3, also=[ONE, TWO])


@scenario("accounts", "ACCOUNT_FROZEN")
def replace_the_key_of_a_frozen_account(w: World) -> Transaction:
    freeze(w, ALICE)
    return w.tx(ALICE, "account_set_keys", keys(ONE), 1, also=[ONE])


@scenario("accounts", "TOO_MANY_KEYS")
def set_more_keys_than_an_account_can_ever_have(w: World) -> Transaction:
    had_keys(w, ALICE, *(h(f"had {number}") for number in range(KEYS_EVER_MAX - KEYS_MAX)))
    some = people(*(f"more {number}" for number in range(KEYS_MAX)))
    return w.tx(ALICE, "account_set_keys", keys(*some), 1, also=some)


class MixedKey:
    """A key that is no point of the prime-order group: libsodium takes every second signature."""

    def __init__(self) -> None:
        scalar = h("mixed") + bytes(32)
        self.scalar = crypto_core_ed25519_scalar_reduce(scalar)
        clean = crypto_scalarmult_ed25519_base_noclamp(self.scalar)
        self.public_key = crypto_core_ed25519_add(clean, _ORDER_2)

    def sign(self, message: bytes) -> bytes:
        nonce = crypto_core_ed25519_scalar_reduce(crypto_hash_sha512(b"nonce" + message))
        point = crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = crypto_core_ed25519_scalar_reduce(
            crypto_hash_sha512(point + self.public_key + message)
        )
        share = crypto_core_ed25519_scalar_mul(challenge, self.scalar)
        return point + crypto_core_ed25519_scalar_add(nonce, share)


@scenario("accounts", "WEAK_KEY")
def set_a_key_outside_the_group_whose_signature_is_taken(w: World) -> Transaction:
    mixed = MixedKey()
    for fee_max in range(DOLLAR, DOLLAR + 64):
        fields = ((mixed.public_key,), 1)
        tx = w.tx(ALICE, "account_set_keys", *fields, fee_max=fee_max)
        message = tx_statement(w.genesis.hash, tx.body_bytes)
        signature = mixed.sign(message)
        if is_signed_by(mixed.public_key, message, signature):
            pairs = [*tx.signatures, (mixed.public_key, signature)]
            return open_transaction(seal(tx.body_bytes, pairs), w.genesis.hash)
    raise AssertionError("no message of 64 suits the key")


@scenario("accounts")
def ask_for_a_memo(w: World) -> Transaction:
    return w.tx(ALICE, "account_set_memo", True)


@scenario("accounts")
def ask_for_a_memo_no_more(w: World) -> Transaction:
    w.do(ALICE, "account_set_memo", True)
    return w.tx(ALICE, "account_set_memo", False)


@scenario("accounts", "MEMO_MISSING")
def pay_without_the_memo_that_is_asked_for(w: World) -> Transaction:
    w.do(ALICE, "account_set_memo", True)
    outputs = ((BOB.address, DOLLAR, ""), (ALICE.address, DOLLAR, ""))
    return w.tx(BOB, "dollar_transfer", outputs)


@scenario("accounts")
def pay_with_the_memo_that_is_asked_for(w: World) -> Transaction:
    w.do(ALICE, "account_set_memo", True)
    return w.tx(BOB, "dollar_transfer", ((ALICE.address, DOLLAR, "invoice 7"),))
