"""The pairs that meet on the street: each way to cheat, and beside it its honest twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.abuse import Demanding, Idle, Refunding, Ring, Trading, Votes, Washing, amounts_of
from bench.memory import DOLLAR, Person, person
from bench.street import TAIL_DAYS, Action, Party, Shop, Strategy, Street
from state.tx.growth import BUYER_FROM, LEVELS

CAPITAL = 100_000 * DOLLAR  # of each party
PURSE = 40_000 * DOLLAR  # of each honest customer
CENT = DOLLAR // 100
_POCKET = DOLLAR // 5  # what an account of a party has for fees
COMMISSION_BP = 1_000  # of the shop whose commission is open to everybody

FAKE, SHARE, DISCOUNT = "fake", "share", "discount"


class Scale(NamedTuple):
    """How large a run is."""

    days: int
    real_per_day: int  # orders of each party with real trade
    crowd: int  # customers of each such party
    wash_per_day: int
    wash_buyers: int
    ring: int
    levels: tuple[int, ...]  # bought by fakes

    @property
    def until_day(self) -> int:
        """The last day on which anybody pays."""
        return self.days - TAIL_DAYS


QUICK = Scale(46, 1, 12, 4, 12, 20, (1,))
FULL = Scale(220, 5, 250, 8, 240, 400, (1, 2, 3))


class Pair(NamedTuple):
    """A cheat and its twin."""

    name: str
    sort: str
    cheat: Strategy
    twin: Strategy


class Cast:
    """Puts the pairs on a street with so many gateways, of which the first two are parties'."""

    def __init__(
        self,
        scale: Scale,
        *,
        seed: int,
        market: Sequence[float],
        gateways: int = 3,
        params: Mapping[str, int] | None = None,
    ) -> None:
        self.scale = scale
        self.operators = [person(f"op{index}") for index in range(gateways)]
        self.street = Street(seed=seed, market=market, gateways=self.operators, params=params or {})
        self.pairs: list[Pair] = []
        self.amounts = amounts_of(self.street, days=scale.until_day, per_day=scale.real_per_day)

    def party(self, name: str, accounts: int = 1, *, operator: Person | None = None) -> Party:
        """Somebody with his capital in his first account; the others are empty."""
        people = [person(f"{name} {index}") for index in range(accounts)]
        self.street.give(people[:1], CAPITAL)
        party = Party(name, [*people, *((operator,) if operator else ())], payer=people[0])
        self.street.know(party)
        return party

    def crowd(self, name: str, count: int) -> list[Person]:
        """Honest customers."""
        people = [person(f"{name} customer {index}") for index in range(count)]
        self.street.give(people, PURSE)
        return people

    def stranger(self, name: str, *, commission_bp: int = 0) -> Shop:
        """An honest shop."""
        owner = person(f"stranger {name}")
        self.street.give([owner], PURSE)
        return self.street.open_shop(owner, commission_bp=commission_bp)

    def enter(self, name: str, sort: str, cheat: Strategy, twin: Strategy) -> None:
        """Both are on the street."""
        self.street.strategies += [cheat, twin]
        self.pairs.append(Pair(name, sort, cheat, twin))

    def washing(
        self,
        party: Party,
        people: Sequence[Person],
        *,
        shops: int,
        amount: int,
        front: Shop | None = None,
        sort: type[Washing] = Washing,
    ) -> Washing:
        """Own shops, own distributor, own buyers: `people` is (distributor, buyers ...)."""
        distributor, *buyers = people
        owner = party.people[0]
        opened = [self.street.open_shop(owner) for _ in range(shops)]
        opened += [front] if front else []
        self.recruit(distributor, opened, owner)
        self.street.fund(owner, buyers, amount + _POCKET)
        return sort(
            party, opened, buyers, distributor, amount, self.scale.wash_per_day,
            self.scale.until_day,
        )  # fmt: skip

    def recruit(self, distributor: Person, shops: Sequence[Shop], payer: Person) -> None:
        """A distributor joins; somebody else pays the fee: a sponsor is no link."""
        sponsor = None if payer == distributor else payer
        self.street.act(
            [Action(distributor, "refer_join", (shop.id, ()), sponsor) for shop in shops]
        )


def add_washer(cast: Cast, amount: int, *, is_gateway: bool = False) -> None:
    """Trading with oneself in all roles, in orders of `amount`; as a gateway too."""
    name, size = "wash in all roles", cast.scale.wash_buyers
    operator = cast.operators[0] if is_gateway else None
    party = cast.party(name, 2 + size, operator=operator)
    washing = cast.washing(party, party.people[1 : 2 + size], shops=3, amount=amount)
    cast.enter(name, FAKE, washing, Idle(cast.party(f"{name}: twin")))


def add_washers(cast: Cast) -> None:
    """Trading with oneself in all roles, through many accounts, and with refunds in dust."""
    size = cast.scale.wash_buyers
    add_washer(cast, 100 * DOLLAR)
    many = cast.party("many accounts", 2 + 3 * size)
    washing = cast.washing(many, many.people[1:], shops=1, amount=20 * DOLLAR)
    cast.enter("many accounts", FAKE, washing, Idle(cast.party("many accounts: twin")))
    dust = cast.party("refunds in dust", 2 + size)
    back = cast.washing(dust, dust.people[1:], shops=2, amount=100 * DOLLAR, sort=Refunding)
    back.quantity = 4
    cast.enter("refunds in dust", FAKE, back, Idle(cast.party("refunds in dust: twin")))


def add_shops(cast: Cast) -> None:
    """Fake reviews for one's own shop, which has real customers too."""
    sides = []
    for name in ("fake reviews", "fake reviews: twin"):
        party = cast.party(name, 2 + cast.scale.wash_buyers)
        front = cast.street.open_shop(party.people[0])
        sides.append(Trading(party, front, None, cast.crowd(name, cast.scale.crowd), cast.amounts))
    cheat, twin = sides
    cheat.fakes = cast.washing(
        cheat.party, cheat.party.people[1:], shops=3, amount=50 * DOLLAR, front=cheat.shop
    )
    cast.enter("fake reviews", FAKE, cheat, twin)


def add_ring(cast: Cast) -> None:
    """Hundreds of own accounts buy for a cent and vote for the author."""
    name, size = "ring of one-cent buyers", cast.scale.ring
    stranger = cast.stranger(name)
    sides = []
    for who in (name, f"{name}: twin"):
        party = cast.party(who, 2 + size)
        sides.append(Trading(party, stranger, None, party.people[:1], cast.amounts))
    party = sides[0].party
    owner = party.people[1]
    cast.street.fund(party.people[0], [owner], 10 * DOLLAR)
    own = cast.street.open_shop(owner)
    voters = party.people[2:]
    cast.street.fund(party.people[0], voters, CENT + _POCKET)
    per_day = max(1, size // max(1, cast.scale.until_day // 2))
    cents = Washing(
        party, [own], voters, None, CENT, per_day, cast.scale.until_day - 5,
        stars=0, orders_max=size,
    )  # fmt: skip
    cast.enter(name, FAKE, Ring(party, sides[0], cents), sides[1])


def add_level(cast: Cast, number: int, *, customers: int, is_topped_up: bool = False) -> None:
    """A distributor buys its level with fakes; its real sales, to so many, are those of its twin.

    `customers` 0: nothing real, the fakes alone. Topped up, one buyer is all that is faked.
    """
    level, name = LEVELS[number], f"level {number} bought"
    orders, fakers = max(level.orders, level.buyers), level.buyers
    amount, sort = level.volume // orders, FAKE
    if is_topped_up:
        name, orders, fakers, amount, sort = f"level {number} topped up", 1, 1, BUYER_FROM, SHARE
    sides = []
    for who in (name, f"{name}: twin"):
        party = cast.party(who, 2 + orders)
        shop = cast.stranger(who)
        cast.recruit(party.people[0], [shop], party.people[0])
        few = cast.crowd(who, customers) if customers else []
        amounts = cast.amounts if customers else []
        sides.append(Trading(party, shop, party.people[0], few, amounts))
    cheat, twin = sides
    distributor, owner, *others = cheat.party.people
    buyers = others[:fakers]
    cast.street.fund(distributor, [owner], 2_000 * DOLLAR)
    cast.street.fund(distributor, buyers, amount + _POCKET)
    own = cast.street.open_shop(owner)
    cast.recruit(distributor, [own], distributor)
    cheat.fakes = Washing(
        cheat.party, [own], buyers, distributor, amount, max(1, orders // 20),
        cast.scale.until_day, orders_max=orders,
    )  # fmt: skip
    cast.enter(name, sort, cheat, twin)


def add_levels(cast: Cast) -> None:
    """Levels bought by distributors whose few real customers reach none."""
    for number in cast.scale.levels:
        add_level(cast, number, customers=2)
    add_level(cast, 1, customers=LEVELS[1].buyers - 1, is_topped_up=True)


def add_demand(cast: Cast) -> None:
    """Demand that nobody means, from ten accounts."""
    name = "demand for free"
    party = cast.party(name, 10)
    cast.street.fund(party.people[0], party.people[1:], 500 * DOLLAR)
    posting = Demanding(party, 40 * DOLLAR, 20, 8, cast.scale.until_day)
    cast.enter(name, FAKE, posting, Idle(cast.party(f"{name}: twin")))


def add_shares(cast: Cast) -> None:
    """A real buyer with accounts that bring, lead and vote for each other; then with commission."""
    for name, sort, commission_bp in (
        ("own distributor, leader, voters", SHARE, 0),
        ("the same, open commission", DISCOUNT, COMMISSION_BP),
    ):
        sides = []
        shop = cast.stranger(name, commission_bp=commission_bp)
        for who in (name, f"{name}: twin"):
            party = cast.party(who, 6)
            sides.append(Trading(party, shop, None, party.people[:1], cast.amounts))
        cheat, twin = sides
        first, second, *rest = cheat.party.people
        cast.street.fund(first, rest, CAPITAL // 8)
        cheat.buyers = [first, *rest]
        cast.recruit(second, [shop], first)  # it has nothing: the first account sponsors it
        (post,) = cast.street.act([Action(second, "post_write", _POST, first)])
        cheat.distributor, cheat.leader, cheat.led_by = second, second, post.txid
        cheat.votes = Votes()
        cast.enter(name, sort, cheat, twin)


_POST = ("good tea", "none", (), (), (), (), (), ())


def add_all(cast: Cast) -> None:
    """Every pair."""
    for add in (add_washers, add_shops, add_ring, add_levels, add_demand, add_shares):
        add(cast)
