"""Redemptions at random: anyone does anything at any time, with freezes, seizures and pauses.

After every block the laws hold. At the end everything that is open is let run out, and each
redemption must have ended exactly once, with its holder's dollars or fiat where they belong:
the shadow bank's fiat of a redemption that counts as paid was paid, or its holder kept silent.
`MGS_LAW_STEPS` and `MGS_LAW_EXAMPLES` make it long.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import DUE
from state.tx.accounts import account_of, freeze_of, is_frozen
from state.tx.money import HOLD, REDEMPTIONS
from state.tx.payouts import OPEN, OPEN_STATUSES, REDEMPTION, SWEEP, status_of
from tests.state.scenarios.base import ALICE, BOB, OP0, OP1, OP2, SELLER, set_bond
from tests.state.scenarios.governance import passed
from tests.state.scenarios.redemptions import ATTESTORS
from tests.state.shadow_bank import ShadowBank
from tests.state.world import DOLLAR, Person, World, h, make_genesis, people

STEPS = int(os.environ.get("MGS_LAW_STEPS", "40"))
EXAMPLES = int(os.environ.get("MGS_LAW_EXAMPLES", "25"))
HOLDERS = [ALICE, BOB, SELLER, OP0]
OFFICERS = people("officer0", "officer1")
ANYONE = [*HOLDERS, OP1, *ATTESTORS, *OFFICERS]
WHICH = st.integers(0, 5)  # counted from the newest
ODD_ONE = st.sampled_from([None, None, None, *ANYONE])  # None: who may
ENDS = ("redemption_paid", "redemption_returned", "redemption_seized")
TIMES = {
    "redeem_deadline_ms": 100_000, "contest_ms": 80_000, "ruling_ms": 120_000,
    "freeze_ms": 150_000, "period_ms": 200_000, "issue_threshold": 10_000_000 * DOLLAR,
}  # fmt: skip


class Redeeming(RuleBasedStateMachine):
    """Everything that can happen to redemptions."""

    @initialize(strike_limit=st.integers(1, 3), credit=st.sampled_from([0, 50, 50_000]))
    def begin(self, strike_limit: int, credit: int) -> None:
        params = {**TIMES, "strike_limit": strike_limit, "credit_floor": credit * DOLLAR}
        funded = [ALICE, BOB, SELLER, *ATTESTORS, *OFFICERS]
        self.w = World(make_genesis(funded=funded, cap=INT_MAX, params=params))
        set_bond(self.w, "g1", 1_000_000)
        self.bank = ShadowBank(self.w)
        self.asks: list[bytes] = [h("none")]
        self.quotes: list[bytes] = [h("none")]
        self.ended: Counter[bytes] = Counter()
        self.references = 0

    def note(self) -> None:
        outcome = self.w.outcome
        assert outcome is not None
        for receipt in outcome.receipts:
            for event in receipt.events:
                self.w.registry.events[event.name].values.check(event.values)
                if event.name in ENDS:
                    self.ended[event.values[0]] += 1

    def do(self, who: Person, kind: str, *fields: Any) -> bytes | None:
        """The txid if it went well."""
        try:
            receipt = self.w.do(who, kind, *fields)
        except Rejected as refusal:  # it may not enter a block: unaffordable
            assert refusal.code < 100
            self.note()  # the block was made without it
            return None
        self.note()
        return receipt.txid if receipt.code == 0 else None

    def rid(self, index: int, *statuses: str) -> bytes:
        """One of the newest that is in one of these statuses; every sixth time any of them."""
        draft = self.w.draft
        rows = [(rid, draft.get(REDEMPTION, rid)) for rid in self.asks]
        fitting = [rid for rid, row in rows if row and row.status in statuses and index < 5]
        some = fitting or self.asks
        return some[-1 - index % len(some)]

    def operator(self, rid: bytes) -> Person:
        row = self.w.draft.get(REDEMPTION, rid)
        return OP1 if row is not None and row.gateway == "g1" else OP0

    def holder(self, rid: bytes) -> Person:
        row = self.w.draft.get(REDEMPTION, rid)
        return next((who for who in HOLDERS if row and who.address == row.holder), ALICE)

    @rule(who=st.sampled_from(HOLDERS), cents=st.integers(900, 30_000), at=st.sampled_from("001"))
    def redeem(self, who: Person, cents: int, at: str) -> None:
        fields = (f"g{at}", cents * 10_000, "USD", h("iban"), ())
        txid = self.do(who, "dollar_redeem", *fields)
        if txid:
            self.asks.append(txid)

    @rule(who=st.sampled_from(HOLDERS), cents=st.integers(900, 3_000), index=WHICH)
    def redeem_pounds(self, who: Person, cents: int, index: int) -> None:
        quote = self.quotes[-1 - index % len(self.quotes)]
        fields = ("g1", cents * 10_000, "GBP", h("iban"), (quote,))
        txid = self.do(who, "dollar_redeem", *fields)
        if txid:
            self.asks.append(txid)

    @rule(
        bid=st.sampled_from([1, 79_123_457, 10**18]),
        more=st.integers(-1, 5),
        fee=st.integers(0, 1_000),
        size=st.integers(10 * DOLLAR, 100 * DOLLAR),
        for_ms=st.sampled_from([0, 50_000, 10**10]),
    )
    def quote(self, bid: int, more: int, fee: int, size: int, for_ms: int) -> None:
        ask, expires_ms = max(1, bid + more), self.w.time_ms + for_ms
        txid = self.do(OP1, "quote_set", "GBP", bid, ask, fee, size, expires_ms)
        if txid:
            self.quotes.append(txid)

    @rule(who=ODD_ONE, index=WHICH, honest=st.booleans(), reuse=st.integers(0, 5))
    def claim(self, who: Person | None, index: int, honest: bool, reuse: int) -> None:
        rid = self.rid(index, "pending")
        row = self.w.draft.get(REDEMPTION, rid)
        case: tuple[bytes, ...] = ()
        if row is not None and is_frozen(self.w.draft, row.holder):
            freeze = freeze_of(self.w.draft, row.holder)
            assert freeze is not None
            case = (freeze.case,)
        self.references += reuse > 0
        reference = h(f"reference {self.references}")
        txid = self.do(who or self.operator(rid), "dollar_redeem_paid", rid, reference, case)
        if txid and honest and row is not None:
            self.bank.pay(row.gateway, self.holder(rid), row.amount, rid)

    @rule(who=ODD_ONE, index=WHICH)
    def answer(self, who: Person | None, index: int) -> None:
        """A holder confirms what came and contests what did not; others try."""
        rid = self.rid(index, "claimed")
        row = self.w.draft.get(REDEMPTION, rid)
        came = row is not None and self.bank.paid[rid] >= row.amount
        if came:
            self.do(who or self.holder(rid), "dollar_redeem_confirm", rid)
        else:
            self.do(who or self.holder(rid), "dollar_redeem_contest", rid, "nothing came")

    @rule(who=st.permutations([*ATTESTORS, BOB]), votes=st.integers(1, 3), index=WHICH)
    def attest(self, who: list[Person], votes: int, index: int) -> None:
        rid = self.rid(index, "contested")
        row = self.w.draft.get(REDEMPTION, rid)
        is_owed = row is None or self.bank.paid[rid] < row.amount
        for attestor in who[:votes]:
            self.do(attestor, "dollar_redeem_rule", rid, is_owed)

    @rule(who=ODD_ONE, index=WHICH, why=st.sampled_from(["details", "bank", "compliance"]))
    def refuse(self, who: Person | None, index: int, why: str) -> None:
        rid = self.rid(index, "pending")
        self.do(who or self.operator(rid), "dollar_redeem_refuse", rid, why)

    @rule(credit=st.integers(1, 10**12))
    def grant(self, credit: int) -> None:
        self.do(OP1, "gateway_credit", credit)

    @rule(whom=st.sampled_from(HOLDERS), number=st.integers(0, 9))
    def freeze(self, whom: Person, number: int) -> None:
        self.do(OFFICERS[0], "compliance_freeze", whom.address, h(f"file {number}"))

    @rule(whom=st.sampled_from(HOLDERS), by=st.sampled_from([*OFFICERS, ALICE]))
    def thaw(self, whom: Person, by: Person) -> None:
        freeze = freeze_of(self.w.draft, whom.address)
        self.do(by, "compliance_thaw", whom.address, freeze.case if freeze else h("file 0"))

    @rule(whom=st.sampled_from(HOLDERS[:3]), to=st.sampled_from(HOLDERS), extend=st.booleans())
    def govern(self, whom: Person, to: Person, extend: bool) -> None:
        """A seizure or an extension passes, if the account is frozen and the fees are there."""
        operators = (OP0, OP1, OP2)
        if not is_frozen(self.w.draft, whom.address) or whom is to:
            return
        if min(account_of(self.w.draft, who.address).dollar for who in operators) < DOLLAR:
            return
        freeze = freeze_of(self.w.draft, whom.address)
        assert freeze is not None
        args = (whom.address, freeze.case, 90_000) if extend else (
            whom.address, to.address, freeze.case
        )  # fmt: skip
        passed(self.w, "extend_freeze" if extend else "seize", args, after=3)
        self.w.block()
        self.note()

    @rule(whom=st.sampled_from(HOLDERS), ms=st.sampled_from([1, 20_000, 50_000, 10**7]))
    def wait(self, whom: Person, ms: int) -> None:
        self.w.block(after_ms=ms)
        self.note()

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            assert self.w.broken_laws() == []

    def teardown(self) -> None:
        """Time passes until nothing is open: freezes end, walks are done, deadlines come."""
        if not hasattr(self, "w"):
            return
        for _ in range(60):
            self.w.block(after_ms=30_000)
            self.note()
        draft = self.w.draft
        rows = dict(draft.items(REDEMPTION))
        assert dict.fromkeys(rows, 1) == dict(self.ended), "each ends exactly once"
        assert all(status_of(draft, row) not in OPEN_STATUSES for row in rows.values())
        assert [key for key, _ in draft.items(DUE, bytes([REDEMPTIONS]))] == []
        assert list(draft.items(OPEN)) == list(draft.items(SWEEP)) == []
        assert [key for key, _ in draft.items(HOLD, bytes([REDEMPTIONS]))] == []
        for rid, row in rows.items():
            if row.status in ("returned", "expired", "refused", "seized"):
                assert row.status == "returned" or self.bank.paid[rid] == 0
        assert self.w.broken_laws() == []


Redeeming.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestRedeeming = Redeeming.TestCase
