"""Gateways: who they are, what they may do, who of them sits in the validator set; arbiters.

Law: the validator set of the next height is the gateways that have a seat, in the order of
their places; each era stands in a row. The genesis makes the first ones; governance alone changes
status, seat and keys (`seats.py`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mgsnode.base.errors import ConfigError, Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.validators import Validator, ValidatorSet
from state.context import Context
from state.draft import Draft, Reader
from state.fields import Struct, Text, gateway_name
from state.registry import EventSpec, Family, Law
from state.table import Table, bytes_key, int_key, pair_key, text_key

UNKNOWN_GATEWAY: Final = (301, "UNKNOWN_GATEWAY")
NOT_OPERATOR: Final = (302, "NOT_OPERATOR")
GATEWAY_NOT_ACTIVE: Final = (303, "GATEWAY_NOT_ACTIVE")
ISSUING_STOPPED: Final = (304, "ISSUING_STOPPED")
NOT_ATTESTOR: Final = (305, "NOT_ATTESTOR")
ATTESTOR_LINKED: Final = (306, "ATTESTOR_LINKED")

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


class Role(NamedTuple):
    """Listed by genesis or governance since this height."""

    since: int


class Standing(NamedTuple):
    """Whether a gateway may issue, and since when it has been beyond reproach."""

    # Block time since which it has been active without a stop (of the last change before that).
    clean_since_ms: int
    stops: tuple[tuple[str, int], ...]  # (why, period from which it is over; 0: until cleared)

    def is_clean_since(self, time_ms: int) -> bool:
        """Whether nothing has stopped it from issuing since `time_ms`."""
        return not self.stops and self.clean_since_ms <= time_ms


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
# Key: (place in ROLES, account).
ROLE: Final[Table[tuple[int, bytes], Role]] = Table(
    50, "gateways/role", Role, pair_key(int_key(1), bytes_key())
)
ERA: Final[Table[int, Era]] = Table(51, "gateways/era", Era, int_key())
CHAIN: Final[Table[bytes, Chain]] = Table(52, "gateways/chain", Chain, bytes_key(0))
STANDING: Final[Table[str, Standing]] = Table(53, "gateways/standing", Standing, text_key())
# Who judges, attests, delivers, hides texts and freezes; named by genesis or proposal.
ARBITER, ATTESTOR, CARRIER, MODERATOR, OFFICER = ROLES = (
    "arbiter", "attestor", "carrier", "moderator", "officer",
)  # fmt: skip


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
    gateway = ctx.draft.get(GATEWAY, name)
    assert gateway is not None, "a gateway is never removed"
    return name, gateway


def check_active(name: str, gateway: Gateway) -> None:
    """`GATEWAY_NOT_ACTIVE` unless it is."""
    if gateway.status != ACTIVE:
        raise Rejected(GATEWAY_NOT_ACTIVE, gateway=name, status=gateway.status)


def is_listed(reader: Reader, role: str, address: bytes) -> bool:
    """Whether the account has this role."""
    return reader.get(ROLE, (ROLES.index(role), address)) is not None


def listed(reader: Reader, role: str) -> list[bytes]:
    """All accounts of a role, rising."""
    place = ROLES.index(role)
    return [address for (_, address), _ in reader.items(ROLE, bytes([place]))]


def standing_of(reader: Reader, name: str) -> Standing:
    """How a gateway stands."""
    return reader.get(STANDING, name) or Standing(0, ())


def stop_issuing(ctx: Context, name: str, why: str, *, until_period: int = 0) -> None:
    """No issuing and no share of fees, until cleared or until that period begins."""
    standing = standing_of(ctx.draft, name)
    stops = {**dict(standing.stops), why: until_period}
    ctx.draft.put(STANDING, name, Standing(ctx.time_ms, tuple(sorted(stops.items()))))
    ctx.emit("gateway_stopped", name, why)


def allow_issuing(ctx: Context, name: str, *why: str, since_ms: int | None = None) -> None:
    """Take stops back, as of now or of that block time; nothing happens where there is none."""
    standing = standing_of(ctx.draft, name)
    stops = tuple(stop for stop in standing.stops if stop[0] not in why)
    if stops != standing.stops:
        clean_since_ms = ctx.time_ms if since_ms is None else since_ms
        ctx.draft.put(STANDING, name, Standing(clean_since_ms, stops))
        ctx.emit("gateway_allowed", name)


def check_may_issue(reader: Reader, name: str, gateway: Gateway) -> None:
    """`GATEWAY_NOT_ACTIVE` or `ISSUING_STOPPED` unless it may issue now."""
    check_active(name, gateway)
    stops = standing_of(reader, name).stops
    if stops:
        raise Rejected(ISSUING_STOPPED, gateway=name, why=", ".join(why for why, _ in stops))


def note_active(ctx: Context, name: str) -> None:
    """From this block on it is active."""
    standing = standing_of(ctx.draft, name)
    ctx.draft.put(STANDING, name, standing._replace(clean_since_ms=ctx.time_ms))


def _on_period_closed(ctx: Context, index: int, closed: Any) -> None:
    """Stops that were for the period that is over end, at its instant and not with the block."""
    for name, standing in list(ctx.draft.items(STANDING)):
        over = [why for why, until in standing.stops if 0 < until <= index + 1]
        if over:
            allow_issuing(ctx, name, *over, since_ms=closed.end_ms)


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
    named = (
        genesis.arbiters, genesis.attestors, genesis.carriers, genesis.moderators,
        genesis.officers,
    )  # fmt: skip
    for place, accounts in enumerate(named):
        for address in accounts:
            draft.put(ROLE, (place, address), Role(0))
    try:
        members = genesis.validators().members
    except ValueError as error:
        raise ConfigError(f"genesis: gateways: {error}") from None
    draft.put(ERA, 0, Era(0, tuple((member.gateway, member.public_key) for member in members)))


def _carry(ctx: Context, genesis: Genesis) -> None:
    """The state is another chain's now; who sits in the set is governance's to say."""
    chain = chain_of(ctx.draft)
    if (chain.network, chain.hrp) != (genesis.network, genesis.hrp):
        raise ConfigError(f"genesis: network: the earlier chain's is {chain.network}")
    ctx.draft.put(CHAIN, b"", chain._replace(genesis_hash=genesis.hash))


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
    tables=(GATEWAY, OPERATOR, ROLE, ERA, CHAIN, STANDING),
    refusals=(
        UNKNOWN_GATEWAY, NOT_OPERATOR, GATEWAY_NOT_ACTIVE, ISSUING_STOPPED, NOT_ATTESTOR,
        ATTESTOR_LINKED,
    ),
    events=(
        EventSpec(
            "gateway_stopped",
            Struct(gateway=gateway_name(), why=Text(64)),
            "A gateway may not issue, and has no share of the fees.",
        ),
        EventSpec(
            "gateway_allowed",
            Struct(gateway=gateway_name()),
            "Something that stopped a gateway from issuing is over.",
        ),
    ),
    laws=(
        Law("validators", _check_validators),
        Law("operators", _check_operators),
    ),
    genesis=_apply_genesis,
    carry=_carry,
    hooks={"period_closed": _on_period_closed},
)  # fmt: skip
