"""What may happen to each kind: a world is prepared, one transaction follows, its code is said.

`python -m tests.state.scenarios` writes them to `tests/vectors/` as plain data (state before,
transaction, code, state after), so that another implementation can run them. Each refusal of
each family stands here at least once (`test_vectors.py` counts them).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mgsnode.base.block import vote_fields
from mgsnode.base.codec import encode
from mgsnode.base.keys import Signed, SigningKey, statement
from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.draft import Draft
from state.execute import BlockRun
from state.trie import update
from state.tx.gateways import GATEWAY
from state.tx.governance import PROPOSAL
from state.tx.membership import Join, possession_fields
from state.tx.orders import SHOP
from tests.state.world import (
    DAY_MS,
    DOLLAR,
    Person,
    World,
    h,
    make_genesis,
    people,
    reason,
    root_of,
)  # fmt: skip

VECTORS = Path(__file__).parent.parent / "vectors"
ALICE, BOB, SELLER, ARBITER = people("alice", "bob", "seller", "arbiter")
OP0, OP1, OP2, OP3 = people("op0", "op1", "op2", "op3")
NETWORK_TERMS = (2 * DAY_MS, 30 * DAY_MS, 20 * DAY_MS, 1_000, 0)
LINES = (("mug", 3, 2 * DOLLAR, ()), ("tea", 1, 4 * DOLLAR, ()))  # 10 dollars


class Scenario(NamedTuple):
    family: str
    name: str
    reason: str  # the refusal's name, "" for success
    prepare: Callable[[World], Transaction]


SCENARIOS: list[Scenario] = []


def scenario(family: str, reason: str = "") -> Callable[[Any], Any]:
    def add(prepare: Callable[[World], Transaction]) -> Callable[[World], Transaction]:
        SCENARIOS.append(Scenario(family, prepare.__name__, reason, prepare))
        return prepare

    return add


def new_world() -> World:
    """Alice, Bob, the seller and the operators have 10,000 dollars each, all issued by g0."""
    return World(make_genesis(funded=[ALICE, BOB, SELLER], arbiters=[ARBITER], cap=INT_MAX))


# Dollar ------------------------------------------------------------------------------------


@scenario("dollar")
def issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "NOT_OPERATOR")
def issue_by_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "GATEWAY_NOT_ACTIVE")
def issue_by_a_suspended_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="suspended"))
    return w.tx(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))


@scenario("dollar", "REFERENCE_USED")
def issue_twice_on_one_reference(w: World) -> Transaction:
    w.do(OP1, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_on_the_reference_of_another_gateway(w: World) -> Transaction:
    w.do(OP0, "dollar_issue", ALICE.address, 50 * DOLLAR, h("wire 1"))
    return w.tx(OP1, "dollar_issue", BOB.address, 5 * DOLLAR, h("wire 1"))


@scenario("dollar")
def issue_up_to_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR, h("wire 1"))


@scenario("dollar", "CAP_EXCEEDED")
def issue_beyond_the_cap(w: World) -> Transaction:
    _cap(w, 70 * DOLLAR)
    return w.tx(OP1, "dollar_issue", ALICE.address, 70 * DOLLAR + 1, h("wire 1"))


def _cap(w: World, cap: int) -> None:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(cap=cap))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_more_than_can_be_counted(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX, h("wire 1"))


@scenario("dollar", "SUPPLY_LIMIT")
def issue_beyond_what_one_gateway_may_ever_issue(w: World) -> Transaction:
    return w.tx(OP1, "dollar_issue", ALICE.address, INT_MAX // 64 + 1, h("wire 1"))


@scenario("dollar")
def transfer_to_two(w: World) -> Transaction:
    outputs = ((BOB.address, 5 * DOLLAR, "rent"), (Person("new").address, 1, ""))
    return w.tx(ALICE, "dollar_transfer", outputs)


@scenario("dollar")
def transfer_to_oneself(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((ALICE.address, 5 * DOLLAR, ""),))


@scenario("dollar")
def transfer_with_a_sponsored_fee(w: World) -> Transaction:
    new = Person("new")
    w.do(ALICE, "dollar_transfer", ((new.address, 5, ""),))
    return w.tx(new, "dollar_transfer", ((BOB.address, 5, ""),), payer=ALICE)


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_more_than_there_is(w: World) -> Transaction:
    half = 5_000 * DOLLAR  # two halves and the fee: more than 10,000
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, half, ""), (BOB.address, half, "")))


@scenario("dollar", "INSUFFICIENT_BALANCE")
def transfer_outputs_that_sum_beyond_64_bits(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_transfer", ((BOB.address, INT_MAX, ""),) * 3)


@scenario("dollar")
def redeem(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "UNKNOWN_GATEWAY")
def redeem_at_an_unknown_gateway(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g9", 20 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "UNKNOWN_QUOTE")
def redeem_on_a_quote(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), (h("quote"),))


@scenario("dollar", "CURRENCY_NOT_SERVED")
def redeem_in_a_foreign_currency(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "JPY", h("iban"), ())


@scenario("dollar", "BELOW_MINIMUM")
def redeem_too_little(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 10 * DOLLAR - 10_000, "USD", h("iban"), ())


@scenario("dollar", "NOT_WHOLE_CENTS")
def redeem_a_fraction_of_a_cent(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 20 * DOLLAR + 1, "USD", h("iban"), ())


@scenario("dollar", "INSUFFICIENT_BALANCE")
def redeem_without_the_ask_fee(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem", "g1", 9_999_990_000, "USD", h("iban"), ())


@scenario("dollar", "CREDIT_EXHAUSTED")
def redeem_more_than_the_gateway_must_take(w: World) -> Transaction:
    _fund(w, ALICE, 60_000)
    return w.tx(ALICE, "dollar_redeem", "g1", 50_000 * DOLLAR + 10_000, "USD", h("iban"), ())


@scenario("dollar")
def redeem_all_that_the_gateway_must_take(w: World) -> Transaction:
    _fund(w, ALICE, 60_000)
    return w.tx(ALICE, "dollar_redeem", "g1", 50_000 * DOLLAR, "USD", h("iban"), ())


@scenario("dollar", "CREDIT_EXHAUSTED")
def redeem_a_second_time_beyond_the_credit(w: World) -> Transaction:
    _fund(w, ALICE, 60_000)
    ask = w.do(ALICE, "dollar_redeem", "g1", 30_000 * DOLLAR, "USD", h("iban"), ())
    assert ask.code == 0
    return w.tx(ALICE, "dollar_redeem", "g1", 20_000 * DOLLAR + 10_000, "USD", h("iban"), ())


def _fund(w: World, person: Person, dollars: int) -> None:
    w.do(OP0, "dollar_issue", person.address, dollars * DOLLAR, h(f"fund {person.name}"))


def _asked(w: World) -> bytes:
    return w.do(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("iban"), ()).txid


def _claimed(w: World) -> bytes:
    rid = _asked(w)
    assert w.do(OP1, "dollar_redeem_paid", rid, h("payout"), ()).code == 0
    return rid


@scenario("dollar")
def redeem_paid(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "UNKNOWN_REDEMPTION")
def redeem_paid_for_nothing(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", h("none"), h("payout"), ())


@scenario("dollar", "NOT_OPERATOR")
def redeem_paid_by_another_gateway(w: World) -> Transaction:
    return w.tx(OP0, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_paid_twice(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _claimed(w), h("payout 2"), ())


@scenario("dollar", "REFERENCE_USED")
def redeem_paid_on_a_used_reference(w: World) -> Transaction:
    _claimed(w)
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), ())


@scenario("dollar", "UNKNOWN_CASE")
def redeem_paid_with_a_case(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_paid", _asked(w), h("payout"), (h("case"),))


@scenario("dollar")
def redeem_confirm(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_confirm", _claimed(w))


@scenario("dollar", "NOT_HOLDER")
def redeem_confirm_by_another(w: World) -> Transaction:
    return w.tx(BOB, "dollar_redeem_confirm", _claimed(w))


@scenario("dollar", "REDEMPTION_STATUS")
def redeem_confirm_before_it_is_claimed(w: World) -> Transaction:
    return w.tx(ALICE, "dollar_redeem_confirm", _asked(w))


@scenario("dollar")
def redeem_refuse_for_the_details(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_refuse", _asked(w), "details")


@scenario("dollar")
def redeem_refuse_for_the_bank(w: World) -> Transaction:
    return w.tx(OP1, "dollar_redeem_refuse", _asked(w), "bank")


# Orders ------------------------------------------------------------------------------------


def shop_fields(**over: Any) -> tuple[Any, ...]:
    ship, complete, window, holdback, commission = NETWORK_TERMS
    fields = {
        "name": "Teas", "gateway": "g1", "ship": ship, "complete": complete, "window": window,
        "holdback": holdback, "commission": commission, "arbiter": ARBITER.address,
    }  # fmt: skip
    return tuple({**fields, **over}.values())


def open_shop(w: World, **over: Any) -> bytes:
    receipt = w.do(SELLER, "shop_open", *shop_fields(**over), also=[OP1])
    assert receipt.code == 0, receipt
    return receipt.txid


def _pay(w: World, shop: bytes, lines: Any = LINES, **how: Any) -> Transaction:
    return w.tx(ALICE, "order_pay", shop, lines, (), (), (), **how)


def _paid(w: World, **over: Any) -> bytes:
    return w.block(_pay(w, open_shop(w, **over)))[0].txid


def _shipped(w: World, **over: Any) -> bytes:
    order = _paid(w, **over)
    assert w.do(SELLER, "order_ship", order, "parcel 7").code == 0
    return order


def _completed(w: World, **over: Any) -> bytes:
    order = _shipped(w, **over)
    assert w.do(ALICE, "order_complete", order).code == 0
    return order


@scenario("orders")
def shop_open(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders", "UNKNOWN_GATEWAY")
def shop_open_under_an_unknown_gateway(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(gateway="g9"))


@scenario("orders", "GATEWAY_NOT_ACTIVE")
def shop_open_under_a_leaving_gateway(w: World) -> Transaction:
    gateway = w.draft.get(GATEWAY, "g1")
    assert gateway is not None
    w.draft.put(GATEWAY, "g1", gateway._replace(status="leaving"))
    return w.tx(SELLER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders", "TERMS_OUT_OF_BOUNDS")
def shop_open_with_a_long_ship_deadline(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(ship=14 * DAY_MS + 1), also=[OP1])


@scenario("orders", "TERMS_OUT_OF_BOUNDS")
def shop_open_with_too_much_commission(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(commission=5_001), also=[OP1])


@scenario("orders", "ARBITER_NOT_LISTED")
def shop_open_with_a_friend_as_arbiter(w: World) -> Transaction:
    return w.tx(SELLER, "shop_open", *shop_fields(arbiter=BOB.address), also=[OP1])


@scenario("orders", "ARBITER_LINKED")
def shop_open_by_the_arbiter(w: World) -> Transaction:
    _fund(w, ARBITER, 10)
    return w.tx(ARBITER, "shop_open", *shop_fields(), also=[OP1])


@scenario("orders")
def order_pay(w: World) -> Transaction:
    return _pay(w, open_shop(w))


@scenario("orders", "UNKNOWN_SHOP")
def order_pay_to_no_shop(w: World) -> Transaction:
    return _pay(w, h("none"))


@scenario("orders", "INSUFFICIENT_BALANCE")
def order_pay_more_than_there_is(w: World) -> Transaction:
    return _pay(w, open_shop(w), (("yacht", 1, 10_000 * DOLLAR, ()),))


@scenario("orders", "TOTAL_TOO_LARGE")
def order_pay_a_total_beyond_64_bits(w: World) -> Transaction:
    return _pay(w, open_shop(w), (("moon", 2, INT_MAX, ()),))


@scenario("orders", "TOTAL_TOO_LARGE")
def order_pay_beyond_what_a_shop_can_count(w: World) -> Transaction:
    shop = open_shop(w)
    row = w.draft.get(SHOP, shop)
    assert row is not None
    w.draft.put(SHOP, shop, row._replace(paid=INT_MAX - DOLLAR))
    return _pay(w, shop, (("mug", 1, DOLLAR + 1, ()),))


@scenario("orders")
def order_cancel_after_a_refund_in_part(w: World) -> Transaction:
    order = _paid(w)
    w.do(SELLER, "order_refund", order, ((0, 1),), "")
    return w.tx(ALICE, "order_cancel", order)


@scenario("orders", "NOT_YET_ACTIVE")
def order_pay_naming_a_distributor(w: World) -> Transaction:
    return w.tx(ALICE, "order_pay", open_shop(w), LINES, (BOB.address,), (), ())


@scenario("orders", "NOT_YET_ACTIVE")
def order_pay_naming_a_batch(w: World) -> Transaction:
    return _pay(w, open_shop(w), (("mug", 1, 1, (h("batch"),)),))


@scenario("orders")
def order_ship(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", _paid(w), "parcel 7")


@scenario("orders", "UNKNOWN_ORDER")
def order_ship_nothing(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", h("none"), "parcel 7")


@scenario("orders", "NOT_SHOP")
def order_ship_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_ship", _paid(w), "parcel 7")


@scenario("orders", "ORDER_STATUS")
def order_ship_twice(w: World) -> Transaction:
    return w.tx(SELLER, "order_ship", _shipped(w), "parcel 8")


@scenario("orders")
def order_complete(w: World) -> Transaction:
    return w.tx(ALICE, "order_complete", _shipped(w))


@scenario("orders", "NOT_BUYER")
def order_complete_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_complete", _shipped(w))


@scenario("orders", "ORDER_STATUS")
def order_complete_before_it_is_shipped(w: World) -> Transaction:
    return w.tx(ALICE, "order_complete", _paid(w))


@scenario("orders")
def order_complete_of_cents_costs_all_of_it(w: World) -> Transaction:
    shop = open_shop(w)
    order = w.block(_pay(w, shop, (("pin", 1, 5_000, ()),)))[0].txid
    w.do(SELLER, "order_ship", order, "")
    return w.tx(ALICE, "order_complete", order)


@scenario("orders")
def order_cancel_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_cancel", _paid(w))


@scenario("orders")
def order_cancel_by_the_shop(w: World) -> Transaction:
    return w.tx(SELLER, "order_cancel", _paid(w))


@scenario("orders", "NOT_BUYER")
def order_cancel_by_a_stranger(w: World) -> Transaction:
    return w.tx(BOB, "order_cancel", _paid(w))


@scenario("orders", "ORDER_STATUS")
def order_cancel_after_shipping(w: World) -> Transaction:
    return w.tx(ALICE, "order_cancel", _shipped(w))


@scenario("orders")
def order_refund_before_completion(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((0, 2),), "chipped")


@scenario("orders")
def order_refund_of_everything_closes_it(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _paid(w), ((0, 3), (1, 1)), "sold out")


@scenario("orders")
def order_refund_after_completion(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _completed(w), ((1, 1),), "stale")


@scenario("orders", "NOT_SHOP")
def order_refund_by_the_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "order_refund", _shipped(w), ((0, 1),), "please")


@scenario("orders", "UNKNOWN_LINE")
def order_refund_of_an_unknown_line(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((2, 1),), "")


@scenario("orders", "DUPLICATE_LINE")
def order_refund_of_a_line_twice(w: World) -> Transaction:
    return w.tx(SELLER, "order_refund", _shipped(w), ((0, 1), (0, 1)), "")


@scenario("orders", "QUANTITY_EXCEEDED")
def order_refund_of_more_than_is_left(w: World) -> Transaction:
    order = _shipped(w)
    w.do(SELLER, "order_refund", order, ((0, 2),), "")
    return w.tx(SELLER, "order_refund", order, ((0, 2),), "")


@scenario("orders", "REFUND_NOT_COVERED")
def order_refund_that_the_shop_cannot_pay(w: World) -> Transaction:
    order = _completed(w)
    left = w.dollars(SELLER) - 20_000
    w.do(SELLER, "dollar_transfer", ((BOB.address, left, ""),))
    return w.tx(SELLER, "order_refund", order, ((1, 1),), "")


@scenario("orders", "ORDER_STATUS")
def order_refund_of_a_cancelled_order(w: World) -> Transaction:
    order = _paid(w)
    w.do(ALICE, "order_cancel", order)
    return w.tx(SELLER, "order_refund", order, ((0, 1),), "")


# Governance --------------------------------------------------------------------------------


def vote_key(name: str) -> SigningKey:
    """The vote key of a gateway of this world (`vote0` is that of g0)."""
    return Person(name).key


def consent(w: World, name: str, key: SigningKey, at: int | None = None) -> tuple[Any, ...]:
    """The proof of possession of `key` for gateway `name`, with a root that the state knows."""
    height = w.height - 1 if at is None else at
    fields = possession_fields(name, key.public_key, height, root_of(height))
    signed = statement(Signed.POSSESSION, w.genesis.hash, fields)
    return height, root_of(height), key.sign(signed)


def join_args(w: World, name: str = "nova", **over: Any) -> tuple[Any, ...]:
    """The arguments of a join by a newcomer with fresh keys."""
    key = over.pop("key", vote_key(f"vote-{name}"))
    join = Join(
        name=name,
        country="IE",
        currencies=("EUR",),
        owner_hash=h(f"owner {name}"),
        operator=Person(f"op-{name}").address,
        vote_key=key.public_key,
        possession=consent(w, name, key),
        transport_certificate=b"certificate of " + name.encode(),
        endpoint="nova.example:26600",
        bond=1_000 * DOLLAR,
        cap=5_000 * DOLLAR,
    )
    return tuple(join._replace(**over))


def propose(
    w: World, action: str, args: tuple[Any, ...], *, after: int = 5, by: Person = OP0
) -> Transaction:
    return w.tx(by, "gov_propose", action, args, w.height + 1 + after)


def _proposed(w: World, action: str, args: tuple[Any, ...], **how: Any) -> bytes:
    receipt = w.block(propose(w, action, args, **how))[0]
    assert receipt.code == 0, reason(w, receipt)
    return receipt.txid


def passed(w: World, action: str, args: tuple[Any, ...], **how: Any) -> bytes:
    """A proposal of g0 that g1 and g2 have carried."""
    proposal = _proposed(w, action, args, **how)
    for operator in (OP1, OP2):
        assert w.do(operator, "gov_vote", proposal, True).code == 0
    return proposal


def done(w: World, action: str, args: tuple[Any, ...]) -> bytes:
    """A proposal that has taken effect."""
    proposal = passed(w, action, args, after=3)
    while w.height < w.draft.get(PROPOSAL, proposal).effective_height:  # type: ignore[union-attr]
        w.block()
    row = w.draft.get(PROPOSAL, proposal)
    assert row is not None and row.status == "done", row
    return proposal


@scenario("governance")
def propose_a_join(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w))


@scenario("governance", "NOT_OPERATOR")
def propose_as_a_stranger(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), by=ALICE)


@scenario("governance", "GATEWAY_NOT_ACTIVE")
def propose_as_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g0",))
    return propose(w, "clear", ("g0",))


@scenario("governance", "BAD_EFFECTIVE_HEIGHT")
def propose_for_the_block_it_stands_in(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), after=0)


@scenario("governance", "BAD_EFFECTIVE_HEIGHT")
def propose_for_a_far_future(w: World) -> Transaction:
    return propose(w, "suspend", ("g1",), after=1_000_001)


@scenario("governance", "TOO_MANY_PROPOSALS")
def propose_a_seventeenth_time(w: World) -> Transaction:
    for fee in range(16):
        _proposed(w, "set_param", ("fee_base", 1_000 + fee), after=50)
    return propose(w, "set_param", ("fee_base", 2_000))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_under_a_bad_name(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, "Nova!"))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_at_no_endpoint(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, endpoint="nova.example:0"))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_join_with_a_currency_twice(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, currencies=("EUR", "EUR")))


@scenario("governance", "NAME_TAKEN")
def propose_a_join_under_a_known_name(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, "g1"))


@scenario("governance", "OWNER_TAKEN")
def propose_a_join_of_an_owner_who_has_a_gateway(w: World) -> Transaction:
    w.block()
    owner = w.genesis.gateways[1].owner_hash
    return propose(w, "join", join_args(w, owner_hash=owner))


@scenario("governance", "OPERATOR_TAKEN")
def propose_a_join_by_an_operator_of_another(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, operator=OP1.address))


@scenario("governance", "KEY_USED")
def propose_a_join_with_a_members_key(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, key=vote_key("vote1")))


@scenario("governance", "KEY_USED")
def propose_a_join_with_a_members_certificate(w: World) -> Transaction:
    w.block()
    return propose(w, "join", join_args(w, transport_certificate=b"certificate"))


@scenario("governance", "KEY_USED")
def propose_a_rotation_back_to_an_old_key(w: World) -> Transaction:
    w.block()
    key = vote_key("vote1-new")
    done(w, "rotate", ("g1", (key.public_key,), (consent(w, "g1", key),), (), ()))
    old = vote_key("vote1")
    return propose(w, "rotate", ("g1", (old.public_key,), (consent(w, "g1", old),), (), ()))


@scenario("governance", "NOT_POSSESSED")
def propose_a_join_with_a_key_of_somebody_else(w: World) -> Transaction:
    w.block()
    args = join_args(w, vote_key=vote_key("somebody").public_key)
    return propose(w, "join", args)


@scenario("governance", "NOT_POSSESSED")
def propose_a_join_with_a_consent_to_another_name(w: World) -> Transaction:
    w.block()
    key = vote_key("vote-nova")
    return propose(w, "join", join_args(w, possession=consent(w, "other", key)))


@scenario("governance", "NOT_RECENT")
def propose_a_join_on_a_root_that_is_none(w: World) -> Transaction:
    w.block()
    height, _, signature = consent(w, "nova", vote_key("vote-nova"))
    return propose(w, "join", join_args(w, possession=(height, h("root"), signature)))


@scenario("governance", "NOT_RECENT")
def propose_a_join_on_a_height_to_come(w: World) -> Transaction:
    w.block()
    proof = consent(w, "nova", vote_key("vote-nova"), at=w.height + 1)
    return propose(w, "join", join_args(w, possession=proof))


@scenario("governance")
def propose_a_rotation_of_everything(w: World) -> Transaction:
    w.block()
    key = vote_key("vote1-new")
    args = ("g1", (key.public_key,), (consent(w, "g1", key),), (b"new",), ("10.0.0.1:9",))
    return propose(w, "rotate", args, by=OP1)


@scenario("governance", "BAD_ARGUMENT")
def propose_a_rotation_of_nothing(w: World) -> Transaction:
    return propose(w, "rotate", ("g1", (), (), (), ()))


@scenario("governance", "BAD_ARGUMENT")
def propose_a_rotation_without_consent(w: World) -> Transaction:
    return propose(w, "rotate", ("g1", (vote_key("new").public_key,), (), (), ()))


@scenario("governance", "UNKNOWN_GATEWAY")
def propose_to_suspend_nobody(w: World) -> Transaction:
    return propose(w, "suspend", ("g9",))


@scenario("governance", "GATEWAY_STATUS")
def propose_to_clear_an_active_gateway(w: World) -> Transaction:
    return propose(w, "clear", ("g1",))


@scenario("governance")
def propose_to_leave(w: World) -> Transaction:
    return propose(w, "leave", ("g1",), by=OP1)


@scenario("governance", "TOO_FEW_GATEWAYS")
def propose_to_suspend_the_last_active_gateway(w: World) -> Transaction:
    for name in ("g1", "g2", "g3"):
        row = w.draft.get(GATEWAY, name)
        assert row is not None
        w.draft.put(GATEWAY, name, row._replace(status="suspended"))
    return propose(w, "suspend", ("g0",))


@scenario("governance", "TOO_MANY_GATEWAYS")
def propose_a_join_to_a_full_table(w: World) -> Transaction:
    w.block()
    some = w.draft.get(GATEWAY, "g3")
    assert some is not None
    for number in range(27):
        more = some._replace(place=4 + number, owner_hash=h("x"), vote_key=h(f"x{number}"))
        w.draft.put(GATEWAY, f"x{number}", more)
    return propose(w, "join", join_args(w))


@scenario("governance")
def propose_a_parameter(w: World) -> Transaction:
    return propose(w, "set_param", ("fee_base", 2_000))


@scenario("governance", "UNKNOWN_PARAMETER")
def propose_an_unknown_parameter(w: World) -> Transaction:
    return propose(w, "set_param", ("fee_bass", 2_000))


@scenario("governance", "PARAMETER_BOUNDS")
def propose_a_parameter_beyond_its_bounds(w: World) -> Transaction:
    return propose(w, "set_param", ("evidence_bond_bp", 10_001))


@scenario("governance")
def vote_yes(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance")
def vote_yes_and_pass(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",))
    w.do(OP1, "gov_vote", proposal, True)
    return w.tx(OP2, "gov_vote", proposal, True)


@scenario("governance")
def vote_otherwise_the_second_time(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",))
    w.do(OP1, "gov_vote", proposal, True)
    return w.tx(OP1, "gov_vote", proposal, False)


@scenario("governance", "NOT_OPERATOR")
def vote_as_a_stranger(w: World) -> Transaction:
    return w.tx(ALICE, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance", "GATEWAY_NOT_ACTIVE")
def vote_as_a_suspended_gateway(w: World) -> Transaction:
    done(w, "suspend", ("g1",))
    return w.tx(OP1, "gov_vote", _proposed(w, "suspend", ("g3",)), True)


@scenario("governance", "UNKNOWN_PROPOSAL")
def vote_on_nothing(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", h("none"), True)


@scenario("governance", "PROPOSAL_CLOSED")
def vote_on_what_was_done(w: World) -> Transaction:
    return w.tx(OP1, "gov_vote", done(w, "set_param", ("fee_base", 2_000)), True)


@scenario("governance", "PROPOSAL_CLOSED")
def vote_on_what_has_expired(w: World) -> Transaction:
    proposal = _proposed(w, "suspend", ("g3",), after=1)
    w.block()
    return w.tx(OP1, "gov_vote", proposal, True)


def said(
    w: World,
    what: str,
    key: SigningKey,
    *,
    view: int = 0,
    height: int = 7,
    era: int = 0,
    member: int = 1,
    kind: Signed = Signed.PREPARE,
) -> tuple[bytes, bytes]:
    """A statement as a replica signs it: (fields, signature)."""
    if kind is Signed.PRE_PREPARE:
        fields = encode((era, view, height, h(what)))
    else:
        fields = vote_fields(era, view, height, h(what), member)
    return fields, key.sign(statement(kind, w.genesis.hash, fields))


def _contradiction(w: World, **where: Any) -> tuple[Any, ...]:
    key = vote_key("vote1")
    return "prepare", said(w, "one", key, **where), said(w, "two", key, **where)


@scenario("governance")
def evidence_of_two_votes(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w))


@scenario("governance")
def evidence_of_two_proposals(w: World) -> Transaction:
    where = {"view": 5, "kind": Signed.PRE_PREPARE}  # view 5 of 4 members: the primary is g1
    key = vote_key("vote1")
    one, two = said(w, "one", key, **where), said(w, "two", key, **where)
    return w.tx(ALICE, "gov_evidence", "pre_prepare", one, two)


@scenario("governance")
def evidence_of_another_height(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, height=8))


@scenario("governance", "EVIDENCE_KNOWN")
def evidence_of_the_same_height_again(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, view=3))


@scenario("governance", "NOT_EVIDENCE")
def evidence_that_says_the_same_twice(w: World) -> Transaction:
    one = said(w, "one", vote_key("vote1"))
    return w.tx(ALICE, "gov_evidence", "prepare", one, one)


@scenario("governance", "NOT_EVIDENCE")
def evidence_from_two_views(w: World) -> Transaction:
    key = vote_key("vote1")
    return w.tx(ALICE, "gov_evidence", "prepare", said(w, "a", key), said(w, "b", key, view=1))


@scenario("governance", "NOT_EVIDENCE")
def evidence_of_an_era_to_come(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, era=1))


@scenario("governance", "NOT_EVIDENCE")
def evidence_that_somebody_else_signed(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, member=2))


@scenario("governance", "NOT_EVIDENCE")
def evidence_of_no_member(w: World) -> Transaction:
    return w.tx(ALICE, "gov_evidence", *_contradiction(w, member=4))


@scenario("governance", "NOT_EVIDENCE")
def evidence_under_another_type(w: World) -> Transaction:
    _, one, two = _contradiction(w)
    return w.tx(ALICE, "gov_evidence", "commit", one, two)


@scenario("governance", "EVIDENCE_TOO_OLD")
def evidence_of_long_ago(w: World) -> Transaction:
    w.height = 200_000
    return w.tx(ALICE, "gov_evidence", *_contradiction(w))


@scenario("governance", "KEY_CONDEMNED")
def propose_to_clear_a_liar_with_its_old_key(w: World) -> Transaction:
    w.do(ALICE, "gov_evidence", *_contradiction(w))
    return propose(w, "clear", ("g1",))


# Writing -----------------------------------------------------------------------------------


def run(case: Scenario) -> dict[str, Any]:
    """The vector of a scenario."""
    w = new_world()
    base = rows_of(w)
    tx = case.prepare(w)
    before = rows_of(w)
    draft = Draft(w.draft)
    height, time_ms = w.height + 1, w.time_ms + 1
    block = BlockRun(w.registry, draft, height=height, time_ms=time_ms)
    receipt = block.apply(tx)
    block.finish()
    after = dict(before)
    changed = draft.changes()
    for key, value in changed:
        after.pop(key, None)
        if value is not None:
            after[key] = value
    return {
        "about": case.name.replace("_", " "),
        "before": difference(base, before),
        "height": height,
        "time_ms": time_ms,
        "raw": tx.raw.hex(),
        "kind": tx.body.kind,
        "fields": w.registry.kinds[tx.body.kind].fields.to_json(tx.body.fields, "tmgs"),
        "code": receipt.code,
        "reason": w.registry.refusal_name(receipt.code),
        "fee": str(receipt.fee),
        "events": [event.name for event in receipt.events],
        "after": {key.hex(): None if value is None else value.hex() for key, value in changed},
        "state_root": update(lambda _path: None, list(after.items())).root.hex(),
    }


def rows_of(w: World) -> dict[bytes, bytes]:
    return {key: value for key, value in w.draft.changes() if value is not None}


def difference(base: dict[bytes, bytes], rows: dict[bytes, bytes]) -> dict[str, str | None]:
    """What turns `base` into `rows`: hex to hex, null where a row is gone."""
    changed: dict[str, str | None] = {
        key.hex(): value.hex() for key, value in rows.items() if base.get(key) != value
    }
    return {**changed, **{key.hex(): None for key in base if key not in rows}}


def write(folder: Path = VECTORS) -> None:
    base = {key.hex(): value.hex() for key, value in rows_of(new_world()).items()}
    about = {"genesis_hash": new_world().genesis.hash.hex(), "rows": base}
    (folder / "base.json").write_text(json.dumps(about, indent=1) + "\n")
    for case in SCENARIOS:
        path = folder / case.family / f"{case.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(run(case), indent=1) + "\n")


if __name__ == "__main__":
    write()
