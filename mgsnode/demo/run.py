"""The whole demo: read the file, run the network, replay the trade, compare, audit, sum up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, NamedTuple

from mgsnode.audit import audit_home, line_of
from mgsnode.base.errors import Corrupt
from mgsnode.client import Client
from mgsnode.demo.check import Agreed, compare_nodes, differences
from mgsnode.demo.courier import Courier, Failed, Figures
from mgsnode.demo.plan import PARAMS, cap_of, places_of
from mgsnode.demo.replay import Replay
from mgsnode.demo.screen import Screen, dollars
from mgsnode.demo.wallet import Fees, Wallet
from mgsnode.localnet import Localnet
from mgsnode.trade import Order, Refund, Trade, parse_rate, read_trade
from state.audit import AuditResult

TRADE_FILE: Final = "online_retail.csv"


class Options(NamedTuple):
    """What the command line says."""

    gateways: int
    data: Path | None  # None: the file that travels with the package
    gbp_usd: str


class Told(NamedTuple):
    """What the network was seen to do."""

    replay: Replay
    figures: Figures
    agreed: Agreed


class Summary(NamedTuple):
    """The demo's result, in the order in which it is shown; money in micro-dollars."""

    orders: int
    order_lines: int
    gross: int
    buyers: int
    refunds: int
    refunded: int
    refunds_unmatched: int
    issued: int
    redeemed: int
    transactions: int
    tx_per_second: float
    finality_ms_p50: float
    finality_ms_p99: float
    height: int
    state_root: str
    audit: str

    def document(self) -> dict[str, Any]:
        """As `--json` prints it: money as strings."""
        money = ("gross", "refunded", "issued", "redeemed")
        return {
            name: str(value) if name in money else value for name, value in self._asdict().items()
        }


def load_trade(options: Options) -> Trade:
    """The trade to replay, else `ConfigError`."""
    rate = parse_rate(options.gbp_usd)
    if options.data is not None:
        return read_trade(options.data, rate)
    with as_file(files("mgsnode").joinpath("data", TRADE_FILE)) as path:
        return read_trade(path, rate)


def make_network(root: Path, trade: Trade, gateways: int) -> Localnet:
    """A network on free ports whose deadlines are of a minute and less."""
    return Localnet.create(
        root,
        gateways=gateways,
        base_port=None,
        chain_id="mgs-demo",
        params=PARAMS,
        cap=cap_of(trade),
    )


def run(net: Localnet, trade: Trade, screen: Screen, *, keep: bool) -> Summary:
    """The demo on a network that does not run yet. Raises `Failed` or `Corrupt` where it fails.

    With `keep` all nodes run when it returns, else none does.
    """
    screen.phase(f"{len(net.nodes)} nodes start", len(net.nodes))
    net.start()
    screen.step(len(net.nodes))
    told = asyncio.run(_tell(net, trade, screen))
    last = net.nodes[-1].place
    result = _audit(net, last, told.agreed.height, screen)
    if not result.ok:
        raise Corrupt(f"audit of {net.nodes[last].name}: {result.fault}")
    at_audit = told.agreed.roots[min(result.height, told.agreed.height)]
    if result.height == told.agreed.height and result.root.hex() != at_audit:
        raise Corrupt(f"the replay's root at height {result.height} is not that of the nodes")
    if result.transactions != told.figures.transactions:
        sent, found = told.figures.transactions, result.transactions
        raise Failed(f"{sent} transactions were sent, the chain holds {found}")
    if keep:
        net.restart(last)
    else:
        net.stop()
    return _summary(trade, told, result)


def _audit(net: Localnet, index: int, height: int, screen: Screen) -> AuditResult:
    """Stop one node and replay what it stored."""
    net.stop_node(index)
    screen.phase(f"audit of {net.nodes[index].name}: blocks replayed", height)

    def on(what: str, done: int, of: int) -> None:
        if what == "replay":
            screen.step(min(done, height) if done < of else height)

    return audit_home(net.nodes[index].home, progress=on)


async def _tell(net: Localnet, trade: Trade, screen: Screen) -> Told:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(node.rpc)) for node in net.nodes]
        fees = Fees.of(await clients[0].call("tx_kinds"))
        now_ms = time.time_ns() // 1_000_000
        wallet = Wallet(net.genesis.hash, net.genesis.hrp, fees, now_ms)
        courier = Courier(clients)
        replay = Replay(trade, places_of(net.genesis), wallet, courier, clients)

        async def story() -> None:
            screen.phase("orders and refunds", len(trade.orders) + len(trade.refunds))
            await replay.tell(_teller(screen))
            screen.phase("return windows close, the shop redeems", 2)
            await replay.redeem()
            screen.step()
            await replay.wait_final()
            screen.step()

        await courier.run(story())
        screen.phase(f"{len(clients)} nodes compared, block by block", 1)
        agreed = await compare_nodes(clients)
        screen.step(note=f"height {agreed.height}, the same on all")
        await _check(trade, replay, clients[-1], sum(a.dollar for a in net.genesis.accounts))
        return Told(replay, courier.figures, agreed)


def _teller(screen: Screen) -> Callable[[Order | Refund], None]:
    latest = ""

    def told(step: Order | Refund) -> None:
        nonlocal latest
        latest = max(latest, f"{step.time:%Y-%m-%d %H:%M}")
        screen.step(note=latest)

    return told


async def _check(trade: Trade, replay: Replay, client: Client, genesis_dollars: int) -> None:
    shop = await client.call("shop_get", {"shop": replay.shop})
    supply = await client.call("dollar_supply")
    wrong = differences(trade, replay, shop, supply, genesis_dollars)
    if wrong:
        raise Failed("; ".join(wrong))


def _summary(trade: Trade, told: Told, result: AuditResult) -> Summary:
    figures, replay = told.figures, told.replay
    return Summary(
        orders=len(trade.orders),
        order_lines=trade.order_lines,
        gross=trade.gross,
        buyers=trade.buyers,
        refunds=len(trade.refunds),
        refunded=trade.refunded,
        refunds_unmatched=trade.refunds_unmatched,
        issued=replay.issued,
        redeemed=replay.redeemed,
        transactions=figures.transactions,
        tx_per_second=round(replay.transactions / max(replay.seconds, 1e-3), 1),
        finality_ms_p50=round(figures.percentile(0.50), 1),
        finality_ms_p99=round(figures.percentile(0.99), 1),
        height=result.height,
        state_root=result.root.hex(),
        audit=line_of(result),
    )


def show(summary: Summary, screen: Screen) -> None:
    """The summary as a table."""
    s = summary
    rows = [
        ("orders settled", f"{s.orders:,} with {s.order_lines:,} lines, {s.buyers:,} buyers"),
        ("dollars settled (gross)", dollars(s.gross)),
        ("refunded", f"{dollars(s.refunded)} in {s.refunds:,} refunds"),
        ("credit rows without an order in the file", f"{s.refunds_unmatched:,}"),
        ("issued by the gateways", dollars(s.issued)),
        ("redeemed by the shop", dollars(s.redeemed)),
        ("transactions", f"{s.transactions:,}"),
        ("transactions a second", f"{s.tx_per_second:,.1f}"),
        (
            "final on another node, ms",
            f"{s.finality_ms_p50:,.1f} (p50)  {s.finality_ms_p99:,.1f} (p99)",
        ),
        ("height", f"{s.height:,}"),
        ("state root", s.state_root),
    ]
    screen.table("A shop's trade, settled", rows)
    screen.say(f"audit: {s.audit}")
