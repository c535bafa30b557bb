"""A process that answers like a node and is none: what `Localnet` starts in its tests."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from mgsnode.cli.node import _end_with
from mgsnode.config import load_settings
from mgsnode.home import load_home_genesis


def main() -> None:
    home, life_fd = Path(sys.argv[1]), int(sys.argv[2])
    if (home / "broken").exists():
        print("the store is on fire", flush=True)
        sys.exit(5)
    _end_with(life_fd)
    chain = load_home_genesis(home).hash.hex()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            answer = {"jsonrpc": "2.0", "id": request["id"], "result": {"chain": chain}}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    HTTPServer(("127.0.0.1", load_settings(home, environ={}).rpc.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
