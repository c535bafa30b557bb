"""Does cheating pay? Agents on the real state machine, each cheat beside its honest twin.

`python -m bench economy` fails (exit 1) if a cheat beats its twin at the default parameters, and
says where the break-even lies when they move. docs/economics.md holds the figures of the full run.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.abuse import Idle, Trading
from bench.memory import DOLLAR
from bench.plots import draw
from bench.scenes import (
    FULL,
    QUICK,
    ROLES,
    TWO_YEARS,
    Cast,
    Pair,
    Scale,
    add_all,
    add_topped_up,
    add_washer,
)
from bench.street import Street
from state.registry import standard_registry
from state.tx.growth import LEVELS, share_at
from state.tx.ratings import rating_of

_DEFAULTS = standard_registry().defaults
BETA = _DEFAULTS["mining_beta_bps"] / 10_000
FEE = _DEFAULTS["order_fee_bps"] / 10_000
PRICE_REF = _DEFAULTS["mining_price_ref"] / DOLLAR  # dollars for a token
DISTRIBUTOR = 0.25  # of a reward
MARKET_HIGHEST = 1.25  # of the reference: governance follows the market that fast, and no faster
SEED = 1
_CENT = 0.01  # the shop's own claims of tokens cost fees, and not on the same days
_ORDER = 0.001  # dollars: in which order sales of one block become final, by their ids


def market_path(seed: int, days: int, highest: float = MARKET_HIGHEST) -> list[float]:
    """Dollars for a token by day: a random walk of 5 % a day that governance's reference bounds."""
    rng = random.Random(f"market {seed}")
    path, log = [], math.log(0.8)
    for _ in range(days + 1):
        log = min(math.log(highest), max(math.log(0.3), log + rng.gauss(0, 0.05)))
        path.append(PRICE_REF * math.exp(log))
    return path


class Figure(NamedTuple):
    """How a cheat did beside its twin. Dollars, but for `orders` and `tokens`."""

    name: str
    sort: str
    fake_volume: float
    fake_fees: float
    cheat: float  # won in all
    twin: float
    tokens: float  # claimed by the cheat beyond its twin's
    rewards: float  # what all the cheat's tokens brought
    real_fees: float
    lone: float  # won by a buyer with one account, whom nobody brought
    lone_rewards: float
    commission: float  # that the shop paid to the cheat
    shop_lost: float  # what the cheat's shop has less than that of the lone buyer
    periods: int

    @property
    def extra(self) -> float:
        """What cheating brought."""
        return self.cheat - self.twin

    @property
    def dollars_beside_lone(self) -> float:
        """What the cheat has beyond the lone buyer, tokens apart."""
        return (self.cheat - self.rewards) - (self.lone - self.lone_rewards)


def figure_of(street: Street, pair: Pair) -> Figure:
    """The pair at the end of the run."""
    cheat, twin, lone = pair.cheat.party, pair.twin.party, pair.lone
    return Figure(
        name=pair.name,
        sort=pair.sort,
        fake_volume=cheat.volume / DOLLAR,
        fake_fees=cheat.fees / DOLLAR,
        cheat=street.gain(cheat),
        twin=street.gain(twin),
        tokens=(cheat.tokens - twin.tokens) / DOLLAR,
        rewards=cheat.sold / DOLLAR,
        real_fees=cheat.real_fees / DOLLAR,
        lone=street.gain(lone.buyer.party) if lone else 0.0,
        lone_rewards=lone.buyer.party.sold / DOLLAR if lone else 0.0,
        commission=cheat.commission / DOLLAR,
        shop_lost=street.gain(lone.shop) - street.gain(lone.shop_of_cheat) if lone else 0.0,
        periods=street.day,
    )


def play(
    scale: Scale, *, seed: int, market: Sequence[float], params: Mapping[str, int] | None = None
) -> tuple[Cast, list[Figure]]:
    """The street with every pair, day by day; on streets of their own, who tops a level up in two
    years, and gateways that wash."""
    cast = Cast(scale, seed=seed, market=market, params=params)
    add_all(cast)
    live(cast)
    figures = [figure_of(cast.street, pair) for pair in cast.pairs]
    figures += [topped_up(number, seed=seed, market=market) for number in scale.topped_up]
    for gateways in (3, 1):
        figures.append(gateway_figure(scale, gateways=gateways, market=market, params=params))
    return cast, figures


def live(cast: Cast) -> None:
    """All days, then everybody's dollars into fiat; the laws and the shadow bank are asked."""
    for _ in range(cast.scale.days):
        cast.street.pass_day()
    cast.street.cash_out()
    wrong = cast.street.chain.broken_laws() + cast.street.shadow.wrong()
    assert not wrong, wrong


def topped_up(number: int, *, seed: int, market: Sequence[float]) -> Figure:
    """Two years of a distributor whose real sales are just below a level."""
    cast = Cast(QUICK._replace(days=TWO_YEARS), seed=seed, market=market)
    add_topped_up(cast, number)
    live(cast)
    return figure_of(cast.street, cast.pairs[0])


def gateway_figure(
    scale: Scale, *, gateways: int, market: Sequence[float], params: Mapping[str, int] | None
) -> Figure:
    """A gateway that washes, beside the same gateway on a street of its own where it does nothing.

    On one street the twin would have its share of the cheat's own fees.
    """
    streets = []
    for is_cheat in (True, False):
        cast = Cast(scale, seed=SEED, market=market, gateways=gateways, params=params)
        add_washer(cast, 100 * DOLLAR, is_gateway=True)
        if not is_cheat:
            idle = Idle(cast.pairs[0].cheat.party)
            cast.street.strategies = [idle]
            cast.pairs = [cast.pairs[0]._replace(cheat=idle)]
        live(cast)
        streets.append(cast)
    with_cheat, without = (figure_of(cast.street, cast.pairs[0]) for cast in streets)
    name = "gateway that washes" if gateways > 1 else "only clean gateway that washes"
    return with_cheat._replace(name=name, twin=without.cheat)


def winners(figures: Sequence[Figure], *, beta: float, market: Sequence[float]) -> list[str]:
    """The cheats that beat what the rules promise, and by what.

    Nobody may beat his twin. Who takes many parts of real sales has in tokens at most beta of the
    fees that were paid; and in dollars, beside a buyer with one account, at most the commission
    that the shop offered for these sales, which is all that anybody else may have lost.
    """
    highest = max(market) / PRICE_REF
    found = []
    for figure in figures:
        if figure.extra > (_ORDER if figure.sort == ROLES else 0):
            found.append(figure.name)
        if figure.sort != ROLES:
            continue
        if figure.rewards > beta * highest * figure.real_fees:
            found.append(f"{figure.name}: tokens")
        if figure.dollars_beside_lone > figure.commission:
            found.append(f"{figure.name}: dollars")
        if figure.shop_lost > figure.commission + _CENT:
            found.append(f"{figure.name}: the shop's loss")
    return found


# Where the break-even lies ------------------------------------------------------------------------


class Wash(NamedTuple):
    """One point of the sweep: what a dollar of fee costs and brings, at the reference price."""

    beta: float
    share: float  # of the fee pool
    fee_bps: int
    dollars: float  # for each dollar of fee; fees of transactions are in it
    tokens: float  # likewise, at the reference price
    break_even: float  # market / reference; inf: no price
    formula: float


def wash(*, beta_bps: int = 4_000, gateways: int = 3, seats: int = 1,
         fee_bps: int = 50, scale: Scale = QUICK) -> Wash:  # fmt: skip
    """A washer alone on a street: what it gives and takes is its own, the fee pool's shares too.

    With several seats it holds so many of the gateways, which "one owner, one gateway" forbids.
    """
    params = {"mining_beta_bps": beta_bps, "order_fee_bps": fee_bps}
    cast = Cast(scale, seed=SEED, market=[PRICE_REF], gateways=gateways, params=params)
    add_washer(cast, 1_000 * DOLLAR, is_gateway=seats > 0)
    live(cast)
    party = cast.pairs[0].cheat.party
    others = sum(cast.street.chain.dollars(who) - 100 * DOLLAR for who in cast.operators[1:seats])
    tokens = party.sold / party.fees
    dollars = (cast.street.gain(party) * DOLLAR + others) / party.fees - tokens
    share = seats / gateways if gateways >= _DEFAULTS["fee_sharers_min"] else 0.0
    break_even = -dollars / tokens if tokens else math.inf
    formula = (1 - share) / (beta_bps / 10_000)
    return Wash(beta_bps / 10_000, share, fee_bps, dollars, tokens, break_even, formula)


def sweep(*, quick: bool) -> list[Wash]:
    """Beta by share of the fees; then the fee's rate."""
    betas = (4_000, 5_000) if quick else (1_000, 2_000, 3_000, 4_000, 5_000)
    seats = ((3, 0), (3, 1)) if quick else ((3, 0), (4, 1), (3, 1), (3, 2))
    points = [
        wash(beta_bps=beta, gateways=gateways, seats=held)
        for gateways, held in seats
        for beta in betas
    ]
    return points + [wash(fee_bps=bps) for bps in (() if quick else (10, 200))]


class Faked(NamedTuple):
    """What a level's volume costs to fake, and what it can bring on real sales without limit."""

    level: int
    volume: float
    cost: float  # dollars, net of what the fakes earn at the reference price, no seat
    cost_with_seat: float  # with a third of the fee pool, by F4
    gain: float  # dollars, at most, however much is really sold in the 360 days
    break_even: float  # market / reference at which the two are equal, no seat, by F4
    break_even_with_seat: float


def faked(number: int) -> Faked:
    """From the formulas: the area between the shares with the fakes and without them."""
    volume = LEVELS[number].volume
    steps = 100_000
    missing = sum(1 - share_at(volume * n // steps) / 1e6 for n in range(steps)) / steps
    dollars = volume / DOLLAR
    fees, rise = dollars * FEE, missing * DISTRIBUTOR * BETA
    return Faked(
        level=number, volume=dollars, cost=(1 - BETA) * fees,
        cost_with_seat=(1 - BETA - 1 / 3) * fees, gain=rise * fees,
        break_even=1 / (BETA + rise), break_even_with_seat=(1 - 1 / 3) / (BETA + rise),
    )  # fmt: skip


# The bench ----------------------------------------------------------------------------------------


def run(*, quick: bool = False, seed: int = SEED, plots: str = "") -> dict[str, object]:
    """The street, who won, and the sweep; `plots` names a folder for the SVG files."""
    began = time.monotonic()
    scale = QUICK if quick else FULL
    market = market_path(seed, TWO_YEARS)
    cast, figures = play(scale, seed=seed, market=market)
    highest = [PRICE_REF * MARKET_HIGHEST]
    _, at_highest = play(scale, seed=seed, market=highest)
    points, levels = sweep(quick=quick), [faked(number) for number in range(1, len(LEVELS))]
    if plots:
        draw(Path(plots), cast, figures, points, market, PRICE_REF)
    chain, shadow = cast.street.chain, cast.street.shadow
    return {
        "seed": seed,
        "periods": scale.days,
        "accounts": cast.street.accounts,
        "transactions": chain.transactions,
        "market_over_reference": [round(f(market) / PRICE_REF, 2) for f in (min, _mean, max)],
        "cashed_at_par": round(shadow.paid_out / DOLLAR, 2),
        "gateways_short_of_fiat": shadow.wrong(),
        "seconds": round(time.monotonic() - began, 1),
        "strategies": [_rounded(figure) for figure in figures],
        "with_the_market_always_at_its_highest": [_in_short(figure) for figure in at_highest],
        "beside_one_account": [_beside(cast, pair, figures) for pair in cast.pairs if pair.lone],
        "shown_rating": _ratings(cast),
        "break_even_of_washing": [_rounded(point) for point in points],
        "faking_a_level": [_rounded(one) for one in levels],
        "cheats_that_win": winners(figures, beta=BETA, market=market)
        + winners(at_highest, beta=BETA, market=highest),
    }


def _in_short(figure: Figure) -> dict[str, object]:
    shown = _rounded(figure)
    return {name: shown[name] for name in ("name", "cheat", "twin", "extra", "extra_per_fee")}


def _beside(cast: Cast, pair: Pair, figures: Sequence[Figure]) -> dict[str, object]:
    """Where it comes from what six accounts have beyond one that nobody brought."""
    assert pair.lone is not None
    (figure,) = (one for one in figures if one.name == pair.name)
    roles, alone = pair.cheat.party.roles, pair.lone.buyer.party.roles
    return {
        "name": pair.name,
        "beyond": round(figure.cheat - figure.lone, 2),
        **{f"as_{role}": round(roles[role] - alone.get(role, 0.0), 2) for role in roles},
        "commission": round(figure.commission, 2),
        "fees_of_transactions": round(figure.dollars_beside_lone - figure.commission, 2),
        "shop_lost": round(figure.shop_lost, 2),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rounded(row: NamedTuple) -> dict[str, object]:
    """A record as it is printed, with what follows from it."""
    shown: dict[str, object] = {}
    for name, value in row._asdict().items():
        shown[name] = round(value, 3) if isinstance(value, float) else value
    if isinstance(row, Figure):
        shown["extra"] = round(row.extra, 3)
        shown["extra_per_period"] = round(row.extra / row.periods, 4)
        for name in ("lone", "lone_rewards", "commission", "shop_lost"):
            shown.pop(name)
        shown["extra_per_fee"] = round(row.extra / row.fake_fees, 3) if row.fake_fees else "-"
    return shown


def _ratings(cast: Cast) -> dict[str, int]:
    """Milli-stars of the shop with fake reviews, and of its twin."""
    shown = {}
    for pair in cast.pairs:
        if pair.name == "fake reviews":
            for side in (pair.cheat, pair.twin):
                assert isinstance(side, Trading)
                rating = rating_of(cast.street.chain.reader, side.shop.id)
                shown[side.party.name] = rating.milli_stars
    return shown
