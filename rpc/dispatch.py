"""Which method answers a request, what it may cost, and what is said when it fails.

It must not know sockets or a clock of its own: bytes come in, bytes go out. Every call is
answered by a result or by one of the named errors, whatever was sent; a bug of ours answers
-32603, is logged with its traceback, and stays the caller's only answer: the node goes on,
since a read cannot have changed anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import orjson

from mgsnode.base.errors import MgsError
from rpc import errors, jsonrpc
from rpc.api import Api, Unavailable
from rpc.errors import RpcError
from rpc.jsonrpc import Invalid, Request
from rpc.limits import REQUEST_MS_MAX, RESPONSE_BYTES_MAX
from rpc.meter import Meter
from rpc.schema import Params, open_params

_log = logging.getLogger("rpc")
_ITEM_BYTES: Final = 65_536  # so many bytes of a message count as one item more
_SLICE_S: Final = 0.02  # a batch lets others run this often
_SESSION_RESULT_BYTES_MAX: Final = 128  # a subscription's name, or true
# What a bug raises. Not MemoryError, nor what ends a task or the process.
BUGS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


class Piece(NamedTuple):
    """One piece of news for a subscriber: the place after it, and what happened."""

    cursor: str
    result: dict[str, object]


class Session(Protocol):
    """A connection that can be told things (WebSocket)."""

    def subscribe(self, source: AsyncIterator[Piece]) -> str:
        """Start sending what `source` yields after this call is answered; its id."""

    def unsubscribe(self, subscription: str) -> bool:
        """Stop it; whether there was one."""


class Context(NamedTuple):
    """What a method gets beside its parameters."""

    api: Api
    methods: Mapping[str, Method]
    session: Session | None
    left_ms: Callable[[], int]  # until this message must be answered
    heavy: asyncio.Semaphore  # one walk over the whole state at a time


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One method. `result` is the JSON Schema of its answer; `cost` is in items of the rate."""

    name: str
    summary: str
    params: type[Params]
    result: Mapping[str, object]
    run: Callable[[Context, Any], Awaitable[object]]
    cost: Callable[[Any], int] | int = 1
    needs_session: bool = False


class Dispatcher:
    """Answers messages with the methods it was given.

    Always: the answer to a request stands at the request's place; a notification has none.
    """

    def __init__(self, api: Api, methods: Sequence[Method], clock_s: Callable[[], float]) -> None:
        self._api = api
        self._methods = {method.name: method for method in methods}
        assert len(self._methods) == len(methods), "a method stands twice"
        self._clock_s = clock_s
        self._heavy = asyncio.Semaphore(1)
        self.answered: Counter[tuple[str, int]] = Counter()  # (method, error code or 0)

    async def answer(self, raw: bytes, meter: Meter, session: Session | None = None) -> bytes:
        """The answer to a message: JSON, or b"" where nothing is to be said."""
        try:
            weight = len(raw) // _ITEM_BYTES  # junk costs us its reading
            wait_ms = self._charge(meter, weight) if weight else 0
            if wait_ms:
                raise errors.limit("RATE", retry_after_ms=wait_ms)
            message = jsonrpc.open_message(raw)
        except RpcError as error:
            self.answered["", error.code] += 1
            self._charge(meter, 1)
            return jsonrpc.encode_error(None, error)
        deadline_s = self._clock_s() + REQUEST_MS_MAX / 1000
        context = Context(
            self._api,
            self._methods,
            session,
            lambda: max(0, round((deadline_s - self._clock_s()) * 1000)),
            self._heavy,
        )
        answers: list[bytes] = []
        size = 0
        yielded_s = self._clock_s()
        for item in message.items:
            if self._clock_s() - yielded_s > _SLICE_S:
                await asyncio.sleep(0)  # a long batch must not hold up consensus (case 76)
                yielded_s = self._clock_s()
            answer = await self._answer_item(item, context, meter, RESPONSE_BYTES_MAX - size)
            if answer:
                answers.append(answer)
                size += len(answer)
        if not message.is_batch or not answers:
            return answers[0] if answers else b""
        return jsonrpc.join_answers(answers)

    async def _answer_item(
        self, item: Request | Invalid, context: Context, meter: Meter, room: int
    ) -> bytes:
        if isinstance(item, Invalid):
            self._charge(meter, 1)
            self.answered["", item.error.code] += 1
            return jsonrpc.encode_error(item.id, item.error)
        name = item.method if item.method in self._methods else ""
        try:
            result = await self._call(item, context, meter, room)
        except RpcError as error:
            self.answered[name, error.code] += 1
            return b"" if item.is_notification else jsonrpc.encode_error(item.id, error)
        self.answered[name, 0] += 1
        return b"" if item.is_notification else jsonrpc.encode_result(item.id, result)

    async def _call(self, item: Request, context: Context, meter: Meter, room: int) -> bytes:
        """The result as JSON, else `RpcError`."""
        if room <= 0 or not context.left_ms():
            raise errors.limit("BATCH_TOO_MUCH", response_bytes=RESPONSE_BYTES_MAX)
        method = self._methods.get(item.method)
        if method is None:
            self._charge(meter, 1)
            raise RpcError(errors.METHOD_NOT_FOUND, "METHOD_NOT_FOUND")
        try:
            params = open_params(method.params, item.params, self._api.hrp)
        except RpcError:
            self._charge(meter, 1)
            raise
        wait_ms = self._charge(
            meter, method.cost if isinstance(method.cost, int) else method.cost(params)
        )
        if wait_ms:
            raise errors.limit("RATE", retry_after_ms=wait_ms)
        if method.needs_session and context.session is None:
            raise RpcError(errors.UNAVAILABLE, "WEBSOCKET_ONLY")
        if method.needs_session and room < _SESSION_RESULT_BYTES_MAX:
            # what it began would go on, and nobody was told its name
            raise errors.limit("BATCH_TOO_MUCH", response_bytes=RESPONSE_BYTES_MAX)
        result = await self._run(method, context, params)
        if len(result) > room:
            raise errors.limit("RESPONSE_TOO_LARGE", highest=RESPONSE_BYTES_MAX)
        return result

    async def _run(self, method: Method, context: Context, params: Params) -> bytes:
        try:
            result = await method.run(context, params)
            return result if isinstance(result, bytes) else orjson.dumps(result)
        except Unavailable as error:
            raise RpcError(errors.UNAVAILABLE, error.reason) from None
        except MgsError as error:
            answer = errors.from_mgs(error)
            if answer.code == errors.INTERNAL_ERROR:
                _log.exception("%s failed", method.name)
            raise answer from None
        except BUGS:
            _log.exception("%s failed", method.name)
            raise RpcError(errors.INTERNAL_ERROR, "INTERNAL") from None

    def _charge(self, meter: Meter, items: int) -> int:
        return meter.take(items, self._clock_s())
