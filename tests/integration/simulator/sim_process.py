"""A real simulator process on a free loopback port, and a small JSON client for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.ports import free_port
from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

DEADLINE = PATIENCE
SERVICE = {
    "name": "callbot",
    "replicas": 3,
    "cpu_millicores": 500,
    "memory_mib": 1024,
    "gpu": 0,
    "sessions": 50,
}


class Simulator:
    """Start, kill and resume one simulator; `call` returns (status, parsed body)."""

    def __init__(self, state_dir: Path, *options: str) -> None:
        self.state_dir = state_dir
        self.options = options
        self.port = free_port()
        self.tls_port = 0
        self.log = state_dir.parent / "simulator.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Simulator:
        command = [sys.executable, "-W", "error", "-m", "ecpmon.simulator", "--port", str(self.port)]
        command += ["--state-dir", str(self.state_dir), *self.options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(bound(command), stdout=log, stderr=log)
        try:
            wait_until(self._serves, "the simulator serves")
        except BaseException:
            self.kill()
            raise
        return self

    def _serves(self) -> bool:
        try:
            return self.call("GET", "/health")[0] == 200
        except (URLError, ConnectionError):
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            return False

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        return self._process.wait(timeout=DEADLINE)

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method)
        try:
            with urlopen(request, timeout=DEADLINE) as response:
                return response.status, response.read(), dict(response.headers)
        except HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def call(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        body = None if document is None else json.dumps(document).encode()
        status, raw, _ = self.raw(method, path, body)
        return status, json.loads(raw) if raw else None

    def ok(self, method: str, path: str, document: Any = None) -> Any:
        status, answer = self.call(method, path, document)
        assert status < 300, (method, path, status, answer)
        return answer

    def advance(self, seconds: float) -> str:
        return str(self.ok("POST", "/api/v1/clock/advance", {"seconds": seconds})["now"])

    def deploy(self, tenant: str = "acme", *services: dict[str, Any]) -> None:
        self.ok("PUT", f"/api/v1/tenants/{tenant}", {"services": list(services) or [SERVICE]})
