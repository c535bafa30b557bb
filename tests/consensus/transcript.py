"""Transcripts: one real replica, and a script that plays all others and its driver.

    members ABCD, we are B          who is there (an era's set; `then ABCE` gives the next era's)
    block X on genesis              a block of the next height; `ends the era` makes it a barrier
    let c1 = VIEW-CHANGE 1 by C at genesis with X@0
    A says PRE-PREPARE 0 X          kind, view, block
    checked X | refused X | no body of X | built X | nothing built | advanced X
    fires progress [stale] | waits 500 | work | fetching on | restarts [on X] | rewrites
    -> say PREPARE 0 X              what the replica must want, all of it and in this order
    = view 1, not active            what must be so

What it says to all comes back to it at once, as the driver does it. Timers, statuses and log
entries are left out of the comparison; everything else that is not announced by `->` is a
failure. Signatures are real in the simulator's sense: only a member's key makes them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from consensus import effects as fx
from consensus import events as ev
from consensus.core import Config, Head
from consensus.journal import (
    FORMAT,
    Joined,
    Left,
    Made,
    Opened,
    Record,
    Voted,
    encode_record,
    live_records,
    read_journal,
    recover,
)
from consensus.messages import (
    Complain,
    ViewChange,
    entry_of,
    open_message,
    open_view_change,
)
from consensus.replica import Replica
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.keys import Signed
from mgsnode.base.limits import FRAME_BYTES_MAX
from mgsnode.base.validators import Validator, ValidatorSet
from tests.consensus.speech import BlockBook, Speech
from tests.sim.ledger import GENESIS_MS, Chain
from tests.sim.world import ToyKey, verify_toy

_MONO_MS = 1_000_000
_HEARD_MAX = 100  # wishes after one line


class Transcript:
    """Runs the lines of one file."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.tokens: dict[str, int] = {}
        self.timers: dict[str, int] = {}
        self.heard: list[str] = []  # what the replica wanted since the last line, not yet expected
        self.journal: list[Record] = []

    def run(self, text: str) -> None:
        """All lines; raises AssertionError with the line's number."""
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.split("#")[0].strip()
            if not line:
                continue
            try:
                if line.startswith("->"):
                    self._expect(line[2:].strip())
                else:
                    assert not self.heard, f"not announced: {self.heard}"
                    self._do(line)
            except (AssertionError, KeyError, IndexError, Malformed) as error:
                raise AssertionError(f"line {number}: {raw.strip()}\n{error!r}") from error
        assert not self.heard, f"at the end, not announced: {self.heard}"

    def _expect(self, want: str) -> None:
        assert self.heard, f"wanted: {want}; heard nothing more"
        got = self.heard.pop(0)
        assert got == want, f"wanted: {want}\n   heard: {got}\n    then: {self.heard}"

    # Lines

    def _do(self, line: str) -> None:
        words = line.split()
        if words[1:2] == ["says"]:
            for name in words[0]:
                self._step(ev.Received(name, self.speech.utter(name, words[2:])))
            return
        if words[1:3] == ["passes", "on"]:  # passes on what another signed
            raw = self.speech.utter(words[3], words[5:])
            self._step(ev.Received(words[0], raw))
            return
        handler = getattr(self, f"_line_{words[0]}", None)
        if words[0] == "=":
            handler = self._line_is
        assert handler is not None, "an unknown line"
        handler(words)

    def _line_members(self, words: list[str]) -> None:
        sets = [words[1].rstrip(",")]
        sets += [words[i + 1].rstrip(",") for i, word in enumerate(words) if word == "then"]
        me = words[words.index("are") + 1].rstrip(",")
        names = sorted(set("".join(sets)))
        self.keys = {name: ToyKey(name) for name in names}
        self.chain = Chain(
            tuple(
                ValidatorSet([Validator(name, self.keys[name].public_key) for name in members])
                for members in sets
            )
        )
        self.book = BlockBook(self.chain)
        self.me = me
        self.speech = Speech(self.book, self.keys)
        self.speech.us = me
        self.journal = [Opened(FORMAT, self.chain.genesis_hash, self.keys[me].public_key)]
        self._begin("genesis")

    def _begin(self, head: str) -> None:
        raw = b"".join(encode_record(seq, record) for seq, record in enumerate(self.journal))
        stored = self.book.blocks[head]
        era = self.book.era_after(head)
        self.replica = Replica(
            Config(self.chain.genesis_hash, self.keys[self.me].public_key, 1_000),
            head=Head(
                stored.header, stored.hash, self.speech.certificate(head, 0), self._now().mono_ms
            ),
            era=era,
            members=self.chain.sets[era],
            before=self.chain.sets[era - 1] if era else None,
            recovered=recover(read_journal(raw).records),
            verify=verify_toy,
        )
        self.speech.era = era
        self.tokens.clear()
        self._step(ev.Start())

    def _line_block(self, words: list[str]) -> None:
        later = int(words[words.index("after") + 1]) if "after" in words else 1
        self.book.add(words[1], words[3], ends="ends" in words, later_ms=later)

    def _line_let(self, words: list[str]) -> None:
        self.speech.let(words[1], words[3:])

    def _line_checked(self, words: list[str]) -> None:
        stored = self.book.blocks[words[1]]
        self._step(ev.BlockChecked(stored.hash, None, stored.body))

    def _line_refused(self, words: list[str]) -> None:
        self._step(ev.BlockChecked(self.book.blocks[words[1]].hash, "wrong root", b""))

    def _line_no(self, words: list[str]) -> None:
        self._step(ev.BodyMissing(self.book.blocks[words[3]].hash))

    def _line_built(self, words: list[str]) -> None:
        stored = self.book.blocks[words[1]]
        self._step(
            ev.BlockBuilt(
                self.replica.view, stored.header.height, stored.hash,
                encode(stored.header), stored.body, self.book.tx_hashes(words[1]),
            )
        )  # fmt: skip

    def _line_nothing(self, _words: list[str]) -> None:
        self._step(ev.NothingBuilt(self.replica.view, self.replica.height + 1))

    def _line_advanced(self, words: list[str]) -> None:
        stored = self.book.blocks[words[1]]
        era = self.book.era_after(words[1])
        certificate = self.speech.certificate(words[1], 0)
        assert certificate is not None
        self.speech.era = era
        self._step(ev.Advanced(stored.header, stored.hash, certificate, self.chain.sets[era]))

    def _line_fires(self, words: list[str]) -> None:
        token = self.tokens[words[1]] - (words[2:] == ["stale"])
        self._step(ev.TimerFired(words[1], token))

    def _line_waits(self, words: list[str]) -> None:
        self.now_ms += int(words[1])

    def _line_work(self, _words: list[str]) -> None:
        self._step(ev.Work(True))

    def _line_fetching(self, words: list[str]) -> None:
        self._step(ev.Fetching(words[1] == "on"))

    def _line_stalled(self, words: list[str]) -> None:
        self._step(ev.Stalled("disk" if words[1] == "on" else ""))

    def _line_censored(self, _words: list[str]) -> None:
        self._step(ev.Censored())

    def _line_restarts(self, words: list[str]) -> None:
        self._begin(words[2] if len(words) > 2 else self.book.at(self.replica.height))

    def _line_rewrites(self, _words: list[str]) -> None:
        """The journal begins a new segment."""
        self.journal = list(live_records(recover(self.journal), decided=self.replica.height))

    def _line_is(self, words: list[str]) -> None:
        for part in " ".join(words[1:]).split(", "):
            name, _, value = part.rpartition(" ")
            match name:
                case "view" | "height" | "era" | "stable":
                    assert getattr(self.replica, name) == int(value), getattr(self.replica, name)
                case "timeout":
                    assert self.timers["progress"] == int(value), self.timers["progress"]
                case "not":
                    assert not getattr(self.replica, value)
                case "":
                    assert getattr(self.replica, value)
                case _:
                    raise AssertionError(f"cannot ask whether {part}")

    # The replica

    def _now(self) -> ev.Now:
        return ev.Now(_MONO_MS + self.now_ms, GENESIS_MS + self.now_ms)

    def _step(self, event: ev.Event) -> None:
        """One event and all that follows from it; its own words come back after its effects."""
        inbox = deque([event])
        while inbox:
            assert len(self.heard) < _HEARD_MAX, "it never ends"
            for effect in self.replica.step(inbox.popleft(), self._now()):
                match effect:
                    case fx.Persist():
                        self.journal.extend(effect.records)
                        self.heard.extend(self._remembered(effect.records))
                    case fx.SetTimer():
                        self.tokens[effect.name] = effect.token
                        self.timers[effect.name] = effect.after_ms
                    case fx.Say():
                        raw = self.speech.sign(self.me, effect)
                        to = "" if effect.to is None else f" to {self.name_of(effect.to)}"
                        if effect.kind is not Signed.STATUS:
                            self.heard.append(f"say {self._named(raw)}{to}")
                        if effect.to is None:
                            inbox.append(ev.Received(self.me, raw))
                    case fx.Entered():
                        pass
                    case fx.Dropped() if effect.sender == self.me:
                        pass  # our own words about a view that we have entered or left since
                    case _:
                        self.heard.append(self._wanted(effect))

    def name_of(self, index: int) -> str:
        """A member's name."""
        return self.replica.members.members[index].gateway

    def _named(self, raw: bytes) -> str:
        """A message in words."""
        message = open_message(raw)
        kind, content = message.kind.name.replace("_", "-"), message.content
        match content:
            case ViewChange():
                return f"{kind} {content.view}" + self._change_in_words(content)
            case Complain():
                return f"{kind} {content.view}: {content.reason}"
            case _ if message.kind is Signed.NEW_VIEW:
                return f"{kind} {content.view}" + self._chosen(content.headers)  # type: ignore[union-attr]
            case _ if message.kind is Signed.CHECKPOINT:
                return f"{kind} {content.height}"  # type: ignore[union-attr]
        return f"{kind} {content.view} {self.book.name(content.hash)}"  # type: ignore[union-attr]

    def _change_in_words(self, change: ViewChange) -> str:
        carried = [f"{self.book.name_of_header(e.header)}@{e.view}" for e in change.prepared]
        return f" at {self.book.name(change.hash)}" + (f" with {' '.join(carried)}" * bool(carried))

    def _chosen(self, headers: tuple[bytes, ...]) -> str:
        return f" choosing {' '.join(map(self.book.name_of_header, headers)) or 'nothing'}"

    def _remembered(self, records: tuple[Record, ...]) -> Iterator[str]:
        for record in records:
            match record:
                case Voted():
                    kind = Signed(record.kind).name.replace("_", "-")
                    yield f"remember {kind} {record.view} {self.book.name(record.hash)}"
                    if record.kind == Signed.COMMIT:
                        entry_of(decode(record.proof, bytes_max=FRAME_BYTES_MAX))
                case Left():
                    change = open_view_change(record.fields)
                    yield f"remember VIEW-CHANGE {record.view}{self._change_in_words(change)}"
                case Made():
                    yield f"remember NEW-VIEW {record.view}"
                case Joined():
                    yield f"enter {record.view} base {record.base}{self._chosen(record.headers)}"

    def _wanted(self, effect: fx.Effect) -> str:
        match effect:
            case fx.BuildBlock():
                return f"build {effect.height}" + " or an empty one" * effect.empty
            case fx.CheckBlock():
                asked = "".join(map(self.name_of, effect.sources))
                return f"check {self.book.name(effect.hash)} from {asked}"
            case fx.Decide():
                signers = "".join(map(self.name_of, effect.certificate.indices()))
                name, view = self.book.name(effect.hash), effect.certificate.view
                return f"decide {name} in {view} by {signers}"
            case fx.Behind():
                return f"behind {effect.height} of {self.name_of(effect.source)}"
            case fx.SendBlock():
                return f"send block {effect.height} to {self.name_of(effect.to)}"
            case fx.Evidence():
                kind = effect.kind.name.replace("_", "-")
                return f"evidence {kind} by {self.name_of(effect.member)}"
            case fx.Dropped():
                kind = re.sub("_", "-", effect.message)
                return f"drop {kind} of {effect.sender}: {effect.why}"
        return type(effect).__name__.lower()
