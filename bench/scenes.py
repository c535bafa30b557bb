"""The pairs that meet on the street: each way to cheat, and beside it its honest twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.abuse import (
    Demanding,
    Idle,
    Refunding,
    Ring,
    Trading,
    Votes,
    Washing,
    amounts_of,
)
from bench.memory import DOLLAR, Person, person
from bench.street import TAIL_DAYS, Action, Party, Shop, Strategy, Street
from state.tx.growth import LEVELS

CAPITAL = 100_000 * DOLLAR  # of each party
PURSE = 40_000 * DOLLAR  # of each honest customer
CENT = DOLLAR // 100
_POCKET = DOLLAR // 5  # what an account of a party has for fees
COMMISSION_BP = 1_000  # of the shop whose commission is open to everybody

FAKE, ROLES = "fake", "roles"


class Scale(NamedTuple):
    """How large a run is."""

    days: int
    real_per_day: int  # orders of each party with real trade
    crowd: int  # customers of each such party
    wash_per_day: int
    wash_buyers: int
    ring: int
    levels: tuple[int, ...]  # bought with fakes
    topped_up: tuple[int, ...]  # the last hundredth of them, on a street of two years

    @property
    def until_day(self) -> int:
        """The last day on which anybody pays."""
        return self.days - TAIL_DAYS


QUICK = Scale(46, 1, 12, 4, 12, 20, (1,), (2,))
FULL = Scale(220, 5, 250, 8, 240, 400, (1, 2, 3), (1, 2, 3, 4))
_YEAR = 360  # days of the window of levels
TWO_YEARS = 2 * _YEAR + TAIL_DAYS


class Lone(NamedTuple):
    """Beside a cheat on real purchases: somebody with one account, and the shops of both."""

    buyer: Strategy
    shop: Party
    shop_of_cheat: Party


class Pair(NamedTuple):
    """A cheat and its twin."""

    name: str
    sort: str
    cheat: Strategy
    twin: Strategy
    lone: Lone | None = None


class Cast:
    """Puts the pairs on a street with so many gateways; the first ones can be a party's."""

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
        self.street.know(Party(owner.name, [owner]))
        return self.street.open_shop(owner, commission_bp=commission_bp)

    def enter(
        self, name: str, sort: str, cheat: Strategy, twin: Strategy, lone: Lone | None = None
    ) -> None:
        """All of them are on the street."""
        self.street.strategies += [cheat, twin, *([lone.buyer] if lone else ())]
        self.pairs.append(Pair(name, sort, cheat, twin, lone))

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


def add_seller(
    cast: Cast, name: str, *, customers: int, amounts: Sequence[Sequence[int]], fakes: int,
    fakers: int, amount: int, fakes_from: int = 1,
) -> None:  # fmt: skip
    """A distributor with real sales, and so many fakes of `amount` on one day."""
    sides = []
    for who in (name, f"{name}: twin"):
        party = cast.party(who, 2 + fakers)
        shop = cast.stranger(who)
        cast.recruit(party.people[0], [shop], party.people[0])
        few = cast.crowd(who, customers) if customers else []
        sides.append(Trading(party, shop, party.people[0], few, amounts))
    cheat, twin = sides
    distributor, owner, *buyers = cheat.party.people
    each = -(-fakes // fakers)
    cast.street.fund(distributor, [owner], 2_000 * DOLLAR)
    cast.street.fund(distributor, buyers, amount * each + _POCKET * each)
    own = cast.street.open_shop(owner)
    cast.recruit(distributor, [own], distributor)
    cheat.fakes = Washing(
        cheat.party, [own], buyers, distributor, amount, fakes, cast.scale.until_day,
        orders_max=fakes, from_day=fakes_from,
    )  # fmt: skip
    cast.enter(name, FAKE, cheat, twin)


def add_level(cast: Cast, number: int, *, times: int = 10) -> None:
    """All that a level asks for is faked, then `times` its volume really sold to many."""
    level = LEVELS[number]
    fakes = max(level.orders, level.buyers)
    amounts = sales_of(times * level.volume, cast.scale.until_day)
    add_seller(
        cast, f"level {number} bought", customers=customers_of(times * level.volume),
        amounts=[[], *amounts[1:]], fakes=fakes, fakers=level.buyers, amount=level.volume // fakes,
    )  # fmt: skip


def add_topped_up(cast: Cast, number: int) -> None:
    """Who really sells 99 % of a level's volume a year, year after year, fakes the last hundredth.

    For a street of `TWO_YEARS`: the fakes come when the window of 360 days is nearly full, and stay
    in it for the year in which it holds what a year brings.
    """
    volume = LEVELS[number].volume
    fakers = -(-volume // (100 * 1_000 * DOLLAR))
    add_seller(
        cast, f"level {number} topped up", customers=customers_of(volume),
        amounts=sales_of(2 * volume * 99 // 100, cast.scale.until_day), fakes=fakers,
        fakers=fakers, amount=volume // 100 // fakers, fakes_from=_YEAR - 30,
    )  # fmt: skip


def sales_of(volume: int, days: int) -> list[list[int]]:
    """That volume in equal orders of 10 dollars and more, spread evenly over the days."""
    orders = max(1, min(volume // (10 * DOLLAR), 800))
    per_day = [orders * (day + 1) // days - orders * day // days for day in range(days)]
    return [[volume // orders] * count for count in per_day]


def customers_of(volume: int) -> int:
    """So many that what each buys counts (1,000 dollars a buyer), with room to spare."""
    return max(3, volume // (800 * DOLLAR))


def add_large(cast: Cast) -> None:
    """Level 1 is bought, for two customers who buy for 2,000 dollars each time."""
    level = LEVELS[1]
    add_seller(
        cast, "level 1 bought for two large buyers", customers=2,
        amounts=[[2_000 * DOLLAR]] * min(30, cast.scale.until_day), fakes=level.orders,
        fakers=level.buyers, amount=level.volume // level.orders,
    )  # fmt: skip


def add_levels(cast: Cast) -> None:
    """Levels bought by distributors with real sales."""
    for number in cast.scale.levels:
        add_level(cast, number)
    add_large(cast)


def add_demand(cast: Cast) -> None:
    """Demand that nobody means, from ten accounts."""
    for name, is_withdrawn in (("demand for free", True), ("demand left to expire", False)):
        party = cast.party(name, 10)
        cast.street.fund(party.people[0], party.people[1:], 500 * DOLLAR)
        posting = Demanding(party, 40 * DOLLAR, 20, 8, cast.scale.until_day, is_withdrawn)
        cast.enter(name, FAKE, posting, Idle(cast.party(f"{name}: twin")))


def add_roles(cast: Cast, name: str, commission_bp: int) -> None:
    """A real buyer whose six accounts bring, lead and vote for each other; with commission or none.

    Its twin is six people: a distributor who writes, and five customers who buy the same together.
    Beside them stands a buyer with one account, whom nobody brought: it shows what the further
    roles are worth.
    """
    sides, shops = [], []
    for who in (name, f"{name}: twin"):
        shop, party = cast.stranger(who, commission_bp=commission_bp), cast.party(who, 6)
        first, second, *rest = party.people
        cast.street.fund(first, rest, CAPITAL // 8)
        cast.recruit(second, [shop], first)  # it has nothing: somebody else sponsors it
        (post,) = cast.street.act([Action(second, "post_write", _POST, first)])
        side = Trading(
            party, shop, second, [first, *rest], cast.amounts,
            led_by=post.txid, leader=second, votes=Votes(),
        )  # fmt: skip
        sides.append(side)
        shops.append(shop)
    shops.append(cast.stranger(f"{name}: lone", commission_bp=commission_bp))
    alone = cast.party(f"{name}: lone")
    lone = Trading(alone, shops[2], None, alone.people, cast.amounts)
    sellers = [cast.street.party_of(shop.owner) for shop in shops]
    assert sellers[0] is not None and sellers[2] is not None
    cast.enter(name, ROLES, sides[0], sides[1], Lone(lone, sellers[2], sellers[0]))


def add_shares(cast: Cast) -> None:
    """Many accounts on real purchases, at two shops."""
    add_roles(cast, "own distributor, leader, voters", 0)
    add_roles(cast, "the same, open commission", COMMISSION_BP)


_POST = ("good tea", "none", (), (), (), (), (), ())


def add_all(cast: Cast) -> None:
    """Every pair."""
    for add in (add_washers, add_shops, add_ring, add_levels, add_demand, add_shares):
        add(cast)
