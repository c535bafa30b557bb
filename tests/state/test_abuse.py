"""Abuse of reserves that leaves every sum on the chain right: the shadow bank is the judge.

The whole list, and which test tries which entry: `docs/abuse.md`.
"""

from __future__ import annotations

from state.context import Params
from state.tx.gateways import standing_of
from state.tx.periods import period_of
from state.tx.positions import position_of
from state.tx.room import room_of
from tests.state.scenarios.base import ALICE, BOB, OP1, OP2
from tests.state.scenarios.reserves import ATTESTORS, end_period, fund_attestors
from tests.state.shadow_bank import OUTSIDE, ShadowBank
from tests.state.world import DAY_MS, DOLLAR, World, h, make_genesis, reason

RESERVE = 50_000 * DOLLAR


class Sisters:
    """g1 and g2 belong together in truth; the chain does not know. Attestors are honest."""

    def __init__(self, at_g1: int = RESERVE, at_g2: int = 0) -> None:
        genesis = make_genesis(funded=[ALICE, BOB])
        g0, g1, g2, *others = genesis.gateways
        gateways = (g0, g1._replace(attested=0), g2._replace(attested=0), *others)
        self.w = World(genesis._replace(gateways=gateways))
        self.bank = ShadowBank(self.w)
        fund_attestors(self.w)
        for name, amount in (("g1", at_g1), ("g2", at_g2)):
            if amount:
                self.bank.wire(OUTSIDE, name, amount, at_ms=self.w.time_ms)

    def attest(self, *names: str) -> None:
        """Two attestors say what was in the bank at the last instant."""
        instant = period_of(self.w.draft).start_ms
        for name in names:
            fields = (name, instant, self.bank.held_at(name, instant), instant + DAY_MS, h("seen"))
            for by in ATTESTORS[:2]:
                receipt = self.w.do(by, "reserve_attest", *fields)
                assert receipt.code == 0, reason(self.w, receipt)

    def room(self, name: str) -> int:
        params = Params(self.w.draft, self.w.registry.defaults)
        return room_of(self.w.draft, params, name, self.w.time_ms).room

    def issue(self, name: str, amount: int, wire: str) -> str:
        operator = OP1 if name == "g1" else OP2
        return reason(self.w, self.w.do(operator, "dollar_issue", BOB.address, amount, h(wire)))

    def unbacked(self) -> int:
        """Of both together; what was claimed here was paid."""
        sums = [position_of(self.w.draft, name) for name in ("g1", "g2")]
        owed = sum(max(0, each.position - each.claimed) for each in sums)
        return owed - self.bank.fiat["g1"] - self.bank.fiat["g2"]

    def stops(self, name: str) -> list[str]:
        return [why for why, _ in standing_of(self.w.draft, name).stops]


def test_one_reserve_is_not_issued_on_twice() -> None:
    """Issued to the last cent, redeemed in part, attested again: it is never more than is there."""
    town = Sisters()
    w, bank = town.w, town.bank
    end_period(w)
    town.attest("g1")
    assert town.issue("g1", RESERVE, "first") == ""
    assert town.issue("g1", 1, "again") == "ROOM_EXCEEDED"
    half = RESERVE // 2
    rid = w.do(BOB, "dollar_redeem", "g1", half, "USD", h("iban"), ()).txid
    paid = bank.wire("g1", BOB.name, half, rid, at_ms=w.time_ms)
    assert w.do(OP1, "dollar_redeem_paid", rid, paid, ()).code == 0
    assert town.issue("g1", 1, "while it is claimed") == "ROOM_EXCEEDED"
    assert w.do(BOB, "dollar_redeem_confirm", rid).code == 0
    assert town.issue("g1", 1, "on what has left") == "ROOM_EXCEEDED"
    end_period(w)
    town.attest("g1")
    assert town.issue("g1", 1, "on the same again") == "ROOM_EXCEEDED"
    assert town.unbacked() == 0 and town.stops("g1") == []
    assert w.broken_laws() == []


def test_one_account_shown_for_two_sisters_counts_once() -> None:
    """It lies with g1 at the instant and with g2 an hour later: there is one instant for both."""
    town = Sisters()
    w, bank = town.w, town.bank
    instant = end_period(w)
    w.block(after_ms=3_600_000)
    bank.wire("g1", "g2", RESERVE, at_ms=w.time_ms)
    later = ("g2", w.time_ms, bank.fiat["g2"], w.time_ms + DAY_MS, h("look now"))
    for by in ATTESTORS[:2]:
        assert reason(w, w.do(by, "reserve_attest", *later)) == "UNKNOWN_INSTANT"
    town.attest("g1", "g2")
    assert (bank.held_at("g1", instant), bank.held_at("g2", instant)) == (RESERVE, 0)
    assert (town.room("g1"), town.room("g2")) == (RESERVE, 0)
    assert town.issue("g2", 1, "on the sister's") == "ROOM_EXCEEDED"
    end_period(w)
    town.attest("g1", "g2")
    assert (town.room("g1"), town.room("g2")) == (0, RESERVE)
    assert town.stops("g1") == ["shortfall"], "it moved what it had not announced"
    assert town.unbacked() == -RESERVE
    assert w.broken_laws() == []


def test_a_reserve_that_was_issued_on_and_lent_to_a_sister_is_missed_at_the_next_instant() -> None:
    """The one thing that no rule prevents: fiat that is taken away. It is seen, and stops."""
    town = Sisters()
    w, bank = town.w, town.bank
    end_period(w)
    town.attest("g1", "g2")
    assert town.issue("g1", RESERVE, "honest so far") == ""
    bank.wire("g1", "g2", RESERVE, at_ms=w.time_ms)
    assert town.unbacked() == 0, "between the two it is all there"
    end_period(w)
    town.attest("g1", "g2")
    assert town.stops("g1") == ["shortfall"]
    assert town.issue("g1", 1, "more") == "ISSUING_STOPPED"
    assert w.broken_laws() == []


def test_fiat_that_goes_back_after_a_veto_is_announced_or_missed() -> None:
    """An issuer that returns its buyer's fiat says so first: then nobody takes it for a thief."""
    for announced in (True, False):
        town = Sisters(RESERVE * 10)
        w, bank = town.w, town.bank
        end_period(w)
        town.attest("g1")
        amount = 120_000 * DOLLAR  # beyond the threshold
        wire = bank.wire(BOB.name, "g1", amount, at_ms=w.time_ms)
        issue = w.do(OP1, "dollar_issue", BOB.address, amount, wire).txid
        end_period(w)
        town.attest("g1")  # the buyer's fiat is among what was seen
        assert w.do(OP2, "dollar_issue_veto", issue, "who is that?").code == 0
        if announced:
            fields = ((), amount, w.time_ms + 3_600_000)
            assert w.do(OP1, "reserve_withdraw", *fields).code == 0
        bank.wire("g1", BOB.name, amount, at_ms=w.time_ms)
        end_period(w)
        town.attest("g1")
        assert town.stops("g1") == ([] if announced else ["shortfall"])
        assert bank.fiat[BOB.name] == 0 and town.unbacked() < 0
