"""Reserves and issuing: new dollars come into being only against fiat that was attested.

Law: an issue takes no more than the room it finds, and its record shows it; a gateway's waiting
and issued dollars are the sums of its issues (those of the genesis are issues too); what waits
stands in the due queue; what counts was attested, and O is that of its instant; a trial balance is
kept for every gateway and period. Room stands in `room.py`, attesting in `attestations.py`, issuing
in `issuing.py`, the trial balance in `trials.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import Context, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import Address, Amount, Hash32, Int, Optional, Struct, Text, gateway_name
from state.registry import EventSpec, Family, Kind, Law
from state.tx.attestations import (
    ATTESTATION,
    BAD_EXPIRY,
    BAD_WITHDRAWAL_TIME,
    NOT_DOWNWARDS,
    ROOM_EXCEEDED,
    TOO_MANY_WITHDRAWALS,
    UNKNOWN_INSTANT,
    apply_attest,
    apply_withdraw,
)
from state.tx.issuing import (
    ACTIONS,
    BARRED,
    ISSUE,
    ISSUE_DEADLINE,
    ISSUE_STATUS,
    ISSUED,
    NOT_STOPPED,
    OWN_ISSUE,
    RESERVES,
    UNKNOWN_ISSUE,
    VETO_BARRED,
    WAITING,
    Issue,
    apply_cancel,
    apply_issue,
    apply_veto,
    do_due,
    genesis_issue_id,
)
from state.tx.periods import period_of
from state.tx.positions import DOLLAR, ISSUED_ON, POSITION, REFERENCE, position_of
from state.tx.room import (
    ATTESTED,
    INSTANTS_KEPT,
    RESERVE,
    Attested,
    Entry,
    Reserve,
    room_of,
)
from state.tx.trials import CHAIN_TRIAL, INSTANT, TRIAL, check_trials, keep_trials, trial_at

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


# Genesis -------------------------------------------------------------------------------------


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    """What the genesis says was attested, and its dollars as an issue of each gateway."""
    now = ctx.time_ms
    expires_ms = now + ctx.params["attestation_ms"]
    for index, given in enumerate(genesis.gateways):
        if given.attested < 0:
            raise ConfigError(f"genesis: gateways[{index}].attested is from 0")
        name = given.name
        entry = Entry(b"", given.attested, expires_ms, genesis.hash)
        ctx.draft.put(ATTESTED, (now, name), Attested(0, (entry,)))
        ctx.draft.put(RESERVE, name, Reserve((now,), now, given.attested, 0, ()))
        issued = position_of(ctx.draft, name).issued
        if not issued:
            continue
        after = room_of(ctx.draft, ctx.params, name, now).room
        if after < 0:
            raise ConfigError(
                f"genesis: gateways[{index}].attested: the dollars of {name} go beyond it"
            )
        issue = Issue(name, b"", issued, genesis.hash, ISSUED, now, 0, now, after + issued, after)
        ctx.draft.put(ISSUE, genesis_issue_id(name), issue)


# Laws ----------------------------------------------------------------------------------------


def _check_attested(reader: Reader) -> str | None:
    """What is counted was attested: each entry is somebody's record, O is that of its instant."""
    rows = dict(reader.items(ATTESTED))
    for name, reserve in reader.items(RESERVE):
        instants, times = reserve.instants, [by_ms for by_ms, _ in reserve.withdrawals]
        if not _is_rising(instants[::-1]) or len(instants) > INSTANTS_KEPT:
            return f"reserve of {name}: its instants are not in order"
        if not _is_rising(times):
            return f"reserve of {name}: its withdrawals are not in order"
        if any(amount <= 0 for _, amount in reserve.withdrawals):
            return f"reserve of {name}: a withdrawal is of nothing"
        for instant_ms in instants:
            row = rows.pop((instant_ms, name), None)
            if row is None:
                return f"reserve of {name}: nothing was attested for {instant_ms}"
            wrong = _wrong_entry(reader, name, instant_ms, row)
            if wrong:
                return f"attested of {name} for {instant_ms}: {wrong}"
            amounts = [entry.amount for entry in row.entries]
            last = (reserve.last_amount, reserve.last_fiat_out)
            if instant_ms == reserve.last_instant_ms and (
                last[0] > max(amounts) or last[1] != row.fiat_out
            ):
                return f"reserve of {name}: what counted last was not attested"
    return f"attested of {sorted(rows)[0]} is not kept by its gateway" if rows else None


def _is_rising(values: Sequence[int] | Sequence[bytes]) -> bool:
    return all(one < other for one, other in pairwise(values))  # type: ignore[operator]


def _wrong_entry(reader: Reader, name: str, instant_ms: int, row: Attested) -> str | None:
    entries = row.entries
    if not entries or not _is_rising([entry.attestor for entry in entries]):
        return "its attestors are not in order"
    trial = trial_at(reader, name, instant_ms)
    if row.fiat_out != (0 if trial is None else trial.sums.fiat_out):
        return "the fiat out is not that of the instant"
    for entry in entries:
        if entry.attestor == b"":
            continue  # the genesis: it has no record beside its own hash
        record = reader.get(ATTESTATION, entry.attestation)
        if record is None or (
            record.attestor, record.gateway, record.instant_ms, record.amount, record.expires_ms,
        ) != (entry.attestor, name, instant_ms, entry.amount, entry.expires_ms):  # fmt: skip
            return f"{entry.attestor.hex()} did not say so"
    return None


def _check_issues(reader: Reader) -> str | None:
    """Positions are the sums of issues, none took more than the room, what waits is due."""
    sums: dict[str, list[int]] = {name: [0, 0, 0] for name, _ in reader.items(POSITION)}
    start_ms = period_of(reader).start_ms
    for issue_id, row in reader.items(ISSUE):
        where = f"issue {issue_id.hex()}"
        if issue_id != genesis_issue_id(row.gateway):
            used = reader.get(REFERENCE, ((ISSUED_ON, row.reference), row.gateway))
            if used is None or used.txid != issue_id:
                return f"{where} does not have its reference"
        known = sums.setdefault(row.gateway, [0, 0, 0])
        is_waiting = row.status == WAITING
        if is_waiting != is_scheduled(reader, RESERVES, row.due_ms, issue_id):
            return f"{where} is {row.status}, and the due queue says otherwise"
        if is_waiting or row.status == ISSUED:
            # Where the position was below zero, less was owed anew than was issued.
            highest = row.room_before - (row.amount if is_waiting else 0)
            if not 0 <= row.room_before - row.amount <= row.room_after <= highest:
                return f"{where} took more than the room there was"
            known[0 if is_waiting else 1] += row.amount
        if row.status == ISSUED and not row.due_ms and row.to and row.asked_ms >= start_ms:
            known[2] += row.amount
    for name, (waiting, issued, at_once) in sums.items():
        position = position_of(reader, name)
        if (position.waiting, position.issued) != (waiting, issued):
            return f"position of {name}: waiting or issued are not the sum of its issues"
        if position.at_once != at_once:
            return f"position of {name}: at_once is not the sum of the period's issues"
    return None


_ID: Final = Hash32()
_MS: Final = Int(0, INT_MAX)
_FROM_0: Final = Amount(lowest=0)
_REASON: Final = Text(MEMO_BYTES_MAX)

KINDS: Final = (
    Kind(
        "dollar_issue",
        Struct(to=Address(), amount=Amount(), reference=Hash32()),
        apply_issue,
        200,
        "A gateway's operator issues dollars against fiat; beyond the threshold they wait.",
    ),
    Kind(
        "dollar_issue_veto",
        Struct(issue=_ID, reason=Text(MEMO_BYTES_MAX, lowest=1)),
        apply_veto,
        200,
        "Another active gateway's operator stops an issue that waits.",
        ends=True,
    ),
    Kind(
        "dollar_issue_cancel",
        Struct(issue=_ID),
        apply_cancel,
        200,
        "The issuer takes an issue back that waits.",
        ends=True,
    ),
    Kind(
        "reserve_attest",
        Struct(
            gateway=gateway_name(),
            instant_ms=_MS,
            amount=Amount(lowest=0),
            expires_ms=_MS,
            evidence=_ID,
        ),
        apply_attest,
        300,
        "An attestor says what a gateway held at the end of a period, less what the chain held "
        "as marked paid by then and had not left the bank.",
    ),
    Kind(
        "reserve_withdraw",
        Struct(gateway=Optional(gateway_name()), amount=Amount(), by_ms=_MS),
        apply_withdraw,
        200,
        "A gateway's operator announces that fiat will leave its reserve; this is final.",
    ),
)

EVENTS: Final = (
    EventSpec(
        "dollar_issued",
        Struct(gateway=gateway_name(), to=Address(), amount=Amount(), reference=Hash32()),
        "New dollars.",
    ),
    EventSpec(
        "issue_waiting",
        Struct(issue=_ID, gateway=gateway_name(), to=Address(), amount=Amount(), due_ms=_MS),
        "An issue waits until its time; other gateways can veto it.",
    ),
    EventSpec(
        "issue_ended",
        Struct(issue=_ID, gateway=gateway_name(), amount=Amount(), status=Text(16), reason=_REASON),
        "An issue was vetoed, cancelled or has lapsed: no dollars came of it.",
    ),
    EventSpec(
        "issue_carried",
        Struct(issue=_ID, gateway=gateway_name(), vetoed_by=gateway_name(), barred_until_ms=_MS),
        "A proposal carried a vetoed issue; its vetoer may not veto this issuer until then.",
    ),
    EventSpec(
        "reserve_attested",
        Struct(
            gateway=gateway_name(), attestor=Address(), instant_ms=_MS, amount=Amount(lowest=0),
            expires_ms=_MS,
        ),
        "An attestor said what a gateway held.",
    ),
    EventSpec(
        "reserve_counted",
        Struct(gateway=gateway_name(), instant_ms=_MS, amount=_FROM_0, expected=_FROM_0),
        "Another amount counts; this much was expected at least.",
    ),
    EventSpec(
        "reserve_withdrawn",
        Struct(gateway=gateway_name(), amount=Amount(), by_ms=_MS),
        "A gateway will have taken so much out of its reserve by then.",
    ),
    EventSpec(
        "gateway_cap",
        Struct(gateway=gateway_name(), cap=Amount(lowest=0)),
        "The most that a gateway may owe was set.",
    ),
)  # fmt: skip

FAMILY: Final = Family(
    number=RESERVES,
    name="reserves",
    kinds=KINDS,
    tables=(ATTESTATION, ATTESTED, RESERVE, TRIAL, CHAIN_TRIAL, INSTANT, ISSUE, BARRED),
    refusals=(
        ROOM_EXCEEDED, UNKNOWN_INSTANT, BAD_EXPIRY, NOT_DOWNWARDS,
        BAD_WITHDRAWAL_TIME, TOO_MANY_WITHDRAWALS, UNKNOWN_ISSUE, ISSUE_STATUS, ISSUE_DEADLINE,
        OWN_ISSUE, VETO_BARRED, NOT_STOPPED,
    ),
    params=(
        ParamSpec(
            "reserve_ratio_bps", 10_000, 5_000, 10_000,
            "share of what is counted on that may be owed, basis points",
        ),
        ParamSpec("attestors_needed", 2, 2, 15, "attestors who have to speak for an instant (k)"),
        ParamSpec(
            "attestation_ms", 31 * _DAY_MS, _DAY_MS, 31 * _DAY_MS,
            "block time after its instant for which an attestation counts at most", is_time=True,
        ),
        ParamSpec(
            "issue_threshold", 100_000 * DOLLAR, 0, 10_000_000 * DOLLAR,
            "what a gateway issues in a period without waiting",
        ),
        ParamSpec(
            "issue_delay_ms", _DAY_MS, 6 * _HOUR_MS, 7 * _DAY_MS,
            "live time that an issue beyond the threshold waits", is_time=True,
        ),
    ),
    events=EVENTS,
    laws=(
        Law("attested", _check_attested),
        Law("issues", _check_issues),
        Law("trials", check_trials),
    ),
    genesis=_apply_genesis,
    due=do_due,
    actions=ACTIONS,
    declares=("stop_cleared",),
    hooks={"period_closed": keep_trials},
)  # fmt: skip
