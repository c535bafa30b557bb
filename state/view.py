"""A view: the ledger at one height, frozen, decoded, safe to read from any thread.

It answers records as they stand and never computes what the chain does not keep. What JSON-RPC
makes of them (texts, hex) is not known here. Lists come by cursor from `state/lists.py`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from mgsnode.base.block import Header, Receipt
from mgsnode.base.errors import Rejected
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import Transaction
from state import chain
from state.context import CLOCK, PARAM, Clock, Params
from state.draft import Draft, StateReader
from state.execute import BlockRun, check_due, check_params
from state.lists import read_list
from state.proof import Proof
from state.registry import Registry
from state.store import Snapshot
from state.table import Table
from state.trie import prove, stored
from state.tx.accounts import Account, account_of, fee_of
from state.tx.gateways import ARBITER, GATEWAY, Gateway, listed
from state.tx.money import Totals, totals_of
from state.tx.orders import (
    LINES,
    ORDER,
    SHOP,
    Order,
    OrderLine,
    Shop,
)  # fmt: skip
from state.tx.payouts import REDEMPTION, Redemption
from state.tx.positions import POSITION, Position, position_of
from state.tx.sales import refunded_of, with_refunded

K = TypeVar("K")
R = TypeVar("R")


class Supply(NamedTuple):
    """The dollar in one look; micro-dollars. `positions` by gateway, in the order of names."""

    supply: int
    issued: int
    burned: int
    balances: int
    fee_pool: int
    locked: int
    escrowed: int
    positions: dict[str, int]


class ParamView(NamedTuple):
    """A parameter and its bounds on this network."""

    value: int
    lowest: int
    highest: int


class LineView(NamedTuple):
    """A line of an order and how much of it was refunded."""

    line: OrderLine
    refunded: int


class LawResult(NamedTuple):
    """One law of one family at the view's height."""

    family: str
    name: str
    ok: bool
    detail: str  # what is wrong, naming the record; "" if ok


class Simulated(NamedTuple):
    """What a transaction would do in the next block. `refusal` explains a code."""

    receipt: Receipt
    refusal: Rejected | None


class View:
    """See the module's law. A context manager: close it soon, the store waits for it."""

    def __init__(
        self,
        rows: Snapshot,
        genesis: Genesis,
        registry: Registry,
        header: Header,
        block_hash: bytes,
    ) -> None:
        """Made by `Ledger.view`; `header` and `block_hash` are the head's in `rows`."""
        self.rows = rows
        self.genesis = genesis
        self.registry = registry
        self.reader = StateReader(rows)
        self.header = header
        self.hash = block_hash

    @property
    def height(self) -> int:
        """The height it shows."""
        return self.header.height

    def close(self) -> None:
        """Let go of the snapshot."""
        self.rows.close()

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Accounts and money -------------------------------------------------------------------

    def account(self, address: bytes) -> Account:
        """The account; one never seen has nothing."""
        return account_of(self.reader, address)

    def supply(self) -> Supply:
        """The sums, as they are kept."""
        totals: Totals = totals_of(self.reader)
        positions = {name: row.position for name, row in self.reader.items(POSITION)}
        return Supply(totals.supply, *totals, positions)

    def fee(self, kind: str, size: int) -> int:
        """Today's fee of a transaction of `size` signed bytes; `KeyError` for no kind."""
        params = Params(self.reader, self.registry.defaults)
        return fee_of(params, self.registry.weight_param[kind], size)

    def params(self) -> dict[str, ParamView]:
        """Every parameter by name."""
        seen = {name: row.value for name, row in self.reader.items(PARAM)}
        network = self.genesis.network
        return {
            name: ParamView(seen.get(name, spec.default), *spec.bounds(network))
            for name, spec in sorted(self.registry.params.items())
        }

    def clock(self) -> Clock:
        """Block time and live clock at this height."""
        clock = self.reader.get(CLOCK, b"")
        assert clock is not None
        return clock

    # Gateways and redemptions -------------------------------------------------------------

    def gateways(self) -> list[tuple[str, Gateway, Position]]:
        """(name, gateway, position) of each, in the order of their places."""
        rows = [(name, row, self.position(name)) for name, row in self.reader.items(GATEWAY)]
        return sorted(rows, key=lambda row: row[1].place)

    def gateway(self, name: str) -> Gateway | None:
        """The gateway of that name."""
        return self.reader.get(GATEWAY, name)

    def position(self, name: str) -> Position:
        """A gateway's sums."""
        return position_of(self.reader, name)

    def arbiters(self) -> list[bytes]:
        """The listed arbiters' addresses, rising."""
        return listed(self.reader, ARBITER)

    def redemption(self, redemption_id: bytes) -> Redemption | None:
        """The redemption of that id."""
        return self.reader.get(REDEMPTION, redemption_id)

    # Shops and orders ---------------------------------------------------------------------

    def shop(self, shop_id: bytes) -> Shop | None:
        """The shop of that id."""
        return self.reader.get(SHOP, shop_id)

    def order(self, order_id: bytes) -> Order | None:
        """The order of that id."""
        return self.reader.get(ORDER, order_id)

    def order_lines(self, order_id: bytes) -> list[LineView]:
        """The order's lines with what was refunded of each; empty if there is no order."""
        lines = self.reader.get(LINES, order_id)
        items = lines.lines if lines else ()
        gone = refunded_of(self.reader, order_id)
        return [LineView(OrderLine._make(line), back) for line, back in with_refunded(items, gone)]

    def list_page(
        self, number: int, owner: bytes, *, after: bytes = b"", limit: int, newest: bool = False
    ) -> tuple[list[bytes], bytes]:
        """(object ids, next cursor, empty at the end) of one list; see `state/README.md`."""
        return read_list(self.rows, number, owner, after=after, limit=limit, newest=newest)

    # Proofs, simulation, laws -------------------------------------------------------------

    def prove(self, table: Table[K, Any], key: K) -> tuple[bytes, bytes | None, Proof]:
        """(state key, row or None, proof) of presence or absence under this height's root."""
        state_key = table.state_key(key)
        return state_key, self.rows.get(state_key), prove(stored(self.rows), state_key)

    def simulate(self, tx: Transaction, *, is_signed: bool = True) -> Simulated:
        """What `tx` would do in a block right after this height. Writes nothing.

        `Rejected` where it could not enter a block. Due work is left out. With `is_signed`
        false, as if everyone had signed who has to.
        """
        draft = Draft(self.reader)
        run = BlockRun(
            self.registry,
            draft,
            height=self.height + 1,
            time_ms=self.header.timestamp_ms + 1,
            parent_root=self.header.state_root,
            due=False,
        )
        receipt = run.apply(tx, is_signed=is_signed)
        return Simulated(receipt, run.refusal)


def header_at(view: View, height: int) -> Header | None:
    """The header of a height up to the view's."""
    return chain.read_header(view.rows, height)


def check_laws(view: View) -> list[LawResult]:
    """The core's laws and every family's, over the whole state; seconds for a million rows."""
    registry, reader = view.registry, view.reader
    found = [
        ("core", "params", check_params(registry, reader)),
        ("core", "due", check_due(registry, reader)),
    ]
    for family in registry.families:
        found += [(family.name, law.name, law.check(reader)) for law in family.laws]
    return [LawResult(family, name, why is None, why or "") for family, name, why in found]
