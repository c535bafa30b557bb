"""Room, attestations, issues and the trial balance over JSON-RPC, with periods of ten seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mgsnode.base.genesis import Genesis
from state.tx.positions import Position
from state.tx.trials import TRIAL
from tests.rpc import devnode
from tests.rpc.devnode import ALICE, DOLLAR, OPERATOR, DevNode, address, dev_genesis, key_of
from tests.rpc.wallet import Wallet

HASH = "ab" * 32
ONE, OTHER, SOUTH = key_of(301), key_of(302), key_of(303)
BEYOND = str(100_001 * DOLLAR)


def with_attestors() -> Genesis:
    """Two gateways, two attestors with the dollars for their fees."""
    genesis = dev_genesis()
    north = genesis.gateways[0]
    south = north._replace(
        name="south", owner_hash=bytes([1]) * 32, operator=address(SOUTH),
        vote_key=key_of(304).public_key, transport_certificate=b"s", endpoint="127.0.0.1:2",
    )  # fmt: skip
    named = [("one", ONE), ("other", OTHER), ("south", SOUTH)]
    first = genesis.accounts[0]
    return genesis._replace(
        gateways=(north, south),
        accounts=(
            *genesis.accounts,
            *(first._replace(name=name, address=address(key)) for name, key in named),
        ),
        attestors=(address(ONE), address(OTHER)),
        params=(("period_ms", 10_000),),
    )


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DevNode:
    monkeypatch.setattr(devnode, "dev_genesis", with_attestors)
    return DevNode(tmp_path / "store")


async def test_an_attestation_from_the_end_of_a_period_to_the_room(node: DevNode) -> None:
    wallet = Wallet(node)
    before = await wallet.call("gateway_get", "north")
    assert (before["attested"], before["gone"], before["announced"]) == (str(10**15), "0", "0")
    assert int(before["room"]) == int(before["backing"]) - int(before["owed"])
    for _ in range(11):
        node.mine()
    period = await wallet.call("period_get")
    for by in (ONE, OTHER):
        sent = await wallet.send(
            by, "reserve_attest", gateway="north", instant_ms=period["start_ms"], amount="0",
            expires_ms=period["start_ms"] + 60_000, evidence=HASH,
        )  # fmt: skip
        assert sent["status"] == "committed", sent
    after = await wallet.call("gateway_get", "north")
    assert (after["attested"], after["attested_instant_ms"]) == ("0", period["start_ms"])
    assert after["attested_until_ms"] == period["start_ms"] + 60_000
    assert after["stops"] == [{"why": "shortfall", "until_period": None}]
    assert int(after["room"]) == -int(after["owed"])
    page = await wallet.call("attestation_list", "north")
    assert [row["attestor"] for row in page["items"]] == [wallet.text(ONE), wallet.text(OTHER)]
    assert {row["amount"] for row in page["items"]} == {"0"}
    assert (await wallet.call("attestation_list", "south"))["items"] == []
    node.ledger.close()


async def test_gateways_come_page_by_page_like_every_list(node: DevNode) -> None:
    wallet = Wallet(node)
    whole = await wallet.call("gateway_list")
    first = await wallet.call("gateway_list", limit=1)
    second = await wallet.call("gateway_list", first["next_cursor"], 1)
    assert [*first["items"], *second["items"]] == whole["items"]
    assert (len(first["items"]), second["next_cursor"], whole["next_cursor"]) == (1, None, None)
    assert (await wallet.refusal("gateway_list", cursor="00"))["code"] == -32602
    node.ledger.close()


async def test_an_issue_that_waits_and_is_vetoed(node: DevNode) -> None:
    wallet = Wallet(node)
    to = wallet.text(ALICE)
    small = await wallet.send(OPERATOR, "dollar_issue", to=to, amount="5", reference="cd" * 32)
    large = await wallet.send(OPERATOR, "dollar_issue", to=to, amount=BEYOND, reference=HASH)
    row = await wallet.call("issue_get", large["txid"])
    assert (row["status"], row["amount"], row["due_live_ms"] > 0) == ("waiting", BEYOND, True)
    assert int(row["room_before"]) - int(row["room_after"]) == int(BEYOND)
    assert (await wallet.call("gateway_get", "north"))["waiting"] == BEYOND
    vetoed = await wallet.send(
        SOUTH, "dollar_issue_veto", issue=large["txid"], reason="nothing came"
    )
    assert vetoed["status"] == "committed"
    (waited,) = (await wallet.call("issue_list"))["items"]
    assert (waited["issue"], waited["vetoed_by"], waited["reason"]) == (
        large["txid"], "south", "nothing came",
    )  # fmt: skip
    of_north = (await wallet.call("issue_list", "north"))["items"]
    assert [item["issue"] for item in of_north] == [small["txid"], large["txid"]]
    assert (await wallet.refusal("issue_get", "00" * 32))["code"] == -32001
    node.ledger.close()


async def test_a_trial_balance_now_and_then_with_proof(node: DevNode) -> None:
    wallet = Wallet(node)
    to = wallet.text(ALICE)
    await wallet.send(OPERATOR, "dollar_issue", to=to, amount="500", reference=HASH)
    for _ in range(10):
        node.mine()
    await wallet.send(OPERATOR, "dollar_issue", to=to, amount="7", reference="cd" * 32)
    now = await wallet.call("trial_balance", gateway="north", proof=True)
    then = await wallet.call("trial_balance", gateway="north", period=0, proof=True)
    genesis = 6_000 * DOLLAR
    assert then["debit"] == then["credit"] == str(genesis + 500)
    assert now["debit"] == now["credit"] == str(genesis + 507)
    lines = {line["account"]: (line["debit"], line["credit"]) for line in then["lines"]}
    assert lines["issued"] == ("0", str(genesis + 500))
    assert lines["position"] == (str(genesis + 500), "0")
    assert then["memo"]["room"] == str(10**15 - genesis - 500)
    assert then["end_ms"] == (await wallet.call("period_get"))["start_ms"]
    row = TRIAL.decode_record(bytes.fromhex(then["proof"]["value"]))
    assert isinstance(row.sums, Position) and row.sums.issued == genesis + 500
    assert then["proof"]["header"]["height"] == then["height"]
    for period in (None, 0):
        whole = await wallet.call("trial_balance", period=period, proof=True)
        assert whole["debit"] == whole["credit"] and whole["proof"]["value"]
    for missing in ({"gateway": "west"}, {"period": 9}, {"gateway": "north", "period": 9}):
        assert (await wallet.refusal("trial_balance", **missing))["code"] == -32001
    node.ledger.close()


async def test_a_position_below_zero_stands_on_the_other_side(node: DevNode) -> None:
    wallet = Wallet(node)
    asked = await wallet.send(
        ALICE, "dollar_redeem", gateway="south", amount=str(20 * DOLLAR), currency="USD",
        payout_hash=HASH,
    )  # fmt: skip
    await wallet.send(SOUTH, "dollar_redeem_paid", redemption=asked["txid"], reference=HASH)
    await wallet.send(ALICE, "dollar_redeem_confirm", redemption=asked["txid"])
    south = await wallet.call("trial_balance", gateway="south")
    lines = {line["account"]: (line["debit"], line["credit"]) for line in south["lines"]}
    assert lines["position"] == ("0", str(20 * DOLLAR))
    assert lines["burned"] == (str(20 * DOLLAR), "0")
    assert south["debit"] == south["credit"] == str(20 * DOLLAR)
    node.ledger.close()


async def test_reading_a_trial_balance_asks_for_a_handful_of_rows(node: DevNode) -> None:
    """What it costs does not depend on how many accounts there are: no scan, few reads."""
    wallet = Wallet(node)
    asked: list[bytes] = []
    view = node.view()
    get = view.rows.get

    class Counted:
        def __getattr__(self, name: str) -> object:
            assert name != "iterate", "a trial balance is kept, not counted"
            return getattr(view.rows, name)

        def get(self, key: bytes) -> bytes | None:
            asked.append(key)
            return get(key)

    from rpc.methods.reserves import _room
    from state.draft import StateReader

    view.reader = StateReader(Counted())  # type: ignore[arg-type]
    _room(view, "north")
    view.close()
    assert 0 < len(asked) < 20
    started = time.perf_counter()
    await wallet.call("trial_balance", gateway="north")
    assert time.perf_counter() - started < 0.1
    node.ledger.close()
