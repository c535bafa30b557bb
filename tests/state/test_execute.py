"""What may enter a block, what it costs, and that a refused transaction leaves nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import ConfigError, Malformed, Rejected
from mgsnode.base.limits import INT_MAX, TX_BYTES_MAX, TX_LIFETIME_MS_MAX
from mgsnode.base.transaction import ENVELOPE_REFUSALS, open_transaction, seal
from state.draft import Draft
from state.execute import apply_genesis
from state.fields import Struct
from state.registry import Family, Kind, Registry, standard_registry
from state.tx.accounts import ACCOUNT, Account, account_of, next_nonce
from state.tx.money import hold, transfer
from tests.state.scenarios.base import ALICE, BOB, SELLER, new_world
from tests.state.world import DOLLAR, FEE_MAX, Nothing, Person, World, h, make_genesis, reason

TO_BOB = ((BOB.address, 5 * DOLLAR, ""),)


def refused(w: World, tx: Any) -> Rejected:
    """The refusal that keeps `tx` out of a block; nothing of it stays."""
    before = w.rows()
    with pytest.raises(Rejected) as caught:
        w.block(tx)
    after = w.rows()
    time = (b"s\x01", b"s\x04")  # the clock and the roots of heights
    assert {k: v for k, v in after.items() if not k.startswith(time)} == {
        k: v for k, v in before.items() if not k.startswith(time)
    }
    return caught.value


def test_a_refused_transaction_pays_its_fee_uses_its_nonce_and_leaves_nothing_else() -> None:
    w = new_world()
    before = w.rows()
    receipt = w.do(ALICE, "dollar_transfer", ((BOB.address, 10_000 * DOLLAR, ""),))
    assert reason(w, receipt) == "INSUFFICIENT_BALANCE"
    assert receipt.fee > 0 and receipt.events == ()
    assert w.dollars(ALICE) == 10_000 * DOLLAR - receipt.fee
    assert next_nonce(account_of(w.draft, ALICE.address), 0) == 1
    changed = {key[1] for key, value in w.rows().items() if before.get(key) != value}
    assert changed == {1, 4, 16, 18}  # clock, root of the height below, account, totals
    assert w.broken_laws() == []


def test_a_transfer_of_250_bytes_costs_a_tenth_of_a_cent() -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB)
    assert 240 <= len(tx.raw) <= 260
    assert 900 <= w.block(tx)[0].fee <= 1_100


@pytest.mark.parametrize(("before_end", "enters"), [(1, True), (0, True), (-1, False)])
def test_a_transaction_is_valid_until_its_time_and_not_a_millisecond_longer(
    before_end: int, enters: bool
) -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB, valid_until=w.time_ms + 1 + before_end)
    if enters:
        assert w.block(tx)[0].code == 0
    else:
        assert refused(w, tx).name == "EXPIRED"


@pytest.mark.parametrize(("beyond", "enters"), [(0, True), (1, False)])
def test_a_transaction_is_valid_for_a_day_at_most(beyond: int, enters: bool) -> None:
    w = new_world()
    until = w.time_ms + 1 + TX_LIFETIME_MS_MAX + beyond
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB, valid_until=until)
    if enters:
        assert w.block(tx)[0].code == 0
    else:
        assert refused(w, tx).name == "VALID_TOO_LONG"


def test_the_same_transaction_twice_happens_once() -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB)
    assert w.block(tx)[0].code == 0
    assert refused(w, tx).name == "BAD_NONCE"


def test_the_same_payment_on_two_lanes_is_two_payments() -> None:
    w = new_world()
    one = w.tx(ALICE, "dollar_transfer", TO_BOB, lane=0)
    other = w.tx(ALICE, "dollar_transfer", TO_BOB, lane=255)
    assert one.txid != other.txid
    assert [receipt.code for receipt in w.block(other, one)] == [0, 0]
    assert account_of(w.draft, ALICE.address).nonces == ((0, 1), (255, 1))
    assert refused(w, other).name == "BAD_NONCE"
    w.do(ALICE, "dollar_transfer", TO_BOB, lane=7)
    w.do(ALICE, "dollar_transfer", TO_BOB, lane=7)
    assert account_of(w.draft, ALICE.address).nonces == ((0, 1), (7, 2), (255, 1))


@pytest.mark.parametrize("nonce", [1, 2, INT_MAX - 1])
def test_a_nonce_ahead_of_its_turn_does_not_enter(nonce: int) -> None:
    w = new_world()
    assert refused(w, w.tx(ALICE, "dollar_transfer", TO_BOB, nonce=nonce)).name == "BAD_NONCE"


def test_a_sender_who_did_not_sign_is_refused() -> None:
    w = new_world()
    tx = w.tx(BOB, "dollar_transfer", TO_BOB, sender=ALICE.address)
    assert refused(w, tx).facts == {"who": "sender"}


def test_a_payer_who_did_not_sign_is_refused() -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB, payer=None)
    sponsored = w.tx(ALICE, "dollar_transfer", TO_BOB, payer=BOB)
    only_alice = seal(sponsored.body_bytes, [sponsored.signatures[0]])
    w2 = open_transaction(only_alice, w.genesis.hash)
    assert refused(w, w2).facts["who"] in ("sender", "payer")
    assert w.block(tx)[0].code == 0


def test_a_payer_pays_the_fee_and_nothing_else() -> None:
    w = new_world()
    receipt = w.do(ALICE, "dollar_transfer", TO_BOB, payer=SELLER)
    assert w.dollars(ALICE) == 9_995 * DOLLAR
    assert w.dollars(SELLER) == 10_000 * DOLLAR - receipt.fee
    assert account_of(w.draft, SELLER.address).nonces == ()
    assert w.broken_laws() == []


def test_a_strangers_signature_is_refused() -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_transfer", TO_BOB, also=[BOB])
    assert refused(w, tx).facts == {"who": "stranger"}


def test_a_shop_is_not_opened_without_its_gateways_signature() -> None:
    from tests.state.scenarios.orders import shop_fields

    w = new_world()
    assert refused(w, w.tx(SELLER, "shop_open", *shop_fields())).facts == {"who": "cosigner"}


def test_an_account_with_a_threshold_needs_that_many_of_its_keys() -> None:
    w = new_world()
    one, two, three = Person("k1"), Person("k2"), Person("k3")
    keys = tuple(person.key.public_key for person in (one, two, three))
    w.draft.put(ACCOUNT, ALICE.address, Account(100 * DOLLAR, 0, (), keys, 2, 0))
    for signers, who in (([one], "sender"), ([ALICE], "sender"), ([one, two, BOB], "stranger")):
        tx = w.tx(
            signers[0], "dollar_transfer", TO_BOB, also=signers[1:], sender=ALICE.address, nonce=0
        )
        assert refused(w, tx).facts == {"who": who}
    tx = w.tx(two, "dollar_transfer", TO_BOB, also=[three], sender=ALICE.address, nonce=0)
    assert w.block(tx)[0].code == 0


def test_a_fee_above_fee_max_or_balance_does_not_enter() -> None:
    w = new_world()
    assert refused(w, w.tx(ALICE, "dollar_transfer", TO_BOB, fee_max=900)).name == "FEE_TOO_HIGH"
    poor = Person("poor")
    assert refused(w, w.tx(poor, "dollar_transfer", TO_BOB)).name == "FEE_UNAFFORDABLE"


def test_the_last_dollar_pays_the_fee_before_the_transfer() -> None:
    w = new_world()
    size = len(w.tx(ALICE, "dollar_transfer", ((BOB.address, 10_000 * DOLLAR - 1_000, ""),)).raw)
    fee = 500 + 2 * size
    everything = ((BOB.address, 10_000 * DOLLAR - fee, ""),)
    assert w.do(ALICE, "dollar_transfer", everything).code == 0
    assert w.dollars(ALICE) == 0
    assert w.broken_laws() == []


def test_an_unknown_kind_does_not_enter() -> None:
    w = new_world()
    tx = w.tx(ALICE, "dollar_print", 1)
    with pytest.raises(KeyError):  # the world checks fields, as the ledger's door does
        w.block(tx)
    from state.execute import BlockRun

    run = BlockRun(w.registry, w.draft, height=1, time_ms=w.time_ms + 1)
    with pytest.raises(Rejected) as caught:
        run.apply(tx)
    assert caught.value.name == "UNKNOWN_KIND"


@pytest.mark.parametrize("amount", [0, -1, True, "5", b"5", INT_MAX + 1, 2**64 - 1])
def test_case_68_an_amount_that_is_none_is_refused_before_it_is_executed(amount: Any) -> None:
    w = new_world()
    kind = w.registry.kinds["dollar_transfer"]
    with pytest.raises(Rejected) as caught:
        kind.fields.check((((BOB.address, amount, ""),),))
    assert caught.value.name == "BAD_FIELD"
    assert caught.value.facts["field"] == "outputs[0].amount"
    if type(amount) is int and amount > INT_MAX:
        with pytest.raises(Malformed):
            decode(encode(amount), bytes_max=16)


def test_case_68_the_largest_amount_is_refused_for_the_balance() -> None:
    w = new_world()
    receipt = w.do(ALICE, "dollar_transfer", ((BOB.address, INT_MAX, ""),))
    assert reason(w, receipt) == "INSUFFICIENT_BALANCE"


def test_a_block_runs_the_same_whatever_was_refused_between() -> None:
    """A refused transaction must not show in the next one's events, lists or history."""
    w = new_world()
    bad = w.tx(ALICE, "dollar_redeem", "g1", 10_000 * DOLLAR, "USD", h("x"), ())
    good = w.tx(BOB, "dollar_transfer", ((ALICE.address, 1, ""),))
    w.block(bad, good)
    assert w.outcome is not None and w.outcome.listed == ()
    assert [address for address, index in w.outcome.history if index == 1] == [
        BOB.address,
        ALICE.address,
    ]


def test_256_outputs_with_full_memos_fit_and_257_do_not() -> None:
    w = new_world()
    outputs = tuple((h(f"p{i}"), 1, "m" * 256) for i in range(257))
    with pytest.raises(Rejected):
        w.block(w.tx(ALICE, "dollar_transfer", outputs))
    tx = w.tx(ALICE, "dollar_transfer", outputs[:256])
    assert len(tx.raw) < TX_BYTES_MAX
    assert w.block(tx)[0].code == 0
    assert w.broken_laws() == []


def test_a_genesis_that_cannot_be_names_its_field() -> None:
    good = make_genesis(funded=[ALICE])
    two = good.gateways[0]
    broken = {
        "time_ms": good._replace(time_ms=INT_MAX),
        "params.nonsense": good._replace(params=(("nonsense", 1),)),
        "params.order_fee_bps": good._replace(params=(("order_fee_bps", 201),)),
        "accounts[1].address": good._replace(accounts=(good.accounts[0],) * 2),
        "issuer": good._replace(accounts=(good.accounts[0]._replace(issuer="g9"),)),
        "cap": good._replace(accounts=(good.accounts[0]._replace(dollar=INT_MAX),)),
        "accounts[0]": good._replace(accounts=(good.accounts[0]._replace(dollar=-1),)),
        "operator": good._replace(gateways=(two, two._replace(name="x"))),
        "owner_hash": good._replace(
            gateways=(two, good.gateways[1]._replace(owner_hash=two.owner_hash))
        ),
    }
    for name, genesis in broken.items():
        with pytest.raises(ConfigError, match="genesis: ") as caught:
            apply_genesis(standard_registry(), Draft(Nothing()), genesis)
        assert name in str(caught.value)


def test_only_a_development_genesis_lowers_times_to_a_second() -> None:
    params = {"redeem_deadline_ms": 1_000}
    World(make_genesis(params=params))
    for network in ("test", "main"):
        with pytest.raises(ConfigError):
            World(make_genesis(params=params, network=network))  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        World(make_genesis(params={"redeem_deadline_ms": 6 * 86_400_000}))


def test_two_families_with_one_code_or_table_are_found_when_the_program_starts() -> None:
    families = standard_registry().families
    with pytest.raises(AssertionError):
        Registry((*families, families[0]._replace(number=9)))
    with pytest.raises(AssertionError):
        Registry((*families, Family(90, "x", refusals=((801, "X"),))))
    with pytest.raises(AssertionError):
        Registry((*families, Family(90, "x", hooks={"nothing": print})))


def test_every_envelope_refusal_has_a_name_and_is_met_somewhere() -> None:
    names = {name for _, name in ENVELOPE_REFUSALS}
    here = {
        "NOT_AUTHORISED", "BAD_NONCE", "EXPIRED", "VALID_TOO_LONG", "FEE_TOO_HIGH",
        "FEE_UNAFFORDABLE", "UNKNOWN_KIND", "BAD_FIELD",
    }  # fmt: skip
    at_the_door = {"WRONG_CHAIN", "BAD_SIGNATURE", "MALFORMED"}  # base and node
    in_a_block = {"FAMILY_PAUSED"}  # test_periods.py
    assert names == here | at_the_door | in_a_block
    assert FEE_MAX > 0


def test_hooks_are_called_in_the_order_of_the_family_numbers_in_the_same_transaction() -> None:
    from tests.state.scenarios.orders import _pay, open_shop

    calls: list[tuple[int, bytes]] = []

    def hook(number: int) -> Any:
        return lambda _ctx, order_id, *_sale: calls.append((number, order_id))

    more = (
        Family(91, "later", hooks={"paid": hook(91)}),
        Family(90, "sooner", hooks={"paid": hook(90)}),
    )
    w = World(new_world().genesis, Registry((*standard_registry().families, *more)))
    tx = _pay(w, open_shop(w))
    w.block(tx)
    assert calls == [(90, tx.txid), (91, tx.txid)]


def test_a_kind_that_refuses_after_it_wrote_still_leaves_nothing() -> None:
    """Refusals come first by discipline; the undo log is for the day when one does not."""

    def late(ctx: Any, _fields: Any) -> None:
        transfer(ctx, ALICE.address, [(BOB.address, DOLLAR, "")])
        hold(ctx, ALICE.address, 90, ctx.object_id, 1, DOLLAR)
        ctx.draft.delete(ACCOUNT, SELLER.address)
        ctx.draft.put(ACCOUNT, h("new"), Account(5, 0, (), (), 1, 0))
        ctx.list_under(1, b"", ctx.object_id)
        raise Rejected((9001, "LATE"))

    family = Family(
        90, "test", kinds=(Kind("test_late", Struct(), late, 100, ""),), refusals=((9001, "LATE"),)
    )
    w = World(new_world().genesis, Registry((*standard_registry().families, family)))
    receipt = w.do(ALICE, "test_late")
    assert (reason(w, receipt), receipt.events) == ("LATE", ())
    assert w.dollars(ALICE) == 10_000 * DOLLAR - receipt.fee
    assert w.dollars(BOB) == w.dollars(SELLER) == 10_000 * DOLLAR
    assert w.draft.get(ACCOUNT, h("new")) is None
    assert w.outcome is not None and w.outcome.listed == ()
    assert w.outcome.history == ((ALICE.address, 0),)
    assert w.broken_laws() == []
