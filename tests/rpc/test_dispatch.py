"""What a message may cost: size, time, rate; and what a node that cannot answer says (case 60)."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mgsnode.base.errors import Busy, Corrupt, Malformed, MgsError, Rejected
from rpc.api import Unavailable
from rpc.dispatch import Context, Dispatcher, Method
from rpc.meter import Meter
from rpc.results import ANY
from rpc.schema import NoParams

_CALL = {"jsonrpc": "2.0", "method": "big", "id": 1}


def desk(run: Any, now: list[float]) -> Dispatcher:
    method = Method("big", "Answers.", NoParams, ANY, run)
    return Dispatcher(SimpleNamespace(hrp="tmgs"), (method,), lambda: now[0])  # type: ignore[arg-type]


def meter() -> Meter:
    return Meter(10**6, 10**6, 0)


async def ask(dispatcher: Dispatcher, message: object) -> Any:
    return json.loads(await dispatcher.answer(json.dumps(message).encode(), meter()))


async def test_an_answer_that_would_be_too_large_is_an_error_and_so_is_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rpc.dispatch.RESPONSE_BYTES_MAX", 1_000)

    async def run(_ctx: Context, _params: NoParams) -> object:
        return {"text": "x" * 400}

    answers = await ask(desk(run, [0.0]), [_CALL] * 5)
    reasons = [answer.get("error", {}).get("data", {}).get("reason") for answer in answers]
    assert reasons == [None, None, "RESPONSE_TOO_LARGE", "BATCH_TOO_MUCH", "BATCH_TOO_MUCH"]


async def test_nothing_is_subscribed_to_where_the_answer_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rpc.dispatch.RESPONSE_BYTES_MAX", 1_000)
    begun = 0

    async def fill(_ctx: Context, _params: NoParams) -> object:
        return "x" * 400

    async def follow(_ctx: Context, _params: NoParams) -> object:
        nonlocal begun
        begun += 1
        return f"s{begun}"

    methods = (
        Method("big", "Answers.", NoParams, ANY, fill),
        Method("follow", "Subscribes.", NoParams, ANY, follow, needs_session=True),
    )
    dispatcher = Dispatcher(SimpleNamespace(hrp="tmgs"), methods, lambda: 0.0)  # type: ignore[arg-type]
    calls = [{**_CALL, "method": name} for name in ("big", "follow", "big", "follow")]
    session: Any = object()
    raw = await dispatcher.answer(json.dumps(calls).encode(), meter(), session)
    reasons = [item.get("error", {}).get("data", {}).get("reason") for item in json.loads(raw)]
    assert reasons == [None, None, None, "BATCH_TOO_MUCH"]
    assert begun == 1


async def test_a_batch_that_takes_too_long_is_cut_between_items() -> None:
    now = [0.0]

    async def run(ctx: Context, _params: NoParams) -> object:
        now[0] += 25
        return {"left": ctx.left_ms()}

    answers = await ask(desk(run, now), [_CALL] * 5)
    assert [answer.get("result", {}).get("left") for answer in answers] == [
        35_000, 10_000, 0, None, None,
    ]  # fmt: skip
    assert answers[4]["error"]["code"] == -32005


async def test_a_large_message_is_charged_before_it_is_read() -> None:
    async def run(_ctx: Context, _params: NoParams) -> object:
        return {}

    dispatcher, poor = desk(run, [0.0]), Meter(1, 10, 0)
    for _ in range(2):
        raw = await dispatcher.answer(b"[" * 1_000_000, poor)
    assert json.loads(raw)["error"]["data"]["reason"] == "RATE"


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Unavailable("SYNCING"), -32002, "SYNCING"),
        (Rejected((101, "INSUFFICIENT_BALANCE"), balance="1"), -32003, "INSUFFICIENT_BALANCE"),
        (Malformed("short"), -32003, "MALFORMED"),
        (Busy("full", 5), -32005, "BUSY"),
        (Corrupt("height 3: secret"), -32603, "INTERNAL"),
        (ValueError("secret"), -32603, "INTERNAL"),
        (AssertionError(), -32603, "INTERNAL"),
    ],
)
async def test_each_failure_has_its_code(error: Exception, code: int, reason: str) -> None:
    async def run(_ctx: Context, _params: NoParams) -> object:
        raise error

    answer = (await ask(desk(run, [0.0]), _CALL))["error"]
    assert (answer["code"], answer["data"]["reason"]) == (code, reason)
    assert "secret" not in json.dumps(answer)
    assert isinstance(error, MgsError) or code == -32603


async def test_what_means_a_broken_machine_is_not_swallowed() -> None:
    async def run(_ctx: Context, _params: NoParams) -> object:
        raise MemoryError

    with pytest.raises(MemoryError):
        await ask(desk(run, [0.0]), _CALL)


async def test_notifications_are_done_and_not_answered() -> None:
    done: list[int] = []

    async def run(_ctx: Context, _params: NoParams) -> object:
        done.append(1)
        return {}

    quiet = {name: value for name, value in _CALL.items() if name != "id"}
    dispatcher = desk(run, [0.0])
    assert await dispatcher.answer(json.dumps([quiet, quiet]).encode(), meter()) == b""
    assert await dispatcher.answer(json.dumps(quiet).encode(), meter()) == b""
    unknown = json.dumps({**quiet, "method": "nothing"}).encode()
    assert await dispatcher.answer(unknown, meter()) == b""
    assert len(done) == 3
