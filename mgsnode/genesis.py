"""The genesis document: JSON that people write, checked into the value that height 0 is made of.

One meaning has one spelling: amounts and parameters are decimal strings, keys and hashes
lower-case hex, addresses bech32m of the network; a duplicate or unknown key is refused. What
passes here can be turned back into the same document, and two documents with the same meaning
have the same hash.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mgsnode.base.address import HRP_MAIN, HRP_TEST, address_text, parse_address
from mgsnode.base.errors import ConfigError, Malformed
from mgsnode.base.genesis import (
    TOKEN_PURPOSES,
    Carried,
    Genesis,
    GenesisAccount,
    GenesisGateway,
    GenesisVesting,
)
from mgsnode.base.limits import INT_MAX, VALIDATORS_MAX
from mgsnode.genesis_check import check_genesis

_FILE_BYTES_MAX = 16 * 1024 * 1024  # some 60,000 funded accounts
_ACCOUNTS_MAX = 100_000

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Decimal = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$")]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class GatewayDocument(_Model):
    """A founding gateway as it is written."""

    name: Name
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    currencies: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z]{3}$")]], Field(min_length=1)]
    owner_hash: Hex32
    operator: str
    vote_key: Hex32
    transport_certificate: Hex
    endpoint: Annotated[str, Field(pattern=r"^.{1,255}:[1-9][0-9]{0,4}$")]
    bond: Decimal
    cap: Decimal
    attested: Decimal


class AccountDocument(_Model):
    """A funded account as it is written."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    address: str
    dollar: Decimal
    issuer: str
    token: Decimal


class TokenDocument(_Model):
    """The token's supply by purpose as it is written."""

    mining: Decimal
    sale: Decimal
    promotion: Decimal
    foundation: Decimal
    team: Decimal


class VestingDocument(_Model):
    """Tokens that come free little by little, as it is written."""

    purpose: Literal["sale", "promotion", "foundation", "team"]
    holder: str
    amount: Decimal
    cliff_ms: Annotated[int, Field(ge=0)]
    end_ms: Annotated[int, Field(ge=1)]


class CarriedDocument(_Model):
    """The end of the chain whose state is carried over, as it is written."""

    genesis_hash: Hex32
    height: Annotated[int, Field(ge=1, le=INT_MAX)]
    block_hash: Hex32
    state_root: Hex32


class GenesisDocument(_Model):
    """The whole document."""

    version: Annotated[int, Field(ge=1, le=1)]
    chain_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    network: Literal["main", "test", "dev"]
    time_ms: Annotated[int, Field(ge=0, le=INT_MAX)]
    gateways: Annotated[list[GatewayDocument], Field(min_length=1, max_length=VALIDATORS_MAX)]
    accounts: Annotated[list[AccountDocument], Field(max_length=_ACCOUNTS_MAX)]
    arbiters: list[str]
    attestors: list[str]
    carriers: list[str]
    moderators: list[str]
    officers: list[str]
    token: TokenDocument
    params: dict[str, Decimal]
    vesting: list[VestingDocument] = []
    carried: CarriedDocument | None = None


_MODELS = (
    GenesisDocument, GatewayDocument, AccountDocument, TokenDocument, VestingDocument,
    CarriedDocument,
)  # fmt: skip


def load_genesis(path: Path) -> Genesis:
    """The genesis in the file at `path`, else `ConfigError` with the field that is wrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parse_genesis(raw)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_genesis(raw: bytes) -> Genesis:
    """The genesis of a JSON document, fully checked, else `ConfigError`."""
    if len(raw) > _FILE_BYTES_MAX:
        raise ConfigError(f"longer than {_FILE_BYTES_MAX} bytes")
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise ConfigError("not JSON") from None
    try:
        genesis = _value_of(GenesisDocument.model_validate(document))
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None
    check_genesis(genesis)
    return genesis


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ConfigError(f"the key {key[:64]!r} stands twice in one object")
        out[key] = value
    return out


def _sentence(error: ValidationError) -> str:
    item = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"]).lstrip(".")
    if item["type"] == "extra_forbidden":
        known = [name for model in _MODELS for name in model.model_fields]
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        return f"unknown key {where}" + (f"; did you mean {near[0]}?" if near else "")
    message = item["msg"][0].lower() + item["msg"][1:]
    return f"{where}: {message}" if where else message


def _value_of(document: GenesisDocument) -> Genesis:
    hrp = HRP_MAIN if document.network == "main" else HRP_TEST
    gateways = tuple(
        GenesisGateway(
            name=gateway.name,
            country=gateway.country,
            currencies=tuple(gateway.currencies),
            owner_hash=bytes.fromhex(gateway.owner_hash),
            operator=_address(gateway.operator, hrp, f"gateways[{i}].operator"),
            vote_key=bytes.fromhex(gateway.vote_key),
            transport_certificate=bytes.fromhex(gateway.transport_certificate),
            endpoint=gateway.endpoint,
            bond=_amount(gateway.bond, f"gateways[{i}].bond"),
            cap=_amount(gateway.cap, f"gateways[{i}].cap"),
            attested=_amount(gateway.attested, f"gateways[{i}].attested"),
        )
        for i, gateway in enumerate(document.gateways)
    )
    accounts = tuple(
        GenesisAccount(
            name=account.name,
            address=_address(account.address, hrp, f"accounts[{i}].address"),
            dollar=_amount(account.dollar, f"accounts[{i}].dollar"),
            issuer=account.issuer,
            token=_amount(account.token, f"accounts[{i}].token"),
        )
        for i, account in enumerate(document.accounts)
    )
    return Genesis(
        version=document.version,
        chain_id=document.chain_id,
        network=document.network,
        time_ms=document.time_ms,
        gateways=gateways,
        accounts=accounts,
        arbiters=_addresses(document.arbiters, hrp, "arbiters"),
        attestors=_addresses(document.attestors, hrp, "attestors"),
        carriers=_addresses(document.carriers, hrp, "carriers"),
        moderators=_addresses(document.moderators, hrp, "moderators"),
        officers=_addresses(document.officers, hrp, "officers"),
        token=tuple(
            (name, _amount(getattr(document.token, name), f"token.{name}"))
            for name in TOKEN_PURPOSES
        ),
        params=tuple(
            (name, _amount(text, f"params.{name}"))
            for name, text in sorted(document.params.items())
        ),
        carried=_carried(document.carried),
        vesting=tuple(
            GenesisVesting(
                purpose=entry.purpose,
                holder=_address(entry.holder, hrp, f"vesting[{i}].holder"),
                amount=_amount(entry.amount, f"vesting[{i}].amount"),
                cliff_ms=entry.cliff_ms,
                end_ms=entry.end_ms,
            )
            for i, entry in enumerate(document.vesting)
        ),
    )


def _carried(document: CarriedDocument | None) -> tuple[Carried, ...]:
    if document is None:
        return ()
    found = Carried(
        genesis_hash=bytes.fromhex(document.genesis_hash),
        height=document.height,
        block_hash=bytes.fromhex(document.block_hash),
        state_root=bytes.fromhex(document.state_root),
    )
    return (found,)


def _addresses(texts: list[str], hrp: str, where: str) -> tuple[bytes, ...]:
    return tuple(_address(text, hrp, f"{where}[{i}]") for i, text in enumerate(texts))


def _address(text: str, hrp: str, where: str) -> bytes:
    try:
        address = parse_address(text, hrp)
    except Malformed as error:
        raise ConfigError(f"{where}: {error.why}") from None
    if address_text(address, hrp) != text:
        raise ConfigError(f"{where}: an address is written in lower case")
    return address


def _amount(text: str, where: str) -> int:
    value = int(text)
    if value > INT_MAX:
        raise ConfigError(f"{where}: more than {INT_MAX}")
    return value


def genesis_document(genesis: Genesis) -> dict[str, Any]:
    """The JSON document of a genesis; `parse_genesis` of it gives an equal value."""
    hrp = genesis.hrp
    return {
        "version": genesis.version,
        "chain_id": genesis.chain_id,
        "network": genesis.network,
        "time_ms": genesis.time_ms,
        "gateways": [
            {
                "name": g.name,
                "country": g.country,
                "currencies": list(g.currencies),
                "owner_hash": g.owner_hash.hex(),
                "operator": address_text(g.operator, hrp),
                "vote_key": g.vote_key.hex(),
                "transport_certificate": g.transport_certificate.hex(),
                "endpoint": g.endpoint,
                "bond": str(g.bond),
                "cap": str(g.cap),
                "attested": str(g.attested),
            }
            for g in genesis.gateways
        ],
        "accounts": [
            {
                "name": a.name,
                "address": address_text(a.address, hrp),
                "dollar": str(a.dollar),
                "issuer": a.issuer,
                "token": str(a.token),
            }
            for a in genesis.accounts
        ],
        "arbiters": [address_text(a, hrp) for a in genesis.arbiters],
        "attestors": [address_text(a, hrp) for a in genesis.attestors],
        "carriers": [address_text(a, hrp) for a in genesis.carriers],
        "moderators": [address_text(a, hrp) for a in genesis.moderators],
        "officers": [address_text(a, hrp) for a in genesis.officers],
        "token": {name: str(amount) for name, amount in genesis.token},
        "params": {name: str(value) for name, value in genesis.params},
        "vesting": [
            {
                "purpose": entry.purpose,
                "holder": address_text(entry.holder, hrp),
                "amount": str(entry.amount),
                "cliff_ms": entry.cliff_ms,
                "end_ms": entry.end_ms,
            }
            for entry in genesis.vesting
        ],
        **_carried_document(genesis.carried),
    }


def _carried_document(found: tuple[Carried, ...]) -> dict[str, Any]:
    if not found:
        return {}
    carried = found[0]
    document = {
        "genesis_hash": carried.genesis_hash.hex(),
        "height": carried.height,
        "block_hash": carried.block_hash.hex(),
        "state_root": carried.state_root.hex(),
    }
    return {"carried": document}


def genesis_text(genesis: Genesis) -> str:
    """The document as it is written to a file."""
    return json.dumps(genesis_document(genesis), indent=2) + "\n"
