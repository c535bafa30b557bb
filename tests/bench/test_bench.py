"""The bench's own arithmetic, and that what it sends is what it says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from bench import audit, expire, kinds, orders, reads, replay
from bench.execute import _Bench
from bench.machine import HISTORY, machine, remember
from bench.profile import place_of, shares
from bench.transfer import percentile_ms
from bench.wallets import Wallets
from mgsnode.base.hashing import digest
from mgsnode.base.keys import is_signed_by
from mgsnode.base.transaction import open_transaction
from mgsnode.devnet import dev_genesis
from mgsnode.home import Home
from state.ledger import Ledger
from state.registry import standard_registry

CHAIN = digest(b"mgs/bench", b"test chain")


def test_a_percentile_is_a_time_that_was_measured() -> None:
    times = [n / 1_000 for n in range(1, 101)]
    assert percentile_ms(times, 50) == 50.0
    assert percentile_ms(times, 99) == 99.0
    assert percentile_ms([0.007], 99) == 7.0
    assert percentile_ms([], 50) == 0.0


def test_requests_hold_good_transfers_of_each_account_in_the_order_of_nonces() -> None:
    wallets = Wallets(CHAIN, 8, nodes=4)
    next_nonce: dict[bytes, int] = {}
    node_of: dict[bytes, int] = {}
    for request in wallets.requests(64, 4):
        raws = json.loads(request.body)["params"]["raw"]
        assert len(raws) == len(request.txids) == 4
        for text, txid in zip(raws, request.txids, strict=True):
            tx = open_transaction(bytes.fromhex(text), CHAIN)
            assert tx.txid.hex() == txid
            assert all(is_signed_by(*claim) for claim in tx.claims())
            sender = tx.body.sender
            assert tx.body.nonce == next_nonce.get(sender, 0)
            next_nonce[sender] = tx.body.nonce + 1
            assert node_of.setdefault(sender, request.node) == request.node
            ((to, _, _),) = tx.body.fields[0]  # type: ignore[misc]
            assert to != sender
    assert len(next_nonce) == 8


def test_a_stack_belongs_to_its_innermost_known_frame() -> None:
    assert place_of(["<string>:<lambda>", "mgsnode/base/keys.py:is_signed_by", "rpc/x.py:f"]) == (
        "signature checks"
    )
    assert place_of(["state/store.py:Store.get", "state/ledger.py:Ledger.check"]) == "leveldb"
    assert place_of(["somewhere.py:f"]) == "other"


def test_shares_add_up_to_the_cpu_time_of_the_processes() -> None:
    profile = {"cpu_ns": 10_000_000, "stacks": [[["rpc/a.py:f"], 4_000_000], [["x"], 1_000_000]]}
    found = shares([profile, profile], 1_000, 10)
    assert found["outside Python (compaction)"] == [5.0, 5.0, 50.0, 500.0]
    assert found["rpc"] == [4.0, 4.0, 40.0, 400.0]
    assert sum(share for _, _, share, _ in found.values()) == pytest.approx(100.0)


def test_history_names_no_host_and_no_folder(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "history.jsonl"
    monkeypatch.setattr("bench.machine.HISTORY", path)
    remember("x", {"figure": 1})
    (line,) = path.read_text().splitlines()
    kept = json.loads(line)
    assert kept["bench"] == "x"
    assert kept["result"] == {"figure": 1}
    assert kept["machine"] == machine()
    for text in [line, *(HISTORY.read_text().splitlines() if HISTORY.exists() else [])]:
        assert os.uname().nodename not in text
        assert not re.search(r"(/home|/tmp|/root|/work)\b", text)


def test_every_kind_is_measured_and_every_family_that_has_due_work() -> None:
    found = kinds.cases()
    assert kinds.missing(found) == []
    without = [case for case in found if case.kind != "order_pay"]
    assert kinds.missing(without) == ["order_pay"]
    falls_due = {f.number for f in standard_registry().families if f.due is not None}
    queued = {next(k for k in due.rows if k.startswith(kinds._DUE))[2] for due in kinds.dues(found)}
    assert falls_due == queued


def test_a_measured_transfer_and_a_measured_expiry_write_what_they_say() -> None:
    found = kinds.cases()
    plain = next(case for case in found if case.name == kinds._PLAIN)
    ask = next(due for due in kinds.dues(found) if due.name == "dollar/redeem")
    with kinds._place(plain.rows) as place:
        cost = kinds.measure(plain, (place, plain), 1)
        assert (cost.rows, cost.state_bytes) == (2, 3)  # two accounts; the payer's first nonce
        name, expiry = kinds.measure_due(ask, (place, plain), 1)
    assert name == "redemptions: redemption_returned"
    assert expiry.state_bytes < 0  # the hold, the queue's row and the holder's list let go


def test_reads_over_a_large_state_find_what_was_written() -> None:
    result = reads.run(count=2_000, rounds=4)
    assert {str(row["read"]) for row in result["reads"]} >= {  # type: ignore[attr-defined]
        "leader_list", "shop_get", "rating_get", "distributor_get", "trial_balance",
    }  # fmt: skip
    assert result["rows"] == 2_000 * 5 + 3 * 2 + 3 * 200 + 3 * 20


def test_redemptions_that_expire_at_once_are_worked_off_in_order_of_blocks() -> None:
    result = expire.run(count=1_100)
    blocks = result["blocks"]
    assert [block["due"] for block in blocks] == [512, 512, 76, 0]  # type: ignore[attr-defined]


def test_each_account_of_the_town_sends_through_one_node_with_rising_nonces() -> None:
    town = orders._Town(dev_genesis(), 40, 40)
    kinds_seen, next_nonce = [], {}  # type: ignore[var-annotated]
    for kind, make in town.stages():
        txs = make()
        kinds_seen.append(kind)
        requests = list(orders._requests(txs, 4))
        assert sorted(t for r in requests for t in r.txids) == sorted(tx.txid.hex() for tx in txs)
        for tx in txs:
            opened = open_transaction(tx.raw, town.people.chain)
            assert opened.body.kind == kind.partition(",")[0]
            standard_registry().kinds[opened.body.kind].fields.check(opened.body.fields)
            who = opened.body.sender
            assert (opened.body.nonce, tx.node) == next_nonce.get(who, (0, tx.node))
            next_nonce[who] = (opened.body.nonce + 1, tx.node)
            assert all(is_signed_by(*claim) for claim in opened.claims())
    assert kinds_seen[0] == "dollar_transfer" and kinds_seen[-2:] == [
        "review_vote",
        orders.NEWCOMERS,
    ]


def test_a_measured_chain_is_executed_again_and_each_root_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = _Bench(Home(tmp_path).store, 210)
    for low in (0, 100):
        txs = [
            bench.tx(who, 0, "dollar_transfer", ((bench.addresses[0], 1, ""),))
            for who in range(low, low + 100)
        ]
        expire._step(bench.ledger, txs, bench.ledger.head.header.timestamp_ms + 1_000)
    bench.ledger.close()
    result = replay.replay(tmp_path, bench.genesis, orders.NEWCOMERS)
    (row,) = result["execution"]  # type: ignore[misc]
    assert (row["kind"], row["ratio_to_first"], row["blocks"], result["blocks"]) == (
        "dollar_transfer", 1.0, 2, 2,
    )  # fmt: skip
    assert row["ratio"] > 0  # beside as many transfers on the same state
    monkeypatch.setattr(Ledger, "check", lambda *_: "its state_root is another")
    with pytest.raises(RuntimeError, match="height 1: its state_root"):
        replay.replay(tmp_path, bench.genesis, orders.NEWCOMERS)


def test_an_audit_is_measured_alone_and_with_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ROUNDS", 1)
    done = audit.run(count=250, workers=1)
    rows = done["medians"]
    assert isinstance(rows, list)
    assert [row["audit"] for row in rows] == ["alone", "ahead", "least"]
    assert [row["cpu_of_workers_s"] > 0 for row in rows] == [False, True, False]
