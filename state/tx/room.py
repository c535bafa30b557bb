"""Room: how much a gateway may still issue, and every part that it is made of (F1 of the design).

What counts is attested: the k-th largest amount that k distinct attestors, named at this moment,
gave for the latest instant that has k of them. Fiat marked as paid out since that instant is gone,
announced withdrawals count against it, and redeeming gives nothing back before the next
attestation. An attestation counts until it expires; where fewer than k are left, nothing counts,
and no older instant takes its place. Everything here reads and decides nothing else; the rows are
written by `attestations.py` and `reserves.py`. Part of the reserves family.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from state.context import Params
from state.draft import Reader
from state.table import Table, int_key, pair_key, text_key
from state.tx.gateways import ATTESTOR, GATEWAY, Gateway, is_listed
from state.tx.positions import Position, position_of

INSTANTS_KEPT: Final = 32  # of a gateway: with periods of a day, the life of an attestation
BPS: Final = 10_000


class Entry(NamedTuple):
    """What one attestor says now; b"" stands for the genesis, which needs no second."""

    attestor: bytes
    amount: int
    expires_ms: int  # block time
    attestation: bytes  # the id of the record


class Attested(NamedTuple):
    """All that was said of a gateway for one instant."""

    fiat_out: int  # O at the instant
    entries: tuple[Entry, ...]  # rising by attestor


class Reserve(NamedTuple):
    """What a gateway's reserve has to be remembered by."""

    instants: tuple[int, ...]  # those that have an entry, the newest first
    last_instant_ms: int  # what counted last, whether or not it has expired since
    last_amount: int
    last_fiat_out: int
    withdrawals: tuple[tuple[int, int], ...]  # announced: (until when, amount), rising


class Room(NamedTuple):
    """A gateway's room in micro-dollars and what it is made of; the names of F1 in brackets."""

    attested: int  # A; 0 when nothing counts
    instant_ms: int  # [tau] of which it was attested; 0 if of none
    until_ms: int  # block time from which nothing of it counts any more
    gone: int  # O - O(tau): marked as paid out since
    announced: int  # W: withdrawals that a later attestation has not yet seen
    ratio_bps: int
    cap: int
    owed: int  # L
    waiting: int  # Q

    @property
    def backing(self) -> int:
        """The fiat that is counted on."""
        return max(0, self.attested - self.gone - self.announced)

    @property
    def limit(self) -> int:
        """What may be owed at most."""
        return min(self.ratio_bps * self.backing // BPS, self.cap)

    @property
    def room(self) -> int:
        """What may still be issued; below zero where more is owed than is counted on."""
        return self.limit - self.owed - self.waiting


def _build_attested(row: tuple[Any, ...]) -> Attested:
    fiat_out, entries = row
    return Attested(fiat_out, tuple(map(Entry._make, entries)))


# Key: (instant, gateway).
ATTESTED: Final[Table[tuple[int, str], Attested]] = Table(
    209, "reserves/attested", Attested, pair_key(int_key(), text_key()), _build_attested
)
RESERVE: Final[Table[str, Reserve]] = Table(210, "reserves/reserve", Reserve, text_key())
NO_RESERVE: Final = Reserve((), 0, 0, 0, ())


class Counted(NamedTuple):
    """What counts for an instant. `amount` and `until_ms` are 0 where too little is left."""

    instant_ms: int
    amount: int
    until_ms: int
    fiat_out: int


NOTHING: Final = Counted(0, 0, 0, 0)


def reserve_of(reader: Reader, name: str) -> Reserve:
    """The gateway's row, `NO_RESERVE` if it never had one."""
    return reader.get(RESERVE, name) or NO_RESERVE


def derive_counted(
    reader: Reader, reserve: Reserve, name: str, *, needed: int, time_ms: int
) -> Counted:
    """What counts of a gateway's attestations at block time `time_ms`, `needed` being k."""
    for instant_ms in reserve.instants:
        row = reader.get(ATTESTED, (instant_ms, name))
        assert row is not None, "an instant that is kept has its row"
        if row.entries[0].attestor == b"":  # the genesis, alone
            entries, enough = [row.entries[0]], 1
        else:
            entries = [e for e in row.entries if is_listed(reader, ATTESTOR, e.attestor)]
            enough = needed
        if len(entries) < enough:
            continue
        left = [entry for entry in entries if time_ms < entry.expires_ms]
        if len(left) < enough:
            return Counted(instant_ms, 0, 0, row.fiat_out)
        amounts = sorted([entry.amount for entry in left])
        until = sorted([entry.expires_ms for entry in left])
        return Counted(instant_ms, amounts[-enough], until[-enough], row.fiat_out)
    return NOTHING


def announced_after(reserve: Reserve, instant_ms: int) -> int:
    """W: the withdrawals that an attestation of this instant need not have seen."""
    return sum([amount for by_ms, amount in reserve.withdrawals if by_ms > instant_ms])


def room_of(reader: Reader, params: Params, name: str, time_ms: int) -> Room:
    """The room of a gateway that exists, at block time `time_ms`."""
    gateway = reader.get(GATEWAY, name)
    assert gateway is not None, "whoever asks for room knows the gateway"
    return derive_room(reader, params, name, gateway, position_of(reader, name), time_ms)


def derive_room(
    reader: Reader, params: Params, name: str, gateway: Gateway, position: Position, time_ms: int
) -> Room:
    """As `room_of`, for who has looked up the gateway and its sums already."""
    reserve = reserve_of(reader, name)
    counted = derive_counted(
        reader, reserve, name, needed=params["attestors_needed"], time_ms=time_ms
    )
    gone = position.fiat_out - counted.fiat_out
    announced = announced_after(reserve, counted.instant_ms)
    return Room(
        counted.amount, counted.instant_ms, counted.until_ms, gone, announced,
        params["reserve_ratio_bps"], gateway.cap, position.owed, position.waiting,
    )  # fmt: skip
