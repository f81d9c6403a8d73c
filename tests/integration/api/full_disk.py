"""Disks that are full for PostgreSQL, really: every write that needs space gets ENOSPC from the kernel.

`Mounted` is a small file system with a cluster of its own on it; only root may mount one. `Redirected` needs no
rights: one table of a database lies on /dev/full for a while.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Protocol

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.packages import Binaries
from ecpmon.local.paths import service_user
from ecpmon.local.postgres import PostgresCluster
from tests.conftest import PostgresServer

SIZE = "220m"
# Small enough that what is written does not fill the disk while there is room, and that a full one soon says so.
CONFIG = "max_wal_size = '64MB'\nmin_wal_size = '32MB'\nshared_buffers = '32MB'\n"
TABLE = "rollup_dirty"  # every push writes to it


class Disk(Protocol):
    dsn: str

    def fill(self) -> None: ...

    def panic(self) -> None:
        """The server goes down as it does when its WAL cannot grow; `free` is called afterwards."""
        ...

    def free(self) -> None:
        """There is space again; a server that did not live through it is started, as its supervisor would."""
        ...


def may_mount() -> bool:
    """Whether we hold CAP_SYS_ADMIN."""
    status = Path("/proc/self/status").read_text()
    held = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(held.split()[1], 16) >> 21 & 1)


class Mounted:
    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.dsn = server.cluster.ensure_database("small")
        self._server = server
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with pytest.raises(OSError, match="No space left on device"):
                    deque(map(file.write, repeat(b"\0" * size)), maxlen=0)

    def panic(self) -> None:
        self.fill()
        write = "SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))"  # to the WAL and nowhere else
        with pytest.raises(LocalStackError, match=r"PANIC:.*No space left on device"):
            self._server.cluster.psql("small", *[write] * 200)

    def free(self) -> None:
        self._ballast.unlink()
        self._server.start()


@contextmanager
def mounted(binaries: Binaries, folder: Path, port: int) -> Iterator[Disk]:
    place = folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", place], check=True)
    cluster = PostgresCluster(binaries.postgres_bin, place / "postgres", port, service_user(), durable=False)
    try:
        cluster.initialise()
        with (cluster.data / "ecpmon.conf").open("a") as config:
            config.write(CONFIG)
        server = PostgresServer(cluster)
        server.start()
        try:
            yield Mounted(server, place)
        finally:
            server.stop()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class Redirected:
    def __init__(self, server: PostgresServer, dsn: str) -> None:
        self.dsn = dsn
        self._server = server
        self._full = False

    def fill(self) -> None:
        self._psql(f"TRUNCATE {TABLE}")  # a file of its own, with nothing in it and nothing of it in memory
        self._file.unlink()
        self._file.symlink_to("/dev/full")
        self._full = True
        self._reconnect()

    def panic(self) -> None:
        """A PANIC ends with SIGABRT of the server process that found it; the others are ended for that."""
        found = self._psql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() LIMIT 1")
        os.kill(int(found), signal.SIGABRT)

    def free(self) -> None:
        if not self._full:
            return
        owner = self._file.parent.stat()
        self._file.unlink()
        self._file.touch(0o600)
        os.chown(self._file, owner.st_uid, owner.st_gid)
        self._reconnect()

    @property
    def _file(self) -> Path:
        return self._server.cluster.data / self._psql(f"SELECT pg_relation_filepath('{TABLE}')").strip()

    def _reconnect(self) -> None:
        """Whoever is connected has the file open."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        self._psql(f"{others} WHERE datname = current_database() AND pid <> pg_backend_pid()")

    def _psql(self, statement: str) -> str:
        return self._server.cluster.psql(self.dsn.rpartition("/")[2], statement)


@contextmanager
def redirected(server: PostgresServer, make_database: Callable[[], str]) -> Iterator[Disk]:
    yield Redirected(server, make_database())
