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

How one is asked for and paid stands in `redeeming.py`, who is right in `contests.py`, how they end
in `payouts.py`, what a gateway answers for in `diligence.py`, prices in `quotes.py`. Here are the
deadlines, and all that the family declares: longer than a page because it does so in one place.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import Context, ParamSpec
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
from state.tx.contests import (
    ALREADY_RULED,
    CONTEST,
    RULER_LINKED,
    RULER_NOT_LISTED,
    apply_redeem_contest,
    apply_redeem_rule,
    lose_contest,
)
from state.tx.diligence import (
    CREDIT,
    CREDIT_EXHAUSTED,
    DILIGENCE_EVENTS,
    DILIGENCE_KINDS,
    STRIKES,
    TALLY,
    fail,
    on_period_closed,
    on_stop_cleared,
)
from state.tx.money import REDEMPTIONS
from state.tx.payouts import (
    CLAIMED,
    CONTESTED,
    EXPIRED,
    NOT_HOLDER,
    OPEN,
    PENDING,
    REDEMPTION,
    REDEMPTION_DEADLINE,
    REDEMPTION_STATUS,
    SEIZED,
    SWEEP,
    UNKNOWN_REDEMPTION,
    begin_sweep,
    give_back,
    operator_of,
    put_off,
    seize,
    settle,
    status_of,
    sweep,
)
from state.tx.positions import DOLLAR
from state.tx.quotes import CURRENT, QUOTE, QUOTE_EVENTS, QUOTE_KINDS, QUOTE_REFUSALS
from state.tx.redeeming import (
    BELOW_MINIMUM,
    NOT_WHOLE_CENTS,
    UNKNOWN_CASE,
    apply_redeem,
    apply_redeem_confirm,
    apply_redeem_paid,
    apply_redeem_refuse,
)
from state.tx.redemption_laws import check_redemptions

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


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
        lose_contest(ctx, rid, redemption)
    else:
        assert redemption.status == PENDING
        give_back(ctx, rid, redemption, status=EXPIRED)
        fail(ctx, rid, redemption)


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
