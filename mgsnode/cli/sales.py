"""Sales as they stand: what one costs, who earns on it, and which wait for whom (`order list`)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, micro, show
from mgsnode.cli.readable import readable

_COST_SUMS = frozenset(
    ("total", "network_fee", "transaction_fees", "exchange", "cost", "commission")
)  # fmt: skip
_COLUMNS = ("order", "status", "total", "refunded", "buyer", "paid_ms", "due_live_ms")
_NOT_FOUND = -32001
_PAGE = 500


def cost(
    shop: Annotated[str, typer.Argument(help="The shop: the txid that opened it.")],
    total: Annotated[str, typer.Argument(help="What would be paid, in dollars.")],
    gateway: Annotated[str, typer.Option(help="Whose exchange counts.")] = "",
    currency: Annotated[str, typer.Option(help="Into which currency, such as EUR.")] = "USD",
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """What an order costs in all, an exchange included. In dollars.

    Without a quote for the total the exchange is unknown (null), and not in the cost.
    """
    from mgsnode.client import call_once

    params = {
        "shop": shop, "total": micro(total), "gateway": gateway or None, "currency": currency,
    }  # fmt: skip
    answer = call_once(rpc, "order_cost", params)
    show(answer if json else readable(answer, _COST_SUMS), as_json=json)


def earns(
    order: Annotated[str, typer.Argument(help="The order: the txid that paid it.")],
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Who earns what on an order, in dollars and in tokens. While it is open: what is promised.

    Tokens of a period that still runs are as if it ended now.
    """
    from mgsnode.client import RpcFailure, call_once

    answer = call_once(rpc, "order_get", {"order": order})
    sales = call_once(rpc, "referral_list", {"order": order})["items"]
    rows: list[dict[str, Any]] = []
    if sales and sales[0]["status"] == "open":
        rows.append(_row("distributor", sales[0]["distributor"], "promised", sales[0]["promised"]))
    if sales:
        found = call_once(rpc, "commission_list", {"order": order, "limit": _PAGE})["items"]
        rows += [_row("distributor", r["distributor"], r["kind"], r["amount"]) for r in found]
    try:
        reward = call_once(rpc, "reward_order", {"order": order})
    except RpcFailure as failure:
        if failure.code != _NOT_FOUND:
            raise
    else:
        kind = "fixed" if reward["closed"] else "so far"
        rows += [_row(p["role"], p["account"], kind, "0", p["amount"]) for p in reward["parts"]]
    told = {
        "items": rows, "order": order, "status": answer["status"], "to_shop": answer["to_shop"],
        "fee": answer["fee"], "refunded": answer["refunded"],
    }  # fmt: skip
    if not json:
        told = readable(told, {"to_shop", "fee", "refunded", "dollars", "tokens"})
    show(told, as_json=json)


def list_(
    shop: Annotated[str, typer.Option(help="At this shop: the txid that opened it.")] = "",
    buyer: Annotated[str, typer.Option(help="Of this buyer.")] = "",
    arbiter: Annotated[str, typer.Option(help="Ever disputed before this arbiter.")] = "",
    status: Annotated[
        str, typer.Option(help="Only these: paid (to be shipped), shipped, disputed …")
    ] = "",
    newest: Annotated[bool, typer.Option("--newest", help="Begin with the newest.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """List orders of one shop, buyer or arbiter. What a shop must still ship is --status paid."""
    from mgsnode.client import call_once

    named = {"shop": shop, "buyer": buyer, "arbiter": arbiter, "status": status}
    params: dict[str, Any] = {name: value for name, value in named.items() if value}
    params |= {"newest": newest, "cursor": None}
    items: list[dict[str, Any]] = []
    while len(items) < limit:  # a page may be short, even empty, and go on
        wanted = min(limit - len(items), _PAGE)
        page = call_once(rpc, "order_list", {**params, "limit": wanted})
        items += page["items"]
        params["cursor"] = page["next_cursor"]
        if params["cursor"] is None:
            break
    if not json:
        rows = [{name: order[name] for name in _COLUMNS} for order in items]
        items = readable(rows, {"total", "refunded"})
    show({"items": items, "more": params["cursor"] is not None}, as_json=json)


def _row(role: str, account: str, what: str, dollars: str, tokens: str = "0") -> dict[str, Any]:
    return {"role": role, "account": account, "what": what, "dollars": dollars, "tokens": tokens}
