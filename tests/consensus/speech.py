"""What the script's members say: blocks by name, messages in words, certificates when needed."""

from __future__ import annotations

from consensus.effects import Say
from consensus.messages import (
    Entry,
    Signatures,
    Status,
    ViewChange,
    complain_fields,
    encode_message,
    new_view_fields,
    pre_prepare_fields,
    status_fields,
    view_change_fields,
)
from consensus.quorum import to_signatures
from mgsnode.base.block import (
    Block,
    Certificate,
    encode_block,
    hash_header,
    make_certificate,
    open_block,
    vote_fields,
)
from mgsnode.base.codec import Value, encode
from mgsnode.base.hashing import ZERO_HASH, header_hash_of, signed_hash_of
from mgsnode.base.keys import Signed, statement
from mgsnode.base.validators import ValidatorSet
from tests.sim.ledger import ERA_TX, GENESIS_MS, Chain, Stored, execute
from tests.sim.world import ToyKey


class BlockBook:
    """Blocks by the names that a script gives them."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        header = chain.block_0()
        self.blocks = {"genesis": Stored(header, hash_header(header), b"", None)}

    def add(self, name: str, parent: str, *, ends: bool, later_ms: int) -> None:
        """A block on a named one; its timestamp lies `later_ms` after the start of the script."""
        before = self.blocks[parent].header
        txs = [name.encode()] + [ERA_TX + b"%d" % (self.era_after(parent) + 1)] * ends
        stamp = max(GENESIS_MS + later_ms, before.timestamp_ms + 1) if later_ms >= 0 else 0
        header = execute(self.chain, before, txs, stamp)
        body = encode_block(Block(header, tuple(txs)))
        self.blocks[name] = Stored(header, hash_header(header), body, None)

    def name(self, block_hash: bytes) -> str:
        """The name of a hash."""
        return next((n for n, b in self.blocks.items() if b.hash == block_hash), "?")

    def name_of_header(self, header: bytes) -> str:
        """The name of encoded header bytes."""
        return self.name(header_hash_of(header))

    def at(self, height: int) -> str:
        """The first name at a height."""
        return next(n for n, b in self.blocks.items() if b.header.height == height)

    def era_after(self, name: str) -> int:
        """The era of the height above a block."""
        header = self.blocks[name].header
        return header.era + (header.next_valset_hash != header.valset_hash)

    def tx_hashes(self, name: str) -> tuple[bytes, ...]:
        """The signed hashes of its transactions."""
        return tuple(signed_hash_of(tx) for tx in open_block(self.blocks[name].body).txs)


class Speech:
    """Makes signed messages from words."""

    def __init__(self, book: BlockBook, keys: dict[str, ToyKey]) -> None:
        self.book = book
        self.keys = keys
        self.era = 0
        self.named: dict[str, tuple[bytes, bytes]] = {}  # view changes: fields, signature

    @property
    def members(self) -> ValidatorSet:
        """The era's."""
        return self.book.chain.sets[self.era]

    def index(self, name: str, era: int | None = None) -> int:
        """A member's place."""
        members = self.book.chain.sets[self.era if era is None else era].members
        return next((i for i, m in enumerate(members) if m.gateway == name), 99)

    def _sign(self, name: str, kind: Signed, fields: bytes) -> bytes:
        return self.keys[name].sign(statement(kind, self.book.chain.genesis_hash, fields))

    def sign(self, name: str, say: Say) -> bytes:
        """What the driver makes of a `Say`."""
        tail = say.tail
        if say.inner:
            tail = tuple(self._sign(name, Signed.PRE_PREPARE, fields) for fields in say.inner)
        return encode_message(say.kind, say.fields, self._sign(name, say.kind, say.fields), tail)

    def utter(self, name: str, words: list[str]) -> bytes:
        """A member's message: `KIND view block …`, or a view change's name."""
        if words[0] in self.named:
            fields, signature = self.named[words[0]]
            return encode_message(Signed.VIEW_CHANGE, fields, signature, ())
        if words[0] == "junk":
            return b"\xc1junk"
        kind = Signed[words[0].replace("-", "_")]
        era = int(words[words.index("era") + 1]) if "era" in words else self.era
        fields, tail = self._fields(name, kind, words, era)
        signature = self._sign(name, kind, fields)
        if "forged" in words:
            signature = bytes(64)
        return encode_message(kind, fields, signature, tail)

    def _fields(self, name: str, kind: Signed, words: list[str], era: int) -> tuple[bytes, Value]:
        me = self.index(name, era)
        match kind:
            case Signed.PRE_PREPARE:
                stored = self.book.blocks[words[2]]
                fields = pre_prepare_fields(era, int(words[1]), stored.header.height, stored.hash)
                shown = self.book.blocks[words[-1]] if "showing" in words else stored
                header = b"junk" if "broken" in words else encode(shown.header)
                return fields, (header, self.book.tx_hashes(words[2]))
            case Signed.PREPARE | Signed.COMMIT:
                stored = self.book.blocks[words[2]]
                height = stored.header.height
                return vote_fields(era, int(words[1]), height, stored.hash, me), ()
            case Signed.COMPLAIN:
                return complain_fields(era, int(words[1]), me), ""
            case Signed.STATUS:
                return status_fields(self._status(me, words, era)), ()
            case Signed.CHECKPOINT:
                block_hash = self.book.blocks["genesis"].hash
                return encode((era, int(words[1]), block_hash, ZERO_HASH, me)), ()
            case Signed.NEW_VIEW:
                return self._new_view(name, words)
        raise KeyError(kind)

    def _status(self, me: int, words: list[str], era: int) -> Status:
        """`STATUS view height [inactive] [holding X] [seen COMMIT 3 X]`, to `us`."""
        seen: tuple[Value, ...] = ()
        if "seen" in words:
            at = words.index("seen")
            kind = Signed[words[at + 1].replace("-", "_")]
            fields, _ = self._fields(self.us, kind, words[at + 1 :], era)
            seen = (int(kind), fields, self._sign(self.us, kind, fields))
        held = (
            self.book.blocks[words[words.index("holding") + 1]].hash if "holding" in words else b""
        )
        return Status(
            era, int(words[1]), "inactive" not in words, int(words[2]), me,
            self.index(self.us, era), held, b"", b"", seen,
        )  # fmt: skip

    us = "?"

    # Proofs

    def certificate(self, name: str, view: int, *, forged: bool = False) -> Certificate | None:
        """A quorum's COMMITs for a block, by the first members."""
        stored = self.book.blocks[name]
        header = stored.header
        if header.height == 0:
            return None
        members = self.book.chain.sets[header.era]
        votes = {
            i: self._sign(
                members.members[0 if forged else i].gateway,
                Signed.COMMIT,
                vote_fields(header.era, view, header.height, stored.hash, i),
            )
            for i in range(members.quorum)
        }
        return make_certificate(
            era=header.era, view=view, height=header.height, block_hash=stored.hash,
            votes=votes, n=members.n,
        )  # fmt: skip

    def entry(self, word: str) -> Entry:
        """`X@2`: X prepared in view 2; `X@2!` with one PREPARE too few."""
        name, _, rest = word.partition("@")
        view, short = int(rest.rstrip("!")), rest.endswith("!")
        stored = self.book.blocks[name]
        header, members = stored.header, self.members
        primary = members.primary(view)
        fields = pre_prepare_fields(self.era, view, header.height, stored.hash)
        voters = [i for i in range(members.n) if i != primary][: members.quorum - 1 - short]
        prepares = {
            i: self._sign(
                members.members[i].gateway,
                Signed.PREPARE,
                vote_fields(self.era, view, header.height, stored.hash, i),
            )
            for i in voters
        }
        signature = self._sign(members.members[primary].gateway, Signed.PRE_PREPARE, fields)
        return Entry(view, encode(header), signature, to_signatures(prepares, members.n))

    def exit(self, view: int, count: int) -> Signatures:
        """Complaints about `view` by the first `count` members."""
        return to_signatures(
            {
                i: self._sign(
                    self.members.members[i].gateway,
                    Signed.COMPLAIN,
                    complain_fields(self.era, view, i),
                )
                for i in range(count)
            },
            self.members.n,
        )

    def let(self, label: str, words: list[str]) -> None:
        """`VIEW-CHANGE 1 by C at genesis [on credit] [with X@0 …] [after 2 complaints]`."""
        view, name, at = int(words[1]), words[3], words[5]
        is_false, at = at == "false-genesis", at.removeprefix("false-")
        stored = self.book.blocks[at]
        if is_false:
            stored = stored._replace(hash=ZERO_HASH)
        with_ = words[words.index("with") + 1 :] if "with" in words else []
        if "after" in with_:
            with_ = with_[: with_.index("after")]
        complaints = int(words[words.index("after") + 1]) if "after" in words else None
        change = ViewChange(
            self.era,
            view,
            stored.header.height,
            stored.hash,
            self.certificate(at, 0, forged="credit" in words),
            self.exit(view - 1, self.members.quorum if complaints is None else complaints),
            tuple(self.entry(word) for word in with_),
            self.index(name),
        )
        fields = view_change_fields(change)
        self.named[label] = fields, self._sign(name, Signed.VIEW_CHANGE, fields)

    def _new_view(self, name: str, words: list[str]) -> tuple[bytes, Value]:
        """`NEW-VIEW 1 of a1 c1 d1 choosing X | nothing`."""
        view, at = int(words[1]), words.index("choosing")
        chosen = [self.book.blocks[word] for word in words[at + 1 :] if word != "nothing"]
        headers = [encode(stored.header) for stored in chosen]
        tail = tuple(
            self._sign(
                name,
                Signed.PRE_PREPARE,
                pre_prepare_fields(self.era, view, stored.header.height, stored.hash),
            )
            for stored in chosen
        )
        pairs = [self.named[label] for label in words[3:at]]
        return new_view_fields(self.era, view, pairs, headers), tail
