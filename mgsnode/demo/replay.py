"""The trade, in the order of the file: dollars issued, orders paid, shipped, completed, refunded.

Orders and refunds begin in the order of the file, a bounded number of them at a time; one
customer's wait for each other, so that each customer's history happens exactly as it stands
there. A customer whom a distributor brings is bound to him before the first order. What is said of
an order's lines is said once it is complete. A refund goes out when all that stands before it of
that customer is complete.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from mgsnode.demo.plan import Place, customer_key, serving, whole_cents
from mgsnode.demo.script import DEPOSIT_BP, VOTES_EACH, Said
from mgsnode.demo.stage import NO_ID, Stage
from mgsnode.devnet import dev_key
from mgsnode.trade import Order, Refund
from state.tx.backings import BPS

IN_FLIGHT: Final = 320  # orders and refunds at a time: a few hundred transactions, a block's worth
_CLAIMS: Final = 6  # periods in which a customer may earn something whatever it buys
_CLAIMS_OF_ORDER: Final = 2  # and more with each order: when it is final, when a review of it leads
_PERIOD_LARGE: Final = 1 << 20  # its encoding is as long as any we shall claim for
_FEE_OF_DEMAND: Final = 10_000  # micro-dollars, far more than asking for something costs

Told = Callable[[Order | Refund], None]


class Replay:
    """One telling of the trade. What it did is in its public figures, and on the stage."""

    def __init__(self, stage: Stage) -> None:
        self.seconds = 0.0  # from the first order to the last refund
        self.transactions = 0  # in that time
        self.order_ids: dict[int, str] = {}
        self.review_ids: dict[int, str] = {}  # by `Said.number`
        self._stage = stage
        self._backed = dict(stage.script.wanted.backings)  # units, by order
        self._said: dict[int, list[Said]] = {}
        for said in stage.script.said:
            self._said.setdefault(said.order, []).append(said)
        self.needs = self._count_needs()
        self._bound: set[str] = set()

    async def tell(self, told: Told) -> None:
        """The whole trade; `told` is called with each order and refund when it is done."""
        figures = self._stage.courier.figures
        started, before = time.monotonic(), figures.transactions
        trade = self._stage.trade
        steps: list[Order | Refund] = [*trade.orders, *trade.refunds]
        steps.sort(key=lambda step: step.row)
        slots = asyncio.Semaphore(IN_FLIGHT)
        last: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            for step in steps:
                await slots.acquire()
                task = group.create_task(self._step(step, last.get(step.customer)))
                last[step.customer] = task
                task.add_done_callback(lambda _task: slots.release())
                task.add_done_callback(lambda _task, step=step: told(step))  # type: ignore[misc]
        self.seconds = time.monotonic() - started
        self.transactions = figures.transactions - before

    async def _step(self, step: Order | Refund, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        if isinstance(step, Order):
            await self._order(step)
        else:
            await self._refund(step)

    # Dollars

    def _count_needs(self) -> Counter[tuple[str, str]]:
        """What each (customer, gateway) needs for its orders and all fees, in micro-dollars."""
        needs: Counter[tuple[str, str]] = Counter()
        stage = self._stage
        for order in stage.trade.orders:
            customer = order.customer
            gateway = serving(order.country, stage.places).name
            acts: list[tuple[str, dict[str, Any]]] = [
                ("order_pay", self._pay_fields(order, NO_ID)),
                ("order_complete", {"order": NO_ID}),
                *(
                    ("review_write", self._review_fields(said, NO_ID))
                    for said in self._said.get(order.number, ())
                ),
            ]
            key = customer_key(customer)
            claims = _CLAIMS_OF_ORDER
            if (customer, gateway) not in needs:
                distributor = stage.address(key)  # as long as any other
                acts.append(("refer_bind", {"distributor": distributor, "shop": NO_ID}))
                acts += [("review_vote", {"review": NO_ID, "helpful": True})] * VOTES_EACH
                claims += _CLAIMS
            acts += [("token_claim", {"period": _PERIOD_LARGE})] * claims
            needs[customer, gateway] += order.total + self._deposit(order.number)
            for kind, fields in acts:
                needs[customer, gateway] += stage.wallet.fee_bound(key, kind, fields)
        return needs

    def _deposit(self, number: int) -> int:
        """What an order's buyer leaves for its part of the demand, and the fee of asking."""
        units = self._backed.get(number, 0)
        deposit = -(-self._stage.script.wanted.price * units * DEPOSIT_BP // BPS)
        return deposit + _FEE_OF_DEMAND if units else 0

    async def fund(self, customer: str, place: Place) -> None:
        """Before the first act under a gateway a customer brings it fiat for all that follows."""
        need = self.needs.pop((customer, place.name), 0)
        if need:
            key, amount = customer_key(customer), whole_cents(need)
            await self._stage.issue(place, key, amount, f"customer {customer}")

    # An order, a refund

    def _pay_fields(self, order: Order, shop: str) -> dict[str, Any]:
        stage = self._stage
        lines: list[dict[str, Any]] = [
            {"sku": line.sku, "quantity": line.quantity, "unit_price": str(line.unit_price)}
            for line in order.lines
        ]
        for line in lines:
            if line["sku"] == stage.script.lot.sku:
                line["batch"] = stage.batch or NO_ID
        fields: dict[str, Any] = {"shop": shop, "lines": lines}
        if order.number in self._backed:
            fields["demand"] = stage.demand or NO_ID
        return fields

    def _review_fields(self, said: Said, order: str) -> dict[str, Any]:
        return {
            "order": order,
            "line": said.line,
            "rating": said.opinion.rating,
            "text": said.opinion.text,
            "disclosure": "none",
        }

    async def _order(self, order: Order) -> None:
        stage, customer = self._stage, order.customer
        key, place = customer_key(customer), serving(order.country, stage.places)
        await self.fund(customer, place)
        distributor = stage.script.brought.get(customer)
        if distributor is not None and customer not in self._bound:
            self._bound.add(customer)
            bind = {"distributor": stage.address(dev_key(distributor)), "shop": stage.shop}
            await stage.act(key, "refer_bind", bind, at=place)
        order_id = await stage.act(key, "order_pay", self._pay_fields(order, stage.shop), at=place)
        self.order_ids[order.number] = order_id
        reference = f"invoice {order.invoice}"
        await stage.by_shop("order_ship", {"order": order_id, "reference": reference})
        await stage.act(key, "order_complete", {"order": order_id}, at=place)
        said = self._said.get(order.number, ())
        written = await asyncio.gather(
            *(
                stage.act(key, "review_write", self._review_fields(each, order_id), at=place)
                for each in said
            )
        )
        for each, review in zip(said, written, strict=True):
            self.review_ids[each.number] = review

    def refund_fields(self, refund: Refund, order_id: Callable[[int], str]) -> list[dict[str, Any]]:
        """The fields of the transactions that make up a refund: one for each order."""
        lines: dict[int, list[dict[str, int]]] = {}
        for part in refund.parts:
            line = {"line": part.line, "quantity": part.quantity}
            lines.setdefault(part.order, []).append(line)
        reason = f"credit {refund.invoice}"
        return [
            {"order": order_id(number), "lines": of_order, "reason": reason}
            for number, of_order in lines.items()
        ]

    async def _refund(self, refund: Refund) -> None:
        for fields in self.refund_fields(refund, self.order_ids.__getitem__):
            await self._stage.by_shop("order_refund", fields)
