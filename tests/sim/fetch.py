"""Bodies and certified blocks from peers: the simulated twin of `mgsnode/sync.py`.

A peer's word about its height is a hint of whom to ask. What counts is a block whose
certificate was checked here. A body is asked for by hash until it comes or ten tries are over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consensus.effects import CheckBlock
from consensus.events import BlockChecked, BodyMissing, Fetching
from mgsnode.base.block import Block, check_certificate, encode_block, open_header, txs_root
from mgsnode.base.codec import decode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import header_hash_of
from mgsnode.base.limits import FRAME_BYTES_MAX
from tests.sim.disk import Crashed
from tests.sim.ledger import Stored

if TYPE_CHECKING:
    from tests.sim.node import SimNode

RANGE_BLOCKS = 16
_ASK_MS = 250
_TRIES_MAX = 10
_POLL_MS = 2_000


class Fetch:
    """What one node lacks and asks for. One object for each life."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._life = node.life
        self._hints: dict[str, int] = {}
        self._asked: str | None = None
        self._turn = 0
        self._tries = 0
        self._known = False  # certified blocks are known to be missing
        self._wanted: dict[bytes, CheckBlock] = {}
        self._polled_at = -1

    # Bodies

    def check(self, effect: CheckBlock) -> None:
        """Executes a block whose body is at hand, else asks for it."""
        node = self._node
        body = self._body_at_hand(effect)
        if body is not None:
            self._execute(effect.hash, body)
            return
        self._wanted[effect.hash] = effect  # replaces an older question
        names = [node.member_name(i) for i in effect.sources if node.member_name(i) != node.name]
        self._ask_body(effect, names, 0)

    def _body_at_hand(self, effect: CheckBlock) -> bytes | None:
        node = self._node
        known = node.replica.body(effect.hash) or node.ledger.body(effect.hash)
        if known is not None or effect.tx_hashes is None:
            return known
        header = open_header(effect.header)
        txs = [node.mempool.get(h) for h in effect.tx_hashes]
        if None in txs or txs_root(effect.tx_hashes) != header.txs_root:
            return None
        return encode_block(Block(header, tuple(tx for tx in txs if tx is not None)))

    def _ask_body(self, effect: CheckBlock, names: list[str], tries: int) -> None:
        node = self._node
        if node.life != self._life or self._wanted.get(effect.hash) is not effect:
            return
        if tries == _TRIES_MAX or not names:
            del self._wanted[effect.hash]
            node.put(BodyMissing(effect.hash))
            return
        node.network.send(node, names[tries % len(names)], "body?", effect.hash)
        node.world.after(_ASK_MS, self._ask_body, effect, names, tries + 1)

    def on_body(self, body: bytes) -> None:
        """A peer answered; a body that does not fit its hash is dropped."""
        try:
            value = decode(body, bytes_max=FRAME_BYTES_MAX)
        except Malformed:
            return
        if type(value) is tuple and value and type(value[0]) is bytes:
            block_hash = header_hash_of(value[0])
            if self._wanted.pop(block_hash, None) is not None:
                self._execute(block_hash, body)

    def _execute(self, block_hash: bytes, body: bytes) -> None:
        ledger = self._node.ledger
        if open_header(_header_bytes(body)).height <= ledger.height:
            return  # durable meanwhile: `Advanced` is on its way, this is no judgement
        why = ledger.check(body)
        delay = self._node.network.faults.execution_ms()
        self._node.after(delay, BlockChecked(block_hash, why, body))

    # Certified blocks

    def poll(self) -> None:
        """Who is no member, or was made none behind its back, hears of heights only by asking."""
        node = self._node
        if node.life != self._life or not node.up:
            return
        idle, self._polled_at = node.ledger.height == self._polled_at, node.ledger.height
        if idle:
            names = [name for name in node.network.names if name != node.name]
            name = names[node.world.stream("scheduler").randrange(len(names))]
            node.network.send(node, name, "height?", None)
        node.world.after(_POLL_MS, self.poll)

    def hint(self, name: str, height: int) -> None:
        """A peer seems to have decided `height`."""
        if height > self._node.ledger.height:
            self._hints[name] = height
            if self._asked is None:
                self._tries = 0
                self._ask()

    def _ask(self) -> None:
        height = self._node.ledger.height
        names = sorted(name for name, claimed in self._hints.items() if claimed > height)
        if not names or self._tries >= _TRIES_MAX:
            self._stop()
            return
        self._tries += 1
        self._turn += 1
        self._asked = names[self._turn % len(names)]
        self._node.network.send(self._node, self._asked, "blocks?", height + 1)
        self._node.world.after(_ASK_MS, self._late, self._turn)

    def _late(self, turn: int) -> None:
        if self._turn == turn and self._asked is not None and self._node.life == self._life:
            self._ask()

    def _stop(self) -> None:
        self._asked = None
        self._hints.clear()
        if self._known:
            self._known = False
            self._node.put(Fetching(False))

    def on_blocks(self, name: str, blocks: list[Stored]) -> None:
        """Certified blocks, or what a liar calls so."""
        node = self._node
        for stored in blocks:
            if stored.header.height <= node.ledger.height:
                continue
            if stored.header.height > node.ledger.height + 1:
                self.hint(name, stored.header.height)
                return
            if not self._is_good(stored):
                self._hints.pop(name, None)
                node.counts["false block"] = node.counts.get("false block", 0) + 1
                return
            self._tries = 0
            if not self._known and name == self._asked:
                self._known = True
                node.put(Fetching(True))
            assert stored.certificate is not None
            try:
                node.advance(node.ledger.commit(stored.hash, stored.certificate))
            except Crashed:
                node.network.crash(node)
                return
        if name == self._asked:
            self._ask()

    def _is_good(self, stored: Stored) -> bool:
        ledger = self._node.ledger
        if stored.certificate is None:
            return False
        why = check_certificate(
            stored.certificate, stored.header, ledger.members, verify=self._node.network.verify
        )
        return (
            why is None
            and stored.header.height == ledger.height + 1
            and header_hash_of(stored.body and _header_bytes(stored.body)) == stored.hash
            and stored.certificate.hash == stored.hash
            and ledger.check(stored.body) is None
        )


def _header_bytes(body: bytes) -> bytes:
    value = decode(body, bytes_max=FRAME_BYTES_MAX)
    assert type(value) is tuple and type(value[0]) is bytes
    return value[0]
