"""The errors of the JSON-RPC: numbers, names and facts; never the caller's own words.

`data = {"reason", "code", …facts}`: `reason` is a stable name for programs. `code` is the
ledger's refusal code where a rule of the chain spoke, else the error's own number. A fact is
ours (a limit, the name of a parameter that exists, a nonce), never a value that was sent.
Source of -32700 … -32603: JSON-RPC 2.0 §5.1; the others are of the range it leaves to servers.
"""

from __future__ import annotations

from typing import Final

from mgsnode.base.errors import Busy, Fact, Malformed, MgsError, Rejected
from mgsnode.base.transaction import MALFORMED_TX

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
NOT_FOUND: Final = -32001
UNAVAILABLE: Final = -32002
REFUSED: Final = -32003
LIMIT: Final = -32005

MESSAGES: Final[dict[int, str]] = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
    NOT_FOUND: "Not found",
    UNAVAILABLE: "Not available here",
    REFUSED: "Refused",
    LIMIT: "Limit exceeded",
}


class RpcError(Exception):
    """An answer that is an error. Always: `code` is one of the nine above."""

    def __init__(self, code: int, reason: str, rule: int | None = None, /, **facts: Fact) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason
        self.rule = rule
        self.facts = facts

    def as_json(self) -> dict[str, object]:
        """The `error` member of an answer."""
        code = self.code if self.rule is None else self.rule
        return {
            "code": self.code,
            "message": MESSAGES[self.code],
            "data": {**self.facts, "reason": self.reason, "code": code},
        }


def invalid_params(problem: str, *, field: str = "") -> RpcError:
    """A parameter that is not what the method takes; `field` is a name of ours, or empty."""
    if field:
        return RpcError(INVALID_PARAMS, "INVALID_PARAMS", field=field, problem=problem)
    return RpcError(INVALID_PARAMS, "INVALID_PARAMS", problem=problem)


def not_found(what: str, /, **facts: Fact) -> RpcError:
    """`what` ("block", "order") does not exist at this height; `facts` say what stands instead."""
    return RpcError(NOT_FOUND, "NOT_FOUND", what=what, **facts)


def limit(reason: str, /, **facts: Fact) -> RpcError:
    """A bound of this node; `facts` say which, and `retry_after_ms` if waiting helps."""
    return RpcError(LIMIT, reason, **facts)


def from_mgs(error: MgsError) -> RpcError:
    """The answer to a failure of the node's: refused, not a transaction, or busy.

    Anything else that is an `MgsError` (`Corrupt`, `Locked`) is an internal error.
    """
    if isinstance(error, Rejected):
        return RpcError(REFUSED, error.name, error.code, **error.facts)
    if isinstance(error, Malformed):
        return RpcError(REFUSED, MALFORMED_TX[1], MALFORMED_TX[0], why=error.why)
    if isinstance(error, Busy):
        return RpcError(LIMIT, "BUSY", why=error.why, retry_after_ms=error.retry_after_ms)
    return RpcError(INTERNAL_ERROR, "INTERNAL")
