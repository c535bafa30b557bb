"""Quotes: at which price a gateway pays out, and takes in, another currency than US dollars.

A gateway has one quote for a currency; a new one takes its place, and the old one can be named
no more. It ends by block time, or when its size is used up. What was redeemed on it keeps the
fiat amount that it fixed. Size does not come back when a redemption is refused or expires: the
gateway sets a new quote. Part of the redemptions family.

A price is an integer: smallest units of the currency for one million dollars. 79 pence for a
dollar is 79,000,000; 150 yen, which has no smaller unit, is 150,000,000.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX
from state.context import Context, Fields
from state.draft import Reader
from state.fields import Amount, Field, Hash32, Int, Struct, Text, gateway_name
from state.registry import EventSpec, Kind
from state.table import Table, bytes_key, pair_key, text_key
from state.tx.gateways import GATEWAY_NOT_ACTIVE, LEFT, Gateway, operated_by
from state.tx.positions import CENT

CURRENCY_NOT_SERVED: Final = (1507, "CURRENCY_NOT_SERVED")
UNKNOWN_QUOTE: Final = (1509, "UNKNOWN_QUOTE")
QUOTE_NEEDED: Final = (1514, "QUOTE_NEEDED")
QUOTE_MISMATCH: Final = (1515, "QUOTE_MISMATCH")
QUOTE_EXPIRED: Final = (1516, "QUOTE_EXPIRED")
QUOTE_SIZE: Final = (1517, "QUOTE_SIZE")
QUOTE_CROSSED: Final = (1518, "QUOTE_CROSSED")
QUOTE_TIMES: Final = (1519, "QUOTE_TIMES")
FIAT_OUT_OF_RANGE: Final = (1520, "FIAT_OUT_OF_RANGE")

USD: Final = "USD"  # paid at par, without a quote, by every gateway
PRICE_UNIT: Final = 10**12  # micro-dollars that a price is for: one million dollars
PRICE_IN: Final = "smallest units of the currency for a million dollars"
FIAT_IN: Final = "smallest units of the currency"
FEE_BPS_MAX: Final = 1_000
LIFETIME_MS_MAX: Final = 31 * 24 * 3_600_000  # as long as an attestation: older prices are none
QUOTES_OF: Final = 240  # list of a gateway's quotes
_BPS: Final = 10_000


class Quote(NamedTuple):
    """A gateway's price for a currency, under the txid that set it."""

    gateway: str
    currency: str
    bid: int  # it pays this for dollars
    ask: int  # it takes this for dollars
    fee_bps: int  # of the fiat amount, on top
    size: int  # micro-dollars in all
    left: int  # micro-dollars that can still be redeemed on it
    set_ms: int  # block times
    expires_ms: int


class Current(NamedTuple):
    """Which quote of a gateway for a currency counts."""

    quote: bytes


QUOTE: Final[Table[bytes, Quote]] = Table(246, "redemptions/quote", Quote, bytes_key())
# Key: (currency as three letters, gateway).
CURRENT: Final[Table[tuple[bytes, str], Current]] = Table(
    247, "redemptions/current", Current, pair_key(bytes_key(3), text_key())
)


def current_quote(reader: Reader, gateway: str, currency: str) -> bytes:
    """The id of the gateway's quote for the currency, empty if there never was one."""
    row = reader.get(CURRENT, (currency.encode(), gateway))
    return row.quote if row else b""


def fiat_at(quote: Quote, amount: int) -> int:
    """What `amount` micro-dollars bring, in the currency's smallest unit, rounded down once."""
    return amount * quote.bid * (_BPS - quote.fee_bps) // (PRICE_UNIT * _BPS)


def check_served(name: str, gateway: Gateway, currency: str) -> None:
    """`CURRENCY_NOT_SERVED` unless the gateway pays it out. US dollars all do: without that a
    gateway could do without quotes and redeem for nobody.
    """
    if currency != USD and currency not in gateway.currencies:
        raise Rejected(CURRENCY_NOT_SERVED, gateway=name, currency=currency)


def check_fiat(
    ctx: Context, name: str, currency: str, amount: int, named: tuple[bytes, ...]
) -> tuple[int, bytes]:
    """(fiat amount, quote id, empty at par) of a redemption, else a refusal."""
    if not named:
        if currency != USD:
            raise Rejected(QUOTE_NEEDED, currency=currency)
        return amount // CENT, b""
    (quote_id,) = named
    quote = ctx.require(QUOTE, quote_id, UNKNOWN_QUOTE)
    if (quote.gateway, quote.currency) != (name, currency):
        raise Rejected(QUOTE_MISMATCH, gateway=quote.gateway, currency=quote.currency)
    replaced = current_quote(ctx.draft, name, currency) != quote_id
    if replaced or ctx.time_ms >= quote.expires_ms:
        raise Rejected(QUOTE_EXPIRED, expires_ms=quote.expires_ms, replaced=int(replaced))
    if amount > quote.left:
        raise Rejected(QUOTE_SIZE, left=str(quote.left), needed=str(amount))
    fiat = fiat_at(quote, amount)
    if not 1 <= fiat <= INT_MAX:
        raise Rejected(FIAT_OUT_OF_RANGE, fiat=str(fiat))
    return fiat, quote_id


def use_quote(ctx: Context, quote_id: bytes, amount: int) -> None:
    """What is redeemed on a quote uses up its size; nothing to do at par."""
    if quote_id:
        quote = ctx.draft.get(QUOTE, quote_id)
        assert quote is not None and amount <= quote.left
        ctx.draft.put(QUOTE, quote_id, quote._replace(left=quote.left - amount))


def apply_set_quote(ctx: Context, fields: Fields) -> None:
    """A gateway's price for a currency, in place of the one before."""
    currency, bid, ask, fee_bps, size, expires_ms = fields
    name, gateway = operated_by(ctx, ctx.sender)
    if gateway.status == LEFT:
        raise Rejected(GATEWAY_NOT_ACTIVE, gateway=name, status=gateway.status)
    if currency == USD or currency not in gateway.currencies:
        raise Rejected(CURRENCY_NOT_SERVED, gateway=name, currency=currency)
    if bid > ask:
        raise Rejected(QUOTE_CROSSED)
    latest = ctx.time_ms + LIFETIME_MS_MAX
    if not ctx.time_ms < expires_ms <= latest:
        raise Rejected(QUOTE_TIMES, lowest=ctx.time_ms + 1, highest=latest)
    # From here on nothing can fail.
    quote = Quote(name, currency, bid, ask, fee_bps, size, size, ctx.time_ms, expires_ms)
    ctx.draft.put(QUOTE, ctx.object_id, quote)
    ctx.draft.put(CURRENT, (currency.encode(), name), Current(ctx.object_id))
    ctx.list_under(QUOTES_OF, name.encode(), ctx.object_id)
    ctx.emit("quote_set", ctx.object_id, name, currency, bid, ask, fee_bps, size, expires_ms)


def check_quotes(reader: Reader, used: dict[bytes, int]) -> str | None:
    """What is used of each quote is what was redeemed on it, and each has its place."""
    for quote_id, quote in reader.items(QUOTE):
        if quote.size - quote.left != used.pop(quote_id, 0) or quote.left < 0:
            return f"quote {quote_id.hex()}: its size less what is left was not redeemed on it"
        if not current_quote(reader, quote.gateway, quote.currency):
            return f"quote {quote_id.hex()}: none counts for {quote.currency}"
    for (currency, name), row in reader.items(CURRENT):
        found = reader.get(QUOTE, row.quote)
        if found is None or (found.gateway, found.currency) != (name, currency.decode()):
            return f"what counts at {name} for {currency.decode()} is another quote"
    return f"quote {sorted(used)[0].hex()} is not one" if used else None


_CURRENCY: Final = Text(3, lowest=3)
_PRICE: Final = Amount(PRICE_IN)
_PRICES: Final[dict[str, Field]] = {
    "currency": _CURRENCY,
    "bid": _PRICE,
    "ask": _PRICE,
    "fee": Int(0, FEE_BPS_MAX),
    "size": Amount(),
    "expires_ms": Int(0, INT_MAX),
}

QUOTE_KINDS: Final = (
    Kind(
        "quote_set",
        Struct(**_PRICES),
        apply_set_quote,
        200,
        "A gateway's operator sets its price for a currency: bid and ask in the currency's smallest"
        " units for one million dollars, fee in basis points, size in micro-dollars.",
    ),
)
QUOTE_EVENTS: Final = (
    EventSpec(
        "quote_set",
        Struct(quote=Hash32(), gateway=gateway_name(), **_PRICES),
        "A gateway has a new price for a currency.",
    ),
)
QUOTE_REFUSALS: Final = (
    CURRENCY_NOT_SERVED, UNKNOWN_QUOTE, QUOTE_NEEDED, QUOTE_MISMATCH, QUOTE_EXPIRED, QUOTE_SIZE,
    QUOTE_CROSSED, QUOTE_TIMES, FIAT_OUT_OF_RANGE,
)  # fmt: skip
