"""Whatever arrives is answered by a named error or a result: never -32603, never a traceback."""

import asyncio
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgsnode.base.address import address_text
from rpc import errors
from rpc.dispatch import Dispatcher
from rpc.meter import Meter
from rpc.methods import all_methods
from tests.rpc.devnode import ALICE, BOB, DevNode, address

_NAMES = [method.name for method in all_methods()]
_FIELDS = sorted({name for method in all_methods() for name in method.params.model_fields})
_MEMBERS = [*_FIELDS, "outputs", "to", "amount", "memo"]
_BLANKS = ("nonce", "lane", "valid_until", "fee_max", "payer", "signatures")
_KINDS = ["dollar_transfer", "dollar_redeem", "shop_open", "order_pay", "dollar_issue"]
Ask = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    loop = asyncio.new_event_loop()
    node = DevNode(Path(tempfile.mkdtemp()) / "store")

    async def grow() -> None:
        await node.submit(node.pay(ALICE, address(BOB), 5))
        node.mine()

    loop.run_until_complete(grow())
    dispatcher = Dispatcher(node, all_methods(), loop.time)
    meter = Meter(10**9, 10**9, 0)
    yield lambda raw: loop.run_until_complete(dispatcher.answer(raw, meter))
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.run_until_complete(loop.shutdown_default_executor())
    node.ledger.close()
    loop.close()


def check_answer(raw: bytes) -> None:
    if not raw:
        return
    answer = json.loads(raw)
    for one in answer if isinstance(answer, list) else [answer]:
        assert one["jsonrpc"] == "2.0"
        assert one.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
        if "error" in one:
            error = one["error"]
            assert error["code"] in errors.MESSAGES
            assert error["code"] != errors.INTERNAL_ERROR
            assert error["data"].keys() >= {"reason", "code"}


_odd = st.sampled_from(
    [
        0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 2**70, 1.5, True, None, "", "0", "00",
        "a" * 64, "0" * 64, "f" * 128, "\x00", "é", "\u202e", "accepted", "committed", "blocks",
        "north", "9" * 5_000, address_text(address(ALICE), "tmgs"), address_text(bytes(32), "mgs"),
        *_KINDS,
    ]
)  # fmt: skip
_value = st.recursive(
    _odd | st.text(max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*_FIELDS, "outputs", "to", "amount", "memo"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
_tx = st.fixed_dictionaries(
    {"kind": st.sampled_from(_KINDS) | _odd, "sender": _odd, "fields": _value},
    optional=dict.fromkeys(
        ("nonce", "lane", "valid_until", "fee_max", "payer", "signatures"), _value
    ),
)
_params = (
    st.dictionaries(st.sampled_from(_FIELDS), _value, max_size=4)
    | st.lists(_value, max_size=4)
    | st.fixed_dictionaries({"tx": _tx})
)
_call = st.fixed_dictionaries(
    {
        "jsonrpc": st.just("2.0"),
        "method": st.sampled_from(_NAMES),
        "params": _params,
        "id": st.just(1),
    }
)


def quick(call: dict[str, Any]) -> bytes:
    """The call, without its waiting times: the fuzzer has no patience."""
    params = call["params"]
    if isinstance(params, dict):
        for name in ("wait_ms", "timeout_ms"):
            if isinstance(params.get(name), int) and params[name] > 1:
                params[name] = 1
    elif call["method"] in ("events_get", "tx_submit"):
        call["params"] = params[:2]
    return json.dumps(call).encode()


@given(_call)
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_parameters_are_answered_by_a_result_or_a_named_error(ask: Ask, call: Any) -> None:
    check_answer(ask(quick(call)))


@given(st.lists(_call | _value, max_size=5))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_batch_is_answered_item_by_item(ask: Ask, batch: list[Any]) -> None:
    items = [
        quick(one) if isinstance(one, dict) and "method" in one and "params" in one
        else json.dumps(one).encode()
        for one in batch
    ]  # fmt: skip
    raw = ask(b"[" + b",".join(items) + b"]")
    check_answer(raw)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_answered_by_a_named_error(ask: Ask, raw: bytes) -> None:
    check_answer(ask(raw))


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["raw", "batch"]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_transaction_bytes_are_refused_with_a_code(ask: Ask, raw: bytes, how: str) -> None:
    method, params = "tx_submit", {"raw": raw.hex()}
    if how == "batch":
        method, params = "tx_submit_batch", {"raw": [raw.hex()]}
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = json.loads(ask(json.dumps(call).encode()))
    error = answer["error"] if how == "raw" else answer["result"]["items"][0]["error"]
    assert error["code"] == errors.REFUSED


def test_method_names_with_control_characters_do_not_reach_the_log(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        call = {"jsonrpc": "2.0", "id": 1, "method": "x\n\x1b[31mowned", "params": []}
        answer = json.loads(ask(json.dumps(call).encode()))
    assert answer["error"]["code"] == errors.METHOD_NOT_FOUND
    assert "owned" not in caplog.text + json.dumps(answer)


def test_a_bug_is_an_internal_error_and_the_next_call_works(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Planted: this is what the tests above would see."""
    call = b'{"jsonrpc":"2.0","id":1,"method":"dollar_supply"}'
    monkeypatch.setattr("state.view.View.supply", lambda _self: [][0])
    answer = json.loads(ask(call))
    assert answer["error"]["code"] == errors.INTERNAL_ERROR
    assert "IndexError" in caplog.text
    assert "IndexError" not in json.dumps(answer)
    with pytest.raises(AssertionError):
        check_answer(json.dumps(answer).encode())
    monkeypatch.undo()
    assert "result" in json.loads(ask(call))
