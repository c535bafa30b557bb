"""The ways to fail, and nothing else.

`Malformed`   the bytes are not our language.
`Rejected`    understood and refused; deterministic; its code goes into the receipt.
`Busy`        this node, now; try again later.
`Corrupt`     what is stored is not what was written: stop, exit code 5.
`ConfigError` configuration or genesis is invalid: exit code 3.
`Locked`      another process holds it, or a passphrase is missing: exit code 4.

Anything else (an assertion, an OS error) means that we are broken: the process stops.
Facts travel with a refusal; prose is made at the edge.
"""

from __future__ import annotations

Fact = str | int | bool


class MgsError(Exception):
    """Base of every failure that has a name."""


class Malformed(MgsError):
    """Bytes or text that are not a value of ours. `why` is a short phrase without input."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Rejected(MgsError):
    """A transaction refused by a rule.

    `code` and `name` are stable for ever; `facts` are numbers and names that explain it.
    """

    def __init__(self, refusal: tuple[int, str], /, **facts: Fact) -> None:
        code, name = refusal
        super().__init__(f"{name} ({code})")
        self.code = code
        self.name = name
        self.facts = facts


class Busy(MgsError):
    """This node cannot take it now; `retry_after_ms` says when to ask again."""

    def __init__(self, why: str, retry_after_ms: int) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_ms = retry_after_ms


class Corrupt(MgsError):
    """Stored data contradict themselves; the message names the record."""


class ConfigError(MgsError):
    """Configuration, genesis or key file is invalid; the message names the field."""


class Locked(MgsError):
    """A store, journal or keystore is in use by another process, or cannot be unlocked."""
