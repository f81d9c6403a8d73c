"""Stands in for ecpmon in tests of the stack: `simulator`, `migrate` and `serve` that only say they are there.

`-m ecpmon` finds the package in the working directory first.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"up_fake 1\n" if self.path == "/metrics" else b"{}"
        self._answer(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Path("webhooks.jsonl").open("ab") as log:
            log.write(body + b"\n")
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


def main(argv: list[str]) -> None:
    if argv[0] == "migrate":
        if Path("migrate-fails").exists():
            sys.exit("the schema is newer than this program")
        env = {name: value for name, value in os.environ.items() if name.startswith("ECPMON_")}
        Path("migrated.json").write_text(json.dumps(env))
        return
    port = int(os.environ["ECPMON_PORT"] if argv[0] == "serve" else argv[argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
