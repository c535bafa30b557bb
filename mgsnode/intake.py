"""How transactions come in: opened, admitted, their signatures checked once, then waiting.

From wallets (`submit`) and from peers (`on_gossip`) the way is the same; what a wallet brought
here is passed on to the peers in batches. A peer that passes on what is no transaction, or is
wrongly signed, is no honest peer: those check before they speak.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Busy, Malformed, MgsError, Rejected
from mgsnode.base.hashing import signed_hash_of
from mgsnode.base.limits import MEMPOOL_TXS_MAX, TX_BYTES_MAX
from mgsnode.base.transaction import BAD_SIGNATURE, Transaction
from mgsnode.mempool import Mempool
from mgsnode.verifier import Verifier

GOSSIP_BYTES = 256 * 1024  # of one frame; small enough not to stand in the way of a vote
_FRAME_BYTES_MAX = 2 * GOSSIP_BYTES  # of what peers pass on: no honest frame is longer
_HEARD_BYTES_MAX = 4 * 1024 * 1024  # waiting from one peer; the oldest give way, proposals bring
_HEARD_FRAMES_MAX = 4_096  # them again
_ASIDE_MAX = 10_000  # txids remembered; there should be none
_SLICE_TXS = 32  # opened, checked and added in one go: about 3 ms of the event loop
_RETRY_MS = 500


class Door(Protocol):
    """The part of the ledger that judges at the door."""

    def open_tx(self, raw: bytes, *, signed_hash: bytes | None = None) -> Transaction:
        """Opened, else `Malformed` or `Rejected`."""

    def check_admission(self, tx: Transaction, *, wall_ms: int = 0) -> None:
        """`Rejected` where no block could hold it."""

    def next_nonce(self, sender: bytes, lane: int) -> int:
        """The next nonce at the head."""


class _Heard:
    """What one peer passed on and nobody has looked at yet: bounded, the newest wins."""

    __slots__ = ("_bytes", "frames")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self._bytes = 0

    def put(self, frame: bytes) -> None:
        self.frames.append(frame)
        self._bytes += len(frame)
        while self._bytes > _HEARD_BYTES_MAX or len(self.frames) > _HEARD_FRAMES_MAX:
            self.take()

    def take(self) -> bytes:
        frame = self.frames.popleft()
        self._bytes -= len(frame)
        return frame


class Intake:
    """See the module's law."""

    def __init__(
        self,
        door: Door,
        mempool: Mempool,
        verifier: Verifier,
        *,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        gossip: Callable[[bytes], None],
        on_liar: Callable[[str, str], None],
        on_work: Callable[[], None],
    ) -> None:
        self._door = door
        self._mempool = mempool
        self._verifier = verifier
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._gossip = gossip
        self._on_liar = on_liar
        self._on_work = on_work
        self._taking = 0
        self._turn = asyncio.Lock()
        self._outgoing: list[bytes] = []
        self._heard: dict[str, _Heard] = {}  # by peer, in the order of their turns
        self._frame_came = asyncio.Event()
        self._aside: dict[bytes, None] = {}  # txids that broke the ledger here (case 69)
        self.refused = 0

    def set_aside(self, txid: bytes) -> None:
        """Takes this transaction in no more: it broke the ledger here."""
        self._aside[txid] = None
        if len(self._aside) > _ASIDE_MAX:
            del self._aside[next(iter(self._aside))]

    async def submit(self, raws: Sequence[bytes]) -> list[Transaction | MgsError]:
        """Takes in what a wallet brought, and tells the peers. One answer for each, in order."""
        return await self._take(raws, telling=True)

    async def _take(self, raws: Sequence[bytes], *, telling: bool) -> list[Transaction | MgsError]:
        """Opens, checks and adds, a slice at a time, one caller after the other.

        Between slices the event loop serves votes: a vote never waits longer than one slice.
        """
        if self._taking + len(raws) > MEMPOOL_TXS_MAX:
            return [Busy("too much is being checked", _RETRY_MS) for _ in raws]
        answers: list[Transaction | MgsError] = []
        self._taking += len(raws)
        try:
            async with self._turn:
                for start in range(0, len(raws), _SLICE_TXS):
                    answers += await self._take_slice(raws[start : start + _SLICE_TXS], telling)
                    await asyncio.sleep(0)
        finally:
            self._taking -= len(raws)
        return answers

    async def _take_slice(
        self, raws: Sequence[bytes], telling: bool
    ) -> list[Transaction | MgsError]:
        answers = [self._open(raw) for raw in raws]
        # By signed hash: what stands twice in a slice is checked once.
        fresh = {
            answer.signed_hash: answer
            for answer in answers
            if isinstance(answer, Transaction) and answer.txid not in self._mempool
        }
        good = await self._verifier.check(list(fresh.values()))
        refused: dict[bytes, MgsError] = {}
        for tx, is_good in zip(fresh.values(), good, strict=True):
            refusal = self._add(tx, telling) if is_good else Rejected(BAD_SIGNATURE)
            if refusal is not None:
                refused[tx.signed_hash] = refusal
                self.refused += 1
        if refused:
            answers = [
                refused.get(answer.signed_hash, answer)
                if isinstance(answer, Transaction)
                else answer
                for answer in answers
            ]
        if self._mempool.has_work:
            self._on_work()
        return answers

    def _open(self, raw: bytes) -> Transaction | MgsError:
        signed_hash = signed_hash_of(raw)
        waiting = self._mempool.by_signed_hash(signed_hash)
        if waiting is not None:
            return waiting  # the very same bytes: opened and checked already
        try:
            tx = self._door.open_tx(raw, signed_hash=signed_hash)
            if tx.txid in self._mempool:
                return tx
            if tx.txid in self._aside:
                raise Busy("this transaction is set aside on this node", 60_000)
            self._door.check_admission(tx, wall_ms=self._wall_ms())
            self._mempool.has_room_for(tx)
        except (Malformed, Rejected, Busy) as refusal:
            self.refused += 1
            return refusal
        return tx

    def _add(self, tx: Transaction, telling: bool) -> MgsError | None:
        """Lets it wait; a newcomer is told to the peers, nothing is told twice (case 58)."""
        nonce = self._door.next_nonce(tx.body.sender, tx.body.lane)
        try:
            added = self._mempool.add(tx, next_nonce=nonce, now_ms=self._now_ms())
        except (Rejected, Busy) as refusal:
            return refusal
        if added and telling:
            self._tell(tx.raw)
        return None

    def is_admitted(self, tx: Transaction) -> bool:
        """Whether a waiting transaction could still enter a block, as the head is now."""
        try:
            self._door.check_admission(tx, wall_ms=self._wall_ms())
        except Rejected:
            return False
        return True

    # Telling the peers

    def _tell(self, raw: bytes) -> None:
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(raw)

    def _flush(self) -> None:
        raws, self._outgoing = self._outgoing, []
        for batch in batches(raws):
            self._gossip(encode(tuple(batch)))

    def tell_again(self, txs: Sequence[Transaction]) -> None:
        """Passes on once more what has waited for long: a peer may have missed it."""
        for tx in txs:
            self._tell(tx.raw)

    # Hearing the peers

    def on_gossip(self, peer: str, payload: bytes) -> None:
        """A frame on the TX channel; looked at when its turn comes."""
        heard = self._heard.get(peer)
        if heard is None:
            heard = self._heard[peer] = _Heard()
        heard.put(payload)
        self._frame_came.set()

    async def run(self) -> None:
        """Works off what peers pass on, a frame from each in turn (case 57). Runs for ever."""
        while True:
            await self._frame_came.wait()
            self._frame_came.clear()
            while self._heard:
                peer = next(iter(self._heard))
                heard = self._heard.pop(peer)
                payload = heard.take()
                if heard.frames:
                    self._heard[peer] = heard  # at the end of the row
                await self._hear(peer, payload)

    async def _hear(self, peer: str, payload: bytes) -> None:
        try:
            raws = decode(payload, bytes_max=_FRAME_BYTES_MAX)
            if type(raws) is not tuple or any(type(raw) is not bytes for raw in raws):
                raise Malformed("gossip is a list of transactions")
        except Malformed:
            self._on_liar(peer, "malformed gossip")
            return
        for answer in await self._take(raws, telling=False):
            if isinstance(answer, Malformed):
                self._on_liar(peer, "gossip of no transaction")
                return  # one offence for one frame
            if isinstance(answer, Rejected) and answer.code == BAD_SIGNATURE[0]:
                self._on_liar(peer, "gossip of a bad signature")
                return


assert GOSSIP_BYTES + TX_BYTES_MAX <= _FRAME_BYTES_MAX


def batches(raws: Sequence[bytes]) -> list[list[bytes]]:
    """`raws` in order, cut so that a batch has at most about `GOSSIP_BYTES`."""
    out: list[list[bytes]] = []
    room = 0
    for raw in raws:
        if room < len(raw) or not out:
            out.append([])
            room = GOSSIP_BYTES
        out[-1].append(raw)
        room -= len(raw) + 5
    return out
