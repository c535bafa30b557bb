"""Redeeming: a holder asks, the gateway pays or refuses, the holder confirms.

Law: what is asked is locked until it ends and cannot be called back, so that a gateway which sends
fiat can be sure of the dollars; a payment counts once, by the hash of its reference; a refusal has
a listed reason and counts for the period of the ask. Part of the redemptions family.

A gateway's claim to have paid is taken at its word here: whether it is true is for the holder to
say (`contests.py`), or for its silence. What a gateway may be asked for stands in `diligence.py`,
prices in `quotes.py`, how a redemption ends in `payouts.py`.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.tx.accounts import freeze_of, frozen_ms, is_frozen
from state.tx.compliance import is_case_of
from state.tx.diligence import check_credit, note_refusal
from state.tx.gateways import (
    GATEWAY,
    GATEWAY_NOT_ACTIVE,
    LEFT,
    NOT_OPERATOR,
    UNKNOWN_GATEWAY,
    operated_by,
)
from state.tx.money import REDEMPTIONS, check_balance, hold_parts
from state.tx.payouts import (
    ASK_FEE,
    CLAIMED,
    NOT_HOLDER,
    OPEN,
    PENDING,
    REDEEMED,
    REDEMPTION,
    REFUSED,
    Open,
    Redemption,
    give_back,
    go_on,
    open_redemption,
    settle,
)
from state.tx.periods import period_of
from state.tx.positions import (
    ASKED_MAX,
    CENT,
    PAID_ON,
    SUPPLY_LIMIT,
    change_position,
    check_reference,
    position_of,
    use_reference,
)
from state.tx.quotes import check_fiat, check_served, use_quote

BELOW_MINIMUM: Final = (1505, "BELOW_MINIMUM")
NOT_WHOLE_CENTS: Final = (1506, "NOT_WHOLE_CENTS")
UNKNOWN_CASE: Final = (1510, "UNKNOWN_CASE")

BY_HOLDER, BY_GATEWAY = 1, 2  # lists of redemptions


def apply_redeem(ctx: Context, fields: Fields) -> None:
    """Ask a gateway for fiat at par; the dollars are locked until it is settled."""
    name, amount, currency, payout_hash, quote = fields
    params = ctx.params
    gateway = ctx.require(GATEWAY, name, UNKNOWN_GATEWAY, gateway=name)
    if gateway.status == LEFT:
        raise Rejected(GATEWAY_NOT_ACTIVE, gateway=name, status=gateway.status)
    check_served(name, gateway, currency)
    if amount < params["redeem_minimum"]:
        raise Rejected(BELOW_MINIMUM, minimum=str(params["redeem_minimum"]))
    if amount % CENT:
        raise Rejected(NOT_WHOLE_CENTS)
    fiat, quote_id = check_fiat(ctx, name, currency, amount, quote)
    ask_fee = params["ask_fee"]
    check_balance(ctx.draft, ctx.sender, amount + ask_fee)
    position = position_of(ctx.draft, name)
    check_credit(ctx, name, gateway, position, amount)
    if position.asked + amount > ASKED_MAX:
        raise Rejected(SUPPLY_LIMIT)
    # From here on nothing can fail.
    rid = ctx.object_id
    now_ms = ctx.now(REDEMPTIONS)
    due_ms = now_ms + params["redeem_deadline_ms"]
    deposit = min(amount * params["contest_deposit_bps"] // 10_000, params["contest_deposit"])
    stood_ms, parked = frozen_ms(ctx.draft, ctx.sender, now_ms), False
    # By place: twenty names would cost as much as writing two rows.
    redemption = Redemption(
        ctx.sender, name, amount, ask_fee, deposit, currency, payout_hash, quote_id, fiat, PENDING,
        due_ms, stood_ms, parked, params["contest_ms"], params["ruling_ms"], params["ruling_votes"],
        period_of(ctx.draft).number, ctx.time_ms,
    )  # fmt: skip
    ctx.draft.put(REDEMPTION, rid, redemption)
    ctx.draft.put(OPEN, (ctx.sender, rid), Open())
    ctx.schedule(due_ms, rid, REDEMPTIONS)
    use_quote(ctx, quote_id, amount)
    change_position(ctx, name, asks=amount, asked=amount)
    hold_parts(ctx, ctx.sender, REDEMPTIONS, rid, ((REDEEMED, amount), (ASK_FEE, ask_fee)))
    ctx.involve(gateway.operator)
    ctx.list_under(BY_HOLDER, ctx.sender, rid)
    ctx.list_under(BY_GATEWAY, name.encode(), rid)
    ctx.emit("redemption_asked", rid, ctx.sender, name, amount, currency)


def _operated_redemption(ctx: Context, rid: bytes) -> Redemption:
    """The pending redemption at the gateway that the sender acts for, else a refusal."""
    name, _ = operated_by(ctx, ctx.sender)
    redemption = open_redemption(ctx, rid, PENDING)
    if redemption.gateway != name:
        raise Rejected(NOT_OPERATOR, gateway=redemption.gateway)
    return redemption


def apply_redeem_paid(ctx: Context, fields: Fields) -> None:
    """The gateway claims to have paid; the holder has the contest time to answer."""
    rid, reference, case = fields
    redemption = _operated_redemption(ctx, rid)
    name, holder = redemption.gateway, redemption.holder
    check_reference(ctx, PAID_ON, name, reference)
    if is_frozen(ctx.draft, holder):
        freeze = freeze_of(ctx.draft, holder)
        assert freeze is not None
        if case != (freeze.case,):
            raise Rejected(UNKNOWN_CASE, needed=freeze.case.hex())
    elif case and not is_case_of(ctx.draft, holder, case[0]):
        raise Rejected(UNKNOWN_CASE)
    # From here on nothing can fail.
    use_reference(ctx, PAID_ON, name, reference)
    claimed = redemption._replace(status=CLAIMED, reference=reference)
    claimed = go_on(ctx, rid, claimed, redemption.contest_ms)
    change_position(ctx, name, claimed=redemption.amount, fiat_out=redemption.amount)
    ctx.involve(holder)
    ctx.emit("redemption_claimed", rid, name, reference, claimed.due_ms, case)


def apply_redeem_refuse(ctx: Context, fields: Fields) -> None:
    """The gateway will not pay, for a listed reason: the dollars return."""
    rid, reason = fields
    redemption = _operated_redemption(ctx, rid)
    # From here on nothing can fail.
    is_earned = reason == "details" and not is_frozen(ctx.draft, redemption.holder)
    fee_to = ctx.sender if is_earned else b""
    give_back(ctx, rid, redemption, status=REFUSED, fee_to=fee_to, reason=reason)
    note_refusal(ctx, redemption)


def apply_redeem_confirm(ctx: Context, fields: Fields) -> None:
    """The holder has the fiat: the dollars burn, the ask fee comes back."""
    (rid,) = fields
    redemption = open_redemption(ctx, rid, CLAIMED)
    if redemption.holder != ctx.sender:
        raise Rejected(NOT_HOLDER)
    # From here on nothing can fail.
    settle(ctx, rid, redemption, ask_fee_to=redemption.holder)
