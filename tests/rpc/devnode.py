"""A node of one process for the tests: a real ledger that mines a block for what is handed in.

One validator certifies; there is no consensus, network or mempool. `hold()` lets transactions
wait as they would in a mempool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mgsnode.base.block import hash_header, make_certificate, vote_fields
from mgsnode.base.errors import Busy, MgsError, Rejected
from mgsnode.base.genesis import TOKEN_PURPOSES, Genesis, GenesisAccount, GenesisGateway
from mgsnode.base.hashing import address_of
from mgsnode.base.keys import Signed, SigningKey, is_signed_by, statement
from mgsnode.base.transaction import BAD_SIGNATURE, Body, Transaction, sign_transaction
from rpc.api import HealthCheck, NodeStatus, PeerStatus, Submission
from state import chain
from state.ledger import Ledger
from state.registry import Registry
from state.view import View

DOLLAR = 1_000_000
GENESIS_MS = 1_700_000_000_000


def key_of(number: int) -> SigningKey:
    """The nth key of the tests."""
    return SigningKey(number.to_bytes(32, "big"))


VOTE, OPERATOR, ALICE, BOB, CAROL, ARBITER = (key_of(n) for n in range(1, 7))


def address(key: SigningKey) -> bytes:
    """The account of a key."""
    return address_of(key.public_key)


def dev_genesis() -> Genesis:
    """One gateway and three holders."""
    gateway = GenesisGateway(
        name="north", country="GB", currencies=("GBP", "USD"), owner_hash=bytes(32),
        operator=address(OPERATOR), vote_key=VOTE.public_key, transport_certificate=b"",
        endpoint="127.0.0.1:1", bond=0, cap=10**15, attested=10**15,
    )  # fmt: skip
    holders = [("operator", OPERATOR), ("alice", ALICE), ("bob", BOB)]
    return Genesis(
        version=1, chain_id="rpc-test", network="dev", time_ms=GENESIS_MS, gateways=(gateway,),
        accounts=tuple(
            GenesisAccount(name, address(key), 1_000 * DOLLAR, "north", 0) for name, key in holders
        ),
        arbiters=(address(ARBITER),), attestors=(), carriers=(),
        moderators=(address(BOB), address(OPERATOR)),
        officers=(address(OPERATOR),),
        token=tuple((name, 10**14) for name in TOKEN_PURPOSES), params=(),
    )  # fmt: skip


class DevNode:
    """`rpc.api.Api` over a real ledger."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger.create(path, dev_genesis())
        self.genesis_hash = self.ledger.genesis_hash
        self.hrp = self.ledger.hrp
        self.waiting: list[Transaction] = []
        self.expired: set[bytes] = set()
        self.is_holding = False
        self.is_busy = False
        self._grown = asyncio.Event()

    @property
    def registry(self) -> Registry:
        return self.ledger.registry

    def view(self) -> View:
        return self.ledger.view()

    @contextmanager
    def hold(self):
        """Let transactions wait until the end of the block of code."""
        self.is_holding = True
        yield
        self.is_holding = False
        self.mine()

    async def submit(self, raw: bytes) -> Submission:
        tx = self.ledger.open_tx(raw)
        if self._is_final(tx.txid):
            return self._fate(tx.txid)
        if any(other.txid == tx.txid for other in self.waiting):
            return Submission(tx.txid, "pending")
        if self.is_busy:
            raise Busy("the waiting room is full", 250)
        if not all(is_signed_by(*claim) for claim in tx.claims()):
            raise Rejected(BAD_SIGNATURE)
        self.ledger.check_admission(tx)
        self.waiting.append(tx)
        if not self.is_holding:
            asyncio.get_running_loop().call_later(0.005, self.mine)
        return Submission(tx.txid, "pending")

    async def submit_many(self, raws: Sequence[bytes]) -> list[Submission | MgsError]:
        answers: list[Submission | MgsError] = []
        for raw in raws:
            try:
                answers.append(await self.submit(raw))
            except MgsError as error:
                answers.append(error)
        return answers

    def _fate(self, txid: bytes) -> Submission:
        with self.view() as view:
            found = chain.read_transaction(view.rows, txid)
        assert found is not None
        height, receipt = found.place.height, found.receipt
        status: Literal["refused", "committed"] = "refused" if receipt.code else "committed"
        name = self.registry.refusal_name(receipt.code)
        return Submission(txid, status, height, receipt.code, name)

    def _is_final(self, txid: bytes) -> bool:
        with self.view() as view:
            return chain.read_place(view.rows, txid) is not None

    def mine(self, step_ms: int = 1_000) -> None:
        """One block with what waits."""
        head = self.ledger.head
        built = self.ledger.build(head.hash, self.waiting, head.header.timestamp_ms + step_ms)
        assert not built.bugs, built.bugs
        self.waiting = []
        header = built.block.header
        block_hash = hash_header(header)
        fields = vote_fields(header.era, 0, header.height, block_hash, 0)
        vote = VOTE.sign(statement(Signed.COMMIT, self.genesis_hash, fields))
        certificate = make_certificate(
            era=header.era, view=0, height=header.height, block_hash=block_hash,
            votes={0: vote}, n=1,
        )  # fmt: skip
        self.ledger.commit(block_hash, certificate)
        self._grown.set()
        self._grown = asyncio.Event()

    def pending(self, txid: bytes) -> Literal["pending", "expired", "unknown"]:
        if any(tx.txid == txid for tx in self.waiting):
            return "pending"
        return "expired" if txid in self.expired else "unknown"

    def next_nonce(self, sender: bytes, lane: int) -> int:
        mine = [tx for tx in self.waiting if (tx.body.sender, tx.body.lane) == (sender, lane)]
        return self.ledger.next_nonce(sender, lane) + len(mine)

    async def wait_committed(self, txid: bytes, timeout_ms: int) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_ms / 1000
        while True:
            if self._is_final(txid):
                return True
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await self._grow(left)

    async def wait_height(self, above: int, timeout_ms: int) -> int:
        if self.ledger.head.header.height <= above:
            await self._grow(timeout_ms / 1000)
        return self.ledger.head.header.height

    async def _grow(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._grown.wait(), seconds)
        except TimeoutError:
            pass

    def status(self) -> NodeStatus:
        header, block_hash, _ = self.ledger.head
        return NodeStatus(
            chain=self.genesis_hash.hex(), chain_id="rpc-test", protocol=1, version="0",
            node_id="n", gateway="north", role="validator", height=header.height,
            block_hash=block_hash.hex(), block_time_ms=header.timestamp_ms,
            state_root=header.state_root.hex(), era=header.era, view=0, primary="north",
            syncing=False, peers=0, mempool_txs=len(self.waiting), mempool_bytes=0, uptime_s=1,
        )  # fmt: skip

    def peers(self) -> Sequence[PeerStatus]:
        return [PeerStatus("south", "validator", "127.0.0.1:2", True, False, 3, 1, 10, 20)]

    def health(self) -> Sequence[HealthCheck]:
        return [HealthCheck("disk", True, "9 GB free")]

    def ready(self) -> str | None:
        return None

    def metrics_text(self) -> str:
        return "# TYPE mgs_height gauge\nmgs_height 1\n"

    def pay(self, sender: SigningKey, to: bytes, amount: int, **changes: object) -> bytes:
        """A signed transfer, raw; `changes` go into the body."""
        body = Body(
            chain=self.genesis_hash, sender=address(sender), lane=0,
            nonce=self.next_nonce(address(sender), 0),
            valid_until=self.ledger.head.header.timestamp_ms + 3_600_000, fee_max=DOLLAR,
            payer=b"", kind="dollar_transfer", fields=(((to, amount, "x"),),),
        )  # fmt: skip
        return sign_transaction(body._replace(**changes), [sender])
