"""Rewards: the records of mining and the arithmetic of F4. Part of the token family.

Everything is counted in *fees*: what an account did in a period is how many micro-dollars of fees
hang on it in each role. A period's rates are fixed when it closes; an account's reward is then a
function of its fees, computed when it is claimed:

    G(f)        = min(B * f // F, f * kappa // 1_000_000)
    buyer       = G(f) * 3000 // 10_000, and likewise shop, distributor, reviewer and voice

So a claim costs the same for one order and for a million, a refund gives back
share(before) - share(after), and nothing is ever a sum of roundings. G is superadditive: what all
accounts earn in a role is at most what G gives for all their fees together, so the sum over
everybody and all roles is at most min(B, kappa * F), and what is fixed at the close suffices.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from state.context import CLOCK, PARAM, Context, ParamSpec, family_ms, pause_of
from state.draft import Reader
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.periods import period_of
from state.tx.sums import with_more
from state.tx.tokens import TOKEN_FAMILY, add_token_totals, token_totals_of

BPS: Final = 10_000
MICRO: Final = 1_000_000
BUYER_BPS, SHOP_BPS, DISTRIBUTOR_BPS, REVIEWER_BPS, VOICE_BPS = 3_000, 2_000, 2_500, 1_500, 1_000
assert BUYER_BPS + SHOP_BPS + DISTRIBUTOR_BPS + REVIEWER_BPS + VOICE_BPS == BPS
VOICE_PART: Final = 10  # one direction takes at most this part of what was granted
_DAY_MS: Final = 24 * 3_600_000


class Mining(NamedTuple):
    """A period of mining, under its number; a period in which nothing happened has none.

    1. `fees` and the three below it count what became final in it; fixed when it closes.
    2. `claim_until_ms` is 0 while it runs; so are `offer` and `kappa`.
    3. `claims` is at least what the accounts can still claim of it.
    """

    fees: int  # F, micro-dollars
    distributed: int  # fees of orders with a distributor, each times its share
    reviewed: int  # fees of the lines reviewed by the end of the period
    led: int  # fees of orders that name who led to them
    offer: int  # B, micro-MGS
    kappa: int  # micro-MGS for a dollar of fee
    claims: int  # reserved and not claimed yet
    reviews: int  # reserved for lines that are not reviewed yet
    claimed: int  # so far, less what is owed back
    voice_until_ms: int  # times on the token's clock
    review_until_ms: int
    claim_until_ms: int

    @property
    def is_closed(self) -> bool:
        """Whether its rates are fixed."""
        return self.claim_until_ms > 0


class Mined(NamedTuple):
    """A final order that counts for mining."""

    period: int
    fee: int  # f: on what the shop keeps by now; micro-dollars
    reviewed: int  # value of the reviewed lines x rep_bps; at most the order's total x 10,000
    distributor: tuple[bytes, ...]
    share_ppm: int  # of the distributor's part
    leader: tuple[bytes, ...]  # who led to it


class Earned(NamedTuple):
    """What hangs on an account in a period: fees in micro-dollars by role, then micro-MGS."""

    buyer: int
    shop: int
    distributor: int  # times its share
    reviewer: int  # of the lines that it reviewed
    led: int  # of orders to which it led
    led_out: int  # of its own orders that name who led to them
    voice: int  # micro-MGS that were directed to it in this period
    claimed: int  # micro-MGS


class Debt(NamedTuple):
    """What an account was paid for sales that were undone later; netted from its next claims."""

    amount: int  # micro-MGS


MINING: Final[Table[int, Mining]] = Table(147, "token/mining", Mining, int_key())
MINED: Final[Table[bytes, Mined]] = Table(148, "token/mined", Mined, bytes_key())
# Key: (account, period).
EARNED: Final[Table[tuple[bytes, int], Earned]] = Table(
    149, "token/earned", Earned, pair_key(bytes_key(), int_key())
)
DEBT: Final[Table[bytes, Debt]] = Table(150, "token/debt", Debt, bytes_key())
NO_MINING: Final = Mining(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
NOTHING: Final = Earned(0, 0, 0, 0, 0, 0, 0, 0)

MINING_PARAMS: Final = (
    ParamSpec(
        "mining_emission_ppm", 475, 0, 2_000,
        "share of the mining pool that a period offers; 475 a day halves it in four years",
    ),
    ParamSpec(
        "mining_beta_bps", 4_000, 0, 5_000,
        "most that all rewards for an order are worth at the reference price, of its fee",
    ),
    ParamSpec(
        "mining_price_ref", 100_000, 1_000, MICRO * MICRO,
        "micro-dollars for a token; governance keeps it at or above the market",
    ),
    ParamSpec(
        "mining_review_ms", 60 * _DAY_MS, 7 * _DAY_MS, 180 * _DAY_MS,
        "how long after its period the reviewer's part of an order waits", is_time=True,
    ),
    ParamSpec(
        "mining_claim_ms", 360 * _DAY_MS, 180 * _DAY_MS, 720 * _DAY_MS,
        "how long after its period a reward can be claimed", is_time=True,
    ),
    ParamSpec(
        "voice_ms", 90 * _DAY_MS, 30 * _DAY_MS, 360 * _DAY_MS,
        "how long a voice is good for, at least; at most a ninth longer", is_time=True,
    ),
)  # fmt: skip


def mining_of(reader: Reader, period: int) -> Mining:
    """The period's row, `NO_MINING` if nothing happened in it."""
    return reader.get(MINING, period) or NO_MINING


def earned_of(reader: Reader, account: bytes, period: int) -> Earned:
    """What hangs on the account in the period."""
    return reader.get(EARNED, (account, period)) or NOTHING


def debt_of(reader: Reader, account: bytes) -> int:
    """Micro-MGS that the account's next claims are short of."""
    row = reader.get(DEBT, account)
    return row.amount if row else 0


def token_now(reader: Reader) -> int:
    """What the token's clock showed at the last block (in a transaction: at this one)."""
    clock = reader.get(CLOCK, b"")
    assert clock is not None, "the genesis sets the clock"
    return family_ms(pause_of(reader, TOKEN_FAMILY), clock.live_ms)


# F4 ---------------------------------------------------------------------------------------


def kappa_of(beta_bps: int, price_ref: int) -> int:
    """Micro-MGS for a dollar of fee."""
    return beta_bps * MICRO * MICRO // (BPS * price_ref)


def bound_of(rates: Mining, fees: int) -> int:
    """G: what all rewards for these fees together are at most, in micro-MGS."""
    if fees == 0 or rates.fees == 0:
        return 0
    return min(rates.offer * fees // rates.fees, fees * rates.kappa // MICRO)


def part_of(rates: Mining, fees: int, role_bps: int) -> int:
    """A role's part for these fees."""
    return bound_of(rates, fees) * role_bps // BPS


def led_part_of(rates: Mining, fees: int) -> int:
    """What orders of these fees direct by themselves to who led to them: a tenth of their voice."""
    return part_of(rates, fees, VOICE_BPS) // VOICE_PART


def parts_of(rates: Mining, earned: Earned) -> dict[str, int]:
    """What an account earned in a period, by role; voice is what others directed to it."""
    return {
        "buyer": part_of(rates, earned.buyer, BUYER_BPS),
        "shop": part_of(rates, earned.shop, SHOP_BPS),
        "distributor": part_of(rates, earned.distributor, DISTRIBUTOR_BPS),
        "reviewer": part_of(rates, earned.reviewer, REVIEWER_BPS),
        "leader": led_part_of(rates, earned.led),
        "voice": earned.voice,
    }


def entitled(rates: Mining, earned: Earned) -> int:
    """All that an account earned in a period, claimed or not: the sum of `parts_of`."""
    buyer, shop, distributor, reviewer, led, _, voice, _ = earned
    total = voice
    for fees, role_bps in (
        (buyer, BUYER_BPS),
        (shop, SHOP_BPS),
        (distributor, DISTRIBUTOR_BPS),
        (reviewer, REVIEWER_BPS),
    ):
        if fees:  # most accounts have one role
            total += part_of(rates, fees, role_bps)
    return total + led_part_of(rates, led) if led else total


def claimable(rates: Mining, earned: Earned) -> int:
    """What of it can still be claimed."""
    return max(0, entitled(rates, earned) - earned.claimed)


def rates_of(reader: Reader, period: int) -> Mining:
    """The period's rates; of the running one those that it would have if it ended now."""
    mining = mining_of(reader, period)
    if mining.is_closed:
        return mining
    emission, beta, price = (_param(reader, spec) for spec in MINING_PARAMS[:3])
    offer = token_totals_of(reader).pool * emission // MICRO
    return mining._replace(offer=offer, kappa=kappa_of(beta, price))


def _param(reader: Reader, spec: ParamSpec) -> int:
    row = reader.get(PARAM, spec.name)
    return row.value if row else spec.default


# The one way to change what an account has earned --------------------------------------------


def change_earned(ctx: Context, account: bytes, period: int, **more: int) -> tuple[Earned, Earned]:
    """Add to what hangs on an account; (before, after).

    Where the period is closed, what it can claim less goes back to the pool, and what it has
    claimed too much it owes.
    """
    before = earned_of(ctx.draft, account, period)
    after = with_more(before, **more)
    assert min(after) >= 0, "no more is taken back than was counted"
    mining = mining_of(ctx.draft, period)
    if mining.is_closed:
        after = _settle(ctx, account, period, mining, before, after)
    ctx.draft.put(EARNED, (account, period), after)
    return before, after


def _settle(
    ctx: Context, account: bytes, period: int, mining: Mining, before: Earned, after: Earned
) -> Earned:
    entitled_now = entitled(mining, after)
    less = claimable(mining, before) - max(0, entitled_now - after.claimed)
    if less <= 0 or ctx.now(TOKEN_FAMILY) >= mining.claim_until_ms:
        less = 0  # it can claim no less, or nothing any more
    too_much = max(0, after.claimed - entitled_now)
    if less or too_much:
        ctx.draft.put(MINING, period, with_more(mining, claims=-less, claimed=-too_much))
    if less:
        add_token_totals(ctx, reserved=-less, pool=less)
    if not too_much:
        return after
    owed = debt_of(ctx.draft, account) + too_much
    ctx.draft.put(DEBT, account, Debt(owed))
    ctx.involve(account)
    ctx.emit("reward_owed", account, period, too_much, owed)
    return with_more(after, claimed=-too_much)


def running(ctx: Context) -> int:
    """The number of the running period."""
    return period_of(ctx.draft).number
