"""Pushes what this machine measures of itself, as a tenant's measurements.

    python examples/python/metrics_pusher.py TENANT_ID [--every 5] [--times 0] [--health http://…/health]

CPU and memory of the machine (Linux), and with `--health` whether the service there answers: `up`, and its response
time. Whatever cannot be sent now is kept and sent later, with the time at which it was measured.
ECP_API_URL, ECP_API_TOKEN: where to, and as whom.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from ecp_orchestrator import ECPClient, NotDelivered, Rejected


class Processors:
    """How busy they were since the last look, in percent."""

    def __init__(self) -> None:
        self._before = self._read()

    def busy(self) -> float:
        (idle, total), before = self._read(), self._before
        self._before = idle, total
        return 100 * (1 - (idle - before[0]) / max(1, total - before[1]))

    @staticmethod
    def _read() -> tuple[int, int]:
        ticks = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)


def memory_used() -> float:
    """Percent."""
    lines = (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    sizes = {name: int(rest.split()[0]) for name, rest in lines}
    return 100 * (1 - sizes["MemAvailable"] / sizes["MemTotal"])


def health_of(address: str) -> dict[str, float]:
    """`up`, and the milliseconds until it answered."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(address, timeout=5):
            return {"up": 1, "response_time": (time.monotonic() - began) * 1000}
    except OSError:  # of HTTP's errors as well
        return {"up": 0}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("tenant_id")
    parser.add_argument("--every", type=float, default=5.0, help="seconds")
    parser.add_argument("--times", type=int, default=0, help="0: until it is interrupted")
    parser.add_argument("--health", help="address of the service that is watched")
    asked = parser.parse_args(argv)

    def complain(rejected: Rejected) -> None:
        print(f"{rejected.count} samples were not stored: {rejected.samples}", file=sys.stderr)

    base_url = os.environ.get("ECP_API_URL", "http://localhost:8001/api/v1")
    processors, sent = Processors(), 0
    try:
        with (
            ECPClient(base_url, token=os.environ.get("ECP_API_TOKEN")) as client,
            client.batch(on_rejected=complain) as batch,
        ):
            while not asked.times or sent < asked.times:
                time.sleep(asked.every)
                metrics = {"cpu_usage": processors.busy(), "memory_usage": memory_used()}
                if asked.health:
                    metrics |= health_of(asked.health)
                batch.add(asked.tenant_id, metrics, timestamp=datetime.now(UTC))
                sent += 1
    except KeyboardInterrupt:
        pass  # the batch has delivered what it held
    except NotDelivered as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
