"""Bad input by every door of a running node: a clear error with its code, and the node goes on."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from mgsnode.base.codec import encode
from mgsnode.base.hashing import digest
from mgsnode.base.limits import TX_BYTES_MAX
from mgsnode.base.transaction import Body, open_body, sign_transaction
from mgsnode.devnet import dev_key
from mgsnode.localnet import Localnet
from tests.e2e.support import Refusal, address, call, post, settle, transfer, until

pytestmark = pytest.mark.e2e
REFUSED, INVALID_PARAMS = -32003, -32602
FAR = 7 * 24 * 3_600_000  # ms
SENDER = "anna"


@pytest.fixture(autouse=True)
def still_goes_on(net: Localnet) -> Any:
    """After each test every node runs, all are connected, and a payment is final."""
    yield
    assert all(net.is_alive(node.place) for node in net.nodes)
    for node in net.nodes:
        until("all peers", lambda node=node: call(node.rpc, "node_status")["peers"] == 3)
    settle(net)
    for node in net.nodes[:2]:
        nonce = next_nonce(net)
        raw = transfer(net.genesis.hash, SENDER, nonce, "bruno")
        answer = call(node.rpc, "tx_submit", {"raw": raw.hex(), "wait": "committed"})
        assert answer["status"] == "committed"
        settle(net)


def next_nonce(net: Localnet, name: str = SENDER) -> int:
    """The next nonce of an account, as the first node has it."""
    found = call(net.nodes[0].rpc, "account_get", [address(name)])["nonces"]
    return int(found.get("0", 0))


def wide_bin(net: Localnet, nonce: int) -> bytes:
    """A good transfer whose body's length is spelled in two bytes instead of one."""
    raw = transfer(net.genesis.hash, SENDER, nonce, "bruno")
    assert raw[:2] == b"\x92\xc4"
    return b"\x92\xc5\x00" + raw[2:]


def badly_signed(net: Localnet, nonce: int) -> bytes:
    raw = bytearray(transfer(net.genesis.hash, SENDER, nonce, "bruno"))
    raw[-1] ^= 1
    return bytes(raw)


def signed_by_another(net: Localnet, nonce: int) -> bytes:
    body = body_of(net, nonce)
    return sign_transaction(body, [dev_key("bruno")])


def body_of(net: Localnet, nonce: int) -> Body:
    raw = transfer(net.genesis.hash, SENDER, nonce, "bruno")
    return open_body(raw[3 : 3 + raw[2]])


def good(net: Localnet, nonce: int, **changes: Any) -> bytes:
    return transfer(net.genesis.hash, SENDER, nonce, "bruno", **changes)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# what it is, its bytes, the code and the name of the refusal
CASES: list[tuple[str, Callable[[Localnet, int], bytes], int, str]] = [
    ("no codec", lambda net, n: b"\xc1\xff\x00", 11, "MALFORMED"),
    ("a map", lambda net, n: b"\x80", 11, "MALFORMED"),
    ("truncated", lambda net, n: good(net, n)[:-1], 11, "MALFORMED"),
    ("trailing bytes", lambda net, n: good(net, n) + b"\x00", 11, "MALFORMED"),
    ("not canonical", wide_bin, 11, "MALFORMED"),
    ("nested deeply", lambda net, n: b"\x91" * 5_000, 11, "MALFORMED"),
    ("a lying length", lambda net, n: b"\xdd\xff\xff\xff\xff" + bytes(100), 11, "MALFORMED"),
    ("no signature", lambda net, n: encode((encode(body_of(net, n)), ())), 11, "MALFORMED"),
    ("largest garbage", lambda net, n: b"\x91" * TX_BYTES_MAX, 11, "MALFORMED"),
    (
        "another chain",
        lambda net, n: transfer(digest(b"x", b"other chain"), SENDER, n, "bruno"),
        1,
        "WRONG_CHAIN",
    ),
    ("wrongly signed", badly_signed, 2, "BAD_SIGNATURE"),
    ("signed by another", signed_by_another, 3, "NOT_AUTHORISED"),
    ("expired", lambda net, n: good(net, n, valid_until=1_000), 5, "EXPIRED"),
    (
        "valid too long",
        lambda net, n: good(net, n, valid_until=now_ms() + FAR),
        6,
        "VALID_TOO_LONG",
    ),
    ("fee too high", lambda net, n: good(net, n, fee_max=1), 7, "FEE_TOO_HIGH"),
    (
        "nothing to pay the fee with",
        lambda net, n: transfer(net.genesis.hash, "a stranger", 0, "bruno"),
        8,
        "FEE_UNAFFORDABLE",
    ),
    ("unknown kind", lambda net, n: good(net, n, kind="dollar_print"), 9, "UNKNOWN_KIND"),
    (
        "bad field",
        lambda net, n: good(net, n, fields=(((bytes(32), 0, ""),),)),
        10,
        "BAD_FIELD",
    ),
    (
        "another arity",
        lambda net, n: good(net, n, fields=(1, 2)),
        10,
        "BAD_FIELD",
    ),
]


def test_a_bad_transaction_is_refused_with_its_code_alone_and_among_good_ones(
    net: Localnet,
) -> None:  # cases 10, 11, 21
    url = net.nodes[0].rpc
    nonce = next_nonce(net)
    raws = [make(net, nonce) for _, make, _, _ in CASES]
    for (what, _, code, reason), raw in zip(CASES, raws, strict=True):
        with pytest.raises(Refusal) as refusal:
            call(url, "tx_submit", {"raw": raw.hex()})
        told = (refusal.value.code, refusal.value.data["code"], refusal.value.data["reason"])
        assert told == (REFUSED, code, reason), what
        assert raw.hex()[:64] not in str(refusal.value), f"{what}: the input is echoed"

    mixed = [*raws, good(net, nonce)]
    items = call(url, "tx_submit_batch", {"raw": [raw.hex() for raw in mixed]})["items"]
    codes = [item["error"]["data"]["code"] for item in items[:-1]]
    assert codes == [code for _, _, code, _ in CASES]
    assert items[-1]["status"] == "pending"


def test_an_oversized_transaction_is_refused_before_it_is_read(net: Localnet) -> None:
    raw = "91" * (TX_BYTES_MAX + 1)
    with pytest.raises(Refusal) as refusal:
        call(net.nodes[0].rpc, "tx_submit", {"raw": raw})
    assert refusal.value.code in (INVALID_PARAMS, REFUSED)
    outputs = [(bytes([i]) * 32, 1, "x" * 256) for i in range(256)]
    long = good(net, next_nonce(net), fields=(tuple(outputs),), fee_max=10_000_000)
    assert len(long) < TX_BYTES_MAX  # the largest honest transfer fits
    answer = call(net.nodes[0].rpc, "tx_submit", {"raw": long.hex(), "wait": "committed"})
    assert answer["status"] == "committed"


def test_a_used_nonce_is_refused_and_the_same_transaction_is_not(net: Localnet) -> None:
    url = net.nodes[0].rpc
    nonce = next_nonce(net)
    raw = good(net, nonce)
    assert call(url, "tx_submit", {"raw": raw.hex(), "wait": "committed"})["status"] == "committed"
    for node in net.nodes[:1]:
        told = call(node.rpc, "tx_submit", {"raw": raw.hex()})
        assert told["status"] == "committed"
    twin = good(net, nonce, amount=999)
    with pytest.raises(Refusal) as refusal:
        call(url, "tx_submit", {"raw": twin.hex()})
    assert (refusal.value.code, refusal.value.data["code"]) == (REFUSED, 4)
    assert refusal.value.data["next"] == nonce + 1


def test_an_unaffordable_transfer_is_a_refused_result_that_costs_its_fee(net: Localnet) -> None:
    url = net.nodes[0].rpc
    before = int(call(url, "account_get", [address(SENDER)])["dollar"])
    raw = good(net, next_nonce(net), amount=before)
    answer = call(url, "tx_submit", {"raw": raw.hex(), "wait": "committed"})
    assert answer["status"] == "refused"
    assert (answer["code"], answer["reason"]) == (101, "INSUFFICIENT_BALANCE")
    fee = int(call(url, "tx_status", [answer["txid"]])["fee"])
    assert fee > 0
    assert int(call(url, "account_get", [address(SENDER)])["dollar"]) == before - fee


def test_a_gap_in_the_nonces_waits_and_enters_when_it_is_filled(net: Localnet) -> None:
    url = net.nodes[0].rpc
    nonce = next_nonce(net)
    late = good(net, nonce + 1)
    assert call(url, "tx_submit", {"raw": late.hex()})["status"] == "pending"
    raw = good(net, nonce)
    assert call(url, "tx_submit", {"raw": raw.hex(), "wait": "committed"})["status"] == "committed"
    told = call(url, "tx_submit", {"raw": late.hex(), "wait": "committed"})
    assert told["status"] == "committed"


JUNK: list[tuple[bytes, int]] = [
    (b"", -32700),
    (b"{", -32700),
    (b"\xff\xfe{\x00}\x00", -32700),
    (b'{"jsonrpc": "2.0", "method": "node_status", "id": NaN}', -32700),
    (b"[" * 100_000, -32700),
    (b"[]", -32600),
    (b"42", -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"node_status"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":["node_status"]}', -32600),
    (b'{"jsonrpc":"2.0","id":{"a":1},"method":"node_status"}', -32600),
    (b'{"jsonrpc":"2.0","id":1e400,"method":"node_status"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"print_money"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"chain_block","params":{"height":"1"}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"chain_block","params":{"height":true}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"chain_block","params":{"heigth":1}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"chain_block","params":[1,false,"x",4]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"chain_block","params":[99999999]}', -32001),
    (b'{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"raw":"zz"}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"account_get","params":["tmgs1qqqq"]}', -32602),
]


def test_json_rpc_junk_is_answered_by_the_letter(net: Localnet) -> None:  # cases 60, 61, 62
    for body, code in JUNK:
        answer = post(net.nodes[0].rpc, body)
        assert answer["error"]["code"] == code, body[:80]
        assert answer["jsonrpc"] == "2.0"
    amount = {"kind": "dollar_transfer", "sender": address(SENDER)}
    for wrong in (1, 1.0, True, "1.0", "01", "+1", "1e3", " 1", "-1", "", str(2**63)):
        outputs = [{"to": address("bruno"), "amount": wrong, "memo": ""}]
        with pytest.raises(Refusal) as refusal:
            call(net.nodes[0].rpc, "tx_encode", {"tx": {**amount, "fields": {"outputs": outputs}}})
        assert refusal.value.code in (INVALID_PARAMS, REFUSED), wrong


def test_a_body_too_large_is_refused(net: Localnet) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"x","params":["' + b"a" * 5_000_000 + b'"]}'
    try:
        assert post(net.nodes[0].rpc, body)["error"]["code"] == -32005
    except OSError:
        pass  # the node may hang up while we still send


def _throw(port: int, data: bytes, *, wait_s: float = 2.0) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as link:
        try:
            link.sendall(data)
            link.recv(4_096)
        except OSError:
            pass


def test_garbage_at_the_peers_port_is_cut_and_the_members_stay_connected(  # cases 48, 55, 56
    net: Localnet,
) -> None:
    rng = random.Random(7)
    for node in net.nodes:
        for data in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\xff\xff\xff\xff" + bytes(64),
            bytes.fromhex("1603010200010001fc0303") + rng.randbytes(600),
            rng.randbytes(70_000),
            b"",
        ):
            _throw(node.p2p_port, data, wait_s=1.0)
    idle = [
        socket.create_connection(("127.0.0.1", net.nodes[0].p2p_port), timeout=2) for _ in range(40)
    ]
    try:
        raw = good(net, next_nonce(net))
        told = call(net.nodes[0].rpc, "tx_submit", {"raw": raw.hex(), "wait": "committed"})
        assert told["status"] == "committed"
    finally:
        for link in idle:
            link.close()


def test_a_thousand_random_bodies_break_nothing(net: Localnet) -> None:
    rng = random.Random(11)
    nonce = next_nonce(net)
    whole = good(net, nonce)
    raws: list[bytes] = []
    for _ in range(500):
        bent = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        if bytes(bent) != whole:
            raws.append(bytes(bent))
        raws.append(rng.randbytes(rng.randint(1, 300)))
    items = call(net.nodes[1].rpc, "tx_submit_batch", {"raw": [raw.hex() for raw in raws]})["items"]
    assert len(items) == len(raws)
    assert all("error" in item for item in items)
    assert all(item["error"]["code"] == REFUSED for item in items)
