"""For who wants something and who talks about it: `demand …` and `community …`.

Prices are dollars as people write them, times are days; texts that stay off the chain are hashed.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, hash_hex, micro, show
from mgsnode.cli.readable import readable
from mgsnode.cli.sending import sends

_DAY_MS = 86_400_000
_SUMS = frozenset(("price", "value"))
Demand = Annotated[str, typer.Argument(help="The demand: the txid that posted it.")]
Community = Annotated[str, typer.Argument(help="The community: the txid that founded it.")]
Category = Annotated[str, typer.Argument(help="What it is: a-z, 0-9 and hyphens.")]
Price = Annotated[str, typer.Option(help="Of one, in dollars.")]
Quantity = Annotated[int, typer.Option(help="How many.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    groups = (
        ("demand", "Demand: post, back, withdraw, offer, show, open.",
         (("post", post), ("back", back), ("withdraw", withdraw), ("offer", offer),
          ("show", show_demand), ("open", show_open))),
        ("community", "Communities: found, join, leave, say, show.",
         (("found", found), ("join", join), ("leave", leave), ("say", say),
          ("show", show_community))),
    )  # fmt: skip
    for name, what, commands in groups:
        group = typer.Typer(help=what, no_args_is_help=True, rich_markup_mode=None)
        for word, command in commands:
            group.command(word)(command)
        app.add_typer(group, name=name)


@sends("demand_post")
def post(
    category: Category,
    description: Annotated[str, typer.Option(help="What you want: text that is hashed, or hex.")],
    price: Price,
    quantity: Quantity,
    scene: Annotated[str, typer.Option(help="Where it is for: a-z, 0-9 and hyphens.")],
    own: Annotated[int, typer.Option(help="How many of these you back yourself.")] = 1,
    days: Annotated[float, typer.Option(help="How long it stands.")] = 30.0,
) -> dict[str, Any]:
    """Say what you would buy, and at which price. You back a part of it with a deposit."""
    return {
        "category": category, "scene": scene, "description": hash_hex(description),
        "price": micro(price), "quantity": quantity, "lasts_ms": round(days * _DAY_MS), "own": own,
    }  # fmt: skip


@sends("demand_back")
def back(demand: Demand, quantity: Quantity) -> dict[str, Any]:
    """Want it too, with a deposit. It comes back with your order or at the end."""
    return {"demand": demand, "quantity": quantity}


@sends("demand_withdraw")
def withdraw(demand: Demand) -> dict[str, Any]:
    """Want it no more. A tenth of the deposit is lost."""
    return {"demand": demand}


@sends("demand_offer")
def offer(
    demand: Demand,
    shop: Annotated[str, typer.Option(help="Your shop.")],
    price: Price,
    quantity: Quantity,
    terms: Annotated[str, typer.Option(help="The terms: text that is hashed, or hex.")],
) -> dict[str, Any]:
    """As a shop: say at which price and terms you would serve it."""
    return {
        "demand": demand, "shop": shop, "price": micro(price), "quantity": quantity,
        "terms": hash_hex(terms),
    }  # fmt: skip


def show_demand(demand: Demand, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """A demand, and how much of it is open and fulfilled."""
    _ask("demand_get", rpc, as_json=json, demand=demand)


def show_open(
    category: Category,
    scene: Annotated[str, typer.Option(help="Only of this scene.")] = "",
    rpc: RpcUrl = RPC_DEFAULT,
    json: JsonFlag = False,
) -> None:
    """What is wanted of a category. Counted are those who ever bought something."""
    _ask("demand_open", rpc, as_json=json, category=category, scene=scene or None)


@sends("community_found")
def found(
    name: Annotated[str, typer.Argument(help="Its name.")],
    about: Annotated[str, typer.Option(help="What it is about: text that is hashed, or hex.")],
) -> dict[str, Any]:
    """Found a community."""
    return {"name": name, "about": hash_hex(about)}


@sends("community_join")
def join(community: Community) -> dict[str, Any]:
    """Become a member; free."""
    return {"community": community}


@sends("community_leave")
def leave(community: Community) -> dict[str, Any]:
    """Be a member no more."""
    return {"community": community}


@sends("post_write")
def say(
    text: Annotated[str, typer.Argument(help="Up to 2,000 bytes; public, for ever.")],
    community: Annotated[str, typer.Option(help="Where you are a member; without: to all.")] = "",
    disclosure: Annotated[str, typer.Option(help="none, gift, commission, employee.")] = "none",
    line: Annotated[list[str] | None, typer.Option(help="ORDER:LINE; once for each.")] = None,
    scene: Annotated[str, typer.Option(help="Where it is used: a-z, 0-9 and hyphens.")] = "",
) -> dict[str, Any]:
    """Say something in public, such as of lines that you bought."""
    optional = {"community": community, "scene": scene}
    return {
        "text": text, "disclosure": disclosure, "lines": [_line(each) for each in line or []],
        "batches": [], **{name: value for name, value in optional.items() if value},
    }  # fmt: skip


def show_community(community: Community, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """A community with its figures."""
    _ask("community_get", rpc, as_json=json, community=community)


def _line(text: str) -> dict[str, Any]:
    order, _, line = text.partition(":")
    if not line.isdecimal():
        raise typer.BadParameter(f"{text[:40]!r} does not read ORDER:LINE")
    return {"order": order, "line": int(line)}


def _ask(method: str, rpc: str, /, *, as_json: bool, **params: Any) -> None:
    from mgsnode.client import call_once

    answer = call_once(rpc, method, params)
    show(answer if as_json else readable(answer, _SUMS), as_json=as_json)
