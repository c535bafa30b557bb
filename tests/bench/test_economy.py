"""The economy's bench: cheating does not pay at the defaults, and the check can fail."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from bench.economy import BETA, PRICE_REF, figure_of, market_path, play, wash, winners
from bench.memory import DAY_MS, DOLLAR, START_MS, MemoryChain, make_genesis, person
from bench.plots import draw
from bench.scenes import FAKE, QUICK, SHARE, Cast, add_level, add_washer

SMALL = QUICK._replace(days=34, wash_per_day=2, wash_buyers=8, ring=8, crowd=6)


def test_no_cheat_beats_its_honest_twin_at_the_defaults() -> None:
    """Every pair of the full run, in small; and every fake costs something."""
    market = market_path(1, SMALL.days)
    _, figures = play(SMALL, seed=1, market=market)
    assert winners(figures, beta=BETA, market=market) == []
    fakes = [figure for figure in figures if figure.sort == FAKE]
    assert len(fakes) == 7
    for figure in fakes:
        assert figure.extra < 0, figure
        if figure.fake_volume:
            assert figure.fake_fees > 0, figure


@pytest.mark.parametrize("how", ["reference", "market"])
def test_a_generous_parameter_lets_the_washer_win_and_is_noticed(how: str) -> None:
    """A market at four times the reference, whoever moved."""
    params = {"mining_price_ref": 25_000} if how == "reference" else {}
    market = [PRICE_REF if how == "reference" else 4 * PRICE_REF]
    cast = Cast(SMALL, seed=1, market=market, params=params)
    add_washer(cast, 100 * DOLLAR)
    for _ in range(SMALL.days):
        cast.street.pass_day()
    figures = [figure_of(cast.street, cast.pairs[0])]
    assert figures[0].extra > 0
    assert winners(figures, beta=BETA, market=market) == ["wash in all roles"]


def test_a_level_bought_for_two_large_customers_loses() -> None:
    """Lost 0.8 dollars' worth of fees, won more on every order of 2,000 dollars, until the level's
    share was held to the volume that levels count."""
    cast = Cast(QUICK, seed=1, market=[PRICE_REF])
    cast.amounts = [[2_000 * DOLLAR]] * QUICK.until_day
    add_level(cast, 1, customers=2)
    for _ in range(QUICK.days):
        cast.street.pass_day()
    figure = figure_of(cast.street, cast.pairs[0])
    assert figure.real_fees == 10 * QUICK.until_day
    assert -1 < figure.extra < -0.5


def test_more_than_the_bound_on_a_real_sale_is_noticed() -> None:
    market = [PRICE_REF]
    cast, figures = play(SMALL, seed=1, market=market)
    (shared,) = [f for f in figures if f.sort == SHARE and f.name.startswith("own")]
    assert 0 < shared.rewards < BETA * shared.real_fees
    assert winners([shared], beta=shared.rewards / shared.real_fees / 2, market=market)
    assert cast.street.chain.broken_laws() == []


@pytest.mark.parametrize(("gateways", "is_gateway"), [(3, False), (3, True)])
def test_washing_breaks_even_no_sooner_than_the_formula_says(
    gateways: int, is_gateway: bool
) -> None:
    """F4 grants every role its whole part and asks no transaction's fee."""
    point = wash(gateways=gateways, is_gateway=is_gateway, scale=SMALL)
    assert point.formula == pytest.approx((1 - (1 / 3 if is_gateway else 0)) / 0.4)
    assert point.dollars == pytest.approx(-(1 - point.share), abs=0.01)
    assert 0.25 < point.tokens <= BETA
    assert point.formula < point.break_even < math.inf


def test_time_that_leaps_is_the_time_of_empty_blocks() -> None:
    """Two hours at once, and in blocks of a minute: the same rows."""

    def chain() -> MemoryChain:
        operators = [person(f"op{index}") for index in range(3)]
        funded = dict.fromkeys(operators, DOLLAR)
        genesis = make_genesis(operators, funded, arbiter=person("arbiter"), params={})
        return MemoryChain(genesis)

    one, other = chain(), chain()
    one.leap(START_MS + DAY_MS // 12)
    while other.time_ms < START_MS + DAY_MS // 12:
        other.leap(other.time_ms + 60_000)
    assert one.rows.all() == other.rows.all()
    assert (one.height, other.height) == (1, 120)


def test_plots_are_the_same_bytes_for_the_same_figures(tmp_path) -> None:  # type: ignore[no-untyped-def]
    market = market_path(1, SMALL.days)
    cast, figures = play(SMALL, seed=1, market=market)
    points = [wash(scale=SMALL), wash(beta_bps=5_000, scale=SMALL)]
    for name in ("a", "b"):
        draw(tmp_path / name, cast, figures, points, market)
    files = sorted((tmp_path / "a").iterdir())
    assert [file.name for file in files] == ["break-even.svg", "periods.svg", "strategies.svg"]
    for file in files:
        ElementTree.fromstring(file.read_text())
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
