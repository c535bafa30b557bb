"""Bonds: what a gateway stakes on its honesty, and the long way back. Part of the token family.

A bond comes back `unbond_ms` after it was asked for and answers until then for what the gateway
did, so that nobody leaves before it is found out. While a gateway is active its bond does not fall
below `bond_minimum` by its own will; a suspended one waits until it is cleared or has left.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from state.context import Context, Fields, ParamSpec, is_scheduled
from state.draft import Reader
from state.fields import MICRO_MGS, Amount, Int, Struct, gateway_name
from state.registry import EventSpec, Kind, Law
from state.tx.accounts import check_free
from state.tx.gateways import GATEWAY, LEFT, NOT_OPERATOR, OPERATOR, Gateway, check_active
from state.tx.tokens import (
    TOKEN_FAMILY,
    UNBONDING,
    add_token_totals,
    add_tokens,
    begin_unbonding,
    bond_tokens,
    check_tokens,
    put_unbonding,
    unbonding_id,
)

BOND_TOO_SMALL: Final = (902, "BOND_TOO_SMALL")
_DAY_MS: Final = 24 * 3_600_000
_TOKEN: Final = 1_000_000  # micro-MGS


def _operated(ctx: Context) -> tuple[str, Gateway]:
    name = ctx.require(OPERATOR, ctx.sender, NOT_OPERATOR).gateway
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None, "an operator acts for a gateway"
    return name, gateway


def apply_bond(ctx: Context, fields: Fields) -> None:
    """A gateway adds to its bond: an active one, or one that wants to be cleared."""
    (amount,) = fields
    name, gateway = _operated(ctx)
    check_free(ctx.draft, ctx.sender)
    if gateway.status == LEFT:
        check_active(name, gateway)
    check_tokens(ctx.draft, ctx.sender, amount)
    # From here on nothing can fail.
    bond_tokens(ctx, ctx.sender, amount)
    ctx.draft.put(GATEWAY, name, gateway._replace(bond=gateway.bond + amount))
    ctx.emit("token_bonded", name, amount)


def apply_unbond(ctx: Context, fields: Fields) -> None:
    """A part of the bond begins its way back."""
    (amount,) = fields
    name, gateway = _operated(ctx)
    check_active(name, gateway)
    least = ctx.params["bond_minimum"]
    if gateway.bond - amount < least:
        raise Rejected(BOND_TOO_SMALL, bond=str(gateway.bond), lowest=str(least))
    # From here on nothing can fail.
    begin_unbonding(ctx, name, amount)


def do_unbonding(ctx: Context, object_id: bytes) -> None:
    """What of a bond has come back is the operator's."""
    row = ctx.draft.get(UNBONDING, object_id)
    assert row is not None, "what is on its way back is scheduled as long as it is"
    now_ms = ctx.now(TOKEN_FAMILY)
    arrived = sum(amount for due_ms, amount in row.parts if due_ms <= now_ms)
    gateway = ctx.draft.get(GATEWAY, row.gateway)
    assert gateway is not None, "a gateway is never removed"
    left = {due_ms: amount for due_ms, amount in row.parts if due_ms > now_ms}
    put_unbonding(ctx, row.gateway, left)
    add_tokens(ctx, gateway.operator, arrived)
    add_token_totals(ctx, unbonding=-arrived, balances=arrived)
    ctx.emit("token_unbonded", row.gateway, arrived)


def _check_unbonding(reader: Reader) -> str | None:
    """What is on its way back has parts, stands in the due queue and names its gateway."""
    for key, row in reader.items(UNBONDING):
        if key != unbonding_id(row.gateway) or reader.get(GATEWAY, row.gateway) is None:
            return f"unbonding {key.hex()} is no gateway's"
        if not row.parts or min(amount for _, amount in row.parts) <= 0:
            return f"unbonding of {row.gateway} has an empty part"
        if not is_scheduled(reader, TOKEN_FAMILY, row.parts[0][0], key):
            return f"unbonding of {row.gateway} is not in the due queue"
    return None


_TOKENS: Final = Amount(MICRO_MGS)
_AMOUNT: Final = Struct(amount=_TOKENS)
BOND_KINDS: Final = (
    Kind("token_bond", _AMOUNT, apply_bond, 200, "A gateway's operator adds to its bond."),
    Kind(
        "token_unbond", _AMOUNT, apply_unbond, 200,
        "A part of a gateway's bond begins its way back to the operator.",
    ),
)  # fmt: skip
BOND_EVENTS: Final = (
    EventSpec(
        "bond_cut",
        Struct(gateway=gateway_name(), amount=_TOKENS),
        "A gateway lost a part of its bond, in micro-MGS.",
    ),
    EventSpec(
        "token_bonded", Struct(gateway=gateway_name(), amount=_TOKENS), "A bond became larger."
    ),
    EventSpec(
        "token_unbonding",
        Struct(gateway=gateway_name(), amount=_TOKENS, due_ms=Int(0, 2**63 - 1)),
        "A part of a bond is on its way back until then, on the token's clock.",
    ),
    EventSpec(
        "token_unbonded",
        Struct(gateway=gateway_name(), amount=_TOKENS),
        "A part of a bond came back to the operator.",
    ),
)
BOND_PARAMS: Final = (
    ParamSpec(
        "unbond_ms", 45 * _DAY_MS, 21 * _DAY_MS, 180 * _DAY_MS,
        "how long a bond is on its way back, and liable", is_time=True,
    ),
    ParamSpec(
        "bond_minimum", 100_000 * _TOKEN, 0, 100_000_000 * _TOKEN,
        "what an active gateway keeps bonded, micro-MGS; asked when it unbonds",
    ),
)  # fmt: skip
BOND_LAWS: Final = (Law("unbonding", _check_unbonding),)
