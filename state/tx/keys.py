"""Accounts: which keys act for one, and what it asks of those who pay it.

An account keeps its address when its keys change. A key is added only with its own signature on
that very transaction, so that nobody is linked to an account, or kept out of commissions and
votes, by somebody else's doing; the envelope asks for it (`Kind.cosigning_keys`). The keys that
stood before sign as always, up to their threshold. What an account ever had is listed for ever:
two accounts that shared a key once are linked (ground rule 9 of the design).

Law: keys stand once and rising, the threshold can be met, and every key is listed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.hashing import address_of
from mgsnode.base.keys import PUBLIC_KEY_BYTES, is_strong_key
from mgsnode.base.limits import TX_SIGNATURES_MAX
from state.context import Context, Fields
from state.draft import Reader
from state.fields import Address, Bool, Bytes, Int, ListOf, Struct
from state.registry import EventSpec, Family, Kind, Law
from state.table import Table, bytes_key
from state.tx.accounts import (
    ACCOUNT,
    ACCOUNT_FROZEN,
    EVER_FROZEN,
    FROZEN,
    HAS_JOINED,
    HAS_LINKS,
    KEYS_EVER,
    MEMO_MISSING,
    MEMO_REQUIRED,
    RECRUITED,
    account_of,
    check_free,
    keys_ever,
    note_keys,
    put_account,
    signing_keys,
)

KEY_TWICE: Final = (1_003, "KEY_TWICE")
THRESHOLD_BEYOND_KEYS: Final = (1_004, "THRESHOLD_BEYOND_KEYS")
WEAK_KEY: Final = (1_005, "WEAK_KEY")
TOO_MANY_KEYS: Final = (1_006, "TOO_MANY_KEYS")

KEYS_MAX: Final = 7  # all old ones, as many new ones, a payer and a co-signer can sign together
KEYS_EVER_MAX: Final = 128  # of one account, ever: who is linked is asked often, 4 kB answer it
assert 2 * KEYS_MAX + 2 <= TX_SIGNATURES_MAX


class KeysSet(NamedTuple):
    """Since when an account has its present keys. An account with its first key has no row."""

    since_ms: int  # block time
    height: int
    times: int  # how often its keys were set


KEYS_SET: Final[Table[bytes, KeysSet]] = Table(162, "accounts/set", KeysSet, bytes_key())
FIRST_KEY: Final = KeysSet(0, 0, 0)


def keys_set(reader: Reader, address: bytes) -> KeysSet:
    """Since when the account has its keys, and how often they were set; zeros for the first."""
    return reader.get(KEYS_SET, address) or FIRST_KEY


def _new_keys(reader: Reader, sender: bytes, fields: Fields) -> tuple[bytes, ...]:
    """Those of the keys to come that do not act for the account yet."""
    keys, _ = fields
    known = signing_keys(account_of(reader, sender), sender, list(keys))
    return tuple(key for key in keys if key not in known)


def apply_set_keys(ctx: Context, fields: Fields) -> None:
    """These keys, and no others, act for the account from here on."""
    keys, threshold = fields
    if len(dict.fromkeys(keys)) != len(keys):
        raise Rejected(KEY_TWICE)
    if threshold > len(keys):
        raise Rejected(THRESHOLD_BEYOND_KEYS, keys=len(keys))
    known = account_of(ctx.draft, ctx.sender).keys  # looked at when they were set
    for place, key in enumerate(keys):
        if key not in known and not is_strong_key(key):
            raise Rejected(WEAK_KEY, key=place)
    check_free(ctx.draft, ctx.sender)
    ever = keys_ever(ctx.draft, ctx.sender).union(map(address_of, keys))
    if len(ever) > KEYS_EVER_MAX:
        raise Rejected(TOO_MANY_KEYS, highest=KEYS_EVER_MAX)
    # From here on nothing can fail.
    address, keys = ctx.sender, tuple(sorted(keys))
    times = keys_set(ctx.draft, address).times + 1
    note_keys(ctx, address, keys)
    ctx.draft.put(KEYS_SET, address, KeysSet(ctx.time_ms, ctx.height, times))
    account = account_of(ctx.draft, address)
    put_account(ctx, address, account._replace(keys=keys, threshold=threshold))
    ctx.emit("account_keys_set", address, keys, threshold)


def apply_set_memo(ctx: Context, fields: Fields) -> None:
    """Whether what holders pay to the account has to carry a memo."""
    (required,) = fields
    # From here on nothing can fail.
    account = account_of(ctx.draft, ctx.sender)
    flags = account.flags & ~MEMO_REQUIRED | (MEMO_REQUIRED if required else 0)
    put_account(ctx, ctx.sender, account._replace(flags=flags))
    ctx.emit("account_memo_set", ctx.sender, required)


def _is_rising(values: tuple[bytes, ...]) -> bool:
    return all(one < other for one, other in pairwise(values))


def _check_keys(reader: Reader) -> str | None:
    for address, account in reader.items(ACCOUNT):
        who, keys = f"account {address.hex()}", account.keys
        if account.flags & ~(MEMO_REQUIRED | FROZEN | EVER_FROZEN | HAS_LINKS | HAS_JOINED):
            return f"{who} has flags that mean nothing"
        if not _is_rising(keys) or len(keys) > KEYS_MAX:
            return f"{who}: its keys do not rise, or are too many"
        if not 1 <= account.threshold <= max(1, len(keys)):
            return f"{who}: no set of its keys meets its threshold"
        if bool(keys) != (reader.get(KEYS_SET, address) is not None):
            return f"{who}: since when it has its keys is not said"
        if not keys_ever(reader, address).issuperset(map(address_of, keys)):
            return f"{who} has a key that is not listed"
        has_links = reader.get(KEYS_EVER, address) or reader.get(RECRUITED, address)
        if bool(account.flags & HAS_LINKS) != (has_links is not None):
            return f"{who} is flagged exactly where it has links"
    return None


def _check_links(reader: Reader) -> str | None:
    """What links accounts stands once, rising, and does not name the account itself."""
    for address, ever in reader.items(KEYS_EVER):
        if not _is_rising(ever.hashes) or address in ever.hashes:
            return f"keys that account {address.hex()} had are not a rising list of others"
        if len(ever.hashes) >= KEYS_EVER_MAX:
            return f"account {address.hex()} had too many keys"
        if reader.get(ACCOUNT, address) is None:
            return f"account {address.hex()} had keys and is not there"
    for address, row in reader.items(RECRUITED):
        if not _is_rising(row.by):
            return f"who recruited account {address.hex()} is not a rising list"
        if reader.get(ACCOUNT, address) is None:
            return f"account {address.hex()} was recruited and is not there"
    return None


_KEY: Final = Bytes(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)
_KEYS: Final = ListOf(_KEY, 1, KEYS_MAX)
_THRESHOLD: Final = Int(1, KEYS_MAX)

FAMILY: Final = Family(
    number=10,
    name="accounts",
    kinds=(
        Kind(
            "account_set_keys",
            Struct(keys=_KEYS, threshold=_THRESHOLD),
            apply_set_keys,
            500,
            "Replace an account's keys; each new key signs too. The address stays.",
            cosigning_keys=_new_keys,
        ),
        Kind(
            "account_set_memo",
            Struct(required=Bool()),
            apply_set_memo,
            100,
            "Ask a memo of whoever pays the account, or ask it no more.",
        ),
    ),
    tables=(KEYS_EVER, RECRUITED, KEYS_SET),
    refusals=(
        ACCOUNT_FROZEN, MEMO_MISSING, KEY_TWICE, THRESHOLD_BEYOND_KEYS, WEAK_KEY, TOO_MANY_KEYS,
    ),
    events=(
        EventSpec(
            "account_keys_set",
            Struct(account=Address(), keys=_KEYS, threshold=_THRESHOLD),
            "An account has other keys from here on.",
        ),
        EventSpec(
            "account_memo_set",
            Struct(account=Address(), required=Bool()),
            "An account asks a memo of whoever pays it, or asks it no more.",
        ),
    ),
    laws=(Law("keys", _check_keys), Law("links", _check_links)),
)  # fmt: skip
