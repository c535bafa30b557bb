"""The shadow bank: the fiat that gateways, holders and attestors truly have, in micro-dollars.

The chain knows nothing of it and it knows nothing of the chain. What moves here is what the agents
of a test really do, by wires, so that a theft that leaves every sum on the chain correct is still
seen. All tests that judge by fiat share it; `tests/day/verdict.py` holds it against the chain.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tests.state.world import Person, World, h

OUTSIDE = "the world outside"  # where a gateway's own capital comes from and profits go


class Wire(NamedTuple):
    """Fiat that moved."""

    at_ms: int
    payer: str
    to: str
    amount: int
    about: bytes  # the redemption or obligation that it pays, empty for anything else


class ShadowBank:
    """Fiat by name, and what was truly paid for each redemption and obligation."""

    def __init__(self, w: World | None = None) -> None:
        self.w = w  # for `has` alone
        self.fiat: Counter[str] = Counter()
        self.paid: Counter[bytes] = Counter()
        self.wires: dict[bytes, Wire] = {}  # by reference
        self._references = 0

    def wire(
        self, payer: str, to: str, amount: int, about: bytes = b"", *, at_ms: int = 0
    ) -> bytes:
        """Fiat really moves; its reference, which no other wire has."""
        assert amount > 0
        reference = self.reference()
        self.wires[reference] = Wire(at_ms, payer, to, amount, about)
        self.fiat[payer] -= amount
        self.fiat[to] += amount
        self.paid[about] += amount
        return reference

    def recall(self, reference: bytes) -> None:
        """The payer's bank takes a wire back, as it does where it went out by mistake."""
        _, payer, to, amount, about = self.wires.pop(reference)
        self.fiat[payer] += amount
        self.fiat[to] -= amount
        self.paid[about] -= amount

    def reference(self) -> bytes:
        """A reference that nothing was wired under; what a liar gives."""
        self._references += 1
        return h(f"reference {self._references}")

    def held_at(self, name: str, instant_ms: int) -> int:
        """What somebody had before that instant: all wires since taken back."""
        since = [wire for wire in self.wires.values() if wire.at_ms >= instant_ms]
        came = sum(wire.amount for wire in since if wire.to == name)
        went = sum(wire.amount for wire in since if wire.payer == name)
        return self.fiat[name] - came + went

    def between(self) -> Counter[tuple[str, str]]:
        """What went from whom to whom."""
        moved: Counter[tuple[str, str]] = Counter()
        for wire in self.wires.values():
            moved[wire.payer, wire.to] += wire.amount
        return moved

    def pay(self, gateway: str, holder: Person, amount: int, rid: bytes) -> bytes:
        """The gateway's bank pays a holder for a redemption."""
        return self.wire(gateway, holder.name, amount, rid)

    def has(self, holder: Person) -> int:
        """What a holder is worth: fiat and dollars. Fees and deposits make it less."""
        assert self.w is not None
        return self.fiat[holder.name] + self.w.dollars(holder)
