"""The day in the life with four real nodes: signed transactions, JSON-RPC, and the bank as judge.

Hours are seconds. One gateway lies, one stops paying and defaults and is cleared, one leaves; an
attestation runs out, an issue is vetoed, a thief is seized; a node is killed in the middle and
comes back. At the end all nodes hold one chain, `mgsnode audit` says OK, and the verdict of the
shadow bank is the same as in memory (`tests/state/test_day.py`). The agents are the same ones.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mgsnode.base.address import address_text
from mgsnode.base.hashing import address_of
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.devnet import ATTESTORS, OFFICERS, DevAccount, dev_key
from mgsnode.localnet import Localnet
from tests.day.agents import Day, Script
from tests.day.port import Act, Ask, Bonded, Done, Someone
from tests.day.verdict import Asked, Issued, Owed, Told, verdict
from tests.e2e.checks import check_audits, mgsnode
from tests.e2e.support import VALID_MS, call, call_each, check_one_chain, height, settle
from tests.state.world import DOLLAR

pytestmark = pytest.mark.e2e
OPERATORS = ("albion", "danube", "lutetia", "rhenus")
ATTESTED = 10_000_000 * DOLLAR  # what the genesis of a development network says of each
THRESHOLD = 5_000 * DOLLAR
KILLED = 1  # the place of the node that is killed, never the one that is asked
DEADLINE_MS = 8_000
PARAMS = {
    "period_ms": 5_000, "issue_threshold": THRESHOLD, "issue_delay_ms": 3_000,
    "redeem_deadline_ms": DEADLINE_MS, "contest_ms": 9_000, "ruling_ms": 9_000,
    "clearing_window_ms": 3_000, "obligation_due_ms": 3_000, "obligation_grace_ms": 3_000,
    "obligation_contest_ms": 9_000, "obligation_rule_ms": 9_000,
}  # fmt: skip


class Dev:
    """Somebody with a development key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = dev_key(name)
        self.address = address_of(self.key.public_key)
        self.text = address_text(self.address, "tmgs")


BEAT = Dev("anna")  # of the development genesis; no part of the day
HOLDERS = [Dev(f"holder-{number}") for number in range(1_000)]


class RpcPort:
    """One node's door."""

    def __init__(self, net: Localnet) -> None:
        self.net = net
        self.url = net.nodes[0].rpc
        self.nonces: Counter[bytes] = Counter()
        self.names = {who.text: who.name for who in HOLDERS}
        self.addresses = {who.text: who.address for who in HOLDERS}
        self.codes: Counter[str] = Counter()

    def act(self, acts: Sequence[Act]) -> None:
        if not acts:  # a block has to come all the same, or nothing falls due
            acts = [Act(BEAT, "dollar_transfer", (((BEAT.address, 1, ""),),))]
        raws = [self._signed(act) for act in acts]
        items = call(self.url, "tx_submit_batch", {"raw": [raw.hex() for raw in raws]})["items"]
        assert not any("error" in item for item in items), items
        told = self._final([item["txid"] for item in items])
        for act, status in zip(acts, told, strict=True):
            why = status["reason"] if status["status"] == "refused" else ""
            self.codes[why] += 1
            act.then(Done(bytes.fromhex(status["txid"]), why, int(status["fee"])))

    def _final(self, txids: list[str]) -> list[dict[str, Any]]:
        """What became of them, once all are final."""
        deadline = time.monotonic() + 60
        while True:
            told = call_each(self.url, "tx_status", [[txid] for txid in txids])
            if all(status["status"] in ("committed", "refused") for status in told):
                return told
            assert time.monotonic() < deadline, Counter(status["status"] for status in told)
            time.sleep(0.05)

    def _signed(self, act: Act) -> bytes:
        sender = act.who.address
        body = Body(
            chain=self.net.genesis.hash, sender=sender, lane=0, nonce=self.nonces[sender],
            valid_until=self.now_ms() + VALID_MS, fee_max=DOLLAR, payer=b"", kind=act.kind,
            fields=act.fields,
        )  # fmt: skip
        self.nonces[sender] += 1
        return sign_transaction(body, [who.key for who in (act.who, *act.also)])

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def dollars(self, who: Someone) -> int:
        address = address_text(who.address, "tmgs")
        return int(call(self.url, "account_get", [address])["dollar"])

    def asks(self, rids: Iterable[bytes]) -> dict[bytes, Ask]:
        rids = list(rids)
        rows = call_each(self.url, "redemption_get", [[rid.hex()] for rid in rids])
        now_ms = self.now_ms()
        return {
            rid: Ask(
                self.addresses[row["holder"]], row["status"],
                row["asked_ms"] + DEADLINE_MS - now_ms,
            )
            for rid, row in zip(rids, rows, strict=True)
        }  # fmt: skip

    def issues(self, ids: Iterable[bytes]) -> dict[bytes, Issued]:
        ids = list(ids)
        rows = call_each(self.url, "issue_get", [[iid.hex()] for iid in ids])
        return {iid: _issued(row) for iid, row in zip(ids, rows, strict=True)}

    def obligations(self) -> dict[bytes, Owed]:
        return {
            bytes.fromhex(row["obligation"]): Owed(
                row["debtor"], row["creditor"], int(row["amount"]), int(row["fiat"]), row["status"]
            )
            for row in self._all("obligation_list")
        }

    def _all(self, method: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = call(self.url, method, {**params, **more})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def gateway(self, name: str) -> Bonded:
        row = call(self.url, "gateway_get", [name])
        return Bonded(
            status=row["status"], position=int(row["position"]), owed=int(row["obligations_owed"]),
            room=int(row["room"]), stops=tuple(stop["why"] for stop in row["stops"]),
        )  # fmt: skip

    def instant_ms(self) -> int:
        return int(call(self.url, "period_get")["start_ms"])

    def effective_height(self) -> int:
        return height(self.net, 0) + 12

    def told(self) -> Told:
        supply = call(self.url, "dollar_supply")
        accounts = call_each(self.url, "account_get", [[who.text] for who in HOLDERS])
        return Told(
            supply=int(supply["supply"]),
            positions={name: int(amount) for name, amount in supply["positions"].items()},
            dollars={
                who.name: int(account["dollar"])
                for who, account in zip(HOLDERS, accounts, strict=True)
            },
            issued={
                bytes.fromhex(row["issue"]): _issued(row)
                for name in OPERATORS
                for row in self._all("issue_list", gateway=name)
                if row["to"] is not None  # the genesis' own: the bank begins with their fiat
            },
            asked={
                bytes.fromhex(row["redemption"]): Asked(
                    self.names[row["holder"]], row["gateway"], int(row["amount"]), row["status"]
                )
                for name in OPERATORS
                for row in self._all("redemption_list", gateway=name)
            },
            owed=self.obligations(),
        )


def _issued(row: dict[str, Any]) -> Issued:
    reference = bytes.fromhex(row["reference"])
    return Issued(row["gateway"], int(row["amount"]), reference, row["status"])


def script_of(steps: int) -> Script:
    """Short spans, so that what has to fall due inside them does."""

    def at(share: float) -> int:
        return int(steps * share)

    return Script(
        lies=(at(0.05), at(0.30)), sleeps=(at(0.22), at(0.70)), unattested=(at(0.30), at(0.85)),
        big_issue=at(0.12), freeze=at(0.35), recovery=at(0.72), leave=at(0.88), outage=-1,
        attested_for_ms=15_000, issue_threshold=THRESHOLD, margin_ms=3_000,
    )  # fmt: skip


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Localnet]:
    """Each holder begins with 1,000 dollars, of the two gateways that will owe the others."""
    accounts = [
        DevAccount(who.name, 1_000 * DOLLAR, issuer=OPERATORS[2 if place % 5 < 2 else 3])
        for place, who in enumerate(HOLDERS)
    ]
    made = Localnet.create(tmp_path, base_port=None, accounts=accounts, params=PARAMS)
    with made:
        made.start()
        yield made


def live(net: Localnet, steps: int, *, actions: int, pace_s: float) -> tuple[Day, RpcPort]:
    """A day; the killed node is back before anybody is suspended."""
    port = RpcPort(net)
    day = Day(
        port, script_of(steps), seed=steps, holders=HOLDERS,
        operators={name: Dev(name) for name in OPERATORS}, attestors=[Dev(n) for n in ATTESTORS],
        officer=Dev(OFFICERS[0]), attested=ATTESTED,
    )  # fmt: skip
    day.morning()
    for step in range(steps):
        began = time.monotonic()
        if step == steps // 10:
            net.kill(KILLED)
        if step == steps // 5:
            net.restart(KILLED)
        day.step(actions)
        time.sleep(max(0.0, pace_s - (time.monotonic() - began)))
    day.is_over = True
    end = time.monotonic() + 90
    while not day.is_quiet() and time.monotonic() < end:
        day.step(0)
        time.sleep(pace_s)
    return day, port


def check_day(net: Localnet, day: Day, port: RpcPort) -> None:
    assert day.is_quiet()
    assert verdict(port.told(), day.bank, day.books) == []
    assert {"paid", "expired", "returned", "seized"} <= set(day.ended), day.ended
    assert day.seen["lied"] and day.seen["dollar_issue_veto"] == 1
    assert day.seen["dollar_transfer ACCOUNT_FROZEN"] == 1
    of_sleeper = [o for o in port.obligations().values() if o.debtor == OPERATORS[3]]
    assert {"lapsed", "settled"} <= {owed.status for owed in of_sleeper}, of_sleeper
    assert [port.gateway(name).status for name in OPERATORS] == [
        "active", "left", "active", "active"
    ]  # fmt: skip
    last = settle(net)
    check_one_chain(net, last)
    for node in net.nodes:
        net.stop_node(node.place)
    check_audits([node.home for node in net.nodes])
    assert mgsnode("audit", "--home", net.nodes[KILLED].home)["ok"]


def test_a_day_with_a_node_killed_in_the_middle(net: Localnet) -> None:
    day, port = live(net, 60, actions=6, pace_s=0.4)
    check_day(net, day, port)


@pytest.mark.long
def test_a_longer_day_with_a_node_killed_in_the_middle(net: Localnet) -> None:
    day, port = live(net, 400, actions=20, pace_s=0.5)
    check_day(net, day, port)
    assert day.seen["dollar_issue ROOM_EXCEEDED"], "an attestation ran out"
