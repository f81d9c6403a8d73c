"""Remote write beside VictoriaMetrics and Prometheus: samples per second, and CPU by the sample.

    python -m bench.remote_write                        5 min
    python -m bench.remote_write --scrapes 10 --rounds 1 --no-peers
    python -m bench.remote_write --soak 1800            only ours, for so many seconds, and how its memory grows

500 tenants have 20 series of 6 labels each, of which one scrape is known before anything is measured. Samples are of
the last seconds, as a sender's are, snappy, in requests of 500 and of 5,000 over four connections, of which each series
keeps to one. Rounds take turns: ecpmon (durable, answered after the commit; 1.0 and 2.0), VictoriaMetrics, Prometheus.
CPU is that of the server with its database, and what it goes on to do for some seconds afterwards (merges; ours rolls
up and packs when a bucket and an hour are over, which `bench.storage` measures). Bodies are made before. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam

from bench import servers
from bench.push import _cpu, _prepare, commit

TENANTS, CONNECTIONS, STEP = 500, 4, 100
NAMES = (
    "http_requests_total", "http_request_duration_seconds_sum", "http_request_duration_seconds_count",
    "process_cpu_seconds_total", "container_network_transmit_bytes_total", "container_network_receive_bytes_total",
    "process_resident_memory_bytes", "container_memory_working_set_bytes", "gpu_utilization_percent", "up",
    "tenant_slo_target", "go_goroutines", "node_load1", "kv_cache_usage_ratio", "queue_depth", "error_rate",
    "response_time_ms", "storage_used_bytes", "cpu_usage_percent", "memory_usage_percent",
)  # fmt: skip
SETTLE = 3.0
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scrapes", type=int, default=60, help="of 10,000 samples, in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-request", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--soak", type=float, help="seconds; then nothing is compared")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        peers = not (arguments.no_peers or arguments.soak)
        systems = {s.name: s for s in _systems(stack, peers=peers)}
        found: dict[str, Any] = {"commit": commit(), "compiled": _compiled()}
        if arguments.soak:
            found["memory_mb"] = _soaked(arguments, systems["ecpmon"])
        for system in systems.values():
            _round(system, _requests(system, max(arguments.per_request), 1, _later(1)))
            _settled(system)
        for per in () if arguments.soak else arguments.per_request:
            found[f"{per} per request"] = _compared(arguments, systems, per)
        found["memory_mb_at_most"] = _memory(systems["ecpmon"].pid, "VmHWM")
    found["load_average"] = os.getloadavg()[0]
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


def _compiled() -> bool:
    from ecpmon.agents import taking

    return taking.take is not taking.take_in_python


@dataclass
class System:
    """`cpu`: seconds that it has used."""

    name: str
    port: int
    pid: int
    cpu: Callable[[], float]
    second: bool = False


def _systems(stack: ExitStack, *, peers: bool) -> Iterator[System]:
    binaries, victoria = servers.fetch()
    folder = stack.enter_context(servers.scratch())
    cluster = stack.enter_context(servers.postgres(binaries, folder))
    dsn = cluster.ensure_database("bench")
    asyncio.run(_prepare(dsn, TENANTS))
    limits = {"max_samples_per_second": "1e9", "max_body_bytes_per_second": "1e12", "log_level": "warning"}
    port, pid = stack.enter_context(servers.ecpmon(dsn, folder, **limits))
    postmaster = servers.postmaster(cluster)

    def ours() -> float:
        return _cpu(pid) + _cpu(postmaster, tree=True)

    yield System("ecpmon", port, pid, ours)
    yield System("ecpmon, 2.0", port, pid, ours, second=True)
    if peers:
        for name, server in (
            ("VictoriaMetrics", servers.victoria_metrics(victoria, folder)),
            ("Prometheus", servers.prometheus(binaries, folder)),
        ):
            port, pid = stack.enter_context(server)
            yield System(name, port, pid, lambda pid=pid: _cpu(pid))  # type: ignore[misc]


_BEGIN = [0]


def _settled(system: System) -> None:
    """Wait until it has done what comes of new tenants and series, or a minute is over."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        before = system.cpu()
        time.sleep(2)
        if system.cpu() - before < 0.3:
            return


def _later(scrapes: int) -> int:
    """Where these scrapes begin, so that the last is of now: later than all that was sent before, as Prometheus takes
    nothing that is older than what it has."""
    while (begin := int(time.time() * 1000) - scrapes * STEP) < _BEGIN[0]:
        time.sleep((_BEGIN[0] - begin) / 1000)
    _BEGIN[0] = begin + scrapes * STEP
    return begin


def _soaked(arguments: argparse.Namespace, system: System) -> list[float]:
    """How much memory it uses after each minute at full load."""
    until, found = time.monotonic() + arguments.soak, list[float]()
    noted = time.monotonic()
    while (now := time.monotonic()) < until:
        streams = _requests(system, max(arguments.per_request), arguments.scrapes, _later(arguments.scrapes))
        with ThreadPoolExecutor(len(streams)) as pool:
            list(pool.map(lambda stream: _send(system.port, stream), streams))
        if now >= noted:
            found.append(_memory(system.pid, "VmRSS"))
            noted += 60
    return found


def _memory(pid: int, name: str) -> float:
    """Megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise KeyError(name)


def _compared(arguments: argparse.Namespace, systems: Mapping[str, System], per: int) -> dict[str, Any]:
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for _ in range(arguments.rounds):
        for name, system in systems.items():
            begin = _later(arguments.scrapes)
            rounds[name].append(_round(system, _requests(system, per, arguments.scrapes, begin)))
    return {
        name: {key: round(statistics.median(r[key] for r in runs), 3) for key in runs[0]}
        for name, runs in rounds.items()
    }


def _round(system: System, streams: list[list[tuple[bytes, int]]]) -> dict[str, float]:
    """One run. `streams`: per connection whole requests."""
    before, began = system.cpu(), time.perf_counter()
    with ThreadPoolExecutor(len(streams)) as pool:
        counts = pool.map(lambda stream: _send(system.port, stream), streams)
        samples = sum(counts)
    seconds, used = time.perf_counter() - began, system.cpu() - before
    time.sleep(SETTLE)
    return {
        "per_second": samples / seconds,
        "cpu_us": used / samples * 1e6,
        "cpu_us_with_what_follows": (system.cpu() - before) / samples * 1e6,
    }


def _send(port: int, stream: list[tuple[bytes, int]]) -> int:
    """One request after the other; how many samples were taken. 503 is sent again, as senders do."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request, _ in stream:
            while (status := _answer(connection, request)) == 503:
                time.sleep(1)
            if status not in (200, 204):
                raise SystemExit(f"not taken: {status}")
    return sum(samples for _, samples in stream)


def _answer(connection: socket.socket, request: bytes) -> int:
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        got = connection.recv(65536)
        if not got:
            raise SystemExit("the connection was closed")
        received += got
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return int(head.split()[1])


# --- bodies -------------------------------------------------------------------------------------------------


def _labels(number: int) -> dict[str, str]:
    tenant = number // 20
    return {
        "__name__": NAMES[number % 20],
        "instance": f"10.0.{tenant >> 8}.{tenant & 255}:9100",
        "job": "tenant-exporter",
        "namespace": f"tenant-{tenant:04d}",
        "pod": f"inference-{tenant:04d}-0",
        "tenant_id": f"tenant-{tenant:04d}",
    }


def _requests(system: System, per: int, scrapes: int, begin: int) -> list[list[tuple[bytes, int]]]:
    """Per connection: requests, and how many samples are in each. Values are random and round."""
    random_, every = random.Random(begin), range(20 * TENANTS)
    groups = [every[first : first + per] for first in range(0, len(every), per)]
    made: list[list[tuple[bytes, int]]] = [[] for _ in range(min(CONNECTIONS, len(groups)))]
    shape = _second if system.second else _first
    prepared = [shape(group) for group in groups]
    for scrape in range(scrapes):
        time_ = _varint(begin + scrape * STEP)
        for number, (head, series) in enumerate(prepared):
            body = head + b"".join(
                before + struct.pack("<d", round(random_.uniform(0, 1000), 2)) + b"\x10" + time_
                for before in series
            )
            made[number % len(made)].append((_http(body, second=system.second), len(series)))
    return made


_SAMPLE = 18  # bytes


def _first(group: range) -> tuple[bytes, list[bytes]]:
    """Of remote write 1.0: nothing before the series, and of each what stands before its value."""
    found = []
    for number in group:
        labels = b"".join(
            _field(1, _field(1, name.encode()) + _field(2, value.encode()))
            for name, value in sorted(_labels(number).items())
        )
        found.append(b"\x0a" + _varint(len(labels) + _SAMPLE) + labels + b"\x12\x10\x09")
    return b"", found


def _second(group: range) -> tuple[bytes, list[bytes]]:
    """The same of 2.0: the symbols come first."""
    symbols, found = {"": 0}, []
    for number in group:
        refs = b"".join(
            _varint(symbols.setdefault(text, len(symbols)))
            for pair in sorted(_labels(number).items())
            for text in pair
        )
        labels = _field(1, refs)
        found.append(b"\x2a" + _varint(len(labels) + _SAMPLE) + labels + b"\x12\x10\x09")
    return b"".join(_field(4, text.encode()) for text in symbols), found


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _http(body: bytes, *, second: bool) -> bytes:
    packed = bytes(cramjam.snappy.compress_raw(body))
    kind, version = (V2, "2.0.0") if second else ("application/x-protobuf", "0.1.0")
    head = (
        "POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: snappy\r\n"
        f"Content-Type: {kind}\r\nX-Prometheus-Remote-Write-Version: {version}\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    return head.encode() + packed


if __name__ == "__main__":
    main()
