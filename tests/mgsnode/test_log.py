"""The log: one line for each event, whoever wrote it and whatever is in it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys, structlog
from mgsnode.log import configure_log
configure_log(sys.argv[1], sys.argv[2], name="albion")
log = structlog.get_logger("x")
log.debug("quiet")
log.info("event", text="a\\nb\\x1b[31m", raw=b"\\x00\\xff", long="y" * 9999)
try:
    {}["nothing"]
except KeyError:
    log.error("failed", exc_info=True)
    logging.getLogger("rpc").exception("a %s", "library\\nspeaks")
logging.getLogger("rpc").info("unheard")
"""


def lines(level: str, format_: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, format_], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_each_event_is_one_line_of_json() -> None:
    events = [json.loads(line) for line in lines("info", "json")]
    assert [event["event"] for event in events] == ["event", "failed", "a library\\nspeaks"]
    assert {event["node"] for event in events} == {"albion"}
    assert (events[0]["text"], events[0]["raw"]) == ("a\\nb\\x1b[31m", "00ff")
    assert len(events[0]["long"]) == 501
    assert "KeyError" in events[1]["exception"]
    assert "KeyError" in events[2]["exception"]


def test_each_event_is_one_line_of_text() -> None:
    said = lines("warning", "text")
    assert len(said) == 2
    assert "event='failed'" in said[0]
