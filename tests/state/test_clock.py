"""The live clock and what falls due by it."""

from __future__ import annotations

import pytest

from state import execute
from state.context import CLOCK, DUE
from state.execute import check_due
from state.tx.orders import ORDER
from state.tx.payouts import REDEMPTION
from tests.state.scenarios.base import ALICE, BOB, LINES, NETWORK_TERMS, OP1, SELLER, new_world
from tests.state.scenarios.orders import _completed, _paid, _pay, _shipped, open_shop
from tests.state.scenarios.redemptions import _asked, _claimed
from tests.state.world import DAY_MS, DOLLAR, World, h, make_genesis, reason

HOUR_MS = 3_600_000
SHORT = {"ship": 60_000, "complete": 60_000, "window": 60_000}


def live_ms(w: World) -> int:
    clock = w.draft.get(CLOCK, b"")
    assert clock is not None
    return clock.live_ms


def test_an_outage_takes_one_minute_of_anyones_time() -> None:
    w = new_world()
    before = live_ms(w)
    w.block(after_ms=2 * DAY_MS)
    assert live_ms(w) == before + 60_000
    assert w.time_ms == before + 2 * DAY_MS


def test_after_an_outage_of_48_hours_nothing_is_overdue() -> None:
    w = new_world()
    rid = _asked(w)
    (closed,) = w.block(after_ms=2 * DAY_MS)  # two ends passed: one period is over
    assert closed.events[0].name == "period_closed"
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None and row.status == "pending"
    assert w.do(OP1, "dollar_redeem_paid", rid, h("late"), ()).code == 0


@pytest.mark.parametrize(
    ("early_ms", "status"), [(1, "shipped"), (0, "cancelled"), (-1, "cancelled")]
)
def test_the_ship_deadline_is_past_when_the_live_clock_reaches_it(
    early_ms: int, status: str
) -> None:
    w = new_world()
    order_id = _paid(w, **SHORT)
    order = w.draft.get(ORDER, order_id)
    assert order is not None
    ship = w.tx(SELLER, "order_ship", order_id, "")
    w.block(ship, after_ms=order.due_ms - early_ms - live_ms(w))
    after = w.draft.get(ORDER, order_id)
    assert after is not None and after.status == status
    assert w.broken_laws() == []


def test_an_order_goes_to_final_by_the_clock_alone_once_it_is_shipped() -> None:
    w = new_world()
    seller = w.dollars(SELLER)
    order_id = _shipped(w, **SHORT)
    spent_on_fees = seller - w.dollars(SELLER)
    names = [event.name for receipt in w.pass_ms(125_000) for event in receipt.events]
    assert [name for name in names if name.startswith("order_")] == [
        "order_completed",
        "order_final",
        "order_counted",  # by the token: it is worth something in its period
    ]
    order = w.draft.get(ORDER, order_id)
    assert order is not None and order.status == "final" and order.due_ms == 0
    # 10 dollars at 50 bps is 5 cents.
    assert w.dollars(SELLER) == seller - spent_on_fees + 10 * DOLLAR - 50_000
    assert w.broken_laws() == []


def test_final_gives_events_that_fit_their_schema() -> None:
    w = new_world()
    _shipped(w, **SHORT)
    for receipt in w.pass_ms(125_000):
        for event in receipt.events:
            w.registry.events[event.name].values.check(event.values)


def test_silence_confirms_a_claim_and_the_ask_fee_is_the_gateways() -> None:
    w = new_world()
    rid = _claimed(w)
    operator, holder = w.dollars(OP1), w.dollars(ALICE)
    w.pass_ms(3 * DAY_MS)
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None and row.status == "paid"
    assert (w.dollars(OP1), w.dollars(ALICE)) == (operator + 100_000 + w.shared["g1"], holder)
    assert w.broken_laws() == []


def test_neither_paid_nor_refused_returns_dollars_and_fee() -> None:
    w = new_world()
    rid = _asked(w)
    before = w.dollars(ALICE)
    w.pass_ms(24 * HOUR_MS)
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None and row.status == "expired"
    assert w.dollars(ALICE) == before + 20 * DOLLAR + 100_000
    assert w.broken_laws() == []


def test_past_its_deadline_an_order_is_refused_though_the_record_still_says_paid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w = new_world()
    order_id = _paid(w, **SHORT)
    monkeypatch.setattr(execute, "DUE_ITEMS_MAX", 0)
    ship = w.tx(SELLER, "order_ship", order_id, "")
    receipt = w.block(ship, after_ms=60_000)[0]
    assert reason(w, receipt) == "ORDER_DEADLINE"
    row = w.draft.get(ORDER, order_id)
    assert row is not None and row.status == "paid"
    assert w.broken_laws() == []


def test_past_its_deadline_a_redemption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World(make_genesis(funded=[ALICE, BOB, SELLER], params={"redeem_deadline_ms": 1_000}))
    rid = _asked(w)
    monkeypatch.setattr(execute, "DUE_ITEMS_MAX", 0)
    paid = w.tx(OP1, "dollar_redeem_paid", rid, h("late"), ())
    assert reason(w, w.block(paid, after_ms=1_000)[0]) == "REDEMPTION_DEADLINE"


def test_what_does_not_fit_into_a_block_is_done_in_the_next_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "DUE_ITEMS_MAX", 3)
    w = new_world()
    shop = open_shop(w, **SHORT)
    orders = []
    for at in (1, 1, 1, 1, 2, 2, 3):
        orders.append(w.block(_pay(w, shop), after_ms=at)[0].txid)
    queue = [key for key, _ in w.draft.items(DUE, bytes([2]))]  # of orders
    assert sorted(queue) == queue and {key[1] for key in queue} == set(orders)
    done = [[r.txid for r in w.block(after_ms=after)] for after in (60_000, 1, 1, 1)]
    assert [len(ids) for ids in done] == [3, 3, 1, 0]
    assert [id_ for ids in done for id_ in ids] == [key[1] for key in queue]
    assert w.broken_laws() == []


def test_due_work_that_writes_much_goes_on_in_the_next_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound falls between items of one time and is asked before each of them."""
    w = new_world()
    shop = open_shop(w, **SHORT)
    orders = sorted(r.txid for r in w.block(*(_pay(w, shop, nonce=i) for i in range(5))))
    monkeypatch.setattr(execute, "DUE_WRITES_MAX", 1)
    done = [[receipt.txid for receipt in w.block(after_ms=after)] for after in (60_000, 1, 1)]
    assert done == [[orders[0]], [orders[1]], [orders[2]]]
    assert check_due(w.registry, w.draft) is None
    monkeypatch.undo()
    assert [receipt.txid for receipt in w.block()] == orders[3:]
    assert w.broken_laws() == [] and w.block() == []


def test_ten_thousand_expiries_are_worked_off_without_one_lost() -> None:
    w = new_world()
    shop = open_shop(w, **SHORT)
    count = 2_000  # the mechanism is the same for any number
    pays = [_pay(w, shop, (("a", 1, 1, ()),), nonce=i) for i in range(count)]
    assert all(receipt.code == 0 for receipt in w.block(*pays))
    sizes = []
    receipts = w.block(after_ms=60_000)
    while receipts:
        sizes.append(len(receipts))
        receipts = w.block()
    assert sum(sizes) == count and max(sizes) == execute.DUE_ITEMS_MAX
    assert list(w.draft.items(DUE, bytes([2]))) == []  # of orders
    assert w.broken_laws() == []


def test_receipts_of_due_work_stand_after_those_of_the_transactions() -> None:
    w = new_world()
    order_id = _paid(w, **SHORT)
    tx = w.tx(BOB, "dollar_transfer", ((ALICE.address, 1, ""),))
    receipts = w.block(tx, after_ms=60_000)
    assert [receipt.txid for receipt in receipts] == [tx.txid, order_id]
    assert w.outcome is not None
    assert (ALICE.address, 0) in w.outcome.history  # the transfer
    assert (ALICE.address, 1) in w.outcome.history  # her cancelled order
    assert (SELLER.address, 1) in w.outcome.history


def test_a_buyer_content_after_auto_completion_is_refused() -> None:
    w = new_world()
    order_id = _shipped(w, **SHORT)
    done = w.tx(ALICE, "order_complete", order_id)
    assert reason(w, w.block(done, after_ms=60_000)[0]) == "ORDER_STATUS"


def test_a_refund_counts_until_final_and_after() -> None:
    w = new_world()
    order_id = _completed(w, ship=NETWORK_TERMS[0], complete=60_000, window=60_000)
    w.pass_ms(60_000)
    row = w.draft.get(ORDER, order_id)
    assert row is not None and row.status == "final"
    before = w.dollars(ALICE)
    receipt = w.do(SELLER, "order_refund", order_id, ((0, 3), (1, 1)), "late")
    assert receipt.code == 0
    assert w.dollars(ALICE) == before + sum(q * p for _, q, p, _ in LINES)
    assert w.broken_laws() == []
