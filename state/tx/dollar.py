"""The dollar: issued by gateways, paid among holders, redeemed at any gateway at par.

Law: supply = balances + fee pool + locked + escrowed = issued - burned = sum of positions, and
each bucket is the sum of its records. The names of positions are those of F2 in the design.
Reserves, contests, strikes and clearing are not here yet: until then a gateway's cap alone
bounds its issuing, and silence after a claim confirms it.

Longer than a page because a family is one file; the movers and the account row are next door.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX
from state.context import Context, Fields, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import (
    Address,
    Amount,
    Choice,
    Hash32,
    Int,
    ListOf,
    Optional,
    Struct,
    Text,
    gateway_name,
)
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key, int_key, pair_key, text_key
from state.tx.accounts import ACCOUNT, EMPTY
from state.tx.gateways import GATEWAY, NOT_OPERATOR, UNKNOWN_GATEWAY, check_may_issue, operated_by
from state.tx.money import (
    DOLLAR_FAMILY,
    HOLD,
    INSUFFICIENT_BALANCE,
    TOTALS,
    Totals,
    burn,
    check_balance,
    hold,
    mint,
    release,
    totals_of,
    transfer,
)  # fmt: skip

REFERENCE_USED: Final = (102, "REFERENCE_USED")
CAP_EXCEEDED: Final = (103, "CAP_EXCEEDED")
SUPPLY_LIMIT: Final = (104, "SUPPLY_LIMIT")
UNKNOWN_REDEMPTION: Final = (105, "UNKNOWN_REDEMPTION")
REDEMPTION_STATUS: Final = (106, "REDEMPTION_STATUS")
NOT_HOLDER: Final = (107, "NOT_HOLDER")
REDEMPTION_DEADLINE: Final = (108, "REDEMPTION_DEADLINE")
BELOW_MINIMUM: Final = (109, "BELOW_MINIMUM")
NOT_WHOLE_CENTS: Final = (110, "NOT_WHOLE_CENTS")
CURRENCY_NOT_SERVED: Final = (111, "CURRENCY_NOT_SERVED")
CREDIT_EXHAUSTED: Final = (112, "CREDIT_EXHAUSTED")
UNKNOWN_QUOTE: Final = (113, "UNKNOWN_QUOTE")  # there are no quotes yet
UNKNOWN_CASE: Final = (114, "UNKNOWN_CASE")  # nor compliance cases

CENT: Final = 10_000  # micro-dollars
DOLLAR: Final = 1_000_000
ISSUED_MAX: Final = INT_MAX // 64  # of one gateway, ever: alone it cannot use up the counters
REDEEMED, ASK_FEE = 1, 2  # purposes of a redemption's hold
ISSUED_ON, PAID_ON = 1, 2  # what a reference was used for
PENDING, CLAIMED, PAID = "pending", "claimed", "paid"
REFUSED, EXPIRED = "refused", "expired"  # to come: contested, returned, seized
BY_HOLDER, BY_GATEWAY = 1, 2  # lists of redemptions
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Position(NamedTuple):
    """A gateway's sums, in micro-dollars; they only grow, but for `asks` and `claimed`."""

    issued: int
    burned: int  # by redeeming
    asks: int  # open redemptions, claimed ones included
    claimed: int  # marked paid, not yet burned
    fiat_out: int  # O of F1: what was marked paid, for ever
    settled_out: int  # clearing, to come
    settled_in: int
    assumed_away: int
    assumed: int

    @property
    def position(self) -> int:
        """P: what the gateway stands for."""
        return (
            self.issued - self.burned - self.settled_out + self.settled_in
            - self.assumed_away + self.assumed
        )  # fmt: skip

    @property
    def owed(self) -> int:
        """L: position less what was marked paid already, never below zero."""
        return max(0, self.position - self.claimed)


class Reference(NamedTuple):
    """A fiat reference that was used, and by which transaction."""

    txid: bytes


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


POSITION: Final[Table[str, Position]] = Table(19, "dollar/position", Position, text_key())
# Key: ((what for, reference), gateway): a reference is used once for each purpose and gateway.
REFERENCE: Final[Table[tuple[tuple[int, bytes], str], Reference]] = Table(
    20,
    "dollar/reference",
    Reference,
    pair_key(pair_key(int_key(1), bytes_key()), text_key()),
)
REDEMPTION: Final[Table[bytes, Redemption]] = Table(
    21, "dollar/redemption", Redemption, bytes_key()
)
NO_POSITION: Final = Position(0, 0, 0, 0, 0, 0, 0, 0, 0)


def position_of(reader: Reader, gateway: str) -> Position:
    """The gateway's sums."""
    return reader.get(POSITION, gateway) or NO_POSITION


def _use_reference(ctx: Context, purpose: int, gateway: str, reference: bytes) -> None:
    ctx.draft.put(REFERENCE, ((purpose, reference), gateway), Reference(ctx.object_id))


def _check_reference(ctx: Context, purpose: int, gateway: str, reference: bytes) -> None:
    if ctx.draft.get(REFERENCE, ((purpose, reference), gateway)) is not None:
        raise Rejected(REFERENCE_USED, gateway=gateway)


# Issue ------------------------------------------------------------------------------------


def apply_issue(ctx: Context, fields: Fields) -> None:
    """New dollars to a holder, against fiat that the gateway received."""
    to, amount, reference = fields
    name, gateway = operated_by(ctx, ctx.sender)
    check_may_issue(ctx.draft, name, gateway)
    _check_reference(ctx, ISSUED_ON, name, reference)
    position = position_of(ctx.draft, name)
    if position.issued + amount > ISSUED_MAX or totals_of(ctx.draft).issued + amount > INT_MAX:
        raise Rejected(SUPPLY_LIMIT)
    room = gateway.cap - position.owed
    if amount > room:
        raise Rejected(CAP_EXCEEDED, gateway=name, room=str(room), needed=str(amount))
    # From here on nothing can fail.
    _use_reference(ctx, ISSUED_ON, name, reference)
    ctx.draft.put(POSITION, name, position._replace(issued=position.issued + amount))
    mint(ctx, to, amount)
    ctx.emit("dollar_issued", name, to, amount, reference)


# Transfer ---------------------------------------------------------------------------------


def apply_transfer(ctx: Context, fields: Fields) -> None:
    """To up to 256 payees. A payment to oneself is no error; it moves nothing."""
    (outputs,) = fields
    needed = 0
    for _, amount, _ in outputs:
        needed += amount
    check_balance(ctx.draft, ctx.sender, needed)
    # From here on nothing can fail.
    transfer(ctx, ctx.sender, outputs)


# Redeem -----------------------------------------------------------------------------------


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
    due_ms = ctx.now(DOLLAR_FAMILY) + ctx.params["redeem_deadline_ms"]
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
    ctx.draft.put(POSITION, name, position._replace(asks=position.asks + amount))
    hold(ctx, ctx.sender, DOLLAR_FAMILY, rid, REDEEMED, amount)
    hold(ctx, ctx.sender, DOLLAR_FAMILY, rid, ASK_FEE, ask_fee)
    ctx.schedule(due_ms, rid, DOLLAR_FAMILY)
    ctx.involve(gateway.operator)
    ctx.list_under(BY_HOLDER, ctx.sender, rid)
    ctx.list_under(BY_GATEWAY, name.encode(), rid)
    ctx.emit("redemption_asked", rid, ctx.sender, name, amount, currency)


def _open_redemption(ctx: Context, rid: bytes, status: str) -> Redemption:
    """The redemption, in that status and before its deadline, else a refusal."""
    redemption = ctx.require(REDEMPTION, rid, UNKNOWN_REDEMPTION)
    if redemption.status != status:
        raise Rejected(REDEMPTION_STATUS, status=redemption.status, needed=status)
    if ctx.now(DOLLAR_FAMILY) >= redemption.due_ms:
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
    _check_reference(ctx, PAID_ON, name, reference)
    if case:
        raise Rejected(UNKNOWN_CASE)
    # From here on nothing can fail.
    _use_reference(ctx, PAID_ON, name, reference)
    due_ms = ctx.now(DOLLAR_FAMILY) + redemption.contest_ms
    ctx.unschedule(redemption.due_ms, rid, DOLLAR_FAMILY)
    ctx.schedule(due_ms, rid, DOLLAR_FAMILY)
    claimed = redemption._replace(status=CLAIMED, due_ms=due_ms, reference=reference)
    ctx.draft.put(REDEMPTION, rid, claimed)
    position = position_of(ctx.draft, name)
    amount = redemption.amount
    ctx.draft.put(
        POSITION,
        name,
        position._replace(claimed=position.claimed + amount, fiat_out=position.fiat_out + amount),
    )
    ctx.involve(redemption.holder)
    ctx.emit("redemption_claimed", rid, name, reference, due_ms)


def apply_redeem_confirm(ctx: Context, fields: Fields) -> None:
    """The holder has the fiat: the dollars burn, the ask fee comes back."""
    (rid,) = fields
    redemption = _open_redemption(ctx, rid, CLAIMED)
    if redemption.holder != ctx.sender:
        raise Rejected(NOT_HOLDER)
    # From here on nothing can fail.
    ctx.unschedule(redemption.due_ms, rid, DOLLAR_FAMILY)
    _settle(ctx, rid, redemption, ask_fee_to=redemption.holder)


def apply_redeem_refuse(ctx: Context, fields: Fields) -> None:
    """The gateway will not pay, for a listed reason: the dollars return."""
    rid, reason = fields
    redemption = _operated_redemption(ctx, rid)
    # From here on nothing can fail.
    ctx.unschedule(redemption.due_ms, rid, DOLLAR_FAMILY)
    at_fault = reason == "details"
    _return(
        ctx, rid, redemption, status=REFUSED, reason=reason,
        ask_fee_to=ctx.sender if at_fault else redemption.holder,
    )  # fmt: skip


def _settle(ctx: Context, rid: bytes, redemption: Redemption, *, ask_fee_to: bytes) -> None:
    """Paid in fiat: burn, and the gateway's position falls."""
    amount, name = redemption.amount, redemption.gateway
    burn(ctx, DOLLAR_FAMILY, rid, REDEEMED, amount)
    release(ctx, DOLLAR_FAMILY, rid, ASK_FEE, ask_fee_to, redemption.ask_fee)
    position = position_of(ctx.draft, name)
    ctx.draft.put(
        POSITION,
        name,
        position._replace(
            asks=position.asks - amount,
            claimed=position.claimed - amount,
            burned=position.burned + amount,
        ),
    )
    ctx.draft.put(REDEMPTION, rid, redemption._replace(status=PAID, closed_ms=ctx.time_ms))
    ctx.involve(redemption.holder)
    ctx.emit("redemption_paid", rid, redemption.holder, name, amount)


def _return(
    ctx: Context, rid: bytes, redemption: Redemption, *, status: str, reason: str, ask_fee_to: bytes
) -> None:
    """Not paid: the dollars go back. From pending only, until there are contests."""
    amount, name = redemption.amount, redemption.gateway
    release(ctx, DOLLAR_FAMILY, rid, REDEEMED, redemption.holder, amount)
    release(ctx, DOLLAR_FAMILY, rid, ASK_FEE, ask_fee_to, redemption.ask_fee)
    position = position_of(ctx.draft, name)
    ctx.draft.put(POSITION, name, position._replace(asks=position.asks - amount))
    closed = redemption._replace(status=status, closed_ms=ctx.time_ms, reason=reason)
    ctx.draft.put(REDEMPTION, rid, closed)
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


# Genesis and laws -------------------------------------------------------------------------


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    """Genesis dollars are issues of a gateway."""
    for gateway in genesis.gateways:
        ctx.draft.put(POSITION, gateway.name, NO_POSITION)
    caps = {gateway.name: gateway.cap for gateway in genesis.gateways}
    for index, given in enumerate(genesis.accounts):
        where = f"genesis: accounts[{index}]"
        if ctx.draft.get(ACCOUNT, given.address) is not None:
            raise ConfigError(f"{where}.address stands twice")
        if min(given.dollar, given.token) < 0:
            raise ConfigError(f"{where}: amounts are from 0")
        ctx.draft.put(ACCOUNT, given.address, EMPTY._replace(token=given.token))
        if given.dollar == 0:
            continue
        if given.issuer not in caps:
            raise ConfigError(f"{where}.issuer is no gateway")
        position = position_of(ctx.draft, given.issuer)
        issued = position.issued + given.dollar
        if issued > caps[given.issuer]:
            raise ConfigError(f"{where}.dollar goes beyond the cap of {given.issuer}")
        if totals_of(ctx.draft).issued + given.dollar > INT_MAX:
            raise ConfigError(f"{where}.dollar goes beyond what the dollar can count")
        ctx.draft.put(POSITION, given.issuer, position._replace(issued=issued))
        mint(ctx, given.address, given.dollar)


def _check_supply(reader: Reader) -> str | None:
    balances = 0
    for address, account in reader.items(ACCOUNT):
        if account.dollar < 0 or account.token < 0:
            return f"account {address.hex()} is below zero"
        balances += account.dollar
    buckets = {True: 0, False: 0}
    for (family, object_id), row in reader.items(HOLD):
        if any(amount <= 0 for _, amount in row.parts):
            return f"hold of {object_id.hex()} is not above zero"
        buckets[family == DOLLAR_FAMILY] += sum(amount for _, amount in row.parts)
    totals = totals_of(reader)
    counted = Totals(
        issued=sum(row.issued for _, row in reader.items(POSITION)),
        burned=sum(row.burned for _, row in reader.items(POSITION)),
        balances=balances,
        fee_pool=totals.supply - balances - buckets[True] - buckets[False],
        locked=buckets[True],
        escrowed=buckets[False],
    )
    for name, kept, found in zip(Totals._fields, totals, counted, strict=True):
        if kept != found:
            return f"totals: {name} is {kept}, its records say {found}"
    positions = sum(row.position for _, row in reader.items(POSITION))
    if positions != totals.supply:
        return f"positions sum to {positions}, the supply is {totals.supply}"
    return None


def _check_redemptions(reader: Reader) -> str | None:
    asks: dict[str, int] = {}
    claimed: dict[str, int] = {}
    open_ids: dict[bytes, None] = {}
    for rid, row in reader.items(REDEMPTION):
        hold_row = reader.get(HOLD, (DOLLAR_FAMILY, rid))
        if row.status not in (PENDING, CLAIMED):
            if hold_row is not None:
                return f"redemption {rid.hex()} is {row.status} and still locks dollars"
            continue
        open_ids[rid] = None
        parts = [(REDEEMED, row.amount), (ASK_FEE, row.ask_fee)]
        if hold_row is None or list(hold_row.parts) != [part for part in parts if part[1]]:
            return f"redemption {rid.hex()} does not lock what was asked"
        if not is_scheduled(reader, DOLLAR_FAMILY, row.due_ms, rid):
            return f"redemption {rid.hex()} is open and not in the due queue"
        asks[row.gateway] = asks.get(row.gateway, 0) + row.amount
        if row.status == CLAIMED:
            claimed[row.gateway] = claimed.get(row.gateway, 0) + row.amount
    for name, position in reader.items(POSITION):
        if (position.asks, position.claimed) != (asks.pop(name, 0), claimed.pop(name, 0)):
            return f"position of {name}: asks or claimed are not the sum of its redemptions"
        if min(position) < 0:
            return f"position of {name} has a sum below zero"
    for (family, object_id), _ in reader.items(HOLD, bytes([DOLLAR_FAMILY])):
        if family == DOLLAR_FAMILY and object_id not in open_ids:
            return f"hold of {object_id.hex()} belongs to no open redemption"
    return None


_OUTPUT = Struct(to=Address(), amount=Amount(), memo=Text(MEMO_BYTES_MAX))
_ID = Hash32()
_ANY = Int(0, INT_MAX)
_TEXT = Text(MEMO_BYTES_MAX)

KINDS: Final = (
    Kind(
        "dollar_issue",
        Struct(to=Address(), amount=Amount(), reference=Hash32()),
        apply_issue,
        200,
        "A gateway's operator issues dollars against fiat; each reference counts once.",
    ),
    Kind(
        "dollar_transfer",
        Struct(outputs=ListOf(_OUTPUT, 1, OUTPUTS_MAX)),
        apply_transfer,
        100,
        "Pay up to 256 accounts, each with a memo.",
    ),
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
        "dollar_moved",
        Struct(sender=Address(), to=Address(), amount=Amount(), memo=_TEXT),
        "From account to account.",
    ),
    EventSpec(
        "dollar_issued",
        Struct(gateway=gateway_name(), to=Address(), amount=Amount(), reference=Hash32()),
        "New dollars.",
    ),
    EventSpec(
        "dollar_held",
        Struct(owner=Address(), object=_ID, purpose=Int(1, 255), amount=Amount()),
        "From an account into a hold.",
    ),
    EventSpec(
        "dollar_released",
        Struct(object=_ID, purpose=Int(1, 255), to=Address(), amount=Amount()),
        "From a hold to an account.",
    ),
    EventSpec(
        "dollar_pooled",
        Struct(object=_ID, purpose=Int(1, 255), amount=Amount()),
        "From a hold to the fee pool.",
    ),
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
        Struct(redemption=_ID, gateway=gateway_name(), reference=Hash32(), due_ms=_ANY),
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
    number=DOLLAR_FAMILY,
    name="dollar",
    kinds=KINDS,
    tables=(ACCOUNT, HOLD, TOTALS, POSITION, REFERENCE, REDEMPTION),
    refusals=(
        INSUFFICIENT_BALANCE, REFERENCE_USED, CAP_EXCEEDED, SUPPLY_LIMIT, UNKNOWN_REDEMPTION,
        REDEMPTION_STATUS, NOT_HOLDER, REDEMPTION_DEADLINE, BELOW_MINIMUM, NOT_WHOLE_CENTS,
        CURRENCY_NOT_SERVED, CREDIT_EXHAUSTED, UNKNOWN_QUOTE, UNKNOWN_CASE,
    ),
    params=(
        ParamSpec("fee_base", 500, 0, 10_000, "base fee of a transaction, micro-dollars"),
        ParamSpec("fee_byte", 2, 0, 100, "fee for each signed byte, micro-dollars"),
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
    laws=(Law("supply", _check_supply), Law("redemptions", _check_redemptions)),
    genesis=_apply_genesis,
    due=_do_due,
)  # fmt: skip
