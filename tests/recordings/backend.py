"""An HTTP server for proxies to stand in front of: what becomes of a request is said by its path."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/answer?status=503&seconds=1.5`; `/break` ends the connection without an answer."""
        address = urlsplit(self.path)
        asked = parse_qs(address.query)
        time.sleep(float(asked.get("seconds", ["0"])[0]))
        if address.path == "/break":
            self.close_connection = True
            return
        body = b"done\n"
        self.send_response(int(asked.get("status", ["200"])[0]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Whoever gave up is counted by the client."""


@contextlib.contextmanager
def backend(port: int) -> Iterator[str]:
    """Its address, while it serves."""
    server = _Server(("127.0.0.1", port), _Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
