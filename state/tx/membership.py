"""What a passed proposal changes: gateways' seats, keys and standing, and parameters.

Each action has `why_not`, which says why it cannot be done as things stand, and `make`, which
does it and cannot fail right after `why_not` has said nothing. Proposing asks once, taking
effect asks again: the world may have changed in between. Part of the governance family.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mgsnode.base.codec import encode
from mgsnode.base.hashing import digest
from mgsnode.base.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Signed, is_signed_by, statement
from mgsnode.base.limits import INT_MAX, VALIDATORS_MAX
from state.context import PARAM, ROOT, ROOTS_KEPT, Action, Context, Fault, Fields, Param
from state.fields import (
    MICRO_MGS,
    Address,
    Amount,
    Bytes,
    Hash32,
    Int,
    ListOf,
    Optional,
    Struct,
    Text,
    gateway_name,
)  # fmt: skip
from state.table import Table, bytes_key
from state.tx.accounts import ACCOUNT_FROZEN, account_of, is_frozen, is_linked
from state.tx.control import ROLE_LINKED
from state.tx.gateways import (
    ACTIVE,
    ARBITER,
    ATTESTOR,
    GATEWAY,
    LEAVING,
    LEFT,
    OPERATOR,
    SUSPENDED,
    UNKNOWN_GATEWAY,
    Gateway,
    Operator,
    chain_of,
    listed,
)  # fmt: skip
from state.tx.seats import (
    active_of,
    put_gateway,
    seats_min,
    seats_of,
    take_kept_seat,
)
from state.tx.tokens import INSUFFICIENT_TOKENS, bond_tokens

BAD_ARGUMENT: Final = (405, "BAD_ARGUMENT")
NAME_TAKEN: Final = (406, "NAME_TAKEN")
OWNER_TAKEN: Final = (407, "OWNER_TAKEN")
OPERATOR_TAKEN: Final = (408, "OPERATOR_TAKEN")
KEY_USED: Final = (409, "KEY_USED")
NOT_POSSESSED: Final = (410, "NOT_POSSESSED")
NOT_RECENT: Final = (411, "NOT_RECENT")
GATEWAY_STATUS: Final = (412, "GATEWAY_STATUS")
TOO_FEW_GATEWAYS: Final = (413, "TOO_FEW_GATEWAYS")
TOO_MANY_GATEWAYS: Final = (414, "TOO_MANY_GATEWAYS")
UNKNOWN_PARAMETER: Final = (415, "UNKNOWN_PARAMETER")
PARAMETER_BOUNDS: Final = (416, "PARAMETER_BOUNDS")
KEY_CONDEMNED: Final = (420, "KEY_CONDEMNED")

CERTIFICATE_BYTES_MAX: Final = 1_024  # what the peer layer takes
ENDPOINT_BYTES_MAX: Final = 261  # a host of 255, a colon, a port
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")  # as in a genesis
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_ENDPOINT: Final = re.compile(r"[!-~]{1,255}:([1-9][0-9]{0,4})")


class KeyUse(NamedTuple):
    """A vote key or transport certificate that a gateway has had; never accepted again."""

    gateway: str
    since: int  # height
    condemned: bool  # proven to have contradicted itself: it can never vote again


KEY_USE: Final[Table[bytes, KeyUse]] = Table(67, "governance/key", KeyUse, bytes_key())

_POSSESSION: Final = Struct(
    height=Int(0, INT_MAX), state_root=Hash32(), signature=Bytes(SIGNATURE_BYTES, SIGNATURE_BYTES)
)
_KEY: Final = Bytes(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)
_CERTIFICATE: Final = Bytes(1, CERTIFICATE_BYTES_MAX)
_ENDPOINT_TEXT: Final = Text(ENDPOINT_BYTES_MAX, lowest=3)


def possession_fields(name: str, vote_key: bytes, height: int, state_root: bytes) -> bytes:
    """What a vote key signs (as `Signed.POSSESSION`) to be named for gateway `name`.

    `state_root` after `height` shows that its node follows the chain.
    """
    return encode((name, vote_key, height, state_root))


def certificate_use(certificate: bytes) -> bytes:
    """The key in `KEY_USE` under which a transport certificate stands."""
    return digest(b"mgs/transport", certificate)


# Keys ---------------------------------------------------------------------------------------


def use_key(ctx: Context, name: str, key: bytes) -> None:
    """From here on nobody else can have it, nor can its owner take it up again."""
    ctx.draft.put(KEY_USE, key, KeyUse(name, ctx.height, condemned=False))


def condemn(ctx: Context, key: bytes) -> None:
    """This vote key contradicted itself."""
    use = ctx.draft.get(KEY_USE, key)
    assert use is not None, "a member's key is listed"
    ctx.draft.put(KEY_USE, key, use._replace(condemned=True))


# Questions that several actions ask -----------------------------------------------------------


def check_possession(ctx: Context, name: str, vote_key: bytes, proof: Fields) -> Fault | None:
    """Whether the new key's holder agrees, and follows the chain. Asked when proposing only."""
    height, state_root, signature = proof
    known = ctx.draft.get(ROOT, height % ROOTS_KEPT)
    if known is None or (known.height, known.root) != (height, state_root):
        return NOT_RECENT, {"height": height}
    fields = possession_fields(name, vote_key, height, state_root)
    signed = statement(Signed.POSSESSION, chain_of(ctx.draft).genesis_hash, fields)
    return None if is_signed_by(vote_key, signed, signature) else (NOT_POSSESSED, {})


def _bad(field: str) -> Fault:
    return BAD_ARGUMENT, {"field": field}


def _endpoint_fault(endpoint: str) -> Fault | None:
    found = _ENDPOINT.fullmatch(endpoint)
    return None if found and int(found[1]) <= 65_535 else _bad("endpoint")


def _key_fault(ctx: Context, vote_key: bytes | None, certificate: bytes | None) -> Fault | None:
    if vote_key is not None and ctx.draft.get(KEY_USE, vote_key) is not None:
        return KEY_USED, {"field": "vote_key"}
    if certificate is None or ctx.draft.get(KEY_USE, certificate_use(certificate)) is None:
        return None
    return KEY_USED, {"field": "transport_certificate"}


def _standing(ctx: Context, name: str, *wanted: str) -> tuple[Gateway | None, Fault | None]:
    row = ctx.draft.get(GATEWAY, name)
    if row is None:
        return None, (UNKNOWN_GATEWAY, {"gateway": name})
    if row.status not in wanted:
        return row, (GATEWAY_STATUS, {"gateway": name, "status": row.status})
    return row, None


# Join ----------------------------------------------------------------------------------------


class Join(NamedTuple):
    """A new gateway. `possession` is (height, state root, signature of the vote key)."""

    name: str
    country: str
    currencies: tuple[str, ...]
    owner_hash: bytes
    operator: bytes
    vote_key: bytes
    possession: tuple[int, bytes, bytes]
    transport_certificate: bytes
    endpoint: str
    bond: int
    cap: int


def _why_not_join(ctx: Context, args: Fields) -> Fault | None:
    join = Join._make(args)
    if not _NAME.fullmatch(join.name):
        return _bad("name")
    if not _COUNTRY.fullmatch(join.country):
        return _bad("country")
    currencies = join.currencies
    if len(dict.fromkeys(currencies)) != len(currencies) or not all(
        map(_CURRENCY.fullmatch, currencies)
    ):
        return _bad("currencies")
    fault = _endpoint_fault(join.endpoint)
    if fault is not None:
        return fault
    if ctx.draft.get(GATEWAY, join.name) is not None:
        return NAME_TAKEN, {}
    for name, row in ctx.draft.items(GATEWAY):
        if row.owner_hash == join.owner_hash and row.status != LEFT:
            return OWNER_TAKEN, {"gateway": name}
    if ctx.draft.get(OPERATOR, join.operator) is not None:
        return OPERATOR_TAKEN, {}
    for role in (ATTESTOR, ARBITER):  # as `name_role` asks the other way round
        if is_linked(ctx.draft, join.operator, *listed(ctx.draft, role)):
            return ROLE_LINKED, {"role": role}
    if len(seats_of(ctx.draft)) >= VALIDATORS_MAX:
        return TOO_MANY_GATEWAYS, {"highest": VALIDATORS_MAX}
    if is_frozen(ctx.draft, join.operator):
        return ACCOUNT_FROZEN, {}
    if account_of(ctx.draft, join.operator).token < join.bond:
        return INSUFFICIENT_TOKENS, {"needed": str(join.bond)}
    return _key_fault(ctx, join.vote_key, join.transport_certificate)


def _make_join(ctx: Context, args: Fields, source: bytes) -> None:
    join = Join._make(args)
    rows = dict(ctx.draft.items(GATEWAY))
    row = Gateway(
        place=max(row.place for row in rows.values()) + 1,
        country=join.country,
        currencies=join.currencies,
        owner_hash=join.owner_hash,
        operator=join.operator,
        vote_key=join.vote_key,
        transport_certificate=join.transport_certificate,
        endpoint=join.endpoint,
        bond=join.bond,
        cap=join.cap,
        status=ACTIVE,
        seat=True,
    )
    bond_tokens(ctx, join.operator, join.bond)
    use_key(ctx, join.name, join.vote_key)
    use_key(ctx, join.name, certificate_use(join.transport_certificate))
    ctx.draft.put(OPERATOR, join.operator, Operator(join.name))
    put_gateway(ctx, join.name, row, source)
    take_kept_seat(ctx, source)


# Leave, suspend, clear -----------------------------------------------------------------------


def _last_fault(ctx: Context, name: str, row: Gateway) -> Fault | None:
    """Somebody must be left to govern."""
    if row.status == ACTIVE and active_of(ctx.draft) == [name]:
        return TOO_FEW_GATEWAYS, {"lowest": 1}
    return None


def _why_not_leave(ctx: Context, args: Fields) -> Fault | None:
    (name,) = args
    row, fault = _standing(ctx, name, ACTIVE, SUSPENDED)
    if row is None or fault is not None:
        return fault
    lowest = seats_min(ctx.draft)
    if row.seat and len(seats_of(ctx.draft)) <= lowest:
        return TOO_FEW_GATEWAYS, {"lowest": lowest}
    return _last_fault(ctx, name, row)


def _make_leave(ctx: Context, args: Fields, source: bytes) -> None:
    (name,) = args
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None
    put_gateway(ctx, name, row._replace(status=LEAVING, seat=False), source)
    ctx.fire("gateway_leaving", name)


def _why_not_suspend(ctx: Context, args: Fields) -> Fault | None:
    (name,) = args
    row, fault = _standing(ctx, name, ACTIVE)
    return fault if row is None or fault is not None else _last_fault(ctx, name, row)


def _make_suspend(ctx: Context, args: Fields, source: bytes) -> None:
    (name,) = args
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None
    stays = len(seats_of(ctx.draft)) <= seats_min(ctx.draft)
    put_gateway(ctx, name, row._replace(status=SUSPENDED, seat=row.seat and stays), source)


def _why_not_clear(ctx: Context, args: Fields) -> Fault | None:
    (name,) = args
    row, fault = _standing(ctx, name, SUSPENDED)
    if row is None or fault is not None:
        return fault
    use = ctx.draft.get(KEY_USE, row.vote_key)
    if use is not None and use.condemned:
        return KEY_CONDEMNED, {"gateway": name}
    if not row.seat and len(seats_of(ctx.draft)) >= VALIDATORS_MAX:
        return TOO_MANY_GATEWAYS, {"highest": VALIDATORS_MAX}
    return None


def _make_clear(ctx: Context, args: Fields, source: bytes) -> None:
    (name,) = args
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None
    put_gateway(ctx, name, row._replace(status=ACTIVE, seat=True), source)
    ctx.fire("gateway_cleared", name)
    take_kept_seat(ctx, source)


# Rotate --------------------------------------------------------------------------------------


class Rotate(NamedTuple):
    """New keys or a new address of a gateway's node; () where it stays."""

    gateway: str
    vote_key: tuple[bytes, ...]
    possession: tuple[tuple[int, bytes, bytes], ...]
    transport_certificate: tuple[bytes, ...]
    endpoint: tuple[str, ...]


def _why_not_rotate(ctx: Context, args: Fields) -> Fault | None:
    rotate = Rotate._make(args)
    _, fault = _standing(ctx, rotate.gateway, ACTIVE, SUSPENDED)
    if fault is not None:
        return fault
    if not any(args[1:]):
        return _bad("vote_key")
    if len(rotate.vote_key) != len(rotate.possession):
        return _bad("possession")
    if rotate.endpoint and (fault := _endpoint_fault(rotate.endpoint[0])) is not None:
        return fault
    vote_key = rotate.vote_key[0] if rotate.vote_key else None
    certificate = rotate.transport_certificate[0] if rotate.transport_certificate else None
    return _key_fault(ctx, vote_key, certificate)


def _make_rotate(ctx: Context, args: Fields, source: bytes) -> None:
    rotate = Rotate._make(args)
    name = rotate.gateway
    row = ctx.draft.get(GATEWAY, name)
    assert row is not None
    for vote_key in rotate.vote_key:
        use_key(ctx, name, vote_key)
        row = row._replace(vote_key=vote_key)
    for certificate in rotate.transport_certificate:
        use_key(ctx, name, certificate_use(certificate))
        row = row._replace(transport_certificate=certificate)
    for endpoint in rotate.endpoint:
        row = row._replace(endpoint=endpoint)
    put_gateway(ctx, name, row, source)


# Parameters ----------------------------------------------------------------------------------


def _why_not_set(ctx: Context, args: Fields) -> Fault | None:
    name, value = args
    spec = ctx.rules.specs.get(name)
    if spec is None:
        return UNKNOWN_PARAMETER, {}
    lowest, highest = spec.bounds(chain_of(ctx.draft).network)
    if not lowest <= value <= highest:
        return PARAMETER_BOUNDS, {"lowest": lowest, "highest": highest}
    return None


def _make_set(ctx: Context, args: Fields, _source: bytes) -> None:
    name, value = args
    ctx.draft.put(PARAM, name, Param(value))
    ctx.params.forget(name)


_ONE: Final = Struct(gateway=gateway_name())

ACTIONS: Final[dict[str, Action]] = {
    "join": Action(
        Struct(
            name=gateway_name(), country=Text(2, lowest=2),
            currencies=ListOf(Text(3, lowest=3), 1, 16), owner_hash=Hash32(), operator=Address(),
            vote_key=_KEY, possession=_POSSESSION, transport_certificate=_CERTIFICATE,
            endpoint=_ENDPOINT_TEXT, bond=Amount(MICRO_MGS), cap=Amount(),
        ),
        _why_not_join, _make_join, True,
    ),
    "leave": Action(_ONE, _why_not_leave, _make_leave, True),
    "rotate": Action(
        Struct(
            gateway=gateway_name(), vote_key=Optional(_KEY), possession=Optional(_POSSESSION),
            transport_certificate=Optional(_CERTIFICATE), endpoint=Optional(_ENDPOINT_TEXT),
        ),
        _why_not_rotate, _make_rotate, True,
    ),
    "suspend": Action(_ONE, _why_not_suspend, _make_suspend, True),
    "clear": Action(_ONE, _why_not_clear, _make_clear, True),
    "set_param": Action(
        Struct(name=Text(64, lowest=1), value=Int(0, INT_MAX)), _why_not_set, _make_set, False
    ),
}  # fmt: skip
