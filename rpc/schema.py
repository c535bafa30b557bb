"""What parameters look like: strict models, by name or by position, nothing unknown.

It knows types of parameters, not methods. An error names the parameter and what it must be,
never what was sent. Amounts are decimal strings in their only spelling, bytes are lower-case
hex, addresses bech32m of this network, heights and counts JSON integers (no 1.0, no true).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from mgsnode.base.address import parse_address
from mgsnode.base.codec import Value, decode, encode
from mgsnode.base.errors import Malformed
from mgsnode.base.hashing import HASH_BYTES
from mgsnode.base.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from mgsnode.base.limits import INT_MAX, NAME_BYTES_MAX, TX_BYTES_MAX
from rpc import errors
from rpc.jsonrpc import Params as RawParams
from rpc.limits import LIST_LIMIT, LIST_LIMIT_MAX

_AMOUNT_DIGITS_MAX: Final = len(str(INT_MAX))
_CURSOR_CHARS_MAX: Final = 512
MISSING: Final = "is missing"
_PYDANTIC: Final = re.compile("^(Input|String|List|Value) should ")  # pydantic's words for "must"


class Params(BaseModel):
    """Base of the parameter models. `positions` is the order by position, if not all fields'."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
    positions: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def by_position(cls) -> tuple[str, ...]:
        """The names that parameters by position stand for."""
        return cls.positions or tuple(cls.model_fields)


def _wrong(what: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "must be {what}", {"what": what})


def open_hex(text: object, *, lowest: int, highest: int) -> bytes:
    """Bytes from lower-case hex without prefix, else ValueError. Lengths in bytes."""
    if type(text) is not str or not 2 * lowest <= len(text) <= 2 * highest:
        raise ValueError("length")
    raw = bytes.fromhex(text)
    if 2 * len(raw) != len(text) or text.lower() != text:
        raise ValueError("blanks and capitals, which fromhex takes")
    return raw


def _hex_of(lowest: int, highest: int) -> Any:  # an annotation, which mypy cannot type
    digits = f"{2 * lowest}" if lowest == highest else f"{2 * lowest} to {2 * highest}"

    def check(value: object) -> bytes:
        try:
            return open_hex(value, lowest=lowest, highest=highest)
        except ValueError:
            raise _wrong(f"{digits} lower-case hex digits") from None

    pattern = f"^([0-9a-f]{{2}}){{{lowest},{highest}}}$"
    if highest > 128:  # some regex engines refuse larger counts
        pattern = "^([0-9a-f]{2})+$"
    return (BeforeValidator(check), WithJsonSchema({"type": "string", "pattern": pattern}))


def _amount(value: object) -> int:
    if (
        type(value) is not str
        or not 1 <= len(value) <= _AMOUNT_DIGITS_MAX
        or not (value.isascii() and value.isdigit())
        or (value[0] == "0" and value != "0")
        or int(value) > INT_MAX
    ):
        raise _wrong("a decimal string without sign, point or leading zeros, below 2^63")
    return int(value)


def _address(value: object, info: ValidationInfo) -> bytes:
    if type(value) is not str:
        raise _wrong("an address")
    assert info.context is not None, "open_params gives it"
    try:
        return parse_address(value, info.context["hrp"])
    except Malformed as malformed:
        raise _wrong(f"an address of this network: {malformed.why}") from None


Hash32 = Annotated[bytes, *_hex_of(HASH_BYTES, HASH_BYTES)]
PublicKey = Annotated[bytes, *_hex_of(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)]
Signature = Annotated[bytes, *_hex_of(SIGNATURE_BYTES, SIGNATURE_BYTES)]
RawTx = Annotated[bytes, *_hex_of(1, TX_BYTES_MAX)]
Amount = Annotated[
    int,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$"}),
]
Address = Annotated[
    bytes,
    BeforeValidator(_address),
    WithJsonSchema({"type": "string", "pattern": "^t?mgs1[02-9ac-hj-np-z]{58}$"}),
]
Count = Annotated[int, Field(ge=0, le=INT_MAX)]  # heights, indices, times, nonces
Limit = Annotated[int, Field(ge=1, le=LIST_LIMIT_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_BYTES_MAX)]
Cursor = Annotated[str, Field(max_length=_CURSOR_CHARS_MAX)]


class NoParams(Params):
    """A method that takes nothing."""


class PageParams(Params):
    """A list of everything, from its start."""

    cursor: Cursor | None = None
    limit: Limit = LIST_LIMIT


class ListParams(PageParams):
    """A list that can also be walked from its newest item to the oldest."""

    newest: bool = False


P = TypeVar("P", bound=Params)


def open_params(model: type[P], params: RawParams, hrp: str) -> P:
    """The parameters of a call as `model`, else -32602 naming the first that is wrong."""
    if isinstance(params, list):
        names = model.by_position()
        if len(params) > len(names):
            raise errors.invalid_params(f"at most {len(names)} by position")
        params = dict(zip(names, params, strict=False))
    try:
        return model.model_validate(params or {}, context={"hrp": hrp})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = list(first["loc"])
    if first["type"] == "extra_forbidden":
        place = place[:-1]  # the unknown name is the caller's own word
        problem = f"has an unknown name; known are {', '.join(_names_at(model, place))}"
    elif first["type"] == "missing":
        problem = MISSING
    else:
        problem = _PYDANTIC.sub("must ", first["msg"])
    raise errors.invalid_params(problem, field=".".join(map(str, place)))


def _names_at(model: type[BaseModel], place: list[int | str]) -> list[str]:
    """The names that the parameters have at a place of `model`: those of the model nested there."""
    for step in place:
        if isinstance(step, str):
            model = next(_models_in(model.model_fields[step].annotation))
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def make_cursor(kind: str, *parts: Value) -> str:
    """An opaque place in the list `kind`."""
    return encode((kind, *parts)).hex()


def open_cursor(kind: str, text: str, *types: type, field: str = "cursor") -> tuple[Any, ...]:
    """The parts of a cursor of the list `kind`, of these types, else -32602 that names `field`. May
    be forged: a cursor is a place to read from, never a right.
    """
    try:
        value = decode(bytes.fromhex(text), bytes_max=_CURSOR_CHARS_MAX)
    except (ValueError, Malformed):
        raise _bad_cursor(field) from None
    if type(value) is not tuple or len(value) != 1 + len(types) or value[0] != kind:
        raise _bad_cursor(field)
    parts = value[1:]
    if any(type(part) is not kind_of for part, kind_of in zip(parts, types, strict=True)):
        raise _bad_cursor(field)
    if any(type(part) is int and part < 0 for part in parts):
        raise _bad_cursor(field)
    return parts


def _bad_cursor(field: str) -> errors.RpcError:
    return errors.invalid_params("must be a cursor that this list gave", field=field)
