"""One WebSocket conversation without its socket: requests side by side, and news.

It must not know the HTTP library: it is given how to send and how to close. Requests run beside
each other, up to `INFLIGHT_MAX`; above that nothing more is read. News is pulled from its source
by the sender, so nothing is queued and nothing can be skipped: a client that does not take a
message within `SEND_S` is closed with the reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Final

from mgsnode.base.errors import MgsError
from rpc import errors, jsonrpc
from rpc.dispatch import BUGS, Dispatcher, Piece
from rpc.limits import INFLIGHT_MAX, SEND_S, SUBSCRIPTIONS_MAX
from rpc.meter import Meter

_log = logging.getLogger("rpc")
TOO_SLOW: Final = "too slow: a message was not taken in time"


class Conversation:
    """One connection's requests and subscriptions. All tasks are held here and end with it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        meter: Meter,
        *,
        send: Callable[[bytes], Awaitable[None]],
        close: Callable[[str], Awaitable[None]],
        send_s: float = SEND_S,
    ) -> None:
        self._dispatcher = dispatcher
        self._meter = meter
        self._send_raw = send
        self._close_raw = close
        self._send_s = send_s
        self._turns: set[asyncio.Task[None]] = set()
        self._news: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(INFLIGHT_MAX)
        self._writing = asyncio.Lock()
        self._numbers = count(1)
        self._is_closed = False
        self.promised = 0  # subscriptions given out, running or about to

    async def receive(self, raw: bytes) -> None:
        """Take one message; waits while too many are being answered."""
        await self._slots.acquire()
        task = asyncio.create_task(self._take_turn(raw))
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    async def end(self) -> None:
        """The connection is gone: stop the news, let requests in hand come to their end."""
        self._is_closed = True
        for task in self._news.values():
            task.cancel()
        await asyncio.gather(*self._news.values(), *self._turns, return_exceptions=True)

    async def close(self, reason: str) -> None:
        """Close the connection, telling why. Only the first reason is told."""
        if not self._is_closed:
            self._is_closed = True
            await self._close_raw(reason)

    async def _take_turn(self, raw: bytes) -> None:
        try:
            turn = _Turn(self)
            answer = await self._dispatcher.answer(raw, self._meter, turn)
            if answer:
                await self._send(answer)
            if not self._is_closed:
                for name, source in turn.begun.items():
                    self._begin(name, source)
        finally:
            self._slots.release()

    def _begin(self, name: str, source: AsyncIterator[Piece]) -> None:
        task = asyncio.create_task(self._tell(name, source))
        self._news[name] = task
        task.add_done_callback(lambda _task: self._forget(name))

    def _forget(self, name: str) -> None:
        self.promised -= 1
        del self._news[name]

    async def _send(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            async with asyncio.timeout(self._send_s), self._writing:
                await self._send_raw(data)
        except TimeoutError:
            await self.close(TOO_SLOW)
        except ConnectionError:
            self._is_closed = True  # the reader notices too, and ends us

    async def _tell(self, name: str, source: AsyncIterator[Piece]) -> None:
        reason = "the subscription ended"  # no source ends by itself
        try:
            async for piece in source:
                params = {"subscription": name, **piece._asdict()}
                await self._send(jsonrpc.encode_notification("subscription", params))
                if self._is_closed:
                    return
        except errors.RpcError as error:
            reason = f"the subscription failed: {error.reason}"
        except (MgsError, *BUGS):
            _log.exception("a subscription failed")
            reason = "the subscription failed"
        await self.close(reason)

    def next_name(self) -> str:
        """The id of a new subscription; -32005 if there are too many."""
        if self.promised >= SUBSCRIPTIONS_MAX:
            raise errors.limit("SUBSCRIPTIONS", highest=SUBSCRIPTIONS_MAX)
        self.promised += 1
        return f"s{next(self._numbers)}"

    def stop(self, name: str) -> bool:
        """End a running subscription; whether there was one."""
        task = self._news.get(name)
        if task is None:
            return False
        task.cancel()
        return True


class _Turn:
    """The `Session` of one message: what it subscribes to begins once it has its answer."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.begun: dict[str, AsyncIterator[Piece]] = {}

    def subscribe(self, source: AsyncIterator[Piece]) -> str:
        name = self._conversation.next_name()
        self.begun[name] = source
        return name

    def unsubscribe(self, subscription: str) -> bool:
        if self.begun.pop(subscription, None) is not None:
            self._conversation.promised -= 1
            return True
        return self._conversation.stop(subscription)
