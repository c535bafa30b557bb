"""The audit of orders: each order by itself, each shop's figures as sums, the escrow as a whole.

Part of the orders family; it writes nothing.
"""

from __future__ import annotations

from state.context import is_scheduled
from state.draft import Reader
from state.tx.disputes import DISPUTE, LOST, check_dispute
from state.tx.money import HOLD, totals_of
from state.tx.sales import (
    CANCELLED,
    COMMISSION,
    ESCROW,
    FAMILY_NUMBER,
    FINAL,
    HOLDBACK,
    LINES,
    OPEN,
    ORDER,
    PAID,
    RULED,
    SHIPPED,
    Order,
    held_shares,
    refunded_of,
    shares,
)
from state.tx.shops import FIGURES, NO_FIGURES, SERVED, SHOP, VOUCH, ShopFigures


def _held_by_rule(order: Order) -> list[tuple[int, int]]:
    """The parts that the order's hold must have."""
    if order.status == RULED:
        highest = shares(order, order.kept, order.fee).commission
        parts = [(COMMISSION, min(order.unspent, highest))]
    elif order.is_divided:
        _, commission, holdback = held_shares(order, order.kept)
        parts = [(HOLDBACK, holdback), (COMMISSION, commission)]
    else:
        parts = [(ESCROW, order.kept if order.status in OPEN else 0)]
    return [part for part in parts if part[1]]


def _check_lines(reader: Reader, order_id: bytes, order: Order) -> str | None:
    stored = reader.get(LINES, order_id)
    if stored is None or len(stored.lines) != order.lines:
        return "lines are missing"
    if sum(quantity * price for _, quantity, price, _ in stored.lines) != order.total:
        return "total is not the sum of its lines"
    if any(batch for _, _, _, batch in stored.lines) != order.has_batches:
        return "names batches exactly where its lines do"
    back = refunded_of(reader, order_id)
    if len(back) > order.lines or back[-1:] == (0,):
        return "has refunds of lines that it has not"
    given = 0
    for line, quantity in enumerate(back):
        if not 0 <= quantity <= stored.lines[line][1]:
            return f"line {line}: more was refunded than bought"
        given += quantity * stored.lines[line][2]
    if order.status != CANCELLED and given + order.ruled != order.refunded:
        return "refunded is not the sum of its lines and its ruling"
    return None


def _check_order(reader: Reader, order_id: bytes, order: Order) -> str | None:
    """What is wrong with one order, or None."""
    row = reader.get(HOLD, (FAMILY_NUMBER, order_id))
    parts = list(row.parts) if row else []
    if parts != _held_by_rule(order):
        return "does not hold what its status says"
    in_hold = sum(amount for _, amount in parts)
    spent = order.from_escrow + order.to_shop + order.fee + order.commission
    if order.total != in_hold + spent:
        return f"paid in {order.total}, but held {in_hold} and spent {spent}"
    if not order.from_escrow <= order.refunded <= order.total:
        return "more was refunded than paid in"
    if order.status in (PAID, SHIPPED) and order.completed_ms:
        return "was completed and is not"
    is_open = order.status in OPEN
    if is_open != (order.due_ms > 0):
        return "has a deadline exactly while it is open"
    if is_open and not is_scheduled(reader, FAMILY_NUMBER, order.due_ms, order_id):
        return "is open and not in the due queue"
    return _check_lines(reader, order_id, order) or check_dispute(reader, order_id, order)


def check_orders(reader: Reader) -> str | None:
    """Each order's law; names the first that breaks it."""
    for order_id, order in reader.items(ORDER):
        why = _check_order(reader, order_id, order)
        if why is not None:
            return f"order {order_id.hex()} {why}"
    return None


def _figures_after(before: ShopFigures, order: Order, *, lost: bool, disputed: bool) -> ShopFigures:
    """One order more."""
    counts = order.status != CANCELLED
    paid, refunded = (order.total, order.refunded) if counts else (0, 0)
    referred = order.is_referred
    is_final = order.status == FINAL
    return ShopFigures(
        orders=before.orders + 1,
        cancelled=before.cancelled + (not counts),
        completed=before.completed + (order.completed_ms > 0),
        final=before.final + is_final,
        paid=before.paid + paid,
        refunded=before.refunded + refunded,
        referred_paid=before.referred_paid + (paid if referred else 0),
        referred_refunded=before.referred_refunded + (refunded if referred else 0),
        final_volume=before.final_volume + (order.kept if is_final else 0),
        disputes=before.disputes + disputed,
        disputes_lost=before.disputes_lost + lost,
    )


def check_shops(reader: Reader) -> str | None:
    """Figures and countries are the sums over the shop's orders; nothing belongs to no shop."""
    sums: dict[bytes, ShopFigures] = {}
    served: dict[tuple[bytes, str], int] = {}
    for order_id, order in reader.items(ORDER):
        dispute = reader.get(DISPUTE, order_id)
        sums[order.shop] = _figures_after(
            sums.get(order.shop, NO_FIGURES),
            order,
            disputed=dispute is not None,
            lost=dispute is not None and dispute.outcome == LOST,
        )
        if order.status == FINAL and order.has_full_fee:
            for code in (*order.country, *order.currency):
                served[order.shop, code] = served.get((order.shop, code), 0) + 1
    for shop_id, figures in reader.items(FIGURES):
        if figures != sums.pop(shop_id, NO_FIGURES):
            return f"shop {shop_id.hex()}: figures are not the sums of its orders"
        if reader.get(SHOP, shop_id) is None:
            return f"figures of unknown shop {shop_id.hex()}"
    if sums:
        return f"shop {sorted(sums)[0].hex()}: figures are not the sums of its orders"
    for (shop_id, code), row in reader.items(SERVED):
        if row.orders != served.pop((shop_id, code), 0):
            return f"shop {shop_id.hex()}: orders for {code} are not those that are final"
    if served:
        shop_id, code = sorted(served)[0]
        return f"shop {shop_id.hex()}: orders for {code} are not those that are final"
    for shop_id, vouch in reader.items(VOUCH):
        if vouch.left <= 0 or reader.get(SHOP, shop_id) is None:
            return f"vouch for {shop_id.hex()} is for no shop or for nothing"
    return None


def check_escrow(reader: Reader) -> str | None:
    """Every hold of this family belongs to an order, and all of them stand in the escrow."""
    in_holds = 0
    for (family, object_id), row in reader.items(HOLD):
        if family == FAMILY_NUMBER:
            if reader.get(ORDER, object_id) is None:
                return f"hold of {object_id.hex()} belongs to no order"
            in_holds += sum(amount for _, amount in row.parts)
    escrowed = totals_of(reader).escrowed
    # Other families may hold too; theirs is counted by the dollar's own law.
    return None if in_holds <= escrowed else f"orders hold {in_holds}, the total is {escrowed}"
