"""Demand: what buyers say they would buy, each with a deposit behind it. Of the community family.

Law: the deposits held are those of the open backings, and the open figures of each category and
scene are the sums of its demands.

A backing deposits a share of price x quantity. It is *open* while nobody serves it, *pledged* once
its buyer has paid an order that names the demand, and over when that order is completed, when the
demand expires (both give the deposit back) or when the backer withdraws what is open (a tenth of
that part's deposit goes to the fee pool). A cancelled or refunded order opens what it had pledged
again, and so does one completed for the units that it was refunded before, which cost no fee. What
is given back of a deposit is share(before) - share(after), so that parts lose nothing.

Open demand counts the quantity of backers who have a final order: who never bought anything can
say anything. An order lowers its buyer's own backing only, by the units it bought of at least half
the price asked, from a shop that is not the buyer's own. Each backer's row shows how much of what
it backed it has kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields, is_scheduled
from state.draft import Reader
from state.table import Table, bytes_key, pair_key, text_key
from state.tx.accounts import is_linked
from state.tx.money import HOLD, check_spend, hold_parts, release, split_hold, totals_now
from state.tx.orders import (
    CANCELLED,
    COMPLETED,
    FINAL,
    LINES,
    ORDER,
    REFUNDED_WHOLE,
    RULED,
    SHOP,
    UNKNOWN_SHOP,
    Order,
    Shop,
)
from state.tx.sales import Lines, lines_of, refunded_of, with_refunded

COMMUNITY: Final = 7  # the family's number
UNKNOWN_DEMAND: Final = (701, "UNKNOWN_DEMAND")
DEMAND_EXPIRED: Final = (702, "DEMAND_EXPIRED")
BACKED_ALREADY: Final = (703, "BACKED_ALREADY")
NOT_BACKED: Final = (704, "NOT_BACKED")
TOO_MANY_BACKINGS: Final = (705, "TOO_MANY_BACKINGS")
DEMAND_BOUNDS: Final = (706, "DEMAND_BOUNDS")
DEPOSIT_BOUNDS: Final = (707, "DEPOSIT_BOUNDS")
NOT_SHOP_OWNER: Final = (708, "NOT_SHOP_OWNER")

DEPOSIT: Final = 1  # purpose of a backing's hold
BPS: Final = 10_000
EARLY_PARTS: Final = 10  # a withdrawal costs one part in ten of its deposit
BACKINGS_MAX: Final = 64  # open ones of one account: what its first final order has to touch
QUANTITY_MAX: Final = 1_000_000_000
DEPOSIT_MAX: Final = 10**12  # of one backing, a million dollars
DEPOSIT_BP_LEAST: Final = 100
# With more than this in escrow of all kinds nobody backs: what is open is worth at most BPS /
# DEPOSIT_BP_LEAST times its deposits, and no sum of values may leave 64 bits.
ESCROWED_MAX: Final = INT_MAX // 128
assert BPS // DEPOSIT_BP_LEAST < 128
DAY_MS: Final = 24 * 3_600_000
ALL_SCENES: Final = ""  # the row of a whole category
ALL_DEMANDS, OF_CATEGORY, OF_POSTER, BACKINGS_OF, OFFERS_FOR = 112, 113, 114, 115, 116  # lists


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


class Pledge(NamedTuple):
    """What an order that names a demand serves, under the order's id."""

    backing: bytes
    quantity: int


class Open(NamedTuple):
    """Open demand of a category and scene (`ALL_SCENES`: of the whole category)."""

    demands: int  # ever posted
    open: int
    counted: int
    value: int  # micro-dollars: counted x price


class Offer(NamedTuple):
    """A shop's answer to a demand, under the txid that made it."""

    demand: bytes
    shop: bytes
    price: int
    quantity: int
    terms: bytes  # hash
    made_ms: int


DEMAND: Final[Table[bytes, Demand]] = Table(112, "community/demand", Demand, bytes_key())
BACKING: Final[Table[bytes, Backing]] = Table(113, "community/backing", Backing, bytes_key())
# Key: (demand, backer).
BACKED: Final[Table[tuple[bytes, bytes], Backed]] = Table(
    114, "community/backed", Backed, pair_key(bytes_key(), bytes_key())
)
BACKER: Final[Table[bytes, Backer]] = Table(115, "community/backer", Backer, bytes_key())
PLEDGE: Final[Table[bytes, Pledge]] = Table(116, "community/pledge", Pledge, bytes_key())
# Key: category, a slash, scene.
OPEN: Final[Table[str, Open]] = Table(117, "community/open", Open, text_key())
OFFER: Final[Table[bytes, Offer]] = Table(118, "community/offer", Offer, bytes_key())
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


def _add_open(
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


def _move(
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
    after = backing._replace(open=backing.open + by_open, pledged=backing.pledged + by_pledged)
    demand = ctx.draft.get(DEMAND, backing.demand)
    assert demand is not None and min(after.open, after.pledged) >= 0
    counted = by_open if backing.counted else 0
    demand = demand._replace(
        open=demand.open + by_open,
        counted=demand.counted + counted,
        pledged=demand.pledged + by_pledged,
        fulfilled=demand.fulfilled + by_fulfilled,
    )
    ctx.draft.put(DEMAND, backing.demand, demand)
    _add_open(ctx, demand, units=by_open, counted=counted)
    if after.left == 0:
        assert backer is not None, "only who withdraws, is served or waits too long comes to an end"
        still = tuple(other for other in backer.open if other != backing_id)
        backer = backer._replace(open=still)
        ctx.unschedule(after.due_ms, backing_id, COMMUNITY)
        after = after._replace(due_ms=0)
    if backer is not None:
        ctx.draft.put(BACKER, backing.backer, backer)
    ctx.draft.put(BACKING, backing_id, after)
    return after


# Posting, backing, withdrawing --------------------------------------------------------------


def apply_demand_post(ctx: Context, fields: Fields) -> None:
    """Say what is wanted; the poster backs it first."""
    category, scene, description, price, quantity, lasts_ms, own = fields
    lowest, highest = ctx.params["demand_least_ms"], ctx.params["demand_most_ms"]
    if not lowest <= lasts_ms <= highest:
        raise Rejected(DEMAND_BOUNDS, lowest=lowest, highest=highest)
    if own > quantity:
        raise Rejected(DEMAND_BOUNDS, lowest=1, highest=quantity)
    deposit_bp = ctx.params["demand_deposit_bp"]
    deposit = _deposit_for(price, own, deposit_bp)
    backer = _check_backing(ctx, deposit)
    # From here on nothing can fail.
    demand_id = ctx.object_id
    demand = Demand(
        poster=ctx.sender, category=category, scene=scene, description=description, price=price,
        deposit_bp=deposit_bp, due_ms=ctx.now(COMMUNITY) + lasts_ms, posted_ms=ctx.time_ms,
        open=0, counted=0, pledged=0, fulfilled=0, backers=0, offers=0,
    )  # fmt: skip
    ctx.list_under(ALL_DEMANDS, b"", demand_id)
    ctx.list_under(OF_CATEGORY, category.encode(), demand_id)
    ctx.list_under(OF_POSTER, ctx.sender, demand_id)
    ctx.emit("demand_posted", demand_id, ctx.sender, category, scene, price, quantity)
    _back(ctx, demand_id, demand, own, deposit, backer, demands=1)


def _deposit_for(price: int, quantity: int, deposit_bp: int) -> int:
    """The deposit of a backing, rounded up: what is asked for is never nothing."""
    deposit = -(-price * quantity * deposit_bp // BPS)
    if deposit > DEPOSIT_MAX:
        raise Rejected(DEPOSIT_BOUNDS, highest=str(DEPOSIT_MAX))
    return deposit


def _check_backing(ctx: Context, deposit: int) -> Backer:
    """The sender's record as a backer, if it may back with this deposit."""
    backer = backer_of(ctx.draft, ctx.sender)
    if len(backer.open) >= BACKINGS_MAX:
        raise Rejected(TOO_MANY_BACKINGS, highest=BACKINGS_MAX)
    check_spend(ctx.draft, ctx.sender, deposit)
    left = ESCROWED_MAX - totals_now(ctx).escrowed
    if deposit > left:
        raise Rejected(DEPOSIT_BOUNDS, highest=str(max(0, left)))
    return backer


def _open_demand(ctx: Context, demand_id: bytes) -> Demand:
    demand = ctx.require(DEMAND, demand_id, UNKNOWN_DEMAND)
    if ctx.now(COMMUNITY) >= demand.due_ms:
        raise Rejected(DEMAND_EXPIRED, due_ms=demand.due_ms)
    return demand


def apply_demand_back(ctx: Context, fields: Fields) -> None:
    """Join a demand with a quantity of one's own, once."""
    demand_id, quantity = fields
    demand = _open_demand(ctx, demand_id)
    if ctx.draft.get(BACKED, (demand_id, ctx.sender)) is not None:
        raise Rejected(BACKED_ALREADY)
    deposit = _deposit_for(demand.price, quantity, demand.deposit_bp)
    backer = _check_backing(ctx, deposit)
    # From here on nothing can fail.
    _back(ctx, demand_id, demand, quantity, deposit, backer)


def _back(
    ctx: Context,
    demand_id: bytes,
    demand: Demand,
    quantity: int,
    deposit: int,
    backer: Backer,
    *,
    demands: int = 0,
) -> None:
    """Write the sender's backing and what follows from it; `demands`: 1 where the demand is new."""
    backing_id = ctx.object_id
    is_counted = backer.finals > 0
    counted = quantity if is_counted else 0
    backing = Backing(
        demand=demand_id, backer=ctx.sender, quantity=quantity, open=quantity, pledged=0,
        deposit=deposit, counted=is_counted, due_ms=demand.due_ms,
    )  # fmt: skip
    ctx.draft.put(BACKING, backing_id, backing)
    backed = demand._replace(
        open=demand.open + quantity, counted=demand.counted + counted, backers=demand.backers + 1
    )
    ctx.draft.put(DEMAND, demand_id, backed)
    _add_open(ctx, demand, demands=demands, units=quantity, counted=counted)
    ctx.draft.put(BACKED, (demand_id, ctx.sender), Backed(backing_id))
    changed = backer._replace(backed=backer.backed + quantity, open=(*backer.open, backing_id))
    ctx.draft.put(BACKER, ctx.sender, changed)
    hold_parts(ctx, ctx.sender, COMMUNITY, backing_id, ((DEPOSIT, deposit),))
    ctx.schedule(demand.due_ms, backing_id, COMMUNITY)
    ctx.involve(demand.poster)
    ctx.list_under(BACKINGS_OF, ctx.sender, backing_id)
    ctx.emit("demand_backed", demand_id, backing_id, ctx.sender, quantity, deposit)


def apply_demand_withdraw(ctx: Context, fields: Fields) -> None:
    """Take back what nobody has served yet; a tenth of its deposit goes to the fee pool."""
    (demand_id,) = fields
    _open_demand(ctx, demand_id)
    backed = ctx.require(BACKED, (demand_id, ctx.sender), NOT_BACKED)
    backing = ctx.draft.get(BACKING, backed.backing)
    assert backing is not None
    if backing.open == 0:
        raise Rejected(NOT_BACKED)
    # From here on nothing can fail.
    units = backing.open
    backer = backer_of(ctx.draft, ctx.sender)
    backer = backer._replace(withdrawn=backer.withdrawn + units)
    after = _move(ctx, backed.backing, backing, by_open=-units, by_pledged=0, backer=backer)
    freed = backing.held - after.held
    lost = freed // EARLY_PARTS
    paid = ((ctx.sender, freed - lost),)
    split_hold(ctx, COMMUNITY, backed.backing, DEPOSIT, paid=paid, pooled=lost)
    ctx.emit("demand_withdrawn", demand_id, backed.backing, units, lost)


def apply_demand_offer(ctx: Context, fields: Fields) -> None:
    """A shop says at which price and terms it would serve a demand."""
    demand_id, shop_id, price, quantity, terms = fields
    demand = _open_demand(ctx, demand_id)
    shop = ctx.require(SHOP, shop_id, UNKNOWN_SHOP)
    if shop.owner != ctx.sender:
        raise Rejected(NOT_SHOP_OWNER)
    # From here on nothing can fail.
    offer = Offer(demand_id, shop_id, price, quantity, terms, ctx.time_ms)
    ctx.draft.put(OFFER, ctx.object_id, offer)
    ctx.draft.put(DEMAND, demand_id, demand._replace(offers=demand.offers + 1))
    ctx.list_under(OFFERS_FOR, demand_id, ctx.object_id)
    ctx.involve(demand.poster)
    ctx.emit("demand_offered", demand_id, ctx.object_id, shop_id, price, quantity)


# By the clock -------------------------------------------------------------------------------


def do_due(ctx: Context, backing_id: bytes) -> None:
    """The demand expired: what is held for this backing goes back, whatever was pledged."""
    backing = ctx.draft.get(BACKING, backing_id)
    assert backing is not None
    backer = backer_of(ctx.draft, backing.backer)
    backer = backer._replace(expired=backer.expired + backing.open)
    after = _move(
        ctx,
        backing_id,
        backing,
        by_open=-backing.open,
        by_pledged=-backing.pledged,
        backer=backer,
    )
    release(ctx, COMMUNITY, backing_id, DEPOSIT, backing.backer, backing.held - after.held)
    ctx.emit("demand_expired", backing.demand, backing_id, backing.open)


# What orders do to it -----------------------------------------------------------------------


def on_paid(ctx: Context, order_id: bytes, order: Order, shop: Shop) -> None:
    """An order that names a demand pledges units of its buyer's own backing."""
    backed = ctx.draft.get(BACKED, (order.demand[0], order.buyer))
    backing = ctx.draft.get(BACKING, backed.backing) if backed else None
    demand = ctx.draft.get(DEMAND, order.demand[0])
    if backed is None or backing is None or demand is None:
        return
    if is_linked(ctx.draft, order.buyer, shop.owner):
        return
    stored = ctx.draft.get(LINES, order_id)
    assert stored is not None
    units = min(backing.open, _fitting(stored, (), demand.price))
    if units == 0:
        return
    _move(ctx, backed.backing, backing, by_open=-units, by_pledged=units)
    ctx.draft.put(PLEDGE, order_id, Pledge(backed.backing, units))
    ctx.emit("demand_pledged", order.demand[0], backed.backing, units)


def _fitting(lines: Lines, gone: tuple[int, ...], price: int) -> int:
    """Units bought at half the price asked or more, less those of them that were refunded."""
    return sum(
        bought - back
        for (_, bought, unit_price, _), back in with_refunded(lines.lines, gone)
        if 2 * unit_price >= price
    )


def _served(ctx: Context, order_id: bytes, order: Order, pledge: Pledge, price: int) -> int:
    """Units of a pledge that a completed order still buys: what was refunded before cost no fee."""
    if not order.refunded:
        return pledge.quantity
    left = _fitting(lines_of(ctx, order_id), refunded_of(ctx.draft, order_id), price)
    return min(pledge.quantity, left, 2 * order.kept // price)  # a ruling takes from no line


def on_completed(ctx: Context, order_id: bytes) -> None:
    """The order fulfils what it pledged and still buys: that part of the deposit goes back."""
    _end_pledge(ctx, order_id, is_completed=True)


def on_refunded(ctx: Context, order_id: bytes, _amount: int) -> None:
    """An order that came to nothing opens again what it pledged, unless the demand is over."""
    _end_pledge(ctx, order_id, is_completed=False)


def _end_pledge(ctx: Context, order_id: bytes, *, is_completed: bool) -> None:
    """What is not served is open again, or expired where the demand has."""
    order = ctx.draft.get(ORDER, order_id)
    assert order is not None, "the hook names one"
    pledge = ctx.draft.get(PLEDGE, order_id) if order.demand else None
    if pledge is None or not (is_completed or order.status in (CANCELLED, REFUNDED_WHOLE)):
        return
    ctx.draft.delete(PLEDGE, order_id)
    backing, demand = ctx.draft.get(BACKING, pledge.backing), ctx.draft.get(DEMAND, order.demand[0])
    assert backing is not None and demand is not None
    served = _served(ctx, order_id, order, pledge, demand.price) if is_completed else 0
    units = min(backing.pledged, pledge.quantity)  # none is left where the demand has expired
    opened = max(0, units - served)
    backer = None
    if opened < pledge.quantity:
        before = backer_of(ctx.draft, backing.backer)
        backer = before._replace(
            fulfilled=before.fulfilled + served,
            expired=before.expired + pledge.quantity - served - opened,
        )
    after = _move(
        ctx,
        pledge.backing,
        backing,
        by_open=opened,
        by_pledged=-units,
        by_fulfilled=served,
        backer=backer,
    )
    release(ctx, COMMUNITY, pledge.backing, DEPOSIT, backing.backer, backing.held - after.held)
    if served:
        ctx.emit("demand_fulfilled", backing.demand, pledge.backing, served)
    if opened:
        ctx.emit("demand_reopened", backing.demand, pledge.backing, opened)


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
        _add_open(ctx, demand, counted=backing.open)


# Laws ---------------------------------------------------------------------------------------


def check_deposits(reader: Reader) -> str | None:
    """Each open backing holds its deposit and stands in the queue; nothing else is held."""
    still: dict[bytes, list[bytes]] = {}
    for backing_id, row in reader.items(BACKING):
        parts = reader.get(HOLD, (COMMUNITY, backing_id))
        if (dict(parts.parts) if parts else {}) != ({DEPOSIT: row.held} if row.held else {}):
            return f"backing {backing_id.hex()} does not hold its deposit"
        if (row.left > 0) != (row.due_ms > 0):
            return f"backing {backing_id.hex()} is over and has a deadline, or the reverse"
        if row.left == 0:
            continue
        still.setdefault(row.backer, []).append(backing_id)
        if not is_scheduled(reader, COMMUNITY, row.due_ms, backing_id):
            return f"backing {backing_id.hex()} is open and not in the due queue"
    for address, backer in reader.items(BACKER):
        if sorted(backer.open) != still.pop(address, []):
            return f"the open backings of {address.hex()} are others"
    if still:
        return f"{next(iter(still)).hex()} has open backings and no record"
    for (family, object_id), _ in reader.items(HOLD, bytes([COMMUNITY])):
        if family == COMMUNITY and reader.get(BACKING, object_id) is None:
            return f"hold of {object_id.hex()} belongs to no backing"
    return None


def check_open(reader: Reader) -> str | None:
    """Demands are the sums of their backings, categories and scenes those of their demands."""
    sums: dict[bytes, list[int]] = {}
    for _, row in reader.items(BACKING):
        figures = sums.setdefault(row.demand, [0, 0, 0])
        figures[0] += row.open
        figures[1] += row.open if row.counted else 0
        figures[2] += row.pledged
    groups: dict[str, Open] = {}
    for demand_id, demand in reader.items(DEMAND):
        if sums.pop(demand_id, [0, 0, 0]) != [demand.open, demand.counted, demand.pledged]:
            return f"demand {demand_id.hex()} is not the sum of its backings"
        for scene in (demand.scene, ALL_SCENES):
            key = open_key(demand.category, scene)
            before = groups.get(key, NO_OPEN)
            groups[key] = Open(
                before.demands + 1, before.open + demand.open, before.counted + demand.counted,
                before.value + demand.counted * demand.price,
            )  # fmt: skip
    found = dict(reader.items(OPEN))
    for key in sorted({**groups, **found}):
        if groups.get(key) != found.get(key):
            return f"open demand of {key} is not the sum of its demands"
    for order_id, pledge in reader.items(PLEDGE):
        order = reader.get(ORDER, order_id)
        over = (CANCELLED, REFUNDED_WHOLE, COMPLETED, RULED, FINAL)
        if order is None or order.status in over:
            return f"pledge of order {order_id.hex()} is over"
        if reader.get(BACKING, pledge.backing) is None:
            return f"pledge of order {order_id.hex()} has no backing"
    return None
