"""A small chain in memory for tests: a genesis, its people, and blocks executed on drafts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mgsnode.base.block import Receipt
from mgsnode.base.codec import Value, encode
from mgsnode.base.errors import Rejected
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis, GenesisAccount, GenesisGateway, Network
from mgsnode.base.hashing import address_of, digest
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, Transaction, open_transaction, sign_transaction
from state.context import CLOCK, Context, family_ms, pause_of
from state.draft import Draft
from state.execute import BlockRun, Outcome, apply_genesis
from state.registry import Registry, standard_registry
from state.tx.accounts import ACCOUNT, HAS_LINKS, KEYS_EVER, KeysEver, account_of, next_nonce
from state.tx.gateways import close_era

DOLLAR = 1_000_000
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
FEE_MAX = 10 * DOLLAR


class Nothing:
    """The state before the genesis: no rows."""

    def get(self, _table: Any, _key: Any) -> None:
        return None

    def load(self, _table: Any, _state_key: bytes) -> None:
        return None

    def items(self, _table: Any, _prefix: bytes = b"", *, start: bytes = b"") -> Iterator[Any]:
        return iter(())

    def scan(self, _table: Any, _low: bytes, _high: bytes | None) -> Iterator[Any]:
        return iter(())


class Person:
    """Somebody with a key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = SigningKey(digest(b"mgs/test", name.encode()))
        self.address = address_of(self.key.public_key)


def people(*names: str) -> list[Person]:
    return [Person(name) for name in names]


def make_genesis(
    *,
    gateways: int = 4,
    funded: Sequence[Person] = (),
    dollars: int = 10_000 * DOLLAR,
    network: Network = "dev",
    params: dict[str, int] | None = None,
    cap: int = 10_000_000 * DOLLAR,
    arbiters: Sequence[Person] = (),
    bond: int = 0,
    attested: int | None = None,
) -> Genesis:
    """A genesis with gateways g0…, their operators `op0`…, and funded holders.

    Of each further role three are listed, `attestor0`, `carrier0`, `moderator0`, `officer0` …
    """
    operators = people(*[f"op{index}" for index in range(gateways)])
    return Genesis(
        version=1,
        chain_id="test",
        network=network,
        time_ms=START_MS,
        gateways=tuple(
            GenesisGateway(
                name=f"g{index}",
                country="GB",
                currencies=("GBP", "USD"),
                owner_hash=digest(b"mgs/test", b"owner%d" % index),
                operator=operator.address,
                vote_key=Person(f"vote{index}").key.public_key,
                transport_certificate=b"certificate",
                endpoint=f"127.0.0.1:{2600 + index}",
                bond=bond,
                cap=cap,
                attested=cap if attested is None else attested,
            )
            for index, operator in enumerate(operators)
        ),
        accounts=tuple(
            GenesisAccount(person.name, person.address, dollars, "g0", 0)
            for person in [*funded, *operators]
        ),
        arbiters=tuple(person.address for person in arbiters),
        attestors=addresses("attestor"),
        carriers=addresses("carrier"),
        moderators=addresses("moderator"),
        officers=addresses("officer"),
        token=tuple((name, 100_000_000 * DOLLAR) for name in TOKEN_PURPOSES),
        params=tuple(sorted((params or {}).items())),
    )


def addresses(role: str) -> tuple[bytes, ...]:
    """Of three people with a role."""
    return tuple(person.address for person in people(*(f"{role}{i}" for i in range(3))))


class World:
    """A chain of drafts without a store. `block` executes one and moves the time."""

    def __init__(self, genesis: Genesis, registry: Registry | None = None) -> None:
        self.genesis = genesis
        self.registry = registry or standard_registry()
        self.draft = Draft(Nothing())  # one draft for the whole history: it only grows
        apply_genesis(self.registry, self.draft, genesis)
        self.height = 0
        self.era = 0
        self.validators = genesis.validators()  # of the next height
        self.time_ms = genesis.time_ms
        self.outcome: Outcome | None = None
        self.shared: Counter[str] = Counter()  # of the fee pool, by gateway, so far

    def tx(
        self,
        sender: Person,
        kind: str,
        /,
        *fields: Value,
        also: Sequence[Person] = (),
        payer: Person | None = None,
        lane: int = 0,
        nonce: int | None = None,
        **over: Any,
    ) -> Transaction:
        """A signed transaction, its nonce the next one unless given."""
        if nonce is None:
            nonce = next_nonce(account_of(self.draft, sender.address), lane)
        given = Body(
            chain=self.genesis.hash,
            sender=sender.address,
            lane=lane,
            nonce=nonce,
            valid_until=self.time_ms + 3_600_000,
            fee_max=FEE_MAX,
            payer=payer.address if payer else b"",
            kind=kind,
            fields=tuple(fields),
        )._replace(**over)
        keys = {person.name: person.key for person in [sender, *also, *([payer] if payer else [])]}
        return open_transaction(sign_transaction(given, list(keys.values())), self.genesis.hash)

    def block(self, *txs: Transaction, after_ms: int = 1) -> list[Receipt]:
        """Execute a block `after_ms` later; the receipts of its transactions, then due work's.

        `Rejected` for one that may not stand in a block: the block is made without it and the rest.
        """
        run = BlockRun(
            self.registry,
            self.draft,
            height=self.height + 1,
            time_ms=self.time_ms + after_ms,
            parent_root=root_of(self.height),
        )
        unfit: Rejected | None = None
        for tx in txs:
            self.registry.kinds[tx.body.kind].fields.check(tx.body.fields)
            try:
                run.apply(tx)
            except Rejected as refusal:
                unfit = refusal
                break
        self.outcome = run.finish()
        self.height += 1
        validators = close_era(self.draft, self.validators, era=self.era, height=self.height)
        if validators != self.validators:
            self.era += 1
            self.validators = validators
        self.time_ms += after_ms
        for receipt in self.outcome.receipts:
            for event in receipt.events:
                if event.name == "fees_shared":
                    self.shared[event.values[0]] += event.values[1]
        if unfit is not None:
            raise unfit
        return list(self.outcome.receipts)

    def do(self, sender: Person, kind: str, /, *fields: Value, **how: Any) -> Receipt:
        """One transaction in a block of its own."""
        return self.block(self.tx(sender, kind, *fields, **how))[0]

    def pass_ms(self, live_ms: int) -> list[Receipt]:
        """Let so much live time pass in empty blocks of a minute at most; due receipts."""
        receipts: list[Receipt] = []
        while live_ms > 0:
            step = min(live_ms, 60_000)
            receipts += self.block(after_ms=step)
            live_ms -= step
        return receipts

    def now(self, family: int) -> int:
        """What the family's clock shows."""
        clock = self.draft.get(CLOCK, b"")
        assert clock is not None
        return family_ms(pause_of(self.draft, family), clock.live_ms)

    def dollars(self, person: Person) -> int:
        return account_of(self.draft, person.address).dollar

    def broken_laws(self) -> list[str]:
        """What the families' laws say is wrong."""
        return [
            f"{family.name}/{law.name}: {law.check(self.draft)}"
            for family in self.registry.families
            for law in family.laws
            if law.check(self.draft) is not None
        ]

    def rows(self) -> dict[bytes, bytes | None]:
        """The whole state as bytes."""
        return dict(self.draft.changes())


@contextmanager
def in_block(w: World, *, after_ms: int = 1, times: int = 1, due: bool = True) -> Iterator[Context]:
    """The context of a block of its own, for what other families call; the last of `times`
    blocks of `after_ms`. Without `due`, deadlines pass and nothing is done about them.
    """
    for _ in range(times):
        w.height += 1
        w.time_ms += after_ms
        run = BlockRun(w.registry, w.draft, height=w.height, time_ms=w.time_ms, due=due)
    run._ctx.open(digest(b"mgs/test", b"block %d" % w.height), b"")
    yield run._ctx
    run.finish()
    for event in run._ctx.events:
        w.registry.events[event.name].values.check(event.values)


def had_keys(w: World, who: Person, *hashes: bytes) -> None:
    """As if the account had had keys with these hashes beside its first one."""
    w.draft.put(KEYS_EVER, who.address, KeysEver(tuple(sorted(hashes))))
    account = account_of(w.draft, who.address)
    w.draft.put(ACCOUNT, who.address, account._replace(flags=account.flags | HAS_LINKS))


def root_of(height: int) -> bytes:
    """What stands in for the state root of a height: this world has no trie."""
    return digest(b"mgs/test-root", b"%d" % height)


def reason(world: World, receipt: Receipt) -> str:
    """The name of a receipt's code, "" if it went well."""
    return world.registry.refusal_name(receipt.code)


def h(text: str) -> bytes:
    """A hash for a reference."""
    return digest(b"mgs/test", text.encode())


def size_of(value: Value) -> int:
    return len(encode(value))
