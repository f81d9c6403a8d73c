"""A real Prometheus, and targets that it scrapes, under the control of a test.

`Target` counts its scrapes: the text it exposes may hold `{n}`, the number of the scrape, and `{ms}`, the instant in
milliseconds. `PrometheusServer` may be killed and started again with what it has stored.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.processes import bound
from tests.waiting import PATIENCE


class Target:
    """An exporter on a port of its own. `scrapes`: when it was scraped, in seconds since 1970.

    `pages`: what else it exposes, by path.
    """

    def __init__(self, port: int, text: str) -> None:
        self.port = port
        self.text = text
        self.pages: dict[str, str] = {}
        self.scrapes: list[float] = []
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                now = time.time()
                target.scrapes.append(now)
                text = target.pages.get(self.path, target.text).replace("{n}", str(len(target.scrapes)))
                body = text.replace("{ms}", str(int(now * 1000))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class PrometheusServer:
    def __init__(self, binary: Path, folder: Path, port: int, config: str, more: Sequence[str] = ()) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        (folder / "prometheus.yml").write_text(config)
        self._argv = [
            os.fspath(binary), f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error", *more,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(bound(self._argv), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("Prometheus did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
