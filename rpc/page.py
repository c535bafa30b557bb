"""What a browser sees at `/`: the node's status, made here, without any script."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import Final

from rpc.api import NodeStatus

STATUS_PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width">
<title>MGS node {title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem }}
.unready {{ font-weight: 600 }}
td {{ padding: .15rem 1rem .15rem 0; vertical-align: top }}
td + td {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere }}
</style></head><body>
<h1>MGS node {title}</h1><p class="{word}">{state}</p>
<table>{rows}</table>
<p>JSON-RPC 2.0: POST here, or a WebSocket at <code>/ws</code>; its description is
<a href="/openrpc.json">openrpc.json</a>. For machines: <a href="/livez">livez</a>,
<a href="/readyz">readyz</a>, <a href="/metrics">metrics</a>.</p>
</body></html>
"""


def status_page(status: NodeStatus, why_not_ready: str | None) -> bytes:
    """The page; everything in it is escaped."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(_shown(name, value))}</td></tr>"
        for name, value in status._asdict().items()
    )
    state = "ready" if why_not_ready is None else f"not ready: {why_not_ready}"
    title = html.escape(status.gateway or status.node_id)
    word = "unready" if why_not_ready else "ready"
    page = _PAGE.format(title=title, word=word, state=html.escape(state), rows=rows)
    return page.encode()


def _shown(name: str, value: object) -> str:
    """As JSON spells it; beside a block's time what it is for people."""
    if isinstance(value, bool):
        return str(value).lower()
    if name == "block_time_ms" and isinstance(value, int):
        at = datetime.fromtimestamp(value / 1_000, UTC)
        return f"{value} ({at:%Y-%m-%d %H:%M:%S} UTC)"
    return str(value)
