"""Reads of goods over a real ledger; a trace is checked as a stranger would, row by row."""

from __future__ import annotations

import pytest

from mgsnode.base.codec import decode_stored
from state.proof import check_proof, proof_from_json
from state.tx.batches import BATCH, ORIGIN, Batch, Origin
from state.tx.orders import LINES as LINES_TABLE
from tests.rpc.devnode import ALICE, BOB, CAROL, OPERATOR
from tests.rpc.test_orders import done, open_shop, terms
from tests.rpc.wallet import Wallet


async def traded(wallet: Wallet) -> tuple[str, str, str]:
    """(batch at its maker, batch at the shop that sold it, order)."""
    maker = await open_shop(wallet)
    fields = {"name": "Corner", "gateway": "north", **terms(wallet)}
    sent = await wallet.send(ALICE, "shop_open", OPERATOR, **fields)
    batch = await done(
        wallet, BOB, "goods_register", shop=maker, product="Sencha", origin="JP Uji", quantity=10,
        certificate="cd" * 32,
    )  # fmt: skip
    passed = await wallet.send(BOB, "goods_pass", ALICE, batch=batch, quantity=6, to=sent["txid"])
    line = {"sku": "tea", "quantity": 2, "unit_price": "1000000", "batch": passed["txid"]}
    plain = {"sku": "bag", "quantity": 1, "unit_price": "1000000"}
    order = await done(wallet, BOB, "order_pay", shop=sent["txid"], lines=[plain, line])
    await done(wallet, ALICE, "order_ship", order=order, reference="")
    return batch, str(passed["txid"]), order


async def test_batches_and_where_their_units_are(wallet: Wallet) -> None:
    batch, sold, order = await traded(wallet)
    row = await wallet.call("batch_get", batch)
    assert (row["held"], row["passed"], row["origin"]) == (4, 6, "JP Uji")
    [child] = (await wallet.call("batch_list", parent=batch))["items"]
    assert (child["batch"], child["held"], child["shipped"]) == (sold, 4, 2)
    [same] = (await wallet.call("batch_list", child["shop"]))["items"]
    assert same == child
    [shipped] = (await wallet.call("order_list", batch=sold))["items"]
    assert shipped["order"] == order


async def test_a_line_is_traced_to_its_origin_with_a_proof_of_each_step(wallet: Wallet) -> None:
    batch, sold, order = await traded(wallet)
    told = await wallet.call("batch_trace", order=order, line=1, proof=True)
    assert [item["batch"] for item in told["items"]] == [sold, batch]
    assert told["marked"] is False
    proof = told["proof"]
    root = bytes.fromhex(proof["header"]["state_root"])
    rows = {}
    for one in proof["rows"]:
        key, value = bytes.fromhex(one["key"]), bytes.fromhex(one["value"])
        path = proof_from_json({"nodes": one["nodes"], "bucket": one["bucket"]})
        assert check_proof(root, key, value, path) is None
        assert check_proof(root, key, value + b"x", path) is not None
        rows[key] = value
    # From the line to the origin with nothing but the proven rows.
    lines = LINES_TABLE.decode_record(rows[LINES_TABLE.state_key(bytes.fromhex(order))])
    (at,) = lines.lines[1][3]
    while True:
        step = Batch(*decode_stored(rows[BATCH.state_key(at)]))  # type: ignore[misc]
        if not step.parent:
            break
        (at,) = step.parent
    origin = Origin(*decode_stored(rows[ORIGIN.state_key(at)]))  # type: ignore[misc]
    assert (at.hex(), origin.product, origin.origin) == (batch, "Sencha", "JP Uji")
    same = await wallet.call("batch_trace", batch=sold)
    assert same["items"] == told["items"] and "proof" not in same


@pytest.mark.parametrize(
    ("asked", "code"),
    [({}, -32602), ({"line": 0}, -32602), ({"order": "0" * 64}, -32602),
     ({"order": "0" * 64, "line": 0}, -32001), ({"batch": "0" * 64}, -32001),
     ({"batch": "0" * 64, "line": 0}, -32602), ({"order": "0" * 64, "line": -1}, -32602)],
)  # fmt: skip
async def test_what_cannot_be_traced(wallet: Wallet, asked: dict[str, object], code: int) -> None:
    assert (await wallet.refusal("batch_trace", **asked))["code"] == code


async def test_a_line_without_a_batch_has_no_trace(wallet: Wallet) -> None:
    _, _, order = await traded(wallet)
    assert (await wallet.refusal("batch_trace", order=order, line=0))["code"] == -32001
    assert (await wallet.refusal("batch_trace", order=order, line=2))["code"] == -32001
    both = {"shop": "0" * 64, "parent": "0" * 64}
    assert (await wallet.refusal("batch_list", **both))["code"] == -32602
    assert (await wallet.refusal("batch_list", owner=wallet.text(CAROL)))["code"] == -32602
