"""The whole demo: read the files, run the network, tell the story, compare, audit, sum up."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, NamedTuple

from mgsnode.audit import audit_home
from mgsnode.base.errors import Corrupt
from mgsnode.client import Client
from mgsnode.demo.check import Agreed, compare_nodes, differences, read_said
from mgsnode.demo.courier import Courier, Failed
from mgsnode.demo.plan import PARAMS, POCKET, cap_of, check_size, places_of, pockets
from mgsnode.demo.screen import Screen
from mgsnode.demo.script import write_script
from mgsnode.demo.stage import Stage
from mgsnode.demo.story import Story
from mgsnode.demo.summary import Summary, sum_up
from mgsnode.demo.wallet import Fees, Wallet
from mgsnode.localnet import Localnet
from mgsnode.reviews import Opinion, read_reviews
from mgsnode.trade import Trade, parse_rate, read_trade
from state.audit import AuditResult

TRADE_FILE: Final = "online_retail.csv"
REVIEWS_FILE: Final = "reviews.csv"


class Options(NamedTuple):
    """What the command line says. None: the file that travels with the package."""

    gateways: int
    data: Path | None
    reviews: Path | None
    gbp_usd: str


class Told(NamedTuple):
    """What the network was seen to do."""

    story: Story
    said: dict[str, Any]
    agreed: Agreed


def load_files(options: Options) -> tuple[Trade, tuple[Opinion, ...]]:
    """The trade to replay and the reviews to write, else `ConfigError`."""
    rate = parse_rate(options.gbp_usd)
    shipped = files("mgsnode").joinpath("data")
    with as_file(shipped.joinpath(TRADE_FILE)) as path:
        trade = read_trade(options.data or path, rate)
    check_size(trade)
    with as_file(shipped.joinpath(REVIEWS_FILE)) as path:
        return trade, read_reviews(options.reviews or path)


def make_network(root: Path, trade: Trade, gateways: int) -> Localnet:
    """A network on free ports whose deadlines are of a minute and less.

    No gateway may issue anything before it is attested.
    """
    return Localnet.create(
        root,
        gateways=gateways,
        base_port=None,
        chain_id="mgs-demo",
        params=PARAMS,
        cap=cap_of(trade),
        accounts=pockets(),
        holder_dollar=POCKET,
        room=0,
    )


def run(
    net: Localnet, trade: Trade, opinions: tuple[Opinion, ...], screen: Screen, *, keep: bool
) -> Summary:
    """The demo on a network that does not run yet. Raises `Failed` or `Corrupt` where it fails.

    With `keep` all nodes run when it returns, else none does.
    """
    screen.phase(f"{len(net.nodes)} nodes start", len(net.nodes))
    net.start()
    screen.step(len(net.nodes))
    told = asyncio.run(_tell(net, trade, opinions, screen))
    last = net.nodes[-1].place
    result = _audit(net, last, told.agreed.height, screen)
    if not result.ok:
        raise Corrupt(f"audit of {net.nodes[last].name}: {result.fault}")
    at_audit = told.agreed.roots[min(result.height, told.agreed.height)]
    if result.height == told.agreed.height and result.root.hex() != at_audit:
        raise Corrupt(f"the replay's root at height {result.height} is not that of the nodes")
    sent = told.story.stage.courier.figures.transactions
    if result.transactions != sent:
        raise Failed(f"{sent} transactions were sent, the chain holds {result.transactions}")
    if keep:
        net.restart(last)
    else:
        net.stop()
    return sum_up(told.story, told.said, result)


def _audit(net: Localnet, index: int, height: int, screen: Screen) -> AuditResult:
    """Stop one node and replay what it stored."""
    net.stop_node(index)
    screen.phase(f"audit of {net.nodes[index].name}", height)

    def on(what: str, done: int, of: int) -> None:
        if what == "replay":
            screen.step(min(done, height) if done < of else height)

    return audit_home(net.nodes[index].home, progress=on)


async def _tell(net: Localnet, trade: Trade, opinions: tuple[Opinion, ...], screen: Screen) -> Told:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(node.rpc)) for node in net.nodes]
        fees = Fees.of(await clients[0].call("tx_kinds"))
        now_ms = time.time_ns() // 1_000_000
        wallet = Wallet(net.genesis.hash, net.genesis.hrp, fees, now_ms)
        courier = Courier(clients)
        script = write_script(trade, opinions)
        places = places_of(net.genesis)
        story = Story(Stage(trade, script, places, wallet, courier, clients))
        stack.push_async_callback(story.stage.close)
        await courier.run(story.tell(screen, net.genesis))
        screen.phase(f"{len(clients)} nodes compared", 1)
        agreed = await compare_nodes(clients)
        screen.step(note=f"alike to height {agreed.height}")
        said = await read_said(clients[-1], story)
        wrong = differences(story, said, sum(a.dollar for a in net.genesis.accounts))
        if wrong:
            raise Failed("; ".join(wrong))
        return Told(story, said, agreed)
