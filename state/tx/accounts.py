"""Accounts: who may act, in which order, what it costs, and who belongs together.

One row holds all of an account that a payment touches, so that a block loads and writes it once.
An account that nobody has seen reads as `EMPTY`. Balances change only through `money.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import address_of
from state.context import CLOCK, Context, Params, family_ms, pause_of
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
    flags: int  # bits: MEMO_REQUIRED, FROZEN, EVER_FROZEN, HAS_LINKS, HAS_JOINED


class KeysEver(NamedTuple):
    """Hashes of the keys that an account has had beside its first one; rising, never less."""

    hashes: tuple[bytes, ...]


class Recruited(NamedTuple):
    """Who recruited an account, rising; never less."""

    by: tuple[bytes, ...]


class Freeze(NamedTuple):
    """The last freeze of an account, of the compliance family; whoever spends asks for it."""

    case: bytes  # the hash of the case
    until_ms: int  # on the clock of compliance
    since_ms: int  # on the clock of redemptions, whose deadlines stand still
    stood_ms: int  # on the same clock: how long earlier freezes took
    is_on: bool
    extended: bool  # by a proposal: no officer alone can lift it


COMPLIANCE: Final = 12  # the family that freezes
MEMO_REQUIRED: Final = 1  # what is paid to it by a holder carries a memo
FROZEN: Final = 2  # by a compliance officer: nothing leaves it of its own will
EVER_FROZEN: Final = 4  # there is a row in FREEZE: others need not look
HAS_LINKS: Final = 8  # there is a row in KEYS_EVER or RECRUITED, likewise
HAS_JOINED: Final = 16  # it distributes for some shop, likewise

ACCOUNT: Final[Table[bytes, Account]] = Table(16, "dollar/account", Account, bytes_key())
KEYS_EVER: Final[Table[bytes, KeysEver]] = Table(160, "accounts/keys", KeysEver, bytes_key())
RECRUITED: Final[Table[bytes, Recruited]] = Table(161, "accounts/recruited", Recruited, bytes_key())
FREEZE: Final[Table[bytes, Freeze]] = Table(192, "compliance/freeze", Freeze, bytes_key())
ACCOUNT_FROZEN: Final = (1_001, "ACCOUNT_FROZEN")
MEMO_MISSING: Final = (1_002, "MEMO_MISSING")
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


def put_account(ctx: Context, address: bytes, account: Account) -> None:
    """Write an account; its history shows the transaction."""
    ctx.draft.put(ACCOUNT, address, account)
    ctx.involve(address)


def freeze_of(reader: Reader, address: bytes) -> Freeze | None:
    """The account's last freeze; costs nothing for those who never had one."""
    if not account_of(reader, address).flags & EVER_FROZEN:
        return None
    return reader.get(FREEZE, address)


def is_frozen(reader: Reader, address: bytes) -> bool:
    """Whether a compliance officer has frozen the account: judged by the clock, so that a freeze
    is over at its end and not when somebody gets round to lifting it.
    """
    if not account_of(reader, address).flags & FROZEN:
        return False
    freeze, clock = reader.get(FREEZE, address), reader.get(CLOCK, b"")
    assert freeze is not None and clock is not None, "who is frozen has a freeze"
    return family_ms(pause_of(reader, COMPLIANCE), clock.live_ms) < freeze.until_ms


def frozen_ms(reader: Reader, address: bytes, now_ms: int) -> int:
    """How long the account has been frozen in all, up to `now_ms` on the clock of redemptions."""
    freeze = freeze_of(reader, address)
    if freeze is None:
        return 0
    return freeze.stood_ms + (now_ms - freeze.since_ms if freeze.is_on else 0)


def check_free(reader: Reader, address: bytes) -> None:
    """`Rejected(ACCOUNT_FROZEN)` if it is: asked by whatever takes something out of an account
    because its holder wants it, and by nothing that is a duty.
    """
    if is_frozen(reader, address):
        raise Rejected(ACCOUNT_FROZEN)


def check_memo(reader: Reader, to: bytes, memo: str) -> None:
    """`Rejected(MEMO_MISSING)` where the account asks a memo of whoever pays it."""
    if not memo and account_of(reader, to).flags & MEMO_REQUIRED:
        raise Rejected(MEMO_MISSING, to=to.hex())


def _with_links(reader: Reader, accounts: Sequence[bytes]) -> list[bytes]:
    """Those of them that have had another key or a recruiter; costs a look at each account."""
    found = []
    for address in accounts:
        account = reader.get(ACCOUNT, address)
        if account is not None and account.flags & HAS_LINKS:
            found.append(address)
    return found


def is_linked(reader: Reader, one: bytes, *others: bytes) -> bool:
    """Whether the account shares a key with one of the others, ever did, or one of the two
    recruited the other (ground rule 9). An account is linked to itself.
    """
    if one in others:
        return True
    having = _with_links(reader, (one, *others))
    if not having:
        return False
    asked = others if one in having else [other for other in others if other in having]
    return any(any_linked(reader, one, other) for other in asked)


def any_linked(reader: Reader, *accounts: bytes) -> bool:
    """Whether any two of them are linked; reads each one once, and of most only the account."""
    seen = dict.fromkeys(accounts)  # an address is the hash of its first key
    if len(seen) < len(accounts):
        return True
    having = _with_links(reader, accounts)
    for address in having:
        ever = reader.get(KEYS_EVER, address)
        for key_hash in ever.hashes if ever else ():
            if key_hash in seen:
                return True
            seen[key_hash] = None
    for address in having:
        recruited = reader.get(RECRUITED, address)
        for by in recruited.by if recruited else ():
            if by in accounts:
                return True
    return False


def note_keys(ctx: Context, address: bytes, keys: Sequence[bytes]) -> None:
    """Remember for ever that the account has these public keys."""
    known = ctx.draft.get(KEYS_EVER, address)
    hashes = dict.fromkeys([*(known.hashes if known else ()), *map(address_of, keys)])
    hashes.pop(address, None)
    ctx.draft.put(KEYS_EVER, address, KeysEver(tuple(sorted(hashes))))
    set_flag(ctx, address, HAS_LINKS)


def note_recruited(ctx: Context, address: bytes, by: bytes) -> None:
    """Remember for ever that `by` recruited `address`."""
    others = dict.fromkeys([*_recruiters(ctx.draft, address), by])
    ctx.draft.put(RECRUITED, address, Recruited(tuple(sorted(others))))
    set_flag(ctx, address, HAS_LINKS)


def set_flag(ctx: Context, address: bytes, flag: int) -> None:
    """For the family that the flag speaks of, beside the row that it promises."""
    account = account_of(ctx.draft, address)
    ctx.draft.put(ACCOUNT, address, account._replace(flags=account.flags | flag))


def _recruiters(reader: Reader, address: bytes) -> tuple[bytes, ...]:
    row = reader.get(RECRUITED, address)
    return row.by if row else ()


def keys_ever(reader: Reader, address: bytes) -> frozenset[bytes]:
    """Hashes of all keys that the account has had, its first one (the address) among them."""
    ever = reader.get(KEYS_EVER, address)
    return frozenset([address, *(ever.hashes if ever else ())])


def fee_of(params: Params, weight_param: str, size: int) -> int:
    """The fee in micro-dollars of a transaction of `size` signed bytes, rounded up."""
    weighted = params["fee_base"] * params[weight_param]
    return -(-weighted // FEE_WEIGHT_UNIT) + params["fee_byte"] * size
