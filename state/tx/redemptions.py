"""Redemptions: a holder takes its dollars to any gateway and gets fiat at par.

Law: what is open locks exactly what was asked and stands in the due queue; each gateway's asks and
claims are the sums of its open redemptions. Contests, strikes and quotes are not here yet.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX
from state.context import Context, Fields, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import Address, Amount, Choice, Hash32, Int, Optional, Struct, Text, gateway_name
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key
from state.tx.gateways import GATEWAY, NOT_OPERATOR, UNKNOWN_GATEWAY, operated_by
from state.tx.money import HOLD, REDEMPTIONS, burn, check_balance, hold, release
from state.tx.positions import (
    CENT,
    DOLLAR,
    PAID_ON,
    POSITION,
    change_position,
    check_reference,
    position_of,
    use_reference,
)

UNKNOWN_REDEMPTION: Final = (1501, "UNKNOWN_REDEMPTION")
REDEMPTION_STATUS: Final = (1502, "REDEMPTION_STATUS")
NOT_HOLDER: Final = (1503, "NOT_HOLDER")
REDEMPTION_DEADLINE: Final = (1504, "REDEMPTION_DEADLINE")
BELOW_MINIMUM: Final = (1505, "BELOW_MINIMUM")
NOT_WHOLE_CENTS: Final = (1506, "NOT_WHOLE_CENTS")
CURRENCY_NOT_SERVED: Final = (1507, "CURRENCY_NOT_SERVED")
CREDIT_EXHAUSTED: Final = (1508, "CREDIT_EXHAUSTED")
UNKNOWN_QUOTE: Final = (1509, "UNKNOWN_QUOTE")
UNKNOWN_CASE: Final = (1510, "UNKNOWN_CASE")

REDEEMED, ASK_FEE = 1, 2  # purposes of a redemption's hold
PENDING, CLAIMED, PAID = "pending", "claimed", "paid"
REFUSED, EXPIRED = "refused", "expired"  # to come: contested, returned, seized
BY_HOLDER, BY_GATEWAY = 1, 2  # lists of redemptions
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Redemption(NamedTuple):
    """An ask, under the txid that made it. While pending or claimed it stands in the due queue."""

    holder: bytes
    gateway: str
    amount: int
    ask_fee: int
    currency: str
    payout_hash: bytes
    fiat: int  # smallest units of the currency; 0 where no quote fixed it
    status: str
    due_ms: int  # live time: the deadline to pay, then the end of the contest time
    contest_ms: int  # as it was when asked
    asked_ms: int  # block time
    closed_ms: int  # block time, 0 while open
    reference: bytes  # of the payment, empty before it
    reason: str  # of a refusal


REDEMPTION: Final[Table[bytes, Redemption]] = Table(
    240, "redemptions/redemption", Redemption, bytes_key()
)


def apply_redeem(ctx: Context, fields: Fields) -> None:
    """Ask a gateway for fiat at par; the dollars are locked until it is settled."""
    name, amount, currency, payout_hash, quote = fields
    gateway = ctx.require(GATEWAY, name, UNKNOWN_GATEWAY, gateway=name)
    if quote:
        raise Rejected(UNKNOWN_QUOTE)
    if currency not in gateway.currencies:
        raise Rejected(CURRENCY_NOT_SERVED, gateway=name, currency=currency)
    minimum = ctx.params["redeem_minimum"]
    if amount < minimum:
        raise Rejected(BELOW_MINIMUM, minimum=str(minimum))
    if amount % CENT:
        raise Rejected(NOT_WHOLE_CENTS)
    ask_fee = ctx.params["ask_fee"]
    check_balance(ctx.draft, ctx.sender, amount + ask_fee)
    position = position_of(ctx.draft, name)
    credit = ctx.params["credit_floor"]
    if position.position - position.asks - amount < -credit:
        raise Rejected(CREDIT_EXHAUSTED, gateway=name)
    # From here on nothing can fail.
    due_ms = ctx.now(REDEMPTIONS) + ctx.params["redeem_deadline_ms"]
    redemption = Redemption(
        holder=ctx.sender,
        gateway=name,
        amount=amount,
        ask_fee=ask_fee,
        currency=currency,
        payout_hash=payout_hash,
        fiat=amount // CENT if currency == "USD" else 0,
        status=PENDING,
        due_ms=due_ms,
        contest_ms=ctx.params["contest_ms"],
        asked_ms=ctx.time_ms,
        closed_ms=0,
        reference=b"",
        reason="",
    )
    rid = ctx.object_id
    ctx.draft.put(REDEMPTION, rid, redemption)
    change_position(ctx, name, asks=amount)
    hold(ctx, ctx.sender, REDEMPTIONS, rid, REDEEMED, amount)
    hold(ctx, ctx.sender, REDEMPTIONS, rid, ASK_FEE, ask_fee)
    ctx.schedule(due_ms, rid, REDEMPTIONS)
    ctx.involve(gateway.operator)
    ctx.list_under(BY_HOLDER, ctx.sender, rid)
    ctx.list_under(BY_GATEWAY, name.encode(), rid)
    ctx.emit("redemption_asked", rid, ctx.sender, name, amount, currency)


def _open_redemption(ctx: Context, rid: bytes, status: str) -> Redemption:
    """The redemption, in that status and before its deadline, else a refusal."""
    redemption = ctx.require(REDEMPTION, rid, UNKNOWN_REDEMPTION)
    if redemption.status != status:
        raise Rejected(REDEMPTION_STATUS, status=redemption.status, needed=status)
    if ctx.now(REDEMPTIONS) >= redemption.due_ms:
        raise Rejected(REDEMPTION_DEADLINE, due_ms=redemption.due_ms)
    return redemption


def _operated_redemption(ctx: Context, rid: bytes) -> Redemption:
    """The pending redemption at the gateway that the sender acts for, else a refusal."""
    name, _ = operated_by(ctx, ctx.sender)
    redemption = _open_redemption(ctx, rid, PENDING)
    if redemption.gateway != name:
        raise Rejected(NOT_OPERATOR, gateway=redemption.gateway)
    return redemption


def apply_redeem_paid(ctx: Context, fields: Fields) -> None:
    """The gateway claims to have paid; the holder has the contest time to answer."""
    rid, reference, case = fields
    redemption = _operated_redemption(ctx, rid)
    name = redemption.gateway
    check_reference(ctx, PAID_ON, name, reference)
    if case:
        raise Rejected(UNKNOWN_CASE)
    # From here on nothing can fail.
    use_reference(ctx, PAID_ON, name, reference)
    due_ms = ctx.now(REDEMPTIONS) + redemption.contest_ms
    ctx.unschedule(redemption.due_ms, rid, REDEMPTIONS)
    ctx.schedule(due_ms, rid, REDEMPTIONS)
    claimed = redemption._replace(status=CLAIMED, due_ms=due_ms, reference=reference)
    ctx.draft.put(REDEMPTION, rid, claimed)
    change_position(ctx, name, claimed=redemption.amount, fiat_out=redemption.amount)
    ctx.involve(redemption.holder)
    ctx.emit("redemption_claimed", rid, name, reference, due_ms)


def apply_redeem_confirm(ctx: Context, fields: Fields) -> None:
    """The holder has the fiat: the dollars burn, the ask fee comes back."""
    (rid,) = fields
    redemption = _open_redemption(ctx, rid, CLAIMED)
    if redemption.holder != ctx.sender:
        raise Rejected(NOT_HOLDER)
    # From here on nothing can fail.
    ctx.unschedule(redemption.due_ms, rid, REDEMPTIONS)
    _settle(ctx, rid, redemption, ask_fee_to=redemption.holder)


def apply_redeem_refuse(ctx: Context, fields: Fields) -> None:
    """The gateway will not pay, for a listed reason: the dollars return."""
    rid, reason = fields
    redemption = _operated_redemption(ctx, rid)
    # From here on nothing can fail.
    ctx.unschedule(redemption.due_ms, rid, REDEMPTIONS)
    at_fault = reason == "details"
    _return(
        ctx, rid, redemption, status=REFUSED, reason=reason,
        ask_fee_to=ctx.sender if at_fault else redemption.holder,
    )  # fmt: skip


def _settle(ctx: Context, rid: bytes, redemption: Redemption, *, ask_fee_to: bytes) -> None:
    """Paid in fiat: burn, and the gateway's position falls."""
    amount, name = redemption.amount, redemption.gateway
    burn(ctx, REDEMPTIONS, rid, REDEEMED, amount)
    release(ctx, REDEMPTIONS, rid, ASK_FEE, ask_fee_to, redemption.ask_fee)
    ctx.draft.put(REDEMPTION, rid, redemption._replace(status=PAID, closed_ms=ctx.time_ms))
    change_position(ctx, name, asks=-amount, claimed=-amount, burned=amount)
    ctx.involve(redemption.holder)
    ctx.emit("redemption_paid", rid, redemption.holder, name, amount)


def _return(
    ctx: Context, rid: bytes, redemption: Redemption, *, status: str, reason: str, ask_fee_to: bytes
) -> None:
    """Not paid: the dollars go back. From pending only, until there are contests."""
    amount, name = redemption.amount, redemption.gateway
    release(ctx, REDEMPTIONS, rid, REDEEMED, redemption.holder, amount)
    release(ctx, REDEMPTIONS, rid, ASK_FEE, ask_fee_to, redemption.ask_fee)
    closed = redemption._replace(status=status, closed_ms=ctx.time_ms, reason=reason)
    ctx.draft.put(REDEMPTION, rid, closed)
    change_position(ctx, name, asks=-amount)
    ctx.emit("redemption_returned", rid, redemption.holder, name, amount, status)


def _do_due(ctx: Context, rid: bytes) -> None:
    """Silence confirms a claim; a deadline without payment returns the dollars."""
    redemption = ctx.draft.get(REDEMPTION, rid)
    assert redemption is not None
    if redemption.status == CLAIMED:
        gateway = ctx.draft.get(GATEWAY, redemption.gateway)
        assert gateway is not None
        _settle(ctx, rid, redemption, ask_fee_to=gateway.operator)
    else:
        assert redemption.status == PENDING
        _return(ctx, rid, redemption, status=EXPIRED, reason="", ask_fee_to=redemption.holder)


def _check_redemptions(reader: Reader) -> str | None:
    asks: dict[str, int] = {}
    claimed: dict[str, int] = {}
    open_ids: dict[bytes, None] = {}
    for rid, row in reader.items(REDEMPTION):
        hold_row = reader.get(HOLD, (REDEMPTIONS, rid))
        if row.status not in (PENDING, CLAIMED):
            if hold_row is not None:
                return f"redemption {rid.hex()} is {row.status} and still locks dollars"
            continue
        open_ids[rid] = None
        parts = [(REDEEMED, row.amount), (ASK_FEE, row.ask_fee)]
        if hold_row is None or list(hold_row.parts) != [part for part in parts if part[1]]:
            return f"redemption {rid.hex()} does not lock what was asked"
        if not is_scheduled(reader, REDEMPTIONS, row.due_ms, rid):
            return f"redemption {rid.hex()} is open and not in the due queue"
        asks[row.gateway] = asks.get(row.gateway, 0) + row.amount
        if row.status == CLAIMED:
            claimed[row.gateway] = claimed.get(row.gateway, 0) + row.amount
    for name, position in reader.items(POSITION):
        if (position.asks, position.claimed) != (asks.pop(name, 0), claimed.pop(name, 0)):
            return f"position of {name}: asks or claimed are not the sum of its redemptions"
        if min(position) < 0:
            return f"position of {name} has a sum below zero"
    for (family, object_id), _ in reader.items(HOLD, bytes([REDEMPTIONS])):
        if family == REDEMPTIONS and object_id not in open_ids:
            return f"hold of {object_id.hex()} belongs to no open redemption"
    return None


_ID = Hash32()
_TEXT = Text(MEMO_BYTES_MAX)

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
        "Ask a gateway for fiat at par; the dollars are locked until it is settled.",
    ),
    Kind(
        "dollar_redeem_paid",
        Struct(redemption=_ID, reference=Hash32(), case=Optional(Hash32())),
        apply_redeem_paid,
        200,
        "The gateway's operator claims that the fiat was paid.",
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
        Struct(redemption=_ID, gateway=gateway_name(), reference=Hash32(), due_ms=Int(0, INT_MAX)),
        "The gateway says that it paid; silence until then confirms.",
    ),
    EventSpec(
        "redemption_paid",
        Struct(redemption=_ID, holder=Address(), gateway=gateway_name(), amount=Amount()),
        "Confirmed, by the holder or by silence: the dollars are burned.",
    ),
    EventSpec(
        "redemption_returned",
        Struct(
            redemption=_ID, holder=Address(), gateway=gateway_name(), amount=Amount(), status=_TEXT
        ),
        "Refused or expired: the dollars are back.",
    ),
)

FAMILY: Final = Family(
    number=REDEMPTIONS,
    name="redemptions",
    kinds=KINDS,
    tables=(REDEMPTION,),
    refusals=(
        UNKNOWN_REDEMPTION, REDEMPTION_STATUS, NOT_HOLDER, REDEMPTION_DEADLINE, BELOW_MINIMUM,
        NOT_WHOLE_CENTS, CURRENCY_NOT_SERVED, CREDIT_EXHAUSTED, UNKNOWN_QUOTE, UNKNOWN_CASE,
    ),
    params=(
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
            "credit_floor", 50_000 * DOLLAR, 0, 10_000_000 * DOLLAR,
            "how far below zero redemptions may take a gateway's position",
        ),
    ),
    events=EVENTS,
    laws=(Law("redemptions", _check_redemptions),),
    due=_do_due,
)  # fmt: skip
