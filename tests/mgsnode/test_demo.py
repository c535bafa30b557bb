"""The demo: who serves whom, what wallets pay, how deliveries are measured, and the whole of it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.errors import ConfigError
from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import open_transaction
from mgsnode.demo.courier import Courier, Failed, Figures
from mgsnode.demo.ending import Ending
from mgsnode.demo.expected import expect
from mgsnode.demo.plan import (
    DOLLAR,
    POCKET,
    brought_by,
    check_size,
    customer_key,
    places_of,
    pockets,
    redeeming,
    serving,
    whole_cents,
)
from mgsnode.demo.replay import Replay
from mgsnode.demo.screen import Screen, dollars, many, short
from mgsnode.demo.script import DEPOSIT_BP, write_script
from mgsnode.demo.stage import Stage
from mgsnode.demo.summary import Summary
from mgsnode.demo.wallet import Fees, Wallet
from mgsnode.devnet import dev_genesis
from mgsnode.reviews import read_reviews
from mgsnode.trade import read_trade
from state.registry import standard_registry
from state.tx.backings import BPS, DEPOSIT_MAX
from state.tx.demand import QUANTITY_MAX
from tests.mgsnode.test_trade import SHIPPED, row, sums_of, write

GENESIS = dev_genesis(gateways=4)
PLACES = places_of(GENESIS)
WEIGHTS = {name: kind.weight for name, kind in standard_registry().kinds.items()}
FEES = Fees(500, 2, WEIGHTS)
REVIEWS = read_reviews(SHIPPED.with_name("reviews.csv"))
GENESIS_DOLLARS = sum(
    account.dollar
    for account in dev_genesis(holder_dollar=POCKET, room=0, accounts=pockets()).accounts
)
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


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


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


def send_one(network: Network, node: int, refusal: str = "") -> tuple[int, Figures]:
    wallet = Wallet(GENESIS.hash, GENESIS.hrp, FEES, 0)
    tx = wallet.sign(customer_key("1"), "order_complete", {"order": "ab" * 32})

    async def deliver() -> tuple[int, Figures]:
        courier = Courier(network.nodes)  # type: ignore[arg-type]
        height = await courier.run(courier.send(tx, node=node, refusal=refusal))
        return height, courier.figures

    return asyncio.run(asyncio.wait_for(deliver(), 5))


def test_a_transaction_is_done_when_its_node_and_another_have_it() -> None:
    network = Network(4, silent=1)
    height, figures = send_one(network, 2)
    assert height == 3
    assert (figures.transactions, figures.fees, len(figures.finality_ms)) == (1, 7, 1)
    with pytest.raises(TimeoutError):
        send_one(Network(4, silent=3), 2)  # node 3 is the other one of node 2


def test_news_of_what_nobody_waits_for_any_more_ends_nothing() -> None:
    network = Network(2, silent=1)
    wallet = Wallet(GENESIS.hash, GENESIS.hrp, FEES, 0)
    tx = wallet.sign(customer_key("1"), "order_complete", {"order": "ab" * 32})

    async def work(courier: Courier) -> int:
        sending = asyncio.create_task(courier.send(tx, node=0))
        while not network.taken:  # noqa: ASYNC110  # the double has no event
            await asyncio.sleep(0.001)
        sending.cancel()
        await asyncio.wait((sending,))
        told = {"txid": tx.txid.hex(), "code": 0, "reason": "", "height": 3, "fee": "7"}
        network.nodes[1].news.put_nowait(told)
        while not courier.figures.transactions:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return courier.figures.transactions

    courier = Courier(network.nodes)  # type: ignore[arg-type]
    assert asyncio.run(asyncio.wait_for(courier.run(work(courier)), 5)) == 1


def test_a_busy_node_is_asked_again() -> None:
    network = Network(2)
    network.nodes[0].busy = 1
    assert send_one(network, 0)[0] == 3
    assert len(network.taken) == 1


def test_a_refusal_ends_the_demo_with_its_name() -> None:
    with pytest.raises(Failed, match=r"order_complete .* was refused: NO \(204\)"):
        send_one(Network(2, code=204), 0)


def test_a_cheat_is_done_when_it_was_refused_by_its_name_and_by_no_other() -> None:
    height, figures = send_one(Network(2, code=204), 0, refusal="NO")
    assert (height, figures.transactions, figures.fees) == (3, 1, 7)
    with pytest.raises(Failed, match="was refused: NO"):
        send_one(Network(2, code=204), 0, refusal="OTHER")
    with pytest.raises(Failed, match="was to be refused with NO, and was not"):
        send_one(Network(2), 0, refusal="NO")


def test_percentiles_are_of_the_nearest_rank() -> None:
    figures = Figures(finality_ms=[float(n) for n in range(100, 0, -1)])
    assert (figures.percentile(0.5), figures.percentile(0.99)) == (50.0, 99.0)
    assert Figures(finality_ms=[3.0]).percentile(0.99) == 3.0
    assert Figures().percentile(0.5) == 0.0


# Clearing -----------------------------------------------------------------------------------


class Clearing:
    """A stage whose shop's node tells of obligations as the test says, one answer after another."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.places = PLACES
        self.home = PLACES[0]
        self.acts: list[tuple[str, str]] = []
        self._answers = list(answers)

    def place(self, name: str) -> Any:
        return next(place for place in PLACES if place.name == name)

    async def ask(self, method: str, **_: object) -> Any:
        return {"gateway_get": {"net": "-9"}, "params_get": {"clearing_minimum": {"value": "1"}}}[
            method
        ]

    async def act(self, _key: object, kind: str, fields: dict[str, Any], **_: object) -> None:
        self.acts.append((kind, fields["obligation"]))

    async def until(self, _at: object, _method: str, _params: object, is_ready: Any, _: str) -> Any:
        while True:
            statuses = self._answers.pop(0)
            items = [
                {
                    "obligation": name, "debtor": "albion", "creditor": "danube", "amount": "9",
                    "fiat": "9", "status": status,
                }
                for name, status in statuses.items()
            ]  # fmt: skip
            if is_ready({"items": items}):
                return {"items": items}


def test_each_obligation_is_settled_once_though_a_node_lags_and_another_window_closes() -> None:
    stage = Clearing(
        {},
        {"a": "open", "b": "open"},
        {"a": "open", "b": "claimed"},
        {"a": "settled", "b": "claimed", "c": "open"},
        {"a": "settled", "b": "settled", "c": "claimed"},
        {"a": "settled", "b": "settled", "c": "settled"},
    )
    ending = Ending(stage, None)  # type: ignore[arg-type]
    ending.redeemed, ending.redeemed_at = 9, "danube"
    asyncio.run(ending.clear())
    assert [debt.status for debt in ending.debts] == ["settled"] * 3
    kinds = ("obligation_confirm", "obligation_paid")
    assert sorted(stage.acts) == [(kind, name) for kind in kinds for name in "abc"]


# What should come out ----------------------------------------------------------------------------


def commissions_of(path: Path, rate: str = "1.56") -> int:
    """By another way: what is kept of each order, in a dict, and 5 % of it."""
    trade = read_trade(path, Fraction(rate))
    kept = {order.number: order.total for order in trade.orders}
    for refund in trade.refunds:
        for part in refund.parts:
            kept[part.order] -= part.amount
    earned = 0
    for order in trade.orders:
        fee = min(order.total, max(10_000, -(-order.total // 200)))
        if brought_by(order.customer):
            earned += min(kept[order.number] // 20, max(0, kept[order.number] - fee))
    return earned


def test_the_script_is_the_files_and_nobody_is_asked_for_more_than_he_has() -> None:
    trade = read_trade(SHIPPED, Fraction("1.56"))
    script = write_script(trade, REVIEWS)
    assert script == write_script(trade, REVIEWS)
    assert [each.opinion for each in script.said] == list(REVIEWS)
    lines = [(each.order, each.line) for each in script.said]
    assert len(set(lines)) == len(lines) == 700
    assert all(line < len(trade.orders[order].lines) for order, line in lines)
    votes = Counter(vote.voter for vote in script.votes)
    assert max(votes.values()) <= 10, "more would weigh nothing"
    helped = Counter(vote.said for vote in script.votes)
    assert all(helped[each.number] == each.opinion.helpful for each in script.said)
    assert len(set(script.votes)) == len(script.votes), "one vote on a review"
    author = {each.number: trade.orders[each.order].customer for each in script.said}
    assert all(author[vote.said] != vote.voter for vote in script.votes)
    assert 0 < len(script.brought) < trade.buyers
    expected = expect(trade, script)
    assert sum(expected.commissions.values()) == commissions_of(SHIPPED)
    assert expected.stars == (19, 46, 84, 167, 384)


def test_the_script_of_a_shop_with_one_order(tmp_path: Path) -> None:
    trade = read_trade(write(tmp_path, row("1", "A", 2)), Fraction("1.56"))
    script = write_script(trade, REVIEWS)
    assert (len(script.said), script.votes) == (1, ()), "nobody else could vote"
    assert (script.wanted.units, script.lot.units) == (2, 2)
    assert write_script(trade, ()).said == ()


@pytest.mark.parametrize(
    ("rows", "price", "units"),
    [
        ([row("1", "A", 3, "0.000001")], 1, [3]),
        ([row("1", "A", 1, "999999999")], 20_000_000 * DOLLAR, [1]),
        ([row("1", "A", 7, "5000000", "1"), row("2", "A", 1, "5", "2")], 7_800_000, [7, 1]),
        ([row("1", "A", 9, "5000000")], 7_800_000 * DOLLAR, [2]),
        (
            [row(str(n), "A", 1_000_000_000, "0.001", str(n)) for n in range(1, 4)],
            1_560,
            [333_333_333] * 3,
        ),
    ],
)
def test_of_very_dear_or_very_many_things_no_more_is_asked_for_than_the_chain_takes(
    rows: list[str], price: int, units: list[int], tmp_path: Path
) -> None:
    wanted = write_script(read_trade(write(tmp_path, *rows), Fraction("1.56")), ()).wanted
    assert wanted.price == price
    assert [units for _, units in wanted.backings] == units
    assert wanted.units <= QUANTITY_MAX
    assert all(price * each * DEPOSIT_BP <= DEPOSIT_MAX * BPS for each in units)


def test_a_trade_that_no_chain_can_count_is_a_bad_file(tmp_path: Path) -> None:
    def check(*rows: str) -> None:
        check_size(read_trade(write(tmp_path, *rows), Fraction(1)))

    dear = [row(str(n), "A", 100_000, "5000000") for n in (1, 2)]
    check(*dear)
    with pytest.raises(ConfigError, match="cost more than 1,000,000,000,000 dollars"):
        check(*dear, row("3", "A", 1, "0.000001"))
    many = [row("1", "A", 1_000_000_000, "0.000001")] * 1_000
    check(*many)
    with pytest.raises(ConfigError, match="more than 1,000,000,000,000 units of one stock code"):
        check(*many, row("2", "A", 1))


def test_who_orders_more_often_is_given_more_to_pay_the_fees_of_claims_with(tmp_path: Path) -> None:
    wallet = Wallet(GENESIS.hash, GENESIS.hrp, FEES, 0)
    key = customer_key("1")
    claim = wallet.fee_bound(key, "token_claim", {"period": 300})
    whole = {"period": 1 << 20}

    def needs(orders: int, fees: Fees = FEES) -> int:
        rows = [row(str(n), "A", 1) for n in range(1, orders + 1)]
        trade = read_trade(write(tmp_path, *rows), Fraction(1))
        stage = Stage(
            trade, write_script(trade, ()), PLACES, Wallet(GENESIS.hash, GENESIS.hrp, fees, 0),
            Courier(()), (),
        )  # fmt: skip
        return sum(Replay(stage).needs.values())

    free = FEES._replace(weights=WEIGHTS | {"token_claim": 0})
    bound = wallet.fee_bound(key, "token_claim", whole)
    without = Wallet(GENESIS.hash, GENESIS.hrp, free, 0).fee_bound(key, "token_claim", whole)
    for orders, claims in ((1, 8), (2, 10), (60, 126)):
        assert needs(orders) - needs(orders, free) == claims * (bound - without)
    assert claim <= bound


def test_no_gateway_of_the_demo_may_issue_before_it_is_attested() -> None:
    genesis = dev_genesis(gateways=3, room=0, holder_dollar=5, accounts=pockets())
    held = Counter({gateway.name: 0 for gateway in genesis.gateways})
    for account in genesis.accounts:
        held[account.issuer] += account.dollar
    assert {gateway.name: gateway.attested for gateway in genesis.gateways} == held
    with_room = dev_genesis(gateways=3, room=7, holder_dollar=5, accounts=pockets())
    assert [g.attested - 7 for g in with_room.gateways] == [g.attested for g in genesis.gateways]


def test_the_page_about_the_demo_names_every_figure() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "demo.md"
    rows = re.findall(
        r"^\| ([a-z0-9_, ]+) \| .+ \|$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    named = [name.strip() for row in rows[1:] for name in row.split(",")]
    assert sorted(named) == sorted(Summary._fields)


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
    assert (answer["reviews"], answer["votes"]) == (700, sum(o.helpful for o in REVIEWS))
    assert answer["commissions"] == str(commissions_of(SHIPPED))
    assert answer["issues_waited"] > 0 and answer["attestations"] == 12
    assert {each["status"] for each in answer["obligations"]} == {"settled"}
    supply = sum(map(int, answer["positions"].values()))
    assert supply == int(answer["issued"]) - int(answer["redeemed"]) + GENESIS_DOLLARS
    assert answer["leaders"] and all(each["voters"] >= 10 for each in answer["leaders"])
    fee_tokens = int(answer["gross"]) // 50  # 0.5 %, and 4 tokens for a dollar of it
    assert fee_tokens // 2 < int(answer["rewards"]) < fee_tokens
    assert [each["refused"] for each in answer["cheats_refused"]] == [
        "PARTIES_LINKED", "NOT_YOUR_ORDER", "OWN_REVIEW", "INSUFFICIENT_BALANCE",
        "UNITS_EXCEEDED", "ROOM_EXCEEDED", "NOT_ATTESTOR",
    ]  # fmt: skip
    assert answer["left_out"] == []


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
    assert answer["commissions"] == str(commissions_of(path, "1.3337777"))
    assert answer["reviews"] == 3, "one for each line"
    assert len(answer["left_out"]) == 2 and answer["obligations"] == []


def test_a_bad_trade_file_is_named_and_exits_3(tmp_path: Path) -> None:
    done = demo("--data", write(tmp_path, row("1", "A", "six")))
    assert done.returncode == 3
    assert "line 2: quantity" in done.stderr
    assert done.stdout == ""
    assert demo("--gbp-usd", "much").returncode == 3
    assert demo("--gateways", 0).returncode == 2


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (183_478_978_800, "183,478.9788"), (-1_500_000, "-1.50"), (-1, "-0.000001")],
)
def test_an_amount_is_shown_exactly_on_either_side_of_zero(micro: int, text: str) -> None:
    assert dollars(micro) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("17850", "17850"),
        ("客Ünïcødé", "客Ünïcødé"),
        ("\x1b[31mred\n", "?[31mred?"),
        ("\u202eevil", "?evil"),
        ("x" * 24, "x" * 24),
        ("x" * 25, "x" * 23 + "…"),
    ],
)
def test_a_name_from_a_file_is_shown_short_and_changes_no_terminal(name: str, shown: str) -> None:
    assert short(name) == shown


def test_a_terminal_that_knows_fewer_letters_is_shown_others() -> None:
    raw = BytesIO()
    with Screen(TextIOWrapper(raw, encoding="ascii", write_through=True)) as screen:
        screen.phase("orders", 1)
        screen.table("leaders", [("客", "1")])
    assert raw.getvalue().startswith(b"orders ?\n") and b"1" in raw.getvalue()


def test_on_a_terminal_of_80_columns_counts_and_times_of_the_phases_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Screen(out) as screen:
        screen.phase("cheats refused, orders final", 1_234)
        screen.step(1_234, note="alike to height 12345")
    last = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out.getvalue()).splitlines()[-1].strip()
    assert re.fullmatch(
        r"cheats refused, orders final .+ 1234/1234 \d:\d\d:\d\d alike to height 12345", last
    )
    assert len(last) <= 80


def test_one_is_no_plural() -> None:
    assert [many(n, "buyer") for n in (0, 1, 2, 1_234)] == [
        "0 buyers", "1 buyer", "2 buyers", "1,234 buyers",
    ]  # fmt: skip
