"""Redemptions: a holder takes its dollars to any gateway and gets fiat at par.

Law: what is open locks exactly what was asked and stands in the due queue (or is parked, while its
holder is frozen); each gateway's asks and claims are the sums of its open redemptions, what is used
of a quote is the sum of what was redeemed on it, and each period's tally that of what was refused.

    pending --paid--> claimed --confirm, silence--------------> paid       burned
       |                 `--contest--> contested --for it-----> paid       burned, deposit to it
       |                                   `--for holder, time> returned   strike
       |--refuse--------------------------------------------->  refused
       |--deadline------------------------------------------->  expired    strike
       `--holder seized-------------------------------------->  seized

Who loses a contest pays: the holder its deposit, to the gateway, beside the ask fee; the gateway
a part of its bond, as for a deadline missed, half of it to the holder (`diligence.py`).
How they end stands in `payouts.py`, prices in `quotes.py`. Longer than a page because a family
declares itself in one place.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import Context, Fields, ParamSpec
from state.fields import (
    Address,
    Amount,
    Bool,
    Choice,
    Hash32,
    Int,
    Optional,
    Struct,
    Text,
    gateway_name,
)
from state.registry import EventSpec, Family, Kind, Law
from state.tx.accounts import freeze_of, frozen_ms, is_frozen, is_linked
from state.tx.compliance import is_case_of
from state.tx.diligence import (
    CREDIT,
    CREDIT_EXHAUSTED,
    DILIGENCE_EVENTS,
    DILIGENCE_KINDS,
    STRIKES,
    TALLY,
    check_credit,
    fail,
    note_refusal,
    on_period_closed,
    on_stop_cleared,
)
from state.tx.gateways import (
    ATTESTOR,
    GATEWAY,
    GATEWAY_NOT_ACTIVE,
    LEFT,
    NOT_OPERATOR,
    UNKNOWN_GATEWAY,
    is_listed,
    operated_by,
)
from state.tx.money import REDEMPTIONS, check_balance, hold, hold_parts
from state.tx.payouts import (
    ASK_FEE,
    CLAIMED,
    CONTEST,
    CONTESTED,
    DEPOSIT,
    EXPIRED,
    OPEN,
    PENDING,
    REDEEMED,
    REDEMPTION,
    REDEMPTION_DEADLINE,
    REDEMPTION_STATUS,
    REFUSED,
    RETURNED,
    SEIZED,
    SWEEP,
    UNKNOWN_REDEMPTION,
    Contest,
    Open,
    Redemption,
    begin_sweep,
    give_back,
    go_on,
    open_redemption,
    operator_of,
    put_off,
    seize,
    settle,
    status_of,
    sweep,
)
from state.tx.periods import period_of
from state.tx.positions import (
    ASKED_MAX,
    CENT,
    DOLLAR,
    PAID_ON,
    SUPPLY_LIMIT,
    change_position,
    check_reference,
    position_of,
    use_reference,
)
from state.tx.quotes import (
    CURRENT,
    QUOTE,
    QUOTE_EVENTS,
    QUOTE_KINDS,
    QUOTE_REFUSALS,
    check_fiat,
    check_served,
    use_quote,
)
from state.tx.redemption_laws import check_redemptions

NOT_HOLDER: Final = (1503, "NOT_HOLDER")
BELOW_MINIMUM: Final = (1505, "BELOW_MINIMUM")
NOT_WHOLE_CENTS: Final = (1506, "NOT_WHOLE_CENTS")
UNKNOWN_CASE: Final = (1510, "UNKNOWN_CASE")
RULER_NOT_LISTED: Final = (1511, "RULER_NOT_LISTED")
RULER_LINKED: Final = (1512, "RULER_LINKED")
ALREADY_RULED: Final = (1513, "ALREADY_RULED")

BY_HOLDER, BY_GATEWAY = 1, 2  # lists of redemptions
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


# Asking and paying ---------------------------------------------------------------------------


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


# The holder's answer -------------------------------------------------------------------------


def apply_redeem_confirm(ctx: Context, fields: Fields) -> None:
    """The holder has the fiat: the dollars burn, the ask fee comes back."""
    (rid,) = fields
    redemption = open_redemption(ctx, rid, CLAIMED)
    if redemption.holder != ctx.sender:
        raise Rejected(NOT_HOLDER)
    # From here on nothing can fail.
    settle(ctx, rid, redemption, ask_fee_to=redemption.holder)


def apply_redeem_contest(ctx: Context, fields: Fields) -> None:
    """The holder has not been paid: a deposit is held until attestors, or time, have ruled."""
    rid, reason = fields
    redemption = open_redemption(ctx, rid, CLAIMED)
    if redemption.holder != ctx.sender:
        raise Rejected(NOT_HOLDER)
    check_balance(ctx.draft, ctx.sender, redemption.deposit)
    # From here on nothing can fail.
    contested = redemption._replace(status=CONTESTED)
    contested = go_on(ctx, rid, contested, redemption.ruling_ms)
    hold(ctx, ctx.sender, REDEMPTIONS, rid, DEPOSIT, redemption.deposit)
    ctx.draft.put(CONTEST, rid, Contest(reason, redemption.ruling_votes, ()))
    ctx.involve(operator_of(ctx.draft, redemption))
    ctx.emit("redemption_contested", rid, redemption.gateway, reason, contested.due_ms)


def apply_redeem_rule(ctx: Context, fields: Fields) -> None:
    """A listed attestor says who is right; enough equal votes of those listed now decide."""
    rid, is_for_holder = fields
    if not is_listed(ctx.draft, ATTESTOR, ctx.sender):
        raise Rejected(RULER_NOT_LISTED)
    redemption = open_redemption(ctx, rid, CONTESTED)
    operator = operator_of(ctx.draft, redemption)
    for party in (redemption.holder, operator):
        if is_linked(ctx.draft, ctx.sender, party):
            raise Rejected(RULER_LINKED)
    contest = ctx.draft.get(CONTEST, rid)
    assert contest is not None, "what is contested has a contest"
    if any(is_linked(ctx.draft, ctx.sender, voter) for voter, _ in contest.votes):
        raise Rejected(ALREADY_RULED)
    # From here on nothing can fail.
    votes = (*contest.votes, (ctx.sender, is_for_holder))
    ctx.draft.put(CONTEST, rid, contest._replace(votes=votes))
    ctx.emit("redemption_ruled", rid, ctx.sender, is_for_holder)
    equal = [voter for voter, voted in votes if voted == is_for_holder]
    if sum(is_listed(ctx.draft, ATTESTOR, voter) for voter in equal) < contest.needed:
        return
    if is_for_holder:
        _lose(ctx, rid, redemption)
    else:
        settle(ctx, rid, redemption, ask_fee_to=operator)


def _lose(ctx: Context, rid: bytes, redemption: Redemption) -> None:
    """The gateway claimed a payment and could not make it good."""
    give_back(ctx, rid, redemption, status=RETURNED)
    fail(ctx, rid, redemption)


# By the clock --------------------------------------------------------------------------------


def _do_due(ctx: Context, rid: bytes) -> None:
    """Silence confirms a claim; a deadline without payment or ruling is for the holder."""
    redemption = ctx.draft.get(REDEMPTION, rid)
    if redemption is None:
        sweep(ctx, rid)
    elif status_of(ctx.draft, redemption) == SEIZED:
        seize(ctx, rid, redemption)
    elif put_off(ctx, rid, redemption):
        return
    elif redemption.status == CLAIMED:
        settle(ctx, rid, redemption, ask_fee_to=operator_of(ctx.draft, redemption))
    elif redemption.status == CONTESTED:
        _lose(ctx, rid, redemption)
    else:
        assert redemption.status == PENDING
        give_back(ctx, rid, redemption, status=EXPIRED)
        fail(ctx, rid, redemption)


# The family ----------------------------------------------------------------------------------

_ID = Hash32()
_TEXT = Text(MEMO_BYTES_MAX)
_DUE = Int(0, INT_MAX)

KINDS: Final = (
    Kind(
        "dollar_redeem",
        Struct(
            gateway=gateway_name(),
            amount=Amount(),
            currency=Text(8, lowest=1),
            payout_hash=Hash32(),
            quote=Optional(Hash32()),
        ),
        apply_redeem,
        200,
        "Ask a gateway for fiat at par; the dollars are locked until it is settled."
        " Another currency than USD needs a quote.",
    ),
    Kind(
        "dollar_redeem_paid",
        Struct(redemption=_ID, reference=Hash32(), case=Optional(Hash32())),
        apply_redeem_paid,
        200,
        "The gateway's operator claims that the fiat was paid; for a frozen holder it names the"
        " case.",
        ends=True,
    ),
    Kind(
        "dollar_redeem_refuse",
        Struct(redemption=_ID, reason=Choice("details", "compliance", "bank")),
        apply_redeem_refuse,
        200,
        "The gateway's operator refuses a redemption for a listed reason.",
        ends=True,
    ),
    Kind(
        "dollar_redeem_confirm",
        Struct(redemption=_ID),
        apply_redeem_confirm,
        200,
        "The holder confirms that the fiat arrived.",
        ends=True,
    ),
    Kind(
        "dollar_redeem_contest",
        Struct(redemption=_ID, reason=_TEXT),
        apply_redeem_contest,
        200,
        "The holder denies that the fiat arrived, and leaves a deposit.",
        ends=True,
    ),
    Kind(
        "dollar_redeem_rule",
        Struct(redemption=_ID, holder=Bool()),
        apply_redeem_rule,
        200,
        "A listed attestor says whether the holder is right.",
        ends=True,
    ),
    *QUOTE_KINDS,
    *DILIGENCE_KINDS,
)

EVENTS: Final = (
    EventSpec(
        "redemption_asked",
        Struct(
            redemption=_ID,
            holder=Address(),
            gateway=gateway_name(),
            amount=Amount(),
            currency=_TEXT,
        ),
        "A holder asked for fiat.",
    ),
    EventSpec(
        "redemption_claimed",
        Struct(
            redemption=_ID,
            gateway=gateway_name(),
            reference=Hash32(),
            due_ms=_DUE,
            case=Optional(Hash32()),
        ),
        "The gateway says that it paid; silence until then confirms.",
    ),
    EventSpec(
        "redemption_paid",
        Struct(redemption=_ID, holder=Address(), gateway=gateway_name(), amount=Amount()),
        "Confirmed, by the holder, by silence or by ruling: the dollars are burned.",
    ),
    EventSpec(
        "redemption_contested",
        Struct(redemption=_ID, gateway=gateway_name(), reason=_TEXT, due_ms=_DUE),
        "The holder says that nothing arrived; without a ruling until then it is right.",
    ),
    EventSpec(
        "redemption_ruled",
        Struct(redemption=_ID, attestor=Address(), holder=Bool()),
        "An attestor's vote on a contest.",
    ),
    EventSpec(
        "redemption_returned",
        Struct(
            redemption=_ID, holder=Address(), gateway=gateway_name(), amount=Amount(), status=_TEXT
        ),
        "Refused, expired or ruled for the holder: the dollars are back.",
    ),
    EventSpec(
        "redemption_seized",
        Struct(
            redemption=_ID,
            holder=Address(),
            to=Address(),
            gateway=gateway_name(),
            amount=Amount(),
        ),
        "Its holder was seized: the dollars are with whom the proposal named.",
    ),
    *QUOTE_EVENTS,
    *DILIGENCE_EVENTS,
)

_PARAMS: Final = (
    ParamSpec("redeem_minimum", 10 * DOLLAR, DOLLAR, 100 * DOLLAR, "least redemption"),
    ParamSpec("ask_fee", DOLLAR // 10, 0, 10 * DOLLAR, "held while a redemption is open"),
    ParamSpec(
        "redeem_deadline_ms", 24 * _HOUR_MS, 4 * _HOUR_MS, 5 * _DAY_MS,
        "live time that a gateway has to pay or refuse", is_time=True,
    ),
    ParamSpec(
        "contest_ms", 3 * _DAY_MS, _DAY_MS, 14 * _DAY_MS,
        "live time after which silence confirms a claim", is_time=True,
    ),
    ParamSpec(
        "contest_deposit_bps", 100, 0, 1_000, "share of the amount that a contest takes as deposit"
    ),
    ParamSpec("contest_deposit", 100 * DOLLAR, 0, 10_000 * DOLLAR, "most that a contest takes"),
    ParamSpec(
        "ruling_ms", 14 * _DAY_MS, 3 * _DAY_MS, 30 * _DAY_MS,
        "live time after which a contest is the holder's", is_time=True,
    ),
    ParamSpec("ruling_votes", 2, 2, 15, "equal votes of attestors that rule on a contest"),
    ParamSpec(
        "credit_floor", 50_000 * DOLLAR, 0, 10_000_000 * DOLLAR,
        "how far below zero redemptions may take a gateway's position",
    ),
    ParamSpec(
        "refusal_limit_bps", 1_000, 500, 5_000,
        "share of the value asked of it in a period that a gateway may refuse",
    ),
    ParamSpec(
        "strike_bond_bps", 500, 100, 1_000, "most of its bond that a gateway loses in a period"
    ),
    ParamSpec(
        "strike_full", 50_000 * DOLLAR, 1_000 * DOLLAR, 10_000_000 * DOLLAR,
        "a failed redemption of this amount costs all that a period can take",
    ),
    ParamSpec(
        "strike_minimum", 100 * DOLLAR, DOLLAR, 1_000 * DOLLAR,
        "failed redemptions of a period that make a strike",
    ),
    ParamSpec("strike_limit", 3, 1, 10, "strikes at which a gateway may not issue until cleared"),
)  # fmt: skip

FAMILY: Final = Family(
    number=REDEMPTIONS,
    name="redemptions",
    kinds=KINDS,
    tables=(REDEMPTION, OPEN, SWEEP, CREDIT, TALLY, STRIKES, QUOTE, CURRENT, CONTEST),
    refusals=(
        UNKNOWN_REDEMPTION, REDEMPTION_STATUS, NOT_HOLDER, REDEMPTION_DEADLINE, BELOW_MINIMUM,
        NOT_WHOLE_CENTS, CREDIT_EXHAUSTED, UNKNOWN_CASE, RULER_NOT_LISTED, RULER_LINKED,
        ALREADY_RULED, *QUOTE_REFUSALS,
    ),
    params=_PARAMS,
    events=EVENTS,
    laws=(Law("redemptions", check_redemptions),),
    due=_do_due,
    hooks={
        "period_closed": on_period_closed, "thawed": begin_sweep, "seized": begin_sweep,
        "stop_cleared": on_stop_cleared,
    },
)  # fmt: skip
