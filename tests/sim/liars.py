"""A gateway that lies: an honest core whose words are bent on their way out.

It holds its own key only. What it does is drawn from the plan's `lies`; each lie told is
counted, so that a run in which nobody lied is seen to be empty.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from consensus.effects import BuildBlock, Demote, Effect, Say
from consensus.events import BlockBuilt, Event, Received
from consensus.messages import (
    ViewChange,
    complain_fields,
    encode_message,
    new_view_fields,
    open_message,
    open_view_change,
    pre_prepare_fields,
    view_change_fields,
)
from mgsnode.base.block import Block, encode_block, hash_header, open_block, vote_fields
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import ZERO_HASH, header_hash_of, signed_hash_of
from mgsnode.base.keys import Signed, statement
from mgsnode.base.limits import FRAME_BYTES_MAX
from tests.sim.ledger import Stored
from tests.sim.node import SimNode
from tests.sim.phases import phase_of
from tests.sim.swarm import Swarm

if TYPE_CHECKING:
    from tests.sim.network import Network

_VOTES = (Signed.PREPARE, Signed.COMMIT)
_FLOOD = 200  # messages at once


class Liar(SimNode):
    """Signs what it likes, to whom it likes."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        super().__init__(network, name, number)
        faults = network.faults
        assert isinstance(faults, Swarm)
        self.lies = faults.plan.lies
        self.random = network.world.stream("byzantine")
        self.told: Counter[str] = Counter()
        self.touched: Counter[tuple[str, str]] = Counter()
        self._old: deque[tuple[Signed, bytes]] = deque(maxlen=64)
        self._hashes: deque[bytes] = deque([ZERO_HASH], maxlen=8)
        self._second: tuple[bytes, bytes, Value] | None = None  # hash, fields, tail
        self._copies: list[tuple[bytes, list[Stored]]] = []

    def _tells(self, lie: str, rate: float = 0.5) -> bool:
        tells = lie in self.lies and self.random.random() < rate
        if tells:
            self.told[f"lie: {lie}"] += 1
            self.touched[f"lie: {lie}", phase_of(self)] += 1
        return tells

    def sign(self, kind: Signed, fields: bytes) -> bytes:
        """No guard asked."""
        return self.key.sign(statement(kind, self.network.chain.genesis_hash, fields))

    def tell(self, kind: Signed, fields: bytes, tail: Value, to: str) -> None:
        """Signs and sends to one gateway."""
        raw = encode_message(kind, fields, self.sign(kind, fields), tail)
        self.network.send(self, to, "consensus", raw, kind)

    def others(self) -> list[str]:
        """The other members of its era."""
        members = self.replica.members.members
        return [m.gateway for m in members if m.gateway != self.name]

    # Hearing

    def put(self, event: Event) -> None:
        """Votes for whatever it hears of, and says old things again."""
        super().put(event)
        if not (self.up and isinstance(event, Received)) or self.replica.me is None:
            return
        if self._tells("replay", 0.02) and self._old:
            kind, raw = self.random.choice(self._old)
            self.network.send(self, self.random.choice(self.others()), "consensus", raw, kind)
        if self._tells("junk", 0.02):
            raw = self.random.randbytes(self.random.randrange(200))
            self.network.send(self, self.random.choice(self.others()), "consensus", raw)
        if self._tells("flood", 0.004):
            self._flood(self.random.choice(self.others()))
        self._vote_for_all(event.raw)

    def _flood(self, to: str) -> None:
        """As much as a line carries: well signed, of heights, views and eras near and far."""
        random, replica = self.random, self.replica
        assert replica.me is not None
        for _ in range(_FLOOD):
            view = replica.view + random.choice((0, 0, 1, 2, 50, 2**40))
            if random.random() < 0.1:
                fields = complain_fields(replica.era, view, replica.me)
                self.tell(Signed.COMPLAIN, fields, "flood", to)
                continue
            era = replica.era + random.choice((0, 0, 0, 1))
            height = max(1, replica.height + random.randrange(-1, 12))
            fields = vote_fields(era, view, height, random.choice(self._hashes), replica.me)
            self.tell(random.choice(_VOTES), fields, (), to)

    def _vote_for_all(self, raw: bytes) -> None:
        try:
            message = open_message(raw)
        except Malformed:
            return
        if message.kind not in (Signed.PRE_PREPARE, *_VOTES):
            return
        value = decode(message.fields, bytes_max=FRAME_BYTES_MAX)
        assert type(value) is tuple
        era, view, height, block_hash = value[:4]
        assert type(era) is int and type(view) is int and type(height) is int
        assert type(block_hash) is bytes and self.replica.me is not None
        if block_hash not in self._hashes:
            self._hashes.append(block_hash)
        if era == self.replica.era and self._tells("eager", 0.3):
            fields = vote_fields(era, view, height, block_hash, self.replica.me)
            for to in self.others():
                if self.random.random() < 0.5:
                    self.tell(self.random.choice(_VOTES), fields, (), to)

    # Speaking

    def say(self, effect: Say) -> None:
        """Bends what its core wants said."""
        self.network.checks.on_say(self, effect)
        tail = effect.tail
        if effect.inner:
            tail = tuple(self.sign(Signed.PRE_PREPARE, f) for f in effect.inner)
        raw = encode_message(
            effect.kind, effect.fields, self.sign(effect.kind, effect.fields), tail
        )
        self._old.append((effect.kind, raw))
        if effect.to is None:
            self.inbox.append(Received(self.name, raw))
        for to in self.others() if effect.to is None else [self.member_name(effect.to)]:
            self._say_to(effect, raw, tail, to)

    def _say_to(self, effect: Say, raw: bytes, tail: Value, to: str) -> None:
        if "silent" in self.lies and self._tells("silent", 1.0):
            return
        if self._tells("withhold", 0.4):
            return
        bent = self._bend(effect, tail)
        if bent is not None:
            self.tell(effect.kind, *bent, to)
            if self.random.random() < 0.5:
                return
        if self._tells("slow", 0.8):
            life = self.life
            self.world.after(
                700, lambda: life == self.life and self.network.send(self, to, "consensus", raw)
            )
            return
        self.network.send(self, to, "consensus", raw, effect.kind)

    def _bend(self, effect: Say, tail: Value) -> tuple[bytes, Value] | None:
        """Other fields (and tail) than the core's, or None."""
        kind, fields = effect.kind, effect.fields
        if kind is Signed.PRE_PREPARE and self._second is not None and self._tells("equivocate"):
            return self._second[1], self._second[2]
        if kind in _VOTES and self._tells("double vote"):
            value = decode(fields, bytes_max=FRAME_BYTES_MAX)
            assert type(value) is tuple
            return encode((*value[:3], self.random.choice(self._hashes), value[4])), ()
        if kind is Signed.VIEW_CHANGE:
            return self._bend_change(fields)
        if kind is Signed.NEW_VIEW and self._tells("wrong choice"):
            return self._bend_new_view(fields)
        if kind is Signed.COMPLAIN and self._tells("huge"):
            assert self.replica.me is not None
            view = self.random.choice((2**63 - 1, 2**40, self.replica.view + 1))
            return complain_fields(self.replica.era, view, self.replica.me), ""
        if kind is Signed.STATUS and self._tells("status"):
            return self._bend_numbers(fields, (1, 3)), tail
        if self._tells("mutate", 0.2):
            return self._bend_numbers(fields, (0, 1, 2)), tail
        return None

    def _bend_numbers(self, fields: bytes, places: tuple[int, ...]) -> bytes:
        value = decode(fields, bytes_max=FRAME_BYTES_MAX)
        assert type(value) is tuple
        items = list(value)
        place = self.random.choice(places)
        if place < len(items) and type(items[place]) is int:
            bent = items[place] + self.random.choice((-1, 1, 2, 1_000, 2**62))
            items[place] = min(max(0, bent), 2**63 - 1)
        return encode(tuple(items))

    def _bend_change(self, fields: bytes) -> tuple[bytes, Value] | None:
        change = open_view_change(fields)
        if self._tells("huge"):
            return view_change_fields(change._replace(view=2**40)), ()
        if not self._tells("hide"):
            return None
        return view_change_fields(self._hide(change)), ()

    def _hide(self, change: ViewChange) -> ViewChange:
        if self.random.random() < 0.4:
            return change._replace(prepared=())
        blocks = self.ledger.blocks
        if self.random.random() < 0.5 or len(blocks) < 2:
            return change._replace(height=0, hash=self.random.randbytes(32), certificate=None)
        stored = self.random.choice(blocks[max(1, len(blocks) - 3) :])
        return change._replace(
            height=stored.header.height, hash=stored.hash, certificate=stored.certificate
        )

    def _bend_new_view(self, fields: bytes) -> tuple[bytes, Value]:
        value = decode(fields, bytes_max=FRAME_BYTES_MAX)
        assert type(value) is tuple
        era, view, changes, headers = value
        assert type(era) is int and type(view) is int
        assert type(changes) is tuple and type(headers) is tuple
        bent_changes, bent_headers = changes, headers
        match self.random.choice(("no choice", "fewer", "twice", "own")):
            case "no choice":
                bent_headers = ()
            case "fewer":
                bent_changes = changes[1:]
            case "twice":
                bent_changes = (*changes[:-1], changes[0])
            case "own" if self._second is not None:
                bent_headers = (self._second[2][0],)  # type: ignore[index]
        tail = []
        for raw in bent_headers:
            height = decode(raw, bytes_max=FRAME_BYTES_MAX)[3]  # type: ignore[index,arg-type]
            name = header_hash_of(raw)  # type: ignore[arg-type]
            proposal = pre_prepare_fields(era, view, height, name)  # type: ignore[arg-type]
            tail.append(self.sign(Signed.PRE_PREPARE, proposal))
        return new_view_fields(era, view, bent_changes, bent_headers), tuple(tail)  # type: ignore[arg-type]

    # Proposing

    def _build(self, effect: BuildBlock) -> None:
        if self._tells("invalid") and effect.parent == self.ledger.head.hash:
            _, block = self.ledger.build(list(self.mempool.values())[:4], self.now().wall_ms)
            bad = Block(block.header._replace(state_root=self.random.randbytes(32)), block.txs)
            name = hash_header(bad.header)
            fields = pre_prepare_fields(self.replica.era, effect.view, effect.height, name)
            hashes = tuple(signed_hash_of(tx) for tx in bad.txs)
            for to in self.others():
                self.tell(Signed.PRE_PREPARE, fields, (encode(bad.header), hashes), to)
        super()._build(effect)

    def built(self, effect: BuildBlock, block_hash: bytes, block: Block) -> BlockBuilt:
        """Also makes the block that it will show to some."""
        txs = list(block.txs[1:]) or self.filler()
        other_hash, other = self.ledger.build(txs, block.header.timestamp_ms + 1)
        self.ledger.check(encode_block(other))
        fields = pre_prepare_fields(self.replica.era, effect.view, effect.height, other_hash)
        hashes = tuple(signed_hash_of(tx) for tx in other.txs)
        self._second = (other_hash, fields, (encode(other.header), hashes))
        return super().built(effect, block_hash, block)

    def filler(self) -> list[bytes]:
        """What stands in the other block where the first had one transaction at most."""
        return [b"only for some"]

    # Blocks and disks

    def lie_about_blocks(self, blocks: list[Stored]) -> list[Stored]:
        """Blocks that were never decided, or certificates that prove nothing."""
        if not blocks or not self._tells("false blocks"):
            return blocks
        number = self.random.randrange(len(blocks))
        stored = blocks[number]
        certificate = stored.certificate
        if certificate is None:
            return blocks
        if self.random.random() < 0.5:
            signatures = (self.random.randbytes(64), *certificate.signatures[1:])
            bad = stored._replace(certificate=certificate._replace(signatures=signatures))
        else:
            block = open_block(stored.body)
            header = block.header._replace(timestamp_ms=block.header.timestamp_ms + 1)
            name = hash_header(header)
            bad = Stored(
                header,
                name,
                encode_block(Block(header, block.txs)),
                certificate._replace(hash=name),
            )
        return [*blocks[:number], bad, *blocks[number + 1 :]]

    def start(self) -> None:
        """Perhaps with an old copy of the whole disk, journal and all."""
        if self.life and self._copies and self._tells("old copy"):
            self.disk.journal, self.disk.blocks = self.random.choice(self._copies)
            self.disk.blocks = list(self.disk.blocks)
        self._copies = [*self._copies[-3:], self.disk.copy()]
        super().start()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Demote) and self.random.random() < 0.5:
            self.replica._core.demoted = None  # it does not mind
            return
        super()._do(effect)
