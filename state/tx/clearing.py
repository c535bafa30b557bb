"""Clearing: once a window, what gateways stand for is brought back to where the fiat is.

Dollars are redeemed at any gateway. Who issued more than was redeemed at it (N above zero) holds
fiat of others; who redeemed more than it issued (N below zero) has paid for them. A window
(`windows.py`) shares the claims over the debts (`netting.py`, F3 of the design) as obligations with
a due date (`obligations.py`); gateways in default are passed by until cured. A gateway can take
over a part of another's position (`assuming.py`). How one leaves stands in `leaving.py`, what
always holds in `clearing_laws.py`; here the family declares itself.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import Action, Context, ParamSpec
from state.fields import MICRO_MGS, Address, Amount, Bool, Hash32, Int, Struct, Text, gateway_name
from state.registry import EventSpec, Family, Kind
from state.tx.assuming import (
    ASSUME_FROM_ITSELF,
    ASSUME_NO_ROOM,
    ASSUME_TOO_MUCH,
    ASSUMED,
    apply_assume,
    giver_operator,
    make_assume,
    why_not_assume,
)
from state.tx.clearing_laws import LAWS
from state.tx.leaving import CLEARING, OBLIGATIONS_OPEN, leaving_due, look_at_leaving
from state.tx.obligations import (
    OBLIGATION,
    OBLIGATION_DEADLINE,
    OBLIGATION_STATUS,
    UNKNOWN_OBLIGATION,
    apply_confirm,
    apply_contest,
    apply_paid,
    apply_rule,
    cure,
    obligation_due,
)
from state.tx.positions import DOLLAR
from state.tx.windows import NEXT, WINDOW, announce, hold_window, next_window, window_id

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


def _do_due(ctx: Context, object_id: bytes) -> None:
    """A window, an obligation's deadline, or a gateway that can leave."""
    obligation = ctx.draft.get(OBLIGATION, object_id)
    if object_id == window_id(next_window(ctx.draft).number):
        hold_window(ctx)
    elif obligation is not None:
        obligation_due(ctx, object_id, obligation)
    else:
        leaving_due(ctx, object_id)


def _apply_genesis(ctx: Context, _genesis: Genesis) -> None:
    announce(ctx, 0)


_ID: Final = Hash32()
_NAME: Final = gateway_name()
_TIME: Final = Int(0, INT_MAX)
_REASON: Final = Text(MEMO_BYTES_MAX)
_PAIR: Final = {"debtor": _NAME, "creditor": _NAME}

KINDS: Final = (
    Kind(
        "obligation_paid",
        Struct(obligation=_ID, reference=Hash32()),
        apply_paid,
        200,
        "The debtor's operator says that the fiat was paid.",
        ends=True,
    ),
    Kind(
        "obligation_confirm",
        Struct(obligation=_ID),
        apply_confirm,
        200,
        "The creditor's operator confirms that the fiat arrived.",
        ends=True,
    ),
    Kind(
        "obligation_contest",
        Struct(obligation=_ID, reason=_REASON),
        apply_contest,
        200,
        "The creditor's operator says that no fiat came; attestors rule.",
        ends=True,
    ),
    Kind(
        "obligation_rule",
        Struct(obligation=_ID, creditor=Bool()),
        apply_rule,
        200,
        "An attestor says who is right: the creditor, or the debtor.",
        ends=True,
    ),
    Kind(
        "position_assume",
        Struct(**{"from": _NAME}, amount=Amount()),
        apply_assume,
        300,
        "A gateway takes over a part of another's position, whose operator signs too.",
        cosigners=giver_operator,
    ),
)

EVENTS: Final = (
    EventSpec(
        "clearing_held",
        Struct(window=_TIME, cleared=Amount(), obligations=Int(1, INT_MAX)),
        "A window cleared something.",
    ),
    EventSpec(
        "obligation_made",
        Struct(obligation=_ID, **_PAIR, amount=Amount(), fiat=Amount(), due_ms=_TIME),
        "One gateway has to pay another; the fiat with its margin, in micro-dollars.",
    ),
    EventSpec(
        "obligation_claimed",
        Struct(obligation=_ID, gateway=_NAME, reference=Hash32(), due_ms=_TIME),
        "The debtor says that it has paid; silence until then confirms.",
    ),
    EventSpec(
        "obligation_contested",
        Struct(obligation=_ID, gateway=_NAME, reason=_REASON, due_ms=_TIME),
        "The creditor says that no fiat came; attestors have until then.",
    ),
    EventSpec(
        "obligation_ruled",
        Struct(obligation=_ID, attestor=Address(), creditor=Bool()),
        "An attestor said who is right.",
    ),
    EventSpec(
        "obligation_settled",
        Struct(obligation=_ID, **_PAIR, amount=Amount()),
        "Paid: both positions moved.",
    ),
    EventSpec(
        "obligation_overdue",
        Struct(obligation=_ID, **_PAIR, lapse_ms=_TIME),
        "Past its due date: the debtor may not issue.",
    ),
    EventSpec(
        "obligation_lapsed",
        Struct(obligation=_ID, **_PAIR, amount=Amount(), cut=Amount(MICRO_MGS, lowest=0)),
        "Never paid: the claim is back, the debtor in default; what its bond lost, in micro-MGS.",
    ),
    EventSpec("gateway_cured", Struct(gateway=_NAME), "Windows count it again."),
    EventSpec(
        "position_assumed",
        Struct(gateway=_NAME, giver=_NAME, amount=Amount()),
        "A gateway stands for a part of another's position from here on.",
    ),
)

FAMILY: Final = Family(
    number=CLEARING,
    name="clearing",
    kinds=KINDS,
    tables=(OBLIGATION, OBLIGATIONS_OPEN, WINDOW, NEXT, ASSUMED),
    refusals=(
        UNKNOWN_OBLIGATION, OBLIGATION_STATUS, OBLIGATION_DEADLINE, ASSUME_FROM_ITSELF,
        ASSUME_TOO_MUCH, ASSUME_NO_ROOM,
    ),
    params=(
        ParamSpec(
            "clearing_window_ms", _DAY_MS, _HOUR_MS, 7 * _DAY_MS,
            "live time from one window to the next", is_time=True,
        ),
        ParamSpec(
            "clearing_minimum", 100 * DOLLAR, 0, 10_000 * DOLLAR,
            "a smaller claim waits for the next window",
        ),
        ParamSpec("clearing_margin_bps", 5, 0, 100, "what the debtor pays beyond the amount"),
        ParamSpec(
            "obligation_due_ms", 3 * _DAY_MS, _DAY_MS, 14 * _DAY_MS,
            "live time in which an obligation is to be paid", is_time=True,
        ),
        ParamSpec(
            "obligation_grace_ms", 7 * _DAY_MS, _DAY_MS, 30 * _DAY_MS,
            "live time after which what is past due lapses", is_time=True,
        ),
        ParamSpec(
            "obligation_contest_ms", 3 * _DAY_MS, _DAY_MS, 14 * _DAY_MS,
            "live time after which a creditor's silence confirms", is_time=True,
        ),
        ParamSpec(
            "obligation_rule_ms", 14 * _DAY_MS, _DAY_MS, 30 * _DAY_MS,
            "live time that attestors have to rule on a contest", is_time=True,
        ),
        ParamSpec(
            "default_bond_bp", 1_000, 0, 10_000,
            "share of its bond that a debtor loses to the creditor for each lapsed obligation",
        ),
    ),
    events=EVENTS,
    laws=LAWS,
    genesis=_apply_genesis,
    due=_do_due,
    hooks={
        "position_changed": look_at_leaving,
        "gateway_leaving": look_at_leaving,
        "gateway_cleared": cure,
    },
    actions={
        "assume": Action(
            Struct(gateway=_NAME, **{"from": _NAME}, amount=Amount()),
            why_not_assume,
            make_assume,
        ),
    },
)  # fmt: skip
