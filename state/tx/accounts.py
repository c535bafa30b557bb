"""Accounts: who may act, in which order, and what it costs. Part of the dollar family.

One row holds all of an account that a payment touches, so that a block loads and writes it once.
An account that nobody has seen reads as `EMPTY`. Balances change only through `money.py`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.hashing import address_of
from state.context import Params
from state.draft import Reader
from state.registry import FEE_WEIGHT_UNIT
from state.table import Table, bytes_key


class Account(NamedTuple):
    """1. `dollar` and `token` are never negative. 2. `nonces` rise by lane, none is 0.
    3. No `keys`: the one key is the one whose hash is the address, and the threshold is 1.
    """

    dollar: int  # micro-dollars
    token: int  # micro-MGS
    nonces: tuple[tuple[int, int], ...]  # (lane, next nonce)
    keys: tuple[bytes, ...]  # public keys that took the place of the first one
    threshold: int  # how many of `keys` must sign
    flags: int  # bits; none has a meaning yet


ACCOUNT: Final[Table[bytes, Account]] = Table(16, "dollar/account", Account, bytes_key())
EMPTY: Final = Account(0, 0, (), (), 1, 0)


def account_of(reader: Reader, address: bytes) -> Account:
    """The account, `EMPTY` if never seen."""
    return reader.get(ACCOUNT, address) or EMPTY


def next_nonce(account: Account, lane: int) -> int:
    """The nonce that the next transaction in `lane` has to carry."""
    for known, nonce in account.nonces:
        if known == lane:
            return nonce
    return 0


def nonces_after(account: Account, lane: int, nonce: int) -> tuple[tuple[int, int], ...]:
    """The account's nonces once `nonce` was used in `lane`."""
    nonces = account.nonces
    if not nonces or (len(nonces) == 1 and nonces[0][0] == lane):
        return ((lane, nonce + 1),)
    others = [pair for pair in nonces if pair[0] != lane]
    return tuple(sorted([*others, (lane, nonce + 1)]))


def signing_keys(account: Account, address: bytes, signers: list[bytes]) -> list[bytes]:
    """Those of `signers` that are keys of the account."""
    if account.keys:
        return [key for key in signers if key in account.keys]
    return [key for key in signers if address_of(key) == address]


def is_linked(reader: Reader, one: bytes, other: bytes) -> bool:
    """Whether two accounts share a key (ground rule 9, as far as keys go today)."""
    return not _key_hashes(reader, one).isdisjoint(_key_hashes(reader, other))


def _key_hashes(reader: Reader, address: bytes) -> frozenset[bytes]:
    keys = account_of(reader, address).keys
    return frozenset([address, *(address_of(key) for key in keys)])


def fee_of(params: Params, weight_param: str, size: int) -> int:
    """The fee in micro-dollars of a transaction of `size` signed bytes, rounded up."""
    weighted = params["fee_base"] * params[weight_param]
    return -(-weighted // FEE_WEIGHT_UNIT) + params["fee_byte"] * size
