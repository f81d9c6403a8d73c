"""A webhook receiver in a thread: what came, and when."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Arrival = tuple[float, dict[str, Any]]
"""Seconds of the monotonic clock, and an alert of a message: `status`, `labels`, …"""


class Receiver:
    """`url` is where messages go."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.came: queue.Queue[Arrival] = queue.Queue()

    def wait(self, status: str, label: str, value: str, seconds: float = 30) -> float | None:
        """When the next alert that fits arrived; None when none does."""
        limit = time.monotonic() + seconds
        while True:
            try:
                at, alert = self.came.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                return None
            if alert["status"] == status and alert["labels"].get(label) == value:
                return at


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Hook(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            at = time.monotonic()
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            for alert in document["alerts"]:
                receiver.came.put((at, alert))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    receiver = Receiver(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
