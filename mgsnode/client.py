"""The Python SDK: ask a node, build and sign a transaction, hand it in, wait for it.

The node is not trusted with what is signed: `Client.build` opens the bytes that `tx_encode`
answers and refuses them where they are not the transaction that was asked for. One `Client`
is for one event loop; `call_once` is for programs that have none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeAlias

import aiohttp
import orjson

from mgsnode.base.address import HRP_MAIN, HRP_TEST, address_text, parse_address
from mgsnode.base.errors import Malformed, MgsError
from mgsnode.base.hashing import address_of, txid_of
from mgsnode.base.keys import SigningKey
from mgsnode.base.transaction import Body, open_body, seal, tx_statement
from mgsnode.prose import told

Json: TypeAlias = Any
Wait: TypeAlias = Literal["accepted", "committed"]
Topic: TypeAlias = Literal["blocks", "events", "tx"]
TIMEOUT_S = 60.0  # longer than any single wait that a node allows
WAIT_MS = 10_000
_POLL_S = 0.1
_ANSWER_BYTES_MAX = 64 * 1024 * 1024  # a node may not fill our memory

_KEEP_S = 8  # a node closes an idle connection after 9 s: never use one that it is closing


class Unreachable(MgsError):
    """The node did not answer, or what answered was no node."""


class RpcFailure(MgsError):
    """The node answered with an error."""

    def __init__(self, code: int, message: str, data: Json) -> None:
        self.code = code
        self.message = message
        self.data: dict[str, Json] = data if isinstance(data, dict) else {}
        reason = str(self.data.get("reason", ""))
        if reason and reason != message.upper().replace(" ", "_"):  # which says the same
            message = f"{message} ({reason})"
        facts = told({k: v for k, v in self.data.items() if k not in ("reason", "code")})
        super().__init__(f"{message}: {facts}" if facts else message)


class News(NamedTuple):
    """Something that a subscription told, and the cursor to go on from after it."""

    cursor: str
    result: Json


class Unsigned(NamedTuple):
    """A transaction that waits for its signatures."""

    body: Body
    body_bytes: bytes
    hrp: str

    @property
    def txid(self) -> bytes:
        """Its name, known before it is signed."""
        return txid_of(self.body_bytes)

    def signed_by(self, keys: Sequence[SigningKey]) -> bytes:
        """The raw bytes of the transaction signed with `keys`."""
        message = tx_statement(self.body.chain, self.body_bytes)
        return seal(self.body_bytes, [(key.public_key, key.sign(message)) for key in keys])


class Client:
    """A connection to one node's JSON-RPC. Use it as an async context manager."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/") + "/"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._next_id = 0
        self._chain: bytes | None = None

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_S),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, params: Mapping[str, Json] | Sequence[Json] = ()) -> Json:
        """The result of one method. Raises `RpcFailure` or `Unreachable`."""
        answer = await self._post(self._request(method, params))
        return _result(answer)

    async def batch(
        self, calls: Sequence[tuple[str, Mapping[str, Json] | Sequence[Json]]]
    ) -> list[Json | RpcFailure]:
        """The results of several methods in their order; a failed one is its `RpcFailure`."""
        if not calls:
            return []
        requests = [self._request(method, params) for method, params in calls]
        answers = await self._post(requests)
        if not isinstance(answers, list):
            return [_result(answers)]  # an error about the batch as a whole
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        out: list[Json | RpcFailure] = []
        for request in requests:
            try:
                out.append(_result(by_id.get(request["id"])))
            except RpcFailure as failure:
                out.append(failure)
        return out

    def _request(self, method: str, params: Mapping[str, Json] | Sequence[Json]) -> dict[str, Json]:
        self._next_id += 1
        plain = dict(params) if isinstance(params, Mapping) else list(params)
        return {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": plain}

    async def _post(self, message: Json) -> Json:
        assert self._session is not None, "a Client is an async context manager"
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self.url, data=orjson.dumps(message), headers=headers, allow_redirects=False
            ) as answer:
                raw = await answer.content.read(_ANSWER_BYTES_MAX)
                while not answer.content.at_eof() and len(raw) < _ANSWER_BYTES_MAX:
                    raw += await answer.content.read(_ANSWER_BYTES_MAX)
                status = answer.status
        except TimeoutError:
            raise Unreachable(f"{self.url} did not answer in time") from None
        except aiohttp.ClientConnectorError as error:
            why = error.os_error.strerror or "no connection"
            raise Unreachable(f"no node answers at {self.url} ({why})") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{self.url} broke off ({type(error).__name__})") from None
        try:
            return orjson.loads(raw)
        except ValueError:
            raise Unreachable(f"{self.url} answered {status} and no JSON") from None

    @asynccontextmanager
    async def subscribe(
        self, topic: Topic, params: Mapping[str, Json] | None = None
    ) -> AsyncIterator[AsyncIterator[News]]:
        """News over WebSocket from now on, or from the cursor `after` in `params`, for ever.

        `params` as `subscribe` takes them (`filter`, `after`). Raises `RpcFailure` where the node
        refuses, `Unreachable` where it is not there or ends it; go on from the last cursor then.
        """
        assert self._session is not None, "a Client is an async context manager"
        request = self._request("subscribe", {"topic": topic, **(params or {})})
        try:
            socket = await self._session.ws_connect(self.url + "ws", max_msg_size=_ANSWER_BYTES_MAX)
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"no news from {self.url} ({type(error).__name__})") from None
        async with socket:
            await socket.send_str(orjson.dumps(request).decode())
            answer = await socket.receive()
            try:
                name = _result(orjson.loads(answer.data))["subscription"]
            except (TypeError, ValueError, KeyError):
                raise Unreachable(f"{self.url} answered no subscription") from None
            yield self._news(socket, name)

    async def _news(
        self, socket: aiohttp.ClientWebSocketResponse, subscription: str
    ) -> AsyncIterator[News]:
        async for message in socket:
            told = orjson.loads(message.data)["params"]
            if told["subscription"] == subscription:
                yield News(told["cursor"], told["result"])
        raise Unreachable(f"{self.url} ended the subscription (code {socket.close_code})")

    # Transactions

    async def chain(self) -> bytes:
        """The genesis hash of the node's chain, asked once."""
        if self._chain is None:
            self._chain = bytes.fromhex((await self.call("node_status"))["chain"])
        return self._chain

    async def build(
        self,
        kind: str,
        fields: Mapping[str, Json],
        sender: str,
        **envelope: Json,
    ) -> Unsigned:
        """A transaction with its blanks (nonce, validity, fee) filled in by the node.

        `envelope`: lane, nonce, valid_until, fee_max, payer, as `tx_encode` takes them. Raises
        `Malformed` where the node answers with another transaction than the one asked for.
        """
        tx = {"kind": kind, "sender": sender, "fields": dict(fields), **envelope}
        answer = await self.call("tx_encode", {"tx": tx})
        try:
            statement = bytes.fromhex(answer["signing_bytes"])
        except (KeyError, TypeError, ValueError):
            raise Malformed("tx_encode answered no signing_bytes") from None
        chain = await self.chain()
        prefix = tx_statement(chain, b"")
        if not statement.startswith(prefix):
            raise Malformed("tx_encode answered bytes of another chain")
        unsigned = open_unsigned(statement[len(prefix) :], hrp_of(sender))
        check_is_asked_for(unsigned, tx, chain)
        return unsigned

    async def submit(
        self, raw: bytes, *, wait: Wait = "accepted", timeout_ms: int = WAIT_MS
    ) -> dict[str, Json]:
        """Hand in one signed transaction; `{txid, status, height?, code?, reason?}`."""
        answer = await self.call(
            "tx_submit", {"raw": raw.hex(), "wait": wait, "timeout_ms": timeout_ms}
        )
        assert isinstance(answer, dict)
        return answer

    async def submit_batch(self, raws: Sequence[bytes]) -> list[dict[str, Json]]:
        """Hand in many; each answers as `submit`, or `{"error": …}`."""
        answer = await self.call("tx_submit_batch", {"raw": [raw.hex() for raw in raws]})
        return list(answer["items"])

    async def wait(self, txid: str, *, timeout_ms: int = WAIT_MS) -> dict[str, Json]:
        """The `tx_status` of a transaction once it is decided, or when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        while True:
            answer = await self.call("tx_status", {"txid": txid})
            decided = answer["status"] in ("committed", "refused", "expired")
            if decided or loop.time() >= deadline:
                assert isinstance(answer, dict)
                return answer
            await asyncio.sleep(_POLL_S)

    async def send(
        self,
        kind: str,
        fields: Mapping[str, Json],
        keys: Sequence[SigningKey],
        *,
        sender: str = "",
        hrp: str = HRP_TEST,
        wait: Wait = "committed",
        timeout_ms: int = WAIT_MS,
        **envelope: Json,
    ) -> dict[str, Json]:
        """Build, sign and submit in one step; the sender is the first key's account by default."""
        sender = sender or address_text(address_of(keys[0].public_key), hrp)
        unsigned = await self.build(kind, fields, sender, **envelope)
        return await self.submit(unsigned.signed_by(keys), wait=wait, timeout_ms=timeout_ms)


def open_unsigned(body_bytes: bytes, hrp: str) -> Unsigned:
    """The transaction of these canonical body bytes, else `Malformed`."""
    return Unsigned(open_body(body_bytes), body_bytes, hrp)


def hrp_of(address: str) -> str:
    """The network prefix of an address's text, else `Malformed`."""
    hrp = address.rpartition("1")[0]
    if hrp not in (HRP_MAIN, HRP_TEST):
        raise Malformed("an address begins with mgs1 or tmgs1")
    return hrp


def check_is_asked_for(unsigned: Unsigned, tx: Mapping[str, Json], chain: bytes) -> None:
    """Refuse (`Malformed`) a body that is not `tx`: nobody signs what they did not ask for."""
    from state.registry import standard_registry

    body, hrp = unsigned.body, unsigned.hrp
    payer = parse_address(tx["payer"], hrp) if tx.get("payer") else b""
    named = [
        (body.chain, chain),
        (body.sender, parse_address(tx["sender"], hrp)),
        (body.kind, tx["kind"]),
        (body.payer, payer),
        *(
            (getattr(body, name), tx[name])
            for name in ("lane", "nonce", "valid_until")
            if name in tx
        ),
        *((str(body.fee_max), tx[name]) for name in ("fee_max",) if name in tx),
    ]
    kind = standard_registry().kinds.get(tx["kind"])
    if kind is None:
        raise Malformed("this version knows no such kind, so it cannot check what it would sign")
    named.append((body.fields, kind.fields.from_json(tx["fields"], hrp)))
    if any(have != want for have, want in named):
        raise Malformed("the node answered another transaction than the one asked for")


def _result(answer: Json) -> Json:
    if not isinstance(answer, dict):
        raise RpcFailure(-32603, "the node left a request without an answer", None)
    error = answer.get("error")
    if error is not None:
        if not isinstance(error, dict):
            raise RpcFailure(-32603, "an error without a code", None)
        raise RpcFailure(
            int(error.get("code", -32603)), str(error.get("message", "error")), error.get("data")
        )
    if "result" not in answer:
        raise RpcFailure(-32603, "an answer without a result", None)
    return answer["result"]


def call_once(
    url: str,
    method: str,
    params: Mapping[str, Json] | Sequence[Json] = (),
    *,
    timeout_s: float = TIMEOUT_S,
) -> Json:
    """One call from a program without an event loop; inside one it blocks, on a thread."""

    async def ask() -> Json:
        async with Client(url, timeout_s=timeout_s) as client:
            return await client.call(method, params)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()


async def own_address(client: Client, public_key: bytes) -> str:
    """The address of a key on the node's network; the node says which network it is."""
    said = (await client.call("account_address", {"public_key": public_key.hex()}))["address"]
    address = address_text(address_of(public_key), hrp_of(said))
    if address != said:
        raise Malformed("the node answered the address of another key")
    return address
