"""JSON-RPC 2.0 to the letter, and junk of every kind (cases 61 and 62; bad input by door)."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpc import errors
from rpc.errors import RpcError
from rpc.jsonrpc import UNFIT, Invalid, Request, encode_error, encode_result, open_message
from rpc.limits import BATCH_ITEMS_MAX, DEPTH_MAX


def one(text: str | bytes) -> Request | Invalid:
    raw = text if isinstance(text, bytes) else text.encode()
    message = open_message(raw)
    assert not message.is_batch
    return message.items[0]


def call(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": "m", **members}).encode()


def refused(raw: bytes) -> RpcError:
    with pytest.raises(RpcError) as caught:
        open_message(raw)
    return caught.value


def test_a_call_by_name_and_one_by_position() -> None:
    assert one(call(id=1, params={"a": 1})) == Request(1, "m", {"a": 1}, False)
    assert one(call(id="x", params=[1, "b"])) == Request("x", "m", [1, "b"], False)
    assert one(call(id=7)) == Request(7, "m", None, False)


def test_case_61_a_null_id_is_a_request_and_no_id_is_a_notification() -> None:
    assert one(call(id=None)) == Request(None, "m", None, False)
    assert one(call()) == Request(None, "m", None, True)


@pytest.mark.parametrize(
    "spelling",
    [
        "1.5",
        "1.0",
        "1e0",
        "1e400",
        "-1e400",
        "{}",
        "[]",
        "true",
        "false",
        "9" * 79,
        "1" + "0" * 4999,
    ],
)
def test_case_61_an_id_is_a_string_an_integer_or_null(spelling: str) -> None:
    found = one('{"jsonrpc":"2.0","method":"m","id":' + spelling + "}")
    assert isinstance(found, Invalid)
    assert (found.id, found.error.code) == (None, errors.INVALID_REQUEST)


def test_case_61_distinct_ids_never_collapse() -> None:
    for number in (2**53 + 1, 2**63, 2**70, 2**70 + 1, -(2**70)):
        found = one(call(id=number))
        assert found.id == number
        assert json.loads(encode_result(found.id, b"1"))["id"] == number
    assert json.loads(encode_result("1", b"1"))["id"] == "1"
    assert json.loads(encode_result('ä\n"', b"1"))["id"] == 'ä\n"'


def test_an_id_of_a_megabyte_is_not_echoed() -> None:
    found = one(call(id="x" * 1_000_000))
    assert isinstance(found, Invalid)
    assert len(encode_error(found.id, found.error)) < 200


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "NOT_JSON"),
        (b"   ", "NOT_JSON"),
        (b"{", "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","id":1}x', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","id":NaN}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","params":[Infinity]}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","params":[-Infinity]}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","params":[01]}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","params":[+1]}', "NOT_JSON"),
        (b"{'jsonrpc':'2.0'}", "NOT_JSON"),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"m","id":1}', "NOT_JSON"),
        ('{"jsonrpc":"2.0","method":"m","id":1}'.encode("utf-16"), "NOT_JSON"),
        ('{"jsonrpc":"2.0","method":"m","id":1}'.encode("utf-16-le"), "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"\xff","id":1}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"\xed\xa0\x80","id":1}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"a\nb","id":1}', "NOT_JSON"),
        (b'{"jsonrpc":"2.0","method":"m","id":"\\ud800"}', "LONE_SURROGATE"),
        (b'{"jsonrpc":"2.0","method":"m","params":{"\\udfff":1}}', "LONE_SURROGATE"),
        (b'{"jsonrpc":"2.0","method":"m","params":["\\ud800x"]}', "LONE_SURROGATE"),
        (b'{"jsonrpc":"2.0","method":"m","id":1,"id":2}', "DUPLICATE_KEY"),
        (b'{"jsonrpc":"2.0","method":"m","params":{"amount":"1","amount":"2"}}', "DUPLICATE_KEY"),
        (b'{"jsonrpc":"2.0","method":"m","params":[{"a":1,"\\u0061":2}]}', "DUPLICATE_KEY"),
    ],
)
def test_what_is_not_json_of_ours_is_a_parse_error(raw: bytes, reason: str) -> None:
    error = refused(raw)
    assert (error.code, error.reason) == (errors.PARSE_ERROR, reason)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert one(b'{"jsonrpc":"2.0","method":"m","id":"\\ud83d\\ude00"}').id == "\U0001f600"


@pytest.mark.parametrize(
    ("raw", "reason", "found"),
    [
        (b"1", "NOT_AN_OBJECT", None),
        (b"null", "NOT_AN_OBJECT", None),
        (b'"x"', "NOT_AN_OBJECT", None),
        (b"{}", "BAD_VERSION", None),
        (b'{"method":"m","id":1}', "BAD_VERSION", 1),
        (b'{"jsonrpc":2.0,"method":"m","id":1}', "BAD_VERSION", 1),
        (b'{"jsonrpc":"1.0","method":"m","id":1}', "BAD_VERSION", 1),
        (b'{"jsonrpc":"2.0","id":"a"}', "BAD_METHOD", "a"),
        (b'{"jsonrpc":"2.0","method":["m"],"id":1}', "BAD_METHOD", 1),
        (b'{"jsonrpc":"2.0","method":1,"params":"bar"}', "BAD_METHOD", None),
        (b'{"jsonrpc":"2.0","method":"m","params":"bar","id":1}', "BAD_PARAMS", 1),
        (b'{"jsonrpc":"2.0","method":"m","params":null,"id":1}', "BAD_PARAMS", 1),
        (b'{"jsonrpc":"2.0","method":"m","params":1.5,"id":1}', "BAD_PARAMS", 1),
    ],
)
def test_what_is_no_call_is_an_invalid_request(raw: bytes, reason: str, found: object) -> None:
    item = one(raw)
    assert isinstance(item, Invalid)
    assert (item.error.code, item.error.reason, item.id) == (errors.INVALID_REQUEST, reason, found)


def test_batches_empty_nested_mixed_and_too_long() -> None:
    assert refused(b"[]").code == errors.INVALID_REQUEST
    message = open_message(b'[1,[],{"jsonrpc":"2.0","method":"m"}]')
    assert message.is_batch
    assert [type(item) for item in message.items] == [Invalid, Invalid, Request]
    assert len(open_message(b"[" + b",".join([b"1"] * BATCH_ITEMS_MAX) + b"]").items) == 1_000
    # case 60
    assert refused(b"[" + b",".join([b"1"] * 10_001) + b"]").code == errors.LIMIT


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("count", [DEPTH_MAX + 1, 2_000, 100_000])
def test_depth_is_refused_before_it_is_built(opening: bytes, count: int) -> None:
    assert refused(opening * count).reason == "TOO_DEEP"


def test_brackets_in_strings_are_text_and_width_is_not_depth() -> None:
    text = "[" * 1_000 + '\\"{' * 1_000
    assert one(call(id=1, params=[text])) == Request(1, "m", [text], False)
    wide = one(call(id=1, params=[[] for _ in range(10_000)]))
    assert isinstance(wide, Request)
    nested = json.loads("[" * (DEPTH_MAX - 1) + "]" * (DEPTH_MAX - 1))
    assert isinstance(one(call(id=1, params=nested)), Request)
    assert refused(call(id=1, params=[nested])).reason == "TOO_DEEP"


def test_numbers_that_no_parameter_can_be_arrive_as_unfit() -> None:
    found = one(b'{"jsonrpc":"2.0","method":"m","params":[1.0,1e400,-0.0,%b,12]}' % (b"7" * 5_000))
    assert isinstance(found, Request)
    assert found.params == [UNFIT, UNFIT, UNFIT, UNFIT, 12]


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 4_000_000,
        b"[]," * 1_300_000,
        b'"\\' * 2_000_000,
        b'"' * 4_000_000,
        b"9" * 4_000_000,
        b'["' + b"\\u0061" * 600_000 + b'"]',
        b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b"}",
        b"[" + b"[" * 31 + b"]" * 31 + b',"' + b"\\\\" * 1_900_000,
    ],
)
def test_four_megabytes_of_anything_are_judged_in_bounded_time(bomb: bytes) -> None:
    start = time.process_time()
    try:
        open_message(bomb)
    except RpcError:
        pass
    assert time.process_time() - start < 1.5


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_named_error(raw: bytes) -> None:
    try:
        open_message(raw)
    except RpcError as error:
        assert error.code in errors.MESSAGES


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "method", "id", "params", "x"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(_json)
@settings(max_examples=300)
def test_any_json_is_a_message_or_a_named_error(value: object) -> None:
    raw = json.dumps(value).encode()
    try:
        message = open_message(raw)
    except RpcError as error:
        assert error.code in errors.MESSAGES
        return
    for item in message.items:
        assert item.id is None or type(item.id) in (str, int)
