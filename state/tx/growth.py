"""Growth: what a distributor's own level-1 final sales add up to, for ever and in 360 days (F6).

Law: the figures for ever are the sums of its sales; those of the window are the sums of the sales
that still stand in the due queue. A sale counts from the moment it is final (or is refunded whole,
which shows among the refunds only) and falls out by itself 360 days later on the family's clock,
one item of due work for each, so that no read and no transaction ever counts anything.

The *level* says what somebody has done in the window: orders, buyers, volume, refunds and time.
The *share* of tokens is money, and follows the counted volume alone: it is a level's at the
level's volume and lies on a straight line between two levels (`share_at`). A step would be worth
faking for whoever is just below it, and so would any figure that is cheaper to fake than the fee
on its volume. The line never gets steeper, so that a faked dollar moves all later sales together
by less than its whole rise: it costs more than it brings while F6's condition holds
(docs/economics.md). Thresholds are constants: whoever works by them has to know that they stay.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from mgsnode.base.limits import INT_MAX
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, pair_key
from state.tx.bindings import DAY_MS, FAMILY_NUMBER
from state.tx.sums import with_more

DOLLAR: Final = 1_000_000
WINDOW_MS: Final = 360 * DAY_MS
BUYER_FROM: Final = 20 * DOLLAR  # a buyer counts from this volume in the window
BUYER_VOLUME_MAX: Final = 1_000 * DOLLAR  # what one buyer can add to the volume


class Level(NamedTuple):
    """What a level asks for, and the share of the distributor's part of a reward at its volume."""

    orders: int
    buyers: int
    volume: int  # micro-dollars, each buyer's up to BUYER_VOLUME_MAX
    refunds_pct: int  # of the window's gross, at most
    since_first_ms: int  # since the first final sale
    level_bps: int


LEVELS: Final = (
    Level(0, 0, 0, 100, 0, 4_000),
    Level(5, 3, 200 * DOLLAR, 20, 0, 5_000),
    Level(50, 25, 2_500 * DOLLAR, 15, 30 * DAY_MS, 6_500),
    Level(500, 200, 25_000 * DOLLAR, 10, 90 * DAY_MS, 8_000),
    Level(5_000, 1_500, 250_000 * DOLLAR, 8, 180 * DAY_MS, 10_000),
)


class Growth(NamedTuple):
    """A distributor's figures: first for ever, then of the last 360 days. Micro-dollars."""

    first_final_ms: int  # on the family's clock, 0 before it
    orders_ever: int  # sales that became final
    buyers_ever: int
    volume_ever: int  # net of refunds
    refunded_ever: int
    orders: int  # final sales of which something still stands
    buyers: int  # with BUYER_FROM or more
    volume: int  # net of refunds, each buyer's up to BUYER_VOLUME_MAX
    gross: int  # what was paid in for the sales that closed
    refunded: int  # of that


class Regular(NamedTuple):
    """What a buyer bought through a distributor in the window, under (distributor, buyer)."""

    volume: int  # net of refunds


GROWTH: Final[Table[bytes, Growth]] = Table(85, "referral/growth", Growth, bytes_key())
REGULAR: Final[Table[tuple[bytes, bytes], Regular]] = Table(
    86, "referral/regular", Regular, pair_key(bytes_key(), bytes_key())
)
NO_GROWTH: Final = Growth(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def growth_of(reader: Reader, distributor: bytes) -> Growth:
    """The figures, zero for who has sold nothing."""
    return reader.get(GROWTH, distributor) or NO_GROWTH


def counted(volume: int) -> tuple[int, int]:
    """(buyers, volume) that a buyer of this volume counts for."""
    return int(volume >= BUYER_FROM), min(volume, BUYER_VOLUME_MAX)


def _add_volume(ctx: Context, distributor: bytes, buyer: bytes, by: int) -> tuple[bool, int, int]:
    """Change what the buyer bought in the window; a negative `by` takes.

    Returns (whether it is a new buyer, buyers more, counted volume more).
    """
    regular = ctx.draft.get(REGULAR, (distributor, buyer))
    before = regular.volume if regular else 0
    if regular is None or by:
        ctx.draft.put(REGULAR, (distributor, buyer), Regular(before + by))
    buyers_before, volume_before = counted(before)
    buyers, volume = counted(before + by)
    return regular is None, buyers - buyers_before, volume - volume_before


def count_sale(
    ctx: Context,
    distributor: bytes,
    buyer: bytes,
    order_id: bytes,
    *,
    gross: int,
    kept: int,
    is_final: bool,
) -> int:
    """A sale closed with `kept` of `gross` standing: final, or refunded whole before it.

    Returns when it falls out; 0 if it is not counted, because a figure would pass 64 bits.
    """
    growth = growth_of(ctx.draft, distributor)
    ever = growth.volume_ever + growth.refunded_ever + gross
    if ever > INT_MAX:
        return 0
    now_ms = ctx.now(FAMILY_NUMBER)
    is_new, buyers, volume = _add_volume(ctx, distributor, buyer, kept) if kept else (False, 0, 0)
    after = with_more(
        growth,
        first_final_ms=now_ms if kept and not growth.first_final_ms else 0,
        orders_ever=is_final,
        buyers_ever=is_new,
        volume_ever=kept,
        refunded_ever=gross - kept,
        orders=kept > 0,
        buyers=buyers,
        volume=volume,
        gross=gross,
        refunded=gross - kept,
    )
    ctx.draft.put(GROWTH, distributor, after)
    ctx.schedule(now_ms + WINDOW_MS, order_id, FAMILY_NUMBER)
    return now_ms + WINDOW_MS


def count_refund(
    ctx: Context, distributor: bytes, buyer: bytes, amount: int, kept: int, *, in_window: bool
) -> None:
    """After final `amount` more was given back, `kept` still stands."""
    growth = growth_of(ctx.draft, distributor)
    if in_window:
        is_new, buyers, volume = _add_volume(ctx, distributor, buyer, -amount)
        after = with_more(
            growth,
            buyers_ever=is_new,
            volume_ever=-amount,
            refunded_ever=amount,
            orders=-(kept == 0),
            buyers=buyers,
            volume=volume,
            refunded=amount,
        )
    else:
        after = with_more(growth, volume_ever=-amount, refunded_ever=amount)
    ctx.draft.put(GROWTH, distributor, after)


def drop_sale(ctx: Context, distributor: bytes, buyer: bytes, gross: int, kept: int) -> None:
    """A sale is 360 days old: the window forgets it as it stands now."""
    growth = growth_of(ctx.draft, distributor)
    is_new, buyers, volume = _add_volume(ctx, distributor, buyer, -kept) if kept else (False, 0, 0)
    after = with_more(
        growth,
        buyers_ever=is_new,
        orders=-(kept > 0),
        buyers=buyers,
        volume=volume,
        gross=-gross,
        refunded=kept - gross,
    )
    ctx.draft.put(GROWTH, distributor, after)


def level_of(growth: Growth, now_ms: int) -> int:
    """The highest level of which everything is met; `now_ms` on the family's clock."""
    age_ms = now_ms - growth.first_final_ms if growth.first_final_ms else 0
    for number in range(len(LEVELS) - 1, 0, -1):
        level = LEVELS[number]
        if (
            growth.orders >= level.orders
            and growth.buyers >= level.buyers
            and growth.volume >= level.volume
            and growth.refunded * 100 <= growth.gross * level.refunds_pct
            and age_ms >= level.since_first_ms
        ):
            return number
    return 0


def share_at(volume: int) -> int:
    """The share of the distributor's part at this counted volume, in parts per million.

    Parts this fine: a step of the rounding is worth less than any transaction's fee.
    """
    for below, above in pairwise(LEVELS):
        if volume < above.volume:
            rise, width = above.level_bps - below.level_bps, above.volume - below.volume
            return below.level_bps * 100 + rise * 100 * (volume - below.volume) // width
    return LEVELS[-1].level_bps * 100


def share_ppm(reader: Reader, distributor: bytes, buyer: bytes, kept: int) -> int:
    """What a sale of `kept`, counted just now, gets of the distributor's part (ppm).

    The higher share holds for what the sale added to the counted volume, the lowest one for the
    rest: otherwise a few large buyers would pay for a level that was bought.
    """
    lowest = LEVELS[0].level_bps * 100
    regular = reader.get(REGULAR, (distributor, buyer))
    volume = regular.volume if regular else 0
    added = counted(volume)[1] - counted(max(0, volume - kept))[1]
    share = share_at(growth_of(reader, distributor).volume)
    return lowest + (share - lowest) * added // kept
