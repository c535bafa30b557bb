"""The story, in the order of the file: dollars issued, orders paid, shipped, completed, refunded.

Orders and refunds begin in the order of the file, a bounded number of them at a time; one
customer's wait for each other, so that each customer's history happens exactly as it stands
there. A refund goes out when all that stands before it of that customer is complete. At the end
the shop redeems part of its takings at a gateway that did not issue (most of) them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey
from mgsnode.client import Client
from mgsnode.demo.courier import Courier, Failed
from mgsnode.demo.plan import (
    CENT,
    DOLLAR,
    REDEEMED_SHARE,
    RETURN_WINDOW_MS,
    SHOP_COUNTRY,
    SHOP_NAME,
    TERMS,
    Place,
    customer_key,
    merchant_key,
    redeeming,
    serving,
    whole_cents,
)
from mgsnode.demo.wallet import Signed, Wallet
from mgsnode.devnet import ARBITER, dev_key
from mgsnode.trade import Order, Refund, Trade

IN_FLIGHT: Final = 320  # orders and refunds at a time: a few hundred transactions, a block's worth
_FINAL_S: Final = 60.0
_ID = "00" * 32
_FEES_OF_SHOP = 12 * DOLLAR  # what opening, redeeming and rounding may cost beside the orders
Tell = Callable[[Order | Refund], None]


class Replay:
    """One telling of the story. Everything it did is in its public figures."""

    def __init__(
        self,
        trade: Trade,
        places: Sequence[Place],
        wallet: Wallet,
        courier: Courier,
        clients: Sequence[Client],
    ) -> None:
        self.trade = trade
        self.places = places
        self.shop = ""  # its id, once it is open
        self.issued = 0  # micro-dollars, by transactions
        self.redeemed = 0
        self.redeemed_at = ""
        self.seconds = 0.0  # from the first issue to the last refund
        self.transactions = 0  # in that time
        self._wallet = wallet
        self._courier = courier
        self._clients = clients
        self._home = serving(SHOP_COUNTRY, places)  # the shop's gateway
        self._merchant = merchant_key()
        self._needs = self._count_needs()
        self._issued_by: Counter[str] = Counter()  # by gateway, to buyers
        self._order_ids: dict[int, str] = {}

    async def tell(self, told: Tell) -> None:
        """The whole trade; `told` is called with each order and refund when it is done."""
        await self._open_shop()
        started, before = time.monotonic(), self._courier.figures.transactions
        steps: list[Order | Refund] = [*self.trade.orders, *self.trade.refunds]
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
        self.transactions = self._courier.figures.transactions - before

    async def _step(self, step: Order | Refund, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        if isinstance(step, Order):
            await self._order(step)
        else:
            await self._refund(step)

    # Dollars

    def _count_needs(self) -> Counter[tuple[str, str]]:
        """What each (customer, gateway) needs for its orders and their fees, in micro-dollars."""
        needs: Counter[tuple[str, str]] = Counter()
        for order in self.trade.orders:
            key = customer_key(order.customer)
            fees = self._wallet.fee_bound(key, "order_pay", self._pay_fields(order, _ID))
            fees += self._wallet.fee_bound(key, "order_complete", {"order": _ID})
            gateway = serving(order.country, self.places).name
            needs[order.customer, gateway] += order.total + fees
        return needs

    async def _issue(self, place: Place, to: SigningKey, amount: int, reference: str) -> None:
        fields = {
            "to": self._wallet.address(to),
            "amount": str(amount),
            "reference": digest(b"mgs/demo-fiat", reference.encode()).hex(),
        }
        tx = self._wallet.sign(dev_key(place.name), "dollar_issue", fields)
        await self._courier.send(tx, node=place.node)
        self.issued += amount

    # The shop

    async def _open_shop(self) -> None:
        merchant, home = self._merchant, self._home
        orders, refunds = self.trade.orders, self.trade.refunds
        ship = {"order": _ID, "reference": "i" * 100}
        fees = len(orders) * self._wallet.fee_bound(merchant, "order_ship", ship)
        for refund in refunds:
            for fields in self._refund_fields(refund, lambda _order: _ID):
                fees += self._wallet.fee_bound(merchant, "order_refund", fields)
        capital = whole_cents(fees + self.trade.refunded + _FEES_OF_SHOP)
        await self._issue(home, merchant, capital, "working capital of the shop")
        fields = {
            "name": SHOP_NAME,
            "gateway": home.name,
            "arbiter": self._wallet.address(dev_key(ARBITER)),
            **TERMS,
        }
        operator = dev_key(home.name)
        tx = self._wallet.sign(merchant, "shop_open", fields, cosigners=[operator])
        await self._courier.send(tx, node=home.node)
        self.shop = tx.txid.hex()

    async def _by_shop(self, kind: str, fields: dict[str, Any]) -> Signed:
        tx = self._wallet.sign(self._merchant, kind, fields)
        await self._courier.send(tx, node=self._home.node)
        return tx

    # An order, a refund

    def _pay_fields(self, order: Order, shop: str) -> dict[str, Any]:
        lines = [
            {"sku": line.sku, "quantity": line.quantity, "unit_price": str(line.unit_price)}
            for line in order.lines
        ]
        return {"shop": shop, "lines": lines}

    async def _order(self, order: Order) -> None:
        key, place = customer_key(order.customer), serving(order.country, self.places)
        need = self._needs.pop((order.customer, place.name), 0)
        if need:  # the first order under this gateway: the customer brings fiat for all of them
            amount = whole_cents(need)
            await self._issue(place, key, amount, f"customer {order.customer}")
            self._issued_by[place.name] += amount
        pay = self._wallet.sign(key, "order_pay", self._pay_fields(order, self.shop))
        await self._courier.send(pay, node=place.node)
        order_id = self._order_ids[order.number] = pay.txid.hex()
        reference = f"invoice {order.invoice}"
        await self._by_shop("order_ship", {"order": order_id, "reference": reference})
        complete = self._wallet.sign(key, "order_complete", {"order": order_id})
        await self._courier.send(complete, node=place.node)

    def _refund_fields(
        self, refund: Refund, order_id: Callable[[int], str]
    ) -> list[dict[str, Any]]:
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
        for fields in self._refund_fields(refund, self._order_ids.__getitem__):
            await self._by_shop("order_refund", fields)

    # The end

    async def redeem(self) -> None:
        """Part of the shop's takings become fiat, at another gateway, once orders are final."""
        await asyncio.sleep(RETURN_WINDOW_MS / 1_000)
        client = self._clients[self._home.node]
        place = redeeming(dict(self._issued_by), self.places)
        params = await client.call("params_get")
        lowest = int(params["redeem_minimum"]["value"])
        merchant = self._wallet.address(self._merchant)
        account = await client.call("account_get", {"address": merchant})
        supply = await client.call("dollar_supply")
        room = int(supply["positions"][place.name]) + int(params["credit_floor"]["value"])
        takings = self.trade.gross - self.trade.refunded
        most = min(int(account["dollar"]) - DOLLAR, room)  # a dollar is left for fees
        amount = min(takings // REDEEMED_SHARE, most) // CENT * CENT
        if amount < lowest:
            return  # a shop so small keeps its dollars
        payout = digest(b"mgs/demo-payout", b"bank details of the shop").hex()
        ask = await self._by_shop(
            "dollar_redeem",
            {
                "gateway": place.name,
                "amount": str(amount),
                "currency": place.currency,
                "payout_hash": payout,
            },
        )
        redemption = ask.txid.hex()
        reference = digest(b"mgs/demo-fiat", b"payout to the shop").hex()
        paid = self._wallet.sign(
            dev_key(place.name),
            "dollar_redeem_paid",
            {"redemption": redemption, "reference": reference},
        )
        await self._courier.send(paid, node=place.node)
        await self._by_shop("dollar_redeem_confirm", {"redemption": redemption})
        self.redeemed, self.redeemed_at = amount, place.name

    async def wait_final(self) -> None:
        """Until the shop counts every order as final: its return window is over.

        What falls due is done in the next block, and an idle chain takes its time with one.
        """
        deadline = time.monotonic() + _FINAL_S
        while True:
            shop = await self._clients[self._home.node].call("shop_get", {"shop": self.shop})
            if shop["final"] == len(self.trade.orders):
                return
            if time.monotonic() > deadline:
                missing = len(self.trade.orders) - int(shop["final"])
                raise Failed(f"{missing} orders did not become final")
            owner = self._wallet.address(self._merchant)
            note = {"to": owner, "amount": str(CENT), "memo": "end of business"}
            await self._by_shop("dollar_transfer", {"outputs": [note]})
