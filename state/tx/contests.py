"""Contests: a holder denies that the claimed fiat arrived, and attestors rule who is right.

Law: who loses a contest pays. The holder its deposit, to the gateway, beside the ask fee; the
gateway a part of its bond, as for a deadline missed, half of it to the holder (`diligence.py`).
Without enough equal votes in time the holder is right: who claims to have paid has to show it.

An attestor linked to a side, or to one who has voted, has no vote, and only votes of those listed
when it is decided count. What the attestors looked at, the chain does not know. Part of the
redemptions family.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.table import Table, bytes_key
from state.tx.accounts import is_linked
from state.tx.diligence import fail
from state.tx.gateways import ATTESTOR, is_listed
from state.tx.money import REDEMPTIONS, check_balance, hold
from state.tx.payouts import (
    CLAIMED,
    CONTESTED,
    DEPOSIT,
    NOT_HOLDER,
    RETURNED,
    Redemption,
    give_back,
    go_on,
    open_redemption,
    operator_of,
    settle,
)

RULER_NOT_LISTED: Final = (1511, "RULER_NOT_LISTED")
RULER_LINKED: Final = (1512, "RULER_LINKED")
ALREADY_RULED: Final = (1513, "ALREADY_RULED")


class Contest(NamedTuple):
    """A holder says that it was not paid. It stays for the record when it is over."""

    reason: str
    needed: int  # equal votes that decide
    votes: tuple[tuple[bytes, bool], ...]  # (attestor, for the holder), in the order of voting


CONTEST: Final[Table[bytes, Contest]] = Table(248, "redemptions/contest", Contest, bytes_key())


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
    if is_linked(ctx.draft, ctx.sender, redemption.holder, operator):
        raise Rejected(RULER_LINKED)
    contest = ctx.draft.get(CONTEST, rid)
    assert contest is not None, "what is contested has a contest"
    if is_linked(ctx.draft, ctx.sender, *(voter for voter, _ in contest.votes)):
        raise Rejected(ALREADY_RULED)
    # From here on nothing can fail.
    votes = (*contest.votes, (ctx.sender, is_for_holder))
    ctx.draft.put(CONTEST, rid, Contest(contest.reason, contest.needed, votes))
    ctx.emit("redemption_ruled", rid, ctx.sender, is_for_holder)
    equal = [voter for voter, voted in votes if voted == is_for_holder]
    if sum(is_listed(ctx.draft, ATTESTOR, voter) for voter in equal) < contest.needed:
        return
    if is_for_holder:
        lose_contest(ctx, rid, redemption)
    else:
        settle(ctx, rid, redemption, ask_fee_to=operator)


def lose_contest(ctx: Context, rid: bytes, redemption: Redemption) -> None:
    """The gateway claimed a payment and could not make it good."""
    give_back(ctx, rid, redemption, status=RETURNED)
    fail(ctx, rid, redemption)
