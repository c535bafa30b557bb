"""What agents do on the street: honest trade, and each way to earn on sales that are none.

Two sorts of cheating. *Fakes* are sales to oneself: the party pays the fee, and must lose. *Roles*
are several parts of the reward of a sale that is real, taken by one person's many accounts. A cheat
and its honest twin stand in the same street with the same capital and the same real orders; what
differs is the cheating alone. The twin of one person with six accounts is six people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.memory import DAY_MS, DOLLAR, Person
from bench.street import Action, Party, Shop, Street, Trade, Wish
from state.tx.rewards import token_now
from state.tx.voice import voice_of

VOTE_FEE = 1_300  # micro-dollars; a vote that is worth less is not cast
FAKE_STARS = 5


class Idle:
    """The honest twin of a party that only fakes: it keeps its dollars."""

    def __init__(self, party: Party) -> None:
        self.party = party

    def wishes(self, street: Street) -> Iterable[Wish]:
        """Nothing."""
        del street
        return ()

    def evening(self, street: Street) -> Iterable[Action]:
        """Nothing."""
        del street
        return ()


class Votes:
    """Helpful votes of one's accounts for one's reviews, as long as they are worth their fee."""

    def __init__(self) -> None:
        self.reviews: list[tuple[Person, bytes]] = []
        self._next: dict[bytes, int] = {}  # voter -> place in `reviews`

    def cast(self, street: Street, voters: Iterable[Person]) -> Iterator[Action]:
        """One vote of each voter at most: each draws a tenth of what was granted."""
        reader = street.chain.reader
        now_ms = token_now(reader)
        for voter in voters:
            weight = voice_of(reader, voter.address, now_ms).weight
            if weight * street.price() <= VOTE_FEE:
                continue
            place = self._next.get(voter.address, 0)
            while place < len(self.reviews) and self.reviews[place][0] == voter:
                place += 1
            self._next[voter.address] = place + 1
            if place < len(self.reviews):
                yield Action(voter, "review_vote", (self.reviews[place][1], True))


@dataclass(slots=True)
class Washing:
    """Sales between one's own accounts: buyer, shop, distributor, reviewer, voter, leader."""

    party: Party
    shops: Sequence[Shop]
    buyers: Sequence[Person]
    distributor: Person | None
    amount: int  # micro-dollars an order
    per_day: int
    until_day: int
    quantity: int = 1
    stars: int = FAKE_STARS
    orders_max: int = 1_000_000_000
    is_led: bool = True
    from_day: int = 1
    votes: Votes = field(default_factory=Votes)
    _trades: list[Trade] = field(default_factory=list)
    _count: int = 0

    def wishes(self, street: Street) -> Iterable[Wish]:
        """Each pair of buyer and shop in turn, so that as few reviews as can be are repeated."""
        if not self.from_day <= street.day <= self.until_day:
            return
        for _ in range(min(self.per_day, self.orders_max - self._count)):
            buyer = self.buyers[self._count % len(self.buyers)]
            turn = self._count // len(self.buyers)
            leader, led_by = self._leader(buyer)
            self._count += 1
            yield Wish(
                buyer, self.shops[turn % len(self.shops)], self.amount, self.quantity,
                distributor=self.distributor, led_by=led_by, leader=leader, stars=self.stars,
            )  # fmt: skip

    def _leader(self, buyer: Person) -> tuple[Person | None, bytes]:
        """The last review of another account."""
        for author, review in reversed(self.votes.reviews[-3:] if self.is_led else []):
            if author != buyer:
                return author, review
        return None, b""

    def evening(self, street: Street) -> Iterable[Action]:
        """Votes of all buyers for each other's reviews."""
        self._look(street)
        yield from self.votes.cast(street, self.buyers)

    def _look(self, street: Street) -> None:
        for trade in street.today:
            if trade.review and street.party_of(trade.wish.buyer) is self.party:
                self.votes.reviews.append((trade.wish.buyer, trade.review))


@dataclass(slots=True)
class Refunding(Washing):
    """Washing whose shop gives everything back after final, unit by unit, rewards claimed."""

    wait_days: int = 3  # after final, for the claims of the period
    _back: dict[int, list[Trade]] = field(default_factory=dict)

    def evening(self, street: Street) -> Iterable[Action]:
        """Refunds in dust of what has long been rewarded."""
        yield from Washing.evening(self, street)
        for trade in street.finals:
            if street.party_of(trade.wish.shop.owner) is self.party:
                self._back.setdefault(street.day + self.wait_days, []).append(trade)
        owner = self.shops[0].owner
        for trade in self._back.pop(street.day, []):
            for _ in range(self.quantity):
                yield Action(owner, "order_refund", (trade.id, ((0, 1),), "dust"))
            money = ((owner.address, self.amount, ""),)
            yield Action(trade.wish.buyer, "dollar_transfer", (money,))


@dataclass(slots=True)
class Trading:
    """Honest trade: buyers from outside buy at a shop, brought by a distributor.

    `fakes` is what a cheat does beside it; its twin has none.
    """

    party: Party
    shop: Shop
    distributor: Person | None
    buyers: Sequence[Person]
    amounts: Sequence[Sequence[int]]  # by day, micro-dollars of each order
    stars: int = 4
    fakes: Washing | None = None
    led_by: bytes = b""
    leader: Person | None = None
    votes: Votes | None = None  # of the buyers themselves, where they are the party's
    _count: int = 0

    def wishes(self, street: Street) -> Iterable[Wish]:
        """The real orders of today, then the fakes."""
        today = self.amounts[street.day - 1] if street.day <= len(self.amounts) else ()
        for amount in today:
            buyer = self.buyers[self._count % len(self.buyers)]
            self._count += 1
            yield Wish(
                buyer, self.shop, amount, distributor=self.distributor, stars=self.stars,
                led_by=self.led_by, leader=self.leader, is_real=True,
            )  # fmt: skip
        if self.fakes:
            yield from self.fakes.wishes(street)

    def evening(self, street: Street) -> Iterable[Action]:
        """What the fakes need."""
        if self.fakes:
            yield from self.fakes.evening(street)
        if self.votes:
            for trade in street.today:
                if trade.review and trade.wish.buyer in self.party.people:
                    self.votes.reviews.append((trade.wish.buyer, trade.review))
            yield from self.votes.cast(street, self.buyers)


@dataclass(slots=True)
class Ring:
    """An author with real reviews, and hundreds of own accounts that buy for a cent and vote."""

    party: Party
    trading: Trading  # the author's real purchases
    washing: Washing  # the ring's, of a cent each
    _ready: dict[int, list[Person]] = field(default_factory=dict)

    def wishes(self, street: Street) -> Iterable[Wish]:
        """The real orders of the author and the cents of its ring."""
        yield from self.trading.wishes(street)
        yield from self.washing.wishes(street)

    def evening(self, street: Street) -> Iterable[Action]:
        """Every account of the ring votes once for a review of the author's, worth it or not."""
        for trade in street.today:
            if trade.review and trade.wish.buyer in self.trading.buyers:
                self.washing.votes.reviews.append((trade.wish.buyer, trade.review))
        reviews = self.washing.votes.reviews
        for trade in street.finals:
            if street.party_of(trade.wish.shop.owner) is self.party and reviews:
                self._ready.setdefault(street.day + 1, []).append(trade.wish.buyer)
        for voter in self._ready.pop(street.day, []):
            yield Action(voter, "review_vote", (reviews[0][1], True))


@dataclass(slots=True)
class Demanding:
    """Posts demand and backs it from own accounts; lets all of it expire, or half."""

    party: Party
    price: int
    quantity: int
    every_days: int
    until_day: int
    is_withdrawn: bool  # every second one, the next day
    _posted: bytes = b""

    def wishes(self, street: Street) -> Iterable[Wish]:
        """It buys nothing."""
        del street
        return ()

    def evening(self, street: Street) -> Iterable[Action]:
        """One account posts, the others back it."""
        turn = street.day % (2 * self.every_days)
        first, *others = self.party.people
        if street.day <= self.until_day and turn % self.every_days == 0:
            want = ("tea", "home", bytes(32), self.price, self.quantity, 7 * DAY_MS, self.quantity)
            (posted,) = street.act([Action(first, "demand_post", want)])
            self._posted = posted.txid
            yield from (Action(who, "demand_back", (self._posted, self.quantity)) for who in others)
        elif self.is_withdrawn and turn == 1 and street.day <= self.until_day + 1 and self._posted:
            yield from (
                Action(who, "demand_withdraw", (self._posted,)) for who in self.party.people
            )


def amounts_of(street: Street, *, days: int, per_day: int) -> list[list[int]]:
    """Real orders: log-normal with the demo file's median of 20 dollars and p90 of about 62."""
    draw = street.rng.lognormvariate
    return [
        [max(DOLLAR, int(20 * DOLLAR * draw(0, 0.88))) for _ in range(per_day)] for _ in range(days)
    ]
