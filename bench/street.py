"""A street of shops on the chain in memory: who trades, what falls due, what everybody is worth.

A day is a period. Each day buyers pay, shops ship, buyers complete and review; then every party
does what is its own (votes, refunds, demand), and who earned tokens the day before claims them and
sells them at the market's price of the day, which is told to nobody on the chain. Selling costs
nothing here: that is in a cheat's favour.

Beside the chain stands what it cannot know: what goods are worth to who got them, what they cost
who shipped them, and the fiat of all (`bank.py`). A party is worth its dollars, what the chain
holds of its own fake orders, what its tokens brought, its goods, and at the end its fiat.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, cast

from bench.bank import Bank
from bench.memory import DAY_MS, DOLLAR, START_MS, MemoryChain, Person, make_genesis, person
from mgsnode.base.block import Receipt
from mgsnode.base.codec import Value
from mgsnode.base.transaction import Transaction
from state.tx.accounts import ACCOUNT
from state.tx.money import HOLD
from state.tx.orders import FAMILY_NUMBER as ORDERS
from state.tx.orders import ORDER
from state.tx.periods import period_of
from state.tx.rewards import claimable, debt_of, earned_of, mining_of, parts_of

RETURN_MS = 14 * DAY_MS  # the shortest window there is: a cheat's capital comes back soonest
TAIL_DAYS = 18  # after the last payment: everything is final, and claimed
MARGIN_PCT = 20  # of a real sale: what the shop has above the goods' cost
_ALL_DOLLARS = 400_000_000 * DOLLAR
_PAYEES_MAX = 256
_CLAIM_FEE = 1_100  # micro-dollars; nobody claims less


class Shop(NamedTuple):
    """A shop that stands in the street."""

    id: bytes
    owner: Person


class Wish(NamedTuple):
    """An order to be paid today, shipped and completed the same day."""

    buyer: Person
    shop: Shop
    amount: int  # micro-dollars
    quantity: int = 1  # units that `amount` is divided into
    distributor: Person | None = None
    led_by: bytes = b""
    leader: Person | None = None  # whose text that is
    stars: int = 0  # 0: not reviewed
    is_real: bool = False  # goods change hands


@dataclass(slots=True)
class Trade:
    """An order that was paid."""

    id: bytes
    wish: Wish
    review: bytes = b""
    final_day: int = 0


@dataclass(slots=True)
class Party:
    """One person with all the accounts that are his."""

    name: str
    people: list[Person]
    payer: Person | None = None  # of the fees of accounts that have nothing
    goods: int = 0  # micro-dollars
    fiat: int = 0  # cashed at the end, micro-dollars
    tokens: int = 0  # claimed, micro-MGS
    sold: float = 0.0  # what they brought, micro-dollars
    fees: int = 0  # network fees of its fake orders, micro-dollars
    volume: int = 0  # of them
    real_fees: int = 0  # of orders that it really bought, sold or brought
    commission: int = 0  # that shops of others paid to it, micro-dollars
    roles: dict[str, float] = field(default_factory=dict)  # role -> dollars its tokens brought
    series: list[float] = field(default_factory=list)  # worth by day, dollars


class Action(NamedTuple):
    """What a party does by itself, beside orders."""

    sender: Person
    kind: str
    fields: tuple[Value, ...]
    payer: Person | None = None


class Strategy(Protocol):
    """What a party does each day."""

    party: Party

    def wishes(self, street: Street) -> Iterable[Wish]:
        """The orders of today."""

    def evening(self, street: Street) -> Iterable[Action]:
        """What else there is to do once they are completed."""


class Street:
    """The chain, its people, and one day after another."""

    def __init__(
        self,
        *,
        seed: int,
        market: Sequence[float],
        gateways: Sequence[Person],
        params: Mapping[str, int],
    ) -> None:
        """`market`: dollars for a token, by day; the last one holds on."""
        self.rng = random.Random(seed)
        self.market = market
        self.gateways = list(gateways)
        self.arbiter = person("arbiter")
        self.bank = person("bank")  # where everybody's dollars come from, before they are counted
        everybody = {**dict.fromkeys(gateways, 100 * DOLLAR), self.bank: _ALL_DOLLARS}
        self.chain = MemoryChain(
            make_genesis(gateways, everybody, arbiter=self.arbiter, params=params)
        )
        self.shadow = Bank(self.chain, [f"g{index}" for index in range(len(gateways))])
        self.day = 0
        self.strategies: list[Strategy] = []
        self.trades: dict[bytes, Trade] = {}
        self.today: list[Trade] = []  # paid today
        self.finals: list[Trade] = []  # became final today
        self._open: dict[bytes, Party] = {}  # fake orders that are not final, and whose they are
        self._owner: dict[bytes, tuple[Person, Party]] = {}  # by address
        self._start: dict[str, int] = {}  # worth at the genesis
        self._due: dict[int, dict[bytes, None]] = {}  # period -> accounts that earned in it

    # Who is there -----------------------------------------------------------------------------

    def give(self, people: Sequence[Person], amount: int) -> None:
        """To each of them, before they are counted."""
        self.fund(self.bank, people, amount)

    def fund(self, giver: Person, people: Sequence[Person], amount: int) -> None:
        """To each of them out of an account, at the price of the transfers."""
        for at in range(0, len(people), _PAYEES_MAX):
            payees = tuple((who.address, amount, "") for who in people[at : at + _PAYEES_MAX])
            self.act([Action(giver, "dollar_transfer", (payees,))])

    def know(self, party: Party) -> None:
        """What a party is worth is counted from now on."""
        for who in party.people:
            self._owner[who.address] = (who, party)
        self._start[party.name] = sum(self.chain.dollars(who) for who in party.people)

    def open_shop(self, owner: Person, *, commission_bp: int = 0) -> Shop:
        """A shop under the last gateway, with the shortest terms."""
        last = len(self.gateways) - 1
        terms = (DAY_MS, 21 * DAY_MS, RETURN_MS, 0, commission_bp, self.arbiter.address)
        opened = self.chain.tx(
            owner, "shop_open", "shop", f"g{last}", *terms, also=(self.gateways[last],)
        )
        self.chain.block([opened])
        return Shop(opened.txid, owner)

    @property
    def accounts(self) -> int:
        """How many there are on the chain."""
        return sum(1 for _ in self.chain.reader.items(ACCOUNT))

    def act(self, actions: Iterable[Action]) -> list[Transaction]:
        """One block of what parties do by themselves."""
        txs = [self.chain.tx(a.sender, a.kind, *a.fields, payer=a.payer) for a in actions]
        if txs:
            self.note(self.chain.block(txs))
        return txs

    # A day --------------------------------------------------------------------------------------

    def pass_day(self) -> None:
        """Everything that happens between two ends of a period."""
        self.day += 1
        self.today, self.finals = [], []
        self.note(self.chain.leap(START_MS + self.day * DAY_MS))
        self._claim()
        wishes = [wish for strategy in self.strategies for wish in strategy.wishes(self)]
        self._trade(wishes)
        self.act([action for strategy in self.strategies for action in strategy.evening(self)])
        for strategy in self.strategies:
            strategy.party.series.append(self.gain(strategy.party))

    def price(self) -> float:
        """Dollars for a token today."""
        return self.market[min(self.day, len(self.market) - 1)]

    def _trade(self, wishes: Sequence[Wish]) -> None:
        if not wishes:
            return
        chain = self.chain
        txs = [chain.tx(wish.buyer, "order_pay", *_pay_fields(wish)) for wish in wishes]
        self.note(chain.block(txs))
        trades = [Trade(tx.txid, wish) for tx, wish in zip(txs, wishes, strict=True)]
        self.today = trades
        self.trades.update((trade.id, trade) for trade in trades)
        self.note(
            chain.block([chain.tx(t.wish.shop.owner, "order_ship", t.id, "") for t in trades])
        )
        last: list[Transaction] = []
        for trade in trades:
            last.append(chain.tx(trade.wish.buyer, "order_complete", trade.id))
            if trade.wish.stars:
                said = (trade.id, 0, trade.wish.stars, "as described", "none", (), (), (), ())
                last.append(chain.tx(trade.wish.buyer, "review_write", *said))
                trade.review = last[-1].txid
        self.note(chain.block(last))
        for trade in trades:
            self._settle(trade)
        self._return_cash(trades)

    def _return_cash(self, trades: Sequence[Trade]) -> None:
        """Who bought from himself has his money at the shop: back to the buyers it goes."""
        payees: dict[Person, list[tuple[bytes, int, str]]] = {}
        for trade in trades:
            if not trade.wish.is_real:
                back = (trade.wish.buyer.address, trade.wish.amount, "")
                payees.setdefault(trade.wish.shop.owner, []).append(back)
        self.act(
            Action(owner, "dollar_transfer", (tuple(to[at : at + _PAYEES_MAX]),))
            for owner, to in payees.items()
            for at in range(0, len(to), _PAYEES_MAX)
        )

    def _settle(self, trade: Trade) -> None:
        """In the shadow bank: goods changed hands, or they did not and only the fee is gone."""
        wish = trade.wish
        order = self.chain.reader.get(ORDER, trade.id)
        assert order is not None
        buyer, seller = self.party_of(wish.buyer), self.party_of(wish.shop.owner)
        if not wish.is_real:
            if buyer:
                buyer.fees += order.fee
                buyer.volume += wish.amount
                self._open[trade.id] = buyer
            return
        brought = self.party_of(wish.distributor) if wish.distributor else None
        for party in {id(p): p for p in (buyer, seller, brought) if p}.values():
            party.real_fees += order.fee
        if buyer:
            buyer.goods += wish.amount
        if seller:
            seller.goods -= wish.amount * (100 - MARGIN_PCT) // 100

    def party_of(self, who: Person) -> Party | None:
        """Whose account this is."""
        known = self._owner.get(who.address)
        return known[1] if known else None

    def cash_out(self) -> None:
        """Everybody's first account turns its dollars into fiat, at the gateway that issued all."""
        parties = {id(one.party): one.party for one in self.strategies}.values()
        holders = {party.people[0]: party for party in parties}
        cashed = self.shadow.cash(list(holders), "g0", self.gateways[0])
        for who, amount in cashed.items():
            holders[who].fiat += amount

    # Tokens -------------------------------------------------------------------------------------

    def note(self, receipts: Iterable[Receipt]) -> None:
        """Who will have something to claim, and which orders have become final."""
        period = period_of(self.chain.reader).number
        earned = self._due.setdefault(period, {})
        for receipt in receipts:
            for event in receipt.events:
                if event.name == "order_final":
                    trade = self.trades[cast(bytes, event.values[0])]
                    trade.final_day = self.day
                    self._open.pop(trade.id, None)
                    self.finals.append(trade)
                    wish = trade.wish
                    for who in (wish.buyer, wish.shop.owner, wish.distributor, wish.leader):
                        if who is not None:
                            earned[who.address] = None
                elif event.name == "voice_directed":
                    earned[cast(bytes, event.values[1])] = None
                elif event.name == "commission_accrued":
                    self._note_commission(*event.values)

    def _note_commission(self, order_id: Value, to: Value, *rest: Value) -> None:
        seller = self.party_of(self.trades[cast(bytes, order_id)].wish.shop.owner)
        _, party = self._owner.get(cast(bytes, to), (None, None))
        if party and party is not seller:
            party.commission += cast(int, rest[-1])

    def _claim(self) -> None:
        """What the last period brought, as far as it is worth the transaction's fee."""
        running = period_of(self.chain.reader).number
        claims: list[tuple[Party, int, Transaction]] = []
        for period in [known for known in self._due if known < running]:
            for address in self._due.pop(period):
                who, party = self._owner.get(address, (None, None))
                if who is None or party is None:
                    continue
                earned = earned_of(self.chain.reader, address, period)
                amount = claimable(mining_of(self.chain.reader, period), earned)
                amount = max(0, amount - debt_of(self.chain.reader, address))
                if amount * self.price() > _CLAIM_FEE:
                    payer = party.payer if party.payer != who else None
                    tx = self.chain.tx(who, "token_claim", period, payer=payer)
                    claims.append((party, amount, tx))
                    parts = parts_of(mining_of(self.chain.reader, period), earned)
                    for role, part in parts.items():
                        before = party.roles.get(role, 0.0)
                        party.roles[role] = before + part * self.price() / DOLLAR
        if claims:
            self.chain.block([tx for _, _, tx in claims])
        for party, amount, _ in claims:
            party.tokens += amount
            party.sold += amount * self.price()

    # What everybody is worth ----------------------------------------------------------------------

    def gain(self, party: Party) -> float:
        """Dollars won since the party joined."""
        has = sum(self.chain.dollars(who) for who in party.people)
        won = has + self._held(party) + party.goods + party.fiat + party.sold
        return (won - self._start[party.name]) / DOLLAR

    def _held(self, party: Party) -> int:
        """What the chain holds of the party's fake orders, buyer and shop being one."""
        total = 0
        for order_id, owner in self._open.items():
            hold = self.chain.reader.get(HOLD, (ORDERS, order_id)) if owner is party else None
            total += sum(amount for _, amount in hold.parts) if hold else 0
        return total


def _pay_fields(wish: Wish) -> tuple[Value, ...]:
    line = ("sku", wish.quantity, wish.amount // wish.quantity, ())
    distributor = (wish.distributor.address,) if wish.distributor else ()
    led_by = (wish.led_by,) if wish.led_by else ()
    return wish.shop.id, (line,), distributor, (), led_by, (), ()
