"""What execution costs: microseconds of CPU for each transaction, part by part.

Blocks of 1,000 on an open ledger, senders and payees picked among 10,000 accounts; signatures
are not checked (that is `bench verify`) and the trie is left out but shown beside. `transfer`
is the hot path: `execute` holds loading and decoding the rows, the rules, receipts and indexes.
"""

from __future__ import annotations

import gc
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from bench import kinds
from bench.unsigned import unsigned
from mgsnode.base.block import receipts_root, txs_root
from mgsnode.base.codec import Value
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis, GenesisAccount, GenesisGateway
from mgsnode.base.hashing import address_of, digest
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, Transaction
from mgsnode.process import calm_collector
from state.draft import Draft
from state.execute import DUE_ITEMS_MAX, BlockRun
from state.ledger import Ledger
from state.trie import NodeCache, update
from state.tx.accounts import account_of, next_nonce

_DOLLAR = 1_000_000
_BLOCK = 1_000
_START_MS = 1_700_000_000_000
_ARBITER, _CARRIER = 6, 7  # places among the keys
_FieldsOf: TypeAlias = Callable[[int], tuple[Value, ...]]
_NOTHING: tuple[Value, ...] = ((), (), (), (), ())  # the optional fields of `order_pay`
_TIMES = ("execute", "encode", "roots", "trie")


def _key(name: str) -> bytes:
    return SigningKey(digest(b"mgs/bench", name.encode())).public_key


def _genesis(keys: Sequence[bytes]) -> Genesis:
    gateways = tuple(
        GenesisGateway(
            name=f"g{index}",
            country="GB",
            currencies=("USD",),
            owner_hash=digest(b"mgs/bench", b"%d" % index),
            operator=address_of(keys[index]),
            vote_key=_key(f"vote{index}"),
            transport_certificate=b"",
            endpoint="127.0.0.1:1",
            bond=0,
            cap=10**15,
            attested=10**15,
        )
        for index in range(4)
    )
    accounts = tuple(GenesisAccount("", address_of(key), 10_000 * _DOLLAR, "g0", 0) for key in keys)
    return Genesis(
        version=1,
        chain_id="bench",
        network="dev",
        time_ms=_START_MS,
        gateways=gateways,
        accounts=accounts,
        arbiters=(address_of(keys[_ARBITER]),),
        attestors=(),
        carriers=(address_of(keys[_CARRIER]),),
        moderators=(),
        officers=(),
        token=tuple((name, 10**14) for name in TOKEN_PURPOSES),
        params=(("redeem_deadline_ms", 30_000),),
    )


class _Bench:
    """A ledger and its people; every block is executed on a draft and thrown away."""

    def __init__(self, path: Path, accounts: int) -> None:
        # Keys are never checked here, so any 32 bytes do.
        self.keys = [digest(b"mgs/bench", b"key%d" % i) for i in range(accounts)]
        self.addresses = [address_of(key) for key in self.keys]
        self.genesis = _genesis(self.keys)
        self.ledger = Ledger.create(path, self.genesis)
        self.rng = random.Random(1)

    def tx(
        self, sender: int, nonce: int, kind: str, *fields: Value, also: tuple[int, ...] = ()
    ) -> Transaction:
        """A transaction with a signature of the right length."""
        valid_until = _START_MS + 3_600_000
        body = Body(
            self.genesis.hash, self.addresses[sender], 0, nonce, valid_until, _DOLLAR, b"", kind,
            fields,
        )  # fmt: skip
        return unsigned(body, [self.keys[who] for who in (sender, *also)])

    def block(
        self, draft: Draft, at: int, txs: Sequence[Transaction], cache: NodeCache
    ) -> dict[str, float]:
        """Execute one block on `draft`; microseconds for each transaction by part."""
        clock = time.thread_time
        t0 = clock()
        run = BlockRun(self.ledger.registry, draft, height=at, time_ms=_START_MS + at)
        for tx in txs:
            receipt = run.apply(tx)
            assert receipt.code == 0, receipt
        outcome = run.finish()
        t1 = clock()
        changes = draft.changes()
        t2 = clock()
        txs_root([tx.signed_hash for tx in txs])
        receipts_root(outcome.encoded)
        t3 = clock()
        update(cache.read, changes)
        times = (t1 - t0, t2 - t1, t3 - t2, clock() - t3)
        return {name: spent / len(txs) * 1e6 for name, spent in zip(_TIMES, times, strict=True)}


def _median(measured: list[dict[str, float]]) -> dict[str, float]:
    middle = len(measured) // 2
    names = measured[0]
    return {name: round(sorted(times[name] for times in measured)[middle], 1) for name in names}


def _transfers(bench: _Bench, blocks: int) -> dict[str, float]:
    cache = NodeCache(bench.ledger._store)
    measured = []
    for _ in range(blocks + 1):
        people = bench.rng.sample(range(len(bench.keys)), _BLOCK)
        txs = [
            bench.tx(
                who, 0, "dollar_transfer",
                ((bench.addresses[bench.rng.randrange(len(bench.keys))], _DOLLAR, ""),),
            )
            for who in people
        ]  # fmt: skip
        measured.append(bench.block(Draft(bench.ledger._reader), 1, txs, cache))
    return _median(measured[1:])  # the first one warms the trie's cache


class _Story:
    """Blocks of one kind each, measured on a draft over what has been done so far."""

    def __init__(self, bench: _Bench, count: int) -> None:
        self.bench = bench
        self.count = count
        self.cache = NodeCache(bench.ledger._store)
        self.done = Draft(bench.ledger._reader)  # an uncommitted parent
        self.out: dict[str, dict[str, float]] = {}

    def do(self, *txs: Transaction) -> list[bytes]:
        """Not measured; the txids."""
        self.bench.block(self.done, 1, txs, self.cache)
        return [tx.txid for tx in txs]

    def measure(
        self, name: str, sender: Callable[[int], int], fields: _FieldsOf, kind: str = ""
    ) -> list[Transaction]:
        """One block of so many transactions, thrown away."""
        nonces: dict[int, int] = {}
        txs = []
        for i in range(self.count):
            who = sender(i)
            account = account_of(self.done, self.bench.addresses[who])
            nonce = nonces.get(who, next_nonce(account, 0))
            nonces[who] = nonce + 1
            txs.append(self.bench.tx(who, nonce, kind or name, *fields(i)))
        spent = self.bench.block(Draft(self.done), 2, txs, self.cache)
        self.out[name] = {part: round(us, 1) for part, us in spent.items()}
        return txs


def _orders(bench: _Bench) -> dict[str, dict[str, float]]:
    """One order of 20 lines for each of a block's buyers, then what can follow."""
    story = _Story(bench, _BLOCK // 2)
    measure, do = story.measure, story.do
    day = 86_400_000
    terms = (day, 30 * day, 30 * day, 1_000, 0, bench.addresses[_ARBITER])
    shop, other = do(
        *(bench.tx(5, n, "shop_open", "shop", "g0", *terms, also=(0,)) for n in (0, 1))
    )
    lines = tuple((f"sku{i}", 2, 100_000, ()) for i in range(20))

    def buyer(i: int) -> int:
        return 10 + i

    def seller(_i: int) -> int:
        return 5

    def tea(i: int) -> tuple[Value, ...]:
        return shop, (("tea", 2, 100_000, (batches[i],)),), *_NOTHING

    def paid() -> list[bytes]:
        return do(*measure("order_pay", buyer, lambda _i: (shop, lines, *_NOTHING)))

    def said(i: int) -> tuple[Value, ...]:
        return ids[i], "ref"

    def one(i: int) -> tuple[Value, ...]:
        return (ids[i],)

    def back(i: int) -> tuple[Value, ...]:
        return ids[i], ((0, 1),), ""

    batches = do(*measure("goods_register", seller, lambda _i: (shop, "tea", "JP", 9, bytes(32))))
    measure("goods_pass", seller, lambda i: (batches[i], 4, other))
    ids = do(*measure("order_pay with a batch", buyer, tea, "order_pay"))
    measure("order_cancel with a batch", buyer, one, "order_cancel")
    measure("order_ship with a batch", seller, said, "order_ship")

    ids = paid()
    measure("order_cancel", buyer, one)
    do(*measure("order_ship", seller, said))
    measure("order_deliver", lambda _i: _CARRIER, said)
    measure("order_extend", buyer, one)
    measure("order_refund early", seller, back, "order_refund")
    do(*measure("order_complete", buyer, one))
    measure("order_refund", seller, back)
    do(*measure("order_dispute", buyer, said))
    measure("order_withdraw", buyer, one)
    measure("order_rule late", lambda _i: _ARBITER, lambda i: (ids[i], 4_000), "order_rule")

    ids = paid()
    do(*measure("order_ship", seller, said))
    do(*measure("order_dispute", buyer, said))
    measure("order_rule", lambda _i: _ARBITER, lambda i: (ids[i], 4_000))
    return story.out


def _issues(bench: _Bench) -> dict[str, dict[str, float]]:
    """One gateway issues to one holder after the other, a block full of it."""
    draft, cache = Draft(bench.ledger._reader), NodeCache(bench.ledger._store)
    issues = [
        bench.tx(
            0,
            i,
            "dollar_issue",
            bench.addresses[10 + i],
            20 * _DOLLAR,
            digest(b"mgs/bench", b"wire%d" % i),
        )
        for i in range(_BLOCK)
    ]
    return {"dollar_issue": bench.block(draft, 1, issues, cache)}


def _redemptions(bench: _Bench) -> dict[str, dict[str, float]]:
    """One redemption of each of a block's holders, claimed and confirmed, a block each."""
    cache = NodeCache(bench.ledger._store)
    draft = Draft(bench.ledger._reader)
    holders = range(10, 10 + _BLOCK)
    payout = digest(b"mgs/bench", b"payout")
    asks = [
        bench.tx(who, 0, "dollar_redeem", "g0", 20 * _DOLLAR, "USD", payout, ()) for who in holders
    ]
    steps: list[tuple[str, Callable[[int], Transaction]]] = [
        (
            "dollar_redeem_paid",
            lambda i: bench.tx(0, i, "dollar_redeem_paid", asks[i].txid, asks[i].txid, ()),
        ),
        (
            "dollar_redeem_confirm",
            lambda i: bench.tx(10 + i, 1, "dollar_redeem_confirm", asks[i].txid),
        ),
    ]
    made = [(name, [make(i) for i in range(len(asks))]) for name, make in steps]
    out: dict[str, dict[str, float]] = {}
    for at, (name, txs) in enumerate([("dollar_redeem", asks), *made], start=1):
        layer = Draft(draft)  # as a block on an uncommitted parent
        out[name] = {k: round(v, 1) for k, v in bench.block(layer, at, txs, cache).items()}
        draft = layer
    return out


def _referrals(bench: _Bench) -> dict[str, dict[str, float]]:
    """Distributors join, buyers are bound and pay one line each; then all of it becomes final.

    `order_final` is due work, 500 items of it in one block, with commission, growth and level-2.
    """
    cache = NodeCache(bench.ledger._store)
    draft = Draft(bench.ledger._reader)
    arbiter = bench.addresses[_ARBITER]
    hour, minute = 3_600_000, 60_000
    count = 500  # of each; below what due work does in one block
    terms = (hour, minute, 20_000, 1_000, 1_000, arbiter)
    opened = bench.tx(5, 0, "shop_open", "shop", "g0", *terms, also=(0,))
    shop = opened.txid
    bench.block(draft, 1, [opened], cache)
    people, buyers = range(10, 10 + count), range(1_000, 1_000 + count)
    of = bench.addresses
    items = tuple((shop, f"sku{i}") for i in range(10))
    pays = [
        bench.tx(who, 1, "order_pay", shop, (("sku", 1, 10 * _DOLLAR, ()),), *_NOTHING)
        for who in buyers
    ]
    made: list[tuple[str, list[Transaction]]] = [
        ("refer_join", [bench.tx(who, 0, "refer_join", shop, ()) for who in people]),
        (
            "refer_agree",
            [
                bench.tx(who, 1, "refer_agree", shop, arbiter, 2_000, 14 * 24 * hour, also=(5,))
                for who in people
            ],
        ),
        ("refer_cut", [bench.tx(5, 1 + i, "refer_cut", shop, of[10 + i], 5) for i in range(count)]),
        (
            "refer_storefront",
            [bench.tx(who, 2, "refer_storefront", "front", items, ()) for who in people],
        ),
        ("refer_bind", [bench.tx(b, 0, "refer_bind", of[b - 990], shop) for b in buyers]),
        ("order_pay, referred", pays),
        (
            "refer_terms",
            [
                bench.tx(5, 1 + count + i, "refer_terms", shop, 24 * hour, (1,), (), ())
                for i in range(count)
            ],
        ),
        (
            "order_ship, referred",
            [bench.tx(5, 1 + 2 * count + i, "order_ship", pays[i].txid, "") for i in range(count)],
        ),
        (
            "order_complete, referred",
            [bench.tx(buyers[i], 2, "order_complete", pays[i].txid) for i in range(count)],
        ),
    ]
    out: dict[str, dict[str, float]] = {}
    for at, (name, txs) in enumerate(made, start=2):
        layer = Draft(draft)  # as a block on an uncommitted parent; once more for what follows
        out[name] = {k: round(v, 1) for k, v in bench.block(layer, at, txs, cache).items()}
        bench.block(draft, at, txs, cache)
    last = Draft(draft)
    before = time.thread_time()
    outcome = BlockRun(bench.ledger.registry, last, height=99, time_ms=_START_MS + 30_000).finish()
    executed = time.thread_time()
    last.changes()
    encoded = time.thread_time()
    assert len(outcome.receipts) == count
    spent = {"execute": executed - before, "encode": encoded - executed}
    out["order_final, referred"] = {k: round(v / count * 1e6, 1) for k, v in spent.items()}
    return out


def _expiries(bench: _Bench) -> dict[str, float]:
    """Milliseconds of CPU of a block that does as much due work as fits: missed deadlines."""
    draft = Draft(bench.ledger._reader)
    payout = digest(b"mgs/bench", b"payout")
    asks = [
        bench.tx(who, 0, "dollar_redeem", "g0", 20 * _DOLLAR, "USD", payout, ())
        for who in range(10, 10 + _BLOCK)
    ]
    bench.block(draft, 1, asks, NodeCache(bench.ledger._store))
    layer = Draft(draft)
    t0 = time.thread_time()
    run = BlockRun(bench.ledger.registry, layer, height=2, time_ms=_START_MS + 59_000)
    outcome = run.finish()
    t1 = time.thread_time()
    assert len(outcome.receipts) == DUE_ITEMS_MAX
    update(NodeCache(bench.ledger._store).read, layer.changes())
    return {
        "items": len(outcome.receipts),
        "execute_ms": round((t1 - t0) * 1e3, 1),
        "encode_trie_ms": round((time.thread_time() - t1) * 1e3, 1),
    }


def _in_turn(bench: _Bench, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """(medians, ratios) of the dollar's kinds: a block of each in turn, so that whatever else the
    machine does makes all dearer. A ratio is the median over rounds, execution and encoding, to a
    transfer of the same round.
    """
    blocks = [
        {"dollar_transfer": _transfers(bench, 1), **_issues(bench), **_redemptions(bench)}
        for _ in range(rounds)
    ]
    spent = [
        {kind: times["execute"] + times["encode"] for kind, times in block.items()}
        for block in blocks
    ]
    ratios = {
        kind: round(statistics.median(one[kind] / one["dollar_transfer"] for one in spent), 2)
        for kind in blocks[0]
    }
    return {kind: _median([block[kind] for block in blocks]) for kind in blocks[0]}, ratios


@contextmanager
def _collector_of_a_node() -> Iterator[None]:
    """Garbage is collected as in a node, not by walks over all records again and again."""
    thresholds = gc.get_threshold()
    calm_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def _each(
    bench: _Bench, measure: Callable[[_Bench], dict[str, dict[str, float]]], times: int
) -> dict[str, dict[str, float]]:
    """The medians of `times` rounds, kind by kind: the first one loads what it touches."""
    rounds = [measure(bench) for _ in range(times)]
    return {kind: _median([one[kind] for one in rounds]) for kind in rounds[0]}


def run(*, quick: bool = False) -> dict[str, object]:
    """Median microseconds of CPU for each transaction, by kind and part."""
    with _collector_of_a_node():
        return _run(quick=quick)


def _run(*, quick: bool) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="mgs-bench-"))
    try:
        bench = _Bench(folder / "store", 2_000 if quick else 10_000)
        dollar, ratios = _in_turn(bench, 9 if quick else 15)
        transfer = dollar["dollar_transfer"]
        without_trie = round(sum(transfer[name] for name in ("execute", "encode", "roots")), 1)
        result: dict[str, object] = {
            "accounts": len(bench.keys),
            "block_txs": _BLOCK,
            "transfer_us": without_trie,
            "us_per_tx": {**dollar, **_each(bench, _orders, 3), **_each(bench, _referrals, 3)},
            "ratio_in_blocks": ratios,
            "expiries_of_a_block": _expiries(bench),
            "alone": kinds.run(quick=quick),
        }  # fmt: skip
        bench.ledger.close()
        return result
    finally:
        shutil.rmtree(folder)
