"""What waits in one node alone reaches the others, however much else waits."""

from __future__ import annotations

import pytest

from mgsnode.localnet import Localnet
from tests.e2e.support import address, call, settle, transfer, until

pytestmark = pytest.mark.e2e
GAP = 1_000  # transfers behind a missing nonce; one sender may have 2,048


def test_a_long_queue_that_one_node_alone_remembers_is_committed(net: Localnet) -> None:  # case 29
    raws = [transfer(net.genesis.hash, "wallet-0", nonce, "wallet-1") for nonce in range(GAP + 1)]
    keeper = 1
    url = net.nodes[keeper].rpc
    items = call(url, "tx_submit_batch", {"raw": [raw.hex() for raw in raws[1:]]})["items"]
    assert {item["status"] for item in items} == {"pending"}
    others = [node.place for node in net.nodes if node.place != keeper]
    for place in others:
        net.kill(place)
    for place in others:
        net.start_node(place)
    for place in others:
        net.wait_ready(place)
    call(url, "tx_submit", {"raw": raws[0].hex(), "wait": "committed"})
    until(
        "all of them are final",
        lambda: call(url, "account_get", [address("wallet-0")])["nonces"].get("0") == GAP + 1,
        seconds=45,
    )
    settle(net)
