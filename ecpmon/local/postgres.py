"""A private PostgreSQL cluster with TimescaleDB: create it, configure it, create databases in it.

Blocking functions: from asyncio, call them in a thread. Connections are made with the `psql` program only.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecpmon.errors import LocalStackError
from ecpmon.local.command import run
from ecpmon.local.paths import ServiceUser, make_private_dir
from ecpmon.local.process import launch_argv

DATABASE = "ecp_orchestrator"
DEMO_DATABASE = "ecp_orchestrator_demo"
# Of one process to one database: 16 of its pool, three that commit, the bus, a probe, and the lease of a worker.
_EACH = 22
EXTENSIONS = ("timescaledb", "btree_gist")
SUPERUSER = "ecpmon"
_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Not our own environment: PGDATA, PGPORT and the like must not leak into the private cluster.
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class PostgresCluster:
    """A cluster in `folder` (made by us, 0700), listening on 127.0.0.1:`port` only.

    `durable=False` turns off fsync, for tests whose data may be lost with the machine.
    """

    bin_dir: Path
    folder: Path
    port: int
    user: ServiceUser | None
    durable: bool = True

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def env(self) -> dict[str, str]:
        """The environment of the server."""
        return dict(_ENV)

    def password(self) -> str:
        """The superuser's password. Raises LocalStackError when its file is gone."""
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError as error:
            raise LocalStackError(
                f"the database's password file {self._password_file} is gone",
                hint=f"restore it, or remove {self.folder} to start with an empty database",
            ) from error

    def dsn(self, database: str) -> str:
        """The connection URI of one database, with the password."""
        return f"postgresql://{SUPERUSER}:{self.password()}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Create the cluster unless it exists, and write its configuration. Raises LocalStackError."""
        try:
            make_private_dir(self.folder, self.user)
            if not (self.data / "PG_VERSION").is_file():
                self._create()
            self._require_same_version()
            self._write_config()
        except OSError as error:
            raise LocalStackError(
                f"cannot write the database folder {self.folder}: {error.strerror or error}",
                hint="free some space on that disk, or fix the permissions of the folder",
            ) from error

    def argv(self) -> tuple[str, ...]:
        """The server's command line; run it as `user`."""
        return (str(self.bin_dir / "postgres"), "-D", str(self.data))

    def is_ready(self) -> bool:
        """Whether the server accepts connections."""
        argv = [str(self.bin_dir / "pg_isready"), "-q", "-t", "1", "-h", "127.0.0.1", "-p", str(self.port)]
        return run(argv, env=self.env).returncode == 0

    def psql(self, database: str, *statements: str) -> str:
        """Run statements, each in a transaction of its own; rows unaligned, one a line.

        Raises LocalStackError with the server's message.
        """
        argv = [str(self.bin_dir / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-d", database]  # fmt: skip
        for statement in statements:
            argv += ["-c", statement]
        env = self.env | {"PGPASSWORD": self.password(), "PGCONNECT_TIMEOUT": "10",
                          "PGOPTIONS": "-c client_min_messages=warning"}  # fmt: skip
        done = run(argv, env=env)
        if done.returncode != 0:
            raise LocalStackError(
                f"the private database refused a statement: {done.stderr.strip()}",
                hint=f"see the database's log; the data is in {self.data}",
            )
        return done.stdout

    def ensure_database(self, name: str) -> str:
        """Create database `name` with our extensions unless it exists; returns its DSN."""
        if not _DATABASE_NAME.fullmatch(name):
            raise ValueError(f"not a database name: {name!r}")
        known = self.psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{name}'")  # noqa: S608 - checked
        if not known.strip():
            self.psql("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        self.psql(name, *(f"CREATE EXTENSION IF NOT EXISTS {extension}" for extension in EXTENSIONS))
        return self.dsn(name)

    def close_others(self) -> None:
        """Whoever has a role of ours does not connect to the databases that every cluster has."""
        self.psql("postgres", "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")

    def clear_stale_lock(self) -> None:
        """Before a start: remove the lock file of a server that is gone; stop one that lost its supervisor.

        After kill -9 or a power cut the number in `postmaster.pid` may belong to another process of the same
        user by now, and PostgreSQL would refuse to start. The caller must hold the instance's lock.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if not self._is_our_server(pid):
            pid_file.unlink(missing_ok=True)
            return
        argv = [str(self.bin_dir / "pg_ctl"), "stop", "-m", "fast", "-w", "-t", "30", "-D", str(self.data)]
        try:
            self._run(argv, "stopping a database server that was left behind")
        except LocalStackError:
            # One that was ending anyway takes its file along before `pg_ctl` can read it.
            if pid_file.exists() or self._is_our_server(pid):
                raise

    def _is_our_server(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").resolve() == self.data.resolve()
        except OSError:
            return False

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _create(self) -> None:
        """initdb into a folder beside the final one, so that an interrupted run leaves nothing half made."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        write_private(self._password_file, password, None)
        for_initdb = self.folder / "password.initdb"  # readable by the service user, for a moment
        write_private(for_initdb, password, self.user)
        try:
            argv = [str(self.bin_dir / "initdb"), "-D", str(fresh), "-U", SUPERUSER,
                    "--pwfile", str(for_initdb), "--auth=scram-sha-256", "--encoding=UTF8",
                    "--data-checksums", *locale_options(self._server_major())]  # fmt: skip
            self._run([*argv] if self.durable else [*argv, "--no-sync"], "creating the database")
        finally:
            for_initdb.unlink(missing_ok=True)
        fresh.rename(self.data)

    def _run(self, argv: Sequence[str], doing: str) -> None:
        command = launch_argv(argv, self.user, signal.SIGKILL)
        done = run(command, env=self.env, cwd=Path("/"))
        if done.returncode != 0:
            message = (done.stderr or done.stdout).strip()[-500:]
            raise LocalStackError(
                f"{doing} failed: {message}",
                hint=f"check the free space and the permissions of {self.folder}, then try again",
            )

    def _server_major(self) -> int:
        argv = [str(self.bin_dir / "postgres"), "--version"]
        output = run(argv, env=self.env).stdout
        match = re.search(r"(\d+)(?:\.|devel|beta|rc|\s)", output)
        if match is None:
            raise LocalStackError(
                f"{self.bin_dir / 'postgres'} does not run",
                hint="remove the packages folder in ecpmon's cache and run the same command again",
            )
        return int(match[1])

    def _require_same_version(self) -> None:
        made_by = int((self.data / "PG_VERSION").read_text().strip())
        if made_by != (installed := self._server_major()):
            raise LocalStackError(
                f"{self.data} was written by PostgreSQL {made_by}, and this is PostgreSQL {installed}",
                hint=f"move the data with pg_upgrade, or remove {self.folder} to start empty",
            )

    def _write_config(self) -> None:
        write_private(self.data / "ecpmon.conf", render_config(self.port, durable=self.durable), self.user)
        main = self.data / "postgresql.conf"
        include = "include 'ecpmon.conf'"
        if include not in main.read_text():
            with main.open("a") as handle:
                handle.write(f"\n{include}\n")


def locale_options(major: int) -> list[str]:
    """initdb's locale options: the same on every system, without needing a locale to be installed."""
    if major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C"]


def connections(cores: int) -> int:
    """For a front per core and two workers (one may be about to end), each with both databases, and commands beside."""
    return 2 * _EACH * (cores + 2) + 20


def render_config(port: int, *, durable: bool) -> str:
    """Our settings, included by postgresql.conf: a small machine, one application, loopback only."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": connections(os.cpu_count() or 1),
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        # the Apache edition has no jobs of ours to run; its own one only fills the log with a licence error
        "timescaledb.max_background_workers": 0,
        "max_worker_processes": 12,
        "max_parallel_workers_per_gather": 1,
        "max_locks_per_transaction": 256,  # a query over a month of chunks locks each of them
        "jit": "off",  # its library is not unpacked, and our queries are short
        "shared_buffers": "256MB",
        "effective_cache_size": "1GB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%a@%d ",
        "lc_messages": "C",
    }
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def write_private(path: Path, text: str, owner: ServiceUser | None) -> None:
    """Write a file with mode 0600; with an owner, it is theirs."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        if owner is not None:
            os.fchown(descriptor, owner.uid, owner.gid)
        handle.write(text)
