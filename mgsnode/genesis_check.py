"""What a genesis must be beyond its shape, so that the chain made from it can live.

Keys are distinct and strong, a main chain can bear a fault, and whoever's dollars exist has
an issuer. Every refusal is a `ConfigError` that names the field.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis
from mgsnode.base.keys import is_strong_key
from mgsnode.base.limits import INT_MAX
from p2p.tls import check_certificate

VESTING_MS_MAX = 100 * 366 * 86_400_000  # a century
GATEWAYS_MIN_MAIN = 4  # fewer tolerate no fault
_ROLES = ("arbiters", "attestors", "carriers", "moderators", "officers")
_T = TypeVar("_T")


def check_genesis(genesis: Genesis) -> None:
    """Refuse what cannot be a chain: repeated or weak keys, strangers as issuers, sums too large.

    The bounds of parameters belong to the families that read them; see `check_params`.
    """
    gateways, accounts = genesis.gateways, genesis.accounts
    if genesis.network == "main" and len(gateways) < GATEWAYS_MIN_MAIN:
        raise ConfigError(f"gateways: a main chain has at least {GATEWAYS_MIN_MAIN}")
    _distinct("gateways", "name", gateways, lambda g: g.name)
    _distinct("gateways", "vote_key", gateways, lambda g: g.vote_key)
    _distinct("gateways", "transport_certificate", gateways, lambda g: g.transport_certificate)
    _distinct("gateways", "owner_hash", gateways, lambda g: g.owner_hash)
    _distinct("gateways", "operator", gateways, lambda g: g.operator)
    _distinct("gateways", "endpoint", gateways, lambda g: g.endpoint)
    _distinct("accounts", "name", accounts, lambda a: a.name)
    _distinct("accounts", "address", accounts, lambda a: a.address)
    for role in _ROLES:
        _distinct(role, "address", getattr(genesis, role), lambda a: a)
    transport: list[bytes] = []
    for i, gateway in enumerate(gateways):
        where = f"gateways[{i}] ({gateway.name})"
        _check_key(gateway.vote_key, f"{where}.vote_key")
        transport.append(_certificate_key(gateway.transport_certificate, where))
        if len(set(gateway.currencies)) != len(gateway.currencies):
            raise ConfigError(f"{where}.currencies: one stands twice")
        if int(gateway.endpoint.rpartition(":")[2]) > 65_535:
            raise ConfigError(f"{where}.endpoint: a port is at most 65535")
    _distinct("gateways", "key of a transport_certificate", transport, lambda key: key)
    shared = set(transport) & {gateway.vote_key for gateway in gateways}
    if shared:
        raise ConfigError("gateways: a key is used for votes and for transport")
    if genesis.carried:
        _check_carried(genesis)
    else:
        _check_vesting(genesis)
        _check_accounts(genesis)


def _check_vesting(genesis: Genesis) -> None:
    _distinct("vesting", "holder and purpose", genesis.vesting, lambda v: (v.holder, v.purpose))
    for i, entry in enumerate(genesis.vesting):
        if not 0 <= entry.cliff_ms <= entry.end_ms <= VESTING_MS_MAX:
            raise ConfigError(f"vesting[{i}]: 0 <= cliff_ms <= end_ms <= {VESTING_MS_MAX}")
        if entry.amount == 0 or entry.end_ms == 0:
            raise ConfigError(f"vesting[{i}]: amount and end_ms are above 0")


def _check_carried(genesis: Genesis) -> None:
    """What stands in the state that is carried over stands nowhere else."""
    for field in ("accounts", *_ROLES, "params", "vesting"):
        if getattr(genesis, field):
            raise ConfigError(f"{field}: is empty where a state is carried over")
    if any(amount for _, amount in genesis.token):
        raise ConfigError("token: is 0 throughout where a state is carried over")
    for i, gateway in enumerate(genesis.gateways):
        if gateway.attested:
            raise ConfigError(f"gateways[{i}].attested: is 0 where a state is carried over")


def _check_accounts(genesis: Genesis) -> None:
    issued = dict.fromkeys((gateway.name for gateway in genesis.gateways), 0)
    for i, account in enumerate(genesis.accounts):
        where = f"accounts[{i}] ({account.name})"
        if account.dollar and account.issuer not in issued:
            raise ConfigError(f"{where}.issuer: no gateway of the genesis has this name")
        if not account.dollar and account.issuer:
            raise ConfigError(f'{where}.issuer: is "" where dollar is 0')
        if account.dollar:
            issued[account.issuer] += account.dollar
    for gateway in genesis.gateways:
        if issued[gateway.name] > gateway.cap:
            raise ConfigError(f"gateways ({gateway.name}).cap: its genesis dollars exceed it")
        if issued[gateway.name] > gateway.attested:
            raise ConfigError(f"gateways ({gateway.name}).attested: its genesis dollars exceed it")
    given = dict.fromkeys(TOKEN_PURPOSES, 0)
    given["sale"] = sum(a.token for a in genesis.accounts) + sum(g.bond for g in genesis.gateways)
    if given["sale"] > dict(genesis.token)["sale"]:
        raise ConfigError("token.sale: accounts and bonds hold more")
    for entry in genesis.vesting:
        given[entry.purpose] += entry.amount
    for purpose, amount in genesis.token:
        if given[purpose] > amount:
            raise ConfigError(f"token.{purpose}: what vests of it is more than what is left")
    if max(sum(issued.values()), sum(amount for _, amount in genesis.token)) > INT_MAX:
        raise ConfigError(f"accounts: together more than {INT_MAX}")


def _distinct(group: str, field: str, items: Sequence[_T], key: Callable[[_T], object]) -> None:
    seen: dict[object, int] = {}
    for i, item in enumerate(items):
        first = seen.setdefault(key(item), i)
        if first != i:
            raise ConfigError(f"{group}[{i}]: the same {field} as {group}[{first}]")


def _check_key(key: bytes, where: str) -> None:
    if not is_strong_key(key):
        raise ConfigError(f"{where}: a weak key, or not an Ed25519 public key")


def _certificate_key(der: bytes, where: str) -> bytes:
    where = f"{where}.transport_certificate"
    why = check_certificate(der)
    if why is not None:
        raise ConfigError(f"{where}: {why}")
    certificate = x509.load_der_x509_certificate(der)
    key = certificate.public_key()
    assert isinstance(key, Ed25519PublicKey)  # check_certificate has looked
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except InvalidSignature:
        raise ConfigError(f"{where}: not signed with its own key") from None
    _check_key(key.public_bytes_raw(), where)
    return key.public_bytes_raw()


def check_params(genesis: Genesis) -> None:
    """Refuse a parameter that no family reads, or one beyond its bounds."""
    from state.registry import standard_registry

    specs = standard_registry().params
    for name, value in genesis.params:
        spec = specs.get(name)
        if spec is None:
            near = difflib.get_close_matches(name, list(specs), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"params: no parameter is called {name}{hint}")
        lowest, highest = spec.bounds(genesis.network)
        if not lowest <= value <= highest:
            raise ConfigError(f"params.{name}: {value} is not from {lowest} to {highest}")
