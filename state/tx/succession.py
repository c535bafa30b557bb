"""Who sits in the set of a chain that takes over another's state: the genesis says so (case 75).

Every change is one that a passed proposal could make, by the same code: new keys for who was
there, joining for who was not, suspension for who is not named. A suspended gateway keeps its
position, its bond and what is open, as ever. Part of the governance family.
"""

from __future__ import annotations

from typing import Final, TypeVar

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis, GenesisGateway
from state.context import Context, Fields
from state.tx.gateways import ACTIVE, GATEWAY, SUSPENDED, Gateway, derive_validators
from state.tx.membership import Join, Rotate
from state.tx.seats import suspend_now, vacate

T = TypeVar("T")
_SAME: Final = ("country", "currencies", "owner_hash", "operator", "bond", "cap")
_NOBODY: Final = (0, b"", b"")  # no proof of possession: whoever starts the chain consents
_SOURCE: Final = b""  # no proposal


def seat_carried(ctx: Context, genesis: Genesis) -> None:
    """Make the set of the next height that of the genesis. `ConfigError` where it cannot be."""
    named = [given.name for given in genesis.gateways]
    for name, row in list(ctx.draft.items(GATEWAY)):
        if name not in named:  # first, so that there are seats for who comes
            suspend_now(ctx, name, row, _SOURCE)
            vacate(ctx, name, _SOURCE)
    for index, given in enumerate(genesis.gateways):
        where = f"genesis: gateways[{index}] ({given.name})"
        known = ctx.draft.get(GATEWAY, given.name)
        if known is None:
            _join(ctx, given, where)
        else:
            _renew(ctx, given, known, where)
    seated = [member.gateway for member in derive_validators(ctx.draft).members]
    if derive_validators(ctx.draft) != genesis.validators():
        raise ConfigError(f"genesis: gateways: the validators would be {', '.join(seated)}")


def _renew(ctx: Context, given: GenesisGateway, row: Gateway, where: str) -> None:
    for field in _SAME:
        if getattr(given, field) != getattr(row, field):
            raise ConfigError(f"{where}.{field}: is not that of the earlier chain")
    rotate = Rotate(
        gateway=given.name,
        vote_key=_new(given.vote_key, row.vote_key),
        possession=(_NOBODY,) * (given.vote_key != row.vote_key),
        transport_certificate=_new(given.transport_certificate, row.transport_certificate),
        endpoint=_new(given.endpoint, row.endpoint),
    )
    if any(rotate[1:]):
        _act(ctx, "rotate", rotate, where)
    if row.status == SUSPENDED:
        _act(ctx, "clear", (given.name,), where)
    elif row.status != ACTIVE:
        raise ConfigError(f"{where}: it is {row.status}")


def _new(value: T, before: T) -> tuple[T, ...]:
    return () if value == before else (value,)


def _join(ctx: Context, given: GenesisGateway, where: str) -> None:
    join = Join(
        name=given.name,
        country=given.country,
        currencies=given.currencies,
        owner_hash=given.owner_hash,
        operator=given.operator,
        vote_key=given.vote_key,
        possession=_NOBODY,
        transport_certificate=given.transport_certificate,
        endpoint=given.endpoint,
        bond=given.bond,
        cap=given.cap,
    )
    _act(ctx, "join", join, where)


def _act(ctx: Context, name: str, args: Fields, where: str) -> None:
    """What a proposal of this name would do, or `ConfigError` with what it would fail of."""
    action = ctx.rules.actions[name]
    fault = action.why_not(ctx, args)
    if fault is not None:
        (_, why), facts = fault
        told = "".join(f", {key} {value}" for key, value in facts.items())
        raise ConfigError(f"{where}: cannot {name}: {why}{told}")
    action.make(ctx, args, _SOURCE)
