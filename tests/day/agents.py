"""The agents of the day: holders, four gateways, attestors, an officer. Each does what it would.

All that is random comes from one seed. Fiat moves only in the shadow bank, by wires; each holder
keeps a book of what it must be worth. Agents see the chain through a `Port` and nothing else.
Which gateway misbehaves, and when, says the `Script`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.day.port import Act, Done, Port, Someone
from tests.day.verdict import OPEN, Told, unbacked
from tests.state.shadow_bank import OUTSIDE, ShadowBank
from tests.state.world import DOLLAR, h

CENT = 10_000
ASK_FEE = DOLLAR // 10
CASE = h("a stolen key")


class Script(NamedTuple):
    """Who misbehaves in which steps (from, until), and other things that happen at a step."""

    lies: tuple[int, int]  # the liar marks as paid what it did not pay
    sleeps: tuple[int, int]  # the sleeper pays nobody
    unattested: tuple[int, int]  # nobody attests the first
    big_issue: int  # the first issues beyond the threshold and another objects
    freeze: int  # a thief is frozen, then seized
    recovery: int  # the sleeper and the liar are cleared
    leave: int  # the leaver leaves
    outage: int
    attested_for_ms: int
    issue_threshold: int
    margin_ms: int  # so long before a deadline nobody begins to pay


class Day:
    """The agents, the bank, their books and what happened."""

    def __init__(
        self,
        port: Port,
        script: Script,
        *,
        seed: int,
        holders: Sequence[Someone],
        operators: dict[str, Someone],
        attestors: Sequence[Someone],
        officer: Someone,
        attested: int,
    ) -> None:
        self.port, self.script, self.rng = port, script, random.Random(seed)
        self.holders, self.operators = list(holders), operators
        self.attestors, self.officer = list(attestors), officer
        self.names = list(operators)
        self.first, self.leaver, self.liar, self.sleeper = self.names
        self.by_address = {who.address: who for who in holders}
        self.bank = ShadowBank()
        for name in self.names:
            self.bank.wire(OUTSIDE, name, attested)
        self.books = {who.name: port.dollars(who) for who in holders}
        self.asked: dict[bytes, tuple[str, int]] = {}  # open: (gateway, amount)
        self.ended: Counter[str] = Counter()
        self.said: set[bytes] = set()  # claims and contests that were answered
        self.lied: dict[bytes, tuple[str, int]] = {}  # marked as paid, nothing was: (who, fiat)
        self.waiting: dict[bytes, tuple[str, Someone, int]] = {}  # issues: (gateway, buyer, amount)
        self.seen: Counter[str] = Counter()
        self.attested: set[tuple[str, int]] = set()
        self.thief, self.victim = self.holders[0], self.holders[1]
        self.confirmed: set[bytes] = set()
        self.refused_for_details: set[bytes] = set()
        self.first_instant = port.instant_ms()
        self.is_over = False  # nobody begins anything new
        self.voted: list[tuple[str, tuple[Any, ...]]] = []
        self.step_no = 0

    # Steps ------------------------------------------------------------------------------

    def step(self, actions: int) -> None:
        """Everybody who has something to do does it; so many holders begin something new."""
        acts = [*self.answers(), *self.payments(), *self.settlements(), *self.attesting()]
        if not self.is_over:
            acts += self.happenings()
            for _ in range(actions):
                acts += self.begin()
        acts += self.vetoes()
        if self.step_no > self.script.leave:
            acts += self.take_over()
        self.port.act([self._with_book(act) for act in acts])
        self.step_no += 1

    def _with_book(self, act: Act) -> Act:
        """The sender pays a fee, whatever becomes of it."""

        def then(done: Done) -> None:
            self.pay_fee(act.who, done.fee)
            self.seen[f"{act.kind} {done.reason}".strip()] += 1
            act.then(done)

        return act._replace(then=then)

    def pay_fee(self, who: Someone, fee: int) -> None:
        if who.name in self.books:
            self.books[who.name] -= fee

    def within(self, span: tuple[int, int]) -> bool:
        return span[0] <= self.step_no < span[1] and not self.is_over

    # Holders ----------------------------------------------------------------------------

    def begin(self) -> list[Act]:
        """One holder transfers, redeems or buys."""
        who = self.rng.choice(self.holders[2:])
        what = self.rng.choice(["transfer", "transfer", "redeem", "redeem", "buy"])
        if what == "buy":
            return self.buy(who, self.rng.randrange(20, 400) * DOLLAR)
        if what == "transfer":
            return self.transfer(who)
        return self.redeem(who, self.rng.choice(self.names))

    def transfer(self, who: Someone) -> list[Act]:
        have = self.port.dollars(who)
        others = [o for o in self.rng.sample(self.holders[2:], self.rng.randint(1, 3)) if o != who]
        amounts = [self.rng.randrange(1, max(2, have // 20)) for _ in others]
        if not others or have < 20 * DOLLAR:
            return []

        def then(done: Done) -> None:
            for other, amount in zip(others, amounts, strict=True):
                if not done.reason:
                    self.books[who.name] -= amount
                    self.books[other.name] += amount

        outputs = tuple((o.address, a, "") for o, a in zip(others, amounts, strict=True))
        return [Act(who, "dollar_transfer", (outputs,), then=then)]

    def redeem(self, who: Someone, name: str, share: float | None = None) -> list[Act]:
        have = self.port.dollars(who) - 20 * DOLLAR
        if self.port.gateway(name).status == "left" or have < 11 * DOLLAR:
            return []
        amount = int(have * (share or self.rng.uniform(0.05, 0.5))) // CENT * CENT
        amount = max(amount, 10 * DOLLAR)

        def then(done: Done) -> None:
            if not done.reason:
                self.asked[done.txid] = (name, amount)

        return [Act(who, "dollar_redeem", (name, amount, "USD", h("iban"), ()), then=then)]

    def buy(self, who: Someone, amount: int, name: str = "") -> list[Act]:
        """The holder's fiat goes to a gateway, which issues on it or sends it back."""
        name = name or self.rng.choice(self.names)
        at = self.port.gateway(name)
        if at.status != "active" or at.stops:
            return []
        reference = self.bank.wire(who.name, name, amount, at_ms=self.port.now_ms())

        def then(done: Done) -> None:
            if done.reason:
                self.bank.recall(reference)
            else:
                self.waiting[done.txid] = (name, who, amount)

        fields = (who.address, amount, reference)
        return [Act(self.operators[name], "dollar_issue", fields, then=then)]

    def answers(self) -> list[Act]:
        """Holders confirm what came, contest what did not, or keep silent; attestors rule."""
        acts: list[Act] = []
        asks = self.port.asks(self.asked)
        for rid, ask in asks.items():
            _, amount = self.asked[rid]
            who = self.by_address[ask.holder]
            came = self.bank.paid[rid] >= amount
            if ask.status not in OPEN:
                self._end(rid, ask.status, who)
            elif ask.status == "claimed" and rid not in self.said:
                self.said.add(rid)
                if not came:
                    acts.append(Act(who, "dollar_redeem_contest", (rid, "nothing came")))
                elif self.rng.random() < 0.6:
                    acts.append(self._noted(who, "dollar_redeem_confirm", (rid,), self.confirmed))
            elif ask.status == "contested":
                for by in self.attestors[:2]:
                    acts.append(Act(by, "dollar_redeem_rule", (rid, not came)))
        return acts

    def _end(self, rid: bytes, status: str, who: Someone) -> None:
        """A redemption is over: its holder notes what it should have cost."""
        del self.asked[rid]
        self.ended[status] += 1
        self.lied.pop(rid, None)
        is_silent = status == "paid" and rid not in self.confirmed
        if is_silent or rid in self.refused_for_details:
            self.books[who.name] -= ASK_FEE

    def _noted(self, who: Someone, kind: str, fields: tuple[Any, ...], where: set[bytes]) -> Act:
        def then(done: Done) -> None:
            if not done.reason:
                where.add(fields[0])

        return Act(who, kind, fields, then=then)

    # Gateways ---------------------------------------------------------------------------

    def payments(self) -> list[Act]:
        """Gateways pay what was asked, wire first; some refuse, one lies, one sleeps."""
        acts: list[Act] = []
        for rid, ask in self.port.asks(self.asked).items():
            name, amount = self.asked[rid]
            if ask.status != "pending" or ask.left_ms < self.script.margin_ms:
                continue
            if ask.holder == self.thief.address:  # who pays a thief?
                continue
            is_asleep = name == self.sleeper and self.within(self.script.sleeps)
            if is_asleep or self.rng.random() < 0.2:
                continue
            acts.append(self.pay(rid, name, amount, self.by_address[ask.holder]))
        return acts

    def pay(self, rid: bytes, name: str, amount: int, holder: Someone) -> Act:
        operator = self.operators[name]
        if self.rng.random() < 0.02 or self.bank.fiat[name] < amount:
            why = self.rng.choice(["details", "bank"])
            noted = self.refused_for_details if why == "details" else set()
            return self._noted(operator, "dollar_redeem_refuse", (rid, why), noted)
        if name == self.liar and self.within(self.script.lies) and self.rng.random() < 0.5:
            self.lied[rid] = (name, amount)
            self.seen["lied"] += 1
            return Act(operator, "dollar_redeem_paid", (rid, self.bank.reference(), ()))
        reference = self.bank.wire(name, holder.name, amount, rid, at_ms=self.port.now_ms())
        return self._marked(operator, "dollar_redeem_paid", (rid, reference, ()), reference)

    def _marked(self, who: Someone, kind: str, fields: tuple[Any, ...], reference: bytes) -> Act:
        """Mark what was wired; if the chain does not take it any more, the wire comes back."""

        def then(done: Done) -> None:
            if done.reason:
                self.bank.recall(reference)

        return Act(who, kind, fields, then=then)

    def settlements(self) -> list[Act]:
        """Debtors pay, creditors answer, attestors rule."""
        acts: list[Act] = []
        now_ms = self.port.now_ms()
        for oid, owed in self.port.obligations().items():
            came = self.bank.paid[oid] >= owed.fiat
            if owed.status in ("settled", "lapsed"):
                self.lied.pop(oid, None)
            debtor, creditor = self.operators[owed.debtor], self.operators[owed.creditor]
            if owed.status in ("open", "overdue"):
                if owed.debtor == self.sleeper and self.within(self.script.sleeps):
                    continue
                if (
                    oid not in self.lied
                    and owed.debtor == self.liar
                    and self.within(self.script.lies)
                ):
                    self.lied[oid] = (owed.debtor, owed.fiat)
                    self.seen["lied to a gateway"] += 1
                    acts.append(Act(debtor, "obligation_paid", (oid, self.bank.reference())))
                elif self.bank.fiat[owed.debtor] >= owed.fiat and not came:
                    self.lied.pop(oid, None)
                    paid = self.bank.wire(owed.debtor, owed.creditor, owed.fiat, oid, at_ms=now_ms)
                    acts.append(self._marked(debtor, "obligation_paid", (oid, paid), paid))
            elif owed.status == "claimed":
                if not came:
                    acts.append(Act(creditor, "obligation_contest", (oid, "nothing came")))
                elif self.rng.random() < 0.3:
                    acts.append(Act(creditor, "obligation_confirm", (oid,)))
            elif owed.status == "contested":
                for by in self.attestors[1:]:
                    acts.append(Act(by, "obligation_rule", (oid, not came)))
        return acts

    def vetoes(self) -> list[Act]:
        """What waits is vetoed once; what came to nothing is sent back, announced first."""
        acts: list[Act] = []
        for iid, issue in self.port.issues(list(self.waiting)).items():
            name, who, amount = self.waiting[iid]
            if (
                issue.status == "waiting"
                and name != self.leaver
                and not self.seen["dollar_issue_veto"]
            ):
                acts.append(
                    Act(self.operators[self.leaver], "dollar_issue_veto", (iid, "who is that?"))
                )
            elif issue.status == "issued":
                del self.waiting[iid]
            elif issue.status != "waiting":
                acts.append(self._send_back(iid, name, who, amount, issue.reference))
        return acts

    def _send_back(self, iid: bytes, name: str, who: Someone, amount: int, ref: bytes) -> Act:
        by_ms = self.port.now_ms() + self.script.attested_for_ms // 2

        def then(done: Done) -> None:
            if not done.reason:
                self.waiting.pop(iid)
                self.bank.wire(name, who.name, amount, at_ms=self.port.now_ms())

        return Act(self.operators[name], "reserve_withdraw", ((), amount, by_ms), then=then)

    # Attestors --------------------------------------------------------------------------

    def attesting(self) -> list[Act]:
        """Two honest attestors say of each gateway what was there at the last instant."""
        acts: list[Act] = []
        instant = self.port.instant_ms()
        expires_ms = instant + self.script.attested_for_ms
        if instant == self.first_instant or expires_ms <= self.port.now_ms():
            return []
        for name in self.names:
            if (name, instant) in self.attested:
                continue
            if name == self.first and self.within(self.script.unattested):
                continue
            self.attested.add((name, instant))
            there = sum(fiat for who, fiat in self.lied.values() if who == name)
            amount = max(0, self.bank.held_at(name, instant) - there)
            for by in self.rng.sample(self.attestors, 2):
                fields = (name, instant, amount, expires_ms, h("seen"))
                acts.append(Act(by, "reserve_attest", fields))
        return acts

    # What the script brings -------------------------------------------------------------

    def happenings(self) -> list[Act]:
        script, at = self.script, self.step_no
        if at in (script.big_issue, script.big_issue + 1):
            return self.buy(self.holders[2 + at], script.issue_threshold + DOLLAR, self.first)
        if at == script.sleeps[0] - 4:  # so that something falls due while it sleeps
            who = self.holders[20:26]
            return [act for each in who for act in self.redeem(each, self.leaver, 0.9)]
        if at == script.freeze - 2:
            return self.steal()
        if at == script.freeze - 1:
            return self.redeem(self.thief, self.first, 0.5)
        if at == script.freeze:
            return [Act(self.officer, "compliance_freeze", (self.thief.address, CASE))]
        if at == script.freeze + 1:
            outputs = ((self.holders[5].address, DOLLAR, ""),)
            return [Act(self.thief, "dollar_transfer", (outputs,))]  # it tries
        if at == script.freeze + 2:
            self.govern("seize", (self.thief.address, self.victim.address, CASE))
            self.seize()
        if at == script.recovery:
            self.recover(self.sleeper)
        if at == script.recovery + 1:
            self.recover(self.liar)
        if script.leave - 16 <= at < script.leave - 12:  # so that it stands for something
            return self.buy(self.holders[10 + at % 4], script.issue_threshold - DOLLAR, self.leaver)
        if at == script.leave:
            self.govern("leave", (self.leaver,))
        return []

    def steal(self) -> list[Act]:
        """Whoever has the victim's key sends the thief what is there."""
        amount = self.port.dollars(self.victim) // 2

        def then(done: Done) -> None:
            assert not done.reason
            self.books[self.victim.name] -= amount
            self.books[self.thief.name] += amount

        outputs = ((self.thief.address, amount, ""),)
        return [Act(self.victim, "dollar_transfer", (outputs,), then=then)]

    def seize(self) -> None:
        """In the books too: what the thief had is the victim's."""
        left = self.bank.fiat[self.thief.name]
        self.books[self.victim.name] += self.books[self.thief.name] - left
        self.books[self.thief.name] = left

    def govern(self, action: str, args: tuple[Any, ...]) -> None:
        """All gateways that may vote carry a proposal."""
        may = [who for n, who in self.operators.items() if self.port.gateway(n).status == "active"]
        made: list[bytes] = []

        def then(done: Done) -> None:
            assert not done.reason, (action, args, done)
            made.append(done.txid)

        fields = (action, args, self.port.effective_height())
        self.port.act([Act(may[0], "gov_propose", fields, then=then)])
        self.port.act([Act(who, "gov_vote", (made[0], True)) for who in may[1:]])
        self.voted.append((action, args))

    def recover(self, name: str) -> None:
        """A gateway pays again: what it was stopped for is cleared."""
        at = self.port.gateway(name)
        if at.status == "suspended":
            self.govern("clear", (name,))
        for why in at.stops:
            if why in ("strikes", "shortfall"):
                self.govern("clear_stop", (name, why))

    def take_over(self) -> list[Act]:
        """One leaves: the others stand for what it stood for, and get the fiat for it."""
        leaver = self.port.gateway(self.leaver)
        free = leaver.position - leaver.owed
        if leaver.status != "leaving" or free <= 0:
            return []
        acts: list[Act] = []
        for name in (self.first, self.liar, self.sleeper):
            at = self.port.gateway(name)
            amount = min(free, at.room, self.bank.fiat[self.leaver]) if not at.stops else 0
            if at.status != "active" or amount <= 0:
                continue
            free -= amount
            acts += self._assume(name, self.leaver, amount)
            break
        return acts

    def _assume(self, name: str, giver: str, amount: int) -> list[Act]:
        """A part of a position goes over, and the fiat for it, which the giver announces."""
        paid = self.bank.wire(giver, name, amount, at_ms=self.port.now_ms())
        act = self._marked(self.operators[name], "position_assume", (giver, amount), paid)
        by_ms = self.port.now_ms() + self.script.margin_ms
        told = Act(self.operators[giver], "reserve_withdraw", ((), amount, by_ms))
        return [act._replace(also=(self.operators[giver],)), told]

    def morning(self) -> None:
        """The sleeper stands for what two others issued: it will owe whoever redeems."""
        for giver in (self.first, self.leaver):
            acts = self._assume(self.sleeper, giver, self.port.gateway(giver).position)
            self.port.act([self._with_book(act) for act in acts])

    # The end ----------------------------------------------------------------------------

    def is_quiet(self) -> bool:
        """Nothing is open between anybody."""
        owed = self.port.obligations().values()
        return not (
            self.asked
            or self.waiting
            or any(o.status not in ("settled", "lapsed") for o in owed)
            or any(self.port.gateway(name).status == "leaving" for name in self.names)
        )

    def short(self, told: Told) -> list[str]:
        """Gateways some of whose dollars have no fiat behind them."""
        return [n for n in self.names if unbacked(told, self.bank, n) > 0]
