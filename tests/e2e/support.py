"""Helpers of the end-to-end tests: ask real nodes, pay under faults, compare chains.

Every wait has an end and every load a bound. Payments are those of the bank: each wallet knows
what it handed in and goes on handing in the same bytes, at any node that answers, until one
says that they are final. What must hold afterwards: each of them stands in exactly one block,
at the same place on every node, and the balances are what paper and pencil say.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from mgsnode.base.address import address_text
from mgsnode.base.hashing import address_of
from mgsnode.base.transaction import Body, sign_transaction
from mgsnode.devnet import MICRO, DevAccount, dev_key
from mgsnode.localnet import Localnet

Json = Any
WALLETS = 6
PAYMENTS_MAX = 1_000  # of one wallet: 200 s at least
VALID_MS = 12 * 3_600_000  # longer than a test moves a clock: that alone must not stop a payment
AMOUNT = 1_000  # micro-dollars, of each payment
WALLET_DOLLARS = 1_000 * MICRO
_POLL_S = 0.05
_BATCH_ITEMS = 50  # of a JSON-RPC batch: a busy node answers so many well within `post`'s time
_PACE_S = 0.15  # between two payments of a wallet: about 25 a second in all


class Refusal(Exception):
    """A JSON-RPC error: `code`, `data`."""

    def __init__(self, error: Json) -> None:
        super().__init__(json.dumps(error))
        self.code: int = error["code"]
        self.data: dict[str, Json] = error.get("data") or {}


def post(url: str, body: bytes, *, timeout_s: float = 15.0) -> Json:
    """What the node answers to these bytes; OSError where it does not."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


def call(url: str, method: str, params: Json = (), *, timeout_s: float = 15.0) -> Json:
    """One method's result. Raises `Refusal`, or OSError where nobody answers."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or []}
    answer = post(url, json.dumps(message).encode(), timeout_s=timeout_s)
    if "error" in answer:
        raise Refusal(answer["error"])
    return answer["result"]


def call_each(url: str, method: str, params: Sequence[Json]) -> list[Json]:
    """The method's result for each of `params`, asked for in batches."""
    results: list[Json] = []
    for first in range(0, len(params), _BATCH_ITEMS):
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": asked}
            for number, asked in enumerate(params[first : first + _BATCH_ITEMS], start=first)
        ]
        answers = {answer["id"]: answer for answer in post(url, json.dumps(batch).encode())}
        for message in batch:
            answer = answers[message["id"]]
            if "error" in answer:
                raise Refusal(answer["error"])
            results.append(answer["result"])
    return results


def until(what: str, is_so: Callable[[], object], *, seconds: float = 30.0) -> float:
    """Wait until `is_so()`; the seconds it took. Fails with `what` when the time is over."""
    start = time.monotonic()
    while True:
        try:
            if is_so():
                return time.monotonic() - start
        except (OSError, Refusal):
            pass
        assert time.monotonic() - start < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(_POLL_S)


def height(net: Localnet, place: int) -> int:
    """The last durable height of a node."""
    return int(call(net.nodes[place].rpc, "node_status", timeout_s=5)["height"])


def wallet_accounts() -> list[DevAccount]:
    """The genesis accounts of the wallets."""
    return [DevAccount(f"wallet-{i}", dollar=WALLET_DOLLARS) for i in range(WALLETS)]


def address(name: str) -> str:
    """The text of a development account's address."""
    return address_text(address_of(dev_key(name).public_key), "tmgs")


def transfer(
    chain: bytes, sender: str, nonce: int, to: str, amount: int = AMOUNT, **changes: Any
) -> bytes:
    """A signed transfer between two development accounts, as raw bytes."""
    key, other = dev_key(sender), address_of(dev_key(to).public_key)
    body = Body(
        chain=chain,
        sender=address_of(key.public_key),
        lane=0,
        nonce=nonce,
        valid_until=time.time_ns() // 1_000_000 + VALID_MS,
        fee_max=1_000_000,
        payer=b"",
        kind="dollar_transfer",
        fields=(((other, amount, ""),),),
    )
    return sign_transaction(body._replace(**changes), [key])


class Payer(threading.Thread):
    """One wallet that pays the next one, one payment after the other, until told to stop."""

    def __init__(self, net: Localnet, number: int, first: int) -> None:
        super().__init__(name=f"payer-{number}", daemon=True)
        self.first = first  # nonce
        self._net = net
        self._number = number
        self._stop_now = threading.Event()
        self._abandoned = False
        self.paid: list[tuple[str, int]] = []  # (txid, height), as first told
        self.told_by: list[str] = []  # which node told so
        self.times: list[float] = []  # when each was final
        self.failure: BaseException | None = None

    def stop(self) -> None:
        """No new payment; the one under way comes to its end."""
        self._stop_now.set()

    def abandon(self) -> None:
        """Give up the payment under way too."""
        self._abandoned = True
        self.stop()

    def run(self) -> None:
        try:
            for nonce in range(self.first, self.first + PAYMENTS_MAX):
                if self._stop_now.is_set():
                    return
                self._pay(nonce)
        except BaseException as failure:  # shown by `Bank.check`
            self.failure = failure

    def _pay(self, nonce: int) -> None:
        to = f"wallet-{(self._number + 1) % WALLETS}"
        raw = transfer(self._net.genesis.hash, f"wallet-{self._number}", nonce, to)
        params = {"raw": raw.hex(), "wait": "committed", "timeout_ms": 2_000}
        deadline = time.monotonic() + 60
        at = self._number + nonce
        while True:
            node = self._net.nodes[at % len(self._net.nodes)]
            try:
                answer = call(node.rpc, "tx_submit", params, timeout_s=4)
            except OSError:
                answer = {"status": "no answer"}
            if answer["status"] == "committed":
                self.paid.append((answer["txid"], answer["height"]))
                self.told_by.append(node.name)
                self.times.append(time.monotonic())
                time.sleep(_PACE_S)
                return
            assert answer["status"] in ("pending", "no answer"), answer
            if self._abandoned:
                return
            assert time.monotonic() < deadline, f"{self.name}: payment {nonce} is not final"
            at += 1
            time.sleep(_POLL_S)


class Bank:
    """Wallets that pay each other in a ring while nodes fail. Use as a context manager."""

    def __init__(self, net: Localnet) -> None:
        self._net = net
        self.payers: list[Payer] = []
        self._before: list[int] = []  # dollars
        for number in range(WALLETS):
            account = call(net.nodes[1].rpc, "account_get", [address(f"wallet-{number}")])
            self.payers.append(Payer(net, number, account["nonces"].get("0", 0)))
            self._before.append(int(account["dollar"]))

    def __enter__(self) -> Bank:
        for payer in self.payers:
            payer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the load; every payment under way is final afterwards."""
        for payer in self.payers:
            payer.stop()
        for payer in self.payers:
            payer.join(timeout=70)

    def abandon(self) -> None:
        """End the load on a chain that decides nothing any more."""
        for payer in self.payers:
            payer.abandon()
        self.stop()

    def count(self) -> int:
        """Payments that are final so far."""
        return sum(len(payer.paid) for payer in self.payers)

    def go_on(self, more: int = 2 * WALLETS, *, seconds: float = 25.0) -> float:
        """Wait until so many more payments are final; the seconds it took."""
        for payer in self.payers:
            assert payer.failure is None, payer.failure
        goal = self.count() + more
        return until(f"{more} more payments", lambda: self.count() >= goal, seconds=seconds)

    def check(self) -> None:
        """No payment lost or doubled, and the money adds up, on every node."""
        for payer in self.payers:
            assert payer.failure is None, payer.failure
            assert not payer.is_alive()
        paid = [item for payer in self.payers for item in payer.paid]
        assert len({txid for txid, _ in paid}) == len(paid)
        chains = [payments_of(node.rpc) for node in self._net.nodes]
        assert all(chain == chains[0] for chain in chains)
        found = chains[0]
        assert {txid: [height] for txid, height in paid} == {
            txid: found.get(txid) for txid, _ in paid
        }
        for node in self._net.nodes:
            self._check_balances(node.rpc)

    def _check_balances(self, url: str) -> None:
        for number, payer in enumerate(self.payers):
            account = call(url, "account_get", [address(f"wallet-{number}")])
            assert account["nonces"].get("0", 0) == payer.first + len(payer.paid)
            told = call_each(url, "tx_status", [[txid] for txid, _ in payer.paid])
            fees = sum(int(status["fee"]) for status in told)
            earned = AMOUNT * len(self.payers[number - 1].paid)
            spent = AMOUNT * len(payer.paid) + fees
            assert int(account["dollar"]) == self._before[number] + earned - spent
        laws = call(url, "audit_laws")
        assert laws["items"]
        assert all(law["ok"] for law in laws["items"]), laws


def payments_of(url: str) -> dict[str, list[int]]:
    """txid -> the heights of the blocks that hold it (one, if all is well)."""
    found: dict[str, list[int]] = {}
    heights = range(1, int(call(url, "node_status")["height"]) + 1)
    blocks = call_each(url, "chain_block", [[at] for at in heights])
    for at, block in zip(heights, blocks, strict=True):
        for txid in block["txs"]:
            found.setdefault(txid, []).append(at)
    return found


def settle(net: Localnet, *, seconds: float = 30.0) -> int:
    """Wait until all nodes stand at one height with nothing waiting; that height."""

    def is_quiet() -> bool:
        told = [call(node.rpc, "node_status", timeout_s=5) for node in net.nodes]
        return len({s["height"] for s in told}) == 1 and not any(s["mempool_txs"] for s in told)

    until("all nodes at one height", is_quiet, seconds=seconds)
    return height(net, 0)


def check_one_chain(net: Localnet, last: int) -> None:
    """All nodes hold the same block at each height up to `last`."""
    chains = [call_each(n.rpc, "chain_block", [[at] for at in range(last + 1)]) for n in net.nodes]
    for at, blocks in enumerate(zip(*chains, strict=True)):
        assert len({block["hash"] for block in blocks}) == 1, f"height {at}: {blocks}"
        assert all(block["header"] == blocks[0]["header"] for block in blocks)


def primary(net: Localnet, alive: Sequence[int] = (0, 1, 2, 3)) -> int:
    """The place of the primary of the highest view that the living nodes are in."""
    told = [call(net.nodes[place].rpc, "node_status", timeout_s=5) for place in alive]
    name = max(told, key=lambda status: status["view"])["primary"]
    return next(node.place for node in net.nodes if node.name == name)
