"""A chain in memory: the real state machine on rows in a dictionary, with days that pass at once.

No store, no trie, no signatures checked; blocks, fees, due work, hooks and laws are the node's own.
`leap` moves the live clock as the empty blocks of that time would have done (a minute each at
most), so that a year takes seconds; what falls due meanwhile is done in the first block after it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.unsigned import unsigned
from mgsnode.base.block import Receipt
from mgsnode.base.codec import Value
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis, GenesisAccount, GenesisGateway
from mgsnode.base.hashing import address_of, digest
from mgsnode.base.transaction import Body, Transaction
from state.context import CLOCK, Clock
from state.draft import Draft, RecordCache
from state.execute import DUE_ITEMS_MAX, LIVE_STEP_MS_MAX, BlockRun, apply_genesis
from state.registry import standard_registry
from state.tx.accounts import account_of, next_nonce

DOLLAR = 1_000_000
DAY_MS = 86_400_000
START_MS = 19_676 * DAY_MS  # a whole day: periods end where days do
_FEE_MAX = 10 * DOLLAR
_RECORDS_MAX = 4_000_000


class Person(NamedTuple):
    """Somebody with an account. Keys are never checked here, so any 32 bytes do."""

    name: str
    key: bytes
    address: bytes


def person(name: str) -> Person:
    """Always the same account for the same name."""
    key = digest(b"mgs/economy", name.encode())
    return Person(name, key, address_of(key))


class MemoryRows:
    """Rows as a store has them: by key, and in the order of their keys within each table."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: dict[bytes, list[bytes]] = {}  # table prefix -> keys, rising

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        return self._rows.get(key)

    def all(self) -> dict[bytes, bytes]:
        """Every row."""
        return dict(self._rows)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write a row, or remove it where there is no value."""
        keys = self._keys.setdefault(key[:2], [])
        if value is None:
            if self._rows.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]
            return
        if key not in self._rows:
            insort(keys, key)
        self._rows[key] = value

    def iterate(
        self,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of one table's rows from `start` on, below `stop`."""
        first = start or prefix
        assert len(first) >= 2 and not reverse, "one table, upwards: all that execution asks for"
        keys = self._keys.get(first[:2], [])
        for place in range(bisect_left(keys, first), len(keys)):
            key = keys[place]
            if stop is not None and key >= stop:
                return
            yield key, self._rows[key]


class Refused(Exception):
    """A transaction that the simulation had no reason to expect refused."""


class MemoryChain:
    """Blocks executed one after the other, each on a draft that is then taken over."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.registry = standard_registry()
        self.rows = MemoryRows()
        self.reader = RecordCache(self.rows, records_max=_RECORDS_MAX)
        self.height, self.time_ms = 0, genesis.time_ms
        self.transactions = 0
        self.refused: dict[str, int] = {}  # by name: expected refusals
        self._nonces: dict[bytes, int] = {}
        draft = Draft(self.reader)
        apply_genesis(self.registry, draft, genesis)
        self._take(draft)

    def _take(self, draft: Draft) -> None:
        for key, value in draft.changes():
            self.rows.put(key, value)
        self.reader.absorb(draft)

    def tx(
        self,
        sender: Person,
        kind: str,
        /,
        *fields: Value,
        also: Sequence[Person] = (),
        payer: Person | None = None,
    ) -> Transaction:
        """A transaction with signatures of the right length, its nonce the sender's next one."""
        nonce = self._nonces.get(sender.address)
        if nonce is None:
            nonce = next_nonce(account_of(self.reader, sender.address), 0)
        self._nonces[sender.address] = nonce + 1
        self.registry.kinds[kind].fields.check(tuple(fields))
        body = Body(
            self.genesis.hash, sender.address, 0, nonce, self.time_ms + DAY_MS // 2, _FEE_MAX,
            payer.address if payer else b"", kind, tuple(fields),
        )  # fmt: skip
        signers = {who.key for who in (sender, *also, *((payer,) if payer else ()))}
        return unsigned(body, signers)

    def block(self, txs: Sequence[Transaction] = (), *, may_fail: str = "") -> list[Receipt]:
        """One block, a millisecond later; all receipts. `Refused` unless by the name expected."""
        self.height += 1
        self.time_ms += 1
        draft = Draft(self.reader)
        run = BlockRun(self.registry, draft, height=self.height, time_ms=self.time_ms)
        for tx in txs:
            receipt = run.apply(tx)
            if receipt.code:
                name = self.registry.refusal_name(receipt.code)
                if name != may_fail:
                    raise Refused(f"{tx.body.kind}: {name} {run.refusal}")
                self.refused[name] = self.refused.get(name, 0) + 1
        receipts = list(run.finish().receipts)
        self._take(draft)
        self.transactions += len(txs)
        return receipts

    def leap(self, to_ms: int) -> list[Receipt]:
        """Let the time until `to_ms` pass; the receipts of all the work that fell due."""
        clock = self.reader.get(CLOCK, b"")
        assert clock is not None and to_ms > self.time_ms
        gap_ms = to_ms - clock.time_ms
        draft = Draft(self.reader)
        live_ms = clock.live_ms + gap_ms - min(gap_ms, LIVE_STEP_MS_MAX)
        draft.put(CLOCK, b"", Clock(clock.time_ms, live_ms, clock.due_from_ms))
        self._take(draft)
        self.time_ms = to_ms - 1
        receipts = done = self.block()
        while len(done) >= DUE_ITEMS_MAX:
            done = self.block()
            receipts = receipts + done
        return receipts

    def dollars(self, who: Person) -> int:
        """Micro-dollars in the account."""
        return account_of(self.reader, who.address).dollar

    def broken_laws(self) -> list[str]:
        """What the families' laws say is wrong."""
        return [
            f"{family.name}/{law.name}: {said}"
            for family in self.registry.families
            for law in family.laws
            if (said := law.check(self.reader)) is not None
        ]


def make_genesis(
    operators: Sequence[Person],
    funded: Mapping[Person, int],
    *,
    arbiter: Person,
    params: Mapping[str, int],
) -> Genesis:
    """A genesis with a gateway for each operator, `g0` on; whoever has dollars has `g0`'s."""
    gateways = tuple(
        GenesisGateway(
            name=f"g{index}",
            country="GB",
            currencies=("USD",),
            owner_hash=digest(b"mgs/economy", b"owner%d" % index),
            operator=who.address,
            vote_key=person(f"vote{index}").key,
            transport_certificate=b"",
            endpoint="127.0.0.1:1",
            bond=0,
            cap=10**15,
            attested=10**15,
        )
        for index, who in enumerate(operators)
    )
    accounts = tuple(
        GenesisAccount(who.name, who.address, amount, "g0", 0) for who, amount in funded.items()
    )
    return Genesis(
        version=1,
        chain_id="economy",
        network="test",
        time_ms=START_MS,
        gateways=gateways,
        accounts=accounts,
        arbiters=(arbiter.address,),
        attestors=(),
        carriers=(),
        moderators=(),
        officers=(),
        token=tuple((name, share * 10**13) for name, share in zip(
            TOKEN_PURPOSES, (40, 25, 15, 10, 10), strict=True
        )),
        params=tuple(sorted(params.items())),
    )  # fmt: skip
