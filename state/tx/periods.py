"""Periods: the ledger's accounting interval, and what its end sets going.

A period ends with the first block whose time is at or past its end, before anything else is done
in that block. Ends are whole multiples of the period's length in Unix time, so that everybody
knows them in advance and attestors can look at one instant. Where an outage has swallowed several
ends, one period ends, at the last of them: in between nothing happened on the chain.

Closing costs the same for ten participants and for a million: it fires `period_closed` and shares
the fee pool among the gateways that were active, and not stopped from issuing, for all of it. While
these are fewer than three the pool waits, so that of no fee more than a third ever reaches one
gateway: what mining pays for a fee (at most half of it) and what comes back of it stay below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import digest
from mgsnode.base.limits import INT_MAX
from state.context import Context, ParamSpec
from state.draft import Reader
from state.fields import Amount, Int, Struct, gateway_name
from state.registry import EventSpec, Family, Law
from state.table import Table, bytes_key, int_key
from state.tx.gateways import ACTIVE, GATEWAY, standing_of
from state.tx.money import pay_from_pool, totals_now

FAMILY_NUMBER: Final = 14
_DAY_MS: Final = 24 * 3_600_000


class Period(NamedTuple):
    """The period that is running. `number` counts from 0 without gaps."""

    number: int
    start_ms: int  # block time: the instant at which the last one ended
    end_ms: int  # its instant; the first block at or past it closes the period


class Closed(NamedTuple):
    """A period that is over, under its index."""

    start_ms: int
    end_ms: int  # the instant: the last whole multiple not after the closing block
    height: int  # of the block that closed it


PERIOD: Final[Table[bytes, Period]] = Table(224, "periods/period", Period, bytes_key(0))
CLOSED: Final[Table[int, Closed]] = Table(225, "periods/closed", Closed, int_key())


def period_of(reader: Reader) -> Period:
    """The running period."""
    period = reader.get(PERIOD, b"")
    assert period is not None, "the genesis begins one"
    return period


def period_id(index: int) -> bytes:
    """The id under which the receipt of a period's end stands."""
    return digest(b"mgs/period", index.to_bytes(8, "big"))


def _end_after(time_ms: int, length_ms: int) -> int:
    """The first end after `time_ms`."""
    return (time_ms // length_ms + 1) * length_ms


def _begin(ctx: Context) -> Iterator[bytes]:
    """Close the running period if its end has come."""
    period = period_of(ctx.draft)
    if ctx.time_ms < period.end_ms:
        return
    yield period_id(period.number)
    length_ms = ctx.params["period_ms"]
    next_end_ms = _end_after(ctx.time_ms, length_ms)
    instant_ms = max(period.end_ms, next_end_ms - length_ms)
    closed = Closed(period.start_ms, instant_ms, ctx.height)
    ctx.draft.put(CLOSED, period.number, closed)
    ctx.draft.put(PERIOD, b"", Period(period.number + 1, instant_ms, next_end_ms))
    ctx.emit("period_closed", period.number, instant_ms)
    _share_fees(ctx, closed)
    ctx.fire("period_closed", period.number, closed)


def _share_fees(ctx: Context, closed: Closed) -> None:
    """Equal shares of the fee pool; what does not divide, or waits, stays for the next period."""
    entitled = [
        (name, row)
        for name, row in ctx.draft.items(GATEWAY)
        if row.status == ACTIVE and standing_of(ctx.draft, name).is_clean_since(closed.start_ms)
    ]
    if len(entitled) < ctx.params["fee_sharers_min"]:
        return
    share = totals_now(ctx).fee_pool // len(entitled)
    if share == 0:
        return
    for name, row in entitled:
        pay_from_pool(ctx, row.operator, share)
        ctx.emit("fees_shared", name, share)


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    start_ms = genesis.time_ms
    ctx.draft.put(PERIOD, b"", Period(0, start_ms, _end_after(start_ms, ctx.params["period_ms"])))


def _check_periods(reader: Reader) -> str | None:
    """Periods follow one another without a gap."""
    period = period_of(reader)
    expected = 0
    end_ms: int | None = None
    for index, closed in reader.items(CLOSED):
        if index != expected:
            return f"period {expected} is missing"
        if closed.end_ms <= closed.start_ms or end_ms not in (None, closed.start_ms):
            return f"period {index} does not follow the one before it"
        expected, end_ms = index + 1, closed.end_ms
    if period.number != expected or end_ms not in (None, period.start_ms):
        return f"the running period is {period.number}, not {expected}"
    return None


FAMILY: Final = Family(
    number=FAMILY_NUMBER,
    name="periods",
    tables=(PERIOD, CLOSED),
    params=(
        ParamSpec(
            "period_ms", _DAY_MS, 3_600_000, 7 * _DAY_MS,
            "length of a period; a new length counts from the next end on", is_time=True,
        ),
        ParamSpec(
            "fee_sharers_min", 3, 3, 31,
            "gateways with a right to a period's share below which the fee pool waits",
        ),
    ),
    events=(
        EventSpec(
            "period_closed",
            Struct(index=Int(0, INT_MAX), instant_ms=Int(0, INT_MAX)),
            "A period is over; its instant is what attestations speak of.",
        ),
        EventSpec(
            "fees_shared",
            Struct(gateway=gateway_name(), amount=Amount()),
            "A gateway's share of the fee pool, paid to its operator.",
        ),
    ),
    laws=(Law("periods", _check_periods),),
    genesis=_apply_genesis,
    at_start=_begin,
    declares=("period_closed",),
)  # fmt: skip
