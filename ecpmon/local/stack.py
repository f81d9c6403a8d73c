"""The embedded stack as a whole: everything that `ecpmon up` starts, supervises and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ecpmon.errors import LocalStackError
from ecpmon.local import parts
from ecpmon.local.alertmanager import prepare_alertmanager
from ecpmon.local.apt import Progress
from ecpmon.local.deaths import RestartPolicy
from ecpmon.local.instance import InstanceDir
from ecpmon.local.packages import Binaries, fetch_binaries
from ecpmon.local.parts import Context, Databases
from ecpmon.local.paths import cache_dir, instance_dir, service_user
from ecpmon.local.ports import PortPlan, check_ports
from ecpmon.local.postgres import DATABASE, DEMO_DATABASE, PostgresCluster
from ecpmon.local.process import ChildSpec
from ecpmon.local.prometheus import prepare_prometheus
from ecpmon.local.relay import Relay
from ecpmon.local.supervisor import Emit, Supervisor
from ecpmon.resources import data_dir

# Ports of the private PostgreSQL: there are none when the user brings databases.
_DATABASE_ROLES = ("postgres", "demo")


@dataclass(frozen=True, slots=True)
class StackUrls:
    """Where a person finds the parts."""

    api: str
    docs: str
    simulator: str
    prometheus: str
    alertmanager: str
    mail: str


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to start. `environ` is the caller's environment, `checkout` the folder the stack belongs to.

    `durable=False` is for tests: the database does without fsync. `scrape_pods`: Prometheus also scrapes what service
    discovery finds in the simulated cluster.
    """

    checkout: Path
    environ: Mapping[str, str]
    ports: PortPlan = field(default_factory=PortPlan)
    host: str = "127.0.0.1"
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    durable: bool = True
    scrape_pods: bool = False


class LocalStack:
    """`await start()`, then `await run_until(event)`, then always `await stop()`.

    `emit` gets messages about children that died and came back, `progress` the progress of the first fetch
    (from another thread). Use it on the main thread.
    """

    def __init__(self, options: StackOptions, *, emit: Emit, progress: Progress) -> None:
        self._options = options
        self._emit = emit
        self._progress = progress
        self._user = service_user()
        self._cache = cache_dir(options.environ, self._user)
        self.instance = InstanceDir(instance_dir(options.checkout, self._cache, self._user))
        self._context = Context(
            self.instance, options.ports, self._user, options.environ, options.checkout, options.host
        )
        self._own = own_databases(options.environ)
        self._lock: TextIO | None = None
        self._supervisor: Supervisor | None = None
        self._relay: Relay | None = None
        self._databases: Databases | None = None

    @property
    def database_url(self) -> str:
        """URL of the production database, once started."""
        if self._databases is None:
            raise RuntimeError("start() comes first")
        return self._databases.production

    @property
    def urls(self) -> StackUrls:
        """Where the parts are, or will be."""
        ports, api = self._options.ports, parts.api_url(self._context)
        return StackUrls(
            api=api,
            docs=f"{api}/docs",
            simulator=f"http://127.0.0.1:{ports.simulator}",
            prometheus=f"http://127.0.0.1:{ports.prometheus}",
            alertmanager=f"http://127.0.0.1:{ports.alertmanager}",
            mail=f"http://127.0.0.1:{ports.mail}",
        )

    async def start(self) -> StackUrls:
        """Bring everything up; returns when every part is ready.

        Raises LocalStackError; whatever was started is stopped then.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self.urls

    async def run_until(self, stop: asyncio.Event) -> None:
        """Keep everything running until `stop` is set. Raises LocalStackError when a part cannot be kept."""
        if self._supervisor is None:
            raise RuntimeError("start() comes first")
        wanted = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(self._supervisor.wait_failed())
        try:
            await asyncio.wait({wanted, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                raise failed.result()
        finally:
            for task in (wanted, failed):
                task.cancel()
            await asyncio.gather(wanted, failed, return_exceptions=True)

    async def stop(self) -> None:
        """Stop every process that was started, in reverse order. The data stays. Safe to call twice."""
        relay, self._relay = self._relay, None
        if relay is not None:
            await relay.stop()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def pid(self, name: str) -> int | None:
        """Process id of the part `postgres`, `simulator`, `api`, `prometheus`, `alertmanager` or `mail`."""
        return self._supervisor.pid(name) if self._supervisor else None

    async def _start(self) -> None:
        self.instance.prepare()
        self._lock = self.instance.lock()
        check_ports(self._options.ports, self._roles_without_database(), host=self._options.host)
        binaries = await asyncio.to_thread(
            fetch_binaries, self._cache, self._progress, with_postgres=self._own is None
        )
        cluster = await asyncio.to_thread(self._prepare, binaries)
        databases = _databases_of(cluster) if cluster is not None else self._own
        if databases is None:
            raise RuntimeError("there is a cluster unless the user brings databases")
        self._databases = databases
        supervisor = self._supervisor = Supervisor(
            self._specs(binaries, cluster, databases), self._emit, self._options.policy
        )
        await together(
            self._start_core(supervisor, cluster, databases),
            supervisor.start("simulator"),
            supervisor.start("prometheus"),
            supervisor.start("alertmanager"),
            supervisor.start("mail"),
        )

    async def _start_core(
        self, supervisor: Supervisor, cluster: PostgresCluster | None, databases: Databases
    ) -> None:
        """What depends on each other: the database, its schema, the service."""
        if cluster is not None:
            await supervisor.start("postgres")
            self._relay = Relay(self._options.ports.demo, cluster.port)
            await together(
                self._relay.start(),
                asyncio.to_thread(cluster.close_others),
                asyncio.to_thread(cluster.ensure_database, DATABASE),
                asyncio.to_thread(cluster.ensure_database, DEMO_DATABASE),
            )
        await supervisor.run_once(parts.migrate_spec(self._context, databases))
        await supervisor.start("api")

    def _prepare(self, binaries: Binaries) -> PostgresCluster | None:
        """Write the configurations and create the cluster (blocking)."""
        ports = self._options.ports
        prepare_prometheus(
            self.instance.part("prometheus"), ports, _rules_folder(), self._user,
            scrape_pods=self._options.scrape_pods,
        )  # fmt: skip
        prepare_alertmanager(self.instance.part("alertmanager"), ports, self._user)
        if self._own is not None:
            return None
        cluster = PostgresCluster(
            binaries.postgres_bin,
            self.instance.part("postgres"),
            ports.postgres,
            self._user,
            durable=self._options.durable,
        )
        cluster.initialise()
        cluster.clear_stale_lock()  # before the port check: a server left behind is ours to stop
        check_ports(ports, _DATABASE_ROLES)
        return cluster

    def _specs(
        self, binaries: Binaries, cluster: PostgresCluster | None, databases: Databases
    ) -> list[ChildSpec]:
        """In the order of starting; stopping goes backwards."""
        context = self._context
        specs = [parts.postgres_spec(context, cluster)] if cluster is not None else []
        return [
            *specs,
            parts.simulator_spec(context),
            parts.mail_spec(context),
            parts.api_spec(context, databases),
            parts.prometheus_spec(context, binaries),
            parts.alertmanager_spec(context, binaries),
        ]

    def _roles_without_database(self) -> list[str]:
        return [role for role in self._options.ports.roles() if role not in _DATABASE_ROLES]


def own_databases(environ: Mapping[str, str]) -> Databases | None:
    """The databases that the user brings, or None. Raises LocalStackError when the second one is missing."""
    production = environ.get("ECPMON_DATABASE_URL")
    if not production:
        return None
    demo = environ.get("ECPMON_DEMO_DATABASE_URL")
    if not demo:
        raise LocalStackError(
            "ECPMON_DATABASE_URL is set, but ECPMON_DEMO_DATABASE_URL is not",
            hint="set it to a second, empty database, or unset both to get a private PostgreSQL",
        )
    return Databases(production, demo)


def _databases_of(cluster: PostgresCluster) -> Databases:
    return Databases(cluster.dsn(DATABASE), cluster.dsn(DEMO_DATABASE))


async def together(*work: Coroutine[object, object, object]) -> None:
    """Run all at once; the first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _rules_folder() -> Path | None:
    try:
        return data_dir("rules") / "prometheus"
    except FileNotFoundError:
        return None
