"""`python -m ecpmon.simulator`: the simulator as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import sys
from pathlib import Path

from ecpmon.errors import EcpError
from ecpmon.loglines import log_to_stderr
from ecpmon.simulator.server import DEFAULT_PORT, serve


def _speed(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError("must be above 0 and at most 100000")
    return value


def _nodes(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError("must be 1 … 1000")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ecpmon simulator",
        description="A deterministic cluster with tenants, workload and failures. Endpoints: GET /docs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on")
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".ecpmon/simulator"), help="folder that keeps the state"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="same seed, same cluster (new state folders only)"
    )
    parser.add_argument("--speed", type=_speed, default=1.0, help="simulated seconds per second")
    parser.add_argument(
        "--manual-clock", action="store_true", help="time moves only by POST /api/v1/clock/advance"
    )
    parser.add_argument("--nodes", type=_nodes, default=4, help="nodes of a new cluster, 96 cores each")
    parser.add_argument("--tls-port", type=int, help="port for TLS: kubectl sends tokens nowhere else")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; 0, or 1 after a message that says what is wrong."""
    options = _parser().parse_args(arguments)
    log_to_stderr(logging.INFO)
    run = serve(
        options.host,
        options.port,
        options.state_dir,
        seed=options.seed,
        speed=options.speed,
        manual_clock=options.manual_clock,
        nodes=options.nodes,
        tls_port=options.tls_port,
    )
    try:
        asyncio.run(run)
    except (EcpError, OSError) as error:
        sys.stderr.write(f"ecpmon simulator: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
