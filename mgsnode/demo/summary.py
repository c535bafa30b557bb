"""The demo's result: as `--json` prints it, and as a table for people."""

from __future__ import annotations

from typing import Any, NamedTuple

from mgsnode.audit import line_of
from mgsnode.demo.screen import Screen, dollars, many, short
from mgsnode.demo.story import Story
from state.audit import AuditResult

_MONEY = ("gross", "refunded", "issued", "redeemed", "commissions", "rewards")
_LEADERS_SHOWN = 3


class Summary(NamedTuple):
    """The demo's result, in the order in which it is shown; money in micro-units."""

    orders: int
    order_lines: int
    gross: int
    buyers: int
    refunds: int
    refunded: int
    refunds_unmatched: int
    issued: int
    redeemed: int
    attestations: int
    issues_waited: int
    commissions: int
    distributors: list[dict[str, Any]]
    reviews: int
    votes: int
    rewards: int  # micro-MGS
    leaders: list[dict[str, Any]]
    demand: dict[str, Any]
    goods: dict[str, Any]
    positions: dict[str, str]
    obligations: list[dict[str, Any]]
    cheats_refused: list[dict[str, Any]]
    left_out: list[str]
    transactions: int
    tx_per_second: float
    finality_ms_p50: float
    finality_ms_p99: float
    height: int
    state_root: str
    audit: str

    def document(self) -> dict[str, Any]:
        """As `--json` prints it: money as strings."""
        return {
            name: str(value) if name in _MONEY else value for name, value in self._asdict().items()
        }


def sum_up(story: Story, said: dict[str, Any], result: AuditResult) -> Summary:
    """The figures of a story that has been checked (`said`: what `read_said` read) and audited."""
    stage, ending, figures = story.stage, story.ending, story.stage.courier.figures
    trade, script = stage.trade, stage.script
    distributors = _distributors(story, said)
    return Summary(
        orders=len(trade.orders),
        order_lines=trade.order_lines,
        gross=trade.gross,
        buyers=trade.buyers,
        refunds=len(trade.refunds),
        refunded=trade.refunded,
        refunds_unmatched=trade.refunds_unmatched,
        issued=stage.issued,
        redeemed=ending.redeemed,
        attestations=story.opening.attestations,
        issues_waited=len(stage.waited),
        commissions=sum(int(each["commission"]) for each in distributors),
        distributors=distributors,
        reviews=said["rating"]["reviews"],
        votes=len(script.votes),
        rewards=ending.rewards,
        leaders=[leader._asdict() | {"voice": str(leader.voice)} for leader in ending.leaders],
        demand={
            "sku": script.wanted.sku,
            "backers": said["demand"]["backers"],
            "units": script.wanted.units,
            "fulfilled": said["demand"]["fulfilled"],
        },
        goods={
            "sku": script.lot.sku,
            "units": script.lot.units,
            "shipped": said["batch"]["shipped"],
            "traced": [each["batch"] for each in said["trace"]["items"]],
        },
        positions=dict(said["supply"]["positions"]),
        obligations=[
            debt._asdict() | {"amount": str(debt.amount), "fiat": str(debt.fiat)}
            for debt in ending.debts
        ],
        cheats_refused=[each._asdict() for each in story.cheats.refused],
        left_out=ending.left_out,
        transactions=figures.transactions,
        tx_per_second=round(story.replay.transactions / max(story.replay.seconds, 1e-3), 1),
        finality_ms_p50=round(figures.percentile(0.50), 1),
        finality_ms_p99=round(figures.percentile(0.99), 1),
        height=result.height,
        state_root=result.root.hex(),
        audit=line_of(result),
    )


def _distributors(story: Story, said: dict[str, Any]) -> list[dict[str, Any]]:
    by_address = {each["distributor"]: each for each in said["partners"]["items"]}
    brought = list(story.stage.script.brought.values())
    return [
        {
            "name": name,
            "buyers": brought.count(name),
            "commission": str(
                int(by_address[address]["accrued"]) - int(by_address[address]["reversed"])
            ),
        }
        for name, address in story.distributors.items()
    ]


def show(summary: Summary, screen: Screen) -> None:
    """The summary as tables."""
    s = summary
    screen.table("A shop's trade, settled", _trade_rows(s) + _economy_rows(s) + _chain_rows(s))
    if s.cheats_refused:
        tried = [(f"{short(c['who'])}: {c['tried']}", c["refused"]) for c in s.cheats_refused]
        screen.table("Who tried to cheat, and the chain's answer", tried)
    for sentence in s.left_out:
        screen.say(f"left out: {sentence}")
    screen.say(f"audit: {s.audit}")


def _trade_rows(s: Summary) -> list[tuple[str, str]]:
    return [
        (
            "orders settled",
            f"{s.orders:,} with {many(s.order_lines, 'line')}, {many(s.buyers, 'buyer')}",
        ),
        ("dollars settled (gross)", dollars(s.gross)),
        ("refunded", f"{dollars(s.refunded)} in {many(s.refunds, 'refund')}"),
        ("credit rows that match no order", f"{s.refunds_unmatched:,}"),
        ("attestations", f"{s.attestations:,}"),
        (
            "issued by the gateways",
            f"{dollars(s.issued)}, {many(s.issues_waited, 'issue')} had to wait",
        ),
        ("redeemed by the shop", dollars(s.redeemed)),
        *(
            (
                f"cleared: {d['debtor']} to {d['creditor']}",
                f"{dollars(int(d['amount']))}, {d['status']}",
            )
            for d in s.obligations
        ),
        *((f"position of {name}", dollars(int(sum_))) for name, sum_ in s.positions.items()),
    ]


def _economy_rows(s: Summary) -> list[tuple[str, str]]:
    return [
        ("commissions", dollars(s.commissions)),
        *(
            (
                f"  {d['name']}, who brought {many(d['buyers'], 'buyer')}",
                dollars(int(d["commission"])),
            )
            for d in s.distributors
        ),
        ("reviews, votes", f"{s.reviews:,}, {s.votes:,}"),
        *(
            (f"  leader of period {x['period']}: customer {short(x['customer'])}",
             f"{dollars(int(x['voice']))} MGS of voice, {many(x['voters'], 'reader')}")
            for x in s.leaders[:_LEADERS_SHOWN]
        ),
        (f"demand for {short(s.demand['sku'])}",
         f"{many(s.demand['fulfilled'], 'unit')} for {many(s.demand['backers'], 'backer')}"),
        (f"goods traced to their maker: {short(s.goods['sku'])}",
         many(s.goods["shipped"], "unit")),
        ("rewards claimed", f"{dollars(s.rewards)} MGS"),
    ]  # fmt: skip


def _chain_rows(s: Summary) -> list[tuple[str, str]]:
    return [
        ("transactions", f"{s.transactions:,}"),
        ("transactions a second", f"{s.tx_per_second:,.1f}"),
        (
            "final on another node, ms",
            f"{s.finality_ms_p50:,.1f} (p50)  {s.finality_ms_p99:,.1f} (p99)",
        ),
        ("height", f"{s.height:,}"),
    ]
