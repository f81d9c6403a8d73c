"""Which part listens on which port, and who sits on a port that we want."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ecpmon.errors import LocalStackError

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortPlan:
    """TCP ports on loopback. `plan_ports` makes one."""

    api: int = 8001
    simulator: int = 6360
    postgres: int = 5433
    # The same server once more, where the source documents show the demo database.
    demo: int = 5434
    prometheus: int = 9090
    alertmanager: int = 9093
    mail: int = 8025
    smtp: int = 1025

    def roles(self) -> dict[str, int]:
        """Port by role."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def plan_ports(offset: int = 0, **overrides: int | None) -> PortPlan:
    """The default ports moved by `offset`; a port given by role is taken as it is.

    Raises LocalStackError for a port outside 1–65535 or one that two roles share.
    """
    defaults = PortPlan()
    moved = {role: port + offset for role, port in defaults.roles().items()}
    chosen = {role: port for role, port in overrides.items() if port is not None}
    plan = replace(defaults, **(moved | chosen))
    for role, port in plan.roles().items():
        if not 1 <= port <= 65535:
            raise LocalStackError(f"{port} is not a port ({role})", hint="ports go from 1 to 65535")
    seen: dict[int, str] = {}
    for role, port in plan.roles().items():
        if port in seen:
            raise LocalStackError(
                f"{seen[port]} and {role} both want port {port}", hint="give one of them another port"
            )
        seen[port] = role
    return plan


def check_ports(plan: PortPlan, roles: Iterable[str], *, host: str = "127.0.0.1") -> None:
    """Raise LocalStackError naming the first port of `roles` that is taken, and its process if possible."""
    ports = plan.roles()
    for role in roles:
        if not _is_free(host if role == "api" else "127.0.0.1", ports[role]):
            holder = port_holder(ports[role])
            by = f" by {holder}" if holder else ""
            raise LocalStackError(
                f"port {ports[role]} ({role}) is taken{by}",
                hint="stop that process, or move all ports of this stack with `--port-offset 100`",
                details={"port": ports[role], "role": role, "holder": holder},
            )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def port_holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """`name (process 123)` of the process that listens on `port`; None when we may not see it."""
    inodes: set[str] = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            inodes |= listening_inodes((proc / table).read_text(), port)
        except OSError:
            continue
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if links and process.name.isdigit() and _holds_any(process, links):
            return f"{_process_name(process)} (process {process.name})"
    return None


def listening_inodes(table: str, port: int) -> set[str]:
    """Socket inodes that listen on `port`, from the text of /proc/net/tcp or tcp6."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTEN and int(columns[1].rsplit(":", 1)[1], 16) == port:
            found.add(columns[9])
    return found


def _holds_any(process: Path, links: set[str]) -> bool:
    try:
        return any(_link(fd) in links for fd in (process / "fd").iterdir())
    except OSError:  # it ended, or it is another user's
        return False


def _link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


def _process_name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
