"""Questions and answers between nodes: blocks by height, what is named by hash, snapshots.

`encode((type, id, content))` on the SYNC channel. A question has an answer or a deadline; an
answer nobody asked for is dropped. What is answered is data, never believed: whoever asked
checks it against a hash or a certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import count
from typing import NamedTuple, Protocol

from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.limits import BLOCK_TXS_MAX, FRAME_BYTES_MAX, INT_MAX
from state.snapshot import Item, is_item

ANSWER_S = 5.0  # a peer that needs longer for a frame of 2 MiB is not worth waiting for
BLOCKS_MAX = 64  # in one answer
OFFERS_MAX = 8
_ANSWER_BYTES_MAX = FRAME_BYTES_MAX - 4_096  # the rest is for the envelope
# What answering one peer may cost us (case 57). Who catches up applies some 4 MB a second.
_ALLOWANCE_BYTES_PER_S = 16 * 1024 * 1024
_ALLOWANCE_BYTES_MAX = 2 * _ALLOWANCE_BYTES_PER_S
_QUESTION_BYTES = 16 * 1024  # what looking up costs, however short the answer


class Kind(IntEnum):
    """What a message on the SYNC channel is. Numbers never change."""

    GET_BLOCKS = 1
    BLOCKS = 2
    GET_BODY = 3
    BODY = 4
    GET_TXS = 5
    TXS = 6
    HEAD = 7  # a height that the sender has decided; id 0
    BLOCK = 8  # a decided block for someone who seems not to know it; id 0
    GET_OFFERS = 9
    OFFERS = 10  # heights of whole snapshots
    GET_ITEM = 11  # of a snapshot: (height, name or prefix)
    ITEM = 12


class Gone(TimeoutError):
    """The peer has gone before it answered."""


class Certified(NamedTuple):
    """A block and its certificate, as bytes. Unchecked."""

    block: bytes
    certificate: bytes


class Source(Protocol):
    """What a node answers from."""

    def certified(self, height: int) -> Certified | None:
        """A decided block, or None."""

    def body(self, block_hash: bytes) -> bytes | None:
        """The encoded block of a proposal being voted on or decided, or None."""

    def raw_transaction(self, signed_hash: bytes) -> bytes | None:
        """A waiting transaction's bytes, or None."""

    def snapshot_heights(self) -> Sequence[int]:
        """The heights of the snapshots that are offered, rising."""

    def snapshot_item(self, height: int, item: Item) -> bytes | None:
        """An item of an offered snapshot, or None."""


class _Allowance:
    """How many bytes of answers a peer may still have; refilled by the time that passes."""

    __slots__ = ("_left", "_since_s")

    def __init__(self, now_s: float) -> None:
        self._left, self._since_s = float(_ALLOWANCE_BYTES_MAX), now_s

    def is_left(self, now_s: float) -> bool:
        gained = (now_s - self._since_s) * _ALLOWANCE_BYTES_PER_S
        self._left, self._since_s = min(self._left + gained, _ALLOWANCE_BYTES_MAX), now_s
        return self._left > 0

    def spend(self, size: int) -> None:
        self._left -= size + _QUESTION_BYTES


class Exchange:
    """Asks and answers. `send(peer, payload)` says whether the peer can be reached."""

    def __init__(
        self,
        source: Source,
        send: Callable[[str, bytes], bool],
        *,
        on_head: Callable[[str, int], None],
        on_block: Callable[[str, Certified], None],
    ) -> None:
        self._source = source
        self._send = send
        self._on_head = on_head
        self._on_block = on_block
        self._ids = count(1)
        self._asked: dict[tuple[str, int], asyncio.Future[Value]] = {}
        self._allowances: dict[str, _Allowance] = {}

    async def blocks(self, peer: str, start: int, number: int) -> list[Certified]:
        """Up to `number` decided blocks from height `start` on; fewer or none as the peer has."""
        content = await self._ask(peer, Kind.GET_BLOCKS, (start, min(number, BLOCKS_MAX)))
        if type(content) is not tuple or len(content) > number:
            raise Malformed("blocks that were not asked for")
        return [_certified_of(item) for item in content]

    async def body(self, peer: str, block_hash: bytes) -> bytes | None:
        """The encoded block with this hash, or None where the peer has none."""
        content = await self._ask(peer, Kind.GET_BODY, block_hash)
        if type(content) is not bytes:
            raise Malformed("a body is bytes")
        return content or None

    async def transactions(self, peer: str, signed_hashes: Sequence[bytes]) -> list[bytes]:
        """Those of the transactions that the peer has, raw, in the order asked."""
        content = await self._ask(peer, Kind.GET_TXS, tuple(signed_hashes))
        if type(content) is not tuple or any(type(raw) is not bytes for raw in content):
            raise Malformed("transactions are bytes")
        return list(content)

    async def offers(self, peer: str) -> list[int]:
        """The heights of the peer's snapshots; a few of the newest."""
        content = await self._ask(peer, Kind.GET_OFFERS, ())
        heights = list(content) if type(content) is tuple else [0]
        if len(heights) > OFFERS_MAX or any(type(h) is not int or h < 1 for h in heights):
            raise Malformed("offers are a few heights")
        return heights

    async def snapshot_item(self, peer: str, height: int, item: Item) -> bytes | None:
        """An item of the peer's snapshot, unchecked, or None where it gives none."""
        content = await self._ask(peer, Kind.GET_ITEM, (height, item))
        if type(content) is not bytes:
            raise Malformed("a snapshot's item is bytes")
        return content or None

    async def _ask(self, peer: str, kind: Kind, content: Value) -> Value:
        number = next(self._ids)
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._asked[peer, number] = future
        try:
            if not self._send(peer, encode((kind, number, content))):
                raise TimeoutError
            async with asyncio.timeout(ANSWER_S):
                return await future
        finally:
            del self._asked[peer, number]

    def forget(self, peer: str) -> None:
        """A peer is gone, and with it its answers: who waits for one gets `Gone`."""
        for (asked, _number), future in self._asked.items():
            if asked == peer and not future.done():
                future.set_exception(Gone())

    def tell_head(self, peer: str, height: int) -> None:
        """Says how far we are."""
        self._send(peer, encode((Kind.HEAD, 0, height)))

    def push_block(self, peer: str, height: int) -> None:
        """Gives a decided block to someone who seems not to know it."""
        certified = self._source.certified(height)
        if certified is not None:
            self._send(peer, encode((Kind.BLOCK, 0, certified)))

    def on_message(self, peer: str, payload: bytes) -> None:
        """A message on the SYNC channel. Raises `Malformed` where no honest peer says that."""
        match decode(payload, bytes_max=FRAME_BYTES_MAX):
            case (int() as number, int() as ident, content) if number in _KINDS:
                kind = Kind(number)
            case _:
                raise Malformed("a sync message is (type, id, content)")
        answer = _ANSWERS.get(kind)
        if answer is not None:
            self._send(peer, encode((answer, ident, self._answer_to(peer, kind, content))))
        elif kind is Kind.HEAD:
            if type(content) is not int or not 0 <= content <= INT_MAX:
                raise Malformed("a head is a height")
            self._on_head(peer, content)
        elif kind is Kind.BLOCK:
            self._on_block(peer, _certified_of(content))
        else:
            future = self._asked.get((peer, ident))
            if future is not None and not future.done():
                future.set_result(content)

    def _answer_to(self, peer: str, kind: Kind, content: Value) -> Value:
        """The answer, or "nothing" to a peer that asks for more than anybody needs."""
        now_s = asyncio.get_running_loop().time()
        allowance = self._allowances.get(peer)
        if allowance is None:
            allowance = self._allowances[peer] = _Allowance(now_s)
        if not allowance.is_left(now_s):
            return b"" if kind in (Kind.GET_BODY, Kind.GET_ITEM) else ()
        answer = self._answer(kind, content)
        allowance.spend(_size_of(answer))
        return answer

    def _answer(self, kind: Kind, content: Value) -> Value:
        if kind is Kind.GET_BLOCKS:
            return self._answer_blocks(content)
        if kind is Kind.GET_BODY:
            if type(content) is not bytes or len(content) != HASH_BYTES:
                raise Malformed("a body is asked for by its hash")
            return self._source.body(content) or b""
        if kind is Kind.GET_OFFERS:
            return tuple(self._source.snapshot_heights()[-OFFERS_MAX:])
        if kind is Kind.GET_ITEM:
            return self._answer_item(content)
        return self._answer_transactions(content)

    def _answer_item(self, content: Value) -> Value:
        match content:
            case (int() as height, str() | bytes() as item) if height >= 1 and is_item(item):
                return self._source.snapshot_item(height, item) or b""
        raise Malformed("a snapshot's item is asked for by height and name")

    def _answer_transactions(self, content: Value) -> Value:
        if type(content) is not tuple or len(content) > BLOCK_TXS_MAX:
            raise Malformed("transactions are asked for by their hashes")
        found: list[bytes] = []
        room = _ANSWER_BYTES_MAX
        for signed_hash in content:
            if type(signed_hash) is not bytes:
                raise Malformed("transactions are asked for by their hashes")
            raw = self._source.raw_transaction(signed_hash)
            if raw is not None and (room := room - len(raw) - 8) >= 0:
                found.append(raw)
        return tuple(found)

    def _answer_blocks(self, content: Value) -> Value:
        match content:
            case (int() as start, int() as number) if start >= 1 and 1 <= number <= BLOCKS_MAX:
                pass
            case _:
                raise Malformed("blocks are asked for from a height, a few at once")
        found: list[Certified] = []
        room = _ANSWER_BYTES_MAX
        for height in range(start, start + number):
            certified = self._source.certified(height)
            if certified is None:
                break
            room -= len(certified.block) + len(certified.certificate) + 32
            if room < 0 and found:
                break
            found.append(certified)
        return tuple(found)


_KINDS = frozenset(int(kind) for kind in Kind)
_ANSWERS = {
    Kind.GET_BLOCKS: Kind.BLOCKS,
    Kind.GET_BODY: Kind.BODY,
    Kind.GET_TXS: Kind.TXS,
    Kind.GET_OFFERS: Kind.OFFERS,
    Kind.GET_ITEM: Kind.ITEM,
}


def _size_of(answer: Value) -> int:
    """About how many bytes an answer has."""
    if isinstance(answer, bytes):
        return len(answer)
    return sum(map(_size_of, answer)) if isinstance(answer, tuple) else 0


def _certified_of(value: Value) -> Certified:
    match value:
        case (bytes() as block, bytes() as certificate):
            return Certified(block, certificate)
    raise Malformed("a certified block is (block, certificate)")
