"""What a sale costs and who earns on it: `order cost` and `order earns`, in dollars and tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, micro, show
from mgsnode.cli.readable import readable

_COST_SUMS = frozenset(
    ("total", "network_fee", "transaction_fees", "exchange", "cost", "commission")
)  # fmt: skip
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


def _row(role: str, account: str, what: str, dollars: str, tokens: str = "0") -> dict[str, Any]:
    return {"role": role, "account": account, "what": what, "dollars": dollars, "tokens": tokens}
