"""For shops and buyers: what a cross-border order costs in all, in dollars, by today's rules.

Beside it stands what each part is, so that it can be compared with a card's three percent. It is a
reading of parameters and of one quote; nothing is promised by it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from rpc.dispatch import Context, Method
from rpc.errors import invalid_params, not_found
from rpc.results import AMOUNT, HASH, HEIGHT, INT, TEXT, nullable, obj
from rpc.schema import Amount, Hash32, Name, Params
from state.tx.gateways import GATEWAY
from state.tx.quotes import QUOTE, current_quote
from state.tx.shops import terms_now
from state.view import View

_BPS: Final = 10_000
# Signed bytes of the usual transactions of an order of one line, one signature each.
_SIZES: Final = {"order_pay": 320, "order_ship": 260, "order_complete": 240, "dollar_redeem": 320}


class _CostParams(Params):
    shop: Hash32
    total: Amount
    gateway: Name | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"


def _spread(view: View, params: _CostParams) -> tuple[int | None, int]:
    """(cost of the exchange in micro-dollars, basis points of it), None where no quote that is
    still good for the total, or nobody was named who could give one.
    """
    if params.gateway is not None and view.reader.get(GATEWAY, params.gateway) is None:
        raise not_found("gateway")
    if params.currency == "USD":
        return 0, 0
    if params.gateway is None:
        return None, 0
    quote = view.reader.get(QUOTE, current_quote(view.reader, params.gateway, params.currency))
    if quote is None or quote.expires_ms <= view.header.timestamp_ms or quote.left < params.total:
        return None, 0
    middle = quote.bid + quote.ask
    bps = _BPS * (quote.ask - quote.bid) // middle + quote.fee_bps
    return params.total * bps // _BPS, bps


async def _cost(ctx: Context, params: _CostParams) -> object:
    if params.total == 0:
        raise invalid_params("an amount from 1", field="total")
    with ctx.api.view() as view:
        shop = view.shop(params.shop)
        if shop is None:
            raise not_found("shop")
        shop = terms_now(view.reader, shop)
        values = view.params()
        by_rule = -(-params.total * values["order_fee_bps"].value // _BPS)
        network = min(params.total, max(values["order_fee_minimum"].value, by_rule))
        fees = {kind: view.fee(kind, size) for kind, size in _SIZES.items()}
        exchange, bps = _spread(view, params)
        commission = params.total * shop.commission_bp // _BPS
        cost = network + sum(fees.values()) + (exchange or 0)
        return {
            "height": view.height,
            "shop": params.shop.hex(),
            "total": str(params.total),
            "network_fee": str(network),
            "transaction_fees": str(sum(fees.values())),
            "exchange": None if exchange is None else str(exchange),
            "exchange_bp": bps,
            "currency": params.currency,
            "cost": str(cost),
            "cost_bp": _BPS * cost // params.total,
            "commission": str(commission),
        }


_COST: Final[dict[str, Any]] = {
    "shop": HASH, "total": AMOUNT, "network_fee": AMOUNT, "transaction_fees": AMOUNT,
    "exchange": nullable(AMOUNT), "exchange_bp": INT, "currency": TEXT, "cost": AMOUNT,
    "cost_bp": INT, "commission": AMOUNT,
}  # fmt: skip

METHODS: Final = (
    Method(
        name="order_cost",
        summary="What an order of `total` costs in all: network fee, the fees of paying, shipping, "
        "completing and redeeming, and (with a gateway and a currency) half of its quote's spread "
        "and its fee; null, and not in `cost`, where no gateway is named or it quotes none for the "
        "total. A distributor's commission stands beside it.",
        params=_CostParams,
        result=obj(height=HEIGHT, **_COST),
        run=_cost,
        cost=3,
    ),
)  # fmt: skip
