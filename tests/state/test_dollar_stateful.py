"""All families of the dollar at once, at random: reserves, redemptions, clearing, compliance,
accounts, with governance, pauses, leaving and outages among them. The laws hold after every step.

A few thousand steps in CI. `--long` does 100,000 and more, and prints which refusals were met.
Together with the vectors every refusal of these families is met, deadlines included: a step can
let deadlines pass while the work that follows from them still waits.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mgsnode.base.limits import INT_MAX
from state import execute
from state.context import CLOCK
from state.registry import standard_registry
from state.tx.accounts import account_of, freeze_of
from state.tx.gateways import GATEWAY, standing_of
from state.tx.issuing import ISSUE
from state.tx.leaving import CLEARING
from state.tx.obligations import OBLIGATION
from state.tx.payouts import REDEMPTION
from state.tx.periods import period_of
from state.tx.proposals import PROPOSAL
from state.tx.windows import next_window
from tests.state.scenarios.accounts import keys
from tests.state.scenarios.base import ALICE, BOB, SELLER, VECTORS
from tests.state.scenarios.clearing import jump
from tests.state.world import DOLLAR, Person, World, h, make_genesis, people, reason

FAMILIES = ("dollar", "reserves", "redemptions", "clearing", "compliance", "accounts")
CI_EXAMPLES, STEPS = 60, 60  # 3,600 steps
LONG_STEPS = 100_000
OPERATORS = people("op0", "op1", "op2", "op3")
ATTESTORS = people("attestor0", "attestor1", "attestor2")
OFFICERS = people("officer0", "officer1")
HOLDERS = [ALICE, BOB, SELLER]
ANYONE = [*HOLDERS, *OPERATORS, *ATTESTORS, *OFFICERS]
NAMES = [f"g{number}" for number in range(4)]
NAME = st.sampled_from(NAMES)
MAYBE_NAME = st.sampled_from([*NAMES, "g9"])
WHICH = st.integers(0, 5)  # counted from the newest; 5: whatever its status
ODD_ONE = st.sampled_from([None] * 5 + ANYONE)  # None: who may
HOLDER = st.sampled_from(HOLDERS)
LATE, LATE_MS = st.sampled_from([False, False, False, True]), 120_000
CENTS = st.one_of(st.integers(900, 60_000), st.sampled_from([1, 100_000, 600_000]))
CURRENCY = st.sampled_from(["USD", "USD", "USD", "GBP", "JPY"])
EXACT = st.sampled_from([10_000, 10_000, 10_000, 9_999])
TIMES = {
    "period_ms": 200_000, "issue_delay_ms": 100_000, "redeem_deadline_ms": 100_000,
    "contest_ms": 80_000, "ruling_ms": 120_000, "freeze_ms": 150_000,
    "clearing_window_ms": 90_000, "obligation_due_ms": 60_000, "obligation_grace_ms": 80_000,
    "obligation_contest_ms": 70_000, "obligation_rule_ms": 90_000, "unbond_ms": 100_000,
    "issue_threshold": 1_000 * DOLLAR, "attestation_ms": 86_400_000,
}  # fmt: skip
# Met only while due work waits; a short run may miss one. `test_vectors.py` names their tests.
DEADLINES = {"ISSUE_DEADLINE", "OBLIGATION_DEADLINE", "REDEMPTION_DEADLINE"}
steps_done = Counter[str]()  # of all runs of this process: steps, and refusals by name


class Dollar(RuleBasedStateMachine):
    """Anybody does anything of the dollar at any time."""

    @initialize(
        strike_limit=st.integers(1, 3),
        credit=st.sampled_from([500, 50_000, 50_000]),
        attested=st.sampled_from([45_000, 60_000, 1_000_000]),
        ratio=st.sampled_from([10_000, 9_000]),
    )
    def begin(self, strike_limit: int, credit: int, attested: int, ratio: int) -> None:
        params = {
            **TIMES, "strike_limit": strike_limit, "credit_floor": credit * DOLLAR,
            "reserve_ratio_bps": ratio,
        }  # fmt: skip
        genesis = make_genesis(
            funded=[*HOLDERS, *ATTESTORS, *OFFICERS], dollars=3_000 * DOLLAR, params=params,
            attested=attested * DOLLAR, cap=INT_MAX // 64, bond=1_000_000,
        )  # fmt: skip
        self.w = World(genesis)
        self.references = 0
        self.quotes: list[bytes] = [h("none")]

    # Doing ------------------------------------------------------------------------------

    def do(self, who: Person, kind: str, *fields: Any, also: Any = (), late: bool = False) -> bool:
        """Whether it went well. `late`: past deadlines, while their work still waits."""
        if account_of(self.w.draft, who.address).dollar < DOLLAR:
            return False  # it could not pay its fee
        if late:  # as many blocks of a minute, without executing them
            clock = self.w.draft.get(CLOCK, b"")
            assert clock is not None
            later = clock._replace(time_ms=clock.time_ms + LATE_MS, live_ms=clock.live_ms + LATE_MS)
            self.w.draft.put(CLOCK, b"", later)
            self.w.time_ms += LATE_MS
        tx = self.w.tx(who, kind, *fields, also=also)
        waiting, execute.DUE_ITEMS_MAX = execute.DUE_ITEMS_MAX, 0 if late else 512  # type: ignore[misc]
        try:
            receipt = self.w.block(tx, after_ms=1)[0]
        finally:
            execute.DUE_ITEMS_MAX = waiting  # type: ignore[misc]
        self.note(reason(self.w, receipt))
        return receipt.code == 0

    def note(self, name: str) -> None:
        steps_done[name] += 1

    def reference(self, again: bool) -> bytes:
        self.references += not again
        return h(f"reference {self.references}")

    def one(self, table: Any, index: int, *wanted: str) -> bytes:
        """One in a wanted status; for an index of 5 any. Where there is none, one is made."""
        for _ in range(2):
            rows = list(self.w.draft.items(table))
            known = [key for key, row in rows if index == 5 or row.status in wanted]
            if known:
                return known[-1 - index % len(known)]
            if index == 4:
                return h("none")
            self.make(table, wanted[0])
        return h("none")

    def make(self, table: Any, status: str) -> None:
        """Bring about what a rule needs, as far as the state allows it."""
        if table is ISSUE:
            fields = (BOB.address, 1_001 * DOLLAR, self.reference(again=False))
            self.do(OPERATORS[1], "dollar_issue", *fields)
            if status == "vetoed":
                self.do(OPERATORS[2], "dollar_issue_veto", self.one(ISSUE, 0, "waiting"), "why?")
        elif table is REDEMPTION:
            self.do(ALICE, "dollar_redeem", "g1", 120 * DOLLAR, "USD", h("iban"), ())
            self.go_on(table, "dollar_redeem", status, by=OPERATORS[1], other=ALICE)
        else:
            self.do(ALICE, "dollar_redeem", "g2", 150 * DOLLAR, "USD", h("iban"), ())
            self.go_on(REDEMPTION, "dollar_redeem", "claimed", by=OPERATORS[2], other=ALICE)
            rid = self.newest(REDEMPTION, "claimed")
            self.do(ALICE, "dollar_redeem_confirm", rid)
            jump(self.w, max(1, next_window(self.w.draft).due_ms - self.w.now(CLEARING)))
            oid = self.newest(OBLIGATION, "open")
            row = self.w.draft.get(OBLIGATION, oid)
            if row is not None:
                by, other = self.operator(row.debtor), self.operator(row.creditor)
                self.go_on(table, "obligation", status, by=by, other=other)

    def newest(self, table: Any, status: str) -> bytes:
        rows = list(self.w.draft.items(table))
        return next((key for key, row in reversed(rows) if row.status == status), h("none"))

    def go_on(self, table: Any, kind: str, status: str, *, by: Person, other: Person) -> None:
        """From open to claimed, and to contested."""
        if status not in ("claimed", "contested"):
            return
        found = self.newest(table, "pending" if table is REDEMPTION else "open")
        case = ((),) if table is REDEMPTION else ()
        self.do(by, f"{kind}_paid", found, self.reference(again=False), *case)
        if status == "contested":
            self.do(other, f"{kind}_contest", found, "nothing came")

    def operator(self, name: str) -> Person:
        return OPERATORS[NAMES.index(name)] if name in NAMES else OPERATORS[0]

    # Reserves ---------------------------------------------------------------------------

    @rule(who=ODD_ONE, name=NAME, to=HOLDER, cents=CENTS, again=st.booleans())
    def issue(self, who: Person | None, name: str, to: Person, cents: int, again: bool) -> None:
        fields = (to.address, cents * 10_000, self.reference(again))
        self.do(who or self.operator(name), "dollar_issue", *fields)

    @rule(who=ODD_ONE, index=WHICH, by=NAME, late=LATE)
    def veto(self, who: Person | None, index: int, by: str, late: bool) -> None:
        iid = self.one(ISSUE, index, "waiting")
        self.do(who or self.operator(by), "dollar_issue_veto", iid, "why?", late=late)

    @rule(who=ODD_ONE, index=WHICH, late=LATE)
    def cancel(self, who: Person | None, index: int, late: bool) -> None:
        iid = self.one(ISSUE, index, "waiting")
        row = self.w.draft.get(ISSUE, iid)
        by = who or self.operator(row.gateway if row else "g0")
        self.do(by, "dollar_issue_cancel", iid, late=late)

    @rule(
        by=st.lists(st.sampled_from([*ATTESTORS, *ATTESTORS, BOB]), min_size=1, max_size=3),
        name=MAYBE_NAME, dollars=st.sampled_from([0, 40_000, 60_000, 900_000]),
        ahead_ms=st.sampled_from([-1, 250_000, 86_400_000, 10**10]), odd=st.integers(0, 9),
    )  # fmt: skip
    def attest(self, by: Any, name: str, dollars: int, ahead_ms: int, odd: int) -> None:
        instant = period_of(self.w.draft).start_ms + (odd == 9)
        fields = (name, instant, dollars * DOLLAR, instant + ahead_ms, h("seen"))
        for attestor in by:
            self.do(attestor, "reserve_attest", *fields)

    @rule(who=ODD_ONE, name=NAME, dollars=st.integers(1, 30_000),
          ahead_ms=st.sampled_from([0, 100_000, 10**6, 10**11]), named=st.booleans())  # fmt: skip
    def withdraw(
        self, who: Person | None, name: str, dollars: int, ahead_ms: int, named: bool
    ) -> None:
        fields = ((name,) if named else (), dollars * DOLLAR, self.w.time_ms + ahead_ms)
        self.do(who or self.operator(name), "reserve_withdraw", *fields)

    # Redemptions ------------------------------------------------------------------------

    @rule(who=HOLDER, name=MAYBE_NAME, cents=CENTS, unit=EXACT, currency=CURRENCY,
          quoted=st.booleans())  # fmt: skip
    def redeem(
        self, who: Person, name: str, cents: int, unit: int, currency: str, quoted: bool
    ) -> None:
        quote = (self.quotes[-1],) if quoted else ()
        self.do(who, "dollar_redeem", name, cents * unit, currency, h("iban"), quote)

    @rule(name=st.sampled_from(["g1", "g1", "g2"]), more=st.integers(-1, 5),
          bid=st.sampled_from([1, 79_123_457, 10**18]),
          size=st.integers(10 * DOLLAR, 600 * DOLLAR),
          for_ms=st.sampled_from([0, 50_000, 10**10]))  # fmt: skip
    def quote(self, name: str, bid: int, more: int, size: int, for_ms: int) -> None:
        fields = ("GBP", bid, max(1, bid + more), 10, size, self.w.time_ms + for_ms)
        if self.do(self.operator(name), "quote_set", *fields):
            self.quotes.append(self.w.outcome.receipts[0].txid)  # type: ignore[union-attr]

    @rule(who=ODD_ONE, index=WHICH, again=st.booleans(), late=LATE)
    def paid(self, who: Person | None, index: int, again: bool, late: bool) -> None:
        rid = self.one(REDEMPTION, index, "pending")
        row = self.w.draft.get(REDEMPTION, rid)
        freeze = freeze_of(self.w.draft, row.holder) if row else None
        case = (freeze.case,) if freeze is not None and freeze.is_on and index else ()
        by = who or self.operator(row.gateway if row else "g0")
        self.do(by, "dollar_redeem_paid", rid, self.reference(again), case, late=late)

    @rule(who=ODD_ONE, index=WHICH, why=st.sampled_from(["details", "bank", "compliance"]))
    def refuse(self, who: Person | None, index: int, why: str) -> None:
        rid = self.one(REDEMPTION, index, "pending")
        row = self.w.draft.get(REDEMPTION, rid)
        by = who or self.operator(row.gateway if row else "g0")
        self.do(by, "dollar_redeem_refuse", rid, why)

    @rule(who=ODD_ONE, index=WHICH, contest=st.booleans(), late=LATE)
    def answer(self, who: Person | None, index: int, contest: bool, late: bool) -> None:
        rid = self.one(REDEMPTION, index, "claimed")
        row = self.w.draft.get(REDEMPTION, rid)
        holder = next((p for p in ANYONE if row and p.address == row.holder), ALICE)
        if contest:
            self.do(who or holder, "dollar_redeem_contest", rid, "nothing came", late=late)
        else:
            self.do(who or holder, "dollar_redeem_confirm", rid, late=late)

    @rule(by=st.permutations([*ATTESTORS, BOB]), votes=st.integers(1, 3), index=WHICH,
          holder=st.booleans())  # fmt: skip
    def rule_on_redemption(self, by: list[Person], votes: int, index: int, holder: bool) -> None:
        rid = self.one(REDEMPTION, index, "contested")
        for attestor in by[:votes]:
            self.do(attestor, "dollar_redeem_rule", rid, holder)

    @rule(name=NAME, dollars=st.integers(1, 10_000))
    def credit(self, name: str, dollars: int) -> None:
        self.do(self.operator(name), "gateway_credit", dollars * DOLLAR)

    # Clearing ---------------------------------------------------------------------------

    @rule(who=ODD_ONE, index=WHICH, again=st.booleans(), late=LATE)
    def obligation_paid(self, who: Person | None, index: int, again: bool, late: bool) -> None:
        oid = self.one(OBLIGATION, index, "open", "overdue")
        row = self.w.draft.get(OBLIGATION, oid)
        by = who or self.operator(row.debtor if row else "g0")
        self.do(by, "obligation_paid", oid, self.reference(again), late=late)

    @rule(who=ODD_ONE, index=WHICH, contest=st.booleans(), late=LATE)
    def obligation_answer(self, who: Person | None, index: int, contest: bool, late: bool) -> None:
        oid = self.one(OBLIGATION, index, "claimed")
        row = self.w.draft.get(OBLIGATION, oid)
        by = who or self.operator(row.creditor if row else "g0")
        fields = (oid, "nothing") if contest else (oid,)
        kind = "obligation_contest" if contest else "obligation_confirm"
        self.do(by, kind, *fields, late=late)

    @rule(by=st.permutations([*ATTESTORS, BOB]), index=WHICH, creditor=st.booleans())
    def rule_on_obligation(self, by: list[Person], index: int, creditor: bool) -> None:
        oid = self.one(OBLIGATION, index, "contested")
        for attestor in by[:2]:
            self.do(attestor, "obligation_rule", oid, creditor)

    @rule(name=NAME, giver=NAME, dollars=st.integers(1, 30_000))
    def assume(self, name: str, giver: str, dollars: int) -> None:
        also = [self.operator(giver)] if giver != name else []
        self.do(self.operator(name), "position_assume", giver, dollars * DOLLAR, also=also)

    @rule()
    def window(self) -> None:
        jump(self.w, max(1, next_window(self.w.draft).due_ms - self.w.now(CLEARING)))

    # Compliance and accounts ------------------------------------------------------------

    @rule(by=st.sampled_from([*OFFICERS, ALICE]), whom=st.sampled_from([*HOLDERS, OPERATORS[1]]),
          number=st.integers(0, 9))  # fmt: skip
    def freeze(self, by: Person, whom: Person, number: int) -> None:
        self.do(by, "compliance_freeze", whom.address, h(f"file {number}"))

    @rule(by=st.sampled_from([*OFFICERS, ALICE]), whom=st.sampled_from([*HOLDERS, OPERATORS[1]]),
          wrong=st.booleans())  # fmt: skip
    def thaw(self, by: Person, whom: Person, wrong: bool) -> None:
        row = freeze_of(self.w.draft, whom.address)
        case = row.case if row is not None and not wrong else h("file 0")
        self.do(by, "compliance_thaw", whom.address, case)

    @rule(who=HOLDER, to=HOLDER, amount=st.integers(1, 300 * DOLLAR), memo=st.booleans())
    def transfer(self, who: Person, to: Person, amount: int, memo: bool) -> None:
        outputs = ((to.address, amount, "rent" if memo else ""),)
        self.do(who, "dollar_transfer", outputs)

    @rule(who=HOLDER, required=st.booleans())
    def memo(self, who: Person, required: bool) -> None:
        self.do(who, "account_set_memo", required)

    @rule(who=st.sampled_from(HOLDERS), number=st.integers(0, 3), twice=st.booleans(),
          threshold=st.sampled_from([1, 1, 1, 3]))  # fmt: skip
    def add_a_key(self, who: Person, number: int, twice: bool, threshold: int) -> None:
        """Beside the first one, which goes on acting."""
        other = Person(f"key {who.name} {number}")
        named = keys(who, other, other) if twice else keys(who, other)
        self.do(who, "account_set_keys", named, threshold, also=[other])

    # Governance and time ----------------------------------------------------------------

    @rule(action=st.sampled_from(["suspend", "clear", "clear", "leave", "clear_stop", "clear_stop",
                                  "carry_issue", "set_cap", "pause", "resume", "resume"]),
          name=NAME, family=st.sampled_from(FAMILIES[1:4]))  # fmt: skip
    def govern(self, action: str, name: str, family: str) -> None:
        stops = standing_of(self.w.draft, name).stops
        args: tuple[Any, ...] = {
            "clear_stop": (name, stops[0][0] if stops else "strikes"),
            "carry_issue": (self.one(ISSUE, 0, "vetoed"),),
            "set_cap": (name, 70_000 * DOLLAR),
            "pause": (family,), "resume": (family,),
        }.get(action, (name,))  # fmt: skip
        self.decide(action, args)

    @rule(action=st.sampled_from(["seize", "extend_freeze", "lift_freeze"]), whom=HOLDER, to=HOLDER)
    def decide_a_case(self, action: str, whom: Person, to: Person) -> None:
        row = freeze_of(self.w.draft, whom.address)
        case = row.case if row is not None else h("file 0")
        args: dict[str, tuple[Any, ...]] = {
            "seize": (whom.address, to.address, case),
            "extend_freeze": (whom.address, case, 90_000), "lift_freeze": (whom.address, case),
        }  # fmt: skip
        self.decide(action, args[action])

    def decide(self, action: str, args: tuple[Any, ...]) -> None:
        """All active gateways propose and carry it; it may fail when it takes effect."""
        rows = [(name, self.w.draft.get(GATEWAY, name)) for name in NAMES]
        may = [self.operator(name) for name, row in rows if row and row.status == "active"]
        at = self.w.height + len(may) + 1
        if not self.do(may[0], "gov_propose", action, args, at):
            return
        proposal = self.w.outcome.receipts[0].txid  # type: ignore[union-attr]
        for operator in may[1:]:
            self.do(operator, "gov_vote", proposal, True)
        for _ in range(3):
            self.w.block()
        row = self.w.draft.get(PROPOSAL, proposal)
        if row is not None and row.reason:
            self.note(row.reason)

    @rule(seconds=st.sampled_from([1, 20, 60, 130]))
    def wait(self, seconds: int) -> None:
        jump(self.w, seconds * 1_000)

    @rule(days=st.sampled_from([1, 2]), rare=st.integers(0, 3))
    def outage(self, days: int, rare: int) -> None:
        self.w.block(after_ms=days * 86_400_000 if rare == 0 else 1)

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "w"):
            steps_done["steps"] += 1
            assert self.w.broken_laws() == []


def refusals() -> set[str]:
    """Of the dollar's families, by name."""
    families = [family for family in standard_registry().families if family.name in FAMILIES]
    assert len(families) == len(FAMILIES)
    return {name for family in families for _, name in family.refusals}


def in_vectors() -> set[str]:
    return {json.loads(path.read_text())["reason"] for path in VECTORS.glob("*/*.json")
            if path.name != "base.json"}  # fmt: skip


def run(examples: int) -> None:
    given = settings(
        max_examples=examples, stateful_step_count=STEPS, deadline=None, database=None,
        derandomize=examples == CI_EXAMPLES, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Dollar, settings=given)  # type: ignore[no-untyped-call]


def tell(met: set[str]) -> str:
    wanted = refusals()
    return (f"{steps_done['steps']} steps met {len(wanted & met)} of {len(wanted)} refusals; "
            f"by vectors alone: {sorted(wanted - met)}")  # fmt: skip


def test_the_laws_hold_whatever_anybody_does_with_dollars() -> None:
    before = Counter(steps_done)
    run(CI_EXAMPLES)
    done = steps_done - before
    print(tell(set(done)))
    assert done["steps"] > 2_000
    left = refusals() - in_vectors() - set(done) - DEADLINES
    assert left == set(), "neither a vector nor a step meets it"
    assert len(refusals() & set(done)) >= 25


@pytest.mark.long
def test_the_laws_hold_for_a_hundred_thousand_steps() -> None:
    begun = steps_done["steps"]
    while steps_done["steps"] - begun < LONG_STEPS:
        run(300)
    print(tell(set(steps_done)), dict(steps_done))
    assert refusals() - in_vectors() - set(steps_done) == set()
