"""The systems under test as private processes: TimescaleDB, Prometheus and VictoriaMetrics, all from Debian.

Each lives as long as its context, in a temporary folder, on a free port of 127.0.0.1.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import Binaries, Bundle, fetch_binaries, fetch_bundles
from ecpmon.local.paths import cache_dir, make_private_dir, service_user
from ecpmon.local.postgres import PostgresCluster
from ecpmon.local.process import launch_argv, log_tail

VICTORIA_METRICS = Bundle("victoria-metrics", ("victoria-metrics",))


def fetch() -> tuple[Binaries, Path]:
    """The embedded stack's programs, and VictoriaMetrics, which only this benchmark needs."""
    cache = cache_dir(os.environ, service_user())
    architecture = detect_architecture()
    fetch_bundles(cache, [VICTORIA_METRICS], architecture, lambda *_: None)
    programs = VICTORIA_METRICS.folder(cache, architecture) / "usr/bin"
    return fetch_binaries(cache, lambda *_: None), programs / "victoria-metrics"


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder that the service user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="ecpmon-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(binaries: Binaries, folder: Path) -> Iterator[PostgresCluster]:
    """A durable cluster, configured as `ecpmon up` configures it."""
    cluster = PostgresCluster(binaries.postgres_bin, folder / "postgres", free_port(), service_user())
    cluster.initialise()
    log = folder / "postgres.log"
    with _running(cluster.argv(), log, cluster.is_ready, signal.SIGINT, cluster.env):
        yield cluster


def postmaster(cluster: PostgresCluster) -> int:
    """Its process id."""
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


@contextmanager
def module(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """`python -m NAME PORT`, which answers GET /ready: its port and its process id."""
    port = free_port()
    with _python([name, str(port)], folder / f"{name}.log", port, {}) as pid:
        yield port, pid


@contextmanager
def simulator(folder: Path, nodes: int) -> Iterator[tuple[int, int]]:
    """A new simulator on the real clock: its port and its process id."""
    port = free_port()
    argv = ["ecpmon.simulator", "--port", str(port), "--nodes", str(nodes)]
    argv += ["--state-dir", os.fspath(folder / "simulator")]
    with _python(argv, folder / "simulator.log", port, {}, "/health") as pid:
        yield port, pid


@contextmanager
def ecpmon(database: str, folder: Path, **settings: str) -> Iterator[tuple[int, int]]:
    """`ecpmon serve` for a database's URL: its port and its process id. `settings` without their prefix.

    One process, unless `role` is `supervised`: then the id is that of who watches fronts and worker.
    """
    port = free_port()
    own = {
        "role": "all",
        "database_url": database,
        "port": str(port),
        "log_format": "json",
        "auth": "none",
        **settings,
    }
    env = {f"ECPMON_{name.upper()}": value for name, value in own.items()}
    with _python(["ecpmon", "serve"], folder / "ecpmon.log", port, env) as pid:
        yield port, pid


@contextmanager
def _python(
    argv: Sequence[str], log: Path, port: int, env: dict[str, str], path: str = "/ready"
) -> Iterator[int]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "TZ": "UTC", **env},
        )
    try:
        _wait(process, lambda: answers(port, path), log)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        process.kill()
        process.wait()


@contextmanager
def alertmanager(binaries: Binaries, folder: Path, receiver: str) -> Iterator[tuple[int, int]]:
    """Its port and its process id. It groups by `id` and waits for nobody before it tells the URL `receiver`."""
    data, port = make_private_dir(folder / "alertmanager", service_user()), free_port()
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: hook, group_by: [id], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}\n"
        f'receivers: [{{name: hook, webhook_configs: [{{url: "{receiver}"}}]}}]\n'
    )
    argv = [
        os.fspath(binaries.alertmanager),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    log = folder / "alertmanager.log"
    # It looks for its templates from there.
    where = os.fspath(binaries.prometheus_root)
    with _running(argv, log, lambda: answers(port, "/-/ready"), cwd=where) as pid:
        yield port, pid


@contextmanager
def prometheus(
    binaries: Binaries, folder: Path, config: str = "scrape_configs: []\n"
) -> Iterator[tuple[int, int]]:
    """Its port and its process id.

    All 30 days stay in the head block, in memory: its best case, and nothing runs beside a query.
    """
    data, port = make_private_dir(folder / "prometheus", service_user()), free_port()
    (folder / "prometheus.yml").write_text(config)
    argv = [
        os.fspath(binaries.prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.min-block-duration=60d",
        "--storage.tsdb.max-block-duration=60d",
        "--storage.tsdb.retention.time=90d",
        "--query.max-samples=500000000",
        "--web.enable-remote-write-receiver",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with _running(argv, folder / "prometheus.log", lambda: answers(port, "/-/ready")) as pid:
        yield port, pid


@contextmanager
def victoria_metrics(program: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """Its port and its process id."""
    data, port = make_private_dir(folder / "victoria", service_user()), free_port()
    argv = [
        os.fspath(program),
        f"-storageDataPath={data}",
        "-retentionPeriod=3",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
    ]
    with _running(argv, folder / "victoria.log", lambda: answers(port, "/health")) as pid:
        yield port, pid


@contextmanager
def _running(
    argv: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
    env: dict[str, str] | None = None,
    cwd: str = "/",
) -> Iterator[int]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            launch_argv(argv, service_user(), stop),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env or {"PATH": "/usr/bin:/bin", "TZ": "UTC"},
        )
    try:
        _wait(process, ready, log)
        yield process.pid
    finally:
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        process.kill()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start:\n{log_tail(log)}")
        time.sleep(0.01)


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
