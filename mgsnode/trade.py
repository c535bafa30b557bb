"""A shop's trade as a file tells it: orders and what was given back of them, in exact integers.

Each row is one line of an invoice. An invoice of a named customer that does not begin with "C"
is an order; its lines are the rows with a quantity and a price above zero. A credit row (of a "C"
invoice, or with a quantity below zero) of a named customer gives back what that customer bought
of its stock code before it in the file, the oldest order first, at that order's own price, up to
what is left. Rows without a customer are nobody's; they must be well formed all the same.

Prices become micro-dollars by fractions, never floats; where the rate does not come out even,
the unit price floors. Whatever is wrong with a file is a `ConfigError` with line and column.
This module knows the file, not the chain, save for the bounds that a line must keep to enter it.
"""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from mgsnode.base.errors import ConfigError
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX, ORDER_LINES_MAX
from mgsnode.csvfile import BadCell, bad, read_rows

COLUMNS = (
    "invoice", "stock_code", "description", "quantity", "invoice_time", "unit_price_gbp",
    "customer_id", "country",
)  # fmt: skip
GBP_USD = "1.56"
MICRO = 1_000_000
_CREDIT = "C"  # what the invoice of a cancellation begins with
_QUANTITY_MAX = 1_000_000_000  # as `order_pay` takes it
_INTEGER = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?", re.ASCII)


class Row(NamedTuple):
    """One row of the file, checked."""

    line: int  # of the file, from 1: where the row ends
    invoice: str
    sku: str
    quantity: int
    time: datetime
    unit_price: int  # micro-dollars; 0 or below where the file has no price to pay
    customer: str  # "" if nobody is named
    country: str

    @property
    def is_credit(self) -> bool:
        """Whether it gives something back."""
        return self.invoice.startswith(_CREDIT) or self.quantity < 0


class Line(NamedTuple):
    """A line of an order."""

    row: int  # the line of the file
    sku: str
    quantity: int
    unit_price: int  # micro-dollars


class Order(NamedTuple):
    """An invoice with at least one line."""

    number: int  # its place among the orders, from 0
    row: int  # where it begins in the file
    invoice: str
    customer: str
    country: str
    time: datetime
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        """What it costs, in micro-dollars."""
        return sum(line.quantity * line.unit_price for line in self.lines)


class Part(NamedTuple):
    """What a credit row takes back of one line of an order."""

    order: int  # `Order.number`
    line: int  # its place in the order, from 0
    quantity: int
    amount: int  # micro-dollars


class Refund(NamedTuple):
    """A credit row that found what it gives back, at least in part."""

    row: int  # the line of the file
    invoice: str
    customer: str
    time: datetime
    parts: tuple[Part, ...]  # by order, then line

    @property
    def amount(self) -> int:
        """What is paid back, in micro-dollars."""
        return sum(part.amount for part in self.parts)


class Trade(NamedTuple):
    """All that a file says."""

    orders: tuple[Order, ...]  # as they begin in the file
    refunds: tuple[Refund, ...]  # as they stand in the file
    refunds_unmatched: int  # credit rows of which any quantity found no order

    @property
    def order_lines(self) -> int:
        """The lines of all orders."""
        return sum(len(order.lines) for order in self.orders)

    @property
    def gross(self) -> int:
        """What all orders cost, in micro-dollars."""
        return sum(order.total for order in self.orders)

    @property
    def buyers(self) -> int:
        """How many customers ordered."""
        return len({order.customer for order in self.orders})

    @property
    def refunded(self) -> int:
        """What all refunds pay back, in micro-dollars."""
        return sum(refund.amount for refund in self.refunds)


def parse_rate(text: str) -> Fraction:
    """Dollars for a pound, from a decimal like 1.56; else `ConfigError`."""
    if not _DECIMAL.fullmatch(text) or Fraction(text) <= 0:
        raise ConfigError("the rate of the pound is a decimal above 0, such as 1.56")
    return Fraction(text)


def read_trade(path: Path, rate: Fraction) -> Trade:
    """The trade in the CSV file at `path`, at `rate` dollars for a pound."""
    micro_rate = rate * MICRO
    rows = read_rows(path, COLUMNS, lambda line, cells: _row(line, cells, micro_rate))
    try:
        orders = _orders_of(rows)
        refunds, unmatched = _match(orders, [row for row in rows if row.is_credit])
    except BadCell as error:
        raise ConfigError(f"{path}: {error}") from None
    if not orders:
        raise ConfigError(f"{path}: holds no order of a named customer")
    return Trade(tuple(orders), tuple(refunds), unmatched)


# Rows -------------------------------------------------------------------------------------


def _row(line: int, cells: list[str], micro_rate: Fraction) -> Row:
    invoice, sku, _description, quantity, time, price, customer, country = cells
    for column, text in (("invoice", invoice), ("stock_code", sku), ("country", country)):
        if not text:
            raise bad(line, column, "is empty")
        if len(text.encode()) > NAME_BYTES_MAX:
            raise bad(line, column, f"has more than {NAME_BYTES_MAX} bytes")
    if not _INTEGER.fullmatch(quantity):
        raise bad(line, "quantity", f"is not a whole number: {quantity[:32]!r}")
    if abs(int(quantity)) > _QUANTITY_MAX:
        raise bad(line, "quantity", f"is beyond {_QUANTITY_MAX}")
    if not _DECIMAL.fullmatch(price):
        raise bad(line, "unit_price_gbp", f"is not a decimal number: {price[:32]!r}")
    unit_price = Fraction(price) * micro_rate
    return Row(
        line=line,
        invoice=invoice,
        sku=sku,
        quantity=int(quantity),
        time=_open_time(line, time),
        unit_price=unit_price.numerator // unit_price.denominator,
        customer=customer,
        country=country,
    )


def _open_time(line: int, text: str) -> datetime:
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:  # the form is right, the date is none
        pass
    raise bad(line, "invoice_time", f"is not a time like 2010-12-01T08:26: {text[:32]!r}")


# Orders -----------------------------------------------------------------------------------


def _orders_of(rows: list[Row]) -> list[Order]:
    """The orders, in the order in which their first lines stand."""
    invoices: dict[str, list[Row]] = {}
    for row in rows:
        if not row.customer or row.is_credit or row.quantity <= 0 or row.unit_price <= 0:
            continue
        invoices.setdefault(row.invoice, []).append(row)
    return [_order(number, lines) for number, lines in enumerate(invoices.values())]


def _order(number: int, rows: list[Row]) -> Order:
    first = rows[0]
    total = 0
    for row in rows:
        for column, have, want in (
            ("customer_id", row.customer, first.customer),
            ("country", row.country, first.country),
        ):
            if have != want:
                raise bad(row.line, column, f"differs from that of line {first.line}, same invoice")
        total += row.quantity * row.unit_price
        if total > INT_MAX:
            raise bad(row.line, "unit_price_gbp", "the order costs more than the chain can count")
    if len(rows) > ORDER_LINES_MAX:
        line = rows[ORDER_LINES_MAX].line
        raise bad(line, "invoice", f"has more than {ORDER_LINES_MAX} lines")
    lines = tuple(Line(row.line, row.sku, row.quantity, row.unit_price) for row in rows)
    return Order(
        number, first.line, first.invoice, first.customer, first.country, first.time, lines
    )


# Refunds ----------------------------------------------------------------------------------


def _match(orders: list[Order], rows: list[Row]) -> tuple[list[Refund], int]:
    """(refunds, how many credit rows found no order for any of their quantity)."""
    bought: dict[tuple[str, str], list[tuple[Order, int]]] = {}  # oldest first
    left: dict[tuple[int, int], int] = {}
    for order in orders:
        for place, line in enumerate(order.lines):
            bought.setdefault((order.customer, line.sku), []).append((order, place))
            left[order.number, place] = line.quantity
    refunds: list[Refund] = []
    unmatched = 0
    for row in rows:
        wanted = abs(row.quantity)
        if not row.customer or not wanted:
            continue
        parts: list[Part] = []
        for order, place in bought.get((row.customer, row.sku), ()):
            line = order.lines[place]
            quantity = min(wanted, left[order.number, place])
            if quantity and line.row < row.line:
                left[order.number, place] -= quantity
                wanted -= quantity
                parts.append(Part(order.number, place, quantity, quantity * line.unit_price))
        if parts:
            refunds.append(Refund(row.line, row.invoice, row.customer, row.time, tuple(parts)))
        unmatched += wanted > 0
    return refunds, unmatched
