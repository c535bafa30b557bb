"""What the process says while it runs: one line for each event on standard error.

Events are names with facts, never sentences with values inside, so that both people and
machines can read them. What a stranger sent is escaped: a line of the log is always one line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TypeAlias

import structlog

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["text", "json"]
Event: TypeAlias = MutableMapping[str, Any]
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_VALUE_CHARS_MAX = 500  # a stranger's value does not fill the disk


def configure_log(level: Level, format_: Format, *, name: str = "") -> None:
    """Set up the process's log once; `name` stands in every line (a node of a local network)."""

    def say_who(_logger: Any, _method: str, event: Event) -> Event:
        if name:
            event["node"] = name
        return event

    renderer: Any = (
        structlog.processors.JSONRenderer(default=repr)
        if format_ == "json"
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    )
    shared: list[Any] = [
        say_who,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _plain,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries and `logging` say goes the same way, a line for each event too.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("mgsnode").setLevel(_LEVELS[level])  # the peer layer's events


def _plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Bytes as hex; long or multi-line text cut and escaped."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = value.hex()[:_VALUE_CHARS_MAX]
        elif isinstance(value, str) and key == "exception":
            event[key] = value.replace("\n", " | ")
        elif isinstance(value, str):
            short = value if len(value) <= _VALUE_CHARS_MAX else value[:_VALUE_CHARS_MAX] + "…"
            if not short.isprintable():
                short = short.encode("unicode_escape").decode("ascii")
            event[key] = short
    return event
