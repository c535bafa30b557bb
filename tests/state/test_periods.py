"""Periods, the fee pool's shares, and families that rest."""

from __future__ import annotations

from collections import Counter

import pytest

from mgsnode.base.transaction import Transaction
from state.context import PAUSE, Pause
from state.execute import check_due
from state.registry import standard_registry
from state.tx.gateways import GATEWAY, STANDING, Standing, allow_issuing, stop_issuing
from state.tx.money import totals_of
from state.tx.orders import ORDER
from state.tx.payouts import REDEMPTION
from state.tx.periods import CLOSED, period_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, OP0, OP1, fund, new_world
from tests.state.scenarios.governance import done
from tests.state.scenarios.orders import _paid
from tests.state.scenarios.redemptions import _asked
from tests.state.world import DAY_MS, DOLLAR, START_MS, World, h, in_block, reason

HOUR_MS = 3_600_000


def end_of(w: World) -> int:
    return period_of(w.draft).end_ms


def test_a_period_ends_with_the_first_block_at_or_past_a_whole_multiple() -> None:
    w = new_world()
    end_ms = (START_MS // DAY_MS + 1) * DAY_MS
    assert period_of(w.draft) == (0, START_MS, end_ms)
    w.block(after_ms=end_ms - 1 - w.time_ms)
    assert period_of(w.draft).number == 0
    (receipt,) = w.block()
    assert [event.name for event in receipt.events][:1] == ["period_closed"]
    assert period_of(w.draft) == (1, end_ms, end_ms + DAY_MS)
    assert w.draft.get(CLOSED, 0) == (START_MS, end_ms, w.height)
    assert w.broken_laws() == []


def test_an_outage_over_several_ends_closes_one_period_at_the_last_of_them() -> None:
    w = new_world()
    end_ms = end_of(w)
    w.block(after_ms=end_ms + 2 * DAY_MS + 5 - w.time_ms)
    closed = w.draft.get(CLOSED, 0)
    assert closed is not None and closed.end_ms == end_ms + 2 * DAY_MS
    assert period_of(w.draft) == (1, end_ms + 2 * DAY_MS, end_ms + 3 * DAY_MS)
    assert w.broken_laws() == []


def test_a_new_length_counts_from_the_next_end_on() -> None:
    w = new_world()
    end_ms = end_of(w)
    done(w, "set_param", ("period_ms", HOUR_MS))
    assert end_of(w) == end_ms
    w.block(after_ms=end_ms - w.time_ms)
    assert end_of(w) == end_ms + HOUR_MS
    assert w.broken_laws() == []


def test_the_fee_pool_is_shared_among_those_who_were_active_all_the_time() -> None:
    w = new_world()
    row = w.draft.get(GATEWAY, "g3")
    assert row is not None
    w.draft.put(GATEWAY, "g3", row._replace(status="suspended"))
    w.do(ALICE, "dollar_transfer", ((BOB.address, DOLLAR, ""),))
    pool = totals_of(w.draft).fee_pool
    before = [w.dollars(person) for person in (OP0, OP1)]
    w.block(after_ms=end_of(w) - w.time_ms)
    assert pool > 3
    assert [w.dollars(person) for person in (OP0, OP1)] == [b + pool // 3 for b in before]
    assert totals_of(w.draft).fee_pool == pool % 3
    assert dict(w.shared) == {"g0": pool // 3, "g1": pool // 3, "g2": pool // 3}


def test_abuse_the_only_clean_gateways_do_not_get_their_own_fees_back() -> None:
    """Fewer than three: the pool waits. Later it is shared among three, the old fees too.

    Else whoever trades with himself as the last clean gateway has his fees back and the tokens for
    nothing, with orders that become final when the others are clean again.
    """
    w = new_world()
    row = w.draft.get(GATEWAY, "g3")
    assert row is not None
    w.draft.put(STANDING, "g2", Standing(START_MS + 5, ()))  # stopped for a moment
    w.draft.put(GATEWAY, "g3", row._replace(status="suspended"))
    w.do(ALICE, "dollar_transfer", ((BOB.address, DOLLAR, ""),))
    pool = totals_of(w.draft).fee_pool
    w.block(after_ms=end_of(w) - w.time_ms)
    assert (dict(w.shared), totals_of(w.draft).fee_pool) == ({}, pool)
    w.do(ALICE, "dollar_transfer", ((BOB.address, DOLLAR, ""),))
    pool = totals_of(w.draft).fee_pool
    w.block(after_ms=end_of(w) - w.time_ms)  # for this one g2 was clean all the time
    assert dict(w.shared) == {"g0": pool // 3, "g1": pool // 3, "g2": pool // 3}
    assert w.broken_laws() == []


def test_no_gateway_can_be_given_more_than_a_third_by_governance() -> None:
    spec = standard_registry().params["fee_sharers_min"]
    assert (spec.lowest, spec.default) == (3, 3)


def test_a_stop_for_a_period_ends_with_it_and_one_until_cleared_does_not() -> None:
    def stop(ctx: object, *_sale: object) -> None:
        stop_issuing(ctx, "g1", "refusals", until_period=2)  # type: ignore[arg-type]
        stop_issuing(ctx, "g2", "strikes")  # type: ignore[arg-type]

    from state.registry import Family, Registry, standard_registry

    family = Family(90, "test", hooks={"paid": stop})
    w = World(new_world().genesis, Registry((*standard_registry().families, family)))
    _paid(w)
    issue = (ALICE.address, DOLLAR, h("x"))
    assert reason(w, w.do(OP1, "dollar_issue", *issue)) == "ISSUING_STOPPED"
    w.block(after_ms=end_of(w) - w.time_ms)  # period 1 begins
    assert reason(w, w.do(OP1, "dollar_issue", *issue)) == "ISSUING_STOPPED"
    w.block(after_ms=end_of(w) - w.time_ms)  # period 2 begins
    assert reason(w, w.do(OP1, "dollar_issue", *issue)) == ""
    standing = w.draft.get(STANDING, "g2")
    assert standing is not None and standing.stops == (("strikes", 0),)


def test_a_stop_that_ends_with_a_period_costs_no_share_of_the_next_one() -> None:
    """The block that closes a period comes a moment after its instant, as blocks do."""
    w = new_world()
    w.draft.put(STANDING, "g2", Standing(START_MS, (("refusals", 1),)))
    w.block(after_ms=end_of(w) - w.time_ms + 5)
    assert w.shared["g2"] == 0
    w.do(ALICE, "dollar_transfer", ((BOB.address, DOLLAR, ""),))
    w.block(after_ms=end_of(w) - w.time_ms + 5)
    assert w.shared["g2"] > 0


def test_a_stop_is_taken_back_by_its_own_reason_and_the_time_is_not_clean() -> None:
    w = new_world()
    w.draft.put(STANDING, "g1", Standing(START_MS, (("overdue", 0), ("strikes", 0))))
    w.block(after_ms=10)
    with in_block(w) as ctx:
        allow_issuing(ctx, "g1", "refusals")  # there is none: nothing happens
    assert w.draft.get(STANDING, "g1") == (START_MS, (("overdue", 0), ("strikes", 0)))
    with in_block(w) as ctx:
        allow_issuing(ctx, "g1", "overdue")
    standing = w.draft.get(STANDING, "g1")
    assert standing is not None and standing.stops == (("strikes", 0),)
    with in_block(w) as ctx:
        allow_issuing(ctx, "g1", "strikes")
    standing = w.draft.get(STANDING, "g1")
    assert standing is not None and standing.stops == ()
    assert not standing.is_clean_since(START_MS) and standing.is_clean_since(w.time_ms)


def test_a_paused_family_takes_nothing_new_and_ends_what_is_open() -> None:
    w = new_world()
    rid = _asked(w)
    done(w, "pause", ("redemptions",))
    receipt = w.do(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("payout"), ())
    assert (reason(w, receipt), receipt.fee > 0) == ("FAMILY_PAUSED", True)
    assert reason(w, w.do(OP1, "dollar_redeem_paid", rid, h("wire"), ())) == ""
    assert reason(w, w.do(ALICE, "dollar_redeem_confirm", rid)) == ""
    done(w, "resume", ("redemptions",))
    receipt = w.do(ALICE, "dollar_redeem", "g1", 20 * DOLLAR, "USD", h("payout"), ())
    assert reason(w, receipt) == ""
    assert w.broken_laws() == []


def test_the_deadlines_of_a_paused_family_stand_still_and_others_go_on() -> None:
    w = new_world()
    rid = _asked(w)
    order_id = _paid(w, ship=2 * DAY_MS)
    asked = w.draft.get(REDEMPTION, rid)
    assert asked is not None
    w.pass_ms(23 * HOUR_MS)
    done(w, "pause", ("redemptions",))
    stood_from = w.now(15)
    w.pass_ms(40 * HOUR_MS)
    assert w.now(15) == stood_from
    row, order = w.draft.get(REDEMPTION, rid), w.draft.get(ORDER, order_id)
    assert row is not None and row.status == "pending"
    assert order is not None and order.status == "cancelled"
    done(w, "resume", ("redemptions",))
    w.pass_ms(asked.due_ms - w.now(15) - 1)
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None and row.status == "pending"
    w.pass_ms(1)
    row = w.draft.get(REDEMPTION, rid)
    assert row is not None and row.status == "expired"
    assert w.broken_laws() == []
    assert check_due(w.registry, w.draft) is None


def test_work_that_was_already_due_is_done_during_the_pause() -> None:
    """600 deadlines pass at once, a block does 512 of them; in the next the family is paused."""
    w = new_world()
    fund(w, BOB, 100_000)
    asks = [
        w.tx(BOB, "dollar_redeem", "g1", 10 * DOLLAR, "USD", h("p"), (), lane=0, nonce=nonce)
        for nonce in range(600)
    ]
    w.block(*asks)
    row = w.draft.get(REDEMPTION, asks[0].txid)
    assert row is not None
    w.pass_ms(row.due_ms - 1 - w.now(15))
    assert statuses(w, asks) == {"pending": 600}
    w.block()
    assert statuses(w, asks) == {"pending": 88, "expired": 512}
    w.draft.put(PAUSE, 15, Pause(True, w.now(15), 0))
    w.block()
    assert statuses(w, asks) == {"expired": 600}
    assert w.now(15) == row.due_ms
    assert check_due(w.registry, w.draft) is None


def statuses(w: World, asks: list[Transaction]) -> dict[str, int]:
    rows = [w.draft.get(REDEMPTION, tx.txid) for tx in asks]
    return dict(Counter(row.status for row in rows if row))


@pytest.mark.parametrize("family", ["gateways", "governance", "periods", "nothing"])
def test_what_ends_a_pause_cannot_be_paused(family: str) -> None:
    w = new_world()
    from tests.state.scenarios.governance import propose

    assert reason(w, w.block(propose(w, "pause", (family,)))[0]) == "UNKNOWN_FAMILY"


def test_a_role_is_given_and_taken_by_proposal() -> None:
    w = new_world()
    from state.tx.gateways import is_listed

    done(w, "name_role", ("carrier", BOB.address, True))
    assert is_listed(w.draft, "carrier", BOB.address)
    done(w, "name_role", ("arbiter", ARBITER.address, False))
    assert not is_listed(w.draft, "arbiter", ARBITER.address)
