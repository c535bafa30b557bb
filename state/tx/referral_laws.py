"""What always holds of referral, read over the whole state; part of the referral family.

Every figure that is kept with each movement is counted here from the records that it sums, so
that a wrong one is named. Nothing here is called while a block is executed.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from state.context import is_scheduled
from state.draft import Reader
from state.registry import Law
from state.tx.accounts import ACCOUNT, HAS_JOINED
from state.tx.bindings import (
    AGREEMENT,
    BINDING,
    CAMPAIGN,
    DEFAULT_CAMPAIGN,
    FAMILY_NUMBER,
    PARTNER,
    PROGRAM,
)
from state.tx.commissions import (
    DEPTHS,
    EARNED,
    OPEN,
    ROW,
    SALE,
    USED,
    VOID,
    Sale,
    caps_of,
    promised,
    second_of,
    standing,
)
from state.tx.growth import GROWTH, NO_GROWTH, REGULAR, Growth, counted
from state.tx.orders import COMMISSION_BP_MAX, FINAL, ORDER, Order


def check_bindings(reader: Reader) -> str | None:
    """A binding is to somebody who has joined, on terms that were the shop's own."""
    for (buyer, shop), binding in reader.items(BINDING):
        name = f"binding of {buyer.hex()} at {shop.hex()}"
        if binding.distributor == buyer:
            return f"{name} is to the buyer itself"
        if reader.get(PARTNER, (binding.distributor, shop)) is None:
            return f"{name} is to somebody who never joined"
        if not 0 <= binding.share_bp <= COMMISSION_BP_MAX:
            return f"{name} has a share out of bounds"
        campaign = reader.get(CAMPAIGN, binding.campaign) or DEFAULT_CAMPAIGN
        if binding.campaign and campaign.shop != shop:
            return f"{name} is under a campaign that is not its shop's"
        if binding.until_ms - binding.made_ms != campaign.binding_ms:
            return f"{name} does not last as long as its campaign says"
    return None


def check_partners(reader: Reader) -> str | None:
    """Who joined is counted and flagged; recruiters had joined; agreements and campaigns have their
    shop.
    """
    flagged = {who: None for who, account in reader.items(ACCOUNT) if account.flags & HAS_JOINED}
    joined: Counter[bytes] = Counter()
    for (distributor, shop), partner in reader.items(PARTNER):
        joined[shop] += 1
        if distributor not in flagged:
            return f"account {distributor.hex()} is not flagged as one that has joined"
        for recruiter in partner.recruiter:
            known = reader.get(PARTNER, (recruiter, shop))
            if known is None or known.joined_ms > partner.joined_ms:
                return f"recruiter of {distributor.hex()} at {shop.hex()} had not joined before"
        agreed = reader.get(AGREEMENT, (distributor, shop)) is not None
        if agreed != partner.agreed:
            return f"partner {distributor.hex()} at {shop.hex()}: agreed is {partner.agreed}"
    for (distributor, _), _ in reader.items(PARTNER):
        flagged.pop(distributor, None)
    if flagged:
        return f"account {next(iter(flagged)).hex()} is flagged as one that has joined, and has not"
    for shop, program in reader.items(PROGRAM):
        if joined.pop(shop, 0) != program.distributors:
            return f"program of {shop.hex()} does not count who joined"
        for campaign in (program.campaign, program.next_campaign):
            row = reader.get(CAMPAIGN, campaign) if campaign else None
            if campaign and (row is None or row.shop != shop):
                return f"program of {shop.hex()} names a campaign that is not its own"
    return f"shop {sorted(joined)[0].hex()} has distributors and no program" if joined else None


def _depth_at(reader: Reader, time_ms: int) -> int:
    """The depth parameter that sales of that block found."""
    seen = reader.get(DEPTHS, b"")
    return max([depth for at, depth in seen.seen if at <= time_ms][-1:], default=0) if seen else 0


def _check_sale(reader: Reader, order_id: bytes, sale: Sale, order: Order) -> str | None:
    if not order.is_referred or order.commission_bp != sale.share_bp:
        return "is not what its order says"
    if sale.status == OPEN and order.closed_ms:
        return f"is open, its order is {order.status}"
    if sale.status == EARNED and order.status != FINAL:
        return f"has earned, its order is {order.status}"
    if sale.status == VOID and not order.closed_ms:
        return f"is void, its order is {order.status}"
    if sale.depth > _depth_at(reader, order.paid_ms):
        return "is deeper than the parameter was"
    if sale.due_ms and not is_scheduled(reader, FAMILY_NUMBER, sale.due_ms, order_id):
        return "is in the window and not in the due queue"
    if sale.due_ms and not sale.counted:
        return "is in the window and not counted"
    return _check_rows(reader, order_id, sale, order)


def _check_rows(reader: Reader, order_id: bytes, sale: Sale, order: Order) -> str | None:
    """A sale's rows: whole, by its own people, adding up at each depth to what stands."""
    balance, accrued, paid = [0, 0, 0], 0, 0  # the balance by depth
    rows = list(reader.items(ROW, order_id))
    if [number for (_, number), _ in rows] != list(range(sale.rows)):
        return f"has not its {sale.rows} rows"
    if rows and sale.status != EARNED:
        return "has commission rows and has not earned"
    people = (sale.distributor, *sale.recruiter)
    for (_, number), row in rows:
        if not 1 <= row.depth <= len(people) or people[row.depth - 1] != row.distributor:
            return f"row {number} is not of its people"
        if row.accrued == 0 or not 0 <= row.paid <= max(0, row.accrued):
            return f"row {number} pays what it does not accrue"
        balance[row.depth] += row.accrued
        accrued += max(0, row.accrued)
        paid += row.paid
    if paid != order.commission:
        return f"was paid {paid}, its order says {order.commission}"
    if accrued != sale.commission:
        return f"accrued {accrued}, it came to {sale.commission}"
    stands = standing(order, sale, order.total - order.refunded) if sale.status == EARNED else 0
    second = second_of(sale, stands)
    for depth, due in ((1, stands - second), (2, second)):
        if balance[depth] != due:
            return f"stands at {balance[depth]} at depth {depth}, due is {due}"
    return None


def check_sales(reader: Reader) -> str | None:
    """No commission without a final order; rows and depth as the sale's terms say."""
    for order_id, sale in reader.items(SALE):
        order = reader.get(ORDER, order_id)
        if order is None:
            return f"sale {order_id.hex()} has no order"
        why = _check_sale(reader, order_id, sale, order)
        if why is not None:
            return f"sale {order_id.hex()} {why}"
    for order_id, order in reader.items(ORDER):
        if (order.is_referred or order.commission) and reader.get(SALE, order_id) is None:
            return f"order {order_id.hex()} pays a commission on no sale"
    return None


def check_book(reader: Reader) -> str | None:
    """A distributor's rows at a shop = paid - owed; promises and caps are the sums of sales."""
    sums: dict[tuple[bytes, bytes], Counter[str]] = {}
    used: Counter[tuple[bytes, bytes]] = Counter()
    for (order_id, number), row in reader.items(ROW):
        order = reader.get(ORDER, order_id)
        if order is None or reader.get(SALE, order_id) is None:
            return f"row {number} of {order_id.hex()} belongs to no sale"
        figures = sums.setdefault((row.distributor, order.shop), Counter())
        figures["accrued" if row.accrued > 0 else "reversed"] += abs(row.accrued)
        figures["paid"] += row.paid
    for order_id, sale in reader.items(SALE):
        order = reader.get(ORDER, order_id)
        if order is None:
            continue  # another law names it
        kept = order.total - order.refunded
        counts = {OPEN: promised(sale.share_bp, kept), EARNED: standing(order, sale, kept)}
        if sale.status == OPEN:
            figures = sums.setdefault((sale.distributor, order.shop), Counter())
            figures["promised"] += counts[OPEN]
        campaign = reader.get(CAMPAIGN, sale.campaign) or DEFAULT_CAMPAIGN
        for key, _ in caps_of(campaign, sale.campaign, sale.distributor):
            used[key] += counts.get(sale.status, 0)
    for (distributor, shop), partner in reader.items(PARTNER):
        found = sums.pop((distributor, shop), Counter())
        found["owed"] = found["paid"] - found["accrued"] + found["reversed"]
        for name in ("promised", "accrued", "reversed", "paid", "owed"):
            if getattr(partner, name) != found[name]:
                return f"partner {distributor.hex()} at {shop.hex()}: {name} is not {found[name]}"
        if partner.owed < 0:
            return f"partner {distributor.hex()} at {shop.hex()} was paid less than it earned"
    if sums:
        return f"rows of somebody who never joined: {sorted(sums)[0][0].hex()}"
    return _check_used(reader, used)


def _check_used(reader: Reader, used: Counter[tuple[bytes, bytes]]) -> str | None:
    for (scope, who), row in reader.items(USED):
        if used.pop((scope, who), 0) != row.amount:
            return f"used of {scope.hex()} by {who.hex()} is not the sum of its sales"
    left = sorted(key for key, amount in used.items() if amount)
    return f"nothing counts against the caps of {left[0][0].hex()}" if left else None


def _sums_of_sales(
    reader: Reader,
) -> tuple[dict[bytes, Growth], dict[tuple[bytes, bytes], int]]:
    """(figures, volume in the window by distributor and buyer) as the sales say."""
    figures: dict[bytes, Growth] = {}
    volumes: dict[tuple[bytes, bytes], int] = {}
    for order_id, sale in reader.items(SALE):
        order = reader.get(ORDER, order_id)
        if order is None or not sale.counted:
            continue
        kept = order.total - order.refunded if sale.status == EARNED else 0
        before = figures.get(sale.distributor, NO_GROWTH)
        figures[sale.distributor] = before._replace(
            orders_ever=before.orders_ever + (sale.status == EARNED),
            volume_ever=before.volume_ever + kept,
            refunded_ever=before.refunded_ever + order.total - kept,
            orders=before.orders + (kept > 0 and sale.due_ms > 0),
            gross=before.gross + (order.total if sale.due_ms else 0),
            refunded=before.refunded + (order.total - kept if sale.due_ms else 0),
        )
        key = (sale.distributor, order.buyer)
        if kept and sale.due_ms:
            volumes[key] = volumes.get(key, 0) + kept
    return figures, volumes


def check_growth(reader: Reader) -> str | None:
    """Each distributor's figures are the sums of its counted sales."""
    figures, volumes = _sums_of_sales(reader)
    buyers: Counter[bytes] = Counter()
    for (distributor, buyer), row in reader.items(REGULAR):
        if volumes.pop((distributor, buyer), 0) != row.volume:
            return f"regular {buyer.hex()} of {distributor.hex()} is not the sum of its sales"
        buyers[distributor] += 1
        enough, volume = counted(row.volume)
        before = figures.get(distributor, NO_GROWTH)
        figures[distributor] = before._replace(
            buyers=before.buyers + enough, volume=before.volume + volume
        )
    if volumes:
        return f"nobody counts the sales of {sorted(volumes)[0][0].hex()}"
    for distributor, growth in reader.items(GROWTH):
        found = figures.pop(distributor, NO_GROWTH)._replace(
            first_final_ms=growth.first_final_ms,
            buyers_ever=buyers[distributor],
        )
        for name, kept, sum_ in zip(Growth._fields, growth, found, strict=True):
            if kept != sum_:
                return f"growth of {distributor.hex()}: {name} is {kept}, its sales say {sum_}"
        if (growth.buyers_ever > 0) != (growth.first_final_ms > 0):
            return f"growth of {distributor.hex()}: its first final sale has no time"
    return f"no figures of {sorted(figures)[0].hex()}" if figures else None


LAWS: Final = (
    Law("bindings", check_bindings),
    Law("partners", check_partners),
    Law("sales", check_sales),
    Law("book", check_book),
    Law("growth", check_growth),
)
