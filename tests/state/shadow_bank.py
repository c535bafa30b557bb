"""A shadow bank for tests: the fiat that gateways and holders truly have, in micro-dollars.

The chain knows nothing of it. What moves here is what the agents of a test really do, so that a
theft that leaves every sum on the chain correct is still seen.
"""

from __future__ import annotations

from collections import Counter

from tests.state.world import Person, World


class ShadowBank:
    """Fiat by name, and what was truly paid for each redemption."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.fiat: Counter[str] = Counter()
        self.paid: Counter[bytes] = Counter()

    def pay(self, gateway: str, holder: Person, amount: int, rid: bytes) -> None:
        """The gateway's bank pays a holder for a redemption."""
        self.fiat[gateway] -= amount
        self.fiat[holder.name] += amount
        self.paid[rid] += amount

    def has(self, holder: Person) -> int:
        """What a holder is worth: fiat and dollars. Fees and deposits make it less."""
        return self.fiat[holder.name] + self.w.dollars(holder)
