"""What may happen to each kind of the token family."""

from __future__ import annotations

from typing import Any

from mgsnode.base.transaction import Transaction
from state.tx.gateways import GATEWAY
from state.tx.periods import period_of
from state.tx.rewards import MINING
from state.tx.sales import ORDER
from state.tx.tokens import PURPOSE
from state.tx.vesting import VESTING, Vesting
from tests.state.scenarios.base import ALICE, BOB, OP1, SELLER, grant, scenario, set_bond
from tests.state.scenarios.compliance import freeze
from tests.state.scenarios.governance import propose
from tests.state.scenarios.orders import open_shop
from tests.state.world import DAY_MS, DOLLAR, Person, World

TOKEN = DOLLAR  # as many micro-MGS as a dollar has micro-dollars
SHORT = {"ship": 60_000, "complete": 60_000, "window": 1_000}
PRICE = 100 * DOLLAR  # of which the fee is half a dollar


def set_status(w: World, name: str, status: str) -> None:
    row = w.draft.get(GATEWAY, name)
    assert row is not None
    w.draft.put(GATEWAY, name, row._replace(status=status, seat=status == "active"))


def completed(
    w: World,
    shop: bytes,
    prices: Any = (PRICE,),
    *,
    buyer: Person = ALICE,
    by: Person | None = None,
) -> bytes:
    """An order of one piece at each of the prices, completed by its buyer."""
    lines = tuple((f"sku{i}", 1, price, ()) for i, price in enumerate(prices))
    named = (by.address,) if by else ()
    receipt = w.do(buyer, "order_pay", shop, lines, named, (), (), (), ())
    assert receipt.code == 0, receipt
    assert w.do(SELLER, "order_ship", receipt.txid, "").code == 0
    assert w.do(buyer, "order_complete", receipt.txid).code == 0
    return receipt.txid


def final(w: World, shop: bytes, prices: Any = (PRICE,), **how: Any) -> bytes:
    """An order whose return window is over."""
    order_id = completed(w, shop, prices, **how)
    w.pass_ms(1_000)
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.status == "final"
    return order_id


def close_period(w: World) -> int:
    """Let the running period end; its number."""
    period = period_of(w.draft)
    w.block(after_ms=max(1, period.end_ms - w.time_ms))
    return period.number


def mined(w: World, prices: Any = (PRICE,)) -> int:
    """A period that is over in which Alice bought from the seller; its number."""
    final(w, open_shop(w, **SHORT), prices)
    return close_period(w)


def let_vest(w: World, *, begun_days: int, person: Person = ALICE) -> None:
    """A thousand team tokens come free in a hundred days, the first after ten; so many are over."""
    start_ms = w.now(9) - begun_days * DAY_MS
    row = Vesting(1_000 * TOKEN, 0, start_ms, start_ms + 10 * DAY_MS, start_ms + 100 * DAY_MS)
    w.draft.put(VESTING, (person.address, "team"), row)
    purpose = w.draft.get(PURPOSE, "team")
    assert purpose is not None
    w.draft.put(PURPOSE, "team", purpose._replace(vesting=purpose.vesting + row.amount))


@scenario("token")
def transfer_tokens(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    return w.tx(ALICE, "token_transfer", BOB.address, 3 * TOKEN)


@scenario("token")
def transfer_tokens_to_oneself(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    return w.tx(ALICE, "token_transfer", ALICE.address, 5 * TOKEN)


@scenario("token", "INSUFFICIENT_TOKENS")
def transfer_more_tokens_than_one_has(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    return w.tx(ALICE, "token_transfer", BOB.address, 5 * TOKEN + 1)


@scenario("token", "ACCOUNT_FROZEN")
def transfer_tokens_out_of_a_frozen_account(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    freeze(w, ALICE)
    return w.tx(ALICE, "token_transfer", BOB.address, 1)


@scenario("token")
def claim_as_a_buyer(w: World) -> Transaction:
    return w.tx(ALICE, "token_claim", mined(w))


@scenario("token")
def claim_as_a_shop_that_is_frozen(w: World) -> Transaction:
    period = mined(w)
    freeze(w, SELLER)
    return w.tx(SELLER, "token_claim", period)


@scenario("token")
def claim_less_what_is_owed(w: World) -> Transaction:
    """A claimed sale is undone, and the buyer has earned more since."""
    shop = open_shop(w, **SHORT)
    order_id = final(w, shop)
    assert w.do(ALICE, "token_claim", close_period(w)).code == 0
    assert w.do(SELLER, "order_refund", order_id, ((0, 1),), "").code == 0
    final(w, shop, (3 * PRICE,))
    return w.tx(ALICE, "token_claim", close_period(w))


@scenario("token", "PERIOD_NOT_CLOSED")
def claim_before_the_period_is_over(w: World) -> Transaction:
    final(w, open_shop(w, **SHORT))
    return w.tx(ALICE, "token_claim", 0)


@scenario("token", "NOTHING_TO_CLAIM")
def claim_twice(w: World) -> Transaction:
    period = mined(w)
    assert w.do(ALICE, "token_claim", period).code == 0
    return w.tx(ALICE, "token_claim", period)


@scenario("token", "NOTHING_TO_CLAIM")
def claim_as_who_did_nothing(w: World) -> Transaction:
    return w.tx(BOB, "token_claim", mined(w))


@scenario("token", "NOTHING_TO_CLAIM")
def claim_of_a_period_to_come(w: World) -> Transaction:
    return w.tx(BOB, "token_claim", 2**63 - 1)


@scenario("token", "CLAIM_EXPIRED")
def claim_too_late(w: World) -> Transaction:
    period = mined(w)
    mining = w.draft.get(MINING, period)
    assert mining is not None
    w.draft.put(MINING, period, mining._replace(claim_until_ms=w.now(9)))
    return w.tx(ALICE, "token_claim", period)


@scenario("token")
def refund_a_sale_whose_reward_was_claimed(w: World) -> Transaction:
    order_id = final(w, open_shop(w, **SHORT))
    period = close_period(w)
    for person in (ALICE, SELLER):
        assert w.do(person, "token_claim", period).code == 0
    return w.tx(SELLER, "order_refund", order_id, ((0, 1),), "broken")


@scenario("token")
def release_what_has_vested(w: World) -> Transaction:
    let_vest(w, begun_days=50)
    return w.tx(ALICE, "token_release", "team")


@scenario("token", "NOTHING_VESTED")
def release_before_the_cliff(w: World) -> Transaction:
    let_vest(w, begun_days=9)
    return w.tx(ALICE, "token_release", "team")


@scenario("token", "UNKNOWN_VESTING")
def release_what_is_not_ones_own(w: World) -> Transaction:
    let_vest(w, begun_days=50)
    return w.tx(BOB, "token_release", "team")


@scenario("token")
def bond_more(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "NOT_OPERATOR")
def bond_as_a_holder(w: World) -> Transaction:
    grant(w, ALICE, 5 * TOKEN)
    return w.tx(ALICE, "token_bond", 3 * TOKEN)


@scenario("token", "ACCOUNT_FROZEN")
def bond_out_of_a_frozen_account(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    freeze(w, OP1)
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "GATEWAY_NOT_ACTIVE")
def bond_for_a_gateway_that_has_left(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    set_status(w, "g1", "left")
    return w.tx(OP1, "token_bond", 3 * TOKEN)


@scenario("token", "INSUFFICIENT_TOKENS")
def bond_more_than_one_has(w: World) -> Transaction:
    grant(w, OP1, 5 * TOKEN)
    return w.tx(OP1, "token_bond", 5 * TOKEN + 1)


@scenario("token")
def unbond_down_to_the_minimum(w: World) -> Transaction:
    set_bond(w, "g1", 100_005 * TOKEN)
    return w.tx(OP1, "token_unbond", 5 * TOKEN)


@scenario("token", "BOND_TOO_SMALL")
def unbond_below_the_minimum(w: World) -> Transaction:
    set_bond(w, "g1", 100_005 * TOKEN)
    return w.tx(OP1, "token_unbond", 5 * TOKEN + 1)


@scenario("token", "GATEWAY_NOT_ACTIVE")
def unbond_while_suspended(w: World) -> Transaction:
    set_bond(w, "g1", 200_000 * TOKEN)
    set_status(w, "g1", "suspended")
    return w.tx(OP1, "token_unbond", TOKEN)


@scenario("token", "NOT_OPERATOR")
def unbond_as_a_holder(w: World) -> Transaction:
    return w.tx(ALICE, "token_unbond", TOKEN)


@scenario("token")
def propose_to_spend_of_the_foundation(w: World) -> Transaction:
    return propose(w, "spend", ("foundation", BOB.address, 7 * TOKEN, "audit of 2026"))


@scenario("token", "PURPOSE_SPENT")
def propose_to_spend_more_than_there_is(w: World) -> Transaction:
    return propose(w, "spend", ("promotion", BOB.address, 2**63 - 1, "fireworks"))
