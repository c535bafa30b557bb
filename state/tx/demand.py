"""Demand: what buyers say they would buy, and how much of it is open. Of the community family.

Law: the figures of a demand are the sums of its backings, the open figures of each category and
scene the sums of its demands; whatever changes a backing changes them in the same movement
(`move_backing`).

A backing is *open* while nobody serves it, *pledged* once its buyer has paid an order that names
the demand, and over when that order is completed, when the demand expires or when the backer
withdraws what is open. Open demand counts the quantity of backers who have a final order: who never
bought anything can say anything. Each backer's row shows how much of what it backed it has kept.

No dollar moves here: deposits stand in `backings.py`, what orders serve in `pledges.py`, what shops
answer in `offers.py`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context
from state.draft import Reader
from state.table import Table, bytes_key, pair_key, text_key
from state.tx.orders import ORDER

COMMUNITY: Final = 7  # the family's number
UNKNOWN_DEMAND: Final = (701, "UNKNOWN_DEMAND")
DEMAND_EXPIRED: Final = (702, "DEMAND_EXPIRED")

DEPOSIT: Final = 1  # purpose of a backing's hold
QUANTITY_MAX: Final = 1_000_000_000
DAY_MS: Final = 24 * 3_600_000
ALL_SCENES: Final = ""  # the row of a whole category


class Demand(NamedTuple):
    """What is wanted, under the txid that posted it. Quantities are units."""

    poster: bytes
    category: str
    scene: str
    description: bytes  # hash of it
    price: int  # micro-dollars a unit that backers would pay
    deposit_bp: int  # as it was when posted
    due_ms: int  # on the family's clock: when it expires
    posted_ms: int
    open: int  # backed and not served
    counted: int  # of that, by accounts with a final order
    pledged: int  # paid for, not completed
    fulfilled: int
    backers: int  # who have ever backed it
    offers: int


class Backing(NamedTuple):
    """One account's part in a demand, under the txid that backed. It ends with the demand."""

    demand: bytes
    backer: bytes
    quantity: int
    open: int
    pledged: int
    deposit: int  # for the whole quantity; what is held follows from open and pledged
    counted: bool
    due_ms: int  # the demand's; 0 once it is over

    @property
    def left(self) -> int:
        """Units that the held deposit stands for."""
        return self.open + self.pledged

    @property
    def held(self) -> int:
        """The deposit for what is left."""
        return self.deposit * self.left // self.quantity


class Backer(NamedTuple):
    """An account's record as a backer. `open`: ids of backings that are not over, in order."""

    finals: int  # its final orders
    backed: int  # units ever
    fulfilled: int
    withdrawn: int
    expired: int
    open: tuple[bytes, ...]


class Backed(NamedTuple):
    """Which backing an account has in a demand; it has one at most, ever."""

    backing: bytes


class Open(NamedTuple):
    """Open demand of a category and scene (`ALL_SCENES`: of the whole category)."""

    demands: int  # ever posted
    open: int
    counted: int
    value: int  # micro-dollars: counted x price


DEMAND: Final[Table[bytes, Demand]] = Table(112, "community/demand", Demand, bytes_key())
BACKING: Final[Table[bytes, Backing]] = Table(113, "community/backing", Backing, bytes_key())
# Key: (demand, backer).
BACKED: Final[Table[tuple[bytes, bytes], Backed]] = Table(
    114, "community/backed", Backed, pair_key(bytes_key(), bytes_key())
)
BACKER: Final[Table[bytes, Backer]] = Table(115, "community/backer", Backer, bytes_key())
# Key: category, a slash, scene.
OPEN: Final[Table[str, Open]] = Table(117, "community/open", Open, text_key())
NO_BACKER: Final = Backer(0, 0, 0, 0, 0, ())
NO_OPEN: Final = Open(0, 0, 0, 0)


def backer_of(reader: Reader, address: bytes) -> Backer:
    """The account's record as a backer."""
    return reader.get(BACKER, address) or NO_BACKER


def open_key(category: str, scene: str) -> str:
    """The key of a row of open demand."""
    return f"{category}/{scene}"


def open_of(reader: Reader, category: str, scene: str = ALL_SCENES) -> Open:
    """Open demand of a category, or of one scene in it."""
    return reader.get(OPEN, open_key(category, scene)) or NO_OPEN


def add_open(
    ctx: Context, demand: Demand, *, demands: int = 0, units: int = 0, counted: int = 0
) -> None:
    """More open demand in the demand's scene and category, or less: `units`, of them `counted`."""
    if not (demands or units or counted):
        return
    value = counted * demand.price
    for scene in (demand.scene, ALL_SCENES):
        row = open_of(ctx.draft, demand.category, scene)
        changed = Open(
            row.demands + demands, row.open + units, row.counted + counted, row.value + value
        )
        ctx.draft.put(OPEN, open_key(demand.category, scene), changed)


def move_backing(
    ctx: Context,
    backing_id: bytes,
    backing: Backing,
    *,
    by_open: int,
    by_pledged: int,
    by_fulfilled: int = 0,
    backer: Backer | None = None,
) -> Backing:
    """Change a backing and every figure that follows from it; `backer`: its record as it has
    changed already, needed where the backing can be over by this.
    """
    demand_id, owner, quantity, left, pledged, deposit, is_counted, due_ms = backing
    left, pledged = left + by_open, pledged + by_pledged
    demand = ctx.draft.get(DEMAND, demand_id)
    assert demand is not None and min(left, pledged) >= 0
    counted = by_open if is_counted else 0
    ctx.draft.put(DEMAND, demand_id, _moved(demand, by_open, counted, by_pledged, by_fulfilled))
    add_open(ctx, demand, units=by_open, counted=counted)
    if left + pledged == 0:
        assert backer is not None, "only who withdraws, is served or waits too long comes to an end"
        still = tuple(other for other in backer.open if other != backing_id)
        backer = backer._replace(open=still)
        ctx.unschedule(due_ms, backing_id, COMMUNITY)
        due_ms = 0
    after = Backing(demand_id, owner, quantity, left, pledged, deposit, is_counted, due_ms)
    if backer is not None:
        ctx.draft.put(BACKER, backing.backer, backer)
    ctx.draft.put(BACKING, backing_id, after)
    return after


def _moved(
    demand: Demand, by_open: int, by_counted: int, by_pledged: int, by_fulfilled: int
) -> Demand:
    """The demand with so much more of these; by position, which takes half as long."""
    (
        poster, category, scene, description, price, deposit_bp, due_ms, posted_ms, opened, counted,
        pledged, fulfilled, backers, offers,
    ) = demand  # fmt: skip
    return Demand(
        poster, category, scene, description, price, deposit_bp, due_ms, posted_ms,
        opened + by_open, counted + by_counted, pledged + by_pledged, fulfilled + by_fulfilled,
        backers, offers,
    )  # fmt: skip


def open_demand(ctx: Context, demand_id: bytes) -> Demand:
    demand = ctx.require(DEMAND, demand_id, UNKNOWN_DEMAND)
    if ctx.now(COMMUNITY) >= demand.due_ms:
        raise Rejected(DEMAND_EXPIRED, due_ms=demand.due_ms)
    return demand


def on_final(ctx: Context, order_id: bytes) -> None:
    """With its first final order an account's open backings begin to count."""
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None
    backer = backer_of(ctx.draft, order.buyer)
    ctx.draft.put(BACKER, order.buyer, backer._replace(finals=backer.finals + 1))
    if backer.finals:
        return
    for backing_id in backer.open:
        backing = ctx.draft.get(BACKING, backing_id)
        assert backing is not None
        demand = ctx.draft.get(DEMAND, backing.demand)
        assert demand is not None
        ctx.draft.put(BACKING, backing_id, backing._replace(counted=True))
        demand = demand._replace(counted=demand.counted + backing.open)
        ctx.draft.put(DEMAND, backing.demand, demand)
        add_open(ctx, demand, counted=backing.open)
