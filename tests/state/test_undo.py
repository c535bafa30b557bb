"""A sale with everything that can hang on it is final, and then it is undone: every account, row
and figure stands where the rules say, to the micro-unit, in whatever parts and order it happens.

Commission at two depths, hold-back, rewards in every role, reviews of each line, a post that led to
it, voice of before, a demand that it serves, a batch. What does not come back is the network's fee,
what was paid to distributors (a debt at that shop) and what was claimed (a debt in tokens).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from state.tx import growth as growth_module
from state.tx.accounts import account_of
from state.tx.batches import BATCH
from state.tx.bindings import PARTNER
from state.tx.commissions import ROW, SALE, USED
from state.tx.community import POST_FIGURES
from state.tx.demand import DEMAND, backer_of
from state.tx.growth import GROWTH, REGULAR, Regular
from state.tx.money import HOLD, totals_of
from state.tx.opinions import REVIEW, author_of
from state.tx.pledges import PLEDGE
from state.tx.ratings import RATING
from state.tx.rewards import DEBT, EARNED, MINED, NOTHING, debt_of, earned_of, mining_of
from state.tx.sales import ORDER, REFUNDED
from state.tx.shops import SERVED, figures_of
from state.tx.tokens import token_totals_of
from state.tx.voice import granted_90, voice_left
from state.tx.votes import heard_of
from tests.state.scenarios.base import ALICE, ARBITER, BOB, SELLER
from tests.state.scenarios.base import NOTHING as NO_MORE
from tests.state.scenarios.community import post, wanted
from tests.state.scenarios.goods import register
from tests.state.scenarios.orders import open_shop
from tests.state.scenarios.reviews import opinion
from tests.state.scenarios.token import SHORT, close_period
from tests.state.world import DOLLAR, Person, World, make_genesis, reason

CAROL, DAVE = Person("carol"), Person("dave")
EVERYBODY = (ALICE, BOB, SELLER, CAROL, DAVE)
TOTAL, FEE = 100 * DOLLAR, DOLLAR // 2
# What one of two such sales in a period of its own earns at beta 0.4 and 0.10 dollars a token.
BUYER, SHOP, VOICE = 600_000, 400_000, 200_000
DISTRIBUTOR = 500_000 * 45 // 100  # at a counted volume of 100 dollars
REVIEWER = 300_000 * 775 // 1_000  # 60 + 30/2 + 10/4 of 100 dollars
LEADER, DIRECTED = VOICE // 10, VOICE // 10
WHOLE = (((0, 3), (1, 1), (2, 2)),)
LINES = (((2, 2),), ((0, 3),), ((1, 1),))
UNITS = (((0, 1),), ((2, 1),), ((0, 1),), ((1, 1),), ((0, 1),), ((2, 1),))
CLAIM_MS, WINDOW_MS = 150_000, 200_000


class Sale:
    """The world in which it happens; what each has paid in fees of transactions is counted."""

    def __init__(self, back: dict[str, Any] | None = None) -> None:
        """`back`: what the shop refunds before it is final, by when."""
        self.back = back or {}
        params = {
            "refer_depth": 2, "refer_second_bps": 1_000, "mining_claim_ms": CLAIM_MS,
            "mining_review_ms": CLAIM_MS, "voice_ms": 900_000,
        }  # fmt: skip
        funded = [*EVERYBODY, ARBITER]
        self.w = World(make_genesis(funded=funded, arbiters=[ARBITER], params=params))
        self.fees: Counter[str] = Counter()
        self.other = open_shop(self.w, name="Other", **SHORT)
        self.shop = open_shop(self.w, commission=1_000, holdback=2_000, **SHORT)
        self.batch = register(self.w, self.shop)
        self.do(SELLER, "refer_terms", self.shop, 86_400_000, (DOLLAR * 50,), (), ())
        self.do(DAVE, "refer_join", self.shop, ())
        self.do(CAROL, "refer_join", self.shop, (DAVE.address,), also=[DAVE])
        self.w.pass_ms(1_000)
        self.post = self.do(BOB, "post_write", *post())
        self.demand = self.do(ALICE, "demand_post", *wanted(price=20 * DOLLAR, own=3))
        self._voice_of_before()
        self.start = {who: self.w.dollars(who) + self.fees[who.name] for who in EVERYBODY}
        self.tokens = {who: self.token(who) for who in EVERYBODY}
        self.order = self._sell()

    def do(self, who: Person, kind: str, /, *fields: Any, **how: Any) -> bytes:
        receipt = self.w.do(who, kind, *fields, **how)
        assert receipt.code == 0, reason(self.w, receipt)
        self.fees[who.name] += receipt.fee
        return receipt.txid

    def token(self, who: Person) -> int:
        return account_of(self.w.draft, who.address).token

    def _voice_of_before(self) -> None:
        lines = (("x", 1, TOTAL, ()),)
        order = self.do(ALICE, "order_pay", self.other, lines, *NO_MORE)
        self.do(SELLER, "order_ship", order, "")
        self.do(ALICE, "order_complete", order)
        self.w.pass_ms(SHORT["window"])
        period = close_period(self.w)
        for who in (ALICE, SELLER):
            self.do(who, "token_claim", period)

    def _sell(self) -> bytes:
        w = self.w
        lines = (
            ("a", 3, 20 * DOLLAR, (self.batch,)), ("b", 1, 30 * DOLLAR, ()),
            ("c", 2, 5 * DOLLAR, ()),
        )  # fmt: skip
        order = self.do(
            ALICE, "order_pay", self.shop, lines, (CAROL.address,), (self.demand,), (self.post,),
            ("FR",), ("EUR",),
        )  # fmt: skip
        self._give_back("paid", order)
        self.do(SELLER, "order_ship", order, "")
        self._give_back("shipped", order)
        reviews = [self.do(ALICE, "review_write", *opinion(order, line=0, rating=5))]
        self.do(ALICE, "order_complete", order)
        self._give_back("completed", order)
        if "disputed" in self.back:
            self.do(ALICE, "order_dispute", order, "late")
            self._give_back("disputed", order)
            self.do(ARBITER, "order_rule", order, 0)
        reviews.append(self.do(ALICE, "review_write", *opinion(order, line=1, rating=4)))
        w.pass_ms(SHORT["window"])
        reviews.append(self.do(ALICE, "review_write", *opinion(order, line=2, rating=1)))
        self.reviews = reviews
        self.mined = w.draft.get(MINED, order)
        self.period = close_period(w)
        return order

    def _give_back(self, when: str, order: bytes) -> None:
        if when in self.back:
            self.do(SELLER, "order_refund", order, self.back[when], "back")

    def claim(self) -> None:
        for who in EVERYBODY:
            if who is not DAVE:  # depth 2 earns no tokens
                self.do(who, "token_claim", self.period)

    def refund(self, parts: Any) -> None:
        for back in parts:
            self.do(SELLER, "order_refund", self.order, back, "back")
            assert self.w.broken_laws() == []

    def dollars(self) -> dict[str, int]:
        """What each has more than before the sale, but for the fees of transactions."""
        return {
            who.name: self.w.dollars(who) + self.fees[who.name] - self.start[who]
            for who in EVERYBODY
        }

    def earned(self) -> dict[str, int]:
        """Tokens that each has more than before the sale."""
        return {who.name: self.token(who) - self.tokens[who] for who in EVERYBODY}


def test_the_sale_itself_gives_everybody_what_the_rules_say() -> None:
    s = Sale()
    s.claim()
    deposit = 3 * DOLLAR  # 5 % of three units at 20 dollars: it came back
    assert s.dollars() == {
        "alice": deposit - TOTAL, "bob": 0, "seller": TOTAL - FEE - 10 * DOLLAR,
        "carol": 9 * DOLLAR, "dave": DOLLAR,
    }  # fmt: skip
    assert s.earned() == {
        "alice": BUYER + REVIEWER, "bob": LEADER + DIRECTED, "seller": SHOP, "carol": DISTRIBUTOR,
        "dave": 0,
    }  # fmt: skip
    assert granted_90(s.w.draft, ALICE.address) == 2 * VOICE
    assert voice_left(s.w.draft, ALICE.address) == 2 * VOICE - DIRECTED - LEADER - 1
    assert s.w.broken_laws() == []


def check_undone(s: Sale, *, in_window: bool) -> None:
    """What is true of the records once all of it was refunded, however that came about."""
    w, reader = s.w, s.w.draft
    deposit = 3 * DOLLAR
    assert s.dollars() == {
        "alice": deposit, "bob": 0, "seller": -FEE - 10 * DOLLAR, "carol": 9 * DOLLAR,
        "dave": DOLLAR,
    }  # fmt: skip
    order = reader.get(ORDER, s.order)
    assert order is not None
    assert (order.status, order.total, order.refunded, order.from_escrow) == (
        "final", TOTAL, TOTAL, 0,
    )  # fmt: skip
    assert (order.to_shop, order.fee, order.commission) == (
        TOTAL - FEE - 10 * DOLLAR, FEE, 10 * DOLLAR,
    )  # fmt: skip
    assert reader.get(REFUNDED, s.order) == ((3, 1, 2),)
    assert reader.get(HOLD, (2, s.order)) is None
    figures = figures_of(reader, s.shop)
    assert figures == (1, 0, 1, 1, TOTAL, TOTAL, TOTAL, TOTAL, 0, 0, 0)
    assert [row for _, row in reader.items(SERVED, s.shop)] == [(1,), (1,)]
    # Referral: the book, the caps, growth.
    for who, amount, promised in ((CAROL, 9 * DOLLAR, 0), (DAVE, DOLLAR, 0)):
        partner = reader.get(PARTNER, (who.address, s.shop))
        assert partner is not None
        assert partner[3:] == (promised, amount, amount, amount, amount)
    rows = [row for _, row in reader.items(ROW, s.order)]
    assert sum(row.accrued for row in rows) == 0 and sum(row.paid for row in rows) == 10 * DOLLAR
    sale = reader.get(SALE, s.order)
    assert sale is not None
    assert (sale.status, sale.commission, sale.rows) == ("earned", 10 * DOLLAR, len(rows))
    assert [used.amount for _, used in reader.items(USED)] == [0]
    growth = reader.get(GROWTH, CAROL.address)
    assert growth is not None and reader.get(GROWTH, DAVE.address) is None
    gross = TOTAL if in_window else 0
    assert growth[1:] == (1, 1, 0, TOTAL, 0, 0, 0, gross, gross)
    assert reader.get(REGULAR, (CAROL.address, ALICE.address)) == Regular(0)
    # Reviews keep what they weigh: the network's fee on these lines was paid.
    assert [
        (row.weight, row.counted) for r in s.reviews if (row := reader.get(REVIEW, r)) is not None
    ] == [(12_500_000, 12_500_000), (3_750_000, 3_750_000), (1_250_000, 1_250_000)]
    rating = reader.get(RATING, s.shop)
    assert rating is not None and rating[:2] == (17_500_000, 78_750_000)
    assert len(author_of(reader, ALICE.address).served_by) == 2
    # Community and goods: what was done was done.
    assert reader.get(POST_FIGURES, s.post) == (1, 1)
    assert backer_of(reader, ALICE.address) == (2, 3, 3, 0, 0, ())
    demand = reader.get(DEMAND, s.demand)
    assert demand is not None and demand[8:12] == (0, 0, 0, 3)
    assert reader.get(PLEDGE, s.order) is None
    batch = reader.get(BATCH, s.batch)
    assert batch is not None and (batch.held, batch.reserved, batch.shipped) == (7, 0, 3)
    # Rewards: nothing hangs on the sale any more; what was directed by voice of before stays.
    mined = reader.get(MINED, s.order)
    assert mined is not None and s.mined is not None and mined == s.mined._replace(fee=0)
    for (account, period), row in reader.items(EARNED):
        if period == s.period:
            directed = DIRECTED if account == BOB.address else 0
            assert row._replace(claimed=0) == NOTHING._replace(voice=directed)
    assert heard_of(reader, s.period, BOB.address)[:2] == (DIRECTED, 1)
    if in_window:
        assert granted_90(reader, ALICE.address) == VOICE
        assert voice_left(reader, ALICE.address) == VOICE - DIRECTED
    assert w.broken_laws() == []


@pytest.mark.parametrize(
    ("when", "parts"),
    [
        ("unclaimed", WHOLE), ("unclaimed", LINES), ("unclaimed", UNITS),
        ("claimed", WHOLE), ("claimed", LINES), ("claimed", UNITS),
        ("between", LINES), ("between", UNITS),
    ],
)  # fmt: skip
def test_a_sale_that_is_undone_leaves_nothing_but_what_the_rules_say(when: str, parts: Any) -> None:
    s = Sale()
    pool = token_totals_of(s.w.draft)
    supply = totals_of(s.w.draft).supply
    owed = Counter({who.name: 0 for who in EVERYBODY})
    if when != "unclaimed":
        if when == "between":
            s.refund(parts[:1])
        s.claim()
        owed = Counter(s.earned())
        owed["bob"] -= DIRECTED
    s.refund(parts[1:] if when == "between" else parts)
    check_undone(s, in_window=True)
    assert totals_of(s.w.draft).supply == supply
    # What was claimed of the sale is owed in tokens; what was not is back in the pool.
    if when == "claimed":
        assert owed == Counter(
            alice=BUYER + REVIEWER, bob=LEADER, seller=SHOP, carol=DISTRIBUTOR, dave=0
        )
    assert {who.name: debt_of(s.w.draft, who.address) for who in EVERYBODY} == dict(owed)
    assert all(row.amount for _, row in s.w.draft.items(DEBT))
    mining = mining_of(s.w.draft, s.period)
    claimed = 0 if when == "unclaimed" else DIRECTED
    assert (mining.claims + mining.claimed, mining.claimed) == (DIRECTED, claimed)
    totals = token_totals_of(s.w.draft)
    paid_out = sum(owed.values()) + claimed
    assert totals.balances == pool.balances + paid_out
    # Of the reviewer's part nothing waits, of the voice all that it would have been, until its end.
    assert mining.reviews in (0, 300_000 - REVIEWER)
    assert totals.reserved == pool.reserved - (totals.pool - pool.pool) - paid_out


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_sale_undone_after_its_claims_and_its_360_days_are_over(
    is_claimed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth_module, "WINDOW_MS", WINDOW_MS)
    s = Sale()
    if is_claimed:
        s.claim()
    s.w.pass_ms(max(WINDOW_MS, CLAIM_MS))
    growth = s.w.draft.get(GROWTH, CAROL.address)
    assert growth is not None and growth[1:] == (1, 1, TOTAL, 0, 0, 0, 0, 0, 0)
    reserved = token_totals_of(s.w.draft).reserved
    s.refund(UNITS)
    check_undone(s, in_window=False)
    parts = {
        "alice": BUYER + REVIEWER, "bob": LEADER, "seller": SHOP, "carol": DISTRIBUTOR, "dave": 0,
    }  # fmt: skip
    for who in EVERYBODY:
        owed = parts[who.name] if is_claimed else 0
        assert debt_of(s.w.draft, who.address) == owed
        earned = earned_of(s.w.draft, who.address, s.period)
        assert earned.claimed == (DIRECTED if is_claimed and who is BOB else 0)
    mining = mining_of(s.w.draft, s.period)
    assert (mining.claims, mining.reviews) == (0, 0)
    assert token_totals_of(s.w.draft).reserved == reserved  # voice alone, until its own end


@pytest.mark.parametrize("when", ["paid", "shipped", "completed", "disputed", "final", "claimed"])
def test_a_line_that_comes_back_at_any_time_leaves_the_same_but_for_the_fee(when: str) -> None:
    """Ten dollars of the hundred. Before completion the network's fee is on what is left; after
    final the commission was paid and is owed; the rest of every book is the same.
    """
    back = ((2, 2),)
    s = Sale({when: back})
    if when == "claimed":
        s.claim()
    if when in ("final", "claimed"):
        s.refund((back,))
    reader, is_late = s.w.draft, when in ("final", "claimed")
    fee = FEE * 9 // 10 if when in ("paid", "shipped") else FEE
    commission = (10 if is_late else 9) * DOLLAR
    assert s.dollars() == {
        "alice": 3 * DOLLAR - TOTAL * 9 // 10, "bob": 0,
        "seller": TOTAL * 9 // 10 - fee - commission,
        "carol": commission * 9 // 10, "dave": commission // 10,
    }  # fmt: skip
    order, mined = reader.get(ORDER, s.order), reader.get(MINED, s.order)
    assert order is not None and mined is not None
    assert (order.status, order.kept, order.fee) == ("final", TOTAL * 9 // 10, fee)
    assert mined.fee == FEE * 9 // 10
    figures = figures_of(reader, s.shop)
    assert (figures.refunded, figures.referred_refunded) == (TOTAL // 10, TOTAL // 10)
    assert (figures.final, figures.final_volume) == (1, TOTAL * 9 // 10)
    for who, stands in ((CAROL, 8_100_000), (DAVE, 900_000)):
        row = reader.get(PARTNER, (who.address, s.shop))
        assert row is not None and row.promised == 0
        assert row.accrued - row.reversed == row.paid - row.owed == stands
        assert row.owed == (stands // 9 if is_late else 0)
    assert [used.amount for _, used in reader.items(USED)] == [9 * DOLLAR]
    growth = reader.get(GROWTH, CAROL.address)
    assert growth is not None
    assert growth[1:] == (
        1, 1, TOTAL * 9 // 10, TOTAL // 10, 1, 1, TOTAL * 9 // 10, TOTAL, TOTAL // 10,
    )  # fmt: skip
    # The share is that of the counted volume when it became final: 100 or 90 dollars.
    share = 450_000 if is_late else 445_000
    assert mined.share_ppm == share
    f = FEE * 9 // 10
    row_of = {who: earned_of(reader, who.address, s.period) for who in EVERYBODY}
    assert [row_of[ALICE][i] for i in (0, 3, 5)] == [f, f * 775 // 1_000, f]
    assert (row_of[SELLER].shop, row_of[CAROL].distributor) == (f, f * share // 1_000_000)
    assert (row_of[BOB].led, row_of[BOB].voice, row_of[DAVE]) == (f, DIRECTED, NOTHING)
    assert granted_90(reader, ALICE.address) == VOICE + VOICE * 9 // 10
    # A line of which nothing is left praises nothing; this one complains.
    weights = [r.counted for each in s.reviews if (r := reader.get(REVIEW, each)) is not None]
    # One ruled upon is final before the second review: two shops have served its author by then.
    second = 7_500_000 if when == "disputed" else 3_750_000
    assert weights == [12_500_000, second, 1_250_000]
    if when == "claimed":
        entitled = {ALICE: 540_000 + 209_250, SELLER: 360_000, CAROL: 202_500, BOB: 18_000}
        paid = {ALICE: BUYER + REVIEWER, SELLER: SHOP, CAROL: DISTRIBUTOR, BOB: LEADER}
        for who, was in paid.items():
            assert debt_of(reader, who.address) == was - entitled[who]
    assert s.w.broken_laws() == []
