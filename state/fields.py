"""Field types: what a transaction's fields look like on the wire, in JSON and in a schema.

The wire form (canonical values, see `mgsnode.base.codec`) is what execution works on: an address
is 32 bytes, an amount an int, an optional field `()` or `(value,)`, a struct a tuple by position.
`check` refuses a wire value (`Rejected(BAD_FIELD, field, why)`) and changes nothing, so that a
checked value needs no second form. `from_json` refuses with the same code; its result has been
checked. JSON amounts are decimal strings in their only spelling. Nothing here knows a family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from mgsnode.base.address import address_text, parse_address
from mgsnode.base.codec import Value
from mgsnode.base.errors import Malformed, Rejected
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX
from mgsnode.base.transaction import BAD_FIELD

# orjson gives Any and takes Any: JSON is checked here, not by its type.
Json: TypeAlias = Any
_SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_AMOUNT_DIGITS_MAX = len(str(INT_MAX))
MICRO_DOLLARS = "micro-dollars"
MICRO_MGS = "micro-MGS"  # of the token


def bad(why: str) -> Rejected:
    """A refusal of the field that is being looked at; who holds it adds its name."""
    return Rejected(BAD_FIELD, field="", why=why)


def _inside(name: str, refusal: Rejected) -> Rejected:
    """`refusal` seen from one level further out."""
    inner = str(refusal.facts["field"])
    joint = "" if not inner or inner.startswith("[") else "."
    return Rejected(BAD_FIELD, field=name + joint + inner, why=refusal.facts["why"])


class Field(Protocol):
    """One type of field."""

    def check(self, value: Value) -> None:
        """Refuse a wire value that is not of this type."""

    def from_json(self, value: Json, hrp: str) -> Value:
        """The wire value of a JSON value, checked."""

    def to_json(self, value: Any, hrp: str) -> Json:
        """The JSON of a checked wire value."""

    def json_schema(self) -> dict[str, Json]:
        """JSON Schema (2020-12) of what `from_json` takes."""


class Int:
    """An integer from `lowest` to `highest`, a number in JSON."""

    def __init__(self, lowest: int, highest: int) -> None:
        self.lowest = lowest
        self.highest = highest

    def check(self, value: Value) -> None:
        if type(value) is not int or not self.lowest <= value <= self.highest:
            raise bad(f"an integer from {self.lowest} to {self.highest}")

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


class Amount:
    """A number of `unit` from `lowest` to 2^63 - 1, a decimal string in JSON (case 62)."""

    def __init__(self, unit: str = MICRO_DOLLARS, *, lowest: int = 1) -> None:
        self.unit = unit  # for people and schemas; the same number on the wire
        self.lowest = lowest

    def check(self, value: Value) -> None:
        if type(value) is not int or not self.lowest <= value <= INT_MAX:
            raise bad(f"an amount from {self.lowest} to {INT_MAX}")

    def from_json(self, value: Json, _hrp: str) -> Value:
        if (
            type(value) is not str
            or not 1 <= len(value) <= _AMOUNT_DIGITS_MAX
            or not (value.isascii() and value.isdigit())
            or (value[0] == "0" and value != "0")
        ):
            raise bad("a decimal string without sign, point or leading zeros")
        amount = int(value)
        self.check(amount)
        return amount

    def to_json(self, value: Any, _hrp: str) -> Json:
        return str(value)

    def json_schema(self) -> dict[str, Json]:
        pattern = f"^[1-9][0-9]{{0,{_AMOUNT_DIGITS_MAX - 1}}}$"
        if self.lowest == 0:
            pattern = f"^(0|[1-9][0-9]{{0,{_AMOUNT_DIGITS_MAX - 1}}})$"
        return {"type": "string", "pattern": pattern, "description": self.unit}


class Text:
    """UTF-8 text of `lowest` to `bytes_max` bytes."""

    def __init__(self, bytes_max: int, *, lowest: int = 0) -> None:
        self.bytes_max = bytes_max
        self.lowest = lowest

    def check(self, value: Value) -> None:
        if type(value) is not str:
            raise bad("a text")
        size = len(value)
        if size * 4 > self.bytes_max or size < self.lowest:
            try:
                size = len(value.encode())
            except UnicodeEncodeError:
                raise bad("valid UTF-8 text") from None
            if not self.lowest <= size <= self.bytes_max:
                raise bad(f"a text of {self.lowest} to {self.bytes_max} bytes")

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        try:
            value.encode()
        except UnicodeEncodeError:  # a lone surrogate, which JSON can spell
            raise bad("valid UTF-8 text") from None
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        schema: dict[str, Json] = {"type": "string", "maxLength": self.bytes_max}
        return {**schema, "minLength": self.lowest} if self.lowest else schema


class Code:
    """A code of so many capital letters: of a country (ISO 3166) or a currency (ISO 4217)."""

    def __init__(self, letters: int) -> None:
        self.letters = letters

    def check(self, value: Value) -> None:
        if (
            type(value) is not str
            or len(value) != self.letters
            or not (value.isascii() and value.isalpha() and value.isupper())
        ):
            raise bad(f"{self.letters} capital letters")

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": f"^[A-Z]{{{self.letters}}}$"}


class Slug:
    """A word to group by, in one spelling: lower-case letters, digits, single hyphens between."""

    def __init__(self, bytes_max: int = 32) -> None:
        self.bytes_max = bytes_max

    def check(self, value: Value) -> None:
        if (
            type(value) is not str
            or not 1 <= len(value) <= self.bytes_max
            or _SLUG.fullmatch(value) is None
        ):
            raise bad(f"1 to {self.bytes_max} of a-z, 0-9 and single hyphens between")

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": f"^{_SLUG.pattern}$", "maxLength": self.bytes_max}


class Choice:
    """One of a few listed texts."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices

    def check(self, value: Value) -> None:
        if type(value) is not str or value not in self.choices:
            raise bad("one of " + ", ".join(self.choices))

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        return {"type": "string", "enum": list(self.choices)}


class Bool:
    """True or false."""

    def check(self, value: Value) -> None:
        if type(value) is not bool:
            raise bad("true or false")

    def from_json(self, value: Json, _hrp: str) -> Value:
        self.check(value)
        return value  # type: ignore[no-any-return]  # checked

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value

    def json_schema(self) -> dict[str, Json]:
        return {"type": "boolean"}


class Hash32:
    """32 bytes, 64 lower-case hex digits in JSON."""

    def check(self, value: Value) -> None:
        if type(value) is not bytes or len(value) != HASH_BYTES:
            raise bad("32 bytes")

    def from_json(self, value: Json, _hrp: str) -> Value:
        if (
            type(value) is not str
            or len(value) != 2 * HASH_BYTES
            or value.strip("0123456789abcdef")
        ):
            raise bad("64 lower-case hex digits")
        try:
            return bytes.fromhex(value)
        except ValueError:  # a foreign character inside
            raise bad("64 lower-case hex digits") from None

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value.hex()

    def json_schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": "^[0-9a-f]{64}$"}


class Bytes:
    """From `lowest` to `highest` bytes, lower-case hex in JSON."""

    def __init__(self, lowest: int, highest: int) -> None:
        self.lowest = lowest
        self.highest = highest

    def check(self, value: Value) -> None:
        if type(value) is not bytes or not self.lowest <= len(value) <= self.highest:
            raise bad(f"{self.lowest} to {self.highest} bytes")

    def from_json(self, value: Json, _hrp: str) -> Value:
        if type(value) is not str or len(value) % 2 or value.strip("0123456789abcdef"):
            raise bad("lower-case hex digits")
        try:
            raw = bytes.fromhex(value)
        except ValueError:  # a foreign character inside
            raise bad("lower-case hex digits") from None
        self.check(raw)
        return raw

    def to_json(self, value: Any, _hrp: str) -> Json:
        return value.hex()

    def json_schema(self) -> dict[str, Json]:
        longest = 2 * self.highest
        schema: dict[str, Json] = {"type": "string", "pattern": "^[0-9a-f]*$"}
        return {**schema, "minLength": 2 * self.lowest, "maxLength": longest}


class Address:
    """An account: 32 bytes, bech32m in JSON."""

    def check(self, value: Value) -> None:
        if type(value) is not bytes or len(value) != HASH_BYTES:
            raise bad("an address")

    def from_json(self, value: Json, hrp: str) -> Value:
        if type(value) is not str:
            raise bad("an address")
        try:
            return parse_address(value, hrp)
        except Malformed as malformed:
            raise bad(malformed.why) from None

    def to_json(self, value: Any, hrp: str) -> Json:
        return address_text(value, hrp)

    def json_schema(self) -> dict[str, Json]:
        return {"type": "string", "pattern": "^t?mgs1[02-9ac-hj-np-z]{58}$"}


class ListOf:
    """From `lowest` to `highest` items of one type."""

    def __init__(self, item: Field, lowest: int, highest: int) -> None:
        self.item = item
        self.lowest = lowest
        self.highest = highest

    def check(self, value: Value) -> None:
        if type(value) is not tuple or not self.lowest <= len(value) <= self.highest:
            raise bad(f"a list of {self.lowest} to {self.highest}")
        check = self.item.check
        index = 0
        try:
            for item in value:
                check(item)
                index += 1
        except Rejected as refusal:
            raise _inside(f"[{index}]", refusal) from None

    def from_json(self, value: Json, hrp: str) -> Value:
        if type(value) is not list or not self.lowest <= len(value) <= self.highest:
            raise bad(f"a list of {self.lowest} to {self.highest}")
        wire: list[Value] = []
        try:
            for item in value:
                wire.append(self.item.from_json(item, hrp))  # its length names it
        except Rejected as refusal:
            raise _inside(f"[{len(wire)}]", refusal) from None
        return tuple(wire)

    def to_json(self, value: Any, hrp: str) -> Json:
        return [self.item.to_json(item, hrp) for item in value]

    def json_schema(self) -> dict[str, Json]:
        return {
            "type": "array",
            "items": self.item.json_schema(),
            "minItems": self.lowest,
            "maxItems": self.highest,
        }


class Optional:
    """May be absent: `()` or `(value,)` on the wire, a missing name or null in JSON."""

    def __init__(self, item: Field) -> None:
        self.item = item

    def check(self, value: Value) -> None:
        if type(value) is not tuple or len(value) > 1:
            raise bad("nothing or one value")
        if value:
            self.item.check(value[0])

    def from_json(self, value: Json, hrp: str) -> Value:
        return () if value is None else (self.item.from_json(value, hrp),)

    def to_json(self, value: Any, hrp: str) -> Json:
        return self.item.to_json(value[0], hrp) if value else None

    def json_schema(self) -> dict[str, Json]:
        return self.item.json_schema()


class Cases:
    """A struct whose shape another field of the same struct names; only inside a `Struct`.

    `tag` is that field's name; it stands before this one and is a `Choice` of the cases.
    """

    def __init__(self, tag: str, cases: Mapping[str, Struct]) -> None:
        self.tag = tag
        self.cases = cases

    def check(self, value: Value) -> None:
        if type(value) is not tuple:  # the struct around it looks inside
            raise bad("a list of fields")

    def from_json(self, value: Json, hrp: str) -> Value:
        raise AssertionError("its struct chooses the case first")

    def to_json(self, value: Any, hrp: str) -> Json:
        raise AssertionError("its struct chooses the case first")

    def json_schema(self) -> dict[str, Json]:
        return {
            "anyOf": [{"title": name, **case.json_schema()} for name, case in self.cases.items()]
        }


class Struct:
    """Named fields in a fixed order; positional on the wire, an object in JSON."""

    def __init__(self, **fields: Field) -> None:
        self.fields: Mapping[str, Field] = fields
        self._cases = [
            (place, list(fields).index(field.tag), field)
            for place, field in enumerate(fields.values())
            if isinstance(field, Cases)
        ]
        self._names: Sequence[str] = tuple(fields)
        self._checks = tuple(field.check for field in fields.values())
        self._arity = len(fields)

    def check(self, value: Value) -> None:
        if type(value) is not tuple or len(value) != self._arity:
            raise bad(f"{self._arity} fields: " + ", ".join(self._names))
        index = 0
        try:
            for check, item in zip(self._checks, value, strict=True):
                check(item)
                index += 1
            for index, tag, field in self._cases:
                field.cases[str(value[tag])].check(value[index])
        except Rejected as refusal:
            raise _inside(self._names[index], refusal) from None

    def _field(self, name: str, wire: Sequence[Any]) -> Field:
        """The type of a field, given the wire values of those before it."""
        field = self.fields[name]
        if isinstance(field, Cases):
            return field.cases[wire[self._names.index(field.tag)]]
        return field

    def from_json(self, value: Json, hrp: str) -> Value:
        if type(value) is not dict:
            raise bad("an object with " + ", ".join(self._names))
        for name in value:
            if name not in self.fields:
                raise bad("has an unknown name; known are " + ", ".join(self._names))
        wire: list[Value] = []
        for name, field in self.fields.items():
            try:
                if name not in value and not isinstance(field, Optional):
                    raise bad("is missing")
                wire.append(self._field(name, wire).from_json(value.get(name), hrp))
            except Rejected as refusal:
                raise _inside(name, refusal) from None
        return tuple(wire)

    def to_json(self, value: Any, hrp: str) -> Json:
        """An absent optional field is left out."""
        return {
            name: self._field(name, value).to_json(item, hrp)
            for (name, field), item in zip(self.fields.items(), value, strict=True)
            if not (isinstance(field, Optional) and not item)
        }

    def json_schema(self) -> dict[str, Json]:
        return {
            "type": "object",
            "properties": {name: field.json_schema() for name, field in self.fields.items()},
            "required": [n for n, field in self.fields.items() if not isinstance(field, Optional)],
            "additionalProperties": False,
        }


def gateway_name() -> Text:
    """The type of a gateway's name: 1 to 64 bytes."""
    return Text(NAME_BYTES_MAX, lowest=1)
