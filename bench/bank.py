"""The shadow bank: true fiat, which wires alone move and no mark or attestation does.

At the genesis each gateway has as much fiat as it stands for in dollars. At the end of a run every
party asks for its dollars in fiat, the gateway is believed on the chain only where the wire was
made here, and each gateway's fiat must be what it still stands for: nothing that was won on the
chain was won out of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from bench.memory import DOLLAR, MemoryChain, Person
from mgsnode.base.hashing import digest
from state.tx.positions import position_of

CENT: Final = DOLLAR // 100
_LEAST: Final = 11 * DOLLAR  # the least redemption, its ask fee and some transactions' fees
_KEPT: Final = DOLLAR // 5  # for the ask fee, which comes back, and the transactions' fees


class Bank:
    """Who has how much fiat, in micro-dollars."""

    def __init__(self, chain: MemoryChain, gateways: Sequence[str]) -> None:
        self._chain = chain
        self.fiat = Counter({name: position_of(chain.reader, name).position for name in gateways})
        self.paid_out = 0

    def cash(self, holders: Sequence[Person], gateway: str, operator: Person) -> dict[Person, int]:
        """Redeem what each holder has, at par; what arrived of it as fiat."""
        chain = self._chain
        amounts = {
            who: (chain.dollars(who) - _KEPT) // CENT * CENT
            for who in holders
            if chain.dollars(who) >= _LEAST
        }
        asked = [
            chain.tx(who, "dollar_redeem", gateway, amount, "USD", bytes(32), ())
            for who, amount in amounts.items()
        ]
        chain.block(asked)
        for amount in amounts.values():
            self.fiat[gateway] -= amount
            self.paid_out += amount
        references = [digest(b"mgs/economy", tx.txid) for tx in asked]
        chain.block(
            [
                chain.tx(operator, "dollar_redeem_paid", tx.txid, reference, ())
                for tx, reference in zip(asked, references, strict=True)
            ]
        )
        chain.block(
            [
                chain.tx(who, "dollar_redeem_confirm", tx.txid)
                for who, tx in zip(amounts, asked, strict=True)
            ]
        )
        return amounts

    def wrong(self) -> list[str]:
        """Gateways whose fiat is not what they stand for."""
        return [
            f"{name} has {fiat} and stands for {position}"
            for name, fiat in sorted(self.fiat.items())
            if fiat != (position := position_of(self._chain.reader, name).position)
        ]
