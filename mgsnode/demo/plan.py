"""Who does what in the demo, before anything happens: countries, gateways, terms, genesis.

Pure: it follows from the trade and the number of gateways alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mgsnode.base.errors import ConfigError
from mgsnode.base.genesis import Genesis
from mgsnode.base.hashing import digest
from mgsnode.base.keys import SigningKey
from mgsnode.base.limits import INT_MAX
from mgsnode.devnet import HOLDERS, DevAccount, dev_key
from mgsnode.trade import Trade
from state.tx.goods import UNITS_MAX

MERCHANT: Final = "merchant"
SHOP_NAME: Final = "The Online Retailer"
SHOP_COUNTRY: Final = "United Kingdom"
RETURN_WINDOW_MS: Final = 3_000  # so that every order becomes final while one watches
# Deadlines of a minute: far beyond a step of the replay, which takes well under a second.
TERMS: Final[dict[str, Any]] = {
    "ship_within_ms": 60_000,
    "complete_after_ms": 60_000,
    "return_window_ms": RETURN_WINDOW_MS,
    "holdback_bp": 1_000,
    "commission_bp": 500,
}
DOLLAR: Final = 1_000_000
# What takes a day on a real network takes seconds here, and what has a deadline of days has a
# minute: far beyond a step of the story. What may be issued at once is left as it is.
PERIOD_MS: Final = 6_000
PARAMS: Final = {
    "period_ms": PERIOD_MS,
    "issue_delay_ms": 2_000,
    "redeem_deadline_ms": 60_000,
    "contest_ms": 60_000,
    "clearing_window_ms": 4_000,
    "obligation_due_ms": 60_000,
    "obligation_grace_ms": 60_000,
    "obligation_contest_ms": 60_000,
}
CENT: Final = 10_000
DISTRIBUTORS: Final = HOLDERS[:3]
_BROUGHT_OF: Final = 6  # three of six customers come through a distributor
MAKER: Final = "maker"
MAKER_NAME: Final = "The Workshop"
CHEAT: Final = "mallory"
CHEAT_AGAIN: Final = "mallory-again"  # the same person's second account
POCKET: Final = 100 * DOLLAR  # what those who are no customers hold from the genesis
REDEEMED_SHARE: Final = 4  # the shop redeems one part in four of its takings
_CAP_LOWEST: Final = 10_000_000 * DOLLAR
_CAP_TIMES: Final = 3  # what is bought, its refunds, and deposits, capital and fees beside
GROSS_MAX: Final = 1_000_000_000_000 * DOLLAR
assert _CAP_TIMES * GROSS_MAX < INT_MAX // 2  # all sums of the chain fit
_CODES: Final = {
    "Australia": "AU", "Austria": "AT", "EIRE": "IE", "France": "FR", "Germany": "DE",
    "Japan": "JP", "Netherlands": "NL", "Norway": "NO", "Switzerland": "CH",
    "United Kingdom": "GB",
}  # fmt: skip


class Place(NamedTuple):
    """A gateway of the network."""

    node: int  # the number of its node, from 0
    name: str
    country: str
    currency: str


def places_of(genesis: Genesis) -> list[Place]:
    """The gateways in the order of their nodes."""
    return [
        Place(node, gateway.name, gateway.country, gateway.currencies[0])
        for node, gateway in enumerate(genesis.gateways)
    ]


def serving(country: str, places: Sequence[Place]) -> Place:
    """The gateway that serves a country: the one that lives there, else one by its name's hash."""
    for place in places:
        if place.country == _CODES.get(country):
            return place
    number = int.from_bytes(digest(b"mgs/demo-country", country.encode()))
    return places[number % len(places)]


def redeeming(issued: dict[str, int], places: Sequence[Place]) -> Place:
    """Where the shop redeems: the gateway that issued least, never (of several) the one of most."""
    return min(places, key=lambda place: (issued.get(place.name, 0), -place.node))


def customer_key(customer: str) -> SigningKey:
    """A customer's key; public, as every development key."""
    return dev_key(f"demo/customer/{customer}")


def merchant_key() -> SigningKey:
    """The shop owner's key."""
    return dev_key(f"demo/{MERCHANT}")


def cap_of(trade: Trade) -> int:
    """What each gateway of the demo may owe: enough, were it to issue everything."""
    return max(_CAP_LOWEST, _CAP_TIMES * trade.gross)


def check_size(trade: Trade) -> None:
    """`ConfigError` where a trade is more than one chain can hold."""
    if trade.gross > GROSS_MAX:
        raise ConfigError(
            f"the trade: all orders together cost more than {GROSS_MAX // DOLLAR:,} dollars"
        )
    units: Counter[str] = Counter()
    for order in trade.orders:
        for line in order.lines:
            units[line.sku] += line.quantity
    if max(units.values()) > UNITS_MAX:
        raise ConfigError(f"the trade: more than {UNITS_MAX:,} units of one stock code are sold")


def whole_cents(amount: int) -> int:
    """`amount` rounded up to a cent: dollars are issued against fiat."""
    return -(-amount // CENT) * CENT


def pockets() -> list[DevAccount]:
    """Who besides the holders has dollars from the genesis."""
    return [DevAccount(name, POCKET) for name in (MAKER, CHEAT, CHEAT_AGAIN)]


def brought_by(customer: str) -> str | None:
    """The distributor who brings a customer to the shop; None: it came by itself."""
    number = int.from_bytes(digest(b"mgs/demo-brought", customer.encode())) % _BROUGHT_OF
    return DISTRIBUTORS[number] if number < len(DISTRIBUTORS) else None
