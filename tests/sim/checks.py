"""What must hold after every step, judged from outside and by other means than the code's own.

Quorums come from a table, certificates are verified from their bytes, blocks are executed
again. Only honest identities are held to the rules; a `Broken` names the rule that was broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from consensus.effects import Evidence, Say
from consensus.events import Event
from consensus.journal import Joined, Left, Made, Record, Voted
from consensus.messages import NewView, open_message, open_view_change
from mgsnode.base.block import Header, open_block
from mgsnode.base.codec import decode, encode
from mgsnode.base.hashing import header_hash_of, signed_hash_of
from mgsnode.base.keys import Signed
from mgsnode.base.limits import FRAME_BYTES_MAX
from tests.sim.ledger import Stored

if TYPE_CHECKING:
    from tests.sim.network import Network
    from tests.sim.node import SimNode

# From docs: n -> quorum. Written out, so that a wrong formula is not repeated here.
QUORUM = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 8: 6, 9: 6, 10: 7, 11: 8, 12: 8}
_VOTES = (Signed.PRE_PREPARE, Signed.PREPARE, Signed.COMMIT)


class Broken(AssertionError):
    """A rule that must hold did not."""


class Checks:
    """Watches one run."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.seen: Counter[str] = Counter()
        self._steps = 0
        self.blocks: list[Stored] = []  # the one chain, by height
        self.evidence: list[Evidence] = []  # the latest
        self._hashes: dict[bytes, list[bytes]] = {}
        self._votes: dict[tuple[str, int, int, int, int], bytes] = {}
        self._left: dict[tuple[str, int], int] = {}
        self._fields: dict[tuple[str, Signed, int, int], bytes] = {}
        self._durable: dict[int, set[tuple[object, ...]]] = {}
        self._marks: dict[int, tuple[int, int]] = {}
        self._heights: dict[int, int] = {}
        self._commits: dict[tuple[int, int, int, bytes], set[str]] = {}
        self._locks: dict[tuple[int, int], tuple[int, bytes]] = {}

    def must(self, holds: bool, rule: str, *facts: object) -> None:
        """Raises `Broken` unless the rule holds."""
        if not holds:
            at = self.network.world.now_ms
            raise Broken(f"{rule} at {at} ms: {', '.join(map(str, facts))}")

    # A node's life

    def on_start(self, node: SimNode) -> None:
        """A machine came up: what is durable is what its journal says."""
        self.seen["starts"] += 1
        self._durable[node.number] = set()
        for record in node.guard.recorded:
            self._note_durable(node, record)
        mark = (node.replica.era, node.replica.view)
        # A chain restored from an older copy may be in an older era: there it only follows.
        if node.honest and node.ledger.height >= self._heights.get(node.number, 0):
            last = self._marks.get(node.number, (0, 0))
            self.must(mark >= last, "view and era never go back", node.name, last, mark)

    def on_step(self, node: SimNode, event: Event, before: tuple[int, int]) -> None:
        """A replica made a step."""
        replica = node.replica
        mark = (replica.era, replica.view)
        self.network.world.note(node.number, type(event).__name__, *mark, replica.height)
        if mark != before:
            self.seen["views entered"] += mark[0] == before[0]
            self.must(mark > before, "view and era never go back", node.name, before, mark)
        self._steps += 1
        if self._steps % 8 == 0:
            self._check_memory(node)

    def _check_memory(self, node: SimNode) -> None:
        replica = node.replica
        sizes = replica.sizes()
        n = replica.members.n
        caps = {
            "proposals": 2,
            "tallies": 64 * n + 64,
            "bodies": 64,
            "early": 64 * (2 * n + 2),
            "complaints": n,
            "checkpoints": 5,
        }
        for name, cap in caps.items():
            self.must(sizes[name] <= cap, "memory is bounded", node.name, name, sizes[name])

    # What is remembered and said

    def on_persist(self, node: SimNode, records: Sequence[Record]) -> None:
        """Records are on disk."""
        for record in records:
            self._note_durable(node, record)
            match record:
                case Left():
                    self.seen["view changes"] += 1
                    mark = (record.era, record.view)
                    self._marks[node.number] = max(mark, self._marks.get(node.number, mark))
                case Made():
                    self.seen["new views"] += 1
                case Joined():
                    self.seen["new views joined"] += 1
                    self.seen["new views joined with a carried proposal"] += bool(record.headers)
                case Voted() if node.honest:
                    self._on_vote(
                        node, record.kind, record.era, record.view, record.height, record.hash
                    )

    def _note_durable(self, node: SimNode, record: Record) -> None:
        durable = self._durable[node.number]
        match record:
            case Voted():
                durable.add((record.kind, record.era, record.view, record.height, record.hash))
            case Left():
                durable.add((Signed.VIEW_CHANGE, record.fields))
            case Made():
                durable.add((Signed.NEW_VIEW, record.fields))

    def on_say(self, node: SimNode, say: Say) -> None:
        """An honest machine is about to sign."""
        self.seen[say.kind.name] += 1
        self.network.world.note(node.number, say.kind.name, say.fields, say.to)
        if not node.honest:
            return
        durable = self._durable[node.number]
        if say.kind in _VOTES:
            value = decode(say.fields, bytes_max=FRAME_BYTES_MAX)
            assert type(value) is tuple
            place = (int(say.kind), *value[:4])
            self.must(place in durable, "remember, then speak", node.name, place[:4])
            self._on_vote(node, *place)  # type: ignore[arg-type]
        elif say.kind in (Signed.VIEW_CHANGE, Signed.NEW_VIEW):
            remembered = (say.kind, say.fields) in durable
            self.must(remembered, "remember, then speak", node.name, say.kind.name)
            self._on_departure(node, say)

    def _on_vote(
        self, node: SimNode, kind: int, era: int, view: int, height: int, block_hash: bytes
    ) -> None:
        place = (node.name, kind, era, view, height)
        first = self._votes.setdefault(place, block_hash)
        self.must(first == block_hash, "never two hashes for one place", *place)
        left = self._left.get((node.name, era), 0)
        self.must(view >= left, "nothing below the view that was promised", *place, left)
        lock = self._locks.get((era, height))
        if lock is not None and view > lock[0]:
            self.must(lock[1] == block_hash, "what may be decided is not displaced", *place, lock)
        if kind == Signed.COMMIT:
            self._on_commit(node, era, view, height, block_hash)

    def _on_commit(
        self, node: SimNode, era: int, view: int, height: int, block_hash: bytes
    ) -> None:
        voters = self._commits.setdefault((era, view, height, block_hash), set())
        voters.add(node.name)
        members = {m.gateway for m in self.network.chain.sets[era].members}
        liars = len(members & self.network.liars)
        if len(voters) >= QUORUM[len(members)] - liars:
            self._locks.setdefault((era, height), (view, block_hash))

    def _on_departure(self, node: SimNode, say: Say) -> None:
        """VIEW-CHANGE and NEW-VIEW are said in the same bytes for ever."""
        if say.kind is Signed.VIEW_CHANGE:
            change = open_view_change(say.fields)
            era, view = change.era, change.view
            key = (node.name, era)
            self._left[key] = max(view, self._left.get(key, 0))
        else:
            value = decode(say.fields, bytes_max=FRAME_BYTES_MAX)
            assert type(value) is tuple
            era, view = value[0], value[1]  # type: ignore[assignment]
            self._check_choice(say.fields)
        place = (node.name, say.kind, era, view)
        first = self._fields.setdefault(place, say.fields)
        self.must(first == say.fields, "the same bytes for ever", *place)

    def _check_choice(self, fields: bytes) -> None:
        """An oracle's choice: the entry of the highest view above the highest decided height."""
        raw = encode((int(Signed.NEW_VIEW), fields, bytes(64), _tail(fields)))
        content = open_message(raw).content
        assert isinstance(content, NewView)
        changes = [open_view_change(f) for f, _ in content.view_changes]
        base = max(change.height for change in changes)
        entries = [e for change in changes for e in change.prepared if _height(e.header) > base]
        best = max(entries, key=lambda e: e.view, default=None)
        want = () if best is None else (best.header,)
        self.must(content.headers == want, "the choice is the oracle's", content.view)

    # What is decided

    def on_decided(self, node: SimNode, stored: Stored) -> None:
        """A block was made durable."""
        header = stored.header
        self.must(header.height == node.ledger.height, "heights come in order", node.name)
        if not node.honest:
            return
        self.network.world.note("decided", node.number, header.height, stored.hash)
        if header.height > len(self.blocks):
            self.blocks.append(stored)
            self._check_block(stored)
        high = self._heights.get(node.number, 0)
        self._heights[node.number] = max(high, header.height)
        known = self.blocks[header.height - 1]
        self.must(known.hash == stored.hash, "agreement", node.name, header.height)
        self._check_certificate(stored)

    def _check_block(self, stored: Stored) -> None:
        height = stored.header.height
        self.must(height == len(self.blocks), "no height is skipped", height)
        parent = self.blocks[-2].header if height > 1 else self.network.chain.block_0()
        block = open_block(stored.body)
        again = self.network.chain.execute(parent, block)
        self.must(again == stored.header == block.header, "blocks are valid", height)
        self.must(header_hash_of(encode(block.header)) == stored.hash, "blocks are named", height)
        self.must(block.header.timestamp_ms > parent.timestamp_ms, "time goes on", height)
        self.network.chain.commit(stored)
        self.seen["heights"] += 1
        self.seen["eras"] += _ends_era(stored.header)
        self.seen["transactions"] += len(block.txs)

    def _check_certificate(self, stored: Stored) -> None:
        certificate, header = stored.certificate, stored.header
        assert certificate is not None
        members = self.network.chain.sets[header.era].members
        signers = [i for i in range(len(members)) if certificate.bitmap[i // 8] >> i % 8 & 1]
        good = len(signers) >= QUORUM[len(members)] == QUORUM[len(members)]
        for index, signature in zip(signers, certificate.signatures, strict=True):
            fields = encode((header.era, certificate.view, header.height, stored.hash, index))
            said = b"MGS/1\x04" + header.genesis_hash + fields
            good = good and self.network.verify(members[index].public_key, said, signature)
        self.must(good, "certificates prove decisions", header.height, signers)

    def tx_hashes(self, stored: Stored) -> list[bytes]:
        """The signed hashes of a block's transactions; counts them as decided."""
        if stored.hash not in self._hashes:
            txs = open_block(stored.body).txs
            self._hashes[stored.hash] = [signed_hash_of(tx) for tx in txs]
            for tx in txs:
                self.network.decided_txs[tx] = stored.header.height
        return self._hashes[stored.hash]

    # What is told of others

    def on_evidence(self, node: SimNode, evidence: Evidence) -> None:
        """A replica says that a member voted twice."""
        self.seen[f"evidence {evidence.kind.name}"] += 1
        self.evidence = [*self.evidence[-7:], evidence]
        if not node.honest:
            return
        member = node.replica.members.members[evidence.member]
        self.must(member.gateway in self.network.liars, "evidence names liars only", member.gateway)
        for fields, signature in (evidence.first, evidence.second):
            said = b"MGS/1" + bytes([evidence.kind]) + self.network.chain.genesis_hash + fields
            good = self.network.verify(member.public_key, said, signature)
            self.must(good, "evidence is signed", evidence.kind.name)
        self.must(evidence.first[0] != evidence.second[0], "evidence differs", member.gateway)

    def on_demote(self, node: SimNode, why: str) -> None:
        """A replica votes no more: an old copy or a twin of it is about."""
        self.seen["demotions"] += 1
        self.must(not node.honest, "no honest node demotes itself", node.name, why)

    def on_corrupt(self, node: SimNode) -> None:
        """A journal was refused when its machine started."""
        self.seen["corrupt journals"] += 1
        self.must(not node.honest, "a journal that no bit rot touched is read again", node.name)

    def on_halt(self, node: SimNode, why: str) -> None:
        """A replica saw more than f faults."""
        self.seen["halts"] += 1
        self.must(not node.honest, "no honest node halts", node.name, why)


def _tail(fields: bytes) -> tuple[bytes, ...]:
    value = decode(fields, bytes_max=FRAME_BYTES_MAX)
    assert type(value) is tuple and type(value[3]) is tuple
    return tuple(bytes(64) for _ in value[3])


def _height(header: bytes) -> int:
    value = decode(header, bytes_max=FRAME_BYTES_MAX)
    assert type(value) is tuple and type(value[3]) is int
    return value[3]


def _ends_era(header: Header) -> bool:
    return header.next_valset_hash != header.valset_hash
