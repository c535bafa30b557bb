"""For distributors, their buyers and shops: join, bind, agree, cut, terms, storefront; and for
whoever looks in from outside: who would earn what on a sale, and the export of all referred sales.

Where two have to sign, `--with-dev-key` takes a development key; real keys sign one after another
with `mgsnode tx build`, `sign` and `send`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mgsnode.cli.common import (
    RPC_DEFAULT,
    JsonFlag,
    RpcUrl,
    hash_hex,
    micro,
    show,
)
from mgsnode.cli.readable import readable
from mgsnode.cli.sending import sends

_PAGE = 50
_DAY_MS = 86_400_000
_SPLIT_SUMS = frozenset(
    (
        "total", "fee", "commission", "level_1", "level_2", "holdback", "to_shop",
    )
)  # fmt: skip
Shop = Annotated[str, typer.Argument(help="The shop's id.")]
Distributor = Annotated[str, typer.Argument(help="The distributor's address.")]
ShareBp = Annotated[int, typer.Option(help="The share in basis points: 1,000 is a tenth.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    refer = typer.Typer(
        help="Referral: from joining a shop to the export of sales.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (join, bind, agree, cut, terms, storefront, split, export):
        refer.command()(command)
    app.add_typer(refer, name="refer")


@sends("refer_join")
def join(
    shop: Shop,
    recruiter: Annotated[str, typer.Option(help="Who recruited you; it signs too.")] = "",
) -> dict[str, Any]:
    """Work for a shop as a distributor from now on."""
    return {"shop": shop, **({"recruiter": recruiter} if recruiter else {})}


@sends("refer_bind")
def bind(distributor: Distributor, shop: Shop) -> dict[str, Any]:
    """Say who brought you to a shop, before you order there."""
    return {"distributor": distributor, "shop": shop}


@sends("refer_agree")
def agree(
    shop: Shop,
    text: Annotated[
        str, typer.Option("--terms", help="The agreement: its hash (64 hex), or text to hash.")
    ],
    share_bp: ShareBp,
    notice_days: Annotated[int, typer.Option(help="Notice of a later cut, in days.")] = 7,
) -> dict[str, Any]:
    """Agree with a shop on a share of your own; its owner signs too."""
    return {
        "shop": shop,
        "terms": hash_hex(text),
        "share_bp": share_bp,
        "notice_ms": notice_days * _DAY_MS,
    }


@sends("refer_cut")
def cut(shop: Shop, distributor: Distributor, share_bp: ShareBp) -> dict[str, Any]:
    """Announce a lower share to a distributor. It holds after the agreed notice."""
    return {"shop": shop, "distributor": distributor, "share_bp": share_bp}


@sends("refer_terms")
def terms(
    shop: Shop,
    binding_days: Annotated[int, typer.Option(help="How long a binding lasts, in days.")] = 30,
    campaign_cap: Annotated[str, typer.Option(help="Dollars for the whole campaign.")] = "",
    person_cap: Annotated[str, typer.Option(help="Dollars for each distributor.")] = "",
    shop_cap: Annotated[str, typer.Option(help="Dollars for all campaigns with this cap.")] = "",
) -> dict[str, Any]:
    """Begin a campaign as a shop. It is the terms of bindings made from then on."""
    caps = {"campaign_cap": campaign_cap, "person_cap": person_cap, "shop_cap": shop_cap}
    fields: dict[str, Any] = {"shop": shop, "binding_ms": binding_days * _DAY_MS}
    fields |= {name: micro(cap) for name, cap in caps.items() if cap}
    return fields


@sends("refer_storefront")
def storefront(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    items: Annotated[list[str], typer.Argument(help="Lines: SHOP/SKU, a shop's id and a sku.")],
    replace: Annotated[str, typer.Option(help="The storefront that gets these items.")] = "",
) -> dict[str, Any]:
    """Keep a storefront of lines of several shops."""
    lines = [dict(zip(("shop", "sku"), item.split("/", 1), strict=False)) for item in items]
    if any(len(line) != 2 for line in lines):
        raise typer.BadParameter("a line reads SHOP/SKU")
    return {"name": name, "items": lines, **({"storefront": replace} if replace else {})}


def split(
    shop: Shop,
    total: Annotated[str, typer.Argument(help="What would be paid, in dollars.")],
    buyer: Annotated[str, typer.Option(help="Who would pay: its binding counts.")] = "",
    distributor: Annotated[str, typer.Option(help="Whom the order would name.")] = "",
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Show who would earn what on an order, before it is paid. In dollars."""
    from mgsnode.client import call_once

    named = {"buyer": buyer, "distributor": distributor}
    params = {"shop": shop, "total": micro(total), **{k: v for k, v in named.items() if v}}
    answer = call_once(rpc, "order_split", params)
    show(answer if json else readable(answer, _SPLIT_SUMS), as_json=json)


def export(
    out: Annotated[Path, typer.Option(help="The file to write: one JSON object a line.")],
    shop: Annotated[str, typer.Option(help="Only the sales at this shop.")] = "",
    distributor: Annotated[str, typer.Option(help="Only the sales of this distributor.")] = "",
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """Write all referred sales for a regulator. With parties, depth, payouts and what they rest on.

    The totals say how many payouts rest on no final sale to a third party, and of how many the
    rows are not what the order paid: the chain's laws say none, and here it is counted again from
    the records. `linked_by_now` counts payouts whose parties have become linked, since or before.
    """
    from json import dumps

    from mgsnode.client import call_once

    named = {"shop": shop, "distributor": distributor}
    params: dict[str, Any] = {k: v for k, v in named.items() if v}
    totals = {
        "sales": 0, "final": 0, "paid": 0, "depth_2": 0, "without_final_sale": 0,
        "linked_by_now": 0, "rows_that_differ": 0,
    }  # fmt: skip
    cursor: str | None = None
    with out.open("x", encoding="utf-8") as file:
        while True:
            page = call_once(rpc, "referral_list", {**params, "limit": _PAGE, "cursor": cursor})
            for sale in page["items"]:
                _complete(rpc, sale)
                file.write(dumps(sale, separators=(",", ":")) + "\n")
                _count(totals, sale)
            cursor = page["next_cursor"]
            if cursor is None:
                break
    show({**totals, "paid": str(totals["paid"]), "file": str(out)}, as_json=json)


def _complete(rpc: str, sale: dict[str, Any]) -> None:
    """Add the rows of a sale that its list does not show: one refunded in many parts has many."""
    from mgsnode.client import call_once

    params: dict[str, Any] = {"order": sale["order"], "limit": _PAGE}
    rows: list[Any] = []
    while len(sale["rows"]) < sale["row_count"]:
        page = call_once(rpc, "commission_list", params)
        rows += page["items"]
        params["cursor"] = page["next_cursor"]
        if params["cursor"] is None:
            sale["rows"], sale["row_count"] = rows, len(rows)


def _count(totals: dict[str, int], sale: dict[str, Any]) -> None:
    paid = sum(int(row["paid"]) for row in sale["rows"])
    totals["sales"] += 1
    totals["final"] += sale["order_status"] == "final"
    totals["paid"] += paid
    totals["depth_2"] += sale["depth"] == 2
    parties = (sale["owner"], sale["distributor"], sale["recruiter"])
    is_third_party = sale["buyer"] not in parties and sale["owner"] not in parties[1:]
    totals["without_final_sale"] += bool(paid) and not (
        sale["order_status"] == "final" and is_third_party
    )
    totals["linked_by_now"] += bool(paid) and any(sale["linked"].values())
    totals["rows_that_differ"] += paid != int(sale["paid"])
