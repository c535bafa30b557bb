"""The shadow bank: true fiat, moved only by what the agents really do, beside the chain.

Laws of the chain hold in a history in which money is stolen: the theft is in fiat. Here every
gateway has a bank account that the chain never sees. Gateways are as greedy as the rules let them:
they issue all the room there is, with or without having been paid, take out whatever may be taken
out, redeem for each other's holders, mark payments late, and some mark what they never paid. What
must hold while attestors are honest: nobody stands for more dollars than there is fiat for.

The same histories with a rule of room that leaves something out are the control: each rule leaves
dollars that nothing backs. `MGS_BANK_STEPS` and `MGS_BANK_SEEDS` make it longer.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from state.context import Params
from state.draft import Reader
from state.tx import attestations, issuing
from state.tx.gateways import standing_of
from state.tx.payouts import REDEMPTION
from state.tx.periods import period_of
from state.tx.positions import Position, position_of
from state.tx.room import Room, room_of
from tests.state.scenarios.base import ALICE, BOB, OP0, OP1, OP2, OP3
from tests.state.scenarios.reserves import ATTESTORS, fund_attestors
from tests.state.shadow_bank import OUTSIDE, ShadowBank
from tests.state.world import DOLLAR, World, h, make_genesis

STEPS = int(os.environ.get("MGS_BANK_STEPS", "600"))
SEEDS = int(os.environ.get("MGS_BANK_SEEDS", "3"))
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
OPERATORS = {"g0": OP0, "g1": OP1, "g2": OP2, "g3": OP3}
START = 2_000_000 * DOLLAR  # in each bank account at the genesis
RoomRule = Callable[[Reader, Params, str, int], Room]


class Ask(NamedTuple):
    """A redemption as the bank knows it."""

    gateway: str
    amount: int
    paid: bool  # whether the fiat has left


class Bank:
    """A chain and the fiat beside it."""

    def __init__(self, seed: int, *, attest_gross: bool = False, liars: bool = False) -> None:
        genesis = make_genesis(
            funded=[ALICE, BOB],
            attested=START,
            cap=20_000_000 * DOLLAR,
            dollars=100_000 * DOLLAR,
            params={
                "period_ms": 6 * HOUR_MS,
                "issue_threshold": 1_000_000 * DOLLAR,
                "issue_delay_ms": 3 * MINUTE_MS,
                "contest_ms": HOUR_MS,
                "redeem_deadline_ms": HOUR_MS,
                "credit_floor": 10_000_000 * DOLLAR,
            },
        )
        self.w = World(genesis)
        fund_attestors(self.w)
        self.rng = random.Random(seed)
        self.bank = ShadowBank()
        self.fiat = self.bank.fiat
        for name in OPERATORS:
            self.bank.wire(OUTSIDE, name, START)
        self.asks: dict[bytes, Ask] = {}
        self.leaving: list[tuple[str, int, int]] = []  # announced and not yet taken out
        self.at_instant: dict[int, dict[str, int]] = {}
        self.attest_gross = attest_gross
        self.liars = liars
        self.done: dict[str, int] = {}

    # What agents do ---------------------------------------------------------------------

    def step(self) -> None:
        """One agent does something, then the clock moves on."""
        act = self.rng.choice(
            [self.issue, self.issue, self.redeem, self.redeem, self.pay, self.pay, self.pay,
             self.confirm, self.withdraw, self.take_out, self.attest, self.attest, self.deposit,
             self.contest]
        )  # fmt: skip
        act(self.rng.choice(list(OPERATORS)))
        self.let_pass(self.rng.choice([1, 1, 20, 59]) * MINUTE_MS)

    def note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def room(self, name: str) -> int:
        params = Params(self.w.draft, self.w.registry.defaults)
        return issuing.room_of(self.w.draft, params, name, self.w.time_ms).room

    def reference(self) -> bytes:
        return self.bank.reference()

    def issue(self, name: str) -> None:
        """All the room there is or a part of it; half of the time nobody has paid for it."""
        room = self.room(name)
        if room <= 0:
            return
        amount = self.rng.choice([room, max(1, room // 3), min(room, 50_000 * DOLLAR)])
        to = self.rng.choice([ALICE, BOB])
        receipt = self.w.do(
            OPERATORS[name], "dollar_issue", to.address, amount, self.reference()
        )  # fmt: skip
        if receipt.code == 0:
            self.note("issued")
            if self.rng.random() < 0.5:  # the buyer's fiat, before or after: it never hurts
                self.bank.wire("buyer", name, amount)

    def redeem(self, name: str) -> None:
        holder = self.rng.choice([ALICE, BOB])
        have = self.w.dollars(holder) - DOLLAR
        most = min(have, self.fiat[name] // 2)  # nobody asks where there is nothing to be had
        amount = self.rng.choice([most, most // 4, 10_000 * DOLLAR]) // 10_000 * 10_000
        if not 10 * DOLLAR <= amount <= have:
            return
        receipt = self.w.do(holder, "dollar_redeem", name, amount, "USD", h("iban"), ())
        if receipt.code == 0:
            self.asks[receipt.txid] = Ask(name, amount, paid=False)
            self.note("asked")

    def open_at(self, name: str, status: str) -> list[bytes]:
        return [
            rid
            for rid, ask in self.asks.items()
            if ask.gateway == name and self.w.draft.get(REDEMPTION, rid).status == status  # type: ignore[union-attr]
        ]

    def pay(self, name: str) -> None:
        """Fiat goes out and the payment is marked; a liar only marks."""
        for rid in self.open_at(name, "pending"):
            ask = self.asks[rid]
            is_lie = self.liars and self.rng.random() < 0.3
            if not is_lie and self.fiat[name] < ask.amount:
                receipt = self.w.do(OPERATORS[name], "dollar_redeem_refuse", rid, "bank")
                self.note("refused")
                return
            if not is_lie:
                reference = self.bank.wire(name, "holders", ask.amount, rid)
                self.asks[rid] = ask._replace(paid=True)
            else:
                reference = self.reference()
            receipt = self.w.do(OPERATORS[name], "dollar_redeem_paid", rid, reference, ())
            if receipt.code == 0:
                self.note("lied" if is_lie else "paid")
            elif not is_lie:
                self.bank.recall(reference)  # it was too late: the wire comes back
                self.asks[rid] = ask
            return

    def confirm(self, name: str) -> None:
        for rid in self.open_at(name, "claimed"):
            if self.asks[rid].paid:
                holder = self.w.draft.get(REDEMPTION, rid).holder  # type: ignore[union-attr]
                who = ALICE if holder == ALICE.address else BOB
                self.w.do(who, "dollar_redeem_confirm", rid)
                self.note("confirmed")
                return

    def deposit(self, name: str) -> None:
        """A gateway's own money comes in; the chain hears of it by the next attestation."""
        self.bank.wire(OUTSIDE, name, 200_000 * DOLLAR)

    def contest(self, name: str) -> None:
        """Who was not paid says so, and two attestors believe it."""
        for rid in self.open_at(name, "claimed"):
            if not self.asks[rid].paid:
                holder = self.w.draft.get(REDEMPTION, rid).holder  # type: ignore[union-attr]
                who = ALICE if holder == ALICE.address else BOB
                if self.w.do(who, "dollar_redeem_contest", rid, "no wire").code:
                    continue
                for attestor in ATTESTORS[:2]:
                    assert self.w.do(attestor, "dollar_redeem_rule", rid, True).code == 0
                self.note("returned")
                return

    def withdraw(self, name: str) -> None:
        """Announce as much as the chain lets one; take it out when it suits."""
        room = self.room(name)
        if room <= 0:
            return
        amount = self.rng.choice([room, room // 2 or 1])
        by_ms = self.w.time_ms + self.rng.choice([1, 3, 10]) * HOUR_MS
        receipt = self.w.do(OPERATORS[name], "reserve_withdraw", (), amount, by_ms)
        if receipt.code == 0:
            self.leaving.append((name, amount, by_ms))
            self.note("withdrawn")

    def take_out(self, name: str) -> None:
        for announced in [each for each in self.leaving if each[0] == name]:
            self.leave(announced)

    def leave(self, announced: tuple[str, int, int]) -> None:
        """What was announced leaves, as far as it is still there."""
        name, amount, _ = announced
        self.leaving.remove(announced)
        if there := min(amount, self.fiat[name]):
            self.bank.wire(name, OUTSIDE, there)

    def attest(self, name: str) -> None:
        """Two attestors look at the last instant; they may come late, or not at all."""
        instant = period_of(self.w.draft).start_ms
        held = self.at_instant.get(instant)
        if held is None:
            return
        for by in self.rng.sample(ATTESTORS, 2):
            expires_ms = instant + self.rng.choice([24, 100, 700]) * HOUR_MS
            if expires_ms > self.w.time_ms:
                self.w.do(by, "reserve_attest", name, instant, held[name], expires_ms, h("seen"))
        self.note("attested")

    # The clock and what is true ---------------------------------------------------------

    def let_pass(self, ms: int) -> None:
        """Time passes; fiat announced for a time has left by then; instants are seen."""
        at = self.w.time_ms + ms
        for announced in [each for each in self.leaving if each[2] <= at]:
            self.leave(announced)
        end_ms = period_of(self.w.draft).end_ms
        if at >= end_ms:
            self.at_instant[end_ms] = {name: self.seen(name) for name in OPERATORS}
        self.w.block(after_ms=ms)

    def seen(self, name: str) -> int:
        """What an honest attestor finds: fiat, less what is marked as paid and still there."""
        if self.attest_gross:
            return max(0, self.fiat[name])
        there = sum(
            self.asks[rid].amount
            for rid in self.open_at(name, "claimed")
            if not self.asks[rid].paid
        )
        return max(0, self.fiat[name] - there)

    def unbacked(self, name: str) -> int:
        """What the gateway stands for beyond its fiat; what was really paid is no debt."""
        position: Position = position_of(self.w.draft, name)
        settled = sum(
            self.asks[rid].amount
            for status in ("claimed", "pending")
            for rid in self.open_at(name, status)
            if self.asks[rid].paid
        )
        return max(0, position.position - settled) - self.fiat[name]


def first_unbacked(bank: Bank) -> str:
    """Who first stood for more than its fiat, when and by how much; "" if nobody ever did."""
    for step in range(STEPS):
        bank.step()
        for name in OPERATORS:
            amount = bank.unbacked(name)
            if amount > 0:
                return f"step {step}: {name} by {amount}"
    return ""


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("liars", [False, True], ids=["they pay", "some lie"])
def test_no_dollar_is_unbacked_while_attestors_are_honest(seed: int, liars: bool) -> None:
    bank = Bank(seed, liars=liars)
    assert first_unbacked(bank) == ""
    assert min(bank.fiat[name] for name in OPERATORS) >= 0
    wanted = {"issued", "asked", "paid", "confirmed", "withdrawn", "attested"}
    assert bank.done.keys() >= wanted | ({"lied", "returned"} if liars else set())
    # And nobody who is honest was taken for a thief.
    stops = [why for name in OPERATORS for why, _ in standing_of(bank.w.draft, name).stops]
    assert "shortfall" not in stops
    assert bank.w.broken_laws() == []


def room_given_back(reader: Reader, params: Params, name: str, time_ms: int) -> Room:
    """As if what was redeemed made room again: O is left out."""
    return room_of(reader, params, name, time_ms)._replace(gone=0)


def withdrawals_forgotten(reader: Reader, params: Params, name: str, time_ms: int) -> Room:
    """As if an announced withdrawal did not count."""
    return room_of(reader, params, name, time_ms)._replace(announced=0)


def the_cap_alone(reader: Reader, params: Params, name: str, time_ms: int) -> Room:
    """As if a gateway issued up to its cap."""
    room = room_of(reader, params, name, time_ms)
    return room._replace(attested=room.cap, gone=0, announced=0)


@pytest.mark.parametrize(
    "rule", [room_given_back, withdrawals_forgotten, the_cap_alone], ids=lambda r: r.__name__
)
def test_each_part_of_room_is_needed(rule: RoomRule, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same histories under a rule that leaves a part out."""
    monkeypatch.setattr(issuing, "room_of", rule)
    monkeypatch.setattr(attestations, "room_of", rule)
    assert any(first_unbacked(Bank(seed)) for seed in range(SEEDS))


def test_fiat_that_is_marked_as_paid_must_not_be_attested() -> None:
    """The control for liars: attestors who look at the bank alone leave dollars unbacked."""
    banks = (Bank(seed, liars=True, attest_gross=True) for seed in range(SEEDS))
    assert any(first_unbacked(bank) for bank in banks)
