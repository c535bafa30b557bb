"""What a gateway answers for when dollars are taken to it: credit, refusals and strikes.

*Credit*: how far redemptions may take its position below zero: the network's floor, or more if the
gateway grants itself more.

*Refusals* count for the period in which the redemption was asked for, whenever they come: what a
gateway refuses of a busy day is not held against a quiet one. More than a tenth of the value asked
of it, of at least five holders who are not linked, stops it for a period.

*Strikes*: who neither pays nor refuses in time, or claims a payment and loses the contest, loses a
part of its bond in proportion to the amount, half to the holder and half to the mining pool.
1. A period takes at most `strike_bond_bps` of the bond as it was at the period's first failure,
   what of it is on its way back included: or who means to fail would unbond first.
2. A period gives at most one strike, and only once the failures of holders who are not linked to
   the gateway come to `strike_minimum` in it: one lost crumb is no strike.
3. A holder linked to the gateway gets nothing of the bond and gives no strike: an operator cannot
   carry its bond off through a friend of the same key, nor collect strikes for it.
4. A refusal is always in the gateway's hand: nobody can force a failure on one that answers.
At `strike_limit` it may not issue until governance clears the stop; then it counts from 0.
Part of the redemptions family.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields, Params
from state.draft import Reader
from state.fields import Amount, Hash32, Int, Struct, gateway_name
from state.registry import EventSpec, Kind
from state.table import Table, int_key, pair_key, text_key
from state.tx.accounts import is_linked
from state.tx.gateways import GATEWAY, LEAVING, Gateway, operated_by, stop_issuing
from state.tx.payouts import Redemption, operator_of, owner_of
from state.tx.periods import period_of
from state.tx.positions import POSITION, Position
from state.tx.tokens import liable_bond, slash_bond

CREDIT_EXHAUSTED: Final = (1508, "CREDIT_EXHAUSTED")

STRIKES_STOP, REFUSALS_STOP = "strikes", "refusals"  # reasons of a stop
REFUSED_HOLDERS: Final = 5  # so many have to be refused; more are not counted
_BPS: Final = 10_000


class Credit(NamedTuple):
    """What a gateway grants itself, micro-dollars."""

    amount: int


class Tally(NamedTuple):
    """What was asked of a gateway in a period and refused of it, micro-dollars."""

    asked_ever: int  # at the period's end, all that was ever asked of it; 0 before
    refused: int
    holders: tuple[bytes, ...]  # the first few who were refused, none linked to another
    stopped: bool  # the refusals of this period have stopped it


class Strikes(NamedTuple):
    """A gateway's strikes, and what happened in the last period in which it failed."""

    number: int
    period: int
    bond: int  # what it answered with at the period's first failure, micro-MGS
    cut: int  # of it, in the period
    failed: int  # micro-dollars of holders not linked to it, in the period
    struck: bool  # the period has its strike


CREDIT: Final[Table[str, Credit]] = Table(243, "redemptions/credit", Credit, text_key())
# Key: (period, gateway).
TALLY: Final[Table[tuple[int, str], Tally]] = Table(
    244, "redemptions/tally", Tally, pair_key(int_key(), text_key())
)
STRIKES: Final[Table[str, Strikes]] = Table(245, "redemptions/strikes", Strikes, text_key())
NO_TALLY: Final = Tally(0, 0, (), stopped=False)
NO_STRIKES: Final = Strikes(0, -1, 0, 0, 0, struck=False)


# Credit --------------------------------------------------------------------------------------


def credit_of(reader: Reader, params: Params, name: str) -> int:
    """How far below zero redemptions may take the gateway's position.

    One that leaves redeems what it stands for: below zero, crumbs would hold it for ever.
    """
    gateway = reader.get(GATEWAY, name)
    if gateway is not None and gateway.status == LEAVING:
        return 0
    row = reader.get(CREDIT, name)
    return max(params["credit_floor"], row.amount if row else 0)


def check_credit(
    ctx: Context, name: str, gateway: Gateway, position: Position, amount: int
) -> None:
    """`CREDIT_EXHAUSTED` unless the gateway must take a redemption of `amount`."""
    left = position.position - position.asks - amount
    floor = 0 if gateway.status == LEAVING else ctx.params["credit_floor"]
    if left < -floor and left < -credit_of(ctx.draft, ctx.params, name):
        raise Rejected(CREDIT_EXHAUSTED, gateway=name)


def apply_credit(ctx: Context, fields: Fields) -> None:
    """A gateway says how far it goes for holders; below the network's floor it has no say."""
    (amount,) = fields
    name, _ = operated_by(ctx, ctx.sender)
    # From here on nothing can fail.
    ctx.draft.put(CREDIT, name, Credit(amount))
    ctx.emit("gateway_credit_set", name, amount)


# Refusals ------------------------------------------------------------------------------------


def tally_of(reader: Reader, period: int, name: str) -> Tally:
    """What is known of a gateway's refusals of that period."""
    return reader.get(TALLY, (period, name)) or NO_TALLY


def asked_in(reader: Reader, period: int, name: str) -> int:
    """What was asked of the gateway in a period that is over."""
    before = tally_of(reader, period - 1, name).asked_ever if period else 0
    return tally_of(reader, period, name).asked_ever - before


def note_refusal(ctx: Context, row: Redemption) -> None:
    """Count a refusal for the period of its redemption; where that is over, judge it at once."""
    tally = tally_of(ctx.draft, row.period, row.gateway)
    holders = tally.holders
    is_full = len(holders) == REFUSED_HOLDERS
    if not is_full and not any(is_linked(ctx.draft, row.holder, other) for other in holders):
        holders = (*holders, row.holder)
    tally = tally._replace(refused=tally.refused + row.amount, holders=holders)
    ctx.draft.put(TALLY, (row.period, row.gateway), tally)
    if row.period < period_of(ctx.draft).number:
        _judge(ctx, row.period, row.gateway)


def _judge(ctx: Context, period: int, name: str) -> None:
    """Stop the gateway for the next period if it refused too much of one that is over."""
    tally = tally_of(ctx.draft, period, name)
    limit = asked_in(ctx.draft, period, name) * ctx.params["refusal_limit_bps"]
    is_too_much = tally.refused * _BPS > limit and len(tally.holders) == REFUSED_HOLDERS
    if is_too_much and not tally.stopped:
        ctx.draft.put(TALLY, (period, name), tally._replace(stopped=True))
        until_period = period_of(ctx.draft).number + 1
        stop_issuing(ctx, name, REFUSALS_STOP, until_period=until_period)


def on_period_closed(ctx: Context, index: int, _closed: Any) -> None:
    """Note what was asked of each gateway and judge what it refused: a few rows for each."""
    for name, position in list(ctx.draft.items(POSITION)):
        tally = tally_of(ctx.draft, index, name)
        ctx.draft.put(TALLY, (index, name), tally._replace(asked_ever=position.asked))
        _judge(ctx, index, name)


# Strikes -------------------------------------------------------------------------------------


def strikes_of(reader: Reader, name: str) -> Strikes:
    """A gateway's strikes."""
    return reader.get(STRIKES, name) or NO_STRIKES


def on_stop_cleared(ctx: Context, name: str, why: str) -> None:
    """Once governance has cleared what strikes led to, they count from 0."""
    if why == STRIKES_STOP:
        ctx.draft.put(STRIKES, name, strikes_of(ctx.draft, name)._replace(number=0))


def fail(ctx: Context, rid: bytes, row: Redemption) -> None:
    """The gateway failed its holder: it loses a part of its bond, and may have earned a strike."""
    name, period = row.gateway, period_of(ctx.draft).number
    liable = liable_bond(ctx.draft, name)
    number, in_period, bond, cut_before, failed, struck = strikes_of(ctx.draft, name)
    if in_period != period:
        bond, cut_before, failed, struck = liable, 0, 0, False
    is_own = is_linked(ctx.draft, row.holder, operator_of(ctx.draft, row))
    share_bps, full = ctx.params["strike_bond_bps"], ctx.params["strike_full"]
    share = bond * share_bps * min(row.amount, full) // (_BPS * full)
    left = bond * share_bps // _BPS - cut_before
    cut = max(0, min(share, left, liable))
    slash_bond(ctx, name, cut, owner_of(ctx.draft, row), 0 if is_own else cut // 2)
    failed += 0 if is_own else row.amount
    if not struck and failed >= ctx.params["strike_minimum"]:
        number, struck = number + 1, True
        ctx.emit("gateway_struck", name, rid, number)
        if number >= ctx.params["strike_limit"]:
            stop_issuing(ctx, name, STRIKES_STOP)
    after = Strikes(number, period, bond, cut_before + cut, failed, struck)
    ctx.draft.put(STRIKES, name, after)


def check_tallies(
    reader: Reader, asked: dict[tuple[int, str], int], refused: dict[tuple[int, str], int]
) -> str | None:
    """Each period's sums are those of the redemptions that were asked for in it."""
    running = period_of(reader).number
    tallies = dict(reader.items(TALLY))
    for period, name in sorted(dict.fromkeys([*tallies, *asked, *refused])):
        where = f"tally of {name} in period {period}"
        tally = tallies.get((period, name), NO_TALLY)
        if tally.refused != refused.get((period, name), 0):
            return f"{where}: refused is not the sum of its redemptions"
        if period >= running and tally.asked_ever:
            return f"{where} is closed before its time"
        if period < running and asked_in(reader, period, name) != asked.get((period, name), 0):
            return f"{where}: asked is not the sum of its redemptions"
    for name, strikes in reader.items(STRIKES):
        if strikes.period > running or not 0 <= strikes.cut <= strikes.bond:
            return f"strikes of {name}: more was cut than there was"
    return None


DILIGENCE_KINDS: Final = (
    Kind(
        "gateway_credit",
        Struct(credit=Amount()),
        apply_credit,
        100,
        "A gateway's operator says how far below zero redemptions may take its position.",
    ),
)
DILIGENCE_EVENTS: Final = (
    EventSpec(
        "gateway_credit_set",
        Struct(gateway=gateway_name(), credit=Amount()),
        "How far a gateway goes for holders, where that is beyond the network's floor.",
    ),
    EventSpec(
        "gateway_struck",
        Struct(gateway=gateway_name(), redemption=Hash32(), number=Int(1, 1_000_000)),
        "A gateway failed holders in this period: its strikes so far.",
    ),
)
