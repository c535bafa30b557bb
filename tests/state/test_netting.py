"""Clearing's arithmetic: exact, bounded, the same for everyone, and the same as another's."""

from __future__ import annotations

import os
import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from state.tx.netting import Part, clear, share_out

CASES = int(os.environ.get("MGS_NETTING_CASES", "3000"))


def matrix(nets: dict[str, int]) -> dict[tuple[str, str], int]:
    """A second implementation, with rationals and a matrix instead of floors and two lists."""
    claims = {name: Fraction(-net) for name, net in nets.items() if net < 0}
    debts = {name: Fraction(net) for name, net in nets.items() if net > 0}
    total = min(sum(claims.values(), Fraction(0)), sum(debts.values(), Fraction(0)))
    rounded = []
    for side in (debts, claims):
        exact = {name: total * part / sum(side.values()) for name, part in side.items()}
        whole = {name: part.numerator // part.denominator for name, part in exact.items()}
        while sum(whole.values()) < total:
            behind = max(exact[name] - whole[name] for name in whole)
            name = min(name for name in whole if exact[name] - whole[name] == behind)
            whole[name] += 1
            exact[name] = Fraction(whole[name])  # served: it stands last from here on
        rounded.append(sorted(whole, key=lambda name, whole=whole: (-whole[name], name)))  # type: ignore[misc]
        rounded.append([whole[name] for name in rounded[-1]])  # type: ignore[misc]
    names_d, shares_d, names_c, shares_c = rounded
    out: dict[tuple[str, str], int] = {}
    for row, debtor in enumerate(names_d):
        for column, creditor in enumerate(names_c):
            # What the two intervals of [0, T) have in common.
            low = max(sum(shares_d[:row]), sum(shares_c[:column]))
            high = min(sum(shares_d[: row + 1]), sum(shares_c[: column + 1]))
            if low < high:
                out[debtor, creditor] = high - low  # type: ignore[index]
    return out


def check(nets: dict[str, int], parts: list[Part]) -> None:
    claims = {name: -net for name, net in nets.items() if net < 0}
    debts = {name: net for name, net in nets.items() if net > 0}
    total = min(sum(claims.values()), sum(debts.values()))
    assert sum(part.amount for part in parts) == total
    assert all(part.amount > 0 and part.debtor != part.creditor for part in parts)
    assert len({part[:2] for part in parts}) == len(parts)
    assert len(parts) <= max(0, len(claims) + len(debts) - 1)
    for side, place in ((debts, 0), (claims, 1)):
        whole = sum(side.values())
        for name, position in side.items():
            got = sum(part.amount for part in parts if part[place] == name)
            assert got <= position
            assert abs(Fraction(total * position, whole or 1) - got) < 1
    assert all(part.debtor in debts and part.creditor in claims for part in parts)


def test_the_example_of_the_design() -> None:
    nets = {"A": 900_000, "D": 100_000, "B": -333_333, "E": -166_667}
    assert clear(nets) == [
        ("A", "B", 333_333), ("A", "E", 116_667), ("D", "E", 50_000),
    ]  # fmt: skip


def random_nets(rng: random.Random) -> dict[str, int]:
    """Up to 31 gateways, of any sizes: dust, equals, whales, zeros; sums on either side."""
    highest = 10 ** rng.randrange(1, 17)
    names = [f"g{i}" for i in range(rng.randrange(32))]
    rng.shuffle(names)
    kind = rng.randrange(4)
    if kind == 0:
        return {name: rng.choice([-1, 0, 1, 2, -2]) for name in names}
    if kind == 1:
        return {name: rng.choice([highest, -highest, -1, 1]) for name in names}
    return {name: rng.randrange(-highest, highest + 1) for name in names}


def test_thousands_of_random_cases_are_exact_and_as_the_second_implementation_says() -> None:
    rng = random.Random(20_240_611)
    for _ in range(CASES):
        nets = random_nets(rng)
        parts = clear(nets)
        check(nets, parts)
        assert {(part.debtor, part.creditor): part.amount for part in parts} == matrix(nets)
        again = dict(rng.sample(sorted(nets.items()), len(nets)))
        assert clear(again) == parts, "the order of the rows decides nothing"


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text("ab", max_size=5), st.integers(-(2**62), 2**62), max_size=31))
def test_any_positions_at_all(nets: dict[str, int]) -> None:
    check(nets, clear(nets))


def test_ties_of_remainders_and_of_shares_go_by_name() -> None:
    assert share_out(2, {"c": 1, "a": 1, "b": 1}) == {"a": 1, "b": 1, "c": 0}
    nets = {"c": 1, "a": 1, "b": 1, "z": -1, "y": -1}
    assert clear(nets) == [("a", "y", 1), ("b", "z", 1)]


def test_small_claims_wait_and_small_debts_do_not() -> None:
    nets = {"a": 1_000, "b": 5, "c": -99, "d": -100}
    parts = clear(nets, wait_below=100)
    assert {part.creditor for part in parts} == {"d"}
    assert sum(part.amount for part in parts) == 100
    assert {part.creditor for part in clear(nets, wait_below=100, never_wait=["c"])} == {
        "c", "d",
    }  # fmt: skip


def test_nothing_to_clear() -> None:
    for nets in ({}, {"a": 5}, {"a": -5}, {"a": 0, "b": 0}):
        assert clear(nets) == []  # type: ignore[arg-type]
