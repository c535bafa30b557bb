"""The demo: who serves whom, what wallets pay, how deliveries are measured, and the whole of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import open_transaction
from mgsnode.demo.courier import Courier, Failed, Figures
from mgsnode.demo.plan import customer_key, places_of, redeeming, serving, whole_cents
from mgsnode.demo.run import Summary
from mgsnode.demo.screen import dollars
from mgsnode.demo.wallet import Fees, Wallet
from mgsnode.devnet import dev_genesis
from mgsnode.trade import read_trade
from state.registry import standard_registry
from tests.mgsnode.test_trade import SHIPPED, figures_of, row, sums_of, write

GENESIS = dev_genesis(gateways=4)
PLACES = places_of(GENESIS)
WEIGHTS = {name: kind.weight for name, kind in standard_registry().kinds.items()}
FEES = Fees(500, 2, WEIGHTS)
PROGRAM = (sys.executable, "-m", "mgsnode.cli.main")


# Who does what ------------------------------------------------------------------------------


def test_a_country_is_served_by_the_gateway_that_lives_there_else_always_by_the_same() -> None:
    assert serving("United Kingdom", PLACES).name == "albion"
    assert serving("France", PLACES).name == "lutetia"
    assert serving("Germany", PLACES).name == "rhenus"
    far = {country: serving(country, PLACES).name for country in ("Norway", "Italy", "Japan")}
    assert far == {country: serving(country, PLACES).name for country in far}
    every = places_of(dev_genesis(gateways=10))
    assert serving("Japan", every).name == "nihon"


def test_the_shop_never_redeems_at_the_gateway_that_issued_most() -> None:
    assert redeeming({"albion": 9, "danube": 2, "lutetia": 1, "rhenus": 3}, PLACES).name == (
        "lutetia"
    )
    assert redeeming({"albion": 5}, PLACES[:2]).name == "danube"
    assert redeeming({}, PLACES[:1]).name == "albion"


def test_dollars_are_issued_in_whole_cents_and_shown_exactly() -> None:
    assert [whole_cents(n) for n in (0, 1, 10_000, 10_001)] == [0, 10_000, 10_000, 20_000]
    assert dollars(183_478_978_800) == "183,478.9788"
    assert dollars(5) == "0.000005"
    assert dollars(212_000_000) == "212.00"


def test_the_wallet_signs_in_nonce_order_and_no_fee_exceeds_its_bound() -> None:
    wallet = Wallet(GENESIS.hash, GENESIS.hrp, FEES, 0)
    for order in read_trade(SHIPPED, Fraction("1.56")).orders[:40]:
        key = customer_key(order.customer)
        lines = [
            {"sku": line.sku, "quantity": line.quantity, "unit_price": str(line.unit_price)}
            for line in order.lines
        ]
        fields = {"shop": "ab" * 32, "lines": lines}
        for nonce in (0, 1):
            tx = wallet.sign(key, "order_pay", fields, lane=order.number)
            opened = open_transaction(tx.raw, GENESIS.hash)
            assert opened.txid == tx.txid
            assert opened.body.nonce == nonce
            assert all(is_signed_by(*claim) for claim in opened.claims())
            assert tx.fee <= wallet.fee_bound(key, "order_pay", fields)
            assert tx.fee <= opened.body.fee_max


# The courier --------------------------------------------------------------------------------


class Node:
    """A client whose node commits what it is handed, as the test says."""

    def __init__(self, network: Network, place: int) -> None:
        self.network = network
        self.place = place
        self.news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.busy = 0

    def subscribe(self, _topic: str) -> Node:
        return self

    async def __aenter__(self) -> Any:
        return self._tell()

    async def __aexit__(self, *_: object) -> None:
        return None

    async def _tell(self) -> Any:
        from mgsnode.client import News

        while True:
            yield News("", await self.news.get())

    async def submit_batch(self, raws: list[bytes]) -> list[dict[str, Any]]:
        if self.busy:
            self.busy -= 1
            return [{"error": {"code": -32005, "message": "busy"}} for _ in raws]
        return [self.network.take(raw) for raw in raws]


class Network:
    def __init__(self, size: int, code: int = 0, silent: int = -1) -> None:
        self.nodes = [Node(self, place) for place in range(size)]
        self.code = code
        self.silent = silent
        self.taken: list[bytes] = []

    def take(self, raw: bytes) -> dict[str, Any]:
        txid = open_transaction(raw, GENESIS.hash).txid.hex()
        self.taken.append(raw)
        for node in self.nodes:
            if node.place != self.silent:
                told = {"txid": txid, "code": self.code, "reason": "NO", "height": 3, "fee": "7"}
                node.news.put_nowait(told)
        return {"txid": txid, "status": "pending"}


def send_one(network: Network, node: int) -> tuple[int, Figures]:
    wallet = Wallet(GENESIS.hash, GENESIS.hrp, FEES, 0)
    tx = wallet.sign(customer_key("1"), "order_complete", {"order": "ab" * 32})

    async def deliver() -> tuple[int, Figures]:
        courier = Courier(network.nodes)  # type: ignore[arg-type]
        height = await courier.run(courier.send(tx, node=node))
        return height, courier.figures

    return asyncio.run(asyncio.wait_for(deliver(), 5))


def test_a_transaction_is_done_when_its_node_and_another_have_it() -> None:
    network = Network(4, silent=1)
    height, figures = send_one(network, 2)
    assert height == 3
    assert (figures.transactions, figures.fees, len(figures.finality_ms)) == (1, 7, 1)
    with pytest.raises(TimeoutError):
        send_one(Network(4, silent=3), 2)  # node 3 is the other one of node 2


def test_a_busy_node_is_asked_again() -> None:
    network = Network(2)
    network.nodes[0].busy = 1
    assert send_one(network, 0)[0] == 3
    assert len(network.taken) == 1


def test_a_refusal_ends_the_demo_with_its_name() -> None:
    with pytest.raises(Failed, match=r"order_complete .* was refused: NO \(204\)"):
        send_one(Network(2, code=204), 0)


def test_percentiles_are_of_the_nearest_rank() -> None:
    figures = Figures(finality_ms=[float(n) for n in range(100, 0, -1)])
    assert (figures.percentile(0.5), figures.percentile(0.99)) == (50.0, 99.0)
    assert Figures(finality_ms=[3.0]).percentile(0.99) == 3.0
    assert Figures().percentile(0.5) == 0.0


# The whole ----------------------------------------------------------------------------------


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "demo", "--json", *map(str, arguments)],
        capture_output=True, text=True, timeout=170,
    )  # fmt: skip


def last_object(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def check_against_file(answer: dict[str, Any], path: Path, rate: str = "1.56") -> None:
    assert tuple(answer) == Summary._fields
    sums = sums_of(path, rate)
    assert {name: int(answer[name]) for name in sums} == sums
    assert all(isinstance(answer[name], str) for name in ("gross", "refunded", "issued"))
    assert int(answer["issued"]) > sums["gross"]
    assert answer["audit"].startswith(f"OK height {answer['height']} ")
    assert f"root {answer['state_root']} " in answer["audit"]
    assert answer["audit"].endswith(f"transactions {answer['transactions']}")
    assert 0 < answer["finality_ms_p50"] <= answer["finality_ms_p99"]


@pytest.mark.e2e
def test_the_demo_settles_the_file_that_travels_with_it() -> None:
    answer = last_object(demo())
    check_against_file(answer, SHIPPED)
    takings = int(answer["gross"]) - int(answer["refunded"])
    assert int(answer["redeemed"]) == takings // 4 // 10_000 * 10_000
    assert answer["transactions"] > 3 * 315


@pytest.mark.e2e
def test_the_demo_settles_another_file_with_whole_refunds_on_another_network(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        row("1", "A", 2, "2.5", "7"),
        row("C2", "A", -2, "2.5", "7"),
        row("3", "B", 3, "0.001", "8"),
        row("4", "B", 3, "10", "7"),
        row("C5", "B", -1, "10", "7"),
        row("C6", "B", -9, "10", "7"),
    )
    answer = last_object(demo("--gateways", 2, "--data", path, "--gbp-usd", "1.3337777"))
    check_against_file(answer, path, "1.3337777")
    assert answer["redeemed"] == "0", "takings below the least redemption"


def test_a_bad_trade_file_is_named_and_exits_3(tmp_path: Path) -> None:
    done = demo("--data", write(tmp_path, row("1", "A", "six")))
    assert done.returncode == 3
    assert "line 2: quantity" in done.stderr
    assert done.stdout == ""
    assert demo("--gbp-usd", "much").returncode == 3
    assert demo("--gateways", 0).returncode == 2


def test_the_demo_sums_are_those_of_the_trade() -> None:
    trade = read_trade(SHIPPED, Fraction("1.56"))
    summary = Summary(*figures_of(trade).values(), 1, 2, 3, 4.0, 5.0, 6.0, 7, "aa", "OK").document()
    assert list(summary) == list(Summary._fields)
    assert summary["gross"] == "183478978800"
    assert (summary["issued"], summary["redeemed"], summary["transactions"]) == ("1", "2", 3)
