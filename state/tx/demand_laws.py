"""What always holds of demand, read over the whole state: deposits, and open figures as sums.

The deposits held are those of the open backings, and the open figures of each category and scene
are the sums of its demands. Nothing here is called while a block is executed. Of the community
family.
"""

from __future__ import annotations

from state.context import is_scheduled
from state.draft import Reader
from state.tx.demand import (
    ALL_SCENES,
    BACKER,
    BACKING,
    COMMUNITY,
    DEMAND,
    DEPOSIT,
    NO_OPEN,
    OPEN,
    Open,
    open_key,
)
from state.tx.money import HOLD
from state.tx.orders import CANCELLED, COMPLETED, FINAL, ORDER, REFUNDED_WHOLE, RULED
from state.tx.pledges import PLEDGE


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
