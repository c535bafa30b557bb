"""Who said two things in one place: kept for ever, on the disk, for anyone to check (case 13).

Once for each gateway and height, rising: a liar could contradict itself at line rate and fill our
disk. What the two statements prove is the protocol's business; here they are only written down.
"""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from consensus import effects as fx
from mgsnode.base.codec import decode
from mgsnode.base.limits import FRAME_BYTES_MAX

_log = structlog.get_logger("mgsnode.evidence")


class EvidenceFile:
    """JSON lines that are only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._latest: dict[str, int] = {}  # gateway -> the latest height with evidence of it

    def add(self, gateway: str, evidence: fx.Evidence) -> None:
        """Two statements that `gateway` signed. `OSError` ends the node."""
        place = decode(evidence.first[0], bytes_max=FRAME_BYTES_MAX)
        assert isinstance(place, tuple) and isinstance(place[2], int)
        if place[2] <= self._latest.get(gateway, -1):
            return
        self._latest[gateway] = place[2]
        record = {
            "gateway": gateway,
            "kind": evidence.kind.name,
            "first": [part.hex() for part in evidence.first],
            "second": [part.hex() for part in evidence.second],
        }
        _log.error("a gateway contradicted itself", gateway=gateway, kind=evidence.kind.name)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
