"""Offers: a shop says at which price and terms it would serve a demand. Of the community family.

Law: an offer binds nobody and holds nothing, and its demand counts it. What is bought is said by an
order, which may name the demand whether or not its shop has offered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from state.context import Context, Fields
from state.table import Table, bytes_key
from state.tx.demand import DEMAND, open_demand
from state.tx.orders import SHOP, UNKNOWN_SHOP

NOT_SHOP_OWNER: Final = (708, "NOT_SHOP_OWNER")

OFFERS_FOR: Final = 116  # list of a demand's offers


class Offer(NamedTuple):
    """A shop's answer to a demand, under the txid that made it."""

    demand: bytes
    shop: bytes
    price: int
    quantity: int
    terms: bytes  # hash
    made_ms: int


OFFER: Final[Table[bytes, Offer]] = Table(118, "community/offer", Offer, bytes_key())


def apply_demand_offer(ctx: Context, fields: Fields) -> None:
    """A shop says at which price and terms it would serve a demand."""
    demand_id, shop_id, price, quantity, terms = fields
    demand = open_demand(ctx, demand_id)
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
