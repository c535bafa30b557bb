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

from bench.abuse import Trading
from bench.memory import DOLLAR
from bench.plots import draw
from bench.scenes import FAKE, FULL, QUICK, Cast, Pair, Scale, add_all, add_level, add_washer
from bench.street import TAIL_DAYS, Street
from state.registry import standard_registry
from state.tx.growth import LEVELS
from state.tx.opinions import rating_of

_DEFAULTS = standard_registry().defaults
BETA = _DEFAULTS["mining_beta_bps"] / 10_000
FEE = _DEFAULTS["order_fee_bps"] / 10_000
PRICE_REF = _DEFAULTS["mining_price_ref"] / DOLLAR  # dollars for a token
MARKET_HIGHEST = 1.25  # of it: governance follows the market that fast, and no faster
SEED = 1


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
    tokens_worth: float
    rewards: float  # what all the cheat's tokens brought
    real_fees: float
    periods: int

    @property
    def extra(self) -> float:
        """What cheating brought."""
        return self.cheat - self.twin


def figure_of(street: Street, pair: Pair) -> Figure:
    """The pair at the end of the run."""
    cheat, twin = pair.cheat.party, pair.twin.party
    return Figure(
        name=pair.name,
        sort=pair.sort,
        fake_volume=cheat.volume / DOLLAR,
        fake_fees=cheat.fees / DOLLAR,
        cheat=street.gain(cheat),
        twin=street.gain(twin),
        tokens=(cheat.tokens - twin.tokens) / DOLLAR,
        tokens_worth=(cheat.sold - twin.sold) / DOLLAR,
        rewards=cheat.sold / DOLLAR,
        real_fees=cheat.real_fees / DOLLAR,
        periods=street.day,
    )


def play(
    scale: Scale, *, seed: int, market: Sequence[float], params: Mapping[str, int] | None = None
) -> tuple[Cast, list[Figure]]:
    """The street with every pair, day by day; the laws are checked at its end."""
    cast = Cast(scale, seed=seed, market=market, params=params)
    add_all(cast)
    for _ in range(scale.days):
        cast.street.pass_day()
    broken = cast.street.chain.broken_laws()
    assert not broken, broken
    return cast, [figure_of(cast.street, pair) for pair in cast.pairs]


def winners(figures: Sequence[Figure], *, beta: float, market: Sequence[float]) -> list[str]:
    """The cheats that beat what the rules promise.

    A fake may not beat its twin. Who takes more parts of a real sale's reward than one takes at
    most beta of the fee that a stranger's shop has paid; a commission is that shop's own offer.
    """
    highest = max(market) / PRICE_REF
    found = []
    for figure in figures:
        if figure.sort == FAKE and figure.extra > 0:
            found.append(figure.name)
        if figure.sort != FAKE and figure.rewards > beta * highest * figure.real_fees:
            found.append(figure.name)
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


def wash(*, beta_bps: int = 4_000, gateways: int = 3, is_gateway: bool = True,
         fee_bps: int = 50, scale: Scale = QUICK) -> Wash:  # fmt: skip
    """A washer alone on a street: what it gives and takes is its own, the fee pool's shares too."""
    params = {"mining_beta_bps": beta_bps, "order_fee_bps": fee_bps}
    cast = Cast(scale, seed=SEED, market=[PRICE_REF], gateways=gateways, params=params)
    add_washer(cast, 1_000 * DOLLAR, is_gateway=is_gateway)
    for _ in range(scale.days):
        cast.street.pass_day()
    party = cast.pairs[0].cheat.party
    tokens = party.sold / party.fees
    dollars = cast.street.gain(party) * DOLLAR / party.fees - tokens
    share = 1 / gateways if is_gateway else 0.0
    break_even = -dollars / tokens if tokens else math.inf
    formula = (1 - share) / (beta_bps / 10_000)
    return Wash(beta_bps / 10_000, share, fee_bps, dollars, tokens, break_even, formula)


def sweep(*, quick: bool) -> list[Wash]:
    """Beta by share of the fees; then the fee's rate."""
    betas = (4_000, 5_000) if quick else (1_000, 2_000, 3_000, 4_000, 5_000)
    seats = ((3, False), (3, True)) if quick else ((3, False), (4, True), (3, True), (2, True))
    points = [
        wash(beta_bps=beta, gateways=gateways, is_gateway=is_gateway)
        for gateways, is_gateway in seats
        for beta in betas
    ]
    return points + [wash(fee_bps=bps) for bps in (() if quick else (10, 200))]


class Bought(NamedTuple):
    """A level bought by fakes alone: how much real volume would have to earn more to pay it."""

    level: int
    fake_volume: float
    cost: float  # dollars, net of what the fakes earn at the reference price
    gain_bps: float  # of the fee of each real dollar sold, in basis points of it
    break_even: float  # real dollars for one faked
    formula: float


def bought(number: int) -> Bought:
    """The fakes of F6 and nothing else, at the reference price."""
    days = TAIL_DAYS + 24 + LEVELS[number].orders // max(1, LEVELS[number].orders // 20) // 10
    scale = QUICK._replace(days=days)
    cast = Cast(scale, seed=SEED, market=[PRICE_REF])
    add_level(cast, number, customers=0)
    for _ in range(days):
        cast.street.pass_day()
    figure = figure_of(cast.street, cast.pairs[0])
    delta = (LEVELS[number].level_bps - LEVELS[0].level_bps) / 10_000
    gain = delta * 0.25 * BETA
    break_even = -figure.extra / (gain * FEE) / figure.fake_volume
    return Bought(
        number, figure.fake_volume, -figure.extra, gain * 10_000, break_even, (1 - BETA) / gain
    )


# The bench ----------------------------------------------------------------------------------------


def run(*, quick: bool = False, seed: int = SEED, plots: str = "") -> dict[str, object]:
    """The street, who won, and the sweep; `plots` names a folder for the SVG files."""
    began = time.monotonic()
    scale = QUICK if quick else FULL
    market = market_path(seed, scale.days)
    cast, figures = play(scale, seed=seed, market=market)
    points, levels = sweep(quick=quick), [bought(n) for n in ((1,) if quick else (1, 2, 3, 4))]
    if plots:
        draw(Path(plots), cast, figures, points, market)
    chain = cast.street.chain
    return {
        "seed": seed,
        "periods": scale.days,
        "accounts": cast.street.accounts,
        "transactions": chain.transactions,
        "market_over_reference": [round(f(market) / PRICE_REF, 2) for f in (min, _mean, max)],
        "seconds": round(time.monotonic() - began, 1),
        "strategies": [_rounded(figure) for figure in figures],
        "shown_rating": _ratings(cast),
        "break_even_of_washing": [_rounded(point) for point in points],
        "break_even_of_levels": [_rounded(one) for one in levels],
        "cheats_that_win": winners(figures, beta=BETA, market=market),
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
