"""The dollar: what holders have and pay one another.

Law: supply = balances + fee pool + locked + escrowed = issued - burned = sum of positions, and
each bucket is the sum of its records. Issuing stands in `issuing.py`, redeeming in
`redeeming.py`; the account row, the movers and the positions are next door.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from mgsnode.base.limits import INT_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX
from state.context import Context, Fields, ParamSpec
from state.draft import Reader
from state.fields import Address, Amount, Hash32, Int, ListOf, Struct, Text
from state.registry import EventSpec, Family, Kind, Law
from state.tx.accounts import ACCOUNT, EMPTY, check_free, check_memo
from state.tx.money import (
    DOLLAR_FAMILY,
    HOLD,
    INSUFFICIENT_BALANCE,
    REDEMPTIONS,
    TOTALS,
    Totals,
    check_balance,
    mint,
    totals_now,
    totals_of,
    transfer,
)
from state.tx.positions import (
    NO_POSITION,
    POSITION,
    REFERENCE,
    REFERENCE_USED,
    SUPPLY_LIMIT,
    position_of,
)


def apply_transfer(ctx: Context, fields: Fields) -> None:
    """To up to 256 payees. A payment to oneself is no error; it moves nothing."""
    (outputs,) = fields
    check_free(ctx.draft, ctx.sender)
    needed = 0
    for _, amount, _ in outputs:
        needed += amount
    for to, _, memo in outputs:
        check_memo(ctx.draft, to, memo)
    check_balance(ctx.draft, ctx.sender, needed)
    # From here on nothing can fail.
    transfer(ctx, ctx.sender, outputs)


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
        if totals_now(ctx).issued + given.dollar > INT_MAX:
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
        buckets[family == REDEMPTIONS] += sum(amount for _, amount in row.parts)
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


_OUTPUT = Struct(to=Address(), amount=Amount(), memo=Text(MEMO_BYTES_MAX))
_ID = Hash32()
_TEXT = Text(MEMO_BYTES_MAX)

KINDS: Final = (
    Kind(
        "dollar_transfer",
        Struct(outputs=ListOf(_OUTPUT, 1, OUTPUTS_MAX)),
        apply_transfer,
        100,
        "Pay up to 256 accounts, each with a memo.",
    ),
)

EVENTS: Final = (
    EventSpec(
        "dollar_moved",
        Struct(sender=Address(), to=Address(), amount=Amount(), memo=_TEXT),
        "From account to account.",
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
)

FAMILY: Final = Family(
    number=DOLLAR_FAMILY,
    name="dollar",
    kinds=KINDS,
    tables=(ACCOUNT, HOLD, TOTALS, POSITION, REFERENCE),
    refusals=(INSUFFICIENT_BALANCE, REFERENCE_USED, SUPPLY_LIMIT),
    params=(
        ParamSpec("fee_base", 500, 0, 10_000, "base fee of a transaction, micro-dollars"),
        ParamSpec("fee_byte", 2, 0, 100, "fee for each signed byte, micro-dollars"),
    ),
    events=EVENTS,
    laws=(Law("supply", _check_supply),),
    genesis=_apply_genesis,
    declares=("position_changed",),
)
