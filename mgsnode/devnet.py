"""A genesis for development: every key follows from its name, so every key is public.

Never for money: whoever reads this file can sign for everyone in such a genesis. The network
is always "dev", whose addresses begin with `tmgs1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis, GenesisAccount, GenesisGateway, GenesisVesting
from mgsnode.base.hashing import address_of, digest
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import VALIDATORS_MAX
from mgsnode.config import BASE_PORT
from mgsnode.keystore import KeyFile, Use

MICRO: Final = 1_000_000
DEV_CHAIN_ID: Final = "mgs-dev"
DEV_TIME_MS: Final = 1_735_689_600_000  # 2025-01-01T00:00:00Z
HOST: Final = "127.0.0.1"
ARBITER: Final = "arbiter"
ATTESTORS: Final = ("attestor-1", "attestor-2", "attestor-3")
CARRIERS: Final = ("carrier",)
MODERATORS: Final = ("moderator-1", "moderator-2", "moderator-3")
OFFICERS: Final = ("officer",)
_BOND = 1_000_000 * MICRO  # micro-MGS
_CAP = 10_000_000 * MICRO  # dollars
_OPERATOR_DOLLARS = 1_000 * MICRO  # for fees
_HOLDER_DOLLARS = 100_000 * MICRO
_HOLDER_TOKENS = 10_000 * MICRO
_SUPPLY = 1_000_000_000 * MICRO  # micro-MGS
_LAYOUT = (("mining", 40), ("sale", 25), ("promotion", 15), ("foundation", 10), ("team", 10))  # %

# The whole of it for one holder: amount, cliff, end.
_TEAM = (_SUPPLY * dict(_LAYOUT)["team"] // 100, 365 * 86_400_000, 4 * 365 * 86_400_000)

# (name, country, currencies); the order is the order of the validators.
GATEWAYS: Final = (
    ("albion", "GB", ("USD", "GBP")),
    ("danube", "AT", ("USD", "EUR")),
    ("lutetia", "FR", ("USD", "EUR")),
    ("rhenus", "DE", ("USD", "EUR")),
    ("hibernia", "IE", ("USD", "EUR")),
    ("batavia", "NL", ("USD", "EUR")),
    ("helvetia", "CH", ("USD", "CHF")),
    ("australis", "AU", ("USD", "AUD")),
    ("norge", "NO", ("USD", "NOK")),
    ("nihon", "JP", ("USD", "JPY")),
)
HOLDERS: Final = ("anna", "bruno", "chloe", "daichi", "elena", "farid")


class DevAccount(NamedTuple):
    """A funded account of a development genesis; its key follows from its name."""

    name: str
    dollar: int = _HOLDER_DOLLARS  # micro-dollars
    token: int = 0  # micro-MGS
    issuer: str = ""  # "": the gateways in turn


def dev_seed(name: str, use: Use = "account") -> bytes:
    """The public 32-byte Ed25519 seed of a development key."""
    return digest(b"mgs/dev-key", f"{use}/{name}".encode())


def dev_key(name: str, use: Use = "account") -> SigningKey:
    """The development key of this name and use."""
    return SigningKey(dev_seed(name, use))


def dev_address(name: str) -> bytes:
    """The 32-byte address of a development account."""
    return address_of(dev_key(name).public_key)


def dev_key_file(name: str, use: Use) -> KeyFile:
    """The node's or gateway's development key, as a key file holds it."""
    from p2p.tls import make_certificate

    seed = dev_seed(name, use)
    certificate = make_certificate(name, seed) if use == "transport" else b""
    return KeyFile(name=name, use=use, seed=seed, certificate=certificate)


def gateway_names(count: int) -> list[str]:
    """The names of the first `count` development gateways."""
    if not 1 <= count <= VALIDATORS_MAX:
        raise ConfigError(f"a network has 1 to {VALIDATORS_MAX} gateways")
    return [_gateway(index)[0] for index in range(count)]


def _gateway(index: int) -> tuple[str, str, tuple[str, ...]]:
    if index < len(GATEWAYS):
        return GATEWAYS[index]
    return (f"gateway-{index + 1}", "US", ("USD",))


def dev_genesis(
    *,
    gateways: int = 4,
    base_port: int = BASE_PORT,
    chain_id: str = DEV_CHAIN_ID,
    time_ms: int = DEV_TIME_MS,
    params: Mapping[str, int] | None = None,
    accounts: Sequence[DevAccount] = (),
    cap: int = _CAP,
    holder_dollar: int = _HOLDER_DOLLARS,
    room: int | None = None,
) -> Genesis:
    """A development genesis of `gateways` members.

    Gateway i (from 0) listens for peers at `base_port` + 2i. `accounts` come after the holders
    and before the operators; `cap` (micro-dollars) is what each gateway may owe. The genesis
    attests as much, or, where `room` is given, each gateway's dollars of the genesis and `room`
    more: with 0 nobody issues before attestors have spoken.
    """
    names = gateway_names(gateways)
    funded = [
        *(DevAccount(name, holder_dollar, _HOLDER_TOKENS) for name in HOLDERS),
        *accounts,
        *(DevAccount(name, _OPERATOR_DOLLARS, issuer=name) for name in names),
        *(
            DevAccount(name, _OPERATOR_DOLLARS)
            for name in (ARBITER, *ATTESTORS, *CARRIERS, *MODERATORS, *OFFICERS)
        ),
    ]
    listed = tuple(
        GenesisAccount(
            name=account.name,
            address=dev_address(account.name),
            dollar=account.dollar,
            issuer=(account.issuer or names[place % gateways]) if account.dollar else "",
            token=account.token,
        )
        for place, account in enumerate(funded)
    )
    attested = dict.fromkeys(names, cap)
    if room is not None:
        attested = {
            name: room + sum(account.dollar for account in listed if account.issuer == name)
            for name in names
        }
    return Genesis(
        version=1,
        chain_id=chain_id,
        network="dev",
        time_ms=time_ms,
        gateways=tuple(
            _dev_gateway(index, base_port, cap, attested[name]) for index, name in enumerate(names)
        ),
        accounts=listed,
        arbiters=(dev_address(ARBITER),),
        attestors=tuple(map(dev_address, ATTESTORS)),
        carriers=tuple(map(dev_address, CARRIERS)),
        moderators=tuple(map(dev_address, MODERATORS)),
        officers=tuple(map(dev_address, OFFICERS)),
        token=tuple((name, _SUPPLY * share // 100) for name, share in _LAYOUT),
        params=tuple(sorted((params or {}).items())),
        vesting=(GenesisVesting("team", dev_address(HOLDERS[-1]), *_TEAM),),
    )


def _dev_gateway(index: int, base_port: int, cap: int, attested: int) -> GenesisGateway:
    name, country, currencies = _gateway(index)
    return GenesisGateway(
        name=name,
        country=country,
        currencies=currencies,
        owner_hash=digest(b"mgs/dev-owner", name.encode()),
        operator=dev_address(name),
        vote_key=dev_key(name, "vote").public_key,
        transport_certificate=dev_key_file(name, "transport").certificate,
        endpoint=f"{HOST}:{base_port + 2 * index}",
        bond=_BOND,
        cap=cap,
        attested=attested,
    )
