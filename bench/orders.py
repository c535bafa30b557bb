"""Orders with referral and review through four real nodes: what each kind costs in the network.

Shops open, distributors join, buyers are bound; then every buyer pays its orders, the shops
ship them, the buyers complete them, write a review of each line and vote on another's. Kind
after kind, each from quiet to quiet: all CPU that the four validators use, over the
transactions of the kind (voting, writing and networking are in it), and the ratio to transfers
sent in the same way just before. The last stage are transfers to accounts that are not there
yet, in the state that has grown by then: what a kind costs over those is its own, the rest is
the state's size. `in_checks` is the same in signature checks as they cost meanwhile (0: a stage
too short for one): where others use the machine it compares better than microseconds do. At the
end the nodes stop and one's store is opened: every order must stand completed with its sale,
its review and its vote, and the bytes that the state has grown by are divided by orders. Then
its chain is executed again until every order is final, an hour later (`replay.py`): `execution`
is what the kinds cost the state machine alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bench import replay
from bench.load import Load, Plan
from bench.network import account_names, network, spent_by_all
from bench.transfer import BACKLOG_TXS, SATURATION_BATCH, idle_s, percentile_ms
from bench.wallets import Request, batch_body
from mgsnode.base.codec import encode
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import address_of, digest, txid_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, seal, tx_statement
from mgsnode.devnet import ARBITER, MICRO, dev_address, dev_key
from mgsnode.home import Home
from mgsnode.localnet import Localnet
from state.registry import standard_registry
from state.store import Store
from state.table import STATE_PREFIX
from state.tx.commissions import SALE
from state.tx.opinions import REVIEW
from state.tx.orders import COMPLETED, ORDER
from state.tx.votes import VOTE

_LIFETIME_MS = 12 * 3_600_000
_STAGE_S = 3_600.0  # of one kind at most
_PRICE = MICRO
_HOUR_MS = 3_600_000
_TERMS = (_HOUR_MS, _HOUR_MS, _HOUR_MS, 1_000, 500)  # ship, complete, return; holdback, share
_TEXT = "It does what it says, and it came in time."
_NOTHING: tuple[Any, ...] = ((), (), (), (), ())  # the optional fields of `order_pay`


NEWCOMERS = "dollar_transfer, to new accounts"  # in the state as it is by then


class _Tx(NamedTuple):
    node: int
    raw: bytes
    txid: bytes


class _People:
    """Accounts by number: owners first, then distributors, then buyers. Each sends through one
    node, so that its nonces arrive in order.
    """

    def __init__(self, genesis: Genesis, count: int) -> None:
        self.chain = genesis.hash
        self.keys: list[SigningKey] = [dev_key(name) for name in account_names(count)]
        self.addresses = [address_of(key.public_key) for key in self.keys]
        self._nonces = [0] * count
        self._nodes = len(genesis.gateways)

    def sign(self, who: int, kind: str, *fields: Any, also: Sequence[SigningKey] = ()) -> _Tx:
        """The account's next transaction."""
        body = encode(
            Body(
                self.chain, self.addresses[who], 0, self._nonces[who],
                time.time_ns() // 1_000_000 + _LIFETIME_MS, MICRO, b"", kind, fields,
            )
        )  # fmt: skip
        self._nonces[who] += 1
        message = tx_statement(self.chain, body)
        raw = seal(body, [(key.public_key, key.sign(message)) for key in (self.keys[who], *also)])
        return _Tx(who % self._nodes, raw, txid_of(body))


class _Town:
    """Who buys what from whom, kind by kind."""

    def __init__(self, genesis: Genesis, orders: int, buyers: int) -> None:
        self.shops = max(4, buyers // 10)
        self.sellers = self.shops
        self.buyers = buyers
        self.orders = orders
        self.people = _People(genesis, self.accounts(buyers))
        self._gateway = genesis.gateways[0].name
        self._shops: list[bytes] = []
        self._orders: list[bytes] = []
        self._reviews: list[bytes] = []

    @staticmethod
    def accounts(buyers: int) -> int:
        """How many accounts such a town has."""
        return 2 * max(4, buyers // 10) + buyers

    def stages(self) -> list[tuple[str, Callable[[], list[_Tx]]]]:
        """Each kind with what makes its transactions; a stage needs the ids of those before."""
        return [
            ("dollar_transfer", self._transfers), ("shop_open", self._open),
            ("refer_join", self._join), ("refer_bind", self._bind), ("order_pay", self._pay),
            ("order_ship", self._ship), ("order_complete", self._complete),
            ("review_write", self._review), ("review_vote", self._vote),
            (NEWCOMERS, self._newcomers),
        ]  # fmt: skip

    def _buyer(self, index: int) -> int:
        return self.shops + self.sellers + index % self.buyers

    def _shop_of(self, index: int) -> int:
        return index % self.buyers % self.shops

    def _transfers(self) -> list[_Tx]:
        to = self.people.addresses
        return [
            self.people.sign(
                self._buyer(i), "dollar_transfer", ((to[self._buyer(i + 1)], 1, "invoice 1"),)
            )
            for i in range(self.orders)
        ]

    def _newcomers(self) -> list[_Tx]:
        return [
            self.people.sign(
                self._buyer(i), "dollar_transfer", ((digest(b"mgs/bench", order), 1, ""),)
            )
            for i, order in enumerate(self._orders)
        ]

    def _open(self) -> list[_Tx]:
        operator = dev_key(self._gateway)
        txs = [
            self.people.sign(
                i, "shop_open", f"shop {i}", self._gateway, *_TERMS, dev_address(ARBITER),
                also=(operator,),
            )
            for i in range(self.shops)
        ]  # fmt: skip
        self._shops = [tx.txid for tx in txs]
        return txs

    def _join(self) -> list[_Tx]:
        return [
            self.people.sign(self.shops + i, "refer_join", self._shops[i], ())
            for i in range(self.sellers)
        ]

    def _bind(self) -> list[_Tx]:
        of = self.people.addresses
        return [
            self.people.sign(
                self._buyer(i), "refer_bind", of[self.shops + self._shop_of(i)],
                self._shops[self._shop_of(i)],
            )
            for i in range(self.buyers)
        ]  # fmt: skip

    def _pay(self) -> list[_Tx]:
        line = (("sku-1", 1, _PRICE, ()),)
        txs = [
            self.people.sign(
                self._buyer(i), "order_pay", self._shops[self._shop_of(i)], line, *_NOTHING
            )
            for i in range(self.orders)
        ]
        self._orders = [tx.txid for tx in txs]
        return txs

    def _ship(self) -> list[_Tx]:
        return [
            self.people.sign(self._shop_of(i), "order_ship", order, f"track {i}")
            for i, order in enumerate(self._orders)
        ]

    def _complete(self) -> list[_Tx]:
        return [
            self.people.sign(self._buyer(i), "order_complete", order)
            for i, order in enumerate(self._orders)
        ]

    def _review(self) -> list[_Tx]:
        more = ((), (), (), ())
        txs = [
            self.people.sign(
                self._buyer(i), "review_write", order, 0, 1 + i % 5, _TEXT, "none", *more
            )
            for i, order in enumerate(self._orders)
        ]
        self._reviews = [tx.txid for tx in txs]
        return txs

    def _vote(self) -> list[_Tx]:
        return [
            self.people.sign(self._buyer(i + 1), "review_vote", review, True)
            for i, review in enumerate(self._reviews)
        ]


def _requests(txs: Sequence[_Tx], nodes: int) -> Iterator[Request]:
    """Batches of one node each, in the order of the transactions."""
    for node in range(nodes):
        own = [tx for tx in txs if tx.node == node]
        for low in range(0, len(own), SATURATION_BATCH):
            part = own[low : low + SATURATION_BATCH]
            body = batch_body([tx.raw for tx in part])
            yield Request(node, body, tuple(tx.txid.hex() for tx in part))


def _stage(net: Localnet, kind: str, txs: list[_Tx]) -> dict[str, object]:
    """One kind from quiet to quiet."""
    urls = tuple(node.rpc for node in net.nodes)
    requests = tuple(_requests(txs, len(urls)))
    load = Load(Plan(urls, requests, every_s=0.0, backlog=BACKLOG_TXS, seconds=_STAGE_S))
    before, idle, start = spent_by_all(net), idle_s(), time.monotonic()
    load.run()
    wall_s, idle = time.monotonic() - start, idle_s() - idle
    after = spent_by_all(net)
    outcome = load.outcome()
    if outcome.refused or outcome.committed != len(txs):
        raise RuntimeError(f"{kind}: {outcome.refused} refused, {outcome.committed} committed")
    cpu_s = sum(b.cpu_s - a.cpu_s for a, b in zip(before, after, strict=True))
    cpu_us = cpu_s / outcome.committed * 1e6
    return {
        "kind": kind,
        "committed": outcome.committed,
        "tx_per_s": round(outcome.committed / outcome.wall_s, 1),
        "cpu_us_per_tx": round(cpu_us),
        "in_checks": round(cpu_us / outcome.check_us, 1) if outcome.check_us else 0.0,
        "signed_bytes": round(sum(len(tx.raw) for tx in txs) / len(txs)),
        "finality_ms_p50": percentile_ms(outcome.latencies_s, 50),
        "cores_used_by_nodes": round(cpu_s / wall_s, 2),
        "cores_idle": round(idle / wall_s, 2),
    }


def _state_bytes(net: Localnet) -> dict[str, int]:
    """Keys and values of each table in the first node's store; the node stands still."""
    tables = {t.number: t.name for f in standard_registry().families for t in f.tables}
    found: dict[str, int] = {}
    with Store.open(Home(net.nodes[0].home).store) as store:
        for key, value in store.iterate(prefix=STATE_PREFIX):
            name = tables.get(key[1], "core")
            found[name] = found.get(name, 0) + len(key) + len(value)
    return found


def _check(net: Localnet, orders: int) -> None:
    """Everything happened: a transaction that is in a block may still have been refused."""
    with Store.open(Home(net.nodes[0].home).store) as store:
        for table in (ORDER, SALE, REVIEW, VOTE):
            count = sum(1 for _ in store.iterate(prefix=table.prefix))
            if count != orders:
                raise RuntimeError(f"{count} rows in {table.name}, not {orders}")
        for _, raw in store.iterate(prefix=ORDER.prefix):
            if ORDER.decode_record(raw).status != COMPLETED:
                raise RuntimeError("an order is not completed")


def run(*, count: int = 100_000, buyers: int = 0) -> dict[str, object]:
    """`count` orders of as many buyers (0: one for 20 orders)."""
    buyers = buyers or max(40, count // 20)
    start = time.monotonic()
    with network(_Town.accounts(buyers)) as net:
        town = _Town(net.genesis, count, buyers)
        rows = [_stage(net, kind, make()) for kind, make in town.stages()]
        ratios = _with_ratio(rows)
        for node in net.nodes:
            net.stop_node(node.place)
        _check(net, count)
        state = _state_bytes(net)
        executed = replay.replay(net.nodes[0].home, net.genesis, NEWCOMERS)
        store = sum(f.stat().st_size for f in Home(net.nodes[0].home).store.iterdir())
    grown = {name: size for name, size in sorted(state.items()) if size >= count}
    return {
        "orders": count, "buyers": buyers, "shops": town.shops,
        "wall_s": round(time.monotonic() - start),
        "kinds": ratios,
        **executed,
        "state_bytes_per_order": round(sum(grown.values()) / count),
        "state_bytes_per_order_by_table": {n: round(s / count, 1) for n, s in grown.items()},
        "store_bytes_per_order": round(store / count),
    }  # fmt: skip


def _with_ratio(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """With the ratio to the transfers."""
    base = float(str(rows[0]["cpu_us_per_tx"]))
    return [{**row, "ratio": round(float(str(row["cpu_us_per_tx"])) / base, 2)} for row in rows]
