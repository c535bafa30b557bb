"""Where the story is played: who is there, how they act, and how one waits for the chain.

The parts of the story (`opening`, `replay`, `ending`, `cheats`) act through it alone. What has to
be waited for is asked of a node until it is so, never slept for; while nothing else happens the
shop's gateway sends itself a cent now and then, since an idle chain's clock stands still.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey
from mgsnode.client import Client, RpcFailure
from mgsnode.demo.courier import Courier, Failed
from mgsnode.demo.plan import CENT, SHOP_COUNTRY, Place, merchant_key, serving
from mgsnode.demo.script import Script
from mgsnode.demo.wallet import Wallet
from mgsnode.devnet import dev_key
from mgsnode.trade import Trade

_WAIT_S: Final = 60.0
_ASK_S: Final = 0.25  # how often what is waited for is asked
_QUIET_S: Final = 0.2  # nothing has happened for so long: the clock needs a block
NO_ID: Final = "00" * 32  # stands for an id where only the size matters


@dataclass(slots=True)
class _Question:
    method: str
    params: dict[str, Any]
    is_ready: Callable[[Any], bool]
    failing: str
    deadline: float
    answer: asyncio.Future[Any]


class Stage:
    """See the module's law."""

    def __init__(
        self,
        trade: Trade,
        script: Script,
        places: Sequence[Place],
        wallet: Wallet,
        courier: Courier,
        clients: Sequence[Client],
    ) -> None:
        self.trade = trade
        self.script = script
        self.places = places
        self.wallet = wallet
        self.courier = courier
        self.clients = clients
        self.home = serving(SHOP_COUNTRY, places)  # the shop's gateway
        self.merchant = merchant_key()
        self.shop = ""  # its id, once it is open
        self.demand = ""
        self.batch = ""  # of the lot, in the shop's hands
        self.issued = 0  # micro-dollars, by transactions
        self.issued_by: Counter[str] = Counter()  # by gateway
        self.waited: list[str] = []  # issues that had to wait
        self._questions: dict[int, list[_Question]] = {}
        self._asking: dict[int, asyncio.Task[None]] = {}

    def place(self, name: str) -> Place:
        """The gateway of that name."""
        return next(place for place in self.places if place.name == name)

    def address(self, key: SigningKey) -> str:
        """The account of a key."""
        return self.wallet.address(key)

    @property
    def customers(self) -> dict[str, Place]:
        """Each customer with the gateway of the first order, where what is no order is sent."""
        first: dict[str, Place] = {}
        for order in self.trade.orders:
            first.setdefault(order.customer, serving(order.country, self.places))
        return first

    # Acting

    async def act(
        self,
        key: SigningKey,
        kind: str,
        fields: dict[str, Any],
        *,
        at: Place,
        cosigners: Sequence[SigningKey] = (),
        refusal: str = "",
    ) -> str:
        """Sign, hand in at a gateway's node, see it final; its txid in hex."""
        tx = self.wallet.sign(key, kind, fields, cosigners=cosigners)
        await self.courier.send(tx, node=at.node, refusal=refusal)
        return tx.txid.hex()

    async def by_shop(self, kind: str, fields: dict[str, Any]) -> str:
        """The merchant acts."""
        return await self.act(self.merchant, kind, fields, at=self.home)

    async def issue(self, place: Place, to: SigningKey, amount: int, reference: str) -> None:
        """The gateway issues, against fiat that came with this reference; waits if it has to."""
        fields = {
            "to": self.address(to),
            "amount": str(amount),
            "reference": digest(b"mgs/demo-fiat", reference.encode()).hex(),
        }
        issue = await self.act(dev_key(place.name), "dollar_issue", fields, at=place)
        asked = await self.clients[place.node].call("issue_get", {"issue": issue})
        if asked["status"] == "waiting":
            self.waited.append(issue)
            asked = await self.until(
                place, "issue_get", {"issue": issue},
                lambda answer: answer["status"] != "waiting",
                f"an issue of {place.name} did not end its wait",
            )  # fmt: skip
        if asked["status"] != "issued":
            raise Failed(f"an issue of {place.name} ended as {asked['status']}: {asked['reason']}")
        self.issued += amount
        self.issued_by[place.name] += amount

    # Asking and waiting

    async def ask(self, method: str, **params: Any) -> Any:
        """What the shop's own node answers."""
        return await self.clients[self.home.node].call(method, params)

    async def until(
        self,
        place: Place,
        method: str,
        params: dict[str, Any],
        is_ready: Callable[[Any], bool],
        failing: str,
    ) -> Any:
        """The first answer of a gateway's node that is ready; else `Failed` after a minute."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + _WAIT_S
        question = _Question(method, params, is_ready, failing, deadline, answer)
        self._questions.setdefault(place.node, []).append(question)
        asking = self._asking.get(place.node)
        if asking is None or asking.done():
            asking = self._asking[place.node] = asyncio.create_task(self._ask_all(place.node))
        await asyncio.wait((answer, asking), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            asking.result()  # raises what ended it
        return answer.result()

    async def close(self) -> None:
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask_all(self, node: int) -> None:
        """Ask what is waited for at a node, all of it at once, until nothing is."""
        while self._questions[node]:
            asked = self._questions[node][:]
            answers = await self.clients[node].batch([(each.method, each.params) for each in asked])
            for question, answer in zip(asked, answers, strict=True):
                self._look_at(question, answer)
            self._questions[node] = [q for q in self._questions[node] if not q.answer.done()]
            if self._questions[node]:
                await self._let_time_pass()

    def _look_at(self, question: _Question, answer: Any) -> None:
        if question.answer.done():  # whoever waited has gone
            return
        if isinstance(answer, RpcFailure):
            question.answer.set_exception(answer)
        elif question.is_ready(answer):
            question.answer.set_result(answer)
        elif time.monotonic() > question.deadline:
            question.answer.set_exception(Failed(f"{question.failing} within a minute"))

    async def _let_time_pass(self) -> None:
        await asyncio.sleep(_ASK_S)
        if self.courier.quiet_s < _QUIET_S:
            return
        operator = dev_key(self.home.name)
        cent = {"to": self.address(operator), "amount": str(CENT), "memo": "time passes"}
        await self.act(operator, "dollar_transfer", {"outputs": [cent]}, at=self.home)
