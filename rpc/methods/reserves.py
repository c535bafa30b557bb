"""For gateways, attestors and accountants: room and its parts, issues, and the trial balance."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from mgsnode.base.address import address_text
from rpc.dispatch import Context, Method
from rpc.errors import not_found
from rpc.lists import read_page
from rpc.prove import proof_of
from rpc.results import (
    ADDRESS,
    AMOUNT,
    HASH,
    HEIGHT,
    INT,
    STATE_PROOF,
    TEXT,
    TIME_MS,
    TOKENS,
    array,
    enum,
    nullable,
    obj,
    page,
)
from rpc.schema import Count, Hash32, ListParams, Name, NoParams, Params
from state import context
from state.tx.attestations import ATTESTATION, ATTESTATIONS
from state.tx.gateways import standing_of
from state.tx.issuing import (
    CANCELLED,
    ISSUE,
    ISSUED,
    ISSUES,
    LAPSED,
    RESERVES,
    VETOED,
    WAITED,
    WAITING,
)
from state.tx.money import TOTALS, Totals, totals_of
from state.tx.periods import period_of
from state.tx.positions import POSITION, Position
from state.tx.room import Room, room_of
from state.tx.trials import CHAIN_TRIAL, TRIAL
from state.view import View


class _AttestationsParams(ListParams):
    gateway: Name
    positions: ClassVar[tuple[str, ...]] = ("gateway", "cursor", "limit")


class _IssueParams(Params):
    issue: Hash32


class _IssuesParams(ListParams):
    gateway: Name | None = None
    positions: ClassVar[tuple[str, ...]] = ("gateway", "cursor", "limit")


class _TrialParams(Params):
    gateway: Name | None = None
    period: Count | None = None
    proof: bool = False


# A gateway's room, as `gateway_get` shows it ---------------------------------------------------


def _room(view: View, name: str) -> Room:
    params = context.Params(view.reader, view.registry.defaults)
    return room_of(view.reader, params, name, view.header.timestamp_ms)


def _parts(room: Room) -> dict[str, object]:
    return {
        "room": str(room.room),
        "attested": str(room.attested),
        "attested_instant_ms": room.instant_ms,
        "attested_until_ms": room.until_ms or None,
        "gone": str(room.gone),
        "announced": str(room.announced),
        "backing": str(room.backing),
        "ratio_bps": room.ratio_bps,
        "waiting": str(room.waiting),
    }


def reserve_json(view: View, name: str) -> dict[str, object]:
    """What this family says of a gateway; its members are `RESERVE_FIELDS`."""
    stops = standing_of(view.reader, name).stops
    return {
        **_parts(_room(view, name)),
        "stops": [{"why": why, "until_period": until or None} for why, until in stops],
    }


_PARTS: Final[dict[str, Any]] = {
    "room": AMOUNT, "attested": AMOUNT, "attested_instant_ms": TIME_MS,
    "attested_until_ms": nullable(TIME_MS), "gone": AMOUNT, "announced": AMOUNT, "backing": AMOUNT,
    "ratio_bps": INT, "waiting": AMOUNT,
}  # fmt: skip
RESERVE_FIELDS: Final[dict[str, Any]] = {
    **_PARTS, "stops": array(obj(why=TEXT, until_period=nullable(INT))),
}  # fmt: skip


# Attestations and issues ---------------------------------------------------------------------


def _attestation_json(view: View, attestation_id: bytes, hrp: str) -> dict[str, object]:
    row = view.reader.get(ATTESTATION, attestation_id)
    assert row is not None, "what is listed is never removed"
    return {
        "attestation": attestation_id.hex(),
        "attestor": address_text(row.attestor, hrp),
        "gateway": row.gateway,
        "instant_ms": row.instant_ms,
        "amount": str(row.amount),
        "expires_ms": row.expires_ms,
        "evidence": row.evidence.hex(),
        "given_ms": row.given_ms,
    }


async def _attestations(ctx: Context, params: _AttestationsParams) -> object:
    def show(view: View, attestation_id: bytes) -> dict[str, object]:
        return _attestation_json(view, attestation_id, ctx.api.hrp)

    return await read_page(ctx.api, ATTESTATIONS, params.gateway.encode(), params, show)


def _issue_json(view: View, issue_id: bytes, hrp: str) -> dict[str, object] | None:
    row = view.reader.get(ISSUE, issue_id)
    if row is None:
        return None
    due_live_ms = None
    if row.status == WAITING:
        due_live_ms = context.live_at(view.reader, RESERVES, row.due_ms)
    return {
        "issue": issue_id.hex(),
        "gateway": row.gateway,
        "to": address_text(row.to, hrp) if row.to else None,
        "amount": str(row.amount),
        "reference": row.reference.hex(),
        "status": row.status,
        "asked_ms": row.asked_ms,
        "due_live_ms": due_live_ms,
        "closed_ms": row.closed_ms or None,
        "room_before": str(row.room_before),
        "room_after": str(row.room_after),
        "vetoed_by": row.vetoed_by or None,
        "reason": row.reason,
    }


async def _issue(ctx: Context, params: _IssueParams) -> object:
    with ctx.api.view() as view:
        found = _issue_json(view, params.issue, ctx.api.hrp)
        if found is None:
            raise not_found("issue")
        return {"height": view.height, **found}


async def _issues(ctx: Context, params: _IssuesParams) -> object:
    def show(view: View, issue_id: bytes) -> dict[str, object]:
        found = _issue_json(view, issue_id, ctx.api.hrp)
        assert found is not None, "what is listed is never removed"
        return found

    number, owner = (ISSUES, params.gateway.encode()) if params.gateway else (WAITED, b"")
    return await read_page(ctx.api, number, owner, params, show)


# Periods and trial balances --------------------------------------------------------------------


async def _period(ctx: Context, _params: NoParams) -> object:
    with ctx.api.view() as view:
        period = period_of(view.reader)
        return {
            "height": view.height,
            "period": period.number,
            "start_ms": period.start_ms,
            "end_ms": period.end_ms,
        }


_DEBITS: Final = ("burned", "settled_out", "assumed_away")
_CREDITS: Final = ("issued", "settled_in", "assumed")


def _balanced(debits: dict[str, int], credited: dict[str, int]) -> dict[str, object]:
    """The lines of a trial balance; what stands below zero stands on the other side."""
    lines: list[dict[str, object]] = []
    totals = [0, 0]
    for place, side in enumerate((debits, credited)):
        for account, amount in side.items():
            on = place if amount >= 0 else 1 - place
            totals[on] += abs(amount)
            shown = [str(abs(amount)) if column == on else "0" for column in (0, 1)]
            lines.append({"account": account, "debit": shown[0], "credit": shown[1]})
    return {"lines": lines, "debit": str(totals[0]), "credit": str(totals[1])}


def _gateway_trial(sums: Position, room: Room, bond: int) -> dict[str, object]:
    debits = {name: getattr(sums, name) for name in _DEBITS}
    return {
        **_balanced(
            {**debits, "position": sums.position},
            {name: getattr(sums, name) for name in _CREDITS},
        ),
        "memo": {
            "asks": str(sums.asks),
            "claimed": str(sums.claimed),
            "fiat_out": str(sums.fiat_out),
            "owed": str(room.owed),
            "cap": str(room.cap),
            "bond": str(bond),
            **_parts(room),
        },
    }


def _chain_trial(totals: Totals) -> dict[str, object]:
    places = {name: getattr(totals, name) for name in totals._fields[2:]}
    sides = _balanced({"burned": totals.burned, **places}, {"issued": totals.issued})
    return {**sides, "memo": None}


async def _trial(ctx: Context, params: _TrialParams) -> object:
    name, number = params.gateway, params.period
    with ctx.api.view() as view:
        proven: tuple[Any, Any]
        end_ms: int | None = None
        if name is None and number is None:
            balance, proven = _chain_trial(totals_of(view.reader)), (TOTALS, b"")
        elif name is None:
            whole = view.reader.get(CHAIN_TRIAL, number or 0)
            if whole is None:
                raise not_found("period")
            end_ms = whole.end_ms
            balance, proven = _chain_trial(whole.totals), (CHAIN_TRIAL, number)
        elif number is None:
            gateway = view.gateway(name)
            if gateway is None:
                raise not_found("gateway")
            balance = _gateway_trial(view.position(name), _room(view, name), gateway.bond)
            proven = (POSITION, name)
        else:
            kept = view.reader.get(TRIAL, (number, name))
            if kept is None:
                raise not_found("trial balance")
            end_ms = kept.end_ms
            balance = _gateway_trial(kept.sums, kept.room, kept.bond)
            proven = (TRIAL, (number, name))
        answer = {
            "height": view.height, "gateway": name, "period": number, "end_ms": end_ms, **balance
        }  # fmt: skip
        if params.proof:
            answer["proof"] = proof_of(view, *proven)
        return answer


_ATTESTATION: Final = obj(
    attestation=HASH, attestor=ADDRESS, gateway=TEXT, instant_ms=TIME_MS, amount=AMOUNT,
    expires_ms=TIME_MS, evidence=HASH, given_ms=TIME_MS,
)  # fmt: skip
_ISSUE: Final[dict[str, Any]] = {
    "issue": HASH, "gateway": TEXT, "to": nullable(ADDRESS), "amount": AMOUNT, "reference": HASH,
    "status": enum(WAITING, ISSUED, VETOED, CANCELLED, LAPSED), "asked_ms": TIME_MS,
    "due_live_ms": nullable(TIME_MS), "closed_ms": nullable(TIME_MS), "room_before": AMOUNT,
    "room_after": AMOUNT, "vetoed_by": nullable(TEXT), "reason": TEXT,
}  # fmt: skip

METHODS: Final = (
    Method(
        name="attestation_list",
        summary="What was attested of a gateway, oldest first; corrections are records too.",
        params=_AttestationsParams,
        result=page(_ATTESTATION),
        run=_attestations,
        cost=10,
    ),
    Method(
        name="issue_get",
        summary="An issue by the txid that asked for it.",
        params=_IssueParams,
        result=obj(height=HEIGHT, **_ISSUE),
        run=_issue,
    ),
    Method(
        name="issue_list",
        summary="A gateway's issues, oldest first; of no gateway: all that had to wait.",
        params=_IssuesParams,
        result=page(obj(**_ISSUE)),
        run=_issues,
        cost=10,
    ),
    Method(
        name="period_get",
        summary="The running period; its start is the last instant that attestors may speak of.",
        params=NoParams,
        result=obj(height=HEIGHT, period=INT, start_ms=TIME_MS, end_ms=TIME_MS),
        run=_period,
    ),
    Method(
        name="trial_balance",
        summary="A gateway's sums, or where all dollars stand, now or at the end of a period.",
        params=_TrialParams,
        result=obj(
            "proof",
            height=HEIGHT, gateway=nullable(TEXT), period=nullable(INT), end_ms=nullable(TIME_MS),
            lines=array(obj(account=TEXT, debit=AMOUNT, credit=AMOUNT)), debit=AMOUNT,
            credit=AMOUNT,
            memo=nullable(
                obj(
                    asks=AMOUNT, claimed=AMOUNT, fiat_out=AMOUNT, owed=AMOUNT, cap=AMOUNT,
                    bond=TOKENS, **_PARTS,
                )
            ),
            proof=STATE_PROOF,
        ),
        run=_trial,
    ),
)  # fmt: skip
