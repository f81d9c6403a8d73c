"""The children of the embedded stack as specifications: commands, environments, probes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from ecpmon.local.alertmanager import alertmanager_argv
from ecpmon.local.instance import InstanceDir
from ecpmon.local.packages import Binaries
from ecpmon.local.paths import ServiceUser
from ecpmon.local.ports import PortPlan
from ecpmon.local.postgres import PostgresCluster
from ecpmon.local.process import ChildSpec, Probe
from ecpmon.local.prometheus import prometheus_argv

_MINIMAL_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Databases:
    """Connection URIs, passwords included."""

    production: str
    demo: str


@dataclass(frozen=True, slots=True)
class Context:
    """What every part's specification is made from. `environ` is the user's environment."""

    instance: InstanceDir
    ports: PortPlan
    user: ServiceUser | None
    environ: Mapping[str, str]
    workdir: Path
    host: str = "127.0.0.1"

    def log(self, name: str) -> Path:
        """The log file of a part."""
        return self.instance.logs / f"{name}.log"


def http_ok(url: str) -> Probe:
    """A probe that a GET of `url` answers 200 within 2 seconds."""

    async def probe() -> bool:
        try:
            async with ClientSession(timeout=ClientTimeout(total=2)) as session, session.get(url) as answer:
                return answer.status == 200
        except (ClientError, OSError, TimeoutError):
            return False

    return probe


def postgres_spec(context: Context, cluster: PostgresCluster) -> ChildSpec:
    """PostgreSQL: SIGINT is its fast shutdown, also when we die."""

    async def ready() -> bool:
        return await asyncio.to_thread(cluster.is_ready)

    return ChildSpec(
        name="postgres",
        argv=cluster.argv(),
        env=cluster.env,
        user=cluster.user,
        log_file=context.log("postgres"),
        ready=ready,
        prepare=cluster.clear_stale_lock,
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        stop_timeout=30,
        ready_timeout=120,  # recovery after a power cut replays up to max_wal_size
    )


def prometheus_spec(context: Context, binaries: Binaries) -> ChildSpec:
    """Prometheus."""
    port = context.ports.prometheus
    return ChildSpec(
        name="prometheus",
        argv=prometheus_argv(binaries, context.instance.part("prometheus"), port),
        env=_MINIMAL_ENV,
        user=context.user,
        log_file=context.log("prometheus"),
        ready=http_ok(f"http://127.0.0.1:{port}/-/ready"),
    )


def alertmanager_spec(context: Context, binaries: Binaries) -> ChildSpec:
    """Alertmanager."""
    port = context.ports.alertmanager
    return ChildSpec(
        name="alertmanager",
        argv=alertmanager_argv(binaries, context.instance.part("alertmanager"), port),
        env=_MINIMAL_ENV,
        cwd=binaries.prometheus_root,
        user=context.user,
        log_file=context.log("alertmanager"),
        ready=http_ok(f"http://127.0.0.1:{port}/-/ready"),
    )


def simulator_spec(context: Context) -> ChildSpec:
    """Our simulator, a process of its own with its own state."""
    port, state = context.ports.simulator, context.instance.part("simulator")
    return ChildSpec(
        name="simulator",
        argv=_ecpmon("simulator", "--port", str(port), "--state-dir", str(state)),
        env=_python_env(context.environ),
        cwd=context.workdir,
        log_file=context.log("simulator"),
        ready=http_ok(f"http://127.0.0.1:{port}/health"),
    )


def mail_spec(context: Context) -> ChildSpec:
    """The mail catcher: where e-mail goes unless the user names a mail server."""
    ports, folder = context.ports, context.instance.part("mail")
    own = ("--smtp-port", str(ports.smtp), "--port", str(ports.mail), "--folder", str(folder))
    return ChildSpec(
        name="mail",
        argv=_ecpmon("mail", *own),
        env=_python_env(context.environ),
        cwd=context.workdir,
        log_file=context.log("mail"),
        ready=http_ok(f"http://127.0.0.1:{ports.mail}/messages"),
    )


def migrate_spec(context: Context, databases: Databases) -> ChildSpec:
    """The migrations; runs to its end."""
    return ChildSpec(
        name="migrate",
        argv=_ecpmon("migrate"),
        env=service_environment(context, databases),
        cwd=context.workdir,
        log_file=context.log("migrate"),
        ready=http_ok(""),  # never asked
    )


def api_spec(context: Context, databases: Databases) -> ChildSpec:
    """The ecpmon service."""
    return ChildSpec(
        name="api",
        argv=_ecpmon("serve"),
        env=service_environment(context, databases),
        cwd=context.workdir,
        log_file=context.log("api"),
        ready=http_ok(f"{api_url(context)}/ready"),
        # Fronts end first, then the worker.
        stop_timeout=30,
    )


def api_url(context: Context) -> str:
    """Where our API is reached from this machine."""
    host = "127.0.0.1" if context.host in {"0.0.0.0", "::", ""} else context.host  # noqa: S104 - compared only
    return f"http://[{host}]:{context.ports.api}" if ":" in host else f"http://{host}:{context.ports.api}"


def service_environment(context: Context, databases: Databases) -> dict[str, str]:
    """The environment of `migrate` and `serve`: the user's, with the stack's addresses on top."""
    ports = context.ports
    # The front end of the source documents is developed on port 3000.
    pages = "http://localhost:3000,http://127.0.0.1:3000"
    defaults = {"ECPMON_EXTERNAL_URL": api_url(context), "ECPMON_CORS_ORIGINS": pages}
    if not context.environ.get("ECPMON_DATABASE_URL"):
        # Our private PostgreSQL, on loopback only: the roles have the passwords that the source documents show.
        defaults |= {
            "ECPMON_SQL_PASSWORD": "ecp_password",
            "ECPMON_SQL_DEMO_PASSWORD": "ecp_demo_password",
            "ECPMON_SQL_READER_PASSWORD": "ecp_reader_password",
        }
    # Set to nothing: the user wants no mail.
    if "ECPMON_SMTP_HOST" not in context.environ:
        defaults |= {"ECPMON_SMTP_HOST": "127.0.0.1", "ECPMON_SMTP_PORT": str(ports.smtp)}
    ours = {
        "ECPMON_DATABASE_URL": databases.production,
        "ECPMON_DEMO_DATABASE_URL": databases.demo,
        "ECPMON_HOST": context.host,
        "ECPMON_PORT": str(ports.api),
        "ECPMON_SIMULATOR_URL": f"http://127.0.0.1:{ports.simulator}",
        "ECPMON_PROMETHEUS_URL": f"http://127.0.0.1:{ports.prometheus}",
        "ECPMON_ALERTMANAGER_URL": f"http://127.0.0.1:{ports.alertmanager}",
        "ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true",
        "ECPMON_AUTH": "none",
    }
    return defaults | _python_env(context.environ) | ours


def _python_env(environ: Mapping[str, str]) -> dict[str, str]:
    return dict(environ) | {"PYTHONUNBUFFERED": "1"}


def _ecpmon(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "ecpmon", *arguments)
