"""Fields: one spelling in JSON, refusals that name the field, round trips."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mgsnode.base.address import address_text
from mgsnode.base.codec import decode, encode
from mgsnode.base.errors import Rejected
from mgsnode.base.limits import INT_MAX, TX_BYTES_MAX
from state.fields import (
    Address,
    Amount,
    Bool,
    Bytes,
    Cases,
    Choice,
    Code,
    Field,
    Hash32,
    Int,
    ListOf,
    Optional,
    Slug,
    Struct,
    Text,
)  # fmt: skip
from state.registry import standard_registry

HRP = "tmgs"
ADDRESS = bytes(range(32))


def why(field: Field, value: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        field.from_json(value, HRP)
    assert caught.value.name == "BAD_FIELD"
    return caught.value


@pytest.mark.parametrize(
    "value",
    [1, 1.0, True, None, "1.0", "01", "+1", "-1", "1e3", " 1", "1 ", "", "0", "1_000", "１",
     "9223372036854775808", "9" * 5_000, [], {}, "0x1"],
)  # fmt: skip
def test_case_62_an_amount_is_a_decimal_string_in_its_only_spelling(value: Any) -> None:
    why(Amount(), value)


@given(st.integers(1, INT_MAX))
def test_every_amount_comes_back(amount: int) -> None:
    assert Amount().from_json(Amount().to_json(amount, HRP), HRP) == amount


EITHER = Struct(
    tag=Choice("x", "y"), args=Cases("tag", {"x": Struct(a=Int(0, 9)), "y": Struct(b=Bool())})
)
BAD = [
    (Hash32(), ["", "ab", "AB" * 32, "g" * 64, "ab" * 33, 5, "ab" * 31 + "a "]),
    (Address(), ["", "tmgs1x", address_text(ADDRESS, "mgs"), 5, None]),
    (Int(1, 5), [0, 6, True, "1", 1.0, None]),
    (Bool(), [0, 1, "true", None]),
    (Text(4), ["12345", "éé1", 5, None, "\ud800"]),
    (Text(4, lowest=1), [""]),
    (Choice("a", "b"), ["c", "", 1]),
    (ListOf(Int(0, 9), 1, 2), [[], [1, 2, 3], "12", {}, [10]]),
    (Optional(Int(0, 9)), [10, "x"]),
    (Struct(a=Int(0, 9)), [{}, {"a": 1, "b": 2}, {"a": 10}, [1], {"a": None}]),
    (Amount(lowest=0), ["", "-1", "00", "9223372036854775808", 0, None]),
    (Code(2), ["gb", "GBR", "G", "", "G1", "ÄÖ", 5, None]),
    (Bytes(1, 2), ["", "abcdef", "a", "AB", "g0", " 1", 5, None]),
    (EITHER, [{"tag": "x", "args": {"b": True}}, {"tag": "z", "args": {"a": 1}}, {"tag": "x"}]),
    (EITHER, [{"tag": "y", "args": {"a": 1}}, {"args": {"a": 1}}, {"tag": "x", "args": 1}]),
]


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in BAD for v in values])
def test_what_is_no_such_field_is_refused(field: Field, value: Any) -> None:
    why(field, value)


def test_a_refusal_names_the_field_from_the_outside_in() -> None:
    field = standard_registry().kinds["order_pay"].fields
    line = {"sku": "a", "quantity": 1, "unit_price": "5"}
    shop = "ab" * 32
    cases: list[tuple[Any, str]] = [
        ({"shop": "x", "lines": [line]}, "shop"),
        ({"shop": shop}, "lines"),
        ({"shop": shop, "lines": []}, "lines"),
        ({"shop": shop, "lines": [line, {**line, "unit_price": "05"}]}, "lines[1].unit_price"),
        ({"shop": shop, "lines": [{**line, "colour": 1}]}, "lines[0]"),
        ({"shop": shop, "lines": [line], "distributor": "x"}, "distributor"),
    ]
    for value, name in cases:
        assert why(field, value).facts["field"] == name
    with pytest.raises(Rejected) as caught:
        field.check((bytes(32), (("a", 1, 5, ()), ("a", True, 5, ())), (), (), (), (), ()))
    assert caught.value.facts["field"] == "lines[1].quantity"


@pytest.mark.parametrize(
    "wire", [1, (), (1,), (1, 2, 3), ("a", 2), ((1,), 2), (True, (2,)), (1, (2, 2)), (1, [2])]
)
def test_a_struct_on_the_wire_has_its_arity_and_types(wire: Any) -> None:
    with pytest.raises(Rejected):
        Struct(a=Int(0, 9), b=Optional(Int(0, 9))).check(wire)


@pytest.mark.parametrize(
    ("wire", "field"),
    [(("x", (True,)), "args.a"), (("y", (1,)), "args.b"), (("x", 5), "args"), (("z", (1,)), "tag")],
)
def test_a_case_is_judged_by_its_tag(wire: Any, field: str) -> None:
    EITHER.check(("x", (1,)))
    EITHER.check(("y", (True,)))
    with pytest.raises(Rejected) as caught:
        EITHER.check(wire)
    assert caught.value.facts["field"] == field


SAMPLES: dict[type, Any] = {
    Int: lambda f: st.integers(f.lowest, f.highest),
    Amount: lambda f: st.integers(f.lowest, INT_MAX),
    Text: lambda f: (
        st.text(min_size=f.lowest, max_size=f.bytes_max // 4)
        if f.lowest <= f.bytes_max // 4
        else st.text("ABC", min_size=f.lowest, max_size=f.bytes_max)
    ),
    Choice: lambda f: st.sampled_from(f.choices),
    Code: lambda f: st.text("ABXYZ", min_size=f.letters, max_size=f.letters),
    Slug: lambda f: st.text("az09", min_size=1, max_size=f.bytes_max),
    Bool: lambda _f: st.booleans(),
    Hash32: lambda _f: st.binary(min_size=32, max_size=32),
    Address: lambda _f: st.binary(min_size=32, max_size=32),
    ListOf: lambda f: st.lists(
        sample(f.item), min_size=f.lowest, max_size=min(f.highest, f.lowest + 3)
    ).map(tuple),
    Optional: lambda f: st.one_of(st.just(()), st.tuples(sample(f.item))),
    Bytes: lambda f: st.binary(min_size=f.lowest, max_size=min(f.highest, f.lowest + 8)),
    Struct: lambda f: struct(f),
}


def struct(field: Struct) -> st.SearchStrategy[Any]:
    """The fields by position; where one has cases, the tag's case is drawn first."""
    names = list(field.fields)
    for name, cases in field.fields.items():
        if isinstance(cases, Cases):
            whole = [
                Struct(**{**field.fields, cases.tag: Choice(tag), name: case})
                for tag, case in cases.cases.items()
            ]
            assert names.index(cases.tag) < names.index(name)
            return st.one_of(*map(sample, whole))
    return st.tuples(*[sample(inner) for inner in field.fields.values()])


def sample(field: Any) -> st.SearchStrategy[Any]:
    return SAMPLES[type(field)](field)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", standard_registry().kinds.values(), ids=lambda kind: kind.name)
def test_every_kinds_fields_come_back_through_json_wire_and_schema(kind: Any) -> None:
    validator = Draft202012Validator(kind.fields.json_schema())

    @given(sample(kind.fields))
    def check(wire: Any) -> None:
        kind.fields.check(wire)
        shown = kind.fields.to_json(wire, HRP)
        assert kind.fields.from_json(shown, HRP) == wire
        assert decode(encode(wire), bytes_max=TX_BYTES_MAX) == wire
        validator.validate(shown)

    check()


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["to", "amount", "memo", "lines", "shop"]), inner),
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(standard_registry().kinds)), JUNK)
def test_junk_is_refused_and_nothing_else_happens(name: str, junk: Any) -> None:
    kind = standard_registry().kinds[name]
    with pytest.raises(Rejected):
        kind.fields.from_json(junk, HRP)


def units(field: Field, path: str) -> list[tuple[str, str]]:
    """(path, unit) of each amount in a field."""
    match field:
        case Amount():
            return [(path, field.unit)]
        case ListOf() | Optional():
            return units(field.item, path)
        case Struct() | Cases():
            inner = field.fields if isinstance(field, Struct) else field.cases
            return [one for name, item in inner.items() for one in units(item, f"{path}.{name}")]
    return []


TOKENS = [
    "gov_propose.args.join.bond", "gov_propose.args.spend.amount", "token_transfer.amount",
    "token_bond.amount", "token_unbond.amount",
    "gov_evidence.cut", "review_voted.weight", "token_moved.amount", "bond_cut.amount",
    "token_bonded.amount", "token_unbonding.amount", "token_unbonded.amount",
    "rewards_fixed.offer", "rewards_fixed.reserved", "rewards_returned.amount",
    "token_claimed.amount", "token_claimed.netted", "reward_owed.amount", "reward_owed.debt",
    "voice_spent.amount", "voice_directed.amount", "token_released.amount", "token_spent.amount",
    "obligation_lapsed.cut",
]  # fmt: skip
PRICES = ["quote_set.bid", "quote_set.ask"]


def test_every_amount_says_its_unit() -> None:
    """Dollars, where it is in neither list: a new amount of tokens has to be put here."""
    registry = standard_registry()
    shapes = [(kind.name, kind.fields) for kind in registry.kinds.values()]
    shapes += [(event.name, event.values) for event in registry.events.values()]
    found: dict[str, list[str]] = {}
    for name, shape in shapes:
        for path, unit in units(shape, name):
            found.setdefault(unit, []).append(path)
    dollars = found.pop("micro-dollars")
    assert "quote_set.size" in dollars and "rewards_fixed.fees" in dollars
    assert found == {
        "micro-MGS": TOKENS,
        "smallest units of the currency for a million dollars": PRICES * 2,  # kind and event
        "micro-MGS for a dollar of fees": ["rewards_fixed.kappa"],
    }
    bid = registry.kinds["quote_set"].fields.json_schema()["properties"]["bid"]
    assert bid["description"] == "smallest units of the currency for a million dollars"
