"""Backings: who says that it would buy leaves a deposit behind its word. Of the community family.

Law: an open backing holds its deposit and stands in the due queue; what is given back of a deposit
is share(before) - share(after), so that parts lose nothing. An account backs a demand once at most.

A backing deposits a share of price x quantity. It comes back when an order serves what was backed
(`pledges.py`) and when the demand expires; of that for what the backer withdraws before, a tenth
goes to the fee pool, so that a word is not free. Each backing expires by a due item of its own, so
that a demand with many of them expires over many blocks.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.tx.demand import (
    BACKED,
    BACKER,
    BACKING,
    COMMUNITY,
    DEMAND,
    DEPOSIT,
    Backed,
    Backer,
    Backing,
    Demand,
    add_open,
    backer_of,
    move_backing,
    open_demand,
)
from state.tx.money import check_spend, hold_parts, release, split_hold, totals_now

BACKED_ALREADY: Final = (703, "BACKED_ALREADY")
NOT_BACKED: Final = (704, "NOT_BACKED")
TOO_MANY_BACKINGS: Final = (705, "TOO_MANY_BACKINGS")
DEMAND_BOUNDS: Final = (706, "DEMAND_BOUNDS")
DEPOSIT_BOUNDS: Final = (707, "DEPOSIT_BOUNDS")

BPS: Final = 10_000
EARLY_PARTS: Final = 10  # a withdrawal costs one part in ten of its deposit
BACKINGS_MAX: Final = 64  # open ones of one account: what its first final order has to touch
DEPOSIT_MAX: Final = 10**12  # of one backing, a million dollars
DEPOSIT_BP_LEAST: Final = 100
# With more than this in escrow of all kinds nobody backs: what is open is worth at most BPS /
# DEPOSIT_BP_LEAST times its deposits, and no sum of values may leave 64 bits.
ESCROWED_MAX: Final = INT_MAX // 128
assert BPS // DEPOSIT_BP_LEAST < 128
ALL_DEMANDS, OF_CATEGORY, OF_POSTER, BACKINGS_OF = 112, 113, 114, 115  # lists


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


def apply_demand_back(ctx: Context, fields: Fields) -> None:
    """Join a demand with a quantity of one's own, once."""
    demand_id, quantity = fields
    demand = open_demand(ctx, demand_id)
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
    add_open(ctx, demand, demands=demands, units=quantity, counted=counted)
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
    open_demand(ctx, demand_id)
    backed = ctx.require(BACKED, (demand_id, ctx.sender), NOT_BACKED)
    backing = ctx.draft.get(BACKING, backed.backing)
    assert backing is not None
    if backing.open == 0:
        raise Rejected(NOT_BACKED)
    # From here on nothing can fail.
    units = backing.open
    backer = backer_of(ctx.draft, ctx.sender)
    backer = backer._replace(withdrawn=backer.withdrawn + units)
    after = move_backing(ctx, backed.backing, backing, by_open=-units, by_pledged=0, backer=backer)
    freed = backing.held - after.held
    lost = freed // EARLY_PARTS
    paid = ((ctx.sender, freed - lost),)
    split_hold(ctx, COMMUNITY, backed.backing, DEPOSIT, paid=paid, pooled=lost)
    ctx.emit("demand_withdrawn", demand_id, backed.backing, units, lost)


def do_due(ctx: Context, backing_id: bytes) -> None:
    """The demand expired: what is held for this backing goes back, whatever was pledged."""
    backing = ctx.draft.get(BACKING, backing_id)
    assert backing is not None
    backer = backer_of(ctx.draft, backing.backer)
    backer = backer._replace(expired=backer.expired + backing.open)
    after = move_backing(
        ctx,
        backing_id,
        backing,
        by_open=-backing.open,
        by_pledged=-backing.pledged,
        backer=backer,
    )
    release(ctx, COMMUNITY, backing_id, DEPOSIT, backing.backer, backing.held - after.held)
    ctx.emit("demand_expired", backing.demand, backing_id, backing.open)
