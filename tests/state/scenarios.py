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

from mgsnode.base.limits import INT_MAX
from mgsnode.base.transaction import Transaction
from state.draft import Draft
from state.execute import BlockRun
from state.trie import update
from state.tx.gateways import GATEWAY
from state.tx.orders import SHOP
from tests.state.world import DAY_MS, DOLLAR, Person, World, h, make_genesis, people

VECTORS = Path(__file__).parent.parent / "vectors"
ALICE, BOB, SELLER, ARBITER = people("alice", "bob", "seller", "arbiter")
OP0, OP1 = people("op0", "op1")
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
        path.write_text(json.dumps(run(case), indent=1) + "\n")


if __name__ == "__main__":
    write()
