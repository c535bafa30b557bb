"""The trial balance: each gateway's sums as they stood at the end of each period, kept for ever.

A row holds what the gateway had issued, burned, settled and taken over by the instant, hence its
position, with the parts of its room; one more row holds where all dollars stood. They are copied
when the period closes and never counted, so that reading one costs the same for ten accounts and
for a million, and a proof of the row proves the balance. The fiat paid out by an instant, O(tau)
of F1, is read from here too. Part of the reserves family.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, NamedTuple

from state.context import Context
from state.draft import Reader
from state.table import Table, int_key, pair_key, text_key
from state.tx.gateways import ERA, GATEWAY
from state.tx.money import Totals, totals_now
from state.tx.periods import CLOSED, Closed, period_of
from state.tx.positions import Position, begin_period, position_of
from state.tx.room import Room, room_of


class Trial(NamedTuple):
    """A gateway at the end of a period."""

    end_ms: int  # the instant
    bond: int  # micro-MGS
    sums: Position
    room: Room


class ChainTrial(NamedTuple):
    """Where all dollars stood at the end of a period."""

    end_ms: int
    totals: Totals


class Instant(NamedTuple):
    """Which period ended at an instant."""

    period: int


def _build_trial(row: tuple[Any, ...]) -> Trial:
    end_ms, bond, sums, room = row
    return Trial(end_ms, bond, Position._make(sums), Room._make(room))


def _build_chain(row: tuple[Any, ...]) -> ChainTrial:
    end_ms, totals = row
    return ChainTrial(end_ms, Totals._make(totals))


# Key: (period, gateway).
TRIAL: Final[Table[tuple[int, str], Trial]] = Table(
    211, "reserves/trial", Trial, pair_key(int_key(), text_key()), _build_trial
)
CHAIN_TRIAL: Final[Table[int, ChainTrial]] = Table(
    212, "reserves/chain_trial", ChainTrial, int_key(), _build_chain
)
INSTANT: Final[Table[int, Instant]] = Table(213, "reserves/instant", Instant, int_key())

_GROWING: Final = (
    "issued", "burned", "fiat_out", "settled_out", "settled_in", "assumed_away", "assumed",
)  # fmt: skip


def keep_trials(ctx: Context, number: int, closed: Closed) -> None:
    """The hook at the end of a period: everyone's sums, before anything of the next one."""
    for name, gateway in list(ctx.draft.items(GATEWAY)):
        room = room_of(ctx.draft, ctx.params, name, ctx.time_ms)
        sums = position_of(ctx.draft, name)
        ctx.draft.put(TRIAL, (number, name), Trial(closed.end_ms, gateway.bond, sums, room))
        begin_period(ctx, name)
    ctx.draft.put(CHAIN_TRIAL, number, ChainTrial(closed.end_ms, totals_now(ctx)))
    ctx.draft.put(INSTANT, closed.end_ms, Instant(number))


def trial_at(reader: Reader, name: str, instant_ms: int) -> Trial | None:
    """The gateway's row of the period that ended at `instant_ms`, None if there is none."""
    instant = reader.get(INSTANT, instant_ms)
    return None if instant is None else reader.get(TRIAL, (instant.period, name))


def check_trials(reader: Reader) -> str | None:
    """The law: a row for every period since a gateway came, sums that only grow, none ahead."""
    closed = dict(reader.items(CLOSED))
    if {row.end_ms: number for number, row in closed.items()} != {
        instant_ms: row.period for instant_ms, row in reader.items(INSTANT)
    }:
        return "the instants are not the ends of the periods"
    whole = dict(reader.items(CHAIN_TRIAL))
    if {number: row.end_ms for number, row in whole.items()} != {
        number: row.end_ms for number, row in closed.items()
    }:
        return "the chain's trial balances are not those of the periods"
    rows: dict[str, list[tuple[int, Trial]]] = {}
    positions = dict.fromkeys(closed, 0)
    for (number, name), row in reader.items(TRIAL):
        if number not in closed or row.end_ms != closed[number].end_ms:
            return f"trial balance of {name} is of no period: {number}"
        positions[number] += row.sums.position
        rows.setdefault(name, []).append((number, row))
    for number, kept in whole.items():
        totals = kept.totals
        if positions[number] != totals.supply or totals.supply != sum(totals[2:]):
            return f"the trial balances of period {number} do not add up"
    last = period_of(reader).number - 1
    era = reader.get(ERA, 0)
    assert era is not None, "the genesis begins the first era"
    for name, gateway in reader.items(GATEWAY):
        trials = rows.pop(name, [])
        numbers = [number for number, _ in trials]
        begun = numbers[0] if numbers else last + 1
        first = 0 if gateway.place < len(era.members) else begun
        if numbers != list(range(first, last + 1)):
            return f"trial balances of {name} are missing"
        sums = [trial.sums for _, trial in trials]
        for before, after in pairwise([*sums, position_of(reader, name)]):
            fallen = [field for field in _GROWING if getattr(before, field) > getattr(after, field)]
            if fallen:
                return f"trial balances of {name}: {fallen[0]} fell"
    return f"trial balances of {sorted(rows)[0]}, which is no gateway" if rows else None
