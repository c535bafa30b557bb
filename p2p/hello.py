"""The peer layer's own words: hello, ping, pong, bye. Pure; every field is checked here.

A hello is the first frame each way, inside the TLS connection, so it is bound to both
certificates: nobody can relay or replay it. It names the chain, so that two networks that
share machines or keys never mix.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple, TypeAlias

from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX
from p2p.limits import CONTROL_BYTES_MAX

WIRE_VERSION = 1
Role: TypeAlias = Literal["member", "observer"]
MEMBER: Role = "member"
OBSERVER: Role = "observer"


class Word(IntEnum):
    """First field of a control frame. Numbers never change."""

    HELLO = 1
    PING = 2
    PONG = 3
    BYE = 4


class Bye(IntEnum):
    """Why a connection is ended; travels as a number, so that no stranger writes our log."""

    STOPPING = 1
    DUPLICATE = 2
    WRONG_VERSION = 3
    WRONG_CHAIN = 4
    WRONG_NAME = 5
    WRONG_ROLE = 6
    BANNED = 7
    MISBEHAVED = 8
    REMOVED = 9  # no longer known, or known under another certificate or role
    SILENT = 10
    ROLE_CHANGED = 11  # the speaker's own: connect again
    OTHER = 99


class Hello(NamedTuple):
    """Who is speaking, about which chain."""

    version: int
    genesis_hash: bytes
    name: str
    role: str
    instance: int  # drawn at start: tells a restarted process from a second connection
    elsewhere: bool  # the speaker holds another established connection to the listener


class Beat(NamedTuple):
    """A ping or its pong; `token` comes back as it was sent."""

    word: Word
    token: int


class Goodbye(NamedTuple):
    """The far end closes, and says why."""

    why: Bye


Control: TypeAlias = Hello | Beat | Goodbye


def encode_hello(hello: Hello) -> bytes:
    """The control payload of `hello`."""
    return encode((int(Word.HELLO), *hello))


def encode_beat(word: Word, token: int) -> bytes:
    """The control payload of a ping or pong."""
    return encode((int(word), token))


def encode_bye(why: Bye) -> bytes:
    """The control payload of a goodbye."""
    return encode((int(Word.BYE), int(why)))


def open_control(raw: bytes) -> Control:
    """From untrusted bytes to a control message, else `Malformed`."""
    match decode(raw, bytes_max=CONTROL_BYTES_MAX):
        case (int() as word, int() as number) if not _has_bool(word, number):
            if word == Word.BYE:
                return Goodbye(Bye(number) if number in _BYES else Bye.OTHER)
            if word in (Word.PING, Word.PONG) and 0 <= number <= INT_MAX:
                return Beat(Word(word), number)
        case (
            int() as word, int() as version, bytes() as genesis_hash, str() as name,
            str() as role, int() as instance, bool() as elsewhere,
        ) if not _has_bool(word, version, instance):  # fmt: skip
            if (
                word == Word.HELLO
                and len(genesis_hash) == HASH_BYTES
                and 0 < len(name.encode()) <= NAME_BYTES_MAX
                and role in (MEMBER, OBSERVER)
            ):
                return Hello(version, genesis_hash, name, role, instance, elsewhere)
    raise Malformed("not a control message")


_BYES = frozenset(int(bye) for bye in Bye)


def _has_bool(*numbers: int) -> bool:
    return any(type(number) is bool for number in numbers)
