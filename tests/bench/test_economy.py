"""The economy's bench: cheating does not pay at the defaults, and the check can fail."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import economy
from bench.economy import (
    BETA,
    MARKET_HIGHEST,
    PRICE_REF,
    faked,
    figure_of,
    gateway_figure,
    live,
    market_path,
    play,
    topped_up,
    wash,
    winners,
)
from bench.memory import DAY_MS, DOLLAR, START_MS, MemoryChain, make_genesis, person
from bench.plots import draw
from bench.scenes import (
    FAKE,
    QUICK,
    Cast,
    add_large,
    add_ring,
    add_roles,
    add_washer,
)
from state.context import PARAM, Param
from state.draft import Draft
from state.tx import growth, rewards
from state.tx.growth import LEVELS

SMALL = QUICK._replace(days=34, wash_per_day=2, wash_buyers=8, ring=8, crowd=6, topped_up=())
AT_REFERENCE = [PRICE_REF]


@pytest.mark.parametrize("how", ["walk", "highest"])
def test_no_cheat_beats_its_honest_twin_at_the_defaults(how: str) -> None:
    """Every pair of the full run, in small; every fake costs something, and all fiat is there."""
    walk, highest = market_path(2, SMALL.days), [PRICE_REF * MARKET_HIGHEST]
    market = walk if how == "walk" else highest
    cast, figures = play(SMALL, seed=2, market=market)
    assert winners(figures, beta=BETA, market=market) == []
    page = (Path(__file__).parents[2] / "docs" / "economics.md").read_text(encoding="utf-8")
    assert all(f"| {figure.name} |" in page for figure in figures)
    fakes = [figure for figure in figures if figure.sort == FAKE]
    assert len(fakes) == 11
    for figure in fakes:
        assert figure.extra < 0, figure
        if figure.fake_volume:
            assert figure.fake_fees > 0, figure
    assert cast.street.shadow.paid_out > 1_000_000 * DOLLAR
    assert cast.street.shadow.wrong() == []
    cast.street.shadow.fiat["g0"] -= 1
    assert cast.street.shadow.wrong(), "a gateway with a micro-dollar too little"


# The check can fail ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reference", "market"])
def test_a_generous_parameter_lets_the_washer_win_and_is_noticed(how: str) -> None:
    """A market at four times the reference, whoever moved."""
    params = {"mining_price_ref": 25_000} if how == "reference" else {}
    market = [PRICE_REF if how == "reference" else 4 * PRICE_REF]
    cast = Cast(SMALL, seed=1, market=market, params=params)
    add_washer(cast, 100 * DOLLAR)
    live(cast)
    figures = [figure_of(cast.street, cast.pairs[0])]
    assert figures[0].extra > 0
    assert winners(figures, beta=BETA, market=market) == ["wash in all roles"]


def test_a_bound_that_is_four_times_too_high_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: kappa, which is all that beta does."""
    right = rewards.kappa_of
    monkeypatch.setattr("state.tx.mining.kappa_of", lambda beta, price: 4 * right(beta, price))
    cast = Cast(SMALL, seed=1, market=AT_REFERENCE)
    add_washer(cast, 100 * DOLLAR)
    add_roles(cast, "roles", 0)
    live(cast)
    figures = [figure_of(cast.street, pair) for pair in cast.pairs]
    assert "wash in all roles" in winners(figures, beta=BETA, market=AT_REFERENCE)
    assert "roles: tokens" in winners(figures, beta=BETA / 3, market=AT_REFERENCE)


def test_shares_that_step_at_a_level_are_worth_topping_up_and_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A planted bug: the rule of before, under which a level's share held from its volume on."""

    def won() -> bool:
        figure = topped_up(2, seed=1, market=AT_REFERENCE)
        assert bool(winners([figure], beta=BETA, market=AT_REFERENCE)) == (figure.extra > 0)
        return figure.extra > 0

    assert not won()

    def step(volume: int) -> int:
        return max(level.level_bps * 100 for level in LEVELS if volume >= level.volume)

    monkeypatch.setattr(growth, "share_at", step)
    assert won()


def test_a_lone_gateway_that_got_its_fees_back_would_win_and_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A planted bug: the fee pool is shared however few have a right to it."""

    def figure() -> economy.Figure:
        return gateway_figure(SMALL, gateways=1, market=AT_REFERENCE, params=None)

    assert winners([figure()], beta=BETA, market=AT_REFERENCE) == []

    class Careless(MemoryChain):
        """Governance could set whatever it likes."""

        def _take(self, draft: Draft) -> None:
            draft.put(PARAM, "fee_sharers_min", Param(1))
            super()._take(draft)

    monkeypatch.setattr("bench.street.MemoryChain", Careless)
    found = figure()
    assert found.extra > 0
    assert winners([found], beta=BETA, market=AT_REFERENCE) == ["only clean gateway that washes"]


def test_a_level_bought_for_two_large_customers_loses() -> None:
    """Lost 0.8 dollars' worth of fees, won more on every order of 2,000 dollars, until the share
    was held to the volume that levels count."""
    cast = Cast(QUICK, seed=1, market=AT_REFERENCE)
    add_large(cast)
    live(cast)
    figure = figure_of(cast.street, cast.pairs[0])
    assert figure.real_fees == 10 * QUICK.until_day
    assert -1 < figure.extra < -0.5


def test_a_vote_ring_of_three_hundred_one_cent_buyers_costs_more_than_it_brings() -> None:
    """Each pays a cent of fee, and its whole voice is worth a tenth of what that fee can earn."""
    cast = Cast(SMALL._replace(ring=300), seed=1, market=AT_REFERENCE)
    add_ring(cast)
    live(cast)
    pair = cast.pairs[0]
    figure = figure_of(cast.street, pair)
    assert figure.fake_fees == pytest.approx(3)
    assert figure.extra < -figure.fake_fees
    more = pair.cheat.party.roles["voice"] - pair.twin.party.roles.get("voice", 0.0)
    assert more <= BETA * 0.1 * figure.fake_fees


# One person, many accounts, real purchases --------------------------------------------------------


@pytest.mark.parametrize("commission_bp", [0, 1_000])
def test_six_accounts_of_one_person_have_what_six_people_have_and_nobody_loses(
    commission_bp: int,
) -> None:
    """But for a commission, which the shop offers to whoever brings a buyer."""
    cast = Cast(SMALL, seed=1, market=AT_REFERENCE)
    add_roles(cast, "roles", commission_bp)
    live(cast)
    figure = figure_of(cast.street, cast.pairs[0])
    assert winners([figure], beta=BETA, market=AT_REFERENCE) == []
    assert abs(figure.extra) < 0.001
    assert 0 < figure.rewards < BETA * figure.real_fees
    assert figure.dollars_beside_lone < figure.commission
    assert (figure.commission > 1) == (commission_bp > 0)
    assert figure.shop_lost == pytest.approx(figure.commission, abs=0.01)
    # Each of the four conditions can fail.
    for wrong, name in (
        ({"twin": figure.cheat - 0.01}, "roles"),
        ({"rewards": figure.real_fees}, "roles: tokens"),
        ({"lone": figure.lone - 5}, "roles: dollars"),
        ({"shop_lost": figure.commission + 0.02}, "roles: the shop's loss"),
    ):
        assert name in winners([figure._replace(**wrong)], beta=BETA, market=AT_REFERENCE)


# Break-even ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gateways", "seats"), [(3, 0), (3, 1), (3, 2)])
def test_washing_breaks_even_no_sooner_than_the_formula_says(gateways: int, seats: int) -> None:
    """F4 grants every role its whole part and asks no transaction's fee."""
    point = wash(gateways=gateways, seats=seats, scale=SMALL)
    assert point.share == seats / gateways
    assert point.formula == pytest.approx((1 - point.share) / 0.4)
    assert point.dollars == pytest.approx(-(1 - point.share), abs=0.01)
    assert 0.25 < point.tokens <= BETA
    assert point.formula < point.break_even < math.inf


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_faking_a_level_costs_more_than_any_real_sales_after_it_can_bring(number: int) -> None:
    level = faked(number)
    assert level.gain < 0.21 * level.cost_with_seat < 0.1 * level.cost
    assert level.break_even_with_seat > 1.44


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
        draw(tmp_path / name, cast, figures, points, market, PRICE_REF)
    files = sorted((tmp_path / "a").iterdir())
    assert [file.name for file in files] == [
        "break-even.svg", "market.svg", "periods.svg", "strategies.svg",
    ]  # fmt: skip
    for file in files:
        ElementTree.fromstring(file.read_text())
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
