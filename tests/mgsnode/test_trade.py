"""The trade file: totals against a plain second computation, the rules one by one, bad files."""

from __future__ import annotations

import csv
from decimal import ROUND_FLOOR, Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsnode.base.errors import ConfigError
from mgsnode.trade import COLUMNS, Trade, parse_rate, read_trade

HEADER = ",".join(COLUMNS)
SHIPPED = Path(str(files("mgsnode").joinpath("data", "online_retail.csv")))


def sums_of(path: Path, rate: str) -> dict[str, int]:
    """The figures by another way: one pass over dicts, each bought unit on a list of its own."""
    orders: dict[str, int] = {}
    buyers, lines, gross, refunds, refunded, unmatched = set(), 0, 0, 0, 0, 0
    units: dict[tuple[str, str], list[tuple[str, int]]] = {}
    first_row: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            who, invoice, count = row["customer_id"], row["invoice"], int(row["quantity"])
            price = Decimal(row["unit_price_gbp"]) * Decimal(rate) * 1_000_000
            micro = int(price.to_integral_value(rounding=ROUND_FLOOR))
            if not who:
                continue
            if invoice[0] != "C" and count > 0:
                if micro > 0:
                    first_row.setdefault(invoice, number)
                    orders[invoice] = orders.get(invoice, 0) + count * micro
                    buyers.add(who)
                    lines += 1
                    gross += count * micro
                    bought = units.setdefault((who, row["stock_code"]), [])
                    bought += [(invoice, micro)] * count
                continue
            bought = units.get((who, row["stock_code"]), [])
            bought.sort(key=lambda unit: first_row[unit[0]])  # stable: the oldest order first
            back = [bought.pop(0) for _ in range(min(abs(count), len(bought)))]
            refunds += bool(back)
            refunded += sum(price for _, price in back)
            unmatched += len(back) < abs(count)
    return {
        "orders": len(orders), "order_lines": lines, "gross": gross, "buyers": len(buyers),
        "refunds": refunds, "refunded": refunded, "refunds_unmatched": unmatched,
    }  # fmt: skip


def figures_of(trade: Trade) -> dict[str, int]:
    return {
        "orders": len(trade.orders), "order_lines": trade.order_lines, "gross": trade.gross,
        "buyers": trade.buyers, "refunds": len(trade.refunds), "refunded": trade.refunded,
        "refunds_unmatched": trade.refunds_unmatched,
    }  # fmt: skip


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "trade.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def row(
    invoice: str, sku: str, quantity: object, price: str = "1", customer: str = "1", time: str = ""
) -> str:
    moment = time or "2010-12-01T08:26"
    return f"{invoice},{sku},a thing,{quantity},{moment},{price},{customer},United Kingdom"


def read(path: Path, rate: str = "1.56") -> Trade:
    return read_trade(path, parse_rate(rate))


def test_the_file_that_travels_with_the_package_sums_up_as_a_plain_computation_does() -> None:
    figures = figures_of(read(SHIPPED))
    assert figures == sums_of(SHIPPED, "1.56")
    assert figures["gross"] == 183_478_978_800
    assert (figures["orders"], figures["order_lines"], figures["buyers"]) == (315, 5045, 234)
    assert (figures["refunds"], figures["refunded"]) == (7, 212_316_000)
    assert figures["refunds_unmatched"] == 77


@pytest.mark.parametrize("rate", ["1.3337777", "0.9", "2"])
def test_at_another_rate_each_unit_price_floors_to_a_micro_dollar(rate: str) -> None:
    assert figures_of(read(SHIPPED, rate)) == sums_of(SHIPPED, rate)


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", "4", "C5", "C6"]),
        st.sampled_from(["A", "B"]),
        st.integers(-6, 6),
        st.sampled_from(["0", "0.001", "2.55", "-1"]),
    ),
    min_size=1,
    max_size=40,
)


@given(_ROWS)
@settings(max_examples=80, deadline=None)
def test_any_mixture_of_orders_and_credits_sums_up_as_the_plain_computation_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, str]]
) -> None:
    # An invoice has one customer; some name nobody.
    owner = {"1": "10", "2": "10", "3": "11", "4": "", "C5": "10", "C6": "11"}
    folder = tmp_path_factory.mktemp("trade")
    path = write(folder, *(row(i, s, q, p, owner[i]) for i, s, q, p in rows), row("9", "Z", 1))
    assert figures_of(read(path)) == sums_of(path, "1.56")


def test_a_credit_takes_from_the_oldest_order_first_at_that_orders_price(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        row("1", "A", 3, "1.00"), row("2", "A", 5, "2.00"), row("C3", "A", -4, "9.99"),
        row("C4", "A", -10, "9.99"),
    )  # fmt: skip
    trade = read(path)
    first, second = trade.refunds
    assert [(part.order, part.quantity) for part in first.parts] == [(0, 3), (1, 1)]
    assert first.amount == 3 * 1_560_000 + 3_120_000
    assert [(part.order, part.quantity) for part in second.parts] == [(1, 4)]
    assert trade.refunds_unmatched == 1, "six of the ten found no order"


def test_a_credit_finds_no_order_that_stands_after_it(tmp_path: Path) -> None:
    path = write(tmp_path, row("C1", "A", -1), row("2", "A", 1), row("C3", "A", -1))
    trade = read(path)
    assert [refund.row for refund in trade.refunds] == [4]
    assert trade.refunds_unmatched == 1


def test_a_credit_finds_no_line_of_an_order_that_stands_after_it(tmp_path: Path) -> None:
    path = write(tmp_path, row("1", "B", 1), row("C2", "A", -1), row("1", "A", 1))
    trade = read(path)
    assert trade.refunds == ()
    assert len(trade.orders) == 1 and trade.order_lines == 2


def test_a_negative_quantity_of_an_ordinary_invoice_is_a_credit(tmp_path: Path) -> None:
    trade = read(write(tmp_path, row("1", "A", 2), row("2", "A", -1)))
    assert len(trade.orders) == 1 and trade.refunded == 1_560_000


def test_nobodys_rows_and_free_lines_are_no_orders(tmp_path: Path) -> None:
    path = write(
        tmp_path, row("1", "A", 1), row("2", "A", 1, customer=""), row("3", "A", 1, "0"),
        row("4", "A", 0), row("C5", "A", -1, customer=""),
    )  # fmt: skip
    trade = read(path)
    assert [order.invoice for order in trade.orders] == ["1"]
    assert trade.refunds_unmatched == 0


def test_columns_may_stand_in_another_order_with_others_between_them(tmp_path: Path) -> None:
    header = "extra,country,customer_id,unit_price_gbp,invoice_time,quantity,description,"
    path = write(
        tmp_path,
        'x,France,7,2.5,2010-12-01T08:26:30,2,"a ""nice""\nthing",A,1',
        header=header + "stock_code,invoice",
    )
    (order,) = read(path).orders
    assert (order.country, order.customer, order.total) == ("France", "7", 7_800_000)


BAD = {
    "an empty file": ("", "is empty"),
    "a header alone": (HEADER + "\n", "has no rows"),
    "a missing column": (HEADER.replace("quantity", "count") + "\n", "column missing: quantity"),
    "a column twice": (HEADER + ",quantity\n", "column named twice: quantity"),
    "letters for a quantity": (row("1", "A", "six"), "line 2: quantity: is not a whole number"),
    "a fraction for a quantity": (row("1", "A", "1.5"), "line 2: quantity"),
    "letters for a price": (row("1", "A", 1, "abc"), "line 2: unit_price_gbp: is not a decimal"),
    "a price that is no number": (row("1", "A", 1, "NaN"), "line 2: unit_price_gbp"),
    "a price with an exponent": (row("1", "A", 1, "1e3"), "line 2: unit_price_gbp"),
    "other digits": (row("1", "A", "٣"), "line 2: quantity"),
    "a day that is none": (row("1", "A", 1, time="2010-02-30T08:26"), "line 2: invoice_time"),
    "a time in words": (row("1", "A", 1, time="noon"), "line 2: invoice_time"),
    "a row cut short": ("1,A,thing", "line 2: has 3 columns, not 8"),
    "no invoice": (row("", "A", 1), "line 2: invoice: is empty"),
    "no stock code": (row("1", "", 1), "line 2: stock_code: is empty"),
    "a stock code too long": (row("1", "A" * 65, 1), "line 2: stock_code: has more than 64"),
    "a quantity too large": (row("1", "A", 10**10), "line 2: quantity: is beyond"),
    "an order beyond counting": (row("1", "A", 10**9, "9" * 9), "costs more than"),
    "two customers of one invoice": (
        row("1", "A", 1) + "\n" + row("1", "A", 1, customer="2"),
        "line 3: customer_id",
    ),
    "an open quote": ('1,A,"thing', "line 2: not CSV"),
    "no customer at all": (row("1", "A", 1, customer=""), "holds no order"),
    "too many lines": ("\n".join([row("1", "A", 1)] * 1025), "line 1026: invoice: has more than"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_named_by_line_and_column(what: str, tmp_path: Path) -> None:
    text, expected = BAD[what]
    path = tmp_path / "bad.csv"
    whole = text if text.startswith("invoice") or not text else f"{HEADER}\n{text}\n"
    path.write_text(whole, encoding="utf-8")
    with pytest.raises(ConfigError, match=expected):
        read(path)


def test_what_is_no_text_and_what_is_not_there_are_sentences_too(tmp_path: Path) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\x00\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1,5", "", "inf", "1e3"])
def test_a_rate_is_a_decimal_above_zero(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_rate(text)
