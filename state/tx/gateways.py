"""Gateways: who they are, what they may do, who of them sits in the validator set; arbiters.

Law: the validator set of the next height is the gateways that have a seat, in the order of
their places; each era stands in a row. The genesis makes the first ones; `governance.py` alone
changes status, seat and keys.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.validators import Validator, ValidatorSet
from state.context import Context
from state.draft import Draft, Reader
from state.registry import Family, Law
from state.table import Table, bytes_key, int_key, text_key

UNKNOWN_GATEWAY: Final = (301, "UNKNOWN_GATEWAY")
NOT_OPERATOR: Final = (302, "NOT_OPERATOR")
GATEWAY_NOT_ACTIVE: Final = (303, "GATEWAY_NOT_ACTIVE")

# A suspended gateway issues nothing and has no vote in governance; a leaving one winds up, and
# has left when its position and what is open are zero.
ACTIVE, SUSPENDED, LEAVING, LEFT = "active", "suspended", "leaving", "left"


class Gateway(NamedTuple):
    """A gateway, under its name."""

    place: int  # in the genesis, then in the order of joining
    country: str
    currencies: tuple[str, ...]
    owner_hash: bytes
    operator: bytes  # the account that acts for it
    vote_key: bytes
    transport_certificate: bytes
    endpoint: str
    bond: int  # micro-MGS
    cap: int  # most it may owe, micro-dollars
    status: str
    seat: bool  # whether it is in the validator set; a suspended one may have to keep its seat


class Operator(NamedTuple):
    """Which gateway an operator's account acts for."""

    gateway: str


class Arbiter(NamedTuple):
    """Listed since this height."""

    since: int


class Era(NamedTuple):
    """The validator set of one era: (gateway, vote key), in order."""

    first_height: int
    members: tuple[tuple[str, bytes], ...]


class Chain(NamedTuple):
    """What execution needs of the genesis itself."""

    network: str
    hrp: str
    genesis_hash: bytes  # the chain's name in every signature


GATEWAY: Final[Table[str, Gateway]] = Table(48, "gateways/gateway", Gateway, text_key())
OPERATOR: Final[Table[bytes, Operator]] = Table(49, "gateways/operator", Operator, bytes_key())
ARBITER: Final[Table[bytes, Arbiter]] = Table(50, "gateways/arbiter", Arbiter, bytes_key())
ERA: Final[Table[int, Era]] = Table(51, "gateways/era", Era, int_key())
CHAIN: Final[Table[bytes, Chain]] = Table(52, "gateways/chain", Chain, bytes_key(0))


def chain_of(reader: Reader) -> Chain:
    """What network this is."""
    chain = reader.get(CHAIN, b"")
    assert chain is not None, "the genesis writes it"
    return chain


def derive_validators(reader: Reader) -> ValidatorSet:
    """Who certifies the next height: the gateways with a seat, in the order of their places."""
    rows = sorted((row.place, name, row) for name, row in reader.items(GATEWAY))
    return ValidatorSet([Validator(name, row.vote_key) for _, name, row in rows if row.seat])


def close_era(draft: Draft, before: ValidatorSet, *, era: int, height: int) -> ValidatorSet:
    """The validators of the height above `height`, after its block has been executed.

    Where they are not `before`, the block is a barrier, and the era after `era` gets its row.
    """
    validators = derive_validators(draft)
    if validators != before:
        members = tuple((member.gateway, member.public_key) for member in validators.members)
        draft.put(ERA, era + 1, Era(height + 1, members))
    return validators


def era_validators(reader: Reader, era: int) -> ValidatorSet | None:
    """The set of an era, None if it has not begun."""
    row = reader.get(ERA, era)
    return None if row is None else ValidatorSet([Validator(*pair) for pair in row.members])


def operated_by(ctx: Context, address: bytes) -> tuple[str, Gateway]:
    """(name, gateway) that the account acts for, else `NOT_OPERATOR`."""
    name = ctx.require(OPERATOR, address, NOT_OPERATOR).gateway
    return name, ctx.require(GATEWAY, name, UNKNOWN_GATEWAY, gateway=name)


def check_active(name: str, gateway: Gateway) -> None:
    """`GATEWAY_NOT_ACTIVE` unless it is."""
    if gateway.status != ACTIVE:
        raise Rejected(GATEWAY_NOT_ACTIVE, gateway=name, status=gateway.status)


def _apply_genesis(ctx: Context, genesis: Genesis) -> None:
    draft = ctx.draft
    draft.put(CHAIN, b"", Chain(genesis.network, genesis.hrp, genesis.hash))
    owners: dict[bytes, str] = {}
    for index, given in enumerate(genesis.gateways):
        if draft.get(OPERATOR, given.operator) is not None:
            raise ConfigError(f"genesis: gateways[{index}].operator acts for another gateway too")
        if owners.setdefault(given.owner_hash, given.name) != given.name:
            raise ConfigError(f"genesis: gateways[{index}].owner_hash: one owner, one gateway")
        if min(given.bond, given.cap) < 0:
            raise ConfigError(f"genesis: gateways[{index}]: bond and cap are from 0")
        row = Gateway(
            place=index,
            country=given.country,
            currencies=given.currencies,
            owner_hash=given.owner_hash,
            operator=given.operator,
            vote_key=given.vote_key,
            transport_certificate=given.transport_certificate,
            endpoint=given.endpoint,
            bond=given.bond,
            cap=given.cap,
            status=ACTIVE,
            seat=True,
        )
        draft.put(GATEWAY, given.name, row)
        draft.put(OPERATOR, given.operator, Operator(given.name))
    for arbiter in genesis.arbiters:
        draft.put(ARBITER, arbiter, Arbiter(0))
    try:
        members = genesis.validators().members
    except ValueError as error:
        raise ConfigError(f"genesis: gateways: {error}") from None
    draft.put(ERA, 0, Era(0, tuple((member.gateway, member.public_key) for member in members)))


def _check_validators(reader: Reader) -> str | None:
    eras = list(reader.items(ERA))
    for expected, (number, _) in enumerate(eras):
        if number != expected:
            return f"era {expected} is missing"
    number, last = eras[-1]
    derived = derive_validators(reader).members
    if last.members != tuple((member.gateway, member.public_key) for member in derived):
        return f"era {number} is not the set of gateways with a seat"
    for name, row in reader.items(GATEWAY):
        if row.seat and row.status in (LEAVING, LEFT):
            return f"gateway {name} is {row.status} and has a seat"
        if row.status == ACTIVE and not row.seat:
            return f"gateway {name} is active and has no seat"
    return None


def _check_operators(reader: Reader) -> str | None:
    gateways = dict(reader.items(GATEWAY))
    for address, row in reader.items(OPERATOR):
        gateway = gateways.pop(row.gateway, None)
        if gateway is None or gateway.operator != address:
            return f"operator {address.hex()} does not act for {row.gateway}"
    return f"gateway {sorted(gateways)[0]} has no operator" if gateways else None


FAMILY: Final = Family(
    number=3,
    name="gateways",
    tables=(GATEWAY, OPERATOR, ARBITER, ERA, CHAIN),
    refusals=(UNKNOWN_GATEWAY, NOT_OPERATOR, GATEWAY_NOT_ACTIVE),
    laws=(
        Law("validators", _check_validators),
        Law("operators", _check_operators),
    ),
    genesis=_apply_genesis,
)
