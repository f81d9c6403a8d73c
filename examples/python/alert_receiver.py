"""Receives alerts: from Alertmanager (`webhook_configs`), or from ecpmon, whose messages have the same form.

    python examples/python/alert_receiver.py [--port 9999]

Prints a line per alert. With WEBHOOK_SECRET (`POST …/webhook-key` shows it) only what that key has signed is taken, and
what comes again under the same `webhook-id` is dropped (docs/webhooks.md). Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

MOST_BYTES = 2**20
LATEST_SECONDS = 300
REMEMBERED = 10_000


def is_signed(secret: str, headers: Any, body: bytes) -> bool:
    """Standard Webhooks: one of several signatures, while a key is being replaced."""
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > LATEST_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    given = (part.partition(",")[2] for part in headers.get("webhook-signature", "").split())
    return any(hmac.compare_digest(base64.b64encode(expected).decode(), one) for one in given)


class Receiver(BaseHTTPRequestHandler):
    secret: str | None = None
    seen: ClassVar[OrderedDict[str, None]] = OrderedDict()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BYTES:
            self.answer(413)
            return
        body = self.rfile.read(length)
        if self.secret and not is_signed(self.secret, self.headers, body):
            self.answer(401)
            return
        try:
            message = json.loads(body)
            lines = [line_of(alert) for alert in message["alerts"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            self.answer(400)
            return
        if self.is_new():
            print("\n".join(lines), flush=True)
        self.answer(200)

    def is_new(self) -> bool:
        """Alertmanager gives its messages no id: each of them is new."""
        message_id = self.headers.get("webhook-id")
        if message_id is None:
            return True
        if message_id in self.seen:
            return False
        self.seen[message_id] = None
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        return True

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Only alerts are printed."""


def line_of(alert: dict[str, Any]) -> str:
    labels, notes = alert["labels"], alert.get("annotations", {})
    said = notes.get("summary") or notes.get("description") or ""
    when = alert["endsAt"] if alert["status"] == "resolved" else alert["startsAt"]
    return (
        f"{alert['status']} {labels.get('alertname')} {labels.get('tenant_id', '-')} {when} {said}".rstrip()
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9999)
    Receiver.secret = os.environ.get("WEBHOOK_SECRET")
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
