"""For shops and their buyers: `shop …` and `order …`, each command one transaction or one look.

Prices and sums are dollars as people write them; times are days. What takes two signatures takes
the second with `--with-dev-key` on a development network, else `tx build`, `sign` and `send`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, micro, show
from mgsnode.cli.readable import readable
from mgsnode.cli.sales import cost, earns, list_
from mgsnode.cli.sending import sends

_DAY_MS = 86_400_000
_SHOP_SUMS = frozenset(
    (
        "paid", "refunded", "final_volume", "referred", "unreferred", "vouched",
    )
)  # fmt: skip
_ORDER_SUMS = frozenset(
    (
        "total", "refunded_from_escrow", "to_shop", "fee", "fee_minimum", "commission", "ruled",
        "held", "unit_price", "refunded",
    )
)  # fmt: skip
ShopId = Annotated[str, typer.Argument(help="The shop: the txid that opened it.")]
OrderId = Annotated[str, typer.Argument(help="The order: the txid that paid it.")]
Reference = Annotated[str, typer.Option(help="A tracking number, or a hash in hex.")]
Reason = Annotated[str, typer.Option(help="Why, in up to 256 bytes; public.")]
Days = Annotated[float, typer.Option(help="Days.")]
Bp = Annotated[int, typer.Option(help="Basis points of what the shop keeps.")]
Arbiter = Annotated[str, typer.Option(help="An arbiter that governance lists: an address.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    shop = typer.Typer(
        help="Shops: open, terms, vouch, show.", no_args_is_help=True, rich_markup_mode=None
    )
    for name, command in (
        ("open", open_shop), ("terms", terms), ("vouch", vouch), ("show", show_shop),
    ):  # fmt: skip
        shop.command(name)(command)
    app.add_typer(shop, name="shop")
    order = typer.Typer(
        help="Orders: from paying to completion, refund or a ruling.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, command in (
        ("pay", pay), ("ship", ship), ("dispatch", dispatch), ("deliver", deliver),
        ("extend", extend), ("complete", complete), ("cancel", cancel), ("refund", refund),
        ("dispute", dispute), ("withdraw", withdraw), ("rule", rule), ("show", show_order),
        ("cost", cost), ("earns", earns), ("list", list_),
    ):  # fmt: skip
        order.command(name)(command)
    app.add_typer(order, name="order")


def _terms(
    ship: float, complete: float, returns: float, holdback_bp: int, commission_bp: int, arbiter: str
) -> dict[str, Any]:
    return {
        "ship_within_ms": round(ship * _DAY_MS),
        "complete_after_ms": round(complete * _DAY_MS),
        "return_window_ms": round(returns * _DAY_MS),
        "holdback_bp": holdback_bp,
        "commission_bp": commission_bp,
        "arbiter": arbiter,
    }


def _line(text: str) -> dict[str, Any]:
    """`SKU:QUANTITY:PRICE` or `SKU:QUANTITY:PRICE:BATCH`; a sku may hold colons itself."""
    parts = text.rsplit(":", 3)
    if len(parts) == 4 and len(parts[3]) != 64:
        parts = text.rsplit(":", 2)
    if len(parts) not in (3, 4) or not parts[1].isdecimal():
        raise typer.BadParameter("a line is SKU:QUANTITY:PRICE or SKU:QUANTITY:PRICE:BATCH")
    line: dict[str, Any] = {
        "sku": parts[0], "quantity": int(parts[1]), "unit_price": micro(parts[2]),
    }  # fmt: skip
    return {**line, "batch": parts[3]} if len(parts) == 4 else line


def _back(text: str) -> dict[str, int]:
    """`LINE:QUANTITY`, lines counted from 0."""
    line, _, quantity = text.partition(":")
    if not line.isdecimal() or not quantity.isdecimal():
        raise typer.BadParameter("a refunded line is LINE:QUANTITY")
    return {"line": int(line), "quantity": int(quantity)}


def _given(**optional: str) -> dict[str, str]:
    return {name: value for name, value in optional.items() if value}


@sends("shop_open")
def open_shop(
    name: Annotated[str, typer.Argument(help="The shop's name.")],
    gateway: Annotated[str, typer.Option(help="The gateway, whose operator signs too.")],
    arbiter: Arbiter,
    ship: Days = 7.0,
    complete: Days = 21.0,
    returns: Days = 14.0,
    holdback_bp: Bp = 0,
    commission_bp: Bp = 0,
) -> dict[str, Any]:
    """Open a shop under a gateway."""
    given = _terms(ship, complete, returns, holdback_bp, commission_bp, arbiter)
    return {"name": name, "gateway": gateway, **given}


@sends("shop_terms")
def terms(
    shop: ShopId,
    arbiter: Arbiter,
    ship: Days = 7.0,
    complete: Days = 21.0,
    returns: Days = 14.0,
    holdback_bp: Bp = 0,
    commission_bp: Bp = 0,
) -> dict[str, Any]:
    """Announce new terms, all of them. They hold for orders paid after the notice."""
    given = _terms(ship, complete, returns, holdback_bp, commission_bp, arbiter)
    return {"shop": shop, **given}


@sends("shop_vouch")
def vouch(
    shop: ShopId,
    amount: Annotated[str, typer.Argument(help="Dollars; 0 ends it.")],
) -> dict[str, Any]:
    """As its gateway: pay what the shop lacks for refunds, up to this sum."""
    return {"shop": shop, "sum": "0" if amount == "0" else micro(amount)}


@sends("order_pay")
def pay(
    shop: ShopId,
    line: Annotated[list[str], typer.Option(help="SKU:QUANTITY:PRICE[:BATCH]; once for each.")],
    distributor: Annotated[str, typer.Option(help="Who brought you: an address.")] = "",
    demand: Annotated[str, typer.Option(help="The demand that this fulfils.")] = "",
    led_by: Annotated[str, typer.Option(help="The review, post or demand that led to it.")] = "",
    country: Annotated[str, typer.Option(help="Where it goes, such as FR.")] = "",
    currency: Annotated[str, typer.Option(help="In which you think, such as EUR.")] = "",
) -> dict[str, Any]:
    """Pay lines to a shop, into escrow."""
    named = _given(
        distributor=distributor, demand=demand, led_by=led_by, country=country, currency=currency
    )
    return {"shop": shop, "lines": [_line(text) for text in line], **named}


@sends("order_ship")
def ship(order: OrderId, reference: Reference = "") -> dict[str, Any]:
    """As the shop: the goods were dispatched."""
    return {"order": order, "reference": reference}


@sends("order_dispatch")
def dispatch(
    order: OrderId,
    carrier: Annotated[str, typer.Option(help="The listed carrier, which signs too: an address.")],
    reference: Reference = "",
) -> dict[str, Any]:
    """As the shop: the goods were dispatched, as the carrier says too."""
    return {"order": order, "reference": reference, "carrier": carrier}


@sends("order_deliver")
def deliver(order: OrderId, reference: Reference = "") -> dict[str, Any]:
    """As a listed carrier: the goods were delivered."""
    return {"order": order, "reference": reference}


@sends("order_extend")
def extend(order: OrderId) -> dict[str, Any]:
    """As the buyer: put completion off, once."""
    return {"order": order}


@sends("order_complete")
def complete(order: OrderId) -> dict[str, Any]:
    """As the buyer: all is well, the shop is paid."""
    return {"order": order}


@sends("order_cancel")
def cancel(order: OrderId) -> dict[str, Any]:
    """As buyer or shop, before shipping: call it off."""
    return {"order": order}


@sends("order_refund")
def refund(
    order: OrderId,
    line: Annotated[list[str], typer.Option(help="LINE:QUANTITY, lines from 0; once for each.")],
    reason: Reason = "",
) -> dict[str, Any]:
    """As the shop: give back lines at the price that was paid."""
    return {"order": order, "lines": [_back(text) for text in line], "reason": reason}


@sends("order_dispute")
def dispute(
    order: OrderId,
    reason: Annotated[str, typer.Option(help="Why; begin with `counterfeit` if it is one.")],
) -> dict[str, Any]:
    """As the buyer: ask the arbiter. The order's clock stands meanwhile."""
    return {"order": order, "reason": reason}


@sends("order_withdraw")
def withdraw(order: OrderId) -> dict[str, Any]:
    """As the buyer: take the dispute back; there is no second one."""
    return {"order": order}


@sends("order_rule")
def rule(
    order: OrderId,
    buyer_bp: Annotated[int, typer.Option(help="Of what is in escrow: 0 to 10000.")],
) -> dict[str, Any]:
    """As the arbiter: split what is still in escrow. It ends the order."""
    return {"order": order, "buyer_bp": buyer_bp}


def show_shop(shop: ShopId, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """A shop's terms and figures, in dollars."""
    from mgsnode.client import call_once

    answer = call_once(rpc, "shop_get", {"shop": shop})
    show(answer if json else readable(answer, _SHOP_SUMS), as_json=json)


def show_order(order: OrderId, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """An order with its lines, dispute and what is held of it. In dollars."""
    from mgsnode.client import call_once

    answer = call_once(rpc, "order_get", {"order": order})
    if not json:
        answer = readable(answer, _ORDER_SUMS)
        answer["items"] = [
            {"line": number, **line} for number, line in enumerate(answer.pop("lines"))
        ]
    show(answer, as_json=json)
