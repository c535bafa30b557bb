"""Clearing as arithmetic: who pays whom how much, from the net positions alone (F3 of the design).

A pure function of its arguments, exact to the micro-dollar. Creditors C are those below zero,
debtors D those above; T = min(sum of C, sum of D) is what can be cleared. Each side's T is shared
in proportion, by largest remainder: share(a) = T*a // total, and the units that flooring left go
one each to the largest remainders, ties by name. Then both lists, the largest share first, are
walked side by side; each step is one obligation of the smaller of the two remainders.

What always holds of the answer:
1. Each creditor's and each debtor's parts add up to its share; the shares of a side add up to T.
2. No share is above the position it comes from, so nobody ends on the other side of zero.
3. At most |C| + |D| - 1 parts, none of 0, no pair twice, nobody with itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple


class Part(NamedTuple):
    """One obligation to be."""

    debtor: str
    creditor: str
    amount: int  # micro-dollars, above 0


def share_out(total: int, claims: Mapping[str, int]) -> dict[str, int]:
    """`total` in proportion to `claims` (all above 0), whole units, adding up exactly.

    `total` is at most the sum of the claims; no share is above its claim.
    """
    whole = sum(claims.values())
    assert 0 <= total <= whole
    if total == whole:
        return dict(claims)
    shares = {name: total * claim // whole for name, claim in claims.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(claims, key=lambda name: (-(total * claims[name] % whole), name))
    for name in by_remainder[:left]:
        shares[name] += 1
    return shares


def clear(
    nets: Mapping[str, int], *, wait_below: int = 0, never_wait: Collection[str] = ()
) -> list[Part]:
    """The obligations of one window, in the order in which they are to be made.

    `nets`: net position of each gateway that takes part. Claims (of who is below zero) smaller
    than `wait_below` wait, except those of `never_wait`.
    """
    creditors = {
        name: -net
        for name, net in nets.items()
        if net < 0 and (-net >= wait_below or name in never_wait)
    }
    debtors = {name: net for name, net in nets.items() if net > 0}
    total = min(sum(creditors.values()), sum(debtors.values()))
    if total == 0:
        return []
    return _walk(share_out(total, debtors), share_out(total, creditors))


def _walk(debts: Mapping[str, int], claims: Mapping[str, int]) -> list[Part]:
    """Both sides from their largest share on; equal sums are given."""
    owing, owed = (
        sorted(((share, name) for name, share in side.items() if share), key=_largest_first)
        for side in (debts, claims)
    )
    parts: list[Part] = []
    place = 0
    left = owed[0][0]
    for debt, debtor in owing:
        while debt:
            step = min(debt, left)
            parts.append(Part(debtor, owed[place][1], step))
            debt -= step
            left -= step
            if left == 0 and place + 1 < len(owed):
                place += 1
                left = owed[place][0]
    return parts


def _largest_first(item: tuple[int, str]) -> tuple[int, str]:
    share, name = item
    return -share, name
