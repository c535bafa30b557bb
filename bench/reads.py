"""Reads over a large state: leaders, a shop's figures, a distributor's, the trial balance.

The rows are written straight into a store, as a million reviews and a million accounts would have
left them (the rows that a read could walk over by mistake: reviews, their words and lists, what
buyers bought through whom, the ranking of a period). One shop has half of all reviews, so a read
that counts would show. Then each method is asked a few hundred times through its own code, with a
fresh view each and its answer as JSON; the wire and the queue are not in the figures.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from bench.execute import _Bench
from bench.transfer import percentile_ms
from mgsnode.base.address import address_text
from mgsnode.base.hashing import digest
from rpc.dispatch import Context, Method
from rpc.methods import orders, referral, reserves, reviews
from state.ledger import Ledger
from state.lists import LIST_PREFIX
from state.table import Table
from state.tx.accounts import ACCOUNT, Account
from state.tx.bindings import PARTNER, Partner
from state.tx.growth import GROWTH, REGULAR, Growth, Regular
from state.tx.opinions import AUTHOR, REVIEW, WORDS, Author, Review, Words
from state.tx.periods import period_of
from state.tx.ratings import RATING, Rating
from state.tx.referral import JOINED_BY
from state.tx.reviewing import OF_SHOP
from state.tx.shops import FIGURES, SHOP, Shop, ShopFigures
from state.tx.votes import HEARD, LEADER, Heard, Leader
from state.view import View

_HRP = "tmgs"
_DOLLAR = 1_000_000
_BATCH = 20_000
_LIST_NUMBER = b"%b%c%c%b"
_METHODS = {m.name: m for f in (orders, referral, reserves, reviews) for m in f.METHODS}


class _Sizes(NamedTuple):
    accounts: int
    reviews: int
    shops: int  # the first has half of the reviews
    authors: int  # all of them in the ranking
    sellers: int  # distributors


def _id(what: str, index: int) -> bytes:
    return digest(b"mgs/bench/read", what.encode() + index.to_bytes(8, "big"))


def _row(table: Table[Any, Any], key: Any, record: Any) -> tuple[bytes, bytes]:
    return table.state_key(key), table.encode_record(record)


def _list(number: int, owner: bytes, place: int, object_id: bytes) -> tuple[bytes, bytes]:
    head = _LIST_NUMBER % (LIST_PREFIX, number, len(owner), owner)
    return head + place.to_bytes(8, "big") + bytes(4), object_id


def _rows(sizes: _Sizes, period: int) -> Iterator[tuple[bytes, bytes]]:
    """Every row, in no order of keys."""
    for i in range(sizes.accounts):
        yield _row(ACCOUNT, _id("account", i), Account(1_000, 0, (), (), 1, 0))
    for i in range(sizes.shops):
        shop, count = _id("shop", i), _reviews_of(sizes, i)
        day = 86_400_000
        terms = (day, 30 * day, 30 * day, 1_000, 1_000, _id("arbiter", 0), ())
        yield _row(SHOP, shop, Shop(_id("owner", i), f"shop {i}", "g0", 1, *terms))
        figures = ShopFigures(count, 0, count, count, count * _DOLLAR, 0, 0, 0, 0, 0, 0)
        yield _row(FIGURES, shop, figures)
        stars = (0, 0, 0, count, 0)
        yield _row(RATING, shop, Rating(count * _DOLLAR, 4 * count * _DOLLAR, count, stars, 0, 0))
    for i in range(sizes.reviews):
        yield from _review_rows(sizes, i)
    for i in range(sizes.authors):
        voice, author = _id("voice", i)[0] * 1_000 + i, _id("author", i)
        yield _row(AUTHOR, author, Author(sizes.reviews // sizes.authors, 3, 5, 0, 1, 1, ()))
        yield _row(HEARD, (period, author), Heard(voice, 3, ()))
        yield _row(LEADER, ((period, 2**63 - voice), author), Leader())
    for i in range(sizes.sellers):
        seller, shop = _id("seller", i), _id("shop", i % sizes.shops)
        yield _row(GROWTH, seller, Growth(1, 9_000, 700, 10**12, 0, 900, 70, 10**11, 10**11, 0))
        yield _row(PARTNER, (seller, shop), Partner(1, (), False, 0, 9, 0, 9, 0))
        yield _list(JOINED_BY, seller, i, shop)


def _reviews_of(sizes: _Sizes, shop: int) -> int:
    half = sizes.reviews // 2
    return half if shop == 0 else half // (sizes.shops - 1)


def _review_rows(sizes: _Sizes, i: int) -> Iterator[tuple[bytes, bytes]]:
    review, author = _id("review", i), _id("author", i % sizes.authors)
    shop = _id("shop", 0 if i % 2 else 1 + i // 2 % (sizes.shops - 1))
    seller = _id("seller", 0 if i % 2 else i % sizes.sellers)
    row = Review(author, _id("order", i), 0, shop, 4, 0, "bought", False, "home", _DOLLAR, _DOLLAR,
                 10_000, 1, 0, 0, 5, 0, 3)  # fmt: skip
    yield _row(REVIEW, review, row)
    yield _row(WORDS, review, Words("It does what it says, and it came in time.", (), ""))
    yield _row(REGULAR, (seller, _id("buyer", i)), Regular(_DOLLAR))
    yield _list(OF_SHOP, shop, i, review)


def _fill(ledger: Ledger, sizes: _Sizes) -> int:
    """Write them; how many rows."""
    with ledger.view() as view:
        period = period_of(view.reader).number
    rows, count = _rows(sizes, period), 0
    while True:
        with ledger._store.batch(sync=False) as batch:
            for _ in range(_BATCH):
                row = next(rows, None)
                if row is None:
                    return count
                batch.put(*row)
                count += 1


class _Api:
    """What these methods ask of a node: a view of the ledger and the addresses' prefix."""

    hrp = _HRP

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def view(self) -> View:
        """The head, frozen."""
        return self._ledger.view()


def _calls(sizes: _Sizes, place: int) -> dict[str, dict[str, object]]:
    """One call of each method; the large shop and the large distributor every other time."""
    shop = _id("shop", place // 2 % sizes.shops if place % 2 else 0).hex()
    seller = _id("seller", place // 2 % sizes.sellers if place % 2 else 0)
    return {
        "leader_list": {"limit": 100},
        "shop_get": {"shop": shop},
        "rating_get": {"shop": shop},
        "distributor_get": {"distributor": address_text(seller, _HRP)},
        "review_list": {"shop": shop, "limit": 20},
        "trial_balance": {},
        "trial_balance of a gateway": {"gateway": "g1"},
        "trial_balance with proof": {"gateway": "g1", "proof": True},
    }


async def _measure(ledger: Ledger, sizes: _Sizes, rounds: int) -> list[dict[str, object]]:
    context = Context(cast(Any, _Api(ledger)), {}, None, lambda: 10_000, asyncio.Semaphore(1))
    times: dict[str, list[tuple[float, float]]] = {}
    for place in range(rounds):
        for name, asked in _calls(sizes, place).items():
            method: Method = _METHODS[name.partition(" ")[0]]
            params = method.params.model_validate(asked, context={"hrp": _HRP})
            start, cpu = time.perf_counter(), time.process_time()
            answer = await method.run(context, params)
            orjson.dumps(answer)
            spent = time.perf_counter() - start, time.process_time() - cpu
            times.setdefault(name, []).append(spent)
    return [{"read": name, **_figures(seen)} for name, seen in times.items()]


def _figures(seen: list[tuple[float, float]]) -> dict[str, object]:
    """Wall time, which others on the machine lengthen, and CPU time of the process."""
    wall, cpu = sorted(w for w, _ in seen), sorted(c for _, c in seen)
    return {
        "p50_ms": percentile_ms(wall, 50),
        "p99_ms": percentile_ms(wall, 99),
        "cpu_p50_ms": percentile_ms(cpu, 50),
        "cpu_p99_ms": percentile_ms(cpu, 99),
    }


def run(*, count: int = 1_000_000, rounds: int = 400) -> dict[str, object]:
    """`count` accounts and as many reviews, then each read `rounds` times."""
    sizes = _Sizes(
        count, count, max(2, count // 1_000), max(100, count // 10), max(2, count // 100)
    )
    folder = Path(tempfile.mkdtemp(prefix="mgs-bench-"))
    try:
        ledger = _Bench(folder / "store", 100).ledger
        start = time.monotonic()
        rows = _fill(ledger, sizes)
        ledger._store.compact()  # as a node that has stood for a while; else it runs meanwhile
        filled_s = time.monotonic() - start
        reads = asyncio.run(_measure(ledger, sizes, rounds))
        ledger.close()
        size = sum(file.stat().st_size for file in (folder / "store").iterdir())
        return {
            **sizes._asdict(),
            "rows": rows,
            "store_mb": size >> 20,
            "fill_s": round(filled_s, 1),
            "rounds": rounds,
            "reads": reads,
        }
    finally:
        shutil.rmtree(folder)
