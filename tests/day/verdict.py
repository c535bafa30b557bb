"""The bank's verdict: what the chain says, held against the fiat that really moved.

A function of two things that know nothing of each other: what a chain answers about itself (`Told`)
and the shadow bank. It reads neither laws nor rules of the chain. The chain's own laws would not
notice most of what it finds: a dollar issued without fiat, a claim that was paid twice or never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from tests.state.shadow_bank import ShadowBank

OPEN = ("pending", "claimed", "contested")
OWED = ("open", "overdue", "claimed", "contested")


class Issued(NamedTuple):
    """An issue of dollars."""

    gateway: str
    amount: int
    reference: bytes
    status: str


class Asked(NamedTuple):
    """A redemption, in US dollars."""

    holder: str
    gateway: str
    amount: int
    status: str


class Owed(NamedTuple):
    """An obligation between gateways."""

    debtor: str
    creditor: str
    amount: int
    fiat: int
    status: str


class Told(NamedTuple):
    """What the chain says of itself, names in place of addresses."""

    supply: int
    positions: Mapping[str, int]  # of every gateway
    dollars: Mapping[str, int]  # of every holder, without what is locked
    issued: Mapping[bytes, Issued]
    asked: Mapping[bytes, Asked]
    owed: Mapping[bytes, Owed]


def verdict(
    told: Told, bank: ShadowBank, books: Mapping[str, int], *, is_over: bool = True
) -> list[str]:
    """Everything that is wrong. `books`: what each holder's own book says it is worth."""
    wrong = []
    if sum(told.positions.values()) != told.supply:
        wrong.append("positions do not sum to the supply")
    wrong += _issues_without_fiat(told, bank)
    wrong += _redemptions_not_as_paid(told, bank, is_over=is_over)
    wrong += _obligations_not_as_paid(told, bank, is_over=is_over)
    for name in told.positions:
        short = unbacked(told, bank, name)
        if short > 0:
            wrong.append(f"{name}: {short} of its dollars are unbacked")
    return wrong + (_holders_not_whole(told, bank, books) if is_over else [])


def unbacked(told: Told, bank: ShadowBank, name: str) -> int:
    """What a gateway stands for beyond its fiat; what was really paid is no debt any more."""
    done = sum(a.amount for i, a in told.asked.items()
               if a.gateway == name and a.status in OPEN and bank.paid[i] >= a.amount)  # fmt: skip
    done += sum(o.amount for i, o in told.owed.items()
                if o.debtor == name and o.status in OWED and bank.paid[i] >= o.fiat)  # fmt: skip
    return max(0, told.positions[name] - done) - bank.fiat[name]


def _issues_without_fiat(told: Told, bank: ShadowBank) -> list[str]:
    wrong, used = [], Counter[bytes]()
    for issue in told.issued.values():
        if issue.status != "issued":
            continue
        used[issue.reference] += 1
        wire = bank.wires.get(issue.reference)
        if wire is None or wire.to != issue.gateway or wire.amount < issue.amount:
            wrong.append(f"{issue.gateway} issued {issue.amount} without fiat")
        elif used[issue.reference] > 1:
            wrong.append(f"{issue.gateway} issued twice on one wire")
    return wrong


def _redemptions_not_as_paid(told: Told, bank: ShadowBank, *, is_over: bool) -> list[str]:
    wrong = []
    for rid, asked in told.asked.items():
        got = bank.paid[rid]
        who = f"redemption {rid.hex()[:8]} of {asked.holder} at {asked.gateway}"
        if asked.status in OPEN:
            if is_over:
                wrong.append(f"{who} is {asked.status}: neither fiat nor dollars")
            if got not in (0, asked.amount):
                wrong.append(f"{who}: {got} paid of {asked.amount}")
        elif got != (asked.amount if asked.status == "paid" else 0):
            wrong.append(f"{who} is {asked.status} and {got} of {asked.amount} was paid")
    return wrong


def _obligations_not_as_paid(told: Told, bank: ShadowBank, *, is_over: bool) -> list[str]:
    wrong = []
    for oid, owed in told.owed.items():
        got = bank.paid[oid]
        who = f"obligation {oid.hex()[:8]} of {owed.debtor} to {owed.creditor}"
        if owed.status in OWED:
            if is_over:
                wrong.append(f"{who} is {owed.status}")
            if got not in (0, owed.fiat):
                wrong.append(f"{who}: {got} paid of {owed.fiat}")
        elif got != (owed.fiat if owed.status == "settled" else 0):
            wrong.append(f"{who} is {owed.status} and {got} of {owed.fiat} was paid")
    return wrong


def _holders_not_whole(told: Told, bank: ShadowBank, books: Mapping[str, int]) -> list[str]:
    """Each holder has, in fiat and dollars, what its own book says; nothing is locked any more."""
    has = {name: told.dollars[name] + bank.fiat[name] for name in books}
    return [
        f"{name} has {has[name]} and should have {books[name]}"
        for name in books
        if has[name] != books[name]
    ]
