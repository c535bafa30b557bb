"""A day in the life of the dollar: four gateways, a thousand holders, and the bank as the judge.

Random issues, transfers and redemptions at any gateway, while one gateway lies, one stops paying
and defaults, attestations run out, an issue is vetoed, a thief is frozen, everything stands still
for 48 hours, and one gateway leaves. Hours are minutes here. The laws hold at each height; no
dollar is unbacked at any; at the end the bank's verdict is asked. `--long` lives four
longer ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mgsnode.base.genesis import GenesisAccount
from tests.day.agents import CENT, Day, Script
from tests.day.memory import MemoryPort
from tests.day.port import Act, Someone
from tests.day.verdict import verdict
from tests.state.shadow_bank import OUTSIDE
from tests.state.world import DAY_MS, DOLLAR, Person, World, make_genesis, people

MINUTE_MS = 60_000
HOLDERS = [Person(f"holder {number}") for number in range(1_000)]
OPERATORS = {f"g{number}": Person(f"op{number}") for number in range(4)}
ATTESTORS = people("attestor0", "attestor1", "attestor2")
OFFICER = Person("officer0")
BOND = 1_000_000 * DOLLAR  # micro-MGS
ACTIONS = 8  # that holders begin in a block
ATTESTED = 1_000_000 * DOLLAR  # what each gateway has at the genesis
THRESHOLD = 5_000 * DOLLAR
PARAMS = {
    "period_ms": 10 * MINUTE_MS, "issue_threshold": THRESHOLD, "issue_delay_ms": 3 * MINUTE_MS,
    "redeem_deadline_ms": 4 * MINUTE_MS, "contest_ms": 3 * MINUTE_MS, "ruling_ms": 4 * MINUTE_MS,
    "clearing_window_ms": 5 * MINUTE_MS, "obligation_due_ms": 3 * MINUTE_MS,
    "obligation_grace_ms": 4 * MINUTE_MS, "obligation_contest_ms": 3 * MINUTE_MS,
    "obligation_rule_ms": 4 * MINUTE_MS,
}  # fmt: skip


def make_world(holders: Sequence[Person]) -> World:
    """Each holder begins with 1,000 dollars; g2 and g3 issued them all and will owe the others."""
    genesis = make_genesis(attested=ATTESTED, params=PARAMS, bond=BOND)
    more = [
        GenesisAccount(who.name, who.address, 1_000 * DOLLAR, "g2" if place % 5 < 2 else "g3", 0)
        for place, who in enumerate([*holders, *ATTESTORS, OFFICER])
    ]
    return World(genesis._replace(accounts=(*genesis.accounts, *more)))


def script_of(steps: int) -> Script:
    """The same things in a longer day happen later."""

    def at(share: float) -> int:
        return int(steps * share)

    return Script(
        lies=(at(0.10), at(0.30)), sleeps=(at(0.35), at(0.60)), unattested=(at(0.62), at(0.82)),
        big_issue=at(0.15), freeze=at(0.25), recovery=at(0.65), leave=at(0.85), outage=at(0.5),
        attested_for_ms=25 * MINUTE_MS, issue_threshold=THRESHOLD, margin_ms=61_000,
    )  # fmt: skip


def live(
    steps: int, seed: int, *, of: type[Day] = Day, holders: Sequence[Person] = HOLDERS
) -> tuple[Day, MemoryPort]:
    """A whole day; every height is judged by the laws and by whether fiat is there."""
    w = make_world(holders)
    port = MemoryPort(w, holders, seed)
    day = of(
        port, script_of(steps), seed=seed, holders=holders, operators=dict(OPERATORS),
        attestors=ATTESTORS, officer=OFFICER, attested=ATTESTED,
    )  # fmt: skip
    for step in range(steps):
        if step == day.script.outage:
            port.stand_still(2 * DAY_MS)
        day.step(ACTIONS)
        if of is Day:
            assert day.short(port.told()) == [], f"step {step}"
    day.is_over = True
    for _ in range(100):
        if not day.is_quiet():
            day.step(0)
    return day, port


def check_day(day: Day, port: MemoryPort) -> None:
    """Everything the day is about has happened, and everybody is whole."""
    assert day.is_quiet()
    assert verdict(port.told(), day.bank, day.books) == []
    assert {"paid", "expired", "returned", "refused", "seized"} <= set(day.ended)
    assert day.confirmed and day.ended["paid"] > len(day.confirmed), "some were silent"
    assert day.seen["lied"] and day.seen["lied to a gateway"]
    assert day.seen["dollar_issue_veto"] == 1 and day.seen["reserve_withdraw"]
    assert day.seen["dollar_transfer ACCOUNT_FROZEN"] == 1
    assert day.seen["dollar_issue ROOM_EXCEEDED"], "an attestation ran out"
    events = {
        "issue_waiting",
        "obligation_overdue",
        "obligation_lapsed",
        "gateway_cured",
        "gateway_struck",
        "position_assumed",
        "compliance_seized",
        "obligation_settled",
    }
    assert events - set(port.events) == set()
    paid_again = [o for o in port.obligations().values() if o.debtor == "g3"]
    assert {"lapsed", "settled"} <= {owed.status for owed in paid_again}
    assert {n: port.gateway(n).status for n in OPERATORS} == {
        "g0": "active", "g1": "left", "g2": "active", "g3": "active"
    }  # fmt: skip


def test_the_day_ends_with_everybody_whole() -> None:
    check_day(*live(240, seed=1))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_longer_days_end_with_everybody_whole(seed: int) -> None:
    check_day(*live(600, seed=seed))


# Controls: what the chain's laws do not see and the verdict must --------------------------------


class IssuesWithoutFiat(Day):
    """A gateway issues once on a wire that never came."""

    def buy(self, who: Someone, amount: int, name: str = "") -> list[Act]:
        if self.step_no != 5:
            return super().buy(who, amount, name)
        fields = (who.address, amount, self.bank.reference())
        return [Act(self.operators["g0"], "dollar_issue", fields)]


class PaysTwice(Day):
    """A gateway's bank carries one payment out twice."""

    def pay(self, rid: bytes, name: str, amount: int, holder: Someone) -> Act:
        if self.step_no == 6:
            self.bank.wire(name, holder.name, amount, rid)
        return super().pay(rid, name, amount, holder)


class PaysShort(Day):
    """A gateway pays a cent less than it owes, and its holder does not count."""

    def pay(self, rid: bytes, name: str, amount: int, holder: Someone) -> Act:
        if self.step_no != 6:
            return super().pay(rid, name, amount, holder)
        reference = self.bank.wire(name, holder.name, amount - CENT, rid)
        return Act(self.operators[name], "dollar_redeem_paid", (rid, reference, ()))

    def answers(self) -> list[Act]:
        return [act for act in super().answers() if act.kind != "dollar_redeem_contest"]


class Embezzles(Day):
    """A gateway's director takes the reserve away."""

    def payments(self) -> list[Act]:
        if self.step_no == 6:
            self.bank.wire("g3", OUTSIDE, self.bank.fiat["g3"])
        return super().payments()


class OwesOnPaper(Day):
    """Creditors confirm what never came."""

    def settlements(self) -> list[Act]:
        return [
            act._replace(kind="obligation_confirm", fields=act.fields[:1])
            if act.kind == "obligation_contest" else act
            for act in super().settlements()
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        (IssuesWithoutFiat, "without fiat"),
        (PaysTwice, "was paid"),
        (PaysShort, "was paid"),
        (Embezzles, "are unbacked"),
        (OwesOnPaper, "obligation"),
    ],
)
def test_the_verdict_notices_what_no_law_does(agents: type[Day], said: str) -> None:
    day, port = live(100, seed=3, of=agents, holders=HOLDERS[:300])
    wrong = verdict(port.told(), day.bank, day.books, is_over=day.is_quiet())
    assert any(said in line for line in wrong), wrong


def test_the_same_day_without_a_crime_is_in_order() -> None:
    day, port = live(100, seed=3, holders=HOLDERS[:300])
    assert verdict(port.told(), day.bank, day.books) == []


def test_a_book_that_is_one_off_is_noticed() -> None:
    day, port = live(20, seed=3, holders=HOLDERS[:50])
    day.books["holder 7"] += 1
    (line,) = verdict(port.told(), day.bank, day.books)
    assert line.startswith("holder 7 has ")
