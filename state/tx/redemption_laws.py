"""The laws of redemptions, over the whole state. Part of the redemptions family."""

from __future__ import annotations

from state.context import is_scheduled
from state.draft import Reader
from state.tx.accounts import freeze_of
from state.tx.contests import CONTEST
from state.tx.diligence import check_tallies
from state.tx.money import HOLD, REDEMPTIONS
from state.tx.payouts import (
    ASK_FEE,
    CONTESTED,
    DEPOSIT,
    OPEN,
    OPEN_STATUSES,
    PENDING,
    REDEEMED,
    REDEMPTION,
    REFUSED,
    SWEEP,
    Redemption,
    sweep_id,
)
from state.tx.positions import CENT, POSITION
from state.tx.quotes import QUOTE, check_quotes, fiat_at


def _why_not_open(reader: Reader, rid: bytes, row: Redemption) -> str | None:
    """What is wrong with an open redemption."""
    hold_row = reader.get(HOLD, (REDEMPTIONS, rid))
    deposit = row.deposit if row.status == CONTESTED else 0
    parts = ((REDEEMED, row.amount), (ASK_FEE, row.ask_fee), (DEPOSIT, deposit))
    if hold_row is None or hold_row.parts != tuple(part for part in parts if part[1]):
        return "does not lock what was asked"
    if row.parked:
        freeze = freeze_of(reader, row.holder)
        if (
            not (freeze is not None and freeze.is_on)
            and reader.get(SWEEP, sweep_id(row.holder)) is None
        ):
            return "is parked and nothing will wake it"
    elif not is_scheduled(reader, REDEMPTIONS, row.due_ms, rid):
        return "is open and not in the due queue"
    if reader.get(OPEN, (row.holder, rid)) is None:
        return "is open and not in its holder's list"
    if row.status == CONTESTED and reader.get(CONTEST, rid) is None:
        return "is contested without a contest"
    return None


def _fiat_of(reader: Reader, row: Redemption) -> int:
    """What is to be paid: at par in cents, else at the quote's bid; -1 where there is no quote."""
    if not row.quote:
        return row.amount // CENT
    quote = reader.get(QUOTE, row.quote)
    return -1 if quote is None else fiat_at(quote, row.amount)


def check_redemptions(reader: Reader) -> str | None:
    sums: dict[tuple[str, str], int] = {}
    used: dict[bytes, int] = {}
    asked: dict[tuple[int, str], int] = {}
    refused: dict[tuple[int, str], int] = {}
    open_ids: dict[bytes, bytes] = {}

    def add(name: str, what: str, amount: int) -> None:
        sums[name, what] = sums.get((name, what), 0) + amount

    for rid, row in reader.items(REDEMPTION):
        period = (row.period, row.gateway)
        asked[period] = asked.get(period, 0) + row.amount
        add(row.gateway, "asked", row.amount)
        if row.fiat != _fiat_of(reader, row):
            return f"redemption {rid.hex()}: its fiat amount is not what its quote says"
        if row.quote:
            used[row.quote] = used.get(row.quote, 0) + row.amount
        if row.status == REFUSED:
            refused[period] = refused.get(period, 0) + row.amount
        if row.status not in OPEN_STATUSES:
            if reader.get(HOLD, (REDEMPTIONS, rid)) is not None:
                return f"redemption {rid.hex()} is {row.status} and still locks dollars"
            continue
        open_ids[rid] = row.holder
        why = _why_not_open(reader, rid, row)
        if why is not None:
            return f"redemption {rid.hex()} {why}"
        add(row.gateway, "asks", row.amount)
        add(row.gateway, "claimed", 0 if row.status == PENDING else row.amount)
    return (
        _why_not_sums(reader, sums, open_ids)
        or check_quotes(reader, used)
        or check_tallies(reader, asked, refused)
    )


def _why_not_sums(
    reader: Reader, sums: dict[tuple[str, str], int], open_ids: dict[bytes, bytes]
) -> str | None:
    for name, position in reader.items(POSITION):
        for what in ("asks", "claimed", "asked"):
            if getattr(position, what) != sums.get((name, what), 0):
                return f"position of {name}: {what} is not the sum of its redemptions"
        if min(position) < 0:
            return f"position of {name} has a sum below zero"
    for (family, object_id), _ in reader.items(HOLD, bytes([REDEMPTIONS])):
        if family == REDEMPTIONS and object_id not in open_ids:
            return f"hold of {object_id.hex()} belongs to no open redemption"
    for (holder, rid), _ in reader.items(OPEN):
        if open_ids.get(rid) != holder:
            return f"redemption {rid.hex()} is listed as open and is not"
    return None
