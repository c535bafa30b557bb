"""The demo's second computation of what distributors earn: whatever order the sales come in."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mgsnode.demo.expected import distributor_fees, fee_on, share_area
from state.tx.growth import BUYER_VOLUME_MAX, LEVELS, share_at

DOLLAR = 1_000_000
SALES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 30_000 * DOLLAR)), min_size=1, max_size=12
)


def in_order(sales: list[tuple[str, int]]) -> float:
    """The rule itself, sale by sale (`state/tx/growth.py`, without its rounding)."""
    bought: Counter[str] = Counter()
    fees = 0.0
    for buyer, kept in sales:
        before = min(bought[buyer], BUYER_VOLUME_MAX)
        bought[buyer] += kept
        added = min(bought[buyer], BUYER_VOLUME_MAX) - before
        volume = sum(min(each, BUYER_VOLUME_MAX) for each in bought.values())
        share = 0.4 + (share_at(volume) / 1e6 - 0.4) * added / kept
        fees += fee_on(kept) * share
    return fees


@given(SALES, st.randoms(use_true_random=False))
def test_any_order_of_the_sales_lies_between_the_two(sales, random) -> None:  # type: ignore[no-untyped-def]
    least, most = distributor_fees(sales)
    random.shuffle(sales)
    slack = 1e-5 * sum(fee_on(kept) for _, kept in sales)  # parts per million, rounded down
    assert least - slack <= in_order(sales) <= most + slack


def test_the_area_is_that_of_the_published_levels() -> None:
    steps = 40_000
    for level in LEVELS[1:]:
        width = level.volume / steps
        sums = sum(share_at(int(width * (n + 0.5))) / 1e6 - 0.4 for n in range(steps))
        assert abs(share_area(level.volume) - sums * width) < 1e-4 * level.volume
