"""The README's walk-through and docs/sla.md, run as they stand against `ecpmon up`."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def section(name: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


def script(text: str) -> str:
    """The shell blocks of a page; the first command that fails ends it."""
    return "\n".join(["set -e", *re.findall(r"```sh\n(.*?)```", text, re.DOTALL)])


class Hooks(http.server.BaseHTTPRequestHandler):
    bodies: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    bodies: list[dict[str, Any]] = []
    handler = type("Bound", (Hooks,), {"bodies": bodies})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    server.shutdown()
    server.server_close()
    thread.join()


def wait_until(check: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


@pytest.mark.timeout(200)
def test_the_walk_through_does_what_it_says(
    shared_tmp: Path, free_port: Callable[[], int], receiver: tuple[str, list[dict[str, Any]]]
) -> None:
    ports = {name: free_port() for name in ("api", "simulator", "postgres", "prometheus", "alertmanager")}
    argv = [sys.executable, "-m", "ecpmon", "up", "--directory", str(shared_tmp)]
    argv += [f"--{name}-port={port}" for name, port in ports.items()]
    log = (shared_tmp / "up.log").open("wb")
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_DATABASE")}
    stack = subprocess.Popen(argv, stdout=log, stderr=log, env=keep, start_new_session=True)
    try:
        api = f"http://127.0.0.1:{ports['api']}"

        def up() -> bool:
            assert stack.poll() is None, (shared_tmp / "up.log").read_text()
            return "state=up" in (shared_tmp / "up.log").read_text()

        wait_until(up, 60, "the table shows the tenants")
        url, bodies = receiver
        environment = {**keep, "API": api, "RECEIVER": url, "OUT": str(shared_tmp)}
        for page in (section("Break a tenant and watch"), (ROOT / "docs" / "sla.md").read_text("utf-8")):
            done = subprocess.run(
                ["bash", "-c", script(page)], env=environment,
                capture_output=True, text=True, timeout=90, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        assert (shared_tmp / "statement.pdf").read_bytes().startswith(b"%PDF-")
        wait_until(lambda: [b["status"] for b in bodies] == ["firing", "resolved"], 20, "one webhook each")
        incidents = get(f"{api}/api/v1/tenants/city-helpdesk/incidents")["incidents"]
        assert len(incidents) == 1
        truth = get(f"http://127.0.0.1:{ports['simulator']}/api/v1/truth/city-helpdesk")
        assert abs(incidents[0]["down_seconds"] - truth["down_seconds"]) <= 5.5
        pushed = get(f"{api}/api/v1/tenants/city-helpdesk/alerts/deliveries")["deliveries"]
        assert [d["status"] for d in pushed] == ["sent", "sent"]
        assert "state=down" in (shared_tmp / "up.log").read_text()
    finally:
        stack.send_signal(signal.SIGINT)
        code = stack.wait(40)
        log.close()
    assert code == 0, (shared_tmp / "up.log").read_text()
    for name, port in ports.items():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{name} still runs"
