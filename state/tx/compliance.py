"""Compliance: an officer freezes an account for a case; only a passed proposal can seize it.

Law: who is frozen has a freeze that names its case and stands in the due queue.

A freeze costs the same however much is open. It stops what its holder wants (`check_free`), never
a duty, and never what is due to it. Its redemptions stand still: `frozen_ms` is what their
deadlines are put off by, and the hook `thawed` tells when they go on. Seizing takes the balance
at once; the hook `seized` and the row in SEIZURE tell who holds something for the account that
what was pending then belongs to another. It never burns, and never touches an order's escrow.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Action, Context, Fault, Fields, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import Address, Hash32, Int, Struct
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key, int_key, pair_key
from state.tx.accounts import (
    ACCOUNT,
    COMPLIANCE,
    EVER_FROZEN,
    FREEZE,
    FROZEN,
    Freeze,
    account_of,
    freeze_of,
    is_frozen,
    put_account,
)
from state.tx.gateways import OFFICER, is_listed
from state.tx.money import REDEMPTIONS, transfer

NOT_OFFICER: Final = (1_201, "NOT_OFFICER")
ALREADY_FROZEN: Final = (1_202, "ALREADY_FROZEN")
NOT_FROZEN: Final = (1_203, "NOT_FROZEN")
CASE_USED: Final = (1_204, "CASE_USED")
WRONG_CASE: Final = (1_205, "WRONG_CASE")
FREEZE_EXTENDED: Final = (1_206, "FREEZE_EXTENDED")
SAME_ACCOUNT: Final = (1_207, "SAME_ACCOUNT")

_DAY_MS: Final = 24 * 3_600_000
EXTENSION_MS_MAX: Final = 366 * _DAY_MS  # of one proposal; the next one can add to it


class Case(NamedTuple):
    """A case froze an account: it does so once, or one officer could freeze for ever."""

    officer: bytes
    frozen_ms: int  # block time


class Seizure(NamedTuple):
    """What was pending for an account at a block time belongs to another."""

    to: bytes
    case: bytes
    proposal: bytes


# Key: (account, case).
CASE: Final[Table[tuple[bytes, bytes], Case]] = Table(
    193, "compliance/case", Case, pair_key(bytes_key(), bytes_key())
)
# Key: (account, block time in ms).
SEIZURE: Final[Table[tuple[bytes, int], Seizure]] = Table(
    194, "compliance/seizure", Seizure, pair_key(bytes_key(), int_key())
)


def is_case_of(reader: Reader, address: bytes, case: bytes) -> bool:
    """Whether the account was ever frozen for this case."""
    return reader.get(CASE, (address, case)) is not None


def seizure_after(reader: Reader, address: bytes, time_ms: int) -> Seizure | None:
    """The first seizure of the account after that block time: of what it held for itself then."""
    if freeze_of(reader, address) is None:
        return None
    start = address + (time_ms + 1).to_bytes(8, "big")
    return next((row for _, row in reader.items(SEIZURE, address, start=start)), None)


def apply_freeze(ctx: Context, fields: Fields) -> None:
    """An officer freezes an account for a case."""
    address, case = fields
    if not is_listed(ctx.draft, OFFICER, ctx.sender):
        raise Rejected(NOT_OFFICER)
    freeze = freeze_of(ctx.draft, address)
    if is_frozen(ctx.draft, address):
        raise Rejected(ALREADY_FROZEN)
    if is_case_of(ctx.draft, address, case):
        raise Rejected(CASE_USED)
    # From here on nothing can fail.
    if freeze is not None and freeze.is_on:  # its end has come and waits to be done
        _end(ctx, address, freeze)
        freeze = freeze_of(ctx.draft, address)
    until_ms = ctx.now(COMPLIANCE) + ctx.params["freeze_ms"]
    stood_ms = freeze.stood_ms if freeze else 0
    ctx.draft.put(CASE, (address, case), Case(ctx.sender, ctx.time_ms))
    row = Freeze(case, until_ms, ctx.now(REDEMPTIONS), stood_ms, is_on=True, extended=False)
    ctx.draft.put(FREEZE, address, row)
    account = account_of(ctx.draft, address)
    put_account(ctx, address, account._replace(flags=account.flags | FROZEN | EVER_FROZEN))
    ctx.schedule(until_ms, address, COMPLIANCE)
    ctx.emit("compliance_frozen", address, case, until_ms)


def apply_thaw(ctx: Context, fields: Fields) -> None:
    """An officer lifts a freeze that no proposal has extended."""
    address, case = fields
    if not is_listed(ctx.draft, OFFICER, ctx.sender):
        raise Rejected(NOT_OFFICER)
    fault = _why_not_this_freeze(ctx, address, case)
    if fault is not None:
        raise Rejected(fault[0], **fault[1])
    freeze = freeze_of(ctx.draft, address)
    assert freeze is not None
    if freeze.extended:
        raise Rejected(FREEZE_EXTENDED)
    # From here on nothing can fail.
    _end(ctx, address, freeze)


def _end(ctx: Context, address: bytes, freeze: Freeze) -> None:
    """The account is free again; what stood still goes on."""
    stood_ms = freeze.stood_ms + ctx.now(REDEMPTIONS) - freeze.since_ms
    ctx.unschedule(freeze.until_ms, address, COMPLIANCE)
    ctx.draft.put(FREEZE, address, freeze._replace(is_on=False, stood_ms=stood_ms))
    account = account_of(ctx.draft, address)
    put_account(ctx, address, account._replace(flags=account.flags & ~FROZEN))
    ctx.emit("compliance_thawed", address, freeze.case)
    ctx.fire("thawed", address)


def _do_due(ctx: Context, address: bytes) -> None:
    """A freeze has come to its end."""
    freeze = freeze_of(ctx.draft, address)
    assert freeze is not None and freeze.is_on
    _end(ctx, address, freeze)


# What governance can ask for -----------------------------------------------------------------


def _why_not_this_freeze(ctx: Context, address: bytes, case: bytes) -> Fault | None:
    freeze = freeze_of(ctx.draft, address)
    if freeze is None or not is_frozen(ctx.draft, address):
        return NOT_FROZEN, {}
    return None if freeze.case == case else (WRONG_CASE, {"case": freeze.case.hex()})


def _make_extend(ctx: Context, args: Fields, _source: bytes) -> None:
    address, case, more_ms = args
    freeze = freeze_of(ctx.draft, address)
    assert freeze is not None
    until_ms = freeze.until_ms + more_ms
    ctx.unschedule(freeze.until_ms, address, COMPLIANCE)
    ctx.schedule(until_ms, address, COMPLIANCE)
    ctx.draft.put(FREEZE, address, freeze._replace(until_ms=until_ms, extended=True))
    ctx.involve(address)
    ctx.emit("compliance_frozen", address, case, until_ms)


def _make_lift(ctx: Context, args: Fields, _source: bytes) -> None:
    freeze = freeze_of(ctx.draft, args[0])
    assert freeze is not None
    _end(ctx, args[0], freeze)


def _why_not_seize(ctx: Context, args: Fields) -> Fault | None:
    address, to, case = args
    return (SAME_ACCOUNT, {}) if address == to else _why_not_this_freeze(ctx, address, case)


def _make_seize(ctx: Context, args: Fields, source: bytes) -> None:
    """The balance at once; who holds pending redemptions of the account hears of it."""
    address, to, case = args
    if ctx.draft.get(SEIZURE, (address, ctx.time_ms)) is None:  # the first one of a block stands
        ctx.draft.put(SEIZURE, (address, ctx.time_ms), Seizure(to, case, source))
    balance = account_of(ctx.draft, address).dollar
    if balance:
        transfer(ctx, address, ((to, balance, ""),))
    ctx.involve(address)
    ctx.emit("compliance_seized", address, to, case)
    ctx.fire("seized", address)


def _check_freezes(reader: Reader) -> str | None:
    """Flags, freezes, cases and the due queue agree."""
    frozen: dict[bytes, bool] = {}
    for address, row in reader.items(FREEZE):
        frozen[address] = row.is_on
        if row.is_on and not is_scheduled(reader, COMPLIANCE, row.until_ms, address):
            return f"the freeze of {address.hex()} is not in the due queue"
        if not is_case_of(reader, address, row.case):
            return f"the freeze of {address.hex()} is for no case of its"
    for address, account in reader.items(ACCOUNT):
        is_on = frozen.pop(address, None)
        if bool(account.flags & FROZEN) != bool(is_on):
            return f"account {address.hex()}: its flag is not what its freeze says"
        if bool(account.flags & EVER_FROZEN) != (is_on is not None):
            return f"account {address.hex()}: its flag hides or invents a freeze"
    if frozen:
        return f"the freeze of {sorted(frozen)[0].hex()} is of no account"
    for (address, _), _ in reader.items(SEIZURE):
        if reader.get(FREEZE, address) is None:
            return f"account {address.hex()} was seized and never frozen"
    return None


_FREEZE_FIELDS: Final = Struct(account=Address(), case=Hash32())

FAMILY: Final = Family(
    number=COMPLIANCE,
    name="compliance",
    kinds=(
        Kind(
            "compliance_freeze",
            _FREEZE_FIELDS,
            apply_freeze,
            200,
            "A compliance officer freezes an account for a case; its holder can spend nothing.",
        ),
        Kind(
            "compliance_thaw",
            _FREEZE_FIELDS,
            apply_thaw,
            200,
            "A compliance officer lifts a freeze.",
            ends=True,
        ),
    ),
    tables=(FREEZE, CASE, SEIZURE),
    refusals=(
        NOT_OFFICER, ALREADY_FROZEN, NOT_FROZEN, CASE_USED, WRONG_CASE, FREEZE_EXTENDED,
        SAME_ACCOUNT,
    ),
    params=(
        ParamSpec(
            "freeze_ms", 30 * _DAY_MS, _DAY_MS, 90 * _DAY_MS,
            "live time that an officer's freeze holds", is_time=True,
        ),
    ),
    events=(
        EventSpec(
            "compliance_frozen",
            Struct(account=Address(), case=Hash32(), until_ms=Int(0, INT_MAX)),
            "An account is frozen, or frozen for longer, until that live time.",
        ),
        EventSpec("compliance_thawed", _FREEZE_FIELDS, "A freeze is over."),
        EventSpec(
            "compliance_seized",
            Struct(account=Address(), to=Address(), case=Hash32()),
            "What an account had, and what was pending for it, goes to another by proposal.",
        ),
    ),
    laws=(Law("freezes", _check_freezes),),
    due=_do_due,
    actions={
        "extend_freeze": Action(
            Struct(account=Address(), case=Hash32(), more_ms=Int(1, EXTENSION_MS_MAX)),
            lambda ctx, args: _why_not_this_freeze(ctx, args[0], args[1]),
            _make_extend,
        ),
        "lift_freeze": Action(
            _FREEZE_FIELDS, lambda ctx, args: _why_not_this_freeze(ctx, *args), _make_lift
        ),
        "seize": Action(
            Struct(account=Address(), to=Address(), case=Hash32()), _why_not_seize, _make_seize
        ),
    },
    declares=("thawed", "seized"),
)  # fmt: skip
