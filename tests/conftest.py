"""The real parts for every test: fetched once into the user's cache, started once per test session.

`stack_binaries`   the executables (PostgreSQL with TimescaleDB, Prometheus, promtool, Alertmanager, amtool)
`postgres_server`  a running private cluster; `.cluster.psql(db, sql)`, `.kill()`, `.start()`, `.stop()`,
                   `with .standing_still():`
`make_database`    `make_database()` creates an empty database with the extensions and returns its DSN
`impatient_with_the_database`  gives up on the database as soon as the product does, which tests else do not
`make_migrated`    `make_migrated()` creates one with our schema, a copy of one that was migrated before
`migrated_dsn`     one of those for all tests of a file: whatever other files leave behind, they do not find it
`free_port`        `free_port()` returns a TCP port on 127.0.0.1 that nobody listens on, another one each time
`shared_tmp`       an empty folder that the unprivileged service user can reach (pytest's are 0700)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from ecpmon.api import limits
from ecpmon.local.packages import Binaries, fetch_binaries
from ecpmon.local.paths import cache_dir, service_user
from ecpmon.local.postgres import SUPERUSER, PostgresCluster
from ecpmon.local.process import launch_argv, log_tail
from ecpmon.storage import database, hang
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from tests import declared
from tests.fuzz.sending import SENT
from tests.ports import free_port as new_port
from tests.waiting import PATIENCE

# `make test` tries the same examples on every machine, however slow it is; `make explore` looks for new ones.
settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("suite"), derandomize=False, print_blob=True)
settings.load_profile("suite")
# As in the product: structlog's default draws every local variable of every frame of a traceback, which holds the
# event loop for seconds, long enough for a leadership to run out.
*_before, _ = structlog.get_config()["processors"]
structlog.configure(
    processors=[*_before, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)


class PostgresServer:
    """A private cluster that tests may kill and start again. Not durable: fsync is off."""

    def __init__(self, cluster: PostgresCluster) -> None:
        self.cluster = cluster
        self._log = cluster.folder.parent / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def dsn(self, database: str) -> str:
        return self.cluster.dsn(database)

    def start(self, timeout: float = PATIENCE) -> None:
        """Start and wait until connections are accepted; retries while killed backends linger."""
        self.cluster.clear_stale_lock()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._spawn()
            if self.cluster.is_ready():
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"PostgreSQL did not start:\n{log_tail(self._log, 30)}")

    def stop(self) -> None:
        """Immediate shutdown, then force: nobody wants the data any more."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """kill -9 of the postmaster; its backends notice and end by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The postmaster and all its backends are stopped: connections stay open and are taken, nobody answers."""
        # The postmaster first: it must not start anybody while we look.
        os.kill(self.pid, signal.SIGSTOP)
        still = [self.pid, *_children(self.pid)]
        try:
            for pid in still[1:]:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in still:
                with contextlib.suppress(ProcessLookupError):  # a backend may have been about to end
                    os.kill(pid, signal.SIGCONT)

    def _spawn(self) -> None:
        argv = launch_argv(self.cluster.argv(), self.cluster.user, signal.SIGINT)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self.cluster.env, cwd="/", start_new_session=True,
            )  # fmt: skip


def _children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("quiet"):
            item.add_marker(pytest.mark.long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much the fuzz at length tried, and for what it had no time."""
    told = [
        (report.nodeid, *map(int, value.split(" of ")))
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == SENT
    ]
    if told:
        terminalreporter.section("fuzz at length")
        terminalreporter.line(f"{sum(sent for _, sent, _ in told)} tried in {len(told)} tests")
        for test, sent, most in told:
            if sent < most // 2:
                terminalreporter.line(f"cut short: {sent} of {most}: {test}")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names of tests are the same for every worker: what was compressed begins with the time of day."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


_IMPATIENCE = ((database, "ACQUIRE_TIMEOUT"), (hang, "PROBE_SECONDS"))
_AS_DELIVERED = [getattr(module, name) for module, name in _IMPATIENCE]


@pytest.fixture(scope="session", autouse=True)
def _patient_with_the_database() -> Iterator[None]:
    """A server that shares the processors with every other test may be slower than one that hangs is noticed."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _IMPATIENCE:
            patch.setattr(module, name, PATIENCE)
        yield


@pytest.fixture(scope="session", autouse=True)
def _refusals_at_once() -> Iterator[None]:
    """Tests of limits ask until they are refused, and again; how long a refusal waits is tested by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "REFUSAL_SECONDS", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _watched_answers() -> Iterator[None]:
    with declared.watch():
        yield


@pytest.fixture(autouse=True)
def _every_answer_is_as_its_route_declares() -> Iterator[None]:
    yield
    assert not declared.taken()


@pytest.fixture
def impatient_with_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of how soon a hanging server is noticed. What they do besides must be tried until it is taken."""
    for (module, name), value in zip(_IMPATIENCE, _AS_DELIVERED, strict=True):
        monkeypatch.setattr(module, name, value)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return new_port


@pytest.fixture(scope="session")
def stack_binaries() -> Binaries:
    cache = cache_dir(os.environ, service_user())
    return fetch_binaries(cache, lambda _what, _done, _total: None)


@pytest.fixture
def shared_tmp() -> Iterator[Path]:
    yield from _shared_folder()


@pytest.fixture(scope="session")
def _session_folder() -> Iterator[Path]:
    _sweep()
    yield from _shared_folder()


_FOLDERS = "ecpmon-test-"


def _shared_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDERS}{os.getpid()}-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what test processes left behind that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*-*"):
        owner = folder.name.removeprefix(_FOLDERS).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(stack_binaries: Binaries, _session_folder: Path) -> Iterator[PostgresServer]:
    cluster = PostgresCluster(
        bin_dir=stack_binaries.postgres_bin,
        folder=_session_folder / "postgres",
        port=new_port(),
        user=service_user(),
        durable=False,
    )
    cluster.initialise()
    server = PostgresServer(cluster)
    server.start()
    # A password of 192 random bits is not made safer by 4,096 rounds, and every connection of a test would have them.
    alter = f"SET scram_iterations = 1; ALTER ROLE {SUPERUSER} PASSWORD '{cluster.password()}'"
    cluster.psql("postgres", alter)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def make_database(postgres_server: PostgresServer) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: postgres_server.cluster.ensure_database(f"test_{next(numbers)}")


@pytest.fixture(scope="session")
def make_migrated(postgres_server: PostgresServer) -> Callable[[], str]:
    cluster, numbers, template = postgres_server.cluster, itertools.count(1), "migrated"
    asyncio.run(migrate(Database(cluster.ensure_database(template))))
    cluster.psql("postgres", f"ALTER DATABASE {template} ALLOW_CONNECTIONS false")

    def make() -> str:
        name = f"{template}_{next(numbers)}"
        cluster.psql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return cluster.dsn(name)

    return make


@pytest.fixture(scope="module")
def migrated_dsn(make_migrated: Callable[[], str]) -> str:
    return make_migrated()
