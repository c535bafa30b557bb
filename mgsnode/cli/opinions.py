"""For buyers, readers and moderators: `review …`, each command one transaction or one look."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mgsnode.cli.common import RPC_DEFAULT, JsonFlag, RpcUrl, show
from mgsnode.cli.sending import sends

ReviewId = Annotated[str, typer.Argument(help="The review: the txid that wrote it.")]
OrderId = Annotated[str, typer.Argument(help="The order: the txid that paid it.")]
Line = Annotated[int, typer.Option(help="The line of the order, counted from 0.")]
Stars = Annotated[int, typer.Option(help="1 to 5 stars.")]
Words = Annotated[str, typer.Option(help="Up to 2,000 bytes; public, for ever.")]
Disclosure = Annotated[str, typer.Option(help="none, gift, commission or employee.")]
Service = Annotated[int, typer.Option(help="1 to 5 stars for the service; 0: not said.")]
Scene = Annotated[str, typer.Option(help="Where it was used: a-z, 0-9 and hyphens.")]
Why = Annotated[str, typer.Option(help="law, private or spam.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    review = typer.Typer(
        help="Reviews: write, follow, answer, vote, report, hide, show.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, command in (
        ("write", write), ("follow", follow), ("answer", answer), ("vote", vote),
        ("report", report), ("hide", hide), ("show", show_review),
    ):  # fmt: skip
        review.command(name)(command)
    app.add_typer(review, name="review")


@sends("review_write")
def write(
    order: OrderId,
    rating: Stars,
    line: Line = 0,
    text: Words = "",
    disclosure: Disclosure = "none",
    service: Service = 0,
    scene: Scene = "",
) -> dict[str, Any]:
    """Say of a line of your own order what it was like."""
    fields = {
        "order": order, "line": line, "rating": rating, "text": text, "disclosure": disclosure,
    }  # fmt: skip
    more = {"service_rating": service, "scene": scene}
    return {**fields, **{name: value for name, value in more.items() if value}}


@sends("review_follow")
def follow(
    review: ReviewId,
    text: Words = "",
    rating: Annotated[int, typer.Option(help="New stars; 0: as before.")] = 0,
) -> dict[str, Any]:
    """Come back to your review; what was said stays."""
    return {"review": review, "text": text, **({"rating": rating} if rating else {})}


@sends("review_answer")
def answer(review: ReviewId, text: Words) -> dict[str, Any]:
    """Answer a review as its shop."""
    return {"review": review, "text": text}


@sends("review_vote")
def vote(
    review: ReviewId,
    helpful: Annotated[bool, typer.Option("--helpful/--not-helpful", help="Whether it helped.")],
) -> dict[str, Any]:
    """Give a part of your voice to a review, or spend it against one."""
    return {"review": review, "helpful": helpful}


@sends("text_report")
def report(review: ReviewId, reason: Why) -> dict[str, Any]:
    """Point moderators to the text of a review or a post."""
    return {"text": review, "reason": reason}


@sends("text_moderate")
def hide(
    review: ReviewId,
    reason: Annotated[str, typer.Option(help="law, private or spam; none: show it again.")] = "",
) -> dict[str, Any]:
    """As a moderator: have a text hidden, or shown again."""
    return {"text": review, **({"reason": reason} if reason else {})}


def show_review(review: ReviewId, rpc: RpcUrl = RPC_DEFAULT, json: JsonFlag = False) -> None:
    """A review with its history."""
    from mgsnode.client import call_once

    show(call_once(rpc, "review_get", {"review": review}), as_json=json)
