"""Claiming what was earned, and the laws of rewards. Part of the token family.

Law: what is reserved is the sum of the open reserves; each period's covers what can still be
claimed of it, each end of voice what can still be directed; what accounts earned of a period is at
most its offer and at most kappa x its fees; and it is the sum of what its orders gave them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields, is_scheduled
from state.draft import Reader
from state.fields import MICRO_MGS, Address, Amount, Hash32, Int, Struct, Text
from state.registry import EventSpec, Kind, Law
from state.tx.mining import fee_for_mining
from state.tx.rewards import (
    BPS,
    DEBT,
    EARNED,
    MICRO,
    MINED,
    MINING,
    NOTHING,
    Debt,
    Earned,
    Mined,
    Mining,
    claimable,
    debt_of,
    earned_of,
    entitled,
    mining_of,
    token_now,
)
from state.tx.sales import ORDER
from state.tx.shops import SHOP
from state.tx.sums import with_more
from state.tx.tokens import TOKEN_FAMILY, add_token_totals, add_tokens, token_totals_of
from state.tx.voice import VOICE, VOICE_RESERVE, check_voice, reserve_id

PERIOD_NOT_CLOSED: Final = (903, "PERIOD_NOT_CLOSED")
NOTHING_TO_CLAIM: Final = (904, "NOTHING_TO_CLAIM")
CLAIM_EXPIRED: Final = (905, "CLAIM_EXPIRED")
KAPPA_IN: Final = "micro-MGS for a dollar of fees"
_FEE_ROLES: Final = ("buyer", "shop", "distributor", "reviewer", "led", "led_out")


def apply_claim(ctx: Context, fields: Fields) -> None:
    """What the sender earned in a period, less what it owes of sales that were undone."""
    (period,) = fields
    mining = mining_of(ctx.draft, period)
    earned = earned_of(ctx.draft, ctx.sender, period)
    if earned != NOTHING and not mining.is_closed:
        raise Rejected(PERIOD_NOT_CLOSED, period=period)
    amount = claimable(mining, earned)
    if amount == 0:
        raise Rejected(NOTHING_TO_CLAIM, period=period)
    if ctx.now(TOKEN_FAMILY) >= mining.claim_until_ms:
        raise Rejected(CLAIM_EXPIRED, until_ms=mining.claim_until_ms)
    # From here on nothing can fail.
    debt = debt_of(ctx.draft, ctx.sender)
    netted = min(debt, amount)
    ctx.draft.put(EARNED, (ctx.sender, period), with_more(earned, claimed=amount))
    after = mining._replace(claims=mining.claims - amount, claimed=mining.claimed + amount)
    ctx.draft.put(MINING, period, after)
    if netted == debt:
        ctx.draft.delete(DEBT, ctx.sender)
    else:
        ctx.draft.put(DEBT, ctx.sender, Debt(debt - netted))
    add_tokens(ctx, ctx.sender, amount - netted)
    add_token_totals(ctx, reserved=-amount, balances=amount - netted, pool=netted)
    ctx.emit("token_claimed", ctx.sender, period, amount, netted)


# Laws -------------------------------------------------------------------------------------


def _check_reserved(reader: Reader) -> str | None:
    periods = sum(row.claims + row.reviews for _, row in reader.items(MINING))
    voice = sum(row.left for _, row in reader.items(VOICE_RESERVE))
    reserved = token_totals_of(reader).reserved
    if periods + voice != reserved:
        return f"reserved is {reserved}, the open reserves are {periods + voice}"
    for account, debt in reader.items(DEBT):
        if debt.amount <= 0:
            return f"account {account.hex()} owes nothing and has a row for it"
    for until_ms, row in reader.items(VOICE_RESERVE):
        if row.left <= 0 or not is_scheduled(reader, TOKEN_FAMILY, until_ms, reserve_id(until_ms)):
            return f"voice until {until_ms} is empty or not in the due queue"
    return check_voice(reader, list(reader.items(VOICE)))


def _check_orders(reader: Reader) -> str | None:
    """What hangs on each account in each period is what the orders say."""
    counted: dict[tuple[bytes, int], dict[str, int]] = {}

    def add(account: bytes, period: int, role: str, fees: int) -> None:
        roles = counted.setdefault((account, period), dict.fromkeys(_FEE_ROLES, 0))
        roles[role] += fees

    for order_id, mined in reader.items(MINED):
        order = reader.get(ORDER, order_id)
        shop = reader.get(SHOP, order.shop) if order else None
        if order is None or shop is None or mined.fee != fee_for_mining(order):
            return f"order {order_id.hex()} counts for something else than its fee"
        period = mined.period
        add(order.buyer, period, "buyer", mined.fee)
        add(shop.owner, period, "shop", mined.fee)
        add(order.buyer, period, "reviewer", mined.fee * mined.reviewed // (order.total * BPS))
        for distributor in mined.distributor:
            add(distributor, period, "distributor", mined.fee * mined.share_ppm // MICRO)
        for leader in mined.leader:
            add(leader, period, "led", mined.fee)
            add(order.buyer, period, "led_out", mined.fee)
    for key, earned in reader.items(EARNED):
        roles = counted.pop(key, dict.fromkeys(_FEE_ROLES, 0))
        if any(getattr(earned, role) != roles[role] for role in _FEE_ROLES):
            return f"account {key[0].hex()} in period {key[1]} has other fees than its orders"
    missing = sorted(counted)
    return f"account {missing[0][0].hex()} has no row of its rewards" if missing else None


def _check_periods(reader: Reader) -> str | None:
    rows: dict[int, list[Earned]] = {}
    for (account, period), earned in reader.items(EARNED):
        rows.setdefault(period, []).append(earned)
        if earned.claimed < 0:
            return f"account {account.hex()} claimed less than nothing"
    for period, _ in list(rows.items()):
        if reader.get(MINING, period) is None:
            return f"period {period} has rewards and no row"
    fees = _fees_by_period(row for _, row in reader.items(MINED))
    for period, mining in reader.items(MINING):
        why = _why_not(reader, mining, rows.get(period, []), fees.get(period, 0))
        if why is not None:
            return f"period {period} {why}"
    return None


def _fees_by_period(mined: Iterable[Mined]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for row in mined:
        sums[row.period] = sums.get(row.period, 0) + row.fee
    return sums


def _why_not(reader: Reader, mining: Mining, rows: list[Earned], fees: int) -> str | None:
    """What is wrong with one period, or None."""
    if not mining.is_closed:
        sums = [sum(getattr(row, role) for row in rows) for role in _FEE_ROLES[:5]]
        kept = [mining.fees, mining.fees, mining.distributed, mining.reviewed, mining.led]
        if sums != kept or fees != mining.fees:
            return "has other fees than its orders"
        if mining.claims != sum(row.voice for row in rows):
            return "reserves something else than the voice directed in it"
        return None
    if fees > mining.fees:
        return "has rates for less fees than its orders paid"
    earned = sum(entitled(mining, row) - row.voice for row in rows)
    if earned > min(mining.offer, mining.fees * mining.kappa // MICRO):
        return f"gave {earned}, more than it offers"
    if sum(row.claimed for row in rows) != mining.claimed:
        return "paid something else than its accounts have claimed"
    open_claims = sum(claimable(mining, row) for row in rows)
    if token_now(reader) < mining.claim_until_ms and open_claims > mining.claims:
        return f"can be claimed for {open_claims}, {mining.claims} is reserved"
    return None


CLAIM_KINDS: Final = (
    Kind(
        "token_claim", Struct(period=Int(0, INT_MAX)), apply_claim, 200,
        "Claim what was earned in a period that is over.",
    ),
)  # fmt: skip
_FEES: Final = Amount(lowest=0)
_TOKENS: Final = Amount(MICRO_MGS, lowest=0)
_KAPPA: Final = Amount(KAPPA_IN, lowest=0)
_COUNT: Final = Int(0, INT_MAX)
CLAIM_EVENTS: Final = (
    EventSpec(
        "order_counted",
        Struct(order=Hash32(), period=_COUNT, fee=_FEES),
        "A final order counts for the rewards of this period.",
    ),
    EventSpec(
        "rewards_fixed",
        Struct(period=_COUNT, offer=_TOKENS, fees=_FEES, kappa=_KAPPA, reserved=_TOKENS),
        "The rates of a period, and what is reserved for it in micro-MGS.",
    ),
    EventSpec(
        "rewards_returned",
        Struct(what=Text(16), number=_COUNT, amount=Amount(MICRO_MGS)),
        "Of claims or reviews of a period, or of voice until then: back in the pool.",
    ),
    EventSpec(
        "token_claimed",
        Struct(account=Address(), period=_COUNT, amount=Amount(MICRO_MGS), netted=_TOKENS),
        "A reward was claimed; what was netted paid a debt.",
    ),
    EventSpec(
        "reward_owed",
        Struct(account=Address(), period=_COUNT, amount=Amount(MICRO_MGS), debt=_TOKENS),
        "A sale was undone after its reward was claimed: the account owes this.",
    ),
    EventSpec(
        "voice_spent",
        Struct(giver=Address(), amount=Amount(MICRO_MGS)),
        "Voice was used against a review: it is back in the pool.",
    ),
    EventSpec(
        "voice_directed",
        Struct(giver=Address(), to=Address(), source=Hash32(), amount=Amount(MICRO_MGS)),
        "A part of somebody's voice for what helped: a review, a post, an order led to.",
    ),
)
CLAIM_LAWS: Final = (
    Law("reserved", _check_reserved),
    Law("rewards", _check_orders),
    Law("periods", _check_periods),
)
