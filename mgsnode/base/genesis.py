"""The genesis as a value: what height 0 is made from.

The JSON document (checked by `mgsnode/genesis.py`) becomes this tuple; its hash names the
chain and stands in every signature, so two documents with the same meaning are one chain.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from mgsnode.base.address import HRP_MAIN, HRP_TEST
from mgsnode.base.codec import encode
from mgsnode.base.hashing import genesis_hash_of
from mgsnode.base.validators import Validator, ValidatorSet

Network: TypeAlias = Literal["main", "test", "dev"]


# What the token's fixed supply is laid out for, in order. Mining is paid by rule for sales; what
# accounts and bonds hold at the genesis was sold.
TOKEN_PURPOSES: Final = ("mining", "sale", "promotion", "foundation", "team")


class GenesisGateway(NamedTuple):
    """A founding gateway. Its index is its place in the genesis."""

    name: str
    country: str  # ISO 3166-1 alpha-2
    currencies: tuple[str, ...]  # ISO 4217
    owner_hash: bytes  # of the beneficial owner's documents; one owner, one gateway
    operator: bytes  # address of the account that acts for it
    vote_key: bytes  # Ed25519 public key
    transport_certificate: bytes  # self-signed Ed25519 X.509, DER
    endpoint: str  # host:port for peers
    bond: int  # micro-MGS
    cap: int  # most it may owe, micro-dollars
    attested: int  # fiat attested for the genesis' instant, micro-dollars


class GenesisAccount(NamedTuple):
    """An account that has something from the start."""

    name: str  # label for people; not state
    address: bytes
    dollar: int  # micro-dollars, in circulation from the start
    issuer: str  # the gateway whose position they count in; "" if dollar is 0
    token: int  # micro-MGS


class Carried(NamedTuple):
    """The certified end of an earlier chain, whose state height 0 takes over (case 75)."""

    genesis_hash: bytes
    height: int
    block_hash: bytes
    state_root: bytes


class GenesisVesting(NamedTuple):
    """Tokens of a purpose that come free for a holder little by little."""

    purpose: str  # of TOKEN_PURPOSES, but not mining; one entry for holder and purpose
    holder: bytes  # address
    amount: int  # micro-MGS
    cliff_ms: int  # after the genesis; before it nothing is free
    end_ms: int  # after the genesis; from then on all is


class Genesis(NamedTuple):
    """Everything that height 0 follows from.

    Where a state is carried over, the gateways are the new validator set, and what accounts
    hold, who has a role, the token's layout and the parameters stand in that state.
    """

    version: int
    chain_id: str
    network: Network
    time_ms: int
    gateways: tuple[GenesisGateway, ...]
    accounts: tuple[GenesisAccount, ...]
    arbiters: tuple[bytes, ...]  # addresses that orders may name
    attestors: tuple[bytes, ...]  # who attest reserves
    carriers: tuple[bytes, ...]  # who sign dispatch and delivery
    moderators: tuple[bytes, ...]  # who may hide texts
    officers: tuple[bytes, ...]  # who may freeze accounts
    token: tuple[tuple[str, int], ...]  # TOKEN_PURPOSES in order, micro-MGS: the fixed supply
    params: tuple[tuple[str, int], ...]  # departures from the defaults, rising by name
    carried: tuple[Carried, ...] = ()  # none, or the one
    vesting: tuple[GenesisVesting, ...] = ()

    @property
    def hash(self) -> bytes:
        """The chain's name in every signature."""
        return genesis_hash_of(encode(self))

    @property
    def hrp(self) -> str:
        """The prefix of this network's addresses."""
        return HRP_MAIN if self.network == "main" else HRP_TEST

    def validators(self) -> ValidatorSet:
        """The members of era 0."""
        return ValidatorSet([Validator(g.name, g.vote_key) for g in self.gateways])
