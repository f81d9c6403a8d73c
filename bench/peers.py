"""Prometheus and VictoriaMetrics: loaded by remote write, asked over HTTP for `avg_over_time`."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import local
from urllib.parse import urlencode

import cramjam
import orjson

from bench.observations import METRIC, SLOTS, History, RemoteWriter

_STRETCH = 720  # slots per request
_GROUP = 125  # tenants per request: 90,000 samples


class Peer:
    """One server with the Prometheus API on `port`. `extra` are parameters added to every query."""

    def __init__(self, name: str, port: int, **extra: str) -> None:
        self.name = name
        self._port = port
        self._extra = extra
        self._mine = local()

    def load(self, history: History) -> tuple[int, float]:
        """Write the whole history; the number of samples and the seconds it took."""
        writer = RemoteWriter(history)
        groups = [
            range(first, min(first + _GROUP, history.tenants)) for first in range(0, history.tenants, _GROUP)
        ]
        began, samples = time.perf_counter(), 0
        with ThreadPoolExecutor(2) as pool:
            for first in range(0, SLOTS, _STRETCH):
                bodies = pool.map(lambda g, at=first: self._write(writer, at, g), groups)
                samples += sum(bodies)
        return samples, time.perf_counter() - began

    def _write(self, writer: RemoteWriter, first: int, tenants: range) -> int:
        body, samples = writer.request(first, _STRETCH, tenants)
        self.write(body)
        return samples

    def write(self, body: bytes) -> None:
        """One remote-write request, given uncompressed."""
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        self._call("/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), headers)

    def flush(self) -> None:
        """VictoriaMetrics: make what was written visible and let its merges come to rest."""
        self._call("/internal/force_flush", b"", {})
        time.sleep(3)

    def settle(self) -> None:
        """Prometheus: wait until it has moved its full chunks out of the list that they are written in, which it
        does every minute. Before that a query walks the list, and 30 days take it minutes."""
        moved, deadline = -1.0, time.monotonic() + 100
        while time.monotonic() < deadline:
            time.sleep(2)
            text = self._call("/metrics", b"", {}, "GET").decode()
            before, moved = moved, float(text.split("\nprometheus_tsdb_mmap_chunks_total ")[1].split("\n")[0])
            if moved > 0 and moved == before:
                return
        raise RuntimeError("Prometheus did not come to rest")

    def availability(self, now: datetime, window: str) -> dict[str, float]:
        """The mean of the observations of every tenant in the window that ends at `now`."""
        query = {"query": f"avg_over_time({METRIC}[{window}])", "time": f"{now.timestamp():.3f}"}
        form = urlencode(query | self._extra).encode()
        answer = self._call("/api/v1/query", form, {"Content-Type": "application/x-www-form-urlencoded"})
        result = orjson.loads(answer)["data"]["result"]
        return {r["metric"]["tenant"]: float(r["value"][1]) for r in result}

    def _call(self, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> bytes:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            self._mine.connection = connection
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content: bytes = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{self.name} {path}: {response.status} {content[:300]!r}")
        return content
